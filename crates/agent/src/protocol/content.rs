//! What a person sent into a container, in short: by its hash and its git revision.

use serde::{Deserialize, Serialize};

use super::{Bytes, Hash};

/// Maximum number of these that are kept for a container, and for an application: the newest.
pub const MOST_SENT: usize = 8;
/// Longest path and revision that are kept, in bytes.
const MOST_TEXT: usize = 512;

/// A file or a folder that was sent. The agent adds who sent it and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SentContent {
    /// Where it is in the container.
    pub path: Bytes,
    /// BLAKE3 of the file. Of a folder, BLAKE3 of a line for each file, sorted by path: its hash, two
    /// blanks and its path, as `b3sum` prints them.
    pub hash: Hash,
    /// Number of files and links in the folder; absent for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// The git commit that is checked out where it was sent from, if git knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether the working tree there differed from that commit, untracked files included.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dirty: bool,
    /// Who sent it: the person's name for the API server.
    #[serde(default)]
    pub who: String,
    /// When, by the container's clock, in milliseconds since 1970.
    #[serde(default)]
    pub at_ms: u64,
}

impl SentContent {
    /// Whether an agent keeps it.
    pub fn fits(&self) -> bool {
        let revision = self.revision.as_deref().unwrap_or_default();
        (1..=MOST_TEXT).contains(&self.path.0.len()) && revision.len() <= MOST_TEXT
    }
}
