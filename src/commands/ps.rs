//! `diyadm ps`.

use std::{convert::Infallible, time::Duration};

use anyhow::Result;
use tokio::time::sleep;

use super::inside::block;
use crate::{
    cli::{
        Global,
        dev::{Listing, Ps},
    },
    dev::{
        listing::{Warn, is_nothing, lasting, list_applications},
        run::interrupted,
        session::Session,
        table::{ContainerApps, Pods, table},
        target::EXEC,
        trouble::is_lost,
    },
    exit::{Code, Failure},
    kubernetes::Cluster,
    ui::{
        Redraw,
        terminal::{self, Terminal},
    },
};

/// How often `--watch` looks.
const OFTEN: Duration = Duration::from_secs(2);

pub(super) fn run(global: &Global, args: &Ps) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let session = Session::open(&cluster, &terminal, &args.at, &EXEC).await?;
        if !args.watch {
            print(&session, args, &list_applications(&session, Warn::Yes).await?)?;
            return Ok(Code::Done);
        }
        tokio::select! {
            failed = watch(&session, args) => failed.map(|never| match never {}),
            () = interrupted() => Err(Failure::interrupted("").into()),
        }
    })
}

/// Looks until it is stopped. A terminal always shows the newest table; elsewhere a table is printed
/// when an application starts or ends.
async fn watch(session: &Session<'_>, args: &Ps) -> Result<Infallible> {
    let mut redraw = (args.output != Listing::Json).then(Redraw::new).flatten();
    let mut last = None;
    loop {
        let warn = if last.is_none() { Warn::Yes } else { Warn::No };
        match list_applications(session, warn).await {
            Ok(seen) => {
                let state: Vec<_> = seen.iter().map(lasting).collect();
                let is_news = last.as_ref() != Some(&state);
                if let Some(redraw) = &mut redraw {
                    redraw.draw(&shown(session, args, &seen))?;
                } else if is_news {
                    print(session, args, &seen)?;
                }
                last = Some(state);
            }
            Err(error) if last.is_some() && is_lost(&error) => {}
            Err(error) => return Err(error),
        }
        sleep(OFTEN).await;
    }
}

fn print(session: &Session<'_>, args: &Ps, seen: &[ContainerApps]) -> Result<()> {
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
            session.terminal.say(&nothing(session));
        }
        return Ok(());
    }
    let table = shown(session, args, seen);
    if args.watch { terminal::stream(&table) } else { terminal::print_text(&table) }
}

fn nothing(session: &Session<'_>) -> String {
    format!("Nothing was started yet: `diyadm run {} -- COMMAND`.", session.target.typed)
}

/// The table.
fn shown(session: &Session<'_>, args: &Ps, seen: &[ContainerApps]) -> String {
    if seen.iter().all(|seen| is_nothing(&seen.apps)) {
        return nothing(session);
    }
    let now_ms = session.cluster.now_ms();
    table(seen, args.output == Listing::Wide, terminal::table_width(), now_ms)
}
