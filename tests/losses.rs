//! What was there when it was applied last and is not there any more is never quietly made anew; and what guests can write
//! leads no step astray.

mod common;

use common::{Site, actions, hazards, storage};

const LOCAL: &str = "external_volume \"local\" {\n  storage     = image_storage.main\n  mount_point = \"/srv/local\"\n  directory {}\n}\n";

fn image(name: &str, volume: &str, rest: &str) -> String {
    format!("image \"{name}\" {{\n  volume = external_volume.{volume}\n  name = \"{name}\"\n{rest}}}\n")
}

#[test]
fn an_image_that_is_gone_or_cut_short_is_not_made_up() {
    let site = Site::up(&["hv1"]);
    let raw = |size: &str| image("a", "local", &format!("  format = \"raw\"\n  size = \"{size}\"\n"));
    site.write(&format!("{}{LOCAL}{}", storage(&["hv1"]), raw("4MiB"))).apply();
    // Cut short, and wanted larger: what is missing is not filled with zeros.
    site.sh("hv1", "truncate -s 1M /srv/local/a");
    assert_eq!(hazards(&site.plan()), ["data-loss"]);
    site.larder(&["apply", "-auto-approve"]).expect(6).says("was cut short");
    assert_eq!(site.sh("hv1", "stat -c %s /srv/local/a"), "1048576\n");
    site.sh("hv1", "truncate -s 4M /srv/local/a");
    site.assert_settled();
    // The whole directory is exchanged for an empty one, as when a disk is missing.
    site.sh("hv1", "mv /srv/local /srv/away && install -d -o 64055 -g kvm -m 0770 /srv/local");
    assert_eq!(hazards(&site.plan()), ["data-loss"]);
    site.larder(&["apply", "-auto-approve"]).expect(6);
    assert_eq!(site.sh("hv1", "ls -A /srv/local"), "");
    // Still so after an apply that was told to go on, for the next one that is lost.
    site.larder(&["apply", "-auto-approve", "-accept", "data-loss@image.a"]).expect(0);
    assert_eq!(site.sh("hv1", "stat -c %s /srv/local/a"), "4194304\n");
    site.assert_settled();
    // A guest writes what it likes into the first sector of its raw disk.
    site.sh("hv1", "printf 'QFI\\373junk' | dd of=/srv/local/a conv=notrunc status=none");
    site.assert_settled();
}

#[test]
fn a_disk_that_is_blank_or_another_one_is_not_taken_for_the_volume() {
    let site = Site::up(&["hv1"]);
    let disk = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4";
    let size = larder::model::Size(64 << 20);
    site.wait(site.lab().attach_device(&"hv1".into(), disk, size)).expect("a device");
    let volume = format!(
        "{}external_volume \"ssd\" {{\n  storage     = image_storage.main\n  mount_point = \"/srv/ssd\"\n  device {{\n    path   = \"{disk}\"\n    fstype = \"ext4\"\n    format = true\n  }}\n}}\n",
        storage(&["hv1"])
    );
    // Somebody works on the disk: QEMU opens it without claiming it for itself.
    let holder = site.sh("hv1", &format!("sleep 600 <>{disk} >/dev/null 2>&1 & echo $!"));
    site.write(&volume);
    assert_eq!(hazards(&site.plan()), ["not-blank"]);
    end(&site, &holder);
    site.apply();
    // The disk is exchanged for another one with the same label, then for a blank one.
    site.sh("hv1", &format!("umount /srv/ssd && mkfs.ext4 -q -F -L ssd {disk}"));
    assert!(hazards(&site.plan()).contains(&"wrong-source".to_owned()));
    site.sh("hv1", &format!("dd if=/dev/zero of={disk} bs=1M count=64 status=none"));
    let plan = site.plan();
    assert_eq!(hazards(&plan), ["data-loss"], "{plan:#}");
    assert_eq!(actions(&plan, "external_volume.ssd", "hv1").first().map(String::as_str), Some("format"));
    site.larder(&["apply", "-auto-approve"]).expect(6);
    assert_eq!(site.try_on("hv1", &["blkid", "-p", disk]).status.code(), Some(2));
}

#[test]
fn a_volume_under_another_mount_is_not_the_volume() {
    let site = Site::up(&["hv1"]);
    let bind = "external_volume \"b\" {\n  storage     = image_storage.main\n  mount_point = \"/srv/x/b\"\n  bind {\n    source = external_volume.local.mount_point\n  }\n}\n";
    let with = |images: &str| format!("{}{LOCAL}{bind}{images}", storage(&["hv1"]));
    site.write(&with("")).apply();
    site.sh("hv1", "mount -t tmpfs cover /srv/x && install -d -o 64055 -g kvm -m 0770 /srv/x/b");
    site.write(&with(&image("web", "b", "  format = \"raw\"\n  size = \"1MiB\"\n")));
    let plan = site.plan();
    assert!(hazards(&plan).contains(&"wrong-source".to_owned()), "{plan:#}");
    assert!(actions(&plan, "image.web", "hv1").is_empty(), "{plan:#}");
    site.sh("hv1", "umount /srv/x");
    site.apply();
    // A guest has the image open by the other name of the directory.
    let holder = site.sh("hv1", "sleep 600 </srv/local/web >/dev/null 2>&1 & echo $!");
    site.write(&with(&image("web", "b", "  format = \"raw\"\n  size = \"2MiB\"\n")));
    assert_eq!(hazards(&site.plan()), ["in-use"]);
    end(&site, &holder);
    site.apply();
    assert_eq!(site.sh("hv1", "stat -c %s /srv/local/web"), "2097152\n");
}

#[test]
fn links_that_guests_plant_are_not_followed() {
    let site = Site::up(&["hv1"]);
    let mode = |mode: &str| {
        let image = image("a", "local", &format!("  format = \"raw\"\n  size = \"1MiB\"\n  mode = \"{mode}\"\n"));
        format!("{}{LOCAL}{image}", storage(&["hv1"]))
    };
    site.sh("hv1", "echo secret >/root/victim && chmod 0600 /root/victim");
    site.write(&mode("0600")).apply();
    site.write(&mode("0666"));
    site.larder(&["plan", "-out", "reviewed"]).expect(0);
    site.sh("hv1", "mv /srv/local/a /srv/local/b && ln -s /root/victim /srv/local/a");
    site.larder(&["apply", "reviewed"]).expect(4);
    assert_eq!(site.sh("hv1", "stat -c '%a %u' /root/victim; cat /root/victim"), "600 0\nsecret\n");
    assert_eq!(hazards(&site.plan()), ["wrong-source"]);
    // A directory of that name that a guest has made is not entered, and nothing in it is touched.
    site.sh("hv1", "rm /srv/local/a && mv /srv/local/b /srv/local/a");
    site.sh("hv1", "install -d -o 64055 /srv/local/.larder.AAAAAAAA && ln -s /root/victim /srv/local/.larder.AAAAAAAA/image && chown -h 64055 /srv/local/.larder.AAAAAAAA/image");
    site.apply();
    assert_eq!(
        site.sh("hv1", "stat -c '%a' /srv/local/a /root/victim; ls /srv/local/.larder.AAAAAAAA"),
        "666\n600\nimage\n"
    );
}

#[test]
fn a_volume_whose_mount_fails_is_not_forgotten() {
    let site = Site::up(&["hv1"]);
    let with = |options: &str| {
        format!(
            "{}external_volume \"ram\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {{\n    size = \"16MiB\"\n  }}\n{options}}}\n",
            storage(&["hv1"])
        )
    };
    site.write(&with("")).apply();
    let before = site.snapshot("hv1");
    site.sh("hv1", "umount /srv/ram");
    site.write(&with("  options = [\"nonsense=1\"]\n"));
    let run = site.larder(&["apply", "-auto-approve"]);
    assert_ne!(run.exit, 0);
    site.larder(&["state", "list"]).expect(0).says("external_volume.ram");
    site.write(&with("")).apply();
    assert_eq!(site.snapshot("hv1"), before);
    site.write(&storage(&["hv1"])).apply();
    assert_eq!(site.sh("hv1", "grep -c /srv/ram /etc/fstab; ls /srv; true"), "0\n");
}

/// Ends a process and waits until it is gone.
fn end(site: &Site, pid: &str) {
    let pid = pid.trim();
    site.sh("hv1", &format!("kill {pid}; while kill -0 {pid} 2>/dev/null; do :; done"));
}

#[test]
fn nobody_is_not_said_of_a_host_that_cannot_look() {
    let site = Site::up(&["hv1"]);
    let volume = "external_volume \"ram\" {\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {\n    size = \"16MiB\"\n  }\n}\n";
    site.write(&format!("{}{volume}", storage(&["hv1"]))).apply();
    site.write(&storage(&["hv1"]));
    for broken in [
        "mv /usr/bin/find /usr/bin/find.away",
        "printf '#!/bin/sh\\nkill -9 $$\\n' >/usr/bin/find; chmod 755 /usr/bin/find",
    ] {
        site.sh("hv1", broken);
        let run = site.larder(&["apply", "-auto-approve"]).expect(6);
        assert!(run.out.contains("in-use"), "{run:?}");
        assert!(site.sh("hv1", "cat /proc/self/mountinfo").contains(" /srv/ram "));
    }
    site.sh("hv1", "mv /usr/bin/find.away /usr/bin/find");
    site.apply();
}
