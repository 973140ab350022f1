//! The container's side: what is said, what runs, what is received, with real processes.

mod protocol;
