//! The credentials of requests: a fixed header, a token file that is reread, a plugin's result
//! while it is valid, and the client certificate.

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

/// Maximum age of a token file's content: client-go's minute, minus its ten seconds.
const TOKEN_AGE: Duration = Duration::from_secs(50);

/// The source of credentials.
pub(super) enum Credentials {
    /// Always the same.
    Fixed(Arc<Current>),
    /// A bearer token in a file that somebody else replaces.
    File { path: PathBuf, identity: Option<Arc<Identity>>, token: Mutex<FileToken> },
    /// A program, which runs when its last result is no longer valid.
    Plugin { plugin: Arc<Plugin>, answer: sync::Mutex<Answer> },
}

/// The content that was read last.
pub(super) struct FileToken {
    current: Arc<Current>,
    read_at: Instant,
}

/// The state of a plugin.
#[derive(Default)]
pub(super) enum Answer {
    #[default]
    None,
    Issued(Issued),
    /// It has returned credentials, and may do so again.
    Expired,
    /// It has never returned credentials: a command has many requests, and its user is asked only
    /// once.
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

    /// A file with a bearer token; `inline` is used while it cannot be read.
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

    /// The credentials for a request now.
    pub(super) async fn current(&self) -> Result<Arc<Current>, Refused> {
        match self {
            Self::Fixed(current) => Ok(Arc::clone(current)),
            Self::File { path, identity, token } => {
                let mut token = token.lock().unwrap_or_else(PoisonError::into_inner);
                if token.read_at.elapsed() > TOKEN_AGE {
                    // The last content stays valid if the file is deleted, since some are removed
                    // after being read.
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
                // Other requests wait, since it may prompt its user.
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
                let run = spawn_blocking(move || plugin.issue()).await;
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

    /// The API server rejected these credentials: a plugin is run for new ones.
    pub(super) async fn expire(&self, refused: &Arc<Current>) {
        if let Self::Plugin { answer, .. } = self {
            let mut answer = answer.lock().await;
            if matches!(&*answer, Answer::Issued(issued) if Arc::ptr_eq(&issued.current, refused)) {
                *answer = Answer::Expired;
            }
        }
    }
}
