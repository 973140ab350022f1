//! `diyadm diff`.

use anyhow::{Error, Result};

use super::inside::{block, bytes};
use crate::{
    cli::{
        Global,
        dev::{Diff, DiffFormat},
    },
    dev::{
        diff::{Comparison, DifferenceKind, compare},
        run::interrupted,
        session::Session,
        sync::Options,
        table::{sent_by, short},
        target::EXEC,
    },
    exit::{Code, Failure, Topic},
    kubernetes::Cluster,
    ui::{
        terminal::{self, Terminal},
        text::{columns, counted},
    },
};

pub(super) fn run(global: &Global, args: &Diff) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let options = Options {
        checksum: true,
        dry_run: true,
        exclude: args.exclude.clone(),
        ignore_files: !args.no_ignore,
        ..Options::default()
    };
    let (comparison, now_ms) = block(async {
        let work = async {
            let cluster = Cluster::connect(&global.connection).await?;
            let session = Session::open(&cluster, &terminal, &args.at, &EXEC).await?;
            let remote = args.remote.clone().map(|path| bytes(path.into()));
            let comparison = compare(&session, &args.local, remote, options).await?;
            anyhow::Ok((comparison, cluster.now_ms()))
        };
        tokio::select! {
            compared = work => compared.map_err(with_exit_code_above_one),
            () = interrupted() => Err(Failure::interrupted("").into()),
        }
    })?;
    if args.output == DiffFormat::Json {
        terminal::print(&format!("{:#}\n", serde_json::to_value(&comparison)?))?;
    } else {
        print(&terminal, &comparison, now_ms)?;
    }
    Ok(if comparison.same { Code::Done } else { Code::No })
}

/// 1 says that both differ, so that a failure has another code.
fn with_exit_code_above_one(error: Error) -> Error {
    match error.downcast::<Failure>() {
        Ok(failure) if failure.is_no() => Failure { code: Code::Usage, ..failure }.into(),
        Ok(failure) => failure.into(),
        Err(error) => Failure::usage(Topic::LocalFile, format!("{error:#}."), "").into(),
    }
}

fn print(terminal: &Terminal, comparison: &Comparison, now_ms: u64) -> Result<()> {
    let Comparison { pod, container, local, remote, same, differences, archive, sent } = comparison;
    let there = format!("{remote} in {pod}/{container}");
    if *same {
        terminal.done(&format!("{local} is the same as {there}"), None);
    } else {
        let row = |kind, path: &str| {
            let kind = match kind {
                DifferenceKind::Differs => "differs",
                DifferenceKind::LocalOnly => "local only",
                DifferenceKind::RemoteOnly => "remote only",
            };
            vec![kind.to_owned(), path.to_owned()]
        };
        let mut rows = vec![vec!["DIFFERENCE".to_owned(), "PATH".to_owned()]];
        rows.extend(differences.iter().map(|one| row(one.kind, &one.path)));
        if differences.is_empty() {
            rows.push(row(DifferenceKind::Differs, remote));
        }
        terminal::print_text(&columns(&rows))?;
        let of = match (differences.len(), archive) {
            (0, true) => {
                " but has the same entries, in another order or with other times".to_owned()
            }
            (0, false) => String::new(),
            (count, _) => format!(": {}", counted(count, "difference", "differences")),
        };
        terminal.say(&format!("{local} differs from {there}{of}"));
    }
    if let Some(sent) = sent {
        let revision = match &sent.revision {
            Some(commit) if sent.dirty => format!(", from {} (dirty)", short(commit)),
            Some(commit) => format!(", from {}", short(commit)),
            None => String::new(),
        };
        let (hash, who) = (sent.hash.to_string(), sent_by(sent, now_ms));
        terminal.say(&format!("Sent to {remote} last: {} by {who}{revision}", short(&hash)));
    }
    Ok(())
}
