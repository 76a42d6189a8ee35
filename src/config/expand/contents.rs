//! What stands in a resource block, beside the schema of its kind: looked up once for all instances, then evaluated for each.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::super::declare::Resource;
use super::super::decode;
use super::super::eval::Evaluator;
use super::super::modules::clean;
use super::super::references::{Reference, in_block, references};
use super::super::source::{Sources, Span};
use super::super::syntax::{Attribute as SyntaxAttribute, Body};
use super::super::value::Value;
use super::dynamic::{Dynamic, are_single};
use super::object::Shape;
use crate::kinds::schema::{AttributeSchema, BlockSchema, Type as Wanted};
use crate::model::block::AttributeMap;
use crate::model::{Attribute, Datum, NestedBlock, Place, Problem};

/// A resource block with what all its instances share.
pub(super) struct Contents<'a> {
    pub resource: &'a Resource,
    /// Of the header.
    pub place: Option<Arc<Place>>,
    pub reads: Reads<'a>,
    pub shape: Shape,
    attributes: Written<'a>,
    blocks: Vec<Nested<'a>>,
}

/// What a block refers to.
pub(super) struct Reads<'a> {
    /// In `for_each`.
    pub for_each: Vec<Reference<'a>>,
    /// The same for every instance.
    pub common: Vec<Reference<'a>>,
    /// Where each instance chooses for itself: `image.base[each.key]`.
    pub chosen: Vec<Reference<'a>>,
}

enum Nested<'a> {
    Fixed(&'static BlockSchema, Written<'a>),
    /// `None` if it is in error, which is reported with the whole block.
    Dynamic(Option<Dynamic<'a>>),
}

/// What one instance says.
pub(super) struct Decoded {
    pub attributes: AttributeMap,
    pub blocks: Vec<NestedBlock>,
    /// The values of attributes that take anything, exactly.
    pub originals: Originals,
}

pub(super) type Originals = BTreeMap<&'static str, Value>;

impl<'a> Contents<'a> {
    pub(super) fn new(sources: &Sources, resource: &'a Resource) -> Self {
        let (schema, body) = (resource.kind.schema(), &resource.block.body);
        let nested = body.blocks.iter().filter_map(|block| {
            if block.word.as_ref() == "dynamic" {
                return Some(Nested::Dynamic(Dynamic::new(sources, schema.blocks, block)));
            }
            let nested = schema.blocks.iter().find(|known| known.name == block.word.as_ref())?;
            Some(Nested::Fixed(nested, Written::new(sources, nested.attributes, &block.body, block.header)))
        });
        Contents {
            resource,
            place: sources.place(resource.block.header).map(Arc::new),
            reads: Reads::new(body),
            shape: Shape::of(resource.kind),
            attributes: Written::new(sources, schema.attributes, body, resource.block.header),
            blocks: nested.collect(),
        }
    }

    /// What the block says in the scope of the evaluator, files named from the directory `from`. `None` if something is in
    /// error, all of which is reported.
    pub(super) fn decode(&self, evaluator: &mut Evaluator<'_>, from: &str) -> Option<Decoded> {
        let schema = self.resource.kind.schema();
        let mut originals = Originals::new();
        let attributes = self.attributes.decode(evaluator, &mut originals);
        let mut fits = attributes.is_some();
        let mut blocks = Vec::new();
        let mut is_repeated = false;
        for nested in &self.blocks {
            let found = match nested {
                Nested::Fixed(schema, written) => written.decode_block(evaluator, schema).map(|block| vec![block]),
                Nested::Dynamic(dynamic) => {
                    is_repeated = true;
                    dynamic.as_ref().and_then(|dynamic| dynamic.blocks(evaluator))
                }
            };
            match found {
                Some(found) => blocks.extend(found),
                None => fits = false,
            }
        }
        if is_repeated {
            fits &= are_single(evaluator, schema.blocks, &blocks, self.resource.block.header);
        }
        let mut attributes = attributes.filter(|_| fits)?;
        if !from.is_empty() {
            from_module(schema.attributes, &mut attributes, from);
            for block in &mut blocks {
                let nested = schema.blocks.iter().find(|known| known.name == block.name);
                from_module(nested.map_or(&[][..], |nested| nested.attributes), &mut block.attributes, from);
            }
        }
        Some(Decoded { attributes, blocks, originals })
    }
}

impl<'a> Reads<'a> {
    fn new(body: &'a Body) -> Self {
        let (for_each, rest): (Vec<_>, Vec<_>) =
            body.attributes.iter().partition(|attribute| attribute.name.as_ref() == "for_each");
        let of = |attributes: Vec<&'a SyntaxAttribute>| {
            attributes.into_iter().flat_map(|attribute| references(&attribute.value))
        };
        let (chosen, common) = of(rest).chain(body.blocks.iter().flat_map(in_block)).partition(is_chosen);
        Reads { for_each: of(for_each).collect(), common, chosen }
    }
}

/// Whether the key of a reference depends on which instance it is.
fn is_chosen(reference: &Reference<'_>) -> bool {
    let of_instance = |inner: Reference<'_>| matches!(inner.root.as_ref(), "each" | "count");
    reference.key.is_some_and(|key| references(key).into_iter().any(of_instance))
}

/// The attributes of one body beside those of its schema, in the order of the schema.
pub(super) struct Written<'a> {
    header: Span,
    place: Option<Arc<Place>>,
    attributes: Vec<(&'static AttributeSchema, Option<WrittenAttribute<'a>>)>,
}

struct WrittenAttribute<'a> {
    attribute: &'a SyntaxAttribute,
    /// Of the value.
    place: Option<Arc<Place>>,
}

impl<'a> Written<'a> {
    pub(super) fn new(
        sources: &Sources,
        schema: &'static [AttributeSchema],
        body: &'a Body,
        header: Span,
    ) -> Written<'a> {
        let written = |known: &AttributeSchema| {
            let attribute = body.attribute(known.name)?;
            Some(WrittenAttribute { attribute, place: sources.place(attribute.value.span).map(Arc::new) })
        };
        let attributes = schema.iter().map(|known| (known, written(known))).collect();
        Written { header, place: sources.place(header).map(Arc::new), attributes }
    }

    /// The attributes in the types of the schema; `None` if one is in error.
    fn decode(&self, evaluator: &mut Evaluator<'_>, originals: &mut Originals) -> Option<AttributeMap> {
        let mut attributes = AttributeMap::new();
        let mut fits = true;
        for (known, written) in &self.attributes {
            let Some(WrittenAttribute { attribute, place }) = written else {
                if known.required {
                    missing(evaluator, known, self.header);
                    fits = false;
                }
                continue;
            };
            let Ok(value) = evaluator.eval(&attribute.value) else {
                fits = false;
                continue;
            };
            match decode::datum(known, &value) {
                Ok(Some(datum)) => {
                    let sensitive = known.secret || value.is_sensitive_anywhere() && !is_reference(known.ty);
                    let decoded = Attribute { value: datum, place: place.clone(), sensitive };
                    attributes.insert(known.name.into(), decoded);
                    if known.ty == Wanted::Any {
                        originals.insert(known.name, value);
                    }
                }
                Ok(None) if known.required => {
                    missing(evaluator, known, attribute.value.span);
                    fits = false;
                }
                Ok(None) => {}
                Err(unfit) => {
                    evaluator.fail(&attribute.value, unfit.code, unfit.summary, unfit.detail);
                    fits = false;
                }
            }
        }
        fits.then_some(attributes)
    }

    pub(super) fn decode_block(&self, evaluator: &mut Evaluator<'_>, schema: &BlockSchema) -> Option<NestedBlock> {
        let attributes = self.decode(evaluator, &mut Originals::new())?;
        Some(NestedBlock { name: schema.name.to_owned(), attributes, blocks: Vec::new(), place: self.place.clone() })
    }
}

/// Files of the workstation are named from the module; from here on all paths start from the root.
fn from_module(schema: &[AttributeSchema], attributes: &mut AttributeMap, directory: &str) {
    for known in schema.iter().filter(|known| known.ty == Wanted::File) {
        if let Some(Attribute { value: Datum::Text(path), .. }) = attributes.get_mut(known.name)
            && !path.starts_with(['/', '~'])
        {
            let joined = clean(&Path::new(directory).join(&**path));
            *path = Arc::from(joined.to_string_lossy());
        }
    }
}

fn is_reference(ty: Wanted) -> bool {
    matches!(ty, Wanted::Resource(_) | Wanted::Resources(_))
}

fn missing(evaluator: &mut Evaluator<'_>, schema: &AttributeSchema, span: Span) {
    let problem = Problem::error("missing-attribute", format!("`{}` is missing", schema.name), schema.doc);
    evaluator.problems.push(problem.at(evaluator.sources.place(span).as_ref()));
}
