//! The webhook's server: TLS with reload, limited bodies, metrics, drain. `admission` decides the
//! answers; this module never reads a review.
//!
//! Each state is a type: [`Options`] → [`Bound`] (certificates loaded, ports bound) → running.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use actix_http::KeepAlive;
use actix_web::{HttpResponse, dev::Server, web};
use anyhow::{Context, Result};
use tokio::sync::Semaphore;

use crate::{
    exit::{Failure, Topic},
    webhook::admission,
    workload::Rules,
};
use connection::Port;
use metrics::Metrics;
use peers::{Peers, Stage};
pub use tls::Tls;

mod connection;
mod health;
pub mod log;
mod metrics;
mod peers;
mod process;
mod review;
mod rules;
mod tls;

/// Longer than the 90 s after which Go's client drops an idle connection: if the server closed
/// first, a review could be lost.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// Maximum connections to the port of health and metrics: the kubelet and Prometheus need few.
const HEALTH_CONNECTIONS: usize = 64;

/// File descriptors other than connections: files, listeners, the runtime's own.
const OTHER_DESCRIPTORS: usize = 64;

/// Timeout for the handshake and the request's head, which the API server sends at once.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout for reading an answer, which the API server does at once.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often to check for connections that have taken too long.
const SWEEP: Duration = Duration::from_millis(200);

/// Timeouts of the stages of a connection.
fn longest(stage: Stage) -> Duration {
    let grace = Duration::from_secs(2);
    match stage {
        Stage::Handshake => HEAD_TIMEOUT,
        // In these stages actix, and then the handler, answer the peer first.
        Stage::Head => HEAD_TIMEOUT + grace,
        Stage::Idle => KEEP_ALIVE + grace,
        Stage::Body => review::BODY_TIMEOUT + grace,
        Stage::Answer | Stage::Flush => WRITE_TIMEOUT,
        Stage::Review => Duration::MAX,
    }
}

/// Time for requests in flight after the listener is closed; longer than the timeout of a slow
/// body. Together with `--drain` (12 s) it fits the Pod's terminationGracePeriodSeconds (30 s).
const LAST_ANSWERS: Duration = Duration::from_secs(15);

/// Options of a server.
pub struct Options {
    /// Address for reviews (TLS). Port 0 chooses a free one.
    pub listen: SocketAddr,
    /// Address for health and metrics (plain HTTP).
    pub health: Option<SocketAddr>,
    /// Certificate and key.
    pub tls: Tls,
    /// How to empty, from the flags.
    pub rules: Rules,
    /// rules.yaml; reloaded when it changes.
    pub rules_file: Option<PathBuf>,
    /// Number of threads; by default the number of processors, at most 4.
    pub workers: Option<usize>,
    /// Concurrent reviews before 503.
    pub max_in_flight: usize,
    /// Bytes of requests and answers in memory before 503.
    pub max_bytes_in_flight: usize,
    /// Connections at which idle ones are closed; fewer if the process may not open so many files.
    pub max_connections: usize,
    /// How long requests are still served after the shutdown was requested.
    pub drain: Duration,
}

/// State that the handlers share.
pub(crate) struct Shared {
    rules: rules::Live,
    peers: Arc<Peers>,
    /// Maximum number of large reviews that are decided at once.
    large: Semaphore,
    draining: AtomicBool,
    workers: health::Workers,
    metrics: Metrics,
}

/// A server with loaded certificates and bound ports.
pub struct Bound {
    reviews: Server,
    health: Option<Server>,
    addr: SocketAddr,
    health_addr: Option<SocketAddr>,
    watch: tls::Watch,
    shared: Arc<Shared>,
    health_peers: Arc<Peers>,
    drain: Duration,
}

/// The error for an address of `flag` that cannot be bound.
fn taken(flag: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    let what = format!("{flag} cannot listen on {address}: {error}.");
    let other = SocketAddr::new(address.ip(), address.port().wrapping_add(1).max(1024));
    Failure::usage(
        Topic::PortInUse,
        what,
        format!("Stop the process that listens there, or use another: `{flag} {other}`."),
    )
}

/// Binds a port.
fn listen(flag: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = process::listen(address).map_err(|error| taken(flag, address, &error))?;
    let address = listener.local_addr().context("no address was bound")?;
    Ok((listener, address))
}

impl Bound {
    /// Loads the certificate, then binds the ports. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A certificate or key that cannot be used; a port that cannot be taken.
    pub fn bind(options: Options) -> Result<Self> {
        Self::answering(options, admission::review)
    }

    fn answering(options: Options, review: review::Review) -> Result<Self> {
        let (acceptor, watch) = tls::acceptor(options.tls)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = options.workers.unwrap_or(processors.min(4)).max(1);
        let connections = process::allow_descriptors(
            options.max_connections,
            peers::descriptors(HEALTH_CONNECTIONS) + OTHER_DESCRIPTORS,
        );
        let (bytes, reviews) = (options.max_bytes_in_flight, options.max_in_flight);
        let shared = Arc::new(Shared {
            rules: rules::Live::new(options.rules, options.rules_file)?,
            peers: Peers::new(connections, bytes, reviews),
            large: Semaphore::new(workers),
            draining: AtomicBool::new(false),
            workers: health::Workers::default(),
            metrics: Metrics::default(),
        });

        let data = web::Data::from(shared.clone());
        let (listener, addr) = listen("--listen", options.listen)?;
        let port = Port {
            name: "reviews",
            listener,
            tls: Some(acceptor.build()),
            keep_alive: KeepAlive::Timeout(KEEP_ALIVE),
            workers,
            peers: shared.peers.clone(),
        };
        let started = {
            let shared = shared.clone();
            move || shared.workers.add()
        };
        let reviews = port.serve(review::routes(data.clone(), review), started)?;

        // Its answers are small, and nothing is stored.
        let health_peers = Peers::new(HEALTH_CONNECTIONS, 1024 * 1024, HEALTH_CONNECTIONS);
        let (mut health, mut health_addr) = (None, None);
        if let Some(address) = options.health {
            let (listener, addr) = listen("--health-listen", address)?;
            let port = Port {
                name: "health",
                listener,
                tls: None,
                keep_alive: KeepAlive::Disabled,
                workers: 1,
                peers: health_peers.clone(),
            };
            let registry =
                shared.metrics.registry(watch.counters(), &shared.rules, shared.peers.clone());
            let registry = web::Data::new(registry);
            let routes = move |config: &mut web::ServiceConfig| {
                config
                    .app_data(data.clone())
                    .app_data(registry.clone())
                    .route("/healthz", web::get().to(|| async { HttpResponse::Ok().body("ok") }))
                    .route("/readyz", web::get().to(health::ready))
                    .route("/version", web::get().to(health::version))
                    .route("/metrics", web::get().to(metrics::expose));
            };
            health = Some(port.serve(routes, || ())?);
            health_addr = Some(addr);
        }
        let drain = options.drain;
        Ok(Self { reviews, health, addr, health_addr, watch, shared, health_peers, drain })
    }

    /// The address for reviews.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address for health and metrics.
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.health_addr
    }

    /// Serves until `shutdown` completes, then drains: reports not ready, serves requests for a
    /// while with `Connection: close`, closes the listener, and finishes requests in flight.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let handle = self.reviews.handle();
        let health = self.health.map(|health| (health.handle(), tokio::spawn(health)));
        let mut reviews = tokio::spawn(self.reviews);
        let watch = tokio::spawn(self.watch.reload_changes());
        let shared = self.shared.clone();
        let rules = tokio::spawn(async move { shared.rules.watch().await });
        let peers = [self.shared.peers.clone(), self.health_peers];
        let sweep = tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                peers.iter().for_each(|peers| peers.sweep(longest));
            }
        });
        tokio::select! {
            ended = &mut reviews => {
                return Ok(ended.context("the server's task ended unexpectedly")??);
            }
            () = shutdown => {}
        }
        self.shared.draining.store(true, Relaxed);
        tokio::time::sleep(self.drain).await;
        handle.stop(true).await;
        reviews.await.context("the server's task failed")??;
        watch.abort();
        rules.abort();
        sweep.abort();
        if let Some((handle, task)) = health {
            handle.stop(false).await;
            task.await.context("the health server's task failed")??;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpStream,
    };

    use clap::Parser;
    use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

    use super::*;
    use crate::{pki, webhook::manifests};

    fn certificate() -> Tls {
        let conf = manifests::csr_conf("a", "b");
        let request = pki::Request::parse("csr.conf", &conf).unwrap();
        let (service, namespace) = ("a".to_owned(), "b".to_owned());
        let terms = pki::Terms { now: 1_800_000_000, days: 1, ca_days: 1, service, namespace };
        let key = || pki::generate_key(pki::KeyKind::P256).unwrap();
        let bundle = pki::issue(&request, &terms, &key(), &key()).unwrap();
        Tls::Pem { cert: bundle.server_crt.into(), key: bundle.server_key.into_bytes().into() }
    }

    fn ask(stream: &mut (impl Read + Write), request: &str) -> String {
        write!(stream, "{request}").unwrap();
        let mut answer = String::new();
        // A peer that closes without a TLS close_notify has sent everything.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn post(server: SocketAddr, body: &str) -> String {
        let mut any = SslConnector::builder(SslMethod::tls_client()).unwrap();
        any.set_verify(SslVerifyMode::NONE);
        let tcp = TcpStream::connect(server).unwrap();
        let head = "POST /mutating-pods HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                    Content-Type: application/json";
        let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        ask(&mut any.build().connect("x", tcp).unwrap(), &request)
    }

    #[test]
    fn termination_grace_period_is_longer_than_the_drain() {
        let flags = crate::cli::Cli::try_parse_from(["diyadm", "serve"]).unwrap();
        let crate::cli::Command::Serve(serve) = flags.command else { panic!("{flags:?}") };
        let grace = include_str!("../../templates/webhook.yaml")
            .lines()
            .find_map(|line| line.trim().strip_prefix("terminationGracePeriodSeconds: "))
            .unwrap();
        let longest = Duration::from_secs(serve.drain) + LAST_ANSWERS;
        assert!(longest < Duration::from_secs(grace.parse().unwrap()), "{longest:?}, {grace} s");
        assert!(LAST_ANSWERS > review::BODY_TIMEOUT, "a body that comes at last is answered");
    }

    #[test]
    fn panic_is_answered_with_500_and_the_server_keeps_running() {
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            health: Some(([127, 0, 0, 1], 0).into()),
            tls: certificate(),
            rules: Rules::default(),
            rules_file: None,
            // A single thread answers everything, so it must not die.
            workers: Some(1),
            max_in_flight: 1,
            max_bytes_in_flight: 16 * 1024 * 1024,
            max_connections: 16,
            drain: Duration::ZERO,
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let bound = Bound::answering(options, |body, rules, now| {
                assert_ne!(body, b"odd", "what no review should make happen");
                admission::review(body, rules, now)
            });
            let bound = bound.unwrap();
            let (addr, health) = (bound.addr(), bound.health_addr().unwrap());
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let server = tokio::spawn(bound.serve(async { drop(stopped.await) }));
            let client = tokio::task::spawn_blocking(move || {
                for _ in 0..3 {
                    let answer = post(addr, "odd");
                    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
                    assert!(answer.contains("\"kind\":\"Status\""), "{answer}");
                    assert!(answer.contains("diyadm: a bug kept the review from"), "{answer}");
                    assert!(!answer.contains("what no review"), "{answer}");
                }
                let answer = post(addr, "{}");
                assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
                let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
                let metrics = ask(&mut TcpStream::connect(health).unwrap(), request);
                assert!(metrics.contains("diyadm_refused_total{code=\"500\"} 3\n"), "{metrics}");
                assert!(metrics.contains("diyadm_reviews_in_flight 0\n"), "{metrics}");
            });
            client.await.unwrap();
            drop(stop);
            server.await.unwrap().unwrap();
        });
    }
}
