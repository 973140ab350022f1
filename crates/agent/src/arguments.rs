//! The command line, parsed by hand: an argument parser would be a third of the program, and memory
//! that PID 1 touches at its start stays allocated.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use anyhow::Result;

use super::{
    error::Failure,
    idle,
    protocol::{MOST_GRACE_S, PROTOCOL},
};

/// Seconds from SIGTERM to SIGKILL.
const GRACE: u64 = 20;
/// KiB of output kept for each application.
const RING: usize = 1024;
/// The maximum: a GiB for each application.
const MOST_RING: usize = 1 << 20;

const HELP: &str = "\
Run as PID 1 of an emptied container: reap processes and supervise applications

Usage: diyadm-agent [--grace SECONDS] [--socket FILE] [--ring KIB] [--stand-in -- COMMAND]
       diyadm-agent relay [--socket FILE]
       diyadm-agent install FOLDER
       diyadm-agent shell
       diyadm-agent ready [--socket FILE] [--probe JSON]
       diyadm-agent alive [--socket FILE] [--probe JSON]

Commands:
  relay    Speak diyadm's protocol over stdin and stdout
  install  Copy this program into a folder
  shell    Run a small shell, for images without one
  ready    Succeed while an application runs and its readiness probe succeeds
  alive    Fail if the stand-in runs and its liveness probe fails

Options:
  --stand-in       Run COMMAND, the workload's own, while no other application runs
  --grace SECONDS  Time from SIGTERM to SIGKILL for applications when the container stops
                   [default: 20; with --stand-in: the Pod's own]
  --socket FILE    Socket between PID 1 and the other commands [default: in the program's
                   folder, else in $TMPDIR, /tmp, /dev/shm, /run or /var/tmp]
  --ring KIB       Size of the output kept for each application [default: 1024]
  --probe JSON     The workload's own probe, with ports as numbers
  --help           Print this help
  --version        Print the version
";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Run as PID 1, or as a supervisor next to another PID 1.
    Idle(idle::Options),
    /// Serve one client over stdin and stdout.
    Relay { socket: Option<PathBuf> },
    /// Copy this program into a folder.
    Install { folder: PathBuf },
    /// Read commands from stdin.
    Shell,
    /// Probe once whether the container is ready.
    Ready { socket: Option<PathBuf>, probe: Option<String> },
    /// Probe once whether the container's stand-in works.
    Alive { socket: Option<PathBuf>, probe: Option<String> },
    /// Print a text.
    Print(String),
}

/// Parses the arguments after the program's name.
///
/// # Errors
/// An unknown word, a flag that comes twice, a value that is missing or makes no sense.
pub(super) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let mut words = Words { rest: words.into_iter().collect::<Vec<_>>().into_iter() };
    let known = ["relay", "install", "shell", "ready", "alive"];
    let name = words.rest.as_slice().first().and_then(|word| word.to_str());
    let name = known.into_iter().find(|known| Some(*known) == name);
    if name.is_some() {
        words.rest.next();
    }
    let (mut grace, mut ring, mut socket) = (None, None, None);
    let (mut folder, mut probe, mut adopt) = (None, None, None);
    let (mut stand_in, mut stand_in_command) = (None, None);
    while let Some(Word { flag, value }) = words.next() {
        match (flag.to_str().unwrap_or_default(), name) {
            ("--help" | "-h", _) => return Ok(Command::Print(HELP.to_owned())),
            ("--version" | "-V", _) => {
                let version = env!("CARGO_PKG_VERSION");
                return Ok(Command::Print(format!(
                    "diyadm-agent {version} (protocol {PROTOCOL})\n"
                )));
            }
            ("--grace", None) => {
                let number = words.number(&flag, value, MOST_GRACE_S)?;
                once(&flag, &mut grace, number)?;
            }
            ("--ring", None) => {
                let number = words.number(&flag, value, MOST_RING as u64)?;
                once(&flag, &mut ring, usize::try_from(number)?)?;
            }
            ("--adopt", None) if value.is_none() => once(&flag, &mut adopt, ())?,
            ("--stand-in", None) if value.is_none() => once(&flag, &mut stand_in, ())?,
            ("--", None) if stand_in.is_some() => {
                stand_in_command = Some(words.rest.by_ref().collect::<Vec<_>>());
            }
            ("--socket", None | Some("relay" | "ready" | "alive")) => {
                let path = words.value(&flag, value)?;
                once(&flag, &mut socket, path.into())?;
            }
            ("--probe", Some("ready" | "alive")) => {
                let text = words.value(&flag, value)?;
                once(&flag, &mut probe, text.to_string_lossy().into_owned())?;
            }
            (word, Some("install")) if !word.starts_with('-') && value.is_none() => {
                once("FOLDER", &mut folder, flag.into())?;
            }
            _ => return Err(usage(format!("unexpected argument `{}`", flag.display()))),
        }
    }
    let stand_in = match (stand_in, stand_in_command.filter(|words| !words.is_empty())) {
        (None, _) => None,
        (Some(()), Some(command)) if adopt.is_none() => Some(command),
        (Some(()), _) => {
            return Err(usage("`--stand-in` needs `-- COMMAND`, and PID 1".to_owned()));
        }
    };
    // The kubelet kills a stand-in when the Pod's own grace period is over.
    let most = if stand_in.is_some() { MOST_GRACE_S } else { GRACE };
    Ok(match name {
        None => Command::Idle(idle::Options {
            stand_in,
            grace: Duration::from_secs(grace.unwrap_or(most)),
            ring: ring.unwrap_or(RING) * 1024,
            socket,
            adopt: adopt.is_some(),
        }),
        Some("relay") => Command::Relay { socket },
        Some("install") => {
            let folder = folder.ok_or_else(|| usage("FOLDER is missing".to_owned()))?;
            Command::Install { folder }
        }
        Some("shell") => Command::Shell,
        Some("ready") => Command::Ready { socket, probe },
        Some(_) => Command::Alive { socket, probe },
    })
}

/// An argument, split if it is `--FLAG=VALUE`.
struct Word {
    flag: OsString,
    value: Option<OsString>,
}

/// The arguments that are not parsed yet.
struct Words {
    rest: std::vec::IntoIter<OsString>,
}

impl Words {
    fn next(&mut self) -> Option<Word> {
        let word = self.rest.next()?;
        let split = word.to_str().filter(|text| text.starts_with("--"));
        match split.and_then(|text| text.split_once('=')) {
            Some((flag, value)) => Some(Word { flag: flag.into(), value: Some(value.into()) }),
            None => Some(Word { flag: word, value: None }),
        }
    }

    /// The flag's value: the text after `=`, else the next argument if that is not a flag.
    fn value(&mut self, flag: &OsStr, value: Option<OsString>) -> Result<OsString> {
        let next = |rest: &mut std::vec::IntoIter<OsString>| {
            rest.next().filter(|next| !next.as_encoded_bytes().starts_with(b"-"))
        };
        let value = value.or_else(|| next(&mut self.rest)).filter(|value| !value.is_empty());
        value.ok_or_else(|| usage(format!("`{}` needs a value", flag.display())))
    }

    fn number(&mut self, flag: &OsStr, value: Option<OsString>, most: u64) -> Result<u64> {
        let value = self.value(flag, value)?;
        let number = value.to_str().and_then(|text| text.parse().ok());
        number.filter(|number| *number <= most).ok_or_else(|| {
            let (flag, value) = (flag.display(), value.display());
            usage(format!("`{flag} {value}` is not a number from 0 to {most}"))
        })
    }
}

fn once<T>(flag: impl AsRef<OsStr>, slot: &mut Option<T>, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(usage(format!("`{}` is given twice", flag.as_ref().display()))),
    }
}

fn usage(what: String) -> anyhow::Error {
    Failure::usage(what, "Run `diyadm-agent --help`.").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn idle(grace: u64, ring: usize, socket: Option<&str>, adopt: bool) -> Command {
        let (grace, socket) = (Duration::from_secs(grace), socket.map(PathBuf::from));
        Command::Idle(idle::Options { grace, socket, ring: ring * 1024, adopt, stand_in: None })
    }

    #[test]
    fn agent_without_a_command_is_pid_1() {
        assert_eq!(parsed("").unwrap(), idle(20, 1024, None, false));
        let all = "--grace 3 --socket /x --ring=9 --adopt";
        assert_eq!(parsed(all).unwrap(), idle(3, 9, Some("/x"), true));
        assert_eq!(parsed("--socket=a=b --grace=0").unwrap(), idle(0, 1024, Some("a=b"), false));
    }

    #[test]
    fn everything_after_two_dashes_is_the_stand_in() {
        let stand_in = |line| match parsed(line).unwrap() {
            Command::Idle(options) => (options.stand_in.unwrap_or_default(), options.grace),
            other => panic!("{other:?}"),
        };
        let grace = Duration::from_secs(MOST_GRACE_S);
        let command = ["java", "--grace=1", "--", "-x"].map(OsString::from).to_vec();
        assert_eq!(stand_in("--stand-in -- java --grace=1 -- -x"), (command, grace));
        assert_eq!(stand_in("--grace 3 --stand-in -- x").1, Duration::from_secs(3));
    }

    #[test]
    fn agent_commands_accept_their_own_flags() {
        let socket = || Some(PathBuf::from("/x"));
        assert_eq!(parsed("relay").unwrap(), Command::Relay { socket: None });
        assert_eq!(parsed("relay --socket /x").unwrap(), Command::Relay { socket: socket() });
        assert_eq!(parsed("install /x").unwrap(), Command::Install { folder: "/x".into() });
        assert_eq!(parsed("shell").unwrap(), Command::Shell);
        let probe = Some("{}".to_owned());
        let ready = Command::Ready { socket: socket(), probe };
        assert_eq!(parsed("ready --probe {} --socket /x").unwrap(), ready);
        let alive = Command::Alive { socket: None, probe: None };
        assert_eq!(parsed("alive").unwrap(), alive);
        for line in ["--help", "relay -h", "--version", "-V"] {
            assert!(matches!(parsed(line).unwrap(), Command::Print(_)), "{line}");
        }
    }

    #[test]
    fn unknown_agent_arguments_are_refused() {
        for line in [
            "idle",
            "--no",
            "--grace",
            "--grace x",
            "--grace -1",
            "--grace 604801",
            "--grace 18446744073709551615",
            "--ring 1048577",
            "--grace 1 --grace 2",
            "--adopt --adopt",
            "--adopt=true",
            "--socket=",
            "--socket --adopt",
            "--probe {}",
            "relay --grace 1",
            "relay word",
            "install",
            "install /x /y",
            "install --x",
            "shell -c",
            "ready --ring 1",
            "-- x",
            "--stand-in",
            "--stand-in --",
            "--stand-in=x -- x",
            "--stand-in --adopt -- x",
            "ready --stand-in -- x",
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.downcast_ref::<Failure>().is_some(), "{line}: {error}");
        }
    }
}
