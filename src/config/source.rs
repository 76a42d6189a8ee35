//! The text of configuration files: reading bytes, and places in them. Nothing here knows what a configuration means.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

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

    /// The text with a star for each letter of the spans.
    fn without<'a>(&self, spans: impl Iterator<Item = &'a Span>) -> String {
        let mut spans = spans.peekable();
        if spans.peek().is_none() {
            return self.text.clone();
        }
        let mut is_secret = vec![false; self.text.len()];
        for span in spans {
            let end = self.text.len().min(span.end as usize);
            is_secret[end.min(span.start as usize)..end].fill(true);
        }
        let shown = |(at, c): (usize, char)| if is_secret[at] && !c.is_whitespace() { '*' } else { c };
        self.text.char_indices().map(shown).collect()
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

    /// Texts by file name, to be shown: each letter of the secrets is a star.
    pub(super) fn by_name(&self, secrets: &[Span]) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for (file, source) in self.0.iter().enumerate() {
            texts.insert(source.name.clone(), source.without(secrets.iter().filter(|span| span.file as usize == file)));
        }
        texts
    }
}

/// The most bytes of one configuration file. Parsing object literals takes quadratic time.
pub(super) const LONGEST_FILE: usize = 8 << 20;

/// The bytes of a configuration file.
///
/// # Errors
/// Also what is no regular file, which could keep us waiting for ever or never end, and what is too large.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe is opened without a wait for who writes into it.
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    match file.metadata()?.is_file() {
        true => read_bounded(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// The same of a file that somebody named, which may be the pipe of another program.
pub(super) fn read_named(path: &Path) -> io::Result<Vec<u8>> {
    read_bounded(File::open(path)?)
}

/// That a file cannot be read.
pub(super) fn unreadable(name: &str, error: &io::Error, cure: &str) -> Problem {
    match error.kind() {
        io::ErrorKind::FileTooLarge => {
            Problem::error("too-large", format!("{name} is too large"), "A configuration file may have up to 8 MiB.")
        }
        _ => {
            let detail = format!("{}. {cure}.", super::eval::sentence(&error.to_string()));
            Problem::error("unreadable-file", format!("{name} cannot be read"), detail)
        }
    }
}

/// All bytes, if they are not more than a configuration file may have.
///
/// # Errors
/// Too many have the kind [`io::ErrorKind::FileTooLarge`].
pub fn read_bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LONGEST_FILE as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > LONGEST_FILE {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "a configuration file may have up to 8 MiB")),
        false => Ok(bytes),
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
