//! The socket's folder is often writable by every user: the supervisor starts whatever is there.

use std::{
    fs::File,
    os::unix::net::{UnixListener, UnixStream},
    process::Command,
};

use super::client::{Idle, PROGRAM};

/// A lock that somebody holds, and one who listens and takes nobody.
#[test]
fn supervisor_starts_in_a_folder_with_a_held_lock_or_foreign_socket() {
    let folder = tempfile::tempdir().unwrap();
    let held = File::open(folder.path()).unwrap();
    held.lock().unwrap();
    let path = folder.path().join("agent-1-1.sock");
    let deaf = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&deaf, 0).unwrap();
    let _waits = UnixStream::connect(&path).unwrap();
    let mut idle = Idle::run_in(folder, Command::new(PROGRAM), &[]);
    assert!(idle.client().apps().is_empty());
    assert!(path.exists(), "who takes nobody now is not gone");
    idle.signal("-TERM");
    assert_eq!(idle.child.wait().unwrap().code(), Some(143));
}
