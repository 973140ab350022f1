//! Forwards local ports to a Pod, and to the Pod that replaces it.

use std::{
    cell::RefCell,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep},
};

use super::{
    backoff::pauses,
    pods::Pick,
    ports::{self, Port, Ports},
    session::Session,
    trouble::{Trouble, is_gone, is_lost},
};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{Kind, Over, POD, POD_FORWARD, error},
    platform::process::{open_file_limit, raise_open_file_limit},
    ui::text::clause,
};

/// Resources that port-forward accepts.
pub(crate) const FORWARD: [(&str, &Kind); 2] = [("create", &POD_FORWARD), ("get", &POD_FORWARD)];

/// How often to try a free port that is also free for IPv6.
const TRIES: u32 = 16;
/// Accepted connections that wait.
const WAITING: usize = 64;
/// The same warning is printed at most once in this time.
const AGAIN: Duration = Duration::from_secs(10);
/// Maximum number of connections at a time.
const MOST_PLACES: usize = 1 << 16;
/// File descriptors reserved for everything else: streams, watches, the API server.
const OTHERS: usize = 64;
/// Pause if no file descriptor is free.
const PAUSE: Duration = Duration::from_millis(100);

/// A local listening port.
pub(crate) struct Bound {
    listeners: Vec<TcpListener>,
    remote: Port,
}

impl Bound {
    /// Listens on 127.0.0.1 and, if IPv6 is available, on ::1.
    ///
    /// # Errors
    /// Another program listens there.
    pub(crate) async fn new(wanted: &Ports) -> Result<Self> {
        for _ in 0..TRIES {
            let taken = |error: io::Error, port: u16| {
                let hint = "Use another port, or `:PORT` for any free one.";
                Failure::no(
                    Topic::PortInUse,
                    format!("Local port {port} is in use: {error}."),
                    hint,
                )
            };
            let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted.local)).await;
            let v4 = v4.map_err(|error| taken(error, wanted.local))?;
            let port = v4.local_addr().context("a listener without an address")?.port();
            let mut listeners = vec![v4];
            match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
                Ok(v6) => listeners.push(v6),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && wanted.local == 0 => {
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    return Err(taken(error, port).into());
                }
                // No IPv6 here.
                Err(_) => {}
            }
            return Ok(Self { listeners, remote: wanted.remote.clone() });
        }
        Err(Failure::no(
            Topic::PortInUse,
            "No local port is free for both IPv4 and IPv6.",
            "Use a fixed local port: `8080:8080`.",
        )
        .into())
    }

    /// `127.0.0.1:8080, [::1]:8080`
    pub(crate) fn shown(&self) -> String {
        let all = self.listeners.iter().filter_map(|listener| listener.local_addr().ok());
        all.map(|address: SocketAddr| address.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// The Pod's port, as given.
    pub(crate) fn remote(&self) -> &Port {
        &self.remote
    }
}

/// State of the forwarding.
pub(crate) struct Forward<'a> {
    session: &'a Session<'a>,
    /// The target Pod, and whether a replacement was searched since it was found gone.
    current: Mutex<Pick>,
    /// The last warning.
    said: RefCell<Option<(String, Instant)>>,
}

impl<'a> Forward<'a> {
    /// Forwards to this Pod, and to the Pod that replaces it.
    pub(crate) fn new(session: &'a Session<'a>, pick: Pick) -> Self {
        let current = Mutex::new(pick);
        Self { session, current, said: RefCell::default() }
    }

    /// Forwards all connections, until it is dropped.
    pub(crate) async fn serve(&self, all: Vec<Bound>) {
        let (sender, mut accepted) = mpsc::channel(WAITING);
        let places = Arc::new(Semaphore::new(most_connections()));
        for Bound { listeners, remote } in all {
            for listener in listeners {
                let (sender, places) = (sender.clone(), Arc::clone(&places));
                tokio::spawn(accept(listener, remote.clone(), sender, places));
            }
        }
        drop(sender);
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                next = accepted.recv() => match next {
                    Some(accepted) => connections.push(self.connection(accepted)),
                    None => return,
                },
                Some(()) = connections.next() => {}
            }
        }
    }

    async fn connection(&self, accepted: Accepted) {
        let Accepted { stream, remote, _place } = accepted;
        // Otherwise each small answer may wait 40 ms.
        let _ = stream.set_nodelay(true);
        let mut pauses_left = pauses();
        loop {
            let pick = self.current.lock().await.clone();
            let error = match self.dial(&pick, &remote).await {
                Ok(tunnel) => {
                    let over = tunnel.carry(stream).await;
                    return self.warn_about(&pick, &remote, over);
                }
                Err(error) => error,
            };
            // The Pod may be gone, or the API server may be briefly unavailable.
            let found = if is_gone(&error) || ended(&error) || is_lost(&error) {
                self.next(&pick).await
            } else {
                Err(error)
            };
            match (found, pauses_left.next()) {
                (Ok(()), Some(pause)) => sleep(pause).await,
                (Ok(()), None) => return self.complain("a connection could not be made"),
                (Err(error), _) => return self.complain(&clause(format_args!("{error:#}"))),
            }
        }
    }

    async fn dial(&self, pick: &Pick, remote: &Port) -> Result<crate::kubernetes::Tunnel> {
        let cluster = self.session.cluster;
        let port = match remote {
            Port::Number(number) => *number,
            Port::Named(_) => {
                let pod = cluster.get(&POD, &pick.namespace, &pick.pod).await?;
                let gone = || Trouble::Gone(format!("Pod {} is gone", pick.pod));
                let pod = pod.ok_or_else(|| self.session.explain(gone()))?;
                ports::number(remote, &pod)?
            }
            Port::Debugger(app) => self.debug_port(pick, app).await?,
        };
        cluster.dial(&pick.namespace, &pick.pod, port).await
    }

    /// The port at which the application's JVM waits for a debugger.
    async fn debug_port(&self, pick: &Pick, name: &str) -> Result<u16> {
        let apps = match self.session.existing_agent(pick).await? {
            Some(mut agent) => self.session.list(&mut agent).await?.apps,
            None => Vec::new(),
        };
        let port = apps.iter().find(|app| app.name == name).and_then(|app| app.debug_port);
        let none = || {
            Failure::no(
                Topic::NothingStarted,
                format!("No JVM of {name} waits for a debugger yet."),
                "",
            )
        };
        Ok(port.ok_or_else(none)?)
    }

    /// Finds the Pod that replaced `gone`, once for all connections.
    async fn next(&self, gone: &Pick) -> Result<()> {
        let mut current = self.current.lock().await;
        if *current != *gone {
            return Ok(());
        }
        let next = self.session.runs().await?;
        if next.pod != gone.pod || next.uid != gone.uid {
            self.session.terminal.done(&format!("forwarding to {} now", next.pod), None);
        }
        *current = next;
        Ok(())
    }

    fn warn_about(&self, pick: &Pick, remote: &Port, over: Over) {
        match over {
            Over::Closed => {}
            Over::Refused(why) if why.contains("onnection refused") => {
                self.complain(&format!("nothing listens on port {remote} in {}", pick.pod));
            }
            Over::Refused(why) => {
                self.complain(&format!("{} refused a connection: {}", pick.pod, clause(why)));
            }
            Over::Lost(why) => self.complain(&format!("a connection was lost: {}", clause(why))),
        }
    }

    /// Prints a warning, the same one not too often.
    fn complain(&self, what: &str) {
        let now = Instant::now();
        let mut said = self.said.borrow_mut();
        if said.as_ref().is_some_and(|(last, at)| last == what && now - *at < AGAIN) {
            return;
        }
        self.session.terminal.warn(what);
        *said = Some((what.to_owned(), now));
    }
}

/// A local connection and the stream to the Pod.
struct Accepted {
    stream: TcpStream,
    remote: Port,
    /// Returned at its end.
    _place: OwnedSemaphorePermit,
}

/// Accepts connections while there are free slots; others wait in the system's queue.
async fn accept(
    listener: TcpListener,
    remote: Port,
    sender: mpsc::Sender<Accepted>,
    places: Arc<Semaphore>,
) {
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let accepted = Accepted { stream, remote: remote.clone(), _place: place };
                if sender.send(accepted).await.is_err() {
                    return;
                }
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// How many connections this process has file descriptors for: two each, within the hard limit.
fn most_connections() -> usize {
    // Otherwise the limit stays as it is.
    let _ = raise_open_file_limit(u64::MAX);
    let most = usize::try_from(open_file_limit()).unwrap_or(MOST_PLACES);
    (most.saturating_sub(OTHERS) / 2).clamp(1, MOST_PLACES)
}

/// Whether the API server reports that the Pod does not exist any more or does not run.
fn ended(error: &anyhow::Error) -> bool {
    let status = error::status(error);
    status.is_some_and(|status| {
        let words = ["is not running", "not found", "does not exist", "unable to upgrade"];
        status.code == 404
            || (status.code >= 400 && words.iter().any(|word| status.message.contains(word)))
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn free_port_is_bound_for_ipv4_and_ipv6() {
        block(async {
            let bound = Bound::new(&ports::parse(":http").unwrap()).await.unwrap();
            let here: Vec<_> = bound.listeners.iter().map(|l| l.local_addr().unwrap()).collect();
            let port = here[0].port();
            assert!(port > 0 && here.iter().all(|a| a.port() == port && a.ip().is_loopback()));
            let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok();
            let shown = format!("127.0.0.1:{port}, [::1]:{port}");
            assert_eq!(bound.shown(), if v6 { &shown } else { shown.split(',').next().unwrap() });
            assert_eq!(bound.remote(), &Port::Named("http".into()));
            let again = Bound::new(&ports::parse(&format!("{port}:80")).unwrap()).await;
            let error = again.err().unwrap().to_string();
            assert!(error.contains(&format!("Local port {port} is in use")), "{error}");
        });
    }

    #[test]
    fn port_taken_on_ipv6_alone_is_refused() {
        block(async {
            let Ok(other) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else { return };
            let port = other.local_addr().unwrap().port();
            let bound = Bound::new(&ports::parse(&port.to_string()).unwrap()).await;
            assert!(bound.err().unwrap().to_string().contains("is in use"));
        });
    }

    #[test]
    fn forward_accepts_ipv4_and_ipv6_connections() {
        block(async {
            let bound = Bound::new(&ports::parse(":80").unwrap()).await.unwrap();
            let (sender, mut accepted) = mpsc::channel(1);
            let places = Arc::new(Semaphore::new(16));
            let mut clients = Vec::new();
            for listener in bound.listeners {
                let at = listener.local_addr().unwrap();
                let (sender, places) = (sender.clone(), Arc::clone(&places));
                tokio::spawn(accept(listener, bound.remote.clone(), sender, places));
                for _ in 0..8 {
                    clients.push(TcpStream::connect(at).await.unwrap());
                }
            }
            let mut here = Vec::new();
            for _ in &clients {
                let Accepted { mut stream, remote, _place } = accepted.recv().await.unwrap();
                assert_eq!(remote, Port::Number(80));
                stream.write_all(b"x").await.unwrap();
                here.push(stream.peer_addr().unwrap());
            }
            let mut there: Vec<_> = clients.iter().map(|c| c.local_addr().unwrap()).collect();
            here.sort();
            there.sort();
            assert_eq!(here, there);
        });
    }
}
