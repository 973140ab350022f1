//! `cargo xtask bench empty`: 1,000 Deployments emptied and restored by diyadm, beside `kubectl
//! patch` making the same change to one after the other, and to eight at once.
//!
//! The Deployments have no Pods, and nobody waits for a rollout: what is measured is how the
//! changes get to the API server. Every way starts when the controllers have come to rest.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    median,
    mutate::{Spent, count, measure},
};
use crate::{
    cluster::{self, Cluster, Kind, Life},
    interrupt,
};

const WORKLOADS: usize = 1000;
const NAMESPACE: &str = "bench";
/// What an emptied workload carries.
const MARK: &str = "diyadm.io/original";

/// A way to change all of them.
struct Row {
    name: &'static str,
    /// Emptying, then restoring.
    commands: [Command; 2],
    spent: [Vec<Spent>; 2],
}

struct Lab {
    servers: Cluster,
    kubectl: PathBuf,
    diyadm: PathBuf,
    folder: PathBuf,
    workloads: usize,
}

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (rounds, workloads) = match args {
        [] => (3, WORKLOADS),
        // Whether it still works, more than how fast it is.
        [flag] if flag == "--quick" => (1, WORKLOADS / 10),
        _ => bail!("`cargo xtask bench empty [--quick]` takes no other argument"),
    };
    interrupt::watch()?;
    let target = super::release(&[])?;
    let folder = target.join("xtask-bench-empty");
    fs::create_dir_all(&folder)?;
    let servers = Cluster::start(&folder.join("cluster"), Kind::Plain, Life::Held)?;
    let kubectl = cluster::kubectl()?;
    let lab = Lab { servers, kubectl, diyadm: target.join("diyadm"), folder, workloads };
    lab.fill()?;
    lab.patches()?;
    let mut rows = lab.rows();
    for round in 0..rounds {
        for row in &mut rows {
            for (at, (command, wanted)) in row.commands.iter_mut().zip([workloads, 0]).enumerate() {
                interrupt::check()?;
                let spent = measure(command, &lab.folder.join("output"))?;
                let emptied = lab.emptied()?;
                ensure!(emptied == wanted, "{}: {emptied} are empty, not {wanted}", row.name);
                let word = ["emptied", "restored"][at];
                eprintln!("xtask: round {}: {} {word} in {:.1} s", round + 1, row.name, spent.wall);
                row.spent[at].push(spent);
                lab.rest()?;
            }
        }
    }
    print(&rows, workloads, lab.refused()?);
    Ok(ExitCode::SUCCESS)
}

impl Lab {
    fn kubectl(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(self.servers.kubeconfig()).args(args);
        command
    }

    fn diyadm(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.diyadm);
        command.arg("--kubeconfig").arg(self.servers.kubeconfig()).args(args);
        command.args(["-n", NAMESPACE]);
        command
    }

    /// Makes the Deployments.
    fn fill(&self) -> Result<()> {
        read(&mut self.kubectl(&["create", "namespace", NAMESPACE]))?;
        let list = deployments(self.workloads, NAMESPACE);
        let file = self.folder.join("deployments.json");
        fs::write(&file, list.to_string())?;
        read(self.kubectl(&["create", "-f"]).arg(&file))?;
        self.rest()
    }

    /// Writes the changes that diyadm makes to one of them, for kubectl: they are all alike.
    fn patches(&self) -> Result<()> {
        let ask = |what: &str| {
            let args = [what, "deployment/d0", "--dry-run=client", "-o", "patch", "--quiet"];
            let patch = read(&mut self.diyadm(&args))?;
            fs::write(self.patch(what), patch)?;
            anyhow::Ok(())
        };
        ask("empty")?;
        read(&mut self.diyadm(&["empty", "deployment/d0", "--wait=false", "--quiet"]))?;
        ask("restore")?;
        read(&mut self.diyadm(&["restore", "deployment/d0", "--wait=false", "--quiet"]))?;
        self.rest()
    }

    fn patch(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{what}.json"))
    }

    fn rows(&self) -> [Row; 3] {
        let both = ["empty", "restore"];
        let ours = both.map(|what| self.diyadm(&[what, "deployments", "--all", "--wait=false"]));
        let shell = |script: &str, what: &str| {
            let mut command = Command::new("sh");
            let words = [&self.kubectl, &self.servers.kubeconfig(), &self.patch(what)];
            command.arg("-c").arg(script).arg("sh").args(words.map(|path| path as &Path));
            command
        };
        let last = self.workloads - 1;
        let patch = format!(
            "\"$1\" --kubeconfig \"$2\" -n {NAMESPACE} patch --type=json --patch-file \"$3\" \
             deployment"
        );
        let after = format!("for n in $(seq 0 {last}); do {patch} \"d$n\" || exit 1; done");
        let at_once = format!("seq 0 {last} | xargs -P 8 -I N {patch} dN");
        let row = |name, commands| Row { name, commands, spent: [Vec::new(), Vec::new()] };
        [
            row("`diyadm`", ours),
            row("`kubectl patch` in a loop", both.map(|what| shell(&after, what))),
            row("`xargs -P 8 kubectl patch`", both.map(|what| shell(&at_once, what))),
        ]
    }

    fn emptied(&self) -> Result<usize> {
        let get = ["-n", NAMESPACE, "get", "deployments", "-o", "json"];
        let text = read(&mut self.kubectl(&get))?;
        Ok(text.matches(&format!("\"{MARK}\":")).count())
    }

    /// Waits until the controllers have seen everything.
    fn rest(&self) -> Result<()> {
        let path =
            "{range .items[*]}{.metadata.generation}={.status.observedGeneration}{\"\\n\"}{end}";
        let path = format!("jsonpath={path}");
        let get = ["-n", NAMESPACE, "get", "deployments", "-o", &path];
        loop {
            interrupt::check()?;
            let text = read(&mut self.kubectl(&get))?;
            if text.lines().all(|line| line.split_once('=').is_some_and(|(a, b)| a == b)) {
                // What else they do is little.
                thread::sleep(Duration::from_secs(2));
                return Ok(());
            }
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// How often the API server said 429.
    fn refused(&self) -> Result<f64> {
        let text = read(&mut self.kubectl(&["get", "--raw", "/metrics"]))?;
        let lines = text.lines().filter(|line| line.starts_with("apiserver_request_total{"));
        let refused = lines.filter(|line| line.contains("code=\"429\""));
        let numbers = refused.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        // The sum of none is -0.
        Ok(numbers.sum::<f64>() + 0.0)
    }
}

/// Deployments without Pods.
pub(super) fn deployments(count: usize, namespace: &str) -> serde_json::Value {
    let one = |number| {
        let name = format!("d{number}");
        serde_json::json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": name, "namespace": namespace },
            "spec": {
                "replicas": 0,
                "selector": { "matchLabels": { "app": name } },
                "template": {
                    "metadata": { "labels": { "app": name } },
                    "spec": { "containers": [{
                        "name": "app", "image": "registry.example/app:1",
                        "command": ["run"], "args": ["--fast"],
                        "livenessProbe": { "httpGet": { "path": "/live", "port": 80 } },
                        "readinessProbe": { "httpGet": { "path": "/ready", "port": 80 } },
                    }] },
                },
            },
        })
    };
    let items: Vec<_> = (0..count).map(one).collect();
    serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

/// What a command prints; it must succeed.
fn read(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::piped()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {said}", output.status);
    String::from_utf8(output.stdout).context("not UTF-8")
}

fn print(rows: &[Row; 3], workloads: usize, refused: f64) {
    let mut table = String::new();
    let mid = |spent: &[Spent], pick: fn(&Spent) -> f64| {
        median(&mut spent.iter().map(pick).collect::<Vec<_>>())
    };
    for (at, word) in ["emptied", "restored"].into_iter().enumerate() {
        let theirs = mid(&rows[1].spent[at], |spent| spent.wall);
        for row in rows {
            let spent = &row.spent[at];
            let wall = mid(spent, |spent| spent.wall);
            let cpu = mid(spent, |spent| spent.cpu);
            let each = count(workloads) / wall;
            let name = row.name;
            // A String takes it all.
            let _ = writeln!(
                table,
                "| {word} by {name} | {wall:.1} | {cpu:.1} | {each:.0} | {:.3} |",
                wall / theirs
            );
        }
    }
    println!("# {workloads} workloads emptied and restored, beside `kubectl patch`\n");
    println!("Made by `cargo xtask bench empty > docs/bench-empty.md`: {workloads} Deployments");
    println!("with no Pods, --wait=false; medians of {} rounds.\n", rows[0].spent[0].len());
    println!("| | seconds | CPU seconds | a second | of the loop's time |");
    println!("| --- | --- | --- | --- | --- |");
    println!("{table}\nAnswers 429 in all of it: {refused:.0}.");
}
