//! The JSON schemas: those in `schemas/` are what `diyadm schema` prints, and what diyadm prints and
//! the examples of the docs are valid. `DIYADM_UPDATE_GOLDEN=1` writes the files anew.

use std::{env, fs, path::Path};

use clap::{CommandFactory, ValueEnum};
use diyadm::cli::{Cli, schema::SchemaName};
use serde_json::{Value, json};

use super::rig::{diyadm, oracle};

/// Which schema is for what: the name of a schema, where the instance is from, and the instance.
#[derive(Default)]
pub(crate) struct Cases(Vec<(&'static str, String, Value)>);

impl Cases {
    /// Adds one instance.
    pub(crate) fn add(&mut self, schema: &'static str, from: &str, instance: Value) {
        self.0.push((schema, from.to_owned(), instance));
    }

    /// Adds JSON text.
    #[track_caller]
    pub(crate) fn json(&mut self, schema: &'static str, from: &str, text: &str) {
        let instance = serde_json::from_str(text).unwrap_or_else(|why| panic!("{from}: {why}"));
        self.add(schema, from, instance);
    }

    /// Adds each line of JSON text, of which there is one at least.
    #[track_caller]
    pub(crate) fn lines(&mut self, schema: &'static str, from: &str, text: &str) {
        assert!(!text.is_empty(), "{from} printed nothing");
        text.lines().for_each(|line| self.json(schema, from, line));
    }

    /// Adds YAML text.
    #[track_caller]
    fn yaml(&mut self, schema: &'static str, from: &str, text: &str) {
        let instance = serde_yaml::from_str(text).unwrap_or_else(|why| panic!("{from}: {why}"));
        self.add(schema, from, instance);
    }

    /// Asks a validator about each: what is wrong, or an empty text. `None` without Go.
    pub(crate) fn errors(&self) -> Option<Vec<String>> {
        let cases = self.0.iter().map(|(schema, _, instance)| {
            json!({ "schema": schema_of(schema), "instance": instance.to_string() })
        });
        let cases = Value::from(cases.collect::<Vec<_>>()).to_string();
        Some(serde_json::from_str(&oracle("schemas", &cases)?).unwrap())
    }

    /// Every one is valid.
    #[track_caller]
    pub(crate) fn hold(&self) {
        let errors = require!(self.errors());
        assert_eq!(errors.len(), self.0.len());
        for ((schema, from, instance), error) in self.0.iter().zip(errors) {
            assert_eq!(error, "", "{from} by the schema of {schema}: {instance}");
        }
    }
}

fn schema_of(name: &str) -> String {
    diyadm(Path::new("."), &["schema", name]).code(0).stdout
}

fn names() -> Vec<String> {
    let names = SchemaName::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    names.map(|name| name.get_name().to_owned()).collect()
}

#[test]
fn schema_files_are_what_the_program_prints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    if env::var_os("DIYADM_UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for name in names() {
            fs::write(folder.join(format!("{name}.json")), schema_of(&name)).unwrap();
        }
    }
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut expected: Vec<_> = names().iter().map(|name| format!("{name}.json")).collect();
    expected.sort();
    assert_eq!(files, expected);
    for name in names() {
        let file = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let again = "DIYADM_UPDATE_GOLDEN=1 cargo xtask test -- schema_files";
        assert!(file == schema_of(&name), "schemas/{name}.json; after a look: {again}");
    }
}

/// Commands with `-o json` have a schema: these are the ones that the tests here and on a cluster
/// validate.
#[test]
fn every_command_with_json_has_a_schema() {
    fn add(command: &clap::Command, found: &mut Vec<String>) {
        let is_json = |value: &clap::builder::PossibleValue| value.get_name() == "json";
        let output = command.get_arguments().find(|arg| arg.get_long() == Some("output"));
        if output.is_some_and(|arg| arg.get_possible_values().iter().any(is_json)) {
            found.push(command.get_name().to_owned());
        }
        command.get_subcommands().for_each(|one| add(one, found));
    }
    let mut found = Vec::new();
    add(&Cli::command(), &mut found);
    let help = diyadm(Path::new("."), &["schema", "--help"]).code(0).stdout;
    for name in found {
        let named = ["", "rules ", "images "].map(|group| format!("`{group}{name}`"));
        assert!(named.iter().any(|name| help.contains(name)), "{name}: {help}");
    }
}

#[test]
fn golden_files_and_examples_are_valid() {
    let mut cases = Cases::default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // In golden files a time is `N`.
    let read =
        |path: &Path| fs::read_to_string(path).unwrap().replace("\"micros\": N", "\"micros\": 0");
    let golden = root.join("tests/data/golden");
    for (folder, schema) in
        [("check", "findings"), ("verify", "findings"), ("plan", "plan"), ("render", "objects")]
    {
        for file in fs::read_dir(golden.join(folder)).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "json") {
                cases.json(schema, &file.display().to_string(), &read(&file));
            }
        }
    }
    let is_yaml = |path: &Path| path.extension().is_some_and(|e| e == "yaml");
    for file in fs::read_dir(golden.join("dev/init")).unwrap().map(|file| file.unwrap().path()) {
        if is_yaml(&file) {
            cases.yaml("project", &file.display().to_string(), &read(&file));
        }
    }
    let mut examples = 0;
    for folder in ["docs/en", "docs/zh"] {
        for file in fs::read_dir(root.join(folder)).unwrap().map(|file| file.unwrap().path()) {
            let text = if file.is_file() { read(&file) } else { String::new() };
            for block in text.split("```yaml\n").skip(1) {
                let block = block.split("```").next().unwrap();
                let Ok(value) = serde_yaml::from_str::<Value>(block) else { continue };
                let schema = match &value {
                    value if value.get("rules").is_some() => "rules",
                    value if value.get("kinds").is_some() => "kinds",
                    value if value.pointer("/run/command").is_some() => "project",
                    _ => continue,
                };
                examples += 1;
                cases.add(schema, &file.display().to_string(), value);
            }
        }
    }
    assert!(examples > 1, "{examples} examples in docs");
    cases.hold();
}

#[test]
fn outputs_without_a_cluster_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| diyadm(folder.path(), args).stdout;
    let workload = include_str!("../data/golden/templates/test.yaml");
    fs::write(folder.path().join("app.yaml"), workload).unwrap();
    fs::write(folder.path().join("rules.yaml"), "rules:\n- level: pod\n").unwrap();
    let mut cases = Cases::default();
    for (schema, args) in [
        ("version", &["version", "--client", "-o", "json"][..]),
        ("images", &["images", "list", "-o", "json"]),
        ("outcomes", &["init", "--out", "certs", "--key", "p256", "-o", "json"]),
        ("certificates", &["init", "--inspect", "certs", "-o", "json"]),
        ("certificates", &["init", "--inspect", "certs/ca.crt", "-o", "json"]),
        ("findings", &["verify", "--offline", "--key", "p256", "-o", "json"]),
        ("objects", &["render", "--ca", "certs", "-o", "json"]),
        ("objects", &["mutate", "-f", "app.yaml", "-o", "json"]),
        ("explain", &["rules", "explain", "-f", "app.yaml", "-o", "json"]),
        ("plan", &["plan", "-f", "app.yaml", "-o", "json"]),
        ("plan", &["plan", "-f", "app.yaml", "--rules", "rules.yaml", "-o", "json"]),
        ("objects", &["rights", "--for", "developer", "-n", "shop", "-o", "json"]),
    ] {
        cases.json(schema, &args.join(" "), &run(args));
    }
    let patch = ["mutate", "-f", "app.yaml", "-o", "patch"];
    cases.lines("patch", "mutate -o patch", &run(&patch));
    cases.hold();
}

#[test]
fn schemas_refuse_what_the_program_refuses() {
    let mut cases = Cases::default();
    for (schema, text) in [
        ("project", "workload: deploy/web"),
        ("project", "run: {command: x, comand: y}"),
        ("project", "run: {command: x}\nempty: {idle: sleep}"),
        ("project", "run: {command: x}\nforward: [99999]"),
        ("project", "run: {command: x}\nsync: [{from: a}]"),
        ("rules", "rules: [{levle: pod}]"),
        ("rules", "rules: [{level: node}]"),
        ("rules", "rules: [{match: {name: [web]}}]"),
        ("kinds", "kinds: [{group: example.com, version: v1}]"),
        ("kinds", "rules: []"),
    ] {
        cases.yaml(schema, text, text);
    }
    for (from, error) in cases.0.iter().zip(require!(cases.errors())) {
        assert_ne!(error, "", "{from:?}");
    }
}

/// Editors read the schema that lies beside the file.
#[test]
fn dev_init_names_a_schema_and_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| diyadm(folder.path(), args).code(0);
    fs::write(folder.path().join("go.mod"), "module x\n\ngo 1.24\n").unwrap();
    run(&["dev", "--init", "deploy/web"]);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let project = read("diyadm.yaml");
    let line = "# yaml-language-server: $schema=diyadm.schema.json\n";
    assert!(project.starts_with(line), "{project}");
    assert_eq!(read("diyadm.schema.json"), schema_of("project"));
    let mut cases = Cases::default();
    cases.yaml("project", "dev --init", &project);
    cases.hold();
}
