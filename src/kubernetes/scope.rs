//! Where to search for objects: in one namespace or, only on request, in all.

use super::Cluster;

/// The default namespace.
pub const DEFAULT_NAMESPACE: &str = "default";

/// One namespace, or all of them. An empty name means [`DEFAULT_NAMESPACE`] and never all, as in
/// kubectl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a>(Option<&'a str>);

impl<'a> Scope<'a> {
    /// All namespaces: `--all-namespaces`.
    pub const ALL: Self = Self(None);

    /// One namespace.
    pub fn new(namespace: &'a str) -> Self {
        Self(Some(if namespace.is_empty() { DEFAULT_NAMESPACE } else { namespace }))
    }

    /// The namespace's name, never empty; `None` for all of them.
    pub fn namespace(self) -> Option<&'a str> {
        self.0
    }
}

impl<'a> From<&'a str> for Scope<'a> {
    fn from(namespace: &'a str) -> Self {
        Self::new(namespace)
    }
}

impl<'a> From<&'a String> for Scope<'a> {
    fn from(namespace: &'a String) -> Self {
        Self::new(namespace)
    }
}

impl Cluster {
    /// The namespace of `-n`; the context's if the flag is absent or empty.
    pub fn namespace_of<'a>(&'a self, flag: Option<&'a str>) -> &'a str {
        flag.filter(|namespace| !namespace.is_empty()).unwrap_or(self.namespace())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{DEPLOYMENT, NAMESPACE};

    #[test]
    fn scope_of_all_namespaces_differs_from_any_name() {
        for (namespace, path) in [
            ("shop", "/apis/apps/v1/namespaces/shop/deployments"),
            ("", "/apis/apps/v1/namespaces/default/deployments"),
        ] {
            assert_eq!(DEPLOYMENT.path(namespace), path);
            assert_eq!(DEPLOYMENT.path(Scope::new(namespace)), path);
            assert_eq!(DEPLOYMENT.path(&namespace.to_owned()), path);
        }
        assert_eq!(DEPLOYMENT.path(Scope::ALL), "/apis/apps/v1/deployments");
        assert_eq!(NAMESPACE.path(""), "/api/v1/namespaces");
    }
}
