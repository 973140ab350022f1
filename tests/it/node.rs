//! The node of the tests itself: Pods run, are reached, restarted and ended as on any other node,
//! and nothing is left when it stops.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::Stdio,
};

use serde_json::json;

use super::rig::{Held, Node, Workspace, get, java, node, wait_for, wait_until};

/// Idles, and ends with status 7 on SIGTERM.
const IDLE: &str = "trap 'exit 7' TERM; while :; do sleep 1 & wait $!; done";

fn address(node: &Node, namespace: &str, pod: &str) -> String {
    node.get(namespace, &format!("pod/{pod}"))["status"]["podIP"].as_str().unwrap().to_owned()
}

#[test]
fn rig_node_serves_exec_logs_and_port_forward() {
    let node = require!(Workspace::on_node("rig-entered"));
    let name = node.name;
    node.load(&["busybox", "bare"]);
    let talk = "echo started; while read -r line; do echo got $line; done";
    node.pod(name, "pod", &json!({ "image": "busybox:rig", "command": ["sh", "-c", IDLE] }));
    let talking = json!({ "image": "busybox:rig", "command": ["sh", "-c", talk], "stdin": true });
    node.pod(name, "talk", &talking);
    node.pod(name, "bare", &json!({ "image": "bare:rig" }));

    let cat = ["-n", name, "exec", "-i", "pod", "--", "sh", "-c", "cat; echo err >&2; exit 3"];
    let run = node.try_kubectl(&cat, "in and out").code(3).stderr_has("err");
    assert_eq!(run.stdout, "in and out");
    let mut attach = node.kubectl_command(&["-n", name, "attach", "-i", "-q", "talk"]);
    let mut attach = attach.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    attach.stdin.as_mut().unwrap().write_all(b"a line\n").unwrap();
    let mut said = BufReader::new(attach.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "got a line"));
    attach.kill().unwrap();
    attach.wait().unwrap();
    let logs = node.kubectl(&["-n", name, "logs", "talk"], "");
    assert_eq!(logs, "started\ngot a line\n");

    // One program and no shell.
    node.try_kubectl(&["-n", name, "exec", "bare", "--", "sh"], "").code(1).stderr_has("sh");
    let direct = get(&format!("{}:8080", address(&node, name, "bare"))).unwrap();
    assert!(direct.ends_with("ok\n"), "{direct}");
    let mut forward = node.kubectl_command(&["-n", name, "port-forward", "pod/bare", ":8080"]);
    let mut forward = forward.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // Kept open: it says more, and dies of it where nobody reads.
    let mut said = BufReader::new(forward.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    let port = line.split(" -> ").next().unwrap().rsplit(':').next().unwrap();
    let forwarded = get(&format!("127.0.0.1:{port}"));
    forward.kill().unwrap();
    forward.wait().unwrap();
    assert_eq!(forwarded.unwrap(), direct);
}

#[test]
fn rig_pod_reaches_the_api_server_and_no_other_machine() {
    let node = require!(Workspace::on_node("rig-reaches"));
    let name = node.name;
    node.load(&["busybox"]);
    node.pod(name, "pod", &json!({ "image": "busybox:rig", "command": ["sh", "-c", IDLE] }));
    let sh =
        |script: &str| node.try_kubectl(&["-n", name, "exec", "pod", "--", "sh", "-c", script], "");
    sh("nc $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT < /dev/null").code(0);
    sh("test -s /var/run/secrets/kubernetes.io/serviceaccount/token").code(0);
    // Of RFC 5737: it is nobody's address.
    sh("nc 192.0.2.1 80 < /dev/null").code(1).stderr_has("unreachable");
}

#[test]
fn rig_node_obeys_probes_limits_and_signals() {
    let node = require!(Workspace::on_node("rig-kept"));
    let name = node.name;
    node.load(&["busybox"]);
    let probe = json!({
        "exec": { "command": ["test", "!", "-e", "/tmp/sick"] },
        "periodSeconds": 1,
        "failureThreshold": 1,
        "terminationGracePeriodSeconds": 1,
    });
    let deaf = "while :; do sleep 1; done";
    for (pod, script) in [("hears", IDLE), ("deaf", deaf)] {
        let command = ["sh", "-c", script];
        let image = "busybox:rig";
        let container = json!({ "image": image, "command": command, "livenessProbe": probe });
        node.pod(name, pod, &container);
        node.kubectl(&["-n", name, "exec", pod, "--", "touch", "/tmp/sick"], "");
    }
    let eats = json!({
        "image": "busybox:rig",
        "command": ["sh", "-c", "sleep 1; tail /dev/zero"],
        "resources": { "limits": { "memory": "16Mi" } },
    });
    node.pod(name, "eats", &eats);

    let last = |pod: &'static str| {
        wait_for(
            pod,
            || node.get(name, &format!("pod/{pod}"))["status"]["containerStatuses"][0].clone(),
            |status| status["restartCount"] != 0 && status["lastState"]["terminated"].is_object(),
        )["lastState"]["terminated"]
            .clone()
    };
    assert_eq!(last("hears")["exitCode"], 7, "SIGTERM comes first");
    assert_eq!(last("deaf")["exitCode"], 137, "SIGKILL comes after the grace period");
    assert_eq!(last("eats")["reason"], "OOMKilled");
    let events = node.kubectl(&["-n", name, "get", "events", "-o", "name"], "");
    assert!(events.contains("event/hears"), "{events}");
}

#[test]
fn rig_enforces_pod_security_by_namespace_label() {
    let node = require!(Workspace::on_node("rig-restricted"));
    let name = node.name;
    node.load(&["busybox"]);
    let level = "pod-security.kubernetes.io/enforce=restricted";
    node.kubectl(&["label", "namespace", name, level], "");
    let run = ["-n", name, "run", "lax", "--image=busybox:rig", "--", "sleep", "9"];
    node.try_kubectl(&run, "").code(1).stderr_has("violates PodSecurity");
    let restricted = json!({
        "image": "busybox:rig",
        "command": ["sh", "-c", IDLE],
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 1000,
            "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "seccompProfile": { "type": "RuntimeDefault" },
        },
    });
    node.pod(name, "strict", &restricted);
    let script = "id -u; touch /x";
    let exec = ["-n", name, "exec", "strict", "--", "sh", "-c", script];
    let run = node.try_kubectl(&exec, "").code(1).stderr_has("Read-only");
    assert_eq!(run.stdout, "1000\n");
}

#[test]
fn rig_node_runs_java() {
    let node = require!(Workspace::on_node("rig-java"));
    require!(java());
    let name = node.name;
    node.load(&["jre", "jre-bare"]);
    node.pod(name, "pod", &json!({ "image": "jre:rig", "command": ["sh", "-c", IDLE] }));
    let version = ["-n", name, "exec", "pod", "--", "java", "-version"];
    node.try_kubectl(&version, "").code(0).stderr_has("Server VM");

    // Without a shell.
    let image = ["--image=jre-bare:rig", "--image-pull-policy=IfNotPresent", "--restart=Never"];
    let run = [&["-n", name, "run", "bare"], &image[..], &["--", "-version"]].concat();
    node.kubectl(&run, "");
    node.wait(name, "pod/bare", "jsonpath={.status.phase}=Succeeded");
    let logs = node.kubectl(&["-n", name, "logs", "bare"], "");
    assert!(logs.contains("Server VM"), "{logs}");
}

#[test]
fn webhook_runs_from_the_image_of_the_dockerfile() {
    let node = require!(Workspace::on_node("rig-webhook"));
    let (name, folder) = (node.name, node.folder());
    node.load(&["webhook", "empty-container"]);
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| node.diyadm(folder, &[args, &names].concat());

    run(&["install", "--failure-policy", "Fail"]).code(0).stderr_has("start empty");
    run(&["verify"]).code(0);
    run(&["check", "--probe"]).code(0);
    // An upgrade to an image that cannot be pulled fails, and the old server keeps serving.
    let install = ["install", "--failure-policy", "Fail"];
    let image = "nowhere.invalid/webhook:1";
    let upgrade = [&install[..], &["--webhook-image", image, "--timeout", "5"]].concat();
    wait_until("the node has tried to pull the image", || {
        let failed = run(&upgrade).code(1).stderr_has("The old one keeps serving");
        failed.stderr.contains(image) && failed.stderr.contains("with --webhook-image")
    });
    run(&["verify", "--dry-run=server"]).code(0);
    run(&install).code(0).stderr_has(&format!("deployment/{name} configured"));
    run(&["verify", "--dry-run=server"]).code(0);
    // What the webhook emptied runs, and has the empty container's image and command.
    let test = diyadm::webhook::manifests::test_deployment(name).unwrap();
    node.kubectl(&["create", "-f", "-"], &test.to_string());
    node.wait(name, "deployment/test", "condition=Available");
    let processes = ["-n", name, "exec", "deployment/test", "--", "cat", "/proc/1/cmdline"];
    let first = node.kubectl(&processes, "");
    assert_eq!(first, "/diyadm-agent\0");
    run(&["uninstall", "--all"]).code(0);
    let left = ["-n", name, "get", "deployment", name, "--ignore-not-found"];
    assert_eq!(node.kubectl(&left, ""), "");
}

#[test]
fn edited_manifest_restarts_the_static_api_server() {
    let beside = require!(node());
    let cluster = Held::up(&beside, &["--static-apiserver"]);
    let what = "pod/kube-apiserver-rig";
    cluster.wait("kube-system", what, "condition=Ready");
    let manifest = cluster.folder().join("node/manifests/kube-apiserver.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    let plugins = "--enable-admission-plugins=NodeRestriction";
    assert!(text.contains(&format!("{plugins}\n")), "as kubeadm writes it: {text}");

    // A flag whose effect is seen in what a Pod is created as.
    let run = ["run", "x", "--image=x", "--image-pull-policy=Never", "--dry-run=server", "-o"];
    let policy = [&run[..], &["jsonpath={.spec.containers[0].imagePullPolicy}"]].concat();
    let look = || {
        let run = cluster.try_kubectl(&policy, "");
        json!(format!("{}{}", run.stdout, run.stderr))
    };
    wait_for("the image pull policy", look, |policy| policy == "Never");
    let edited = text.replace(plugins, &format!("{plugins},AlwaysPullImages"));
    fs::write(&manifest, edited).unwrap();
    wait_for("the image pull policy", look, |policy| policy == "Always");
}

#[test]
fn killed_rig_leaves_nothing() {
    let beside = require!(node());
    let mut cluster = Held::up(&beside, &["--node"]);
    cluster.load(&["busybox"]);
    let command = json!(["sh", "-c", IDLE]);
    cluster.pod("default", "pod", &json!({ "image": "busybox:rig", "command": command }));
    let link = fs::read_to_string(cluster.folder().join("node/link")).unwrap();
    let interface = Path::new("/sys/class/net").join(&link);
    assert!(interface.exists(), "{link}");
    let folder = cluster.folder().display().to_string();

    cluster.kill();
    let running = || json!(processes_of(&folder));
    wait_for("what runs", running, |running| running == &json!([]));
    wait_for("the interface", || json!(interface.exists()), |exists| exists == &json!(false));
    // What the kernel leaves is found again by its folder.
    let mut down = beside.xtask();
    down.args(["cluster", "--in", &folder, "down"]);
    assert!(down.status().unwrap().success());
    assert!(!Path::new(&folder).exists());
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(&folder), "{mounts}");
    let cgroups = mounts.lines().filter(|line| line.contains(" cgroup"));
    for root in cgroups.filter_map(|line| line.split(' ').nth(1)) {
        assert!(!Path::new(root).join(&link).exists(), "{root}/{link}");
    }
}

/// The command lines that name a folder, but for this test's own.
fn processes_of(folder: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let lines = processes.filter_map(|process| fs::read(process.join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(folder)).collect()
}
