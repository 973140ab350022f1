//! Quantities of resources in the API server's canonical form, so that a value that emptying set is
//! recognised when it is read again.

/// One thousand-millionth: the smallest amount that a quantity can have.
const NANO: u128 = 1_000_000_000;
/// Suffixes of powers of 1000, from the smallest.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// Suffixes of powers of 1024, from the smallest.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// The canonical form of a quantity that is not negative: `0.5` is `500m`, `1024Mi` is `1Gi`.
///
/// # Errors
/// In a few words, what it is instead.
pub(super) fn canonical(text: &str) -> Result<String, String> {
    parse(text).ok_or_else(|| format!("{text:?} is not a quantity like 500m, 2, 1.5 or 4Gi"))
}

fn parse(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 18 || fraction.contains('.') {
        return None;
    }
    let digits: u128 = digits.parse().ok()?;
    let parts = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let power = |all: &[&str]| {
        all.iter().position(|known| *known == suffix).and_then(|at| u32::try_from(at).ok())
    };
    // In thousand-millionths, rounded up.
    let (nanos, is_binary) = match (power(&DECIMAL), power(&BINARY)) {
        (Some(power), _) => {
            (digits.checked_mul(1000_u128.checked_pow(power)?)?.div_ceil(parts), false)
        }
        (None, Some(power)) => {
            let all = digits.checked_mul(1024_u128.checked_pow(power)?)?.checked_mul(NANO)?;
            (all.div_ceil(parts), true)
        }
        (None, None) => return None,
    };
    Some(if is_binary && nanos >= 1024 * NANO {
        shown(nanos.div_ceil(NANO), 1024, &BINARY)
    } else {
        shown(nanos, 1000, &DECIMAL)
    })
}

/// The number with the largest suffix that leaves it whole.
fn shown(mut number: u128, base: u128, suffixes: &[&str]) -> String {
    if number == 0 {
        return "0".to_owned();
    }
    let mut power = 0;
    while number.is_multiple_of(base) && power + 1 < suffixes.len() {
        (number, power) = (number / base, power + 1);
    }
    format!("{number}{}", suffixes[power])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantity_has_the_form_of_the_api_server() {
        for (text, form) in [
            ("2", "2"),
            ("0", "0"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("2.", "2"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("1000000k", "1G"),
            ("0.0000000001", "1n"),
            ("4096Mi", "4Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Gi", "512Mi"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("1.2Ki", "1229"),
            ("123", "123"),
            ("2Ei", "2Ei"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(form), "{text}");
        }
        for text in
            ["", ".", "Gi", "1.2.3", "-1", "1 Gi", "1gi", "1e3", "x", "1".repeat(19).as_str()]
        {
            assert!(canonical(text).is_err(), "{text}");
        }
    }
}
