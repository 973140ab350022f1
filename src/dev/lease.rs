//! Requests in the user's name, and warnings before the end of a lease or of a workload's time.

use std::{convert::Infallible, time::Duration};

use anyhow::{Context, Result};
use tokio::time::{sleep, timeout};

use super::{
    pods::Pick,
    reach::Agent,
    session::Session,
    table::{lease_of, span},
};
use crate::{
    exit::{Failure, Topic},
    kubernetes::UNKNOWN_USER,
    status::WARNING_BEFORE_END,
};
use diyadm_agent::protocol::{Answer, By, Claim, Hello, Lease, Request, SentContent};

/// How often the ends are looked at again.
const LOOK: Duration = Duration::from_secs(5 * 60);
/// When they are looked at first: most commands in a container end earlier.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// How long an agent may take to keep what was sent.
const RECORD: Duration = Duration::from_secs(5);

impl Session<'_> {
    /// Sends a request in the user's name, which is refused if another person has the container.
    pub(crate) async fn ask_by(&self, agent: &mut Agent, request: Request) -> Result<Answer> {
        self.ask_with(agent, request, Vec::new()).await
    }

    /// The same, and says what the user has sent before.
    pub(crate) async fn ask_with(
        &self,
        agent: &mut Agent,
        request: Request,
        sent: Vec<SentContent>,
    ) -> Result<Answer> {
        self.who().await;
        let request = self.by(agent, request, sent);
        let answer = self.ask(agent, &request).await?;
        if let Answer::Started(_) = answer {
            self.claim.is_met(self.cluster.now());
        }
        Ok(answer)
    }

    /// Tells the agent of an emptied container what was sent there. Nothing else depends on it, so
    /// errors are ignored.
    pub(crate) async fn record(&self, pick: &Pick, sent: Vec<SentContent>) {
        // In a live container, this would start a supervisor.
        if pick.live.is_some() || sent.is_empty() {
            return;
        }
        let recording = async {
            if let Some(mut agent) = self.existing_agent(pick).await? {
                self.ask_with(&mut agent, Request::List, sent).await?;
            }
            anyhow::Ok(())
        };
        let _ = timeout(RECORD, recording).await;
    }

    /// The user's name for the API server; `None` if it is unknown.
    async fn who(&self) -> Option<&str> {
        let ask = async || {
            let name = self.cluster.whoami().await.ok();
            name.filter(|name| name != UNKNOWN_USER)
        };
        self.claim.who.get_or_init(ask).await.as_deref()
    }

    /// Checks that the agent keeps leases, and that the user's name is known.
    pub(crate) async fn require_leases(&self, agent: &Agent) -> Result<()> {
        let Hello { build, lease, .. } = &agent.talk.agent;
        if *lease && self.who().await.is_some() {
            return Ok(());
        }
        if *lease {
            let what = "The API server does not tell who you are (SelfSubjectReview).";
            return Err(Failure::no(
                Topic::Lease,
                what,
                "Without a name there is no lease to extend.",
            )
            .into());
        }
        let what = format!("The agent in the container is diyadm {build}, which has no leases.");
        let hint = format!("`diyadm run --upload-agent {} -- COMMAND` brings", self.target.typed);
        Err(Failure::no(Topic::AgentVersion, what, format!("{hint} that of this version.")).into())
    }

    /// A request in the user's name, if that is known and if the agent keeps leases.
    pub(crate) fn by(&self, agent: &Agent, request: Request, sent: Vec<SentContent>) -> Request {
        let (claim, for_ms) = (self.claim.claim.get(), self.claim.for_ms.get());
        let Some(Some(who)) = self.claim.who.get() else { return request };
        if agent.talk.agent.lease {
            let (who, request) = (who.clone(), Box::new(request));
            return Request::By(By { who, claim, for_ms, sent, request });
        }
        if claim != Claim::Free || for_ms.is_some() {
            self.terminal.warn(&format!(
                "the agent in the container is diyadm {}, which does not know who has it: \
                 --take-over, --share and --for have no effect",
                agent.talk.agent.build
            ));
        }
        request
    }

    /// Warns before the end of the lease of an application and before that of the workload: see
    /// [`Session::warn_of_any_end`]. `lease`: how long the lease lasts as last seen.
    pub(crate) async fn warn_of_end(
        &self,
        pick: &Pick,
        app: &str,
        lease: Option<u64>,
    ) -> Infallible {
        let lease =
            lease.map(|ms| Ending { apps: app.to_owned(), left: Duration::from_millis(ms) });
        self.warn(Some((pick, app)), lease).await
    }

    /// Warns each time that a lease in the container, or the workload, is about to end: either may be
    /// extended, or set, at any time. Never completes.
    pub(crate) async fn warn_of_any_end(&self) -> Infallible {
        sleep(FIRST_LOOK).await;
        let lease = self.ending(None).await.unwrap_or_default();
        self.warn(None, lease).await
    }

    async fn warn(&self, whose: Option<(&Pick, &str)>, mut lease: Option<Ending>) -> Infallible {
        let mut workload = self.known_left();
        let mut is_warned = false;
        loop {
            let left = lease.as_ref().map(|lease| lease.left).into_iter().chain(workload).min();
            let is_near = left.is_some_and(|left| left <= WARNING_BEFORE_END);
            if let Some(left) = left.filter(|_| is_near && !is_warned) {
                let (time, shown) = (span(millis_of(left)), &self.target.shown);
                let what = match &lease {
                    Some(Ending { apps, .. }) if workload != Some(left) => {
                        format!("{apps} will be stopped in {time}")
                    }
                    _ => format!("{shown} will be restored in {time}"),
                };
                let extend = format!("`diyadm extend {} 2h` gives it two hours", self.target.typed);
                self.terminal.warn(&format!("{what}: {extend}"));
            }
            is_warned = is_near;
            // A little later, so that less than the limit is left then.
            let until =
                left.map(|left| left.saturating_sub(WARNING_BEFORE_END) + Duration::from_secs(1));
            let wait = until.filter(|_| !is_near).map_or(LOOK, |until| until.min(LOOK));
            sleep(wait).await;
            // Without an answer, it ends as last seen.
            let passed = |left: Duration| left.saturating_sub(wait);
            lease = self.ending(whose).await.unwrap_or_else(|_| {
                lease.map(|lease| Ending { left: passed(lease.left), ..lease })
            });
            workload = self.workload_left().await.unwrap_or_else(|_| workload.map(passed));
        }
    }

    /// The lease that ends first: of an application in a container, or of any in the present one.
    ///
    /// # Errors
    /// The agent does not answer.
    async fn ending(&self, whose: Option<(&Pick, &str)>) -> Result<Option<Ending>> {
        let (pick, app) = match whose {
            Some((pick, app)) => (pick.clone(), Some(app)),
            None => (self.pick().await?, None),
        };
        // A live container has no leases, and no agent is started for it.
        if app.is_none() && pick.live.is_some() {
            return Ok(None);
        }
        let agent = self.existing_agent(&pick).await?;
        let apps = agent.context("there is no agent")?.apps().await.context("no answer")?;
        let ending = |lease: &Lease| {
            let left = Duration::from_millis(lease.left_ms?);
            Some(Ending { apps: lease.apps.join(", "), left })
        };
        Ok(match app {
            Some(app) => lease_of(&apps.leases, app).and_then(ending),
            None => apps.leases.iter().filter_map(ending).min_by_key(|ending| ending.left),
        })
    }
}

/// A lease with an end.
struct Ending {
    /// Its applications.
    apps: String,
    /// How long it lasts.
    left: Duration,
}

fn millis_of(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
