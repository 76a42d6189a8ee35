//! External volumes on CIFS, and where their password is.

use std::process::Stdio;

use serde_json::json;

use crate::common::machines::eventually;
use crate::common::{Site, actions, assert_hazard, change, walk};
use crate::site::{know, mounted, serve, server, set_password, storage, up};

const ADDRESS: &str = "external_volume.smb";
const AT: &str = "/srv/smb";

fn volume(site: &Site, share: &str, more: &str) -> String {
    format!(
        "{}variable \"password\" {{\n  type      = string\n  sensitive = true\n}}\nexternal_volume \"smb\" {{\n  storage     = image_storage.main\n  mount_point = \"{AT}\"\n  cifs {{\n    server   = \"{}\"\n    share    = \"{share}\"\n    path     = \"{}\"\n    username = \"vmstore\"\n    password = var.password\n  }}\n{more}}}\n",
        storage(site, &["hv1", "hv2"]),
        server(),
        if share == "images" { "sub" } else { "" },
    )
}

#[test]
fn a_share_lives_through_its_changes_and_nobody_learns_the_password() {
    let site = up();
    let (first, second) = ("p,ä#'\" %$1 w", "another;one=2 ");
    serve(&site, first);
    know(&site, first);
    site.write(&volume(&site, "images", ""));
    let plan = site.apply_exactly();
    assert_eq!(
        actions(&plan, ADDRESS, "hv1"),
        ["mkdir", "lock", "credentials", "fstab", "mount", "check-access", "canary-write", "canary-remove"],
        "no chown and no chmod"
    );
    assert!(mounted(&site, "hv1", AT).starts_with(&format!("//{}/images/sub ", server())));
    assert_eq!(
        site.sh("hv1", "stat -c '%a %U' /etc/larder/credentials /etc/larder/credentials/*"),
        "700 root\n600 root\n"
    );
    // qemu-img needs locks that nobody else enforces there.
    site.sh("hv1", "runuser -u libvirt-qemu -- qemu-img create -q -f qcow2 /srv/smb/x.qcow2 8M");
    assert_eq!(site.sh("hv2", "stat -c '%u %G' /srv/smb/x.qcow2"), "64055 kvm\n");

    // Drift by hand.
    site.sh("hv1", "chmod 0644 /etc/larder/credentials/*");
    site.sh("hv2", "umount /srv/smb");
    let plan = site.apply_exactly();
    assert_eq!(
        actions(&plan, ADDRESS, "hv1"),
        ["credentials", "check-access", "forget-credentials", "canary-write", "canary-remove"]
    );
    site.sh(
        "hv2",
        &format!(
            "umount {AT} && mount -t cifs -o credentials=/etc/larder/credentials/{ADDRESS} //{}/other {AT}",
            server()
        ),
    );
    assert_hazard(&site.refused(), "wrong-source", ADDRESS, "hv2", &["/other", "and not"], "Unmount it");
    site.sh("hv2", &format!("umount {AT}"));
    site.apply_exactly();

    // Another password.
    set_password(&site, second);
    know(&site, second);
    let plan = site.apply_exactly();
    assert_eq!(
        actions(&plan, ADDRESS, "hv1"),
        ["credentials", "unmount", "mount", "check-access", "forget-credentials", "canary-write", "canary-remove"]
    );
    assert_eq!(change(&plan, ADDRESS)["hosts"], json!({"hv1": "update", "hv2": "update"}));
    site.sh("hv1", "runuser -u libvirt-qemu -- touch /srv/smb/y");

    // A plan file holds none, and the apply of it fetches it again.
    site.sh("hv1", &format!("umount {AT}; rm /etc/larder/credentials/*"));
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
    for host in ["hv1", "hv2"] {
        told.push(site.sh(host, "cat /proc/*/cmdline /proc/*/environ /etc/fstab /proc/mounts 2>/dev/null | tr '\\0' ' '; find /etc /run /var/log /tmp /root -xdev -type f ! -path '/etc/larder/credentials/*' -exec cat {} + 2>/dev/null; journalctl -o cat"));
    }
    for secret in [first, second] {
        for text in &told {
            assert!(!text.contains(secret), "a secret stands in {}", text.chars().take(300).collect::<String>());
        }
    }

    // Removed: nothing of it is left.
    site.write(&format!(
        "{}variable \"password\" {{\n  type      = string\n  sensitive = true\n}}\n",
        storage(&site, &["hv1", "hv2"])
    ));
    site.apply_exactly();
    assert_eq!(mounted(&site, "hv1", AT), "");
    assert_eq!(
        site.sh("hv1", "ls -d /etc/larder/credentials /srv/smb 2>/dev/null; grep x-larder /etc/fstab; true"),
        ""
    );
}

#[test]
fn a_password_that_changes_while_the_connection_breaks_is_mended() {
    let site = up();
    serve(&site, "first-17");
    know(&site, "first-17");
    let image = "image \"a\" {\n  volume = external_volume.smb\n  format = \"raw\"\n  size   = \"1MiB\"\n}\n";
    site.write(&(volume(&site, "images", "") + image));
    site.larder(&["apply", "-auto-approve"]).expect(0);
    site.assert_settled();
    site.sh("hv1", "runuser -u libvirt-qemu -- sh -c 'echo guest >/srv/smb/f'");
    set_password(&site, "second-18");
    site.sh("san", "systemctl restart smbd");
    for host in ["hv1", "hv2"] {
        eventually("the mount fails", || {
            let said = site.try_on(host, &["timeout", "-s", "KILL", "4", "stat", "-f", AT]);
            said.status.code() == Some(1)
        });
    }
    // With the old password there is no way, and what the server says is told.
    let refused = site.refused()["hazards"].to_string();
    for words in ["/srv/smb does not work any more (Host is down)", "refuses vmstore", "NT_STATUS_LOGON_FAILURE"] {
        assert!(refused.contains(words), "no {words:?} in {refused}");
    }
    // With the new one there is.
    know(&site, "second-18");
    let plan = site.plan();
    let own = |host: &str| {
        let all = actions(&plan, ADDRESS, host);
        all.into_iter().filter(|action| !action.starts_with("canary-")).collect::<Vec<_>>()
    };
    for host in ["hv1", "hv2"] {
        assert_eq!(own(host), ["credentials", "unmount", "mount", "check-access", "forget-credentials"], "{host}");
    }
    site.larder(&["apply", "-auto-approve"]).expect(0);
    site.assert_settled();
    for host in ["hv1", "hv2"] {
        assert_eq!(site.sh(host, &format!("cat {AT}/f; grep -c ' {AT} ' /proc/self/mountinfo")), "guest\n1\n");
    }
}

#[test]
fn shares_that_are_mounted_already_are_adopted_as_they_are() {
    let site = up();
    let password = "swordfish-17";
    serve(&site, password);
    site.sh("san", "cd /srv/smb/sub && truncate -s 1M web.raw && chown vmstore: web.raw");
    let san = server();
    for host in ["hv1", "hv2"] {
        site.sh(
            host,
            &format!(
                "mkdir -p /srv/smb /srv/iso /srv/by-hand && umask 077 && printf 'username=vmstore\\npassword={password}\\n' >/root/.smb
                 echo '//{san}/images/sub /srv/smb cifs credentials=/root/.smb,uid=64055,gid=kvm,file_mode=0660,dir_mode=0770,nobrl,noatime,_netdev,nofail 0 0' >>/etc/fstab
                 echo '//{san}/other /srv/iso cifs ro,username=vmstore,password={password},file_mode=0644,_netdev,nofail 0 0' >>/etc/fstab
                 mount /srv/smb && mount /srv/iso"
            ),
        );
    }
    site.sh("hv1", &format!("mount -t cifs -o credentials=/root/.smb,nosuid //{san}/other /srv/by-hand"));
    let hosts: String =
        ["hv1", "hv2"].map(|name| format!("host \"{name}\" {{\n{}}}\n", site.machines().connection(name))).concat();
    site.write(&hosts);
    let before = ["hv1", "hv2"]
        .map(|host| site.sh(host, "cat /etc/fstab /proc/mounts; find /etc/larder /srv -xdev 2>/dev/null; true"));
    let run = site.larder(&["discover", "hv1", "hv2", "-out", "found.hcl"]).expect(0).says("no step on any host");
    let text = std::fs::read_to_string(site.path().join("found.hcl")).expect("a file");
    for told in [&text, &run.out, &run.err] {
        assert!(!told.contains(password), "{told}");
    }
    for words in [
        "variable \"smb_password\" {\n  type      = string\n  sensitive = true\n}\n\nexternal_volume \"smb\"",
        "    password = var.smb_password\n",
        "    path     = \"sub\"\n",
        "media_storage \"iso\" {\n  hosts       = [host.hv1, host.hv2]\n",
        "    ignore_changes = [persist]\n",
        "image \"web\"",
        "external_volume \"by-hand\"",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    // With the passwords it is adopted, and nothing else.
    let value = serde_json::to_string(password).expect("a text");
    let names = text.lines().filter_map(|line| line.strip_prefix("variable \"")?.split('"').next());
    let values: String = names.map(|name| format!("{name} = {value}\n")).collect();
    std::fs::write(site.path().join("larder.vars.hcl"), values).expect("a file");
    site.larder(&["plan", "-detailed-exitcode"]).expect(0).says("No changes.");
    site.apply_exactly();
    let after = ["hv1", "hv2"]
        .map(|host| site.sh(host, "cat /etc/fstab /proc/mounts; find /etc/larder /srv -xdev 2>/dev/null; true"));
    assert_eq!(before, after);

    // And mounted again with the password that Larder has.
    site.sh("hv1", "umount /srv/by-hand /srv/smb");
    site.larder(&["apply", "-auto-approve"]).expect(0);
    site.assert_settled();
    assert!(mounted(&site, "hv1", "/srv/smb").starts_with(&format!("//{san}/images/sub ")));
}
#[test]
fn installation_media_are_mounted_read_only_and_listed() {
    let site = up();
    let password = "swordfish-17";
    serve(&site, password);
    know(&site, password);
    site.sh("san", "cd /srv/smb && mkdir d.iso && head -c 3000 /dev/zero >a.iso && head -c 5 /dev/zero >d.iso/B.ISO && echo x >'c d.txt' && echo y >t.fvm && chown -R vmstore: .");
    let block = |more: &str| {
        format!(
            "{}variable \"password\" {{\n  type      = string\n  sensitive = true\n}}\nmedia_storage \"iso\" {{\n  hosts    = [host.hv1, host.hv2]\n  server   = \"{}\"\n  share    = \"images\"\n  username = \"vmstore\"\n  password = var.password\n{more}}}\n",
            storage(&site, &["hv1", "hv2"]),
            server()
        )
    };
    site.write(&block(""));
    let plan = site.apply_exactly();
    let address = "media_storage.iso";
    assert_eq!(actions(&plan, address, "hv1"), ["mkdir", "lock", "credentials", "fstab", "mount", "check-access"]);
    let at = "/var/lib/larder/media/iso";
    assert!(mounted(&site, "hv1", at).contains(" ro,"));
    let status = site.larder(&["status", "-json"]).expect(0).json();
    let media = &status["media"][0];
    assert_eq!(
        media["files"],
        json!([
            {"name": "a.iso", "size": 3000, "kind": "iso"},
            {"name": "c d.txt", "size": 2, "kind": "other"},
            {"name": "d.iso/B.ISO", "size": 5, "kind": "iso"},
            {"name": "t.fvm", "size": 2, "kind": "fvm"},
        ])
    );
    assert_eq!([&media["hosts"]["hv1"]["state"], &media["hosts"]["hv2"]["state"]], [&json!("ok"), &json!("ok")]);
    assert_eq!(
        [&media["username"], &media["share"], &media["server"]],
        [&json!("vmstore"), &json!("images"), &json!(server())]
    );

    // The server does not let the user in any more: what it says is told.
    site.sh("hv2", &format!("umount {at}"));
    set_password(&site, "another-one-18");
    let run = site.larder(&["apply", "-auto-approve", "-json"]);
    assert_ne!(run.exit, 0);
    assert!(run.out.contains("NT_STATUS_LOGON_FAILURE") || run.out.contains("Permission denied"), "{}", run.out);
    assert_eq!(mounted(&site, "hv2", at), "");
    let status = site.larder(&["status", "-json"]).expect(0).json();
    assert_eq!(status["media"][0]["hosts"]["hv2"]["state"], "missing");

    // Writable.
    know(&site, "another-one-18");
    site.write(&block("  writable = true\n"));
    site.apply_exactly();
    site.sh("hv2", &format!("runuser -u libvirt-qemu -- touch {at}/new.iso"));
}

#[test]
fn an_image_is_written_where_the_server_only_says_that_it_reserves() {
    let site = up();
    let password = "swordfish-17";
    serve(&site, password);
    know(&site, password);
    let images = |size: &str| {
        format!(
            "image \"a\" {{\n  volume     = external_volume.smb\n  format     = \"raw\"\n  size       = \"104MiB\"\n  allocation = \"falloc\"\n}}\nimage \"b\" {{\n  volume     = external_volume.smb\n  format     = \"qcow2\"\n  size       = \"{size}\"\n  allocation = \"falloc\"\n}}\n"
        )
    };
    site.write(&volume(&site, "images", ""));
    site.larder(&["apply", "-auto-approve"]).expect(0);
    site.write(&format!("{}{}", volume(&site, "images", ""), images("8MiB")));
    let plan = site.apply_exactly();
    let told = ["by writing 104.0 MiB", "may say that it has reserved room"];
    assert_hazard(&plan, "slow-allocation", "image.a", "hv1", &told, "sparse");
    let steps = plan["steps"].as_array().expect("steps");
    assert!(
        steps.iter().any(|step| step["summary"].as_str().is_some_and(|text| text.contains("full in place of falloc")))
    );
    let on_disk = |name: &str| {
        let said = site.sh("san", &format!("sync; stat -c %b /srv/smb/sub/{name}"));
        said.trim().parse::<u64>().expect("a number") >> 11
    };
    assert_eq!(on_disk("a.raw"), 104);
    assert!(on_disk("b.qcow2") >= 8);
    site.write(&format!("{}{}", volume(&site, "images", ""), images("16MiB")));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "image.b", "hv1"), ["grow"]);
    assert!(on_disk("b.qcow2") >= 16);
    assert_eq!(site.sh("san", "ls -A /srv/smb/sub"), "a.raw\nb.qcow2\n");
}

#[test]
fn what_the_server_refuses_is_said_and_no_older_version_is_tried() {
    let site = up();
    let password = "swordfish-17";
    serve(&site, password);
    site.sh("san", "sed -i '/^.global/a server min protocol = SMB3_11' /etc/samba/smb.conf && systemctl restart smbd");
    know(&site, "another one");
    let before = site.sh("hv1", "cat /etc/fstab");
    let with = |more: &str| {
        let text = volume(&site, "images", "").replace("    username", &format!("    {more}\n    username"));
        site.write(&text);
    };
    let fails = |words: &str| {
        let run = site.larder(&["apply", "-auto-approve"]).says(words);
        // The first time the directory of the storage has been made.
        assert!(matches!(run.exit, 1 | 7), "{}", run.exit);
        assert_eq!(mounted(&site, "hv1", AT), "");
        let left = "cat /etc/fstab; ls -d /srv/smb /etc/larder/credentials 2>/dev/null; true";
        assert_eq!(site.sh("hv1", left), before, "{words}");
    };
    with("version  = \"3.0\"");
    fails("the server refuses SMB 3.0");
    with("domain   = \"WORKGROUP\"");
    fails("the server refuses the user");
    know(&site, password);
    site.apply_exactly();
    assert!(mounted(&site, "hv1", AT).contains("vers=3.1.1"));
    assert!(site.sh("hv1", "cat /etc/larder/credentials/*").contains("domain=WORKGROUP\n"));
}
