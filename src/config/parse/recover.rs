//! Reading a text with errors piece by piece: what can be read is read, each mistake is said once, and what could not be read
//! keeps its name, so that nothing else speaks of it as missing.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use hcl::edit::parser;
use hcl::edit::structure;

use super::super::outline::{self, Header, Item, MOST_UNCLOSED, Manner};
use super::super::source::Span;
use super::super::syntax::{Attribute, Block, Body, Expr, Node};
use super::Reader;

/// How deep blocks are read apart; nothing that is meant nests deeper.
const DEEPEST: usize = 8;

impl Reader<'_> {
    /// The attributes and blocks of a range, as many as can be read. `depth` blocks stand around it.
    pub(super) fn pieces(&mut self, range: Range<usize>, depth: usize) -> Body {
        let text = self.sources.text(self.file);
        let mut whole = Body::default();
        let mut at = range.start;
        while let Some(item) = outline::item(text, at..range.end, Manner::Exact) {
            if self.problems.len() >= MOST_UNCLOSED {
                whole.has_gaps = true;
                break;
            }
            if item.unclosed.is_empty()
                && let Ok(body) = self.parsed(&item)
            {
                at = item.range.end;
                let body = self.body(&body);
                whole.attributes.extend(body.attributes);
                whole.blocks.extend(body.blocks);
                continue;
            }
            let item = match item.unclosed.is_empty() {
                true => item,
                false => outline::item(text, at..range.end, Manner::Guessing).unwrap_or(item),
            };
            at = self.broken(item, range.end, depth, &mut whole);
        }
        self.set_once(&whole);
        whole
    }

    fn parsed(&mut self, item: &Item) -> Result<structure::Body, parser::Error> {
        let text = self.sources.text(self.file);
        self.base = item.range.start;
        let numbers: Vec<_> = item.large_numbers.iter().map(|at| at.start - self.base..at.end - self.base).collect();
        let body = parser::parse_body(&outline::without_large_numbers(&text[item.range.clone()], &numbers));
        body
    }

    /// Says what is wrong with an item, and keeps what can be told of it. Returns where the next one may begin.
    fn broken(&mut self, item: Item, end: usize, depth: usize, whole: &mut Body) -> usize {
        let text = self.sources.text(self.file);
        let range = item.range.clone();
        if !self.has_said_within(&range) {
            self.base = 0;
            for unclosed in &item.unclosed {
                self.said.push(unclosed.at.start);
                self.problem(unclosed.at.clone(), unclosed.code, unclosed.summary, unclosed.detail.clone());
            }
        }
        let header = outline::header(&text[..range.end], range.start);
        let Some(header) = header else {
            whole.has_gaps = true;
            self.say_what_the_parser_says(&item);
            return range.end;
        };
        let behind = &text[header.end..range.end];
        let blank = behind.len() - behind.trim_start_matches([' ', '\t']).len();
        let rest = &behind[blank..];
        if rest.starts_with('{') {
            let opened = header.end + blank;
            let closed = item.closed.filter(|closed| *closed > opened).unwrap_or(range.end);
            self.inner(&item, &header, opened + 1..closed, depth, whole);
            return range.end;
        }
        let is_alone = rest.trim_end().is_empty() || rest.starts_with('#') || rest.starts_with("//");
        if is_alone && let Some(opened) = self.opens_below(&header, range.end..end) {
            let detail = "It stands on the line of the block's name: `host \"hv1\" {`.";
            self.say_missing_bracket(&header, detail);
            let body = outline::rest_of_block(text, opened..end, range.start);
            let closed = body.closed.unwrap_or(body.range.end);
            let inside = Item { closed: body.closed, range: range.start..body.range.end, ..Item::default() };
            self.inner(&inside, &header, opened..closed, depth, whole);
            return body.range.end;
        }
        self.say_what_the_parser_says(&item);
        let name = Arc::from(&text[header.word.clone()]);
        let is_attribute = header.labels.is_empty() && rest.starts_with('=');
        whole.has_gaps |= !is_attribute;
        let name_span = self.absolute(header.word.clone());
        let value = Expr { span: self.absolute(header.end..range.end), node: Node::Broken };
        whole.attributes.push(Attribute { name, name_span, value });
        range.end
    }

    /// Reads what stands in a block of which something cannot be read.
    fn inner(&mut self, item: &Item, header: &Header, inside: Range<usize>, depth: usize, whole: &mut Body) {
        let text = self.sources.text(self.file);
        let before = self.problems.len();
        let body = match depth < DEEPEST {
            true => self.pieces(inside, depth + 1),
            false => Body { has_gaps: true, ..Body::default() },
        };
        if self.problems.len() == before {
            self.say_what_the_parser_says(item);
        }
        let labels: Vec<(Arc<str>, Span)> =
            header.labels.iter().map(|label| (Arc::from(&text[label.clone()]), self.absolute(label.clone()))).collect();
        let word = Arc::from(&text[header.word.clone()]);
        whole.blocks.push(Block { word, header: self.absolute(header.word.start..header.end), labels, body });
    }

    /// Where the body of a block begins whose `{` does not stand behind its header; `None` if nothing looks like one.
    fn opens_below(&self, header: &Header, range: Range<usize>) -> Option<usize> {
        let text = self.sources.text(self.file);
        let rest = &text[range.clone()];
        let line = rest.lines().find(|line| !line.trim().is_empty())?;
        let trimmed = line.trim_start();
        if trimmed.starts_with('{') {
            return Some(range.start + rest.find('{')? + 1);
        }
        let own = text[..header.word.start].rfind('\n').map_or(header.word.start, |end| header.word.start - end - 1);
        let is_deeper = line.len() - trimmed.len() > own;
        (!header.labels.is_empty() && (is_deeper || trimmed.starts_with('}'))).then_some(range.start)
    }

    fn say_missing_bracket(&mut self, header: &Header, detail: &str) {
        let at = header.word.start..header.end;
        if !self.has_said_within(&at) {
            self.base = 0;
            self.said.push(header.word.start);
            self.problem(at, "syntax", "The `{` of this block is missing", detail.to_owned());
        }
    }

    /// Repeats what the parser says of an item, unless something is said of it already.
    fn say_what_the_parser_says(&mut self, item: &Item) {
        if self.has_said_within(&item.range) {
            return;
        }
        let text = &self.sources.text(self.file)[item.range.clone()];
        match self.parsed(item) {
            Err(error) => self.syntax(text, &error),
            // Its pieces are sound and so is the whole, but the brackets were not.
            Ok(_) => {
                let at = 0..text.trim_end().len();
                self.problem(at, "syntax", "This cannot be read", "Look at its brackets and quotes.".to_owned());
            }
        }
        self.said.push(item.range.start);
    }

    fn has_said_within(&self, range: &Range<usize>) -> bool {
        self.said.iter().any(|at| range.contains(at))
    }

    fn absolute(&mut self, range: Range<usize>) -> Span {
        self.base = 0;
        self.span(range)
    }

    /// Reports attributes that stand twice in a body which was read in pieces.
    fn set_once(&mut self, body: &Body) {
        let mut names = BTreeSet::new();
        for attribute in &body.attributes {
            if !names.insert(attribute.name.clone()) {
                self.said.push(attribute.name_span.start as usize);
                self.set_twice(&attribute.name, attribute.name_span);
            }
        }
    }
}
