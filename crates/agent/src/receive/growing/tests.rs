//! Two transfers of one file.

use super::*;

/// Nobody's half of a file gets into the target's place, nor is it taken from under him.
#[test]
fn temporary_file_of_another_receiver_is_kept() {
    let at = tempfile::tempdir().unwrap();
    let grow = || {
        let folder = OwnedFd::from(File::open(at.path()).unwrap());
        Growing::open(OpenPath::again(&folder, b"x").unwrap()).unwrap()
    };
    let part = at.path().join(".x.diyadm-part");
    let file = || transfer::File {
        path: "x".into(),
        mode: 0o644,
        mtime: transfer::Mtime { s: 1, ns: 0 },
        size: 0,
        hash: blake3::hash(b"").into(),
        chunks: 0,
        cut: Cut::default(),
    };
    for finishes in [true, false] {
        let mine = grow();
        std::fs::remove_file(&part).unwrap();
        let his = grow();
        if finishes {
            assert_eq!(mine.finish(&file()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        } else {
            drop(mine);
        }
        assert!(part.exists() && !at.path().join("x").exists());
        his.finish(&file()).unwrap();
        std::fs::remove_file(at.path().join("x")).unwrap();
    }
}
