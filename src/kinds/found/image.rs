//! Images out of the listings of volumes: files whose first bytes say what they are, with size and owner. What a block cannot
//! describe (overlays, links, images of other programs, names that cannot be written) is named as such.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Kind;
use crate::kinds::ask::image_file::{Header, ImageFile};
use crate::kinds::ask::image_listing::{Listed, Listing, MOST};
use crate::kinds::ask::path::FileType;
use crate::kinds::ask::{Known, open_files};
use crate::kinds::ground::Ground;
use crate::kinds::image::{self, Image};
use crate::model::{Address, Block, Blocks, Datum, HostFacts, HostName, Mode, Size};

use super::names::word;
use super::volume::{attributes, block};
use super::{Finding, Findings, LeftOut, Managed, Regard, person, reference, unwritable};

/// What images are looked for with.
pub(super) struct Looking<'a> {
    pub(super) managed: &'a Managed,
    pub(super) hosts: &'a [(HostName, Address)],
    pub(super) grounds: &'a BTreeMap<HostName, &'a Ground>,
    /// The volumes that were found, by host and directory.
    pub(super) volumes: &'a BTreeMap<(HostName, String), Address>,
    /// Paths that must not become a block.
    pub(super) excluded: &'a [LeftOut],
}

/// What must be alike on two hosts for one block to describe both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Spec {
    directory: String,
    volume: Address,
    name: String,
    format: &'static str,
    size: Size,
    owner: String,
    group: String,
    mode: Mode,
}

impl Looking<'_> {
    /// The images of each volume; what is left out, and what the configuration has already, goes into the findings.
    pub(super) fn blocks(&self, listings: super::Listings, findings: &mut Findings) -> BTreeMap<Address, Vec<Finding>> {
        let mut alike: BTreeMap<Spec, Vec<HostName>> = BTreeMap::new();
        let mut overlays: BTreeMap<(HostName, String), Vec<String>> = BTreeMap::new();
        let mut inodes = self.inodes_of_managed(&listings);
        for (host, directory, listing) in listings {
            let mut leave = |what: String, why: String, regard| {
                findings.left_out.push(LeftOut { host: host.clone(), what, why, regard });
            };
            let found = self.volumes.get(&(host.clone(), directory.clone()));
            let Some(volume) = found.or_else(|| self.managed.owner(&host, &directory)) else { continue };
            let listing: Listing = match listing {
                Ok(listing) => listing,
                Err(why) => {
                    leave(format!("the images in {directory}"), why, Regard::Doubt);
                    continue;
                }
            };
            if listing.left > 0 {
                let why = format!("only {MOST} images of a directory are looked at, in the order of their names");
                leave(format!("{} more images in {directory}", listing.left), why, Regard::Doubt);
            }
            for listed in listing.images {
                let path = in_directory(&directory, &listed.name);
                let owner = self.managed.owner(&host, &path);
                findings.managed.extend(owner.cloned());
                let file = match &listed.file {
                    Ok(file) => file,
                    _ if owner.is_some() => continue,
                    Err(why) => {
                        leave(path, why.clone(), Regard::Doubt);
                        continue;
                    }
                };
                if let Some(one) = self.excluded.iter().find(|one| one.host == host && one.what == path) {
                    leave(path, one.why.clone(), one.regard);
                    continue;
                }
                if let Header::Qcow2 { backing: Some(base), .. } = &file.header {
                    let base = if base.starts_with('/') { base.clone() } else { in_directory(&directory, base) };
                    overlays.entry((host.clone(), base)).or_default().push(path.clone());
                }
                if let Some(why) = objection(&listed, file) {
                    leave(path, why, Regard::Certain);
                    continue;
                }
                let inode = (host.clone(), file.inode.device, file.inode.inode);
                if let Some(first) = inodes.get(&inode) {
                    leave(path, format!("a file that is in {first} as well"), Regard::Usual);
                    continue;
                }
                inodes.insert(inode, directory.clone());
                let Some(ground) = self.grounds.get(&host) else { continue };
                let spec = Spec {
                    directory: directory.clone(),
                    volume: volume.clone(),
                    format: file.format(),
                    size: file.virtual_size(),
                    owner: person(&ground.system.users, file.inode.uid),
                    group: person(&ground.system.groups, file.inode.gid),
                    mode: file.inode.mode,
                    name: listed.name,
                };
                alike.entry(spec).or_default().push(host.clone());
            }
        }
        self.draw(alike, &overlays)
    }

    /// Where the images of the configuration are: by another path they are the same.
    fn inodes_of_managed(&self, listings: &super::Listings) -> BTreeMap<(HostName, u64, u64), String> {
        let mut inodes = BTreeMap::new();
        for (host, directory, listing) in listings {
            for listed in listing.iter().flat_map(|listing| &listing.images) {
                if let (Ok(file), Some(_)) =
                    (&listed.file, self.managed.owner(host, &in_directory(directory, &listed.name)))
                {
                    inodes.insert((host.clone(), file.inode.device, file.inode.inode), directory.clone());
                }
            }
        }
        inodes
    }

    fn draw(
        &self,
        alike: BTreeMap<Spec, Vec<HostName>>,
        overlays: &BTreeMap<(HostName, String), Vec<String>>,
    ) -> BTreeMap<Address, Vec<Finding>> {
        let mut names = self.managed.names(&Image);
        let bases: Vec<String> = alike.keys().map(|spec| base_name(&spec.name)).collect();
        let mut drawn: BTreeMap<Address, Vec<Finding>> = BTreeMap::new();
        for ((spec, hosts), base) in alike.into_iter().zip(&bases) {
            let in_volume = format!("{base}_{}", spec.volume.name);
            let on_host =
                hosts.first().map(|host| format!("{base}_{}", word(host.as_str(), "host"))).unwrap_or_default();
            let name = match bases.iter().filter(|one| *one == base).count() {
                1 => names.give(&[base.clone(), in_volume]),
                _ => names.give(&[in_volume, on_host]),
            };
            let place = in_directory(&spec.directory, &spec.name);
            let built_on = hosts.iter().filter_map(|host| Some((host, overlays.get(&(host.clone(), place.clone()))?)));
            let notes =
                built_on.map(|(host, paths)| format!("overlays of it on {host}: {}", paths.join(", "))).collect();
            let finding = Finding { block: self.image(&name, &spec, &hosts), place, hosts, notes };
            drawn.entry(spec.volume).or_default().push(finding);
        }
        drawn
    }

    fn image(&self, name: &str, spec: &Spec, hosts: &[HostName]) -> Block {
        let text = |text: &str| Datum::Text(text.to_owned());
        let mut all = attributes([
            ("volume", Datum::Resource(spec.volume.clone())),
            ("format", text(spec.format)),
            ("size", Datum::Size(spec.size)),
            ("owner", text(&spec.owner)),
            ("group", text(&spec.group)),
            ("mode", Datum::Mode(spec.mode)),
        ]);
        if spec.name != format!("{name}.{}", spec.format) {
            all.extend(attributes([("name", text(&spec.name))]));
        }
        let members: BTreeSet<&HostName> = match self.managed.members.get(&spec.volume) {
            Some(members) => members.iter().collect(),
            None => self.volumes.iter().filter(|(_, one)| **one == spec.volume).map(|((host, _), _)| host).collect(),
        };
        if members != hosts.iter().collect() {
            let hosts = hosts.iter().map(|host| reference(self.hosts, host)).collect();
            all.extend(attributes([("hosts", Datum::Resources(hosts))]));
        }
        block(&Image, name, all)
    }
}

fn in_directory(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

/// How many images a listing has, as the end of a sentence.
pub(super) fn counted(listing: &Known<Listing>) -> String {
    match listing.as_ref().map(|listing| listing.images.len() as u64 + listing.left) {
        Ok(0) => String::new(),
        Ok(1) => "; 1 image lies in it".to_owned(),
        Ok(count) => format!("; {count} images lie in it"),
        Err(why) => format!("; whether images lie in it is not known: {why}"),
    }
}

/// `web` of `web.qcow2`.
fn base_name(name: &str) -> String {
    let stem = [".qcow2", ".raw", ".img"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    word(stem, "image")
}

/// Why no block can describe a file.
fn objection(listed: &Listed, file: &ImageFile) -> Option<String> {
    if let Some(why) = unwritable(&listed.name) {
        return Some(format!("its name is {why}"));
    }
    if let Err((summary, _)) = image::check_name(&listed.name) {
        return Some(summary);
    }
    match file.inode.file_type {
        FileType::Regular => {}
        FileType::Symlink => return Some("a symbolic link".to_owned()),
        _ => return Some("no regular file".to_owned()),
    }
    if let Some(what) = listed.foreign {
        return Some(format!("{what}, and neither raw nor qcow2"));
    }
    match &file.header {
        Header::Unreadable(why) => return Some(format!("a qcow2 image that Larder does not understand: {why}")),
        Header::Qcow2 { backing: Some(base), .. } => {
            return Some(format!("an overlay of {base}, which is not supported yet"));
        }
        Header::Qcow2 { needs, .. } => {
            if let Some(what) = needs.first() {
                return Some(format!("a qcow2 image that {what}"));
            }
        }
        Header::Raw => {}
    }
    // Whoever attaches it goes by one of the two, and a guest may have written the first bytes.
    let contradicts = match file.format() {
        "raw" => listed.name.ends_with(".qcow2"),
        _ => listed.name.ends_with(".raw"),
    };
    if contradicts {
        return Some(format!("its first bytes are those of a {} image, which its name denies", file.format()));
    }
    image::check_size(file.virtual_size()).err().map(|(summary, _)| summary)
}

/// Who has an image open now on a host, by the guest's name where it has one; nobody for what is no image. While a guest runs, its
/// image belongs to the user that runs it, and afterwards to somebody else again.
pub fn user_of(block: &Block, all: &Blocks, facts: &HostFacts) -> Known<Option<String>> {
    if block.address.kind != Image.name() {
        return Ok(None);
    }
    for place in image::places(block, all) {
        if let Some(first) = open_files::read(facts, &place)?.first() {
            let guest = first.guest.as_ref().map(|guest| format!("the guest {guest}"));
            return Ok(Some(guest.unwrap_or_else(|| first.program.clone())));
        }
    }
    Ok(None)
}
