//! Opens a fresh TLS connection to the webhook's server. The API server keeps its own open, so that
//! an invalid certificate appears only when it reconnects.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use anyhow::{Result, anyhow};
use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::ssl::{HandshakeError, SslConnector, SslMethod, SslStream, SslVerifyMode};
use serde_json::Value;

use crate::{
    operations::certificates,
    pki,
    webhook::checks::{CheckSubject, Connection, Look, port_name, ready, url_host},
};

/// A reachable server answers much faster.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The address of a webhook, and the CAs that the API server trusts for it.
#[derive(PartialEq, Eq)]
struct Endpoint {
    /// The name that the certificate must have.
    host: String,
    address: String,
    port: u16,
    bundle: Vec<u8>,
}

/// Connects to the addresses of the webhooks in `configuration`: their URLs, or the first ready
/// endpoint of the Service. Each address once.
pub(super) async fn try_all(
    configuration: &Value,
    subject: &CheckSubject,
    service: &Look<Option<Value>>,
    slices: &Look<Vec<Value>>,
) -> Look<Vec<Connection>> {
    let mut places: Vec<Endpoint> = Vec::new();
    for webhook in configuration["webhooks"].as_array().into_iter().flatten() {
        let client = &webhook["clientConfig"];
        let Some((host, address, port)) = place(client, subject, service, slices)? else {
            continue;
        };
        let bundle = client["caBundle"].as_str().unwrap_or_default();
        let bundle = STANDARD.decode(bundle).unwrap_or_default();
        let place = Endpoint { host, address, port, bundle };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let connect_all = move || places.iter().map(connect).collect();
    tokio::task::spawn_blocking(connect_all).await.map_err(|e| e.to_string())?
}

/// Host, address and port; `None` if nothing is ready.
fn place(
    client: &Value,
    subject: &CheckSubject,
    service: &Look<Option<Value>>,
    slices: &Look<Vec<Value>>,
) -> Look<Option<(String, String, u16)>> {
    if let Some(url) = client["url"].as_str() {
        let host = url_host(url).ok_or("the URL has no host")?;
        let authority = url.trim_start_matches("https://").split('/').next();
        let port = authority.and_then(|a| a.rsplit_once(':')).and_then(|(_, p)| p.parse().ok());
        return Ok(Some((host.clone(), host, port.unwrap_or(443))));
    }
    let name = service.as_ref().map_err(Clone::clone)?.as_ref().and_then(|s| port_name(s, client));
    let ready = ready(slices.as_ref().map_err(Clone::clone)?, name);
    let host = format!("{}.{}.svc", subject.service, subject.webhook_namespace);
    Ok(ready.into_iter().next().map(|(address, port)| (host, address, port)))
}

fn connect(Endpoint { host, address, port, bundle }: &Endpoint) -> Look<Connection> {
    let (address, port) = (address.as_str(), *port);
    let place = if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    };
    let tcp = (address, port)
        .to_socket_addrs()
        .and_then(|mut all| all.next().ok_or_else(|| io::ErrorKind::NotFound.into()))
        .and_then(|address| TcpStream::connect_timeout(&address, TIMEOUT));
    let tcp = match tcp {
        Ok(tcp) => tcp,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Ok(Connection::Refused(place, "nothing listens there".to_owned()));
        }
        Err(error) => return Ok(Connection::NotFromHere(place, error.to_string())),
    };
    let timeouts =
        tcp.set_read_timeout(Some(TIMEOUT)).and_then(|()| tcp.set_write_timeout(Some(TIMEOUT)));
    timeouts.map_err(|error| error.to_string())?;
    Ok(match connect_as(host, bundle, tcp) {
        Ok(_) => Connection::Trusted(place),
        Err(error) => Connection::Refused(place, format!("{error:#}")),
    })
}

/// A handshake, after which the server's certificate is verified as by the API server: with only
/// the CAs in `bundle` (PEM), for `host`.
pub(crate) fn connect_as(
    host: &str,
    bundle: &[u8],
    tcp: TcpStream,
) -> Result<SslStream<TcpStream>> {
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    // OpenSSL's own verification is ignored.
    connector.set_verify(SslVerifyMode::NONE);
    connector.set_security_level(0);
    let ssl = connector.build().configure()?.verify_hostname(false).into_ssl(host)?;
    let stream = ssl.connect(tcp).map_err(|error| anyhow!(reason(&error)))?;
    let sent = stream.ssl().peer_cert_chain().into_iter().flatten();
    let sent: Vec<_> = sent.map(ToOwned::to_owned).collect();
    pki::verify_peer(bundle, &sent, host, certificates::now()?)
        .map_err(|fault| anyhow!("its certificate is not trusted: {fault}"))?;
    Ok(stream)
}

/// Why the handshake failed, from OpenSSL's errors.
fn reason<S: std::fmt::Debug>(error: &HandshakeError<S>) -> String {
    let stream = match error {
        HandshakeError::SetupFailure(stack) => return stack.to_string(),
        HandshakeError::WouldBlock(_) => return "no answer in time".to_owned(),
        HandshakeError::Failure(stream) => stream,
    };
    let first = stream.error().ssl_error().and_then(|stack| stack.errors().first().cloned());
    match first.as_ref().and_then(openssl::error::Error::reason) {
        Some("wrong version number" | "http request" | "packet length too long") => {
            "it does not speak TLS".to_owned()
        }
        Some(reason) => reason.to_owned(),
        None => format!("it closed the connection ({})", stream.error()),
    }
}
