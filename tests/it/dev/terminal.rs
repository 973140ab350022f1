//! `diyadm dev` driven by its keys, on a real terminal.

use std::{fs, io::Write};

use serde_json::Value;

use super::project::{Dev, Project};
use crate::rig::{Node, Workspace, wait_until};

fn template(node: &Node, namespace: &str) -> Value {
    node.get(namespace, "deploy/shop")["spec"]["template"].clone()
}

fn press(dev: &mut Dev, keys: &[u8]) {
    dev.keys.write_all(keys).unwrap();
    dev.keys.flush().unwrap();
}

#[test]
fn dev_keys_work() {
    let node = require!(Workspace::on_node("dev-keys"));
    let name = node.name;
    Project::deploy(&node, name);
    let before = template(&node, name);
    let project = Project::new(name);
    let mut dev = Dev::on_terminal(&node, project.folder.path());
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
    assert!(said.contains("keeps running in deploy/shop"), "{said}");
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

#[test]
fn dev_stops_the_build_when_the_workload_is_restored() {
    let node = require!(Workspace::on_node("dev-leaves"));
    let name = node.name;
    Project::deploy(&node, name);
    let before = template(&node, name);
    let project = Project::new(name);
    let folder = project.folder.path();
    // The second build does not end, in a process of its own as a compiler's would be.
    let file = fs::read_to_string(folder.join("diyadm.yaml")).unwrap();
    let build = "build: (test ! -e out/app.sh || sleep 1000 & echo $! > out/pid; wait) && ";
    let file = file
        .replace("build: mkdir -p out && ", &build.replace("build: ", "build: mkdir -p out && "));
    fs::write(folder.join("diyadm.yaml"), file).unwrap();
    let mut dev = Dev::on_terminal(&node, folder);
    dev.until_all(&["started shop", "version one"]);
    fs::remove_file(folder.join("out/pid")).unwrap();
    project.version("two");
    let pid = || fs::read_to_string(folder.join("out/pid")).unwrap_or_default();
    wait_until("it builds", || pid().ends_with('\n'));
    let stat = format!("/proc/{}/stat", pid().trim());
    assert!(fs::exists(&stat).unwrap());
    press(&mut dev, b"Q");
    let (code, said) = dev.ended();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(template(&node, name), before, "{said}");
    assert!(!said.contains("was not stopped"), "{said}");
    // Whose parent is gone may wait for somebody who reaps it.
    wait_until("the build has ended", || {
        fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
    });
}
