//! Files, received by a disk that is full or read-only, and by a user who may not.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

use diyadm_agent::protocol::{
    Failed,
    transfer::{Entry, Mtime, Op, Reason, Receive, What},
};

use super::{
    client::{PROGRAM, relay},
    receive::{names, noise},
    sender::{Sender, into},
};

/// A small file system of the test's own.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(at: &'a Path, options: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "diyadm-test"]).arg(at);
        mount.status().is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn receive_reports_a_full_or_read_only_disk_once() {
    let folder = tempfile::tempdir().unwrap();
    let disk = require!(Disk::mount(folder.path(), "size=256k"), "no tmpfs: it takes root");
    let target = folder.path().join("a");
    fs::write(&target, "old").unwrap();
    let mut sender = Sender::new(&into(folder.path()));
    assert_eq!(sender.send(b"a", &noise(1, 500_000)).0, Err(Reason::NoSpace));
    assert_eq!(sender.small(b"b", &noise(1, 400_000)), Err(Reason::NoSpace));
    assert_eq!(
        (fs::read(&target).unwrap(), names(folder.path())),
        (b"old".to_vec(), vec!["a".to_owned()])
    );
    // The space of the incomplete file is freed.
    assert_eq!(sender.send(b"a", &noise(1, 100_000)).0, Ok(true));
    sender.hang_up();
    let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(folder.path()).status();
    assert!(remount.unwrap().success());
    let mut sender = Sender::new(&into(folder.path()));
    assert_eq!(sender.send(b"a", &noise(2, 5000)).0, Err(Reason::ReadOnly));
    assert_eq!(sender.small(b"b", b"b"), Err(Reason::ReadOnly));
    assert_eq!(sender.step(Op::Folder { path: "d".into(), mode: 0o755 }), Err(Reason::ReadOnly));
    sender.hang_up();
    drop(disk);
}

/// A file that is long enough to be written by a thread of its own.
#[test]
fn receive_frees_the_disk_where_a_long_file_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let disk = require!(Disk::mount(folder.path(), "size=12m"), "no tmpfs: it takes root");
    let content = noise(1, 8_000_000);
    let mut sender = Sender::new(&into(folder.path()));
    assert_eq!(sender.send(b"a", &content).0, Ok(true));
    // There is no room for a second one, and none is needed where it is the same.
    assert_eq!(sender.send(b"a", &content).0, Ok(false));
    assert_eq!(sender.send(b"a", &noise(2, 8_000_000)).0, Err(Reason::NoSpace));
    assert_eq!(names(folder.path()), ["a"]);
    assert!(fs::read(folder.path().join("a")).unwrap() == content);
    assert_eq!(sender.send(b"b", &noise(3, 2_000_000)).0, Ok(true));
    sender.hang_up();
    drop(disk);
}

#[test]
fn receive_reports_missing_file_permissions_once() {
    require!(Command::new("true").uid(65534).status(), "no other user: it takes root");
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let install = Command::new(PROGRAM).arg("install").arg(folder.path()).status();
    assert!(install.unwrap().success());
    let (mine, theirs) = (folder.path().join("mine"), folder.path().join("theirs"));
    fs::create_dir(&mine).unwrap();
    fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(65534), Some(65534)).unwrap();
    fs::write(mine.join("a"), "old").unwrap();
    let relay = || {
        let mut command = Command::new(folder.path().join("diyadm-agent"));
        command.arg("relay").uid(65534).gid(65534);
        command
    };
    let mut sender = Sender::try_new(relay(), &into(&mine)).unwrap();
    assert_eq!(sender.small(b"a", b"new"), Err(Reason::Denied));
    assert_eq!(sender.send(b"a", &noise(1, 5000)).0, Err(Reason::Denied));
    let mut sender = Sender::try_new(relay(), &into(&theirs)).unwrap();
    assert_eq!(sender.small(b"a", b"new"), Ok(true));
    // A file that its owner may not read is no reason to fail: it is replaced.
    fs::set_permissions(theirs.join("a"), fs::Permissions::from_mode(0o0)).unwrap();
    assert_eq!(sender.send(b"a", &noise(1, 5000)).0, Ok(true));
    let refused = Sender::try_new(relay(), &Receive { create: true, ..into(&mine.join("sub")) });
    let Err(Failed::Refused(refusal)) = refused else { panic!("it is refused") };
    assert_eq!(refusal.reason, Reason::Denied);
    let entry: Entry =
        Entry { path: refusal.path, what: What::Other, mode: 0, mtime: Mtime::default() };
    assert!(entry.path.show().ends_with("mine/sub"));
}

#[test]
fn receive_flushes_names_to_disk_at_the_end() {
    let strace = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    require!(strace, "no strace, which shows what is written to the disk");
    let folder = tempfile::tempdir().unwrap();
    let (root, log) = (folder.path().join("root"), folder.path().join("log"));
    fs::create_dir_all(root.join("sub")).unwrap();
    let plain = relay(Path::new("/none"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=fsync,rename,renameat,renameat2", "-o"]).arg(&log);
    strace.arg(plain.get_program()).args(plain.get_args());
    let mut sender = Sender::try_new(strace, &into(&root)).unwrap();
    for path in [b"sub/a", b"sub/b"] {
        assert_eq!(sender.send(path, &noise(1, 5000)).0, Ok(true));
    }
    assert_eq!(sender.small(b"c", b"c"), Ok(true));
    assert_eq!(sender.step(Op::Keep), Ok(false));
    // After a connection that was lost nobody asks.
    fs::create_dir(root.join("lost")).unwrap();
    assert_eq!(sender.send(b"lost/a", &noise(1, 5000)).0, Ok(true));
    sender.hang_up();
    let log = fs::read_to_string(log).unwrap();
    let synced = |path: &str| format!("/root/{path}>) = 0");
    let lines: Vec<_> = log.lines().collect();
    let is_of = |line: &str, path: &str| line.contains("fsync(") && line.ends_with(&synced(path));
    let of_folder: Vec<_> = lines.iter().filter(|line| is_of(line, "sub")).collect();
    assert_eq!(of_folder.len(), 1, "once, and not for each file: {log}");
    let last = lines.iter().rposition(|line| line.contains("rename") && line.contains("/sub"));
    let then = lines.iter().position(|line| is_of(line, "sub"));
    assert!(then > last && last.is_some(), "after the last name: {log}");
    assert!(lines.iter().any(|line| is_of(line, "lost")), "at the end of the connection: {log}");
}
