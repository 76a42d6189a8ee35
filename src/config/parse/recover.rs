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
                self.say_that_more_may_follow(item.range);
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
        self.heredocs.extend(item.heredocs.iter().map(|at| (at.start, at.end)));
        let disguises: Vec<_> = item.disguises.iter().map(|disguise| disguise.within(self.base)).collect();
        parser::parse_body(&outline::disguised(&text[item.range.clone()], &disguises))
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
            if item.unclosed.len() >= MOST_UNCLOSED {
                let last = item.unclosed.last().map_or(range.end, |last| last.at.end);
                let unread = last + text[last..range.end].find('\n').unwrap_or(range.end - last);
                let blank = text[unread..range.end].len() - text[unread..range.end].trim_start().len();
                if unread + blank < range.end {
                    self.say_that_more_may_follow(unread + blank..range.end);
                }
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
            let closed = item.closed.filter(|closed| *closed > opened);
            let closed = closed.or_else(|| self.last_bracket(&range)).unwrap_or(range.end);
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
        let end = self.absolute(item.range.clone()).end;
        whole.blocks.push(Block { word, header: self.absolute(header.word.start..header.end), end, labels, body });
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

    /// The `}` on the last line of an item, if it stands below the item's first letter.
    fn last_bracket(&self, range: &Range<usize>) -> Option<usize> {
        let text = self.sources.text(self.file);
        let column = |at: usize| at - text[..at].rfind('\n').map_or(0, |end| end + 1);
        let last = text[range.clone()].trim_end().rfind('\n').map(|end| range.start + end + 1)?;
        let line = &text[last..range.end];
        let at = last + line.len() - line.trim_start().len();
        (line.trim() == "}" && column(at) == column(range.start)).then_some(at)
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

    /// Says once in a file that nobody has read on.
    fn say_that_more_may_follow(&mut self, unread: Range<usize>) {
        const SUMMARY: &str = "From here on this file was not read";
        if !self.problems.iter().any(|problem| problem.summary == SUMMARY) {
            self.base = 0;
            let line = self.sources.text(self.file)[unread.clone()].lines().next().map_or(0, str::len);
            let detail = format!("It has {MOST_UNCLOSED} mistakes before; more may follow. Mend those first.");
            self.problem(unread.start..unread.start + line, "syntax", SUMMARY, detail);
        }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::source::{Source, Sources};
    use crate::model::Problems;

    const TEXT: &str = "host \"a\" {\n  address = \"${local.x}\" # one\n  labels = {\n    rack = [\"a\", \"b\"]\n  }\n}\n\nlocals {\n  x = <<-EOT\n    %{ if true ~}\n    y\n    %{ endif ~}\n  EOT\n  z = f(1, \"%\") /* two */\n}\n";

    fn read(text: &str) -> (Body, Problems) {
        let mut sources = Sources::default();
        let file = sources.add(Source::new("main.hcl".to_owned(), text.to_owned()));
        super::super::file(&sources, file)
    }

    #[test]
    fn what_is_sound_is_read_in_pieces_as_it_is_read_whole() {
        let (whole, problems) = read(TEXT);
        assert_eq!(problems, []);
        let mut sources = Sources::default();
        let file = sources.add(Source::new("main.hcl".to_owned(), TEXT.to_owned()));
        let mut reader = Reader::new(&sources, file);
        let pieces = reader.pieces(0..TEXT.len(), 0);
        assert_eq!(reader.problems, []);
        assert_eq!(format!("{pieces:?}"), format!("{whole:?}"));
    }

    proptest! {
        #[test]
        fn a_text_that_the_grammar_refuses_is_never_taken_without_an_error(
            edits in prop::collection::vec((0..TEXT.len(), "[a\"{}\\[\\]()=,$%<# \n]{0,2}", 0..4usize), 1..4),
        ) {
            let mut bytes = TEXT.as_bytes().to_vec();
            for (at, insert, delete) in edits {
                let at = at.min(bytes.len());
                let end = (at + delete).min(bytes.len());
                bytes.splice(at..end, insert.bytes());
            }
            let text = String::from_utf8(bytes).expect("ASCII");
            let (_, problems) = read(&text);
            prop_assert!(!problems.is_empty() || parser::parse_body(&text).is_ok(), "{text}");
        }

        #[test]
        fn any_text_is_read(text in "[ab\"{}\\[\\]()=,$%<EOT# \n/*]{0,120}") {
            read(&text);
        }
    }
}
