//! What rules may ask about an object.

use std::collections::BTreeMap;

use super::{
    Context,
    rules::About,
    view::{Object, Pod},
};

/// Its own annotations come before its pod template's, and a client's wishes before both.
pub(super) fn about<'o>(
    object: &'o Object<'_>,
    pod: Option<&'o Pod<'_, '_>>,
    context: &'o Context<'_>,
) -> About<'o> {
    let wishes = context.wishes.iter();
    let wished = wishes.filter_map(|wish| Some((wish.key, wish.value.as_deref()?)));
    let gone = |key: &str| context.wishes.iter().any(|wish| wish.key == key);
    let mut annotations: Vec<_> = wished.collect();
    annotations.extend(object.annotations().filter(|(key, _)| !gone(key)));
    annotations.extend(pod.into_iter().flat_map(Pod::annotations));
    About {
        namespace: object.namespace().unwrap_or(context.namespace),
        names: names(object),
        labels: object.labels().collect::<BTreeMap<_, _>>(),
        annotations,
    }
}

/// Kind and name of what an object stands for: a Pod's or ReplicaSet's owner, as far as it can be
/// told from the object alone.
pub(super) fn names<'o>(object: &'o Object<'_>) -> Vec<(&'o str, &'o str)> {
    let own = object.name().or(object.generate_name()).unwrap_or_default();
    let Some(owner) = object.controller() else { return vec![(object.kind(), own)] };
    let (kind, name) = (owner.kind.as_ref(), owner.name.as_ref());
    // A Deployment's ReplicaSet is NAME-HASH, and its Pods carry the hash; a CronJob's Job is
    // NAME-MINUTES.
    let hash = object.label("pod-template-hash");
    let deployment = hash.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
    let minutes = name
        .rsplit_once('-')
        .filter(|(_, tail)| tail.len() >= 8 && tail.bytes().all(|byte| byte.is_ascii_digit()));
    match kind {
        "ReplicaSet" => deployment.map_or(vec![(kind, name)], |name| vec![("Deployment", name)]),
        "Job" => {
            let cron = minutes.map(|(name, _)| ("CronJob", name));
            cron.into_iter().chain([(kind, name)]).collect()
        }
        _ => vec![(kind, name)],
    }
}
