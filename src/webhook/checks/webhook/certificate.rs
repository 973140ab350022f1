//! The Secret and the certificate in it.

use serde_json::Value;

use super::{CheckSubject, Finding, Observed, Secret, host, own, unseen, webhooks};
use crate::pki::{self, Fault, KeyFault};

/// Certificates with fewer remaining days get a warning.
const SOON: i64 = 30;
const DAY: i64 = 24 * 60 * 60;

pub(super) fn findings(observed: &Observed, subject: &CheckSubject, now: i64) -> Vec<Finding> {
    let CheckSubject { webhook_namespace: namespace, secret, flags, .. } = subject;
    let found = match &observed.secret {
        Ok(Some(found)) => found,
        Ok(None) => {
            return vec![Finding::failed(
                "secret",
                format!("there is no Secret {secret} in namespace {namespace}"),
                subject.owner_hint("", || format!("Create it: `diyadm init{flags}`.")),
            )];
        }
        Err(why) => return vec![unseen("secret", "the Secret", why)],
    };
    let mut findings = vec![Finding::ok("secret", format!("Secret {secret} exists"))];
    for host in hosts(observed, subject) {
        let finding = certificate(found, &host, subject, now);
        // A problem that all names share is reported once.
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings.extend(authority(found, subject, now));
    findings
}

/// The names that the API server requires in the certificate, without duplicates.
fn hosts(observed: &Observed, subject: &CheckSubject) -> Vec<String> {
    let all = own(observed, subject).map_or(&[][..], webhooks);
    let mut hosts = Vec::new();
    for webhook in all {
        let host = host(&webhook["clientConfig"], subject);
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        hosts.push(host(&Value::Null, subject));
    }
    hosts
}

/// A valid CA that expires soon: certificates that it signed expire with it.
fn authority(found: &Secret, subject: &CheckSubject, now: i64) -> Option<Finding> {
    let CheckSubject { secret, flags, .. } = subject;
    let cas = pki::split(&found.ca_crt);
    let signer = &cas[pki::signer(&cas, &found.server_crt)?];
    let ends = pki::inspect(signer.as_bytes(), None).ok()?.first()?.not_after;
    let days = (ends - now) / DAY;
    (ends > now && days < SOON).then(|| {
        Finding::warning(
            "certificate",
            format!("the CA of Secret {secret} ends in {days} days"),
            format!("Create a new one in time: `diyadm init --rotate{flags}`."),
        )
    })
}

fn certificate(found: &Secret, host: &str, subject: &CheckSubject, now: i64) -> Finding {
    let (id, CheckSubject { secret, flags, .. }) = ("certificate", subject);
    let Secret { ca_crt, server_crt, server_key } = found;
    match pki::verify(ca_crt, server_crt, Some(server_key), host, now) {
        Ok(facts) => {
            let days = (facts.not_after - now) / DAY;
            let seen = format!("the certificate serves {host} for {days} more days");
            if days < SOON {
                let hint = format!("Renew it in time: `diyadm init --rotate{flags}`.");
                Finding::warning(id, seen, hint)
            } else {
                Finding::ok(id, seen)
            }
        }
        Err(fault) => {
            let hint = match fault {
                Fault::Expired => format!("Create a new one: `diyadm init --rotate{flags}`."),
                Fault::KeyEncrypted => KeyFault::Encrypted.hint("server.key").unwrap_or_default(),
                _ => subject.install_hint(
                    &format!(
                        "Create a new one with `diyadm init --force{flags}`, then put its CA into \
                         the webhook"
                    ),
                    "",
                ),
            };
            Finding::failed(id, format!("in Secret {secret}: {fault}"), hint)
        }
    }
}
