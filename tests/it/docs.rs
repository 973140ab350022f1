//! The docs match the code: their tables are made from it, and their examples are tried.
//!
//! `DIYADM_UPDATE_DOCS=1 cargo test docs::` writes the tables anew.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use diyadm::{
    doc_tables,
    exit::{Code, Topic},
    webhook::checks::TITLES,
    workload::parse_rules,
};

use super::rig::diyadm;

mod blocks;
mod links;
mod output;
mod pictures;
mod runner;
mod terms;

pub(crate) use self::{blocks::pages, runner::Reader};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents of the repository.
fn documents() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/en", "docs/zh"];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    files
}

/// Markdown with the table of each place anew; the names of the places.
fn filled(text: &str) -> (String, BTreeSet<String>) {
    let (mut out, mut names, mut rest) = (String::new(), BTreeSet::new(), text);
    while let Some((before, after)) = rest.split_once("<!-- table: ") {
        let (name, after) = after.split_once(" -->\n").expect("a place has a name");
        let (_, after) = after.split_once("<!-- end -->").expect("a place has an end");
        let found = doc_tables::all().into_iter().find(|(known, _)| *known == name);
        let (_, table) = found.unwrap_or_else(|| panic!("there is no table `{name}`"));
        for part in [before, "<!-- table: ", name, " -->\n", &table, "<!-- end -->"] {
            out.push_str(part);
        }
        names.insert(name.to_owned());
        rest = after;
    }
    (out + rest, names)
}

#[test]
fn docs_tables_match_the_code() {
    let mut places = BTreeSet::new();
    for file in documents() {
        let text = fs::read_to_string(&file).unwrap();
        let (fresh, names) = filled(&text);
        places.extend(names);
        if env::var_os("DIYADM_UPDATE_DOCS").is_some() {
            // Other tests read the documents at the same time.
            if text != fresh {
                fs::write(&file, fresh).unwrap();
            }
        } else {
            let name = file.display();
            assert!(text == fresh, "{name} is behind: DIYADM_UPDATE_DOCS=1 cargo test docs::");
        }
    }
    let all = doc_tables::all().map(|(name, _)| name.to_owned());
    assert_eq!(places, BTreeSet::from(all), "every table has its place");
}

#[test]
fn docs_examples_of_rules_hold() {
    let text = fs::read_to_string(root().join("docs/en/rules.md")).unwrap();
    let blocks: Vec<_> =
        text.split("```yaml\n").skip(1).filter_map(|b| b.split_once("```")).collect();
    assert!(!blocks.is_empty());
    for (block, _) in blocks {
        parse_rules(block).unwrap_or_else(|why| panic!("{why}: {block}"));
    }
}

/// `dev` reads the file before it looks for a cluster, which is not there: exit code 3.
#[test]
fn docs_examples_of_diyadm_yaml_hold() {
    let mut tried = 0;
    let text = fs::read_to_string(root().join("docs/en/dev.md")).unwrap();
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    for (block, _) in blocks {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("diyadm.yaml"), block).unwrap();
        diyadm(folder.path(), &["dev"]).code(3);
        tried += 1;
    }
    assert_eq!(tried, 1);
}

#[test]
fn docs_list_every_annotation() {
    let run = diyadm(Path::new("."), &["rules", "annotations"]).code(0);
    assert_eq!(run.stdout, doc_tables::annotations());
    for key in ["inject-empty-container", "diyadm.io/original", "diyadm.io/idle"] {
        assert!(run.stdout.contains(&format!("| `{key}` |")), "{key}");
    }
    assert!(Code::OWN.map(Code::number).is_sorted());
}

#[test]
fn readmes_are_short() {
    for readme in ["README.md", "README.zh-CN.md"] {
        let lines = fs::read_to_string(root().join(readme)).unwrap().lines().count();
        assert!(lines <= 150, "{readme}: {lines} lines; details belong into docs");
    }
}

/// Reports of `check` have the ids, and errors name their topics; the page has an anchor for each.
#[test]
fn docs_explain_every_finding_and_error() {
    for page in ["docs/en/troubleshooting.md", "docs/zh/troubleshooting.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let ids =
            TITLES.iter().map(|(id, _)| *id).chain(Topic::ALL.iter().map(|topic| topic.anchor()));
        for id in ids {
            assert_eq!(text.matches(&format!("<a id=\"{id}\">")).count(), 1, "{page}: {id}");
        }
    }
}
