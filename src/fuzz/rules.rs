//! rules.yaml: an accepted file decides about every workload, a rejected one gets a short message.

use serde_json::Value;

use super::{Target, behaviour, files, is_bounded};
use crate::{
    workload::{Context, Rules, Subject, lint_rules, parse_rules},
    yaml,
};

const WORDS: [&str; 27] = [
    "rules:\n",
    "- match: ",
    "match",
    "namespaces: ",
    "kinds: [deploy]",
    "names: ['*']",
    "labels: {a: '?*'}",
    "empty: false\n",
    "containers: ",
    "image: keep\n",
    "idle: shell\n",
    "idle: agent\n",
    "level: pod\n",
    "replicas: 1\n",
    "ready: app\n",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!str ",
    "? ",
    "- ",
    "  ",
    "---\n",
    "|\n",
    "********************a",
    "{}",
    "[*a,*a,*a,*a,*a,*a,*a,*a]",
];

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "rules: []\n",
        "rules:\n- {}\n- replicas: 1\n",
        "rules:\n- match: {namespaces: [prod, 'x?z*']}\n  empty: false\n- match: {kinds: [deploy, cj], names: ['w.b', 'w*']}\n  image: tools:1\n",
        "rules:\n- match: {kinds: [job], names: ['report-*'], labels: {lang: 'j?va'}}\n  idle: agent\n  level: pod\n- match: {labels: {a: '*'}}\n  containers: '*'\n  image: keep\n  idle: shell\n",
        "# as JSON\n{\"rules\": [{\"match\": {\"names\": [\"a\"]}, \"containers\": \"a,b\", \"replicas\": 2}]}\n",
        "rules:\n- &one\n  match: &m {names: [x]}\n  empty: false\n- *one\n- <<: *one\n  empty: true\n- match: *m\n",
        "a: &a [x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nrules: *c\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// Workloads that rules decide about.
fn objects() -> Vec<String> {
    let texts = files("tests/data/corpus/kinds").into_iter().map(|f| String::from_utf8(f).unwrap());
    let objects = texts.flat_map(|text| yaml::objects(yaml::parse_documents("t", &text).unwrap()));
    objects.map(|document| document.value.to_string()).collect()
}

#[test]
fn any_rules_file_is_parsed_or_refused() {
    let objects = objects();
    let check = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let list = match parse_rules(&text) {
            Ok(list) => list,
            Err(error) => {
                let error = error.to_string();
                is_bounded(&error, input);
                return behaviour(&[&error]);
            }
        };
        assert!(list.len() <= input.len(), "{} rules of {} bytes", list.len(), input.len());
        let size = format!("{list:?}").len();
        assert!(size < 1_000 * input.len() + 4_096, "{size} of {} bytes", input.len());
        let lint: Vec<String> = lint_rules(&list).iter().map(|said| format!("{said:?}")).collect();
        let rules = Rules { list, ..Rules::default() };
        let mut decided = String::new();
        for text in &objects {
            let Some(subject) = Subject::parse(text) else { continue };
            let change = subject.empty(&rules, &Context { namespace: "x", ..Context::default() });
            let patch: json_patch::Patch = serde_json::from_str(&change.patch).unwrap();
            let mut object: Value = serde_json::from_str(text).unwrap();
            json_patch::patch(&mut object, &patch).expect("the patch applies");
            decided.push(if patch.0.is_empty() { '-' } else { '+' });
        }
        behaviour(&[&decided, &lint.join(" ")])
    };
    Target { name: "rules", seeds: seeds(), words: &WORDS }.fuzz(check);
}
