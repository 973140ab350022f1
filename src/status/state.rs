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
    /// All of them, the plainest first.
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
            Self::Empty => "its pod template was emptied, or it is a Pod that was",
            Self::Pods => "it stays as it is written, and its Pods are empty (level `pod`)",
            Self::Stuck => {
                "it was emptied, and its emptied Pods do not start: the note says why (a Pod of \
                 before may still serve)"
            }
            Self::Returning => "it was given back, and Pods of its emptied template still idle",
            Self::Drifted => "a later update, which no webhook saw, gave it something to run",
            Self::Untrusted => {
                "its original is cut, edited or not diyadm's (`--force-from FILE`), or not there"
            }
            Self::Missed => "something empties what is written here, and it was here before that",
            Self::Held => {
                "a command was cut off while it deleted one and created it again, or an autoscaler \
                 is held though nothing is empty"
            }
            Self::Restored => "with `--watch`: it was on the board, and is not any more",
        }
    }
}
