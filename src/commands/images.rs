//! `diyadm images`: lists diyadm's own images, and writes archives of them.

use std::{
    env::consts,
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::Result;
use diyadm_image::Image;
use serde_json::json;

use crate::{
    cli::{
        Global,
        images::{Images, List, Save},
    },
    exit::Code,
    operations::{
        images::OwnImage,
        outcomes,
        staged_files::{Staged, unwritable},
    },
    ui::{
        self,
        terminal::{self, Terminal},
        text,
    },
};

pub(super) fn run(global: &Global, args: &Images) -> Result<Code> {
    match args {
        Images::List(args) => list(args)?,
        Images::Save(args) => save(global, args)?,
    }
    Ok(Code::Done)
}

fn list(args: &List) -> Result<()> {
    let images = OwnImage::ALL.map(|own| (args.registry.image(own.name()), own.used_by()));
    match args.output {
        None => {
            let rows = images.map(|(image, used_by)| vec![image, used_by.to_owned()]);
            let head = vec!["IMAGE".to_owned(), "USED BY".to_owned()];
            terminal::print_text(&text::columns(&[&[head], &rows[..]].concat()))
        }
        Some(output) => {
            let images =
                images.map(|(image, used_by)| json!({ "image": image, "usedBy": used_by }));
            outcomes::print(output, &json!({ "images": images }))
        }
    }
}

fn save(global: &Global, args: &Save) -> Result<()> {
    let terminal = Terminal::new(&global.terminal);
    let wanted = if args.images.is_empty() { &OwnImage::ALL[..] } else { &args.images };
    let arch = args.arch.as_deref().unwrap_or(consts::ARCH);
    let images = wanted.iter().map(|own| own.image(arch, &args.registry));
    let images = images.collect::<Result<Vec<_>>>()?;
    if args.output == Path::new("-") {
        write(&images, ui::stdout())?;
    } else {
        let staged = Staged::with(&args.output, 0o644, |file| write(&images, file));
        staged
            .and_then(Staged::place)
            .map_err(|error| unwritable(&args.output, &error, "--output FILE"))?;
    }
    for Image { tag, architecture, .. } in &images {
        terminal.done(&format!("image {tag} for {architecture} saved"), None);
    }
    if wanted.contains(&OwnImage::EmptyContainer) {
        terminal.say(&format!(
            "{} has the agent alone, with its small shell: there is no distribution in it.",
            args.registry.image(OwnImage::EmptyContainer.name())
        ));
    }
    Ok(())
}

fn write(images: &[Image], out: impl Write) -> io::Result<()> {
    let written = diyadm_image::write(images, BufWriter::new(out));
    written.map_err(|error| error.downcast::<io::Error>().unwrap_or_else(io::Error::other))
}
