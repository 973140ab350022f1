//! The bill of materials, CycloneDX 1.5: what is linked into the program and the agent, from
//! `cargo metadata` and Cargo.lock. `cargo tree` says which packages these are: metadata has the
//! features of the whole workspace.
//!
//! Of what only a build needs, only the sources of C libraries count (packages `…-src`): their code
//! is in the program.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::release::{Release, sha256};
use crate::{paths, process};

/// The packages whose programs are released.
pub(super) const PROGRAMS: [&str; 2] = ["diyadm", "diyadm-agent"];

/// The bill as JSON text.
pub(super) fn json(release: &Release) -> Result<String> {
    let metadata = metadata()?;
    let lock = fs::read_to_string(paths::root().join("Cargo.lock"))?;
    let mut bill = bill(&metadata, &checksums(&lock), &linked()?)?;
    bill["metadata"]["timestamp"] = release.created().into();
    // Version 8 of RFC 9562: bits of one's own, here of the content.
    let sum = sha256(bill.to_string().as_bytes());
    let serial = format!(
        "urn:uuid:{}-{}-8{}-a{}-{}",
        &sum[..8],
        &sum[8..12],
        &sum[12..15],
        &sum[15..18],
        &sum[18..30]
    );
    bill["serialNumber"] = serial.into();
    Ok(serde_json::to_string_pretty(&bill)? + "\n")
}

/// `NAME vVERSION` of each package that is linked into the programs.
pub(super) fn linked() -> Result<BTreeSet<String>> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    for program in PROGRAMS {
        tree.args(["--package", program]);
    }
    let tree = process::output(tree.current_dir(paths::root()))?;
    let words = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    Ok(tree.lines().map(words).filter(|line| !line.is_empty()).collect())
}

fn metadata() -> Result<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    let host = process::output(Command::new("rustc").arg("-vV"))?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    cargo.args(["metadata", "--format-version", "1", "--locked", "--filter-platform"]);
    cargo.arg(host.context("rustc names no host")?).current_dir(paths::root());
    Ok(serde_json::from_str(&process::output(&mut cargo)?)?)
}

/// The checksums in Cargo.lock, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(&format!("{name} = \"")));
        line.and_then(|line| line.strip_suffix('"')).map(ToOwned::to_owned)
    };
    let packages = lock.split("[[package]]");
    let sum = |block| {
        Some(((field(block, "name")?, field(block, "version")?), field(block, "checksum")?))
    };
    packages.filter_map(sum).collect()
}

fn bill(
    metadata: &Value,
    sums: &BTreeMap<(String, String), String>,
    linked: &BTreeSet<String>,
) -> Result<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<String, Value> = list(&metadata["packages"])
        .into_iter()
        .map(|package| (text(&package["id"]), package))
        .collect();
    let named = |id: &str| {
        let package = &packages[id];
        format!("{} v{}", text(&package["name"]), text(&package["version"]))
    };
    let is_source = |id: &str| text(&packages[id]["name"]).ends_with("-src");
    let nodes: BTreeMap<String, Vec<String>> = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let counts = |dependency: &Value| {
                let id = text(&dependency["pkg"]);
                let mut kinds = list(&dependency["dep_kinds"]).into_iter();
                kinds.any(|kind| match kind["kind"].as_str() {
                    None => linked.contains(&named(&id)),
                    Some(kind) => kind == "build" && is_source(&id),
                })
            };
            let id = text(&node["id"]);
            // What compiles such sources is not linked.
            let all = if is_source(&id) { Vec::new() } else { list(&node["deps"]) };
            let counted = all.into_iter().filter(counts);
            (id, counted.map(|dependency| text(&dependency["pkg"])).collect())
        })
        .collect();

    let is_program = |package: &Value| PROGRAMS.contains(&text(&package["name"]).as_str());
    let mut left: Vec<String> =
        packages.iter().filter(|(_, p)| is_program(p)).map(|(id, _)| id.clone()).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = left.pop() {
        if seen.insert(id.clone()) {
            left.extend(nodes.get(&id).cloned().unwrap_or_default());
        }
    }

    let reference = |id: &String| {
        let package = &packages[id];
        // A plus sign is escaped in a package URL.
        let version = text(&package["version"]).replace('+', "%2B");
        format!("pkg:cargo/{}@{version}", text(&package["name"]))
    };
    let component = |id: &String| {
        let package = &packages[id];
        let (name, version) = (text(&package["name"]), text(&package["version"]));
        let mut component = json!({
            "type": if PROGRAMS.contains(&name.as_str()) { "application" } else { "library" },
            "bom-ref": reference(id),
            "name": name,
            "version": version,
            "purl": reference(id),
        });
        if let Some(license) = package["license"].as_str() {
            // The slash is cargo's old spelling of OR.
            let license = license.replace('/', " OR ");
            component["licenses"] = json!([{ "expression": license }]);
        }
        if let Some(sum) = sums.get(&(name, version)) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
        }
        if let Some(url) = package["repository"].as_str() {
            component["externalReferences"] = json!([{ "type": "vcs", "url": url }]);
        }
        component
    };
    let main = seen.iter().find(|id| packages[*id]["name"] == PROGRAMS[0]);
    let main = main.context("cargo knows no package diyadm")?;
    let components: Vec<Value> = seen.iter().filter(|id| *id != main).map(component).collect();
    let dependencies: Vec<Value> = seen
        .iter()
        .map(|id| {
            let on: BTreeSet<String> = nodes[id].iter().map(reference).collect();
            json!({ "ref": reference(id), "dependsOn": on })
        })
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": component(main) },
        "components": components,
        "dependencies": dependencies,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bill_has_linked_packages_only() {
        let package = |name: &str| json!({ "id": name, "name": name, "version": "1.0.0+x", "license": "MIT/ISC" });
        let on = |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let names = ["diyadm", "diyadm-agent", "linked", "tested", "built", "ssl-src", "other"];
        let metadata = json!({
            "packages": names.map(package),
            "resolve": { "nodes": [
                { "id": "diyadm", "deps": [
                    on("linked", Value::Null), on("tested", "dev".into()), on("built", "build".into()),
                ] },
                { "id": "linked", "deps": [on("ssl-src", "build".into()), on("other", Value::Null)] },
                { "id": "diyadm-agent", "deps": [] },
                { "id": "ssl-src", "deps": [on("built", Value::Null)] },
                { "id": "other", "deps": [] },
            ] },
        });
        let sums =
            checksums("[[package]]\nname = \"linked\"\nversion = \"1.0.0+x\"\nchecksum = \"ab\"\n");
        let tree =
            ["diyadm v1.0.0+x", "diyadm-agent v1.0.0+x", "linked v1.0.0+x", "built v1.0.0+x"];
        let bill = bill(&metadata, &sums, &tree.map(ToOwned::to_owned).into()).unwrap();
        let components = bill["components"].as_array().unwrap();
        let names: Vec<_> = components.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["diyadm-agent", "linked", "ssl-src"]);
        assert_eq!(components[1]["purl"], "pkg:cargo/linked@1.0.0%2Bx");
        assert_eq!(components[1]["hashes"][0]["content"], "ab");
        assert_eq!(components[1]["licenses"][0]["expression"], "MIT OR ISC");
        assert_eq!(bill["dependencies"][0]["dependsOn"], json!(["pkg:cargo/linked@1.0.0%2Bx"]));
    }
}
