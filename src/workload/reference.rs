//! Image references, as far as it takes to know an image again after another admission plugin has
//! rewritten it: a registry mirror in front, a digest behind, a tag that was not there.

use std::borrow::Cow;

use crate::json;

/// `registry/path/name:tag@digest`
struct Reference<'a> {
    /// The last component of its path.
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    fn read(text: &'a str) -> Self {
        let (path, digest) = match text.split_once('@') {
            Some((path, digest)) => (path, Some(digest)),
            None => (text, None),
        };
        let last = path.rsplit('/').next().unwrap_or_default();
        let (name, tag) = match last.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (last, None),
        };
        Self { name, tag, digest }
    }
}

/// The last component of an image's path: `empty-container`.
pub(super) fn name(image: &str) -> &str {
    Reference::read(image).name
}

/// Whether `image` is the image `empty`, maybe rewritten. `own` is the application's image: where
/// that has the same name as the empty one, another tag is another image.
pub(super) fn is_form_of(image: &str, empty: &str, own: Option<&str>) -> bool {
    let [image, empty] = [image, empty].map(Reference::read);
    let tag = |of: &Reference<'_>| of.tag.unwrap_or("latest").to_owned();
    let is_pinned = image.digest.is_some() && image.tag.is_none();
    !empty.name.is_empty()
        && image.name == empty.name
        && (is_pinned
            || tag(&image) == tag(&empty)
            || own.is_none_or(|own| Reference::read(own).name != empty.name))
}

/// [`is_form_of`] of JSON texts; an absent image is a form of nothing.
pub(super) fn is_form(image: Option<&str>, empty: Option<&str>, own: Option<&str>) -> bool {
    let (Some(image), Some(empty)) = (image.and_then(json::string), empty.and_then(json::string))
    else {
        return false;
    };
    let own: Option<Cow<'_, str>> = own.and_then(json::string);
    is_form_of(&image, &empty, own.as_deref())
}

/// Whether `image` is `wanted` with something added to it: then it was rewritten, and not chosen.
pub(super) fn is_extended(image: &str, wanted: &str) -> bool {
    let begins = |rest: &str| rest.is_empty() || rest.starts_with(['@', ':']);
    let found = image.match_indices(wanted);
    let mut found = found.map(|(at, text)| (&image[..at], &image[at + text.len()..]));
    !wanted.is_empty()
        && found
            .any(|(before, after)| (before.is_empty() || before.ends_with('/')) && begins(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewritten_images_are_known_again() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for empty in ["empty-container:latest", "empty-container", "hub.example:5000/t/tools:1"] {
            let own = Some("hub.example/app:2");
            let (path, tag) = empty
                .rsplit_once(':')
                .filter(|(_, t)| !t.contains('/'))
                .unwrap_or((empty, "latest"));
            let last = path.rsplit('/').next().unwrap();
            for image in [
                empty.to_owned(),
                format!("mirror.example/{empty}"),
                format!("mirror.example:5000/proxy/library/{last}:{tag}"),
                format!("{path}@{digest}"),
                format!("{path}:{tag}@{digest}"),
                format!("mirror.example/{path}@{digest}"),
                format!("{path}:{tag}"),
                format!("{path}:other"),
            ] {
                assert!(is_form_of(&image, empty, own), "{image} of {empty}");
            }
            for image in ["hub.example/app:3", "", ":", "x/not-empty-container:latest", "tool:1"] {
                assert!(!is_form_of(image, empty, own), "{image} of {empty}");
            }
        }
        assert!(!is_form_of("jdk:17", "m/jdk:21", Some("jdk:11")));
        assert!(is_form_of("x/m/jdk:21", "m/jdk:21", Some("jdk:11")));
        assert!(!is_form_of("", "", None));
    }

    #[test]
    fn what_was_added_to_an_image_is_seen() {
        for (image, is) in [
            ("empty:1", true),
            ("mirror/x/empty:1", true),
            ("empty:1@sha256:ab", true),
            ("empty:12", false),
            ("my-empty:1", false),
            ("empty:2", false),
        ] {
            assert_eq!(is_extended(image, "empty:1"), is, "{image}");
        }
        assert!(!is_extended("empty:1", "mirror/empty:1"));
    }
}
