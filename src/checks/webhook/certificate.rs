//! The Secret and the certificate in it.

use super::{Finding, Observed, Secret, Subject, host, unseen};
use crate::pki::{self, Fault};

/// Certificates with fewer days left are told of.
const SOON: i64 = 30;
const DAY: i64 = 24 * 60 * 60;

pub(super) fn findings(observed: &Observed, subject: &Subject, now: i64) -> Vec<Finding> {
    let Subject { namespace, secret, service, .. } = subject;
    let names = format!("-n {namespace} --service {service} --secret {secret}");
    let found = match &observed.secret {
        Ok(Some(found)) => found,
        Ok(None) => {
            return vec![Finding::failed(
                "secret",
                format!("there is no Secret {secret} in namespace {namespace}"),
                format!("Make it: `diyadm init {names}`."),
            )];
        }
        Err(why) => return vec![unseen("secret", "the Secret", why)],
    };
    let Secret { ca_crt, server_crt, server_key } = found;
    let host = host(observed, subject);
    let certificate = match pki::verify(ca_crt, server_crt, Some(server_key), &host, now) {
        Ok(facts) => {
            let days = (facts.not_after - now) / DAY;
            let title = format!("the certificate serves {host} for {days} more days");
            if days < SOON {
                let hint = format!("Renew it in good time: `diyadm init --rotate {names}`.");
                Finding::warning("certificate", title, hint)
            } else {
                Finding::ok("certificate", title)
            }
        }
        Err(fault) => {
            let hint = match fault {
                Fault::Expired => format!("Make a new one: `diyadm init --rotate {names}`."),
                _ => format!(
                    "Make a new one: `diyadm init --force {names}`, then `diyadm install {names}`."
                ),
            };
            Finding::failed("certificate", format!("in Secret {secret}: {fault}"), hint)
        }
    };
    vec![Finding::ok("secret", format!("Secret {secret} is there")), certificate]
}
