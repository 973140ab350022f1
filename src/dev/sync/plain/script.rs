//! Commands for a shell and their output, for containers without an agent. Pure: builds calls of
//! the functions in `plain.sh`, with any paths.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::super::plan::{SyncPlan, above};
use diyadm_agent::{
    path::is_temporary_name,
    protocol::{
        Bytes,
        transfer::{Entry, Mtime, What},
    },
};

/// The file type bits of a mode (inode(7)).
const KIND: u32 = 0o170_000;
/// The time format of `touch -t`.
const STAMP: &str = "%Y%m%d%H%M.%S";

/// A shell's report about a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Looked {
    /// Available programs.
    pub(super) tools: BTreeSet<String>,
    /// Existing entries, folders before their content.
    pub(super) there: Vec<Entry>,
}

/// Parses the output of `look`; `None` if its end is missing.
pub(super) fn looked(said: &[u8]) -> Option<Looked> {
    let mut said = said.strip_suffix(b"end//\n")?;
    let mut next = || {
        let at = said.windows(3).position(|some| some == b"//\n")?;
        let part = &said[..at];
        said = &said[at + 3..];
        Some(part)
    };
    let tools = str::from_utf8(next()?).ok()?.split_whitespace().map(ToOwned::to_owned).collect();
    let mut there: BTreeMap<Bytes, Entry> = BTreeMap::new();
    while let Some(part) = next() {
        if let Some(path) = part.strip_prefix(b"l ./") {
            let to = next()?.to_vec();
            if let Some(Entry { what: What::Link { to: link }, .. }) =
                there.get_mut(&Bytes(path.to_vec()))
            {
                *link = Bytes(to);
            }
        } else if let Some(entry) = entry(part) {
            there.insert(entry.path.clone(), entry);
        }
    }
    Some(Looked { tools, there: there.into_values().collect() })
}

/// `81a4 87 1700000000 ./a/b`
fn entry(line: &[u8]) -> Option<Entry> {
    let mut words = line.splitn(4, |byte| *byte == b' ');
    let mut word = || str::from_utf8(words.next()?).ok();
    let mode = u32::from_str_radix(word()?, 16).ok()?;
    let size = word()?.parse().ok()?;
    let s = word()?.parse().ok()?;
    let path = words.next()?.strip_prefix(b"./")?;
    let what = match mode & KIND {
        _ if path.split(|byte| *byte == b'/').any(is_temporary_name) => What::Part,
        0o100_000 => What::File { size, hash: None },
        0o040_000 => What::Folder,
        0o120_000 => What::Link { to: Bytes::default() },
        _ => What::Other,
    };
    let (path, mtime) = (Bytes(path.to_vec()), Mtime { s, ns: 0 });
    Some(Entry { path, what, mode: mode & 0o777, mtime })
}

/// Parses the output of `finish`: paths whose mode or time could not be set, without duplicates.
pub(super) fn unset(said: &[u8]) -> BTreeSet<Bytes> {
    let text = said.strip_suffix(b"//\n").unwrap_or_default();
    let ends = text.windows(3).enumerate().filter(|(_, some)| some == b"//\n").map(|(at, _)| at);
    let starts = std::iter::once(0).chain(ends.clone().map(|at| at + 3));
    let paths = starts.zip(ends.chain([text.len()])).map(|(start, end)| &text[start..end]);
    paths.filter_map(|path| Some(Bytes(path.strip_prefix(b"/")?.to_vec()))).collect()
}

/// A file whose content is in the temporary folder, under its number.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub(super) path: Bytes,
    pub(super) mode: u32,
    pub(super) mtime: Mtime,
    /// Whether it did not change while it was read; otherwise it stays there.
    pub(super) whole: bool,
}

/// The steps after everything has arrived.
pub(super) struct Rest<'a> {
    pub(super) plan: &'a SyncPlan,
    /// By number.
    pub(super) came: &'a [Came],
    /// The checksum of each `batch` of files.
    pub(super) sums: &'a [String],
    pub(super) batch: usize,
    /// Whether they already have their modes and times.
    pub(super) settled: bool,
    /// Whether this is the first and whether it is the last script of the plan.
    pub(super) first: bool,
    pub(super) last: bool,
}

/// Its arguments.
pub(super) fn script(rest: &Rest<'_>) -> Vec<u8> {
    let Rest { plan, came, sums, batch, .. } = rest;
    // Never empty.
    let mut out = b":\n".to_vec();
    for (at, sum) in sums.iter().enumerate() {
        let numbers = (at * batch..came.len().min((at + 1) * batch)).map(|at| at.to_string());
        out.extend(format!("whole '{sum}'").into_bytes());
        numbers.for_each(|number| out.extend([b" ", number.as_bytes()].concat()));
        out.push(b'\n');
    }
    if rest.first {
        plan.clear.iter().for_each(|path| word(&mut out, &[b"delete", &quoted(path)]));
        let mut folders: BTreeSet<Bytes> = plan.folders.iter().map(|e| e.path.clone()).collect();
        let within = plan.files.iter().chain(&plan.links).map(|e| &e.path).chain(&plan.delete);
        folders.extend(within.flat_map(above));
        folders.iter().for_each(|path| word(&mut out, &[b"folder", &quoted(path)]));
    }
    for (number, Came { path, mode, mtime, .. }) in
        came.iter().enumerate().filter(|(_, came)| came.whole)
    {
        let number = number.to_string();
        let number = number.as_bytes();
        // A file that its owner may not read would have no checksum.
        if !rest.settled || mode & 0o400 == 0 {
            word(&mut out, &[b"mode", format!("{mode:o}").as_bytes(), number, &quoted(path)]);
        }
        if !rest.settled {
            word(&mut out, &[b"stamp", stamp(*mtime).as_bytes(), number, &quoted(path)]);
        }
        word(&mut out, &[b"move", number, &quoted(path)]);
    }
    if rest.first {
        for (at, Entry { path, what, .. }) in plan.links.iter().enumerate() {
            if let What::Link { to } = what {
                let name = format!("l{at}");
                word(&mut out, &[b"link", name.as_bytes(), &quote(b"", &to.0), &quoted(path)]);
            }
        }
    }
    if rest.last {
        plan.delete.iter().for_each(|path| word(&mut out, &[b"delete", &quoted(path)]));
        for Entry { path, mode, mtime, .. } in &plan.settle {
            let (mode, time) = (format!("{mode:o}"), stamp(*mtime));
            word(&mut out, &[b"settle", mode.as_bytes(), time.as_bytes(), &quoted(path)]);
        }
    }
    // A shell drops the last newline of its input.
    out.pop();
    out
}

fn word(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend(words.join(&b' '));
    out.push(b'\n');
}

/// A path below the folder, quoted for a shell.
fn quoted(path: &Bytes) -> Vec<u8> {
    quote(b"/", &path.0)
}

fn quote(before: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut out = [b"'", before].concat();
    for byte in bytes {
        match byte {
            b'\'' => out.extend(b"'\\''"),
            _ => out.push(*byte),
        }
    }
    out.push(b'\'');
    out
}

fn stamp(mtime: Mtime) -> String {
    let at = Timestamp::from_second(mtime.s).unwrap_or_default();
    at.strftime(STAMP).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_listing_has_an_end_marker() {
        let said = b"cat\ntar\n//\n41ed 4096 5 .//\n81a4 7 1700000000 ./a b\nc//\n\
            41c0 60 6 ./d//\na1ff 3 7 ./d/l//\n8180 1 8 ./d/.x.diyadm-part//\n\
            l ./d/l//\nx\ny//\nend//\n";
        let Looked { tools, there } = looked(said).unwrap();
        assert_eq!(tools, ["cat", "tar"].map(ToOwned::to_owned).into());
        let kinds: Vec<_> = there.iter().map(|entry| (entry.path.show(), &entry.what)).collect();
        let link = What::Link { to: "x\ny".into() };
        let wanted = [
            ("a b\\nc".to_owned(), &What::File { size: 7, hash: None }),
            ("d".to_owned(), &What::Folder),
            ("d/.x.diyadm-part".to_owned(), &What::Part),
            ("d/l".to_owned(), &link),
        ];
        assert_eq!(kinds, wanted);
        assert_eq!((there[0].mode, there[0].mtime.s), (0o644, 1_700_000_000));
        // Its end is lost, as can happen with exec.
        assert_eq!(looked(&said[..said.len() - 1]), None);
        assert_eq!(looked(b""), None);
    }

    #[test]
    fn paths_with_failed_attributes_are_parsed() {
        let wanted = ["a b\nc", "d/e"].map(Bytes::from);
        assert_eq!(unset(b"/a b\nc//\n/d/e//\n/d/e//\n"), wanted.into());
        assert_eq!(unset(b""), BTreeSet::new());
    }

    #[test]
    fn shell_quoting_keeps_paths_unchanged() {
        assert_eq!(quoted(&"-rf it's $x".into()), b"'/-rf it'\\''s $x'");
        assert_eq!(stamp(Mtime { s: 1_700_000_000, ns: 5 }), "202311142213.20");
        assert_eq!(stamp(Mtime { s: -1, ns: 5 }), "196912312359.59");
    }
}
