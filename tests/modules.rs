//! The modules that ship with Larder: their READMEs say what they take and give, and their examples live a whole life on
//! container hosts.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::Site;

fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("modules")
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(modules())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the blocks of a kind, and those among them that must be given.
fn declared(text: &str, word: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let body: hcl::Body = hcl::from_str(text).unwrap();
    let blocks = body.blocks().filter(|block| block.identifier() == word);
    let name = |block: &hcl::Block| block.labels()[0].as_str().to_owned();
    let is_required = |block: &&hcl::Block| block.body().attributes().all(|one| one.key() != "default");
    let all: Vec<&hcl::Block> = blocks.collect();
    (
        all.iter().map(|block| name(block)).collect(),
        all.iter().filter(|block| is_required(block)).map(|block| name(block)).collect(),
    )
}

/// The names in the first column of the table below a heading, and the rows that say "Required".
fn table(readme: &str, heading: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let section = readme.split(&format!("## {heading}\n")).nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let name = |row: &str| row.split('`').nth(1).unwrap().to_owned();
    let rows: Vec<&str> = rows.collect();
    let required = rows.iter().filter(|row| row.contains("| Required. "));
    (rows.iter().map(|row| name(row)).collect(), required.map(|row| name(row)).collect())
}

#[test]
fn each_readme_names_the_inputs_the_outputs_and_the_example() {
    let index = read(modules().join("README.md"));
    assert_eq!(names(), ["bind-pool", "cifs-media", "directory-pool", "image-set", "nfs-pool"]);
    for name in names() {
        let directory = modules().join(&name);
        let (readme, main) = (read(directory.join("README.md")), read(directory.join("main.hcl")));
        assert_eq!(table(&readme, "Inputs"), declared(&main, "variable"), "{name}");
        assert_eq!(table(&readme, "Outputs").0, declared(&main, "output").0, "{name}");
        assert!(readme.contains(&read(directory.join("example/main.hcl"))), "{name}: the README shows the example");
        assert!(index.contains(&format!("[{name}]({name})")), "{name} is in modules/README.md");
    }
}

/// A site whose configuration is the example of a module, with the modules beside it.
fn site(module: &str, hosts: &[&str]) -> Site {
    let site = Site::up(hosts);
    for name in names() {
        let to = site.path().join("modules").join(&name);
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(modules().join(&name).join("main.hcl"), to.join("main.hcl")).unwrap();
    }
    let example = read(modules().join(module).join("example/main.hcl"));
    let example = example.replace("\"../\"", &format!("\"./modules/{module}\"")).replace("\"../../", "\"./modules/");
    site.write(&example);
    site
}

#[test]
fn a_directory_pool_is_made_and_settles() {
    let site = site("directory-pool", &["hv1", "hv2"]);
    site.apply_exactly();
    site.assert_settled();
    for host in ["hv1", "hv2"] {
        assert_eq!(site.sh(host, "stat -c %a /srv/guests").trim(), "770");
        assert!(site.sh(host, "qemu-img info /srv/guests/web.qcow2").contains("1 GiB"));
    }
    let state = site.larder(&["state", "list"]).expect(0);
    assert!(state.out.contains("module.pool.external_volume.images"), "{}", state.out);
    site.larder(&["destroy", "-auto-approve"]).expect(0);
    assert!(site.sh("hv1", "qemu-img info /srv/guests/web.qcow2").contains("1 GiB"), "images stay");
}

#[test]
fn bind_pools_are_mounted_with_their_options_and_taken_away() {
    let site = site("bind-pool", &["hv1"]);
    let refused = site.larder(&["plan"]);
    assert_ne!(refused.exit, 0, "the directories are not there yet: {}", refused.out);
    site.sh("hv1", "mkdir -p /data/fast /data/safe");
    site.apply_exactly();
    site.assert_settled();
    let options = |path: &str| site.sh("hv1", &format!("findmnt -no OPTIONS {path}"));
    assert!(options("/srv/fast").contains("noatime"));
    assert!(options("/srv/safe").contains("nosuid") && options("/srv/safe").contains("nodev"));
    let output = site.larder(&["output", "-json", "paths"]).expect(0).json();
    assert_eq!(output["fast"], "/srv/fast");
    let fstab = site.sh("hv1", "cat /etc/fstab");
    assert!(fstab.contains("x-larder.id=module.pool[%22fast%22].external_volume.images"), "{fstab}");
    // One instance less.
    let main = read(site.path().join("main.hcl")).replace("fast = [\"noatime\"], ", "");
    site.write(&main);
    let plan = site.apply_exactly();
    assert!(!common::planned(&plan).is_empty());
    site.assert_settled();
    assert_eq!(site.sh("hv1", "findmnt -no TARGET /srv/fast || true").trim(), "");
    assert_eq!(site.sh("hv1", "findmnt -no TARGET /srv/safe").trim(), "/srv/safe");
}

/// Container hosts have neither Samba nor a kernel of their own: what the module makes there is tested on virtual machines.
#[test]
fn media_are_planned_on_their_server_and_their_hosts() {
    let site = site("cifs-media", &["nas", "hv1"]);
    let short = site.larder(&["plan", "-var", "media_password=short"]).expect(1);
    assert!(short.err.contains("at least 8 characters") && !short.err.contains("short\""), "{}", short.err);
    let run = site.larder(&["plan", "-json", "-var", "media_password=swordfish-17"]);
    assert!(!run.out.contains("swordfish"), "{}", run.out);
    let plan = run.json();
    let place = |address: &str| {
        common::change(&plan, address)["hosts"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(place("module.iso.media_share.media"), ["nas"]);
    assert_eq!(place("module.iso.media_storage.media"), ["hv1"]);
}

#[test]
fn an_image_set_is_allocated_as_its_table_says() {
    let site = site("image-set", &["hv1"]);
    site.apply_exactly();
    site.assert_settled();
    assert!(site.sh("hv1", "qemu-img info /srv/guests/web.qcow2").contains("file format: qcow2"));
    assert_eq!(site.sh("hv1", "stat -c '%a %s' /srv/guests/db.raw").trim(), format!("600 {}", 2_u64 << 30));
    // One more, and one larger.
    let main = read(site.path().join("main.hcl"));
    site.write(&main.replace("web = { size = \"1GiB\" }", "web = { size = \"3GiB\" }\n    mail = { size = \"1GiB\" }"));
    site.apply_exactly();
    site.assert_settled();
    assert!(site.sh("hv1", "qemu-img info /srv/guests/web.qcow2").contains("3 GiB"));
    assert!(site.sh("hv1", "qemu-img info /srv/guests/mail.qcow2").contains("1 GiB"));
}

/// What mounts it for good is tested on virtual machines: here no kernel has to know NFS.
#[test]
fn an_nfs_pool_is_one_volume_of_all_its_hosts() {
    let site = site("nfs-pool", &["hv1", "hv2"]);
    // A kernel that has it, and the program.
    for host in ["hv1", "hv2"] {
        site.sh(host, "mkdir -p /usr/local/sbin; for name in modinfo mount.nfs; do printf '#!/bin/sh\\n' >/usr/local/sbin/$name; chmod 755 /usr/local/sbin/$name; done");
    }
    let plan = site.plan();
    let volume = "module.pool.external_volume.images";
    let create = serde_json::json!({"hv1": "create", "hv2": "create"});
    assert_eq!(common::change(&plan, volume)["hosts"], create, "{plan:#}");
    let line = "10.0.0.5:/export/images /srv/shared nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=module.pool.external_volume.images 0 0";
    for host in ["hv1", "hv2"] {
        assert_eq!(common::edits(&plan, host, "/etc/fstab").0, [line]);
    }
    assert_eq!(common::actions(&plan, volume, "hv2").last().map(String::as_str), Some("canary-see"));
    assert_eq!(common::change(&plan, "image.web")["action"], "later", "it is looked for once the export is mounted");
}
