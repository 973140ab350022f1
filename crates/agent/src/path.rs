//! Rules for paths below the root. Pure: checks bytes only.

use super::protocol::transfer::MOST_PATH;

/// Longest name in a folder (`NAME_MAX`).
const MOST_NAME: usize = 255;
/// Suffix of a file that is being received, and of leftovers of earlier content.
pub const PART: &[u8] = b".diyadm-part";
/// Suffix of the leftover of an interrupted transfer of other content.
pub const HAVE: &[u8] = b".diyadm-have";
/// Suffix of a link before it is moved to its place.
pub const LINK: &[u8] = b".diyadm-link";

/// The parts of a path that stays below the root: relative, without `.`, `..`, empty parts and NUL.
pub fn parts(path: &[u8]) -> Option<Vec<&[u8]>> {
    if path.len() > MOST_PATH || path.contains(&0) {
        return None;
    }
    let parts: Vec<_> = path.split(|byte| *byte == b'/').collect();
    parts.iter().all(|part| !matches!(*part, b"" | b"." | b"..")).then_some(parts)
}

/// Whether a link with this target, at this depth below the root, leads to something below the
/// root. `..` is allowed only at the start: after a name, which may be a link itself, only the file
/// system knows where it leads.
pub fn link_stays(depth: usize, to: &[u8]) -> bool {
    if to.is_empty() || to.len() > MOST_PATH || to.contains(&0) || to[0] == b'/' {
        return false;
    }
    let parts = to.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let (mut ups, mut down) = (0, false);
    for part in parts {
        match (part, down) {
            (b"..", true) => return false,
            (b"..", false) => ups += 1,
            _ => down = true,
        }
    }
    ups <= depth
}

/// `.NAME.diyadm-part`, or a hash instead of a name that is too long for that.
pub fn temporary_name(name: &[u8], end: &[u8]) -> Vec<u8> {
    if name.len() + end.len() < MOST_NAME {
        return [b".", name, end].concat();
    }
    let hash = blake3::hash(name).to_hex();
    [b".", hash[..32].as_bytes(), end].concat()
}

/// Whether [`temporary_name`] created this name.
pub fn is_temporary_name(name: &[u8]) -> bool {
    name.starts_with(b".") && [PART, HAVE, LINK].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_must_stay_below_the_root() {
        for good in [&b"a"[..], b"a/b", b"-rf", b"a\n\xff/...", b"..a", b" "] {
            assert!(parts(good).is_some(), "{}", good.escape_ascii());
        }
        for bad in
            [&b""[..], b"/", b"/a", b"a/", b"a//b", b".", b"..", b"a/..", b"../a", b"a/./b", b"a\0"]
        {
            assert!(parts(bad).is_none(), "{}", bad.escape_ascii());
        }
        assert!(parts(&[b'a'; MOST_PATH + 1]).is_none());
    }

    #[test]
    fn link_must_stay_below_the_root() {
        for (depth, to) in
            [(0, "a"), (0, "./a/b"), (1, ".."), (1, "../a"), (2, "../../a"), (0, "a/./b/")]
        {
            assert!(link_stays(depth, to.as_bytes()), "{depth} {to}");
        }
        for (depth, to) in
            [(0, ""), (0, "/"), (9, "/a"), (0, ".."), (1, "../.."), (1, "a/../.."), (0, "a/../b")]
        {
            assert!(!link_stays(depth, to.as_bytes()), "{depth} {to}");
        }
    }

    #[test]
    fn temporary_names_have_a_valid_length() {
        assert_eq!(temporary_name(b"a.jar", PART), b".a.jar.diyadm-part");
        for length in [1, 241, 242, 243, 255] {
            let name = vec![b'x'; length];
            let temporary = temporary_name(&name, PART);
            assert!(temporary.len() <= MOST_NAME && is_temporary_name(&temporary));
        }
        assert_ne!(temporary_name(&[b'x'; 255], PART), temporary_name(&[b'y'; 255], PART));
        assert!(!is_temporary_name(b"a.diyadm-part"));
    }
}
