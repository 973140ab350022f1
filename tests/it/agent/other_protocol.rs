//! A supervisor of another protocol in the same container, as after a second agent was copied
//! there.

use std::{
    fs,
    os::unix::{fs::MetadataExt, net::UnixListener},
};

use diyadm_agent::protocol::{Answer, Apps, PROTOCOL, Request};

use super::client::{Client, relay, script};

#[test]
fn supervisor_of_another_protocol_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let inode = fs::metadata("/proc/self/ns/mnt").unwrap().ino();
    let listen = |protocol, inode| {
        UnixListener::bind(path.join(format!("agent-{protocol}-{inode}.sock"))).unwrap()
    };
    let older = PROTOCOL - 1;
    let _older = listen(older, inode);
    // Of another container that shares the folder, and of one that has ended.
    let _other = listen(PROTOCOL + 1, inode + 1);
    drop(listen(PROTOCOL + 2, inode));

    let client = || {
        let mut relay = relay(&path.join("own.sock"));
        relay.env("TMPDIR", path);
        Client::of(relay)
    };
    let others = vec![older];
    let nobody = Apps { others: others.clone(), ..Apps::default() };
    assert_eq!(client().asked(&Request::List), Answer::Apps(nobody));
    // One that is started beside it tells of it too.
    let mut started = client();
    started.started(&Request::Start(script("app", "exec sleep 1000")));
    let answer = client().asked(&Request::List);
    assert_eq!(started.asked(&Request::StopAll { grace_ms: 60_000, exit: true }), Answer::Sent);
    let Answer::Apps(apps) = answer else { panic!("{answer:?}") };
    assert_eq!((apps.apps.len(), apps.others), (1, others));
}
