//! Prints the rows of `diyadm status`: all at once, or with `--watch` what has changed.

use anyhow::Result;

use crate::{
    kubernetes::Cluster,
    operations::flags::status::{StatusArgs, StatusFormat},
    status::{self, Columns, Row},
    ui::{Redraw, terminal},
    yaml,
};

/// Instead of a table without rows.
pub(crate) const NOTHING: &str = "Nothing is empty here.";

/// Prints rows, and remembers them.
pub(crate) struct StatusPrinter {
    output: Option<StatusFormat>,
    all_namespaces: bool,
    clock: Cluster,
    before: Vec<Row>,
    titled: bool,
    /// For `--watch` on a terminal.
    redraw: Option<Redraw>,
}

impl StatusPrinter {
    /// `clock`: whose time it is.
    pub(crate) fn new(args: &StatusArgs, clock: &Cluster) -> Self {
        let StatusArgs { output, watch, targets } = args;
        let is_table = output.is_none_or(|output| output == StatusFormat::Wide);
        let redraw = (*watch && is_table).then(Redraw::new).flatten();
        let all_namespaces = targets.all_namespaces;
        let (clock, before) = (clock.clone(), Vec::new());
        Self { output: *output, all_namespaces, clock, before, titled: false, redraw }
    }

    /// Prints the whole table once.
    pub(crate) fn print_all(&mut self, rows: &[Row]) -> Result<()> {
        let text = match self.output {
            Some(StatusFormat::Json) => format!("{}\n", serde_json::to_string_pretty(rows)?),
            Some(StatusFormat::Yaml) => yaml::write(&serde_json::to_value(rows)?)?,
            _ => self.lines(rows),
        };
        terminal::print(&text)
    }

    /// Prints new and changed rows; rows of workloads that are no longer empty are printed as such.
    /// On a terminal the whole table is drawn again.
    pub(crate) fn print_changes(&mut self, rows: Vec<Row>) -> Result<()> {
        if let Some(mut redraw) = self.redraw.take() {
            self.titled = false;
            let text = if rows.is_empty() { NOTHING.to_owned() } else { self.lines(&rows) };
            redraw.draw(&text)?;
            self.redraw = Some(redraw);
            return Ok(());
        }
        let same = |one: &Row, other: &Row| {
            (&one.namespace, &one.kind, &one.name) == (&other.namespace, &other.kind, &other.name)
        };
        let mut news: Vec<_> =
            rows.iter().filter(|row| !self.before.contains(row)).cloned().collect();
        let gone = self.before.iter().filter(|row| !rows.iter().any(|other| same(row, other)));
        news.extend(gone.map(|row| row.clone().gone()));
        self.before = rows;
        let text = match self.output {
            Some(StatusFormat::Json) => {
                let lines = news.iter().map(|row| Ok(format!("{}\n", serde_json::to_string(row)?)));
                lines.collect::<Result<String>>()?
            }
            Some(StatusFormat::Yaml) => {
                let documents = news
                    .iter()
                    .map(|row| Ok(format!("---\n{}", yaml::write(&serde_json::to_value(row)?)?)));
                documents.collect::<Result<String>>()?
            }
            _ => self.lines(&news),
        };
        terminal::stream(&text)
    }

    fn lines(&mut self, rows: &[Row]) -> String {
        if self.output == Some(StatusFormat::Name) {
            let line = |row: &Row| {
                let dot = if row.group.is_empty() { "" } else { "." };
                format!("{}{dot}{}/{}\n", row.kind.to_lowercase(), row.group, row.name)
            };
            return rows.iter().map(line).collect();
        }
        if rows.is_empty() {
            return String::new();
        }
        let columns = Columns {
            namespace: self.all_namespaces,
            wide: self.output == Some(StatusFormat::Wide),
            titles: !std::mem::replace(&mut self.titled, true),
            most: terminal::table_width().filter(|_| self.output != Some(StatusFormat::Wide)),
        };
        let now = self.clock.now().as_second();
        status::table(rows, columns, now)
    }
}
