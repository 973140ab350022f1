//! A second API server of this run's cluster, with the same certificates, flags of its own and
//! storage of its own. No controller works on it.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{Cluster, free_port, skip, wait_until};

pub(crate) struct Second {
    pub(crate) cluster: Cluster,
    child: Child,
}

impl Second {
    /// Starts it with `flags` more; `None` where the cluster is not this run's.
    pub(crate) fn start(first: &Cluster, folder: &Path, flags: &[&str]) -> Option<Self> {
        let pid = first.kubeconfig().with_file_name("kube-apiserver.pid");
        let Ok(pid) = fs::read_to_string(pid) else {
            skip("the cluster is the user's, and its API server's flags cannot be had");
            return None;
        };
        let line = fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap();
        let mut words: Vec<String> =
            line.trim_end_matches('\0').split('\0').map(ToOwned::to_owned).collect();
        let value = |flag: &str| {
            let word = words.iter().find_map(|word| word.strip_prefix(flag));
            word.unwrap_or_else(|| panic!("it has {flag}")).to_owned()
        };
        let (address, old) = (value("--bind-address="), value("--secure-port="));
        let port = free_port(address.parse().unwrap());
        words.retain(|word| !word.starts_with("--secure-port="));
        words.extend([format!("--secure-port={port}"), "--etcd-prefix=/second".into()]);
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));

        let config = fs::read_to_string(first.kubeconfig()).unwrap();
        let config = config.replace(&format!(":{old}"), &format!(":{port}"));
        let kubeconfig = folder.join("second.kubeconfig");
        fs::write(&kubeconfig, config).unwrap();
        let log = File::create(folder.join("second.log")).unwrap();
        // It ends with this test, however that ends.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let cluster = Cluster {
            kubeconfig: kubeconfig.display().to_string(),
            kubectl: first.kubectl.clone(),
            suffix: first.suffix.clone(),
        };
        let mut second = Self { cluster, child };
        wait_until("the second API server is ready", || {
            let ended = second.child.try_wait().unwrap();
            let log = || fs::read_to_string(folder.join("second.log")).unwrap();
            assert!(ended.is_none(), "it ended: {ended:?}\n{}", log());
            second.cluster.try_kubectl(&["get", "--raw", "/readyz"], "").code == Some(0)
        });
        Some(second)
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // Gone already where it failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
