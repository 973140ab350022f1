//! The states of workloads in the status table.

use schemars::JsonSchema;
use serde::Serialize;

/// The state of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its pod template is emptied.
    Empty,
    /// Only its Pods are emptied.
    Pods,
    /// Emptied, and its emptied Pods do not start.
    Stuck,
    /// Restored, while Pods of its emptied template still exist.
    Returning,
    /// Emptied, but a later update set another image or command.
    Drifted,
    /// Its original is missing, cut or edited, or was not written by diyadm.
    Untrusted,
    /// A webhook or policy intercepts it or its Pods, but it is not empty.
    Missed,
    /// It does not exist and has a placeholder, or is a placeholder; or it is an autoscaler that is
    /// suspended for no reason.
    Held,
    /// It was empty before, and is restored or deleted.
    Restored,
}

impl State {
    /// Select all, the plainest first.
    pub const ALL: [Self; 9] = [
        Self::Empty,
        Self::Pods,
        Self::Stuck,
        Self::Returning,
        Self::Drifted,
        Self::Untrusted,
        Self::Missed,
        Self::Held,
        Self::Restored,
    ];

    /// Whether containers of such a workload may idle.
    pub fn is_emptied(self) -> bool {
        matches!(self, Self::Empty | Self::Pods | Self::Stuck | Self::Returning | Self::Drifted)
    }

    /// Its name in the status table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Pods => "pods",
            Self::Stuck => "stuck",
            Self::Returning => "returning",
            Self::Drifted => "drifted",
            Self::Untrusted => "untrusted",
            Self::Missed => "missed",
            Self::Held => "held",
            Self::Restored => "restored",
        }
    }

    /// Its meaning, for the docs.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Empty => "its pod template was emptied, or it is an emptied Pod",
            Self::Pods => "its own pod template is unchanged, and its Pods are empty (level `pod`)",
            Self::Stuck => {
                "it was emptied, and its emptied Pods do not start: the note says why (an old Pod \
                 may still serve)"
            }
            Self::Returning => "it is restored, and Pods of its emptied template still run",
            Self::Drifted => {
                "a later update, which no webhook intercepted, set another command or image"
            }
            Self::Untrusted => {
                "its original is missing, cut or edited, or was not written by diyadm \
                 (`--force-from FILE`)"
            }
            Self::Missed => "it is older than the webhook or policy that would empty it",
            Self::Held => {
                "a command was interrupted while it recreated an object, or an autoscaler is \
                 suspended although its workload is not empty"
            }
            Self::Restored => "with `--watch`: it is no longer empty",
        }
    }
}
