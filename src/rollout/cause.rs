//! Extracts the root cause from messages of the kubelet, a container runtime or a controller.

/// Maximum length of a cause in characters.
const LONGEST: usize = 240;

/// Prefixes that a runtime and the kubelet put before a cause, nested: `failed to pull and unpack
/// image "x": failed to resolve reference "x": …`.
const STEPS: [&str; 21] = [
    "Back-off pulling image",
    "ErrImagePull",
    "Error response from daemon",
    "Error creating",
    "Failed to create pod sandbox",
    "failed to create containerd task",
    "failed to create shim task",
    "failed to do request",
    "failed to pull and unpack image",
    "Failed to pull image",
    "failed to pull image",
    "failed to resolve image",
    "failed to resolve reference",
    "initializing source",
    "Internal error occurred",
    "OCI runtime create failed",
    "pinging container registry",
    "reading manifest",
    "rpc error",
    "runc create failed",
    "unable to start container process",
];

/// The cause in `message`: its first line without those prefixes and without an object's name in
/// `names`, which is already printed. Empty if there is nothing else.
pub(super) fn cause(message: &str, names: &[&str]) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    // Several attempts form a list with similar texts.
    let attempts = line.strip_prefix('[').and_then(|list| list.split_once(", rpc error: "));
    let mut rest = attempts.map_or(line, |(first, _)| first);
    while !rest.is_empty() {
        let (step, inner) = rest.split_once(": ").unwrap_or((rest, ""));
        let step = of_grpc(step);
        let is_named = |name: &&str| {
            let step = step.trim_matches('"');
            // A registry and a tag may have been added to the workload's image.
            !name.is_empty()
                && (step == *name
                    || step.ends_with(&format!("/{name}"))
                    || step.ends_with(&format!("/{name}:latest")))
        };
        let is_step = step.is_empty() || STEPS.iter().any(|known| step.starts_with(known));
        if !is_step && !names.iter().any(is_named) {
            break;
        }
        rest = inner;
    }
    let rest = of_grpc(rest);
    shortened(rest.strip_suffix(": unknown").unwrap_or(rest).trim_end_matches(['.', ' ']))
}

/// `code = NotFound desc = x` without the code.
fn of_grpc(text: &str) -> &str {
    let inner = text.strip_prefix("code = ").and_then(|text| text.split_once(" desc = "));
    inner.map_or(text, |(_, inner)| inner)
}

/// At most [`LONGEST`] characters of a text, in whole words, with `…` if it is longer.
fn shortened(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(LONGEST) else { return text.to_owned() };
    let words = text[..end].rfind(char::is_whitespace);
    // A very long word is cut anyway.
    let whole = words.map_or(&text[..end], |at| &text[..at]);
    format!("{} …", whole.trim_end_matches([',', ':', ';', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_image_pull_names_its_first_cause() {
        let image = "shop/app:1";
        for (message, expected) in [
            (
                "Back-off pulling image \"shop/app:1\": ErrImagePull: failed to pull and unpack \
                 image \"docker.io/shop/app:1\": failed to resolve reference \
                 \"docker.io/shop/app:1\": pull access denied, repository does not exist or may \
                 require authorization: server message: insufficient_scope: authorization failed",
                "pull access denied, repository does not exist or may require authorization: \
                 server message: insufficient_scope: authorization failed",
            ),
            (
                "rpc error: code = NotFound desc = failed to pull and unpack image \
                 \"docker.io/shop/app:1\": failed to resolve reference \"docker.io/shop/app:1\": \
                 docker.io/shop/app:1: not found",
                "not found",
            ),
            (
                "failed to pull and unpack image \"10.0.0.9:5000/a:1\": failed to resolve \
                 reference \"10.0.0.9:5000/a:1\": failed to do request: Head \
                 \"https://10.0.0.9:5000/v2/a/manifests/1\": dial tcp 10.0.0.9:5000: connect: \
                 connection refused",
                "Head \"https://10.0.0.9:5000/v2/a/manifests/1\": dial tcp 10.0.0.9:5000: \
                 connect: connection refused",
            ),
            (
                "[rpc error: code = Unknown desc = Error response from daemon: manifest for \
                 shop/app:1 not found: manifest unknown, rpc error: code = Unknown desc = x]",
                "manifest for shop/app:1 not found: manifest unknown",
            ),
            (
                "initializing source docker://shop/app:1: reading manifest 1 in \
                 docker.io/shop/app: manifest unknown",
                "manifest unknown",
            ),
            ("Back-off pulling image \"shop/app:1\"", ""),
            ("no such host", "no such host"),
            ("", ""),
        ] {
            assert_eq!(cause(message, &[image]), expected, "{message}");
        }
    }

    #[test]
    fn failed_container_start_names_its_first_cause() {
        let runc = "failed to create containerd task: failed to create shim task: OCI runtime \
                    create failed: runc create failed: unable to start container process: exec: \
                    \"java\": executable file not found in $PATH: unknown";
        assert_eq!(cause(runc, &[]), "exec: \"java\": executable file not found in $PATH");
    }

    #[test]
    fn long_causes_are_cut_at_a_word() {
        let text = "0/9 nodes are available: ".to_owned() + &"insufficient memory, ".repeat(40);
        let short = cause(&text, &[]);
        assert!(short.chars().count() <= LONGEST + 2, "{short}");
        let whole = short.strip_suffix(" …").expect("an ellipsis");
        assert!(text.starts_with(&format!("{whole} ")) || text.starts_with(&format!("{whole},")));
        let word = "ü".repeat(999);
        assert_eq!(cause(&word, &[]), "ü".repeat(LONGEST) + " …");
        let fits = "a ".repeat(LONGEST / 2);
        assert_eq!(cause(&fits, &[]), fits.trim_end());
    }
}
