//! `media_file`: a file of the workstation, an ISO mostly, in a repository of installation media. It is uploaded whole; another
//! file of its name is only replaced if somebody accepts that, and none while it is open. Without what was seen mounted it writes
//! nothing.
//!
//! ```hcl
//! media_file "debian" {
//!   share  = media_share.iso
//!   source = "iso/debian-12.iso"
//! }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::model::block::Attributes;
use crate::model::step::Upload;
use crate::model::{Block, Blocks, Command, Datum, Hazard, HazardCode, HostName, Problem, Problems, Question, Size};

use super::ask::media::{self, Medium};
use super::ask::{open_files, people, space};
use super::ground;
use super::image::check_name;
use super::scene::{Memory, Room, RoomState};
use super::schema::{AttributeSchema as A, Schema, Type};
use super::verdict::{Difference, Draft, Need, Remedy, Standing, Verdict};
use super::{Kind, Scene, SourceFile, kind_of};

#[derive(Debug)]
pub struct MediaFile;

static SCHEMA: Schema = Schema {
    doc: "A file of the workstation, such as an ISO, in a repository of installation media.",
    attributes: &[
        A::optional("share", Type::Resource(&["media_share"]), "The share that it lies in. This or `storage`."),
        A::optional(
            "storage",
            Type::Resource(&["media_storage"]),
            "The storage that it lies in, which must be writable: it is written through the mount on the first of its hosts.",
        ),
        A::required("source", Type::File, "The file on this machine, relative to the module.").inside(),
        A::optional("name", Type::Text, "File name there; default that of `source`."),
        A::optional("sha256", Type::Text, "The digest that `source` must have; default: the one that it has."),
        A::optional("size", Type::Size, "The size that `source` must have; default: the one that it has."),
    ],
    blocks: &[],
};

impl Kind for MediaFile {
    fn name(&self) -> &'static str {
        "media_file"
    }

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn complete(&self, block: &mut Block, all: &Blocks) -> Problems {
        let name = default_name(block);
        block.default_to("name", name);
        check(block, all)
    }

    fn hosts(&self, block: &Block, all: &Blocks) -> Vec<HostName> {
        let repository = repository(block, all);
        let hosts = repository.and_then(|repository| Some(kind_of(&repository.address)?.hosts(repository, all)));
        hosts.unwrap_or_default().into_iter().take(1).collect()
    }

    fn paths(&self, block: &Block, all: &Blocks) -> Vec<String> {
        place(block, all).into_iter().collect()
    }

    fn needs_paths(&self, block: &Block, all: &Blocks) -> Vec<String> {
        self.paths(block, all)
    }

    fn used_paths(&self, block: &Block, all: &Blocks) -> Vec<String> {
        self.paths(block, all)
    }

    fn source_file<'a>(&self, block: &'a Block) -> Option<&'a str> {
        block.text("source")
    }

    fn take_source(&self, block: &mut Block, file: &SourceFile) -> Problems {
        file.fill(block, "size").into_iter().collect()
    }

    fn questions(&self, block: &Block, all: &Blocks, _host: &HostName) -> Vec<Question> {
        let Some((directory, path)) = directory(block, all).zip(place(block, all)) else { return Vec::new() };
        vec![media::question(&path, size(block)), space::question(&directory)]
    }

    fn judge(&self, block: &Block, scene: &Scene) -> BTreeMap<HostName, Verdict> {
        let judged = self.hosts(block, scene.blocks).into_iter().map(|host| {
            let verdict = judge_host(block, scene, &host).unwrap_or_else(Verdict::unknown);
            (host, verdict)
        });
        judged.collect()
    }

    fn unmake(&self, _block: &Block, _scene: &Scene, _host: &HostName) -> Verdict {
        Verdict::default() // a file without a block is kept and forgotten
    }

    fn functions(&self) -> &'static [(&'static str, &'static str)] {
        &[("upload_media", include_str!("ask/upload_media.sh"))]
    }
}

fn default_name(block: &Block) -> Datum {
    match block.datum("source") {
        Some(Datum::Text(source)) => Datum::text(source.rsplit('/').next().unwrap_or_default()),
        _ => Datum::Unknown,
    }
}

fn size(block: &Block) -> Option<u64> {
    block.size("size").map(|size| size.0)
}

/// The share or storage that it lies in.
fn repository<'a>(block: &Block, all: &'a Blocks) -> Option<&'a Block> {
    all.get(block.resource("share").or_else(|| block.resource("storage"))?)
}

/// Where the files of the repository are on its hosts; `None` while that is not known.
fn directory(block: &Block, all: &Blocks) -> Option<String> {
    let repository = repository(block, all).filter(|one| !one.is_unknown("path") && !one.is_unknown("mount_point"))?;
    Some(kind_of(&repository.address)?.media(repository, all)?.directory)
}

fn place(block: &Block, all: &Blocks) -> Option<String> {
    Some(in_directory(&directory(block, all)?, block.text("name")?))
}

fn in_directory(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

fn check(block: &Block, all: &Blocks) -> Problems {
    let mut problems = Problems::new();
    let mut error = |code: &str, summary: String, detail: &str, name: &str| {
        let place = block.place_of(name).or(block.place.as_deref());
        problems.push(Problem::error(code, summary, detail).at(place));
    };
    match (block.datum("share"), block.datum("storage")) {
        (None, None) => error(
            "missing-attribute",
            format!("{} says neither `share` nor `storage`", block.address),
            "Write where the file is to lie: `share = media_share.NAME`, or `storage = media_storage.NAME`.",
            "source",
        ),
        (Some(_), Some(_)) => error(
            "invalid-value",
            format!("{} has both a share and a storage", block.address),
            "Keep one of them. Whoever mounts a share sees the files that lie in it.",
            "storage",
        ),
        _ => {}
    }
    let storage = block.resource("storage").and_then(|address| all.get(address));
    if let Some(storage) = storage.filter(|storage| storage.boolean("writable") == Some(false)) {
        error(
            "invalid-value",
            format!("{} is mounted read-only", storage.address),
            "Set `writable = true` there; or, if a host of the configuration serves it, name its media_share as `share`.",
            "storage",
        );
    }
    if let Some(name) = block.text("name") {
        // A name that nobody wrote is that of the source.
        let at = if block.place_of("name").is_some() { "name" } else { "source" };
        match check_name(name) {
            Err((summary, detail)) => error("invalid-value", summary, detail, at),
            Ok(()) if name.starts_with('.') => error(
                "invalid-value",
                format!("{name:?} begins with a dot"),
                "Media are not hidden: choose another `name`.",
                at,
            ),
            Ok(()) if name.ends_with(' ') || name.ends_with(" (deleted)") => error(
                "invalid-value",
                format!("{name:?} ends in a way in which it cannot be told who has the file open"),
                "Choose a `name` that does not end with a blank or with \" (deleted)\".",
                at,
            ),
            Ok(()) => {}
        }
    }
    if block.text("sha256").is_some_and(|digest| !media::is_digest(digest)) {
        error(
            "invalid-value",
            "this is no SHA-256".to_owned(),
            "It has 64 hexadecimal digits in lower case, as sha256sum prints it.",
            "sha256",
        );
    }
    problems
}

fn judge_host(block: &Block, scene: &Scene, host: &HostName) -> Result<Verdict, String> {
    let ground = scene.ground(host)?;
    let repository = repository(block, scene.blocks).ok_or("its share or storage is not known")?;
    let kind = kind_of(&repository.address).ok_or("its share or storage is of no kind")?;
    let room = kind.room(repository, scene, host).ok_or("its share or storage is not complete")?;
    let mut verdict = Verdict::default();
    let look_in = match &room.state {
        RoomState::Unknown(why) => return Err(why.clone()),
        RoomState::Later(why) => {
            verdict.standing = Standing::Later(why.clone());
            return Ok(verdict);
        }
        RoomState::New { .. } => return Err(format!("{} is not there yet", room.directory)),
        RoomState::Open { look_in } => look_in,
    };
    let name = block.text("name").ok_or("its name is not known")?;
    let source = block.text("source").ok_or("its source is not known")?;
    let (size, digest) = size(block).zip(block.text("sha256")).ok_or("its source was not looked at")?;
    let path = in_directory(look_in, name);
    let hazard = |code, message: String, cure: &str| Hazard::new(code, &block.address, Some(host), message, cure);
    let found = media::read(scene.host(host), &path, Some(size))?;
    if let Some(found) = &found {
        verdict.standing = Standing::Present;
        if !found.is_regular {
            verdict.hazards.push(hazard(
                HazardCode::WrongSource,
                format!("{path} on {host} is no regular file"),
                "Move it away, or give the file another `name`.",
            ));
            return Ok(verdict);
        }
        verdict.observed.insert("size".to_owned(), found.size.to_string());
        if let Some(have) = &found.sha256 {
            verdict.observed.insert("sha256".to_owned(), have.clone());
        }
        let is_ignored = |name: &&str| block.lifecycle.ignore_changes.contains(*name);
        if found.sha256.as_deref() == Some(digest) || ["source", "sha256", "size"].iter().any(is_ignored) {
            if is_for_its_owner_alone(found, repository, scene, host) {
                verdict.hazards.push(hazard(
                    HazardCode::NoAccess,
                    format!(
                        "{path} on {host} has the mode {:04o}: nobody who logs in to the share may read it",
                        found.mode
                    ),
                    "Give it the mode that it is uploaded with (0644).",
                ));
            }
            return Ok(verdict);
        }
    }
    if ground.system.uid != 0 {
        verdict.hazards.push(hazard(
            HazardCode::Unsupported,
            format!("Larder is not root on {host}"),
            "Log in as root, or set become = \"sudo\" in the host block.",
        ));
    }
    verdict.needs.push(need(scene, host, &room, look_in, size)?);
    let mut words = vec!["upload_media".to_owned(), path.clone(), size.to_string(), digest.to_owned()];
    words.extend(found.iter().flat_map(Medium::words));
    let file = Upload { path: source.to_owned(), bytes: size, sha256: digest.to_owned() };
    let action = if found.is_some() { "replace" } else { "upload" };
    let into = format!("{path} ({})", Size(size).rounded());
    let summary = match &found {
        Some(_) => format!("upload {source} in place of {into}"),
        None => format!("upload {source} to {into}"),
    };
    let draft = Draft::new(action, summary, Command::new(words).with_upload(file)).guarded(room.guard.clone());
    let Some(found) = found else {
        let draft = draft.guarded([ground::absent(&path)]).without_inverse("a file that is whole is kept");
        verdict.differences.push(Difference::new("file", "absent", want(size, digest), Remedy::Run(vec![draft])));
        return Ok(verdict);
    };
    let draft = draft
        .guarded([found.guard(&path), open_files::nobody(std::slice::from_ref(&path))])
        .without_inverse("the file of before is gone");
    let remedy = match users(block, scene, host, &path, name)? {
        Some((on, user)) => Remedy::Never(hazard(
            HazardCode::InUse,
            format!("{path} on {host} has another content than {source}, and it is in use on {on}: {user}"),
            "Stop the guest, or take the medium out of it; then plan again. Or give the file another `name`.",
        )),
        None => Remedy::Ask(
            hazard(
                HazardCode::DataLoss,
                format!("{path} on {host} has another content than {source}: it would be replaced"),
                "Give the file another `name` to keep both; or accept that what is there is lost.",
            ),
            vec![draft],
        ),
    };
    verdict.differences.push(Difference::new("file", have(&found), want(size, digest), remedy));
    Ok(verdict)
}

/// Whether no user of the share may read a file. Through a mount that is for its server to say; and who is in its group is not known here.
fn is_for_its_owner_alone(found: &Medium, repository: &Block, scene: &Scene, host: &HostName) -> bool {
    let is_users = |name: &str| people::read_user(scene.host(host), name).ok().flatten() == Some(found.owner);
    let mut users =
        repository.blocks.iter().filter(|block| block.name == "user").filter_map(|block| block.text("name"));
    repository.address.is("media_share") && found.mode & 0o044 == 0 && !(found.mode & 0o400 != 0 && users.any(is_users))
}

fn want(size: u64, digest: &str) -> String {
    format!("{} bytes, sha256 {digest}", size)
}

fn have(found: &Medium) -> String {
    match &found.sha256 {
        Some(digest) => want(found.size, digest),
        None => format!("{} bytes", found.size),
    }
}

/// Who has the file open: on its host, and on every host of the configuration that serves or mounts a share of that name. Who serves a
/// share may have many names, so a share of that name on another server counts as well; and servers take no notice of case. What was applied last may be mounted
/// still, whatever the configuration says now. What a server has open for others says nothing where the file is looked at through a mount: this very look is among them.
fn users(
    block: &Block,
    scene: &Scene,
    host: &HostName,
    path: &str,
    name: &str,
) -> Result<Option<(HostName, open_files::Use)>, String> {
    let mut places = vec![(host.clone(), path.to_owned(), None)];
    let shown = |block: &Block| kind_of(&block.address)?.shows(block);
    let own = repository(block, scene.blocks).and_then(shown).ok_or("its share or storage is not complete")?;
    let in_share = in_directory(&own.path, name);
    let recorded = |memory: &Memory| memory.block.clone().map(|block| (block.address.clone(), block));
    let recorded: Blocks = scene.memory.values().filter_map(recorded).collect();
    let wanted = scene.blocks.values().map(|block| (block, scene.blocks));
    for (other, all) in wanted.chain(recorded.values().map(|block| (block, &recorded))) {
        let Some((kind, theirs)) = kind_of(&other.address).zip(shown(other)) else { continue };
        let Some(rest) = below(&in_share, &theirs.path).filter(|_| theirs.share.eq_ignore_ascii_case(&own.share))
        else {
            continue;
        };
        let there = in_directory(&theirs.directory, rest);
        places.extend(kind.hosts(other, all).into_iter().map(|host| (host, there.clone(), theirs.served_by)));
    }
    let mut seen = BTreeSet::new();
    places.retain(|(host, path, _)| seen.insert((host.clone(), path.clone())));
    for (host, path, served_by) in places {
        let directory = path.rsplit_once('/').map_or("/", |(directory, _)| directory);
        let users = scene.users(&host, directory).or_else(|_| scene.users(&host, &path));
        let users = users.map_err(|why| format!("who uses {path} on {host} is not known: {why}"))?;
        let is_it = |user: &open_files::Use| {
            user.path.trim_end_matches(" (deleted)").eq_ignore_ascii_case(&path)
                && served_by.is_none_or(|server| !user.program.starts_with(server))
        };
        if let Some(first) = users.into_iter().find(is_it) {
            return Ok(Some((host, first)));
        }
    }
    Ok(None)
}

/// A path below a directory, both of one share; `None` for one that lies elsewhere.
fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let (path, directory) = (path.trim_start_matches('/'), directory.trim_matches('/'));
    if directory.is_empty() {
        return Some(path);
    }
    let (above, rest) = (path.get(..directory.len())?, path.get(directory.len()..)?);
    rest.strip_prefix('/').filter(|_| above.eq_ignore_ascii_case(directory))
}

fn need(scene: &Scene, host: &HostName, room: &Room, look_in: &str, size: u64) -> Result<Need, String> {
    let space = space::read(scene.host(host), look_in)?;
    Ok(Need {
        filesystem: space.filesystem,
        at: room.directory.clone(),
        free: Some(space.free),
        free_inodes: space.free_inodes,
        bytes: size,
        promised: 0,
        inodes: 1,
        shared: room.shared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_seen_by_those_who_mount_a_directory_above_it() {
        let table = [
            ("a.iso", "", Some("a.iso")),
            ("/a.iso", "", Some("a.iso")),
            ("iso/linux/a.iso", "", Some("iso/linux/a.iso")),
            ("iso/linux/a.iso", "ISO", Some("linux/a.iso")),
            ("iso/linux/a.iso", "/iso/linux/", Some("a.iso")),
            ("iso/linux/a.iso", "is", None),
            ("iso/linux/a.iso", "iso/windows", None),
            ("a.iso", "iso/linux", None),
            ("ä/a.iso", "x", None),
        ];
        for (path, directory, expected) in table {
            assert_eq!(below(path, directory), expected, "{path} below {directory}");
        }
    }
}
