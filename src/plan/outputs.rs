//! What the outputs come to, and what of that differs from what the state has. A sensitive value is in neither.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Action;

/// An output of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Known(Value),
    /// It depends on what is not known yet.
    Unknown,
    /// Never stored.
    Sensitive,
}

/// One output that is made, changed or taken away by an apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputChange {
    pub action: Action,
    /// `None` where there was no such output, or its value is not shown any more.
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub sensitive: bool,
}

/// What the state is to have. What is not known keeps the value that it had.
pub(super) fn wanted(before: &BTreeMap<String, Value>, all: &BTreeMap<String, Output>) -> BTreeMap<String, Value> {
    let value = |(name, output): (&String, &Output)| match output {
        Output::Known(value) => Some((name.clone(), value.clone())),
        Output::Unknown => Some((name.clone(), before.get(name)?.clone())),
        Output::Sensitive => None,
    };
    all.iter().filter_map(value).collect()
}

pub(super) fn changes(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
    all: &BTreeMap<String, Output>,
) -> BTreeMap<String, OutputChange> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| {
        let (old, new) = (before.get(name), after.get(name));
        let action = match (old, new) {
            (None, _) => Action::Create,
            (_, None) => Action::Destroy,
            (Some(old), Some(new)) if old != new => Action::Update,
            _ => return None,
        };
        // What was told so far may have become a secret.
        let sensitive = all.get(name) == Some(&Output::Sensitive);
        let shown = |value: Option<&Value>| value.filter(|_| !sensitive).cloned();
        Some((name.clone(), OutputChange { action, before: shown(old), after: shown(new), sensitive }))
    };
    names.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_output_changes_when_the_state_would_have_another() {
        let before: BTreeMap<String, Value> = [
            ("same", json!([1])),
            ("other", json!("a")),
            ("gone", json!(1)),
            ("secret", json!("s")),
            ("waits", json!(2)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let all: BTreeMap<String, Output> = [
            ("same", Output::Known(json!([1]))),
            ("other", Output::Known(json!("b"))),
            ("new", Output::Known(json!(null))),
            ("secret", Output::Sensitive),
            ("waits", Output::Unknown),
            ("waits-too", Output::Unknown),
        ]
        .into_iter()
        .map(|(name, output)| (name.to_owned(), output))
        .collect();
        let after = wanted(&before, &all);
        assert_eq!(after.keys().collect::<Vec<_>>(), ["new", "other", "same", "waits"]);
        let found = changes(&before, &after, &all);
        let said: Vec<_> = found.iter().map(|(name, one)| (name.as_str(), one.action, one.before.clone())).collect();
        assert_eq!(
            said,
            [
                ("gone", Action::Destroy, Some(json!(1))),
                ("new", Action::Create, None),
                ("other", Action::Update, Some(json!("a"))),
                ("secret", Action::Destroy, None),
            ]
        );
        assert!(found["secret"].sensitive);
    }
}
