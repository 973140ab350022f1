//! Names of images with the registry that Docker assumes.

/// `NAME:TAG` with its registry, as containerd stores it: `docker.io/library/NAME:TAG` where the
/// name has none.
pub fn canonical_name(name: &str) -> String {
    let is_registry =
        |first: &str| first == "localhost" || first.contains('.') || first.contains(':');
    match name.split_once('/') {
        Some((first, _)) if is_registry(first) => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_registry_are_of_docker_hub() {
        for (name, canonical) in [
            ("a:1", "docker.io/library/a:1"),
            ("team/a:1", "docker.io/team/a:1"),
            ("r.example/a:1", "r.example/a:1"),
            ("r:5000/team/a:1", "r:5000/team/a:1"),
            ("localhost/a:1", "localhost/a:1"),
        ] {
            assert_eq!(canonical_name(name), canonical);
        }
    }
}
