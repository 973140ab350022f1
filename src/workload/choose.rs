//! Which containers of a pod are emptied.

use std::collections::{BTreeSet, HashMap};

use super::{annotations::CONTAINERS, view::Pod};

/// kubectl's own annotation of a pod template, which names the container that people mean.
pub const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Containers that injectors of service meshes and secrets add; without them a Pod has no network.
pub const INJECTED: [&str; 6] =
    ["istio-proxy", "linkerd-proxy", "kuma-sidecar", "consul-dataplane", "vault-agent", "daprd"];

/// The containers to empty, by index and in order, or the warning why none is. `wanted`: `a,b`,
/// `*`, or `None` for the one that people mean.
pub(super) fn choose(wanted: Option<&str>, pod: &Pod<'_, '_>) -> Result<Vec<usize>, String> {
    let injected = |name: &str| INJECTED.contains(&name);
    let all = || pod.containers().iter().enumerate();
    let own = || all().filter(|(_, container)| !injected(container.name())).map(|(at, _)| at);
    match wanted {
        Some("*") => Ok(own().collect()),
        Some(names) => {
            // The first of each name.
            let places: HashMap<_, _> = all().rev().map(|(at, c)| (c.name(), at)).collect();
            let mut chosen = BTreeSet::new();
            for name in names.split(',').map(str::trim) {
                if injected(name) {
                    return Err(format!(
                        "diyadm: {CONTAINERS} names an injected container: {name}"
                    ));
                }
                let at = places.get(name);
                let at =
                    at.ok_or_else(|| format!("diyadm: {CONTAINERS} names no container: {name}"))?;
                chosen.insert(*at);
            }
            Ok(chosen.into_iter().collect())
        }
        None => {
            let default = pod.annotation(DEFAULT_CONTAINER);
            let named = default.filter(|name| !injected(name)).and_then(|name| {
                all().find(|(_, container)| container.name() == name).map(|(at, _)| at)
            });
            Ok(named.or_else(|| own().next()).into_iter().collect())
        }
    }
}
