//! Where objects are looked for: in one namespace, or, only where that is asked for, in all.

use super::Cluster;

/// The namespace that is meant where nothing names one.
pub const DEFAULT_NAMESPACE: &str = "default";

/// One namespace, or all of them. No name widens it to all: an empty one is
/// [`DEFAULT_NAMESPACE`], as for kubectl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a>(Option<&'a str>);

impl<'a> Scope<'a> {
    /// All namespaces: `--all-namespaces`.
    pub const ALL: Self = Self(None);

    /// One namespace.
    pub fn of(namespace: &'a str) -> Self {
        Self(Some(if namespace.is_empty() { DEFAULT_NAMESPACE } else { namespace }))
    }

    /// The namespace's name, never empty; `None` for all of them.
    pub fn namespace(self) -> Option<&'a str> {
        self.0
    }
}

impl<'a> From<&'a str> for Scope<'a> {
    fn from(namespace: &'a str) -> Self {
        Self::of(namespace)
    }
}

impl<'a> From<&'a String> for Scope<'a> {
    fn from(namespace: &'a String) -> Self {
        Self::of(namespace)
    }
}

impl Cluster {
    /// The namespace that `-n` names; the context's where the flag is absent or empty.
    pub fn namespace_of<'a>(&'a self, flag: Option<&'a str>) -> &'a str {
        flag.filter(|namespace| !namespace.is_empty()).unwrap_or(self.namespace())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{DEPLOYMENT, NAMESPACE};

    #[test]
    fn no_name_stands_for_all_namespaces() {
        for (namespace, path) in [
            ("shop", "/apis/apps/v1/namespaces/shop/deployments"),
            ("", "/apis/apps/v1/namespaces/default/deployments"),
        ] {
            assert_eq!(DEPLOYMENT.path(namespace), path);
            assert_eq!(DEPLOYMENT.path(Scope::of(namespace)), path);
            assert_eq!(DEPLOYMENT.path(&namespace.to_owned()), path);
        }
        assert_eq!(DEPLOYMENT.path(Scope::ALL), "/apis/apps/v1/deployments");
        assert_eq!(NAMESPACE.path(""), "/api/v1/namespaces");
    }
}
