//! `diyadm ps`.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use futures_util::future::try_join_all;
use tokio::time::sleep;

use super::inside::block;
use crate::{
    cli::{
        Global,
        dev::{Listing, Ps},
    },
    dev::{
        pods::{LiveContainers, Pick},
        run::interrupted,
        session::Session,
        table::{ContainerApps, Pods, table},
        target::EXEC,
        trouble::is_lost,
    },
    exit::{self, Code, Failure},
    kubernetes::Cluster,
    ui::{
        Redraw,
        terminal::{self, Terminal},
        text::clause,
    },
};
use diyadm_agent::protocol::{App, Apps, PROTOCOL};

/// How often `--watch` looks.
const OFTEN: Duration = Duration::from_secs(2);

pub(super) fn run(global: &Global, args: &Ps) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let session = Session::open(&cluster, &terminal, &args.at, &EXEC).await?;
        if !args.watch {
            print(&terminal, args, &look(&session, Warn::Yes).await?)?;
            return Ok(Code::Done);
        }
        tokio::select! {
            failed = watch(&session, args) => failed.map(|never| match never {}),
            () = interrupted() => Err(Failure::interrupted("").into()),
        }
    })
}

/// Whether what is missing in the table is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Warn {
    Yes,
    No,
}

/// Looks until it is stopped. A terminal always shows the newest table; elsewhere a table is printed
/// when an application starts or ends.
async fn watch(session: &Session<'_>, args: &Ps) -> Result<Infallible> {
    let mut redraw = (args.output != Listing::Json).then(Redraw::new).flatten();
    let mut last = None;
    loop {
        let warn = if last.is_none() { Warn::Yes } else { Warn::No };
        match look(session, warn).await {
            Ok(seen) => {
                let state: Vec<_> = seen.iter().map(lasting).collect();
                let is_news = last.as_ref() != Some(&state);
                if let Some(redraw) = &mut redraw {
                    redraw.draw(&shown(args, &seen))?;
                } else if is_news {
                    print(session.terminal, args, &seen)?;
                }
                last = Some(state);
            }
            Err(error) if last.is_some() && is_lost(&error) => {}
            Err(error) => return Err(error),
        }
        sleep(OFTEN).await;
    }
}

/// What changes only when an application starts or ends.
fn lasting(seen: &ContainerApps) -> (String, Vec<App>) {
    let apps = seen.apps.apps.iter().cloned();
    (
        seen.pod.clone(),
        apps.map(|app| App { cpu_ms: 0, rss: 0, lines: 0, processes: 0, ..app }).collect(),
    )
}

/// What the agents of all Pods answer.
async fn look(session: &Session<'_>, warn: Warn) -> Result<Vec<ContainerApps>> {
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
        if let Err(error) = session.pick().await {
            terminal.warn(&clause(&error));
            terminal.say(exit::hint(&error).unwrap_or_default());
        }
    } else {
        live.iter().for_each(|pick| terminal.warn(&not_looked_into(pick)));
    }
    for pick in picks.iter().zip(&seen).filter(|(_, seen)| is_nothing(&seen.apps)) {
        if let Some(lost) = session.lost(pick.0).await {
            terminal.warn(&lost);
        }
    }
    for what in seen.iter().filter_map(not_shown) {
        terminal.warn(&what);
    }
    Ok(seen)
}

fn print(terminal: &Terminal, args: &Ps, seen: &[ContainerApps]) -> Result<()> {
    if args.output == Listing::Json {
        let pods = serde_json::to_value(Pods::of(seen))?;
        return if args.watch {
            terminal::stream(&format!("{pods}\n"))
        } else {
            terminal::print(&format!("{pods:#}\n"))
        };
    }
    if seen.iter().all(|seen| is_nothing(&seen.apps)) {
        if !seen.is_empty() {
            terminal.say(&nothing(args));
        }
        return Ok(());
    }
    let table = shown(args, seen);
    if args.watch { terminal::stream(&table) } else { terminal::print_text(&table) }
}

fn nothing(args: &Ps) -> String {
    format!("Nothing was started yet: `diyadm run {} -- COMMAND`.", args.at.workload)
}

/// The table.
fn shown(args: &Ps, seen: &[ContainerApps]) -> String {
    if seen.iter().all(|seen| is_nothing(&seen.apps)) {
        return nothing(args);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    table(seen, args.output == Listing::Wide, terminal::table_width(), now_ms)
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
