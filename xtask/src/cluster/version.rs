//! Versions of Kubernetes: the one that everything is tested on, and others for `--kubernetes`.

use std::{fmt, str::FromStr};

use anyhow::{Context, Result};

/// Of Kubernetes 1.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(super) minor: u32,
    pub(super) patch: u32,
}

impl Version {
    /// What everything is tested on.
    pub(crate) const TESTED: Self = Self { minor: 36, patch: 3 };

    /// Whether a program that prints `said` is of this version: exactly, or, for the one that
    /// everything is tested on, by its minor version.
    pub(super) fn is_of(self, said: &str) -> bool {
        said.split_whitespace().any(|word| match word.parse::<Self>() {
            Ok(found) if self == Self::TESTED => found.minor == self.minor,
            Ok(found) => found == self,
            Err(_) => false,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}.{}", self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (minor, patch) = text.strip_prefix("v1.")?.split_once('.')?;
            Some(Self { minor: minor.parse().ok()?, patch: patch.parse().ok()? })
        };
        parse().with_context(|| format!("`{text}` is not a version of Kubernetes like v1.34.2"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_versions_are_parsed() {
        let version: Version = "v1.34.2".parse().unwrap();
        assert_eq!(version.to_string(), "v1.34.2");
        for wrong in ["1.34.2", "v1.34", "v2.34.2", "v1.34.2-rc.1", "v1.x.2", ""] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
        assert!(version.is_of("Kubernetes v1.34.2\n"));
        assert!(!version.is_of("Kubernetes v1.34.3\n"));
        let tested = Version::TESTED;
        assert!(tested.is_of("Kubernetes v1.36.3\n"));
        assert!(tested.is_of("Client Version: v1.36.0\nKustomize Version: v5.7.1\n"));
        assert!(!tested.is_of("Kubernetes v1.35.3\n"));
        assert!(!tested.is_of("Kubernetes v1.360.0\n"));
        assert!(!tested.is_of(""));
    }
}
