//! Runs the blocks of a page on a cluster, as its reader does.

use std::{
    cmp::Reverse,
    env,
    ffi::OsString,
    fs::{self, File},
    io::{Read as _, Seek as _},
    net::Ipv4Addr,
    ops::Range,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    blocks::{Example, Mode, blocks},
    output::{is_shown, without_progress},
    root,
};
use crate::rig::{Held, Run, free_port, wait_for};

/// The local port of the documents, which another program may have on this machine.
const PORT: &str = "18080";

/// A reader: a home with a kubeconfig, programs on PATH, and a folder to work in.
pub(crate) struct Reader {
    home: PathBuf,
    folder: PathBuf,
    path: OsString,
    port: String,
}

impl Reader {
    /// A reader in `folder`, whose kubeconfig names a namespace. `diyadm`, `kubectl` and
    /// Helm are in `~/.local/bin`, which is on PATH; the folder has the chart.
    pub(crate) fn new(node: &Held, helm: &str, folder: &Path, namespace: &str) -> Self {
        let [home, project] = ["home", "shop"].map(|name| folder.join(name));
        let bin = home.join(".local/bin");
        for folder in [&home.join(".kube"), &bin, &project] {
            fs::create_dir_all(folder).unwrap();
        }
        let config = home.join(".kube/config");
        fs::copy(node.kubeconfig(), &config).unwrap();
        symlink(env!("CARGO_BIN_EXE_diyadm"), bin.join("diyadm")).unwrap();
        symlink(node.kubectl_command(&[]).get_program(), bin.join("kubectl")).unwrap();
        symlink(helm, bin.join("helm")).unwrap();
        symlink(root().join("charts"), project.join("charts")).unwrap();
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([bin].into_iter().chain(env::split_paths(&path))).unwrap();
        let port = free_port(Ipv4Addr::LOCALHOST.into()).to_string();
        let reader = Self { home, folder: project, path, port };
        let set = format!("kubectl config set-context --current --namespace={namespace}");
        Run::of(&mut reader.shell(&set), "").code(0);
        reader
    }

    /// Where the reader works.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a page has blocks to run.
    pub(crate) fn has_work(page: &Path) -> bool {
        let text = fs::read_to_string(page).unwrap();
        let blocks = blocks(&text.lines().collect::<Vec<_>>());
        blocks.iter().any(|block| !matches!(block.mode, Mode::NotRun(_) | Mode::File(_)))
    }

    fn shell(&self, command: &str) -> Command {
        let mut bash = Command::new("bash");
        bash.arg("-c").arg(format!("set -e; exec 2>&1\n{}", command.replace(PORT, &self.port)));
        bash.env("PATH", &self.path).env("HOME", &self.home).env_remove("KUBECONFIG");
        bash.current_dir(&self.folder);
        bash
    }

    /// Runs every block of a page, and returns what differs from it. `DIYADM_UPDATE_DOCS` writes what
    /// was printed to the page.
    pub(crate) fn run(&self, page: &Path) -> Vec<String> {
        let text = fs::read_to_string(page).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let (mut problems, mut printed, mut terminals) = (Vec::new(), Vec::new(), Vec::new());
        for block in blocks(&lines) {
            let count = block.examples.len();
            for (at, Example { command, output }) in block.examples.into_iter().enumerate() {
                match &block.mode {
                    Mode::NotRun(_) => {}
                    Mode::File(name) => self.write(name, &command),
                    Mode::InAnotherTerminal => {
                        let output = output.expect("a block of the console");
                        let mut terminal = Terminal::start(self.shell(&format!("exec {command}")));
                        terminal.wait_for(&beginning(&lines[output.clone()]));
                        terminals.push((terminal, output, command));
                    }
                    Mode::Exits(code) => {
                        let run = Run::of(&mut self.shell(&command), "");
                        let expected = if at + 1 == count { *code } else { 0 };
                        if run.code != Some(expected) {
                            let found = run.code;
                            problems.push(format!("{command}\nexits {found:?}: {}", run.stdout));
                        }
                        let text = without_progress(&run.stdout);
                        printed.extend(output.map(|output| (output, command, text)));
                    }
                }
            }
        }
        for (mut terminal, output, command) in terminals {
            let shown: Vec<_> = lines[output.clone()].to_vec();
            printed.push((output, command, terminal.wait_for(&without_notes(&shown))));
        }
        self.compare(page, &lines, printed, &mut problems);
        problems.iter().map(|problem| format!("{}: {problem}", page.display())).collect()
    }

    /// Compares each output with its place in the page, or writes it there.
    fn compare(
        &self,
        page: &Path,
        lines: &[&str],
        mut printed: Vec<(Range<usize>, String, Vec<String>)>,
        problems: &mut Vec<String>,
    ) {
        let mut fresh: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        printed.sort_by_key(|(output, ..)| Reverse(output.start));
        for (output, command, text) in printed {
            let text: Vec<_> = text.iter().map(|line| line.replace(&self.port, PORT)).collect();
            let words: Vec<_> = text.iter().map(String::as_str).collect();
            if !is_shown(&without_notes(&lines[output.clone()]), &words) {
                let shown = lines[output.clone()].join("\n");
                let text = text.join("\n");
                problems.push(format!("{command}\nshown:\n{shown}\nprinted:\n{text}"));
                fresh.splice(output, words.into_iter().map(ToOwned::to_owned));
            }
        }
        if env::var_os("DIYADM_UPDATE_DOCS").is_some() {
            fs::write(page, fresh.join("\n") + "\n").unwrap();
        }
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("{}\n", text.replace(PORT, &self.port))).unwrap();
    }
}

/// The lines before the first note, `# …`: what is printed before the reader does something.
fn beginning<'a>(shown: &[&'a str]) -> Vec<&'a str> {
    let lines = shown.iter().copied().take_while(|line| !line.starts_with("# "));
    lines.chain(["..."]).collect()
}

fn without_notes<'a>(shown: &[&'a str]) -> Vec<&'a str> {
    shown.iter().copied().filter(|line| !line.starts_with("# ")).collect()
}

/// A command that runs until the page ends.
struct Terminal {
    child: Child,
    output: File,
}

impl Terminal {
    fn start(mut command: Command) -> Self {
        let output = tempfile::tempfile().unwrap();
        let child = command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).spawn();
        Self { child: child.unwrap(), output }
    }

    /// What it has printed once that is what is shown, and after a minute in any case: the caller
    /// compares.
    fn wait_for(&mut self, shown: &[&str]) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(60);
        let read = || {
            self.output.rewind().unwrap();
            let mut text = String::new();
            self.output.read_to_string(&mut text).unwrap();
            without_progress(&text)
        };
        wait_for("output in another terminal", read, |lines| {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            is_shown(shown, &lines) || Instant::now() > end
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
