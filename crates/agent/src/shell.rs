//! `diyadm-agent shell`: a small interactive shell for images that have none. It has a few built-in
//! commands and runs programs from PATH. Pipes, redirection, wildcards, jobs and scripts are not
//! supported and give an error.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    io::{self, IsTerminal},
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    process::Command,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, SpecialCodeIndex};

use super::{
    error::Code,
    output::{self, escaped},
};

mod builtin;
mod words;

use words::Wrong;

const HELP: &str = "\
This is diyadm's small shell, since this image has no other shell.
  cd [FOLDER]            pwd                    ls [-a] [-l] [PATH ...]
  cat FILE ...           env                    export NAME=VALUE ...
  unset NAME ...         ps                     kill [-SIGNAL] PID ...
  help                   exit [STATUS]
Anything else is a program, found by PATH, with its arguments.
'single' and \"double\" quotes, \\x, $NAME, ${NAME} and $? are understood; pipes, > and <, &, ;, *
and jobs are not. To run an application that outlives this shell: diyadm run, on your machine.";

/// The shell's own state.
struct Shell {
    /// Variables set in addition to the environment of this process.
    variables: BTreeMap<OsString, Option<OsString>>,
    status: u8,
}

/// Reads lines until `exit` or the end of the input.
pub(super) fn run() -> Result<Code> {
    let interactive = io::stdin().is_terminal();
    let mut shell = Shell { variables: BTreeMap::new(), status: 0 };
    if interactive {
        settle_terminal().context("the terminal")?;
        output::line("diyadm's small shell; `help` lists its commands.");
    }
    loop {
        if interactive {
            let cwd = env::current_dir().unwrap_or_default();
            output::print(&escaped(&format!("{} $ ", cwd.display())))?;
        }
        let mut line = Vec::new();
        if io::BufRead::read_until(&mut io::stdin().lock(), b'\n', &mut line)? == 0 {
            return Ok(Code::Program(shell.status));
        }
        let value = |name: &[u8]| shell.value(name);
        match words::split(&line, value) {
            Ok(words) => match &words[..] {
                [] => {}
                [exit, rest @ ..] if exit == "exit" => {
                    let status = rest.first().and_then(|status| status.to_str()?.parse().ok());
                    return Ok(Code::Program(status.unwrap_or(shell.status)));
                }
                [name, args @ ..] => shell.status = shell.command(name, args),
            },
            Err(wrong) => {
                shell.status = 2;
                let what = match wrong {
                    Wrong::Quote => "a quote is not closed".to_owned(),
                    Wrong::Unknown(c) => {
                        format!("{c:?} is not supported here unless quoted; see `help`")
                    }
                };
                output::line(&what);
            }
        }
    }
}

/// Ctrl-C and Ctrl-\ end the running program and not the shell. Ctrl-Z has no effect, since nothing
/// here could resume a stopped program.
fn settle_terminal() -> io::Result<()> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGQUIT] {
        // A handler, since ignored signals would also be ignored by the started programs.
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let stdin = io::stdin();
    let mut terminal = rustix::termios::tcgetattr(&stdin)?;
    terminal.special_codes[SpecialCodeIndex::VSUSP] = 0;
    Ok(rustix::termios::tcsetattr(&stdin, OptionalActions::Now, &terminal)?)
}

impl Shell {
    fn value(&self, name: &[u8]) -> Vec<u8> {
        if name == b"?" {
            return self.status.to_string().into_bytes();
        }
        let name = OsStr::from_bytes(name);
        let value = match self.variables.get(name) {
            Some(set) => set.clone(),
            None => env::var_os(name),
        };
        value.map(|value| value.as_bytes().to_vec()).unwrap_or_default()
    }

    /// All variables for started programs.
    fn environment(&self) -> BTreeMap<OsString, OsString> {
        let mut all: BTreeMap<_, _> = env::vars_os().collect();
        for (name, value) in &self.variables {
            match value {
                Some(value) => all.insert(name.clone(), value.clone()),
                None => all.remove(name),
            };
        }
        all
    }

    /// Runs one command and returns its exit status.
    fn command(&mut self, name: &OsStr, args: &[OsString]) -> u8 {
        let done = match name.as_bytes() {
            b"help" => builtin::say(HELP.as_bytes()),
            b"cd" => builtin::cd(args, &self.value(b"HOME")),
            b"pwd" => env::current_dir().and_then(|cwd| builtin::say(cwd.as_os_str().as_bytes())),
            b"ls" => builtin::ls(args),
            b"cat" => builtin::cat(args),
            b"ps" => builtin::ps(),
            b"kill" => builtin::kill(args),
            b"env" if args.is_empty() => self.environment().iter().try_for_each(|(name, value)| {
                builtin::say(&[name.as_bytes(), b"=", value.as_bytes()].concat())
            }),
            b"export" => self.export(args),
            b"unset" => {
                self.variables.extend(args.iter().map(|name| (name.clone(), None)));
                Ok(())
            }
            _ => return self.program(name, args),
        };
        match done {
            Ok(()) => 0,
            Err(error) => {
                output::line(&format!("{}: {error}", name.display()));
                1
            }
        }
    }

    fn export(&mut self, args: &[OsString]) -> io::Result<()> {
        for arg in args {
            let bytes = arg.as_bytes();
            let at = memchr::memchr(b'=', bytes).filter(|at| *at > 0);
            let at = at.ok_or_else(|| io::Error::other("usage: export NAME=VALUE"))?;
            let [name, value] = [&bytes[..at], &bytes[at + 1..]].map(OsStr::from_bytes);
            self.variables.insert(name.to_owned(), Some(value.to_owned()));
        }
        Ok(())
    }

    fn program(&self, name: &OsStr, args: &[OsString]) -> u8 {
        let ran = Command::new(name).args(args).env_clear().envs(self.environment()).status();
        match ran {
            Ok(status) => {
                if let Some(signal) = status.signal() {
                    let named = super::protocol::signal_name(signal);
                    let text = named.map_or_else(|| format!("signal {signal}"), str::to_owned);
                    output::line(&text);
                }
                let code = status.code().or_else(|| Some(128 + status.signal()?));
                code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                output::line(&format!("{}: command not found; see `help`", name.display()));
                127
            }
            Err(error) => {
                output::line(&format!("{}: {error}", name.display()));
                126
            }
        }
    }
}
