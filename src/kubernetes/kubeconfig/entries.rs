//! The entries of a kubeconfig: clusters, users, contexts. Parsed from a file and, for a test that
//! compares them with `kubectl config view`, written again.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{exec::Plugin, fields::ConfigFields, path::resolve, unusable};

/// Bytes in the kubeconfig, or in a file that it names.
#[derive(Clone, Default)]
pub(super) struct Data {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// The connection to an API server.
#[derive(Clone, Default)]
pub(super) struct Cluster {
    pub(super) server: String,
    pub(super) tls_server_name: String,
    pub(super) insecure: bool,
    pub(super) authority: Data,
    pub(super) proxy_url: String,
    pub(super) disable_compression: bool,
    pub(super) extensions: BTreeMap<String, Value>,
}

/// Who asks.
#[derive(Clone, Default)]
pub(super) struct User {
    pub(super) certificate: Data,
    pub(super) key: Data,
    pub(super) token: String,
    pub(super) token_file: String,
    pub(super) impersonate: String,
    pub(super) impersonate_uid: String,
    pub(super) impersonate_groups: Vec<String>,
    pub(super) impersonate_extra: BTreeMap<String, Vec<String>>,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) provider: Option<Provider>,
    pub(super) plugin: Option<Plugin>,
    pub(super) extensions: BTreeMap<String, Value>,
}

/// An `auth-provider`: the predecessor of credential plugins.
#[derive(Clone)]
pub(super) struct Provider {
    pub(super) name: String,
    pub(super) config: BTreeMap<String, String>,
}

/// A cluster and a user.
#[derive(Clone, Default)]
pub(super) struct Context {
    pub(super) cluster: String,
    pub(super) user: String,
    pub(super) namespace: String,
    pub(super) extensions: BTreeMap<String, Value>,
}

impl Data {
    fn from_fields(fields: &ConfigFields<'_>, name: &str) -> Result<Self> {
        Ok(Self { path: fields.text(name)?, bytes: fields.data(&format!("{name}-data"))? })
    }

    pub(super) fn is_given(&self) -> bool {
        !self.path.is_empty() || !self.bytes.is_empty()
    }

    /// Reads the file's bytes; `name` is the name of the field.
    pub(super) fn load(&mut self, name: &str) -> Result<()> {
        if self.path.is_empty() {
            return Ok(());
        }
        if !self.bytes.is_empty() {
            return Err(unusable(format!(
                "it has both `{name}` and `{name}-data`, and only one is allowed"
            )));
        }
        self.bytes = fs::read(&self.path)
            .map_err(|error| unusable(format!("{} of `{name}`: {error}", self.path)))?;
        self.path.clear();
        Ok(())
    }
}

impl Cluster {
    pub(super) fn from_fields(fields: &ConfigFields<'_>, folder: &Path) -> Result<Self> {
        let mut authority = Data::from_fields(fields, "certificate-authority")?;
        resolve(&mut authority.path, folder);
        Ok(Self {
            server: fields.text("server")?,
            tls_server_name: fields.text("tls-server-name")?,
            insecure: fields.flag("insecure-skip-tls-verify")?,
            authority,
            proxy_url: fields.text("proxy-url")?,
            disable_compression: fields.flag("disable-compression")?,
            extensions: extensions(fields)?,
        })
    }

    pub(super) fn view(&self) -> Value {
        let mut view = View(Map::new());
        view.0.insert("server".to_owned(), json!(self.server));
        view.text("tls-server-name", &self.tls_server_name);
        view.flag("insecure-skip-tls-verify", self.insecure);
        view.data("certificate-authority", &self.authority);
        view.text("proxy-url", &self.proxy_url);
        view.flag("disable-compression", self.disable_compression);
        view.extensions(&self.extensions);
        Value::Object(view.0)
    }
}

impl User {
    pub(super) fn from_fields(fields: &ConfigFields<'_>, folder: &Path) -> Result<Self> {
        let mut certificate = Data::from_fields(fields, "client-certificate")?;
        let mut key = Data::from_fields(fields, "client-key")?;
        let mut token_file = fields.text("tokenFile")?;
        for path in [&mut certificate.path, &mut key.path, &mut token_file] {
            resolve(path, folder);
        }
        let extra = fields.fields("as-user-extra")?;
        let impersonate_extra: Result<_> =
            extra.names().map(|name| Ok((name.clone(), extra.texts(name)?))).collect();
        Ok(Self {
            certificate,
            key,
            token: fields.text("token")?,
            token_file,
            impersonate: fields.text("as")?,
            impersonate_uid: fields.text("as-uid")?,
            impersonate_groups: fields.texts("as-groups")?,
            impersonate_extra: impersonate_extra?,
            username: fields.text("username")?,
            password: fields.text("password")?,
            provider: fields
                .optional("auth-provider")?
                .map(|f| Provider::from_fields(&f))
                .transpose()?,
            plugin: fields
                .optional("exec")?
                .map(|f| Plugin::from_fields(&f, folder))
                .transpose()?,
            extensions: extensions(fields)?,
        })
    }

    pub(super) fn view(&self) -> Value {
        let mut view = View(Map::new());
        view.data("client-certificate", &self.certificate);
        view.data("client-key", &self.key);
        for (name, text) in [
            ("token", &self.token),
            ("tokenFile", &self.token_file),
            ("as", &self.impersonate),
            ("as-uid", &self.impersonate_uid),
            ("username", &self.username),
            ("password", &self.password),
        ] {
            view.text(name, text);
        }
        view.some("as-groups", !self.impersonate_groups.is_empty(), &self.impersonate_groups);
        view.some("as-user-extra", !self.impersonate_extra.is_empty(), &self.impersonate_extra);
        if let Some(Provider { name, config }) = &self.provider {
            let config = if config.is_empty() { Value::Null } else { json!(config) };
            view.some("auth-provider", true, json!({ "name": name, "config": config }));
        }
        if let Some(plugin) = &self.plugin {
            view.some("exec", true, plugin.view());
        }
        view.extensions(&self.extensions);
        Value::Object(view.0)
    }
}

impl Provider {
    fn from_fields(fields: &ConfigFields<'_>) -> Result<Self> {
        let config = fields.fields("config")?;
        let texts: Result<_> =
            config.names().map(|name| Ok((name.clone(), config.text(name)?))).collect();
        Ok(Self { name: fields.text("name")?, config: texts? })
    }
}

impl Context {
    pub(super) fn from_fields(fields: &ConfigFields<'_>) -> Result<Self> {
        Ok(Self {
            cluster: fields.text("cluster")?,
            user: fields.text("user")?,
            namespace: fields.text("namespace")?,
            extensions: extensions(fields)?,
        })
    }

    pub(super) fn view(&self) -> Value {
        let mut view = View(Map::new());
        view.0.insert("cluster".to_owned(), json!(self.cluster));
        view.0.insert("user".to_owned(), json!(self.user));
        view.text("namespace", &self.namespace);
        view.extensions(&self.extensions);
        Value::Object(view.0)
    }
}

/// The folder of a kubeconfig, absolute.
pub(super) fn folder(file: &Path) -> Result<std::path::PathBuf> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let current = std::env::current_dir().context("The current folder was deleted");
    if folder.is_absolute() { Ok(folder.to_owned()) } else { Ok(current?.join(folder)) }
}

fn extensions(fields: &ConfigFields<'_>) -> Result<BTreeMap<String, Value>> {
    let each = fields.each("extensions")?;
    each.iter().map(|each| Ok((each.text("name")?, each.any("extension")))).collect()
}

/// An entry that is written.
struct View(Map<String, Value>);

impl View {
    fn some(&mut self, name: &str, is_given: bool, value: impl serde::Serialize) {
        if is_given {
            self.0.insert(name.to_owned(), json!(value));
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.some(name, !text.is_empty(), text);
    }

    fn flag(&mut self, name: &str, flag: bool) {
        self.some(name, flag, flag);
    }

    fn data(&mut self, name: &str, data: &Data) {
        self.text(name, &data.path);
        self.text(&format!("{name}-data"), &STANDARD.encode(&data.bytes));
    }

    fn extensions(&mut self, extensions: &BTreeMap<String, Value>) {
        let each = |(name, extension)| json!({ "name": name, "extension": extension });
        let list: Vec<_> = extensions.iter().map(each).collect();
        self.some("extensions", !list.is_empty(), list);
    }
}
