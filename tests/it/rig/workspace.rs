//! What most tests begin with: a cluster, a namespace of the test's own, and a folder for its files.

use std::{ops::Deref, path::Path};

use super::{Cluster, Namespace, Node, Run, cluster, node};

/// The namespace is deleted, and the folder too, when it is dropped.
pub(crate) struct Workspace<C = Cluster> {
    cluster: C,
    /// Of the namespace.
    pub(crate) name: &'static str,
    folder: tempfile::TempDir,
    _namespace: Namespace,
}

impl Workspace {
    /// On the API server, with a namespace that is called `base`, see [`Cluster::name`].
    #[track_caller]
    pub(crate) fn new(base: &str) -> Option<Self> {
        let cluster = cluster()?;
        let name = cluster.name(base);
        let namespace = cluster.namespace(name);
        Some(Self { cluster, name, folder: tempfile::tempdir().unwrap(), _namespace: namespace })
    }
}

impl Workspace<Node> {
    /// The same on the node: the Pods of the namespace run.
    #[track_caller]
    pub(crate) fn on_node(base: &str) -> Option<Self> {
        let cluster = node()?;
        let name = cluster.name(base);
        let namespace = cluster.namespace(name);
        Some(Self { cluster, name, folder: tempfile::tempdir().unwrap(), _namespace: namespace })
    }
}

impl<C> Workspace<C> {
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Workspace {
    /// The program, in the folder and for the namespace.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.diyadm(self.folder(), &[args, &["-n", self.name]].concat())
    }
}

impl<C> Deref for Workspace<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.cluster
    }
}
