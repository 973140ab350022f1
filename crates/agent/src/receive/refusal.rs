//! Maps errors of the system to refusals of a transfer.

use std::io;

use rustix::io::Errno;

use super::super::protocol::{
    Bytes,
    transfer::{MOST_PATH, Reason, Refusal},
};

/// A refusal without a detail.
pub(super) fn refuse(reason: Reason, path: &Bytes) -> Refusal {
    with_detail(reason, path, String::new())
}

/// An error about `path`, by its number.
pub(super) fn refusal_for(path: &Bytes, error: impl Into<io::Error>) -> Refusal {
    let error = error.into();
    let reason = match Errno::from_io_error(&error) {
        Some(Errno::NOSPC | Errno::DQUOT) => Reason::NoSpace,
        Some(Errno::ROFS) => Reason::ReadOnly,
        Some(Errno::ACCESS | Errno::PERM) => Reason::Denied,
        Some(Errno::WOULDBLOCK) => Reason::Busy,
        Some(Errno::LOOP) => Reason::Outside,
        Some(Errno::NOENT) => Reason::Missing,
        Some(Errno::NOTEMPTY | Errno::EXIST | Errno::ISDIR | Errno::NOTDIR) => Reason::InTheWay,
        // A file that is a mount point cannot be replaced.
        Some(Errno::BUSY) => {
            let detail = "it is a mount point in the container".to_owned();
            return with_detail(Reason::Other, path, detail);
        }
        _ => Reason::Other,
    };
    let detail = if reason == Reason::Other { error.to_string() } else { String::new() };
    with_detail(reason, path, detail)
}

/// A refusal; an overlong path is truncated.
pub(super) fn with_detail(reason: Reason, path: &Bytes, detail: String) -> Refusal {
    let path = Bytes(path.0[..path.0.len().min(MOST_PATH)].to_vec());
    Refusal { reason, path, detail }
}
