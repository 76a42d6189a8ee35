//! `image`: a guest's disk image in a volume. It is allocated once and grows in place; it is never made anew, shrunk,
//! converted or deleted.
//!
//! ```hcl
//! image "web" {
//!   volume = external_volume.nfs
//!   format = "qcow2"
//!   size   = "40GiB"
//! }
//! ```

use std::collections::BTreeMap;

use crate::model::block::Attributes;
use crate::model::{Address, Block, Blocks, Datum, HostName, Problem, Problems, Question, Size};

use super::allocating::{
    self, base, check_backing, check_origin, default_mode, judge_host, origin, places, take_source, volume,
};
use super::ask::{image_file, reflink};
use super::ground;
use super::schema::{AttributeSchema as A, Schema, Type};
use super::verdict::Verdict;
use super::{Kind, Scene, SourceFile, host, kind_of};

#[derive(Debug)]
pub struct Image;

/// Kinds that hold images.
const VOLUMES: &[&str] = &["external_volume", "ocfs2_volume"];

static SCHEMA: Schema = Schema {
    doc: "A guest's disk image in a volume.",
    attributes: &[
        A::required("volume", Type::Resource(VOLUMES), "The volume that it lies in."),
        A::optional(
            "hosts",
            Type::Resources(&["host"]),
            "Where it is, for a volume that each member has to itself; default: on every member.",
        ),
        A::optional("name", Type::Text, "File name; default NAME.FORMAT."),
        A::required("format", Type::Text, "The format.").one_of(&["raw", "qcow2"]),
        A::optional(
            "size",
            Type::Size,
            "The size that the guest sees, a multiple of 512 bytes; default that of `source` or `clone`, and required without them.",
        ),
        A::optional(
            "allocation",
            Type::Text,
            "How room is taken: \"sparse\" (default), \"metadata\" (qcow2), \"falloc\" or \"full\".",
        )
        .one_of(&["sparse", "metadata", "falloc", "full"]),
        A::optional(
            "owner",
            Type::Text,
            "By name or number; default: the volume's. Not compared while a guest has the image open.",
        ),
        A::optional("group", Type::Text, "By name or number; default: the volume's."),
        A::optional("mode", Type::Mode, "Default \"0660\" where the volume has an owner or a group."),
        A::optional(
            "backing",
            Type::Resource(&["image"]),
            "The image that this one is an overlay of (qcow2). Neither of the two grows while the overlay exists.",
        ),
        A::optional(
            "clone",
            Type::Resource(&["image"]),
            "The image that this one begins as a copy of, of the same format. Later changes of that one change nothing here.",
        ),
        A::optional(
            "reflink",
            Type::Text,
            "Whether a clone shares its blocks with the image that it was copied from until one of them is written: \"auto\" (default) where the file system can, \"always\" or \"never\".",
        )
        .one_of(&["auto", "always", "never"]),
        A::optional(
            "source",
            Type::File,
            "The file on this machine, relative to the module, that the image begins as; default: a blank image. Its content is looked at when the image is made, never after.",
        )
        .inside(),
        A::optional("sha256", Type::Text, "The digest that `source` must have; default: the one that it has."),
        A::optional("source_size", Type::Size, "How many bytes `source` must have; default: those that it has."),
        A::optional(
            "template",
            Type::Bool,
            "Others are made of it: read-only for everybody, and it never grows; default false. It needs a `source` or a `clone`, unless it is there already.",
        ),
    ],
    blocks: &[],
};

/// The longest file name, less what the name of the draft adds to it.
const LONGEST_NAME: usize = 240;

impl Kind for Image {
    fn name(&self) -> &'static str {
        "image"
    }

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn complete(&self, block: &mut Block, all: &Blocks) -> Problems {
        let name = default_name(block);
        block.default_to("name", name);
        block.default_to("allocation", Datum::text("sparse"));
        if let Some(volume) = block.resource("volume").and_then(|address| all.get(address)) {
            let inherited = ["owner", "group"].map(|name| (name, volume.datum(name).cloned()));
            for (name, value) in inherited {
                if let Some(value) = value {
                    block.default_to(name, value);
                }
            }
            if block.datum("owner").or(block.datum("group")).is_some() || block.boolean("template") == Some(true) {
                block.default_to("mode", Datum::Mode(default_mode(block)));
            }
        }
        if block.datum("clone").is_some() {
            block.default_to("reflink", Datum::text("auto"));
        }
        check(block, all).into_iter().chain(check_backing(block, all)).chain(check_origin(block, all)).collect()
    }

    fn hosts(&self, block: &Block, all: &Blocks) -> Vec<HostName> {
        allocating::hosts(block, all)
    }

    fn paths(&self, block: &Block, all: &Blocks) -> Vec<String> {
        places(block, all).take(1).collect()
    }

    fn default_place(&self, block: &Block, _all: &Blocks) -> Option<(&'static str, Datum)> {
        Some(("name", default_name(block)))
    }

    fn needs_paths(&self, block: &Block, all: &Blocks) -> Vec<String> {
        self.paths(block, all)
    }

    fn built_on(&self, block: &Block, all: &Blocks) -> Option<(Address, Vec<String>)> {
        Some((block.resource("backing")?.clone(), places(block, all).collect()))
    }

    fn source_file<'a>(&self, block: &'a Block) -> Option<&'a str> {
        block.text("source")
    }

    fn take_source(&self, block: &mut Block, file: &SourceFile) -> Problems {
        take_source(block, file)
    }

    fn outlives_its_source(&self) -> bool {
        true
    }

    fn questions(&self, block: &Block, all: &Blocks, _host: &HostName) -> Vec<Question> {
        let mut files: Vec<_> = places(block, all).map(|path| image_file::question(&path)).collect();
        if let Some(base) = base(block, all) {
            files.extend(places(base, all).map(|path| image_file::content_question(&path)));
        }
        if let Some(origin) = origin(block, all) {
            files.extend(places(origin, all).map(|path| image_file::content_question(&path)));
            files.extend(allocating::directory(block, all).map(|directory| reflink::question(&directory)));
        }
        files.into_iter().chain(ground::people_questions(block)).collect()
    }

    fn judge(&self, block: &Block, scene: &Scene) -> BTreeMap<HostName, Verdict> {
        let mut hosts = self.hosts(block, scene.blocks);
        if let Some(volume) = block.resource("volume") {
            let shared = hosts.iter().filter_map(|host| scene.room(volume, host)).any(|room| room.shared);
            if shared {
                // One member makes the image for all: the first that answers.
                hosts.sort_by_key(|host| matches!(scene.host(host), crate::model::HostFacts::Unreachable(_)));
                hosts.truncate(1);
            }
        }
        let judged = hosts.into_iter().map(|host| {
            let verdict = judge_host(block, scene, &host).unwrap_or_else(Verdict::unknown);
            (host, verdict)
        });
        judged.collect()
    }

    fn unmake(&self, _block: &Block, _scene: &Scene, _host: &HostName) -> Verdict {
        Verdict::default() // an image without a block is kept and forgotten
    }

    fn functions(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("clone_image", include_str!("ask/clone_image.sh")),
            ("create_image", include_str!("ask/create_image.sh")),
            ("finish_image", include_str!("ask/finish_image.sh")),
            ("grow_image", include_str!("ask/grow_image.sh")),
            ("upload_image", include_str!("ask/upload_image.sh")),
        ]
    }
}

fn default_name(block: &Block) -> Datum {
    match block.datum("format") {
        Some(Datum::Text(format)) => Datum::text(format!("{}.{format}", block.address.default_name())),
        _ => Datum::Unknown,
    }
}

fn check(block: &Block, all: &Blocks) -> Problems {
    let mut problems = ground::check_people(block);
    let mut error = |summary: String, detail: &str, name: &str| {
        problems
            .push(Problem::error("invalid-value", summary, detail).at(block.place_of(name).or(block.place.as_deref())))
    };
    if let Some(Err((summary, detail))) = block.text("name").map(check_name) {
        error(summary, detail, "name");
    }
    if let Some(Err((summary, detail))) = block.size("size").map(check_size) {
        error(summary, detail, "size");
    }
    if block.text("format") == Some("raw") && block.text("allocation") == Some("metadata") {
        error(
            "a raw image has no metadata to allocate".to_owned(),
            "Use \"sparse\", \"falloc\" or \"full\", or the format qcow2.",
            "allocation",
        );
    }
    if matches!(block.datum("hosts"), Some(Datum::Resources(hosts)) if hosts.is_empty()) {
        error(
            format!("{} is on no host", block.address),
            "Name at least one host, or leave `hosts` out (or null) for every member.",
            "hosts",
        );
    }
    // While it is not known which hosts a storage has, none is known not to be a member.
    let is_open = |needed: &Address| all.get(needed).is_some_and(|needed| needed.is_unknown("hosts"));
    let hosts = block.resources("hosts");
    let volume = volume(block, all).filter(|_| !hosts.is_empty());
    let volume = volume.filter(|volume| !volume.depends_on.iter().any(is_open));
    // Most name hosts that the storage names: no list of names is made for those.
    let storage = volume.and_then(|volume| all.get(volume.resource("storage")?));
    let volume = volume
        .filter(|_| !storage.is_some_and(|storage| hosts.iter().all(|host| storage.resources("hosts").contains(host))));
    let members = volume.and_then(|volume| Some(kind_of(&volume.address)?.hosts(volume, all)));
    let named = hosts.iter().map(host::name_of);
    for host in members.iter().flat_map(|members| named.clone().filter(|host| !members.contains(host))) {
        error(
            format!("{host} is no member of the volume's storage"),
            "Name hosts of the storage, or leave `hosts` out.",
            "hosts",
        );
    }
    problems
}

/// What is wrong with a file name, and the cure.
pub(super) fn check_name(name: &str) -> Result<(), (String, &'static str)> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." || name.chars().any(char::is_control) {
        let cure = "A name has no slash and no control character, and is not `.` or `..`.";
        return Err((format!("{name:?} is no file name"), cure));
    }
    if name.len() > LONGEST_NAME {
        return Err((format!("the name has {} bytes", name.len()), "A name has at most 240 bytes."));
    }
    if name.starts_with('.') && name.ends_with(".larder-new") || name.starts_with(".larder-trash") {
        return Err((format!("{name:?} is a name that Larder uses itself"), "Choose another name."));
    }
    Ok(())
}

/// What is wrong with a size, and the cure.
pub(super) fn check_size(size: Size) -> Result<(), (String, &'static str)> {
    if size.0 == 0 {
        return Err(("an image of no bytes is of no use".to_owned(), "Write a size like \"40GiB\"."));
    }
    if !size.0.is_multiple_of(512) {
        let cure = "Disks have sectors of 512 bytes: QEMU would round the size up.";
        return Err((format!("{size} is no multiple of 512 bytes"), cure));
    }
    if size.0 > i64::MAX as u64 {
        return Err((format!("{size} is larger than a file can be"), "A file has at most 8 EiB less one byte."));
    }
    Ok(())
}
