//! `diyadm completions`, and the answers to its script at each TAB: flags and commands from the
//! command tree, workloads from the cluster.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::{Command, CommandFactory};
use clap_complete::{
    ArgValueCompleter, CompleteEnv, CompletionCandidate, Shell,
    env::{EnvCompleter, Shells},
};

use super::runtime;
use crate::{
    cli::Cli,
    exit::Code,
    kubernetes::{
        Cluster, ConnectionFlags,
        targets::{self, Targets, Unnamed},
    },
    ui::terminal,
};

/// Set by the script in its calls.
const VARIABLE: &str = "DIYADM_COMPLETE";
/// Timeout: completion does not wait for a slow cluster.
const PATIENCE: Duration = Duration::from_secs(2);
/// Names of arguments for workloads.
const WORKLOADS: [&str; 2] = ["workload", "workloads"];

/// Prints the script.
pub(super) fn run(shell: Shell) -> Result<Code> {
    let shells = Shells::builtins();
    let shell: &dyn EnvCompleter =
        shells.completer(&shell.to_string()).context("clap has lost a shell")?;
    // As it was called: by its name if PATH finds it, else by its path.
    let program = env::args_os().next().unwrap_or_else(|| "diyadm".into());
    let path = Path::new(&program);
    let program = match path.components().count() {
        1 => program.clone(),
        _ => std::path::absolute(path)?.into(),
    };
    let mut script = Vec::new();
    let program = program.to_string_lossy();
    shell.write_registration(VARIABLE, "diyadm", "diyadm", &program, &mut script)?;
    terminal::print(&String::from_utf8_lossy(&script))?;
    Ok(Code::Done)
}

/// Answers the script, if it is the caller.
pub fn answered() -> bool {
    let Some(shell) = env::var_os(VARIABLE) else { return false };
    if !is_question(&shell, env::args_os()) {
        return false;
    }
    let here = env::current_dir().ok();
    let asked = CompleteEnv::with_factory(|| asking(Cli::command())).var(VARIABLE);
    // Errors are dropped, since a shell cannot show them during completion.
    asked.try_complete(env::args_os(), here.as_deref()).unwrap_or(true)
}

/// Whether these are the arguments of a script that [`run`] has printed: `PROGRAM -- WORD …`, with
/// the shell in the variable. If the variable is set for another reason, the command runs normally.
fn is_question(shell: &OsStr, mut words: impl Iterator<Item = OsString>) -> bool {
    let is_known = |shell: &str| Shells::builtins().completer(shell).is_some();
    let follows = words.nth(1).is_some_and(|word| word == "--") && words.next().is_some();
    follows && shell.to_str().is_some_and(is_known)
}

/// The command and its subcommands, with completion for workload arguments.
fn asking(command: Command) -> Command {
    let command = command.mut_args(|one| {
        if WORKLOADS.contains(&one.get_id().as_str()) {
            one.add(ArgValueCompleter::new(candidates))
        } else {
            one
        }
    });
    command.mut_subcommands(asking)
}

/// The cluster's workloads with this prefix; empty if it does not answer.
fn candidates(begun: &OsStr) -> Vec<CompletionCandidate> {
    let Some(begun) = begun.to_str() else { return Vec::new() };
    // `diyadm -- diyadm restore -n shop deploy/`
    let words = env::args_os().skip_while(|word| word != "--").skip(2);
    let said = Said::of(words);
    let names = runtime::run_interruptible("", async {
        tokio::time::timeout(PATIENCE, workloads(&said, begun)).await?
    });
    names.unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
}

async fn workloads(said: &Said, begun: &str) -> Result<Vec<String>> {
    let cluster = Cluster::connect(&said.connection).await?;
    let kind = begun.split_once('/').map(|(kind, _)| kind.to_owned());
    let targets = Targets {
        workloads: kind.iter().cloned().collect(),
        namespace: said.namespace.clone(),
        all: true,
        ..Targets::default()
    };
    let found = targets::find(&cluster, &targets, Unnamed::All).await?.found;
    let names = found.iter().map(|found| match &kind {
        // The kind as typed: `deploy/web`.
        Some(kind) => format!("{kind}/{}", found.name),
        None => found.shown(),
    });
    Ok(names.filter(|name| name.starts_with(begun)).collect())
}

/// The cluster flags on the command line so far.
#[derive(Debug, Default)]
struct Said {
    connection: ConnectionFlags,
    namespace: Option<String>,
}

impl Said {
    /// Tolerant parsing, since the line is incomplete.
    fn of(words: impl Iterator<Item = OsString>) -> Self {
        let mut said = Self::default();
        let mut words = words.filter_map(|word| word.into_string().ok());
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => match word.strip_prefix("-n").filter(|name| !name.is_empty()) {
                    Some(name) => ("-n".to_owned(), Some(name.to_owned())),
                    None => (word, None),
                },
            };
            if !["-n", "--namespace", "--context", "--kubeconfig"].contains(&flag.as_str()) {
                continue;
            }
            let value = value.or_else(|| words.next());
            match flag.as_str() {
                "--context" => said.connection.context = value,
                "--kubeconfig" => said.connection.kubeconfig = value.map(Into::into),
                _ => said.namespace = value,
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completion_uses_the_cluster_flags_typed_so_far() {
        for (line, expected) in [
            ("restore deploy/", [None, None, None]),
            ("restore -n shop --context x deploy/", [Some("shop"), Some("x"), None]),
            ("--kubeconfig=a --context=b plan -nshop", [Some("shop"), Some("b"), Some("a")]),
            ("restore --namespace", [None, None, None]),
            ("empty --image=x:1 --namespace=a --namespace b", [Some("b"), None, None]),
        ] {
            let Said { connection, namespace } = Said::of(line.split(' ').map(OsString::from));
            let kubeconfig = connection.kubeconfig.map(|path| path.display().to_string());
            let seen = [namespace, connection.context, kubeconfig];
            assert_eq!(seen, expected.map(|text| text.map(ToOwned::to_owned)), "{line}");
        }
    }

    #[test]
    fn only_calls_of_the_script_are_completed() {
        for (shell, line, expected) in [
            ("bash", "diyadm -- diyadm st", true),
            ("zsh", "/usr/bin/diyadm -- diyadm", true),
            ("1", "diyadm -- diyadm st", false),
            ("bash", "diyadm status", false),
            ("bash", "diyadm", false),
            ("bash", "diyadm --", false),
            ("", "diyadm -- diyadm st", false),
            ("bash", "diyadm run deploy/x -- java", false),
        ] {
            let words = line.split(' ').map(OsString::from);
            assert_eq!(is_question(OsStr::new(shell), words), expected, "{shell}: {line}");
        }
    }

    #[test]
    fn every_workload_argument_is_completed() {
        fn asks(command: &Command, all: &mut Vec<String>) {
            for one in command.get_subcommands() {
                asks(one, all);
            }
            let has = |arg: &clap::Arg| arg.get::<ArgValueCompleter>().is_some();
            if command.get_arguments().any(has) {
                all.push(command.get_name().to_owned());
            }
        }
        let mut all = Vec::new();
        let command = asking(Cli::command());
        command.clone().debug_assert();
        asks(&command, &mut all);
        for name in ["restore", "empty", "plan", "status", "explain", "shell", "run", "dev", "logs"]
        {
            assert!(all.iter().any(|one| one == name), "{name}: {all:?}");
        }
    }
}
