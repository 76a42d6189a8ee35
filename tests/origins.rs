//! Images that do not begin blank, on container hosts: files of the workstation, copies of other images, templates.

mod common;

use common::{Site, actions, assert_hazard, hazards, storage};
use larder::model::{HostName, Size};
use serde_json::Value;

const LOCAL: &str =
    "external_volume \"local\" {\n  storage = image_storage.main\n  mount_point = \"/srv/local\"\n  directory {}\n}\n";

fn configuration(images: &str) -> String {
    format!("{}{LOCAL}{images}", storage(&["hv1"]))
}

fn image(name: &str, format: &str, more: &str) -> String {
    format!("image \"{name}\" {{\n  volume = external_volume.local\n  format = \"{format}\"\n{more}}}\n")
}

/// What qemu-img says of an image.
fn info(site: &Site, path: &str) -> Value {
    serde_json::from_str(&site.on("hv1", &["qemu-img", "info", "--output=json", "-U", path])).expect("JSON")
}

/// A disk on this machine with something in it.
fn source(site: &Site, name: &str, format: &str, more: &[&str]) {
    let raw = site.path().join("content");
    let content: Vec<u8> = (0..3 << 20).map(|at: u32| if at % (1 << 20) < 4096 { (at / 7) as u8 } else { 0 }).collect();
    std::fs::write(&raw, content).expect("a file");
    let mut convert = std::process::Command::new("qemu-img");
    convert.args(["convert", "-f", "raw", "-O", format]).args(more).arg(&raw).arg(site.path().join(name));
    assert!(convert.status().expect("qemu-img runs").success());
}

fn digest_here(site: &Site, name: &str) -> String {
    use sha2::Digest as _;
    let bytes = std::fs::read(site.path().join(name)).expect("a file");
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest_there(site: &Site, path: &str) -> String {
    site.on("hv1", &["sha256sum", path]).split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn an_image_begins_as_a_file_of_this_machine_and_is_the_guests_from_then_on() {
    let site = Site::up(&["hv1"]);
    source(&site, "debian.qcow2", "qcow2", &[]);
    source(&site, "disk.img", "raw", &[]);
    let all = [
        image("web", "qcow2", "  source = \"debian.qcow2\"\n"),
        image("large", "qcow2", "  source = \"debian.qcow2\"\n  size = \"1GiB\"\n"),
        image(
            "raw",
            "raw",
            &format!("  source = \"disk.img\"\n  size = \"8MiB\"\n  sha256 = \"{}\"\n", digest_here(&site, "disk.img")),
        ),
    ]
    .concat();
    let plan = site.write(&configuration(&all)).apply_exactly();
    assert_eq!(actions(&plan, "image.web", "hv1"), ["upload"]);
    assert_eq!(digest_there(&site, "/srv/local/web.qcow2"), digest_here(&site, "debian.qcow2"));
    assert_eq!(info(&site, "/srv/local/web.qcow2")["virtual-size"], 3 << 20);
    assert_eq!(info(&site, "/srv/local/large.qcow2")["virtual-size"], 1 << 30);
    assert_eq!(site.sh("hv1", "stat -c '%s %U:%G %a' /srv/local/raw.raw"), "8388608 libvirt-qemu:kvm 660\n");
    site.sh("hv1", "cmp -n 3145728 /srv/local/raw.raw /srv/local/raw.raw && tail -c 5242880 /srv/local/raw.raw | cmp -n 5242880 - /dev/zero");
    assert!(
        site.sh("hv1", "stat -c %b /srv/local/raw.raw").trim().parse::<u64>().expect("a number") < 2048,
        "holes stay holes"
    );
    assert_eq!(site.sh("hv1", "ls -A /srv/local"), "large.qcow2\nraw.raw\nweb.qcow2\n");
    // A guest writes to it; and nobody needs the file any more.
    site.sh("hv1", "qemu-io -f qcow2 -c 'write -P 7 0 64k' /srv/local/web.qcow2");
    std::fs::remove_file(site.path().join("debian.qcow2")).expect("it is there");
    site.assert_settled();
    site.larder(&["status"]).expect(0);
    // Another file is not written over what the guest has.
    std::fs::write(site.path().join("disk.img"), vec![1; 3 << 20]).expect("a file");
    site.larder(&["plan"]).expect(1).says("source-changed");
    site.write(&configuration(&all.replace(&digest_of(&all), &digest_here(&site, "disk.img"))));
    assert_hazard(&site.refused(), "wrong-source", "image.raw", "hv1", &["was made from a file"], "never made anew");
}

/// The digest that a configuration names.
fn digest_of(configuration: &str) -> String {
    let (_, rest) = configuration.split_once("sha256 = \"").expect("one");
    rest[..64].to_owned()
}

#[test]
fn a_source_that_is_not_what_the_block_says_is_refused_before_any_host_is_asked() {
    let site = Site::up(&[]);
    source(&site, "whole.qcow2", "qcow2", &[]);
    source(&site, "disk.img", "raw", &[]);
    std::fs::write(site.path().join("odd.img"), [7; 700]).expect("a file");
    std::fs::write(site.path().join("empty.img"), []).expect("a file");
    let over = site.path().join("over.qcow2");
    let mut make = std::process::Command::new("qemu-img");
    make.args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "whole.qcow2"]).arg(&over).current_dir(site.path());
    assert!(make.status().expect("qemu-img runs").success());
    let cases = [
        ("raw", "source = \"whole.qcow2\"", "unsuitable-source", "is a qcow2 image, not raw"),
        ("qcow2", "source = \"disk.img\"", "unsuitable-source", "is no qcow2 image"),
        ("qcow2", "source = \"over.qcow2\"", "unsuitable-source", "is an overlay of \"whole.qcow2\""),
        ("raw", "source = \"odd.img\"", "unsuitable-source", "no multiple of 512"),
        ("raw", "source = \"empty.img\"", "unsuitable-source", "no bytes"),
        ("raw", "source = \"disk.img\"\n  size = \"1MiB\"", "unsuitable-source", "more than 1MiB"),
        ("raw", "source = \"disk.img\"\n  source_size = 512", "source-changed", "3145728 bytes"),
        ("raw", "source = \"gone.img\"", "source-unreadable", "No such file"),
        ("raw", "source = \"disk.img\"\n  sha256 = \"abc\"", "invalid-value", "no SHA-256"),
        ("raw", "source = \"disk.img\"\n  allocation = \"full\"", "conflicting-attributes", "not allocated beforehand"),
        ("raw", "source = \"disk.img\"\n  clone = image.other", "conflicting-attributes", "exclude each other"),
        ("raw", "size = \"1MiB\"\n  sha256 = \"abc\"", "conflicting-attributes", "`sha256` without `source`"),
        ("raw", "size = \"1MiB\"\n  reflink = \"always\"", "conflicting-attributes", "`reflink` without `clone`"),
        ("raw", "template = true\n  source = \"disk.img\"\n  mode = \"0640\"", "invalid-value", "lets somebody write"),
        ("raw", "clone = image.other\n  size = \"1MiB\"", "invalid-value", "less than image.other"),
        ("qcow2", "clone = image.other", "invalid-value", "image.other is raw"),
        ("raw", "mode = \"0640\"", "missing-attribute", "`size` is missing"),
    ];
    for (format, more, code, words) in cases {
        let other = image("other", "raw", "  size = \"4MiB\"\n");
        site.write(&configuration(&format!("{}{other}", image("web", format, &format!("  {more}\n")))));
        site.larder(&["plan"]).expect(1).says(code).says(words);
    }
}

#[test]
fn a_file_that_changes_after_the_plan_is_not_put_into_place() {
    let site = Site::up(&["hv1"]);
    source(&site, "disk.img", "raw", &[]);
    site.write(&configuration(&image("web", "raw", "  source = \"disk.img\"\n")));
    site.larder(&["plan", "-out", "saved.plan"]).expect(0);
    std::fs::write(site.path().join("disk.img"), vec![9; 3 << 20]).expect("a file");
    site.larder(&["apply", "saved.plan"]).expect(4).says("source-changed");
    assert_eq!(site.sh("hv1", "ls -A /srv/local 2>/dev/null; true"), "");
}

#[test]
fn a_template_is_read_only_and_never_grows() {
    let site = Site::up(&["hv1"]);
    source(&site, "debian.qcow2", "qcow2", &[]);
    let with = |more: &str| {
        let base = image("base", "qcow2", &format!("  source = \"debian.qcow2\"\n  template = true\n{more}"));
        let guest = image("guest", "qcow2", "  backing = image.base\n  size = \"1GiB\"\n");
        let copy = image("copy", "qcow2", "  clone = image.base\n  size = \"64MiB\"\n");
        configuration(&[base, guest, copy].concat())
    };
    let plan = site.write(&with("")).apply_exactly();
    assert_eq!(actions(&plan, "image.copy", "hv1"), ["clone"]);
    assert_eq!(
        site.sh("hv1", "stat -c '%n %U:%G %a' /srv/local/*"),
        "/srv/local/base.qcow2 libvirt-qemu:kvm 440\n/srv/local/copy.qcow2 libvirt-qemu:kvm 660\n/srv/local/guest.qcow2 libvirt-qemu:kvm 660\n"
    );
    assert_eq!(info(&site, "/srv/local/guest.qcow2")["full-backing-filename"], "/srv/local/base.qcow2");
    assert_eq!(info(&site, "/srv/local/copy.qcow2")["virtual-size"], 64 << 20);
    assert_eq!(info(&site, "/srv/local/copy.qcow2").get("backing-filename"), None);
    // Somebody may write to it again: that is a difference.
    site.sh("hv1", "chmod 0660 /srv/local/base.qcow2");
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, "image.base", "hv1"), ["chmod"], "{plan:#}");
    site.write(&with("  size = \"4MiB\"\n"));
    assert_hazard(&site.refused(), "wrong-source", "image.base", "hv1", &["a template does not grow"], "Set size");
    // A template of nothing.
    site.write(&configuration(&image("blank", "raw", "  size = \"1MiB\"\n  template = true\n")));
    assert_hazard(&site.refused(), "wrong-source", "image.blank", "hv1", &["nothing says what"], "source");
}

#[test]
fn a_clone_shares_blocks_where_the_file_system_can() {
    let site = Site::up(&["hv1"]);
    source(&site, "disk.img", "raw", &[]);
    let mut blocks = storage(&["hv1"]);
    let known = site.sh("hv1", "cat /proc/filesystems");
    let filesystems: Vec<_> = ["ext4", "xfs", "btrfs"].into_iter().filter(|fstype| known.contains(fstype)).collect();
    for fstype in &filesystems {
        let device = format!("/dev/disk/by-id/wwn-{fstype}");
        site.wait(site.lab().attach_device(&HostName::from("hv1"), &device, Size(512 << 20)))
            .unwrap_or_else(|problem| panic!("{problem}"));
        blocks.push_str(&format!("external_volume \"{fstype}\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/{fstype}\"\n  device {{\n    path = \"{device}\"\n    fstype = \"{fstype}\"\n    format = true\n  }}\n}}\n"));
        blocks.push_str(
            &image(&format!("{fstype}-base"), "raw", "  source = \"disk.img\"\n  size = \"64MiB\"\n")
                .replace(".local", &format!(".{fstype}")),
        );
    }
    site.write(&blocks).apply();
    for fstype in &filesystems {
        // What is copied whole takes room; what is shared does not.
        site.sh(
            "hv1",
            &format!(
                "dd if=/dev/urandom of=/srv/{fstype}/{fstype}-base.raw bs=1M count=64 conv=notrunc,fsync status=none"
            ),
        );
    }
    let clone = |fstype: &str, name: &str, reflink: &str| {
        image(
            &format!("{fstype}-{name}"),
            "raw",
            &format!("  clone = image.{fstype}-base\n  reflink = \"{reflink}\"\n"),
        )
        .replace(".local", &format!(".{fstype}"))
    };
    let mut more = String::new();
    for fstype in &filesystems {
        more += &clone(fstype, "auto", "auto");
        more += &clone(fstype, "never", "never");
    }
    let plan = site.write(&format!("{blocks}{more}")).apply_exactly();
    assert!(hazards(&plan).is_empty(), "{plan:#}");
    for fstype in &filesystems {
        let at = |name: &str| format!("/srv/{fstype}/{fstype}-{name}.raw");
        site.sh("hv1", &format!("cmp {0} {1} && cmp {0} {2}", at("base"), at("auto"), at("never")));
        let is_shared =
            |name: &str| site.sh("hv1", &format!("filefrag -v {} | grep -c shared; true", at(name))).trim() != "0";
        assert_eq!((is_shared("auto"), is_shared("never")), (*fstype != "ext4", false), "{fstype}");
        let summary = |name: &str| {
            let steps = plan["steps"].as_array().expect("steps");
            let step = steps.iter().find(|step| step["address"] == format!("image.{fstype}-{name}")).expect("a step");
            step["summary"].as_str().expect("a text").to_owned()
        };
        assert!(summary("never").ends_with("every byte"), "{}", summary("never"));
        assert!(
            summary("auto").ends_with(if *fstype == "ext4" { "every byte" } else { "sharing its blocks" }),
            "{}",
            summary("auto")
        );
        let always = site.write(&format!("{blocks}{more}{}", clone(fstype, "always", "always")));
        if *fstype == "ext4" {
            assert_hazard(&always.refused(), "unsupported", "image.ext4-always", "hv1", &["cannot be shared"], "auto");
        } else {
            always.apply_exactly();
        }
    }
}

#[test]
fn an_image_that_a_guest_writes_is_not_copied() {
    let site = Site::up(&["hv1"]);
    let base = image("base", "raw", "  size = \"8MiB\"\n");
    site.write(&configuration(&base)).apply();
    site.sh("hv1", "nohup sh -c 'exec 8<>/srv/local/base.raw; echo $$ >/run/holder; exec sleep 600' >/dev/null 2>&1 & while [ ! -s /run/holder ]; do :; done");
    site.write(&configuration(&format!("{base}{}", image("copy", "raw", "  clone = image.base\n"))));
    assert_hazard(&site.refused(), "in-use", "image.copy", "hv1", &["open for writing"], "Stop the guest");
    site.larder(&["plan", "-out", "saved.plan"]).expect(6);
    site.sh("hv1", "kill $(cat /run/holder); while [ -d /proc/$(cat /run/holder) ]; do :; done");
    site.apply_exactly();
    // The origin goes its own way; its clone stays what it is.
    site.write(&configuration(&image("copy", "raw", "  size = \"8MiB\"\n"))).apply();
}
