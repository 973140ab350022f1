//! `diyadm verify --offline`: all steps from csr.conf to an emptied workload on this machine, with
//! the real TLS server and a client that trusts the same CAs as an API server.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use json_patch::Patch;
use serde_json::{Value, json};

use super::client::Client;
use crate::{
    exit::{self, Failure, Topic},
    kinds::{self, DEPLOYMENT, Kind},
    operations::{
        certificates, check, files,
        flags::{EmptyingFlags, render::WebhookFlags, verify::VerifyArgs},
        webhook_names, webhook_settings,
    },
    report::ReportFormat,
    ui::terminal::Terminal,
    webhook::{
        checks::Finding,
        manifests::{self, Settings},
        server::{Bound, Options, Tls},
    },
    workload::{self, KEEP, LABEL, Rules},
};

/// Runs the steps; returns whether all have succeeded. They and their hints are printed.
pub(crate) fn verify(terminal: &Terminal, args: &VerifyArgs) -> Result<bool> {
    // Before the first step, since an unreadable file is not a failed step.
    webhook_names::check(&args.names)?;
    let subjects = subjects(terminal, args)?;
    let quiet = args.output != ReportFormat::Text;
    let mut steps =
        Steps { terminal: *terminal, quiet, object: String::new(), findings: Vec::new() };
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(prove(args, subjects, &mut steps));
    // Each step has already been printed as text.
    if quiet {
        check::print_findings(terminal, args.output, "diyadm verify", &steps.findings)?;
    }
    Ok(outcome.is_some())
}

/// The steps in order; `None` once one has failed.
async fn prove(args: &VerifyArgs, subjects: Vec<TestWorkload>, steps: &mut Steps) -> Option<()> {
    let names = &args.names;
    let out = steps.terminal;
    let bundle =
        steps.step("certificates", "Fix csr.conf, or use another with --csr-conf FILE.", || {
            let bundle = certificates::issue(&out, names, &args.certificates)?;
            let source = certificates::source(&args.certificates);
            Ok((format!("{source}, created the CA and the certificate in memory"), bundle))
        })?;
    let yaml = steps.step("render", "See `diyadm render --help` for the flags.", || {
        let ways = EmptyingFlags { image: Some(args.image.name()), ..EmptyingFlags::default() };
        let webhook = WebhookFlags { ways, ..WebhookFlags::default() };
        let settings = webhook_settings::settings(names, &webhook)?;
        let settings = Settings { ca_pem: bundle.ca_crt.clone(), ..settings };
        let yaml = manifests::to_yaml(&manifests::webhook(&settings)?)?;
        Ok((format!("rendered webhook.yaml, {} bytes", yaml.len()), yaml))
    })?;
    let bound = steps.step("serve", "Let this user listen on 127.0.0.1.", || {
        let tls = Tls::Pem {
            cert: bundle.server_crt.clone().into_bytes(),
            key: bundle.server_key.clone().into_bytes().into(),
        };
        let bound = Bound::bind(Options {
            listen: ([127, 0, 0, 1], 0).into(),
            health: None,
            tls,
            rules: Rules {
                own: (names.webhook_namespace().to_owned(), names.service.clone()),
                ..Rules::with_image(&args.image.name())
            },
            rules_file: None,
            workers: Some(1),
            max_in_flight: 16,
            max_bytes_in_flight: 16 * 1024 * 1024,
            max_connections: 16,
            drain: Duration::ZERO,
        })?;
        Ok((format!("serving TLS on {}", bound.addr()), bound))
    })?;

    let address = bound.addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(bound.serve(async {
        // Stop if it is sent, or dropped with the sender.
        let _ = stopped.await;
    }));
    let image = args.image.name();
    let (mut findings, proved) = {
        let mut inner = Steps { findings: Vec::new(), ..steps.clone() };
        let work = tokio::task::spawn_blocking(move || {
            let proved = ask(&mut inner, &yaml, address, &subjects, &image);
            (inner.findings, proved)
        });
        work.await.ok()?
    };
    steps.findings.append(&mut findings);
    drop(stop);
    server.await.ok()?.ok()?;
    proved
}

/// Plays the API server's role.
fn ask(
    steps: &mut Steps,
    yaml: &str,
    address: std::net::SocketAddr,
    subjects: &[TestWorkload],
    image: &str,
) -> Option<()> {
    let client = steps.step("trust", "Report this: the rendered YAML is diyadm's own.", || {
        let client = Client::from_yaml(yaml, address)?;
        Ok((format!("trusting only the caBundle of the YAML, for {}", client.host()), client))
    })?;
    let hint = "Report this with the output of `diyadm verify --offline -o json`.";
    for TestWorkload { what, kind, object } in subjects {
        what.clone_into(&mut steps.object);
        let emptied = steps.step("empty", hint, || {
            let emptied = client.review("CREATE", object)?;
            ensure!(workload::is_emptied(&emptied.to_string()), "{what} was not emptied");
            let images = new_images(kind, object, &emptied);
            // A user's workload may choose another image by an annotation.
            let ours = what == TEMPLATE;
            let expected = if image == KEEP { vec![] } else { vec![image] };
            ensure!(!ours || images == expected, "{what} was emptied with {}", images.join(", "));
            let with = match images.as_slice() {
                [] => "in its own image".to_owned(),
                images => format!("with {}", images.join(", ")),
            };
            Ok((format!("{what} was emptied {with}"), emptied))
        })?;
        steps.step("restore", hint, || {
            if !kind.mutable {
                // The API server does not allow to change it: it must be recreated.
                let patch = workload::restore(&emptied.to_string()).patch;
                let mut restored = emptied.clone();
                json_patch::patch(&mut restored, &serde_json::from_str::<Patch>(&patch)?)?;
                ensure!(restored == *object, "the workload in the answer is not the original");
                return Ok((format!("{what} contains its original unchanged"), ()));
            }
            let ask = |object: &Value| {
                let mut asked = object.clone();
                asked["metadata"]["annotations"][LABEL] = json!("disabled");
                asked
            };
            let restored = client.review("UPDATE", &ask(&emptied))?;
            // With any annotations, including null ones and this one: the result is the original
            // with the requested annotation.
            ensure!(restored == ask(object), "the restored workload is not the original");
            Ok((format!("{what}, annotated as disabled, was restored unchanged"), ()))
        })?;
    }
    Some(())
}

const TEMPLATE: &str = "templates/test.yaml";

/// A workload for the test.
struct TestWorkload {
    /// Its name in the steps.
    what: String,
    kind: &'static Kind,
    object: Value,
}

/// The images that emptying sets.
fn new_images<'o>(kind: &Kind, before: &Value, after: &'o Value) -> Vec<&'o str> {
    let pointer = format!("{}/spec/containers", kind.template());
    let containers = |object: &'o Value| object.pointer(&pointer).and_then(Value::as_array);
    let (Some(after), before) = (containers(after), before.pointer(&pointer)) else {
        return Vec::new();
    };
    let changed = after.iter().enumerate().filter(|(at, container)| {
        before.is_none_or(|before| before[*at]["image"] != container["image"])
    });
    changed.filter_map(|(_, container)| container["image"].as_str()).collect()
}

/// templates/test.yaml, or the workloads of the user's manifests.
fn subjects(terminal: &Terminal, args: &VerifyArgs) -> Result<Vec<TestWorkload>> {
    if args.filename.is_empty() {
        let object = manifests::test_deployment(args.names.namespace())?;
        let kind = &DEPLOYMENT;
        return Ok(vec![TestWorkload { what: TEMPLATE.to_owned(), kind, object }]);
    }
    let rules = Rules::with_image(&args.image.name());
    let (mut subjects, mut others) = (Vec::new(), Vec::new());
    for file in files::read_manifests(&args.filename)? {
        for document in file.objects {
            let place = format!("{}:{}", file.name, document.line);
            let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
            let object = document.value;
            let (Some(version), Some(word)) = (text(&object["apiVersion"]), text(&object["kind"]))
            else {
                let what = format!(
                    "{place}: this is not a Kubernetes object: it lacks apiVersion or kind."
                );
                return Err(
                    Failure::usage(Topic::Manifest, what, "Use Kubernetes manifests.").into()
                );
            };
            let name = text(&object["metadata"]["name"]).unwrap_or_else(|| "unnamed".to_owned());
            let what = format!("{}/{name} ({place})", word.to_lowercase());
            // Objects that are opted out, already empty or not workloads are skipped.
            let empty = || workload::empty(&rules, &object.to_string()).is_empty();
            match kinds::find(&version, &word) {
                Some(kind) if !empty() => subjects.push(TestWorkload { what, kind, object }),
                _ => others.push(what),
            }
        }
    }
    if subjects.is_empty() {
        let what = match others.as_slice() {
            [] => "These files contain no object.".to_owned(),
            others => {
                format!("None of these is a workload that can be emptied: {}.", others.join(", "))
            }
        };
        return Err(Failure::usage(
            Topic::Manifest,
            what,
            "Use manifests with Deployments or StatefulSets.",
        )
        .into());
    }
    if !others.is_empty() {
        terminal.say(&format!("Nothing to empty in {}.", others.join(", ")));
    }
    Ok(subjects)
}

/// Measures and prints each step, and stores its finding.
#[derive(Clone)]
struct Steps {
    terminal: Terminal,
    quiet: bool,
    /// The subject of the next steps.
    object: String,
    findings: Vec<Finding>,
}

impl Steps {
    fn step<T>(
        &mut self,
        id: &'static str,
        hint: &str,
        work: impl FnOnce() -> Result<(String, T)>,
    ) -> Option<T> {
        let began = Instant::now();
        let outcome = work();
        let took = began.elapsed();
        match outcome {
            Ok((title, value)) => {
                if !self.quiet {
                    self.terminal.done(&title, Some(took));
                }
                self.findings.push(Finding::ok(id, title).about(&self.object).took(took));
                Some(value)
            }
            Err(error) => {
                let title = format!("{id}: {error:#}");
                // The error's own hint is better than the step's.
                let hint = exit::hint(&error).unwrap_or(hint);
                self.terminal.failed(&title, Some(took), hint);
                self.findings.push(Finding::failed(id, title, hint).about(&self.object).took(took));
                None
            }
        }
    }
}
