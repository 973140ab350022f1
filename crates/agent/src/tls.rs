//! Checks whether a server speaks TLS: it gets a ClientHello and has to answer with a ServerHello.
//!
//! No keys are exchanged and nothing is decrypted, so the content of the connection is not checked.
//! A TLS library would make the program half as large again.

use std::io::{self, Read, Write};

use anyhow::{Context, Result, ensure};
use rustix::rand::{GetRandomFlags, getrandom};

/// The content type of records with handshake messages, RFC 8446, section 5.1.
const HANDSHAKE: u8 = 22;
/// The content type of records with an alert.
const ALERT: u8 = 21;
/// Handshake messages, RFC 8446, section 4.
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// TLS 1.2, the version in the records of TLS 1.3 as well.
const VERSION: [u8; 2] = [3, 3];
/// Bytes of a record's header plus the type of its message.
const HEAD: usize = 6;

/// Cipher suites of TLS 1.3, then those of TLS 1.2 with ECDHE that are not known to be weak, then
/// RSA with AES, which old servers have.
const SUITES: [u16; 14] = [
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
    0x009d, 0x002f,
];
/// x25519 and the curves of NIST.
const GROUPS: [u16; 4] = [0x001d, 0x0017, 0x0018, 0x0019];
/// Signatures by ECDSA, RSA-PSS, Ed25519 and RSA.
const SIGNATURES: [u16; 11] =
    [0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0401, 0x0501, 0x0601, 0x0201];

/// Succeeds if the server answers the ClientHello.
pub(super) fn greet(mut stream: impl Read + Write) -> Result<()> {
    stream.write_all(&client_hello()?).context("TLS")?;
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).context("the server does not speak TLS")?;
    ensure!(head[0] != ALERT, "the server refused the TLS handshake");
    let is_hello = head[0] == HANDSHAKE && head[1] == VERSION[0] && head[5] == SERVER_HELLO;
    ensure!(is_hello, "the server does not speak TLS 1.2 or newer");
    Ok(())
}

/// A record with the message. It has no key share: a TLS 1.3 server answers with the group that it
/// prefers, also in a ServerHello.
fn client_hello() -> io::Result<Vec<u8>> {
    let mut random = [0; 32];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let extension = |number: u16, content: Vec<u8>| {
        [number.to_be_bytes().to_vec(), counted::<2>(&content)].concat()
    };
    let extensions = [
        extension(10, counted::<2>(&numbers(&GROUPS))),
        // Uncompressed points.
        extension(11, counted::<1>(&[0])),
        extension(13, counted::<2>(&numbers(&SIGNATURES))),
        // TLS 1.3 and 1.2.
        extension(43, counted::<1>(&numbers(&[0x0304, 0x0303]))),
        extension(51, counted::<2>(&[])),
    ];
    let body = [
        &VERSION[..],
        &random,
        // No session to resume.
        &counted::<1>(&[]),
        &counted::<2>(&numbers(&SUITES)),
        // No compression.
        &counted::<1>(&[0]),
        &counted::<2>(&extensions.concat()),
    ];
    let message = [&[CLIENT_HELLO][..], &counted::<3>(&body.concat())].concat();
    Ok([&[HANDSHAKE][..], &[3, 1], &counted::<2>(&message)].concat())
}

fn numbers(of: &[u16]) -> Vec<u8> {
    of.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// `content` after its length in `N` bytes.
fn counted<const N: usize>(content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    [&length[length.len() - N..], content].concat()
}
