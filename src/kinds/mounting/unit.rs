//! What mounts a volume at boot where `persist` is "systemd": a mount unit of its own (systemd.mount(5)). Units of somebody
//! else are never changed; what would bring a volume back goes with its block.

use super::{Look, Mounted, Source, clustered, file_system};
use crate::kinds::ask::fstab::{self, Entry};
use crate::kinds::ask::units::{self, Unit, escape_path, unit_name};
use crate::kinds::verdict::{Difference, Draft, Edit, Remedy, Verdict};
use crate::model::block::Attributes;
use crate::model::{Address, Command, HazardCode};

/// Longest name that a unit may have (systemd.unit(5)).
const LONGEST_NAME: usize = 255;

impl Look<'_> {
    fn persists_in(&self, word: &str) -> bool {
        self.block.text("persist") == Some(word) && self.source != Source::Directory
    }

    /// What pulls the unit in at boot.
    fn boot_target(&self) -> &'static str {
        match self.needs_network() {
            true => "remote-fs.target",
            false => "local-fs.target",
        }
    }

    /// The unit that the volume is to have, if any.
    fn wanted_unit(&self, uuid: Option<&str>) -> Option<Entry> {
        let mut entry = self.boot_entry(uuid).filter(|_| self.persists_in("systemd"))?;
        // systemd waits for a device by its path; what mount(8) alone understands, it would not wait for.
        if let Some(uuid) = entry.source.strip_prefix("UUID=") {
            entry.source = format!("/dev/disk/by-uuid/{uuid}");
        }
        // In a unit stands what the option says.
        entry.options.retain(|option| option != clustered::ORDER);
        Some(entry)
    }

    /// The text of the unit. `nofail` and `_netdev` among the options make systemd only want it, and order it as fstab's.
    fn unit_text(&self, entry: &Entry) -> Result<String, String> {
        let options = entry.options.join(",");
        let values = [&entry.source, &entry.target, &options];
        let cannot_stand = |text: &&&String| {
            text.chars().any(char::is_control) || text.trim() != text.as_str() || text.ends_with('\\')
        };
        if let Some(value) = values.iter().find(cannot_stand) {
            return Err(format!("{value:?} cannot stand in a unit"));
        }
        let [source, target, options] = values.map(|value| value.replace('%', "%%"));
        let mut text = format!(
            "# Larder wrote this and puts it back.\n[Unit]\nDescription={}\n",
            self.address.to_string().replace('%', "%%")
        );
        if self.clustered.is_some() {
            text.push_str(&format!("Requires={0}\nAfter={0}\n", clustered::SERVICE));
        }
        if self.needs_network() {
            text.push_str("Wants=network-online.target\nAfter=network-online.target\n");
        }
        if file_system(&entry.fstype).is_some_and(|one| one.pass > 0) {
            let check = format!("systemd-fsck@{}.service", escape_path(&entry.source));
            text.push_str(&format!("Requires={check}\nAfter={check}\n"));
        }
        text.push_str(&format!(
            "\n[Mount]\nWhat={source}\nWhere={target}\nType={}\nOptions={options}\nTimeoutSec=90s\n\n[Install]\nWantedBy={}\n",
            entry.fstype,
            self.boot_target()
        ));
        Ok(text)
    }

    /// Brings what mounts the volume at boot to what it is to be: its unit and its line in fstab, of which only one may be.
    pub(super) fn tidy_boot(&self, verdict: &mut Verdict, uuid: Option<&str>) {
        // What replaces the other is there before the other goes.
        if self.persists_in("systemd") {
            self.tidy_unit(verdict, uuid);
            self.tidy_fstab(verdict, None);
        } else {
            self.tidy_fstab(verdict, self.fstab_entry(uuid));
            self.tidy_unit(verdict, uuid);
        }
    }

    fn tidy_unit(&self, verdict: &mut Verdict, uuid: Option<&str>) {
        let name = unit_name(self.at);
        if self.persists_in("systemd") && !self.can_have_a_unit(verdict, &name) {
            return;
        }
        let names = self.scene.names(self.address);
        let mut left_over = Vec::new();
        for unit in self.ground.units.marked(&names).filter(|unit| unit.name() != name) {
            let target = unit.entry.as_ref().map(|entry| entry.target.as_str()).unwrap_or_default();
            if !self.was_at(target) {
                verdict.hazards.push(self.hazard(
                    HazardCode::Foreign,
                    format!("{} on {} is a unit of {} for {target}, which this state knows nothing of", unit.path, self.host, self.address),
                    "Another configuration has a resource of that name there: rename this one. If the unit is left over, disable it and remove it by hand.",
                ));
                return;
            }
            left_over.push(unit);
        }
        let there = self.ground.units.lasting(&name);
        match there {
            Some(unit) if unit.id().is_some_and(|id| names.contains(&id)) && unit.is_the_administrators() => {
                self.tidy_own_unit(verdict, Some(unit), uuid);
            }
            Some(unit) => {
                self.respect_unit(verdict, unit, uuid);
            }
            None => self.tidy_own_unit(verdict, None, uuid),
        }
        for unit in left_over {
            self.remove_unit(verdict, unit);
        }
    }

    /// Whether the host can keep a mount unit of that name for the volume; why not becomes a hazard.
    fn can_have_a_unit(&self, verdict: &mut Verdict, name: &str) -> bool {
        let why = if !self.ground.system.runs_systemd || !self.ground.system.has("systemctl") {
            format!("{} does not run systemd", self.host)
        } else if name.len() > LONGEST_NAME {
            format!(
                "the name of the mount unit of {} would have {} bytes; {LONGEST_NAME} are possible",
                self.at,
                name.len()
            )
        } else {
            return true;
        };
        verdict.hazards.push(self.hazard(
            HazardCode::Unsupported,
            why,
            "Set persist = \"fstab\", or \"none\" if it need not come back after a boot.",
        ));
        false
    }

    /// The unit that is the volume's, or is to be.
    fn tidy_own_unit(&self, verdict: &mut Verdict, have: Option<&Unit>, uuid: Option<&str>) {
        let Some(wanted) = self.wanted_unit(uuid) else {
            let stays = self.block.lifecycle.ignore_changes.contains("persist");
            if let Some(unit) = have.filter(|_| !stays) {
                self.remove_unit(verdict, unit);
            }
            return;
        };
        let name = unit_name(self.at);
        if let Some(file) = self.ground.units.overridden_by(&name) {
            verdict.hazards.push(self.hazard(
                HazardCode::Foreign,
                format!("{file} on {} changes what the mount unit of {} does", self.host, self.at),
                "Remove it: what it says belongs into `options` and the other words of the block.",
            ));
            return;
        }
        let text = match self.unit_text(&wanted) {
            Ok(text) => text,
            Err(why) => {
                verdict.hazards.push(self.hazard(
                    HazardCode::Unsupported,
                    format!("{} on {} can have no mount unit: {why}", self.at, self.host),
                    "Set persist = \"fstab\".",
                ));
                return;
            }
        };
        let target = self.boot_target();
        let link = format!("{}/{target}.wants/{name}", units::DIRECTORY);
        let is_enabled = self.ground.units.enabled_by(&name).any(|one| one == link);
        let old = have.and_then(|unit| unit.text.clone());
        if let Some(unit) = have {
            verdict.observed.insert("unit".to_owned(), self.shown_unit(unit));
        }
        let is_same = old.as_ref() == Some(&text) && have.is_some_and(|unit| unit.link.is_none());
        if is_same && is_enabled {
            return;
        }
        let is_there = have.is_some() || matches!(self.mounted(), Mounted::Ours(_));
        if is_there && self.block.lifecycle.ignore_changes.contains("persist") {
            let id = have.and_then(|unit| unit.id()?.parse::<Address>().ok());
            verdict.formerly.extend(id.filter(|id| id != self.address));
            return;
        }
        let shown = match (have, is_same) {
            (None, _) => "absent".to_owned(),
            (Some(_), true) => format!("not wanted by {target}"),
            (Some(_), false) => "with another text".to_owned(),
        };
        let summary = match (have, is_same) {
            (None, _) => format!("write the mount unit of {} and enable it", self.at),
            (Some(_), true) => format!("enable the mount unit of {}", self.at),
            (Some(_), false) => format!("change the mount unit of {}", self.at),
        };
        let path = format!("{}/{name}", units::DIRECTORY);
        let write = |old: &str, new: &str| Command::new(["write_mount_unit", &name, target, old]).with_stdin(new);
        let before = old.clone().unwrap_or_default();
        let draft = Draft::new("unit", summary, write(&before, &text));
        let draft = match &old {
            None => draft.undone_by(Command::new(["remove_mount_unit", &name, &text])),
            Some(old) => draft.undone_by(write(&text, old)),
        };
        let draft = draft.editing(Edit::Whole { path: path.clone(), before, after: text });
        let draft = if self.stays_mounted(verdict) { draft } else { draft.rolling_back() };
        verdict.differences.push(Difference::new(
            "unit",
            shown,
            format!("{path}, wanted by {target}"),
            Remedy::Run(vec![draft]),
        ));
    }

    /// A unit for the path that is not Larder's: left as it is, if it does what the block says.
    fn respect_unit(&self, verdict: &mut Verdict, unit: &Unit, uuid: Option<&str>) {
        let name = unit.name();
        let is_enabled = self.ground.units.enabled_by(name).next().is_some();
        let is_none = self.persists_in("none");
        let shown = unit.entry.as_ref().map_or_else(
            || "something that cannot be read".to_owned(),
            |entry| format!("{} ({})", entry.source, entry.fstype),
        );
        let is_left_alone =
            self.block.lifecycle.ignore_changes.contains("persist") && matches!(self.mounted(), Mounted::Ours(_));
        // A directory volume may lie on a mount of the administrator's.
        if self.source == Source::Directory || is_left_alone && unit.id().is_none() {
            return;
        }
        let (what, cure) = if let Some(other) = unit.id() {
            (
                format!("the mount unit {} on {} belongs to {other}", unit.path, self.host),
                "Another resource or configuration manages this mount point. Remove it there, or choose another mount_point.".to_owned(),
            )
        } else if unit.is_masked() {
            if is_none {
                return;
            }
            (
                format!("the mount unit of {} is masked on {}: nothing mounts it at boot", self.at, self.host),
                format!("Unmask it with `systemctl unmask -- '{name}'`, or set persist = \"none\"."),
            )
        } else if let Some(wanted) = self.wanted_unit(uuid) {
            let does_the_same = unit.entry.as_ref().is_some_and(|entry| self.is_entry_the_same(entry, &wanted));
            match (does_the_same, self.ground.units.overridden_by(name)) {
                (true, None) if is_enabled => {
                    verdict.observed.insert("unit".to_owned(), self.shown_unit(unit));
                    return;
                }
                (true, None) => (
                    format!("the mount unit {} on {} is somebody else's, and nothing enables it", unit.path, self.host),
                    format!(
                        "Enable it with `systemctl enable -- '{name}'`, or remove it so that Larder writes its own."
                    ),
                ),
                (_, Some(file)) => (
                    format!("{file} on {} changes what the mount unit of {} does", self.host, self.at),
                    "Remove it, if it does not belong there.".to_owned(),
                ),
                (false, None) => (
                    format!("the mount unit {} on {} is somebody else's and mounts {shown}", unit.path, self.host),
                    format!("Disable and remove it: `systemctl disable -- '{name}'`. Or choose another mount_point."),
                ),
            }
        } else if is_none && !is_enabled {
            return;
        } else {
            (
                format!(
                    "{} on {} has the mount unit {}, which mounts {shown} at boot whatever /etc/fstab says",
                    self.at, self.host, unit.path
                ),
                format!(
                    "If it is the volume, set persist = \"systemd\"; else disable and remove it: `systemctl disable -- '{name}'`."
                ),
            )
        };
        verdict.observed.insert("unit".to_owned(), self.shown_unit(unit));
        verdict.differences.push(Difference::new(
            "unit",
            self.shown_unit(unit),
            if self.persists_in("systemd") { "a unit that does what the block says" } else { "none" },
            Remedy::Never(self.hazard(HazardCode::Foreign, what, cure)),
        ));
    }

    fn shown_unit(&self, unit: &Unit) -> String {
        let lines = unit.text.as_deref().unwrap_or("no text").lines();
        let text = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect::<Vec<_>>().join("; ");
        let links: Vec<_> = self.ground.units.enabled_by(unit.name()).collect();
        let text = fstab::without_passwords(&text);
        if links.is_empty() { format!("{text} (disabled)") } else { text.into_owned() }
    }

    /// Takes a unit away; what is mounted stays mounted.
    pub(super) fn remove_unit(&self, verdict: &mut Verdict, unit: &Unit) {
        let (name, text) = (unit.name(), unit.text.clone().unwrap_or_default());
        verdict.observed.insert("unit".to_owned(), self.shown_unit(unit));
        if let Some(hazard) = self.password_within(&unit.path, std::slice::from_ref(&text)) {
            verdict.hazards.push(hazard);
            return;
        }
        let target = self.boot_target();
        let own = format!("{}/{target}.wants/{name}", units::DIRECTORY);
        let is_enabled_otherwise = self.ground.units.enabled_by(name).any(|link| link != own);
        let draft = Draft::new(
            "unit",
            format!("disable and remove the mount unit {}", unit.path),
            Command::new(["remove_mount_unit", name, &text]),
        );
        let draft = match is_enabled_otherwise {
            true => draft.without_inverse("other units want it too, and their links go with it"),
            false => draft.undone_by(Command::new(["write_mount_unit", name, target, ""]).with_stdin(&*text)),
        };
        let draft = draft.editing(Edit::Whole { path: unit.path.clone(), before: text, after: String::new() });
        // While nothing is mounted it alone would mount it: it comes back if what replaces it goes.
        let draft = if self.stays_mounted(verdict) || is_enabled_otherwise { draft } else { draft.rolling_back() };
        verdict.differences.push(Difference::new("unit", unit.path.clone(), "absent", Remedy::Run(vec![draft])));
    }

    /// The units that would bring the volume back when it has been taken away.
    pub(super) fn units_of_it(&self) -> Vec<&Unit> {
        let names = self.scene.names(self.address);
        let is_its = |unit: &&Unit| match unit.id() {
            Some(id) => names.contains(&id),
            None => {
                let entry = unit.entry.as_ref();
                entry.is_some_and(|entry| fstab::normalised(&entry.target) == self.at && self.is_same_source(entry))
            }
        };
        self.ground.units.all_lasting().filter(|unit| unit.is_the_administrators()).filter(is_its).collect()
    }

    /// Has systemd read its files again where it knows something else of the mount: it would take away at once what does not
    /// fit that.
    pub(super) fn reload_if_outdated(&self, verdict: &mut Verdict) {
        let name = unit_name(self.at);
        let is_read_anyway = verdict.drafts().any(|draft| matches!(draft.action, "fstab" | "unit"));
        if !self.ground.system.runs_systemd || is_read_anyway {
            return;
        }
        let is_of_another = |unit: &Unit| unit.entry.as_ref().is_some_and(|entry| !self.is_same_source(entry));
        let is_mounted = matches!(self.mounted(), Mounted::Ours(_));
        let is_outdated = self.ground.units.generated(&name).is_some_and(is_of_another)
            || !is_mounted && self.ground.units.is_outdated(&name);
        if !is_outdated {
            return;
        }
        let draft = Draft::new(
            "reload",
            "have systemd read its units and /etc/fstab again",
            Command::new(["systemctl", "daemon-reload"]),
        )
        .without_inverse("what systemd knew before is in no file");
        verdict.differences.push(Difference::new(
            "systemd",
            format!("knows an older {name}"),
            "what the files say",
            Remedy::Run(vec![draft]),
        ));
    }
}
