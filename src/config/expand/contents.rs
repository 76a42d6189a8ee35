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
use super::super::syntax::{Attribute as SyntaxAttribute, Body, Expr, Node};
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
    /// Whether the nested blocks are all that was meant to stand there: of others a kind would say what follows from that.
    has_all_blocks: bool,
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
    /// Whether all of it is as the schema wants it. What is in error stands there as unknown.
    pub fits: bool,
    /// Whether the blocks are all that there will be, so that the kind can judge them.
    pub has_all_blocks: bool,
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
            has_all_blocks: has_all_blocks(resource),
            attributes: Written::new(sources, schema.attributes, body, resource.block.header),
            blocks: nested.collect(),
        }
    }

    /// What the block says in the scope of the evaluator, files named from the directory `from`. What is in error is reported.
    pub(super) fn decode(&self, evaluator: &mut Evaluator<'_>, from: &str) -> Decoded {
        let schema = self.resource.kind.schema();
        let mut originals = Originals::new();
        let (mut attributes, mut fits) = self.attributes.decode(evaluator, &mut originals);
        let mut has_all_blocks = self.has_all_blocks;
        let mut blocks = Vec::new();
        let mut is_repeated = false;
        for nested in &self.blocks {
            let found = match nested {
                Nested::Fixed(schema, written) => {
                    let (block, fits) = written.decode_block(evaluator, schema);
                    Some((vec![block], fits))
                }
                Nested::Dynamic(dynamic) => {
                    is_repeated = true;
                    dynamic.as_ref().and_then(|dynamic| dynamic.blocks(evaluator))
                }
            };
            match found {
                Some((found, found_fits)) => {
                    blocks.extend(found);
                    fits &= found_fits;
                }
                None => (fits, has_all_blocks) = (false, false),
            }
        }
        if is_repeated {
            fits &= are_single(evaluator, schema.blocks, &blocks, self.resource.block.header);
        }
        if !from.is_empty() {
            from_module(schema.attributes, &mut attributes, from);
            for block in &mut blocks {
                let nested = schema.blocks.iter().find(|known| known.name == block.name);
                from_module(nested.map_or(&[][..], |nested| nested.attributes), &mut block.attributes, from);
            }
        }
        Decoded { attributes, blocks, originals, fits, has_all_blocks }
    }
}

fn has_all_blocks(resource: &Resource) -> bool {
    let schema = resource.kind.schema();
    let body = &resource.block.body;
    let is_known =
        |word: &str| ["lifecycle", "dynamic"].contains(&word) || schema.blocks.iter().any(|block| block.name == word);
    !body.has_gaps && body.blocks.iter().all(|block| is_known(&block.word) && !block.body.has_gaps)
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
    body: &'a Body,
    header: Span,
    place: Option<Arc<Place>>,
    /// There are no attributes but those of the schema, and nothing that could not be read.
    is_as_known: bool,
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
        let is_known = |name: &str| schema.iter().any(|known| known.name == name);
        let is_as_known = !body.has_gaps && body.attributes.iter().all(|attribute| is_known(&attribute.name));
        Written { body, header, place: sources.place(header).map(Arc::new), is_as_known, attributes }
    }

    /// The attributes in the types of the schema, and whether they fit. One that is in error, or was most likely meant to be
    /// there, is unknown.
    fn decode(&self, evaluator: &mut Evaluator<'_>, originals: &mut Originals) -> (AttributeMap, bool) {
        let mut attributes = AttributeMap::new();
        let mut fits = true;
        for (known, written) in &self.attributes {
            let mut in_error = |place: Option<Arc<Place>>| {
                let unknown = Attribute { value: Datum::Unknown, place, sensitive: known.secret };
                attributes.insert(known.name.into(), unknown);
                fits = false;
            };
            let Some(WrittenAttribute { attribute, place }) = written else {
                let is_missing = self.is_as_known || self.lacks(known.name);
                if known.required && is_missing {
                    missing(evaluator, known, self.header);
                }
                if known.required || !is_missing {
                    in_error(None);
                }
                continue;
            };
            let Ok(value) = evaluator.eval(&attribute.value) else {
                in_error(place.clone());
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
                    in_error(place.clone());
                }
                Ok(None) => {}
                Err(unfit) => {
                    let element = match (unfit.element, &attribute.value.bare().node) {
                        (Some(index), Node::Tuple(elements)) => elements.get(index),
                        _ => None,
                    };
                    let detail = match (unfit.element, element) {
                        (Some(index), None) => format!("Element {index}: {}", unfit.detail),
                        _ => unfit.detail,
                    };
                    let found = match (unfit.element, element) {
                        (Some(index), Some(_)) => value.elements().and_then(|elements| elements.get(index)),
                        _ => Some(&value),
                    };
                    let advice = found.and_then(|found| instead(element.unwrap_or(&attribute.value), found));
                    let detail = match advice.filter(|_| unfit.code == "not-a-resource") {
                        Some(advice) => format!("{detail} {advice}"),
                        None => detail,
                    };
                    evaluator.fail(element.unwrap_or(&attribute.value), unfit.code, unfit.summary, detail);
                    in_error(place.clone());
                }
            }
        }
        (attributes, fits)
    }

    /// Whether the body certainly lacks an attribute, which may also be misspelt.
    fn lacks(&self, name: &str) -> bool {
        let names: Vec<&str> = self.attributes.iter().map(|(known, _)| known.name).collect();
        self.body.lacks(name, &names)
    }

    pub(super) fn decode_block(&self, evaluator: &mut Evaluator<'_>, schema: &BlockSchema) -> (NestedBlock, bool) {
        let (attributes, fits) = self.decode(evaluator, &mut Originals::new());
        let name = schema.name.to_owned();
        (NestedBlock { name, attributes, blocks: Vec::new(), place: self.place.clone() }, fits)
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

/// What may have been meant by an expression that is no resource.
fn instead(expr: &Expr, value: &Value) -> Option<String> {
    match (&expr.node, expr.words().as_deref()) {
        (_, Some([root, name])) if root.as_ref() == "module" => {
            let outputs = value.fields().into_iter().flat_map(|fields| fields.keys());
            let outputs: Vec<String> = outputs.map(|output| format!("`module.{name}.{output}`")).collect();
            Some(match outputs.is_empty() {
                true => format!("Module `{name}` has no outputs, so nothing in it can be referred to from here."),
                false => format!("`module.{name}` is all of the module; name an output: {}.", outputs.join(", ")),
            })
        }
        (Node::Splat(all, _), _) => match all.words().as_deref() {
            Some([kind]) => Some(format!("For all of them write `values({kind})`.")),
            _ => None,
        },
        _ => None,
    }
}

fn is_reference(ty: Wanted) -> bool {
    matches!(ty, Wanted::Resource(_) | Wanted::Resources(_))
}

fn missing(evaluator: &mut Evaluator<'_>, schema: &AttributeSchema, span: Span) {
    let summary = format!("`{}` is missing", schema.name);
    let problem = Problem::error("missing-attribute", summary, decode::missing(schema));
    evaluator.problems.push(problem.at(evaluator.sources.place(span).as_ref()));
}
