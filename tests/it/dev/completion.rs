//! TAB in real shells, on the real API server: what it makes of a line.

use std::{fs, fs::File, io, io::Write as _, path::PathBuf, process::Child, process::Command};

use rustix::termios::Winsize;

use super::run_commands::Typed;
use crate::rig::{Node, Workspace, on_terminal_of, shell, wait_for, wait_until};

/// Defines the command `diyadm`, so that a line that is entered is written down and not run. The
/// scripts call the program by its path.
const BASH: &str = r#"diyadm() { echo "$*" >> "$ENTERED"; }; source "$SCRIPT""#;
const ZSH: &str = r#"diyadm() { echo "$*" >> "$ENTERED"; }; autoload -Uz compinit; compinit -u -D; source "$SCRIPT""#;
const FISH: &str = r#"function diyadm; echo "$argv" >> "$ENTERED"; end; source "$SCRIPT""#;

/// An interactive shell on a terminal.
struct Shell {
    child: Child,
    terminal: File,
    entered: PathBuf,
}

impl Shell {
    /// Starts `program`, and loads the completions for the shell `name`.
    fn start(typed: &Typed<'_>, name: &str, program: &str, flags: &[&str], setup: &str) -> Self {
        let [script, entered] =
            ["script", "entered"].map(|file| typed.folder.join(name).join(file));
        fs::create_dir(typed.folder.join(name)).unwrap();
        fs::write(&script, typed.run(&["completions", name]).code(0).stdout).unwrap();
        fs::write(&entered, "").unwrap();
        let mut command = Command::new(program);
        command.args(flags).current_dir(typed.folder).env("HOME", typed.folder);
        command.env("KUBECONFIG", typed.node.kubeconfig()).env("TERM", "xterm");
        command.env("SCRIPT", script).env("ENTERED", &entered);
        let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let (child, terminal) = on_terminal_of(&command, Some(size));
        let mut screen = terminal.try_clone().unwrap();
        // A shell whose terminal is full would wait.
        std::thread::spawn(move || io::copy(&mut screen, &mut io::sink()));
        let mut shell = Self { child, terminal, entered };
        assert_eq!(shell.enter(&format!("{setup}; diyadm ready")), "ready");
        shell
    }

    /// What the shell runs once the line is typed and entered.
    fn enter(&mut self, line: &str) -> String {
        let entered = || fs::read_to_string(&self.entered).unwrap();
        let before = entered().lines().count();
        self.terminal.write_all(format!("{line}\r").as_bytes()).unwrap();
        wait_until("the line is entered", || entered().lines().count() > before);
        entered().lines().nth(before).unwrap().trim_end().to_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn completion_in_bash_zsh_and_fish_knows_commands_and_names_of_the_cluster() {
    let (zsh, fish) = (require!(shell("zsh")), require!(shell("fish")));
    let node = require!(Workspace::<Node>::on_node("dev-completion"));
    let typed = Typed::emptied(&node);
    typed.run(&["run", "deploy/shop", "--name", "painter", "--detach", "--", "sleep", "1000"]);
    let name = node.name;
    let context = node.kubectl(&["config", "current-context"], "");
    let (begun, rest) = context.trim().split_at(context.trim().len() - 1);
    for (shell, program, flags, setup) in [
        ("bash", "bash", &["--norc", "--noprofile", "-i"][..], BASH),
        ("zsh", &zsh, &["-f", "-i"], ZSH),
        ("fish", &fish, &["--no-config", "-i"], FISH),
    ] {
        let mut started = Shell::start(&typed, shell, program, flags, setup);
        for (line, completed) in [
            ("unin", "stall"),
            ("restore --force", "-from"),
            ("status -n kube-sy", "stem"),
            (&format!("status -n {name} deploy/sh"), "op"),
            (&format!("shell -n {name} deployments.apps/s"), "hop"),
            (&format!("logs -n {name} deploy/shop -c s"), "hop"),
            (&format!("stop -n {name} deploy/shop pa"), "inter"),
            (&format!("sync -n {name} a deploy/sh"), "op:"),
            (&format!("status --context {begun}"), rest),
            // Nothing begins so.
            (&format!("status -n {name} deploy/nothing"), ""),
        ] {
            let expected = format!("{line}{completed}");
            // A loaded machine may take longer than completion waits for the cluster.
            wait_for(
                &format!("{shell} completes {line:?} to {expected:?}"),
                || started.enter(&format!("diyadm {line}\t")),
                |entered| *entered == expected,
            );
        }
    }
}
