//! What a plan refuses, with code, place and way out, before anything is written.

mod common;

use common::{Site, actions, assert_hazard, change, hazards, hosts, storage};
use serde_json::Value;

/// A volume of the storage `main`; `inside` is its nested block and whatever else it has.
fn volume(name: &str, mount_point: &str, inside: &str) -> String {
    format!(
        "external_volume \"{name}\" {{\n  storage = image_storage.main\n  mount_point = \"{mount_point}\"\n  {inside}\n}}\n"
    )
}

fn tmpfs() -> &'static str {
    "tmpfs {\n    size = \"4MiB\"\n  }"
}

fn bind(source: &str) -> String {
    format!("bind {{\n    source = \"{source}\"\n  }}")
}

#[test]
fn what_stands_in_the_way_is_named_and_left_alone() {
    let site = Site::up(&["hv1"]);
    site.sh(
        "hv1",
        "mkdir -p /data/src /srv/full/old /srv/real /srv/over /srv/twice /closed /srv/busy && : >/srv/full/guest.qcow2 && : >/srv/plain &&
         ln -s /srv/real /srv/link && chmod 0750 /closed && mount -t tmpfs none /srv/over && mount --bind /data/src /srv/twice &&
         mount -t tmpfs none /srv/twice && : >/data/file &&
         printf 'tmpfs /srv/other tmpfs x-larder.id=external_volume.theirs 0 0\\n/dev/sdz1 /srv/taken xfs noauto 0 0\\n' >/etc/fstab",
    );
    // Name, mount point, nested block; then code, words of the message and of the way out.
    type Row<'a> = (&'a str, &'a str, String, &'a str, &'a [&'a str], &'a str);
    let table: &[Row] = &[
        (
            "full",
            "/srv/full",
            tmpfs().into(),
            "hides-data",
            &["/srv/full on hv1 is not empty", "guest.qcow2, old"],
            "accept = [\"hides-data\"]",
        ),
        ("plain", "/srv/plain", tmpfs().into(), "wrong-source", &["/srv/plain on hv1 is no directory"], "Move it away"),
        (
            "below",
            "/srv/plain/x",
            "directory {}".into(),
            "wrong-source",
            &["/srv/plain on hv1 is no directory"],
            "Move it away",
        ),
        (
            "link",
            "/srv/link/x",
            "directory {}".into(),
            "wrong-source",
            &["/srv/link on hv1 is a symbolic link"],
            "real path",
        ),
        (
            "over",
            "/srv/over",
            bind("/data/src"),
            "wrong-source",
            &["/srv/over on hv1 is tmpfs none and not a bind mount of /data/src"],
            "Unmount it",
        ),
        (
            "twice",
            "/srv/twice",
            bind("/data/src"),
            "wrong-source",
            &["2 mounts are stacked on /srv/twice on hv1"],
            "findmnt /srv/twice",
        ),
        (
            "sourceless",
            "/srv/a",
            bind("/data/missing"),
            "device-differs",
            &["/data/missing", "does not exist on hv1"],
            "Make it there first",
        ),
        (
            "sourcefile",
            "/srv/b",
            bind("/data/file"),
            "device-differs",
            &["/data/file", "is no directory on hv1"],
            "correct the path",
        ),
        (
            "other",
            "/srv/other",
            tmpfs().into(),
            "foreign",
            &["/srv/other", "/etc/fstab on hv1 belongs to external_volume.theirs"],
            "Remove it there",
        ),
        (
            "taken",
            "/srv/taken",
            tmpfs().into(),
            "wrong-source",
            &["/etc/fstab on hv1 mounts something else on /srv/taken", "/dev/sdz1"],
            "Remove the line",
        ),
        (
            "closed",
            "/closed/x",
            "directory {}".into(),
            "no-access",
            &["libvirt-qemu cannot reach /closed/x on hv1: /closed is 0750 0:0"],
            "chmod o+x /closed",
        ),
        (
            "private",
            "/srv/c",
            "mode = \"0700\"\n  owner = \"root\"\n  directory {}".into(),
            "no-access",
            &["libvirt-qemu cannot use /srv/c on hv1"],
            "libvirt-qemu",
        ),
        (
            "nobody",
            "/srv/d",
            "owner = \"nosuchuser\"\n  directory {}".into(),
            "unsupported",
            &["hv1 has no user nosuchuser"],
            "Create the user",
        ),
        (
            "nogroup",
            "/srv/e",
            "group = \"nosuchgroup\"\n  directory {}".into(),
            "unsupported",
            &["hv1 has no group nosuchgroup"],
            "Create the group",
        ),
    ];
    let blocks: String = table.iter().map(|(name, at, inside, ..)| volume(name, at, inside)).collect();
    site.write(&(storage(&["hv1"]) + &blocks));
    let before = site.snapshot("hv1");
    let plan = site.refused();
    for (name, _, _, code, message, cure) in table {
        assert_hazard(&plan, code, &format!("external_volume.{name}"), "hv1", message, cure);
    }
    assert_eq!(hazards(&plan).len(), table.len(), "{:#}", plan["hazards"]);
    for hazard in plan["hazards"].as_array().expect("hazards") {
        let may = matches!(hazard["code"].as_str(), Some("hides-data" | "no-access"));
        assert_eq!(hazard["can_be_accepted"], may, "{hazard:#}");
        assert_eq!(hazard["accepted"], false);
    }
    assert_eq!(site.snapshot("hv1"), before);
    assert!(
        !site.state().exists() || !std::fs::read_to_string(site.state()).expect("a state").contains("external_volume")
    );

    // Those that can be accepted are, on the command line or in the block; those that cannot be are not.
    site.write(&(storage(&["hv1"]) + &volume("over", "/srv/over", &bind("/data/src"))));
    site.larder(&["apply", "-auto-approve", "-accept", "wrong-source@external_volume.over"]).expect(6);
    assert_eq!(site.snapshot("hv1"), before);
    site.write(&(storage(&["hv1"]) + &volume("full", "/srv/full", tmpfs())));
    site.larder(&["apply", "-auto-approve", "-accept", "hides-data@external_volume.other"]).expect(6);
    site.larder(&["apply", "-auto-approve", "-accept", "data-loss@external_volume.full"]).expect(6);
    assert_eq!(site.snapshot("hv1"), before);
    site.larder(&["apply", "-auto-approve", "-accept", "hides-data@external_volume.full"]).expect(0);
    site.assert_settled();
    assert_eq!(site.sh("hv1", "ls -A /srv/full"), "");
    let accepting = "\n  lifecycle {\n    accept = [\"hides-data\"]\n  }";
    site.sh("hv1", "mkdir -p /srv/full2 && : >/srv/full2/guest.qcow2");
    site.write(
        &(storage(&["hv1"])
            + &volume("full", "/srv/full", tmpfs())
            + &volume("full2", "/srv/full2", &(tmpfs().to_owned() + accepting))),
    );
    let plan = site.apply_exactly();
    assert_eq!(common::hazard(&plan, "hides-data", "external_volume.full2")["accepted"], true);
    // What was hidden comes back when the volumes go.
    site.write(&storage(&["hv1"]));
    site.apply_exactly();
    assert_eq!(
        site.sh("hv1", "ls -A /srv/full /srv/full2"),
        "/srv/full:\nguest.qcow2\nold\n\n/srv/full2:\nguest.qcow2\n"
    );
}

/// A process on the host that looks like the one of the guest `web1` and has a file open, until it is killed. Gives its
/// number there.
fn open_on(site: &Site, host: &str, path: &str) -> String {
    let waits = "[ -p /run/never ] || mkfifo /run/never; exec 6<>/run/never; read -r -t 300 -u 6";
    let script = format!(
        "exec 5<>{path}; (echo $BASHPID >/run/holder; exec bash -c '{waits}' qemu -name guest=web1,debug-threads=on) </dev/null >/dev/null 2>&1 &"
    );
    site.on(host, &["bash", "-c", &script]);
    let pid = site.on(host, &["timeout", "20", "sh", "-c", "while ! [ -s /run/holder ]; do :; done; cat /run/holder"]);
    pid.trim().to_owned()
}

/// Ends it, and waits until it has.
fn close_on(site: &Site, host: &str, pid: &str) {
    let script = format!("kill {pid} && while kill -0 {pid} 2>/dev/null; do :; done; rm /run/holder");
    site.on(host, &["timeout", "20", "sh", "-c", &script]);
}

#[test]
fn nothing_is_taken_away_from_under_a_process() {
    let site = Site::up(&["hv1", "hv2"]);
    let two = ["hv1", "hv2"];
    let all = |extra: &str| {
        storage(&two)
            + &volume("ram", "/srv/ram", &(tmpfs().to_owned() + extra))
            + &volume("plain", "/srv/plain", &bind("/data"))
    };
    for host in two {
        site.sh(host, "mkdir -p /data");
    }
    site.write(&all(""));
    site.apply_exactly();
    site.sh("hv2", "echo data >/srv/plain/web.qcow2");
    let pid = open_on(&site, "hv2", "/srv/plain/web.qcow2");
    let before = two.map(|host| site.snapshot(host));

    // Removal, another mount point, another source and becoming read-only all need the place to themselves.
    let elsewhere = all("").replace("\"/srv/plain\"", "\"/srv/moved\"");
    let readonly = all("").replace("  bind {", "  options = [\"ro\"]\n  bind {");
    let gone = storage(&two) + &volume("ram", "/srv/ram", tmpfs());
    for configuration in [&gone, &elsewhere, &readonly] {
        site.write(configuration);
        let plan = site.refused();
        let named = format!("bash (pid {pid}, guest web1) has /srv/plain/web.qcow2 open");
        assert_hazard(
            &plan,
            "in-use",
            "external_volume.plain",
            "hv2",
            &["/srv/plain on hv2 is in use", &named],
            "does not kill",
        );
        assert_eq!(two.map(|host| site.snapshot(host)), before);
    }
    site.sh("hv2", &format!("kill -0 {pid}"));

    // A plan that was made before somebody opened a file stops at its guard.
    site.write(&gone);
    close_on(&site, "hv2", &pid);
    site.larder(&["plan", "-out", "gone.plan"]).expect(0);
    let pid = open_on(&site, "hv2", "/srv/plain/web.qcow2");
    let fstab = site.sh("hv2", "cat /etc/fstab");
    let run = site.larder(&["apply", "gone.plan"]).expect(4);
    assert!(run.out.contains(&pid) || run.err.contains(&pid), "{run:?}");
    assert_eq!(site.sh("hv2", "cat /etc/fstab"), fstab);
    site.sh("hv2", &format!("mountpoint -q /srv/plain && kill -0 {pid}"));

    // The process ends; the same command succeeds.
    close_on(&site, "hv2", &pid);
    site.apply_exactly();
    for host in two {
        site.sh(host, "! mountpoint -q /srv/plain && ! [ -e /srv/plain ]");
    }
    assert_eq!(site.sh("hv2", "cat /data/web.qcow2"), "data\n");
}

#[test]
fn protection_outlives_the_block_and_destruction_has_a_limit() {
    let site = Site::up(&["hv1", "hv2"]);
    let two = ["hv1", "hv2"];
    let limit = "larder {\n  apply {\n    max_destroy = 1\n  }\n}\n";
    let protected = "\n  lifecycle {\n    prevent_destroy = true\n  }";
    site.write(
        &(storage(&two)
            + &volume("ram", "/srv/ram", &(tmpfs().to_owned() + protected))
            + &volume("b", "/srv/b", tmpfs())),
    );
    site.apply_exactly();
    let before = two.map(|host| site.snapshot(host));
    site.write(&(storage(&two) + &volume("b", "/srv/b", tmpfs())));
    let plan = site.refused();
    assert_eq!(common::hazard(&plan, "protected", "external_volume.ram")["can_be_accepted"], false);
    assert_eq!(hazards(&plan), ["protected"]);
    // Neither leaving the storage nor `destroy` gets around it.
    site.write(
        &(storage(&["hv1"]) + &hosts(&["hv2"]) + &volume("ram", "/srv/ram", tmpfs()) + &volume("b", "/srv/b", tmpfs())),
    );
    assert!(hazards(&site.refused()).contains(&"protected".to_owned()));
    site.larder(&["destroy", "-auto-approve"]).expect(6);
    site.write(&(limit.to_owned() + &storage(&two) + &volume("ram", "/srv/ram", &(tmpfs().to_owned() + protected))));
    let plan = site.refused();
    let hazard = common::hazard(&plan, "too-much", "external_volume.b");
    assert!(hazard["message"].as_str().expect("a message").contains("2 things"), "{hazard:#}");
    assert_eq!(two.map(|host| site.snapshot(host)), before);
    // Without protection, and host by host, it goes.
    site.write(
        &(limit.to_owned() + &storage(&two) + &volume("ram", "/srv/ram", tmpfs()) + &volume("b", "/srv/b", tmpfs())),
    );
    site.apply_exactly();
    site.write(&(storage(&two)));
    site.apply_exactly();
    site.sh("hv1", "! [ -e /srv/b ] && ! [ -e /srv/ram ]");
}

#[test]
fn a_host_that_is_down_is_unknown_and_never_absent() {
    let site = Site::up(&["hv1", "hv2", "hv3"]);
    let three = ["hv1", "hv2", "hv3"];
    site.write(&(storage(&three) + &volume("ram", "/srv/ram", tmpfs())));
    site.apply_exactly();
    site.wait(site.lab().stop(&"hv3".into())).expect("a host that is down");
    let before = ["hv1", "hv2"].map(|host| site.snapshot(host));

    // The others are planned and carried out; what was down is said, and by the exit code too.
    site.write(&(storage(&three) + &volume("ram", "/srv/ram", tmpfs()) + &volume("new", "/srv/new", tmpfs())));
    let plan = site.larder(&["plan", "-json"]).expect(8).json();
    assert_eq!(plan["complete"], false);
    assert_eq!(plan["unknown"][0]["host"], "hv3");
    assert!(!plan["unknown"][0]["reason"].as_str().unwrap_or_default().is_empty());
    for (address, action) in [("external_volume.ram", "unchanged"), ("external_volume.new", "create")] {
        assert_eq!(change(&plan, address)["hosts"]["hv1"], action);
        assert_eq!(change(&plan, address)["hosts"]["hv3"], "unknown");
        assert_eq!(actions(&plan, address, "hv3"), [""; 0]);
    }
    site.larder(&["apply", "-auto-approve"]).expect(8);
    site.sh("hv1", "mountpoint -q /srv/new && umount /srv/new && mount /srv/new");

    // Nothing is taken away while a member is unknown.
    site.write(&(storage(&three) + &volume("new", "/srv/new", tmpfs())));
    let plan = site.larder(&["plan", "-json"]).expect(8).json();
    let refused = |plan: &Value, address: &str| {
        let all = plan["hazards"].as_array().expect("hazards").clone();
        let of = all.into_iter().filter(|one| one["address"] == address && one["code"] == "host-unknown");
        let of: Vec<_> = of.collect();
        assert!(
            !of.is_empty() && of.iter().all(|one| one["message"].as_str().is_some_and(|text| text.contains("hv3"))),
            "{plan:#}"
        );
    };
    refused(&plan, "external_volume.ram");
    site.larder(&["apply", "-auto-approve"]).expect(6);
    site.sh("hv1", "mountpoint -q /srv/ram");
    // A host that is unknown cannot leave either.
    site.write(
        &(storage(&["hv1", "hv2"])
            + &hosts(&["hv3"])
            + &volume("ram", "/srv/ram", tmpfs())
            + &volume("new", "/srv/new", tmpfs())),
    );
    let plan = site.larder(&["plan", "-json"]).expect(8).json();
    assert_eq!(change(&plan, "external_volume.ram")["hosts"]["hv3"], "unknown");
    assert_eq!(plan["steps"], Value::Array(Vec::new()), "{plan:#}");
    site.larder(&["apply", "-auto-approve"]).expect(8);
    assert_eq!(
        site.snapshot("hv1")["mounts"].replace("/srv/new", "").lines().count(),
        before[0]["mounts"].lines().count() + 1
    );

    // It comes back, and what was left undone is done: on it alone.
    site.wait(site.lab().restart(&"hv3".into())).expect("a host that is up");
    let plan = site.plan();
    assert_eq!(actions(&plan, "external_volume.ram", "hv3"), ["unmount", "fstab", "unlock", "rmdir"], "{plan:#}");
    assert!(plan["steps"].as_array().expect("steps").iter().all(|step| step["host"] == "hv3"), "{plan:#}");
    site.apply();
    site.sh("hv3", "! [ -e /srv/ram ] && ! grep -q larder /etc/fstab");
}

#[test]
fn images_are_never_shrunk_and_never_without_room() {
    let site = Site::up(&["hv1"]);
    let image = |name: &str, size: &str, more: &str| {
        format!(
            "image \"{name}\" {{\n  volume = external_volume.ram\n  format = \"raw\"\n  size = \"{size}\"\n  {more}\n}}\n"
        )
    };
    let base = storage(&["hv1"]) + &volume("ram", "/srv/ram", "tmpfs {\n    size = \"64MiB\"\n  }");
    // Each would find room; all together do not, and nothing is begun.
    let before = site.snapshot("hv1");
    site.write(
        &(base.clone()
            + &image("a", "30MiB", "allocation = \"full\"")
            + &image("b", "40MiB", "allocation = \"falloc\"")),
    );
    let plan = site.refused();
    assert_hazard(&plan, "capacity", "image.b", "hv1", &["2 images together need", "/srv/ram"], "smaller or sparse");
    assert_eq!(site.snapshot("hv1"), before);
    site.write(&(base.clone() + &image("a", "20MiB", "allocation = \"full\"") + &image("b", "10MiB", "")));
    site.apply_exactly();
    site.sh("hv1", "printf guest | dd of=/srv/ram/a.raw conv=notrunc status=none");
    let sums = || site.sh("hv1", "cd /srv/ram && sha256sum a.raw b.raw && stat -c '%i %s %a %U:%G' a.raw b.raw");
    let made = sums();
    // In a volume that exists, what is free now counts.
    site.write(
        &(base.clone()
            + &image("a", "20MiB", "allocation = \"full\"")
            + &image("b", "10MiB", "")
            + &image("c", "60MiB", "allocation = \"falloc\"")),
    );
    let plan = site.refused();
    assert_hazard(&plan, "capacity", "image.c", "hv1", &["1 image needs 60.0 MiB"], "");
    // Smaller, or another format, is refused; the file is as it was.
    site.write(&(base.clone() + &image("a", "10MiB", "allocation = \"full\"") + &image("b", "10MiB", "")));
    let plan = site.refused();
    assert_hazard(
        &plan,
        "shrink",
        "image.a",
        "hv1",
        &["/srv/ram/a.raw on hv1 has 20MiB", "wants 10MiB"],
        "size = \"20MiB\"",
    );
    site.write(
        &(base.clone()
            + &image("a", "20MiB", "allocation = \"full\"")
            + &image("b", "10MiB", "").replace("\"raw\"", "\"qcow2\"\n  name = \"b.raw\"")),
    );
    assert_hazard(
        &site.refused(),
        "wrong-source",
        "image.b",
        "hv1",
        &["is raw of 10MiB, not qcow2"],
        "never converted",
    );
    assert_eq!(sums(), made);
    // It grows in place.
    site.write(&(base.clone() + &image("a", "24MiB", "allocation = \"full\"") + &image("b", "10MiB", "")));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "image.a", "hv1"), ["grow"]);
    assert_eq!(site.sh("hv1", "head -c 20971520 /srv/ram/a.raw | sha256sum").split(' ').next(), made.split(' ').next());
    assert_eq!(
        site.sh("hv1", "stat -c %i /srv/ram/a.raw").trim(),
        made.lines().nth(2).and_then(|line| line.split(' ').next()).expect("an inode")
    );
    // A file of another kind under the name is not touched either.
    site.sh("hv1", "rm /srv/ram/b.raw && mkdir /srv/ram/b.raw");
    site.write(&(base + &image("a", "24MiB", "allocation = \"full\"") + &image("b", "10MiB", "")));
    assert_hazard(
        &site.refused(),
        "wrong-source",
        "image.b",
        "hv1",
        &["/srv/ram/b.raw on hv1 is no regular file"],
        "Move it away",
    );
}

#[test]
fn two_resources_with_one_path_are_an_error_that_names_both() {
    let directory = tempfile::tempdir().expect("a directory");
    let larder = |configuration: &str| {
        std::fs::write(directory.path().join("main.hcl"), configuration).expect("a file");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_larder"));
        let output =
            command.current_dir(directory.path()).args(["validate", "-json"]).output().expect("the binary runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let image = |name: &str| {
        format!(
            "image \"{name}\" {{\n  volume = external_volume.a\n  format = \"raw\"\n  size = \"1MiB\"\n  name = \"same.raw\"\n}}\n"
        )
    };
    let volumes = storage(&["hv1", "hv2"]) + &volume("a", "/srv/a", tmpfs());
    let table = [
        (volumes.clone() + &volume("b", "/srv//a/", tmpfs()), ["external_volume.a", "external_volume.b", "/srv/a"]),
        (volumes.clone() + &image("x") + &image("y"), ["image.x", "image.y", "/srv/a/same.raw"]),
        (
            volumes.clone() + &volume("b", "/var/lib/larder/storages/main", tmpfs()),
            ["external_volume.b", "image_storage.main", "main"],
        ),
    ];
    for (configuration, words) in table {
        let (exit, out) = larder(&configuration);
        let problems: Value = serde_json::from_str(&out).expect("JSON");
        let diagnostics = problems["diagnostics"].as_array().expect("diagnostics");
        assert_eq!((exit, diagnostics.len()), (Some(1), 1), "{out}");
        assert_eq!(diagnostics[0]["code"], "duplicate-path");
        for word in words {
            assert!(diagnostics[0].to_string().contains(word), "no {word} in {out}");
        }
        assert!(diagnostics[0]["range"]["start"]["line"].as_u64().is_some_and(|line| line > 1), "{out}");
    }
    for name in ["../x", "a/b", "..", "", "a\\nb"] {
        let (exit, out) = larder(&(volumes.clone() + &image("x").replace("same.raw", name)));
        assert_eq!(exit, Some(1), "{name}: {out}");
        assert!(out.contains("is no file name"), "{name}: {out}");
    }
}

#[test]
fn a_plan_file_takes_no_other_values_and_two_hosts_are_not_one_machine() {
    let directory = tempfile::Builder::new().prefix("larder-test-").tempdir().expect("a directory");
    let at = directory.path().display();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_larder"));
        let output =
            command.current_dir(directory.path()).args(arguments).env("NO_COLOR", "1").output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let host = |name: &str| format!("host \"{name}\" {{\n  connection = \"local\"\n}}\n");
    let storage = format!(
        "variable \"mode\" {{\n  default = \"0770\"\n}}\nimage_storage \"main\" {{\n  hosts = values(host)\n  root  = \"{at}/root\"\n}}\nexternal_volume \"a\" {{\n  storage = image_storage.main\n  mode    = var.mode\n  owner   = 0\n  group   = 0\n  directory {{}}\n  lifecycle {{\n    accept = [\"no-access\"]\n  }}\n}}\n"
    );
    std::fs::write(directory.path().join("main.hcl"), host("h1") + &storage).expect("a file");
    let (exit, text) = run(&["plan", "-out", "a plan"]);
    assert_eq!(exit, Some(0), "{text}");
    assert!(text.contains("Carry it out with: larder apply 'a plan'"), "{text}");
    let (exit, text) = run(&["apply", "a plan", "-var", "mode=0700"]);
    assert_eq!(exit, Some(3), "{text}");
    assert!(text.contains("come too late"), "{text}");
    assert!(!directory.path().join("root").exists());
    std::fs::write(directory.path().join("main.hcl"), host("h1") + &host("h2") + &storage).expect("a file");
    let (exit, text) = run(&["apply", "-auto-approve"]);
    assert_eq!(exit, Some(1), "{text}");
    assert!(text.contains("same-machine"), "{text}");
    assert!(!directory.path().join("root").exists());
}

#[test]
fn options_that_work_against_guests_are_named() {
    let site = Site::up(&["hv1", "hv2"]);
    // Programs that say that the hosts could mount NFS.
    for host in ["hv1", "hv2"] {
        site.sh(host, "cd /usr/local/bin && for name in mount.nfs modinfo; do ln -s /bin/true $name; done");
    }
    let nfs = |version: &str, options: &str| {
        let inner = format!(
            "options = [{options}]\n  nfs {{\n    server = \"192.0.2.9\"\n    export = \"/e\"\n    version = \"{version}\"\n  }}"
        );
        site.write(&(storage(&["hv1", "hv2"]) + &volume("nfs", "/srv/nfs", &inner)));
    };
    // The user's word goes before the default, once.
    nfs("4.2", "\"soft\", \"noexec\"");
    let said = site.larder(&["validate", "-json"]).expect(0).json();
    assert_eq!(
        (&said["warning_count"], &said["diagnostics"][0]["code"]),
        (&1.into(), &"risky-option".into()),
        "{said:#}"
    );
    let plan = site.plan();
    let line =
        "192.0.2.9:/e /srv/nfs nfs vers=4.2,noatime,soft,noexec,_netdev,nofail,x-larder.id=external_volume.nfs 0 0";
    assert_eq!(common::edits(&plan, "hv1", "/etc/fstab").0, [line]);
    for (version, options, name) in [
        ("4.2", "\"hard\", \"soft\"", "hard and soft"),
        ("4.2", "\"exec\", \"noexec\"", "exec and noexec"),
        ("4.2", "\"timeo=30\", \"timeo=60\"", "timeo and timeo"),
        ("4.2", "\"nolock\"", "version 3"),
    ] {
        nfs(version, options);
        let said = site.larder(&["validate", "-json"]).expect(1).json();
        assert_eq!(said["diagnostics"][0]["code"], "conflicting-options", "{options}");
        assert!(said["diagnostics"][0]["summary"].as_str().expect("a text").contains(name), "{said:#}");
    }
    for (options, is_refused) in [("\"nolock\"", true), ("\"local_lock=posix\"", true), ("\"local_lock=none\"", false)]
    {
        nfs("3", options);
        let plan = site.larder(&["plan", "-json"]).expect(if is_refused { 6 } else { 0 }).json();
        assert_eq!(hazards(&plan).contains(&"split-brain".to_owned()), is_refused, "{options}: {:#}", plan["hazards"]);
    }
}

#[test]
fn nothing_is_made_on_the_disk_below_a_mount_that_is_missing() {
    let site = Site::up(&["hv1"]);
    // Declared as mounts, and nothing is mounted; the last two are.
    site.sh(
        "hv1",
        "mkdir -p /srv/missing /srv/off/sub /srv/there && mount -t tmpfs t /srv/there && mkdir /srv/there/images
         printf 'LABEL=x /srv/missing/ ext4 defaults 0 0\\nnas:/e /srv/off nfs noauto 0 0\\ntmpfs /srv/there tmpfs defaults 0 0\\n' >/etc/fstab",
    );
    let before = site.snapshot("hv1");
    for (at, inside, names) in [
        ("/srv/missing", "directory {}".to_owned(), ["LABEL=x", "/srv/missing"]),
        ("/srv/off/sub/images", "directory {}".to_owned(), ["nas:/e", "/srv/off"]),
        ("/srv/bound", bind("/srv/off/sub"), ["nas:/e", "/srv/off"]),
    ] {
        site.write(&(storage(&["hv1"]) + &volume("v", at, &inside)));
        let plan = site.refused();
        assert_hazard(&plan, "wrong-source", "external_volume.v", "hv1", &names, "Mount it first");
        assert_eq!(site.snapshot("hv1"), before, "{at}");
    }
    site.write(&(storage(&["hv1"]) + &volume("v", "/srv/there/images", "directory {}")));
    site.apply_exactly();
}
