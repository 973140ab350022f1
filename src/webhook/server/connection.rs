//! One connection from its first byte to its last: TLS, HTTP/1.1, and the bounds of [`peers`].

use std::{
    cell::Cell,
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_http::{Extensions, HttpService, KeepAlive};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service,
    map_config,
};
use actix_web::{
    App,
    dev::{AppConfig, Server},
    web::ServiceConfig,
};
use openssl::ssl::{Ssl, SslAcceptor};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::yield_now,
    time::sleep_until,
};
use tokio_openssl::SslStream;

use crate::platform::process::thread_nanos;

use super::{
    HEAD_TIMEOUT, LAST_ANSWERS,
    peers::{Connection, Peers, Stage, Turn},
};

/// What the kernel keeps of a connection that is not read, or whose peer does not read; it doubles
/// both. An answer is seldom larger.
const SEND_BUFFER: usize = 64 * 1024;
const RECEIVE_BUFFER: usize = 128 * 1024;

/// Nanoseconds of a processor for accepting a connection and closing it.
const ACCEPT_COST: u64 = 30_000;

/// Nanoseconds that the first work for a connection may take: a handshake with an RSA key.
const HANDSHAKE_COST: u64 = 1_000_000;

/// A port and how it is served.
pub(super) struct Port {
    pub(super) name: &'static str,
    pub(super) listener: TcpListener,
    pub(super) tls: Option<SslAcceptor>,
    pub(super) keep_alive: KeepAlive,
    pub(super) workers: usize,
    pub(super) peers: Arc<Peers>,
}

impl Port {
    /// Serves `app` there; `started` is called on each worker's thread.
    pub(super) fn serve(
        self,
        app: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
        started: impl Fn() + Clone + Send + 'static,
    ) -> io::Result<Server> {
        // Connections that are accepted inherit both.
        let socket = SockRef::from(&self.listener);
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        let Self { name, listener, tls, keep_alive, workers, peers } = self;
        let builder = Server::build()
            .workers(workers)
            .shutdown_timeout(LAST_ANSWERS.as_secs())
            .disable_signals();
        let draining = builder.graceful_shutdown_signal();
        let builder = builder.listen(name, listener, move || {
            let (draining, app) = (draining.clone(), app.clone());
            let (tls, peers, started) = (tls.clone(), peers.clone(), started.clone());
            let app = App::new().configure(app).into_factory();
            let app = app.map_err(|error: actix_web::Error| error.error_response());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let draining = draining.clone();
                    async move { draining.notified().await }
                })
                .keep_alive(keep_alive)
                .client_request_timeout(HEAD_TIMEOUT)
                .client_disconnect_timeout(Duration::from_secs(1))
                .on_connect_ext(|stream: &Stream, data: &mut Extensions| {
                    data.insert(stream.connection.clone());
                })
                .h1(map_config(app, |()| AppConfig::default()));
            fn_factory(move || {
                started();
                let (http, tls, peers) = (http.new_service(()), tls.clone(), peers.clone());
                async move {
                    let http = Rc::new(http.await?);
                    Ok::<_, ()>(fn_service(move |tcp| {
                        let (http, tls, peers) = (http.clone(), tls.clone(), peers.clone());
                        async move {
                            // How it ended is its peer's affair.
                            let _ = serve(tcp, tls, &peers, http.as_ref()).await;
                            Ok::<_, ()>(())
                        }
                    }))
                }
            })
        })?;
        Ok(builder.run())
    }
}

async fn serve<S>(
    tcp: TcpStream,
    tls: Option<SslAcceptor>,
    peers: &Arc<Peers>,
    http: &S,
) -> io::Result<()>
where
    S: Service<(Stream, Option<SocketAddr>)>,
{
    let address = tcp.peer_addr()?;
    let Some(connection) = peers.connect(address.ip()) else { return Ok(()) };
    connection.spend(ACCEPT_COST, None);
    let handle = connection.clone();
    let work = async move {
        let connection = handle;
        // A delayed acknowledgement costs 40 ms where Nagle waits for it.
        tcp.set_nodelay(true)?;
        let io = match tls {
            None => Io::Plain(tcp),
            Some(acceptor) => {
                // Nothing is kept for a peer that says nothing.
                tcp.readable().await?;
                let mut tls = Box::new(SslStream::new(Ssl::new(acceptor.context())?, tcp)?);
                Pin::new(tls.as_mut()).accept().await.map_err(io::Error::other)?;
                Io::Tls(tls)
            }
        };
        connection.enter(Stage::Idle);
        let stream = Stream { io, connection };
        // Its errors are the peer's: what was no HTTP, or broke off.
        let _ = http.call((stream, Some(address))).await;
        Ok(())
    };
    tokio::select! {
        ended = InTurn::new(&connection, work) => ended,
        () = connection.closed() => Ok(()),
    }
}

/// The bytes of a connection, counted.
pub(super) struct Stream {
    io: Io,
    connection: Arc<Connection>,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

trait Both: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

impl Stream {
    fn io(&mut self) -> Pin<&mut dyn Both> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp),
            Io::Tls(tls) => Pin::new(tls.as_mut()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.io().poll_read(cx, buffer))?;
        let bytes = buffer.filled().len() - before;
        let room = bytes == 0 || self.connection.received(bytes);
        Poll::Ready(if room { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) })
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.io().poll_flush(cx))?;
        self.connection.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.drop_last();
    }
}

/// A connection's work, done when it is its peer's turn, and its time on the processor measured.
struct InTurn<F> {
    connection: Arc<Connection>,
    work: Pin<Box<F>>,
    waiting: Option<Pin<Box<dyn Future<Output = Turn>>>>,
    /// Nanoseconds that the next piece of work may take: what the last one took, and half of what was
    /// expected of that, because a long piece often follows a short one.
    estimate: u64,
}

impl<F> InTurn<F> {
    fn new(connection: &Arc<Connection>, work: F) -> Self {
        let connection = connection.clone();
        Self { connection, work: Box::pin(work), waiting: None, estimate: HANDSHAKE_COST }
    }
}

impl<F: Future> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.waiting.is_none()
            && let Some(turn) = self.connection.wait_for_turn(self.estimate)
        {
            self.waiting = Some(Box::pin(wait(turn, Duration::from_nanos(self.estimate))));
        }
        let mut turn = None;
        if let Some(waiting) = &mut self.waiting {
            turn = Some(ready!(waiting.as_mut().poll(cx)));
            self.waiting = None;
        }
        let began = thread_nanos();
        let ended = self.work.as_mut().poll(cx);
        let spent = thread_nanos().saturating_sub(began);
        self.estimate = spent.max(self.estimate / 2);
        self.connection.spend(spent, turn);
        ended
    }
}

thread_local! {
    /// Until when the last work that waited for its turn keeps this worker busy.
    static BUSY_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// How often the worker looks at its sockets, and does what has come, before it does work that had to
/// wait: a review takes a few wake-ups from its first byte to its answer.
const YIELDS: usize = 4;

/// Waits for a turn. Those of several peers may come in one tick of the timer; done one after the
/// other, their handshakes would keep a good client waiting for all of them.
async fn wait(turn: Turn, estimate: Duration) -> Turn {
    sleep_until(turn.at.into()).await;
    loop {
        for _ in 0..YIELDS {
            yield_now().await;
        }
        let now = Instant::now();
        match BUSY_UNTIL.get() {
            Some(free) if free > now => sleep_until(free.into()).await,
            _ => {
                BUSY_UNTIL.set(Some(now + estimate));
                return turn;
            }
        }
    }
}
