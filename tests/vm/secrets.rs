//! What everybody could see while passwords are used: every process of both sides, every file, every word that Larder says.

use std::collections::BTreeSet;
use std::process::Stdio;

use base64::Engine as _;

use crate::common::{Site, walk};
use crate::site::{portals, serve, server, storage, target, up};

/// The part that is looked for, in a password whose other characters are written in other ways in JSON, shells and logs.
const CORES: [&str; 2] = ["sw0rdfish-Alpha-17", "0ther-Fish-Beta-23"];

fn password(core: &str) -> String {
    format!("{core},ä#'\" %$1 w")
}

/// Everything that shows a password: as it is, and in base64 at each of its three alignments.
fn forms(core: &str) -> Vec<String> {
    let encoded = |skipped: usize| {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{}{core}", &"xx"[..skipped]));
        // The characters at both ends depend on what stands before and behind.
        text[4..text.len() - 4].to_owned()
    };
    std::iter::once(core.to_owned()).chain((0..3).map(encoded)).collect()
}

/// Writes down the command lines and environments of all processes of a machine, again and again until [`seen`] asks for them.
fn watch(site: &Site, host: &str) {
    site.sh(
        host,
        "touch /run/watch; nohup sh -c 'while [ -e /run/watch ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | \
         tr \"\\0\" \"\\n\" | sort -u - /run/seen 2>/dev/null >/run/seen.new; mv /run/seen.new /run/seen; done; touch /run/watched' \
         >/dev/null 2>&1 & while [ ! -s /run/seen ]; do :; done",
    );
}

fn seen(site: &Site, host: &str) -> String {
    site.sh(host, "rm /run/watch; while [ ! -e /run/watched ]; do :; done; cat /run/seen; rm /run/seen /run/watched")
}

/// Runs Larder with all its logging, and gives what it said and what the command lines of this machine's processes were meanwhile.
fn traced(site: &Site, arguments: &[&str]) -> Vec<String> {
    let (out, err) = (site.path().join("out.txt"), site.path().join("err.txt"));
    let file = |path: &std::path::Path| Stdio::from(std::fs::File::create(path).expect("a file"));
    let mut command = site.command(arguments);
    let mut child = command.env("LARDER_LOG", "trace").stdout(file(&out)).stderr(file(&err)).spawn().expect("it runs");
    let mut lines = BTreeSet::new();
    let status = loop {
        for process in std::fs::read_dir("/proc").expect("/proc").flatten() {
            for name in ["cmdline", "environ"] {
                lines.extend(std::fs::read(process.path().join(name)).ok().filter(|bytes| !bytes.is_empty()));
            }
        }
        if let Some(status) = child.try_wait().expect("it is ours") {
            break status;
        }
    };
    let read = |path: &std::path::Path| String::from_utf8_lossy(&std::fs::read(path).expect("a file")).into_owned();
    let texts = vec![read(&out), read(&err), lines.iter().map(|line| String::from_utf8_lossy(line)).collect()];
    assert!(status.success(), "{}\n{}", texts[0], texts[1]);
    let asks_hosts = arguments[0] != "show";
    assert!(!asks_hosts || texts[1].contains("TRACE"), "nothing was logged: {}", texts[1]);
    assert!(texts[2].contains("larder"), "nothing was watched");
    texts
}

#[test]
fn nobody_learns_a_password_while_it_is_used() {
    let site = up();
    let [first, second] = CORES.map(password);
    let set = |password: &str| {
        serve(&site, password);
        let text = format!("password = {}\n", serde_json::to_string(password).expect("a text"));
        std::fs::write(site.path().join("larder.vars.hcl"), text).expect("a file");
    };
    set(&first);
    site.write(&format!(
        "{}variable \"password\" {{\n  type      = string\n  sensitive = true\n}}\n\
         external_volume \"smb\" {{\n  storage     = image_storage.main\n  mount_point = \"/srv/smb\"\n  cifs {{\n    server   = \"{1}\"\n    share    = \"images\"\n    username = \"vmstore\"\n    password = var.password\n  }}\n}}\n\
         media_storage \"iso\" {{\n  hosts    = [host.hv1, host.hv2]\n  server   = \"{1}\"\n  share    = \"images\"\n  path     = \"sub\"\n  username = \"vmstore\"\n  password = var.password\n}}\n",
        storage(&site, &["hv1", "hv2"]),
        server(),
    ));
    let machines = ["hv1", "hv2", "san"];
    let mut told = Vec::new();
    machines.iter().for_each(|host| watch(&site, host));
    told.extend(traced(&site, &["plan"]));
    told.extend(traced(&site, &["apply", "-auto-approve"]));
    // A password that differs, one that the server refuses, and errors that come of it.
    set(&second);
    told.extend(traced(&site, &["plan", "-json", "-out", "saved.plan"]));
    told.extend(traced(&site, &["apply", "saved.plan"]));
    told.extend(traced(&site, &["show", "saved.plan"]));
    told.extend(traced(&site, &["show", "-json"]));
    serve(&site, &first);
    for host in ["hv1", "hv2"] {
        site.sh(host, "umount /srv/smb /var/lib/larder/media/iso");
    }
    let failed =
        site.command(&["apply", "-auto-approve", "-json"]).env("LARDER_LOG", "trace").output().expect("it runs");
    assert!(!failed.status.success(), "the server refuses the password");
    told.extend([failed.stdout, failed.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
    serve(&site, &second);
    told.extend(traced(&site, &["status", "-json"]));
    told.extend(traced(&site, &["destroy", "-auto-approve"]));
    told.extend(machines.iter().map(|host| seen(&site, host)));

    assert_unheard(&site, told);
}

#[test]
fn nobody_learns_a_password_of_a_target_while_it_is_used() {
    const IQN: &str = "iqn.2026-01.test.larder:array";
    let site = up();
    let [first, second] = CORES.map(password);
    let set = |password: &str| {
        target(&site, IQN, Some(("larder", password)), &[64]);
        let text = format!("password = {}\n", serde_json::to_string(password).expect("a text"));
        std::fs::write(site.path().join("larder.vars.hcl"), text).expect("a file");
    };
    set(&first);
    site.write(&format!(
        "{}variable \"password\" {{\n  type      = string\n  sensitive = true\n}}\n\
         iscsi_target \"array\" {{\n  hosts   = [host.hv1, host.hv2]\n  iqn     = \"{IQN}\"\n  portals = {:?}\n  chap {{\n    username = \"larder\"\n    password = var.password\n  }}\n}}\n",
        storage(&site, &["hv1", "hv2"]),
        portals(),
    ));
    let machines = ["hv1", "hv2", "san"];
    let mut told = Vec::new();
    machines.iter().for_each(|host| watch(&site, host));
    told.extend(traced(&site, &["plan"]));
    told.extend(traced(&site, &["apply", "-auto-approve"]));
    // A password that differs, and the records corrected under a session.
    set(&second);
    told.extend(traced(&site, &["plan", "-json", "-out", "saved.plan"]));
    told.extend(traced(&site, &["apply", "saved.plan"]));
    told.extend(traced(&site, &["show", "saved.plan"]));
    // One that the target refuses.
    target(&site, IQN, Some(("larder", &first)), &[64]);
    site.sh("hv1", "iscsiadm -m node --logout");
    let failed =
        site.command(&["apply", "-auto-approve", "-json"]).env("LARDER_LOG", "trace").output().expect("it runs");
    assert!(!failed.status.success(), "the target refuses the password");
    told.extend([failed.stdout, failed.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
    target(&site, IQN, Some(("larder", &second)), &[64]);
    told.extend(traced(&site, &["apply", "-auto-approve"]));
    told.extend(traced(&site, &["status", "-json"]));
    told.extend(traced(&site, &["destroy", "-auto-approve"]));
    told.extend(machines.iter().map(|host| seen(&site, host)));
    assert_unheard(&site, told);
}

/// No secret stands in what was said, in a file of the workstation but the one with the values, or in one of the hypervisors.
#[track_caller]
fn assert_unheard(site: &Site, mut told: Vec<String>) {
    for entry in walk(site.path()).into_iter().filter(|path| !path.ends_with("larder.vars.hcl")) {
        told.push(String::from_utf8_lossy(&std::fs::read(&entry).expect("a file")).into_owned());
    }
    for host in ["hv1", "hv2"] {
        told.push(site.sh(
            host,
            "find /etc /run /var /tmp /root /home /srv -xdev -type f -exec cat {} + 2>/dev/null; journalctl -o cat",
        ));
    }
    for secret in CORES.iter().flat_map(|core| forms(core)) {
        for text in &told {
            let around = text.find(&secret).map(|at| text[..at].chars().rev().take(200).collect::<Vec<_>>());
            let around = around.map(|chars| chars.into_iter().rev().collect::<String>());
            assert_eq!(around, None, "a secret stands behind this");
        }
    }
}
