//! Finds out what Gradle builds, from plain text in its build files, settings and properties. Pure:
//! the files are passed in.

use super::{Built, Files, Sent, java, properties, quarkus};
use crate::exit::{Failure, Topic};

const FILES: [&str; 2] = ["build.gradle.kts", "build.gradle"];
const SETTINGS: [&str; 2] = ["settings.gradle.kts", "settings.gradle"];
const SHADOW: [&str; 2] = ["com.gradleup.shadow", "com.github.johnrengelmann.shadow"];
const SPRING: &str = "org.springframework.boot";
const QUARKUS: &str = "io.quarkus";

/// A project of a build.
struct Project {
    /// Its folder, relative to this one; empty for this one.
    folder: String,
    /// Its build file, without comments.
    text: String,
    /// Ids of its plugins.
    plugins: Vec<String>,
}

impl Project {
    fn load(files: &Files<'_>, folder: &str, root: &str) -> Option<Self> {
        let text = FILES.iter().find_map(|name| files.read(&join(folder, name)))?;
        let text = without_comments(&text);
        let catalog = files.read(&join(root, "gradle/libs.versions.toml")).unwrap_or_default();
        let plugins = plugins(&text, &catalog);
        Some(Self { folder: folder.to_owned(), text, plugins })
    }

    fn has(&self, plugin: &str) -> bool {
        self.plugins.iter().any(|id| id == plugin)
    }

    fn is_shadow(&self) -> bool {
        SHADOW.iter().any(|id| self.has(id))
    }

    /// Whether its build result is runnable.
    fn is_application(&self) -> bool {
        let known = [SPRING, QUARKUS, "application", "war"];
        self.is_shadow() || known.iter().any(|id| self.has(id))
    }
}

/// The build result of the build file in this folder.
///
/// # Errors
/// It is unknown, or several projects are possible.
pub(super) fn built(files: &Files<'_>) -> Result<Built, Failure> {
    let root = root(files);
    let settings = SETTINGS.iter().find_map(|name| files.read(&join(&root, name)));
    let settings = without_comments(&settings.unwrap_or_default());
    let unread = || {
        Failure::usage(
            Topic::ProjectFile,
            "The build file cannot be read.",
            "Check that it is UTF-8 text.",
        )
    };
    let own = Project::load(files, "", &root);
    let included = if root.is_empty() { included(&settings) } else { Vec::new() };
    let gradle = match (files.has(&join(&root, "gradlew")), root.as_str()) {
        (true, "") => "./gradlew".to_owned(),
        (true, root) => format!("{root}gradlew"),
        (false, _) => "gradle".to_owned(),
    };
    let project = match own {
        Some(own) if own.is_application() || included.is_empty() => own,
        own => {
            let projects = included.iter().take(super::MOST_MODULES);
            let projects = projects.filter_map(|folder| Project::load(files, folder, &root));
            let projects: Vec<_> = projects.collect();
            if projects.is_empty() {
                own.ok_or_else(unread)?
            } else {
                let all: Vec<_> = projects.iter().map(|one| one.folder.clone()).collect();
                let found = projects.iter().filter(|one| one.is_application());
                let found = found.map(|one| one.folder.clone()).collect();
                let name = super::only("settings.gradle", &all, found)?;
                projects.into_iter().find(|one| one.folder == name).ok_or_else(unread)?
            }
        }
    };
    let is_root = project.folder.is_empty() && root.is_empty();
    let named = || value(&settings, "rootProject.name").filter(|_| is_root);
    let own_folder = project.folder.rsplit('/').next().filter(|name| !name.is_empty());
    let name = named().unwrap_or_else(|| own_folder.unwrap_or(files.folder).to_owned());
    let top = Project::load(files, &root, &root).map(|top| top.text).unwrap_or_default();
    let version = version(files, &project, &root, &top)?;
    built_project(files, &project, &gradle, &name, version.as_deref())
}

/// The folder of the build to which this project belongs: `../`; empty if it is the build itself.
fn root(files: &Files<'_>) -> String {
    let ups = ["", "../", "../../", "../../../"];
    let has = |up: &&&str| SETTINGS.iter().any(|name| files.has(&format!("{up}{name}")));
    ups.iter().find(has).map_or_else(String::new, |up| (*up).to_owned())
}

fn join(folder: &str, path: &str) -> String {
    match folder.trim_end_matches('/') {
        "" => path.to_owned(),
        folder => format!("{folder}/{path}"),
    }
}

fn built_project(
    files: &Files<'_>,
    project: &Project,
    gradle: &str,
    name: &str,
    version: Option<&str>,
) -> Result<Built, Failure> {
    let Project { folder, text, .. } = project;
    let task = |name: &str| match folder.as_str() {
        "" => format!("{gradle} -q {name}"),
        folder => format!("{gradle} -q :{}:{name}", folder.replace('/', ":")),
    };
    let watch = vec!["src", "\"*.gradle\"", "\"*.gradle.kts\""];
    let build = join(folder, "build");
    let base = value(text, "archivesBaseName").or_else(|| value(text, "archivesName"));
    let base = base.unwrap_or_else(|| name.to_owned());
    if base.contains('$') {
        let what = format!("The build file computes the archive's name: {base:?}.");
        return Err(Failure::usage(
            Topic::ProjectFile,
            what,
            "Set `archiveFileName` of its task to plain text.",
        ));
    }
    // `base-version-classifier.jar`, each part as the task sets it.
    let archive = |task: &str, classifier: &str, end: &str| {
        let block = block(text, task).unwrap_or_default();
        let set = |word: &str| value(block, word);
        if let Some(name) = set("archiveFileName").or_else(|| set("archiveName")) {
            return format!("{build}/libs/{name}");
        }
        let base = set("archiveBaseName").unwrap_or_else(|| base.clone());
        let version = set("archiveVersion").or_else(|| version.map(ToOwned::to_owned));
        let classifier = set("archiveClassifier").unwrap_or_else(|| classifier.to_owned());
        let parts = [Some(base), version, Some(classifier)];
        let parts: Vec<_> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        format!("{build}/libs/{}{end}", parts.join("-"))
    };
    if project.has(QUARKUS) {
        let archive = version.map_or_else(|| base.clone(), |version| format!("{base}-{version}"));
        let kind = quarkus::kind(files, folder);
        return Ok(quarkus::built(&build, &archive, kind.as_deref(), task("quarkusBuild"), watch));
    }
    if project.has(SPRING) {
        let (name, end) =
            if project.has("war") { ("bootWar", ".war") } else { ("bootJar", ".jar") };
        let from = archive(name, "", end);
        // `-plain.jar` is another archive.
        return Ok(java(&from, task(name), watch, "Spring Boot builds an executable jar."));
    }
    if project.is_shadow() {
        let from = archive("shadowJar", "all", ".jar");
        return Ok(java(&from, task("shadowJar"), watch, "Its jar has all libraries in it."));
    }
    if project.has("war") {
        return Ok(super::war(&archive("war", "", ".war"), task("war"), watch));
    }
    if project.has("application") {
        let program = value(text, "applicationName").unwrap_or_else(|| name.to_owned());
        return Ok(Built {
            build: task("installDist"),
            watch,
            sync: vec![Sent::new(&format!("{build}/install/{program}"), "/tmp/app")],
            command: vec!["sh".to_owned(), format!("/tmp/app/bin/{program}")],
            note: "The start script needs Java in the image.",
        });
    }
    let note = "The build file builds no executable jar: check `command`.";
    Ok(java(&archive("jar", "", ".jar"), task("jar"), watch, note))
}

/// The project's version, if any.
fn version(
    files: &Files<'_>,
    project: &Project,
    root: &str,
    top: &str,
) -> Result<Option<String>, Failure> {
    let set = properties(&files.read(&join(root, "gradle.properties")).unwrap_or_default());
    let own = join(&project.folder, "gradle.properties");
    let own = properties(&files.read(&own).unwrap_or_default());
    let property = |name: &str| own.get(name).or_else(|| set.get(name)).cloned();
    let for_all =
        ["allprojects", "subprojects"].iter().find_map(|word| assigned(block(top, word)?));
    let Some(value) = assigned(&project.text).or(for_all) else { return Ok(property("version")) };
    let unknown = |value: &str| {
        let what = format!("The build file computes the version: {value}.");
        let hint = "Set `archiveFileName` of its task to plain text, or `version` in \
                    gradle.properties, then run `diyadm dev --init` again.";
        Failure::usage(Topic::ProjectFile, what, hint)
    };
    let text = quoted(&value);
    let name = match &text {
        // `property("name")`, `findProperty("name")`, `providers.gradleProperty("name").get()`
        Some(name) if value.contains("roperty(") => name,
        Some(text) if !text.contains('$') => return Ok(Some(text.clone())),
        // `"$name"`, `"${name}"`; only Gradle can evaluate others.
        Some(text) => text.trim_start_matches('$').trim_matches(['{', '}']),
        None => value.trim(),
    };
    property(name).map(Some).ok_or_else(|| unknown(&value))
}

/// The value of a line `version = …` outside of any block.
fn assigned(text: &str) -> Option<String> {
    let mut depth = 0_usize;
    for line in text.lines() {
        let trimmed = line.trim();
        if depth == 0
            && let Some(rest) =
                trimmed.strip_prefix("version").or(trimmed.strip_prefix("project.version"))
            && rest.starts_with([' ', '=', '\t'])
        {
            return Some(rest.trim_start_matches([' ', '\t', '=']).trim().to_owned());
        }
        depth += line.matches('{').count();
        depth = depth.saturating_sub(line.matches('}').count());
    }
    None
}

/// `name = "value"`, `name 'value'`, `name.set("value")`: the first quoted text behind a name.
fn value(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let before = rest[..at].chars().next_back();
        rest = &rest[at + name.len()..];
        if before.is_some_and(|c| c.is_alphanumeric() || c == '.') {
            continue;
        }
        let line = rest.lines().next().unwrap_or_default();
        let line = line.trim_start_matches(".set(").trim_start();
        if line.starts_with(['=', '\'', '"', '(']) {
            return quoted(line);
        }
    }
    None
}

/// The first quoted text.
fn quoted(text: &str) -> Option<String> {
    let open = text.find(['\'', '"'])?;
    let quote = text[open..].chars().next()?;
    let rest = &text[open + 1..];
    Some(rest[..rest.find(quote)?].to_owned())
}

/// The text between the braces after a word: `bootJar { … }`, `tasks.named("bootJar") { … }`.
fn block<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let at = rest.find(word)?;
        rest = &rest[at + word.len()..];
        let open = rest.find('{')?;
        let between = &rest[..open];
        // A word in another statement has no block.
        if between.len() > 40 || between.contains('\n') || between.contains('=') {
            continue;
        }
        let inner = &rest[open + 1..];
        let mut depth = 1_usize;
        for (at, c) in inner.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 1 => return Some(&inner[..at]),
                '}' => depth -= 1,
                _ => {}
            }
        }
        return None;
    }
}

/// Ids of plugins that are applied: by their ids, by names of the catalog, by `apply plugin:`.
fn plugins(text: &str, catalog: &str) -> Vec<String> {
    let mut found = Vec::new();
    let applied = |line: &&str| !line.contains("apply false") && !line.contains("apply(false)");
    for line in text.split(['\n', ';', '{', '}']).map(str::trim).filter(applied) {
        let by_id = line.strip_prefix("id").filter(|rest| rest.starts_with([' ', '(']));
        let by_name = line.contains("apply plugin:") || line.contains("apply(plugin");
        if let Some(id) = by_id.or(by_name.then_some(line)).and_then(quoted) {
            found.push(id);
        }
        let word = line.trim_matches('`');
        if ["application", "war"].contains(&word) {
            found.push(word.to_owned());
        }
        if let Some(alias) = line.split("libs.plugins.").nth(1) {
            let alias = alias.split([')', ' ']).next().unwrap_or_default().replace('.', "-");
            found.extend(catalogued(catalog, &alias));
        }
    }
    found
}

/// The id of a plugin in a version catalog: `boot = { id = "org.springframework.boot", … }`.
fn catalogued(catalog: &str, alias: &str) -> Option<String> {
    let plugins = catalog.split("[plugins]").nth(1)?;
    let lines = plugins.lines().take_while(|line| !line.trim_start().starts_with('['));
    for line in lines {
        let Some((name, rest)) = line.split_once('=') else { continue };
        if name.trim().replace(['_', '.'], "-") == alias {
            let id = rest.split("id").nth(1).and_then(quoted).or_else(|| quoted(rest))?;
            return Some(id.split(':').next().unwrap_or_default().to_owned());
        }
    }
    None
}

/// Folders of the included projects of a build.
fn included(settings: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = settings;
    while let Some(at) = rest.find("include") {
        rest = &rest[at + "include".len()..];
        if !rest.starts_with(['(', ' ', '\'', '"']) {
            continue;
        }
        // `include("a", "b")`, or without brackets to the end of the lines that commas join.
        let mut list = rest;
        while let Some(open) = list.find(['\'', '"'])
            && list[..open].trim_matches([' ', '(', ',', '\n', '\r', '\t']).is_empty()
            && let Some(name) = quoted(list)
        {
            all.push(name.trim_start_matches(':').replace(':', "/"));
            list = &list[open + 2 + name.len()..];
        }
    }
    all
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("/*") {
        out.push_str(&rest[..open]);
        rest = rest[open..].split_once("*/").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    let line = |line: &str| {
        // Not the one of `https://…`.
        let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
        comment.map_or(line, |(at, _)| &line[..at]).to_owned()
    };
    out.lines().map(line).collect::<Vec<_>>().join("\n")
}
