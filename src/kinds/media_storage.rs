//! `media_storage`: a CIFS share with installation media, mounted on its hosts.
//!
//! ```hcl
//! media_storage "iso" {
//!   hosts    = [host.hv1, host.hv2]
//!   server   = "10.0.0.5"
//!   share    = "media"
//!   username = "larder"
//!   password = var.media_password
//! }
//! ```

use std::collections::BTreeMap;

use crate::model::block::Attributes;
use crate::model::{Block, Blocks, Datum, HostFacts, HostName, Problems, Question};

use super::ask::samba::{self, LoggedIn, Login};
use super::ask::{media_listing, path, people, selinux, space};
use super::mounting::{
    Cifs, Look, Source, check_mount, check_network, cifs, credentials_question, mount_point, renewal_question,
};
use super::scene::{Room, RoomState};
use super::schema::{AttributeSchema as A, Schema, Type};
use super::verdict::Verdict;
use super::{Kind, Media, Scene, Shown, ground, host};

#[derive(Debug)]
pub struct MediaStorage;

static SCHEMA: Schema = Schema {
    doc: "A repository of installation media: a CIFS share that is mounted on hosts.",
    attributes: &[
        A::required("hosts", Type::Resources(&["host"]), "The hosts that mount it."),
        cifs::SERVER,
        cifs::SHARE,
        cifs::PATH,
        cifs::USERNAME,
        cifs::PASSWORD,
        cifs::DOMAIN,
        cifs::VERSION,
        A::optional("mount_point", Type::Path, "The same on every host; default /var/lib/larder/media/NAME."),
        A::optional("writable", Type::Bool, "Default false: mounted read-only."),
        A::optional("owner", Type::Text, "Whose the files look, by name or number; default: the qemu user."),
        A::optional("group", Type::Text, "The group that the files show, by name or number; default: the qemu user's."),
        A::optional(
            "mode",
            Type::Mode,
            "The mode that directories show, and files without execution; default \"0770\".",
        ),
        A::optional("options", Type::Texts, "Mount options, added to the kind's own."),
        A::optional(
            "persist",
            Type::Text,
            "What mounts it at boot: \"fstab\" (default), \"systemd\" (a mount unit) or \"none\".",
        )
        .one_of(&["fstab", "systemd", "none"]),
    ],
    blocks: &[],
};

impl Kind for MediaStorage {
    fn name(&self) -> &'static str {
        "media_storage"
    }

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn complete(&self, block: &mut Block, _all: &Blocks) -> Problems {
        block.default_to("mount_point", default_mount_point(block));
        block.default_to("version", Datum::text(cifs::DEFAULT_VERSION));
        block.default_to("writable", Datum::Bool(false));
        block.default_to("persist", Datum::text("fstab"));
        let mut problems = check_network(block);
        problems.extend(check_mount(block));
        problems.extend(host::named_twice(block));
        problems
    }

    fn hosts(&self, block: &Block, _all: &Blocks) -> Vec<HostName> {
        block.resources("hosts").iter().map(host::name_of).collect()
    }

    fn paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        block.text("mount_point").map(str::to_owned).into_iter().collect()
    }

    fn default_place(&self, block: &Block, _all: &Blocks) -> Option<(&'static str, Datum)> {
        Some(("mount_point", default_mount_point(block)))
    }

    fn identities(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        std::iter::once(mount_point(block).to_owned()).chain(source(block).map(|source| source.shown())).collect()
    }

    fn needs_paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        vec![mount_point(block).to_owned()]
    }

    fn questions(&self, block: &Block, _all: &Blocks, _host: &HostName) -> Vec<Question> {
        let at = mount_point(block);
        let mut all = vec![
            path::question(at),
            path::entries_question(at),
            path::attributes_question(at),
            space::question(at),
            media_listing::question(at),
        ];
        all.extend(ground::people_questions(block));
        all.extend(source(block).and_then(|source| credentials_question(&block.address, &source)));
        all.extend(source(block).and_then(|source| renewal_question(block, &source)));
        all.extend(source(block).and_then(|source| source.selinux_boolean()).map(selinux::question));
        all.extend(login(block).map(|login| samba::client_login_question(&login)));
        // Asked as both users that distributions have; a host without them says no, and that answer is not used.
        let reads_only = block.boolean("writable") != Some(true);
        all.extend(["libvirt-qemu", "qemu"].map(|user| people::access_question(user, at, reads_only)));
        all
    }

    fn judge(&self, block: &Block, scene: &Scene) -> BTreeMap<HostName, Verdict> {
        let judged = self.hosts(block, scene.blocks).into_iter().map(|host| {
            let verdict = Look::at_or_broken(block, source, scene, &host).and_then(|look| look.judge());
            (host.clone(), verdict.unwrap_or_else(Verdict::unknown))
        });
        judged.collect()
    }

    fn unmake(&self, block: &Block, scene: &Scene, host: &HostName) -> Verdict {
        Look::at(block, source, scene, host).and_then(|look| look.unmake()).unwrap_or_else(Verdict::unknown)
    }

    fn used_paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        vec![mount_point(block).to_owned()]
    }

    fn media(&self, block: &Block, _all: &Blocks) -> Option<Media> {
        let text = |name: &str| block.text(name).unwrap_or_default().to_owned();
        Some(Media {
            directory: mount_point(block).to_owned(),
            server: text("server"),
            share: text("share"),
            username: text("username"),
        })
    }

    fn shows(&self, block: &Block) -> Option<Shown> {
        Shown::of(&source(block)?, mount_point(block))
    }

    fn room(&self, block: &Block, scene: &Scene, host: &HostName) -> Option<Room> {
        let directory = mount_point(block).to_owned();
        let look = Look::at_or_broken(block, source, scene, host);
        let (state, guard) = match look.map(|look| (look.room_state(), look.room_guard())) {
            // Without a guard something could be written while something else is mounted, or nothing.
            Ok((RoomState::Open { .. }, guard)) if guard.is_empty() => {
                (RoomState::Later(format!("the mount on {directory} is changed first")), guard)
            }
            Ok(found) => found,
            Err(why) => (RoomState::Unknown(why), Vec::new()),
        };
        Some(Room { directory, state, shared: true, volatile: false, cannot_reserve: None, guard })
    }

    fn told(&self, block: &Block, facts: &HostFacts) -> Option<String> {
        let said = samba::read_client_login(facts, &login(block)?).ok()?;
        (said != LoggedIn::Yes).then(|| said.message().to_owned())
    }
}

/// How a host would log in to see why nothing is mounted.
fn login(block: &Block) -> Option<Login<'_>> {
    Some(Login {
        directory: mount_point(block),
        server: block.text("server")?,
        share: block.text("share")?,
        user: block.text("username")?,
        password: block.text("password")?,
        domain: block.text("domain"),
    })
}

fn default_mount_point(block: &Block) -> Datum {
    Datum::text(format!("/var/lib/larder/media/{}", block.address.default_name()))
}

fn source(block: &Block) -> Option<Source> {
    let text = |name: &str| block.text(name).map(str::to_owned);
    Some(Source::Cifs(Cifs {
        server: text("server")?,
        share: text("share")?,
        path: text("path").unwrap_or_default(),
        username: text("username")?,
        password: text("password"),
        domain: text("domain"),
        version: text("version")?,
        reads_only: block.boolean("writable") != Some(true),
    }))
}
