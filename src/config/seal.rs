//! Takes credentials out of evaluated blocks: from here on a mark stands for each.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds;
use crate::kinds::schema::AttributeSchema;
use crate::model::block::{AttributeMap, NestedBlock};
use crate::model::{Blocks, Datum, Secrets};

/// Replaces what the schemas call secret. What a block says of it, that it is sensitive and where it stands, stays.
pub(super) fn seal(blocks: &mut Blocks) -> Secrets {
    let mut secrets = Secrets::default();
    for block in blocks.values_mut() {
        let Some(schema) = kinds::kind_of(&block.address).map(|kind| kind.schema()) else { continue };
        let address = &block.address;
        let mut replace = |attributes: &mut AttributeMap, known: &[AttributeSchema], within: &str| {
            for known in known.iter().filter(|known| known.secret) {
                let Some(attribute) = attributes.get_mut(known.name) else { continue };
                attribute.sensitive = true;
                if let Datum::Text(text) = &attribute.value {
                    attribute.value = Datum::text(secrets.seal(address, &format!("{within}{}", known.name), text));
                }
            }
        };
        replace(&mut block.attributes, schema.attributes, "");
        // Of blocks that may stand several times each has credentials of its own.
        let mut count = BTreeMap::<String, usize>::new();
        let mut taken = BTreeSet::new();
        for nested in &mut block.blocks {
            let known = schema.blocks.iter().find(|known| known.name == nested.name);
            let number = count.entry(nested.name.clone()).or_default();
            let within = match (known.is_some_and(|known| known.many), key_of(nested)) {
                // Not by its place: whoever fetches the text again may find the blocks in another order.
                (true, Some(key)) if taken.insert((nested.name.clone(), key.to_owned())) => {
                    format!("{}[{key:?}].", nested.name)
                }
                (true, _) => format!("{}[{number}].", nested.name),
                (false, _) => format!("{}.", nested.name),
            };
            *number += 1;
            replace(&mut nested.attributes, known.map_or(&[][..], |known| known.attributes), &within);
        }
    }
    secrets
}

/// What tells a block from others of its name; a name that nobody may read does not.
fn key_of(nested: &NestedBlock) -> Option<&str> {
    let attribute = nested.attributes.get("name").filter(|attribute| !attribute.sensitive)?;
    match &attribute.value {
        Datum::Text(text) => Some(&**text),
        _ => None,
    }
}
