//! The functions of the language: one table, by category. Each has the meaning, the argument types and the errors of
//! OpenTofu's function of the same name; `env`, `secret_file` and `secret_command` are Larder's own.
//!
//! A function whose arguments are not known yet has no known result, and what it makes of something sensitive is
//! sensitive; only functions that look no further than the shape of a collection say otherwise in the table.

mod collection;
mod conversion;
mod encoding;
pub(super) mod file;
mod format;
mod hardware;
mod hash;
mod ip;
mod lazy;
mod numeric;
mod pattern;
mod secret;
mod string;
mod time;
mod yaml;

use super::convert::{convert, with_article};
use super::eval::{Evaluated, Evaluator, Failed, LONGEST_TEXT, STEPS_OF_A_PART};
use super::syntax::{Call, Expr, Node};
use super::types::Type;
use super::value::{Data, Value};
use crate::model::problem::did_you_mean;

/// What a parameter takes. `Any` inside means that the elements are left as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Any,
    Text,
    Number,
    Bool,
    Texts,
    TextSet,
    ListOf,
    SetOf,
    TextsByText,
}

impl Takes {
    fn ty(self) -> Type {
        match self {
            Takes::Any => Type::Any,
            Takes::Text => Type::Text,
            Takes::Number => Type::Number,
            Takes::Bool => Type::Bool,
            Takes::Texts => Type::list(Type::Text),
            Takes::TextSet => Type::set(Type::Text),
            Takes::ListOf => Type::list(Type::Any),
            Takes::SetOf => Type::set(Type::Any),
            Takes::TextsByText => Type::map(Type::list(Type::Text)),
        }
    }
}

/// How far a function looks into an argument, which decides what of it being unknown or sensitive means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    /// At everything.
    Through,
    /// At the collection, not into its elements.
    AtShape,
    /// The function sees unknown and sensitive values itself.
    AsItIs,
}

#[derive(Debug, Clone, Copy)]
struct Parameter {
    name: &'static str,
    takes: Takes,
    looks: Looks,
    null: bool,
}

const fn takes(name: &'static str, takes: Takes) -> Parameter {
    Parameter { name, takes, looks: Looks::Through, null: false }
}

impl Parameter {
    const fn shape(self) -> Self {
        Parameter { looks: Looks::AtShape, ..self }
    }

    const fn as_it_is(self) -> Self {
        Parameter { looks: Looks::AsItIs, null: true, ..self }
    }

    const fn or_null(self) -> Self {
        Parameter { null: true, ..self }
    }
}

/// Why a function has no result. The text never holds more of a value than the function may show: it is replaced when
/// an argument is sensitive.
#[derive(Debug)]
enum Fault {
    /// The argument of that number is wrong.
    Argument(usize, String),
    /// The call is wrong.
    Call(String),
    /// What it gives is longer than any text may be.
    TooLong,
    /// Already reported.
    Failed(Failed),
}

impl Fault {
    fn call(why: impl Into<String>) -> Self {
        Fault::Call(why.into())
    }

    fn argument(index: usize, why: impl Into<String>) -> Self {
        Fault::Argument(index, why.into())
    }
}

impl From<super::number::OutOfRange> for Fault {
    fn from(error: super::number::OutOfRange) -> Self {
        Fault::call(error.to_string())
    }
}

impl From<super::number::Undefined> for Fault {
    fn from(error: super::number::Undefined) -> Self {
        Fault::call(error.to_string())
    }
}

impl From<Failed> for Fault {
    fn from(failed: Failed) -> Self {
        Fault::Failed(failed)
    }
}

type Outcome = Result<Value, Fault>;

struct Function {
    name: &'static str,
    parameters: &'static [Parameter],
    /// Any number of further arguments.
    rest: Option<Parameter>,
    /// The type of the result while it is unknown.
    gives: Takes,
    run: fn(&mut Evaluator<'_>, &[Value]) -> Outcome,
}

const fn function(
    name: &'static str,
    parameters: &'static [Parameter],
    gives: Takes,
    run: fn(&mut Evaluator<'_>, &[Value]) -> Outcome,
) -> Function {
    Function { name, parameters, rest: None, gives, run }
}

impl Function {
    const fn and_more(self, rest: Parameter) -> Self {
        Function { rest: Some(rest), ..self }
    }

    fn parameter(&self, index: usize) -> Option<&Parameter> {
        self.parameters.get(index).or(self.rest.as_ref())
    }
}

fn all() -> impl Iterator<Item = &'static Function> {
    [
        numeric::TABLE,
        string::TABLE,
        format::TABLE,
        collection::TABLE,
        conversion::TABLE,
        encoding::TABLE,
        file::TABLE,
        hash::TABLE,
        ip::TABLE,
        time::TABLE,
        secret::TABLE,
    ]
    .into_iter()
    .flatten()
}

/// The names of all functions, in order.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = all().map(|function| function.name).chain(lazy::NAMES.iter().copied()).collect();
    names.sort_unstable();
    names
}

fn find(name: &str) -> Option<&'static Function> {
    use std::collections::HashMap;
    static BY_NAME: std::sync::LazyLock<HashMap<&'static str, &'static Function>> =
        std::sync::LazyLock::new(|| all().map(|function| (function.name, function)).collect());
    BY_NAME.get(name).copied()
}

/// The value of a call.
pub(super) fn call(evaluator: &mut Evaluator<'_>, expr: &Expr, call: &Call) -> Evaluated {
    if let Some(value) = lazy::call(evaluator, expr, call) {
        return value;
    }
    let Some(function) = find(&call.name) else {
        for argument in &call.arguments {
            let _ = evaluator.eval(argument);
        }
        let detail = match did_you_mean(&call.name, names()) {
            Some(close) => format!("There is no function `{}`. Did you mean `{close}`?", call.name),
            None => format!("There is no function `{}`.", call.name),
        };
        let detail = match call.name.as_ref() {
            "timestamp" | "plantimestamp" | "uuid" | "bcrypt" => format!(
                "`{}` would give another value each time, and a plan would never be what is applied. Give the value as a variable.",
                call.name
            ),
            "rsadecrypt" => "Let a program print the text: `secret_command([...])`.".to_owned(),
            _ => detail,
        };
        let code = if call.name.contains("::") { "unknown-provider-function" } else { "call-to-unknown-function" };
        return Err(evaluator.fail(expr, code, "This function does not exist", detail));
    };
    if function.name == "templatestring"
        && let [template, _] = call.arguments.as_slice()
        && !is_reference(template)
    {
        let detail = "`template` of `templatestring` is a name, like `local.greeting`. A template that stands in the \
                      configuration itself needs no function.";
        return Err(evaluator.fail(template, "invalid-function-argument", "This argument does not fit", detail));
    }
    let evaluated: Vec<Evaluated> = call.arguments.iter().map(|argument| evaluator.eval(argument)).collect();
    let mut arguments: Vec<Value> = evaluated.into_iter().collect::<Result<_, _>>()?;
    let mut sensitive = false;
    if call.expands
        && let Some(last) = arguments.pop()
    {
        let argument = call.arguments.last().unwrap_or(expr);
        let Some(elements) = expanded(evaluator, argument, &last)? else {
            return Ok(Value::unknown_of(function.gives.ty()).marked(last.is_sensitive_anywhere()));
        };
        sensitive = last.sensitive;
        arguments.extend(elements);
    }
    check_count(evaluator, expr, call, function, arguments.len())?;
    let mut unknown = false;
    for (index, argument) in arguments.iter_mut().enumerate() {
        let Some(parameter) = function.parameter(index) else { continue };
        let span = call.arguments.get(index).or(call.arguments.last()).unwrap_or(expr);
        if argument.is_null() && !parameter.null {
            let detail = format!("`{}` of `{}` cannot be null.", parameter.name, function.name);
            return Err(evaluator.fail(span, "invalid-function-argument", "This argument is null", detail));
        }
        if parameter.looks != Looks::AtShape {
            evaluator.look(span, &[&*argument])?;
        }
        let ty = parameter.takes.ty();
        evaluator.note_conversion(argument, &ty);
        match convert(argument, &ty) {
            Ok(converted) => *argument = converted,
            Err(misfit) => {
                let detail = format!(
                    "`{}` of `{}` is given {}: {misfit}.",
                    parameter.name,
                    function.name,
                    with_article(&argument.ty())
                );
                return Err(evaluator.fail(span, "invalid-function-argument", "This argument does not fit", detail));
            }
        }
        match parameter.looks {
            Looks::Through => {
                unknown |= argument.has_unknown();
                sensitive |= argument.is_sensitive_anywhere();
                *argument = argument.without_marks();
            }
            Looks::AtShape => {
                unknown |= argument.is_unknown();
                sensitive |= argument.sensitive;
                argument.sensitive = false;
            }
            Looks::AsItIs => {}
        }
    }
    if unknown {
        return Ok(Value::unknown_of(function.gives.ty()).marked(sensitive));
    }
    // Looked for only where it matters: the values may be large.
    let is_secret = || sensitive || arguments.iter().any(Value::is_sensitive_anywhere);
    let outcome = (function.run)(evaluator, &arguments);
    let owed = evaluator.take_owed();
    evaluator.step(expr, owed)?;
    match outcome {
        Ok(value) => {
            let length = value.as_text().map_or(0, |text| text.len());
            let elements = value.elements().map_or(0, |elements| elements.len());
            let fields = value.fields().map_or(0, |fields| fields.len());
            evaluator.step(expr, (elements + fields) * STEPS_OF_A_PART)?;
            evaluator.make_text(expr, length)?;
            if length > LONGEST_TEXT {
                return Err(evaluator.too_long(expr));
            }
            Ok(value.marked(sensitive))
        }
        Err(Fault::Failed(failed)) => Err(failed),
        Err(Fault::TooLong) => Err(evaluator.too_long(expr)),
        Err(Fault::Argument(index, why)) => {
            let argument = call.arguments.get(index).or(call.arguments.last()).unwrap_or(expr);
            let name = function.parameter(index).map_or("", |parameter| parameter.name);
            let detail = match is_secret() {
                true => {
                    format!("`{name}` of `{}` does not fit. More cannot be said: a value is sensitive.", function.name)
                }
                false => format!("`{name}` of `{}`: {why}.", function.name),
            };
            Err(evaluator.fail(argument, "invalid-function-argument", "This argument does not fit", detail))
        }
        Err(Fault::Call(why)) => {
            let detail = match is_secret() {
                true => format!("`{}` has no result. More cannot be said: a value is sensitive.", function.name),
                false => format!("`{}`: {why}.", function.name),
            };
            Err(evaluator.fail(expr, "error-in-function-call", "This call has no result", detail))
        }
    }
}

/// Whether the expression names a value that stands elsewhere, or a part of it.
fn is_reference(expr: &Expr) -> bool {
    match &expr.node {
        Node::Variable(_) => true,
        Node::Attribute(inner, ..) | Node::Index(inner, _) | Node::Splat(inner, _) => is_reference(inner),
        _ => false,
    }
}

/// The arguments that `...` makes of the last one; `None` while they are unknown.
fn expanded(evaluator: &mut Evaluator<'_>, argument: &Expr, list: &Value) -> Result<Option<Vec<Value>>, Failed> {
    match (&list.data, list.elements()) {
        (_, Some(elements)) => Ok(Some(elements.to_vec())),
        (Data::Unknown(Type::Any | Type::List(_) | Type::Set(_) | Type::Tuple(_)), _) => Ok(None),
        _ => Err(evaluator.fail(
            argument,
            "invalid-expanding-argument-value",
            "`...` needs a list",
            format!("It is {}; its elements would be the arguments.", with_article(&list.ty())),
        )),
    }
}

fn check_count(
    evaluator: &mut Evaluator<'_>,
    expr: &Expr,
    call: &Call,
    function: &Function,
    count: usize,
) -> Result<(), Failed> {
    let wanted = function.parameters.len();
    let usage = || {
        let mut names: Vec<&str> = function.parameters.iter().map(|parameter| parameter.name).collect();
        let more = function.rest.map(|rest| format!("{}...", rest.name));
        names.extend(more.as_deref());
        format!("It is called `{}({})`.", function.name, names.join(", "))
    };
    if count < wanted {
        let summary = format!("An argument is missing: `{}`", function.parameters[count].name);
        return Err(evaluator.fail(expr, "not-enough-function-arguments", summary, usage()));
    }
    if count > wanted && function.rest.is_none() {
        let extra = call.arguments.get(wanted).unwrap_or(expr);
        return Err(evaluator.fail(extra, "too-many-function-arguments", "There are too many arguments", usage()));
    }
    Ok(())
}

/// The text of an argument that has been converted to one.
fn text(arguments: &[Value], index: usize) -> &str {
    arguments.get(index).and_then(|value| value.as_text()).map_or("", |text| text)
}

/// The number of an argument that has been converted to one.
fn number(arguments: &[Value], index: usize) -> &super::number::Number {
    static ZERO: std::sync::LazyLock<super::number::Number> = std::sync::LazyLock::new(super::number::Number::zero);
    arguments.get(index).and_then(Value::as_number).unwrap_or(&ZERO)
}

/// The whole number of an argument; `what` names it in the error.
fn whole(arguments: &[Value], index: usize) -> Result<i64, Fault> {
    number(arguments, index).to_i64().ok_or_else(|| Fault::call("a whole number is required"))
}

/// The elements of an argument that has been converted to a collection.
fn elements(arguments: &[Value], index: usize) -> &[Value] {
    arguments.get(index).and_then(Value::elements).map_or(&[], |elements| elements.as_slice())
}

/// The texts of an argument that has been converted to a list of them; null elements are left out.
fn texts(arguments: &[Value], index: usize) -> Vec<&str> {
    elements(arguments, index).iter().filter_map(|value| value.as_text()).map(|text| text.as_ref()).collect()
}

/// The element type of a collection.
fn element_type(value: &Value) -> Type {
    match &value.data {
        Data::List(ty, _) | Data::Set(ty, _) | Data::Map(ty, _) => ty.clone(),
        _ => Type::Any,
    }
}
