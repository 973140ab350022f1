//! The Debian package, as deb(5) describes it: an `ar` archive of a format number, the control files
//! and the files of the system. Written here, so that it has the same bytes each time and needs no
//! Debian.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use diyadm_image::hex;
use openssl::hash::{MessageDigest, hash};

use super::{
    contents::{Contents, KUBECTL_COMPLETE, below, kubectl_complete},
    platform::Platform,
    release::Release,
    tarball::{Content, File, gzip, tar_gz},
};

/// Where Debian's shells look for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("diyadm.bash", "usr/share/bash-completion/completions/diyadm"),
    ("_diyadm", "usr/share/zsh/vendor-completions/_diyadm"),
    ("diyadm.fish", "usr/share/fish/vendor_completions.d/diyadm.fish"),
];

/// The package for a platform.
pub(super) fn package(
    platform: Platform,
    contents: &Contents,
    program: &Path,
    release: &Release,
) -> Result<Vec<u8>> {
    let files = files(contents, program, release)?;
    let control = [
        File::new("control", 0o644, control(platform, release, &files)),
        File::new("md5sums", 0o644, sums(&files)?),
    ];
    let mut package = b"!<arch>\n".to_vec();
    for (name, content) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", tar_gz(&control, "", release)?),
        ("data.tar.gz", tar_gz(&files, "", release)?),
    ] {
        let (time, length) = (release.time, content.len());
        let head = format!("{name:<16}{time:<12}{0:<6}{0:<6}{1:<8}{length:<10}`\n", 0, "100644");
        package.extend(head.into_bytes());
        package.extend(content);
        if package.len() % 2 == 1 {
            package.push(b'\n');
        }
    }
    Ok(package)
}

fn files(contents: &Contents, program: &Path, release: &Release) -> Result<Vec<File>> {
    let program = fs::read(program).with_context(|| program.display().to_string())?;
    let docs = "usr/share/doc/diyadm";
    let mut files = vec![
        File::new("usr/bin/diyadm", 0o755, program),
        // So that `kubectl diyadm` works.
        File::link("usr/bin/kubectl-diyadm", "diyadm"),
        kubectl_complete(format!("usr/bin/{KUBECTL_COMPLETE}")),
        File::new(format!("{docs}/copyright"), 0o644, contents.license.clone()),
        File::new(format!("{docs}/README.md.gz"), 0o644, gzip(&contents.readme, release.profile)?),
    ];
    files.extend(below(docs, &contents.docs));
    for page in &contents.pages {
        let Content::Bytes(text) = &page.content else { continue };
        let path = format!("usr/share/man/man1/{}.gz", page.path);
        files.push(File::new(path, 0o644, gzip(text, release.profile)?));
    }
    for (name, path) in COMPLETIONS {
        let script = contents.completions.iter().find(|file| file.path == name);
        let script = script.with_context(|| format!("no completion {name}"))?;
        files.push(File { path: path.to_owned(), ..script.clone() });
    }
    Ok(files)
}

fn control(platform: Platform, release: &Release, files: &[File]) -> String {
    let bytes: usize = files.iter().map(|file| size(&file.content)).sum();
    let homepage = match release.homepage() {
        "" => String::new(),
        page => format!("Homepage: {page}\n"),
    };
    format!(
        "Package: diyadm\n\
         Version: {version}\n\
         Architecture: {arch}\n\
         Maintainer: The diyadm developers\n\
         Installed-Size: {kilobytes}\n\
         Enhances: kubernetes-client\n\
         Section: utils\n\
         Priority: optional\n\
         {homepage}\
         Description: Turn Kubernetes workloads into empty containers, and back\n \
         diyadm replaces the application in a workload's containers by an idle process,\n \
         so that a developer can work there, and restores it.\n",
        version = release.version,
        arch = platform.arch,
        kilobytes = bytes.div_ceil(1024),
    )
}

fn size(content: &Content) -> usize {
    match content {
        Content::Bytes(bytes) => bytes.len(),
        Content::Link(_) => 0,
    }
}

/// What `dpkg --verify` compares files with.
fn sums(files: &[File]) -> Result<String> {
    let mut lines = Vec::new();
    for File { path, content, .. } in files {
        if let Content::Bytes(bytes) = content {
            lines.push(format!("{}  {path}\n", hex(&hash(MessageDigest::md5(), bytes)?)));
        }
    }
    lines.sort_by(|a, b| a[34..].cmp(&b[34..]));
    Ok(lines.concat())
}
