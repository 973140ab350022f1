//! Errors between the local side and a container, for code to branch on.

use std::fmt;

use anyhow::Error;

use super::claim::held;
use crate::{
    exit::{Code, Failure, Topic},
    kubernetes,
    ui::text::capital,
};
use diyadm_agent::protocol::{Broken, Failed, Hello, transfer::Refusal};

/// An error of a connection to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The connection ended; the request may have been executed. Worth a retry.
    Lost(String),
    /// The Pod, or the processes in its container, are gone; the text says which.
    Gone(String),
    /// The peer is not an agent.
    NoAgent(String),
    /// An agent with another version.
    Mismatch(Hello),
    /// The agent refused the request.
    Failed(Box<Failed>),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(why) => write!(f, "the connection to the container was lost: {why}"),
            Self::Gone(what) => f.write_str(what),
            Self::NoAgent(why) => write!(f, "no agent answers in the container: {why}"),
            Self::Mismatch(hello) => Failed::Mismatch(hello.clone()).fmt(f),
            Self::Failed(failed) => failed.fmt(f),
        }
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    /// A request that no agent would accept.
    pub(super) fn too_long(broken: &Broken) -> Self {
        Failed::Malformed { what: broken.to_string() }.into()
    }
}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Mismatch(hello) => Self::Mismatch(hello),
            failed => Self::Failed(Box::new(failed)),
        }
    }
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Self::NoAgent(broken.to_string())
    }
}

/// The cause of a failed upload of an agent into a container that has a shell. Some things work
/// without an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoAgentThere;

impl fmt::Display for NoAgentThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no agent can be uploaded")
    }
}

impl std::error::Error for NoAgentThere {}

/// Whether no agent can be uploaded although there is a shell.
pub(crate) fn is_without_agent(error: &Error) -> bool {
    error.chain().any(|cause| {
        let failure = cause.downcast_ref::<Failure>().and_then(|failure| failure.cause.as_ref());
        failure.is_some_and(|cause| cause.is::<NoAgentThere>())
    })
}

/// Whether a retry may succeed: the connection broke, or the API server does not answer.
pub(crate) fn is_lost(error: &Error) -> bool {
    matches!(trouble(error), Some(Trouble::Lost(_))) || kubernetes::error::is_lost(error)
}

/// The context of an error that persists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent;

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("diyadm retried for two minutes")
    }
}

/// Whether retries took long enough.
pub(crate) fn is_spent(error: &Error) -> bool {
    error.downcast_ref::<Spent>().is_some()
}

/// Whether the Pod, or the processes in its container, are gone.
pub(crate) fn is_gone(error: &Error) -> bool {
    matches!(trouble(error), Some(Trouble::Gone(_)))
}

/// Why a transfer was refused, if it was.
pub(crate) fn refusal(error: &Error) -> Option<&Refusal> {
    match trouble(error)? {
        Trouble::Failed(failed) => match &**failed {
            Failed::Refused(refusal) => Some(refusal),
            _ => None,
        },
        _ => None,
    }
}

fn trouble(error: &Error) -> Option<&Trouble> {
    error.chain().find_map(|cause| {
        let failure = cause.downcast_ref::<Failure>().and_then(|failure| failure.cause.as_ref());
        cause.downcast_ref().or_else(|| failure?.downcast_ref())
    })
}

/// The agent's code for a program that does not exist, as of a shell.
const NO_PROGRAM: u8 = 127;

/// A refusal as an error with a hint. `target`: [`super::target::ResolvedTarget::typed`]; `keep` is
/// the command that empties it with its own image, if it has another one.
pub(crate) fn explain(trouble: Trouble, target: &str, keep: Option<&str>) -> Error {
    let mut code = Code::No;
    let what = match &trouble {
        // These begin with a name, whose case must not change.
        Trouble::Failed(failed) => match &**failed {
            Failed::Runs(app) => format!("{} already runs (pid {}).", app.name, app.pid),
            Failed::Held(lease) => format!("{}.", held(lease)),
            Failed::Spawn { why, code: status } => {
                code = Code::Program(*status);
                format!("It could not be started: {why}.")
            }
            other => format!("{}.", capital(&other.to_string())),
        },
        other => format!("{}.", capital(&other.to_string())),
    };
    let hint = match &trouble {
        Trouble::Failed(failed) => match &**failed {
            Failed::Runs(app) => format!(
                "Use --replace to stop it first, or `diyadm logs -f {target} {}` to follow its \
                 output.",
                app.name
            ),
            Failed::Held(_) => {
                "Use --take-over to stop what runs there first; `diyadm run --share` \
                                starts another application in the same container."
                    .into()
            }
            Failed::Unknown { .. } => format!("`diyadm ps {target}` shows what runs there."),
            Failed::Spawn { code: NO_PROGRAM, .. } if let Some(keep) = keep => format!(
                "It runs another image than the workload's own. If that has the program, use it: \
                 `{keep}`."
            ),
            Failed::Spawn { .. } => format!("Run `diyadm shell {target}` to look around there."),
            Failed::NoSupervisor { .. } => {
                "Empty it with `diyadm empty --idle agent`, which mounts a folder for it.".into()
            }
            _ => String::new(),
        },
        Trouble::Mismatch(own) => {
            let Hello { build, protocol, .. } = Hello::own();
            return Failure::no(
                Topic::AgentVersion,
                format!(
                    "The agent in the container is diyadm {} (protocol {}), and this is diyadm \
                     {build} (protocol {protocol}).",
                    own.build, own.protocol
                ),
                format!(
                    "Use diyadm {}, or upload the agent of this version: `diyadm run \
                     --upload-agent {target} \
                     -- COMMAND`.",
                    own.build
                ),
            )
            .because(trouble)
            .into();
        }
        Trouble::Lost(_) => return Failure::unreachable(what, "").because(trouble).into(),
        Trouble::Gone(_) => format!("`diyadm ps {target}` shows what runs there now."),
        Trouble::NoAgent(_) => String::new(),
    };
    let topic = match &trouble {
        Trouble::Gone(_) => Topic::Replaced,
        Trouble::NoAgent(_) => Topic::NoAgent,
        Trouble::Failed(failed) => match &**failed {
            Failed::Held(_) => Topic::Held,
            Failed::Spawn { .. } => Topic::NoProgram,
            Failed::Runs(_) | Failed::Busy { .. } => Topic::AlreadyRuns,
            Failed::Unknown { .. } => Topic::NothingStarted,
            Failed::Refused(_) => Topic::Transfer,
            Failed::NoSupervisor { .. } => Topic::NoAgent,
            Failed::Mismatch(_) | Failed::Malformed { .. } => Topic::AgentVersion,
        },
        Trouble::Mismatch(_) => Topic::AgentVersion,
        Trouble::Lost(_) => Topic::Unreachable,
    };
    Failure { code, ..Failure::no(topic, what, hint) }.because(trouble).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;

    #[test]
    fn missing_program_in_another_image_hints_at_the_own_one() {
        let missing = |code| Failed::Spawn { why: "java could not be started".to_owned(), code };
        let keep = "diyadm empty deploy/web --image keep";
        for (code, keep, expected) in [
            (127, Some(keep), "`diyadm empty deploy/web --image keep`"),
            (127, None, "diyadm shell deploy/web"),
            (126, Some(keep), "diyadm shell deploy/web"),
        ] {
            let error = explain(missing(code).into(), "deploy/web", keep);
            assert!(exit::hint(&error).unwrap().contains(expected), "{code}");
            assert_eq!(exit::code(&error), Code::Program(code));
        }
    }
}
