//! diyadm.yaml: accepted, or rejected with a short message.

use super::{Target, behaviour, is_bounded};
use crate::dev::project::parse;

const WORDS: [&str; 28] = [
    "workload: ",
    "namespace: ",
    "empty:\n",
    "image: keep\n",
    "idle: agent\n",
    "build: ",
    "watch: [",
    "sync:\n",
    "- from: ",
    "  to: ",
    "exclude: ['*.tmp']",
    "delete: true",
    "run: {command: x}\n",
    "command: ",
    "name: ",
    "env: {A: b}\n",
    "forward: ['8080:80']\n",
    "debug: ",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!str ",
    "'",
    "\"",
    "$(x)",
    "|\n",
    "**/[",
    "\\",
];

fn seeds() -> Vec<Vec<u8>> {
    let mut texts = vec![
        "run: {command: x}\n".to_owned(),
        "workload: deploy/shop\nbuild: make\nsync:\n- from: target/app\n  to: /tmp/app\n  exclude: ['*.log']\nrun:\n  command: java -jar '/tmp/a b.jar'\n  env: {A: b}\n".to_owned(),
        "workload: sts/x\nempty: {image: keep, idle: agent}\nwatch: [src, '*.conf', '!x']\nrun: {name: app, command: \"a \\\"b\\\" c\"}\nforward: [8080, ':90']\n".to_owned(),
        "a: &a [x, x]\nb: &b [*a, *a]\nwatch: *b\nrun: {command: x}\n".to_owned(),
    ];
    // The documentation's examples.
    let docs = include_str!("../../docs/en/dev.md");
    let blocks = docs.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    texts.extend(blocks.map(str::to_owned));
    texts.into_iter().map(String::into_bytes).collect()
}

#[test]
fn any_project_file_is_parsed_or_refused() {
    Target { name: "project", seeds: seeds(), words: &WORDS }.fuzz(|input| {
        let text = String::from_utf8_lossy(input);
        match parse(&text) {
            Ok(project) => {
                let shown = format!("{project:?}");
                assert!(shown.len() < 1_000 * input.len() + 16_384, "{}", shown.len());
                behaviour(&[&"ok", &shown])
            }
            Err(error) => {
                let error = error.to_string();
                is_bounded(&error, input);
                behaviour(&[&error])
            }
        }
    });
}
