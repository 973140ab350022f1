//! How the server ends, step by step, whatever time it takes.

use std::{io::Write, net::TcpStream};

use super::client::{arriving, bytes, certificates, connect, get, head, post, read};
use crate::rig::{Server, wait_until};

fn ready(server: &Server) -> bool {
    get(server, "/readyz").starts_with("HTTP/1.1 200")
}

#[test]
fn sigterm_drains_the_server() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &["--drain", "6"]);
    assert!(ready(&server) && get(&server, "/healthz").starts_with("HTTP/1.1 200"));
    let body = bytes(|_| ());
    let ask = |tls: &mut openssl::ssl::SslStream<TcpStream>| {
        tls.write_all(head(body.len()).as_bytes()).unwrap();
        tls.write_all(&body).unwrap();
        read(tls).unwrap()
    };
    let mut kept = connect(&server, certs.path());
    assert!(!ask(&mut kept).closes(), "kept alive");
    let mut idle = connect(&server, certs.path());
    assert!(!ask(&mut idle).closes(), "kept alive");
    let mut long = connect(&server, certs.path());
    assert!(!ask(&mut long).closes(), "kept alive");

    server.signal();
    wait_until("it is not ready any more", || !ready(&server));
    // Alive all the same, and whoever has not heard yet is served, and sent elsewhere.
    assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200"));
    let answer = ask(&mut kept);
    assert_eq!((answer.status, answer.closes()), (200, true));
    assert!(read(&mut kept).is_none(), "closed by the server");
    let answer = post(&server, certs.path(), &body);
    assert_eq!((answer.status, answer.closes()), (200, true), "a new connection");
    long.write_all(head(body.len()).as_bytes()).unwrap();
    wait_until("the body of the long one is awaited", || arriving(&server) == 1);

    wait_until("nobody listens any more", || TcpStream::connect(&server.address).is_err());
    // Only now does what is in flight end, and readiness is still told.
    assert!(!ready(&server));
    assert_eq!(arriving(&server), 1);
    assert!(read(&mut idle).is_none(), "an idle connection is closed");
    long.write_all(&body).unwrap();
    let answer = read(&mut long).unwrap();
    assert_eq!((answer.status, answer.closes()), (200, true));
    let (code, log) = server.ended();
    assert_eq!(code, Some(0));
    let told: Vec<_> = ["\"draining\"", "\"done\""]
        .iter()
        .map(|word| log.iter().position(|line| line.contains(word)).unwrap())
        .collect();
    assert!(told[0] < told[1], "{log:?}");
}

#[test]
fn second_sigterm_ends_the_server_at_once() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &["--drain", "100000"]);
    server.signal();
    wait_until("it drains", || !ready(&server));
    server.signal();
    assert_eq!(server.ended().0, Some(130));
}
