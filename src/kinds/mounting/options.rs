//! Mount options: those that a volume is to have, those in force, and the remount between them.

use super::boot::{is_for_boot_only, means_for_a_tmpfs};
use super::dangers::exclude_each_other;
use super::network::{Cifs, credentials_path};
use super::{Look, Mounted, Source};
use crate::kinds::ask::mounts::Mount;
use crate::kinds::ask::path::Inode;
use crate::kinds::ask::units::unit_name;
use crate::kinds::ask::{Known, open_files, people, space};
use crate::kinds::ground::Permissions;
use crate::kinds::verdict::{Difference, Draft, Remedy};
use crate::model::block::Attributes;
use crate::model::{Command, Hazard, HazardCode, HostFacts, Impact, Size};

impl Look<'_> {
    /// The mount options that the volume is to have: the kind's own, then the user's.
    pub(super) fn options(&self) -> Vec<String> {
        let mut options = self.fixed_options();
        let key = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
        if let Some(mut kept) = self.options_that_stay() {
            for own in options {
                match kept.iter_mut().find(|one| key(one) == key(&own) || own == "bind" && *one == "rbind") {
                    Some(one) if *one == "rbind" || means_for_a_tmpfs(std::slice::from_ref(one), &own) => {}
                    Some(one) => *one = own,
                    None => kept.insert(0, own),
                }
            }
            return kept;
        }
        if let Source::Nfs(_) = &self.source {
            // `hard`: an I/O error after a timeout would be damage in a guest (nfs(5)).
            options.extend(["hard", "noatime"].map(str::to_owned));
        }
        for option in self.block.texts("options") {
            options.retain(|one| !exclude_each_other(option, one));
            if !options.contains(option) {
                options.push(option.clone());
            }
        }
        options
    }

    /// The options that follow from the kind of the volume and its nested block.
    fn fixed_options(&self) -> Vec<String> {
        match &self.source {
            Source::Directory | Source::Device { .. } => Vec::new(),
            Source::Bind { .. } => vec!["bind".to_owned()],
            Source::Tmpfs { size } => {
                std::iter::once(format!("size={}", size.0)).chain(self.permission_options()).collect()
            }
            Source::Nfs(nfs) => vec![format!("vers={}", nfs.version)],
            Source::Cifs(cifs) => self.cifs_options(cifs),
        }
    }

    /// Owner and mode of the root of a tmpfs. Where the block says nothing of them, a tmpfs that is mounted keeps what it has:
    /// what its line in fstab says, and without a line what is live.
    fn permission_options(&self) -> Vec<String> {
        let (line, wanted) = match self.mounted() {
            Mounted::Ours(_) if self.wanted.is_unmanaged() => {
                let live =
                    |inode: &Inode| Permissions { uid: Some(inode.uid), gid: Some(inode.gid), mode: Some(inode.mode) };
                (self.options_of_line(), self.lineage.last().map(live).unwrap_or_default())
            }
            _ => (None, self.wanted_root()),
        };
        if let Some(mut line) = line {
            line.retain(|option| ["mode=", "uid=", "gid="].iter().any(|prefix| option.starts_with(prefix)));
            return line;
        }
        let mode = wanted.mode.map(|mode| format!("mode={mode}"));
        let uid = wanted.uid.map(|uid| format!("uid={uid}"));
        let gid = wanted.gid.map(|gid| format!("gid={gid}"));
        [mode, uid, gid].into_iter().flatten().collect()
    }

    /// The options of the one line that the volume has in fstab, or of its mount unit.
    fn options_of_line(&self) -> Option<Vec<String>> {
        if self.block.text("persist") == Some("systemd") {
            let unit = self.ground.units.lasting(&unit_name(self.at))?;
            let entry = unit.entry.as_ref().filter(|entry| self.is_same_source(entry));
            return entry.map(|entry| entry.options.clone());
        }
        match self.ground.fstab.lines_for(&self.scene.names(self.address), &[self.at]).as_slice() {
            [line] => line.entry.as_ref().filter(|entry| self.is_same_source(entry)).map(|entry| entry.options.clone()),
            _ => None,
        }
    }

    /// The option that stands for an attribute whose changes are ignored, as it is in force, else as the line in fstab has it.
    fn kept(&self, attribute: &str, option: &str) -> Option<String> {
        if !self.block.lifecycle.ignore_changes.contains(attribute) {
            return None;
        }
        let live = match self.mounted() {
            Mounted::Ours(mount) => mount.option(option).map(str::to_owned),
            _ => None,
        };
        let of_line = || {
            let options = self.options_of_line()?;
            options.iter().find_map(|one| one.strip_prefix(option)?.strip_prefix('=').map(str::to_owned))
        };
        Some(format!("{option}={}", live.or_else(of_line)?))
    }

    fn ignores_options(&self) -> bool {
        self.block.lifecycle.ignore_changes.contains("options")
    }

    /// The options of the line in fstab, where changes of them are ignored.
    pub(super) fn options_that_stay(&self) -> Option<Vec<String>> {
        self.options_of_line().filter(|_| self.ignores_options())
    }

    /// The options in force that are not as wanted, and the remount that mends them.
    pub(super) fn remount(&self, mount: &Mount) -> Option<Difference> {
        let options = if self.ignores_options() { self.fixed_options() } else { self.options() };
        let wanted: Vec<&str> = options
            .iter()
            .map(String::as_str)
            .filter(|option| !is_for_boot_only(option) && *option != "bind")
            .collect();
        let inherited = match &self.source {
            // A bind mount takes over the flags of the mount that its source lies in.
            Source::Bind { source } => self.ground.mounts.containing(source),
            _ => None,
        };
        let (missing, mut surplus) = option_differences(&wanted, mount, inherited);
        if self.ignores_options() {
            surplus.clear();
        }
        // What the client and the server have agreed on stays until it is mounted anew.
        let is_agreed = match &self.source {
            Source::Nfs(_) => missing.iter().any(|option| !is_flag(option)),
            // mount.cifs takes no flag alone.
            source => source.is_network(),
        };
        if is_agreed && !(missing.is_empty() && surplus.is_empty()) {
            let lifted = surplus.iter().filter_map(|flag| opposite(flag));
            let want = missing.iter().copied().chain(lifted).collect::<Vec<_>>().join(",");
            return Some(self.renew(mount, "options", shown_options(mount), want));
        }
        if missing.is_empty() && surplus.is_empty() {
            return None;
        }
        let mut words: Vec<&str> = vec!["remount"];
        if matches!(self.source, Source::Bind { .. }) {
            words.push("bind");
        }
        // uid, gid and mode of a tmpfs are permissions of its root; a remount does not take them.
        // Of the network, mount(8) finds what was agreed on in fstab or among the mounts: given twice, it is refused.
        let is_taken = |option: &&&str| match self.source.is_network() {
            true => is_flag(option),
            false => !["uid=", "gid=", "mode="].iter().any(|prefix| option.starts_with(prefix)),
        };
        words.extend(wanted.iter().filter(is_taken));
        words.extend(surplus.iter().filter_map(|flag| opposite(flag)));
        if self.ignores_options() {
            // A remount takes off the flags that it does not name.
            words.extend(FLAGS.iter().map(|(on, _)| *on).filter(|on| mount.has_option_of_mount(on)));
        }
        if let Some(hazard) = self.shrinks_below_content(&missing) {
            return Some(Difference::new("options", shown_options(mount), missing.join(","), Remedy::Never(hazard)));
        }
        // With the source named, mount(8) takes nothing over from fstab.
        let source = (self.ignores_options() && !self.source.is_network()).then_some(mount.source.as_str());
        let becomes_readonly = missing.contains(&"ro");
        let mut guard = vec![self.ground.mounts.guard(self.at)];
        if becomes_readonly {
            guard.push(open_files::nobody(&[self.at.to_owned()]));
        }
        let draft = Draft::new(
            "remount",
            format!("remount {} with {}", self.at, words[1..].join(",")),
            Command::new(["mount", "-o", &words.join(","), "--"].into_iter().chain(source).chain([self.at])),
        )
        .guarded(guard)
        .with_impact(Impact::Remount)
        .undone_by(Command::new(["mount", "-o", &format!("remount,{}", mount.options), "--", self.at]));
        let have = shown_options(mount);
        let want = missing
            .iter()
            .copied()
            .map(str::to_owned)
            .chain(surplus.iter().filter_map(|flag| opposite(flag)).map(str::to_owned))
            .collect::<Vec<_>>()
            .join(",");
        let remedy = match self.in_use(self.at) {
            Ok(None) => Remedy::Run(vec![draft]),
            Ok(Some(hazard)) if becomes_readonly => Remedy::Never(hazard),
            Err(why) if becomes_readonly => Remedy::Never(self.hazard(
                HazardCode::InUse,
                format!("who uses {} on {} is not known: {why}", self.at, self.host),
                "Try again when the host answers.",
            )),
            _ => Remedy::Run(vec![draft]),
        };
        Some(Difference::new("options", have, want, remedy))
    }

    /// Whose a share looks is said when it is mounted: to chown(1) and chmod(1) it would say yes and do nothing.
    fn cifs_options(&self, cifs: &Cifs) -> Vec<String> {
        let wanted = self.wanted_root();
        let reads_only = cifs.reads_only.then(|| "ro".to_owned());
        // What is left alone has to be something when it is mounted for the first time.
        let facts = self.scene.host(self.host);
        let number = |name: &str, read: fn(&HostFacts, &str) -> Known<Option<u32>>| {
            self.block.text(name).and_then(|name| read(facts, name).ok().flatten())
        };
        let first = Permissions {
            uid: number("owner", people::read_user),
            gid: number("group", people::read_group),
            mode: self.block.mode("mode"),
        };
        let mode = wanted.mode.or(first.mode).map_or(0o755, |mode| mode.bits());
        let all = [
            format!("credentials={}", credentials_path(self.address)),
            format!("vers={}", cifs.version),
            self.kept("owner", "uid").unwrap_or_else(|| format!("uid={}", wanted.uid.or(first.uid).unwrap_or(0))),
            self.kept("group", "gid").unwrap_or_else(|| format!("gid={}", wanted.gid.or(first.gid).unwrap_or(0))),
            self.kept("mode", "file_mode").unwrap_or_else(|| format!("file_mode=0{:o}", mode & 0o666)),
            self.kept("mode", "dir_mode").unwrap_or_else(|| format!("dir_mode=0{mode:o}")),
            // Locks of byte ranges bind everybody there, and QEMU trips over its own.
            "nobrl".to_owned(),
        ];
        all.into_iter().chain(reads_only).collect()
    }

    /// A tmpfs cannot become smaller than what it holds.
    pub(super) fn shrinks_below_content(&self, missing: &[&str]) -> Option<Hazard> {
        let Source::Tmpfs { size } = &self.source else { return None };
        let is_resized = missing.iter().any(|option| option.starts_with("size="));
        let space = space::read(self.scene.host(self.host), self.at).ok().filter(|_| is_resized)?;
        let used = space.size.saturating_sub(space.free);
        (used > size.0).then(|| {
            self.hazard(
                HazardCode::Shrink,
                format!("the tmpfs {} on {} holds {}, more than {size}", self.at, self.host, Size(used).rounded()),
                "Delete what is not needed there, or choose a larger size.",
            )
        })
    }
}

/// The flags of a mount that are either on or off, and what turns each off (mount(8), "file-system-independent mount options").
pub(in crate::kinds) const FLAGS: [(&str, &str); 8] = [
    ("ro", "rw"),
    ("nosuid", "suid"),
    ("nodev", "dev"),
    ("noexec", "exec"),
    ("noatime", "relatime"),
    ("nodiratime", "diratime"),
    ("sync", "async"),
    ("nosymfollow", "symfollow"),
];

pub(super) fn opposite(flag: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(on, _)| *on == flag).map(|(_, off)| *off)
}

/// Whether an option is a flag of the mount, which a remount changes whatever the file system is.
fn is_flag(option: &str) -> bool {
    FLAGS.iter().any(|(on, off)| *on == option || *off == option)
}

/// Wanted options that are not in force, and flags in force that nobody wants.
pub(in crate::kinds) fn option_differences<'a>(
    wanted: &[&'a str],
    mount: &Mount,
    inherited: Option<&Mount>,
) -> (Vec<&'a str>, Vec<&'static str>) {
    let in_force = |option: &str| -> bool {
        if let Some((on, _)) = FLAGS.iter().find(|(_, off)| *off == option) {
            return !mount.has_option(on);
        }
        match option.split_once('=') {
            // tmpfs shows its size in KiB.
            Some(("size", value)) => {
                let bytes = |text: &str| text.parse::<Size>().ok().map(|size| size.0.div_ceil(4096));
                mount.option("size").is_some_and(|have| bytes(have) == bytes(value))
            }
            // Permissions of the root directory of a tmpfs are compared as such.
            Some(("uid" | "gid" | "mode", _)) if mount.fstype == "tmpfs" => true,
            // Not kept by the kernel: where the password stands, what a mount tries at first, whose name the host has.
            Some((
                "credentials" | "cred" | "retry" | "ip" | "addr" | "clientaddr" | "port" | "mountport" | "iocharset",
                _,
            )) => true,
            Some(("nfsvers", version)) => mount.option("vers") == Some(version),
            Some(("file_mode" | "dir_mode", mode)) => {
                let bits = |text: &str| u16::from_str_radix(text, 8).ok();
                option
                    .split_once('=')
                    .and_then(|(name, _)| mount.option(name))
                    .is_some_and(|have| bits(have) == bits(mode))
            }
            // The server may want smaller pieces than it is asked for.
            Some((name @ ("rsize" | "wsize"), bytes)) => {
                let number = |text: &str| text.parse::<u64>().ok();
                mount.option(name).and_then(number) <= number(bytes) && mount.option(name).is_some()
            }
            Some(("vers", version)) if mount.fstype == "cifs" => {
                // The kernel shows 3.0.2 in its own way.
                let have = mount.option("vers").map(|have| if have == "3.02" { "3.0.2" } else { have });
                have.is_some_and(|have| have == version || version == "default")
            }
            _ => {
                // No kernel since 2.6.25 has the last two (nfs(5)).
                matches!(
                    option,
                    "atime" | "silent" | "loud" | "fg" | "brl" | "auto" | "guest" | "sfu" | "intr" | "nointr"
                ) || mount.has_option(option)
            }
        }
    };
    let missing = wanted.iter().copied().filter(|option| !in_force(option)).collect();
    let is_wanted = |flag: &str| wanted.contains(&flag) || inherited.is_some_and(|parent| parent.has_option(flag));
    let surplus = FLAGS
        .iter()
        .map(|(on, _)| *on)
        .filter(|on| mount.options.split(',').any(|one| one == *on) && !is_wanted(on))
        .collect();
    (missing, surplus)
}

pub(super) fn shown_options(mount: &Mount) -> String {
    match mount.super_options.is_empty() || mount.super_options == "rw" {
        true => mount.options.clone(),
        false => format!("{} ({})", mount.options, mount.super_options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ask::mounts;

    fn mount(options: &str, super_options: &str) -> Mount {
        let line = format!("1 2 0:30 / /srv/x {options} - tmpfs tmpfs {super_options}");
        let reply = crate::model::Reply { status: 0, out: format!("{line}\n"), err: String::new() };
        let facts = crate::model::HostFacts::Reached([(mounts::question(), crate::model::Answer::Said(reply))].into());
        mounts::read(&facts).expect("one mount").0.remove(0)
    }

    /// Wanted options, options of the mount and of its file system, what is missing, what is surplus.
    type Row<'a> = (&'a [&'a str], &'a str, &'a str, &'a [&'a str], &'a [&'a str]);

    #[test]
    fn options_are_compared_by_meaning() {
        let table: &[Row] = &[
            (&[], "rw,relatime", "rw", &[], &[]),
            (&["noatime"], "rw,noatime", "rw", &[], &[]),
            (&["noatime"], "rw,relatime", "rw", &["noatime"], &[]),
            (&[], "ro,relatime", "rw", &[], &["ro"]),
            (&["ro"], "rw,relatime", "rw", &["ro"], &[]),
            (&["rw"], "ro,relatime", "ro", &["rw"], &["ro"]),
            (&["size=67108864"], "rw", "rw,size=65536k,mode=770", &[], &[]),
            (&["size=67108864"], "rw", "rw,size=131072k", &["size=67108864"], &[]),
            (&["discard"], "rw", "rw,attr2,discard,noquota", &[], &[]),
            (&["nodev", "exec"], "rw,nosuid,nodev,noexec", "rw", &["exec"], &["nosuid", "noexec"]),
        ];
        for (wanted, options, super_options, missing, surplus) in table {
            let found = option_differences(wanted, &mount(options, super_options), None);
            assert_eq!(found, (missing.to_vec(), surplus.to_vec()), "{wanted:?} against {options} {super_options}");
        }
    }

    #[test]
    fn a_bind_mount_inherits_the_flags_of_its_source() {
        let parent = mount("rw,nosuid,nodev", "rw");
        assert_eq!(
            option_differences(&[], &mount("rw,nosuid,nodev,noexec", "rw"), Some(&parent)),
            (vec![], vec!["noexec"])
        );
    }
}
