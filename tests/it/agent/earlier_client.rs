//! Skew of versions: conversations that clients of earlier versions had, kept in
//! tests/data/skew/VERSION, with today's agent.
//!
//! `NAME.client` has the client's frames in hexadecimal digits, one on each line; `NAME.agent` the
//! answers that it got. While the protocol's number stays, today's agent must answer them so that
//! the earlier client understands, and today's client must read the earlier agent's answers. After
//! the number is raised, the agent must refuse. A folder is written once, for its release, and never
//! changed: `DIYADM_UPDATE_GOLDEN=1 cargo xtask test -- earlier_client` writes that of this version
//! where it is missing.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use diyadm_agent::protocol::{
    Answer, Bytes, Failed, FrameKind, HEADER, Hello, Logs, PROTOCOL, Request, hex, json,
    transfer::{Cut, Data, File, Mtime, Op, Receive},
};
use serde_json::Value;

use super::client::{Client, Idle, Message, relay, script};

/// The conversations: one about applications, one that transfers files.
const CONVERSATIONS: [&str; 2] = ["applications", "transfer"];

#[test]
fn agent_serves_clients_of_earlier_versions() {
    let folders = skew();
    record(&folders.join(concat!("v", env!("CARGO_PKG_VERSION"))));
    let mut count = 0;
    let folders = fs::read_dir(folders).unwrap().map(|entry| entry.unwrap().path());
    for version in folders.filter(|path| path.is_dir()) {
        for name in CONVERSATIONS {
            let read = |side| fs::read_to_string(version.join(format!("{name}.{side}"))).unwrap();
            let frames: Vec<Vec<u8>> = read("client").lines().map(bytes).collect();
            let hello: Hello = serde_json::from_slice(&frames[0][HEADER..]).unwrap();
            let answers = converse(&frames);
            if hello.protocol != PROTOCOL {
                assert_eq!(
                    answers,
                    [Answer::Failed(Failed::Mismatch(Hello::own()))],
                    "{version:?}"
                );
                continue;
            }
            let earlier: Vec<Value> =
                read("agent").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(earlier.len(), answers.len(), "{version:?} {name}: {answers:#?}");
            for (earlier, answer) in earlier.iter().zip(&answers) {
                let parsed: Answer = serde_json::from_value(earlier.clone()).unwrap();
                let today = serde_json::to_value(answer).unwrap();
                assert!(has_all(earlier, &today), "{version:?} {name}\n{earlier}\n{today}");
                let kind = std::mem::discriminant;
                assert_eq!(kind(&parsed), kind(answer), "{version:?} {name}");
            }
            count += answers.len();
        }
    }
    assert!(count > 10, "{count} answers");
}

fn skew() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/skew")
}

/// Whether `today` has each field of `earlier`, with a value of the same type.
fn has_all(earlier: &Value, today: &Value) -> bool {
    match (earlier, today) {
        (Value::Object(earlier), Value::Object(today)) => earlier
            .iter()
            .all(|(key, value)| today.get(key).is_some_and(|today| has_all(value, today))),
        (Value::Array(earlier), Value::Array(today)) => {
            earlier.len() == today.len()
                && earlier.iter().zip(today).all(|(earlier, today)| has_all(earlier, today))
        }
        (Value::Number(_), Value::Number(_)) | (Value::String(_), Value::String(_)) => true,
        (earlier, today) => earlier == today,
    }
}

/// Sends frames to an agent, each when the one before is answered; all answers.
fn converse(frames: &[Vec<u8>]) -> Vec<Answer> {
    let idle = Idle::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let mut relay = relay(&idle.socket());
    relay.current_dir(folder.path());
    let mut client = Client::silent(relay);
    client.send_bytes(&frames[0]);
    client.hello();
    let mut answers = Vec::new();
    let mut rest = &frames[1..];
    while let Some((frame, after)) = rest.split_first() {
        client.send_bytes(frame);
        rest = after;
        // The content of a file directly follows its step.
        if let Some(data) = rest.first().filter(|frame| frame[HEADER - 1] == FrameKind::Data as u8)
        {
            client.send_bytes(data);
            rest = &rest[1..];
        }
        loop {
            match client.next_message() {
                Some(Message::Answer(answer)) => {
                    let goes_on = matches!(answer, Answer::Lost { .. } | Answer::Entries { .. });
                    let is_refused = matches!(answer, Answer::Failed(_));
                    answers.push(answer);
                    if is_refused {
                        return answers;
                    }
                    if !goes_on {
                        break;
                    }
                }
                Some(Message::Line { .. }) => {}
                other => panic!("{other:?} after {answers:?}"),
            }
        }
    }
    answers
}

fn bytes(line: &str) -> Vec<u8> {
    let pairs = (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16));
    pairs.collect::<Result<_, _>>().unwrap()
}

/// Writes the conversations of this version into a folder that is not there yet.
fn record(folder: &Path) {
    if env::var_os("DIYADM_UPDATE_GOLDEN").is_none() || folder.join("transfer.client").exists() {
        return;
    }
    fs::create_dir_all(folder).unwrap();
    for (name, requests) in CONVERSATIONS.into_iter().zip([applications(), transfer()]) {
        let mut frames = vec![json(FrameKind::Hello, &Hello::own()).unwrap()];
        for request in requests {
            frames.push(json(FrameKind::Request, &request).unwrap());
            if let Request::Step { id, op: Op::File(_) } = request {
                let mut data = Vec::new();
                Data { id, index: 0, zstd: false, bytes: CONTENT }.append(&mut data);
                frames.push(data);
            }
        }
        let answers = converse(&frames);
        let lines = |lines: Vec<String>| lines.join("\n") + "\n";
        let sent = frames.iter().map(|frame| hex(frame)).collect();
        fs::write(folder.join(format!("{name}.client")), lines(sent)).unwrap();
        let json = answers.iter().map(|answer| serde_json::to_string(answer).unwrap());
        // The folder of whoever records is nobody's business.
        let root = format!("\"{}\"", env!("CARGO_MANIFEST_DIR"));
        let got = json.map(|line| line.replace(&root, "\"/\"")).collect();
        fs::write(folder.join(format!("{name}.agent")), lines(got)).unwrap();
    }
}

const CONTENT: &[u8] = b"hello\n";

fn applications() -> Vec<Request> {
    let name = || "app".to_owned();
    vec![
        Request::List,
        Request::Start(script("app", "echo hello; exec sleep 1000")),
        Request::Stop { name: name(), grace_ms: 1000 },
        Request::Wait { name: name() },
        Request::Logs(Logs { name: name(), ..Logs::default() }),
        Request::List,
        Request::Restart { name: name(), grace_ms: 1000 },
        Request::Stop { name: name(), grace_ms: 1000 },
        Request::Remove { name: name() },
        Request::StopAll { grace_ms: 1000, exit: false },
    ]
}

fn transfer() -> Vec<Request> {
    let path = |path: &str| Bytes::from(path);
    let mtime = Mtime { s: 1_600_000_000, ns: 5_000 };
    let file = File {
        path: path("in/a"),
        mode: 0o640,
        mtime,
        size: CONTENT.len() as u64,
        hash: blake3::hash(CONTENT).into(),
        chunks: 0,
        cut: Cut::default(),
    };
    let ops = [
        Op::Folder { path: path("in"), mode: 0o755 },
        Op::File(file),
        Op::Link { path: path("in/b"), to: path("a") },
        Op::Settle { path: path("in"), mode: 0o755, mtime },
        Op::Delete { path: path("in/b") },
        Op::List { hash: true, only: None },
        Op::Keep,
    ];
    let root = path("root");
    let receive = Receive { root, create: true, delete: true, alone: true };
    let steps = (1..).zip(ops).map(|(id, op)| Request::Step { id, op });
    [Request::Receive(receive)].into_iter().chain(steps).collect()
}
