//! `docs/reference.md` says of each kind what its schema says: it is written from the schemas, and compared with them here.
//! `LARDER_WRITE_REFERENCE=1 cargo test --test reference` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use larder::kinds;
use larder::kinds::schema::{AttributeSchema, Type};

const HEAD: &str = "# Attributes of each kind

Written from the schemas in `src/kinds` by `LARDER_WRITE_REFERENCE=1 cargo test --test reference`; do not edit it by hand.

Every kind also takes `count` or `for_each`, `depends_on` and `lifecycle`; [language.md](language.md) has these and how sizes,
modes, durations and resources are written.
";

fn type_name(ty: Type) -> String {
    let kinds = |names: &[&str]| names.join(" or ");
    match ty {
        Type::Text => "text".into(),
        Type::Path => "absolute path on the host".into(),
        Type::File => "path on the workstation".into(),
        Type::Bool => "bool".into(),
        Type::Integer => "whole number".into(),
        Type::Size => "size".into(),
        Type::Mode => "mode".into(),
        Type::Duration => "duration".into(),
        Type::Texts => "list of texts".into(),
        Type::TextMap => "map of texts".into(),
        Type::IntegerMap => "map of whole numbers".into(),
        Type::Any => "any".into(),
        Type::Resource(names) => kinds(names),
        Type::Resources(names) => format!("list of {}", kinds(names)),
    }
}

fn table(text: &mut String, attributes: &[AttributeSchema]) {
    if attributes.is_empty() {
        text.push_str("\nIt has no attributes.\n");
        return;
    }
    text.push_str("\n| attribute | type | |\n|---|---|---|\n");
    for attribute in attributes {
        let mut notes = Vec::new();
        if attribute.required {
            notes.push("Required.".to_owned());
        }
        notes.push(attribute.doc.to_owned());
        if !attribute.one_of.is_empty() {
            let words: Vec<_> = attribute.one_of.iter().map(|word| format!("`{word}`")).collect();
            notes.push(format!("One of {}.", words.join(", ")));
        }
        if attribute.secret {
            notes.push("A secret: never shown, never stored.".to_owned());
        }
        let notes = notes.join(" ").replace('|', "\\|");
        writeln!(text, "| `{}` | {} | {notes} |", attribute.name, type_name(attribute.ty))
            .expect("a String takes text");
    }
}

fn reference() -> String {
    let mut text = HEAD.to_owned();
    for kind in kinds::table() {
        let schema = kind.schema();
        write!(text, "\n## {}\n\n{}\n", kind.name(), schema.doc).expect("a String takes text");
        table(&mut text, schema.attributes);
        for block in schema.blocks {
            let many = if block.many { " It may stand several times." } else { "" };
            write!(text, "\n### {} {{ {} }}\n\n{}{many}\n", kind.name(), block.name, block.doc)
                .expect("a String takes text");
            table(&mut text, block.attributes);
        }
    }
    text
}

#[test]
fn the_reference_is_what_the_schemas_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    let text = reference();
    if std::env::var_os("LARDER_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, &text).expect("docs/reference.md can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "docs/reference.md is out of date: LARDER_WRITE_REFERENCE=1 cargo test --test reference");
}

#[test]
fn the_first_configuration_of_the_readme_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let block = readme.split("```hcl\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of HCL");
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), block).expect("written");
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_larder"))
        .arg("validate")
        .current_dir(directory.path())
        .output()
        .expect("larder runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
