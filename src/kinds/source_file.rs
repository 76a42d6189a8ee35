//! A file of the workstation that a resource is made from, as it was read before a plan is made.

use crate::model::block::Attributes;
use crate::model::{Attribute, Block, Datum, Place, Problem, Size, escape_line};

/// What was read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    pub bytes: u64,
    /// 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// The first [`SourceFile::HEAD`] bytes, or all of it where it is shorter.
    pub head: Vec<u8>,
}

impl SourceFile {
    /// How many of its first bytes are kept: enough for the header of a disk image.
    pub const HEAD: usize = 1024;

    /// Puts size and digest into the block, under the name that the kind has for the size. What the block says of them already is to be true.
    pub(super) fn fill(&self, block: &mut Block, size: &'static str) -> Option<Problem> {
        let differs = |block: &Block, name: &str, is: String| {
            let source = escape_line(block.text("source").unwrap_or_default());
            let summary = format!("{source} is not the file that `{name}` is for: it has {is}");
            let cure = format!("Fetch the right file; or correct `{name}`, if this file can be trusted.");
            Problem::error("source-changed", summary, cure).at(place(block, name))
        };
        if block.size(size).is_some_and(|size| size.0 != self.bytes) {
            return Some(differs(block, size, format!("{} bytes", self.bytes)));
        }
        if block.text("sha256").is_some_and(|digest| digest != self.sha256) {
            return Some(differs(block, "sha256", format!("the SHA-256 {}", self.sha256)));
        }
        for (name, value) in [(size, Datum::Size(Size(self.bytes))), ("sha256", Datum::text(self.sha256.as_str()))] {
            block.attributes.entry(name.into()).or_insert_with(|| Attribute::default_value(value));
        }
        None
    }
}

/// Where an attribute stands, or else its block.
pub(super) fn place<'a>(block: &'a Block, name: &str) -> Option<&'a Place> {
    block.place_of(name).or(block.place.as_deref())
}
