//! A target that a host logs in to: what of it the host has, what it is to have, and every step between. Which block says it the kind
//! knows.

use std::rc::Rc;

use crate::model::block::Attributes;
use crate::model::{Address, Block, Hazard, HazardCode, HostFacts, HostName};

use super::Scene;
use super::ask::iscsi::{self, Initiator, Portal, Session};
use super::ground::Ground;
use super::scene::{Attached, AttachedDisk};
use super::verdict::{Standing, Verdict};

mod leave;
mod paths;
mod portal;
mod service;

/// What the block says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kinds) struct Attachment {
    pub(in crate::kinds) iqn: String,
    pub(in crate::kinds) portals: Vec<Portal>,
    chap: Option<Chap>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Chap {
    username: String,
    /// What stands for the password; `None` in a block of the state.
    password: Option<String>,
    username_in: String,
    password_in: Option<String>,
}

impl Attachment {
    pub(in crate::kinds) fn of(block: &Block) -> Option<Self> {
        let text = |name: &str| Some(block.nested("chap")?.text(name)?.to_owned());
        let chap = text("username").map(|username| Chap {
            username,
            password: text("password"),
            username_in: text("username_in").unwrap_or_default(),
            password_in: text("password_in"),
        });
        let portals = block.texts("portals").iter().map(|text| Portal::parse(text));
        Some(Attachment { iqn: block.text("iqn")?.to_owned(), portals: portals.collect::<Option<_>>()?, chap })
    }

    /// What records are to hold: the password of the host and that of the target, empty where there is none.
    pub(in crate::kinds) fn passwords(&self) -> Option<[String; 2]> {
        let chap = self.chap.as_ref()?;
        Some([chap.password.clone()?, chap.password_in.clone().unwrap_or_default()])
    }

    /// How it stands on a host, for those who look.
    pub(in crate::kinds) fn attached(&self, facts: &HostFacts) -> Result<Attached, String> {
        let sessions = iscsi::read_sessions(facts, &self.iqn)?;
        let mut disks: Vec<AttachedDisk> = Vec::new();
        for (session, disk) in sessions.iter().flat_map(|one| one.disks.iter().map(move |disk| (one, disk))) {
            let works = usize::from(session.is_logged_in() && disk.state == "running");
            let wwn = disk.wwn();
            match disks.iter_mut().find(|known| wwn.is_some() && known.wwn == wwn) {
                Some(known) => {
                    known.paths += 1;
                    known.working_paths += works;
                }
                None => disks.push(AttachedDisk {
                    path: disk.lasting_name(),
                    wwn,
                    size: disk.size.0,
                    paths: 1,
                    working_paths: works,
                }),
            }
        }
        let portals = self.portals.iter().map(|portal| (portal.to_string(), state_of(&sessions, portal))).collect();
        Ok(Attached { name: self.iqn.clone(), portals, disks })
    }
}

/// The sessions with a portal.
fn with<'a>(sessions: &'a [Session], portal: &'a Portal) -> impl Iterator<Item = &'a Session> {
    sessions.iter().filter(move |session| session.portals.contains(portal))
}

fn state_of(sessions: &[Session], portal: &Portal) -> &'static str {
    let mut with = with(sessions, portal).peekable();
    match (with.peek().is_some(), with.any(Session::is_logged_in)) {
        (false, _) => "logged out",
        (true, true) => "logged in",
        (true, false) => "failed",
    }
}

/// Everything that is known of one target on one host.
pub(in crate::kinds) struct Look<'a> {
    address: &'a Address,
    scene: &'a Scene<'a>,
    host: &'a HostName,
    ground: Rc<Ground>,
    initiator: Initiator,
    wanted: Attachment,
    sessions: Vec<Session>,
}

impl<'a> Look<'a> {
    /// What the host said of a target.
    ///
    /// # Errors
    /// Why that is not known.
    pub(in crate::kinds) fn at(block: &'a Block, scene: &'a Scene<'a>, host: &'a HostName) -> Result<Self, String> {
        let facts = scene.host(host);
        let ground = scene.ground(host)?;
        let wanted = Attachment::of(block).ok_or("the block is incomplete")?;
        let initiator = iscsi::read_host(facts)?;
        let sessions = iscsi::read_sessions(facts, &wanted.iqn)?;
        Ok(Look { address: &block.address, scene, host, ground, initiator, wanted, sessions })
    }
}

impl Look<'_> {
    fn hazard(&self, code: HazardCode, message: String, cure: impl Into<String>) -> Hazard {
        Hazard::new(code, self.address, Some(self.host), message, cure)
    }

    fn facts(&self) -> &HostFacts {
        self.scene.host(self.host)
    }

    /// What the block said when it was applied last.
    fn previous(&self) -> Option<Attachment> {
        self.scene.previous(self.address).and_then(Attachment::of)
    }

    /// What keeps every step from being run there.
    fn obstacles(&self) -> Vec<Hazard> {
        let mut all = Vec::new();
        if self.ground.system.uid != 0 {
            all.push(self.hazard(
                HazardCode::Unsupported,
                format!("Larder is not root on {}", self.host),
                "Log in as root, or set become = \"sudo\" in the host block.",
            ));
        }
        if !self.initiator.has_iscsiadm {
            let package = match self.ground.system.distribution.as_str() {
                "debian" | "ubuntu" | "opensuse-leap" | "sles" => "open-iscsi",
                "fedora" | "rhel" | "centos" | "rocky" | "almalinux" | "ol" => "iscsi-initiator-utils",
                _ => "open-iscsi (iscsi-initiator-utils on Fedora and its kin)",
            };
            all.push(self.hazard(
                HazardCode::Unsupported,
                format!("{} has no iscsiadm", self.host),
                format!("Install {package} there."),
            ));
        }
        all
    }

    /// Holds what is wanted against what is there.
    pub(in crate::kinds) fn judge(self) -> Result<Verdict, String> {
        let mut verdict = Verdict { hazards: self.obstacles(), ..Verdict::default() };
        verdict.claims.push(format!("the iSCSI target {}", self.wanted.iqn));
        if !self.sessions.is_empty() {
            verdict.standing = Standing::Present;
        }
        if !verdict.hazards.is_empty() {
            return Ok(verdict);
        }
        if self.initiator.name.is_none() {
            verdict.hazards.push(self.hazard(
                HazardCode::Unsupported,
                format!("{} has no iSCSI name of its own yet", self.host),
                "Give it one: `echo \"InitiatorName=$(iscsi-iname)\" >/etc/iscsi/initiatorname.iscsi` there, and tell the storage.",
            ));
            return Ok(verdict);
        }
        self.leave_former_portals(&mut verdict)?;
        self.judge_service(&mut verdict);
        for portal in &self.wanted.portals {
            self.judge_portal(&mut verdict, portal)?;
        }
        self.judge_paths(&mut verdict);
        Ok(verdict)
    }
}
