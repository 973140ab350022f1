//! `sync` through a real agent process.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    pin::Pin,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use diyadm::{
    dev::{
        Trouble,
        sync::{Open, Options, PodCount, Progress, SyncOutcome, SyncSource},
        wire::{Conversation, Reader, Writer},
    },
    ui::terminal::{Terminal, TerminalFlags},
};
use diyadm_agent::protocol::{
    Bytes, Failed,
    transfer::{Reason, Refusal},
};
use proptest::prelude::*;
use tokio::{
    io::AsyncWrite,
    process::{ChildStdin, Command},
};

use super::{
    conversation::{agent, block},
    tree::{Thing, look, make, noise, tree},
};

pub(super) fn quiet() -> Terminal {
    Terminal::new(&TerminalFlags { quiet: true, ..TerminalFlags::default() })
}

pub(super) fn bytes(path: &Path) -> Bytes {
    use std::os::unix::ffi::OsStrExt;
    Bytes(path.as_os_str().as_bytes().to_vec())
}

pub(super) fn all() -> Options {
    Options { delete: true, ignore_files: true, ..Options::default() }
}

/// Once, over a conversation of its own; what was done, and bytes that went over the wire.
pub(super) fn sync(
    from: &Path,
    to: &Bytes,
    options: Options,
) -> Result<(SyncOutcome, u64), Trouble> {
    block(async {
        let (mut talk, mut child) = agent(Path::new("/none.sock")).await;
        let source = SyncSource::new(from, to, options, PodCount::One).unwrap();
        let here = source.scan().await.unwrap();
        let progress = Progress::new(quiet());
        let mut open = Open::begin(&mut talk, &source).await?;
        let outcome = open.bring(&mut talk, &source, &here, &progress).await?;
        // Until it is gone it has the folder, which the next one wants.
        drop(talk);
        child.wait().await.unwrap();
        Ok((outcome, progress.sent()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sync_makes_the_remote_folder_equal(here in tree(), there in tree()) {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        for (root, tree) in [(&from, &here), (&to, &there)] {
            fs::create_dir(root).unwrap();
            make(root, tree);
        }
        let (outcome, _) = sync(&from, &bytes(&to), all()).unwrap();
        prop_assert_eq!(&outcome.report.refused, &Vec::<String>::new());
        prop_assert!(look(&to) == here, "{:?}\n{:?}", look(&to), here);
        // Then there is nothing to do.
        let (outcome, _) = sync(&from, &bytes(&to), all()).unwrap();
        let report = outcome.report;
        prop_assert_eq!((report.files, report.others, report.deleted), (0, 0, 0));
        // Nor by content.
        let checksum = Options { checksum: true, ..all() };
        let (outcome, _) = sync(&from, &bytes(&to), checksum).unwrap();
        prop_assert_eq!(outcome.report.files, 0);
    }
}

#[test]
fn sync_deletes_only_with_the_flag_and_never_excluded_files() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    fs::create_dir_all(from.join("src")).unwrap();
    fs::create_dir_all(to.join("logs")).unwrap();
    fs::write(from.join(".gitignore"), "logs/\n*.tmp\n").unwrap();
    fs::write(from.join("src/a"), "a").unwrap();
    fs::write(from.join("b.tmp"), "b").unwrap();
    for path in ["old", "logs/x", "c.tmp"] {
        fs::write(to.join(path), path).unwrap();
    }
    let keep = Options { ignore_files: true, ..Options::default() };
    let (outcome, _) = sync(&from, &bytes(&to), keep).unwrap();
    assert_eq!(outcome.report.deleted, 0);
    let (outcome, _) = sync(&from, &bytes(&to), all()).unwrap();
    assert_eq!(outcome.report.deleted, 1);
    let there = |path: &str| to.join(path).exists();
    assert!(there("src/a") && there("logs/x") && there("c.tmp") && there(".gitignore"));
    assert!(!there("old") && !there("b.tmp"));
    // What could not be read on this side is not taken for gone.
    fs::write(from.join("src/.gitignore"), "a\n{b\n").unwrap();
    fs::write(to.join("old"), "old").unwrap();
    let (outcome, _) = sync(&from, &bytes(&to), all()).unwrap();
    assert_eq!((outcome.report.deleted, there("old")), (0, true));
    let (outcome, _) = sync(&from, &bytes(&to), Options { ignore_files: false, ..all() }).unwrap();
    assert!(outcome.report.deleted > 0 && there("b.tmp") && !there("logs"));
}

#[test]
fn sync_sends_only_the_changed_chunk_of_a_big_file() {
    let folder = tempfile::tempdir().unwrap();
    let jar = folder.path().join("app.jar");
    let mut content = noise(7, 20_000_000);
    fs::write(&jar, &content).unwrap();
    let to = bytes(&folder.path().join("there/new/app.jar"));
    let (outcome, first) = sync(&jar, &to, Options::default()).unwrap();
    assert!(outcome.report.files == 1 && first > 20_000_000, "{first}");
    // Something is put in, so that all that follows is elsewhere.
    content.splice(9_000_000..9_000_100, noise(8, 3000));
    fs::write(&jar, &content).unwrap();
    let (outcome, second) = sync(&jar, &to, Options::default()).unwrap();
    assert_eq!(outcome.report.files, 1);
    assert!(second * 100 < first, "{second} of {first}");
    assert!(fs::read(folder.path().join("there/new/app.jar")).unwrap() == content);
}

#[test]
fn sync_follows_a_named_link_and_skips_links_that_lead_outside() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("v2")).unwrap();
    fs::write(root.join("v2/app.jar"), "two").unwrap();
    symlink("v2/app.jar", root.join("latest.jar")).unwrap();
    let there = root.join("there");
    let mut to = bytes(&there);
    to.0.push(b'/');
    sync(&root.join("latest.jar"), &to, Options::default()).unwrap();
    assert_eq!(fs::read(there.join("latest.jar")).unwrap(), b"two");
    assert!(!there.join("latest.jar").is_symlink());
    symlink("/etc/passwd", root.join("v2/out")).unwrap();
    fs::write(root.join("v2/z"), "z").unwrap();
    fs::write(there.join("old"), "old").unwrap();
    let (outcome, _) = sync(&root.join("v2"), &bytes(&there), all()).unwrap();
    assert_eq!(outcome.report.refused, Vec::<String>::new());
    // The rest is done all the same.
    assert!(there.join("z").exists() && !there.join("out").is_symlink());
    assert!(!there.join("old").exists());
}

#[test]
fn sync_dry_run_lists_changes_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    fs::create_dir_all(from.join("a")).unwrap();
    fs::write(from.join("a/b"), "b").unwrap();
    let to = folder.path().join("to");
    let dry = Options { dry_run: true, ..all() };
    let (outcome, _) = sync(&from, &bytes(&to), dry.clone()).unwrap();
    assert_eq!((outcome.plan.folders.len(), outcome.plan.files.len()), (1, 1));
    assert!(!to.exists());
    fs::create_dir(&to).unwrap();
    fs::write(to.join("old"), "").unwrap();
    let (outcome, _) = sync(&from, &bytes(&to), dry).unwrap();
    assert_eq!(outcome.plan.delete, ["old".into()]);
    assert_eq!(look(&to).len(), 1);
}

#[test]
fn sync_replaces_another_file_type_only_with_delete() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    fs::create_dir_all(to.join("a/b")).unwrap();
    fs::create_dir(&from).unwrap();
    fs::write(from.join("a"), "file").unwrap();
    let (outcome, _) = sync(&from, &bytes(&to), Options::default()).unwrap();
    assert_eq!(outcome.plan.blocked, ["a".into()]);
    assert!(to.join("a/b").is_dir());
    sync(&from, &bytes(&to), all()).unwrap();
    assert_eq!(fs::read(to.join("a")).unwrap(), b"file");
}

#[test]
fn second_sync_to_one_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::create_dir(&from).unwrap();
    block(async {
        let source = SyncSource::new(&from, &bytes(&to), all(), PodCount::One).unwrap();
        let (mut one, _child) = agent(Path::new("/none.sock")).await;
        let _open = Open::begin(&mut one, &source).await.unwrap();
        let (mut other, _child) = agent(Path::new("/none.sock")).await;
        let refused = Open::begin(&mut other, &source).await.unwrap_err();
        let Trouble::Failed(failed) = refused else { panic!("{refused}") };
        assert!(
            matches!(*failed, Failed::Refused(Refusal { reason: Reason::Busy, .. })),
            "{failed}"
        );
    });
}

#[test]
fn sync_of_a_file_being_written_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let to = folder.path().join("there");
    fs::write(&file, noise(1, 3_000_000)).unwrap();
    let writing = file.clone();
    let until = Instant::now() + Duration::from_secs(2);
    let writer = thread::spawn(move || {
        use std::os::unix::fs::FileExt;
        let file = fs::OpenOptions::new().write(true).open(writing).unwrap();
        let mut at = 0;
        while Instant::now() < until {
            file.write_all_at(&noise(at, 4096), (at * 917_503) % 2_990_000).unwrap();
            at += 1;
            thread::sleep(Duration::from_millis(1));
        }
    });
    let mut refused = Vec::new();
    while !writer.is_finished() {
        let (outcome, _) = sync(&file, &bytes(&to), Options::default()).unwrap();
        refused.extend(outcome.report.refused);
        if to.exists() {
            assert_eq!(fs::read(&to).unwrap().len(), 3_000_000);
        }
    }
    writer.join().unwrap();
    assert!(refused.iter().all(|what| what.contains("keeps changing")), "{refused:?}");
    let (outcome, _) = sync(&file, &bytes(&to), Options::default()).unwrap();
    assert_eq!(outcome.report.refused, Vec::<String>::new());
    assert!(fs::read(&file).unwrap() == fs::read(&to).unwrap());
}

#[test]
fn repeated_sync_sends_only_changes() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    fs::create_dir(&from).unwrap();
    for at in 0..200 {
        fs::write(from.join(format!("{at}")), format!("{at}")).unwrap();
    }
    block(async {
        let (mut talk, _child) = agent(Path::new("/none.sock")).await;
        let source = SyncSource::new(&from, &bytes(&to), all(), PodCount::One).unwrap();
        let mut open = Open::begin(&mut talk, &source).await.unwrap();
        let mut bring = async || {
            let here = source.scan().await.unwrap();
            let progress = Progress::new(quiet());
            let outcome = open.bring(&mut talk, &source, &here, &progress).await.unwrap();
            (outcome.report.files, outcome.report.deleted)
        };
        assert_eq!(bring().await, (200, 0));
        fs::write(from.join("7"), "seven").unwrap();
        fs::remove_file(from.join("8")).unwrap();
        assert_eq!(bring().await, (1, 1));
        assert_eq!(bring().await, (0, 0));
    });
    let same = |tree: super::tree::Tree| {
        tree.into_iter().map(|(path, thing)| match thing {
            Thing::File(content, ..) => (path, content),
            other => panic!("{other:?}"),
        })
    };
    assert!(same(look(&from)).eq(same(look(&to))));
}

/// Writes so many bytes, then the connection is cut.
struct Cut {
    to: ChildStdin,
    left: usize,
    sent: Arc<AtomicU64>,
}

impl AsyncWrite for Cut {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let some = bytes.len().min(self.left);
        if some == 0 {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let written = Pin::new(&mut self.to).poll_write(cx, &bytes[..some]);
        if let Poll::Ready(Ok(written)) = written {
            self.left -= written;
            self.sent.fetch_add(written as u64, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_shutdown(cx)
    }
}

#[test]
fn sync_after_a_cut_connection_resends_nothing_that_arrived() {
    const LENGTH: usize = 6_000_000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.jar");
    let to = folder.path().join("there.jar");
    fs::write(&to, "old").unwrap();
    fs::write(&file, noise(3, LENGTH)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let source = SyncSource::new(&file, &bytes(&to), Options::default(), PodCount::One).unwrap();
    let once = async |left: usize| {
        let mut child = Command::new(env!("DIYADM_AGENT_FILE"))
            .arg("relay")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let writer = Cut { to: child.stdin.take().unwrap(), left, sent: Arc::clone(&sent) };
        let reader = Reader::new(child.stdout.take().unwrap());
        let mut talk = Conversation::begin(reader, Writer::new(writer)).await?;
        let here = source.scan().await.unwrap();
        let mut open = Open::begin(&mut talk, &source).await?;
        open.bring(&mut talk, &source, &here, &Progress::new(quiet())).await?;
        drop(talk);
        // What it took it has written down, before another may go on.
        child.wait().await.unwrap();
        Ok::<_, Trouble>(())
    };
    let mut tries = 0;
    block(async {
        let mut seed = 11;
        loop {
            tries += 1;
            assert!(tries < 100, "it never ends");
            seed = seed * 1_103_515_245 % 2_147_483_647;
            match once(20_000 + seed % 900_000).await {
                Ok(()) => break,
                Err(Trouble::Lost(_)) => assert_eq!(fs::read(&to).unwrap(), b"old"),
                // The one before has not noticed its end yet.
                Err(Trouble::Failed(failed)) => {
                    assert!(failed.to_string().contains("another sync"), "{failed}");
                    tries -= 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(other) => panic!("{other}"),
            }
        }
    });
    assert!(tries > 5, "it was never cut");
    assert!(fs::read(&to).unwrap() == fs::read(&file).unwrap());
    let sent = sent.load(Ordering::Relaxed);
    // The list of chunks goes with each try, and a piece of each was on its way.
    let most = (LENGTH + tries * (LENGTH / 300 + 700_000)) as u64;
    assert!(sent < most, "{sent} of {most} in {tries} tries");
}
