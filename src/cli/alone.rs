//! What runs for a container's whole life, read without the tree of all commands: what a process
//! touches at its start stays in its memory with it, and takes its time before the first answer.

use std::ffi::OsString;

use clap::{Args, Parser};

use super::{
    Cli, Command, Global,
    agent::{GRACE, Idle, MOST_RING, RING},
};
use crate::agent::protocol::MOST_GRACE_S;

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
        "idle" => Command::Idle(idle(args)?),
        "serve" => Command::Serve(read(name, args)?),
        _ => return None,
    };
    Some(Cli { global: Global::default(), command })
}

fn read<T: Args>(name: OsString, args: impl Iterator<Item = OsString>) -> Option<T> {
    Alone::try_parse_from(std::iter::once(name).chain(args)).ok().map(|Alone { args }| args)
}

/// `idle`'s flags by hand: clap alone would be an eighth of what PID 1 keeps in memory. `None`
/// where there is any doubt.
fn idle(mut args: impl Iterator<Item = OsString>) -> Option<Idle> {
    let (mut grace, mut socket, mut ring, mut adopt) = (None, None, None, None);
    while let Some(arg) = args.next() {
        let arg = arg.to_str()?;
        if arg == "--adopt" {
            once(&mut adopt, true)?;
            continue;
        }
        let (flag, value) = match arg.split_once('=') {
            Some((flag, value)) => (flag, value.into()),
            // What begins like a flag may be one.
            None => (arg, args.next().filter(|value| !value.as_encoded_bytes().starts_with(b"-"))?),
        };
        match flag {
            "--grace" => once(&mut grace, value.to_str()?.parse().ok()?)?,
            "--ring" => once(&mut ring, value.to_str()?.parse().ok()?)?,
            "--socket" if !value.is_empty() => once(&mut socket, value.into())?,
            _ => return None,
        }
    }
    let (grace, ring) = (grace.unwrap_or(GRACE), ring.unwrap_or(RING));
    if grace > MOST_GRACE_S || u64::try_from(ring).ok()? > MOST_RING {
        return None;
    }
    Some(Idle { grace, socket, ring, adopt: adopt.unwrap_or_default() })
}

/// A flag that comes twice is a mistake.
fn once<T>(flag: &mut Option<T>, value: T) -> Option<()> {
    flag.replace(value).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_the_tree_reads() {
        let lines = [
            "diyadm idle",
            "diyadm idle --grace 3 --socket /x --ring=9 --adopt",
            "diyadm idle --socket=a=b --grace=0",
            "diyadm serve",
            "diyadm serve --cert a --key b --workers 2 --level pod --image keep --containers a,b",
        ];
        for line in lines {
            let words = || line.split(' ').map(OsString::from);
            let whole = Cli::try_parse_from(words()).unwrap();
            assert_eq!(format!("{:?}", alone(words())), format!("{:?}", Some(whole)), "{line}");
        }
    }

    #[test]
    fn what_it_does_not_read_is_left_to_the_tree() {
        for line in [
            "diyadm",
            "diyadm idle -h",
            "diyadm serve -q",
            "diyadm idle --no",
            "diyadm idle --grace",
            "diyadm idle --grace x",
            "diyadm idle --grace -1",
            "diyadm idle --grace 604801",
            "diyadm idle --grace 18446744073709551615",
            "diyadm idle --ring 1048577",
            "diyadm idle --grace 1 --grace 2",
            "diyadm idle --adopt --adopt",
            "diyadm idle --adopt=true",
            "diyadm idle --socket=",
            "diyadm idle --socket --adopt",
            "diyadm idle word",
            "diyadm ps",
        ] {
            assert!(alone(line.split(' ').map(OsString::from)).is_none(), "{line}");
        }
    }
}
