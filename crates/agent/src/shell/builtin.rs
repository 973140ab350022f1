//! The small shell's own commands.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    io::Write,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
    str::FromStr,
};

use rustix::process::{Pid, Signal};

use super::super::{proc, protocol::signal_name};

/// Writes a line to stdout.
pub(super) fn say(line: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(line)?;
    stdout.write_all(b"\n")
}

pub(super) fn cd(args: &[OsString], home: &[u8]) -> io::Result<()> {
    let home = if home.is_empty() { b"/" } else { home };
    env::set_current_dir(args.first().map_or(OsStr::from_bytes(home), OsString::as_os_str))
}

pub(super) fn cat(args: &[OsString]) -> io::Result<()> {
    for arg in args {
        let mut file = fs::File::open(arg).map_err(|error| about(arg, &error))?;
        io::copy(&mut file, &mut io::stdout().lock()).map_err(|error| about(arg, &error))?;
    }
    Ok(())
}

pub(super) fn ls(args: &[OsString]) -> io::Result<()> {
    let is_flag = |arg: &&OsString| arg.len() > 1 && arg.as_bytes()[0] == b'-';
    let (flags, paths): (Vec<_>, Vec<_>) = args.iter().partition(is_flag);
    let has = |flag| flags.iter().any(|arg| arg.as_bytes().contains(&flag));
    let (all, long) = (has(b'a'), has(b'l'));
    let here = OsString::from(".");
    let paths = if paths.is_empty() { vec![&here] } else { paths };
    for path in &paths {
        if !fs::metadata(path).is_ok_and(|meta| meta.is_dir()) {
            entry(Path::new(path), path, long).map_err(|error| about(path, &error))?;
            continue;
        }
        if paths.len() > 1 {
            say(&[path.as_bytes(), b":"].concat())?;
        }
        let read = fs::read_dir(path).map_err(|error| about(path, &error))?;
        let mut names: Vec<_> = read.flatten().map(|entry| entry.file_name()).collect();
        names.retain(|name| all || !name.as_bytes().starts_with(b"."));
        names.sort();
        for name in names {
            // Gone meanwhile.
            let _ = entry(&Path::new(path).join(&name), &name, long);
        }
    }
    Ok(())
}

/// `drwxr-xr-x  1000  1000      4096  NAME -> LINK`
fn entry(path: &Path, name: &OsStr, long: bool) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if !long {
        return say(name.as_bytes());
    }
    let kind = meta.file_type();
    let letter = match kind {
        _ if kind.is_dir() => 'd',
        _ if kind.is_symlink() => 'l',
        _ if kind.is_fifo() => 'p',
        _ if kind.is_socket() => 's',
        _ if kind.is_char_device() => 'c',
        _ if kind.is_block_device() => 'b',
        _ => '-',
    };
    let bits = (0..9).map(|bit| {
        if meta.mode() >> (8 - bit) & 1 == 1 { char::from(b"rwx"[bit % 3]) } else { '-' }
    });
    let mode: String = std::iter::once(letter).chain(bits).collect();
    let mut link = String::new();
    if kind.is_symlink() {
        link = format!(" -> {}", fs::read_link(path)?.display());
    }
    let (owner, group, size) = (meta.uid(), meta.gid(), meta.len());
    say(format!("{mode} {owner:>5} {group:>5} {size:>10}  {}{link}", name.display()).as_bytes())
}

pub(super) fn ps() -> io::Result<()> {
    say(b"    PID    PPID     RSS    TIME  COMMAND")?;
    for process in proc::processes() {
        let command = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let state = if process.zombie { "(ended)" } else { "" };
        let (seconds, megabytes) = (process.cpu_ms / 1000, process.rss >> 20);
        let (pid, parent) = (process.pid, process.parent);
        let line = format!(
            "{pid:>7} {parent:>7} {megabytes:>6}M {:>4}:{:02}  {}{state}",
            seconds / 60,
            seconds % 60,
            command.trim_end()
        );
        say(line.as_bytes())?;
    }
    Ok(())
}

/// `kill [-SIGNAL] PID ...`; a signal by its number, or its name with or without SIG.
pub(super) fn kill(args: &[OsString]) -> io::Result<()> {
    let usage = || io::Error::other("usage: kill [-SIGNAL] PID ...");
    let mut args: Vec<_> =
        args.iter().map(|arg| arg.to_str().ok_or_else(usage)).collect::<Result<_, _>>()?;
    let mut signal = Signal::TERM;
    if let Some(name) = args.first().and_then(|arg| arg.strip_prefix('-')) {
        let called = |n: &i32| signal_name(*n).is_some_and(|s| s == name || s[3..] == *name);
        let number = name.parse().ok().or_else(|| (1..32).find(called));
        signal = number.and_then(Signal::from_named_raw).ok_or_else(usage)?;
        args.remove(0);
    }
    if args.is_empty() {
        return Err(usage());
    }
    for arg in args {
        let pid = i32::from_str(arg).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw);
        rustix::process::kill_process(pid.ok_or_else(usage)?, signal)
            .map_err(|error| about(OsStr::new(arg), &error.into()))?;
    }
    Ok(())
}

fn about(path: &OsStr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
