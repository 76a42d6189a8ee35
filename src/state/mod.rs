//! What is ours: which objects Larder manages, as they were last applied, with their identity on the hosts. A cache that
//! can be lost, and never holds a secret. Nothing here decides what a difference means.

pub mod file;
mod local;
pub mod moves;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::kinds;
use crate::kinds::schema::{AttributeSchema, BlockSchema};
use crate::model::block::{AttributeMap, NestedBlock};
use crate::model::{Address, Block, Connection, Datum, HostName, Problem};

pub use local::{Holder, LocalState, StateLock};

/// The one format that this Larder reads and writes.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub format_version: u32,
    /// The Larder that wrote it, for people.
    pub larder_version: String,
    /// Set by the first write and never changed: two states of different lineage are not versions of each other.
    pub lineage: Option<Uuid>,
    /// Counts writes.
    pub serial: u64,
    /// Whether what it remembers is in a lab: it says nothing about the hosts at the real addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lab: bool,
    #[serde(deserialize_with = "once")]
    pub resources: BTreeMap<Address, Record>,
    /// Only those that are not sensitive.
    #[serde(deserialize_with = "once")]
    pub outputs: BTreeMap<String, serde_json::Value>,
    /// How hosts were reached, so that one that left the configuration can be decommissioned.
    #[serde(deserialize_with = "once")]
    pub hosts: BTreeMap<HostName, Connection>,
}

impl Default for State {
    /// The state of a configuration that was never applied.
    fn default() -> Self {
        State {
            format_version: FORMAT_VERSION,
            larder_version: env!("CARGO_PKG_VERSION").to_owned(),
            lineage: None,
            serial: 0,
            lab: false,
            resources: BTreeMap::new(),
            outputs: BTreeMap::new(),
            hosts: BTreeMap::new(),
        }
    }
}

/// One resource instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// As last applied, with defaults, without secrets.
    pub block: Block,
    /// Being applied; one that is still here belongs to an apply that was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Block>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "once")]
    pub placements: BTreeMap<HostName, Placement>,
    /// Addresses that it had before: a host may still carry one, until an apply has seen that none does.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub formerly: BTreeSet<Address>,
}

/// A resource on one host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Attribute to value as seen after the last apply: another value now is drift.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "once")]
    pub observed: BTreeMap<String, String>,
    /// What tells this object from another in its place: UUID, mount source, inode.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "once")]
    pub identity: BTreeMap<String, String>,
}

impl State {
    /// Reads the text of a state. The problem names the place in the text; how to mend it depends on where the text
    /// comes from.
    pub fn parse(text: &[u8]) -> Result<State, Problem> {
        let version: Version = decode(text)?;
        if version.format_version > u64::from(FORMAT_VERSION) {
            let by = version.larder_version.as_ref().and_then(|version| version.as_str()).unwrap_or("a newer one");
            return Err(Problem::error(
                "state-too-new",
                format!("the state has format {}, this Larder reads format {FORMAT_VERSION}", version.format_version),
                format!("It was written by Larder {by}: use that version or a later one."),
            ));
        }
        let state: State = decode(text)?;
        if state.format_version != FORMAT_VERSION {
            return Err(invalid(format!("format_version: there is no format {}", state.format_version)));
        }
        for (address, record) in &state.resources {
            let inside = [Some(&record.block), record.pending.as_ref()];
            if let Some(other) =
                inside.into_iter().flatten().map(|block| &block.address).find(|other| *other != address)
            {
                return Err(invalid(format!("resources.{address}: the block inside is {other}")));
            }
        }
        Ok(state)
    }

    /// The text that [`State::parse`] reads back: JSON in one order, for people and version control.
    pub fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a state has only keys that are texts");
        text + "\n"
    }

    /// The same state without the value of any sensitive attribute.
    pub fn without_secrets(mut self) -> State {
        for record in self.resources.values_mut() {
            for block in [Some(&mut record.block), record.pending.as_mut()].into_iter().flatten() {
                strip_secrets(block);
                for (name, attribute) in &block.attributes {
                    if attribute.sensitive {
                        record
                            .placements
                            .values_mut()
                            .for_each(|placement| drop(placement.observed.remove(name.as_ref())));
                    }
                }
            }
        }
        self
    }
}

/// The block without the value of any sensitive attribute: the attribute stays, marked as sensitive, with a null in its
/// place, which no typed reading takes for a value. What the schema of the kind calls a secret is sensitive too.
pub fn without_secrets(mut block: Block) -> Block {
    strip_secrets(&mut block);
    block
}

fn strip_secrets(block: &mut Block) {
    let schema = kinds::kind(&block.address.kind).map(|kind| kind.schema());
    let (attributes, blocks) = schema.map_or((&[][..], &[][..]), |schema| (schema.attributes, schema.blocks));
    strip(&mut block.attributes, &mut block.blocks, attributes, blocks);
}

fn strip(
    attributes: &mut AttributeMap,
    blocks: &mut [NestedBlock],
    schema: &[AttributeSchema],
    block_schemas: &[BlockSchema],
) {
    for (name, attribute) in attributes {
        attribute.sensitive |= schema.iter().any(|known| known.name == name && known.secret);
        if attribute.sensitive {
            attribute.value = Datum::Any(Box::default());
        }
    }
    for block in blocks {
        let schema =
            block_schemas.iter().find(|known| known.name == block.name).map_or(&[][..], |known| known.attributes);
        strip(&mut block.attributes, &mut block.blocks, schema, &[]);
    }
}

/// What every format has had and will have.
#[derive(Deserialize)]
struct Version {
    format_version: u64,
    larder_version: Option<serde_json::Value>,
}

fn decode<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| invalid(error.to_string()))?;
    json.end().map_err(|error| invalid(error.to_string()))?;
    Ok(value)
}

fn invalid(why: String) -> Problem {
    Problem::error(
        "state-invalid",
        format!("this is not a state that Larder can read: {why}"),
        "Restore it from a backup.",
    )
}

/// A map whose keys stand only once: the second would silently win.
fn once<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + Serialize,
    V: Deserialize<'de>,
{
    struct Once<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de> + Ord + Serialize, V: Deserialize<'de>> Visitor<'de> for Once<K, V> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some(key) = entries.next_key::<K>()? {
                if map.contains_key(&key) {
                    let key = serde_json::to_value(&key).unwrap_or_default();
                    return Err(A::Error::custom(format!("{key} stands there twice")));
                }
                map.insert(key, entries.next_value()?);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Once(PhantomData))
}

#[cfg(test)]
mod tests;
