//! A project whose application is a script, and `diyadm dev` in it.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use serde_json::json;

use crate::rig::{FOREVER, Node, Workspace, on_terminal};

/// A folder with a diyadm.yaml for `deploy/shop`.
pub(super) struct Project {
    pub(super) folder: tempfile::TempDir,
}

impl Project {
    /// Its Deployment on the node, not emptied, and its folder.
    pub(super) fn deployed(node: &Workspace<Node>) -> Self {
        Self::deploy(node, node.name);
        Self::new(node.name)
    }

    /// Emptied with the agent where it is not; `build` is a copy.
    pub(super) fn new(namespace: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "workload: deploy/shop\n\
             namespace: {namespace}\n\
             empty: {{image: keep, idle: agent}}\n\
             build: mkdir -p out && cp src/app.sh out/new && mv out/new out/app.sh\n\
             watch: [src]\n\
             sync:\n\
             - from: out/app.sh\n\
             \x20 to: /tmp/app/app.sh\n\
             run:\n\
             \x20 name: shop\n\
             \x20 command: [sh, /tmp/app/app.sh]\n\
             \x20 grace: 2\n\
             forward: [\":8080\"]\n"
        );
        fs::write(folder.path().join("diyadm.yaml"), text).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        let project = Self { folder };
        project.version("one");
        project
    }

    /// Saves a new version of the source.
    pub(super) fn version(&self, version: &str) {
        let serve = "exec httpd -f -p 8080 -h /tmp/www";
        let www = format!("mkdir -p /tmp/www; echo {version} > /tmp/www/index.html");
        let script = format!("{www}\necho \"version {version}\"\n{serve}\n");
        fs::write(self.folder.path().join("src/app.sh"), script).unwrap();
    }

    /// Its Deployment, not emptied.
    pub(super) fn deploy(node: &Node, namespace: &str) {
        Self::deploy_image(node, namespace, "busybox");
    }

    /// The same, of one of the rig's images.
    pub(super) fn deploy_image(node: &Node, namespace: &str, image: &str) {
        node.load(&[image, "empty-container", "agent"]);
        let labels = json!({ "app": "shop" });
        let shop = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": "shop" },
            "spec": {
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": { "terminationGracePeriodSeconds": 1, "containers": [{
                        "name": "shop",
                        "image": format!("{image}:rig"),
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["sleep", "1000000"],
                    }] },
                },
            },
        });
        node.create(namespace, &shop);
        node.wait(namespace, "deployment/shop", "condition=Available");
    }
}

/// `diyadm dev`, ended when dropped; its stdout and stderr are one.
pub(super) struct Dev {
    pub(super) child: Child,
    pub(super) keys: Box<dyn Write>,
    heard: Receiver<Vec<u8>>,
    shown: String,
}

impl Dev {
    /// On a terminal of its own.
    pub(super) fn on_terminal(node: &Node, folder: &Path) -> Self {
        let mut dev = node.program(folder);
        dev.arg("dev").current_dir(folder).env_remove("KUBECONFIG").env("HOME", folder);
        let (child, terminal) = on_terminal(&dev);
        let keys = Box::new(terminal.try_clone().unwrap());
        Self::read_output(child, keys, terminal)
    }

    /// Where nobody has a terminal.
    pub(super) fn plain(node: &Node, folder: &Path) -> Self {
        Self::plain_with(node, folder, &[])
    }

    /// The same, with these flags.
    pub(super) fn plain_with(node: &Node, folder: &Path, flags: &[&str]) -> Self {
        let mut sh = Command::new("sh");
        let program = node.program(folder);
        sh.args(["-c", "exec \"$@\" 2>&1", "sh"]).arg(program.get_program());
        sh.args(program.get_args()).arg("dev").args(flags);
        sh.current_dir(folder).env_remove("KUBECONFIG").env("HOME", folder);
        let mut child = sh.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self::read_output(child, Box::new(stdin), stdout)
    }

    fn read_output(
        child: Child,
        keys: Box<dyn Write>,
        mut output: impl Read + Send + 'static,
    ) -> Self {
        let (send, heard) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose program has ended is an error to read.
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                if send.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, heard, shown: String::new() }
    }

    /// Waits until it says this, after what was waited for before; what it said up to and with it.
    #[track_caller]
    pub(super) fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.shown.find(text) {
                return self.shown.drain(..at + text.len()).collect();
            }
            let Ok(heard) = self.heard.recv_timeout(FOREVER) else {
                panic!("{text:?} is not in: {}", self.shown)
            };
            self.shown.push_str(&String::from_utf8_lossy(&heard));
        }
    }

    /// Waits until it says all of these, in whatever order.
    #[track_caller]
    pub(super) fn until_all(&mut self, texts: &[&str]) {
        let mut end = 0;
        for text in texts {
            let said = self.until(text);
            end = end.max(said.len());
            self.shown.insert_str(0, &said);
        }
        self.shown.drain(..end);
    }

    /// The address here that it leads to port 8080.
    #[track_caller]
    pub(super) fn address(&mut self) -> String {
        let said = self.until(" -> shop-");
        let line = said.lines().last().unwrap().trim_end_matches(" -> shop-");
        line.split(", ").next().unwrap().trim().to_owned()
    }

    /// Its exit code, and what it said last.
    pub(super) fn ended(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        while let Ok(heard) = self.heard.recv() {
            self.shown.push_str(&String::from_utf8_lossy(&heard));
        }
        (code, std::mem::take(&mut self.shown))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
            let _ = self.child.wait();
        }
    }
}
