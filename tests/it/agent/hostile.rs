//! Hostile clients at the supervisor's socket: it survives whatever they send, and answers the
//! others.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
};

use diyadm_agent::protocol::{
    Answer, By, Bytes, Claim, Decoder, Failed, Follow, FrameKind, HEADER, Hello, Logs, Request,
    Start, json,
};
use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};

use super::{
    super::rig::wait_until,
    client::{Client, Idle, relay, script},
};

fn hello() -> Vec<u8> {
    json(FrameKind::Hello, &Hello::own()).unwrap()
}

/// Sends these bytes after a hello, and hangs up; the answers.
fn talk(socket: &Path, bytes: &[u8]) -> Vec<Answer> {
    let mut stream = UnixStream::connect(socket).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answers = std::thread::spawn(move || {
        let mut said = Vec::new();
        // One that is hung up on in the middle of what it says gets a reset.
        let _ = reader.read_to_end(&mut said);
        said
    });
    let _ = stream.write_all(&[hello(), bytes.to_vec()].concat());
    let _ = stream.shutdown(Shutdown::Write);
    let said = answers.join().unwrap();
    let (mut decoder, mut rest, mut answers) = (Decoder::default(), &said[..], Vec::new());
    while let Some(frame) = decoder.next(&mut rest).unwrap() {
        if frame.kind == FrameKind::Answer {
            answers.push(frame.parse(FrameKind::Answer).unwrap());
        }
    }
    answers
}

fn request(request: &Request) -> Vec<u8> {
    json(FrameKind::Request, request).unwrap()
}

#[test]
fn refuses_requests_whose_answer_would_not_fit_a_frame() {
    let idle = Idle::start(&[]);
    let long = "\u{7f}".repeat(200_000);
    let start = |start: Start| Request::Start(start);
    let requests = [
        start(Start { command: vec![(&*long).into()], ..script("app", "") }),
        start(Start { cwd: Some((&*long).into()), ..script("app", "") }),
        start(script(&long, "")),
        start(Start { env: vec![((&*long).into(), "".into())], ..script("app", "no\0where") }),
        Request::Wait { name: long.clone() },
        Request::Logs(Logs { name: "\"".repeat(120_000), ..Logs::default() }),
    ];
    for asked in &requests {
        let answers = talk(&idle.socket(), &request(asked));
        assert!(matches!(answers[..], [Answer::Failed(_)]), "{answers:.200?}");
        // And so does the relay, which takes longer ones.
        let answer = Client::of(relay(&idle.socket())).asked(asked);
        assert!(matches!(answer, Answer::Failed(_)), "{answer:.200?}");
        let answer =
            Client::of(relay(Path::new("/none"))).asked(&Request::Wait { name: long.clone() });
        assert!(matches!(answer, Answer::Failed(Failed::Unknown { .. })), "{answer:.200?}");
    }
    // What is wrong with a message may be all of it.
    let mut wrong = vec![0, 0, 0, 0, FrameKind::Request as u8];
    wrong.extend(format!("{{\"{}\":0}}", "\u{7f}".repeat(200_000)).bytes());
    let length = u32::try_from(wrong.len() - HEADER).unwrap();
    wrong[..4].copy_from_slice(&length.to_le_bytes());
    assert!(matches!(talk(&idle.socket(), &wrong)[..], [Answer::Failed(_)]));
    assert!(idle.client().apps().is_empty());
}

/// A name: that of an application that there is, a good one, or anything.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("app".to_owned()), "[a-z]{1,3}", ".{0,9}"]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), 0..9_u64, any::<u64>()]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![vec(any::<u8>(), 0..20), Just(vec![0x7f; 30_000])].prop_map(Bytes)
}

/// A start of a program that there is not, or that ends at once.
fn start() -> impl Strategy<Value = Start> {
    let words = prop_oneof![
        Just(vec![]),
        vec(bytes(), 0..3).prop_map(|args| [vec!["true".into()], args].concat()),
        bytes().prop_map(|name| vec![Bytes([b"/none/", &name.0[..]].concat())]),
    ];
    let env = vec((bytes(), bytes()), 0..3);
    let cwd = proptest::option::of(bytes());
    let more = vec((bytes(), bytes()), 0..3);
    (name(), words, (env, more), cwd, any::<(bool, bool)>(), number()).prop_map(
        |(name, command, (env, env_append), cwd, (replace, stdin), grace_ms)| Start {
            name,
            command,
            env,
            env_append,
            stdin,
            cwd,
            replace,
            grace_ms,
            content: Vec::new(),
        },
    )
}

/// A start in somebody's name.
fn by() -> impl Strategy<Value = Request> {
    let claim = prop_oneof![Just(Claim::Free), Just(Claim::Share), Just(Claim::TakeOver)];
    (name(), claim, proptest::option::of(number()), start()).prop_map(
        |(who, claim, for_ms, start)| {
            Request::By(By {
                who,
                claim,
                for_ms,
                sent: Vec::new(),
                request: Box::new(Request::Start(start)),
            })
        },
    )
}

fn any_request() -> impl Strategy<Value = Request> {
    let follow = prop_oneof![Just(Follow::No), Just(Follow::Run), Just(Follow::Always)];
    let logs = (name(), number(), number(), proptest::option::of(number()), follow);
    prop_oneof![
        Just(Request::List),
        Just(Request::Cancel),
        start().prop_map(Request::Start),
        number().prop_map(|for_ms| Request::Extend { for_ms }),
        by(),
        (name(), number()).prop_map(|(name, grace_ms)| Request::Stop { name, grace_ms }),
        (name(), number()).prop_map(|(name, grace_ms)| Request::Restart { name, grace_ms }),
        (name(), any::<i32>()).prop_map(|(name, signal)| Request::Signal { name, signal }),
        (name(), 0..40).prop_map(|(name, signal)| Request::Signal { name, signal }),
        name().prop_map(|name| Request::Wait { name }),
        name().prop_map(|name| Request::Remove { name }),
        logs.prop_map(|(name, after, since_ms, tail, follow)| {
            Request::Logs(Logs { name, after, since_ms, tail, follow })
        }),
        (number(), any::<bool>()).prop_map(|(grace_ms, exit)| Request::StopAll { grace_ms, exit }),
    ]
}

/// A request as it should be, one with some bytes of it changed, and anything at all.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let changed = (any_request(), vec((any::<Index>(), any::<u8>()), 1..4));
    prop_oneof![
        4 => any_request().prop_map(|asked| request(&asked)),
        // Its length and kind stay, so that what is in it is looked at.
        4 => changed.prop_map(|(asked, changes)| {
            let mut frame = request(&asked);
            for (at, byte) in changes {
                let length = frame.len() - HEADER;
                frame[HEADER + at.index(length)] = byte;
            }
            frame
        }),
        1 => vec(any::<u8>(), 0..40),
        1 => (any::<u32>(), 0..9_u8).prop_map(|(length, kind)| {
            [&length.to_le_bytes()[..], &[kind]].concat()
        }),
    ]
}

#[test]
fn supervisor_survives_any_frame() {
    let mut idle = Idle::start(&[]);
    let pid = idle.child.id();
    idle.client().started(&Request::Start(script("app", "echo a; echo b; exec sleep 1000")));
    let socket = idle.socket();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(200));
    runner
        .run(&vec(frame(), 1..6), |frames| {
            talk(&socket, &frames.concat());
            let answers = talk(&socket, &request(&Request::List));
            let [Answer::Apps(apps)] = &answers[..] else { panic!("{answers:?}") };
            prop_assert_eq!(apps.supervisor.as_ref().map(|own| own.pid), Some(pid));
            Ok(())
        })
        .unwrap();
    assert!(idle.child.try_wait().unwrap().is_none());
}

#[test]
fn supervisor_closes_silent_clients_for_new_ones() {
    let idle = Idle::start(&[]);
    idle.client().started(&Request::Start(script("app", "exec sleep 1000")));
    let mut waiting = idle.client();
    waiting.ask(&Request::Wait { name: "app".into() });
    let connect = || UnixStream::connect(idle.socket()).unwrap();
    let silent: Vec<_> = (0..200).map(|_| connect()).collect();
    let greeted: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = connect();
            // It may have been hung up on already.
            let _ = stream.write_all(&hello());
            stream
        })
        .collect();
    // Of those that only said hello none is waited for either.
    idle.client().ended(&Request::Stop { name: "app".into(), grace_ms: 60_000 });
    assert!(matches!(waiting.answer(), Answer::Ended(_)), "who waits for an answer stays");
    drop((silent, greeted));
}

#[test]
fn refuses_a_client_when_all_others_wait_for_an_answer() {
    let idle = Idle::start(&[]);
    let mut first = idle.client();
    first.started(&Request::Start(script("app", "exec sleep 1000")));
    let wait = [hello(), request(&Request::Wait { name: "app".into() })].concat();
    let waiting: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = UnixStream::connect(idle.socket()).unwrap();
            stream.write_all(&wait).unwrap();
            stream
        })
        .collect();
    wait_until("each of them waits", || {
        let answers = talk(&idle.socket(), &request(&Request::List));
        matches!(answers[..], [Answer::Failed(Failed::Busy { .. })])
    });
    let busy = Client::of(relay(&idle.socket())).failed(&Request::List);
    assert!(matches!(busy, Failed::Busy { .. }), "{busy:?}");
    drop(waiting);
    wait_until("there is room again", || {
        matches!(talk(&idle.socket(), &request(&Request::List))[..], [Answer::Apps(_)])
    });
}
