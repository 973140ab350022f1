//! `diyadm ui` on a real terminal: what a person sees, and what keys do on the real API server.

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZeroU16,
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use serde_json::json;

use super::{
    rig::{Workspace, on_terminal_of, program, wait_until},
    workloads::{user, workload},
};

mod on_node;

/// A person at a terminal of 80 columns and 24 lines.
struct Person {
    child: Child,
    terminal: File,
    screen: Arc<Mutex<vt100::Parser>>,
}

fn size(columns: NonZeroU16, lines: NonZeroU16) -> Winsize {
    Winsize { ws_row: lines.get(), ws_col: columns.get(), ws_xpixel: 0, ws_ypixel: 0 }
}

impl Person {
    fn at(command: &Command) -> Self {
        let [columns, lines] = [80, 24].map(|size| NonZeroU16::new(size).unwrap());
        let (child, terminal) = on_terminal_of(command, Some(size(columns, lines)));
        let screen = Arc::new(Mutex::new(vt100::Parser::new(lines, columns, 0)));
        let (mut output, seen) = (terminal.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // The last reader of a terminal gets an error where its other end is closed.
            while let Ok(count @ 1..) = output.read(&mut piece) {
                seen.lock().unwrap().process(&piece[..count]);
            }
        });
        Self { child, terminal, screen }
    }

    /// Makes the terminal smaller.
    fn resizes(&mut self, columns: u16, lines: u16) {
        let [columns, lines] = [columns, lines].map(|size| NonZeroU16::new(size).unwrap());
        self.screen.lock().unwrap().set_size(lines, columns);
        tcsetwinsize(&self.terminal, size(columns, lines)).unwrap();
    }

    fn types(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    fn sees(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    #[track_caller]
    fn until(&self, text: &str) {
        wait_until(&format!("{text:?} is on the screen"), || self.sees().contains(text));
    }

    /// Waits for a row with this workload in this state.
    #[track_caller]
    fn until_row(&self, workload: &str, state: &str) {
        wait_until(&format!("{workload} is {state} in: {}", self.sees()), || {
            let text = self.sees();
            let row = text.lines().find(|line| line.contains(workload));
            row.is_some_and(|row| row.split_whitespace().any(|word| word == state))
        });
    }

    /// Waits for its end: the exit code.
    #[track_caller]
    fn leaves(mut self) -> Option<i32> {
        let code = self.child.wait().unwrap().code();
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
        wait_until("the terminal is as before", || {
            let parser = self.screen.lock().unwrap();
            let screen = parser.screen();
            !screen.alternate_screen() && !screen.hide_cursor()
        });
        code
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // Ended already, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ui(folder: &Path, kubeconfig: &Path, namespace: &str) -> Person {
    let mut command = program(folder);
    command.args(["ui", "-n", namespace]).env("KUBECONFIG", kubeconfig).env("TERM", "xterm");
    let person = Person::at(&command);
    person.until(&format!("diyadm ui: namespace {namespace}"));
    person
}

#[test]
fn ui_shows_workloads_live_and_runs_commands_by_key() {
    let cluster = require!(Workspace::new("ui"));
    let (name, folder) = (cluster.name, cluster.folder());
    for (kind, of_it) in [("Deployment", "shop"), ("Deployment", "web"), ("StatefulSet", "db")] {
        cluster.create(name, &workload(kind, of_it));
    }
    let is_emptied =
        |what: &str| ::diyadm::workload::is_emptied(&cluster.get(name, what).to_string());
    let mut person = ui(folder, cluster.kubeconfig(), name);
    person.until("3 workloads, 0 empty");
    person.until_row("deployment/web", "live");
    assert!(person.screen.lock().unwrap().screen().alternate_screen());

    // Another process.
    cluster.run(&["empty", "deploy/web", "--wait=false"]).code(0);
    person.until_row("deployment/web", "empty");
    person.until("3 workloads, 1 empty");

    person.types("/db\r");
    person.until("1 with `db`");
    wait_until("the others are hidden", || !person.sees().contains("deployment/web"));
    person.types("\x1b");
    person.until_row("deployment/web", "empty");

    // Each command is shown before it runs, and can be changed.
    let page = format!("deployment/shop -n {name}");
    person.types("/shop\r");
    person.until("1 with `shop`");
    for (key, command, emptied) in [("e", "empty", true), ("r", "restore", false)] {
        person.types(key);
        person.until(&format!("$ diyadm {command} {page}"));
        assert_eq!(is_emptied("deploy/shop"), !emptied);
        person.types(" --wait=false\r");
        // The output stays on the screen of the shell, as of any command.
        let runs = if emptied { 1 } else { 2 };
        wait_until("the command has ended", || {
            person.sees().matches("[done] Press any key to return to the screen.").count() == runs
        });
        person.until(&format!("$ diyadm {command} {page} --wait=false"));
        assert_eq!(is_emptied("deploy/shop"), emptied);
        person.types(" ");
        person.until("1 with `shop`");
        let state = if emptied { "empty" } else { "live" };
        person.until_row("deployment/shop", state);
    }
    person.types("q");
    assert_eq!(person.leaves(), Some(0));

    // Who may only look is shown which right a key needs.
    let look = ["get", "list", "watch"];
    let rules = json!([
        { "apiGroups": ["apps"], "resources": ["deployments"], "verbs": look },
        { "apiGroups": [""], "resources": ["pods"], "verbs": look },
    ]);
    let narrow = user(&cluster, folder, name, &rules);
    let mut person = ui(folder, Path::new(&narrow), name);
    person.until("may not be listed");
    person.types("/web\r");
    person.until("1 with `web`");
    for (keys, missing) in [
        ("er", "patch deployments.apps/web"),
        ("xslt+", "create pods/exec"),
        ("f", "create pods/portforward"),
    ] {
        for key in keys.chars() {
            person.types(&key.to_string());
            person.until(&format!("you may not {missing} in namespace"));
            // Any key ends the message.
            person.types("k");
            wait_until("the message is gone", || !person.sees().contains("you may not"));
        }
    }
    person.types("q");
    assert_eq!(person.leaves(), Some(0));
}

#[test]
fn ui_fits_the_terminal_and_gives_it_back() {
    let cluster = require!(Workspace::new("ui-ends"));
    cluster.create(cluster.name, &workload("Deployment", "web"));
    let start = || {
        let person = ui(cluster.folder(), cluster.kubeconfig(), cluster.name);
        person.until_row("deployment/web", "live");
        person
    };
    let last = |person: &Person| {
        let text = person.sees();
        let lines: Vec<_> = text.lines().collect();
        (lines.len(), lines.last().is_some_and(|line| line.ends_with("q quit")))
    };
    let mut person = start();
    assert_eq!(last(&person), (24, true), "{}", person.sees());
    person.resizes(60, 12);
    wait_until("the keys are on the last line", || last(&person) == (12, true));
    person.until_row("deployment/web", "live");
    person.types("\x03");
    assert_eq!(person.leaves(), Some(130));
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let person = start();
        kill_process(Pid::from_child(&person.child), signal).unwrap();
        assert_eq!(person.leaves(), Some(code));
    }
}

#[test]
fn ui_prints_one_screen_without_a_terminal() {
    let cluster = require!(Workspace::new("ui-once"));
    cluster.create(cluster.name, &workload("Deployment", "web"));
    let run = cluster.run(&["ui", "--once"]).code(0);
    let lines: Vec<Vec<_>> =
        run.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[0].join(" "),
        format!("diyadm ui: namespace {}, 1 workload, 0 empty", cluster.name)
    );
    assert_eq!(lines[1][..3], ["WORKLOAD", "STATE", "WHO"]);
    assert_eq!(lines[2][..3], ["deployment/web", "live", "-"]);
    assert_eq!(run.stderr, "");
    cluster.run(&["ui"]).code(2).stderr_has("hint: Run `diyadm ui --once`");
}
