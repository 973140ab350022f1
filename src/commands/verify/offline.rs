//! `diyadm verify --offline`: the whole way from csr.conf to an emptied workload on this machine
//! alone, with the real TLS server, and a client that trusts what an API server would trust.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::{
    checks::Finding,
    cli::{Global, Report, render::Webhook, verify::Verify, ways::Ways},
    commands::{
        certificates,
        client::Client,
        files, names, render,
        terminal::{self, Terminal},
    },
    exit::{Code, Failure},
    manifests, report,
    server::{Bound, Options, Tls},
    workload::{self, LABEL, Rules},
};

pub(in crate::commands) fn run(global: &Global, args: &Verify) -> Result<Code> {
    let terminal = Terminal::new(global);
    // Before anything is begun: a file that cannot be read is no step that failed.
    names::label(&args.names)?;
    let subjects = subjects(&terminal, args)?;
    let mut steps = Steps { terminal, quiet: args.output != Report::Text, findings: Vec::new() };
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(prove(args, subjects, &mut steps));
    match args.output {
        Report::Text => {}
        Report::Json => terminal::print(&report::json(&steps.findings))?,
        Report::Junit => terminal::print(&report::junit("diyadm verify", &steps.findings))?,
    }
    // A step that failed has been told already, with what to do.
    Ok(if outcome.is_some() { Code::Done } else { Code::No })
}

/// The steps in order; `None` once one has failed.
async fn prove(args: &Verify, subjects: Vec<Subject>, steps: &mut Steps) -> Option<()> {
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
        let ways = Ways { image: Some(args.image.clone()), ..Ways::default() };
        let webhook = Webhook { ways, ..Webhook::default() };
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
                own: (names.namespace.clone(), names.service.clone()),
                ..Rules::with_image(&args.image)
            },
            rules_file: None,
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
    let (mut findings, proved) = {
        let mut inner = Steps { findings: Vec::new(), ..*steps };
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

/// Acts as the API server would.
fn ask(
    steps: &mut Steps,
    yaml: &str,
    address: std::net::SocketAddr,
    subjects: &[Subject],
    image: &str,
) -> Option<()> {
    let client = steps.step("trust", "Report this: the rendered YAML is diyadm's own.", || {
        let client = Client::from_yaml(yaml, address)?;
        Ok((format!("trusting only the caBundle of the YAML, for {}", client.host()), client))
    })?;
    let hint = "Report this with the output of `diyadm verify --offline -o json`.";
    for Subject { what, object } in subjects {
        let emptied = steps.step("empty", hint, || {
            let emptied = client.review("CREATE", object)?;
            let text = emptied.to_string();
            ensure!(workload::is_emptied(&text), "{what} was not emptied");
            let containers = emptied.pointer("/spec/template/spec/containers");
            let mut images = containers.and_then(Value::as_array).into_iter().flatten();
            let found = images.find_map(|c| c["image"].as_str().filter(|found| *found == image));
            let found = found.with_context(|| format!("{what} has no container with {image}"))?;
            Ok((format!("{what} came back with {found}"), emptied))
        })?;
        steps.step("restore", hint, || {
            let ask = |object: &Value| {
                let mut asked = object.clone();
                asked["metadata"]["annotations"][LABEL] = json!("disabled");
                asked
            };
            let restored = client.review("UPDATE", &ask(&emptied))?;
            // Whatever annotations it had, null ones and this one too: what comes back is the
            // original with the wish in it.
            ensure!(restored == ask(object), "the workload that came back is not the original");
            Ok((format!("{what}, annotated as disabled, came back exactly as it was"), ()))
        })?;
    }
    Some(())
}

/// A workload that is proved with.
struct Subject {
    /// How it is called in the steps.
    what: String,
    object: Value,
}

/// templates/test.yaml, or the workloads of the user's manifests.
fn subjects(terminal: &Terminal, args: &Verify) -> Result<Vec<Subject>> {
    if args.filename.is_empty() {
        let object = manifests::test_deployment(&args.names.namespace)?;
        return Ok(vec![Subject { what: "templates/test.yaml".to_owned(), object }]);
    }
    let rules = Rules::with_image(&args.image);
    let (mut subjects, mut others) = (Vec::new(), Vec::new());
    for file in files::read(&args.filename)? {
        for document in file.objects {
            let text = |value: &Value| value.as_str().unwrap_or("unnamed").to_owned();
            let (kind, meta) = (text(&document.value["kind"]), &document.value["metadata"]);
            let what = format!("{}/{}", kind.to_lowercase(), text(&meta["name"]));
            let what = format!("{what} ({}:{})", file.name, document.line);
            // What says no, or is no workload, has nothing to prove.
            let change = workload::empty(&rules, &document.value.to_string());
            if change.is_empty() {
                others.push(what);
            } else {
                subjects.push(Subject { what, object: document.value });
            }
        }
    }
    if subjects.is_empty() {
        let what = match others.as_slice() {
            [] => "There is no object in these files.".to_owned(),
            others => format!("None of these is a workload to empty: {}.", others.join(", ")),
        };
        return Err(Failure::usage(what, "Name manifests with Deployments or StatefulSets.").into());
    }
    if !others.is_empty() {
        terminal.say(&format!("Nothing to empty in {}.", others.join(", ")));
    }
    Ok(subjects)
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
                self.terminal.failed(&title, Some(took), hint);
                self.findings.push(Finding::failed(id, title, hint).took(took));
                None
            }
        }
    }
}
