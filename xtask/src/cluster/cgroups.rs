//! The cgroups under which the node's Pods run, made and removed in every mounted hierarchy.
//!
//! They are the one thing of a node that the kernel does not take away with its last process.
//! Never touches a cgroup that is not below the name it is given.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// Makes the cgroup `name` afresh in every hierarchy.
pub(super) fn make(name: &str) -> Result<()> {
    remove(name)?;
    for root in hierarchies()? {
        delegate(&root)?;
        let path = root.join(name);
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    Ok(())
}

/// Where v2 is alone, lets the controllers that a kubelet asks for count below its root. Beside v1
/// it has none that matters.
fn delegate(root: &Path) -> Result<()> {
    if root != Path::new("/sys/fs/cgroup") {
        return Ok(());
    }
    let there = fs::read_to_string(root.join("cgroup.controllers"))?;
    for controller in there.split_whitespace() {
        if ["cpu", "cpuset", "hugetlb", "memory", "pids"].contains(&controller) {
            fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"))
                .with_context(|| format!("cannot use {controller} of {}", root.display()))?;
        }
    }
    Ok(())
}

/// Removes the cgroup `name` and those below it, once what ran in them has ended.
pub(super) fn remove(name: &str) -> Result<()> {
    let begun = Instant::now();
    for root in hierarchies()? {
        let path = root.join(name);
        while let Err(error) = remove_tree(&path) {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// A cgroup's files go with it; only the folders are removed, the lowest first.
fn remove_tree(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// Where cgroup hierarchies are mounted, v1's and v2's.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/mounts").context("cannot read /proc/mounts")?;
    Ok(mounted(&mounts))
}

fn mounted(mounts: &str) -> Vec<PathBuf> {
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let cgroups = fields.filter(|fields| matches!(fields.get(2), Some(&("cgroup" | "cgroup2"))));
    cgroups.filter_map(|fields| Some(PathBuf::from(*fields.get(1)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_hierarchies_are_parsed_from_mounts() {
        let mounts = "proc /proc proc rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let found = mounted(mounts);
        assert_eq!(found, [Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup/unified")]);
    }
}
