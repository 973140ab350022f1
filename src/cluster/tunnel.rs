//! One TCP connection to a port of a Pod: port-forward over a WebSocket (`v4.channel.k8s.io`),
//! a connection of its own for each.
//!
//! Not kube's own: that drops what the Pod still answers once this side has said its last word.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use kube::{client::Connection, core::Request};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{MissedTickBehavior, interval_at},
};
use tokio_tungstenite::tungstenite::{self, Message};

use super::{
    Cluster, POD,
    exec::{PIECE, PING, next},
};

/// Without an answer to a sign of life for so long nobody is there.
const SILENCE: Duration = Duration::from_secs(30);
/// This side's end of input cannot travel: neither this protocol nor containerd has a way for it.
/// So a connection whose client has said its last word, and to which nothing came for so long,
/// is over.
const LINGER: Duration = Duration::from_secs(30);

/// A connection to a port of a Pod.
pub struct Tunnel(Connection);

/// Why a tunnel ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// One of both ends closed it.
    Closed,
    /// The Pod's side could not: nothing listens, or the Pod is gone.
    Refused(String),
    /// The connection to the API server broke; why.
    Lost(String),
}

impl Cluster {
    /// Opens a tunnel. Whether something listens there shows when it carries.
    ///
    /// # Errors
    /// The API server refuses, or cannot be reached.
    pub async fn dial(&self, namespace: &str, pod: &str, port: u16) -> Result<Tunnel> {
        let path = POD.path(namespace);
        let request = Request::new(&path).portforward(pod, &[port])?;
        let path = format!("{path}/{pod}/portforward");
        Ok(Tunnel(self.connect_to(&path, "FORWARD", request).await?))
    }
}

impl Tunnel {
    /// Carries bytes both ways until one end closes.
    pub async fn carry(self, from: impl AsyncRead + Unpin, to: impl AsyncWrite + Unpin) -> Over {
        let (sink, stream) = self.0.into_stream().split();
        let state = State::default();
        tokio::select! {
            over = receive(stream, to, &state) => over,
            over = send(sink, from, &state) => over,
        }
    }
}

#[derive(Debug)]
struct State {
    /// Whether the far end does not take what we send.
    stalled: AtomicBool,
    began: Instant,
    /// When something came last, in milliseconds since it began.
    heard: AtomicU64,
}

impl Default for State {
    fn default() -> Self {
        let stalled = AtomicBool::new(false);
        Self { stalled, began: Instant::now(), heard: AtomicU64::new(0) }
    }
}

impl State {
    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

async fn send(
    mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    mut from: impl AsyncRead + Unpin,
    state: &State,
) -> Over {
    let mut buffer = vec![0; PIECE + 1];
    let mut open = true;
    let mut pings = interval_at(tokio::time::Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            read = from.read(&mut buffer[1..]), if open => match read {
                Ok(0) => {
                    open = false;
                    // It may wait for an answer from now on.
                    state.heard.store(state.millis(), Ordering::Relaxed);
                    continue;
                }
                Ok(read) => Message::binary(buffer[..=read].to_vec()),
                // The client is gone, and with it whoever wants an answer.
                Err(_) => break,
            },
            _ = pings.tick() => {
                let silent = state.millis().saturating_sub(state.heard.load(Ordering::Relaxed));
                if !open && u128::from(silent) > LINGER.as_millis() {
                    break;
                }
                Message::Ping(Vec::new().into())
            }
        };
        state.stalled.store(true, Ordering::Relaxed);
        if let Err(error) = sink.send(message).await {
            return Over::Lost(error.to_string());
        }
        state.stalled.store(false, Ordering::Relaxed);
    }
    // Whatever comes of it: the connection is not used again.
    let _ = sink.close().await;
    Over::Closed
}

async fn receive(
    mut stream: impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    mut to: impl AsyncWrite + Unpin,
    state: &State,
) -> Over {
    // Each channel begins with the port's number: of the data, and of what went wrong.
    let mut headed = [false; 2];
    loop {
        let message = match next(&mut stream, SILENCE, &state.stalled).await {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(why) => return Over::Lost(why),
        };
        state.heard.store(state.millis(), Ordering::Relaxed);
        let [channel @ (0 | 1), bytes @ ..] = &message[..] else { continue };
        if !std::mem::replace(&mut headed[usize::from(*channel)], true) {
            continue;
        }
        if *channel == 1 {
            return Over::Refused(String::from_utf8_lossy(bytes).trim().to_owned());
        }
        if to.write_all(bytes).await.is_err() {
            return Over::Closed;
        }
    }
    // The client reads its end of input; one that is gone already does not mind.
    let _ = to.shutdown().await;
    Over::Closed
}
