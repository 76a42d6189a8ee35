//! YAML: reading one document as values, and writing values as YAML that reads back to them.

use std::collections::HashMap;

use base64::Engine as _;
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::super::fields::Gathered;
use super::super::number::Number;
use super::super::value::{Data, Value};
use super::encoding::{DEEPEST, plain};
use super::{Fault, Outcome};

/// The most values that aliases may multiply a document to.
const MOST: usize = 1_000_000;

/// What is being built.
enum Open {
    Sequence { anchor: usize, elements: Vec<Value>, weight: usize },
    Mapping { anchor: usize, fields: Gathered, key: Option<Value>, weight: usize },
}

pub(super) fn decode(text: &str) -> Outcome {
    // The library takes a tab for indentation where a document begins.
    if text.lines().find(|line| !line.trim_matches(' ').is_empty()).is_some_and(|line| line.starts_with('\t')) {
        return Err(Fault::call("this is not YAML: a tab cannot indent"));
    }
    let version = text.lines().take_while(|line| !line.starts_with("---")).find_map(|line| line.strip_prefix("%YAML "));
    if version.is_some_and(|version| !version.trim_start().starts_with("1.1")) {
        return Err(Fault::call("this is not YAML 1.1"));
    }
    let (length, ends_line) = (text.chars().count(), text.ends_with('\n'));
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: HashMap<usize, (Value, usize)> = HashMap::new();
    let mut document = None;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            Fault::call(format!("this is not YAML: {}, in line {}", error.info(), at.line()))
        })?;
        if open.len() > DEEPEST {
            return Err(Fault::call("it is nested too deeply"));
        }
        let (value, weight, anchor) = match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(Fault::call("there is more than one document"));
                }
                continue;
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| name(&tag)).transpose()?;
                // The library ends a block with a line end that the document has not.
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let adds = is_block && !ends_line && span.end.index() >= length;
                let text = text.strip_suffix('\n').filter(|_| adds).unwrap_or(&text);
                (scalar(text, style, tag.as_deref())?, 1, anchor)
            }
            Event::Alias(anchor) => {
                let (value, weight) =
                    anchors.get(&anchor).cloned().ok_or_else(|| Fault::call("an alias has no anchor"))?;
                (value, weight, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                expect_tag(tag.as_deref(), "seq")?;
                open.push(Open::Sequence { anchor, elements: Vec::new(), weight: 1 });
                continue;
            }
            Event::MappingStart(anchor, tag) => {
                expect_tag(tag.as_deref(), "map")?;
                open.push(Open::Mapping { anchor, fields: Gathered::new(), key: None, weight: 1 });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::Sequence { anchor, elements, weight }) => (Value::tuple(elements), weight, anchor),
                Some(Open::Mapping { anchor, fields, weight, .. }) => (Value::object(fields.into()), weight, anchor),
                None => continue,
            },
            _ => continue,
        };
        if weight > MOST {
            return Err(Fault::call("aliases make it too large"));
        }
        if anchor > 0 {
            anchors.insert(anchor, (value.clone(), weight));
        }
        match open.last_mut() {
            None => document = Some(value),
            Some(Open::Sequence { elements, weight: whole, .. }) => {
                elements.push(value);
                *whole += weight;
            }
            Some(Open::Mapping { fields, key, weight: whole, .. }) => {
                *whole += weight;
                match key.take() {
                    None => *key = Some(value),
                    Some(name) => field(fields, &name, value)?,
                }
            }
        }
    }
    document.ok_or_else(|| Fault::call("there is no document"))
}

/// The name of a tag of YAML's own; there are no others.
fn name(tag: &Tag) -> Result<String, Fault> {
    let whole = format!("{}{}", tag.handle, tag.suffix);
    let name = whole.strip_prefix("tag:yaml.org,2002:").or_else(|| whole.strip_prefix("!!"));
    name.map(str::to_owned).ok_or_else(|| Fault::call(format!("there is no tag `{whole}`")))
}

fn expect_tag(tag: Option<&Tag>, wanted: &str) -> Result<(), Fault> {
    match tag.map(name).transpose()? {
        Some(name) if name != wanted => Err(Fault::call(format!("a collection cannot be a `!!{name}`"))),
        _ => Ok(()),
    }
}

fn field(fields: &mut Gathered, name: &Value, value: Value) -> Result<(), Fault> {
    if name.as_text().is_some_and(|name| name.as_ref() == "<<") {
        let merged = value.fields().ok_or_else(|| Fault::call("only a mapping can be merged"))?;
        fields.extend(merged.iter().map(|(name, value)| (name.clone(), value.clone())));
        return Ok(());
    }
    let name = super::convert(name, &super::Type::Text).ok().filter(|name| !name.is_null());
    let name = name.as_ref().and_then(Value::as_text).ok_or_else(|| Fault::call("a key of a mapping is a text"))?;
    fields.insert(name.clone(), value);
    Ok(())
}

/// A scalar: what is quoted is a text; what is plain is what it looks like, and must look like its tag.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>) -> Outcome {
    let wrong = |tag: &str| Err(Fault::call(format!("a scalar cannot be read as `!!{tag}`")));
    if let Some(tag) = tag
        && !["str", "binary", "int", "float", "bool", "null", "timestamp"].contains(&tag)
    {
        return wrong(tag);
    }
    match tag {
        Some("str") => return Ok(Value::text(text)),
        Some("binary") => {
            let bytes: String = text.split_whitespace().collect();
            return match base64::engine::general_purpose::STANDARD.decode(bytes) {
                Ok(_) => Ok(Value::text(text)),
                Err(_) => wrong("binary"),
            };
        }
        _ if style != ScalarStyle::Plain => return Ok(Value::text(text)),
        Some("null") => return Ok(Value::null()),
        _ => {}
    }
    let value = resolved(text)?;
    match (tag, &value.data) {
        (Some(tag), Data::Text(_)) if super::time::of_yaml(text).is_none() => wrong(tag),
        _ => Ok(value),
    }
}

/// What a plain scalar without a tag looks like.
fn resolved(text: &str) -> Outcome {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::null()),
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "y" | "Y" | "on" | "On" | "ON" => {
            return Ok(true.into());
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "n" | "N" | "off" | "Off" | "OFF" => {
            return Ok(false.into());
        }
        ".nan" | ".NaN" | ".NAN" => return Err(Fault::call("`.nan` is not a number of the language")),
        _ => {}
    }
    for (prefix, base) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && let Ok(number) = u128::from_str_radix(digits, base)
            && !digits.starts_with('+')
            && let Some(number) = Number::parse(&number.to_string())
        {
            return Ok(number?.into());
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && !unsigned.contains(['p', 'P'])
        && let Some(number) = Number::parse(text)
    {
        return Ok(number?.into());
    }
    Ok(Value::from(super::time::of_yaml(text).unwrap_or_else(|| text.to_owned())))
}

/// YAML as Terraform writes it: texts in quotes, or as literal blocks when they have several lines.
pub(super) fn encode(value: &Value) -> Option<String> {
    if value.has_unknown_within() {
        return None;
    }
    let mut out = String::new();
    write(value, 0, true, &mut out);
    if plain(value).is_some() {
        out.push_str("\n...");
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    Some(out)
}

/// Writes a value; `at_line_start` says whether a collection may begin right here.
fn write(value: &Value, indent: usize, at_line_start: bool, out: &mut String) {
    let new_line = |out: &mut String| {
        out.push('\n');
        out.push_str(&" ".repeat(indent));
    };
    // What becomes too long is refused, and nobody reads it.
    if out.len() > super::LONGEST_TEXT {
        return;
    }
    if let Some(plain) = plain(value) {
        out.push_str(&plain);
        return;
    }
    if let Data::Text(text) = &value.data {
        write_text(text, indent, out);
        return;
    }
    if let Some(elements) = value.elements() {
        if elements.is_empty() {
            out.push_str("[]");
        }
        for (index, element) in elements.iter().enumerate() {
            if index > 0 || !at_line_start {
                if out.ends_with('\n') {
                    out.push_str(&" ".repeat(indent));
                } else {
                    new_line(out);
                }
            }
            out.push_str("- ");
            write(element, indent + 2, true, out);
        }
        return;
    }
    let Some(fields) = value.fields() else { return };
    if fields.is_empty() {
        out.push_str("{}");
    }
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 || !at_line_start {
            if out.ends_with('\n') {
                out.push_str(&" ".repeat(indent));
            } else {
                new_line(out);
            }
        }
        write_quoted(name, None, out);
        out.push(':');
        let is_empty = value.elements().is_some_and(|elements| elements.is_empty())
            || value.fields().is_some_and(|fields| fields.is_empty());
        let is_sequence = value.elements().is_some() && !is_empty;
        let is_mapping = value.fields().is_some() && !is_empty;
        if is_sequence {
            write(value, indent, false, out);
        } else if is_mapping {
            write(value, indent + 2, false, out);
        } else {
            out.push(' ');
            write(value, indent + 2, true, out);
        }
    }
}

/// A text of several lines as a literal block, where such a block can hold it; else in quotes.
fn write_text(text: &str, indent: usize, out: &mut String) {
    let indent = indent.max(2);
    let fits = text.contains('\n') && !text.ends_with(' ') && !text.contains(" \n") && text.chars().all(is_plain);
    if !fits {
        write_quoted(text, Some(indent), out);
        return;
    }
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    let behind_text = text.strip_suffix('\n');
    match behind_text {
        None => out.push('-'),
        Some(rest) if rest.is_empty() || rest.ends_with('\n') => out.push('+'),
        Some(_) => {}
    }
    out.push('\n');
    for line in text.split_inclusive('\n') {
        if line != "\n" {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(line);
    }
    if behind_text.is_none() {
        out.push('\n');
    }
}

/// Whether a character stands in YAML as it is.
fn is_plain(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

/// The text in quotes; behind column 80 a line ends at the next space, if there is an indentation for the next one.
fn write_quoted(text: &str, indent: Option<usize>, out: &mut String) {
    const WIDEST: usize = 80;
    let mut column = out.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    out.push('"');
    let mut after_space = false;
    let mut chars = text.chars().peekable();
    let mut is_first = true;
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let folds = c == ' ' && !is_first && next.is_some() && !after_space && column > WIDEST;
        match indent.filter(|_| folds) {
            Some(indent) => {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
                if next == Some(' ') {
                    out.push('\\');
                    column += 1;
                }
            }
            None => {
                let before = out.len();
                write_escaped(c, out);
                column += out[before..].chars().count();
            }
        }
        after_space = c == ' ';
        is_first = false;
    }
    out.push('"');
}

fn write_escaped(c: char, out: &mut String) {
    let letter = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ if is_plain(c) => return out.push(c),
        _ => {
            return out.push_str(&match u32::from(c) {
                code @ ..0x100 => format!("\\x{code:02X}"),
                code @ ..0x1_0000 => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            });
        }
    };
    out.push('\\');
    out.push(letter);
}
