//! Other users of the same container, and what they can leave where this one works.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use diyadm_agent::protocol::{Answer, Apps, Failed, Request, transfer::Op};

use super::{
    client::{Client, Idle, PROGRAM, script},
    receive::{names, noise},
    sender::{Sender, file, into},
};

const OTHER: u32 = 65534;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A folder that everybody may use, with the program in it.
fn shared() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();

    let installed = Command::new(PROGRAM).arg("install").arg(folder.path()).status().unwrap();
    assert!(installed.success());
    mode(folder.path(), 0o1777);
    let program = folder.path().join("diyadm-agent");
    (folder, program)
}

fn as_other(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.uid(OTHER).gid(OTHER).current_dir("/");
    command
}

#[test]
fn root_refuses_a_socket_of_another_user() {
    require!(rustix::process::geteuid().is_root(), "no other user: it takes root");
    let (folder, program) = shared();
    let idle = Idle::run_in(folder, as_other(&program), &[]);
    let agent = || {
        let mut command = Command::new(&program);
        command.args(["relay", "--socket"]).arg(idle.socket());
        command
    };
    assert_eq!(Client::of(agent()).asked(&Request::List), Answer::Apps(Apps::default()));
    let start = Request::Start(script("app", "true"));
    let failed = Client::of(agent()).failed(&start);
    assert!(matches!(failed, Failed::NoSupervisor { .. }), "{failed:?}");
    // Its own user is answered.
    let mut own = agent();
    own.uid(OTHER).gid(OTHER);
    let Answer::Apps(apps) = Client::of(own).asked(&Request::List) else { panic!("a list") };
    assert!(apps.supervisor.is_some() && apps.apps.is_empty());
}

/// Of this user, but not where a supervisor put it.
#[test]
fn refuses_a_linked_socket() {
    let idle = Idle::start(&[]);
    let [link, second] = ["link", "second"].map(|name| idle.folder.path().join(name));
    symlink(idle.socket(), &link).unwrap();
    let list = |socket: &Path| {
        let mut command = Command::new(PROGRAM);
        command.args(["relay", "--socket"]).arg(socket);
        Client::of(command).asked(&Request::List)
    };
    assert_eq!(list(&link), Answer::Apps(Apps::default()));
    fs::hard_link(idle.socket(), &second).unwrap();
    for socket in [&idle.socket(), &second] {
        assert_eq!(list(socket), Answer::Apps(Apps::default()));
    }
    fs::remove_file(second).unwrap();
    assert!(idle.client().apps().is_empty());
}

#[test]
fn install_writes_to_no_existing_file() {
    let folder = tempfile::tempdir().unwrap();
    let [shared, precious] = ["shared", "precious"].map(|name| folder.path().join(name));
    fs::create_dir(&shared).unwrap();
    mode(&shared, 0o777);
    fs::write(&precious, "gold").unwrap();
    // By the names that it could be guessed to use, and by its own.
    for pid in 1..5000 {
        symlink(&precious, shared.join(format!(".diyadm-agent.{pid}"))).unwrap();
    }
    symlink(&precious, shared.join("diyadm-agent")).unwrap();
    // In a namespace of its own its process has such a number.
    let mut install = Command::new("unshare");
    install.args(["--pid", "--fork", PROGRAM, "install"]).arg(&shared);
    if !install.output().unwrap().status.success() {
        let status = Command::new(PROGRAM).arg("install").arg(&shared).status();
        assert!(status.unwrap().success());
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "gold");
    let program = shared.join("diyadm-agent").symlink_metadata().unwrap();
    assert!(program.is_file() && program.nlink() == 1, "{program:?}");
}

/// What is put in the way, and how.
type Trap<'a> = (&'a str, &'a dyn Fn(&Path));

/// What waits under the name of a file that is received: another user's, or one that is elsewhere
/// too, or a link.
#[test]
fn receive_creates_a_new_file_in_place_of_any_planted_one() {
    let folder = tempfile::tempdir().unwrap();
    let [root, precious] = ["root", "precious"].map(|name| folder.path().join(name));
    fs::create_dir(&root).unwrap();
    mode(&root, 0o1777);
    let own = rustix::process::geteuid().as_raw();
    let traps: [Trap<'_>; 5] = [
        ("a hard link", &|part| fs::hard_link(&precious, part).unwrap()),
        ("a link", &|part| symlink(&precious, part).unwrap()),
        ("a file that others may write to", &|part| {
            fs::write(part, "x").unwrap();
            mode(part, 0o666);
        }),
        ("a folder", &|part| fs::create_dir(part).unwrap()),
        ("another user's file", &|part| {
            fs::write(part, noise(1, 9000)).unwrap();
            if own == 0 {
                chown(part, Some(OTHER), Some(OTHER)).unwrap();
            }
            mode(part, 0o600);
        }),
    ];
    for (what, trap) in traps {
        for (small, content) in [(true, b"mine".to_vec()), (false, noise(1, 20_000))] {
            fs::write(&precious, "gold").unwrap();
            let part = root.join(".a.jar.diyadm-part");
            trap(&part);
            // Held, so that no new one gets its number.
            let held = fs::File::open(&part).unwrap();
            let mut sender = Sender::new(&into(&root));
            let done = if small {
                sender.small(b"a.jar", &content)
            } else {
                sender.send(b"a.jar", &content).0
            };
            assert_eq!(done, Ok(true), "{what}");
            let target = root.join("a.jar").symlink_metadata().unwrap();
            assert!(target.is_file() && (target.uid(), target.nlink()) == (own, 1), "{what}");
            // This user's own is taken up where a transfer was broken off.
            if what != "another user's file" || own == 0 {
                assert_ne!(target.ino(), held.metadata().unwrap().ino(), "{what}");
            }
            assert!(fs::read(root.join("a.jar")).unwrap() == content, "{what}");
            assert_eq!(fs::read_to_string(&precious).unwrap(), "gold", "{what}");
            sender.hang_up();
            fs::remove_file(root.join("a.jar")).unwrap();
            let _ = fs::remove_file(&part).or_else(|_| fs::remove_dir(&part));
            assert!(names(&root).is_empty(), "{what}: {:?}", names(&root));
        }
    }
}

/// In a sticky folder another user's files cannot be moved out of the way.
#[test]
fn receive_works_in_a_sticky_folder_with_files_of_another_user() {
    require!(rustix::process::geteuid().is_root(), "no other user: it takes root");
    let (folder, program) = shared();
    let root = folder.path();
    let traps = [".a.jar.diyadm-part", ".a.jar.diyadm-have", ".b.diyadm-link"];
    for name in traps {
        fs::write(root.join(name), noise(2, 9000)).unwrap();
        mode(&root.join(name), 0o666);
    }
    let before: Vec<_> = traps.map(|name| fs::read(root.join(name)).unwrap()).into();
    let sender = || {
        let mut agent = as_other(&program);
        agent.arg("relay");
        Sender::try_new(agent, &into(root)).unwrap()
    };
    // What was broken off leaves nothing under a name that nobody looks for.
    let (half, chunks) = file(b"a.jar", &noise(1, 20_000));
    let mut broken_off = sender();
    let need = broken_off.offer(&half, &chunks).unwrap();
    let frames = broken_off.frames(&chunks, &need).concat();
    broken_off.client.send_bytes(&frames[..frames.len() / 2]);
    broken_off.hang_up();
    let mut sender = sender();
    assert_eq!(sender.small(b"a.jar", b"mine"), Ok(true));
    assert_eq!(sender.send(b"a.jar", &noise(1, 20_000)).0, Ok(true));
    assert_eq!(sender.step(Op::Link { path: "b".into(), to: "a.jar".into() }), Ok(true));
    sender.hang_up();
    let target = root.join("a.jar").symlink_metadata().unwrap();
    assert_eq!((target.uid(), target.nlink()), (OTHER, 1));
    let after: Vec<_> = traps.map(|name| fs::read(root.join(name)).unwrap()).into();
    assert!(before == after);
    let mut all = [&traps[..], &["a.jar", "b", "diyadm-agent"]].concat();
    all.sort_unstable();
    assert_eq!(names(root), all);
}
