//! The server's memory is protected: no core dump has the key.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::ExitStatusExt,
    },
    process::Command,
};

use super::client::certificates;
use crate::rig::Server;

/// A command that lifts the limit of core dumps for the one it runs.
fn with_core_dumps() -> Command {
    let mut command = Command::new("prlimit");
    command.arg("--core=unlimited");
    command
}

#[test]
fn core_dump_has_no_private_key() {
    let certs = certificates("diyadmissionwebhook", "test");
    let abort = "kill -ABRT $$";
    let control = with_core_dumps().args(["sh", "-c", abort]).current_dir(certs.path()).status();
    let dumped = control.is_ok_and(|status| status.core_dumped());
    require!(dumped, "this machine writes no core dumps");
    let mut command = with_core_dumps();
    command.arg(env!("CARGO_BIN_EXE_diyadm"));
    let server = Server::start_by(command, certs.path());
    let id = server.pid().to_string();
    assert!(Command::new("kill").args(["-ABRT", &id]).status().unwrap().success());
    assert!(!server.ended_by().core_dumped());
}

#[test]
fn server_memory_is_unreadable_for_its_user() {
    let certs = certificates("diyadmissionwebhook", "test");
    if rustix::process::getuid().is_root() {
        fs::set_permissions(certs.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let key = certs.path().join("server.key");
        fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let mut command = Command::new("setpriv");
    if rustix::process::getuid().is_root() {
        command.args(["--reuid=65532", "--clear-groups"]);
    }
    command.arg(env!("CARGO_BIN_EXE_diyadm"));
    let server = Server::start_by(command, certs.path());
    // The kernel gives what is in /proc of a process that is not to be dumped to root.
    let owner = fs::metadata(format!("/proc/{}/mem", server.pid())).unwrap().uid();
    assert_eq!(owner, 0);
}
