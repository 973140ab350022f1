//! `diyadm serve`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::ways::Ways;

/// Flags of `serve`.
#[derive(Args, Debug, Clone)]
pub struct Serve {
    /// The server's certificate chain, PEM; read again when it changes
    #[arg(long, default_value = "/etc/webhook/certs/server.crt", value_name = "FILE")]
    pub cert: PathBuf,
    /// The server's key, PEM; read again when it changes
    #[arg(long, default_value = "/etc/webhook/certs/server.key", value_name = "FILE")]
    pub key: PathBuf,
    /// Where the API server reaches the webhook (TLS)
    #[arg(long, default_value = "0.0.0.0:8443", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Where health, readiness and metrics are served (plain HTTP)
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    pub health_listen: SocketAddr,
    /// How workloads are emptied; --rules is read again as it changes, and may come later
    #[command(flatten)]
    pub ways: Ways,
    /// Threads that answer reviews (default: the processors, at most 4)
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Reviews in flight before the server answers 503
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub max_in_flight: usize,
    /// Seconds that requests are still served after SIGTERM
    #[arg(long, default_value_t = 12, value_name = "SECONDS")]
    pub drain: u64,
    /// Name of the webhook itself (Deployment, Service), never emptied: NAMESPACE/NAME
    #[arg(long, default_value = "test/diyadmissionwebhook", value_name = "NAMESPACE/NAME")]
    pub self_name: String,
}
