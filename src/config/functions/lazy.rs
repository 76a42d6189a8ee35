//! `try`, `can` and `convert`, whose arguments are not simply values.

use super::super::convert::convert;
use super::super::eval::{Evaluated, Evaluator, Failed};
use super::super::syntax::{Call, Expr};
use super::super::value::Value;
use super::super::variables::type_constraint;

pub(super) const NAMES: &[&str] = &["can", "convert", "try"];

/// The value of the call, if it is one of these functions.
pub(super) fn call(evaluator: &mut Evaluator<'_>, expr: &Expr, call: &Call) -> Option<Evaluated> {
    match call.name.as_ref() {
        "try" => Some(try_each(evaluator, expr, call)),
        "can" => Some(can(evaluator, expr, call)),
        "convert" => Some(converted(evaluator, expr, call)),
        _ => None,
    }
}

fn try_each(evaluator: &mut Evaluator<'_>, expr: &Expr, call: &Call) -> Evaluated {
    if call.arguments.is_empty() {
        let detail = "`try`: at least one expression is required.";
        return Err(evaluator.fail(expr, "error-in-function-call", "This call has no result", detail));
    }
    for (index, argument) in call.arguments.iter().enumerate() {
        let (value, is_open) = match call.expands && index + 1 == call.arguments.len() {
            true => {
                let first = expanded(evaluator, argument)?
                    .map_or_else(|| Ok(Value::unknown()), |elements| elements.first().cloned().ok_or(Failed::Reported));
                (first, false)
            }
            false => evaluator.try_open(argument),
        };
        match value {
            Ok(value) => {
                // What may yet fail may yet give way to the next.
                let gives_way = is_open && index + 1 < call.arguments.len();
                return Ok(match gives_way {
                    true => Value::unknown().marked(value.is_sensitive_anywhere()),
                    false => value,
                });
            }
            Err(Failed::Poisoned) => {
                // What is in error elsewhere is reported there and must not be papered over here.
                return Err(Failed::Poisoned);
            }
            Err(Failed::Reported) => {}
        }
    }
    let mut reasons = Vec::new();
    if !evaluator.is_trying() {
        let before = evaluator.problems.len();
        let written = call.arguments.len() - usize::from(call.expands);
        for argument in &call.arguments[..written] {
            let _ = evaluator.eval(argument);
        }
        reasons.extend(
            evaluator.problems.drain(before..).map(|problem| format!("{}: {}", problem.summary, problem.detail)),
        );
    }
    let detail = format!("`try`: no expression has a value. {}", reasons.join(" "));
    Err(evaluator.fail(expr, "error-in-function-call", "This call has no result", detail.trim_end()))
}

fn can(evaluator: &mut Evaluator<'_>, expr: &Expr, call: &Call) -> Evaluated {
    let argument = one(evaluator, expr, call)?;
    if call.expands {
        let count = expanded(evaluator, argument)?.map(|elements| elements.len());
        return match count {
            None => Ok(Value::unknown_of(super::Type::Bool)),
            Some(1) => Ok(Value::from(true)),
            Some(count) => Err(miscounted(evaluator, expr, call, count)),
        };
    }
    let (value, is_open) = evaluator.try_open(argument);
    match value {
        Ok(_) if is_open => Ok(Value::unknown_of(super::Type::Bool)),
        Ok(_) => Ok(Value::from(true)),
        Err(Failed::Reported) => Ok(Value::from(false)),
        Err(Failed::Poisoned) => Err(Failed::Poisoned),
    }
}

fn one<'e>(evaluator: &mut Evaluator<'_>, expr: &Expr, call: &'e Call) -> Result<&'e Expr, Failed> {
    match call.arguments.as_slice() {
        [argument] => Ok(argument),
        other => Err(miscounted(evaluator, expr, call, other.len())),
    }
}

fn miscounted(evaluator: &mut Evaluator<'_>, expr: &Expr, call: &Call, count: usize) -> Failed {
    let (code, summary) = match count {
        0 => ("not-enough-function-arguments", "An argument is missing: `expression`"),
        _ => ("too-many-function-arguments", "There are too many arguments"),
    };
    evaluator.fail(expr, code, summary, format!("It is called `{}(expression)`.", call.name))
}

/// The values that `...` makes of the last argument; they are values already, so none of them can fail. `None` while
/// they are unknown.
fn expanded(evaluator: &mut Evaluator<'_>, argument: &Expr) -> Result<Option<Vec<Value>>, Failed> {
    let list = evaluator.eval(argument)?;
    match super::expanded(evaluator, argument, &list)? {
        None => Ok(None),
        Some(elements) => Ok(Some(elements.into_iter().map(|element| element.marked(list.sensitive)).collect())),
    }
}

fn converted(evaluator: &mut Evaluator<'_>, expr: &Expr, call: &Call) -> Evaluated {
    let [value, constraint] = call.arguments.as_slice() else {
        let code = match call.arguments.len() {
            0 | 1 => "not-enough-function-arguments",
            _ => "too-many-function-arguments",
        };
        let detail = "It is called `convert(value, type)`, for instance `convert(x, list(string))`.";
        return Err(evaluator.fail(expr, code, "`convert` takes a value and a type", detail));
    };
    let ty = type_constraint(evaluator, constraint)?;
    let value_of = evaluator.eval(value)?;
    evaluator.look(expr, &[&value_of])?;
    evaluator.note_conversion(&value_of, &ty);
    convert(&value_of, &ty).map_err(|misfit| {
        let detail = format!("`value` of `convert`: {misfit}.");
        evaluator.fail(value, "invalid-function-argument", "This argument does not fit", detail)
    })
}
