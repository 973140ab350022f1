//! Which versions of Kubernetes are supported.

/// The oldest supported minor version of Kubernetes 1.
pub const OLDEST: u32 = 26;
/// The newest minor version of Kubernetes 1 that diyadm is tested on.
pub const NEWEST: u32 = 36;

/// The minor version in a `gitVersion`, also of a vendor's (`v1.30.2-gke.1`, `v1.34+`).
pub fn minor(version: &str) -> Option<u32> {
    let minor = version.strip_prefix("v1.")?;
    let end = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
    minor[..end].parse().ok()
}

/// The problem of a version that is too old, with a hint; `None` for a supported or unparsable
/// version.
pub fn unsupported(version: &str) -> Option<(String, String)> {
    let what = match minor(version)? {
        OLDEST.. => return None,
        minor => {
            let lacks = match minor {
                ..16 => ", and this one has no admissionregistration.k8s.io/v1 (1.16)",
                16..23 => ", and this one has no autoscaling/v2 (1.23)",
                _ => "",
            };
            format!(
                "the API server is {version}; diyadm supports Kubernetes 1.{OLDEST} to \
                 1.{NEWEST}{lacks}"
            )
        }
    };
    let hint = "Upgrade the cluster; `kubectl version` shows its version.";
    Some((what, hint.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_api_server_versions_are_named() {
        for version in ["v1.26.0", "v1.26+", "v1.30.2-gke.1", "v1.36.3", "v1.37.0-alpha.1", "odd"] {
            assert_eq!(unsupported(version), None, "{version}");
        }
        for (version, word) in [
            ("v1.25.16-eks-1", "supports Kubernetes 1.26 to 1.36"),
            ("v1.22.17", "autoscaling/v2 (1.23)"),
            ("v1.15.12", "admissionregistration.k8s.io/v1 (1.16)"),
        ] {
            let (what, hint) = unsupported(version).unwrap();
            assert!(what.contains(version) && what.contains(word), "{what}");
            assert!(hint.contains("`kubectl version`"), "{hint}");
        }
    }
}
