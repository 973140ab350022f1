//! `diyadm completions`, and the answers to its script at each TAB: flags and commands from the
//! command tree, names from the kubeconfig and the cluster.

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
use serde_json::Value;

use super::Cli;
use crate::{
    dev::{
        flags::{ContainerFlags, ContainerTarget},
        session::Session,
        target,
    },
    exit::Code,
    kinds,
    kubernetes::{
        Cluster, ConnectionFlags, NAMESPACE,
        kubeconfig::{Files, Kubeconfig},
        targets::{self, Targets, Unnamed},
    },
    ui::{
        self,
        terminal::{self, Terminal, TerminalFlags},
    },
};

/// Set by the script in its calls.
const VARIABLE: &str = "DIYADM_COMPLETE";
/// Timeout: completion does not wait for a slow cluster.
const PATIENCE: Duration = Duration::from_secs(2);
/// What an argument names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Contexts,
    Namespaces,
    Workloads,
    /// `deploy/web:`, before a path.
    Targets,
    Containers,
    Applications,
}

impl Names {
    /// By the argument's id and command.
    fn of(command: &str, id: &str) -> Option<Self> {
        match id {
            "context" => Some(Self::Contexts),
            "namespace" | "webhook_namespace" => Some(Self::Namespaces),
            "workload" | "workloads" => Some(Self::Workloads),
            "destination" => Some(Self::Targets),
            "container" | "containers" => Some(Self::Containers),
            "name" if ["logs", "stop", "restart", "run"].contains(&command) => {
                Some(Self::Applications)
            }
            _ => None,
        }
    }
}

/// Prints the script.
pub(crate) fn print_script(shell: Shell) -> Result<Code> {
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
    // The shell has the terminal.
    ui::notice::end();
    let here = env::current_dir().ok();
    let asked = CompleteEnv::with_factory(|| asking(Cli::command())).var(VARIABLE);
    // Errors are dropped, since a shell cannot show them during completion.
    asked.try_complete(env::args_os(), here.as_deref()).unwrap_or(true)
}

/// Whether these are the arguments of a script that [`print_script`] has printed: `PROGRAM -- WORD …`, with
/// the shell in the variable. If the variable is set for another reason, the command runs normally.
fn is_question(shell: &OsStr, mut words: impl Iterator<Item = OsString>) -> bool {
    let is_known = |shell: &str| Shells::builtins().completer(shell).is_some();
    let follows = words.nth(1).is_some_and(|word| word == "--") && words.next().is_some();
    follows && shell.to_str().is_some_and(is_known)
}

/// The command and its subcommands, with completion for arguments that name things of the cluster.
fn asking(command: Command) -> Command {
    let of = command.get_name().to_owned();
    let command = command.mut_args(|one| match Names::of(&of, one.get_id().as_str()) {
        Some(names) => {
            one.add(ArgValueCompleter::new(move |begun: &OsStr| candidates(names, begun)))
        }
        None => one,
    });
    command.mut_subcommands(asking)
}

/// Completions that start with `begun`; empty if the cluster does not answer.
fn candidates(names: Names, begun: &OsStr) -> Vec<CompletionCandidate> {
    let Some(begun) = begun.to_str() else { return Vec::new() };
    // `diyadm -- diyadm restore -n shop deploy/`
    let line: Vec<_> = env::args_os().skip_while(|word| word != "--").skip(2).collect();
    let said = Said::of(line.into_iter());
    let found = async { tokio::time::timeout(PATIENCE, find(names, &said, begun)).await? };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let found = runtime.ok().and_then(|runtime| runtime.block_on(found).ok()).unwrap_or_default();
    found.into_iter().filter(|name| name.starts_with(begun)).map(CompletionCandidate::new).collect()
}

async fn find(names: Names, said: &Said, begun: &str) -> Result<Vec<String>> {
    if names == Names::Contexts {
        let flag = said.connection.kubeconfig.as_deref();
        let files = Files::new(flag, env::var_os("KUBECONFIG"), env::var_os("HOME"));
        return Ok(Kubeconfig::load(&files)?.context_names().map(ToOwned::to_owned).collect());
    }
    let cluster = Cluster::connect(&said.connection).await?;
    match names {
        Names::Contexts => Ok(Vec::new()),
        Names::Namespaces => {
            let all = cluster.list(&NAMESPACE, "", "").await?;
            let names = all.iter().filter_map(|one| one["metadata"]["name"].as_str());
            Ok(names.map(ToOwned::to_owned).collect())
        }
        Names::Workloads => workloads(&cluster, said, begun).await,
        Names::Targets => {
            let found = workloads(&cluster, said, begun).await?;
            Ok(found.into_iter().map(|name| name + ":").collect())
        }
        Names::Containers => containers(&cluster, said, begun).await,
        Names::Applications => applications(&cluster, said).await,
    }
}

async fn workloads(cluster: &Cluster, said: &Said, begun: &str) -> Result<Vec<String>> {
    let kind = begun.split_once('/').map(|(kind, _)| kind.to_owned());
    let targets = Targets {
        workloads: kind.iter().cloned().collect(),
        namespace: said.namespace.clone(),
        all: true,
        ..Targets::default()
    };
    let found = targets::find(cluster, &targets, Unnamed::All).await?.found;
    let names = found.iter().map(|found| match &kind {
        // The kind as typed: `deploy/web`.
        Some(kind) => format!("{kind}/{}", found.name),
        None => found.shown(),
    });
    Ok(names.collect())
}

/// The containers of the workload on the line; `a,b` is continued after its last comma.
async fn containers(cluster: &Cluster, said: &Said, begun: &str) -> Result<Vec<String>> {
    let targets = Targets {
        workloads: said.workload.iter().cloned().collect(),
        namespace: said.namespace.clone(),
        ..Targets::default()
    };
    let before = begun.rfind(',').map_or("", |comma| &begun[..=comma]);
    let mut names = Vec::new();
    for found in targets::find(cluster, &targets, Unnamed::Refused).await?.found {
        let path = format!("{}/spec/containers", found.kind.template());
        let all = found.object.pointer(&path).and_then(Value::as_array);
        let all = all.into_iter().flatten().filter_map(|one| one["name"].as_str());
        names.extend(all.map(|name| format!("{before}{name}")));
    }
    Ok(names)
}

/// What was started in the container that the line names.
async fn applications(cluster: &Cluster, said: &Said) -> Result<Vec<String>> {
    let terminal = Terminal::new(&TerminalFlags { quiet: true, ..TerminalFlags::default() });
    let workload = said.workload.clone().context("no workload")?;
    let (container, namespace) = (said.container.clone(), said.namespace.clone());
    let inside = ContainerFlags { container, namespace, live: false };
    let at = ContainerTarget { workload, inside };
    let session = Session::open(cluster, &terminal, &at, &[]).await?;
    let pick = session.pick().await?;
    let Some(mut agent) = session.existing_agent(&pick).await? else { return Ok(Vec::new()) };
    let apps = session.list(&mut agent).await?.apps;
    Ok(apps.into_iter().map(|app| app.name).collect())
}

/// What the command line says so far.
#[derive(Debug, Default)]
struct Said {
    connection: ConnectionFlags,
    namespace: Option<String>,
    container: Option<String>,
    workload: Option<String>,
}

impl Said {
    /// Tolerant parsing, since the line is incomplete.
    fn of(words: impl Iterator<Item = OsString>) -> Self {
        let mut said = Self::default();
        let mut words = words.filter_map(|word| word.into_string().ok());
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => match word.get(..2).filter(|flag| ["-n", "-c"].contains(flag)) {
                    Some(flag) if word.len() > 2 => (flag.to_owned(), Some(word[2..].to_owned())),
                    _ => (word, None),
                },
            };
            let member = match flag.as_str() {
                "-n" | "--namespace" => &mut said.namespace,
                "-c" | "--container" => &mut said.container,
                "--context" => &mut said.connection.context,
                "--kubeconfig" => {
                    said.connection.kubeconfig = value.or_else(|| words.next()).map(Into::into);
                    continue;
                }
                word if said.workload.is_none() && is_workload(word) => {
                    let place = word.split(':').next().unwrap_or_default();
                    said.workload = Some(place.to_owned());
                    continue;
                }
                _ => continue,
            };
            *member = value.or_else(|| words.next());
        }
        said
    }
}

/// Whether a word is `deploy/web`, and no path.
fn is_workload(word: &str) -> bool {
    let is_kind = |kind: &str| {
        let kind = kind.split('.').next().unwrap_or_default();
        kinds::workloads().any(|known| known.is_called(kind))
    };
    let is_service = target::service_name(word).is_some();
    word.split_once('/')
        .is_some_and(|(kind, name)| !name.is_empty() && (is_kind(kind) || is_service))
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
            let said = Said::of(line.split(' ').map(OsString::from));
            let Said { connection, namespace, .. } = said;
            let kubeconfig = connection.kubeconfig.map(|path| path.display().to_string());
            let seen = [namespace, connection.context, kubeconfig];
            assert_eq!(seen, expected.map(|text| text.map(ToOwned::to_owned)), "{line}");
        }
    }

    #[test]
    fn the_workload_is_the_first_word_of_a_known_kind() {
        for (line, expected) in [
            ("logs deploy/web -c", [Some("deploy/web"), None]),
            ("sync target/app.jar deploy/web:/tmp/ -c app", [Some("deploy/web"), Some("app")]),
            ("stop -capp svc/web ", [Some("svc/web"), Some("app")]),
            ("logs deployments.apps/web", [Some("deployments.apps/web"), None]),
            ("logs deploy/", [None, None]),
        ] {
            let Said { workload, container, .. } = Said::of(line.split(' ').map(OsString::from));
            let expected = expected.map(|word| word.map(ToOwned::to_owned));
            assert_eq!([workload, container], expected, "{line}");
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
