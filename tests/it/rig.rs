//! What every test uses: the program, the API server of `cargo xtask test`, a namespace of its own.

use std::{
    env,
    fmt::Debug,
    fs::OpenOptions,
    io::Write,
    net::{IpAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread::panicking,
    time::{Duration, Instant},
};

mod container_processes;
mod net;
mod node;
mod oracle;
mod reach;
mod second_apiserver;
mod server;
mod terminal;
mod version;
mod workspace;

pub(crate) use self::{
    container_processes::processes,
    net::{Net, slice},
    node::{Held, Node, get, java, node},
    oracle::oracle,
    reach::reaching_cluster,
    second_apiserver::Second,
    server::Server,
    terminal::{on_terminal, on_terminal_of},
    version::{cluster_with, cluster_with_policies, minor_version},
    workspace::Workspace,
};

/// What a test needs: `Some`, `Ok` or `true`.
pub(crate) trait Requirement {
    type Value;

    fn value(self) -> Option<Self::Value>;
}

impl<T> Requirement for Option<T> {
    type Value = T;

    fn value(self) -> Self {
        self
    }
}

impl<T, E> Requirement for Result<T, E> {
    type Value = T;

    fn value(self) -> Option<T> {
        self.ok()
    }
}

impl Requirement for bool {
    type Value = ();

    fn value(self) -> Option<()> {
        self.then_some(())
    }
}

/// The value of a [`Requirement`]. Where it is missing, the test is skipped: the macro reports the
/// reason and returns. Functions that look for a cluster, a node or a program report theirs.
macro_rules! require {
    ($requirement:expr) => {
        match $crate::rig::Requirement::value($requirement) {
            Some(value) => value,
            None => return,
        }
    };
    ($requirement:expr, $($reason:tt)+) => {
        match $crate::rig::Requirement::value($requirement) {
            Some(value) => value,
            None => return $crate::rig::skip(&format!($($reason)+)),
        }
    };
}

/// Says why a test, or a part of one, did not run; under `CI=true` that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(env::var("CI").as_deref() != Ok("true"), "skipped in CI: {why}");
    record(why);
}

/// Writes down why a test did not run; `cargo xtask test` counts it.
fn record(why: &str) {
    if let Some(file) = env::var_os("DIYADM_TEST_SKIPS") {
        let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
        // A test runs in a thread of its name; xtask counts tests, not lines.
        let thread = std::thread::current();
        writeln!(file, "{}: {why}", thread.name().unwrap_or("a thread without a name")).unwrap();
    }
    eprintln!("skipped: {why}");
}

/// What a program left behind.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Runs it to its end, with `stdin` as its input.
    pub(crate) fn of(command: &mut Command, stdin: &str) -> Self {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            // A filter writes before it has read everything. A program that does not read its
            // input is no failure here.
            scope.spawn(move || drop(input.write_all(stdin.as_bytes())));
            child.wait_with_output().unwrap()
        });
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Holds the exit code against what is expected.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        let Self { stdout, stderr, .. } = &self;
        assert_eq!(self.code, Some(expected), "stdout: {stdout}\nstderr: {stderr}");
        self
    }

    #[track_caller]
    pub(crate) fn stderr_has(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in: {}", self.stderr);
        self
    }
}

/// The program, run in `folder`.
pub(crate) fn diyadm(folder: &Path, args: &[&str]) -> Run {
    diyadm_reads(folder, args, "")
}

/// The program, run in `folder` with `stdin` as its input.
pub(crate) fn diyadm_reads(folder: &Path, args: &[&str], stdin: &str) -> Run {
    Run::of(program(folder).args(args), stdin)
}

/// The program, to be run in `folder`.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diyadm"));
    // The cluster that the tester is logged in to is not used.
    command.env_remove("KUBECONFIG").env("HOME", folder).current_dir(folder);
    command
}

/// The API server, or `None` where there is none.
pub(crate) fn cluster() -> Option<Cluster> {
    let (kubeconfig, kubectl) =
        (env::var("DIYADM_TEST_KUBECONFIG"), env::var("DIYADM_TEST_KUBECTL"));
    let (Ok(kubeconfig), Ok(kubectl)) = (kubeconfig, kubectl) else {
        skip("no API server: run `cargo xtask test`");
        return None;
    };
    let suffix = env::var("DIYADM_TEST_SUFFIX").map(|suffix| format!("-{suffix}"));
    Some(Cluster { kubeconfig, kubectl, suffix: suffix.unwrap_or_default() })
}

#[derive(Clone)]
pub(crate) struct Cluster {
    kubeconfig: String,
    kubectl: String,
    suffix: String,
}

impl Cluster {
    /// kubectl, with `stdin` as its input; must succeed.
    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str], stdin: &str) -> String {
        self.try_kubectl(args, stdin).code(0).stdout
    }

    /// kubectl, however it ends.
    pub(crate) fn try_kubectl(&self, args: &[&str], stdin: &str) -> Run {
        Run::of(&mut self.kubectl_command(args), stdin)
    }

    /// kubectl, not yet started.
    pub(crate) fn kubectl_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        command
    }

    /// The program, on this cluster, in `folder`.
    pub(crate) fn diyadm(&self, folder: &Path, args: &[&str]) -> Run {
        Run::of(self.program(folder).args(args), "")
    }

    /// The program, to be run on this cluster, in `folder`.
    pub(crate) fn program(&self, folder: &Path) -> Command {
        let mut command = program(folder);
        command.args(["--kubeconfig", &self.kubeconfig]);
        command
    }

    /// A client that keeps its connection, for many requests.
    pub(crate) async fn client(&self) -> ::diyadm::kubernetes::Cluster {
        let kubeconfig = Some(self.kubeconfig.clone().into());
        let flags = ::diyadm::kubernetes::ConnectionFlags { kubeconfig, ..Default::default() };
        ::diyadm::kubernetes::Cluster::connect(&flags).await.unwrap()
    }

    /// `base`, as a name that no other run has used: on a cluster that outlives its tests
    /// (`DIYADM_TEST_CONTEXT`) the last run's namespaces may not be gone yet, and nothing of the
    /// user's is ever met.
    pub(crate) fn name(&self, base: &str) -> &'static str {
        // A few dozen of them, and as handy as the literals that they stand for.
        format!("{base}{}", self.suffix).leak()
    }

    /// The file of its kubeconfig.
    pub(crate) fn kubeconfig(&self) -> &Path {
        Path::new(&self.kubeconfig)
    }

    /// The flags that hints have for this cluster.
    pub(crate) fn flags(&self) -> String {
        format!(" --kubeconfig {}", self.kubeconfig)
    }

    /// A namespace that the test itself, or the program, creates.
    pub(crate) fn unmade(&self, name: &str) -> Namespace {
        Namespace { cluster: self.clone(), name: name.to_owned() }
    }

    /// Creates an object in a namespace.
    #[track_caller]
    pub(crate) fn create(&self, namespace: &str, object: &serde_json::Value) {
        self.kubectl(&["-n", namespace, "create", "-f", "-"], &object.to_string());
    }

    /// An object as JSON.
    #[track_caller]
    pub(crate) fn get(&self, namespace: &str, what: &str) -> serde_json::Value {
        let text = self.kubectl(&["-n", namespace, "get", what, "-o", "json"], "");
        serde_json::from_str(&text).unwrap()
    }

    /// A namespace of the test's own, labelled `KEY=enabled` with its name as the key.
    pub(crate) fn namespace(&self, name: &str) -> Namespace {
        self.kubectl(&["create", "namespace", name], "");
        self.kubectl(&["label", "namespace", name, &format!("{name}=enabled")], "");
        self.unmade(name)
    }
}

/// The real Helm, made where it is missing; `None` where it cannot be.
pub(crate) fn helm() -> Option<String> {
    made(&["helm"])
}

/// A registry of images, made where it is missing; `None` where it cannot be.
pub(crate) fn registry() -> Option<String> {
    made(&["registry"])
}

/// zsh or fish, made where it is missing; `None` where it cannot be.
pub(crate) fn shell(name: &str) -> Option<String> {
    made(&["shell", name])
}

/// The program that a task of xtask makes where it is missing.
fn made(task: &[&str]) -> Option<String> {
    let xtask = env::var("DIYADM_TEST_XTASK").expect("`cargo xtask test` says where it is");
    let run = Run::of(Command::new(xtask).args(task), "");
    if run.code != Some(0) {
        let why = run.stderr.lines().last().unwrap_or_default();
        skip(&format!("no {}: {why}", task.join(" ")));
        return None;
    }
    Some(run.stdout.trim().to_owned())
}

/// Deleted when dropped, with the webhook configuration and the policy of the same name; shows what is in it
/// when the test fails.
pub(crate) struct Namespace {
    cluster: Cluster,
    name: String,
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let show = |args: &[&str]| {
            let run = self.cluster.try_kubectl(args, "");
            format!("{}{}", run.stdout, run.stderr)
        };
        if panicking() {
            // No Secrets: what fails in CI is read by many.
            let kinds = "deployments,statefulsets,pods,services,endpointslices,events";
            eprintln!("{}", show(&["-n", &self.name, "get", kinds, "-o", "yaml"]));
            let webhook = format!("mutatingwebhookconfiguration/{}", self.name);
            let webhook = ["get", &webhook, "--ignore-not-found", "-o", "yaml"];
            eprintln!("{}", show(&[&webhook[..], &["--show-managed-fields"]].concat()));
        }
        // Each by itself: kubectl deletes nothing where the API server lacks one of the kinds.
        for kind in [
            "mutatingwebhookconfigurations",
            "mutatingadmissionpolicybindings",
            "mutatingadmissionpolicies",
        ] {
            show(&["delete", kind, &self.name, "--ignore-not-found"]);
        }
        show(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}

/// How long a test waits for what must happen, however slow the machine is.
pub(crate) const FOREVER: Duration = Duration::from_secs(300);
/// [`FOREVER`], as the value of a flag `--timeout`.
pub(crate) const TIMEOUT: &str = "300";

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, &mut holds, |holds| *holds);
}

/// Reads a value until it is the wanted one; panics with the last one.
#[track_caller]
pub(crate) fn wait_for<T: Debug>(
    what: &str,
    mut read: impl FnMut() -> T,
    is_wanted: impl Fn(&T) -> bool,
) -> T {
    let began = Instant::now();
    loop {
        let value = read();
        if is_wanted(&value) {
            return value;
        }
        assert!(began.elapsed() < FOREVER, "waited in vain: {what}; last seen: {value:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A TCP port that nothing listens on. It is below those that the kernel gives to outgoing
/// connections, so none of them takes it before the caller's program listens.
pub(crate) fn free_port(address: IpAddr) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let end: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let width = u32::from(end - FIRST_PORT);
    let free = (0..width).find_map(|_| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(97).wrapping_add(number) % width;
        let port = FIRST_PORT + u16::try_from(offset).unwrap();
        TcpListener::bind((address, port)).ok().map(|_| port)
    });
    free.expect("a port is free")
}

const FIRST_PORT: u16 = 10_000;
