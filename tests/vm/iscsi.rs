//! Targets of iSCSI: a real one of the kernel's (LIO), with passwords and two portals, and the initiator of Debian.

use serde_json::{Value, json};

use crate::common::machines::eventually;
use crate::common::{Site, actions, assert_hazard, change};
use crate::site::{lun, mounted, portals, server, storage, target, up};

const IQN: &str = "iqn.2026-01.test.larder:array";
const ARRAY: &str = "iscsi_target.array";
const PASSWORD: &str = "s3cret,#\"' $x";

fn array(members: &str, portals: &[String], password: &str) -> String {
    format!(
        "iscsi_target \"array\" {{\n  hosts   = [{members}]\n  iqn     = \"{IQN}\"\n  portals = {portals:?}\n  chap {{\n    username = \"larder\"\n    password = {}\n  }}\n}}\n",
        json!(password)
    )
}

/// The numbers of the sessions of a host; each login has a new one.
fn sessions(site: &Site, host: &str) -> Vec<String> {
    let list = site.sh(host, "ls /sys/class/iscsi_session 2>/dev/null || :");
    list.lines().map(str::to_owned).collect()
}

/// What the records of a host say of its logins.
fn records(site: &Site, host: &str) -> String {
    site.sh(
        host,
        "find /etc/iscsi/nodes -type f -exec stat -c %a {} + -exec grep -hE '^node.(startup|session.auth.(authmethod|username)) ' {} + | sort | uniq -c",
    )
}

fn status(site: &Site) -> Value {
    site.larder(&["status", "-json"]).expect(0).json()
}

#[test]
fn hosts_log_in_now_and_at_each_boot_and_leave_when_nobody_needs_the_disks() {
    let site = up();
    target(&site, IQN, Some(("larder", PASSWORD)), &[64, 96]);
    let base = storage(&site, &["hv1", "hv2"]);
    let both = "host.hv1, host.hv2";
    site.write(&(base.clone() + &array(both, &portals(), PASSWORD)));
    let plan = site.apply_exactly();
    for host in ["hv1", "hv2"] {
        assert_eq!(actions(&plan, ARRAY, host), ["enable", "start", "login", "login"], "{host}");
        assert_eq!(sessions(&site, host).len(), 2, "{host}");
        site.sh(host, &format!("test -b {} && test -b {}", lun(1), lun(2)));
        let records = records(&site, host);
        for words in [
            "2 600",
            "2 node.session.auth.authmethod = CHAP",
            "2 node.session.auth.username = larder",
            "2 node.startup = automatic",
        ] {
            assert!(records.contains(words), "{host}: {records}");
        }
    }
    site.assert_settled();
    let shown = &status(&site)["targets"][0];
    assert_eq!([&shown["iqn"], &shown["hosts"]["hv2"]["state"]], [&json!(IQN), &json!("ok")]);
    let disk = &shown["hosts"]["hv2"]["disks"][0];
    assert_eq!([&disk["device"], &disk["size"], &disk["paths"]], [&json!(lun(1)), &json!(64 << 20), &json!(2)]);

    // What a discovery by hand sets back is put right again, and the sessions go on.
    let before = sessions(&site, "hv1");
    site.sh("hv1", &format!("iscsiadm -m discovery -t st -p {}", server()));
    assert!(records(&site, "hv1").contains("node.session.auth.authmethod = None"), "{}", records(&site, "hv1"));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, ARRAY, "hv1"), ["record", "record"]);
    assert_eq!(change(&plan, ARRAY)["hosts"]["hv2"], json!("unchanged"));
    assert_eq!(sessions(&site, "hv1"), before);
    site.assert_settled();

    site.machines().reboot("hv1");
    assert_eq!(sessions(&site, "hv1").len(), 2);
    site.assert_settled();

    // A portal that is lost.
    site.sh("san", "ip addr del 10.99.0.22/24 dev eth1");
    eventually("a session is down", || {
        ["hv1", "hv2"].iter().all(|host| site.sh(host, "cat /sys/class/iscsi_session/*/state").contains("FAILED"))
    });
    let plan = site.plan();
    assert_hazard(&plan, "path-lost", ARRAY, "hv1", &["10.99.0.22:3260", "FAILED"], "network of the storage");
    assert_eq!(actions(&plan, ARRAY, "hv1"), [""; 0]);
    let shown = &status(&site)["targets"][0]["hosts"]["hv1"];
    assert_eq!([&shown["state"], &shown["disks"][0]["working_paths"]], [&json!("degraded"), &json!(1)]);
    site.sh("san", "ip addr add 10.99.0.22/24 dev eth1");
    eventually("the session is up again", || {
        ["hv1", "hv2"].iter().all(|host| !site.sh(host, "cat /sys/class/iscsi_session/*/state").contains("FAILED"))
    });
    site.assert_settled();

    // One portal less, one host less; nothing under anybody.
    site.sh("hv2", &format!("mkfs.ext4 -q {0} && mkdir -p /data/x && mount {0} /data/x", lun(1)));
    site.write(&(base.clone() + &array("host.hv1", &portals()[..1], PASSWORD)));
    let plan = site.refused();
    assert_eq!(actions(&plan, ARRAY, "hv1"), ["logout"]);
    assert_hazard(&plan, "in-use", ARRAY, "hv2", &["it is mounted on /data/x"], "Unmount");
    site.sh("hv2", "umount /data/x");
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, ARRAY, "hv2"), ["logout", "logout"]);
    assert_eq!([sessions(&site, "hv1").len(), sessions(&site, "hv2").len()], [1, 0]);
    assert_eq!(records(&site, "hv2"), "");
    site.write(&base);
    site.apply_exactly();
    assert_eq!(sessions(&site, "hv1").len(), 0);
    assert_eq!(records(&site, "hv1"), "");
    site.assert_settled();
}

#[test]
fn a_login_that_fails_says_why_and_leaves_nothing() {
    let site = Site::of_machines(&["hv1", "san"]);
    target(&site, IQN, Some(("larder", PASSWORD)), &[64]);
    let base = format!("host \"hv1\" {{\n{}}}\n", site.machines().connection("hv1"));
    let fails = |portals: &[String], iqn: &str, password: &str, words: &str| {
        site.write(&(base.clone() + &array("host.hv1", portals, password).replace(IQN, iqn)));
        let run = site.larder(&["apply", "-auto-approve"]);
        assert!(run.exit != 0 && (run.out.clone() + &run.err).contains(words), "{words}: {} {}", run.out, run.err);
        assert_eq!([records(&site, "hv1"), sessions(&site, "hv1").concat()], ["", ""], "{words}");
    };
    fails(&portals(), IQN, "another password", "refuses the login");
    fails(
        &portals(),
        "iqn.2026-01.test.larder:none",
        PASSWORD,
        "does not show this host a target iqn.2026-01.test.larder:none",
    );
    fails(&["10.99.0.21:3999".to_owned()], IQN, PASSWORD, "does not answer");

    // A volume on a disk that the target brings waits for it.
    let volume = format!(
        "image_storage \"main\" {{\n  hosts = [host.hv1]\n}}\nexternal_volume \"disk\" {{\n  storage     = image_storage.main\n  mount_point = \"/srv/disk\"\n  depends_on  = [{ARRAY}]\n  device {{\n    path   = \"{}\"\n    fstype = \"ext4\"\n    format = true\n  }}\n}}\n",
        lun(1)
    );
    let whole = base.clone() + &array("host.hv1", &portals()[..1], PASSWORD) + &volume;
    site.write(&whole);
    assert_eq!(change(&site.plan(), "external_volume.disk")["hosts"]["hv1"], json!("later"));
    site.apply();
    site.apply();
    site.assert_settled();
    site.sh("hv1", "mountpoint -q /srv/disk && grep '^UUID=.* /srv/disk ext4 .*_netdev' /etc/fstab");
    site.machines().reboot("hv1");
    eventually("the disk is mounted", || !mounted(&site, "hv1", "/srv/disk").is_empty());
    site.assert_settled();
    // Both go in one run, the mount before the session.
    site.write(&base);
    site.apply_exactly();
    assert_eq!([records(&site, "hv1"), sessions(&site, "hv1").concat()], ["", ""]);
}
