//! What a statement or an option names by an address: one instance, a block with all its instances, or a module with all
//! that is below it. Knows nothing of what really exists.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::{Address, Key, ModuleStep, NotAnAddress, Rest};

/// Without a key in its text, an address names the whole block or module call; where only the instance without a key is
/// meant, whoever knows says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// `image.web["a"]`.
    Instance(Address),
    /// `image.web`: every instance of the block.
    Block(Address),
    /// `module.a["k"]`: one instance of a module call, and everything in it.
    ModuleInstance(Vec<ModuleStep>),
    /// `module.a`: every instance of a module call, and everything in them.
    Module(Vec<ModuleStep>),
}

impl Selector {
    /// What the address of a resource names, as it is typed.
    pub fn resource(address: Address) -> Self {
        match address.key {
            Some(_) => Selector::Instance(address),
            None => Selector::Block(address),
        }
    }

    /// What the address of a module names, as it is typed.
    pub fn module(steps: Vec<ModuleStep>) -> Self {
        match steps.last().is_some_and(|step| step.key.is_some()) {
            true => Selector::ModuleInstance(steps),
            false => Selector::Module(steps),
        }
    }

    /// The same with an address that was written without a key taken for the one instance that has none.
    pub fn of_one(self) -> Self {
        match self {
            Selector::Block(address) => Selector::Instance(address),
            Selector::Module(steps) => Selector::ModuleInstance(steps),
            one => one,
        }
    }

    /// The same as it reads from outside of the module that it was written in.
    pub fn within(&self, module: &[ModuleStep]) -> Self {
        match self {
            Selector::Instance(address) => Selector::Instance(address.within(module)),
            Selector::Block(address) => Selector::Block(address.within(module)),
            Selector::ModuleInstance(steps) => Selector::ModuleInstance([module, steps].concat()),
            Selector::Module(steps) => Selector::Module([module, steps].concat()),
        }
    }

    /// The modules that lead there, the named one included.
    pub fn modules(&self) -> &[ModuleStep] {
        match self {
            Selector::Instance(address) | Selector::Block(address) => &address.module,
            Selector::ModuleInstance(steps) | Selector::Module(steps) => steps,
        }
    }

    /// The address of a resource, where it is not a module.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Selector::Instance(address) | Selector::Block(address) => Some(address),
            Selector::ModuleInstance(_) | Selector::Module(_) => None,
        }
    }

    /// Whether an instance is named by it. A module that is written without a key stands for all its instances.
    pub fn selects(&self, address: &Address) -> bool {
        let own = self.modules();
        let is_below =
            address.module.len() >= own.len() && own.iter().zip(address.module.iter()).all(|(a, b)| covers(a, b));
        let is_here = is_below && address.module.len() == own.len();
        match self {
            Selector::Module(_) | Selector::ModuleInstance(_) => is_below,
            Selector::Block(block) => is_here && (&block.kind, &block.name) == (&address.kind, &address.name),
            Selector::Instance(one) => {
                is_here && (&one.kind, &one.name, &one.key) == (&address.kind, &address.name, &address.key)
            }
        }
    }

    /// Whether there can be an instance that both name, each module step as exactly as it is written.
    pub fn overlaps(&self, other: &Selector) -> bool {
        let (short, long) = match self.modules().len() <= other.modules().len() {
            true => (self, other),
            false => (other, self),
        };
        let mut paths = short.modules().iter().zip(long.modules()).enumerate();
        let meets = |(at, (a, b)): (usize, (&ModuleStep, &ModuleStep))| {
            a.name == b.name && (a.key == b.key || short.is_any_at(at) || long.is_any_at(at))
        };
        if !paths.all(meets) {
            return false;
        }
        let is_level = short.modules().len() == long.modules().len();
        match (short.address(), long.address()) {
            // A module holds whatever is below it.
            (None, _) => true,
            (Some(_), None) => is_level,
            (Some(a), Some(b)) => {
                is_level
                    && (&a.kind, &a.name) == (&b.kind, &b.name)
                    && (a.key == b.key || short.is_any() || long.is_any())
            }
        }
    }

    /// Whether any key is meant at its end.
    pub fn is_any(&self) -> bool {
        matches!(self, Selector::Block(_) | Selector::Module(_))
    }

    /// Whether any key is meant at that step of its modules.
    fn is_any_at(&self, at: usize) -> bool {
        matches!(self, Selector::Module(steps) if at + 1 == steps.len())
    }
}

fn covers(named: &ModuleStep, step: &ModuleStep) -> bool {
    named.name == step.name && (named.key.is_none() || named.key == step.key)
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Instance(address) | Selector::Block(address) => address.fmt(f),
            Selector::ModuleInstance(steps) | Selector::Module(steps) => {
                let steps: Vec<_> = steps.iter().map(ToString::to_string).collect();
                f.write_str(&steps.join("."))
            }
        }
    }
}

impl FromStr for Selector {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let mut rest = Rest { text, at: 0 };
        let mut steps = Vec::new();
        loop {
            let word = rest.word()?;
            rest.dot()?;
            let name = rest.word()?;
            let key: Option<Key> = rest.key()?;
            let is_over = rest.at == text.len();
            if word != "module" {
                return match is_over {
                    true => Ok(Selector::resource(Address::new(steps.into(), word, name, key))),
                    false => Err(rest.wrong("something follows the address")),
                };
            }
            steps.push(ModuleStep { name: name.into(), key });
            if is_over {
                return Ok(Selector::module(steps));
            }
            rest.dot()?;
        }
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(text: &str) -> Selector {
        text.parse().expect(text)
    }

    #[test]
    fn a_selector_names_what_is_below_it_and_nothing_else() {
        let table: &[(&str, &str, bool)] = &[
            ("image.web", "image.web", true),
            ("image.web", "image.web[\"a\"]", true),
            ("image.web", "image.web2", false),
            ("image.web", "module.m.image.web", false),
            ("image.web[\"a\"]", "image.web[\"a\"]", true),
            ("image.web[\"a\"]", "image.web[\"b\"]", false),
            ("image.web[0]", "image.web[\"0\"]", false),
            ("image.web[\"a\"]", "image.web", false),
            ("module.m", "module.m.image.web", true),
            ("module.m", "module.m[\"k\"].module.n.image.web[0]", true),
            ("module.m", "image.m", false),
            ("module.m[\"k\"]", "module.m[\"k\"].image.web", true),
            ("module.m[\"k\"]", "module.m[\"l\"].image.web", false),
            ("module.m.image.web", "module.m[\"k\"].image.web[1]", true),
            ("module.m.module.n", "module.m.image.web", false),
        ];
        for (named, address, expected) in table {
            let address: Address = address.parse().expect(address);
            assert_eq!(selector(named).selects(&address), *expected, "{named} {address}");
        }
    }

    #[test]
    fn two_selectors_overlap_where_one_instance_can_be_both() {
        let table: &[(&str, &str, bool)] = &[
            ("image.web", "image.web[0]", true),
            ("image.web[0]", "image.web[1]", false),
            ("image.web", "image.app", false),
            ("module.a", "module.a[\"k\"]", true),
            ("module.a[\"j\"]", "module.a[\"k\"]", false),
            ("module.a", "module.a.image.web", true),
            ("module.a", "module.a[0].module.b.image.web", true),
            ("module.a.module.b", "module.a.image.web", false),
            ("module.a.image.web", "module.a[0].image.web", false),
        ];
        for (one, other, expected) in table {
            assert_eq!(selector(one).overlaps(&selector(other)), *expected, "{one} {other}");
            assert_eq!(selector(other).overlaps(&selector(one)), *expected, "{other} {one}");
        }
        // The instance without a key is another than the one with a key.
        assert!(!selector("image.web").of_one().overlaps(&selector("image.web[0]")));
        assert!(!selector("module.a").of_one().overlaps(&selector("module.a[0]")));
    }

    #[test]
    fn a_selector_reads_as_it_is_typed() {
        for text in
            ["image.web", "image.web[0]", "module.a", "module.a[\"k\"].module.b", "module.a[0].image.web[\"x\"]"]
        {
            assert_eq!(selector(text).to_string(), text);
        }
        for text in [
            "",
            "image",
            "module",
            "module.",
            "module.a.",
            "module.a.image",
            "image.web[",
            "image.web.x",
            "image.web[1]x",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
        let prefix = [ModuleStep { name: "m".into(), key: Some(Key::Index(1)) }];
        assert_eq!(selector("image.web").within(&prefix).to_string(), "module.m[1].image.web");
        assert_eq!(selector("module.a").within(&prefix).to_string(), "module.m[1].module.a");
    }
}
