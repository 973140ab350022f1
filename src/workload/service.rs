//! Adds a debugger port or another type to a Service, and restores it.
//!
//! `diyadm.io/debug-port: "5005"` adds that port with the name `debug`; `diyadm.io/service-type:
//! NodePort` sets the type. As for a pod template, the user's last intended state is computed
//! first, and the requested changes are applied to it.

use jsonptr::PointerBuf;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Change, DEBUG_PORT, ORIGINAL, SERVICE_TYPE, Warning, annotate,
    annotations::{DEBUG_PORT_NAME, SERVICE_TYPES},
    members::Presence,
    original,
    patch::Patch,
    untrusted,
    view::{Object, Service},
};

/// With two ports, all ports of a Service need a name; a single one may have had none.
const FIRST: &str = "app";

/// The changes, and the previous state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opened {
    annotations: Presence,
    /// The port that was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// Whether there were ports before.
    #[serde(default)]
    ports: Presence,
    /// Whether diyadm named the first port.
    #[serde(default)]
    named: bool,
    /// The type that was set, and the previous JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#type: Option<(String, Option<String>)>,
}

/// Current or wanted ports and type.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    presence: Presence,
    ports: Vec<Value>,
    /// JSON text; `None` if it is absent.
    r#type: Option<String>,
}

impl Shape {
    /// JSON text of the ports; `None` if they are absent.
    fn ports_text(&self) -> Option<String> {
        match self.presence {
            Presence::Absent => None,
            Presence::Null => Some("null".to_owned()),
            Presence::Present => Some(Value::from(self.ports.clone()).to_string()),
        }
    }
}

fn now(service: &Service<'_, '_>) -> Shape {
    let (presence, ports) = service.ports();
    Shape { presence, ports, r#type: service.r#type().map(ToOwned::to_owned) }
}

/// The user's last intended state, without diyadm's changes.
fn meant(now: &Shape, opened: &Opened) -> Shape {
    let mut shape = now.clone();
    if let Some(port) = opened.port {
        let before = shape.ports.len();
        shape.ports.retain(|entry| !(entry["name"] == DEBUG_PORT_NAME && entry["port"] == port));
        if shape.ports.is_empty() && shape.ports.len() < before {
            shape.presence = opened.ports;
        }
        if opened.named
            && let [Value::Object(only)] = shape.ports.as_mut_slice()
            && only.get("name").is_some_and(|name| name == FIRST)
        {
            only.shift_remove("name");
        }
    }
    if let Some((set, was)) = &opened.r#type
        && shape.r#type.as_deref() == Some(&Value::from(set.as_str()).to_string())
    {
        shape.r#type.clone_from(was);
    }
    shape
}

/// Applies the annotations to `shape`; returns warnings for invalid ones.
fn wanted(
    object: &Object<'_>,
    service: &Service<'_, '_>,
    shape: &mut Shape,
    opened: &mut Opened,
) -> Vec<Warning> {
    let (port, kind) = (object.annotation(DEBUG_PORT), object.annotation(SERVICE_TYPE));
    let mut warnings = Vec::new();
    if port.is_none() && kind.is_none() {
        return warnings;
    }
    if service.is_headless() || shape.r#type.as_deref() == Some("\"ExternalName\"") {
        warnings.push(Warning::ServiceWithoutAddress);
        return warnings;
    }
    match port.map(|text| (text, text.parse::<u16>())) {
        None => {}
        Some((text, Err(_) | Ok(0))) => {
            warnings.push(Warning::DebugPort(text.to_owned()));
        }
        Some((_, Ok(port))) => {
            let tcp = |entry: &Value| entry["protocol"].as_str().unwrap_or("TCP") == "TCP";
            if shape.ports.iter().any(|entry| entry["port"] == port && tcp(entry)) {
                warnings.push(Warning::PortTaken(port));
            } else if shape.ports.iter().any(|entry| entry["name"] == DEBUG_PORT_NAME) {
                warnings.push(Warning::PortNameTaken);
            } else {
                add(shape, opened, port);
            }
        }
    }
    match kind {
        None => {}
        Some(kind) if SERVICE_TYPES.contains(&kind) => {
            let text = Value::from(kind).to_string();
            if shape.r#type.as_deref() != Some(&text) {
                opened.r#type = Some((kind.to_owned(), shape.r#type.replace(text)));
            }
        }
        Some(kind) => {
            warnings.push(Warning::ServiceType { kind: kind.to_owned() });
        }
    }
    warnings
}

fn add(shape: &mut Shape, opened: &mut Opened, port: u16) {
    (opened.port, opened.ports) = (Some(port), shape.presence);
    if let [Value::Object(only)] = shape.ports.as_mut_slice()
        && !only.contains_key("name")
    {
        opened.named = true;
        // In the order of Go's encoder, for readers of the object.
        let mut first: Map<_, _> = [("name".to_owned(), FIRST.into())].into_iter().collect();
        first.append(only);
        *only = first;
    }
    shape.presence = Presence::Present;
    shape.ports.push(
        json!({ "name": DEBUG_PORT_NAME, "protocol": "TCP", "port": port, "targetPort": port }),
    );
}

/// Applies the annotations, and undoes what they no longer request.
pub(super) fn open(object: &Object<'_>, service: &Service<'_, '_>) -> Change {
    let old = match object.annotation(ORIGINAL).map(self::opened) {
        Some(Ok(opened)) => Some(opened),
        Some(Err(why)) => return untrusted(&why),
        None => None,
    };
    let is = now(service);
    let mut shape = old.as_ref().map_or_else(|| is.clone(), |old| meant(&is, old));
    let before = old.as_ref().map_or_else(|| object.annotations_presence(), |old| old.annotations);
    let mut new = Opened { annotations: before, ..Opened::default() };
    let warnings = wanted(object, service, &mut shape, &mut new);
    let mut patch = Patch::default();
    put(&mut patch, &is, &shape);
    let opens = new.port.is_some() || new.r#type.is_some();
    let text = opens.then(|| original::seal(&new));
    if !annotate(&mut patch, object, &[(ORIGINAL, text.as_deref())], before) {
        return Change::warned(Warning::TooLarge);
    }
    Change { patch: patch.finish(), warnings }
}

/// Undoes everything.
pub(super) fn close(object: &Object<'_>, service: &Service<'_, '_>, text: &str) -> Change {
    let opened = match opened(text) {
        Ok(opened) => opened,
        Err(why) => return untrusted(&why),
    };
    let is = now(service);
    let mut patch = Patch::default();
    put(&mut patch, &is, &meant(&is, &opened));
    annotate(&mut patch, object, &[(ORIGINAL, None)], opened.annotations);
    Change { patch: patch.finish(), warnings: Vec::new() }
}

fn opened(text: &str) -> Result<Opened, String> {
    let opened: Opened = original::open(text)?;
    let known = opened.r#type.as_ref().is_none_or(|(_, was)| match was.as_deref() {
        None => true,
        Some(was) => serde_json::from_str::<Value>(was).is_ok(),
    });
    if known { Ok(opened) } else { Err("it contains values that diyadm never writes".to_owned()) }
}

fn put(patch: &mut Patch, is: &Shape, to: &Shape) {
    let spec = PointerBuf::from_tokens(["spec"]);
    let (ports, new) = (is.ports_text(), to.ports_text());
    if ports != new {
        patch.put(&spec.with_trailing_token("ports"), ports.is_some(), new.as_deref());
    }
    if is.r#type != to.r#type {
        patch.put(&spec.with_trailing_token("type"), is.r#type.is_some(), to.r#type.as_deref());
    }
}
