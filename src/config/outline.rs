//! The brackets and quotes of a text: where the attributes and blocks that stand outside of any other begin and end, and
//! what is opened and not closed, which the parser cannot say well itself. Nothing here reads what stands in them.

mod disguise;

use std::ops::Range;

pub(super) use disguise::{Disguise, disguised};

/// Text that is opened and not closed, or closed and not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unclosed {
    pub at: Range<usize>,
    pub code: &'static str,
    pub summary: &'static str,
    pub detail: String,
    /// Whether further lines could close it.
    pub goes_on: bool,
}

/// An attribute or a block that stands outside of any other.
#[derive(Debug, Default)]
pub(super) struct Item {
    /// Without its surroundings, with its line end.
    pub range: Range<usize>,
    /// Where the bracket closes that was opened first.
    pub closed: Option<usize>,
    /// What the parser is given otherwise, in the order of the text.
    pub disguises: Vec<Disguise>,
    /// From `<<` to behind the delimiter at the end.
    pub heredocs: Vec<Range<usize>>,
    pub unclosed: Vec<Unclosed>,
}

/// What a look at the brackets of a file tells.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub items: Vec<Range<usize>>,
    pub disguises: Vec<Disguise>,
    pub heredocs: Vec<Range<usize>>,
    /// The first; nothing behind it was looked at.
    pub unclosed: Option<Unclosed>,
}

/// Finds the top-level items of a file and the first text or bracket that is not closed.
pub(super) fn outline(text: &str) -> Outline {
    let mut outline = Outline::default();
    let mut at = 0;
    while let Some(mut item) = item(text, at..text.len(), Manner::Exact) {
        at = item.range.end;
        outline.disguises.append(&mut item.disguises);
        outline.heredocs.append(&mut item.heredocs);
        if let Some(unclosed) = item.unclosed.into_iter().next() {
            outline.unclosed = Some(unclosed);
            break;
        }
        outline.items.push(item.range);
    }
    outline
}

/// The outline of a text that is a template as a whole.
pub(super) fn template(text: &str) -> Outline {
    let mut scan = Scan::new(text, 0, Manner::Exact);
    scan.start = Some(0);
    scan.inside.push((Inside::Bare, 0));
    let item = scan.item().unwrap_or_default();
    Outline {
        items: Vec::new(),
        disguises: item.disguises,
        heredocs: item.heredocs,
        unclosed: item.unclosed.into_iter().next(),
    }
}

/// What is done about text that is opened and not closed, or closed and not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Nothing: the item ends there.
    Exact,
    /// It is taken for closed where the line or the indentation suggests it, so that what follows can be read.
    Guessing,
}

/// The first item of a range of the text.
pub(super) fn item(text: &str, range: Range<usize>, manner: Manner) -> Option<Item> {
    Scan::new(&text[..range.end], range.start, manner).item()
}

/// The rest of a block, behind its header at `start`, whose opening bracket is missing or stands where it must not.
pub(super) fn rest_of_block(text: &str, range: Range<usize>, start: usize) -> Item {
    let mut scan = Scan::new(&text[..range.end], range.start, Manner::Guessing);
    scan.start = Some(start);
    scan.inside.push((Inside::Bracket('{'), start));
    scan.item().unwrap_or_default()
}

/// After so many nobody reads on, and the rest is not looked at.
pub(super) const MOST_UNCLOSED: usize = 50;

/// What the scanner is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Bracket(char),
    /// A quoted text.
    Quote,
    /// `${ ... }` or `%{ ... }`.
    Template,
    /// A heredoc, behind its first line.
    Heredoc,
    /// A text that is a template as a whole.
    Bare,
}

impl Inside {
    fn is_closed_by(self, close: char) -> bool {
        match self {
            Inside::Bracket(open) => matches!((open, close), ('{', '}') | ('[', ']') | ('(', ')')),
            Inside::Template => close == '}',
            Inside::Quote | Inside::Heredoc | Inside::Bare => false,
        }
    }
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
    manner: Manner,
    /// Where the item begins, once it has.
    start: Option<usize>,
    /// What is open, with where it opened.
    inside: Vec<(Inside, usize)>,
    /// Which of them are heredocs.
    heredocs: Vec<usize>,
    found: Item,
}

impl<'t> Scan<'t> {
    fn new(text: &'t str, at: usize, manner: Manner) -> Self {
        Scan { text, at, manner, start: None, inside: Vec::new(), heredocs: Vec::new(), found: Item::default() }
    }

    /// Goes to the end of the item; `None` if there is none.
    fn item(mut self) -> Option<Item> {
        let text = self.text;
        let bytes = text.as_bytes();
        while self.at < bytes.len() && self.found.unclosed.len() < MOST_UNCLOSED {
            let (at, here, rest) = (self.at, bytes[self.at], &bytes[self.at..]);
            if let Some((Inside::Quote, opened)) = self.inside.last().copied() {
                match here {
                    b'\\' => self.at += 2,
                    b'"' => {
                        self.inside.pop();
                        self.at += 1;
                    }
                    b'$' | b'%' if rest.starts_with(b"$${") || rest.starts_with(b"%%{") => self.at += 3,
                    b'$' | b'%' if rest.get(1) == Some(&b'{') => {
                        self.inside.push((Inside::Template, at));
                        self.at += 2;
                    }
                    b'\n' => {
                        self.unclosed_text(opened, at);
                        if self.manner == Manner::Exact {
                            return Some(self.ends(at));
                        }
                    }
                    _ => self.at += 1,
                }
                continue;
            }
            if let Some((inside @ (Inside::Heredoc | Inside::Bare), opened)) = self.inside.last().copied() {
                let is_end =
                    inside == Inside::Heredoc && (at == 0 || bytes[at - 1] == b'\n') && self.ends_heredoc(opened);
                match here {
                    _ if is_end => self.close_heredoc(opened),
                    b'$' | b'%' if rest.starts_with(b"$${") || rest.starts_with(b"%%{") => self.at += 3,
                    b'$' | b'%' if rest.get(1) == Some(&b'{') => {
                        self.inside.push((Inside::Template, at));
                        self.at += 2;
                    }
                    _ => self.at += 1,
                }
                continue;
            }
            if self.start.is_none() && !here.is_ascii_whitespace() && !is_comment(rest) {
                self.start = Some(at);
            }
            match here {
                b'#' => self.at = line_end(bytes, at),
                b'/' if rest.starts_with(b"//") => self.at = line_end(bytes, at),
                b'/' if rest.starts_with(b"/*") => match find(bytes, at + 2, b"*/") {
                    Some(end) => self.at = end + 2,
                    None => {
                        self.found.unclosed.push(Unclosed {
                            at: at..at + 2,
                            code: "syntax",
                            summary: "This comment is not closed",
                            detail: "Close it with `*/`.".to_owned(),
                            goes_on: true,
                        });
                        return Some(self.ends_at_next(at));
                    }
                },
                b'"' => {
                    self.inside.push((Inside::Quote, at));
                    self.at += 1;
                }
                b'<' if rest.starts_with(b"<<") && self.heredocs.len() < MOST_HEREDOCS => match heredoc(text, at) {
                    Heredoc::Closed => {
                        self.heredocs.push(self.inside.len());
                        self.inside.push((Inside::Heredoc, at));
                        self.at = line_end(bytes, at) + 1;
                    }
                    Heredoc::Open(delimiter) => {
                        self.found.unclosed.push(unclosed_heredoc(at, delimiter));
                        return Some(self.ends_at_next(at));
                    }
                    Heredoc::None => self.at += 1,
                },
                b'{' | b'[' | b'(' => {
                    self.inside.push((Inside::Bracket(here.into()), at));
                    self.at += 1;
                }
                b'}' | b']' | b')' => {
                    if !self.close(at, here.into()) && self.manner == Manner::Exact {
                        return Some(self.ends(at + 1));
                    }
                    self.at += 1;
                }
                b'0'..=b'9' => {
                    let (disguise, end) = disguise::number(text, at);
                    self.found.disguises.extend(disguise);
                    self.at = end;
                }
                _ if here.is_ascii_alphabetic() || here == b'_' || here >= 0x80 => {
                    let is_name =
                        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || *byte >= 0x80;
                    self.at += rest.iter().take_while(|byte| is_name(byte)).count();
                }
                b'\n' => {
                    self.at += 1;
                    if self.start.is_some() && self.inside.is_empty() {
                        return Some(self.ends(at + 1));
                    }
                    if self.manner == Manner::Guessing && self.leaves_heredoc() {
                        continue;
                    }
                    if self.manner == Manner::Guessing && !self.inside.is_empty() && self.begins_anew(at + 1) {
                        self.left_open(0);
                        return Some(self.ends(at + 1));
                    }
                }
                _ => self.at += 1,
            }
        }
        if self.found.unclosed.len() < MOST_UNCLOSED {
            self.left_open(0);
        }
        self.start.is_some().then(|| self.ends(bytes.len()))
    }

    fn ends(mut self, at: usize) -> Item {
        self.found.range = self.start.unwrap_or(at)..at;
        // A heredoc is known where it ends, behind what stands in it.
        self.found.disguises.sort_by_key(|disguise| disguise.at.start);
        self.found
    }

    /// The item ends where another one seems to begin, for what was opened at `at` goes on to the end of the text.
    fn ends_at_next(mut self, at: usize) -> Item {
        self.start.get_or_insert(at);
        let mut next = line_end(self.text.as_bytes(), at) + 1;
        while next < self.text.len() && !(self.manner == Manner::Guessing && self.begins_anew(next)) {
            next = line_end(self.text.as_bytes(), next) + 1;
        }
        let end = next.min(self.text.len());
        self.ends(end)
    }

    /// Leaves what is open from number `length` on.
    fn truncate(&mut self, length: usize) {
        self.inside.truncate(length);
        while self.heredocs.last().is_some_and(|last| *last >= length) {
            self.heredocs.pop();
        }
    }

    /// Whether the line that begins here holds nothing but the delimiter of the heredoc.
    fn ends_heredoc(&self, opened: usize) -> bool {
        let line = &self.text[self.at..line_end(self.text.as_bytes(), self.at)];
        delimiter(self.text, opened).is_some_and(|delimiter| line.trim() == delimiter)
    }

    fn close_heredoc(&mut self, opened: usize) {
        let (text, line) = (self.text, self.at);
        let delimiter = delimiter(text, opened).unwrap_or_default();
        let rest = &text[line..];
        self.at = line + rest.len() - rest.trim_start().len() + delimiter.len();
        self.truncate(self.inside.len() - 1);
        let (whole, body) = (opened..self.at, line_end(text.as_bytes(), opened) + 1..line);
        self.found.disguises.extend(disguise::heredoc(text, whole.clone(), body, delimiter));
        self.found.heredocs.push(whole);
    }

    /// The line that begins here reads like the end of a heredoc, and most likely is: then what is open in it should have
    /// been closed.
    fn leaves_heredoc(&mut self) -> bool {
        let Some(last) = self.heredocs.last().copied() else { return false };
        if !self.ends_heredoc(self.inside[last].1) {
            return false;
        }
        self.left_open(last + 1);
        self.truncate(last + 1);
        true
    }

    /// Whether an attribute or a block begins on the line, not further to the right than this item does.
    fn begins_anew(&self, line: usize) -> bool {
        let own = self.start.map_or(0, |start| self.indentation(start).unwrap_or(0));
        let rest = &self.text[line..];
        let trimmed = rest.trim_start_matches([' ', '\t']);
        rest.len() - trimmed.len() <= own && looks_like_an_item(trimmed)
    }

    /// How far the line at `at` is indented; `None` where something else stands before it.
    fn indentation(&self, at: usize) -> Option<usize> {
        let line = self.line_start(at);
        self.text[line..at].bytes().all(|byte| matches!(byte, b' ' | b'\t')).then_some(at - line)
    }

    /// How far the line on which `at` lies is indented.
    fn line_indentation(&self, at: usize) -> usize {
        let line = &self.text[self.line_start(at)..];
        line.len() - line.trim_start_matches([' ', '\t']).len()
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    /// A quoted text that does not end on its line.
    fn unclosed_text(&mut self, opened: usize, end: usize) {
        let line = self.line_start(end);
        let template = match self.inside.len().checked_sub(2).map(|below| self.inside[below]) {
            // The quote that should have ended the text around a template.
            Some((Inside::Template, at))
                if at >= line && self.text[opened + 1..end].trim_matches([' ', ',', ')', ']', '}']).is_empty() =>
            {
                Some(at)
            }
            _ => None,
        };
        self.found.unclosed.push(match template {
            Some(at) => unclosed_template(at, false),
            None => unclosed_text(opened, end),
        });
        let first = self.inside.iter().position(|(inside, at)| *inside == Inside::Quote && *at >= line);
        self.truncate(first.unwrap_or(self.inside.len().saturating_sub(1)));
        // A bracket at the end of the line was most likely meant as one.
        let said = &self.text[opened..end];
        let said = said.split(" #").next().unwrap_or(said).trim_end();
        if let Some(open) = said.chars().last().filter(|last| matches!(last, '{' | '[' | '(')) {
            self.inside.push((Inside::Bracket(open), opened + said.len() - 1));
        }
    }

    /// Closes what the bracket closes; false if that is a problem.
    fn close(&mut self, at: usize, close: char) -> bool {
        let heredoc = self.heredocs.last().copied();
        let opened = self.opened_by(at, close).filter(|opened| heredoc.is_none_or(|heredoc| *opened > heredoc));
        let innermost = self.inside.last().copied();
        let is_innermost = opened.is_some_and(|opened| opened + 1 == self.inside.len());
        let fits = is_innermost && innermost.is_some_and(|(inside, _)| inside.is_closed_by(close));
        if !fits {
            match opened {
                Some(opened) if !is_innermost => self.left_open(opened + 1),
                _ if self.is_damaged(at) => {}
                _ => self.found.unclosed.push(wrongly_closed(at, close, innermost)),
            }
        }
        if let Some(opened) = opened {
            self.truncate(opened);
            if opened == 0 {
                self.found.closed = Some(at);
            }
        }
        fits
    }

    /// The number of the open bracket that this one closes. Where the two do not agree, a bracket that begins its line
    /// closes one whose line is indented alike.
    fn opened_by(&self, at: usize, close: char) -> Option<usize> {
        let is_partner = |(inside, _): &(Inside, usize)| inside.is_closed_by(close);
        let innermost = self.inside.last()?;
        if self.manner == Manner::Exact || is_partner(innermost) && self.indentation(at).is_none() {
            return is_partner(innermost).then(|| self.inside.len() - 1);
        }
        let is_on_this_line = |open: &(Inside, usize)| open.1 >= self.line_start(at);
        if self.indentation(at).is_none() && is_on_this_line(innermost) {
            let partner = self.inside.iter().rposition(|open| is_partner(open) && is_on_this_line(open));
            // Of the wrong sort, but it was meant for what is open here.
            return partner.or(Some(self.inside.len() - 1));
        }
        if let Some(own) = self.indentation(at)
            && own < self.line_indentation(innermost.1)
            && let Some(aligned) =
                self.inside.iter().rposition(|open| is_partner(open) && self.line_indentation(open.1) == own)
        {
            return Some(aligned);
        }
        self.inside.iter().rposition(is_partner)
    }

    /// Says that the innermost of what is open, from number `from` on, is not closed; once on each line.
    fn left_open(&mut self, from: usize) {
        let Some((inside, at)) = self.inside.get(from..).and_then(|open| open.last()).copied() else { return };
        if !self.is_damaged(at) {
            self.found.unclosed.push(match inside {
                Inside::Quote => unclosed_text(at, line_end(self.text.as_bytes(), at)),
                Inside::Template => unclosed_template(at, true),
                Inside::Bracket(open) => unclosed_bracket(at, open),
                Inside::Heredoc => unclosed_heredoc(at, delimiter(self.text, at).unwrap_or_default()),
                Inside::Bare => return,
            });
        }
    }

    /// Whether something is reported on the line already.
    fn is_damaged(&self, at: usize) -> bool {
        self.found.unclosed.iter().any(|one| self.line_start(one.at.start) == self.line_start(at))
    }
}

/// `name =`, `word {` or `word "label" {`.
fn looks_like_an_item(text: &str) -> bool {
    let line = text.split('\n').next().unwrap_or_default();
    let Some(header) = header(line, 0) else { return false };
    let rest = line[header.end..].trim_start();
    let is_attribute = rest.starts_with('=') && !rest.starts_with("==") && !rest.starts_with("=>");
    rest.starts_with('{') || is_attribute && header.labels.is_empty()
}

/// The word and the labels with which a block begins, or the name of an attribute.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub word: Range<usize>,
    /// What stands between the quotes, even if the second one is missing.
    pub labels: Vec<Range<usize>>,
    pub end: usize,
}

/// The header that begins at `at`, as far as it can be told.
pub(super) fn header(text: &str, at: usize) -> Option<Header> {
    let name_end = |from: usize| {
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        text[from..].find(|c| !is_name(c)).map_or(text.len(), |length| from + length)
    };
    let begins_name = |at: usize| text[at..].starts_with(|c: char| c.is_alphabetic() || c == '_');
    if !begins_name(at) {
        return None;
    }
    let mut header = Header { word: at..name_end(at), labels: Vec::new(), end: name_end(at) };
    loop {
        let rest = &text[header.end..];
        let next = header.end + rest.len() - rest.trim_start_matches([' ', '\t']).len();
        if begins_name(next) {
            header.labels.push(next..name_end(next));
            header.end = name_end(next);
        } else if text[next..].starts_with('"') {
            let line = line_end(text.as_bytes(), next);
            let inside = &text[next + 1..line];
            match inside.find('"').filter(|length| !inside[..*length].contains('{')) {
                Some(length) => {
                    header.labels.push(next + 1..next + 1 + length);
                    header.end = next + length + 2;
                }
                None => {
                    let label = inside.split([' ', '{', '#']).next().unwrap_or_default();
                    header.end = next + 1 + label.len();
                    if !label.is_empty() {
                        header.labels.push(next + 1..header.end);
                    }
                }
            }
        } else {
            return Some(header);
        }
    }
}

fn unclosed_text(opened: usize, end: usize) -> Unclosed {
    Unclosed {
        at: opened..end,
        code: "unterminated-string",
        summary: "This text is not closed",
        detail:
            "A quoted text ends on the line where it begins. Add the closing `\"`, or write a text of several lines \
                 as a heredoc (`<<EOT`)."
                .to_owned(),
        goes_on: false,
    }
}

fn unclosed_template(at: usize, goes_on: bool) -> Unclosed {
    Unclosed {
        at: at..at + 2,
        code: "syntax",
        summary: "This template sequence is not closed",
        detail: "Close it with `}`. Where `${` or `%{` shall stand as it is, write `$${` or `%%{`.".to_owned(),
        goes_on,
    }
}

fn unclosed_bracket(at: usize, open: char) -> Unclosed {
    let partner = match open {
        '{' => '}',
        '[' => ']',
        _ => ')',
    };
    Unclosed {
        at: at..at + 1,
        code: "syntax",
        summary: "This bracket is not closed",
        detail: format!("`{open}` has no partner. Close it with `{partner}`."),
        goes_on: true,
    }
}

fn unclosed_heredoc(at: usize, delimiter: &str) -> Unclosed {
    Unclosed {
        at: at..at + 2,
        code: "unterminated-string",
        summary: "This heredoc is not closed",
        detail: format!("A line that holds nothing but `{delimiter}` has to end it."),
        goes_on: true,
    }
}

fn wrongly_closed(at: usize, close: char, opened: Option<(Inside, usize)>) -> Unclosed {
    let detail = match opened {
        None => format!("`{close}` closes nothing; remove it, or add what it should close."),
        Some((Inside::Bracket(open), _)) => format!("`{close}` cannot close `{open}`; close that one first."),
        Some(_) => format!("`{close}` cannot close a template sequence; close that one with `}}` first."),
    };
    Unclosed { at: at..at + 1, code: "syntax", summary: "This bracket has no partner", detail, goes_on: false }
}

fn is_comment(rest: &[u8]) -> bool {
    rest.starts_with(b"#") || rest.starts_with(b"//") || rest.starts_with(b"/*")
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| from + at)
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| from + at)
}

enum Heredoc<'t> {
    Closed,
    Open(&'t str),
    None,
}

/// How many heredocs are looked at in each other; the parser allows no more.
const MOST_HEREDOCS: usize = 64;

/// The heredoc that may begin at `<<`. For closed counts one with any line that could end it.
fn heredoc(text: &str, at: usize) -> Heredoc<'_> {
    let Some(delimiter) = delimiter(text, at) else { return Heredoc::None };
    let body = text.get(line_end(text.as_bytes(), at) + 1..).unwrap_or_default();
    match body.lines().any(|line| line.trim() == delimiter) {
        true => Heredoc::Closed,
        false => Heredoc::Open(delimiter),
    }
}

/// The delimiter of the heredoc that begins at `<<`; `None` if none does.
fn delimiter(text: &str, at: usize) -> Option<&str> {
    let intro = &text[at + 2..line_end(text.as_bytes(), at)];
    let delimiter = intro.strip_prefix('-').unwrap_or(intro);
    let first = delimiter.chars().next();
    let is_name = first.is_some_and(|first| first.is_alphabetic() || first == '_')
        && delimiter.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    is_name.then_some(delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn items_are_found_whatever_stands_in_texts() {
        let text =
            "a = \"}${ { b = \"x\" }[\"b\"] }\" # {\nblock \"x\" {\n  t = <<-EOT\n  }}}\n  EOT\n}\n\n/* { */ c = 1";
        let items: Vec<&str> = outline(text).items.into_iter().map(|range| &text[range]).collect();
        assert_eq!(items.len(), 3, "{items:?}");
        assert!(items[1].starts_with("block") && items[1].trim_end().ends_with('}'));
        assert_eq!(items[2], "c = 1");
    }

    #[test]
    fn a_heredoc_ends_at_its_delimiter_alone_on_a_line_of_its_text() {
        for (text, heredocs) in [
            ("a = <<E\nE\nb = <<E\nx\nE\n", &["<<E\nE", "<<E\nx\nE"][..]),
            ("a = <<E\nE x\n E)\nEE\n E \n", &["<<E\nE x\n E)\nEE\n E"]),
            ("a = <<E\n${f(\nE\n)}\nE\n", &["<<E\n${f(\nE\n)}\nE"]),
            ("a = <<E\n${<<E\n\nE\n}\nE\n", &["<<E\n\nE", "<<E\n${<<E\n\nE\n}\nE"]),
            ("a = <<E\n${\"${\"}\"}\"}\nE\n", &["<<E\n${\"${\"}\"}\"}\nE"]),
            ("a = <<E\n$${\n%%{\n\"\nE\n", &["<<E\n$${\n%%{\n\"\nE"]),
            ("a = \"<<E\" # <<E\n/* <<E\n*/ b = <<-F\n  <<E\n  F\n", &["<<-F\n  <<E\n  F"]),
        ] {
            let outline = outline(text);
            assert_eq!(outline.unclosed, None, "{text}");
            let found: Vec<&str> = outline.heredocs.into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, heredocs, "{text}");
        }
    }

    #[test]
    fn a_template_that_is_left_open_in_a_heredoc_takes_nothing_behind_it() {
        let text = "a = <<E\n${x\nE\nb = 1\n";
        let item = item(text, 0..text.len(), Manner::Guessing).expect("an item");
        assert_eq!(&text[item.range], "a = <<E\n${x\nE\n");
        let said: Vec<_> = item.unclosed.iter().map(|unclosed| (unclosed.at.start, unclosed.summary)).collect();
        assert_eq!(said, [(8, "This template sequence is not closed")]);
    }

    #[test]
    fn what_is_not_closed_is_shown_where_it_opens() {
        for (text, at, summary) in [
            ("a = \"x\nb = 1", 4..6, "This text is not closed"),
            ("a = {\n", 4..5, "This bracket is not closed"),
            ("a = <<EOT\nx\n", 4..6, "This heredoc is not closed"),
            ("a = [}", 5..6, "This bracket has no partner"),
            ("a = <<E\nx\nE)\n", 4..6, "This heredoc is not closed"),
            ("a = <<E\n${x\nE\n", 8..10, "This template sequence is not closed"),
            ("a = <<E\n${f(\nE\n)}\n", 4..6, "This heredoc is not closed"),
            ("/* x", 0..2, "This comment is not closed"),
            ("a = \"${x", 5..7, "This template sequence is not closed"),
        ] {
            let unclosed = outline(text).unclosed.expect(text);
            assert_eq!((unclosed.at, unclosed.summary), (at, summary), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_an_outline(text in "[\"${}%\\[\\]()<EOT\n /*#a=-é]{0,80}") {
            for item in outline(&text).items {
                prop_assert!(text.get(item).is_some());
            }
        }
    }
}
