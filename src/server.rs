//! The webhook's server: TLS with reload, bounded bodies, metrics, drain. What an answer says is
//! decided in `admission`; this module never looks into a review.
//!
//! A state is a type: [`Options`] → [`Bound`] (certificates loaded, ports taken) → running.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, dev::Server, web};
use anyhow::{Context, Result};

use crate::workload::Rules;
use metrics::Metrics;
pub use tls::Tls;

mod metrics;
mod review;
mod tls;

/// Longer than the 90 s after which Go's client drops an idle connection: the server must not be
/// the one that closes, or a review races the close.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// What a server is made from.
pub struct Options {
    /// Where reviews are answered (TLS). Port 0 picks one.
    pub listen: SocketAddr,
    /// Where health and metrics are served (plain HTTP).
    pub health: Option<SocketAddr>,
    /// Certificate and key.
    pub tls: Tls,
    /// What emptying does.
    pub rules: Rules,
    /// Threads; the processors, at most 4, where not given.
    pub workers: Option<usize>,
    /// Reviews at once before 503.
    pub max_in_flight: usize,
    /// How long requests are still served once the end is asked for.
    pub drain: Duration,
}

/// What the handlers share.
pub(crate) struct Shared {
    rules: Rules,
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

impl Bound {
    /// Loads the certificate, then takes the ports. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// A certificate or key that cannot be used; a port that cannot be taken.
    pub fn bind(options: Options) -> Result<Self> {
        let (acceptor, watch) = tls::acceptor(options.tls)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = options.workers.unwrap_or(processors.min(4)).max(1);
        let shared = Arc::new(Shared {
            rules: options.rules,
            max_in_flight: options.max_in_flight,
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            metrics: Metrics::default(),
        });

        let data = web::Data::from(shared.clone());
        let reviews = HttpServer::new(move || {
            let path = |path: &str| {
                web::resource(path)
                    .route(web::post().to(review::handle))
                    .default_service(web::to(review::not_allowed))
            };
            App::new()
                .app_data(data.clone())
                .service(path("/mutating-pods"))
                .service(path("/mutating-service"))
                .default_service(web::to(review::not_found))
        })
        .workers(workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(Duration::from_secs(10))
        // A delayed acknowledgement costs 40 ms where Nagle waits for it.
        .tcp_nodelay(true)
        .shutdown_timeout(30)
        .disable_signals()
        .bind_openssl(options.listen, acceptor)
        .with_context(|| format!("--listen {} cannot be used", options.listen))?;
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
            .with_context(|| format!("--health-listen {listen} cannot be used"))?;
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
        if let Some((handle, task)) = health {
            handle.stop(false).await;
            task.await.context("the health server's task failed")??;
        }
        Ok(())
    }
}
