//! One file for each subcommand: gathers data, calls the pure part, and prints.

use anyhow::Result;

use crate::{
    cli::{Cli, Command, completions},
    exit::Code,
    operations::declared_kinds,
    platform::{process::survive_file_limits, terminal},
};

mod check;
mod dev;
mod diff;
mod empty;
mod expire;
mod extend;
mod forward;
mod images;
mod init;
mod inside;
mod install;
mod logs;
mod man;
mod mutate;
mod plan;
mod ps;
mod render;
mod restore;
mod rights;
mod rules;
mod run;
mod runtime;
mod schema;
mod serve;
mod shell;
mod status;
mod stop;
mod sync;
mod ui;
mod uninstall;
mod verify;
mod version;

/// Runs the subcommand of the command line.
pub fn run(cli: Cli) -> Result<Code> {
    survive_file_limits();
    terminal::prepare();
    let Cli { global, command } = cli;
    if let Some(file) = &global.connection.kinds {
        declared_kinds::declare(file)?;
    }
    match command {
        Command::Init(args) => init::run(&global, &args),
        Command::Render(args) => render::run(&global, &args),
        Command::Serve(args) => serve::run(&global, &args),
        Command::Install(args) => install::run(&global, &args),
        Command::Uninstall(args) => uninstall::run(&global, &args),
        Command::Check(args) => check::run(&global, &args),
        Command::Verify(args) => verify::run(&global, &args),
        Command::Shell(args) => shell::run(&global, &args),
        Command::Run(args) => run::run(&global, args),
        Command::Stop(args) => stop::stop(&global, &args),
        Command::Restart(args) => stop::restart(&global, &args),
        Command::Extend(args) => extend::run(&global, &args),
        Command::Ps(args) => ps::run(&global, &args),
        Command::Logs(args) => logs::run(&global, &args),
        Command::Sync(args) => sync::run(&global, &args),
        Command::Diff(args) => diff::run(&global, &args),
        Command::Forward(args) => forward::run(&global, &args),
        Command::Dev(args) => dev::run(&global, &args),
        Command::Mutate(args) => mutate::run(&global, &args),
        Command::Plan(args) => plan::run(&global, &args),
        Command::Empty(args) => empty::run(&global, &args),
        Command::Restore(args) => restore::run(&global, &args),
        Command::Expire(args) => expire::run(&global, &args),
        Command::Images(args) => images::run(&global, &args),
        Command::Rights(args) => rights::run(&global, &args),
        Command::Rules(args) => rules::run(&global, &args),
        Command::Status(args) => status::run(&global, &args),
        Command::Ui(args) => ui::run(&global, &args),
        Command::Version(args) => version::run(&global, &args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions { shell } => completions::print_script(shell),
        Command::Man { folder } => man::run(&folder),
    }
}
