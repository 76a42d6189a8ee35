//! `media_share`: a directory of a host with installation media that Samba serves, with the users who may log in.
//!
//! ```hcl
//! media_share "iso" {
//!   host = host.nas
//!   path = "/srv/media"
//!   user {
//!     name     = "larder"
//!     password = var.media_password
//!   }
//! }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::model::block::Attributes;
use crate::model::{Block, Blocks, Datum, Guard, HostFacts, HostName, Place, Problem, Problems, Question};

use super::ask::{media_listing, path, people, samba, space};
use super::mounting::check_reach;
use super::scene::{Room, RoomState};
use super::schema::{AttributeSchema as A, BlockSchema, Schema, Type};
use super::sharing::{Look, Sharing};
use super::verdict::Verdict;
use super::{Kind, Media, Scene, Shown, ground, host};

#[derive(Debug)]
pub struct MediaShare;

static SCHEMA: Schema = Schema {
    doc: "A directory with installation media that a host serves by Samba.",
    attributes: &[
        A::required("host", Type::Resource(&["host"]), "The host that serves it."),
        A::required("path", Type::Path, "The directory. It is made if it is missing, and stays when the share goes."),
        A::optional("share", Type::Text, "What clients call it; default NAME."),
        A::optional("writable", Type::Bool, "Whether the users may write; default false."),
        A::optional(
            "owner",
            Type::Text,
            "Owner of the directory, by name or number; default: none for one that is there, for a new one root, or the first user where it is writable.",
        ),
        A::optional("group", Type::Text, "Group of the directory, by name or number."),
        A::optional("mode", Type::Mode, "Mode of the directory."),
    ],
    blocks: &[BlockSchema {
        name: "user",
        many: true,
        attributes: &[
            A::required(
                "name",
                Type::Text,
                "A user of the system; one that is missing is made, cannot log in there, and stays when the share goes.",
            ),
            A::required("password", Type::Text, "What the user logs in with. It goes into Samba's own database only.")
                .secret(),
        ],
        doc: "Who may log in: at least one.",
    }],
};

impl Kind for MediaShare {
    fn name(&self) -> &'static str {
        "media_share"
    }

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn complete(&self, block: &mut Block, _all: &Blocks) -> Problems {
        block.default_to("share", default_share(block));
        block.default_to("writable", Datum::Bool(false));
        check(block)
    }

    fn contradictions(&self, all: &Blocks) -> Problems {
        let mut first = BTreeMap::new();
        let mut problems = Problems::new();
        for block in all.values().filter(|block| block.address.is(self.name())) {
            let Some(host) = host_of(block) else { continue };
            for user in block.blocks.iter().filter(|nested| nested.name == "user") {
                let (Some(name), Some(password)) = (user.text("name"), user.text("password")) else { continue };
                let (known, other) = *first.entry((host.clone(), name)).or_insert((password, &block.address));
                if known == password || *other == block.address {
                    continue;
                }
                let place = user.place_of("name").or(user.place.as_deref()).or(block.place.as_deref());
                problems.push(
                    Problem::error(
                        "invalid-value",
                        format!("{other} has another password for {name} on {host}"),
                        "A user has one password on a host: give both shares the same, or users of their own.",
                    )
                    .at(place),
                );
            }
        }
        problems
    }

    fn hosts(&self, block: &Block, _all: &Blocks) -> Vec<HostName> {
        host_of(block).into_iter().collect()
    }

    fn paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        let file = block.text("share").map(samba::share_file);
        block.text("path").map(str::to_owned).into_iter().chain(file).collect()
    }

    fn default_place(&self, block: &Block, _all: &Blocks) -> Option<(&'static str, Datum)> {
        Some(("share", default_share(block)))
    }

    fn needs_paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        block.text("path").map(str::to_owned).into_iter().collect()
    }

    fn questions(&self, block: &Block, _all: &Blocks, _host: &HostName) -> Vec<Question> {
        let Some(sharing) = Sharing::of(block) else { return Vec::new() };
        let mut all = vec![
            path::question(&sharing.path),
            space::question(&sharing.path),
            media_listing::question(&sharing.path),
            samba::question(),
            samba::configuration_question(),
            path::question(&sharing.file()),
            samba::file_question(&sharing.file()),
            samba::share_question(&sharing.share),
            samba::connections_question(&sharing.share),
        ];
        all.extend(ground::people_questions(block));
        for user in &sharing.users {
            all.extend(people::user_question(&user.name));
            all.extend(people::group_question(&user.name));
            all.push(samba::account_question(&user.name));
            all.push(samba::claim_question(&user.name));
            all.push(people::access_question(&user.name, &sharing.path, !sharing.writable));
            all.extend(sharing.login(user).map(|login| samba::login_question(&login)));
        }
        all
    }

    fn judge(&self, block: &Block, scene: &Scene) -> BTreeMap<HostName, Verdict> {
        let judged = self.hosts(block, scene.blocks).into_iter().map(|host| {
            let verdict = Look::at(block, scene, &host).and_then(Look::judge);
            (host.clone(), verdict.unwrap_or_else(Verdict::unknown))
        });
        judged.collect()
    }

    fn unmake(&self, block: &Block, scene: &Scene, host: &HostName) -> Verdict {
        Look::at(block, scene, host).and_then(Look::unmake).unwrap_or_else(Verdict::unknown)
    }

    fn media(&self, block: &Block, all: &Blocks) -> Option<Media> {
        let sharing = Sharing::of(block)?;
        let host = block.resource("host")?;
        // A host that is this machine has no address, and one that is reached through a tunnel has one that means nothing elsewhere.
        let is_loopback = |address: &str| {
            address == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        };
        let address = all.get(host).and_then(|host| host.text("address")).filter(|address| !is_loopback(address));
        let address = address.map(str::to_owned);
        Some(Media {
            directory: sharing.path.clone(),
            server: address.unwrap_or_else(|| host::name_of(host).to_string()),
            share: sharing.share.clone(),
            username: sharing.users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    fn shows(&self, block: &Block) -> Option<Shown> {
        let Sharing { share, path: directory, .. } = Sharing::of(block)?;
        Some(Shown { share, path: String::new(), directory, served_by: Some("smbd") })
    }

    // Whoever opens a file through the share has it open here as a process of Samba's; others may use the directory itself.
    fn used_paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        block.text("path").map(str::to_owned).into_iter().collect()
    }

    fn room(&self, block: &Block, scene: &Scene, host: &HostName) -> Option<Room> {
        let directory = Sharing::of(block)?.path;
        let (state, guard) =
            directory_state(block, &directory, scene, host).unwrap_or_else(|why| (RoomState::Unknown(why), Vec::new()));
        Some(Room { directory, state, shared: false, volatile: false, cannot_reserve: None, guard })
    }

    fn told(&self, block: &Block, facts: &HostFacts) -> Option<String> {
        let sharing = Sharing::of(block)?;
        let said = sharing.users.iter().filter_map(|user| {
            let said = samba::read_login(facts, &sharing.login(user)?).ok()?;
            Some((user.name.clone(), said.message().to_owned()))
        });
        let said: Vec<_> = said.collect();
        let one = said.first().map(|(_, message)| message.clone())?;
        match said.iter().all(|(_, message)| *message == one) {
            true => Some(one),
            false => {
                Some(said.iter().map(|(user, message)| format!("{user}: {message}")).collect::<Vec<_>>().join("; "))
            }
        }
    }

    fn functions(&self) -> &'static [(&'static str, &'static str)] {
        &samba::STEP_FUNCTIONS
    }
}

/// The host of a share.
pub(in crate::kinds) fn host_of(block: &Block) -> Option<HostName> {
    block.resource("host").map(host::name_of)
}

/// What media find in the directory of a share, and what must hold while they are written there.
fn directory_state(
    block: &Block,
    directory: &str,
    scene: &Scene,
    host: &HostName,
) -> Result<(RoomState, Vec<Guard>), String> {
    let ground = scene.ground(host)?;
    check_reach(&ground, scene.host(host), directory)?;
    let lineage = path::read(scene.host(host), directory)?;
    Ok(match lineage.last() {
        // Another directory in its place is another one to look at.
        Some(inode) if lineage.obstacle().is_none() => {
            let what = format!("the directory {directory}");
            let ask = Question::new(["stat", "-c", "%d %i", "--", directory]);
            let out = format!("{} {}\n", inode.device, inode.inode);
            (RoomState::Open { look_in: directory.to_owned() }, vec![Guard { what, ask, status: 0, out }])
        }
        Some(_) => (RoomState::Unknown(format!("{directory} is no directory of its own")), Vec::new()),
        None => (RoomState::Later(format!("{} is made first", block.address)), Vec::new()),
    })
}

fn default_share(block: &Block) -> Datum {
    Datum::text(block.address.default_name())
}

/// The longest password that smbpasswd(8) reads whole, in bytes.
const LONGEST_PASSWORD: usize = 250;

fn check(block: &Block) -> Problems {
    let mut problems = ground::check_people(block);
    let mut error = |code: &str, summary: String, detail: &str, place: Option<&Place>| {
        problems.push(Problem::error(code, summary, detail).at(place.or(block.place.as_deref())));
    };
    if let Some(path) = block.text("path") {
        if ground::belongs_to_the_system(path) {
            let summary = format!("{path} belongs to the system");
            error("system-directory", summary, "Choose a directory of its own.", block.place_of("path"));
        }
        if path.contains(['%', '"', '\\']) || path.chars().any(char::is_control) || path.ends_with(' ') {
            error(
                "invalid-value",
                "smb.conf cannot hold this path as it is".to_owned(),
                "Choose a path without per cent signs, quotes, backslashes, control characters, and blanks at its end.",
                block.place_of("path"),
            );
        }
    }
    if let Some(share) = block.text("share") {
        let is_taken = ["global", "homes", "printers", "print$", "ipc$", "admin$"]
            .iter()
            .any(|taken| share.eq_ignore_ascii_case(taken));
        let is_name = (1..=80).contains(&share.len())
            && share.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '$'))
            && !share.starts_with([' ', '-', '.'])
            && !share.ends_with([' ', '.']);
        if is_taken {
            let summary = format!("{share} means something else to Samba");
            error("invalid-value", summary, "Give the share another name.", block.place_of("share"));
        } else if !is_name {
            error(
                "invalid-value",
                "this is no name of a share".to_owned(),
                "A name has up to 80 letters, digits, blanks and `.`, `_`, `-`, `$`, and begins with none of the signs.",
                block.place_of("share"),
            );
        }
    }
    let users: Vec<_> = block.blocks.iter().filter(|nested| nested.name == "user").collect();
    if users.is_empty() {
        error(
            "missing-block",
            "nobody may log in".to_owned(),
            "Add a block for each user: `user { ... }` with `name` and `password`.",
            None,
        );
    }
    let mut names = BTreeSet::new();
    for user in users {
        let place = |name: &str| user.place_of(name).or(user.place.as_deref());
        if let Some(name) = user.text("name") {
            let is_name = (1..=32).contains(&name.len())
                && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
            if !is_name {
                error(
                    "invalid-value",
                    "this is no name of a user".to_owned(),
                    "A name begins with a letter or `_` and has up to 32 letters, digits and `_`, `-`, `.`.",
                    place("name"),
                );
            } else if name == "root" {
                error(
                    "invalid-value",
                    "root is not served by shares".to_owned(),
                    "Name a user who is nobody else: Larder makes one that is missing.",
                    place("name"),
                );
            } else if !names.insert(name) {
                error("invalid-value", format!("the user {name} stands twice here"), "Remove one.", place("name"));
            }
        }
        if let Some(password) = user.text("password") {
            if password.is_empty() || password.chars().any(char::is_control) {
                error(
                    "invalid-value",
                    "the password is empty or has control characters".to_owned(),
                    "It must fit on one line.",
                    place("password"),
                );
            } else if password.len() > LONGEST_PASSWORD {
                error(
                    "invalid-value",
                    "the password is too long".to_owned(),
                    "smbpasswd reads 250 bytes and drops the rest.",
                    place("password"),
                );
            }
        }
    }
    problems
}
