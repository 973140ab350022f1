//! A fresh TLS connection to the webhook's server. The API server keeps its own open, so that a
//! certificate that is wrong by now shows only when it connects anew.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    ssl::{HandshakeError, Ssl, SslConnector, SslMethod},
    x509::{X509, store::X509StoreBuilder, verify::X509CheckFlags},
};
use serde_json::Value;

use crate::checks::{Connection, Look, Subject, port_name, ready, url_host};

/// What is in reach answers much sooner.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Where a webhook is called, and whom the API server trusts there.
#[derive(PartialEq, Eq)]
struct Place {
    /// The name that the certificate must have.
    host: String,
    address: String,
    port: u16,
    bundle: Vec<u8>,
}

/// Connects to wherever the webhooks of `configuration` point: their URLs, or the first ready
/// endpoint of the Service. Each place once.
pub(super) async fn try_all(
    configuration: &Value,
    subject: &Subject,
    service: &Look<Option<Value>>,
    slices: &Look<Vec<Value>>,
) -> Look<Vec<Connection>> {
    let mut places: Vec<Place> = Vec::new();
    for webhook in configuration["webhooks"].as_array().into_iter().flatten() {
        let client = &webhook["clientConfig"];
        let Some((host, address, port)) = place(client, subject, service, slices)? else {
            continue;
        };
        let bundle = client["caBundle"].as_str().unwrap_or_default();
        let bundle = STANDARD.decode(bundle).unwrap_or_default();
        let place = Place { host, address, port, bundle };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let connect_all = move || places.iter().map(connect).collect();
    tokio::task::spawn_blocking(connect_all).await.map_err(|e| e.to_string())?
}

/// Host, address and port; `None` where nothing is ready.
fn place(
    client: &Value,
    subject: &Subject,
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

fn connect(Place { host, address, port, bundle }: &Place) -> Look<Connection> {
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
    let prepare = || {
        tcp.set_read_timeout(Some(TIMEOUT))?;
        tcp.set_write_timeout(Some(TIMEOUT))?;
        let mut store = X509StoreBuilder::new()?;
        for ca in X509::stack_from_pem(bundle).unwrap_or_default() {
            store.add_cert(ca)?;
        }
        let mut connector = SslConnector::builder(SslMethod::tls_client())?;
        // Replaces the machine's own trust.
        connector.set_cert_store(store.build());
        verified_as(&connector.build(), host)
    };
    let ssl = prepare().map_err(|error| format!("{error:#}"))?;
    Ok(match ssl.connect(tcp) {
        Ok(_) => Connection::Trusted(place),
        Err(error) => Connection::Refused(place, reason(&error)),
    })
}

/// A handshake that asks what Go asks: `host` among the subjectAltNames, the common name counts
/// for nothing (OpenSSL by itself takes it where there are no such names).
pub(in crate::commands) fn verified_as(connector: &SslConnector, host: &str) -> Result<Ssl> {
    // The name is given below, with flags that the connector's own way would set anew.
    let mut ssl = connector.configure()?.verify_hostname(false).into_ssl(host)?;
    let param = ssl.param_mut();
    param.set_hostflags(X509CheckFlags::NEVER_CHECK_SUBJECT | X509CheckFlags::NO_PARTIAL_WILDCARDS);
    match host.parse() {
        Ok(address) => param.set_ip(address)?,
        Err(_) => param.set_host(host)?,
    }
    Ok(ssl)
}

/// OpenSSL's word for the certificate, where that is what was wrong; else for the connection.
fn reason<S: std::fmt::Debug>(error: &HandshakeError<S>) -> String {
    let stream = match error {
        HandshakeError::SetupFailure(stack) => return stack.to_string(),
        HandshakeError::WouldBlock(_) => return "no answer in time".to_owned(),
        HandshakeError::Failure(stream) => stream,
    };
    let verdict = stream.ssl().verify_result();
    if verdict != openssl::x509::X509VerifyResult::OK {
        return format!("its certificate is not trusted: {verdict}");
    }
    let first = stream.error().ssl_error().and_then(|stack| stack.errors().first().cloned());
    match first.as_ref().and_then(openssl::error::Error::reason) {
        Some("wrong version number" | "http request" | "packet length too long") => {
            "it does not speak TLS".to_owned()
        }
        Some(reason) => reason.to_owned(),
        None => format!("it closed the connection ({})", stream.error()),
    }
}
