//! `diyadm rules`.

use std::fs;

use serde_json::{Value, json};

use super::rig::{diyadm, diyadm_reads};

const RULES: &str = "rules:
- match: {namespaces: [prod]}
  empty: false
- match: {kinds: [sts]}
- match: {kinds: [deploy], names: [db]}
- match: {labels: {lang: java}}
  image: keep
  idle: agent
";

#[test]
fn rules_check_judges_a_rules_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    let run = |text: &str| {
        fs::write(&file, text).unwrap();
        diyadm(folder.path(), &["rules", "check", "rules.yaml"])
    };
    run(RULES).code(0).stderr_has("rules.yaml is valid: 4 rules");
    run("rules:\n- idle: agent\n- image: keep\n").code(0).stderr_has("rule 2 is never reached");
    run("rules:\n- {}\n- imag: keep\n").code(2).stderr_has("rule 2: there is no `imag`");
    run("rules: [\n").code(2).stderr_has("line");
    let check = ["rules", "check", "-"];
    diyadm_reads(folder.path(), &check, RULES).code(0).stderr_has("- is valid: 4 rules");
    diyadm_reads(folder.path(), &check, "rules:\n- imag: keep\n").code(2).stderr_has("`imag`");
    // Read once, also where it is needed twice.
    for mode in ["webhook", "policy"] {
        let render = ["render", "--ca", "ca.crt", "--mode", mode, "--rules"];
        fs::write(folder.path().join("ca.crt"), include_str!("../data/golden/ca.crt")).unwrap();
        fs::write(&file, RULES).unwrap();
        let named = diyadm(folder.path(), &[&render[..], &["rules.yaml"]].concat()).code(0);
        let read = diyadm_reads(folder.path(), &[&render[..], &["-"]].concat(), RULES).code(0);
        assert_eq!(named.stdout, read.stdout, "{mode}");
        let without = diyadm(folder.path(), &render[..5]).code(0);
        assert_ne!(named.stdout, without.stdout, "{mode}: the rules are in it");
    }
    diyadm(folder.path(), &["rules", "check", "none"]).code(2).stderr_has("could not be read");
}

#[test]
fn rules_explain_names_the_deciding_rule() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "labels": { "lang": "java" },
            "annotations": { "diyadm.io/idle": "shell" },
        },
        "spec": { "template": { "spec": { "containers": [{ "name": "a", "image": "b" }] } } },
    });
    fs::write(folder.path().join("web.json"), object.to_string()).unwrap();
    let run = |args: &[&str]| {
        let base = ["rules", "explain", "-f", "web.json", "--rules", "rules.yaml"];
        diyadm(folder.path(), &[&base, args].concat())
    };
    let text = run(&["-n", "dev"]).code(0).stdout;
    assert_eq!(
        text,
        "deployment/web in namespace dev
  rule 1 is for other namespaces
  rule 2 is for other kinds
  rule 3 is for other names
  rule 4 matches
  empty       true                       default
  containers  the main container         default
  image       keep                       rule 4
  idle        shell                      annotation
  level       workload                   default
  replicas    as they are                default
  ready       container                  default
  standIn     false                      default
"
    );
    // There its Pods alone are seen, and what is written on it is not.
    let text = run(&["-n", "dev", "--level", "pod"]).code(0).stdout;
    assert!(text.contains("rule 4 is for other labels\n  no rule matches"), "{text}");
    assert!(text.contains("idle        entrypoint                 default"), "{text}");
    let found = run(&["-n", "prod", "-o", "json"]).code(0).stdout;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found[0]["rule"], 1);
    assert_eq!(
        found[0]["parts"][0],
        json!({ "part": "empty", "value": "false", "decidedBy": "rule 1" })
    );
    let yaml = run(&["-o", "yaml"]).code(0).stdout;
    assert_eq!(diyadm::yaml::parse_documents("t", &yaml).unwrap()[0].value[0]["rule"], 4);

    let mut wrong = object;
    wrong["metadata"]["annotations"] = json!({ "diyadm.io/idle": "sleep" });
    wrong["metadata"]["labels"] = json!({ "inject-empty-container": "disabled" });
    fs::write(folder.path().join("web.json"), wrong.to_string()).unwrap();
    let text = run(&[]).code(0).stdout;
    assert!(
        text.contains("it stays as it is: annotation diyadm.io/idle has the value \"sleep\""),
        "{text}"
    );
    assert!(text.contains("no rule matches") && text.contains("it is opted out"), "{text}");
    fs::write(folder.path().join("web.json"), "{\"kind\":\"X\"}").unwrap();
    run(&[]).code(2).stderr_has("no workload");
}
