//! `moved { from, to }`: what had the one address has the other. Where an address leads through several of them, and which
//! ones lead to it. Decides nothing about a state or a configuration.

use std::collections::{BTreeMap, BTreeSet};

use super::address::{Address, Key, ModuleStep};
use super::problem::{Place, Problem};
use super::selector::Selector;

/// One statement. Both ends are of one sort: instances, whole blocks, instances of modules, or whole modules.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    pub from: Selector,
    pub to: Selector,
    pub place: Option<Place>,
}

impl Moved {
    /// A statement as it is written: an end without a key is the whole block or module, unless the other end has a key;
    /// then it is the instance without one.
    ///
    /// # Errors
    /// `moved-to-another-kind` for ends that cannot be the same thing.
    pub fn new(from: Selector, to: Selector, place: Option<Place>) -> Result<Self, Problem> {
        let problem = |summary: String, detail: &str| {
            Err(Problem::error("moved-to-another-kind", summary, detail).at(place.as_ref()))
        };
        match (from.address(), to.address()) {
            (Some(old), Some(new)) if old.kind != new.kind => {
                return problem(
                    format!("{from} cannot become {to}"),
                    "A resource keeps its kind for as long as it lives. Name two addresses of one kind.",
                );
            }
            (Some(_), None) | (None, Some(_)) => {
                return problem(
                    format!("{from} cannot become {to}"),
                    "A module moves to a module, and a resource to a resource. Write the address of a resource for both, or that of a module.",
                );
            }
            _ => {}
        }
        Ok(match from.is_any() && to.is_any() {
            true => Moved { from, to, place },
            false => Moved { from: from.of_one(), to: to.of_one(), place },
        })
    }

    /// That exactly this instance has become that one.
    pub fn one(from: Address, to: Address) -> Self {
        Moved { from: Selector::Instance(from), to: Selector::Instance(to), place: None }
    }

    /// The same as it reads from outside of the module that it was written in.
    pub fn within(&self, module: &[ModuleStep]) -> Self {
        Moved { from: self.from.within(module), to: self.to.within(module), place: self.place.clone() }
    }

    /// The address that takes the place of this one, if this statement speaks of it.
    pub fn forward(&self, address: &Address) -> Option<Address> {
        replaced(&self.from, &self.to, address)
    }

    /// The address in whose place this one came.
    pub fn backward(&self, address: &Address) -> Option<Address> {
        replaced(&self.to, &self.from, address)
    }

    /// Of several statements about one address the one that names it most exactly counts, and of modules the inner one.
    fn exactness(&self) -> (u8, usize, bool) {
        let rank = match self.from {
            Selector::Instance(_) => 2,
            Selector::Block(_) => 1,
            Selector::ModuleInstance(_) | Selector::Module(_) => 0,
        };
        (rank, self.from.modules().len(), !self.from.is_any())
    }
}

fn replaced(old: &Selector, new: &Selector, address: &Address) -> Option<Address> {
    match (old, new) {
        (Selector::Instance(old), Selector::Instance(new)) => (old == address).then(|| new.clone()),
        (Selector::Block(old), Selector::Block(new)) => {
            (*old == address.block()).then(|| with_key(new, address.key.clone()))
        }
        (Selector::ModuleInstance(old), Selector::ModuleInstance(new)) => {
            let rest = address.module.strip_prefix(old.as_slice())?;
            Some(address.local().within(&[new.as_slice(), rest].concat()))
        }
        (Selector::Module(old), Selector::Module(new)) => {
            let (last, outer) = old.split_last()?;
            let rest = address.module.strip_prefix(outer)?;
            let (step, rest) = rest.split_first().filter(|(step, _)| step.name == last.name)?;
            let mut module = new.clone();
            module.last_mut()?.key = step.key.clone();
            module.extend_from_slice(rest);
            Some(address.local().within(&module))
        }
        _ => None,
    }
}

fn with_key(block: &Address, key: Option<Key>) -> Address {
    match key {
        Some(key) => block.keyed(key),
        None => block.clone(),
    }
}

/// That statements lead in a circle: an address would move for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct Circle(pub Moved);

/// The statement that counts for an address.
pub fn about<'a>(moves: &'a [Moved], address: &Address) -> Option<(usize, &'a Moved)> {
    let mut all = moves.iter().enumerate().filter(|(_, one)| one.forward(address).is_some());
    let first = all.next()?;
    Some(all.fold(first, |best, one| if one.1.exactness() > best.1.exactness() { one } else { best }))
}

/// Where an address ends, through a chain of statements if need be.
///
/// # Errors
/// When one of them would have to be followed twice.
pub fn destination(moves: &[Moved], address: &Address) -> Result<Address, Circle> {
    let mut followed = BTreeSet::new();
    let mut at = address.clone();
    while let Some((number, one)) = about(moves, &at) {
        if !followed.insert(number) {
            return Err(Circle(one.clone()));
        }
        at = one.forward(&at).unwrap_or(at);
    }
    Ok(at)
}

/// The addresses that end at this one: hosts may still know what is here under any of them.
pub fn origins(moves: &[Moved], address: &Address) -> BTreeSet<Address> {
    let mut found = BTreeSet::new();
    let mut open = vec![address.clone()];
    // A chain is no longer than there are statements.
    for _ in 0..moves.len() {
        let before = open.iter().flat_map(|at| moves.iter().filter_map(|one| one.backward(at)));
        let before = before.filter(|one| destination(moves, one).as_ref() == Ok(address));
        open = before.filter(|one| found.insert(one.clone())).collect::<Vec<_>>();
        if open.is_empty() {
            break;
        }
    }
    found
}

/// The text of the statement, to be pasted into a configuration.
pub fn statement(from: &Selector, to: &Selector) -> String {
    format!("moved {{\n  from = {from}\n  to   = {to}\n}}")
}

/// The fewest statements that say of each pair that the one address became the other. A block or a module is named as a whole
/// where all that there is of it goes to one other under the same keys; `known` says how much that is, and nothing of what may not
/// be named because it is still declared.
pub fn statements<'a>(
    pairs: impl IntoIterator<Item = (&'a Address, &'a Address)>,
    known: impl Fn(&Selector) -> Option<usize>,
) -> Vec<(Selector, Selector)> {
    let (mut all, pairs) = of_modules(pairs.into_iter().collect(), &known);
    let mut blocks: BTreeMap<(Address, Address), Vec<(&Address, &Address)>> = BTreeMap::new();
    for (from, to) in pairs {
        blocks.entry((from.block(), to.block())).or_default().push((from, to));
    }
    for ((from, to), pairs) in blocks {
        let is_known = known(&Selector::Block(from.clone())) == Some(pairs.len());
        let is_whole = from != to && is_known && pairs.iter().all(|(a, b)| a.key == b.key);
        let is_single = pairs.len() == 1;
        match is_whole && !(is_single && pairs.iter().any(|(old, _)| old.key.is_some())) {
            true => all.push((Selector::Block(from), Selector::Block(to))),
            false => {
                let ends = |address: &Address| Selector::resource(address.clone());
                all.extend(pairs.into_iter().map(|(old, new)| (ends(old), ends(new))));
            }
        }
    }
    all
}

type Steps = Vec<ModuleStep>;
type Ends<'a> = Vec<(&'a Address, &'a Address)>;

/// The statements about modules that moved as a whole, and the pairs of which they do not speak.
fn of_modules<'a>(
    pairs: Ends<'a>,
    known: &impl Fn(&Selector) -> Option<usize>,
) -> (Vec<(Selector, Selector)>, Ends<'a>) {
    let mut groups: BTreeMap<(Steps, Steps), Ends> = BTreeMap::new();
    let mut rest = Vec::new();
    for (old, new) in pairs {
        let below = old.module.iter().rev().zip(new.module.iter().rev()).take_while(|(a, b)| a == b).count();
        let ends = (&old.module[..old.module.len() - below], &new.module[..new.module.len() - below]);
        match ends.0.is_empty() || ends.1.is_empty() || old.local() != new.local() {
            true => rest.push((old, new)),
            false => groups.entry((ends.0.to_vec(), ends.1.to_vec())).or_default().push((old, new)),
        }
    }
    // All instances of a call under the same keys are the call.
    let mut calls: BTreeMap<(Steps, Steps), Vec<(Steps, Steps)>> = BTreeMap::new();
    let without_key = |steps: &[ModuleStep]| {
        let mut steps = steps.to_vec();
        steps.iter_mut().last().into_iter().for_each(|step| step.key = None);
        steps
    };
    for (old, new) in groups.keys() {
        if old.last().map(|step| &step.key) == new.last().map(|step| &step.key) {
            calls.entry((without_key(old), without_key(new))).or_default().push((old.clone(), new.clone()));
        }
    }
    let mut said = Vec::new();
    for ((old, new), instances) in calls {
        let count: usize = instances.iter().filter_map(|one| groups.get(one)).map(Vec::len).sum();
        if old != new && known(&Selector::Module(old.clone())) == Some(count) {
            instances.iter().for_each(|one| drop(groups.remove(one)));
            said.push((Selector::Module(old), Selector::Module(new)));
        }
    }
    for ((old, new), pairs) in groups {
        match known(&Selector::ModuleInstance(old.clone())) == Some(pairs.len()) {
            true => said.push((Selector::module(old), Selector::module(new))),
            false => rest.extend(pairs),
        }
    }
    (said, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> Address {
        text.parse().expect(text)
    }

    fn moved(from: &str, to: &str) -> Moved {
        Moved::new(from.parse().expect(from), to.parse().expect(to), None).unwrap_or_else(|problem| panic!("{problem}"))
    }

    #[test]
    fn instances_blocks_and_modules_take_what_is_theirs_along() {
        let table: &[(&str, &str, &str, Option<&str>)] = &[
            ("image.web[\"a\"]", "image.app", "image.web[\"a\"]", Some("image.app")),
            ("image.web[\"a\"]", "image.app", "image.web[\"b\"]", None),
            ("image.web", "image.app", "image.web", Some("image.app")),
            ("image.web", "image.app", "image.web[\"x y\"]", Some("image.app[\"x y\"]")),
            ("image.web", "image.app", "image.web2", None),
            ("image.web", "image.app", "module.m.image.web", None),
            ("image.web", "image.web[0]", "image.web", Some("image.web[0]")),
            ("image.web", "image.web[0]", "image.web[1]", None),
            ("image.web[\"k\"]", "image.web", "image.web[\"k\"]", Some("image.web")),
            ("image.web", "module.m.image.disk", "image.web[3]", Some("module.m.image.disk[3]")),
            ("module.a", "module.b", "module.a.image.web[0]", Some("module.b.image.web[0]")),
            ("module.a", "module.b", "module.a[\"k\"].module.a.image.web", Some("module.b[\"k\"].module.a.image.web")),
            ("module.a", "module.b", "module.ab.image.web", None),
            ("module.a", "module.b", "image.a", None),
            ("module.a", "module.a[\"k\"]", "module.a.image.web", Some("module.a[\"k\"].image.web")),
            ("module.a", "module.a[\"k\"]", "module.a[\"l\"].image.web", None),
            ("module.a[\"k\"]", "module.b.module.c", "module.a[\"k\"].image.web", Some("module.b.module.c.image.web")),
            ("module.a.module.b", "module.b", "module.a.module.b.image.web", Some("module.b.image.web")),
        ];
        for (from, to, old, new) in table {
            let one = moved(from, to);
            assert_eq!(one.forward(&address(old)), new.map(address), "{from} -> {to}: {old}");
            if let Some(new) = new {
                assert_eq!(one.backward(&address(new)), Some(address(old)), "{from} -> {to}: back from {new}");
            }
        }
    }

    #[test]
    fn ends_that_cannot_be_one_thing_are_refused() {
        for (from, to) in [
            ("image.a", "external_volume.a"),
            ("image.a", "module.a"),
            ("module.a", "image.a[0]"),
            ("module.a.image.a", "module.a.host.a"),
        ] {
            let problem = Moved::new(from.parse().expect(from), to.parse().expect(to), None).expect_err(from);
            assert_eq!(problem.code, "moved-to-another-kind", "{from} {to}");
        }
    }

    #[test]
    fn chains_are_followed_to_their_end_and_circles_are_seen() {
        let chain = [moved("image.b", "image.c"), moved("image.a", "image.b"), moved("image.c", "module.m.image.d")];
        assert_eq!(destination(&chain, &address("image.a[1]")), Ok(address("module.m.image.d[1]")));
        assert_eq!(destination(&chain, &address("image.x")), Ok(address("image.x")));
        let names = |all: BTreeSet<Address>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(origins(&chain, &address("module.m.image.d"))), ["image.a", "image.b", "image.c"]);
        assert_eq!(names(origins(&chain, &address("image.b"))), [""; 0], "nothing ends in the middle of a chain");

        let circle = [moved("image.a", "image.b"), moved("image.b", "image.a")];
        assert!(destination(&circle, &address("image.a")).is_err());
        let growing = [moved("module.a", "module.b.module.c"), moved("module.b", "module.a")];
        assert!(destination(&growing, &address("module.a.image.x")).is_err());
        assert_eq!(origins(&circle, &address("image.a")), BTreeSet::new());
    }

    #[test]
    fn what_names_an_instance_most_exactly_counts() {
        let all = [
            moved("module.m", "module.n"),
            moved("module.m.image.web", "image.app"),
            moved("module.m.image.web[\"a\"]", "image.special"),
            moved("module.m.module.i", "module.i"),
        ];
        for (old, new) in [
            ("module.m.image.web[\"a\"]", "image.special"),
            ("module.m.image.web[\"b\"]", "image.app[\"b\"]"),
            ("module.m.image.db", "module.n.image.db"),
            ("module.m.module.i.image.web", "module.i.image.web"),
        ] {
            assert_eq!(destination(&all, &address(old)), Ok(address(new)), "{old}");
        }
    }

    #[test]
    fn a_statement_of_a_module_reads_from_outside() {
        let prefix = [ModuleStep { name: "m".into(), key: Some(Key::Text("k".into())) }];
        let one = moved("image.web", "image.app[0]").within(&prefix);
        assert_eq!(one.forward(&address("module.m[\"k\"].image.web")), Some(address("module.m[\"k\"].image.app[0]")));
        assert_eq!(one.forward(&address("image.web")), None);
    }

    #[test]
    fn the_statements_of_pairs_name_whole_blocks_where_they_can() {
        let pairs = [
            ("image.web[\"a\"]", "image.app[\"a\"]"),
            ("image.web[\"b\"]", "image.app[\"b\"]"),
            ("image.one", "image.two[0]"),
            ("image.part[0]", "image.rest[0]"),
            ("image.plain", "image.simple"),
            ("module.a.image.x", "module.b.image.x"),
            ("module.a.module.i[0].image.x[1]", "module.b.module.i[0].image.x[1]"),
            ("module.each[\"a\"].image.x", "module.every[\"a\"].image.x"),
            ("module.each[\"b\"].image.x", "module.every[\"b\"].image.x"),
            ("module.single.image.x", "module.single[\"k\"].image.x"),
            ("module.outer.module.old.image.x", "module.outer.module.new.image.x"),
            ("module.kept.image.x", "module.other.image.x"),
            ("module.out.image.x", "image.out"),
        ]
        .map(|(from, to)| (address(from), address(to)));
        let known = |selector: &Selector| match selector.to_string().as_str() {
            "image.part" => Some(2),
            "module.kept" => None,
            _ => Some(pairs.iter().filter(|(from, _)| selector.selects(from)).count()),
        };
        let said: Vec<_> =
            statements(pairs.iter().map(|(a, b)| (a, b)), known).into_iter().map(|(a, b)| format!("{a} {b}")).collect();
        assert_eq!(
            said,
            [
                "module.a module.b",
                "module.each module.every",
                "module.outer.module.old module.outer.module.new",
                "module.single module.single[\"k\"]",
                "image.one image.two[0]",
                "image.part[0] image.rest[0]",
                "image.plain image.simple",
                "image.web image.app",
                "module.kept.image.x module.other.image.x",
                "module.out.image.x image.out"
            ]
        );
        for (from, to) in statements(pairs.iter().map(|(a, b)| (a, b)), known) {
            let one = Moved::new(from, to, None).expect("ends of one kind");
            let hits = pairs.iter().filter(|(old, new)| one.forward(old).as_ref() == Some(new)).count();
            assert!(hits >= 1, "{one:?}");
        }
    }

    fn any_selector() -> impl Strategy<Value = Selector> {
        let key = prop_oneof![Just(String::new()), Just("[0]".to_owned()), Just("[\"k\"]".to_owned())];
        let step =
            (prop_oneof![Just("a"), Just("b")], key.clone()).prop_map(|(name, key)| format!("module.{name}{key}"));
        let resource = (prop_oneof![Just("x"), Just("y")], key).prop_map(|(name, key)| format!("image.{name}{key}"));
        (prop::collection::vec(step, 0..3), prop::option::of(resource)).prop_filter_map(
            "nothing",
            |(steps, resource)| {
                let text = steps.into_iter().chain(resource).collect::<Vec<_>>().join(".");
                text.parse().ok()
            },
        )
    }

    fn any_address() -> impl Strategy<Value = Address> {
        any_selector().prop_filter_map("a module", |selector| selector.address().cloned())
    }

    proptest! {
        #[test]
        fn a_way_back_leads_to_where_it_came_from(from in any_selector(), to in any_selector(), address in any_address()) {
            if let Ok(one) = Moved::new(from, to, None)
                && let Some(new) = one.forward(&address)
            {
                prop_assert_eq!(one.backward(&new), Some(address));
                prop_assert!(one.to.overlaps(&Selector::Instance(new)));
            }
        }

        #[test]
        fn following_ends_and_origins_lead_home(
            ends in prop::collection::vec((any_selector(), any_selector()), 0..6),
            address in any_address(),
        ) {
            let moves: Vec<_> = ends.into_iter().filter_map(|(from, to)| Moved::new(from, to, None).ok()).collect();
            if let Ok(end) = destination(&moves, &address) {
                prop_assert!(about(&moves, &end).is_none());
                if end != address {
                    prop_assert!(origins(&moves, &end).contains(&address));
                }
            }
        }
    }
}
