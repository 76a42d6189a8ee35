//! The object of a resource instance that other expressions read: every attribute of its kind, in canonical form.

use std::sync::Arc;

use super::super::decode;
use super::super::value::{Fields, Value};
use super::World;
use super::contents::Originals;
use crate::kinds::schema::{AttributeSchema, BlockSchema, Type as Wanted};
use crate::kinds::{Kind, host};
use crate::model::block::AttributeMap;
use crate::model::{Address, Block, HostName};

/// The names of an object in their order, which all resources of a kind share.
pub(super) struct Shape(Vec<(Arc<str>, Part)>);

enum Part {
    Attribute(&'static AttributeSchema),
    Block(&'static BlockSchema, Shape),
    /// What a host has more.
    HostName,
    HostFacts,
}

impl Shape {
    pub(super) fn of(kind: &dyn Kind) -> Self {
        let schema = kind.schema();
        let nested = |block: &'static BlockSchema| {
            let shape = Shape::sorted(attributes(block.attributes).collect());
            (Arc::from(block.name), Part::Block(block, shape))
        };
        let of_host = [(Arc::from("name"), Part::HostName), (Arc::from("facts"), Part::HostFacts)];
        let of_host = of_host.into_iter().filter(|_| kind.name() == host::NAME);
        Shape::sorted(attributes(schema.attributes).chain(schema.blocks.iter().map(nested)).chain(of_host).collect())
    }

    fn sorted(mut parts: Vec<(Arc<str>, Part)>) -> Self {
        parts.sort_by(|(a, _), (b, _)| a.cmp(b));
        Shape(parts)
    }
}

fn attributes(schema: &'static [AttributeSchema]) -> impl Iterator<Item = (Arc<str>, Part)> {
    schema.iter().map(|known| (Arc::from(known.name), Part::Attribute(known)))
}

impl World<'_> {
    /// The object of an instance. `absent` stands for a nested block that is not there.
    pub(super) fn object(&self, shape: &Shape, block: &Block, originals: &Originals, absent: &Value) -> Value {
        let fields = shape.0.iter().map(|(name, part)| {
            let value = match part {
                Part::Attribute(known) => self.field(known, &block.attributes, originals),
                Part::Block(nested, shape) => {
                    let blocks = block.blocks.iter().filter(|block| block.name == nested.name);
                    let mut objects = blocks.map(|block| Value::object(self.fields(shape, &block.attributes)));
                    match nested.many {
                        true => Value::tuple(objects.collect()),
                        false => objects.next().unwrap_or_else(|| absent.clone()),
                    }
                }
                Part::HostName => Value::text(&block.address.default_name()),
                Part::HostFacts => {
                    let name = HostName(block.address.default_name());
                    let facts = self.facts.and_then(|facts| facts.get(&name));
                    facts.map_or_else(Value::unknown, Value::from_json)
                }
            };
            (name.clone(), value)
        });
        Value::resource(block.address.clone(), fields.collect())
    }

    /// The fields of a nested block.
    fn fields(&self, shape: &Shape, attributes: &AttributeMap) -> Fields {
        let fields = shape.0.iter().filter_map(|(name, part)| match part {
            Part::Attribute(known) => Some((name.clone(), self.field(known, attributes, &Originals::new()))),
            _ => None,
        });
        fields.collect()
    }

    fn field(&self, known: &AttributeSchema, attributes: &AttributeMap, originals: &Originals) -> Value {
        let resource = |address: &Address| self.instances.get(address).cloned().unwrap_or_else(Value::unknown);
        let attribute = attributes.get(known.name);
        let value = match (known.ty, originals.get(known.name)) {
            // JSON would round what the configuration says exactly.
            (Wanted::Any, Some(original)) => original.clone(),
            _ => decode::value(known.ty, attribute.map(|attribute| &attribute.value), &resource),
        };
        value.marked(attribute.is_some_and(|attribute| attribute.sensitive))
    }
}
