//! Kubeconfigs, proxies, credential plugins and trust, held against the real kubectl and against
//! what a server sees of both.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::rig::{Run, diyadm, program, skip};

mod cases;
mod certificates;
mod generated;
mod proxies;
mod recorder;

use certificates::Certificates;
use recorder::Recorder;

/// A credential plugin: writes what it was given into the file `$INFO`.
const PLUGIN: &str = "plugin";
const VARIABLES: [&str; 9] = [
    "KUBECONFIG",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// A server, and both programs.
struct Lab {
    kubectl: String,
    certificates: Certificates,
    recorder: Recorder,
}

impl Lab {
    fn new() -> Option<Self> {
        let Ok(kubectl) = env::var("DIYADM_TEST_KUBECTL") else {
            skip("no kubectl: run `cargo xtask test`");
            return None;
        };
        let certificates = Certificates::new();
        let recorder = Recorder::start(&certificates);
        Some(Self { kubectl, certificates, recorder })
    }

    fn kubectl(&self, folder: &Path, variables: &[(&str, String)], args: &[&str]) -> Run {
        run(Command::new(&self.kubectl).current_dir(folder).env("HOME", folder), variables, args)
    }

    fn diyadm(folder: &Path, variables: &[(&str, String)], args: &[&str]) -> Run {
        run(&mut program(folder), variables, args)
    }

    fn ca(&self) -> String {
        STANDARD.encode(self.certificates.intermediate.pem())
    }

    /// Both programs with this cluster and user: whether anything came, which must be the same.
    #[track_caller]
    fn both(
        &self,
        folder: &Path,
        cluster: &Value,
        user: &Value,
        variables: &[(&str, String)],
    ) -> (bool, Run) {
        write_config(folder, cluster, user);
        let args = ["--kubeconfig", "config"];
        let get = ["get", "--raw", "/version"];
        let kubectl = self.kubectl(folder, variables, &[&get[..], &args].concat());
        let theirs = self.recorder.take().0;
        let run = Self::diyadm(folder, variables, &[&["status"][..], &args].concat());
        let ours = self.recorder.take().0;
        assert_eq!(ours, theirs, "kubectl: {}\ndiyadm: {}", kubectl.stderr, run.stderr);
        (!ours.is_empty(), run)
    }
}

fn run(command: &mut Command, variables: &[(&str, String)], args: &[&str]) -> Run {
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    Run::of(command.args(args), "what a plugin must not read")
}

fn config(cluster: &Value, user: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{ "name": "x", "cluster": cluster }],
        "users": [{ "name": "x", "user": user }],
        "contexts": [{ "name": "x", "context": { "cluster": "x", "user": "x" } }],
    })
}

fn write_config(folder: &Path, cluster: &Value, user: &Value) {
    fs::write(folder.join("config"), config(cluster, user).to_string()).unwrap();
}

fn write_plugin(folder: &Path) {
    let (pem, key) = {
        let pair = Certificates::new().client;
        let text = |text: String| serde_json::to_string(&text).unwrap();
        (text(pair.pem()), text(pair.key_pem()))
    };
    let script = format!(
        r#"#!/bin/sh
printf '%s' "$KUBERNETES_EXEC_INFO" > "$INFO"
cat > "$INFO.stdin"
echo run >> "$INFO.runs"
case $1 in
certificate) cat <<END
{{"kind":"ExecCredential","apiVersion":"$VERSION","status":{{"clientCertificateData":{pem},"clientKeyData":{key}}}}}
END
;;
*) echo '{{"kind":"ExecCredential","apiVersion":"'$VERSION'","status":{{"token":"plugin","expirationTimestamp":"2999-01-01T00:00:00Z"}}}}' ;;
esac
"#
    );
    let file = folder.join(PLUGIN);
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

fn exec(command: &str, args: &[&str]) -> Value {
    json!({ "exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "IfAvailable",
        "command": command, "args": args, "installHint": "Get it from\nexample.com",
        "env": [{ "name": "PASSWORD", "value": "s3cret" }],
    } })
}

#[test]
fn refuses_kubeconfigs_that_kubectl_refuses() {
    let lab = require!(Lab::new());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("ca.pem"), lab.certificates.intermediate.pem()).unwrap();
    let pem = STANDARD.encode(lab.certificates.client.pem());
    let other_key = STANDARD.encode(Certificates::new().client.key_pem());
    let server = format!("https://{}", lab.recorder.api());
    let good = json!({ "server": server, "certificate-authority-data": lab.ca() });
    let cluster = |more: Value| {
        let mut cluster = good.clone();
        cluster.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        cluster
    };
    let user = json!({ "token": "a" });
    let is_there = lab.both(folder, &good, &user, &[]).0;
    assert!(is_there, "what is good is not refused");
    for (cluster, user) in [
        (good.clone(), json!({ "token": "a", "username": "b" })),
        (good.clone(), json!({ "client-certificate-data": pem })),
        (good.clone(), json!({ "client-certificate-data": pem, "client-key-data": other_key })),
        (good.clone(), json!({ "client-certificate-data": pem, "client-key": "missing" })),
        (good.clone(), json!({ "as-groups": ["a"] })),
        (good.clone(), json!({ "tokenFile": "missing" })),
        (good.clone(), json!({ "token": 5 })),
        (good.clone(), json!({ "auth-provider": { "name": "gcp" } })),
        (
            good.clone(),
            json!({ "exec": { "command": "sh", "apiVersion": "client.authentication.k8s.io/v1" } }),
        ),
        (
            good.clone(),
            json!({ "exec": { "command": "sh", "apiVersion": "v1alpha1", "interactiveMode": "Never" } }),
        ),
        (cluster(json!({ "insecure-skip-tls-verify": true })), user.clone()),
        (cluster(json!({ "certificate-authority": "ca.pem" })), user.clone()),
        (cluster(json!({ "certificate-authority-data": "AAAA" })), user.clone()),
        (cluster(json!({ "certificate-authority-data": "?" })), user.clone()),
        (cluster(json!({ "proxy-url": lab.recorder.proxy().to_string() })), user.clone()),
        (cluster(json!({ "server": "" })), user.clone()),
        (cluster(json!({ "tls-server-name": "other.test" })), user.clone()),
        (json!({ "server": server }), user),
    ] {
        let (is_there, run) = lab.both(folder, &cluster, &user, &[]);
        assert!(!is_there, "{cluster} {user}");
        assert_eq!(run.code, Some(3), "{cluster} {user}: {}", run.stderr);
        assert!(run.stderr.contains("\nhint: "), "{cluster} {user}: {}", run.stderr);
    }
    fs::create_dir(folder.join("a folder")).unwrap();
    let list = [("KUBECONFIG", "config:a folder".to_owned())];
    let run = Lab::diyadm(folder, &list, &["status"]).code(3);
    assert!(run.stderr.contains("a folder"), "{}", run.stderr);
    lab.kubectl(folder, &list, &["get", "--raw", "/version"]).code(1);
}

#[test]
fn uses_system_trust_without_certificate_authority() {
    let lab = require!(Lab::new());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("certs")).unwrap();
    for file in ["ca.pem", "certs/own"] {
        fs::write(folder.join(file), lab.certificates.intermediate.pem()).unwrap();
    }
    let path = |name: &str| folder.join(name).display().to_string();
    let cluster = json!({ "server": format!("https://{}", lab.recorder.api()) });
    for (variables, is_trusted) in [
        (vec![("SSL_CERT_FILE", path("ca.pem"))], true),
        (vec![("SSL_CERT_DIR", format!("/missing:{}", path("certs")))], true),
        (vec![("SSL_CERT_FILE", path("missing"))], false),
    ] {
        let (is_there, run) = lab.both(folder, &cluster, &json!({ "token": "a" }), &variables);
        assert_eq!(is_there, is_trusted, "{variables:?} {}", run.stderr);
        assert_eq!(run.stderr.contains("is not trusted"), !is_trusted, "{}", run.stderr);
    }
}

#[test]
fn proxy_password_is_sent_to_the_proxy_only() {
    let lab = require!(Lab::new());
    let folder = tempfile::tempdir().unwrap();
    let proxy = lab.recorder.proxy();
    for scheme in ["http", "https", "socks5"] {
        for server in ["http://kube.test", "https://kube.test"] {
            let cluster = json!({
                "server": server, "certificate-authority-data": lab.ca(),
                "proxy-url": format!("{scheme}://me:s3cret@localhost:{}", proxy.port()),
            });
            let user = json!({ "token": "abc" });
            let (is_there, run) = lab.both(folder.path(), &cluster, &user, &[]);
            // Over plain http the authority is not looked at, so nothing trusts an https proxy.
            let is_trusted = scheme != "https" || server.starts_with("https");
            assert_eq!(is_there, is_trusted, "{scheme} {server}: {}", run.stderr);
        }
    }
}

#[test]
fn trims_bearer_token_from_file() {
    let lab = require!(Lab::new());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = format!("https://{}", lab.recorder.api());
    let cluster = json!({ "server": server, "certificate-authority-data": lab.ca() });
    for token in ["abc\n", " abc\r\n", "abc"] {
        write_config(folder, &cluster, &json!({ "token": token }));
        Lab::diyadm(folder, &[], &["status", "--kubeconfig", "config"]);
        let (visitors, _) = lab.recorder.take();
        assert!(
            visitors.iter().all(|v| v.contains(r#""authorization: Bearer abc""#)),
            "{visitors:?}"
        );
        assert_eq!(visitors.len(), 1, "{token:?}");
    }
}

#[test]
fn failing_credential_plugin_runs_once_and_its_stderr_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let cluster = json!({ "server": "https://127.0.0.1:1" });
    for (script, expected) in [
        ("echo s3cret; echo oh >&2; exit 3", "the credential plugin sh failed with exit code 3"),
        ("kill -9 $$", "the credential plugin sh was killed by signal 9"),
        ("echo '{\"status\": {\"token\": \"s3cret\"'", "printed no ExecCredential"),
        ("echo s3cret", "printed no ExecCredential"),
    ] {
        let script = format!("echo run >> runs; cat >> stdin; {script}");
        write_config(folder, &cluster, &exec("sh", &["-c", &script, "s3cret"]));
        let run =
            run(&mut program(folder), &[], &["status", "-v", "--kubeconfig", "config"]).code(3);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        assert_eq!(run.stderr.contains("oh\n"), script.contains("echo oh"), "{}", run.stderr);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("s3cret"), "{}", run.stderr);
        assert_eq!(fs::read_to_string(folder.join("runs")).unwrap(), "run\n", "{script}");
        assert_eq!(fs::read_to_string(folder.join("stdin")).unwrap(), "", "{script}");
        fs::remove_file(folder.join("runs")).unwrap();
    }
    write_config(folder, &cluster, &exec("no-such-plugin", &["s3cret"]));
    let run = diyadm(folder, &["status", "--kubeconfig", "config"]).code(3);
    for part in ["no-such-plugin is not installed", "\nGet it from\nexample.com\n", "\nhint: "] {
        assert!(run.stderr.contains(part), "{part:?}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
    let mut user = exec("sh", &["-c", "true"]);
    user["exec"]["interactiveMode"] = json!("Always");
    write_config(folder, &cluster, &user);
    diyadm(folder, &["status", "--kubeconfig", "config"]).code(3).stderr_has("needs a terminal");
}

#[test]
fn names_replacement_of_removed_auth_provider() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let cluster = json!({ "server": "https://127.0.0.1:1" });
    for (name, instead) in [
        ("gcp", "gke-gcloud-auth-plugin"),
        ("azure", "kubelogin"),
        ("other", "credential plugin"),
        ("oidc", "kubectl get namespaces"),
    ] {
        let token = "e30.eyJleHAiOjF9.s3cret";
        let config = json!({ "access-token": "s3cret", "id-token": token });
        write_config(
            folder,
            &cluster,
            &json!({ "auth-provider": { "name": name, "config": config } }),
        );
        let run = diyadm(folder, &["status", "--kubeconfig", "config"]).code(3).stderr_has(instead);
        assert!(run.stderr.contains(name) && !run.stderr.contains("s3cret"), "{}", run.stderr);
    }
}

#[test]
fn websocket_uses_the_same_proxy_and_credentials_as_requests() {
    let lab = require!(Lab::new());
    let folder = tempfile::tempdir().unwrap();
    let proxy = lab.recorder.proxy();
    for scheme in ["http", "https", "socks5"] {
        let cluster = json!({
            "server": "https://kube.test:6443", "certificate-authority-data": lab.ca(),
            "proxy-url": format!("{scheme}://localhost:{}", proxy.port()),
        });
        write_config(folder.path(), &cluster, &json!({ "token": "abc" }));
        let kubeconfig = Some(folder.path().join("config"));
        let flags = ::diyadm::kubernetes::ConnectionFlags { kubeconfig, ..Default::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(async {
            let cluster = ::diyadm::kubernetes::Cluster::connect(&flags).await.unwrap();
            cluster.dial("default", "pod", 80).await.err().unwrap()
        });
        let (visitors, paths) = lab.recorder.take();
        let visitors: String = visitors.into_iter().collect();
        assert_eq!(paths.len(), 1, "{scheme}: {error:#}");
        assert!(paths[0].contains("/pods/pod/portforward"), "{scheme}: {paths:?}");
        assert!(
            visitors.contains("Bearer abc") && visitors.contains("kube.test:6443"),
            "{visitors}"
        );
    }
}

/// The service account of a Pod, in a mount namespace that has it.
#[test]
fn uses_service_account_in_a_pod_without_kubeconfig() {
    let lab = require!(Lab::new());
    require!(rustix::process::getuid().is_root(), "a mount namespace needs root");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let account = folder.join("serviceaccount");
    fs::create_dir(&account).unwrap();
    fs::write(account.join("token"), "pod-token\n").unwrap();
    fs::write(account.join("namespace"), "team\n").unwrap();
    fs::write(account.join("ca.crt"), lab.certificates.intermediate.pem()).unwrap();
    let script = "mount -t tmpfs none /run && cd /run && mkdir -p secrets/kubernetes.io && \
                  cp -r \"$ACCOUNT\" secrets/kubernetes.io/ && cd \"$HOME\" && exec \"$@\"";
    let mut variables = vec![
        ("ACCOUNT", account.display().to_string()),
        ("HOME", folder.display().to_string()),
        ("KUBERNETES_SERVICE_HOST", "127.0.0.1".to_owned()),
        ("KUBERNETES_SERVICE_PORT", lab.recorder.api().port().to_string()),
    ];
    let inside = |program: &str, variables: &[(&str, String)], args: &[&str]| {
        let args = [&["--mount", "sh", "-c", script, "sh", program][..], args].concat();
        let run = run(&mut Command::new("unshare"), variables, &args);
        let (visitors, paths) = lab.recorder.take();
        (visitors, paths, run)
    };
    let diyadm = env!("CARGO_BIN_EXE_diyadm");
    let (theirs, ..) = inside(&lab.kubectl, &variables, &["get", "--raw", "/version"]);
    let (ours, paths, run) = inside(diyadm, &variables, &["status"]);
    assert_eq!(ours, theirs, "{}", run.stderr);
    assert!(ours.iter().any(|visitor| visitor.contains("pod-token")), "{ours:?} {}", run.stderr);
    assert!(paths.iter().all(|path| path.contains("/namespaces/team/")), "{paths:?}");
    // A kubeconfig counts before it, and its namespace where it has one.
    let server = format!("https://{}", lab.recorder.api());
    let cluster = json!({ "server": server, "certificate-authority-data": lab.ca() });
    write_config(folder, &cluster, &json!({ "token": "abc" }));
    variables.push(("KUBECONFIG", folder.join("config").display().to_string()));
    let (theirs, ..) = inside(&lab.kubectl, &variables, &["get", "--raw", "/version"]);
    let (ours, paths, run) = inside(diyadm, &variables, &["status"]);
    assert_eq!(ours, theirs, "{}", run.stderr);
    assert!(ours.iter().any(|visitor| visitor.contains("Bearer abc")), "{ours:?}");
    assert!(paths.iter().all(|path| path.contains("/namespaces/team/")), "{paths:?}");
}
