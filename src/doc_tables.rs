//! Tables of the documentation, generated from the lists that the code uses.

use crate::{
    exit::Code,
    kinds::{CUSTOM, Kind, WORKLOADS},
    status::State,
    workload::{ANNOTATIONS, MATCHES, MEMBERS, Member},
};

/// The tables, by the name of their position in the docs.
pub fn all() -> [(&'static str, String); 6] {
    [
        ("annotations", annotations()),
        ("rules", members(&MEMBERS)),
        ("match", members(&MATCHES)),
        ("kinds", kinds()),
        ("exit codes", exit_codes()),
        ("states", states()),
    ]
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
