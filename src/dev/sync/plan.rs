//! Compares local and remote files, and plans the changes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use diyadm_agent::{
    path::link_stays,
    protocol::{
        Bytes,
        transfer::{Entry, Mtime, What},
    },
};

/// The permission bits that are transferred.
const MODES: u32 = 0o777;

/// The changes, in order of execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncPlan {
    /// Remote entries in the way, of another type than the new ones. The content of a folder comes
    /// before it.
    pub clear: Vec<Bytes>,
    /// Folders to create, upper ones first.
    pub folders: Vec<Entry>,
    /// Files whose content must be compared.
    pub files: Vec<Entry>,
    /// Links to create.
    pub links: Vec<Entry>,
    /// Remote-only entries, if they are to be deleted. The content of a folder comes before it.
    pub delete: Vec<Bytes>,
    /// Entries that only need another mode or time; folders after their content, the deepest first.
    pub settle: Vec<Entry>,
    /// Remote entries of another type that stay, since nothing may be deleted.
    pub blocked: Vec<Bytes>,
    /// Bytes of file content to handle.
    pub bytes: u64,
}

/// How to compare.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ComparisonRules {
    /// Whether remote-only entries are deleted.
    pub(crate) delete: bool,
}

/// Compares local (`here`) and remote (`there`) entries. `there` has hashes if `here` has.
///
/// Without hashes, files with the same length and time are equal. If the remote side stores whole
/// seconds, only seconds are compared. `kept` decides which remote-only entries stay: files that
/// are excluded locally.
pub(crate) fn plan(
    here: &[Entry],
    there: &[Entry],
    rules: ComparisonRules,
    kept: impl Fn(&Entry) -> bool,
) -> SyncPlan {
    let theirs: BTreeMap<&Bytes, &Entry> = there.iter().map(|entry| (&entry.path, entry)).collect();
    let ours: BTreeSet<&Bytes> = here.iter().map(|entry| &entry.path).collect();
    let mut plan = SyncPlan::default();
    // Paths of another type, and everything below them, are deleted first.
    let mut cleared: BTreeSet<&Bytes> = BTreeSet::new();
    for entry in here {
        let old = theirs.get(&entry.path).copied();
        if leads_out(entry) {
            continue;
        }
        let same_kind = old.is_none_or(|old| {
            matches!(
                (&entry.what, &old.what),
                (What::Folder, What::Folder)
                    | (
                        What::File { .. } | What::Link { .. },
                        What::File { .. } | What::Link { .. }
                    )
            )
        });
        if !same_kind {
            // A file or link can be replaced by a file or link without deletion; a folder cannot.
            if !rules.delete {
                plan.blocked.push(entry.path.clone());
                continue;
            }
            cleared.insert(&entry.path);
        }
        if plan.blocked.iter().any(|blocked| is_below(&entry.path, blocked)) {
            continue;
        }
        compare(&mut plan, entry, old.filter(|_| same_kind));
    }
    let mut gone: Vec<&Entry> = Vec::new();
    for entry in there {
        let clears = cleared.iter().any(|path| entry.path == **path || is_below(&entry.path, path));
        if clears {
            plan.clear.push(entry.path.clone());
        } else if rules.delete && !ours.contains(&entry.path) && !kept(entry) {
            gone.push(entry);
        }
    }
    // A folder stays if something in it stays.
    let stays: BTreeSet<Bytes> = if rules.delete {
        let stay = there.iter().filter(|entry| !ours.contains(&entry.path) && kept(entry));
        stay.flat_map(|entry| above(&entry.path)).collect()
    } else {
        BTreeSet::new()
    };
    gone.retain(|entry| !stays.contains(&entry.path));
    plan.delete = gone.into_iter().map(|entry| entry.path.clone()).collect();
    touch(&mut plan, here);
    // The lists have folders before their content.
    plan.delete.reverse();
    plan.clear.reverse();
    plan.settle.reverse();
    plan
}

/// A folder's time changes with its content, so it is set again at the end.
fn touch(plan: &mut SyncPlan, here: &[Entry]) {
    let changed = plan.folders.iter().chain(&plan.files).chain(&plan.links).map(|e| &e.path);
    let changed = changed.chain(&plan.delete).chain(&plan.clear);
    let mut folders: BTreeSet<Bytes> = changed.filter_map(|path| above(path).last()).collect();
    for entry in &plan.settle {
        folders.remove(&entry.path);
    }
    if folders.is_empty() {
        return;
    }
    let known: BTreeSet<_> = plan.settle.iter().map(|entry| entry.path.clone()).collect();
    let of_plan = |entry: &&Entry| known.contains(&entry.path);
    let touched = |entry: &&Entry| entry.what == What::Folder && folders.contains(&entry.path);
    plan.settle = here.iter().filter(|entry| of_plan(entry) || touched(entry)).cloned().collect();
}

/// Whether an entry is a link that leads out of the folder. Such a link is not created, and the
/// remote entry at its path stays.
pub(crate) fn leads_out(entry: &Entry) -> bool {
    matches!(&entry.what, What::Link { to } if !link_stays(above(&entry.path).count(), &to.0))
}

fn compare(plan: &mut SyncPlan, entry: &Entry, old: Option<&Entry>) {
    // A folder may have set-group-id from its volume; that stays.
    let same_mode = |old: &Entry| old.mode & MODES == entry.mode & MODES;
    let settled = |old: &Entry| same_mode(old) && same_time(old.mtime, entry.mtime);
    match (&entry.what, old.map(|old| (&old.what, old))) {
        (What::Folder, None) => {
            plan.folders.push(entry.clone());
            plan.settle.push(entry.clone());
        }
        (What::Folder, Some((_, old))) => {
            if !settled(old) {
                plan.settle.push(entry.clone());
            }
        }
        (What::Link { to }, Some((What::Link { to: old }, _))) if to == old => {}
        (What::Link { .. }, _) => plan.links.push(entry.clone()),
        (What::File { size, hash }, Some((What::File { size: old_size, hash: old_hash }, old)))
            if size == old_size
                && match (hash, old_hash) {
                    (Some(hash), Some(old)) => hash == old,
                    _ => same_time(old.mtime, entry.mtime),
                } =>
        {
            if !settled(old) {
                plan.settle.push(entry.clone());
            }
        }
        (What::File { size, .. }, _) => {
            plan.bytes += size;
            plan.files.push(entry.clone());
        }
        (What::Part | What::Other, _) => {}
    }
}

fn same_time(one: Mtime, other: Mtime) -> bool {
    one.s == other.s && (one.ns == other.ns || one.ns == 0 || other.ns == 0)
}

fn is_below(path: &Bytes, folder: &Bytes) -> bool {
    path.0.strip_prefix(&folder.0[..]).is_some_and(|rest| rest.starts_with(b"/"))
}

/// The parent folders of a path below the root.
pub(crate) fn above(path: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let cuts = path.0.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    cuts.map(|(at, _)| Bytes(path.0[..at].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::btree_map, prelude::*};

    fn entry(path: &str, what: What, s: i64) -> Entry {
        let mode = if what == What::Folder { 0o755 } else { 0o644 };
        Entry { path: path.into(), what, mode, mtime: Mtime { s, ns: 0 } }
    }

    fn file(path: &str, size: u64, s: i64) -> Entry {
        entry(path, What::File { size, hash: None }, s)
    }

    /// A tree with few names, folders before their content.
    fn tree() -> impl Strategy<Value = Vec<Entry>> {
        let paths = vec!["a", "a/b", "a/b/c", "a/d", "e", "e/f"];
        let what = prop_oneof![
            Just(What::Folder),
            (0_u64..2).prop_map(|size| What::File { size, hash: None }),
            Just(What::Link { to: "x".into() }),
        ];
        btree_map(proptest::sample::select(paths), (what, 0_i64..2), 0..6).prop_map(|map| {
            let mut entries: Vec<Entry> = Vec::new();
            for (path, (what, s)) in map {
                let parent = above(&path.into()).last();
                let whole = parent.is_none_or(|parent| {
                    entries.iter().any(|e| e.path == parent && e.what == What::Folder)
                });
                if whole {
                    entries.push(entry(path, what, s));
                }
            }
            entries
        })
    }

    /// Executes the plan like a file system, which refuses invalid operations.
    fn play(there: &[Entry], plan: &SyncPlan) -> BTreeMap<Bytes, Entry> {
        let mut tree: BTreeMap<Bytes, Entry> =
            there.iter().map(|entry| (entry.path.clone(), entry.clone())).collect();
        let remove = |tree: &mut BTreeMap<Bytes, Entry>, path: &Bytes| {
            assert!(!tree.keys().any(|other| is_below(other, path)), "{path:?} is not empty");
            assert!(tree.remove(path).is_some(), "{path:?} is not there");
        };
        plan.clear.iter().for_each(|path| remove(&mut tree, path));
        for new in plan.folders.iter().chain(&plan.files).chain(&plan.links) {
            if let Some(parent) = above(&new.path).last() {
                assert_eq!(tree[&parent].what, What::Folder);
            }
            let old = tree.insert(new.path.clone(), new.clone());
            assert!(old.is_none_or(|old| old.what != What::Folder && new.what != What::Folder));
        }
        plan.delete.iter().for_each(|path| remove(&mut tree, path));
        for entry in &plan.settle {
            let there = tree.get_mut(&entry.path).unwrap();
            (there.mode, there.mtime) = (entry.mode, entry.mtime);
        }
        tree
    }

    fn content(entry: &Entry) -> (What, Option<Mtime>) {
        // A link's own time is not transferred.
        let time = !matches!(entry.what, What::Link { .. });
        (entry.what.clone(), time.then_some(entry.mtime))
    }

    proptest! {
        #[test]
        fn sync_makes_the_remote_folder_equal(here in tree(), there in tree()) {
            let plan = plan(&here, &there, ComparisonRules { delete: true }, |_| false);
            let after = play(&there, &plan);
            let wanted: BTreeMap<_, _> = here.iter().map(|e| (e.path.clone(), content(e))).collect();
            let after_content: BTreeMap<_, _> =
                after.iter().map(|(path, e)| (path.clone(), content(e))).collect();
            prop_assert_eq!(after_content, wanted);
            // Afterwards there is nothing to do.
            let after: Vec<_> = after.into_values().collect();
            prop_assert_eq!(super::plan(&here, &after, ComparisonRules { delete: true }, |_| false), SyncPlan::default());
        }

        #[test]
        fn remote_files_are_deleted_only_on_request(here in tree(), there in tree()) {
            let plan = plan(&here, &there, ComparisonRules { delete: false }, |_| false);
            prop_assert!(plan.delete.is_empty() && plan.clear.is_empty());
            let after = play(&there, &plan);
            prop_assert!(there.iter().all(|old| after.contains_key(&old.path)));
        }

        #[test]
        fn ignored_remote_files_are_kept(here in tree(), there in tree(), which in 0_usize..6) {
            let kept = there.get(which).map(|entry| entry.path.clone());
            let keep = |entry: &Entry| {
                kept.as_ref().is_some_and(|kept| entry.path == *kept || is_below(&entry.path, kept))
            };
            let ours = here.iter().any(&keep);
            let plan = plan(&here, &there, ComparisonRules { delete: true }, keep);
            if let Some(kept) = kept.as_ref().filter(|_| !ours && plan.clear.is_empty()) {
                prop_assert!(play(&there, &plan).contains_key(kept));
            }
        }
    }

    #[test]
    fn times_are_compared_in_seconds_if_the_container_has_no_fractions() {
        let mut here = file("a", 1, 5);
        here.mtime.ns = 7;
        let there = file("a", 1, 5);
        assert_eq!(
            plan(
                std::slice::from_ref(&here),
                std::slice::from_ref(&there),
                ComparisonRules::default(),
                |_| false
            ),
            SyncPlan::default()
        );
        let later = file("a", 1, 6);
        let plan_of = |there: Entry| {
            plan(std::slice::from_ref(&here), &[there], ComparisonRules::default(), |_| false)
        };
        assert_eq!(plan_of(later).files.len(), 1);
        let mode = Entry { mode: 0o600, ..there };
        assert_eq!(plan_of(mode).settle.len(), 1);
    }

    #[test]
    fn link_that_leads_out_of_the_folder_replaces_nothing() {
        let here = [entry("a", What::Link { to: "/etc".into() }, 1)];
        let folder = entry("a", What::Folder, 1);
        let plan_of =
            |there: &[Entry]| plan(&here, there, ComparisonRules { delete: true }, |_| false);
        let skipped = plan_of(&[folder, file("a/b", 1, 1)]);
        assert!(skipped.clear.is_empty() && skipped.delete == ["a/b".into()], "{skipped:?}");
        assert!(skipped.links.is_empty());
        assert_eq!(plan_of(&here), SyncPlan::default());
    }

    #[test]
    fn with_hashes_times_are_ignored() {
        let hash = |byte| Some(diyadm_agent::protocol::Hash([byte; 32]));
        let here = entry("a", What::File { size: 1, hash: hash(1) }, 5);
        let same = entry("a", What::File { size: 1, hash: hash(1) }, 6);
        let other = entry("a", What::File { size: 1, hash: hash(2) }, 5);
        let plan_of = |there: Entry| {
            plan(std::slice::from_ref(&here), &[there], ComparisonRules::default(), |_| false)
        };
        let same = plan_of(same);
        assert!(same.files.is_empty() && same.settle.len() == 1);
        assert_eq!(plan_of(other).bytes, 1);
    }
}
