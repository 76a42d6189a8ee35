//! Mount units on container hosts. They have no systemd: a directory says that it runs, and a program stands for `systemctl`, so
//! that everything but systemd itself is real. What systemd makes of the units is seen on virtual machines.

mod common;

use common::{Site, actions, assert_hazard, change, edits, storage};

const ADDRESS: &str = "external_volume.my-images";
const AT: &str = "/srv/my-images";
const UNIT: &str = "/etc/systemd/system/srv-my\\x2dimages.mount";
const LINK: &str = "/etc/systemd/system/local-fs.target.wants/srv-my\\x2dimages.mount";

fn volume(more: &str) -> String {
    format!(
        "{}external_volume \"my-images\" {{\n  storage     = image_storage.main\n  mount_point = \"{AT}\"\n  bind {{\n    source = \"/data/a%b\"\n  }}\n{more}}}\n",
        storage(&["hv1"])
    )
}

fn persisted(how: &str) -> String {
    volume(&format!("  persist = \"{how}\"\n"))
}

/// A host on which systemd seems to run; what it is told lies in /run/told.
fn up() -> Site {
    let site = Site::up(&["hv1"]);
    site.sh(
        "hv1",
        "mkdir -p /run/systemd/system /etc/systemd/system /data/a%b && chown 64055:kvm /data/a%b && chmod 0770 /data/a%b
         printf '#!/bin/sh\\necho \"$*\" >>/run/told\\n[ \"$1\" != show ] || cat /run/shown 2>/dev/null\\nexit 0\\n' >/usr/local/bin/systemctl
         chmod 0755 /usr/local/bin/systemctl",
    );
    site
}

fn fstab(site: &Site) -> String {
    site.sh("hv1", "grep x-larder /etc/fstab; true")
}

/// The unit as it must be, byte for byte.
fn text() -> String {
    "# Larder wrote this and puts it back.\n[Unit]\nDescription=external_volume.my-images\n\n[Mount]\nWhat=/data/a%%b\nWhere=/srv/my-images\nType=none\nOptions=bind,nofail,x-larder.id=external_volume.my-images\nTimeoutSec=90s\n\n[Install]\nWantedBy=local-fs.target\n".to_owned()
}

#[test]
fn a_unit_is_written_enabled_and_taken_away() {
    let site = up();
    let before = site.snapshot("hv1");
    site.write(&persisted("systemd"));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, ADDRESS, "hv1"), ["mkdir", "lock", "unit", "mount", "check-access"]);
    let (written, removed) = edits(&plan, "hv1", UNIT);
    assert_eq!((written.join("\n") + "\n", removed.len()), (text(), 0));
    assert_eq!(site.sh("hv1", &format!("cat '{UNIT}'")), text());
    assert_eq!(site.sh("hv1", &format!("readlink '{LINK}'; stat -c %a '{UNIT}'")), format!("{UNIT}\n644\n"));
    assert_eq!(site.sh("hv1", "grep -c daemon-reload /run/told"), "1\n");
    assert_eq!(fstab(&site), "");
    site.write(&common::hosts(&["hv1"]));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, ADDRESS, "hv1"), ["unmount", "unit", "unlock", "rmdir"]);
    site.sh("hv1", "rmdir /etc/systemd/system/local-fs.target.wants");
    assert_eq!(site.snapshot("hv1"), before);
}

#[test]
fn what_mounts_it_changes_without_an_unmount() {
    let site = up();
    let mounted = || site.sh("hv1", &format!("grep ' {AT} ' /proc/self/mountinfo"));
    site.write(&persisted("fstab"));
    site.apply_exactly();
    let before = mounted();
    for (how, steps, in_fstab, is_unit) in [
        ("systemd", vec!["unit", "fstab"], 0, true),
        ("none", vec!["unit"], 0, false),
        ("systemd", vec!["unit"], 0, true),
        ("fstab", vec!["fstab", "unit"], 1, false),
        ("none", vec!["fstab"], 0, false),
    ] {
        site.write(&persisted(how));
        let plan = site.apply_exactly();
        assert_eq!(actions(&plan, ADDRESS, "hv1"), [steps, vec!["check-access"]].concat(), "{how}");
        assert_eq!(mounted(), before, "{how}");
        assert_eq!(fstab(&site).lines().count(), in_fstab, "{how}");
        let count = site.sh("hv1", &format!("ls '{UNIT}' '{LINK}' 2>/dev/null | wc -l"));
        assert_eq!(count.trim(), if is_unit { "2" } else { "0" }, "{how}");
    }
}

#[test]
fn a_unit_changed_by_hand_is_put_back() {
    let site = up();
    site.write(&persisted("systemd"));
    site.apply_exactly();
    for (what, by_hand, drift) in [
        ("edited", format!("echo LazyUnmount=yes >>'{UNIT}'"), 1),
        ("without its last byte", format!("truncate -s -1 '{UNIT}'"), 0),
        ("disabled", format!("rm '{LINK}'"), 1),
        ("removed", format!("rm '{UNIT}'"), 1),
        ("removed and disabled", format!("rm '{UNIT}' '{LINK}'"), 1),
    ] {
        site.sh("hv1", &by_hand);
        let plan = site.plan();
        assert_eq!(actions(&plan, ADDRESS, "hv1"), ["unit", "check-access"], "{what}");
        assert_eq!(plan["drift"].as_array().map(Vec::len), Some(drift), "{what}: {plan:#}");
        site.apply_exactly();
        assert_eq!(
            site.sh("hv1", &format!("cat '{UNIT}'; readlink '{LINK}'")),
            format!("{}{UNIT}\n", text()),
            "{what}"
        );
    }
    // Options and the place.
    site.write(&volume("  persist = \"systemd\"\n  options = [\"noexec\"]\n"));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, ADDRESS, "hv1"), ["remount", "unit", "check-access"]);
    site.write(&volume("  persist = \"systemd\"\n").replace("/srv/my-images", "/srv/other"));
    site.apply_exactly();
    assert_eq!(
        site.sh("hv1", "cd /etc/systemd/system && ls *.mount *.wants"),
        "srv-other.mount\n\nlocal-fs.target.wants:\nsrv-other.mount\n"
    );
    // While the plan waited, somebody has changed the unit.
    site.write(&volume("  persist = \"systemd\"\n  options = [\"noexec\"]\n").replace("/srv/my-images", "/srv/other"));
    site.larder(&["plan", "-out", "saved"]).expect(0);
    site.sh("hv1", "echo '# theirs' >>/etc/systemd/system/srv-other.mount");
    let run = site.larder(&["apply", "saved"]);
    assert_ne!(run.exit, 0, "{}", run.out);
    assert_eq!(site.sh("hv1", "tail -1 /etc/systemd/system/srv-other.mount"), "# theirs\n", "{}", run.out);
}

#[test]
fn what_goes_before_it_or_changes_it_is_named() {
    let site = up();
    let drop_in = "/etc/systemd/system/srv-my\\x2dimages.mount.d/x.conf";
    let write_drop_in = |text: &str| format!("mkdir -p \"$(dirname '{drop_in}')\" && printf '{text}' >'{drop_in}'");
    let theirs = |what: &str, more: &str| {
        format!("printf '[Mount]\\nWhat={what}\\nWhere={AT}\\nType=none\\nOptions=bind\\n' >'{UNIT}'{more}")
    };
    let enabled = format!("; mkdir -p \"$(dirname '{LINK}')\"; ln -s '{UNIT}' '{LINK}'");
    let marked =
        format!("printf '[Mount]\\nWhat=/x\\nWhere={AT}\\nOptions=x-larder.id=external_volume.z\\n' >'{UNIT}'");
    for (how, by_hand, message, cure) in [
        ("systemd", format!("ln -s /dev/null '{UNIT}'"), "is masked on hv1", "systemctl unmask"),
        ("fstab", format!("ln -s /dev/null '{UNIT}'"), "is masked on hv1", "systemctl unmask"),
        ("systemd", theirs("/data/else", &enabled), "somebody else's and mounts /data/else", "systemctl disable"),
        ("systemd", theirs("/data/a%%%%b", ""), "nothing enables it", "systemctl enable"),
        ("fstab", theirs("/data/a%%%%b", &enabled), "whatever /etc/fstab says", "persist = \"systemd\""),
        ("none", theirs("/data/a%%%%b", &enabled), "whatever /etc/fstab says", "persist = \"systemd\""),
        ("systemd", marked, "belongs to external_volume.z", "choose another mount_point"),
        ("systemd", write_drop_in("[Mount]\\nOptions=ro\\n"), "x.conf on hv1 changes", "Remove it"),
    ] {
        site.sh("hv1", &by_hand);
        site.write(&persisted(how));
        let plan = site.refused();
        assert_hazard(&plan, "foreign", ADDRESS, "hv1", &[message], cure);
        site.sh("hv1", "rm -rf /etc/systemd/system/*");
    }
    // What only gives it a place in an order is the administrator's affair.
    site.sh("hv1", &write_drop_in("[Unit]\\nAfter=x.service\\n"));
    site.write(&persisted("systemd"));
    site.apply_exactly();
    // A unit of somebody else that does the same is left as it is.
    site.write(&common::hosts(&["hv1"]));
    site.apply_exactly();
    site.sh("hv1", &format!("rm -rf /etc/systemd/system/*; {}", theirs("/data/a%%%%b", &enabled)));
    let text = site.sh("hv1", &format!("cat '{UNIT}'"));
    site.write(&persisted("systemd"));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, ADDRESS, "hv1"), ["mkdir", "lock", "mount", "check-access"]);
    assert_eq!(site.sh("hv1", &format!("cat '{UNIT}'")), text);
}

#[test]
fn systemd_reads_its_files_before_a_mount_that_it_would_undo() {
    let site = up();
    site.write(&persisted("fstab"));
    site.apply_exactly();
    // fstab was edited and systemd was not told: it holds the unit of another source.
    let generated = "/run/systemd/generator/srv-my\\x2dimages.mount";
    site.sh("hv1", &format!("umount {AT}; mkdir -p /run/systemd/generator"));
    let outdated = "printf 'Id=srv-my\\\\x2dimages.mount\\nNeedDaemonReload=yes\\n' >/run/shown";
    let of_another = format!("printf '[Mount]\\nWhat=/dev/gone\\nWhere={AT}\\nType=ext4\\n' >'{generated}'");
    for by_hand in [outdated, &of_another] {
        site.sh("hv1", by_hand);
        assert_eq!(actions(&site.plan(), ADDRESS, "hv1"), ["reload", "mount", "check-access"], "{by_hand}");
        site.sh("hv1", "rm -f /run/shown");
    }
    // A mount that is there is in the same danger.
    site.sh("hv1", &format!("mount --bind /data/a%b {AT}"));
    let plan = site.plan();
    assert_eq!(actions(&plan, ADDRESS, "hv1"), ["reload", "check-access"]);
    assert_eq!(change(&plan, ADDRESS)["action"], "update");
}

#[test]
fn a_mount_that_fails_leaves_no_unit() {
    let site = up();
    site.write(&persisted("systemd"));
    let list = "find /etc/systemd /srv | sort";
    let before = site.sh("hv1", list);
    site.sh("hv1", "printf '#!/bin/sh\\nexit 32\\n' >/usr/local/bin/mount; chmod 0755 /usr/local/bin/mount");
    let run = site.larder(&["apply", "-auto-approve"]);
    assert_ne!(run.exit, 0, "{}", run.out);
    site.sh("hv1", "rm /usr/local/bin/mount; rmdir /etc/systemd/system/local-fs.target.wants");
    assert_eq!(site.sh("hv1", list), before, "{}", run.out);
}

#[test]
fn a_host_without_systemd_is_named() {
    let site = Site::up(&["hv1"]);
    site.sh("hv1", "mkdir -p /data/a%b");
    site.write(&persisted("systemd"));
    let plan = site.refused();
    assert_hazard(&plan, "unsupported", ADDRESS, "hv1", &["hv1 does not run systemd"], "persist = \"fstab\"");
    site.write(&volume("  persist = \"systemd\"\n  options = [\"x-systemd.automount\"]\n"));
    site.larder(&["validate"]).expect(1).says("x-systemd.automount has no effect in a mount unit");
}

#[test]
fn units_of_the_administrator_are_found_and_left_as_they_are() {
    let site = up();
    site.write(&common::hosts(&["hv1"]));
    let unit = |at: &str, options: &str| {
        let name = format!("{}.mount", at.trim_start_matches('/').replace('/', "-"));
        format!(
            "mkdir -p {at} && mount --bind /data/a%b {at} && mount -o remount,bind,{options} {at} &&
             printf '[Mount]\\nWhat=/data/a%%%%b\\nWhere={at}\\nType=none\\nOptions=bind,{options}\\n' >/etc/systemd/system/{name} &&
             mkdir -p /etc/systemd/system/local-fs.target.wants && ln -s ../{name} /etc/systemd/system/local-fs.target.wants/"
        )
    };
    site.sh("hv1", &unit("/srv/same", "noexec"));
    // The unit says less than what is mounted.
    site.sh("hv1", &format!("{}; sed -i s/,nosuid// /etc/systemd/system/srv-less.mount", unit("/srv/less", "nosuid")));
    // Marked as somebody's, and not mounted.
    site.sh(
        "hv1",
        &format!(
            "{}; echo 'Options=bind,x-larder.id=external_volume.z' >>/etc/systemd/system/srv-z.mount",
            unit("/srv/z", "nodev")
        ),
    );
    site.sh("hv1", &format!("{}; umount /srv/off", unit("/srv/off", "nodev")));
    let before = site.snapshot("hv1");
    site.larder(&["discover", "hv1", "-out", "found.hcl"]).expect(0).says("no step on any host");
    let text = std::fs::read_to_string(site.path().join("found.hcl")).expect("the file");
    for words in [
        "external_volume \"same\"",
        "external_volume \"less\"",
        "ignore_changes = [persist]",
        "its mount unit is marked as external_volume.z",
        "/srv/off: not mounted now; its mount unit mounts /data/a%b (none)",
    ] {
        assert!(text.contains(words), "no {words} in\n{text}");
    }
    assert_eq!(text.matches("persist     = \"systemd\"").count(), 2, "{text}");
    let plan = site.plan();
    assert_eq!(plan["steps"], serde_json::json!([]), "{plan:#}");
    site.apply();
    assert_eq!(site.snapshot("hv1"), before);
}
