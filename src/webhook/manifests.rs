//! Templates → objects: the webhook's Deployment, Service, configuration and related objects.
//!
//! The templates are valid YAML without placeholders: they are parsed into k8s-openapi types,
//! fields are set, and the objects are serialized. Text in YAML is never replaced.

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::{
            MutatingWebhookConfiguration, RuleWithOperations, WebhookClientConfig,
        },
        apps::v1::Deployment,
        core::v1::{LocalObjectReference, Service},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    kinds::{self, Kind, POD},
    pki::Bundle,
    workload::{ENABLED, LABEL, Level, WEBHOOK_NAMESPACE},
};

mod chart;
mod expire;
mod policy;

pub use chart::chart_files;
pub use expire::{ExpireScope, expire, expire_name, expire_rights};
pub use policy::policy;

/// The image of the webhook's server.
pub const WEBHOOK_IMAGE: &str = "admissionwebhook:latest";
/// The blog's certificate request, with the repository's names.
const CSR_CONF: &str = include_str!("../../csr.conf");
const WEBHOOK: &str = include_str!("../../templates/webhook.yaml");
/// The user of the webhook's server in its image and its Pods.
pub const SERVER_UID: i64 = 65532;
/// The mount path of rules.yaml in the template.
const RULES_DIR: &str = "/etc/webhook/rules";
/// The Deployment that `verify` creates.
pub const TEST: &str = include_str!("../../templates/test.yaml");

/// Parameters of the manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Of the webhook.
    pub namespace: String,
    /// Name of Service, Deployment, configuration.
    pub service: String,
    /// Secret with the certificates.
    pub secret: String,
    /// Of the webhook's server.
    pub webhook_image: String,
    /// Names of the Secrets for pulling it.
    pub pull_secrets: Vec<String>,
    /// User of the server; `None` leaves it to the image or the cluster.
    pub run_as_user: Option<i64>,
    /// Flags of `diyadm serve` that control how workloads are emptied.
    pub serve: Vec<String>,
    /// Whether workloads or Pods are sent to the webhook.
    pub level: Level,
    /// rules.yaml; the server also uses a ConfigMap that is created later.
    pub rules: Option<String>,
    /// Of the webhook's server.
    pub replicas: u32,
    /// `Ignore` or `Fail`.
    pub failure_policy: String,
    /// `ClusterIP` or `NodePort`.
    pub service_type: String,
    /// Of the Service.
    pub port: u16,
    /// Of the container.
    pub container_port: u16,
    /// 1 to 30.
    pub timeout_seconds: i32,
    /// Key and value of the namespace's label.
    pub label: (String, String),
    /// Mount path of the Secret.
    pub cert_dir: String,
    /// `https://HOST:PORT` instead of a Service; then only the configuration is rendered.
    pub url: Option<String>,
    /// PEM of the CA.
    pub ca_pem: String,
}

/// The webhook's objects in the order in which they are applied: the ConfigMap with rules (if any),
/// Deployment, Service, PodDisruptionBudget (with more than one replica), and the
/// MutatingWebhookConfiguration last.
pub fn webhook(settings: &Settings) -> Result<Vec<Value>> {
    let (mut deployment, mut service, mut budget, mut configuration) = templates()?;
    configure(&mut configuration, settings);
    let configuration = object(&configuration)?;
    if settings.url.is_some() {
        return Ok(vec![configuration]);
    }
    for meta in [&mut deployment.metadata, &mut service.metadata, &mut budget.metadata] {
        rename(meta, settings);
        meta.namespace = Some(settings.namespace.clone());
    }
    deploy(&mut deployment, settings);
    let spec = service.spec.get_or_insert_default();
    spec.type_ = Some(settings.service_type.clone());
    spec.selector.get_or_insert_default().insert("app".to_owned(), settings.service.clone());
    for port in spec.ports.iter_mut().flatten() {
        port.port = settings.port.into();
    }
    let mut objects = vec![object(&deployment)?, object(&service)?];
    let declared = kinds::declared();
    if settings.rules.is_some() || !declared.is_empty() {
        objects.insert(0, rules_map(settings, &declared)?);
    }
    if settings.replicas > 1 {
        select(&mut budget.spec.get_or_insert_default().selector, settings);
        objects.push(object(&budget)?);
    }
    objects.push(configuration);
    Ok(objects)
}

fn deploy(deployment: &mut Deployment, settings: &Settings) {
    let spec = deployment.spec.get_or_insert_default();
    spec.replicas = i32::try_from(settings.replicas).ok();
    let app = ("app".to_owned(), settings.service.clone());
    spec.selector.match_labels.get_or_insert_default().extend([app.clone()]);
    let meta = spec.template.metadata.get_or_insert_default();
    meta.labels.get_or_insert_default().extend([app]);
    let pod = spec.template.spec.get_or_insert_default();
    if !settings.pull_secrets.is_empty() {
        let named = |name: &String| LocalObjectReference { name: name.clone() };
        pod.image_pull_secrets = Some(settings.pull_secrets.iter().map(named).collect());
    }
    pod.security_context.get_or_insert_default().run_as_user = settings.run_as_user;
    for constraint in pod.topology_spread_constraints.iter_mut().flatten() {
        select(&mut constraint.label_selector, settings);
    }
    for secret in pod.volumes.iter_mut().flatten().filter_map(|v| v.secret.as_mut()) {
        secret.secret_name = Some(settings.secret.clone());
    }
    for map in pod.volumes.iter_mut().flatten().filter_map(|v| v.config_map.as_mut()) {
        map.name = rules_name(&settings.service);
    }
    let Settings { cert_dir, namespace, service, .. } = settings;
    for container in &mut pod.containers {
        container.name.clone_from(service);
        container.image = Some(settings.webhook_image.clone());
        let mut args = vec![
            "serve".to_owned(),
            format!("--listen=0.0.0.0:{}", settings.container_port),
            format!("--cert={cert_dir}/server.crt"),
            format!("--key={cert_dir}/server.key"),
            format!("--rules={RULES_DIR}/rules.yaml"),
            format!("--self-name={namespace}/{service}"),
        ];
        if !kinds::declared().is_empty() {
            args.push(format!("--kinds={RULES_DIR}/kinds.yaml"));
        }
        args.extend(settings.serve.iter().cloned());
        container.args = Some(args);
        let mounts = container.volume_mounts.iter_mut().flatten();
        for mount in mounts.filter(|mount| mount.name == "webhook-certs") {
            mount.mount_path.clone_from(cert_dir);
        }
        let ports = container.ports.iter_mut().flatten();
        for port in ports.filter(|p| p.name.as_deref() == Some("webhook")) {
            port.container_port = settings.container_port.into();
        }
    }
}

fn configure(configuration: &mut MutatingWebhookConfiguration, settings: &Settings) {
    rename(&mut configuration.metadata, settings);
    for webhook in configuration.webhooks.iter_mut().flatten() {
        // One has the Service's name, the other has a prefix.
        let own = format!("{}.{}.svc", settings.service, settings.namespace);
        let is_services = webhook.name.starts_with("services.");
        webhook.name = if is_services { format!("services.{own}") } else { own };
        webhook.failure_policy = Some(settings.failure_policy.clone());
        webhook.timeout_seconds = Some(settings.timeout_seconds);
        if !is_services {
            webhook.rules = Some(rules(settings.level));
        }
        let client: &mut WebhookClientConfig = &mut webhook.client_config;
        client.ca_bundle = Some(ByteString(settings.ca_pem.clone().into_bytes()));
        if let Some(service) = &mut client.service {
            service.name.clone_from(&settings.service);
            service.namespace.clone_from(&settings.namespace);
            service.port = Some(settings.port.into());
        }
        if let Some(url) = &settings.url {
            let service = client.service.take();
            let path = service.and_then(|s| s.path).unwrap_or_default();
            client.url = Some(format!("{}{path}", url.trim_end_matches('/')));
            let home = (WEBHOOK_NAMESPACE.to_owned(), settings.namespace.clone());
            configuration.metadata.annotations.get_or_insert_default().extend([home]);
        }
        let selector = webhook.namespace_selector.get_or_insert_default();
        selector.match_labels = Some([settings.label.clone()].into());
        let own = webhook.object_selector.get_or_insert_default();
        for expression in own.match_expressions.iter_mut().flatten() {
            expression.values = Some(vec![settings.service.clone()]);
        }
    }
}

/// Name of the ConfigMap with rules.yaml, for the webhook of that name.
pub fn rules_name(service: &str) -> String {
    format!("{service}-rules")
}

/// rules.yaml, and the kinds that this process knows.
fn rules_map(settings: &Settings, declared: &[&Kind]) -> Result<Value> {
    let mut data = json!({});
    if let Some(rules) = &settings.rules {
        data["rules.yaml"] = rules.as_str().into();
    }
    if !declared.is_empty() {
        let kinds: Vec<_> = declared.iter().map(|kind| kind.declaration()).collect();
        data["kinds.yaml"] = serde_yaml::to_string(&json!({ "kinds": kinds }))?.into();
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": rules_name(&settings.service),
            "namespace": settings.namespace,
            "labels": { "app": settings.service },
        },
        "data": data,
    }))
}

/// The objects sent to the webhook: at level `pod` only Pods, when they are created.
fn rules(level: Level) -> Vec<RuleWithOperations> {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let mut rules: Vec<RuleWithOperations> = Vec::new();
    for kind in kinds::workloads().filter(|kind| level == Level::Workload || *kind == &POD) {
        // A Pod cannot be emptied after its creation.
        let operations: &[&str] = if kind == &POD { &["CREATE"] } else { &["CREATE", "UPDATE"] };
        let rule = RuleWithOperations {
            api_groups: words(&[kind.group]),
            api_versions: words(&[kind.version]),
            operations: words(operations),
            resources: words(&[kind.plural]),
            scope: Some("Namespaced".to_owned()),
        };
        let alike = rules.iter_mut().find(|known| {
            (&known.api_groups, &known.api_versions) == (&rule.api_groups, &rule.api_versions)
        });
        match alike {
            Some(known) => known.resources.get_or_insert_default().push(kind.plural.to_owned()),
            None => rules.push(rule),
        }
    }
    rules
}

fn rename(meta: &mut ObjectMeta, settings: &Settings) {
    meta.name = Some(settings.service.clone());
    meta.labels.get_or_insert_default().insert("app".to_owned(), settings.service.clone());
}

fn select(selector: &mut Option<LabelSelector>, settings: &Settings) {
    let labels = [("app".to_owned(), settings.service.clone())].into();
    selector.get_or_insert_default().match_labels = Some(labels);
}

type Templates = (Deployment, Service, PodDisruptionBudget, MutatingWebhookConfiguration);

fn templates() -> Result<Templates> {
    let mut documents = serde_yaml::Deserializer::from_str(WEBHOOK);
    Ok((
        next(documents.next())?,
        next(documents.next())?,
        next(documents.next())?,
        next(documents.next())?,
    ))
}

fn next<T: DeserializeOwned>(document: Option<serde_yaml::Deserializer<'_>>) -> Result<T> {
    let document = document.context("templates/webhook.yaml lacks a document")?;
    T::deserialize(document).context("templates/webhook.yaml is not what it should be")
}

fn object<T: serde::Serialize>(typed: &T) -> Result<Value> {
    Ok(serde_json::to_value(typed)?)
}

/// A namespace with the label that turns emptying on: the fields that diyadm owns.
pub fn namespace(name: &str, (key, value): &(String, String)) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name, "labels": { key: value } },
    })
}

/// The Secret with the certificates.
pub fn secret(namespace: &str, name: &str, bundle: &Bundle) -> Value {
    let Bundle { ca_crt, server_crt, server_key } = bundle;
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "namespace": namespace },
        "type": "Opaque",
        "data": {
            "ca.crt": STANDARD.encode(ca_crt),
            "server.crt": STANDARD.encode(server_crt),
            "server.key": STANDARD.encode(server_key),
        },
    })
}

/// templates/test.yaml in `namespace`.
pub fn test_deployment(namespace: &str) -> Result<Value> {
    let mut deployment: Deployment = serde_yaml::from_str(TEST)?;
    deployment.metadata.namespace = Some(namespace.to_owned());
    object(&deployment)
}

/// The Pod of templates/test.yaml in `namespace`, without an owner: it has the label that requests
/// emptying, since a policy ignores other Pods without an owner.
pub fn test_pod(namespace: &str) -> Result<Value> {
    let deployment = test_deployment(namespace)?;
    let template = &deployment["spec"]["template"];
    let mut pod = json!({ "apiVersion": "v1", "kind": "Pod", "spec": template["spec"] });
    pod["metadata"] = json!({
        "name": deployment["metadata"]["name"],
        "namespace": namespace,
        "labels": template["metadata"]["labels"],
        "annotations": { LABEL: ENABLED },
    });
    Ok(pod)
}

/// The object of templates/test.yaml in `namespace` that a webhook at `level` empties.
pub fn test_object(namespace: &str, level: Level) -> Result<Value> {
    match level {
        Level::Workload => test_deployment(namespace),
        Level::Pod => test_pod(namespace),
    }
}

/// The text of csr.conf for a Service: the repository's own with the names replaced.
pub fn csr_conf(service: &str, namespace: &str) -> String {
    let host = format!("{service}.{namespace}.svc");
    // ub-common-name of X.520. It is ignored: only subjectAltNames are used.
    let common = if host.len() > 64 { service } else { &host };
    let blog = "diyadmissionwebhook.test.svc";
    CSR_CONF
        .replace(&format!("CN = {blog}"), &format!("CN = {common}"))
        .replace(&format!("DNS.1 = {blog}"), &format!("DNS.1 = {host}"))
}

/// Objects as YAML, `---` between them.
pub fn to_yaml(objects: &[Value]) -> Result<String> {
    let texts: Vec<_> = objects.iter().map(serde_yaml::to_string).collect::<Result<_, _>>()?;
    Ok(texts.join("---\n"))
}
