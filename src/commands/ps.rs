//! `diyadm ps`.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use futures_util::future::try_join_all;
use serde_json::json;

use super::inside::block;
use crate::{
    cli::{
        Global,
        dev::{Listing, Ps},
    },
    dev::{
        pods::Pick,
        session::Session,
        table::{Seen, table},
        target::EXEC,
    },
    exit::{self, Code},
    kubernetes::Cluster,
    ui::{
        terminal::{self, Terminal},
        text::clause,
    },
};
use diyadm_agent::protocol::{Apps, PROTOCOL};

pub(super) fn run(global: &Global, args: &Ps) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let seen = block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let session = Session::open(&cluster, &terminal, &args.at, &EXEC).await?;
        // Nothing is started in a live container, not even to read its state, unless the user
        // allows it.
        let picks = session.target.all(&cluster, true).await?;
        let (picks, live): (Vec<_>, Vec<_>) =
            picks.into_iter().partition(|pick| session.live || pick.live.is_none());
        if picks.is_empty() {
            // The refusal names the unfinished rollout, or gives a hint.
            if let Err(error) = session.pick().await {
                terminal.warn(&clause(&error));
                terminal.say(exit::hint(&error).unwrap_or_default());
            }
        } else {
            live.iter().for_each(|pick| terminal.warn(&not_looked_into(pick)));
        }
        let seen = try_join_all(picks.iter().map(async |pick| {
            let apps = match session.existing_agent(pick).await? {
                Some(mut agent) => session.list(&mut agent).await?,
                None => Apps::default(),
            };
            anyhow::Ok(Seen { pod: pick.pod.clone(), container: pick.container.clone(), apps })
        }))
        .await?;
        for pick in picks.iter().zip(&seen).filter(|(_, seen)| is_nothing(&seen.apps)) {
            if let Some(lost) = session.lost(pick.0).await {
                terminal.warn(&lost);
            }
        }
        anyhow::Ok(seen)
    })?;
    for seen in &seen {
        if let Some(what) = not_shown(seen) {
            terminal.warn(&what);
        }
    }
    if args.output == Listing::Json {
        let pods = seen.iter().map(|seen| {
            let Seen { pod, container, apps } = seen;
            json!({ "pod": pod, "container": container, "supervisor": apps.supervisor, "apps": apps.apps, "others": apps.others })
        });
        let pods = json!({ "pods": pods.collect::<Vec<_>>() });
        terminal::print(&format!("{pods:#}\n"))?;
        return Ok(Code::Done);
    }
    if seen.iter().all(|seen| is_nothing(&seen.apps)) {
        if !seen.is_empty() {
            let shown = &args.at.workload;
            terminal.say(&format!("Nothing was started yet: `diyadm run {shown} -- COMMAND`."));
        }
        return Ok(Code::Done);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    terminal::print_text(&table(&seen, args.output == Listing::Wide, now_ms))?;
    Ok(Code::Done)
}

fn is_nothing(apps: &Apps) -> bool {
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
fn not_shown(Seen { pod, container, apps }: &Seen) -> Option<String> {
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
        let seen = |others| Seen {
            pod: "web-1".to_owned(),
            container: "app".to_owned(),
            apps: Apps { others, ..Apps::default() },
        };
        assert_eq!(not_shown(&seen(Vec::new())), None);
        let said = not_shown(&seen(vec![0])).unwrap();
        assert!(said.contains("web-1/app") && said.contains("protocol 0"), "{said}");
    }
}
