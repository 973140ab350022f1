//! The same without an agent: what was cut is sent anew, and nobody ever sees a part of it.

use super::{
    super::{
        rig::{Workspace, wait_until},
        sync_without_agent::{of_host, pod},
    },
    *,
};

const SYNCS: usize = 16;

#[test]
fn synced_file_is_whole_after_cut_connections_without_agent() {
    let node = require!(Workspace::on_node("cut-plain"));
    let name = node.name;
    let there = tempfile::tempdir().unwrap();
    pod(&node, name, "cut", &of_host(there.path()));
    // All of it goes, and a cut may be anywhere in that.
    let anywhere = |random: &mut Random, _| random.cuts(LENGTH as u64);
    let reads = sync_and_cut((&node, name), there.path(), SYNCS, anywhere);
    reads.unwrap();
    // The far end of a connection that was cut clears up when it notices.
    wait_until("what is left is the file alone", || names(there.path()) == ["app.jar"]);
}
