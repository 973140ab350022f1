//! The transfer of files into a container.
//!
//! After the answer `Ready` to `Receive`, the client sends steps, and the agent answers each with
//! `Done` or `Refused`, in the order in which they finish. Steps may be sent ahead of the answers;
//! the client must read while it sends. A failed step does not affect other steps.
//!
//! A file travels in one of two ways:
//!
//! - Small ([`File::chunks`] 0): [`Op::File`], directly followed by one [`Data`] of index 0 with
//!   the whole content (none if it is empty).
//! - In chunks: [`Op::File`], then [`Hashes`] frames with [`File::chunks`] records. The agent looks
//!   for these chunks in the old file and in leftovers of interrupted transfers, and answers
//!   [`Need`]. The client sends a [`Data`] frame for each needed chunk, in order. `Done` follows; it
//!   comes at once, instead of `Need`, if the agent has all chunks.
//!
//! In both cases the file appears complete, with its mode and time, or not at all. Chunks that have
//! arrived are kept when the connection ends, and are not requested again.
//!
//! The client limits unanswered steps: at most [`MOST_FILES`] files in chunks, with at most
//! [`MOST_CHUNKS`] chunks together. Small files do not count: the agent finishes one before it
//! reads the next.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Bytes, Hash};

mod chunks;

pub use chunks::{Chunk, Data, Hashes, Need};

/// Maximum number of files in chunks with an unanswered step. The agent needs three file
/// descriptors for each.
pub const MOST_FILES: usize = 64;
/// Maximum number of chunks of one file, and of all files with an unanswered step. Each needs about
/// 150 bytes of the receiver's memory.
pub const MOST_CHUNKS: u32 = 1 << 18;
/// Longest chunk, in bytes, before compression.
pub const MOST_CHUNK: u32 = 512 << 10;
/// Longest path, in bytes (Linux's `PATH_MAX`).
pub const MOST_PATH: usize = 4096;

/// Starts a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receive {
    /// The root folder of all paths; absolute, or relative to the container's working directory.
    /// For one file it is the file's folder.
    pub root: Bytes,
    /// Create the folder and its parents if they are missing.
    #[serde(default)]
    pub create: bool,
    /// Allow [`Op::Delete`].
    #[serde(default)]
    pub delete: bool,
    /// Refuse ([`Reason::Busy`]) while another transfer with `alone` into this folder is running;
    /// used for whole folders. Two transfers of the same file are always refused.
    #[serde(default)]
    pub alone: bool,
}

/// A step. Paths are relative to the root, not empty, not absolute, and without `.` and `..`;
/// symbolic links in them are never followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Lists everything below the root as `Entries`, folders before their content.
    List {
        /// Include the hash of each file, for a sync that does not trust size and time.
        hash: bool,
        /// List only this entry, without its content. No entry if it does not exist.
        #[serde(default)]
        only: Option<Bytes>,
    },
    /// Creates a folder if it does not exist. It is writable for its owner until [`Op::Settle`].
    Folder {
        /// Where.
        path: Bytes,
        /// Permission bits, 0 to 0o777.
        mode: u32,
    },
    /// Sets mode and time of an existing entry: of a folder after all its content has arrived, of a
    /// file with the right content.
    Settle {
        /// Of what.
        path: Bytes,
        /// Permission bits, 0 to 0o777.
        mode: u32,
        /// Last change.
        mtime: Mtime,
    },
    /// Creates a symbolic link, replacing a file or link. A link that leads out of the root
    /// (absolute ones always do) is refused.
    Link {
        /// Where.
        path: Bytes,
        /// Its target.
        to: Bytes,
    },
    /// Deletes a file, a link (never its target) or an empty folder. Succeeds if it does not exist.
    Delete {
        /// What.
        path: Bytes,
    },
    /// Writes a file, replacing a file or link.
    File(File),
    /// Reads a part of a file: one [`Data`] of index 0, uncompressed, then `Done`. Fewer bytes at the
    /// end of the file. An agent of an earlier version ends the transfer as for an invalid message.
    Read {
        /// Of which.
        path: Bytes,
        /// From this byte on.
        offset: u64,
        /// Number of bytes, at most [`MOST_CHUNK`].
        length: u32,
    },
    /// Syncs the names of files in chunks to the disk; their content is synced before they get
    /// their names. The last step of a sync.
    Keep,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where.
    pub path: Bytes,
    /// Permission bits, 0 to 0o777.
    pub mode: u32,
    /// Last change.
    pub mtime: Mtime,
    /// Its length in bytes.
    pub size: u64,
    /// blake3 of the whole content; for a file in chunks, of its chunk records (hash and length, as
    /// in [`Hashes`]). Each chunk is also checked against its own hash.
    pub hash: Hash,
    /// Number of chunks; 0 for a file that follows whole without a request, of at most
    /// [`MOST_CHUNK`] bytes.
    #[serde(default)]
    pub chunks: u32,
    /// How it was cut, so that the agent can cut the old file in the same way.
    #[serde(default)]
    pub cut: Cut,
}

/// How a file is cut into chunks: FastCDC, the `v2020` of the crate `fastcdc`, without a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Minimum chunk length in bytes, except for the last chunk.
    pub min: u32,
    /// Average chunk length in bytes.
    pub avg: u32,
    /// Maximum chunk length, at most [`MOST_CHUNK`].
    pub max: u32,
}

/// Files from this length on have longer chunks.
const HUGE: u64 = 2 << 30;

impl Default for Cut {
    /// 16 KiB on average: 87 MB have about 5,000 chunks, whose list is 0.2 % of the content.
    fn default() -> Self {
        Self { min: 4 << 10, avg: 16 << 10, max: 64 << 10 }
    }
}

impl Cut {
    /// The default, except for files that would have too many chunks.
    pub fn for_size(size: u64) -> Self {
        if size > HUGE {
            Self { min: 64 << 10, avg: 256 << 10, max: 512 << 10 }
        } else {
            Self::default()
        }
    }

    /// Whether the crate `fastcdc` accepts these numbers and a frame can hold such a chunk.
    pub fn fits(self) -> bool {
        let Self { min, avg, max } = self;
        let sizes = (64..=avg).contains(&min)
            && (256..=max).contains(&avg)
            && (1024..=MOST_CHUNK).contains(&max);
        sizes && [min, avg, max].iter().all(|size| size.is_multiple_of(2))
    }
}

/// A modification time: seconds since 1970, and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mtime {
    /// Seconds.
    pub s: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub ns: u32,
}

/// An entry below the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the root.
    pub path: Bytes,
    /// What it is.
    pub what: What,
    /// Permission bits.
    pub mode: u32,
    /// Last change.
    pub mtime: Mtime,
}

/// The type of an entry below the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A file.
    File {
        /// Bytes.
        size: u64,
        /// If requested: as [`File::hash`], with the chunks of [`Cut::for_size`] its size if it is longer
        /// than 64 KiB.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<Hash>,
    },
    /// A folder.
    Folder,
    /// A symbolic link.
    Link {
        /// Its target.
        to: Bytes,
    },
    /// A leftover of an interrupted transfer. May be deleted.
    Part,
    /// A device, socket or pipe. Left alone, but may be deleted.
    Other,
}

/// Why a step was refused. Displayed as one sentence, with the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What callers match on.
    pub reason: Reason,
    /// The file; the root itself if the transfer could not be started.
    pub path: Bytes,
    /// The system's error, if it says more.
    #[serde(default)]
    pub detail: String,
}

/// The reason, for code to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The disk or the quota is full.
    NoSpace,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The container's user lacks permission.
    Denied,
    /// Another transfer is writing it.
    Busy,
    /// It would leave the root, or its path has a symbolic link.
    Outside,
    /// The content does not match its hash, since it changed while it was read. Send it again.
    Changed,
    /// It does not exist.
    Missing,
    /// A folder to delete is not empty, or an object of another type is in the way.
    InTheWay,
    /// Anything else; see the detail.
    Other,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.show();
        match self.reason {
            Reason::NoSpace => write!(f, "no space left for {path}")?,
            Reason::ReadOnly => write!(f, "{path} is on a read-only file system")?,
            Reason::Denied => write!(f, "the container's user may not write {path}")?,
            Reason::Busy => write!(f, "another sync is writing {path}")?,
            Reason::Outside => write!(f, "{path} leads out of the target folder")?,
            Reason::Changed => write!(f, "{path} changed while it was read")?,
            Reason::Missing => write!(f, "{path} does not exist")?,
            Reason::InTheWay => write!(f, "another object is in the way of {path}")?,
            Reason::Other => write!(f, "{path} could not be written")?,
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}
