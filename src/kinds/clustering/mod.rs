//! The hosts of one OCFS2 cluster, judged together: who each node is, what each host's files and kernel say of the cluster, and the
//! steps between. Nothing here takes a cluster offline or starts a service anew: that would stop, or fence, hosts with guests.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::model::block::Attributes;
use crate::model::{Address, Block, Datum, Hazard, HazardCode, HostName};

use super::Scene;
use super::ask::cluster_conf::{self, Cluster, ClusterConf, Node};
use super::ask::o2cb::{self, O2cb, Online};

use super::ground::Ground;
use super::host;
use super::verdict::{Standing, Verdict};

mod findings;
mod leave;
mod member;
mod numbers;

pub(in crate::kinds) use leave::unmake;
use member::Look;

/// What a block says of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kinds) struct Wanted {
    pub(in crate::kinds) name: String,
    pub(in crate::kinds) port: u16,
    /// By host, as the other nodes reach it.
    pub(in crate::kinds) addresses: BTreeMap<HostName, String>,
    numbers: BTreeMap<HostName, u8>,
    threshold: u64,
    idle: u64,
    keepalive: u64,
    reconnect: u64,
}

impl Wanted {
    pub(in crate::kinds) fn of(block: &Block) -> Option<Self> {
        let (Datum::TextMap(addresses), Datum::IntegerMap(numbers)) =
            (block.datum("addresses")?, block.datum("node_numbers")?)
        else {
            return None;
        };
        let nodes = block.resources("nodes").iter().map(host::name_of);
        let address = |host: HostName| Some((host.clone(), addresses.get(host.as_str())?.clone()));
        let number =
            |(name, number): (&String, &i64)| Some((HostName::from(name.as_str()), u8::try_from(*number).ok()?));
        Some(Wanted {
            name: block.text("name")?.to_owned(),
            port: u16::try_from(block.integer("port")?).ok()?,
            addresses: nodes.filter_map(address).collect(),
            numbers: numbers.iter().filter_map(number).collect(),
            threshold: u64::try_from(block.integer("heartbeat_threshold")?).ok()?,
            idle: block.duration("idle_timeout")?,
            keepalive: block.duration("keepalive_delay")?,
            reconnect: block.duration("reconnect_delay")?,
        })
    }

    /// Seconds after which a node without a heartbeat is dead (o2cb(7)).
    fn dead_after(&self) -> u64 {
        self.threshold.saturating_sub(1) * 2
    }

    /// What the service is to do at boot (o2cb.sysconfig(5)).
    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("O2CB_ENABLED", "true".to_owned()),
            ("O2CB_STACK", "o2cb".to_owned()),
            ("O2CB_BOOTCLUSTER", self.name.clone()),
            ("O2CB_HEARTBEAT_THRESHOLD", self.threshold.to_string()),
            ("O2CB_IDLE_TIMEOUT_MS", self.idle.to_string()),
            ("O2CB_KEEPALIVE_DELAY_MS", self.keepalive.to_string()),
            ("O2CB_RECONNECT_DELAY_MS", self.reconnect.to_string()),
        ]
    }

    /// The same in the kernel, with the word of the configuration.
    fn values(&self) -> [(&'static str, &'static str, u64); 4] {
        [
            ("heartbeat/dead_threshold", "heartbeat_threshold", self.threshold),
            ("idle_timeout_ms", "idle_timeout", self.idle),
            ("keepalive_delay_ms", "keepalive_delay", self.keepalive),
            ("reconnect_delay_ms", "reconnect_delay", self.reconnect),
        ]
    }
}

/// What one host says.
pub(in crate::kinds) struct Said {
    ground: Rc<Ground>,
    pub(in crate::kinds) o2cb: O2cb,
    conf: ClusterConf,
    /// What the file says of the cluster.
    cluster: Option<Cluster>,
    settings: Option<String>,
    /// Whether there is a directory for cluster.conf is nobody's affair: it is made with the file.
    short: String,
}

impl Said {
    pub(in crate::kinds) fn read(scene: &Scene, host: &HostName, cluster: &str) -> Result<Self, String> {
        let facts = scene.host(host);
        let ground = scene.ground(host)?;
        let o2cb = o2cb::read(facts)?;
        let conf = cluster_conf::read(facts)?;
        let cluster = conf.cluster(cluster)?;
        let settings = o2cb::read_settings(facts, &o2cb.settings)?;
        let short = ground.system.hostname.split('.').next().unwrap_or_default().to_owned();
        Ok(Said { ground, o2cb, conf, cluster, settings, short })
    }

    fn online(&self, cluster: &str) -> Option<&Online> {
        self.o2cb.online.get(cluster).filter(|online| online.own.is_some())
    }

    /// Where file systems of the cluster stack are mounted.
    fn mounts(&self) -> impl Iterator<Item = &str> {
        self.ground.mounts.0.iter().filter(|mount| mount.fstype == "ocfs2").map(|mount| mount.target.as_str())
    }
}

/// Holds what is wanted against what all hosts said.
pub(in crate::kinds) fn judge(block: &Block, scene: &Scene, hosts: &[HostName]) -> BTreeMap<HostName, Verdict> {
    let all_unknown = |why: &str| hosts.iter().map(|host| (host.clone(), Verdict::unknown(why))).collect();
    let Some(wanted) = Wanted::of(block) else { return all_unknown("the block is incomplete") };
    let said: BTreeMap<HostName, Result<Said, String>> =
        hosts.iter().map(|host| (host.clone(), Said::read(scene, host, &wanted.name))).collect();
    let mut verdicts = BTreeMap::new();
    let leavers = leave::leavers(block, scene, hosts, &wanted.name);
    let (nodes, hazards) = match numbers::nodes(block, scene, &wanted, &said, &leavers) {
        Ok(found) => found,
        // One of them is not known at all: then nothing is known of the cluster as a whole.
        Err(why) => {
            let verdict = |(host, said): (&HostName, &Result<Said, String>)| {
                let own = said.as_ref().err().cloned().unwrap_or_else(|| why.clone());
                (host.clone(), Verdict::unknown(own))
            };
            return said.iter().map(verdict).collect();
        }
    };
    let is_any_online = said.values().flatten().any(|one| one.online(&wanted.name).is_some());
    let unknown: Vec<_> = said.iter().filter_map(|(host, said)| said.is_err().then_some(host)).collect();
    for host in hosts {
        let verdict = match &said[host] {
            Err(why) => Verdict::unknown(why.clone()),
            Ok(one) => {
                let look = Look {
                    address: &block.address,
                    host,
                    wanted: &wanted,
                    nodes: &nodes,
                    said: one,
                    leavers: &leavers,
                };
                look.judge(is_any_online)
            }
        };
        verdicts.insert(host.clone(), verdict);
    }
    // A host that answers and is not understood is no member that may be passed over either.
    if let Some(host) = unknown.first() {
        for verdict in verdicts.values_mut().filter(|verdict| verdict.drafts().next().is_some()) {
            verdict.differences.clear();
            verdict.standing =
                Standing::Unknown(format!("{host} is not known, and the others are changed with it only"));
        }
    }
    let of_all: Vec<_> = hazards.into_iter().chain(leave::still_mounted(block, scene, &leavers)).collect();
    if let Some(refused) = of_all.iter().find(|hazard| hazard.blocks()) {
        for verdict in verdicts.values_mut().filter(|verdict| verdict.drafts().next().is_some()) {
            verdict.differences.clear();
            verdict.standing = Standing::Later(format!("the cluster is refused: {}", refused.message));
        }
    }
    if let Some(verdict) = verdicts.values_mut().next() {
        verdict.hazards.extend(of_all);
    }
    verdicts
}

/// The other nodes of a cluster as a host reaches them: name, address, port.
pub(in crate::kinds) fn others(block: &Block, host: &HostName) -> Vec<(HostName, String, u16)> {
    let Some(wanted) = Wanted::of(block) else { return Vec::new() };
    let others = wanted.addresses.into_iter().filter(|(other, _)| other != host);
    others.map(|(other, address)| (other, address, wanted.port)).collect()
}

/// `0 hv1 10.99.0.11:7777, 1 hv2 10.99.0.12:7777`.
fn shown(nodes: &[Node]) -> String {
    let all = nodes.iter().map(|node| format!("{} {} {}:{}", node.number, node.name, node.address, node.port));
    all.collect::<Vec<_>>().join(", ")
}

fn hazard(code: HazardCode, address: &Address, host: &HostName, message: String, cure: impl Into<String>) -> Hazard {
    Hazard::new(code, address, Some(host), message, cure)
}
