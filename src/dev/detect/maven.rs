//! Finds out what Maven builds from a pom.xml and the ones above and below it. Pure: the files are
//! passed in.

use std::path::Path;

use roxmltree::{Document, Node};

use super::{Built, Files, java, quarkus};
use crate::exit::{Failure, Topic};

/// Maximum depth of parents and of nested properties.
const MOST: usize = 16;

/// A pom.xml and its parents, itself first.
struct Pom<'a> {
    chain: Vec<Node<'a, 'a>>,
    /// Whether all its parents are known.
    is_complete: bool,
}

/// The texts of a pom.xml and of the parents that exist locally.
fn texts(files: &Files<'_>, at: &str) -> Vec<String> {
    let (mut texts, mut path) = (Vec::new(), join(at, "pom.xml"));
    while texts.len() < MOST
        && let Some(text) = files.read(&path)
    {
        let parent = Document::parse(&text).ok().and_then(|document| {
            let parent = child(document.root_element(), "parent")?;
            match child(parent, "relativePath") {
                None => Some("../pom.xml".to_owned()),
                Some(path) => path.text().map(|path| path.trim().to_owned()),
            }
        });
        texts.push(text);
        let Some(parent) = parent.filter(|parent| !parent.is_empty()) else { break };
        let is_file = Path::new(&parent).extension().is_some_and(|extension| extension == "xml");
        let parent = if is_file { parent } else { join(&parent, "pom.xml") };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        path = join(folder, &parent);
    }
    texts
}

/// `a/b`; an empty folder is the current one.
fn join(folder: &str, path: &str) -> String {
    match folder.trim_end_matches('/') {
        "" | "." => path.to_owned(),
        folder => format!("{folder}/{path}"),
    }
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|child| child.tag_name().name() == name)
}

/// The element below `node` at this path.
fn at<'a>(node: Node<'a, 'a>, path: &[&str]) -> Option<Node<'a, 'a>> {
    path.iter().try_fold(node, |node, name| child(node, name))
}

fn text(node: Node<'_, '_>, path: &[&str]) -> Option<String> {
    let mut node = node;
    for name in path {
        node = node.children().find(|child| child.tag_name().name() == *name)?;
    }
    let text = node.text()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

impl<'a> Pom<'a> {
    fn new(documents: &'a [Document<'a>]) -> Self {
        let mut chain: Vec<Node<'a, 'a>> = Vec::new();
        for document in documents {
            let root = document.root_element();
            // The folder above may belong to another project.
            let is_parent = chain.last().is_none_or(|last| {
                text(*last, &["parent", "artifactId"]) == text(root, &["artifactId"])
            });
            if !is_parent {
                break;
            }
            chain.push(root);
        }
        let is_complete = chain.last().is_none_or(|last| child(*last, "parent").is_none());
        Self { chain, is_complete }
    }

    fn own(&self) -> Node<'a, 'a> {
        self.chain[0]
    }

    /// Its own value, else that of the nearest parent.
    fn inherited(&self, path: &[&str]) -> Option<String> {
        self.chain.iter().find_map(|pom| text(*pom, path))
    }

    /// A value with its properties replaced; the error is the name of an unknown property.
    fn resolved(&self, value: &str, depth: usize) -> Result<String, String> {
        let Some((before, rest)) = value.split_once("${") else { return Ok(value.to_owned()) };
        let Some((name, after)) = rest.split_once('}') else { return Ok(value.to_owned()) };
        let unknown = || name.to_owned();
        let own = self.own();
        let parent_version = || text(own, &["parent", "version"]);
        let found = match name.strip_prefix("project.").or(name.strip_prefix("pom.")) {
            Some("version") => text(own, &["version"]).or_else(parent_version),
            Some("artifactId") => text(own, &["artifactId"]),
            Some("parent.version") => parent_version(),
            Some("basedir") => Some(".".to_owned()),
            Some(_) => None,
            None if name == "basedir" => Some(".".to_owned()),
            None => {
                let named = self.chain.iter().filter_map(|pom| child(*pom, "properties"));
                named.flat_map(|all| all.children()).find_map(|property| {
                    // An empty property is set as well.
                    let value = || property.text().unwrap_or_default().trim().to_owned();
                    (property.is_element() && property.tag_name().name() == name).then(value)
                })
            }
        };
        let found = found.filter(|_| depth < MOST).ok_or_else(unknown)?;
        let found = self.resolved(&found, depth + 1)?;
        Ok(format!("{before}{found}{}", self.resolved(after, depth)?))
    }

    /// Every declaration of a plugin, own ones first, including `pluginManagement`.
    fn plugin(&self, artifact: &str) -> Vec<Node<'a, 'a>> {
        self.mentions(artifact, &[&["build", "plugins"], &["build", "pluginManagement", "plugins"]])
    }

    fn mentions(&self, artifact: &str, paths: &[&[&str]]) -> Vec<Node<'a, 'a>> {
        let lists =
            self.chain.iter().flat_map(|pom| paths.iter().filter_map(|path| at(*pom, path)));
        let plugins = lists.flat_map(|list| list.children());
        let is_it =
            |plugin: &Node<'_, '_>| text(*plugin, &["artifactId"]).as_deref() == Some(artifact);
        plugins.filter(is_it).collect()
    }

    /// Whether it or a parent of it declares a plugin.
    fn uses(&self, artifact: &str) -> bool {
        !self.mentions(artifact, &[&["build", "plugins"]]).is_empty()
    }

    /// Whether it declares a plugin itself.
    fn uses_itself(&self, artifact: &str) -> bool {
        let mentions = self.mentions(artifact, &[&["build", "plugins"]]);
        mentions.into_iter().any(|plugin| plugin.ancestors().any(|node| node == self.own()))
    }

    /// A setting of a plugin, for all its executions or for one.
    fn setting(&self, artifact: &str, path: &[&str]) -> Option<String> {
        let value = self.plugin(artifact).into_iter().find_map(|plugin| {
            let executions = plugin.descendants().filter(|node| node.has_tag_name_of("execution"));
            let mut all = std::iter::once(plugin).chain(executions);
            all.find_map(|node| text(child(node, "configuration")?, path))
        })?;
        self.resolved(&value, 0).ok()
    }

    /// Whether an execution of Spring Boot's plugin makes the jar runnable.
    fn is_repackaged(&self) -> bool {
        let goals = |plugin: &Node<'a, 'a>| {
            plugin.descendants().any(|node| {
                node.has_tag_name_of("goal") && node.text().map(str::trim) == Some("repackage")
            })
        };
        let by_parent = self.chain.iter().any(|pom| {
            text(*pom, &["parent", "artifactId"]).as_deref() == Some("spring-boot-starter-parent")
        });
        by_parent || !self.is_complete || self.plugin(SPRING).iter().any(goals)
    }

    /// Whether it declares itself an application.
    fn is_application(&self) -> bool {
        let packaging = text(self.own(), &["packaging"]);
        packaging.as_deref() == Some("war")
            || APPLICATIONS.iter().any(|name| self.uses_itself(name))
    }

    fn modules(&self) -> Vec<String> {
        let modules = child(self.own(), "modules").into_iter().flat_map(|all| all.children());
        modules
            .filter_map(|module| Some(module.text()?.trim().to_owned()))
            .filter(|module| !module.is_empty())
            .collect()
    }
}

/// Element names regardless of namespaces.
trait HasName {
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl HasName for Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

const SPRING: &str = "spring-boot-maven-plugin";
const QUARKUS: &str = "quarkus-maven-plugin";
const SHADE: &str = "maven-shade-plugin";
const ASSEMBLY: &str = "maven-assembly-plugin";
/// Plugins that turn a module into an application.
const APPLICATIONS: [&str; 4] = [SPRING, QUARKUS, SHADE, ASSEMBLY];

/// The build result of the pom.xml in this folder.
///
/// # Errors
/// It is unknown, or several modules are possible.
pub(super) fn built(files: &Files<'_>) -> Result<Built, Failure> {
    let maven = if files.has("mvnw") {
        "./mvnw"
    } else if files.has("../mvnw") {
        "../mvnw"
    } else {
        "mvn"
    };
    let texts = texts(files, "");
    let documents = documents(&texts)?;
    let pom = Pom::new(&documents);
    if text(pom.own(), &["packaging"]).as_deref() == Some("pom") {
        let module = application(files, &pom)?;
        let build = format!("{maven} -q -DskipTests -pl {module} -am");
        return built_module(files, &module, &build);
    }
    // A module needs its siblings, which the parent project builds.
    let listed = pom.chain.get(1).and_then(|parent| {
        let above = Pom { chain: vec![*parent], is_complete: true };
        above
            .modules()
            .into_iter()
            .find(|module| module.trim_end_matches('/').rsplit('/').next() == Some(files.folder))
    });
    let build = match listed.filter(|module| !module.contains("..")) {
        Some(module) => {
            let up = "../".repeat(module.trim_end_matches('/').split('/').count());
            format!("{maven} -q -DskipTests -f {up}pom.xml -pl {module} -am")
        }
        None => format!("{maven} -q -DskipTests"),
    };
    built_module(files, "", &build)
}

fn documents(texts: &[String]) -> Result<Vec<Document<'_>>, Failure> {
    let parsed = texts.iter().map(|text| Document::parse(text)).collect::<Result<Vec<_>, _>>();
    let documents = parsed.map_err(|error| {
        Failure::usage(
            Topic::ProjectFile,
            format!("pom.xml cannot be read: {error}."),
            "Fix it; `mvn validate` helps.",
        )
    })?;
    if documents.is_empty() {
        return Err(Failure::usage(
            Topic::ProjectFile,
            "pom.xml cannot be read.",
            "Check that it is UTF-8 text.",
        ));
    }
    Ok(documents)
}

/// The one module that is an application.
fn application(files: &Files<'_>, root: &Pom<'_>) -> Result<String, Failure> {
    let mut waiting: Vec<String> = root.modules();
    waiting.reverse();
    let (mut all, mut found) = (Vec::new(), Vec::new());
    while let Some(module) = waiting.pop()
        && all.len() < super::MOST_MODULES
    {
        let texts = texts(files, &module);
        let Ok(documents) = documents(&texts) else { continue };
        let pom = Pom::new(&documents);
        waiting.extend(pom.modules().iter().rev().map(|inner| join(&module, inner)));
        if text(pom.own(), &["packaging"]).as_deref() != Some("pom") {
            if pom.is_application() {
                found.push(module.clone());
            }
            all.push(module);
        }
    }
    super::only("pom.xml", &all, found)
}

/// The build result of the module in `folder`; `build` is the Maven command with its flags.
fn built_module(files: &Files<'_>, folder: &str, build: &str) -> Result<Built, Failure> {
    let texts = texts(files, folder);
    let documents = documents(&texts)?;
    let pom = Pom::new(&documents);
    let unknown = |name: String| {
        let what = format!(
            "Nothing in pom.xml or above it sets `${{{name}}}`, so the name of what is built is unknown."
        );
        let hint =
            "Set `<finalName>app</finalName>` in `<build>`, then run `diyadm dev --init` again.";
        Failure::usage(Topic::ProjectFile, what, hint)
    };
    let resolved = |value: &str| pom.resolved(value, 0).map_err(unknown);
    let name = pom.inherited(&["build", "finalName"]);
    let name = name.unwrap_or_else(|| "${project.artifactId}-${project.version}".to_owned());
    let name = resolved(&name)?;
    let target = pom.inherited(&["build", "directory"]).unwrap_or_else(|| "target".to_owned());
    let target = resolved(&target)?;
    let target = join(folder, target.trim_start_matches("./"));
    let packaging = text(pom.own(), &["packaging"]).unwrap_or_else(|| "jar".to_owned());
    let package = |goals: &str| format!("{build} {goals}");
    let watch = vec!["src", "pom.xml"];
    let file = |end: &str| format!("{target}/{name}{end}");
    if pom.uses(QUARKUS) {
        let properties = ["quarkus.package.jar.type", "quarkus.package.type"];
        let kind = quarkus::kind(files, folder)
            .or_else(|| properties.iter().find_map(|name| pom.inherited(&["properties", name])));
        return Ok(quarkus::built(&target, &name, kind.as_deref(), package("package"), watch));
    }
    if pom.uses(SPRING) {
        let goals = if pom.is_repackaged() { "package" } else { "package spring-boot:repackage" };
        let classifier = pom.setting(SPRING, &["classifier"]);
        let classifier = classifier.map(|word| format!("-{word}")).unwrap_or_default();
        let from = file(&format!("{classifier}.{packaging}"));
        return Ok(java(&from, package(goals), watch, "Spring Boot builds an executable jar."));
    }
    if packaging == "war" {
        return Ok(super::war(&file(".war"), package("package"), watch));
    }
    let (end, note) = if pom.uses(SHADE) {
        let attached = pom.setting(SHADE, &["shadedArtifactAttached"]).as_deref() == Some("true");
        let name = pom.setting(SHADE, &["shadedClassifierName"]);
        let name = name.unwrap_or_else(|| "shaded".to_owned());
        (if attached { format!("-{name}.jar") } else { ".jar".to_owned() }, RUNS)
    } else if pom.uses(ASSEMBLY) {
        let appended = pom.setting(ASSEMBLY, &["appendAssemblyId"]).as_deref() != Some("false");
        let id = pom.setting(ASSEMBLY, &["descriptorRefs", "descriptorRef"]);
        let id = id.unwrap_or_else(|| "jar-with-dependencies".to_owned());
        (if appended { format!("-{id}.jar") } else { ".jar".to_owned() }, RUNS)
    } else if pom.setting("maven-jar-plugin", &["archive", "manifest", "mainClass"]).is_some() {
        (".jar".to_owned(), "Its manifest names the main class; libraries are not in it.")
    } else {
        (".jar".to_owned(), "pom.xml builds no executable jar: check `command`.")
    };
    Ok(java(&file(&end), package("package"), watch, note))
}

const RUNS: &str = "Its jar has all libraries in it.";
