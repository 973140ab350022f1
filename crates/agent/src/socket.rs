//! The socket file between PID 1 and the relay: its path, and who may use it.
//!
//! It is a file and not an abstract socket, which would be open to the whole node with hostNetwork.
//! Its name contains the container's mount namespace, since containers of a Pod may share the
//! folder and each has its own supervisor. It also contains the protocol's version, so that a newer
//! uploaded agent is not blocked by an older supervisor with which it cannot communicate.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, ErrorKind},
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use anyhow::Result;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::{
    fs::{FlockOperation, Mode},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};

use super::{error::Failure, protocol::PROTOCOL};

/// Longest path of a socket address: `sun_path` of unix(7) without its NUL.
const MOST_PATH: usize = 107;

/// Any process may hold a folder's lock, or listen there without accepting. These are the number of
/// attempts and the time between them, after which PID 1 continues without.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Possible paths of the socket, in the order in which both sides try them: `only`, or else the
/// folder of the binary, the folder that emptying mounts, `$TMPDIR`, /tmp, /dev/shm, /run and
/// /var/tmp. Folders in which another user can replace it come last.
pub(super) fn places(only: Option<&Path>) -> Vec<PathBuf> {
    if let Some(only) = only {
        return vec![only.to_owned()];
    }
    let program_folder = env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()));
    let temporary = env::var_os("TMPDIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let fixed = ["/tmp", "/dev/shm", "/run", "/var/tmp"].map(PathBuf::from);
    let mounted = PathBuf::from(diyadm_agent::FOLDER);
    let folders = program_folder.into_iter().chain([mounted]).chain(temporary).chain(fixed);
    let name = format!("agent-{PROTOCOL}-{}.sock", inode());
    let mut places: Vec<_> = folders.map(|at| at.join(&name)).collect();
    places.retain(|path| path.as_os_str().len() <= MOST_PATH);
    let mut seen = Vec::new();
    places.retain(|path| {
        !seen.contains(path) && {
            seen.push(path.clone());
            true
        }
    });
    places.sort_by_key(|path| !path.parent().is_some_and(is_guarded));
    places
}

/// Whether only this user and root can replace files of this user in a folder.
fn is_guarded(folder: &Path) -> bool {
    const STICKY: u32 = 0o1000;
    folder.metadata().is_ok_and(|meta| {
        is_trusted(meta.uid()) && (meta.mode() & 0o22 == 0 || meta.mode() & STICKY != 0)
    })
}

/// Whether a user may do everything here that this user may.
fn is_trusted(uid: u32) -> bool {
    uid == rustix::process::geteuid().as_raw() || uid == 0
}

/// The mount namespace's inode; a container always has one of its own.
fn inode() -> u64 {
    fs::metadata("/proc/self/ns/mnt").map(|meta| meta.ino()).unwrap_or_default()
}

/// Protocols of supervisors in this container with which this program cannot communicate.
pub(super) fn others() -> Vec<u32> {
    let own = inode().to_string();
    let mut others = BTreeSet::new();
    for folder in places(None).iter().filter_map(|path| path.parent()) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|n| n.strip_prefix("agent-")?.strip_suffix(".sock"));
            let Some((protocol, of)) = rest.and_then(|rest| rest.split_once('-')) else { continue };
            if let Ok(protocol) = protocol.parse()
                && protocol != PROTOCOL
                && of == own
                && connect(&[entry.path()]).is_some()
            {
                others.insert(protocol);
            }
        }
    }
    others.into_iter().collect()
}

/// The result of [`bind`].
#[derive(Debug)]
pub(super) enum Bound {
    /// Listening, non-blocking.
    Here(UnixListener),
    /// A supervisor already listens.
    Taken(PathBuf),
}

/// Listens at the first writable path, for this user only.
pub(super) fn bind(places: &[PathBuf]) -> Result<Bound> {
    let mut last = None;
    for path in places {
        match bind_at(path) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = Some(error),
        }
    }
    let tried: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
    let why = last.unwrap_or_else(|| io::Error::from(ErrorKind::NotFound));
    let what =
        format!("No folder for the agent's socket is writable ({}): {why}.", tried.join(", "));
    let hint = "Mount an emptyDir, and run `diyadm-agent --socket FILE` with a path in it.";
    Err(Failure::no(what, hint).into())
}

fn bind_at(path: &Path) -> io::Result<Bound> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let lock = fs::File::open(folder)?;
    // Two supervisors that start at the same time must not take each other's new socket for a stale
    // one. Some file systems cannot lock folders, and somebody else may hold the lock: there this
    // race remains.
    for _ in 0..TRIES {
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => sleep(PAUSE),
            _ => break,
        }
    }
    if path.symlink_metadata().is_ok() {
        let there = reach(path);
        if there.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            return Err(ErrorKind::AddrInUse.into());
        }
        if let Ok(stream) = there {
            let ours = peer(&stream).is_some_and(|peer| is_trusted(peer.uid));
            // Another user's file in a shared folder: the next path may be free.
            return if ours {
                Ok(Bound::Taken(path.to_owned()))
            } else {
                Err(ErrorKind::AddrInUse.into())
            };
        }
        fs::remove_file(path)?;
    }
    remove_stale(folder);
    // With wider permissions even for a moment, another user could connect.
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(Bound::Here(listener))
}

/// A restarted container left its socket behind, with the name of a namespace that no longer
/// exists.
fn remove_stale(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().and_then(|n| n.strip_prefix("agent-")?.strip_suffix(".sock"));
        if ours.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')) {
            let refused = reach(&entry.path())
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
            if refused {
                // It belongs to another user, or is already deleted.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Connects at once or not at all: `WouldBlock` if the listener accepts no more connections.
fn reach(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// [`reach`] with a short wait.
fn reach_soon(path: &Path) -> io::Result<UnixStream> {
    for _ in 1..TRIES {
        match reach(path) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(PAUSE),
            reached => return reached,
        }
    }
    reach(path)
}

/// Connects to the supervisor of this container; `None` if there is none.
pub(super) fn connect(places: &[PathBuf]) -> Option<UnixStream> {
    places.iter().find_map(|path| {
        let stream = reach_soon(path).ok()?;
        // /tmp is shared: another user's socket there is not our supervisor, and would get the
        // environment of started applications. PID 1 has that environment anyway.
        let peer = peer(&stream)?;
        let named = path.symlink_metadata().ok()?;
        let trusted = |uid| is_trusted(uid) || peer.pid == 1 && uid == peer.uid;
        let is_own = named.file_type().is_socket() && named.nlink() == 1 && trusted(named.uid());
        (is_own && trusted(peer.uid)).then_some(stream)
    })
}

/// Whether the peer may send requests: it must be this user or root, and a process of this
/// container. A process of another container that shares the folder must not gain rights through
/// us.
pub(super) fn may_order(stream: &UnixStream) -> bool {
    peer(stream).is_some_and(|peer| is_trusted(peer.uid))
}

/// The peer's credentials.
struct Peer {
    pid: i32,
    uid: u32,
}

/// The peer's process; `None` for a process that is not visible in this PID namespace, for which
/// the kernel returns the number 0. Uses nix, since rustix 1.1 does not accept 0.
fn peer(stream: &UnixStream) -> Option<Peer> {
    let credentials = getsockopt(stream, PeerCredentials).ok()?;
    let (pid, uid) = (credentials.pid(), credentials.uid());
    (pid > 0).then_some(Peer { pid, uid })
}
