//! The small shell for images without one: by lines, and on a real terminal.

use std::{
    io::{Read, Write},
    process::Command,
};

use super::{
    super::rig::{Run, on_terminal},
    client::PROGRAM,
};

fn shell(lines: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("shell").current_dir(folder.path()).env("COLOUR", "blue");
    Run::of(&mut command, lines)
}

#[test]
fn shell_runs_commands() {
    let run = shell("cd /\npwd\nexport A='b  c'\nprintf \"%s|\" $A ${COLOUR} '$A'\nexit 3\npwd\n");
    assert_eq!(run.stdout, "/\nb  c|blue|$A|");
    run.code(3);
    let run = shell("unset COLOUR\nenv\nexport A=1\nsh -c 'exit 7'\nprintf $?\n");
    assert!(!run.stdout.contains("COLOUR=") && !run.stdout.contains("A=1"));
    assert!(run.stdout.ends_with('7'), "{}", run.stdout);
    run.code(0);
    // The status of the last command is the shell's.
    shell("sh -c 'kill -9 $$'\n").code(137).stderr_has("SIGKILL");
    shell("no-such-program\n").code(127).stderr_has("no-such-program: command not found");
    shell("/\n").code(126);
}

#[test]
fn shell_lists_and_prints_files() {
    let run =
        shell("mkdir d\ntouch d/b .a\nln -s b d/link\nls\nls -a\nls -l d\ncat /proc/self/comm\n");
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines[..3], ["d", ".a", "d"]);
    assert!(lines[3].starts_with("-rw") && lines[3].ends_with("  b"), "{}", lines[3]);
    assert!(lines[4].starts_with("lrwx") && lines[4].ends_with("  link -> b"), "{}", lines[4]);
    assert_eq!(lines[5], "diyadm-agent");
    run.code(0);
    assert!(shell("ps\n").stdout.lines().any(|line| line.ends_with("diyadm-agent shell")));
    shell("ls none\n").code(1).stderr_has("ls: none: No such file");
    shell("kill -KILL 999999999\n").code(1).stderr_has("kill: 999999999: ");
    shell("kill -NONE 1\n").code(1).stderr_has("usage: kill");
    assert!(shell("help\n").stdout.contains("pipes"));
}

#[test]
fn shell_reports_unsupported_syntax() {
    shell("ls | cat\n").code(2).stderr_has("'|' is not supported here");
    shell("ls 'a\n").code(2).stderr_has("a quote is not closed");
}

#[test]
fn shell_ctrl_c_ends_the_program_and_not_the_shell() {
    let mut shell = Command::new(PROGRAM);
    let (mut child, mut terminal) = on_terminal(shell.arg("shell"));
    let mut keys = terminal.try_clone().unwrap();
    let mut shown = Vec::new();
    let mut until = |text: &str| {
        let mut byte = [0];
        while !String::from_utf8_lossy(&shown).contains(text) {
            let read = terminal.read(&mut byte).unwrap();
            assert_eq!(read, 1, "{text:?} is not in: {}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        shown.clear();
    };
    until("`help` lists its commands");
    until(" $ ");
    // The echo of the line has no newline in the quotes' place.
    keys.write_all(b"sh -c 'echo g\"\"o; exec sleep 1000'\n").unwrap();
    until("go");
    keys.write_all(&[3]).unwrap();
    until("SIGINT");
    until(" $ ");
    keys.write_all(b"exit 4\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
}
