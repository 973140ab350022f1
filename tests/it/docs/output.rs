//! Whether a command printed what a document shows.

/// What was printed, without progress: which lines of it come depends on the machine.
pub(super) fn without_progress(printed: &str) -> Vec<String> {
    let is_progress = |line: &str| {
        let object = line.strip_prefix("  ").and_then(|line| line.split_once(": "));
        let is_of_object =
            object.is_some_and(|(name, _)| name.contains('/') && !name.contains(' '));
        is_of_object || line.starts_with("  waiting ") || line.starts_with("still building, ")
    };
    let lines = printed.lines().filter(|line| !is_progress(line));
    lines.map(|line| line.trim_end().to_owned()).collect()
}

/// Compares by lines. Numbers, times, spaces, names of Pods and temporary folders may differ; a line
/// `...` stands for any lines.
pub(super) fn is_shown(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((&"...", rest)) => {
            (0..=printed.len()).any(|skipped| is_shown(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, others)| normal(first) == normal(line) && is_shown(rest, others)),
    }
}

/// A line without what differs from run to run.
fn normal(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        if is_content(word) {
            return "CONTENT".to_owned();
        }
        let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let mut out = String::new();
        let mut rest = word;
        while let Some(start) = rest.find(in_name) {
            let length = rest[start..].find(|c| !in_name(c)).unwrap_or(rest.len() - start);
            let (before, after) = rest.split_at(start);
            let (name, after) = after.split_at(length);
            out.push_str(before);
            out.push_str(&numbers(&without_hash(name)));
            rest = after;
        }
        durations(out + rest)
    });
    let words = words.map(|word| match word.as_str() {
        "ms" | "µs" => "s".to_owned(),
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether it is the beginning of a hash, as `ps` shows it: that of a jar has the time of its build.
fn is_content(word: &str) -> bool {
    word.len() == 10 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `shop-5c6b9f7d8-x2v4k` as `shop-POD`.
fn without_hash(name: &str) -> String {
    let is_hash = |part: &str| part.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c));
    let parts: Vec<_> = name.split('-').collect();
    match parts.as_slice() {
        [owner @ .., template, pod]
            if !owner.is_empty()
                && (6..=10).contains(&template.len())
                && pod.len() == 5
                && is_hash(template)
                && is_hash(pod) =>
        {
            format!("{}-POD", owner.join("-"))
        }
        _ => name.to_owned(),
    }
}

/// Each number as 0.
fn numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('0') {
            out.push('0');
        }
    }
    out
}

/// `0.0`, `0m0s` and `0ms` as `0s`: a slow machine has other units.
fn durations(mut word: String) -> String {
    for (long, short) in
        [("0.0", "0"), ("0ms", "0s"), ("0m0s", "0s"), ("0h0m", "0s"), ("0m", "0s"), ("0µs", "0s")]
    {
        word = word.replace(long, short);
    }
    word
}

#[test]
fn progress_is_left_out() {
    let printed =
        "✓ deployment/a emptied\n  deployment/a: 1 old Pods\n  a image: b -> c/d: e  \nf: g";
    let left = ["✓ deployment/a emptied", "  a image: b -> c/d: e", "f: g"];
    assert_eq!(without_progress(printed), left);
}

#[test]
fn outputs_are_compared_without_what_differs() {
    let same = [
        ("sent  285 ms", "sent  1.1 s"),
        ("shop-5c6b9f7d8-x2v4k in 1.2s", "shop-76f4d8b5c9-zzzzz in 0.9s"),
        ("pod/shop-5c6b9f7d8-x2v4k: 12m3s", "pod/shop-5c6b9f7d8-x2v4k:   9s"),
        ("...\nb", "a\nb"),
        ("a\n...", "a"),
        ("app   5b0e7c41d2", "app   00ff00ff00"),
    ];
    let different =
        [("a", "b"), ("a", "a\nb"), ("a\nb", "a"), ("...\nb", "b\na"), ("shop-a", "shop-b")];
    let compare = |(shown, printed): (&str, &str)| {
        is_shown(&shown.lines().collect::<Vec<_>>(), &printed.lines().collect::<Vec<_>>())
    };
    assert_eq!(same.map(compare), [true; 6]);
    assert_eq!(different.map(compare), [false; 5]);
}
