//! Functions about types and sensitivity.

use super::super::convert::convert;
use super::super::types::Type;
use super::super::value::Value;
use super::{Fault, Function, Looks, Outcome, Parameter, Takes, function, takes};

const ANY: &[Parameter] = &[takes("v", Takes::Any).as_it_is()];

pub(super) const TABLE: &[Function] = &[
    function("ephemeralasnull", ANY, Takes::Any, |_, arguments| Ok(arguments[0].clone())),
    function("issensitive", ANY, Takes::Bool, |_, arguments| {
        match arguments[0].is_unknown() {
            // Which of several it becomes may decide.
            true => Ok(Value::unknown_of(Type::Bool)),
            false => Ok(Value::from(arguments[0].sensitive)),
        }
    }),
    function("nonsensitive", ANY, Takes::Any, |_, arguments| {
        let mut value = arguments[0].clone();
        value.sensitive = false;
        Ok(value.without_marks())
    }),
    function("sensitive", ANY, Takes::Any, |_, arguments| Ok(arguments[0].clone().marked(true))),
    function("tobool", ANY, Takes::Bool, |_, arguments| to(arguments, Type::Bool)),
    function("tolist", ANY, Takes::Any, |_, arguments| to(arguments, Type::list(Type::Any))),
    function("tomap", ANY, Takes::Any, |_, arguments| to(arguments, Type::map(Type::Any))),
    function("tonumber", ANY, Takes::Number, |_, arguments| to(arguments, Type::Number)),
    function("toset", ANY, Takes::Any, |_, arguments| to(arguments, Type::set(Type::Any))),
    function("tostring", ANY, Takes::Text, |_, arguments| to(arguments, Type::Text)),
    function(
        "type",
        &[Parameter { looks: Looks::AsItIs, ..takes("v", Takes::Any).or_null() }],
        Takes::Text,
        |_, arguments| {
            let (value, ty) = (&arguments[0], arguments[0].ty());
            let said = match value.has_unknown() && ty.has_any() {
                true => Value::unknown_of(Type::Text),
                false => Value::from(ty.to_string()),
            };
            // Names of attributes and numbers of elements are a part of the type; that something is a text is no secret.
            Ok(said.marked(ty.has_shape() && value.is_sensitive_anywhere()))
        },
    ),
];

fn to(arguments: &[Value], ty: Type) -> Outcome {
    let value = &arguments[0];
    convert(value, &ty).map_err(|misfit| {
        Fault::argument(0, format!("this {} does not become a {}: {misfit}", value.ty().words(), ty.words()))
    })
}
