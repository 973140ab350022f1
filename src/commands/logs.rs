//! `diyadm logs`.

use anyhow::Result;
use jiff::SignedDuration;

use super::inside::{block, named};
use crate::{
    cli::{Global, dev::Logs},
    dev::{
        follow::{follow, nothing, only},
        printer::Printer,
        run::interrupted,
        session::Session,
        target::EXEC,
    },
    exit::{Code, Failure, Topic},
    kubernetes::Cluster,
    ui::terminal::Terminal,
};
use diyadm_agent::protocol::{self, Follow};

pub(super) fn run(global: &Global, args: &Logs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let named = args.name.as_deref().map(named).transpose()?;
    let since_ms = args.since.as_deref().map(milliseconds).transpose()?;
    block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let session = Session::open(&cluster, &terminal, &args.at, &EXEC).await?;
        let session = session.reporting(args.events);
        let pick = session.pick_to_look().await?;
        let Some(mut agent) = session.existing_agent(&pick).await? else {
            return Err(nothing(&session, &pick).await);
        };
        let logs = protocol::Logs {
            name: only(&session, &pick, &mut agent, named).await?,
            after: 0,
            since_ms: since_ms.map_or(0, |since| cluster.now_ms().saturating_sub(since)),
            tail: args.tail,
            follow: if args.follow { Follow::Always } else { Follow::No },
        };
        let mut printer = Printer::new(args.timestamps);
        tokio::select! {
            outcome = follow(&session, &pick, agent, logs, &mut printer) => outcome.map(|_| ()),
            () = interrupted() => Err(Failure::interrupted("").into()),
        }
    })?;
    Ok(Code::Done)
}

/// `5m` in milliseconds.
fn milliseconds(text: &str) -> Result<u64> {
    let wrong = || {
        let what = format!("{text:?} is not a duration.");
        Failure::usage(Topic::CommandLine, what, "Use --since 90s, 5m or 1h30m.")
    };
    let since: SignedDuration = text.parse().map_err(|_| wrong())?;
    Ok(u64::try_from(since.as_millis()).map_err(|_| wrong())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_parsed_as_a_duration() {
        assert_eq!(milliseconds("90s").unwrap(), 90_000);
        assert_eq!(milliseconds("1h30m").unwrap(), 5_400_000);
        for wrong in ["", "x", "-5m", "5"] {
            assert!(milliseconds(wrong).is_err(), "{wrong}");
        }
    }
}
