//! What the grammar says of a text, in a person's words: where the mistake is, what it is, and how to mend it.

use std::ops::Range;

/// A mistake in the text of an item, an expression or a template.
#[derive(Debug, PartialEq)]
pub(super) struct Mistake {
    pub at: Range<usize>,
    pub code: &'static str,
    pub summary: &'static str,
    pub advice: &'static str,
    /// Whether the words of the parser add something.
    pub is_vague: bool,
}

const ATTRIBUTES: &str =
    "An attribute is `name = value` on a line of its own; a block is `word \"label\" {`, its attributes, and `}`.";

/// The mistake at `offset`, of which the parser says `message`.
pub(super) fn of(text: &str, offset: usize, message: &str) -> Mistake {
    let end = text.trim_end().len();
    let offset = (0..=offset.min(end)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let rest = &text[offset..end];
    let length = rest.chars().next().map_or(0, char::len_utf8);
    // Where nothing of the item was understood, all of it is the place.
    let is_whole = offset == 0 && message.contains("unexpected token");
    let at = match is_whole {
        true => 0..text.lines().next().map_or(0, |line| line.trim_end().len()),
        false => offset..offset + length,
    };
    let code = if message.contains("redefined attribute") { "duplicate-attribute" } else { "syntax" };
    match known(text, offset, rest, message) {
        Some((summary, advice)) => Mistake { at, code, summary, advice, is_vague: false },
        None if is_whole => Mistake { at, code, summary: "This cannot be read", advice: ATTRIBUTES, is_vague: false },
        None => Mistake { at, code, summary: "This is not valid here", advice: ATTRIBUTES, is_vague: true },
    }
}

fn known(text: &str, offset: usize, rest: &str, message: &str) -> Option<(&'static str, &'static str)> {
    let before = text[..offset].trim_end();
    let line = before.lines().next_back().unwrap_or_default();
    let says = |words: &str| message.contains(words);
    if says("redefined object key") {
        return Some(("This key is written twice", "Each key stands once in an object. Remove one of the two."));
    }
    if says("redefined attribute") {
        return Some(("This attribute is set twice", "Each attribute stands once in a block. Remove one of the two."));
    }
    if says("at most 64 nested") {
        return Some(("This is nested too deeply", "Name a part of it in `locals`."));
    }
    if says("at most 128 chained") {
        let advice = "Name a part of it in `locals`, or use `sum`, `join` or `alltrue`.";
        return Some(("This has too many operators", advice));
    }
    if says("invalid escape sequence") || rest.starts_with('\\') {
        let advice = "Use \\n, \\r, \\t, \\\", \\\\, \\uNNNN or \\UNNNNNNNN.";
        return Some(("This escape sequence does not exist", advice));
    }
    if rest.starts_with('\'') {
        return Some(("Texts are written in double quotes", "Replace `'` by `\"`."));
    }
    if rest.starts_with(';') {
        return Some(("Lines do not end with a semicolon", "Remove it."));
    }
    if rest.starts_with("%{") && before.ends_with('"') {
        let advice = "`%{ if }` ends with `%{ endif }`, and `%{ for }` with `%{ endfor }`.";
        return Some(("This template is not complete", advice));
    }
    if rest.starts_with('.') && says("unexpected token") {
        return Some(("No name follows this dot", "Write it behind the dot, or remove the dot."));
    }
    if rest.starts_with("${") || rest.starts_with("%{") {
        let advice = "Write what stands between the braces alone, or put the whole into quotes: `\"${...}\"`.";
        return Some(("A template stands in quotes", advice));
    }
    if rest.starts_with([',', ')', ']']) && before.ends_with(['[', '(', ',']) {
        return Some(("An expression is missing here", "Add one, or remove the comma."));
    }
    if rest.starts_with(',') && says("newline or eof") {
        let advice = "Remove it. Attributes stand on lines of their own; a block on one line holds at most one.";
        return Some(("Attributes do not end with a comma", advice));
    }
    if rest.starts_with(':') && is_name(line.trim()) {
        return Some(("This should be `=`", "An attribute is written `name = value`."));
    }
    if rest.starts_with('=') && line.ends_with('=') {
        return Some(("An attribute is set with one `=`", "Remove one of the two; `==` compares."));
    }
    if rest.starts_with('=') && says("expected `{`") {
        return Some(("There is no `=` between a block and its body", "Remove it: `host \"hv1\" {`."));
    }
    if offset == 0 && rest.starts_with('"') {
        return Some(("A name is written without quotes", "Remove them: `name = value`, `word \"label\" {`."));
    }
    if rest.is_empty() && is_attribute(line) {
        let advice = "Write it behind the `=`. A text of several lines is a heredoc (`<<EOT`).";
        return Some(("The value is missing", advice));
    }
    if rest.is_empty() && says("invalid expression") {
        return Some((
            "What stands right of the operator is missing",
            "Add it. An expression of several lines stands in parentheses.",
        ));
    }
    if says("expected `{`") && !before.contains('\n') && before.ends_with('"') {
        return Some((
            "The `=` is missing",
            "An attribute is written `name = value`; a block has its `{` on the same line.",
        ));
    }
    if says("expected `:`") {
        return match line.contains('?') {
            true => Some(("The second result is missing", "A conditional is written `condition ? yes : no`.")),
            false => Some((
                "The `:` of this `for` is missing",
                "Write `[for x in list : x.name]` or `{ for k, v in map : k => v }`.",
            )),
        };
    }
    if says("expected `=>`") {
        return Some(("The `=>` of this `for` is missing", "A map is made with `{ for k, v in map : k => v }`."));
    }
    if ["and", "or", "not"].iter().any(|word| rest.split_whitespace().next() == Some(word)) {
        return Some(("Conditions are joined with `&&` and `||`", "`and` is `&&`, `or` is `||`, `not` is `!`."));
    }
    if says("invalid object item") || says("expected `]`") || says("expected `)`") {
        return Some((
            "A comma is missing here",
            "Elements are parted by commas, those of an object by commas or line ends.",
        ));
    }
    if says("newline or eof") && before.len() == offset && has_unit(line, rest) {
        return Some(("A number with a unit is a text", "Write it in quotes: `\"10GiB\"`, `\"30s\"`."));
    }
    if says("newline or eof") {
        let advice = "Each attribute stands on a line of its own; a block on one line holds at most one attribute.";
        return Some(("Something follows the value", advice));
    }
    let is_words = before.split_whitespace().all(is_name);
    (rest.is_empty() && is_words).then_some(("This is neither an attribute nor a block", ATTRIBUTES))
}

/// `= 10GB`, of which `GB` could not be read.
fn has_unit(line: &str, rest: &str) -> bool {
    let number = line.rsplit('=').next().unwrap_or_default().trim();
    let is_number =
        number.starts_with(|c: char| c.is_ascii_digit()) && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    is_number && rest.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// `name =`, with nothing behind it.
fn is_attribute(line: &str) -> bool {
    line.strip_suffix('=').is_some_and(|name| is_name(name.trim()))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// Where the value of an attribute begins; `None` if the text is none.
pub(super) fn value_of(text: &str) -> Option<usize> {
    let (name, value) = text.split_once('=')?;
    is_name(name.trim()).then(|| text.len() - value.trim_start().len())
}
