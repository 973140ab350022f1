//! Connects to an agent in a container: at the path that emptying uses, at other paths, or by
//! uploading one.

use std::time::Duration;

use anyhow::Result;
use tokio::time::timeout;

use super::{
    agent_start::{AgentUpload, FOLDERS, No, Started, failed},
    pods::Pick,
    trouble::Trouble,
    upload,
    wire::Conversation,
};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{Cluster, ContainerRef, End, Ending, Input},
    ui::terminal::Terminal,
};
use diyadm_agent::IN_IMAGE;
use diyadm_agent::MOUNTED;
use diyadm_agent::protocol::{Answer, Apps, Request};

pub(super) const FIND: &str = concat!(include_str!("folder.sh"), include_str!("find.sh"));
/// How long after the end of a stream its reason may arrive.
const MOMENT: Duration = Duration::from_secs(3);

/// A connected agent.
pub(crate) struct Agent {
    /// The protocol connection.
    pub(crate) talk: Conversation,
    /// Its exec, which must live as long as the connection.
    end: Ending,
}

impl Agent {
    /// Its supervisor's process; `None` if unknown.
    pub(crate) async fn apps(&mut self) -> Option<Apps> {
        match self.talk.ask(&Request::List).await {
            Ok(Answer::Apps(apps)) => Some(apps),
            _ => None,
        }
    }

    /// A lost connection with the reason from its exec.
    pub(crate) async fn blame(&mut self, trouble: Trouble) -> Trouble {
        let Trouble::Lost(why) = trouble else { return trouble };
        // It has ended, or is about to.
        match timeout(MOMENT, self.end.wait()).await {
            Ok(End::Lost(why) | End::Failed(why)) => Trouble::Lost(why),
            Ok(End::Exit(code)) => Trouble::Lost(format!("the agent's relay ended with {code}")),
            Err(_) => Trouble::Lost(why),
        }
    }
}

impl Pick {
    /// Its container, for exec.
    pub(crate) fn place(&self) -> ContainerRef {
        let Self { namespace, pod, container, .. } = self.clone();
        ContainerRef { namespace, pod, container }
    }

    /// `web-5d4/app`
    pub(crate) fn shown(&self) -> String {
        format!("{}/{}", self.pod, self.container)
    }
}

/// What was found in a container.
enum Found {
    /// A connected agent.
    Agent(Agent),
    /// No agent, but a shell; the processor, as `uname -m` prints it.
    Shell(String),
    /// Neither.
    Nothing,
}

/// Finds the agent of a container, or uploads one if `check` allows it.
///
/// # Errors
/// What the container lacks for that, an agent of another version, a broken connection.
pub(crate) async fn agent(
    cluster: &Cluster,
    pick: &Pick,
    how: &AgentUpload,
    terminal: &Terminal,
    check: impl AsyncFn() -> Result<()>,
) -> Result<Agent> {
    let search = if how.upload { Search::Processor } else { Search::Agent };
    let machine = match find(cluster, pick, search).await? {
        Found::Agent(agent) => return Ok(agent),
        Found::Shell(machine) => machine,
        Found::Nothing => return Err(no_way(pick)),
    };
    check().await?;
    let brought = upload::bring(cluster, &pick.place(), &machine, how, terminal).await?;
    let agent = begin(brought.started).await.map_err(|no| match no {
        No::Other(error) => error,
        No::Absent | No::Without(_) => no_way(pick),
    })?;
    let what = format!("uploaded the agent to {} ({} MB)", pick.pod, brought.length / 1_000_000);
    terminal.done(&what, Some(brought.began.elapsed()));
    Ok(agent)
}

/// The existing agent of a container; `None` if there is none. Uploads nothing.
///
/// # Errors
/// An agent of another version, a broken connection.
pub(crate) async fn existing(cluster: &Cluster, pick: &Pick) -> Result<Option<Agent>> {
    match find(cluster, pick, Search::Agent).await? {
        Found::Agent(agent) => Ok(Some(agent)),
        Found::Shell(_) | Found::Nothing => Ok(None),
    }
}

/// What is searched for in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    /// An agent at the path that emptying uses and at upload paths; without one, the processor.
    Agent,
    /// Only the processor.
    Processor,
}

async fn find(cluster: &Cluster, pick: &Pick, search: Search) -> Result<Found> {
    let place = pick.place();
    if pick.agent && search == Search::Agent {
        match begin(cluster.exec(&place, &[MOUNTED, "relay"], Input::Piped).await?.into()).await {
            Ok(agent) => return Ok(Found::Agent(agent)),
            Err(No::Other(error)) => return Err(error),
            Err(No::Absent | No::Without(_)) => {}
        }
    }
    let folders = if search == Search::Agent { &FOLDERS[..] } else { &[] };
    match begin(start_search(cluster, &place, folders).await?).await {
        Ok(agent) => Ok(Found::Agent(agent)),
        Err(No::Other(error)) => Err(error),
        Err(No::Without(machine)) => Ok(Found::Shell(machine)),
        // No shell: the image may still be one of diyadm's.
        Err(No::Absent) => {
            match begin(cluster.exec(&place, &[IN_IMAGE, "relay"], Input::Piped).await?.into())
                .await
            {
                Ok(agent) => Ok(Found::Agent(agent)),
                Err(No::Other(error)) => Err(error),
                Err(No::Absent | No::Without(_)) => Ok(Found::Nothing),
            }
        }
    }
}

async fn start_search(
    cluster: &Cluster,
    place: &ContainerRef,
    folders: &[&str],
) -> Result<Started> {
    let words = [&["sh", "-c", FIND, "diyadm"], folders].concat();
    Ok(cluster.exec(place, &words, Input::Piped).await?.into())
}

async fn begin(started: Started) -> Result<Agent, No> {
    let Started { reader, writer, mut end, words } = started;
    match Conversation::begin(reader, writer).await {
        Ok(talk) => Ok(Agent { talk, end }),
        Err(Trouble::Lost(why)) => match timeout(MOMENT, end.wait()).await {
            Ok(end) => Err(failed(end, words, why).await),
            // A frozen container does not answer and does not end either.
            Err(_) => Err(No::Other(Trouble::Lost(why).into())),
        },
        Err(trouble) => Err(No::Other(trouble.into())),
    }
}

fn no_way(pick: &Pick) -> anyhow::Error {
    Failure::no(
        Topic::NoAgent,
        format!(
            "Container {} of Pod {} has neither diyadm's agent nor a shell to upload it with.",
            pick.container, pick.pod
        ),
        "Empty it with `diyadm empty --idle agent`, which mounts the agent into any image.",
    )
    .into()
}
