//! The way back of a mount that is made anew with something else, or with the same: mounted as it was, by what the kernel and the
//! host's own files say of it now. It never decides that anything is unmounted.

use super::boot::is_for_boot_only;
use super::network::{credentials_path, split_cifs};
use super::options::option_differences;
use super::{Look, Mounted, Source, mount_point};
use crate::kinds::ask::credentials::{self, Held};
use crate::kinds::ask::mounts::{Mount, escape};
use crate::kinds::verdict::{Remedy, Verdict};
use crate::model::Command;

/// Where the credentials of the mount are when its unmounting is taken back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Former {
    /// They are written after the unmounting: by then they have been put back.
    InPlace,
    /// They are written before the unmounting, and are put back after it: if they differ, the copy of the former ones counts.
    Kept,
}

/// What the kernel says of a mount of the network and no mount(8) has to be told: addresses that it has found out, who logged in.
const FOUND_OUT: [&str; 10] =
    ["rw", "addr", "clientaddr", "mountaddr", "mountport", "mountproto", "mountvers", "namlen", "username", "bsize"];

impl Look<'_> {
    /// Has the unmounting, which is the last of the verdict, taken back when a later step of the placement fails. What did not
    /// work any more is not put back.
    pub(super) fn put_back(&self, verdict: &mut Verdict, mount: &Mount, former: Former) {
        let Some(difference) = verdict.differences.last_mut() else { return };
        let (Remedy::Run(drafts), None) = (&mut difference.remedy, &self.broken) else { return };
        let Some(draft) = drafts.pop() else { return };
        drafts.push(match self.words_of(mount, former) {
            Some(words) => {
                let words = ["mount_as_before", self.at, &escape(self.at)].map(str::to_owned).into_iter().chain(words);
                draft.undone_by(Command::new(words)).rolling_back()
            }
            None if mount.fstype == "tmpfs" => draft,
            None => draft.without_inverse("how it was mounted is not known"),
        });
    }

    /// Whether nothing of the verdict takes the volume away, not even to bring it back: what it is mounted by at boot may then stay
    /// changed when a later step fails.
    pub(super) fn stays_mounted(&self, verdict: &Verdict) -> bool {
        let comes_back = verdict.drafts().any(|draft| draft.action == "unmount" && draft.rolls_back);
        matches!(self.mounted(), Mounted::Ours(_)) && !comes_back
    }

    /// What mounts it as it is; `None` where nobody knows all of it.
    fn words_of(&self, mount: &Mount, former: Former) -> Option<Vec<String>> {
        match mount.fstype.as_str() {
            "nfs" | "nfs4" => self.of_network("nfs", mount.source.clone(), mount, None),
            "cifs" | "smb3" => {
                let (server, rest) = split_cifs(&mount.source)?;
                let source = format!("//{server}/{}", format!("{rest}{}", mount.root).trim_end_matches('/'));
                self.of_network("cifs", source, mount, Some(format!("credentials={}", self.former(former)?)))
            }
            // What a tmpfs held is gone.
            "tmpfs" => None,
            fstype => {
                let previous = self.scene.previous(self.address).filter(|one| mount_point(one) == self.at);
                let source = previous.and_then(self.read).unwrap_or_else(|| self.source.clone());
                let words = match &source {
                    Source::Bind { source } => vec!["-o".to_owned(), format!("bind,{}", mount.options), source.clone()],
                    _ if mount.root == "/" => {
                        let options = format!("{},{}", mount.super_options, mount.options);
                        vec!["-t".to_owned(), fstype.to_owned(), "-o".to_owned(), options, mount.source.clone()]
                    }
                    _ => return None,
                };
                let program = std::iter::once("mount".to_owned());
                Some(program.chain(words).chain([self.at.to_owned()]).collect())
            }
        }
    }

    fn of_network(
        &self,
        fstype: &str,
        source: String,
        mount: &Mount,
        credentials: Option<String>,
    ) -> Option<Vec<String>> {
        let version = mount.option("vers")?.to_owned();
        let mut options = self.of_its_line(mount).unwrap_or_else(|| found_options(mount));
        if let Some(credentials) = credentials {
            options.retain(|option| !matches!(key(option), "credentials" | "cred"));
            options.insert(0, credentials);
        }
        let words = ["mount_network", fstype, &version].map(str::to_owned);
        Some(words.into_iter().chain([options.join(","), source, self.at.to_owned()]).collect())
    }

    /// The options by which the host mounts it at boot, where they are those in force.
    fn of_its_line(&self, mount: &Mount) -> Option<Vec<String>> {
        let lines = self.ground.fstab.lines_for(&self.scene.names(self.address), &[self.at]);
        let [line] = lines.as_slice() else { return None };
        let entry = line.entry.as_ref()?;
        let options: Vec<_> = entry.options.iter().filter(|option| !is_for_boot_only(option)).cloned().collect();
        let wanted: Vec<_> = options.iter().map(String::as_str).collect();
        let is_in_force = option_differences(&wanted, mount, None) == (Vec::new(), Vec::new());
        is_in_force.then_some(options)
    }

    /// The file with which it was mounted; `None` where there is none of Larder's.
    fn former(&self, former: Former) -> Option<String> {
        let path = credentials_path(self.address);
        let text = self.source.credentials()?;
        match (credentials::read(self.scene.host(self.host), &path, &text).ok()?, former) {
            (Held::Absent, _) => None,
            (Held::Differ | Held::Exposed, Former::Kept) => Some(credentials::kept(&path)),
            _ => Some(path),
        }
    }
}

fn key(option: &str) -> &str {
    option.split('=').next().unwrap_or_default()
}

/// The options in force, as mount(8) takes them.
fn found_options(mount: &Mount) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for option in mount.options.split(',').chain(mount.super_options.split(',')) {
        if !FOUND_OUT.contains(&key(option)) && !all.iter().any(|one| one == option) {
            all.push(option.to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ask::mounts;
    use crate::model::{Answer, HostFacts, Reply};

    #[test]
    fn what_the_kernel_has_found_out_by_itself_is_not_asked_for_again() {
        let table = [
            (
                "rw,noatime - nfs4 10.0.0.5:/a rw,vers=4.2,rsize=131072,hard,proto=tcp,timeo=600,clientaddr=10.0.0.11,local_lock=none,addr=10.0.0.5",
                "noatime,vers=4.2,rsize=131072,hard,proto=tcp,timeo=600,local_lock=none",
            ),
            ("ro,relatime - nfs4 10.0.0.5:/a ro,vers=4.2,hard", "ro,relatime,vers=4.2,hard"),
            (
                "rw,relatime - cifs //nas/vm rw,vers=3.1.1,cache=strict,username=larder,uid=64055,forceuid,nobrl,bsize=1048576,actimeo=1",
                "relatime,vers=3.1.1,cache=strict,uid=64055,forceuid,nobrl,actimeo=1",
            ),
        ];
        for (line, expected) in table {
            let reply = Reply { status: 0, out: format!("1 2 0:30 / /srv/x {line}\n"), err: String::new() };
            let facts = HostFacts::Reached([(mounts::question(), Answer::Said(reply))].into());
            let mount = mounts::read(&facts).expect("one mount").0.remove(0);
            assert_eq!(found_options(&mount).join(","), expected);
        }
    }
}
