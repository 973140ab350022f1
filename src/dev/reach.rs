//! The way to an agent in a container: where emptying has put it, else wherever one is, else
//! brought there now.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    task::JoinHandle,
    time::timeout,
};

use super::{
    pods::Pick,
    trouble::{NoAgentThere, Trouble},
    upload,
    wire::{Conversation, Reader, Writer},
};
use crate::{
    dev::flags::AgentFlags,
    exit::Failure,
    kubernetes::{Cluster, End, Ending, Exec, Input, Place},
    ui::terminal::Terminal,
};
use diyadm_agent::IN_IMAGE;
use diyadm_agent::MOUNTED;
use diyadm_agent::protocol::{Answer, Apps, Request};

/// Where it may be brought to: folders that images tend to have writable; `~` is the home of the
/// container's user, the last its working directory. It gets a folder of its own in there.
pub(super) const FOLDERS: [&str; 7] = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/opt", "~", "."];
pub(super) const FIND: &str = concat!(include_str!("folder.sh"), include_str!("find.sh"));
/// What a program says on stderr at the most, for an error's text.
const MOST_WORDS: u64 = 4 << 10;
/// From the end of a stream to the word why.
const MOMENT: Duration = Duration::from_secs(3);

/// How an agent is to be had.
#[derive(Clone, Debug, Default)]
pub(crate) struct How {
    /// AgentFlags this program's own, whatever is there.
    pub(crate) upload: bool,
    /// AgentFlags this file, where one must be brought.
    pub(crate) program: Option<PathBuf>,
}

impl How {
    /// As the flags say.
    pub(crate) fn of(bring: &AgentFlags) -> Self {
        Self { upload: bring.upload_agent, program: bring.agent_program.clone() }
    }
}

/// An agent that answers.
pub(crate) struct Agent {
    /// The conversation with it.
    pub(crate) talk: Conversation,
    /// Its exec, which must live as long.
    end: Ending,
}

impl Agent {
    /// What it supervises; `None` where it does not tell.
    pub(crate) async fn apps(&mut self) -> Option<Apps> {
        match self.talk.ask(&Request::List).await {
            Ok(Answer::Apps(apps)) => Some(apps),
            _ => None,
        }
    }

    /// A lost connection, with what its exec says of it.
    pub(crate) async fn blame(&mut self, trouble: Trouble) -> Trouble {
        let Trouble::Lost(why) = trouble else { return trouble };
        // It ended already, or is about to.
        match timeout(MOMENT, self.end.wait()).await {
            Ok(End::Lost(why) | End::Failed(why)) => Trouble::Lost(why),
            Ok(End::Exit(code)) => Trouble::Lost(format!("the agent's relay ended with {code}")),
            Err(_) => Trouble::Lost(why),
        }
    }
}

impl Pick {
    /// Where it is, for exec.
    pub(crate) fn place(&self) -> Place {
        let Self { namespace, pod, container, .. } = self.clone();
        Place { namespace, pod, container }
    }

    /// `web-5d4/app`
    pub(crate) fn shown(&self) -> String {
        format!("{}/{}", self.pod, self.container)
    }
}

/// A command that speaks, or says why it cannot.
pub(super) struct Started {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) end: Ending,
    pub(super) words: JoinHandle<String>,
}

impl From<Exec> for Started {
    fn from(exec: Exec) -> Self {
        let Exec { stdin, stdout, stderr, end, .. } = exec;
        let words = tokio::spawn(words(stderr));
        Self { reader: Reader::new(stdout), writer: Writer::new(stdin), end, words }
    }
}

/// Reads to the end, so that the far end never waits, and keeps the beginning.
async fn words(from: impl AsyncRead + Unpin) -> String {
    let mut said = Vec::new();
    let mut some = from.take(MOST_WORDS);
    // What was heard until an error is as good.
    let _ = some.read_to_end(&mut said).await;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    let _ = tokio::io::copy(&mut some.into_inner(), &mut tokio::io::sink()).await;
    said
}

/// Why no agent answers.
pub(super) enum No {
    /// There is no such program.
    Absent,
    /// A shell looked and found none; the processor, as `uname -m` names it.
    Without(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl No {
    /// The same, of a shell that is there.
    pub(super) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Other(error) => error,
            Self::Absent | Self::Without(_) => {
                Trouble::NoAgent("the shell of the container has gone".to_owned()).into()
            }
        }
    }
}

/// What is in a container.
enum Found {
    /// An agent that answers.
    Agent(Agent),
    /// No agent, but a shell; the processor, as `uname -m` names it.
    Shell(String),
    /// Neither.
    Nothing,
}

/// Finds the agent of a container, or brings one, if `check` still allows that.
///
/// # Errors
/// What the container lacks for that, an agent of another version, a broken connection.
pub(crate) async fn agent(
    cluster: &Cluster,
    pick: &Pick,
    how: &How,
    terminal: &Terminal,
    check: impl AsyncFn() -> Result<()>,
) -> Result<Agent> {
    let machine = match find(cluster, pick, how.upload).await? {
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
    let what = format!("brought the agent into {} ({} MB)", pick.pod, brought.length / 1_000_000);
    terminal.done(&what, Some(brought.began.elapsed()));
    Ok(agent)
}

/// The agent that is in a container already; `None` where there is none. Brings nothing.
///
/// # Errors
/// An agent of another version, a broken connection.
pub(crate) async fn existing(cluster: &Cluster, pick: &Pick) -> Result<Option<Agent>> {
    match find(cluster, pick, false).await? {
        Found::Agent(agent) => Ok(Some(agent)),
        Found::Shell(_) | Found::Nothing => Ok(None),
    }
}

/// Looks for an agent where emptying puts it and where one may have been brought; with `none` only
/// for the processor, as if there were none.
async fn find(cluster: &Cluster, pick: &Pick, none: bool) -> Result<Found> {
    let place = pick.place();
    if pick.agent && !none {
        match begin(cluster.exec(&place, &[MOUNTED, "relay"], Input::Piped).await?.into()).await {
            Ok(agent) => return Ok(Found::Agent(agent)),
            Err(No::Other(error)) => return Err(error),
            Err(No::Absent | No::Without(_)) => {}
        }
    }
    let folders = if none { &[][..] } else { &FOLDERS };
    match begin(look(cluster, &place, folders).await?).await {
        Ok(agent) => Ok(Found::Agent(agent)),
        Err(No::Other(error)) => Err(error),
        Err(No::Without(machine)) => Ok(Found::Shell(machine)),
        // No shell: the image may still be diyadm's own.
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

async fn look(cluster: &Cluster, place: &Place, folders: &[&str]) -> Result<Started> {
    let words = [&["sh", "-c", FIND, "diyadm"], folders].concat();
    Ok(cluster.exec(place, &words, Input::Piped).await?.into())
}

async fn begin(started: Started) -> Result<Agent, No> {
    let Started { reader, writer, mut end, words } = started;
    match Conversation::begin(reader, writer).await {
        Ok(talk) => Ok(Agent { talk, end }),
        Err(Trouble::Lost(why)) => match timeout(MOMENT, end.wait()).await {
            Ok(end) => Err(failed(end, words, why).await),
            // A container that is frozen says nothing, and does not end either.
            Err(_) => Err(No::Other(Trouble::Lost(why).into())),
        },
        Err(trouble) => Err(No::Other(trouble.into())),
    }
}

/// What the end of a command that said no hello means.
pub(super) async fn failed(end: End, words: JoinHandle<String>, why: String) -> No {
    let said = words.await.unwrap_or_default();
    match end {
        End::Exit(127) if said.contains("diyadm: no agent") => {
            let machine = said.rsplit(' ').next().unwrap_or_default();
            No::Without(machine.to_owned())
        }
        // The shell's and the runtime's codes for what cannot be run.
        End::Exit(126 | 127) => No::Absent,
        End::Failed(what) if is_absent(&what) => No::Absent,
        End::Failed(what) => No::Other(Trouble::NoAgent(what).into()),
        End::Exit(73) => No::Other(
            Failure::no(
                "The container has no folder that one may write to and run programs from.",
                "Empty it with `diyadm empty --idle agent`, which mounts one with the agent in it.",
            )
            .because(NoAgentThere)
            .into(),
        ),
        End::Exit(code) => {
            let said = if said.is_empty() { why } else { said };
            No::Other(Trouble::NoAgent(format!("exit {code}: {said}")).into())
        }
        End::Lost(why) => No::Other(Trouble::Lost(why).into()),
    }
}

/// Whether a runtime (runc, crun, youki) says that there is no such program.
pub(super) fn is_absent(what: &str) -> bool {
    let what = what.to_lowercase();
    let words = ["not found in", "no such file", "permission denied", "a directory"];
    what.contains("exec") && words.iter().any(|word| what.contains(word))
}

fn no_way(pick: &Pick) -> anyhow::Error {
    Failure::no(
        format!(
            "Container {} of Pod {} has neither diyadm's agent nor a shell to bring it with.",
            pick.container, pick.pod
        ),
        "Empty it with `diyadm empty --idle agent`, which mounts the agent into any image.",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_say_that_a_program_is_absent() {
        for what in [
            "error executing command in container: failed to exec in container: failed to start exec \"9\": OCI runtime exec failed: exec failed: unable to start container process: exec: \"sh\": executable file not found in $PATH: unknown",
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"/.diyadm/diyadm-agent\": stat /.diyadm/diyadm-agent: no such file or directory: unknown",
            "command terminated with exit code: crun: executable file `sh` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found",
            "exec failed: exec: \"/diyadm-agent\": permission denied",
            "exec failed: exec: \"/diyadm-agent\": is a directory",
        ] {
            assert!(is_absent(what), "{what}");
        }
        assert!(!is_absent("container not found (\"app\")"));
        assert!(!is_absent("failed to exec in container: container is in CONTAINER_EXITED state"));
    }
}
