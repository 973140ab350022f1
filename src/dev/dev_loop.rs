//! What the developer's loop goes by.

use std::cell::RefCell;

use super::{forward::Bound, pods::Pick, session::Session, sources::Sources};
use diyadm_agent::protocol::Start;

/// What the loop goes by.
pub(crate) struct Loop<'a> {
    /// The workload.
    pub(crate) session: &'a Session<'a>,
    /// The project.
    pub(crate) sources: Sources<'a>,
    /// What runs.
    pub(crate) start: Start,
    /// Whether a change starts it again.
    pub(crate) restart: bool,
    /// Ports of this side.
    pub(crate) bound: Vec<Bound>,
    /// Where the application was started last.
    pub(crate) started: RefCell<Option<Pick>>,
}
