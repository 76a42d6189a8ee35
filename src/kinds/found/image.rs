//! Images out of the listings of volumes: files whose first bytes say what they are, with size and owner. What a block cannot
//! describe (overlays, links, images of other programs, names that cannot be written) is named as such.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::ask::image_file::{Header, ImageFile};
use crate::kinds::ask::image_listing::{Listed, Listing, MOST};
use crate::kinds::ask::path::FileType;
use crate::kinds::ask::{Known, open_files};
use crate::kinds::ground::Ground;
use crate::kinds::image::{self, Image};
use crate::kinds::{Kind, allocating};
use crate::model::{Address, Block, Blocks, Datum, HostFacts, HostName, Mode, Size};

use super::names::word;
use super::volume::{Drawn, attributes, block};
use super::{Finding, Findings, LeftOut, Managed, Regard, person, reference, unwritable};

/// What images are looked for with.
pub(super) struct Looking<'a> {
    pub(super) managed: &'a Managed,
    pub(super) hosts: &'a [(HostName, Address)],
    pub(super) grounds: &'a BTreeMap<HostName, &'a Ground>,
    /// The volumes that were found.
    pub(super) drawn: &'a Drawn,
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
    /// The image that it is an overlay of.
    backing: Option<Address>,
}

/// One image on one host.
#[derive(Debug)]
struct FoundImage {
    host: HostName,
    spec: Spec,
    /// The path of the image that it is an overlay of.
    base: Option<String>,
}

impl Spec {
    fn path(&self) -> String {
        in_directory(&self.directory, &self.name)
    }
}

/// Where files are, by host and number of the inode: by another path they are the same.
type Inodes = BTreeMap<(HostName, u64, u64), String>;

impl Looking<'_> {
    /// The images of each volume; what is left out, and what the configuration has already, goes into the findings.
    pub(super) fn blocks(&self, listings: super::Listings, findings: &mut Findings) -> BTreeMap<Address, Vec<Finding>> {
        let mut found: Vec<FoundImage> = Vec::new();
        let mut inodes = self.inodes_of_managed(&listings);
        for (host, directory, listing) in listings {
            let volume = self.drawn.places.get(&(host.clone(), directory.clone()));
            let Some(volume) = volume.or_else(|| self.managed.owner(&host, &directory)) else { continue };
            let mut leave = |what: String, why: String, regard| {
                findings.left_out.push(LeftOut { host: host.clone(), what, why, regard });
            };
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
                match self.managed.owner(&host, &path) {
                    Some(owner) => drop(findings.managed.insert(owner.clone())),
                    None if !volume.module.is_empty() => {
                        leave(
                            path,
                            format!("its volume {volume} is in a module; write its block there"),
                            Regard::Certain,
                        );
                    }
                    None => match self.look(&host, &directory, volume, listed, &mut inodes) {
                        Ok(image) => found.push(image),
                        Err((why, regard)) => leave(path, why, regard),
                    },
                }
            }
        }
        self.draw(found, findings)
    }

    /// Where the images of the configuration are.
    fn inodes_of_managed(&self, listings: &super::Listings) -> Inodes {
        let mut inodes = Inodes::new();
        for (host, directory, listing) in listings {
            for listed in listing.iter().flat_map(|listing| &listing.images) {
                let owner = self.managed.owner(host, &in_directory(directory, &listed.name));
                if let (Ok(file), Some(_)) = (&listed.file, owner) {
                    inodes.insert((host.clone(), file.inode.device, file.inode.inode), directory.clone());
                }
            }
        }
        inodes
    }

    /// What a file is, or why it is no image that a block can describe.
    fn look(
        &self,
        host: &HostName,
        directory: &str,
        volume: &Address,
        listed: Listed,
        inodes: &mut Inodes,
    ) -> Result<FoundImage, (String, Regard)> {
        let path = in_directory(directory, &listed.name);
        let file = listed.file.as_ref().map_err(|why| (why.clone(), Regard::Doubt))?;
        if let Some(one) = self.excluded.iter().find(|one| one.host == *host && one.what == path) {
            return Err((one.why.clone(), one.regard));
        }
        if let Some(why) = objection(&listed, file) {
            return Err((why, Regard::Certain));
        }
        let number = (host.clone(), file.inode.device, file.inode.inode);
        if let Some(first) = inodes.get(&number) {
            return Err((format!("a file that is in {first} as well"), Regard::Usual));
        }
        let base = match &file.header {
            Header::Qcow2 { backing: Some(name), .. } => {
                let no_path = || (format!("an overlay of {name:?}, which is no path"), Regard::Certain);
                Some(allocating::resolved(&path, name).ok_or_else(no_path)?)
            }
            _ => None,
        };
        inodes.insert(number, directory.to_owned());
        let users = self.grounds.get(host).map(|ground| &ground.system);
        let (owner, group) = match users {
            Some(system) => (person(&system.users, file.inode.uid), person(&system.groups, file.inode.gid)),
            None => (file.inode.uid.to_string(), file.inode.gid.to_string()),
        };
        let spec = Spec {
            directory: directory.to_owned(),
            volume: volume.clone(),
            format: file.format(),
            size: file.virtual_size(),
            owner,
            group,
            mode: file.inode.mode,
            backing: None,
            name: listed.name,
        };
        Ok(FoundImage { host: host.clone(), spec, base })
    }

    /// Names the images, those first that others are overlays of. An overlay of what is neither found nor managed is left out.
    fn draw(&self, mut found: Vec<FoundImage>, findings: &mut Findings) -> BTreeMap<Address, Vec<Finding>> {
        let mut names = self.managed.names(&Image);
        let alike: BTreeSet<Spec> = found.iter().map(|image| image.spec.clone()).collect();
        let bases: Vec<String> = alike.iter().map(|spec| base_name(&spec.name)).collect();
        let mut addresses: BTreeMap<(HostName, String), Address> = BTreeMap::new();
        let mut drawn: BTreeMap<Address, Vec<Finding>> = BTreeMap::new();
        loop {
            let mut level: BTreeMap<Spec, Vec<HostName>> = BTreeMap::new();
            found.retain_mut(|image| {
                let base = image.base.as_ref().map(|base| self.at(&image.host, base, &addresses).cloned());
                if base == Some(None) {
                    return true; // its turn comes when its base has a name
                }
                image.spec.backing = base.flatten();
                level.entry(image.spec.clone()).or_default().push(image.host.clone());
                false
            });
            if level.is_empty() {
                break;
            }
            for (spec, hosts) in level {
                let base = base_name(&spec.name);
                let in_volume = format!("{base}_{}", spec.volume.name);
                let on_host = hosts.first().map(|host| format!("{base}_{}", word(host.as_str(), "host")));
                let name = match bases.iter().filter(|one| **one == base).count() {
                    1 => names.give(&[base, in_volume]),
                    _ => names.give(&[in_volume, on_host.unwrap_or_default()]),
                };
                let block = self.image(&name, &spec, &hosts);
                addresses.extend(hosts.iter().map(|host| ((host.clone(), spec.path()), block.address.clone())));
                let finding = Finding { block, place: spec.path(), hosts, notes: Vec::new(), variable: None };
                drawn.entry(spec.volume).or_default().push(finding);
            }
        }
        findings.left_out.extend(found.into_iter().map(|image| LeftOut {
            host: image.host,
            what: image.spec.path(),
            why: format!("an overlay of {}, which is no image here", image.base.unwrap_or_default()),
            regard: Regard::Certain,
        }));
        drawn
    }

    /// The image at a path, which may lead below the source of a bind mount.
    fn at<'a>(
        &'a self,
        host: &HostName,
        path: &str,
        addresses: &'a BTreeMap<(HostName, String), Address>,
    ) -> Option<&'a Address> {
        // What is in a module cannot be referred to.
        let managed = |path: &str| self.managed.owner(host, path).filter(|owner| owner.module.is_empty());
        let known = |path: &str| addresses.get(&(host.clone(), path.to_owned())).or_else(|| managed(path));
        let (directory, name) = path.rsplit_once('/')?;
        let mounts = self.drawn.sources.get(&(host.clone(), directory.to_owned())).into_iter().flatten();
        known(path).or_else(|| mounts.map(|at| in_directory(at, name)).find_map(|path| known(&path)))
    }

    fn image(&self, name: &str, spec: &Spec, hosts: &[HostName]) -> Block {
        let text = |text: &str| Datum::Text(text.into());
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
        if let Some(base) = &spec.backing {
            all.extend(attributes([("backing", Datum::Resource(base.clone()))]));
        }
        let members: BTreeSet<&HostName> = match self.managed.members.get(&spec.volume) {
            Some(members) => members.iter().collect(),
            None => {
                self.drawn.places.iter().filter(|(_, one)| **one == spec.volume).map(|((host, _), _)| host).collect()
            }
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
    if *block.address.kind != *Image.name() {
        return Ok(None);
    }
    for place in allocating::places(block, all) {
        if let Some(first) = open_files::read(facts, &place)?.first() {
            let guest = first.guest.as_ref().map(|guest| format!("the guest {guest}"));
            return Ok(Some(guest.unwrap_or_else(|| first.program.clone())));
        }
    }
    Ok(None)
}
