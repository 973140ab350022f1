//! Attacks on a running server: a good client is served, readiness is true, and memory stays within
//! the limit of the Deployment.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    attacks::{Attack, Peer},
    client::{bytes, certificates, get, in_flight, metric, post, with_large_answer},
};
use crate::rig::{Net, Server, wait_until};

/// The memory limit of templates/webhook.yaml, KiB.
fn limit_kib() -> u64 {
    let objects = include_str!("../../../templates/webhook.yaml");
    let memory = objects.lines().skip_while(|line| line.trim() != "limits:").nth(1).unwrap();
    let mebibytes = memory.trim().strip_prefix("memory: ").unwrap().strip_suffix("Mi").unwrap();
    mebibytes.parse::<u64>().unwrap() * 1024
}

/// The most memory that the server has had, KiB.
fn peak_kib(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sees to it that this process may have a few thousand connections.
fn allow_connections() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// Attacks from some addresses of 127.0.0.0/8 at once, with so many connections each.
struct Attackers {
    from: &'static [u8],
    connections: usize,
}

impl Attackers {
    /// Does `during` while `attack` goes on.
    fn attack(&self, server: &Server, attack: Attack, during: impl FnOnce()) {
        let (stop, review) = (AtomicBool::new(false), with_large_answer());
        let address: SocketAddr = server.address.parse().unwrap();
        thread::scope(|scope| {
            for last in self.from {
                let from = Some(SocketAddr::from(([127, 0, 0, *last], 0)));
                let to = Peer { server: address, from };
                let (review, stop) = (&review, &stop);
                scope.spawn(move || attack.run(to, self.connections, review, stop));
            }
            let _stop = Stop(&stop);
            during();
        });
    }
}

/// Stops an attack, however the test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What holds in the middle of any attack.
fn is_served(server: &Server, folder: &Path) {
    for _ in 0..20 {
        assert_eq!(post(server, folder, &bytes(|_| ())).status, 200);
    }
    assert!(get(server, "/readyz").starts_with("HTTP/1.1 200"));
    let (peak, limit) = (peak_kib(server), limit_kib());
    assert!(peak < limit, "{peak} KiB of {limit} KiB");
}

#[test]
fn silent_connections_are_closed_for_new_ones() {
    allow_connections();
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &["--max-connections", "40"]);
    let attackers = Attackers { from: &[2, 3], connections: 60 };
    for attack in [Attack::Silent, Attack::HalfHandshakes, Attack::Idle, Attack::HalfHeads] {
        let gave_way = "diyadm_connections_closed_total{reason=\"gave_way\"}";
        let before = metric(&server, gave_way);
        attackers.attack(&server, attack, || {
            wait_until("there are too many", || metric(&server, gave_way) > before);
            is_served(&server, certs.path());
            // A quarter more, while those that give way are being closed.
            assert!(metric(&server, "diyadm_connections") <= 51);
        });
    }
}

#[test]
fn awaited_bodies_take_no_review_slot() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &["--max-in-flight", "4"]);
    let attackers = Attackers { from: &[2], connections: 256 };
    attackers.attack(&server, Attack::Heads, || {
        wait_until("more bodies are awaited than there are places", || {
            metric(&server, "diyadm_reviews_arriving") > 4
        });
        assert_eq!(in_flight(&server), 0);
        is_served(&server, certs.path());
    });
    assert_eq!(metric(&server, "diyadm_refused_total{code=\"503\"}"), 0);
}

#[test]
fn bodies_are_bounded_in_bytes() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let attackers = Attackers { from: &[2, 3, 4], connections: 256 };
    attackers.attack(&server, Attack::Bodies, || {
        let refused = || metric(&server, "diyadm_refused_total{code=\"503\"}");
        wait_until("there is no more room", || refused() > 0);
        is_served(&server, certs.path());
        // A large review of the good client takes the room of an attacker's.
        let mut large = bytes(|_| ());
        large.resize(7 * 1024 * 1024, b' ');
        assert_eq!(post(&server, certs.path(), &large).status, 200);
        assert!(peak_kib(&server) < limit_kib());
    });
    wait_until("all is given back", || metric(&server, "diyadm_bytes_in_flight") == 0);
}

#[test]
fn unread_answers_are_closed_for_others_and_time_out() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &["--max-in-flight", "32"]);
    let attackers = Attackers { from: &[2], connections: 300 };
    attackers.attack(&server, Attack::Unread, || {
        wait_until("every place is taken", || in_flight(&server) >= 32);
        is_served(&server, certs.path());
        let timed_out = "diyadm_connections_closed_total{reason=\"timed_out\"}";
        wait_until("the first is closed", || metric(&server, timed_out) > 0);
        is_served(&server, certs.path());
    });
    wait_until("all is given back", || in_flight(&server) == 0);
}

#[test]
fn floods_of_requests_leave_room_for_others() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let attackers = Attackers { from: &[2, 2, 3, 3], connections: 1 };
    for attack in [Attack::Reviews, Attack::Junk, Attack::Handshakes] {
        attackers.attack(&server, attack, || is_served(&server, certs.path()));
    }
}

#[test]
fn health_is_served_while_its_port_is_attacked() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let stop = AtomicBool::new(false);
    let to = Peer {
        server: server.health.parse().unwrap(),
        from: Some(SocketAddr::from(([127, 0, 0, 2], 0))),
    };
    for attack in [Attack::Silent, Attack::HalfHandshakes] {
        thread::scope(|scope| {
            scope.spawn(|| attack.run(to, 300, b"", &stop));
            let _stop = Stop(&stop);
            for _ in 0..50 {
                assert!(get(&server, "/readyz").starts_with("HTTP/1.1 200"));
                assert!(get(&server, "/metrics").contains("diyadm_connections"));
            }
            is_served(&server, certs.path());
        });
        stop.store(false, Ordering::Relaxed);
    }
}

/// Every attack at once, each from a Pod of its own.
#[test]
fn attacks_from_several_pods_keep_nobody_out() {
    let nets: Option<Vec<_>> = Attack::ALL.iter().map(|_| Net::new()).collect();
    let nets = require!(nets);
    allow_connections();
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start_everywhere(certs.path());
    let port = server.address.parse::<SocketAddr>().unwrap().port();
    let (stop, review) = (AtomicBool::new(false), with_large_answer());
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for (net, attack) in nets.iter().zip(Attack::ALL) {
            let (stop, review) = (&stop, &review);
            scope.spawn(move || {
                net.enter();
                let to = Peer { server: SocketAddr::new(net.gateway(), port), from: None };
                attack.run(to, 400, review, stop);
            });
        }
        for gauge in ["connections", "reviews_arriving", "bytes_in_flight", "reviews_in_flight"] {
            wait_until(gauge, || metric(&server, &format!("diyadm_{gauge}")) > 0);
        }
        for _ in 0..10 {
            is_served(&server, certs.path());
        }
    });
    wait_until("all is given back", || {
        in_flight(&server) == 0 && metric(&server, "diyadm_bytes_in_flight") == 0
    });
}
