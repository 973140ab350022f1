//! One TCP connection to a port of a Pod: port-forward over a WebSocket (`v4.channel.k8s.io`), with
//! a separate WebSocket for each connection.
//!
//! This replaces kube's own port-forward, which drops answers of the Pod after the client has sent
//! everything.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Result;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use kube::{client::Connection, core::Request};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_tungstenite::tungstenite::{self, Message};

use super::{
    Cluster, POD,
    exec::{PIECE, PING, next},
};

mod client;

/// Without an answer to a ping for this time the peer is dead.
const SILENCE: Duration = Duration::from_secs(30);

/// A connection to a port of a Pod.
pub struct Tunnel(Connection);

/// Why a tunnel ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// One end closed it.
    Closed,
    /// The Pod's side failed: nothing listens, or the Pod is gone.
    Refused(String),
    /// The connection to the API server broke, with the reason.
    Lost(String),
}

impl Cluster {
    /// Opens a tunnel. Whether something listens there is seen from the first bytes.
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
    /// Forwards bytes in both directions until one end closes.
    ///
    /// The end of a client's input cannot be forwarded by this protocol or containerd. So a
    /// connection whose client only stopped sending stays open as long as the Pod's side, and one
    /// whose client has closed it is closed.
    pub async fn carry(self, stream: TcpStream) -> Over {
        let closed = client::closed(stream.local_addr(), stream.peer_addr());
        let (from, to) = stream.into_split();
        carry(self.0.into_stream(), from, to, closed).await
    }
}

async fn carry(
    socket: impl Stream<Item = Result<Message, tungstenite::Error>>
    + Sink<Message, Error = tungstenite::Error>
    + Unpin,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    closed: impl Future<Output = ()>,
) -> Over {
    let (sink, stream) = socket.split();
    // Whether the peer does not accept data.
    let stalled = AtomicBool::new(false);
    tokio::select! {
        over = receive(stream, to, &stalled) => over,
        over = send(sink, from, closed, &stalled) => over,
    }
}

/// Sends the client's data. Waits for `closed` after the client has stopped sending.
async fn send(
    mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    mut from: impl AsyncRead + Unpin,
    closed: impl Future<Output = ()>,
    stalled: &AtomicBool,
) -> Over {
    let mut buffer = vec![0; PIECE + 1];
    let mut open = true;
    let mut closed = std::pin::pin!(closed);
    let mut pings = interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            read = from.read(&mut buffer[1..]), if open => match read {
                Ok(0) => {
                    open = false;
                    continue;
                }
                Ok(read) => Message::binary(buffer[..=read].to_vec()),
                // The client is gone, and nobody needs an answer.
                Err(_) => break,
            },
            () = &mut closed, if !open => break,
            _ = pings.tick() => Message::Ping(Vec::new().into()),
        };
        stalled.store(true, Ordering::Relaxed);
        if let Err(error) = sink.send(message).await {
            return Over::Lost(error.to_string());
        }
        stalled.store(false, Ordering::Relaxed);
    }
    // The result is ignored: the connection is not used again.
    let _ = sink.close().await;
    Over::Closed
}

async fn receive(
    mut stream: impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    mut to: impl AsyncWrite + Unpin,
    stalled: &AtomicBool,
) -> Over {
    // Each channel begins with the port's number: the data channel and the error channel.
    let mut headed = [false; 2];
    loop {
        let message = match next(&mut stream, SILENCE, stalled).await {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(why) => return Over::Lost(why),
        };
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
    // The client reads the end of its input; a closed client is not affected.
    let _ = to.shutdown().await;
    Over::Closed
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::io::{DuplexStream, duplex};
    use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

    use super::*;

    type Far = WebSocketStream<DuplexStream>;

    /// A client that stays, what became of its tunnel, and what `far` did as the API server.
    fn tunnel<C, F>(
        client: impl AsyncFnOnce(DuplexStream) -> C,
        far: impl AsyncFnOnce(Far) -> F,
    ) -> (C, Over, F) {
        tunnel_until(pending(), client, far)
    }

    /// The same, with a client that has closed its connection when `closed` is done.
    fn tunnel_until<C, F>(
        closed: impl Future<Output = ()>,
        client: impl AsyncFnOnce(DuplexStream) -> C,
        far: impl AsyncFnOnce(Far) -> F,
    ) -> (C, Over, F) {
        let work = async {
            let (here, there) = duplex(PIECE);
            let here = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
            let mut there = WebSocketStream::from_raw_socket(there, Role::Server, None).await;
            for channel in [0, 1] {
                // Port 8080, as the kubelet says it first.
                let head = vec![channel, 0x90, 0x1f];
                there.send(Message::binary(head)).await.unwrap();
            }
            let (near, inner) = duplex(PIECE);
            let (from, to) = tokio::io::split(inner);
            tokio::join!(client(near), carry(here, from, to, closed), far(there))
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    async fn heard(far: &mut Far, length: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        while heard.len() < length {
            if let Message::Binary(bytes) = far.next().await.unwrap().unwrap() {
                assert_eq!(bytes[0], 0, "all is data");
                heard.extend(&bytes[1..]);
            }
        }
        heard
    }

    #[test]
    fn tunnel_delivers_the_answer_after_the_local_side_has_closed() {
        let asked = vec![7; 3 * PIECE];
        let answer = vec![9; 5 * PIECE];
        let client = async |mut near: DuplexStream| {
            near.write_all(&asked).await.unwrap();
            near.shutdown().await.unwrap();
            let mut all = Vec::new();
            near.read_to_end(&mut all).await.unwrap();
            all
        };
        let far = async |mut far: Far| {
            let heard = heard(&mut far, asked.len()).await;
            for piece in answer.chunks(1000) {
                far.send(Message::binary([&[0], piece].concat())).await.unwrap();
            }
            far.close(None).await.unwrap();
            heard
        };
        let (got, over, heard) = tunnel(client, far);
        assert!(got == answer && heard == asked);
        assert_eq!(over, Over::Closed);
    }

    #[test]
    fn tunnel_delivers_pending_data_after_the_client_has_closed() {
        let client = async |mut near: DuplexStream| near.write_all(b"last").await.unwrap();
        let far = async |mut far: Far| {
            let heard = heard(&mut far, 4).await;
            // Nobody answers; the far end learns of the end all the same.
            let end = far.next().await.unwrap().unwrap();
            assert!(matches!(end, Message::Close(_)), "{end:?}");
            heard
        };
        let ((), over, heard) = tunnel_until(ready(()), client, far);
        assert_eq!((over, &heard[..]), (Over::Closed, &b"last"[..]));
    }

    #[test]
    fn tunnel_refusal_has_its_reason() {
        let why = "an error occurred forwarding 8080: connection refused\n";
        let far = async |mut far: Far| {
            far.send(Message::binary([&[1], why.as_bytes()].concat())).await.unwrap();
        };
        let (_near, over, ()) = tunnel(async |near| near, far);
        assert_eq!(over, Over::Refused(why.trim().to_owned()));
    }

    #[test]
    fn tunnel_distinguishes_broken_and_closed_connections() {
        let (_near, over, ()) = tunnel(async |near| near, async |far| drop(far));
        assert!(matches!(over, Over::Lost(_)), "{over:?}");
        let close = async |mut far: Far| far.close(None).await.unwrap();
        let (_near, over, ()) = tunnel(async |near| near, close);
        assert_eq!(over, Over::Closed);
    }
}
