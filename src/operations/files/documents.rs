//! Reads manifests document by document, with only one in memory.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

use anyhow::Result;

use super::{ManifestSource, unreadable};
use crate::yaml;

/// Reads documents as text.
pub(crate) struct Documents {
    name: String,
    input: Box<dyn BufRead>,
    buffer: Vec<u8>,
    /// Bytes at the buffer's end that belong to the next document: its marker.
    ahead: usize,
    /// Line of the next document.
    line: usize,
}

impl Documents {
    pub(crate) fn open(source: &ManifestSource) -> Result<Self> {
        let name = source.name();
        let input: Box<dyn BufRead> = match source {
            ManifestSource::Stdin => Box::new(BufReader::with_capacity(1 << 16, io::stdin())),
            ManifestSource::File(path) => {
                let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
                Box::new(BufReader::with_capacity(1 << 16, file))
            }
        };
        Ok(Self::over(name, input))
    }

    fn over(name: String, input: Box<dyn BufRead>) -> Self {
        Self { name, input, buffer: Vec::new(), ahead: 0, line: 1 }
    }

    /// The whole text, if it begins like JSON; kubectl also checks the first character.
    pub(crate) fn json(&mut self) -> Result<Option<String>> {
        let mut text = self.beginning().map_err(|error| unreadable(&self.name, &error))?;
        if !text.trim_ascii_start().starts_with(b"{") {
            let rest = std::mem::replace(&mut self.input, Box::new(io::empty()));
            self.input = Box::new(io::Cursor::new(text).chain(rest));
            return Ok(None);
        }
        let rest = self.input.read_to_end(&mut text);
        rest.map_err(|error| unreadable(&self.name, &error))?;
        Ok(Some(String::from_utf8(text).map_err(|_| self.foreign())?))
    }

    /// Reads up to the first non-blank line. A byte order mark is skipped.
    fn beginning(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        while text.trim_ascii_start().is_empty() {
            if self.input.read_until(b'\n', &mut text)? == 0 {
                break;
            }
            if text.starts_with("\u{feff}".as_bytes()) {
                text.drain(..3);
            }
        }
        Ok(text)
    }

    /// The next document, starting with its marker, and its first line. It is borrowed, and the
    /// previous one is dropped.
    pub(crate) fn next(&mut self) -> Result<Option<(usize, &str)>> {
        // Drops the previous document; the line that ended it begins this one.
        let from = self.buffer.len() - self.ahead;
        self.buffer.drain(..from);
        let mut end = self.buffer.len();
        loop {
            let read = self.input.read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|error| unreadable(&self.name, &error))?;
            let last = &self.buffer[end..];
            let marker =
                last.starts_with(b"---") && std::str::from_utf8(last).is_ok_and(yaml::is_marker);
            if read == 0 || (marker && end > 0) {
                self.ahead = read;
                break;
            }
            end += read;
        }
        if end == 0 {
            return Ok(None);
        }
        let line = self.line;
        self.line += memchr::memchr_iter(b'\n', &self.buffer[..end]).count();
        match std::str::from_utf8(&self.buffer[..end]) {
            Ok(text) => Ok(Some((line, text))),
            Err(_) => Err(self.foreign()),
        }
    }

    fn foreign(&self) -> anyhow::Error {
        let what = io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        unreadable(&self.name, &what)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The documents do not depend on the sizes of the reads.
        #[test]
        fn streamed_documents_equal_the_chunks_of_the_text(
            lines in prop::collection::vec(
                "|---|--- |---x|\\{|a: 1|# c|--- \\{b: 1\\}|\\.\\.\\.|%YAML 1.2|---\r|é",
                0..12,
            ),
            end in any::<bool>(),
            piece in 1..9_usize,
        ) {
            let text = lines.join("\n") + if end { "\n" } else { "" };
            let input = BufReader::with_capacity(piece, io::Cursor::new(text.clone()));
            let mut documents = Documents::over("-".to_owned(), Box::new(input));
            let starts_as_json = text.trim_start().starts_with('{');
            let json = documents.json().unwrap();
            prop_assert_eq!(json, starts_as_json.then(|| text.clone()));
            if starts_as_json {
                return Ok(());
            }
            let mut chunks = yaml::chunks(&text);
            while let Some((line, found)) = documents.next().unwrap() {
                prop_assert_eq!(Some(yaml::Chunk::new(found, line)), chunks.next());
            }
            prop_assert_eq!(chunks.next(), None);
        }
    }
}
