//! As whom a request is made: a fixed header, a token file that is read again, a plugin's answer
//! for as long as it is valid, and the client certificate.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use http::HeaderValue;
use jiff::Timestamp;
use tokio::{sync, task::spawn_blocking};

use super::{
    exec::Plugin,
    issued::{Current, Issued, Refused, bearer},
    trust::Identity,
    unusable,
};

/// So old the content of a token file may be: client-go's minute, and its ten seconds less.
const TOKEN_AGE: Duration = Duration::from_secs(50);

/// Where credentials come from.
pub(super) enum Credentials {
    /// Always the same.
    Fixed(Arc<Current>),
    /// A bearer token in a file that somebody else replaces.
    File { path: PathBuf, identity: Option<Arc<Identity>>, token: Mutex<FileToken> },
    /// A program, run when what it gave last is no longer valid.
    Plugin { plugin: Arc<Plugin>, answer: sync::Mutex<Answer> },
}

/// What was read last.
pub(super) struct FileToken {
    current: Arc<Current>,
    read_at: Instant,
}

/// What became of a plugin's runs.
#[derive(Default)]
pub(super) enum Answer {
    #[default]
    None,
    Issued(Issued),
    /// It gave something once, and may do so again.
    Expired,
    /// It never gave anything. A command has many requests, and its user is asked once.
    Refused(Refused),
}

impl Credentials {
    /// A header, a certificate, both, none.
    pub(super) fn fixed(
        authorization: Option<HeaderValue>,
        identity: Option<Arc<Identity>>,
    ) -> Self {
        Self::Fixed(Arc::new(Current { authorization, identity }))
    }

    /// A file with a bearer token; `inline` counts while it cannot be read.
    pub(super) fn token_file(
        path: PathBuf,
        inline: &str,
        identity: Option<Arc<Identity>>,
    ) -> Result<Self> {
        let name = path.display();
        let token = match fs::read_to_string(&path) {
            Ok(token) if !token.trim().is_empty() => token,
            _ if !inline.is_empty() => inline.to_owned(),
            Ok(_) => return Err(unusable(format!("its token file {name} is empty"))),
            Err(error) => return Err(unusable(format!("its token file {name}: {error}"))),
        };
        let current = Arc::new(Current {
            authorization: Some(bearer(&token).map_err(unusable)?),
            identity: identity.clone(),
        });
        let token = Mutex::new(FileToken { current, read_at: Instant::now() });
        Ok(Self::File { path, identity, token })
    }

    /// A program.
    pub(super) fn plugin(plugin: Plugin) -> Self {
        Self::Plugin { plugin: Arc::new(plugin), answer: sync::Mutex::default() }
    }

    /// Those for a request that is made now.
    pub(super) async fn current(&self) -> Result<Arc<Current>, Refused> {
        match self {
            Self::Fixed(current) => Ok(Arc::clone(current)),
            Self::File { path, identity, token } => {
                let mut token = token.lock().unwrap_or_else(PoisonError::into_inner);
                if token.read_at.elapsed() > TOKEN_AGE {
                    // What was read last counts on where the file is gone: some are removed once
                    // they were read.
                    if let Ok(text) = fs::read_to_string(path)
                        && let Ok(value) = bearer(&text)
                    {
                        let identity = identity.clone();
                        token.current = Arc::new(Current { authorization: Some(value), identity });
                    }
                    token.read_at = Instant::now();
                }
                Ok(Arc::clone(&token.current))
            }
            Self::Plugin { plugin, answer } => {
                // Requests that come meanwhile wait: it may ask its user something.
                let mut answer = answer.lock().await;
                match &*answer {
                    Answer::Issued(Issued { current, expires })
                        if expires.is_none_or(|expires| Timestamp::now() <= expires) =>
                    {
                        return Ok(Arc::clone(current));
                    }
                    Answer::Refused(refused) => return Err(refused.clone()),
                    _ => {}
                }
                let plugin = Arc::clone(plugin);
                let run = spawn_blocking(move || plugin.run()).await;
                match run.unwrap_or_else(|_| Err(Refused::new("the credential plugin was lost"))) {
                    Ok(issued) => {
                        let current = Arc::clone(&issued.current);
                        *answer = Answer::Issued(issued);
                        Ok(current)
                    }
                    Err(refused) => {
                        if matches!(*answer, Answer::None) {
                            *answer = Answer::Refused(refused.clone());
                        }
                        Err(refused)
                    }
                }
            }
        }
    }

    /// The API server has refused these: a plugin is asked for others.
    pub(super) async fn expire(&self, refused: &Arc<Current>) {
        if let Self::Plugin { answer, .. } = self {
            let mut answer = answer.lock().await;
            if matches!(&*answer, Answer::Issued(issued) if Arc::ptr_eq(&issued.current, refused)) {
                *answer = Answer::Expired;
            }
        }
    }
}
