//! Starts an agent in a container: the options, the agent's first message, and the reasons why
//! there is none.

use std::path::PathBuf;

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    task::JoinHandle,
};

use super::{
    flags::AgentFlags,
    trouble::{NoAgentThere, Trouble},
    wire::{Reader, Writer},
};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{End, Ending, Exec},
};

/// Folders to upload the agent to, which are writable in most images. `~` is the home of the
/// container's user; the last one is the working directory. The agent gets its own folder below.
pub(super) const FOLDERS: [&str; 7] = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/opt", "~", "."];
/// Maximum bytes of a program's stderr in an error message.
const MOST_WORDS: u64 = 4 << 10;

/// How to get an agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct AgentUpload {
    /// Upload this program's agent, even if there is one.
    pub(crate) upload: bool,
    /// Upload this file if an agent must be uploaded.
    pub(crate) program: Option<PathBuf>,
}

impl AgentUpload {
    /// The options from the flags.
    pub(crate) fn from_flags(bring: &AgentFlags) -> Self {
        Self { upload: bring.upload_agent, program: bring.agent_program.clone() }
    }
}

/// A running command whose stdout carries the protocol and whose stderr explains failures.
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

/// Reads to the end, so that the command never blocks, and keeps the beginning.
async fn words(from: impl AsyncRead + Unpin) -> String {
    let mut said = Vec::new();
    let mut some = from.take(MOST_WORDS);
    // The output before an error is still useful.
    let _ = some.read_to_end(&mut said).await;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    let _ = tokio::io::copy(&mut some.into_inner(), &mut tokio::io::sink()).await;
    said
}

/// How find.sh ends where there is no agent; its last word is the processor.
const WITHOUT_AGENT: i32 = 72;

/// Why no agent answers.
pub(super) enum No {
    /// The program does not exist.
    Absent,
    /// A shell found no agent; the processor, as `uname -m` prints it.
    Without(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl No {
    /// The same, for a container that has a shell.
    pub(super) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Other(error) => error,
            Self::Absent | Self::Without(_) => {
                Trouble::NoAgent("the shell of the container is gone".to_owned()).into()
            }
        }
    }
}

/// Classifies the end of a command that sent no hello.
pub(super) async fn failed(end: End, words: JoinHandle<String>, why: String) -> No {
    let said = words.await.unwrap_or_default();
    match end {
        End::Exit(WITHOUT_AGENT) => {
            let machine = said.split_whitespace().last().unwrap_or_default();
            No::Without(machine.to_owned())
        }
        // Exit codes of shells and runtimes for a program that cannot be run.
        End::Exit(126 | 127) => No::Absent,
        End::Failed(what) if is_absent(&what) => No::Absent,
        End::Failed(what) => No::Other(Trouble::NoAgent(what).into()),
        End::Exit(73) => No::Other(
            Failure::no(
                Topic::NoAgent,
                "No folder of the container is both writable and allows programs to run.",
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

/// Whether a runtime (runc, crun, youki) reports a missing program.
pub(super) fn is_absent(what: &str) -> bool {
    let what = what.to_lowercase();
    let words = ["not found in", "no such file", "permission denied", "a directory"];
    what.contains("exec") && words.iter().any(|word| what.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_program_is_recognized_in_runtime_errors() {
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
