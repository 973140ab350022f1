//! The MutatingWebhookConfiguration: what it trusts, what it is called for, and who else is.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{Finding, Observed, Subject, again_hint, host, own, select, unseen, webhooks};
use crate::pki::{self, Fault};

pub(super) fn findings(observed: &Observed, subject: &Subject, now: i64) -> Vec<Finding> {
    let Subject { namespace, service, secret, label: (key, value), .. } = subject;
    let names = format!("-n {namespace} --service {service}");
    let all = match &observed.configurations {
        Ok(all) => all,
        Err(why) => return vec![unseen("configuration", "the webhook configurations", why)],
    };
    let Some(found) = own(observed, subject) else {
        return vec![Finding::failed(
            "configuration",
            format!("there is no MutatingWebhookConfiguration {service}"),
            format!("Install the webhook: `diyadm install {names}`."),
        )];
    };
    let first = &found["webhooks"][0];
    let title = format!(
        "the configuration is there: failurePolicy {}, {} s",
        first["failurePolicy"].as_str().unwrap_or("Fail"),
        first["timeoutSeconds"].as_i64().unwrap_or(10),
    );
    let mut findings = vec![Finding::ok("configuration", title)];

    let pem = STANDARD.decode(first["clientConfig"]["caBundle"].as_str().unwrap_or_default());
    let pem = pem.unwrap_or_default();
    let again = format!("Put the Secret's CA into it: `diyadm install {names}`.");
    findings.push(match (&observed.secret, pki::split(&pem).len()) {
        (_, 0) => Finding::failed("ca-bundle", "the caBundle holds no PEM certificate", again),
        (Ok(Some(secret)), cas) => {
            let host = host(observed, subject);
            match pki::verify(&pem, &secret.server_crt, None, &host, now) {
                Err(Fault::UnknownCa) => Finding::failed(
                    "ca-bundle",
                    "the caBundle does not hold the CA that signed the Secret's certificate",
                    again,
                ),
                _ if cas > 1 => Finding::warning(
                    "ca-bundle",
                    format!("the caBundle trusts {cas} CAs: a rotation is not finished"),
                    format!(
                        "End it: `diyadm init --rotate --finish {names} --secret {secret}`.",
                        secret = subject.secret
                    ),
                ),
                _ => Finding::ok("ca-bundle", "the caBundle trusts the Secret's certificate"),
            }
        }
        (_, _) => Finding::unknown(
            "ca-bundle",
            format!("the caBundle could not be held against Secret {secret}"),
            "",
        ),
    });

    let labels = observed.namespace.as_ref().ok().and_then(Option::as_ref);
    let labels = labels.map_or(&Value::Null, |namespace| &namespace["metadata"]["labels"]);
    let matching = |configuration: &Value| {
        webhooks(configuration)
            .iter()
            .any(|webhook| select::matches(webhook, labels, "deployments"))
    };
    findings.push(if matching(found) {
        Finding::ok("rules", format!("Deployments of namespace {namespace} reach the webhook"))
    } else {
        Finding::failed(
            "rules",
            format!(
                "no rule and namespaceSelector of the webhook matches Deployments of namespace \
                 {namespace} ({key}={value})"
            ),
            format!("Install it as it should be: `diyadm install {names}`."),
        )
    });
    for webhook in webhooks(found) {
        let name = webhook["name"].as_str().unwrap_or_default();
        if !["None", "NoneOnDryRun"].contains(&webhook["sideEffects"].as_str().unwrap_or_default())
        {
            findings.push(Finding::failed(
                "side-effects",
                format!("sideEffects of {name} make every dry run fail"),
                again_hint(&names),
            ));
        }
        if select::names_services_of_apps(webhook) {
            findings.push(Finding::warning(
                "rules-services",
                format!("{name} has a rule for apps/services, which matches nothing"),
                again_hint(&names),
            ));
        }
    }

    // The API server calls webhooks in the order of their configurations' names.
    let name = |c: &Value| c["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let others = all.iter().filter(|c| name(c) != *service && matching(c)).map(name);
    let (before, after): (Vec<_>, Vec<_>) = others.partition(|other| other < service);
    let words = [("before it", before), ("after it", after)];
    let words: Vec<_> = words
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(when, names)| format!("{when} {}", names.join(", ")))
        .collect();
    findings.push(if words.is_empty() {
        Finding::ok("other-webhooks", "no other webhook changes Deployments here")
    } else {
        Finding::warning(
            "other-webhooks",
            format!("other webhooks change Deployments here too: {}", words.join("; ")),
            "What they add is kept; see `kubectl get mutatingwebhookconfigurations`.",
        )
    });
    findings
}
