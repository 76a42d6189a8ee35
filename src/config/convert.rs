//! Conversion of values to types, and the one type that several types can become, as HCL defines both.

use std::sync::Arc;

use super::eval::sentence;
use super::number::Number;
use super::syntax::{Expr, Node};
use super::types::{Field, Type};
use super::value::{Data, Fields, Object, Value};

/// Why a value does not fit a type: where inside the value, and what is wrong there. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    pub path: String,
    pub why: String,
}

impl Misfit {
    fn new(why: impl Into<String>) -> Self {
        Misfit { path: String::new(), why: why.into() }
    }

    /// What is wrong with a value of that type, as sentences.
    pub(super) fn sentences(&self, given: &Type, wanted: &Type) -> String {
        match (self.path.is_empty(), wanted.is_primitive()) {
            (true, true) => format!("It is {}: {self}.", with_article(given)),
            (true, false) => format!("It is {}: {self}. The type is {wanted}.", with_article(given)),
            (false, _) => format!("{}. The type is {wanted}.", sentence(&self.to_string())),
        }
    }

    /// The same without names of elements, which are a part of the value.
    pub(super) fn concealed(self, is_secret: bool) -> Self {
        if is_secret { Misfit { path: String::new(), ..self } } else { self }
    }

    /// The part of the expression that does not fit, as far as it is written out.
    pub(super) fn part<'e>(&self, expr: &'e Expr) -> &'e Expr {
        let mut part = expr;
        // `[1].size["a"]`
        for step in self.path.split(['[', '.']).filter(|step| !step.is_empty()) {
            let step = step.trim_end_matches(']').trim_matches('"');
            let inner = match &part.node {
                Node::Tuple(elements) => step.parse::<usize>().ok().and_then(|index| elements.get(index)),
                Node::Object(items) => items
                    .iter()
                    .find(|(key, _)| key.literal_text().is_some_and(|name| name.as_ref() == step))
                    .map(|(_, value)| value),
                _ => None,
            };
            let Some(inner) = inner else { break };
            part = inner;
        }
        part
    }

    fn within(mut self, step: String) -> Self {
        self.path.insert_str(0, &step);
        self
    }
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.why),
            false => write!(f, "at `{}`: {}", self.path.trim_start_matches('.'), self.why),
        }
    }
}

/// The value as a value of that type.
pub(super) fn convert(value: &Value, to: &Type) -> Result<Value, Misfit> {
    let sensitive = value.sensitive;
    convert_data(value, to).map(|converted| converted.marked(sensitive))
}

fn convert_data(value: &Value, to: &Type) -> Result<Value, Misfit> {
    if *to == Type::Any {
        return Ok(value.clone());
    }
    match &value.data {
        Data::Null(ty) | Data::Unknown(ty) => {
            if *ty != Type::Any && !convertible(ty, to) {
                return Err(mismatch(ty, to));
            }
            let ty = match to.has_any() {
                true if ty != &Type::Any => ty.clone(),
                _ => to.plain(),
            };
            return Ok(if value.is_null() { Value::null_of(ty) } else { Value::unknown_of(ty) });
        }
        _ => {}
    }
    match (&value.data, to) {
        (Data::Bool(_), Type::Bool) | (Data::Number(_), Type::Number) | (Data::Text(_), Type::Text) => {
            Ok(value.clone())
        }
        (Data::Number(number), Type::Text) => Ok(Value::text(&number.to_string())),
        (Data::Bool(boolean), Type::Text) => Ok(Value::from(boolean.to_string())),
        (Data::Text(text), Type::Number) => match Number::parse(text) {
            Some(Ok(number)) => Ok(number.into()),
            Some(Err(out_of_range)) => Err(Misfit::new(out_of_range.to_string())),
            None => Err(Misfit::new("a number is required")),
        },
        (Data::Text(text), Type::Bool) => match text.as_ref() {
            "true" | "1" => Ok(true.into()),
            "false" | "0" => Ok(false.into()),
            _ => Err(Misfit::new("a bool is required: true or false")),
        },
        (Data::List(ty, elements) | Data::Set(ty, elements), Type::List(element)) => {
            let element = inner_type(element, ty);
            Ok(Value::list(element.plain(), convert_all(elements, &element)?))
        }
        (Data::Tuple(elements), Type::List(element)) => {
            let Some(element) = resolved(element, &elements.iter().collect::<Vec<_>>())? else {
                return Ok(Value::unknown_of(to.plain()));
            };
            Ok(Value::list(element.plain(), convert_all(elements, &element)?))
        }
        (Data::List(ty, elements) | Data::Set(ty, elements), Type::Set(element)) => {
            let element = inner_type(element, ty);
            Ok(Value::set(element.plain(), convert_all(elements, &element)?))
        }
        (Data::Tuple(elements), Type::Set(element)) => {
            let Some(element) = resolved(element, &elements.iter().collect::<Vec<_>>())? else {
                return Ok(Value::unknown_of(to.plain()));
            };
            Ok(Value::set(element.plain(), convert_all(elements, &element)?))
        }
        (Data::Tuple(elements), Type::Tuple(types)) => {
            if elements.len() != types.len() {
                return Err(Misfit::new(format!("a tuple of {} elements is required", types.len())));
            }
            let elements = elements.iter().zip(types.iter()).enumerate();
            let converted: Result<Vec<_>, _> = elements
                .map(|(index, (element, ty))| {
                    convert(element, ty).map_err(|misfit| misfit.within(format!("[{index}]")))
                })
                .collect();
            Ok(Value::tuple(converted?))
        }
        (Data::Map(ty, fields), Type::Map(element)) => {
            let element = inner_type(element, ty);
            Ok(Value::map(element.plain(), convert_fields(fields, &element)?))
        }
        (Data::Object(object), Type::Map(element)) => {
            // Unlike in a list, an element that is null without a type fits whatever the others are.
            let typed: Vec<&Value> =
                object.fields.values().filter(|value| !matches!(value.data, Data::Null(Type::Any))).collect();
            let Some(element) = resolved(element, &typed)? else {
                return Ok(Value::unknown_of(to.plain()));
            };
            Ok(Value::map(element.plain(), convert_fields(&object.fields, &element)?))
        }
        (Data::Map(_, fields), Type::Object(wanted)) => convert_object(fields, None, wanted),
        (Data::Object(object), Type::Object(wanted)) => convert_object(&object.fields, Some(object), wanted),
        (Data::Object(object), Type::Resource(kind)) => match &object.identity {
            Some(address) if address.is(kind) => Ok(value.clone()),
            _ => Err(mismatch(&value.ty(), to)),
        },
        (Data::Object(object), Type::AnyResource) if object.identity.is_some() => Ok(value.clone()),
        _ => Err(mismatch(&value.ty(), to)),
    }
}

fn mismatch(_from: &Type, to: &Type) -> Misfit {
    Misfit::new(format!("{} is required", with_article(to)))
}

/// "a string", "an object", as it stands in a sentence.
pub(super) fn with_article(ty: &Type) -> String {
    let words = ty.words();
    match words.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => format!("an {words}"),
        false => format!("a {words}"),
    }
}

/// The element type that a collection gets from a constraint, which may leave it as it is.
fn inner_type(wanted: &Type, given: &Type) -> Type {
    if *wanted == Type::Any { given.clone() } else { wanted.clone() }
}

/// The element type of a collection; where the constraint leaves it open, the one that all elements can become. `None`
/// while elements are unknown of which any type can come.
fn resolved(element: &Type, values: &[&Value]) -> Result<Option<Type>, Misfit> {
    if *element != Type::Any {
        return Ok(Some(element.clone()));
    }
    let types: Vec<Type> = values.iter().map(|value| value.ty()).collect();
    if types.iter().all(|ty| *ty == Type::Any) {
        return Ok(Some(Type::Any));
    }
    match unify(&types) {
        // An element without type fits no collection of others; what an unknown one fits is not known.
        Some(Type::Any) if values.iter().any(|value| value.is_unknown()) => Ok(None),
        Some(Type::Any) | None => Err(Misfit::new("all elements must have the same type")),
        found => Ok(found),
    }
}

fn convert_all(elements: &[Value], element: &Type) -> Result<Vec<Value>, Misfit> {
    let convert = |(index, value)| convert(value, element).map_err(|misfit| misfit.within(format!("[{index}]")));
    elements.iter().enumerate().map(convert).collect()
}

fn convert_fields(fields: &Fields, element: &Type) -> Result<Fields, Misfit> {
    let convert = |(name, value): (&Arc<str>, &Value)| match convert(value, element) {
        Ok(value) => Ok((name.clone(), value)),
        Err(misfit) => Err(misfit.within(format!("[{}]", serde_json::Value::from(name.as_ref())))),
    };
    fields.iter().map(convert).collect()
}

fn convert_object(
    fields: &Fields,
    source: Option<&Arc<Object>>,
    wanted: &std::collections::BTreeMap<Arc<str>, Field>,
) -> Result<Value, Misfit> {
    let mut converted = Vec::with_capacity(wanted.len());
    let mut missing = Vec::new();
    for (name, field) in wanted {
        let given = fields.get(name).filter(|value| !(value.is_null() && field.optional.is_some()));
        let value = match (given, &field.optional) {
            (Some(value), _) => convert(value, &field.ty).map_err(|misfit| misfit.within(format!(".{name}")))?,
            (None, Some(default)) => convert(default, &field.ty).map_err(|misfit| misfit.within(format!(".{name}")))?,
            (None, None) => {
                missing.push(format!("`{name}`"));
                continue;
            }
        };
        converted.push((name.clone(), value));
    }
    match missing.len() {
        0 => {}
        1 => return Err(Misfit::new(format!("attribute {} is required", missing[0]))),
        _ => return Err(Misfit::new(format!("attributes {} are required", missing.join(", ")))),
    }
    let identity = source.and_then(|source| source.identity.clone());
    Ok(Data::Object(Arc::new(Object::new(converted.into_iter().collect(), identity))).into())
}

/// Whether some value of the one type can become a value of the other.
pub(super) fn convertible(from: &Type, to: &Type) -> bool {
    if from == to {
        return true;
    }
    match (from, to) {
        (_, Type::Any) | (Type::Any, _) => true,
        (Type::Number | Type::Bool, Type::Text) | (Type::Text, Type::Number | Type::Bool) => true,
        (Type::List(a) | Type::Set(a), Type::List(b) | Type::Set(b)) | (Type::Map(a), Type::Map(b)) => {
            convertible(a, b)
        }
        (Type::Tuple(elements), Type::List(b) | Type::Set(b)) => match **b {
            Type::Any => unify(elements).is_some(),
            _ => elements.iter().all(|element| convertible(element, b)),
        },
        (Type::Tuple(a), Type::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| convertible(a, b))
        }
        (Type::Object(fields), Type::Map(b)) => match **b {
            Type::Any => unify(&fields.values().map(|field| field.ty.clone()).collect::<Vec<_>>()).is_some(),
            _ => fields.values().all(|field| convertible(&field.ty, b)),
        },
        (Type::Map(a), Type::Object(fields)) => fields.values().all(|field| convertible(a, &field.ty)),
        (Type::Object(a), Type::Object(b)) => b.iter().all(|(name, wanted)| match a.get(name) {
            Some(field) => convertible(&field.ty, &wanted.ty),
            None => wanted.optional.is_some(),
        }),
        (Type::Resource(_), Type::AnyResource) => true,
        (Type::Resource(_) | Type::AnyResource, Type::Map(_) | Type::Object(_)) => true,
        _ => false,
    }
}

/// The type that all these types can become, if there is one.
pub(super) fn unify(types: &[Type]) -> Option<Type> {
    let first = types.first()?;
    if types.iter().all(|ty| ty == first) {
        return Some(first.plain());
    }
    let count = |holds: fn(&Type) -> bool| types.iter().filter(|ty| holds(ty)).count();
    let all = types.len();
    let open = count(|ty| *ty == Type::Any);
    let (maps, lists, sets) = (
        count(|ty| matches!(ty, Type::Map(_))),
        count(|ty| matches!(ty, Type::List(_))),
        count(|ty| matches!(ty, Type::Set(_))),
    );
    let (objects, tuples) = (count(|ty| matches!(ty, Type::Object(_))), count(|ty| matches!(ty, Type::Tuple(_))));
    let resources = count(Type::is_resource);
    if resources > 0 && resources + open == all {
        return Some(if open > 0 { Type::Any } else { Type::AnyResource });
    }
    if maps > 0 && maps + open == all || lists > 0 && lists + open == all || sets > 0 && sets + open == all {
        if open > 0 {
            return Some(Type::Any);
        }
        let elements: Vec<Type> = types.iter().filter_map(element_of).collect();
        let element = unify(&elements)?;
        return Some(match (maps, lists) {
            (0, 0) => Type::set(element),
            (0, _) => Type::list(element),
            _ => Type::map(element),
        });
    }
    if maps > 0
        && maps + objects + open == all
        && let Some(element) = unify_inner(types)
    {
        return Some(Type::map(element));
    }
    if lists > 0
        && lists + tuples + open == all
        && let Some(element) = unify_inner(types)
    {
        return Some(Type::list(element));
    }
    if objects > 0 && objects + open == all {
        return if open > 0 { Some(Type::Any) } else { unify_objects(types) };
    }
    if tuples > 0 && tuples + open == all {
        return if open > 0 { Some(Type::Any) } else { unify_tuples(types) };
    }
    if objects > 0 && tuples > 0 {
        return None;
    }
    let mut preferred: Vec<&Type> = types.iter().filter(|ty| **ty != Type::Any).collect();
    preferred.sort_by_key(|ty| match ty {
        Type::Text => 0,
        Type::List(_) | Type::Map(_) => 1,
        Type::Set(_) => 2,
        _ => 3,
    });
    // Sets lose their order to nothing, so a list is what a list and a set become.
    let fits = |wanted: &&&Type| types.iter().all(|ty| convertible(ty, wanted));
    preferred.iter().find(fits).map(|ty| ty.plain())
}

fn element_of(ty: &Type) -> Option<Type> {
    match ty {
        Type::List(element) | Type::Set(element) | Type::Map(element) => Some((**element).clone()),
        _ => None,
    }
}

/// What all elements of all these collections, tuples and objects can become.
fn unify_inner(types: &[Type]) -> Option<Type> {
    let inner: Vec<Type> = types
        .iter()
        .flat_map(|ty| match ty {
            Type::List(element) | Type::Set(element) | Type::Map(element) => vec![(**element).clone()],
            Type::Tuple(elements) => elements.to_vec(),
            Type::Object(fields) => fields.values().map(|field| field.ty.clone()).collect(),
            _ => Vec::new(),
        })
        .collect();
    if inner.is_empty() { Some(Type::Any) } else { unify(&inner) }
}

fn unify_objects(types: &[Type]) -> Option<Type> {
    let fields: Vec<_> = types
        .iter()
        .filter_map(|ty| match ty {
            Type::Object(fields) => Some(fields),
            _ => None,
        })
        .collect();
    let (first, rest) = fields.split_first()?;
    if rest.iter().all(|other| other.keys().eq(first.keys())) {
        let unified: Option<Vec<(Arc<str>, Type)>> = first
            .keys()
            .map(|name| {
                let types: Vec<Type> =
                    fields.iter().filter_map(|fields| fields.get(name)).map(|field| field.ty.clone()).collect();
                Some((name.clone(), unify(&types)?))
            })
            .collect();
        if let Some(unified) = unified {
            return Some(Type::object(unified));
        }
    }
    unify_inner(types).map(Type::map)
}

fn unify_tuples(types: &[Type]) -> Option<Type> {
    let tuples: Vec<_> = types
        .iter()
        .filter_map(|ty| match ty {
            Type::Tuple(elements) => Some(elements),
            _ => None,
        })
        .collect();
    let (first, rest) = tuples.split_first()?;
    if rest.iter().all(|other| other.len() == first.len()) {
        let unified: Option<Vec<Type>> = (0..first.len())
            .map(|index| unify(&tuples.iter().map(|elements| elements[index].clone()).collect::<Vec<_>>()))
            .collect();
        if let Some(unified) = unified {
            return Some(Type::tuple(unified));
        }
    }
    unify_inner(types).map(Type::list)
}
