//! AdmissionReviews of Deployments of a size, as an API server posts them.
//!
//! Both were recorded from kube-apiserver v1.36 for the same Java service: one container with two
//! probes, resources, environment, a ConfigMap and a Secret. A real one grows with what it is told
//! through its environment, so larger ones have more of that, in each place where an API server
//! repeats it: the container, managedFields, and kubectl's last-applied-configuration.

/// After `kubectl apply --server-side`, 4 KB: half of it is the Deployment, a quarter
/// managedFields.
const SERVER_SIDE: &str = include_str!("server-side.json");
/// After `kubectl apply`, 7 KB: a third is the Deployment, a third managedFields, a third the
/// manifest again, as a string full of escapes.
const CLIENT_SIDE: &str = include_str!("client-side.json");

/// The environment's two entries that are repeated, in each place. `_N` makes a name of its own.
const ENTRIES: [(&str, &str); 6] = [
    ("{\"name\":\"ORDERS_DB_URL\",\"value\":", "}"),
    ("{\"name\":\"ORDERS_DB_PASSWORD\",\"valueFrom\":", "}}}"),
    ("\"k:{\\\"name\\\":\\\"ORDERS_DB_URL\\\"}\":", "}}"),
    ("\"k:{\\\"name\\\":\\\"ORDERS_DB_PASSWORD\\\"}\":", "}}}"),
    ("{\\\"name\\\":\\\"ORDERS_DB_URL\\\",\\\"value\\\":", "}"),
    ("{\\\"name\\\":\\\"ORDERS_DB_PASSWORD\\\",\\\"valueFrom\\\":", "}}}"),
];

/// A review of about `size` bytes; 4 KB are the least.
pub(super) fn of(size: usize) -> Vec<u8> {
    let recorded = if size < CLIENT_SIDE.len() { SERVER_SIDE } else { CLIENT_SIDE };
    let hundred = grown(recorded, 100).len() - recorded.len();
    grown(recorded, size.saturating_sub(recorded.len()) * 100 / hundred).into_bytes()
}

/// With `more` entries of each kind.
fn grown(recorded: &str, more: usize) -> String {
    let mut text = recorded.trim_end().to_owned();
    for (begin, end) in ENTRIES {
        let Some(start) = text.find(begin) else { continue };
        let Some(length) = text[start..].find(end) else { continue };
        let entry = text[start..start + length + end.len()].to_owned();
        let another = |n| format!(",{}", entry.replacen("ORDERS_DB", &format!("ORDERS_{n}"), 1));
        let others: String = (0..more).map(another).collect();
        text.insert_str(start + entry.len(), &others);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn generated_review_has_the_requested_size() {
        for (size, places) in [(4 << 10, 0), (14 << 10, 3), (300 << 10, 3)] {
            let review = of(size);
            // As near as whole entries come.
            let off = review.len().abs_diff(size);
            assert!(off < 1000.max(size / 100), "{} instead of {size}", review.len());
            let text = String::from_utf8(review).unwrap();
            assert_eq!(text.matches('{').count(), text.matches('}').count());
            for name in ["ORDERS_0_URL", "ORDERS_0_PASSWORD"] {
                assert_eq!(text.matches(name).count(), places, "{name} in {size} bytes");
            }
        }
    }
}
