//! Image references, to recognise an image that another admission plugin has rewritten: with a
//! registry mirror, a digest or an added tag.

use std::borrow::Cow;

use crate::json;

/// The blog's image.
pub const EMPTY_IMAGE: &str = "empty-container:latest";

/// `registry/path/name:tag@digest`
struct Reference<'a> {
    /// Everything before the tag and the digest.
    repository: &'a str,
    /// The last component of the repository.
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    fn parse(text: &'a str) -> Self {
        let (path, digest) = match text.split_once('@') {
            Some((path, digest)) => (path, Some(digest)),
            None => (text, None),
        };
        let last = path.rsplit('/').next().unwrap_or_default();
        let (name, tag) = match last.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (last, None),
        };
        let repository = &path[..path.len() - last.len() + name.len()];
        Self { repository, name, tag, digest }
    }

    /// Whether it has the same tag as another, or a digest instead.
    fn has_tag_of(&self, other: &Self) -> bool {
        let is_pinned = self.digest.is_some() && self.tag.is_none();
        is_pinned || self.tag.unwrap_or("latest") == other.tag.unwrap_or("latest")
    }

    /// Whether it has the same name as another, or a mirror has put the path into the name:
    /// `docker-tools`, `quay.io_a_tools`.
    fn is_named_as(&self, other: &Self) -> bool {
        let before = self.name.strip_suffix(other.name).filter(|_| !other.name.is_empty());
        before.is_some_and(|before| before.is_empty() || before.ends_with(['-', '_', '.']))
    }

    /// Whether it equals another, possibly with a registry prefix.
    fn is_behind_mirror(&self, other: &Self) -> bool {
        let before = self.repository.strip_suffix(other.repository);
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
            && self.has_tag_of(other)
    }
}

/// The last component of an image's path: `empty-container`.
pub(super) fn name(image: &str) -> &str {
    Reference::parse(image).name
}

/// Whether `image` is the image `empty`, possibly rewritten. `own` is the application's image: if
/// both have the same name, an image is recognised only by its whole path, and an image of the
/// application's repository is an update.
pub(super) fn is_form_of(image: &str, empty: &str, own: Option<&str>) -> bool {
    let [image, empty] = [image, empty].map(Reference::parse);
    let own = own.map(Reference::parse);
    match own.filter(|own| own.is_named_as(&empty)) {
        Some(own) => image.repository != own.repository && image.is_behind_mirror(&empty),
        None => image.is_named_as(&empty),
    }
}

/// Whether `image` is certainly `empty`, possibly behind a mirror, for any application image: by
/// its path, or by the name of diyadm's own image.
pub(super) fn is_surely(image: &str, empty: &str) -> bool {
    let [image, empty] = [image, empty].map(Reference::parse);
    let is_own = [&image, &empty].iter().all(|one| one.name == name(EMPTY_IMAGE));
    is_own || (empty.repository.contains('/') && image.is_behind_mirror(&empty))
}

/// [`is_form_of`] for JSON texts; an absent image matches nothing.
pub(super) fn is_form(image: Option<&str>, empty: Option<&str>, own: Option<&str>) -> bool {
    let (Some(image), Some(empty)) = (image.and_then(json::string), empty.and_then(json::string))
    else {
        return false;
    };
    let own: Option<Cow<'_, str>> = own.and_then(json::string);
    is_form_of(&image, &empty, own.as_deref())
}

/// Whether two images, as JSON texts, have the same repository, with any tags and digests.
pub(super) fn share_repository(one: Option<&str>, other: Option<&str>) -> bool {
    let images = one.and_then(json::string).zip(other.and_then(json::string));
    images.is_some_and(|(one, other)| {
        let [one, other] = [&one, &other].map(|image| Reference::parse(image));
        one.repository == other.repository
    })
}

/// Whether an image may be a newer version of the application's image `own`; JSON texts.
pub(super) fn is_of_application(image: Option<&str>, own: Option<&str>) -> bool {
    let images = image.and_then(json::string).zip(own.and_then(json::string));
    images.is_some_and(|(image, own)| Reference::parse(&image).is_named_as(&Reference::parse(&own)))
}

/// Whether `image` is `wanted` with additions: then it was rewritten, and not chosen by a user.
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
    fn rewritten_image_references_are_recognized() {
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
            for image in ["hub.example/app:3", "", ":", "x/notempty-container:latest", "tool:1"] {
                assert!(!is_form_of(image, empty, own), "{image} of {empty}");
            }
        }
        assert!(!is_form_of("jdk:17", "m/jdk:21", Some("jdk:11")));
        assert!(is_form_of("x/m/jdk:21", "m/jdk:21", Some("jdk:11")));
        assert!(!is_form_of("", "", None));
        // A mirror that puts the path into the name.
        assert!(is_form_of("m/cache/docker-tools:1", "tools:1", Some("app:1")));
        assert!(is_form_of("m/quay.io_a_tools:1", "quay.io/a/tools:1", Some("app:1")));
    }

    #[test]
    fn application_images_are_not_mistaken_for_the_empty_image() {
        for (image, empty, own) in [
            ("jdk:17", "tools.corp/jdk:17", "jdk:17"),
            ("jdk:18", "tools.corp/jdk:17", "jdk:17"),
            ("hub/acme/jdk:17", "tools.corp/jdk:17", "hub/acme/jdk:16"),
            ("reg/jdk@sha256:bb", "reg2/jdk:17", "reg/jdk@sha256:aa"),
            ("reg/base-jdk:2", "jdk:2", "reg/base-jdk:1"),
        ] {
            assert!(!is_form_of(image, empty, Some(own)), "{image} of {empty}");
        }
        assert!(is_form_of("m/tools.corp/jdk:17", "tools.corp/jdk:17", Some("jdk:17")));
        assert!(is_form_of("tools.corp/jdk@sha256:aa", "tools.corp/jdk:17", Some("jdk:17")));
    }

    #[test]
    fn without_original_only_whole_image_paths_match() {
        assert!(is_surely("m/tools.corp/jdk:17", "tools.corp/jdk:17"));
        assert!(is_surely("m/x/empty-container@sha256:aa", "empty-container:latest"));
        assert!(!is_surely("hub/jdk:17", "tools/jdk:17"));
        assert!(!is_surely("hub/jdk:17", "jdk:17"));
        assert!(!is_surely("tools/jdk:18", "tools/jdk:17"));
    }

    #[test]
    fn mirrored_image_is_recognized() {
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
