//! A workload that commands work in, and repeated connections to an agent there.

use std::{cell::RefCell, time::Duration};

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{
    agent_start::AgentUpload,
    backoff::pauses,
    claim::UserClaim,
    events::Events,
    pods::{self, LiveContainers, Pick, is_not_emptied},
    reach::{self, Agent},
    target::{self, ResolvedTarget},
    trouble::{Spent, Trouble, explain, is_gone, is_lost},
};
use crate::{
    dev::flags::{AgentFlags, ContainerTarget, EventFlags, LeaseFlags},
    exit::Failure,
    kubernetes::{self, Cluster, Kind},
    ui::{terminal::Terminal, text::clause},
};
use diyadm_agent::protocol::{Answer, Apps, Request};

/// How long a Pod may take to run, including pulling images.
const START: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(300);

/// A workload and its connection.
pub(crate) struct Session<'a> {
    /// The cluster.
    pub(crate) cluster: &'a Cluster,
    /// Where progress is printed.
    pub(crate) terminal: &'a Terminal,
    /// The workload.
    pub(crate) target: ResolvedTarget,
    /// How to get an agent.
    pub(crate) how: AgentUpload,
    /// Whether the user allows a live container.
    pub(crate) live: LiveContainers,
    /// Where events go.
    pub(crate) events: Events,
    /// What the user claims of the container.
    pub(crate) claim: UserClaim,
}

impl<'a> Session<'a> {
    /// Checks the user's rights and finds the workload.
    pub(crate) async fn open(
        cluster: &'a Cluster,
        terminal: &'a Terminal,
        at: &ContainerTarget,
        rights: &[(&'static str, &'static Kind)],
    ) -> Result<Self> {
        let target = target::find(cluster, at, rights).await?;
        let live = LiveContainers::from_flag(at.inside.live);
        let (how, events, claim) = Default::default();
        Ok(Self { cluster, terminal, target, how, live, events, claim })
    }

    /// The same, with the flags for the agent.
    pub(crate) fn bringing(self, bring: &AgentFlags) -> Self {
        Self { how: AgentUpload::from_flags(bring), ..self }
    }

    /// The same, with the flags for the lease.
    pub(crate) fn claiming(self, flags: &LeaseFlags) -> Self {
        Self { claim: UserClaim::from_flags(flags), ..self }
    }

    /// The same, with events as the flag says.
    pub(crate) fn reporting(self, flags: EventFlags) -> Self {
        Self { events: Events::new(flags.output), ..self }
    }

    /// The selected container.
    pub(crate) async fn pick(&self) -> Result<Pick> {
        self.target.pick(self.cluster, self.live).await
    }

    /// [`Session::pick`] for commands that only look: of a live container, they name its own log.
    pub(crate) async fn pick_to_look(&self) -> Result<Pick> {
        let error = match self.pick().await {
            Err(error) if is_not_emptied(&error) => error,
            picked => return picked,
        };
        // By its Pod, since kubectl finds none for custom resources.
        let live = self.target.pick(self.cluster, LiveContainers::Allowed).await;
        let Ok(Pick { namespace, pod, container, .. }) = live else { return Err(error) };
        let hint = format!(
            "`kubectl logs {pod} -c {container} -n {namespace}{}` prints the output of its own \
             application; --live shows what `diyadm run --live` started there.",
            self.cluster.kubectl_flags()
        );
        Err(match error.downcast::<Failure>() {
            Ok(failure) => Failure { hint, ..failure }.into(),
            Err(error) => error,
        })
    }

    /// The selected container, as soon as one runs.
    ///
    /// # Errors
    /// None does in time, with what keeps it.
    pub(crate) async fn runs(&self) -> Result<Pick> {
        self.until(async || self.pick().await).await
    }

    /// The usable containers of all running Pods, emptied ones first. Live ones are omitted unless
    /// the user allows them. `warned`: uids of containers for which a warning was printed; `None`
    /// prints no warnings.
    pub(crate) async fn all(&self, warned: Option<&RefCell<Vec<String>>>) -> Result<Vec<Pick>> {
        let picks = self.target.all(self.cluster, self.live).await?;
        let (picks, live): (Vec<_>, Vec<_>) =
            picks.into_iter().partition(|pick| self.live.allow(pick));
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

    /// Polls until a container runs.
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

    /// The agent of the selected container.
    pub(crate) async fn agent(&self) -> Result<(Pick, Agent)> {
        let pick = self.pick().await?;
        let agent = self.agent_of(&pick).await?;
        Ok((pick, agent))
    }

    /// The agent of this container; uploaded if it has none.
    pub(crate) async fn agent_of(&self, pick: &Pick) -> Result<Agent> {
        self.check(pick).await?;
        let check = async || self.check(pick).await;
        let agent = reach::agent(self.cluster, pick, &self.how, self.terminal, check).await;
        self.reached(pick, agent).await
    }

    /// The existing agent of this container, for commands that have nothing to do without one.
    /// Uploads none.
    pub(crate) async fn existing_agent(&self, pick: &Pick) -> Result<Option<Agent>> {
        self.check(pick).await?;
        let agent = reach::existing(self.cluster, pick).await;
        self.reached(pick, agent).await
    }

    /// Checks the result of a call to an agent: a Pod of the same name may have replaced the
    /// selected one, which explains every failure.
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

    /// Checks that this container is still the one that was found and may be used. To be called
    /// right before any change.
    ///
    /// # Errors
    /// The Pod is gone or another one, or the container is live and the user does not mean that.
    pub(crate) async fn check(&self, pick: &Pick) -> Result<()> {
        let Some(now) = self.target.again(self.cluster, pick).await? else {
            let what = format!("Pod {} is gone, with everything that ran in it", pick.pod);
            return Err(self.explain(Trouble::Gone(what)));
        };
        match now.live {
            Some(runs) if self.live == LiveContainers::Refused => {
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

    /// Sends one request to an agent.
    pub(crate) async fn ask(&self, agent: &mut Agent, request: &Request) -> Result<Answer> {
        agent.talk.ask(request).await.map_err(|trouble| self.explain(trouble))
    }

    /// The applications of a container.
    pub(crate) async fn list(&self, agent: &mut Agent) -> Result<Apps> {
        match self.ask(agent, &Request::List).await? {
            Answer::Apps(apps) => Ok(apps),
            other => Err(self.unexpected(&other)),
        }
    }

    /// An agent's refusal as an error for users.
    pub(crate) fn explain(&self, trouble: Trouble) -> anyhow::Error {
        let keep = self.target.has_other_image().then(|| {
            format!("diyadm empty {} --image keep", self.target.empty_words(self.cluster, ""))
        });
        explain(trouble, &self.target.typed, keep.as_deref())
    }

    /// An unexpected answer.
    pub(crate) fn unexpected(&self, answer: &Answer) -> anyhow::Error {
        self.explain(Trouble::NoAgent(format!("unexpected answer: {answer:?}")))
    }

    /// Reconnects to the agent of the same container after a lost connection. The container may
    /// have been restarted.
    ///
    /// # Errors
    /// The Pod is gone; or the last error, when it was tried for long enough.
    pub(crate) async fn again(&self, pick: &Pick, why: &anyhow::Error) -> Result<Agent> {
        self.again_by(pick, why, async || self.agent_of(pick).await).await
    }

    /// As [`Session::again`], for any result that `reach` makes of the container.
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
        self.check(pick).await.map_err(Again::from_error)?;
        reach().await.map_err(Again::Later)
    }
}

/// Whether to retry.
enum Again {
    Later(anyhow::Error),
    Never(anyhow::Error),
}

impl Again {
    fn from_error(error: anyhow::Error) -> Self {
        // A starting API server answers 429 and 503 for a while.
        let later = is_lost(&error) || kubernetes::error::is_unknown(&error);
        if later { Self::Later(error) } else { Self::Never(error) }
    }
}

/// `--grace` in the unit of the protocol.
pub(crate) fn millis(grace: u64) -> u64 {
    u64::try_from(Duration::from_secs(grace).as_millis()).unwrap_or(u64::MAX)
}
