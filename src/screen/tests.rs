//! Keys, the filter and the selection.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::*;
use crate::status::{self, Row};

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "namespace": "shop", "name": name, "uid": name },
        "spec": { "replicas": 1 }, "status": { "readyReplicas": 1 },
    })
}

fn items_of(names: &[&str]) -> Vec<Item> {
    names.iter().map(|name| Item::live(&deployment(name))).collect()
}

fn model(names: &[&str]) -> Model {
    let place = Place {
        namespace: Some("shop".to_owned()),
        flags: " --context 'my own'".to_owned(),
        program: "diyadm",
    };
    let mut model = Model::new(place);
    model.set_items(items_of(names));
    model
}

fn press(model: &mut Model, keys: &str) -> Option<Request> {
    let mut last = None;
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            c => KeyCode::Char(c),
        };
        last = model.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
    last
}

fn shown(model: &Model) -> Vec<&str> {
    model.shown().into_iter().map(|item| item.key.name.as_str()).collect()
}

#[test]
fn filter_takes_words_and_keeps_a_row_selected() {
    let mut model = model(&["web", "shop-api", "网关"]);
    press(&mut model, "/DEPLOY api");
    assert_eq!(shown(&model), ["shop-api"]);
    assert_eq!(model.selected().unwrap().key.name, "shop-api");
    press(&mut model, "\u{8}\u{8}\u{8}\u{8}\u{1b}");
    assert_eq!(shown(&model).len(), 3);
    press(&mut model, "/网\n");
    assert_eq!(shown(&model), ["网关"]);
}

#[test]
fn selection_follows_its_workload() {
    let mut model = model(&["a", "b", "c"]);
    press(&mut model, "j");
    model.set_items(items_of(&["0", "a", "b", "c"]));
    assert_eq!(model.selected().unwrap().key.name, "b");
    model.set_items(items_of(&["0", "a", "c"]));
    assert_eq!(model.selected().unwrap().key.name, "c");
    model.set_items(Vec::new());
    assert_eq!(press(&mut model, "e"), None);
    assert_eq!(model.message, "no workload is selected");
}

#[test]
fn key_shows_its_command_before_it_runs() {
    let mut model = model(&["web"]);
    let Some(Request::Check(KeyAction::Empty, key)) = press(&mut model, "e") else { panic!() };
    let missing = ["patch deployments.apps/web in namespace shop".to_owned()];
    assert_eq!(model.checked(KeyAction::Empty, &key, &missing), None);
    assert_eq!(model.message, "you may not patch deployments.apps/web in namespace shop");
    assert_eq!(model.checked(KeyAction::Empty, &key, &[]), None);
    let words = |line: &str| Some(Request::Run(shlex::split(line).unwrap()));
    let line = "empty deployment/web -n shop --context 'my own' --image 'a b'";
    assert_eq!(press(&mut model, " --image 'a b'\n"), words(line));
    model.checked(KeyAction::Empty, &key, &[]);
    assert_eq!(press(&mut model, "\u{1b}"), None, "Esc runs nothing");
    model.checked(KeyAction::Empty, &key, &[]);
    assert_eq!(press(&mut model, " 'a\n"), None);
    assert_eq!(model.message, "a quote is not closed; nothing was run");
}

#[test]
fn keys_for_applications_need_an_empty_workload() {
    let object = deployment("web");
    let mut model = model(&["web"]);
    for key in ["x", "s", "l", "r"] {
        assert_eq!(press(&mut model, key), None);
        assert!(model.message.starts_with("deployment/web is not empty"), "{}", model.message);
    }
    let row = Row {
        note: "1 of its Pods is empty".to_owned(),
        ..status::rows(std::slice::from_ref(&object), &[], |_| {
            Some(crate::workload::Level::Workload)
        })
        .remove(0)
    };
    let row = Row { state: status::State::Pods, ..row };
    model.set_items(items([&Item::live(&object)].into_iter(), &[row]));
    let Some(Request::Check(KeyAction::Logs, key)) = press(&mut model, "l") else { panic!() };
    let words = ["logs", "deployment/web", "-n", "shop", "--context", "my own", "-f"];
    let run = Request::Run(words.map(ToOwned::to_owned).to_vec());
    assert_eq!(model.checked(KeyAction::Logs, &key, &[]), Some(run));
}

#[test]
fn processor_use_is_between_two_readings() {
    let usage = |at_ms, cpu_ms| Usage { cpu_ms, at_ms, ..Usage::default() };
    let before = usage(1000, 500);
    assert_eq!(usage(3000, 800).since(None).cpu, None);
    assert_eq!(usage(3000, 800).since(Some(&before)).cpu, Some(150));
    assert_eq!(usage(3000, 100).since(Some(&before)).cpu, None, "an application was removed");
    assert_eq!(usage(1000, 800).since(Some(&before)).cpu, None);
}
