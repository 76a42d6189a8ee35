//! `iscsi_target`: a target of iSCSI that hosts log in to, now and at each boot.
//!
//! ```hcl
//! iscsi_target "array" {
//!   hosts   = [host.hv1, host.hv2]
//!   iqn     = "iqn.2026-01.lab.example:array"
//!   portals = ["10.0.0.5:3260"]
//!   chap {
//!     username = "larder"
//!     password = var.chap_password
//!   }
//! }
//! ```

use std::collections::BTreeMap;

use crate::model::block::{Attributes, NestedBlock};
use crate::model::{
    Attribute, Block, Blocks, Datum, Hazard, HazardCode, HostFacts, HostName, Place, Problem, Problems, Question,
};

use super::ask::iscsi::{self, Portal};
use super::ask::{device_names, multipath};
use super::attaching::{Attachment, Look};
use super::scene::Attached;
use super::schema::{AttributeSchema as A, BlockSchema, Schema, Type};
use super::verdict::Verdict;
use super::{Kind, Scene, host};

#[derive(Debug)]
pub struct IscsiTarget;

static SCHEMA: Schema = Schema {
    doc: "A target of iSCSI that hosts log in to, now and at each boot.",
    attributes: &[
        A::required("hosts", Type::Resources(&["host"]), "The hosts that log in."),
        A::required("iqn", Type::Text, "The name of the target, as the storage shows it."),
        A::required(
            "portals",
            Type::Texts,
            "Where it answers, ADDRESS:PORT or [ADDRESS]:PORT; without a port 3260. Each is logged in to.",
        ),
    ],
    blocks: &[BlockSchema {
        name: "chap",
        many: false,
        attributes: &[
            A::required("username", Type::Text, "Who logs in."),
            A::required(
                "password",
                Type::Text,
                "Written to the records of iscsid, which only root can read: one line, without blanks at its ends.",
            )
            .secret(),
            A::optional("username_in", Type::Text, "By whom the target shows who it is; with `password_in`."),
            A::optional("password_in", Type::Text, "The password of the target; another one than `password`.").secret(),
        ],
        doc: "Credentials. Without it new records say what iscsid.conf says, and others stay as they are.",
    }],
};

impl Kind for IscsiTarget {
    fn name(&self) -> &'static str {
        "iscsi_target"
    }

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn complete(&self, block: &mut Block, _all: &Blocks) -> Problems {
        let mut problems = check(block);
        problems.extend(host::named_twice(block));
        let portals: Option<Vec<_>> = block.texts("portals").iter().map(|text| Portal::parse(text)).collect();
        if let (Some(portals), Some(attribute)) = (portals, block.attributes.get_mut("portals"))
            && matches!(attribute.value, Datum::Texts(_))
        {
            let value = Datum::Texts(portals.iter().map(ToString::to_string).collect());
            *attribute = Attribute { value, ..attribute.clone() };
        }
        problems
    }

    fn hosts(&self, block: &Block, _all: &Blocks) -> Vec<HostName> {
        block.resources("hosts").iter().map(host::name_of).collect()
    }

    fn identities(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        block.text("iqn").map(str::to_owned).into_iter().collect()
    }

    fn questions(&self, block: &Block, _all: &Blocks, _host: &HostName) -> Vec<Question> {
        let Some(wanted) = Attachment::of(block) else { return Vec::new() };
        let mut all = vec![
            iscsi::host_question(),
            iscsi::sessions_question(&wanted.iqn),
            multipath::question(),
            device_names::question(),
        ];
        for portal in &wanted.portals {
            all.push(iscsi::record_question(&wanted.iqn, portal));
            all.push(iscsi::use_question(&wanted.iqn, portal));
            let passwords = wanted.passwords();
            all.extend(passwords.map(|passwords| iscsi::password_question(&wanted.iqn, portal, &passwords)));
        }
        all
    }

    fn judge(&self, block: &Block, scene: &Scene) -> BTreeMap<HostName, Verdict> {
        let hosts = self.hosts(block, scene.blocks);
        let judged = hosts.iter().map(|host| {
            let verdict = Look::at(block, scene, host).and_then(Look::judge);
            (host.clone(), verdict.unwrap_or_else(Verdict::unknown))
        });
        let mut verdicts: BTreeMap<_, _> = judged.collect();
        tell_namesakes(block, scene, &hosts, &mut verdicts);
        verdicts
    }

    fn unmake(&self, block: &Block, scene: &Scene, host: &HostName) -> Verdict {
        Look::at(block, scene, host).and_then(Look::unmake).unwrap_or_else(Verdict::unknown)
    }

    fn attached(&self, block: &Block, facts: &HostFacts) -> Option<Result<Attached, String>> {
        Some(Attachment::of(block)?.attached(facts))
    }

    fn brings_disks(&self, block: &Block, scene: &Scene, host: &HostName) -> bool {
        let Some(wanted) = Attachment::of(block) else { return false };
        self.hosts(block, scene.blocks).contains(host)
            && iscsi::read_sessions(scene.host(host), &wanted.iqn).is_ok_and(|sessions| {
                let is_there = |portal: &Portal| sessions.iter().any(|session| session.portals.contains(portal));
                !wanted.portals.iter().all(is_there)
            })
    }

    fn functions(&self) -> &'static [(&'static str, &'static str)] {
        &iscsi::STEP_FUNCTIONS
    }
}

// ---- the block -------------------------------------------------------------------------------------------------------

/// The longest name of a target or initiator (RFC 3720), and the longest user or password that iscsid reads, in bytes.
const LONGEST: usize = 223;

fn check(block: &Block) -> Problems {
    let mut problems = Problems::new();
    let mut error = |code: &str, summary: String, detail: &str, place: Option<&Place>| {
        problems.push(Problem::error(code, summary, detail).at(place.or(block.place.as_deref())));
    };
    if let Some(iqn) = block.text("iqn") {
        let is_name = iqn.len() <= LONGEST
            && ["iqn.", "eui.", "naa."].iter().any(|prefix| iqn.len() > prefix.len() && iqn.starts_with(prefix))
            && iqn.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-' | b'_'));
        if !is_name {
            error(
                "invalid-value",
                "this is no name of a target".to_owned(),
                "It begins with `iqn.`, `eui.` or `naa.` and has letters, digits, dots, colons and hyphens: \"iqn.2026-01.lab.example:array\".",
                block.place_of("iqn"),
            );
        }
    }
    let place = block.place_of("portals");
    if matches!(block.datum("portals"), Some(Datum::Texts(portals)) if portals.is_empty()) {
        error("invalid-value", "no portal is named".to_owned(), "Name at least one, like \"10.0.0.5:3260\".", place);
    }
    let mut seen = Vec::new();
    for text in block.texts("portals") {
        match Portal::parse(text) {
            None => error(
                "invalid-value",
                format!("{text:?} is no portal"),
                "Write the address and the port, \"10.0.0.5:3260\" or \"[fd00::1]:3260\". Names are not looked up: the storage must be found before any name server is.",
                place,
            ),
            Some(portal) if seen.contains(&portal) => {
                error("invalid-value", format!("the portal {portal} stands twice here"), "Remove one.", place);
            }
            Some(portal) => seen.push(portal),
        }
    }
    if let Some(chap) = block.nested("chap") {
        check_chap(chap, &mut error);
    }
    problems
}

fn check_chap(chap: &NestedBlock, error: &mut impl FnMut(&str, String, &str, Option<&Place>)) {
    let place = |name: &str| chap.place_of(name).or(chap.place.as_deref());
    for name in ["username", "password", "username_in", "password_in"] {
        let Some(text) = chap.text(name) else { continue };
        let is_sound =
            !text.is_empty() && text.len() <= LONGEST && text.trim() == text && !text.chars().any(char::is_control);
        if !is_sound {
            error(
                "invalid-value",
                format!("this {name} cannot be kept in a record of iscsid"),
                "It has 1 to 223 bytes on one line, without blanks at its ends.",
                place(name),
            );
        }
    }
    let has = |name: &str| chap.attributes.contains_key(name);
    if has("username_in") != has("password_in") {
        error(
            "missing-attribute",
            "the target needs both a user and a password".to_owned(),
            "Set `username_in` and `password_in`, or neither.",
            chap.place.as_deref(),
        );
    }
    if chap.text("password").is_some_and(|password| chap.text("password_in") == Some(password)) {
        error(
            "invalid-value",
            "the target has the password of the host".to_owned(),
            "Whoever hears one login could answer the other: give the target another password.",
            place("password_in"),
        );
    }
}

/// Hosts that call themselves by one name: the target takes them for one, and lets each end the sessions of the other.
fn tell_namesakes(block: &Block, scene: &Scene, hosts: &[HostName], verdicts: &mut BTreeMap<HostName, Verdict>) {
    let name_of = |host: &HostName| iscsi::read_host(scene.host(host)).ok().and_then(|initiator| initiator.name);
    for host in hosts {
        let Some(name) = name_of(host) else { continue };
        let is_earlier =
            |other: &&HostName| hosts.iter().position(|one| one == *other) < hosts.iter().position(|one| one == host);
        let others = scene.facts.hosts.keys().filter(|other| *other != host && name_of(other).as_ref() == Some(&name));
        // Each pair is told once.
        let others: Vec<_> =
            others.filter(|other| !hosts.contains(other) || is_earlier(other)).map(ToString::to_string).collect();
        let (false, Some(verdict)) = (others.is_empty(), verdicts.get_mut(host)) else { continue };
        verdict.hazards.push(Hazard::new(
            HazardCode::SameInitiator,
            &block.address,
            Some(host),
            format!("{host} and {} both call themselves {name}", others.join(", ")),
            format!(
                "A copied machine keeps the name of the first. Log out there, write a new one, `echo \"InitiatorName=$(iscsi-iname)\" >/etc/iscsi/initiatorname.iscsi`, restart iscsid, and tell the storage the new name of {host}."
            ),
        ));
    }
}
