//! The shell steps of `action.yml`, the workflows and the examples in docs/ci, run as plain scripts
//! in a folder of their own, on the files of the release.
//!
//! What installs packages, builds for hours or publishes is read by bash, and not run.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Files, Untried};
use crate::{dist::Options, paths, process};

/// Beginnings of commands that are not run.
const NOT_RUN: [&str; 8] = [
    "sudo ",
    "rustup ",
    "gh ",
    "cargo build ",
    "cargo check ",
    "cargo xtask ",
    "export DIYADM_AGENTS",
    "url=$GITHUB_SERVER_URL",
];
/// A manifest for the examples.
const MANIFEST: &str = "templates/test.yaml";

/// A shell step.
struct Step {
    /// The file that it is from.
    file: String,
    script: String,
}

/// Tries all steps.
pub(super) fn all(files: &Files<'_>, scratch: &Path) -> Result<Untried> {
    let root = paths::root();
    let read = |file: &str| fs::read_to_string(root.join(file)).with_context(|| file.to_owned());
    let mut steps = Vec::new();
    for file in [
        "action.yml",
        "docs/ci/github.yml",
        ".github/workflows/release.yml",
        ".github/workflows/test.yml",
    ] {
        let mut scripts = Vec::new();
        runs(&serde_yaml::from_str(&read(file)?)?, &mut scripts);
        ensure!(!scripts.is_empty(), "{file} has no step");
        steps.extend(scripts.into_iter().map(|script| Step { file: file.to_owned(), script }));
    }
    let file = "docs/ci/gitlab-ci.yml";
    let job: Value = serde_yaml::from_str::<Value>(&read(file)?)?["diyadm"].take();
    let parts = ["before_script", "script"].map(|part| job[part].as_array().cloned());
    let lines = parts.into_iter().flatten().flatten();
    let lines: Vec<String> = lines.filter_map(|line| Some(line.as_str()?.to_owned())).collect();
    ensure!(lines.len() > 4, "{file} has no script");
    steps.push(Step { file: file.to_owned(), script: lines.join("\n") });
    let file = "docs/ci/Jenkinsfile";
    let text = read(file)?;
    let scripts: Vec<&str> = text.split("sh '''").skip(1).filter_map(end_of_script).collect();
    ensure!(scripts.len() == 2, "{file} has {} scripts", scripts.len());
    steps.extend(
        scripts.iter().map(|script| Step { file: file.to_owned(), script: (*script).to_owned() }),
    );

    let folder = scratch.join("pipelines");
    for step in &steps {
        step.parse()?;
        let line = step.script.trim_start();
        if NOT_RUN.iter().any(|command| line.starts_with(command)) {
            flags(&step.script).with_context(|| step.file.clone())?;
            continue;
        }
        step.run(&folder.join(step.file.replace('/', "-")), files)?;
    }
    Ok(Vec::new())
}

fn end_of_script(text: &str) -> Option<&str> {
    text.split_once("'''").map(|(script, _)| script)
}

/// All values of keys `run`.
fn runs(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str().filter(|_| key == "run") {
                    Some(script) => found.push(script.to_owned()),
                    None => runs(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| runs(value, found)),
        _ => {}
    }
}

/// The arguments of each `cargo xtask dist` as xtask itself reads them.
fn flags(script: &str) -> Result<()> {
    for line in script.lines().filter_map(|line| line.trim().strip_prefix("cargo xtask dist")) {
        let words: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        Options::parse(&words)?;
    }
    Ok(())
}

impl Step {
    /// bash can read it.
    fn parse(&self) -> Result<()> {
        let output = Command::new("bash").args(["-n", "-c", &self.script]).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {complaint}\n{}", self.file, self.script);
        Ok(())
    }

    /// Runs it in `folder`, where the earlier steps of its file have run.
    fn run(&self, folder: &Path, files: &Files<'_>) -> Result<()> {
        let (manifests, paths_file) = (folder.join("manifests"), folder.join("github-path"));
        fs::create_dir_all(&manifests)?;
        fs::copy(paths::root().join(MANIFEST), manifests.join("app.yaml"))?;
        let programs = folder.join("target/dist");
        fs::create_dir_all(&programs)?;
        fs::copy(files.unpacked.join("diyadm"), programs.join("diyadm"))?;
        // What the action's steps have written to $GITHUB_PATH; other examples use the action.
        let added = match fs::read_to_string(&paths_file) {
            Ok(added) => added.trim().to_owned(),
            Err(_) => files.unpacked.display().to_string(),
        };
        let path = std::env::var("PATH")?;
        let url = format!("file://{}", fs::canonicalize(files.folder)?.display());
        let version = files.release.version;
        // As GitHub, GitLab and Jenkins run steps.
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", &self.script]);
        bash.current_dir(if self.script.contains("cargo ") { paths::root() } else { folder });
        bash.env_remove("KUBECONFIG").env("HOME", folder).env("PATH", format!("{added}:{path}"));
        bash.envs([("VERSION", version), ("URL", &url)]);
        bash.envs([("DIYADM_VERSION", version), ("DIYADM_URL", &url)]);
        bash.envs([("NAME", "diyadm-linux-amd64"), ("PROGRAM", "diyadm")]);
        bash.env("GITHUB_REF_NAME", format!("v{version}"));
        bash.env("GITHUB_PATH", &paths_file).env("RUNNER_TEMP", folder);
        for name in ["CARGO_HOME", "RUSTUP_HOME"] {
            // Both are below HOME by default.
            if std::env::var_os(name).is_none() {
                let default = name.trim_end_matches("_HOME").to_lowercase();
                let home = std::env::var("HOME")?;
                bash.env(name, Path::new(&home).join(format!(".{default}")));
            }
        }
        process::output_of(&mut bash, Stdio::null()).map_err(|error| {
            anyhow::anyhow!("a step of {}: {error:#}\n{}", self.file, self.script)
        })?;
        if self.script.contains("diyadm.xml") {
            let report = fs::read_to_string(folder.join("diyadm.xml"))?;
            ensure!(report.contains("<testsuite") && report.contains("failures=\"0\""), "{report}");
        }
        Ok(())
    }
}
