//! Runs a command in a container, with its streams: exec over a WebSocket, as in kubectl.
//!
//! `v5.channel.k8s.io` is the protocol of Kubernetes 1.30 and later. API servers up to 1.29, and
//! some proxies, only support `v4.channel.k8s.io`, which cannot signal the end of stdin: closing
//! the connection would end the command's output and lose its exit status.
//!
//! This replaces kube's own exec, which sends 4 KiB at a time and never notices a dead peer.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use kube::{
    api::AttachParams,
    client::Connection,
    core::{Request, Status},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::tungstenite::{self, Message};

use super::{Cluster, POD, upgrade};
use crate::ui;

/// Bytes in one message, and in each stream's buffer.
pub(super) const PIECE: usize = 64 << 10;
const BUFFER: usize = 1 << 20;

/// How often a ping is sent.
pub(super) const PING: Duration = Duration::from_secs(10);
/// Without an answer for this time the peer is dead.
const SILENCE: Duration = Duration::from_secs(30);
/// The same while the peer does not accept data, when it may not answer either: a container's disk
/// can be slow.
const STALL: Duration = Duration::from_secs(120);
/// How long remaining data may take after the end was reported.
const REST: Duration = Duration::from_secs(2);

// The channels of the protocol, the first byte of each message.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// A container of a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRef {
    /// The Pod's namespace.
    pub namespace: String,
    /// The Pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
}

/// Columns and rows of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// The input of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// No input: its stdin is empty.
    None,
    /// [`Exec::stdin`].
    Piped,
    /// A terminal, for input and output.
    Terminal,
}

/// A running command. Dropping it closes the connection; the container runtime decides what happens
/// to the command.
#[derive(Debug)]
pub struct Exec {
    /// Its stdin; unused with [`Input::None`]. Dropping or shutting it down ends the input, if that
    /// can be signalled.
    pub stdin: DuplexStream,
    /// Whether the end of input can be signalled: not over `v4.channel.k8s.io`, where a command
    /// that reads stdin to its end does not end.
    pub sends_end_of_input: bool,
    /// Its stdout; ends with the command or the connection, and [`Exec::end`] says which.
    pub stdout: DuplexStream,
    /// Its stderr, which must be read as well. Empty with a terminal.
    pub stderr: DuplexStream,
    /// The size of its terminal.
    pub size: watch::Sender<Option<Size>>,
    /// How it ended.
    pub end: Ending,
}

/// Receives how a command ended.
#[derive(Debug)]
pub struct Ending(JoinHandle<End>);

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with this status.
    Exit(i32),
    /// The container runtime could not start it, or reported another error.
    Failed(String),
    /// The connection ended before the command, with the reason.
    Lost(String),
}

impl Ending {
    /// Waits for it.
    pub async fn wait(&mut self) -> End {
        (&mut self.0).await.unwrap_or_else(|error| End::Lost(error.to_string()))
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Cluster {
    /// Starts a command in a container. A failed start is reported by its [`End`].
    ///
    /// # Errors
    /// The API server refuses, or cannot be reached.
    pub async fn exec(&self, place: &ContainerRef, command: &[&str], input: Input) -> Result<Exec> {
        let ContainerRef { namespace, pod, container } = place;
        let params = AttachParams {
            container: Some(container.clone()),
            stdin: input != Input::None,
            stdout: true,
            stderr: input != Input::Terminal,
            tty: input == Input::Terminal,
            ..AttachParams::default()
        };
        let path = POD.path(namespace);
        let request = Request::new(&path).exec(pod, command.iter().copied(), &params)?;
        let connection = self.connect_to(&format!("{path}/{pod}/exec"), "EXEC", request).await?;
        let (stdin, to_stdin) = duplex(BUFFER);
        let (from_stdout, stdout) = duplex(BUFFER);
        let (from_stderr, stderr) = duplex(BUFFER);
        let (size, sizes) = watch::channel(None);
        let sends_end_of_input = connection.supports_stream_close();
        let stdin = (input != Input::None).then_some(stdin);
        let pump = pump(connection, stdin, sizes, Outputs { stdout, stderr });
        let end = Ending(tokio::spawn(pump));
        Ok(Exec {
            stdin: to_stdin,
            sends_end_of_input,
            stdout: from_stdout,
            stderr: from_stderr,
            size,
            end,
        })
    }

    /// Opens a WebSocket.
    pub(super) async fn connect_to(
        &self,
        path: &str,
        verb: &str,
        request: http::Request<Vec<u8>>,
    ) -> Result<Connection> {
        let began = Instant::now();
        let outcome = self.client.connect(request).await;
        if self.verbose {
            let code = if outcome.is_ok() { "ok" } else { "failed" };
            let took = began.elapsed().as_millis();
            ui::line(&format!("{verb} {path} {code} {took} ms"));
        }
        outcome.map_err(|error| upgrade::refused(&error, &self.server))
    }
}

struct Outputs {
    stdout: DuplexStream,
    stderr: DuplexStream,
}

async fn pump(
    connection: Connection,
    stdin: Option<DuplexStream>,
    sizes: watch::Receiver<Option<Size>>,
    outputs: Outputs,
) -> End {
    let closes = connection.supports_stream_close();
    let (sink, stream) = connection.into_stream().split();
    // Whether the peer does not accept data.
    let stalled = AtomicBool::new(false);
    let mut receiving = std::pin::pin!(receive(stream, outputs, &stalled));
    tokio::select! {
        end = &mut receiving => end,
        why = send(sink, stdin, sizes, closes, &stalled) => {
            // An ended command reads no more input; its status may still arrive.
            timeout(REST, receiving).await.unwrap_or(End::Lost(why))
        }
    }
}

/// Sends until the connection fails; returns the reason.
async fn send(
    mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    mut stdin: Option<DuplexStream>,
    mut sizes: watch::Receiver<Option<Size>>,
    closes: bool,
    stalled: &AtomicBool,
) -> String {
    let mut buffer = vec![STDIN; PIECE + 1];
    let mut resizes = true;
    let mut pings = interval_at(tokio::time::Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            read = read_input(&mut stdin, &mut buffer[1..]), if stdin.is_some() => match read {
                Ok(0) | Err(_) => {
                    stdin = None;
                    if !closes {
                        continue;
                    }
                    Message::binary(vec![CLOSE, STDIN])
                }
                Ok(read) => Message::binary(buffer[..=read].to_vec()),
            },
            changed = sizes.changed(), if resizes => {
                resizes = changed.is_ok();
                let Some(Size { width, height }) = *sizes.borrow_and_update() else { continue };
                let size = json!({ "Width": width, "Height": height }).to_string();
                Message::binary([&[RESIZE], size.as_bytes()].concat())
            }
            _ = pings.tick() => Message::Ping(Vec::new().into()),
        };
        stalled.store(true, Ordering::Relaxed);
        if let Err(error) = sink.send(message).await {
            return error.to_string();
        }
        stalled.store(false, Ordering::Relaxed);
    }
}

async fn read_input(from: &mut Option<DuplexStream>, buffer: &mut [u8]) -> io::Result<usize> {
    match from {
        Some(from) => from.read(buffer).await,
        None => Ok(0),
    }
}

/// Receives until the connection ends.
async fn receive(
    mut stream: impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    Outputs { mut stdout, mut stderr }: Outputs,
    stalled: &AtomicBool,
) -> End {
    let mut end = None;
    loop {
        let patience = if end.is_some() { REST } else { SILENCE };
        let message = match next(&mut stream, patience, stalled).await {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(_) if end.is_some() => break,
            Err(why) => return End::Lost(why),
        };
        match &message[..] {
            // Output that nobody reads is dropped, so that the peer does not block.
            [STDOUT, bytes @ ..] => drop(stdout.write_all(bytes).await),
            [STDERR, bytes @ ..] => drop(stderr.write_all(bytes).await),
            [STATUS, status @ ..] if !status.is_empty() => end = Some(ended(status)),
            _ => {}
        }
    }
    end.unwrap_or_else(|| End::Lost("the API server closed the connection".to_owned()))
}

/// The next message with content; `None` at a clean end.
pub(super) async fn next(
    stream: &mut (impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin),
    patience: Duration,
    stalled: &AtomicBool,
) -> Result<Option<Vec<u8>>, String> {
    let mut silent = Duration::ZERO;
    loop {
        match timeout(patience, stream.next()).await {
            Ok(Some(Ok(Message::Binary(bytes)))) => return Ok(Some(bytes.into())),
            Ok(Some(Ok(Message::Close(_))) | None) => return Ok(None),
            Ok(Some(Ok(_))) => silent = Duration::ZERO,
            Ok(Some(Err(error))) => return Err(error.to_string()),
            Err(_) => {
                silent += patience;
                if silent >= STALL || !stalled.load(Ordering::Relaxed) {
                    return Err(format!("no data arrived for {} s", silent.as_secs()));
                }
            }
        }
    }
}

/// The command's end from the last message.
fn ended(status: &[u8]) -> End {
    let Ok(status) = serde_json::from_slice::<Status>(status) else {
        return End::Failed(
            "the API server reported the end of the command in an unknown form".to_owned(),
        );
    };
    if status.is_success() {
        return End::Exit(0);
    }
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let code = causes.into_iter().find(|cause| cause.reason == "ExitCode");
    match code.and_then(|cause| cause.message.parse().ok()) {
        Some(code) => End::Exit(code),
        None => End::Failed(status.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exec_exit_status_is_in_the_last_message() {
        let exit = r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: exit status 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
        assert_eq!(ended(exit.as_bytes()), End::Exit(3));
        assert_eq!(ended(br#"{"metadata":{},"status":"Success"}"#), End::Exit(0));
        let failed = r#"{"metadata":{},"status":"Failure","message":"OCI runtime exec failed: no such file","reason":"InternalError","details":{"causes":[{"message":"x"}]},"code":500}"#;
        let said = End::Failed("OCI runtime exec failed: no such file".to_owned());
        assert_eq!(ended(failed.as_bytes()), said);
        assert!(matches!(ended(b"x"), End::Failed(_)));
    }
}
