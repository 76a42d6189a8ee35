//! The files on hosts that a plan edits, each with one unified diff over all its edits.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};
use similar::TextDiff;

use crate::kinds::ask::{self, fstab};
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
    let mut texts: BTreeMap<(HostName, String), (String, fstab::Edited)> = BTreeMap::new();
    for step in steps {
        let Some(edit) = &step.draft.edit else { continue };
        let entry = match texts.entry((step.host.clone(), edit.path.to_string())) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let Ok(before) = ask::text_of(facts.host(&step.host), &edit.path) else { continue };
                let after = fstab::Edited::of(&before);
                entry.insert((before, after))
            }
        };
        entry.1.edit(&edit.remove, edit.insert.as_deref());
    }
    let texts = texts.into_iter().map(|(place, (before, after))| (place, before, after.text()));
    let changed = texts.filter(|(_, before, after)| before != after);
    changed
        .map(|((host, path), before, after)| {
            let diff =
                TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).header(&path, &path).to_string();
            FileChange { host, path, diff }
        })
        .collect()
}
