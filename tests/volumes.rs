//! Volumes on container hosts: created, drifted, changed, moved, taken away; each plan exact, each second plan empty.

mod common;

use common::{Site, actions, change, storage};

#[test]
fn a_volume_lives_through_its_whole_life() {
    let site = Site::up(&["hv1", "hv2"]);
    let volume = |extra: &str| {
        format!(
            "{}external_volume \"ram\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {{\n    size = \"16MiB\"\n  }}\n{extra}}}\n",
            storage(&["hv1", "hv2"])
        )
    };
    let before = site.snapshot("hv1");
    site.write(&volume(""));
    let plan = site.plan();
    assert_eq!(change(&plan, "external_volume.ram")["action"], "create");
    assert_eq!(actions(&plan, "external_volume.ram", "hv1"), ["mkdir", "lock", "fstab", "mount", "check-access"]);
    site.apply();
    site.sh("hv1", "chmod 0700 /srv/ram");
    let plan = site.plan();
    assert_eq!(plan["drift"].as_array().map(Vec::len), Some(1), "{plan:#}");
    assert_eq!(actions(&plan, "external_volume.ram", "hv1"), ["chmod", "check-access"]);
    assert!(actions(&plan, "external_volume.ram", "hv2").is_empty());
    site.apply();
    site.write(&volume("  options = [\"noexec\"]\n"));
    let plan = site.plan();
    assert_eq!(actions(&plan, "external_volume.ram", "hv2"), ["remount", "fstab", "check-access"]);
    site.apply();
    site.write(&storage(&["hv1", "hv2"]));
    assert_eq!(change(&site.plan(), "external_volume.ram")["action"], "destroy");
    site.apply();
    site.write(&common::hosts(&["hv1", "hv2"]));
    site.apply();
    assert_eq!(site.snapshot("hv1"), before);
}
