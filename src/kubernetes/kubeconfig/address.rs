//! Parses the addresses of API servers and proxies, like Go's net/url.

use std::fmt;

/// `scheme://user:password@host:port/path`. Shown without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Lower case.
    pub scheme: String,
    /// `user` or `user:password`, percent-encoded.
    pub user_info: Option<String>,
    /// An IPv6 address without its brackets.
    pub host: String,
    /// The port, if given.
    pub port: Option<u16>,
    /// The path from its `/` on, without query; may be empty.
    pub path: String,
}

impl Address {
    /// `None` if it is not an absolute URL with a host.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let mut letters = scheme.chars();
        let is_scheme = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !is_scheme || text.contains(|c: char| c.is_ascii_control()) {
            return None;
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user_info, place) = match authority.rsplit_once('@') {
            Some((user_info, place)) => (Some(user_info.to_owned()), place),
            None => (None, authority),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, if port.is_empty() { "" } else { port.strip_prefix(':')? })
            }
            None => place.rsplit_once(':').unwrap_or((place, "")),
        };
        let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/\\^`{|}".contains(c)) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        Some(Self { scheme, user_info, host: host.to_owned(), port, path: path.to_owned() })
    }

    /// The same, with `http://` as default scheme.
    pub(super) fn parse_or_http(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| Self::parse(&format!("http://{text}")))
    }

    /// The port, or the scheme's default.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.scheme.as_str() {
            "https" => 443,
            "socks5" | "socks5h" => 1080,
            _ => 80,
        })
    }

    /// For kube and hyper; `None` if it has characters that are not allowed in a URL. User and
    /// password are omitted.
    pub(super) fn uri(&self) -> Option<http::Uri> {
        self.to_string().parse().ok()
    }

    /// The parts of user and password, decoded.
    pub(super) fn user(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let info = self.user_info.as_deref()?;
        let (user, password) = info.split_once(':').unwrap_or((info, ""));
        Some((decoded(user), decoded(password)))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path, .. } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "{scheme}://{host}{port}{path}")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The address of a server as client-go passes it to plugins: through Go's `url.ParseRequestURI`,
/// with the scheme in lower case, without fragment and query. Other texts stay unchanged.
pub(super) fn without_query(text: &str) -> String {
    let Some(address) = Address::parse(text) else { return text.to_owned() };
    let scheme = address.scheme;
    let rest = text[scheme.len()..].split('?').next().unwrap_or_default();
    let host_end = rest[3..].find('/').map_or(rest.len(), |slash| slash + 3);
    let (host, path) = rest.split_at(host_end);
    if host.contains('#') {
        return text.to_owned();
    }
    format!("{scheme}{host}{}", path.replace('#', "%23"))
}

fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        let hex = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let hex = hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte_of_hex = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte_of_hex.unwrap_or(byte));
        at += if byte_of_hex.is_some() { 3 } else { 1 };
    }
    out
}
