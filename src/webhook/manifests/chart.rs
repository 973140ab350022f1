//! templates/webhook.yaml → the files of the Helm chart that are made from it.
//!
//! The objects are made as `render` makes them, from settings that are placeholders. Then each
//! placeholder becomes an expression of Helm: what a setting changes in the objects, the value of
//! the chart changes too. The other files of the chart are written by hand.

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{
    ExpireScope, SERVER_UID, Settings, expire, expire_name, object, rules, secret, webhook,
};
use crate::{pki::Bundle, workload::Level};

/// Placeholders of texts, and Helm's expressions for them.
const TEXTS: [(&str, &str); 10] = [
    ("PLACEEXPIRE", "$namespace"),
    ("PLACESCHEDULE", ".Values.expire.schedule"),
    ("PLACENAMESPACE", ".Release.Namespace"),
    ("PLACENAME", ".Values.name"),
    ("PLACESECRET", ".Values.certificates.secret"),
    ("PLACEIMAGE", "include \"diyadm.webhookImage\" ."),
    ("PLACEPOLICY", ".Values.failurePolicy"),
    ("PLACETYPE", ".Values.service.type"),
    ("PLACEKEY", ".Values.namespaceLabel.key"),
    ("PLACEVALUE", ".Values.namespaceLabel.value"),
];
/// Placeholders of texts that are stored in base64, and the keys of `$certificates` for them.
const FILES: [(&str, &str); 3] = [
    ("the certificate of the CA", "ca.crt"),
    ("the certificate of the server", "server.crt"),
    ("the key of the server", "server.key"),
];
/// Placeholders of numbers, and Helm's expressions for them.
const REPLICAS: (u32, &str) = (61001, ".Values.replicas");
const PORT: (u16, &str) = (61002, ".Values.service.port");
const CONTAINER_PORT: (u16, &str) = (61003, ".Values.containerPort");
const TIMEOUT: (i32, &str) = (61004, ".Values.timeoutSeconds");

/// Stands for lines: as a key of an object, or as an item of a list.
const LINES: &str = "PLACELINES";

const UID: &str = "\
{{- with .Values.runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}";
const RESOURCES: &str = "\
resources:
  {{- toYaml .Values.resources | nindent %2 }}";
const FLAGS: &str = "\
{{- with include \"diyadm.serveFlags\" . | trim }}
  {{- . | nindent %0 }}
{{- end }}";
/// The values of namespaces in which `diyadm expire` runs, as `$namespaces`.
const EXPIRE: &str = "\
{{- if .Values.expire.enabled }}
{{- $namespaces := .Values.namespaces | default (list .Release.Namespace) }}
{{- $namespaces = .Values.expire.namespaces | default $namespaces }}
";
const EXPIRE_FLAG: &str = "\
{{- if has \"*\" $namespaces }}
- --all-namespaces
{{- else }}
- --namespaces={{ sortAlpha $namespaces | uniq | join \",\" }}
{{- end }}";
const POD: &str = "\
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent %2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent %2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent %2 }}
{{- end }}";
const RULES_FILE: &str = "\
rules.yaml: |
  {{- toYaml (dict \"rules\" .Values.rules) | nindent %2 }}";
const SELECTOR: &str = "\
namespaceSelector:
  {{- include \"diyadm.namespaceSelector\" . | trim | nindent %2 }}";

/// The paths below the chart's folder, and the texts.
///
/// # Errors
/// A template that lacks what a value of the chart sets.
pub fn chart_files() -> Result<[(&'static str, String); 3]> {
    let version = env!("CARGO_PKG_VERSION");
    let about = format!(
        "apiVersion: v2\nname: diyadm\ndescription: {}\ntype: application\nversion: {version}\n\
         appVersion: {version}\nkubeVersion: \">=1.26.0-0\"\n",
        env!("CARGO_PKG_DESCRIPTION"),
    );
    let (webhook, expire) = templates()?;
    Ok([
        ("Chart.yaml", about),
        ("templates/webhook.yaml", webhook),
        ("templates/expire.yaml", expire),
    ])
}

/// The texts of webhook.yaml and expire.yaml.
fn templates() -> Result<(String, String)> {
    let mut lines = Lines::default();
    let (namespace, name) = ("PLACENAMESPACE".to_owned(), "PLACENAME".to_owned());
    let settings = Settings {
        namespace: namespace.clone(),
        service: name,
        secret: "PLACESECRET".to_owned(),
        webhook_image: "PLACEIMAGE".to_owned(),
        pull_secrets: Vec::new(),
        run_as_user: Some(SERVER_UID),
        serve: Vec::new(),
        level: Level::Workload,
        rules: Some(String::new()),
        replicas: REPLICAS.0,
        failure_policy: "PLACEPOLICY".to_owned(),
        service_type: "PLACETYPE".to_owned(),
        port: PORT.0,
        container_port: CONTAINER_PORT.0,
        timeout_seconds: TIMEOUT.0,
        label: ("PLACEKEY".to_owned(), "PLACEVALUE".to_owned()),
        cert_dir: "/etc/webhook/certs".to_owned(),
        url: None,
        ca_pem: FILES[0].0.to_owned(),
    };
    let [ca_crt, server_crt, server_key] = FILES.map(|(place, _)| place.to_owned());
    let bundle = Bundle { ca_crt, server_crt, server_key };
    let certificates = secret(&namespace, &settings.secret, &bundle);
    let name = expire_name(&settings.service).map_err(anyhow::Error::msg)?;
    let in_scope = |scope| expire(&settings, &name, "PLACESCHEDULE", &scope);
    let one = ExpireScope::Namespaces(vec!["PLACEEXPIRE".to_owned()]);
    let expire = expire_template(in_scope(one), in_scope(ExpireScope::All))?;
    let mut objects = webhook(&settings)?;
    let [map, deployment, _, _, configuration] = objects.as_mut_slice() else {
        bail!("the webhook has {} objects", objects.len());
    };
    lines.replace(map, "/data", "rules.yaml", RULES_FILE)?;
    let pod = "/spec/template/spec";
    lines.replace(deployment, &format!("{pod}/securityContext"), "runAsUser", UID)?;
    lines.append(deployment, pod, POD)?;
    let container = format!("{pod}/containers/0");
    lines.replace(deployment, &container, "resources", RESOURCES)?;
    let args = deployment.pointer_mut(&format!("{container}/args")).and_then(Value::as_array_mut);
    let flags = lines.place(FLAGS);
    args.context("the server has no arguments")?.push(flags.into());
    let yaml = |level| anyhow::Ok(serde_yaml::to_string(&object(&rules(level))?)?);
    let (pods, workloads) = (yaml(Level::Pod)?, yaml(Level::Workload)?);
    let rules = format!(
        "rules:\n  {{{{- if eq .Values.emptying.level \"pod\" }}}}\n{}  {{{{- else }}}}\n{}  \
         {{{{- end }}}}",
        indented(&pods, 2),
        indented(&workloads, 2)
    );
    lines.replace(configuration, "/webhooks/0", "rules", &rules)?;
    for webhook in ["/webhooks/0", "/webhooks/1"] {
        lines.replace(configuration, webhook, "namespaceSelector", SELECTOR)?;
    }
    let conditions = [
        Some(".Values.certificates.create"),
        Some(".Values.rules"),
        None,
        None,
        Some("gt (int .Values.replicas) 1"),
        None,
    ];
    let mut out = "{{- /* Made by `cargo xtask chart` from templates/webhook.yaml. */ -}}\n\
                   {{- $certificates := include \"diyadm.certificates\" . | fromYaml }}\n"
        .to_owned();
    for (object, condition) in [certificates].iter().chain(&objects).zip(conditions) {
        let text = lines.fill(&serde_yaml::to_string(object)?)?;
        let text = match condition {
            Some(condition) => format!("{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n"),
            None => text,
        };
        out.extend(["---\n", &text]);
    }
    Ok((out, expire))
}

/// The objects of one namespace and those of all namespaces, which differ in a binding and in an
/// argument.
fn expire_template(mut objects: Vec<Value>, of_all: Vec<Value>) -> Result<String> {
    let mut lines = Lines::default();
    let pod = "/spec/jobTemplate/spec/template/spec";
    let job = objects.last_mut().context("there is no CronJob")?;
    lines.replace(job, &format!("{pod}/securityContext"), "runAsUser", UID)?;
    lines.append(job, pod, POD)?;
    let flag = lines.place(EXPIRE_FLAG);
    let args = job.pointer_mut(&format!("{pod}/containers/0/args"));
    let last = args.and_then(Value::as_array_mut).and_then(|args| args.last_mut());
    *last.context("the CronJob has no arguments")? = flag.into();
    let mut out = format!(
        "{{{{- /* Made by `cargo xtask chart` from src/webhook/manifests/expire.rs. */ -}}}}\n{EXPIRE}"
    );
    for (object, of_all) in objects.into_iter().zip(of_all) {
        let yaml = |object: &Value| lines.fill(&serde_yaml::to_string(object)?);
        let text = yaml(&object)?;
        if object["kind"] != "RoleBinding" {
            out.extend(["---\n", &text]);
            continue;
        }
        // In a range, the values are in `$`.
        let each = text.replace("{{ .", "{{ $.");
        let all = yaml(&of_all)?;
        out.extend(["{{- if has \"*\" $namespaces }}\n---\n", &all, "{{- else }}\n"]);
        out.extend(["{{- range $namespace := sortAlpha $namespaces | uniq }}\n---\n", &each]);
        out.push_str("{{- end }}\n{{- end }}\n");
    }
    out += "{{- end }}\n";
    Ok(out)
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

/// Lines of Helm, each under the number of its placeholder. In them `%N` is the indentation of the
/// placeholder and N more.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    /// A placeholder for these lines.
    fn place(&mut self, lines: &str) -> String {
        self.0.push(lines.to_owned());
        format!("{LINES}{}", self.0.len() - 1)
    }

    /// Replaces a member of the object at `pointer`.
    fn replace(&mut self, object: &mut Value, pointer: &str, key: &str, lines: &str) -> Result<()> {
        let members = members(object, pointer)?;
        if !members.contains_key(key) {
            bail!("{pointer} has no {key}");
        }
        let place = self.place(lines);
        let all = std::mem::take(members).into_iter();
        members.extend(all.map(|(name, value)| {
            if name == key { (place.clone(), Value::Null) } else { (name, value) }
        }));
        Ok(())
    }

    /// Adds members to the object at `pointer`.
    fn append(&mut self, object: &mut Value, pointer: &str, lines: &str) -> Result<()> {
        let place = self.place(lines);
        members(object, pointer)?.insert(place, Value::Null);
        Ok(())
    }

    /// YAML with the lines and the expressions in place of the placeholders.
    fn fill(&self, yaml: &str) -> Result<String> {
        let mut out = String::new();
        for line in yaml.lines() {
            let Some((before, place)) = line.split_once(LINES) else {
                out += &expressions(line);
                out.push('\n');
                continue;
            };
            let number: usize = place.trim_end_matches(": null").parse()?;
            let indent = before.trim_end_matches("- ").len();
            for text in self.0[number].lines() {
                let text = text
                    .replace("%0", &indent.to_string())
                    .replace("%2", &(indent + 2).to_string());
                out += &indented(&text, indent);
            }
        }
        Ok(out)
    }
}

fn members<'v>(object: &'v mut Value, pointer: &str) -> Result<&'v mut Map<String, Value>> {
    let members = object.pointer_mut(pointer).and_then(Value::as_object_mut);
    members.with_context(|| format!("the template has no {pointer}"))
}

/// A line with Helm's expressions: a text that is a whole value is quoted.
fn expressions(line: &str) -> String {
    let mut line = line.to_owned();
    for (place, expression) in TEXTS {
        if line.ends_with(&format!(" {place}")) {
            let start = line.len() - place.len();
            line.replace_range(start.., &format!("{{{{ {expression} | quote }}}}"));
        }
        line = line.replace(place, &format!("{{{{ {expression} }}}}"));
    }
    for (place, key) in FILES {
        let expression = format!("{{{{ index $certificates \"{key}\" }}}}");
        line = line.replace(&STANDARD.encode(place), &expression);
    }
    let numbers = [
        (REPLICAS.0.to_string(), REPLICAS.1),
        (PORT.0.to_string(), PORT.1),
        (CONTAINER_PORT.0.to_string(), CONTAINER_PORT.1),
        (TIMEOUT.0.to_string(), TIMEOUT.1),
    ];
    for (place, expression) in numbers {
        line = line.replace(&place, &format!("{{{{ {expression} }}}}"));
    }
    line
}
