//! A source of manifests, document by document: no more of it is in memory than one.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

use anyhow::Result;

use crate::{
    operations::files::{Source, unreadable},
    yaml,
};

/// Reads documents as text.
pub(super) struct Documents {
    name: String,
    input: Box<dyn BufRead>,
    buffer: Vec<u8>,
    /// Bytes at the buffer's end that are not handed out yet: the next document's marker.
    ahead: usize,
    /// Line of the next document.
    line: usize,
}

impl Documents {
    pub(super) fn open(source: &Source) -> Result<Self> {
        let name = source.name();
        let input: Box<dyn BufRead> = match source {
            Source::Stdin => Box::new(BufReader::with_capacity(1 << 16, io::stdin())),
            Source::File(path) => {
                let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
                Box::new(BufReader::with_capacity(1 << 16, file))
            }
        };
        Ok(Self::over(name, input))
    }

    fn over(name: String, input: Box<dyn BufRead>) -> Self {
        Self { name, input, buffer: Vec::new(), ahead: 0, line: 1 }
    }

    /// The whole text where it begins as JSON does; kubectl looks at the first character too.
    pub(super) fn json(&mut self) -> Result<Option<String>> {
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

    /// Reads up to the first line that is not blank. A byte order mark is no part of the text.
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

    /// The next document, its marker first, and the line that it begins at. It is lent: the one
    /// before is gone by then.
    pub(super) fn next(&mut self) -> Result<Option<(usize, &str)>> {
        // What was handed out before goes; the line that ended it begins this one.
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
        let what = io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8");
        unreadable(&self.name, &what)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However small the pieces that come in, the documents are those of the whole text.
        #[test]
        fn documents_are_the_chunks_of_the_text(
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
                prop_assert_eq!(Some(yaml::Chunk::of(found, line)), chunks.next());
            }
            prop_assert_eq!(chunks.next(), None);
        }
    }
}
