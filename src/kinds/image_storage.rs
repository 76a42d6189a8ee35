//! `image_storage`: a logical storage, a set of member hosts over which its volumes spread. On each member it is one
//! directory, the parent of default mount points.
//!
//! ```hcl
//! image_storage "main" {
//!   hosts = [host.hv1, host.hv2]
//!   owner = "libvirt-qemu"
//! }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::model::block::Attributes;
use crate::model::{Block, Blocks, Command, Datum, HostName, Problem, Problems, Question};

use super::ask::path;
use super::ground;
use super::schema::{AttributeSchema as A, Schema, Type};
use super::verdict::{Difference, Draft, Remedy, Standing, Verdict};
use super::{Kind, Scene, host, kind_of};

#[derive(Debug)]
pub struct ImageStorage;

static SCHEMA: Schema = Schema {
    doc: "A logical storage: the hosts that have access to its volumes.",
    attributes: &[
        A::required("hosts", Type::Resources(&["host"]), "The member hosts."),
        A::optional(
            "root",
            Type::Path,
            "Parent of default mount points; default /var/lib/larder/storages/NAME. Under `ignore_changes` it is not made before a volume needs it.",
        ),
        A::optional("owner", Type::Text, "Owner of its volumes, by name or number, where they name none."),
        A::optional("group", Type::Text, "Group of its volumes, by name or number, where they name none."),
        A::optional("mode", Type::Mode, "Mode of its volumes where they name none."),
    ],
    blocks: &[],
};

impl Kind for ImageStorage {
    fn name(&self) -> &'static str {
        "image_storage"
    }

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn default_place(&self, block: &Block, _all: &Blocks) -> Option<(&'static str, Datum)> {
        Some(("root", default_root(block)))
    }

    fn complete(&self, block: &mut Block, _all: &Blocks) -> Problems {
        let default = default_root(block);
        block.default_to("root", default);
        let mut problems = ground::check_people(block);
        if ground::belongs_to_the_system(root(block)) {
            let summary = format!("{} belongs to the system", root(block));
            problems.push(
                Problem::error("system-directory", summary, "Choose a directory of its own.")
                    .at(block.place_of("root")),
            );
        }
        problems.extend(host::named_twice(block));
        problems
    }

    fn hosts(&self, block: &Block, _all: &Blocks) -> Vec<HostName> {
        block.resources("hosts").iter().map(host::name_of).collect()
    }

    fn paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        block.text("root").map(str::to_owned).into_iter().collect()
    }

    fn questions(&self, block: &Block, _all: &Blocks, _host: &HostName) -> Vec<Question> {
        vec![path::question(root(block)), path::entries_question(root(block))]
    }

    fn judge(&self, block: &Block, scene: &Scene) -> BTreeMap<HostName, Verdict> {
        let hosts = self.hosts(block, scene.blocks).into_iter();
        hosts.map(|host| (host.clone(), judge_host(block, scene, &host).unwrap_or_else(Verdict::unknown))).collect()
    }

    fn unmake(&self, block: &Block, scene: &Scene, host: &HostName) -> Verdict {
        unmake_host(block, scene, host).unwrap_or_else(Verdict::unknown)
    }
}

fn default_root(block: &Block) -> Datum {
    Datum::text(format!("/var/lib/larder/storages/{}", block.address.default_name()))
}

/// The directory that a storage has on each member.
pub fn root(block: &Block) -> &str {
    block.text("root").unwrap_or("/var/lib/larder/storages")
}

fn judge_host(block: &Block, scene: &Scene, host: &HostName) -> Result<Verdict, String> {
    let facts = scene.host(host);
    let _ground = scene.ground(host)?;
    let mut verdict = Verdict::default();
    if block.lifecycle.ignore_changes.contains("root") {
        verdict.standing = Standing::Present; // the members are all that there is to it
        return Ok(verdict);
    }
    let lineage = path::read(facts, root(block))?;
    if let Some(hazard) = ground::obstacle(&lineage, &block.address, host) {
        verdict.standing = Standing::Present;
        verdict.hazards.push(hazard);
        return Ok(verdict);
    }
    if lineage.exists() {
        verdict.standing = Standing::Present;
        verdict.observed.insert("directory".to_owned(), "present".to_owned());
        return Ok(verdict);
    }
    ground::remember_made(&mut verdict, &lineage);
    let remedy = Remedy::Run(vec![ground::make_directory(&lineage)]);
    verdict.differences.push(Difference::new("directory", "absent", root(block), remedy));
    Ok(verdict)
}

/// The directories that were made for the storage go, unless something stays in them: then they stay as well. What cannot be
/// seen beforehand, rmdir(1) refuses.
fn unmake_host(block: &Block, scene: &Scene, host: &HostName) -> Result<Verdict, String> {
    let facts = scene.host(host);
    let lineage = path::read(facts, root(block))?;
    let mut verdict = Verdict::default();
    let made = ground::made_for_it(scene, &block.address, host);
    if !lineage.exists() || made.is_empty() {
        return Ok(verdict);
    }
    let entries = path::read_entries(facts, root(block))?;
    if !entries.is_empty() {
        let going = removed_by_others(block, scene, host);
        let stays = |path: &str| !going.contains(path) || scene.stays(path, host);
        if entries.iter().any(|entry| stays(&format!("{}/{entry}", root(block).trim_end_matches('/')))) {
            return Ok(verdict);
        }
    }
    verdict.standing = Standing::Present;
    let words = ["remove_empty_directories".to_owned()].into_iter().chain(made);
    let draft =
        Draft::new("rmdir", format!("remove the directory {} if nothing lies in it", root(block)), Command::new(words))
            .undone_by(Command::new(["mkdir", "-p", "--", root(block)]));
    verdict.differences.push(Difference::new("directory", "present", "absent", Remedy::Run(vec![draft])));
    Ok(verdict)
}

/// The directories that go with the volumes of the storage.
fn removed_by_others(block: &Block, scene: &Scene, host: &HostName) -> BTreeSet<String> {
    let volumes = scene.blocks.values().filter(|other| other.resource("storage") == Some(&block.address));
    let verdicts = volumes.filter_map(|volume| Some(kind_of(&volume.address)?.unmake(volume, scene, host)));
    let removed = verdicts.flat_map(|verdict| {
        let commands = verdict.drafts().map(|draft| draft.command.argv.clone()).collect::<Vec<_>>();
        commands
            .into_iter()
            .filter(|argv| argv.first().is_some_and(|word| word == "remove_empty_directories"))
            .flatten()
    });
    removed.collect()
}
