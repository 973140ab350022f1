//! The agent's protocol: any bytes are frames or an error, in any pieces, and memory stays within
//! the cap.

use serde::{Serialize, de::DeserializeOwned};

use super::{Target, behaviour};
use diyadm_agent::protocol::{
    Answer, Apps, Broken, Decoder, Failed, FrameKind, Hash, Hello, Line, Logs, Request, Start,
    Stream, append, json,
    transfer::{Chunk, Data, Hashes, MOST_CHUNK, Need, Reason, Refusal},
};

/// Small, so that inputs are on both sides of it.
const CAP: usize = 4096;

const WORDS: [&str; 24] = [
    "\u{1}\0\0\0\u{1}",
    "\u{5}\0\0\0\u{2}",
    "\0\0\0\0\u{3}",
    "\0\u{10}\0\0\u{4}",
    "\u{7f}\0\0\0\u{7}",
    "{\"protocol\":2,\"build\":\"x\"}",
    "\"list\"",
    "{\"start\":",
    "{\"stop\":",
    "{\"logs\":",
    "{\"receive\":",
    "{\"step\":",
    "{\"file\":",
    "{\"failed\":",
    "{\"entries\":",
    "\"path\":",
    "[255]",
    "18446744073709551615",
    "-9223372036854775808",
    "\"hash\":",
    "\"chunks\":",
    "\"mode\":",
    "\"name\":",
    "\"env\":[[",
];

fn seeds() -> Vec<Vec<u8>> {
    let start = Start {
        name: "app".to_owned(),
        command: vec!["java".into(), "-jar".into()],
        env: vec![("A".into(), "b".into())],
        env_append: vec![("A".into(), "c".into())],
        stdin: true,
        cwd: Some("/tmp".into()),
        replace: true,
        grace_ms: 1,
        content: Vec::new(),
    };
    let logs = Logs { name: "app".to_owned(), tail: Some(3), ..Logs::default() };
    let requests = [Request::List, Request::Start(start), Request::Logs(logs), Request::Cancel];
    let refusal = Refusal { reason: Reason::Outside, path: "/x".into(), detail: "d".to_owned() };
    let answers = [
        Answer::Apps(Apps::default()),
        Answer::Lost { lines: 4 },
        Answer::Done { id: 1, changed: true, unset: true },
        Answer::Refused { id: 2, refusal },
        Answer::Failed(Failed::Unknown { name: "a".to_owned(), known: vec!["b".to_owned()] }),
    ];
    let mut seeds = vec![json(FrameKind::Hello, &Hello::own()).unwrap()];
    seeds.extend(requests.iter().map(|request| json(FrameKind::Request, request).unwrap()));
    seeds.extend(answers.iter().map(Answer::frame));
    let mut bulk = Vec::new();
    let line = Line { stream: Stream::Err, cut: false, number: 7, at_ms: 9, text: b"a line" };
    line.append(&mut bulk);
    Data { id: 1, index: 2, zstd: false, bytes: b"content" }.append(&mut bulk);
    Need::new(3, [true, false, true].into_iter()).append(&mut bulk);
    let chunks = [
        Chunk { hash: Hash([7; 32]), length: 9 },
        Chunk { hash: Hash([1; 32]), length: MOST_CHUNK },
    ];
    Hashes::append(&mut bulk, 4, &chunks);
    seeds.push(bulk);
    let whole = seeds.concat();
    seeds.push(whole);
    seeds
}

/// The kinds and payloads of the frames, and how the stream ended.
type Decoded = (Vec<(FrameKind, Vec<u8>)>, Result<(), Broken>);

/// Decodes a stream that is fed in pieces.
fn decode(stream: &[u8], pieces: impl Iterator<Item = usize>) -> Decoded {
    let mut decoder = Decoder::new(CAP);
    let (mut frames, mut rest) = (Vec::new(), stream);
    for length in pieces {
        if rest.is_empty() {
            break;
        }
        let mut piece;
        (piece, rest) = rest.split_at(length.clamp(1, rest.len()));
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(frame)) => frames.push((frame.kind, frame.payload.to_vec())),
                Ok(None) => break,
                Err(broken) => return (frames, Err(broken)),
            }
            assert!(decoder.held() <= CAP, "{} bytes are held", decoder.held());
        }
    }
    (frames, decoder.end())
}

/// Parsed JSON is written, and parsed to the same value.
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    payload: &[u8],
) -> bool {
    let Ok(read) = serde_json::from_slice::<T>(payload) else { return false };
    let written = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<T>(&written).expect("what was written is read"), read);
    true
}

fn look_at(kind: FrameKind, payload: &[u8]) -> bool {
    let mut out = Vec::new();
    match kind {
        FrameKind::Hello => return comes_back::<Hello>(payload),
        FrameKind::Request => return comes_back::<Request>(payload),
        FrameKind::Answer => {
            if let Ok(Answer::Failed(failed)) = serde_json::from_slice(payload) {
                assert!(failed.to_string().len() < 4 * payload.len() + 200);
            }
            return comes_back::<Answer>(payload);
        }
        FrameKind::Line => match Line::parse(payload) {
            Ok(line) => line.append(&mut out),
            Err(_) => return false,
        },
        FrameKind::Data => match Data::parse(payload) {
            Ok(data) => data.append(&mut out),
            Err(_) => return false,
        },
        FrameKind::Hashes => match Hashes::parse(payload) {
            Ok(Hashes { chunks, .. }) if chunks.is_empty() => return true,
            Ok(Hashes { id, chunks }) => Hashes::append(&mut out, id, &chunks),
            Err(_) => return false,
        },
        FrameKind::Need => match Need::parse(payload) {
            Ok(need) => {
                assert!(need.indices().count() <= 8 * payload.len());
                need.append(&mut out);
            }
            Err(_) => return false,
        },
    }
    // A parsed value is written as a frame of that kind, and parsed again.
    let (frames, end) = decode(&out, std::iter::once(usize::MAX));
    assert!(end.is_ok() && frames.len() == 1 && frames[0].0 == kind, "{frames:?} {end:?}");
    true
}

fn check(input: &[u8]) -> u64 {
    let whole = decode(input, std::iter::once(usize::MAX));
    let pieces = input.iter().map(|byte| usize::from(*byte % 7)).chain(std::iter::repeat(1));
    assert_eq!(decode(input, pieces), whole, "pieces make no difference");
    let (frames, end) = whole;
    // A stream that is written from these frames is the part of the input that they were.
    let mut written = Vec::new();
    frames.iter().for_each(|(kind, payload)| append(&mut written, *kind, &[payload]));
    assert!(input.starts_with(&written));
    let seen: String = frames
        .iter()
        .map(|(kind, payload)| format!("{kind:?}{} ", look_at(*kind, payload)))
        .collect();
    // Payloads without their header.
    for kind in [
        FrameKind::Line,
        FrameKind::Hashes,
        FrameKind::Need,
        FrameKind::Data,
        FrameKind::Request,
        FrameKind::Answer,
    ] {
        if input.len() <= CAP {
            look_at(kind, input);
        }
    }
    behaviour(&[&seen, &format!("{end:?}")])
}

#[test]
fn any_bytes_decode_to_frames_or_an_error() {
    Target { name: "protocol", seeds: seeds(), words: &WORDS }.fuzz(check);
}
