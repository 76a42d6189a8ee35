//! What a block of a kind may hold: the one table that evaluation, messages, documentation and completion read.

/// The type of an attribute. The configuration language converts values to it and reports what does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Text,
    /// An absolute, normalised path on the host.
    Path,
    /// A path on the workstation, relative to the module.
    File,
    Bool,
    Integer,
    /// `"40GiB"`, or a number of bytes.
    Size,
    /// `"0770"`.
    Mode,
    /// `"10s"`.
    Duration,
    /// A list (or set) of texts.
    Texts,
    TextMap,
    IntegerMap,
    Any,
    /// A resource of one of these kinds.
    Resource(&'static [&'static str]),
    /// A list, set or tuple of resources of one of these kinds.
    Resources(&'static [&'static str]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeSchema {
    pub name: &'static str,
    pub ty: Type,
    pub required: bool,
    /// The value is a credential: it must never be shown or stored, whatever it was computed from.
    pub secret: bool,
    /// A file of the workstation that must not lead out of the configuration, as those of functions.
    pub inside: bool,
    /// Texts that are allowed; empty for no restriction.
    pub one_of: &'static [&'static str],
    /// One sentence for people, with unit and default.
    pub doc: &'static str,
}

impl AttributeSchema {
    pub const fn optional(name: &'static str, ty: Type, doc: &'static str) -> Self {
        AttributeSchema { name, ty, required: false, secret: false, inside: false, one_of: &[], doc }
    }

    pub const fn required(name: &'static str, ty: Type, doc: &'static str) -> Self {
        AttributeSchema { required: true, ..Self::optional(name, ty, doc) }
    }

    pub const fn one_of(self, texts: &'static [&'static str]) -> Self {
        AttributeSchema { one_of: texts, ..self }
    }

    pub const fn inside(self) -> Self {
        AttributeSchema { inside: true, ..self }
    }

    pub const fn secret(self) -> Self {
        AttributeSchema { secret: true, ..self }
    }
}

/// A nested block; `many` says whether it may stand more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSchema {
    pub name: &'static str,
    pub many: bool,
    pub attributes: &'static [AttributeSchema],
    pub doc: &'static str,
}

/// The contents of a resource block. `count`, `for_each`, `depends_on` and `lifecycle` belong to every kind and are not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    pub attributes: &'static [AttributeSchema],
    pub blocks: &'static [BlockSchema],
    pub doc: &'static str,
}
