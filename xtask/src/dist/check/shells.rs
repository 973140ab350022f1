//! Completions in each shell, and man pages in each reader of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{Untried, has, made};
use crate::process;

/// Loads the script `$1` and prints what the shell offers for `$LINE`.
const PROBES: [(&str, &[&str], &str, &str); 4] = [
    (
        "bash",
        &["--norc", "-c"],
        "diyadm.bash",
        "compopt() { :; }; source \"$1\"; complete -p diyadm > /dev/null || exit 1
         read -ra COMP_WORDS <<< \"$LINE\"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
         _clap_complete_diyadm diyadm \"${COMP_WORDS[COMP_CWORD]}\" diyadm
         printf '%s\\n' \"${COMPREPLY[@]}\"",
    ),
    (
        "zsh",
        &["-f", "-c"],
        "_diyadm",
        "autoload -Uz compinit; compinit -u -D; source \"$1\"
         [[ -n $_comps[diyadm] ]] || exit 1
         _describe() { print -rl -- ${(P)${@[-1]}} }
         words=(${=LINE}); CURRENT=$#words; $_comps[diyadm]",
    ),
    (
        "fish",
        &["--no-config", "-c"],
        "diyadm.fish",
        "source $argv[1]; complete --do-complete $LINE",
    ),
    (
        "pwsh",
        &["-NoProfile", "-CommandWithArgs"],
        "diyadm.ps1",
        ". $args[0]; (TabExpansion2 $env:LINE $env:LINE.Length).CompletionMatches.CompletionText",
    ),
];

/// Each completion in its shell: of a command, and of a namespace of the cluster in this folder.
/// `tests/it/dev/completion.rs` tries more.
pub(super) fn completions(unpacked: &Path, cluster: Option<&Path>) -> Result<Untried> {
    let mut lines = vec![("diyadm unin".to_owned(), "uninstall")];
    lines.extend(cluster.map(|cluster| {
        let kubeconfig = cluster.join("admin.kubeconfig");
        let line = format!("diyadm --kubeconfig {} status -n kube-sy", kubeconfig.display());
        (line, "kube-system")
    }));
    let mut untried = Vec::new();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [unpacked.to_owned()].into_iter().chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders)?;
    for (shell, flags, script, probe) in PROBES {
        let program = match shell {
            "zsh" | "fish" => made(shell),
            _ => has(shell).then(|| PathBuf::from(shell)),
        };
        let Some(program) = program else {
            untried.push(shell);
            continue;
        };
        for (line, expected) in &lines {
            let mut command = Command::new(&program);
            command.args(flags).arg(probe).env("LINE", line).env("PATH", &path);
            // The first argument after the text is $0 in bash and zsh.
            if matches!(shell, "bash" | "zsh") {
                command.arg(shell);
            }
            let offered = process::output(command.arg(unpacked.join("completions").join(script)))?;
            let is_right = |offer: &str| offer.starts_with(expected);
            ensure!(offered.lines().any(is_right), "{shell} offers {offered:?} for `{line}`");
        }
    }
    Ok(untried)
}

/// Each page: no warning, a heading that `whatis` can read, and one page for each command.
pub(super) fn pages(folder: &Path) -> Result<Untried> {
    let program = |reader: &str| match reader {
        "mandoc" => made(reader),
        _ => has(reader).then(|| PathBuf::from(reader)),
    };
    let readers = ["man", "lexgrog", "mandoc"].map(|reader| (reader, program(reader)));
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let page = entry?.path();
        count += 1;
        for (reader, program) in &readers {
            let Some(program) = program else { continue };
            let mut command = Command::new(program);
            match *reader {
                "man" => command.args(["--warnings", "--local-file"]),
                "mandoc" => command.args(["-T", "lint", "-W", "error"]),
                _ => &mut command,
            };
            command.arg(&page).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80").env("PAGER", "cat");
            let output = command.output().with_context(|| (*reader).to_owned())?;
            let complaints = String::from_utf8_lossy(&output.stderr);
            let is_good = output.status.success() && complaints.trim().is_empty();
            let text = String::from_utf8_lossy(&output.stdout);
            ensure!(is_good, "{reader} {}: {complaints}{text}", page.display());
        }
    }
    ensure!(count > 20, "only {count} pages");
    let missing = readers.into_iter().filter(|(_, program)| program.is_none());
    Ok(missing.map(|(reader, _)| reader).collect())
}
