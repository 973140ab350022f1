//! `diyadm verify --offline`: the whole way from csr.conf to an emptied workload on this machine
//! alone, with the real TLS server, and a client that trusts what an API server would trust.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::{
    checks::Finding,
    cli::{Global, Report, render::Webhook, verify::Verify},
    commands::{certificates, client::Client, render, terminal::Terminal},
    exit::Code,
    manifests, report,
    server::{Bound, Options, Tls},
    workload::{LABEL, Rules},
};

pub(in crate::commands) fn run(global: &Global, args: &Verify) -> Result<Code> {
    let terminal = Terminal::new(global);
    let mut steps = Steps { terminal, quiet: args.output != Report::Text, findings: Vec::new() };
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(prove(args, &mut steps));
    match args.output {
        Report::Text => {}
        Report::Json => print!("{}", report::json(&steps.findings)),
        Report::Junit => print!("{}", report::junit("diyadm verify", &steps.findings)),
    }
    // A step that failed has been told already, with what to do.
    Ok(if outcome.is_some() { Code::Done } else { Code::No })
}

/// The steps in order; `None` once one has failed.
async fn prove(args: &Verify, steps: &mut Steps) -> Option<()> {
    let names = &args.names;
    let bundle = steps.step(
        "certificates",
        "Mend csr.conf, or name another with --csr-conf FILE.",
        || {
            let bundle = certificates::issue(names, &args.certificates)?;
            let what = "read csr.conf, made the CA and the certificate in memory";
            Ok((what.to_owned(), bundle))
        },
    )?;
    let yaml = steps.step("render", "See `diyadm render --help` for the flags.", || {
        let webhook = Webhook { image: args.image.clone(), ..Webhook::default() };
        let settings = render::settings(names, &webhook, bundle.ca_crt.clone());
        let yaml = manifests::to_yaml(&manifests::webhook(&settings?)?)?;
        Ok((format!("rendered webhook.yaml, {} bytes", yaml.len()), yaml))
    })?;
    let bound = steps.step("serve", "Let this user listen on 127.0.0.1.", || {
        let tls = Tls::Pem {
            cert: bundle.server_crt.clone().into_bytes(),
            key: bundle.server_key.clone().into_bytes(),
        };
        let bound = Bound::bind(Options {
            listen: ([127, 0, 0, 1], 0).into(),
            health: None,
            tls,
            rules: Rules {
                image: args.image.clone(),
                own: (names.namespace.clone(), names.service.clone()),
            },
            workers: Some(1),
            max_in_flight: 16,
            drain: Duration::ZERO,
        })?;
        Ok((format!("serving TLS on {}", bound.addr()), bound))
    })?;

    let address = bound.addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(bound.run(async {
        // Sent, or dropped with the sender: both mean stop.
        let _ = stopped.await;
    }));
    let image = args.image.clone();
    let namespace = names.namespace.clone();
    let (mut findings, proved) = {
        let mut inner = Steps { findings: Vec::new(), ..*steps };
        let work = tokio::task::spawn_blocking(move || {
            let proved = ask(&mut inner, &yaml, address, &namespace, &image);
            (inner.findings, proved)
        });
        work.await.ok()?
    };
    steps.findings.append(&mut findings);
    drop(stop);
    server.await.ok()?.ok()?;
    proved
}

/// Acts as the API server would.
fn ask(
    steps: &mut Steps,
    yaml: &str,
    address: std::net::SocketAddr,
    namespace: &str,
    image: &str,
) -> Option<()> {
    let client = steps.step("trust", "Report this: the rendered YAML is diyadm's own.", || {
        let client = Client::from_yaml(yaml, address)?;
        Ok((format!("trusting only the caBundle of the YAML, for {}", client.host()), client))
    })?;
    let deployment = manifests::test_deployment(namespace).ok()?;
    let hint = "Report this with the output of `diyadm verify --offline -o json`.";
    let emptied = steps.step("empty", hint, || {
        let emptied = client.review("CREATE", &deployment)?;
        let found = emptied.pointer("/spec/template/spec/containers/0/image");
        let found = found.and_then(Value::as_str).unwrap_or("no image");
        ensure!(found == image, "found the image {found}, expected {image}");
        Ok((format!("templates/test.yaml came back with {found}"), emptied))
    })?;
    steps.step("restore", hint, || {
        let mut asked = emptied.clone();
        asked["metadata"]["annotations"][LABEL] = json!("disabled");
        let mut restored = client.review("UPDATE", &asked)?;
        let meta = restored["metadata"].as_object_mut().context("no metadata came back")?;
        let left = meta.remove("annotations").unwrap_or_default();
        ensure!(left == json!({ LABEL: "disabled" }), "annotations were left: {left}");
        ensure!(restored == deployment, "the workload that came back is not the original");
        Ok(("annotated as disabled it came back exactly as it was".to_owned(), ()))
    })
}

/// Times each step, tells of it and keeps the finding.
#[derive(Clone)]
struct Steps {
    terminal: Terminal,
    quiet: bool,
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
        let outcome = work().map_err(|e| anyhow!("{id}: {e:#}"));
        let took = began.elapsed();
        match outcome {
            Ok((title, value)) => {
                if !self.quiet {
                    self.terminal.done(&title, Some(took));
                }
                self.findings.push(Finding::ok(id, title).took(took));
                Some(value)
            }
            Err(error) => {
                let title = format!("{error:#}");
                self.terminal.failed(&title, Some(took));
                self.terminal.say(hint);
                self.findings.push(Finding::failed(id, title, hint).took(took));
                None
            }
        }
    }
}
