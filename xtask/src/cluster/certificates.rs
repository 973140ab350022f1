//! The cluster's own authority, certificates, service account key and kubeconfigs.
//!
//! All of it lives as long as the cluster, in its private folder. Not diyadm's `pki`: a fault
//! there must not hide behind the same fault here.

use std::{
    fs::{DirBuilder, File},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use anyhow::{Context, Result};
use openssl::{
    asn1::Asn1Time,
    base64,
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{
        X509, X509Builder, X509Name,
        extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName},
    },
};

/// A year: a cluster that is left up for long is a developer's own.
const DAYS: u32 = 365;

/// A certificate with its key.
struct Pair {
    certificate: X509,
    key: PKey<Private>,
}

/// What a certificate is for.
enum Use<'a> {
    Authority,
    Server { names: &'a [&'a str], addresses: &'a [&'a str] },
    Client { group: &'a str },
}

/// Makes `folder` for its owner alone: it will hold keys.
pub(super) fn private_folder(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make {}", folder.display()))
}

/// Who a node is.
pub(super) struct NodeName<'a> {
    pub(super) name: &'a str,
    pub(super) address: &'a str,
}

/// Writes every file that the servers are pointed at into `folder/pki`, and the kubeconfigs,
/// `admin.kubeconfig` among them, into `folder`.
pub(super) fn write(
    folder: &Path,
    url: &str,
    service_address: &str,
    node: Option<&NodeName<'_>>,
) -> Result<()> {
    let pki = folder.join("pki");
    private_folder(&pki)?;
    let put = |name: &str, content: Vec<u8>| write_private(&pki.join(name), &content);
    let authority = issue(None, "diyadm-rig", &Use::Authority)?;
    let both = |name: &str, pair: &Pair| {
        put(&format!("{name}.crt"), pair.certificate.to_pem()?)?;
        put(&format!("{name}.key"), pair.key.private_key_to_pem_pkcs8()?)
    };
    put("ca.crt", authority.certificate.to_pem()?)?;

    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    let server = Use::Server { names: &names, addresses: &["127.0.0.1", service_address] };
    both("apiserver", &issue(Some(&authority), "kube-apiserver", &server)?)?;

    let account = new_key()?;
    put("service-account.key", account.private_key_to_pem_pkcs8()?)?;
    put("service-account.pub", account.public_key_to_pem()?)?;

    let mut users = vec![
        ("admin", "diyadm-rig-admin".to_owned(), "system:masters"),
        ("controller-manager", "system:kube-controller-manager".to_owned(), "diyadm-rig"),
    ];
    if let Some(NodeName { name, address }) = node {
        let server = Use::Server { names: &[name], addresses: &[address] };
        both("kubelet", &issue(Some(&authority), name, &server)?)?;
        let group = "system:masters";
        let client = issue(Some(&authority), "kube-apiserver", &Use::Client { group })?;
        both("apiserver-kubelet-client", &client)?;
        users.push(("scheduler", "system:kube-scheduler".to_owned(), "diyadm-rig"));
        users.push(("kubelet", format!("system:node:{name}"), "system:nodes"));
    }
    for (file, name, group) in users {
        let user = issue(Some(&authority), &name, &Use::Client { group })?;
        let text = kubeconfig(url, &authority.certificate, &user)?;
        write_private(&folder.join(format!("{file}.kubeconfig")), text.as_bytes())?;
    }
    Ok(())
}

fn kubeconfig(url: &str, authority: &X509, user: &Pair) -> Result<String> {
    let authority = base64::encode_block(&authority.to_pem()?);
    let certificate = base64::encode_block(&user.certificate.to_pem()?);
    let key = base64::encode_block(&user.key.private_key_to_pem_pkcs8()?);
    Ok(format!(
        "apiVersion: v1
kind: Config
current-context: diyadm-rig
clusters:
- name: diyadm-rig
  cluster:
    server: {url}
    certificate-authority-data: {authority}
users:
- name: diyadm-rig
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: diyadm-rig
  context:
    cluster: diyadm-rig
    user: diyadm-rig
"
    ))
}

fn new_key() -> Result<PKey<Private>> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    Ok(PKey::from_ec_key(EcKey::generate(&curve)?)?)
}

/// A certificate for `name`, signed by `issuer` or by itself.
fn issue(issuer: Option<&Pair>, name: &str, usage: &Use) -> Result<Pair> {
    let key = new_key()?;
    let mut subject = X509Name::builder()?;
    if let Use::Client { group } = usage {
        subject.append_entry_by_nid(Nid::ORGANIZATIONNAME, group)?;
    }
    subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
    let subject = subject.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;

    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(issuer.map_or(&*subject, |ca| ca.certificate.subject_name()))?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(DAYS)?)?;
    builder.set_pubkey(&key)?;
    extend(&mut builder, issuer, usage)?;
    builder.sign(issuer.map_or(&key, |ca| &ca.key), MessageDigest::sha256())?;
    Ok(Pair { certificate: builder.build(), key })
}

fn extend(builder: &mut X509Builder, issuer: Option<&Pair>, usage: &Use) -> Result<()> {
    let signing = KeyUsage::new().critical().digital_signature().build()?;
    match usage {
        Use::Authority => {
            builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
            builder.append_extension(KeyUsage::new().critical().key_cert_sign().build()?)?;
        }
        Use::Server { names, addresses } => {
            let context = builder.x509v3_context(issuer.map(|ca| &*ca.certificate), None);
            let mut alternative = SubjectAlternativeName::new();
            for name in *names {
                alternative.dns(name);
            }
            for address in *addresses {
                alternative.ip(address);
            }
            let names = alternative.build(&context)?;
            builder.append_extension(names)?;
            builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
            builder.append_extension(signing)?;
        }
        Use::Client { .. } => {
            builder.append_extension(ExtendedKeyUsage::new().client_auth().build()?)?;
            builder.append_extension(signing)?;
        }
    }
    Ok(())
}

fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(content));
    written.with_context(|| format!("cannot write {}", path.display()))
}
