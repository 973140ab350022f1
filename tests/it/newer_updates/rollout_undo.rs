//! `kubectl rollout undo` of a restored workload.

use diyadm::workload::{DISABLED, LABEL, OptOut, Rules, Settled, Subject};
use serde_json::json;

use super::{reviewed, start};
use crate::generated::{LAST_APPLIED, applied};

/// `kubectl rollout undo` brings back template and annotations of the emptied revision.
#[test]
fn rollout_undo_to_an_emptied_revision_stays_restored() {
    let rules = Rules::default();
    let emptied = reviewed(&rules, None, &start()).1;
    let text = emptied.to_string();
    let opted_out = applied(&emptied, &Subject::parse(&text).unwrap().restore(OptOut::Set, None));
    let (settled, live) = reviewed(&rules, Some(&opted_out), &emptied);
    assert_eq!((settled, live), (Settled::Restored, opted_out));
}

/// A revision from before the workload was restored does not end the opt-out. A user who removes the
/// annotation alone, or from the own manifest, does.
#[test]
fn opt_out_survives_rollout_undo() {
    let rules = Rules::default();
    let mut opted_out = start();
    opted_out["metadata"]["annotations"][LABEL] = json!(DISABLED);
    let mut older = start();
    older["spec"]["template"]["spec"]["containers"][0]["image"] = json!("app:0");
    let mut kept = older.clone();
    kept["metadata"]["annotations"][LABEL] = json!(DISABLED);
    assert_eq!(reviewed(&rules, Some(&opted_out), &older), (Settled::Unchanged, kept));
    let bare = reviewed(&rules, Some(&opted_out), &start());
    assert_eq!(bare.0, Settled::Emptied);

    let own = json!({ "f:metadata": { "f:annotations": { (format!("f:{LABEL}")): {} } } });
    let mut applied = opted_out.clone();
    applied["metadata"]["managedFields"] = json!([{ "operation": "Apply", "fieldsV1": own }]);
    assert_eq!(reviewed(&rules, Some(&applied), &older).0, Settled::Emptied);
    let mut applied = opted_out;
    applied["metadata"]["annotations"][LAST_APPLIED] =
        json!(json!({ "metadata": { "annotations": { LABEL: DISABLED } } }).to_string());
    assert_eq!(reviewed(&rules, Some(&applied), &older).0, Settled::Emptied);
}
