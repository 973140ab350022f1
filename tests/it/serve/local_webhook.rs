//! A webhook whose server runs on this machine, which the API server calls by its URL.

use tempfile::TempDir;

use super::certificates;
use crate::rig::{Server, diyadm};

/// For the namespace `name`, and called the same.
pub(crate) struct LocalWebhook {
    name: String,
    label: String,
    pub(crate) url: String,
    pub(crate) certs: TempDir,
    pub(crate) server: Server,
}

impl LocalWebhook {
    /// `flags`: of `serve`.
    pub(crate) fn start(name: &str, flags: &[&str]) -> Self {
        let certs = certificates(name, name);
        let server = Server::start(certs.path(), flags);
        let url = format!("https://{}", server.address);
        Self { name: name.to_owned(), label: format!("{name}=enabled"), url, certs, server }
    }

    /// The flags that name it, for `render` and `install`.
    pub(crate) fn flags(&self) -> [&str; 10] {
        let Self { name, label, url, .. } = self;
        ["-n", name, "--service", name, "--label", label, "--url", url, "--failure-policy", "Fail"]
    }

    /// Its manifests; `flags`: more flags of `render`.
    pub(crate) fn render(&self, flags: &[&str]) -> String {
        let render = [&["render", "--ca", "."], &self.flags()[..], flags].concat();
        diyadm(self.certs.path(), &render).code(0).stdout
    }
}
