//! `diyadm expire`: restores the workloads whose time is over.

use anyhow::Result;

use super::{RestoreOptions, restore_all};
use crate::{
    exit::Code,
    kubernetes::targets::{Selection, Unnamed},
    operations::{Operation, intercept::Webhooks, targets},
    workload::EXPIRES,
};

/// Restores those of the operation's targets whose time is over by the API server's clock.
pub(crate) async fn expire(operation: &Operation<'_>) -> Result<Code> {
    let targeted = targets::find(operation.cluster, operation.targets, &[], Unnamed::All).await?;
    targeted.unseen.iter().for_each(|what| operation.terminal.warn(what));
    let now = operation.cluster.now();
    let mut over = Vec::new();
    for found in targeted.found {
        match found.object.subject().and_then(|subject| subject.is_over(now)) {
            Some(Ok(true)) => over.push(found),
            Some(Err(text)) => {
                let shown = operation.shown(&found);
                let what =
                    format!("{shown} has no end: annotation {EXPIRES} is not a time: {text}");
                operation.terminal.warn(&what);
            }
            Some(Ok(false)) | None => {}
        }
    }
    let done = if over.is_empty() {
        operation.terminal.say("No workload's time is over.");
        Vec::new()
    } else {
        let webhooks = Webhooks::new(operation.work.dry_run.mode.into());
        let options = RestoreOptions::over(now);
        restore_all(operation, &options, &webhooks, over, Selection::Together).await
    };
    let printed = operation.print(&done);
    let code = operation.end(done, "restored")?;
    printed.map(|()| code)
}
