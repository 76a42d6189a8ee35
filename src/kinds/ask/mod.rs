//! What hosts are asked, and what their answers mean: one subject a file, each with its question, the constant remote
//! function behind it where one is needed, and a pure reading of the answer.
//! A reading never turns silence or a failure into "absent": it returns why the fact is unknown.

pub mod cluster_conf;
pub mod credentials;
pub mod device;
pub mod device_names;
pub mod fstab;
pub mod image_file;
pub mod image_listing;
pub mod iscsi;
pub mod media;
pub mod media_listing;
pub mod mounts;
pub mod multipath;
pub mod network_mounts;
pub mod nfs_volumes;
pub mod o2cb;
pub mod ocfs2;
pub mod open_files;
pub mod path;
pub mod people;
pub mod reflink;
pub mod samba;
pub mod selinux;
pub mod space;
pub mod system;
pub mod units;

use crate::model::{HostFacts, Reply};

/// Why a fact is not known.
pub type Unknown = String;

/// A fact, or why it is not known.
pub type Known<T> = Result<T, Unknown>;

/// The constant functions that questions use on the host, by name.
pub const FUNCTIONS: &[(&str, &str)] = &[
    ("asks_the_kernel_only", include_str!("asks_the_kernel_only.sh")),
    ("compare_credentials", include_str!("compare_credentials.sh")),
    ("device_facts", include_str!("device.sh")),
    ("device_names", include_str!("device_names.sh")),
    ("directory_entries", include_str!("entries.sh")),
    ("image_facts", include_str!("image.sh")),
    ("image_listing", include_str!("image_listing.sh")),
    ("mount_units", include_str!("mount_units.sh")),
    ("mounts_at", include_str!("mounts_at.sh")),
    ("network_mounts", include_str!("network_mounts.sh")),
    ("open_files_below", include_str!("open_files.sh")),
    ("can_read", include_str!("can_read.sh")),
    ("can_reflink", include_str!("can_reflink.sh")),
    ("media_facts", include_str!("media_facts.sh")),
    ("media_listing", include_str!("media_listing.sh")),
    ("can_use", include_str!("can_use.sh")),
    ("selinux_boolean", include_str!("selinux_boolean.sh")),
    ("system_facts", include_str!("system.sh")),
    ("writers_below", include_str!("writers.sh")),
    o2cb::FUNCTIONS[0],
    o2cb::FUNCTIONS[1],
    o2cb::FUNCTIONS[2],
    ocfs2::FUNCTION,
    samba::FUNCTIONS[0],
    samba::FUNCTIONS[1],
    samba::FUNCTIONS[2],
    samba::FUNCTIONS[3],
    samba::FUNCTIONS[4],
    samba::FUNCTIONS[5],
    samba::FUNCTIONS[6],
    samba::FUNCTIONS[7],
    samba::FUNCTIONS[8],
    iscsi::FUNCTIONS[0],
    iscsi::FUNCTIONS[1],
    iscsi::FUNCTIONS[2],
    iscsi::FUNCTIONS[3],
    iscsi::FUNCTIONS[4],
    iscsi::FUNCTIONS[5],
    iscsi::FUNCTIONS[6],
    iscsi::FUNCTIONS[7],
    iscsi::FUNCTIONS[8],
    iscsi::FUNCTIONS[9],
    iscsi::FUNCTIONS[10],
    multipath::FUNCTION,
    samba::FUNCTIONS[9],
];

/// The constant functions that steps on directories use on the host, by name.
pub const STEP_FUNCTIONS: &[(&str, &str)] = &[
    ("canary_remove", include_str!("canary_remove.sh")),
    ("canary_see", include_str!("canary_see.sh")),
    ("canary_write", include_str!("canary_write.sh")),
    ("check_access", include_str!("check_access.sh")),
    ("mount_as_before", include_str!("mount_as_before.sh")),
    ("mount_network", include_str!("mount_network.sh")),
    ("is_absent", include_str!("is_absent.sh")),
    ("is_still", include_str!("is_still.sh")),
    ("in_private", include_str!("in_private.sh")),
    ("keeps_times", include_str!("keeps_times.sh")),
    ("place_for_image", include_str!("place_for_image.sh")),
    ("sweep_private", include_str!("sweep_private.sh")),
    ("write_zeros", include_str!("write_zeros.sh")),
    ("with_image", include_str!("with_image.sh")),
    ("set_owner", include_str!("set_owner.sh")),
    ("set_mode", include_str!("set_mode.sh")),
    ("remove_empty_directories", include_str!("remove_empty.sh")),
    ("lock_mount_point", include_str!("lock_mount_point.sh")),
    ("unlock_mount_point", include_str!("unlock_mount_point.sh")),
    fstab::EDIT,
    credentials::STEP_FUNCTIONS[0],
    credentials::STEP_FUNCTIONS[1],
    credentials::STEP_FUNCTIONS[2],
    units::STEP_FUNCTIONS[0],
    units::STEP_FUNCTIONS[1],
];

/// The text of a file that steps edit, as the host told it; empty where the file is missing.
pub fn text_of(facts: &HostFacts, path: &str) -> Known<String> {
    match path {
        "/etc/fstab" => fstab::read(facts).map(|fstab| fstab.text),
        samba::CONFIGURATION => samba::read_configuration(facts),
        path => samba::read_file(facts, path).map(Option::unwrap_or_default),
    }
}

/// What a failed command said, for a sentence.
pub(super) fn failure(reply: &Reply) -> Unknown {
    let text = reply.err.trim();
    match text.lines().last() {
        Some(line) => format!("{line} (exit status {})", reply.status),
        None => format!("exit status {}", reply.status),
    }
}
