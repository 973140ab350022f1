//! Trees of files: created and compared.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use proptest::{collection::btree_map, prelude::*};

/// Something in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    /// Content, mode, seconds since 1970.
    File(Vec<u8>, u32, u64),
    /// Mode, seconds since 1970.
    Folder(u32, u64),
    /// What it says.
    Link(PathBuf),
}

/// By path, relative to the root.
pub(crate) type Tree = BTreeMap<PathBuf, Thing>;

/// Names that programs stumble over, in folders and out of them.
const NAMES: [&[u8]; 8] =
    [b"a", b"-rf", b"new\nline", b"\xff\xfe", b" ", b"*", b"\xc3\xa9 \"q\" '$x'", b"zz"];

/// Any small tree.
pub(crate) fn tree() -> impl Strategy<Value = Tree> {
    let content = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..200),
        // In chunks.
        1 => (any::<u8>(), 70_000_usize..200_000)
            .prop_map(|(seed, length)| noise(u64::from(seed), length)),
    ];
    let modes = prop_oneof![Just(0o644), Just(0o755), Just(0o600), Just(0o777)];
    let folders = prop_oneof![Just(0o755), Just(0o700)];
    let times = 1_000_000_u64..1_000_003;
    let thing = prop_oneof![
        3 => (content, modes, times.clone()).prop_map(|(c, mode, s)| Thing::File(c, mode, s)),
        2 => (folders, times).prop_map(|(mode, s)| Thing::Folder(mode, s)),
        1 => Just(Thing::Link("a".into())),
    ];
    let path = proptest::collection::vec(0..NAMES.len(), 1..4);
    btree_map(path, thing, 0..12).prop_map(|all| {
        let mut tree = Tree::new();
        for (path, thing) in all {
            let parts = path.iter().map(|at| OsStr::from_bytes(NAMES[*at]));
            let path: PathBuf = parts.collect();
            let parent = path.parent().unwrap();
            let whole = parent.as_os_str().is_empty()
                || matches!(tree.get(parent), Some(Thing::Folder(..)));
            if whole {
                tree.insert(path, thing);
            }
        }
        tree
    })
}

/// Bytes that nothing can be saved of, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

/// Makes a tree in an empty folder.
pub(crate) fn make(root: &Path, tree: &Tree) {
    for (path, thing) in tree {
        let path = root.join(path);
        match thing {
            Thing::File(content, mode, s) => {
                fs::write(&path, content).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
                set_time(&path, *s);
            }
            Thing::Folder(..) => fs::create_dir(&path).unwrap(),
            Thing::Link(to) => symlink(to, &path).unwrap(),
        }
    }
    // When all is in them.
    for (path, thing) in tree.iter().rev() {
        if let Thing::Folder(mode, s) = thing {
            let path = root.join(path);
            fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
            set_time(&path, *s);
        }
    }
}

fn set_time(path: &Path, s: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(s);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

/// What is in a folder.
pub(crate) fn look(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let (mode, s) = (meta.mode() & 0o777, u64::try_from(meta.mtime()).unwrap());
            let thing = if meta.is_symlink() {
                Thing::Link(fs::read_link(&path).unwrap())
            } else if meta.is_dir() {
                folders.push(path.clone());
                Thing::Folder(mode, s)
            } else {
                Thing::File(fs::read(&path).unwrap(), mode, s)
            };
            tree.insert(path.strip_prefix(root).unwrap().to_owned(), thing);
        }
    }
    tree
}
