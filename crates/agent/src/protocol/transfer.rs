//! The transfer of files into a container.
//!
//! After `Receive` is answered with `Ready`, the client sends steps and the agent answers each
//! with `Done` or `Refused`, in the order it ends them. Steps may be sent ahead of the answers;
//! the client must read while it sends. A step that fails leaves the others alone.
//!
//! A file travels in one of two ways:
//!
//! - Small ([`File::chunks`] 0): [`Op::File`], then at once one [`Data`] of index 0 with all of
//!   it (none where it is empty).
//! - In chunks: [`Op::File`], then [`Hashes`] frames until [`File::chunks`] records are there. The
//!   agent looks what it has of them (in the file that is to be replaced, in what an interrupted
//!   transfer left) and answers [`Need`]. The client sends a [`Data`] frame for each chunk needed,
//!   in their order. Then comes `Done`; at once, in place of `Need`, where everything is here.
//!
//! Either way the file appears whole, with its mode and time, or not at all. What arrived of a
//! file in chunks is kept when the connection ends, and is not asked for again.
//!
//! The client bounds what is under way: at most [`MOST_FILES`] files in chunks, and together
//! [`MOST_CHUNKS`] chunks, whose step is not answered yet. Small files are not counted: the agent
//! is done with one before it reads the next.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Bytes, Hash};

mod chunks;

pub use chunks::{Chunk, Data, Hashes, Need};

/// Most files in chunks under way. The agent holds three of its file descriptors open for each.
pub const MOST_FILES: usize = 64;
/// Most chunks of one file, and of all files under way together. About 150 bytes each in the
/// receiver's memory.
pub const MOST_CHUNKS: u32 = 1 << 18;
/// Longest chunk, in bytes, before compression.
pub const MOST_CHUNK: u32 = 512 << 10;
/// Longest path, in bytes (Linux's `PATH_MAX`).
pub const MOST_PATH: usize = 4096;

/// Begins a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receive {
    /// The folder that every path is below; absolute, or relative to the container's working
    /// directory. For one file it is the file's folder.
    pub root: Bytes,
    /// Make the folder, and those above it, where it is missing.
    #[serde(default)]
    pub create: bool,
    /// Allow [`Op::Delete`].
    #[serde(default)]
    pub delete: bool,
    /// Refuse ([`Reason::Busy`]) while another transfer with `alone` into this folder is under
    /// way: for whole folders. Two transfers of the same file are refused in any case.
    #[serde(default)]
    pub alone: bool,
}

/// A step. Paths are relative to the root: neither empty, nor absolute, nor with `.` or `..`;
/// a symbolic link on the way is never followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Everything below the root, as `Entries`, folders before what is in them.
    List {
        /// With the hash of each file: for a sync that does not trust size and time.
        hash: bool,
        /// This one alone, and not what is below it. Nothing there is no entry.
        #[serde(default)]
        only: Option<Bytes>,
    },
    /// Makes a folder where there is none. It is writable for its owner until [`Op::Settle`].
    Folder {
        /// Where.
        path: Bytes,
        /// Permission bits, 0 to 0o777.
        mode: u32,
    },
    /// Sets mode and time of what is there: of a folder when all that it holds is there, of a
    /// file whose content is right.
    Settle {
        /// Of what.
        path: Bytes,
        /// Permission bits, 0 to 0o777.
        mode: u32,
        /// Last change.
        mtime: Mtime,
    },
    /// Makes a symbolic link, in place of a file or link. One that leads out of the root (an
    /// absolute one always does) is refused.
    Link {
        /// Where.
        path: Bytes,
        /// What it says.
        to: Bytes,
    },
    /// Deletes a file, a link (never what it leads to) or an empty folder. Nothing there is fine.
    Delete {
        /// What.
        path: Bytes,
    },
    /// Writes a file, in place of a file or link.
    File(File),
    /// Brings the names of the files in chunks that were written to the disk; their content is
    /// there before they have their names. The last step of a sync.
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
    /// blake3 of all of it; of a file in chunks that of their names, each hash and length as in
    /// [`Hashes`]. Every chunk is held against its own.
    pub hash: Hash,
    /// How many chunks; 0 for one that follows whole and unasked, of at most [`MOST_CHUNK`].
    #[serde(default)]
    pub chunks: u32,
    /// How it was cut, for the agent to cut the old file alike.
    #[serde(default)]
    pub cut: Cut,
}

/// How a file is cut into chunks: FastCDC, the `v2020` of the crate `fastcdc`, without a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Shortest chunk, in bytes, but for the last.
    pub min: u32,
    /// What chunks tend to.
    pub avg: u32,
    /// Longest chunk, at most [`MOST_CHUNK`].
    pub max: u32,
}

/// From here on a file has longer chunks.
const HUGE: u64 = 2 << 30;

impl Default for Cut {
    /// 16 KiB on average: 87 MB are some 5,000 chunks, and their list is 0.2 % of it.
    fn default() -> Self {
        Self { min: 4 << 10, avg: 16 << 10, max: 64 << 10 }
    }
}

impl Cut {
    /// The usual one, but for files that would have too many chunks.
    pub fn of(size: u64) -> Self {
        if size > HUGE {
            Self { min: 64 << 10, avg: 256 << 10, max: 512 << 10 }
        } else {
            Self::default()
        }
    }

    /// Whether the crate `fastcdc` takes these numbers, and a frame such a chunk.
    pub fn fits(self) -> bool {
        let Self { min, avg, max } = self;
        let sizes = (64..=avg).contains(&min)
            && (256..=max).contains(&avg)
            && (1024..=MOST_CHUNK).contains(&max);
        sizes && [min, avg, max].iter().all(|size| size.is_multiple_of(2))
    }
}

/// A time of change: seconds since 1970 and nanoseconds past them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mtime {
    /// Seconds.
    pub s: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub ns: u32,
}

/// Something below the root.
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

/// What something below the root is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A file.
    File {
        /// Bytes.
        size: u64,
        /// Where it was asked for: as [`File::hash`], with the chunks that [`Cut::of`] its size
        /// gives where it is longer than 64 KiB.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<Hash>,
    },
    /// A folder.
    Folder,
    /// A symbolic link.
    Link {
        /// What it says.
        to: Bytes,
    },
    /// What an interrupted transfer left. May be deleted.
    Part,
    /// A device, a socket, a pipe. Left alone, but may be deleted.
    Other,
}

/// Why a step was refused. Displayed as one sentence, with the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For code.
    pub reason: Reason,
    /// Which file; the root itself where the transfer could not begin.
    pub path: Bytes,
    /// What the system said, where there is more to say.
    #[serde(default)]
    pub detail: String,
}

/// Why, for code to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The disk or the quota is full.
    NoSpace,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The container's user may not.
    Denied,
    /// Another transfer writes it.
    Busy,
    /// It would leave the root, or a symbolic link is on the way.
    Outside,
    /// The content is not what its hash says: it changed while it was read. Send it again.
    Changed,
    /// It is not there.
    Missing,
    /// A folder that is not empty cannot go, or something of another kind is in the way.
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
