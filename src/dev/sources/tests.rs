//! What of a project counts as a change, in real folders.

use std::{fs, time::Duration};

use tokio::time::timeout;

use super::*;
use crate::dev::project::parse;

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Whether a change wakes. One that does is waited for; of one that does not it shows soon.
async fn wakes(sources: &mut Sources<'_>, path: &str) -> bool {
    wakes_in(sources, path, Duration::from_secs(60)).await
}

async fn sleeps(sources: &mut Sources<'_>, path: &str) -> bool {
    !wakes_in(sources, path, Duration::from_millis(300)).await
}

async fn wakes_in(sources: &mut Sources<'_>, path: &str, patience: Duration) -> bool {
    fs::write(sources.folder.join(path), path).unwrap();
    timeout(patience, sources.changed()).await.is_ok()
}

async fn worked(sources: &mut Sources<'_>) -> bool {
    sources.build().await.unwrap().worked
}

fn folder(folders: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in folders {
        fs::create_dir_all(folder.path().join(path)).unwrap();
    }
    folder
}

const BUILT: &str = "\
    build: mkdir -p target && cat src/* > target/new && mv target/new target/app\n\
    sync:\n- from: target/app\n  to: /tmp/app\nrun: {command: /tmp/app}\n";

#[test]
fn watched_sources_are_built_and_the_output_is_sent() {
    let folder = folder(&["src/deep", "docs"]);
    let root = folder.path();
    fs::write(root.join("src/a"), "a").unwrap();
    let text = format!("{BUILT}watch: [src, '*.conf']\n");
    let project = parse(&text).unwrap();
    block(async {
        let mut sources = Sources::new(root, &project).unwrap();
        assert!(!sources.notices_changes());
        assert!(!worked(&mut sources).await, "cat cannot read a folder");
        assert!(sources.notices_changes());
        fs::remove_dir(root.join("src/deep")).unwrap();
        assert!(worked(&mut sources).await);
        sources.scan_watched().await.unwrap();
        let sent: Vec<_> = sources.sent().collect();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].1.scan.entries.len(), 1);
        // What a build writes does not build, nor what nobody watches.
        assert!(sleeps(&mut sources, "target/app").await);
        assert!(sleeps(&mut sources, "docs/a").await);
        assert!(sleeps(&mut sources, "b").await);
        for path in ["src/b", "docs/a.conf"] {
            assert!(wakes(&mut sources, path).await, "{path}");
            assert!(worked(&mut sources).await);
        }
        // So is a folder that comes while changes are waited for.
        let later = async {
            fs::create_dir(root.join("src/new")).unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            fs::write(root.join("src/new/c"), "c").unwrap();
        };
        tokio::join!(sources.changed(), later);
    });
}

#[test]
fn default_watch_excludes_build_output() {
    let folder = folder(&["src", "target", "node_modules"]);
    let root = folder.path();
    fs::write(root.join(".gitignore"), "*.log\n").unwrap();
    fs::write(root.join("src/a"), "a").unwrap();
    let project = parse(BUILT).unwrap();
    block(async {
        let mut sources = Sources::new(root, &project).unwrap();
        assert!(worked(&mut sources).await);
        sources.scan_watched().await.unwrap();
        for path in ["target/x", "node_modules/x", "a.log", "src/A.class"] {
            assert!(sleeps(&mut sources, path).await, "{path}");
        }
        assert!(wakes(&mut sources, "src/b").await && worked(&mut sources).await);
        assert!(wakes(&mut sources, "README").await);
    });
}

#[test]
fn failed_build_is_retried_after_a_change() {
    let folder = folder(&["src"]);
    let root = folder.path();
    let project = parse(BUILT).unwrap();
    block(async {
        let mut sources = Sources::new(root, &project).unwrap();
        assert!(!worked(&mut sources).await, "there is nothing in src");
        // There is nothing to send yet, and changes are heard all the same.
        assert!(sources.scan_watched().await.is_err() && sources.notices_changes());
        assert!(wakes(&mut sources, "src/a").await);
        assert!(worked(&mut sources).await);
        sources.scan_watched().await.unwrap();
        assert_eq!(sources.sent().count(), 1);
    });
}

/// Builds until nothing has changed since; what each build wrote.
async fn builds(sources: &mut Sources<'_>) -> Vec<Vec<String>> {
    let mut builds = Vec::new();
    loop {
        let Built { worked, wrote } = sources.build().await.unwrap();
        assert!(worked);
        builds.push(wrote);
        let wakes = timeout(Duration::from_millis(300), sources.changed()).await.is_ok();
        if !wakes {
            return builds;
        }
        assert!(builds.len() < 9, "it builds for ever: {builds:?}");
    }
}

fn wrote(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn build_that_writes_watched_files_is_not_repeated_and_is_named() {
    let run = "run: {command: x}\n";
    for (build, names) in [
        ("date +%N > src/stamp", &["src/stamp"][..]),
        ("echo same > src/stamp", &["src/stamp"]),
        // From one folder to the other, and back at the next build.
        (
            "if [ -e src/ball ]; then mv src/ball gen; else mv gen/ball src; fi",
            &["gen/ball", "src/ball"],
        ),
    ] {
        let folder = folder(&["src", "gen"]);
        let root = folder.path();
        for path in ["src/a", "src/ball", "src/stamp"] {
            fs::write(root.join(path), "old").unwrap();
        }
        let project = parse(&format!("build: {build}\nwatch: [src, gen]\n{run}")).unwrap();
        block(async {
            let mut sources = Sources::new(root, &project).unwrap();
            let first = builds(&mut sources).await;
            assert_eq!(first, [wrote(names)], "{build}");
            // And again at a change, without a word.
            fs::write(root.join("src/a"), "new").unwrap();
            sources.changed().await;
            assert_eq!(builds(&mut sources).await, [wrote(&[])], "{build}");
        });
    }
}

#[test]
fn build_that_creates_new_files_is_repeated_at_most_once() {
    let folder = folder(&["src", "gen"]);
    let root = folder.path();
    fs::write(root.join("src/a"), "a").unwrap();
    let text = "build: cp src/a $(mktemp gen/XXXXXX)\nwatch: [src, gen]\nrun: {command: x}\n";
    let project = parse(text).unwrap();
    block(async {
        let mut sources = Sources::new(root, &project).unwrap();
        assert_eq!(builds(&mut sources).await.len(), 1);
        for most in [2, 1, 1] {
            fs::write(root.join("src/a"), most.to_string().repeat(most)).unwrap();
            sources.changed().await;
            let builds = builds(&mut sources).await;
            assert!(builds.len() <= most, "{builds:?}");
        }
    });
}

#[test]
fn file_saved_during_a_build_triggers_another_build() {
    let folder = folder(&["src"]);
    let root = folder.path();
    fs::write(root.join("src/a"), "one").unwrap();
    let build = "touch begun; while [ -e hold ]; do sleep 0.05; done; cat src/a >> built";
    let text = format!("build: {build}\nwatch: [src]\nrun: {{command: x}}\n");
    let project = parse(&text).unwrap();
    block(async {
        let mut sources = Sources::new(root, &project).unwrap();
        assert_eq!(builds(&mut sources).await.len(), 1);
        fs::remove_file(root.join("begun")).unwrap();
        fs::write(root.join("hold"), "").unwrap();
        fs::write(root.join("src/a"), "two").unwrap();
        sources.changed().await;
        let saved = async {
            while !root.join("begun").exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            fs::write(root.join("src/a"), "three").unwrap();
            fs::write(root.join("src/b"), "new").unwrap();
            fs::remove_file(root.join("hold")).unwrap();
        };
        let (built, ()) = tokio::join!(sources.build(), saved);
        assert_eq!(built.unwrap(), Built { worked: true, wrote: Vec::new() });
        sources.changed().await;
        assert_eq!(builds(&mut sources).await, [wrote(&[])]);
        assert!(fs::read_to_string(root.join("built")).unwrap().ends_with("three"));
    });
}

#[test]
fn two_sync_entries_with_one_target_are_refused_with_their_lines() {
    let folder = folder(&["one", "two"]);
    let text = "run: {command: x}\nsync:\n- {from: one, to: /x/}\n- {from: two, to: /x/./}\n";
    let project = parse(text).unwrap();
    let mut sources = Sources::new(folder.path(), &project).unwrap();
    let error = block(sources.scan_watched()).unwrap_err().to_string();
    assert!(error.starts_with("Line 4 ") && error.contains("line 3 "), "{error}");
}

#[test]
fn without_a_build_the_sent_files_are_watched() {
    let folder = folder(&["app/lib", "docs"]);
    let root = folder.path();
    fs::write(root.join("app/.gitignore"), "*.log\n").unwrap();
    let text = "sync:\n- from: app\n  to: /app\n  exclude: ['*.tmp']\nrun: {command: x}\n";
    let project = parse(text).unwrap();
    block(async {
        let mut sources = Sources::new(root, &project).unwrap();
        assert!(worked(&mut sources).await, "there is none");
        sources.scan_watched().await.unwrap();
        for path in ["docs/a", "app/a.log", "app/lib/a.tmp"] {
            assert!(sleeps(&mut sources, path).await, "{path}");
        }
        assert!(wakes(&mut sources, "app/lib/a").await);
    });
}
