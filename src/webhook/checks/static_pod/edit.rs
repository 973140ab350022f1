//! Changes the line of one flag and nothing else: the file is edited as text, and the result is
//! parsed and compared before it is used.

use super::{
    DISABLE, ENABLE, EXACT, Item, Manifest, Setting, WANTED, flags,
    plugins::{self, meant},
};

/// The manifest with both webhook plugins enabled by name and not disabled; `None` if it already
/// is.
///
/// # Errors
/// What cannot be edited safely, and why. Nothing is guessed.
pub fn fix(text: &str) -> Result<Option<String>, String> {
    let before = Manifest::parse(text)?;
    let mut wanted = before.items.clone();
    let mut added = None;
    let exact = before.values(EXACT).pop();
    let flag = if exact.is_some() { EXACT } else { ENABLE };
    let have: Vec<_> = before.values(flag).iter().flat_map(|value| meant(&value.value)).collect();
    let lacking: Vec<_> =
        WANTED.into_iter().filter(|name| !have.iter().any(|h| h == name)).collect();
    let last = exact.or_else(|| before.values(ENABLE).pop()).map(|setting| setting.item);
    for changed in [DISABLE, ENABLE, EXACT] {
        for Setting { item, value } in before.values(changed) {
            let elements = flags::list(&value);
            let is_right =
                elements.is_some_and(|all| !all.iter().any(|e| plugins::is_misspelled(e)));
            let mut names = if is_right { split(&value) } else { meant(&value) };
            if changed == DISABLE {
                names.retain(|name| !is_wanted(name));
            }
            if Some(item) == last {
                names.extend(lacking.iter().map(|name| (*name).to_owned()));
            }
            if !is_right || names != split(&value) {
                wanted[item].text = replaced(&before.items[item].text, &value, &names.join(","));
            }
        }
    }
    if last.is_none() && !lacking.is_empty() {
        added = Some(format!("{ENABLE}={}", lacking.join(",")));
    }
    if wanted == before.items && added.is_none() {
        return Ok(None);
    }

    let mut lines: Vec<String> = text.split_inclusive('\n').map(ToOwned::to_owned).collect();
    let places = locate(&lines, &before.items)?;
    for ((old, new), place) in before.items.iter().zip(&wanted).zip(&places) {
        if old != new {
            lines[*place] = edited(&lines[*place], &old.text, &new.text)?;
        }
    }
    if let Some(new) = &added {
        let (Some(last), Some(place)) = (wanted.last().cloned(), places.last()) else {
            return Err("its container has neither command nor args".to_owned());
        };
        let line = edited(&lines[*place], &last.text, new)?;
        // A comment after the last flag belongs to that flag.
        let line = without_comment(&line, new);
        let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
        if lines[*place].ends_with('\n') {
            lines.insert(place + 1, format!("{}{ending}", line.trim_end()));
        } else {
            lines[*place].push_str(ending);
            lines.insert(place + 1, line.trim_end().to_owned());
        }
        wanted.push(Item { index: last.index + 1, text: new.clone(), ..last });
    }
    let fixed = lines.concat();
    let after = Manifest::parse(&fixed)?;
    let same =
        after.items == wanted && (after.minor, &after.image) == (before.minor, &before.image);
    if !same {
        return Err("the edited file does not read as it should".to_owned());
    }
    Ok(Some(fixed))
}

/// The elements as written, including quotes.
fn split(value: &str) -> Vec<String> {
    value.split(',').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
}

fn is_wanted(name: &str) -> bool {
    WANTED.contains(&name)
}

/// An item's text with another value: the whole text if flag and value are separate items.
fn replaced(item: &str, value: &str, new: &str) -> String {
    format!("{}{new}", item.strip_suffix(value).unwrap_or_default())
}

/// The line of each item. Items must be on separate lines below `command:` and `args:`.
fn locate(lines: &[String], items: &[Item]) -> Result<Vec<usize>, String> {
    let mut places = Vec::new();
    for list in ["command", "args"] {
        let texts: Vec<&str> =
            items.iter().filter(|i| i.list == list).map(|i| i.text.as_str()).collect();
        if texts.is_empty() {
            continue;
        }
        let key = format!("{list}:");
        let heads = lines.iter().enumerate().filter(|(_, line)| {
            let line = line.trim_start().trim_start_matches("- ").trim_start();
            line.strip_prefix(&key).is_some_and(|rest| {
                let rest = rest.trim();
                rest.is_empty() || rest.starts_with('#')
            })
        });
        let found: Vec<_> =
            heads.filter_map(|(at, _)| block(&lines[at + 1..], at + 1, &texts)).collect();
        match <[Vec<usize>; 1]>::try_from(found) {
            Ok([found]) => places.extend(found),
            Err(_) => return Err(format!("{list} is not written as one list, an item a line")),
        }
    }
    Ok(places)
}

/// The lines of the items `texts`, if `lines` starts with exactly those.
fn block(lines: &[String], first: usize, texts: &[&str]) -> Option<Vec<usize>> {
    let mut places = Vec::new();
    let mut texts = texts.iter();
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(item) = line.strip_prefix('-').filter(|rest| rest.starts_with([' ', '\t'])) else {
            break;
        };
        if texts.as_slice().is_empty() {
            // Another list of its container may follow: `- name:` is not one of the items.
            return (scalar(item).is_none()).then_some(places);
        }
        if scalar(item).as_deref() != texts.next().copied() {
            return None;
        }
        places.push(first + at);
    }
    texts.as_slice().is_empty().then_some(places)
}

fn scalar(yaml: &str) -> Option<String> {
    match serde_saphyr::from_str::<serde_json::Value>(yaml) {
        Ok(serde_json::Value::String(text)) => Some(text),
        _ => None,
    }
}

/// The line with `old` replaced by `new`, with the same quotes.
fn edited(line: &str, old: &str, new: &str) -> Result<String, String> {
    let at = line.find('-').map(|dash| dash + 1).unwrap_or_default();
    match line[at..].find(old) {
        Some(found) => {
            let (head, tail) = (&line[..at + found], &line[at + found + old.len()..]);
            // An empty plain scalar would be null.
            let new = if new.is_empty() && !head.ends_with(['"', '\'']) { "\"\"" } else { new };
            Ok(format!("{head}{new}{tail}"))
        }
        None => Err(format!("{old} is written with escapes or over several lines")),
    }
}

/// A line without the comment after `text`.
fn without_comment(line: &str, text: &str) -> String {
    let end = line.find(text).map_or(0, |at| at + text.len());
    let tail = &line[end..];
    let cut = tail.find(" #").map_or(tail.len(), |comment| comment);
    format!("{}{}", &line[..end], tail[..cut].trim_end())
}
