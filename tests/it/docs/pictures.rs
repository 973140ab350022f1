//! The pictures of the documents: drawn here, so that they are changed with the words in them.
//!
//! `DIYADM_UPDATE_DOCS=1 cargo test docs::` writes them.

use std::{env, fmt::Write as _, fs, ops::Range};

use super::{
    blocks::{Mode, blocks},
    root,
};

/// Words of the picture of the loop.
struct Words {
    folder: &'static str,
    title: &'static str,
    before: [&'static str; 3],
    empty: [&'static str; 3],
    after: [&'static str; 3],
    loop_steps: [&'static str; 4],
    same: &'static str,
}

const ENGLISH: Words = Words {
    folder: "docs/en/pictures",
    title: "Empty the workload once; build, sync and restart as often as you like; restore it at the end",
    before: ["deployed", "the application", "of your pipeline"],
    empty: ["empty", "idle process (PID 1)", "+ your build"],
    after: ["restored", "the application,", "as it was or newer"],
    loop_steps: ["edit", "build", "sync", "restart"],
    same: "the same volumes, environment, network and service account",
};

const CHINESE: Words = Words {
    folder: "docs/zh/pictures",
    title: "清空一次工作负载；反复构建、同步、重启；最后恢复",
    before: ["已部署", "流水线部署的应用", ""],
    empty: ["空容器", "空闲进程（PID 1）", "＋ 你的构建产物"],
    after: ["已恢复", "原来的应用", "或期间部署的新版本"],
    loop_steps: ["编辑", "构建", "同步", "重启"],
    same: "卷、环境变量、网络、ServiceAccount 始终不变",
};

const STYLE: &str = "text{font-family:system-ui,'Noto Sans CJK SC','Microsoft YaHei',sans-serif;\
    font-size:15px;fill:#1f2937;text-anchor:middle}.code{font-family:ui-monospace,monospace;\
    font-weight:600}.small{font-size:13px;fill:#4b5563}.head{font-weight:600}\
    .box{fill:#f3f4f6;stroke:#6b7280}.idle{fill:#dbeafe;stroke:#2563eb}\
    .arrow{stroke:#2563eb;stroke-width:2;fill:none;marker-end:url(#tip)}";

fn text(x: i32, y: i32, class: &str, words: &str) -> String {
    format!("<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{words}</text>\n")
}

fn rectangle(x: i32, y: i32, width: i32, height: i32, class: &str) -> String {
    format!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"8\" class=\"{class}\"/>\n"
    )
}

fn arrow(path: &str) -> String {
    format!("<path d=\"{path}\" class=\"arrow\"/>\n")
}

/// The three states: deployed, empty (with the loop), restored.
fn loop_picture(words: &Words) -> String {
    let (width, height) = (920, 250);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" \
         markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" \
         fill=\"#2563eb\"/></marker></defs>\n",
        words.title
    );
    let colours = "fill=\"#ffffff\" stroke=\"#e5e7eb\"";
    writeln!(svg, "<rect width=\"{width}\" height=\"{height}\" rx=\"10\" {colours}/>").unwrap();
    let panel = |x: i32, class: &str, lines: &[&str; 3]| {
        let middle = x + 85;
        rectangle(x, 70, 170, 100, class)
            + &text(middle, 58, "head", lines[0])
            + &text(middle, 115, "", lines[1])
            + &text(middle, 138, "", lines[2])
    };
    svg += &panel(20, "box", &words.before);
    svg += &panel(300, "idle", &words.empty);
    svg += &panel(730, "box", &words.after);
    svg += &arrow("M194 120H294");
    svg += &text(244, 108, "code", "empty");
    // The loop: four steps around a rectangle, right of the empty container.
    let steps = [(530, 95), (640, 95), (640, 155), (530, 155)];
    for ((x, y), step) in steps.into_iter().zip(words.loop_steps) {
        svg += &text(x, y, "head", step);
    }
    for path in ["M560 90H608", "M640 104V136", "M608 150H564", "M530 136V104"] {
        svg += &arrow(path);
    }
    svg += &arrow("M508 120H476");
    svg += &arrow("M385 174C385 222 815 222 815 176");
    svg += &text(600, 204, "code", "restore");
    svg += &text(460, 238, "small", words.same);
    svg + "</svg>\n"
}

/// The lines of a terminal as a picture. They appear one after the other where the viewer animates,
/// and all at once elsewhere.
fn terminal(lines: &[&str]) -> String {
    let escape = |line: &str| line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let (width, height) = (columns * 8 + 32, lines.len() * 19 + 30);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n<style>text{{font:13px ui-monospace,\
         'DejaVu Sans Mono',monospace;fill:#d1d5db;white-space:pre;animation:appear .3s backwards}}\
         .typed{{fill:#f9fafb;font-weight:600}}.note{{fill:#fbbf24}}\
         @keyframes appear{{from{{opacity:0}}}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#111827\"/>\n"
    );
    for (at, line) in lines.iter().enumerate() {
        let class = match line.chars().next() {
            Some('$') => "typed",
            Some('#') => "note",
            _ => "",
        };
        let (y, tenths) = (at * 19 + 28, at * 6);
        let (seconds, tenths) = (tenths / 10, tenths % 10);
        writeln!(
            svg,
            "<text x=\"16\" y=\"{y}\" class=\"{class}\" xml:space=\"preserve\" \
             style=\"animation-delay:{seconds}.{tenths}s\">{}</text>",
            escape(line)
        )
        .unwrap();
    }
    svg + "</svg>\n"
}

/// The lines of the first block of a page that runs `command`, with their prompts.
fn session(page: &str, command: &str) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let found = blocks(&lines).into_iter().find(|block| {
        !matches!(block.mode, Mode::NotRun(_)) && block.examples[0].command.starts_with(command)
    });
    let examples = found.unwrap_or_else(|| panic!("{page} does not run {command}")).examples;
    let output = |output: Option<Range<usize>>| lines[output.unwrap_or_default()].join("\n");
    let shown = examples.into_iter().map(|example| {
        format!("$ {}\n{}\n", example.command.replace('\n', "\n> "), output(example.output))
    });
    shown.collect()
}

#[test]
fn docs_pictures_are_up_to_date() {
    let main = session("README.md", "diyadm empty");
    let dev = session("docs/en/dev.md", "diyadm dev");
    for words in [ENGLISH, CHINESE] {
        let folder = root().join(words.folder);
        for (name, svg) in [
            ("loop.svg", loop_picture(&words)),
            ("empty-and-run.svg", terminal(&main.lines().collect::<Vec<_>>())),
            ("dev.svg", terminal(&dev.lines().collect::<Vec<_>>())),
        ] {
            let file = folder.join(name);
            if env::var_os("DIYADM_UPDATE_DOCS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&file, svg).unwrap();
            } else {
                let is_current = fs::read_to_string(&file).is_ok_and(|text| text == svg);
                let file = file.display();
                assert!(is_current, "{file} is behind: DIYADM_UPDATE_DOCS=1 cargo test docs::");
            }
        }
    }
}
