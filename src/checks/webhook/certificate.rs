//! The Secret and the certificate in it.

use serde_json::Value;

use super::{AS_BEFORE, Finding, Observed, Secret, Subject, host, own, unseen};
use crate::pki::{self, Fault};

/// Certificates with fewer days left are told of.
const SOON: i64 = 30;
const DAY: i64 = 24 * 60 * 60;

pub(super) fn findings(observed: &Observed, subject: &Subject, now: i64) -> Vec<Finding> {
    let Subject { namespace, secret, flags, .. } = subject;
    let found = match &observed.secret {
        Ok(Some(found)) => found,
        Ok(None) => {
            return vec![Finding::failed(
                "secret",
                format!("there is no Secret {secret} in namespace {namespace}"),
                format!("Make it: `diyadm init{flags}`."),
            )];
        }
        Err(why) => return vec![unseen("secret", "the Secret", why)],
    };
    vec![
        Finding::ok("secret", format!("Secret {secret} is there")),
        certificate(found, observed, subject, now),
    ]
}

fn certificate(found: &Secret, observed: &Observed, subject: &Subject, now: i64) -> Finding {
    let (id, Subject { secret, flags, .. }) = ("certificate", subject);
    let Secret { ca_crt, server_crt, server_key } = found;
    let client = own(observed, subject).map(|c| &c["webhooks"][0]["clientConfig"]);
    let host = host(client.unwrap_or(&Value::Null), subject);
    match pki::verify(ca_crt, server_crt, Some(server_key), &host, now) {
        Ok(facts) => {
            let days = (facts.not_after - now) / DAY;
            let seen = format!("the certificate serves {host} for {days} more days");
            if days < SOON {
                let hint = format!("Renew it in good time: `diyadm init --rotate{flags}`.");
                Finding::warning(id, seen, hint)
            } else {
                Finding::ok(id, seen)
            }
        }
        Err(fault) => {
            let hint = match fault {
                Fault::Expired => format!("Make a new one: `diyadm init --rotate{flags}`."),
                _ => format!(
                    "Make a new one: `diyadm init --force{flags}`, then `{}`, {AS_BEFORE}.",
                    subject.install("")
                ),
            };
            Finding::failed(id, format!("in Secret {secret}: {fault}"), hint)
        }
    }
}
