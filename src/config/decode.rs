//! Values to the typed attributes of the model and back: `"40GiB"` to a size, `770` to a mode, an object to the address
//! of its resource.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::convert::{convert, with_article};
use super::eval::sentence;
use super::number::Number;
use super::types::Type;
use super::value::{Data, Fields, Value};
use crate::kinds::schema::{AttributeSchema, Type as Wanted};
use crate::model::{Address, Datum, Mode, Size};

/// Why a value does not fit an attribute: code, summary, and detail with the cure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unfit {
    pub code: &'static str,
    pub summary: String,
    pub detail: String,
    /// The element of a list that is the reason.
    pub element: Option<usize>,
}

fn unfit(code: &'static str, summary: impl Into<String>, detail: impl Into<String>) -> Unfit {
    Unfit { code, summary: summary.into(), detail: detail.into(), element: None }
}

/// The value in the type of the attribute; `None` for null, which is absence.
pub(super) fn datum(schema: &AttributeSchema, value: &Value) -> Result<Option<Datum>, Unfit> {
    if value.is_null() {
        return Ok(None);
    }
    let sensitive = schema.secret || value.is_sensitive_anywhere();
    let decoded =
        decode(schema, &value.without_marks()).map_err(|unfit| match sensitive && !unfit.detail.is_empty() {
            // What is wrong with a text mostly quotes the text.
            true => Unfit {
                summary: format!("`{}` cannot be this", schema.name),
                detail: format!("{} More cannot be said: the value is sensitive.", wanted(schema)),
                ..unfit
            },
            false => unfit,
        })?;
    Ok(Some(decoded))
}

fn decode(schema: &AttributeSchema, value: &Value) -> Result<Datum, Unfit> {
    let ty = match schema.ty {
        Wanted::Text | Wanted::Path | Wanted::File => Type::Text,
        Wanted::Bool => Type::Bool,
        Wanted::Integer => Type::Number,
        Wanted::Texts => Type::list(Type::Text),
        Wanted::TextMap => Type::map(Type::Text),
        Wanted::IntegerMap => Type::map(Type::Number),
        Wanted::Size | Wanted::Mode | Wanted::Duration => match value.ty() {
            Type::Number => Type::Number,
            _ => Type::Text,
        },
        Wanted::Any => Type::Any,
        Wanted::Resource(kinds) => return resource(kinds, value),
        Wanted::Resources(kinds) => return resources(kinds, value),
    };
    let converted = convert(value, &ty).map_err(|misfit| wrong_type(schema, value, &misfit.to_string()))?;
    if converted.has_unknown_within() {
        return Ok(Datum::Unknown);
    }
    Ok(match (schema.ty, &converted.data) {
        (Wanted::Text, Data::Text(text)) => Datum::Text(one_of(schema, text)?),
        (Wanted::Path, Data::Text(text)) => Datum::Text(path(text)?),
        (Wanted::File, Data::Text(text)) => Datum::Text(file(text)?),
        (Wanted::Bool, Data::Bool(value)) => Datum::Bool(*value),
        (Wanted::Integer, Data::Number(number)) => Datum::Integer(integer(number)?),
        (Wanted::Size, Data::Number(number)) => Datum::Size(size_of_number(number)?),
        (Wanted::Size, Data::Text(text)) => {
            let size = text.parse::<Size>();
            Datum::Size(
                size.map_err(|error| unfit("invalid-size", "This is not a size", sentence(&format!("{error}."))))?,
            )
        }
        (Wanted::Mode, Data::Number(number)) => Datum::Mode(mode(&format!("{:0>4}", number.to_string()))?),
        (Wanted::Mode, Data::Text(text)) => Datum::Mode(mode(text)?),
        (Wanted::Duration, Data::Text(text)) => Datum::Duration(duration(text)?),
        (Wanted::Duration, _) => {
            let detail = format!("A number says no unit. {}", shape(Wanted::Duration));
            return Err(unfit("invalid-duration", "This duration has no unit", detail));
        }
        (Wanted::Texts, Data::List(_, elements)) => {
            let texts = elements.iter().map(|element| element.as_text().map(|text| text.to_string()));
            let null = || Unfit { element: elements.iter().position(Value::is_null), ..null_inside(schema) };
            Datum::Texts(texts.collect::<Option<_>>().ok_or_else(null)?)
        }
        (Wanted::TextMap, Data::Map(_, fields)) => {
            let texts = fields.iter().map(|(name, value)| Some((name.to_string(), value.as_text()?.to_string())));
            Datum::TextMap(texts.collect::<Option<_>>().ok_or_else(|| null_inside(schema))?)
        }
        (Wanted::IntegerMap, Data::Map(_, fields)) => {
            let mut numbers = BTreeMap::new();
            for (name, value) in fields.iter() {
                let number = value.as_number().ok_or_else(|| null_inside(schema))?;
                numbers.insert(name.to_string(), integer(number)?);
            }
            Datum::IntegerMap(numbers)
        }
        (Wanted::Any, _) if converted.has_infinite() => {
            return Err(wrong_type(schema, value, "an infinite number cannot be written"));
        }
        (Wanted::Any, _) => match converted.to_json() {
            Some(json) => Datum::Any(Box::new(json)),
            None => Datum::Unknown,
        },
        _ => return Err(wrong_type(schema, value, "it does not fit")),
    })
}

/// What the type looks like, as one sentence.
fn shape(ty: Wanted) -> String {
    let text = match ty {
        Wanted::Text => "A text is required, like `\"name\"`.",
        Wanted::Path => "An absolute path on the host is required, like `\"/srv/images\"`.",
        Wanted::File => "A path on this machine is required, like `\"images/debian.qcow2\"`.",
        Wanted::Bool => "`true` or `false` is required.",
        Wanted::Integer => "A whole number is required.",
        Wanted::Size => "A size is required: `\"40GiB\"`, `\"40G\"`, `\"40GB\"` (1000-based) or a number of bytes.",
        Wanted::Mode => "A mode is required: the octal digits of chmod(1), like `\"0770\"`.",
        Wanted::Duration => "A duration is required: `\"500ms\"`, `\"10s\"`, `\"5m\"`, `\"1h30m\"`.",
        Wanted::Texts => "A list of texts is required, like `[\"a\", \"b\"]`.",
        Wanted::TextMap => "A map of texts is required, like `{ name = \"value\" }`.",
        Wanted::IntegerMap => "A map of whole numbers is required, like `{ name = 1 }`.",
        Wanted::Any => "Any value will do.",
        Wanted::Resource(kinds) => return format!("A resource is required: {}.", examples(kinds)),
        Wanted::Resources(kinds) => return format!("A list of resources is required, like `[{}]`.", first(kinds)),
    };
    text.to_owned()
}

fn first(kinds: &[&str]) -> String {
    format!("{}.NAME", kinds.first().copied().unwrap_or("KIND"))
}

fn examples(kinds: &[&str]) -> String {
    kinds.iter().map(|kind| format!("`{kind}.NAME`")).collect::<Vec<_>>().join(" or ")
}

fn wrong_type(schema: &AttributeSchema, value: &Value, why: &str) -> Unfit {
    let given = with_article(&value.ty());
    // The shape says what is required, and more of it.
    let detail = match why.ends_with("is required") && !why.starts_with("at ") {
        true => format!("It is {given}. {}", shape(schema.ty)),
        false => format!("It is {given}: {why}. {}", shape(schema.ty)),
    };
    unfit("wrong-type", format!("`{}` cannot be this", schema.name), detail)
}

fn null_inside(schema: &AttributeSchema) -> Unfit {
    let detail = format!("An element is null. {}", shape(schema.ty));
    unfit("wrong-type", format!("`{}` cannot hold null", schema.name), detail)
}

fn one_of(schema: &AttributeSchema, text: &Arc<str>) -> Result<Arc<str>, Unfit> {
    if schema.one_of.is_empty() || schema.one_of.contains(&text.as_ref()) {
        return Ok(text.clone());
    }
    let close = crate::model::problem::did_you_mean(text, schema.one_of.iter().copied());
    let advice = close.map_or(String::new(), |close| format!(" Did you mean \"{close}\"?"));
    let summary = format!("`{}` cannot be {}", schema.name, serde_json::Value::from(text.as_ref()));
    Err(unfit("invalid-value", summary, format!("{}{advice}", wanted(schema))))
}

/// What the attribute takes, as one sentence.
fn wanted(schema: &AttributeSchema) -> String {
    if schema.one_of.is_empty() {
        return shape(schema.ty);
    }
    let allowed = schema.one_of.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ");
    format!("It is one of {allowed}.")
}

/// What to write where the attribute is missing, and what it is.
pub(super) fn missing(schema: &AttributeSchema) -> String {
    let one_of = schema.one_of.first().map(|text| format!("\"{text}\""));
    let example = one_of.unwrap_or_else(|| match schema.ty {
        Wanted::Text => "\"...\"".to_owned(),
        Wanted::Path => "\"/srv/images\"".to_owned(),
        Wanted::File => "\"images/debian.qcow2\"".to_owned(),
        Wanted::Bool => "true".to_owned(),
        Wanted::Integer => "1".to_owned(),
        Wanted::Size => "\"40GiB\"".to_owned(),
        Wanted::Mode => "\"0770\"".to_owned(),
        Wanted::Duration => "\"10s\"".to_owned(),
        Wanted::Texts => "[\"...\"]".to_owned(),
        Wanted::TextMap => "{ name = \"...\" }".to_owned(),
        Wanted::IntegerMap => "{ name = 1 }".to_owned(),
        Wanted::Any => "...".to_owned(),
        Wanted::Resource(kinds) => first(kinds),
        Wanted::Resources(kinds) => format!("[{}]", first(kinds)),
    });
    let allowed = match schema.one_of {
        [] => String::new(),
        _ => format!(" {}", wanted(schema)),
    };
    format!("Add `{} = {example}`. {}{allowed}", schema.name, schema.doc)
}

/// An absolute path without `.`, doubled or trailing slashes.
fn path(text: &Arc<str>) -> Result<Arc<str>, Unfit> {
    const CODE: &str = "invalid-path";
    if text.chars().any(char::is_control) {
        return Err(unfit(CODE, "This path holds a control character", "A path is one line of printable text."));
    }
    if !text.starts_with('/') {
        let detail = "A path on a host is absolute: it begins with `/`.";
        return Err(unfit(CODE, "This path is not absolute", detail));
    }
    let mut normal = String::new();
    for step in text.split('/').filter(|step| !step.is_empty() && *step != ".") {
        if step == ".." {
            let detail = "`..` means something else where a step is a symbolic link. Write the path that is meant.";
            return Err(unfit(CODE, "This path goes upwards", detail));
        }
        normal.push('/');
        normal.push_str(step);
    }
    Ok(match normal.as_str() {
        "" => Arc::from("/"),
        _ if normal == **text => text.clone(),
        _ => Arc::from(normal),
    })
}

fn file(text: &Arc<str>) -> Result<Arc<str>, Unfit> {
    match text.is_empty() || text.contains('\0') {
        true => Err(unfit("invalid-path", "This is not a path", shape(Wanted::File))),
        false => Ok(text.clone()),
    }
}

fn integer(number: &Number) -> Result<i64, Unfit> {
    number.to_i64().ok_or_else(|| {
        let detail = format!("{} {}", shape(Wanted::Integer), "It has to fit 64 bits.");
        unfit("wrong-type", "This is not a whole number", detail)
    })
}

fn size_of_number(number: &Number) -> Result<Size, Unfit> {
    number.to_u64().map(Size).ok_or_else(|| {
        let detail = match (number.is_negative(), number.is_whole()) {
            (true, _) => "It is negative; a size is a number of bytes from 0.",
            (_, false) => "It is not a whole number of bytes. With a unit fractions are allowed: `\"1.5GiB\"`.",
            _ => "It is more than the largest size, 16EiB less one byte.",
        };
        unfit("invalid-size", "This is not a size", detail)
    })
}

/// Digits are read as octal digits whether they are quoted or not: `770`, `0770` and `"0770"` are one mode.
fn mode(digits: &str) -> Result<Mode, Unfit> {
    digits.parse().map_err(|error| unfit("invalid-mode", "This is not a mode", sentence(&format!("{error}."))))
}

const UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Milliseconds of `10s`, `1h30m`, `500ms`.
fn duration(text: &str) -> Result<u64, Unfit> {
    let wrong = |summary: &str| {
        unfit("invalid-duration", summary, format!("{} Units are ms, s, m, h and d.", shape(Wanted::Duration)))
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong("This is not a duration"));
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let letters = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        if number.is_empty() {
            return Err(wrong("This is not a duration"));
        }
        if unit.is_empty() {
            return Err(wrong("This duration has no unit"));
        }
        let Some((_, milliseconds)) = UNITS.iter().find(|(known, _)| *known == unit) else {
            return Err(wrong("This duration has an unknown unit"));
        };
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*milliseconds))
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| wrong("This duration is too long"))?;
        rest = behind;
    }
    Ok(total)
}

/// The shortest exact text of a duration.
fn duration_text(milliseconds: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| milliseconds.is_multiple_of(*unit) && milliseconds > 0;
    match UNITS.iter().rev().find(fits) {
        Some((name, unit)) => format!("{}{name}", milliseconds / unit),
        None => "0s".to_owned(),
    }
}

fn resource(kinds: &'static [&'static str], value: &Value) -> Result<Datum, Unfit> {
    if let Some(address) = value.identity() {
        return match kinds.contains(&address.kind.as_ref()) {
            true => Ok(Datum::Resource(address.clone())),
            false => {
                let summary = format!("`{address}` is of another kind");
                let detail = format!("It is a {}. {}", address.kind, shape(Wanted::Resource(kinds)));
                Err(unfit("wrong-kind", summary, detail))
            }
        };
    }
    if value.is_unknown() {
        return Ok(Datum::Unknown);
    }
    let advice = match &value.data {
        Data::Text(text) if text.parse::<Address>().is_ok() => {
            format!(" It is given as text; write the reference without quotes: `{text}`.")
        }
        Data::Text(text) if !kinds.is_empty() && !text.is_empty() => {
            format!(" It is given as text; write the reference without quotes, like `{}.{text}`.", kinds[0])
        }
        _ if instances(value).next().is_some() => {
            " It holds several; choose one with its key, like `[\"key\"]` or `[0]`.".to_owned()
        }
        _ => String::new(),
    };
    let detail = format!("It is {}. {}{advice}", with_article(&value.ty()), shape(Wanted::Resource(kinds)));
    Err(unfit("not-a-resource", "This is not a resource", detail))
}

/// The resources directly inside a collection.
fn instances(value: &Value) -> impl Iterator<Item = &Value> {
    let fields = value.fields().into_iter().flat_map(|fields| fields.values());
    let elements = value.elements().into_iter().flat_map(|elements| elements.iter());
    fields.chain(elements).filter(|value| value.identity().is_some())
}

fn resources(kinds: &'static [&'static str], value: &Value) -> Result<Datum, Unfit> {
    const CODE: &str = "not-a-resource";
    if value.is_unknown() {
        return Ok(Datum::Unknown);
    }
    let Some(elements) = value.elements() else {
        let advice = match &value.data {
            _ if value.identity().is_some() => " Put it into brackets.",
            Data::Map(..) | Data::Object(_) => " Take the values of the map with `values(...)`.",
            _ => "",
        };
        let detail = format!("It is {}. {}{advice}", with_article(&value.ty()), shape(Wanted::Resources(kinds)));
        return Err(unfit(CODE, "This is not a list of resources", detail));
    };
    let mut seen = BTreeSet::new();
    let mut addresses = Vec::new();
    let mut unknown = false;
    for (index, element) in elements.iter().enumerate() {
        if element.is_null() {
            let null = unfit(CODE, format!("Element {index} is null"), shape(Wanted::Resources(kinds)));
            return Err(Unfit { element: Some(index), ..null });
        }
        match resource(kinds, element) {
            Ok(Datum::Resource(address)) => {
                if seen.insert(address.clone()) {
                    addresses.push(address);
                }
            }
            Ok(_) => unknown = true,
            Err(error) => {
                return Err(Unfit { element: Some(index), ..error });
            }
        }
    }
    Ok(if unknown { Datum::Unknown } else { Datum::Resources(addresses) })
}

/// The value that other expressions read. `resource` gives the object of an address.
pub(super) fn value(ty: Wanted, datum: Option<&Datum>, resource: &dyn Fn(&Address) -> Value) -> Value {
    let Some(datum) = datum else { return Value::null_of(value_type(ty)) };
    match datum {
        Datum::Unknown => Value::unknown_of(value_type(ty)),
        Datum::Text(text) => Value::shared(text),
        Datum::Bool(value) => Value::from(*value),
        Datum::Integer(number) => Value::from(Number::from(*number)),
        Datum::Size(size) => Value::from(size.to_string()),
        Datum::Mode(mode) => Value::from(mode.to_string()),
        Datum::Duration(milliseconds) => Value::from(duration_text(*milliseconds)),
        Datum::Texts(texts) => Value::texts(texts),
        Datum::TextMap(map) => {
            let fields = map.iter().map(|(name, text)| (Arc::from(name.as_str()), Value::text(text)));
            Value::map(Type::Text, fields.collect::<Fields>())
        }
        Datum::IntegerMap(map) => {
            let fields =
                map.iter().map(|(name, number)| (Arc::from(name.as_str()), Value::from(Number::from(*number))));
            Value::map(Type::Number, fields.collect::<Fields>())
        }
        Datum::Any(json) => Value::from_json(json),
        Datum::Resource(address) => resource(address),
        Datum::Resources(addresses) => Value::list(element_type(ty), addresses.iter().map(resource).collect()),
    }
}

fn element_type(ty: Wanted) -> Type {
    match ty {
        Wanted::Resource([kind]) | Wanted::Resources([kind]) => Type::Resource(Arc::from(*kind)),
        _ => Type::AnyResource,
    }
}

fn value_type(ty: Wanted) -> Type {
    match ty {
        Wanted::Text | Wanted::Path | Wanted::File | Wanted::Size | Wanted::Mode | Wanted::Duration => Type::Text,
        Wanted::Bool => Type::Bool,
        Wanted::Integer => Type::Number,
        Wanted::Texts => Type::list(Type::Text),
        Wanted::TextMap => Type::map(Type::Text),
        Wanted::IntegerMap => Type::map(Type::Number),
        Wanted::Any => Type::Any,
        Wanted::Resource(_) => element_type(ty),
        Wanted::Resources(_) => Type::list(element_type(ty)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: Wanted, value: Value) -> Result<Datum, &'static str> {
        let schema = AttributeSchema::optional("x", ty, "");
        datum(&schema, &value).map(|datum| datum.expect("not null")).map_err(|unfit| unfit.code)
    }

    fn number(text: &str) -> Value {
        Value::from(Number::parse(text).expect("a number").expect("in range"))
    }

    #[test]
    fn a_mode_is_the_same_quoted_or_not() {
        for value in [number("770"), number("0770"), Value::text("0770"), Value::text("770")] {
            assert_eq!(check(Wanted::Mode, value), Ok(Datum::Mode(Mode::new(0o770).expect("a mode"))));
        }
        assert_eq!(check(Wanted::Mode, number("0007")), Ok(Datum::Mode(Mode::new(7).expect("a mode"))));
        for value in [number("888"), number("-770"), number("7.5"), Value::text("rwx")] {
            assert_eq!(check(Wanted::Mode, value), Err("invalid-mode"));
        }
    }

    #[test]
    fn sizes_and_durations_say_their_unit() {
        assert_eq!(check(Wanted::Size, Value::text("40GiB")), Ok(Datum::Size(Size(40 << 30))));
        assert_eq!(check(Wanted::Size, number("512")), Ok(Datum::Size(Size(512))));
        assert_eq!(check(Wanted::Size, number("0.5")), Err("invalid-size"));
        assert_eq!(check(Wanted::Duration, Value::text("1h30m")), Ok(Datum::Duration(5_400_000)));
        assert_eq!(check(Wanted::Duration, Value::text("10")), Err("invalid-duration"));
        assert_eq!(check(Wanted::Duration, number("10")), Err("invalid-duration"));
        assert_eq!(check(Wanted::Duration, Value::text("99999999999999999999d")), Err("invalid-duration"));
        for (milliseconds, text) in [(5_400_000, "90m"), (10_000, "10s"), (1, "1ms"), (0, "0s"), (86_400_000, "1d")] {
            assert_eq!(duration_text(milliseconds), text);
            assert_eq!(duration(text), Ok(milliseconds));
        }
    }

    #[test]
    fn paths_are_absolute_and_normal() {
        for (text, normal) in [("/srv//images/", "/srv/images"), ("/", "/"), ("/./a", "/a")] {
            assert_eq!(check(Wanted::Path, Value::text(text)), Ok(Datum::text(normal)));
        }
        for text in ["srv", "", "/a/../b", "/a\nb"] {
            assert_eq!(check(Wanted::Path, Value::text(text)), Err("invalid-path"), "{text:?}");
        }
    }

    #[test]
    fn a_sensitive_value_is_not_quoted() {
        let schema = AttributeSchema::optional("size", Wanted::Size, "");
        let error = datum(&schema, &Value::text("hunter2").marked(true)).expect_err("no size");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn unknown_stays_unknown() {
        for ty in [Wanted::Text, Wanted::Size, Wanted::Mode, Wanted::Any, Wanted::Resource(&["host"]), Wanted::Texts] {
            assert_eq!(check(ty, Value::unknown()), Ok(Datum::Unknown));
        }
    }
}
