//! The applications in all Pods of a workload, as their agents list them.

use anyhow::Result;
use futures_util::future::try_join_all;

use super::{
    pods::{LiveContainers, Pick},
    session::Session,
    table::ContainerApps,
};
use crate::{exit, ui::text::clause};
use diyadm_agent::protocol::{App, Apps, PROTOCOL};

/// Whether what is missing in the table is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Warn {
    Yes,
    No,
}

/// What changes only when an application starts or ends.
pub(crate) fn lasting(seen: &ContainerApps) -> (String, Vec<App>) {
    let apps = seen.apps.apps.iter().cloned();
    (
        seen.pod.clone(),
        apps.map(|app| App { cpu_ms: 0, rss: 0, lines: 0, processes: 0, ..app }).collect(),
    )
}

/// What the agents of all Pods answer.
pub(crate) async fn list_applications(
    session: &Session<'_>,
    warn: Warn,
) -> Result<Vec<ContainerApps>> {
    let Session { terminal, cluster, .. } = session;
    // Nothing is started in a live container, not even to read its state, unless the user allows
    // it.
    let picks = session.target.all(cluster, LiveContainers::Allowed).await?;
    let (picks, live): (Vec<_>, Vec<_>) =
        picks.into_iter().partition(|pick| session.live.allow(pick));
    let seen = try_join_all(picks.iter().map(async |pick| {
        let apps = match session.existing_agent(pick).await? {
            Some(mut agent) => session.list(&mut agent).await?,
            None => Apps::default(),
        };
        anyhow::Ok(ContainerApps { pod: pick.pod.clone(), container: pick.container.clone(), apps })
    }))
    .await?;
    if warn == Warn::No {
        return Ok(seen);
    }
    if picks.is_empty() {
        // The refusal names the unfinished rollout, or gives a hint.
        if let Err(error) = session.pick_to_look().await {
            terminal.warn(&clause(&error));
            terminal.say(exit::hint(&error).unwrap_or_default());
        }
    } else {
        live.iter().for_each(|pick| terminal.warn(&not_looked_into(pick)));
    }
    for pick in picks.iter().zip(&seen).filter(|(_, seen)| is_unused(&seen.apps)) {
        if let Some(lost) = session.lost(pick.0).await {
            terminal.warn(&lost);
        }
    }
    for what in seen.iter().filter_map(not_shown) {
        terminal.warn(&what);
    }
    Ok(seen)
}

/// Whether no developer started anything in a container.
fn is_unused(apps: &Apps) -> bool {
    apps.apps.iter().all(|app| app.stand_in) && apps.others.is_empty()
}

/// Whether nothing was started in a container.
pub(crate) fn is_nothing(apps: &Apps) -> bool {
    apps.apps.is_empty() && apps.others.is_empty()
}

fn not_looked_into(Pick { pod, container, live, .. }: &Pick) -> String {
    let runs = live.as_deref().unwrap_or_default();
    format!(
        "container {container} of Pod {pod} was not emptied by diyadm and is skipped: its PID 1 \
         is {runs}; use --live to see what `run --live` started there"
    )
}

/// Applications of supervisors with other versions, which cannot be queried.
fn not_shown(ContainerApps { pod, container, apps }: &ContainerApps) -> Option<String> {
    let others: Vec<_> = apps.others.iter().map(u32::to_string).collect();
    (!others.is_empty()).then(|| {
        format!(
            "applications in {pod}/{container} are not shown: the agent has protocol {}, and this \
             diyadm has {PROTOCOL}. Run `diyadm ps` of the agent's version",
            others.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_of_another_protocol_is_reported() {
        let seen = |others| ContainerApps {
            pod: "web-1".to_owned(),
            container: "app".to_owned(),
            apps: Apps { others, ..Apps::default() },
        };
        assert_eq!(not_shown(&seen(Vec::new())), None);
        let said = not_shown(&seen(vec![0])).unwrap();
        assert!(said.contains("web-1/app") && said.contains("protocol 0"), "{said}");
    }
}
