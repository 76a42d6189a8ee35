//! YAML: reading one document as values, and writing values as YAML that reads back to them.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::super::number::Number;
use super::super::value::{Data, Fields, Value};
use super::encoding::{DEEPEST, plain, quoted};
use super::{Fault, Outcome};

/// The most values that aliases may multiply a document to.
const MOST: usize = 1_000_000;

/// What is being built.
enum Open {
    Sequence { anchor: usize, elements: Vec<Value>, weight: usize },
    Mapping { anchor: usize, fields: Fields, merged: Vec<Value>, key: Option<Value>, weight: usize },
}

pub(super) fn decode(text: &str) -> Outcome {
    // The library takes a tab for indentation where a document begins.
    if text.lines().find(|line| !line.trim_matches(' ').is_empty()).is_some_and(|line| line.starts_with('\t')) {
        return Err(Fault::call("this is not YAML: a tab cannot indent"));
    }
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: HashMap<usize, (Value, usize)> = HashMap::new();
    let mut document = None;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| {
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
                let tag = tag.map(|tag| tag.suffix.clone());
                (scalar(&text, style, tag.as_deref())?, 1, anchor)
            }
            Event::Alias(anchor) => {
                let (value, weight) =
                    anchors.get(&anchor).cloned().ok_or_else(|| Fault::call("an alias has no anchor"))?;
                (value, weight, 0)
            }
            Event::SequenceStart(anchor, _) => {
                open.push(Open::Sequence { anchor, elements: Vec::new(), weight: 1 });
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push(Open::Mapping { anchor, fields: Fields::new(), merged: Vec::new(), key: None, weight: 1 });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::Sequence { anchor, elements, weight }) => (Value::tuple(elements), weight, anchor),
                Some(Open::Mapping { anchor, mut fields, merged, weight, .. }) => {
                    for other in merged.iter().flat_map(Value::fields) {
                        for (name, value) in other {
                            fields.entry(name.clone()).or_insert_with(|| value.clone());
                        }
                    }
                    (Value::object(fields), weight, anchor)
                }
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
            Some(Open::Mapping { fields, merged, key, weight: whole, .. }) => {
                *whole += weight;
                match key.take() {
                    None => *key = Some(value),
                    Some(name) => field(fields, merged, &name, value)?,
                }
            }
        }
    }
    document.ok_or_else(|| Fault::call("there is no document"))
}

fn field(fields: &mut Fields, merged: &mut Vec<Value>, name: &Value, value: Value) -> Result<(), Fault> {
    if name.as_text().is_some_and(|name| name.as_ref() == "<<") {
        match (value.fields().is_some(), value.elements()) {
            (true, _) => merged.push(value),
            (_, Some(elements)) => merged.extend(elements.iter().cloned()),
            _ => return Err(Fault::call("only mappings can be merged")),
        }
        return Ok(());
    }
    let name = super::convert(name, &super::Type::Text).ok().filter(|name| !name.is_null());
    let name = name.as_ref().and_then(Value::as_text).ok_or_else(|| Fault::call("a key of a mapping is a text"))?;
    fields.insert(name.clone(), value);
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>) -> Outcome {
    let is_text = style != ScalarStyle::Plain || matches!(tag, Some("str" | "binary" | "timestamp"));
    if is_text && !matches!(tag, Some("int" | "float" | "bool" | "null")) {
        return Ok(Value::text(text));
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::null()),
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "y" | "Y" | "on" | "On" | "ON" => return Ok(true.into()),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "n" | "N" | "off" | "Off" | "OFF" => return Ok(false.into()),
        ".nan" | ".NaN" | ".NAN" => return Err(Fault::call("`.nan` is not a number of the language")),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let sign = if text.starts_with('-') { "-" } else { "" };
    for (prefix, base) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = unsigned.strip_prefix(prefix)
            && let Ok(number) = u128::from_str_radix(digits, base)
            && !digits.starts_with('+')
        {
            return match Number::parse(&format!("{sign}{number}")) {
                Some(number) => Ok(number?.into()),
                None => Ok(Value::text(text)),
            };
        }
    }
    if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && let Some(number) = Number::parse(text)
    {
        return Ok(number?.into());
    }
    Ok(Value::text(text))
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
        out.push_str(&quoted(name));
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

fn write_text(text: &str, indent: usize, out: &mut String) {
    let printable = text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control());
    if !text.trim_end_matches('\n').contains('\n') && !text.ends_with('\n')
        || !printable
        || text.starts_with([' ', '\n', '\t'])
    {
        out.push_str(&quoted(text));
        return;
    }
    let indent = indent.max(2);
    let body = text.trim_end_matches('\n');
    let ends = text.len() - body.len();
    out.push_str(match ends {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(line);
        }
    }
    out.push_str(&"\n".repeat(ends.max(1)));
}
