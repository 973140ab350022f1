//! How long a workload stays empty, and an application runs: `8h`.

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de::Error as _};

/// A positive duration of at most 1000 years, from `30m`, `8h` or `1h30m`.
///
/// # Errors
/// A sentence without its full stop.
pub fn lease_time(text: &str) -> Result<SignedDuration, String> {
    let most = SignedDuration::from_hours(1000 * 366 * 24);
    let time = text.parse().ok().filter(|time| *time >= SignedDuration::from_millis(1));
    time.filter(|time| *time <= most).ok_or_else(|| "use 30m, 8h or 1h30m".to_owned())
}

/// [`lease_time`] in rules.yaml.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<SignedDuration>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let read = |text: String| {
        let wrong = |why| D::Error::custom(format!("`for` has the value {text:?}: {why}"));
        lease_time(&text).map_err(wrong)
    };
    text.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::parse_rules;

    #[test]
    fn times_are_positive_durations() {
        for (text, minutes) in [("30m", 30), ("8h", 480), ("1h30m", 90)] {
            assert_eq!(lease_time(text), Ok(SignedDuration::from_mins(minutes)), "{text}");
        }
        for text in ["", "8", "-1h", "0s", "soon", "99999999h"] {
            assert!(lease_time(text).is_err(), "{text}");
        }
        let error = parse_rules("rules:\n- for: soon\n").unwrap_err().to_string();
        assert!(error.contains("`for` has the value \"soon\": use 30m, 8h"), "{error}");
    }
}
