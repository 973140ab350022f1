//! `sync` into a container without an agent, on the node: everything arrives, or the old files
//! stay.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{
    agent::names as file_names,
    dev::tree::{Thing, Tree, look, make, noise},
    rig::{Node, Run, Workspace, processes},
};

/// A Pod that idles as the blog's do and that diyadm did not empty, whose only writable folders
/// hold no program: a folder of this machine, or memory.
pub(crate) fn pod(node: &Node, namespace: &str, name: &str, data: &Value) {
    pod_at(node, namespace, name, data, &["/data"]);
}

/// The same, with the folder at these paths.
fn pod_at(node: &Node, namespace: &str, name: &str, data: &Value, paths: &[&str]) {
    let mounts = paths.iter().map(|path| json!({ "name": "data", "mountPath": path }));
    node.load(&["busybox"]);
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": name,
                "image": "busybox:rig",
                "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/busybox", "tail", "-f", "/dev/null"],
                "securityContext": { "readOnlyRootFilesystem": true },
                "volumeMounts": mounts.collect::<Vec<_>>(),
            }],
            "volumes": [data],
        },
    });
    node.kubectl(&["create", "-f", "-"], &pod.to_string());
    node.wait(namespace, &format!("pod/{name}"), "condition=Ready");
}

/// A folder of this machine as a volume.
pub(crate) fn of_host(folder: &Path) -> Value {
    json!({ "name": "data", "hostPath": { "path": folder } })
}

/// What programs stumble over.
fn odd() -> Tree {
    let file = |content: &[u8], mode| Thing::File(content.to_vec(), mode, 1_000_000_007);
    let folder = |mode| Thing::Folder(mode, 1_000_000_005);
    let names: [(&[u8], Thing); 15] = [
        (b"-rf", file(b"dash", 0o644)),
        (b"new\nline", folder(0o755)),
        (b"new\nline/ ", file(b"space", 0o600)),
        (b"new\nline/end\n", file(b"newline", 0o640)),
        (b"\xff\xfe", folder(0o700)),
        (b"\xff\xfe/\x81\x83\x88", file(b"no text", 0o755)),
        (b"it's \"q\" $x `y` \\ *", file(b"quotes", 0o644)),
        (b"empty", folder(0o750)),
        (b"empty file", file(b"", 0o644)),
        (b"deep", folder(0o755)),
        (b"deep/er", folder(0o755)),
        (b"deep/er/big", file(&noise(3, 3_000_000), 0o444)),
        (b"deep/er/hidden", file(b"nobody reads it", 0)),
        (b"deep/link", Thing::Link("er/big".into())),
        (b"-link", Thing::Link("-rf".into())),
    ];
    let path = |name: &[u8]| PathBuf::from(OsStr::from_bytes(name));
    names.map(|(name, thing)| (path(name), thing)).into()
}

/// Names and kinds, for a failure's text.
fn names(tree: &Tree) -> BTreeMap<&Path, String> {
    let short = |thing: &Thing| match thing {
        Thing::File(content, mode, s) => format!("{} bytes {mode:o} {s}", content.len()),
        other => format!("{other:?}"),
    };
    tree.iter().map(|(path, thing)| (path.as_path(), short(thing))).collect()
}

#[test]
fn sync_without_agent_copies_odd_names_modes_links_and_empty_folders() {
    let node = require!(Workspace::on_node("plain-odd"));
    let (name, folder) = (node.name, node.folder());
    let [from, to] = ["from", "to"].map(|name| folder.join(name));
    for path in [&from, &to] {
        fs::create_dir(path).unwrap();
    }
    make(&from, &odd());
    pod(&node, name, "web", &of_host(&to));
    let sync = |more: &[&str]| {
        let args = ["sync", "from", "web:/data/app", "--live", "-n", name];
        node.diyadm(folder, &[&args, more].concat())
    };

    sync(&["--dry-run"]).code(0);
    assert!(!to.join("app").exists());
    let first = sync(&[]).code(0).stderr_has("no agent").stderr_has("8 files");
    assert!(!first.stderr.contains("uploaded the agent"), "{}", first.stderr);
    assert_eq!(first.stderr.matches("no agent").count(), 1, "{}", first.stderr);
    let there = look(&to.join("app"));
    assert!(there == odd(), "{:#?}\n{:#?}", names(&there), names(&odd()));
    sync(&[]).code(0).stderr_has("is up to date");

    // What is there and not here goes where that is asked for, and a folder makes way for a file.
    fs::create_dir_all(to.join("app/old/er")).unwrap();
    fs::write(to.join("app/old/er/x"), "x").unwrap();
    fs::remove_dir(from.join("empty")).unwrap();
    fs::write(from.join("empty"), "a file now").unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_009);
    let set = |path: &Path| fs::File::open(path).unwrap().set_modified(then).unwrap();
    // Of this moment, it would be sent once more.
    set(&from.join("empty"));
    set(&from);
    let blocked = sync(&[]).code(1).stderr_has("is of another type there");
    assert!(blocked.stderr.contains("--delete") && to.join("app/old/er/x").exists());
    sync(&["--delete"]).code(0).stderr_has("deleted");
    let (there, here) = (look(&to.join("app")), look(&from));
    assert!(there == here, "{:#?}\n{:#?}", names(&there), names(&here));
    sync(&["--delete"]).code(0).stderr_has("is up to date");
    // Sent though it looks the same.
    sync(&["--checksum"]).code(0).stderr_has("9 files");

    // A link that leads out is skipped, and the rest arrives.
    std::os::unix::fs::symlink("/etc", from.join("out")).unwrap();
    fs::write(from.join("new"), "new").unwrap();
    sync(&["--delete"]).code(0).stderr_has("leads out of the folder is not sent: out -> /etc");
    assert_eq!(fs::read(to.join("app/new")).unwrap(), b"new");
    assert!(!to.join("app/out").is_symlink());
    // And one that is there is not followed.
    std::os::unix::fs::symlink("/etc", to.join("app/into")).unwrap();
    fs::create_dir(from.join("into")).unwrap();
    fs::write(from.join("into/x"), "x").unwrap();
    sync(&[]).code(1).stderr_has("is of another type there");
    assert!(!to.join("app/into/x").exists());
}

#[test]
fn sync_without_agent_copies_a_file_that_changes_quickly() {
    let node = require!(Workspace::on_node("plain-one"));
    let (name, folder) = (node.name, node.folder());
    let to = folder.join("to");
    fs::create_dir(&to).unwrap();
    pod(&node, name, "web", &of_host(&to));
    let jar = folder.join("app.jar");
    // Times are in whole seconds there, and lengths the same.
    for (seed, mode) in [(1, 0o644), (2, 0o750), (3, 0o600)] {
        fs::write(&jar, noise(seed, 5_000_000)).unwrap();
        fs::set_permissions(&jar, Permissions::from_mode(mode)).unwrap();
        let args = ["sync", "--live", "-n", name, "app.jar", "web:/data/lib/"];
        node.diyadm(folder, &args).code(0).stderr_has("no agent");
        let there = to.join("lib/app.jar");
        assert!(fs::read(&there).unwrap() == noise(seed, 5_000_000), "{seed}");
        assert_eq!(there.metadata().unwrap().permissions().mode() & 0o777, mode);
    }
    let left: Vec<_> = fs::read_dir(to.join("lib")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left, [to.join("lib/app.jar")]);
}

#[test]
fn sync_without_agent_copies_a_file_into_a_folder_as_cp_does() {
    let node = require!(Workspace::on_node("plain-into"));
    let (name, folder) = (node.name, node.folder());
    let to = folder.join("to");
    fs::create_dir_all(to.join("v2")).unwrap();
    fs::write(to.join("file"), "old").unwrap();
    std::os::unix::fs::symlink("v2", to.join("latest")).unwrap();
    std::os::unix::fs::symlink("file", to.join("link")).unwrap();
    pod(&node, name, "plain", &of_host(&to));
    // One that an agent can be brought into.
    let command = ["/bin/busybox", "tail", "-f", "/dev/null"];
    node.pod(name, "agent", &json!({ "image": "busybox:rig", "command": command }));
    let sh =
        |script: &str| node.kubectl(&["-n", name, "exec", "agent", "--", "sh", "-c", script], "");
    sh("mkdir -p /tmp/to/v2; cd /tmp/to; echo old >file; ln -s v2 latest; ln -s file link");
    let file = folder.join("app.yaml");
    fs::write(&file, "a: b").unwrap();
    // A file of this second is sent once more: times there are in whole seconds.
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_009);
    fs::File::open(&file).unwrap().set_modified(then).unwrap();
    for root in ["plain:/data", "agent:/tmp/to"] {
        let sync = |path: &str, more: &[&str]| {
            let to = format!("{root}{path}");
            let mut sync = node.program(folder);
            sync.args(["sync", "--live", "app.yaml", &to, "-n", name]).args(more);
            Run::of(&mut sync, "")
        };
        let dry = sync("", &["--dry-run", "--delete"]).code(0);
        assert_eq!(dry.stdout, "file\tapp.yaml\n", "{root}: {}", dry.stderr);
        for path in ["", "/v2", "/latest", "/file", "/link", "/new/"] {
            sync(path, &["--delete"]).code(0);
            sync(path, &["--delete"]).code(0).stderr_has("is up to date");
        }
    }
    let files = sh("cd /tmp/to && cat app.yaml v2/app.yaml file link new/app.yaml; ls -A . v2");
    assert!(files.starts_with(&"a: b".repeat(5)), "{files}");
    assert!(
        files.ends_with(".:\napp.yaml\nfile\nlatest\nlink\nnew\nv2\n\nv2:\napp.yaml\n"),
        "{files}"
    );
    assert_eq!(file_names(&to), ["app.yaml", "file", "latest", "link", "new", "v2"]);
    assert_eq!(file_names(&to.join("v2")), ["app.yaml"]);
    for path in ["app.yaml", "v2/app.yaml", "file", "link", "new/app.yaml"] {
        assert_eq!(fs::read(to.join(path)).unwrap(), b"a: b", "{path}");
        assert!(!to.join(path).is_symlink(), "{path}");
    }
    assert!(to.join("latest").is_symlink());
}

#[test]
fn sync_without_agent_to_a_full_or_read_only_folder_keeps_old_files() {
    let node = require!(Workspace::on_node("plain-full"));
    let (name, folder) = (node.name, node.folder());
    let memory = json!({ "medium": "Memory", "sizeLimit": "2Mi" });
    pod(&node, name, "web", &json!({ "name": "data", "emptyDir": memory }));
    let sync = |to: &str| node.diyadm(folder, &["sync", "app.jar", to, "--live", "-n", name]);
    let sh =
        |script: &str| node.kubectl(&["-n", name, "exec", "web", "--", "sh", "-c", script], "");
    fs::write(folder.join("app.jar"), noise(1, 500_000)).unwrap();
    sync("web:/data/app.jar").code(0);
    let sum = sh("sha256sum /data/app.jar; ls -A /data");
    fs::write(folder.join("app.jar"), noise(2, 8_000_000)).unwrap();
    let full = sync("web:/data/app.jar").code(1).stderr_has("No space left for /data/app.jar");
    assert_eq!(full.stderr.matches("o space").count(), 1, "{}", full.stderr);
    assert_eq!(sh("sha256sum /data/app.jar; ls -A /data"), sum);
    // The space of the incomplete file is freed.
    fs::write(folder.join("app.jar"), noise(3, 600_000)).unwrap();
    sync("web:/data/app.jar").code(0);
    sync("web:/etc/app.jar").code(1).stderr_has("is on a read-only file system");
}

/// Where an agent would be looked for, and none can be run from.
#[test]
fn sync_to_a_noexec_folder_works_until_it_is_full() {
    let node = require!(Workspace::on_node("plain-noexec"));
    let (name, folder) = (node.name, node.folder());
    let memory = json!({ "name": "data", "emptyDir": { "medium": "Memory" } });
    pod_at(&node, name, "web", &memory, &["/tmp", "/dev/shm"]);
    let pid = processes(&node.get(name, "pod/web"))[0].pid.to_string();
    for path in ["/tmp", "/dev/shm"] {
        let mut mount = Command::new("nsenter");
        mount.args(["-t", &pid, "-m", "/bin/busybox", "mount", "-t", "tmpfs"]);
        mount.args(["-o", "size=2m,mode=1777,noexec", "none", path]);
        Run::of(&mut mount, "").code(0);
    }
    let there = PathBuf::from(format!("/proc/{pid}/root/tmp"));
    let write = |seed, length| {
        fs::write(folder.join("app.jar"), noise(seed, length)).unwrap();
    };
    let sync = || {
        let mut sync = node.program(folder);
        sync.args(["sync", "app.jar", "web:/tmp/app.jar", "--live", "-n", name]);
        Run::of(&mut sync, "")
    };
    let is = |seed, length| {
        assert_eq!(file_names(&there), ["app.jar"], "nothing is left beside");
        assert!(fs::read(there.join("app.jar")).unwrap() == noise(seed, length));
    };
    write(1, 500_000);
    sync()
        .code(0)
        .stderr_has("No folder of the container is both writable and allows programs to run");
    is(1, 500_000);
    write(2, 8_000_000);
    let full = sync().code(1).stderr_has("No space left for /tmp/app.jar");
    assert_eq!(full.stderr.matches("o space").count(), 1, "{}", full.stderr);
    is(1, 500_000);
    write(3, 600_000);
    sync().code(0);
    is(3, 600_000);
}
