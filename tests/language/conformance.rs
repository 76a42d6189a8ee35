//! Each expression of the set has Terraform's value, type and kind of error, except for the known differences, which must
//! be real.

use larder::config::{Inputs, load};

use crate::expected::{CONTEXT, Got, compare, expressions};
use crate::kinds::kinds;

#[test]
fn expressions_have_terraforms_values() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), CONTEXT).expect("a file");
    let loaded = load(directory.path(), &Inputs::default(), kinds());
    let configuration = loaded.configuration.unwrap_or_else(|| panic!("{:#?}", loaded.problems));
    let (mut console, problems) = configuration.console(None);
    assert_eq!(problems, []);
    let expressions = expressions();
    compare(expressions.iter().map(|expected| {
        let got = match console.evaluate(&expected.expression) {
            Ok(answer) => Got::Value {
                json: answer.value.to_json_text().unwrap_or_else(|| "(unknown)".to_owned()),
                ty: answer.value.ty().to_string(),
                sensitive: answer.value.sensitive,
                hidden: serde_json::Value::Null,
            },
            Err(problems) => Got::Errors(problems.into_iter().map(|problem| problem.code).collect()),
        };
        (expected, got)
    }));
}

#[test]
fn the_documentation_names_every_function() {
    let text = include_str!("../../docs/language.md");
    let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    for name in larder::config::function_names() {
        assert!(words.contains(&name), "docs/language.md does not name {name}");
    }
}
