//! `--force-from FILE`: the user's own manifests.

use std::path::Path;

use anyhow::Result;

use crate::{
    exit::{Failure, Topic},
    kubernetes::targets::LiveObject,
    operations::files,
    workload::ParsedObject,
};

pub(crate) struct Manifests {
    name: String,
    objects: Vec<ParsedObject>,
}

impl Manifests {
    pub(crate) fn load(file: &Path) -> Result<Self> {
        let files = files::read_manifests(&[file.to_owned()])?;
        let objects = files.into_iter().flat_map(|file| file.objects);
        let objects = objects.map(|document| document.value.into()).collect();
        Ok(Self { name: file.display().to_string(), objects })
    }

    /// The workload's own manifest. A manifest without a namespace matches any.
    pub(super) fn find(&self, found: &LiveObject) -> Result<&ParsedObject> {
        let fits = |object: &&ParsedObject| {
            let namespace = object["metadata"]["namespace"].as_str();
            object["kind"] == found.kind.kind
                && object["metadata"]["name"] == found.name.as_str()
                && namespace.is_none_or(|namespace| namespace == found.namespace)
        };
        self.objects.iter().find(fits).ok_or_else(|| {
            let what = format!("{} has no {} {}.", self.name, found.kind.kind, found.name);
            Failure::usage(Topic::Manifest, what, "Use the file that it was applied from.").into()
        })
    }
}
