//! Files of the workstation in a share, from the plan to the status. Samba is played by scripts that say of the share what is wanted:
//! everything that is done with files is real.

mod common;

use std::process::{Command, Stdio};

use common::machines::eventually;
use common::{Site, actions, assert_hazard, change, executed, hazards, hosts};
use serde_json::{Value, json};

const ADDRESS: &str = "media_file.debian";
const AT: &str = "/srv/media/debian.iso";
const SHARE: &str = "media_share \"iso\" {\n  host  = host.nas\n  path  = \"/srv/media\"\n  share = \"media\"\n  user {\n    name     = \"larder\"\n    password = \"swordfish-17\"\n  }\n}\n";
const FILE: &str = "media_file \"debian\" {\n  share  = media_share.iso\n  source = \"iso/debian.iso\"\n}\n";

/// A host with a share as it is wanted.
fn up() -> Site {
    let site = Site::up(&["nas"]);
    site.sh(
        "nas",
        r#"mkdir -p /srv/media /etc/samba/larder /usr/local/sbin
        printf 'larder:x:999:999::/nonexistent:/usr/sbin/nologin\n' >>/etc/passwd; printf 'larder:x:999:\n' >>/etc/group
        printf '[global]\ninclude = /etc/samba/larder/media.conf\n' >/etc/samba/smb.conf
        printf '# larder.id=media_share.iso\n# Written by Larder: what is changed here by hand is put back.\n[media]\n\tpath = /srv/media\n\tread only = Yes\n\tvalid users = larder\n\tguest ok = No\n' >/etc/samba/larder/media.conf
        cd /usr/local/sbin
        for program in smbd pdbedit smbcontrol smbstatus smbpasswd smbclient; do printf '#!/bin/sh\nexit 0\n' >$program; done
        cat >testparm <<'END'
#!/bin/sh
case "$*" in
*/dev/stdin) cat >/dev/null; echo 'Unknown section media encountered' >&2; exit 1 ;;
*=path*) echo /srv/media ;;
*'=read only'*) echo Yes ;;
*'=valid users'*) echo larder ;;
*'=guest ok'*) echo No ;;
esac
END
        chmod 755 *"#
            .replace("chmod 755 *", "set +f; chmod 755 ./*")
            .as_str(),
    );
    site
}

fn there(site: &Site) -> String {
    site.digest_on("nas", AT)
}

#[test]
fn a_file_of_300_mib_goes_through_little_memory_and_is_a_medium() {
    let site = up();
    site.write(&(hosts(&["nas"]) + SHARE + FILE));
    let missing = site.larder(&["plan"]).expect(1);
    assert!(missing.err.contains("source-unreadable") && missing.err.contains("main.hcl"), "{missing:?}");
    site.larder(&["validate"]).expect(0);
    site.write_source(300 << 20);
    let plan = site.plan();
    assert_eq!(actions(&plan, ADDRESS, "nas"), ["upload"], "{plan:#}");
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(1), "the share is as it is wanted: {plan:#}");
    let upload = json!({"path": "iso/debian.iso", "bytes": 300 << 20, "sha256": site.source_digest()});
    assert_eq!(plan["steps"][0]["upload"], upload);

    let (run, most) = site.watched(&["apply", "-auto-approve", "-json"]);
    let run = run.expect(0);
    assert!((1 << 10..64 << 10).contains(&most), "{most} KiB");
    assert_eq!(executed(&run.out), ["media_file.debian@nas/upload"]);
    let events = serde_json::Deserializer::from_str(&run.out).into_iter::<Value>().map(|event| event.expect("JSON"));
    let told = events.filter(|event| event["event"] == "step-progress");
    let told: Vec<_> = told.map(|event| event["bytes"].as_u64().expect("a number")).collect();
    assert!(told.len() > 30 && told.is_sorted() && told.last() == Some(&(300 << 20)), "{told:?}");
    assert_eq!(there(&site), site.source_digest());
    assert_eq!(site.sh("nas", &format!("stat -c '%a %U' {AT}; ls -A /srv/media")), "644 root\ndebian.iso\n");
    site.assert_settled();
    let status = site.larder(&["status", "-json"]).expect(0).json();
    assert_eq!(status["media"][0]["files"], json!([{"name": "debian.iso", "size": 300 << 20, "kind": "iso"}]));

    // Killed in the middle: nothing of it is in sight, and the next apply brings it whole.
    site.sh("nas", &format!("rm {AT}"));
    let mut child = site.command(&["apply", "-auto-approve"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.as_mut().expect("it runs");
    eventually("a part of it has come", || !site.sh("nas", "find /srv/media -size +1024k").is_empty());
    assert!(child.try_wait().expect("our own child").is_none(), "it was too quick for the test");
    child.kill().expect("our own child");
    child.wait().expect("it ends");
    assert_eq!(site.sh("nas", "ls /srv/media"), "");
    eventually("the host has taken away what has come", || site.sh("nas", "ls -A /srv/media").is_empty());
    site.larder(&["apply", "-auto-approve", "-lock-timeout", "30s"]).expect(0);
    assert_eq!(there(&site), site.source_digest());
    assert_eq!(site.sh("nas", "ls -A /srv/media"), "debian.iso\n");
    site.assert_settled();
}

#[test]
fn another_content_is_replaced_only_if_accepted_and_never_while_it_is_open() {
    let site = up();
    site.write_source(3 << 20);
    site.write(&(hosts(&["nas"]) + SHARE + FILE));
    site.sh(
        "nas",
        &format!("echo before >{AT}; sh -c 'exec 3<{AT}; exec sleep 1000' >/dev/null 2>&1 & echo $! >/run/holder"),
    );
    eventually("it is open", || hazards(&site.plan()) == ["in-use"]);
    assert_hazard(&site.refused(), "in-use", ADDRESS, "nas", &["another content", "sleep (pid", AT], "Stop the guest");
    site.larder(&["apply", "-auto-approve", "-accept", "data-loss@media_file.debian"]).expect(6);
    site.sh("nas", "kill $(cat /run/holder)");
    eventually("it is closed", || hazards(&site.plan()) == ["data-loss"]);
    assert_hazard(&site.refused(), "data-loss", ADDRESS, "nas", &["has another content"], "another `name`");
    assert_eq!(site.sh("nas", &format!("cat {AT}")), "before\n");
    let plan = site.apply_exactly_with(&["-accept", "data-loss@media_file.debian"]);
    assert_eq!(actions(&plan, ADDRESS, "nas"), ["replace"]);
    assert_eq!(there(&site), site.source_digest());
    // Changed by hand, with size and time of writing as before.
    site.sh(
        "nas",
        &format!("t=$(stat -c %y {AT}); printf x | dd of={AT} conv=notrunc status=none; touch -d \"$t\" {AT}"),
    );
    assert_eq!(hazards(&site.plan()), ["data-loss"]);
    // What does not matter is left alone.
    let ignoring = FILE.replace("}\n", "  lifecycle {\n    ignore_changes = [\"source\"]\n  }\n}\n");
    site.write(&(hosts(&["nas"]) + SHARE + &ignoring)).assert_settled();
    site.sh("nas", &format!("rm {AT}; mkdir {AT}"));
    assert_hazard(&site.refused(), "wrong-source", ADDRESS, "nas", &["no regular file"], "Move it away");
}

#[test]
fn what_is_there_is_adopted_and_stays_and_a_plan_is_for_one_content() {
    let site = up();
    site.write_source(1 << 20);
    let with = |more: &str| hosts(&["nas"]) + SHARE + &FILE.replace("}\n", &format!("{more}}}\n"));
    site.write(&with("")).larder(&["apply", "-auto-approve"]).expect(0);
    std::fs::remove_dir_all(site.path().join("state")).expect("a state");
    assert_eq!(change(&site.plan(), ADDRESS)["action"], "adopt");
    site.larder(&["apply", "-auto-approve"]).expect(0);
    // A medium is there to be read.
    for (change, expected) in [
        ("chmod 600", &["no-access"][..]),
        ("chown 999", &[]),
        ("chmod 200", &["no-access"]),
        ("chown 0", &["no-access"]),
        ("chmod 640", &[]),
        ("chmod 644", &[]),
    ] {
        site.sh("nas", &format!("{change} {AT}"));
        assert_eq!(hazards(&site.plan()), expected, "{change}");
    }
    // Pins.
    site.write(&with(&format!("  sha256 = \"{}\"\n  size = 1048576\n", site.source_digest()))).assert_settled();
    for pin in [format!("  sha256 = \"{}\"\n", "0".repeat(64)), "  size = 5\n".to_owned()] {
        let said = site.write(&with(&pin)).larder(&["plan"]).expect(1);
        assert!(said.err.contains("source-changed") && said.err.contains("main.hcl"), "{said:?}");
        site.larder(&["validate"]).expect(0);
    }
    // A plan file whose source is another one now changes nothing.
    site.sh("nas", &format!("rm {AT}"));
    site.write(&with("")).larder(&["plan", "-out", "saved.plan"]).expect(0);
    let kept = std::fs::read(site.source()).expect("a file");
    site.write_source(1 << 20);
    let refused = |says: &str| {
        let stale = site.larder(&["apply", "-json", "saved.plan"]).expect(4);
        assert!(stale.out.contains("source-changed") && stale.out.contains(says), "{says}: {stale:?}");
        assert_eq!(site.sh("nas", "ls -A /srv/media"), "", "{says}");
    };
    refused(&format!("1048576 bytes, sha256 {}", site.source_digest()));
    site.write_source((1 << 20) - 1);
    refused("it has 1048575 bytes, not 1048576");
    std::fs::remove_file(site.source()).expect("a file");
    refused("it cannot be read: No such file");
    std::fs::write(site.source(), kept).expect("a file");
    site.larder(&["apply", "saved.plan"]).expect(0);
    assert_eq!(there(&site), site.source_digest());
    // Without the block, and without the source, the file stays.
    std::fs::remove_dir_all(site.path().join("iso")).expect("a directory");
    site.write(&(hosts(&["nas"]) + SHARE));
    assert_eq!(change(&site.plan(), ADDRESS)["action"], "forget");
    site.larder(&["apply", "-auto-approve"]).expect(0);
    assert_eq!(site.sh("nas", "ls -A /srv/media"), "debian.iso\n");
}

#[test]
fn a_plan_that_does_more_than_upload_does_nothing_for_a_source_that_has_changed() {
    let site = up();
    site.write_source(1 << 20);
    let volume = "image_storage \"main\" {\n  hosts = [host.nas]\n}\nexternal_volume \"disk\" {\n  storage     = image_storage.main\n  mount_point = \"/data/disk\"\n  directory {}\n}\n";
    site.write(&(hosts(&["nas"]) + SHARE + FILE + volume)).larder(&["plan", "-out", "saved.plan"]).expect(0);
    site.write_source(1 << 20);
    let stale = site.larder(&["apply", "saved.plan"]).expect(4);
    assert!(stale.err.contains("source-changed") && stale.err.contains("Nothing was done"), "{stale:?}");
    assert_eq!(site.sh("nas", "ls -A /srv/media; ls -d /data/disk 2>/dev/null; true"), "");
}

#[test]
fn a_source_that_is_missing_is_a_problem_of_those_alone_who_plan_its_medium() {
    let site = up();
    site.write_source(1 << 20);
    let volume = "image_storage \"main\" {\n  hosts = [host.nas]\n}\nexternal_volume \"disk\" {\n  storage     = image_storage.main\n  mount_point = \"/data/disk\"\n  directory {}\n}\n";
    site.write(&(hosts(&["nas"]) + SHARE + FILE + volume)).larder(&["apply", "-auto-approve"]).expect(0);
    std::fs::remove_dir_all(site.path().join("iso")).expect("a directory");
    for words in [
        &["plan"][..],
        &["plan", "-target", ADDRESS],
        &["apply", "-auto-approve"],
        &["plan", "-exclude", "external_volume.disk"],
    ] {
        let refused = site.larder(words).expect(1);
        assert!(
            refused.err.contains("source-unreadable") && refused.err.contains("main.hcl"),
            "{words:?}: {refused:?}"
        );
    }
    let status = site.larder(&["status", "-json"]).expect(0).json();
    assert_eq!(status["media"][0]["files"], json!([{"name": "debian.iso", "size": 1 << 20, "kind": "iso"}]));
    site.larder(&["plan", "-target", "external_volume.disk"]).expect(0);
    site.sh("nas", "rmdir /data/disk");
    site.larder(&["apply", "-auto-approve", "-exclude", ADDRESS]).expect(0);
    site.sh("nas", "stat /data/disk");
    let state = site.larder(&["state", "show", ADDRESS]).expect(0);
    assert!(state.out.contains("debian.iso"), "what is left out stays as it is remembered: {state:?}");
    site.larder(&["plan", "-destroy"]).expect(0);
    site.larder(&["destroy", "-auto-approve", "-target", ADDRESS]).expect(0);
    assert_eq!(site.sh("nas", "ls -A /srv/media"), "debian.iso\n");
}

#[test]
fn blocks_that_make_no_sense_are_refused_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = "media_storage \"m\" {\n  hosts    = [host.nas]\n  server   = \"192.0.2.5\"\n  share    = \"x\"\n  username = \"u\"\n  password = \"p\"\n}\n";
    let other = "media_file \"other\" {\n  share  = media_share.iso\n  source = \"other/debian.iso\"\n}\n";
    let file = |body: &str| format!("media_file \"debian\" {{\n{body}}}\n");
    let table = [
        (file("  source = \"a.iso\"\n"), "missing-attribute"),
        (file("  source = \"a.iso\"\n  share = media_share.iso\n  storage = media_storage.w\n"), "invalid-value"),
        (file("  source = \"a.iso\"\n  storage = media_storage.m\n"), "writable = true"),
        (file("  source = \"../a.iso\"\n  share = media_share.iso\n"), "invalid-path"),
        (file("  source = \"a.iso\"\n  share = media_share.iso\n  name = \"b/a.iso\"\n"), "invalid-value"),
        (file("  source = \"a.iso\"\n  share = media_share.iso\n  name = \".a.iso\"\n"), "invalid-value"),
        (file("  source = \"a.iso\"\n  share = media_share.iso\n  name = \"a\\n.iso\"\n"), "invalid-value"),
        (file("  source = \"a.iso\"\n  share = media_share.iso\n  name = \"a.iso \"\n"), "who has the file open"),
        (file("  source = \"a.iso (deleted)\"\n  share = media_share.iso\n"), "who has the file open"),
        (file("  source = \"iso/\"\n  share = media_share.iso\n"), "invalid-value"),
        (file("  source = \"a.iso\"\n  share = media_share.iso\n  sha256 = \"ABC\"\n"), "invalid-value"),
        (format!("{FILE}{other}"), "duplicate-path"),
    ];
    for (text, code) in table {
        let writable = storage.replace("\"m\"", "\"w\"").replace("}\n", "  writable = true\n}\n");
        let all = format!("host \"nas\" {{\n  address = \"192.0.2.5\"\n}}\n{SHARE}{storage}{writable}{text}");
        std::fs::write(directory.path().join("main.hcl"), &all).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        // Nobody listens at that address, and nobody needs to.
        let words = if code == "duplicate-path" { ["plan", "-json"] } else { ["validate", "-json"] };
        std::fs::create_dir_all(directory.path().join("iso")).expect("a directory");
        std::fs::create_dir_all(directory.path().join("other")).expect("a directory");
        for source in ["iso/debian.iso", "other/debian.iso"] {
            std::fs::write(directory.path().join(source), "x").expect("a file");
        }
        let output = command.current_dir(directory.path()).args(words).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}\n{said}");
        assert!(said.contains(code), "{text}\n{said}");
    }
}
