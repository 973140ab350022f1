//! Tables of the documentation, generated from the lists that the code uses.

use std::collections::BTreeSet;

use clap::CommandFactory as _;

use crate::{
    cli::Cli,
    exit::Code,
    kinds::{CUSTOM, Kind, WORKLOADS},
    status::State,
    webhook::checks::{CheckSubject, TITLES, causes},
    workload::{ANNOTATIONS, MATCHES, MEMBERS, Member},
};

/// The tables, by the name of their position in the docs.
pub fn all() -> [(&'static str, String); 9] {
    [
        ("annotations", annotations()),
        ("rules", members(&MEMBERS)),
        ("match", members(&MATCHES)),
        ("kinds", kinds()),
        ("exit codes", exit_codes()),
        ("states", states()),
        ("commands", commands()),
        ("findings", findings()),
        ("causes", failed_calls()),
    ]
}

/// The commands, as markdown.
fn commands() -> String {
    let cli = Cli::command();
    let rows = cli.get_subcommands().filter(|command| !command.is_hide_set()).map(|command| {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        [code(&format!("diyadm {name}")), about]
    });
    table(["command", "does"], rows)
}

/// The ids of findings, each with an anchor of its name, as markdown.
fn findings() -> String {
    let rows = TITLES.map(|(id, title)| [format!("{}{}", anchor(id), code(id)), title.to_owned()]);
    table(["id", "what was looked at"], rows)
}

/// The API server's texts about failed calls of a webhook, as markdown. The first text of an id has
/// its anchor.
fn failed_calls() -> String {
    let own = |name: &str| name.to_owned();
    let subject = CheckSubject {
        namespace: own("test"),
        webhook_namespace: own("test"),
        is_own: true,
        is_foreign: false,
        service: own("diyadmissionwebhook"),
        secret: own("webhook-secret"),
        label: (own("inject-empty-container"), own("enabled")),
        image: own("empty-container:latest"),
        flags: String::new(),
        label_flags: String::new(),
    };
    let mut anchored: BTreeSet<_> = TITLES.iter().map(|(id, _)| *id).collect();
    let rows = causes(&subject).map(|(text, cause)| {
        let anchor = if anchored.insert(cause.id) { anchor(cause.id) } else { String::new() };
        [format!("{anchor}{}", code(text.trim())), cause.what, cause.hint]
    });
    table(["text", "cause", "what to do"], rows.collect::<Vec<_>>())
}

fn anchor(id: &str) -> String {
    format!("<a id=\"{id}\"></a>")
}

/// The states of `diyadm status`, as markdown.
fn states() -> String {
    table(
        ["state", "means"],
        State::ALL.map(|state| [code(state.as_str()), state.meaning().into()]),
    )
}

/// Every label and annotation that diyadm uses, as markdown.
pub fn annotations() -> String {
    let rows =
        ANNOTATIONS.iter().map(|a| [code(a.name), a.on.into(), a.values.into(), a.meaning.into()]);
    table(["key", "on", "says", "meaning"], rows)
}

/// The exit codes, as markdown.
pub fn exit_codes() -> String {
    let own = Code::OWN.map(|code| [code.number().to_string(), code.meaning().to_owned()]);
    let other = ["any other".to_owned(), Code::Program(0).meaning().to_owned()];
    table(["code", "means"], own.into_iter().chain([other]))
}

fn members(members: &[Member]) -> String {
    let rows = members.iter().map(|m| [code(m.name), m.values.into(), m.meaning.into()]);
    table(["member", "says", "meaning"], rows)
}

fn kinds() -> String {
    let row = |kind: &&Kind| {
        let plural = if kind.is_custom() { kind.resource() } else { kind.plural.to_owned() };
        let short = kind.short.first().map_or_else(|| "-".to_owned(), |short| code(short));
        [code(kind.kind), code(&plural), short]
    };
    let rows = WORKLOADS.iter().chain(&CUSTOM).map(row);
    table(["kind", "also", "short"], rows)
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: [String; N]| format!("| {} |\n", cells.join(" | "));
    let head = line(head.map(ToOwned::to_owned)) + &line([""; N].map(|_| "---".to_owned()));
    head + &rows.into_iter().map(line).collect::<String>()
}
