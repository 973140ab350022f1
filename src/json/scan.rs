//! The single pass over a JSON text.

#![expect(clippy::inline_always, reason = "a call in these loops costs more than what is called")]

use std::{borrow::Cow, ops::Range};

use super::{
    Broken, JsonFault, Kept, MOST, ParsePlan, Tree, TreeEntry,
    quotes::{Cursor, Quotes},
};

/// The limit of `serde_json::Value`, far deeper than any manifest.
pub(super) const MAX_DEPTH: u32 = 127;

/// Numbers with fewer characters and without an exponent always fit an f64.
const SHORT: usize = 300;

pub(super) fn document<'a>(text: &'a str, plan: &'static ParsePlan) -> Result<Tree<'a>, Broken> {
    // The API server writes one line feed, after the document.
    let least = text.trim_ascii_end().bytes().fold(u8::MAX, u8::min);
    if least < b' ' {
        Scan::<true>::document(text, plan)
    } else {
        Scan::<false>::document(text, plan)
    }
}

struct Scan<'a, const CONTROLS: bool> {
    text: &'a str,
    bytes: &'a [u8],
    quotes: Quotes<'a, CONTROLS>,
    nodes: Vec<TreeEntry<'a>>,
}

/// The current position: separate from the other state, so that it stays in registers.
#[derive(Clone, Copy)]
struct Position {
    at: usize,
    cursor: Cursor,
}

impl Position {
    fn fault(self, fault: JsonFault) -> Broken {
        Broken { at: self.at, fault }
    }
}

impl<'a, const CONTROLS: bool> Scan<'a, CONTROLS> {
    fn document(text: &'a str, plan: &'static ParsePlan) -> Result<Tree<'a>, Broken> {
        let (bytes, nodes) = (text.as_bytes(), Vec::with_capacity(128));
        let mut scan = Self { text, bytes, quotes: Quotes::new(text), nodes };
        let mut place = Position { at: 0, cursor: Cursor::START };
        let mut read = scan.keep(&mut place, plan, (Cow::Borrowed(""), 0), 0);
        if read.is_ok() && scan.peek(&mut place).is_some() {
            read = Err(place.fault(JsonFault::Grammar));
        }
        match (scan.quotes.broken, read) {
            (Some(broken), _) | (None, Err(broken)) => Err(broken),
            (None, Ok(())) => Ok(Tree { nodes: scan.nodes }),
        }
    }

    /// The next byte that is not white space, without consuming it.
    #[inline(always)]
    fn peek(&self, place: &mut Position) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(place.at)?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            place.at += 1;
        }
    }

    /// Skips the string whose opening quote is next.
    #[inline(always)]
    fn string(&mut self, place: &mut Position) -> Result<(), Broken> {
        match self.quotes.string(&mut place.cursor, place.at) {
            Some(end) => place.at = end,
            None => return Err(place.fault(JsonFault::Grammar)),
        }
        Ok(())
    }

    /// Skips a member's name and its colon. Returns the position of the name.
    #[inline(always)]
    fn key(&mut self, place: &mut Position) -> Result<Range<usize>, Broken> {
        if self.peek(place) != Some(b'"') {
            return Err(place.fault(JsonFault::Grammar));
        }
        let start = place.at;
        self.string(place)?;
        let key = start..place.at;
        if self.peek(place) != Some(b':') {
            return Err(place.fault(JsonFault::Grammar));
        }
        place.at += 1;
        Ok(key)
    }

    /// Skips a number, `true`, `false` or `null` with the first byte `first`.
    #[inline]
    fn scalar(&self, place: &mut Position, first: u8) -> Result<(), Broken> {
        let word: &[u8] = match first {
            b'-' | b'0'..=b'9' => return self.number(place),
            b't' => b"true",
            b'f' => b"false",
            b'n' => b"null",
            _ => return Err(place.fault(JsonFault::Grammar)),
        };
        if !self.bytes[place.at..].starts_with(word) {
            return Err(place.fault(JsonFault::Grammar));
        }
        place.at += word.len();
        Ok(())
    }

    fn number(&self, place: &mut Position) -> Result<(), Broken> {
        let start = place.at;
        let digits = |from: usize| {
            let digits = self.bytes.get(from..).unwrap_or_default().iter();
            digits.take_while(|byte| byte.is_ascii_digit()).count()
        };
        let byte = |at: usize| self.bytes.get(at).copied();
        let mut at = start + usize::from(byte(start) == Some(b'-'));
        let whole = digits(at);
        let mut good = whole == 1 || (whole > 1 && byte(at) != Some(b'0'));
        at += whole;
        if byte(at) == Some(b'.') {
            let part = digits(at + 1);
            good &= part > 0;
            at += 1 + part;
        }
        let mut large = at - start > SHORT;
        if matches!(byte(at), Some(b'e' | b'E')) {
            at += 1 + usize::from(matches!(byte(at + 1), Some(b'+' | b'-')));
            let part = digits(at);
            good &= part > 0;
            at += part;
            large = true;
        }
        if !good {
            return Err(place.fault(JsonFault::Grammar));
        }
        // serde_json itself decides whether it fits an f64.
        if large && serde_json::from_str::<serde_json::Number>(&self.text[start..at]).is_err() {
            return Err(place.fault(JsonFault::Number));
        }
        place.at = at;
        Ok(())
    }

    /// Skips a value that is not kept; `depth` levels are open around it.
    #[inline(never)]
    fn skip(&mut self, kept: &mut Position, depth: u32) -> Result<(), Broken> {
        let mut place = *kept;
        // Whether the innermost level, and each level around it, is an object: one bit for each
        // level.
        let (mut is_object, mut around) = (false, 0_u128);
        let mut level = depth;
        loop {
            match self.peek(&mut place) {
                Some(b'"') => self.string(&mut place)?,
                // Most of managedFields.
                Some(b'{') if self.bytes.get(place.at + 1) == Some(&b'}') && level < MAX_DEPTH => {
                    place.at += 2;
                }
                Some(open @ (b'{' | b'[')) => {
                    if level == MAX_DEPTH {
                        return Err(place.fault(JsonFault::Depth));
                    }
                    level += 1;
                    around = around << 1 | u128::from(is_object);
                    is_object = open == b'{';
                    place.at += 1;
                    match (is_object, self.peek(&mut place)) {
                        (true, Some(b'}')) | (false, Some(b']')) => {}
                        (true, _) => {
                            self.key(&mut place)?;
                            continue;
                        }
                        (false, _) => continue,
                    }
                }
                Some(first) => self.scalar(&mut place, first)?,
                None => return Err(place.fault(JsonFault::Grammar)),
            }
            loop {
                if level == depth {
                    *kept = place;
                    return Ok(());
                }
                let next = self.peek(&mut place);
                place.at += 1;
                match (is_object, next) {
                    (true, Some(b',')) => {
                        self.key(&mut place)?;
                        break;
                    }
                    (false, Some(b',')) => break,
                    (true, Some(b'}')) | (false, Some(b']')) => {
                        level -= 1;
                        is_object = around & 1 == 1;
                        around >>= 1;
                    }
                    _ => return Err(place.fault(JsonFault::Grammar)),
                }
            }
        }
    }

    /// Parses a value that is kept by `plan`, with its name and its index among its siblings.
    fn keep(
        &mut self,
        place: &mut Position,
        plan: &'static ParsePlan,
        (key, number): (Cow<'a, str>, usize),
        depth: u32,
    ) -> Result<(), Broken> {
        let first = self.peek(place);
        let (node, start) = (self.nodes.len(), place.at);
        let open = matches!(
            (plan, first),
            (ParsePlan::Members(..), Some(b'{')) | (ParsePlan::Items(_), Some(b'['))
        );
        self.nodes.push(TreeEntry { key, number, text: "", end: node + 1, kept: Kept::Text });
        let kept = match plan {
            _ if !open => {
                self.skip(place, depth)?;
                Kept::Text
            }
            _ if depth == MAX_DEPTH => return Err(place.fault(JsonFault::Depth)),
            ParsePlan::Members(plans, texts) => self.members(place, plans, texts, depth + 1)?,
            ParsePlan::Items(plan) => self.items(place, plan, depth + 1)?,
            ParsePlan::Text => Kept::Text,
        };
        let end = self.nodes.len();
        let entry = &mut self.nodes[node];
        (entry.text, entry.end, entry.kept) = (&self.text[start..place.at], end, kept);
        Ok(())
    }

    /// Parses the object whose brace is next.
    fn members(
        &mut self,
        place: &mut Position,
        plans: &'static [(&'static str, &'static ParsePlan)],
        texts: &'static [&'static str],
        depth: u32,
    ) -> Result<Kept, Broken> {
        let wants_all = plans.is_empty() && texts.is_empty();
        let (first, mut count) = (self.nodes.len(), 0);
        place.at += 1;
        if self.peek(place) == Some(b'}') {
            place.at += 1;
            return Ok(if wants_all { Kept::All } else { Kept::Named });
        }
        let mut seen = 0_u64;
        loop {
            let key = self.key(place)?;
            let key = if key.start < self.quotes.slashed {
                super::string(&self.text[key]).ok_or_else(|| place.fault(JsonFault::Grammar))?
            } else {
                Cow::Borrowed(&self.text[key.start + 1..key.end - 1])
            };
            let is = |name: &str| name.as_bytes().first() == key.as_bytes().first() && *name == key;
            let (plan, known) = match plans.iter().position(|(name, _)| is(name)) {
                Some(at) => (plans[at].1, Some(at)),
                None => (
                    &ParsePlan::Text,
                    texts.iter().position(|name| is(name)).map(|at| plans.len() + at),
                ),
            };
            if let Some(at) = known {
                if seen >> at & 1 == 1 {
                    return Err(place.fault(JsonFault::Twice));
                }
                seen |= 1 << at;
            }
            if known.is_some() || (wants_all && count < MOST) {
                self.keep(place, plan, (key, count), depth)?;
            } else {
                self.skip(place, depth)?;
            }
            count += 1;
            match self.peek(place) {
                Some(b',') => place.at += 1,
                Some(b'}') => break place.at += 1,
                _ => return Err(place.fault(JsonFault::Grammar)),
            }
        }
        if !wants_all {
            return Ok(Kept::Named);
        }
        if count > MOST {
            self.nodes.truncate(first);
            return Ok(Kept::Text);
        }
        // Each is one node.
        if has_twins(&self.nodes[first..]) {
            return Err(place.fault(JsonFault::Twice));
        }
        Ok(Kept::All)
    }

    /// Parses the array whose bracket is next.
    fn items(
        &mut self,
        place: &mut Position,
        plan: &'static ParsePlan,
        depth: u32,
    ) -> Result<Kept, Broken> {
        let (first, mut count) = (self.nodes.len(), 0);
        place.at += 1;
        if self.peek(place) == Some(b']') {
            place.at += 1;
            return Ok(Kept::All);
        }
        loop {
            if count < MOST {
                self.keep(place, plan, (Cow::Borrowed(""), count), depth)?;
            } else {
                self.nodes.truncate(first);
                self.skip(place, depth)?;
            }
            count += 1;
            match self.peek(place) {
                Some(b',') => place.at += 1,
                Some(b']') => break place.at += 1,
                _ => return Err(place.fault(JsonFault::Grammar)),
            }
        }
        Ok(if count > MOST { Kept::Text } else { Kept::All })
    }
}

/// Whether two of the members have the same name.
fn has_twins(members: &[TreeEntry<'_>]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|member| member.key.as_ref()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}
