//! What all files of a release share: version, time, commit, names and checksums.

use std::{env, fs, path::Path};

use anyhow::{Context, Result, bail};
use diyadm_image::hex;

use super::platform::Platform;
use crate::{image::Profile, paths};

/// The name of the file of checksums.
pub(super) const SUMS: &str = "SHA256SUMS";
/// The manifest for krew. Publishing it is a pull request to krew's index, as `plugins/diyadm.yaml`;
/// it is no file that a release offers.
pub(super) const KREW: &str = ".krew.yaml";
/// xtask has the version of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A release.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) profile: Profile,
    pub(super) version: &'static str,
    /// Seconds since 1970 that all files have.
    pub(super) time: u64,
    /// None where [`paths::commit`] has none.
    pub(super) commit: Option<String>,
    /// The folder of its files on the web, without a slash at the end.
    pub(super) url: Option<String>,
}

impl Release {
    /// The release of the sources as they are.
    pub(super) fn of(profile: Profile, url: Option<&str>) -> Result<Self> {
        if let Some(url) = url
            && !url.starts_with("https://")
        {
            bail!("--url takes an address that begins with https://");
        }
        let time = match env::var("SOURCE_DATE_EPOCH") {
            Ok(time) => time,
            Err(_) => paths::git(&["log", "-1", "--format=%ct"]).unwrap_or_else(|| "0".into()),
        };
        let time = time.parse().context("SOURCE_DATE_EPOCH takes seconds since 1970")?;
        let commit = paths::commit();
        Ok(Self { profile, version: VERSION, time, commit, url: url.map(ToOwned::to_owned) })
    }

    /// `diyadm-0.1.0-linux-amd64`, the folder in an archive.
    pub(super) fn folder(&self, platform: Platform) -> String {
        format!("diyadm-{}-{}", self.version, platform.name())
    }

    pub(super) fn archive(&self, platform: Platform) -> String {
        format!("{}.tar.gz", self.folder(platform))
    }

    /// As Debian names packages.
    pub(super) fn package(&self, platform: Platform) -> String {
        format!("diyadm_{}_{}.deb", self.version, platform.arch)
    }

    pub(super) fn sbom(&self) -> String {
        format!("diyadm-{}.cdx.json", self.version)
    }

    pub(super) fn image(&self, name: &str, platform: Platform) -> String {
        format!("image-{name}-{}-{}.tar", self.version, platform.name())
    }

    /// Where a file will be on the web.
    pub(super) fn url_of(&self, file: &str) -> String {
        format!("{}/{file}", self.url.as_deref().unwrap_or_default())
    }

    /// The project's page: what stands before `/releases/` in the URL, else the URL.
    pub(super) fn homepage(&self) -> &str {
        let url = self.url.as_deref().unwrap_or_default();
        url.split_once("/releases/").map_or(url, |(page, _)| page)
    }

    /// Its time as RFC 3339.
    pub(super) fn created(&self) -> String {
        let (days, second) = (self.time / 86_400, self.time % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second % 3600 / 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// The labels of an image, as the OCI image specification names them.
    pub(super) fn labels(&self, name: &str, title: &str, licenses: &str) -> Vec<(String, String)> {
        let mut labels = vec![
            ("title", format!("diyadm {name}")),
            ("description", title.to_owned()),
            ("version", self.version.to_owned()),
            ("created", self.created()),
            ("licenses", licenses.to_owned()),
        ];
        labels.extend(self.commit.clone().map(|commit| ("revision", commit)));
        if self.url.is_some() {
            labels.push(("url", self.homepage().to_owned()));
        }
        let label = |(name, value)| (format!("org.opencontainers.image.{name}"), value);
        labels.into_iter().map(label).collect()
    }
}

/// Year, month and day of a day since 1970, by the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    let of = |year: u64, every| year.is_multiple_of(every);
    let is_leap = |year| of(year, 4) && (!of(year, 100) || of(year, 400));
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

/// The files that a release offers with their checksums, as `sha256sum` prints them.
pub(super) fn sums(folder: &Path) -> Result<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if ![SUMS, KREW].contains(&name.as_str()) {
            lines.push((name, sha256(&fs::read(entry.path())?)));
        }
    }
    lines.sort();
    Ok(lines.into_iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect())
}

/// In hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&openssl::sha::sha256(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_as_rfc_3339() {
        for (time, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_796_044_477, "2026-11-30T13:14:37Z"),
        ] {
            let release =
                Release { profile: Profile::Dev, version: VERSION, time, commit: None, url: None };
            assert_eq!(release.created(), text);
        }
    }

    #[test]
    fn homepage_is_the_repository_of_the_releases() {
        for (url, page) in [
            ("https://git.test/o/r/releases/download/v1", "https://git.test/o/r"),
            ("https://files.test/diyadm", "https://files.test/diyadm"),
        ] {
            let url = Some(url.to_owned());
            let release =
                Release { profile: Profile::Dev, version: VERSION, time: 0, commit: None, url };
            assert_eq!(release.homepage(), page);
        }
    }
}
