//! The canonical layout: which blanks stand before each token. It moves tokens along their lines and does nothing else; what
//! is on which line is the author's choice.
//!
//! The layout is the one that Terraform's users know, also where another would be prettier: a file that both tools have
//! formatted stays as it is.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;

use super::tokens::Bracket::{Curly, Round, Square, Template};
use super::tokens::{Kind, Token};

/// The text of the tokens with canonical blanks.
pub(super) fn layout(tokens: &[Token<'_>]) -> String {
    let mut sheet = Sheet { tokens, blanks: vec![0; tokens.len()] };
    let lines = lines(tokens);
    for line in &lines {
        sheet.space(line);
    }
    sheet.indent(&lines);
    sheet.align(&lines, |line| line.assignment.map(|at| (line.all.start..at, at)));
    sheet.align(&lines, |line| line.comment.map(|at| (line.all.start..at, at)));
    sheet.text()
}

/// The tokens of a line, its end among them.
struct Line {
    all: Range<usize>,
    /// The `=` of an assignment that is over on this line.
    assignment: Option<usize>,
    /// The comment behind everything else.
    comment: Option<usize>,
}

fn lines(tokens: &[Token<'_>]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 0;
    for of_line in tokens.split_inclusive(|token| token.kind == Kind::NewLine) {
        let comment = of_line.iter().position(|token| token.kind == Kind::LineComment).filter(|at| *at > 0);
        let code = &of_line[..comment.unwrap_or(of_line.len())];
        let equals = code.iter().position(|token| token.kind == Kind::Equals).filter(|at| *at > 0);
        let assignment = equals.filter(|at| nesting(&code[*at..]) == 0);
        lines.push(Line {
            all: start..start + of_line.len(),
            assignment: assignment.map(|at| start + at),
            comment: comment.map(|at| start + at),
        });
        start += of_line.len();
    }
    lines
}

fn nesting(tokens: &[Token<'_>]) -> isize {
    tokens.iter().map(Token::nesting).sum()
}

struct Sheet<'a> {
    tokens: &'a [Token<'a>],
    /// How many blanks stand before each token.
    blanks: Vec<usize>,
}

impl Sheet<'_> {
    /// One blank or none between the tokens of a line.
    fn space(&mut self, line: &Line) {
        let of_line = &self.tokens[line.all.clone()];
        for at in 1..of_line.len() {
            let before = at.checked_sub(2).map(|at| of_line[at]);
            let apart = !touch(before, of_line[at - 1], of_line[at]);
            self.blanks[line.all.start + at] = usize::from(apart);
        }
    }

    /// Two blanks for each line above that opens more brackets than it closes, as long as these are open. A line that closes
    /// more than it opens stands where those that it closes began, whatever it begins with.
    fn indent(&mut self, lines: &[Line]) {
        let mut open: Vec<isize> = Vec::new();
        for line in lines {
            let of_line = &self.tokens[line.all.clone()];
            if of_line[0].kind == Kind::NewLine {
                continue;
            }
            let change = nesting(of_line);
            let mut closed = -change;
            while closed > 0 {
                let Some(last) = open.last_mut() else { break };
                if closed < *last {
                    *last -= closed;
                    break;
                }
                closed -= *last;
                open.pop();
            }
            self.blanks[line.all.start] = 2 * open.len();
            if change > 0 {
                open.push(change);
            }
        }
    }

    /// In each run of lines that have such a token, it starts in the same column. `part` gives what stands before it and
    /// where it is.
    fn align(&mut self, lines: &[Line], part: impl Fn(&Line) -> Option<(Range<usize>, usize)>) {
        let parts: Vec<_> = lines.iter().map(part).collect();
        for run in parts.split(Option::is_none) {
            let widths: Vec<usize> = run.iter().flatten().map(|(before, _)| self.width(before.clone())).collect();
            let widest = widths.iter().copied().max().unwrap_or_default();
            for ((_, at), width) in run.iter().flatten().zip(widths) {
                self.blanks[*at] = 1 + widest - width;
            }
        }
    }

    /// How many characters, as people count them, some tokens take with the blanks before them.
    fn width(&self, range: Range<usize>) -> usize {
        range.map(|at| self.blanks[at] + self.tokens[at].text.graphemes(true).count()).sum()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (token, blanks) in self.tokens.iter().zip(&self.blanks) {
            text.extend(std::iter::repeat_n(' ', *blanks));
            text.push_str(token.text);
        }
        text
    }
}

/// Whether two neighbours on a line have no blank between them. `before` stands left of both. The first row that fits
/// decides.
fn touch(before: Option<Token<'_>>, left: Token<'_>, right: Token<'_>) -> bool {
    use Kind::{
        Close, Comma, Dot, Ellipsis, Minus, Name, NewLine, Not, Number, Open, QuoteClose, QuoteOpen, Scope, Text,
    };
    match (left.kind, right.kind) {
        (_, NewLine) => true,
        (Name, Open(Round)) => true,
        (Dot | Scope, _) | (_, Dot | Scope) => true,
        (_, Comma | Ellipsis) => true,
        (Comma, _) => false,
        (QuoteOpen | Text, _) | (_, QuoteClose | Text) => true,
        // `for x in [1]` is no index.
        (Name, _) if left.text == "in" && before.is_some_and(|before| before.kind == Name) => false,
        (Name | Number | Close(_), Open(Square)) => true,
        (Minus, _) => is_sign(before),
        (Not, _) => true,
        (Open(Curly), Close(Curly)) => true,
        (Open(Curly), _) | (_, Close(Curly)) => false,
        (Open(Template), Open(Curly)) | (Close(Curly), Close(Template)) => false,
        (Close(Template), Open(Template)) => true,
        (Open(_), _) | (_, Close(_)) => true,
        _ => false,
    }
}

/// Whether a minus behind this is a sign. Only the neighbour is looked at, as Terraform does.
fn is_sign(before: Option<Token<'_>>) -> bool {
    let Some(before) = before else { return true };
    match before.kind {
        Kind::Open(bracket) => bracket != Template,
        Kind::Equals | Kind::Comma | Kind::Minus | Kind::Not | Kind::Operator => true,
        _ => false,
    }
}
