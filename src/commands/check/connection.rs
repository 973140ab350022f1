//! A fresh TLS connection to the webhook's server. The API server keeps its own open, so that a
//! certificate that is wrong by now shows only when it connects anew.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    ssl::{HandshakeError, SslConnector, SslMethod},
    x509::{X509, store::X509StoreBuilder},
};
use serde_json::Value;

use crate::checks::{Connection, Look, Subject, url_host};

/// What is in reach answers much sooner.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Connects to where `configuration` points: its URL, or the first ready endpoint.
pub(super) async fn try_it(
    configuration: &Value,
    subject: &Subject,
    endpoints: Result<Vec<(String, u16)>, &String>,
) -> Look<Option<Connection>> {
    let client = &configuration["webhooks"][0]["clientConfig"];
    let (host, address, port) = match client["url"].as_str() {
        Some(url) => {
            let host = url_host(url).ok_or("the URL has no host")?;
            let authority = url.trim_start_matches("https://").split('/').next();
            let port = authority.and_then(|a| a.rsplit_once(':')).and_then(|(_, p)| p.parse().ok());
            (host.clone(), host, port.unwrap_or(443))
        }
        None => match endpoints.map_err(Clone::clone)?.into_iter().next() {
            Some((address, port)) => {
                (format!("{}.{}.svc", subject.service, subject.namespace), address, port)
            }
            None => return Ok(None),
        },
    };
    let bundle = client["caBundle"].as_str().unwrap_or_default();
    let bundle = STANDARD.decode(bundle).unwrap_or_default();
    let connect = move || connect(&host, &address, port, &bundle);
    tokio::task::spawn_blocking(connect).await.map_err(|e| e.to_string())?.map(Some)
}

fn connect(host: &str, address: &str, port: u16, bundle: &[u8]) -> Look<Connection> {
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
        anyhow::Ok(connector.build())
    };
    let connector = prepare().map_err(|error| format!("{error:#}"))?;
    Ok(match connector.connect(host, tcp) {
        Ok(_) => Connection::Trusted(place),
        Err(error) => Connection::Refused(place, reason(&error)),
    })
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
