//! The connection to the API server and its credentials: the only code that reads kubeconfigs,
//! proxy variables and trusted CAs. All of it behaves like client-go, the base of kubectl.
//!
//! Never quotes a file, a plugin's output or a URL's password, which contain secrets.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Error, Result};
use http::HeaderValue;
use kube::{Client, Config};

use crate::{exit::Failure, platform::files};

mod address;
mod credentials;
mod entries;
mod exec;
mod fields;
mod file;
mod in_cluster;
mod issued;
mod path;
mod proxy;
mod selected;
mod transport;
mod trust;

pub use address::Address;
pub use file::Kubeconfig;
pub(super) use issued::Refused;
pub use proxy::ProxyVariables;
pub use selected::Selected;

/// The files to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// This one, which must exist: `--kubeconfig`.
    Explicit(PathBuf),
    /// Those of a list that exist: `$KUBECONFIG`, else ~/.kube/config.
    Listed(Vec<PathBuf>),
}

impl Files {
    /// From `--kubeconfig`, `$KUBECONFIG` and `$HOME`. An empty value counts as unset.
    pub fn new(flag: Option<&Path>, variable: Option<OsString>, home: Option<OsString>) -> Self {
        if let Some(file) = flag.filter(|file| !file.as_os_str().is_empty()) {
            return Self::Explicit(file.to_owned());
        }
        let files = match variable.filter(|variable| !variable.is_empty()) {
            Some(list) => {
                let mut files = Vec::new();
                for file in env::split_paths(&list).filter(|file| !file.as_os_str().is_empty()) {
                    if !files.contains(&file) {
                        files.push(file);
                    }
                }
                files
            }
            None => vec![Path::new(&home.unwrap_or_default()).join(".kube/config")],
        };
        Self::Listed(files)
    }
}

/// The configuration for one API server and one user.
pub(super) struct Access {
    config: Config,
    credentials: credentials::Credentials,
    /// From the user and password in the server's URL, which override all others.
    authorization: Option<HeaderValue>,
}

impl Access {
    /// The configuration from flags, kubeconfig and environment; in a Pod without a kubeconfig, the
    /// Pod's own service account. Makes no request and runs no plugin.
    ///
    /// # Errors
    /// [`crate::exit::Code::Unreachable`] where that is no usable configuration.
    pub(super) fn find(flag: Option<&Path>, context: Option<&str>) -> Result<Self> {
        let files = Files::new(flag, env::var_os("KUBECONFIG"), files::home());
        let kubeconfig = Kubeconfig::load(&files)?;
        let pod = in_cluster::Pod::find(Path::new(in_cluster::FOLDER));
        let context = context.filter(|context| !context.is_empty());
        let access = match (kubeconfig.select(context)?, &pod) {
            (Some(selected), _) => selected.into_access(&ProxyVariables::from_environment()),
            (None, Some(pod)) => pod.access(&ProxyVariables::from_environment()),
            (None, None) => Err(kubeconfig.nothing_selected(&files)),
        };
        let mut access = access?;
        if access.config.default_namespace.is_empty() {
            access.config.default_namespace =
                pod.map_or_else(|| super::DEFAULT_NAMESPACE.to_owned(), |pod| pod.namespace());
        }
        Ok(access)
    }

    /// For kube, without credentials; timeouts may still be set.
    pub(super) fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// # Errors
    /// The certificates of the kubeconfig cannot be used.
    pub(super) fn client(self) -> Result<Client> {
        transport::client(self.config, self.credentials, self.authorization)
    }
}

/// The error for an unusable configuration.
fn unusable(what: impl std::fmt::Display) -> Error {
    let hint = "Fix it, or use another file with --kubeconfig FILE or another context with \
                --context NAME; `kubectl config view` shows what is read.";
    Failure::unreachable(format!("The kubeconfig cannot be used: {what}."), hint).into()
}
