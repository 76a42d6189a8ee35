//! Devices on container hosts: formatted only when provably blank, found again by what they hold, never by chance.

mod common;

use common::{Site, actions, assert_hazard, change, edits, hazards, hosts};

const BY_ID: &str = "/dev/disk/by-id";

fn device(name: &str) -> String {
    format!("{BY_ID}/{name}")
}

/// A storage of one host and a device volume in it.
fn volume(name: &str, host: &str, path: &str, fstype: &str, more: &str) -> String {
    format!(
        r#"image_storage "{name}" {{
  hosts = [host.{host}]
  owner = "libvirt-qemu"
  group = "kvm"
  mode  = "0770"
}}
external_volume "{name}" {{
  storage     = image_storage.{name}
  mount_point = "/srv/{name}"
  device {{
    path   = "{path}"
    fstype = "{fstype}"
    format = true
    label  = "{name}"
  }}
{more}}}
"#
    )
}

#[track_caller]
fn attach(site: &Site, host: &str, name: &str, size: &str) {
    let size = size.parse().expect("a size");
    site.wait(site.lab().attach_device(&host.into(), &device(name), size)).expect("a device");
}

#[test]
fn a_device_with_anything_on_it_is_refused_and_stays_as_it_is() {
    let site = Site::up(&["hv1", "hv2"]);
    // Each with the shell that prepares it ("$1" is the device), and words that say what is on it.
    let table: &[(&str, &str, &[&str])] = &[
        (
            "mbr",
            r"printf '\125\252' | dd of=$1 bs=1 seek=510 status=none; printf '\200\000\001\000\203\376\077\000\077\000\000\000\000\020\000\000' | dd of=$1 bs=1 seek=446 conv=notrunc status=none",
            &["partition table (dos)"],
        ),
        ("gpt", r"printf 'EFI PART' | dd of=$1 bs=512 seek=1 conv=notrunc status=none", &["not zero"]),
        ("minix", "mkfs.minix $1 >/dev/null", &["minix"]),
        (
            "ext4",
            "mkfs.ext4 -q -L old $1 && mount -t ext4 $1 /mnt && echo precious >/mnt/file && umount /mnt",
            &["ext4 label old"],
        ),
        ("otherxfs", "mkfs.ext4 -q -L otherxfs $1", &["ext4 label otherxfs"]),
        ("swap", "mkswap -q $1", &["swap"]),
        ("luks", r"printf 'LUKS\272\276\000\001aes' | dd of=$1 conv=notrunc status=none", &["crypto_LUKS"]),
        (
            "lvm",
            r"printf 'LABELONE\001\000\000\000\000\000\000\000\000\000\000\000\040\000\000\000LVM2 001' | dd of=$1 bs=512 seek=1 conv=notrunc status=none",
            &["LVM2_member"],
        ),
        ("noise", "dd if=/dev/urandom of=$1 bs=4096 count=1 status=none", &["not zero"]),
        ("tail", r"printf x | dd of=$1 bs=1M seek=19 conv=notrunc status=none", &["not zero"]),
        (
            "zfs",
            r"printf '\014\261\272\000\000\000\000\000' | dd of=$1 bs=1024 seek=132 conv=notrunc status=none",
            &["not zero"],
        ),
        ("held", "mkfs.ext4 -q -L held $1; mkdir -p /data/held && mount $1 /data/held", &["is mounted on /data/held"]),
    ];
    for (name, script, _) in table {
        attach(&site, "hv1", name, "20MiB");
        site.on("hv1", &["sh", "-c", script, "sh", &device(name)]);
    }
    for name in ["small", "good"] {
        attach(&site, "hv1", name, "20MiB");
    }
    attach(&site, "hv2", "good", "20MiB");
    site.sh("hv2", &format!("truncate -s 20M {BY_ID}/file && mkdir {BY_ID}/directory && ln -s /dev/null {BY_ID}/null"));
    let mut blocks = hosts(&["hv1", "hv2"]);
    for (name, ..) in table {
        blocks += &volume(name, "hv1", &device(name), "ext4", "").replace("label  = \"otherxfs\"", "label = \"data\"");
    }
    blocks += &volume("small", "hv1", &device("small"), "xfs", "");
    blocks += &volume("good", "hv1", &device("good"), "ext4", "");
    for name in ["missing", "file", "directory", "null"] {
        blocks += &volume(name, "hv2", &device(name), "ext4", "");
    }
    site.write(&blocks);
    // A mounted file system writes by itself.
    let unmounted = table.iter().map(|(name, ..)| *name).filter(|name| *name != "held").chain(["good", "small"]);
    let paths = unmounted.map(device).collect::<Vec<_>>().join(" ");
    let sums = || site.sh("hv1", &format!("sync; sha256sum {paths}"));
    let (before, bytes) = (["hv1", "hv2"].map(|host| site.snapshot(host)), sums());
    let plan = site.refused();
    for (name, _, words) in table {
        let address = format!("external_volume.{name}");
        let code = if *name == "held" { "wrong-source" } else { "not-blank" };
        assert_hazard(&plan, code, &address, "hv1", &[words[0], &device(name)], "");
        assert_eq!(actions(&plan, &address, "hv1"), [""; 0], "{name}");
    }
    assert_hazard(
        &plan,
        "unsupported",
        "external_volume.small",
        "hv1",
        &["has 20MiB", "xfs needs at least 300MiB"],
        "larger device",
    );
    assert_hazard(
        &plan,
        "device-differs",
        "external_volume.missing",
        "hv2",
        &["no device", &device("missing")],
        "Attach it",
    );
    assert_hazard(
        &plan,
        "device-differs",
        "external_volume.file",
        "hv2",
        &["no block device but a regular"],
        "Correct the path",
    );
    assert_hazard(
        &plan,
        "device-differs",
        "external_volume.directory",
        "hv2",
        &["no block device but a directory"],
        "Correct the path",
    );
    assert_hazard(
        &plan,
        "device-differs",
        "external_volume.null",
        "hv2",
        &["no block device but a character special file"],
        "",
    );
    // What can be done is shown, and nothing of it is done.
    assert_eq!(actions(&plan, "external_volume.good", "hv1")[0], "format");
    for hazard in plan["hazards"].as_array().expect("hazards") {
        assert_eq!(hazard["can_be_accepted"], false, "{hazard:#}");
    }
    assert_eq!(["hv1", "hv2"].map(|host| site.snapshot(host)), before);
    assert_eq!(sums(), bytes);
    assert_eq!(
        site.sh("hv1", &format!("mount -t ext4 {} /mnt && cat /mnt/file && umount /mnt", device("ext4"))),
        "precious\n"
    );
    // Without `format`, even a blank one is left alone.
    site.write(
        &(hosts(&["hv1", "hv2"])
            + &volume("good", "hv1", &device("good"), "ext4", "").replace("format = true", "format = false")),
    );
    assert_hazard(
        &site.refused(),
        "not-blank",
        "external_volume.good",
        "hv1",
        &["holds no file system, not ext4"],
        "format = true",
    );
}

#[test]
fn a_device_volume_is_made_once_moved_adopted_and_comes_back_at_boot() {
    let site = Site::up(&["hv1"]);
    for (name, size) in [("a", "320MiB"), ("b", "24MiB"), ("c", "128MiB")] {
        attach(&site, "hv1", name, size);
    }
    let all = |more: &str| {
        hosts(&["hv1"])
            + &volume("a", "hv1", &device("a"), "xfs", more)
            + &volume("b", "hv1", &device("b"), "ext4", "")
            + &volume("c", "hv1", &device("c"), "btrfs", "")
    };
    site.sh("hv1", "printf '# mine' >/etc/fstab");
    site.write(&all(""));
    let plan = site.apply_exactly();
    assert_eq!(change(&plan, "external_volume.a")["action"], "create");
    let (added, removed) = edits(&plan, "hv1", "/etc/fstab");
    assert_eq!(removed.len() + 3, added.len(), "{plan:#}");
    // The UUID that the plan names is the one that the file system has; the line goes by it.
    for name in ["a", "b", "c"] {
        let uuid = site.sh("hv1", &format!("blkid -p -s UUID -o value {}", device(name)));
        let start = format!("UUID={} /srv/{name} ", uuid.trim());
        assert!(added.iter().any(|line| line.starts_with(&start)), "{start} in {added:?}");
        site.sh("hv1", &format!("echo data of {name} >/srv/{name}/file"));
        assert_eq!(site.sh("hv1", &format!("stat -c '%a %U:%G' /srv/{name}")), "770 libvirt-qemu:kvm\n");
    }

    // A reboot: everything is mounted again, from fstab.
    site.wait(site.lab().restart(&"hv1".into())).expect("a reboot");
    site.assert_settled();
    assert_eq!(site.sh("hv1", "cat /srv/a/file /srv/b/file /srv/c/file"), "data of a\ndata of b\ndata of c\n");

    // Another mount point: unmounted there, mounted here, nothing formatted, the old line gone.
    let moved = all("").replace("\"/srv/a\"", "\"/srv/moved\"").replace("\"/srv/b\"", "\"/srv/deep/b\"");
    site.write(&moved);
    let plan = site.apply_exactly();
    assert_eq!(
        actions(&plan, "external_volume.a", "hv1"),
        ["unmount", "unlock", "rmdir", "mkdir", "lock", "fstab", "mount", "check-access"]
    );
    assert!(!plan["steps"].to_string().contains("format_device"), "{plan:#}");
    assert_eq!(actions(&plan, "external_volume.c", "hv1"), [""; 0]);
    assert_eq!(site.sh("hv1", "cat /srv/moved/file /srv/deep/b/file"), "data of a\ndata of b\n");
    site.sh("hv1", "! [ -e /srv/a ] && ! [ -e /srv/b ] && ! grep -q ' /srv/[ab] ' /etc/fstab && [ $(grep -c larder /etc/fstab) = 3 ]");

    // The state is lost: everything that matches is adopted, by its UUID, and nothing runs.
    std::fs::remove_file(site.state()).expect("a state");
    let plan = site.plan();
    assert_eq!(plan["steps"], serde_json::json!([]), "{plan:#}");
    assert_eq!(change(&plan, "external_volume.a")["action"], "adopt");
    site.apply_exactly();

    // The volume goes, and the file system with all that it holds stays.
    site.write(&(hosts(&["hv1"]) + &volume("c", "hv1", &device("c"), "btrfs", "")));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "external_volume.a", "hv1")[..2], ["unmount", "fstab"]);
    assert_eq!(site.sh("hv1", "grep -c larder /etc/fstab").trim(), "1");
    assert_eq!(
        site.sh("hv1", &format!("mount -t xfs {} /mnt && cat /mnt/file; umount /mnt", device("a"))),
        "data of a\n"
    );
    // And is found again, not made anew.
    site.write(&moved);
    let plan = site.apply_exactly();
    assert!(!plan["steps"].to_string().contains("format_device"), "{plan:#}");
    assert_eq!(site.sh("hv1", "cat /srv/moved/file"), "data of a\n");
}

#[test]
fn lines_that_somebody_wrote_are_recognised_and_changed_in_place() {
    let site = Site::up(&["hv1"]);
    attach(&site, "hv1", "d", "24MiB");
    site.sh("hv1", &format!("mkfs.ext4 -q -L d {} && mkdir -p /srv/d && chmod 0 /srv/d", device("d")));
    let uuid = site.sh("hv1", &format!("blkid -p -s UUID -o value {}", device("d")));
    let uuid = uuid.trim();
    let path = device("d");
    site.write(&(hosts(&["hv1"]) + &volume("d", "hv1", &path, "ext4", "  options = [\"noatime\"]\n")));
    // Each mounts the same with the same options: it is left as it is, byte for byte.
    let same = [
        format!("UUID={uuid}\t/srv/d\text4\tnoatime\t0\t2"),
        format!("UUID={} /srv//d/ ext4 rw,noatime 0 0", uuid.to_uppercase()),
        "LABEL=d   /srv/d/ auto defaults,noatime".to_owned(),
        format!("{path} /srv/d ext4 noatime 0 0\r"),
    ];
    for line in &same {
        site.on("hv1", &["sh", "-c", "printf '# a\\n%s\\n# z' \"$1\" >/etc/fstab", "sh", line]);
        let plan = site.plan();
        // None of them lets the host boot without the disk.
        assert_eq!(hazards(&plan), ["boot-risk"], "{line:?}: {plan:#}");
        assert!(!actions(&plan, "external_volume.d", "hv1").contains(&"fstab".to_owned()), "{line:?}: {plan:#}");
    }
    // Each mounts the same with other options, also as the last line without a newline: it becomes ours, in its place.
    let other = [
        format!("UUID={uuid} /srv/d ext4 ro 0 2\n# z\n"),
        "LABEL=d /srv//d auto noauto,noatime 0 0\r\n# z\n".to_owned(),
        format!("{path}\t/srv/d/\text4 defaults 0 2"),
    ];
    for text in &other {
        site.on("hv1", &["sh", "-c", "printf '# a\\n\\n%s' \"$1\" >/etc/fstab", "sh", text]);
        let plan = site.plan();
        let (added, removed) = edits(&plan, "hv1", "/etc/fstab");
        assert_eq!((added.len(), removed.len()), (1, 1), "{text:?}: {plan:#}");
        site.apply_exactly();
        let after = text.split_once('\n').map_or("", |(_, rest)| rest);
        assert_eq!(site.sh("hv1", "cat /etc/fstab"), format!("# a\n\n{}\n{after}", added[0]), "{text:?}");
        assert_eq!(site.sh("hv1", "findmnt --mountpoint /srv/d -no OPTIONS | wc -l").trim(), "1");
    }
    // A second line for the same place is folded into one.
    site.sh("hv1", &format!("echo 'UUID={uuid} /srv/d/ ext4 defaults 0 2' >>/etc/fstab"));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "external_volume.d", "hv1")[0], "fstab");
    assert_eq!(site.sh("hv1", "grep -c ' /srv/d' /etc/fstab").trim(), "1");
    assert_eq!(hazards(&plan), [""; 0]);
}

#[test]
fn what_changed_on_a_device_since_the_plan_stops_the_apply() {
    let site = Site::up(&["hv1"]);
    attach(&site, "hv1", "d", "24MiB");
    let path = device("d");
    site.write(&(hosts(&["hv1"]) + &volume("d", "hv1", &path, "ext4", "")));
    site.larder(&["plan", "-out", "first.plan"]).expect(0);
    // Somebody else formats it in between.
    site.sh(
        "hv1",
        &format!("mkfs.ext4 -q -L theirs {path} && mount -t ext4 {path} /mnt && echo theirs >/mnt/file && umount /mnt"),
    );
    let before = site.snapshot("hv1");
    let run = site.larder(&["apply", "first.plan"]).expect(4);
    assert!(run.out.contains("changed") || run.err.contains("changed"), "{run:?}");
    assert!(run.out.contains("theirs") || run.err.contains("theirs"), "it says what is there now: {run:?}");
    let after = site.snapshot("hv1");
    assert_eq!((&after["etc"], &after["mounts"]), (&before["etc"], &before["mounts"]));
    assert_eq!(site.sh("hv1", &format!("mount -t ext4 {path} /mnt && cat /mnt/file && umount /mnt")), "theirs\n");
    // Formatted as it should be between plan and mount, but with another UUID: that is another file system.
    site.write(
        &(hosts(&["hv1"]) + &volume("d", "hv1", &path, "ext4", "").replace("label  = \"d\"", "label = \"theirs\"")),
    );
    site.larder(&["plan", "-out", "second.plan"]).expect(0);
    site.sh("hv1", &format!("mkfs.ext4 -q -F -L theirs {path}"));
    let run = site.larder(&["apply", "second.plan"]).expect(4);
    assert!(
        run.out.contains("UUID") || run.out.contains("file system on") || run.err.contains("file system on"),
        "{run:?}"
    );
    site.sh("hv1", "! mountpoint -q /srv/d && ! [ -e /srv/d ] && ! grep -q /srv/d /etc/fstab");
}
