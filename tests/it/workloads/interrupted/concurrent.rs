//! Several clients at once, a write between reading and patching, and a server that refuses for
//! good.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use diyadm::{kubernetes as kinds, workload};

use super::{super::workload, Direct};
use crate::{
    proxy::{
        Fate::{Pass, Refuse},
        Proxy,
    },
    rig::Workspace,
};

#[test]
fn concurrent_clients_come_to_one_result() {
    let cluster = require!(Workspace::new("two-clients"));
    let (name, folder) = (cluster.name, cluster.folder());
    let direct = Direct::new(&cluster, name);
    let names: Vec<_> = (0..8).map(|n| format!("web-{n}")).collect();
    for web in &names {
        direct.create(&workload("Deployment", web));
    }
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let of = |web: &str| direct.get(&kinds::DEPLOYMENT, web).unwrap();
    let before: Vec<_> = names.iter().map(|web| of(web)["spec"].clone()).collect();
    for command in ["empty", "restore"] {
        let args = [command, "--all", "-n", name, "--wait=false"];
        let clients = [(); 3].map(|()| proxy.spawn(folder, &args));
        for client in clients {
            let output = client.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        for (web, spec) in names.iter().zip(&before) {
            let object = of(web);
            assert_eq!(workload::is_emptied(&object.to_string()), command == "empty");
            if command == "restore" {
                assert_eq!(&object["spec"], spec);
            }
        }
    }
    // One empties while another restores: who is last wins, and each workload is one or the other.
    let clients = ["empty", "restore", "empty", "restore"]
        .map(|command| proxy.spawn(folder, &[command, "--all", "-n", name, "--wait=false"]));
    for client in clients {
        let output = client.wait_with_output().unwrap();
        // 1 where the other one has changed it back at once, which is told.
        let told = String::from_utf8_lossy(&output.stderr);
        assert!([Some(0), Some(1)].contains(&output.status.code()), "{told}");
    }
    for (web, spec) in names.iter().zip(&before) {
        let object = of(web);
        assert!(workload::is_emptied(&object.to_string()) || object["spec"] == *spec, "{object}");
    }
    cluster.diyadm(folder, &["restore", "--all", "-n", name, "--wait=false"]).code(0);
    assert!(names.iter().zip(&before).all(|(web, spec)| of(web)["spec"] == *spec));
    // Someone else writes between reading and patching: what he wrote stays.
    let args = ["empty", "deploy/web-0", "-n", name, "--wait=false"];
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let kubectl = cluster.kubectl_command(&[]).get_program().to_owned();
    let (run, requests) = proxy.run(folder, &args, move |_, request| {
        static ONCE: std::sync::Once = std::sync::Once::new();
        if request.starts_with("PATCH") {
            ONCE.call_once(|| {
                let image = ["set", "image", "deploy/web-0", "app=app:2", "-n", "two-clients"];
                let mut kubectl = std::process::Command::new(&kubectl);
                let set = kubectl.arg("--kubeconfig").arg(&kubeconfig).args(image).output();
                assert!(set.unwrap().status.success());
            });
        }
        Pass
    });
    run.code(0);
    // More often where the Deployment's controller writes too.
    assert!(requests.iter().filter(|request| request.starts_with("PATCH")).count() > 1);
    cluster.diyadm(folder, &["restore", "deploy/web-0", "-n", name, "--wait=false"]).code(0);
    let mut newest = before[0].clone();
    newest["template"]["spec"]["containers"][0]["image"] = "app:2".into();
    assert_eq!(of("web-0")["spec"], newest);
}

/// A server that refuses for good is not asked for ever, and one that asks for an hour not obeyed.
#[test]
fn retries_and_retry_after_are_bounded() {
    let cluster = require!(Workspace::new("patience"));
    let (name, folder) = (cluster.name, cluster.folder());
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let direct = Direct::new(&cluster, name);
    direct.create(&workload("Deployment", "web"));
    let args = ["empty", "deploy/web", "-n", name, "--wait=false"];
    for (fate, most) in [(Refuse(500, None), 8), (Refuse(429, Some(3600)), 8)] {
        let (run, requests) =
            proxy.run(
                folder,
                &args,
                move |_, request| {
                    if request.starts_with("PATCH") { fate } else { Pass }
                },
            );
        assert!(run.code != Some(0), "{}", run.stderr);
        let patches = requests.iter().filter(|request| request.starts_with("PATCH")).count();
        assert!(patches <= most, "{patches}");
    }
    let web = direct.get(&kinds::DEPLOYMENT, "web").unwrap();
    assert!(!workload::is_emptied(&web.to_string()));
}

/// After each conflict the object is read again; a conflict without an end is reported, and nothing
/// is half done.
#[test]
fn conflicts_are_retried_a_bounded_number_of_times() {
    let cluster = require!(Workspace::new("conflicts"));
    let (name, folder) = (cluster.name, cluster.folder());
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let direct = Direct::new(&cluster, name);
    direct.create(&workload("Deployment", "web"));
    let web = || direct.get(&kinds::DEPLOYMENT, "web").unwrap();
    let before = web()["spec"].clone();
    for command in ["empty", "restore"] {
        let args = [command, "deploy/web", "-n", name, "--wait=false"];
        let was_empty = command == "restore";
        for (times, code) in [(usize::MAX, 1), (2, 0)] {
            let patches = AtomicUsize::new(0);
            let conflicts = move |_, request: &str| {
                let is_patch = request.starts_with("PATCH");
                if is_patch && patches.fetch_add(1, SeqCst) < times {
                    Refuse(409, None)
                } else {
                    Pass
                }
            };
            let (run, requests) = proxy.run(folder, &args, conflicts);
            run.code(code);
            let patches = requests.iter().filter(|request| request.starts_with("PATCH")).count();
            assert!((3..=10).contains(&patches), "{patches}");
            let object = web();
            let empty = workload::is_emptied(&object.to_string());
            assert_eq!(empty, was_empty == (code == 1), "{command}");
            assert!(empty || object["spec"] == before, "{command}");
        }
    }
}
