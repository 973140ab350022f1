//! Output does not depend on the locale, and Chinese text in it is neither cut nor misaligned.

use std::{io::Read as _, path::Path, process::Command};

use rustix::termios::Winsize;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::{
    rig::{Run, Workspace, on_terminal_of, program},
    workloads::workload,
};

const VARIABLES: [&str; 4] = ["LANG", "LC_ALL", "LC_CTYPE", "LANGUAGE"];
const LOCALES: [&[(&str, &str)]; 4] = [
    &[],
    &[("LANG", "zh_CN.UTF-8")],
    &[("LANG", "zh_CN.GB18030"), ("LC_ALL", "zh_CN.UTF-8"), ("LANGUAGE", "zh_CN:zh")],
    &[("LC_ALL", "C")],
];

/// The output in each locale, which must be the same but for ages.
fn same_everywhere(name: &str, command: impl Fn() -> Command) -> Run {
    let runs = LOCALES.map(|locale| {
        let mut command = command();
        for name in VARIABLES {
            command.env_remove(name);
        }
        Run::of(command.envs(locale.iter().copied()), "")
    });
    let [unset, others @ ..] = &runs;
    for (other, locale) in others.iter().zip(&LOCALES[1..]) {
        assert_eq!(unset.code, other.code, "{name} {locale:?}: {}", other.stderr);
        assert_eq!(ageless(&unset.stdout), ageless(&other.stdout), "{name} {locale:?}");
        assert_eq!(ageless(&unset.stderr), ageless(&other.stderr), "{name} {locale:?}");
    }
    let [_, chinese, ..] = runs;
    chinese
}

/// The words, without ages such as `12s`, which pass meanwhile.
fn ageless(text: &str) -> Vec<&str> {
    let is_age =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.ends_with('s');
    text.split_whitespace().filter(|word| !is_age(word)).collect()
}

/// Each cell of the table begins below its heading.
#[track_caller]
fn is_aligned(table: &str) {
    let mut lines = table.lines();
    let headings = lines.next().unwrap();
    let starts: Vec<_> = headings.match_indices("  ").map(|(at, _)| at + 2).collect();
    let starts = starts.into_iter().filter(|at| !headings[*at..].starts_with(' '));
    for start in starts.filter(|at| *at < headings.len()) {
        for line in lines.clone() {
            let mut width = 0;
            let before: Vec<_> = line
                .chars()
                .take_while(|c| {
                    width += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
                    width <= start
                })
                .collect();
            let before: String = before.into_iter().collect();
            let is_start = before.ends_with("  ") && before.width() == start;
            // The last cells may be empty.
            assert!(is_start || line.width() <= start, "column {start} of {line:?} in\n{table}");
        }
    }
}

/// What is printed on a terminal of this width with a Chinese locale.
fn on_terminal(mut command: Command, columns: u16) -> String {
    command.env("LANG", "zh_CN.UTF-8").env("NO_COLOR", "1");
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut child, mut terminal) = on_terminal_of(&command, Some(size));
    let mut output = Vec::new();
    // The end of a terminal is an error.
    let _ = terminal.read_to_end(&mut output);
    assert!(child.wait().unwrap().success());
    String::from_utf8(output).unwrap().replace("\r\n", "\n")
}

#[test]
fn help_and_plans_are_the_same_in_every_locale() {
    let folder = tempfile::tempdir().unwrap();
    let mut object = workload("Deployment", "web");
    object["metadata"]["annotations"] = json!({ "example.com/负责人": "张三" });
    object["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{ "name": "问候", "value": "你好，世界" }]);
    object["spec"]["template"]["spec"]["containers"][0]["command"] =
        json!(["sh", "-c", "echo 欢迎"]);
    std::fs::write(folder.path().join("应用.yaml"), object.to_string()).unwrap();
    for args in [
        &["--help"][..],
        &["empty", "--help"],
        &["dev", "-h"],
        &["plan", "-f", "应用.yaml"],
        &["plan", "-f", "应用.yaml", "-o", "json"],
        &["mutate", "-f", "应用.yaml", "--diff"],
        &["rules", "annotations"],
        &["plan", "-f", "没有.yaml"],
        &["没有"],
    ] {
        let command = || with(folder.path(), args);
        let run = same_everywhere(&args.join(" "), command);
        assert!(!run.stdout.contains('\u{fffd}') && !run.stderr.contains('\u{fffd}'), "{args:?}");
    }
    let plan = same_everywhere("plan", || with(folder.path(), &["plan", "-f", "应用.yaml"]));
    assert!(plan.stdout.contains("echo 欢迎"), "{}", plan.stdout);
    for width in [100, 80] {
        let help = on_terminal(with(folder.path(), &["empty", "--help"]), width);
        for line in help.lines() {
            assert!(line.width() <= usize::from(width), "{width}: {line}");
        }
    }
}

fn with(folder: &Path, args: &[&str]) -> Command {
    let mut command = program(folder);
    command.args(args);
    command
}

#[test]
fn status_and_ui_are_aligned_and_the_same_in_every_locale() {
    let cluster = require!(Workspace::new("locale"));
    let (name, folder) = (cluster.name, cluster.folder());
    for workload in ["web", "worker"].map(|name| workload("Deployment", name)) {
        cluster.create(name, &workload);
    }
    // Someone whose name is Chinese.
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    let mut config: Value = serde_json::from_str(&cluster.kubectl(&view, "")).unwrap();
    config["users"][0]["user"]["as"] = json!("张三丰");
    config["users"][0]["user"]["as-groups"] = json!(["system:masters"]);
    std::fs::write(folder.join("张三丰"), config.to_string()).unwrap();
    let command =
        |args: &[&str]| with(folder, &[args, &["--kubeconfig", "张三丰", "-n", name]].concat());
    Run::of(&mut command(&["empty", "deploy/web", "--wait=false"]), "").code(0);
    for args in [&["status"][..], &["status", "-o", "wide"]] {
        let run = same_everywhere(&args.join(" "), || command(args)).code(0);
        assert_eq!(run.stdout.contains("张三丰"), args.contains(&"wide"), "{}", run.stdout);
        is_aligned(&run.stdout);
    }
    let screen = same_everywhere("ui --once", || command(&["ui", "--once"])).code(0).stdout;
    assert!(screen.contains("张三丰"), "{screen}");
    let (_, table) = screen.split_once('\n').unwrap();
    is_aligned(table);
    same_everywhere("plan", || command(&["plan", "deploy/worker"])).code(0);
    for width in [100, 70] {
        let status = on_terminal(command(&["status"]), width);
        assert!(status.lines().all(|line| line.width() <= usize::from(width)), "{width}: {status}");
    }
}
