//! Validates images in flags, rules.yaml and annotations, for the webhook and for the policy's CEL.

use crate::workload::shape::name_of;

/// The value that keeps a container's own image.
pub const KEEP: &str = "keep";

/// Maximum bytes of a reference: name (255), tag (128), digest (sha512 in hex), and separators.
pub const LONGEST_IMAGE: usize = 255 + 1 + 128 + 1 + 7 + 128;

/// Ranges of white space and control characters, which image names never contain.
pub const NOT_IN_IMAGE: [(char, char); 8] = [
    ('\0', ' '),
    ('\u{7f}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
];

/// `text`, if it can be an image or is [`KEEP`].
///
/// The registry's grammar is stricter; the kubelet reports invalid names that pass here. Names that
/// fail here would make the object invalid.
///
/// # Errors
/// In a few words, what it is instead.
pub fn image_name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("the name of the image is empty".to_owned());
    }
    if text.len() > LONGEST_IMAGE {
        return Err(format!("the name of the image has more than {LONGEST_IMAGE} characters"));
    }
    if text.chars().any(is_odd) {
        return Err(format!("{text:?} is not an image name: it contains white space"));
    }
    Ok(text.to_owned())
}

/// `text` without a slash at its end, if it can stand before the name of an image: `HOST[:PORT]`,
/// perhaps with a path.
///
/// # Errors
/// In a few words, what it is instead.
pub fn registry(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return Err("a registry is HOST or HOST:PORT, perhaps with a path, without https://".into());
    }
    let registry = text.trim_end_matches('/');
    if registry.is_empty() {
        return Err("the name of the registry is empty".to_owned());
    }
    if registry.contains('@') || registry == KEEP {
        return Err(format!("{text:?} is not the name of a registry"));
    }
    image_name(registry)
}

/// `text`, if a Secret can have this name.
///
/// # Errors
/// In a few words, what it is instead.
pub fn secret_name(text: &str) -> Result<String, String> {
    name_of("a Secret", text)
}

fn is_odd(c: char) -> bool {
    NOT_IN_IMAGE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_image_references_are_refused() {
        let digest = "a".repeat(64);
        for image in ["a", "keep", "r:5000/a/b:1", &format!("r.io/a:1@sha256:{digest}")] {
            assert_eq!(image_name(image).unwrap(), image);
        }
        for image in ["", " ", "a b", "a\n", "a\u{a0}b", &"a".repeat(LONGEST_IMAGE + 1)] {
            image_name(image).unwrap_err();
        }
    }

    #[test]
    fn registry_is_a_host_with_an_optional_path() {
        for (text, expected) in [("r.example", "r.example"), ("r:5000/team/", "r:5000/team")] {
            assert_eq!(registry(text).unwrap(), expected);
        }
        for text in ["", "/", "https://r.example", "r.example/a@sha256:1", "a b", "keep"] {
            registry(text).unwrap_err();
        }
    }

    #[test]
    fn image_references_with_white_space_or_control_characters_are_refused() {
        for c in '\0'..=char::MAX {
            assert_eq!(is_odd(c), c.is_whitespace() || c.is_control(), "{c:?}");
        }
    }
}
