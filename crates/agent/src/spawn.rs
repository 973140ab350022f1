//! Starts an application's program.

use std::{
    ffi::OsStr,
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::Path,
    process::{ChildStdin, Command, Stdio},
};

use rustix::process::Pid;

use super::{
    clock::now_ms,
    leftover::{Mark, VARIABLE},
    pipe::Pipe,
    proc,
    protocol::{Bytes, Failed, Start, Stream},
    words::append,
};

/// A started process.
pub(super) struct Run {
    pub(super) pid: Pid,
    pub(super) pipes: Vec<Pipe>,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) cwd: Bytes,
    pub(super) since_ms: u64,
    pub(super) oom_before: Option<u64>,
}

/// Starts a program in a process group of its own.
pub(super) fn spawn(start: &Start, mark: &Mark) -> Result<Run, Failed> {
    let failed = |subject: &Bytes, error: &io::Error| Failed::Spawn {
        why: format!("{} could not be started: {error}", subject.excerpt()),
        code: if error.kind() == ErrorKind::NotFound { 127 } else { 126 },
    };
    let [program, args @ ..] = &start.command[..] else {
        return Err(Failed::Malformed { what: "the command has no program".to_owned() });
    };
    let mut command = Command::new(OsStr::from_bytes(&program.0));
    command.args(args.iter().map(|arg| OsStr::from_bytes(&arg.0)));
    let os = |(name, value): &(Bytes, Bytes)| {
        (OsStr::from_bytes(&name.0).to_owned(), OsStr::from_bytes(&value.0).to_owned())
    };
    command.envs(start.env.iter().map(os));
    start.env_append.iter().map(os).for_each(|(name, more)| append(&mut command, &name, &more));
    command.env(VARIABLE, mark.value(&start.name));
    if let Some(cwd) = &start.cwd {
        let path = Path::new(OsStr::from_bytes(&cwd.0));
        // std reports a missing folder as a missing program.
        let no_folder = || Err(ErrorKind::NotADirectory.into());
        let folder =
            path.metadata().and_then(|meta| if meta.is_dir() { Ok(()) } else { no_folder() });
        folder.map_err(|error| Failed::Spawn {
            why: format!("the working directory {} cannot be used: {error}", cwd.excerpt()),
            code: 126,
        })?;
        command.current_dir(path);
    }
    let oom_before = proc::oom_kills();
    let stdin = if start.stdin { Stdio::piped() } else { Stdio::null() };
    let pipes = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.process_group(0).spawn().map_err(|e| failed(program, &e))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a pid is positive");
    let (out, err) = child.stdout.take().zip(child.stderr.take()).expect("both are piped");
    let pipe = |stream, fd: OwnedFd| Pipe::new(stream, fd).map_err(|e| failed(program, &e));
    let pipes = vec![pipe(Stream::Out, out.into())?, pipe(Stream::Err, err.into())?];
    let own = || std::env::current_dir().map(|path| path.as_os_str().as_bytes().to_vec());
    let cwd = start.cwd.clone().unwrap_or_else(|| Bytes(own().unwrap_or_default()));
    Ok(Run { pid, pipes, stdin: child.stdin.take(), cwd, since_ms: now_ms(), oom_before })
}
