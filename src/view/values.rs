//! Values of outputs as people write them in HCL. A sensitive value is never shown.

use std::fmt::Write as _;

use serde_json::Value;

use crate::model::escape_line;

pub(super) const MASKED: &str = "(sensitive value)";

/// An output of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Output<'a> {
    pub name: &'a str,
    pub value: &'a Value,
    pub sensitive: bool,
}

/// A line `name = value` for each.
pub fn outputs(all: &[Output]) -> String {
    all.iter().map(|output| format!("{} = {}\n", escape_line(output.name), shown(output))).collect()
}

fn shown(output: &Output) -> String {
    match output.sensitive {
        true => MASKED.to_owned(),
        false => render(output.value),
    }
}

/// One value in HCL; objects and lists on several lines.
pub fn render(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0);
    text
}

fn write(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth + 1);
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(words) if is_heredoc(words) && depth == 0 => {
            text.push_str("<<EOT\n");
            text.push_str(words);
            text.push_str("EOT");
        }
        Value::String(words) => text.push_str(&quoted(words)),
        Value::Array(items) if items.is_empty() => text.push_str("[]"),
        Value::Array(items) => {
            text.push_str("[\n");
            for item in items {
                text.push_str(&indent);
                write(text, item, depth + 1);
                text.push_str(",\n");
            }
            text.push_str(&"  ".repeat(depth));
            text.push(']');
        }
        Value::Object(keys) if keys.is_empty() => text.push_str("{}"),
        Value::Object(keys) => {
            text.push_str("{\n");
            for (key, inside) in keys {
                text.push_str(&format!("{indent}{} = ", key_text(key)));
                write(text, inside, depth + 1);
                text.push('\n');
            }
            text.push_str(&"  ".repeat(depth));
            text.push('}');
        }
    }
}

/// A text of whole lines that a heredoc gives back as it is. Readers of HCL differ in whether `$${` is an escape in a heredoc;
/// in quotes all take it for one.
pub(super) fn is_heredoc(text: &str) -> bool {
    if text.contains("${") || text.contains("%{") {
        return false;
    }
    let is_harmless =
        |line: &str| line.trim() != "EOT" && escape_line(&line.replace('\t', "")) == line.replace('\t', "");
    text.ends_with('\n') && text.lines().count() > 1 && !text.contains('\r') && text.lines().all(is_harmless)
}

fn key_text(key: &str) -> String {
    let is_word = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_word { key.to_owned() } else { quoted(key) }
}

/// The text in quotes as HCL reads it; what a terminal would obey as an escape.
pub(super) fn quoted(words: &str) -> String {
    let mut text = String::from("\"");
    let mut buffer = [0; 4];
    let mut rest = words.chars().peekable();
    while let Some(c) = rest.next() {
        let one: &str = c.encode_utf8(&mut buffer);
        match c {
            '"' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '$' | '%' if rest.peek() == Some(&'{') => {
                text.push(c);
                text.push(c);
            }
            c if escape_line(one) == one => text.push(c),
            c if (c as u32) <= 0xffff => write!(text, "\\u{:04x}", c as u32).expect("a String takes any text"),
            c => write!(text, "\\U{:08x}", c as u32).expect("a String takes any text"),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn outputs_read_like_hcl() {
        let values = json!({
            "paths": { "nfs": "/srv/nfs", "a b": "/srv/${x}", "none": {} },
            "hosts": ["hv1", 2, null, [], [true]],
            "password": "secret",
            "script": "#!/bin/sh\necho $HOME\n",
            "template": "#!/bin/sh\necho ${HOME}\n",
            "odd": "\u{1b}[31m\u{e0001}\"\n",
        });
        let values = values.as_object().expect("an object");
        let all: Vec<_> =
            values.iter().map(|(name, value)| Output { name, value, sensitive: name == "password" }).collect();
        insta::assert_snapshot!(outputs(&all), @r##"
        paths = {
          nfs = "/srv/nfs"
          "a b" = "/srv/$${x}"
          none = {}
        }
        hosts = [
          "hv1",
          2,
          null,
          [],
          [
            true,
          ],
        ]
        password = (sensitive value)
        script = <<EOT
        #!/bin/sh
        echo $HOME
        EOT
        template = "#!/bin/sh\necho $${HOME}\n"
        odd = "\u001b[31m\U000e0001\"\n"
        "##);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ab\n\t$%{}\"\\\\]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inside| {
            prop_oneof![
                prop::collection::vec(inside.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inside, 0..4)
                    .prop_map(|keys| Value::Object(keys.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn hcl_reads_the_same_value_back(one in any_value()) {
            let text = format!("x = {}\n", render(&one));
            prop_assert_eq!(crate::model::escape(&text), text.clone());
            let body: hcl::Body = hcl::from_str(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            let read: Value = hcl::from_body(body).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            prop_assert_eq!(&read["x"], &one);
        }
    }
}
