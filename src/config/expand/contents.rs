//! What stands in a resource block, beside the schema of its kind: looked up once for all instances, then evaluated for each.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::super::declare::Resource;
use super::super::decode;
use super::super::eval::Evaluator;
use super::super::functions::file::is_inside;
use super::super::modules::clean;
use super::super::references::{Reference, in_block, references};
use super::super::source::{Sources, Span};
use super::super::syntax::{Attribute as SyntaxAttribute, Block, Body, Expr, Node};
use super::super::value::Value;
use super::dynamic::{Dynamic, are_single};
use super::object::Shape;
use crate::kinds::schema::{AttributeSchema, BlockSchema, Type as Wanted};
use crate::model::block::AttributeMap;
use crate::model::{Attribute, Datum, NestedBlock, Place, Problem};

/// What is said of a sensitive value where it could not stay secret.
pub(super) const SENSITIVE: &str = "sensitive-value";
const SEEN: &str = "It would be seen on hosts, in plans and in the state. Use another value, or `nonsensitive` if it is no \
                    secret.";

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

/// What all instances say alike, of the block and of those in it. Of a single instance it is nothing: that is looked at once
/// anyway.
#[derive(Default)]
pub(super) struct AllSame {
    attributes: Same,
    blocks: Vec<Same>,
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

    /// What all instances say alike.
    pub(super) fn same(&self, evaluator: &mut Evaluator<'_>) -> AllSame {
        let nested = |nested: &Nested<'_>, evaluator: &mut Evaluator<'_>| match nested {
            Nested::Fixed(_, written) => written.same(evaluator),
            Nested::Dynamic(_) => Same::default(),
        };
        AllSame {
            attributes: self.attributes.same(evaluator),
            blocks: self.blocks.iter().map(|block| nested(block, evaluator)).collect(),
        }
    }

    /// What the block says in the scope of the evaluator, files named from the directory `from`. What is in error is reported.
    pub(super) fn decode(&self, evaluator: &mut Evaluator<'_>, same: &AllSame, from: &str) -> Decoded {
        let schema = self.resource.kind.schema();
        let mut originals = Originals::new();
        let (mut attributes, mut fits) = self.attributes.decode(evaluator, &same.attributes, &mut originals);
        let mut has_all_blocks = self.has_all_blocks;
        let mut blocks = Vec::new();
        let mut is_repeated = false;
        let nothing = Same::default();
        for (number, nested) in self.blocks.iter().enumerate() {
            let found = match nested {
                Nested::Fixed(schema, written) => {
                    let (block, fits) =
                        written.decode_block(evaluator, same.blocks.get(number).unwrap_or(&nothing), schema);
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
        fits &= are_inside(evaluator, schema.attributes, &attributes);
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

/// Whether every instance has the same `lifecycle`: it asks for nothing, and names nothing that each has for itself.
pub(super) fn has_common_lifecycle(resource: &Resource) -> bool {
    let lifecycles = || resource.block.body.blocks("lifecycle");
    let is_plain = |block: &Block| block.body.blocks.is_empty() && !in_block(block).iter().any(is_of_instance);
    lifecycles().all(is_plain)
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
    reference.key.is_some_and(|key| references(key).iter().any(is_of_instance))
}

/// Whether the name is another value for each instance.
fn is_of_instance(reference: &Reference<'_>) -> bool {
    matches!(reference.root.as_ref(), "each" | "count" | "self")
}

/// The attributes of one body beside those of its schema, in the order of the schema.
pub(super) struct Written<'a> {
    header: Span,
    place: Option<Arc<Place>>,
    attributes: Vec<(&'static AttributeSchema, WrittenOrNot<'a>)>,
}

enum WrittenOrNot<'a> {
    Written(WrittenAttribute<'a>),
    /// Certainly not there.
    Missing,
    /// Not there, or misspelt, or lost in what could not be read.
    Unclear,
}

struct WrittenAttribute<'a> {
    attribute: &'a SyntaxAttribute,
    /// Of the value.
    place: Option<Arc<Place>>,
    /// It says the same for every instance.
    is_common: bool,
}

/// Attributes that say the same for all instances, by their number in the schema: what they come to, where nothing is wrong
/// with that.
#[derive(Default)]
pub(super) struct Same(Vec<Option<(Option<Datum>, Value)>>);

impl<'a> Written<'a> {
    pub(super) fn new(
        sources: &Sources,
        schema: &'static [AttributeSchema],
        body: &'a Body,
        header: Span,
    ) -> Written<'a> {
        let names: Vec<&str> = schema.iter().map(|known| known.name).collect();
        let written = |known: &AttributeSchema| match body.attribute(known.name) {
            Some(attribute) => WrittenOrNot::Written(WrittenAttribute {
                attribute,
                place: sources.place(attribute.value.span).map(Arc::new),
                is_common: !references(&attribute.value).iter().any(is_of_instance),
            }),
            // An attribute may also be misspelt.
            None if body.lacks(known.name, &names) => WrittenOrNot::Missing,
            None => WrittenOrNot::Unclear,
        };
        let attributes = schema.iter().map(|known| (known, written(known))).collect();
        Written { header, place: sources.place(header).map(Arc::new), attributes }
    }

    /// What is the same for all instances, looked at once. What is wrong is said of each instance.
    fn same(&self, evaluator: &mut Evaluator<'_>) -> Same {
        let mut one = |known: &AttributeSchema, written: &WrittenOrNot<'_>| {
            let WrittenOrNot::Written(WrittenAttribute { attribute, is_common: true, .. }) = written else {
                return None;
            };
            let value = evaluator.try_open(&attribute.value).0.ok()?;
            let datum = decode::datum(known, &value).ok()?;
            let is_right = (datum.is_some() || !known.required) && !is_revealed(known, &value);
            is_right.then_some((datum, value))
        };
        Same(self.attributes.iter().map(|(known, written)| one(known, written)).collect())
    }

    /// The attributes in the types of the schema, and whether they fit. One that is in error, or was most likely meant to be
    /// there, is unknown.
    fn decode(&self, evaluator: &mut Evaluator<'_>, same: &Same, originals: &mut Originals) -> (AttributeMap, bool) {
        let mut attributes = AttributeMap::new();
        let mut fits = true;
        for (number, (known, written)) in self.attributes.iter().enumerate() {
            let mut in_error = |place: Option<Arc<Place>>| {
                let unknown = Attribute { value: Datum::Unknown, place, sensitive: known.secret };
                attributes.insert(known.name.into(), unknown);
                fits = false;
            };
            let WrittenOrNot::Written(WrittenAttribute { attribute, place, .. }) = written else {
                let is_missing = matches!(written, WrittenOrNot::Missing);
                if known.required && is_missing {
                    missing(evaluator, known, self.header);
                }
                if known.required || !is_missing {
                    in_error(None);
                }
                continue;
            };
            if let Some(Some((datum, value))) = same.0.get(number) {
                let Some(datum) = datum else { continue };
                let decoded = Attribute { value: datum.clone(), place: place.clone(), sensitive: known.secret };
                attributes.insert(known.name.into(), decoded);
                if known.ty == Wanted::Any {
                    originals.insert(known.name, value.clone());
                }
                continue;
            }
            let Ok(value) = evaluator.eval(&attribute.value) else {
                in_error(place.clone());
                continue;
            };
            // What is a secret stops here.
            if is_revealed(known, &value) {
                evaluator.fail(
                    &attribute.value,
                    SENSITIVE,
                    format!("`{}` is sensitive, and cannot stay secret", known.name),
                    SEEN,
                );
                in_error(place.clone());
                continue;
            }
            match decode::datum(known, &value) {
                Ok(Some(datum)) => {
                    let decoded = Attribute { value: datum, place: place.clone(), sensitive: known.secret };
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

    pub(super) fn decode_block(
        &self,
        evaluator: &mut Evaluator<'_>,
        same: &Same,
        schema: &BlockSchema,
    ) -> (NestedBlock, bool) {
        let (attributes, fits) = self.decode(evaluator, same, &mut Originals::new());
        let name = schema.name.to_owned();
        (NestedBlock { name, attributes, blocks: Vec::new(), place: self.place.clone() }, fits)
    }
}

/// Whether a secret would be shown: a kind derives other values from most attributes, and says them in messages.
fn is_revealed(known: &AttributeSchema, value: &Value) -> bool {
    value.is_sensitive_anywhere() && !known.secret && !is_reference(known.ty)
}

/// Whether files of the workstation stay where those stay that functions read. One that does not is reported.
fn are_inside(evaluator: &mut Evaluator<'_>, schema: &[AttributeSchema], attributes: &AttributeMap) -> bool {
    let mut all = true;
    for known in schema.iter().filter(|known| known.inside) {
        if let Some(Attribute { value: Datum::Text(path), place, .. }) = attributes.get(known.name)
            && !path.starts_with("~/")
            && !is_inside(evaluator, path)
        {
            let summary = format!("`{}` leads out of the directory of the configuration", known.name);
            let detail = "Write an absolute path if that is meant, or put the file below the configuration.";
            evaluator.problems.push(Problem::error("invalid-path", summary, detail).at(place.as_deref()));
            all = false;
        }
    }
    all
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
