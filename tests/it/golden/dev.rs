//! What `dev --init` guesses of projects, and errors of invalid project files.

use std::{fs, path::Path};

use super::{Golden, hold};
use crate::rig::diyadm;

/// Kinds of projects: names of files and their content.
const PROJECTS: [(&str, &[(&str, &str)]); 11] = [
    ("maven", &[("pom.xml", POM)]),
    ("maven-wrapper", &[("pom.xml", NAMED), ("mvnw", "")]),
    ("gradle", &[("build.gradle", GRADLE), ("gradlew", "")]),
    ("gradle-kotlin", &[("build.gradle.kts", "plugins { java }\nversion = \"0.1.0\"\n")]),
    ("node", &[("package.json", "{\"scripts\": {\"start\": \"node server.js\"}}")]),
    ("node-without-start", &[("package.json", "{}")]),
    ("go", &[("go.mod", "module example.org/shop/v2\n\ngo 1.24\n"), ("main.go", "")]),
    ("rust", &[("Cargo.toml", "[package]\nname = \"till\"\nversion = \"0.1.0\"\n")]),
    ("python", &[("pyproject.toml", "[project]\nname = \"till\"\n")]),
    // The one that builds the whole counts.
    ("maven-with-a-page", &[("package.json", "{}"), ("pom.xml", POM)]),
    ("unknown", &[("run.sh", "")]),
];

const POM: &str = "\
<?xml version=\"1.0\"?>
<project>
  <!-- <artifactId>not-this</artifactId> -->
  <parent><artifactId>parent</artifactId><version>3.4.0</version></parent>
  <artifactId>till</artifactId>
  <version>1.2</version>
  <dependencies><dependency><artifactId>d</artifactId></dependency></dependencies>
</project>
";

const NAMED: &str = "\
<project>
  <artifactId>till</artifactId>
  <version>1.2</version>
  <build><finalName>app</finalName></build>
</project>
";

const GRADLE: &str = "\
plugins {
    id 'java'
    id 'org.springframework.boot' version '3.4.0'
}
version = '0.0.1-SNAPSHOT'
";

fn project(root: &Path, files: &[(&str, &str)]) {
    fs::create_dir(root).unwrap();
    files.iter().for_each(|(name, text)| fs::write(root.join(name), text).unwrap());
}

#[test]
fn dev_init_matches_golden() {
    let folder = tempfile::tempdir().unwrap();
    let made = PROJECTS.map(|(name, files)| {
        let outer = folder.path().join(name);
        fs::create_dir(&outer).unwrap();
        // The folder's name is the application's where nothing else says it.
        let root = outer.join("shop");
        project(&root, files);
        let run = diyadm(&root, &["dev", "--init", "-f", "-"]).code(0);
        assert_eq!(run.stderr.contains("no build file is here"), name == "unknown", "{name}");
        let text = run.stdout;
        // It is one that is read: next it is the cluster that is missing.
        fs::write(root.join("diyadm.yaml"), &text).unwrap();
        let run = diyadm(&root, &["dev"]);
        assert!(!run.stderr.contains("diyadm.yaml"), "{text}{}", run.stderr);
        assert!(run.stderr.to_lowercase().contains("kubeconfig"), "{}", run.stderr);
        (format!("{name}.yaml"), text)
    });
    hold("golden/dev/init", &Golden::from(made));
}

/// Project files that make no sense.
const WRONG: [(&str, &str); 23] = [
    ("empty", ""),
    ("no-yaml", "workload: deploy/x\nrun: [\n"),
    ("a-list", "- workload: deploy/x\n"),
    ("no-run", "workload: deploy/x\n"),
    ("no-command", "workload: deploy/x\nrun:\n  grace: 3\n"),
    ("unknown-key", "workload: deploy/x\nsinc: []\nrun: {command: x}\n"),
    ("unknown-key-of-run", "workload: deploy/x\nrun:\n  command: x\n  comand: x\n"),
    ("unknown-key-of-empty", "empty:\n  image: keep\n  idel: agent\nrun: {command: x}\n"),
    ("twice", "workload: deploy/x\nworkload: deploy/y\nrun: {command: x}\n"),
    ("two-documents", "run: {command: x}\n---\nrun: {command: y}\n"),
    ("empty-command", "run:\n  command: []\n"),
    ("command-of-a-shell", "run:\n  command: cd /app && ./run\n"),
    ("command-that-is-no-text", "run:\n  command: {java: jar}\n"),
    ("name", "run:\n  command: x\n  name: a b\n"),
    ("grace", "run:\n  command: x\n  grace: long\n"),
    ("env", "run:\n  command: x\n  env: [A=b]\n"),
    ("idle", "workload: deploy/x\nempty:\n  idle: sleep\nrun: {command: x}\n"),
    ("replicas", "empty:\n  replicas: -1\nrun: {command: x}\n"),
    ("sync-without-to", "run: {command: x}\nsync:\n- from: a\n"),
    ("sync-from-nothing", "run: {command: x}\nsync:\n- from: a\n  to: /a\n- from: ''\n  to: /b\n"),
    ("port", "run: {command: x}\nforward:\n- 8080\n- 70000\n"),
    ("ports", "run: {command: x}\nforward:\n- 8080\n- 1:2:3\n"),
    ("debug-port", "run: {command: x}\ndebugPort: java\n"),
];

#[test]
fn project_file_errors_match_golden() {
    let folder = tempfile::tempdir().unwrap();
    let made = WRONG.map(|(name, text)| {
        fs::write(folder.path().join("diyadm.yaml"), text).unwrap();
        let run = diyadm(folder.path(), &["dev"]).code(2);
        assert_eq!(run.stdout, "");
        (format!("{name}.txt"), format!("{text}---\n{}", run.stderr))
    });
    hold("golden/dev/wrong", &Golden::from(made));
}
