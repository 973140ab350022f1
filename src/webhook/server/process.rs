//! The server as a process: file descriptors, memory, and protection of the key.

use std::{
    fs::{self, File},
    io::{self, Read},
    net::{SocketAddr, TcpListener},
    path::Path,
};

use rustix::{
    net::{
        AddressFamily, SocketFlags, SocketType, bind, listen as start_listening, socket_with,
        sockopt,
    },
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
};
use zeroize::Zeroizing;

use super::peers::descriptors;

/// Maximum number of connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Maximum size of a key or chain.
const LONGEST_FILE: u64 = 1024 * 1024;

/// Disables core dumps and debuggers of the same user, since the key is in this process's memory.
///
/// # Errors
/// What the kernel says.
pub fn protect_memory() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

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
    let limit = getrlimit(Resource::Nofile);
    let wanted = descriptors(connections).saturating_add(others);
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let allowed = limit.maximum.unwrap_or(u64::MAX).min(wanted);
    if limit.current.is_some_and(|current| current < allowed) {
        let raised = Rlimit { current: Some(allowed), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(
                error = error.to_string(),
                "the limit of open files could not be raised"
            );
        }
    }
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = usize::try_from(current).unwrap_or(usize::MAX).saturating_sub(others);
    // The inverse of `descriptors`.
    let room = (room / 5 * 4).saturating_sub(1).max(1);
    if room < connections {
        tracing::warn!(connections = room, "fewer connections: the limit of open files is low");
    }
    connections.min(room)
}

/// Listens, with a backlog for a burst of connections.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    start_listening(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Open file descriptors and resident bytes of this process; 0 if unknown.
pub(super) fn usage() -> (usize, usize) {
    let descriptors = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let resident = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| statm.split_whitespace().nth(1)?.parse::<usize>().ok());
    (descriptors, resident.unwrap_or_default() * rustix::param::page_size())
}
