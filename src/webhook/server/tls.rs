//! The certificate and key: loaded before a port is bound, and again when the files change.

use std::{
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use openssl::{
    ssl::{SslAcceptor, SslAcceptorBuilder, SslContext, SslMethod, SslMode, SslVersion},
    x509::X509,
};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use zeroize::Zeroizing;

use super::process::read_secret;
use crate::{
    exit::{Failure, Topic, quoted},
    pki::{self, Fault},
};

/// The source of certificate and key.
#[derive(Clone)]
pub enum Tls {
    /// PEM in memory; never reloaded.
    Pem {
        /// The chain, the server's own first.
        cert: Vec<u8>,
        /// The key.
        key: Zeroizing<Vec<u8>>,
    },
    /// PEM files, reloaded when they change: the kubelet swaps a symlink when a Secret changes.
    Files {
        /// The chain.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

impl Tls {
    /// Names of certificate and key in errors.
    fn names(&self) -> (String, String) {
        match self {
            Self::Pem { .. } => ("the certificate".to_owned(), "the key".to_owned()),
            Self::Files { cert, key } => {
                (format!("--cert {}", cert.display()), format!("--key {}", key.display()))
            }
        }
    }
}

/// The certificate's metrics; clones share the counters.
#[derive(Clone, Default)]
pub(super) struct Counters {
    pub(super) not_after: Gauge,
    pub(super) reloaded: Counter,
    pub(super) refused: Counter,
}

/// The chain and the key, PEM; overwritten when dropped.
type Pair = (Vec<u8>, Zeroizing<Vec<u8>>);

/// A fingerprint of a pair, so that the key is not stored.
fn digest((cert, key): &Pair) -> [blake3::Hash; 2] {
    [blake3::hash(cert), blake3::hash(key)]
}

/// Checks the files every second.
pub(super) struct Watch {
    tls: Tls,
    context: Arc<RwLock<SslContext>>,
    counters: Counters,
    first: [blake3::Hash; 2],
}

/// The TLS acceptor, and the task that reloads its certificate.
pub(super) fn acceptor(tls: Tls) -> Result<(SslAcceptorBuilder, Watch)> {
    let first = read_pair(&tls)?;
    let context = Arc::new(RwLock::new(usable(&tls, &first)?));
    let counters = Counters::default();
    counters.not_after.set(not_after(&first));
    let mut builder = builder(&tls, &first)?;
    let current = context.clone();
    // OpenSSL calls this at every handshake, with or without a server name.
    builder.set_servername_callback(move |ssl, _| {
        if let Ok(context) = current.read() {
            // Fails only without memory; then the first certificate stays.
            let _ = ssl.set_ssl_context(&context);
        }
        Ok(())
    });
    let first = digest(&first);
    Ok((builder, Watch { tls, context, counters, first }))
}

impl Watch {
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Never ends. An unusable new pair is rejected, and the old one stays.
    pub(super) async fn reload_changes(self) {
        let (mut judged, mut doubted) = (Ok(self.first), None);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let read = read_pair(&self.tls).map_err(|error| format!("{error:#}"));
            let seen = read.as_ref().map(digest).map_err(Clone::clone);
            if seen == judged {
                doubted = None;
                continue;
            }
            let usable = read.and_then(|pair| {
                let context = usable(&self.tls, &pair).map_err(|error| format!("{error:#}"))?;
                Ok((context, not_after(&pair)))
            });
            match usable {
                Ok((context, not_after)) => {
                    if let Ok(mut current) = self.context.write() {
                        *current = context;
                    }
                    self.counters.not_after.set(not_after);
                    self.counters.reloaded.inc();
                    tracing::info!("certificate reloaded");
                }
                // The two files are read one after the other, possibly during a change. A problem
                // that persists at the next check is real.
                Err(_) if doubted.as_ref() != Some(&seen) => {
                    doubted = Some(seen);
                    continue;
                }
                Err(error) => {
                    self.counters.refused.inc();
                    tracing::error!(error, "new certificate rejected");
                }
            }
            (judged, doubted) = (seen, None);
        }
    }
}

fn read_pair(tls: &Tls) -> Result<Pair> {
    match tls {
        Tls::Pem { cert, key } => Ok((cert.clone(), key.clone())),
        Tls::Files { cert, key } => Ok((
            read_secret(cert).with_context(|| format!("--cert {}", cert.display()))?.to_vec(),
            read_secret(key).with_context(|| format!("--key {}", key.display()))?,
        )),
    }
}

/// A pair that the API server may accept. An expired pair only gets a warning, since the clock may
/// be wrong.
fn usable(tls: &Tls, pair: &Pair) -> Result<SslContext> {
    let context = builder(tls, pair)?.build().into_context();
    let now = jiff::Timestamp::now().as_second();
    match pki::verify_own(&pair.0, &pair.1, now) {
        Ok(_) => {}
        Err(fault @ (Fault::Expired | Fault::NotYetValid)) => {
            let (fault, clock) = (fault.to_string(), pki::rfc3339(now));
            tracing::warn!(fault, clock, "the API server will reject the certificate");
        }
        Err(fault) => return Err(anyhow!("{}: {fault}", tls.names().0)),
    }
    Ok(context)
}

/// Errors name the flag and the file, and never quote the content.
fn builder(tls: &Tls, (cert, key): &Pair) -> Result<SslAcceptorBuilder> {
    let (of_cert, of_key) = tls.names();
    let stranger = || format!("{of_key}: the key does not belong to the certificate of {of_cert}");
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    // An idle connection keeps no buffers.
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    let chain = X509::stack_from_pem(cert)
        .with_context(|| format!("{of_cert}: this is not a PEM certificate"))?;
    let first = chain.split_first();
    let (leaf, rest) =
        first.with_context(|| format!("{of_cert}: there is no certificate in it"))?;
    builder.set_certificate(leaf)?;
    for certificate in rest {
        builder.add_extra_chain_cert(certificate.clone())?;
    }
    let key = pki::private_key(key).map_err(|fault| -> anyhow::Error {
        let what = format!("{of_key}: the key {fault}");
        let file = match tls {
            Tls::Pem { .. } => String::new(),
            Tls::Files { key, .. } => quoted(&key.display().to_string()),
        };
        match fault.hint(&file) {
            Some(hint) => Failure::usage(Topic::Certificates, format!("{what}."), hint).into(),
            None => anyhow!(what),
        }
    })?;
    builder.set_private_key(&key).with_context(stranger)?;
    builder.check_private_key().with_context(stranger)?;
    Ok(builder)
}

fn not_after((cert, _): &Pair) -> i64 {
    let facts = pki::inspect(cert, None).unwrap_or_default();
    facts.first().map(|facts| facts.not_after).unwrap_or_default()
}
