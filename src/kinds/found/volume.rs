//! Volumes out of candidates: what each host has at a path, and which hosts have the same, so that they share a block.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Kind;
use crate::kinds::ask::Known;
use crate::kinds::ask::device::{self, Found};
use crate::kinds::ask::image_listing::Listing;
use crate::kinds::ask::mounts::Mount;
use crate::kinds::ask::path::{self, FileType};
use crate::kinds::ask::units::Unit;
use crate::kinds::external_volume::ExternalVolume;
use crate::kinds::ground::{Ground, belongs_to_the_system};
use crate::kinds::image_storage::ImageStorage;
use crate::kinds::media_storage::MediaStorage;
use crate::kinds::mounting::{beyond_the_defaults, cifs, is_option_of_the_user};
use crate::model::block::AttributeMap;
use crate::model::{Address, Attribute, Block, Datum, HostFacts, HostName, Lifecycle, Mode, NestedBlock, Size};

use super::mounts::{Candidate, Share, Source, lines_at, persistence};
use super::names::{Names, word};
use super::{Finding, Managed, Regard, person, reference, unwritable};

/// What one host has at a path.
#[derive(Debug)]
pub(super) struct FoundVolume {
    host: HostName,
    spec: Spec,
    owner: String,
    group: String,
    mode: Mode,
    /// Files in it that have no names of images.
    others: u64,
}

/// What must be alike on two hosts for one block to describe both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Spec {
    at: String,
    bytes: Bytes,
    options: Vec<String>,
    persist: &'static str,
}

/// Where the bytes are. A device belongs to one host. What a tmpfs is mounted with says whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Bytes {
    Directory,
    Bind { source: String },
    Tmpfs { size: Size, owner: String, group: String, mode: Mode },
    Device { host: HostName, path: String, fstype: String, label: String },
    Nfs { server: String, export: String, version: String },
    Cifs(Share),
}

/// Looks at a candidate; says why it is no volume, and how sure that is.
pub(super) fn look(
    candidate: &Candidate,
    host: &HostName,
    ground: &Ground,
    facts: &HostFacts,
    listing: &Known<Listing>,
) -> Result<FoundVolume, (String, Regard)> {
    let certain = |why: &str| (why.to_owned(), Regard::Certain);
    let doubt = |why: String| (why, Regard::Doubt);
    let at = candidate.at.as_str();
    if let Some(why) = unwritable(at) {
        return Err(certain(&format!("its path is {why}")));
    }
    if belongs_to_the_system(at) {
        return Err(certain("a directory of the system"));
    }
    let lineage = path::read(facts, at).map_err(doubt)?;
    let Some(inode) = lineage.last() else { return Err(certain("there is no such directory")) };
    match lineage.obstacle() {
        Some((link, FileType::Symlink)) => {
            return Err((format!("{link} is a symbolic link; name the path that it leads to"), Regard::Certain));
        }
        Some(_) => return Err(certain("no directory")),
        None => {}
    }
    if candidate.needs_images {
        let listing = listing.as_ref().map_err(|why| doubt(why.clone()))?;
        if listing.images.is_empty() && listing.left == 0 {
            return Err(certain(
                "no image lies directly in it, and below /home and /var only mounts with images count; -path takes it in",
            ));
        }
    }
    let (uid, gid, mode) = match &candidate.source {
        Source::Cifs(share) => (share.uid, share.gid, share.mode),
        _ => (inode.uid, inode.gid, inode.mode),
    };
    let (owner, group) = (person(&ground.system.users, uid), person(&ground.system.groups, gid));
    let bytes = match &candidate.source {
        Source::Directory => Bytes::Directory,
        Source::Bind { source } => match unwritable(source) {
            Some(why) => return Err(certain(&format!("a bind mount of a path that is {why}"))),
            None => Bytes::Bind { source: source.clone() },
        },
        Source::Tmpfs { size } => {
            Bytes::Tmpfs { size: *size, owner: owner.clone(), group: group.clone(), mode: inode.mode }
        }
        Source::Nfs { server, export, version } => match unwritable(server).or_else(|| unwritable(export)) {
            Some(why) => return Err(certain(&format!("an export whose name is {why}"))),
            None => Bytes::Nfs { server: server.clone(), export: export.clone(), version: version.clone() },
        },
        Source::Cifs(share) => {
            let words = [&share.server, &share.share, &share.path, &share.username];
            match words.into_iter().chain(&share.domain).find_map(|word| unwritable(word)) {
                Some(why) => return Err(certain(&format!("a share of which a name is {why}"))),
                None => Bytes::Cifs(share.clone()),
            }
        }
        Source::Device { path, fstype } => {
            let label = label(path, fstype, candidate.mount.as_ref(), facts)?;
            Bytes::Device { host: host.clone(), path: path.clone(), fstype: fstype.clone(), label }
        }
    };
    let spec = Spec {
        at: at.to_owned(),
        options: candidate.mount.as_ref().map(|mount| options(mount, &bytes, ground)).unwrap_or_default(),
        bytes,
        persist: persistence(ground, at),
    };
    let others = listing.as_ref().map_or(0, |listing| listing.others);
    Ok(FoundVolume { host: host.clone(), spec, owner, group, mode, others })
}

/// Whether images lie in a directory, or may: what could not be looked at may hold some.
pub(super) fn may_hold_images(at: &str, facts: &HostFacts, listing: &Known<Listing>) -> bool {
    let is_absent = path::read(facts, at).is_ok_and(|lineage| lineage.last().is_none() && lineage.obstacle().is_none());
    !is_absent && listing.as_ref().map_or(true, |listing| !listing.images.is_empty() || listing.left > 0)
}

/// The label of the file system, if the device is the one that is mounted.
fn label(path: &str, fstype: &str, mount: Option<&Mount>, facts: &HostFacts) -> Result<String, (String, Regard)> {
    let found = device::read(facts, path)
        .map_err(|why| (format!("its device {path} could not be looked at: {why}"), Regard::Doubt))?;
    let Found::Device(device) = found else {
        return Err((format!("its device {path} is no block device"), Regard::Certain));
    };
    match device.tag("TYPE") == Some(fstype) && mount.is_some_and(|mount| device.is_source_of(mount)) {
        true => Ok(device.label()),
        false => Err((
            format!("{path} holds {}, which is not what is mounted there", device.contents().unwrap_or_default()),
            Regard::Certain,
        )),
    }
}

/// The options beyond the defaults: those of its line in fstab that are in force, and the flags in force that it has not from the
/// mount that its source lies in.
fn options(mount: &Mount, bytes: &Bytes, ground: &Ground) -> Vec<String> {
    let inherited = match bytes {
        Bytes::Bind { source } => ground.mounts.containing(source),
        _ => None,
    };
    let of_lines = lines_at(ground, &mount.target).into_iter().flat_map(|entry| entry.options.iter());
    let mut options: Vec<String> = Vec::new();
    let flags = beyond_the_defaults(mount, inherited).into_iter().map(str::to_owned);
    let in_force = of_lines.filter(|option| is_option_of_the_user(option) && mount.has_option(option)).cloned();
    for option in in_force.chain(flags) {
        let is_given = match bytes {
            Bytes::Nfs { .. } => is_given_to_nfs(&option),
            Bytes::Cifs(share) => matches!(option.as_str(), "nobrl" | "brl") || option == "ro" && share.reads_only,
            _ => false,
        };
        if is_given {
            continue;
        }
        if unwritable(&option).is_none() && !options.contains(&option) {
            options.push(option);
        }
    }
    if matches!(bytes, Bytes::Nfs { .. }) {
        // What stands against the options that a volume on NFS has where it says nothing.
        options.extend(["soft", "softerr"].into_iter().filter(|option| mount.has_option(option)).map(str::to_owned));
        if !mount.has_option("noatime") {
            options.push("relatime".to_owned());
        }
        options.dedup();
    }
    if matches!(bytes, Bytes::Cifs(_)) && !mount.has_option("nobrl") {
        options.push("brl".to_owned());
    }
    options
}

/// Whether a volume on NFS has an option without saying it, or says it in another way.
fn is_given_to_nfs(option: &str) -> bool {
    let key = option.split('=').next().unwrap_or_default();
    matches!(key, "hard" | "soft" | "softerr" | "noatime" | "relatime" | "vers" | "nfsvers")
}

/// The blocks of all volumes, with where each is.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    pub(super) storages: Vec<Finding>,
    pub(super) volumes: Vec<Finding>,
    pub(super) places: BTreeMap<(HostName, String), Address>,
    /// Where the sources of bind mounts are seen, those of the configuration too.
    pub(super) sources: BTreeMap<(HostName, String), Vec<String>>,
}

/// One block for each volume that some hosts have alike, and one storage for each set of hosts.
pub(super) fn blocks(
    found: Vec<FoundVolume>,
    hosts: &[(HostName, Address)],
    managed: &Managed,
    grounds: &BTreeMap<HostName, &Ground>,
) -> Drawn {
    let paths: BTreeSet<(HostName, String)> =
        found.iter().map(|volume| (volume.host.clone(), volume.spec.at.clone())).collect();
    let mut alike: BTreeMap<Spec, Vec<FoundVolume>> = BTreeMap::new();
    for volume in found {
        alike.entry(volume.spec.clone()).or_default().push(volume);
    }
    let (mut names, mut media_names) = (managed.names(&ExternalVolume), managed.names(&MediaStorage));
    let mut variables = managed.names_of("variable");
    // A line of fstab or a unit that is marked with a name would be taken for that of the new block.
    let marks = grounds.values().flat_map(|ground| &ground.fstab.lines).filter_map(|line| line.entry.as_ref()?.id());
    let units = grounds.values().flat_map(|ground| ground.units.all_lasting()).filter_map(Unit::id);
    for mark in marks.chain(units).filter_map(|id| id.parse::<Address>().ok()) {
        names.give(&[mark.name.to_string()]);
        media_names.give(&[mark.name.to_string()]);
    }
    let mut storage_names = managed.names(&ImageStorage);
    let mut storages: BTreeMap<Vec<HostName>, Address> = BTreeMap::new();
    let mut drawn = Drawn { sources: managed.sources.clone(), ..Drawn::default() };
    let bases: Vec<String> = alike.keys().map(|spec| base_name(&spec.at)).collect();
    for (spec, members) in alike {
        let set: Vec<HostName> = members.iter().map(|member| member.host.clone()).collect();
        if let Bytes::Cifs(share) = &spec.bytes
            && share.reads_only
        {
            let base = base_name(&spec.at);
            let name = media_names.give(&[base.clone(), format!("{base}_{}", word(set[0].as_str(), "host"))]);
            drawn.volumes.push(media(&name, share, &spec, &members, hosts, &mut variables));
            continue;
        }
        let storage = storages.entry(set.clone()).or_insert_with(|| {
            let name = storage_names.give(&[storage_name(&set)]);
            let block = storage(&name, &set, hosts);
            let address = block.address.clone();
            let place = block.address.to_string();
            drawn.storages.push(Finding { block, place, hosts: set.clone(), notes: Vec::new(), variable: None });
            address
        });
        let base = base_name(&spec.at);
        let qualified = format!("{base}_{}", storage.name);
        let is_only = bases.iter().filter(|one| **one == base).count() == 1;
        let name = names.give(&if is_only { vec![base, qualified] } else { vec![qualified] });
        let is_of_another = match &spec.bytes {
            Bytes::Bind { source } => set
                .iter()
                .any(|host| managed.owner(host, source).is_some() || paths.contains(&(host.clone(), source.clone()))),
            _ => false,
        };
        if let Bytes::Bind { source } = &spec.bytes {
            for host in &set {
                drawn.sources.entry((host.clone(), source.clone())).or_default().push(spec.at.clone());
            }
        }
        let mut finding = volume(&name, storage, &spec, &members, is_of_another);
        if let Bytes::Cifs(share) = &spec.bytes {
            leave_to_people(&mut finding, share, &spec, &mut variables);
        }
        drawn.places.extend(set.into_iter().map(|host| ((host, spec.at.clone()), finding.block.address.clone())));
        drawn.volumes.push(finding);
    }
    drawn
}

fn base_name(at: &str) -> String {
    word(at.rsplit('/').next().unwrap_or_default(), "volume")
}

/// The members joined, while that is short.
fn storage_name(hosts: &[HostName]) -> String {
    let joined = hosts.iter().map(|host| word(host.as_str(), "host")).collect::<Vec<_>>().join("_");
    match hosts {
        [_] => joined,
        several if joined.len() > 32 => format!("hosts_{}", several.len()),
        _ => joined,
    }
}

pub(super) fn attributes(all: impl IntoIterator<Item = (&'static str, Datum)>) -> AttributeMap {
    all.into_iter().map(|(name, value)| (name.into(), Attribute::default_value(value))).collect()
}

pub(super) fn block(kind: &dyn Kind, name: &str, attributes: AttributeMap) -> Block {
    Block {
        address: Address::root(kind.name(), name),
        attributes,
        blocks: Vec::new(),
        depends_on: BTreeSet::new(),
        lifecycle: Lifecycle::default(),
        place: None,
    }
}

/// A storage over some hosts. All its volumes name their mount points, so nobody needs the directory that others would lie in.
fn storage(name: &str, members: &[HostName], hosts: &[(HostName, Address)]) -> Block {
    let members = members.iter().map(|host| reference(hosts, host)).collect();
    let mut block = block(&ImageStorage, name, attributes([("hosts", Datum::Resources(members))]));
    block.lifecycle.ignore_changes.insert("root".to_owned());
    block
}

fn volume(name: &str, storage: &Address, spec: &Spec, members: &[FoundVolume], is_of_another: bool) -> Finding {
    let text = |text: &str| Datum::Text(text.into());
    let mut notes = Vec::new();
    let mut all = attributes([("storage", Datum::Resource(storage.clone())), ("mount_point", text(&spec.at))]);
    let mut set = |name: &'static str, of: &dyn Fn(&FoundVolume) -> Datum, shown: &dyn Fn(&FoundVolume) -> String| {
        let first = members.first().map(of);
        match members.iter().all(|member| Some(of(member)) == first) {
            true => all.extend(first.map(|value| (name.into(), Attribute::default_value(value)))),
            false => {
                let each: Vec<_> =
                    members.iter().map(|member| format!("{} on {}", shown(member), member.host)).collect();
                notes.push(format!("differs: {name} is {}; set it to make them alike", each.join(", ")));
            }
        }
    };
    if !is_of_another {
        set("owner", &|one| text(&one.owner), &|one| one.owner.clone());
        set("group", &|one| text(&one.group), &|one| one.group.clone());
        set("mode", &|one| Datum::Mode(one.mode), &|one| one.mode.to_string());
    }
    if !spec.options.is_empty() {
        all.extend(attributes([("options", Datum::Texts(spec.options.clone()))]));
    }
    let nested =
        |name: &str, attributes| NestedBlock { name: name.to_owned(), attributes, blocks: Vec::new(), place: None };
    let bytes = match &spec.bytes {
        Bytes::Directory => nested("directory", AttributeMap::new()),
        Bytes::Bind { source } => nested("bind", attributes([("source", text(source))])),
        Bytes::Tmpfs { size, .. } => nested("tmpfs", attributes([("size", Datum::Size(*size))])),
        Bytes::Nfs { server, export, version } => {
            nested("nfs", attributes([("server", text(server)), ("export", text(export)), ("version", text(version))]))
        }
        Bytes::Cifs(share) => nested("cifs", share_attributes(share)),
        Bytes::Device { path, fstype, label, .. } => {
            nested("device", attributes([("path", text(path)), ("fstype", text(fstype)), ("label", text(label))]))
        }
    };
    if spec.persist != "fstab" && spec.bytes != Bytes::Directory {
        all.extend(attributes([("persist", text(spec.persist))]));
    }
    for member in members.iter().filter(|member| member.others > 0) {
        let files = if member.others == 1 { "file with another name lies" } else { "files with other names lie" };
        notes.push(format!("{} {files} in it on {}", member.others, member.host));
    }
    let mut block = block(&ExternalVolume, name, all);
    block.blocks.push(bytes);
    let hosts = members.iter().map(|member| member.host.clone()).collect();
    Finding { block, place: spec.at.clone(), hosts, notes, variable: None }
}

/// What names a share. In place of the password stands that it is none of what is known.
fn share_attributes(share: &Share) -> AttributeMap {
    let text = |text: &str| Datum::Text(text.into());
    let mut all = attributes([
        ("server", text(&share.server)),
        ("share", text(&share.share)),
        ("username", text(&share.username)),
        ("password", Datum::Any(Box::default())),
    ]);
    if !share.path.is_empty() {
        all.extend(attributes([("path", text(&share.path))]));
    }
    if let Some(domain) = &share.domain {
        all.extend(attributes([("domain", text(domain))]));
    }
    if share.version != cifs::DEFAULT_VERSION {
        all.extend(attributes([("version", text(&share.version))]));
    }
    all
}

/// A share that is mounted read-only holds media.
fn media(
    name: &str,
    share: &Share,
    spec: &Spec,
    members: &[FoundVolume],
    hosts: &[(HostName, Address)],
    variables: &mut Names,
) -> Finding {
    let set: Vec<HostName> = members.iter().map(|member| member.host.clone()).collect();
    let mut finding = volume(name, &Address::root(ImageStorage.name(), name), spec, members, false);
    let mut all = std::mem::take(&mut finding.block.attributes);
    all.remove("storage");
    all.extend(share_attributes(share));
    all.extend(attributes([("hosts", Datum::Resources(set.iter().map(|host| reference(hosts, host)).collect()))]));
    finding.block = Block { lifecycle: finding.block.lifecycle, ..block(&MediaStorage, name, all) };
    leave_to_people(&mut finding, share, spec, variables);
    finding
}

/// What no host gives away, and what is not Larder's: the password, and where the host has it for what mounts the share at boot.
fn leave_to_people(finding: &mut Finding, share: &Share, spec: &Spec, variables: &mut Names) {
    let name = variables.give(&[format!("{}_password", finding.block.address.name)]);
    finding.notes.insert(
        0,
        format!(
            "{name} is the password of {} on {}, which no host gives away. It is used when Larder mounts the share.",
            share.username, share.server
        ),
    );
    finding.variable = Some(name);
    if spec.persist != "none" {
        finding
            .notes
            .push("what mounts it at boot has credentials of its own; ignore_changes leaves it as it is".to_owned());
        finding.block.lifecycle.ignore_changes.insert("persist".to_owned());
    }
    if share.has_other_files {
        finding
            .notes
            .push("files have other permissions than directories there; ignore_changes leaves them".to_owned());
        finding.block.lifecycle.ignore_changes.insert("mode".to_owned());
    }
}
