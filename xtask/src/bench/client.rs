//! The API server's side of a benchmark: kept-alive HTTP/1.1 over TLS, a thread a connection.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use openssl::ssl::{SslConnector, SslMethod, SslStream};

/// What was seen.
pub(super) struct Seen {
    /// How many were answered.
    pub(super) requests: usize,
    /// Bytes of one answer's body.
    pub(super) answer: usize,
    /// Seconds.
    pub(super) p50: f64,
    /// Seconds.
    pub(super) p99: f64,
}

/// Connects to one server.
pub(super) struct Client {
    connector: SslConnector,
    pub(super) address: SocketAddr,
}

impl Client {
    pub(super) fn new(folder: &Path, address: SocketAddr) -> Result<Self> {
        let mut connector = SslConnector::builder(SslMethod::tls_client())?;
        connector.set_ca_file(folder.join("ca.crt"))?;
        Ok(Self { connector: connector.build(), address })
    }

    fn connect(&self) -> Result<SslStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
        self.connector
            .connect("diyadmissionwebhook.test.svc", tcp)
            .map_err(|error| anyhow!("no TLS connection: {error}"))
    }

    /// Connections that stay: a handshake is no part of a review.
    pub(super) fn open(&self, connections: usize) -> Result<Open> {
        let streams = (0..connections).map(|_| self.connect());
        Ok(Open { streams: streams.collect::<Result<_>>()? })
    }
}

/// Kept-alive connections.
pub(super) struct Open {
    streams: Vec<SslStream<TcpStream>>,
}

impl Open {
    /// Posts `body` as often as that, over all connections at once.
    pub(super) fn load(&mut self, body: &[u8], requests: usize) -> Result<Seen> {
        self.load_paced(body, requests, Duration::ZERO)
    }

    /// The same, with a pause before each.
    pub(super) fn load_paced(
        &mut self,
        body: &[u8],
        requests: usize,
        pause: Duration,
    ) -> Result<Seen> {
        let head = format!(
            "POST /mutating-pods?timeout=10s HTTP/1.1\r\nHost: 127.0.0.1:8443\r\nUser-Agent: \
             kube-apiserver-admission\r\nContent-Length: {}\r\nAccept: application/json, \
             */*\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        let each = requests.div_ceil(self.streams.len());
        let outcomes = thread::scope(|scope| {
            let streams = self.streams.iter_mut();
            let threads: Vec<_> =
                streams.map(|stream| scope.spawn(|| ask(stream, &request, each, pause))).collect();
            threads
                .into_iter()
                .map(|t| t.join().map_err(|_| anyhow!("a client died"))?)
                .collect::<Result<Vec<_>>>()
        })?;
        let answer = outcomes.first().map_or(0, |(answer, _)| *answer);
        let mut times: Vec<f64> = outcomes.into_iter().flat_map(|(_, times)| times).collect();
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times[(times.len() - 1) * part / 100];
        Ok(Seen { requests: times.len(), answer, p50: at(50), p99: at(99) })
    }
}

fn ask(
    stream: &mut SslStream<TcpStream>,
    request: &[u8],
    times: usize,
    pause: Duration,
) -> Result<(usize, Vec<f64>)> {
    let mut taken = Vec::with_capacity(times);
    let mut answer = 0;
    let mut buffer = vec![0; 64 * 1024];
    for _ in 0..times {
        if !pause.is_zero() {
            thread::sleep(pause);
        }
        let began = Instant::now();
        stream.write_all(request)?;
        let mut have = 0;
        let (start, length) = loop {
            let read = stream.read(&mut buffer[have..])?;
            ensure!(read > 0, "the server closed");
            have += read;
            let head = &buffer[..have];
            if let Some(end) = head.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = std::str::from_utf8(&head[..end])?.to_ascii_lowercase();
                ensure!(head.starts_with("http/1.1 200"), "{head}");
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .context("no Content-Length")?;
                break (end + 4, length.trim().parse::<usize>()?);
            }
        };
        let mut body = have - start;
        while body < length {
            let read = stream.read(&mut buffer)?;
            ensure!(read > 0, "the server closed");
            body += read;
        }
        answer = length;
        taken.push(began.elapsed().as_secs_f64());
    }
    Ok((answer, taken))
}
