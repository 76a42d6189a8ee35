//! Values as the console shows them: for people in the style of Terraform's console, for machines as one line of JSON. What
//! is sensitive is masked in both; what hosts were not asked for is said to be unknown.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::config::{Answer, Data, Number, Type, Value};
use crate::model::{Problem, Problems, escape_line};

use super::values::{is_heredoc, quoted};

/// The most parts of a value that is written as JSON. An image holds its volume, that one its storage, and that one its
/// hosts, so a map of all images is far larger in full than in memory.
const MOST_PARTS: usize = 2_000_000;

/// The value for people.
pub fn text(answer: &Answer) -> String {
    if let (true, false, Some(ty)) = (answer.is_type, answer.value.sensitive, answer.value.as_text()) {
        return escape_line(ty);
    }
    let mut text = String::new();
    write(&mut text, &answer.value, 0, false);
    text
}

/// `within` a resource, others are shown by their address: it can be typed to see more.
fn write(text: &mut String, value: &Value, depth: usize, within: bool) {
    if value.sensitive {
        return text.push_str("(sensitive value)");
    }
    match &value.data {
        Data::Null(ty) => text.push_str(&null(ty)),
        Data::Unknown(_) => text.push_str("(known after hosts are asked)"),
        Data::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Data::Number(number) => text.push_str(&number_text(number)),
        Data::Text(words) if depth == 0 && is_heredoc(words) => {
            let _ = write!(text, "<<EOT\n{words}EOT");
        }
        Data::Text(words) => text.push_str(&quoted(words)),
        Data::List(_, elements) => row(text, ("tolist([", "])"), elements, depth, within),
        Data::Set(_, elements) => row(text, ("toset([", "])"), elements, depth, within),
        Data::Tuple(elements) => row(text, ("[", "]"), elements, depth, within),
        Data::Map(_, fields) => lines(text, ("tomap({", "})"), fields.as_ref(), depth, within),
        Data::Object(object) => match &object.identity {
            Some(address) if within => text.push_str(&escape_line(&address.to_string())),
            identity => lines(text, ("{", "}"), &object.fields, depth, within || identity.is_some()),
        },
    }
}

fn row(text: &mut String, (open, close): (&str, &str), elements: &[Value], depth: usize, within: bool) {
    text.push_str(open);
    for element in elements {
        indent(text, depth + 1);
        write(text, element, depth + 1, within);
        text.push(',');
    }
    if !elements.is_empty() {
        indent(text, depth);
    }
    text.push_str(close);
}

fn lines<'v, K: AsRef<str> + 'v>(
    text: &mut String,
    (open, close): (&str, &str),
    fields: impl IntoIterator<Item = (&'v K, &'v Value)>,
    depth: usize,
    within: bool,
) {
    text.push_str(open);
    let empty = text.len();
    for (name, value) in fields {
        indent(text, depth + 1);
        let _ = write!(text, "{} = ", quoted(name.as_ref()));
        write(text, value, depth + 1, within);
    }
    if text.len() > empty {
        indent(text, depth);
    }
    text.push_str(close);
}

fn indent(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

fn number_text(number: &Number) -> String {
    match (number.is_infinite(), number.is_negative()) {
        (true, true) => "-Inf".to_owned(),
        (true, false) => "+Inf".to_owned(),
        (false, _) => number.to_string(),
    }
}

/// A null with its type, as far as a conversion can say it.
fn null(ty: &Type) -> String {
    match ty {
        Type::Any => "null".to_owned(),
        Type::Bool => "tobool(null)".to_owned(),
        Type::Number => "tonumber(null)".to_owned(),
        Type::Text => "tostring(null)".to_owned(),
        Type::List(inner) => format!("tolist(null) /* of {inner} */"),
        Type::Set(inner) => format!("toset(null) /* of {inner} */"),
        Type::Map(inner) => format!("tomap(null) /* of {inner} */"),
        other => format!("null /* {} */", other.words()),
    }
}

/// The value as one line: `{"value": ..., "type": ...}`. Where all of it is sensitive or unknown, `value` is null, and
/// `sensitive` or `unknown` is true. Where parts are, those are null, and `sensitive` or `unknown` says in the shape of the
/// value which ones.
///
/// # Errors
/// JSON has no infinite numbers, and a value can be too large.
pub fn json(value: &Value) -> Result<String, Problem> {
    let mut line = String::from("{\"value\":");
    let mut parts = MOST_PARTS;
    write_json(&mut line, value, &mut parts)?;
    let _ = write!(line, ",\"type\":{}", Json::from(value.ty().to_string()));
    let sensitive = marks(value, &|value| value.sensitive, Value::is_sensitive_anywhere);
    let unknown = marks(value, &|value| value.is_unknown() && !value.sensitive, Value::has_unknown_within);
    for (name, marks) in [("sensitive", sensitive), ("unknown", unknown)] {
        if !matches!(&marks, Json::Bool(false)) {
            let _ = write!(line, ",\"{name}\":{marks}");
        }
    }
    line.push('}');
    Ok(line)
}

fn write_json(line: &mut String, value: &Value, parts: &mut usize) -> Result<(), Problem> {
    *parts = parts.checked_sub(1).ok_or_else(|| {
        let detail = format!("It has more than {MOST_PARTS} parts. Ask for a part of it.");
        Problem::error("too-complex", "This value is too large to be shown", detail)
    })?;
    if value.sensitive {
        line.push_str("null");
        return Ok(());
    }
    match &value.data {
        Data::Null(_) | Data::Unknown(_) => line.push_str("null"),
        Data::Bool(value) => line.push_str(if *value { "true" } else { "false" }),
        Data::Number(number) if number.is_infinite() => {
            let detail =
                "JSON has no such number. A division by zero makes it, or a function whose result is too large.";
            return Err(Problem::error("infinite-number", "The value is an infinite number", detail));
        }
        // With all its digits, which a number of the JSON library would not hold.
        Data::Number(number) => line.push_str(&number.to_string()),
        Data::Text(words) => line.push_str(&Json::from(words.as_ref()).to_string()),
        Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => {
            line.push('[');
            for (index, element) in elements.iter().enumerate() {
                line.push_str(if index == 0 { "" } else { "," });
                write_json(line, element, parts)?;
            }
            line.push(']');
        }
        Data::Map(..) | Data::Object(_) => {
            line.push('{');
            for (index, (name, value)) in value.fields().into_iter().flatten().enumerate() {
                line.push_str(if index == 0 { "" } else { "," });
                line.push_str(&Json::from(name.as_ref()).to_string());
                line.push(':');
                write_json(line, value, parts)?;
            }
            line.push('}');
        }
    }
    Ok(())
}

/// `true` where the value `is`, `false` where no part is, else the shape of the value with the parts that are.
fn marks(value: &Value, is: &dyn Fn(&Value) -> bool, within: fn(&Value) -> bool) -> Json {
    if is(value) {
        return true.into();
    }
    if value.sensitive || !within(value) {
        return false.into();
    }
    let is_any = |mark: &Json| *mark != Json::Bool(false);
    if let Some(elements) = value.elements() {
        let parts: Vec<_> = elements.iter().map(|element| marks(element, is, within)).collect();
        return if parts.iter().any(is_any) { parts.into() } else { false.into() };
    }
    let parts = value.fields().into_iter().flatten().map(|(name, value)| (name.to_string(), marks(value, is, within)));
    let parts: serde_json::Map<_, _> = parts.filter(|(_, mark)| is_any(mark)).collect();
    if parts.is_empty() { false.into() } else { parts.into() }
}

/// What is wrong with an expression, as one line: the first problem, and all of them as other commands print them.
pub fn error(problems: &Problems) -> String {
    json!({ "error": problems.first(), "diagnostics": problems }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, load};

    fn answer(expression: &str) -> Answer {
        let nothing = tempfile::tempdir().expect("a directory");
        let loaded = load(nothing.path(), &Inputs::default(), crate::kinds::table());
        let configuration = loaded.configuration.expect("one that declares nothing");
        configuration
            .console(None)
            .0
            .evaluate(expression)
            .unwrap_or_else(|problems| panic!("{expression}: {problems:?}"))
    }

    #[test]
    fn values_look_as_in_terraforms_console() {
        let table = [
            ("1 + 1", "2"),
            ("1 / 4", "0.25"),
            ("-1/0", "-Inf"),
            ("\"x\"", "\"x\""),
            ("\"tab\\t quote\\\" $${x}\"", "\"tab\\t quote\\\" $${x}\""),
            ("\"\\u001b[31m\\u202e\"", "\"\\u001b[31m\\u202e\""),
            ("\"a\\nb\\n\"", "<<EOT\na\nb\nEOT"),
            ("\"a\\nb\"", "\"a\\nb\""),
            ("null", "null"),
            ("tostring(null)", "tostring(null)"),
            ("tolist(null)", "tolist(null) /* of dynamic */"),
            ("[]", "[]"),
            ("{}", "{}"),
            ("tomap({})", "tomap({})"),
            ("toset([\"b\", \"a\"])", "toset([\n  \"a\",\n  \"b\",\n])"),
            (
                "{ a = [1, { b = tolist([true]) }], \"c d\" = \"x\\n\" }",
                "{\n  \"a\" = [\n    1,\n    {\n      \"b\" = tolist([\n        true,\n      ])\n    },\n  ]\n  \"c d\" = \"x\\n\"\n}",
            ),
            ("sensitive(1)", "(sensitive value)"),
            ("[sensitive(\"x\")]", "[\n  (sensitive value),\n]"),
            ("type([1])", "tuple([number])"),
            ("(type(1))", "number"),
            ("[type(1)]", "[\n  \"number\",\n]"),
            ("type(sensitive(1))", "number"),
        ];
        for (expression, expected) in table {
            assert_eq!(text(&answer(expression)), expected, "{expression}");
        }
    }

    #[test]
    fn machines_get_one_line_with_every_digit_and_no_secret() {
        let table = [
            ("\"a\\nb\"", r#"{"value":"a\nb","type":"string"}"#),
            ("pow(2, 70) / 3 * 3 + 0.5", r#"{"value":1180591620717411303424.5,"type":"number"}"#),
            ("[1, null, \"x\"]", r#"{"value":[1,null,"x"],"type":"tuple([number, dynamic, string])"}"#),
            ("sensitive({ a = 1 })", r#"{"value":null,"type":"object({a: number})","sensitive":true}"#),
            (
                "{ a = sensitive(1), b = [2, sensitive(\"x\")], c = 3 }",
                r#"{"value":{"a":null,"b":[2,null],"c":3},"type":"object({a: number, b: tuple([number, string]), c: number})","sensitive":{"a":true,"b":[false,true]}}"#,
            ),
        ];
        for (expression, expected) in table {
            assert_eq!(json(&answer(expression).value).expect("it fits"), expected, "{expression}");
        }
        let unknown = Value::tuple(vec![Value::from(true), Value::unknown_of(Type::Number)]);
        assert_eq!(
            json(&unknown).expect("it fits"),
            r#"{"value":[true,null],"type":"tuple([bool, number])","unknown":[false,true]}"#
        );
        assert_eq!(
            json(&Value::unknown_of(Type::Text)).expect("it fits"),
            r#"{"value":null,"type":"string","unknown":true}"#
        );
        assert_eq!(
            json(&Value::tuple(vec![Value::unknown().marked(true)])).expect("it fits"),
            r#"{"value":[null],"type":"tuple([dynamic])","sensitive":[true]}"#
        );
        assert_eq!(json(&answer("[1/0]").value).expect_err("no JSON").code, "infinite-number");
    }

    #[test]
    fn a_value_that_is_far_larger_in_full_is_refused() {
        let mut value = Value::tuple(vec![Value::from(true); 10]);
        for _ in 0..8 {
            value = Value::tuple(vec![value; 10]);
        }
        assert_eq!(json(&value).expect_err("too large").code, "too-complex");
    }
}
