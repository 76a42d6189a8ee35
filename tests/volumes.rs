//! Volumes on container hosts: created, drifted, changed, moved, taken away; each plan exact, each second plan empty.

mod common;

use common::{Site, actions, assert_hazard, change, edits, storage};

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

/// A storage over some of the hosts, and one of `hv1` alone, all of `hv1`, `hv2` and `hv3` being declared.
fn site(members: &[&str], blocks: &str) -> String {
    let members = members.iter().map(|name| format!("host.{name}")).collect::<Vec<_>>().join(", ");
    let storage = |name: &str, members: &str| {
        format!(
            "image_storage \"{name}\" {{\n  hosts = [{members}]\n  owner = \"libvirt-qemu\"\n  group = \"kvm\"\n  mode  = \"0770\"\n}}\n"
        )
    };
    format!(
        "{}{}{}{blocks}",
        common::hosts(&["hv1", "hv2", "hv3"]),
        storage("main", &members),
        storage("single", "host.hv1")
    )
}

const DISK: &str = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4";

/// One volume of each kind that a container host can have, with these mount options for those that are mounted.
fn volumes(options: &str) -> String {
    let options = if options.is_empty() { String::new() } else { format!("  options = [{options}]\n") };
    format!(
        r#"external_volume "local" {{
  storage     = image_storage.main
  mount_point = "/home/images"
  directory {{}}
}}
external_volume "scratch" {{
  storage     = image_storage.main
  mount_point = "/srv/scratch"
{options}  bind {{
    source = "/data/scratch"
  }}
}}
external_volume "ram" {{
  storage     = image_storage.main
  mount_point = "/srv/ram"
{options}  tmpfs {{
    size = "16MiB"
  }}
}}
external_volume "ssd" {{
  storage     = image_storage.single
  mount_point = "/srv/ssd"
{options}  device {{
    path   = "{DISK}"
    fstype = "xfs"
    format = true
  }}
}}
image "web" {{
  volume = external_volume.ssd
  format = "raw"
  size   = "1MiB"
}}
"#
    )
}

const ALL: [&str; 4] =
    ["external_volume.local", "external_volume.scratch", "external_volume.ram", "external_volume.ssd"];

/// The positions of the steps with an action at an address and host.
#[track_caller]
fn position(plan: &serde_json::Value, address: &str, host: &str, action: &str) -> usize {
    let steps = plan["steps"].as_array().expect("steps");
    let is = |step: &serde_json::Value| step["address"] == address && step["host"] == host && step["action"] == action;
    steps.iter().position(is).unwrap_or_else(|| panic!("no {action} of {address} on {host} in {plan:#}"))
}

#[test]
fn every_kind_of_volume_lives_on_three_hosts_and_nothing_else_is_touched() {
    let site = Site::up(&["hv1", "hv2", "hv3"]);
    site.wait(site.lab().attach_device(&"hv1".into(), DISK, "320MiB".parse().expect("a size"))).expect("a device");
    for host in ["hv1", "hv2", "hv3"] {
        site.sh(host, "mkdir -p /data/scratch && echo precious >/data/scratch/old && chmod 0755 /data/scratch");
        site.sh(host, "printf '# by hand\\n\\ntmpfs\\t/mnt  tmpfs noauto 0 0\\n' >/etc/fstab");
    }
    let all = || ["hv1", "hv2", "hv3"].map(|host| site.snapshot(host));
    let before = all();

    // Created: on the members, and only there.
    site.write(&site_of(&["hv1", "hv2"], ""));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "external_volume.local", "hv1"), ["mkdir", "chown", "chmod", "check-access"]);
    for host in ["hv1", "hv2"] {
        let scratch = actions(&plan, "external_volume.scratch", host);
        assert_eq!(scratch, ["mkdir", "lock", "fstab", "mount", "chown", "chmod", "check-access"]);
        assert_eq!(actions(&plan, "external_volume.ram", host), ["mkdir", "lock", "fstab", "mount", "check-access"]);
    }
    assert_eq!(
        actions(&plan, "external_volume.ssd", "hv1"),
        ["format", "mkdir", "lock", "fstab", "mount", "chown", "chmod", "check-access"]
    );
    assert_eq!(actions(&plan, "image.web", "hv1"), ["create"]);
    assert_eq!(actions(&plan, "external_volume.ssd", "hv2"), [""; 0]);
    assert!(!plan["steps"].to_string().contains("hv3"), "{plan:#}");
    assert!(
        position(&plan, "image.web", "hv1", "create") > position(&plan, "external_volume.ssd", "hv1", "check-access")
    );
    let (added, removed) = edits(&plan, "hv2", "/etc/fstab");
    assert_eq!(removed, [""; 0]);
    assert_eq!(added.len(), 2, "{added:?}");
    assert!(added.iter().any(|line| line.starts_with("/data/scratch /srv/scratch none bind")), "{added:?}");
    let (added, _) = edits(&plan, "hv1", "/etc/fstab");
    assert_eq!(
        site.sh("hv1", "cat /etc/fstab"),
        format!("# by hand\n\ntmpfs\t/mnt  tmpfs noauto 0 0\n{}\n", added.join("\n")),
        "the diff that was shown is the edit that was made"
    );
    assert_eq!(all()[2], before[2], "a host that is no member is left alone");
    for path in ["/home/images/a", "/srv/scratch/b", "/srv/ssd/c", "/srv/ram/d"] {
        site.sh("hv1", &format!("head -c 70000 /dev/urandom >{path}"));
    }
    let contents =
        || site.sh("hv1", "sha256sum /home/images/a /srv/scratch/b /srv/scratch/old /srv/ssd/c /srv/ssd/web.raw");
    let written = contents();
    let mounted_ram = site.sh("hv1", "sha256sum /srv/ram/d");

    // Changed by hand: named as drift, on that host only, and mended there only.
    let settled = all();
    site.sh("hv1", "chmod 0700 /home/images /srv/scratch /srv/ram /srv/ssd");
    let plan = site.apply_exactly();
    assert_eq!(plan["drift"].as_array().map(Vec::len), Some(4), "{plan:#}");
    assert!(
        plan["drift"].as_array().expect("drift").iter().all(|one| one["attribute"] == "mode"
            && one["host"] == "hv1"
            && one["recorded"] == "0770"
            && one["have"] == "0700"),
        "{plan:#}"
    );
    for address in ALL {
        assert_eq!(change(&plan, address)["action"], "update");
        assert_eq!(actions(&plan, address, "hv1"), ["chmod", "check-access"], "{address}");
        assert_eq!(actions(&plan, address, "hv2"), [""; 0]);
    }
    assert_eq!(all(), settled);

    // Other options: remounted in place, the line in fstab replaced.
    site.write(&site_of(&["hv1", "hv2"], "\"noatime\""));
    let plan = site.apply_exactly();
    for (address, host) in [("scratch", "hv1"), ("scratch", "hv2"), ("ram", "hv1"), ("ram", "hv2"), ("ssd", "hv1")] {
        assert_eq!(actions(&plan, &format!("external_volume.{address}"), host), ["remount", "fstab", "check-access"]);
        assert!(
            site.sh(host, &format!("findmnt -no OPTIONS /srv/{address}")).contains("noatime"),
            "{address} on {host}"
        );
    }
    assert_eq!(actions(&plan, "external_volume.local", "hv1"), [""; 0]);
    let (added, removed) = edits(&plan, "hv1", "/etc/fstab");
    assert_eq!((added.len(), removed.len()), (3, 3), "{plan:#}");
    assert_eq!(contents() + &site.sh("hv1", "sha256sum /srv/ram/d"), written.clone() + &mounted_ram);

    // A host joins: it gets everything, and the others are left alone.
    let settled = all();
    site.write(&site_of(&["hv1", "hv2", "hv3"], "\"noatime\""));
    let plan = site.apply_exactly();
    assert_eq!(change(&plan, "external_volume.scratch")["hosts"]["hv3"], "create");
    assert_eq!(change(&plan, "external_volume.scratch")["hosts"]["hv1"], "unchanged");
    let on_others = plan["steps"].as_array().expect("steps").iter().filter(|step| step["host"] != "hv3").count();
    assert_eq!(on_others, 0, "{plan:#}");
    assert_eq!(all()[..2], settled[..2]);
    assert_eq!(
        site.sh("hv3", "stat -c '%a %U:%G' /srv/scratch /srv/ram /home/images"),
        "770 libvirt-qemu:kvm\n".repeat(3)
    );
    site.sh("hv3", "echo kept >/home/images/kept");

    // A host leaves: everything of it is taken away in order, and what lay in the directory stays.
    site.write(&site_of(&["hv1", "hv2"], "\"noatime\""));
    let plan = site.apply_exactly();
    for address in ["external_volume.scratch", "external_volume.ram"] {
        assert_eq!(change(&plan, address)["hosts"]["hv3"], "destroy");
        assert_eq!(actions(&plan, address, "hv3"), ["unmount", "fstab", "unlock", "rmdir"], "{address}");
    }
    assert_eq!(actions(&plan, "external_volume.local", "hv3"), [""; 0]);
    assert!(plan["steps"].as_array().expect("steps").iter().all(|step| step["host"] == "hv3"), "{plan:#}");
    assert_eq!(all()[..2], settled[..2]);
    assert_eq!(site.sh("hv3", "cat /home/images/kept && rm -r /home/images"), "kept\n");
    // The source of the bind mount keeps the owner and mode that the volume was given.
    site.sh("hv3", "chown root:root /data/scratch && chmod 0755 /data/scratch");
    assert_eq!(all()[2], before[2]);

    // The blocks go: what a tmpfs holds would be lost, so nothing is done until somebody says that it may be.
    let empty = site_of(&["hv1", "hv2"], "").replace(&volumes(""), "");
    site.write(&empty);
    let plan = site.refused();
    assert_hazard(
        &plan,
        "data-loss",
        "external_volume.ram",
        "hv1",
        &["/srv/ram", "deletes d"],
        "--accept data-loss@external_volume.ram",
    );
    assert_eq!(all()[..2], settled[..2]);
    let plan = site.apply_exactly_with(&["-accept", "data-loss@external_volume.ram"]);
    for address in ["external_volume.scratch", "external_volume.ram"] {
        assert_eq!(change(&plan, address)["action"], "destroy");
        assert_eq!(actions(&plan, address, "hv2"), ["unmount", "fstab", "unlock", "rmdir"], "{address}");
    }
    assert_eq!(change(&plan, "external_volume.local")["action"], "forget");
    assert_eq!(change(&plan, "image.web")["action"], "forget");
    site.sh("hv1", &format!("mkdir -p /srv/ssd && mount -t xfs {DISK} /srv/ssd && mkdir -p /srv/scratch && mount --bind /data/scratch /srv/scratch"));
    assert_eq!(contents(), written, "no byte of a removed volume is lost");
    site.sh("hv1", "umount /srv/ssd /srv/scratch && rmdir /srv/ssd /srv/scratch && rm /home/images/a /data/scratch/b");
    for host in ["hv1", "hv2"] {
        site.sh(host, "rmdir /home/images; chown root:root /data/scratch && chmod 0755 /data/scratch");
    }
    site.write(&common::hosts(&["hv1", "hv2", "hv3"]));
    site.apply_exactly();
    assert_eq!(all(), before);
    assert_eq!(std::fs::read_to_string(site.state()).map(|state| state.contains("external_volume")).ok(), Some(false));
}

/// All volumes over these members.
fn site_of(members: &[&str], options: &str) -> String {
    site(members, &volumes(options))
}
