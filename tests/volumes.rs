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
    assert_hazard(&plan, "data-loss", "external_volume.ram", "hv1", &["/srv/ram", "deletes d"], "Copy away");
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

#[test]
fn names_reach_the_host_as_values() {
    let site = Site::up(&["hv1"]);
    let names = [
        "my iso#1",
        "#first",
        "single ' and double \\\" quotes",
        "$(touch pwned) `touch pwned` ; touch pwned",
        "back\\\\slash",
        "Ablage für Gäste – 保管",
        "-rf --help *?[a]",
        "100%s %n %{x}",
    ];
    let hcl = |name: &str| name.replace("%{", "%%{").replace("${", "$${");
    let mut configuration = common::hosts(&["hv1"]);
    configuration += "image_storage \"main\" {\n  hosts = [host.hv1]\n  root = \"/srv/root of $(touch pwned) 'all'\"\n  owner = \"libvirt-qemu\"\n  group = \"kvm\"\n  mode = \"0770\"\n}\n";
    for (at, name) in names.iter().enumerate() {
        let name = hcl(name);
        let inner = match at % 2 {
            0 => "tmpfs {\n    size = \"2MiB\"\n  }".to_owned(),
            _ => format!("bind {{\n    source = \"/data/{name}\"\n  }}"),
        };
        configuration += &format!(
            "external_volume \"v{at}\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/m/{name}\"\n  {inner}\n}}\nimage \"i{at}\" {{\n  volume = external_volume.v{at}\n  format = \"{}\"\n  size = \"1MiB\"\n  name = \"{name}.img\"\n}}\n",
            if at % 4 < 2 { "raw" } else { "qcow2" }
        );
    }
    configuration += "external_volume \"root\" {\n  storage = image_storage.main\n  directory {}\n}\n";
    let plain = |name: &str| name.replace("\\\"", "\"").replace("\\\\", "\\");
    for name in names {
        site.on("hv1", &["mkdir", "-p", "--", &format!("/data/{}", plain(name))]);
    }
    let before = site.snapshot("hv1");
    site.write(&configuration);
    site.apply_exactly();
    for name in names {
        let at = format!("/srv/m/{}", plain(name));
        site.on("hv1", &["mountpoint", "-q", "--", &at]);
        site.on("hv1", &["test", "-f", &format!("{at}/{}.img", plain(name))]);
    }
    site.on("hv1", &["test", "-d", "/srv/root of $(touch pwned) 'all'/root"]);
    // fstab holds them in a form that brings them back.
    site.sh("hv1", "umount /srv/m/* && ! mountpoint -q '/srv/m/my iso#1' && mount -a");
    for name in names.iter().skip(1).step_by(2) {
        site.on("hv1", &["test", "-f", &format!("/srv/m/{0}/{0}.img", plain(name))]);
    }
    site.sh("hv1", "! find / -xdev -name pwned 2>/dev/null | grep .");
    // The images of the tmpfs volumes went with them: they are made anew, in the same place.
    site.larder(&["apply", "-auto-approve"]).expect(0);
    site.write(&common::hosts(&["hv1"]));
    site.larder(&["apply", "-auto-approve", "-json"]).expect(6);
    site.sh("hv1", "rm -f -- /srv/m/*/*.img");
    site.apply_exactly();
    let mut after = site.snapshot("hv1");
    after.iter_mut().for_each(|(_, text)| {
        *text = text
            .lines()
            .filter(|line| !line.contains("/data/") && !line.contains("/srv/root of"))
            .map(|line| format!("{line}\n"))
            .collect()
    });
    let before: std::collections::BTreeMap<_, _> = before
        .into_iter()
        .map(|(name, text)| {
            (
                name,
                text.lines()
                    .filter(|line| !line.contains("/data/"))
                    .map(|line| format!("{line}\n"))
                    .collect::<String>(),
            )
        })
        .collect();
    assert_eq!(after, before);
    // What no line of fstab and no path can hold is an error of the configuration.
    for bad in ["/srv/a\\nb", "/srv/a\\u0000b", "srv/relative", "/srv/../etc", "/"] {
        site.write(&format!("{}external_volume \"v\" {{\n  storage = image_storage.main\n  mount_point = \"{bad}\"\n  directory {{}}\n}}\n", storage(&["hv1"])));
        site.larder(&["plan", "-json"]).expect(1);
    }
}

#[test]
fn a_mount_that_fails_leaves_the_host_as_it_was() {
    let site = Site::up(&["hv1", "hv2"]);
    let volume = |options: &str| {
        format!(
            "{}external_volume \"ram\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/deep/ram\"\n  options = [{options}]\n  tmpfs {{\n    size = \"4MiB\"\n  }}\n}}\n",
            storage(&["hv1", "hv2"])
        )
    };
    // The storage itself first, so that only the volume is tried.
    site.write(&storage(&["hv1", "hv2"]));
    site.apply_exactly();
    site.sh("hv1", "printf '# no newline at the end' >/etc/fstab");
    site.sh("hv2", "printf '# one line\\n' >/etc/fstab && mkdir -p /srv/deep/ram && chown 3:4 /srv/deep/ram && chmod 0711 /srv/deep/ram");
    let before = ["hv1", "hv2"].map(|host| site.snapshot(host));
    site.write(&volume("\"nonsense=1\""));
    let run = site.larder(&["apply", "-auto-approve"]);
    assert!(matches!(run.exit, 1 | 7), "{run:?}");
    assert_eq!(["hv1", "hv2"].map(|host| site.snapshot(host)), before);
    // The next run knows where it stands, and with a good option it ends well.
    site.write(&volume("\"noexec\""));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "external_volume.ram", "hv2"), ["lock", "fstab", "mount", "check-access"]);
    // And what was there before comes back with its owner and mode when the volume goes.
    site.write(&storage(&["hv1", "hv2"]));
    site.apply_exactly();
    assert_eq!(site.sh("hv2", "stat -c '%a %u:%g' /srv/deep/ram").trim(), "711 3:4");
    assert_eq!(site.snapshot("hv2"), before[1]);
}

#[test]
fn mounts_are_kept_by_fstab_and_checked_by_what_is_live() {
    let site = Site::up(&["hv1"]);
    site.sh("hv1", "mkdir -p /data/src && echo x >/data/src/file && printf '# one\\r\\n\\r\\n/dev/none /mnt/none ext4 noauto 0 0\\r\\n# last' >/etc/fstab");
    // Where systemd runs, it hears of each edit.
    site.sh("hv1", "mkdir -p /run/systemd/system && printf '#!/bin/sh\\necho \"$@\" >>/run/systemctl.calls\\n' >/usr/bin/systemctl.new && chmod 0755 /usr/bin/systemctl.new && mv /usr/bin/systemctl.new /usr/bin/systemctl");
    let all = |extra: &str| {
        format!(
            "{}external_volume \"bound\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/bound\"\n  mode = \"0750\"\n{extra}  bind {{\n    source = \"/data/src\"\n  }}\n}}\nexternal_volume \"ram\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {{\n    size = \"4MiB\"\n  }}\n}}\nexternal_volume \"now\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/now\"\n  persist = \"none\"\n  tmpfs {{\n    size = \"4MiB\"\n  }}\n}}\n",
            storage(&["hv1"])
        )
    };
    let snapshot = site.snapshot("hv1");
    site.write(&all(""));
    site.plan();
    assert_eq!(site.snapshot("hv1"), snapshot, "a plan changes nothing");
    let plan = site.apply_exactly();
    // Owner and mode are those of what is mounted; what lies under it cannot be written.
    assert_eq!(
        site.sh("hv1", "stat -c '%a %U:%G' /srv/bound /data/src /srv/ram"),
        "750 libvirt-qemu:kvm\n750 libvirt-qemu:kvm\n770 libvirt-qemu:kvm\n"
    );
    site.sh("hv1", "umount /srv/bound /srv/ram && stat -c '%a %u' /srv/bound /srv/ram >/run/under && ! runuser -u libvirt-qemu -- touch /srv/bound/x 2>/dev/null && ! runuser -u libvirt-qemu -- touch /srv/ram/x 2>/dev/null && ! touch /srv/ram/x 2>/dev/null && mount -a");
    assert_eq!(site.sh("hv1", "cat /run/under"), "0 0\n0 0\n");
    assert_eq!(site.sh("hv1", "cat /srv/bound/file"), "x\n");
    // Comments, order and line ends of others stay byte for byte; one line each, none for what is not to be kept.
    let (added, _) = edits(&plan, "hv1", "/etc/fstab");
    let ours: Vec<_> = added.iter().filter(|line| line.contains("x-larder.id")).collect();
    assert_eq!(
        site.sh("hv1", "cat /etc/fstab"),
        format!("# one\r\n\r\n/dev/none /mnt/none ext4 noauto 0 0\r\n# last\n{}\n{}\n", ours[0], ours[1])
    );
    assert!(!added.iter().any(|line| line.contains("/srv/now")), "{added:?}");
    assert_eq!(site.sh("hv1", "grep -c ' /srv/[a-z]* ' /proc/self/mountinfo").trim(), "3");
    assert_eq!(site.sh("hv1", "grep -v ^show /run/systemctl.calls"), "daemon-reload\ndaemon-reload\n");
    site.assert_settled();
    assert_eq!(site.sh("hv1", "grep -c ' /srv/[a-z]* ' /proc/self/mountinfo").trim(), "3");

    // Something else on the path is a difference, never "ok", whatever fstab says.
    site.sh("hv1", "umount /srv/bound && mount -t tmpfs none /srv/bound");
    let plan = site.refused();
    assert_hazard(
        &plan,
        "wrong-source",
        "external_volume.bound",
        "hv1",
        &["/srv/bound on hv1 is tmpfs none"],
        "Unmount it",
    );
    site.sh("hv1", "umount /srv/bound");
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "external_volume.bound", "hv1"), ["mount", "check-access"], "{plan:#}");

    // After a reboot what fstab has is there, and what it has not is planned.
    site.wait(site.lab().restart(&"hv1".into())).expect("a reboot");
    let plan = site.plan();
    assert_eq!(actions(&plan, "external_volume.bound", "hv1"), [""; 0], "{plan:#}");
    assert_eq!(actions(&plan, "external_volume.ram", "hv1"), [""; 0], "{plan:#}");
    assert_eq!(actions(&plan, "external_volume.now", "hv1"), ["mount", "check-access"], "{plan:#}");
    site.apply_exactly();

    // Another source and another mount point: the old one goes, the data stay where they were.
    site.sh("hv1", "mkdir -p /data/other");
    site.write(&all("").replace("/data/src", "/data/other").replace("/srv/ram", "/srv/ram2"));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "external_volume.bound", "hv1")[..3], ["unmount", "fstab", "mount"], "{plan:#}");
    assert_eq!(actions(&plan, "external_volume.ram", "hv1")[0], "unmount", "{plan:#}");
    site.sh("hv1", "[ -z \"$(ls -A /srv/bound)\" ] && cat /data/src/file && ! [ -e /srv/ram ] && mountpoint -q /srv/ram2 && ! grep -q '/srv/ram ' /etc/fstab");
}

#[test]
fn what_changed_since_the_plan_stops_the_apply() {
    let site = Site::up(&["hv1", "hv2"]);
    let two = ["hv1", "hv2"];
    let base = |mode: &str, more: &str| {
        format!(
            "{}external_volume \"local\" {{\n  storage = image_storage.main\n  mount_point = \"/home/images\"\n  mode = \"{mode}\"\n  directory {{}}\n}}\n{more}",
            storage(&two)
        )
    };
    site.write(&base("0770", ""));
    site.apply_exactly();
    // Each: what is wanted, what somebody does in between, what the apply must say.
    let ram = "external_volume \"ram\" {\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {\n    size = \"4MiB\"\n  }\n}\n";
    let image = "image \"web\" {\n  volume = external_volume.local\n  format = \"raw\"\n  size = \"1MiB\"\n}\n";
    let table = [
        (
            base("0750", ""),
            "chmod 0700 /home/images",
            "chmod 0770 /home/images",
            ["/home/images", "mode 770", "mode 700"],
        ),
        (
            base("0770", ram),
            "mkdir /srv/ram && : >/srv/ram/guest.qcow2",
            "rm -r /srv/ram",
            ["/srv/ram", "was: absent", "is: present"],
        ),
        (
            base("0770", image),
            "echo theirs >/home/images/web.raw",
            "rm /home/images/web.raw",
            ["web.raw", "was: absent", "is: present"],
        ),
    ];
    for (configuration, between, undo, words) in table {
        site.write(&configuration);
        site.larder(&["plan", "-out", "reviewed.plan"]).expect(0);
        for host in two {
            site.sh(host, between);
        }
        let before = two.map(|host| site.snapshot(host));
        let run = site.larder(&["apply", "reviewed.plan"]).expect(4);
        for word in words {
            assert!(run.out.contains(word) || run.err.contains(word), "no {word} in {run:?}");
        }
        assert_eq!(two.map(|host| site.snapshot(host)), before, "{between}");
        for host in two {
            site.sh(host, undo);
        }
    }
    // A plan is carried out once: the second time the state has moved on.
    site.write(&base("0770", ram));
    site.larder(&["plan", "-out", "reviewed.plan"]).expect(0);
    site.larder(&["apply", "reviewed.plan"]).expect(0);
    site.assert_settled();
    let before = two.map(|host| site.snapshot(host));
    site.larder(&["apply", "reviewed.plan"]).expect(4);
    assert_eq!(two.map(|host| site.snapshot(host)), before);
}

#[test]
fn a_directory_that_moves_leaves_its_files_behind_only_when_told() {
    let site = Site::up(&["hv1"]);
    let at = |path: &str| {
        format!(
            "{}external_volume \"local\" {{\n  storage = image_storage.main\n  mount_point = \"{path}\"\n  directory {{}}\n}}\n",
            storage(&["hv1"])
        )
    };
    site.write(&at("/srv/old"));
    site.apply_exactly();
    site.sh("hv1", "echo guest >/srv/old/web.raw");
    site.write(&at("/srv/new"));
    let plan = site.refused();
    assert_hazard(
        &plan,
        "data-loss",
        "external_volume.local",
        "hv1",
        &["moves to /srv/new", "/srv/old keeps web.raw"],
        "Keep it with mount_point",
    );
    site.sh("hv1", "! [ -e /srv/new ]");
    site.apply_exactly_with(&["-accept", "data-loss@external_volume.local"]);
    assert_eq!(site.sh("hv1", "cat /srv/old/web.raw && stat -c %a /srv/new"), "guest\n770\n");
}

#[test]
fn a_storage_goes_unless_something_of_it_stays() {
    let site = Site::up(&["hv1"]);
    let volume = |name: &str, inner: &str| {
        format!("external_volume \"{name}\" {{\n  storage = image_storage.main\n  {inner}\n}}\n")
    };
    let tmpfs = "tmpfs {\n    size = \"4MiB\"\n  }";
    let before = site.snapshot("hv1");
    // All under the storage's own root; the mounted ones go with everything that was made for them.
    site.write(&(storage(&["hv1"]) + &volume("ram", tmpfs) + &volume("more", tmpfs)));
    site.apply_exactly();
    site.sh("hv1", "mountpoint -q /var/lib/larder/storages/main/ram");
    site.write(&common::hosts(&["hv1"]));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "image_storage.main", "hv1"), ["rmdir"]);
    assert_eq!(site.snapshot("hv1"), before);
    // A directory keeps its files, and so the storage's root stays, forgotten; nothing is left to do.
    site.write(&(storage(&["hv1"]) + &volume("ram", tmpfs) + &volume("kept", "directory {}")));
    site.apply_exactly();
    site.sh("hv1", "echo guest >/var/lib/larder/storages/main/kept/web.raw");
    site.write(&common::hosts(&["hv1"]));
    let plan = site.apply_exactly();
    assert_eq!(change(&plan, "image_storage.main")["action"], "forget");
    assert_eq!(site.sh("hv1", "cd /var/lib/larder/storages/main && ls -A . && cat kept/web.raw"), "kept\nguest\n");
}

/// The options in force at a path, without those of the file system.
fn live_options(site: &Site, path: &str) -> String {
    site.sh("hv1", &format!("awk '$5 == \"{path}\" {{ print $6 }}' /proc/self/mountinfo")).trim().to_owned()
}

#[test]
fn ignored_options_stay_as_they_are_on_the_host_and_in_fstab() {
    let site = Site::up(&["hv1"]);
    site.sh("hv1", "mkdir -p /data/src");
    let config = |options: &str, ignored: &str, size: &str| {
        let both = |name: &str, source: &str| {
            format!(
                "external_volume \"{name}\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/{name}\"\n  options = [{options}]\n  {source}\n  lifecycle {{\n    ignore_changes = [{ignored}]\n  }}\n}}\n"
            )
        };
        let bound = both("bound", "bind {\n    source = \"/data/src\"\n  }");
        format!("{}{}{bound}", storage(&["hv1"]), both("ram", &format!("tmpfs {{\n    size = \"{size}\"\n  }}")))
    };
    // A volume that is new gets what its block says.
    site.write(&config("\"nosuid\"", "options", "4MiB"));
    site.apply();
    assert!(live_options(&site, "/srv/ram").contains("nosuid"));
    site.assert_settled();

    // Neither the block nor the host and its fstab then move one another.
    site.sh("hv1", "mount -o remount,noexec,nosuid /srv/ram && sed -i '/srv.ram/s/nosuid/noexec,nodev/' /etc/fstab");
    site.sh("hv1", "sed -i '/srv.bound/s/,nofail//' /etc/fstab");
    let before = (live_options(&site, "/srv/ram"), site.sh("hv1", "cat /etc/fstab"));
    site.write(&config("\"nodev\"", "options", "4MiB"));
    site.assert_settled();
    assert_eq!((live_options(&site, "/srv/ram"), site.sh("hv1", "cat /etc/fstab")), before);

    // What is no option of the user follows its block, and takes nothing else along.
    site.write(&config("\"nodev\"", "options", "8MiB"));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "external_volume.ram", "hv1"), ["remount", "fstab", "check-access"], "{plan:#}");
    assert_eq!(live_options(&site, "/srv/ram"), before.0);
    assert_eq!(site.sh("hv1", "cat /etc/fstab"), before.1.replace("size=4194304", "size=8388608"));
    site.assert_settled();

    // After an unmount it is mounted as fstab says.
    site.sh("hv1", "umount /srv/ram");
    site.apply_exactly();
    assert!(live_options(&site, "/srv/ram").contains("nodev,noexec"), "{}", live_options(&site, "/srv/ram"));

    // Not ignored, they are what the block says.
    site.write(&config("\"nosuid\"", "", "8MiB"));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "external_volume.ram", "hv1"), ["remount", "fstab", "check-access"], "{plan:#}");
    assert!(live_options(&site, "/srv/bound").contains("nosuid"));
}

#[test]
fn a_live_tmpfs_without_a_declared_owner_keeps_the_one_it_has() {
    let site = Site::up(&["hv1"]);
    let config = |persist: &str, size: &str| {
        format!(
            "{}image_storage \"main\" {{\n  hosts = [host.hv1]\n}}\nexternal_volume \"ram\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  persist = \"{persist}\"\n  tmpfs {{\n    size = \"{size}\"\n  }}\n}}\n",
            common::hosts(&["hv1"])
        )
    };
    site.write(&config("fstab", "4MiB"));
    site.apply();
    // A new one is the qemu user's, so that guests can use it; and so it is after a boot.
    assert_eq!(site.sh("hv1", "stat -c %U:%a /srv/ram"), "libvirt-qemu:770\n");
    let fstab = site.sh("hv1", "cat /etc/fstab");
    site.assert_settled();
    site.sh("hv1", "chown 4242:4243 /srv/ram && chmod 0777 /srv/ram");
    let plan = site.plan();
    assert_eq!(actions(&plan, "external_volume.ram", "hv1"), [""; 0], "{plan:#}");
    site.write(&config("fstab", "8MiB"));
    site.apply();
    assert_eq!(site.sh("hv1", "stat -c %u:%g:%a /srv/ram"), "4242:4243:777\n");
    assert_eq!(site.sh("hv1", "cat /etc/fstab"), fstab.replace("size=4194304", "size=8388608"));
    // A line that is made for it says what is live.
    site.sh("hv1", "sed -i '/srv.ram/d' /etc/fstab");
    site.apply();
    assert!(site.sh("hv1", "cat /etc/fstab").contains("mode=0777,uid=4242,gid=4243"));
    site.assert_settled();
    // What guests cannot enter is told of the owner that it has.
    site.sh("hv1", "chmod 0700 /srv/ram");
    site.write(&config("fstab", "16MiB"));
    let plan = site.refused();
    assert_hazard(&plan, "no-access", "external_volume.ram", "hv1", &["/srv/ram"], "");
}

#[test]
fn a_mount_point_that_somebody_else_makes_meanwhile_is_taken_and_any_other_trouble_is_told() {
    let site = Site::up(&["hv1"]);
    let ram = |at: &str| {
        storage(&["hv1"])
            + &format!(
                "external_volume \"ram\" {{\n  storage = image_storage.main\n  mount_point = \"{at}\"\n  tmpfs {{\n    size = \"4MiB\"\n  }}\n}}\n"
            )
    };
    // Made after the plan: the plan no longer holds, the next one does.
    site.write(&ram("/srv/a/ram"));
    site.larder(&["plan", "-out", "saved"]).expect(0);
    site.sh("hv1", "mkdir -p /srv/a/ram");
    site.larder(&["apply", "saved"]).expect(4).says("changed since the plan: /srv/a/ram");
    assert_eq!(
        actions(&site.apply_exactly(), "external_volume.ram", "hv1"),
        ["lock", "fstab", "mount", "check-access"]
    );
    // Nothing can be made there.
    site.sh("hv1", "mkdir /srv/ro && mount -t tmpfs -o ro t /srv/ro");
    site.write(&ram("/srv/ro/x/ram").replace("\"ram\"", "\"other\""));
    let run = site.larder(&["apply", "-auto-approve"]);
    assert_ne!(run.exit, 0, "{}", run.out);
    run.says("Read-only file system");
    assert_eq!(site.sh("hv1", "ls -A /srv/ro; grep -c /srv/ro /etc/fstab; true"), "0\n");
}
