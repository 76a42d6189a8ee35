//! `larder status`: volumes, images and hosts as they are now.

use std::collections::BTreeMap;

use crate::cli::{Global, Planning, Variables};
use crate::kinds::ask::media_listing::{self, Medium};
use crate::kinds::ask::{image_file, network_mounts, path, space};
use crate::kinds::{Standing, kind_of};
use crate::model::block::Attributes;
use crate::model::{Block, HazardCode, HostFacts, HostName};
use crate::plan::{Found, Plan};
use crate::view;
use crate::view::status::{
    DiskStatus, Health, HostStatus, ImageStatus, MediaFile, MediaOnHost, MediaStatus, Status, TargetOnHost,
    TargetStatus, VolumeOnHost, VolumeStatus,
};

use super::look::{Looked, Purpose, look};
use super::terminal::Terminal;
use super::{Exit, Outcome, Workspace};

pub(super) async fn run(global: &Global, variables: &Variables, terminal: &Terminal) -> Outcome {
    let workspace = Workspace::open(global, variables)?;
    let state = workspace.read_state()?;
    let planning = Planning { variables: variables.clone(), ..Planning::default() };
    let looked = look(&workspace, &state, &planning, Purpose::Show).await?;
    let plan = looked.plan(&workspace, &state)?;
    let status = status(&looked, &plan);
    match terminal.is_json() {
        true => terminal.json(&view::status::json(&status)),
        false => terminal.say(&view::status::render(&status, terminal.style())),
    }
    let exit = if plan.unknown.is_empty() { Exit::Done } else { Exit::Unreachable };
    looked.close().await;
    Ok(exit)
}

fn status(looked: &Looked, plan: &Plan) -> Status {
    let blocks = &looked.desired.blocks;
    let volumes = blocks
        .values()
        .filter(|block| kind_of(&block.address).is_some_and(|kind| !kind.image_directories(block).is_empty()));
    let hosts = looked.facts.hosts.iter().map(|(name, facts)| match facts {
        HostFacts::Reached(_) => HostStatus { name: name.clone(), state: Health::Ok, message: None },
        HostFacts::Unreachable(why) => {
            HostStatus { name: name.clone(), state: Health::Unknown, message: Some(why.clone()) }
        }
    });
    Status {
        volumes: volumes.map(|block| volume(block, looked, plan)).collect(),
        media: blocks.values().filter_map(|block| media(block, looked, plan)).collect(),
        targets: blocks.values().filter_map(|block| target(block, looked, plan)).collect(),
        hosts: hosts.collect(),
    }
}

/// A target with the disks that it gives each host.
fn target(block: &Block, looked: &Looked, plan: &Plan) -> Option<TargetStatus> {
    let kind = kind_of(&block.address)?;
    let members = kind.hosts(block, &looked.desired.blocks);
    // What is nowhere attaches nothing.
    let _first = members.first()?;
    let mut iqn = None;
    let mut hosts = BTreeMap::new();
    for host in members {
        let attached = kind.attached(block, looked.facts.host(&host))?;
        let (state, message) = target_health(block, &host, plan);
        let mut told = TargetOnHost { state, message, portals: BTreeMap::new(), disks: Vec::new() };
        match attached {
            Ok(attached) => {
                iqn.get_or_insert(attached.name);
                told.portals = attached.portals.into_iter().map(|(portal, state)| (portal, state.to_owned())).collect();
                told.disks = attached
                    .disks
                    .into_iter()
                    .map(|disk| DiskStatus {
                        device: disk.path,
                        wwn: disk.wwn,
                        size: disk.size,
                        paths: disk.paths,
                        working_paths: disk.working_paths,
                    })
                    .collect();
            }
            Err(why) => {
                told.state = Health::Unknown;
                told.message.get_or_insert(why);
            }
        }
        hosts.insert(host, told);
    }
    let iqn = iqn.or_else(|| kind.identities(block, &looked.desired.blocks).into_iter().next()).unwrap_or_default();
    Some(TargetStatus { address: block.address.clone(), iqn, hosts })
}

fn target_health(block: &Block, host: &HostName, plan: &Plan) -> (Health, Option<String>) {
    let of_host =
        plan.hazards.iter().filter(|hazard| hazard.address == block.address && hazard.host.as_ref() == Some(host));
    let told: Vec<_> = of_host.clone().map(|hazard| hazard.message.clone()).collect();
    let told = Some(told.join("; ")).filter(|text| !text.is_empty());
    let is_silent = of_host.clone().any(|hazard| hazard.code == HazardCode::Unresponsive);
    match plan.found.get(&block.address).and_then(|hosts| hosts.get(host)) {
        None => (Health::Unknown, Some("the host was not asked".to_owned())),
        Some(found) => match &found.standing {
            Standing::Unknown(why) | Standing::Later(why) => (Health::Unknown, Some(why.clone())),
            Standing::Absent => (Health::Missing, told.or_else(|| Some("logged out".to_owned()))),
            Standing::Present if is_silent => (Health::Unresponsive, told),
            // A path that is lost leaves nothing to be done and is a trouble all the same.
            Standing::Present if told.is_some() => (Health::Degraded, told),
            Standing::Present if found.is_settled => (Health::Ok, None),
            Standing::Present => (Health::Degraded, Some(differences(block, host, plan))),
        },
    }
}

fn volume(block: &Block, looked: &Looked, plan: &Plan) -> VolumeStatus {
    let kind = kind_of(&block.address);
    let at = kind.and_then(|kind| kind.image_directories(block).into_iter().next()).unwrap_or_default();
    let members = kind.map(|kind| kind.hosts(block, &looked.desired.blocks)).unwrap_or_default();
    let hosts =
        members.iter().map(|host| (host.clone(), on_host(block, &at, host, looked, plan))).collect::<BTreeMap<_, _>>();
    let images = looked.desired.blocks.values().filter(|image| image.resource("volume") == Some(&block.address));
    VolumeStatus {
        address: block.address.clone(),
        kind: block.address.kind.to_string(),
        mount_point: at.clone(),
        images: images.flat_map(|image| image_files(image, &at, &hosts, looked, plan)).collect(),
        hosts,
    }
}

/// A media storage: how it stands on each of its hosts, and its files as the first host sees them that can.
fn media(block: &Block, looked: &Looked, plan: &Plan) -> Option<MediaStatus> {
    let kind = kind_of(&block.address)?;
    let media = kind.media(block, &looked.desired.blocks)?;
    let members = kind.hosts(block, &looked.desired.blocks);
    let mut hosts = BTreeMap::new();
    let mut files = None;
    for host in members {
        let on = on_host(block, &media.directory, &host, looked, plan);
        // What the server said in its own words stands behind what follows from it.
        let mut messages: Vec<String> = on.message.into_iter().collect();
        messages.extend(
            kind.told(block, looked.facts.host(&host)).filter(|told| !messages.iter().any(|one| one.contains(told))),
        );
        let message = Some(messages.join("; ")).filter(|text| !text.is_empty());
        let mut told = MediaOnHost { state: on.state, message };
        // What lies in the directory while nothing is mounted there is something else.
        if files.is_none() && matches!(told.state, Health::Ok | Health::Degraded) {
            match media_listing::read(looked.facts.host(&host), &media.directory) {
                Ok(listing) => files = Some(listing),
                Err(why) => told.message = told.message.or(Some(format!("its files could not be listed: {why}"))),
            }
        }
        hosts.insert(host, told);
    }
    let listing = files.unwrap_or_default();
    let files = listing.files.into_iter().map(|(name, size)| MediaFile {
        kind: Medium::of(&name).as_str().to_owned(),
        name,
        size: Some(size),
    });
    Some(MediaStatus {
        address: block.address.clone(),
        server: media.server,
        share: media.share,
        username: media.username,
        hosts,
        files: files.collect(),
    })
}

/// An image of the configuration in a volume: one line for the hosts on which it is alike.
fn image_files(
    image: &Block,
    at: &str,
    volume: &BTreeMap<HostName, VolumeOnHost>,
    looked: &Looked,
    plan: &Plan,
) -> Vec<ImageStatus> {
    let name = image.text("name").unwrap_or_default();
    let members = kind_of(&image.address).map(|kind| kind.hosts(image, &looked.desired.blocks)).unwrap_or_default();
    // Of a shared volume one member is asked for all of them.
    let is_asked = |host: &HostName| plan.found.get(&image.address).is_some_and(|hosts| hosts.contains_key(host));
    let is_any_asked = members.iter().any(is_asked);
    let mut found: Vec<ImageStatus> = Vec::new();
    for host in members.into_iter().filter(|host| !is_any_asked || is_asked(host)) {
        let (state, message) = image_health(image, &host, plan);
        // What lies in the directory while its volume is not mounted is another file.
        let is_there = volume.get(&host).is_some_and(|on| matches!(on.state, Health::Ok | Health::Degraded));
        let path = format!("{at}/{name}");
        let file = is_there.then(|| image_file::read(looked.facts.host(&host), &path).ok().flatten()).flatten();
        // A guest may write any header into its raw image: what the plan takes it for counts.
        let found_here = plan.found.get(&image.address).and_then(|hosts| hosts.get(&host));
        let format = found_here
            .and_then(|found| found.observed.get("format").map(String::as_str))
            .or_else(|| file.as_ref().map(|file| file.format()));
        let one = ImageStatus {
            name: name.to_owned(),
            size: file.as_ref().map(|file| if format == Some("raw") { file.length } else { file.virtual_size().0 }),
            allocated: file.as_ref().map(|file| file.allocated),
            format: file.as_ref().and(format).map(str::to_owned),
            hosts: Vec::new(),
            state,
            message,
        };
        let alike = found.iter().position(|other| ImageStatus { hosts: Vec::new(), ..other.clone() } == one);
        match alike.and_then(|at| found.get_mut(at)) {
            Some(other) => other.hosts.push(host),
            None => found.push(ImageStatus { hosts: vec![host], ..one }),
        }
    }
    found
}

fn image_health(image: &Block, host: &HostName, plan: &Plan) -> (Health, Option<String>) {
    let of_image = plan
        .hazards
        .iter()
        .filter(|hazard| hazard.address == image.address && hazard.host.as_ref().is_none_or(|one| one == host));
    // That it is something else says more than what follows from it.
    let hazard = of_image.min_by_key(|hazard| match hazard.code {
        HazardCode::WrongSource => 0,
        HazardCode::Unresponsive => 1,
        _ => 2,
    });
    let found = plan.found.get(&image.address).and_then(|hosts| hosts.get(host));
    let told = hazard.map(|hazard| hazard.message.clone());
    let (state, message) = match found {
        None => (Health::Unknown, Some("the host was not asked".to_owned())),
        Some(found) => match (&found.standing, hazard) {
            // An image in a volume that is not there for the moment may well exist.
            (Standing::Unknown(why) | Standing::Later(why), _) => (Health::Unknown, Some(why.clone())),
            (Standing::Absent | Standing::Present, Some(hazard)) if hazard.code == HazardCode::WrongSource => {
                (Health::WrongSource, told)
            }
            (_, Some(hazard)) if hazard.code == HazardCode::Unresponsive => (Health::Unknown, told),
            (Standing::Absent, _) => (Health::Missing, told),
            (Standing::Present, _) if found.is_settled => (Health::Ok, None),
            (Standing::Present, Some(_)) => (Health::Degraded, told),
            (Standing::Present, None) => (Health::Degraded, Some(differences(image, host, plan))),
        },
    };
    (state, message.filter(|text| !text.is_empty()))
}

fn on_host(block: &Block, at: &str, host: &HostName, looked: &Looked, plan: &Plan) -> VolumeOnHost {
    let found = plan.found.get(&block.address).and_then(|hosts| hosts.get(host));
    let hazards =
        plan.hazards.iter().filter(|hazard| hazard.address == block.address && hazard.host.as_ref() == Some(host));
    let hazards: Vec<_> = hazards.collect();
    let facts = looked.facts.host(host);
    let reach = network_mounts::read(facts).unwrap_or_default();
    let (state, message) = match found.map(|found| (&found.standing, found.is_settled)) {
        Some((Standing::Unknown(why), _)) if reach.is_stale(at) => (Health::Stale, why.clone()),
        Some((Standing::Unknown(why), _)) if reach.silent_above(at).is_some() => (Health::Unresponsive, why.clone()),
        Some((Standing::Unknown(why), _)) => (Health::Unknown, why.clone()),
        Some((Standing::Later(why), _)) => (Health::Missing, why.clone()),
        Some((Standing::Absent, _)) => {
            (Health::Missing, hazards.first().map(|hazard| hazard.message.clone()).unwrap_or_default())
        }
        // What is only told is worth a look too.
        Some((Standing::Present, true)) => match hazards.iter().find(|hazard| !hazard.blocks() && !hazard.accepted) {
            Some(hazard) => (Health::Degraded, hazard.message.clone()),
            None => (Health::Ok, String::new()),
        },
        Some((Standing::Present, false)) => match hazards.first() {
            Some(hazard) if hazard.code == HazardCode::WrongSource => (Health::WrongSource, hazard.message.clone()),
            Some(hazard) if hazard.code == HazardCode::Unresponsive => (Health::Unresponsive, hazard.message.clone()),
            Some(hazard) => (Health::Degraded, hazard.message.clone()),
            None => (Health::Degraded, differences(block, host, plan)),
        },
        None => (Health::Unknown, "the host was not asked".to_owned()),
    };
    let exists = path::read(facts, at).is_ok_and(|lineage| lineage.exists());
    let room = space::read(facts, at).ok().filter(|_| exists && matches!(state, Health::Ok | Health::Degraded));
    VolumeOnHost {
        state,
        size: room.as_ref().map(|room| room.size),
        free: room.as_ref().map(|room| room.free),
        filesystem: found.into_iter().flat_map(of_itself).collect(),
        message: Some(message).filter(|text| !text.is_empty()),
    }
}

/// What a file system of several hosts says of itself.
fn of_itself(found: &Found) -> impl Iterator<Item = (String, String)> {
    let named = |name: &str| Some((name.to_owned(), found.observed.get(name)?.clone()));
    ["slots", "uuid"].into_iter().filter_map(named).collect::<Vec<_>>().into_iter()
}

fn differences(block: &Block, host: &HostName, plan: &Plan) -> String {
    let change = plan.changes.iter().find(|change| change.address == block.address);
    let of_host = change.into_iter().flat_map(|change| &change.differences).filter(|one| one.host == *host);
    of_host.map(|one| format!("{} is {}, not {}", one.attribute, one.have, one.want)).collect::<Vec<_>>().join("; ")
}
