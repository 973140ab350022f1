//! Kinds that are not built in: `kinds:` in rules.yaml, and `--kinds FILE`.
//!
//! A declared kind stays known until the process ends, like the built-in ones: emptied objects can
//! be restored even if a newer rules.yaml no longer names their kind. Therefore kinds are global
//! state here, and not passed along with each object.

use std::sync::{PoisonError, RwLock};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Count, Kind, Rollout,
    table::{ANY, CUSTOM, REPLICATED, WORKLOADS},
};

/// Maximum number of declared kinds, which are never freed; no cluster has as many.
const MOST: usize = 64;
/// The longest name or path of a declaration.
const LONGEST: usize = 253;
/// The default path of the pod template.
const TEMPLATE: &str = ".spec.template";
/// The default path of the number of Pods.
const REPLICAS: &str = ".spec.replicas";
/// Members of every object that cannot contain a pod template.
const RESERVED: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];

static DECLARED: RwLock<Vec<&'static Kind>> = RwLock::new(Vec::new());

/// A kind as rules.yaml and `--kinds FILE` declare it.
#[derive(Clone, Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Declaration {
    /// Its API group: `example.com`.
    group: String,
    /// `v1`
    version: String,
    /// `Widget`
    kind: String,
    /// By default the kind in lower case with an `s`.
    plural: Option<String>,
    /// As in its CustomResourceDefinition.
    #[serde(default)]
    short_names: Vec<String>,
    /// The path of its pod template; by default `.spec.template`.
    pod_template: Option<String>,
    /// `.spec.replicas`, if the kind has a number of Pods.
    replicas: Option<String>,
    /// Whether its pod template can be changed in place.
    #[serde(default = "yes")]
    mutable: bool,
}

fn yes() -> bool {
    true
}

impl Declaration {
    fn plural(&self) -> String {
        self.plural.clone().unwrap_or_else(|| format!("{}s", self.kind.to_lowercase()))
    }

    fn pod_template(&self) -> &str {
        self.pod_template.as_deref().unwrap_or(TEMPLATE)
    }

    /// Fails if this cannot be a workload kind.
    fn check(&self) -> Result<(), String> {
        let name = |text: &str, more: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            !text.is_empty() && text.len() <= LONGEST && text.chars().all(fits)
        };
        let lower = |word: &String| name(word, "") && *word == word.to_ascii_lowercase();
        let steps = || self.pod_template().strip_prefix('.').map(|path| path.split('.'));
        let is_path = steps().is_some_and(|mut steps| steps.all(|step| name(step, "-_")))
            && steps().is_some_and(|steps| steps.count() <= 8)
            && !steps().and_then(|mut steps| steps.next()).is_some_and(|s| RESERVED.contains(&s))
            && self.pod_template() != ".spec";
        let rules = [
            (
                name(&self.group, "-.") && self.group.contains('.'),
                "`group` must be the group of a CustomResourceDefinition, such as example.com",
            ),
            (
                name(&self.version, "") && name(&self.kind, ""),
                "`version` and `kind` must be single words, such as v1 and Widget",
            ),
            (
                self.plural.iter().chain(&self.short_names).all(lower),
                "`plural` and `shortNames` must be words in lower case, such as widgets",
            ),
            (
                self.replicas.as_deref().is_none_or(|path| path == REPLICAS),
                "`replicas` must be `.spec.replicas`, or absent",
            ),
            (is_path, "`podTemplate` must be a path of names, such as .spec.template"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, why)) => Err((*why).to_owned()),
            None => Ok(()),
        }
    }

    /// Whether this equals the known declaration of `kind`.
    fn agrees_with(&self, kind: &Kind) -> bool {
        self.plural() == kind.plural
            && self.pod_template() == kind.template().replace('/', ".")
            && self.replicas.is_some() == kind.replicas
            && self.mutable == kind.mutable
    }

    fn into_kind(self) -> Kind {
        let steps = self.pod_template().split('.').skip(1).chain(["spec"]);
        let pod = Vec::leak(steps.map(|step| leak(step.to_owned())).collect());
        let plural = leak(self.plural());
        let short = Vec::leak(self.short_names.into_iter().map(leak).collect());
        let replicated = self.replicas.is_some();
        Kind {
            group: leak(self.group),
            version: leak(self.version),
            kind: leak(self.kind),
            plural,
            short,
            pod,
            mutable: self.mutable,
            replicas: replicated,
            own_fields: if replicated { REPLICATED.own_fields } else { &[] },
            count: Count {
                wanted: REPLICATED.count.wanted.filter(|_| replicated),
                ..REPLICATED.count
            },
            rollout: Rollout::Unknown,
            ..ANY
        }
    }
}

/// A process declares few kinds, each once.
fn leak(text: String) -> &'static str {
    String::leak(text)
}

/// The declaration of a kind, for `kinds:`.
pub(super) fn declaration(kind: &Kind) -> Value {
    let mut declaration = json!({
        "group": kind.group, "version": kind.version, "kind": kind.kind,
        "plural": kind.plural, "shortNames": kind.short, "mutable": kind.mutable,
        "podTemplate": kind.template().replace('/', "."),
    });
    if kind.replicas {
        declaration["replicas"] = REPLICAS.into();
    }
    declaration
}

/// Registers a kind. An equal registered kind stays as it is.
///
/// # Errors
/// What cannot be a kind of workload, a kind that is known in another form, and more kinds than any
/// cluster has.
pub fn declare(declaration: Declaration) -> Result<(), String> {
    add(&mut DECLARED.write().unwrap_or_else(PoisonError::into_inner), declaration)
}

fn add(declared: &mut Vec<&'static Kind>, declaration: Declaration) -> Result<(), String> {
    declaration.check()?;
    let Declaration { group, version, kind, .. } = &declaration;
    let is_same =
        |known: &&&Kind| known.kind == kind && known.group == group && known.version == version;
    match WORKLOADS.iter().chain(&CUSTOM).chain(declared.iter()).find(is_same) {
        Some(known) if declaration.agrees_with(known) => Ok(()),
        Some(_) => Err(format!("{kind}.{version}.{group} is already known in another form")),
        None if declared.len() == MOST => Err(format!("more than {MOST} kinds are declared")),
        None => {
            declared.push(Box::leak(Box::new(declaration.into_kind())));
            Ok(())
        }
    }
}

/// Every declared kind.
pub fn declared() -> Vec<&'static Kind> {
    DECLARED.read().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Declaration {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn declared_kind_is_added_once_and_conflicting_declarations_are_refused() {
        let text = r#"{ "group": "declared.example", "version": "v1", "kind": "Gadget",
            "podTemplate": ".spec.work.template", "replicas": ".spec.replicas" }"#;
        let mut all = Vec::new();
        add(&mut all, parsed(text)).unwrap();
        let kind = all[0];
        assert_eq!((kind.plural, kind.template()), ("gadgets", "/spec/work/template".to_owned()));
        assert!(kind.mutable && kind.replicas && kind.is_custom());
        add(&mut all, serde_json::from_value(declaration(kind)).unwrap()).unwrap();
        assert_eq!(all.len(), 1);
        let error = add(&mut all, parsed(&text.replace("work.", ""))).unwrap_err();
        assert!(error.contains("another form"), "{error}");
    }

    #[test]
    fn built_in_custom_kinds_can_be_declared() {
        let mut all = Vec::new();
        for kind in CUSTOM {
            add(&mut all, serde_json::from_value(declaration(kind)).unwrap()).unwrap();
        }
        assert!(all.is_empty());
        let error = add(
            &mut all,
            parsed(r#"{ "group": "argoproj.io", "version": "v1alpha1", "kind": "Rollout" }"#),
        );
        assert!(error.unwrap_err().contains("another form"));
    }

    #[test]
    fn invalid_kind_declarations_are_refused() {
        let base = r#"{ "group": "a.b", "version": "v1", "kind": "X", MORE }"#;
        for (more, word) in [
            (r#""plural": "X s""#, "lower case"),
            (r#""podTemplate": "spec.template""#, "podTemplate"),
            (r#""podTemplate": ".metadata.template""#, "podTemplate"),
            (r#""podTemplate": ".spec""#, "podTemplate"),
            (r#""podTemplate": ".spec..template""#, "podTemplate"),
            (r#""podTemplate": ".spec.list[0]""#, "podTemplate"),
            (r#""podTemplate": ".a.b.c.d.e.f.g.h.i""#, "podTemplate"),
            (r#""replicas": ".spec.size""#, "replicas"),
        ] {
            let error = add(&mut Vec::new(), parsed(&base.replace("MORE", more))).unwrap_err();
            assert!(error.contains(word), "{more}: {error}");
        }
        let core = parsed(r#"{ "group": "apps", "version": "v1", "kind": "X" }"#);
        let error = add(&mut Vec::new(), core).unwrap_err();
        assert!(error.contains("`group`"), "{error}");
        let many = |number: usize| {
            parsed(&format!(r#"{{ "group": "a.b", "version": "v1", "kind": "X{number}" }}"#))
        };
        let mut all = Vec::new();
        let errors: Vec<_> =
            (0..=MOST).filter_map(|number| add(&mut all, many(number)).err()).collect();
        assert_eq!(errors, ["more than 64 kinds are declared"]);
    }
}
