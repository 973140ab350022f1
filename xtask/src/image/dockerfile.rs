//! A Dockerfile as a list of stages: the part of its language that this repository's uses.
//!
//! What is not understood is an error that names the line, so that Docker never builds something
//! else than `cargo xtask image` does.

use anyhow::{Context, Result, bail};

/// `FROM BASE AS NAME`, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) base: String,
    pub(super) steps: Vec<Step>,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Workdir(String),
    /// From the folder that the Dockerfile is in.
    Copy {
        from: String,
        to: String,
    },
    CopyFrom {
        stage: String,
        from: String,
        to: String,
    },
    Env(String, String),
    Run(String),
    User(String),
    Entrypoint(Vec<String>),
    Cmd(Vec<String>),
}

/// The stages, in order.
pub(super) fn parse(text: &str) -> Result<Vec<Stage>> {
    let mut stages: Vec<Stage> = Vec::new();
    for (number, line) in lines(text) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        let word = word.to_ascii_uppercase();
        let wrong = || format!("line {number} of the Dockerfile is not understood: {line}");
        if word == "FROM" {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [base, as_, name] = words[..] else { bail!(wrong()) };
            if !as_.eq_ignore_ascii_case("as") || base.starts_with("--") {
                bail!(wrong());
            }
            stages.push(Stage { name: name.into(), base: base.into(), steps: Vec::new() });
        } else {
            let steps = steps(&word, rest.trim()).with_context(wrong)?;
            stages.last_mut().with_context(wrong)?.steps.extend(steps);
        }
    }
    Ok(stages)
}

/// The tag that the comments give a target: `docker build --target TARGET -t TAG`.
pub(super) fn tag<'a>(text: &'a str, target: &str) -> Option<&'a str> {
    let command = format!("docker build --target {target} -t ");
    let comments = text.lines().filter(|line| line.starts_with('#'));
    let mut after = comments.filter_map(|line| line.split_once(&command)).map(|(_, after)| after);
    after.find_map(|after| after.split_whitespace().next())
}

/// Instructions with the number of their first line: comments dropped, continued lines joined.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (part, more) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match found.last_mut().filter(|_| continued) {
            Some((_, whole)) => {
                whole.push(' ');
                whole.push_str(part.trim());
            }
            None => found.push((index + 1, part.trim().to_owned())),
        }
        continued = more;
    }
    found
}

fn steps(word: &str, rest: &str) -> Result<Vec<Step>> {
    let one = |rest: &str| {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [word] = words[..] else { bail!("it takes one word") };
        Ok(word.to_owned())
    };
    Ok(vec![match word {
        "WORKDIR" => Step::Workdir(one(rest)?),
        "USER" => Step::User(one(rest)?),
        "RUN" if !rest.starts_with(['[', '-']) => Step::Run(rest.into()),
        "ENTRYPOINT" => Step::Entrypoint(exec(rest)?),
        "CMD" => Step::Cmd(exec(rest)?),
        "COPY" => copy(rest)?,
        "ENV" => return env(rest),
        _ => bail!("there is no such instruction, or not in this form"),
    }])
}

/// The form that no shell reads: a JSON array.
fn exec(rest: &str) -> Result<Vec<String>> {
    serde_json::from_str(rest).context("only the exec form, a JSON array, is the same everywhere")
}

fn copy(rest: &str) -> Result<Step> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (flags, paths): (Vec<&str>, Vec<&str>) =
        words.into_iter().partition(|word| word.starts_with("--"));
    let [from, to] = paths[..] else { bail!("it takes one source and one target") };
    let (from, to) = (from.to_owned(), to.to_owned());
    Ok(match flags[..] {
        [] => Step::Copy { from, to },
        [flag] => {
            let stage = flag.strip_prefix("--from=").context("the only flag is --from")?.to_owned();
            Step::CopyFrom { stage, from, to }
        }
        _ => bail!("the only flag is --from"),
    })
}

/// `A=b C="d e"`.
fn env(rest: &str) -> Result<Vec<Step>> {
    let mut found = Vec::new();
    let mut rest = rest;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').context("it takes NAME=VALUE")?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').context("a quote is not closed")?,
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        if value.contains(['\\', '$', '\'', '"']) || name.contains(char::is_whitespace) {
            bail!("an escape, a variable or a quote inside is not understood");
        }
        found.push(Step::Env(name.into(), value.into()));
        rest = after.trim_start();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockerfile_instructions_are_parsed() {
        let text = "# docker build --target app -t app:1 .\n\
                    FROM rust:1 AS build\nWORKDIR /src\nCOPY . .\n\
                    ENV A=\"b c\" D=e\nRUN cargo build \\\n  # why\n    --release\n\n\
                    FROM scratch AS app\nCOPY --from=build /src/x /x\nUSER 1:2\n\
                    ENTRYPOINT [\"/x\", \"a b\"]\ncmd []\n";
        let stages = parse(text).unwrap();
        let copy = Step::Copy { from: ".".into(), to: ".".into() };
        assert_eq!(stages[0].base, "rust:1");
        assert_eq!(
            stages[0].steps,
            [
                Step::Workdir("/src".into()),
                copy,
                Step::Env("A".into(), "b c".into()),
                Step::Env("D".into(), "e".into()),
                Step::Run("cargo build --release".into()),
            ]
        );
        let stage =
            Step::CopyFrom { stage: "build".into(), from: "/src/x".into(), to: "/x".into() };
        assert_eq!(
            stages[1].steps,
            [
                stage,
                Step::User("1:2".into()),
                Step::Entrypoint(vec!["/x".into(), "a b".into()]),
                Step::Cmd(Vec::new()),
            ]
        );
        assert_eq!(tag(text, "app"), Some("app:1"));
        assert_eq!(tag(text, "build"), None);
    }

    #[test]
    fn unknown_dockerfile_instruction_is_an_error_with_its_line() {
        for line in [
            "ADD x /x",
            "HEALTHCHECK NONE",
            "ARG A=1",
            "CMD tail -f /dev/null",
            "COPY --chown=1 a /a",
            "COPY --from=build --link a /a",
            "COPY a b /c/",
            "ENV A b",
            "ENV A=$B",
            "ENV A=\"b",
            "RUN --mount=type=cache,target=/x y",
            "USER a b",
            "FROM --platform=x y AS z",
            "FROM scratch",
        ] {
            let error = parse(&format!("FROM scratch AS x\n\n{line}\n")).unwrap_err();
            assert!(format!("{error:#}").contains("line 3 of the Dockerfile"), "{line}: {error:#}");
        }
        assert!(parse("USER 1\n").is_err(), "before any FROM");
    }
}
