//! A layer: a tar of its entries.

use std::{
    fs::File,
    io::{self, Write},
};

use anyhow::{Context, Result};
use openssl::sha::Sha256;
use tar::{EntryType, Header};

use crate::{Content, Entry, hex};

/// Writes a layer, uncompressed.
pub(crate) fn write(layer: &[Entry], out: impl Write) -> Result<()> {
    let mut tar = tar::Builder::new(out);
    for Entry { path, mode, content } in layer {
        match content {
            Content::Folder => {
                let mut header = header(EntryType::Directory, *mode);
                tar.append_data(&mut header, format!("{path}/"), io::empty())?;
            }
            Content::Link(target) => {
                let mut header = header(EntryType::Symlink, *mode);
                tar.append_link(&mut header, path, target)?;
            }
            Content::Bytes(bytes) => {
                let mut header = header(EntryType::Regular, *mode);
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, path, bytes.as_slice())?;
            }
            Content::File(source) => {
                let file = File::open(source).with_context(|| source.display().to_string())?;
                let mut header = header(EntryType::Regular, *mode);
                header.set_size(file.metadata()?.len());
                tar.append_data(&mut header, path, file)?;
            }
        }
    }
    tar.into_inner()?;
    Ok(())
}

/// The header of an entry that root owns, without a time and a size.
pub(crate) fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

/// The SHA-256 of what is written through it, and the length.
pub(crate) struct Measured<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Measured<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, hash: Sha256::new(), size: 0 }
    }

    /// The digest in hexadecimal digits, and the number of bytes.
    pub(crate) fn finish(self) -> (String, u64) {
        (hex(&self.hash.finish()), self.size)
    }
}

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
