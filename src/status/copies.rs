//! Copies of workloads (`empty --copy`), next to their originals.

use super::{Row, State};

/// Notes which copies have an original that is not empty, and so has no row. `exists` returns
/// whether there is `deployment/shop` in this namespace.
pub fn note_originals(rows: &mut [Row], exists: impl Fn(&str, &str) -> bool) {
    let key =
        |row: &Row| (row.namespace.clone(), format!("{}/{}", row.kind.to_lowercase(), row.name));
    let empty: Vec<_> = rows.iter().map(key).collect();
    for row in rows.iter_mut().filter(|row| row.state == State::Empty) {
        let Some(original) = row.copy_of.clone() else { continue };
        if exists(&row.namespace, &original) && !empty.contains(&(row.namespace.clone(), original))
        {
            row.note.push_str(", which is not empty");
        }
    }
}
