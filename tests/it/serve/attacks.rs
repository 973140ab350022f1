//! What any Pod of a cluster can send to the webhook's server: each attack goes on until it is
//! stopped, with connections that it holds and opens anew. `cargo xtask bench attack` uses it too.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

/// No attack goes on for longer, whatever becomes of the one who started it.
const LONGEST: Duration = Duration::from_secs(120);

/// A peer that does not answer for so long is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Just under the server's limit of 7 MiB.
const BODY: usize = 6_990 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attack {
    /// Connections that say nothing.
    Silent,
    /// The first bytes of a TLS handshake.
    HalfHandshakes,
    /// TLS connections that say nothing.
    Idle,
    /// Half a request line.
    HalfHeads,
    /// Heads of requests without their bodies.
    Heads,
    /// Bodies of 6.99 MiB without their last byte.
    Bodies,
    /// Large answers that are not read.
    Unread,
    /// Whole reviews of 6.99 MiB, one after the other.
    Reviews,
    /// Requests for nothing, many at once.
    Junk,
    /// Handshakes one after the other.
    Handshakes,
}

impl Attack {
    pub(crate) const ALL: [Self; 10] = [
        Self::Silent,
        Self::HalfHandshakes,
        Self::Idle,
        Self::HalfHeads,
        Self::Heads,
        Self::Bodies,
        Self::Unread,
        Self::Reviews,
        Self::Junk,
        Self::Handshakes,
    ];

    /// Attacks `to` until `stop` is set, with so many connections that are held at a time.
    pub(crate) fn run(self, to: Peer, connections: usize, review: &[u8], stop: &AtomicBool) {
        let began = Instant::now();
        let mut held = VecDeque::new();
        while !stop.load(Relaxed) && began.elapsed() < LONGEST {
            // A server that refuses or closes is doing its work.
            if let Ok(connection) = self.begin(to, review, stop) {
                held.push_back(connection);
            }
            if held.len() > connections {
                held.pop_front();
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// One connection, left in the state that the server must bound.
    fn begin(self, to: Peer, review: &[u8], stop: &AtomicBool) -> io::Result<Connection> {
        let tcp = to.connect()?;
        match self {
            Self::Silent => return Ok(Connection::Tcp(tcp)),
            Self::HalfHandshakes => {
                let mut tcp = tcp;
                // A record of 512 bytes begins, and in it a ClientHello.
                tcp.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])?;
                return Ok(Connection::Tcp(tcp));
            }
            _ => {}
        }
        let mut tls = handshake(tcp)?;
        match self {
            Self::Silent | Self::HalfHandshakes | Self::Idle | Self::Handshakes => {}
            Self::HalfHeads => tls.write_all(b"POST /mutating-pods HT")?,
            Self::Heads => tls.write_all(head(BODY).as_bytes())?,
            Self::Bodies => {
                tls.write_all(head(BODY).as_bytes())?;
                write_blanks(&mut tls, BODY - 1)?;
            }
            Self::Unread => {
                let request = [head(review.len()).as_bytes(), review].concat();
                // The server stops reading once it cannot write.
                for _ in 0..4 {
                    tls.write_all(&request)?;
                }
                // Only answers are held: a server that refuses does not keep anything either.
                let mut begin = [0; 12];
                tls.read_exact(&mut begin)?;
                if begin != *b"HTTP/1.1 200" {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
            }
            Self::Reviews => {
                let mut answer = [0; 4096];
                while !stop.load(Relaxed) {
                    tls.write_all(head(BODY).as_bytes())?;
                    tls.write_all(review)?;
                    write_blanks(&mut tls, BODY - review.len())?;
                    // The end of a short answer comes with its beginning, mostly.
                    while tls.read(&mut answer)? == answer.len() {}
                }
            }
            Self::Junk => {
                let many = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(16);
                let mut answers = [0; 16 * 1024];
                while !stop.load(Relaxed) {
                    tls.write_all(many.as_bytes())?;
                    if tls.read(&mut answers)? == 0 {
                        break;
                    }
                }
            }
        }
        if self == Self::Handshakes {
            // Closed at once.
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(Connection::Tls(tls))
    }
}

/// A connection that is held.
enum Connection {
    Tcp(#[expect(dead_code, reason = "held")] TcpStream),
    Tls(#[expect(dead_code, reason = "held")] SslStream<TcpStream>),
}

/// Whom to attack, and as who.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) server: SocketAddr,
    /// An address of this machine: the whole of 127.0.0.0/8 is.
    pub(crate) from: Option<SocketAddr>,
}

impl Peer {
    /// A connection whose receive buffer is small, so that what is not read stays with the server.
    pub(crate) fn connect(self) -> io::Result<TcpStream> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_recv_buffer_size(&socket, 16 * 1024)?;
        if let Some(from) = self.from {
            bind(&socket, &from)?;
        }
        connect(&socket, &self.server)?;
        let tcp = TcpStream::from(socket);
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        Ok(tcp)
    }
}

fn handshake(tcp: TcpStream) -> io::Result<SslStream<TcpStream>> {
    let mut any = SslConnector::builder(SslMethod::tls_client())?;
    any.set_verify(SslVerifyMode::NONE);
    any.build().connect("diyadmissionwebhook.test.svc", tcp).map_err(io::Error::other)
}

fn head(length: usize) -> String {
    format!(
        "POST /mutating-pods HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

fn write_blanks(to: &mut impl Write, mut bytes: usize) -> io::Result<()> {
    let blanks = [b' '; 16 * 1024];
    while bytes > 0 {
        let piece = bytes.min(blanks.len());
        to.write_all(&blanks[..piece])?;
        bytes -= piece;
    }
    Ok(())
}
