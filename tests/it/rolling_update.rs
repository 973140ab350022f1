//! A rolling update of the server during continuous writes: no write fails, and none is stored
//! unchanged.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use diyadm::kubernetes::{Cluster as Client, DEPLOYMENT, WriteMode};
use serde_json::{Value, json};

use super::{
    install::mount,
    rig::{Cluster, Net, Server, TIMEOUT, reaching_cluster, slice, wait_until},
};

const WRITERS: usize = 4;
/// Each replaces every server.
const ROUNDS: usize = 3;
const IMAGE: &str = "/spec/template/spec/containers/0/image";

#[test]
fn rolling_update_of_the_server_loses_no_write() {
    let cluster = require!(reaching_cluster());
    let (one, two) = (require!(Net::of_service()), require!(Net::of_service()));
    for policy in ["Fail", "Ignore"] {
        roll(&cluster, [&one, &two], policy);
    }
}

/// What the writers share.
#[derive(Default)]
struct Load {
    done: AtomicBool,
    written: AtomicUsize,
    /// Writes that etcd did not take in time.
    slow: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

fn roll(cluster: &Cluster, nets: [&Net; 2], policy: &str) {
    let name = cluster.name(&format!("rolling-{}", policy.to_lowercase()));
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| cluster.diyadm(folder.path(), &[args, &names].concat());
    run(&["init"]).code(0);
    mount(cluster, name, folder.path());
    let own = format!("{name}/{name}");
    let start = |net| Server::start_in(net, folder.path(), &["--self-name", &own, "--drain", "4"]);
    let behind = |of: &[(&Net, bool)]| {
        cluster.kubectl(&["apply", "-f", "-"], &slice(name, name, of));
    };
    let mut server = start(nets[0]);
    // A machine that is busy is not what is looked for here.
    let install = ["install", "--failure-policy", policy, "--timeout-seconds", "30", "--timeout"];
    run(&[&install[..], &["0"]].concat()).code(1);
    behind(&[(nets[0], true)]);
    run(&[&install[..], &[TIMEOUT]].concat()).code(0);

    let load = Load::default();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (name, load) = (name, &load);
            scope.spawn(move || write(cluster, name, writer, load));
        }
        // Whatever fails here, the writers must end.
        let rolled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..ROUNDS {
                let before = load.written.load(Relaxed);
                wait_until("writes go on", || {
                    let wrong = !load.wrong.lock().unwrap().is_empty();
                    wrong || load.written.load(Relaxed) > before + 20
                });
                let (old, new) = (nets[round % 2], nets[(round + 1) % 2]);
                let fresh = start(new);
                wait_until("the new server is ready", || ready(&fresh));
                behind(&[(old, true), (new, true)]);
                // The kubelet and the endpoints' controller hear of it at the same time: the old
                // one may still be asked long after it was told to go.
                let gone = std::mem::replace(&mut server, fresh);
                gone.signal();
                behind(&[(old, false), (new, true)]);
                let (code, log) = gone.ended();
                behind(&[(new, true)]);
                assert_eq!(code, Some(0));
                let draining = log.iter().position(|line| line.contains("\"draining\"")).unwrap();
                let reviews =
                    |log: &[String]| log.iter().filter(|l| l.contains("\"review\"")).count();
                let (before, after) = (reviews(&log[..draining]), reviews(&log[draining..]));
                assert!(before > 0, "{policy} {round}: no review");
                eprintln!("{policy} {round}: {before} reviews, and {after} while draining");
            }
        }));
        load.done.store(true, Relaxed);
        // What went wrong with a write says more than what that led to.
        let wrong = load.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{policy}: {} wrong: {wrong:#?}", wrong.len());
        rolled.unwrap();
    });
    let wrong = load.wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{policy}: {} wrong: {wrong:#?}", wrong.len());
    let written = load.written.into_inner();
    let slow = load.slow.into_inner();
    eprintln!("{policy}: {written} writes beside {ROUNDS} updates of the server, {slow} too slow");
    run(&["uninstall", "--all"]).code(0);
}

fn ready(server: &Server) -> bool {
    let Ok(mut tcp) = TcpStream::connect(&server.health) else { return false };
    let mut answer = String::new();
    let asked = write!(tcp, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    asked.is_ok() && tcp.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// Creates Deployments and changes them, one after the other, until it is stopped.
fn write(cluster: &Cluster, name: &str, writer: usize, load: &Load) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = cluster.client().await;
        let mut number = 0;
        while !load.done.load(Relaxed) {
            number += 1;
            let lived = life(&client, name, &format!("test-{writer}-{number}"), load).await;
            match lived {
                Ok(()) => {}
                // A disk that is too slow for etcd is no fault of a webhook.
                Err(why) if why.contains("etcdserver: ") => drop(load.slow.fetch_add(1, Relaxed)),
                Err(why) => {
                    load.wrong.lock().unwrap().push(format!("test-{writer}-{number}: {why}"));
                }
            }
        }
    });
}

/// One Deployment: created, changed twice, deleted. Each write must come back emptied.
async fn life(client: &Client, namespace: &str, name: &str, load: &Load) -> Result<(), String> {
    let text = |error: anyhow::Error| format!("{error:#}");
    let emptied = |object: &Value, image: &str| {
        load.written.fetch_add(1, Relaxed);
        let original = object["metadata"]["annotations"]["diyadm.io/original"].as_str();
        let kept = original.is_some_and(|original| original.contains(image));
        match object.pointer(IMAGE) {
            Some(found) if found == "empty-container:latest" && kept => Ok(()),
            found => Err(format!("{found:?} instead of {image}, its original kept: {kept}")),
        }
    };
    let mut object = diyadm::webhook::manifests::test_deployment(namespace).unwrap();
    object["metadata"]["name"] = name.into();
    object["spec"]["replicas"] = 0.into();
    let created = client.create(&object, WriteMode::Persist).await.map_err(text)?;
    emptied(&created, "knative:latest")?;
    for image in ["app:1", "app:2"] {
        let patch = json!([{ "op": "replace", "path": IMAGE, "value": image }]);
        let patched = client.json_patch(&DEPLOYMENT, namespace, name, patch, WriteMode::Persist);
        emptied(&patched.await.map_err(text)?, image)?;
    }
    client.delete(&DEPLOYMENT, namespace, name, WriteMode::Persist).await.map_err(text)?;
    Ok(())
}
