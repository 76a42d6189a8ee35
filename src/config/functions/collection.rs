//! Functions of lists, sets, maps and objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use super::super::convert::{convert, is_open, stays_as_it_is, unify};
use super::super::eval::{Evaluator, Failed, equal};
use super::super::types::Type;
use super::super::value::{Data, Fields, Value};
use super::{
    Fault, Function, Outcome, Parameter, Takes, element_type, elements, function, number, takes, text, texts, whole,
};

const LIST: Parameter = takes("list", Takes::Any);
const MOST: usize = 1_000_000;

pub(super) const TABLE: &[Function] = &[
    function("alltrue", &[takes("list", Takes::Any)], Takes::Bool, |_, arguments| {
        Ok(bools(arguments)?.into_iter().all(|value| value == Some(true)).into())
    }),
    function("anytrue", &[takes("list", Takes::Any)], Takes::Bool, |_, arguments| {
        Ok(bools(arguments)?.into_iter().any(|value| value == Some(true)).into())
    }),
    function(
        "chunklist",
        &[takes("list", Takes::ListOf).shape(), takes("size", Takes::Number)],
        Takes::Any,
        |_, arguments| {
            let size = usize::try_from(whole(arguments, 1)?).map_err(|_| Fault::call("the size cannot be negative"))?;
            let ty = Type::list(element_type(&arguments[0]));
            let all = elements(arguments, 0);
            let chunks = match size {
                0 if all.is_empty() => Vec::new(),
                0 => vec![arguments[0].clone()],
                _ => all.chunks(size).map(|chunk| Value::list(element_type(&arguments[0]), chunk.to_vec())).collect(),
            };
            Ok(Value::list(ty, chunks))
        },
    ),
    function("coalesce", &[], Takes::Any, |_, arguments| coalesce(arguments))
        .and_more(takes("vals", Takes::Any).as_it_is()),
    function("coalescelist", &[], Takes::Any, |_, arguments| {
        if arguments.is_empty() {
            return Err(Fault::call("at least one list is required"));
        }
        let is_list = |value: &Value| match value.ty() {
            Type::Any => value.is_unknown(),
            ty => matches!(ty, Type::List(_) | Type::Tuple(_)),
        };
        if !arguments.iter().all(is_list) {
            return Err(Fault::call("an argument is not a list or tuple"));
        }
        // Which list was taken tells something of each.
        let sensitive = arguments.iter().any(Value::is_sensitive_anywhere);
        for value in arguments {
            if value.is_unknown() {
                return Ok(Value::unknown().marked(sensitive));
            }
            if value.elements().is_some_and(|elements| !elements.is_empty()) {
                return Ok(value.without_marks().marked(sensitive));
            }
        }
        Err(Fault::call("all lists are empty"))
    })
    .and_more(takes("vals", Takes::Any).as_it_is()),
    function("compact", &[takes("list", Takes::Texts)], Takes::Texts, |_, arguments| {
        Ok(Value::texts(texts(arguments, 0).into_iter().filter(|text| !text.is_empty())))
    }),
    function("concat", &[], Takes::Any, concat).and_more(takes("seqs", Takes::Any).shape()),
    function("contains", &[takes("list", Takes::Any), takes("value", Takes::Any)], Takes::Bool, |_, arguments| {
        if arguments[0].elements().is_none() {
            return Err(Fault::call("a list, set or tuple is required"));
        }
        Ok(elements(arguments, 0).iter().any(|element| equal(element, &arguments[1]) == Some(true)).into())
    }),
    function("distinct", &[takes("list", Takes::ListOf)], Takes::Any, |_, arguments| {
        let mut distinct: Vec<Value> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for element in elements(arguments, 0) {
            if seen.insert(Ordered(element.clone())) {
                distinct.push(element.clone());
            }
        }
        Ok(Value::list(element_type(&arguments[0]), distinct))
    }),
    function("element", &[LIST.shape(), takes("index", Takes::Number)], Takes::Any, |_, arguments| element(arguments)),
    function("flatten", &[LIST.shape()], Takes::Any, |evaluator, arguments| {
        if arguments[0].elements().is_none() {
            return Err(Fault::call("a list, set or tuple is required"));
        }
        let mut flat = Vec::new();
        match flatten(evaluator, &arguments[0], false, &mut flat)? {
            true => Ok(Value::tuple(flat)),
            false => Ok(Value::unknown()),
        }
    }),
    function("index", &[takes("list", Takes::Any), takes("value", Takes::Any)], Takes::Number, |_, arguments| {
        if !matches!(arguments[0].data, Data::List(..) | Data::Tuple(_)) {
            return Err(Fault::call("a list or tuple is required"));
        }
        let found = elements(arguments, 0).iter().position(|element| equal(element, &arguments[1]) == Some(true));
        found.map(Value::count).ok_or_else(|| Fault::call("the list does not hold the value"))
    }),
    function("keys", &[takes("inputMap", Takes::Any).shape()], Takes::Any, |_, arguments| {
        let Some(fields) = arguments[0].fields() else {
            return Err(Fault::argument(0, "a map or object is required"));
        };
        let keys: Vec<Value> = fields.keys().map(|key| Data::Text(key.clone()).into()).collect();
        Ok(match arguments[0].data {
            Data::Map(..) => Value::list(Type::Text, keys),
            _ => Value::tuple(keys),
        })
    }),
    function("length", &[takes("value", Takes::Any).shape()], Takes::Number, |_, arguments| {
        let length = match &arguments[0].data {
            Data::Text(text) => text.graphemes(true).count(),
            Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => elements.len(),
            Data::Map(_, fields) => fields.len(),
            Data::Object(object) => object.fields.len(),
            _ => return Err(Fault::call("a text or a collection is required")),
        };
        Ok(Value::count(length))
    }),
    function(
        "lookup",
        &[takes("inputMap", Takes::Any).shape(), takes("key", Takes::Text)],
        Takes::Any,
        |_, arguments| lookup(arguments),
    )
    .and_more(takes("default", Takes::Any).as_it_is()),
    function(
        "matchkeys",
        &[takes("values", Takes::ListOf), takes("keys", Takes::ListOf), takes("searchset", Takes::ListOf)],
        Takes::Any,
        |_, arguments| matchkeys(arguments),
    ),
    function("merge", &[], Takes::Any, merge).and_more(takes("maps", Takes::Any).shape().or_null()),
    function("one", &[LIST.shape()], Takes::Any, |_, arguments| {
        let Some(all) = arguments[0].elements() else {
            return Err(Fault::argument(0, "a list, set or tuple is required"));
        };
        match all.as_slice() {
            [] => Ok(Value::null_of(element_type(&arguments[0]))),
            [only] => Ok(only.clone()),
            _ => Err(Fault::argument(0, "there is more than one element")),
        }
    }),
    function("reverse", &[LIST.shape()], Takes::Any, |_, arguments| {
        let Some(all) = arguments[0].elements() else {
            return Err(Fault::argument(0, "a list, set or tuple is required"));
        };
        let reversed: Vec<Value> = all.iter().rev().cloned().collect();
        Ok(match &arguments[0].data {
            Data::Tuple(_) => Value::tuple(reversed),
            _ => Value::list(element_type(&arguments[0]), reversed),
        })
    }),
    function("setintersection", &[takes("first_set", Takes::SetOf)], Takes::Any, |_, arguments| {
        sets(arguments, |element, others| others.iter().all(|other| other.contains(element)), false)
    })
    .and_more(takes("other_sets", Takes::SetOf)),
    function("setproduct", &[], Takes::Any, set_product).and_more(takes("sets", Takes::Any).shape()),
    function("setsubtract", &[takes("a", Takes::SetOf), takes("b", Takes::SetOf)], Takes::Any, |_, arguments| {
        sets(arguments, |element, others| !others.iter().any(|other| other.contains(element)), false)
    }),
    function("setunion", &[takes("first_set", Takes::SetOf)], Takes::Any, |_, arguments| {
        sets(arguments, |_, _| true, true)
    })
    .and_more(takes("other_sets", Takes::SetOf)),
    function(
        "slice",
        &[LIST.shape(), takes("start_index", Takes::Number), takes("end_index", Takes::Number)],
        Takes::Any,
        |_, arguments| slice(arguments),
    ),
    function("sort", &[takes("list", Takes::Texts)], Takes::Texts, |_, arguments| {
        if elements(arguments, 0).iter().any(Value::is_null) {
            return Err(Fault::call("an element is null"));
        }
        let mut sorted = texts(arguments, 0);
        sorted.sort_unstable();
        Ok(Value::texts(sorted))
    }),
    function("transpose", &[takes("values", Takes::TextsByText)], Takes::TextsByText, |_, arguments| {
        transpose(arguments)
    }),
    function("values", &[takes("mapping", Takes::Any).shape()], Takes::Any, |_, arguments| {
        let Some(fields) = arguments[0].fields() else {
            return Err(Fault::call("a map or object is required"));
        };
        let values: Vec<Value> = fields.values().cloned().collect();
        Ok(match arguments[0].data {
            Data::Map(..) => Value::list(element_type(&arguments[0]), values),
            _ => Value::tuple(values),
        })
    }),
    function(
        "zipmap",
        &[takes("keys", Takes::Texts), takes("values", Takes::Any).shape()],
        Takes::Any,
        |_, arguments| zipmap(arguments),
    ),
];

/// Values in the order of sets.
struct Ordered(Value);

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.0.order(&other.0).is_eq()
    }
}

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.order(&other.0)
    }
}

fn bools(arguments: &[Value]) -> Result<Vec<Option<bool>>, Fault> {
    let list = convert(&arguments[0], &Type::list(Type::Bool));
    let list = list.map_err(|misfit| Fault::argument(0, misfit.to_string()))?;
    Ok(elements(&[list], 0).iter().map(Value::as_bool).collect())
}

fn coalesce(arguments: &[Value]) -> Outcome {
    if arguments.is_empty() {
        return Err(Fault::call("at least one value is required"));
    }
    let types: Vec<Type> = arguments.iter().map(Value::ty).collect();
    let ty = unify(&types).ok_or_else(|| Fault::call("all arguments must have the same type"))?;
    let is_open = arguments.iter().any(is_open);
    // Which value was taken tells something of each.
    let sensitive = arguments.iter().any(Value::is_sensitive_anywhere);
    for value in arguments {
        let value = convert(value, &ty).map_err(|misfit| Fault::call(misfit.to_string()))?;
        let is_empty = ty == Type::Text && value.as_text().is_some_and(|text| text.is_empty());
        if value.is_null() || is_empty {
            continue;
        }
        if is_open && (value.is_unknown() || !stays_as_it_is(&value)) {
            return Ok(Value::unknown().marked(sensitive));
        }
        return Ok(match value.is_unknown() {
            true => Value::unknown_of(ty).marked(sensitive),
            false => value.without_marks().marked(sensitive),
        });
    }
    Err(Fault::call("all arguments are null or empty"))
}

fn concat(evaluator: &mut Evaluator<'_>, arguments: &[Value]) -> Outcome {
    if arguments.is_empty() {
        return Err(Fault::call("at least one list is required"));
    }
    let mut all = Vec::new();
    let mut lists = Vec::new();
    for (index, value) in arguments.iter().enumerate() {
        evaluator.owe_new(value.elements().map_or(0, |elements| elements.len()))?;
        match &value.data {
            Data::List(ty, elements) => {
                lists.push(ty.clone());
                all.extend(elements.iter().cloned());
            }
            Data::Tuple(elements) => all.extend(elements.iter().cloned()),
            _ => return Err(Fault::argument(index, "a list or tuple is required")),
        }
    }
    if lists.len() == arguments.len()
        && let Some(ty) = unify(&lists)
    {
        let list = convert(&Value::tuple(all.clone()), &Type::list(ty.clone()));
        if all.is_empty() {
            return Ok(Value::list(ty, all));
        }
        if let Ok(list) = list {
            return Ok(list);
        }
    }
    Ok(Value::tuple(all))
}

fn element(arguments: &[Value]) -> Outcome {
    let all = match &arguments[0].data {
        Data::List(_, elements) | Data::Tuple(elements) => elements,
        _ => return Err(Fault::call("a list or tuple is required")),
    };
    let index = number(arguments, 1).to_i64().ok_or_else(|| Fault::call("the index is a whole number"))?;
    if all.is_empty() {
        return Err(Fault::call("the list is empty"));
    }
    // Behind the last element comes the first, and in a list the last comes before the first.
    let count = all.len() as i64;
    if index % count < 0 && matches!(arguments[0].data, Data::Tuple(_)) {
        return Err(Fault::call("in a tuple the index counts from 0; `tolist` makes a list of it"));
    }
    Ok(all[index.rem_euclid(count) as usize].clone())
}

/// Adds the elements of nested lists; false where a nested list is not known.
fn flatten(
    evaluator: &mut Evaluator<'_>,
    value: &Value,
    sensitive: bool,
    flat: &mut Vec<Value>,
) -> Result<bool, Failed> {
    evaluator.owe_new(1)?;
    match (&value.data, value.elements()) {
        (Data::Unknown(Type::Any | Type::List(_) | Type::Set(_) | Type::Tuple(_)), _) => Ok(false),
        (_, Some(elements)) => {
            let sensitive = sensitive || value.sensitive;
            for element in elements.iter() {
                if !flatten(evaluator, element, sensitive, flat)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => {
            flat.push(value.clone().marked(sensitive));
            Ok(true)
        }
    }
}

fn lookup(arguments: &[Value]) -> Outcome {
    if arguments.len() > 3 {
        return Err(Fault::call("it takes a map, a key and at most one default"));
    }
    let Some(fields) = arguments[0].fields() else {
        return Err(Fault::argument(0, "a map or object is required"));
    };
    let is_map = matches!(arguments[0].data, Data::Map(..));
    let default = arguments.get(2);
    let fitting_default = match (default, is_map) {
        (Some(default), true) => {
            let ty = element_type(&arguments[0]);
            Some(convert(default, &ty).map_err(|misfit| Fault::argument(2, misfit.to_string()))?)
        }
        (default, _) => default.cloned(),
    };
    if let Some(value) = fields.get(text(arguments, 1)) {
        return Ok(value.clone());
    }
    match (fitting_default, is_map) {
        (Some(default), _) => Ok(default),
        (None, true) => Err(Fault::call("there is no such key, and no default")),
        (None, false) => Err(Fault::argument(1, "there is no such attribute, and no default")),
    }
}

fn matchkeys(arguments: &[Value]) -> Outcome {
    let (values, keys) = (elements(arguments, 0), elements(arguments, 1));
    let ty = element_type(&arguments[0]);
    let (key_type, search_type) = (element_type(&arguments[1]), element_type(&arguments[2]));
    let common = unify(&[key_type, search_type]);
    let common = common.ok_or_else(|| Fault::call("the keys and those to search for must have one type"))?;
    if values.len() != keys.len() {
        return Err(Fault::call("there must be as many keys as values"));
    }
    let same = |value: &Value| convert(value, &common).unwrap_or_else(|_| value.clone());
    let wanted: std::collections::BTreeSet<Ordered> =
        elements(arguments, 2).iter().map(|value| Ordered(same(value))).collect();
    let matching = values.iter().zip(keys).filter(|(_, key)| wanted.contains(&Ordered(same(key))));
    Ok(Value::list(ty, matching.map(|(value, _)| value.clone()).collect()))
}

fn merge(evaluator: &mut Evaluator<'_>, arguments: &[Value]) -> Outcome {
    // Behind a null without type nothing is known of the types, and whatever has elements with names is taken.
    let mut is_open = false;
    let mut fields = Vec::new();
    for value in arguments {
        evaluator.owe_new(value.fields().map_or(0, |fields| fields.len()))?;
        let ty = value.ty();
        is_open |= ty == Type::Any;
        let fits = matches!(ty, Type::Map(_) | Type::Object(_) | Type::Resource(_) | Type::AnyResource);
        match &value.data {
            _ if !fits && !is_open => return Err(Fault::call("maps or objects are required")),
            Data::Null(_) => {}
            Data::Map(_, of_value) => fields.extend(of_value.iter().map(|(name, value)| (name.clone(), value.clone()))),
            Data::Object(object) => {
                fields.extend(object.fields.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            Data::Set(_, elements) if elements.iter().all(|element| element.as_text().is_some()) => {
                let named = elements.iter().filter_map(|element| Some((element.as_text()?.clone(), element.clone())));
                fields.extend(named);
            }
            Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) if elements.is_empty() => {}
            _ => return Err(Fault::call("maps or objects are required")),
        }
    }
    let fields: Fields = fields.into_iter().collect();
    // Maps of one type give a map; everything else an object.
    let first = arguments.first().map(Value::ty);
    let alike = !is_open && arguments.iter().all(|value| Some(value.ty()) == first);
    Ok(match first {
        Some(Type::Map(element)) if alike => Value::map((*element).clone(), fields),
        _ => Value::object(fields),
    })
}

/// The elements of the first set, or of all, that `keeps` keeps.
fn sets(
    arguments: &[Value],
    keeps: fn(&Ordered, &[std::collections::BTreeSet<Ordered>]) -> bool,
    all: bool,
) -> Outcome {
    let types: Vec<Type> = arguments
        .iter()
        .filter(|value| !elements(std::slice::from_ref(*value), 0).is_empty() || element_type(value) != Type::Any)
        .map(element_type)
        .collect();
    let ty = match types.is_empty() {
        true => Some(Type::Any),
        false => unify(&types).filter(|ty| *ty != Type::Any || types.iter().all(|ty| *ty == Type::Any)),
    };
    let ty = ty.ok_or_else(|| Fault::call("all sets must have elements of the same type"))?;
    let mut converted = Vec::new();
    for (index, value) in arguments.iter().enumerate() {
        let set = convert(value, &Type::set(ty.clone()));
        converted.push(set.map_err(|misfit| Fault::argument(index, misfit.to_string()))?);
    }
    let ordered = |value: &Value| {
        let elements = value.elements().into_iter().flat_map(|elements| elements.iter());
        elements.map(|element| Ordered(element.clone())).collect::<std::collections::BTreeSet<_>>()
    };
    let others: Vec<_> = converted.iter().skip(1).map(ordered).collect();
    let candidates = converted.iter().take(if all { converted.len() } else { 1 });
    let kept = candidates
        .flat_map(|set| set.elements().into_iter().flat_map(|elements| elements.iter().cloned()))
        .filter(|element| keeps(&Ordered(element.clone()), &others))
        .collect();
    Ok(Value::set(ty, kept))
}

fn set_product(evaluator: &mut Evaluator<'_>, arguments: &[Value]) -> Outcome {
    if arguments.len() < 2 {
        return Err(Fault::call("at least two sets are required"));
    }
    let mut types = Vec::new();
    let mut parts = Vec::new();
    let mut count = 1usize;
    let mut any_set = false;
    for (index, value) in arguments.iter().enumerate() {
        if value.elements().is_none() {
            return Err(Fault::argument(index, "a list, set or tuple is required"));
        }
        any_set |= matches!(value.data, Data::Set(..));
        let list = convert(value, &Type::list(Type::Any)).map_err(|misfit| Fault::call(misfit.to_string()))?;
        // Where the elements have no type yet, nobody knows what they have in common.
        if list.is_unknown() {
            return Ok(Value::unknown());
        }
        types.push(element_type(&list));
        let elements = elements(&[list], 0).to_vec();
        count = count.saturating_mul(elements.len());
        parts.push(elements);
    }
    if count > MOST {
        return Err(Fault::call(format!("more than {MOST} combinations would be made")));
    }
    evaluator.owe_parts(count.saturating_mul(arguments.len() + 1))?;
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for part in &parts {
        rows = rows
            .iter()
            .flat_map(|row| part.iter().map(move |element| row.iter().chain([element]).cloned().collect()))
            .collect();
    }
    let ty = Type::tuple(types);
    let rows = rows.into_iter().map(Value::tuple).collect();
    Ok(if any_set { Value::set(ty, rows) } else { Value::list(ty, rows) })
}

fn slice(arguments: &[Value]) -> Outcome {
    let all = match &arguments[0].data {
        Data::List(_, elements) | Data::Tuple(elements) => elements,
        _ => return Err(Fault::argument(0, "a list or tuple is required")),
    };
    let index = |at: usize| {
        let index = number(arguments, at).to_u64().and_then(|index| usize::try_from(index).ok());
        let index = index.filter(|index| *index <= all.len());
        index.ok_or_else(|| Fault::argument(at, format!("it is a whole number from 0 to {}", all.len())))
    };
    let (start, end) = (index(1)?, index(2)?);
    if start > end {
        return Err(Fault::argument(1, "it cannot be larger than the end"));
    }
    let part = all[start..end].to_vec();
    Ok(match &arguments[0].data {
        Data::Tuple(_) => Value::tuple(part),
        _ => Value::list(element_type(&arguments[0]), part),
    })
}

fn transpose(arguments: &[Value]) -> Outcome {
    let mut transposed: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
    for (key, values) in arguments[0].fields().into_iter().flatten() {
        if values.is_null() {
            return Err(Fault::call("a list is null"));
        }
        for value in values.elements().into_iter().flat_map(|values| values.iter()) {
            let name = value.as_text().ok_or_else(|| Fault::call("an element is null"))?;
            transposed.entry(name.clone()).or_default().push(Data::Text(key.clone()).into());
        }
    }
    let list = Type::list(Type::Text);
    let fields = transposed.into_iter().map(|(name, keys)| (name, Value::list(Type::Text, keys)));
    Ok(Value::map(list, fields.collect()))
}

fn zipmap(arguments: &[Value]) -> Outcome {
    let values = match &arguments[1].data {
        Data::List(_, elements) | Data::Tuple(elements) => elements,
        _ => return Err(Fault::call("the values are a list or tuple")),
    };
    let keys = elements(arguments, 0);
    if keys.len() != values.len() {
        return Err(Fault::call("there must be as many keys as values"));
    }
    let mut fields = Vec::with_capacity(keys.len());
    for (key, value) in keys.iter().zip(values.iter()) {
        let key = key.as_text().ok_or_else(|| Fault::call("a key is null"))?;
        fields.push((key.clone(), value.clone()));
    }
    let fields: Fields = fields.into_iter().collect();
    Ok(match &arguments[1].data {
        Data::List(ty, _) => Value::map(ty.clone(), fields),
        _ => Value::object(fields),
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::number::Number;
    use super::*;

    #[test]
    fn equal_numbers_are_one_element() {
        let two = |text: &str| Value::from(Number::parse(text).expect("a number").expect("in range"));
        let set = Value::set(Type::Number, vec![two("2"), two("2.0"), two("1")]);
        assert_eq!(set.elements().map(|elements| elements.len()), Some(2));
    }
}
