//! Parses the command line, runs it, prints the error and chooses the exit code.

use std::process::ExitCode;

use diyadm::{
    cli::{self, Cli},
    commands, exit,
};

fn main() -> ExitCode {
    exit::report_panics();
    if cli::completions::answered() {
        return ExitCode::SUCCESS;
    }
    let words = cli::normalized(std::env::args_os().collect());
    match cli::parse(&words) {
        Ok(cli) => {
            cli::warnings(&cli, &words).iter().for_each(|what| exit::warn(what));
            run(cli)
        }
        Err(error) => {
            let error = cli::harmless(error, &words);
            exit::report_usage(&error, cli::tip(&error, &words).as_deref()).into()
        }
    }
}

fn run(cli: Cli) -> ExitCode {
    match commands::run(cli) {
        Ok(code) => code.into(),
        Err(error) => exit::report(&error).into(),
    }
}
