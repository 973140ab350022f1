//! What the server needs of its system: listeners, file descriptors, and memory for the key.

use std::{
    fs::File,
    io::{self, Read},
    net::{SocketAddr, TcpListener},
    path::Path,
};

use socket2::{Domain, Socket, Type};
use zeroize::Zeroizing;

use super::peers::descriptors;
use crate::platform::process::{open_file_limit, raise_open_file_limit};

/// Maximum number of connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Maximum size of a key or chain.
const LONGEST_FILE: u64 = 1024 * 1024;

/// The content of a file with a key, in memory that is overwritten when dropped and never moved
/// before.
pub(super) fn read_secret(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > LONGEST_FILE {
        return Err(io::Error::other("the file is over 1 MiB"));
    }
    let capacity = usize::try_from(length).unwrap_or_default() + 1;
    let mut content = Zeroizing::new(vec![0; capacity]);
    let mut filled = 0;
    let mut file = file.take(length + 1);
    while filled < capacity {
        match file.read(&mut content[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    content.truncate(filled);
    Ok(content)
}

/// Raises the limit of open files to `connections` plus `others`; returns the possible number of
/// connections if the hard limit is lower.
pub(super) fn allow_descriptors(connections: usize, others: usize) -> usize {
    let wanted = descriptors(connections).saturating_add(others);
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    if let Err(error) = raise_open_file_limit(wanted) {
        tracing::warn!(error = error.to_string(), "the limit of open files could not be raised");
    }
    let room = usize::try_from(open_file_limit()).unwrap_or(usize::MAX).saturating_sub(others);
    // The inverse of `descriptors`.
    let room = (room / 5 * 4).saturating_sub(1).max(1);
    if room < connections {
        tracing::warn!(connections = room, "fewer connections: the limit of open files is low");
    }
    connections.min(room)
}

/// Listens, with a backlog for a burst of connections.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restarted server need not wait for old connections; Windows would allow a second server.
    socket.set_reuse_address(cfg!(unix))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
