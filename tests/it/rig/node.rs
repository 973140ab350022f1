//! The node of `cargo xtask test`: Pods of namespaces that ask for it really run there.
//!
//! Other namespaces' Pods stay pending, as without a node: its taint keeps them off.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use serde_json::json;

use super::{Cluster, Namespace, Run, TIMEOUT, cluster, record, skip, version::asked_for};

/// The node, ready, or `None` where there is none.
pub(crate) fn node() -> Option<Node> {
    if asked_for().is_some() {
        // Another run's: this one has an API server of another version, and nothing else.
        record("not meant: it needs a node");
        return None;
    }
    let cluster = cluster()?;
    let (Ok(folder), Ok(xtask)) = (env::var("DIYADM_TEST_NODE"), env::var("DIYADM_TEST_XTASK"))
    else {
        let why = env::var("DIYADM_TEST_NO_NODE");
        skip(&format!("no node: {}", why.as_deref().unwrap_or("run `cargo xtask test` as root")));
        return None;
    };
    let node = Node { cluster, folder: folder.into(), xtask };
    node.wait_until_ready();
    Some(node)
}

/// Whether there is a JDK of which images with Java are made; skips where there is none.
pub(crate) fn java() -> bool {
    let there = Command::new("jlink").arg("--version").output().is_ok();
    if !there {
        skip("no Java: it takes a JDK with jlink on PATH");
    }
    there
}

/// The answer to a GET of `/`.
pub(crate) fn get(address: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The annotation of a namespace whose Pods tolerate the node's taint.
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/defaultTolerations";
const TOLERATED: &str = r#"[{"key":"diyadm.io/rig","operator":"Exists"}]"#;

/// A cluster with a node.
pub(crate) struct Node {
    cluster: Cluster,
    folder: PathBuf,
    xtask: String,
}

impl Deref for Node {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Node {
    /// `cargo xtask`.
    pub(crate) fn xtask(&self) -> Command {
        Command::new(&self.xtask)
    }

    /// Gives the node images of `cargo xtask image`, made where they are missing.
    #[track_caller]
    pub(crate) fn load(&self, images: &[&str]) {
        // containerd refuses an image that another test imports at the same time.
        static LOADING: Mutex<()> = Mutex::new(());
        let _one = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut xtask = self.xtask();
        xtask.args(["cluster", "--in"]).arg(&self.folder).arg("load").args(images);
        Run::of(&mut xtask, "").code(0);
    }

    /// A program in the node's network, where it has a loopback address of its own.
    pub(crate) fn in_network(&self, program: &str) -> Command {
        let first = std::fs::read_to_string(self.folder.join("node/init")).unwrap();
        let mut command = Command::new("nsenter");
        command.args(["--target", first.trim(), "--net", "--", program]);
        command
    }

    /// containerd's client, on the node.
    #[track_caller]
    pub(crate) fn ctr(&self, args: &[&str]) {
        let mut xtask = self.xtask();
        xtask.args(["cluster", "--in"]).arg(&self.folder).arg("ctr").args(args);
        Run::of(&mut xtask, "").code(0);
    }

    /// zipkin's jar, as Maven brings it.
    #[track_caller]
    pub(crate) fn zipkin(&self) -> String {
        self.printed("jar")
    }

    #[track_caller]
    fn printed(&self, task: &str) -> String {
        let run = Run::of(self.xtask().arg(task), "").code(0);
        run.stdout.trim().to_owned()
    }

    /// As [`Cluster::namespace`], and its Pods run.
    #[track_caller]
    pub(crate) fn namespace(&self, name: &str) -> Namespace {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": { name: "enabled" },
                "annotations": { TOLERATIONS: TOLERATED },
            },
        });
        self.kubectl(&["create", "-f", "-"], &namespace.to_string());
        self.unmade(name)
    }

    /// Lets the Pods of a namespace that is there already run.
    #[track_caller]
    pub(crate) fn tolerate(&self, namespace: &str) {
        let annotation = format!("{TOLERATIONS}={TOLERATED}");
        self.kubectl(&["annotate", "namespace", namespace, &annotation], "");
    }

    /// A Pod of one container, ready. `spec` is merged into its container.
    #[track_caller]
    pub(crate) fn pod(&self, namespace: &str, name: &str, spec: &serde_json::Value) {
        let mut container = json!({ "name": name, "imagePullPolicy": "IfNotPresent" });
        let all = container.as_object_mut().unwrap();
        all.extend(spec.as_object().unwrap().clone());
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name, "namespace": namespace, "labels": { "app": name } },
            "spec": { "containers": [container], "terminationGracePeriodSeconds": 1 },
        });
        self.kubectl(&["create", "-f", "-"], &pod.to_string());
        self.wait(namespace, &format!("pod/{name}"), "condition=Ready");
    }

    /// Waits as `kubectl wait --for`; says what the namespace shows where it takes too long.
    #[track_caller]
    pub(crate) fn wait(&self, namespace: &str, what: &str, until: &str) {
        let wait = [
            "-n",
            namespace,
            "wait",
            what,
            &format!("--for={until}"),
            &format!("--timeout={TIMEOUT}s"),
        ];
        let run = self.try_kubectl(&wait, "");
        if run.code != Some(0) {
            let pods = self.try_kubectl(&["-n", namespace, "describe", "pods"], "").stdout;
            panic!("{what} is not {until}: {}\n{pods}", run.stderr);
        }
    }

    fn wait_until_ready(&self) {
        // The kubelet may not have registered it yet.
        self.wait("default", "node/rig", "create");
        self.wait("default", "node/rig", "condition=Ready");
    }
}

/// Another cluster with a node, for what cannot be done to the one that all tests use. Gone when
/// dropped.
pub(crate) struct Held {
    child: Child,
    node: Node,
    _scratch: tempfile::TempDir,
}

impl Held {
    /// `cargo xtask cluster up --held` with flags.
    #[track_caller]
    pub(crate) fn up(beside: &Node, flags: &[&str]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("cluster");
        let mut xtask = beside.xtask();
        xtask.args(["cluster", "--in"]).arg(&folder).args(["up", "--held"]).args(flags);
        let mut child = xtask.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut kubeconfig = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut kubeconfig).unwrap();
        assert!(!kubeconfig.is_empty(), "it said why on stderr");
        let cluster = Cluster {
            kubeconfig: kubeconfig.trim().to_owned(),
            kubectl: beside.cluster.kubectl.clone(),
            suffix: String::new(),
        };
        let node = Node { cluster, folder, xtask: beside.xtask.clone() };
        let held = Self { child, node, _scratch: scratch };
        held.wait_until_ready();
        held
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.node.folder
    }

    /// Ends its holder as nobody would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Deref for Held {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The end of its input is its end.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
