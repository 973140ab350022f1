//! What the API server's flags and variables mean.

use std::{env, process::Command};

use diyadm::webhook::checks::{Level, static_pod};

use super::{BOTH, KUBEADM, NODE};
use crate::rig::Run;

/// Which lists of plugins the API server starts with is asked of it: it names what is wrong with
/// its flags before it does anything else.
#[test]
fn plugin_lists_that_the_api_server_refuses_are_findings() {
    let program = env::var("DIYADM_TEST_APISERVER");
    let program = require!(program, "no kube-apiserver of our own: run `cargo xtask test`");
    let list = |value: &str| vec![format!("--enable-admission-plugins={value}")];
    for flags in [
        list("NodeRestriction,MutatingAdmissionWebhook"),
        list(&format!("NodeRestriction, {BOTH}")),
        list(&format!("NodeRestriction,{BOTH},")),
        list(&format!("\"NodeRestriction,{BOTH}\"")),
        list(&format!("\"NodeRestriction\",{BOTH}")),
        list(&format!("'NodeRestriction',{BOTH}")),
        list("noderestriction,mutatingAdmissionWebhook"),
        list(&format!("NodeRestriction\"{BOTH}")),
        list("NodeRestriction;MutatingAdmissionWebhook"),
        list(""),
        vec![format!("--enable_admission_plugins={BOTH}")],
        vec!["--disable_admission_plugins=MutatingAdmissionwebhook".to_owned()],
        vec![format!("--enable-admission-plugins={BOTH}"), "--disable-admission-plugins=".into()],
        vec!["--enable-admission-plugins=A".into(), "--disable-admission-plugins=A".into()],
        vec![
            "--enable-admission-plugins=NodeRestriction".into(),
            "--disable_admission_plugins=NodeRestriction".into(),
        ],
        vec![format!("--admission-control={BOTH}"), format!("--enable-admission-plugins={BOTH}")],
        vec!["--runtime-config=api/all=false".into()],
        vec!["--runtime-config=api/all=false,v1=true".into()],
    ] {
        let run = Run::of(Command::new(&program).args(&flags), "");
        let words = ["is unknown", "overlapped", "mutually exclusive", "invalid argument"];
        let only = "invalid runtime-config";
        let refused =
            words.iter().any(|word| run.stderr.contains(word)) || run.stderr.contains(only);
        let items: String =
            flags.iter().map(|f| format!("\n    - '{}'", f.replace('\'', "''"))).collect();
        let text = KUBEADM.replace(&format!("\n    - {NODE}"), &items);
        let findings = static_pod::findings(&text).unwrap();
        let fails = findings.iter().any(|f| f.seen.contains("does not start"))
            || findings.iter().any(|f| f.seen.contains("names \"A\""));
        assert_eq!(fails, refused, "{flags:?}: {}\n{findings:?}", run.stderr);
    }
}

/// Other flags and variables than the plugins.
#[test]
fn other_flags_are_read_as_by_the_api_server() {
    let with = |flags: &str| KUBEADM.replace(NODE, &format!("{NODE},{BOTH}\n    - {flags}"));
    let v1 = "admissionregistration.k8s.io/v1";
    for (flags, id, level, seen) in [
        ("--runtime-config=api/ga=false", "registration", Level::Failed, "has api/ga=false"),
        ("--runtime_config=api/all=false,v1=true", "registration", Level::Failed, "api/all=false"),
        (
            &format!("--runtime-config=api/all=false,{v1}=true"),
            "registration",
            Level::Ok,
            "no flag",
        ),
        (&format!("--runtime-config={v1}=0"), "registration", Level::Failed, "is not served"),
        (&format!("--runtime-config={v1}"), "registration", Level::Ok, "no flag"),
        (
            &format!("--runtime-config={v1}/mutatingwebhookconfigurations=false"),
            "registration",
            Level::Failed,
            "is not served",
        ),
        ("--runtime-config=api/all=false", "registration", Level::Failed, "does not start"),
        ("--runtime-config=api/beta=true", "registration", Level::Ok, "no flag"),
        ("--feature-gates=MutatingAdmissionPolicy=false", "policy", Level::Ok, "turns"),
        ("--feature-gates=X=true, MutatingAdmissionPolicy=F", "policy", Level::Ok, "turns"),
        ("--feature-gates=AllAlpha=false", "policy", Level::Ok, "on by default"),
        ("--disable-admission-plugins=MutatingAdmissionPolicy", "policy", Level::Ok, "is off"),
    ] {
        let findings = static_pod::findings(&with(flags)).unwrap();
        let found = findings.iter().find(|finding| finding.id == id).unwrap();
        assert!(found.level == level && found.seen.contains(seen), "{flags}: {found:?}");
    }
    let beta = with("--feature-gates=MutatingAdmissionPolicy=true").replace("v1.36.3", "v1.34.0");
    let on = |text: &str| {
        let findings = static_pod::findings(text).unwrap();
        findings.iter().any(|finding| finding.seen.contains("beta and turned on"))
    };
    assert!(!on(&beta), "its API is not served");
    let served =
        "- --runtime-config=admissionregistration.k8s.io/v1beta1=true\n    - --secure-port";
    assert!(on(&beta.replace("- --secure-port", served)));

    let env = |pairs: &[(&str, &str)]| {
        let env: String = pairs
            .iter()
            .map(|(name, value)| format!("    - name: {name}\n      value: \"{value}\"\n"))
            .collect();
        let text = KUBEADM.replace("    image:", &format!("    env:\n{env}    image:"));
        static_pod::findings(&text).unwrap().into_iter().find(|finding| finding.id == "proxy")
    };
    let proxy = ("HTTPS_PROXY", "http://proxy.example:3128");
    let warned = env(&[proxy, ("NO_PROXY", "localhost,10.0.0.0/8")]).unwrap();
    assert!(warned.hint.contains("`localhost,10.0.0.0/8,.svc`"), "{warned:?}");
    assert_eq!(env(&[proxy, ("NO_PROXY", "localhost,.svc")]), None);
    assert_eq!(env(&[]), None);
}
