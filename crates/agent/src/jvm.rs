//! Finds the debugger port of an application's JVM. Reads only /proc.

use std::{fs, path::Path};

use super::proc::Process;

/// The library that serves debuggers, in a JVM's memory maps.
const LIBRARY: &str = "libjdwp";
/// The state of a listening socket in /proc/PID/net/tcp.
const LISTENS: &str = "0A";

/// The debugger port of the application's JVM among `processes` of process group `group`. It is the
/// JVM of the first process (a script replaces itself by it with `exec`), else the JVM that started
/// last, since helpers and build tools start before the program. `None` if none listens yet.
pub(super) fn debug_port(group: i32, processes: &[&Process]) -> Option<u16> {
    let mut all = processes.to_vec();
    all.sort_by_key(|process| (process.pid != group, std::cmp::Reverse(process.started)));
    // A JVM with a connected debugger does not listen, and is still the right one.
    let is_jvm = |process: &&Process| {
        let maps = fs::read_to_string(format!("/proc/{}/maps", process.pid));
        maps.is_ok_and(|maps| maps.contains(LIBRARY))
    };
    port(all.into_iter().find(is_jvm)?.pid)
}

/// The first loopback port on which a JVM listens: the debugger's library is loaded before the
/// program's own code.
fn port(pid: i32) -> Option<u16> {
    let at = Path::new("/proc").join(pid.to_string());
    let of = |list: &str| fs::read_to_string(at.join("net").join(list)).unwrap_or_default();
    let lists = [of("tcp"), of("tcp6")];
    let listening: Vec<_> =
        lists.iter().flat_map(|list| list.lines()).filter_map(listens).collect();
    let mut descriptors: Vec<(u32, String)> = fs::read_dir(at.join("fd"))
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?.to_str()?.to_owned()))
        })
        .collect();
    descriptors.sort_unstable();
    descriptors.iter().find_map(|(_, target)| {
        let found = listening.iter().find(|(inode, _)| *target == format!("socket:[{inode}]"));
        found.map(|(_, port)| *port)
    })
}

/// Inode and port of a socket that listens on loopback, from its line.
fn listens(line: &str) -> Option<(&str, u16)> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let (address, port) = words.get(1)?.split_once(':')?;
    let loopback =
        ["0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"];
    let fits = words.get(3) == Some(&LISTENS) && loopback.contains(&address);
    Some((*words.get(9)?, u16::from_str_radix(port, 16).ok()?)).filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_listeners_are_parsed() {
        let line = |address: &str, state: &str| {
            format!(
                "   1: {address}:138D 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 \
                 1000        0 4711 1 0000000000000000 100 0 0 10 0"
            )
        };
        assert_eq!(listens(&line("0100007F", "0A")), Some(("4711", 5005)));
        assert_eq!(listens(&line("00000000", "0A")), None, "it is the application's own");
        assert_eq!(listens(&line("0100007F", "01")), None, "it is connected");
        assert_eq!(listens("  sl  local_address rem_address   st"), None);
    }
}
