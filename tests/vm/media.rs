//! Files of the workstation in a share that Larder serves, and through a mount of it.

use serde_json::Value;

use crate::common::{actions, assert_hazard, change, hazards};
use crate::site::{hosts, mounted, server, up};

const ADDRESS: &str = "media_file.debian";
const AT: &str = "/srv/media/debian.iso";

const SHARE: &str = "media_share \"iso\" {\n  host = host.san\n  path = \"/srv/media\"\n  user {\n    name     = \"larder\"\n    password = \"swordfish-17\"\n  }\n}\n";

fn storage(hosts: &str, more: &str) -> String {
    format!(
        "media_storage \"mounted\" {{\n  hosts    = [{hosts}]\n  server   = \"{}\"\n  share    = \"iso\"\n  username = \"larder\"\n  password = \"swordfish-17\"\n{more}  depends_on = [media_share.iso]\n}}\n",
        server()
    )
}

const FILE: &str = "media_file \"debian\" {\n  source = \"iso/debian.iso\"\n  share  = media_share.iso\n}\n";

#[test]
fn a_medium_is_uploaded_whole_and_replaced_only_if_accepted_and_while_nobody_has_it_open() {
    let site = up();
    let all = hosts(&site, &["san", "hv1"]) + SHARE + &storage("host.hv1", "") + FILE;
    site.write(&all);
    let missing = site.larder(&["plan", "-json"]).expect(1);
    assert!(missing.out.contains("source-unreadable") || missing.err.contains("source-unreadable"), "{missing:?}");
    site.write_source(32 << 20);

    // The share is made first, and then the file in the same apply.
    let run = site.larder(&["apply", "-auto-approve", "-json"]).expect(0);
    let events = serde_json::Deserializer::from_str(&run.out).into_iter::<Value>().map(|event| event.expect("JSON"));
    let told: Vec<u64> = (events.filter(|event| event["event"] == "step-progress"))
        .map(|event| {
            assert_eq!((&event["id"], &event["of"]), (&"media_file.debian@san/upload".into(), &(32u64 << 20).into()));
            event["bytes"].as_u64().expect("a number")
        })
        .collect();
    assert!(told.len() > 3 && told.is_sorted() && told.last() == Some(&(32 << 20)), "{told:?}");
    assert_eq!(site.digest_on("san", AT), site.source_digest());
    assert_eq!(site.sh("san", "stat -c '%a %U' /srv/media/debian.iso; ls -A /srv/media"), "644 root\ndebian.iso\n");
    site.assert_settled();
    let status = site.larder(&["status", "-json"]).expect(0).json();
    for media in status["media"].as_array().expect("media") {
        assert_eq!(media["files"], serde_json::json!([{"name": "debian.iso", "size": 32 << 20, "kind": "iso"}]));
    }
    let mounted = "/var/lib/larder/media/mounted/debian.iso";
    assert_eq!(site.digest_on("hv1", mounted), site.source_digest());

    // The digest that the host keeps is not believed once the file has changed.
    site.sh(
        "san",
        &format!("t=$(stat -c %y {AT}); printf x | dd of={AT} conv=notrunc status=none; touch -d \"$t\" {AT}"),
    );
    assert_eq!(hazards(&site.plan()), ["data-loss"]);

    // Another content, while a hypervisor has it open.
    site.write_source(3 << 20);
    site.sh("hv1", &format!("sh -c 'exec 3<{mounted}; exec sleep 1000' >/dev/null 2>&1 & echo $! >/run/holder"));
    let plan = site.refused();
    assert_hazard(&plan, "in-use", ADDRESS, "san", &["has /srv/media/debian.iso open"], "Stop the guest");
    assert_hazard(&site.refused(), "in-use", ADDRESS, "san", &["is in use on san: smbd"], "another `name`");
    site.larder(&["apply", "-auto-approve", "-accept", "data-loss@media_file.debian"]).expect(6);
    site.sh("hv1", "kill $(cat /run/holder)");
    crate::common::machines::eventually("the server has let go", || hazards(&site.plan()) == ["data-loss"]);
    let before = site.digest_on("san", AT);
    assert_hazard(&site.refused(), "data-loss", ADDRESS, "san", &["has another content"], "another `name`");
    assert_eq!(site.digest_on("san", AT), before);
    let plan = site.apply_exactly_with(&["-accept", "data-loss@media_file.debian"]);
    assert_eq!(actions(&plan, ADDRESS, "san"), ["replace"]);
    assert_eq!(site.digest_on("san", AT), site.source_digest());

    // A plan file whose source is another one now changes nothing.
    site.sh("san", &format!("rm {AT}"));
    site.larder(&["plan", "-out", "saved.plan"]).expect(0);
    site.write_source(3 << 20);
    let stale = site.larder(&["apply", "saved.plan"]);
    assert!(stale.exit != 0 && stale.err.contains("source-changed"), "{stale:?}");
    assert_eq!(site.sh("san", "ls -A /srv/media"), "");

    // What is there with the same content is adopted, and stays without its block.
    site.apply_exactly();
    std::fs::remove_dir_all(site.path().join("state")).expect("a state");
    assert_eq!(change(&site.plan(), ADDRESS)["action"], "adopt");
    site.larder(&["apply", "-auto-approve"]).expect(0);
    site.write(&(hosts(&site, &["san", "hv1"]) + SHARE + &storage("host.hv1", "")));
    assert_eq!(change(&site.plan(), ADDRESS)["action"], "forget");
    site.larder(&["apply", "-auto-approve"]).expect(0);
    assert_eq!(site.digest_on("san", AT), site.source_digest());
}

#[test]
fn a_medium_is_written_through_a_mount_that_may_write() {
    let site = up();
    site.write_source(20 << 20);
    let share = SHARE.replace("  user {", "  writable = true\n  user {");
    let storage = storage("host.hv1, host.hv2", "  writable = true\n");
    let file = FILE.replace("share  = media_share.iso", "storage = media_storage.mounted");
    site.write(&(hosts(&site, &["san", "hv1", "hv2"]) + &share + &storage + &file));
    // The share, its mounts and the file in one apply: the file waits for the mount.
    site.larder(&["apply", "-auto-approve"]).expect(0);
    site.assert_settled();
    let there = "/var/lib/larder/media/mounted";
    let (on_hv1, whole) = (format!("{there}/debian.iso"), site.source_digest());
    assert_eq!([site.digest_on("san", AT), site.digest_on("hv2", &on_hv1)], [whole.clone(), whole.clone()]);
    assert_eq!(site.sh("san", "ls -A /srv/media"), "debian.iso\n");
    assert_eq!(site.sh("hv1", &format!("stat -c '%U %G' {on_hv1}")), "libvirt-qemu kvm\n", "as the mount says");
    assert_eq!(site.sh("hv1", "ls -A /var/lib/larder/digests 2>/dev/null; true"), "", "a server is not believed");

    // Another content, while the other hypervisor has it open, and then not.
    site.write_source(21 << 20);
    site.sh("hv2", &format!("sh -c 'exec 3<{on_hv1}; exec sleep 1000' >/dev/null 2>&1 & echo $! >/run/holder"));
    assert_hazard(&site.refused(), "in-use", ADDRESS, "hv1", &["it is in use on hv2: sleep", "open"], "Stop the guest");
    site.larder(&["apply", "-auto-approve", "-accept", "data-loss@media_file.debian"]).expect(6);
    site.sh("hv2", "kill $(cat /run/holder)");
    crate::common::machines::eventually("the server has let go", || hazards(&site.plan()) == ["data-loss"]);
    assert_hazard(&site.refused(), "data-loss", ADDRESS, "hv1", &["has another content"], "another `name`");
    assert_eq!(site.digest_on("san", AT), whole);
    // What was left behind long ago goes; what may be another host's stays.
    site.sh(
        "san",
        "cd /srv/media; for left in .larder.AAAAAAAA .larder.BBBBBBBB; do mkdir $left; echo half >$left/image; done
         touch -d '2 hours ago' .larder.AAAAAAAA/image .larder.AAAAAAAA; chown -R larder: .larder.AAAAAAAA .larder.BBBBBBBB",
    );
    let plan = site.apply_exactly_with(&["-accept", "data-loss@media_file.debian"]);
    assert_eq!(actions(&plan, ADDRESS, "hv1"), ["replace"]);
    assert_eq!(site.digest_on("san", AT), site.source_digest());
    assert_eq!(site.sh("san", "ls -A /srv/media; rm -r /srv/media/.larder.*"), ".larder.BBBBBBBB\ndebian.iso\n");

    // Unmounted after the plan was made: nothing is written below the mount point, or anywhere.
    site.sh("san", &format!("rm {AT}"));
    site.larder(&["plan", "-out", "saved.plan"]).expect(0);
    site.sh("hv1", &format!("umount {there}"));
    let stale = site.larder(&["apply", "saved.plan"]).expect(4);
    assert!(stale.err.contains("what is mounted at"), "{stale:?}");
    assert_eq!(site.sh("hv1", &format!("ls -A {there}")) + &site.sh("san", "ls -A /srv/media"), "");
    // The next apply mounts it first, and then brings the file.
    site.larder(&["apply", "-auto-approve"]).expect(0);
    assert!(mounted(&site, "hv1", there).contains("/iso "));
    assert_eq!(site.digest_on("san", AT), site.source_digest());
    site.assert_settled();
}
