//! The proxy for a host from the environment, as in Go (golang.org/x/net/http/httpproxy, and
//! client-go on top); tests/it/kubeconfig/proxies.rs compares with Go.

use std::{env, net::IpAddr};

use anyhow::Result;

use super::address::Address;
use crate::exit::Failure;

/// The variables of proxies.
#[derive(Clone, Debug, Default)]
pub struct ProxyVariables {
    /// `HTTP_PROXY`, else `http_proxy`.
    pub http: String,
    /// `HTTPS_PROXY`, else `https_proxy`.
    pub https: String,
    /// `NO_PROXY`, else `no_proxy`.
    pub no: String,
    /// Whether `REQUEST_METHOD` is set: a web server has started this process, and `HTTP_PROXY` may
    /// be a header of a request.
    pub cgi: bool,
}

/// One value of `NO_PROXY`.
#[derive(Debug, PartialEq, Eq)]
enum Excluded<'a> {
    All,
    Network(IpAddr, u32),
    Address(IpAddr, &'a str),
    /// A domain suffix that begins with a dot; whether it also matches the domain itself.
    Domain(String, &'a str, bool),
}

impl ProxyVariables {
    /// The variables of this process. An empty one counts as unset.
    pub fn from_environment() -> Self {
        let any = |names: [&str; 2]| {
            let values = names.into_iter().filter_map(env::var_os);
            let mut values = values.map(|value| value.to_string_lossy().into_owned());
            values.find(|value| !value.is_empty()).unwrap_or_default()
        };
        Self {
            http: any(["HTTP_PROXY", "http_proxy"]),
            https: any(["HTTPS_PROXY", "https_proxy"]),
            no: any(["NO_PROXY", "no_proxy"]),
            cgi: env::var_os("REQUEST_METHOD").is_some_and(|method| !method.is_empty()),
        }
    }

    /// The proxy for an `http` or `https` URL; `None` for a direct connection.
    ///
    /// # Errors
    /// The variable that holds for it cannot be used.
    pub fn proxy_for(&self, url: &str) -> Result<Option<Address>> {
        let target = Address::parse(url);
        target.map_or(Ok(None), |target| self.find(&target))
    }

    pub(super) fn find(&self, target: &Address) -> Result<Option<Address>> {
        let (name, value) = match target.scheme.as_str() {
            "https" => ("HTTPS_PROXY", &self.https),
            _ => ("HTTP_PROXY", &self.http),
        };
        let refused = |why: &str| {
            let hint = format!("Set {name} to http://HOST:PORT, or empty it: `unset {name}`.");
            Err(Failure::unreachable(format!("{name} {why}."), hint).into())
        };
        if value.is_empty() {
            return Ok(None);
        }
        if name == "HTTP_PROXY" && self.cgi {
            return refused("is ignored if REQUEST_METHOD is set, as by a web server");
        }
        if !self.uses_proxy(target) {
            return Ok(None);
        }
        match Address::parse_or_http(value) {
            Some(proxy) if SCHEMES.contains(&proxy.scheme.as_str()) => Ok(Some(proxy)),
            Some(_) => refused("is not http, https or socks5"),
            None => refused("is not the address of a proxy"),
        }
    }

    fn uses_proxy(&self, target: &Address) -> bool {
        if target.host == "localhost" {
            return false;
        }
        let address = parse_ip(&target.host);
        if address.is_some_and(|address| address.is_loopback()) {
            return false;
        }
        let host = target.host.trim().to_lowercase();
        let port = target.port().to_string();
        let lower = self.no.to_lowercase();
        let mut excluded = lower.split(',').filter_map(Excluded::parse);
        !excluded.any(|excluded| match excluded {
            Excluded::All => true,
            Excluded::Network(network, bits) => address.is_some_and(|a| contains(network, bits, a)),
            Excluded::Address(other, of) => address == Some(other) && (of.is_empty() || of == port),
            Excluded::Domain(domain, of, itself) => {
                let is_inside = host.ends_with(&domain) || (itself && host == domain[1..]);
                address.is_none() && is_inside && (of.is_empty() || of == port)
            }
        })
    }
}

/// Proxy protocols that Go's transport supports.
const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

impl<'a> Excluded<'a> {
    /// `None` if it is invalid.
    fn parse(value: &'a str) -> Option<Self> {
        let value = value.trim();
        if value == "*" {
            return Some(Self::All);
        }
        if let Some((network, bits)) = value.split_once('/') {
            let network: Option<IpAddr> = network.parse().ok();
            let bits = Some(bits).filter(|bits| bits.bytes().all(|b| b.is_ascii_digit()));
            if let (Some(network), Some(bits)) = (network, bits.and_then(|b| b.parse::<u32>().ok()))
            {
                let (width, plain) = (width(network), network.to_canonical());
                if bits <= width {
                    // An IPv4 network may be written as IPv6.
                    let bits = bits.saturating_sub(width - self::width(plain));
                    return Some(Self::Network(plain, bits));
                }
            }
        }
        let (host, port) = split_port(value).unwrap_or((value, ""));
        if host.is_empty() {
            return None;
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical(), port));
        }
        let domain = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let itself = !domain.starts_with('.');
        let domain = if itself { format!(".{domain}") } else { domain.to_owned() };
        Some(Self::Domain(domain, port, itself))
    }
}

/// An address in the format of URLs.
fn parse_ip(host: &str) -> Option<IpAddr> {
    let host = host.split_once('%').map_or(host, |(host, _zone)| host);
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn contains(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    let number = |address| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let differs = number(network) ^ number(address);
    network.is_ipv4() == address.is_ipv4()
        && differs.checked_shr(width(network) - bits).unwrap_or(0) == 0
}

/// Go's `net.SplitHostPort`.
fn split_port(value: &str) -> Option<(&str, &str)> {
    if let Some(rest) = value.strip_prefix('[') {
        let (host, port) = rest.split_once("]:")?;
        let odd = host.contains('[') || port.contains([':', '[', ']']);
        return (!odd).then_some((host, port));
    }
    let (host, port) = value.rsplit_once(':')?;
    (!host.contains(':') && !value.contains(['[', ']'])).then_some((host, port))
}
