//! `--kinds FILE`: kinds of workload that are not built in.

use std::path::Path;

use anyhow::Result;

use super::files;
use crate::{
    exit::{Failure, Topic},
    workload,
};

/// Makes the kinds of the file known for this process.
///
/// # Errors
/// A file that cannot be read, and what declares no kinds.
pub(crate) fn declare(file: &Path) -> Result<()> {
    let shown = file.display();
    let text = files::text(file).map_err(|error| {
        let what = format!("--kinds {shown} could not be read: {error}.");
        Failure::usage(
            Topic::RulesFile,
            what,
            "Give a file with `kinds:`; docs/en/kinds.md shows the format.",
        )
    })?;
    workload::parse_kinds(&text).map_err(|error| {
        let what = format!("--kinds {shown}: {error}.");
        let hint = "Fix the file; docs/en/kinds.md shows the format.";
        Failure::usage(Topic::RulesFile, what, hint).with_details(error.snippet()).into()
    })
}
