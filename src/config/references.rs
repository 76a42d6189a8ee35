//! Which names an expression refers to, found without evaluating it: the edges of the graph, and references to nothing.

use std::sync::Arc;

use super::eval::each_child;
use super::source::Span;
use super::syntax::{Block, Body, Expr, Node, Part};

/// A name that no loop around it binds.
#[derive(Debug)]
pub(super) struct Reference<'e> {
    pub root: Arc<str>,
    /// `NAME` of `root.NAME` or `root["NAME"]`.
    pub member: Option<Arc<str>>,
    /// The index of `root.NAME[index]`.
    pub key: Option<&'e Expr>,
    /// `NAME` of `root.member.NAME`, or the first name behind the key.
    pub attribute: Option<Arc<str>>,
    /// The bytes of `root.member`.
    pub span: Span,
}

/// All references of the expression, in the order of the text.
pub(super) fn references(expr: &Expr) -> Vec<Reference<'_>> {
    let mut walk = Walk::default();
    walk.expr(expr);
    walk.found
}

/// All references of a body and the blocks in it, less the names that `dynamic` blocks bind.
pub(super) fn in_body(body: &Body) -> Vec<Reference<'_>> {
    let mut walk = Walk::default();
    walk.body(body);
    walk.found
}

/// All references of one block in a body.
pub(super) fn in_block(block: &Block) -> Vec<Reference<'_>> {
    let mut walk = Walk::default();
    walk.block(block);
    walk.found
}

/// What the elements of a `dynamic` block are called in its `content`: `iterator`, else the name of the block.
pub(super) fn iterator(block: &Block) -> Option<&Arc<str>> {
    match block.body.attribute("iterator").map(|attribute| &attribute.value.node) {
        Some(Node::Variable(name)) => Some(name),
        _ => block.labels.first().map(|(name, _)| name),
    }
}

#[derive(Default)]
struct Walk<'e> {
    bound: Vec<&'e Arc<str>>,
    /// How often a bound name was read.
    bound_reads: usize,
    found: Vec<Reference<'e>>,
}

enum Step<'e> {
    Name(&'e Arc<str>, Span),
    /// With whether it reads a name that a loop binds.
    Key(&'e Expr, Span, bool),
}

impl<'e> Walk<'e> {
    fn body(&mut self, body: &'e Body) {
        body.attributes.iter().for_each(|attribute| self.expr(&attribute.value));
        body.blocks.iter().for_each(|block| self.block(block));
    }

    fn block(&mut self, block: &'e Block) {
        if block.word.as_ref() != "dynamic" {
            return self.body(&block.body);
        }
        let values = block.body.attributes.iter().filter(|attribute| attribute.name.as_ref() != "iterator");
        values.for_each(|attribute| self.expr(&attribute.value));
        let bound = self.bound.len();
        self.bound.extend(iterator(block));
        block.body.blocks.iter().for_each(|content| self.body(&content.body));
        self.bound.truncate(bound);
    }

    fn expr(&mut self, expr: &'e Expr) {
        match &expr.node {
            Node::Variable(_) | Node::Attribute(..) | Node::Index(..) => self.chain(expr),
            Node::Template(parts) => self.parts(parts),
            Node::For(expression) => {
                self.expr(&expression.collection);
                let bound = self.bound.len();
                self.bound.extend(expression.key_name.as_ref());
                self.bound.push(&expression.value_name);
                expression.key.iter().for_each(|key| self.expr(key));
                self.expr(&expression.value);
                expression.condition.iter().for_each(|condition| self.expr(condition));
                self.bound.truncate(bound);
            }
            Node::Call(call) if call.name.as_ref() == "convert" => {
                // The second argument is a type, not a value.
                call.arguments.iter().take(1).for_each(|argument| self.expr(argument));
            }
            _ => each_child(expr, &mut |child| self.expr(child)),
        }
    }

    fn parts(&mut self, parts: &'e [Part]) {
        for part in parts {
            match part {
                Part::Text(_) => {}
                Part::Interpolation(inner) => self.expr(inner),
                Part::If { condition, then, otherwise } => {
                    self.expr(condition);
                    self.parts(then);
                    self.parts(otherwise);
                }
                Part::For { key_name, value_name, collection, body } => {
                    self.expr(collection);
                    let bound = self.bound.len();
                    self.bound.extend(key_name.as_ref());
                    self.bound.push(value_name);
                    self.parts(body);
                    self.bound.truncate(bound);
                }
            }
        }
    }

    /// A name with what is read from it: `host.hv1.labels["rack"]`.
    fn chain(&mut self, expr: &'e Expr) {
        let mut steps = Vec::new();
        let mut inner = expr;
        let root = loop {
            match &inner.node {
                Node::Variable(root) => break Some(root),
                Node::Attribute(object, name, _) => {
                    steps.push(Step::Name(name, inner.span));
                    inner = object;
                }
                Node::Index(collection, key) => {
                    let bound = self.bound_reads;
                    self.expr(key);
                    steps.push(Step::Key(key, inner.span, self.bound_reads > bound));
                    inner = collection;
                }
                _ => break None,
            }
        };
        let Some(root) = root else {
            self.expr(inner);
            return;
        };
        if self.bound.contains(&root) {
            self.bound_reads += 1;
            return;
        }
        let mut reference =
            Reference { root: root.clone(), member: None, key: None, attribute: None, span: inner.span };
        let mut steps = steps.into_iter().rev().peekable();
        let member = match steps.peek() {
            Some(Step::Name(name, span)) => Some(((*name).clone(), *span)),
            Some(Step::Key(key, span, _)) => key.literal_text().map(|name| (name.clone(), *span)),
            None => None,
        };
        if let Some((name, span)) = member {
            steps.next();
            reference.member = Some(name);
            reference.span = span;
            if let Some(Step::Key(key, _, is_bound)) = steps.peek() {
                // What a loop chooses can be any of them.
                reference.key = Some(*key).filter(|_| !is_bound);
                steps.next();
            }
            if let Some(Step::Name(name, _)) = steps.peek() {
                reference.attribute = Some((*name).clone());
            }
        }
        self.found.push(reference);
    }
}
