//! The service account of the Pod that diyadm runs in.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use kube::Config;

use super::{
    Access, address::Address, credentials::Credentials, proxy::ProxyVariables, trust, unusable,
};

/// The path where the kubelet mounts it.
pub(super) const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A Pod with a service account.
pub(super) struct Pod {
    folder: PathBuf,
    host: String,
    port: String,
}

impl Pod {
    /// `None` outside of a Pod, and in a Pod without a mounted token.
    pub(super) fn find(folder: &Path) -> Option<Self> {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        let folder = folder.to_owned();
        folder.join("token").is_file().then_some(Self { folder, host, port })
    }

    /// The Pod's own.
    pub(super) fn namespace(&self) -> String {
        let variable = env::var("POD_NAMESPACE").ok();
        let file = || fs::read_to_string(self.folder.join("namespace")).ok();
        let named = variable.filter(|name| !name.is_empty()).or_else(file).unwrap_or_default();
        match named.trim() {
            "" => crate::kubernetes::DEFAULT_NAMESPACE.to_owned(),
            name => name.to_owned(),
        }
    }

    pub(super) fn access(&self, variables: &ProxyVariables) -> Result<Access> {
        let Self { host, port, folder } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let server = Address::parse(&format!("https://{host}:{port}"));
        let (server, uri) = server.and_then(|s| Some((s.clone(), s.uri()?))).ok_or_else(|| {
            unusable("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not an address")
        })?;
        let mut config = Config::new(uri);
        config.default_namespace = String::new();
        // Without it the system's CAs are trusted, as in client-go.
        config.root_cert = match fs::read(folder.join("ca.crt")) {
            Ok(pem) => Some(trust::certificates(&pem)).filter(|roots| !roots.is_empty()),
            Err(_) => None,
        };
        let proxy = variables.find(&server)?;
        config.proxy_url = proxy.as_ref().and_then(super::transport::proxy_uri);
        let credentials = Credentials::token_file(folder.join("token"), "", None)?;
        Ok(Access { config, credentials, authorization: None })
    }
}
