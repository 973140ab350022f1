//! The truth itself: what the real kubectl makes of the same texts, each time the tests run.
//!
//! `kubectl annotate --local` reads files as every command of kubectl does, asks no API server, and
//! prints what it has read. Texts that are no objects get what makes an object of them in front.

use std::{env, process::Command};

use diyadm::yaml;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Map, Value};

use super::{TRICKY, TRUTH, any_value, settled};
use crate::{
    corpus,
    rig::{Run, skip},
};

/// What makes an object of any mapping.
const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: t\n";
const NOTE: &str = "diyadm.io/read";

struct Kubectl(String);

impl Kubectl {
    fn new() -> Option<Self> {
        let found = env::var("DIYADM_TEST_KUBECTL").ok().map(Self);
        if found.is_none() {
            skip("no kubectl: run `cargo xtask test`");
        }
        found
    }

    /// The objects that kubectl reads in `text`, in its order; `Err` where it refuses.
    fn read(&self, text: &str) -> Result<Vec<Value>, String> {
        let mut command = Command::new(&self.0);
        let note = format!("{NOTE}=yes");
        command.args(["annotate", "--local", "--overwrite", "-o", "json", "-f", "-", &note]);
        // No kubeconfig, no server: nobody's cluster is asked.
        command.env("KUBECONFIG", "/nonexistent").env("HOME", "/nonexistent");
        let run = Run::of(&mut command, text);
        if run.code != Some(0) {
            return Err(run.stderr);
        }
        let objects = serde_json::Deserializer::from_str(&run.stdout).into_iter::<Value>();
        Ok(objects.map(|object| without_note(object.unwrap())).collect())
    }

    /// What kubectl makes of mappings, all in one go.
    fn read_mappings(&self, texts: &[String]) -> Vec<Value> {
        let whole = texts.iter().map(|text| with_head(text)).collect::<Vec<_>>();
        assert!(whole.iter().all(|text| text.ends_with('\n')));
        let read = self.read(&whole.join("---\n")).unwrap();
        assert_eq!(read.len(), texts.len());
        read.into_iter().map(without_head).collect()
    }
}

fn without_note(mut object: Value) -> Value {
    let meta = object["metadata"].as_object_mut().unwrap();
    let notes = meta["annotations"].as_object_mut().unwrap();
    notes.remove(NOTE);
    if notes.is_empty() {
        meta.remove("annotations");
    }
    object
}

fn without_head(mut object: Value) -> Value {
    for key in ["apiVersion", "kind", "metadata"] {
        object.as_object_mut().unwrap().remove(key);
    }
    object
}

/// `text` with the head where its mapping begins.
fn with_head(text: &str) -> String {
    if let Some(rest) = text.strip_prefix('{') {
        return format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"t\"}},{rest}"
        );
    }
    match text.strip_prefix('\u{feff}') {
        Some(rest) => format!("\u{feff}{HEAD}{rest}"),
        None => format!("{HEAD}{text}"),
    }
}

/// Numbers past int64 are floats to kubectl, and shown so.
fn numbers(value: &Value) -> Value {
    match settled(value) {
        Value::Object(all) => {
            all.into_iter().map(|(key, v)| (key, numbers(&v))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(numbers).collect::<Vec<_>>().into(),
        Value::Number(number) if !number.is_i64() => number.as_f64().into(),
        other => other,
    }
}

fn rows(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(row: &Value) -> String {
    row["yaml"].as_str().unwrap().to_owned()
}

#[test]
fn stored_yaml_cases_match_kubectl() {
    let kubectl = require!(Kubectl::new());
    let (mut together, mut truths, mut alone) = (Vec::new(), Vec::new(), 0);
    for row in rows(TRUTH) {
        let text = text(&row);
        match row.get("json") {
            // kubectl takes the directive's `---` for the end of a document.
            Some(_) if text.starts_with('%') => {
                assert!(kubectl.read(&text).is_err(), "kubectl takes {text:?} by now");
            }
            Some(truth @ Value::Object(_)) if text.contains(['\u{feff}', '{']) => {
                alone += 1;
                let read = kubectl.read(&with_head(&text)).unwrap();
                assert_eq!(numbers(&without_head(read[0].clone())), numbers(truth), "{text:?}");
            }
            Some(truth @ Value::Object(_)) => {
                together.push(text);
                truths.push(numbers(truth));
            }
            // What is no mapping is no object to kubectl, whatever stands in front.
            Some(_) => {}
            None => {
                alone += 1;
                assert!(kubectl.read(&with_head(&text)).is_err(), "kubectl takes {text:?}");
            }
        }
    }
    assert!(together.len() > 180 && alone > 20, "{} and {alone}", together.len());
    for ((text, read), truth) in together.iter().zip(kubectl.read_mappings(&together)).zip(truths) {
        assert_eq!(numbers(&read), truth, "{text:?}");
    }
}

#[test]
fn stored_written_yaml_matches_kubectl() {
    let kubectl = require!(Kubectl::new());
    let mut values: Vec<Value> = rows(TRICKY).into_iter().map(|row| row["json"].clone()).collect();
    let mut runner = TestRunner::deterministic();
    let any = (any_value(), any_value(), any_value());
    for _ in 0..500 {
        let (a, b, c) = any.new_tree(&mut runner).unwrap().current();
        values.push(serde_json::json!({ "a": a, "yes": b, "l": [c] }));
    }
    let texts: Vec<_> = values.iter().map(|value| yaml::write(value).unwrap()).collect();
    for ((value, read), text) in values.iter().zip(kubectl.read_mappings(&texts)).zip(&texts) {
        assert_eq!(numbers(&read), settled(value), "{text}");
    }
}

/// Also that documents and items keep their order: kubectl prints them as it met them.
#[test]
fn yaml_corpus_is_read_as_kubectl_reads_it() {
    let kubectl = require!(Kubectl::new());
    for file in corpus::files() {
        let ours: Vec<_> = file.objects().into_iter().map(plain).collect();
        let theirs: Vec<_> = kubectl.read(&file.text).unwrap().into_iter().map(plain).collect();
        assert_eq!(ours, theirs, "{}", file.name());
    }
}

/// Without the difference between no annotations and none in the map.
fn plain(mut object: Value) -> Value {
    let meta = object["metadata"].as_object_mut();
    if let Some(meta) = meta
        && meta
            .get("annotations")
            .is_some_and(|all| all.is_null() || *all == Value::Object(Map::new()))
    {
        meta.remove("annotations");
    }
    numbers(&object)
}
