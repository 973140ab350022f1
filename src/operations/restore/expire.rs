//! `diyadm expire`: restores the workloads that have expired.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{RestoreOptions, restore_all};
use crate::{
    exit::{self, Code, Failure},
    kubernetes::targets::{self, LiveObject, Selection, Targets},
    operations::{Operation, intercept::Webhooks},
    workload::EXPIRES,
};

/// Restores those of the operation's targets that have expired by the API server's clock: in each of
/// `namespaces`, or without any, in that of the targets.
pub(crate) async fn expire(operation: &Operation<'_>, namespaces: &[String]) -> Result<Code> {
    let mut expired = Vec::new();
    let mut unread = Vec::new();
    let namespaces: BTreeSet<_> = namespaces.iter().collect();
    if namespaces.is_empty() {
        expired = find(operation, operation.targets).await?;
    }
    for namespace in &namespaces {
        let targets =
            Targets { namespace: Some((*namespace).clone()), ..operation.targets.clone() };
        match find(operation, &targets).await {
            Ok(found) => expired.extend(found),
            // Continue with the other namespaces.
            Err(error) => {
                let hint = exit::hint(&error).unwrap_or_default();
                let what = format!("namespace {namespace}: {error:#}");
                operation.terminal.failed(&what, None, hint);
                unread.push(error);
            }
        }
    }
    let done = if expired.is_empty() {
        if unread.is_empty() {
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
    printed?;
    let Some(error) = unread.last() else { return Ok(code) };
    let what = format!("{} of {} namespaces could not be read.", unread.len(), namespaces.len());
    Err(Failure::made_of(exit::code(error), exit::topic(error), what, "").into())
}

/// The targets that have expired. Other objects are not kept in memory.
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
