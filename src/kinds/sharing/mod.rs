//! A directory that Samba serves: what of it there is on its host, what is to be there, and every step between.

use std::rc::Rc;

use crate::model::block::Attributes;
use crate::model::{Address, Block, Hazard, HazardCode, HostName};

use super::Scene;
use super::ask::path::{self, Lineage};
use super::ask::samba::{self, Installed, Login};
use super::ground::{self, Ground};
use super::mounting::check_reach;
use super::verdict::{Standing, Verdict};

mod directory;
mod people;
mod service;
mod share;
mod unmake;

/// What the block says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kinds) struct Sharing {
    pub(in crate::kinds) path: String,
    pub(in crate::kinds) share: String,
    pub(in crate::kinds) users: Vec<User>,
    pub(in crate::kinds) writable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kinds) struct User {
    pub(in crate::kinds) name: String,
    /// What stands for the password; `None` in a block of the state.
    password: Option<String>,
}

impl Sharing {
    pub(in crate::kinds) fn of(block: &Block) -> Option<Self> {
        let text = |name: &str| block.text(name).map(str::to_owned);
        let users = block.blocks.iter().filter(|nested| nested.name == "user");
        let users = users.filter_map(|user| {
            let text = |name: &str| user.text(name).map(str::to_owned);
            Some(User { name: text("name")?, password: text("password") })
        });
        let users = users.collect();
        Some(Sharing {
            path: text("path")?,
            share: text("share")?,
            users,
            writable: block.boolean("writable") == Some(true),
        })
    }

    /// The file of its own that the share has.
    pub(in crate::kinds) fn file(&self) -> String {
        samba::share_file(&self.share)
    }

    /// How a user logs in on the host itself.
    pub(in crate::kinds) fn login<'a>(&'a self, user: &'a User) -> Option<Login<'a>> {
        Some(Login {
            directory: &self.path,
            server: "127.0.0.1",
            share: &self.share,
            user: &user.name,
            password: user.password.as_ref()?,
            domain: None,
        })
    }
}

/// Everything that is known of a share on its host.
pub(in crate::kinds) struct Look<'a> {
    block: &'a Block,
    address: &'a Address,
    scene: &'a Scene<'a>,
    host: &'a HostName,
    ground: Rc<Ground>,
    sharing: Sharing,
    installed: Installed,
}

impl<'a> Look<'a> {
    /// What the host said of a share.
    ///
    /// # Errors
    /// Why that is not known.
    pub(in crate::kinds) fn at(block: &'a Block, scene: &'a Scene<'a>, host: &'a HostName) -> Result<Self, String> {
        let ground = scene.ground(host)?;
        let sharing = Sharing::of(block).ok_or("the block is incomplete")?;
        let installed = samba::read(scene.host(host))?;
        Ok(Look { block, address: &block.address, scene, host, ground, sharing, installed })
    }

    fn hazard(&self, code: HazardCode, message: impl Into<String>, cure: impl Into<String>) -> Hazard {
        Hazard::new(code, self.address, Some(self.host), message, cure)
    }

    /// Holds what is wanted against what is there.
    pub(in crate::kinds) fn judge(self) -> Result<Verdict, String> {
        let mut verdict = Verdict::default();
        if self.ground.system.uid != 0 {
            verdict.hazards.push(self.hazard(
                HazardCode::Unsupported,
                format!("Larder is not root on {}", self.host),
                "Log in as root, or set become = \"sudo\" in the host block.",
            ));
        }
        verdict.hazards.extend(self.lacks());
        if !verdict.hazards.is_empty() {
            return Ok(verdict);
        }
        let at = &self.sharing.path;
        check_reach(&self.ground, self.scene.host(self.host), at)?;
        let lineage = path::read(self.scene.host(self.host), at)?;
        if let Some(hazard) = ground::obstacle(&lineage, self.address, self.host) {
            verdict.standing = Standing::Present;
            verdict.hazards.push(hazard);
            return Ok(verdict);
        }
        self.leave_previous_share(&mut verdict)?;
        let newcomers = self.newcomers()?;
        let by_name = self.judge_directory(&mut verdict, &lineage, &newcomers)?;
        let before = verdict.differences.len();
        if !self.judge_share(&mut verdict)? {
            return Ok(verdict);
        }
        let is_shared = verdict.differences.len() == before;
        self.make_system_users(&mut verdict, &newcomers)?;
        verdict.differences.extend(by_name);
        let logins = self.judge_accounts(&mut verdict)?;
        self.judge_service(&mut verdict);
        if is_shared && lineage.exists() {
            self.judge_served(&mut verdict, &logins);
        }
        self.judge_access(&mut verdict, &lineage, &logins);
        Ok(verdict)
    }

    /// What is not installed there.
    fn lacks(&self) -> Vec<Hazard> {
        let mut packages: Vec<(&str, Vec<&str>)> = Vec::new();
        for (program, package) in &self.installed.missing {
            match packages.iter_mut().find(|(known, _)| known == package) {
                Some((_, programs)) => programs.push(program),
                None => packages.push((package, vec![program])),
            }
        }
        let hazard = |(package, programs): (&str, Vec<&str>)| {
            let message = format!("{} has no {}", self.host, programs.join(", "));
            let cure = match package {
                "smbclient" => {
                    "Install smbclient there (samba-client, where packages are called as on Red Hat).".to_owned()
                }
                "samba-common-bin" => {
                    "Install samba-common-bin there (samba-common-tools, where packages are called as on Red Hat)."
                        .to_owned()
                }
                package => format!("Install {package} there."),
            };
            self.hazard(HazardCode::Unsupported, message, cure)
        };
        packages.into_iter().map(hazard).collect()
    }

    fn lineage(&self, of: &str) -> Result<Lineage, String> {
        path::read(self.scene.host(self.host), of)
    }
}
