//! Conversion of values to types, and the one type that several types can become, as HCL defines both.

use std::cmp::Ordering;
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
    let converted = convert_data(value, to).map_err(|misfit| misfit.concealed(sensitive))?;
    Ok(converted.marked(sensitive))
}

fn convert_data(value: &Value, to: &Type) -> Result<Value, Misfit> {
    if *to == Type::Any {
        return Ok(value.clone());
    }
    match &value.data {
        Data::Null(ty) | Data::Unknown(ty) => {
            let fits = if value.is_null() { convertible(ty, to) } else { may_become(ty, to) };
            if *ty != Type::Any && !fits {
                return Err(mismatch(ty, to));
            }
            let ty = filled(ty, to);
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
            let (ty, elements) = of_collection(ty, elements, element)?;
            Ok(Value::list(ty, elements))
        }
        (Data::List(ty, elements) | Data::Set(ty, elements), Type::Set(element)) => {
            let (ty, elements) = of_collection(ty, elements, element)?;
            Ok(Value::set(ty, elements))
        }
        (Data::Tuple(elements), Type::List(element)) => {
            let Some(element) = resolved_alike(element, elements)? else {
                return Ok(Value::unknown_of(to.plain()));
            };
            let (ty, elements) = settled(convert_all(elements, &element)?, &element, true)?;
            Ok(Value::list(ty, elements))
        }
        (Data::Tuple(elements), Type::Set(element)) => {
            let Some(element) = resolved_alike(element, elements)? else {
                return Ok(Value::unknown_of(to.plain()));
            };
            let (ty, elements) = settled(convert_all(elements, &element)?, &element, false)?;
            Ok(Value::set(ty, elements))
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
            if fields.is_empty() && !convertible(ty, element) {
                return Err(mismatch(&value.ty(), to));
            }
            let open = if fields.is_empty() { ty } else { &**element };
            let element = if **element == Type::Any { open } else { &**element };
            let (ty, fields) = settled_fields(convert_fields(fields, element)?, element)?;
            Ok(Value::map(ty, fields))
        }
        (Data::Object(object), Type::Map(element)) => {
            let Some(element) = resolved(element, object.fields.values())? else {
                return Ok(Value::unknown_of(to.plain()));
            };
            let (ty, fields) = settled_fields(convert_fields(&object.fields, &element)?, &element)?;
            Ok(Value::map(ty, fields))
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

/// The constraint with its open parts filled from the type that a value without parts has.
fn filled(from: &Type, to: &Type) -> Type {
    let of_all = |types: &mut dyn Iterator<Item = Type>, element: &Type| match unify(&types.collect::<Vec<_>>()) {
        Some(common) => filled(&common, element),
        None => element.plain(),
    };
    match (from, to) {
        (Type::Any, _) => to.plain(),
        (_, Type::Any) => from.clone(),
        (Type::List(a) | Type::Set(a), Type::List(b)) => Type::list(filled(a, b)),
        (Type::List(a) | Type::Set(a), Type::Set(b)) => Type::set(filled(a, b)),
        (Type::Tuple(types), Type::List(b)) => Type::list(of_all(&mut types.iter().cloned(), b)),
        (Type::Tuple(types), Type::Set(b)) => Type::set(of_all(&mut types.iter().cloned(), b)),
        (Type::Map(a), Type::Map(b)) => Type::map(filled(a, b)),
        (Type::Object(fields), Type::Map(b)) => Type::map(of_all(&mut fields.values().map(|f| f.ty.clone()), b)),
        (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => {
            Type::tuple(a.iter().zip(b.iter()).map(|(a, b)| filled(a, b)).collect())
        }
        (Type::Object(a), Type::Object(b)) => Type::object(b.iter().map(|(name, field)| {
            let ty = a.get(name).map_or_else(|| field.ty.plain(), |given| filled(&given.ty, &field.ty));
            (name.clone(), ty)
        })),
        (Type::Map(a), Type::Object(b)) => {
            Type::object(b.iter().map(|(name, field)| (name.clone(), filled(a, &field.ty))))
        }
        _ => to.plain(),
    }
}

/// The elements of a list or set for another one, and their type.
fn of_collection(given: &Type, elements: &[Value], wanted: &Type) -> Result<(Type, Vec<Value>), Misfit> {
    if *wanted == Type::Any {
        return Ok((given.clone(), elements.to_vec()));
    }
    if elements.is_empty() {
        return match convertible(given, wanted) {
            true => Ok((wanted.plain(), Vec::new())),
            false => Err(mismatch(given, wanted)),
        };
    }
    settled(convert_all(elements, wanted)?, wanted, false)
}

/// The element type of a collection; where the constraint leaves it open, the one that all elements can become. `None`
/// while elements are unknown of which any type can come.
fn resolved<'v>(element: &Type, values: impl Iterator<Item = &'v Value> + Clone) -> Result<Option<Type>, Misfit> {
    if *element != Type::Any {
        return Ok(Some(element.clone()));
    }
    let types: Vec<Type> = values.clone().map(|value| value.ty()).collect();
    let is_open = values.into_iter().any(is_open);
    if types.iter().all(|ty| *ty == Type::Any) {
        return Ok((!is_open).then_some(Type::Any));
    }
    match unify(&types) {
        // Whatever the unknown ones become, beside a text they become texts.
        Some(Type::Text) => Ok(Some(Type::Text)),
        // What an unknown element fits is not known.
        Some(_) if is_open => Ok(None),
        None => Err(Misfit::new("all elements must have the same type")),
        found => Ok(found),
    }
}

/// Whether the value may turn out to be of another type than it has now.
pub(super) fn is_open(value: &Value) -> bool {
    value.has_unknown() && value.ty().has_any()
}

/// Whether a conversion certainly looks at no part of the value.
pub(super) fn is_kept(value: &Value, to: &Type) -> bool {
    match (&value.data, to) {
        (_, Type::Any) => true,
        (Data::List(own, _), Type::List(wanted))
        | (Data::Set(own, _), Type::Set(wanted))
        | (Data::Map(own, _), Type::Map(wanted)) => **wanted == Type::Any || *own == **wanted && !own.has_any(),
        (Data::Object(_), Type::Resource(_) | Type::AnyResource) => true,
        (Data::Object(_) | Data::Tuple(_), Type::Object(_) | Type::Tuple(_)) => value.ty() == *to && !to.has_any(),
        _ => false,
    }
}

/// Whether the value is the same in the type that it has in common with any other value: everything that is no
/// collection becomes a text beside a text.
pub(super) fn stays_as_it_is(value: &Value) -> bool {
    match &value.data {
        Data::Text(_) => true,
        Data::List(ty, _) | Data::Map(ty, _) => *ty == Type::Text || ty.is_resource(),
        _ => false,
    }
}

/// The element type of a list or set, where, unlike in a map, an element without type fits no collection of others.
fn resolved_alike(element: &Type, values: &[Value]) -> Result<Option<Type>, Misfit> {
    match resolved(element, values.iter())? {
        Some(Type::Any) if values.iter().any(|value| value.ty() != Type::Any) => {
            Err(Misfit::new("all elements must have the same type"))
        }
        found => Ok(found),
    }
}

/// Elements that were converted to `element`, and the type that they have. Where it is open inside, each kept a type of
/// its own there: they must be one in the end.
fn settled(mut values: Vec<Value>, element: &Type, unifies: bool) -> Result<(Type, Vec<Value>), Misfit> {
    if !element.has_any() {
        return Ok((element.plain(), values));
    }
    const DIFFERENT: &str = "all elements must have the same type";
    if unifies && !values.is_empty() {
        let types: Vec<Type> = values.iter().map(Value::ty).collect();
        let common = unify(&types).ok_or_else(|| Misfit::new(DIFFERENT))?;
        values = convert_all(&values, &common)?;
    }
    let mut ty = Type::Any;
    for value in &values {
        match value.ty() {
            Type::Any => {}
            found if ty == Type::Any || ty == found => ty = found,
            _ => return Err(Misfit::new(DIFFERENT)),
        }
    }
    for value in &mut values {
        match &mut value.data {
            Data::Null(open @ Type::Any) | Data::Unknown(open @ Type::Any) => *open = ty.clone(),
            _ => {}
        }
    }
    Ok((ty, values))
}

fn settled_fields(fields: Fields, element: &Type) -> Result<(Type, Fields), Misfit> {
    let unifies = matches!(element, Type::List(_) | Type::Set(_) | Type::Map(_) | Type::Object(_));
    let (names, values): (Vec<Arc<str>>, Vec<Value>) =
        fields.iter().map(|(name, value)| (name.clone(), value.clone())).unzip();
    let (ty, values) = settled(values, element, unifies)?;
    Ok((ty, names.into_iter().zip(values).collect()))
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
        (Type::Tuple(elements), Type::List(b) | Type::Set(b)) => match (elements.as_slice(), &**b) {
            ([], _) => true,
            // An element without type fits no collection of others.
            (elements, Type::Any) => match unify(elements) {
                Some(Type::Any) => elements.iter().all(|element| *element == Type::Any),
                Some(common) => elements.iter().all(|element| convertible(element, &common)),
                None => false,
            },
            (elements, b) => elements.iter().all(|element| convertible(element, b)),
        },
        (Type::Tuple(a), Type::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| convertible(a, b))
        }
        (Type::Object(fields), Type::Map(b)) => match **b {
            Type::Any if fields.is_empty() => true,
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

/// Whether a value of the one type, not known yet, can become one of the other. A collection may turn out to be empty, and
/// then its elements fit anything.
fn may_become(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::List(_) | Type::Set(_), Type::List(_) | Type::Set(_)) | (Type::Map(_), Type::Map(_)) => true,
        (Type::Tuple(elements), Type::List(b) | Type::Set(b)) if **b != Type::Any => {
            elements.iter().all(|element| may_become(element, b))
        }
        (Type::Tuple(a), Type::Tuple(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| may_become(a, b)),
        (Type::Object(fields), Type::Map(b)) if **b != Type::Any => {
            fields.values().all(|field| may_become(&field.ty, b))
        }
        (Type::Object(a), Type::Object(b)) => b.iter().all(|(name, wanted)| match a.get(name) {
            Some(field) => may_become(&field.ty, &wanted.ty),
            None => wanted.optional.is_some(),
        }),
        _ => convertible(from, to),
    }
}

/// The type that all these types can become, if there is one. `Any` stands for what only later turns out.
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
    let only = |kind: usize| kind > 0 && kind + open == all;
    if only(resources) {
        return Some(if open > 0 { Type::Any } else { Type::AnyResource });
    }
    if [maps, lists, sets, objects, tuples].into_iter().any(only) && open > 0 {
        return Some(Type::Any);
    }
    if only(maps) {
        return unify_elements(types, Type::map);
    }
    if only(lists) {
        return unify_elements(types, Type::list);
    }
    if only(sets) {
        return unify_elements(types, Type::set);
    }
    if only(objects) {
        return unify_objects(types);
    }
    if only(tuples) {
        return unify_tuples(types);
    }
    // Objects beside maps are maps in disguise, and tuples beside lists are lists.
    let disguised = match (maps > 0 && only(maps + objects), lists > 0 && only(lists + tuples)) {
        (true, _) => undisguised(types, |ty| matches!(ty, Type::Object(_)), Type::map),
        (_, true) => undisguised(types, |ty| matches!(ty, Type::Tuple(_)), Type::list),
        _ => None,
    };
    match disguised {
        found @ Some(Type::Map(_) | Type::List(_)) => return found,
        _ if objects > 0 && tuples > 0 => return None,
        _ => {}
    }
    let fits = |wanted: &&Type| types.iter().all(|ty| convertible(ty, wanted));
    preferred(types).into_iter().find(fits).map(Type::plain)
}

/// The types in the order in which they are tried as the common one: what can hold more comes first, else what stands
/// first.
fn preferred(types: &[Type]) -> Vec<&Type> {
    let mut known: Vec<&Type> = Vec::new();
    for ty in types {
        if !known.contains(&ty) {
            known.push(ty);
        }
    }
    let mut above: Vec<usize> =
        known.iter().map(|ty| known.iter().filter(|other| holds_more(other, ty).is_gt()).count()).collect();
    let mut ordered: Vec<usize> = (0..known.len()).filter(|index| above[*index] == 0).collect();
    let mut at = 0;
    while at < ordered.len() {
        let greater = known[ordered[at]];
        for index in 0..known.len() {
            if holds_more(greater, known[index]).is_gt() {
                above[index] -= 1;
                if above[index] == 0 {
                    ordered.push(index);
                }
            }
        }
        at += 1;
    }
    ordered.into_iter().map(|index| known[index]).collect()
}

/// Whether the one type can hold what the other holds, and more.
fn holds_more(one: &Type, other: &Type) -> Ordering {
    let of_parts = |parts: &mut dyn Iterator<Item = Ordering>| {
        let (mut more, mut less) = (false, false);
        for part in parts {
            more |= part.is_gt();
            less |= part.is_lt();
        }
        more.cmp(&less)
    };
    match (one, other) {
        (Type::Any, Type::Any) => Ordering::Equal,
        (Type::Any, _) => Ordering::Less,
        (_, Type::Any) => Ordering::Greater,
        (Type::Text, Type::Number | Type::Bool) => Ordering::Greater,
        (Type::Number | Type::Bool, Type::Text) => Ordering::Less,
        (Type::List(a), Type::List(b)) | (Type::Set(a), Type::Set(b)) | (Type::Map(a), Type::Map(b)) => {
            holds_more(a, b)
        }
        // A set forgets the order and a tuple fixes the length.
        (Type::List(_) | Type::Tuple(_), Type::Set(_)) | (Type::List(_), Type::Tuple(_)) => Ordering::Greater,
        (Type::Set(_), Type::List(_) | Type::Tuple(_)) | (Type::Tuple(_), Type::List(_)) => Ordering::Less,
        (Type::Map(_), Type::Object(_)) => Ordering::Greater,
        (Type::Object(_), Type::Map(_)) => Ordering::Less,
        (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => {
            of_parts(&mut a.iter().zip(b.iter()).map(|(a, b)| holds_more(a, b)))
        }
        (Type::Object(a), Type::Object(b)) if a.keys().eq(b.keys()) => {
            of_parts(&mut a.values().zip(b.values()).map(|(a, b)| holds_more(&a.ty, &b.ty)))
        }
        _ => Ordering::Equal,
    }
}

/// A collection whose element type all elements of these collections can become.
fn unify_elements(types: &[Type], collection: fn(Type) -> Type) -> Option<Type> {
    let elements: Vec<Type> = types
        .iter()
        .filter_map(|ty| match ty {
            Type::List(element) | Type::Set(element) | Type::Map(element) => Some((**element).clone()),
            _ => None,
        })
        .collect();
    all_become(types, collection(unify(&elements)?))
}

/// The common type with all objects as one map, or all tuples as one list.
fn undisguised(types: &[Type], is_disguised: fn(&Type) -> bool, collection: fn(Type) -> Type) -> Option<Type> {
    let disguised: Vec<Type> = types.iter().filter(|ty| is_disguised(ty)).cloned().collect();
    let plain = of_all_parts(&disguised, collection)?;
    let replaced = types.iter().map(|ty| if is_disguised(ty) { plain.clone() } else { ty.clone() });
    unify(&replaced.collect::<Vec<_>>())
}

/// A collection that can hold all parts of these objects or tuples.
fn of_all_parts(types: &[Type], collection: fn(Type) -> Type) -> Option<Type> {
    let parts: Vec<Type> = types
        .iter()
        .flat_map(|ty| match ty {
            Type::Tuple(elements) => elements.to_vec(),
            Type::Object(fields) => fields.values().map(|field| field.ty.clone()).collect(),
            _ => Vec::new(),
        })
        .collect();
    all_become(types, collection(unify(&parts)?))
}

fn all_become(types: &[Type], wanted: Type) -> Option<Type> {
    types.iter().all(|ty| convertible(ty, &wanted)).then_some(wanted)
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
    if !rest.iter().all(|other| other.keys().eq(first.keys())) {
        return of_all_parts(types, Type::map);
    }
    let unified: Option<Vec<(Arc<str>, Type)>> = first
        .keys()
        .map(|name| {
            let types: Vec<Type> =
                fields.iter().filter_map(|fields| fields.get(name)).map(|field| field.ty.clone()).collect();
            Some((name.clone(), unify(&types)?))
        })
        .collect();
    all_become(types, Type::object(unified?)).or_else(|| of_all_parts(types, Type::map))
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
    if !rest.iter().all(|other| other.len() == first.len()) {
        return of_all_parts(types, Type::list);
    }
    let unified: Option<Vec<Type>> = (0..first.len())
        .map(|index| unify(&tuples.iter().map(|elements| elements[index].clone()).collect::<Vec<_>>()))
        .collect();
    all_become(types, Type::tuple(unified?)).or_else(|| of_all_parts(types, Type::list))
}
