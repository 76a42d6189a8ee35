//! Storage of another machine: NFS (nfs(5)) and CIFS (mount.cifs(8)).

use super::restore::Former;
use super::{Look, Source};
use crate::kinds::ask::credentials::{self, Held};
use crate::kinds::ask::fstab::encode_id;
use crate::kinds::ask::mounts::Mount;
use crate::kinds::verdict::{Difference, Draft, Remedy, Verdict};
use crate::model::block::Attributes;
use crate::model::{Address, Command, Question};

/// An export of an NFS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kinds) struct Nfs {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub(in crate::kinds) server: String,
    pub(in crate::kinds) export: String,
    /// `4.2`.
    pub(in crate::kinds) version: String,
}

/// A directory of a CIFS share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kinds) struct Cifs {
    pub(in crate::kinds) server: String,
    pub(in crate::kinds) share: String,
    /// Below the share, without slashes at its ends; empty for the share itself.
    pub(in crate::kinds) path: String,
    pub(in crate::kinds) username: String,
    /// What stands for the password; `None` in a block of the state.
    pub(in crate::kinds) password: Option<String>,
    pub(in crate::kinds) domain: Option<String>,
    /// `3.1.1`.
    pub(in crate::kinds) version: String,
    pub(in crate::kinds) reads_only: bool,
}

impl Nfs {
    /// As mount(8) takes it, and the kernel shows it: `server:/export`, an IPv6 address in brackets.
    pub(super) fn source(&self) -> String {
        match self.server.contains(':') {
            true => format!("[{}]:{}", self.server, self.export),
            false => format!("{}:{}", self.server, self.export),
        }
    }

    pub(super) fn is_mounted_as(&self, mount: &Mount) -> bool {
        let Some((server, export)) = split_nfs(&mount.source) else { return false };
        matches!(mount.fstype.as_str(), "nfs" | "nfs4")
            && mount.root == "/"
            && squeezed(export) == squeezed(&self.export)
            && is_same_server(&self.server, server, mount)
    }

    /// Whether a source in fstab is this export.
    pub(super) fn is_written_as(&self, source: &str) -> bool {
        split_nfs(source).is_some_and(|(server, export)| {
            squeezed(export) == squeezed(&self.export) && is_same_name(server, &self.server)
        })
    }
}

impl Cifs {
    /// `//server/share/path`.
    pub(super) fn source(&self) -> String {
        let path = if self.path.is_empty() { String::new() } else { format!("/{}", self.path) };
        format!("//{}/{}{path}", self.server, self.share)
    }

    pub(super) fn is_mounted_as(&self, mount: &Mount) -> bool {
        let Some((server, rest)) = split_cifs(&mount.source) else { return false };
        // The path below the share is part of the source, or the directory that is mounted of it.
        let rest = squeezed(&format!("{rest}/{}", mount.root));
        matches!(mount.fstype.as_str(), "cifs" | "smb3")
            && rest.eq_ignore_ascii_case(&squeezed(&format!("{}/{}", self.share, self.path)))
            && is_same_server(&self.server, &server, mount)
    }

    pub(super) fn is_written_as(&self, source: &str) -> bool {
        split_cifs(source).is_some_and(|(server, rest)| {
            squeezed(&rest).eq_ignore_ascii_case(&squeezed(&format!("{}/{}", self.share, self.path)))
                && is_same_name(&server, &self.server)
        })
    }

    /// What mount.cifs(8) reads of the file that `credentials=` names. Each value ends with its line and begins right behind the
    /// equals sign.
    pub(super) fn credentials(&self) -> Option<String> {
        let domain = self.domain.as_ref().map(|domain| format!("domain={domain}\n")).unwrap_or_default();
        Some(format!("username={}\npassword={}\n{domain}", self.username, self.password.as_ref()?))
    }
}

/// `server:/export` and `[fd00::1]:/export`.
pub(in crate::kinds) fn split_nfs(source: &str) -> Option<(&str, &str)> {
    match source.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => source.split_once(":/").map(|(server, _)| (server, &source[server.len() + 1..])),
    }
}

/// `//server/share/path`, with slashes of either kind, as `server` and `share/path`.
pub(in crate::kinds) fn split_cifs(source: &str) -> Option<(String, String)> {
    let source = source.replace('\\', "/");
    let (server, rest) = source.strip_prefix("//")?.split_once('/')?;
    Some((server.to_owned(), rest.to_owned()))
}

/// A path without doubled slashes and slashes at its ends.
fn squeezed(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// The kernel shows the server as it was written when it was mounted, and its address as an option.
fn is_same_server(wanted: &str, written: &str, mount: &Mount) -> bool {
    is_same_name(wanted, written) || mount.option("addr").is_some_and(|address| is_same_name(wanted, address))
}

/// Whether two texts name one server: an address may be written in several ways, a name in either case.
fn is_same_name(one: &str, other: &str) -> bool {
    let address = |text: &str| text.parse::<std::net::IpAddr>().ok();
    one.eq_ignore_ascii_case(other) || address(one).is_some_and(|one| address(other) == Some(one))
}

/// What a host is asked of the credentials of a resource.
pub(in crate::kinds) fn credentials_question(address: &Address, source: &Source) -> Option<Question> {
    let text = source.credentials().unwrap_or_default();
    matches!(source, Source::Cifs(_)).then(|| credentials::question(&credentials_path(address), &text))
}

/// Where the credentials of a resource lie on a host.
pub(super) fn credentials_path(address: &Address) -> String {
    format!("{}/{}", credentials::DIRECTORY, encode_id(&address.to_string()))
}

impl Look<'_> {
    /// The file with the credentials: there, root's alone, and as they are to be. Gives whether it is to be written anew.
    pub(super) fn judge_credentials(&self, verdict: &mut Verdict) -> Result<bool, String> {
        let (Source::Cifs(cifs), Some(text)) = (&self.source, self.source.credentials()) else { return Ok(false) };
        let path = credentials_path(self.address);
        let held = credentials::read(self.scene.host(self.host), &path, &text)?;
        let have = match held {
            Held::Same => {
                verdict.observed.insert("credentials".to_owned(), "as wanted".to_owned());
                return Ok(false);
            }
            Held::Absent => "absent",
            Held::Differ => "others",
            Held::Exposed => "not root's alone",
        };
        let kept = credentials::kept(&path);
        let draft = Draft::new(
            "credentials",
            format!("write the credentials of {} to {path} (root only)", cifs.username),
            Command::new(
                ["write_credentials", &path].into_iter().chain((held != Held::Absent).then_some(kept.as_str())),
            )
            .with_stdin(text),
        );
        let drafts = match held {
            Held::Absent => vec![draft.undone_by(Command::new(["remove_credentials", &path, &kept])).rolling_back()],
            _ => {
                let forget = Draft::new(
                    "forget-credentials",
                    format!("remove the former credentials {kept}"),
                    Command::new(["rm", "-f", "--", &kept]),
                )
                .without_inverse("the former credentials are needed no more")
                .cleaning_up();
                vec![draft.undone_by(Command::new(["restore_credentials", &path, &kept])).rolling_back(), forget]
            }
        };
        verdict.differences.push(Difference::new(
            "credentials",
            have,
            format!("those of {}", cifs.username),
            Remedy::Run(drafts),
        ));
        Ok(held == Held::Differ)
    }

    /// Whether nothing on the host needs a file of ours while the share is mounted, and there is none: what mounts it at boot is
    /// left as it is and has its own, or there is nothing. Whatever mounts it anew writes the file first.
    pub(super) fn leaves_credentials_to_others(&self) -> Result<bool, String> {
        let Source::Cifs(_) = &self.source else { return Ok(false) };
        let is_left = self.block.lifecycle.ignore_changes.contains("persist");
        if !is_left && self.block.text("persist") != Some("none") {
            return Ok(false);
        }
        let path = credentials_path(self.address);
        let named = format!("credentials={path}");
        let lines = self.ground.fstab.lines.iter().filter_map(|line| line.entry.as_ref());
        let units = self.ground.units.all_lasting().filter_map(|unit| unit.entry.as_ref());
        let text = self.source.credentials().unwrap_or_default();
        Ok(!lines.chain(units).any(|entry| entry.options.contains(&named))
            && credentials::read(self.scene.host(self.host), &path, &text)? == Held::Absent)
    }

    /// Takes the credentials away with the volume.
    pub(super) fn drop_credentials(&self, verdict: &mut Verdict) -> Result<(), String> {
        if !matches!(self.source, Source::Cifs(_)) {
            return Ok(());
        }
        let path = credentials_path(self.address);
        let text = self.source.credentials().unwrap_or_default();
        if credentials::read(self.scene.host(self.host), &path, &text)? == Held::Absent {
            return Ok(());
        }
        let draft = Draft::new(
            "credentials",
            format!("remove the credentials {path}"),
            Command::new(["remove_credentials", &path, &credentials::kept(&path)]),
        )
        .without_inverse("credentials are not kept");
        verdict.differences.push(Difference::new("credentials", "present", "absent", Remedy::Run(vec![draft])));
        Ok(())
    }

    /// Unmounts and mounts again: what no remount can change.
    pub(super) fn renew(&self, mount: &Mount, attribute: &str, have: String, want: String) -> Difference {
        let mut taken_away = Verdict::default();
        self.unmount(&mut taken_away, mount, self.at);
        self.put_back(&mut taken_away, mount, Former::Kept);
        let remedy = taken_away.differences.pop().map(|difference| difference.remedy);
        let remedy = match remedy {
            Some(Remedy::Run(mut drafts)) => {
                drafts.push(self.mount_draft(None));
                Remedy::Run(drafts)
            }
            Some(refused) => refused,
            None => Remedy::Run(Vec::new()),
        };
        Difference::new(attribute, have, want, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ask::mounts;
    use crate::model::{Answer, HostFacts, Reply};

    fn mount(root: &str, fstype: &str, source: &str, options: &str) -> Mount {
        let line = format!("1 2 0:30 {root} /srv/x rw - {fstype} {source} {options}\n");
        let reply = Reply { status: 0, out: line, err: String::new() };
        let facts = HostFacts::Reached([(mounts::question(), Answer::Said(reply))].into());
        mounts::read(&facts).expect("one mount").0.remove(0)
    }

    fn nfs(server: &str) -> Nfs {
        Nfs { server: server.into(), export: "/export/images".into(), version: "4.2".into() }
    }

    #[test]
    fn an_export_is_recognised_however_it_is_written() {
        let addr = "rw,vers=4.2,addr=10.0.0.5";
        let table = [
            ("10.0.0.5", "/", "nfs4", "10.0.0.5:/export/images", addr, true),
            ("10.0.0.5", "/", "nfs4", "10.0.0.5:/export//images/", addr, true),
            ("10.0.0.5", "/", "nfs", "nas:/export/images", addr, true),
            ("nas", "/", "nfs4", "NAS:/export/images", addr, true),
            ("nas", "/", "nfs4", "10.0.0.5:/export/images", addr, false),
            ("10.0.0.5", "/", "nfs4", "10.0.0.5:/export/other", addr, false),
            ("10.0.0.5", "/", "nfs4", "10.0.0.6:/export/images", "rw,addr=10.0.0.6", false),
            ("10.0.0.5", "/sub", "nfs4", "10.0.0.5:/export/images", addr, false),
            ("10.0.0.5", "//deleted", "nfs4", "10.0.0.5:/export/images", addr, false),
            ("10.0.0.5", "/", "ext4", "10.0.0.5:/export/images", addr, false),
            ("fd00::1", "/", "nfs4", "[fd00::1]:/export/images", "rw,addr=fd00::1", true),
            ("fd00:0:0::1", "/", "nfs4", "[FD00::1]:/export/images", "rw,addr=fd00::1", true),
            ("fd00:0:0::1", "/", "nfs4", "nas:/export/images", "rw,addr=fd00::1", true),
            ("fd00::2", "/", "nfs4", "[fd00::1]:/export/images", "rw,addr=fd00::1", false),
        ];
        for (server, root, fstype, source, options, expected) in table {
            let mount = mount(root, fstype, source, options);
            assert_eq!(nfs(server).is_mounted_as(&mount), expected, "{server} {root} {fstype} {source}");
        }
        assert_eq!(nfs("fd00::1").source(), "[fd00::1]:/export/images");
        assert!(nfs("fd00::1").is_written_as("[fd00:0::1]:/export/images/"));
    }

    #[test]
    fn a_share_is_recognised_however_it_is_written() {
        let cifs = Cifs {
            server: "10.0.0.5".into(),
            share: "VM".into(),
            path: "a/b".into(),
            username: "u".into(),
            password: None,
            domain: None,
            version: "3.1.1".into(),
            reads_only: false,
        };
        let table = [
            ("/", "//10.0.0.5/VM/a/b", true),
            ("/", "//10.0.0.5/vm/a/b/", true),
            ("/a/b", "//10.0.0.5/VM", true),
            ("/", "\\134\\134NAS\\134VM\\134a\\134b", true),
            ("/", "//10.0.0.5/VM", false),
            ("/", "//10.0.0.5/VM2/a/b", false),
        ];
        for (root, source, expected) in table {
            let mount = mount(root, "cifs", source, "rw,addr=10.0.0.5");
            assert_eq!(cifs.is_mounted_as(&mount), expected, "{root} {source}");
        }
        assert_eq!(cifs.source(), "//10.0.0.5/VM/a/b");
    }
}
