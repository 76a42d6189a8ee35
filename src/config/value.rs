//! Values of the language: what an expression becomes. Cheap to clone, because collections are shared.
//!
//! A value can be unknown (facts of a host that nobody asked yet) and it can be sensitive; both pass on to whatever is
//! computed from it. The object of a resource remembers which resource it is, wherever it travels.

use std::cmp::Ordering;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::number::Number;
use super::types::{Field, Type};
use crate::model::Address;

pub(super) use super::fields::Fields;

#[derive(Debug, Clone)]
pub struct Value {
    pub data: Data,
    /// Never shown: in messages it stands as `(sensitive)`.
    pub sensitive: bool,
}

#[derive(Debug, Clone)]
pub enum Data {
    Null(Type),
    Unknown(Type),
    Bool(bool),
    Number(Number),
    /// In Unicode normalisation form C.
    Text(Arc<str>),
    List(Type, Arc<Vec<Value>>),
    /// Ordered, without duplicates.
    Set(Type, Arc<Vec<Value>>),
    Map(Type, Arc<Fields>),
    Tuple(Arc<Vec<Value>>),
    Object(Arc<Object>),
}

#[derive(Debug, Clone)]
pub struct Object {
    pub fields: Fields,
    /// The resource whose object this is.
    pub identity: Option<Address>,
    // Counted once: objects of resources nest deeply, and these are asked at each step of an evaluation.
    sensitive_within: bool,
    unknown_within: bool,
    depth: usize,
}

impl From<Data> for Value {
    fn from(data: Data) -> Self {
        Value { data, sensitive: false }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Data::Bool(value).into()
    }
}

impl From<Number> for Value {
    fn from(value: Number) -> Self {
        Data::Number(value).into()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::text(&text)
    }
}

impl Value {
    pub fn null() -> Self {
        Data::Null(Type::Any).into()
    }

    pub fn null_of(ty: Type) -> Self {
        Data::Null(ty).into()
    }

    pub fn unknown() -> Self {
        Data::Unknown(Type::Any).into()
    }

    pub fn unknown_of(ty: Type) -> Self {
        Data::Unknown(ty).into()
    }

    pub fn text(text: &str) -> Self {
        let normal = match is_normal(text) {
            true => Arc::from(text),
            false => Arc::from(text.nfc().collect::<String>()),
        };
        Data::Text(normal).into()
    }

    /// The same text, shared where it is in normal form already.
    pub fn shared(text: &Arc<str>) -> Self {
        match is_normal(text) {
            true => Data::Text(text.clone()).into(),
            false => Value::text(text),
        }
    }

    pub fn count(count: usize) -> Self {
        Data::Number(Number::from(count)).into()
    }

    pub fn tuple(elements: Vec<Value>) -> Self {
        Data::Tuple(Arc::new(elements)).into()
    }

    pub fn list(ty: Type, elements: Vec<Value>) -> Self {
        Data::List(ty, Arc::new(elements)).into()
    }

    pub fn texts(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Value::list(Type::Text, texts.into_iter().map(|text| Value::text(text.as_ref())).collect())
    }

    pub fn map(ty: Type, fields: Fields) -> Self {
        Data::Map(ty, Arc::new(fields)).into()
    }

    pub fn object(fields: Fields) -> Self {
        Data::Object(Arc::new(Object::new(fields, None))).into()
    }

    pub fn resource(address: Address, fields: Fields) -> Self {
        Data::Object(Arc::new(Object::new(fields, Some(address)))).into()
    }

    /// A set; what is sensitive about an element makes the whole set sensitive, because order and number tell. It is unknown
    /// as a whole where elements may turn out to be the same one.
    pub fn set(ty: Type, elements: Vec<Value>) -> Self {
        let mut sensitive = false;
        let mut elements: Vec<Value> = elements
            .into_iter()
            .map(|element| {
                sensitive |= element.is_sensitive_anywhere();
                element.without_marks()
            })
            .collect();
        match elements.iter().all(|element| element.is_collection() && element.identity().is_none()) {
            // Spelling is costly, so each element is spelled once.
            true => elements.sort_by_cached_key(Value::spelled),
            false => elements.sort_by(Value::order),
        }
        if elements.len() > 1 && elements.iter().any(Value::has_unknown) {
            return Value { data: Data::Unknown(Type::set(ty)), sensitive };
        }
        elements.dedup_by(|a, b| Value::order(a, b) == Ordering::Equal);
        Value { data: Data::Set(ty, Arc::new(elements)), sensitive }
    }

    /// The same value, sensitive too if `sensitive`.
    pub fn marked(mut self, sensitive: bool) -> Self {
        self.sensitive |= sensitive;
        self
    }

    pub fn ty(&self) -> Type {
        match &self.data {
            Data::Null(ty) | Data::Unknown(ty) => ty.clone(),
            Data::Bool(_) => Type::Bool,
            Data::Number(_) => Type::Number,
            Data::Text(_) => Type::Text,
            Data::List(ty, _) => Type::list(ty.clone()),
            Data::Set(ty, _) => Type::set(ty.clone()),
            Data::Map(ty, _) => Type::map(ty.clone()),
            Data::Tuple(elements) => Type::tuple(elements.iter().map(Value::ty).collect()),
            Data::Object(object) => match &object.identity {
                Some(address) => Type::Resource(address.kind.clone()),
                None => object.structure(),
            },
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Null(_))
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self.data, Data::Unknown(_))
    }

    /// Whether any part, at any depth, is unknown. A resource counts as known, because it is itself whatever is unknown
    /// about it; [`Self::has_unknown_within`] looks into it.
    pub fn has_unknown(&self) -> bool {
        match &self.data {
            Data::Unknown(_) => true,
            Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => {
                elements.iter().any(Value::has_unknown)
            }
            Data::Map(_, fields) => fields.values().any(Value::has_unknown),
            Data::Object(object) if object.identity.is_some() => false,
            Data::Object(object) => object.unknown_within && object.fields.values().any(Value::has_unknown),
            _ => false,
        }
    }

    /// Whether any part, at any depth and in resources too, is unknown.
    pub fn has_unknown_within(&self) -> bool {
        match &self.data {
            Data::Unknown(_) => true,
            Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => {
                elements.iter().any(Value::has_unknown_within)
            }
            Data::Map(_, fields) => fields.values().any(Value::has_unknown_within),
            Data::Object(object) => object.unknown_within,
            _ => false,
        }
    }

    /// How many levels of collections and objects there are.
    fn depth(&self) -> usize {
        match &self.data {
            Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => {
                1 + elements.iter().map(Value::depth).max().unwrap_or(0)
            }
            Data::Map(_, fields) => 1 + fields.values().map(Value::depth).max().unwrap_or(0),
            Data::Object(object) => object.depth,
            _ => 0,
        }
    }

    /// Whether the value has no more than that many levels, and, resources counted as one, that many parts, of which a long
    /// text has several.
    pub fn fits(&self, levels: usize, parts: usize) -> bool {
        self.parts_left(levels, parts).is_some()
    }

    /// How many of so many parts are left, if the value fits.
    pub fn parts_left(&self, levels: usize, parts: usize) -> Option<usize> {
        const BYTES_OF_A_PART: usize = 64;
        fn count(value: &Value, levels: usize, parts: &mut usize) -> bool {
            let own = 1 + value.as_text().map_or(0, |text| text.len() / BYTES_OF_A_PART);
            *parts = parts.saturating_sub(own);
            if *parts == 0 {
                return false;
            }
            let within = |value| count(value, levels - 1, parts);
            match &value.data {
                Data::Object(object) if object.identity.is_some() => object.depth <= levels,
                Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => {
                    levels > 0 && elements.iter().all(within)
                }
                Data::Map(_, fields) => levels > 0 && fields.values().all(within),
                Data::Object(object) => levels > 0 && object.fields.values().all(within),
                _ => true,
            }
        }
        let mut parts = parts;
        count(self, levels, &mut parts).then_some(parts)
    }

    /// How much there is to look at: parts, and texts by their length; a resource counts as one part. More than `most` is not
    /// counted: what shares its parts can be larger than any number.
    pub fn units(&self, most: usize) -> usize {
        fn count(value: &Value, left: &mut usize) {
            let own = match &value.data {
                Data::Text(text) => 1 + text.len() * 2,
                _ => 1,
            };
            *left = left.saturating_sub(own);
            match &value.data {
                Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => {
                    elements.iter().take_while(|element| of_field("", element, left)).for_each(drop);
                }
                Data::Map(_, fields) => {
                    fields.iter().take_while(|(name, value)| of_field(name, value, left)).for_each(drop)
                }
                Data::Object(object) if object.identity.is_none() => {
                    object.fields.iter().take_while(|(name, value)| of_field(name, value, left)).for_each(drop);
                }
                _ => {}
            }
        }
        fn of_field(name: &str, value: &Value, left: &mut usize) -> bool {
            *left = left.saturating_sub(name.len());
            count(value, left);
            *left > 0
        }
        let mut left = most;
        count(self, &mut left);
        most - left
    }

    /// Whether any part, at any depth, is the infinite number, which no text of JSON or YAML can say.
    pub fn has_infinite(&self) -> bool {
        match &self.data {
            Data::Number(number) => number.is_infinite(),
            Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => {
                elements.iter().any(Value::has_infinite)
            }
            Data::Map(_, fields) => fields.values().any(Value::has_infinite),
            Data::Object(object) => object.fields.values().any(Value::has_infinite),
            _ => false,
        }
    }

    /// Whether any part, at any depth, is sensitive.
    pub fn is_sensitive_anywhere(&self) -> bool {
        self.sensitive
            || match &self.data {
                Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => {
                    elements.iter().any(Value::is_sensitive_anywhere)
                }
                Data::Map(_, fields) => fields.values().any(Value::is_sensitive_anywhere),
                Data::Object(object) => object.sensitive_within,
                _ => false,
            }
    }

    /// The same value with no part marked sensitive.
    pub fn without_marks(&self) -> Value {
        if !self.is_sensitive_anywhere() {
            return self.clone();
        }
        let all = |elements: &Arc<Vec<Value>>| Arc::new(elements.iter().map(Value::without_marks).collect());
        let fields =
            |fields: &Fields| fields.iter().map(|(name, value)| (name.clone(), value.without_marks())).collect();
        let data = match &self.data {
            Data::List(ty, elements) => Data::List(ty.clone(), all(elements)),
            Data::Set(ty, elements) => Data::Set(ty.clone(), all(elements)),
            Data::Tuple(elements) => Data::Tuple(all(elements)),
            Data::Map(ty, map) => Data::Map(ty.clone(), Arc::new(fields(map))),
            Data::Object(object) => {
                Data::Object(Arc::new(Object::new(fields(&object.fields), object.identity.clone())))
            }
            other => other.clone(),
        };
        data.into()
    }

    pub fn as_text(&self) -> Option<&Arc<str>> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<&Number> {
        match &self.data {
            Data::Number(number) => Some(number),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match &self.data {
            Data::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements of a list, set or tuple.
    pub fn elements(&self) -> Option<&Arc<Vec<Value>>> {
        match &self.data {
            Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    /// The values of a map or object by name.
    pub fn fields(&self) -> Option<&Fields> {
        match &self.data {
            Data::Map(_, fields) => Some(fields),
            Data::Object(object) => Some(&object.fields),
            _ => None,
        }
    }

    pub fn identity(&self) -> Option<&Address> {
        match &self.data {
            Data::Object(object) => object.identity.as_ref(),
            _ => None,
        }
    }

    /// Whether two known values are the same value of the same type; marks do not count.
    pub fn same(&self, other: &Value) -> bool {
        let all = |a: &[Value], b: &[Value]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
        let fields =
            |a: &Fields, b: &Fields| a.len() == b.len() && a.iter().zip(b).all(|((x, a), (y, b))| x == y && a.same(b));
        match (&self.data, &other.data) {
            (Data::Null(_), Data::Null(_)) => true,
            (Data::Bool(a), Data::Bool(b)) => a == b,
            (Data::Number(a), Data::Number(b)) => a == b,
            (Data::Text(a), Data::Text(b)) => a == b,
            (Data::List(x, a), Data::List(y, b)) | (Data::Set(x, a), Data::Set(y, b)) => x == y && all(a, b),
            (Data::Tuple(a), Data::Tuple(b)) => all(a, b),
            (Data::Map(x, a), Data::Map(y, b)) => x == y && fields(a, b),
            (Data::Object(a), Data::Object(b)) => match (&a.identity, &b.identity) {
                (Some(a), Some(b)) => a == b,
                _ => fields(&a.fields, &b.fields),
            },
            _ => false,
        }
    }

    /// A total order, by which sets are sorted as HCL sorts them: numbers by value, texts by their bytes, resources by
    /// address, and collections by how they are spelled.
    pub fn order(&self, other: &Value) -> Ordering {
        match (self.identity(), other.identity()) {
            (None, None) if self.is_collection() && other.is_collection() => {
                self.spelled().cmp(&other.spelled()).then_with(|| self.order_of_parts(other))
            }
            _ => self.order_of_parts(other),
        }
    }

    fn is_collection(&self) -> bool {
        self.elements().is_some() || self.fields().is_some()
    }

    /// The text by which HCL sorts collections within sets.
    fn spelled(&self) -> String {
        let row = |open: char, close: char, values: &mut dyn Iterator<Item = String>| {
            let mut text = String::from(open);
            for value in values {
                text.push_str(&value);
                text.push(';');
            }
            text.push(close);
            text
        };
        match &self.data {
            Data::Null(_) => "~".to_owned(),
            Data::Unknown(_) => "?".to_owned(),
            Data::Bool(value) => if *value { "1" } else { "0" }.to_owned(),
            Data::Number(number) if number.is_negative() => format!("-{}", number.abs().to_general_with(10)),
            Data::Number(number) => number.to_general_with(10),
            Data::Text(text) => serde_json::Value::from(text.as_ref()).to_string(),
            Data::List(_, elements) | Data::Set(_, elements) => row('[', ']', &mut elements.iter().map(Value::spelled)),
            Data::Tuple(elements) => row('<', '>', &mut elements.iter().map(Value::spelled)),
            Data::Map(_, fields) => {
                let spelled = |(name, value): (&Arc<str>, &Value)| {
                    format!("{}:{}", serde_json::Value::from(name.as_ref()), value.spelled())
                };
                row('{', '}', &mut fields.iter().map(spelled))
            }
            Data::Object(object) => match &object.identity {
                Some(address) => address.to_string(),
                None => row('<', '>', &mut object.fields.values().map(Value::spelled)),
            },
        }
    }

    fn order_of_parts(&self, other: &Value) -> Ordering {
        let rank = |value: &Value| match value.data {
            Data::Bool(_) => 0,
            Data::Number(_) => 1,
            Data::Text(_) => 2,
            Data::List(..) => 3,
            Data::Set(..) => 4,
            Data::Tuple(_) => 5,
            Data::Map(..) => 6,
            Data::Object(_) => 7,
            Data::Null(_) => 8,
            Data::Unknown(_) => 9,
        };
        fn all<'a>(a: impl IntoIterator<Item = &'a Value>, b: impl IntoIterator<Item = &'a Value>) -> Ordering {
            let (mut a, mut b) = (a.into_iter(), b.into_iter());
            loop {
                match (a.next(), b.next()) {
                    (None, None) => return Ordering::Equal,
                    (None, _) => return Ordering::Less,
                    (_, None) => return Ordering::Greater,
                    (Some(a), Some(b)) => match a.order(b) {
                        Ordering::Equal => {}
                        other => return other,
                    },
                }
            }
        }
        match (&self.data, &other.data) {
            (Data::Bool(a), Data::Bool(b)) => a.cmp(b),
            (Data::Number(a), Data::Number(b)) => a.cmp(b),
            (Data::Text(a), Data::Text(b)) => a.cmp(b),
            (Data::List(_, a), Data::List(_, b))
            | (Data::Set(_, a), Data::Set(_, b))
            | (Data::Tuple(a), Data::Tuple(b)) => all(a.iter(), b.iter()),
            (Data::Map(_, a), Data::Map(_, b)) => a.keys().cmp(b.keys()).then_with(|| all(a.values(), b.values())),
            (Data::Object(a), Data::Object(b)) => match (&a.identity, &b.identity) {
                (Some(a), Some(b)) => a.cmp(b),
                _ => a.fields.keys().cmp(b.fields.keys()).then_with(|| all(a.fields.values(), b.fields.values())),
            },
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// The value as JSON; `None` where a part is unknown. Nothing is masked: the caller decides what may be seen.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        let fields = |fields: &Fields| {
            fields
                .iter()
                .map(|(name, value)| Some((name.to_string(), value.to_json()?)))
                .collect::<Option<serde_json::Map<_, _>>>()
                .map(Json::Object)
        };
        match &self.data {
            Data::Null(_) => Some(Json::Null),
            Data::Unknown(_) => None,
            Data::Bool(value) => Some(Json::Bool(*value)),
            Data::Number(number) => Some(json_number(number)),
            Data::Text(text) => Some(Json::String(text.to_string())),
            Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => {
                elements.iter().map(Value::to_json).collect::<Option<Vec<_>>>().map(Json::Array)
            }
            Data::Map(_, map) => fields(map),
            Data::Object(object) => fields(&object.fields),
        }
    }

    /// The value as JSON text with all digits of its numbers, on one line; `None` where a part is unknown.
    pub fn to_json_text(&self) -> Option<String> {
        let mut text = String::new();
        self.write_json(&mut text)?;
        Some(text)
    }

    fn write_json(&self, text: &mut String) -> Option<()> {
        let quoted = |name: &str| serde_json::Value::from(name).to_string();
        match &self.data {
            Data::Null(_) => text.push_str("null"),
            Data::Unknown(_) => return None,
            Data::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Data::Number(number) => text.push_str(&number.to_string()),
            Data::Text(value) => text.push_str(&quoted(value)),
            Data::List(_, elements) | Data::Set(_, elements) | Data::Tuple(elements) => {
                text.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    element.write_json(text)?;
                }
                text.push(']');
            }
            Data::Map(..) | Data::Object(_) => {
                text.push('{');
                for (index, (name, value)) in self.fields().into_iter().flatten().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    text.push_str(&quoted(name));
                    text.push(':');
                    value.write_json(text)?;
                }
                text.push('}');
            }
        }
        Some(())
    }

    /// The value of parsed JSON: objects and tuples, as `jsondecode` makes them.
    pub fn from_json(json: &serde_json::Value) -> Value {
        use serde_json::Value as Json;
        match json {
            Json::Null => Value::null(),
            Json::Bool(value) => Value::from(*value),
            Json::Number(number) => match Number::parse(&number.to_string()) {
                Some(Ok(number)) => Value::from(number),
                _ => Value::null_of(Type::Number),
            },
            Json::String(text) => Value::text(text),
            Json::Array(elements) => Value::tuple(elements.iter().map(Value::from_json).collect()),
            Json::Object(fields) => Value::object(
                fields
                    .iter()
                    .filter_map(|(name, value)| Some((Value::text(name).as_text()?.clone(), Value::from_json(value))))
                    .collect(),
            ),
        }
    }

    /// One short line for messages; sensitive values are masked.
    pub fn for_message(&self) -> String {
        if self.sensitive {
            return "(sensitive)".to_owned();
        }
        let many = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        match &self.data {
            Data::Null(_) => "null".to_owned(),
            Data::Unknown(_) => "not known yet".to_owned(),
            Data::Bool(value) => value.to_string(),
            Data::Number(number) => shortened(&number.to_string()),
            Data::Text(text) => serde_json::Value::from(shortened(text)).to_string(),
            Data::List(ty, elements) => format!("list of {} with {}", ty.words(), many(elements.len(), "element")),
            Data::Set(ty, elements) => format!("set of {} with {}", ty.words(), many(elements.len(), "element")),
            Data::Tuple(elements) => format!("tuple with {}", many(elements.len(), "element")),
            Data::Map(ty, fields) => format!("map of {} with {}", ty.words(), many(fields.len(), "element")),
            Data::Object(object) => match &object.identity {
                Some(address) => address.to_string(),
                None => format!("object with {}", many(object.fields.len(), "attribute")),
            },
        }
    }
}

fn is_normal(text: &str) -> bool {
    text.is_ascii() || unicode_normalization::is_nfc(text)
}

/// A JSON number with all digits where JSON's own numbers of this program can hold them, else the nearest.
fn json_number(number: &Number) -> serde_json::Value {
    if let Some(whole) = number.to_i64() {
        return whole.into();
    }
    if let Some(whole) = number.to_u64() {
        return whole.into();
    }
    serde_json::Number::from_f64(number.to_f64()).map_or(serde_json::Value::Null, Into::into)
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.chars().count() > LONGEST {
        true => format!("{}…", text.chars().take(LONGEST).collect::<String>()),
        false => text.to_owned(),
    }
}

impl Object {
    pub fn new(fields: Fields, identity: Option<Address>) -> Self {
        let sensitive_within = fields.values().any(Value::is_sensitive_anywhere);
        let unknown_within = fields.values().any(Value::has_unknown_within);
        let depth = 1 + fields.values().map(Value::depth).max().unwrap_or(0);
        Object { fields, identity, sensitive_within, unknown_within, depth }
    }

    /// The type of the fields, also of a resource's object.
    pub fn structure(&self) -> Type {
        let fields = self.fields.iter().map(|(name, value)| (name.clone(), Field { ty: value.ty(), optional: None }));
        Type::Object(Arc::new(fields.collect()))
    }
}
