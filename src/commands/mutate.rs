//! `diyadm mutate`: reads documents one by one, and writes each before reading the next.

use std::io::{BufWriter, Write};

use anyhow::Result;

use crate::{
    cli::{
        Global,
        mutate::{Mutate, Output},
    },
    exit::{Code, Failure, Topic},
    mutate::{Format, MutateOptions, Rendered, Text, render},
    operations::{
        emptying_flags,
        files::{self, ManifestSource, documents::Documents},
    },
    ui::{self, terminal::Terminal},
    yaml::{self, Chunk},
};

pub(super) fn run(global: &Global, args: &Mutate) -> Result<Code> {
    let rules = emptying_flags::rules(&args.ways, args.replicas)?;
    let namespace = args.namespace.as_deref().unwrap_or_default();
    let how = MutateOptions { rules: &rules, namespace, restore: args.restore };
    let format = match (args.diff, args.output) {
        (true, _) => Format::Diff,
        (false, Output::Yaml) => Format::Yaml,
        (false, Output::Json) => Format::Json,
        (false, Output::Patch) => Format::Patch,
    };
    let out = BufWriter::with_capacity(1 << 16, ui::stdout());
    let terminal = Terminal::new(&global.terminal);
    let mut filter =
        Filter { how, format, terminal, out, open: None, changed: false, misnamed: false };
    for source in files::sources(&args.filename, args.recursive)? {
        filter.file(&source)?;
    }
    filter.out.flush()?;
    // A container that no workload has is a typing error; if some workloads have it, it is
    // intended.
    let slip = filter.misnamed && !filter.changed;
    Ok(if slip || (args.diff && filter.changed) { Code::No } else { Code::Done })
}

/// The output of documents.
struct Filter<'a, W> {
    how: MutateOptions<'a>,
    format: Format,
    terminal: Terminal,
    out: W,
    /// Whether the output so far ends with a line break; `None` before the first document.
    open: Option<bool>,
    changed: bool,
    misnamed: bool,
}

impl<W: Write> Filter<'_, W> {
    fn file(&mut self, source: &ManifestSource) -> Result<()> {
        let name = source.name();
        let mut documents = Documents::open(source)?;
        if let Some(text) = documents.json()? {
            // A YAML flow mapping starts in the same way.
            if let Some(objects) = yaml::json(&text) {
                for (number, (line, object)) in (1..).zip(objects) {
                    self.document((&name, line, number), &Text::Json(object))?;
                }
            } else {
                let mut number = 0;
                for chunk in yaml::chunks(&text) {
                    self.chunk(&name, &mut number, chunk)?;
                }
            }
            return Ok(());
        }
        let mut number = 0;
        while let Some((line, text)) = documents.next()? {
            self.chunk(&name, &mut number, Chunk::new(text, line))?;
        }
        Ok(())
    }

    fn chunk(&mut self, file: &str, number: &mut usize, chunk: Chunk<'_>) -> Result<()> {
        *number += usize::from(!chunk.body.is_empty());
        self.document((file, chunk.line, *number), &Text::Yaml(chunk))
    }

    fn document(&mut self, place: (&str, usize, usize), text: &Text<'_>) -> Result<()> {
        let rendered = render(&self.how, self.format, place, text).map_err(|error| {
            Failure::usage(Topic::Manifest, format!("{error}."), "Fix the file at that place.")
        })?;
        let Rendered { text, bare, changed, warnings, misnamed } = rendered;
        self.misnamed |= misnamed;
        for warning in warnings {
            self.terminal.warn(&format!("{}:{}: {}", place.0, place.1, warning.message()));
        }
        self.changed |= changed;
        if text.is_empty() {
            return Ok(());
        }
        if self.open == Some(true) {
            self.out.write_all(b"\n")?;
        }
        if self.open.is_some() && bare {
            self.out.write_all(b"---\n")?;
        }
        self.out.write_all(text.as_bytes())?;
        self.open = Some(!text.ends_with('\n'));
        Ok(())
    }
}
