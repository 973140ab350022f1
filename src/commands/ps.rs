//! `diyadm ps`.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use futures_util::future::try_join_all;
use serde_json::json;

use super::{inside::block, terminal::Terminal};
use crate::{
    cli::{
        Global,
        dev::{Listing, Ps},
    },
    cluster::Cluster,
    dev::{
        session::Session,
        table::{Seen, table},
        target::EXEC,
    },
    exit::Code,
};

pub(super) fn run(global: &Global, args: &Ps) -> Result<Code> {
    let terminal = Terminal::new(global);
    let seen = block(async {
        let cluster = Cluster::connect(global).await?;
        let session = Session::open(&cluster, &terminal, &args.at, &EXEC).await?;
        let picks = session.target.all(&cluster).await?;
        try_join_all(picks.iter().map(async |pick| {
            let mut agent = session.agent_of(pick).await?;
            let apps = session.list(&mut agent).await?;
            anyhow::Ok(Seen { pod: pick.pod.clone(), container: pick.container.clone(), apps })
        }))
        .await
    })?;
    if args.output == Listing::Json {
        let pods = seen.iter().map(|seen| {
            let Seen { pod, container, apps } = seen;
            json!({ "pod": pod, "container": container, "supervisor": apps.supervisor, "apps": apps.apps })
        });
        println!("{:#}", json!({ "pods": pods.collect::<Vec<_>>() }));
        return Ok(Code::Done);
    }
    if seen.iter().all(|seen| seen.apps.apps.is_empty()) {
        let shown = &args.at.workload;
        terminal.say(&format!("Nothing was started yet: `diyadm run {shown} -- COMMAND`."));
        return Ok(Code::Done);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    print!("{}", table(&seen, args.output == Listing::Wide, now_ms));
    Ok(Code::Done)
}
