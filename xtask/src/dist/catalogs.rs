//! Where users look for programs: a manifest for krew, a formula for Homebrew. Both contain the URLs
//! and the checksums of the archives.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Value, json};

use super::{platform::Platform, release::Release};

const SUMMARY: &str = "Turn Kubernetes workloads into empty containers, and back";
const DESCRIPTION: &str = "diyadm replaces the application in a workload's containers by an idle \
process, so that a developer can work there: copy files, start the application, forward ports. \
`kubectl diyadm restore` brings the application back.\n";

/// The manifest of the plugin.
pub(super) fn krew(release: &Release, archives: &[(Platform, String)]) -> Result<String> {
    let platforms: Vec<Value> = archives
        .iter()
        .map(|(platform, sum)| {
            let (folder, program) = (release.folder(*platform), platform.program());
            json!({
                "selector": { "matchLabels": { "os": platform.os, "arch": platform.arch } },
                "uri": release.url_of(&release.archive(*platform)),
                "sha256": sum,
                "files": [
                    { "from": format!("{folder}/{program}"), "to": "." },
                    { "from": format!("{folder}/LICENSE"), "to": "." },
                ],
                "bin": program,
            })
        })
        .collect();
    Ok(serde_yaml::to_string(&json!({
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": { "name": "diyadm" },
        "spec": {
            "version": format!("v{}", release.version),
            "homepage": release.homepage(),
            "shortDescription": SUMMARY,
            "description": DESCRIPTION,
            "platforms": platforms,
        },
    }))?)
}

/// The formula: the archives for macOS and Linux.
pub(super) fn homebrew(release: &Release, archives: &[(Platform, String)]) -> String {
    let mut systems = String::new();
    for (os, block) in [("darwin", "on_macos"), ("linux", "on_linux")] {
        let of_os: Vec<_> = archives.iter().filter(|(platform, _)| platform.os == os).collect();
        if of_os.is_empty() {
            continue;
        }
        let _ = writeln!(systems, "  {block} do");
        for (platform, sum) in of_os {
            let arch = if platform.arch == "arm64" { "on_arm" } else { "on_intel" };
            let url = release.url_of(&release.archive(*platform));
            let _ = writeln!(
                systems,
                "    {arch} do\n      url \"{url}\"\n      sha256 \"{sum}\"\n    end"
            );
        }
        systems.push_str("  end\n\n");
    }
    format!(
        "class Diyadm < Formula\n  \
           desc \"{SUMMARY}\"\n  \
           homepage \"{homepage}\"\n  \
           version \"{version}\"\n  \
           license \"Apache-2.0\"\n\n\
         {systems}  \
           def install\n    \
             bin.install \"diyadm\", \"kubectl_complete-diyadm\"\n    \
             bin.install_symlink \"diyadm\" => \"kubectl-diyadm\"\n    \
             bash_completion.install \"completions/diyadm.bash\" => \"diyadm\"\n    \
             zsh_completion.install \"completions/_diyadm\"\n    \
             fish_completion.install \"completions/diyadm.fish\"\n    \
             man1.install Dir[\"man/man1/*.1\"]\n  \
           end\n\n  \
           test do\n    \
             assert_match version.to_s, shell_output(\"#{{bin}}/diyadm version --client\")\n  \
           end\n\
         end\n",
        homepage = release.homepage(),
        version = release.version,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Profile;

    #[test]
    fn formula_has_a_block_for_each_archive() {
        let release = Release {
            profile: Profile::Dev,
            version: "1.2.3",
            time: 0,
            commit: None,
            url: Some("https://git.test/o/r/releases/download/v1.2.3".into()),
        };
        let archives = [
            (Platform { os: "linux", arch: "amd64" }, "a".to_owned()),
            (Platform { os: "darwin", arch: "arm64" }, "b".to_owned()),
        ];
        let formula = homebrew(&release, &archives);
        assert!(formula.contains("  homepage \"https://git.test/o/r\"\n"), "{formula}");
        let mac = "  on_macos do\n    on_arm do\n      url \"https://git.test/o/r/releases/download/\
                   v1.2.3/diyadm-1.2.3-darwin-arm64.tar.gz\"\n      sha256 \"b\"\n    end\n  end\n\n";
        assert!(formula.contains(mac), "{formula}");
        assert!(formula.contains("  on_linux do\n    on_intel do\n"), "{formula}");
        assert!(formula.contains("#{bin}/diyadm version"), "{formula}");
    }
}
