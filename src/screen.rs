//! The screen of `diyadm ui`: rows and keys → a model, and a model → what a terminal shows. Pure: what
//! the cluster and the agents say is passed in, and what is to be done is returned.

mod action;
mod draw;
mod edit;
mod help;
mod item;
mod left;
mod model;

pub use action::KeyAction;
pub use draw::{Palette, draw, printed};
pub use item::{Item, ItemKey, Usage, items};
pub use model::{Model, Place, Request};

#[cfg(test)]
mod tests;
