//! `format` and `formatlist`: the verbs of HCL.

use dashu_int::ops::UnsignedAbs;
use unicode_segmentation::UnicodeSegmentation;

use super::super::convert::convert;
use super::super::eval::Evaluator;
use super::super::number::Number;
use super::super::types::Type;
use super::super::value::{Data, Value};
use super::{Fault, Function, Outcome, Takes, encoding, function, takes, text};

pub(super) const TABLE: &[Function] = &[
    function("format", &[takes("format", Takes::Text)], Takes::Text, |evaluator, arguments| {
        if arguments.iter().any(Value::has_unknown_within) {
            return Ok(Value::unknown_of(Type::Text));
        }
        formatted(evaluator, text(arguments, 0), &arguments[1..]).map(Value::from)
    })
    .and_more(takes("args", Takes::Any).or_null()),
    function("formatlist", &[takes("format", Takes::Text)], Takes::Texts, format_list)
        .and_more(takes("args", Takes::Any).or_null()),
];

/// The largest width or precision.
const WIDEST: usize = 1_000_000;

/// `%` with its flags, width, precision, argument and verb.
#[derive(Default, Clone, Copy)]
struct Verb {
    plus: bool,
    minus: bool,
    space: bool,
    sharp: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
    verb: char,
}

fn formatted(evaluator: &mut Evaluator<'_>, format: &str, arguments: &[Value]) -> Result<String, Fault> {
    let mut out = String::new();
    let mut rest = format;
    let mut next = 0;
    let mut highest = 0;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('%') {
            out.push('%');
            rest = behind;
            continue;
        }
        let mut verb = Verb::default();
        loop {
            match rest.chars().next() {
                Some('+') => verb.plus = true,
                Some('-') => verb.minus = true,
                Some(' ') => verb.space = true,
                Some('#') => verb.sharp = true,
                Some('0') => verb.zero = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        verb.width = digits(&mut rest)?;
        if let Some(behind) = rest.strip_prefix('.') {
            rest = behind;
            verb.precision = Some(digits(&mut rest)?.unwrap_or(0));
        }
        let mut index = next;
        if let Some(behind) = rest.strip_prefix('[') {
            rest = behind;
            let number = digits(&mut rest)?.filter(|number| *number > 0);
            index = number.ok_or_else(|| Fault::call("the index of an argument counts from 1"))? - 1;
            rest = rest.strip_prefix(']').ok_or_else(|| Fault::call("the index of an argument is not closed"))?;
        }
        let Some(letter) = rest.chars().next() else {
            return Err(Fault::call("a `%` has no verb; `%%` stands for a percent sign"));
        };
        rest = &rest[letter.len_utf8()..];
        verb.verb = letter;
        if !"vtbdoxXeEfgGsq".contains(letter) {
            return Err(Fault::call(format!("there is no verb `%{letter}`")));
        }
        let argument = arguments.get(index);
        let argument =
            argument.ok_or_else(|| Fault::call(format!("there is no argument {} for `%{letter}`", index + 1)))?;
        if "eEfgG".contains(letter) {
            // Digits of a fraction are computed one after the other, which takes far longer than to write them.
            evaluator.owe(verb.precision.unwrap_or(0))?;
        }
        next = index + 1;
        highest = highest.max(next);
        out.push_str(&one(&verb, argument, index)?);
        if out.len() > super::LONGEST_TEXT {
            return Err(Fault::TooLong);
        }
    }
    out.push_str(rest);
    match highest < arguments.len() {
        true => Err(Fault::argument(highest + 1, "the format has no verb for this argument")),
        false => Ok(out),
    }
}

fn digits(rest: &mut &str) -> Result<Option<usize>, Fault> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if end == 0 {
        return Ok(None);
    }
    let number = rest[..end].parse().ok().filter(|number| *number <= WIDEST);
    *rest = &rest[end..];
    number.map(Some).ok_or_else(|| Fault::call(format!("widths and precisions go up to {WIDEST}")))
}

fn one(verb: &Verb, argument: &Value, index: usize) -> Result<String, Fault> {
    let number = index + 1;
    if verb.verb == 'v' {
        let plain = match (&argument.data, verb.sharp) {
            (Data::Text(text), false) => text.to_string(),
            (Data::Number(number), false) => number.to_general(),
            _ => encoding::json(argument).ok_or_else(|| Fault::call("the argument is not known"))?,
        };
        return Ok(padded(verb, plain));
    }
    if argument.is_null() {
        return Err(Fault::call(format!("argument {number} for `%{}` is null", verb.verb)));
    }
    let wanted = match verb.verb {
        't' => Type::Bool,
        's' | 'q' => Type::Text,
        _ => Type::Number,
    };
    let converted = convert(argument, &wanted)
        .map_err(|misfit| Fault::call(format!("argument {number} for `%{}`: {misfit}", verb.verb)))?;
    Ok(match &converted.data {
        Data::Bool(value) => value.to_string(),
        Data::Text(text) => {
            let cut: String = match verb.precision {
                Some(precision) if precision > 0 => text.graphemes(true).take(precision).collect(),
                _ => text.to_string(),
            };
            padded(verb, if verb.verb == 'q' { encoding::escaped(&encoding::quoted(&cut)) } else { cut })
        }
        Data::Number(value) => match verb.verb {
            'b' | 'd' | 'o' | 'x' | 'X' => {
                let whole = value.to_whole().ok_or_else(|| {
                    Fault::call(format!("argument {number} for `%{}` is not a whole number", verb.verb))
                })?;
                let magnitude = whole.clone().unsigned_abs();
                let (prefix, digits) = match verb.verb {
                    'b' => ("0b", format!("{magnitude:b}")),
                    'o' => ("0", format!("{magnitude:o}")),
                    'x' => ("0x", format!("{magnitude:x}")),
                    'X' => ("0X", format!("{magnitude:X}")),
                    _ => ("", magnitude.to_string()),
                };
                let digits = match verb.precision {
                    Some(0) if value.is_zero() => String::new(),
                    // The width of the standard library ends at 65535.
                    precision => format!("{}{digits}", "0".repeat(precision.unwrap_or(0).saturating_sub(digits.len()))),
                };
                let prefix = if verb.sharp { prefix } else { "" };
                // A number of digits that is asked for leaves nothing to fill with zeros.
                let zero = verb.zero && verb.precision.is_none();
                signed(&Verb { zero, ..*verb }, value.is_negative(), &format!("{prefix}{digits}"))
            }
            _ if value.is_infinite() => signed(&Verb { zero: false, plus: true, ..*verb }, value.is_negative(), "Inf"),
            letter => signed(verb, value.is_negative(), &floating(letter, verb.precision, &value.abs())),
        },
        _ => return Err(Fault::call("the argument is not known")),
    })
}

fn floating(letter: char, precision: Option<usize>, value: &Number) -> String {
    match letter {
        'f' => value.to_fixed(precision.unwrap_or(6)),
        'e' => value.to_scientific(precision.unwrap_or(6)),
        'E' => value.to_scientific(precision.unwrap_or(6)).to_uppercase(),
        _ => {
            let general = match precision {
                None => value.to_general(),
                Some(precision) => value.to_general_with(precision),
            };
            if letter == 'G' { general.to_uppercase() } else { general }
        }
    }
}

/// A number with its sign; zeros stand between sign and digits.
fn signed(verb: &Verb, negative: bool, digits: &str) -> String {
    let sign = match (negative, verb.plus, verb.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let width = verb.width.unwrap_or(0);
    if verb.zero && !verb.minus {
        let zeros = width.saturating_sub(sign.len() + digits.len());
        return format!("{sign}{}{digits}", "0".repeat(zeros));
    }
    padded(
        &Verb { zero: false, ..Verb { minus: verb.minus, width: verb.width, ..Verb::default() } },
        format!("{sign}{digits}"),
    )
}

fn padded(verb: &Verb, text: String) -> String {
    let missing = verb.width.unwrap_or(0).saturating_sub(text.graphemes(true).take(verb.width.unwrap_or(0)).count());
    match (verb.minus, verb.zero) {
        (true, _) => format!("{text}{}", " ".repeat(missing)),
        (false, true) => format!("{}{text}", "0".repeat(missing)),
        (false, false) => format!("{}{text}", " ".repeat(missing)),
    }
}

fn format_list(evaluator: &mut Evaluator<'_>, arguments: &[Value]) -> Outcome {
    let given = &arguments[1..];
    if given.iter().any(Value::has_unknown_within) {
        return Ok(Value::unknown_of(Type::list(Type::Text)));
    }
    let mut length = None;
    for (index, value) in given.iter().enumerate() {
        let Some(elements) = value.elements() else { continue };
        match length {
            None => length = Some(elements.len()),
            Some(length) if length == elements.len() => {}
            Some(length) => {
                let why = format!("it has {} elements where another list has {length}", elements.len());
                return Err(Fault::argument(index + 1, why));
            }
        }
    }
    let mut texts = Vec::new();
    for at in 0..length.unwrap_or(1) {
        let row: Vec<Value> = given
            .iter()
            .map(|value| match value.elements() {
                Some(elements) => elements[at].clone(),
                None => value.clone(),
            })
            .collect();
        let made = formatted(evaluator, text(arguments, 0), &row).map_err(|fault| match fault {
            Fault::Argument(_, why) => Fault::Call(why),
            other => other,
        })?;
        evaluator.owe_text(made.len())?;
        texts.push(made);
    }
    Ok(Value::texts(texts))
}
