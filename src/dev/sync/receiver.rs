//! A target container of a sync: its state, and the open connection.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{
    Here, Open, SyncOutcome, SyncSource, listed,
    plain::{self, Plain},
    progress::Progress,
};
use crate::{
    dev::{
        backoff::pauses,
        pods::Pick,
        reach::Agent,
        session::Session,
        trouble::{Spent, Trouble, is_lost, is_spent, is_without_agent, refusal},
    },
    ui::text::clause,
};
use diyadm_agent::protocol::{
    SentContent,
    transfer::{Entry, Reason, What},
};

/// Number of consecutive connections that may be lost without progress before pauses are made.
const IN_VAIN: usize = 3;
/// Bytes above which an attempt made progress: more than the list of files.
const MUCH: u64 = 1 << 20;
/// How long the agent of a lost connection may lock the target.
const HELD: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(250);
/// The same for a file, as a number of attempts.
const PATIENCE: u32 = 100;
/// How often a transfer without an agent is restarted.
const PLAIN_TRIES: u32 = 8;

/// What precedes an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum After<'e> {
    /// Nothing relevant.
    Nothing,
    /// A lost connection and its reason: the attempt waits first.
    Lost(&'e anyhow::Error),
    /// The same, after the caller has waited.
    Pause,
}

/// A container and its agent.
pub(crate) struct Receiver<'a> {
    session: &'a Session<'a>,
    /// Which container.
    pub(crate) pick: Pick,
    open: Option<Transport>,
    /// The source, if the path of a single file is a folder in the container.
    inside: Option<Arc<SyncSource>>,
    /// Whether no agent is available.
    alone: bool,
    /// How often a transfer without an agent was started since the last success.
    tried: u32,
    /// The temporary folder of the last attempt without an agent.
    stage: Option<String>,
    /// Whether a warning about modes or times was printed.
    noted: bool,
}

/// The transport.
enum Transport {
    /// Through an agent.
    Agent(Box<Agent>, Open),
    /// Through a shell.
    Plain(Plain),
}

impl Transport {
    /// The existing entries.
    fn there(&self) -> &[Entry] {
        match self {
            Self::Agent(_, open) => &open.there,
            Self::Plain(plain) => plain.there(),
        }
    }

    /// Whether the target exists and is a folder.
    fn is_folder(&self) -> bool {
        match self {
            Self::Agent(_, open) => open.is_folder,
            Self::Plain(plain) => plain.is_folder(),
        }
    }
}

impl<'a> Receiver<'a> {
    /// Nothing is known yet.
    pub(crate) fn new(session: &'a Session<'a>, pick: Pick) -> Self {
        let (open, inside, stage) = (None, None, None);
        Self { session, pick, open, inside, alone: false, tried: 0, stage, noted: false }
    }

    /// Makes the remote files equal to the local ones. Continues after lost connections; arrived
    /// data is not sent again.
    ///
    /// # Errors
    /// The Pod is gone, the agent refuses, the connection stays lost.
    pub(crate) async fn sync(
        &mut self,
        source: &SyncSource,
        here: &Here,
        progress: &Progress,
    ) -> Result<SyncOutcome> {
        let (mut lost, mut vain, mut sent) = (None, 0, progress.sent());
        let mut pauses_left = pauses();
        loop {
            let after = lost.as_ref().map_or(After::Nothing, After::Lost);
            match self.attempt(source, here, progress, after).await {
                Err(error) if is_lost(&error) && !is_spent(&error) && !self.gives_up() => {
                    if progress.sent() - sent > MUCH {
                        (pauses_left, vain, sent) = (pauses(), 0, progress.sent());
                    }
                    vain += 1;
                    // An agent that answers and dies each time makes no progress.
                    if vain > IN_VAIN {
                        match pauses_left.next() {
                            Some(pause) => sleep(pause).await,
                            None => return Err(error.context(Spent)),
                        }
                    }
                    lost = Some(error);
                }
                other => return other,
            }
        }
    }

    /// Whether another attempt is useless: files that are sent whole each time are not sent for
    /// ever.
    pub(crate) fn gives_up(&self) -> bool {
        self.tried >= PLAIN_TRIES
    }

    /// The same, without continuing after a lost connection.
    ///
    /// # Errors
    /// As [`Receiver::sync`], and the connection is lost.
    pub(crate) async fn attempt(
        &mut self,
        source: &SyncSource,
        here: &Here,
        progress: &Progress,
        after: After<'_>,
    ) -> Result<SyncOutcome> {
        if self.gives_up() {
            self.tried = 0;
        }
        let outcome = self.once(source, here, progress, after).await;
        self.session.terminal.clear();
        if let Ok(outcome) = &outcome {
            self.tried = 0;
            self.note_unset(&outcome.report.unset);
        }
        outcome
    }

    /// Warns once about modes and times that could not be set, instead of after every change.
    fn note_unset(&mut self, unset: &[String]) {
        if !unset.is_empty() && !std::mem::replace(&mut self.noted, true) {
            self.session.terminal.warn(&format!(
                "{}: the container's user may not set the mode or time of {}; the content is right",
                self.pick.shown(),
                listed(unset)
            ));
        }
    }

    /// What the container has after a complete transfer, for its agent to keep.
    pub(crate) async fn sent(&self, source: &SyncSource, here: &Here) -> Option<SentContent> {
        let label = source.label(here).await?;
        let source = self.inside.as_deref().unwrap_or(source);
        Some(SentContent { path: source.way.target(), ..label })
    }

    async fn once(
        &mut self,
        source: &SyncSource,
        here: &Here,
        progress: &Progress,
        after: After<'_>,
    ) -> Result<SyncOutcome> {
        let mut way = match self.open.take() {
            Some(open) => open,
            None => self.way(source, after).await?,
        };
        let inside = self.inside.clone();
        let found = match &inside {
            Some(inside) => Some((&**inside, inside.scan().await?)),
            None => None,
        };
        let (source, here) =
            found.as_ref().map_or((source, here), |(inside, here)| (*inside, here));
        let outcome = match &mut way {
            Transport::Agent(agent, open) => {
                match open.bring(&mut agent.talk, source, here, progress).await {
                    Ok(outcome) => outcome,
                    Err(trouble) => return Err(self.session.explain(agent.blame(trouble).await)),
                }
            }
            Transport::Plain(plain) => {
                // Each transfer is a separate command in the container.
                self.session.check(&self.pick).await?;
                self.stage = Some(plain.stage().to_owned());
                self.tried += 1;
                let outcome = plain.bring(self.session.cluster, source, here, progress).await;
                outcome.map_err(|error| self.explained(error))?
            }
        };
        if outcome.report.refused.is_empty() && outcome.plan.blocked.is_empty() {
            self.open = Some(way);
        }
        Ok(outcome)
    }

    /// Connects. If the path of a single file is a folder in the container, the file goes into it,
    /// as with `cp`; a link may lead to the folder.
    async fn way(&mut self, source: &SyncSource, after: After<'_>) -> Result<Transport> {
        if let Some(inside) = self.inside.clone() {
            return self.way_to(&inside, after).await;
        }
        let way = self.way_to(source, after).await?;
        let found = way.there().first().map(|entry| &entry.what);
        let may_be = matches!(found, Some(What::Folder | What::Link { .. }));
        let Some(inside) = source.inside().filter(|_| may_be) else { return Ok(way) };
        drop(way);
        match self.way_to(&inside, after).await {
            Ok(way) if way.is_folder() => {
                self.inside = Some(Arc::new(inside));
                Ok(way)
            }
            Err(error) if refusal(&error).is_none() => Err(error),
            // It is not a folder after all.
            Ok(_) | Err(_) => self.way_to(source, after).await,
        }
    }

    async fn way_to(&mut self, source: &SyncSource, after: After<'_>) -> Result<Transport> {
        let session = self.session;
        if !self.alone {
            match self.begin(source, after).await {
                Ok((agent, open)) => return Ok(Transport::Agent(Box::new(agent), open)),
                // A user who requested an agent upload gets the reason.
                Err(error) if !is_without_agent(&error) || session.how.upload => {
                    return Err(error);
                }
                Err(error) => {
                    let shown = self.pick.shown();
                    session.terminal.warn(&format!(
                        "{shown} has no agent and none can be uploaded, so changed files are sent \
                         whole: {}",
                        clause(&error)
                    ));
                    self.alone = true;
                }
            }
        } else if let After::Lost(why) = after {
            let answers = async || plain::answers(session.cluster, self.pick.place()).await;
            session.again_by(&self.pick, why, answers).await?;
        }
        session.check(&self.pick).await?;
        let (cluster, place, before) = (session.cluster, self.pick.place(), self.stage.as_deref());
        let begun = Plain::begin(cluster, place, source, before).await;
        begun.map(Transport::Plain).map_err(|error| self.explained(error))
    }

    fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast::<Trouble>() {
            Ok(trouble) => self.session.explain(trouble),
            Err(error) => error,
        }
    }

    async fn begin(&self, source: &SyncSource, after: After<'_>) -> Result<(Agent, Open)> {
        let session = self.session;
        let until = Instant::now() + HELD;
        let lost = !matches!(after, After::Nothing);
        loop {
            let mut agent = match after {
                After::Lost(why) => session.again(&self.pick, why).await?,
                After::Nothing | After::Pause => session.agent_of(&self.pick).await?,
            };
            let trouble = match Open::begin(&mut agent.talk, source).await {
                Ok(mut open) => {
                    if lost {
                        open.patience = PATIENCE;
                    }
                    return Ok((agent, open));
                }
                Err(trouble) => agent.blame(trouble).await,
            };
            let error = session.explain(trouble);
            // Perhaps our own previous transfer, whose end the agent has not noticed yet.
            let busy = refusal(&error).is_some_and(|refusal| refusal.reason == Reason::Busy);
            if !busy || !lost || Instant::now() > until {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }
}
