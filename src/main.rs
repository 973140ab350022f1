//! Parses the command line, runs it, prints the error and chooses the exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;
use diyadm::{
    cli::{self, Cli},
    commands, exit,
};

fn main() -> ExitCode {
    if commands::completions::answered() {
        return ExitCode::SUCCESS;
    }
    let cli = match cli::alone(std::env::args_os()).map_or_else(Cli::try_parse, Ok) {
        Ok(cli) => cli,
        Err(error) => {
            // A broken pipe while printing the help is not an error of ours.
            let _ = error.print();
            return exit::Code::from_clap(&error).into();
        }
    };
    match commands::run(cli) {
        Ok(code) => code.into(),
        Err(error) => exit::report(&error).into(),
    }
}
