//! What runs for a container's whole life, read without the tree of all commands: what a process
//! touches at its start stays in its memory with it, and takes its time before the first answer.

use std::ffi::OsString;

use clap::{Args, Parser};

use super::{Cli, Command, Global};

/// A command as a program of its own.
#[derive(Parser, Debug)]
struct Alone<T: Args> {
    #[command(flatten)]
    args: T,
}

/// `diyadm idle …` and `diyadm serve …`. `None` for anything else, which is read as ever: another
/// command, a wrong flag, a common one, `--help`.
pub fn alone(mut args: impl Iterator<Item = OsString>) -> Option<Cli> {
    let _program = args.next()?;
    let name = args.next()?;
    // The command's name takes the program's place in what is read.
    let command = match name.to_str()? {
        "idle" => Command::Idle(read(name, args)?),
        "serve" => Command::Serve(read(name, args)?),
        _ => return None,
    };
    Some(Cli { global: Global::default(), command })
}

fn read<T: Args>(name: OsString, args: impl Iterator<Item = OsString>) -> Option<T> {
    Alone::try_parse_from(std::iter::once(name).chain(args)).ok().map(|Alone { args }| args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_the_tree_reads() {
        let lines = [
            "diyadm idle",
            "diyadm idle --grace 3 --socket /x --ring=9 --adopt",
            "diyadm serve",
            "diyadm serve --cert a --key b --workers 2 --level pod --image keep --containers a,b",
        ];
        for line in lines {
            let words = || line.split(' ').map(OsString::from);
            let whole = Cli::try_parse_from(words()).unwrap();
            assert_eq!(format!("{:?}", alone(words())), format!("{:?}", Some(whole)), "{line}");
        }
        for line in ["diyadm", "diyadm idle -h", "diyadm serve -q", "diyadm idle --no", "diyadm ps"]
        {
            assert!(alone(line.split(' ').map(OsString::from)).is_none(), "{line}");
        }
    }
}
