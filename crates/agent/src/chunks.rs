//! Cuts content into chunks, the same way on both sides, and hashes them.

use std::io::{self, Read};

use fastcdc::v2020::FastCDC;

use super::protocol::{
    Hash,
    transfer::{Chunk, Cut},
};

/// Bytes in memory at a time: several chunks of the maximum length.
const WINDOW: usize = 2 << 20;

/// Files up to this length are hashed and sent whole: hashes of chunks would cost more than they
/// save.
pub const SMALL: u64 = 64 << 10;

/// Cuts the content of `from` into chunks and passes each with its offset and bytes to `each`, in
/// order. Returns the length and the hash of the whole content, which is the hash of the chunks'
/// hashes, so that no byte is hashed twice. An error of `each` ends it.
///
/// `each` may guess the next chunk. If the content has that chunk, its end need not be searched. A
/// guess must be a chunk that ended inside its file: the same bytes at the end of a file may
/// continue here.
///
/// `cut` must fit ([`Cut::fits`]); one that does not is an error.
pub fn cut(
    mut from: impl Read,
    cut: Cut,
    mut each: impl FnMut(u64, Chunk, &[u8]) -> io::Result<Option<Chunk>>,
) -> io::Result<(u64, Hash)> {
    if !cut.fits() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "unsupported chunk sizes"));
    }
    let longest = cut.max as usize;
    let mut whole = Whole::default();
    let mut buffer = vec![0; WINDOW];
    let (mut filled, mut offset, mut ended, mut guess) = (0, 0, false, None);
    loop {
        while filled < buffer.len() && !ended {
            match from.read(&mut buffer[filled..]) {
                Ok(0) => ended = true,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let mut rest = &buffer[..filled];
        // With less than a chunk of the maximum length left, a cut could be that of the window
        // instead of the content.
        while if ended { !rest.is_empty() } else { rest.len() >= longest } {
            let chunk = match guess.take().filter(|guess| is(rest, *guess)) {
                Some(guess) => guess,
                None => first(rest, cut)?,
            };
            let (bytes, others) = rest.split_at(chunk.length as usize);
            whole.add(&chunk);
            guess = each(offset, chunk, bytes)?;
            offset += u64::from(chunk.length);
            rest = others;
        }
        if ended {
            return Ok((offset, whole.hash()));
        }
        let left = rest.len();
        buffer.copy_within(filled - left..filled, 0);
        filled = left;
    }
}

/// Whether `bytes` begin with this chunk.
fn is(bytes: &[u8], chunk: Chunk) -> bool {
    let bytes = bytes.get(..chunk.length as usize);
    bytes.is_some_and(|bytes| Hash::from(blake3::hash(bytes)) == chunk.hash)
}

/// The chunk that `bytes` begin with.
fn first(bytes: &[u8], Cut { min, avg, max }: Cut) -> io::Result<Chunk> {
    let [min, avg, max] = [min, avg, max].map(|size| size as usize);
    let found = FastCDC::new(bytes, min, avg, max).next();
    let bytes = &bytes[..found.map_or(bytes.len(), |found| found.length)];
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    Ok(Chunk { hash: blake3::hash(bytes).into(), length })
}

/// The hash of a file in chunks, made of their names.
#[derive(Debug, Default)]
pub struct Whole(blake3::Hasher);

impl Whole {
    /// Adds this chunk.
    pub fn add(&mut self, Chunk { hash, length }: &Chunk) {
        self.0.update(&hash.0);
        self.0.update(&length.to_le_bytes());
    }

    /// The hash of all chunks so far.
    pub fn hash(&self) -> Hash {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// Gives a few bytes at a time, as a pipe may.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.0.len().min(self.1).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn chunks_join_to_the_content_for_any_read_size(
            seed in any::<u64>(),
            length in 0_usize..(3 * WINDOW),
            zeros in vec((0_usize..(3 * WINDOW), 0_usize..300_000), 0..3),
            drip in 1000_usize..WINDOW,
            wrong in any::<proptest::sample::Index>(),
        ) {
            let mut content = vec![0; length];
            blake3::Hasher::new_derive_key("test").update(&seed.to_le_bytes())
                .finalize_xof().fill(&mut content);
            for (from, count) in zeros {
                content.iter_mut().skip(from).take(count).for_each(|byte| *byte = 0);
            }
            let cut_it = |from: &mut dyn Read, guesses: &[Chunk]| {
                let (mut chunks, mut joined) = (Vec::new(), Vec::new());
                let mut guesses = guesses.iter();
                let all = cut(from, Cut::default(), |offset, chunk, bytes| {
                    let length = u32::try_from(bytes.len()).unwrap();
                    assert_eq!((offset, chunk.length), (joined.len() as u64, length));
                    assert_eq!(chunk.hash, Hash::from(blake3::hash(bytes)));
                    joined.extend_from_slice(bytes);
                    chunks.push(chunk);
                    Ok(guesses.next().copied())
                });
                assert!(joined == content);
                (all.unwrap(), chunks)
            };
            let whole = cut_it(&mut &content[..], &[]);
            let mut names = Whole::default();
            whole.1.iter().for_each(|chunk| names.add(chunk));
            prop_assert_eq!(whole.0, (length as u64, names.hash()));
            prop_assert!(whole == cut_it(&mut Drip(&content, drip), &[]));
            // Right guesses, and wrong ones from somewhere on.
            let mut guesses = whole.1.get(1..).unwrap_or_default().to_vec();
            guesses.pop();
            prop_assert!(whole == cut_it(&mut &content[..], &guesses));
            if !guesses.is_empty() {
                guesses.remove(wrong.index(guesses.len()));
                prop_assert!(whole == cut_it(&mut Drip(&content, drip), &guesses));
            }
            // In one go, as the crate itself does it: the window shows nowhere.
            let Cut { min, avg, max } = Cut::default();
            let plain = FastCDC::new(&content, min as usize, avg as usize, max as usize);
            let lengths = plain.map(|chunk| u32::try_from(chunk.length).unwrap());
            let ours: Vec<_> = whole.1.iter().map(|chunk| chunk.length).collect();
            prop_assert_eq!(lengths.collect::<Vec<_>>(), ours);
        }
    }

    #[test]
    fn impossible_chunks_are_an_error() {
        for (min, avg, max) in
            [(0, 256, 1024), (64, 255, 1024), (512, 256, 1024), (64, 256, 1 << 20), (65, 256, 1024)]
        {
            assert!(cut(&b"x"[..], Cut { min, avg, max }, |_, _, _| Ok(None)).is_err());
        }
    }
}
