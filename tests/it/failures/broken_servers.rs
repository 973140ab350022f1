//! Broken servers: each has a wrong certificate or a wrong answer.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Private},
    ssl::{SslAcceptor, SslMethod},
    x509::{
        X509, X509Name,
        extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName},
    },
};
use serde_json::Value;

/// A CA, and certificates as wrong as a row wants them.
pub(super) struct Authority {
    key: PKey<Private>,
    cert: X509,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Flaw {
    None,
    Expired,
    OtherName,
    CommonNameOnly,
    ClientOnly,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = diyadm::pki::generate_key(diyadm::pki::KeyKind::P256).unwrap();
        let cert = build(&key, &key, "the CA", "the CA", 3650, |builder| {
            let ca = BasicConstraints::new().critical().ca().build().unwrap();
            builder.append_extension(ca).unwrap();
        });
        Self { key, cert }
    }

    pub(super) fn pem(&self) -> Vec<u8> {
        self.cert.to_pem().unwrap()
    }

    /// An acceptor whose certificate is for 127.0.0.1, but for its flaw.
    fn acceptor(&self, flaw: Flaw) -> SslAcceptor {
        let key = diyadm::pki::generate_key(diyadm::pki::KeyKind::P256).unwrap();
        let days = if flaw == Flaw::Expired { -1 } else { 10 };
        let cert = build(&key, &self.key, "127.0.0.1", "the CA", days, |builder| {
            let usage = match flaw {
                Flaw::ClientOnly => ExtendedKeyUsage::new().client_auth().build(),
                _ => ExtendedKeyUsage::new().server_auth().build(),
            };
            builder.append_extension(usage.unwrap()).unwrap();
            let mut san = SubjectAlternativeName::new();
            match flaw {
                Flaw::CommonNameOnly => return,
                Flaw::OtherName => san.dns("else.test.svc"),
                _ => san.ip("127.0.0.1"),
            };
            let san = san.build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(san).unwrap();
        });
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate(&cert).unwrap();
        acceptor.set_private_key(&key).unwrap();
        acceptor.build()
    }
}

fn build(
    key: &PKey<Private>,
    signer: &PKey<Private>,
    subject: &str,
    issuer: &str,
    days: i64,
    extend: impl FnOnce(&mut openssl::x509::X509Builder),
) -> X509 {
    let name = |text: &str| {
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_text("CN", text).unwrap();
        name.build()
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let at = |days: i64| Asn1Time::from_unix(now + days * 86_400).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(u32::try_from(now % 1_000_000).unwrap()).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_not_before(&at(-20)).unwrap();
    builder.set_not_after(&at(days)).unwrap();
    builder.set_subject_name(&name(subject)).unwrap();
    builder.set_issuer_name(&name(issuer)).unwrap();
    builder.set_pubkey(key).unwrap();
    extend(&mut builder);
    builder.sign(signer, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// What stands at the webhook's address.
pub(super) enum Stand {
    /// TLS with this flaw, and these answers: status line and body, made from the request's uid.
    Tls(Flaw, fn(&str) -> (u16, Value)),
    /// TLS with a certificate of the test's own, and these answers.
    As(SslAcceptor, fn(&str) -> (u16, Value)),
    /// Accepts and never says a word.
    Mute,
    /// Accepts and closes.
    Closes,
    /// HTTP without TLS.
    Plain,
    /// Nobody listens.
    Nobody,
}

/// Serves on a loopback port until the test's process ends; a thread a connection, a few at most.
pub(super) fn stand(authority: &Authority, stand: Stand) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = match &stand {
        Stand::Nobody => return port,
        Stand::Tls(flaw, _) => Some(authority.acceptor(*flaw)),
        Stand::As(acceptor, _) => Some(acceptor.clone()),
        _ => None,
    };
    thread::spawn(move || {
        let mut kept = Vec::new();
        for tcp in listener.incoming().flatten().take(1000) {
            match &stand {
                Stand::Mute => kept.push(tcp),
                Stand::Plain => {
                    let mut tcp = tcp;
                    let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                    drain(&tcp);
                }
                Stand::Tls(_, answer) | Stand::As(_, answer) => {
                    let (acceptor, answer) = (acceptor.clone().unwrap(), *answer);
                    thread::spawn(move || serve(&acceptor, tcp, answer));
                }
                Stand::Closes | Stand::Nobody => drop(tcp),
            }
        }
    });
    port
}

/// Reads what still comes, so that closing does not reset what was answered.
fn drain(tcp: &TcpStream) {
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let _ = tcp.shutdown(std::net::Shutdown::Write);
    let _ = tcp.take(1 << 20).read_to_end(&mut Vec::new());
}

fn serve(acceptor: &SslAcceptor, tcp: TcpStream, answer: fn(&str) -> (u16, Value)) {
    let Ok(tls) = acceptor.accept(tcp) else { return };
    let mut tls = BufReader::new(tls);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if tls.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if tls.read_exact(&mut body).is_err() {
            return;
        }
        let review: Value = serde_json::from_slice(&body).unwrap();
        let (status, body) = answer(review["request"]["uid"].as_str().unwrap());
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if tls.get_mut().write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}
