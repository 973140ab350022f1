//! What `--fix` keeps of a file, and where it puts the backup.

use std::fs;

use super::{BOTH, KUBEADM};
use crate::rig::diyadm;

/// Owner, mode, access control list and other attributes of the file stay as they were, and a
/// backup is kept where no kubelet finds it, whatever symbolic links lead there.
#[test]
fn fix_keeps_file_attributes_and_backs_up_outside_the_manifest_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (watched, real) = (folder.path().join("manifests"), folder.path().join("real"));
    for made in [&watched, &real] {
        fs::create_dir(made).unwrap();
    }
    let file = real.join("kube-apiserver.yaml");
    fs::write(&file, KUBEADM).unwrap();
    let link = watched.join("kube-apiserver.yaml");
    std::os::unix::fs::symlink("../real/kube-apiserver.yaml", &link).unwrap();
    let old = watched.join("old");
    std::os::unix::fs::symlink(&watched, folder.path().join("way")).unwrap();
    let through = folder.path().join("way/old");
    for backup in [&old, &through, &real.join("old")] {
        let (link, backup) = (link.to_str().unwrap(), backup.to_str().unwrap());
        let fix = ["check", "--manifest", link, "--fix", "--backup", backup];
        diyadm(folder.path(), &fix).code(2).stderr_has("kubelet would run");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), KUBEADM);
    assert!(!old.exists() && !real.join("old").exists());

    // An access control list: read for the user 1000, and a mask.
    let entry = |tag: u16, rights: u16, id: u32| {
        [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let none = u32::MAX;
    let acl = [
        2_u32.to_le_bytes().to_vec(),
        entry(1, 6, none),
        entry(2, 4, 1000),
        entry(4, 0, none),
        entry(16, 4, none),
        entry(32, 0, none),
    ]
    .concat();
    let attributes = [("user.note", b"keep me".to_vec()), ("system.posix_acl_access", acl)];
    for (name, value) in &attributes {
        let set = rustix::fs::setxattr(&file, *name, value, rustix::fs::XattrFlags::empty());
        require!(set, "this file system has no extended attributes");
    }
    diyadm(folder.path(), &["check", "--manifest", link.to_str().unwrap(), "--fix"]).code(0);
    assert!(fs::read_to_string(&file).unwrap().contains(BOTH));
    assert!(link.is_symlink());
    for (name, value) in &attributes {
        let mut buffer = vec![0; 1024];
        let length = rustix::fs::getxattr(&file, *name, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], value, "{name}");
    }
}
