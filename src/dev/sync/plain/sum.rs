//! Checksums that a container's own tools can compute of received data.

use openssl::sha::Sha256;

use diyadm_agent::protocol::hex;

/// The polynomial of POSIX's `cksum`.
const POLYNOMIAL: u32 = 0x04c1_1db7;

/// Which tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Sha256,
    /// A CRC with the length: detects lost data, not malicious changes.
    Cksum,
}

impl Tool {
    /// Its command.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256sum",
            Self::Cksum => "cksum",
        }
    }

    /// The checksum of empty input.
    pub(super) fn begin(self) -> Sum {
        match self {
            Self::Sha256 => Sum::Sha256(Box::new(Sha256::new())),
            Self::Cksum => Sum::Cksum { crc: 0, length: 0 },
        }
    }

    /// Of this.
    pub(super) fn checksum(self, bytes: &[u8]) -> String {
        let mut sum = self.begin();
        sum.update(bytes);
        sum.end()
    }
}

/// A running checksum.
pub(super) enum Sum {
    Sha256(Box<Sha256>),
    Cksum { crc: u32, length: u64 },
}

impl Sum {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Cksum { crc, length } => {
                bytes.iter().for_each(|byte| step(crc, *byte));
                *length += bytes.len() as u64;
            }
        }
    }

    /// Its text as printed by the tool, without the file's name.
    pub(super) fn end(self) -> String {
        match self {
            Self::Sha256(hash) => hex(&hash.finish()),
            Self::Cksum { mut crc, length } => {
                let bytes = length.to_le_bytes();
                let used = 8 - length.leading_zeros() as usize / 8;
                bytes[..used].iter().for_each(|byte| step(&mut crc, *byte));
                format!("{} {length}", !crc)
            }
        }
    }
}

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at: u32 = 0;
    while at < 256 {
        let mut value = at << 24;
        let mut bit = 0;
        while bit < 8 {
            value = if value >> 31 == 1 { value << 1 ^ POLYNOMIAL } else { value << 1 };
            bit += 1;
        }
        table[at as usize] = value;
        at += 1;
    }
    table
}

fn step(crc: &mut u32, byte: u8) {
    *crc = *crc << 8 ^ TABLE[(*crc >> 24) as usize ^ usize::from(byte)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_match_the_output_of_the_tools() {
        // `printf 123456789 | cksum`, and of nothing.
        assert_eq!(Tool::Cksum.checksum(b"123456789"), "930766865 9");
        assert_eq!(Tool::Cksum.checksum(b""), "4294967295 0");
        assert_eq!(Tool::Cksum.checksum(&vec![0; 70_000]), "1774371287 70000");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Tool::Sha256.checksum(b""), empty);
    }
}
