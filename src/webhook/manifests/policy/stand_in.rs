//! The stand-in in CEL: its command, and the probes that the agent runs for it.

use super::cel;
use crate::workload::{AGENT_PROBE_TIMES, LONGEST_DELAY, STAND_IN_COMMAND, STAND_IN_PREFIX};

/// Whether a stand-in is wanted.
pub(super) const WANTED: &str = "variables.standIn == \"true\"";

/// A JSON list of strings that the policy can read: with the escapes of quotes, backslashes,
/// slashes, line breaks and tabs. The first string is not empty.
const LIST: &str = "^[ \t\r\n]*\\[[ \t\r\n]*\"([^\"\\\\\\x00-\\x1f]|\\\\[\"\\\\/nt])+\"\
     ([ \t\r\n]*,[ \t\r\n]*\"([^\"\\\\\\x00-\\x1f]|\\\\[\"\\\\/nt])*\")*[ \t\r\n]*\\][ \t\r\n]*$";

/// Stand for an escaped backslash and quote meanwhile; the list itself has no control characters.
const BACKSLASH: &str = "\u{1}";
const QUOTE: &str = "\u{2}";

/// The command line of the annotation; empty if there is none, or none that can be read. CEL has no
/// parser of JSON: between quotes is every second part.
pub(super) fn given() -> String {
    let replaced = |text: &str, pairs: &[(&str, &str)]| {
        pairs.iter().fold(text.to_owned(), |text, (from, to)| {
            format!("{text}.replace({}, {})", cel::text(from), cel::text(to))
        })
    };
    let parts = replaced("t", &[("\\\\", BACKSLASH), ("\\\"", QUOTE)]) + ".split(\"\\\"\")";
    let escapes = [("\\/", "/"), ("\\n", "\n"), ("\\t", "\t"), (QUOTE, "\""), (BACKSLASH, "\\")];
    let word = replaced("parts[n]", &escapes);
    format!(
        "{}.optMap(t, !string(t).matches({}) ? [] : [{parts}].map(parts, lists.range(size(parts))\
         .filter(n, n % 2 == 1).map(n, {word}))[0]).orValue([])",
        cel::note(STAND_IN_COMMAND),
        cel::text(LIST)
    )
}

/// Whether container `i` has its own command.
pub(super) fn has_own() -> String {
    "(size(variables.containers[i][?\"command\"].orValue(dyn([]))) > 0)".to_owned()
}

/// The command of container `i`.
pub(super) fn command() -> String {
    format!(
        "{} + ({} ? variables.containers[i].command : variables.given)",
        cel::list(STAND_IN_PREFIX),
        has_own()
    )
}

/// Whether the command of container `i` is that of one with a stand-in.
pub(super) fn runs() -> String {
    let command = "variables.containers[i].command";
    let words = STAND_IN_PREFIX.iter().enumerate();
    let words = words.map(|(at, word)| format!(" && {command}[{at}] == {}", cel::text(word)));
    format!(
        "\"command\" in variables.containers[i] && size({command}) > {}{}",
        STAND_IN_PREFIX.len(),
        words.collect::<String>()
    )
}

/// Whether the Pod stays as it is, because what was said contradicts itself, or nothing says what
/// one of its containers runs.
pub(super) fn stays() -> String {
    let note = cel::note(STAND_IN_COMMAND);
    let without = format!("variables.candidates.filter(i, !{})", has_own());
    format!(
        "!(variables.standIn in [\"false\", \"true\"]) || ({WANTED} && (variables.image != \"keep\" || \
         variables.idle != \"agent\" || ({note}.hasValue() && size(variables.given) == 0) || \
         size({without}) > (size(variables.given) == 0 ? 0 : 1)))"
    )
}

/// The operations that replace a probe of container `i`.
pub(super) fn probe(field: &str, path: &str) -> String {
    let p = format!("variables.containers[i].{field}");
    let command = [diyadm_agent::MOUNTED, "alive", "--probe"];
    let time = |(name, default): &(&str, u64)| {
        let more = if *name == "timeoutSeconds" { " + 1" } else { "" };
        format!(", \"{name}\": dyn({p}[?\"{name}\"].orValue({default}){more})")
    };
    let times: String = AGENT_PROBE_TIMES.iter().map(time).collect();
    let value = format!(
        "{{\"exec\": dyn({{\"command\": dyn({} + [{}])}}), \
         \"initialDelaySeconds\": dyn({p}[?\"initialDelaySeconds\"].orValue(0)){times}}}",
        cel::list(command),
        text(&p, field)
    );
    // Not as an optional member: see the agent's init container.
    let grace = "terminationGracePeriodSeconds";
    format!(
        "variables.chosen.filter(i, \"{field}\" in variables.containers[i])\
         .map(i, JSONPatch{{op: \"add\", path: {path}, value: {value}}}) + \
         variables.chosen.filter(i, \"{field}\" in variables.containers[i] && \"{grace}\" in {p})\
         .map(i, JSONPatch{{op: \"add\", path: {path} + \"/{grace}\", value: {p}.{grace}}})"
    )
}

/// The JSON text of a probe's handler. The members are in the order of the API server's own JSON.
fn text(p: &str, field: &str) -> String {
    let string = |value: &str| format!("strings.quote({value})");
    let member = |of: &str, name: &str, value: &dyn Fn(&str) -> String| {
        let value = value(&format!("{of}.{name}"));
        format!("(\"{name}\" in {of} ? [{} + {value}] : [])", cel::text(&format!("\"{name}\":")))
    };
    let joined = |open: &str, parts: &[String], close: &str| {
        format!("{} + ({}).join(\",\") + {}", cel::text(open), parts.join(" + "), cel::text(close))
    };
    let ports = "variables.containers[i][?\"ports\"].orValue(dyn([]))";
    let port = |port: &str| {
        let named = format!("{ports}.filter(o, o[?\"name\"].orValue(\"\") == {port})");
        format!(
            "(type({port}) == int ? string({port}) : size({named}) > 0 ? \
             string({named}[0].containerPort) : {port}.matches(\"^[0-9]+$\") ? {port} : {})",
            string(port)
        )
    };
    let exec = |of: &str| {
        let words = |of: &str| format!("\"[\" + {of}.map(w, {}).join(\",\") + \"]\"", string("w"));
        joined("{", &[member(of, "command", &words)], "}")
    };
    let grpc =
        |of: &str| joined("{", &[member(of, "port", &port), member(of, "service", &string)], "}");
    let http = |of: &str| {
        let headers = |of: &str| {
            let header =
                joined("{", &[member("h", "name", &string), member("h", "value", &string)], "}");
            format!("\"[\" + {of}.map(h, {header}).join(\",\") + \"]\"")
        };
        let members = [
            member(of, "path", &string),
            member(of, "port", &port),
            member(of, "host", &string),
            member(of, "scheme", &string),
            member(of, "httpHeaders", &headers),
        ];
        joined("{", &members, "}")
    };
    let tcp =
        |of: &str| joined("{", &[member(of, "port", &port), member(of, "host", &string)], "}");
    let number = |of: &str| format!("string({of})");
    let mut members = vec![
        member(p, "exec", &exec),
        member(p, "grpc", &grpc),
        member(p, "httpGet", &http),
        member(p, "tcpSocket", &tcp),
        member(p, "timeoutSeconds", &number),
    ];
    if field == "livenessProbe" {
        members.push(delay(p));
    }
    joined("{", &members, "}")
}

/// How long the agent waits before it runs the liveness probe `p`, as a list of one member of JSON.
fn delay(p: &str) -> String {
    let seconds =
        |of: &str, name: &str, default: u64| format!("{of}[?\"{name}\"].orValue({default})");
    let s = "variables.containers[i].startupProbe";
    let all = format!(
        "{} + (\"startupProbe\" in variables.containers[i] ? {} + {} * {} : 0)",
        seconds(p, "initialDelaySeconds", 0),
        seconds(s, "initialDelaySeconds", 0),
        seconds(s, "periodSeconds", 10),
        seconds(s, "failureThreshold", 3),
    );
    format!(
        "[{all}].filter(d, d > 0).map(d, {} + string(d > {LONGEST_DELAY} ? {LONGEST_DELAY} : d))",
        cel::text("\"initialDelaySeconds\":")
    )
}
