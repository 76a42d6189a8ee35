//! Where the bytes of a mounted volume are, and how that is written, mounted and recognised.

use crate::model::Size;

use super::Look;
use super::network::{Cifs, Nfs};
use crate::kinds::ask::device::Found;
use crate::kinds::ask::fstab::{self, Entry};
use crate::kinds::ask::mounts::Mount;
use crate::kinds::scene::Shown;

/// Where a volume's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kinds) enum Source {
    Directory,
    Bind { source: String },
    Tmpfs { size: Size },
    Device { path: String, fstype: String, label: String, format: bool },
    Nfs(Nfs),
    Cifs(Cifs),
}

impl Source {
    /// Whether other machines see the same bytes.
    pub(in crate::kinds) fn is_network(&self) -> bool {
        matches!(self, Source::Nfs(_) | Source::Cifs(_))
    }

    /// Whether guests find only what is there already.
    pub(super) fn reads_only(&self) -> bool {
        matches!(self, Source::Cifs(cifs) if cifs.reads_only)
    }

    /// The text of the file with credentials that it is mounted with, if it has one and that is known.
    pub(super) fn credentials(&self) -> Option<String> {
        match self {
            Source::Cifs(cifs) => cifs.credentials(),
            _ => None,
        }
    }

    /// `server:/export` and `//server/share`, as people know it; empty for what is no other machine's.
    pub(in crate::kinds) fn shown(&self) -> String {
        match self {
            Source::Nfs(nfs) => nfs.source(),
            Source::Cifs(cifs) => cifs.source(),
            _ => String::new(),
        }
    }

    /// The boolean of SELinux without which guests may not use what cannot be labelled, and what it is about.
    pub(in crate::kinds) fn selinux_boolean(&self) -> Option<&'static str> {
        match self {
            Source::Nfs(_) => Some("virt_use_nfs"),
            Source::Cifs(_) => Some("virt_use_samba"),
            _ => None,
        }
    }

    /// The type for mount(8) and fstab(5).
    pub(super) fn fstype(&self) -> Option<&str> {
        match self {
            Source::Directory | Source::Bind { .. } => None,
            Source::Tmpfs { .. } => Some("tmpfs"),
            Source::Device { fstype, .. } => Some(fstype),
            Source::Nfs(_) => Some("nfs"),
            Source::Cifs(_) => Some("cifs"),
        }
    }
}

impl Shown {
    /// What a mount of that source shows; `None` for one of another sort than a CIFS share.
    pub(in crate::kinds) fn of(source: &Source, mount_point: &str) -> Option<Self> {
        let Source::Cifs(cifs) = source else { return None };
        let path = cifs.path.trim_matches('/').to_owned();
        Some(Shown { share: cifs.share.clone(), path, directory: mount_point.to_owned(), served_by: None })
    }
}

impl Look<'_> {
    pub(super) fn is_ours(&self, source: &Source, mount: &Mount) -> bool {
        match source {
            Source::Directory => false,
            Source::Bind { source } => self
                .ground
                .mounts
                .locate(source)
                .is_some_and(|(device, root)| mount.device == device && mount.root == root),
            Source::Tmpfs { .. } => mount.fstype == "tmpfs" && mount.root == "/",
            Source::Device { fstype, .. } => match &self.device {
                Some(Found::Device(device)) => {
                    device.is_source_of(mount) && mount.fstype == *fstype && mount.root == "/"
                }
                _ => false,
            },
            Source::Nfs(nfs) => nfs.is_mounted_as(mount),
            Source::Cifs(cifs) => cifs.is_mounted_as(mount),
        }
    }

    pub(super) fn describe(&self) -> String {
        match &self.source {
            Source::Directory => "a directory".to_owned(),
            Source::Bind { source } => format!("a bind mount of {source}"),
            Source::Tmpfs { size } => format!("a tmpfs of {size}"),
            Source::Device { path, fstype, .. } => format!("{fstype} on {path}"),
            Source::Nfs(nfs) => format!("{} (nfs {})", nfs.source(), nfs.version),
            Source::Cifs(cifs) => format!("{} (cifs {})", cifs.source(), cifs.version),
        }
    }

    pub(super) fn is_same_source(&self, entry: &Entry) -> bool {
        let tag = |name: &str| match &self.device {
            Some(Found::Device(device)) => device.tag(name).map(str::to_owned),
            _ => None,
        };
        match &self.source {
            Source::Directory => false,
            Source::Bind { source } => {
                fstab::normalised(&entry.source) == *source
                    && entry.options.iter().any(|option| option == "bind" || option == "rbind")
            }
            Source::Tmpfs { .. } => entry.fstype == "tmpfs",
            Source::Nfs(nfs) => {
                matches!(entry.fstype.as_str(), "nfs" | "nfs4" | "auto") && nfs.is_written_as(&entry.source)
            }
            Source::Cifs(cifs) => {
                matches!(entry.fstype.as_str(), "cifs" | "smb3" | "auto") && cifs.is_written_as(&entry.source)
            }
            Source::Device { path, .. } => match entry.source.split_once('=') {
                Some(("UUID", uuid)) => tag("UUID").is_some_and(|own| own.eq_ignore_ascii_case(uuid.trim_matches('"'))),
                Some(("LABEL", label)) => tag("LABEL").as_deref() == Some(label.trim_matches('"')),
                // What udev calls after the partition, mount(8) finds by that name.
                Some(("PARTUUID", uuid)) => *path == format!("/dev/disk/by-partuuid/{}", uuid.trim_matches('"')),
                _ => {
                    let uuid = entry.source.strip_prefix("/dev/disk/by-uuid/");
                    uuid.is_some() && uuid.map(str::to_owned) == tag("UUID")
                        || entry.source == *path
                        || matches!(&self.device, Some(Found::Device(device)) if device.is_named(&entry.source))
                }
            },
        }
    }

    /// The first field of fstab, and the source for mount(8).
    pub(super) fn mount_source(&self, uuid: Option<&str>) -> String {
        match (&self.source, uuid) {
            // By its path: other hosts than the one that formats a device learn of its UUID only when they look at it anew.
            (Source::Device { path, .. }, _) if self.clustered.is_some() => path.clone(),
            (Source::Device { .. }, Some(uuid)) => format!("UUID={uuid}"),
            (Source::Device { path, .. }, None) => path.clone(),
            (Source::Bind { source }, _) => source.clone(),
            (Source::Tmpfs { .. }, _) => "tmpfs".to_owned(),
            (Source::Directory, _) => String::new(),
            (Source::Nfs(nfs), _) => nfs.source(),
            (Source::Cifs(cifs), _) => cifs.source(),
        }
    }
}
