//! Types of values, and the type constraints of `variable` blocks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::value::Value;

#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// Not known (of a value), or anything (of a constraint).
    Any,
    Bool,
    Number,
    Text,
    List(Arc<Type>),
    Set(Arc<Type>),
    Map(Arc<Type>),
    Tuple(Arc<Vec<Type>>),
    Object(Arc<BTreeMap<Arc<str>, Field>>),
    /// The object of a resource of this kind. All of one kind have one type, whatever their attributes hold.
    Resource(Arc<str>),
    /// The object of a resource of some kind.
    AnyResource,
}

/// One attribute of an object type.
#[derive(Debug, Clone)]
pub struct Field {
    pub ty: Type,
    /// `optional(type, default)`: the value of an attribute that is absent or null.
    pub optional: Option<Value>,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.ty == other.ty
    }
}

impl Type {
    pub fn list(element: Type) -> Self {
        Type::List(Arc::new(element))
    }

    pub fn set(element: Type) -> Self {
        Type::Set(Arc::new(element))
    }

    pub fn map(element: Type) -> Self {
        Type::Map(Arc::new(element))
    }

    pub fn tuple(elements: Vec<Type>) -> Self {
        Type::Tuple(Arc::new(elements))
    }

    pub fn object(fields: impl IntoIterator<Item = (Arc<str>, Type)>) -> Self {
        Type::Object(Arc::new(fields.into_iter().map(|(name, ty)| (name, Field { ty, optional: None })).collect()))
    }

    pub fn is_primitive(&self) -> bool {
        matches!(self, Type::Bool | Type::Number | Type::Text)
    }

    pub fn is_resource(&self) -> bool {
        matches!(self, Type::Resource(_) | Type::AnyResource)
    }

    /// Whether some part of the type is open.
    pub fn has_any(&self) -> bool {
        match self {
            Type::Any => true,
            Type::List(inner) | Type::Set(inner) | Type::Map(inner) => inner.has_any(),
            Type::Tuple(elements) => elements.iter().any(Type::has_any),
            Type::Object(fields) => fields.values().any(|field| field.ty.has_any()),
            _ => false,
        }
    }

    /// Whether the type says how many parts a value has or what they are called.
    pub fn has_shape(&self) -> bool {
        match self {
            Type::List(inner) | Type::Set(inner) | Type::Map(inner) => inner.has_shape(),
            Type::Tuple(_) | Type::Object(_) => true,
            _ => false,
        }
    }

    /// The type without the defaults of optional attributes, as values have it.
    pub fn plain(&self) -> Type {
        match self {
            Type::List(inner) => Type::list(inner.plain()),
            Type::Set(inner) => Type::set(inner.plain()),
            Type::Map(inner) => Type::map(inner.plain()),
            Type::Tuple(elements) => Type::tuple(elements.iter().map(Type::plain).collect()),
            Type::Object(fields) => Type::object(fields.iter().map(|(name, field)| (name.clone(), field.ty.plain()))),
            other => other.clone(),
        }
    }

    /// What people call it in a sentence: "list of string".
    pub fn words(&self) -> String {
        match self {
            Type::Any => "any type".to_owned(),
            Type::List(inner) => format!("list of {}", inner.words()),
            Type::Set(inner) => format!("set of {}", inner.words()),
            Type::Map(inner) => format!("map of {}", inner.words()),
            Type::Tuple(_) => "tuple".to_owned(),
            Type::Object(_) => "object".to_owned(),
            Type::Resource(kind) => format!("{kind} resource"),
            Type::AnyResource => "resource".to_owned(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Type {
    /// As it is written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => f.write_str("dynamic"),
            Type::Bool => f.write_str("bool"),
            Type::Number => f.write_str("number"),
            Type::Text => f.write_str("string"),
            Type::List(inner) => write!(f, "list({inner})"),
            Type::Set(inner) => write!(f, "set({inner})"),
            Type::Map(inner) => write!(f, "map({inner})"),
            Type::Tuple(elements) => {
                f.write_str("tuple([")?;
                for (index, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("])")
            }
            Type::Object(fields) => {
                f.write_str("object({")?;
                for (index, (name, field)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    match field.optional {
                        None => write!(f, "{comma}{name}: {}", field.ty)?,
                        Some(_) => write!(f, "{comma}{name}: optional({})", field.ty)?,
                    }
                }
                f.write_str("})")
            }
            Type::Resource(kind) => f.write_str(kind),
            Type::AnyResource => f.write_str("resource"),
        }
    }
}
