//! The fields of an object or a map of the language: names with their values, in the order of names. They are made in one go
//! and never changed, which takes a third of the room of a tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::value::Value;

/// Fields that are still gathered.
pub(super) type Gathered = BTreeMap<Arc<str>, Value>;

#[derive(Debug, Clone, Default)]
pub struct Fields(Box<[(Arc<str>, Value)]>);

impl Fields {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Arc<str>, &Value)> + ExactSizeIterator + Clone {
        self.0.iter().map(|(name, value)| (name, value))
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Arc<str>> + ExactSizeIterator + Clone {
        self.0.iter().map(|(name, _)| name)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator + Clone {
        self.0.iter().map(|(_, value)| value)
    }
}

impl FromIterator<(Arc<str>, Value)> for Fields {
    /// Of two values with one name the last one counts.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(fields: I) -> Self {
        let mut all: Vec<_> = fields.into_iter().collect();
        if !all.is_sorted_by(|(a, _), (b, _)| a < b) {
            all.sort_by(|(a, _), (b, _)| a.cmp(b));
            all.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    std::mem::swap(later, earlier);
                }
                same
            });
        }
        Fields(all.into())
    }
}

impl<const N: usize> From<[(Arc<str>, Value); N]> for Fields {
    fn from(fields: [(Arc<str>, Value); N]) -> Self {
        fields.into_iter().collect()
    }
}

impl From<Gathered> for Fields {
    fn from(fields: Gathered) -> Self {
        Fields(fields.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = (&'a Arc<str>, &'a Value);
    type IntoIter = std::iter::Map<std::slice::Iter<'a, (Arc<str>, Value)>, fn(&'a (Arc<str>, Value)) -> Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_are_what_a_tree_would_hold(pairs in prop::collection::vec(("[a-d]{0,2}", any::<bool>()), 0..12)) {
            let named = || pairs.iter().map(|(name, value)| (Arc::from(name.as_str()), Value::from(*value)));
            let tree: Gathered = named().collect();
            let text = |fields: &Fields| format!("{fields:?}");
            let fields: Fields = named().collect();
            for (name, value) in &tree {
                prop_assert!(fields.get(name).is_some_and(|found| found.same(value)));
            }
            prop_assert!(!fields.contains_key("e") && fields.len() == tree.len());
            prop_assert_eq!(text(&fields), text(&Fields::from(tree)));
        }
    }
}
