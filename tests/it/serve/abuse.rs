//! Hostile and broken clients, bounded and on loopback: others are served meanwhile, and nothing is
//! left afterwards.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    thread,
};

use openssl::ssl::{SslAcceptor, SslMethod, SslOptions, SslVersion};

use super::client::{
    HOST, arriving, bytes, certificates, connect, connector, get, head, in_flight, metric, post,
    read, tcp,
};
use crate::rig::{Server, wait_until};

#[test]
fn endless_requests_are_cut_off() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let start = "POST /mutating-pods HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut endless = connect(&server, certs.path());
            write!(endless, "{start}Transfer-Encoding: chunked\r\n\r\n").unwrap();
            let cap = 7 * 1024 * 1024;
            write!(endless, "{cap:x}\r\n{}\r\n", " ".repeat(cap)).unwrap();
            endless.write_all(b"1\r\n \r\n").unwrap();
            let answer = read(&mut endless).unwrap();
            assert_eq!((answer.status, answer.closes()), (413, true));
            // It goes on all the same, until the server has had enough.
            wait_until("it is closed", || endless.write_all(b"1\r\n \r\n").is_err());
        });
        scope.spawn(|| {
            let mut stalled = connect(&server, certs.path());
            stalled.write_all(format!("{}{{", head(100)).as_bytes()).unwrap();
            let answer = read(&mut stalled).unwrap();
            assert_eq!((answer.status, answer.closes()), (408, true));
            assert_eq!(answer.body["kind"], "Status");
        });
        scope.spawn(|| {
            let mut slow = connect(&server, certs.path());
            slow.write_all(start.as_bytes()).unwrap();
            assert_eq!(read(&mut slow).unwrap().status, 408);
            assert!(read(&mut slow).is_none(), "closed");
        });
        scope.spawn(|| {
            let mut mute = tcp(&server);
            assert_eq!(mute.read(&mut [0]).unwrap_or(0), 0, "closed without a handshake");
        });
        // Others are served meanwhile.
        assert_eq!(post(&server, certs.path(), &bytes(|_| ())).status, 200);
    });
    assert_eq!(metric(&server, "diyadm_refused_total{code=\"413\"}"), 1);
    assert_eq!(metric(&server, "diyadm_refused_total{code=\"408\"}"), 1, "the head's is actix's");
}

#[test]
fn old_tls_and_plain_http_are_refused() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    // OpenSSL 3 offers nothing before 1.2 at its usual security level, 1.
    let client = |version| {
        let mut old = connector(certs.path());
        old.set_cipher_list("DEFAULT@SECLEVEL=0").unwrap();
        old.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
        old.set_max_proto_version(Some(version)).unwrap();
        old.build()
    };
    for version in [SslVersion::TLS1, SslVersion::TLS1_1] {
        let error = client(version).connect(HOST, tcp(&server)).unwrap_err().to_string();
        assert!(error.contains("alert protocol version"), "the server's own word: {error}");
        // The same client, at a server that takes it.
        let stand = permissive(certs.path());
        let tls = client(version).connect(HOST, stand).unwrap();
        assert_eq!(tls.ssl().version2(), Some(version));
    }
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let tls = client(version).connect(HOST, tcp(&server)).unwrap();
        assert_eq!(tls.ssl().version2(), Some(version));
    }

    let mut plain = tcp(&server);
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(post(&server, certs.path(), &bytes(|_| ())).status, 200);
}

/// One connection to a server of the test's own that takes any TLS.
fn permissive(folder: &Path) -> std::net::TcpStream {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_cipher_list("DEFAULT@SECLEVEL=0").unwrap();
    acceptor.clear_options(SslOptions::NO_TLSV1 | SslOptions::NO_TLSV1_1);
    acceptor.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
    let pem = openssl::ssl::SslFiletype::PEM;
    acceptor.set_certificate_file(folder.join("server.crt"), pem).unwrap();
    acceptor.set_private_key_file(folder.join("server.key"), pem).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || acceptor.build().accept(listener.accept().unwrap().0).map(drop));
    std::net::TcpStream::connect(address).unwrap()
}

#[test]
fn silent_connections_keep_no_client_out() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &["--workers", "1"]);
    // More than actix would let shake hands at a time.
    let mute: Vec<_> = (0..600).map(|_| tcp(&server)).collect();
    assert_eq!(post(&server, certs.path(), &bytes(|_| ())).status, 200);
    // Served before them, and not once the time for their handshakes was over.
    let first = &mute[0];
    first.set_nonblocking(true).unwrap();
    let found = first.peek(&mut [0]).map_err(|error| error.kind());
    assert_eq!(found, Err(std::io::ErrorKind::WouldBlock), "not closed yet");
}

#[test]
fn five_hundred_at_once_are_answered_and_leave_nothing() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    assert_eq!(post(&server, certs.path(), &bytes(|_| ())).status, 200);
    let before = files(&server);
    let mut resident = Vec::new();
    for _ in 0..3 {
        crowd(&server, certs.path());
        wait_until("everything is given back", || {
            in_flight(&server) == 0 && files(&server) <= before
        });
        resident.push(resident_kib(&server));
    }
    // The first crowd's memory is kept for the next one; it must not grow with each.
    assert!(resident[2] < resident[0] + 8 * 1024, "KiB after each crowd: {resident:?}");
    assert_eq!(post(&server, certs.path(), &bytes(|_| ())).status, 200);
    assert!(get(&server, "/readyz").starts_with("HTTP/1.1 200"));
}

/// 500 reviews at once, of which each is begun before any is finished, among clients that say
/// nothing, speak no TLS, or go away.
fn crowd(server: &Server, folder: &Path) {
    let body = bytes(|r| r["x"] = "x".repeat(14 * 1024).into());
    let (first, last) = body.split_at(1024);
    let mute: Vec<_> = (0..100).map(|_| tcp(server)).collect();
    for _ in 0..50 {
        tcp(server).write_all(b"POST /mutating-pods HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut gone = connect(server, folder);
        gone.write_all(head(body.len()).as_bytes()).unwrap();
        gone.write_all(first).unwrap();
    }
    wait_until("those who went away are forgotten", || arriving(server) == 0);

    // Connected first, and each with a request behind it, for then no time-out of a first head
    // runs: what is begun below is begun at once.
    let connector = connector(folder).build();
    let known = || {
        let mut tls = connector.connect(HOST, tcp(server)).unwrap();
        tls.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(read(&mut tls).unwrap().status, 404);
        tls
    };
    let mut crowd: Vec<_> = thread::scope(|scope| {
        let part = || scope.spawn(|| (0..50).map(|_| known()).collect::<Vec<_>>());
        let parts: Vec<_> = (0..10).map(|_| part()).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    let before = metric(server, "diyadm_refused_total{code=\"408\"}");
    let begin = [head(body.len()).as_bytes(), first].concat();
    for tls in &mut crowd {
        tls.write_all(&begin).unwrap();
    }
    let timed_out = || metric(server, "diyadm_refused_total{code=\"408\"}") - before;
    wait_until("500 have come", || arriving(server) + timed_out() >= 500);
    for mut tls in crowd {
        let _ = tls.write_all(last);
        // On a slow machine the time for the last bodies is over by now.
        let status = read(&mut tls).expect("an answer for each").status;
        assert!([200, 408].contains(&status), "{status}");
    }
    drop(mute);
}

fn files(server: &Server) -> u64 {
    metric(server, "process_open_fds")
}

fn resident_kib(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
