//! A workload that commands work in: how to come to an agent there, again and again.

use std::{cell::RefCell, time::Duration};

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{
    agent_start::How,
    backoff::pauses,
    pods::{self, Pick, is_not_emptied},
    reach::{self, Agent},
    target::{self, Target},
    trouble::{Spent, Trouble, explain, is_gone, is_lost},
};
use crate::{
    dev::flags::{AgentFlags, ContainerTarget},
    exit::Failure,
    kubernetes::{self, Cluster, Kind},
    ui::{terminal::Terminal, text::clause},
};
use diyadm_agent::protocol::{Answer, Apps, Request};

/// How long a Pod may take to run: images are pulled.
const START: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(300);

/// A workload, and the way there.
pub(crate) struct Session<'a> {
    /// The cluster.
    pub(crate) cluster: &'a Cluster,
    /// Where progress is told.
    pub(crate) terminal: &'a Terminal,
    /// The workload.
    pub(crate) target: Target,
    /// How an agent is to be had.
    pub(crate) how: How,
    /// Whether the user means a live container.
    pub(crate) live: bool,
}

impl<'a> Session<'a> {
    /// Asks whether the user may, and looks the workload up.
    pub(crate) async fn open(
        cluster: &'a Cluster,
        terminal: &'a Terminal,
        at: &ContainerTarget,
        rights: &[(&'static str, &'static Kind)],
    ) -> Result<Self> {
        let target = target::find(cluster, at, rights).await?;
        Ok(Self { cluster, terminal, target, how: How::default(), live: at.inside.live })
    }

    /// The same, with an agent that is to be had as the flags say.
    pub(crate) fn bringing(self, bring: &AgentFlags) -> Self {
        Self { how: How::of(bring), ..self }
    }

    /// The container that is meant.
    pub(crate) async fn pick(&self) -> Result<Pick> {
        self.target.pick(self.cluster, self.live).await
    }

    /// The container that is meant, as soon as one runs.
    ///
    /// # Errors
    /// None does in time, with what keeps it.
    pub(crate) async fn runs(&self) -> Result<Pick> {
        self.until(async || self.pick().await).await
    }

    /// The containers of all Pods that run and may be worked in, the emptied ones first. Live ones
    /// are left out where the user does not mean them. `warned`: uids of those that a warning has
    /// named; `None` warns of none.
    pub(crate) async fn all(&self, warned: Option<&RefCell<Vec<String>>>) -> Result<Vec<Pick>> {
        let picks = self.target.all(self.cluster, self.live).await?;
        let (picks, live): (Vec<_>, Vec<_>) =
            picks.into_iter().partition(|pick| self.live || pick.live.is_none());
        for Pick { uid, container, pod, live, .. } in live {
            let Some(warned) = warned else { break };
            let mut warned = warned.borrow_mut();
            if !warned.contains(&uid) {
                warned.push(uid);
                let runs = live.unwrap_or_default();
                self.terminal.warn(&format!(
                    "container {container} of Pod {pod} was not emptied and is left alone: its PID \
                     1 is {runs}"
                ));
            }
        }
        Ok(picks)
    }

    /// [`Session::all`], as soon as one runs.
    ///
    /// # Errors
    /// As [`Session::runs`].
    pub(crate) async fn all_run(&self, warned: Option<&RefCell<Vec<String>>>) -> Result<Vec<Pick>> {
        self.until(async || self.all(warned).await).await
    }

    /// Looks again and again, until something runs.
    async fn until<T>(&self, look: impl AsyncFn() -> Result<T>) -> Result<T> {
        let until = Instant::now() + START;
        let mut wait = self.terminal.wait();
        loop {
            let error = match look().await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let later = is_lost(&error) || error.downcast_ref().is_some_and(Failure::is_no);
            if !later || is_not_emptied(&error) || Instant::now() > until {
                return Err(error);
            }
            wait.say(&clause(&error));
            sleep(PAUSE).await;
        }
    }

    /// The agent of the container that is meant.
    pub(crate) async fn agent(&self) -> Result<(Pick, Agent)> {
        let pick = self.pick().await?;
        let agent = self.agent_of(&pick).await?;
        Ok((pick, agent))
    }

    /// The agent of this container, brought there where it has none.
    pub(crate) async fn agent_of(&self, pick: &Pick) -> Result<Agent> {
        self.check(pick).await?;
        let check = async || self.check(pick).await;
        let agent = reach::agent(self.cluster, pick, &self.how, self.terminal, check).await;
        self.reached(pick, agent).await
    }

    /// The agent that is in this container already, for what has nothing to do without one. Brings
    /// none.
    pub(crate) async fn existing_agent(&self, pick: &Pick) -> Result<Option<Agent>> {
        self.check(pick).await?;
        let agent = reach::existing(self.cluster, pick).await;
        self.reached(pick, agent).await
    }

    /// What calling an agent came to, if that was in the container that was meant: a Pod of the
    /// same name may have taken its place meanwhile. That it is gone explains every failure.
    async fn reached<T>(&self, pick: &Pick, outcome: Result<T>) -> Result<T> {
        let now = self.check(pick).await;
        match outcome {
            Ok(reached) => now.map(|()| reached),
            Err(error) => match now {
                Err(gone) if is_gone(&gone) => Err(gone),
                _ => Err(self.explained(error)),
            },
        }
    }

    /// Looks whether this container is still the one that was found, and may be worked in. To be
    /// asked right before anything is done there.
    ///
    /// # Errors
    /// The Pod is gone or another one, or the container is live and the user does not mean that.
    pub(crate) async fn check(&self, pick: &Pick) -> Result<()> {
        let Some(now) = self.target.again(self.cluster, pick).await? else {
            let what = format!("Pod {} is gone, with everything that ran in it", pick.pod);
            return Err(self.explain(Trouble::Gone(what)));
        };
        match now.live {
            Some(runs) if !self.live => {
                let empty = self.target.empty_words(self.cluster, &format!("pod/{}", pick.pod));
                Err(pods::not_emptied(pick, &runs, &empty).into())
            }
            _ => Ok(()),
        }
    }

    fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast::<Trouble>() {
            Ok(trouble) => self.explain(trouble),
            Err(error) => error,
        }
    }

    /// Asks one thing of an agent.
    pub(crate) async fn ask(&self, agent: &mut Agent, request: &Request) -> Result<Answer> {
        agent.talk.ask(request).await.map_err(|trouble| self.explain(trouble))
    }

    /// What runs and ran in a container.
    pub(crate) async fn list(&self, agent: &mut Agent) -> Result<Apps> {
        match self.ask(agent, &Request::List).await? {
            Answer::Apps(apps) => Ok(apps),
            other => Err(self.unexpected(&other)),
        }
    }

    /// An agent's refusal, for people.
    pub(crate) fn explain(&self, trouble: Trouble) -> anyhow::Error {
        explain(trouble, &self.target.shown)
    }

    /// An answer to another question.
    pub(crate) fn unexpected(&self, answer: &Answer) -> anyhow::Error {
        self.explain(Trouble::NoAgent(format!("unexpected answer: {answer:?}")))
    }

    /// The agent of the same container, after the connection was lost. The container may have
    /// been restarted meanwhile.
    ///
    /// # Errors
    /// The Pod is gone; or the last error, when it was tried for long enough.
    pub(crate) async fn again(&self, pick: &Pick, why: &anyhow::Error) -> Result<Agent> {
        self.again_by(pick, why, async || self.agent_of(pick).await).await
    }

    /// As [`Session::again`], for whatever `reach` makes of the container.
    pub(crate) async fn again_by<T>(
        &self,
        pick: &Pick,
        why: &anyhow::Error,
        reach: impl AsyncFn() -> Result<T>,
    ) -> Result<T> {
        self.terminal.warn(&format!("{}; trying again", clause(why)));
        let mut pauses_left = pauses();
        loop {
            let error = match self.same(pick, &reach).await {
                Ok(reached) => {
                    self.terminal.done("connected again", None);
                    return Ok(reached);
                }
                Err(Again::Never(error)) => return Err(error),
                Err(Again::Later(error)) => error,
            };
            match pauses_left.next() {
                Some(pause) => sleep(pause).await,
                None => return Err(error.context(Spent)),
            }
        }
    }

    async fn same<T>(&self, pick: &Pick, reach: &impl AsyncFn() -> Result<T>) -> Result<T, Again> {
        self.check(pick).await.map_err(Again::of)?;
        reach().await.map_err(Again::Later)
    }
}

/// Whether to try once more.
enum Again {
    Later(anyhow::Error),
    Never(anyhow::Error),
}

impl Again {
    fn of(error: anyhow::Error) -> Self {
        // One that starts answers 429 and 503 for a while.
        let later = is_lost(&error) || kubernetes::error::is_unknown(&error);
        if later { Self::Later(error) } else { Self::Never(error) }
    }
}

/// `--grace` as the protocol has it.
pub(crate) fn millis(grace: u64) -> u64 {
    u64::try_from(Duration::from_secs(grace).as_millis()).unwrap_or(u64::MAX)
}
