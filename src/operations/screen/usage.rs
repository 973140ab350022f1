//! What applications use, as their agents say.

use std::{collections::BTreeMap, time::Instant};

use super::VisibleRows;
use crate::{
    operations::status::applications::{Agents, state},
    screen::{ItemKey, Usage},
};
use diyadm_agent::protocol::State;

/// Asks the agents of these rows; a row without an answer is missing. Times count from `started`.
pub(super) async fn usages(
    agents: &mut Agents<'_>,
    VisibleRows { rows, objects, pods }: &VisibleRows,
    started: Instant,
) -> Vec<(ItemKey, Usage)> {
    let answers = agents.ask(rows, objects, pods).await;
    let at_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut usages: BTreeMap<usize, Usage> = BTreeMap::new();
    for answer in answers {
        let usage = usages.entry(answer.row).or_insert_with(|| Usage { at_ms, ..Usage::default() });
        for lease in answer.apps.leases {
            let known = usage.left_ms.into_iter();
            usage.left_ms = known.chain(lease.left_ms).min();
            if !usage.who.contains(&lease.who) {
                usage.who.push(lease.who);
            }
        }
        for app in answer.apps.apps {
            usage.cpu_ms += app.cpu_ms;
            usage.rss += app.rss;
            let shown = match app.state {
                State::Running => app.name,
                _ => format!("{} {}", app.name, state(&app)),
            };
            if !usage.applications.contains(&shown) {
                usage.applications.push(shown);
            }
        }
    }
    usages.into_iter().map(|(row, usage)| (ItemKey::of_row(&rows[row]), usage)).collect()
}
