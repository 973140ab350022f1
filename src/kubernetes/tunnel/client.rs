//! Whether the client of a connection over loopback is still there.
//!
//! A client that has stopped sending and one that has closed its connection look the same to the
//! other end: both send a FIN. The system's list of sockets distinguishes them, as a closed socket
//! belongs to no process.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::{task::spawn_blocking, time::sleep};

use super::PING;

/// A closing client releases its socket shortly after the FIN.
const FIRST: Duration = Duration::from_millis(5);

/// Waits until the client has closed its connection. `here` and `peer` are the addresses of both
/// ends. Waits for ever if the system does not tell.
pub(super) async fn closed(here: io::Result<SocketAddr>, peer: io::Result<SocketAddr>) {
    let (Ok(here), Ok(peer)) = (here, peer) else { return };
    let pauses = ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(PING);
    for pause in pauses.without_max_times().build() {
        sleep(pause).await;
        if matches!(spawn_blocking(move || is_open(here, peer)).await, Ok(Some(false))) {
            return;
        }
    }
}

/// Whether a process owns the socket at `peer` that is connected to `here`; `None` if unknown.
fn is_open(here: SocketAddr, peer: SocketAddr) -> Option<bool> {
    if !peer.ip().is_loopback() {
        return None;
    }
    let list = fs::read_to_string(if peer.is_ipv4() { IPV4 } else { IPV6 }).ok()?;
    let found = has_process(&list, &[shown(peer), shown(here)]);
    // A program may use IPv4 through an IPv6 socket, as Java does.
    let mapped = || {
        let list = fs::read_to_string(IPV6).unwrap_or_default();
        has_process(&list, &[peer, here].map(|end| shown(mapped(end))))
    };
    Some(found.or_else(mapped).unwrap_or(false))
}

const IPV4: &str = "/proc/net/tcp";
const IPV6: &str = "/proc/net/tcp6";

/// Whether the socket between these ends has a process; `None` if there is no such socket.
fn has_process(list: &str, ends: &[String; 2]) -> Option<bool> {
    list.lines().find_map(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        (words.len() > INODE && words[1..3] == ends[..]).then(|| words[INODE] != "0")
    })
}

/// Index of the socket's inode on a line; the inode is 0 without a process.
const INODE: usize = 9;

/// `::ffff:127.0.0.1` for `127.0.0.1`.
fn mapped(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    (ip, address.port()).into()
}

/// An address in the format of proc_net(5): words in the machine's byte order.
fn shown(address: SocketAddr) -> String {
    let bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes.chunks_exact(4).map(|word| {
        let word = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
        format!("{word:08X}")
    });
    format!("{}:{:04X}", words.collect::<String>(), address.port())
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn client_with_a_closed_write_side_stays_connected() {
        let (v4, v6) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
        let through_v6 = IpAddr::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        for (listens, connects) in [(v4, v4), (v6, v6), (v4, through_v6)] {
            // No IPv6 here.
            let Ok(listener) = TcpListener::bind((listens, 0)) else { continue };
            let port = listener.local_addr().unwrap().port();
            let Ok(client) = TcpStream::connect((connects, port)) else { continue };
            let (mut stream, peer) = listener.accept().unwrap();
            let here = stream.local_addr().unwrap();
            let mut end = || stream.read(&mut [0]).unwrap();
            assert_eq!(is_open(here, peer), Some(true));
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(end(), 0);
            assert_eq!(is_open(here, peer), Some(true), "it may wait for an answer");
            drop(client);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(closed(Ok(here), Ok(peer)));
            assert_eq!(is_open(here, peer), Some(false));
            let elsewhere = (Ipv4Addr::new(192, 0, 2, 1), 80).into();
            assert_eq!(is_open(here, elsewhere), None);
        }
    }
}
