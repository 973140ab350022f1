//! `diyadm logs`.

use std::time::{SystemTime, UNIX_EPOCH};

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
    exit::{Code, Failure},
    kubernetes::Cluster,
    ui::terminal::Terminal,
};
use diyadm_agent::protocol::{self, Follow};

pub(super) fn run(global: &Global, args: &Logs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let named = args.name.as_deref().map(named).transpose()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let since_ms = args.since.as_deref().map_or(Ok(0), |since| since_ms(since, now_ms))?;
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
            since_ms,
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

/// `5m` before now, in milliseconds since 1970.
fn since_ms(text: &str, now_ms: i64) -> Result<u64> {
    let wrong = || {
        let what = format!("{text:?} is not a duration.");
        Failure::usage(what, "Use --since 90s, 5m or 1h30m.")
    };
    let since: SignedDuration = text.parse().map_err(|_| wrong())?;
    if since.is_negative() {
        return Err(wrong().into());
    }
    let since = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Ok(u64::try_from(now_ms.saturating_sub(since)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_parsed_as_a_duration() {
        assert_eq!(since_ms("90s", 100_000).unwrap(), 10_000);
        assert_eq!(since_ms("1h30m", 6_000_000).unwrap(), 600_000);
        assert_eq!(since_ms("5m", 0).unwrap(), 0);
        for wrong in ["", "x", "-5m", "5"] {
            assert!(since_ms(wrong, 0).is_err(), "{wrong}");
        }
    }
}
