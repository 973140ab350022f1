//! `diyadm expire`: restores the workloads that have expired.

use anyhow::{Error, Result};

use super::{RestoreOptions, restore_all};
use crate::{
    exit::{self, Code},
    kubernetes::targets::{self, LiveObject, Selection, Targets},
    operations::{Operation, intercept::Webhooks},
    workload::EXPIRES,
};

/// Restores those of the operation's targets that have expired by the API server's clock: in each of
/// `namespaces`, or without any, in that of the targets.
pub(crate) async fn expire(operation: &Operation<'_>, namespaces: &[String]) -> Result<Code> {
    let mut expired = Vec::new();
    let mut unread: Option<Error> = None;
    if namespaces.is_empty() {
        expired = find(operation, operation.targets).await?;
    }
    for namespace in namespaces {
        let targets = Targets { namespace: Some(namespace.clone()), ..operation.targets.clone() };
        match find(operation, &targets).await {
            Ok(found) => expired.extend(found),
            // The other namespaces do not wait for this one.
            Err(error) => {
                let hint = exit::hint(&error).unwrap_or_default();
                let what = format!("namespace {namespace}: {error:#}");
                operation.terminal.failed(&what, None, hint);
                unread = Some(error);
            }
        }
    }
    let done = if expired.is_empty() {
        if unread.is_none() {
            operation.terminal.say("No workload has expired.");
        }
        Vec::new()
    } else {
        let webhooks = Webhooks::new(operation.work.dry_run.mode.into());
        let options = RestoreOptions::expired(operation.cluster.now());
        restore_all(operation, &options, &webhooks, expired, Selection::Together).await
    };
    let printed = operation.print(&done);
    let code = operation.end(done, "restored")?;
    printed.map(|()| unread.map_or(Ok(code), Err))?
}

/// The targets that have expired. Of all others nothing is kept in memory.
async fn find(operation: &Operation<'_>, targets: &Targets) -> Result<Vec<LiveObject>> {
    let has_end =
        |object: &serde_json::Value| object["metadata"]["annotations"].get(EXPIRES).is_some();
    let targeted = targets::find_where(operation.cluster, targets, has_end).await?;
    targeted.unseen.iter().for_each(|what| operation.terminal.warn(what));
    let now = operation.cluster.now();
    let mut expired = Vec::new();
    for found in targeted.found {
        match found.object.subject().and_then(|subject| subject.has_expired(now)) {
            Some(Ok(true)) => expired.push(found),
            Some(Err(text)) => {
                let shown = operation.shown(&found);
                let what =
                    format!("{shown} does not expire: annotation {EXPIRES} is not a time: {text}");
                operation.terminal.warn(&what);
            }
            Some(Ok(false)) | None => {}
        }
    }
    Ok(expired)
}
