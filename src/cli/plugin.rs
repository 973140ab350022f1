//! The command tree under the name that the user calls it by: `diyadm`, or `kubectl diyadm` as a
//! plugin of kubectl.

use std::ffi::OsString;

use clap::{
    Arg, Command, CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue},
};

use super::Cli;
use crate::ui::{self, text::as_plugin};

/// Parses the command line.
///
/// # Errors
/// Errors of clap; `--help` and `--version` are returned as errors too.
pub fn parse(words: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    if ui::is_plugin() {
        command = renamed(command.bin_name("kubectl diyadm"));
    }
    let matches = command.try_get_matches_from_mut(words).map_err(|error| {
        let called = words.iter().find_map(|word| command.find_subcommand(word));
        let takes_command = called.is_some_and(|one| one.get_positionals().any(Arg::is_last_set));
        if takes_command { error } else { without_double_dash(error) }
    })?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Removes clap's tip to type `-- --flag` for an unknown flag: it suits only commands that take
/// another command after `--`.
fn without_double_dash(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::StyledStrs(mut tips)) = error.remove(ContextKind::Suggested) {
        tips.retain(|tip| !tip.to_string().contains(" as a value, use "));
        if !tips.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        }
    }
    error
}

/// The commands in help texts as a user of the plugin types them.
fn renamed(mut command: Command) -> Command {
    let texts = [
        command.get_about(),
        command.get_long_about(),
        command.get_after_help(),
        command.get_after_long_help(),
    ];
    let [about, long_about, after_help, after_long_help] =
        texts.map(|text| text.map(|text| as_plugin(&text.ansi().to_string()).into_owned()));
    if let Some(text) = about {
        command = command.about(text);
    }
    if let Some(text) = long_about {
        command = command.long_about(text);
    }
    if let Some(text) = after_help {
        command = command.after_help(text);
    }
    if let Some(text) = after_long_help {
        command = command.after_long_help(text);
    }
    let command = command.mut_args(|arg| {
        let [help, long] = [arg.get_help(), arg.get_long_help()]
            .map(|text| text.map(|text| as_plugin(&text.to_string()).into_owned()));
        let arg = match help {
            Some(help) => arg.help(help),
            None => arg,
        };
        match long {
            Some(long) => arg.long_help(long),
            None => arg,
        }
    });
    command.mut_subcommands(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helps(command: &mut Command) -> Vec<String> {
        let mut all = vec![command.render_long_help().to_string()];
        all.extend(command.get_subcommands_mut().flat_map(helps));
        all
    }

    #[test]
    fn double_dash_is_suggested_only_before_a_command() {
        for (line, expected) in [
            ("diyadm status --no-such", false),
            ("diyadm empty deploy/web --no-such", false),
            ("diyadm empty deploy/web --dry-rum", false),
            ("diyadm run deploy/web --no-such", true),
        ] {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            let message = parse(&words).unwrap_err().to_string();
            assert!(message.contains("unexpected argument"), "{message}");
            assert_eq!(message.contains("-- --"), expected, "{message}");
            assert_eq!(message.contains("'--dry-run'"), line.contains("--dry-rum"), "{message}");
        }
    }

    #[test]
    fn help_of_the_plugin_has_no_command_without_kubectl() {
        let helps = helps(&mut renamed(Cli::command().bin_name("kubectl diyadm")));
        assert!(helps.len() > 30, "{}", helps.len());
        for help in helps {
            assert!(!help.contains("`diyadm "), "{help}");
        }
    }
}
