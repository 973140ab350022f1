//! Guesses a first `diyadm.yaml` from the files of a project. Pure: the files are passed in.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use crate::exit::{Failure, Topic};

mod gradle;
mod maven;
mod quarkus;

/// Maximum number of modules of a project to examine.
const MOST_MODULES: usize = 200;

/// The files in a project's folder and around it.
pub(crate) struct Files<'a> {
    /// Names of its files and folders.
    pub(crate) names: &'a [String],
    /// Name of the folder itself.
    pub(crate) folder: &'a str,
    /// Reads a text file by its path from the folder; `None` if it does not exist.
    pub(crate) read: &'a dyn Fn(&str) -> Option<String>,
}

impl Files<'_> {
    fn read(&self, path: &str) -> Option<String> {
        (self.read)(path)
    }

    fn has(&self, path: &str) -> bool {
        self.read(path).is_some()
    }
}

/// Known build files; the first existing one is used.
const KNOWN: [&str; 9] = [
    "pom.xml",
    "build.gradle.kts",
    "build.gradle",
    "settings.gradle.kts",
    "settings.gradle",
    "package.json",
    "go.mod",
    "Cargo.toml",
    "pyproject.toml",
];

/// The result of a build, and how to start it.
struct Built {
    build: String,
    watch: Vec<&'static str>,
    sync: Vec<Sent>,
    command: Vec<String>,
    /// A remark for the user.
    note: &'static str,
}

/// The file or folder to send.
struct Sent {
    from: String,
    to: String,
}

impl Sent {
    fn new(from: &str, to: &str) -> Self {
        Self { from: from.to_owned(), to: to.to_owned() }
    }
}

/// An archive that Java can run.
fn java(from: &str, build: String, watch: Vec<&'static str>, note: &'static str) -> Built {
    let is_war = Path::new(from).extension().is_some_and(|extension| extension == "war");
    let to = if is_war { "/tmp/app.war" } else { "/tmp/app.jar" };
    let command = ["java", "-jar", to].map(ToOwned::to_owned).to_vec();
    Built { build, watch, sync: vec![Sent::new(from, to)], command, note }
}

/// An archive for an application server.
fn war(from: &str, build: String, watch: Vec<&'static str>) -> Built {
    Built {
        build,
        watch,
        sync: vec![Sent::new(from, "/usr/local/tomcat/webapps/ROOT.war")],
        command: ["catalina.sh", "run"].map(ToOwned::to_owned).to_vec(),
        note: "A war needs a server; these are the folder and the command of Tomcat's image.",
    }
}

/// The module to use: the only one that runs, else the only one.
fn only(file: &str, all: &[String], mut found: Vec<String>) -> Result<String, Failure> {
    if found.is_empty() && all.len() == 1 {
        found = all.to_vec();
    }
    match &found[..] {
        [module] => Ok(module.clone()),
        [] => {
            let what = format!("No module of {file} is known to be runnable: {}.", all.join(", "));
            Err(Failure::usage(
                Topic::ProjectFile,
                what,
                "Run `diyadm dev --init` in the folder of the one that is.",
            ))
        }
        several => {
            let what = format!("Several modules of {file} could run: {}.", several.join(", "));
            Err(Failure::usage(
                Topic::ProjectFile,
                what,
                "Run `diyadm dev --init` in the folder of one of them.",
            ))
        }
    }
}

/// `name=value` and `name: value` lines.
fn properties(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']));
    let pairs = lines.filter_map(|line| line.split_once(['=', ':']));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

/// What a first file for a folder without a known build file does not say.
pub(crate) fn unknown(names: &[String]) -> Option<String> {
    let known = KNOWN.join(", ");
    build_file(names).is_none().then(|| {
        format!(
            "no build file is here ({known}), so what is sent, started and forwarded is a guess: set \
             `sync`, `run` and `forward`, and `build` if something is built"
        )
    })
}

/// The build file to use among these names.
fn build_file(names: &[String]) -> Option<&'static str> {
    KNOWN.into_iter().find(|known| names.iter().any(|name| name == known))
}

/// The text of the file; `workload` as typed, if given.
///
/// # Errors
/// What is built is unknown, or several modules are possible.
pub(crate) fn write(files: &Files<'_>, workload: Option<&str>) -> Result<String, Failure> {
    let kind = kind(files)?;
    let mut text = String::new();
    let mut line = |what: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{what}");
    };
    line(
        "# What `diyadm dev` does here: empty the workload, send, run, forward, and again at every",
    );
    line("# change.");
    match workload {
        Some(workload) => line(&format!("workload: {workload}")),
        None => line(&format!("workload: deploy/{}", plain(files.folder))),
    }
    line(
        "# How it is emptied: its own image keeps its JRE or libraries. For an image without a shell, use",
    );
    line("# `idle: agent`, which needs the image diyadm-agent in a registry of yours.");
    line("empty:");
    line("  image: keep");
    line("  idle: shell");
    line(&format!("# {}", kind.note));
    if let Some(build) = &kind.build {
        line(&format!("build: {build}"));
        line(&format!("watch: [{}]", kind.watch.join(", ")));
    }
    line("sync:");
    for Sent { from, to } in &kind.sync {
        line(&format!("- from: {}", scalar(from)));
        line(&format!("  to: {}", scalar(to)));
    }
    line("run:");
    line(&format!("  command: [{}]", kind.command.join(", ")));
    line(&format!("forward: [{}]", kind.port));
    Ok(text)
}

/// How a type of project is built, sent and started.
struct ProjectType {
    build: Option<String>,
    watch: Vec<&'static str>,
    sync: Vec<Sent>,
    command: Vec<String>,
    port: u16,
    note: &'static str,
}

impl From<Built> for ProjectType {
    fn from(Built { build, watch, sync, command, note }: Built) -> Self {
        Self { build: Some(build), watch, sync, command, port: 8080, note }
    }
}

fn kind(files: &Files<'_>) -> Result<ProjectType, Failure> {
    let Files { names, folder, .. } = files;
    let file = build_file(names);
    let content = file.and_then(|file| files.read(file)).unwrap_or_default();
    let words = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    let pair = |from: &str, to: &str| vec![Sent::new(from, to)];
    Ok(match file {
        Some("pom.xml") => maven::built(files)?.into(),
        Some("build.gradle" | "build.gradle.kts" | "settings.gradle" | "settings.gradle.kts") => {
            gradle::built(files)?.into()
        }
        Some("package.json") => {
            let start = if content.contains("\"start\"") { "npm start" } else { "node index.js" };
            ProjectType {
                build: None,
                watch: Vec::new(),
                sync: pair(".", "/app"),
                command: vec!["sh".into(), "-c".into(), format!("\"cd /app && exec {start}\"")],
                port: 3000,
                note: "node_modules is the image's own, or send it: `ignoreFiles: false`.",
            }
        }
        Some("go.mod") => ProjectType {
            build: Some(format!("CGO_ENABLED=0 GOOS=linux go build -o build/{} .", plain(folder))),
            watch: vec!["\"*.go\"", "go.mod"],
            sync: pair(&format!("build/{}", plain(folder)), "/tmp/app"),
            command: words("/tmp/app"),
            port: 8080,
            note: "Static, so that it runs in any image.",
        },
        Some("Cargo.toml") => {
            let name = cargo(&content).unwrap_or_else(|| (*folder).to_owned());
            ProjectType {
                build: Some("cargo build --target x86_64-unknown-linux-musl".to_owned()),
                watch: vec!["src", "Cargo.toml"],
                sync: pair(&format!("target/x86_64-unknown-linux-musl/debug/{name}"), "/tmp/app"),
                command: words("/tmp/app"),
                port: 8080,
                note: "Static, so that it runs in any image.",
            }
        }
        _ => ProjectType {
            build: None,
            watch: Vec::new(),
            sync: pair(".", "/app"),
            command: if build_file(names).is_some() {
                let start = "\"cd /app && exec python -m app\"";
                vec!["sh".into(), "-c".into(), start.into()]
            } else {
                vec!["sh".into(), "/app/run.sh".into()]
            },
            port: 8080,
            note: "Set which files are sent, and how the application is started.",
        },
    })
}

/// A folder's name, converted to a valid name for Kubernetes and shells.
fn plain(folder: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = folder.chars().map(good).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "app".to_owned() } else { name.to_owned() }
}

/// A path, quoted for YAML.
fn scalar(path: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    if path.chars().all(bare) && !path.starts_with('-') {
        path.to_owned()
    } else {
        serde_json::Value::from(path).to_string()
    }
}

/// `name = "x"` of `[package]`.
fn cargo(content: &str) -> Option<String> {
    let package = content.split("[package]").nth(1)?;
    let line = package.lines().find(|line| line.trim_start().starts_with("name"))?;
    Some(line.split('"').nth(1)?.to_owned())
}

#[cfg(test)]
mod tests;
