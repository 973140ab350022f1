//! `install`, `init --rotate` and `uninstall`, cut off at each request.

use base64::{Engine, engine::general_purpose::STANDARD};
use diyadm::{kubernetes as kinds, pki, workload::recreation::without_server_fields};
use serde_json::json;

use super::{Direct, Stage};
use crate::{
    proxy::{
        Fate::{self, Kill},
        Proxy,
    },
    rig::{Run, Server, TIMEOUT, Workspace, cluster_with_policies},
    serve::certificates,
};

/// The webhook's own commands: each can be typed again, wherever it was cut.
#[test]
fn webhook_commands_continue_wherever_they_were_cut() {
    let cluster = require!(Workspace::new("cut-webhook"));
    let name = cluster.name;
    let folder = certificates(name, name);
    let folder = folder.path();
    let server = Server::start(folder, &[]);
    let direct = Direct::new(&cluster, name);
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let url = format!("https://{}", server.address);
    let put_secret = || {
        direct.delete(&kinds::SECRET, "webhook-secret");
        let file = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        direct.create(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "webhook-secret" },
            "stringData": {
                "ca.crt": file("ca.crt"), "server.crt": file("server.crt"),
                "server.key": file("server.key"),
            },
        }));
    };
    let configuration = || direct.get(&kinds::CONFIGURATION, name);
    let no_configuration = || direct.delete(&kinds::CONFIGURATION, name);
    let plain = |args: &[&str]| cluster.diyadm(folder, args);
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let install = [&["install", "--url", &url, "--timeout", TIMEOUT], &names[..]].concat();
    let uninstall = [&["uninstall", "--all"], &names[..]].concat();
    let rotate = [&["init", "--rotate", "--key", "p256"], &names[..]].concat();
    let init = [&["init", "--key", "p256"], &names[..]].concat();
    // Only who is killed needs to type it again.
    let again = |args: &[&str], when: &str, fate: Fate, run: &Run| {
        if fate != Kill {
            assert_eq!(run.code, Some(0), "{when}");
            return;
        }
        let again = plain(args);
        // All that is left of a rotation may be its second command.
        let rotated = args == rotate && again.stderr.contains("--rotate --finish");
        assert!(again.code == Some(0) || rotated, "{when}\nagain: {}", again.stderr);
    };

    let mut stage = Stage { proxy, folder, args: init.clone() };
    let nothing = || direct.delete(&kinds::SECRET, "webhook-secret");
    stage.every(&nothing, &|when, fate, run| {
        again(&init, when, fate, run);
        plain(&[&["init", "--inspect"], &names[..]].concat()).code(0);
    });

    stage.args.clone_from(&install);
    let prepare = || {
        put_secret();
        no_configuration();
    };
    stage.every(&prepare, &|when, fate, run| {
        again(&install, when, fate, run);
        assert!(configuration().is_some(), "{when}");
    });

    stage.args.clone_from(&rotate);
    let prepare = || {
        put_secret();
        plain(&install).code(0);
    };
    let trusted = |when: &str| {
        // Whatever serves, the configuration trusts it.
        let secret = direct.get(&kinds::SECRET, "webhook-secret").unwrap();
        let data = |key: &str| STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
        let bundle = configuration().unwrap();
        let bundle = bundle["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap();
        let bundle = STANDARD.decode(bundle).unwrap();
        let now = jiff::Timestamp::now().as_second();
        let host = format!("{name}.{name}.svc");
        let (crt, key) = (data("server.crt"), data("server.key"));
        let verified = pki::verify(&bundle, &crt, Some(&key), &host, now);
        assert!(verified.is_ok(), "{when}: {verified:?}");
    };
    stage.every(&prepare, &|when, fate, run| {
        trusted(when);
        again(&rotate, when, fate, run);
        trusted(when);
        plain(&[&["init", "--rotate", "--finish", "--force"], &names[..]].concat()).code(0);
        trusted(when);
    });

    // The end of a rotation, each time from the same beginning.
    prepare();
    plain(&rotate).code(0);
    let begun = [
        (&kinds::SECRET, direct.get(&kinds::SECRET, "webhook-secret").unwrap()),
        (&kinds::CONFIGURATION, configuration().unwrap()),
    ];
    let rotated = || {
        for (kind, object) in &begun {
            direct.delete(kind, object["metadata"]["name"].as_str().unwrap());
            direct
                .runtime
                .block_on(
                    direct.client.create(&without_server_fields(object), kinds::WriteMode::Persist),
                )
                .unwrap();
        }
    };
    let finish = [&["init", "--rotate", "--finish", "--force"], &names[..]].concat();
    stage.args.clone_from(&finish);
    stage.every(&rotated, &|when, fate, run| {
        trusted(when);
        again(&finish, when, fate, run);
        trusted(when);
        let bundle = configuration().unwrap();
        let bundle = bundle["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap();
        assert_eq!(pki::split(&STANDARD.decode(bundle).unwrap()).len(), 1, "{when}");
        let secret = direct.get(&kinds::SECRET, "webhook-secret").unwrap();
        assert_eq!(secret["data"]["ca.crt"], bundle, "{when}");
    });

    stage.args.clone_from(&uninstall);
    stage.every(&prepare, &|when, fate, run| {
        again(&uninstall, when, fate, run);
        assert!(configuration().is_none(), "{when}");
        assert!(direct.get(&kinds::SECRET, "webhook-secret").is_none(), "{when}");
    });
}

/// What needs no server: a policy and its binding, both or what the next command makes both of.
#[test]
fn policy_commands_continue_wherever_they_were_cut() {
    let cluster = require!(cluster_with_policies());
    let name = "cut-policy";
    let _namespace = cluster.namespace(name);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let direct = Direct::new(&cluster, name);
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let install = [&["install", "--mode", "policy"], &names[..]].concat();
    let uninstall = [&["uninstall", "--all"], &names[..]].concat();
    let both = [&kinds::POLICY_BINDING, &kinds::POLICY];
    let gone = || both.iter().for_each(|kind| direct.delete(kind, name));
    let plain = |args: &[&str]| cluster.diyadm(folder, args).code(0);
    let again = |args: &[&str], when: &str, fate: Fate, run: &Run| {
        if fate == Kill {
            plain(args);
        } else {
            assert_eq!(run.code, Some(0), "{when}\n{}", run.stderr);
        }
    };
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let mut stage = Stage { proxy, folder, args: install.clone() };
    stage.every(&gone, &|when, fate, run| {
        again(&install, when, fate, run);
        assert!(both.iter().all(|kind| direct.get(kind, name).is_some()), "{when}");
    });
    stage.args.clone_from(&uninstall);
    let prepare = || drop(plain(&install));
    stage.every(&prepare, &|when, fate, run| {
        again(&uninstall, when, fate, run);
        assert!(both.iter().all(|kind| direct.get(kind, name).is_none()), "{when}");
    });
}
