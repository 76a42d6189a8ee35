//! An image that does not begin blank: a file of the workstation, or a copy of another image.

use crate::model::block::Attributes;
use crate::model::step::Upload;
use crate::model::{Attribute, Block, Blocks, Command, Datum, Hazard, HazardCode, Mode, Problem, Problems, Size};

use super::super::ask::image_file::{self, Header};
use super::super::ask::{media, reflink};
use super::super::source_file::{SourceFile, place};
use super::super::verdict::{Difference, Draft, Standing, Verdict};
use super::super::{Scene, ground};
use super::backing::Under;
use super::moved::moved_away;
use super::room::reserved;
use super::{Wanted, hosts};

/// The block of the image that a block begins as a copy of.
pub(in crate::kinds) fn origin<'a>(block: &Block, all: &'a Blocks) -> Option<&'a Block> {
    all.get(block.resource("clone")?)
}

/// Who runs guests writes its disks, and only reads what others are made of.
pub(in crate::kinds) fn default_mode(block: &Block) -> Mode {
    let bits = if block.boolean("template") == Some(true) { 0o440 } else { 0o660 };
    Mode::new(bits).expect("twelve bits")
}

/// The size that a guest is to see: what the block says, or what it begins as; of an image that is recorded, what it was then.
pub(super) fn size(block: &Block, scene: &Scene) -> Option<Size> {
    let of_origin = || size(origin(block, scene.blocks)?, scene);
    let recorded = || scene.previous(&block.address)?.size("size");
    block.size("size").or_else(of_origin).or_else(recorded)
}

pub(in crate::kinds) fn check(block: &Block, all: &Blocks) -> Problems {
    let mut problems = Problems::new();
    let mut error = |code: &str, summary: String, detail: &str, name: &str| {
        problems.push(Problem::error(code, summary, detail).at(place(block, name)));
    };
    let origins: Vec<_> =
        ["backing", "clone", "source"].into_iter().filter(|name| block.datum(name).is_some()).collect();
    if let [first, second, ..] = origins[..] {
        let cure = "Keep one of them: what the image begins as, or what it is an overlay of.";
        error("conflicting-attributes", format!("`{first}` and `{second}` exclude each other"), cure, second);
    }
    let copied = origins.iter().copied().find(|name| *name != "backing");
    if origins.iter().all(|name| *name == "backing") && block.datum("size").is_none() {
        let cure = "Write the size that the guest is to see, like `size = \"40GiB\"`. Only an image with a `source` or a `clone` has one from there.";
        error("missing-attribute", "`size` is missing".to_owned(), cure, "size");
    }
    if let Some(name) = copied.filter(|_| block.text("allocation").is_some_and(|allocation| allocation != "sparse")) {
        let cure = "It takes the room of what it begins as: leave `allocation` out.";
        let summary = format!("an image with a `{name}` is not allocated beforehand");
        error("conflicting-attributes", summary, cure, "allocation");
    }
    for name in ["sha256", "source_size"] {
        if block.datum(name).is_some() && block.datum("source").is_none() {
            let cure = "It says what `source` must be: add that, or remove this.";
            error("conflicting-attributes", format!("`{name}` without `source` has no effect"), cure, name);
        }
    }
    if block.text("sha256").is_some_and(|digest| !media::is_digest(digest)) {
        let cure = "It has 64 hexadecimal digits in lower case, as sha256sum prints it.";
        error("invalid-value", "this is no SHA-256".to_owned(), cure, "sha256");
    }
    if block.datum("reflink").is_some() && block.datum("clone").is_none() {
        let cure = "It says how a `clone` is made: add that, or remove this.";
        error("conflicting-attributes", "`reflink` without `clone` has no effect".to_owned(), cure, "reflink");
    }
    if let (Some(true), Some(mode)) = (block.boolean("template"), block.mode("mode"))
        && mode.bits() & 0o222 != 0
    {
        let cure = "Nobody writes to a template: leave `mode` out (0440), or take the write bits away.";
        error("invalid-value", format!("the mode {mode} lets somebody write to a template"), cure, "mode");
    }
    let Some(base) = origin(block, all) else { return problems };
    if block.text("format").zip(base.text("format")).is_some_and(|(own, theirs)| own != theirs) {
        let cure = "A clone is a copy: give it the same format.";
        let summary = format!("{} is {}", base.address, base.text("format").unwrap_or_default());
        error("invalid-value", summary, cure, "format");
    }
    if base.datum("backing").is_some() {
        let cure =
            "A copy of an overlay is worth nothing by itself: make another overlay of the same base (`backing`).";
        error("invalid-value", format!("{} is an overlay", base.address), cure, "clone");
    }
    if let Some((size, whole)) = block.size("size").zip(base.size("size")).filter(|(size, whole)| size < whole) {
        let cure = "Give it at least that size: a copy is not cut off.";
        error("invalid-value", format!("{size} is less than {}, which has {whole}", base.address), cure, "size");
    }
    let there = hosts(base, all);
    if let Some(host) = hosts(block, all).into_iter().find(|host| !there.contains(host)) {
        let cure = "A clone is copied on its host: both are on the same hosts.";
        error("invalid-value", format!("{} is not on {host}", base.address), cure, "clone");
    }
    problems
}

/// Holds the file against what the block says of it, and takes from it what the block does not say.
pub(in crate::kinds) fn take_source(block: &mut Block, file: &SourceFile) -> Problems {
    let mut problems: Problems = file.fill(block, "source_size").into_iter().collect();
    if !problems.is_empty() {
        return problems;
    }
    let header = image_file::read_header(&file.head);
    let format = block.text("format").unwrap_or("raw");
    let source = block.text("source").unwrap_or_default();
    let doubt = match &header {
        Header::Raw if format == "qcow2" => Some("is no qcow2 image".to_owned()),
        Header::Raw => None,
        Header::Unreadable(why) => Some(format!("is a qcow2 image that Larder does not understand: {why}")),
        Header::Qcow2 { .. } if format != "qcow2" => Some(format!("is a qcow2 image, not {format}")),
        Header::Qcow2 { backing: Some(backing), .. } => {
            Some(format!("is an overlay of {backing:?}: on the host that would be whatever has that name there"))
        }
        Header::Qcow2 { needs, .. } => needs.first().map(|what| (*what).to_owned()),
    };
    if let Some(doubt) = doubt {
        let cure = match format == "qcow2" || matches!(header, Header::Raw) {
            _ if matches!(header, Header::Qcow2 { backing: Some(_), .. }) => {
                "Write it out whole first: `qemu-img convert -O qcow2 SOURCE WHOLE`."
            }
            true => "Correct `format`, or name another file.",
            false => "Set format = \"qcow2\", or name another file.",
        };
        problems
            .push(Problem::error("unsuitable-source", format!("{source} {doubt}"), cure).at(place(block, "source")));
        return problems;
    }
    let whole = match header {
        Header::Qcow2 { virtual_size, .. } => virtual_size,
        _ => Size(file.bytes),
    };
    match block.size("size") {
        Some(size) if size < whole => {
            let cure = format!("An image is not cut off: set size = \"{whole}\" or more, or leave it out.");
            let summary = format!("{source} has {whole}, which is more than {size}");
            problems.push(Problem::error("unsuitable-source", summary, cure).at(place(block, "size")));
        }
        Some(_) => {}
        None => match crate::kinds::image::check_size(whole) {
            Ok(()) => {
                block.attributes.insert("size".into(), Attribute::default_value(Datum::Size(whole)));
            }
            Err((why, _)) => {
                let cure = "Set `size` to the next multiple of 512: the rest is blank.";
                let summary = format!("{source} is no disk: {why}");
                problems.push(Problem::error("unsuitable-source", summary, cure).at(place(block, "source")));
            }
        },
    }
    problems
}

impl Wanted<'_> {
    /// Makes an image out of its source, or as a copy of another.
    pub(super) fn create_from(
        &self,
        verdict: &mut Verdict,
        scene: &Scene,
        hidden: Option<Hazard>,
        size: Size,
    ) -> Result<(), String> {
        if self.format() == "qcow2" {
            self.need_program(verdict, "qemu-img");
        }
        let made = match origin(self.block, scene.blocks) {
            Some(base) => self.copy(verdict, scene, base, size)?,
            None => Some(self.send(size)?),
        };
        let Some(Made { draft, bytes, against, want }) = made else {
            let lost = hidden.or_else(|| moved_away(self.block, scene, self.host, &self.path));
            verdict.hazards.extend(lost.or_else(|| self.gone(scene)));
            return Ok(());
        };
        let draft = draft
            .guarded([ground::absent(&self.path)])
            .guarded(self.room.guard.clone())
            .without_inverse("an image that a guest may have used is not deleted");
        verdict.needs.push(self.need(scene, bytes, size.max(Size(bytes)), 1)?);
        let remedy = self.unless_lost(scene, hidden, against, draft)?;
        verdict.differences.push(Difference::new("image", "absent", want, remedy));
        Ok(())
    }

    fn send(&self, size: Size) -> Result<Made, String> {
        let unseen = "the file that it is made from was not looked at";
        let source = self.block.text("source").ok_or(unseen)?;
        let bytes = self.block.size("source_size").ok_or(unseen)?;
        let sha256 = self.block.text("sha256").ok_or(unseen)?;
        let (owner, mode) = self.owner_and_mode();
        let (count, whole) = (bytes.0.to_string(), size.0.to_string());
        let words = ["upload_image", &self.path, self.format(), &whole, &owner, &mode, &count, sha256];
        let file = Upload { path: source.to_owned(), bytes: bytes.0, sha256: sha256.to_owned() };
        let what = format!("upload {source} to {} ({}, {size})", self.path, self.format());
        let draft = Draft::new("upload", what, Command::new(words).with_upload(file));
        let want = format!("{}, {size}, from {source} (sha256 {sha256})", self.format());
        Ok(Made { draft, bytes: bytes.0, against: None, want })
    }

    /// `None` where the image that is copied has to be waited for.
    fn copy(&self, verdict: &mut Verdict, scene: &Scene, base: &Block, size: Size) -> Result<Option<Made>, String> {
        let (at, guard, against) = match self.under(base, scene)? {
            Under::Later(why) => {
                verdict.standing = Standing::Later(why);
                return Ok(None);
            }
            Under::There { at, guard } => (at, guard, None),
            Under::Written { at, guard, host, by } => {
                let hazard = self.hazard(
                    HazardCode::InUse,
                    format!("{at} on {host} is open for writing: {by}. A copy that is made meanwhile is neither the one nor the other"),
                    "Stop the guest, then plan again.",
                );
                (at, guard, Some(hazard))
            }
        };
        let is_here = base.resource("volume") == self.block.resource("volume");
        let can = match is_here {
            true => reflink::read(scene.host(self.host), &self.room.directory)?,
            false => Some(false),
        };
        let wanted = self.block.text("reflink").unwrap_or("auto");
        let whole = image_file::read(scene.host(self.host), &at).ok().flatten().map(|file| file.allocated);
        let whole = whole.unwrap_or_else(|| super::origin::size(base, scene).map_or(0, |size| size.0));
        let (how, bytes) = match (wanted, can) {
            ("never", _) | ("auto", Some(false)) => ("every byte", whole),
            (_, Some(true)) => ("sharing its blocks", reserved("qcow2", Size(0), "sparse")),
            _ => ("sharing its blocks if the file system can", whole),
        };
        let against = against.or_else(|| {
            (wanted == "always" && can == Some(false)).then(|| {
                self.hazard(
                    HazardCode::Unsupported,
                    format!("blocks cannot be shared between {at} and {} on {}", self.path, self.host),
                    "Both must be in one volume, on xfs with reflink, btrfs or ocfs2. Or set reflink = \"auto\", which copies every byte where that is needed.",
                )
            })
        });
        let (owner, mode) = self.owner_and_mode();
        let whole_size = size.0.to_string();
        let words = ["clone_image", &self.path, self.format(), &whole_size, &owner, &mode, &at, wanted];
        let what = format!("copy {at} to {} ({}, {size}), {how}", self.path, self.format());
        let draft = Draft::new("clone", what, Command::new(words)).guarded(guard);
        let want = format!("{}, {size}, a copy of {}", self.format(), base.address);
        Ok(Some(Made { draft, bytes, against, want }))
    }

    /// What others are to be made of must come from somewhere.
    pub(super) fn nothing_to_copy(&self) -> Hazard {
        self.hazard(
            HazardCode::WrongSource,
            format!("{} is not on {}, and nothing says what the template holds", self.path, self.host),
            "Give it a `source` or a `clone`, or put the file there: it is adopted.",
        )
    }

    /// An image that was made from another file than the block names now: it is never made anew.
    pub(super) fn has_another_source(&self, previous: Option<&Block>) -> Option<Hazard> {
        let before = previous?.text("sha256")?;
        let now = self.block.text("sha256")?;
        let is_ignored = |name: &&str| self.block.lifecycle.ignore_changes.contains(*name);
        if before == now || ["source", "sha256"].iter().any(is_ignored) {
            return None;
        }
        Some(self.hazard(
            HazardCode::WrongSource,
            format!("{} on {} was made from a file with the sha256 {before}, and `source` has {now}", self.path, self.host),
            "An image is never made anew. Give the new one a block and a name of its own; or keep this one with lifecycle { ignore_changes = [\"source\"] }.",
        ))
    }
}

/// How an image is made.
struct Made {
    draft: Draft,
    /// What it takes of the room at once.
    bytes: u64,
    /// What speaks against it.
    against: Option<Hazard>,
    want: String,
}
