//! Messages about a file's content: its chunks, the needed ones, and their bytes.

use super::{
    super::{
        Hash,
        frame::{Broken, FrameKind, append},
    },
    MOST_CHUNK,
};

/// A chunk's record: its hash and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chunk {
    /// blake3 of its bytes.
    pub hash: Hash,
    /// Its length, 1 to [`MOST_CHUNK`].
    pub length: u32,
}

const RECORD: usize = 36;

/// Records of some of a file's chunks, in order. As a payload: the step as a little-endian u32,
/// then 36 bytes each, the hash and the length as a little-endian u32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// The step.
    pub id: u32,
    /// At most [`Hashes::MOST`].
    pub chunks: Vec<Chunk>,
}

impl Hashes {
    /// Maximum number of records in a frame.
    pub const MOST: usize = 16 << 10;

    /// Appends all `chunks` to `out`, in as many frames as needed.
    pub fn append(out: &mut Vec<u8>, id: u32, chunks: &[Chunk]) {
        for some in chunks.chunks(Self::MOST) {
            let mut records = Vec::with_capacity(some.len() * RECORD);
            for Chunk { hash, length } in some {
                records.extend(hash.0);
                records.extend(length.to_le_bytes());
            }
            append(out, FrameKind::Hashes, &[&id.to_le_bytes(), &records]);
        }
    }

    /// Reads the payload of a [`FrameKind::Hashes`].
    pub fn parse(payload: &[u8]) -> Result<Self, Broken> {
        let (id, records) = split_id(payload)?;
        let (records, rest) = records.as_chunks::<RECORD>();
        if !rest.is_empty() || records.len() > Self::MOST {
            return Err(Broken::Content("a list of hashes has a wrong length".to_owned()));
        }
        let chunks = records.iter().map(|[hash @ .., a, b, c, d]| {
            let length = u32::from_le_bytes([*a, *b, *c, *d]);
            Chunk { hash: Hash(*hash), length }
        });
        let chunks: Vec<_> = chunks.collect();
        if chunks.iter().any(|chunk| chunk.length == 0 || chunk.length > MOST_CHUNK) {
            return Err(Broken::Content("a chunk has an impossible length".to_owned()));
        }
        Ok(Self { id, chunks })
    }
}

/// The chunks of a file that the agent lacks. As a payload: the step as a little-endian u32, then a
/// bit for each chunk, the lowest of the first byte for the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The step.
    pub id: u32,
    /// A bit for each chunk, with up to 7 zero bits at the end.
    pub bits: Vec<u8>,
}

impl Need {
    /// From one bool for each chunk.
    pub fn new(id: u32, needed: impl Iterator<Item = bool>) -> Self {
        let mut bits = Vec::new();
        for (index, needed) in needed.enumerate() {
            if index % 8 == 0 {
                bits.push(0);
            }
            bits[index / 8] |= u8::from(needed) << (index % 8);
        }
        Self { id, bits }
    }

    /// The indexes of the needed chunks, in ascending order.
    pub fn indices(&self) -> impl Iterator<Item = usize> {
        let bits = self.bits.iter().enumerate();
        bits.flat_map(|(at, byte)| {
            (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| at * 8 + bit)
        })
    }

    /// Appends it as a frame.
    pub fn append(&self, out: &mut Vec<u8>) {
        append(out, FrameKind::Need, &[&self.id.to_le_bytes(), &self.bits]);
    }

    /// Reads the payload of a [`FrameKind::Need`].
    pub fn parse(payload: &[u8]) -> Result<Self, Broken> {
        let (id, bits) = split_id(payload)?;
        Ok(Self { id, bits: bits.to_vec() })
    }
}

/// A chunk's content. As a payload: the step and the index as little-endian u32, a byte that is
/// 1 for zstd and 0 for plain, then the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// The step.
    pub id: u32,
    /// Index of the chunk in the file.
    pub index: u32,
    /// Whether `bytes` is one zstd frame.
    pub zstd: bool,
    /// The content.
    pub bytes: &'a [u8],
}

impl<'a> Data<'a> {
    /// Appends it as a frame.
    pub fn append(&self, out: &mut Vec<u8>) {
        let Self { id, index, zstd, bytes } = self;
        let parts: [&[u8]; 4] =
            [&id.to_le_bytes(), &index.to_le_bytes(), &[u8::from(*zstd)], bytes];
        append(out, FrameKind::Data, &parts);
    }

    /// Reads the payload of a [`FrameKind::Data`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, Broken> {
        let (id, rest) = split_id(payload)?;
        let (index, rest) = split_id(rest)?;
        match rest {
            [zstd @ (0 | 1), bytes @ ..] => Ok(Self { id, index, zstd: *zstd == 1, bytes }),
            _ => Err(Broken::Content("data in an unknown coding".to_owned())),
        }
    }
}

fn split_id(payload: &[u8]) -> Result<(u32, &[u8]), Broken> {
    let split = payload.split_first_chunk().map(|(id, rest)| (u32::from_le_bytes(*id), rest));
    split.ok_or_else(|| Broken::Content("a payload is too short for its kind".to_owned()))
}
