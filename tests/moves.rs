//! What has another name, what is only a part, what is taken over and what is let go, on container hosts: addresses change and
//! hosts do not.

mod common;

use std::collections::BTreeMap;

use common::{Site, assert_hazard, change, edits, hazard, hazards, hosts, planned, storage};
use larder::model::HostName;
use serde_json::{Value, json};

const HOSTS: [&str; 2] = ["hv1", "hv2"];

fn volume(name: &str, at: &str, inside: &str) -> String {
    format!("external_volume \"{name}\" {{\n  storage = image_storage.main\n  mount_point = \"{at}\"\n  {inside}\n}}\n")
}

fn tmpfs() -> &'static str {
    "tmpfs {\n    size = \"16MiB\"\n  }"
}

/// Two images `a` and `b` under names of their own.
fn images(name: &str, volume: &str) -> String {
    format!(
        "image \"{name}\" {{\n  for_each = toset([\"a\", \"b\"])\n  volume = external_volume.{volume}\n  name = \"disk-${{each.key}}.raw\"\n  format = \"raw\"\n  size = \"1MiB\"\n}}\n"
    )
}

fn moved(from: &str, to: &str) -> String {
    format!("moved {{\n  from = {from}\n  to   = {to}\n}}\n")
}

fn state(site: &Site) -> Value {
    serde_json::from_str(&std::fs::read_to_string(site.state()).expect("a state")).expect("JSON")
}

fn addresses(site: &Site) -> Vec<String> {
    site.larder(&["state", "list"]).expect(0).out.lines().map(str::to_owned).collect()
}

/// The ids of the steps that change something, sorted.
fn changing(plan: &Value) -> Vec<String> {
    planned(plan).into_iter().filter(|id| !id.ends_with("/check-access")).collect()
}

/// What must not change when a name does: mounts with their numbers, contents, owners and inodes.
fn standing(site: &Site, host: &str, at: &str) -> String {
    site.sh(
        host,
        &format!(
            "awk '$5 ~ \"^{at}\"' /proc/self/mountinfo; cd {at} && find . -printf '%p %i %U:%G %m %s\\n' | sort; sha256sum disk-* 2>/dev/null || :"
        ),
    )
}

/// A process that has a file open and a lock on it, as a guest has; gives its number.
fn guest(site: &Site, host: &str, path: &str) -> String {
    let script = format!("exec 3<>{path}; echo guest data >&3; nohup sleep 1000 >/dev/null 2>&1 & echo $!");
    site.sh(host, &script).trim().to_owned()
}

#[track_caller]
fn end_guest(site: &Site, host: &str, pid: &str) {
    site.sh(host, &format!("kill {pid} && while kill -0 {pid} 2>/dev/null; do :; done"));
}

#[test]
fn a_mounted_volume_in_use_gets_another_name_and_nothing_else_changes() {
    let site = Site::up(&HOSTS);
    let before = format!("{}{}{}", storage(&HOSTS), volume("disk", "/srv/disk", tmpfs()), images("web", "disk"));
    site.write(&before).apply();
    let pid = guest(&site, "hv1", "/srv/disk/disk-a.raw");
    let (fstab, stands) = (site.on("hv1", &["cat", "/etc/fstab"]), standing(&site, "hv1", "/srv/disk"));

    // Through a chain, and whole blocks at once.
    let statements = [
        moved("external_volume.disk", "external_volume.once"),
        moved("external_volume.once", "external_volume.fast"),
        moved("image.web", "image.app"),
    ]
    .concat();
    let after = format!("{}{}{}", storage(&HOSTS), volume("fast", "/srv/disk", tmpfs()), images("app", "fast"));
    site.write(&(after.clone() + &statements));
    let plan = site.larder(&["plan", "-json", "-detailed-exitcode"]).expect(2).json();
    assert_eq!(hazards(&plan), Vec::<String>::new());
    for (new, old) in [
        ("external_volume.fast", "external_volume.disk"),
        ("image.app[\"a\"]", "image.web[\"a\"]"),
        ("image.app[\"b\"]", "image.web[\"b\"]"),
    ] {
        let change = change(&plan, new);
        assert_eq!((&change["action"], &change["moved_from"]), (&json!("move"), &json!(old)), "{change:#}");
    }
    assert_eq!(change(&plan, "external_volume.fast")["hosts"], json!({ "hv1": "update", "hv2": "update" }));
    assert_eq!(change(&plan, "image.app[\"a\"]")["hosts"], json!({ "hv1": "unchanged", "hv2": "unchanged" }));
    assert_eq!(plan["summary"]["move"], 3);
    assert_eq!(changing(&plan), ["external_volume.fast@hv1/fstab", "external_volume.fast@hv2/fstab"]);
    let edit = plan["steps"].as_array().expect("steps").iter().find(|step| step["action"] == "fstab").expect("an edit");
    assert!(edit["inverse"].is_array(), "{edit:#}");
    let (added, removed) = edits(&plan, "hv1", "/etc/fstab");
    assert_eq!((added.len(), removed.len()), (1, 1), "{plan:#}");
    assert_eq!(removed[0].replace("external_volume.disk", "external_volume.fast"), added[0]);
    site.larder(&["plan"]).expect(0).says("→ external_volume.disk -> external_volume.fast").says("3 to move");

    site.apply_exactly();
    assert_eq!(standing(&site, "hv1", "/srv/disk"), stands, "mounts, contents and inodes are what they were");
    site.sh("hv1", &format!("kill -0 {pid} && ls -l /proc/{pid}/fd | grep -q /srv/disk/disk-a.raw"));
    let new = site.on("hv1", &["cat", "/etc/fstab"]);
    assert_eq!(new, fstab.replace("x-larder.id=external_volume.disk", "x-larder.id=external_volume.fast"));
    assert_eq!(
        addresses(&site),
        ["external_volume.fast", "image.app[\"a\"]", "image.app[\"b\"]", "image_storage.main"]
    );
    assert!(
        !std::fs::read_to_string(site.state()).expect("a state").contains("formerly"),
        "nothing is left of the old"
    );

    // The statements may stay, and they may go.
    site.assert_settled();
    site.write(&after).assert_settled();
    end_guest(&site, "hv1", &pid);
}

#[test]
fn what_goes_into_a_module_and_out_of_it_is_the_same() {
    let site = Site::up(&HOSTS);
    let inside = |disk: &str| {
        volume(disk, "/srv/disk", tmpfs()).replace("image_storage.main", "var.storage") + &images("web", disk)
    };
    let module = |text: &str| {
        std::fs::create_dir_all(site.path().join("pool")).expect("a directory");
        let text = format!("variable \"storage\" {{\n  type = any\n}}\n{text}");
        std::fs::write(site.path().join("pool/main.hcl"), text).expect("a file");
    };
    let call = |name: &str, each: &str| {
        format!("module \"{name}\" {{\n  source  = \"./pool\"\n  storage = image_storage.main\n{each}}}\n")
    };
    site.write(&format!("{}{}{}", storage(&HOSTS), volume("disk", "/srv/disk", tmpfs()), images("web", "disk")))
        .apply();
    let stands = standing(&site, "hv1", "/srv/disk");

    // Into a module: refused without a word, and the words are those of the root.
    module(&inside("disk"));
    let into = storage(&HOSTS) + &call("pool", "");
    site.write(&into);
    let plan = site.refused();
    let words = moved("external_volume.disk", "module.pool.external_volume.disk")
        + &moved("image.web", "module.pool.image.web");
    assert_eq!(proposed(&plan), words);
    site.write(&(into + &words));
    let plan = site.apply_exactly();
    assert_eq!(changing(&plan), HOSTS.map(|host| format!("module.pool.external_volume.disk@{host}/fstab")));
    let one = change(&plan, "module.pool.image.web[\"b\"]");
    assert_eq!((&one["action"], &one["moved_from"]), (&json!("move"), &json!("image.web[\"b\"]")));

    // Another name for the module, which gets instances; and another name in it, said in it.
    let words = moved("external_volume.disk", "external_volume.fast");
    module(&(inside("fast") + &words));
    let renamed = storage(&HOSTS) + &call("store", "  for_each = toset([\"a\"])\n");
    site.write(&(renamed.clone() + &moved("module.pool", "module.store[\"a\"]")));
    let plan = site.apply_exactly();
    let fast = "module.store[\"a\"].external_volume.fast";
    assert_eq!(change(&plan, fast)["moved_from"], "module.pool.external_volume.disk");
    assert_eq!(changing(&plan), HOSTS.map(|host| format!("{fast}@{host}/fstab")));
    assert!(site.on("hv1", &["cat", "/etc/fstab"]).contains("x-larder.id=module.store[%22a%22].external_volume.fast"));
    assert_eq!(standing(&site, "hv1", "/srv/disk"), stands);

    // A module is a target, and is let go as a whole.
    let plan = site.larder(&["plan", "-json", "-target", "module.store"]).expect(0).json();
    assert_eq!(listed(&plan).len(), 4, "{plan:#}");
    let plan = site.larder(&["plan", "-json", "-exclude", "module.store[\"a\"]"]).expect(0).json();
    assert_eq!(changed(&plan), ["image_storage.main"]);
    site.larder(&["plan", "-target", "module.stroe"]).expect(3).says("Did you mean module.store?");
    site.write(&(renamed + "removed {\n  from = module.store\n}\n"));
    site.larder(&["validate"]).expect(1).says("removed-still-declared");
    site.larder(&["state", "mv", "module.store[\"a\"]", "module.gone"])
        .expect(0)
        .says("to module.gone.image.web[\"b\"].");
    site.write(&(storage(&HOSTS) + "removed {\n  from = module.gone\n}\n"));
    assert_eq!(site.apply_exactly()["steps"], json!([]));
    assert_eq!(addresses(&site), ["image_storage.main"]);
    assert_eq!(standing(&site, "hv1", "/srv/disk"), stands);
}

#[test]
fn a_plan_file_moves_without_the_configuration() {
    let site = Site::up(&HOSTS);
    site.write(&format!("{}{}{}", storage(&HOSTS), volume("disk", "/srv/disk", tmpfs()), images("web", "disk")))
        .apply();
    let stands = standing(&site, "hv1", "/srv/disk");
    let after = format!(
        "{}{}{}{}{}",
        storage(&HOSTS),
        volume("fast", "/srv/disk", tmpfs()),
        images("web", "fast"),
        moved("external_volume.disk", "external_volume.fast"),
        "",
    );
    site.write(&after);
    site.larder(&["plan", "-out", "saved.plan"]).expect(0);
    site.larder(&["show", "saved.plan"]).expect(0).says("external_volume.disk -> external_volume.fast");
    site.write("this is { no configuration");
    site.larder(&["apply", "saved.plan"]).expect(0);
    site.write(&after).assert_settled();
    assert_eq!(standing(&site, "hv1", "/srv/disk"), stands);

    // Images alone: no host is touched, and the state is written all the same.
    let renamed = after.replace("image \"web\"", "image \"app\"") + &moved("image.web", "image.app");
    site.write(&renamed);
    let plan = site.larder(&["plan", "-json", "-detailed-exitcode", "-out", "saved.plan"]).expect(2).json();
    assert_eq!(plan["steps"], json!([]));
    site.write("this is { no configuration");
    site.larder(&["apply", "saved.plan"]).expect(0);
    site.write(&renamed).assert_settled();
    assert!(addresses(&site).contains(&"image.app[\"b\"]".to_owned()));

    // An altered file is refused: what moves is part of it.
    site.write(
        &(renamed
            .replace("external_volume \"fast\"", "external_volume \"slow\"")
            .replace("external_volume.fast\n  name", "external_volume.slow\n  name")
            + &moved("external_volume.fast", "external_volume.slow")),
    );
    site.larder(&["plan", "-out", "saved.plan"]).expect(0);
    let text = std::fs::read_to_string(site.path().join("saved.plan")).expect("a plan");
    let altered = text.replace(
        "\"external_volume.fast\": \"external_volume.slow\"",
        "\"external_volume.fast\": \"external_volume.other\"",
    );
    assert_ne!(text, altered);
    std::fs::write(site.path().join("saved.plan"), altered).expect("written");
    site.larder(&["apply", "saved.plan"]).expect(1).says("altered");
}

#[test]
fn what_was_moved_in_the_state_is_written_to_hosts_by_the_next_apply() {
    let site = Site::up(&["hv1"]);
    let before = format!("{}{}{}", storage(&["hv1"]), volume("disk", "/srv/disk", tmpfs()), images("web", "disk"));
    site.write(&before).apply();
    let stands = standing(&site, "hv1", "/srv/disk");
    site.larder(&["state", "mv", "external_volume.nothing", "external_volume.fast"]).expect(1).says("not-in-state");
    site.larder(&["state", "mv", "external_volume.disk", "image.disk"]).expect(1).says("moved-to-another-kind");
    site.larder(&["state", "mv", "image.web[\"a\"]", "image.web[\"b\"]"]).expect(1).says("moved-onto-another");
    site.larder(&["state", "mv", "image web", "image.app"]).expect(3).says("invalid-address");
    site.larder(&["state", "mv", "external_volume.disk", "external_volume.fast"])
        .expect(0)
        .says("Moved external_volume.disk to external_volume.fast.");
    site.larder(&["state", "mv", "image.web", "image.app"])
        .expect(0)
        .says("Moved image.web[\"b\"] to image.app[\"b\"].");
    assert_eq!(
        addresses(&site),
        ["external_volume.fast", "image.app[\"a\"]", "image.app[\"b\"]", "image_storage.main"]
    );
    site.write(&format!("{}{}{}", storage(&["hv1"]), volume("fast", "/srv/disk", tmpfs()), images("app", "fast")));
    let plan = site.apply_exactly();
    assert_eq!(changing(&plan), ["external_volume.fast@hv1/fstab"]);
    assert_eq!(standing(&site, "hv1", "/srv/disk"), stands);
}

#[test]
fn a_host_that_was_down_is_told_the_new_name_when_it_is_back() {
    let site = Site::up(&HOSTS);
    let before = format!("{}{}", storage(&HOSTS), volume("disk", "/srv/disk", tmpfs()));
    site.write(&before).apply();
    let after = before.replace("external_volume \"disk\"", "external_volume \"fast\"");
    site.write(&(after.clone() + &moved("external_volume.disk", "external_volume.fast")));
    let stop =
        |site: &Site| site.wait(site.lab().stop(&HostName::from("hv2"))).unwrap_or_else(|problem| panic!("{problem}"));
    stop(&site);
    site.larder(&["apply", "-auto-approve"]).expect(8);
    assert_eq!(state(&site)["resources"]["external_volume.fast"]["formerly"], json!(["external_volume.disk"]));
    site.wait(site.lab().restart(&HostName::from("hv2"))).unwrap_or_else(|problem| panic!("{problem}"));
    // The statement has done its work as far as anybody can see, and goes.
    site.write(&after);
    let plan = site.plan();
    assert_eq!(hazards(&plan), Vec::<String>::new());
    site.larder(&["apply", "-auto-approve"]).expect(0);
    site.assert_settled();
    assert!(!site.on("hv2", &["cat", "/etc/fstab"]).contains("external_volume.disk"));
    assert_eq!(state(&site)["resources"]["external_volume.fast"].get("formerly"), None);
}

#[test]
fn a_state_that_was_lost_is_no_reason_to_refuse_a_move() {
    let site = Site::up(&["hv1"]);
    let before = format!("{}{}", storage(&["hv1"]), volume("disk", "/srv/disk", tmpfs()));
    site.write(&before).apply();
    std::fs::remove_dir_all(site.state().parent().expect("a directory")).expect("removed");
    let after = before.replace("external_volume \"disk\"", "external_volume \"fast\"");
    site.write(&after);
    assert_eq!(hazards(&site.plan()), ["foreign"], "without a word the line is another's");
    site.write(&(after + &moved("external_volume.disk", "external_volume.fast")));
    let plan = site.apply_exactly();
    assert_eq!(changing(&plan), ["external_volume.fast@hv1/fstab"]);
}

#[test]
fn a_line_that_is_left_as_it_is_stays_known_by_its_old_name() {
    let site = Site::up(&["hv1"]);
    let with = |name: &str, lifecycle: &str| {
        storage(&["hv1"]) + &volume(name, "/srv/disk", &format!("{}{lifecycle}", tmpfs()))
    };
    let ignoring = "\n  lifecycle {\n    ignore_changes = [persist]\n  }";
    site.write(&with("disk", "")).apply();
    let statement = moved("external_volume.disk", "external_volume.fast");
    site.write(&(with("fast", ignoring) + &statement));
    assert_eq!(site.apply_exactly()["steps"], json!([]));
    // The statement has done its work, and goes.
    site.write(&with("fast", ignoring)).assert_settled();
    assert_eq!(state(&site)["resources"]["external_volume.fast"]["formerly"], json!(["external_volume.disk"]));
    // Without the state the statement alone tells it, and again it may go.
    std::fs::remove_dir_all(site.state().parent().expect("a directory")).expect("removed");
    site.write(&(with("fast", ignoring) + &statement)).apply();
    site.write(&with("fast", ignoring)).assert_settled();
    // Once the line may be written again, it is, and nothing of the old name is left.
    site.write(&with("fast", ""));
    assert_eq!(changing(&site.apply_exactly()), ["external_volume.fast@hv1/fstab"]);
    assert_eq!(state(&site)["resources"]["external_volume.fast"].get("formerly"), None);
}

#[test]
fn outputs_alone_are_changes_of_a_plan() {
    let site = Site::up(&["hv1"]);
    let with = |outputs: &str| format!("{}{}{outputs}", storage(&["hv1"]), volume("disk", "/srv/disk", "directory {}"));
    let output = |name: &str, value: &str| format!("output \"{name}\" {{\n  value = {value}\n}}\n");
    site.write(&with("")).apply();
    let first = output("path", "external_volume.disk.mount_point") + &output("sizes", "[1.5, 9007199254740993]");
    site.write(&with(&first));
    let plan = site.larder(&["plan", "-json", "-detailed-exitcode"]).expect(2).json();
    assert_eq!(
        plan["output_changes"]["path"],
        json!({ "action": "create", "before": null, "after": "/srv/disk", "sensitive": false })
    );
    let text = site.larder(&["plan"]).expect(0).out;
    assert!(text.contains("Changes to outputs\n  + path = \"/srv/disk\"\n"), "{text}");
    assert!(text.contains("No step runs on any host; apply records it in the state."), "{text}");
    let empty = site.larder(&["plan", "-json", "-target", "external_volume.disk"]).expect(0).json();
    assert_eq!(empty["output_changes"], json!({}), "a part leaves outputs as they are");
    assert_ne!(plan["hash"], empty["hash"]);
    site.apply().says("nothing had to run on a host. The state has it: 2 outputs changed.");

    // Changed, gone and turned into a secret, which is not shown any more; and a plan file does the same.
    let later = output("path", "\"elsewhere\"") + &output("sizes", "2").replace("\n}", "\n  sensitive = true\n}");
    site.write(&with(&later));
    let text = site.larder(&["plan", "-out", "saved"]).expect(0).out;
    assert!(text.contains("  ~ path = \"/srv/disk\" -> \"elsewhere\"\n"), "{text}");
    assert!(text.contains("  - sizes = (sensitive value) -> null\n") && !text.contains("1.5"), "{text}");
    site.larder(&["apply", "saved"]).expect(0).says("2 outputs changed");
    assert_eq!(state(&site)["outputs"], json!({ "path": "elsewhere" }));
    site.assert_settled();

    // What is adopted, moved or forgotten without a step is told as well.
    std::fs::remove_dir_all(site.state().parent().expect("a directory")).expect("removed");
    site.apply().says("The state has it: 2 resources adopted, 1 output changed.");
    site.write(&(storage(&["hv1"]) + "removed {\n  from = external_volume.disk\n}\n"));
    site.apply().says("The state has it: 1 resource forgotten, 1 output changed.");
    assert_eq!(state(&site)["outputs"], json!({}));
}

/// The `moved` statements that a hazard proposes.
fn proposed(plan: &Value) -> String {
    let mut found: BTreeMap<String, ()> = BTreeMap::new();
    for hazard in plan["hazards"].as_array().expect("hazards").iter().filter(|hazard| hazard["code"] == "renamed") {
        let cure = hazard["cure"].as_str().expect("a cure");
        let begin = cure.find("moved {").expect(cure);
        let end = cure.rfind("}\n").expect(cure);
        found.insert(format!("{}\n", &cure[begin..=end]), ());
    }
    found.into_keys().collect()
}

#[test]
fn a_new_name_without_a_word_is_refused_with_the_words_that_are_missing() {
    let site = Site::up(&HOSTS);
    site.sh("hv1", "mkdir /data");
    site.sh("hv2", "mkdir /data");
    let bind = "bind {\n    source = \"/data\"\n  }\n  persist = \"none\"";
    let blocks = |disk: &str, ram: &str, bound: &str, web: &str, one: &str| {
        format!(
            "{}{}{}{}{}image \"{one}\" {{\n  volume = external_volume.{disk}\n  name = \"one.raw\"\n  format = \"raw\"\n  size = \"1MiB\"\n}}\n",
            storage(&HOSTS),
            volume(disk, "/srv/disk", "directory {}"),
            volume(ram, "/srv/ram", tmpfs()),
            volume(bound, "/srv/bound", bind),
            images(web, disk),
        )
    };
    site.write(&blocks("disk", "ram", "bound", "web", "one")).apply();
    let snapshots: Vec<_> = HOSTS.iter().map(|host| site.snapshot(host)).collect();

    // Everything at once under another name.
    let renamed = blocks("disk2", "ram2", "bound2", "web2", "one2");
    site.write(&renamed);
    let plan = site.refused();
    assert_eq!(plan["steps"], json!([]), "{plan:#}");
    assert!(hazards(&plan).iter().all(|code| code == "renamed"), "{:?}", hazards(&plan));
    let text = site.larder(&["plan"]).expect(6).out;
    assert!(
        text.contains("  moved {\n    from = external_volume.ram\n    to   = external_volume.ram2\n  }\n"),
        "{text}"
    );
    assert!(text.contains("The same at image.web2[\"b\"]."), "{text}");
    for (host, before) in HOSTS.iter().zip(&snapshots) {
        assert_eq!(&site.snapshot(host), before);
    }

    // What it says to paste is what is needed.
    let statements = proposed(&plan);
    assert_eq!(statements.matches("moved {").count(), 5, "{statements}");
    site.write(&(renamed + &statements));
    let plan = site.apply_exactly();
    assert_eq!(changing(&plan), ["external_volume.ram2@hv1/fstab", "external_volume.ram2@hv2/fstab"]);
    assert_eq!(site.snapshot("hv1")["mounts"], snapshots[0]["mounts"]);
    assert_eq!(site.snapshot("hv1")["tree"], snapshots[0]["tree"]);

    // A block that gets instances, and one that is only one now.
    let one = "image \"one2\" {\n  count = 1\n  volume";
    let counted = blocks("disk2", "ram2", "bound2", "web2", "one2").replace("image \"one2\" {\n  volume", one);
    site.write(&counted);
    let plan = site.refused();
    assert_eq!(proposed(&plan), moved("image.one2", "image.one2[0]"));
    site.write(&(counted + &proposed(&plan)));
    assert_eq!(site.apply_exactly()["steps"], json!([]));

    // Somebody who means another one says so: the old one is let go.
    let other = blocks("disk2", "ram2", "bound2", "web2", "other");
    site.write(&other).refused();
    site.write(&(other + "removed {\n  from = image.one2\n}\n")).apply();
    assert!(addresses(&site).contains(&"image.other".to_owned()));
}

#[test]
fn a_disk_under_another_name_and_in_another_place_is_known_by_itself() {
    let site = Site::up(&["hv1"]);
    let device = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4";
    site.wait(site.lab().attach_device(&"hv1".into(), device, "24MiB".parse().expect("a size"))).expect("a device");
    let disk = |name: &str, at: &str| {
        let inside = format!(
            "device {{\n    path = \"{device}\"\n    fstype = \"ext4\"\n    label = \"disk\"\n    format = true\n  }}"
        );
        storage(&["hv1"]) + &volume(name, at, &inside)
    };
    site.write(&disk("slow", "/srv/slow")).apply();
    site.sh("hv1", "echo data >/srv/slow/file");
    let uuid = site.on("hv1", &["blkid", "-s", "UUID", "-o", "value", device]);
    site.write(&disk("fast", "/srv/fast"));
    let plan = site.refused();
    assert_eq!(hazards(&plan), ["renamed"], "{plan:#}");
    assert!(plan["hazards"][0]["message"].as_str().is_some_and(|text| text.contains(device)), "{plan:#}");
    assert_eq!(proposed(&plan), moved("external_volume.slow", "external_volume.fast"));
    site.write(&(disk("fast", "/srv/fast") + &proposed(&plan)));
    let plan = site.apply_exactly();
    let change = change(&plan, "external_volume.fast");
    // It moves, and it is mounted elsewhere: that is more than another name.
    assert_eq!((&change["action"], &change["moved_from"]), (&json!("update"), &json!("external_volume.slow")));
    assert_eq!(site.sh("hv1", "cat /srv/fast/file"), "data\n");
    assert_eq!(site.on("hv1", &["blkid", "-s", "UUID", "-o", "value", device]), uuid);
}

#[test]
fn a_path_that_follows_the_name_is_a_change_that_is_told() {
    let site = Site::up(&["hv1"]);
    let blocks = |disk: &str, web: &str, more: [&str; 2]| {
        format!(
            "{}external_volume \"{disk}\" {{\n  storage = image_storage.main\n  directory {{}}\n{}}}\nimage \"{web}\" {{\n  volume = external_volume.{disk}\n  format = \"raw\"\n  size = \"1MiB\"\n{}}}\n",
            storage(&["hv1"]),
            more[0],
            more[1]
        )
    };
    site.write(&blocks("disk", "web", ["", ""])).apply();
    let before = site.snapshot("hv1");
    let statements = moved("external_volume.disk", "external_volume.fast") + &moved("image.web", "image.app");
    // Default paths are made of names.
    site.write(&(blocks("fast", "app", ["", ""]) + &statements));
    let plan = site.refused();
    assert_hazard(
        &plan,
        "data-loss",
        "external_volume.fast",
        "hv1",
        &["moves to /var/lib/larder/storages/main/fast"],
        "mount_point = \"/var/lib/larder/storages/main/disk\"",
    );
    let told = plan["hazards"].as_array().expect("hazards").iter().any(|one| {
        one["address"] == "image.app" && one["cure"].as_str().is_some_and(|cure| cure.contains("name = \"web.raw\""))
    });
    assert!(told, "{plan:#}");
    assert_eq!(site.snapshot("hv1"), before);
    // As it says: the paths are kept, and only names change.
    let kept = ["  mount_point = \"/var/lib/larder/storages/main/disk\"\n", "  name = \"web.raw\"\n"];
    site.write(&(blocks("fast", "app", kept) + &statements));
    assert_eq!(site.apply_exactly()["steps"], json!([]));
    assert_eq!(site.snapshot("hv1"), before);
}

#[test]
fn a_new_name_that_leads_to_another_path_is_refused_with_all_that_keeps_it() {
    let site = Site::up(&["hv1"]);
    let blocks = |disk: &str, image: &str, more: [&str; 2]| {
        format!(
            "{}external_volume \"{disk}\" {{\n  storage = image_storage.main\n  directory {{}}\n{}}}\nimage \"other\" {{\n  volume = external_volume.{disk}\n  format = \"raw\"\n  size = \"2MiB\"\n}}\nimage {image} {{\n  volume = external_volume.{disk}\n  format = \"raw\"\n  size = \"1MiB\"\n{}}}\n",
            storage(&["hv1"]),
            more[0],
            more[1]
        )
    };
    site.write(&blocks("disk", "\"web\"", ["", ""])).apply();
    let before = site.snapshot("hv1");
    let keep = ["  mount_point = \"/var/lib/larder/storages/main/disk\"\n", "  name = \"web.raw\"\n"];
    type Row<'a> = (&'a str, &'a str, &'a str, [&'a str; 2], &'a [&'a str]);
    let table: [Row; 4] = [
        // The block, and the image in it.
        ("fast", "\"web\"", "external_volume.fast", [keep[0], ""], &["external_volume.disk external_volume.fast"]),
        ("disk", "\"app\"", "image.app", ["", keep[1]], &["image.web image.app"]),
        // The block that gets instances.
        ("disk", "\"web\" {\n  count = 1\n}", "image.web[0]", ["", keep[1]], &["image.web image.web[0]"]),
        (
            "fast",
            "\"app\"",
            "external_volume.fast",
            keep,
            &["external_volume.disk external_volume.fast", "image.web image.app"],
        ),
    ];
    for (disk, image, renamed, kept, statements) in table {
        // A block of one line opens and closes: what follows is written into it.
        let blocks = |more| blocks(disk, image, more).replace(" {\n  count = 1\n} {", " {\n  count = 1");
        site.write(&blocks(["", ""]));
        let plan = site.refused();
        assert!(hazards(&plan).iter().all(|code| code == "renamed"), "{plan:#}");
        assert_eq!(hazards(&plan).len(), statements.len(), "{plan:#}");
        let cures: String =
            plan["hazards"].as_array().expect("hazards").iter().filter_map(|one| one["cure"].as_str()).collect();
        for keep in kept.iter().filter(|keep| !keep.is_empty()) {
            assert!(cures.contains(&format!("keep it with {} in ", keep.trim())), "{renamed}: {cures}");
        }
        let words: String = statements
            .iter()
            .map(|pair| pair.split_once(' ').expect("two"))
            .map(|(from, to)| moved(from, to))
            .collect();
        assert_eq!(proposed(&plan), words, "{renamed}");
        site.write(&(blocks(kept) + &words));
        let plan = site.larder(&["plan", "-json"]).expect(0).json();
        assert_eq!(plan["steps"], json!([]), "{renamed}: {plan:#}");
        assert_eq!(hazards(&plan), [""; 0], "{renamed}");
    }
    // What differs by more than its name is another one.
    site.write(&blocks("disk", "\"app\"", ["", ""]).replace("\"1MiB\"", "\"3MiB\""));
    let plan = site.plan();
    assert_eq!(hazards(&plan), [""; 0], "{plan:#}");
    assert_eq!(
        (&change(&plan, "image.web")["action"], &change(&plan, "image.app")["action"]),
        (&json!("forget"), &json!("create"))
    );
    assert_eq!(site.snapshot("hv1"), before);

    // A storage: what lies in it is not called lost as well.
    site.write(
        &blocks("disk", "\"web\"", ["", ""])
            .replace("image_storage\" \"main", "image_storage\" \"pool")
            .replace("image_storage \"main\"", "image_storage \"pool\"")
            .replace("image_storage.main", "image_storage.pool"),
    );
    let plan = site.refused();
    assert_eq!(hazards(&plan), ["renamed"], "{plan:#}");
    assert!(
        plan["hazards"][0]["cure"]
            .as_str()
            .is_some_and(|cure| cure.contains("root = \"/var/lib/larder/storages/main\"")),
        "{plan:#}"
    );
    assert_eq!(proposed(&plan), moved("image_storage.main", "image_storage.pool"));

    // With the statement alone the paths change: each image is told once, with where it is and where it would be.
    site.write(&(blocks("fast", "\"web\"", ["", ""]) + &moved("external_volume.disk", "external_volume.fast")));
    let plan = site.refused();
    let of_web: Vec<_> =
        plan["hazards"].as_array().expect("hazards").iter().filter(|one| one["address"] == "image.web").collect();
    assert_eq!(of_web.len(), 1, "{plan:#}");
    let said = of_web[0]["message"].as_str().expect("a text");
    assert!(
        said.contains("from /var/lib/larder/storages/main/disk/web.raw to /var/lib/larder/storages/main/fast/web.raw"),
        "{said}"
    );
}

#[test]
fn a_module_that_was_renamed_is_one_statement() {
    let site = Site::up(&["hv1"]);
    std::fs::create_dir_all(site.path().join("pool")).expect("a directory");
    let inside = "variable \"storage\" {\n  type = any\n}\n".to_owned()
        + &volume("disk", "/srv/disk", tmpfs()).replace("image_storage.main", "var.storage")
        + &images("web", "disk");
    std::fs::write(site.path().join("pool/main.hcl"), inside).expect("a file");
    let call = |name: &str| {
        format!(
            "{}module \"{name}\" {{\n  source  = \"./pool\"\n  storage = image_storage.main\n}}\n",
            storage(&["hv1"])
        )
    };
    site.write(&call("fast")).apply();
    site.write(&call("quick"));
    let plan = site.refused();
    assert_eq!(hazards(&plan), ["renamed"; 3]);
    assert_eq!(proposed(&plan), moved("module.fast", "module.quick"));
    site.write(&(call("quick") + &proposed(&plan)));
    let plan = site.apply_exactly();
    assert_eq!(changing(&plan), ["module.quick.external_volume.disk@hv1/fstab"]);
}

#[test]
fn protection_moves_along_and_outlives_every_way_out() {
    let site = Site::up(&HOSTS);
    let protected =
        volume("disk", "/srv/disk", &format!("{}\n  lifecycle {{\n    prevent_destroy = true\n  }}", tmpfs()));
    site.write(&(storage(&HOSTS) + &protected)).apply();
    let before = site.snapshot("hv2");
    // The host leaves the storage, and the configuration.
    let members = storage(&HOSTS).replace("host.hv1, host.hv2", "host.hv1");
    for configuration in [members.clone() + &protected, storage(&["hv1"]) + &protected] {
        site.write(&configuration);
        let plan = site.refused();
        assert!(hazards(&plan).contains(&"protected".to_owned()), "{plan:#}");
    }
    // A new name, said or not, does not shake it off.
    let renamed =
        protected.replace("\"disk\"", "\"fast\"").replace("  lifecycle {\n    prevent_destroy = true\n  }", "");
    site.write(&(storage(&HOSTS) + &renamed)).refused();
    let statement = moved("external_volume.disk", "external_volume.fast");
    for rest in [statement.clone(), statement.clone() + &moved("external_volume.fast", "external_volume.gone")] {
        site.write(&(storage(&HOSTS) + &rest));
        let run = site.larder(&["apply", "-auto-approve"]).expect(1);
        assert!(run.err.contains("moved-to-nothing"), "{}", run.err);
    }
    site.write(&(members + &renamed + &statement));
    let plan = site.refused();
    hazard(&plan, "protected", "external_volume.fast");
    assert_eq!(site.snapshot("hv2"), before);
    site.larder(&["state", "mv", "external_volume.disk", "external_volume.fast"]).expect(0);
    site.write(&storage(&HOSTS)).refused();
    assert_eq!(site.snapshot("hv2"), before);
    // To let it go is not to take it away.
    site.write(&(storage(&HOSTS) + "removed {\n  from = external_volume.fast\n}\n"));
    assert_eq!(site.apply_exactly()["steps"], json!([]));
    assert_eq!(site.snapshot("hv2"), before);
}

#[test]
fn what_is_said_to_be_removed_is_forgotten_and_stays_on_its_hosts() {
    let site = Site::up(&HOSTS);
    let blocks = format!(
        "{}{}{}{}",
        storage(&HOSTS),
        volume("disk", "/srv/disk", tmpfs()),
        volume("ram", "/srv/ram", tmpfs()),
        images("web", "disk")
    );
    site.write(&blocks).apply();
    let before = site.snapshot("hv1");
    let removed = |from: &str, rest: &str| format!("removed {{\n  from = {from}\n{rest}}}\n");
    let lifecycle = "  lifecycle {\n    destroy = false\n  }\n";
    // Still declared, as a whole or in part.
    for from in ["external_volume.disk", "image.web", "image.web[\"a\"]"] {
        site.write(&(blocks.clone() + &removed(from, "")));
        site.larder(&["validate"]).expect(1).says("removed-still-declared").says("main.hcl:");
    }
    site.write(&(blocks.clone() + &removed("image.web[\"c\"]", lifecycle))).assert_settled();
    for destroy in ["  destroy = true\n", "  lifecycle {\n    destroy = true\n  }\n"] {
        site.write(&(storage(&HOSTS) + &removed("external_volume.disk", destroy)));
        site.larder(&["plan"]).expect(1).says("not-supported").says("destroy = true");
    }
    // One instance, as Terraform writes it; then the rest. A host that only has these is not even asked.
    site.write(&(blocks.replace("[\"a\", \"b\"]", "[\"b\"]") + &removed("image.web[\"a\"]", lifecycle)));
    let plan = site.apply_exactly();
    assert_eq!(change(&plan, "image.web[\"a\"]")["action"], "forget");
    let rest = removed("external_volume.disk", "") + &removed("image.web", "  destroy = false\n");
    site.write(&(storage(&HOSTS) + &volume("ram", "/srv/ram", tmpfs()) + &rest));
    let plan = site.plan();
    assert_eq!(change(&plan, "external_volume.disk")["hosts"], json!({ "hv1": "forget", "hv2": "forget" }));
    assert_eq!(plan["steps"], json!([]));
    site.larder(&["plan", "-out", "saved.plan"]).expect(0);
    site.larder(&["apply", "saved.plan"]).expect(0);
    site.assert_settled();
    assert_eq!(site.snapshot("hv1"), before, "mounted, in fstab, with its images");
    assert_eq!(addresses(&site), ["external_volume.ram", "image_storage.main"]);
    // What went without a word is taken away, as ever, and what lies in it keeps it.
    site.write(&storage(&HOSTS)).apply();
    assert!(!site.try_on("hv1", &["findmnt", "/srv/ram"]).status.success());
    site.on("hv1", &["findmnt", "/srv/disk"]);
}

#[test]
fn an_import_takes_over_what_is_there_and_makes_nothing() {
    let site = Site::up(&HOSTS);
    let import = |to: &str| format!("import {{\n  to = {to}\n}}\n");
    let blocks = format!("{}{}{}", storage(&HOSTS), volume("disk", "/srv/disk", "directory {}"), images("web", "disk"));
    for host in HOSTS {
        site.sh(host, "mkdir /srv/disk && chown libvirt-qemu:kvm /srv/disk && chmod 770 /srv/disk");
        site.sh(
            host,
            "cd /srv/disk && truncate -s 1M disk-a.raw && chown libvirt-qemu:kvm disk-a.raw && chmod 600 disk-a.raw",
        );
    }
    let snapshot = site.snapshot("hv1");
    site.write(&(blocks.clone() + &import("external_volume.disk") + &import("image.web")));
    let plan = site.refused();
    let of: Vec<_> = plan["hazards"]
        .as_array()
        .expect("hazards")
        .iter()
        .map(|one| (one["code"].as_str(), one["address"].as_str()))
        .collect();
    assert_eq!(of, [(Some("nothing-to-import"), Some("image.web[\"b\"]")); 2], "{plan:#}");
    assert_eq!(plan["hazards"][0]["can_be_accepted"], false);
    assert_eq!(site.snapshot("hv1"), snapshot);
    // What is there may differ in what can be mended.
    site.write(&(blocks.clone() + &import("external_volume.disk") + &import("image.web[\"a\"]")));
    let plan = site.apply_exactly();
    assert_eq!(change(&plan, "external_volume.disk")["action"], "adopt");
    assert_eq!(change(&plan, "image.web[\"a\"]")["action"], "update");
    // In the state it says nothing any more, whatever becomes of it.
    site.write(&(blocks.clone() + &import("image.web") + &import("image_storage.main"))).assert_settled();
    site.write(&(blocks.clone() + &import("image.web2")));
    site.larder(&["validate"]).expect(1).says("import-undeclared").says("Did you mean image.web");
    site.write(&(blocks + "import {\n  to = image.web\n  id = \"x\"\n}\n"));
    site.larder(&["validate"]).expect(1).says("`import` takes no `id`");

    // Where nobody can look, nobody knows.
    site.larder(&["state", "rm", "image.web[\"a\"]"]).expect(0);
    site.write(
        &(format!("{}{}{}", storage(&HOSTS), volume("disk", "/srv/disk", "directory {}"), images("web", "disk"))
            + &import("image.web[\"a\"]")),
    );
    site.wait(site.lab().stop(&HostName::from("hv2"))).unwrap_or_else(|problem| panic!("{problem}"));
    let plan = site.larder(&["plan", "-json"]).expect(8).json();
    assert_hazard(&plan, "nothing-to-import", "image.web[\"a\"]", "hv2", &["not known"], "import");
}

// ---- a part of the whole -----------------------------------------------------------------------------------------------

const THREE: [&str; 3] = ["hv1", "hv2", "hv3"];

/// Two storages: `main` on hv1 and hv2 with two volumes, `far` on hv3 with one; images in the first and the last.
fn site_of_two(more: &str) -> String {
    let second = "image_storage \"far\" {\n  hosts = [host.hv3]\n  owner = \"libvirt-qemu\"\n  group = \"kvm\"\n  mode  = \"0770\"\n}\n";
    let far = volume("far", "/srv/far", tmpfs()).replace("image_storage.main", "image_storage.far");
    format!(
        "{}{second}{}{}{far}{}{}output \"paths\" {{\n  value = [for v in external_volume : v.mount_point]\n}}\n{more}",
        storage(&HOSTS) + &hosts(&["hv3"]),
        volume("ram", "/srv/ram", tmpfs()),
        volume("disk", "/srv/disk", tmpfs()),
        images("web", "ram"),
        images("db", "far"),
    )
}

/// Connections to each host during a run.
fn connections(site: &Site, run: impl FnOnce()) -> BTreeMap<&'static str, usize> {
    let count = |host: &str| {
        let log = std::fs::read_to_string(site.lab().sshd_log(&HostName::from(host))).expect("the log of sshd");
        log.lines().filter(|line| line.starts_with("Accepted publickey for ")).count()
    };
    let before = THREE.map(count);
    run();
    THREE.iter().zip(before).map(|(host, before)| (*host, count(host) - before)).collect()
}

/// The listed resources of a partial plan, as `ADDRESS WHY OF`.
fn listed(plan: &Value) -> Vec<String> {
    let one = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        [text("address"), text("why"), text("of")].join(" ").trim_end().to_owned()
    };
    plan["targets"]["resources"].as_array().expect("targets").iter().map(one).collect()
}

fn changed(plan: &Value) -> Vec<&str> {
    plan["changes"].as_array().expect("changes").iter().filter_map(|change| change["address"].as_str()).collect()
}

#[test]
fn a_target_is_planned_with_what_it_needs_and_nothing_else_is_touched() {
    let site = Site::up(&THREE);
    site.write(&site_of_two(""));
    let others = site.snapshot("hv3");
    let target = ["-target", "image.web[\"a\"]"];
    let paid = connections(&site, || {
        let plan = site.larder(&[&["plan", "-json"], target.as_slice()].concat()).expect(0).json();
        assert_eq!(plan["targets"]["option"], "target");
        assert_eq!(
            listed(&plan),
            [
                "external_volume.ram needed-by image.web[\"a\"]",
                "image.web[\"a\"] named",
                "image_storage.main needed-by external_volume.ram",
            ]
        );
        assert_eq!(changed(&plan), ["external_volume.ram", "image.web[\"a\"]", "image_storage.main"]);
        assert_eq!((&plan["complete"], &plan["unknown"]), (&json!(false), &json!([])));
        assert_eq!(plan["round_trips"], json!({ "hv1": 1, "hv2": 1 }));
    });
    assert_eq!(paid, [("hv1", 1), ("hv2", 1), ("hv3", 0)].into(), "who only carries others is not asked");
    let text = site.larder(&[&["plan"], target.as_slice()].concat()).expect(0).out;
    assert!(text.starts_with("Targeted: 1 named, 3 in all:\n"), "{text}");
    assert!(text.contains("This plan is partial (-target)"), "{text}");

    let paid = connections(&site, || {
        site.larder(&[&["apply", "-auto-approve"], target.as_slice()].concat())
            .expect(0)
            .says("Only a part was applied");
    });
    assert_eq!(paid["hv3"], 0);
    assert_eq!(site.snapshot("hv3"), others);
    assert_eq!(addresses(&site), ["external_volume.ram", "image.web[\"a\"]", "image_storage.main"]);
    assert_eq!(state(&site)["outputs"], json!({}), "outputs tell of the whole");
    // The part is settled, the whole is not.
    let plan = site.larder(&[&["plan", "-json", "-detailed-exitcode"], target.as_slice()].concat()).expect(0).json();
    assert_eq!(plan["steps"], json!([]));
    let plan = site.larder(&["plan", "-json", "-detailed-exitcode"]).expect(2).json();
    assert_eq!(change(&plan, "image.web[\"b\"]")["action"], "create");

    // A plan file is as partial as it was made, and says so in its hash.
    let options = ["-target", "external_volume.disk", "-target", "image.db", "-out", "saved.plan"];
    let plan = site.larder(&[&["plan", "-json"], options.as_slice()].concat()).expect(0).json();
    assert_eq!(listed(&plan).len(), 6, "{plan:#}");
    let whole = site.plan();
    assert_ne!(plan["hash"], whole["hash"]);
    site.write("this is { no configuration");
    site.larder(&["apply", "saved.plan", "-target", "image.db"]).expect(3).says("comes too late");
    site.larder(&["apply", "saved.plan"]).expect(0).says("Only a part was applied");
    site.write(&site_of_two(""));
    let plan = site.apply_exactly();
    assert_eq!(changing(&plan), ["image.web[\"b\"]@hv1/create", "image.web[\"b\"]@hv2/create"]);
    assert_eq!(state(&site)["outputs"]["paths"], json!(["/srv/disk", "/srv/far", "/srv/ram"]));
}

#[test]
fn what_is_no_longer_wanted_goes_only_when_it_is_named() {
    let site = Site::up(&THREE);
    site.write(&site_of_two("")).apply();
    let accept = ["-accept", "data-loss@external_volume.ram", "-accept", "data-loss@external_volume.far"];
    let rest = format!("{}{}", storage(&HOSTS), hosts(&["hv3"]));
    site.write(&rest);
    let whole = site.plan();
    assert_eq!(change(&whole, "external_volume.disk")["action"], "destroy");

    // Named as a block: its images depend on it and are forgotten with it.
    let run = [&["plan", "-json", "-target", "external_volume.ram"], accept.as_slice()].concat();
    let plan = site.larder(&run).expect(0).json();
    assert_eq!(
        listed(&plan),
        [
            "external_volume.ram named",
            "image.web[\"a\"] depends-on external_volume.ram",
            "image.web[\"b\"] depends-on external_volume.ram",
        ]
    );
    let others = site.snapshot("hv3");
    let paid = connections(&site, || {
        site.larder(&[&["apply", "-auto-approve", "-target", "external_volume.ram"], accept.as_slice()].concat())
            .expect(0);
    });
    assert_eq!(paid["hv3"], 0);
    assert_eq!(
        addresses(&site),
        [
            "external_volume.disk",
            "external_volume.far",
            "image.db[\"a\"]",
            "image.db[\"b\"]",
            "image_storage.far",
            "image_storage.main"
        ]
    );
    site.sh("hv1", "! mountpoint -q /srv/ram && mountpoint -q /srv/disk && ! grep -q external_volume.ram /etc/fstab");
    assert_eq!(site.snapshot("hv3"), others);

    // What is left out stays, and so does what it lies in.
    let run = [&["plan", "-json", "-exclude", "image.db[\"b\"]"], accept.as_slice()].concat();
    let plan = site.larder(&run).expect(0).json();
    assert_eq!(plan["targets"]["option"], "exclude");
    assert_eq!(
        listed(&plan),
        [
            "external_volume.far needed-by image.db[\"b\"]",
            "image.db[\"b\"] named",
            "image_storage.far needed-by external_volume.far",
        ]
    );
    assert_eq!(changed(&plan), ["external_volume.disk", "image.db[\"a\"]", "image_storage.main"]);
    let text = site
        .larder(&[&["apply", "-auto-approve", "-exclude", "image.db[\"b\"]"], accept.as_slice()].concat())
        .expect(0)
        .out;
    assert!(text.starts_with("Left out: 1 named, 3 in all:\n"), "{text}");
    assert_eq!(addresses(&site), ["external_volume.far", "image.db[\"b\"]", "image_storage.far", "image_storage.main"]);
    site.sh("hv3", "mountpoint -q /srv/far && test -f /srv/far/disk-a.raw");
    site.larder(&[&["apply", "-auto-approve"], accept.as_slice()].concat()).expect(0);
    site.assert_settled();
}

#[test]
fn a_part_is_destroyed_or_refreshed() {
    let site = Site::up(&THREE);
    site.write(&site_of_two("")).apply();
    let refresh = ["apply", "-auto-approve", "-refresh-only", "-target", "image_storage.main"];
    site.larder(&["plan", "-refresh-only", "-exclude", "image_storage.main"]).expect(0).says("Left out: 1 named");
    site.larder(&refresh).expect(0);
    let recorded = state(&site)["resources"].as_object().expect("resources").len();
    assert_eq!(recorded, 9);
    let accept = ["-accept", "data-loss@external_volume.far", "-accept", "data-loss@external_volume.ram"];
    let others = site.snapshot("hv1");
    let plan = site.larder(&["plan", "-destroy", "-json", "-target", "image_storage.far"]).json();
    assert_eq!(
        listed(&plan),
        [
            "external_volume.far depends-on image_storage.far",
            "image.db[\"a\"] depends-on external_volume.far",
            "image.db[\"b\"] depends-on external_volume.far",
            "image_storage.far named",
        ]
    );
    let run = [&["destroy", "-auto-approve", "-target", "image_storage.far"], accept.as_slice()].concat();
    let paid = connections(&site, || drop(site.larder(&run).expect(0)));
    assert_eq!((paid["hv1"], paid["hv2"], paid["hv3"]), (0, 0, 1));
    assert_eq!(site.snapshot("hv1"), others);
    site.sh("hv3", "! mountpoint -q /srv/far && ! grep -q larder /etc/fstab");
    assert_eq!(
        state(&site)["outputs"]["paths"],
        json!(["/srv/disk", "/srv/far", "/srv/ram"]),
        "not taken away as a whole"
    );
    // What is left out of a destruction keeps what it needs.
    let run = [&["destroy", "-auto-approve", "-exclude", "external_volume.disk"], accept.as_slice()].concat();
    site.larder(&run).expect(0);
    assert_eq!(addresses(&site), ["external_volume.disk", "image_storage.main"]);
    site.sh("hv1", "mountpoint -q /srv/disk && ! mountpoint -q /srv/ram");
}

#[test]
fn a_limit_that_means_nothing_is_an_error() {
    let site = Site::up(&["hv1"]);
    let blocks = format!("{}{}{}", storage(&["hv1"]), volume("disk", "/srv/disk", tmpfs()), images("web", "disk"));
    site.write(&blocks);
    for (options, told) in [
        (["-target", "image.wbe"].as_slice(), "Did you mean image.web?"),
        (&["-target", "image.web[\"c\"]"], "Did you mean image.web["),
        (&["-exclude", "module.m"], "names nothing in the configuration or the state"),
        (&["-target", "image web"], "is not an address"),
        (&["-target", "image.web", "-exclude", "image.web"], "cannot be used with"),
    ] {
        let run = site.larder(&[&["plan"], options].concat()).expect(3);
        assert!(run.err.contains(told), "{options:?}: {}", run.err);
    }
    site.apply();
    // What has moved cannot be left out of the plan that says so.
    let renamed = blocks.replace("image \"web\"", "image \"app\"") + &moved("image.web", "image.app");
    site.write(&renamed);
    let run = site.larder(&["plan", "-target", "external_volume.disk"]).expect(1);
    assert!(run.err.contains("moved-outside-targets") && run.err.contains("-target 'image.app[\"a\"]'"), "{}", run.err);
    site.larder(&["plan", "-exclude", "image.app"]).expect(1).says("moved-outside-targets");
    site.larder(&["plan", "-target", "image.web"]).expect(3).says("It has moved: write -target 'image.app[\"a\"]'");
    site.larder(&["apply", "-auto-approve", "-target", "image.app"]).expect(0);
    site.assert_settled();
}

#[test]
fn paths_and_room_are_those_of_the_whole() {
    let site = Site::up(&HOSTS);
    let image = |name: &str, size: &str| {
        format!(
            "image \"{name}\" {{\n  volume = external_volume.ram\n  hosts = [host.hv1]\n  format = \"raw\"\n  size = \"{size}\"\n  allocation = \"full\"\n}}\n"
        )
    };
    let blocks = storage(&HOSTS) + &volume("ram", "/srv/ram", tmpfs()) + &image("small", "8MiB");
    // Both together find no room, and a part of them is not planned as if the other were not wanted.
    site.write(&(blocks.clone() + &image("large", "12MiB")));
    let plan = site.larder(&["plan", "-json", "-target", "image.small"]).expect(6).json();
    assert_eq!(hazards(&plan), ["capacity"], "{plan:#}");
    site.write(&(blocks.clone() + &image("large", "4MiB")));
    site.larder(&["apply", "-auto-approve", "-target", "image.small"]).expect(0);
    site.write(&(blocks.clone() + &image("large", "12MiB")));
    let plan = site.larder(&["plan", "-json", "-target", "image.small"]).expect(6).json();
    assert_eq!(hazards(&plan), ["capacity"], "{plan:#}");
    // Two that want one path are an error, whichever is meant.
    site.write(&(blocks.clone() + &volume("twice", "/srv/ram", tmpfs())));
    site.larder(&["plan", "-target", "image.small"]).expect(1).says("duplicate-path");
    // What stays mounted below is in the way, and is not called gone.
    let below = volume("below", "/srv/ram/below", "directory {}").replace("directory {}", tmpfs());
    site.write(&(blocks + &below)).larder(&["apply", "-auto-approve"]).expect(0);
    site.write(&storage(&HOSTS));
    let accept = ["-accept", "data-loss@external_volume.ram"];
    let plan = site
        .larder(&[&["plan", "-json", "-target", "external_volume.ram"], accept.as_slice()].concat())
        .expect(0)
        .json();
    assert!(listed(&plan).contains(&"external_volume.below depends-on external_volume.ram".to_owned()), "{plan:#}");
    site.write(&(storage(&HOSTS) + "removed {\n  from = external_volume.below\n}\n"));
    let plan = site.larder(&[&["plan", "-json"], accept.as_slice()].concat()).expect(6).json();
    assert!(hazards(&plan).contains(&"in-use".to_owned()), "{plan:#}");
    site.sh("hv1", "mountpoint -q /srv/ram/below");
}

#[test]
fn a_host_that_leaves_keeps_what_something_left_out_still_needs() {
    let site = Site::up(&HOSTS);
    let volumes = volume("ram", "/srv/ram", tmpfs()) + &volume("disk", "/srv/disk", tmpfs());
    site.write(&(storage(&HOSTS) + &volumes)).apply();
    let left = storage(&HOSTS).replace("host.hv1, host.hv2", "host.hv1");
    site.write(&(left.clone() + &volumes));
    // One volume cannot go yet: the other does, and the directory of the storage waits for both.
    site.larder(&["apply", "-auto-approve", "-exclude", "external_volume.disk"]).expect(0);
    site.sh("hv2", "mountpoint -q /srv/disk && ! mountpoint -q /srv/ram");
    let placed = |address: &str| {
        let state = state(&site);
        state["resources"][address]["placements"].as_object().expect("placements").keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(placed("external_volume.ram"), ["hv1"]);
    assert_eq!(
        (placed("external_volume.disk"), placed("image_storage.main")),
        (HOSTS.map(str::to_owned).to_vec(), HOSTS.map(str::to_owned).to_vec())
    );
    // A host that is gone from the configuration is named like any other.
    site.write(&(left.replace("host \"hv2\" {\n  address = \"192.0.2.1\"\n}\n", "") + &volumes));
    let plan = site.larder(&["plan", "-json", "-target", "host.hv2"]).expect(0).json();
    assert!(listed(&plan).contains(&"external_volume.disk depends-on host.hv2".to_owned()), "{plan:#}");
    site.larder(&["apply", "-auto-approve", "-target", "host.hv2"]).expect(0);
    site.assert_settled();
    site.sh("hv2", "! grep -q larder /etc/fstab && ! [ -e /srv/disk ]");
}

#[test]
fn facts_are_asked_of_everybody_where_the_configuration_reads_them() {
    let site = Site::up(&THREE);
    let reads = "external_volume \"read\" {\n  for_each = toset([for h in host : h.facts.kernel if h.facts.kernel != \"\"])\n  storage = image_storage.far\n  mount_point = \"/srv/${md5(each.key)}\"\n  directory {}\n}\n";
    site.write(&site_of_two(reads));
    let plan = site.larder(&["plan", "-json", "-target", "external_volume.ram"]).expect(0).json();
    assert_eq!(changed(&plan), ["external_volume.ram", "image_storage.main"], "{plan:#}");
    let plan = site.larder(&["plan", "-json", "-target", "external_volume.read"]).expect(0).json();
    assert!(changed(&plan).iter().any(|address| address.starts_with("external_volume.read[")), "{plan:#}");
    assert!(changed(&plan).iter().all(|address| !address.contains("main")), "{plan:#}");
}

#[test]
fn statements_in_a_module_that_waits_for_facts_count_once_they_are_there() {
    let site = Site::up(&HOSTS);
    let module = |text: &str| {
        std::fs::create_dir_all(site.path().join("pool")).expect("a directory");
        let text = format!("variable \"storage\" {{\n  type = any\n}}\n{text}");
        std::fs::write(site.path().join("pool/main.hcl"), text).expect("a file");
    };
    let disk = volume("disk", "/srv/disk", tmpfs()).replace("image_storage.main", "var.storage");
    let ram = volume("ram", "/srv/ram", tmpfs()).replace("image_storage.main", "var.storage");
    let call = "module \"pool\" {\n  source  = \"./pool\"\n  count   = host.hv1.facts.kernel != \"\" ? 1 : 0\n  storage = image_storage.main\n}\n";
    module(&(disk.clone() + &ram));
    site.write(&(storage(&HOSTS) + call)).apply();
    let before = HOSTS.map(|host| site.snapshot(host));
    let removed = |rest: &str| format!("{ram}removed {{\n  from = external_volume.disk\n{rest}}}\n");

    module(&removed("  destroy = true\n"));
    for verb in ["plan", "apply"] {
        site.larder(&[verb]).expect(1).says("not-supported").says("destroy = true");
    }
    // While nobody knows how many there are, nothing of them goes.
    module(&removed(""));
    site.wait(site.lab().stop(&HostName::from("hv1"))).unwrap_or_else(|problem| panic!("{problem}"));
    site.larder(&["plan"]).expect(1).says("unknown-instances");
    site.larder(&["apply", "-auto-approve"]).expect(1).says("unknown-instances");
    site.wait(site.lab().restart(&HostName::from("hv1"))).unwrap_or_else(|problem| panic!("{problem}"));
    let plan = site.plan();
    let gone = "module.pool[0].external_volume.disk";
    assert_eq!(change(&plan, gone)["action"], "forget", "{plan:#}");
    assert_eq!(site.snapshot("hv2"), before[1]);
}
