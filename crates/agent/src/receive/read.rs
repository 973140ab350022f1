//! Reads a part of a file, for a client that compares the entries of archives.

use std::os::unix::fs::FileExt;

use super::{
    super::protocol::{
        Bytes,
        transfer::{MOST_CHUNK, Reason, Refusal},
    },
    refusal::{refusal_for, refuse},
    root::Root,
};

/// At most `length` bytes of a file from `offset` on; fewer at its end.
pub(super) fn part(
    root: &Root,
    path: &Bytes,
    offset: u64,
    length: u32,
) -> Result<Vec<u8>, Refusal> {
    let file = root.place(path)?.file().ok_or_else(|| refuse(Reason::Missing, path))?;
    let mut bytes = vec![0; length.min(MOST_CHUNK) as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        let read = file.read_at(&mut bytes[filled..], offset.saturating_add(filled as u64));
        match read.map_err(|error| refusal_for(path, error))? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
