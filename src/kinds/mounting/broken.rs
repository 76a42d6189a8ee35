//! A mount of CIFS that answers with an error, because the server does not let in any more who logged in when it was mounted. It is
//! unmounted and mounted anew where the credentials of the block are right now: never by force, and never under anybody.

use super::network::Cifs;
use super::{Look, Mounted, Reading, Source, check_reach, mount_point};
use crate::kinds::Scene;
use crate::kinds::ask::mounts::Mount;
use crate::kinds::ask::network_mounts::{self, Reach};
use crate::kinds::ask::path::{self, Lineage};
use crate::kinds::ask::samba::{self, LoggedIn, Login};
use crate::kinds::ground::{self, Ground};
use crate::kinds::verdict::{Difference, Remedy, Standing, Verdict};
use crate::model::{Block, HostFacts, HostName, Question};

/// What strerror(3) says where the client could not log in anew.
const OF_A_LOGIN: [&str; 6] = [
    "Host is down",
    "Permission denied",
    "Required key not available",
    "Key has expired",
    "Key has been revoked",
    "Key was rejected by service",
];

/// What a host is asked for the case that its mount is broken.
pub(in crate::kinds) fn renewal_question(block: &Block, source: &Source) -> Option<Question> {
    let Source::Cifs(cifs) = source else { return None };
    Some(samba::renewing_login_question(&login(cifs, mount_point(block))?))
}

fn login<'a>(cifs: &'a Cifs, at: &'a str) -> Option<Login<'a>> {
    Some(Login {
        directory: at,
        server: &cifs.server,
        share: &cifs.share,
        user: &cifs.username,
        password: cifs.password.as_ref()?,
        domain: cifs.domain.as_deref(),
    })
}

/// The error of a mount of CIFS exactly at a path, if it is one of a login.
fn error_of(ground: &Ground, facts: &HostFacts, at: &str) -> Option<String> {
    let mounts = ground.mounts.at(at);
    let [mount] = mounts.as_slice() else { return None };
    let is_cifs = |mount: &Mount| matches!(mount.fstype.as_str(), "cifs" | "smb3");
    let reached = network_mounts::read(facts).ok()?;
    match reached.at(at) {
        Some(Reach::Fails(why)) if is_cifs(mount) && OF_A_LOGIN.contains(&why.as_str()) => Some(why.clone()),
        _ => None,
    }
}

impl<'a> Look<'a> {
    /// The same as [`Look::at`], and where a broken mount can be renewed, what is known without it: nothing of what lies in it.
    ///
    /// # Errors
    /// Why that is not known, or what keeps a broken mount from being renewed.
    pub(in crate::kinds) fn at_or_broken(
        block: &'a Block,
        read: Reading,
        scene: &'a Scene<'a>,
        host: &'a HostName,
    ) -> Result<Self, String> {
        let (facts, ground, at) = (scene.host(host), scene.ground(host)?, mount_point(block));
        let (Some(Source::Cifs(cifs)), Some(error)) = (read(block), error_of(&ground, facts, at)) else {
            return Look::at(block, read, scene, host);
        };
        let parent = at.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent });
        check_reach(&ground, facts, parent)?;
        let said = login(&cifs, at).ok_or_else(|| "the password is not known".to_owned());
        let by_hand = |what: String, cure: &str| format!("{at} does not work any more ({error}), and {what}. {cure}");
        let said = said.and_then(|login| samba::read_renewing_login(facts, &login)).map_err(|why| {
            let what = format!("whether {} lets {} in could not be tried: {why}", cifs.server, cifs.username);
            let lacks_it = why.starts_with("smbclient: not found");
            let cure = if lacks_it { "Install smbclient there" } else { "Look into that" };
            by_hand(what, &format!("{cure}, or `umount {at}` and apply again"))
        })?;
        let words = said.message();
        match &said {
            LoggedIn::Yes => {}
            LoggedIn::Refused(_) => {
                let what = format!("{} refuses {}: {words}", cifs.server, cifs.username);
                return Err(by_hand(what, "Put the password that it has now into the configuration, and apply again"));
            }
            LoggedIn::NoShare(_) | LoggedIn::Denied(_) => {
                let what = format!("{} does not let {} into {}: {words}", cifs.server, cifs.username, cifs.share);
                return Err(by_hand(what, "See there who may use the share"));
            }
            LoggedIn::Unreachable(_) => {
                let what = format!("{} does not answer: {words}", cifs.server);
                return Err(by_hand(what, "Wait for the server, and apply again"));
            }
        }
        let mut hazards = Vec::new();
        let wanted = ground::Permissions::resolve(block, facts, host, &mut hazards)?;
        let lineage = Lineage { paths: path::with_ancestors(at), inodes: Vec::new() };
        let source = Source::Cifs(cifs);
        let look = Look {
            block,
            read,
            address: &block.address,
            scene,
            host,
            ground,
            at,
            source,
            lineage,
            entries: Vec::new(),
            wanted,
            hazards,
            device: None,
            bound: None,
            clustered: None,
            broken: Some(error),
        };
        match look.mounted() {
            Mounted::Ours(_) => Ok(look),
            _ => Look::at(block, read, scene, host),
        }
    }
}

impl Look<'_> {
    /// Credentials, and the mount anew.
    pub(super) fn judge_broken(&self, verdict: &mut Verdict, mount: &Mount, error: &str) -> Result<(), String> {
        verdict.standing = Standing::Present;
        verdict.observed.insert("mount".to_owned(), mount.fstype.clone());
        self.judge_credentials(verdict)?;
        let difference = self.renew(mount, "mount", format!("does not work any more: {error}"), self.describe());
        verdict.differences.push(difference);
        self.tidy_boot(verdict, None);
        self.reload_if_outdated(verdict);
        if let Some(qemu) = &self.ground.system.qemu {
            let draft = ground::check_access(self.at, qemu, self.source.reads_only());
            let want = format!("{} by {}", if self.source.reads_only() { "readable" } else { "usable" }, qemu.name);
            verdict.differences.push(Difference::new("access", "not tried", want, Remedy::Run(vec![draft])));
        }
        Ok(())
    }
}
