//! What the parser would refuse or misread, written so that it reads what is meant, without a change of any place. Meaning
//! is never taken from what is written here, but from the original.

use std::borrow::Cow;
use std::ops::Range;

/// A text for the parser, of the same length as what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Disguise {
    pub at: Range<usize>,
    text: String,
}

impl Disguise {
    /// The same, in a part of the text that begins at `base`.
    pub(in crate::config) fn within(&self, base: usize) -> Disguise {
        Disguise { at: self.at.start - base..self.at.end - base, text: self.text.clone() }
    }
}

/// The text as the parser gets it.
pub(in crate::config) fn disguised<'a>(text: &'a str, disguises: &[Disguise]) -> Cow<'a, str> {
    if disguises.is_empty() {
        return text.into();
    }
    let mut all = String::with_capacity(text.len());
    let mut at = 0;
    for disguise in disguises {
        all.push_str(&text[at..disguise.at.start]);
        all.push_str(&disguise.text);
        at = disguise.at.end;
    }
    all.push_str(&text[at..]);
    all.into()
}

/// A number with more digits than this can be too large for hardware floating point.
const LONG_NUMBER: usize = 300;

/// The number that begins at `at`, if hardware floating point may not hold it, and where it ends.
pub(super) fn number(text: &str, at: usize) -> (Option<Disguise>, usize) {
    let end = number_end(text.as_bytes(), at);
    let is_large = end - at > LONG_NUMBER || text[at..end].contains(['e', 'E']);
    (is_large.then(|| Disguise { at: at..end, text: "0".repeat(end - at) }), end)
}

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

/// The heredoc that goes from `whole.start` to behind its last delimiter, with what it holds in `body`. The parser
/// does not see the end of an empty one, and takes lines that only begin with the delimiter for the end.
pub(super) fn heredoc(text: &str, whole: Range<usize>, body: Range<usize>, delimiter: &str) -> Vec<Disguise> {
    if body.is_empty() {
        let blanks = " ".repeat(whole.len() - 2);
        return vec![Disguise { at: whole, text: format!("\"\"{blanks}") }];
    }
    let begins = |line: &str, name: &str| line.trim_start().starts_with(name);
    let lines = || text[body.clone()].lines();
    if !lines().any(|line| begins(line, delimiter)) {
        return Vec::new();
    }
    let names = ('A'..='Z').chain('a'..='z').map(|letter| letter.to_string().repeat(delimiter.len()));
    let Some(name) = names.into_iter().find(|name| !lines().any(|line| begins(line, name))) else {
        return Vec::new();
    };
    // The line end stands before the body.
    let first = body.start - 1 - delimiter.len();
    let last = whole.end - delimiter.len();
    [first, last].map(|at| Disguise { at: at..at + delimiter.len(), text: name.clone() }).to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::outline;
    use super::*;

    #[test]
    fn the_parser_gets_a_text_of_the_same_length_that_it_can_read() {
        for (text, given) in [
            ("a = 1", "a = 1"),
            ("a = 1e9", "a = 000"),
            ("a = <<EOT\nEOT\n", "a = \"\"       \n"),
            ("a = <<-E\n  E\nb = 1\n", "a = \"\"      \nb = 1\n"),
            ("a = <<E\nE x\nE\n", "a = <<A\nE x\nA\n"),
            ("a = <<E\nA\n E.\n${1e9}\n  E \n", "a = <<B\nA\n E.\n${000}\n  B \n"),
            ("a = <<E\nx\nE\n", "a = <<E\nx\nE\n"),
            ("a = <<é\né!\né\n", "a = <<AA\né!\nAA\n"),
            ("a = <<E\n${<<E\nE\n}\nE\n", "a = <<A\n${\"\"   \n}\nA\n"),
        ] {
            let outline = outline(text);
            assert_eq!(outline.unclosed, None, "{text}");
            assert_eq!(disguised(text, &outline.disguises), given);
            assert_eq!(given.len(), text.len());
        }
    }
}
