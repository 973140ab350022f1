//! Whether the command in the original of a recreated Pod or Job can be trusted.

use anyhow::Result;

use super::options::RestoreOptions;
use crate::{
    exit::{Failure, Topic},
    kubernetes::targets::LiveObject,
    operations::Operation,
    workload::ParsedObject,
};

/// Refuses to replace `found` by `new` if its original decides what it runs and the user did not
/// declare it trusted.
pub(super) fn check(
    operation: &Operation<'_>,
    options: &RestoreOptions<'_>,
    found: &LiveObject,
    new: &ParsedObject,
    manifest: Option<&ParsedObject>,
) -> Result<()> {
    let doubtful = doubtful(options, found, new, manifest)?;
    if doubtful.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{} stays empty: its original decides what it runs, and anyone who may patch it can write \
         the original: {doubtful}.",
        operation.shown(found)
    );
    let hint = format!(
        "If that is the application, run `diyadm restore {} --recreate --trust-original`; else \
         use its manifest with --force-from FILE.",
        found.typed(operation.cluster)
    );
    Err(Failure::no(Topic::Untrusted, what, hint).into())
}

/// Why `found` cannot be restored in place, and the command that recreates it as `new`.
pub(super) fn in_place(
    operation: &Operation<'_>,
    options: &RestoreOptions<'_>,
    found: &LiveObject,
    new: &ParsedObject,
    manifest: Option<&ParsedObject>,
) -> Result<anyhow::Error> {
    let doubtful = doubtful(options, found, new, manifest)?;
    let (sets, flag) = match doubtful.as_str() {
        "" => (String::new(), ""),
        _ => (format!(" Its original sets what it runs: {doubtful}."), " --trust-original"),
    };
    let what = format!(
        "{} stays empty: {} cannot be changed in place.{sets}",
        operation.shown(found),
        if found.kind.kind == "Pod" { "a Pod" } else { "the Pods of a Job" }
    );
    let hint = format!(
        "`diyadm restore {} --recreate{flag}` deletes it and creates it again, restored: its \
         progress and the files in it are lost.",
        found.typed(operation.cluster)
    );
    Ok(Failure::no(Topic::Recreate, what, hint).into())
}

/// The untrusted parts that the original of `found` sets in `new`; empty if there are none, or if
/// the user trusts it.
pub(super) fn doubtful(
    options: &RestoreOptions<'_>,
    found: &LiveObject,
    new: &ParsedObject,
    manifest: Option<&ParsedObject>,
) -> Result<String> {
    // The content of a placeholder was written by its creator.
    if options.trust_original || !found.object["metadata"]["uid"].is_string() {
        return Ok(String::new());
    }
    let subject = found.object.try_subject()?;
    let mut fields = subject.from_original(new.try_subject()?);
    if let Some(manifest) = manifest {
        let silent = manifest.try_subject()?.lacks(subject);
        fields.retain(|field| silent.contains(&field.container));
    }
    Ok(fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}
