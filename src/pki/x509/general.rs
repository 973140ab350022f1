//! Subject alternative names, and name constraints of CAs.

use std::net::IpAddr;

use crate::pki::der::{self, DerReader, SEQUENCE};

/// The alternative names of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::pki) struct Names {
    pub(in crate::pki) dns: Vec<String>,
    pub(in crate::pki) emails: Vec<String>,
    /// 4 or 16 bytes.
    pub(in crate::pki) ips: Vec<Vec<u8>>,
    /// The host of each URI, with its port; empty without a host.
    pub(in crate::pki) uri_hosts: Vec<String>,
}

/// The name constraints of a CA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::pki) struct Constraints {
    pub(in crate::pki) permitted: Subtrees,
    pub(in crate::pki) excluded: Subtrees,
}

/// One side of name constraints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::pki) struct Subtrees {
    pub(in crate::pki) dns: Vec<String>,
    pub(in crate::pki) emails: Vec<String>,
    /// Address and mask, of one length.
    pub(in crate::pki) ips: Vec<(Vec<u8>, Vec<u8>)>,
    pub(in crate::pki) uris: Vec<String>,
}

const EMAIL: u8 = der::context(1);
const DNS: u8 = der::context(2);
const URI: u8 = der::context(6);
const IP: u8 = der::context(7);

impl Names {
    pub(super) fn parse(mut value: DerReader<'_>) -> Result<Self, String> {
        let mut names = Self::default();
        let mut all = value.content(SEQUENCE).ok_or("invalid subject alternative names")?;
        while !all.is_empty() {
            let name = all.any().ok_or("invalid subject alternative name")?;
            match name.tag {
                EMAIL => names.emails.push(ascii(name.content, "SAN rfc822Name is malformed")?),
                DNS => names.dns.push(ascii(name.content, "SAN dNSName is malformed")?),
                URI => {
                    let uri = ascii(name.content, "SAN uniformResourceIdentifier is malformed")?;
                    let host = uri_host(&uri).filter(|host| is_domain(host, false));
                    names.uri_hosts.push(host.ok_or("a URI cannot be parsed")?);
                }
                IP if matches!(name.content.len(), 4 | 16) => {
                    names.ips.push(name.content.to_vec());
                }
                IP => {
                    let length = name.content.len();
                    return Err(format!("cannot parse IP address of length {length}"));
                }
                _ => {}
            }
        }
        Ok(names)
    }

    /// Whether there is no constraint of a type known to Go.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Constraints {
    /// The constraints, and whether some have a type that Go does not support.
    pub(super) fn parse(mut value: DerReader<'_>) -> Result<(Self, bool), String> {
        let invalid = "invalid NameConstraints extension";
        let mut all = value.content(SEQUENCE).filter(|_| value.is_empty()).ok_or(invalid)?;
        let permitted = all.optional(der::constructed(0)).ok_or(invalid)?;
        let excluded = all.optional(der::constructed(1)).ok_or(invalid)?;
        if !all.is_empty() {
            return Err(invalid.to_owned());
        }
        let (permitted, excluded) =
            (permitted.unwrap_or(DerReader(&[])), excluded.unwrap_or(DerReader(&[])));
        if permitted.is_empty() && excluded.is_empty() {
            return Err("empty name constraints extension".to_owned());
        }
        let (permitted, more) = Subtrees::parse(permitted)?;
        let (excluded, most) = Subtrees::parse(excluded)?;
        Ok((Self { permitted, excluded }, more || most))
    }
}

impl Subtrees {
    fn parse(mut all: DerReader<'_>) -> Result<(Self, bool), String> {
        let (mut subtrees, mut is_partial) = (Self::default(), false);
        while !all.is_empty() {
            let base = all.content(SEQUENCE).and_then(|mut subtree| subtree.any());
            let base = base.ok_or("invalid NameConstraints extension")?;
            let text = || ascii(base.content, "invalid constraint value");
            let domain = |text: String| {
                if is_domain(&text, true) {
                    Ok(text)
                } else {
                    Err("failed to parse a name constraint".to_owned())
                }
            };
            match base.tag {
                DNS => subtrees.dns.push(domain(text()?)?),
                IP => {
                    let (ip, mask) = base.content.split_at(base.content.len() / 2);
                    if !matches!(ip.len(), 4 | 16) || ip.len() != mask.len() || !is_mask(mask) {
                        return Err("invalid IP constraint".to_owned());
                    }
                    subtrees.ips.push((ip.to_vec(), mask.to_vec()));
                }
                EMAIL => {
                    let text = text()?;
                    if text.contains('@') {
                        mailbox(&text).ok_or("failed to parse rfc822Name constraint")?;
                        subtrees.emails.push(text);
                    } else {
                        subtrees.emails.push(domain(text)?);
                    }
                }
                URI => {
                    let text = text()?;
                    if text.parse::<IpAddr>().is_ok() {
                        return Err("failed to parse URI constraint: an IP address".to_owned());
                    }
                    subtrees.uris.push(domain(text)?);
                }
                _ => is_partial = true,
            }
        }
        Ok((subtrees, is_partial))
    }
}

fn ascii(bytes: &[u8], why: &str) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii());
    Ok(text.ok_or(why)?.to_owned())
}

/// Ones, then zeros.
fn is_mask(mask: &[u8]) -> bool {
    let bits: String = mask.iter().map(|byte| format!("{byte:08b}")).collect();
    !bits.contains("01")
}

/// Whether Go accepts it as a domain (`domainNameValid`); a constraint may begin with a dot.
pub(in crate::pki) fn is_domain(name: &str, is_constraint: bool) -> bool {
    if name.is_empty() {
        return true;
    }
    let labels = if is_constraint { name.strip_prefix('.').unwrap_or(name) } else { name };
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| (33..=126).contains(&b));
    labels.split('.').all(is_label)
}

/// Local part and domain of an e-mail address (`parseRFC2821Mailbox`).
pub(in crate::pki) fn mailbox(text: &str) -> Option<(String, &str)> {
    let bytes = text.as_bytes();
    let (mut local, mut at) = (Vec::new(), 0);
    let is_quoted = bytes.first() == Some(&b'"');
    if is_quoted {
        at = 1;
        loop {
            let byte = *bytes.get(at)?;
            at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    let next = *bytes.get(at)?;
                    if !matches!(next, 1..=9 | 11 | 12 | 14..=127) {
                        return None;
                    }
                    local.push(next);
                    at += 1;
                }
                1..=8 | 11 | 12 | 14..=33 | 35..=91 | 93..=127 => local.push(byte),
                _ => return None,
            }
        }
    } else {
        while let Some(byte) = bytes.get(at) {
            if *byte == b'\\' {
                at += 1;
            } else if !byte.is_ascii_alphanumeric() && !b"!#$%&'*+-/=?^_`{|}~.".contains(byte) {
                break;
            }
            local.push(*bytes.get(at)?);
            at += 1;
        }
        let dots = local.is_empty() || local[0] == b'.' || local.ends_with(b".");
        if dots || local.windows(2).any(|pair| pair == b"..") {
            return None;
        }
    }
    let domain = text.get(at..)?.strip_prefix('@')?;
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| (33..=126).contains(&b));
    (domain.is_empty() || domain.split('.').all(is_label))
        .then(|| (String::from_utf8_lossy(&local).into_owned(), domain))
}

/// The host of a URI, with its port (`url.Parse`); empty without a host, `None` if it is not a URI.
fn uri_host(uri: &str) -> Option<String> {
    let (rest, fragment) = uri.split_once('#').unwrap_or((uri, ""));
    if uri.bytes().any(|byte| byte < 0x20 || byte == 0x7f) || !is_escaped(fragment) {
        return None;
    }
    let (scheme, rest) = scheme(rest)?;
    let (rest, _query) = rest.split_once('?').unwrap_or((rest, ""));
    if !rest.starts_with('/') {
        let first = rest.split('/').next().unwrap_or_default();
        // Opaque, such as `mailto:`, or a path.
        let valid = !scheme.is_empty() || !first.contains(':') && is_escaped(rest);
        return valid.then(String::new);
    }
    let has_authority = !scheme.is_empty() || !rest.starts_with("///");
    let Some(rest) = rest.strip_prefix("//").filter(|_| has_authority) else {
        return is_escaped(rest).then(String::new);
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let is_user = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    let is_host =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte);
    let bare = host
        .strip_prefix('[')
        .map_or(host, |inside| inside.split(']').next_back().unwrap_or(inside));
    let port = bare.rsplit_once(':').map_or("", |(_, port)| port);
    let valid = user.bytes().all(is_user)
        && is_escaped(user)
        && host.bytes().all(is_host)
        && host.starts_with('[') == host.contains(']')
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && is_escaped(path);
    valid.then(|| host.to_owned())
}

/// The scheme (may be empty), and the rest.
fn scheme(uri: &str) -> Option<(&str, &str)> {
    for (at, byte) in uri.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return None,
            b':' => return Some((&uri[..at], &uri[at + 1..])),
            _ => return Some(("", uri)),
        }
    }
    Some(("", uri))
}

/// Whether two hexadecimal digits follow each `%`.
fn is_escaped(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}
