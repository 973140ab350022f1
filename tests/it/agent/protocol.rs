//! The protocol: every message comes back as it was sent, however it is cut; hostile bytes are
//! answered with an error, within the cap.

use diyadm_agent::protocol::{
    Answer, App, Apps, Broken, By, Bytes, Claim, Decoder, End, EndedBy, Failed, FrameKind, HEADER,
    Hash, Hello, Lease, Line, Request, SentContent, Start, State, Stream, Termination, append,
    json, name_fits,
    transfer::{Chunk, Cut, Data, File, Hashes, MOST_CHUNK, Mtime, Need, Op, Reason, Refusal},
};
use proptest::{collection::vec, prelude::*};

/// A cap small enough for random lengths to be on both sides of it.
const CAP: usize = 4096;

fn kind() -> impl Strategy<Value = FrameKind> {
    use FrameKind::{Answer, Data, Hashes, Hello, Line, Need, Request};
    proptest::sample::select(vec![Hello, Request, Answer, Line, Hashes, Need, Data])
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes)
}

type Frames = Vec<(FrameKind, Vec<u8>)>;

/// Every frame of `stream`, which is fed in `pieces`, and how the stream ended.
fn decode(decoder: &mut Decoder, stream: &[u8], pieces: &[usize]) -> (Frames, Result<(), Broken>) {
    let (mut frames, mut rest) = (Vec::new(), stream);
    let mut pieces = pieces.iter().copied().chain([usize::MAX]);
    while !rest.is_empty() {
        let length = pieces.next().unwrap_or(usize::MAX).min(rest.len());
        let mut piece;
        (piece, rest) = rest.split_at(length);
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(frame)) => frames.push((frame.kind, frame.payload.to_vec())),
                Ok(None) => break,
                Err(broken) => return (frames, Err(broken)),
            }
        }
        assert!(piece.is_empty(), "what is not a whole frame yet is taken");
    }
    let end = decoder.end();
    (frames, end)
}

proptest! {
    #[test]
    fn frames_decode_however_they_are_split(
        frames in vec((kind(), vec(any::<u8>(), 0..300)), 0..8),
        pieces in vec(0_usize..200, 0..40),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut stream = Vec::new();
        frames.iter().for_each(|(kind, payload)| append(&mut stream, *kind, &[payload]));
        let whole = decode(&mut Decoder::default(), &stream, &pieces);
        prop_assert_eq!(whole, (frames.clone(), Ok(())));
        let cut = cut.index(stream.len() + 1);
        let (some, end) = decode(&mut Decoder::default(), &stream[..cut], &pieces);
        prop_assert_eq!(&some[..], &frames[..some.len()]);
        let sent: usize = some.iter().map(|(_, payload)| HEADER + payload.len()).sum();
        prop_assert_eq!(end, if sent == cut { Ok(()) } else { Err(Broken::Cut) });
    }

    #[test]
    fn hostile_bytes_stay_within_the_frame_limit(
        stream in vec(any::<u8>(), 0..9000),
        length in any::<u32>(),
        kind in kind(),
        pieces in vec(0_usize..5000, 0..20),
    ) {
        let mut decoder = Decoder::new(CAP);
        let announced = [&length.to_le_bytes()[..], &[kind as u8], &stream].concat();
        for stream in [&stream, &announced] {
            let (frames, _) = decode(&mut decoder, stream, &pieces);
            prop_assert!(frames.iter().all(|(_, payload)| payload.len() <= CAP));
            prop_assert!(decoder.held() <= CAP, "{} are held", decoder.held());
            decoder = Decoder::new(CAP);
        }
        let (_, end) = decode(&mut decoder, &announced, &[]);
        if length as usize > CAP {
            prop_assert_eq!(end, Err(Broken::TooLong(length as usize, CAP)));
            prop_assert_eq!(decoder.held(), 0, "nothing is allocated for it");
        } else if length as usize > stream.len() {
            prop_assert_eq!(end, Err(Broken::Cut));
            prop_assert!(decoder.held() <= 2 * stream.len(), "nothing is allocated ahead");
        }
    }

    #[test]
    fn hostile_payloads_are_errors(payload in vec(any::<u8>(), 0..400)) {
        // None of these may panic; what is read is written back the same.
        let mut out = Vec::new();
        if let Ok(line) = Line::parse(&payload) {
            line.append(&mut out);
            prop_assert_eq!(&out[HEADER + 1..], &payload[1..]);
        }
        if let Ok(data) = Data::parse(&payload) {
            out.clear();
            data.append(&mut out);
            prop_assert_eq!(&out[HEADER..], &payload[..]);
        }
        if let Ok(hashes) = Hashes::parse(&payload) {
            prop_assert!(hashes.chunks.iter().all(|c| (1..=MOST_CHUNK).contains(&c.length)));
        }
        let _ = Need::parse(&payload).map(|need| need.indices().count());
        let _ = serde_json::from_slice::<Request>(&payload);
    }

    #[test]
    fn lines_and_chunks_decode_as_encoded(
        (err, cut, number, at_ms) in any::<(bool, bool, u64, u64)>(),
        (id, index, zstd) in any::<(u32, u32, bool)>(),
        text in vec(any::<u8>(), 0..200),
        needed in vec(any::<bool>(), 0..100),
        chunks in vec((any::<[u8; 32]>(), 1..=MOST_CHUNK), 0..20),
    ) {
        let stream = if err { Stream::Err } else { Stream::Out };
        let line = Line { stream, cut, number, at_ms, text: &text };
        let mut out = Vec::new();
        line.append(&mut out);
        prop_assert_eq!(Line::parse(&out[HEADER..]), Ok(line));
        out.clear();
        let data = Data { id, index, zstd, bytes: &text };
        data.append(&mut out);
        prop_assert_eq!(Data::parse(&out[HEADER..]), Ok(data));
        out.clear();
        let need = Need::new(id, needed.iter().copied());
        need.append(&mut out);
        prop_assert_eq!(Need::parse(&out[HEADER..]), Ok(need.clone()));
        let indices: Vec<_> = (0..needed.len()).filter(|index| needed[*index]).collect();
        prop_assert_eq!(need.indices().collect::<Vec<_>>(), indices);
        let chunk = |(hash, length)| Chunk { hash: Hash(hash), length };
        let chunks: Vec<_> = chunks.into_iter().map(chunk).collect();
        out.clear();
        Hashes::append(&mut out, id, &chunks);
        if !chunks.is_empty() {
            prop_assert_eq!(Hashes::parse(&out[HEADER..]), Ok(Hashes { id, chunks }));
        }
    }

    #[test]
    fn requests_and_answers_decode_as_encoded(
        (path, name, value) in (bytes(), bytes(), bytes()),
        text in ".{0,20}",
        (number, code, asked) in any::<(u64, i32, bool)>(),
        hash in any::<[u8; 32]>(),
    ) {
        let start = Start {
            name: text.clone(),
            command: vec![name.clone(), path.clone()],
            env: vec![(name.clone(), value.clone())],
            env_append: vec![(name, value)],
            stdin: asked,
            cwd: asked.then(|| path.clone()),
            replace: asked,
            grace_ms: number,
            content: Vec::new(),
        };
        let sent = SentContent {
            path: path.clone(),
            hash: Hash(hash),
            files: asked.then_some(number),
            revision: asked.then(|| text.clone()),
            dirty: asked,
            who: text.clone(),
            at_ms: number,
        };
        let file = File {
            path: path.clone(),
            mode: 0o644,
            mtime: Mtime { s: number.cast_signed(), ns: 1 },
            size: number,
            hash: Hash(hash),
            chunks: 7,
            cut: Cut::default(),
        };
        let how = Termination::Signal { signal: code, core: asked };
        let app = App {
            name: text.clone(),
            command: start.command.clone(),
            cwd: path.clone(),
            state: State::Ended(End { at_ms: number, how, asked, oom: !asked }),
            pid: 1,
            since_ms: number,
            restarts: 2,
            processes: 3,
            cpu_ms: number,
            rss: number,
            lines: number,
            debug_port: asked.then_some(8000),
            stand_in: asked,
            ended_by: asked.then(|| EndedBy::TakeOver(text.clone())),
            content: vec![sent.clone()],
        };
        let lease = Lease {
            who: app.name.clone(),
            apps: vec![app.name.clone()],
            held_ms: number,
            unseen_ms: number,
            left_ms: asked.then_some(number),
        };
        let refusal = Refusal { reason: Reason::Outside, path, detail: text };
        let by = By {
            who: "ann".to_owned(),
            claim: if asked { Claim::TakeOver } else { Claim::Free },
            for_ms: asked.then_some(number),
            sent: vec![sent.clone()],
            request: Box::new(Request::Start(start.clone())),
        };
        for request in [Request::By(by), Request::Start(start), Request::Step { id: 9, op: Op::File(file) }] {
            let frame = json(FrameKind::Request, &request).unwrap();
            let (frames, end) = decode(&mut Decoder::default(), &frame, &[3, 4]);
            prop_assert_eq!(end, Ok(()));
            prop_assert_eq!(serde_json::from_slice::<Request>(&frames[0].1).unwrap(), request);
        }
        let answers = [
            Answer::Apps(Apps {
                supervisor: None,
                apps: vec![app.clone()],
                others: vec![1],
                leases: vec![lease.clone()],
                sent: vec![sent],
            }),
            Answer::Failed(Failed::Held(lease)),
            Answer::Failed(Failed::Runs(Box::new(app))),
            Answer::Refused { id: 1, refusal },
        ];
        for answer in answers {
            let text = serde_json::to_string(&answer).unwrap();
            prop_assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
        }
    }
}

#[test]
fn older_hello_is_decoded() {
    let old = br#"{"protocol":7,"build":"9.9.9","of_the_future":[]}"#;
    let hello: Hello = serde_json::from_slice(old).unwrap();
    assert_eq!((hello.protocol, &hello.build[..], &hello.arch[..]), (7, "9.9.9", ""));
    let own = serde_json::to_value(Hello::own()).unwrap();
    assert!(own["protocol"].is_u64() && own["build"].is_string() && own["arch"].is_string());
}

#[test]
fn shell_output_is_not_a_frame() {
    let mut words = &b"sh: /diyadm: not found\n"[..];
    assert_eq!(Decoder::default().next(&mut words), Err(Broken::NoKind(b'/')));
}

#[test]
fn application_names_are_validated() {
    for name in ["app", "A", "0.b_c-d", &"x".repeat(63)] {
        assert!(name_fits(name), "{name}");
    }
    for name in ["", "-a", ".a", "a b", "a/b", "a\n", "ä", &"x".repeat(64)] {
        assert!(!name_fits(name), "{name}");
    }
}

#[test]
fn bytes_are_encoded_as_text_where_possible() {
    let text = |bytes: &[u8]| serde_json::to_string(&Bytes(bytes.to_vec())).unwrap();
    assert_eq!(text(b"/a b\n"), r#""/a b\n""#);
    assert_eq!(text(b"\xff/"), "[255,47]");
    assert_eq!(Bytes(b"a\n\xff".to_vec()).show(), "a\\n\u{fffd}");
}
