//! The files on hosts that a plan edits, each with one unified diff over all its edits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use similar::TextDiff;

use crate::kinds::ask::fstab;
use crate::model::{Facts, HostName};

use super::graph::Ordered;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    pub host: HostName,
    pub path: String,
    /// A unified diff with three lines of context.
    pub diff: String,
}

pub(super) fn changes(steps: &[Ordered], facts: &Facts) -> Vec<FileChange> {
    let mut texts: BTreeMap<(HostName, &'static str), (String, fstab::Fstab)> = BTreeMap::new();
    for step in steps {
        let Some(edit) = &step.draft.edit else { continue };
        let Ok(before) = fstab::read(facts.host(&step.host)) else { continue };
        let entry = texts.entry((step.host.clone(), edit.path)).or_insert_with(|| (before.text.clone(), before));
        entry.1 = fstab::Fstab::parse(&entry.1.edited(&edit.remove, edit.insert.as_deref()));
    }
    let changed = texts.into_iter().filter(|(_, (before, after))| *before != after.text);
    changed
        .map(|((host, path), (before, after))| {
            let diff = TextDiff::from_lines(&before, &after.text)
                .unified_diff()
                .context_radius(3)
                .header(path, path)
                .to_string();
            FileChange { host, path: path.to_owned(), diff }
        })
        .collect()
}
