//! Which containers of a pod are emptied.

use super::{
    CONTAINERS,
    view::{Container, Object, Pod},
};

/// kubectl's own annotation of a pod template, which names the container that people mean.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The containers to empty, by index, or the warning why none is.
pub(super) fn choose<'p, 'a>(
    object: &Object<'_>,
    pod: &Pod<'p, 'a>,
) -> Result<Vec<(usize, &'p Container<'a>)>, String> {
    let all = || pod.containers().iter().enumerate();
    match object.annotation(CONTAINERS) {
        Some("*") => Ok(all().collect()),
        Some(names) => {
            let mut chosen: Vec<(usize, &Container<'_>)> = Vec::new();
            for name in names.split(',').map(str::trim) {
                let found = all().find(|(_, c)| c.name() == name);
                let (index, container) = found
                    .ok_or_else(|| format!("diyadm: {CONTAINERS} names no container: {name}"))?;
                if chosen.iter().all(|(other, _)| *other != index) {
                    chosen.push((index, container));
                }
            }
            chosen.sort_by_key(|(index, _)| *index);
            Ok(chosen)
        }
        None => {
            let default = pod.annotation(DEFAULT_CONTAINER);
            let named = default.and_then(|name| all().find(|(_, c)| c.name() == name));
            Ok(named.or_else(|| all().next()).into_iter().collect())
        }
    }
}
