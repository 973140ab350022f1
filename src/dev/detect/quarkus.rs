//! The build result of Quarkus, by its package type.

use super::{Built, Files, Sent, java};

/// The package type in the application's own settings.
pub(super) fn kind(files: &Files<'_>, folder: &str) -> Option<String> {
    let resources = if folder.is_empty() {
        "src/main/resources".to_owned()
    } else {
        format!("{folder}/src/main/resources")
    };
    let text = files.read(&format!("{resources}/application.properties"))?;
    let settings = super::properties(&text);
    let names = ["quarkus.package.jar.type", "quarkus.package.type"];
    names.iter().find_map(|name| settings.get(*name).cloned())
}

/// The build result: `target` is the build folder, `name` the archive's name.
pub(super) fn built(
    target: &str,
    name: &str,
    kind: Option<&str>,
    build: String,
    watch: Vec<&'static str>,
) -> Built {
    let runner = format!("{target}/{name}-runner");
    match kind {
        Some("uber-jar") => java(&format!("{runner}.jar"), build, watch, "Quarkus' uber-jar."),
        Some("legacy-jar") => Built {
            build,
            watch,
            sync: vec![
                Sent::new(&format!("{runner}.jar"), "/tmp/app/app.jar"),
                Sent::new(&format!("{target}/lib"), "/tmp/app/lib"),
            ],
            command: ["java", "-jar", "/tmp/app/app.jar"].map(ToOwned::to_owned).to_vec(),
            note: "Quarkus' legacy-jar, with its libraries next to it.",
        },
        Some("native") => Built {
            build,
            watch,
            sync: vec![Sent::new(&runner, "/tmp/app")],
            command: vec!["/tmp/app".to_owned()],
            note: "A native program runs only where its libraries are.",
        },
        _ => Built {
            build,
            watch,
            sync: vec![Sent::new(&format!("{target}/quarkus-app"), "/tmp/app")],
            command: ["java", "-jar", "/tmp/app/quarkus-run.jar"].map(ToOwned::to_owned).to_vec(),
            note: "Quarkus' fast-jar is a folder.",
        },
    }
}
