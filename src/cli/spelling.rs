//! Accepts spellings of kubectl that clap does not support, and gives tips for those that diyadm
//! does not have.

use std::ffi::OsString;

use clap::{
    Command, CommandFactory,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Cli, plugin::parse};
use crate::{exit::quoted, kinds, ui::text::escaped};

/// Rewrites `shell deploy web` as `shell deploy/web`, for each command on one workload; other
/// arguments stay.
pub fn normalized(mut words: Vec<OsString>) -> Vec<OsString> {
    // Avoids building the tree of all commands.
    if words.iter().any(is_kind)
        && let Some(at) = kind_and_name(&words)
    {
        let name = words.remove(at + 1);
        words[at].push("/");
        words[at].push(name);
    }
    words
}

/// The position of KIND before NAME, in a command whose first argument is one workload.
fn kind_and_name(words: &[OsString]) -> Option<usize> {
    let mut command = Cli::command();
    command.build();
    let at = positional(&command, words, 1)?;
    let command = command.find_subcommand(&words[at])?;
    let first = command.get_positionals().next()?;
    if first.get_id() != "workload" {
        return None;
    }
    let at = positional(command, words, at + 1)?;
    let name = words.get(at + 1)?.to_str()?;
    let is_name = !name.starts_with('-') && !name.contains(['/', ':']);
    (is_kind(&words[at]) && is_name).then_some(at)
}

fn is_kind(word: &OsString) -> bool {
    let is_service = |word: &str| ["svc", "service", "services"].contains(&word);
    let is_workload = |word: &str| kinds::workloads().any(|kind| kind.is_called(word));
    word.to_str().is_some_and(|word| is_workload(word) || is_service(word))
}

/// Index of the first positional argument at or after `from`.
fn positional(command: &Command, words: &[OsString], from: usize) -> Option<usize> {
    let takes_next = |arg: Option<&clap::Arg>| {
        arg.is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
    };
    let mut at = from;
    while let Some(word) = words.get(at) {
        let text = word.to_string_lossy();
        if text == "--" {
            return None;
        }
        at += 1;
        let next_is_value = if let Some(long) = text.strip_prefix("--") {
            let mut args = command.get_arguments();
            !long.contains('=') && takes_next(args.find(|arg| arg.get_long() == Some(long)))
        } else if let Some(shorts) = text.strip_prefix('-').filter(|shorts| !shorts.is_empty()) {
            // `-it`; the text after a flag with a value is its value: `-nshop`.
            let arg = |short| command.get_arguments().find(|arg| arg.get_short() == Some(short));
            let with_value = shorts.char_indices().find(|(_, short)| takes_next(arg(*short)));
            with_value.is_some_and(|(at, short)| at + short.len_utf8() == shorts.len())
        } else {
            return Some(at - 1);
        };
        at += usize::from(next_is_value);
    }
    None
}

/// A tip for arguments that clap has rejected, where users of kubectl need more than clap's
/// message.
pub fn tip(error: &clap::Error, words: &[OsString]) -> Option<String> {
    let invalid = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word.as_str(),
        _ => return None,
    };
    let mut command = Cli::command();
    command.build();
    let start = positional(&command, words, 1)?;
    let command = command.find_subcommand(&words[start])?;
    if error.kind() != ErrorKind::UnknownArgument || invalid.starts_with('-') {
        return None;
    }
    let at = words.iter().skip(start + 1).position(|word| word == invalid)? + start + 1;
    let typed = |words: &[OsString]| {
        words.iter().map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
    };
    let (before, rest) = (typed(&words[1..at]), typed(&words[at..]));
    if ["shell", "run"].contains(&command.get_name()) {
        return Some(format!("The command goes behind `--`: `diyadm {before} -- {rest}`."));
    }
    let reads_files = command.get_arguments().any(|arg| arg.get_long() == Some("filename"));
    (reads_files && command.get_positionals().next().is_none())
        .then(|| format!("Files are given with -f: `diyadm {before} -f {rest}`."))
}

/// The same error with its arguments [`escaped`]: clap quotes them unchanged, and they may be
/// foreign text (`ls | xargs diyadm …`).
pub fn harmless(error: clap::Error, words: &[OsString]) -> clap::Error {
    let shown: Vec<_> =
        words.iter().map(|word| escaped(&word.to_string_lossy()).into_owned()).collect();
    if words.iter().zip(&shown).all(|(word, shown)| word == shown.as_str()) {
        return error;
    }
    let shown: Vec<_> = shown.into_iter().map(OsString::from).collect();
    parse(&shown).err().unwrap_or(error)
}

/// Warnings about deprecated spellings that are still accepted.
pub fn warnings(cli: &Cli, words: &[OsString]) -> Vec<&'static str> {
    let mut flags = words.iter().take_while(|word| *word != "--");
    let is_bare = !matches!(cli.command, super::Command::Sync(_));
    // The text of kubectl.
    let what = "--dry-run is deprecated and can be replaced with --dry-run=client";
    flags.any(|word| is_bare && word == "--dry-run").then_some(what).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn kind_and_name_are_one_word_or_two() {
        for (line, expected) in [
            ("diyadm shell deploy web", "diyadm shell deploy/web"),
            (
                "diyadm -n shop exec -it -c app po web-1 -- sh",
                "diyadm -n shop exec -it -c app po/web-1 -- sh",
            ),
            ("diyadm logs -nshop StatefulSet db app", "diyadm logs -nshop StatefulSet/db app"),
            ("diyadm port-forward svc web 80", "diyadm port-forward svc/web 80"),
            (
                "diyadm run --name job deploy/web -- job x",
                "diyadm run --name job deploy/web -- job x",
            ),
            ("diyadm run --name job sts db -- x", "diyadm run --name job sts/db -- x"),
            ("diyadm stop web deploy", "diyadm stop web deploy"),
            ("diyadm shell deploy -c x", "diyadm shell deploy -c x"),
            ("diyadm shell deploy", "diyadm shell deploy"),
            ("diyadm empty deploy web", "diyadm empty deploy web"),
            ("diyadm sync job web:/x", "diyadm sync job web:/x"),
        ] {
            assert_eq!(normalized(words(line)), words(expected), "{line}");
        }
    }

    #[test]
    fn missing_double_dash_or_flag_of_files_is_suggested() {
        for (line, expected) in [
            (
                "diyadm run deploy/x java -jar a.jar",
                Some("`diyadm run deploy/x -- java -jar a.jar`"),
            ),
            ("diyadm exec -n s deploy/x ls", Some("`diyadm exec -n s deploy/x -- ls`")),
            ("diyadm mutate app.yaml", Some("`diyadm mutate -f app.yaml`")),
            ("diyadm status --no-such-flag", None),
        ] {
            let words = words(line);
            let error = Cli::try_parse_from(&words).unwrap_err();
            let tip = tip(&error, &words);
            assert_eq!(tip.is_some(), expected.is_some(), "{line}: {tip:?}");
            assert!(tip.unwrap_or_default().contains(expected.unwrap_or_default()), "{line}");
        }
    }
}
