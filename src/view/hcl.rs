//! Blocks and remarks as the text of a configuration, formatted as `terraform fmt` has it. Whatever a text holds, it comes out as
//! a value or a comment, never as syntax. Knows no file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use crate::kinds::kind_of;
use crate::kinds::schema::AttributeSchema;
use crate::model::{Address, Attribute, Block, Datum, Key, Lifecycle, NestedBlock, Size, escape_line};

use super::values::quoted;

/// One part of a file: remarks, and below them perhaps a block.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Part {
    pub remarks: Vec<String>,
    pub block: Option<Block>,
}

/// The text of a file, and for each part the lines that it stands on, counted from 1.
pub fn write(parts: &[Part]) -> (String, Vec<Range<usize>>) {
    let mut text = String::new();
    let mut lines = Vec::new();
    for part in parts {
        if !text.is_empty() {
            text.push('\n');
        }
        let first = text.matches('\n').count() + 1;
        for remark in &part.remarks {
            let line = format!("# {}", escape_line(remark));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        if let Some(block) = &part.block {
            write_block(&mut text, block);
        }
        lines.push(first..text.matches('\n').count() + 1);
    }
    (text, lines)
}

fn write_block(text: &mut String, block: &Block) {
    let schema = kind_of(&block.address).map(|kind| kind.schema());
    writeln!(text, "{} {} {{", block.address.kind, quoted(&block.address.name)).expect("a String takes any text");
    write_attributes(text, &block.attributes, schema.map_or(&[], |schema| schema.attributes), 1);
    for nested in &block.blocks {
        let known = schema.and_then(|schema| schema.blocks.iter().find(|known| known.name == nested.name));
        write_nested(text, nested, known.map_or(&[], |known| known.attributes));
    }
    write_lifecycle(text, &block.lifecycle);
    text.push_str("}\n");
}

/// Attributes in the order of the schema, their signs below each other; what the schema does not know goes last.
fn write_attributes(
    text: &mut String,
    attributes: &BTreeMap<String, Attribute>,
    schema: &[AttributeSchema],
    depth: usize,
) {
    let place = |name: &str| schema.iter().position(|known| known.name == name).unwrap_or(usize::MAX);
    let mut all: Vec<(&str, String)> =
        attributes.iter().map(|(name, one)| (name.as_str(), expression(&one.value))).collect();
    all.sort_by_key(|(name, _)| place(name));
    write_aligned(text, &all, depth);
}

fn write_aligned(text: &mut String, all: &[(&str, String)], depth: usize) {
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in all {
        writeln!(text, "{:indent$}{name:width$} = {value}", "", indent = 2 * depth).expect("a String takes any text");
    }
}

fn write_nested(text: &mut String, nested: &NestedBlock, schema: &[AttributeSchema]) {
    if nested.attributes.is_empty() {
        writeln!(text, "  {} {{}}", nested.name).expect("a String takes any text");
        return;
    }
    writeln!(text, "  {} {{", nested.name).expect("a String takes any text");
    write_attributes(text, &nested.attributes, schema, 2);
    text.push_str("  }\n");
}

fn write_lifecycle(text: &mut String, lifecycle: &Lifecycle) {
    let mut all = Vec::new();
    if lifecycle.prevent_destroy {
        all.push(("prevent_destroy", "true".to_owned()));
    }
    if !lifecycle.ignore_changes.is_empty() {
        all.push(("ignore_changes", list(lifecycle.ignore_changes.iter().cloned())));
    }
    if !lifecycle.accept.is_empty() {
        all.push(("accept", list(lifecycle.accept.iter().map(|code| quoted(code.as_str())))));
    }
    if all.is_empty() {
        return;
    }
    text.push_str("  lifecycle {\n");
    write_aligned(text, &all, 2);
    text.push_str("  }\n");
}

fn list(elements: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", elements.into_iter().collect::<Vec<_>>().join(", "))
}

/// A value as an expression on one line.
fn expression(value: &Datum) -> String {
    match value {
        Datum::Unknown => "null".to_owned(),
        Datum::Text(text) => quoted(text),
        Datum::Bool(value) => value.to_string(),
        Datum::Integer(number) => number.to_string(),
        // A size in bytes has no unit, and then it is a number.
        Datum::Size(Size(bytes)) if !bytes.is_multiple_of(1024) => bytes.to_string(),
        Datum::Size(size) => quoted(&size.to_string()),
        Datum::Mode(mode) => quoted(&mode.to_string()),
        Datum::Duration(milliseconds) => quoted(&format!("{milliseconds}ms")),
        Datum::Texts(texts) => list(texts.iter().map(|text| quoted(text))),
        Datum::TextMap(map) => object(map.iter().map(|(name, text)| (name, quoted(text)))),
        Datum::IntegerMap(map) => object(map.iter().map(|(name, number)| (name, number.to_string()))),
        Datum::Any(json) => any(json),
        Datum::Resource(address) => reference(address),
        Datum::Resources(addresses) => list(addresses.iter().map(reference)),
    }
}

fn object<'a>(fields: impl Iterator<Item = (&'a String, String)>) -> String {
    let fields: Vec<_> = fields.map(|(name, value)| format!("{} = {value}", quoted(name))).collect();
    if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
}

fn any(json: &serde_json::Value) -> String {
    match json {
        serde_json::Value::String(text) => quoted(text),
        serde_json::Value::Array(items) => list(items.iter().map(any)),
        serde_json::Value::Object(fields) => object(fields.iter().map(|(name, value)| (name, any(value)))),
        other => other.to_string(),
    }
}

/// `host.hv1`, `host.hv["a"]`.
fn reference(address: &Address) -> String {
    let modules: String =
        address.module.iter().map(|step| format!("module.{}{}.", step.name, key(&step.key))).collect();
    format!("{modules}{}.{}{}", address.kind, address.name, key(&address.key))
}

fn key(key: &Option<Key>) -> String {
    match key {
        None => String::new(),
        Some(Key::Index(index)) => format!("[{index}]"),
        Some(Key::Text(text)) => format!("[{}]", quoted(text)),
    }
}
