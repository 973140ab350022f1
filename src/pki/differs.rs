//! Compares a certificate with the requested properties. Pure.

use openssl::{nid::Nid, pkey::Id, x509::X509};

use super::{
    KeyKind, Request,
    extensions::San,
    inspect,
    inspect::name,
    issue::{CLOCK_SKEW, DAY, service_names},
};

/// The requested properties; `None` accepts any value.
#[derive(Clone, Copy, Default)]
pub struct RequestedTerms<'a> {
    /// Subject, names and, without `key`, the key's type.
    pub request: Option<&'a Request>,
    /// The type of the certificate's key.
    pub key: Option<KeyKind>,
    /// Validity of the certificate, days.
    pub days: Option<u32>,
    /// Validity of the CA, days.
    pub ca_days: Option<u32>,
    /// Name of the Service.
    pub service: &'a str,
    /// Namespace of the Service.
    pub namespace: &'a str,
}

/// The differences of the first certificates of `ca` and `crt` (PEM) from the requested properties,
/// each in a few words; empty if there are none, or if the certificates cannot be read, which is
/// another error.
pub fn differences(ca: &[u8], crt: &[u8], wanted: &RequestedTerms<'_>) -> Vec<String> {
    let (Some(ca), Some(leaf)) = (first(ca), first(crt)) else { return Vec::new() };
    let mut all = Vec::new();
    for (whose, certificate, days) in
        [("the certificate", &leaf, wanted.days), ("the CA", &ca, wanted.ca_days)]
    {
        let found = days_of(certificate);
        if let (Some(days), Some(found)) = (days, found)
            && i64::from(days) != found
        {
            all.push(format!("{whose} is valid for {found} days, not {days}"));
        }
    }
    let kind = wanted.key.or(wanted.request.map(Request::key_kind));
    if let (Some(kind), Some(found)) = (kind, kind_of(&leaf))
        && found != shown(kind)
    {
        all.push(format!("its key is {found}, not {}", shown(kind)));
    }
    if let Some(request) = wanted.request {
        all.extend(subject(&leaf, request, wanted));
        all.extend(names(crt, request, wanted));
    }
    all
}

fn first(pem: &[u8]) -> Option<X509> {
    X509::stack_from_pem(pem).ok()?.into_iter().next()
}

/// Its validity in days, without the allowance for clock skew.
fn days_of(certificate: &X509) -> Option<i64> {
    let length = certificate.not_before().diff(certificate.not_after()).ok()?;
    let seconds = i64::from(length.days) * DAY + i64::from(length.secs);
    // Certificates of other tools have no such allowance: partial days are ignored.
    Some((seconds - CLOCK_SKEW + DAY / 2) / DAY)
}

fn kind_of(leaf: &X509) -> Option<String> {
    let key = leaf.public_key().ok()?;
    match key.id() {
        Id::RSA => Some(shown(KeyKind::Rsa(key.bits()))),
        Id::EC if key.ec_key().ok()?.group().curve_name() == Some(Nid::X9_62_PRIME256V1) => {
            Some(shown(KeyKind::P256))
        }
        _ => Some("of another kind".to_owned()),
    }
}

fn shown(kind: KeyKind) -> String {
    match kind {
        KeyKind::Rsa(bits) => format!("RSA of {bits} bits"),
        KeyKind::P256 => "ECDSA on P-256".to_owned(),
    }
}

fn subject(leaf: &X509, request: &Request, wanted: &RequestedTerms<'_>) -> Option<String> {
    let wanted = name(&*request.subject(wanted.service, wanted.namespace).ok()?).ok()?;
    let found = name(leaf.subject_name()).ok()?;
    (wanted != found).then(|| format!("its subject is {found}, not {wanted}"))
}

/// The request's names must be present, and no others except the Service's.
fn names(crt: &[u8], request: &Request, wanted: &RequestedTerms<'_>) -> Option<String> {
    let found = inspect(crt, None).ok()?.swap_remove(0).sans;
    let shown = |san: &San| match san {
        San::Dns(name) => format!("DNS:{name}"),
        // Normalized as in a parsed certificate: `::1`, however it was written.
        San::Ip(address) => {
            let parsed = address.parse::<std::net::IpAddr>().map(|parsed| parsed.to_string());
            format!("IP:{}", parsed.unwrap_or_else(|_| address.clone()))
        }
    };
    let asked: Vec<_> = request.extensions.sans.value.iter().map(shown).collect();
    let own = service_names(wanted.service, wanted.namespace).map(|name| format!("DNS:{name}"));
    let complete = asked.iter().all(|name| found.contains(name));
    let no_more = found.iter().all(|name| asked.contains(name) || own.contains(name));
    let differs = !complete || !no_more;
    differs.then(|| format!("its names are {}, not {}", found.join(", "), asked.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pki::{Terms, generate_key, issue},
        webhook::manifests,
    };

    #[test]
    fn only_requested_properties_are_compared() {
        let conf = manifests::csr_conf("web", "test");
        let request = Request::parse("csr.conf", &conf).unwrap();
        let (service, namespace) = ("web".to_owned(), "test".to_owned());
        let terms = Terms { now: 1_700_000_000, days: 10, ca_days: 20, service, namespace };
        let key = |kind| generate_key(kind).unwrap();
        let made = issue(&request, &terms, &key(KeyKind::P256), &key(KeyKind::P256)).unwrap();
        let base =
            RequestedTerms { service: "web", namespace: "test", ..RequestedTerms::default() };
        let differ = |wanted: RequestedTerms<'_>| {
            differences(made.ca_crt.as_bytes(), made.server_crt.as_bytes(), &wanted).join("; ")
        };
        let key = Some(KeyKind::P256);
        let (days, ca_days) = (Some(10), Some(20));
        assert_eq!(differ(base), "");
        assert_eq!(
            differ(RequestedTerms { request: Some(&request), key, days, ca_days, ..base }),
            ""
        );
        assert_eq!(
            differ(RequestedTerms { days: Some(11), ca_days: Some(10), ..base }),
            "the certificate is valid for 10 days, not 11; the CA is valid for 20 days, not 10"
        );
        let rsa = differ(RequestedTerms { request: Some(&request), ..base });
        assert_eq!(rsa, "its key is ECDSA on P-256, not RSA of 2048 bits");
        let other = format!("{conf}\n[ alt_names ]\nIP.1 = 127.0.0.1\n").replace("Wise2c", "Else");
        let other = Request::parse("csr.conf", &other).unwrap();
        let all = differ(RequestedTerms { request: Some(&other), key, ..base });
        assert!(all.contains("its subject is C = CN"), "{all}");
        assert!(all.contains("not DNS:web.test.svc, IP:127.0.0.1"), "{all}");
        let (ca, crt) = (made.ca_crt.as_bytes(), b"junk");
        assert!(differences(ca, crt, &RequestedTerms { days, ..base }).is_empty(), "another fault");
    }
}
