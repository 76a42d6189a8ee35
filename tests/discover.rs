//! `larder discover` on container hosts: what it writes is adopted without a step, and the hosts stay as they are.

mod common;

use std::collections::BTreeMap;

use common::{Run, Site, hosts};

const DISK: &str = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4";
const OTHER: &str = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d5";

#[track_caller]
fn attach(site: &Site, host: &str, path: &str, size: &str) {
    site.wait(site.lab().attach_device(&host.into(), path, size.parse().expect("a size"))).expect("a device");
}

fn snapshots<const N: usize>(site: &Site, names: [&str; N]) -> [BTreeMap<String, String>; N] {
    names.map(|host| site.snapshot(host))
}

/// The text of a block that was written, from its header to the brace that closes it.
#[track_caller]
fn block<'a>(text: &'a str, header: &str) -> &'a str {
    let start = text.find(&format!("\n{header} {{\n")).unwrap_or_else(|| panic!("no {header} in\n{text}"));
    let rest = &text[start + 1..];
    &rest[..rest.find("\n}\n").expect("a brace that closes it") + 2]
}

/// Writes what is found to a file of the configuration, and holds it against plan and apply: nothing is done on any host, and
/// they stay as they are. Gives what was written.
#[track_caller]
fn adopted<const N: usize>(site: &Site, names: [&str; N], arguments: &[&str]) -> (Run, String) {
    let before = snapshots(site, names);
    let run = site.larder(&[&["discover", "-out", "found.hcl"], arguments].concat()).expect(0);
    let run = run.says("no step on any host").says("3 round trips each");
    let text = std::fs::read_to_string(site.path().join("found.hcl")).expect("the file that was written");
    assert_eq!(run.out, "", "the file has it all");
    site.larder(&["fmt", "-check", "found.hcl"]).expect(0);
    let plan = site.larder(&["plan", "-json", "-detailed-exitcode"]).expect(0).json();
    assert_eq!(plan["steps"], serde_json::json!([]), "{plan:#}");
    assert_eq!((&plan["complete"], &plan["summary"]["create"]), (&true.into(), &0.into()), "{plan:#}");
    let blocks = text.lines().filter(|line| line.ends_with(" {") && !line.starts_with([' ', '#', 'h'])).count();
    assert_eq!(plan["summary"]["adopt"], blocks, "{plan:#}\n{text}");
    site.apply();
    assert_eq!(snapshots(site, names), before);
    (run, text)
}

#[test]
fn what_lives_on_two_hosts_is_adopted_as_it_is() {
    let site = Site::up(&["hv1", "hv2"]);
    site.write(&hosts(&["hv1", "hv2"]));
    attach(&site, "hv1", DISK, "64MiB");
    attach(&site, "hv1", OTHER, "320MiB");
    for host in ["hv1", "hv2"] {
        site.sh(
            host,
            "mkdir -p /data/scratch /srv/scratch /srv/ram && chown libvirt-qemu:kvm /data/scratch && chmod 2770 /data/scratch
            printf '# by hand\\n/data/scratch\\t/srv/scratch/ none  bind,noatime 0 0 \\ntmpfs /srv/ram tmpfs size=16M,mode=1777,nosuid 0 0\\n' >/etc/fstab
            mount /srv/scratch && mount /srv/ram
            truncate -s 1M /srv/scratch/both.raw",
        );
    }
    site.sh(
        "hv1",
        &format!(
            "mkdir -p '/srv/my disk' /var/lib/libvirt/images
            mkfs.ext4 -q -L 'my disk' {DISK} && mkfs.xfs -q {OTHER}
            printf 'UUID=%s /srv/my\\\\040disk ext4 defaults,nofail 0 2\\n' $(blkid -p -s UUID -o value {DISK}) >>/etc/fstab
            printf '{OTHER} /var/lib/libvirt/images auto rw,nodev,x-systemd.automount 0 0' >>/etc/fstab
            mount '/srv/my disk' && mount /var/lib/libvirt/images && chmod 0711 /var/lib/libvirt/images
            chown libvirt-qemu: /var/lib/libvirt/images
            cd /var/lib/libvirt/images
            qemu-img create -q -f qcow2 base.qcow2 1G && qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 web.qcow2
            qemu-img create -q -f qcow2 -b /var/lib/libvirt/images/web.qcow2 -F qcow2 a-top.qcow2 2G
            truncate -s 512 /root/else.raw && qemu-img create -q -f qcow2 -b /root/else.raw -F raw lone.qcow2
            qemu-img create -q -u -f qcow2 -b lone.qcow2 -F qcow2 on-lone.qcow2 512
            qemu-img create -q -f qcow2 old.img 2G && truncate -s 3M 'we b\"${{x}}.raw' && truncate -s 1536 sectors.raw
            chown libvirt-qemu:kvm base.qcow2 && chmod 0440 base.qcow2
            touch notes.txt '/srv/my disk/.hidden.raw' && truncate -s 512 '/srv/my disk/.hidden.raw'"
        ),
    );
    let (_, text) = adopted(&site, ["hv1", "hv2"], &["hv1", "hv2"]);
    let scratch = block(&text, "external_volume \"scratch\"");
    assert_eq!(
        scratch,
        "external_volume \"scratch\" {
  storage     = image_storage.hv1_hv2
  mount_point = \"/srv/scratch\"
  owner       = \"libvirt-qemu\"
  group       = \"kvm\"
  mode        = \"2770\"
  options     = [\"noatime\"]
  bind {
    source = \"/data/scratch\"
  }
}"
    );
    assert!(block(&text, "image_storage \"hv1_hv2\"").contains("hosts = [host.hv1, host.hv2]"));
    let ram = block(&text, "external_volume \"ram\"");
    assert!(ram.contains("size = \"16MiB\"") && ram.contains("options     = [\"nosuid\"]"), "{ram}");
    let disk = block(&text, "external_volume \"my_disk\"");
    assert!(disk.contains(&format!("path   = \"{DISK}\"")) && disk.contains("label  = \"my disk\""), "{disk}");
    assert!(disk.contains("storage     = image_storage.hv1\n"), "{disk}");
    let images = block(&text, "external_volume \"images\"");
    assert!(images.contains("label  = \"\"") && images.contains("options     = [\"nodev\"]"), "{images}");
    assert!(!images.contains("persist"), "its line in fstab does the same: {images}");
    assert!(text.contains("# 1 file with another name lies in it on hv1\n"), "{text}");
    assert!(!block(&text, "image \"both\"").contains("hosts"), "it is on every member");
    assert!(block(&text, "image \"old\"").contains("name   = \"old.img\"\n  format = \"qcow2\"\n  size   = \"2GiB\""));
    assert!(block(&text, "image \"we_b_x\"").contains("name   = \"we b\\\"$${x}.raw\""), "{text}");
    assert!(block(&text, "image \"sectors\"").contains("size   = 1536"), "{text}");
    assert!(block(&text, "image \"hidden\"").contains("name   = \".hidden.raw\""), "{text}");
    assert!(block(&text, "image \"base\"").contains("mode   = \"0440\""), "{text}");
    let web = block(&text, "image \"web\"");
    assert!(web.contains("backing = image.base\n") && !web.contains("name"), "{web}");
    let top = block(&text, "image \"a-top\"");
    assert!(top.contains("backing = image.web\n") && top.contains("size    = \"2GiB\""), "{top}");
    assert!(text.contains("/lone.qcow2: an overlay of /root/else.raw, which is no image here\n"), "{text}");
    assert!(text.contains("/on-lone.qcow2: an overlay of /var/lib/libvirt/images/lone.qcow2, which is no"), "{text}");
    assert!(text.contains(": mounts of the system\n"), "{text}");

    // What is adopted can be worked with: what grows is grown, and nothing else is touched.
    let grown = text.replace("size   = \"2GiB\"", "size   = \"3GiB\"");
    std::fs::write(site.path().join("found.hcl"), grown).expect("a file");
    let plan = site.plan();
    let steps: Vec<_> = plan["steps"].as_array().expect("steps").iter().map(|step| step["id"].as_str()).collect();
    assert_eq!(steps, [Some("image.old@hv1/grow")]);
}

#[test]
fn what_differs_from_what_larder_would_write_is_left_alone() {
    let site = Site::up(&["hv1"]);
    site.write(&hosts(&["hv1"]));
    site.sh(
        "hv1",
        "mkdir -p /data/x /data/y /srv/noauto /srv/two /srv/percent /srv/private /srv/manual /srv/busy && truncate -s 1M /data/y/web.raw
        printf '%s\\n' '/data/x /srv/noauto none bind,noauto 0 0' '/data/x /srv/two none bind 0 0' '/data/x /srv/two none bind,ro 0 0' \
            'tmpfs /srv/percent tmpfs size=1%,user 0 0' >/etc/fstab
        mount /srv/noauto && mount --bind /data/x /srv/two && mount /srv/percent
        mount --bind /data/x /srv/manual && mount -o remount,bind,ro,noexec /srv/manual
        mount -t tmpfs -o size=128k,mode=0700 t /srv/private && mount --bind /data/y /srv/busy
        sleep 600 </srv/busy/web.raw >/dev/null 2>&1 & echo $! >/run/holder",
    );
    let (_, text) = adopted(&site, ["hv1"], &["hv1"]);
    for name in ["noauto", "two", "percent"] {
        let volume = block(&text, &format!("external_volume \"{name}\""));
        assert!(volume.contains("ignore_changes = [persist]"), "{volume}");
    }
    assert!(
        text.contains("# differs: fstab on hv1 is \"/data/x /srv/noauto none bind,noauto 0 0\", Larder would"),
        "{text}"
    );
    let manual = block(&text, "external_volume \"manual\"");
    assert!(
        manual.contains("options     = [\"ro\", \"noexec\"]") && manual.contains("persist     = \"none\""),
        "{manual}"
    );
    let private = block(&text, "external_volume \"private\"");
    assert!(private.contains("accept = [\"no-access\"]") && private.contains("size = \"128KiB\""), "{private}");
    assert!(text.contains("# accepted as it is: libvirt-qemu cannot use /srv/private on hv1"), "{text}");
    assert!(block(&text, "image \"web\"").contains("ignore_changes = [group, mode, owner]"), "{text}");
    assert!(text.contains("# in use by sleep on hv1: owner, group and mode are those of now"), "{text}");
    site.sh("hv1", "kill $(cat /run/holder); chown libvirt-qemu /data/y/web.raw");
    site.assert_settled();
}

#[test]
fn names_that_hosts_made_up_stay_names() {
    let site = Site::up(&["hv1"]);
    site.write(&hosts(&["hv1"]));
    site.sh(
        "hv1",
        r#"mkdir -p /data/d && cd /data/d
        at() { mkdir -p "$1" && mount --bind /data/d "$1"; }
        at '/srv/a"}${file("/etc/shadow")}%{ for x in y }' && at "/srv/$(printf 'n\nimage "evil" {')" && at "/srv/$(printf 'b\303')" && at '/srv/\040\'
        at /srv/for && at '/srv/é' && at "/srv/$(printf 'e\314\201')" && at '/srv/-- #'
        truncate -s 512 -- '"
}
image "evil" {
}.raw' '$${x}.raw' '%%{if}.raw' '*.raw' '-rf.raw' "$(printf 'c\033[31m.raw')" "$(printf 'l\377.raw')" 'a\b.raw' '#.raw' "$(printf 'e\314\201.raw')" null.raw .raw
        echo '/data/gone /srv/gone none bind,noauto 0 0' >>/etc/fstab
        touch empty.raw && printf 123 >odd.raw && ln -s null.raw link.raw && mkdir dir.raw && mkfifo pipe.raw && ln null.raw hard.raw
        printf 'QFI\373\0\0\0\011' >v9.qcow2 && truncate -s 512 v9.qcow2 raw.qcow2 && printf 'KDMV' >vmware.img
        qemu-img create -q -f qcow2 other.qcow2 1M && cp other.qcow2 fake.raw"#,
    );
    let (run, text) = adopted(&site, ["hv1"], &["hv1"]);
    assert!(!run.err.contains('\u{1b}') && !text.contains('\u{1b}'), "{text}");
    assert!(text.lines().all(|line| !line.starts_with("image \"evil\"")), "{text}");
    // Each is a block or a remark.
    for name in ["$$${x}.raw", "%%%{if}.raw", "*.raw", "-rf.raw", "a\\\\b.raw", "#.raw", ".raw"] {
        assert!(text.contains(&format!("name   = \"{name}\"\n")), "no {name} in {text}");
    }
    let remarks: Vec<&str> = text.lines().filter(|line| line.starts_with("#   ")).collect();
    let remark = |what: &str, why: &str| {
        assert!(remarks.iter().any(|line| line.contains(what) && line.contains(why)), "no {what}: {why} in {text}");
    };
    remark("/c\\x1b[31m.raw", "not UTF-8, or holds control characters");
    remark("\\n}\\nimage \"evil\" {\\n}.raw", "not UTF-8, or holds control characters");
    remark("/srv/n\\nimage \"evil\" {", "not UTF-8, or holds control characters");
    remark("/srv/b\u{fffd}", "not UTF-8");
    remark("/srv/e\u{301}", "Unicode normal form C");
    remark("/e\u{301}.raw", "Unicode normal form C");
    remark("/empty.raw", "an image of no bytes");
    remark("/odd.raw", "3 is no multiple of 512 bytes");
    remark("/link.raw", "a symbolic link");
    remark("/dir.raw", "no regular file");
    remark("/v9.qcow2", "qcow2 version 9");
    remark("/raw.qcow2", "which its name denies");
    remark("/fake.raw", "which its name denies");
    remark("/vmware.img", "a VMDK image");
    remark("/srv/gone", "not mounted now; its line in /etc/fstab mounts /data/gone");
    assert!(text.contains("null.raw") || text.contains("image \"null\""), "{text}");
    assert!(text.contains("mount_point = \"/srv/a\\\"}$${file(\\\"/etc/shadow\\\")}%%{ for x in y }\""), "{text}");
}

#[test]
fn a_host_that_does_not_answer_is_never_taken_for_an_empty_one() {
    let site = Site::up(&["hv1", "hv2"]);
    site.write(&hosts(&["hv1", "hv2"]));
    for host in ["hv1", "hv2"] {
        site.sh(host, "mkdir -p /srv/ram && mount -t tmpfs -o size=1M t /srv/ram");
    }
    site.wait(site.lab().stop(&"hv2".into())).expect("it stops");
    let run = site.larder(&["discover", "hv1", "hv2", "-out", "found.hcl"]).expect(8);
    let run = run.says("error[host-unreachable]: hv2 did not answer, so nothing is known of it");
    assert!(run.err.contains("The plan of this is empty: 2 resources adopted"), "{}", run.err);
    let text = std::fs::read_to_string(site.path().join("found.hcl")).expect("a file");
    assert!(text.contains("# hv2 did not answer, so nothing is known of it: "), "{text}");
    assert!(block(&text, "image_storage \"hv1\"").contains("hosts = [host.hv1]"), "{text}");
    // The host that is down is in the configuration, and the plan says the same of it.
    site.larder(&["plan", "-detailed-exitcode"]).expect(8);
    let run = site.larder(&["discover", "hv2", "-out", "none.hcl"]).expect(8);
    assert_eq!((run.out.as_str(), site.path().join("none.hcl").exists()), ("", false));
}

#[test]
fn a_host_without_a_block_gets_one_and_named_directories_become_volumes() {
    let site = Site::up(&["hv1", "hv2"]);
    for host in ["hv1", "hv2"] {
        site.sh(host, "mkdir -p /data/images /home/vm && chmod 0751 /data/images && truncate -s 1M /data/images/a.img /home/vm/b.img");
    }
    site.sh("hv2", "chown libvirt-qemu:kvm /data/images && ln -s /home/vm /data/link && mv /home/vm /home/moved");
    let paths = ["-path", "/data//images/", "-path", "/home/vm", "-path", "/etc/images", "-path", "/data/link"];
    let (_, text) = adopted(&site, ["hv1", "hv2"], &[&["root@hv1:22", "hv2", "root@hv1:22"], &paths[..]].concat());
    assert_eq!(
        block(&text, "host \"hv1\""),
        "host \"hv1\" {\n  address = \"hv1\"\n  port    = 22\n  user    = \"root\"\n}"
    );
    assert_eq!(block(&text, "host \"hv2\""), "host \"hv2\" {\n  address = \"hv2\"\n}");
    let images = block(&text, "external_volume \"images\"");
    assert!(images.contains("mount_point = \"/data/images\"") && images.contains("mode        = \"0751\""), "{images}");
    assert!(images.contains("directory {}") && !images.contains("owner"), "{images}");
    assert!(
        text.contains("# differs: owner is root on hv1, libvirt-qemu on hv2; set it to make them alike\n"),
        "{text}"
    );
    assert!(!block(&text, "image \"a\"").contains("hosts"), "{text}");
    assert!(block(&text, "external_volume \"vm\"").contains("image_storage.hv1\n"), "{text}");
    for remark in [
        "/home/vm: there is no such directory",
        "/etc/images: a directory of the system",
        "/data/link is a symbolic link",
    ] {
        assert!(text.contains(remark), "no {remark} in {text}");
    }
}

#[test]
fn what_the_configuration_manages_is_skipped_and_counted() {
    let site = Site::up(&["hv1", "hv2"]);
    let managed = format!(
        "{}external_volume \"ram\" {{\n  storage     = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {{\n    size = \"1MiB\"\n  }}\n}}\nimage \"web\" {{\n  volume = external_volume.ram\n  format = \"raw\"\n  size   = 512\n}}\n",
        common::storage(&["hv1", "hv2"])
    );
    site.write(&managed).apply();
    let run = site.larder(&["discover", "hv1", "hv2"]).expect(0);
    let run = run.says("nothing to describe. 2 resources of the configuration skipped");
    assert!(!run.out.contains("\nexternal_volume") && run.out.contains("# Not repeated: 2 resources"), "{}", run.out);
    // What is new there gets names that are free, and joins what is managed.
    for host in ["hv1", "hv2"] {
        site.sh(
            host,
            "truncate -s 512 /srv/ram/new.raw && mkdir -p /data/ram && mount -t tmpfs -o size=2M t /data/ram",
        );
    }
    site.sh("hv1", "truncate -s 512 /srv/ram/only.raw /data/ram/web.raw");
    let (run, text) = adopted_beside(&site, &["hv1", "hv2"]);
    assert!(run.err.contains("2 resources of the configuration skipped"), "{}", run.err);
    assert!(block(&text, "external_volume \"ram_hv1_hv2\"").contains("mount_point = \"/data/ram\""), "{text}");
    assert!(block(&text, "image \"new\"").contains("volume = external_volume.ram\n"), "{text}");
    assert!(block(&text, "image \"only\"").contains("hosts  = [host.hv1]\n"), "{text}");
    assert!(block(&text, "image \"web_ram_hv1_hv2\"").contains("name   = \"web.raw\"\n"), "{text}");
    // Only one of the members is asked: the image is said to be there, and not on the others.
    std::fs::remove_file(site.path().join("found.hcl")).expect("it goes");
    let run = site.larder(&["discover", "hv1"]).expect(0);
    assert!(block(&run.out, "image \"new\"").contains("hosts  = [host.hv1]\n"), "{}", run.out);
}

/// The same as [`adopted`] where the configuration has more than what is found.
#[track_caller]
fn adopted_beside(site: &Site, arguments: &[&str]) -> (Run, String) {
    let run = site.larder(&[&["discover", "-out", "found.hcl"], arguments].concat()).expect(0);
    let run = run.says("no step on any host");
    site.larder(&["plan", "-detailed-exitcode"]).expect(0);
    site.apply();
    (run, std::fs::read_to_string(site.path().join("found.hcl")).expect("the file that was written"))
}

#[test]
fn a_listing_that_is_cut_off_is_an_error_and_a_remark() {
    let site = Site::up(&["hv1"]);
    site.write(&hosts(&["hv1"]));
    site.sh("hv1", "mkdir -p /srv/many && mount -t tmpfs -o size=8M,nr_inodes=600 t /srv/many && cd /srv/many && seq -f '%03g.raw' 514 | xargs truncate -s 512");
    let run = site.larder(&["discover", "hv1"]).expect(1);
    let run = run.says("error[discovery-incomplete]: not known on hv1: 2 more images in /srv/many");
    assert!(
        run.out.contains("#   NOT KNOWN 2 more images in /srv/many: only 512 images of a directory are looked at"),
        "{}",
        run.out
    );
    assert_eq!(run.out.matches("\nimage \"").count(), 512);
}

#[test]
fn wrong_words_are_refused_before_any_host_is_asked() {
    let site = Site::up(&["hv1"]);
    site.write(&hosts(&["hv1"]));
    let table: [(&[&str], i32, &str); 8] = [
        (&["discover"], 3, "HOST"),
        (&["discover", "hv1:port"], 3, "`hv1:port` is no host"),
        (&["discover", "-oProxyCommand=x"], 3, ""),
        (&["discover", "--", "-oProxyCommand=x"], 3, "is no host"),
        (&["discover", "a b"], 3, "is no host"),
        (&["discover", "hv1", "-path", "srv"], 3, "`-path srv` names no directory"),
        (&["discover", "hv1", "-path", "/srv/../etc"], 3, "names no directory"),
        (&["discover", "hv1", "-out", "main.hcl"], 1, "error[file-exists]: main.hcl exists already"),
    ];
    for (arguments, exit, words) in table {
        site.larder(arguments).expect(exit).says(words);
    }
    assert_eq!(std::fs::read_to_string(site.path().join("main.hcl")).expect("a file"), hosts(&["hv1"]));
    // A file that the configuration does not take in is said to be none.
    site.larder(&["discover", "hv1", "-out", "found.txt"]).expect(0).says("found.txt is not read here");
}

#[test]
fn images_in_the_plain_directory_of_libvirt_are_found() {
    let site = Site::up(&["hv1", "hv2", "hv3"]);
    site.write(&hosts(&["hv1", "hv2", "hv3"]));
    site.sh("hv1", "mkdir -p /var/lib/libvirt/images && truncate -s 1M /var/lib/libvirt/images/web.raw");
    // Without images it is nothing, and what a bind mount shows is found there.
    site.sh("hv2", "mkdir -p /var/lib/libvirt/images && touch /var/lib/libvirt/images/notes");
    site.sh(
        "hv3",
        "mkdir -p /var/lib/libvirt/images /srv/vm && truncate -s 1M /var/lib/libvirt/images/db.raw && mount --bind /var/lib/libvirt/images /srv/vm",
    );
    let (_, text) = adopted(&site, ["hv1", "hv2", "hv3"], &["hv1", "hv2", "hv3"]);
    let images = block(&text, "external_volume \"images\"");
    assert!(
        images.contains("mount_point = \"/var/lib/libvirt/images\"") && images.contains("directory {}"),
        "{images}"
    );
    assert!(images.contains("storage     = image_storage.hv1\n"), "{images}");
    assert!(block(&text, "image \"web\"").contains("volume = external_volume.images\n"), "{text}");
    assert!(block(&text, "image \"db\"").contains("volume = external_volume.vm\n"), "{text}");
    let of_libvirt = text.lines().filter(|line| line.contains(" = \"/var/lib/libvirt/images\"")).count();
    assert_eq!(of_libvirt, 2, "the volume on hv1 and the source of that on hv3: {text}");
    // A configuration that has it already, and one that has it at another place, are not asked to have it twice.
    let run = site.larder(&["discover", "hv1", "hv2", "hv3"]).expect(0).says("nothing to describe");
    assert!(!run.out.contains("\nexternal_volume"), "{}", run.out);
    // A host on which it does not exist, or leads elsewhere.
    site.sh("hv2", "rm -r /var/lib/libvirt/images");
    assert!(!site.larder(&["discover", "hv2"]).expect(0).out.contains("libvirt"));
    site.sh("hv2", "mkdir -p /data/vm && truncate -s 512 /data/vm/x.raw && ln -s /data/vm /var/lib/libvirt/images");
    let run = site.larder(&["discover", "hv2"]).expect(0);
    assert!(run.out.contains("/var/lib/libvirt/images is a symbolic link; name the path"), "{}", run.out);
}
