//! `diyadm.yaml`: the settings of a project for the loop. Pure: its text is passed in.

use ignore::gitignore::GitignoreBuilder;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    misread,
    ports::{self, Port, Ports},
    sync::without_dots,
};
use crate::{ui::text::clause, yaml::ConfigError};
use diyadm_agent::protocol::name_fits;

mod empty;

use empty::Empty;

/// The file's name.
pub(crate) const FILE: &str = "diyadm.yaml";

/// The settings of a project.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Project {
    /// `deploy/web`; the command line may override it.
    #[serde(default)]
    pub(crate) workload: Option<String>,
    /// Its namespace.
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    /// The container.
    #[serde(default)]
    pub(crate) container: Option<String>,
    /// How to empty it, if it is not empty.
    #[serde(default)]
    pub(crate) empty: Empty,
    /// The local shell command that builds the project.
    #[serde(default)]
    pub(crate) build: Option<String>,
    /// Patterns of files whose change starts a build; by default the whole project.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    watch: Vec<Spanned<String>>,
    /// The files to send.
    #[serde(default)]
    #[schemars(with = "Vec<Sync>")]
    sync: Vec<Spanned<Sync>>,
    /// What runs.
    pub(crate) run: Run,
    /// Local ports to forward.
    #[serde(default)]
    #[schemars(with = "Vec<Number>")]
    forward: Vec<Spanned<Number>>,
    /// The port of Java's debugger, for --debug.
    #[serde(default = "debug_port")]
    pub(crate) debug_port: u16,
}

/// One folder or file to send.
#[derive(Clone, Debug, JsonSchema, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Sync {
    /// The local path, relative to the folder of diyadm.yaml.
    pub(crate) from: String,
    /// The path in the container.
    pub(crate) to: String,
    /// Delete remote files that do not exist locally.
    #[serde(default)]
    pub(crate) delete: bool,
    /// Exclude patterns, as in a .gitignore.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
    /// Whether .gitignore and .diyadmignore are used; by default only without a build, since they
    /// would exclude its output.
    #[serde(default)]
    pub(crate) ignore_files: Option<bool>,
}

/// The application.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// Its name.
    #[serde(default = "app")]
    #[schemars(with = "String")]
    name: Spanned<String>,
    /// Program and arguments.
    #[schemars(with = "Words")]
    command: Spanned<Words>,
    /// Environment variables in addition to the container's.
    #[serde(default)]
    pub(crate) env: std::collections::BTreeMap<String, String>,
    /// Its working directory.
    #[serde(default)]
    pub(crate) workdir: Option<String>,
    /// Seconds from SIGTERM to SIGKILL.
    #[serde(default = "grace")]
    pub(crate) grace: u64,
    /// Whether a change starts it again.
    #[serde(default = "yes")]
    pub(crate) restart: bool,
    /// Whether its stdin stays open, for a program that exits at the end of its input.
    #[serde(default)]
    pub(crate) stdin: bool,
}

#[derive(Clone, Debug, JsonSchema, Deserialize, PartialEq, Eq)]
#[serde(untagged, expecting = "a command is one line of words, or a list of them")]
enum Words {
    List(Vec<String>),
    Text(String),
}

/// `8080:80`, or a number alone.
#[derive(Clone, Debug, JsonSchema, Deserialize, PartialEq, Eq)]
#[serde(untagged, expecting = "a port is a number up to 65535, or LOCAL:REMOTE")]
enum Number {
    Port(u16),
    Pair(String),
}

fn app() -> Spanned<String> {
    Spanned::new("app".to_owned(), serde_saphyr::Location::UNKNOWN, serde_saphyr::Location::UNKNOWN)
}

fn grace() -> u64 {
    20
}

fn debug_port() -> u16 {
    5005
}

fn yes() -> bool {
    true
}

/// Reads a project.
///
/// # Errors
/// Invalid YAML, an unknown key, a value that is not allowed; with its place.
pub(crate) fn parse(text: &str) -> Result<Project, ConfigError> {
    let project: Project =
        serde_saphyr::from_str(text).map_err(|error| misread::explain(&error, text))?;
    let at = |location, what: &str| ConfigError::at(location, text, what);
    let Run { name, command, .. } = &project.run;
    if !name_fits(&name.value) {
        let what = format!("{:?} is not a valid application name", name.value);
        return Err(at(name.referenced, &what));
    }
    words(&command.value).map_err(|what| at(command.referenced, &what))?;
    for pattern in &project.watch {
        GitignoreBuilder::new("").add_line(None, &pattern.value).map_err(|error| {
            let what = format!("{:?} is not a .gitignore pattern: {error}", pattern.value);
            at(pattern.referenced, &what)
        })?;
    }
    for (index, sync) in project.sync.iter().enumerate() {
        let Sync { from, to, .. } = &sync.value;
        if from.is_empty() || to.is_empty() {
            return Err(at(sync.referenced, "`from` and `to` must not be empty"));
        }
        // A folder in the container is open for one transfer at a time. Several entries may go to a
        // path with a trailing slash, where files keep their own names; the names are checked when
        // the files are read.
        let same = |other: &Sync| {
            ![to, &other.to].into_iter().any(|to| to.ends_with('/'))
                && without_dots(other.to.as_bytes()) == without_dots(to.as_bytes())
        };
        if project.sync[..index].iter().any(|other| same(&other.value)) {
            let what = format!("another entry already goes to {to}; send a folder with both");
            return Err(at(sync.referenced, &what));
        }
    }
    for number in &project.forward {
        pair(&number.value).map_err(|what| at(number.referenced, &what))?;
    }
    project.empty.check().map_err(|(place, what)| at(place, &what))?;
    Ok(project)
}

impl Project {
    /// Watch patterns; [`parse`] has validated them.
    pub(crate) fn watch(&self) -> impl Iterator<Item = &str> {
        self.watch.iter().map(|pattern| pattern.value.as_str())
    }

    /// The files to send.
    pub(crate) fn sync(&self) -> impl Iterator<Item = &Sync> {
        self.sync.iter().map(|sync| &sync.value)
    }

    /// Their lines in the file.
    pub(crate) fn sync_lines(&self) -> impl Iterator<Item = u64> {
        self.sync.iter().map(|sync| sync.referenced.line())
    }

    /// Ports to forward; [`parse`] has validated them.
    pub(crate) fn forward(&self) -> Vec<Ports> {
        self.forward.iter().filter_map(|number| pair(&number.value).ok()).collect()
    }

    /// Name of the application.
    pub(crate) fn name(&self) -> &str {
        &self.run.name.value
    }

    /// Its program and arguments, with Java's debugger listening on `debug` if requested.
    pub(crate) fn command(&self, debug: Option<u16>) -> Vec<String> {
        let mut words = words(&self.run.command.value).unwrap_or_default();
        if let Some(port) = debug.filter(|_| self.is_java()) {
            words.insert(1, jdwp(port));
        }
        words
    }

    /// Additions to its environment variables. If the program is not Java itself, every JVM that it
    /// starts gets its own debugger port, since two cannot share one.
    pub(crate) fn env_append(&self, debug: Option<u16>) -> Vec<(String, String)> {
        let options = || ("JAVA_TOOL_OPTIONS".to_owned(), jdwp(0));
        debug.filter(|_| !self.is_java()).map(|_| options()).into_iter().collect()
    }

    /// The debugger port in the Pod.
    pub(crate) fn debugger(&self, port: u16) -> Port {
        if self.is_java() { Port::Number(port) } else { Port::Debugger(self.name().to_owned()) }
    }

    /// Whether the program is Java itself.
    fn is_java(&self) -> bool {
        let words = words(&self.run.command.value).unwrap_or_default();
        words.first().is_some_and(|word| word.rsplit('/').next() == Some("java"))
    }
}

/// On loopback, which port-forward reaches. Without an explicit address Java listens on loopback
/// only from version 9 on; older versions would let everybody who reaches the Pod run code.
fn jdwp(port: u16) -> String {
    format!("-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=localhost:{port}")
}

fn words(words: &Words) -> Result<Vec<String>, String> {
    let words = match words {
        Words::List(words) => words.clone(),
        Words::Text(text) => {
            // Shell syntax is not interpreted.
            if let Some(c) = text.chars().find(|c| "'\"\\|&;<>$*?()`".contains(*c)) {
                return Err(format!(
                    "a command with {c} must be a list: [java, -jar, \"/a b.jar\"], \
                     or [sh, -c, …] for a shell's"
                ));
            }
            text.split_whitespace().map(ToOwned::to_owned).collect()
        }
    };
    if words.is_empty() { Err("the command is empty".to_owned()) } else { Ok(words) }
}

fn pair(number: &Number) -> Result<Ports, String> {
    let text = match number {
        Number::Port(port) => port.to_string(),
        Number::Pair(text) => text.clone(),
    };
    ports::parse(&text).map_err(clause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "\
workload: deploy/web
namespace: test
build: mvn -q package
watch: [src, pom.xml]
sync:
- from: target/app.jar
  to: /tmp/app.jar
run:
  command: java -Xmx64m -jar /tmp/app.jar
  env: { SERVER_PORT: \"8080\" }
forward: [8080, \"9090:90\", \":http\"]
";

    #[test]
    fn project_file_with_every_key_is_parsed() {
        let project = parse(WHOLE).unwrap();
        assert_eq!(project.workload.as_deref(), Some("deploy/web"));
        assert_eq!(project.command(None), ["java", "-Xmx64m", "-jar", "/tmp/app.jar"]);
        assert_eq!(project.sync().next().unwrap().to, "/tmp/app.jar");
        assert_eq!(project.forward().len(), 3);
        assert_eq!((project.name(), project.run.grace, project.run.restart), ("app", 20, true));
        assert_eq!(project.run.env["SERVER_PORT"], "8080");
        assert!(!project.run.stdin);
    }

    #[test]
    fn java_debug_options_go_into_the_command_or_a_variable() {
        let project = parse(WHOLE).unwrap();
        assert!(project.command(Some(5005))[1].ends_with("address=localhost:5005"));
        assert_eq!(project.env_append(Some(5005)), []);
        assert_eq!(project.debugger(5005), Port::Number(5005));
        let script = parse("run: { command: ./gradlew run, stdin: true }\n").unwrap();
        assert!(script.run.stdin);
        assert_eq!(script.command(Some(7)), ["./gradlew", "run"]);
        let (name, value) = &script.env_append(Some(7))[0];
        assert!(name == "JAVA_TOOL_OPTIONS" && value.ends_with("=localhost:0"), "{value}");
        assert_eq!(script.debugger(7), Port::Debugger("app".to_owned()));
        assert_eq!(script.env_append(None), []);
    }

    #[test]
    fn project_errors_name_their_line() {
        for (text, line, word) in [
            ("run:\n  command: [java]\n  comand: x\n", 3, "comand"),
            ("workload: deploy/x\nrun:\n  command: []\n", 3, "empty"),
            ("run:\n  command: a | b\n", 2, "list"),
            ("run:\n  command: x\n  name: a b\n", 3, "name"),
            ("run:\n  command: x\nforward:\n- 8080\n- 1:2:3\n", 5, "1:2:3"),
            ("run:\n  command: x\nsync:\n- from: a\n", 4, "to"),
            ("run:\n  command: x\nsync:\n- {from: a, to: /x}\n- {from: b, to: /x}\n", 5, "/x"),
            ("run:\n  command: x\nsync:\n- {from: a, to: ./x}\n- {from: b, to: x}\n", 5, "x"),
            ("run:\n  command: x\nwatch:\n- src\n- '[b-a]'\n", 5, "[b-a]"),
            ("run:\n  command: x\n  grace: long\n", 3, ""),
            ("run: [\n", 0, ""),
        ] {
            let error = parse(text).unwrap_err().to_string();
            if line > 0 {
                assert!(error.starts_with(&format!("line {line}, column ")), "{text}: {error}");
            }
            assert!(error.contains(word) && !error.contains('\n'), "{text}: {error}");
        }
        // Files and a folder may go into one folder: they are checked later.
        for both in
            ["{from: a, to: /x/}\n- {from: b, to: /x}", "{from: a, to: /x}\n- {from: b, to: /x/}"]
        {
            parse(&format!("run:\n  command: x\nsync:\n- {both}\n")).unwrap();
        }
        let files =
            "run: {command: x}\nsync: [{from: a.jar, to: /tmp/}, {from: b.jar, to: /tmp/}]\n";
        assert!(parse(files).is_ok());
        assert!(parse("workload: x\n").unwrap_err().to_string().contains("run"));
        let error = parse("run: {command: x}\nempty: {idle: sleep}\n").unwrap_err();
        assert!(error.to_string().contains("\"sleep\"") && error.snippet().contains("idle: sleep"));
    }
}
