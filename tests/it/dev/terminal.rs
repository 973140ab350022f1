//! `diyadm dev` driven by its keys, on a real terminal.

use std::io::Write;

use serde_json::Value;

use super::project::{Dev, Project};
use crate::rig::{Node, node};

fn template(node: &Node, namespace: &str) -> Value {
    node.get(namespace, "deploy/shop")["spec"]["template"].clone()
}

#[test]
fn every_key_does_what_it_says() {
    let Some(node) = node() else { return };
    let name = node.name("dev-keys");
    let _namespace = node.namespace(name);
    Project::deploy(&node, name);
    let before = template(&node, name);
    let project = Project::new(name);
    let mut dev = Dev::on_terminal(&node, project.folder.path());
    let press = |dev: &mut Dev, keys: &[u8]| {
        dev.keys.write_all(keys).unwrap();
        dev.keys.flush().unwrap();
    };
    dev.until("keys: r restart");
    dev.until("version one");
    project.version("two");
    dev.until_all(&["restarted shop", "version two"]);

    press(&mut dev, b"r");
    dev.until_all(&["restarted shop", "version two"]);
    // What is kept back is shown when it is asked for.
    press(&mut dev, b"l");
    dev.until("logs are off");
    press(&mut dev, b"r");
    dev.until("restarted shop");
    press(&mut dev, b"l");
    let said = dev.until("logs are on");
    assert!(!said.contains("version"), "{said}");
    dev.until("version two");
    press(&mut dev, b"?");
    dev.until("keys: r restart");

    press(&mut dev, b"s");
    dev.until(" # ");
    press(&mut dev, b"echo in-$((40+2)) $(tty)\n");
    dev.until("in-42 /dev/pts/");
    press(&mut dev, b"exit\n");
    dev.until("keys: r restart");
    press(&mut dev, b"r");
    dev.until_all(&["restarted shop", "version two"]);

    press(&mut dev, b"q");
    let (code, said) = dev.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("goes on in deploy/shop"), "{said}");
    let list = ["ps", "-n", name, "deploy/shop", "-o", "json"];
    let ps = node.diyadm(project.folder.path(), &list).code(0).stdout;
    assert!(ps.contains("running"), "{ps}");

    // It is taken up again, and given back.
    let mut dev = Dev::on_terminal(&node, project.folder.path());
    dev.until_all(&["started shop", "version two"]);
    press(&mut dev, b"Q");
    let (code, said) = dev.ended();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(template(&node, name), before, "{said}");
}
