//! A container that files are brought to: what is known of it, and the open connection.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{
    Here, Open, Source, listed,
    plain::{self, Plain},
    plan::Plan,
    progress::Progress,
    steps::Report,
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
    Bytes,
    transfer::{Entry, Reason, What},
};

/// Connections that may be lost at once one after the other; from then on there are pauses.
const IN_VAIN: usize = 3;
/// Bytes of a try that got further: more than the names of what is to be sent.
const MUCH: u64 = 1 << 20;
/// How long the far end of a connection that was lost may hold the target.
const HELD: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(250);
/// The same for a file, by how often it is tried.
const PATIENCE: u32 = 100;
/// How often a transfer without an agent is begun anew.
const PLAIN_TRIES: u32 = 8;

/// What a sync came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was to be done, at the last try.
    pub plan: Plan,
    /// What was done, at the last try; in a dry run, what would be refused.
    pub report: Report,
}

/// What a try comes after.
#[derive(Clone, Copy, Debug)]
pub(crate) enum After<'e> {
    /// Nothing that it should know of.
    Nothing,
    /// A connection that was lost, and why: it is waited for.
    Lost(&'e anyhow::Error),
    /// The same, and whoever tries has waited.
    Pause,
}

/// A container, and the way to its agent.
pub(crate) struct Receiver<'a> {
    session: &'a Session<'a>,
    /// Which container.
    pub(crate) pick: Pick,
    open: Option<Way>,
    /// What is sent, where the path of the one file is a folder there.
    inside: Option<Arc<Source>>,
    /// Whether no agent can be had.
    alone: bool,
    /// How often a transfer without one was begun, and none was done since.
    tried: u32,
    /// The folder beside of the last try without one.
    stage: Option<String>,
    /// Whether a note has said that modes or times cannot be set.
    noted: bool,
}

/// How things go there.
enum Way {
    /// Through an agent.
    Agent(Box<Agent>, Open),
    /// Through a shell.
    Plain(Plain),
}

impl Way {
    /// What was there.
    fn there(&self) -> &[Entry] {
        match self {
            Self::Agent(_, open) => &open.there,
            Self::Plain(plain) => plain.there(),
        }
    }

    /// Whether the target is there, and a folder.
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

    /// Makes what is there what is here. Goes on over lost connections; what arrived is not sent
    /// again.
    ///
    /// # Errors
    /// The Pod is gone, the agent refuses, the connection stays lost.
    pub(crate) async fn sync(
        &mut self,
        source: &Source,
        here: &Here,
        progress: &Progress,
    ) -> Result<Outcome> {
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
                    // A far end that answers and dies each time gets no further.
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

    /// Whether there is no use in another try: what is sent whole each time is not sent for ever.
    pub(crate) fn gives_up(&self) -> bool {
        self.tried >= PLAIN_TRIES
    }

    /// The same, and never goes on over a lost connection.
    ///
    /// # Errors
    /// As [`Receiver::sync`], and the connection is lost.
    pub(crate) async fn attempt(
        &mut self,
        source: &Source,
        here: &Here,
        progress: &Progress,
        after: After<'_>,
    ) -> Result<Outcome> {
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

    /// Says once what could not be set: its folders would be named after every change.
    fn note_unset(&mut self, unset: &[String]) {
        if !unset.is_empty() && !std::mem::replace(&mut self.noted, true) {
            self.session.terminal.warn(&format!(
                "{}: the container's user may not set the mode or time of {}; the content is right",
                self.pick.shown(),
                listed(unset)
            ));
        }
    }

    async fn once(
        &mut self,
        source: &Source,
        here: &Here,
        progress: &Progress,
        after: After<'_>,
    ) -> Result<Outcome> {
        let mut way = match self.open.take() {
            Some(open) => open,
            None => self.way(source, after).await?,
        };
        let inside = self.inside.clone();
        let found = match &inside {
            Some(inside) => Some((&**inside, inside.look().await?)),
            None => None,
        };
        let (source, here) =
            found.as_ref().map_or((source, here), |(inside, here)| (*inside, here));
        let outcome = match &mut way {
            Way::Agent(agent, open) => {
                match open.bring(&mut agent.talk, source, here, progress).await {
                    Ok(outcome) => outcome,
                    Err(trouble) => return Err(self.session.explain(agent.blame(trouble).await)),
                }
            }
            Way::Plain(plain) => {
                // Each transfer is a command of its own there.
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

    /// The way there. Where one file's path is a folder in the container it goes into that, as `cp`
    /// does it; a link may lead to one.
    async fn way(&mut self, source: &Source, after: After<'_>) -> Result<Way> {
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
            // No folder, after all.
            Ok(_) | Err(_) => self.way_to(source, after).await,
        }
    }

    async fn way_to(&mut self, source: &Source, after: After<'_>) -> Result<Way> {
        let session = self.session;
        if !self.alone {
            match self.begin(source, after).await {
                Ok((agent, open)) => return Ok(Way::Agent(Box::new(agent), open)),
                // Whoever asked for one of their own is told why there is none.
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
        begun.map(Way::Plain).map_err(|error| self.explained(error))
    }

    fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast::<Trouble>() {
            Ok(trouble) => self.session.explain(trouble),
            Err(error) => error,
        }
    }

    async fn begin(&self, source: &Source, after: After<'_>) -> Result<(Agent, Open)> {
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
            // Ours, perhaps, whose end the far side has not noticed yet.
            let busy = refusal(&error).is_some_and(|refusal| refusal.reason == Reason::Busy);
            if !busy || !lost || Instant::now() > until {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }
}

/// What is there when all of a plan is done.
pub(super) fn after(there: Vec<Entry>, here: &Here, delete: bool) -> Vec<Entry> {
    let stays = there.into_iter().filter(|entry| !delete || here.keeps(entry));
    let mut all: BTreeMap<Bytes, Entry> = stays.map(|entry| (entry.path.clone(), entry)).collect();
    all.extend(here.scan.entries.iter().map(|entry| (entry.path.clone(), entry.clone())));
    // By path, a folder comes before what is in it.
    all.into_values().collect()
}
