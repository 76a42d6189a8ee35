//! Addresses that change in a state: which ones do under some statements, and the state with the new ones in every place
//! where it has the old. Loses no record and makes none; asks no host.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::host;
use crate::model::block::{AttributeMap, NestedBlock};
use crate::model::moved::{self, Moved};
use crate::model::{Address, Block, Datum, HostName, Problem, Problems};

use super::{Record, State};

/// The addresses of a state that change, from old to new: those of its records, and those that its blocks refer to.
pub type Pairs = BTreeMap<Address, Address>;

/// What changes in a state under these statements.
///
/// # Errors
/// `moved-onto-another` where two records, or two hosts, would become one; `moved-in-a-circle`.
pub fn resolve(state: &State, moves: &[Moved]) -> Result<Pairs, Problems> {
    let mut pairs = Pairs::new();
    if moves.is_empty() {
        return Ok(pairs);
    }
    let mut problems = Problems::new();
    for address in mentioned(state, moves) {
        match moved::destination(moves, &address) {
            Ok(end) if end != address => drop(pairs.insert(address, end)),
            Ok(_) => {}
            Err(moved::Circle(one)) => problems.push(in_a_circle(&one)),
        }
    }
    // A host that a statement names and the state knows nothing of is none of its addresses.
    pairs.retain(|old, _| !old.is(host::NAME) || knows_host(state, &host::name_of(old)));
    problems.extend(collisions(state, &pairs, moves));
    problems.dedup();
    match problems.is_empty() {
        true => Ok(pairs),
        false => Err(problems),
    }
}

/// The state with the new addresses. Done twice it is as done once.
pub fn rename<'a>(state: &'a State, pairs: &Pairs) -> Cow<'a, State> {
    if pairs.is_empty() {
        return Cow::Borrowed(state);
    }
    let mut next = state.clone();
    let names = host_names(pairs);
    let name = |host: HostName| names.get(&host).cloned().unwrap_or(host);
    next.hosts = next.hosts.into_iter().map(|(host, connection)| (name(host), connection)).collect();
    next.resources = next
        .resources
        .into_iter()
        .map(|(address, record)| {
            let mut record = Record {
                block: renamed(record.block, pairs),
                pending: record.pending.map(|block| renamed(block, pairs)),
                placements: record.placements.into_iter().map(|(host, one)| (name(host), one)).collect(),
                formerly: record.formerly,
            };
            let new = pairs.get(&address).cloned().unwrap_or_else(|| address.clone());
            if new != address {
                record.formerly.insert(address);
            }
            // Back where it was: that is no former address.
            record.formerly.remove(&new);
            (new, record)
        })
        .collect();
    Cow::Owned(next)
}

/// `moved-in-a-circle`, at the statement that would be followed twice.
pub fn in_a_circle(one: &Moved) -> Problem {
    Problem::error(
        "moved-in-a-circle",
        format!("the `moved` statements lead from {} in a circle", one.from),
        "What moves must come to rest at an address that no statement moves away from. Remove the statement that is wrong.",
    )
    .at(one.place.as_ref())
}

/// Every address that could change: records, what their blocks refer to, and hosts that a statement names.
fn mentioned(state: &State, moves: &[Moved]) -> BTreeSet<Address> {
    let mut all: BTreeSet<Address> = state.resources.keys().cloned().collect();
    for record in state.resources.values() {
        for block in std::iter::once(&record.block).chain(&record.pending) {
            all.extend(block.depends_on.iter().cloned());
            references(&block.attributes, &block.blocks, &mut |address| {
                all.insert(address.clone());
            });
        }
    }
    let named = moves.iter().filter_map(|one| one.from.address());
    all.extend(named.filter(|address| address.is(host::NAME)).cloned());
    all
}

fn references(attributes: &AttributeMap, blocks: &[NestedBlock], tell: &mut impl FnMut(&Address)) {
    for attribute in attributes.values() {
        match &attribute.value {
            Datum::Resource(address) => tell(address),
            Datum::Resources(addresses) => addresses.iter().for_each(&mut *tell),
            _ => {}
        }
    }
    for block in blocks {
        references(&block.attributes, &block.blocks, tell);
    }
}

/// Whether the state has anything of a host.
fn knows_host(state: &State, name: &HostName) -> bool {
    state.hosts.contains_key(name) || state.resources.values().any(|record| record.placements.contains_key(name))
}

fn host_names(pairs: &Pairs) -> BTreeMap<HostName, HostName> {
    let hosts = pairs.iter().filter(|(old, _)| old.is(host::NAME));
    let names = hosts.map(|(old, new)| (host::name_of(old), host::name_of(new)));
    names.filter(|(old, new)| old != new).collect()
}

/// Where two would become one.
fn collisions(state: &State, pairs: &Pairs, moves: &[Moved]) -> Problems {
    let mut problems = Problems::new();
    let mut note = |old: &Address, new: &Address, other: &str| {
        let place = moved::about(moves, old).and_then(|(_, one)| one.place.as_ref());
        problems.push(
            Problem::error(
                "moved-onto-another",
                format!("{old} cannot become {new}: {other}"),
                format!(
                    "Two things cannot be one. Forget the one that is not meant (`larder state rm`), or remove the `moved` statement that leads to {new}."
                ),
            )
            .at(place),
        );
    };
    let mut taken: BTreeMap<&Address, &Address> = BTreeMap::new();
    for (old, new) in pairs.iter().filter(|(old, _)| state.resources.contains_key(*old)) {
        if state.resources.contains_key(new) {
            note(old, new, "the state has that too");
        } else if let Some(first) = taken.insert(new, old) {
            note(old, new, &format!("so would {first}"));
        }
    }
    let mut taken: BTreeMap<HostName, &Address> = BTreeMap::new();
    for (old, new) in pairs.iter().filter(|(old, _)| old.is(host::NAME)) {
        let (before, after) = (host::name_of(old), host::name_of(new));
        if before == after {
            continue;
        }
        if knows_host(state, &after) {
            note(old, new, "the state has things on a host of that name");
        } else if let Some(first) = taken.insert(after, old) {
            note(old, new, &format!("so would {first}"));
        }
    }
    problems
}

fn renamed(mut block: Block, pairs: &Pairs) -> Block {
    let new = |address: Address| pairs.get(&address).cloned().unwrap_or(address);
    block.depends_on = block.depends_on.into_iter().map(new).collect();
    block.address = pairs.get(&block.address).cloned().unwrap_or(block.address);
    rename_references(&mut block.attributes, &mut block.blocks, pairs);
    block
}

fn rename_references(attributes: &mut AttributeMap, blocks: &mut [NestedBlock], pairs: &Pairs) {
    let rename = |address: &mut Address| {
        if let Some(new) = pairs.get(address) {
            *address = new.clone();
        }
    };
    for attribute in attributes.values_mut() {
        match &mut attribute.value {
            Datum::Resource(address) => rename(address),
            Datum::Resources(addresses) => addresses.iter_mut().for_each(rename),
            _ => {}
        }
    }
    for block in blocks {
        rename_references(&mut block.attributes, &mut block.blocks, pairs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attribute, Connection, Reach, Selector};
    use crate::state::Placement;
    use proptest::prelude::*;

    fn address(text: &str) -> Address {
        text.parse().expect(text)
    }

    fn moved(from: &str, to: &str) -> Moved {
        Moved::new(from.parse().expect(from), to.parse().expect(to), None).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// A record on hosts whose identity tells where it came from.
    fn record(text: &str, refers_to: &[&str], hosts: &[&str]) -> (Address, Record) {
        let refers: Vec<Address> = refers_to.iter().map(|text| address(text)).collect();
        let block = Block {
            address: address(text),
            attributes: [("refers".into(), Attribute::default_value(Datum::Resources(refers.clone())))].into(),
            blocks: refers
                .first()
                .map(|first| NestedBlock {
                    name: "inner".to_owned(),
                    attributes: [("to".into(), Attribute::default_value(Datum::Resource(first.clone())))].into(),
                    blocks: Vec::new(),
                    place: None,
                })
                .into_iter()
                .collect(),
            depends_on: refers.into_iter().collect(),
            lifecycle: crate::model::Lifecycle { prevent_destroy: true, ..Default::default() },
            place: None,
        };
        let placement = |host: &&str| {
            let identity = [("was".to_owned(), text.to_owned())].into();
            (HostName::from(*host), Placement { observed: BTreeMap::new(), identity })
        };
        let record = Record {
            pending: Some(block.clone()),
            block,
            placements: hosts.iter().map(placement).collect(),
            formerly: BTreeSet::new(),
        };
        (address(text), record)
    }

    fn state(records: &[(&str, &[&str], &[&str])]) -> State {
        let connection =
            Connection { reach: Reach::Local, becomes_root: false, connect_timeout: std::time::Duration::ZERO };
        let hosts = records.iter().flat_map(|(_, _, hosts)| hosts.iter());
        State {
            resources: records.iter().map(|(text, refers, hosts)| record(text, refers, hosts)).collect(),
            hosts: hosts.map(|host| (HostName::from(*host), connection.clone())).collect(),
            ..State::default()
        }
    }

    fn storage() -> State {
        state(&[
            ("image_storage.main", &["host.hv1", "host.hv2"], &["hv1", "hv2"]),
            ("external_volume.disk", &["image_storage.main"], &["hv1", "hv2"]),
            ("image.web[\"a\"]", &["external_volume.disk"], &["hv1"]),
            ("image.web[\"b\"]", &["external_volume.disk"], &["hv1"]),
        ])
    }

    #[test]
    fn a_record_moves_with_all_that_is_remembered_and_all_that_refers_to_it() {
        let before = storage();
        let moves = [moved("external_volume.disk", "module.m.external_volume.fast"), moved("image.web", "image.app")];
        let after = rename(&before, &resolve(&before, &moves).expect("no collision")).into_owned();
        let names: Vec<_> = after.resources.keys().map(ToString::to_string).collect();
        assert_eq!(
            names,
            ["image.app[\"a\"]", "image.app[\"b\"]", "image_storage.main", "module.m.external_volume.fast"]
        );
        let (volume, image) = (
            &after.resources[&address("module.m.external_volume.fast")],
            &after.resources[&address("image.app[\"a\"]")],
        );
        assert_eq!(volume.placements, before.resources[&address("external_volume.disk")].placements);
        assert_eq!(volume.formerly, [address("external_volume.disk")].into());
        assert!(volume.block.lifecycle.prevent_destroy, "protection moves along");
        for block in [&image.block, image.pending.as_ref().expect("pending moves along")] {
            assert_eq!(block.address, address("image.app[\"a\"]"));
            assert_eq!(block.depends_on, [volume.block.address.clone()].into());
            assert_eq!(block.attributes["refers"].value, Datum::Resources(vec![volume.block.address.clone()]));
            assert_eq!(block.blocks[0].attributes["to"].value, Datum::Resource(volume.block.address.clone()));
        }
        // As it is written and read again, it is a state.
        assert_eq!(State::parse(after.text().as_bytes()).map_err(|problem| problem.to_string()), Ok(after));
    }

    #[test]
    fn a_host_that_is_renamed_takes_its_placements_along() {
        let before = storage();
        let after = rename(&before, &resolve(&before, &[moved("host.hv1", "host.node")]).expect("no collision"));
        let names = |hosts: Vec<&HostName>| hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(after.hosts.keys().collect()), ["hv2", "node"]);
        assert_eq!(names(after.resources[&address("image.web[\"a\"]")].placements.keys().collect()), ["node"]);
        assert_eq!(
            after.resources[&address("image_storage.main")].block.attributes["refers"].value,
            Datum::Resources(vec![address("host.node"), address("host.hv2")])
        );
        let problems = resolve(&before, &[moved("host.hv1", "host.hv2")]).expect_err("two machines");
        assert!(problems.iter().any(|one| one.code == "moved-onto-another"), "{problems:?}");
        assert_eq!(resolve(&before, &[moved("host.gone", "host.hv1")]), Ok(Pairs::new()), "that was long ago");
    }

    #[test]
    fn two_things_never_become_one() {
        let before = storage();
        for (moves, told) in [
            (vec![moved("image.web[\"a\"]", "image.web[\"b\"]")], "image.web[\"b\"]"),
            (vec![moved("image.web[\"a\"]", "image.x"), moved("image.web[\"b\"]", "image.x")], "image.x"),
        ] {
            let problems = resolve(&before, &moves).expect_err(told);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].code, "moved-onto-another");
            assert!(problems[0].summary.contains(told) && problems[0].detail.contains("state rm"), "{}", problems[0]);
        }
        let circle = [moved("image.web", "image.x"), moved("image.x", "image.web")];
        assert_eq!(resolve(&before, &circle).expect_err("a circle")[0].code, "moved-in-a-circle");
        // A chain leads both to its end, however it came about.
        let chain = [moved("image.web[\"b\"]", "image.x"), moved("image.web[\"a\"]", "image.web[\"b\"]")];
        assert_eq!(resolve(&before, &chain).expect_err("two at its end")[0].code, "moved-onto-another");
    }

    fn any_address() -> impl Strategy<Value = String> {
        let module = prop_oneof![Just(""), Just("module.m."), Just("module.n[0]."), Just("module.n[1].")];
        let key = prop_oneof![Just(""), Just("[0]"), Just("[1]"), Just("[\"k\"]")];
        (module, prop_oneof![Just("a"), Just("b"), Just("c")], key)
            .prop_map(|(module, name, key)| format!("{module}image.{name}{key}"))
    }

    fn any_end() -> impl Strategy<Value = String> {
        let modules = ["module.m", "module.n", "module.n[0]", "module.o"].map(|text| Just(text.to_owned()));
        let [m, n, n0, o] = modules;
        prop_oneof![3 => any_address(), 1 => prop_oneof![m, n, n0, o]]
    }

    proptest! {
        #[test]
        fn no_record_is_lost_and_none_doubled(
            texts in prop::collection::btree_set(any_address(), 0..8),
            ends in prop::collection::vec((any_end(), any_end()), 0..6),
        ) {
            let texts: Vec<_> = texts.into_iter().collect();
            let records: Vec<(&str, &[&str], &[&str])> =
                texts.iter().map(|text| (text.as_str(), [].as_slice(), ["hv1"].as_slice())).collect();
            let before = state(&records);
            let moves: Vec<Moved> = ends
                .iter()
                .filter_map(|(from, to)| {
                    let ends: (Selector, Selector) = (from.parse().ok()?, to.parse().ok()?);
                    Moved::new(ends.0, ends.1, None).ok()
                })
                .collect();
            let Ok(pairs) = resolve(&before, &moves) else { return Ok(()) };
            let after = rename(&before, &pairs);
            // Each record is there once, with what was remembered of it.
            let was = |state: &State| {
                let mut all: Vec<String> = state
                    .resources
                    .values()
                    .map(|record| record.placements[&HostName::from("hv1")].identity["was"].clone())
                    .collect();
                all.sort();
                all
            };
            prop_assert_eq!(was(&after), was(&before));
            for (new, record) in &after.resources {
                prop_assert_eq!(&record.block.address, new);
                let old = address(&record.placements[&HostName::from("hv1")].identity["was"]);
                prop_assert_eq!(moved::destination(&moves, &old).ok(), Some(new.clone()));
                prop_assert_eq!(record.formerly.contains(&old), old != *new);
            }
            // Nothing is left to do, and doing it again does nothing.
            prop_assert_eq!(resolve(&after, &moves), Ok(Pairs::new()));
            prop_assert_eq!(&rename(&after, &pairs), &after);
        }
    }
}
