//! A first `diyadm.yaml`, guessed from what lies in a project. Pure: the files come in.

use std::fmt::Write;

/// What lies in a project's folder, as far as it matters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Names of its files and folders.
    pub(crate) names: Vec<String>,
    /// Content of the build file that counts, where it was asked for.
    pub(crate) content: String,
    /// Name of the folder itself.
    pub(crate) folder: String,
}

/// The build files that are known, the first one counts.
pub(crate) const KNOWN: [&str; 7] = [
    "pom.xml",
    "build.gradle.kts",
    "build.gradle",
    "package.json",
    "go.mod",
    "Cargo.toml",
    "pyproject.toml",
];

/// How a kind of project is built, sent and started.
struct Kind {
    build: Option<String>,
    watch: Vec<&'static str>,
    sync: Vec<(String, String)>,
    command: Vec<String>,
    port: u16,
    /// A word on what to look at.
    note: &'static str,
}

/// The build file that counts among these names.
pub(crate) fn build_file(names: &[String]) -> Option<&'static str> {
    KNOWN.into_iter().find(|known| names.iter().any(|name| name == known))
}

/// The file's text; `workload` as it was typed, where it was.
pub(crate) fn write(found: &Found, workload: Option<&str>) -> String {
    let kind = kind(found);
    let mut text = String::new();
    let mut line = |what: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{what}");
    };
    line(
        "# What `diyadm dev` does here: empty the workload, send, run, forward, and again at every",
    );
    line("# change.");
    match workload {
        Some(workload) => line(&format!("workload: {workload}")),
        None => line(&format!("workload: deploy/{}", plain(&found.folder))),
    }
    line("# How it is emptied: its own image keeps its JRE or libraries.");
    line("empty:");
    line("  image: keep");
    line("  idle: agent");
    line(&format!("# {}", kind.note));
    if let Some(build) = &kind.build {
        line(&format!("build: {build}"));
        line(&format!("watch: [{}]", kind.watch.join(", ")));
    }
    line("sync:");
    for (from, to) in &kind.sync {
        line(&format!("- from: {}", scalar(from)));
        line(&format!("  to: {}", scalar(to)));
    }
    line("run:");
    line(&format!("  command: [{}]", kind.command.join(", ")));
    line(&format!("forward: [{}]", kind.port));
    text
}

fn kind(found: &Found) -> Kind {
    let Found { names, content, folder } = found;
    let has = |name: &str| names.iter().any(|other| other == name);
    let words = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    let pair = |from: &str, to: &str| vec![(from.to_owned(), to.to_owned())];
    match build_file(names) {
        Some("pom.xml") => {
            let jar = maven(content).unwrap_or_else(|| folder.clone());
            let maven = if has("mvnw") { "./mvnw" } else { "mvn" };
            Kind {
                build: Some(format!("{maven} -q -DskipTests package")),
                watch: vec!["src", "pom.xml"],
                sync: pair(&format!("target/{jar}.jar"), "/tmp/app.jar"),
                command: words("java -jar /tmp/app.jar"),
                port: 8080,
                note: "Look whether the jar's name is right.",
            }
        }
        Some(file @ ("build.gradle" | "build.gradle.kts")) => {
            let gradle = if has("gradlew") { "./gradlew" } else { "gradle" };
            let spring = content.contains("org.springframework.boot");
            let task = if spring { "bootJar" } else { "jar" };
            let version = gradle_version(content);
            let version = version.map(|version| format!("-{version}")).unwrap_or_default();
            Kind {
                build: Some(format!("{gradle} -q {task}")),
                watch: vec!["src", file],
                sync: pair(&format!("build/libs/{folder}{version}.jar"), "/tmp/app.jar"),
                command: words("java -jar /tmp/app.jar"),
                port: 8080,
                note: "Look whether the jar's name is right.",
            }
        }
        Some("package.json") => {
            let start = if content.contains("\"start\"") { "npm start" } else { "node index.js" };
            Kind {
                build: None,
                watch: Vec::new(),
                sync: pair(".", "/app"),
                command: vec!["sh".into(), "-c".into(), format!("\"cd /app && exec {start}\"")],
                port: 3000,
                note: "node_modules is the image's own, or send it: `ignoreFiles: false`.",
            }
        }
        Some("go.mod") => Kind {
            build: Some(format!("CGO_ENABLED=0 GOOS=linux go build -o build/{} .", plain(folder))),
            watch: vec!["\"*.go\"", "go.mod"],
            sync: pair(&format!("build/{}", plain(folder)), "/tmp/app"),
            command: words("/tmp/app"),
            port: 8080,
            note: "Static, so that it runs in any image.",
        },
        Some("Cargo.toml") => {
            let name = cargo(content).unwrap_or_else(|| folder.clone());
            Kind {
                build: Some("cargo build --target x86_64-unknown-linux-musl".to_owned()),
                watch: vec!["src", "Cargo.toml"],
                sync: pair(&format!("target/x86_64-unknown-linux-musl/debug/{name}"), "/tmp/app"),
                command: words("/tmp/app"),
                port: 8080,
                note: "Static, so that it runs in any image.",
            }
        }
        _ => Kind {
            build: None,
            watch: Vec::new(),
            sync: pair(".", "/app"),
            command: if build_file(names).is_some() {
                words("python -m app")
            } else {
                vec!["sh".into(), "/app/run.sh".into()]
            },
            port: 8080,
            note: "Say what is sent, and how it is started.",
        },
    }
}

/// A folder's name as Kubernetes, and a shell, take one.
fn plain(folder: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = folder.chars().map(good).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "app".to_owned() } else { name.to_owned() }
}

/// A path as YAML takes it, whatever is in it.
fn scalar(path: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    if path.chars().all(bare) && !path.starts_with('-') {
        path.to_owned()
    } else {
        serde_json::Value::from(path).to_string()
    }
}

/// `finalName`, else `artifactId-version`, of the project and not of its parent or dependencies.
fn maven(pom: &str) -> Option<String> {
    let own = |name: &str| {
        let mut depth: Vec<&str> = Vec::new();
        let mut rest = pom;
        while let Some(open) = rest.find('<') {
            rest = &rest[open + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                rest = comment.split_once("-->")?.1;
                continue;
            }
            let (tag, after) = rest.split_once('>')?;
            rest = after;
            let word = tag.trim_start_matches('/').split_whitespace().next()?;
            match tag {
                _ if tag.starts_with('/') => drop(depth.pop()),
                _ if tag.starts_with(['?', '!']) || tag.ends_with('/') => {}
                _ => depth.push(word),
            }
            let wanted = depth == ["project", name] || depth == ["project", "build", name];
            if wanted && word == name && !tag.starts_with('/') {
                return Some(rest.split_once('<')?.0.trim().to_owned());
            }
        }
        None
    };
    let plain = |text: &String| !text.is_empty() && !text.contains("${");
    if let Some(name) = own("finalName").filter(plain) {
        return Some(name);
    }
    let (artifact, version) = (own("artifactId").filter(plain)?, own("version").filter(plain)?);
    Some(format!("{artifact}-{version}"))
}

/// `version = "1.0"` at the start of a line.
fn gradle_version(content: &str) -> Option<String> {
    let line = content.lines().find(|line| line.starts_with("version"))?;
    let value = line.split(['\'', '"']).nth(1)?;
    (!value.is_empty() && !value.contains('$')).then(|| value.to_owned())
}

/// `name = "x"` of `[package]`.
fn cargo(content: &str) -> Option<String> {
    let package = content.split("[package]").nth(1)?;
    let line = package.lines().find(|line| line.trim_start().starts_with("name"))?;
    Some(line.split('"').nth(1)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::project, *};

    fn found(names: &[&str], content: &str) -> Found {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Found { names, content: content.to_owned(), folder: "shop".to_owned() }
    }

    const POM: &str = "<?xml version=\"1.0\"?>\n<project>\n<!-- <version>9</version> -->\n\
        <parent><artifactId>parent</artifactId><version>3.0</version></parent>\n\
        <artifactId>web</artifactId><version>1.2</version>\n\
        <dependencies><dependency><artifactId>d</artifactId></dependency></dependencies>\n\
        </project>";

    #[test]
    fn every_guess_is_a_file_that_is_read() {
        for (names, content, from, first) in [
            (&["pom.xml", "mvnw"][..], POM, "target/web-1.2.jar", "java"),
            (&["build.gradle"], "version = '0.1'\n", "build/libs/shop-0.1.jar", "java"),
            (&["build.gradle.kts"], "", "build/libs/shop.jar", "java"),
            (&["package.json"], "{}", ".", "sh"),
            (&["go.mod"], "", "build/shop", "/tmp/app"),
            (
                &["Cargo.toml"],
                "[package]\nname = \"x\"\n",
                "target/x86_64-unknown-linux-musl/debug/x",
                "/tmp/app",
            ),
            (&["pyproject.toml"], "", ".", "python"),
            (&[], "", ".", "sh"),
        ] {
            let text = write(&found(names, content), None);
            let project = project::parse(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
            assert_eq!(project.sync().next().unwrap().from, from, "{text}");
            assert_eq!(project.command(None)[0], first, "{text}");
            assert_eq!(project.workload.as_deref(), Some("deploy/shop"));
        }
        let text = write(&found(&[], ""), Some("sts/db"));
        assert_eq!(project::parse(&text).unwrap().workload.as_deref(), Some("sts/db"));
    }

    #[test]
    fn a_folder_may_be_called_anything() {
        for folder in ["My Shop: 2 #x", "-", "\u{e9}", "a\"b", "a\nb", "$(x)"] {
            for names in [&["build.gradle"][..], &["go.mod"], &["pom.xml"], &[]] {
                let found = Found { folder: folder.to_owned(), ..found(names, "") };
                let text = write(&found, None);
                let project = project::parse(&text).unwrap_or_else(|e| panic!("{text}\n{e}"));
                let workload = project.workload.as_deref().unwrap();
                let name = workload.strip_prefix("deploy/").unwrap();
                let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                assert!(name.chars().all(good) && !name.is_empty(), "{text}");
                if let ["build.gradle"] = names {
                    let from = format!("build/libs/{folder}.jar");
                    assert_eq!(project.sync().next().unwrap().from, from, "{text}");
                }
            }
        }
    }

    #[test]
    fn the_wrapper_is_used_where_there_is_one() {
        assert!(write(&found(&["pom.xml", "mvnw"], POM), None).contains("build: ./mvnw "));
        assert!(write(&found(&["pom.xml"], POM), None).contains("build: mvn "));
        let named = POM.replace("</project>", "<build><finalName>n</finalName></build></project>");
        assert!(write(&found(&["pom.xml"], &named), None).contains("target/n.jar"));
    }
}
