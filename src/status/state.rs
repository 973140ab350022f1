//! How a workload stands, in the words of the board.

use serde::Serialize;

/// How a workload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Emptied, by what its pod template says.
    Empty,
    /// Emptied by its Pods alone.
    Pods,
    /// Emptied, and its emptied Pods do not start.
    Stuck,
    /// Given back, while Pods of its emptied template are still there.
    Returning,
    /// Emptied once; since then it was given something else to run.
    Drifted,
    /// Its original is cut, edited, not diyadm's, or not there.
    Untrusted,
    /// A webhook or policy sees it or its Pods, and it is not empty.
    Missed,
    /// It is not there, and something holds its place; or it holds one; or it is an autoscaler
    /// that is held in vain.
    Held,
    /// It was on the board before, and is not empty any more, or gone.
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

    /// The word on the board.
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

    /// What it says of a workload, for the docs.
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
