//! Checks the MutatingWebhookConfiguration: its trust, its rules, and other webhooks.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    CheckSubject, Finding, Observed, again_hint, host, level, own, owner, select, unseen, webhooks,
};
use crate::{
    kinds::{self, Kind, POD, SERVICE, WORKLOADS},
    pki::{self, Fault},
    webhook::checks,
    workload::Level,
};

pub(super) fn findings(observed: &Observed, subject: &CheckSubject, now: i64) -> Vec<Finding> {
    let service = &subject.service;
    let all = match &observed.configurations {
        Ok(all) => all,
        Err(why) => return vec![unseen("configuration", "the webhook configurations", why)],
    };
    let Some(found) = own(observed, subject) else {
        return vec![Finding::failed(
            "configuration",
            format!("there is no MutatingWebhookConfiguration {service}"),
            format!("Install the webhook: `{}`.", subject.install("")),
        )];
    };
    let mut how: Vec<String> = Vec::new();
    for webhook in webhooks(found) {
        let policy = webhook["failurePolicy"].as_str().unwrap_or("Fail");
        let one = format!("{policy}, {} s", webhook["timeoutSeconds"].as_i64().unwrap_or(10));
        if !how.contains(&one) {
            how.push(one);
        }
    }
    let seen = format!("the configuration exists: failurePolicy {}", how.join("; "));
    let mut findings = vec![Finding::ok("configuration", seen)];
    findings.extend(each(found, |webhook| Some(bundle(found, webhook, observed, subject, now))));
    findings.extend(called(found, subject));
    findings.extend(rules(found, observed, subject));
    findings.extend(each(found, |webhook| side_effects(webhook, subject)));
    findings.push(others(found, all, observed, subject));
    findings
}

/// Findings about each webhook: merged if they are alike, and with the name if there is a problem.
fn each(configuration: &Value, look: impl Fn(&Value) -> Option<Finding>) -> Vec<Finding> {
    let mut found: Vec<(Vec<&str>, Finding)> = Vec::new();
    for webhook in webhooks(configuration) {
        let name = webhook["name"].as_str().unwrap_or_default();
        let Some(finding) = look(webhook) else { continue };
        match found.iter_mut().find(|(_, other)| *other == finding) {
            Some((names, _)) => names.push(name),
            None => found.push((vec![name], finding)),
        }
    }
    let named = |(names, finding): (Vec<&str>, Finding)| match finding.level {
        checks::Level::Ok => finding,
        _ => Finding { seen: format!("{}: {}", names.join(", "), finding.seen), ..finding },
    };
    found.into_iter().map(named).collect()
}

fn bundle(
    found: &Value,
    webhook: &Value,
    observed: &Observed,
    subject: &CheckSubject,
    now: i64,
) -> Finding {
    let id = "ca-bundle";
    let client = &webhook["clientConfig"];
    let pem = STANDARD.decode(client["caBundle"].as_str().unwrap_or_default()).unwrap_or_default();
    let again = || {
        let cas = observed.secret.as_ref().ok().and_then(Option::as_ref);
        let is_ours = owner::trusts_ours(found, cas.map_or(&[], |secret| &secret.ca_crt));
        let force = if is_ours { "" } else { " --force" };
        subject.install_hint("Put the Secret's CA into it", force)
    };
    match (&observed.secret, pki::split(&pem).len()) {
        (_, 0) => Finding::failed(id, "the caBundle holds no PEM certificate", again()),
        (Ok(Some(secret)), cas) => {
            let host = host(client, subject);
            let judge = |ca: &[u8]| pki::verify(ca, &secret.server_crt, None, &host, now);
            match judge(&pem) {
                Err(Fault::UnknownCa) => Finding::failed(
                    id,
                    "the caBundle does not hold the CA that signed the Secret's certificate",
                    again(),
                ),
                // Problems of the Secret are reported for the Secret.
                Err(fault) if judge(&secret.ca_crt) != Err(fault.clone()) => Finding::failed(
                    id,
                    format!("the caBundle does not trust the Secret's certificate: {fault}"),
                    again(),
                ),
                _ if cas > 1 => Finding::warning(
                    id,
                    format!("the caBundle trusts {cas} CAs: a rotation is not finished"),
                    format!("End it: `diyadm init --rotate --finish{}`.", subject.flags),
                ),
                _ => Finding::ok(id, "the caBundle trusts the Secret's certificate"),
            }
        }
        (seen, _) => Finding::unknown(
            id,
            format!("the caBundle could not be compared with Secret {}", subject.secret),
            match seen {
                Ok(_) => {
                    let make = || format!("Create the Secret: `diyadm init{}`.", subject.flags);
                    subject.owner_hint("", make)
                }
                Err(_) => format!(
                    "Check whether you may read it: `kubectl -n {} auth can-i get secret/{}`.",
                    subject.webhook_namespace, subject.secret
                ),
            },
        ),
    }
}

/// A webhook that calls another Service than the checked one. If all of them do, the configuration
/// belongs to somebody else.
fn called(found: &Value, subject: &CheckSubject) -> Vec<Finding> {
    let CheckSubject { webhook_namespace, service, .. } = subject;
    let another = |webhook: &Value| {
        let one = json!({ "webhooks": [webhook] });
        owner::calls_another(&one, webhook_namespace, service)
    };
    let hint = if webhooks(found).iter().all(|webhook| another(webhook).is_some()) {
        format!(
            "It is another webhook's: `kubectl get mutatingwebhookconfigurations {service} -o \
             yaml`. Use another name for your own: `diyadm install -n {} --service NAME`.",
            subject.namespace
        )
    } else {
        again_hint(subject)
    };
    each(found, |webhook| {
        let seen = format!("{}, not {}", another(webhook)?, subject.host());
        Some(Finding::failed("client", seen, hint.clone()))
    })
}

fn labels(observed: &Observed) -> Option<&Value> {
    let namespace = observed.namespace.as_ref().ok()?.as_ref()?;
    Some(&namespace["metadata"]["labels"])
}

fn calls(configuration: &Value, labels: &Value, kind: &Kind) -> bool {
    webhooks(configuration).iter().any(|w| select::matches(w, labels, kind))
}

fn rules(found: &Value, observed: &Observed, subject: &CheckSubject) -> Vec<Finding> {
    let CheckSubject { namespace, label: (key, value), .. } = subject;
    let mut findings = Vec::new();
    match (labels(observed), &observed.namespace) {
        (Some(labels), _) => {
            let wanted = match level(found) {
                Level::Pod => vec![&POD],
                // Custom resources may not exist here, but for those that the user declares.
                Level::Workload => WORKLOADS.into_iter().chain(kinds::declared()).collect(),
            };
            let (called, missed): (Vec<_>, Vec<_>) =
                wanted.into_iter().partition(|kind| calls(found, labels, kind));
            // Without its label nothing here matches, which is not a problem of the webhook.
            let hint = if labels[key] == value.as_str() {
                again_hint(subject)
            } else {
                format!("Label it: `diyadm init{}`.", subject.label_flags)
            };
            if called.is_empty() {
                findings.push(Finding::failed(
                    "rules",
                    format!(
                        "no rule and namespaceSelector of the webhook matches workloads of \
                         namespace {namespace} ({key}={value})"
                    ),
                    hint.clone(),
                ));
            } else if missed.is_empty() {
                let seen = format!("{} of namespace {namespace} are emptied", words(&called));
                findings.push(Finding::ok("rules", seen));
            } else {
                let seen = format!(
                    "{} of namespace {namespace} are emptied, {} are not, since no rule names them",
                    words(&called),
                    words(&missed)
                );
                findings.push(Finding::warning("rules", seen, again_hint(subject)));
            }
            if !calls(found, labels, &SERVICE) {
                findings.push(Finding::warning(
                    "rules-services",
                    format!(
                        "no rule matches Services of namespace {namespace}: diyadm.io/debug-port \
                         does nothing there"
                    ),
                    hint,
                ));
            }
        }
        // Without the namespace nothing can match; that was already reported.
        (None, Ok(_)) => {}
        (None, Err(why)) => findings.push(unseen("rules", "the namespace's labels", why)),
    }
    for webhook in webhooks(found) {
        if select::names_services_of_apps(webhook) {
            let name = webhook["name"].as_str().unwrap_or_default();
            findings.push(Finding::warning(
                "rules-services",
                format!("{name} has a rule for apps/services, which matches nothing"),
                again_hint(subject),
            ));
        }
    }
    findings
}

/// `Jobs, CronJobs and Pods`
fn words(list: &[&Kind]) -> String {
    let words: Vec<_> = list.iter().map(|kind| format!("{}s", kind.kind)).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn side_effects(webhook: &Value, subject: &CheckSubject) -> Option<Finding> {
    let found = webhook["sideEffects"].as_str().unwrap_or("Unknown");
    let quiet = ["None", "NoneOnDryRun"].contains(&found);
    (!quiet).then(|| {
        let seen = format!("sideEffects {found} make every dry run fail");
        Finding::failed("side-effects", seen, again_hint(subject))
    })
}

/// The API server calls webhooks in the order of their configurations' names.
fn others(found: &Value, all: &[Value], observed: &Observed, subject: &CheckSubject) -> Finding {
    let id = "other-webhooks";
    let name = |c: &Value| c["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let Some(labels) = labels(observed) else {
        return Finding::unknown(
            id,
            "other webhooks could not be checked, since the namespace's labels could not be read",
            "List them: `kubectl get mutatingwebhookconfigurations`.",
        );
    };
    let matching = all
        .iter()
        .filter(|other| *other != found)
        .filter(|other| WORKLOADS.iter().any(|kind| calls(other, labels, kind)));
    let (before, after): (Vec<_>, Vec<_>) =
        matching.map(name).partition(|other| *other < subject.service);
    let words: Vec<_> = [("before it", before), ("after it", after)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(when, names)| format!("{when} {}", names.join(", ")))
        .collect();
    if words.is_empty() {
        return Finding::ok(id, "no other webhook changes workloads here");
    }
    Finding::warning(
        id,
        format!("other webhooks change workloads here too: {}", words.join("; ")),
        "Their changes are kept; see `kubectl get mutatingwebhookconfigurations`.",
    )
}
