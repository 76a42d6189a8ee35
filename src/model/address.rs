//! The name of one resource instance, as people type it: `external_volume.nfs`,
//! `image.web["a b"]`, `module.m["x"].image.base[0]`.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The key of one instance of a block with `count` (a number) or `for_each` (a string).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Index(u64),
    Text(Arc<str>),
}

/// One step into a module: its name and, where the module block has `count` or `for_each`, the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleStep {
    pub name: Arc<str>,
    pub key: Option<Key>,
}

/// The address of a resource instance. Ordered by module, kind, name and key; numbers order as numbers.
///
/// Cheap to clone: everything that speaks of an instance shares one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address(Arc<Parts>);

/// What an address consists of. Instances of one block share all but the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parts {
    pub module: Arc<[ModuleStep]>,
    pub kind: Arc<str>,
    pub name: Arc<str>,
    pub key: Option<Key>,
}

impl Deref for Address {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        // What is shared needs no look into it, and between instances of one block that is all but the key.
        fn order<T: Ord + ?Sized>(a: &Arc<T>, b: &Arc<T>) -> Ordering {
            if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) }
        }
        let (a, b) = (&self.0, &other.0);
        if Arc::ptr_eq(a, b) {
            return Ordering::Equal;
        }
        order(&a.module, &b.module)
            .then_with(|| order(&a.kind, &b.kind))
            .then_with(|| order(&a.name, &b.name))
            .then_with(|| a.key.cmp(&b.key))
    }
}

impl Address {
    pub fn new(
        module: Arc<[ModuleStep]>,
        kind: impl Into<Arc<str>>,
        name: impl Into<Arc<str>>,
        key: Option<Key>,
    ) -> Self {
        Address(Arc::new(Parts { module, kind: kind.into(), name: name.into(), key }))
    }

    /// The address of an instance without key in the root module.
    pub fn root(kind: &str, name: &str) -> Self {
        Address::new(Arc::default(), kind, name, None)
    }

    /// The same address with the given key.
    pub fn keyed(&self, key: Key) -> Self {
        Address(Arc::new(Parts { key: Some(key), ..Parts::clone(self) }))
    }

    /// The same address in the module that these steps lead to.
    pub fn within(&self, steps: &[ModuleStep]) -> Self {
        let module = steps.iter().chain(self.module.iter()).cloned().collect();
        Address(Arc::new(Parts { module, ..Parts::clone(self) }))
    }

    /// The address of the block that this instance comes from: the same without its own key.
    pub fn block(&self) -> Self {
        Address(Arc::new(Parts { key: None, ..Parts::clone(self) }))
    }

    /// The same address as its own module says it.
    pub fn local(&self) -> Self {
        Address(Arc::new(Parts { module: Arc::default(), ..Parts::clone(self) }))
    }

    /// Whether it is a resource of this kind.
    pub fn is(&self, kind: &str) -> bool {
        *self.kind == *kind
    }

    /// What a path or label is called after when the user names none: NAME, or NAME-KEY for a keyed instance.
    pub fn default_name(&self) -> String {
        match &self.key {
            None => self.name.to_string(),
            Some(Key::Index(index)) => format!("{}-{index}", self.name),
            Some(Key::Text(text)) => [&self.name, "-", text].concat(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Index(index) => write!(f, "[{index}]"),
            Key::Text(text) => write!(f, "[{}]", quoted(text)),
        }
    }
}

impl Address {
    /// What to write so that an attribute of this resource is a text, after "keep it with". Of a block that gives several resources
    /// the attribute is one expression for all: what it is to give for this one is said.
    pub fn attribute_for(&self, name: &str, text: &str, is_one_of_many: bool) -> String {
        match is_one_of_many {
            false => format!("{name} = {}", quoted(text)),
            true => format!("an expression for `{name}` that gives {} for {self} alone", quoted(text)),
        }
    }

    /// Whether its block may give other resources, too.
    pub fn has_keys(&self) -> bool {
        self.key.is_some() || self.module.iter().any(|step| step.key.is_some())
    }
}

/// A text as a configuration spells it: one printable line that is the same text to JSON, too.
pub fn quoted(text: &str) -> String {
    let mut quoted = serde_json::Value::from(text).to_string();
    // JSON and configurations know different short forms, and these begin a template there.
    for (short, long) in [("${", "\\u0024{"), ("%{", "\\u0025{")] {
        quoted = quoted.replace(short, long);
    }
    without_short_escapes(&quoted)
}

/// Quoted JSON in which the escapes `\b` and `\f`, which a configuration does not have, are written out.
fn without_short_escapes(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut chars = json.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('b')) => text.push_str("\\u0008"),
            ('\\', Some('f')) => text.push_str("\\u000c"),
            (_, escaped) => text.extend(std::iter::once(c).chain(escaped)),
        }
    }
    text
}

impl fmt::Display for ModuleStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "module.{}", self.name)?;
        match &self.key {
            Some(key) => write!(f, "{key}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.module.iter() {
            write!(f, "{step}.")?;
        }
        write!(f, "{}.{}", self.kind, self.name)?;
        if let Some(key) = &self.key {
            write!(f, "{key}")?;
        }
        Ok(())
    }
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: {why}; write it like `image.web`, `image.web[0]` or `image.web[\"key\"]`")]
pub struct NotAnAddress {
    pub text: String,
    pub why: &'static str,
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let mut rest = Rest { text, at: 0 };
        let mut module = Vec::new();
        loop {
            let word = rest.word()?;
            rest.dot()?;
            let name = rest.word()?;
            let key = rest.key()?;
            if word != "module" {
                return match rest.at == text.len() {
                    true => Ok(Address::new(module.into(), word, name, key)),
                    false => Err(rest.wrong("something follows the address")),
                };
            }
            module.push(ModuleStep { name: name.into(), key });
            rest.dot()?;
        }
    }
}

/// What is left to read of the text of an address.
pub(super) struct Rest<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl Rest<'_> {
    pub(super) fn wrong(&self, why: &'static str) -> NotAnAddress {
        NotAnAddress { text: self.text.to_owned(), why }
    }

    fn left(&self) -> &str {
        &self.text[self.at..]
    }

    pub(super) fn word(&mut self) -> Result<String, NotAnAddress> {
        let left = self.left();
        let end = left.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(left.len());
        if end == 0 || left.starts_with(|c: char| c.is_numeric() || c == '-') {
            return Err(self.wrong("a name is missing"));
        }
        let word = left[..end].to_owned();
        self.at += end;
        Ok(word)
    }

    pub(super) fn dot(&mut self) -> Result<(), NotAnAddress> {
        if !self.left().starts_with('.') {
            return Err(self.wrong("a dot is missing"));
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn key(&mut self) -> Result<Option<Key>, NotAnAddress> {
        if !self.left().starts_with('[') {
            return Ok(None);
        }
        let inside = &self.left()[1..];
        let mut json = serde_json::Deserializer::from_str(inside).into_iter::<serde_json::Value>();
        let key = match json.next() {
            Some(Ok(serde_json::Value::String(text))) => Key::Text(text.into()),
            Some(Ok(serde_json::Value::Number(number))) => {
                Key::Index(number.as_u64().ok_or_else(|| self.wrong("an index is a whole number from 0"))?)
            }
            _ => return Err(self.wrong("the key in brackets is neither a number nor a quoted text")),
        };
        let end = json.byte_offset();
        if !inside[end..].starts_with(']') {
            return Err(self.wrong("the bracket is not closed"));
        }
        self.at += 1 + end + 1;
        Ok(Some(key))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> impl Strategy<Value = Option<Key>> {
        prop_oneof![
            Just(None),
            any::<u64>().prop_map(|index| Some(Key::Index(index))),
            any::<String>().prop_map(|text| Some(Key::Text(text.into()))),
        ]
    }

    fn name() -> impl Strategy<Value = String> {
        "[a-zA-Z_ä][a-zA-Z0-9_é-]{0,8}"
    }

    proptest! {
        #[test]
        fn an_address_parses_back_to_itself(
            modules in prop::collection::vec((name(), key()), 0..3),
            kind in name().prop_filter("module is a word of its own", |kind| kind != "module"),
            name in name(),
            key in key(),
        ) {
            let module = modules.into_iter().map(|(name, key)| ModuleStep { name: name.into(), key }).collect();
            let address = Address::new(module, kind, name, key);
            prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }

        #[test]
        fn any_text_is_an_address_or_a_clear_error(text in any::<String>()) {
            if let Err(error) = text.parse::<Address>() {
                prop_assert!(error.to_string().contains("is not an address"));
            }
        }
    }

    #[test]
    fn keys_print_as_they_are_typed() {
        let address: Address = r#"module.m["x"].image.web["a\"b"]"#.parse().expect("an address");
        assert_eq!(address.key, Some(Key::Text("a\"b".into())));
        assert_eq!(address.to_string(), r#"module.m["x"].image.web["a\"b"]"#);
        assert_eq!(address.default_name(), "web-a\"b");
    }

    #[test]
    fn an_attribute_to_keep_is_spelled_as_a_configuration_reads_it() {
        let table = [
            ("image.web", "web.raw", false, r#"name = "web.raw""#),
            ("image.web", "${x}%{y}\u{7f}\"\\", false, r#"name = "\u0024{x}\u0025{y}"#),
            (
                "image.web[\"a\"]",
                "a.raw",
                true,
                r#"an expression for `name` that gives "a.raw" for image.web["a"] alone"#,
            ),
        ];
        for (address, text, is_one_of_many, expected) in table {
            let address: Address = address.parse().expect("an address");
            assert_eq!(address.has_keys(), is_one_of_many);
            let said = address.attribute_for("name", text, is_one_of_many);
            assert!(said.starts_with(expected) && !said.contains("${"), "{said}");
        }
    }
}
