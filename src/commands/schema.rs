//! `diyadm schema`: prints a JSON schema.

use anyhow::Result;

use crate::{
    cli::{schema::Schema, schemas},
    exit::Code,
    ui::terminal,
};

pub(super) fn run(args: &Schema) -> Result<Code> {
    terminal::print(&schemas::text(args.name)?)?;
    Ok(Code::Done)
}
