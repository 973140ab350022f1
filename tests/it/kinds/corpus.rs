//! The corpus through the webhook: created in a namespace where workloads are emptied, restored, and
//! compared with what the API server makes of it elsewhere.

use std::collections::BTreeSet;

use diyadm::kinds;
use diyadm::workload::{self, DISABLED, LABEL};
use serde_json::Value;

use super::{Pair, plain};
use crate::corpus;

/// Kinds that the API server has in namespaces, as `apiVersion/kind`.
fn namespaced(pair: &Pair) -> BTreeSet<String> {
    let args = ["api-resources", "--namespaced=true", "--no-headers"];
    let lines = pair.cluster.kubectl(&args, "");
    let kind = |line: &str| {
        let mut words = line.split_whitespace().rev();
        let kind = words.next()?;
        Some(format!("{}/{kind}", words.nth(1)?))
    };
    lines.lines().filter_map(kind).collect()
}

/// An emptied object with its twin, each as `kind/name`.
struct Emptied {
    ours: String,
    twin: String,
    mutable: bool,
}

impl Emptied {
    fn new(made: &Value, twin: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let kind = text(&made["kind"]);
        let what = |object: &Value| {
            format!("{}/{}", kind.to_lowercase(), text(&object["metadata"]["name"]))
        };
        let known =
            kinds::find(&text(&made["apiVersion"]), &kind).expect("a known kind was emptied");
        Self { ours: what(made), twin: what(twin), mutable: known.mutable }
    }
}

#[test]
fn corpus_is_emptied_by_the_webhook_and_restored() {
    let pair = require!(Pair::hooked("kinds-corpus"));
    let known = namespaced(&pair);
    for (number, file) in corpus::files().iter().enumerate() {
        let mut objects = file.objects();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        objects.retain(|object| {
            known.contains(&format!("{}/{}", text(&object["apiVersion"]), text(&object["kind"])))
        });
        for object in &mut objects {
            // Each namespace gets its own.
            object["metadata"].as_object_mut().unwrap().remove("namespace");
        }
        if objects.is_empty() {
            continue;
        }
        let [made, twins] = pair.create_all(&objects);
        let mut changed = Vec::new();
        for (made, twin) in made.iter().zip(&twins) {
            let name = file.name();
            assert_eq!(
                workload::is_emptied(&made.to_string()),
                corpus::is_workload(made),
                "{name}: {made}"
            );
            if corpus::is_workload(made) {
                changed.push(Emptied::new(made, twin));
            } else {
                assert_eq!(plain(made), plain(twin), "{name}");
            }
        }
        let (mutable, others): (Vec<_>, Vec<_>) = changed.iter().partition(|one| one.mutable);
        let mutable: Vec<&str> = mutable.iter().map(|one| one.ours.as_str()).collect();
        // Both ways back, in turns.
        let disabled = format!("{LABEL}={DISABLED}");
        match mutable.as_slice() {
            [] => {}
            all if number % 2 == 0 => {
                pair.kubectl(&[&["annotate"], all, &[&disabled]].concat());
            }
            all => {
                pair.run(&[&["restore"], all, &["--wait=false"]].concat()).code(0);
            }
        }
        for one in others {
            let trust = ["--recreate", "--trust-original", "--wait=false"];
            pair.run(&[&["restore", one.ours.as_str()][..], &trust].concat()).code(0);
        }
        for one in &changed {
            pair.same_as(&one.ours, &one.twin, &[LABEL]);
        }
        pair.delete_all(&[made, twins]);
    }
}
