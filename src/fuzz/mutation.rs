//! Changes to inputs: of bytes, lines and words, and of the values of a JSON text.

use serde_json::{Map, Value, json};

/// xorshift64*; never 0.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Less than `end`; 0 where that is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % end.max(1)
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A range within `length`, mostly a short one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        let most = *self.one_of(&[1, 2, 8, 64, usize::MAX]);
        let count = self.below((length - from).min(most) + 1);
        from..from + count
    }
}

/// What readers of text trip over.
const ODD: [&str; 24] = [
    "\0",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "\u{10ffff}",
    "\r",
    "\r\n",
    "\t",
    "\\",
    "\"",
    "'",
    "#",
    "-1",
    "0",
    "18446744073709551616",
    "1e999",
    "null",
    "{}",
    "[]",
    "*",
    "\u{202e}",
];

/// Another input, made of one of `seeds`, and sometimes of a second one.
pub(super) fn change(random: &mut Random, seeds: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut input = random.one_of(seeds).clone();
    for _ in 0..=random.below(4) {
        let json = random.below(2) == 0;
        let parsed = json.then(|| serde_json::from_slice::<Value>(&input).ok()).flatten();
        if let Some(mut value) = parsed {
            let other = random.one_of(seeds);
            let other = serde_json::from_slice(other).unwrap_or(Value::Null);
            change_value(random, &mut value, &other, words);
            input = value.to_string().into_bytes();
        } else {
            change_bytes(random, &mut input, seeds, words);
        }
    }
    input
}

fn change_bytes(random: &mut Random, input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) {
    let range = random.range(input.len());
    let at = range.start;
    match random.below(11) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.next().to_le_bytes()[0],
        2 => drop(input.drain(range)),
        3 => {
            let part = input[range].to_vec();
            let times = *random.one_of(&[1, 2, 30, 300]);
            if part.len() * times < 64 << 10 {
                input.splice(at..at, part.repeat(times));
            }
        }
        4 => drop(input.splice(range, random.one_of(words).bytes())),
        5 => drop(input.splice(at..at, random.one_of(words).bytes())),
        6 => drop(input.splice(at..at, random.one_of(&ODD).bytes())),
        7 => {
            let other = random.one_of(seeds);
            let from = random.below(other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ => change_lines(random, input, seeds),
    }
}

fn change_lines(random: &mut Random, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let mut lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.is_empty() {
        return;
    }
    let (one, two) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(4) {
        0 => lines.swap(one, two),
        1 => drop(lines.remove(one)),
        2 => {
            let line = lines[one];
            let times = *random.one_of(&[1, 2, 50, 500]);
            if line.len() * times < 64 << 10 {
                lines.splice(two..two, std::iter::repeat_n(line, times));
            }
        }
        _ => {
            let other: Vec<_> =
                random.one_of(seeds).split_inclusive(|byte| *byte == b'\n').collect();
            let line = if other.is_empty() { &b""[..] } else { *random.one_of(&other) };
            lines.insert(one, line);
        }
    }
    *input = lines.concat();
}

fn change_value(random: &mut Random, value: &mut Value, other: &Value, words: &[&str]) {
    let at = random.below(count(value));
    let (mut at, mut from) = (at, random.below(count(other)));
    let donor = nth(other, &mut from).cloned().unwrap_or(Value::Null);
    let Some(node) = nth_mut(value, &mut at) else { return };
    let key = |random: &mut Random| match random.below(3) {
        0 => (*random.one_of(words)).to_owned(),
        1 => "~/\u{e9}\"\u{1b}".to_owned(),
        _ => "k".repeat(random.below(300)),
    };
    match (random.below(8), node) {
        (0, node) => *node = donor,
        (1, Value::Object(members)) if !members.is_empty() => {
            let name = members.keys().nth(random.below(members.len())).cloned().unwrap_or_default();
            members.shift_remove(&name);
        }
        (2, Value::Object(members)) => {
            let name = key(random);
            members.insert(name, donor);
        }
        (1, Value::Array(items)) if !items.is_empty() => {
            drop(items.remove(random.below(items.len())));
        }
        (2, Value::Array(items)) => {
            let times = *random.one_of(&[1, 2, 40]);
            items.extend(std::iter::repeat_n(donor, times));
        }
        (3, node) => {
            let deep = *random.one_of(&[1, 3, 100, 130]);
            for level in 0..deep {
                let inner = node.take();
                *node = if level % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) };
            }
        }
        (4, Value::String(text)) => text.push_str(random.one_of::<&str>(&ODD)),
        (5, Value::String(text)) => *text = text.repeat(random.below(20)),
        (6, Value::String(text)) => *text = (*random.one_of(words)).to_owned(),
        (_, node) => {
            let odd = [
                Value::Null,
                json!(true),
                json!(-1),
                json!(0.5),
                json!(u64::MAX),
                json!(""),
                json!({}),
                json!([]),
                Value::Object(Map::new()),
                json!("\u{1b}]0;title\u{7}"),
                json!([null]),
                json!([{}]),
            ];
            *node = random.one_of(&odd).clone();
        }
    }
}

/// The values in it, itself too.
fn count(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        _ => 1,
    }
}

fn nth<'a>(value: &'a Value, at: &mut usize) -> Option<&'a Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Object(members) => members.values().find_map(|value| nth(value, at)),
        Value::Array(items) => items.iter().find_map(|value| nth(value, at)),
        _ => None,
    }
}

fn nth_mut<'a>(value: &'a mut Value, at: &mut usize) -> Option<&'a mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Object(members) => members.values_mut().find_map(|value| nth_mut(value, at)),
        Value::Array(items) => items.iter_mut().find_map(|value| nth_mut(value, at)),
        _ => None,
    }
}

/// A shorter input that still fails.
pub(super) fn shrink(input: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut small = input.to_vec();
    let mut piece = small.len() / 2;
    let mut tries = 0;
    while piece > 0 && tries < 300 {
        let mut at = 0;
        while at < small.len() && tries < 300 {
            let end = (at + piece).min(small.len());
            let rest = [&small[..at], &small[end..]].concat();
            tries += 1;
            if fails(&rest) {
                small = rest;
            } else {
                at = end;
            }
        }
        piece /= 2;
    }
    small
}
