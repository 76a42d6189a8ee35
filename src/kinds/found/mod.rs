//! What lives on hosts and could be resources: mounts that could be volumes, and the images in them, as blocks that say exactly
//! what is there. Pure: what hosts said goes in, blocks and remarks come out. What is not known for certain becomes a remark,
//! never a block.

mod image;
pub mod mounts;
pub mod names;
pub mod target;
mod volume;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Address, Block, Blocks, Facts, HostFacts, HostName, Question};

use super::ask::image_listing::{self, Listing};
use super::ask::{Known, device, device_names, path};
use super::ground::{self, Ground};
use super::{Kind, host, kind_of};

pub use image::user_of;
pub use names::Names;

use mounts::{Candidate, Passed, Source};

/// A block that was found, with remarks for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub block: Block,
    /// The path by which people know it.
    pub place: String,
    /// Where it was found.
    pub hosts: Vec<HostName>,
    pub notes: Vec<String>,
}

/// Something that is on a host and that no block describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub host: HostName,
    pub what: String,
    pub why: String,
    pub regard: Regard,
}

/// What people make of something that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regard {
    /// It is on every host.
    Usual,
    /// It is understood, and no block can describe it.
    Certain,
    /// It may be a volume or an image: it could not be looked at.
    Doubt,
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// Storages first, then each volume with its images.
    pub blocks: Vec<Finding>,
    pub left_out: Vec<LeftOut>,
    /// Volumes and images that the configuration has already.
    pub managed: BTreeSet<Address>,
}

impl Findings {
    /// Blocks of the configuration whose values are not known: what they manage may be among what was found.
    pub fn note_unknown(&mut self, blocks: &Blocks, hosts: &[(HostName, Address)]) {
        let unknown = blocks.values().filter(|block| block.has_unknown());
        let doubts = unknown.flat_map(|block| {
            hosts.iter().map(|(host, _)| LeftOut {
                host: host.clone(),
                what: format!("what {} manages", block.address),
                why: "its values depend on facts of hosts that were not asked; name those as well".to_owned(),
                regard: Regard::Doubt,
            })
        });
        self.left_out.extend(doubts);
    }

    /// What a block is to be left out as, on every host that it was found on.
    pub fn left_out(&self, address: &Address, why: &str) -> Vec<LeftOut> {
        let finding = self.blocks.iter().find(|finding| finding.block.address == *address);
        finding.into_iter().flat_map(|finding| finding.left_out(why)).collect()
    }
}

impl Finding {
    fn left_out(&self, why: &str) -> Vec<LeftOut> {
        let on = |host: &HostName| LeftOut {
            host: host.clone(),
            what: self.place.clone(),
            why: why.to_owned(),
            regard: Regard::Certain,
        };
        self.hosts.iter().map(on).collect()
    }
}

/// What the configuration has already.
#[derive(Debug, Clone, Default)]
pub struct Managed {
    /// The owner of each path, by host.
    paths: BTreeMap<HostName, BTreeMap<String, Address>>,
    /// The directories of volumes, by host.
    volumes: BTreeMap<HostName, BTreeMap<String, Address>>,
    members: BTreeMap<Address, Vec<HostName>>,
    /// The directories in which images of a volume are seen besides its own, with that.
    sources: BTreeMap<(HostName, String), Vec<String>>,
    /// Names that are taken, by kind.
    names: BTreeMap<String, BTreeSet<String>>,
}

impl Managed {
    /// `names` are the kinds and names of all blocks, of those too that have no instance.
    pub fn of(blocks: &Blocks, names: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut managed = Managed::default();
        for (kind, name) in names {
            managed.names.entry(kind).or_default().insert(name);
        }
        for block in blocks.values().filter(|block| !block.has_unknown()) {
            let Some(kind) = kind_of(&block.address) else { continue };
            let hosts = kind.hosts(block, blocks);
            let mut directories = kind.image_directories(block).into_iter();
            let directory = directories.next();
            for source in directories {
                for host in &hosts {
                    let seen = managed.sources.entry((host.clone(), source.clone())).or_default();
                    seen.extend(directory.clone());
                }
            }
            for host in &hosts {
                let of_host = managed.paths.entry(host.clone()).or_default();
                of_host.extend(kind.paths(block, blocks).into_iter().map(|path| (path, block.address.clone())));
                if let Some(directory) = &directory {
                    let of_host = managed.volumes.entry(host.clone()).or_default();
                    of_host.insert(directory.clone(), block.address.clone());
                }
            }
            managed.members.insert(block.address.clone(), hosts);
        }
        managed
    }

    fn owner(&self, host: &HostName, path: &str) -> Option<&Address> {
        self.paths.get(host)?.get(path)
    }

    fn names(&self, kind: &dyn Kind) -> Names {
        Names::taken(self.names.get(kind.name()).into_iter().flatten().cloned())
    }
}

/// What every host is asked before anything is known of it. `named` are directories that somebody asked for.
pub fn questions() -> Vec<Question> {
    ground::questions(&[]).into_iter().chain([device_names::question()]).collect()
}

/// What has to be looked at on one host.
#[derive(Debug)]
struct Sight {
    ground: Ground,
    candidates: Vec<Candidate>,
    passed: Vec<Passed>,
    /// Volumes that the configuration has already, by directory.
    volumes: BTreeMap<String, Address>,
}

/// What has to be looked at on all hosts that answered.
#[derive(Debug)]
pub struct Survey<'a> {
    managed: &'a Managed,
    /// In the order in which they were named.
    hosts: Vec<(HostName, Address)>,
    sights: BTreeMap<HostName, Sight>,
    left_out: Vec<LeftOut>,
    seen: BTreeSet<Address>,
}

impl<'a> Survey<'a> {
    /// Sorts out what is mounted on the hosts, each with the address of its block. `named` are directories that somebody asked for.
    pub fn of(hosts: &[(HostName, Address)], facts: &Facts, managed: &'a Managed, named: &[String]) -> Self {
        let mut survey = Survey {
            managed,
            hosts: hosts.to_vec(),
            sights: BTreeMap::new(),
            left_out: Vec::new(),
            seen: BTreeSet::new(),
        };
        for (host, _) in hosts {
            let facts = facts.host(host);
            if matches!(facts, HostFacts::Unreachable(_)) {
                continue; // the caller says so
            }
            match sight(host, facts, managed, named) {
                Ok((sight, _)) if survey.same_machine(&sight).is_some() => {
                    let other = survey.same_machine(&sight).map_or_else(String::new, ToString::to_string);
                    survey.left_out.push(LeftOut {
                        host: host.clone(),
                        what: "everything".to_owned(),
                        why: format!("it is the machine {other} by another name (the same name and machine-id)"),
                        regard: Regard::Certain,
                    });
                }
                Ok((sight, seen)) => {
                    survey.sights.insert(host.clone(), sight);
                    survey.seen.extend(seen);
                }
                Err(why) => survey.left_out.push(LeftOut {
                    host: host.clone(),
                    what: "everything".to_owned(),
                    why,
                    regard: Regard::Doubt,
                }),
            }
        }
        survey
    }

    /// The host that was looked at already, if this is it again.
    fn same_machine(&self, sight: &Sight) -> Option<&HostName> {
        let own = |sight: &Sight| (sight.ground.system.hostname.clone(), sight.ground.system.machine_id.clone());
        let mut same = self.sights.iter().filter(|(_, other)| own(other) == own(sight));
        same.next().map(|(host, _)| host).filter(|_| !sight.ground.system.machine_id.is_empty())
    }

    /// What to ask now.
    pub fn questions(&self) -> BTreeMap<HostName, Vec<Question>> {
        let of = |sight: &Sight| {
            let mut all = BTreeSet::new();
            for candidate in &sight.candidates {
                all.extend([path::question(&candidate.at), image_listing::question(&candidate.at)]);
                if let Source::Device { path, .. } = &candidate.source {
                    all.insert(device::question(path));
                }
            }
            all.extend(sight.volumes.keys().map(|directory| image_listing::question(directory)));
            all.into_iter().collect()
        };
        self.sights.iter().map(|(host, sight)| (host.clone(), of(sight))).collect()
    }

    /// The blocks of everything that is understood, and remarks on the rest. `excluded` are paths that must not become a block,
    /// each with the reason.
    pub fn findings(&self, facts: &Facts, excluded: &[LeftOut]) -> Findings {
        let mut findings =
            Findings { left_out: self.left_out.clone(), managed: self.seen.clone(), ..Findings::default() };
        let mut volumes = Vec::new();
        let mut listings = Vec::new();
        for (host, _) in &self.hosts {
            let said = facts.host(host);
            let Some(sight) = self.sights.get(host).filter(|_| matches!(said, HostFacts::Reached(_))) else { continue };
            for directory in sight.volumes.keys() {
                listings.push((host.clone(), directory.clone(), image_listing::read(said, directory)));
            }
            let left = |what: &str, why, regard| LeftOut { host: host.clone(), what: what.to_owned(), why, regard };
            findings.left_out.extend(sight.passed.iter().map(|one| left(&one.what, one.why.clone(), one.regard)));
            for candidate in &sight.candidates {
                let listing = image_listing::read(said, &candidate.at);
                if let Some(one) = excluded.iter().find(|one| one.host == *host && one.what == candidate.at) {
                    let why = format!("{}{}", one.why, image::counted(&listing));
                    findings.left_out.push(left(&candidate.at, why, one.regard));
                    continue;
                }
                match volume::look(candidate, host, &sight.ground, said, &listing) {
                    Ok(found) => {
                        listings.push((host.clone(), candidate.at.clone(), listing));
                        volumes.push(found);
                    }
                    Err((why, regard)) => findings.left_out.push(left(&candidate.at, why, regard)),
                }
            }
        }
        let grounds = self.sights.iter().map(|(host, sight)| (host.clone(), &sight.ground)).collect();
        let drawn = volume::blocks(volumes, &self.hosts, self.managed, &grounds);
        let looking =
            image::Looking { managed: self.managed, hosts: &self.hosts, grounds: &grounds, drawn: &drawn, excluded };
        let mut images: BTreeMap<Address, Vec<Finding>> = looking.blocks(listings, &mut findings);
        findings.blocks.extend(drawn.storages);
        for volume in drawn.volumes {
            let address = volume.block.address.clone();
            findings.blocks.push(volume);
            findings.blocks.extend(images.remove(&address).unwrap_or_default());
        }
        // What lies in volumes of the configuration.
        findings.blocks.extend(images.into_values().flatten());
        findings
    }
}

type Listings = Vec<(HostName, String, Known<Listing>)>;

fn sight(host: &HostName, facts: &HostFacts, managed: &Managed, named: &[String]) -> Known<(Sight, BTreeSet<Address>)> {
    let ground = Ground::read(facts)?;
    if ground.system.uid != 0 {
        return Err("Larder is not root there; log in as root, or write a host block with become = \"sudo\"".to_owned());
    }
    let names = device_names::read(facts);
    let owner = |path: &str| managed.owner(host, path);
    let sorted = mounts::sort(&ground, &names, &|path| owner(path).is_some(), named);
    let seen = sorted.managed.iter().filter_map(|path| owner(path)).cloned().collect();
    let volumes = managed.volumes.get(host).cloned().unwrap_or_default();
    Ok((Sight { ground, candidates: sorted.candidates, passed: sorted.passed, volumes }, seen))
}

/// How a host is referred to.
fn reference(hosts: &[(HostName, Address)], name: &HostName) -> Address {
    let found = hosts.iter().find(|(one, _)| one == name).map(|(_, address)| address.clone());
    found.unwrap_or_else(|| Address::root(host::NAME, name.as_str()))
}

/// The name of a user or group, if it is one by which the host finds that number again; else the number.
fn person(names: &BTreeMap<String, u32>, number: u32) -> String {
    let is_name = |(name, one): &(&String, &u32)| **one == number && name.parse::<u32>().is_err();
    names.iter().find(is_name).map_or_else(|| number.to_string(), |(name, _)| name.clone())
}

/// Why a text of a host cannot stand in a configuration. What is not UTF-8 arrives with U+FFFD in it; and a configuration has its
/// texts in one normal form, so that in another one they would name something else.
fn unwritable(text: &str) -> Option<&'static str> {
    if text.contains('\u{fffd}') || text.chars().any(char::is_control) {
        Some("not UTF-8, or holds control characters")
    } else if !unicode_normalization::is_nfc(text) {
        Some("not in Unicode normal form C, in which a configuration has its texts")
    } else {
        None
    }
}
