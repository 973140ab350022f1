//! What runs by content: `ps` after `sync` and `run`, and `diff`.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::Command,
};

use rawzip::{CompressionMethod, ZipArchiveWriter};
use serde_json::{Value, json};

use super::run_commands::Typed;
use crate::{
    rig::{Run, Workspace},
    schemas::Cases,
};

/// Writes an archive, as a build does.
fn jar(file: &Path, entries: &[(&str, &str)]) {
    let mut archive = ZipArchiveWriter::new(fs::File::create(file).unwrap());
    for (name, content) in entries {
        let file = archive.new_file(*name).compression_method(CompressionMethod::STORE);
        let (mut entry, config) = file.start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(content.as_bytes()).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
}

fn git(folder: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=ann", "-c", "user.email=ann@example.com"]).args(args);
    Run::of(git.current_dir(folder), "").code(0).stdout.trim().to_owned()
}

fn hash(file: &Path) -> io::Result<String> {
    Ok(blake3::hash(&fs::read(file)?).to_string())
}

#[test]
fn ps_and_diff_compare_what_was_sent_by_content() {
    let node = require!(Workspace::on_node("content"));
    let mut cases = Cases::default();
    let folder = node.folder();
    let typed = Typed::emptied(&node);
    let file = folder.join("app.jar");
    // More than what the end record is fetched with.
    let large = "x".repeat(400_000);
    jar(&file, &[("a.class", "one"), ("b.class", "one"), ("c.class", &large)]);
    fs::write(folder.join(".gitignore"), "*.jar\n").unwrap();
    git(folder, &["init", "--quiet"]);
    git(folder, &["add", ".gitignore"]);
    git(folder, &["commit", "--quiet", "--message", "First"]);
    let revision = git(folder, &["rev-parse", "HEAD"]);
    let diff = |args: &[&str]| typed.run(&[&["diff", "deploy/shop"], args].concat());

    // Before anything is sent, nobody knows its path.
    diff(&["app.jar"]).code(2).stderr_has("Name its path there: `diyadm diff deploy/shop");
    typed.run(&["sync", "app.jar", "deploy/shop:/tmp/app/"]).code(0);
    typed.run(&["run", "deploy/shop", "--detach", "--", "sleep", "1000"]).code(0);
    let app = typed.app("app");
    let sent = &app["content"][0];
    let first = hash(&file).unwrap();
    assert_eq!(sent["hash"], first, "{app}");
    assert_eq!((&sent["path"], &sent["revision"]), (&json!("/tmp/app/app.jar"), &json!(revision)));
    assert_eq!((sent.get("dirty"), sent.get("files")), (None, None), "{app}");
    assert!(sent["at_ms"].as_u64() <= app["since_ms"].as_u64() && sent["who"] != "", "{app}");
    let table = typed.run(&["ps", "deploy/shop"]).code(0).stdout;
    assert!(table.lines().nth(1).unwrap().trim_end().ends_with(&first[..10]), "{table}");
    let same = diff(&["app.jar"]).code(0).stderr_has("is the same as /tmp/app/app.jar in shop-");
    assert_eq!(same.stdout, "");
    let who = sent["who"].as_str().unwrap();
    assert!(same.stderr.contains(&format!("from {}", &revision[..10])), "{}", same.stderr);
    assert!(same.stderr.contains(who), "{}", same.stderr);

    // Another build, of a tree that has changed.
    fs::write(folder.join("new.txt"), "").unwrap();
    jar(&file, &[("a.class", "one"), ("c.class", &large.replace('x', "y")), ("d.class", "one")]);
    let table = diff(&["app.jar"]).code(1).stderr_has("3 differences").stdout;
    let rows: Vec<_> = table.lines().map(|line| line.split("   ").collect::<Vec<_>>()).collect();
    let rows: Vec<_> = rows.iter().map(|row| (row[0], row[row.len() - 1].trim())).collect();
    let wanted = [
        ("DIFFERENCE", "PATH"),
        ("remote only", "b.class"),
        ("differs", "c.class"),
        ("local only", "d.class"),
    ];
    assert_eq!(rows, wanted, "{table}");
    let printed = diff(&["app.jar", "/tmp/app", "-o", "json"]).code(1).stdout;
    cases.json("diff", "diff", &printed);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&printed["archive"], &printed["same"]), (&json!(true), &json!(false)));
    assert_eq!(printed["remote"], "/tmp/app/app.jar");
    assert_eq!(printed["differences"][0], json!({ "path": "b.class", "kind": "remote_only" }));
    assert_eq!(printed["sent"]["hash"], first);
    // What was sent is what runs after the next start.
    typed.run(&["sync", "app.jar", "deploy/shop:/tmp/app/"]).code(0);
    assert_eq!(typed.app("app")["content"][0]["hash"], first);
    typed.run(&["restart", "deploy/shop"]).code(0);
    let wide = typed.run(&["ps", "deploy/shop", "-o", "wide"]).code(0).stdout;
    let second = format!("{} (dirty)", &hash(&file).unwrap()[..10]);
    assert!(wide.contains(&second) && wide.contains(&revision[..10]), "{wide}");

    // A file that is no archive, and a folder.
    let tree = folder.join("tree");
    fs::create_dir_all(tree.join("in")).unwrap();
    fs::write(tree.join("in/a"), "a").unwrap();
    fs::write(tree.join("b"), "b").unwrap();
    typed.run(&["sync", "tree", "deploy/shop:/tmp/tree"]).code(0);
    diff(&["tree"]).code(0);
    diff(&["tree/b", "/tmp/tree/in/a"]).code(1).stderr_has("differs from /tmp/tree/in/a");
    fs::write(tree.join("b"), "c").unwrap();
    let touch = ["shell", "deploy/shop", "--", "touch", "/tmp/tree/in/there"];
    typed.run(&touch).code(0);
    let printed = diff(&["tree", "-o", "json"]).code(1).stdout;
    cases.json("diff", "diff of a folder", &printed);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let differences = json!([
        { "path": "b", "kind": "differs" },
        { "path": "in/there", "kind": "remote_only" },
    ]);
    assert_eq!((&printed["differences"], &printed["archive"]), (&differences, &json!(false)));
    diff(&["tree", "/tmp/tree", "--exclude", "there", "--exclude", "b"]).code(0);
    diff(&["tree", "/tmp/none"]).code(2).stderr_has("There is no /tmp/none in shop-");
    diff(&["app.jar", "/tmp/none"]).code(2).stderr_has("There is no /tmp/none in shop-");
    diff(&["none", "/tmp/none"]).code(2).stderr_has("none cannot be read");

    // The application of the workload itself.
    typed.run(&["restore", "deploy/shop"]).code(0);
    let live = diff(&["app.jar", "/tmp/app.jar"]).code(2);
    live.stderr_has("was not emptied by diyadm").stderr_has("Empty it first");
    cases.hold();
}
