//! What a kind may look at when it judges: all blocks, what the hosts said, and what the state remembers.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::model::{Address, Block, Blocks, Facts, Guard, HostFacts, HostName};

use super::ask::Known;
use super::ask::mounts::is_within;
use super::ask::open_files::{Use, Users};
use super::ground::Ground;
use super::kind_of;

/// What the state remembers of one resource.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The block as it was applied last.
    pub block: Option<Block>,
    /// What was remembered for each host: directories made, modes before.
    pub hosts: BTreeMap<HostName, BTreeMap<String, String>>,
    /// Hosts on which it was found to exist when it was applied or refreshed last.
    pub seen: BTreeSet<HostName>,
    /// Addresses that it had before: a host may still carry one.
    pub formerly: BTreeSet<Address>,
}

/// What is worthless without the very content of another resource, by that one.
pub type Dependents = BTreeMap<Address, Vec<Dependent>>;

/// One of these, wanted or still recorded.
#[derive(Debug, Clone)]
pub struct Dependent {
    pub address: Address,
    pub hosts: BTreeSet<HostName>,
    /// Where it may be seen.
    pub paths: Vec<String>,
}

/// What was read of each host once, for all resources that look at it.
#[derive(Debug, Default)]
pub struct Heard {
    hosts: RefCell<BTreeMap<HostName, Rc<HeardOf>>>,
}

#[derive(Debug)]
struct HeardOf {
    ground: Known<Rc<Ground>>,
    users: Users,
}

/// The whole picture. Everything in it is plain data.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The blocks that are wanted, completed; while a recorded resource is unmade, the recorded ones.
    pub blocks: &'a Blocks,
    /// The blocks that are wanted, while a recorded resource is unmade too.
    pub wanted: &'a Blocks,
    pub facts: &'a Facts,
    pub memory: &'a BTreeMap<Address, Memory>,
    /// The paths of each host whose users were asked for.
    pub watched: &'a BTreeMap<HostName, Vec<String>>,
    /// Which resource is to have which path, by host.
    pub owners: &'a BTreeMap<HostName, BTreeMap<String, Address>>,
    /// All overlays, those that are not part of the run too.
    pub dependents: &'a Dependents,
    pub heard: &'a Heard,
}

impl Scene<'_> {
    pub fn host(&self, host: &HostName) -> &HostFacts {
        self.facts.host(host)
    }

    fn heard(&self, host: &HostName) -> Rc<HeardOf> {
        let mut hosts = self.heard.hosts.borrow_mut();
        let read = || {
            let facts = self.host(host);
            Rc::new(HeardOf { ground: Ground::read(facts).map(Rc::new), users: Users::read(facts) })
        };
        Rc::clone(hosts.entry(host.clone()).or_insert_with(read))
    }

    /// What a host said of itself, its mounts and its fstab.
    pub fn ground(&self, host: &HostName) -> Known<Rc<Ground>> {
        self.heard(host).ground.clone()
    }

    /// Who uses anything at or below a path.
    pub fn users(&self, host: &HostName, path: &str) -> Known<Vec<Use>> {
        self.heard(host).users.below(path)
    }

    pub fn block(&self, address: &Address) -> Option<&Block> {
        self.blocks.get(address)
    }

    /// The block as it was applied last.
    pub fn previous(&self, address: &Address) -> Option<&Block> {
        self.memory.get(address)?.block.as_ref()
    }

    /// The names by which a host may know a resource: its address, and those that it had before and nobody has now.
    pub fn names(&self, address: &Address) -> Vec<String> {
        let formerly = self.memory.get(address).into_iter().flat_map(|memory| &memory.formerly);
        let is_free = |former: &&Address| !self.blocks.contains_key(*former) && !self.memory.contains_key(*former);
        let formerly = formerly.filter(is_free);
        std::iter::once(address).chain(formerly).map(ToString::to_string).collect()
    }

    /// Whether the resource was found on that host when it was applied last: what is missing now has been lost since.
    pub fn was_seen(&self, address: &Address, host: &HostName) -> bool {
        self.memory.get(address).is_some_and(|memory| memory.seen.contains(host))
    }

    /// What the state remembers of a resource on a host.
    pub fn remembered(&self, address: &Address, host: &HostName, name: &str) -> Option<&str> {
        self.memory.get(address)?.hosts.get(host)?.get(name).map(String::as_str)
    }

    /// Whether the resource was found on any host when it was applied last, whichever hosts it is to be on now.
    pub fn was_seen_anywhere(&self, address: &Address) -> bool {
        self.memory.get(address).is_some_and(|memory| !memory.seen.is_empty())
    }

    /// What the state remembers of a resource on every host that it knows of.
    pub fn remembered_anywhere(&self, address: &Address, name: &str) -> Vec<(&HostName, &str)> {
        let hosts = self.memory.get(address).into_iter().flat_map(|memory| &memory.hosts);
        hosts.filter_map(|(host, facts)| Some((host, facts.get(name)?.as_str()))).collect()
    }

    pub fn watched(&self, host: &HostName) -> &[String] {
        self.watched.get(host).map_or(&[], Vec::as_slice)
    }

    /// Whether a directory is to be there when the plan has run: it is a resource's on that host, or one of theirs lies below it.
    pub fn stays(&self, directory: &str, host: &HostName) -> bool {
        let Some(owners) = self.owners.get(host) else { return false };
        let mut below = owners.range(directory.to_owned()..).take_while(|(owned, _)| owned.starts_with(directory));
        below.any(|(owned, _)| is_within(owned, directory))
    }

    /// The resource that a block waits for, of those that it depends on, before a disk that is missing on a host can be judged.
    pub fn brings_disks<'b>(&self, block: &'b Block, host: &HostName) -> Option<&'b Address> {
        block.depends_on.iter().find(|address| {
            let needed = self.block(address).zip(kind_of(address));
            needed.is_some_and(|(needed, kind)| kind.brings_disks(needed, self, host))
        })
    }

    /// The room that images find in a volume on a host.
    pub fn room(&self, volume: &Address, host: &HostName) -> Option<Room> {
        kind_of(volume)?.room(self.block(volume)?, self, host)
    }
}

/// A repository of installation media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where its files are seen on each of its hosts.
    pub directory: String,
    pub server: String,
    pub share: String,
    pub username: String,
}

/// Disks that another machine gives a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attached {
    /// What they are a part of, in its own words: the name of the target.
    pub name: String,
    /// The ways that lead there, with how each is: `logged in`, `logged out`, `failed`.
    pub portals: Vec<(String, &'static str)>,
    pub disks: Vec<AttachedDisk>,
}

/// One of them, whatever number of paths leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedDisk {
    /// The name that lasts.
    pub path: String,
    /// Its World Wide Name, in hexadecimal digits.
    pub wwn: Option<String>,
    /// Bytes.
    pub size: u64,
    pub paths: usize,
    pub working_paths: usize,
}

/// A CIFS share, or a directory of it, whose files are seen on the hosts of a resource: who serves it, and who mounts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub share: String,
    /// Which directory below the share, without slashes at its ends; empty for the share itself.
    pub path: String,
    /// Where its files are seen.
    pub directory: String,
    /// How the names of programs begin that have files open there on behalf of hosts that mount it.
    pub served_by: Option<&'static str>,
}

/// A volume as its images see it on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The directory that images lie in.
    pub directory: String,
    pub state: RoomState,
    /// Whether all members see the same files: an image is then made by one of them.
    pub shared: bool,
    /// Empty after each boot: an image that is gone from it is no loss that anybody has to look into.
    pub volatile: bool,
    /// Why room cannot be reserved in it but by writing every byte, where that is so.
    pub cannot_reserve: Option<String>,
    /// What must hold while images are made or changed: the volume is mounted as it was seen.
    pub guard: Vec<Guard>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomState {
    /// What the host said about paths below `look_in` is what images will find in `directory`.
    Open {
        look_in: String,
    },
    /// Steps of this plan make it, empty: `size` bytes in all.
    New {
        filesystem: String,
        size: u64,
    },
    /// What it holds is known only after steps of this plan.
    Later(String),
    Unknown(String),
}
