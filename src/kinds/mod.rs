//! One file per resource kind, each in the order of the road: the block as people write it, what the host is asked,
//! what the answers mean, differences beside their remedies, unmaking, tests. This file holds the trait and the one
//! table of kinds. Nothing here talks to a host.

use crate::model::{Block, Blocks, Problems};

pub mod schema;

use schema::Schema;

/// A resource kind. The rest of Larder knows kinds only through this trait and [`table`].
pub trait Kind: Sync {
    /// The word of the configuration.
    fn name(&self) -> &'static str;

    /// What a block of the kind may hold.
    fn schema(&self) -> &'static Schema;

    /// Fills in the defaults of a block whose attributes fit the schema, and reports what the schema cannot say.
    /// `all` holds the completed blocks that this one depends on. Where something that a default needs is
    /// [`Datum::Unknown`](crate::model::Datum::Unknown), so is the default.
    fn complete(&self, block: &mut Block, all: &Blocks) -> Problems;
}

/// Every kind, in the order of documentation.
pub fn table() -> &'static [&'static dyn Kind] {
    &[]
}

/// The kind of that name.
pub fn kind(name: &str) -> Option<&'static dyn Kind> {
    table().iter().copied().find(|kind| kind.name() == name)
}
