//! Holds JSON against a JSON Schema, as far as the published schemas go, for the tests that keep both alike.

use serde_json::{Map, Value};

/// Words of a schema that say nothing about values.
const REMARKS: &[&str] = &["$schema", "$id", "$defs", "title", "description", "format", "pattern"];
const RULES: &[&str] =
    &["$ref", "type", "enum", "const", "required", "properties", "additionalProperties", "items", "minimum", "anyOf"];

/// What is not as the schema says.
pub(super) fn violations(schema: &str, value: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(schema).expect("a schema is JSON");
    let mut found = Vec::new();
    check(&schema, &schema, value, "$", &mut found);
    found
}

/// Words of a schema that this check would pass over.
pub(super) fn violations_of(schema: &Value) -> Vec<String> {
    let Value::Object(rules) = schema else { return Vec::new() };
    let mut found: Vec<_> = rules
        .keys()
        .filter(|word| !REMARKS.contains(&word.as_str()) && !RULES.contains(&word.as_str()))
        .cloned()
        .collect();
    for word in ["properties", "$defs"] {
        let inside = rules.get(word).and_then(Value::as_object).into_iter().flat_map(Map::values);
        found.extend(inside.flat_map(violations_of));
    }
    for word in ["items", "additionalProperties"] {
        found.extend(rules.get(word).into_iter().flat_map(violations_of));
    }
    found.extend(rules.get("anyOf").and_then(Value::as_array).into_iter().flatten().flat_map(violations_of));
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let rules = match schema {
        Value::Bool(true) => return,
        Value::Object(rules) => rules,
        _ => return found.push(format!("{at} is not expected")),
    };
    if let Some(reference) = rules.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        check(root, target.expect("a reference leads somewhere"), value, at, found);
    }
    if let Some(forms) = rules.get("anyOf").and_then(Value::as_array) {
        let fits = |form: &Value| {
            let mut inside = Vec::new();
            check(root, form, value, at, &mut inside);
            inside.is_empty()
        };
        if !forms.iter().any(fits) {
            return found.push(format!("{at}: fits none of its forms"));
        }
    }
    let types: Vec<&str> = match rules.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        one => one.and_then(Value::as_str).into_iter().collect(),
    };
    if !types.is_empty() && !types.iter().any(|one| has_type(value, one)) {
        return found.push(format!("{at}: a {}, not {}", type_of(value), types.join(" or ")));
    }
    if rules.get("enum").and_then(Value::as_array).is_some_and(|values| !values.contains(value))
        || rules.get("const").is_some_and(|only| only != value)
    {
        found.push(format!("{at}: {value} is none of its values"));
    }
    if let (Some(minimum), Some(number)) = (rules.get("minimum").and_then(Value::as_f64), value.as_f64())
        && number < minimum
    {
        found.push(format!("{at}: {number} is less than {minimum}"));
    }
    if let Value::Array(items) = value
        && let Some(rule) = rules.get("items")
    {
        items.iter().enumerate().for_each(|(index, item)| check(root, rule, item, &format!("{at}[{index}]"), found));
    }
    if let Value::Object(keys) = value {
        let required = rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        found.extend(required.filter(|key| !keys.contains_key(*key)).map(|key| format!("{at}: {key} is missing")));
        for (key, inside) in keys {
            let inside_at = format!("{at}.{key}");
            match (rules.get("properties").and_then(|known| known.get(key)), rules.get("additionalProperties")) {
                (Some(rule), _) => check(root, rule, inside, &inside_at, found),
                (None, Some(Value::Bool(false))) => found.push(format!("{at}: {key} is not expected")),
                (None, Some(rule)) => check(root, rule, inside, &inside_at, found),
                (None, None) => {}
            }
        }
    }
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        name => type_of(value) == name,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
