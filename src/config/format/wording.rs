//! What is written in a simpler way than the author did: a text that is nothing but one interpolation becomes its expression,
//! and labels of blocks get quotes. No comment is lost by it.

use super::tokens::{Bracket, Kind, Token};

const QUOTE_OPEN: Token<'_> = Token { kind: Kind::QuoteOpen, text: "\"" };
const QUOTE_CLOSE: Token<'_> = Token { kind: Kind::QuoteClose, text: "\"" };
const OPEN: Token<'_> = Token { kind: Kind::Open(Bracket::Round), text: "(" };
const CLOSE: Token<'_> = Token { kind: Kind::Close(Bracket::Round), text: ")" };

/// The tokens of a file in canonical wording.
pub(super) fn reword<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut reworded = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    // An attribute or a block begins with a name; what ends a block stands between them.
    while let Some((first, behind)) = rest.split_first() {
        reworded.push(*first);
        rest = behind;
        if first.kind != Kind::Name {
            continue;
        }
        let header = rest.iter().position(|token| matches!(token.kind, Kind::Equals | Kind::Open(_)));
        let (header, behind) = rest.split_at(header.map_or(rest.len(), |at| at + 1));
        rest = behind;
        if header.last().is_some_and(|last| last.kind == Kind::Equals) {
            reworded.extend(header);
            let (value, behind) = rest.split_at(end_of_value(rest));
            rest = behind;
            push_value(&mut reworded, value);
        } else {
            for token in header {
                match token.kind {
                    Kind::Name => {
                        let label = Token { kind: Kind::Text, text: token.text };
                        reworded.extend([QUOTE_OPEN, label, QUOTE_CLOSE]);
                    }
                    _ => reworded.push(*token),
                }
            }
        }
    }
    reworded
}

/// How many tokens belong to the value that begins here: up to the end of the line, or of the block on one line.
fn end_of_value(tokens: &[Token<'_>]) -> usize {
    let end = with_depth(tokens)
        .position(|(depth, token)| depth < 0 || depth == 0 && matches!(token.kind, Kind::NewLine | Kind::LineComment));
    end.unwrap_or(tokens.len())
}

fn push_value<'a>(reworded: &mut Vec<Token<'a>>, mut value: &[Token<'a>]) {
    let mut behind = Vec::new();
    loop {
        while let Some((first, rest)) = value.split_first().filter(|(first, _)| first.kind == Kind::BlockComment) {
            reworded.push(*first);
            value = rest;
        }
        while let Some((last, rest)) = value.split_last().filter(|(last, _)| last.kind == Kind::BlockComment) {
            behind.push(*last);
            value = rest;
        }
        let Some(inner) = interpolated(value) else { break };
        value = inner;
        if needs_brackets(inner) {
            reworded.push(OPEN);
            behind.push(CLOSE);
            break;
        }
    }
    reworded.extend(value);
    reworded.extend(behind.iter().rev());
}

/// The expression in `"${ ... }"`, if there is nothing else and it can stand alone.
fn interpolated<'t, 'a>(value: &'t [Token<'a>]) -> Option<&'t [Token<'a>]> {
    let [quote, sequence @ .., _] = value else { return None };
    let [open, inner @ .., _] = sequence else { return None };
    let is_interpolation = quote.kind == Kind::QuoteOpen
        && open.kind == Kind::Open(Bracket::Template)
        && open.text.starts_with('$')
        && partner(sequence) == Some(sequence.len() - 1);
    let is_code = |token: &Token<'_>| token.kind != Kind::NewLine;
    let (start, last) = (inner.iter().position(is_code)?, inner.iter().rposition(is_code)?);
    // The line end behind a comment belongs to it.
    let end = if inner[last].kind == Kind::LineComment { last + 2 } else { last + 1 };
    let inner = inner.get(start..end)?;
    // A heredoc wants a line end behind it.
    let stands_alone = !with_depth(inner).any(|(depth, token)| depth == 0 && token.kind == Kind::Heredoc);
    (is_interpolation && stands_alone).then_some(inner)
}

/// Whether an expression of several lines ends too early without brackets; also where it would not, it gets them, as
/// Terraform's users know it.
fn needs_brackets(tokens: &[Token<'_>]) -> bool {
    let mut is_behind_comment = false;
    let has_line_end = with_depth(tokens).any(|(depth, token)| {
        let counts = token.kind == Kind::NewLine && (depth == 0 || !is_behind_comment);
        is_behind_comment = token.kind == Kind::LineComment;
        counts
    });
    has_line_end && !is_bracketed(tokens)
}

/// The tokens with how many brackets are open behind them.
fn with_depth<'t, 'a>(tokens: &'t [Token<'a>]) -> impl Iterator<Item = (isize, &'t Token<'a>)> {
    tokens.iter().scan(0, |depth, token| {
        *depth += token.nesting();
        Some((*depth, token))
    })
}

fn is_bracketed(tokens: &[Token<'_>]) -> bool {
    tokens.first().is_some_and(|first| first.kind == Kind::Open(Bracket::Round))
        && partner(tokens) == Some(tokens.len() - 1)
}

/// Where the bracket is closed that opens with the first token.
fn partner(tokens: &[Token<'_>]) -> Option<usize> {
    with_depth(tokens).position(|(depth, _)| depth == 0)
}
