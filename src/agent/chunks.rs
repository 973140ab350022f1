//! Cuts content into chunks, the same on both sides.

use std::io::{self, Read};

use fastcdc::v2020::FastCDC;

use super::protocol::{
    Hash,
    transfer::{Chunk, Cut},
};

/// Bytes held at a time; some chunks of the longest.
const WINDOW: usize = 2 << 20;

/// Cuts what `from` gives into chunks, hands each with its offset and bytes to `each`, in order,
/// and returns length and hash of all of it. An error of `each` ends it.
///
/// `cut` must fit ([`Cut::fits`]); one that does not is an error.
pub fn cut(
    mut from: impl Read,
    cut: Cut,
    mut each: impl FnMut(u64, Chunk, &[u8]) -> io::Result<()>,
) -> io::Result<(u64, Hash)> {
    if !cut.fits() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "such chunks do not exist"));
    }
    let [min, avg, max] = [cut.min, cut.avg, cut.max].map(|size| size as usize);
    let mut whole = blake3::Hasher::new();
    let mut buffer = vec![0; WINDOW];
    let (mut filled, mut offset, mut ended) = (0, 0, false);
    loop {
        while filled < buffer.len() && !ended {
            match from.read(&mut buffer[filled..]) {
                Ok(0) => ended = true,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let mut done = 0;
        // Where less than the longest chunk is left a cut could be the window's, not the content's.
        for piece in FastCDC::new(&buffer[..filled], min, avg, max) {
            if !ended && filled - piece.offset < max {
                break;
            }
            let bytes = &buffer[piece.offset..piece.offset + piece.length];
            whole.update(bytes);
            let length = u32::try_from(piece.length).map_err(io::Error::other)?;
            each(offset, Chunk { hash: blake3::hash(bytes).into(), length }, bytes)?;
            offset += u64::from(length);
            done = piece.offset + piece.length;
        }
        if ended {
            return Ok((offset, whole.finalize().into()));
        }
        buffer.copy_within(done..filled, 0);
        filled -= done;
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
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn chunks_are_the_content_and_the_same_however_it_is_read(
            seed in any::<u64>(),
            length in 0_usize..(3 * WINDOW),
            zeros in vec((0_usize..(3 * WINDOW), 0_usize..300_000), 0..3),
            drip in 1000_usize..WINDOW,
        ) {
            let mut content = vec![0; length];
            blake3::Hasher::new_derive_key("test").update(&seed.to_le_bytes())
                .finalize_xof().fill(&mut content);
            for (from, count) in zeros {
                content.iter_mut().skip(from).take(count).for_each(|byte| *byte = 0);
            }
            let cut_it = |from: &mut dyn Read| {
                let (mut chunks, mut joined) = (Vec::new(), Vec::new());
                let all = cut(from, Cut::default(), |offset, chunk, bytes| {
                    let length = u32::try_from(bytes.len()).unwrap();
                    assert_eq!((offset, chunk.length), (joined.len() as u64, length));
                    assert_eq!(chunk.hash, Hash::from(blake3::hash(bytes)));
                    joined.extend_from_slice(bytes);
                    chunks.push(chunk);
                    Ok(())
                });
                assert!(joined == content);
                (all.unwrap(), chunks)
            };
            let whole = cut_it(&mut &content[..]);
            prop_assert_eq!(whole.0, (length as u64, Hash::from(blake3::hash(&content))));
            prop_assert!(whole == cut_it(&mut Drip(&content, drip)));
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
            assert!(cut(&b"x"[..], Cut { min, avg, max }, |_, _, _| Ok(())).is_err());
        }
    }
}
