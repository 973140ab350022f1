//! Options of the developer's loop.

use std::cell::RefCell;

use super::{forward::Bound, pods::Pick, session::Session, sources::Sources};
use diyadm_agent::protocol::Start;

/// Options of the developer's loop.
pub(crate) struct Loop<'a> {
    /// The workload.
    pub(crate) session: &'a Session<'a>,
    /// The project.
    pub(crate) sources: Sources<'a>,
    /// What runs.
    pub(crate) start: Start,
    /// Whether a change restarts it.
    pub(crate) restart: bool,
    /// Local ports.
    pub(crate) bound: Vec<Bound>,
    /// Where the application was started last.
    pub(crate) started: RefCell<Option<Pick>>,
}
