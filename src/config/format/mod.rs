//! A configuration file in the canonical layout. Only blanks change, with two exceptions that [`wording`] names; comments,
//! texts and heredocs keep every byte. What cannot be formatted without a doubt is left alone.

mod layout;
mod meaning;
mod tokens;
mod wording;

use super::parse;
use super::source::{self, Sources};
use super::syntax::Body;
use super::variables;
use crate::model::{Problem, Problems};
use tokens::{Kind, Token};

/// Why a text was left alone.
#[derive(Debug)]
pub struct Unformatted {
    pub problems: Problems,
    /// The text that the places of the problems are in, its secrets made unreadable.
    pub source: String,
}

/// The canonical form of a configuration file. `name` is what problems call it.
///
/// # Errors
/// What is wrong with the file, as reading it as a configuration says it.
pub fn format(name: &str, bytes: Vec<u8>) -> Result<String, Unformatted> {
    let before = read(name, bytes.clone())?;
    let text = String::from_utf8_lossy(&bytes);
    // Windows marks files so; it is no part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let changes_meaning = || Unformatted {
        problems: vec![Problem::error(
            "not-formatted",
            format!("{name} cannot be formatted without a change of what it says"),
            "It is left as it is. This is an error of Larder: please report it, with the file.",
        )],
        // The problem has no place in it.
        source: String::new(),
    };
    let wanted = tokens::tokens(text).map(|all| wording::reword(&all)).ok_or_else(changes_meaning)?;
    let formatted = closed(layout::layout(&wanted));
    if formatted == text {
        return Ok(formatted);
    }
    match is_faithful(&before, &wanted, &formatted) {
        true => Ok(formatted),
        false => Err(changes_meaning()),
    }
}

/// Whether a text consists of these tokens and of no others, and is read as this body.
fn is_faithful(before: &Body, wanted: &[Token<'_>], formatted: &str) -> bool {
    let after = read("", formatted.as_bytes().to_vec());
    let has_same_tokens = tokens::tokens(formatted).is_some_and(|all| without_end(&all) == without_end(wanted));
    has_same_tokens && after.is_ok_and(|after| meaning::is_same(before, &after))
}

fn read(name: &str, bytes: Vec<u8>) -> Result<Body, Unformatted> {
    let mut sources = Sources::default();
    let (source, problem) = source::decode(name, bytes);
    let file = sources.add(source);
    let (body, problems) = match problem {
        Some(problem) => (Body::default(), vec![problem]),
        None => parse::file(&sources, file),
    };
    match problems.is_empty() {
        true => Ok(body),
        false => {
            let secrets = variables::secrets_of_file(&sources, file, name, &body);
            Err(Unformatted { problems, source: sources.by_name(&secrets).remove(name).unwrap_or_default() })
        }
    }
}

/// The text with one line end behind its last line: the one that it has, else one like that of the first line.
fn closed(mut text: String) -> String {
    let end = text.trim_end_matches(['\n', '\r']).len();
    let first_line = text.split_inclusive('\n').next().unwrap_or_default();
    let is_windows = match &text[end..] {
        "" => first_line.ends_with("\r\n"),
        ends => ends.starts_with('\r'),
    };
    text.truncate(end);
    if !text.is_empty() {
        text.push_str(if is_windows { "\r\n" } else { "\n" });
    }
    text
}

fn without_end<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let end = tokens.iter().rposition(|token| token.kind != Kind::NewLine).map_or(0, |at| at + 1);
    &tokens[..end]
}

#[cfg(test)]
mod tests;
