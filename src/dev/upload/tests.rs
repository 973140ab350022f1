//! An agent brought into folders of this machine, and looked for there, by its shell.

use std::{
    env::consts::ARCH,
    fs,
    io::Write,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use super::{super::reach::FIND, *};

/// Stands for the agent.
const PROGRAM: &[u8] = b"#!/bin/sh\necho \"agent of $(umask)\"\n";
/// What nobody should run.
const EVIL: &[u8] = b"#!/bin/sh\necho evil\n";

/// A shell that takes this many bytes into one of these folders.
fn upload(length: usize, sum: &str, folder: &Path) -> Child {
    let name = unguessable().unwrap();
    Command::new("sh")
        .args(["-c", "umask 027 && exec sh -c \"$@\"", "sh", UPLOAD, "diyadm"])
        .args([&length.to_string(), sum, &name])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// All of [`PROGRAM`] is sent; what was said to that.
fn uploaded(mut child: Child) -> Output {
    // One that has no folder takes no more.
    let _ = child.stdin.take().unwrap().write_all(PROGRAM);
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn find(working_directory: &Path, folder: &Path) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", FIND, "diyadm"]).arg(folder).current_dir(working_directory);
    command.output().unwrap()
}

fn programs(folder: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let names = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    folders.flat_map(names).collect()
}

/// What the agent starts inherits the container's mask.
#[test]
fn uploaded_agent_has_the_umask_of_the_container() {
    let folder = tempfile::tempdir().unwrap();
    let output = uploaded(upload(PROGRAM.len(), &sha256(PROGRAM), folder.path()));
    assert_eq!(text(&output), "agent of 0027", "{output:?}");
    // It is found there from now on, by whoever brought it.
    assert!(text(&find(Path::new("/"), folder.path())).starts_with("agent of"));
    let [program] = &programs(folder.path())[..] else { panic!("one file") };
    let own = program.parent().unwrap().metadata().unwrap();
    assert_eq!(own.permissions().mode() & 0o777, 0o700);
    // And replaced there.
    uploaded(upload(PROGRAM.len(), &sha256(PROGRAM), folder.path()));
    assert_eq!(programs(folder.path()), std::slice::from_ref(program));
}

#[test]
fn upload_finds_a_folder_first_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let look = |at: &Path| upload(0, "", at).wait_with_output().unwrap().status.code();
    assert_eq!(look(folder.path()), Some(0));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(look(&folder.path().join("none")), Some(73));
    // Where one was brought before too.
    uploaded(upload(PROGRAM.len(), &sha256(PROGRAM), folder.path()));
    assert_eq!(look(folder.path()), Some(0));
    assert_eq!(programs(folder.path()).len(), 1);
}

/// Until all was read its end is unknown.
#[test]
fn upload_without_a_writable_folder_drains_its_input() {
    // More than a pipe holds.
    let program = vec![0; 1 << 20];
    let mut child = upload(program.len(), "", Path::new("/none"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&program).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(73));
    drop(stdin);
}

#[test]
fn truncated_agent_upload_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let output = uploaded(upload(PROGRAM.len() + 1, "", folder.path()));
    assert_eq!((output.status.code(), text(&output)), (Some(74), String::new()));
    assert!(programs(folder.path()).is_empty());
}

#[test]
fn concurrent_agent_uploads_share_a_folder() {
    for again in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        if again {
            uploaded(upload(PROGRAM.len(), &sha256(PROGRAM), folder.path()));
        }
        let (half, rest) = PROGRAM.split_at(9);
        let mut children: Vec<_> =
            (0..4).map(|_| upload(PROGRAM.len(), &sha256(PROGRAM), folder.path())).collect();
        // All are in the middle of it before the first has ended.
        for child in &mut children {
            child.stdin.as_mut().unwrap().write_all(half).unwrap();
        }
        for mut child in children {
            child.stdin.take().unwrap().write_all(rest).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(text(&output), "agent of 0027", "{output:?}");
        }
        assert!(text(&find(Path::new("/"), folder.path())).starts_with("agent of"));
        assert!(programs(folder.path()).iter().all(|path| path.ends_with("diyadm-agent")));
    }
}

/// A folder in which this user's agent seems to be, and what another user did to it.
struct Trap {
    folder: tempfile::TempDir,
    agent: PathBuf,
    program: PathBuf,
}

/// What another user did, in words and deeds.
type Spoil = (&'static str, Box<dyn Fn(&Trap)>);

fn trap() -> Trap {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join(".diyadm");
    fs::create_dir(&agent).unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
    let program = agent.join("diyadm-agent");
    fs::write(&program, EVIL).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    // What `sh agent` would run.
    fs::write(folder.path().join("agent"), "echo evil\n").unwrap();
    Trap { folder, agent, program }
}

#[test]
fn agent_owned_by_another_user_is_not_run() {
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let mut spoils: Vec<Spoil> = vec![
        ("others write to the folder", Box::new(move |trap| mode(&trap.agent, 0o777))),
        ("the group writes to the folder", Box::new(move |trap| mode(&trap.agent, 0o775))),
        ("a sticky folder of all", Box::new(move |trap| mode(&trap.agent, 0o1777))),
        ("others write to the program", Box::new(move |trap| mode(&trap.program, 0o757))),
        ("the group writes to the program", Box::new(move |trap| mode(&trap.program, 0o775))),
        (
            "a link to a shell, which reads `agent` in the working directory",
            Box::new(|trap| {
                fs::remove_file(&trap.program).unwrap();
                symlink("/bin/sh", &trap.program).unwrap();
            }),
        ),
        (
            "a program with a second name",
            Box::new(|trap| fs::hard_link(&trap.program, trap.folder.path().join("b")).unwrap()),
        ),
    ];
    if rustix::process::geteuid().is_root() {
        let other = |path: &Path| chown(path, Some(65534), None).unwrap();
        spoils.push(("another's folder", Box::new(move |trap| other(&trap.agent))));
        spoils.push(("another's program", Box::new(move |trap| other(&trap.program))));
    }
    for (what, spoil) in spoils {
        let trap = trap();
        spoil(&trap);
        let folder = trap.folder.path();
        let output = find(folder, folder);
        assert_eq!((output.status.code(), text(&output)), (Some(72), String::new()), "{what}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).trim(), ARCH, "{what}");
        // What is brought there goes into a folder of its own.
        let output = uploaded(upload(PROGRAM.len(), &sha256(PROGRAM), folder));
        if trap.agent.metadata().unwrap().mode() & 0o22 != 0 || what.starts_with("another's f") {
            assert_eq!(fs::read(&trap.program).unwrap(), EVIL, "{what}");
        }
        assert_eq!(text(&output), "agent of 0027", "{what}: {output:?}");
        assert!(text(&find(folder, folder)).starts_with("agent of"), "{what}");
    }
}

#[test]
fn agent_owned_by_root_is_run_by_another_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let trap = trap();
    fs::set_permissions(trap.folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(&trap.program, PROGRAM).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", FIND, "diyadm"]).arg(trap.folder.path()).current_dir("/");
    let output = command.uid(65534).gid(65534).output().unwrap();
    assert!(text(&output).starts_with("agent of"), "{output:?}");
    // But not one of a third user.
    for path in [&trap.agent, &trap.program] {
        chown(path, Some(65533), None).unwrap();
    }
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), text(&output)), (Some(72), String::new()));
}
