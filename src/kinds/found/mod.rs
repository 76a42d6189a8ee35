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
    /// The variable that is to hold what no host gives away: a password.
    pub variable: Option<String>,
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
    /// `names` are the kinds and names of all blocks, of those too that have no instance, and with the word `variable` those of
    /// variables.
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
        self.names_of(kind.name())
    }

    fn names_of(&self, word: &str) -> Names {
        Names::taken(self.names.get(word).into_iter().flatten().cloned())
    }
}

/// What every host is asked before anything is known of it.
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
            let nothing_of = |why: String, regard| {
                let what = "everything".to_owned();
                LeftOut { host: host.clone(), what, why, regard }
            };
            match sight(host, facts, managed, named) {
                Ok((sight, seen)) => match survey.same_machine(&sight) {
                    Some(other) => {
                        let why = format!("it is {other} by another name: both have its host name and its machine-id");
                        survey.left_out.push(nothing_of(why, Regard::Certain));
                    }
                    None => {
                        survey.sights.insert(host.clone(), sight);
                        survey.seen.extend(seen);
                    }
                },
                Err(why) => survey.left_out.push(nothing_of(why, Regard::Doubt)),
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
                if candidate.is_guess && !volume::may_hold_images(&candidate.at, said, &listing) {
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
    let mut candidates = sorted.candidates;
    // Its images are those of the volume that shows it at another place.
    candidates.retain(|one| !one.is_guess || !managed.sources.contains_key(&(host.clone(), one.at.clone())));
    Ok((Sight { ground, candidates, passed: sorted.passed, volumes }, seen))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ask::{fstab, mounts, system};
    use crate::model::{Answer, Reply};
    use proptest::prelude::*;

    const SYSTEM: &str = "hostname x\nmachine-id 77\nuid 0\npasswd root:x:0:0::/:/bin/sh\ngroup root:x:0:\n";
    const MOUNTED: &str = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:1 /data /srv/x rw - ext4 /dev/sda1 rw\n";
    const LIBVIRT: &str = "/var/lib/libvirt/images";
    const LISTED: &str = "web.raw\x000\x0081b0 0 0 2049 77 1048576 0 512\n 00\n\0end 0 0\n";

    fn answers(all: &[(Question, &str)]) -> HostFacts {
        let said = |out: &str| Answer::Said(Reply { status: 0, out: out.to_owned(), err: String::new() });
        HostFacts::Reached(all.iter().map(|(question, out)| (question.clone(), said(out))).collect())
    }

    /// What one host says that has a bind mount with an image in it.
    fn whole() -> Vec<(Question, &'static str)> {
        vec![
            (system::question(), SYSTEM),
            (mounts::question(), MOUNTED),
            (fstab::question(), ""),
            (device_names::question(), ""),
            (path::question("/srv/x"), "41ed 0 0 1 2\n41ed 0 0 1 3\n41ed 0 0 1 4\n"),
            (image_listing::question("/srv/x"), LISTED),
            // Where libvirt has its images by default, there are none.
            (path::question(LIBVIRT), "41ed 0 0 1 2\n41ed 0 0 1 3\n41ed 0 0 1 4\n41ed 0 0 1 5\n41ed 0 0 1 6\n"),
            (image_listing::question(LIBVIRT), "end 0 0\n"),
        ]
    }

    fn found(hosts: &[(&str, HostFacts)]) -> Findings {
        let facts = hosts.iter().map(|(name, facts)| ((*name).into(), facts.clone())).collect();
        let facts = Facts { hosts: facts, ..Facts::default() };
        let names: Vec<_> = hosts.iter().map(|(name, _)| ((*name).into(), Address::root(host::NAME, name))).collect();
        Survey::of(&names, &facts, &Managed::default(), &[]).findings(&facts, &[])
    }

    fn addresses(findings: &Findings) -> Vec<String> {
        findings.blocks.iter().map(|one| one.block.address.to_string()).collect()
    }

    fn doubts(findings: &Findings) -> Vec<&str> {
        findings.left_out.iter().filter(|one| one.regard == Regard::Doubt).map(|one| one.what.as_str()).collect()
    }

    #[test]
    fn what_a_host_does_not_say_is_a_doubt_and_never_nothing() {
        let all = whole();
        let findings = found(&[("a", answers(&all))]);
        assert_eq!(addresses(&findings), ["image_storage.a", "external_volume.x", "image.web"]);
        assert_eq!(doubts(&findings), [""; 0]);
        let table: [(Question, &[&str]); 5] = [
            (system::question(), &["everything"]),
            (mounts::question(), &["everything"]),
            (fstab::question(), &["everything"]),
            (path::question("/srv/x"), &["/srv/x"]),
            (image_listing::question("/srv/x"), &["the images in /srv/x"]),
        ];
        for (silent, expected) in table {
            let rest: Vec<_> = all.iter().filter(|(question, _)| *question != silent).cloned().collect();
            let findings = found(&[("a", answers(&rest))]);
            assert_eq!(doubts(&findings), expected, "{silent:?}");
            assert!(!addresses(&findings).contains(&"image.web".to_owned()));
        }
        let silent = image_listing::question(LIBVIRT);
        let rest: Vec<_> = all.iter().filter(|(question, _)| *question != silent).cloned().collect();
        assert_eq!(doubts(&found(&[("a", answers(&rest))])), [LIBVIRT]);
    }

    #[test]
    fn a_machine_that_is_named_twice_is_described_once() {
        let all = whole();
        let other: Vec<_> = all
            .iter()
            .cloned()
            .map(|(question, out)| (question, if out == SYSTEM { "hostname y\nuid 0\n" } else { out }))
            .collect();
        let not_root: Vec<_> = all
            .iter()
            .cloned()
            .map(|(question, out)| (question, if out == SYSTEM { "hostname z\nuid 1000\n" } else { out }))
            .collect();
        let findings =
            found(&[("a", answers(&all)), ("b", answers(&all)), ("c", answers(&other)), ("d", answers(&not_root))]);
        let volume = findings.blocks.iter().find(|one| one.place == "/srv/x").expect("the volume");
        assert_eq!(volume.hosts, ["a".into(), "c".into()]);
        let of_all: Vec<_> = findings.left_out.iter().filter(|one| one.what == "everything").collect();
        assert!(of_all[0].host.as_str() == "b" && of_all[0].why.contains("it is a by another name"), "{of_all:?}");
        assert!(of_all[1].host.as_str() == "d" && of_all[1].why.contains("not root"), "{of_all:?}");
    }

    proptest! {
        #[test]
        fn whatever_a_host_says_it_is_described_or_left_out(
            mounted in prop_oneof![Just(MOUNTED.to_owned()), any::<String>()],
            table in prop_oneof![Just(String::new()), any::<String>(), "(/data|UUID=1) /srv/x (none|xfs) [a-z,=]{0,12}\n"],
            listed in prop_oneof![any::<String>(), "[^\0]{0,8}\\x000\\x0081b0 0 0 1 [0-9] [0-9]{1,6} 0 512\n( [0-9a-f]{2}){0,8}\n\\x00end 0 0\n"],
        ) {
            let mut all = whole();
            all.retain(|(question, _)| ![mounts::question(), fstab::question(), image_listing::question("/srv/x")].contains(question));
            all.extend([
                (mounts::question(), mounted.as_str()),
                (fstab::question(), table.as_str()),
                (image_listing::question("/srv/x"), listed.as_str()),
            ]);
            let findings = found(&[("a", answers(&all))]);
            prop_assert!(!findings.left_out.is_empty(), "at least the root is left out");
        }
    }
}
