//! External volumes on NFS.

use serde_json::json;

use crate::common::{Site, actions, assert_hazard, change, edits};
use crate::site::{mounted, server, storage, up};

/// Exports directories below /srv that belong to the qemu user.
fn exports(site: &Site, names: &[&str]) {
    for name in names {
        site.sh(
            "san",
            &format!(
                "mkdir -p /srv/{name} && chown 64055 /srv/{name} && chmod 0770 /srv/{name} && \
                 echo '/srv/{name} 10.99.0.0/24(rw,no_subtree_check,no_root_squash)' >>/etc/exports"
            ),
        );
    }
    site.sh("san", "systemctl start nfs-server && exportfs -ra");
}

fn volume(site: &Site, members: &[&str], export: &str, more: &str) -> String {
    format!(
        "{}external_volume \"nfs\" {{\n  storage     = image_storage.main\n  mount_point = \"/srv/nfs\"\n  nfs {{\n    server = \"{}\"\n    export = \"{export}\"\n  }}\n{more}}}\n",
        storage(site, members),
        server()
    )
}

const AT: &str = "/srv/nfs";
const ADDRESS: &str = "external_volume.nfs";

#[test]
fn a_volume_lives_through_its_changes() {
    let site = up();
    exports(&site, &["a", "b"]);

    // Created on one member, then on both.
    site.write(&volume(&site, &["hv1"], "/srv/a", ""));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, ADDRESS, "hv1"), ["mkdir", "lock", "fstab", "mount", "chown", "chmod", "check-access"]);
    let line = format!(
        "{}:/srv/a /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0",
        server()
    );
    assert_eq!(edits(&plan, "hv1", "/etc/fstab").0, [line]);
    assert!(mounted(&site, "hv1", AT).starts_with(&format!("{}:/srv/a ", server())));
    site.write(&volume(&site, &["hv1", "hv2"], "/srv/a", ""));
    let plan = site.apply_exactly();
    assert_eq!(change(&plan, ADDRESS)["hosts"], json!({"hv1": "unchanged", "hv2": "create"}));
    assert_eq!(actions(&plan, ADDRESS, "hv1"), ["canary-write", "canary-remove"]);
    let last = actions(&plan, ADDRESS, "hv2").split_off(4);
    assert_eq!(last, ["chown", "chmod", "check-access", "canary-see"]);
    assert_eq!(site.sh("san", "ls -A /srv/a"), "");
    site.sh("hv1", "runuser -u libvirt-qemu -- sh -c 'echo guest >/srv/nfs/f'");
    assert_eq!(site.sh("hv2", "cat /srv/nfs/f"), "guest\n");

    // Drifted by hand: unmounted, read-only, another export in its place, a second mount on top.
    site.sh("hv2", "umount /srv/nfs");
    let plan = site.apply_exactly();
    assert_eq!(change(&plan, ADDRESS)["hosts"], json!({"hv1": "unchanged", "hv2": "create"}));
    site.sh("hv1", "mount -o remount,ro /srv/nfs");
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, ADDRESS, "hv1"), ["remount", "check-access"], "no mount, no canary");
    site.sh("hv2", &format!("umount /srv/nfs && mount -t nfs {}:/srv/b /srv/nfs", server()));
    let plan = site.refused();
    assert_hazard(&plan, "wrong-source", ADDRESS, "hv2", &["/srv/b", "and not"], "Unmount it");
    site.sh(
        "hv2",
        &format!("umount /srv/nfs && mount -t nfs {}:/srv/a /srv/nfs && mount --bind /tmp /srv/nfs", server()),
    );
    let plan = site.refused();
    assert_hazard(&plan, "wrong-source", ADDRESS, "hv2", &["2 mounts are stacked"], "Unmount those");
    site.sh("hv2", "umount /srv/nfs");
    // By hand it was mounted with other options.
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, ADDRESS, "hv2"), ["remount", "check-access"]);

    // Options, and the export itself.
    site.write(&volume(&site, &["hv1", "hv2"], "/srv/a", "  options = [\"timeo=300\"]\n"));
    let plan = site.apply_exactly();
    assert_eq!(
        actions(&plan, ADDRESS, "hv1"),
        ["unmount", "mount", "fstab", "check-access", "canary-write", "canary-remove"]
    );
    assert_eq!(actions(&plan, ADDRESS, "hv2"), ["unmount", "mount", "fstab", "check-access", "canary-see"]);
    assert!(mounted(&site, "hv1", AT).contains("timeo=300"));
    let holder = "exec 8</srv/nfs/f; echo $$ >/run/holder; exec sleep 600";
    site.sh("hv1", &format!("nohup sh -c '{holder}' >/dev/null 2>&1 & while [ ! -s /run/holder ]; do :; done"));
    site.write(&volume(&site, &["hv1", "hv2"], "/srv/b", ""));
    let plan = site.refused();
    assert_hazard(&plan, "in-use", ADDRESS, "hv1", &["/srv/nfs/f"], "Stop the guest");
    site.sh("hv1", "kill $(cat /run/holder); while [ -d /proc/$(cat /run/holder) ]; do :; done");
    site.apply_exactly();
    assert!(mounted(&site, "hv1", AT).starts_with(&format!("{}:/srv/b ", server())));

    // A member leaves: the other keeps it.
    site.write(&volume(&site, &["hv2"], "/srv/b", ""));
    site.apply_exactly();
    assert_eq!(mounted(&site, "hv1", AT), "");
    assert_eq!(
        site.sh("hv1", "grep -c x-larder /etc/fstab; ls -d /srv/nfs 2>&1; true"),
        "0\nls: cannot access '/srv/nfs': No such file or directory\n"
    );
    assert!(!mounted(&site, "hv2", AT).is_empty());
}

#[test]
fn it_comes_back_after_a_boot() {
    let site = up();
    exports(&site, &["a"]);
    site.write(&volume(&site, &["hv1", "hv2"], "/srv/a", ""));
    site.apply_exactly();
    site.machines().reboot("hv1");
    assert!(mounted(&site, "hv1", AT).starts_with(&format!("{}:/srv/a ", server())));
    site.assert_settled();
    // Nobody serves it: the host boots all the same.
    site.machines().freeze("san");
    site.machines().power_cycle("hv1");
    assert_eq!(mounted(&site, "hv1", AT), "");
}

#[test]
fn a_dead_server_delays_nothing_else() {
    let site = up();
    exports(&site, &["a"]);
    let other = "external_volume \"local\" {\n  storage     = image_storage.main\n  mount_point = \"/srv/local\"\n  directory {}\n}\n";
    site.write(&format!("{}{other}", volume(&site, &["hv1", "hv2"], "/srv/a", "")));
    site.apply_exactly();
    site.machines().freeze("san");
    site.sh("hv1", "chmod 0700 /srv/local");
    let begun = std::time::Instant::now();
    let plan = site.larder(&["plan", "-json"]).expect(6).json();
    let elapsed = begun.elapsed();
    for host in ["hv1", "hv2"] {
        let all = plan["hazards"].as_array().expect("hazards");
        let here: Vec<_> = all.iter().filter(|hazard| hazard["host"] == host).collect();
        assert_eq!(here.len(), 1, "{here:#?}");
        assert_eq!((&here[0]["code"], &here[0]["address"]), (&json!("unresponsive"), &json!(ADDRESS)));
        assert!(here[0]["message"].as_str().expect("a text").contains("/srv/nfs does not answer"));
    }
    assert_eq!(change(&plan, "external_volume.local")["hosts"], json!({"hv1": "update", "hv2": "unchanged"}));
    assert_eq!(plan["unknown"], json!([]));
    let status = site.larder(&["status", "-json"]).expect(0).json();
    let states = |volume: usize| ["hv1", "hv2"].map(|host| status["volumes"][volume]["hosts"][host]["state"].clone());
    assert_eq!(states(0), [json!("degraded"), json!("ok")]);
    assert_eq!(states(1), [json!("unresponsive"), json!("unresponsive")]);
    // A bound, not a measurement: the promise is 10 s, and machines under emulation share two cores.
    assert!(elapsed.as_secs() < 10, "{elapsed:?}");

    // Others of the host are applied, a new one with its line in fstab too.
    let ram = "external_volume \"ram\" {\n  storage     = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {\n    size = \"16MiB\"\n  }\n}\n";
    site.write(&format!("{}{other}{ram}", volume(&site, &["hv1", "hv2"], "/srv/a", "")));
    let part = ["-target", "external_volume.ram", "-target", "external_volume.local"];
    site.larder(&[&["apply", "-auto-approve"][..], &part].concat()).expect(0);
    for host in ["hv1", "hv2"] {
        assert!(mounted(&site, host, "/srv/ram").starts_with("tmpfs "), "{host}");
        assert_eq!(site.sh(host, "grep -c ' /srv/ram tmpfs ' /etc/fstab"), "1\n");
    }

    // Back again.
    site.machines().thaw("san");
    crate::common::machines::eventually("the mount answers", || {
        ["hv1", "hv2"]
            .iter()
            .all(|host| site.try_on(host, &["timeout", "-s", "KILL", "4", "stat", "-f", AT]).status.success())
    });
    site.apply_exactly();
}

#[test]
fn what_the_server_has_forgotten_is_stale() {
    let site = up();
    exports(&site, &["a", "b"]);
    site.write(&volume(&site, &["hv1"], "/srv/a", ""));
    site.apply_exactly();
    site.sh("san", "exportfs -u 10.99.0.0/24:/srv/a; sed -i '\\#^/srv/a #d' /etc/exports; mv /srv/a /srv/gone; exportfs -ra; exportfs -f");
    let plan = site.refused();
    assert_hazard(
        &plan,
        "unresponsive",
        ADDRESS,
        "hv1",
        &["does not work any more", "Stale file handle"],
        "Look at the host",
    );
    let status = site.larder(&["status", "-json"]).expect(0).json();
    assert_eq!(status["volumes"][0]["hosts"]["hv1"]["state"], "stale");
}

#[test]
fn a_squashed_root_may_mount_what_the_qemu_user_can_use() {
    let site = up();
    site.sh(
        "san",
        "mkdir -p /srv/good /srv/bad && chown 64055:104 /srv/good && chmod 0770 /srv/good && chmod 0755 /srv/bad
         printf '/srv/good 10.99.0.0/24(rw,no_subtree_check,root_squash)\\n/srv/bad 10.99.0.0/24(rw,no_subtree_check,root_squash)\\n' >/etc/exports
         systemctl start nfs-server && exportfs -ra",
    );
    site.write(&volume(&site, &["hv1"], "/srv/good", ""));
    site.apply_exactly();
    site.write(
        &volume(&site, &["hv1"], "/srv/bad", "  mount_point = \"/srv/bad\"\n")
            .replace("external_volume \"nfs\"", "external_volume \"bad\"")
            .replace("  mount_point = \"/srv/nfs\"\n", ""),
    );
    let fstab = site.sh("hv2", "cat /etc/fstab");
    let run = site.larder(&["apply", "-auto-approve"]);
    assert_ne!(run.exit, 0, "{}", run.out);
    assert_eq!(mounted(&site, "hv1", "/srv/bad"), "");
    assert_eq!(site.sh("hv1", "grep -v '^#' /etc/fstab; ls -d /srv/bad 2>/dev/null; true"), fstab, "{}", run.out);
}

#[test]
fn what_is_mounted_already_is_found_and_adopted() {
    let site = up();
    exports(&site, &["a", "b", "c"]);
    let hosts: String =
        ["hv1", "hv2"].map(|name| format!("host \"{name}\" {{\n{}}}\n", site.machines().connection(name))).concat();
    site.write(&hosts);
    // As administrators write it: in fstab on both hosts, by a unit, by hand with `soft`.
    for host in ["hv1", "hv2"] {
        site.sh(host, &format!("mkdir -p /srv/nfs && echo '{}:/srv/a /srv/nfs nfs4 vers=4.2,noatime,_netdev 0 0' >>/etc/fstab && systemctl daemon-reload && mount /srv/nfs", server()));
    }
    site.sh(
        "hv1",
        &format!(
            "mkdir -p /srv/unit /srv/hand
             printf '[Mount]\\nWhat={0}:/srv/b\\nWhere=/srv/unit\\nType=nfs\\nOptions=vers=4.1,timeo=300\\n[Install]\\nWantedBy=remote-fs.target\\n' >/etc/systemd/system/srv-unit.mount
             systemctl enable --now srv-unit.mount && mount -t nfs -o vers=4.2,soft,noexec {0}:/srv/c /srv/hand",
            server()
        ),
    );
    let before =
        ["hv1", "hv2"].map(|host| site.sh(host, "cat /proc/self/mountinfo /etc/fstab; ls /etc/systemd/system"));
    site.larder(&["discover", "hv1", "hv2", "-out", "found.hcl"]).expect(0).says("no step on any host");
    let text = std::fs::read_to_string(site.path().join("found.hcl")).expect("the file");
    for words in [
        "external_volume \"nfs\"",
        "external_volume \"unit\"",
        "external_volume \"hand\"",
        "\"soft\"",
        "version = \"4.1\"",
    ] {
        assert!(text.contains(words), "no {words} in\n{text}");
    }
    let plan = site.larder(&["plan", "-json"]).expect(0).json();
    assert_eq!(plan["steps"], json!([]), "{plan:#}");
    assert_eq!(plan["changes"].as_array().map(Vec::len), Some(5), "{text}");
    site.apply();
    let after = ["hv1", "hv2"].map(|host| site.sh(host, "cat /proc/self/mountinfo /etc/fstab; ls /etc/systemd/system"));
    assert_eq!(after, before);
    site.assert_settled();
}

#[test]
fn a_server_is_reached_by_its_ipv6_address() {
    let site = up();
    site.sh("san", "ip address add fd00::21/64 dev eth1 nodad");
    site.sh("hv1", "ip address add fd00::11/64 dev eth1 nodad");
    exports(&site, &["a"]);
    site.sh("san", "echo '/srv/a fd00::/64(rw,no_subtree_check,no_root_squash)' >>/etc/exports && exportfs -ra");
    site.write(&volume(&site, &["hv1"], "/srv/a", "").replace(&server(), "fd00::21"));
    let plan = site.apply_exactly();
    let line =
        "[fd00::21]:/srv/a /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0";
    assert_eq!(edits(&plan, "hv1", "/etc/fstab").0, [line]);
    assert!(mounted(&site, "hv1", AT).starts_with("[fd00::21]:/srv/a "));
    // The same address, written in another way.
    site.write(&volume(&site, &["hv1"], "/srv/a", "").replace(&server(), "fd00:0:0::21"));
    assert!(!actions(&site.plan(), ADDRESS, "hv1").contains(&"unmount".to_owned()));
}

/// The name `nas`, which leads to the server on one machine and to another one on the second, with the same export path.
fn two_servers_of_one_name(site: &Site) -> String {
    exports(site, &["a"]);
    site.sh("hv1", &format!("echo '{} nas' >>/etc/hosts", server()));
    site.sh(
        "hv2",
        "echo '10.99.0.12 nas' >>/etc/hosts; mkdir -p /srv/a && chown 64055 /srv/a && chmod 0770 /srv/a && \
         echo '/srv/a 10.99.0.0/24(rw,no_subtree_check,no_root_squash)' >/etc/exports && systemctl start nfs-server && exportfs -ra",
    );
    volume(site, &["hv1", "hv2"], "/srv/a", "").replace(&format!("server = \"{}\"", server()), "server = \"nas\"")
}

#[test]
fn another_server_behind_the_same_name_is_taken_back() {
    let site = up();
    site.write(&two_servers_of_one_name(&site));
    let before = site.sh("hv2", "cat /etc/fstab");
    let run = site.larder(&["apply", "-auto-approve"]);
    assert_eq!(run.exit, 7, "{}\n{}", run.out, run.err);
    let run = run.says("not-shared: nas:/srv/a is another storage here than on hv1");
    assert!(run.out.contains("external_volume.nfs@hv2/canary-see"), "{}", run.out);
    // hv1 keeps its own; nothing is left on hv2, and no file on either server.
    assert!(mounted(&site, "hv1", AT).starts_with("nas:/srv/a "));
    assert_eq!(mounted(&site, "hv2", AT), "");
    assert_eq!(site.sh("hv2", "cat /etc/fstab; ls -d /srv/nfs 2>/dev/null; true"), before);
    assert_eq!(site.sh("san", "ls -A /srv/a") + &site.sh("hv2", "ls -A /srv/a"), "");
    // The same again: what is there is compared with what comes.
    site.larder(&["apply", "-auto-approve"]).expect(7).says("not-shared:");

    // Mounted by hand, it is refused without a step.
    site.sh("hv2", "mkdir -p /srv/a/x && exportfs -u 10.99.0.0/24:/srv/a && truncate -s 64M /disk && mkfs.ext4 -q /disk && mount -o loop /disk /srv/a && chown 64055 /srv/a && chmod 0770 /srv/a && exportfs -ra && mkdir -p /srv/nfs && mount -t nfs -o vers=4.2,hard,noatime nas:/srv/a /srv/nfs");
    let plan = site.refused();
    let told = ["is another storage than on hv1", "(server 10.99.0.12) there", "(server 10.99.0.21) on hv1"];
    assert_hazard(&plan, "not-shared", ADDRESS, "hv2", &told, "nas:/srv/a");

    // The name mended, it is one storage.
    site.sh(
        "hv2",
        &format!("umount /srv/nfs; rmdir /srv/nfs; sed -i '/ nas$/d' /etc/hosts; echo '{} nas' >>/etc/hosts", server()),
    );
    site.apply_exactly();
}

fn image(name: &str, volume: &str, more: &str) -> String {
    format!("image \"{name}\" {{\n  volume = external_volume.{volume}\n{more}}}\n")
}

/// Bytes that a file of the server has on its disk, in MiB.
fn on_disk(site: &Site, path: &str) -> u64 {
    let said = site.sh("san", &format!("sync; stat -c %b {path}"));
    said.trim().parse::<u64>().expect("a number") >> 11
}

#[test]
fn room_is_reserved_or_written_and_never_only_said_to_be() {
    let site = up();
    exports(&site, &["a", "b"]);
    let volumes: String = [("a", "4.2"), ("b", "4.1")]
        .map(|(name, version)| {
            format!(
                "external_volume \"{name}\" {{\n  storage     = image_storage.main\n  mount_point = \"/srv/{name}\"\n  nfs {{\n    server  = \"{}\"\n    export  = \"/srv/{name}\"\n    version = \"{version}\"\n  }}\n}}\n",
                server()
            )
        })
        .concat();
    site.write(&format!("{}{volumes}", storage(&site, &["hv1", "hv2"])));
    site.larder(&["apply", "-auto-approve"]).expect(0);
    let images = image("a", "a", "  format = \"raw\"\n  size = \"104MiB\"\n  allocation = \"falloc\"\n")
        + &image("b", "b", "  format = \"raw\"\n  size = \"104MiB\"\n  allocation = \"falloc\"\n")
        + &image("q", "b", "  format = \"qcow2\"\n  size = \"8MiB\"\n  allocation = \"falloc\"\n");
    site.write(&format!("{}{volumes}{images}", storage(&site, &["hv1", "hv2"])));
    let plan = site.apply_exactly();
    let told = ["/srv/b/b.raw on hv1", "by writing 104.0 MiB", "NFS 4.1 cannot reserve room", "takes 2 s"];
    let slow: Vec<_> = plan["hazards"].as_array().expect("hazards").iter().collect();
    assert_eq!(slow.len(), 1, "{slow:#?}");
    assert_hazard(&plan, "slow-allocation", "image.b", "hv1", &told, "sparse");
    assert_eq!((on_disk(&site, "/srv/a/a.raw"), on_disk(&site, "/srv/b/b.raw")), (104, 104));
    assert!(on_disk(&site, "/srv/b/q.qcow2") >= 8);
    let bigger = images.replace("\"8MiB\"", "\"16MiB\"");
    site.write(&format!("{}{volumes}{bigger}", storage(&site, &["hv1", "hv2"])));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "image.q", "hv1"), ["grow"]);
    assert!(on_disk(&site, "/srv/b/q.qcow2") >= 16);
}

#[test]
fn what_a_server_does_not_give_is_said_and_taken_back() {
    let site = up();
    exports(&site, &["a"]);
    site.sh("san", "chgrp 104 /srv/a");
    let before = site.sh("hv1", "cat /etc/fstab");
    let is_clean = |what: &str| {
        assert_eq!(mounted(&site, "hv1", AT), "", "{what}");
        assert_eq!(site.sh("hv1", "cat /etc/fstab; ls -d /srv/nfs 2>/dev/null; true"), before, "{what}");
    };
    site.write(&volume(&site, &["hv1"], "/srv/a", ""));
    let fails = |words: &[&str]| {
        let mut run = site.larder(&["apply", "-auto-approve"]);
        // The first time the directory of the storage has been made.
        assert!(matches!(run.exit, 1 | 7), "{}", run.exit);
        for words in words {
            run = run.says(words);
        }
        is_clean(words[0]);
    };

    // A version that it has not.
    site.sh("san", "mkdir -p /etc/nfs.conf.d && printf '[nfsd]\\nvers4.2=n\\n' >/etc/nfs.conf.d/test.conf && systemctl restart nfs-server");
    fails(&["does not serve 10.99.0.21:/srv/a with NFS 4.2; it does with 4.1, 4.0", "Set `version`"]);
    site.sh("san", "rm /etc/nfs.conf.d/test.conf && systemctl restart nfs-server");

    // An export that is not there, and one that nobody may write.
    site.sh("san", "sed -i 's/(rw/(ro/' /etc/exports && exportfs -ra");
    fails(&["/srv/nfs is not writable by libvirt-qemu here: mode 770 of 64055:104", "check-access"]);
    site.sh("san", "sed -i 's/(ro/(rw/' /etc/exports && exportfs -ra");

    // A server that never answers, and one that does in time.
    site.sh("san", "systemctl stop nfs-server");
    fails(&["the server of 10.99.0.21:/srv/a refuses the connection"]);
    let refused = || site.sh("san", "nstat -az TcpOutRsts | awk 'NR > 1 { print $2 }'").trim().to_owned();
    let count = refused();
    let mut late =
        site.command(&["apply", "-auto-approve"]).stdout(std::process::Stdio::null()).spawn().expect("it runs");
    crate::common::machines::eventually("the server has refused a connection", || refused() != count);
    site.sh("san", "systemctl start nfs-server");
    assert!(late.wait().expect("it ends").success());
    assert!(mounted(&site, "hv1", AT).starts_with("10.99.0.21:/srv/a "));
    site.assert_settled();
}
