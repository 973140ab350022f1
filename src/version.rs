//! What this program was built from. Pure.

use std::env::consts;

use serde::{Serialize, Serializer};

/// Version, commit and platform, in the words of `kubectl version -o json`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// `v0.1.0`
    pub git_version: &'static str,
    /// The commit, if the build was given it (`DIYADM_COMMIT`), as releases are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<&'static str>,
    /// `linux/amd64`, as Go names it.
    #[serde(serialize_with = "as_go")]
    pub platform: Platform,
}

/// System and processor, as Rust names them.
pub type Platform = (&'static str, &'static str);

/// This program.
pub const OWN: Build = Build {
    git_version: concat!("v", env!("CARGO_PKG_VERSION")),
    git_commit: option_env!("DIYADM_COMMIT"),
    platform: (consts::OS, consts::ARCH),
};

fn as_go<S: Serializer>((os, arch): &Platform, serializer: S) -> Result<S::Ok, S::Error> {
    let os = if *os == "macos" { "darwin" } else { os };
    serializer.collect_str(&format_args!("{os}/{}", diyadm_image::architecture(arch)))
}

/// Why a webhook of version `server` and this program of version `client` are not supported
/// together: they differ by more than one minor version. `None` also for what is no version.
pub fn skew(client: &str, server: &str) -> Option<String> {
    let (one, other) = (minor(client)?, minor(server)?);
    let is_supported = one.0 == other.0 && one.1.abs_diff(other.1) <= 1;
    let problem =
        || format!("it differs by more than one minor version from this diyadm, {client}");
    (!is_supported).then(problem)
}

/// Major and minor version of `v0.1.0`.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix('v')?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_supported_up_to_one_minor_apart() {
        for (client, server, supported) in [
            ("v0.3.0", "v0.3.9", true),
            ("v0.3.0", "v0.2.1", true),
            ("v0.3.0", "v0.4.0-rc.1", true),
            ("v0.3.0", "v0.5.0", false),
            ("v0.3.0", "v0.1.0", false),
            ("v1.0.0", "v0.9.0", false),
            ("v0.3.0", "unknown", true),
        ] {
            assert_eq!(skew(client, server).is_none(), supported, "{client} and {server}");
        }
        assert!(minor(OWN.git_version).is_some());
    }
}
