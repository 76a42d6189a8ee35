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
    let before = evaluator.problems.len();
    for argument in &call.arguments {
        match evaluator.eval(argument) {
            Ok(value) => {
                evaluator.problems.truncate(before);
                return Ok(value);
            }
            Err(Failed::Poisoned) => {
                // What is in error elsewhere is reported there and must not be papered over here.
                return Err(Failed::Poisoned);
            }
            Err(Failed::Reported) => {}
        }
    }
    let reasons: Vec<String> =
        evaluator.problems.drain(before..).map(|problem| format!("{}: {}", problem.summary, problem.detail)).collect();
    let detail = format!("`try`: no expression has a value. {}", reasons.join(" "));
    Err(evaluator.fail(expr, "error-in-function-call", "This call has no result", detail))
}

fn can(evaluator: &mut Evaluator<'_>, expr: &Expr, call: &Call) -> Evaluated {
    let argument = one(evaluator, expr, call)?;
    let before = evaluator.problems.len();
    let value = evaluator.eval(argument);
    evaluator.problems.truncate(before);
    match value {
        Ok(value) if value.has_unknown() => Ok(Value::unknown_of(super::Type::Bool)),
        Ok(_) => Ok(Value::from(true)),
        Err(Failed::Reported) => Ok(Value::from(false)),
        Err(Failed::Poisoned) => Err(Failed::Poisoned),
    }
}

fn one<'e>(evaluator: &mut Evaluator<'_>, expr: &Expr, call: &'e Call) -> Result<&'e Expr, Failed> {
    let (code, summary) = match call.arguments.as_slice() {
        [argument] => return Ok(argument),
        [] => ("not-enough-function-arguments", "An argument is missing: `expression`"),
        _ => ("too-many-function-arguments", "There are too many arguments"),
    };
    Err(evaluator.fail(expr, code, summary, format!("It is called `{}(expression)`.", call.name)))
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
    convert(&value_of, &ty).map_err(|misfit| {
        let detail = format!("`value` of `convert`: {misfit}.");
        evaluator.fail(value, "invalid-function-argument", "This argument does not fit", detail)
    })
}
