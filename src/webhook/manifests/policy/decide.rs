//! Decides in CEL whether and how a Pod is emptied: the equivalent of [`Rules::decide`] and of the
//! container choice in Rust.

use super::{
    cel,
    mutate::{Form, cases},
    stand_in,
};
use crate::explain;
use crate::kinds::{self, Kind};
use crate::workload::{
    AGENT, CONTAINERS, COPY, COPY_OF, Choice, DEFAULT_CONTAINER, ENABLED, HELPERS, IDLE, IMAGE,
    INJECTED, Image, LABEL, LEVEL, LONGEST_IMAGE, Level, Match, NOT_IN_IMAGE, ORIGINAL, OS_LABELS,
    PROGRAM, REPLICAS, Rule, Rules, STAND_IN, SUSPEND,
};

/// The policy's variables, in order. The last one is `chosen`: the indexes of the containers to
/// empty; empty if the Pod stays as it is.
pub(super) fn variables(rules: &Rules) -> Vec<(&'static str, String)> {
    let level = Some(rules.flags.level.unwrap_or(Level::Pod));
    let flags = Choice { level, ..rules.flags.clone() };
    let part = |none: &str, pick: &dyn Fn(&Choice) -> Option<String>| {
        part(&rules.list, &flags, none, pick)
    };
    let image = |image: &Image| match image {
        Image::Keep => cel::text("keep"),
        Image::Name(name) => cel::text(name),
    };
    let mut all = vec![
        ("notes", "object.metadata[?\"annotations\"].orValue(dyn({}))".to_owned()),
        ("labels", "object.metadata[?\"labels\"].orValue(dyn({}))".to_owned()),
        (
            "owners",
            "object.metadata[?\"ownerReferences\"].orValue(dyn([]))\
             .filter(o, o[?\"controller\"].orValue(false))"
                .to_owned(),
        ),
    ];
    if !rules.list.is_empty() {
        all.extend(names());
        all.push(("rule", rule(&rules.list)));
    }
    all.extend([
        ("standIn", {
            let said = |c: &Choice| c.stand_in.map(|stand_in| cel::text(&stand_in.to_string()));
            noted(STAND_IN, &part(&cel::text("false"), &said))
        }),
        ("given", stand_in::given()),
        ("empty", part("true", &|c| c.empty.map(|empty| empty.to_string()))),
        ("wanted", {
            let said =
                part("[]", &|c| c.containers.as_ref().map(|names| cel::list([names.as_str()])));
            format!("{}.optMap(names, [string(names)]).orValue({said})", cel::note(CONTAINERS))
        }),
        ("image", {
            let none = cel::text(&rules.empty_image);
            let none = format!("({} ? \"keep\" : {none})", stand_in::WANTED);
            noted(IMAGE, &part(&none, &|c| c.image.as_ref().map(image)))
        }),
        ("idle", {
            let default = format!(
                "({} ? \"agent\" : variables.image == \"keep\" ? \"shell\" : \"entrypoint\")",
                stand_in::WANTED
            );
            noted(IDLE, &part(&default, &|c| c.idle.map(|idle| cel::text(explain::idle(idle)))))
        }),
        ("level", noted(LEVEL, &part("", &|c| c.level.map(|l| cel::text(explain::level(l)))))),
        ("containers", "object.spec.containers".to_owned()),
        ("own", {
            let injected = cel::list(INJECTED);
            format!(
                "lists.range(size(variables.containers))\
                 .filter(i, !(variables.containers[i].name in {injected}))"
            )
        }),
        ("main", {
            let names = cel::list(HELPERS);
            let images = cel::text(&format!("(^|/)({})(:[^/]*)?(@.*)?$", HELPERS.join("|")));
            format!(
                "variables.own.filter(i, !(variables.containers[i].name in {names} || \
                 variables.containers[i][?\"image\"].orValue(\"\").matches({images})))"
            )
        }),
        ("candidates", candidates()),
        ("stays", stays(rules)),
        ("chosen", "variables.stays ? [] : variables.candidates".to_owned()),
    ]);
    all
}

/// An annotation's value, else `otherwise`.
fn noted(key: &str, otherwise: &str) -> String {
    format!("string({}.orValue({otherwise}))", cel::note(key))
}

/// The value of the matching rule, else of the flag, else `none`.
fn part(
    list: &[Rule],
    flags: &Choice,
    none: &str,
    pick: &dyn Fn(&Choice) -> Option<String>,
) -> String {
    let otherwise = pick(flags).unwrap_or_else(|| none.to_owned());
    let said = (1..).zip(list).filter_map(|(number, rule)| Some((number, pick(&rule.choice)?)));
    let said: Vec<(usize, String)> = said.filter(|(_, said)| *said != otherwise).collect();
    let said: String = said
        .iter()
        .map(|(number, said)| format!("variables.rule == {number} ? {said} : "))
        .collect();
    if said.is_empty() { otherwise } else { format!("({said}{otherwise})") }
}

/// Kind and name of the Pod's workload: a Deployment's ReplicaSet is NAME-HASH, and its Pods have
/// the hash; a CronJob's Job is NAME-MINUTES.
fn names() -> [(&'static str, String); 3] {
    let first = |field: &str| {
        format!("size(variables.owners) == 0 ? \"\" : string(variables.owners[0].{field})")
    };
    let of_replica_set = |kind: &Kind| {
        let (kind, label) = (cel::text(kind.kind), cel::text(kind.hash_label()?));
        let hash = format!("string(variables.labels[?{label}].orValue(\"\"))");
        Some(format!(
            "variables.ownerKind == \"ReplicaSet\" && {hash} != \"\" && \
             variables.ownerName.endsWith(\"-\" + {hash}) ? \
             [[{kind}, variables.ownerName.substring(0, \
             size(variables.ownerName) - size({hash}) - 1)]] : "
        ))
    };
    let of_replica_sets: String = kinds::workloads().filter_map(of_replica_set).collect();
    let names = format!(
        "variables.ownerKind == \"\" ? [[\"Pod\", \
         string(object.metadata[?\"name\"].or(object.metadata[?\"generateName\"]).orValue(\"\"))]] : \
         {of_replica_sets}\
         (variables.ownerKind == \"Job\" && variables.ownerName.matches(\"-(2[7-9]|[3-9][0-9])[0-9]{{6}}$\") ? \
         [[\"CronJob\", variables.ownerName.substring(0, variables.ownerName.lastIndexOf(\"-\"))]] : \
         []) + [[variables.ownerKind, variables.ownerName]]"
    );
    [("ownerKind", first("kind")), ("ownerName", first("name")), ("names", names)]
}

/// The number of the first matching rule; 0 if there is none.
fn rule(list: &[Rule]) -> String {
    let cases = (1..).zip(list).map(|(n, rule)| format!("{} ? {n} : ", fits(&rule.r#match)));
    cases.collect::<String>() + "0"
}

fn fits(Match { namespaces, kinds, names, labels }: &Match) -> String {
    let mut all = Vec::new();
    if !namespaces.is_empty() {
        all.push(cel::fits("request.namespace", namespaces));
    }
    let mut one = Vec::new();
    if !kinds.is_empty() {
        let meant = |kind: &&Kind| kinds.iter().any(|word| kind.is_called(word));
        let meant = kinds::workloads().filter(meant).map(|kind| kind.kind);
        one.push(format!("n[0] in {}", cel::list(meant)));
    }
    if !names.is_empty() {
        one.push(cel::fits("n[1]", names));
    }
    if !one.is_empty() {
        all.push(format!("variables.names.exists(n, {})", one.join(" && ")));
    }
    for (key, pattern) in labels {
        let fits = cel::fits("v", std::slice::from_ref(pattern));
        all.push(format!("variables.labels[?{}].optMap(v, {fits}).orValue(false)", cel::text(key)));
    }
    if all.is_empty() { "true".to_owned() } else { all.join(" && ") }
}

/// The containers that would be emptied; empty if a named one does not exist.
fn candidates() -> String {
    let key = cel::text(DEFAULT_CONTAINER);
    let name = "variables.containers[i].name";
    let list = "variables.wanted[0].split(\",\")";
    let meant = format!(
        "(({key} in variables.notes ? \
         variables.own.filter(i, {name} == variables.notes[{key}]) : []) + variables.main + variables.own)"
    );
    format!(
        "size(variables.own) == 0 ? [] : \
         size(variables.wanted) == 0 ? [{meant}[0]] : \
         variables.wanted[0] == \"*\" ? variables.own : \
         {list}.all(n, variables.own.exists(i, {name} == n.trim())) ? \
         variables.own.filter(i, {list}.exists(n, n.trim() == {name})) : []"
    )
}

/// Whether the Pod can only run on Windows nodes.
fn windows() -> String {
    let [label, older] = OS_LABELS.map(cel::text);
    let none = "orValue(dyn({}))";
    let terms = format!(
        "object.spec[?\"affinity\"].{none}[?\"nodeAffinity\"].{none}\
         [?\"requiredDuringSchedulingIgnoredDuringExecution\"].{none}\
         [?\"nodeSelectorTerms\"].orValue(dyn([]))"
    );
    let values = "e[?\"values\"].orValue(dyn([]))";
    let selects = |label: &str| {
        format!("object.spec[?\"nodeSelector\"].{none}[?{label}].orValue(\"\") == \"windows\"")
    };
    format!(
        "object.spec[?\"os\"].{none}[?\"name\"].orValue(\"\") == \"windows\" || {} || {} || \
         object.spec[?\"securityContext\"].{none}[?\"windowsOptions\"].hasValue() || \
         (size({terms}) > 0 && {terms}.all(t, t[?\"matchExpressions\"].orValue(dyn([])).exists(e, \
         e.key in [{label}, {older}] && ((e.operator == \"In\" && {values}.all(v, v == \"windows\")) || \
         (e.operator == \"NotIn\" && {values}.exists(v, v == \"linux\"))))))",
        selects(&label),
        selects(&older)
    )
}

/// Whether the Pod stays as it is, by reason.
fn stays(rules: &Rules) -> String {
    let (namespace, name) = &rules.own;
    let no = |map: &str| {
        let label = cel::text(LABEL);
        format!("variables.{map}[?{label}].orValue({0}) != {0}", cel::text(ENABLED))
    };
    let words = |words: &[&str]| cel::list(words.iter().copied());
    let asks = format!(
        "variables.notes[?{0}].orValue(variables.labels[?{0}].orValue(\"\")) == {1}",
        cel::text(LABEL),
        cel::text(ENABLED)
    );
    let [copy, copy_of] = [COPY, COPY_OF].map(cel::text);
    let agent = cel::text(AGENT);
    let has_agent = |list: &str| format!("{list}.orValue(dyn([])).exists(e, e.name == {agent})");
    let all = [
        "request.namespace == \"kube-system\"".to_owned(),
        format!(
            "(request.namespace == {} && object.metadata[?\"name\"].orValue(\"\") == {})",
            cel::text(namespace),
            cel::text(name)
        ),
        no("labels"),
        no("notes"),
        format!("{} in variables.notes", cel::text(ORIGINAL)),
        // The copy's own pod template is empty by its own flags.
        format!(
            "({copy} in variables.labels && {copy_of} in variables.labels && \
             size(variables.owners) > 0)"
        ),
        windows(),
        "!variables.empty".to_owned(),
        format!("!{}", cel::has_none_of("variables.image", &NOT_IN_IMAGE)),
        format!("size(bytes(variables.image)) > {LONGEST_IMAGE}"),
        format!("!(variables.idle in {})", words(&["entrypoint", "shell", "agent"])),
        "(variables.image == \"keep\" && variables.idle == \"entrypoint\")".to_owned(),
        format!("!(variables.level in {})", words(&["workload", "pod"])),
        "(variables.level == \"workload\" && size(variables.owners) > 0)".to_owned(),
        // A policy saves no original, and a Pod without an owner has none elsewhere.
        format!("(size(variables.owners) == 0 && !({asks}))"),
        format!("!({}.orValue(\"false\") in {})", cel::note(SUSPEND), words(&["true", "false"])),
        format!("!{}.orValue(\"0\").matches(\"^[+]?[0-9]{{1,9}}$\")", cel::note(REPLICAS)),
        format!(
            "(variables.idle == \"agent\" && ({} || {} || variables.containers.exists(c, {})))",
            has_agent("object.spec[?\"initContainers\"]"),
            has_agent("object.spec[?\"volumes\"]"),
            has_agent("c[?\"volumeMounts\"]")
        ),
        stand_in::stays(),
        looks_emptied(),
    ];
    all.join(" || ")
}

/// Whether a chosen container already runs its emptied command.
fn looks_emptied() -> String {
    let runs = |field: &str| {
        let at = format!("variables.containers[i][?\"{field}\"]");
        cases(field)
            .into_iter()
            .map(|(when, form)| match form {
                Form::Leave | Form::StandInArgs | Form::Alive => format!("({when})"),
                Form::StandIn => format!("({when} && {})", stand_in::runs()),
                Form::Absent => format!("({when} && !{at}.hasValue())"),
                Form::Value(value) => {
                    format!("({when} && {at}.optMap(v, v == {value}).orValue(false))")
                }
            })
            .collect::<Vec<_>>()
            .join(" || ")
    };
    let all: Vec<_> = PROGRAM.iter().map(|field| format!("({})", runs(field))).collect();
    format!("variables.candidates.exists(i, {})", all.join(" && "))
}
