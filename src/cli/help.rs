//! What `--help` shows beyond the flags: the groups of commands, and examples of each command.

use std::fmt::Write;

use clap::Command;

/// A title, and commands in the order of use, what is typed daily first.
type Group = (&'static str, &'static [&'static str]);

/// Every command is in one group.
const GROUPS: [Group; 5] = [
    ("Workloads", &["empty", "restore", "expire", "status", "ui", "plan"]),
    (
        "In the container",
        &[
            "dev", "run", "sync", "diff", "shell", "logs", "ps", "stop", "restart", "extend",
            "forward",
        ],
    ),
    ("Files", &["mutate", "rules"]),
    ("Webhook", &["install", "check", "verify", "uninstall", "init", "render", "serve"]),
    ("Other", &["images", "rights", "schema", "completions", "version"]),
];

/// Shell lines for each command, shown at the end of its help.
const EXAMPLES: [(&str, &[&str]); 37] = [
    (
        "empty",
        &[
            "diyadm empty deploy/web --image keep",
            "diyadm empty sts/db -n shop --image keep --replicas 1",
            "diyadm empty deploy/web --image keep --copy me",
            "diyadm empty deploy/web --image keep --for 8h",
        ],
    ),
    ("restore", &["diyadm restore deploy/web", "diyadm restore --all -n shop --yes"]),
    ("expire", &["diyadm expire -n shop", "diyadm expire -A --dry-run"]),
    ("status", &["diyadm status -n shop", "diyadm status -A --watch"]),
    ("ui", &["diyadm ui -n shop", "diyadm ui -A --once"]),
    ("plan", &["diyadm plan deploy/web", "diyadm plan -f manifests --image keep -o json"]),
    ("dev", &["diyadm dev --init deploy/web", "diyadm dev --debug", "diyadm dev --once -o json"]),
    (
        "run",
        &[
            "diyadm run deploy/web -- java -jar /tmp/app.jar",
            "diyadm run deploy/web --name worker --detach -e LEVEL=debug -- python3 /app/worker.py",
        ],
    ),
    (
        "sync",
        &[
            "diyadm sync target/app.jar deploy/web:/tmp/",
            "diyadm sync src deploy/web:/app/src --watch --delete",
        ],
    ),
    (
        "diff",
        &["diyadm diff deploy/web target/app.jar", "diyadm diff deploy/web src /app/src -o json"],
    ),
    ("shell", &["diyadm shell deploy/web", "diyadm shell deploy/web -- ls -l /app"]),
    ("logs", &["diyadm logs deploy/web -f", "diyadm logs deploy/web worker --since 5m --tail 100"]),
    ("ps", &["diyadm ps deploy/web", "diyadm ps deploy/web -o wide"]),
    ("stop", &["diyadm stop deploy/web", "diyadm stop deploy/web worker --grace 5 --rm"]),
    ("restart", &["diyadm restart deploy/web", "diyadm restart deploy/web worker"]),
    ("extend", &["diyadm extend deploy/web 2h", "diyadm extend deploy/web -n shop 30m"]),
    ("forward", &["diyadm forward deploy/web 8080", "diyadm forward svc/web 9090:80 :5005"]),
    (
        "mutate",
        &[
            "kustomize build | diyadm mutate -f - | kubectl apply -f -",
            "diyadm mutate -f manifests -R --diff",
            "diyadm mutate -f app.yaml > empty.yaml; diyadm mutate -f empty.yaml --restore",
        ],
    ),
    (
        "rules",
        &["diyadm rules check rules.yaml", "diyadm rules explain deploy/web --rules rules.yaml"],
    ),
    ("rules check", &["diyadm rules check rules.yaml"]),
    (
        "rules explain",
        &["diyadm rules explain deploy/web -n shop", "diyadm rules explain -f app.yaml -o json"],
    ),
    ("rules annotations", &["diyadm rules annotations"]),
    ("install", &["diyadm install -n shop", "diyadm install -n shop --dry-run=server"]),
    ("check", &["diyadm check -n shop", "diyadm check -o junit > report.xml"]),
    ("verify", &["diyadm verify -n shop", "diyadm verify --offline -f manifests"]),
    ("uninstall", &["diyadm uninstall -n shop", "diyadm uninstall -n shop --restore --all"]),
    ("init", &["diyadm init -n shop", "diyadm init --out certs", "diyadm init --inspect certs"]),
    (
        "render",
        &[
            "diyadm render -n shop | kubectl apply -f -",
            "diyadm render -n shop --expire --expire-namespaces shop,orders | kubectl apply -f -",
            "diyadm render --ca certs -o kustomize --out base; kubectl apply -k base",
        ],
    ),
    ("serve", &["diyadm serve --cert certs/server.crt --key certs/server.key"]),
    ("images", &["diyadm images list", "diyadm images save -o images.tar"]),
    (
        "images list",
        &["diyadm images list", "diyadm images list --registry registry.example/tools -o json"],
    ),
    (
        "images save",
        &[
            "diyadm images save -o images.tar; docker load -i images.tar",
            "diyadm images save agent -o - | ctr -n k8s.io image import -",
        ],
    ),
    (
        "rights",
        &[
            "diyadm rights --for developer -n shop",
            "diyadm rights --for installer -o yaml | kubectl apply -f -",
        ],
    ),
    ("schema", &["diyadm schema events", "diyadm schema project > diyadm.schema.json"]),
    (
        "completions",
        &[
            "source <(diyadm completions bash)",
            "diyadm completions fish > ~/.config/fish/completions/diyadm.fish",
        ],
    ),
    ("version", &["diyadm version", "diyadm version -o json"]),
    (
        "",
        &[
            "diyadm empty deploy/web --image keep",
            "diyadm dev --init deploy/web",
            "diyadm restore deploy/web",
        ],
    ),
];

/// The command tree with groups and examples.
pub(super) fn completed(command: Command) -> Command {
    let template = template(&command);
    with_examples(command.help_template(template), &[])
}

/// clap lists subcommands in one group only, so the groups are a part of the template.
fn template(command: &Command) -> String {
    let (header, literal) = (command.get_styles().get_header(), command.get_styles().get_literal());
    let width = GROUPS.iter().flat_map(|(_, names)| *names).map(|name| name.len()).max();
    let width = width.unwrap_or_default();
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (title, names) in GROUPS {
        let _ = writeln!(text, "\n{header}{title}:{header:#}");
        for one in names.iter().filter_map(|name| command.find_subcommand(name)) {
            let (name, about) = (one.get_name(), one.get_about().cloned().unwrap_or_default());
            let alias = one.get_visible_aliases().map(|alias| format!(" [alias: {alias}]"));
            let alias: String = alias.collect();
            let _ = writeln!(text, "  {literal}{name:width$}{literal:#}  {about}{alias}");
        }
    }
    let _ = write!(text, "\n{header}Global options:{header:#}\n{{options}}{{after-help}}");
    text
}

fn with_examples(command: Command, path: &[&str]) -> Command {
    let name = path.join(" ");
    let examples = EXAMPLES.iter().find(|(known, _)| *known == name).map(|(_, lines)| *lines);
    let header = *command.get_styles().get_header();
    let mut text = command.get_after_help().map(|notes| format!("{notes}\n\n")).unwrap_or_default();
    let _ = write!(text, "{header}Examples:{header:#}");
    examples.unwrap_or_default().iter().for_each(|line| {
        let _ = write!(text, "\n  {line}");
    });
    if path.is_empty() {
        text.push_str("\n\nRun `diyadm COMMAND --help` for the flags of a command.");
    }
    command.after_help(text).mut_subcommands(|one| {
        let name = one.get_name().to_owned();
        with_examples(one, &[path, &[&name]].concat())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use clap::{Arg, CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    /// Every command with its path; the root's is empty.
    fn all() -> Vec<(String, Command)> {
        fn add(command: &Command, path: &[&str], all: &mut Vec<(String, Command)>) {
            all.push((path.join(" "), command.clone()));
            let shown = |one: &&Command| one.get_name() != "help" && !one.is_hide_set();
            for one in command.get_subcommands().filter(shown) {
                add(one, &[path, &[one.get_name()]].concat(), all);
            }
        }
        let mut all = Vec::new();
        let mut command = Cli::command();
        command.build();
        add(&command, &[], &mut all);
        all
    }

    fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
        command.get_arguments().filter(|arg| arg.get_long().is_some())
    }

    #[test]
    fn every_command_is_in_one_group() {
        let command = Cli::command();
        let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
        let of_tree: BTreeSet<_> = shown.map(Command::get_name).collect();
        let grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        assert_eq!(grouped.len(), of_tree.len());
        assert_eq!(BTreeSet::from_iter(grouped), of_tree);
    }

    #[test]
    fn every_command_has_examples_that_parse() {
        let commands = all();
        let names: BTreeSet<_> = commands.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(EXAMPLES.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), names);
        for (name, lines) in EXAMPLES {
            let parts = lines.iter().flat_map(|line| line.split(['|', ';', '>', '(', ')']));
            let mut of_command = 0;
            for part in parts.map(str::trim).filter(|part| part.starts_with("diyadm ")) {
                let parsed = Cli::try_parse_from(part.split(' '));
                assert!(parsed.is_ok(), "{part}: {}", parsed.err().unwrap());
                of_command += usize::from(part.contains(name));
            }
            assert!(of_command > 0, "{name}: {lines:?}");
        }
    }

    #[test]
    fn abouts_are_short_lines_without_a_full_stop() {
        for (name, command) in all() {
            let about = command.get_about().unwrap().to_string();
            assert!(about.chars().count() <= 70 && !about.contains('\n'), "{name}: {about}");
            let capital = about.starts_with(char::is_uppercase);
            assert!(capital && !about.ends_with('.'), "{name}: {about}");
            for arg in command.get_arguments() {
                let help = arg.get_help().unwrap_or_else(|| panic!("{name}: {arg}")).to_string();
                assert!(!help.ends_with('.'), "{name} {arg}: {help}");
            }
        }
    }

    #[test]
    fn groups_fit_a_terminal_of_80_columns() {
        let text = Cli::command().render_help().to_string();
        let groups = text.split("Global options").next().unwrap();
        for line in groups.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    /// kubectl has -f for --filename in some commands, and for --follow in logs.
    const TWO_MEANINGS: [(char, &str, &str); 1] = [('f', "logs", "follow")];

    #[test]
    fn a_short_flag_belongs_to_one_long_flag() {
        let mut longs: BTreeMap<char, BTreeSet<String>> = BTreeMap::new();
        let mut shorts: BTreeMap<String, BTreeSet<Option<char>>> = BTreeMap::new();
        for (name, command) in all() {
            for flag in flags(&command) {
                let long = flag.get_long().unwrap();
                let short = flag.get_short();
                shorts.entry(long.to_owned()).or_default().insert(short);
                let known = |short| TWO_MEANINGS.contains(&(short, name.as_str(), long));
                if let Some(short) = short.filter(|short| !known(*short)) {
                    longs.entry(short).or_default().insert(long.to_owned());
                }
            }
        }
        longs.into_iter().for_each(|one| assert_eq!(one.1.len(), 1, "{one:?}"));
        shorts.into_iter().for_each(|one| assert_eq!(one.1.len(), 1, "{one:?}"));
    }

    /// Flags that are about different things in different commands.
    const OWN_TEXT: [&str; 19] = [
        "all",
        "dry-run",
        "env",
        "exclude",
        "filename",
        "for",
        "force",
        "key",
        "level",
        "mode",
        "namespace",
        "no-ignore",
        "once",
        "out",
        "replicas",
        "restore",
        "stdin",
        "timeout",
        "wait",
    ];

    #[test]
    fn a_flag_has_the_same_text_and_value_in_every_command() {
        let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, command) in all() {
            for flag in flags(&command) {
                let long = flag.get_long().unwrap().to_owned();
                // As of `docker save`: a file.
                if name == "images save" && long == "output" {
                    continue;
                }
                let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
                // A condition, as in `With --restore: …`; and a default, which clap may add.
                let text = help.split_once(": ").filter(|(when, _)| when.starts_with("With --"));
                let text = text.map_or(help.as_str(), |(_, text)| text).to_lowercase();
                let text = text.split(" [default:").next().unwrap_or_default().to_owned();
                texts.entry(long.clone()).or_default().insert(text);
                let names = flag.get_value_names().unwrap_or_default();
                let names = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                values.entry(long).or_default().insert(names);
            }
        }
        texts.retain(|long, texts| texts.len() > 1 && !OWN_TEXT.contains(&long.as_str()));
        assert!(texts.is_empty(), "{texts:#?}");
        // `--key` is a file of the server, and the kind of a new key; `dev` reads one file; `rights
        // --for` has a role.
        values.retain(|long, values| {
            values.len() > 1 && !["key", "dry-run", "filename", "for"].contains(&long.as_str())
        });
        assert!(values.is_empty(), "{values:#?}");
    }

    #[test]
    fn misspelled_words_are_corrected() {
        for (line, tip) in [
            ("diyadm emtpy deploy/web", "'empty'"),
            ("diyadm rules explian", "'explain'"),
            ("diyadm empty deploy/web --imgae keep", "'--image'"),
            ("diyadm status -o jsn", "'json'"),
        ] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err().to_string();
            assert!(error.contains("tip: ") && error.contains(tip), "{line}: {error}");
        }
    }
}
