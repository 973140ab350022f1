//! Unguessable names for files in folders that other users can write to.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

use super::protocol::hex;

/// 16 hexadecimal digits.
pub(super) fn unguessable() -> io::Result<String> {
    let mut random = [0; 8];
    let got = getrandom(&mut random, GetRandomFlags::empty())?;
    if got < random.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(hex(&random))
}
