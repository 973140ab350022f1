//! Proxy variables of the API server: whether its calls of webhooks would go through a proxy.

use serde_json::Value;

use super::Finding;

/// A warning if a proxy is set and Services are not exempt.
pub(super) fn finding(container: &Value) -> Option<Finding> {
    let env = container["env"].as_array().map_or(&[][..], Vec::as_slice);
    // Go uses the first non-empty one.
    let variable = |names: [&'static str; 2]| {
        let value = |name| {
            let last = env.iter().rfind(|variable| variable["name"] == name)?;
            last["value"].as_str().filter(|value| !value.is_empty()).map(|value| (name, value))
        };
        names.into_iter().find_map(value)
    };
    let (proxy, _) = variable(["HTTPS_PROXY", "https_proxy"])?;
    let (exceptions, value) =
        variable(["NO_PROXY", "no_proxy"]).unwrap_or(("NO_PROXY", Default::default()));
    if value.split(',').map(str::trim).any(covers_services) {
        return None;
    }
    let value = if value.is_empty() { ".svc".to_owned() } else { format!("{value},.svc") };
    Some(Finding::warning(
        "proxy",
        format!(
            "{proxy} is set and {exceptions} lacks .svc, so webhooks are called through the proxy"
        ),
        format!("Set {exceptions} in the manifest's `env` to `{value}`."),
    ))
}

/// Whether an entry matches every `SERVICE.NAMESPACE.svc`, as in golang.org/x/net's httpproxy.
fn covers_services(entry: &str) -> bool {
    let (host, port) = entry.rsplit_once(':').unwrap_or((entry, "443"));
    let host = host.strip_prefix("*.").or(host.strip_prefix('.')).unwrap_or(host);
    host == "*" || host.eq_ignore_ascii_case("svc") && port == "443"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_proxy_must_cover_services() {
        let warns = |env: &[(&str, &str)]| {
            let env: Vec<_> =
                env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            finding(&json!({ "env": env })).is_some()
        };
        let proxy = ("HTTPS_PROXY", "http://proxy:3128");
        assert!(warns(&[proxy]));
        assert!(warns(&[
            ("https_proxy", "http://proxy:3128"),
            ("no_proxy", "10.0.0.0/8,.test.svc")
        ]));
        assert!(warns(&[proxy, ("NO_PROXY", "svc.cluster.local")]));
        for good in ["localhost, .svc", "svc", "*", "*.svc", ".SVC,.cluster.local"] {
            assert!(!warns(&[proxy, ("NO_PROXY", good)]), "{good}");
        }
        assert!(!warns(&[("HTTP_PROXY", "http://proxy:3128")]), "webhooks are called over HTTPS");
        assert!(!warns(&[("HTTPS_PROXY", "")]));
    }
}
