//! Images on container hosts: allocated once as asked, grown in place, never shrunk or made anew, and never half there.

mod common;

use common::{Site, actions, change, hazards, storage};
use larder::model::{HostName, Size};
use serde_json::Value;

const LOCAL: &str =
    "external_volume \"local\" {\n  storage = image_storage.main\n  mount_point = \"/srv/local\"\n  directory {}\n}\n";

fn image(name: &str, volume: &str, format: &str, size: &str, more: &str) -> String {
    format!(
        "image \"{name}\" {{\n  volume = external_volume.{volume}\n  format = \"{format}\"\n  size = \"{size}\"\n{more}}}\n"
    )
}

fn message(plan: &Value, code: &str) -> String {
    let all = plan["hazards"].as_array().expect("hazards");
    let found = all.iter().find(|hazard| hazard["code"] == code).unwrap_or_else(|| panic!("no {code} in {all:#?}"));
    found["message"].as_str().unwrap_or_default().to_owned()
}

/// What qemu-img says of an image.
fn info(site: &Site, path: &str) -> Value {
    serde_json::from_str(&site.on("hv1", &["qemu-img", "info", "--output=json", "-U", path])).expect("JSON")
}

#[test]
fn status_tells_of_every_image() {
    let site = Site::up(&["hv1"]);
    let all = |size: &str| {
        format!(
            "{}{LOCAL}{}{}",
            storage(&["hv1"]),
            image("a", "local", "raw", "1MiB", ""),
            image("b", "local", "raw", size, "")
        )
    };
    site.write(&all("1MiB")).apply();
    let images = || site.larder(&["status", "-json"]).expect(0).json()["volumes"][0]["images"].clone();
    let states =
        |images: &Value| images.as_array().expect("images").iter().map(|one| one["state"].clone()).collect::<Vec<_>>();
    assert_eq!(states(&images()), ["ok", "ok"]);
    site.sh("hv1", "rm /srv/local/a.raw; chmod 600 /srv/local/b.raw");
    let now = images();
    assert_eq!(states(&now), ["missing", "degraded"]);
    assert_eq!(
        (&now[0]["name"], &now[0]["size"], &now[0]["hosts"]),
        (&"a.raw".into(), &Value::Null, &serde_json::json!(["hv1"]))
    );
    assert!(now[1]["message"].as_str().is_some_and(|text| text.contains("0600")), "{now}");
    site.sh("hv1", "chmod 660 /srv/local/b.raw; qemu-img create -q -f qcow2 /srv/local/a.raw 8M");
    let now = images();
    // A guest may write any header: a raw image stays one.
    assert_eq!((&now[0]["format"], &now[0]["state"]), (&"raw".into(), &"degraded".into()), "{now}");
    site.sh("hv1", "rm /srv/local/a.raw; mkdir /srv/local/a.raw");
    assert_eq!(states(&images())[0], "wrong-source");
    site.write(&all("2MiB"));
    let said = site.larder(&["status"]).expect(0).out;
    assert!(said.contains("wrong-source on hv1") && said.contains("degraded on hv1"), "{said}");
    assert!(said.contains("2 of 2 images not ok"), "{said}");
}

#[test]
fn an_image_grows_in_place_and_never_shrinks() {
    let site = Site::up(&["hv1"]);
    let with = |size: &str| {
        format!(
            "{}{LOCAL}{}{}",
            storage(&["hv1"]),
            image("r", "local", "raw", size, ""),
            image("q", "local", "qcow2", size, "")
        )
    };
    site.write(&with("8MiB")).apply();
    let files = ["/srv/local/r.raw", "/srv/local/q.qcow2"];
    for (path, format) in files.iter().zip(["raw", "qcow2"]) {
        let said = info(&site, path);
        assert_eq!((said["format"].as_str(), said["virtual-size"].as_u64()), (Some(format), Some(8 << 20)), "{said:#}");
    }
    // Guests write, the administrator's own tools too: what is there matches, and stays.
    site.sh("hv1", "qemu-io -f raw -c 'write -P 7 1M 64k' /srv/local/r.raw && qemu-io -f qcow2 -c 'write -P 9 2M 64k' /srv/local/q.qcow2");
    site.assert_settled();
    let identity = || site.sh("hv1", "stat -c '%n %i %U %G %a' /srv/local/*");
    let before = identity();

    site.write(&with("16MiB"));
    let plan = site.plan();
    for address in ["image.r", "image.q"] {
        assert_eq!(actions(&plan, address, "hv1"), ["grow"]);
        assert_eq!(change(&plan, address)["action"], "update");
    }
    site.apply();
    assert_eq!(identity(), before);
    for path in files {
        assert_eq!(info(&site, path)["virtual-size"].as_u64(), Some(16 << 20));
    }
    site.sh("hv1", "qemu-io -f raw -c 'read -P 7 1M 64k' /srv/local/r.raw | grep -v failed && qemu-io -f qcow2 -c 'read -P 9 2M 64k' /srv/local/q.qcow2 | grep -v failed && qemu-img check -q /srv/local/q.qcow2");
    let content = site.sh("hv1", "sha256sum /srv/local/*");

    site.write(&with("4MiB"));
    let plan = site.plan();
    assert_eq!(hazards(&plan), ["shrink", "shrink"]);
    site.larder(&["apply", "-auto-approve"]).expect(6);
    site.larder(&["apply", "-auto-approve", "-accept", "shrink@image.r", "-accept", "shrink@image.q"]).expect(6);
    assert_eq!(site.sh("hv1", "sha256sum /srv/local/*"), content);
}

/// Bytes on disk of a file.
fn allocated(site: &Site, path: &str) -> u64 {
    let said = site.on("hv1", &["stat", "-c", "%b %B", path]);
    said.split_whitespace().map(|word| word.parse::<u64>().expect("a number")).product()
}

#[test]
fn a_full_allocation_tells_how_far_it_has_come() {
    let site = Site::up(&["hv1"]);
    let full = image("a", "local", "raw", "160MiB", "  allocation = \"full\"\n");
    site.write(&format!("{}{LOCAL}{full}", storage(&["hv1"])));
    let run = site.larder(&["apply", "-auto-approve", "-json"]).expect(0);
    let events = serde_json::Deserializer::from_str(&run.out).into_iter::<Value>().map(|event| event.expect("JSON"));
    let told: Vec<_> = events
        .filter(|event| event["event"] == "step-progress")
        .map(|event| {
            (
                event["id"].clone(),
                event["bytes"].as_u64().expect("a number") >> 20,
                event["of"].as_u64().expect("a number") >> 20,
            )
        })
        .collect();
    let id = Value::from("image.a@hv1/create");
    assert_eq!(told, [(id.clone(), 64, 160), (id.clone(), 128, 160), (id, 160, 160)]);
    assert_eq!(site.sh("hv1", "stat -c %s /srv/local/a.raw"), "167772160\n");
    let again = image("b", "local", "raw", "99999744", "  allocation = \"full\"\n");
    site.write(&format!("{}{LOCAL}{full}{again}", storage(&["hv1"])));
    let run = site.larder(&["apply", "-auto-approve"]).expect(0);
    assert!(run.err.contains("% of 95.4 MiB"), "{}", run.err);
    assert_eq!(site.sh("hv1", "stat -c %s /srv/local/b.raw"), "99999744\n");
}

#[test]
fn each_allocation_takes_the_room_it_says_on_each_file_system() {
    let site = Site::up(&["hv1"]);
    let size = 8u64 << 20;
    let mut configuration = storage(&["hv1"]);
    let filesystems: Vec<&str> = ["ext4", "xfs", "btrfs"]
        .into_iter()
        .filter(|fstype| site.sh("hv1", "cat /proc/filesystems").contains(fstype))
        .collect();
    assert!(filesystems.contains(&"ext4"));
    for fstype in &filesystems {
        let device = format!("/dev/disk/by-id/wwn-{fstype}");
        site.wait(site.lab().attach_device(&HostName::from("hv1"), &device, Size(512 << 20)))
            .unwrap_or_else(|problem| panic!("{problem}"));
        configuration.push_str(&format!("external_volume \"{fstype}\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/{fstype}\"\n  device {{\n    path = \"{device}\"\n    fstype = \"{fstype}\"\n    format = true\n  }}\n}}\n"));
        for (format, allocation) in [
            ("raw", "sparse"),
            ("raw", "falloc"),
            ("raw", "full"),
            ("qcow2", "sparse"),
            ("qcow2", "metadata"),
            ("qcow2", "falloc"),
            ("qcow2", "full"),
        ] {
            configuration.push_str(&image(
                &format!("{fstype}-{format}-{allocation}"),
                fstype,
                format,
                "8MiB",
                &format!("  allocation = \"{allocation}\"\n"),
            ));
        }
    }
    // The volumes are made in the same plan as the images in them.
    site.write(&configuration).apply();
    let header = 1 << 20;
    for fstype in &filesystems {
        site.on("hv1", &["findmnt", "-n", "-t", fstype, &format!("/srv/{fstype}")]);
        let path = |format: &str, allocation: &str| format!("/srv/{fstype}/{fstype}-{format}-{allocation}.{format}");
        let expected = [
            ("raw", "sparse", 0, header),
            ("raw", "falloc", size, size + header),
            ("raw", "full", size, size + header),
            ("qcow2", "sparse", 1, header),
            ("qcow2", "metadata", 1, header),
            ("qcow2", "falloc", size, size + header),
            ("qcow2", "full", size, size + header),
        ];
        site.sh("hv1", "sync");
        for (format, allocation, least, most) in expected {
            let path = path(format, allocation);
            let (bytes, said) = (allocated(&site, &path), info(&site, &path));
            assert!((least..=most).contains(&bytes), "{path}: {bytes} bytes");
            assert_eq!((said["format"].as_str(), said["virtual-size"].as_u64()), (Some(format), Some(size)), "{path}");
            assert_eq!(site.on("hv1", &["stat", "-c", "%U %G %a", &path]), "libvirt-qemu kvm 660\n", "{path}");
        }
        let map = site.on("hv1", &["qemu-img", "map", "--output=json", &path("qcow2", "metadata")]);
        assert!(map.contains("\"offset\""), "metadata is allocated: {map}");
    }
    // And they grow as they were allocated.
    site.write(&configuration.replace("size = \"8MiB\"", "size = \"12MiB\"")).apply();
    for fstype in &filesystems {
        let full = format!("/srv/{fstype}/{fstype}-raw-falloc.raw");
        assert!(allocated(&site, &full) >= 12 << 20, "{full}");
    }
}

#[test]
fn sizes_and_names_that_make_no_sense_are_errors_of_the_configuration() {
    let site = Site::up(&[]);
    let cases = [
        ("size = \"8MiB\"", "size = 0"),
        ("size = \"8MiB\"", "size = -1"),
        ("size = \"8MiB\"", "size = \"-8MiB\""),
        ("size = \"8MiB\"", "size = \"1000\""),
        ("size = \"8MiB\"", "size = \"99999999999TiB\""),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  name = \"../escape.raw\""),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  name = \"/etc/passwd\""),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  name = \"sub/dir.raw\""),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  name = \"..\""),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  name = \"\""),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  name = \"a\\nb\""),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  mode = \"0999\""),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  allocation = \"metadata\""),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  hosts = []"),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  group = 4294967295"),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  owner = \"99999999999\""),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  owner = -1"),
        ("size = \"8MiB\"", "size = \"8MiB\"\n  hosts = [for h in [host.hv1] : h if h.name == \"other\"]"),
    ];
    let good = format!("{}{LOCAL}{}", storage(&["hv1"]), image("a", "local", "raw", "8MiB", ""));
    site.write(&good).larder(&["validate"]).expect(0);
    site.write(&good.replace("size = \"8MiB\"", "size = \"8MiB\"\n  hosts = null")).larder(&["validate"]).expect(0);
    for (old, new) in cases {
        site.write(&good.replace(old, new));
        let run = site.larder(&["validate", "-json"]).expect(1);
        let first = &run.json()["diagnostics"][0];
        assert!(
            first["range"]["file"] == "main.hcl" && first["range"]["start"]["line"].as_u64() > Some(10),
            "{new}: {first:#}"
        );
    }
}

#[test]
fn permissions_are_reconciled_and_spelled_as_people_like() {
    let site = Site::up(&["hv1"]);
    let with = |more: &str| format!("{}{LOCAL}{}", storage(&["hv1"]), image("a", "local", "raw", "1MiB", more));
    site.write(&with("")).apply();
    let stat = || site.on("hv1", &["stat", "-c", "%U:%G %a", "/srv/local/a.raw"]);
    assert_eq!(stat(), "libvirt-qemu:kvm 660\n", "the volume's owner, and a mode for guests");
    for mode in ["\"0770\"", "\"770\"", "770", "0770"] {
        site.write(&with(&format!("  mode = {mode}\n")));
        site.apply();
        assert_eq!(stat(), "libvirt-qemu:kvm 770\n", "{mode}");
    }
    let plan = |mode: &str| {
        site.write(&with(&format!("  mode = {mode}\n")));
        site.plan()
    };
    for mode in ["\"0770\"", "\"770\"", "770", "0770"] {
        assert_eq!(plan(mode)["steps"], Value::Array(vec![]), "{mode}");
    }
    site.write(&with(""));
    site.sh("hv1", "chown root:root /srv/local/a.raw; chmod 0600 /srv/local/a.raw");
    let plan = site.plan();
    let steps = actions(&plan, "image.a", "hv1");
    assert_eq!(steps, ["chown", "chmod"]);
    site.apply();
    assert_eq!(stat(), "libvirt-qemu:kvm 660\n");
    // Without an owner anywhere, the qemu user gets it.
    site.sh("hv1", "rm /srv/local/a.raw");
    let plain = format!(
        "{}image_storage \"main\" {{\n  hosts = [host.hv1]\n}}\n{LOCAL}{}",
        common::hosts(&["hv1"]),
        image("b", "local", "raw", "1MiB", "")
    );
    site.write(&plain);
    site.larder(&["apply", "-auto-approve"]).expect(0);
    assert_eq!(site.on("hv1", &["stat", "-c", "%U:%G %a", "/srv/local/b.raw"]), "libvirt-qemu:kvm 660\n");
}

#[test]
fn a_file_that_is_there_is_never_overwritten() {
    let site = Site::up(&["hv1"]);
    let with = |format: &str, size: &str| {
        format!("{}{LOCAL}{}", storage(&["hv1"]), image("a", "local", format, size, "  name = \"disk.img\"\n"))
    };
    site.write(&format!("{}{LOCAL}", storage(&["hv1"]))).apply();
    site.sh("hv1", "cd /srv/local && truncate -s 3M disk.img && echo precious | dd of=disk.img conv=notrunc status=none && chown libvirt-qemu:kvm disk.img && chmod 660 disk.img");
    let before = site.sh("hv1", "sha256sum /srv/local/disk.img; stat -c '%i %Y' /srv/local/disk.img");
    for (format, size, code) in
        [("raw", "4MiB", "wrong-source"), ("qcow2", "3MiB", "wrong-source"), ("raw", "1MiB", "shrink")]
    {
        site.write(&with(format, size));
        let said = message(&site.plan(), code);
        assert!(said.contains("raw of 3MiB") && said.contains(&format!("{format} of {size}")), "shows both: {said}");
        site.larder(&["apply", "-auto-approve"]).expect(6);
    }
    assert_eq!(site.sh("hv1", "sha256sum /srv/local/disk.img; stat -c '%i %Y' /srv/local/disk.img"), before);
    site.write(&with("raw", "3MiB"));
    assert_eq!(change(&site.plan(), "image.a")["action"], "adopt");
    site.apply();
    assert_eq!(site.sh("hv1", "sha256sum /srv/local/disk.img; stat -c '%i %Y' /srv/local/disk.img"), before);

    // What appears between the plan and its apply is not overwritten either.
    site.write(&format!("{}{}", with("raw", "3MiB"), image("late", "local", "raw", "1MiB", "")));
    site.larder(&["plan", "-out", "saved"]).expect(0);
    site.sh("hv1", "echo somebody else >/srv/local/late.raw");
    site.larder(&["apply", "saved"]).expect(4).says("late.raw");
    assert_eq!(site.sh("hv1", "cat /srv/local/late.raw"), "somebody else\n");
    // A link to somewhere else and a directory are no images.
    site.sh("hv1", "cd /srv/local && rm late.raw && ln -s /etc/fstab late.raw");
    assert_eq!(hazards(&site.plan()), ["wrong-source"]);
    site.larder(&["apply", "-auto-approve"]).expect(6);
}

#[test]
fn what_a_crashed_allocation_left_is_cleared_away() {
    let site = Site::up(&["hv1"]);
    site.write(&format!("{}{LOCAL}", storage(&["hv1"]))).apply();
    site.sh("hv1", "mkdir -m 0700 /srv/local/.larder.Ab3dEf9h && truncate -s 5M /srv/local/.larder.Ab3dEf9h/image");
    site.write(&format!("{}{LOCAL}{}", storage(&["hv1"]), image("a", "local", "raw", "1MiB", ""))).apply();
    assert_eq!(site.sh("hv1", "ls -A /srv/local; stat -c %s /srv/local/a.raw"), "a.raw\n1048576\n");
}

#[test]
fn a_volume_that_fills_up_keeps_no_half_image() {
    let site = Site::up(&["hv1"]);
    let volume = "external_volume \"ram\" {\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {\n    size = \"16MiB\"\n  }\n}\n";
    let with = |images: &[(&str, &str, &str)]| {
        let images: String = images
            .iter()
            .map(|(name, format, size)| image(name, "ram", format, size, "  allocation = \"full\"\n"))
            .collect();
        format!("{}{volume}{images}", storage(&["hv1"]))
    };
    site.write(&with(&[])).apply();
    // Two that fit one by one do not fit together.
    site.write(&with(&[("a", "raw", "9MiB"), ("b", "raw", "9MiB")]));
    let plan = site.plan();
    assert_eq!(hazards(&plan), ["capacity"]);
    site.larder(&["apply", "-auto-approve"]).expect(6);
    assert_eq!(site.sh("hv1", "ls -A /srv/ram"), "");
    // Somebody fills it after the plan.
    site.write(&with(&[("a", "raw", "9MiB"), ("b", "qcow2", "1MiB")]));
    site.larder(&["plan", "-out", "saved"]).expect(0);
    site.sh("hv1", "head -c 12M /dev/zero >/srv/ram/ballast");
    let run = site.larder(&["apply", "saved"]).expect(7);
    assert!(
        run.out.contains("No space left on device") || run.err.contains("No space left on device"),
        "{} {}",
        run.out,
        run.err
    );
    assert_eq!(site.sh("hv1", "ls -A /srv/ram"), "b.qcow2\nballast\n", "no draft, no half image, and the other one");
    site.sh("hv1", "rm /srv/ram/ballast");
    site.apply();
    // An image in a volume that the same plan makes has its room counted as well.
    let fresh = with(&[("c", "raw", "20MiB")])
        .replace("/srv/ram", "/srv/fresh")
        .replace("\"ram\"", "\"fresh\"")
        .replace("external_volume.ram", "external_volume.fresh");
    std::fs::write(site.path().join("fresh.hcl"), fresh.replace(&storage(&["hv1"]), "")).expect("written");
    assert_eq!(hazards(&site.plan()), ["capacity"]);
}

#[test]
fn an_image_in_use_is_neither_grown_nor_given_away() {
    let site = Site::up(&["hv1"]);
    let with =
        |size: &str, more: &str| format!("{}{LOCAL}{}", storage(&["hv1"]), image("a", "local", "raw", size, more));
    site.write(&with("1MiB", "")).apply();
    // libvirt gives an image in use to the qemu user of the moment.
    site.sh("hv1", "chown root:root /srv/local/a.raw; exec 3<>/srv/local/a.raw; setsid /bin/sleep 300 </dev/null >/dev/null 2>&1 & echo $! >/run/guest");
    let pid = site.sh("hv1", "cat /run/guest").trim().to_owned();
    assert_eq!(site.plan()["steps"], Value::Array(vec![]), "owner and mode of an image in use are the guest's affair");
    site.write(&with("2MiB", ""));
    let plan = site.plan();
    assert_eq!(hazards(&plan), ["in-use"]);
    let said = message(&plan, "in-use");
    assert!(said.contains("sleep") && said.contains(&pid) && said.contains("/srv/local/a.raw"), "{said}");
    site.larder(&["apply", "-auto-approve"]).expect(6);
    assert_eq!(site.on("hv1", &["stat", "-c", "%s", "/srv/local/a.raw"]), "1048576\n");
    site.sh("hv1", "kill $(cat /run/guest)");
    // One that starts after the plan stops the growth as well.
    site.larder(&["plan", "-out", "saved"]).expect(0);
    site.sh("hv1", "exec 3<>/srv/local/a.raw; setsid /bin/sleep 300 </dev/null >/dev/null 2>&1 & echo $! >/run/guest");
    let run = site.larder(&["apply", "saved"]);
    assert!(matches!(run.exit, 4 | 7), "{}: {}", run.exit, run.err);
    assert_eq!(site.on("hv1", &["stat", "-c", "%s", "/srv/local/a.raw"]), "1048576\n");
    site.sh("hv1", "kill $(cat /run/guest)");
    site.apply();
    assert_eq!(site.on("hv1", &["stat", "-c", "%s %U", "/srv/local/a.raw"]), "2097152 libvirt-qemu\n");
}

#[test]
fn an_overlay_is_made_on_its_very_image_and_neither_grows() {
    let site = Site::up(&["hv1"]);
    let local = |name: &str| {
        format!(
            "external_volume \"{name}\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/{name}\"\n  directory {{}}\n}}\n"
        )
    };
    let all = |base: &str, web: &str, more: &str| {
        [
            storage(&["hv1"]),
            local("local"),
            local("other"),
            image("base", "local", "qcow2", base, ""),
            image("disk", "local", "raw", "1MiB", "  name = \"a:b.raw\"\n"),
            image("web", "local", "qcow2", web, "  backing = image.base\n"),
            image("top", "other", "qcow2", web, "  backing = image.web\n"),
            image("db", "other", "qcow2", "2MiB", &format!("  backing = image.disk\n{more}")),
        ]
        .concat()
    };
    site.write(&all("4MiB", "8MiB", ""));
    let plan = site.apply_exactly();
    let order: Vec<_> =
        plan["steps"].as_array().expect("steps").iter().map(|step| step["id"].as_str().unwrap_or_default()).collect();
    let at = |id: &str| order.iter().position(|one| *one == id).unwrap_or_else(|| panic!("no {id} in {order:?}"));
    assert!(
        at("image.base@hv1/create") < at("image.web@hv1/create")
            && at("image.web@hv1/create") < at("image.top@hv1/create")
    );
    let said = info(&site, "/srv/other/db.qcow2");
    assert_eq!(
        (&said["backing-filename"], &said["backing-filename-format"]),
        (&"/srv/local/a:b.raw".into(), &"raw".into())
    );
    // What is written to the base is seen through the chain, and a guest of the top writes nowhere else.
    site.sh("hv1", "qemu-io -f qcow2 -c 'write -P 7 1M 64k' /srv/local/base.qcow2");
    let base = site.sh("hv1", "sha256sum /srv/local/*");
    site.sh(
        "hv1",
        "qemu-io -f qcow2 -c 'read -P 7 1M 64k' -c 'write -P 9 2M 64k' /srv/other/top.qcow2 | grep -v failed",
    );
    assert_eq!(site.sh("hv1", "sha256sum /srv/local/*"), base);
    site.assert_settled();
    std::fs::remove_file(site.state()).expect("the state goes");
    assert_eq!(site.plan()["summary"]["adopt"], 8, "all is found again without the state");
    site.apply();

    // Neither end of a chain grows.
    site.write(&all("6MiB", "16MiB", ""));
    let plan = site.refused();
    assert_eq!(hazards(&plan), ["backing-in-use"; 3], "{plan:#}");
    assert!(message(&plan, "backing-in-use").contains("image.web is an overlay of it"), "{plan:#}");
    assert_eq!(plan["steps"], serde_json::json!([]));
    site.write(&all("4MiB", "8MiB", ""));

    // Another chain than the one that is wanted is told, and left alone.
    let table = [
        ("rebase -u -b /srv/local/base.qcow2 -F qcow2 /srv/other/db.qcow2", "which is not image.disk"),
        (
            "rebase -u -b /srv/local/a:b.raw -F qcow2 /srv/other/db.qcow2",
            "takes its backing file for qcow2, and image.disk is raw",
        ),
        ("rebase -u -b '' /srv/other/db.qcow2", "has no backing file, and is to be an overlay of image.disk"),
        ("rebase -u -b nbd://192.0.2.1/x -F raw /srv/other/db.qcow2", "which is no path"),
    ];
    for (command, words) in table {
        site.sh("hv1", &format!("qemu-img {command}"));
        let plan = site.refused();
        assert!(message(&plan, "wrong-source").contains(words), "{command}: {plan:#}");
    }
    site.sh("hv1", "qemu-img rebase -u -b ../local/./a:b.raw -F raw /srv/other/db.qcow2");
    site.assert_settled();

    // A base that is gone is not made anew below its overlays, with the state and without it.
    site.sh("hv1", "mv /srv/local/base.qcow2 /root");
    for _ in 0..2 {
        let plan = site.refused();
        assert!(message(&plan, "backing-in-use").contains("image.web is an overlay of it"), "{plan:#}");
        assert_eq!(actions(&plan, "image.base", "hv1"), [""; 0]);
        let _ = std::fs::remove_file(site.state());
    }
    site.sh("hv1", "mv /root/base.qcow2 /srv/local");
    site.apply();
}

#[test]
fn an_overlay_is_made_only_of_an_image_that_nobody_writes() {
    let site = Site::up(&["hv1"]);
    let with = |base: &str, more: &str| {
        [storage(&["hv1"]), LOCAL.to_owned(), image("base", "local", "raw", base, ""), more.to_owned()].concat()
    };
    let over = |name: &str| image(name, "local", "qcow2", "8MiB", "  backing = image.base\n");
    site.write(&with("1MiB", "")).apply();
    let open = |how: &str| {
        site.sh(
            "hv1",
            &format!(
                "exec 3{how}/srv/local/base.raw; setsid /bin/sleep 300 </dev/null >/dev/null 2>&1 & echo $! >/run/guest"
            ),
        );
        site.sh("hv1", "cat /run/guest").trim().to_owned()
    };
    let close = || site.sh("hv1", "kill $(cat /run/guest); while kill -0 $(cat /run/guest) 2>/dev/null; do :; done");

    // A guest that writes to it would destroy the overlay.
    let pid = open("<>");
    site.write(&with("1MiB", &over("web")));
    let plan = site.refused();
    assert_eq!(hazards(&plan), ["in-use"], "{plan:#}");
    let said = message(&plan, "in-use");
    for word in ["sleep", &pid, "/srv/local/base.raw", "hv1", "writing"] {
        assert!(said.contains(word), "no {word} in {said}");
    }
    close();

    // One that only reads, as below another overlay, disturbs nobody.
    open("<");
    assert_eq!(actions(&site.plan(), "image.web", "hv1"), ["create"]);
    close();

    // What begins after the plan stops the step, and so does another content.
    site.larder(&["plan", "-out", "saved"]).expect(0);
    open("<>");
    site.larder(&["apply", "saved"]).expect(4).says("open for writing");
    close();
    site.larder(&["plan", "-out", "saved"]).expect(0);
    site.sh("hv1", "echo another guest | dd of=/srv/local/base.raw conv=notrunc status=none");
    site.larder(&["apply", "saved"]).expect(4).says("the content of /srv/local/base.raw has changed");
    assert_eq!(site.sh("hv1", "ls /srv/local"), "base.raw\n");

    // Owner and mode are not content, and a base that grows does so before there is an overlay.
    site.sh("hv1", "chmod 600 /srv/local/base.raw");
    site.write(&with("2MiB", &over("web")));
    site.apply();
    assert_eq!(info(&site, "/srv/local/web.qcow2")["backing-filename"], "/srv/local/base.raw");

    // It protects the image below it whether the plan is about it or not, and when its block goes.
    site.write(&with("4MiB", &over("web")));
    let refused = |arguments: &[&str]| {
        let plan = site.larder(&[&["plan", "-json"], arguments].concat()).expect(6).json();
        assert!(message(&plan, "backing-in-use").contains("image.web is an overlay of it"), "{plan:#}");
        assert_eq!(actions(&plan, "image.base", "hv1"), [""; 0]);
    };
    refused(&["-target", "image.base"]);
    refused(&["-exclude", "image.web"]);
    site.write(&with("4MiB", ""));
    refused(&[]);
    refused(&["-target", "image.base"]);
    site.write(&with("4MiB", "removed {\n  from = image.web\n}\n"));
    refused(&[]);
}

#[test]
fn an_overlay_that_cannot_be_seen_now_still_keeps_its_base_as_it_is() {
    let site = Site::up(&["hv1"]);
    let bound = "external_volume \"bound\" {\n  storage = image_storage.main\n  mount_point = \"/srv/bound\"\n  bind {\n    source = \"/disk/guests\"\n  }\n}\n";
    let with = |base: &str| {
        [
            storage(&["hv1"]),
            LOCAL.to_owned(),
            bound.to_owned(),
            image("base", "local", "raw", base, ""),
            image("web", "bound", "qcow2", "8MiB", "  backing = image.base\n"),
        ]
        .concat()
    };
    site.sh("hv1", "mkdir -p /disk/guests && chown 64055 /disk/guests");
    site.write(&with("1MiB")).apply();
    // The disk below the bind mount is not there.
    site.sh("hv1", "umount /srv/bound && mv /disk /disk.away && mkdir -p /disk/guests && chown 64055 /disk/guests");
    site.write(&with("2MiB"));
    let plan = site.larder(&["plan", "-json", "-target", "image.base"]).expect(6).json();
    assert!(message(&plan, "backing-in-use").contains("image.web is an overlay of it"), "{plan:#}");
    assert_eq!(actions(&plan, "image.base", "hv1"), [""; 0]);
    // While its base is to grow first, that it is gone is told all the same.
    assert_eq!(hazards(&site.refused()), ["backing-in-use", "data-loss"]);
    // What is said to be gone for good holds nothing back.
    site.larder(&["state", "rm", "image.web"]).expect(0);
    let plan = site.larder(&["plan", "-json", "-target", "image.base"]).expect(0).json();
    assert_eq!(actions(&plan, "image.base", "hv1"), ["grow"]);
}

#[test]
fn a_volume_that_becomes_one_of_another_sort_hides_no_image_without_a_word() {
    let site = Site::up(&["hv1"]);
    let with = |inside: &str| {
        let volume = LOCAL.replace("directory {}", inside);
        [storage(&["hv1"]), volume, image("a", "local", "raw", "1MiB", "")].concat()
    };
    site.write(&with("directory {}")).apply();
    site.sh("hv1", "mkdir -p /data && chown 64055 /data");
    site.sh("hv1", "exec 3<>/srv/local/a.raw; setsid /bin/sleep 300 </dev/null >/dev/null 2>&1 & echo $! >/run/guest");
    let inode = site.sh("hv1", "stat -c %i /srv/local/a.raw");
    for inside in ["tmpfs {\n    size = \"8MiB\"\n  }", "bind {\n    source = \"/data\"\n  }"] {
        site.write(&with(inside));
        let plan = site.refused();
        assert_eq!(hazards(&plan), ["in-use", "hides-data", "data-loss"], "{inside}: {plan:#}");
        assert!(message(&plan, "data-loss").contains("/srv/local/a.raw on hv1 would be out of sight"), "{plan:#}");
        assert!(message(&plan, "in-use").contains("sleep"), "{plan:#}");
        assert_eq!(plan["drift"], serde_json::json!([]), "{inside}: nobody changed anything by hand");
    }
    site.sh("hv1", "kill $(cat /run/guest); while kill -0 $(cat /run/guest) 2>/dev/null; do :; done");
    let plan = site.refused();
    assert_eq!(hazards(&plan), ["hides-data", "data-loss"], "{plan:#}");
    // A guest that starts after the plan stops the mount.
    let accept = ["-accept", "data-loss@image.a", "-accept", "hides-data@external_volume.local"];
    site.larder(&[&["plan", "-out", "saved"], accept.as_slice()].concat()).expect(0);
    site.sh("hv1", "exec 3<>/srv/local/a.raw; setsid /bin/sleep 300 </dev/null >/dev/null 2>&1 & echo $! >/run/guest");
    let run = site.larder(&["apply", "saved"]);
    assert!(matches!(run.exit, 4 | 7), "{}: {}", run.exit, run.err);
    assert_eq!(site.sh("hv1", "stat -c %i /srv/local/a.raw"), inode);
    site.sh("hv1", "kill $(cat /run/guest); while kill -0 $(cat /run/guest) 2>/dev/null; do :; done");

    // The other way round nothing is said to be changed by hand either.
    let site = Site::up(&["hv1"]);
    site.sh("hv1", "mkdir -p /data && chown 64055 /data");
    site.write(&with("bind {\n    source = \"/data\"\n  }")).apply();
    site.write(&with("directory {}"));
    let plan = site.refused();
    assert_eq!(plan["drift"], serde_json::json!([]), "{plan:#}");
    site.write(&with("tmpfs {\n    size = \"8MiB\"\n  }"));
    let plan = site.refused();
    assert_eq!(hazards(&plan), ["data-loss"], "{plan:#}");
    assert_eq!(plan["drift"], serde_json::json!([]), "{plan:#}");
}

/// A loop device of a host that is detached at the end, however it comes.
struct Loop<'a>(&'a Site);

impl<'a> Loop<'a> {
    fn of(site: &'a Site, path: &str, more: &str) -> (Self, String) {
        let script = format!(
            "[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
             for at in /sys/block/loop*; do n=${{at##*/loop}}; [ -e /dev/loop$n ] || mknod /dev/loop$n b 7 $n; done
             losetup --find --show {more} {path} | tee /run/loop"
        );
        let device = site.sh("hv1", &script).trim().to_owned();
        (Loop(site), device)
    }
}

impl Drop for Loop<'_> {
    fn drop(&mut self) {
        self.0.sh("hv1", "losetup --detach $(cat /run/loop)");
    }
}

#[test]
fn an_image_that_a_loop_device_is_made_of_is_in_use() {
    let site = Site::up(&["hv1"]);
    // Loop devices are the kernel's: hosts of other tests see this one, by the same path.
    let with = |size: &str, more: &str| {
        let base = image("base", "local", "raw", size, "  name = \"of a [loop] device\"\n");
        [storage(&["hv1"]), LOCAL.replace("/srv/local", "/srv/looped"), base, more.to_owned()].concat()
    };
    let over = image("web", "local", "qcow2", "8MiB", "  backing = image.base\n");
    site.write(&with("1MiB", "")).apply();
    {
        let (_attached, device) = Loop::of(&site, "'/srv/looped/of a [loop] device'", "");
        for configuration in [with("2MiB", ""), with("1MiB", &over)] {
            let plan = site.write(&configuration).refused();
            assert_eq!(hazards(&plan), ["in-use"], "{plan:#}");
            assert!(message(&plan, "in-use").contains(&format!("the loop device {device} has")), "{plan:#}");
        }
    }
    // One that can only be read disturbs no overlay.
    site.write(&with("1MiB", &over)).larder(&["plan", "-out", "saved"]).expect(0);
    {
        let _attached = Loop::of(&site, "'/srv/looped/of a [loop] device'", "--read-only");
        assert_eq!(actions(&site.plan(), "image.web", "hv1"), ["create"]);
    }
    // What is attached after the plan stops the step.
    {
        let _attached = Loop::of(&site, "'/srv/looped/of a [loop] device'", "");
        site.larder(&["apply", "saved"]).expect(4).says("open for writing");
    }
    site.apply();
}

#[test]
fn an_image_that_moves_adopts_a_file_only_when_the_old_one_is_gone() {
    let site = Site::up(&["hv1"]);
    let with = |volume: &str| {
        let other = LOCAL.replace("local", "other");
        [storage(&["hv1"]), LOCAL.to_owned(), other, image("a", volume, "raw", "1MiB", "")].concat()
    };
    site.write(&with("local")).apply();
    site.sh("hv1", "cp -p /srv/local/a.raw /srv/other/a.raw");
    let copy = site.sh("hv1", "stat -c %i /srv/other/a.raw");
    site.write(&with("other"));
    let plan = site.refused();
    assert_eq!(hazards(&plan), ["data-loss"], "{plan:#}");
    assert!(message(&plan, "data-loss").contains("/srv/local/a.raw is still there"), "{plan:#}");
    // What cannot be looked at may still be there.
    site.sh("hv1", "mv /srv/local /srv/away; ln -s local /srv/local");
    assert!(hazards(&site.refused()).contains(&"data-loss".to_owned()));
    site.sh("hv1", "rm /srv/local; mv /srv/away /srv/local");

    site.sh("hv1", "rm /srv/local/a.raw");
    let plan = site.plan();
    assert_eq!((hazards(&plan), &plan["steps"]), (vec![], &serde_json::json!([])), "{plan:#}");
    let told = &change(&plan, "image.a")["differences"][0];
    assert_eq!((&told["have"], &told["want"]), (&"/srv/local/a.raw".into(), &"/srv/other/a.raw".into()), "{plan:#}");
    site.larder(&["plan"]).expect(0).says("/srv/local/a.raw -> /srv/other/a.raw");
    site.apply();
    assert_eq!(site.sh("hv1", "stat -c %i /srv/other/a.raw"), copy);
    assert_eq!(change(&site.plan(), "image.a")["action"], "unchanged");
}

#[test]
fn a_volume_that_guests_could_not_write_is_told_before_it_is_mounted() {
    let site = Site::up(&["hv1"]);
    let volume = LOCAL.replace("directory {}", "options = [\"ro\"]\n  tmpfs {\n    size = \"8MiB\"\n  }");
    site.write(&[storage(&["hv1"]), volume.clone(), image("a", "local", "raw", "1MiB", "")].concat());
    let plan = site.refused();
    assert_eq!(hazards(&plan), ["no-access"], "{plan:#}");
    assert!(message(&plan, "no-access").contains("read-only"), "{plan:#}");
    site.write(&[storage(&["hv1"]), volume.replace("\"ro\"", "\"noatime\"")].concat()).apply();
}

#[test]
fn what_leads_on_after_a_failure_is_asked_for_alike() {
    let site = Site::up(&["hv1"]);
    let variables =
        "variable \"size\" {\n  type = string\n}\nvariable \"word\" {\n  type      = string\n  sensitive = true\n}\n";
    site.write(&format!("{}{LOCAL}{variables}", storage(&["hv1"])));
    let given = ["-var", "size=1MiB", "-var", "word=hunter2"];
    site.larder(&[&["apply", "-auto-approve"], given.as_slice()].concat()).expect(0);
    let mut web = image("web", "local", "raw", "1MiB", "");
    web = web.replace("\"1MiB\"", "var.size");
    site.write(&format!("{}{LOCAL}{variables}{web}", storage(&["hv1"])));
    site.sh("hv1", "chattr +i /srv/local");
    let arguments = [
        &["apply", "-auto-approve", "-target", "image.web", "-accept", "no-access@external_volume.local"],
        given.as_slice(),
    ]
    .concat();
    let run = site.larder(&arguments);
    assert!(matches!(run.exit, 1 | 7), "{}: {} {}", run.exit, run.out, run.err);
    let wanted =
        "larder -lab apply -var size=1MiB -var word=... -target image.web -accept no-access@external_volume.local\n";
    assert!(run.out.contains(wanted), "{}{}", run.out, run.err);
    assert!(!run.out.contains("hunter2"));
    site.sh("hv1", "chattr -i /srv/local");
    site.larder(&arguments).expect(0);
}

#[test]
fn an_overlay_that_could_not_be_one_is_refused_with_its_place() {
    let site = Site::up(&["hv1"]);
    let table = [
        ("raw", "1MiB", "", "a raw image has no backing image"),
        ("qcow2", "1MiB", "  allocation = \"full\"\n", "an overlay is not allocated beforehand"),
        ("qcow2", "512KiB", "", "an overlay of 512KiB shows only a part of image.base"),
        ("qcow2", "1MiB", "  hosts = [host.hv2]\n", "image.base is not on hv2"),
    ];
    for (format, size, more, words) in table {
        let blocks = [
            storage(&["hv1", "hv2"]),
            LOCAL.to_owned(),
            image("base", "local", "raw", "1MiB", "  hosts = [host.hv1]\n"),
            image("web", "local", format, size, &format!("  backing = image.base\n{more}")),
        ];
        let run = site.write(&blocks.concat()).larder(&["validate"]).expect(1).says(words);
        assert!(run.err.contains("main.hcl:"), "{}", run.err);
    }
}
