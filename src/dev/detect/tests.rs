//! First files for projects of many kinds, each read as `diyadm dev` reads it.

use super::{super::project, *};

/// The file's text for a folder `shop` with these files.
fn detected(files: &[(&str, &str)]) -> Result<String, Failure> {
    in_folder("shop", files, None)
}

fn in_folder(
    folder: &str,
    files: &[(&str, &str)],
    workload: Option<&str>,
) -> Result<String, Failure> {
    let names: Vec<_> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
    let read = |path: &str| {
        let found = files.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| (*text).to_owned())
    };
    write(&Files { names: &names, folder, read: &read }, workload)
}

const POM: &str = "<?xml version=\"1.0\"?>\n<project>\n<!-- <version>9</version> -->\n\
    <parent><artifactId>parent</artifactId><version>3.0</version></parent>\n\
    <artifactId>web</artifactId><version>1.2</version>\n\
    <dependencies><dependency><artifactId>d</artifactId></dependency></dependencies>\n\
    </project>";

/// What is sent first and what runs, of a file that must be read.
fn sent(text: &str) -> (String, String) {
    let project = project::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let from = project.sync().next().unwrap().from.clone();
    (from, project.command(None).join(" "))
}

#[test]
fn detected_project_file_parses() {
    for (files, from, first) in [
        (&[("pom.xml", POM), ("mvnw", "")][..], "target/web-1.2.jar", "java"),
        (&[("build.gradle", "version = '0.1'\n")], "build/libs/shop-0.1.jar", "java"),
        (&[("build.gradle.kts", "")], "build/libs/shop.jar", "java"),
        (&[("package.json", "{}")], ".", "sh"),
        (&[("go.mod", "")], "build/shop", "/tmp/app"),
        (
            &[("Cargo.toml", "[package]\nname = \"x\"\n")],
            "target/x86_64-unknown-linux-musl/debug/x",
            "/tmp/app",
        ),
        (&[("pyproject.toml", "")], ".", "sh"),
        (&[], ".", "sh"),
    ] {
        let text = detected(files).unwrap();
        let (sent, command) = sent(&text);
        assert_eq!(sent, from, "{text}");
        assert_eq!(command.split(' ').next(), Some(first), "{text}");
        assert!(text.contains("workload: deploy/shop"), "{text}");
    }
    let text = in_folder("shop", &[], Some("sts/db")).unwrap();
    assert_eq!(project::parse(&text).unwrap().workload.as_deref(), Some("sts/db"));
}

#[test]
fn detection_accepts_any_folder_name() {
    for folder in ["My Shop: 2 #x", "-", "\u{e9}", "a\"b", "a\nb", "$(x)"] {
        let files: [&[(&str, &str)]; 4] =
            [&[("build.gradle", "")], &[("go.mod", "")], &[("pom.xml", POM)], &[]];
        for files in files {
            let Ok(text) = in_folder(folder, files, None) else {
                assert!(folder.contains('$'), "{folder}");
                continue;
            };
            let project = project::parse(&text).unwrap_or_else(|e| panic!("{text}\n{e}"));
            let workload = project.workload.as_deref().unwrap();
            let name = workload.strip_prefix("deploy/").unwrap();
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.chars().all(good) && !name.is_empty(), "{text}");
            if let [("build.gradle", _)] = files {
                let from = format!("build/libs/{folder}.jar");
                assert_eq!(project.sync().next().unwrap().from, from, "{text}");
            }
        }
    }
}

/// A pom.xml with this in it.
fn pom(inner: &str) -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><artifactId>web</artifactId>\
         {inner}</project>"
    )
}

fn plugin(artifact: &str, more: &str) -> String {
    format!(
        "<build><plugins><plugin><artifactId>{artifact}</artifactId>{more}</plugin></plugins>\
         </build>"
    )
}

const BOOT: &str = "<parent><artifactId>spring-boot-starter-parent</artifactId>\
    <version>3.4.0</version><relativePath/></parent>";

#[test]
fn maven_archive_names_are_detected() {
    let parent = "<parent><artifactId>up</artifactId><version>${revision}</version></parent>";
    let up = "<project><artifactId>up</artifactId><version>${revision}</version>\
        <properties><revision>7${changelist}</revision><changelist>-SNAPSHOT</changelist>\
        </properties></project>";
    let spring = plugin("spring-boot-maven-plugin", "");
    let exec = "<configuration><classifier>exec</classifier></configuration>";
    let quarkus = plugin("quarkus-maven-plugin", "");
    let shaded = "<executions><execution><configuration><shadedArtifactAttached>true\
        </shadedArtifactAttached></configuration></execution></executions>";
    let jar = "java -jar /tmp/app.jar";
    let settings = "src/main/resources/application.properties";
    for (pom_text, other, from, command) in [
        (pom(POM_VERSION), None, "target/web-1.2.jar", jar),
        (
            pom(&format!("{POM_VERSION}<build><finalName>n</finalName></build>")),
            None,
            "target/n.jar",
            jar,
        ),
        (pom(&format!("{BOOT}{spring}")), None, "target/web-3.4.0.jar", jar),
        (
            pom(&format!("{POM_VERSION}{}", plugin("spring-boot-maven-plugin", exec))),
            None,
            "target/web-1.2-exec.jar",
            jar,
        ),
        (
            pom(&format!("{parent}{spring}")),
            Some(("../pom.xml", up)),
            "target/web-7-SNAPSHOT.jar",
            jar,
        ),
        (
            pom(&format!("{BOOT}<packaging>war</packaging>{spring}")),
            None,
            "target/web-3.4.0.war",
            "java -jar /tmp/app.war",
        ),
        (
            pom(&format!("{POM_VERSION}<packaging>war</packaging>")),
            None,
            "target/web-1.2.war",
            "catalina.sh run",
        ),
        (
            pom(&format!("{POM_VERSION}{quarkus}")),
            None,
            "target/quarkus-app",
            "java -jar /tmp/app/quarkus-run.jar",
        ),
        (
            pom(&format!("{POM_VERSION}{quarkus}")),
            Some((settings, "quarkus.package.jar.type=uber-jar")),
            "target/web-1.2-runner.jar",
            jar,
        ),
        (
            pom(&format!("{POM_VERSION}{}", plugin("maven-shade-plugin", ""))),
            None,
            "target/web-1.2.jar",
            jar,
        ),
        (
            pom(&format!("{POM_VERSION}{}", plugin("maven-shade-plugin", shaded))),
            None,
            "target/web-1.2-shaded.jar",
            jar,
        ),
        (
            pom(&format!("{POM_VERSION}{}", plugin("maven-assembly-plugin", ""))),
            None,
            "target/web-1.2-jar-with-dependencies.jar",
            jar,
        ),
    ] {
        let files: Vec<_> = [("pom.xml", &*pom_text)].into_iter().chain(other).collect();
        let text = detected(&files).unwrap_or_else(|error| panic!("{pom_text}: {}", error.what));
        assert_eq!(sent(&text), (from.to_owned(), command.to_owned()), "{pom_text}");
    }
    // Without an execution of its own Spring Boot's plugin makes no jar that runs.
    let plain = detected(&[("pom.xml", &pom(&format!("{POM_VERSION}{spring}")))]).unwrap();
    assert!(plain.contains("package spring-boot:repackage"), "{plain}");
    let wrapper = detected(&[("pom.xml", POM), ("mvnw", "")]).unwrap();
    assert!(wrapper.contains("build: ./mvnw "), "{wrapper}");
    assert!(detected(&[("pom.xml", POM)]).unwrap().contains("build: mvn "));
    let unknown = pom("<version>${revision}</version>");
    let error = detected(&[("pom.xml", &unknown)]).unwrap_err();
    assert!(error.what.contains("`${revision}`") && error.hint.contains("finalName"));
    assert!(detected(&[("pom.xml", "<project>")]).unwrap_err().what.contains("pom.xml"));
}

const POM_VERSION: &str = "<version>1.2</version>";

#[test]
fn single_runnable_module_is_detected() {
    let root = "<project><artifactId>all</artifactId><version>2</version>\
        <packaging>pom</packaging><modules><module>lib</module><module>app</module></modules>\
        </project>";
    let inner = |name: &str, more: &str| {
        format!(
            "<project><parent><artifactId>all</artifactId><version>2</version></parent>\
             <artifactId>{name}</artifactId>{more}</project>"
        )
    };
    let spring = plugin("spring-boot-maven-plugin", "");
    let (lib, app) = (inner("lib", ""), inner("app", &spring));
    let files = [("pom.xml", root), ("lib/pom.xml", &*lib), ("app/pom.xml", &*app)];
    let text = detected(&files).unwrap();
    assert_eq!(sent(&text).0, "app/target/app-2.jar");
    assert!(text.contains("build: mvn -q -DskipTests -pl app -am "), "{text}");
    let lib = inner("lib", &spring);
    let both = [("pom.xml", root), ("lib/pom.xml", &*lib), ("app/pom.xml", &*app)];
    let error = detected(&both).unwrap_err();
    assert!(error.what.contains("Several modules of pom.xml could run: lib, app"));
    // In the folder of one of them its neighbours are built too.
    let files = [("pom.xml", &*app), ("../pom.xml", root), ("../mvnw", "")];
    let text = in_folder("app", &files, None).unwrap();
    assert_eq!(sent(&text).0, "target/app-2.jar");
    assert!(text.contains("build: ../mvnw -q -DskipTests -f ../pom.xml -pl app -am "), "{text}");
}

#[test]
fn gradle_archive_names_are_detected() {
    let boot = "plugins {\n  id 'java'\n  id 'org.springframework.boot' version '3.4.0'\n}\n";
    let version = format!("{boot}version = '0.1'\n");
    let settings = ("settings.gradle", "rootProject.name = 'store'\n");
    let kts = ("settings.gradle.kts", "rootProject.name = \"store\" // https://x\n");
    let jar = "java -jar /tmp/app.jar";
    let catalog = "[versions]\n[plugins]\nspring-boot = { id = \"org.springframework.boot\" }\n";
    for (build, others, from, command) in [
        (("build.gradle", &*version), &[settings][..], "build/libs/store-0.1.jar", jar),
        (
            ("build.gradle.kts", "plugins { application }\n"),
            &[],
            "build/install/shop",
            "sh /tmp/app/bin/shop",
        ),
        (
            ("build.gradle.kts", "plugins {\n  application\n}\n"),
            &[kts],
            "build/install/store",
            "sh /tmp/app/bin/store",
        ),
        (
            (
                "build.gradle.kts",
                "plugins {\n  alias(libs.plugins.spring.boot)\n}\nversion = \"1\"\n",
            ),
            &[kts, ("gradle/libs.versions.toml", catalog)],
            "build/libs/store-1.jar",
            jar,
        ),
        (
            ("build.gradle", boot),
            &[settings, ("gradle.properties", "version=3\n")],
            "build/libs/store-3.jar",
            jar,
        ),
        (
            ("build.gradle", &*format!("{boot}version = \"$rel\"\n")),
            &[("gradle.properties", "rel=4\n")],
            "build/libs/shop-4.jar",
            jar,
        ),
        (
            ("build.gradle", &*format!("{boot}version = findProperty('rel')\n")),
            &[("gradle.properties", "rel=5\n")],
            "build/libs/shop-5.jar",
            jar,
        ),
        (
            ("build.gradle", &*format!("{version}bootJar {{\n  archiveFileName = 'a.jar'\n}}\n")),
            &[],
            "build/libs/a.jar",
            jar,
        ),
        (
            ("build.gradle", &*format!("{version}bootJar {{ archiveClassifier = 'boot' }}\n")),
            &[],
            "build/libs/shop-0.1-boot.jar",
            jar,
        ),
        (
            ("build.gradle", &*version.replace("'java'", "'war'")),
            &[],
            "build/libs/shop-0.1.war",
            "java -jar /tmp/app.war",
        ),
        (
            ("build.gradle", "plugins {\n  id 'war'\n}\n"),
            &[settings],
            "build/libs/store.war",
            "catalina.sh run",
        ),
        (
            ("build.gradle", "plugins {\n  id 'io.quarkus'\n}\n"),
            &[],
            "build/quarkus-app",
            "java -jar /tmp/app/quarkus-run.jar",
        ),
        (
            ("build.gradle", "plugins {\n  id 'com.gradleup.shadow' version '8'\n}\nversion '2'\n"),
            &[],
            "build/libs/shop-2-all.jar",
            jar,
        ),
    ] {
        let files: Vec<_> = std::iter::once(build).chain(others.iter().copied()).collect();
        let text = detected(&files).unwrap_or_else(|error| panic!("{build:?}: {}", error.what));
        assert_eq!(sent(&text), (from.to_owned(), command.to_owned()), "{files:?}");
    }
    let error =
        detected(&[("build.gradle", &format!("{boot}version = computed()\n"))]).unwrap_err();
    assert!(error.what.contains("computed()"), "{}", error.what);
    // Several projects: the one that runs, and none by chance.
    let all = ("settings.gradle", "rootProject.name = 'all'\ninclude 'lib', ':services:web'\n");
    let off = (
        "build.gradle",
        "plugins {\n  id 'org.springframework.boot' version '3' apply false\n}\nallprojects {\n  version = '9'\n}\n",
    );
    let files = [
        all,
        off,
        ("lib/build.gradle", "\n"),
        ("services/web/build.gradle", boot),
        ("gradlew", ""),
    ];
    let text = detected(&files).unwrap();
    assert_eq!(sent(&text).0, "services/web/build/libs/web-9.jar");
    assert!(text.contains("build: ./gradlew -q :services:web:bootJar"), "{text}");
    let files = [all, ("lib/build.gradle", boot), ("services/web/build.gradle", boot)];
    assert!(detected(&files).unwrap_err().what.contains("lib, services/web"));
    let files = [("build.gradle", boot), ("../settings.gradle", all.1), ("../gradlew", "")];
    let text = in_folder("lib", &files, None).unwrap();
    assert_eq!(sent(&text).0, "build/libs/lib.jar");
    assert!(text.contains("build: ../gradlew -q bootJar"), "{text}");
}
