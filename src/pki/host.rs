//! Host name matching as in Go: against a certificate's alternative names (`VerifyHostname`), and
//! against the name constraints of CAs (`checkChainConstraints`).

use std::net::IpAddr;

use super::x509::{Certificate, Constraints, Names, is_domain, mailbox};

/// Whether a certificate is for `host`, a DNS name or an IP address. The common name is ignored.
pub(super) fn matches(names: &Names, host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = address.parse::<IpAddr>() {
        return names.ips.iter().any(|ip| self::address(ip) == Some(address.to_canonical()));
    }
    let host = host.to_ascii_lowercase();
    let bare = host.strip_suffix('.').unwrap_or(&host);
    let is_valid = is_hostname(bare, false);
    names.dns.iter().any(|pattern| {
        let pattern = pattern.to_ascii_lowercase();
        if !is_valid || !is_hostname(&pattern, true) {
            return !pattern.is_empty() && pattern != "." && pattern == host;
        }
        match pattern.strip_prefix("*.") {
            // Exactly one whole label.
            Some(domain) => bare.split_once('.').is_some_and(|(_, rest)| rest == domain),
            None => pattern == bare,
        }
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    let address = four.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))?;
    Some(address.to_canonical())
}

/// Whether it is a valid host name; a pattern may begin with `*.`
fn is_hostname(name: &str, is_pattern: bool) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let name = if is_pattern { name.strip_prefix("*.").unwrap_or(name) } else { name };
    name.split('.').all(is_label)
}

/// Whether the CAs above may sign every name in the chain.
pub(super) fn check_constraints(chain: &[&Certificate]) -> Result<(), String> {
    for (at, certificate) in chain.iter().enumerate() {
        let extensions = &certificate.extensions;
        if extensions.alternative_names.is_none() {
            continue;
        }
        for ca in &chain[at + 1..] {
            if let Some(constraints) = &ca.extensions.constraints {
                check_names(&extensions.names, constraints)
                    .map_err(|why| format!("{} (nameConstraints of {})", why, ca.name()))?;
            }
        }
    }
    Ok(())
}

fn check_names(
    names: &Names,
    Constraints { permitted, excluded }: &Constraints,
) -> Result<(), String> {
    let hold = |what: String, permits: Option<bool>, excludes: bool| {
        if permits == Some(false) {
            return Err(format!("{what} is not permitted"));
        }
        if excludes {
            return Err(format!("{what} is excluded"));
        }
        Ok(())
    };
    for ip in &names.ips {
        let is_in = |all: &[(Vec<u8>, Vec<u8>)]| {
            all.iter().any(|(base, mask)| {
                base.len() == ip.len()
                    && (0..ip.len()).all(|at| base[at] & mask[at] == ip[at] & mask[at])
            })
        };
        let permits = (!permitted.ips.is_empty()).then(|| is_in(&permitted.ips));
        let shown = address(ip).map_or_else(String::new, |ip| ip.to_string());
        hold(format!("IP:{shown}"), permits, is_in(&excluded.ips))?;
    }
    let permits = |all: &[String], name: &str| {
        (!all.is_empty()).then(|| all.iter().any(|domain| is_within(name, domain)))
    };
    let excludes = |all: &[String], name: &str| {
        all.iter().any(|domain| is_within(name, domain) || is_wildcard_of(name, domain))
    };
    for name in &names.dns {
        if !is_domain(name, false) {
            return Err(format!("DNS:{name} is not a valid name"));
        }
        let dns = (permits(&permitted.dns, name), excludes(&excluded.dns, name));
        hold(format!("DNS:{name}"), dns.0, dns.1)?;
    }
    for host in &names.uri_hosts {
        let bare = uri_domain(host).ok_or("a URI without a domain name cannot be matched")?;
        let uris = (permits(&permitted.uris, &bare), excludes(&excluded.uris, &bare));
        hold(format!("the URI of {host}"), uris.0, uris.1)?;
    }
    for email in &names.emails {
        let (local, domain) = mailbox(email).ok_or("an e-mail address cannot be parsed")?;
        let is_email = |constraint: &String| match mailbox(constraint) {
            Some((own, of)) => own == local && of.eq_ignore_ascii_case(domain),
            None => false,
        };
        let domains = |all: &[String]| -> Vec<String> {
            all.iter().filter(|constraint| !constraint.contains('@')).cloned().collect()
        };
        let (allowed, denied) = (domains(&permitted.emails), domains(&excluded.emails));
        let permits = (!permitted.emails.is_empty()).then(|| {
            permitted.emails.iter().any(is_email) || permits(&allowed, domain) == Some(true)
        });
        let excludes = excluded.emails.iter().any(is_email) || excludes(&denied, domain);
        hold(format!("email:{email}"), permits, excludes)?;
    }
    Ok(())
}

/// Whether `name` is `domain` or a subdomain; a `domain` that begins with a dot only matches
/// subdomains.
fn is_within(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.to_ascii_lowercase(), domain.to_ascii_lowercase());
    match name.strip_suffix(&domain) {
        Some(rest) => {
            domain.is_empty() || domain.starts_with('.') || rest.is_empty() || rest.ends_with('.')
        }
        None => false,
    }
}

/// Whether `*.x` may match the excluded `a.x`.
fn is_wildcard_of(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.to_ascii_lowercase(), domain.to_ascii_lowercase());
    let parent = |name: &str| name.find('.').map(|at| name[at..].to_owned());
    name.starts_with('*') && parent(&domain).is_some_and(|rest| parent(&name) == Some(rest))
}

/// The host of a URI without its port, if it is a domain name.
fn uri_domain(host: &str) -> Option<String> {
    let is_bracketed = host.starts_with('[');
    let bare = match host.rsplit_once(':') {
        Some((bare, _)) if !is_bracketed => bare,
        _ => host,
    };
    let is_name = !host.is_empty() && !is_bracketed && bare.parse::<IpAddr>().is_err();
    (is_name && is_domain(bare, false)).then(|| bare.to_ascii_lowercase())
}
