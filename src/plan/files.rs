//! The files on hosts that a plan edits, each with one unified diff over all its edits.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};
use similar::TextDiff;

use crate::kinds::Edit;
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
    let mut lines: BTreeMap<(HostName, String), (String, fstab::Edited)> = BTreeMap::new();
    let mut texts: BTreeMap<(HostName, String), (String, String)> = BTreeMap::new();
    for step in steps {
        match &step.draft.edit {
            Some(Edit::Lines { path, remove, insert }) => {
                let entry = match lines.entry((step.host.clone(), path.to_string())) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        let Ok(before) = ask::text_of(facts.host(&step.host), path) else { continue };
                        let after = fstab::Edited::of(&before);
                        entry.insert((before, after))
                    }
                };
                entry.1.edit(remove, insert.as_deref());
            }
            Some(Edit::Whole { path, before, after }) => {
                let place = (step.host.clone(), path.clone());
                texts.entry(place).or_insert_with(|| (before.clone(), String::new())).1.clone_from(after);
            }
            None => {}
        }
    }
    texts.extend(lines.into_iter().map(|(place, (before, after))| (place, (before, after.text()))));
    let texts = texts.into_iter().map(|(place, (before, after))| (place, before, after));
    let changed = texts.filter(|(_, before, after)| before != after);
    changed
        .map(|((host, path), before, after)| {
            let [before, after] = [&before, &after].map(|text| fstab::without_passwords(text));
            let diff =
                TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).header(&path, &path).to_string();
            FileChange { host, path, diff }
        })
        .collect()
}
