//! What can be wrong with the words of a block whose volume is mounted, whatever its hosts say.

use super::boot::is_for_boot_only;
use super::dangers::check_options;
use super::options::{FLAGS, option_differences};
use crate::kinds::ask::fstab;
use crate::kinds::ask::fstab::without_passwords;
use crate::kinds::ask::mounts::Mount;
use crate::kinds::ground;
use crate::model::block::Attributes;
use crate::model::{Block, Place, Problem, Problems};

/// The attributes that all of these kinds have: `mount_point`, `options`, `persist`.
pub(in crate::kinds) fn check_mount(block: &Block) -> Problems {
    let mut problems = ground::check_people(block);
    let mut error = |code: &str, summary: String, detail: &str, place: Option<&Place>| {
        problems.push(Problem::error(code, summary, detail).at(place))
    };
    if let Some(at) = block.text("mount_point").filter(|at| ground::belongs_to_the_system(at)) {
        error(
            "system-directory",
            format!("{at} belongs to the system"),
            "Choose a directory of its own.",
            block.place_of("mount_point"),
        );
    }
    let is_cifs = block.nested("cifs").is_some();
    let is_network = is_cifs || block.nested("nfs").is_some();
    for option in block.texts("options") {
        if is_larders_own(option) {
            error(
                "invalid-value",
                // Of `password=...` only the name.
                format!("the option {} is Larder's to give", option.split('=').next().unwrap_or_default()),
                instead_of(option),
                block.place_of("options"),
            );
        } else if !is_one_option(option) {
            error(
                "invalid-value",
                format!("{:?} is not one mount option", without_passwords(option)),
                "Write each option as an element of its own, without commas and white space.",
                block.place_of("options"),
            );
        } else if let Some(word) = stands_for(option) {
            error(
                "invalid-value",
                format!("the option {option} would go against `{word}`"),
                "Say it there.",
                block.place_of("options"),
            );
        } else if let Some(takes) = wrong_value(option, is_network, is_cifs) {
            error(
                "invalid-value",
                format!("the mount option {option} cannot be: {takes}"),
                "Correct the value, or remove the option.",
                block.place_of("options"),
            );
        } else if option.starts_with("x-systemd.") && block.text("persist") == Some("systemd") {
            error(
                "conflicting-attributes",
                format!("the option {option} has no effect in a mount unit"),
                "systemd reads such options in /etc/fstab only: remove it, or set persist = \"fstab\".",
                block.place_of("options"),
            );
        }
    }
    problems.extend(check_options(block));
    problems
}

fn is_one_option(option: &str) -> bool {
    !option.is_empty() && !option.contains([',', ' ', '\t', '\n'])
}

/// The word of the configuration that an option stands for: given in both places, one would win in silence.
fn stands_for(option: &str) -> Option<&'static str> {
    Some(match option.split_once('=')?.0 {
        "size" | "nr_blocks" => "size",
        "mode" | "file_mode" | "dir_mode" => "mode",
        "uid" => "owner",
        "gid" => "group",
        "vers" | "nfsvers" => "version",
        _ => return None,
    })
}

/// Options that say what kind of mount it is, when it is mounted, whose it is or who logs in.
fn is_larders_own(option: &str) -> bool {
    let key = option.split('=').next().unwrap_or_default();
    // Credentials among the options would stand in fstab, for everybody to read.
    let is_credential =
        matches!(key, "credentials" | "cred" | "password" | "pass" | "password2" | "username" | "dom" | "domain")
            || option.starts_with("user=");
    matches!(option, "remount" | "bind" | "move" | "bg" | "noauto")
        || is_credential
        || option.starts_with(fstab::ID_OPTION)
}

/// What to write in place of an option that is Larder's to give.
fn instead_of(option: &str) -> &'static str {
    match option.split('=').next().unwrap_or_default() {
        "credentials" | "cred" | "password" | "pass" | "password2" => {
            "Set `username` and `password` where the share is named: Larder writes them to a file that only root can read."
        }
        "username" | "user" => "Set `username` where the share is named.",
        "domain" | "dom" => "Set `domain` where the share is named.",
        "bg" => {
            "Remove it: a host boots without the server anyhow, and a mount that comes later is no mount yet when guests start."
        }
        "remount" => "Remove it: Larder remounts by itself where flags have changed.",
        "bind" => "A bind mount is a volume of its own: `bind { source = \"/data\" }`.",
        fstab::ID_OPTION => "Remove it: by this mark Larder knows its own lines.",
        "noauto" => "Remove it; `persist = \"none\"` mounts a volume only now.",
        _ => "Remove it.",
    }
}

/// What a known option of NFS or CIFS takes, where its value is something else (nfs(5), mount.cifs(8)). Unknown ones are mount(8)'s
/// affair.
fn wrong_value(option: &str, is_network: bool, is_cifs: bool) -> Option<String> {
    const NUMBERS: [&str; 16] = [
        "rsize",
        "wsize",
        "timeo",
        "retrans",
        "retry",
        "acregmin",
        "acregmax",
        "acdirmin",
        "acdirmax",
        "actimeo",
        "port",
        "mountport",
        "nconnect",
        "max_connect",
        "echo_interval",
        "max_channels",
    ];
    const WORDS: [(bool, &str, &[&str]); 3] = [
        (true, "cache", &["strict", "loose", "none", "singleclient", "ro"]),
        (false, "lookupcache", &["all", "none", "pos", "positive"]),
        (false, "local_lock", &["all", "flock", "posix", "none"]),
    ];
    let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
    if !is_network {
        return None;
    }
    if NUMBERS.contains(&name) && value.is_none_or(|value| value.parse::<u32>().is_err()) {
        return Some(format!("{name} takes a whole number"));
    }
    let (_, _, words) = WORDS.iter().find(|(of_cifs, word, _)| *of_cifs == is_cifs && *word == name)?;
    let is_one = value.is_some_and(|value| words.contains(&value));
    (!is_one).then(|| format!("{name} takes one of {}", words.join(", ")))
}

/// Whether an option of a line in fstab is one that a block would name: not one that is so anyhow, that speaks of the boot only,
/// or that attributes and nested blocks stand for.
pub(in crate::kinds) fn is_option_of_the_user(option: &str) -> bool {
    let key = option.split('=').next().unwrap_or_default();
    let is_default = FLAGS.iter().any(|(_, off)| *off == option) || matches!(option, "defaults" | "atime");
    let has_a_place = matches!(key, "size" | "mode" | "uid" | "gid" | "subvol" | "subvolid" | "rbind");
    is_one_option(option) && !is_larders_own(option) && !is_for_boot_only(option) && !is_default && !has_a_place
}

/// The flags of a mount that a block has to name: those that are neither a default nor taken over from the mount that its source
/// lies in.
pub(in crate::kinds) fn beyond_the_defaults(mount: &Mount, inherited: Option<&Mount>) -> Vec<&'static str> {
    option_differences(&[], mount, inherited).1
}

/// Names of servers, shares and users: what mount(8), fstab(5) and the file of credentials would read otherwise.
pub(in crate::kinds) fn check_network(nested: &impl Attributes) -> Problems {
    let mut problems = Problems::new();
    let mut refuse = |name: &str, is_wrong: &dyn Fn(&str) -> bool, summary: &str, cure: &str| {
        if nested.text(name).is_some_and(is_wrong) {
            problems.push(Problem::error("invalid-value", summary.to_owned(), cure).at(nested.place_of(name)));
        }
    };
    let is_no_server = |text: &str| {
        text.is_empty()
            || text.starts_with('-')
            || text.contains(':') && text.parse::<std::net::Ipv6Addr>().is_err()
            // Only an address is made of digits and dots.
            || text.chars().all(|c| c.is_ascii_digit() || c == '.') && text.parse::<std::net::Ipv4Addr>().is_err()
            || !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'))
    };
    refuse(
        "server",
        &is_no_server,
        "this is no name or address of a server",
        "Write it like \"nas.example\", \"10.0.0.5\" or \"fd00::5\".",
    );
    let is_no_share = |text: &str| text.is_empty() || text.contains(['/', '\\', ',', '\n', '\r', '\t']);
    refuse(
        "share",
        &is_no_share,
        "this is no name of a share",
        "The share is one name; a directory below it goes into `path`.",
    );
    let is_no_path = |text: &str| {
        text.starts_with('/')
            || text.ends_with('/')
            || text.contains(['\\', ',', '\n', '\r', '\t'])
            || !text.is_empty() && text.split('/').any(|part| matches!(part, "" | "." | ".."))
    };
    refuse(
        "path",
        &is_no_path,
        "this is no directory below a share",
        "Write it without slashes at its ends, like \"images/linux\".",
    );
    let is_no_line = |text: &str| text.is_empty() || text.chars().any(char::is_control);
    for name in ["username", "domain"] {
        refuse(name, &is_no_line, "this is empty or has control characters", "It must fit on one line.");
    }
    refuse("password", &str::is_empty, "the password is empty", "Say which one the server knows.");
    let has_breaks = |text: &str| text.chars().any(char::is_control);
    refuse(
        "password",
        &has_breaks,
        "the password has a line break or another control character",
        "It must fit on one line. At the end of a file, `trimspace(...)` takes a line break off.",
    );
    let is_no_export = |text: &str| text.chars().any(|c| c.is_control() || c == ',');
    refuse(
        "export",
        &is_no_export,
        "this is no directory that can be mounted",
        "Commas and control characters have no place in it.",
    );
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_be_is_found_and_an_unknown_option_is_not() {
        let table = [
            ("rsize", false, Some("rsize takes a whole number")),
            ("rsize=big", false, Some("rsize takes a whole number")),
            ("timeo=-3", false, Some("timeo takes a whole number")),
            ("timeo=300", false, None),
            ("cache=lose", true, Some("cache takes one of strict, loose, none, singleclient, ro")),
            ("cache=loose", true, None),
            ("cache=lose", false, None),
            ("lookupcache=some", false, Some("lookupcache takes one of all, none, pos, positive")),
            ("hrad", false, None),
            ("unheard=of", true, None),
        ];
        for (option, is_cifs, expected) in table {
            assert_eq!(wrong_value(option, true, is_cifs).as_deref(), expected, "{option}");
            assert_eq!(wrong_value(option, false, is_cifs), None, "{option}");
        }
    }

    #[test]
    fn each_option_that_is_larders_own_has_a_cure_of_its_own() {
        let table = [
            ("username=u", "`username`"),
            ("user=u", "`username`"),
            ("password=p", "`password`"),
            ("credentials=/x", "`password`"),
            ("domain=d", "`domain`"),
            ("bg", "boots without the server"),
            ("remount", "by itself"),
            ("bind", "bind {"),
            ("x-larder.id=a.b", "mark"),
            ("noauto", "persist"),
        ];
        for (option, words) in table {
            assert!(is_larders_own(option), "{option}");
            assert!(instead_of(option).contains(words), "{option}: {}", instead_of(option));
        }
    }
}
