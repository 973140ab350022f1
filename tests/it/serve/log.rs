//! A log that cannot be written: the server keeps serving, and lost lines are counted.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::client::{bytes, certificates, get, metric, post};
use crate::rig::{Net, Server, wait_until};

const LOST: &str = "diyadm_log_lines_lost_total";

/// Serves, and ends as it should.
fn is_served(server: &Server, folder: &Path, lost: impl Fn(u64) -> bool) {
    wait_until("lines are lost", || {
        assert_eq!(post(server, folder, &bytes(|_| ())).status, 200);
        lost(metric(server, LOST))
    });
    assert!(get(server, "/readyz").starts_with("HTTP/1.1 200"));
}

fn serve(stderr: impl Into<Stdio>, folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diyadm"));
    command.args(["serve", "--cert", "server.crt", "--key", "server.key", "--drain", "0"]);
    command.args(["--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"]);
    command.current_dir(folder).stderr(stderr).spawn().unwrap()
}

/// A server whose log was read up to the line with its addresses.
fn serving(folder: &Path) -> (Server, BufReader<std::process::ChildStderr>) {
    let mut child = serve(Stdio::piped(), folder);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"serving\"") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended");
    }
    (Server::of(child, &line), log)
}

#[test]
fn serves_while_its_log_is_closed() {
    let certs = certificates("diyadmissionwebhook", "test");
    let (server, log) = serving(certs.path());
    drop(log);
    is_served(&server, certs.path(), |lost| lost > 3);
    server.signal();
    assert_eq!(server.ended().0, Some(0));
}

#[test]
fn serves_while_its_log_is_not_read() {
    let certs = certificates("diyadmissionwebhook", "test");
    let (server, log) = serving(certs.path());
    // More than a pipe holds, which is 64 KiB.
    let long = bytes(|r| r["request"]["name"] = "n".repeat(253).into());
    for _ in 0..200 {
        assert_eq!(post(&server, certs.path(), &long).status, 200);
    }
    assert!(get(&server, "/readyz").starts_with("HTTP/1.1 200"));
    server.signal();
    assert_eq!(server.ended().0, Some(0), "it does not wait for its reader");
    drop(log);
}

#[test]
fn serves_while_its_disk_is_full() {
    let net = require!(Net::new());
    let certs = certificates("diyadmissionwebhook", "test");
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &net.name, env!("CARGO_BIN_EXE_diyadm"), "serve"]);
    command.args(["--cert", "server.crt", "--key", "server.key", "--drain", "0"]);
    let (address, health) = (format!("{}:8443", net.address), format!("{}:8080", net.address));
    command.args(["--listen", &address, "--health-listen", &health]);
    let child = command.current_dir(certs.path()).stderr(full).spawn().unwrap();
    let line = serde_json::json!({ "listen": address, "health": health }).to_string();
    let server = Server::of(child, &line);
    wait_until("it serves", || std::net::TcpStream::connect(&server.health).is_ok());
    is_served(&server, certs.path(), |lost| lost > 3);
    server.signal();
    assert_eq!(server.ended().0, Some(0));
}
