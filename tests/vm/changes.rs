//! Servers that move, die and come back, and members that come and go, for both kinds of network storage.

use serde_json::{Value, json};

use crate::common::machines::eventually;
use crate::common::{Site, actions, change, edits};
use crate::site::{mounted, serve, server, storage, up};

/// A second address of the server.
const MOVED: &str = "10.99.0.22";

const AT: &str = "/srv/data";

/// The server gets its second address.
fn add_address(site: &Site) {
    site.sh(
        "san",
        &format!("ip address add {MOVED}/24 dev $(ip -o -4 address show | awk '/10\\.99\\.0\\.21/ {{ print $2 }}')"),
    );
}

/// The state of a volume on each hypervisor, as `status` tells it.
fn states(site: &Site) -> Value {
    let status = site.larder(&["status", "-json"]).expect(0).json();
    let state = |host: &str| status["volumes"][0]["hosts"][host]["state"].clone();
    json!([state("hv1"), state("hv2")])
}

/// What a member does of its own, without the canary.
fn own(plan: &Value, address: &str, host: &str) -> Vec<String> {
    actions(plan, address, host).into_iter().filter(|action| !action.starts_with("canary-")).collect()
}

fn answers(site: &Site, host: &str) -> bool {
    site.try_on(host, &["timeout", "-s", "KILL", "4", "stat", "-f", AT]).status.success()
}

#[test]
fn an_nfs_server_moves_dies_and_comes_back() {
    let site = up();
    site.sh(
        "san",
        "mkdir -p /srv/a && chown 64055 /srv/a && chmod 0770 /srv/a && \
         echo '/srv/a 10.99.0.0/24(rw,no_subtree_check,no_root_squash)' >/etc/exports && systemctl enable --now nfs-server",
    );
    add_address(&site);
    let address = "external_volume.nfs";
    let at = |server: &str| {
        format!(
            "{}external_volume \"nfs\" {{\n  storage     = image_storage.main\n  mount_point = \"{AT}\"\n  nfs {{\n    server = \"{server}\"\n    export = \"/srv/a\"\n  }}\n}}\n",
            storage(&site, &["hv1", "hv2"]),
        )
    };
    site.write(&at(&server()));
    site.apply_exactly();

    // Moved: the same data under another address. Nothing is mounted anew while a guest has it open.
    site.sh("hv1", "runuser -u libvirt-qemu -- sh -c 'echo guest >/srv/data/f'");
    site.write(&at(MOVED));
    let plan = site.apply_exactly();
    assert_eq!(own(&plan, address, "hv1"), ["unmount", "fstab", "mount", "chown", "chmod", "check-access"]);
    let (added, removed) = edits(&plan, "hv1", "/etc/fstab");
    assert!(
        added[0].starts_with(&format!("{MOVED}:/srv/a ")) && removed[0].starts_with(&server()),
        "{added:?} {removed:?}"
    );
    assert!(mounted(&site, "hv2", AT).starts_with(&format!("{MOVED}:/srv/a ")));
    assert_eq!(site.sh("hv2", "cat /srv/data/f"), "guest\n");

    // Killed and back: the mounts are those that were.
    let before = mounted(&site, "hv1", AT);
    site.machines().freeze("san");
    assert_eq!(states(&site), json!(["unresponsive", "unresponsive"]));
    site.machines().thaw("san");
    site.machines().power_cycle("san");
    add_address(&site);
    for host in ["hv1", "hv2"] {
        eventually("the mount answers", || answers(&site, host));
    }
    site.assert_settled();
    assert_eq!(states(&site), json!(["ok", "ok"]));
    assert_eq!(mounted(&site, "hv1", AT), before);
    assert_eq!(site.sh("hv1", "cat /srv/data/f"), "guest\n");
}

#[test]
fn a_cifs_server_moves_dies_and_comes_back() {
    let site = up();
    serve(&site, "swordfish-17");
    site.sh("san", "systemctl enable smbd");
    add_address(&site);
    let address = "external_volume.smb";
    let at = |members: &[&str], server: &str, more: &str| {
        format!(
            "{}external_volume \"smb\" {{\n  storage     = image_storage.main\n  mount_point = \"{AT}\"\n  cifs {{\n    server   = \"{server}\"\n    share    = \"images\"\n    username = \"vmstore\"\n    password = env(\"SMB_PASSWORD\")\n  }}\n{more}}}\n",
            storage(&site, members),
        )
    };
    // Read through a file beside the configuration: a variable of the environment would be in every process of this test.
    let write =
        |text: &str| site.write(&text.replace("env(\"SMB_PASSWORD\")", "secret_file(\"${path.module}/password\")"));
    std::fs::write(site.path().join("password"), "swordfish-17").expect("a file");

    // A member, then two.
    write(&at(&["hv1"], &server(), ""));
    site.apply_exactly();
    write(&at(&["hv1", "hv2"], &server(), ""));
    let plan = site.apply_exactly();
    assert_eq!(change(&plan, address)["hosts"], json!({"hv1": "unchanged", "hv2": "create"}));
    site.sh("hv1", "runuser -u libvirt-qemu -- sh -c 'echo guest >/srv/data/f'");
    assert_eq!(site.sh("hv2", "cat /srv/data/f"), "guest\n");

    // By hand read-only, which CIFS cannot be told by a remount with other flags.
    site.sh("hv2", "mount -o remount,ro /srv/data");
    let plan = site.plan();
    assert_eq!(change(&plan, address)["hosts"], json!({"hv1": "unchanged", "hv2": "update"}));
    site.apply_exactly();
    site.sh("hv2", "runuser -u libvirt-qemu -- touch /srv/data/again");

    // Options, and a server that has moved.
    write(&at(&["hv1", "hv2"], &server(), "  options = [\"actimeo=3\"]\n"));
    let plan = site.apply_exactly();
    assert_eq!(own(&plan, address, "hv1"), ["unmount", "mount", "fstab", "check-access"]);
    assert!(mounted(&site, "hv1", AT).contains("actimeo=3"));
    write(&at(&["hv1", "hv2"], MOVED, ""));
    let plan = site.apply_exactly();
    assert_eq!(own(&plan, address, "hv2"), ["unmount", "fstab", "mount", "check-access"]);
    assert!(mounted(&site, "hv1", AT).starts_with(&format!("//{MOVED}/images ")));

    // Killed and back.
    site.machines().freeze("san");
    assert_eq!(states(&site), json!(["unresponsive", "unresponsive"]));
    site.larder(&["plan"]).expect(6).says("/srv/data does not answer");
    site.machines().thaw("san");
    site.machines().power_cycle("san");
    add_address(&site);
    for host in ["hv1", "hv2"] {
        eventually("the mount answers", || answers(&site, host));
    }
    site.assert_settled();
    assert_eq!(states(&site), json!(["ok", "ok"]));

    // A host that boots has it again, one that leaves has nothing of it left. The address is of this boot of the server.
    site.machines().reboot("hv1");
    eventually("it is mounted", || mounted(&site, "hv1", AT).starts_with(&format!("//{MOVED}/images ")));
    site.assert_settled();
    write(&at(&["hv1"], MOVED, ""));
    site.apply_exactly();
    assert_eq!(mounted(&site, "hv2", AT), "");
    assert_eq!(
        site.sh("hv2", "ls -d /etc/larder/credentials /srv/data 2>/dev/null; grep x-larder /etc/fstab; true"),
        ""
    );
    assert_eq!(site.sh("hv1", "cat /srv/data/f"), "guest\n");
}

#[test]
fn a_change_that_fails_leaves_the_volume_mounted_as_it_was() {
    let site = up();
    site.sh(
        "san",
        "mkdir -p /srv/a && chown 64055 /srv/a && chmod 0770 /srv/a && \
         echo '/srv/a 10.99.0.0/24(rw,no_subtree_check,no_root_squash)' >/etc/exports && systemctl start nfs-server",
    );
    serve(&site, "swordfish-17");
    let write = |options: &str, password: &str| {
        std::fs::write(site.path().join("password"), password).expect("a file");
        site.write(&format!(
            "{}external_volume \"nfs\" {{\n  storage     = image_storage.main\n  mount_point = \"/srv/nfs\"\n  options     = [{options}]\n  nfs {{\n    server = \"{1}\"\n    export = \"/srv/a\"\n  }}\n}}\n\
             external_volume \"smb\" {{\n  storage     = image_storage.main\n  mount_point = \"/srv/smb\"\n  cifs {{\n    server   = \"{1}\"\n    share    = \"images\"\n    username = \"vmstore\"\n    password = secret_file(\"${{path.module}}/password\")\n  }}\n}}\n",
            storage(&site, &["hv1"]),
            server(),
        ));
    };
    write("", "swordfish-17");
    site.apply_exactly();
    let as_it_is = || {
        let files = "cat /etc/fstab; ls -A /etc/larder/credentials; sha256sum /etc/larder/credentials/*";
        (mounted(&site, "hv1", "/srv/nfs"), mounted(&site, "hv1", "/srv/smb"), site.sh("hv1", files))
    };
    let before = as_it_is();
    assert!(!before.0.is_empty() && !before.1.is_empty());

    let table = [
        ("\"hrad\"", "swordfish-17", "external_volume.nfs", "incorrect mount option"),
        ("", "another-99", "external_volume.smb", "the server refuses the user"),
    ];
    for (options, password, address, words) in table {
        write(options, password);
        for _ in 0..2 {
            let run = site.larder(&["apply", "-auto-approve"]);
            assert!(matches!(run.exit, 1 | 7), "{}", run.exit);
            run.says(words);
            assert_eq!(as_it_is(), before, "{address}");
        }
        let plan = site.plan();
        assert_eq!(change(&plan, address)["hosts"], json!({"hv1": "update"}));
        assert_eq!(plan["drift"], json!([]), "nobody has changed anything by hand");
    }
    write("", "swordfish-17");
    site.assert_settled();
    site.sh("hv1", "runuser -u libvirt-qemu -- touch /srv/nfs/x /srv/smb/x");
}
