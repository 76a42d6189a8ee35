//! `dynamic` blocks: nested blocks of a resource, one for each element of a collection.

use std::sync::Arc;

use super::super::declare::unexpected;
use super::super::eval::Evaluator;
use super::super::references::iterator;
use super::super::source::{Sources, Span};
use super::super::syntax::{Block as SyntaxBlock, Expr, Node};
use super::super::value::{Data, Fields, Value};
use super::World;
use super::contents::{Same, Written};
use crate::kinds::schema::BlockSchema;
use crate::model::{Datum, NestedBlock, Problem, Problems};

const CODE: &str = "invalid-dynamic";

impl World<'_> {
    /// What is wrong with a `dynamic` block, whatever its elements are.
    pub(super) fn check_dynamic(&self, block: &SyntaxBlock, schemas: &[BlockSchema], owner: &str) -> Problems {
        let at = |span: Span, summary: &str, detail: String| {
            Problem::error(CODE, summary, detail).at(self.place(span).as_ref())
        };
        let known: Vec<&str> = schemas.iter().map(|schema| schema.name).collect();
        if known.is_empty() {
            let detail = format!("{owner} has no blocks that could be repeated.");
            return vec![at(block.header, "There can be no `dynamic` block here", detail)];
        }
        let [(name, span)] = block.labels.as_slice() else {
            let detail = "Write it with one label, the block that it repeats: `dynamic \"brick\" { ... }`.".to_owned();
            return vec![at(block.header, "`dynamic` names no block", detail)];
        };
        let Some(schema) = schemas.iter().find(|schema| schema.name == name.as_ref()) else {
            let detail = super::super::eval::missing_name(owner, "block", name, &known);
            return vec![at(*span, &format!("There is no block `{name}`"), detail)];
        };
        let mut problems = unexpected(self.sources, &block.body, &["for_each", "iterator"], &["content"], "`dynamic`");
        if block.body.lacks("for_each", &["for_each", "iterator"]) {
            let detail = "Give it the collection whose elements become blocks.".to_owned();
            problems.push(at(block.header, "`for_each` is missing", detail));
        }
        if let Some(attribute) = block.body.attribute("iterator")
            && !matches!(attribute.value.node, Node::Variable(_) | Node::Broken)
        {
            let detail = "It is a name without quotes: `iterator = item`.".to_owned();
            problems.push(at(attribute.value.span, "`iterator` is no name", detail));
        }
        let mut contents = block.body.blocks("content");
        match (contents.next(), contents.next()) {
            (None, _) if block.body.has_gaps => {}
            (None, _) => {
                let detail = "Write what each block holds into `content { ... }`.".to_owned();
                problems.push(at(block.header, "`content` is missing", detail));
            }
            (Some(content), more) => {
                let known: Vec<&str> = schema.attributes.iter().map(|attribute| attribute.name).collect();
                problems.extend(unexpected(self.sources, &content.body, &known, &[], &format!("`{name}`")));
                if let Some(more) = more {
                    let detail = "A `dynamic` block has one `content`.".to_owned();
                    problems.push(at(more.header, "There are two `content` blocks", detail));
                }
            }
        }
        problems
    }
}

/// A `dynamic` block with what all instances of its resource share.
pub(super) struct Dynamic<'a> {
    schema: &'static BlockSchema,
    for_each: &'a Expr,
    iterator: &'a Arc<str>,
    content: Written<'a>,
}

impl<'a> Dynamic<'a> {
    /// `None` if it is in error.
    pub(super) fn new(sources: &Sources, schemas: &'static [BlockSchema], block: &'a SyntaxBlock) -> Option<Self> {
        let is_named = |schema: &&BlockSchema| block.labels.iter().any(|(name, _)| name.as_ref() == schema.name);
        let schema = schemas.iter().find(is_named)?;
        let content = block.body.blocks("content").next()?;
        Some(Dynamic {
            schema,
            for_each: &block.body.attribute("for_each")?.value,
            iterator: iterator(block)?,
            content: Written::new(sources, schema.attributes, &content.body, content.header),
        })
    }

    /// The blocks that it stands for, and whether they fit; `None` if it is not known how many there are.
    pub(super) fn blocks(&self, evaluator: &mut Evaluator<'_>) -> Option<(Vec<NestedBlock>, bool)> {
        let for_each = self.for_each;
        let elements = evaluator.eval(for_each).ok()?;
        if elements.is_sensitive_anywhere() {
            let detail =
                "How many blocks there are is seen on hosts and in plans. Use `nonsensitive` where it is no secret.";
            evaluator.fail(for_each, CODE, "`for_each` is sensitive", detail);
            return None;
        }
        let pairs: Vec<(Value, Value)> = match &elements.data {
            Data::Unknown(_) => vec![(Value::unknown(), Value::unknown())],
            Data::List(_, all) | Data::Tuple(all) => {
                all.iter().enumerate().map(|(index, value)| (Value::count(index), value.clone())).collect()
            }
            Data::Set(_, all) => all.iter().map(|value| (value.clone(), value.clone())).collect(),
            Data::Map(_, fields) => {
                fields.iter().map(|(key, value)| (Data::Text(key.clone()).into(), value.clone())).collect()
            }
            Data::Object(object) if object.identity.is_none() => {
                object.fields.iter().map(|(key, value)| (Data::Text(key.clone()).into(), value.clone())).collect()
            }
            _ => {
                let detail = format!("It is {}. A list, a set or a map is required.", elements.ty().words());
                evaluator.fail(for_each, CODE, "`for_each` needs a collection", detail);
                return None;
            }
        };
        let mut blocks = Vec::with_capacity(pairs.len());
        let mut fits = true;
        for (key, value) in pairs {
            evaluator.step(for_each, 1).ok()?;
            let element = Value::object(Fields::from([("key".into(), key), ("value".into(), value)]));
            let decode =
                |evaluator: &mut Evaluator<'_>| self.content.decode_block(evaluator, &Same::default(), self.schema);
            let (mut one, one_fits) = evaluator.with_name(self.iterator, element, decode);
            // Whether there is such a block at all is not known.
            if elements.is_unknown() {
                one.attributes.values_mut().for_each(|attribute| attribute.value = Datum::Unknown);
            }
            blocks.push(one);
            fits &= one_fits;
        }
        Some((blocks, fits))
    }
}

/// Whether each block that may not repeat is there once at most; if not, that is reported.
pub(super) fn are_single(
    evaluator: &mut Evaluator<'_>,
    schemas: &'static [BlockSchema],
    blocks: &[NestedBlock],
    header: Span,
) -> bool {
    let mut fits = true;
    for schema in schemas.iter().filter(|schema| !schema.many) {
        let count = blocks.iter().filter(|block| block.name == schema.name).count();
        if count > 1 {
            let detail = format!("There may be one `{}`; `dynamic` makes {count}.", schema.name);
            let summary = format!("There are {count} `{}` blocks", schema.name);
            let place = evaluator.sources.place(header);
            evaluator.problems.push(Problem::error("duplicate-block", summary, detail).at(place.as_ref()));
            fits = false;
        }
    }
    fits
}
