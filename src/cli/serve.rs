//! `diyadm serve`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use crate::operations::flags::EmptyingFlags;

/// Flags of `serve`.
#[derive(Args, Debug, Clone)]
pub struct Serve {
    /// The server's certificate chain, PEM; reloaded when it changes
    #[arg(long, default_value = "/etc/webhook/certs/server.crt", value_name = "FILE")]
    pub cert: PathBuf,
    /// The server's key, PEM; reloaded when it changes
    #[arg(long, default_value = "/etc/webhook/certs/server.key", value_name = "FILE")]
    pub key: PathBuf,
    /// Address that serves the webhook (TLS)
    #[arg(long, default_value = "0.0.0.0:8443", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Address that serves health, readiness and metrics (plain HTTP)
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    pub health_listen: SocketAddr,
    /// Threads that answer reviews [default: the number of processors, at most 4]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Reviews in flight before the server answers 503
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub max_in_flight: usize,
    /// Bytes of requests and answers in memory before the server answers 503, such as 64Mi; 16Mi
    /// at least
    #[arg(long, default_value = "64Mi", value_name = "BYTES", value_parser = parse_bytes)]
    pub max_bytes_in_flight: usize,
    /// Connections at which idle ones are closed for new ones
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub max_connections: usize,
    /// Seconds that requests are still served after SIGTERM
    #[arg(long, default_value_t = 12, value_name = "SECONDS")]
    pub drain: u64,
    /// Name of the webhook itself (Deployment, Service), never emptied: NAMESPACE/NAME
    #[arg(long, default_value = "test/diyadmissionwebhook", value_name = "NAMESPACE/NAME")]
    pub self_name: String,
    /// How workloads are emptied; --rules is reloaded when it changes, and may be created later
    #[command(flatten)]
    pub ways: EmptyingFlags,
}

/// The largest review has 7 MiB, and its answer has about the same size.
const LEAST_BYTES: usize = 16 * 1024 * 1024;

/// Parses a number of bytes as in Kubernetes: plain, or with `Ki`, `Mi`, `Gi`.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let unit = |end: &str, shift: u32| Some((text.strip_suffix(end)?, shift));
    let (number, shift) =
        unit("Ki", 10).or_else(|| unit("Mi", 20)).or_else(|| unit("Gi", 30)).unwrap_or((text, 0));
    let bytes = number.parse::<usize>().ok().and_then(|n| n.checked_mul(1 << shift));
    let bytes = bytes.ok_or("use a number of bytes such as 64Mi")?;
    if bytes < LEAST_BYTES { Err("use 16Mi or more".to_owned()) } else { Ok(bytes) }
}
