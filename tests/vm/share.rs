//! Shares that Larder serves by Samba, and hypervisors that mount them.

use std::process::Stdio;

use serde_json::json;

use crate::common::{Site, actions, assert_hazard, change, walk};
use crate::site::{self, know, mounted, server, up};

const ADDRESS: &str = "media_share.iso";

/// The server, and the hypervisors that are named.
fn hosts(site: &Site, names: &[&str]) -> String {
    site::hosts(site, names) + "variable \"password\" {\n  type      = string\n  sensitive = true\n}\n"
}

fn share(more: &str) -> String {
    format!(
        "media_share \"iso\" {{\n  host  = host.san\n  path  = \"/srv/media\"\n  share = \"Media 1\"\n  user {{\n    name     = \"larder\"\n    password = var.password\n  }}\n{more}}}\n"
    )
}

/// Logs in from a hypervisor, past Larder; gives what smbclient said.
fn log_in(site: &Site, password: &str, then: &str) -> String {
    let octal: String = password.bytes().map(|byte| format!("\\{byte:03o}")).collect();
    site.sh(
        "hv1",
        &format!(
            "printf '{octal}\\n' | PASSWD_FD=0 smbclient -U larder '//{}/media 1' -c '{then}' 2>&1 || true",
            server()
        ),
    )
}

#[test]
fn a_share_lives_through_its_changes_and_nobody_learns_the_password() {
    let site = up();
    let (first, second) = (" p,ä#'\" %$1 w", "another;one=2 ");
    know(&site, first);
    let untouched = site.sh("san", "cat /etc/samba/smb.conf");
    site.write(&(hosts(&site, &["san"]) + &share("")));
    let plan = site.apply_exactly();
    assert_eq!(
        actions(&plan, ADDRESS, "san"),
        ["mkdir", "share", "include", "user", "password", "enable", "start", "check-access", "login"]
    );
    assert_eq!(site.sh("san", "systemctl is-enabled smbd; systemctl is-active smbd"), "enabled\nactive\n");
    assert_eq!(
        site.sh(
            "san",
            "testparm -s 2>&1 >/dev/null | grep -i -e unknown -e error; stat -c '%a %U' /etc/samba/larder/*.conf"
        ),
        "644 root\n"
    );
    site.sh("san", "echo x >/srv/media/a.iso");
    assert!(log_in(&site, first, "ls").contains("a.iso"));
    assert!(log_in(&site, first, "put /etc/hostname b").contains("NT_STATUS_ACCESS_DENIED"));
    assert!(log_in(&site, "guess", "ls").contains("NT_STATUS_LOGON_FAILURE"));
    assert_eq!(site.sh("san", "getent passwd larder | cut -d: -f6-"), "/nonexistent:/usr/sbin/nologin\n");
    let status = site.larder(&["status", "-json"]).expect(0).json();
    let media = &status["media"][0];
    assert_eq!([&media["share"], &media["username"]], ["Media 1", "larder"]);
    assert_eq!(media["hosts"]["san"], json!({"state": "ok", "message": "NT_STATUS_OK"}));
    assert_eq!(media["files"], json!([{"name": "a.iso", "size": 2, "kind": "iso"}]));

    // Another password.
    know(&site, second);
    let status = site.larder(&["status", "-json"]).expect(0).json();
    let message = status["media"][0]["hosts"]["san"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("session setup failed: NT_STATUS_LOGON_FAILURE"), "{message}");
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, ADDRESS, "san"), ["password", "check-access", "login"]);
    assert!(log_in(&site, second, "ls").contains("a.iso"));

    // Drift by hand: each part, and all at once.
    site.sh("san", "sed -i 's/read only = Yes/read only = No/' /etc/samba/larder/*.conf");
    let plan = site.apply_exactly();
    assert_eq!(change(&plan, ADDRESS)["differences"][0]["attribute"], "read only");
    site.sh("san", "sed -i '/larder/d' /etc/samba/smb.conf");
    assert_eq!(actions(&site.apply_exactly(), ADDRESS, "san"), ["include", "check-access", "login"]);
    site.sh("san", "systemctl disable --now smbd 2>/dev/null; smbpasswd -x larder; rm /etc/samba/larder/*.conf");
    site.apply_exactly();
    assert!(log_in(&site, second, "ls").contains("a.iso"));
    site.sh("san", "chmod 0700 /srv/media");
    assert_hazard(
        &site.refused(),
        "no-access",
        ADDRESS,
        "san",
        &["NT_STATUS_ACCESS_DENIED"],
        "permissions of /srv/media",
    );
    site.sh("san", "chmod 0755 /srv/media");

    // A share of that name that somebody else has, and a configuration that is in error.
    site.sh("san", "cp /etc/samba/smb.conf /root/kept; printf '[media 1]\\npath = /mnt\\n' >>/etc/samba/smb.conf");
    assert_hazard(&site.refused(), "foreign", ADDRESS, "san", &["has a share Media 1 already"], "another name");
    site.sh("san", "{ cat /root/kept; echo '[broken'; } >/etc/samba/smb.conf");
    assert_hazard(&site.refused(), "unresponsive", ADDRESS, "san", &["could not be read"], "Look at the host");
    site.sh("san", "cat /root/kept >/etc/samba/smb.conf");
    site.assert_settled();

    // A plan file holds none, and the apply of it fetches it again.
    site.sh("san", "smbpasswd -x larder");
    site.larder(&["plan", "-out", "saved.plan"]).expect(0);
    site.larder(&["apply", "saved.plan"]).expect(0);
    site.assert_settled();

    // Whatever anybody could read.
    let mut trace = site.command(&["plan", "-json"]);
    let trace = trace.env("LARDER_LOG", "trace").stdout(Stdio::piped()).output().expect("it runs");
    let mut told =
        vec![String::from_utf8_lossy(&trace.stdout).into_owned(), String::from_utf8_lossy(&trace.stderr).into_owned()];
    for entry in walk(site.path()) {
        if !entry.ends_with("larder.vars.hcl") {
            told.push(String::from_utf8_lossy(&std::fs::read(&entry).expect("a file")).into_owned());
        }
    }
    told.push(site.sh("san", "cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' ' '; find /etc /run /var/log /var/lib /var/cache /tmp /root -xdev -type f ! -path '/var/lib/samba/*' -exec cat {} + 2>/dev/null; journalctl -o cat"));
    for secret in [first, second] {
        for text in &told {
            assert!(!text.contains(secret), "a secret stands in {}", text.chars().take(300).collect::<String>());
        }
    }

    // Somebody is connected: the share stays.
    site.write(&hosts(&site, &["san"]));
    site.sh("hv1", "mkdir -p /mnt/m; printf 'username=larder\\npassword=another;one=2 \\n' >/root/c");
    site.sh("hv1", &format!("mount -t cifs -o credentials=/root/c '//{}/media 1' /mnt/m", server()));
    assert_hazard(&site.refused(), "in-use", ADDRESS, "san", &["in use by 10.99.0.11"], "Unmount it there");
    site.sh("hv1", "umount /mnt/m");
    crate::common::machines::eventually("the server has let go", || {
        !site.sh("san", "smbstatus -S").to_lowercase().contains("media 1")
    });
    // Removed: its file, its line and the user of Samba are gone, and the rest is as it was.
    site.apply_exactly();
    assert_eq!(site.sh("san", "cat /etc/samba/smb.conf"), untouched);
    assert_eq!(site.sh("san", "ls -d /etc/samba/larder 2>/dev/null; pdbedit -L; cat /srv/media/a.iso"), "x\n");
    assert!(log_in(&site, second, "ls").contains("NT_STATUS_"));
}

#[test]
fn hypervisors_mount_what_the_same_configuration_serves() {
    let site = up();
    know(&site, "swordfish, 17#");
    site.sh("san", "systemctl enable --now smbd 2>/dev/null");
    let module = site.path().join("modules/cifs-media");
    std::fs::create_dir_all(&module).expect("a directory");
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("modules/cifs-media/main.hcl");
    std::fs::copy(shipped, module.join("main.hcl")).expect("a file");
    site.write(&format!(
        "{}module \"iso\" {{\n  source   = \"./modules/cifs-media\"\n  name     = \"iso\"\n  server   = host.san\n  hosts    = [host.hv1]\n  password = var.password\n  address  = \"{}\"\n}}\n",
        hosts(&site, &["san", "hv1"]),
        server()
    ));
    site.apply_exactly();
    let (at, address) = ("/var/lib/larder/media/iso", "module.iso.media_storage.media");
    assert!(mounted(&site, "hv1", at).starts_with(&format!("//{}/iso ", server())));
    assert!(site.sh("san", "smbstatus -S").contains("10.99.0.11"));
    site.sh("san", "echo x >/srv/iso/a.iso");
    assert_eq!(site.sh("hv1", &format!("cat {at}/a.iso")), "x\n");

    // A hypervisor that is not let in says so in the server's words.
    site.sh("hv1", &format!("umount {at}"));
    site.sh("san", "printf 'another-1\\nanother-1\\n' | smbpasswd -s -a larder");
    let status = site.larder(&["status", "-json"]).expect(0).json();
    let storage = status["media"].as_array().expect("media").iter().find(|one| one["address"] == address);
    let told = &storage.expect("the storage")["hosts"]["hv1"];
    assert_eq!(told["state"], "missing");
    assert!(told["message"].as_str().expect("a message").contains("NT_STATUS_LOGON_FAILURE"), "{told}");
    // The server's side goes first, so one apply mends both.
    site.apply_exactly();
    assert!(mounted(&site, "hv1", at).starts_with("//"));
}
