//! The webhook's server: TLS with reload, bounded bodies, metrics, drain. What an answer says is
//! decided in `admission`; this module never looks into a review.
//!
//! A state is a type: [`Options`] → [`Bound`] (certificates loaded, ports taken) → running.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, dev::Server, web};
use anyhow::{Context, Result};

use crate::{admission, exit::Failure, workload::Rules};
use metrics::Metrics;
pub use tls::Tls;

pub mod log;
mod metrics;
mod review;
mod rules;
mod tls;

/// Longer than the 90 s after which Go's client drops an idle connection: the server must not be
/// the one that closes, or a review races the close.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// Connections of one thread, each some 50 KiB at the most. actix stops at 256 that are still in their
/// handshake: so many that say nothing would keep all others out.
const CONNECTIONS: usize = 2048;

/// The API server shakes hands, and writes a head, at once.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// What is in flight once the listener is closed has this long, more than a slow body may take.
/// With `--drain` (12 s) it stays within the Pod's terminationGracePeriodSeconds (30 s).
const LAST_ANSWERS: Duration = Duration::from_secs(15);

/// What a server is made from.
pub struct Options {
    /// Where reviews are answered (TLS). Port 0 picks one.
    pub listen: SocketAddr,
    /// Where health and metrics are served (plain HTTP).
    pub health: Option<SocketAddr>,
    /// Certificate and key.
    pub tls: Tls,
    /// What emptying does, as the flags say.
    pub rules: Rules,
    /// rules.yaml; read again as it changes.
    pub rules_file: Option<PathBuf>,
    /// Threads; the processors, at most 4, where not given.
    pub workers: Option<usize>,
    /// Reviews at once before 503.
    pub max_in_flight: usize,
    /// How long requests are still served once the end is asked for.
    pub drain: Duration,
}

/// What the handlers share.
pub(crate) struct Shared {
    rules: rules::Live,
    max_in_flight: usize,
    in_flight: AtomicUsize,
    draining: AtomicBool,
    metrics: Metrics,
}

/// Certificates are loaded and ports are taken.
pub struct Bound {
    reviews: Server,
    health: Option<Server>,
    addr: SocketAddr,
    health_addr: Option<SocketAddr>,
    watch: tls::Watch,
    shared: Arc<Shared>,
    drain: Duration,
}

/// An address that `flag` names and that cannot be listened at.
fn taken(flag: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    let what = format!("{flag} {address} cannot be listened at: {error}.");
    let other = SocketAddr::new(address.ip(), address.port().wrapping_add(1).max(1024));
    Failure::usage(what, format!("Stop what listens there, or name another: `{flag} {other}`."))
}

impl Bound {
    /// Loads the certificate, then takes the ports. Call it inside a tokio runtime.
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
        let shared = Arc::new(Shared {
            rules: rules::Live::new(options.rules, options.rules_file)?,
            max_in_flight: options.max_in_flight,
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            metrics: Metrics::default(),
        });

        let data = web::Data::from(shared.clone());
        let reviews =
            HttpServer::new(move || App::new().configure(review::routes(data.clone(), review)))
                .workers(workers)
                .keep_alive(KEEP_ALIVE)
                .max_connections(CONNECTIONS)
                .max_connection_rate(CONNECTIONS)
                .tls_handshake_timeout(HEAD_TIMEOUT)
                .client_request_timeout(HEAD_TIMEOUT)
                // A delayed acknowledgement costs 40 ms where Nagle waits for it.
                .tcp_nodelay(true)
                .shutdown_timeout(LAST_ANSWERS.as_secs())
                .disable_signals()
                .bind_openssl(options.listen, acceptor)
                .map_err(|error| taken("--listen", options.listen, &error))?;
        let addr = *reviews.addrs().first().context("no address was bound")?;

        let (mut health, mut health_addr) = (None, None);
        if let Some(listen) = options.health {
            let (data, counters) = (web::Data::from(shared.clone()), watch.counters());
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(data.clone())
                    .app_data(web::Data::from(counters.clone()))
                    .route("/healthz", web::get().to(|| async { HttpResponse::Ok().body("ok") }))
                    .route("/readyz", web::get().to(metrics::ready))
                    .route("/metrics", web::get().to(metrics::expose))
            })
            .workers(1)
            .disable_signals()
            .bind(listen)
            .map_err(|error| taken("--health-listen", listen, &error))?;
            health_addr = server.addrs().first().copied();
            health = Some(server.run());
        }
        let (reviews, drain) = (reviews.run(), options.drain);
        Ok(Self { reviews, health, addr, health_addr, watch, shared, drain })
    }

    /// Where reviews are answered.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where health and metrics are served.
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.health_addr
    }

    /// Serves until `shutdown` ends, then drains: not ready any more, requests served a while
    /// with `Connection: close`, the listener closed, what is in flight ended.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let handle = self.reviews.handle();
        let health = self.health.map(|health| (health.handle(), tokio::spawn(health)));
        let mut reviews = tokio::spawn(self.reviews);
        let watch = tokio::spawn(self.watch.run());
        let shared = self.shared.clone();
        let rules = tokio::spawn(async move { shared.rules.watch().await });
        tokio::select! {
            ended = &mut reviews => {
                return Ok(ended.context("the server's task ended by itself")??);
            }
            () = shutdown => {}
        }
        self.shared.draining.store(true, Relaxed);
        tokio::time::sleep(self.drain).await;
        handle.stop(true).await;
        reviews.await.context("the server's task failed")??;
        watch.abort();
        rules.abort();
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
    use crate::{manifests, pki};

    fn certificate() -> Tls {
        let conf = manifests::csr_conf("a", "b");
        let request = pki::Request::parse("csr.conf", &conf).unwrap();
        let (service, namespace) = ("a".to_owned(), "b".to_owned());
        let terms = pki::Terms { now: 1_800_000_000, days: 1, ca_days: 1, service, namespace };
        let key = || pki::generate_key(pki::KeyKind::P256).unwrap();
        let bundle = pki::issue(&request, &terms, &key(), &key()).unwrap();
        Tls::Pem { cert: bundle.server_crt.into(), key: bundle.server_key.into() }
    }

    fn ask(stream: &mut (impl Read + Write), request: &str) -> String {
        write!(stream, "{request}").unwrap();
        let mut answer = String::new();
        // A peer that closes without a farewell has said all that it had to say.
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
    fn the_pod_outlives_the_drain() {
        let flags = crate::cli::Cli::try_parse_from(["diyadm", "serve"]).unwrap();
        let crate::cli::Command::Serve(serve) = flags.command else { panic!("{flags:?}") };
        let grace = include_str!("../templates/webhook.yaml")
            .lines()
            .find_map(|line| line.trim().strip_prefix("terminationGracePeriodSeconds: "))
            .unwrap();
        let longest = Duration::from_secs(serve.drain) + LAST_ANSWERS;
        assert!(longest < Duration::from_secs(grace.parse().unwrap()), "{longest:?}, {grace} s");
        assert!(LAST_ANSWERS > review::BODY_TIMEOUT, "a body that comes at last is answered");
    }

    #[test]
    fn a_panic_is_answered_with_500_and_the_server_lives() {
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            health: Some(([127, 0, 0, 1], 0).into()),
            tls: certificate(),
            rules: Rules::default(),
            rules_file: None,
            // One thread answers all: it has to live on.
            workers: Some(1),
            max_in_flight: 1,
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
            let server = tokio::spawn(bound.run(async { drop(stopped.await) }));
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
