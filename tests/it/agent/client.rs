//! A client of `diyadm-agent relay`, as the laptop's side is, over a pipe in place of `kubectl exec`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use super::super::rig::wait_until;
use diyadm_agent::protocol::{
    Answer, App, Bytes, Decoder, Failed, FrameKind, Hello, Line, Request, Start, json,
};

pub(super) const PROGRAM: &str = env!("DIYADM_AGENT_FILE");

/// A supervisor, in a folder of its own. Killed when dropped.
pub(super) struct Idle {
    pub(super) child: Child,
    pub(super) folder: tempfile::TempDir,
    /// Lines of its stdout, as `kubectl logs` would show them.
    pub(super) shown: Receiver<String>,
    /// The process, as it is numbered here, whose namespaces its clients are in.
    pub(super) inside: Option<String>,
}

impl Idle {
    pub(super) fn start(args: &[&str]) -> Self {
        Self::run(Command::new(PROGRAM), args)
    }

    /// As `command` runs it, which may be `unshare`.
    pub(super) fn run(command: Command, args: &[&str]) -> Self {
        Self::run_in(tempfile::tempdir().unwrap(), command, args)
    }

    /// With its socket in this folder.
    pub(super) fn run_in(folder: tempfile::TempDir, mut command: Command, args: &[&str]) -> Self {
        let socket = folder.path().join("agent.sock");
        let mut child = command
            .arg("--socket")
            .arg(&socket)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, shown) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        let mut idle = Self { child, folder, shown, inside: None };
        wait_until("the supervisor listens", || {
            assert!(idle.child.try_wait().unwrap().is_none(), "the supervisor ended");
            UnixStream::connect(&socket).is_ok()
        });
        idle
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }

    pub(super) fn client(&self) -> Client {
        let Some(inside) = &self.inside else { return Client::of(relay(&self.socket())) };
        let mut command = Command::new("nsenter");
        command.args(["-t", inside, "-p", "-m", PROGRAM, "relay", "--socket"]);
        command.arg(self.socket());
        Client::of(command)
    }

    pub(super) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            // What it started goes with it; `unshare` itself hears no signal.
            match &self.inside {
                None => self.signal("-TERM"),
                Some(inside) => drop(Command::new("kill").args(["-KILL", inside]).status()),
            }
            let _ = self.child.wait();
        }
    }
}

/// `diyadm-agent relay` for a socket.
pub(super) fn relay(socket: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["relay", "--socket"]).arg(socket);
    command
}

/// What an agent says.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    Answer(Answer),
    Line { number: u64, err: bool, cut: bool, text: Vec<u8> },
    Other(FrameKind, Vec<u8>),
}

/// One conversation. The relay is killed when it is dropped.
pub(super) struct Client {
    pub(super) child: Child,
    pub(super) input: Option<ChildStdin>,
    output: ChildStdout,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Client {
    pub(super) fn of(command: Command) -> Self {
        let mut client = Self::silent(command);
        client.send_bytes(&json(FrameKind::Hello, &Hello::own()).unwrap());
        client.hello();
        client
    }

    /// That has said nothing yet.
    pub(super) fn silent(mut command: Command) -> Self {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, output, decoder: Decoder::default(), buffer: Vec::new() }
    }

    pub(super) fn hello(&mut self) -> Hello {
        match self.next_message().expect("a hello") {
            Message::Other(FrameKind::Hello, payload) => serde_json::from_slice(&payload).unwrap(),
            other => panic!("{other:?} in place of a hello"),
        }
    }

    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(super) fn ask(&mut self, request: &Request) {
        self.send_bytes(&json(FrameKind::Request, request).unwrap());
    }

    /// What comes next; `None` at the end.
    pub(super) fn next_message(&mut self) -> Option<Message> {
        loop {
            let mut rest = &self.buffer[..];
            if let Some(frame) = self.decoder.next(&mut rest).unwrap() {
                let said = match frame.kind {
                    FrameKind::Answer => Message::Answer(frame.parse(FrameKind::Answer).unwrap()),
                    FrameKind::Line => {
                        let Line { number, stream, cut, text, .. } =
                            Line::parse(frame.payload).unwrap();
                        let err = stream == diyadm_agent::protocol::Stream::Err;
                        Message::Line { number, err, cut, text: text.to_vec() }
                    }
                    other => Message::Other(other, frame.payload.to_vec()),
                };
                self.buffer = rest.to_vec();
                return Some(said);
            }
            self.buffer.resize(1 << 16, 0);
            let read = self.output.read(&mut self.buffer).unwrap();
            self.buffer.truncate(read);
            if read == 0 {
                self.decoder.end().unwrap();
                return None;
            }
        }
    }

    #[track_caller]
    pub(super) fn answer(&mut self) -> Answer {
        match self.next_message() {
            Some(Message::Answer(answer)) => answer,
            other => panic!("{other:?} in place of an answer"),
        }
    }

    #[track_caller]
    pub(super) fn asked(&mut self, request: &Request) -> Answer {
        self.ask(request);
        self.answer()
    }

    #[track_caller]
    pub(super) fn started(&mut self, request: &Request) -> App {
        match self.asked(request) {
            Answer::Started(app) => app,
            other => panic!("{other:?} in place of a start"),
        }
    }

    #[track_caller]
    pub(super) fn ended(&mut self, request: &Request) -> App {
        match self.asked(request) {
            Answer::Ended(app) => app,
            other => panic!("{other:?} in place of an end"),
        }
    }

    #[track_caller]
    pub(super) fn failed(&mut self, request: &Request) -> Failed {
        match self.asked(request) {
            Answer::Failed(failed) => failed,
            other => panic!("{other:?} in place of a failure"),
        }
    }

    #[track_caller]
    pub(super) fn apps(&mut self) -> Vec<App> {
        match self.asked(&Request::List) {
            Answer::Apps(apps) => apps.apps,
            other => panic!("{other:?} in place of a list"),
        }
    }

    /// Everything up to [`Answer::End`], that excluded.
    pub(super) fn until_end(&mut self) -> Vec<Message> {
        let said = std::iter::from_fn(|| Some(self.next_message().expect("an end")));
        said.take_while(|said| *said != Message::Answer(Answer::End)).collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A script of `sh` as an application.
pub(super) fn script(name: &str, script: &str) -> Start {
    Start {
        name: name.to_owned(),
        command: ["sh", "-c", script].map(Bytes::from).to_vec(),
        grace_ms: 60_000,
        ..Start::default()
    }
}

/// The text of lines, joined by newlines.
pub(super) fn text(said: &[Message]) -> String {
    let lines = said.iter().filter_map(|said| match said {
        Message::Line { text, .. } => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}
