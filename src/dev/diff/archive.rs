//! The entries of a jar or another zip archive, from the directory at its end.

use std::{cell::Cell, collections::BTreeMap, io};

use rawzip::{RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipLocator};

use crate::dev::{sync::Open, trouble::Trouble, wire::Conversation};
use diyadm_agent::protocol::transfer::{MOST_CHUNK, What};

/// CRC-32 and length of each file in an archive, by its path.
pub(super) type Entries = BTreeMap<String, (u32, u64)>;

/// Bytes at the end of an archive to fetch first: its end record, and the directory of a small one.
const END: u64 = 128 << 10;
/// Maximum number of bytes to fetch: the directory of about half a million entries.
const MOST: u64 = 64 << 20;

/// The files in an archive of `size` bytes.
///
/// # Errors
/// It is no archive, or a read failed.
pub(super) fn entries(reader: &impl ReaderAt, size: u64) -> Result<Entries, rawzip::Error> {
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipLocator::new().locate_in_reader(reader, &mut buffer, size);
    let archive = archive.map_err(|(_, error)| error)?;
    let (mut found, mut entries) = (Entries::new(), archive.entries(&mut buffer));
    while let Some(entry) = entries.next_entry()? {
        if !entry.is_dir() {
            let path = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
            found.insert(path, (entry.crc32(), entry.uncompressed_size_hint()));
        }
    }
    Ok(found)
}

/// The end of a file.
struct Tail {
    /// The bytes from `begin` to the end.
    bytes: Vec<u8>,
    begin: u64,
    /// The lowest offset that was asked for.
    needed: Cell<u64>,
}

impl ReaderAt for Tail {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.needed.set(self.needed.get().min(offset));
        let missing = || io::Error::other("this part was not fetched");
        let offset = offset.checked_sub(self.begin).ok_or_else(missing)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..));
        let rest = rest.unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// The files in the archive that is open in a container; `None` if it is none, or if the agent is of
/// an earlier version.
pub(super) async fn remote(
    open: &mut Open,
    talk: &mut Conversation,
) -> Result<Option<Entries>, Trouble> {
    let Some((path, What::File { size, .. })) =
        open.there.first().map(|entry| (entry.path.clone(), entry.what.clone()))
    else {
        return Ok(None);
    };
    let mut tail = Tail { bytes: Vec::new(), begin: size, needed: Cell::new(size) };
    let mut begin = size.saturating_sub(END);
    while begin < tail.begin && size - begin <= MOST {
        let mut bytes = Vec::new();
        while begin + (bytes.len() as u64) < tail.begin {
            let offset = begin + bytes.len() as u64;
            let length = u32::try_from(tail.begin - offset).unwrap_or(MOST_CHUNK).min(MOST_CHUNK);
            let read = open.read(talk, &path, offset, length).await?;
            // It became shorter, or the agent cannot read.
            let Some(read) = read.filter(|read| !read.is_empty()) else { return Ok(None) };
            bytes.extend(read);
        }
        bytes.append(&mut tail.bytes);
        (tail.bytes, tail.begin) = (bytes, begin);
        match entries(&tail, size) {
            Ok(entries) => return Ok(Some(entries)),
            Err(_) => begin = tail.needed.get(),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use rawzip::{CompressionMethod, ZipArchiveWriter};

    use super::*;

    /// An archive of files without compression.
    fn archive(files: &[(String, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = ZipArchiveWriter::new(&mut bytes);
        for (name, content) in files {
            let file = archive.new_file(name).compression_method(CompressionMethod::STORE);
            let (mut entry, config) = file.start().unwrap();
            let mut writer = config.wrap(&mut entry);
            io::Write::write_all(&mut writer, content).unwrap();
            let (_, descriptor) = writer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        bytes
    }

    #[test]
    fn entries_are_read_from_the_end_of_an_archive() {
        let noise = vec![7; 300_000];
        let files: Vec<(String, &[u8])> =
            (0..5000).map(|n| (format!("BOOT-INF/classes/{n}.class"), &b"content"[..])).collect();
        let bytes = archive(&[&files[..], &[("noise".to_owned(), &noise)]].concat());
        let size = bytes.len() as u64;
        let all = entries(&bytes, size).unwrap();
        assert_eq!((all.len(), all["noise"].1), (5001, 300_000));
        // As much of it as is asked for, as from a container.
        let mut begin = size - 1000;
        let found = loop {
            let tail = bytes[usize::try_from(begin).unwrap()..].to_vec();
            let tail = Tail { bytes: tail, begin, needed: Cell::new(size) };
            match entries(&tail, size) {
                Ok(found) => break found,
                Err(_) => assert!(tail.needed.get() < begin),
            }
            begin = tail.needed.get();
        };
        assert!(found == all && begin > 300_000, "{begin}");
        assert!(entries(&b"PK\x03\x04 no archive".to_vec(), 16).is_err());
        assert!(entries(&Vec::new(), 0).is_err());
    }
}
