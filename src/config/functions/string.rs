//! Functions of texts. Characters are those that people see: grapheme clusters.

use unicode_segmentation::UnicodeSegmentation;

use super::super::types::Type;
use super::super::value::{Fields, Value};
use super::pattern::Pattern;
use super::{Evaluator, Fault, Function, Outcome, Parameter, Takes, elements, function, takes, text, whole};

const STR: &[Parameter] = &[takes("str", Takes::Text)];

pub(super) const TABLE: &[Function] = &[
    function("chomp", STR, Takes::Text, |_, arguments| Ok(text(arguments, 0).trim_end_matches(['\r', '\n']).into())),
    function("endswith", &[takes("str", Takes::Text), takes("suffix", Takes::Text)], Takes::Bool, |_, arguments| {
        Ok(text(arguments, 0).ends_with(text(arguments, 1)).into())
    }),
    function("indent", &[takes("spaces", Takes::Number), takes("str", Takes::Text)], Takes::Text, |_, arguments| {
        let spaces = usize::try_from(whole(arguments, 0)?).ok().filter(|spaces| *spaces <= 10_000);
        let spaces = spaces.ok_or_else(|| Fault::call("the number of spaces is from 0 to 10000"))?;
        let all = text(arguments, 1);
        if all.matches('\n').count() * spaces + all.len() > super::LONGEST_TEXT {
            return Err(Fault::TooLong);
        }
        Ok(all.replace('\n', &format!("\n{}", " ".repeat(spaces))).into())
    }),
    function("join", &[takes("separator", Takes::Text)], Takes::Text, |_, arguments| join(arguments))
        .and_more(takes("lists", Takes::Texts)),
    function("lower", STR, Takes::Text, |_, arguments| {
        Ok(text(arguments, 0).chars().map(lower).collect::<String>().into())
    }),
    function("regex", &[takes("pattern", Takes::Text), takes("string", Takes::Text)], Takes::Any, |_, arguments| {
        let pattern = pattern(text(arguments, 0))?;
        match pattern.regex.captures(text(arguments, 1)) {
            Some(captures) => Ok(captured(&pattern, &captures)),
            None => Err(Fault::call("the pattern does not match")),
        }
    }),
    function(
        "regexall",
        &[takes("pattern", Takes::Text), takes("string", Takes::Text)],
        Takes::Any,
        |evaluator, arguments| {
            let pattern = pattern(text(arguments, 0))?;
            let mut all = Vec::new();
            for captures in pattern.regex.captures_iter(text(arguments, 1)) {
                evaluator.owe_new(1 + pattern.names.len())?;
                evaluator.owe_text(captures.iter().flatten().map(|matched| matched.len()).sum())?;
                all.push(captured(&pattern, &captures));
            }
            Ok(Value::list(captured_type(&pattern), all))
        },
    ),
    function(
        "replace",
        &[takes("str", Takes::Text), takes("substr", Takes::Text), takes("replace", Takes::Text)],
        Takes::Text,
        |_, arguments| replace(arguments),
    ),
    function(
        "split",
        &[takes("separator", Takes::Text), takes("str", Takes::Text)],
        Takes::Texts,
        |evaluator, arguments| {
            let (separator, all) = (text(arguments, 0), text(arguments, 1));
            evaluator.owe_new(all.matches(separator).count())?;
            Ok(match separator.is_empty() {
                true => Value::texts(all.chars().map(String::from)),
                false => Value::texts(all.split(separator)),
            })
        },
    ),
    function("startswith", &[takes("str", Takes::Text), takes("prefix", Takes::Text)], Takes::Bool, |_, arguments| {
        Ok(text(arguments, 0).starts_with(text(arguments, 1)).into())
    }),
    function("strcontains", &[takes("str", Takes::Text), takes("substr", Takes::Text)], Takes::Bool, |_, arguments| {
        Ok(text(arguments, 0).contains(text(arguments, 1)).into())
    }),
    function("strrev", STR, Takes::Text, |_, arguments| {
        Ok(text(arguments, 0).graphemes(true).rev().collect::<String>().into())
    }),
    function(
        "substr",
        &[takes("str", Takes::Text), takes("offset", Takes::Number), takes("length", Takes::Number)],
        Takes::Text,
        |_, arguments| substr(arguments),
    ),
    function(
        "templatestring",
        &[takes("template", Takes::Any).or_null(), takes("vars", Takes::Any)],
        Takes::Any,
        templatestring,
    ),
    function("title", STR, Takes::Text, |_, arguments| Ok(title(text(arguments, 0)).into())),
    function("trim", &[takes("str", Takes::Text), takes("cutset", Takes::Text)], Takes::Text, |_, arguments| {
        let cut = text(arguments, 1);
        Ok(text(arguments, 0).trim_matches(|c| cut.contains(c)).into())
    }),
    function("trimprefix", &[takes("str", Takes::Text), takes("prefix", Takes::Text)], Takes::Text, |_, arguments| {
        let all = text(arguments, 0);
        Ok(all.strip_prefix(text(arguments, 1)).unwrap_or(all).into())
    }),
    function("trimspace", STR, Takes::Text, |_, arguments| Ok(text(arguments, 0).trim().into())),
    function("trimsuffix", &[takes("str", Takes::Text), takes("suffix", Takes::Text)], Takes::Text, |_, arguments| {
        let all = text(arguments, 0);
        Ok(all.strip_suffix(text(arguments, 1)).unwrap_or(all).into())
    }),
    function("upper", STR, Takes::Text, |_, arguments| {
        Ok(text(arguments, 0).chars().map(upper).collect::<String>().into())
    }),
];

/// One character for one, as Go maps them: where Unicode's mapping has several, the first of a small letter, and no
/// mapping for a capital unless the character has a capital of its own.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn upper(c: char) -> char {
    // Greek small letters with an iota below; their whole mapping writes the iota as a letter.
    let moved = match c {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => 8,
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
        _ => {
            let mut mapped = c.to_uppercase();
            return match (mapped.next(), mapped.next()) {
                (Some(one), None) => one,
                _ => c,
            };
        }
    };
    char::from_u32(c as u32 + moved).unwrap_or(c)
}

/// The form of a letter at the start of a word, which is not a capital in a few scripts.
fn title_letter(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => c,
        _ => upper(c),
    }
}

fn title(all: &str) -> String {
    let mut after_separator = true;
    let mut titled = String::with_capacity(all.len());
    for c in all.chars() {
        titled.push(if after_separator { title_letter(c) } else { c });
        after_separator = match c.is_ascii() {
            true => !(c.is_ascii_alphanumeric() || c == '_'),
            false => c.is_whitespace(),
        };
    }
    titled
}

fn join(arguments: &[Value]) -> Outcome {
    if arguments.len() < 2 {
        return Err(Fault::call("at least one list is required"));
    }
    let mut texts = Vec::new();
    for index in 1..arguments.len() {
        for element in elements(arguments, index) {
            let text = element.as_text().ok_or_else(|| Fault::argument(index, "an element is null"))?;
            texts.push(text.as_ref());
        }
    }
    let separator = text(arguments, 0);
    let length: usize = texts.iter().map(|text| text.len() + separator.len()).sum();
    if length.saturating_sub(separator.len()) > super::LONGEST_TEXT {
        return Err(Fault::TooLong);
    }
    Ok(texts.join(separator).into())
}

fn pattern(text: &str) -> Result<Pattern, Fault> {
    let pattern =
        Pattern::parse(text).map_err(|why| Fault::argument(0, format!("this is no regular expression: {why}")))?;
    match pattern.names.iter().all(Option::is_some) || pattern.names.iter().all(Option::is_none) {
        true => Ok(pattern),
        false => Err(Fault::argument(0, "groups with and without names cannot be mixed")),
    }
}

fn captured_type(pattern: &Pattern) -> Type {
    let names = &pattern.names;
    match names.first() {
        None => Type::Text,
        Some(None) => Type::tuple(vec![Type::Text; names.len()]),
        Some(Some(_)) => Type::object(names.iter().flatten().map(|name| (name.as_str().into(), Type::Text))),
    }
}

/// What the groups matched: an object, a tuple, or without groups the whole match.
fn captured(pattern: &Pattern, captures: &regex::Captures<'_>) -> Value {
    let group = |index: usize| match captures.get(index) {
        Some(matched) => Value::text(matched.as_str()),
        None => Value::null_of(Type::Text),
    };
    let numbered = pattern.names.iter().enumerate().map(|(index, name)| (name, group(index + 1)));
    match pattern.names.first() {
        None => group(0),
        Some(None) => Value::tuple(numbered.map(|(_, value)| value).collect()),
        Some(Some(_)) => {
            let fields = numbered.filter_map(|(name, value)| Some((name.as_deref()?.into(), value)));
            Value::object(fields.collect::<Fields>())
        }
    }
}

fn replace(arguments: &[Value]) -> Outcome {
    let (all, wanted, with) = (text(arguments, 0), text(arguments, 1), text(arguments, 2));
    let expression = wanted.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let Some(expression) = expression else {
        let length = all.matches(wanted).count().saturating_mul(with.len()).saturating_add(all.len());
        return match length > super::LONGEST_TEXT {
            true => Err(Fault::TooLong),
            false => Ok(all.replace(wanted, with).into()),
        };
    };
    let pattern = Pattern::parse(expression)
        .map_err(|why| Fault::call(format!("what stands between the slashes is no regular expression: {why}")))?;
    let mut replaced = String::new();
    let mut at = 0;
    for captures in pattern.regex.captures_iter(all) {
        let Some(whole) = captures.get(0) else { continue };
        let before = &all[at..whole.start()];
        let length = pattern.expanded_length(&captures, with).saturating_add(before.len());
        if replaced.len().saturating_add(length) > super::LONGEST_TEXT {
            return Err(Fault::TooLong);
        }
        replaced.push_str(before);
        pattern.expand(&captures, with, &mut replaced);
        at = whole.end();
    }
    replaced.push_str(&all[at..]);
    Ok(replaced.into())
}

fn substr(arguments: &[Value]) -> Outcome {
    let characters: Vec<&str> = text(arguments, 0).graphemes(true).collect();
    let (offset, length) = (whole(arguments, 1)?, whole(arguments, 2)?);
    let count = characters.len() as i64;
    let start = if offset < 0 { (count + offset).max(0) } else { offset.min(count) };
    // From the end, a length of zero has always meant the rest.
    let end = if length < 0 || length == 0 && offset < 0 { count } else { start.saturating_add(length).min(count) };
    Ok(characters[start as usize..end as usize].concat().into())
}

fn templatestring(evaluator: &mut Evaluator<'_>, arguments: &[Value]) -> Outcome {
    match arguments[0].as_text() {
        Some(template) => super::file::render(evaluator, "the template", template, &arguments[1]),
        None => Err(Fault::argument(0, "a text is required")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_that_is_too_long_is_never_made() {
        // Four gibibytes.
        let arguments = [Value::text(&"a".repeat(1 << 20)), Value::text("/a+/"), Value::text(&"$0".repeat(1 << 12))];
        assert!(matches!(replace(&arguments), Err(Fault::TooLong)));
        let arguments = [Value::text("aab"), Value::text("/a+/"), Value::text("$0$0")];
        assert_eq!(replace(&arguments).ok().and_then(|value| value.as_text().cloned()).as_deref(), Some("aaaab"));
    }
}
