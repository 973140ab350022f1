//! Kubeconfig files, read and merged: the first file with an entry or a current context wins, and
//! entries are never mixed.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path};

use anyhow::Result;
use serde_json::Value;

use super::{
    Files,
    entries::{Cluster, Context, User, folder},
    fields::ConfigFields,
    selected::Selected,
    unusable,
};
use crate::{exit::Failure, yaml};

/// The merged kubeconfig files.
#[derive(Default)]
pub struct Kubeconfig {
    current_context: String,
    clusters: BTreeMap<String, Cluster>,
    users: BTreeMap<String, User>,
    contexts: BTreeMap<String, Context>,
}

impl Kubeconfig {
    /// Reads the files. All files of a list may be missing; an existing unreadable file is an
    /// error.
    ///
    /// # Errors
    /// Named by file and field.
    pub fn load(files: &Files) -> Result<Self> {
        match files {
            Files::Explicit(file) => Self::read_file(file)?.ok_or_else(|| {
                let hint = "Use an existing kubeconfig with --kubeconfig FILE.";
                let what = format!("There is no kubeconfig {}.", file.display());
                Failure::unreachable(what, hint).into()
            }),
            Files::Listed(files) => files.iter().try_fold(Self::default(), |merged, file| {
                Ok(merged.merge(Self::read_file(file)?.unwrap_or_default()))
            }),
        }
    }

    /// The names of its contexts.
    pub fn context_names(&self) -> impl Iterator<Item = &str> {
        self.contexts.keys().map(String::as_str)
    }

    /// `None` if the file does not exist.
    fn read_file(file: &Path) -> Result<Option<Self>> {
        let name = file.display();
        let text = match fs::read(file) {
            Ok(bytes) => String::from_utf8(bytes)
                .map_err(|_| unusable(format!("{name} is not text in UTF-8")))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let what = format!("The kubeconfig {name} cannot be read: {error}.");
                let hint = "Make it readable, or use another one with --kubeconfig FILE or \
                            $KUBECONFIG: `ls -l` shows its owner.";
                return Err(Failure::unreachable(what, hint).into());
            }
        };
        let value = document(&name.to_string(), &text)?;
        Self::parse(&value, &name.to_string(), &folder(file)?).map(Some)
    }

    fn parse(value: &Value, file: &str, folder: &Path) -> Result<Self> {
        let fields = ConfigFields::new(value, format!("{file}:"))?;
        for (name, wanted) in [("kind", "Config"), ("apiVersion", "v1")] {
            let is = fields.text(name)?;
            if !is.is_empty() && is != wanted {
                return Err(unusable(format!("{file}: {name} is not {wanted}")));
            }
        }
        Ok(Self {
            current_context: fields.text("current-context")?,
            clusters: named(&fields, "clusters", "cluster", |f| Cluster::from_fields(f, folder))?,
            users: named(&fields, "users", "user", |f| User::from_fields(f, folder))?,
            contexts: named(&fields, "contexts", "context", Context::from_fields)?,
        })
    }

    fn merge(mut self, later: Self) -> Self {
        if self.current_context.is_empty() {
            self.current_context = later.current_context;
        }
        merge(&mut self.clusters, later.clusters);
        merge(&mut self.users, later.users);
        merge(&mut self.contexts, later.contexts);
        self
    }

    /// The selected context, with its files read and validated; `None` if no context is named here
    /// or in the files.
    ///
    /// # Errors
    /// No such context, or what it leads to is refused by kubectl too.
    pub fn select(&self, context: Option<&str>) -> Result<Option<Selected>> {
        let name = context.unwrap_or(&self.current_context);
        if name.is_empty() {
            return Ok(None);
        }
        let Some(context) = self.contexts.get(name) else {
            let hint = "List them with `kubectl config get-contexts`, then use one with --context \
                        NAME.";
            let what = format!("The kubeconfig has no context {name}.");
            return Err(Failure::unreachable(what, hint).into());
        };
        let Some(cluster) = self.clusters.get(&context.cluster) else {
            let wanted = &context.cluster;
            return Err(unusable(format!(
                "context {name} needs a cluster {wanted:?}, which is missing"
            )));
        };
        // A context without a user is allowed.
        let user = self.users.get(&context.user).cloned().unwrap_or_default();
        Selected::new(name, context.clone(), cluster.clone(), user).map(Some)
    }

    /// The error if [`Kubeconfig::select`] found none.
    pub(super) fn nothing_selected(&self, files: &Files) -> anyhow::Error {
        if self.contexts.is_empty() {
            let read = match files {
                Files::Explicit(file) => format!("{} names none", file.display()),
                Files::Listed(files) => {
                    let files: Vec<_> = files.iter().map(|f| f.display().to_string()).collect();
                    format!("looked for in {}", files.join(", "))
                }
            };
            let hint = "Use a kubeconfig with --kubeconfig FILE or $KUBECONFIG; without a \
                        cluster, try `diyadm verify --offline`.";
            return Failure::unreachable(
                format!("There is no kubeconfig with a context: {read}."),
                hint,
            )
            .into();
        }
        let hint = "Set it with `kubectl config use-context NAME`, or use one with --context \
                    NAME; `kubectl config get-contexts` lists them.";
        Failure::unreachable("The kubeconfig has no current context.", hint).into()
    }
}

/// The first document: kubectl reads no further.
fn document(file: &str, text: &str) -> Result<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let objects = yaml::json(text).unwrap_or_default();
    if let Some(value) = objects.first().and_then(|(_, object)| yaml::parse_json(object)) {
        return Ok(value);
    }
    let Some(chunk) = yaml::chunks(text).find(|chunk| !chunk.body.is_empty()) else {
        return Ok(Value::Null);
    };
    // The parser's message may quote the file.
    yaml::parse(file, &chunk, 1).map_err(|error| {
        let yaml::Error { line, column, .. } = error;
        unusable(format!("{file}:{line}:{column} is not YAML"))
    })
}

/// A list of entries with unique names.
fn named<T>(
    fields: &ConfigFields<'_>,
    list: &str,
    entry: &str,
    read: impl Fn(&ConfigFields<'_>) -> Result<T>,
) -> Result<BTreeMap<String, T>> {
    let mut entries = BTreeMap::new();
    for each in fields.each(list)? {
        let name = each.text("name")?;
        if entries.contains_key(&name) {
            return Err(unusable(format!("{list} has {name:?} twice")));
        }
        entries.insert(name, read(&each.fields(entry)?)?);
    }
    Ok(entries)
}

fn merge<T>(first: &mut BTreeMap<String, T>, later: BTreeMap<String, T>) {
    for (name, entry) in later {
        first.entry(name).or_insert(entry);
    }
}
