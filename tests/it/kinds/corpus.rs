//! The corpus through the webhook: what real people have written, created in a namespace where it is
//! emptied, given back, and held against what the API server makes of it elsewhere.

use std::fs;

use diyadm::workload::{self, DISABLED, LABEL};
use serde_json::Value;

use super::{Pair, plain};
use crate::mutate::corpus;

/// Kinds that are in no namespace, so they cannot have a twin.
const CLUSTERS: [&str; 1] = ["StorageClass"];

#[test]
fn the_corpus_goes_through_the_webhook_and_back() {
    let Some(files) = corpus() else { return };
    let Some(pair) = Pair::hooked("kinds-corpus") else { return };
    let known = pair.cluster.kubectl(&["api-versions"], "");
    let (mut emptied, mut others) = (0, 0);
    for (number, file) in files.iter().enumerate() {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).unwrap();
        let documents = diyadm::yaml::objects(diyadm::yaml::read(&name, &text).unwrap());
        let objects: Vec<Value> = documents
            .into_iter()
            .map(|document| document.value)
            .filter(|object| known.lines().any(|version| object["apiVersion"] == version))
            .filter(|object| CLUSTERS.iter().all(|kind| object["kind"] != *kind))
            .collect();
        let [made, twins] = pair.create_all(&objects);
        let mut changed = Vec::new();
        for (made, twin) in made.iter().zip(&twins) {
            if workload::is_emptied(&made.to_string()) {
                let [kind, name] = [&made["kind"], &made["metadata"]["name"]];
                let [kind, name] = [kind, name].map(|text| text.as_str().unwrap());
                changed.push(format!("{}/{name}", kind.to_lowercase()));
            } else {
                // What is no workload goes by untouched.
                let kind = made["kind"].as_str().unwrap();
                assert!(workload::kind_of(made["apiVersion"].as_str().unwrap(), kind).is_none());
                assert_eq!(plain(made), plain(twin), "{name}");
                others += 1;
            }
        }
        // Both ways back, by turns.
        let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
        let no = format!("{LABEL}={DISABLED}");
        match changed.as_slice() {
            [] => {}
            all if number % 2 == 0 => {
                pair.kubectl(&[&["annotate"], all, &[&no]].concat());
            }
            all => {
                pair.run(&[&["restore"], all, &["--wait=false"]].concat()).code(0);
            }
        }
        for what in &changed {
            pair.same(what, &[LABEL]);
        }
        emptied += changed.len();
        pair.delete_all(&objects);
    }
    assert!(emptied > 20 && others > 20, "{emptied} were emptied, {others} are no workloads");
}
