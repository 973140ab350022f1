//! How workloads are restored.

use super::from_manifest::Manifests;

/// How workloads are restored.
#[derive(Clone, Copy)]
pub(crate) struct RestoreOptions<'a> {
    /// `--force-from`
    pub(super) manifests: Option<&'a Manifests>,
    pub(super) recreate: bool,
    /// `--trust-original`
    pub(super) trust_original: bool,
    /// Whether the namespace's label was just removed, or would be in a dry run.
    pub(super) unlabelled: bool,
}

impl RestoreOptions<'_> {
    /// Options after the namespace's label was removed.
    pub(crate) const UNLABELLED: Self =
        Self { manifests: None, recreate: false, trust_original: false, unlabelled: true };
}
