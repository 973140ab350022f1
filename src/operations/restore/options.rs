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
    /// Whether the namespace's label has just been taken away, or, in a dry run, would have been.
    pub(super) unlabelled: bool,
}

impl RestoreOptions<'_> {
    /// After the namespace's label.
    pub(crate) const UNLABELLED: Self =
        Self { manifests: None, recreate: false, trust_original: false, unlabelled: true };
}
