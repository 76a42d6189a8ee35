//! Takes credentials out of evaluated blocks: from here on a mark stands for each.

use std::collections::BTreeMap;

use crate::kinds;
use crate::kinds::schema::AttributeSchema;
use crate::model::block::AttributeMap;
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
        for nested in &mut block.blocks {
            let known = schema.blocks.iter().find(|known| known.name == nested.name);
            let number = count.entry(nested.name.clone()).or_default();
            let within = match known.is_some_and(|known| known.many) {
                true => format!("{}[{number}].", nested.name),
                false => format!("{}.", nested.name),
            };
            *number += 1;
            replace(&mut nested.attributes, known.map_or(&[][..], |known| known.attributes), &within);
        }
    }
    secrets
}
