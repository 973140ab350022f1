//! Writes zeros as holes, so that a file that is mostly empty takes no more of the disk there than
//! here.

use std::{fs::File, io, os::unix::fs::FileExt};

use rustix::fs::{FallocateFlags, fallocate};

/// What file systems have holes of.
const BLOCK: usize = 4096;
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Writes all of `bytes` at `at`. Nothing was written from `fresh` on, so that skipped ranges
/// become holes.
pub(super) fn write_all_at(file: &File, bytes: &[u8], at: u64, fresh: u64) -> io::Result<()> {
    let (mut rest, mut at) = (bytes, at);
    while !rest.is_empty() {
        let (run, zeros) = leading_run(rest, at, fresh);
        let (these, others) = rest.split_at(run);
        if !zeros {
            file.write_all_at(these, at)?;
        } else if at < fresh {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            if fallocate(file, flags, at, run as u64).is_err() {
                // Not every file system supports it.
                file.write_all_at(these, at)?;
            }
        }
        at += run as u64;
        rest = others;
    }
    Ok(())
}

/// How many leading bytes are of one kind (zeros or data), and which. Zeros are counted in whole
/// blocks.
fn leading_run(bytes: &[u8], at: u64, fresh: u64) -> (usize, bool) {
    let (mut end, mut zeros) = (0, false);
    while end < bytes.len() {
        let here = at + end as u64;
        let past = usize::try_from(here % BLOCK as u64).unwrap_or_default();
        let next = bytes.len().min(end + BLOCK - past);
        let length = next - end;
        let hole = bytes[end..next] == ZEROS[..length] && (length == BLOCK || here >= fresh);
        if end > 0 && hole != zeros {
            break;
        }
        (end, zeros) = (next, hole);
    }
    (end, zeros)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn sparse_file_has_the_written_content(
            old in vec(any::<bool>(), 0..6),
            pieces in vec((any::<bool>(), 1_usize..9000), 1..6),
            at in 0_u64..9000,
        ) {
            let file = tempfile::tempfile().unwrap();
            let mut expected: Vec<u8> =
                old.iter().flat_map(|noise| vec![if *noise { 7 } else { 0 }; 3000]).collect();
            file.write_all_at(&expected, 0).unwrap();
            let fresh = expected.len() as u64;
            let bytes: Vec<u8> =
                pieces.iter().flat_map(|(zeros, length)| vec![if *zeros { 0 } else { 9 }; *length])
                    .collect();
            let at = at.min(fresh);
            write_all_at(&file, &bytes, at, fresh).unwrap();
            let start = usize::try_from(at).unwrap();
            let end = start + bytes.len();
            expected.resize(expected.len().max(end), 0);
            expected[start..end].copy_from_slice(&bytes);
            file.set_len(expected.len() as u64).unwrap();
            let mut read = vec![1; expected.len()];
            file.read_exact_at(&mut read, 0).unwrap();
            prop_assert!(read == expected);
        }
    }

    #[test]
    fn zeros_are_stored_as_holes() {
        let file = tempfile::tempfile().unwrap();
        let long = [vec![0; 1 << 20], vec![1; 10], vec![0; 1 << 20]].concat();
        write_all_at(&file, &long, 5, 0).unwrap();
        file.set_len(5 + long.len() as u64).unwrap();
        assert!(file.metadata().unwrap().blocks() * 512 <= 4 * BLOCK as u64);
        // Nor does what takes the place of something else.
        write_all_at(&file, &vec![1; 1 << 20], 0, 0).unwrap();
        write_all_at(&file, &vec![0; 1 << 20], 0, 1 << 20).unwrap();
        assert!(file.metadata().unwrap().blocks() * 512 <= 4 * BLOCK as u64);
    }
}
