//! Text to syntax tree: hcl-edit reads the grammar, this file keeps the bytes of each node, reads numbers with all their
//! digits and gives templates and heredocs the white space that HCL gives them.
//!
//! A file with errors is read item by item, and so are blocks with errors, so that one mistake hides no other.

mod mistake;
mod recover;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use hcl::edit::expr::{self as ast, BinaryOperator, Expression, ObjectKey, TraversalOperator, UnaryOperator};
use hcl::edit::structure::{self, Structure};
use hcl::edit::template::{Directive, Element, Strip, Template};
use hcl::edit::{Span as _, parser};
use unicode_segmentation::UnicodeSegmentation;

use super::number::Number;
use super::outline;
use super::source::{Sources, Span};
use super::syntax::{Attribute, Binary, Block, Body, Call, Expr, For, Node, Part};
use super::types::Type;
use super::value::Value;
use crate::model::{Problem, Problems};

pub(super) use super::source::LONGEST_FILE;

/// The most attributes and indexes behind each other.
const LONGEST_CHAIN: usize = 64;

/// Reads a whole file. What could be read is returned even when there are problems.
pub(super) fn file(sources: &Sources, file: u32) -> (Body, Problems) {
    let text = sources.text(file);
    let mut reader = Reader::new(sources, file);
    if text.len() > LONGEST_FILE {
        let problem =
            Problem::error("too-large", "This file is too large", "A configuration file may have up to 8 MiB.");
        let nothing = Body { has_gaps: true, ..Body::default() };
        return (nothing, vec![problem.at(sources.place(reader.span(0..1)).as_ref())]);
    }
    let outline = outline::outline(text);
    let body = match outline.unclosed {
        None => parser::parse_body(&outline::disguised(text, &outline.disguises)).ok(),
        Some(_) => None,
    };
    let body = match body {
        Some(body) => {
            reader = reader.with_heredocs(&outline.heredocs);
            reader.body(&body)
        }
        None => reader.pieces(0..text.len(), 0),
    };
    (body, reader.problems)
}

/// Reads one expression that stands alone.
pub(super) fn expression(sources: &Sources, file: u32) -> Result<Expr, Problems> {
    let text = sources.text(file);
    let mut reader = Reader::new(sources, file);
    let outline = outline::outline(text);
    let readable = outline::disguised(text, &outline.disguises);
    if let Some(unclosed) = outline.unclosed {
        reader.problem(unclosed.at.clone(), unclosed.code, unclosed.summary, unclosed.detail);
        return Err(reader.problems);
    }
    // Comments and line ends around an expression mean nothing; in parentheses the grammar skips them.
    let shift = "(\n".len();
    let wrapped = format!("(\n{readable}\n)");
    match parser::parse_expr(&wrapped) {
        Ok(Expression::Parenthesis(inner)) => {
            let inner = inner.into_inner();
            // Spans count from the bracket that was added.
            let mut shifted = Reader::new(sources, file).with_heredocs(&outline.heredocs);
            shifted.base = 0usize.wrapping_sub(shift);
            let expr = shifted.expr(&inner);
            if shifted.problems.is_empty() { Ok(expr) } else { Err(shifted.problems) }
        }
        Ok(_) => {
            let end = text.len();
            reader.problem(0..end, "syntax", "This is more than one expression", "One expression is expected.".into());
            Err(reader.problems)
        }
        Err(error) => {
            reader.base = 0usize.wrapping_sub(shift);
            reader.syntax(&wrapped, &error);
            Err(reader.problems)
        }
    }
}

/// Reads a text as a template, as `templatefile` does.
pub(super) fn template(sources: &Sources, file: u32) -> Result<Expr, Problems> {
    let text = sources.text(file);
    let mut reader = Reader::new(sources, file);
    let outline = outline::template(text);
    if let Some(unclosed) = outline.unclosed {
        reader.problem(unclosed.at.clone(), unclosed.code, unclosed.summary, unclosed.detail);
        return Err(reader.problems);
    }
    reader = reader.with_heredocs(&outline.heredocs);
    match parser::parse_template(&outline::disguised(text, &outline.disguises)) {
        Ok(template) => {
            let expr = reader.template(&template, Quoting::Bare, reader.span(0..text.len()));
            if reader.problems.is_empty() { Ok(expr) } else { Err(reader.problems) }
        }
        Err(error) => {
            reader.syntax(text, &error);
            Err(reader.problems)
        }
    }
}

struct Reader<'a> {
    sources: &'a Sources,
    file: u32,
    /// What to add to the offsets of the parser.
    base: usize,
    problems: Problems,
    /// Where something is reported that the parser would stumble over again.
    said: Vec<usize>,
    /// Where heredocs begin and end.
    heredocs: HashSet<(usize, usize)>,
}

/// How the text of a template is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    Quoted,
    Bare,
    Heredoc { dedents: bool },
}

impl<'a> Reader<'a> {
    fn new(sources: &'a Sources, file: u32) -> Self {
        Reader { sources, file, base: 0, problems: Vec::new(), said: Vec::new(), heredocs: HashSet::new() }
    }

    fn with_heredocs(mut self, heredocs: &[Range<usize>]) -> Self {
        self.heredocs.extend(heredocs.iter().map(|at| (at.start, at.end)));
        self
    }
}

impl Reader<'_> {
    fn span(&self, range: Range<usize>) -> Span {
        let length = self.sources.text(self.file).len();
        let at = |offset: usize| offset.wrapping_add(self.base).min(length) as u32;
        Span { file: self.file, start: at(range.start), end: at(range.end) }
    }

    fn span_of(&self, range: Option<Range<usize>>, otherwise: Span) -> Span {
        range.map_or(otherwise, |range| self.span(range))
    }

    fn problem(&mut self, range: Range<usize>, code: &str, summary: &str, detail: String) {
        let place = self.sources.place(self.span(range));
        self.problems.push(Problem::error(code, summary, detail).at(place.as_ref()));
    }

    fn problem_at(&mut self, span: Span, code: &str, summary: impl Into<String>, detail: impl Into<String>) {
        self.problems.push(Problem::error(code, summary, detail).at(self.sources.place(span).as_ref()));
    }

    /// What the grammar says of a text.
    fn syntax(&mut self, text: &str, error: &parser::Error) {
        let mut offset = error.location().offset();
        let message = error.message().trim_end_matches('.').replace('\n', "; ");
        // Of an attribute as a whole the parser often knows only that it is none; of the value it knows more.
        if offset == 0
            && message.contains("unexpected token")
            && let Some(value) = mistake::value_of(text)
            && let Err(of_value) = parser::parse_expr(text[value..].trim_end())
        {
            offset = value + of_value.location().offset();
        }
        let mistake = mistake::of(text, offset, &message);
        let detail = match mistake.is_vague {
            true => format!("{} The parser says: {message}.", mistake.advice),
            false => mistake.advice.to_owned(),
        };
        self.problem(mistake.at, mistake.code, mistake.summary, detail);
    }

    fn body(&mut self, body: &structure::Body) -> Body {
        let mut read = Body::default();
        let mut names = HashSet::new();
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => {
                    let value = self.expr(&attribute.value);
                    let name_span = self.span_of(attribute.key.span(), value.span);
                    let name: Arc<str> = Arc::from(attribute.key.as_str());
                    if !names.insert(name.clone()) {
                        self.set_twice(&name, name_span);
                    }
                    read.attributes.push(Attribute { name, name_span, value });
                }
                Structure::Block(block) => {
                    let block = self.block(block);
                    read.blocks.push(block);
                }
            }
        }
        read
    }

    fn set_twice(&mut self, name: &str, span: Span) {
        let detail = "Each attribute stands once in a block. Remove one of the two.";
        self.problem_at(span, "duplicate-attribute", format!("`{name}` is set twice"), detail);
    }

    fn block(&mut self, block: &structure::Block) -> Block {
        let word_span = self.span_of(block.ident.span(), Span { file: self.file, ..Span::default() });
        let mut header = word_span;
        let mut labels = Vec::new();
        for label in &block.labels {
            let range = match label {
                structure::BlockLabel::Ident(ident) => ident.span(),
                structure::BlockLabel::String(text) => text.span(),
            };
            let span = self.span_of(range, word_span);
            header = header.to(span);
            labels.push((Arc::from(label.as_str()), span));
        }
        let end = block.span().map_or(header.end, |range| self.span(range).end);
        Block { word: Arc::from(block.ident.as_str()), header, end, labels, body: self.body(&block.body) }
    }

    fn expr(&mut self, expr: &Expression) -> Expr {
        let span = self.span_of(expr.span(), Span { file: self.file, ..Span::default() });
        let node = match expr {
            Expression::Null(_) => Node::Literal(Value::null()),
            Expression::Bool(value) => Node::Literal(Value::from(*value.value())),
            Expression::Number(_) => self.number(span),
            Expression::String(text) => Node::Literal(Value::text(text.value())),
            Expression::Array(elements) => {
                self.expect_no_loop(span);
                Node::Tuple(elements.iter().map(|element| self.expr(element)).collect())
            }
            Expression::Object(object) => {
                self.expect_no_loop(span);
                let mut items = Vec::with_capacity(object.len());
                for (key, value) in object.iter() {
                    let value = self.expr(value.expr());
                    items.push((self.object_key(key, value.span), value));
                }
                Node::Object(items)
            }
            Expression::StringTemplate(template) => return self.template(template, Quoting::Quoted, span),
            Expression::HeredocTemplate(heredoc) => {
                // The parser looks for the end of a directive also behind that of the heredoc.
                if !self.heredocs.contains(&(span.start as usize, span.end as usize)) {
                    let detail = "What begins with `%{ if }` or `%{ for }` in a heredoc ends in it, with `%{ endif }` or \
                                  `%{ endfor }`; its delimiter stands alone on a line.";
                    let opening = Span { end: span.start + 2, ..span };
                    self.problem_at(opening, "unterminated-string", "This heredoc is not complete", detail);
                    return Expr { span, node: Node::Broken };
                }
                let dedents = self.sources.slice(span).starts_with("<<-");
                return self.template(&heredoc.template, Quoting::Heredoc { dedents }, span);
            }
            Expression::Parenthesis(inner) => Node::Parentheses(Box::new(self.expr(inner.inner()))),
            Expression::Variable(name) => Node::Variable(Arc::from(name.as_str())),
            Expression::Conditional(conditional) => Node::Conditional(Box::new([
                self.expr(&conditional.cond_expr),
                self.expr(&conditional.true_expr),
                self.expr(&conditional.false_expr),
            ])),
            Expression::FuncCall(call) => self.call(call),
            Expression::Traversal(traversal) => return self.traversal(traversal, span),
            Expression::UnaryOp(operation) => {
                let inner = Box::new(self.expr(&operation.expr));
                match operation.operator.value() {
                    UnaryOperator::Neg => Node::Negate(inner),
                    UnaryOperator::Not => Node::Not(inner),
                }
            }
            Expression::BinaryOp(operation) => {
                let operator = match operation.operator.value() {
                    BinaryOperator::Plus => Binary::Add,
                    BinaryOperator::Minus => Binary::Subtract,
                    BinaryOperator::Mul => Binary::Multiply,
                    BinaryOperator::Div => Binary::Divide,
                    BinaryOperator::Mod => Binary::Remainder,
                    BinaryOperator::Eq => Binary::Equal,
                    BinaryOperator::NotEq => Binary::NotEqual,
                    BinaryOperator::Less => Binary::Less,
                    BinaryOperator::LessEq => Binary::LessOrEqual,
                    BinaryOperator::Greater => Binary::Greater,
                    BinaryOperator::GreaterEq => Binary::GreaterOrEqual,
                    BinaryOperator::And => Binary::And,
                    BinaryOperator::Or => Binary::Or,
                };
                let (left, right) = (self.expr(&operation.lhs_expr), self.expr(&operation.rhs_expr));
                let span = left.span.to(right.span);
                return Expr { span, node: Node::Binary(operator, Box::new([left, right])) };
            }
            Expression::ForExpr(expression) => self.for_expression(expression),
        };
        Expr { span, node }
    }

    /// Behind a bracket `for` always begins a loop, also where the grammar takes it for a name.
    fn expect_no_loop(&mut self, span: Span) {
        let inner = self.sources.slice(span).get(1..).unwrap_or_default().trim_start();
        let behind = inner.strip_prefix("for").and_then(|behind| behind.chars().next());
        if behind.is_some_and(|c| !(c.is_alphanumeric() || c == '_' || c == '-')) {
            let advice = "A loop is written `[for x in list : x]`; a key of this name is written in quotes.";
            self.problem_at(span, "syntax", "This is neither a loop nor a name", advice);
        }
    }

    /// The number with all its digits; the parser's own type has not enough room for them.
    fn number(&mut self, span: Span) -> Node {
        let text = self.sources.slice(span);
        let digits = digits_of(text);
        let number = if text.starts_with('-') { format!("-{digits}") } else { digits.to_owned() };
        match Number::parse(&number) {
            Some(Ok(number)) => Node::Literal(Value::from(number)),
            Some(Err(error)) => {
                self.problem_at(span, "out-of-range", "This number is out of range", error.to_string());
                Node::Literal(Value::unknown_of(Type::Number))
            }
            None => {
                self.problem_at(span, "syntax", "This is not a number", "Write it like `12`, `0.5` or `1e9`.");
                Node::Literal(Value::unknown_of(Type::Number))
            }
        }
    }

    fn object_key(&mut self, key: &ObjectKey, otherwise: Span) -> Expr {
        match key {
            ObjectKey::Ident(name) => {
                Expr { span: self.span_of(name.span(), otherwise), node: Node::Literal(Value::text(name.as_str())) }
            }
            ObjectKey::Expression(expression) => {
                let expr = self.expr(expression);
                match expr.node {
                    // A name that stands alone is a key, whatever else it might mean.
                    Node::Variable(name) => Expr { span: expr.span, node: Node::Literal(Value::text(&name)) },
                    Node::Literal(_) if self.is_keyword(expr.span) => {
                        let name = self.sources.slice(expr.span).to_owned();
                        Expr { span: expr.span, node: Node::Literal(Value::text(&name)) }
                    }
                    Node::Attribute(..) => {
                        self.problem_at(
                            expr.span,
                            "ambiguous-attribute-key",
                            "This key could mean two things",
                            "Write it in parentheses if its value is the key, or in quotes if its text is.",
                        );
                        expr
                    }
                    _ => expr,
                }
            }
        }
    }

    fn is_keyword(&self, span: Span) -> bool {
        matches!(self.sources.slice(span), "null" | "true" | "false")
    }

    fn call(&mut self, call: &ast::FuncCall) -> Node {
        let mut name = String::new();
        for part in &call.name.namespace {
            name.push_str(part.as_str());
            name.push_str("::");
        }
        name.push_str(call.name.name.as_str());
        // The functions of Terraform's core can be written with their namespace.
        let name = name.strip_prefix("core::").unwrap_or(&name);
        Node::Call(Box::new(Call {
            name: Arc::from(name),
            arguments: call.args.iter().map(|argument| self.expr(argument)).collect(),
            expands: call.args.expand_final(),
        }))
    }

    fn traversal(&mut self, traversal: &ast::Traversal, span: Span) -> Expr {
        let inner = self.expr(&traversal.expr);
        if let (Node::Literal(value), Some(TraversalOperator::LegacyIndex(_))) =
            (&inner.node, traversal.operators.first().map(|operator| operator.value()))
            && value.as_number().is_some()
        {
            self.problem_at(
                span,
                "syntax",
                "This is not a number",
                "A text, like an IP address, is written in quotes.",
            );
            return Expr { span, node: Node::Broken };
        }
        // What follows a number belongs to it more closely than its sign.
        let text = self.sources.slice(inner.span);
        let digits = match inner.node {
            Node::Literal(_) if text.starts_with('-') => Some(inner.span.end - digits_of(text).len() as u32),
            _ => None,
        };
        if let Some(start) = digits {
            let positive = Span { start, ..inner.span };
            let inner = Expr { span: positive, node: self.number(positive) };
            let stepped = self.steps(inner, &traversal.operators, span);
            return Expr { span, node: Node::Negate(Box::new(stepped)) };
        }
        if traversal.operators.len() > LONGEST_CHAIN {
            let detail = format!("At most {LONGEST_CHAIN} steps follow each other. Name a part of it in `locals`.");
            self.problem_at(span, "syntax", "This is nested too deeply", detail);
            return inner;
        }
        self.steps(inner, &traversal.operators, span)
    }

    fn steps(&mut self, mut expr: Expr, operators: &[hcl::edit::Decorated<TraversalOperator>], whole: Span) -> Expr {
        let start = expr.span;
        for (at, operator) in operators.iter().enumerate() {
            let rest = &operators[at + 1..];
            let range = operator.span();
            match operator.value() {
                TraversalOperator::GetAttr(name) => {
                    let name_span = self.span_of(name.span().or(range), whole);
                    let node = Node::Attribute(Box::new(expr), Arc::from(name.as_str()), name_span);
                    expr = Expr { span: start.to(name_span), node };
                }
                TraversalOperator::Index(index) => {
                    let index = self.expr(index);
                    let closed = self.closing_bracket(index.span);
                    expr = Expr { span: start.to(closed), node: Node::Index(Box::new(expr), Box::new(index)) };
                }
                TraversalOperator::LegacyIndex(index) => {
                    let index_span = self.span_of(index.span().or(range), whole);
                    if rest.first().is_some_and(|next| matches!(next.value(), TraversalOperator::LegacyIndex(_))) {
                        self.problem_at(
                            index_span,
                            "invalid-legacy-index-syntax",
                            "Two indexes cannot follow each other like this",
                            "Write them in brackets: `[0][1]`.",
                        );
                    }
                    let number = Node::Literal(Value::from(Number::from(*index.value())));
                    let index = Expr { span: index_span, node: number };
                    expr = Expr { span: start.to(index_span), node: Node::Index(Box::new(expr), Box::new(index)) };
                }
                TraversalOperator::AttrSplat(_) => {
                    // Only attributes belong to each element; what follows them is about the result.
                    let each = rest
                        .iter()
                        .take_while(|next| {
                            matches!(next.value(), TraversalOperator::GetAttr(_) | TraversalOperator::LegacyIndex(_))
                        })
                        .count();
                    if let Some(TraversalOperator::AttrSplat(_)) = rest.get(each).map(|next| next.value()) {
                        self.problem_at(
                            whole,
                            "nested-splat-expression-not-allowed",
                            "A `.*` cannot stand behind another one",
                            "Write `[*]` instead.",
                        );
                    }
                    let item = self.steps(Expr { span: start, node: Node::Item }, &rest[..each], whole);
                    let splat = Expr { span: item.span, node: Node::Splat(Box::new(expr), Box::new(item)) };
                    return self.steps(splat, &rest[each..], whole);
                }
                TraversalOperator::FullSplat(_) => {
                    let item = self.steps(Expr { span: start, node: Node::Item }, rest, whole);
                    return Expr { span: whole, node: Node::Splat(Box::new(expr), Box::new(item)) };
                }
            }
        }
        expr
    }

    /// The span up to the bracket that closes an index.
    fn closing_bracket(&self, index: Span) -> Span {
        let text = self.sources.text(self.file);
        let rest = text.get(index.end as usize..).unwrap_or("");
        let blank = rest.len() - rest.trim_start().len();
        match rest[blank..].starts_with(']') {
            true => Span { end: index.end + blank as u32 + 1, ..index },
            false => index,
        }
    }

    fn for_expression(&mut self, expression: &ast::ForExpr) -> Node {
        let name = |ident: &hcl::edit::Decorated<hcl::edit::Ident>| Arc::from(ident.as_str());
        Node::For(Box::new(For {
            key_name: expression.intro.key_var.as_ref().map(name),
            value_name: name(&expression.intro.value_var),
            collection: self.expr(&expression.intro.collection_expr),
            key: expression.key_expr.as_ref().map(|key| self.expr(key)),
            value: self.expr(&expression.value_expr),
            condition: expression.cond.as_ref().map(|condition| self.expr(&condition.expr)),
            groups: expression.grouping,
        }))
    }

    fn template(&mut self, template: &Template, quoting: Quoting, span: Span) -> Expr {
        let mut pieces = Pieces::default();
        self.flatten(template, quoting, &mut pieces);
        pieces.strip();
        if quoting == (Quoting::Heredoc { dedents: true }) {
            pieces.dedent();
        }
        let mut texts = pieces.texts();
        let mut parts = self.parts(template, &mut texts);
        // A lone interpolation is its value, not a text; beside white space that `~` takes it is none.
        if template.len() == 1 && matches!(parts.as_slice(), [Part::Interpolation(_)]) {
            if let Some(Part::Interpolation(inner)) = parts.pop() {
                return Expr { span, node: Node::Parentheses(Box::new(inner)) };
            }
        } else if parts.iter().all(|part| matches!(part, Part::Text(_))) {
            let text: String = parts.iter().map(|part| if let Part::Text(text) = part { text } else { "" }).collect();
            return Expr { span, node: Node::Literal(Value::text(&text)) };
        }
        Expr { span, node: Node::Template(parts) }
    }

    /// The template as a flat row of texts and marks, in which white space is stripped.
    fn flatten(&mut self, template: &Template, quoting: Quoting, pieces: &mut Pieces) {
        for element in template {
            match element {
                Element::Literal(literal) => {
                    let lines = self.literal(literal, quoting);
                    pieces.text(lines);
                }
                Element::Interpolation(interpolation) => pieces.mark(interpolation.strip),
                Element::Directive(directive) => match directive.as_ref() {
                    Directive::If(directive) => {
                        pieces.mark(directive.if_expr.strip);
                        self.flatten(&directive.if_expr.template, quoting, pieces);
                        if let Some(otherwise) = &directive.else_expr {
                            pieces.mark(otherwise.strip);
                            self.flatten(&otherwise.template, quoting, pieces);
                        }
                        pieces.mark(directive.endif_expr.strip);
                    }
                    Directive::For(directive) => {
                        pieces.mark(directive.for_expr.strip);
                        self.flatten(&directive.for_expr.template, quoting, pieces);
                        pieces.mark(directive.endfor_expr.strip);
                    }
                },
            }
        }
    }

    /// The lines of a literal, with escapes replaced. HCL strips and indents line by line.
    fn literal(&mut self, literal: &hcl::edit::Spanned<String>, quoting: Quoting) -> Vec<String> {
        let Some(range) = literal.span() else {
            return vec![literal.value().clone()];
        };
        let span = self.span(range);
        let raw = self.sources.slice(span);
        if quoting != Quoting::Quoted {
            return raw.split_inclusive('\n').map(|line| line.replace("$${", "${").replace("%%{", "%{")).collect();
        }
        match unescape(raw) {
            Some(text) => vec![text],
            None => {
                self.problem_at(
                    span,
                    "syntax",
                    "This escape sequence does not exist",
                    "Use \\n, \\r, \\t, \\\", \\\\, \\uNNNN or \\UNNNNNNNN.",
                );
                Vec::new()
            }
        }
    }

    /// The tree of the template again, with the texts that [`Self::flatten`] laid out.
    fn parts(&mut self, template: &Template, texts: &mut std::vec::IntoIter<String>) -> Vec<Part> {
        let name = |ident: &hcl::edit::Decorated<hcl::edit::Ident>| Arc::from(ident.as_str());
        let mut parts = Vec::new();
        for element in template {
            match element {
                Element::Literal(_) => {
                    let text = texts.next().unwrap_or_default();
                    if !text.is_empty() {
                        parts.push(Part::Text(Arc::from(text)));
                    }
                }
                Element::Interpolation(interpolation) => {
                    parts.push(Part::Interpolation(self.expr(&interpolation.expr)));
                }
                Element::Directive(directive) => parts.push(match directive.as_ref() {
                    Directive::If(directive) => Part::If {
                        condition: self.expr(&directive.if_expr.cond_expr),
                        then: self.parts(&directive.if_expr.template, texts),
                        otherwise: match &directive.else_expr {
                            Some(otherwise) => self.parts(&otherwise.template, texts),
                            None => Vec::new(),
                        },
                    },
                    Directive::For(directive) => Part::For {
                        key_name: directive.for_expr.key_var.as_ref().map(name),
                        value_name: name(&directive.for_expr.value_var),
                        collection: self.expr(&directive.for_expr.collection_expr),
                        body: self.parts(&directive.for_expr.template, texts),
                    },
                }),
            }
        }
        parts
    }
}

/// A template as a flat row.
#[derive(Default)]
struct Pieces {
    row: Vec<Piece>,
    literals: usize,
}

enum Piece {
    /// One line of the literal of that number.
    Line {
        literal: usize,
        text: String,
    },
    Mark {
        before: bool,
        after: bool,
    },
}

impl Pieces {
    fn text(&mut self, lines: Vec<String>) {
        let literal = self.literals;
        self.literals += 1;
        self.row.extend(lines.into_iter().map(|text| Piece::Line { literal, text }));
    }

    fn mark(&mut self, strip: Strip) {
        let before = matches!(strip, Strip::Start | Strip::Both);
        let after = matches!(strip, Strip::End | Strip::Both);
        self.row.push(Piece::Mark { before, after });
    }

    /// `~` takes the white space of the line that it touches.
    fn strip(&mut self) {
        for at in 0..self.row.len() {
            let Piece::Mark { before, after } = self.row[at] else { continue };
            if before
                && at > 0
                && let Piece::Line { text, .. } = &mut self.row[at - 1]
            {
                text.truncate(text.trim_end().len());
            }
            if after && let Some(Piece::Line { text, .. }) = self.row.get_mut(at + 1) {
                *text = text.trim_start().to_owned();
            }
        }
    }

    /// `<<-` takes from each line the indentation of the least indented one.
    fn dedent(&mut self) {
        let mut least = usize::MAX;
        let mut line_starts = true;
        let mut first_pieces = Vec::new();
        for (at, piece) in self.row.iter().enumerate() {
            if line_starts {
                line_starts = false;
                match piece {
                    Piece::Line { text, .. } => {
                        let trimmed = text.trim_start();
                        if !(trimmed.is_empty() && text.ends_with('\n')) {
                            least = least.min(text[..text.len() - trimmed.len()].graphemes(true).count());
                            first_pieces.push(at);
                        }
                    }
                    Piece::Mark { .. } => least = 0,
                }
            }
            if let Piece::Line { text, .. } = piece {
                line_starts = text.ends_with('\n');
            }
        }
        for at in first_pieces {
            if let Piece::Line { text, .. } = &mut self.row[at] {
                *text = text.graphemes(true).skip(least).collect();
            }
        }
    }

    /// One text for each literal.
    fn texts(self) -> std::vec::IntoIter<String> {
        let mut texts = vec![String::new(); self.literals];
        for piece in self.row {
            if let Piece::Line { literal, text } = piece {
                texts[literal].push_str(&text);
            }
        }
        texts.into_iter()
    }
}

/// What stands behind the sign of a number, and behind the blanks and comments that may follow it.
fn digits_of(text: &str) -> &str {
    let text = text.strip_prefix('-').unwrap_or(text);
    text.rsplit("*/").next().unwrap_or(text).trim_start()
}

/// The text of a quoted literal; `None` for an escape that does not exist.
fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        let rest = chars.as_str();
        match c {
            '$' | '%' if rest.starts_with(c) && rest[1..].starts_with('{') => {
                text.push(c);
                text.push('{');
                chars = rest[2..].chars();
            }
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                '"' => text.push('"'),
                '\\' => text.push('\\'),
                marker @ ('u' | 'U') => {
                    let length = if marker == 'u' { 4 } else { 8 };
                    let digits = chars.as_str().get(..length)?;
                    text.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
                    chars = chars.as_str()[length..].chars();
                }
                _ => return None,
            },
            other => text.push(other),
        }
    }
    Some(text)
}
