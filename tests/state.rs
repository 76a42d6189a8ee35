//! The state: a cache that can be lost, a memory of what is ours, never a keeper of secrets; and plan files, which are carried
//! out as they were reviewed or not at all.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{Site, actions, change, hazards, hosts, storage};
use serde_json::Value;

fn volume(extra: &str) -> String {
    format!(
        "external_volume \"ram\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {{\n    size = \"16MiB\"\n  }}\n{extra}}}\n"
    )
}

const IMAGE: &str = "image \"a\" {\n  volume = external_volume.local\n  format = \"raw\"\n  size = \"1MiB\"\n}\n";
const LOCAL: &str =
    "external_volume \"local\" {\n  storage = image_storage.main\n  mount_point = \"/srv/local\"\n  directory {}\n}\n";

fn state(site: &Site) -> Value {
    serde_json::from_str(&std::fs::read_to_string(site.state()).expect("a state")).expect("JSON")
}

#[test]
fn a_lost_state_costs_nothing() {
    let site = Site::up(&["hv1", "hv2"]);
    site.write(&format!("{}{}{LOCAL}{IMAGE}", storage(&["hv1", "hv2"]), volume(""))).apply();
    let (before, recorded) = (site.snapshot("hv1"), state(&site));
    let mode = std::fs::metadata(site.state()).expect("a state").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    std::fs::remove_dir_all(site.state().parent().expect("a directory")).expect("removed");

    let plan = site.larder(&["plan", "-json", "-detailed-exitcode"]).expect(0).json();
    assert_eq!(plan["steps"], Value::Array(vec![]));
    for address in ["external_volume.ram", "external_volume.local", "image.a", "image_storage.main"] {
        assert_eq!(change(&plan, address)["action"], "adopt");
    }
    site.apply();
    assert_eq!(site.snapshot("hv1"), before, "adopting touches nothing");
    let adopted = state(&site);
    let placements = |state: &Value| -> Vec<String> {
        state["resources"]
            .as_object()
            .expect("resources")
            .iter()
            .map(|(address, record)| {
                format!(
                    "{address} {:?}",
                    record["placements"].as_object().map(|all| all.keys().cloned().collect::<Vec<_>>())
                )
            })
            .collect()
    };
    assert_eq!(placements(&adopted), placements(&recorded));
    assert_ne!(adopted["lineage"], recorded["lineage"], "another history");
    assert_eq!(change(&site.plan(), "external_volume.ram")["action"], "unchanged");
}

#[test]
fn what_an_administrator_made_by_hand_is_adopted() {
    let site = Site::up(&["hv1"]);
    let by_hand = "mkdir -p /srv/ram && echo 'tmpfs  /srv/ram/\ttmpfs size=16M,mode=0770,uid=libvirt-qemu,gid=kvm 0 0' >>/etc/fstab && mount /srv/ram && mkdir -p /srv/local && chown libvirt-qemu:kvm /srv/local && chmod 770 /srv/local";
    site.sh("hv1", by_hand);
    let mounts = site.sh("hv1", "grep -c ' /srv/ram ' /proc/self/mountinfo; cat /etc/fstab");
    site.write(&format!("{}{}{LOCAL}", storage(&["hv1"]), volume("")));
    let plan = site.plan();
    assert_eq!(hazards(&plan), Vec::<String>::new());
    assert_eq!(change(&plan, "external_volume.local")["action"], "adopt");
    // The line that is there is ours from now on, and says so; nothing is mounted anew.
    let steps = actions(&plan, "external_volume.ram", "hv1");
    assert!(steps.iter().all(|action| matches!(action.as_str(), "fstab" | "lock" | "check-access")), "{steps:?}");
    site.apply();
    let after = site.sh("hv1", "grep -c ' /srv/ram ' /proc/self/mountinfo; cat /etc/fstab");
    assert_eq!(after.lines().next(), mounts.lines().next(), "mounted once");
    assert_eq!(after.lines().count(), mounts.lines().count(), "the line was edited in place");
}

#[test]
fn one_apply_at_a_time() {
    let site = Site::up(&["hv1"]);
    site.write(&format!("{}{}", storage(&["hv1"]), volume("")));
    // The first waits for an answer, with the state in its hand.
    let mut first = site
        .command(&["apply"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut asked = String::new();
    {
        use std::io::{BufRead, BufReader};
        let mut out = BufReader::new(first.stdout.take().expect("piped"));
        while !asked.contains("Plan hash") {
            assert_ne!(out.read_line(&mut asked).expect("text"), 0, "{asked}");
        }
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    }
    let run = site.larder(&["apply", "-auto-approve"]).expect(5);
    assert!(
        run.err.contains("state-locked")
            && run.err.contains(&format!("process {}", first.id()))
            && run.err.contains("apply"),
        "{}",
        run.err
    );
    let run = site.larder(&["force-unlock"]).expect(5);
    assert!(run.err.contains(&format!("process {}", first.id())), "{}", run.err);
    site.larder(&["apply", "-auto-approve"]).expect(5);
    let second = site
        .command(&["apply", "-auto-approve", "-lock-timeout", "60s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    {
        use std::io::Write;
        first.stdin.take().expect("piped").write_all(b"yes\n").expect("read");
    }
    assert_eq!(first.wait().expect("ended").code(), Some(0));
    let output = second.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    site.assert_settled();
    site.larder(&["force-unlock"]).expect(0).says("Nobody holds the lock of the state.");
    // A plan reads, and needs no lock.
    site.larder(&["state", "rm", "external_volume.ram"]).expect(0);
    assert_eq!(change(&site.plan(), "external_volume.ram")["action"], "adopt");
}

#[test]
fn a_state_that_cannot_be_read_is_refused_and_kept() {
    let site = Site::up(&["hv1"]);
    site.write(&format!("{}{}", storage(&["hv1"]), volume(""))).apply();
    let whole = std::fs::read(site.state()).expect("a state");
    let newer =
        String::from_utf8_lossy(&whole).replacen("\"format_version\": 1", "\"format_version\": 99", 1).into_bytes();
    let before = site.snapshot("hv1");
    let cases = [
        ("garbage", b"\x00\xffgarbage".to_vec(), "state-invalid"),
        ("empty", Vec::new(), "state-invalid"),
        ("cut", whole[..whole.len() / 2].to_vec(), "state-invalid"),
        ("cut at the end", whole[..whole.len() - 3].to_vec(), "state-invalid"),
        ("doubled", [whole.as_slice(), &whole].concat(), "state-invalid"),
        ("newer", newer, "state-too-new"),
    ];
    for (name, bytes, code) in cases {
        std::fs::write(site.state(), &bytes).expect("written");
        for command in [
            ["plan"].as_slice(),
            &["apply", "-auto-approve"],
            &["destroy", "-auto-approve"],
            &["state", "list"],
            &["state", "rm", "image.a"],
            &["output"],
            &["show"],
        ] {
            let run = site.larder(command).expect(1);
            assert!(run.err.contains(code) && run.err.contains("larder.state.json"), "{name} {command:?}: {}", run.err);
        }
        assert_eq!(std::fs::read(site.state()).expect("a state"), bytes, "{name}: untouched");
    }
    assert_eq!(site.snapshot("hv1"), before);
    // The way out that it names: the backup.
    std::fs::write(site.state(), b"garbage").expect("written");
    let said = site.larder(&["plan"]).expect(1).err;
    assert!(said.contains("larder.state.json.backup"), "{said}");
    std::fs::copy(site.path().join("state/larder.state.json.backup"), site.state()).expect("restored");
    site.apply();
}

/// A plan file for the configuration, out of a directory of its own name.
#[track_caller]
fn saved(site: &Site) -> PathBuf {
    site.larder(&["plan", "-out", "saved.plan"]).expect(0);
    site.path().join("saved.plan")
}

#[test]
fn a_plan_file_is_carried_out_as_it_was_reviewed() {
    let site = Site::up(&["hv1", "hv2"]);
    site.write(&format!("{}{}{LOCAL}{IMAGE}", storage(&["hv1", "hv2"]), volume("")));
    let plan = site.plan();
    let file = saved(&site);
    assert_eq!(std::fs::metadata(&file).expect("a plan").permissions().mode() & 0o7777, 0o600);
    let configuration = std::fs::read(site.path().join("main.hcl")).expect("it is there");
    site.write("this is { no configuration");
    let run = site.larder(&["apply", "saved.plan"]).expect(0);
    for step in plan["steps"].as_array().expect("steps") {
        assert!(step["id"].is_string());
    }
    drop(run);
    std::fs::write(site.path().join("main.hcl"), configuration).expect("written");
    site.assert_settled();
    assert_eq!(
        plan["hash"],
        serde_json::from_slice::<Value>(&std::fs::read(&file).expect("a plan")).expect("JSON")["hash"]
    );

    // Used up: the state has moved on.
    let run = site.larder(&["apply", "saved.plan"]).expect(4);
    assert!(run.err.contains("stale-plan"), "{}", run.err);
}

#[test]
fn a_plan_file_that_is_not_what_was_reviewed_is_refused() {
    let site = Site::up(&["hv1"]);
    site.write(&format!("{}{}", storage(&["hv1"]), volume("")));
    let file = saved(&site);
    let text = std::fs::read_to_string(&file).expect("a plan");
    let before = site.snapshot("hv1");
    let refused = |name: &str, bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("written");
        let run = site.larder(&["apply", "saved.plan"]).expect(1);
        assert!(run.err.contains("plan-unreadable"), "{name}: {}", run.err);
        assert!(!site.state().exists(), "{name}");
    };
    refused("cut", &text.as_bytes()[..text.len() / 2]);
    refused("empty", b"");
    refused("not JSON", b"\xff\xfe");
    refused("another program's", b"{}");
    refused("another version", text.replacen("\"larder_version\": \"", "\"larder_version\": \"9", 1).as_bytes());
    // Everything that decides what runs is under the hash.
    for (name, old, new) in [
        ("command", "\"/srv/ram\"", "\"/srv/other\""),
        ("function", "chmod 0000", "chmod 0777"),
        ("address", "external_volume.ram@hv1/mount", "external_volume.ram@hv1/mounts"),
        ("size", "16777216", "26777216"),
        ("memory", "[\\\"/srv/ram\\\"]", "[\\\"/srv\\\",\\\"/srv/ram\\\"]"),
        ("connection", "192.0.2.1", "192.0.2.2"),
        ("state", "state/larder.state.json", "state/other.state.json"),
        ("based on", "\"serial\": 0", "\"serial\": 1"),
    ] {
        assert!(text.contains(old), "{name}: {old} is in the plan");
        refused(name, text.replace(old, new).as_bytes());
    }
    assert_eq!(site.snapshot("hv1"), before);
    std::fs::write(&file, &text).expect("written");
    site.larder(&["apply", "saved.plan"]).expect(0);
}

#[test]
fn a_plan_file_notices_that_the_host_has_changed() {
    let site = Site::up(&["hv1"]);
    site.write(&format!("{}{}", storage(&["hv1"]), volume("")));
    saved(&site);
    site.sh("hv1", "mkdir -p /srv/ram && : >/srv/ram/guest.qcow2");
    let before = site.snapshot("hv1");
    let run = site.larder(&["apply", "saved.plan"]);
    assert!(matches!(run.exit, 4 | 7), "{} {}", run.exit, run.err);
    let after = site.snapshot("hv1");
    assert_eq!((&before["etc"], &before["mounts"]), (&after["etc"], &after["mounts"]));
    site.on("hv1", &["test", "-e", "/srv/ram/guest.qcow2"]);
}

#[test]
fn a_plan_file_for_a_host_that_went_away_does_what_it_can() {
    let site = Site::up(&["hv1", "hv2"]);
    site.write(&format!("{}{}", storage(&["hv1", "hv2"]), volume("")));
    saved(&site);
    site.wait(site.lab().stop(&"hv2".into())).unwrap_or_else(|problem| panic!("{problem}"));
    site.larder(&["apply", "saved.plan"]).expect(7).says("hv2");
    site.on("hv1", &["findmnt", "/srv/ram"]);
    assert!(!state(&site)["resources"]["external_volume.ram"]["placements"]["hv1"].is_null());
    site.sh("hv1", "umount /srv/ram");
    // Nothing at all can be done without the only host that has something to do.
    site.larder(&["plan", "-out", "saved.plan"]).expect(8);
    site.wait(site.lab().stop(&"hv1".into())).unwrap_or_else(|problem| panic!("{problem}"));
    site.larder(&["apply", "saved.plan"]).expect(8);
    for host in ["hv1", "hv2"] {
        site.wait(site.lab().restart(&host.into())).unwrap_or_else(|problem| panic!("{problem}"));
    }
    site.apply();
}

#[test]
fn drift_is_shown_and_can_be_recorded() {
    let site = Site::up(&["hv1"]);
    site.write(&format!("{}{LOCAL}{IMAGE}", storage(&["hv1"]))).apply();
    site.sh("hv1", "chmod 0700 /srv/local; chmod 0600 /srv/local/a.raw");
    let plan = site.plan();
    let drift: Vec<_> = plan["drift"]
        .as_array()
        .expect("drift")
        .iter()
        .map(|one| {
            (
                one["address"].as_str().unwrap_or_default(),
                one["attribute"].as_str().unwrap_or_default(),
                one["recorded"].as_str().unwrap_or_default(),
                one["have"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(drift, [("external_volume.local", "mode", "0770", "0700"), ("image.a", "mode", "0660", "0600")]);
    let before = site.snapshot("hv1");
    let refreshed = site.larder(&["plan", "-json", "-refresh-only"]).expect(0).json();
    assert_eq!(refreshed["steps"], Value::Array(vec![]));
    site.larder(&["apply", "-refresh-only", "-auto-approve"]).expect(0);
    assert_eq!(site.snapshot("hv1"), before, "hosts are left as they are");
    let plan = site.plan();
    assert_eq!(plan["drift"], Value::Array(vec![]), "the state has followed: {plan:#}");
    assert_eq!(
        actions(&plan, "external_volume.local", "hv1"),
        ["chmod", "check-access"],
        "and it is still to be mended"
    );
    site.apply();
}

#[test]
fn a_host_that_left_the_configuration_is_cleaned_through_the_connection_in_the_state() {
    let site = Site::up(&["hv1", "hv2"]);
    let before = site.snapshot("hv2");
    site.write(&format!("{}{}", storage(&["hv1", "hv2"]), volume(""))).apply();
    let there = site.snapshot("hv1");
    site.write(&format!("{}{}", storage(&["hv1"]), volume("")));
    let plan = site.plan();
    assert_eq!(plan["unknown"], Value::Array(vec![]));
    assert!(actions(&plan, "external_volume.ram", "hv2").contains(&"unmount".to_owned()), "{plan:#}");
    assert!(actions(&plan, "external_volume.ram", "hv1").is_empty(), "{plan:#}");
    site.apply();
    assert_eq!(site.snapshot("hv2"), before);
    assert_eq!(site.snapshot("hv1"), there);
    assert!(
        !state(&site)["hosts"].as_object().expect("hosts").contains_key("hv2"),
        "nothing of it is left in the state"
    );
}

#[test]
fn a_removed_block_forgets_images_and_directories_and_deletes_nothing() {
    let site = Site::up(&["hv1"]);
    site.write(&format!("{}{LOCAL}{IMAGE}", storage(&["hv1"]))).apply();
    site.sh("hv1", "echo guest data | dd of=/srv/local/a.raw conv=notrunc status=none");
    let before = site.sh("hv1", "sha256sum /srv/local/a.raw; stat -c '%i %U %G %a' /srv/local /srv/local/a.raw");
    site.write(&storage(&["hv1"]));
    let plan = site.plan();
    for address in ["image.a", "external_volume.local"] {
        assert_eq!(change(&plan, address)["action"], "forget");
        assert!(actions(&plan, address, "hv1").is_empty());
    }
    site.apply();
    assert_eq!(site.sh("hv1", "sha256sum /srv/local/a.raw; stat -c '%i %U %G %a' /srv/local /srv/local/a.raw"), before);
    assert_eq!(
        site.larder(&["state", "list"]).expect(0).out.lines().filter(|line| line.starts_with("image.")).count(),
        0
    );
    // Back again, it is adopted with its data.
    site.write(&format!("{}{LOCAL}{IMAGE}", storage(&["hv1"]))).apply();
    assert_eq!(site.sh("hv1", "sha256sum /srv/local/a.raw; stat -c '%i %U %G %a' /srv/local /srv/local/a.raw"), before);
}

#[test]
fn protection_outlives_the_block_that_asked_for_it() {
    let site = Site::up(&["hv1"]);
    let protected = volume("  lifecycle {\n    prevent_destroy = true\n  }\n");
    site.write(&format!("{}{protected}", storage(&["hv1"]))).apply();
    let before = site.snapshot("hv1");
    for configuration in [storage(&["hv1"]), hosts(&["hv1"])] {
        site.write(&configuration);
        assert!(hazards(&site.plan()).contains(&"protected".to_owned()));
        site.larder(&["apply", "-auto-approve"]).expect(6);
        site.larder(&["apply", "-auto-approve", "-accept", "protected@external_volume.ram"]).expect(6);
    }
    site.write(&format!("{}{protected}", storage(&["hv1"])));
    site.larder(&["destroy", "-auto-approve"]).expect(6);
    assert_eq!(site.snapshot("hv1"), before);
    site.write(&format!("{}{}", storage(&["hv1"]), volume(""))).apply();
    site.write(&storage(&["hv1"])).apply();
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory").filter_map(Result::ok) {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

#[test]
fn outputs_are_kept_and_secrets_are_not() {
    let site = Site::up(&["hv1"]);
    let secret = "pa55-\u{e9}-zebra";
    site.write(&format!(
        "{}{LOCAL}variable \"password\" {{\n  type = string\n  sensitive = true\n}}\n\
         output \"path\" {{\n  value = external_volume.local.mount_point\n}}\n\
         output \"list\" {{\n  value = [1, \"two\"]\n}}\n\
         output \"secret\" {{\n  value = var.password\n  sensitive = true\n}}\n",
        storage(&["hv1"])
    ));
    let option = format!("password={secret}");
    site.larder(&["plan", "-var", &option, "-out", "saved.plan"]).expect(0);
    let run = site.larder(&["apply", "-auto-approve", "-var", &option]).expect(0);
    assert!(!run.out.contains("zebra") && !run.err.contains("zebra"));
    for file in files(site.path()) {
        if file.components().any(|part| part.as_os_str() == "lab") {
            continue;
        }
        let bytes = std::fs::read(&file).expect("a file");
        assert!(!String::from_utf8_lossy(&bytes).contains("zebra"), "{}", file.display());
    }
    assert_eq!(site.larder(&["output", "-raw", "path"]).expect(0).out, "/srv/local");
    assert_eq!(site.larder(&["output", "-json", "list"]).expect(0).json(), serde_json::json!([1, "two"]));
    assert_eq!(
        site.larder(&["output", "-json"]).expect(0).json(),
        serde_json::json!({ "list": [1, "two"], "path": "/srv/local" })
    );
    site.larder(&["output", "secret"]).expect(1).says("no-such-output");
    site.larder(&["destroy", "-auto-approve", "-var", &option]).expect(0);
    site.larder(&["output", "path"]).expect(1).says("no-such-output");
}

#[test]
fn what_is_known_of_a_lab_is_not_taken_for_the_real_hosts() {
    let site = Site::up(&["hv1"]);
    // If the real address were asked, this process would find nobody there.
    site.write(&format!("{}{LOCAL}", storage(&["hv1"])));
    let really = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_larder"));
        let output = command.current_dir(site.path()).args(arguments).stdin(Stdio::null()).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let said = site.larder(&["plan", "-out", "lab.plan"]).expect(0).err;
    assert!(said.contains("larder -lab apply lab.plan"), "{said}");
    let (exit, said) = really(&["apply", "lab.plan"]);
    assert!(exit == Some(1) && said.contains("lab-plan"), "{said}");
    assert!(!site.state().exists(), "a refused plan writes nothing");
    site.larder(&["apply", "lab.plan"]).expect(0);
    assert_eq!(state(&site)["lab"], true);
    for command in [&["plan"][..], &["apply", "-auto-approve"], &["destroy", "-auto-approve"], &["status"]] {
        let (exit, said) = really(command);
        assert!(exit == Some(1) && said.contains("lab-state") && said.contains("-state FILE"), "{command:?} {said}");
    }
    let mut real = state(&site);
    real.as_object_mut().expect("a state").remove("lab");
    std::fs::write(site.state(), real.to_string()).expect("written");
    site.larder(&["plan"]).expect(1).says("lab-state");
}

#[test]
fn the_state_can_be_looked_at_and_corrected() {
    let site = Site::up(&["hv1"]);
    assert_eq!(site.write(&hosts(&["hv1"])).larder(&["state", "list"]).expect(0).out, "");
    site.write(&format!("{}{LOCAL}{IMAGE}", storage(&["hv1"]))).apply();
    let serial = state(&site)["serial"].as_u64();
    assert_eq!(site.larder(&["state", "list"]).expect(0).out, "external_volume.local\nimage.a\nimage_storage.main\n");
    assert_eq!(site.larder(&["state", "list", "image."]).expect(0).out, "image.a\n");
    site.larder(&["state", "show", "image.a"]).expect(0).says("1MiB");
    assert!(site.larder(&["state", "show", "-json", "image.a"]).expect(0).json()["block"].is_object());
    site.larder(&["state", "show", "image.b"]).expect(1).says("Did you mean image.a?");
    site.larder(&["state", "show", "image.a[\"another\"]"]).expect(1).says("Did you mean image.a?");
    site.larder(&["state", "rm", "module.elsewhere.image.a"]).expect(1).says("Did you mean image.a?");
    let run = site.larder(&["state", "rm", "image.nothing_like_that"]).expect(1);
    assert!(!run.err.contains("Did you mean"), "{}", run.err);
    site.larder(&["state", "show", "not an address"]).expect(3);
    site.larder(&["state", "rm", "image.a", "image.b"]).expect(1);
    assert_eq!(state(&site)["serial"].as_u64(), serial, "all or nothing");
    let before = site.snapshot("hv1");
    site.larder(&["state", "rm", "image.a"]).expect(0);
    assert_eq!(state(&site)["serial"].as_u64(), serial.map(|serial| serial + 1));
    let backup: Value = serde_json::from_str(
        &std::fs::read_to_string(site.path().join("state/larder.state.json.backup")).expect("a backup"),
    )
    .expect("JSON");
    assert_eq!(backup["serial"].as_u64(), serial);
    assert!(backup["resources"]["image.a"].is_object());
    assert_eq!(site.snapshot("hv1"), before);
    assert_eq!(change(&site.plan(), "image.a")["action"], "adopt");
    // A configuration that is broken does not keep anybody from the state.
    const LEFT: &str = "external_volume.local\nimage_storage.main\n";
    site.write("broken {");
    let run = site.larder(&["state", "list"]).expect(0).says("this is the state at the default path, ");
    assert_eq!(run.out, LEFT);
    // Where it is to be is not guessed.
    std::fs::copy(site.state(), site.path().join("other.json")).expect("a copy");
    let named = |path: &str| format!("larder {{\n  state \"local\" {{\n    path = {path}\n  }}\n}}\n");
    for path in ["\"\"", "\"${var.nowhere}.json\"", "[]"] {
        site.write(&named(path));
        for words in [&["state", "list"][..], &["show"], &["output"], &["force-unlock"], &["state", "rm", "image.a"]] {
            site.larder(words).expect(1).says("error[state-unknown]: ").says("-state FILE");
        }
        assert_eq!(site.larder(&["-state", "other.json", "state", "list"]).expect(0).out, LEFT);
    }
    // Where it is known, it is taken, though the rest is broken.
    site.write(&format!("{}image \"a\" {{\n  nothing = 1\n}}\n", named("\"none.json\"")));
    site.larder(&["state", "list"]).expect(0).says("There is no state yet (./none.json)");
    let by_variable = format!("variable \"name\" {{\n  default = \"other\"\n}}\n{}", named("\"${var.name}.json\""));
    site.write(&by_variable);
    assert_eq!(site.larder(&["state", "list"]).expect(0).out, LEFT);
}

#[test]
fn what_never_existed_is_taken_away_without_a_step() {
    let site = Site::up(&["hv1"]);
    site.write(&storage(&["hv1"]));
    let before = site.snapshot("hv1");
    let run = site.larder(&["destroy", "-auto-approve", "-json"]).expect(0);
    let first: Value = serde_json::from_str(run.out.lines().next().expect("a plan")).expect("JSON");
    assert_eq!(
        (first["steps"].as_array().map(Vec::len), first["changes"].as_array().map(Vec::len)),
        (Some(0), Some(0))
    );
    assert_eq!(site.snapshot("hv1"), before);
}
