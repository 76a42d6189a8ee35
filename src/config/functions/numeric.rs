//! Functions of numbers.

use dashu_int::{IBig, UBig};

use super::super::number::Number;
use super::super::types::Type;
use super::super::value::{Data, Value};
use super::hardware::{ln, power};
use super::{Fault, Function, Outcome, Parameter, Takes, elements, function, number, takes, text};

const NUM: &[Parameter] = &[takes("num", Takes::Number)];
const NUMBERS: Parameter = takes("numbers", Takes::Number);

pub(super) const TABLE: &[Function] = &[
    function("abs", NUM, Takes::Number, |_, arguments| Ok(number(arguments, 0).abs().into())),
    function("ceil", NUM, Takes::Number, |_, arguments| Ok(number(arguments, 0).ceil().into())),
    function("floor", NUM, Takes::Number, |_, arguments| Ok(number(arguments, 0).floor().into())),
    function("log", &[takes("num", Takes::Number), takes("base", Takes::Number)], Takes::Number, |_, arguments| {
        let (num, base) = (hardware(arguments, 0)?, hardware(arguments, 1)?);
        Ok(Number::from_f64(ln(num) / ln(base))?.into())
    }),
    function("max", &[], Takes::Number, |_, arguments| extreme(arguments, |a, b| a > b)).and_more(NUMBERS),
    function("min", &[], Takes::Number, |_, arguments| extreme(arguments, |a, b| a < b)).and_more(NUMBERS),
    function("parseint", &[takes("number", Takes::Any), takes("base", Takes::Number)], Takes::Number, parse_integer),
    function("pow", &[takes("num", Takes::Number), takes("power", Takes::Number)], Takes::Number, |_, arguments| {
        Ok(Number::from_f64(power(hardware(arguments, 0)?, hardware(arguments, 1)?))?.into())
    }),
    function("range", &[], Takes::Any, |_, arguments| range(arguments)).and_more(takes("params", Takes::Number)),
    function("signum", NUM, Takes::Number, |_, arguments| {
        let num = number(arguments, 0);
        match num.to_i64() {
            Some(_) => Ok(Number::from(num.signum()).into()),
            None => Err(Fault::call("a whole number of 64 bits is required")),
        }
    }),
    function("sum", &[takes("list", Takes::Any)], Takes::Number, |_, arguments| sum(arguments)),
];

/// A number in hardware floating point.
fn hardware(arguments: &[Value], index: usize) -> Result<f64, Fault> {
    let given = number(arguments, index);
    let value = given.to_f64();
    match value.is_finite() || given.is_infinite() {
        true => Ok(value),
        false => Err(Fault::call("a number is too large: this function computes with 64 bits")),
    }
}

fn extreme(arguments: &[Value], wins: fn(&Number, &Number) -> bool) -> Outcome {
    let mut numbers = arguments.iter().filter_map(Value::as_number);
    let first = numbers.next().ok_or_else(|| Fault::call("at least one number is required"))?;
    Ok(numbers.fold(first, |best, next| if wins(next, best) { next } else { best }).clone().into())
}

fn parse_integer(_: &mut super::Evaluator<'_>, arguments: &[Value]) -> Outcome {
    let Data::Text(_) = arguments[0].data else {
        return Err(Fault::argument(0, "a text is required"));
    };
    let base = number(arguments, 1).to_u64().filter(|base| (2..=62).contains(base));
    let base = base.ok_or_else(|| Fault::argument(1, "the base is a whole number from 2 to 62"))?;
    let all = text(arguments, 0);
    let digits = all.strip_prefix(['-', '+']).unwrap_or(all);
    let wrong = || Fault::argument(0, format!("this is not a whole number in base {base}"));
    if digits.is_empty() || digits.len() > 20_000 {
        return Err(wrong());
    }
    let mut value = UBig::ZERO;
    for digit in digits.bytes() {
        // Up to base 36 letters count in any case; beyond, small letters come first.
        let digit = match digit {
            b'0'..=b'9' => u64::from(digit - b'0'),
            b'a'..=b'z' => u64::from(digit - b'a') + 10,
            b'A'..=b'Z' if base <= 36 => u64::from(digit - b'A') + 10,
            b'A'..=b'Z' => u64::from(digit - b'A') + 36,
            _ => return Err(wrong()),
        };
        if digit >= base {
            return Err(wrong());
        }
        value = value * base + digit;
    }
    let value = IBig::from(value);
    Ok(Number::whole(if all.starts_with('-') { -value } else { value })?.into())
}

fn range(arguments: &[Value]) -> Outcome {
    const MOST: usize = 1024;
    let zero = Number::zero();
    let one = Number::from(1i64);
    let given: Vec<&Number> = arguments.iter().filter_map(Value::as_number).collect();
    let (start, end, step) = match given.as_slice() {
        [end] => (&zero, *end, None),
        [start, end] => (*start, *end, None),
        [start, end, step] => (*start, *end, Some(*step)),
        _ => return Err(Fault::call("one, two or three numbers are required")),
    };
    let down = end < start;
    let step = match step {
        Some(step) if step.is_zero() && start < end => return Err(Fault::call("the step cannot be zero")),
        Some(step) if step.is_negative() != down && start != end => {
            let why = if down { "the step must be negative" } else { "the step must be positive" };
            return Err(Fault::argument(2, why));
        }
        Some(step) => step.clone(),
        None if down => one.negated(),
        None => one,
    };
    let mut numbers = Vec::new();
    let mut at = start.clone();
    while if down { &at > end } else { &at < end } {
        if numbers.len() >= MOST {
            return Err(Fault::call(format!("more than {MOST} numbers would be made")));
        }
        let next = at.add(&step)?;
        numbers.push(Value::from(at));
        at = next;
    }
    Ok(Value::list(Type::Number, numbers))
}

fn sum(arguments: &[Value]) -> Outcome {
    let numbers = elements(arguments, 0);
    if !matches!(arguments[0].data, Data::List(..) | Data::Set(..) | Data::Tuple(_)) {
        return Err(Fault::argument(0, "a list, set or tuple of numbers is required"));
    }
    if numbers.is_empty() {
        return Err(Fault::argument(0, "there is nothing to add"));
    }
    let mut total: Option<Number> = None;
    for value in numbers {
        let value = super::convert(value, &Type::Number).ok();
        let Some(number) = value.as_ref().and_then(Value::as_number) else {
            return Err(Fault::argument(0, "an element is not a number"));
        };
        total = Some(match total {
            None => number.clone(),
            Some(total) => total.add(number)?,
        });
    }
    total.map(Value::from).ok_or_else(|| Fault::argument(0, "there is nothing to add"))
}
