//! The trusted CAs, and the client certificate.

use std::{env, fs, net::IpAddr, path::PathBuf};

use anyhow::{Context, Result};
use hyper_openssl::client::legacy::HttpsConnector;
use kube::Config;
use openssl::{
    error::ErrorStack,
    pkey::{PKey, Private},
    ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVerifyMode},
    x509::{
        X509,
        store::X509StoreBuilder,
        verify::{X509CheckFlags, X509VerifyFlags},
    },
};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A certificate with its intermediates and its key.
pub(super) struct Identity {
    chain: Vec<X509>,
    key: PKey<Private>,
}

impl Identity {
    /// `Err` describes the problem, without a secret.
    pub(super) fn parse(certificate: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain = X509::stack_from_pem(certificate).unwrap_or_default();
        let Some(leaf) = chain.first() else {
            return Err("the client certificate is not one in PEM".to_owned());
        };
        // OpenSSL would ask for a password on the terminal.
        let key = PKey::private_key_from_pem_callback(key, |_| Err(ErrorStack::get()))
            .map_err(|_| "the client key is not one in PEM without a password".to_owned())?;
        let public = leaf.public_key();
        if !public.is_ok_and(|public| public.public_eq(&key)) {
            return Err("the client key does not belong to the client certificate".to_owned());
        }
        Ok(Self { chain, key })
    }
}

/// The certificates of a PEM file, in DER. Unreadable ones are skipped, as in Go.
pub(super) fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    parse_all(pem).iter().filter_map(|certificate| certificate.to_der().ok()).collect()
}

fn parse_all(pem: &[u8]) -> Vec<X509> {
    let text = String::from_utf8_lossy(pem);
    let blocks = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
    let blocks = blocks.map(|(body, _)| format!("{BEGIN}{body}{END}\n"));
    blocks.filter_map(|block| X509::from_pem(block.as_bytes()).ok()).collect()
}

/// The system's trusted certificates, found like in Go: by `SSL_CERT_FILE` and `SSL_CERT_DIR`, or
/// at the paths of the distributions. The built-in OpenSSL searches paths that no system has.
fn system_roots() -> Vec<X509> {
    let file = match env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty()) {
        Some(file) => Some(PathBuf::from(file)),
        None => openssl_probe::probe().cert_file,
    };
    let folders: Vec<PathBuf> = match env::var_os("SSL_CERT_DIR").filter(|list| !list.is_empty()) {
        Some(list) => env::split_paths(&list).collect(),
        None => openssl_probe::candidate_cert_dirs().map(PathBuf::from).collect(),
    };
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let files = file.into_iter().chain(entries.filter_map(|entry| Some(entry.ok()?.path())));
    files.filter_map(|file| fs::read(file).ok()).flat_map(|pem| parse_all(&pem)).collect()
}

/// The certificates that end a chain: those of the configuration, else the system's.
pub(super) fn roots(config: &Config) -> Result<Vec<X509>> {
    match &config.root_cert {
        Some(roots) => {
            Ok(roots.iter().map(|root| X509::from_der(root)).collect::<Result<_, _>>()?)
        }
        None if config.accept_invalid_certs || !uses_tls(config) => Ok(Vec::new()),
        None => Ok(system_roots()),
    }
}

fn uses_tls(config: &Config) -> bool {
    let is_https = |uri: &http::Uri| uri.scheme_str() == Some("https");
    is_https(&config.cluster_url) || config.proxy_url.as_ref().is_some_and(is_https)
}

fn builder(roots: &[X509], identity: Option<&Identity>) -> Result<SslConnectorBuilder, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for root in roots {
        store.add_cert(root.clone())?;
    }
    // Any of them ends a chain, including an intermediate or the server's own, as in Go.
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_cert_store(store.build());
    if let Some(Identity { chain, key }) = identity {
        let mut chain = chain.iter();
        if let Some(leaf) = chain.next() {
            builder.set_certificate(leaf)?;
        }
        for certificate in chain {
            builder.add_extra_chain_cert(certificate.clone())?;
        }
        builder.set_private_key(key)?;
    }
    Ok(builder)
}

/// TLS on the connections of `connector`, for https URLs.
pub(super) fn https<C>(
    connector: C,
    config: &Config,
    roots: &[X509],
    identity: Option<&Identity>,
) -> Result<HttpsConnector<C>> {
    let builder = builder(roots, identity).context("OpenSSL rejects the client certificate")?;
    let mut https = HttpsConnector::with_connector(connector, builder)?;
    let is_insecure = config.accept_invalid_certs;
    let name = config.tls_server_name.clone();
    https.set_callback(move |tls, uri| {
        if is_insecure {
            tls.set_verify(SslVerifyMode::NONE);
        }
        let host = name.as_deref().unwrap_or_else(|| uri.host().unwrap_or_default());
        let host = host.trim_matches(['[', ']']).trim_end_matches('.');
        // The connector's own verification would include brackets in the name, and check the
        // subject.
        tls.set_use_server_name_indication(false);
        tls.set_verify_hostname(false);
        let flags = X509CheckFlags::NO_PARTIAL_WILDCARDS | X509CheckFlags::NEVER_CHECK_SUBJECT;
        tls.param_mut().set_hostflags(flags);
        if let Ok(address) = host.parse::<IpAddr>() {
            return tls.param_mut().set_ip(address);
        }
        tls.param_mut().set_host(host)?;
        tls.set_hostname(host)
    });
    Ok(https)
}
