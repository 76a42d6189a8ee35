//! Overlays: images that hold only what differs from a backing image. An overlay is worthless without the very image that it was
//! made on, so that one is neither made anew nor grown while overlays of it exist.

use std::collections::BTreeSet;

use crate::model::block::Attributes;
use crate::model::{Address, Block, Blocks, Guard, HostName, Problem, Problems};

use super::super::Scene;
use super::super::ask::Known;
use super::super::ask::image_file::{self, Header};
use super::super::ask::open_files;
use super::super::scene::RoomState;
use super::{Wanted, hosts, in_directory, places, sharing, users};

/// The block of the image that a block is an overlay of.
pub(in crate::kinds) fn base<'a>(block: &Block, all: &'a Blocks) -> Option<&'a Block> {
    all.get(block.resource("backing")?)
}

pub(in crate::kinds) fn check(block: &Block, all: &Blocks) -> Problems {
    let mut problems = Problems::new();
    let mut error = |code: &str, summary: String, detail: &str, name: &str| {
        problems.push(Problem::error(code, summary, detail).at(block.place_of(name).or(block.place_of("backing"))));
    };
    if block.resource("backing").is_none() {
        return problems;
    }
    if block.text("format") == Some("raw") {
        let cure = "Only qcow2 has overlays: set format = \"qcow2\", or remove `backing`.";
        error("invalid-value", "a raw image has no backing image".to_owned(), cure, "format");
    }
    if block.text("allocation").is_some_and(|allocation| allocation != "sparse") {
        let cure = "An overlay holds only what differs: leave `allocation` out.";
        error("conflicting-attributes", "an overlay is not allocated beforehand".to_owned(), cure, "allocation");
    }
    if let Some(base) = base(block, all) {
        if let (Some(size), Some(whole)) = (block.size("size"), base.size("size"))
            && size < whole
        {
            let summary = format!("an overlay of {size} shows only a part of {}, which has {whole}", base.address);
            error("invalid-value", summary, "Give it at least that size.", "size");
        }
        let there: BTreeSet<HostName> = hosts(base, all).into_iter().collect();
        if let Some(host) = hosts(block, all).into_iter().find(|host| !there.contains(host)) {
            let summary = format!("{} is not on {host}", base.address);
            error("invalid-value", summary, "An overlay and its backing image are on the same hosts.", "backing");
        }
    }
    problems
}

/// What speaks against the file being the overlay (or no overlay) that the block wants, for a sentence that begins with its path.
pub(super) fn mismatch(header: &Header, path: &str, block: &Block, all: &Blocks) -> Option<String> {
    let Header::Qcow2 { backing, backing_format, .. } = header else { return None };
    let base = base(block, all);
    match (backing, base) {
        (None, None) => None,
        (Some(name), None) => Some(format!("has the backing file {name:?}, and the block names none")),
        (None, Some(base)) => Some(format!("has no backing file, and is to be an overlay of {}", base.address)),
        (Some(name), Some(base)) => {
            let format = base.text("format").unwrap_or_default();
            match (resolved(path, name), backing_format) {
                (Some(at), _) if !places(base, all).any(|place| place == at) => {
                    Some(format!("has the backing file {name:?}, which is not {}", base.address))
                }
                (None, _) => Some(format!("has the backing file {name:?}, which is no path")),
                (_, Some(recorded)) if recorded != format => {
                    Some(format!("takes its backing file for {recorded}, and {} is {format}", base.address))
                }
                // A guest that may write its first bytes could make QEMU open any file of the host.
                (_, None) if format == "raw" => {
                    Some("does not say that its backing file is raw, so that QEMU would guess the format".to_owned())
                }
                _ => None,
            }
        }
    }
}

/// The file that QEMU opens for the backing name in an overlay; `None` for what is no path (`json:`, `nbd:`).
pub(in crate::kinds) fn resolved(overlay: &str, name: &str) -> Option<String> {
    let before_slash = name.split('/').next().unwrap_or_default();
    if name.is_empty() || before_slash.contains(':') {
        return None;
    }
    let directory = overlay.rsplit_once('/').map_or("", |(directory, _)| directory);
    let whole = if name.starts_with('/') { name.to_owned() } else { format!("{directory}/{name}") };
    let mut steps: Vec<&str> = Vec::new();
    for step in whole.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    Some(format!("/{}", steps.join("/")))
}

/// The first overlay of an image that exists: on a host, or on any where its members share the image. One that was there when it
/// was applied last counts too: its volume may only not be mounted now.
pub(super) fn overlay_of<'a>(
    block: &Block,
    scene: &'a Scene,
    host: &HostName,
    shared: bool,
) -> Known<Option<&'a Address>> {
    for overlay in scene.dependents.get(&block.address).into_iter().flatten() {
        for at in overlay.hosts.iter().filter(|one| shared || *one == host) {
            if scene.was_seen(&overlay.address, at) && !is_volatile(&overlay.address, scene, at) {
                return Ok(Some(&overlay.address));
            }
            for path in &overlay.paths {
                if image_file::read(scene.host(at), path)?.is_some() {
                    return Ok(Some(&overlay.address));
                }
            }
        }
    }
    Ok(None)
}

/// Whether an image lies where each boot leaves nothing.
fn is_volatile(image: &Address, scene: &Scene, host: &HostName) -> bool {
    let block = scene.block(image).or_else(|| scene.previous(image));
    let room = block.and_then(|block| scene.room(block.resource("volume")?, host));
    room.is_some_and(|room| room.volatile)
}

/// How a backing image stands.
pub(super) enum Under {
    /// It is there, or is made before; with what must hold while an overlay of it is made.
    There { at: String, guard: Vec<Guard> },
    /// Somebody may write to it.
    Written { at: String, guard: Vec<Guard>, host: HostName, by: open_files::Use },
    /// It has to be waited for, and why.
    Later(String),
}

impl Wanted<'_> {
    /// How the backing image stands of which this one is to be an overlay.
    pub(super) fn under(&self, base: &Block, scene: &Scene) -> Result<Under, String> {
        let volume = base.resource("volume").ok_or("the volume of the backing image is not known")?;
        let room = scene.room(volume, self.host).ok_or_else(|| format!("{volume} is not known"))?;
        let at = in_directory(&room.directory, base);
        let mut guard = room.guard;
        let places: Vec<String> = places(base, scene.blocks).collect();
        guard.push(open_files::nobody_writes(&places));
        let look_in = match room.state {
            RoomState::Unknown(why) => return Err(why),
            RoomState::Later(why) => return Ok(Under::Later(why)),
            RoomState::New { .. } => return Ok(Under::There { at, guard }),
            RoomState::Open { look_in } => in_directory(&look_in, base),
        };
        let facts = scene.host(self.host);
        let Some(file) = image_file::read(facts, &look_in)? else { return Ok(Under::There { at, guard }) };
        let hosts = sharing(base, scene, room.shared, self.host);
        if let Some((host, by)) = users(scene, &hosts, &places)?.into_iter().find(|(_, one)| one.writes) {
            return Ok(Under::Written { at, guard, host, by });
        }
        let grows = base.size("size").is_some_and(|size| file.virtual_size() < size)
            && !base.lifecycle.ignore_changes.contains("size");
        if grows {
            return Ok(Under::Later(format!("{} grows first", base.address)));
        }
        guard.push(image_file::content_guard(facts, &at, &look_in)?);
        Ok(Under::There { at, guard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backing_name_leads_where_qemu_goes() {
        let table = [
            ("base.qcow2", Some("/srv/a/base.qcow2")),
            ("./base.qcow2", Some("/srv/a/base.qcow2")),
            ("../b/base.qcow2", Some("/srv/b/base.qcow2")),
            ("/srv//b/./base.qcow2", Some("/srv/b/base.qcow2")),
            ("/srv/b/with:colon", Some("/srv/b/with:colon")),
            ("json:{\"driver\":\"nbd\"}", None),
            ("nbd://10.0.0.5/x", None),
            ("with:colon", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(resolved("/srv/a/web.qcow2", name).as_deref(), expected, "{name}");
        }
    }
}
