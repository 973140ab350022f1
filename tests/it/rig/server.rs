//! `diyadm serve` as a process of this machine.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use super::Net;

/// `diyadm serve` as a process; killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: Option<JoinHandle<Vec<String>>>,
    /// `ADDRESS:PORT` of the reviews.
    pub(crate) address: String,
    /// `ADDRESS:PORT` of health and metrics.
    pub(crate) health: String,
}

impl Server {
    /// Starts it on loopback with the certificates of `folder`.
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_diyadm"));
        let listen = ["--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"];
        Self::spawn(command, folder, &[&listen, args].concat())
    }

    /// Starts it at every address of the machine.
    pub(crate) fn start_everywhere(folder: &Path) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_diyadm"));
        let listen = ["--listen", "0.0.0.0:0", "--health-listen", "127.0.0.1:0"];
        let mut server = Self::spawn(command, folder, &listen);
        server.address = server.address.replace("0.0.0.0", "127.0.0.1");
        server
    }

    /// Starts it by a command that runs another.
    pub(crate) fn start_by(command: Command, folder: &Path) -> Self {
        let listen = ["--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"];
        Self::spawn(command, folder, &listen)
    }

    /// Starts it as a Pod would: at an address of its own, in a network namespace.
    pub(crate) fn start_in(net: &Net, folder: &Path, args: &[&str]) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &net.name, env!("CARGO_BIN_EXE_diyadm")]);
        let listen = format!("{}:8443", net.address);
        let health = format!("{}:8080", net.address);
        let listen = ["--listen", &listen, "--health-listen", &health];
        Self::spawn(command, folder, &[&listen, args].concat())
    }

    fn spawn(mut command: Command, folder: &Path, args: &[&str]) -> Self {
        let mut child = command
            .args(["serve", "--cert", "server.crt", "--key", "server.key"])
            .args(args)
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let serving = log
            .by_ref()
            .map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap())
            .find(|line| line["message"] == "serving")
            .unwrap();
        // The log must be read on, or the server's pipe fills.
        let log = std::thread::spawn(move || log.map(Result::unwrap).collect());
        let text = |field: &str| serving[field].as_str().unwrap().to_owned();
        Self { child, log: Some(log), address: text("listen"), health: text("health") }
    }

    /// One that was started otherwise; `serving` is the line of its log with its addresses, and
    /// nobody reads on.
    pub(crate) fn of(child: Child, serving: &str) -> Self {
        let serving: serde_json::Value = serde_json::from_str(serving).unwrap();
        let text = |field: &str| serving[field].as_str().unwrap().to_owned();
        let log = Some(std::thread::spawn(Vec::new));
        Self { child, log, address: text("listen"), health: text("health") }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub(crate) fn ended_by(mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// Sends SIGTERM, and does not wait.
    pub(crate) fn signal(&self) {
        let id = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits for its end; the exit code, and what it logged after it had begun to serve.
    pub(crate) fn ended(mut self) -> (Option<i32>, Vec<String>) {
        let code = self.child.wait().unwrap().code();
        (code, self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already where the test ended it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
