//! Odd HTTP requests: each is answered or its connection closed, nothing is kept of it, and others
//! are served.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use openssl::ssl::SslStream;

use super::client::{bytes, certificates, connect, head, in_flight, metric, post, read};
use crate::rig::{Server, wait_until};

const START: &str = "POST /mutating-pods HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

/// All statuses until the server closes, or has answered as often as `answers`.
fn statuses(tls: &mut SslStream<TcpStream>, answers: usize) -> Vec<u16> {
    (0..answers).map_while(|_| read(tls)).map(|answer| answer.status).collect()
}

#[test]
fn odd_http_requests_are_answered_or_closed() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let review = String::from_utf8(bytes(|_| ())).unwrap();
    let length = review.len();
    let chunked = format!("{START}Transfer-Encoding: chunked\r\n\r\n");
    let with_length = format!("{START}Content-Length: {length}\r\n");
    let headers = |count: usize| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    // What is sent, how many answers are waited for, and what they may be; none where it may close.
    let cases: [(&str, String, usize, &[&[u16]]); 13] = [
        ("HTTP/1.0", format!("{with_length}\r\n{review}").replacen("1.1", "1.0", 1), 2, &[&[200]]),
        (
            "100-continue",
            format!("{with_length}Expect: 100-continue\r\n\r\n{review}"),
            2,
            &[&[100, 200]],
        ),
        (
            "chunk extensions",
            format!("{chunked}{length:x};a=b\r\n{review}\r\n0\r\n\r\n"),
            1,
            &[&[200], &[400], &[]],
        ),
        (
            "a long chunk extension",
            format!("{chunked}{length:x};{}\r\n{review}\r\n0\r\n\r\n", "a".repeat(1 << 20)),
            1,
            &[&[200], &[400], &[]],
        ),
        (
            "a chunk too large to count",
            format!("{chunked}FFFFFFFFFFFFFFFFF\r\n"),
            1,
            &[&[400], &[]],
        ),
        (
            "a large chunk",
            format!("{chunked}7FFFFFFFFFFFFFFF\r\n{}", " ".repeat((7 << 20) + 1)),
            1,
            &[&[413], &[400], &[]],
        ),
        (
            "more than Content-Length",
            format!("{with_length}\r\n{review}more\r\n\r\n"),
            2,
            &[&[200, 400], &[200]],
        ),
        (
            "two lengths",
            format!("{with_length}Content-Length: 1\r\n\r\n{review}"),
            1,
            &[&[400], &[]],
        ),
        (
            "a length and chunks",
            format!("{with_length}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            1,
            &[&[400], &[]],
        ),
        (
            "many headers",
            format!("{with_length}{}\r\n{review}", headers(1000)),
            1,
            &[&[400], &[431], &[]],
        ),
        (
            "a long header",
            format!("{with_length}X: {}\r\n\r\n{review}", "y".repeat(1 << 20)),
            1,
            &[&[400], &[431], &[]],
        ),
        ("no HTTP", "\r\n\0\u{7f}".repeat(1000), 1, &[&[400], &[]]),
        ("many at once", format!("{with_length}\r\n{review}").repeat(50), 50, &[&[200; 50]]),
    ];
    for (case, request, answers, expected) in cases {
        let mut tls = connect(&server, certs.path());
        // It may answer, and close, before it has read everything.
        let _ = tls.write_all(request.as_bytes());
        let found = statuses(&mut tls, answers);
        assert!(expected.contains(&&found[..]), "{case}: {found:?}");
    }
    wait_until("nothing is kept", || {
        ["reviews_arriving", "reviews_in_flight", "bytes_in_flight", "connections"]
            .iter()
            .all(|gauge| metric(&server, &format!("diyadm_{gauge}")) == 0)
    });
    assert_eq!(post(&server, certs.path(), review.as_bytes()).status, 200);
}

#[test]
fn slow_body_is_refused_in_time() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let mut slow = connect(&server, certs.path());
    slow.write_all(head(1 << 20).as_bytes()).unwrap();
    wait_until("it is refused", || {
        // The connection may be closed by now.
        let _ = slow.write_all(b" ");
        metric(&server, "diyadm_refused_total{code=\"408\"}") == 1
    });
    wait_until("it is closed", || {
        slow.write_all(b" ").is_err() || slow.read(&mut [0; 4096]).is_ok_and(|read| read == 0)
    });
    assert_eq!(in_flight(&server), 0);
    assert_eq!(post(&server, certs.path(), &bytes(|_| ())).status, 200);
}
