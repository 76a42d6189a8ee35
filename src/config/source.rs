//! The text of configuration files: reading bytes, places in them, and what the parser cannot say well itself
//! (text that is not closed). Nothing here knows what a configuration means.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::{Place, Position, Problem};

/// A range of bytes of one source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// From the beginning of the one to the end of the other.
    pub(super) fn to(self, other: Span) -> Span {
        Span { end: other.end.max(self.start), ..self }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Source {
    pub name: String,
    /// Without byte order mark; lines end with a line feed.
    pub text: String,
    line_starts: Vec<usize>,
}

impl Source {
    pub(super) fn new(name: String, text: String) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Source { name, text, line_starts }
    }

    fn position(&self, offset: usize) -> Position {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        Position { line, column: self.text[start..offset].chars().count() + 1 }
    }
}

/// All files of a configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources(Vec<Source>);

impl Sources {
    pub(super) fn add(&mut self, source: Source) -> u32 {
        self.0.push(source);
        self.0.len() as u32 - 1
    }

    pub(super) fn text(&self, file: u32) -> &str {
        self.0.get(file as usize).map_or("", |source| &source.text)
    }

    pub(super) fn slice(&self, span: Span) -> &str {
        self.text(span.file).get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Where the bytes stand, for people. `None` for text that is in no file.
    pub(super) fn place(&self, span: Span) -> Option<Place> {
        let source = self.0.get(span.file as usize)?;
        Some(Place {
            file: source.name.clone(),
            start: source.position(span.start as usize),
            end: source.position(span.end.max(span.start) as usize),
        })
    }

    /// Texts by file name.
    pub(super) fn by_name(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|source| (source.name.clone(), source.text.clone())).collect()
    }
}

/// The text of a file: without byte order mark, with line feeds only. What is not UTF-8 is replaced, and said so.
pub(super) fn decode(name: &str, bytes: Vec<u8>) -> (Source, Option<Problem>) {
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    let (text, invalid) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, Some(valid))
        }
    };
    let valid = invalid.map(|valid| text[..valid].replace("\r\n", "\n").len());
    let text = if text.contains("\r\n") { text.replace("\r\n", "\n") } else { text };
    let source = Source::new(name.to_owned(), text);
    let problem = valid.map(|valid| {
        let start = source.position(valid);
        Problem::error(
            "invalid-character",
            format!("{name} is not UTF-8 text"),
            "A configuration is UTF-8. Save the file in that encoding; iconv(1) converts others.",
        )
        .at(Some(&Place { file: name.to_owned(), start, end: Position { column: start.column + 1, ..start } }))
    });
    (source, problem)
}

/// Text that is opened and not closed, or closed and not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unclosed {
    pub at: Range<usize>,
    pub code: &'static str,
    pub summary: &'static str,
    pub detail: String,
    /// Whether more lines could close it.
    pub goes_on: bool,
}

/// What a look at the brackets of a file tells.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// The ranges of the attributes and blocks that stand outside of any other, without their surroundings.
    pub items: Vec<Range<usize>>,
    /// Numbers that hardware floating point cannot hold.
    pub large_numbers: Vec<Range<usize>>,
    pub unclosed: Option<Unclosed>,
}

/// What the scanner is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Bracket(char),
    /// A quoted text.
    Quote,
    /// `${ ... }` or `%{ ... }`.
    Template,
}

/// Finds the top-level items of a file and the first text or bracket that is not closed.
pub(super) fn outline(text: &str) -> Outline {
    let bytes = text.as_bytes();
    let mut outline = Outline::default();
    let mut inside: Vec<(Inside, usize)> = Vec::new();
    let mut item: Option<usize> = None;
    let mut at = 0;
    while at < bytes.len() {
        let here = bytes[at];
        let rest = &text.as_bytes()[at..];
        if let Some((Inside::Quote, opened)) = inside.last().copied() {
            match here {
                b'\\' => at += 2,
                b'"' => {
                    inside.pop();
                    at += 1;
                }
                b'$' | b'%' if rest.starts_with(b"$${") || rest.starts_with(b"%%{") => at += 3,
                b'$' | b'%' if rest.get(1) == Some(&b'{') => {
                    inside.push((Inside::Template, at));
                    at += 2;
                }
                b'\n' => {
                    outline.unclosed = Some(unclosed_text(opened, at));
                    return outline;
                }
                _ => at += 1,
            }
            continue;
        }
        if item.is_none() && !here.is_ascii_whitespace() && !is_comment(rest) {
            item = Some(at);
        }
        match here {
            b'#' => at = line_end(bytes, at),
            b'/' if rest.starts_with(b"//") => at = line_end(bytes, at),
            b'/' if rest.starts_with(b"/*") => match find(bytes, at + 2, b"*/") {
                Some(end) => at = end + 2,
                None => {
                    outline.unclosed = Some(Unclosed {
                        at: at..at + 2,
                        code: "syntax",
                        summary: "This comment is not closed",
                        detail: "Close it with `*/`.".to_owned(),
                        goes_on: true,
                    });
                    return outline;
                }
            },
            b'"' => {
                inside.push((Inside::Quote, at));
                at += 1;
            }
            b'<' if rest.starts_with(b"<<") => match heredoc(text, at) {
                Heredoc::Ends(end) => at = end,
                Heredoc::Open(delimiter) => {
                    outline.unclosed = Some(Unclosed {
                        at: at..at + 2,
                        code: "unterminated-string",
                        summary: "This heredoc is not closed",
                        detail: format!("A line that holds nothing but `{delimiter}` has to end it."),
                        goes_on: true,
                    });
                    return outline;
                }
                Heredoc::None => at += 1,
            },
            b'{' | b'[' | b'(' => {
                inside.push((Inside::Bracket(here.into()), at));
                at += 1;
            }
            b'}' | b']' | b')' => {
                match inside.pop() {
                    Some((Inside::Bracket(open), _)) if closes(open, here.into()) => {}
                    Some((Inside::Template, _)) if here == b'}' => {}
                    opened => {
                        outline.unclosed = Some(wrongly_closed(at, here.into(), opened));
                        return outline;
                    }
                }
                at += 1;
            }
            b'0'..=b'9' => {
                let end = number_end(bytes, at);
                if end - at > LONG_NUMBER || text[at..end].contains(['e', 'E']) {
                    outline.large_numbers.push(at..end);
                }
                at = end;
            }
            _ if here.is_ascii_alphabetic() || here == b'_' || here >= 0x80 => {
                let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || *byte >= 0x80;
                at += rest.iter().take_while(|byte| is_name(byte)).count();
            }
            b'\n' => {
                if inside.is_empty()
                    && let Some(start) = item.take()
                {
                    outline.items.push(start..at + 1);
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    match inside.last() {
        Some((Inside::Quote, opened)) => outline.unclosed = Some(unclosed_text(*opened, bytes.len())),
        Some((Inside::Template, opened)) => {
            outline.unclosed = Some(Unclosed {
                at: *opened..opened + 2,
                code: "syntax",
                summary: "This template sequence is not closed",
                detail: "Close it with `}`. Where `${` or `%{` shall stand as it is, write `$${` or `%%{`.".to_owned(),
                goes_on: true,
            });
        }
        Some((Inside::Bracket(open), opened)) => {
            outline.unclosed = Some(Unclosed {
                at: *opened..opened + 1,
                code: "syntax",
                summary: "This bracket is not closed",
                detail: format!("`{open}` has no partner up to the end of the file."),
                goes_on: true,
            });
        }
        None => {
            if let Some(start) = item {
                outline.items.push(start..bytes.len());
            }
        }
    }
    outline
}

/// A number with more digits than this can be too large for hardware floating point.
const LONG_NUMBER: usize = 300;

/// The end of the number that begins at `at`.
fn number_end(bytes: &[u8], at: usize) -> usize {
    let digits = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = digits(at);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1);
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1 + sign);
        }
    }
    end
}

/// The text with its large numbers written as zeros, of the same length, for a parser that would refuse them. Their
/// digits are read from the original.
pub(super) fn without_large_numbers<'a>(text: &'a str, outline: &Outline) -> std::borrow::Cow<'a, str> {
    if outline.large_numbers.is_empty() {
        return text.into();
    }
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for number in &outline.large_numbers {
        masked.push_str(&text[at..number.start]);
        masked.push_str(&"0".repeat(number.len()));
        at = number.end;
    }
    masked.push_str(&text[at..]);
    masked.into()
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

fn wrongly_closed(at: usize, close: char, opened: Option<(Inside, usize)>) -> Unclosed {
    let detail = match opened {
        None => format!("`{close}` closes nothing; remove it, or add what it should close."),
        Some((Inside::Bracket(open), _)) => format!("`{close}` cannot close `{open}`; close that one first."),
        Some(_) => format!("`{close}` cannot close a template sequence; close that one with `}}` first."),
    };
    Unclosed { at: at..at + 1, code: "syntax", summary: "This bracket has no partner", detail, goes_on: false }
}

fn closes(open: char, close: char) -> bool {
    matches!((open, close), ('{', '}') | ('[', ']') | ('(', ')'))
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

enum Heredoc {
    Ends(usize),
    Open(String),
    None,
}

/// The heredoc that may begin at `<<`; it ends behind its delimiter.
fn heredoc(text: &str, at: usize) -> Heredoc {
    let line = line_end(text.as_bytes(), at);
    let intro = &text[at + 2..line];
    let delimiter = intro.strip_prefix('-').unwrap_or(intro);
    let first = delimiter.chars().next();
    let is_name = first.is_some_and(|first| first.is_alphabetic() || first == '_')
        && delimiter.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if !is_name {
        return Heredoc::None;
    }
    let mut start = line + 1;
    while start <= text.len() {
        let end = line_end(text.as_bytes(), start);
        let trimmed = text[start..end].trim_start_matches([' ', '\t']);
        if let Some(rest) = trimmed.strip_prefix(delimiter)
            && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-')
        {
            return Heredoc::Ends(end - rest.len());
        }
        start = end + 1;
    }
    Heredoc::Open(delimiter.to_owned())
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
    fn what_is_not_closed_is_shown_where_it_opens() {
        for (text, at, summary) in [
            ("a = \"x\nb = 1", 4..6, "This text is not closed"),
            ("a = {\n", 4..5, "This bracket is not closed"),
            ("a = <<EOT\nx\n", 4..6, "This heredoc is not closed"),
            ("a = [}", 5..6, "This bracket has no partner"),
            ("/* x", 0..2, "This comment is not closed"),
            ("a = \"${x", 5..7, "This template sequence is not closed"),
        ] {
            let unclosed = outline(text).unclosed.expect(text);
            assert_eq!((unclosed.at, unclosed.summary), (at, summary), "{text}");
        }
    }

    #[test]
    fn columns_count_characters() {
        let source = Source::new("a".into(), "ä = \"日本\"\nb".into());
        assert_eq!(source.position("ä = \"日本".len()), Position { line: 1, column: 8 });
        assert_eq!(source.position(source.text.len()), Position { line: 2, column: 2 });
    }

    #[test]
    fn foreign_encodings_are_told_apart() {
        let (source, problem) = decode("a.hcl", b"\xef\xbb\xbfa = 1\r\n".to_vec());
        assert_eq!((source.text.as_str(), problem), ("a = 1\n", None));
        let (_, problem) = decode("a.hcl", b"a = 1\r\nb = \"\xff\"\n".to_vec());
        assert_eq!(
            problem.and_then(|problem| problem.place).map(|place| place.start),
            Some(Position { line: 2, column: 6 })
        );
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
