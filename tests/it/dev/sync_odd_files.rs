//! Files that vanish before they are sent, and sparse files.

use std::{
    fs, io,
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
    pin::Pin,
    process::Stdio,
    task::{Context, Poll},
};

use diyadm::dev::{
    sync::{Open, Options, PodCount, Progress, SyncSource},
    wire::{Conversation, Reader, Writer},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    process::{ChildStdout, Command},
};

use super::{
    conversation::block,
    sync::{all, bytes, quiet, sync},
    tree::noise,
};

/// Deletes a file of this side as soon as the far end has begun to receive it.
struct Vanishing {
    from: ChildStdout,
    file: PathBuf,
    part: PathBuf,
}

impl AsyncRead for Vanishing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.from).poll_read(cx, buffer);
        if self.part.exists() {
            let _ = fs::remove_file(&self.file);
        }
        read
    }
}

#[test]
fn sync_skips_a_file_that_vanishes() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    fs::create_dir(&from).unwrap();
    fs::write(from.join("b"), noise(1, 300_000)).unwrap();
    fs::write(from.join("c"), noise(2, 300_000)).unwrap();
    block(async {
        let mut child = Command::new(env!("DIYADM_AGENT_FILE"))
            .arg("relay")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let part = to.join(".b.diyadm-part");
        let reader = Vanishing { from: child.stdout.take().unwrap(), file: from.join("b"), part };
        let writer = Writer::new(child.stdin.take().unwrap());
        let mut talk = Conversation::begin(Reader::new(reader), writer).await.unwrap();
        let source = SyncSource::new(&from, &bytes(&to), all(), PodCount::One).unwrap();
        let here = source.scan().await.unwrap();
        let mut open = Open::begin(&mut talk, &source).await.unwrap();
        let progress = Progress::new(quiet());
        let outcome = open.bring(&mut talk, &source, &here, &progress).await.unwrap();
        assert_eq!(outcome.report.refused, Vec::<String>::new());
        assert_eq!(outcome.report.files, 1);
        drop(talk);
        child.wait().await.unwrap();
    });
    assert!(!from.join("b").exists() && !to.join("b").exists());
    assert!(fs::read(to.join("c")).unwrap() == noise(2, 300_000));
}

#[test]
fn sync_keeps_sparse_files_sparse() {
    const LENGTH: u64 = 64 << 20;
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    let file = fs::File::create(&from).unwrap();
    file.set_len(LENGTH).unwrap();
    file.write_all_at(&noise(1, 100_000), 20 << 20).unwrap();
    let is_same = || {
        assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
        let meta = fs::metadata(&to).unwrap();
        assert!(meta.blocks() * 512 < 2 << 20, "it takes {} blocks", meta.blocks());
    };
    sync(&from, &bytes(&to), Options::default()).unwrap();
    is_same();
    file.write_all_at(&noise(2, 100_000), 50 << 20).unwrap();
    let (outcome, sent) = sync(&from, &bytes(&to), Options::default()).unwrap();
    assert!(outcome.report.files == 1 && sent < 1 << 20, "{sent} bytes");
    is_same();
}
