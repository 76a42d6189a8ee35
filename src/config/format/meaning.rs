//! Whether two syntax trees mean the same, wherever their parts stand in the text.

use crate::config::syntax::{Attribute, Block, Body, Call, Expr, For, Node, Part};

/// Whether all attributes and blocks are the same, in the same order. Brackets around the whole value of an attribute mean
/// nothing.
pub(super) fn is_same(one: &Body, other: &Body) -> bool {
    let Body { attributes, blocks, has_gaps } = one;
    !has_gaps
        && !other.has_gaps
        && all(attributes, &other.attributes, |one, other| {
            let Attribute { name, name_span: _, value } = one;
            *name == other.name && expressions(value.bare(), other.value.bare())
        })
        && all(blocks, &other.blocks, |one, other| {
            let Block { word, header: _, end: _, labels, body } = one;
            *word == other.word
                && all(labels, &other.labels, |(one, _), (other, _)| one == other)
                && is_same(body, &other.body)
        })
}

fn all<T>(one: &[T], other: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}

fn expressions(one: &Expr, other: &Expr) -> bool {
    let same = expressions;
    match (&one.node, &other.node) {
        // The parser makes nothing but plain literals, and these show all that they are.
        (Node::Literal(one), Node::Literal(other)) => format!("{one:?}") == format!("{other:?}"),
        (Node::Variable(one), Node::Variable(other)) => one == other,
        (Node::Template(one), Node::Template(other)) => all(one, other, parts),
        (Node::Tuple(one), Node::Tuple(other)) => all(one, other, same),
        (Node::Object(one), Node::Object(other)) => {
            all(one, other, |one, other| same(&one.0, &other.0) && same(&one.1, &other.1))
        }
        (Node::Attribute(one, name, _), Node::Attribute(other, other_name, _)) => {
            name == other_name && same(one, other)
        }
        (Node::Index(one, index), Node::Index(other, other_index)) => same(one, other) && same(index, other_index),
        (Node::Splat(one, item), Node::Splat(other, other_item)) => same(one, other) && same(item, other_item),
        (Node::Item, Node::Item) => true,
        (Node::Call(one), Node::Call(other)) => {
            let Call { name, arguments, expands } = &**one;
            *name == other.name && *expands == other.expands && all(arguments, &other.arguments, same)
        }
        (Node::Conditional(one), Node::Conditional(other)) => all(&one[..], &other[..], same),
        (Node::Binary(operator, one), Node::Binary(other_operator, other)) => {
            operator == other_operator && all(&one[..], &other[..], same)
        }
        (Node::Negate(one), Node::Negate(other))
        | (Node::Not(one), Node::Not(other))
        | (Node::Parentheses(one), Node::Parentheses(other)) => same(one, other),
        (Node::For(one), Node::For(other)) => {
            let For { key_name, value_name, collection, key, value, condition, groups } = &**one;
            *key_name == other.key_name
                && *value_name == other.value_name
                && same(collection, &other.collection)
                && options(key.as_ref(), other.key.as_ref())
                && same(value, &other.value)
                && options(condition.as_ref(), other.condition.as_ref())
                && *groups == other.groups
        }
        _ => false,
    }
}

fn options(one: Option<&Expr>, other: Option<&Expr>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => expressions(one, other),
        (None, None) => true,
        _ => false,
    }
}

fn parts(one: &Part, other: &Part) -> bool {
    match (one, other) {
        (Part::Text(one), Part::Text(other)) => one == other,
        (Part::Interpolation(one), Part::Interpolation(other)) => expressions(one, other),
        (
            Part::If { condition, then, otherwise },
            Part::If { condition: other_condition, then: other_then, otherwise: other_otherwise },
        ) => {
            expressions(condition, other_condition)
                && all(then, other_then, parts)
                && all(otherwise, other_otherwise, parts)
        }
        (
            Part::For { key_name, value_name, collection, body },
            Part::For { key_name: other_key, value_name: other_value, collection: other_collection, body: other_body },
        ) => {
            key_name == other_key
                && value_name == other_value
                && expressions(collection, other_collection)
                && all(body, other_body, parts)
        }
        _ => false,
    }
}
