//! The model as characters: on a terminal of any size, or as text.

use std::fmt::Write as _;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Color, Modifier, Style},
};
use unicode_width::UnicodeWidthStr;

use super::{
    help,
    item::{Item, Usage},
    model::{Mode, Model},
};
use crate::{
    status::{State, span},
    ui::text::{self, counted, escaped, padded},
};

/// Whether states have colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// As on most terminals.
    Colour,
    /// Only bold and reversed text: `NO_COLOR`.
    Plain,
}

/// Between two columns.
const GAP: &str = "  ";
/// Maximum number of lines of a message.
const MESSAGE: usize = 4;
/// Before a row, and before the selected one.
const MARKS: [&str; 2] = ["  ", "> "];

/// Draws the model. Returns where the cursor is, if a line is typed.
pub fn draw(model: &mut Model, buffer: &mut Buffer, palette: Palette) -> Option<Position> {
    let Rect { width, height, .. } = buffer.area;
    let keys = key_lines(&model.mode, width.into());
    let message = message(model, width.into());
    let rows_of_keys = u16::try_from(keys.len()).unwrap_or(u16::MAX);
    let above = u16::try_from(message.len().max(1)).unwrap_or(u16::MAX);
    let bottom = rows_of_keys.saturating_add(above);
    let body = height.saturating_sub(bottom.saturating_add(1));
    let bold = Style::new().add_modifier(Modifier::BOLD);
    put(buffer, 0, &title(model), bold);
    match &model.mode {
        Mode::Help => page(buffer, body, &help::page()),
        Mode::Details if model.selected().is_some() => {
            let item = model.selected()?;
            page(buffer, body, &help::details(item, model.usages.get(&item.key)));
        }
        _ => table(model, buffer, body, palette),
    }
    let line = height.saturating_sub(bottom);
    let first_key = line.saturating_add(above);
    let cursor = bottom_line(model, &message, buffer, line.max(1), palette);
    for (y, keys) in (first_key..).zip(keys) {
        let mut x = 0;
        for (key, meaning) in keys {
            x = put_at(buffer, (x, y), &key, bold);
            x = put_at(buffer, (x, y), &format!(" {meaning}{GAP}"), Style::new());
        }
    }
    cursor
}

/// All rows as lines of text, cut to `width` columns.
pub fn printed(model: &Model, width: usize) -> String {
    let shown = model.shown();
    let rows = rows(model, &shown, width);
    let lines =
        std::iter::once(title(model)).chain(rows.into_iter().map(|row| row.trim_end().to_owned()));
    text::lines(lines.map(|line| text::fitted(&line, width).into_owned()))
}

fn title(model: &Model) -> String {
    let place = &model.place;
    let place = match &place.namespace {
        Some(namespace) => format!("namespace {namespace}"),
        None => "all namespaces".to_owned(),
    };
    if !model.is_read {
        return format!("{} ui: {place}", model.place.program);
    }
    let empty = model.items.iter().filter(|item| item.is_empty()).count();
    let workloads = counted(model.items.len(), "workload", "workloads");
    let mut title = format!("{} ui: {place}, {workloads}, {empty} empty", model.place.program);
    if !model.filter.is_empty() {
        let matching = model.shown().len();
        let _ = write!(title, ", {matching} with `{}`", model.filter);
    }
    title
}

/// The header, then the rows, all of the same width.
fn rows(model: &Model, items: &[&Item], most: usize) -> Vec<String> {
    let all_namespaces = model.place.namespace.is_none();
    let titles = ["NAMESPACE", "WORKLOAD", "STATE", "WHO", "APP", "LEFT", "READY", "CPU", "MEMORY"];
    let mut cells = vec![titles.map(ToOwned::to_owned)];
    for item in items {
        let usage = model.usages.get(&item.key);
        cells.push([
            item.key.namespace.clone(),
            item.key.shown(),
            item.state_word().to_owned(),
            who(item, usage),
            usage.map(|usage| usage.applications.join(", ")).unwrap_or_default(),
            model.seconds_left(item).map(span).unwrap_or_default(),
            item.ready.clone(),
            usage.and_then(|usage| usage.cpu).map(|cpu| format!("{cpu}m")).unwrap_or_default(),
            usage.map(memory).unwrap_or_default(),
        ]);
    }
    let skipped = usize::from(!all_namespaces);
    let shown =
        |cell: &String| if cell.is_empty() { "-".into() } else { escaped(cell).into_owned() };
    let cells: Vec<Vec<String>> =
        cells.iter().map(|row| row[skipped..].iter().map(shown).collect()).collect();
    let count = titles.len() - skipped;
    let width = |at: usize| cells.iter().map(|row| row[at].width()).max().unwrap_or(0);
    let mut widths: Vec<_> = (0..count).map(width).collect();
    let most = most.saturating_sub(MARKS[0].len() + GAP.len() * (count - 1));
    // A row is known by its workload, which is cut last.
    for cut in [&["WHO", "APP"][..], &["NAMESPACE", "WORKLOAD"]] {
        let (at, mut some): (Vec<_>, Vec<_>) = (0..count)
            .filter(|at| cut.contains(&titles[at + skipped]))
            .map(|at| (at, widths[at]))
            .unzip();
        let others = widths.iter().sum::<usize>() - some.iter().sum::<usize>();
        text::narrow(&mut some, most.saturating_sub(others));
        at.into_iter().zip(some).for_each(|(at, width)| widths[at] = width);
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).zip(&titles[skipped..]);
        let cells = cells.map(|((cell, width), title)| match *title {
            "WHO" => padded(&text::fitted_user(cell, *width), *width),
            _ => padded(cell, *width),
        });
        cells.collect::<Vec<_>>().join(GAP)
    };
    cells.iter().map(line).collect()
}

/// Who has a lease; without one, who emptied the workload.
fn who(item: &Item, usage: Option<&Usage>) -> String {
    let who = usage.map(|usage| usage.who.join(", ")).filter(|who| !who.is_empty());
    who.unwrap_or_else(|| item.by.clone())
}

fn memory(usage: &Usage) -> String {
    if usage.applications.is_empty() { String::new() } else { text::size(usage.rss) }
}

fn table(model: &mut Model, buffer: &mut Buffer, body: u16, palette: Palette) {
    let width = buffer.area.width;
    model.fit(body.saturating_sub(1).into());
    let shown = model.shown();
    let mut rows = rows(model, &shown, width.into()).into_iter();
    if shown.is_empty() {
        let why = if !model.is_read {
            "Reading the workloads …"
        } else if model.items.is_empty() {
            "No workloads are here."
        } else {
            "No workload matches the filter; Esc shows all."
        };
        put(buffer, 2, &format!("{}{why}", MARKS[0]), Style::new());
        return;
    }
    let header = rows.next().unwrap_or_default();
    put(buffer, 1, &format!("{}{header}", MARKS[0]), Style::new().add_modifier(Modifier::BOLD));
    let visible = rows.zip(shown).skip(model.offset).take(model.height);
    for (y, (row, item)) in (2..).zip(visible) {
        let is_selected = model.selected.as_ref() == Some(&item.key);
        let mut style = style(item.state, palette);
        if is_selected {
            style = style.add_modifier(Modifier::REVERSED);
        }
        put(buffer, y, &format!("{}{row}", MARKS[usize::from(is_selected)]), style);
        buffer.set_style(Rect::new(0, y, width, 1), style);
    }
}

fn style(state: Option<State>, palette: Palette) -> Style {
    let plain = Style::new();
    if palette == Palette::Plain {
        return plain;
    }
    match state {
        None | Some(State::Restored) => plain,
        Some(State::Empty | State::Pods) => plain.fg(Color::Green),
        Some(State::Returning | State::Missed | State::Held | State::Drifted) => {
            plain.fg(Color::Yellow)
        }
        Some(State::Stuck | State::Untrusted) => plain.fg(Color::Red),
    }
}

/// A message in the lines that it takes; none while a line is typed.
fn message(model: &Model, width: usize) -> Vec<String> {
    if model.message.is_empty() || matches!(model.mode, Mode::Filter(_) | Mode::Prompt(_)) {
        return Vec::new();
    }
    let mut lines = broken(&model.message, width);
    lines.truncate(MESSAGE);
    lines
}

/// The line above the keys: what is typed, a message, or the note of the selected workload.
fn bottom_line(
    model: &Model,
    message: &[String],
    buffer: &mut Buffer,
    y: u16,
    palette: Palette,
) -> Option<Position> {
    let width = usize::from(buffer.area.width);
    let (start, edit) = match &model.mode {
        Mode::Filter(edit) => ("/".to_owned(), edit),
        Mode::Prompt(edit) => (format!("$ {} ", model.place.program), edit),
        _ if model.message.is_empty() => {
            let note = model.selected().filter(|_| model.mode == Mode::Table);
            let note = note.map(|item| item.note.as_str()).unwrap_or_default();
            put(buffer, y, &text::fitted(&escaped(note), width), Style::new());
            return None;
        }
        _ => {
            let style = match palette {
                Palette::Colour => Style::new().fg(Color::Yellow),
                Palette::Plain => Style::new(),
            };
            let style = style.add_modifier(Modifier::BOLD);
            (y..).zip(message).for_each(|(y, line)| put(buffer, y, line, style));
            return None;
        }
    };
    // A long line shows the part around the cursor.
    let line = format!("{start}{}", escaped(edit.text()));
    let column = format!("{start}{}", escaped(edit.before())).width();
    let mut hidden = (column + 1).saturating_sub(width);
    let mut cut = 0;
    let rest = line.chars().skip_while(|c| {
        let is_hidden = hidden > 0;
        let of_char = c.to_string().width();
        if is_hidden {
            hidden = hidden.saturating_sub(of_char);
            cut += of_char;
        }
        is_hidden
    });
    put(buffer, y, &rest.collect::<String>(), Style::new());
    let x = u16::try_from(column.saturating_sub(cut)).unwrap_or(u16::MAX);
    (y < buffer.area.height).then(|| Position::new(x.min(buffer.area.width.saturating_sub(1)), y))
}

/// The keys in as many lines as they need.
fn key_lines(mode: &Mode, width: usize) -> Vec<Vec<(String, &'static str)>> {
    let mut lines = vec![Vec::new()];
    let mut used = 0;
    for (key, meaning) in help::keys(mode) {
        let length = key.len() + 1 + meaning.len();
        if used > 0 && used + length > width {
            lines.push(Vec::new());
            used = 0;
        }
        used += length + GAP.len();
        if let Some(line) = lines.last_mut() {
            line.push((key, meaning));
        }
    }
    lines
}

/// Lines of text below the title, in at most `body` lines; long ones continue on the next line.
fn page(buffer: &mut Buffer, body: u16, lines: &[String]) {
    let lines = lines.iter().flat_map(|line| broken(line, buffer.area.width.into()));
    let lines: Vec<_> = lines.collect();
    (1..=body).zip(lines).for_each(|(y, line)| put(buffer, y, &line, Style::new()));
}

/// A line of text as lines of this width.
fn broken(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for c in escaped(line).chars() {
        let of_char = c.to_string().width();
        if used + of_char > width && used > 0 {
            lines.push(String::new());
            used = 0;
        }
        used += of_char;
        if let Some(last) = lines.last_mut() {
            last.push(c);
        }
    }
    lines
}

/// Puts text on a line, if the screen has it.
fn put(buffer: &mut Buffer, y: u16, text: &str, style: Style) {
    put_at(buffer, (0, y), text, style);
}

/// [`put`] from a column on; returns the column after it.
fn put_at(buffer: &mut Buffer, (x, y): (u16, u16), text: &str, style: Style) -> u16 {
    if x >= buffer.area.width || y >= buffer.area.height {
        return x;
    }
    buffer.set_string(x, y, text, style);
    x.saturating_add(u16::try_from(text.width()).unwrap_or(u16::MAX))
}
