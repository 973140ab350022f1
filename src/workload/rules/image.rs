//! Which images can be: asked of flags, of rules.yaml and of annotations alike.

/// The word for a container's own image.
pub const KEEP: &str = "keep";

/// A reference with its name (255), tag (128) and digest (sha512, in hex) at their longest, and
/// what stands between them.
const LONGEST: usize = 255 + 1 + 128 + 1 + 7 + 128;

/// `text` where it can be an image, or [`KEEP`].
///
/// The registry's grammar has more to it; what passes here and is none is told by the kubelet. An
/// object with what does not pass would be refused, or never start.
///
/// # Errors
/// In a few words, what it is instead.
pub fn image_name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("an image has a name".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!("an image's name is no longer than {LONGEST} characters"));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("{text:?} is no image: there is white space in it"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_registry_can_have_is_refused() {
        let digest = "a".repeat(64);
        for image in ["a", "keep", "r:5000/a/b:1", &format!("r.io/a:1@sha256:{digest}")] {
            assert_eq!(image_name(image).unwrap(), image);
        }
        for image in ["", " ", "a b", "a\n", "a\u{a0}b", &"a".repeat(LONGEST + 1)] {
            image_name(image).unwrap_err();
        }
    }
}
