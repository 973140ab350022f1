//! The selected context: validated like kubectl, then converted to a configuration.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use kube::Config;
use serde_json::{Value, json};

use super::{
    Access,
    address::{Address, without_query},
    credentials::Credentials,
    entries::{Cluster, Context, Provider, User},
    issued::bearer,
    proxy::ProxyVariables,
    transport::{basic, proxy_uri},
    trust::{self, Identity},
    unusable,
};
use crate::exit::Failure;

/// The cluster extension that a credential plugin is given.
const EXEC_EXTENSION: &str = "client.authentication.k8s.io/exec";

/// A context with its cluster and user, whose files have been read.
pub struct Selected {
    name: String,
    context: Context,
    cluster: Cluster,
    user: User,
}

impl Selected {
    pub(super) fn new(
        name: &str,
        context: Context,
        mut cluster: Cluster,
        mut user: User,
    ) -> Result<Self> {
        let of = || format!("The context {name}");
        cluster.authority.load("certificate-authority").with_context(of)?;
        // A key without a certificate is ignored.
        if user.certificate.is_given() {
            user.certificate.load("client-certificate").with_context(of)?;
            user.key.load("client-key").with_context(of)?;
        }
        let selected = Self { name: name.to_owned(), context, cluster, user };
        match selected.problem() {
            Some(problem) => Err(unusable(format!("of context {name}, {problem}"))),
            None => Ok(selected),
        }
    }

    /// In the format of `kubectl config view --raw --minify --flatten -o json`.
    pub fn view(&self) -> Value {
        let Self { name, context, cluster, user } = self;
        let users = match context.user.as_str() {
            "" => json!([]),
            user_name => json!([{ "name": user_name, "user": user.view() }]),
        };
        json!({
            "kind": "Config",
            "apiVersion": "v1",
            "current-context": name,
            "contexts": [{ "name": name, "context": context.view() }],
            "clusters": [{ "name": context.cluster, "cluster": cluster.view() }],
            "users": users,
        })
    }

    /// Why kubectl rejects it.
    fn problem(&self) -> Option<String> {
        let Self { cluster, user, .. } = self;
        let has_token = !user.token.is_empty() || !user.token_file.is_empty();
        let has_basic = !user.username.is_empty() || !user.password.is_empty();
        let has_certificate = user.certificate.is_given();
        let impersonates = !user.impersonate_uid.is_empty()
            || !user.impersonate_groups.is_empty()
            || !user.impersonate_extra.is_empty();
        let text = match () {
            () if cluster.server.is_empty() => "the cluster has no server",
            () if !cluster.proxy_url.is_empty() && self.proxy().is_none() => {
                "proxy-url is not http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"
            }
            () if has_certificate && !user.key.is_given() => {
                "the user has a client-certificate without a client-key"
            }
            () if has_token && has_basic => {
                "the user has a token and a password, and only one is allowed"
            }
            () if impersonates && user.impersonate.is_empty() => {
                "the user has as-uid, as-groups or as-user-extra without `as`"
            }
            () if user.plugin.is_some() && user.provider.is_some() => {
                "the user has exec and auth-provider, and only one is allowed"
            }
            () => return user.plugin.as_ref().and_then(super::exec::Plugin::problem),
        };
        Some(text.to_owned())
    }

    /// `proxy-url`, if kubectl accepts it.
    fn proxy(&self) -> Option<Address> {
        let proxy = Address::parse(&self.cluster.proxy_url)?;
        ["http", "https", "socks5"].contains(&proxy.scheme.as_str()).then_some(proxy)
    }

    /// The server's address. Without a scheme it is http regardless of other settings, as in
    /// kubectl.
    fn server(&self) -> Result<(Address, http::Uri)> {
        let text = self.cluster.server.as_str();
        let server = Address::parse(text).or_else(|| {
            let server = Address::parse(&format!("http://{text}"))?;
            ["", "/"].contains(&server.path.as_str()).then_some(server)
        });
        let server = server.filter(|server| ["http", "https"].contains(&server.scheme.as_str()));
        server.and_then(|server| Some((server.clone(), server.uri()?))).ok_or_else(|| {
            unusable(format!(
                "of context {}, server is neither https://HOST:PORT nor HOST:PORT",
                self.name
            ))
        })
    }

    pub(super) fn into_access(mut self, variables: &ProxyVariables) -> Result<Access> {
        let (server, uri) = self.server()?;
        let mut config = Config::new(uri);
        config.default_namespace = std::mem::take(&mut self.context.namespace);
        config.disable_compression = self.cluster.disable_compression;
        let proxy = match self.proxy() {
            Some(proxy) => Some(proxy),
            None => variables.find(&server)?,
        };
        if let Some(proxy) = proxy {
            let uri = proxy_uri(&proxy);
            config.proxy_url =
                Some(uri.ok_or_else(|| unusable(format!("the proxy {proxy} is not an address")))?);
        }
        config.headers = self.impersonation()?;
        // Over plain http kubectl sends neither certificate nor token.
        let is_tls = server.scheme == "https";
        if is_tls {
            self.trust(&mut config)?;
        }
        let authorization = server.user().map(|user| basic(&user));
        let credentials = if is_tls { self.credentials()? } else { Credentials::fixed(None, None) };
        Ok(Access { config, credentials, authorization })
    }

    fn trust(&self, config: &mut Config) -> Result<()> {
        let Cluster { authority, insecure, tls_server_name, .. } = &self.cluster;
        config.accept_invalid_certs = *insecure;
        config.tls_server_name = Some(tls_server_name.clone()).filter(|name| !name.is_empty());
        if authority.bytes.is_empty() {
            return Ok(());
        }
        let name = &self.name;
        if *insecure {
            return Err(unusable(format!(
                "of context {name}, the cluster has certificate-authority and \
                 insecure-skip-tls-verify, and only one is allowed"
            )));
        }
        let roots = trust::certificates(&authority.bytes);
        if roots.is_empty() {
            return Err(unusable(format!(
                "of context {name}, certificate-authority has no certificate in PEM"
            )));
        }
        config.root_cert = Some(roots);
        Ok(())
    }

    fn identity(&self) -> Result<Option<Arc<Identity>>> {
        let User { certificate, key, .. } = &self.user;
        if certificate.bytes.is_empty() {
            return Ok(None);
        }
        let identity = Identity::parse(&certificate.bytes, &key.bytes);
        let named = |what| unusable(format!("of context {}, {what}", self.name));
        Ok(Some(Arc::new(identity.map_err(named)?)))
    }

    fn credentials(mut self) -> Result<Credentials> {
        let identity = self.identity()?;
        let user = &self.user;
        if let Some(provider) = user.provider.as_ref().filter(|provider| provider.name != "oidc") {
            return Err(removed(provider));
        }
        if !user.token_file.is_empty() {
            let path = PathBuf::from(&user.token_file);
            return Credentials::token_file(path, &user.token, identity);
        }
        let header = if !user.token.is_empty() {
            let token = bearer(&user.token);
            Some(token.map_err(|what| unusable(format!("of context {}, {what}", self.name)))?)
        } else if !user.username.is_empty() {
            let pair = (user.username.clone().into_bytes(), user.password.clone().into_bytes());
            Some(basic(&pair))
        } else if let Some(provider) = &user.provider {
            Some(id_token(provider)?)
        } else {
            None
        };
        // A plugin is only used without other credentials.
        if header.is_none()
            && identity.is_none()
            && let Some(mut plugin) = self.user.plugin.take()
        {
            plugin.cluster = plugin.wants_cluster.then(|| self.exec_cluster());
            return Ok(Credentials::plugin(plugin));
        }
        Ok(Credentials::fixed(header, identity))
    }

    /// The cluster information for a plugin.
    fn exec_cluster(&self) -> Value {
        let Cluster { server, tls_server_name, insecure, authority, .. } = &self.cluster;
        let mut cluster = json!({ "server": without_query(server) });
        let data = STANDARD.encode(&authority.bytes);
        for (name, text) in [
            ("tls-server-name", tls_server_name),
            ("certificate-authority-data", &data),
            ("proxy-url", &self.cluster.proxy_url),
        ] {
            if !text.is_empty() {
                cluster[name] = json!(text);
            }
        }
        let flags = [
            ("insecure-skip-tls-verify", *insecure),
            ("disable-compression", self.cluster.disable_compression),
        ];
        for (name, _) in flags.into_iter().filter(|(_, flag)| *flag) {
            cluster[name] = json!(true);
        }
        if let Some(config) = self.cluster.extensions.get(EXEC_EXTENSION) {
            cluster["config"] = config.clone();
        }
        cluster
    }

    fn impersonation(&self) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let User { impersonate, impersonate_uid, impersonate_groups, impersonate_extra, .. } =
            &self.user;
        if impersonate.is_empty() {
            return Ok(Vec::new());
        }
        let mut pairs = vec![("impersonate-user".to_owned(), impersonate)];
        if !impersonate_uid.is_empty() {
            pairs.push(("impersonate-uid".to_owned(), impersonate_uid));
        }
        pairs
            .extend(impersonate_groups.iter().map(|group| ("impersonate-group".to_owned(), group)));
        for (key, values) in impersonate_extra {
            let name = format!("impersonate-extra-{}", header_escaped(key));
            pairs.extend(values.iter().map(|value| (name.clone(), value)));
        }
        let header = |(name, value): (String, &String)| {
            let header = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_bytes(value.as_bytes());
            header.ok().zip(value.ok()).ok_or_else(|| {
                unusable(format!(
                    "of context {}, {name} cannot be sent: it contains a line break or another \
                     control character",
                    self.name
                ))
            })
        };
        pairs.into_iter().map(header).collect()
    }
}

/// The encoding of the keys of `as-user-extra` in client-go.
fn header_escaped(key: &str) -> String {
    key.bytes()
        .map(|byte| match byte {
            b'%' => "%25".to_owned(),
            b if b.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&b) => {
                char::from(b).to_string()
            }
            b => format!("%{b:02X}"),
        })
        .collect()
}

/// The token of an OpenID Connect provider. Only kubectl renews it with the refresh token, and
/// stores it in the kubeconfig.
fn id_token(provider: &Provider) -> Result<HeaderValue> {
    let token = provider.config.get("id-token").map(String::as_str).unwrap_or_default();
    let claims = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims: Value = claims.and_then(|c| serde_json::from_slice(&c).ok()).unwrap_or_default();
    let expires = claims["exp"].as_i64().and_then(|second| Timestamp::from_second(second).ok());
    if let (Some(expires), Ok(value)) = (expires, bearer(token))
        && Timestamp::now() < expires
    {
        return Ok(value);
    }
    let hint = "Run `kubectl get namespaces`: kubectl gets a new one and keeps it in the kubeconfig. \
                Where it does not, log in to the provider again.";
    let what = "The kubeconfig's id-token of the auth-provider oidc is missing or has expired.";
    Err(Failure::unreachable(what, hint).into())
}

/// The error for a provider that kubectl has removed.
fn removed(provider: &Provider) -> anyhow::Error {
    let name = &provider.name;
    let hint = match name.as_str() {
        "gcp" => {
            "Use the credential plugin gke-gcloud-auth-plugin: \
             `gcloud container clusters get-credentials CLUSTER` sets it."
        }
        "azure" => "Use the credential plugin kubelogin: `kubelogin convert-kubeconfig` sets it.",
        "openstack" => {
            "Use the credential plugin client-keystone-auth, and set it with \
             `kubectl config set-credentials`."
        }
        _ => "Use a credential plugin, and set it with `kubectl config set-credentials`.",
    };
    let what =
        format!("The auth-provider {name} of the kubeconfig is not known: kubectl removed it.");
    Failure::unreachable(what, hint).into()
}
