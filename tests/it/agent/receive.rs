//! Files, received: whole or not at all, below the root or not at all, and never twice.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, symlink},
    },
    path::Path,
};

use diyadm_agent::protocol::{
    Answer, Bytes, Failed,
    transfer::{Data, File, Hashes, Mtime, Op, Reason, Receive, Refusal, What},
};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    client::{Message, relay},
    sender::{Sender, file, into},
};

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let read = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        read.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Bytes that look random, and are the same for the same seed.
pub(super) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A content made of pieces, each noise or zeros; two contents share pieces.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = (0_u32..6, 0_usize..9_000).prop_map(|(seed, length)| match seed {
        0 => vec![0; length],
        seed => noise(seed, 9_000)[..length].to_vec(),
    });
    vec(piece, 1..7).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn received_file_is_old_or_new_wherever_the_connection_is_cut(
        old in proptest::option::of(content()),
        other in proptest::option::of(content()),
        new in content(),
        cuts in vec(any::<Index>(), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.jar");
        let mut old = old;
        if let Some(old) = &old {
            fs::write(&target, old).unwrap();
        }
        let (file, chunks) = file(b"a.jar", &new);
        prop_assume!(!chunks.is_empty());
        let mut arrived = HashSet::new();
        let mut whole = false;
        for (round, cut) in cuts.iter().enumerate() {
            // In the midst of it another content is tried, and cut off as well.
            if let (1, Some(other)) = (round, &other) {
                let (file, chunks) = super::sender::file(b"a.jar", other);
                let mut sender = Sender::new(&into(folder.path()));
                if chunks.is_empty() {
                    sender.hang_up();
                } else if let Ok(need) = sender.offer(&file, &chunks) {
                    let frames = sender.frames(&chunks, &need).concat();
                    // Never all of it, or it would be the target.
                    sender.client.send_bytes(&frames[..cut.index(frames.len())]);
                    sender.hang_up();
                } else {
                    // All of it was there already.
                    (old, whole) = (Some(other.clone()), false);
                }
                arrived.clear();
            }
            let mut sender = Sender::new(&into(folder.path()));
            match sender.offer(&file, &chunks) {
                Ok(need) => {
                    let twice = need.iter().filter(|at| arrived.contains(&chunks[**at].0.hash));
                    prop_assert_eq!(twice.count(), 0, "what arrived is not asked for again");
                    let frames = sender.frames(&chunks, &need);
                    let mut left = cut.index(frames.concat().len() + 1);
                    sender.client.send_bytes(&frames.concat()[..left]);
                    for (at, frame) in need.iter().zip(&frames) {
                        let Some(after) = left.checked_sub(frame.len()) else { break };
                        left = after;
                        arrived.insert(chunks[*at].0.hash);
                        whole |= Some(at) == need.last();
                    }
                }
                Err(done) => {
                    prop_assert!(done.is_ok());
                    whole = true;
                }
            }
            sender.hang_up();
            let there = fs::read(&target).ok();
            let expected = if whole { Some(&new) } else { old.as_ref() };
            prop_assert!(there.as_ref() == expected);
        }
        let mut sender = Sender::new(&into(folder.path()));
        let (done, _) = sender.send(b"a.jar", &new);
        prop_assert!(done.is_ok());
        prop_assert!(fs::read(&target).unwrap() == new);
        let meta = fs::metadata(&target).unwrap();
        let mtime = (meta.mtime(), meta.mtime_nsec());
        prop_assert_eq!((meta.mode() & 0o7777, mtime), (0o640, (1_600_000_000, 5_000)));
        prop_assert!(sender.send(b"a.jar", &new) == (Ok(false), 0));
        sender.hang_up();
        prop_assert_eq!(names(folder.path()), ["a.jar"], "nothing is left beside it");
    }
}

#[test]
fn receive_requests_only_missing_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let old = noise(1, 400_000);
    fs::write(folder.path().join("a"), &old).unwrap();
    let mut new = old.clone();
    new.splice(200_000..200_010, *b"something longer");
    let mut sender = Sender::new(&into(folder.path()));
    let (done, sent) = sender.send(b"a", &new);
    assert_eq!(done, Ok(true));
    assert!(sent <= 4, "{sent} chunks for ten bytes");
    let (done, sent) = sender.send(b"b", &[&noise(2, 5000)[..], &noise(2, 5000)].concat());
    assert_eq!(done, Ok(true));
    assert!(sent < 5000 / 64, "what comes twice in it travels once: {sent}");
    assert!(fs::read(folder.path().join("a")).unwrap() == new);
}

#[test]
fn receive_reuses_repeated_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let long = [noise(1, 100_000), vec![0; 16 << 20]].concat();
    let mut sender = Sender::new(&into(folder.path()));
    let (done, sent) = sender.send(b"a", &long);
    assert!(done == Ok(true) && sent < 2000, "{done:?} after {sent} chunks");
    let meta = fs::metadata(folder.path().join("a")).unwrap();
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_600_000_000, 5_000));
    assert!(fs::read(folder.path().join("a")).unwrap() == long);
    assert!(meta.blocks() * 512 < 1 << 20, "its zeros take {} blocks", meta.blocks());
}

#[test]
fn receive_writes_a_whole_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("not/yet/there");
    let mut sender = Sender::new(&Receive { create: true, delete: true, ..into(&root) });
    let mtime = Mtime { s: 1_500_000_000, ns: 1 };
    let odd: &[u8] = b"-n\n\xff x";
    let path = |name: &[u8]| Bytes([b"d/", name].concat());
    let d = || Bytes::from("d");
    assert_eq!(sender.step(Op::Folder { path: d(), mode: 0o555 }), Ok(true));
    assert_eq!(sender.small(&path(odd).0, b"odd"), Ok(true));
    assert_eq!(sender.small(&path(b"empty").0, b""), Ok(true));
    assert_eq!(sender.small(&[b"d/", &[b'x'; 255][..]].concat(), b"long"), Ok(true));
    assert_eq!(sender.step(Op::Folder { path: path(b"hollow"), mode: 0o700 }), Ok(true));
    let link = Op::Link { path: path(b"link"), to: "../d/empty".into() };
    assert_eq!(sender.step(link.clone()), Ok(true));
    assert_eq!(sender.step(link), Ok(false));
    assert_eq!(sender.step(Op::Settle { path: d(), mode: 0o555, mtime }), Ok(true));
    assert_eq!(sender.step(Op::Settle { path: d(), mode: 0o555, mtime }), Ok(false));
    assert_eq!(sender.step(Op::Folder { path: d(), mode: 0o555 }), Ok(false));
    assert_eq!(fs::read(root.join("d").join(OsStr::from_bytes(odd))).unwrap(), b"odd");

    sender.ask(Op::List { hash: true, only: None });
    let Answer::Entries { mut entries, .. } = sender.client.answer() else { panic!("entries") };
    assert_eq!(sender.done(), Ok(false));
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let hash = |content: &[u8]| Some(blake3::hash(content).into());
    let whats: Vec<_> =
        entries.iter().map(|entry| (entry.path.clone(), entry.what.clone())).collect();
    assert_eq!(
        whats,
        [
            (d(), What::Folder),
            (path(odd), What::File { size: 3, hash: hash(b"odd") }),
            (path(b"empty"), What::File { size: 0, hash: hash(b"") }),
            (path(b"hollow"), What::Folder),
            (path(b"link"), What::Link { to: "../d/empty".into() }),
            (path(&[b'x'; 255]), What::File { size: 4, hash: hash(b"long") }),
        ]
    );
    assert_eq!((entries[0].mode, entries[0].mtime), (0o555, mtime));
    assert_eq!((entries[1].mode, entries[1].mtime), (0o640, Mtime { s: 1_600_000_000, ns: 5_000 }));

    // A folder goes when it is empty, a link without what it leads to.
    let delete = |path| Op::Delete { path };
    assert_eq!(sender.step(delete(d())), Err(Reason::InTheWay));
    assert_eq!(sender.step(delete(path(b"link"))), Ok(true));
    assert!(root.join("d/empty").exists());
    assert_eq!(sender.step(delete(path(b"hollow"))), Ok(true));
    assert_eq!(sender.step(delete(path(b"hollow/x"))), Ok(false));
    assert_eq!(sender.step(delete(path(b"hollow"))), Ok(false));
}

#[test]
fn receive_writes_nothing_outside_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "gold").unwrap();
    symlink(&outside, root.join("way")).unwrap();
    symlink(outside.join("precious"), root.join("link")).unwrap();
    let mut sender = Sender::new(&Receive { delete: true, ..into(&root) });
    let outside_of = |sender: &mut Sender, path: &str| {
        let at = || Bytes::from(path);
        let ops = [
            Op::Folder { path: at(), mode: 0o755 },
            Op::Settle { path: at(), mode: 0, mtime: Mtime::default() },
            Op::Link { path: at(), to: "x".into() },
            Op::Delete { path: at() },
        ];
        let mut done: Vec<_> = ops.into_iter().map(|op| sender.step(op)).collect();
        done.push(sender.small(path.as_bytes(), b"mine"));
        let (file, chunks) = file(path.as_bytes(), b"mine");
        done.push(sender.offer(&file, &chunks).unwrap_err());
        done.iter().for_each(|done| assert_eq!(*done, Err(Reason::Outside), "{path}"));
    };
    for path in ["", "..", "../x", "a/../../x", "/etc/x", ".", "a//b", "way/precious", "way/x"] {
        outside_of(&mut sender, path);
    }
    for to in ["/etc", "../outside", "..", "a/../../outside", "way/.."] {
        let link = Op::Link { path: "new".into(), to: to.into() };
        assert_eq!(sender.step(link), Err(Reason::Outside), "{to}");
    }
    // A link in a file's place is replaced, settled or deleted itself.
    let settle = Op::Settle { path: "link".into(), mode: 0o777, mtime: Mtime::default() };
    assert_eq!(sender.step(settle), Ok(true));
    assert_eq!(sender.small(b"link", b"mine"), Ok(true));
    assert_eq!(sender.step(Op::Delete { path: "way".into() }), Ok(true));
    assert_eq!(fs::read_to_string(outside.join("precious")).unwrap(), "gold");
    assert!(fs::metadata(outside.join("precious")).unwrap().mtime() > 0);
    assert_eq!((names(&outside), names(&root)), (vec!["precious".into()], vec!["link".into()]));
    // And nothing is deleted that was not said to be.
    let mut sender = Sender::new(&into(&root));
    assert_eq!(sender.step(Op::Delete { path: "link".into() }), Err(Reason::Denied));
    assert!(root.join("link").exists());
}

#[test]
fn receive_refuses_two_transfers_of_one_target() {
    let folder = tempfile::tempdir().unwrap();
    let alone = Receive { alone: true, ..into(folder.path()) };
    let mut first = Sender::new(&alone);
    let busy = |wanted: &Receive| match Sender::try_new(relay(Path::new("/none")), wanted) {
        Err(Failed::Refused(Refusal { reason, .. })) => reason,
        _ => panic!("it is not refused"),
    };
    assert_eq!(busy(&alone), Reason::Busy);
    // One file at a time may still be sent, but not the very one that is under way.
    let (file, chunks) = file(b"a", &noise(1, 5000));
    let need = first.offer(&file, &chunks).unwrap();
    let mut second = Sender::new(&into(folder.path()));
    assert_eq!(second.offer(&file, &chunks), Err(Err(Reason::Busy)));
    assert_eq!(second.small(b"b", b"b"), Ok(true));
    let frames = first.frames(&chunks, &need).concat();
    first.client.send_bytes(&frames);
    assert_eq!(first.done(), Ok(true));
    // A dead one holds nothing.
    drop(first);
    Sender::new(&alone);
}

#[test]
fn receive_refuses_content_with_a_wrong_checksum() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "old").unwrap();
    let mut sender = Sender::new(&into(folder.path()));
    let (honest, chunks) = file(b"a", &noise(1, 5000));
    // A chunk of another content, a chunk that unpacks to far more, one that does not unpack.
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    for (zstd, bytes) in [(false, &chunks[1].1[..]), (true, &bomb), (true, b"junk")] {
        let need = sender.offer(&honest, &chunks).unwrap();
        let mut out = Vec::new();
        // The id is in the frames that the sender makes.
        let id = sender.frames(&chunks, &need[..1]).concat()[5..9].try_into().unwrap();
        Data { id: u32::from_le_bytes(id), index: 0, zstd, bytes }.append(&mut out);
        sender.client.send_bytes(&out);
        assert_eq!(sender.done(), Err(Reason::Changed));
    }
    // Good chunks of a file whose hash is another.
    let lie = File { hash: blake3::hash(b"x").into(), ..honest.clone() };
    assert_eq!(sender.offer(&lie, &chunks), Err(Err(Reason::Changed)));
    assert_eq!(
        (fs::read(folder.path().join("a")).unwrap(), names(folder.path())),
        (b"old".to_vec(), vec!["a".to_owned()])
    );
    sender.hang_up();

    let malformed = |file: File, then: &[u8]| {
        let mut sender = Sender::new(&into(folder.path()));
        let offer = sender.op(Op::File(file));
        sender.nonsense(&[&offer, then].concat())
    };
    let mut hashes = Vec::new();
    let all: Vec<_> = chunks.iter().map(|(chunk, _)| *chunk).collect();
    Hashes::append(&mut hashes, 1, &all);
    let longer = File { size: honest.size + 1, ..honest.clone() };
    assert!(malformed(longer, &hashes).contains("not as long"));
    let fewer = File { chunks: honest.chunks - 1, ..honest.clone() };
    assert!(malformed(fewer, &hashes).contains("more chunks"));
    let huge = File { size: u64::MAX, chunks: u32::MAX, ..honest.clone() };
    assert!(malformed(huge, b"").contains("in transfer"));
    let small = File { size: 1 << 40, chunks: 0, ..honest.clone() };
    assert!(malformed(small, b"").contains("impossible"));
    let mut early = Vec::new();
    Data { id: 1, index: 0, zstd: false, bytes: b"x" }.append(&mut early);
    assert!(malformed(honest, &early).contains("before it was requested"));
}

#[test]
fn receive_accepts_pipelined_steps() {
    let folder = tempfile::tempdir().unwrap();
    let mut sender = Sender::new(&into(folder.path()));
    // More answers than a pipe holds would stop both sides, if the client did not read.
    for number in 0..500_u32 {
        sender.say_small(format!("{number}").as_bytes(), &noise(number, 2000));
    }
    for expected in 1..=500_u32 {
        match sender.client.next_message() {
            Some(Message::Answer(Answer::Done { id, changed: true, .. })) => {
                assert_eq!(id, expected);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(names(folder.path()).len(), 500);
    // A refused file's content may be on its way still: it is passed over.
    let (refused, _) = file(b"../x", b"mine");
    let id = sender.ask(Op::File(File { chunks: 0, ..refused }));
    let mut late = Vec::new();
    Data { id, index: 0, zstd: false, bytes: b"mine" }.append(&mut late);
    sender.client.send_bytes(&late);
    assert_eq!(sender.done(), Err(Reason::Outside));
    assert_eq!(sender.small(b"x", b"x"), Ok(true));
}
