//! The layers of `src`: a module imports only what stands below it, so that there is no circle.

use super::imports::imports;

/// The modules of the library, from the top down.
const LAYERS: [&str; 25] = [
    "commands",
    "doc_tables",
    "cli",
    "operations",
    "dev",
    "plan",
    "report",
    "conflicts",
    "webhook",
    "screen",
    "explain",
    "roles",
    "status",
    "rollout",
    "mutate",
    "kubernetes",
    "workload",
    "exit",
    "pki",
    "ui",
    "yaml",
    "kinds",
    "json",
    "version",
    "platform",
];
/// What may import everything: the program, and the crate's root.
const ROOTS: [&str; 2] = ["main", "lib"];

/// Imports of `code`, the untested part of the file `name` (`src/…`), that lead up.
pub(super) fn broken(name: &str, code: &str) -> Vec<String> {
    let path = name.strip_prefix("src/").unwrap_or_default();
    let module = path.split(['/', '.']).next().unwrap_or_default();
    // Fuzzing is a test of everything.
    if module.is_empty() || module == "fuzz" || ROOTS.contains(&module) {
        return Vec::new();
    }
    let layer = |module: &str| LAYERS.iter().position(|known| *known == module);
    let Some(own) = layer(module) else {
        return vec![format!("module {module} has no layer: see xtask/src/tidy/layers.rs")];
    };
    let is_up = |import: &String| import != module && layer(import).is_none_or(|other| other < own);
    let mut up: Vec<_> = modules(code).into_iter().filter(is_up).collect();
    up.sort_unstable();
    up.dedup();
    up.into_iter().map(|import| format!("imports {import}, which is not below {module}")).collect()
}

/// The top-level modules that the code names; a function or type of the crate's root is none.
fn modules(code: &str) -> Vec<String> {
    let paths = imports(code).into_iter().map(|import| import.path);
    let paths = paths.filter(|path| path[0] == "crate" && path.len() > 1);
    let modules = paths.map(|mut path| path.swap_remove(1));
    modules.filter(|module| module.starts_with(|c: char| c.is_lowercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_imports_that_lead_up() {
        let up = "imports cli, which is not below kubernetes";
        for (code, expected) in [
            ("use crate::cli::Global;", vec![up]),
            ("use crate::{\n    exit::{Code, Failure},\n    cli::Global,\n};", vec![up]),
            ("use crate::{cli, exit};", vec![up]),
            ("fn x() { crate::cli::x(crate::cli::y()) }", vec![up]),
            ("use crate::{exit::{Code, cli}, ui};\nuse super::cli;", vec![]),
            ("use other_crate::cli; use crate::kubernetes::error;", vec![]),
            ("use crate::{ui};\nlet (a, cli) = x;", vec![]),
        ] {
            assert_eq!(broken("src/kubernetes/exec.rs", code), expected, "{code}");
        }
    }

    #[test]
    fn each_module_has_a_layer() {
        assert_eq!(broken("src/new.rs", "").len(), 1);
        assert_eq!(broken("src/ui.rs", "use crate::new::X;").len(), 1);
        for name in ["src/main.rs", "src/fuzz/x.rs", "tests/it/x.rs", "src/commands/x.rs"] {
            assert_eq!(broken(name, "use crate::ui::text;"), [""; 0], "{name}");
        }
    }
}
