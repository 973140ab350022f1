//! Circles of imports: no files of a crate use each other, directly or through others.
//!
//! A module and its parents are one thing, so that imports between them do not count. A name counts
//! for the file that defines it, through whichever modules it is exported.

use std::collections::{BTreeMap, VecDeque};

use super::imports::{Import, imports};

/// The names of a module, from the crate's root.
type Module = Vec<String>;

/// How many exports are followed from a name to its definition.
const MOST_EXPORTS: usize = 12;

struct File<'a> {
    name: &'a str,
    code: &'a str,
    imports: Vec<Import>,
}

struct Crate<'a>(BTreeMap<Module, File<'a>>);

/// The shortest circle of each set of files that use each other; `files` are the names and the code
/// of one crate, whose root is `root` (`src/`).
pub(super) fn circles(root: &str, files: &[(String, String)]) -> Vec<String> {
    let module = |name: &str| {
        let path = name.strip_prefix(root)?.strip_suffix(".rs")?;
        let module = path.split('/').map(ToOwned::to_owned).collect::<Module>();
        // Fuzzing is a test of everything.
        let is_left_out = ["fuzz", "main", "lib"].contains(&module[0].as_str());
        (!is_left_out).then_some(module)
    };
    let files = files.iter().filter_map(|(name, code)| {
        Some((module(name)?, File { name, code, imports: imports(code) }))
    });
    let all = Crate(files.collect());
    let edges: BTreeMap<_, _> = all.0.keys().map(|module| (module, all.used_by(module))).collect();
    let mut found = Vec::new();
    let mut seen: Vec<&Module> = Vec::new();
    for module in all.0.keys() {
        let circle =
            shortest(&edges, module).filter(|circle| !seen.iter().any(|m| circle.contains(m)));
        if let Some(circle) = circle {
            let names: Vec<_> = circle.iter().chain([&module]).map(|m| all.0[*m].name).collect();
            found.push(format!("circle of imports: {}", names.join(" → ")));
            seen.extend(circle);
        }
    }
    found
}

/// The shortest way from a module back to itself, without its end.
fn shortest<'m>(
    edges: &BTreeMap<&'m Module, Vec<&'m Module>>,
    start: &'m Module,
) -> Option<Vec<&'m Module>> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen = Vec::new();
    while let Some(way) = ways.pop_front() {
        for next in &edges[way.last()?] {
            if *next == start {
                return Some(way);
            }
            if !seen.contains(next) {
                seen.push(next);
                ways.push_back(way.iter().copied().chain([*next]).collect());
            }
        }
    }
    None
}

impl Crate<'_> {
    /// The other modules that a module uses, without its parents and its own parts.
    fn used_by(&self, module: &Module) -> Vec<&Module> {
        let paths = self.0[module].imports.iter().map(|import| &import.path);
        let used = paths.filter_map(|path| self.definition(module, path, MOST_EXPORTS));
        let used = used.filter_map(|used| self.0.get_key_value(&used).map(|(used, _)| used));
        let mut used: Vec<_> =
            used.filter(|used| !used.starts_with(module) && !module.starts_with(used)).collect();
        used.sort_unstable();
        used.dedup();
        used
    }

    /// The module of the file that defines what `path` names in `from`; `None` for another crate's.
    fn definition(&self, from: &Module, path: &[String], exports: usize) -> Option<Module> {
        let exports = exports.checked_sub(1)?;
        let (mut at, mut rest) = match path[0].as_str() {
            "crate" => (Module::new(), &path[1..]),
            "self" => (from.clone(), &path[1..]),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                (from[..from.len().checked_sub(ups)?].to_vec(), &path[ups..])
            }
            _ if self.part(from, &path[0]).is_some() => (from.clone(), path),
            name => return self.exported(from, name, path, exports),
        };
        while let Some((name, others)) = rest.split_first() {
            if name == "*" {
                break;
            }
            match self.part(&at, name) {
                Some(part) => at = part,
                None if self.imports(&at).any(|import| import.name.as_ref() == Some(name)) => {
                    return self.exported(&at, name, rest, exports);
                }
                None => return Some(self.behind_glob(&at, name, exports).unwrap_or(at)),
            }
            rest = others;
        }
        Some(at)
    }

    fn imports(&self, module: &Module) -> impl Iterator<Item = &Import> {
        self.0.get(module).into_iter().flat_map(|file| &file.imports)
    }

    /// The module of this name in another.
    fn part(&self, module: &Module, name: &str) -> Option<Module> {
        let part: Module = module.iter().cloned().chain([name.to_owned()]).collect();
        self.0.contains_key(&part).then_some(part)
    }

    /// Where `path` leads that begins with a name which `module` imports.
    fn exported(
        &self,
        module: &Module,
        name: &str,
        path: &[String],
        exports: usize,
    ) -> Option<Module> {
        let mut imports = self.imports(module);
        let import =
            imports.find(|import| import.name.as_deref() == Some(name) && import.path != path)?;
        let whole: Vec<_> = import.path.iter().chain(&path[1..]).cloned().collect();
        self.definition(module, &whole, exports)
    }

    /// The module that defines a name which another imports by a glob.
    fn behind_glob(&self, module: &Module, name: &str, exports: usize) -> Option<Module> {
        if self.0.get(module).is_some_and(|file| defines(file.code, name)) {
            return None;
        }
        let globs = self.imports(module).filter(|import| import.name.as_deref() == Some("*"));
        let mut modules = globs.filter_map(|glob| self.definition(module, &glob.path, exports));
        modules.find(|module| self.0.get(module).is_some_and(|file| defines(file.code, name)))
    }
}

fn defines(code: &str, name: &str) -> bool {
    let words = ["struct", "enum", "fn", "const", "static", "trait", "type"];
    words.iter().any(|word| {
        let definition = format!("{word} {name}");
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        code.match_indices(&definition).any(|(at, text)| ends(&code[at + text.len()..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(name, code)| (format!("src/{name}"), (*code).to_owned()));
        circles("src/", &files.collect::<Vec<_>>())
    }

    #[test]
    fn finds_the_shortest_circle_through_the_files_that_define_the_names() {
        let files = [
            ("a.rs", "mod b; mod c; mod d; pub use b::B; pub use c::*;"),
            ("a/b.rs", "use super::C; pub struct B;"),
            ("a/c.rs", "pub struct C; fn x() { super::d::y() }"),
            ("a/d.rs", "use crate::a::{B, c}; pub fn y() {}"),
            ("e.rs", "use crate::a::B;"),
        ];
        let circle = "circle of imports: src/a/b.rs → src/a/c.rs → src/a/d.rs → src/a/b.rs";
        assert_eq!(found(&files), [circle]);
        let cut = files.map(|(name, code)| (name, code.replace("{B, c}", "{c::C as B}")));
        let cut = cut.each_ref().map(|(name, code)| (*name, code.as_str()));
        assert_eq!(found(&cut), ["circle of imports: src/a/c.rs → src/a/d.rs → src/a/c.rs"]);
    }

    #[test]
    fn modules_and_their_parents_are_no_circle() {
        let files = [
            ("a.rs", "mod b; use b::B; pub struct A; use crate::other::*;"),
            ("a/b.rs", "use super::A; use serde::Serialize; pub struct B(A);"),
            ("other.rs", "pub struct Other;"),
            ("fuzz.rs", "use crate::a::A;"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }
}
