//! `diyadm run`.

use anyhow::Result;

use super::{
    expire,
    inside::{block, bytes, startable},
};
use crate::{
    cli::{Global, dev::Run},
    dev::{
        run::{self, Then},
        session::{Session, millis},
        target::EXEC,
    },
    exit::{Code, Failure, Topic},
    kubernetes::Cluster,
    operations::project_flags::expire_args,
    ui::terminal::Terminal,
};
use diyadm_agent::protocol::{Bytes, Start};

pub(super) fn run(global: &Global, args: Run) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let grace_ms = millis(args.grace.grace);
    let then = match (args.detach, args.stop_on_exit) {
        (true, _) => Then::Detach,
        (_, true) => Then::StopOnExit { grace_ms },
        _ => Then::Follow,
    };
    let start = Start {
        name: startable(&args.name)?.to_owned(),
        command: args.command.into_iter().map(bytes).collect(),
        env: args.env.iter().map(|text| variable(text)).collect::<Result<_>>()?,
        env_append: Vec::new(),
        stdin: args.stdin,
        cwd: args.workdir.map(|folder| bytes(folder.into())),
        replace: args.replace,
        grace_ms,
        content: Vec::new(),
    };
    let at = args.at.clone();
    let (code, has_expired) = block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let session = Session::open(&cluster, &terminal, &args.at, &EXEC).await?;
        let session = session.bringing(&args.bring).reporting(args.events).claiming(&args.lease);
        let code = Box::pin(run::start_and_follow(&session, start, then)).await?;
        Ok((code, session.has_expired_with_lease().await))
    })?;
    if has_expired {
        expire::run(global, &expire_args(&at))?;
    }
    Ok(code)
}

fn variable(text: &str) -> Result<(Bytes, Bytes)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        // Its value may be a secret, so it is not printed.
        _ => Err(Failure::usage(
            Topic::CommandLine,
            "An --env has no NAME before `=`.",
            "Use --env NAME=VALUE.",
        )
        .into()),
    }
}
