//! `ocfs2_cluster`: the cluster stack o2cb of the hosts that mount one OCFS2 together: who its nodes are, and that it is online.
//!
//! ```hcl
//! ocfs2_cluster "vms" {
//!   nodes     = [host.hv1, host.hv2]
//!   addresses = { hv1 = "10.1.0.11", hv2 = "10.1.0.12" }
//! }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::model::block::Attributes;
use crate::model::{Attribute, Block, Blocks, Datum, HostName, Place, Problem, Problems, Question};

use super::ask::{cluster_conf, o2cb, samba};
use super::clustering;
use super::schema::{AttributeSchema as A, Schema, Type};
use super::verdict::Verdict;
use super::{Kind, Scene, host};

#[derive(Debug)]
pub struct Ocfs2Cluster;

static SCHEMA: Schema = Schema {
    doc: "The cluster stack (o2cb) of the hosts that mount OCFS2 volumes together. A host is in one cluster at most.",
    attributes: &[
        A::required("nodes", Type::Resources(&["host"]), "The hosts of the cluster."),
        A::optional("name", Type::Text, "Up to 16 letters and digits; default NAME."),
        A::optional(
            "node_numbers",
            Type::IntegerMap,
            "The number of a node by the name of its host, 0 to 254; default: the one that it has, else the lowest that is free. It stays for life.",
        ),
        A::optional(
            "addresses",
            Type::TextMap,
            "The IPv4 address of a node on the cluster's network, by the name of its host; default: the host's `address`, if it is one.",
        ),
        A::optional("port", Type::Integer, "TCP port between the nodes; default 7777."),
        A::optional(
            "heartbeat_threshold",
            Type::Integer,
            "A node whose heartbeat on the disk is missing for (threshold - 1) * 2 seconds is dead; default 31, at least 7.",
        ),
        A::optional(
            "idle_timeout",
            Type::Duration,
            "After what time of silence a connection is dead; default \"30s\", at least 5 s.",
        ),
        A::optional(
            "keepalive_delay",
            Type::Duration,
            "After what time of silence a node asks whether the other is there; default \"2s\", at least 1 s.",
        ),
        A::optional(
            "reconnect_delay",
            Type::Duration,
            "Time between two attempts to connect; default \"2s\", at least 2 s.",
        ),
    ],
    blocks: &[],
};

impl Kind for Ocfs2Cluster {
    fn name(&self) -> &'static str {
        "ocfs2_cluster"
    }

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn complete(&self, block: &mut Block, all: &Blocks) -> Problems {
        block.default_to("name", default_name(block));
        block.default_to("port", Datum::Integer(7777));
        block.default_to("heartbeat_threshold", Datum::Integer(31));
        block.default_to("idle_timeout", Datum::Duration(30_000));
        block.default_to("keepalive_delay", Datum::Duration(2_000));
        block.default_to("reconnect_delay", Datum::Duration(2_000));
        block.default_to("node_numbers", Datum::IntegerMap(BTreeMap::new()));
        let mut problems = take_addresses(block, all);
        problems.extend(check(block));
        problems
    }

    fn contradictions(&self, all: &Blocks) -> Problems {
        let mut first: BTreeMap<HostName, &Block> = BTreeMap::new();
        let mut problems = Problems::new();
        for block in all.values().filter(|block| block.address.is(self.name())) {
            for host in self.hosts(block, all) {
                let other = *first.entry(host.clone()).or_insert(block);
                if other.address != block.address {
                    problems.push(
                        Problem::error(
                            "invalid-value",
                            format!("{host} is a node of {} too", other.address),
                            "A host can be in one cluster only, because its kernel knows one at a time.",
                        )
                        .at(block.place_of("nodes").or(block.place.as_deref())),
                    );
                    break;
                }
            }
        }
        problems
    }

    fn hosts(&self, block: &Block, _all: &Blocks) -> Vec<HostName> {
        block.resources("nodes").iter().map(host::name_of).collect()
    }

    fn default_place(&self, block: &Block, _all: &Blocks) -> Option<(&'static str, Datum)> {
        Some(("name", default_name(block)))
    }

    fn identities(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        block.text("name").map(|name| format!("{} {name}", self.name())).into_iter().collect()
    }

    fn questions(&self, _block: &Block, _all: &Blocks, _host: &HostName) -> Vec<Question> {
        let settings = o2cb::SETTINGS.map(samba::file_question);
        [o2cb::question(), samba::file_question(cluster_conf::PATH)].into_iter().chain(settings).collect()
    }

    fn judge(&self, block: &Block, scene: &Scene) -> BTreeMap<HostName, Verdict> {
        let hosts = self.hosts(block, scene.blocks);
        clustering::judge(block, scene, &hosts)
    }

    fn unmake(&self, block: &Block, scene: &Scene, host: &HostName) -> Verdict {
        clustering::unmake(block, scene, host).unwrap_or_else(Verdict::unknown)
    }

    fn knows_each_other(&self) -> bool {
        true
    }

    fn functions(&self) -> &'static [(&'static str, &'static str)] {
        &o2cb::STEP_FUNCTIONS
    }
}

fn default_name(block: &Block) -> Datum {
    Datum::text(block.address.default_name())
}

/// Gives each node its address; what the block does not say is the host's own, where that is one.
fn take_addresses(block: &mut Block, all: &Blocks) -> Problems {
    let mut problems = Problems::new();
    if block.is_unknown("nodes") || block.is_unknown("addresses") {
        block.default_to("addresses", Datum::Unknown);
        return problems;
    }
    let mut addresses = match block.datum("addresses") {
        Some(Datum::TextMap(map)) => map.clone(),
        _ => BTreeMap::new(),
    };
    let mut is_open = false;
    for node in block.resources("nodes") {
        let name = host::name_of(node).to_string();
        if addresses.contains_key(&name) {
            continue;
        }
        let own = all.get(node);
        if own.is_some_and(|own| own.is_unknown("address")) {
            is_open = true;
            continue;
        }
        match own.and_then(|own| own.text("address")).filter(|address| is_of_a_network(address)) {
            Some(address) => drop(addresses.insert(name, address.to_owned())),
            None => problems.push(
                Problem::error(
                    "missing-attribute",
                    format!("{} does not say the address of {name}", block.address),
                    format!("OCFS2 speaks IPv4, and the address of the host block is none that others reach: add `addresses = {{ {name} = \"10.1.0.11\" }}`."),
                )
                .at(block.place_of("addresses").or(block.place_of("nodes")).or(block.place.as_deref())),
            ),
        }
    }
    let value = if is_open { Datum::Unknown } else { Datum::TextMap(addresses) };
    match block.attributes.get_mut("addresses") {
        Some(attribute) => attribute.value = value,
        None => drop(block.attributes.insert("addresses".into(), Attribute::default_value(value))),
    }
    problems
}

/// Whether a text is an IPv4 address that another host can have a connection to.
fn is_of_a_network(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok_and(|address| {
        !(address.is_loopback() || address.is_unspecified() || address.is_multicast() || address.is_broadcast())
    })
}

fn check(block: &Block) -> Problems {
    let mut problems = Problems::new();
    let mut error = |summary: String, detail: &str, place: Option<&Place>| {
        problems.push(Problem::error("invalid-value", summary, detail).at(place.or(block.place.as_deref())));
    };
    if let Some(name) = block.text("name")
        && !((1..=16).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric()))
    {
        error(
            format!("{name:?} is no name of a cluster"),
            "A name has 1 to 16 letters and digits: set `name`.",
            block.place_of("name"),
        );
    }
    let nodes: Vec<String> = block.resources("nodes").iter().map(|node| host::name_of(node).to_string()).collect();
    let mut known = BTreeSet::new();
    if let Some(twice) = nodes.iter().find(|name| !known.insert(*name)) {
        error(format!("{twice} is a node twice"), "Name each host once.", block.place_of("nodes"));
    }
    if !block.is_unknown("nodes") && (nodes.is_empty() || nodes.len() > 254) {
        error(format!("{} nodes make no cluster", nodes.len()), "Name 1 to 254 hosts.", block.place_of("nodes"));
    }
    let is_node = |name: &String| block.is_unknown("nodes") || nodes.contains(name);
    if let Some(Datum::IntegerMap(numbers)) = block.datum("node_numbers") {
        let place = block.place_of("node_numbers");
        let mut of: BTreeMap<i64, &String> = BTreeMap::new();
        for (name, number) in numbers {
            if !is_node(name) {
                error(format!("{name} is no node of {}", block.address), "Name a host of `nodes`.", place);
            }
            if !(0..=254).contains(number) {
                error(format!("{number} is no number of a node"), "Numbers go from 0 to 254.", place);
            }
            if let Some(other) = of.insert(*number, name) {
                error(
                    format!("{other} and {name} both have the number {number}"),
                    "Give each a number of its own.",
                    place,
                );
            }
        }
    }
    if let Some(Datum::TextMap(addresses)) = block.datum("addresses") {
        let place = block.place_of("addresses").or(block.place_of("nodes"));
        let mut of: BTreeMap<&String, &String> = BTreeMap::new();
        for (name, address) in addresses {
            if !is_node(name) {
                error(format!("{name} is no node of {}", block.address), "Name a host of `nodes`.", place);
            }
            if !is_of_a_network(address) {
                error(
                    format!("{address:?} is no address of a node"),
                    "Write an IPv4 address that the other nodes reach, like \"10.1.0.11\".",
                    place,
                );
            }
            if let Some(other) = of.insert(address, name) {
                error(format!("{other} and {name} both have the address {address}"), "Give each its own.", place);
            }
        }
    }
    if let Some(port) = block.integer("port").filter(|port| !(1..=65535).contains(port)) {
        error(format!("{port} is no TCP port"), "A port is a number from 1 to 65535.", block.place_of("port"));
    }
    if let Some(threshold) = block.integer("heartbeat_threshold").filter(|number| !(7..=3600).contains(number)) {
        error(
            format!("a heartbeat_threshold of {threshold} is not possible"),
            "o2cb takes 7 and more; 31 are 60 seconds, 61 are 120.",
            block.place_of("heartbeat_threshold"),
        );
    }
    for (name, least) in [("idle_timeout", 5_000), ("keepalive_delay", 1_000), ("reconnect_delay", 2_000)] {
        if block.duration(name).is_some_and(|value| !(least..=3_600_000).contains(&value)) {
            error(
                format!("this {name} is not possible"),
                "o2cb takes an idle_timeout of 5 s and more, a keepalive_delay of 1 s and more, a reconnect_delay of 2 s and more.",
                block.place_of(name),
            );
        }
    }
    if let (Some(idle), Some(keepalive)) = (block.duration("idle_timeout"), block.duration("keepalive_delay"))
        && keepalive >= idle
    {
        error(
            "keepalive_delay is not shorter than idle_timeout".to_owned(),
            "A connection would be dead before anybody has asked.",
            block.place_of("keepalive_delay").or(block.place_of("idle_timeout")),
        );
    }
    problems
}
