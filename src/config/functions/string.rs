//! Functions of texts. Characters are those that people see: grapheme clusters.

use regex::Regex;
use unicode_segmentation::UnicodeSegmentation;

use super::super::types::Type;
use super::super::value::{Fields, Value};
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
        Ok(text(arguments, 1).replace('\n', &format!("\n{}", " ".repeat(spaces))).into())
    }),
    function("join", &[takes("separator", Takes::Text)], Takes::Text, |_, arguments| join(arguments))
        .and_more(takes("lists", Takes::Texts)),
    function("lower", STR, Takes::Text, |_, arguments| {
        Ok(text(arguments, 0).chars().map(lower).collect::<String>().into())
    }),
    function("regex", &[takes("pattern", Takes::Text), takes("string", Takes::Text)], Takes::Any, |_, arguments| {
        let pattern = pattern(text(arguments, 0))?;
        match pattern.captures(text(arguments, 1)) {
            Some(captures) => Ok(captured(&pattern, &captures)),
            None => Err(Fault::call("the pattern does not match")),
        }
    }),
    function("regexall", &[takes("pattern", Takes::Text), takes("string", Takes::Text)], Takes::Any, |_, arguments| {
        let pattern = pattern(text(arguments, 0))?;
        let all = pattern.captures_iter(text(arguments, 1)).map(|captures| captured(&pattern, &captures)).collect();
        Ok(Value::list(captured_type(&pattern), all))
    }),
    function(
        "replace",
        &[takes("str", Takes::Text), takes("substr", Takes::Text), takes("replace", Takes::Text)],
        Takes::Text,
        |_, arguments| replace(arguments),
    ),
    function("split", &[takes("separator", Takes::Text), takes("str", Takes::Text)], Takes::Texts, |_, arguments| {
        let (separator, all) = (text(arguments, 0), text(arguments, 1));
        Ok(match separator.is_empty() {
            true => Value::texts(all.chars().map(String::from)),
            false => Value::texts(all.split(separator)),
        })
    }),
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
        &[takes("template", Takes::Text), takes("vars", Takes::Any)],
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
/// mapping for a capital.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn title(all: &str) -> String {
    let mut after_separator = true;
    let mut titled = String::with_capacity(all.len());
    for c in all.chars() {
        titled.push(if after_separator { upper(c) } else { c });
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
    Ok(texts.join(text(arguments, 0)).into())
}

fn pattern(text: &str) -> Result<Regex, Fault> {
    Regex::new(text)
        .map_err(|error| {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Fault::argument(0, format!("this is no regular expression: {why}"))
        })
        .and_then(|regex| {
            let names = regex.capture_names().skip(1).flatten().count();
            match names == 0 || names == regex.captures_len() - 1 {
                true => Ok(regex),
                false => Err(Fault::argument(0, "groups with and without names cannot be mixed")),
            }
        })
}

fn captured_type(pattern: &Regex) -> Type {
    let names: Vec<_> = pattern.capture_names().skip(1).collect();
    if names.is_empty() {
        Type::Text
    } else if names.iter().all(Option::is_some) {
        Type::object(names.into_iter().flatten().map(|name| (name.into(), Type::Text)))
    } else {
        Type::tuple(vec![Type::Text; names.len()])
    }
}

/// What the groups matched: an object, a tuple, or without groups the whole match.
fn captured(pattern: &Regex, captures: &regex::Captures<'_>) -> Value {
    let group = |matched: Option<regex::Match<'_>>| match matched {
        Some(matched) => Value::text(matched.as_str()),
        None => Value::null_of(Type::Text),
    };
    let names: Vec<Option<&str>> = pattern.capture_names().skip(1).collect();
    if names.is_empty() {
        return group(captures.get(0));
    }
    if names.iter().all(Option::is_some) {
        let fields = names.into_iter().flatten().map(|name| (name.into(), group(captures.name(name))));
        return Value::object(fields.collect::<Fields>());
    }
    Value::tuple((1..=names.len()).map(|index| group(captures.get(index))).collect())
}

fn replace(arguments: &[Value]) -> Outcome {
    let (all, wanted, with) = (text(arguments, 0), text(arguments, 1), text(arguments, 2));
    let expression = wanted.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let length = |matches: usize| matches.saturating_mul(with.len()).saturating_add(all.len());
    Ok(match expression {
        Some(expression) => {
            let pattern = pattern_for_replace(expression)?;
            if length(pattern.find_iter(all).count()) > super::LONGEST_TEXT {
                return Err(Fault::call("the text becomes too long"));
            }
            pattern.replace_all(all, with).into_owned()
        }
        None => {
            if length(all.matches(wanted).count()) > super::LONGEST_TEXT {
                return Err(Fault::call("the text becomes too long"));
            }
            all.replace(wanted, with)
        }
    }
    .into())
}

fn pattern_for_replace(expression: &str) -> Result<Regex, Fault> {
    Regex::new(expression).map_err(|_| Fault::call("what stands between the slashes is no regular expression"))
}

fn substr(arguments: &[Value]) -> Outcome {
    let characters: Vec<&str> = text(arguments, 0).graphemes(true).collect();
    let (offset, length) = (whole(arguments, 1)?, whole(arguments, 2)?);
    let count = characters.len() as i64;
    let start = if offset < 0 { (count + offset).max(0) } else { offset.min(count) };
    let end = if length < 0 { count } else { start.saturating_add(length).min(count) };
    Ok(characters[start as usize..end as usize].concat().into())
}

fn templatestring(evaluator: &mut Evaluator<'_>, arguments: &[Value]) -> Outcome {
    super::file::render(evaluator, "the template", text(arguments, 0), &arguments[1])
}
