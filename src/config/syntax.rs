//! The syntax tree of a configuration, with the bytes that each node came from.

use std::sync::Arc;

use super::source::Span;
use super::value::Value;
use crate::model::problem::did_you_mean;

#[derive(Debug, Clone)]
pub(super) struct Expr {
    pub span: Span,
    pub node: Node,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Literal(Value),
    Variable(Arc<str>),
    Template(Vec<Part>),
    Tuple(Vec<Expr>),
    Object(Vec<(Expr, Expr)>),
    /// `object.name`, with the bytes of the name.
    Attribute(Box<Expr>, Arc<str>, Span),
    Index(Box<Expr>, Box<Expr>),
    /// `source[*]` and what follows, in which [`Node::Item`] stands for each element.
    Splat(Box<Expr>, Box<Expr>),
    /// The element that a splat is at.
    Item,
    Call(Box<Call>),
    Conditional(Box<[Expr; 3]>),
    Binary(Binary, Box<[Expr; 2]>),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    For(Box<For>),
    Parentheses(Box<Expr>),
    /// What could not be read, which is reported.
    Broken,
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub name: Arc<str>,
    pub arguments: Vec<Expr>,
    /// The last argument is written with `...`: its elements are the arguments.
    pub expands: bool,
}

#[derive(Debug, Clone)]
pub(super) struct For {
    pub key_name: Option<Arc<str>>,
    pub value_name: Arc<str>,
    pub collection: Expr,
    /// `{ for ... : key => value }`; without it the result is a tuple.
    pub key: Option<Expr>,
    pub value: Expr,
    pub condition: Option<Expr>,
    /// `value...`: values of one key are collected.
    pub groups: bool,
}

/// One part of a template.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Text(Arc<str>),
    Interpolation(Expr),
    If { condition: Expr, then: Vec<Part>, otherwise: Vec<Part> },
    For { key_name: Option<Arc<str>>, value_name: Arc<str>, collection: Expr, body: Vec<Part> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Body {
    pub attributes: Vec<Attribute>,
    pub blocks: Vec<Block>,
    /// Something of it could not be read and is not here, so nothing can be said about what is missing.
    pub has_gaps: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub name: Arc<str>,
    pub name_span: Span,
    pub value: Expr,
}

#[derive(Debug, Clone)]
pub(super) struct Block {
    pub word: Arc<str>,
    /// The word and the labels.
    pub header: Span,
    /// Behind its last letter.
    pub end: u32,
    pub labels: Vec<(Arc<str>, Span)>,
    pub body: Body,
}

impl Binary {
    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Remainder => "%",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessOrEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterOrEqual => ">=",
            Binary::And => "&&",
            Binary::Or => "||",
        }
    }
}

impl Body {
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.as_ref() == name)
    }

    /// Whether the attribute is certainly not there, not even misspelt. `known` are the names that the body may hold.
    pub(super) fn lacks(&self, name: &str, known: &[&str]) -> bool {
        let is_meant =
            |other: &str| !known.contains(&other) && did_you_mean(other, known.iter().copied()) == Some(name);
        let is_there = |attribute: &Attribute| attribute.name.as_ref() == name || is_meant(&attribute.name);
        !self.has_gaps && !self.attributes.iter().any(is_there)
    }

    pub(super) fn blocks<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |block| block.word.as_ref() == word)
    }
}

impl Expr {
    /// Whether it could not be read.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.node, Node::Broken)
    }

    /// The expression without parentheses around it.
    pub(super) fn bare(&self) -> &Expr {
        match &self.node {
            Node::Parentheses(inner) => inner.bare(),
            _ => self,
        }
    }

    /// The text of a literal.
    pub(super) fn literal_text(&self) -> Option<&Arc<str>> {
        match &self.node {
            Node::Literal(value) => value.as_text(),
            _ => None,
        }
    }

    /// `a.b.c` as its words, if the expression is nothing else.
    pub(super) fn words(&self) -> Option<Vec<Arc<str>>> {
        match &self.node {
            Node::Variable(name) => Some(vec![name.clone()]),
            Node::Attribute(inner, name, _) => {
                let mut words = inner.words()?;
                words.push(name.clone());
                Some(words)
            }
            _ => None,
        }
    }
}
