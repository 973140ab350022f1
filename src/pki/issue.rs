//! Issues the CA and, with it, the server's certificate.

use anyhow::{Context, Result};
use openssl::{
    asn1::{Asn1Integer, Asn1Time},
    bn::{BigNum, MsbOption},
    nid::Nid,
    pkey::{HasPublic, Id, PKey, PKeyRef, Private},
    x509::{
        X509, X509Builder, X509Extension, X509NameBuilder, X509Ref, X509v3Context,
        extension::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage,
            SubjectAlternativeName, SubjectKeyIdentifier,
        },
    },
};

use super::{
    Request,
    extensions::{Authority, Extensions, San},
};

/// Certificates begin this many seconds in the past, since the clocks of a cluster differ.
pub(super) const CLOCK_SKEW: i64 = 5 * 60;
pub(super) const DAY: i64 = 24 * 60 * 60;

/// Parameters of a certificate in addition to the request.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Seconds since 1970.
    pub now: i64,
    /// Validity of the leaf, days.
    pub days: u32,
    /// Validity of the CA, days.
    pub ca_days: u32,
    /// Name of the Service.
    pub service: String,
    /// Namespace of the Service.
    pub namespace: String,
}

/// PEM files as in the Secret. Has no Debug, since one of them is a key.
pub struct Bundle {
    /// ca.crt
    pub ca_crt: String,
    /// server.crt
    pub server_crt: String,
    /// server.key, PKCS#8.
    pub server_key: String,
}

/// Creates a CA with `ca_key`, and signs the certificate of `server_key` with it.
///
/// The SANs are those of the request and the four names of the Service.
pub fn issue(
    request: &Request,
    terms: &Terms,
    ca_key: &PKey<Private>,
    server_key: &PKey<Private>,
) -> Result<Bundle> {
    let ca = authority(request, terms, ca_key)?;
    let leaf = leaf(request, terms, &ca, ca_key, server_key)?;
    Ok(Bundle {
        ca_crt: pem(&ca.to_pem()?)?,
        server_crt: pem(&leaf.to_pem()?)?,
        server_key: pem(&server_key.private_key_to_pem_pkcs8()?)?,
    })
}

fn authority(request: &Request, terms: &Terms, key: &PKey<Private>) -> Result<X509> {
    // A different name: if CA and leaf share one, as in the blog, verifiers treat the leaf as
    // self-signed.
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "diyadm webhook CA")?;
    let name = name.build();
    let mut builder = builder(terms, terms.ca_days, key)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
    let id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(id)?;
    builder.sign(key, request.digest()?)?;
    Ok(builder.build())
}

fn leaf(
    request: &Request,
    terms: &Terms,
    ca: &X509Ref,
    ca_key: &PKey<Private>,
    key: &PKey<Private>,
) -> Result<X509> {
    let mut extensions = request.extensions.clone();
    for name in service_names(&terms.service, &terms.namespace) {
        extensions.add_san(San::Dns(name));
    }
    let mut builder = builder(terms, terms.days, key)?;
    builder.set_subject_name(&*request.subject(&terms.service, &terms.namespace)?)?;
    builder.set_issuer_name(ca.subject_name())?;
    let mut basic = BasicConstraints::new();
    if extensions.basic_constraints.critical {
        basic.critical();
    }
    builder.append_extension(basic.build()?)?;
    builder.append_extension(key_usage(&extensions, key)?)?;
    builder.append_extension(extended_key_usage(&extensions)?)?;
    let context = builder.x509v3_context(Some(ca), None);
    for extension in [
        alternative_names(&extensions, &context)?,
        SubjectKeyIdentifier::new().build(&context)?,
        authority_key(&extensions, &context)?,
    ] {
        builder.append_extension(extension)?;
    }
    builder.sign(ca_key, request.digest()?)?;
    Ok(builder.build())
}

/// The names of a Service within its cluster.
pub(super) fn service_names(service: &str, namespace: &str) -> [String; 4] {
    [
        format!("{service}.{namespace}.svc"),
        service.to_owned(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc.cluster.local"),
    ]
}

/// The usages of csr.conf, and digitalSignature, since a TLS 1.3 server signs with its key, and an
/// ECDSA key can do nothing else (RFC 8446, section 4.4.2.2). Encipherment is for RSA (RFC 8813).
fn key_usage(extensions: &Extensions, key: &PKey<Private>) -> Result<X509Extension> {
    let mut usage = KeyUsage::new();
    if extensions.key_usage.critical {
        usage.critical();
    }
    usage.digital_signature();
    for word in &extensions.key_usage.value {
        match *word {
            "nonRepudiation" => usage.non_repudiation(),
            "keyEncipherment" if key.id() == Id::RSA => usage.key_encipherment(),
            "dataEncipherment" if key.id() == Id::RSA => usage.data_encipherment(),
            "keyAgreement" => usage.key_agreement(),
            "encipherOnly" => usage.encipher_only(),
            "decipherOnly" => usage.decipher_only(),
            _ => &mut usage,
        };
    }
    Ok(usage.build()?)
}

/// serverAuth, unless csr.conf says otherwise.
fn extended_key_usage(extensions: &Extensions) -> Result<X509Extension> {
    let mut usage = ExtendedKeyUsage::new();
    if extensions.extended_key_usage.critical {
        usage.critical();
    }
    if extensions.extended_key_usage.value.is_empty() {
        usage.server_auth();
    }
    for word in &extensions.extended_key_usage.value {
        usage.other(word);
    }
    Ok(usage.build()?)
}

fn alternative_names(
    extensions: &Extensions,
    context: &X509v3Context<'_>,
) -> Result<X509Extension> {
    let mut names = SubjectAlternativeName::new();
    if extensions.sans.critical {
        names.critical();
    }
    for san in &extensions.sans.value {
        match san {
            San::Dns(name) => names.dns(name),
            San::Ip(address) => names.ip(address),
        };
    }
    Ok(names.build(context)?)
}

/// The CA's key identifier, unless csr.conf says otherwise.
fn authority_key(extensions: &Extensions, context: &X509v3Context<'_>) -> Result<X509Extension> {
    let default = Authority { key: Some(true), issuer: None };
    let Authority { key, issuer } = extensions.authority.unwrap_or(default);
    let mut id = AuthorityKeyIdentifier::new();
    if let Some(always) = key {
        id.keyid(always);
    }
    if let Some(always) = issuer {
        id.issuer(always);
    }
    Ok(id.build(context)?)
}

fn builder<K: HasPublic>(terms: &Terms, days: u32, key: &PKeyRef<K>) -> Result<X509Builder> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    // 126 random bits: positive and unique (the CA/Browser Forum requires at least 64).
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let serial: Asn1Integer = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_not_before(&*Asn1Time::from_unix(terms.now - CLOCK_SKEW)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(terms.now + i64::from(days) * DAY)?)?;
    builder.set_pubkey(key)?;
    Ok(builder)
}

fn pem(bytes: &[u8]) -> Result<String> {
    Ok(std::str::from_utf8(bytes).context("OpenSSL wrote PEM that is not text")?.to_owned())
}
