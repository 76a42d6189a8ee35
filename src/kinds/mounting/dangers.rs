//! Mount options that work against guests, and options that contradict each other. What somebody writes is done; what it means
//! for guests is said, and what may damage an image in silence waits until it is accepted.

use super::{Look, Source};
use crate::kinds::kind_of;
use crate::model::block::Attributes;
use crate::model::{Block, Hazard, HazardCode, Problem, Problems};

/// What an option of one sort of volume leads to, and what to do instead.
struct Danger {
    sort: &'static str,
    options: &'static [&'static str],
    means: &'static str,
    cure: &'static str,
}

/// From nfs(5), ext4(5), btrfs(5).
const DANGERS: [Danger; 4] = [
    Danger {
        sort: "nfs",
        options: &["soft", "softerr"],
        means: "when the server is slow, guests see I/O errors, make their file systems read-only, and may lose what they wrote without a word",
        cure: "Remove it: `hard` is the default, and waits for the server.",
    },
    Danger {
        sort: "device",
        options: &["nobarrier", "barrier=0"],
        means: "a power cut may destroy what guests were told is on the disk",
        cure: "Remove it. A controller with a battery makes barriers cheap by itself.",
    },
    Danger {
        sort: "device",
        options: &["data=writeback"],
        means: "after a crash images may show old content of other files",
        cure: "Remove it: the default writes data before what refers to it.",
    },
    Danger {
        sort: "device",
        options: &["errors=panic", "errors=continue"],
        means: "an error of this disk stops the host with all its guests, or damage spreads while they go on",
        cure: "Write \"errors=remount-ro\".",
    },
];

/// Options of which one at most can be in force, besides `x` and `nox`, and one key with two values.
const ONE_OF: [&[&str]; 6] = [
    &["hard", "soft", "softerr"],
    &["noatime", "relatime", "strictatime", "atime", "norelatime"],
    &["rw", "ro"],
    &["sync", "async"],
    &["vers", "nfsvers"],
    &["barrier", "nobarrier"],
];

fn key(option: &str) -> &str {
    option.split('=').next().unwrap_or_default()
}

/// Whether two options cannot both be.
pub(super) fn exclude_each_other(one: &str, other: &str) -> bool {
    let (first, second) = (key(one), key(other));
    let is_negation = |no: &str, yes: &str| no.strip_prefix("no") == Some(yes);
    // What begins so may stand several times (systemd.mount(5)).
    let may_repeat = first.starts_with("x-") || first == "comment";
    one != other
        && !may_repeat
        && (first == second
            || is_negation(first, second)
            || is_negation(second, first)
            || ONE_OF.iter().any(|group| group.contains(&first) && group.contains(&second)))
}

/// What the options of a block mean for its guests, and where they contradict each other.
pub(super) fn check_options(block: &Block) -> Problems {
    let options = block.texts("options");
    let mut problems = Problems::new();
    for (at, option) in options.iter().enumerate() {
        let name = key(option);
        let before = options[..at].iter().find(|before| exclude_each_other(before, option));
        if let Some(before) = before {
            problems.push(
                Problem::error(
                    "conflicting-options",
                    format!("the options {} and {name} contradict each other", key(before)),
                    "Keep one of them: which one would be in force is not the same everywhere.",
                )
                .at(block.place_of("options")),
            );
        }
        let nfs = block.nested("nfs");
        let is_version_4 = nfs.is_some_and(|nfs| nfs.text("version").is_none_or(|version| version.starts_with('4')));
        if is_version_4 && matches!(name, "nolock" | "lock" | "local_lock") {
            problems.push(
                Problem::error(
                    "conflicting-options",
                    format!("the option {name} is for version 3 of NFS"),
                    "Locks are part of version 4: remove the option, or set version = \"3\".",
                )
                .at(block.place_of("options")),
            );
        }
        let danger =
            DANGERS.iter().find(|one| block.nested(one.sort).is_some() && one.options.contains(&option.as_str()));
        if let Some(danger) = danger {
            problems.push(
                Problem::warning("risky-option", format!("with the option {option}, {}", danger.means), danger.cure)
                    .at(block.place_of("options")),
            );
        }
    }
    problems
}

impl Look<'_> {
    /// Options without which several hosts could not keep out of each other's way.
    pub(super) fn hides_hosts_from_each_other(&self) -> Option<Hazard> {
        let hosts = kind_of(self.address)?.hosts(self.block, self.scene.blocks).len();
        let options = self.options();
        let found = options.iter().find(|option| match &self.source {
            Source::Nfs(_) => matches!(option.as_str(), "nolock" | "local_lock=all" | "local_lock=posix"),
            Source::Cifs(cifs) => option.as_str() == "cache=loose" && !cifs.reads_only,
            _ => false,
        });
        let option = found.filter(|_| hosts > 1)?;
        let what = match &self.source {
            Source::Nfs(_) => "locks are not seen by the other hosts: two guests may write one image",
            _ => "what the other hosts write is not seen: two of them may destroy each other's images",
        };
        Some(self.hazard(
            HazardCode::SplitBrain,
            format!("{} would be mounted on {hosts} hosts with {option}: {what}", self.at),
            format!(
                "Remove {option} from `options`, or accept it in the block: lifecycle {{ accept = [\"split-brain\"] }}."
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_cannot_both_be_are_known() {
        let table = [
            ("hard", "soft", true),
            ("softerr", "soft", true),
            ("ro", "rw", true),
            ("nodev", "dev", true),
            ("exec", "noexec", true),
            ("timeo=300", "timeo=600", true),
            ("timeo=300", "timeo=300", false),
            ("noatime", "relatime", true),
            ("noatime", "nodiratime", false),
            ("barrier=0", "barrier", true),
            ("nobarrier", "barrier=1", true),
            ("nofail", "noexec", false),
            ("brl", "nobrl", true),
            ("vers=3", "nfsvers=4.2", true),
            ("hard", "timeo=300", false),
            ("x-systemd.requires=a.service", "x-systemd.requires=b.service", false),
        ];
        for (one, other, expected) in table {
            assert_eq!(exclude_each_other(one, other), expected, "{one} and {other}");
            assert_eq!(exclude_each_other(other, one), expected, "{other} and {one}");
        }
    }
}
