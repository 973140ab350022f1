//! The texts of the screen about its keys.

use super::{
    action::KeyAction,
    item::{Item, Usage},
    model::Mode,
};

/// The keys of the bottom line, each with its meaning.
pub(super) fn keys(mode: &Mode) -> Vec<(String, &'static str)> {
    let fixed = |keys: &[(&str, &'static str)]| {
        keys.iter().map(|(key, meaning)| ((*key).to_owned(), *meaning)).collect::<Vec<_>>()
    };
    match mode {
        Mode::Table => {
            let actions = KeyAction::ALL.map(|one| (one.key().to_string(), one.word()));
            let others = fixed(&[("/", "filter"), ("?", "help"), ("q", "quit")]);
            actions.into_iter().chain(others).collect()
        }
        Mode::Filter(_) => fixed(&[("Enter", "keep the filter"), ("Esc", "show all")]),
        Mode::Prompt(_) => fixed(&[("Enter", "run this command"), ("Esc", "cancel")]),
        Mode::Help | Mode::Details => fixed(&[("Esc", "back"), ("q", "quit")]),
    }
}

/// The page of `?`.
pub(super) fn page() -> Vec<String> {
    let line = |key: &str, meaning: &str| format!("  {key:<12} {meaning}");
    let mut lines = vec!["Keys".to_owned(), String::new()];
    for (key, meaning) in [
        ("Up, Down", "select a workload (also k, j; Page Up, Page Down, Home, End)"),
        ("Enter", "show everything about it"),
        ("/", "show only rows that contain each of the typed words"),
    ] {
        lines.push(line(key, meaning));
    }
    lines.extend(KeyAction::ALL.map(|one| line(&one.key().to_string(), one.help())));
    for (key, meaning) in [("Ctrl-L", "draw the screen again"), ("q", "quit (also Ctrl-C)")] {
        lines.push(line(key, meaning));
    }
    lines.extend(
        ["", "Each key runs the command that it shows, which can also be typed in a shell."]
            .map(ToOwned::to_owned),
    );
    lines
}

/// The page of Enter.
pub(super) fn details(item: &Item, usage: Option<&Usage>) -> Vec<String> {
    let [applications, who] = match usage {
        Some(usage) => [usage.applications.join(", "), usage.who.join(", ")],
        None => Default::default(),
    };
    let expires = item.expires.map(|end| end.to_string()).unwrap_or_default();
    let mut lines = vec![item.key.shown(), String::new()];
    for (name, value) in [
        ("Namespace", item.key.namespace.as_str()),
        ("State", item.state_word()),
        ("Emptied by", &item.by),
        ("Since", &item.since),
        ("Expires", &expires),
        ("Ready", &item.ready),
        ("Containers", &item.containers.join(", ")),
        ("Applications", &applications),
        ("Lease of", &who),
        ("Note", &item.note),
    ] {
        let value = if value.is_empty() { "-" } else { value };
        lines.push(format!("  {name:<13} {value}"));
    }
    lines
}
