//! Blocks and remarks as the text of a configuration, formatted as `terraform fmt` has it. Whatever a text holds, it comes out as
//! a value or a comment, never as syntax. Knows no file.

use std::fmt::Write as _;
use std::ops::Range;

use crate::kinds::kind_of;
use crate::kinds::schema::AttributeSchema;
use crate::model::block::AttributeMap;
use crate::model::{Address, Block, Datum, Key, Lifecycle, NestedBlock, Size, escape_line};

use super::values::quoted;

/// One part of a file: remarks, and below them perhaps a block.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Part {
    pub remarks: Vec<String>,
    pub block: Option<Block>,
    /// A sensitive variable, which is declared before the block and stands in it for every secret.
    pub variable: Option<String>,
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
        if let Some(name) = &part.variable {
            writeln!(text, "variable {} {{\n  type      = string\n  sensitive = true\n}}\n", quoted(name))
                .expect("a String takes any text");
        }
        if let Some(block) = &part.block {
            write_block(&mut text, block, part.variable.as_deref());
        }
        lines.push(first..text.matches('\n').count() + 1);
    }
    (text, lines)
}

fn write_block(text: &mut String, block: &Block, secret: Option<&str>) {
    let schema = kind_of(&block.address).map(|kind| kind.schema());
    writeln!(text, "{} {} {{", block.address.kind, quoted(&block.address.name)).expect("a String takes any text");
    write_attributes(text, &block.attributes, schema.map_or(&[], |schema| schema.attributes), secret, 1);
    for nested in &block.blocks {
        let known = schema.and_then(|schema| schema.blocks.iter().find(|known| known.name == nested.name));
        write_nested(text, nested, known.map_or(&[], |known| known.attributes), secret);
    }
    write_lifecycle(text, &block.lifecycle);
    text.push_str("}\n");
}

/// Attributes in the order of the schema, their signs below each other; what the schema does not know goes last.
fn write_attributes(
    text: &mut String,
    attributes: &AttributeMap,
    schema: &[AttributeSchema],
    secret: Option<&str>,
    depth: usize,
) {
    let place = |name: &str| schema.iter().position(|known| known.name == name).unwrap_or(usize::MAX);
    let is_secret = |name: &str| schema.iter().any(|known| known.name == name && known.secret);
    let value = |name: &str, value: &Datum| match secret.filter(|_| is_secret(name)) {
        Some(variable) => format!("var.{variable}"),
        None => expression(value),
    };
    let mut all: Vec<(&str, String)> =
        attributes.iter().map(|(name, one)| (name.as_ref(), value(name, &one.value))).collect();
    all.sort_by_key(|(name, _)| place(name));
    write_aligned(text, &all, depth);
}

fn write_aligned(text: &mut String, all: &[(&str, String)], depth: usize) {
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in all {
        writeln!(text, "{:indent$}{name:width$} = {value}", "", indent = 2 * depth).expect("a String takes any text");
    }
}

fn write_nested(text: &mut String, nested: &NestedBlock, schema: &[AttributeSchema], secret: Option<&str>) {
    if nested.attributes.is_empty() {
        writeln!(text, "  {} {{}}", nested.name).expect("a String takes any text");
        return;
    }
    writeln!(text, "  {} {{", nested.name).expect("a String takes any text");
    write_attributes(text, &nested.attributes, schema, secret, 2);
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
        Datum::Any(json) => any_value(json),
        Datum::Resource(address) => reference(address),
        Datum::Resources(addresses) => list(addresses.iter().map(reference)),
    }
}

fn object<'a>(fields: impl Iterator<Item = (&'a String, String)>) -> String {
    let fields: Vec<_> = fields.map(|(name, value)| format!("{} = {value}", quoted(name))).collect();
    if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
}

fn any_value(json: &serde_json::Value) -> String {
    match json {
        serde_json::Value::String(text) => quoted(text),
        serde_json::Value::Array(items) => list(items.iter().map(any_value)),
        serde_json::Value::Object(fields) => object(fields.iter().map(|(name, value)| (name, any_value(value)))),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use unicode_normalization::UnicodeNormalization;

    use super::*;
    use crate::config::{Inputs, load_with};
    use crate::discover::says;
    use crate::kinds;
    use crate::model::{Attribute, Blocks, HazardCode, Mode};

    fn attributes<const N: usize>(all: [(&'static str, Datum); N]) -> AttributeMap {
        all.into_iter().map(|(name, value)| (name.into(), Attribute::default_value(value))).collect()
    }

    fn block(kind: &str, name: &str, attributes: AttributeMap) -> Block {
        let lifecycle = Lifecycle::default();
        let address = Address::root(kind, name);
        Block { address, attributes, blocks: Vec::new(), depends_on: Default::default(), lifecycle, place: None }
    }

    fn text(text: &str) -> Datum {
        Datum::Text(text.into())
    }

    /// What a directory means that has this text for its configuration.
    fn read(written: &str) -> Result<Blocks, String> {
        let empty = tempfile::tempdir().map_err(|error| error.to_string())?;
        let loaded = load_with(empty.path(), &Inputs::default(), kinds::table(), Some(("x.hcl", written)));
        let configuration = loaded.configuration.ok_or_else(|| format!("{:#?}\n{written}", loaded.problems))?;
        let evaluated = configuration.evaluate(None);
        match evaluated.problems.is_empty() {
            true => Ok(evaluated.desired.blocks),
            false => Err(format!("{:#?}\n{written}", evaluated.problems)),
        }
    }

    /// A host, a storage, a volume and an image, with these words in them.
    fn blocks(words: &[String; 4]) -> Vec<Block> {
        let [a, b, c, d] = words;
        let labels = Datum::Any(Box::new(json!({ a.as_str(): [b, { "inside": c }], "x": d })));
        let mut volume = block(
            "external_volume",
            "v-1",
            attributes([
                ("storage", Datum::Resource(Address::root("image_storage", "main"))),
                ("mount_point", text("/srv/v")),
                ("owner", text(b)),
                ("mode", Datum::Mode(Mode::new(0o2770).expect("twelve bits"))),
                ("options", Datum::Texts(vec!["noatime".to_owned(), "x-y=${z}".to_owned()])),
            ]),
        );
        let tmpfs = attributes([("size", Datum::Size(Size(100_001)))]);
        volume.blocks.push(NestedBlock {
            name: "tmpfs".to_owned(),
            attributes: tmpfs,
            blocks: Vec::new(),
            place: None,
        });
        volume.lifecycle.ignore_changes.extend(["persist".to_owned(), "mode".to_owned()]);
        volume.lifecycle.accept.insert(HazardCode::NoAccess);
        vec![
            block("host", "null", attributes([("address", text("192.0.2.1")), ("labels", labels)])),
            block(
                "image_storage",
                "main",
                attributes([
                    ("hosts", Datum::Resources(vec![Address::root("host", "null")])),
                    ("owner", text(a)),
                    ("group", text(c)),
                ]),
            ),
            volume,
            block(
                "image",
                "for",
                attributes([
                    ("volume", Datum::Resource(Address::root("external_volume", "v-1"))),
                    ("format", text("raw")),
                    ("size", Datum::Size(Size(512))),
                    ("group", text(d)),
                ]),
            ),
        ]
    }

    #[test]
    fn blocks_are_written_as_terraform_would_format_them() {
        let words = ["lib\"virt", "${file(\"/etc/shadow\")}", "%{ for }\\", "\u{1b}[31m\n\u{202e}"].map(str::to_owned);
        let blocks = blocks(&words);
        let mut parts = vec![Part {
            remarks: vec!["one\nevil {".to_owned(), String::new(), "two".to_owned()],
            block: None,
            variable: None,
        }];
        parts.extend(blocks.into_iter().map(|block| Part { block: Some(block), ..Part::default() }));
        let (written, lines) = write(&parts);
        insta::assert_snapshot!(written, @r##"
        # one\nevil {
        #
        # two

        host "null" {
          address = "192.0.2.1"
          labels  = { "lib\"virt" = ["$${file(\"/etc/shadow\")}", { "inside" = "%%{ for }\\" }], "x" = "\u001b[31m\n\u202e" }
        }

        image_storage "main" {
          hosts = [host.null]
          owner = "lib\"virt"
          group = "%%{ for }\\"
        }

        external_volume "v-1" {
          storage     = image_storage.main
          mount_point = "/srv/v"
          owner       = "$${file(\"/etc/shadow\")}"
          mode        = "2770"
          options     = ["noatime", "x-y=$${z}"]
          tmpfs {
            size = 100001
          }
          lifecycle {
            ignore_changes = [mode, persist]
            accept         = ["no-access"]
          }
        }

        image "for" {
          volume = external_volume.v-1
          format = "raw"
          size   = 512
          group  = "\u001b[31m\n\u202e"
        }
        "##);
        for (part, lines) in parts.iter().zip(lines) {
            let first = written.lines().nth(lines.start - 1).expect("a line");
            let kind = part.block.as_ref().map_or("#", |block| &*block.address.kind);
            assert!(first.starts_with(kind), "{first:?} is no beginning of {kind}");
            assert_eq!(written.lines().nth(lines.end - 1).unwrap_or_default(), "", "a part ends before an empty line");
        }
    }

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[$%{}\"\\\\~#/*<\n\r\t ae\u{301}]{0,10}"]
    }

    /// No owner and no group is empty or has a colon.
    fn name() -> impl Strategy<Value = String> {
        word().prop_map(|word| format!("n{}", word.replace(':', ".")))
    }

    proptest! {
        #[test]
        fn whatever_a_text_holds_it_is_a_value_and_never_syntax(words in prop::array::uniform4(name()), remark in word()) {
            // A configuration has its texts in Unicode normal form C.
            let meant = blocks(&words.clone().map(|word| word.nfc().collect::<String>()));
            let part = |block| Part { remarks: vec![remark.clone()], block: Some(block), variable: None };
            let (written, _) = write(&blocks(&words).into_iter().map(part).collect::<Vec<_>>());
            prop_assert_eq!(crate::model::escape(&written), written.clone());
            let formatted = crate::config::format("x.hcl", written.clone().into_bytes());
            prop_assert_eq!(formatted.map_err(|why| TestCaseError::fail(format!("{why:?}")))?, written.clone());
            let read = read(&written).map_err(TestCaseError::fail)?;
            prop_assert_eq!(read.len(), meant.len());
            for block in meant {
                prop_assert!(says(&read[&block.address], &block), "{}", written);
            }
        }
    }

    #[test]
    fn a_name_in_another_normal_form_is_seen_to_come_back_changed() {
        let words = ["e\u{301}"; 4].map(str::to_owned);
        let written = write(
            &blocks(&words).into_iter().map(|block| Part { block: Some(block), ..Part::default() }).collect::<Vec<_>>(),
        )
        .0;
        let read = read(&written).expect("a configuration");
        assert!(blocks(&words).iter().all(|block| !says(&read[&block.address], block)));
    }
}
