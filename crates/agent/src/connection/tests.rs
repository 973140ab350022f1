//! What a client may ask for, and what it cannot make the agent hold.

use std::{thread, time::Duration};

use super::{
    super::{
        protocol::{Bytes, Start},
        sink::Sink,
    },
    *,
};

/// A connection, and the client's end.
fn connected() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Connection::new(ours), theirs)
}

fn supervisor() -> Supervisor {
    Supervisor::new(Sink::default(), Sink::default(), 1024)
}

#[test]
fn answers_to_a_client_that_does_not_read_are_bounded() {
    let (mut connection, mut client) = connected();
    let mut supervisor = supervisor();
    // It is answered at once, as there is no such application.
    let request = json(FrameKind::Request, &Request::Wait { name: "x".to_owned() }).unwrap();
    let asked = (256 << 10) / request.len();
    let hello = json(FrameKind::Hello, &Hello::own()).unwrap();
    let asking = [hello, request.repeat(asked)].concat();
    let reader = client.try_clone().unwrap();
    let writing = thread::spawn(move || client.write_all(&asking).map(|()| client));
    let mut buffer = vec![0; 256 << 10];
    let mut most = 0;
    let mut turn = |connection: &mut Connection| {
        let (_, wanted) = connection.wants();
        connection.ready(wanted, &mut supervisor, &mut buffer);
        connection.go_on(&mut supervisor);
        assert!(!connection.wants().1.is_empty(), "nobody would wake it");
        most = most.max(connection.out.len() - connection.written);
    };
    while !connection.is_full() {
        turn(&mut connection);
    }
    for _ in 0..100 {
        turn(&mut connection);
    }
    // As soon as it reads it gets an answer to each.
    reader.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let (mut decoder, mut answers, mut some) = (Decoder::default(), 0, vec![0; 64 << 10]);
    while answers < asked {
        turn(&mut connection);
        let Ok(read) = (&reader).read(&mut some) else { continue };
        let mut input = &some[..read];
        while let Some(frame) = decoder.next(&mut input).unwrap() {
            answers += usize::from(frame.kind == FrameKind::Answer);
        }
    }
    writing.join().unwrap().unwrap();
    assert!(most < FULL + 1024, "{most} bytes were held");
}

#[test]
fn application_list_fits_a_frame() {
    let (mut connection, _client) = connected();
    let mut supervisor = supervisor();
    for name in 0..8 {
        let long = || Bytes(vec![1; 100_000]);
        let start = Start {
            name: format!("app{name}"),
            command: vec!["true".into(), long(), long()],
            ..Start::default()
        };
        supervisor.start(start).unwrap();
    }
    let before = connection.out.len();
    connection.request(Request::List, &mut supervisor);
    assert!(connection.out.len() > before + 8 * 50);
}
