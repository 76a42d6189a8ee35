//! One resource instance as the configuration declares it, after evaluation: attributes with their values and places.
//! The same struct, without places, is what the state remembers.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::hazard::HazardCode;
use super::mode::Mode;
use super::problem::Place;
use super::size::Size;

/// The value of an attribute, in the type that the schema of its kind gives it.
/// A null attribute is an absent one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Datum {
    /// Depends on something that is not known yet; only while validating, or before hosts were asked.
    Unknown,
    Text(Arc<str>),
    Bool(bool),
    /// A whole number.
    Integer(i64),
    Size(Size),
    Mode(Mode),
    /// Milliseconds.
    Duration(u64),
    Texts(Vec<String>),
    /// Text to text; the order of keys does not matter.
    TextMap(BTreeMap<String, String>),
    /// Text to whole number.
    IntegerMap(BTreeMap<String, i64>),
    /// Any value, for what no rule needs to understand (labels).
    Any(Box<serde_json::Value>),
    Resource(Address),
    Resources(Vec<Address>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    pub value: Datum,
    /// Where the value stands; `None` for a default.
    #[serde(skip)]
    pub place: Option<Arc<Place>>,
    /// Never shown, never stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

impl Datum {
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Datum::Text(text.into())
    }
}

impl Attribute {
    /// A value that the user did not write.
    pub fn default_value(value: Datum) -> Self {
        Attribute { value, place: None, sensitive: false }
    }
}

/// Attributes by name. Names come from the schema of the kind, or from a file of the state.
pub type AttributeMap = BTreeMap<Cow<'static, str>, Attribute>;

/// A block inside a block: `device { ... }`, `brick { ... }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NestedBlock {
    pub name: String,
    pub attributes: AttributeMap,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<NestedBlock>,
    #[serde(skip)]
    pub place: Option<Arc<Place>>,
}

/// The `lifecycle` block, less its conditions, which evaluation has already checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    pub prevent_destroy: bool,
    pub ignore_changes: BTreeSet<String>,
    pub accept: BTreeSet<HazardCode>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    pub address: Address,
    pub attributes: AttributeMap,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<NestedBlock>,
    /// Every resource that an expression of the block refers to, and those of `depends_on`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<Address>,
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// The header of the block, `kind "name"`.
    #[serde(skip)]
    pub place: Option<Arc<Place>>,
}

/// All instances of a configuration (or of a state), by address.
pub type Blocks = BTreeMap<Address, Block>;

/// Typed reading of attributes, the same for blocks and nested blocks.
pub trait Attributes {
    fn attributes(&self) -> &AttributeMap;

    fn datum(&self, name: &str) -> Option<&Datum> {
        self.attributes().get(name).map(|attribute| &attribute.value)
    }

    fn place_of(&self, name: &str) -> Option<&Place> {
        self.attributes().get(name).and_then(|attribute| attribute.place.as_deref())
    }

    fn is_unknown(&self, name: &str) -> bool {
        matches!(self.datum(name), Some(Datum::Unknown))
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.datum(name) {
            Some(Datum::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn boolean(&self, name: &str) -> Option<bool> {
        match self.datum(name) {
            Some(Datum::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    fn integer(&self, name: &str) -> Option<i64> {
        match self.datum(name) {
            Some(Datum::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    fn size(&self, name: &str) -> Option<Size> {
        match self.datum(name) {
            Some(Datum::Size(value)) => Some(*value),
            _ => None,
        }
    }

    fn mode(&self, name: &str) -> Option<Mode> {
        match self.datum(name) {
            Some(Datum::Mode(value)) => Some(*value),
            _ => None,
        }
    }

    /// Milliseconds.
    fn duration(&self, name: &str) -> Option<u64> {
        match self.datum(name) {
            Some(Datum::Duration(value)) => Some(*value),
            _ => None,
        }
    }

    fn texts(&self, name: &str) -> &[String] {
        match self.datum(name) {
            Some(Datum::Texts(texts)) => texts,
            _ => &[],
        }
    }

    fn resource(&self, name: &str) -> Option<&Address> {
        match self.datum(name) {
            Some(Datum::Resource(address)) => Some(address),
            _ => None,
        }
    }

    fn resources(&self, name: &str) -> &[Address] {
        match self.datum(name) {
            Some(Datum::Resources(addresses)) => addresses,
            _ => &[],
        }
    }
}

impl Attributes for Block {
    fn attributes(&self) -> &AttributeMap {
        &self.attributes
    }
}

impl Attributes for NestedBlock {
    fn attributes(&self) -> &AttributeMap {
        &self.attributes
    }
}

impl Block {
    /// The nested block of that name, where a kind allows one.
    pub fn nested(&self, name: &str) -> Option<&NestedBlock> {
        self.blocks.iter().find(|block| block.name == name)
    }

    /// Sets an attribute that the user left out.
    pub fn default_to(&mut self, name: &'static str, value: Datum) {
        self.attributes.entry(name.into()).or_insert_with(|| Attribute::default_value(value));
    }

    /// Whether any attribute, at any depth, is not known yet.
    pub fn has_unknown(&self) -> bool {
        fn any(attributes: &AttributeMap, blocks: &[NestedBlock]) -> bool {
            attributes.values().any(|attribute| attribute.value == Datum::Unknown)
                || blocks.iter().any(|block| any(&block.attributes, &block.blocks))
        }
        any(&self.attributes, &self.blocks)
    }
}
