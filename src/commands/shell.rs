//! `diyadm shell`.

use anyhow::Result;

use super::inside::block;
use crate::{
    cli::{Global, dev::Shell},
    dev::{
        session::Session,
        shell::{Flags, shell},
        target::EXEC,
    },
    exit::{Code, Failure, Topic},
    kubernetes::Cluster,
    ui::terminal::Terminal,
};

pub(super) fn run(global: &Global, args: &Shell) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    // Arguments are sent in a URL, as text.
    let command: Option<Vec<String>> =
        args.command.iter().map(|word| Some(word.to_str()?.to_owned())).collect();
    let command = command.ok_or_else(|| {
        Failure::usage(
            Topic::CommandLine,
            "A word of the command is not UTF-8.",
            "Run it inside the shell.",
        )
    })?;
    block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let session = Session::open(&cluster, &terminal, &args.at, &EXEC).await?;
        let flags = Flags { stdin: args.stdin, tty: args.tty };
        tokio::select! {
            code = shell(&session, &command, flags) => code,
            never = session.warn_of_any_end() => match never {},
        }
    })
}
