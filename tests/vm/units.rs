//! What mounts volumes at boot: mount units, lines in fstab, nothing.

use serde_json::json;

use crate::common::{Site, actions, change};
use crate::site::{mounted, serve, server};

const NFS: &str = "external_volume.nfs";
const BIND: &str = "external_volume.bind";

fn up() -> Site {
    let site = Site::of_machines(&["hv1", "san"]);
    site.sh(
        "san",
        "mkdir -p /srv/a && chown 64055 /srv/a && chmod 0770 /srv/a
         echo '/srv/a 10.99.0.0/24(rw,no_subtree_check,no_root_squash)' >>/etc/exports
         systemctl start nfs-server && exportfs -ra",
    );
    site.sh("hv1", "mkdir -p /data/b /data/c && chown 64055:kvm /data/* && chmod 0770 /data/*");
    site
}

/// A volume on NFS and a bind mount that persist like this, and a bind mount that does not.
fn volumes(site: &Site, persist: &str) -> String {
    let volume = |name: &str, at: &str, persist: &str, inner: &str| {
        format!(
            "external_volume \"{name}\" {{\n  storage     = image_storage.main\n  mount_point = \"{at}\"\n  persist     = \"{persist}\"\n  {inner}\n}}\n"
        )
    };
    let nfs = format!("nfs {{\n    server = \"{}\"\n    export = \"/srv/a\"\n  }}", server());
    let bind = |source: &str| format!("bind {{\n    source = \"{source}\"\n  }}");
    [
        format!("host \"hv1\" {{\n{}}}\n", site.machines().connection("hv1")),
        "image_storage \"main\" {\n  hosts = [host.hv1]\n  owner = \"libvirt-qemu\"\n  group = \"kvm\"\n  mode  = \"0770\"\n}\n".to_owned(),
        volume("nfs", "/srv/my-images", persist, &nfs),
        volume("bind", "/srv/bind", persist, &bind("/data/b")),
        volume("now", "/srv/now", "none", &bind("/data/c")),
    ]
    .concat()
}

/// The lines of the kernel about the two volumes that persist.
fn kernel(site: &Site) -> String {
    site.sh("hv1", "grep -E ' /srv/(my-images|bind) ' /proc/self/mountinfo")
}

#[test]
fn units_mount_at_boot_and_nothing_waits_for_a_dead_server() {
    let site = up();
    site.write(&volumes(&site, "systemd"));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, NFS, "hv1"), ["mkdir", "lock", "unit", "mount", "chown", "chmod", "check-access"]);
    let shown = "systemctl show -p ActiveState -p FragmentPath -p UnitFileState --value -- 'srv-my\\x2dimages.mount'";
    let active = site.sh("hv1", shown);
    for words in ["active\n", "/etc/systemd/system/srv-my\\x2dimages.mount", "enabled"] {
        assert!(active.contains(words), "{active}");
    }

    site.machines().reboot("hv1");
    assert!(mounted(&site, "hv1", "/srv/my-images").starts_with(&format!("{}:/srv/a ", server())));
    assert!(!mounted(&site, "hv1", "/srv/bind").is_empty());
    assert_eq!(mounted(&site, "hv1", "/srv/now"), "", "nothing mounts at boot what does not persist");
    let plan = site.apply_exactly();
    let of = |address: &str| change(&plan, address)["hosts"]["hv1"].clone();
    assert_eq!([NFS, BIND, "external_volume.now"].map(of), [json!("unchanged"), json!("unchanged"), json!("create")]);

    // By hand another file system was put into the unit.
    site.sh("hv1", "sed -i 's/^What=.*/What=tmpfs/;s/^Type=.*/Type=tmpfs/' /etc/systemd/system/srv-bind.mount; systemctl daemon-reload; systemctl disable srv-bind.mount");
    assert_eq!(actions(&site.apply_exactly(), BIND, "hv1"), ["unit", "check-access"]);

    // Moved to fstab and back, under a process that reads.
    let before = kernel(&site);
    for how in ["fstab", "systemd"] {
        site.write(&volumes(&site, how));
        site.apply_exactly();
        assert_eq!(kernel(&site), before, "{how}");
    }

    // Nobody serves it: the host boots all the same, with everything else.
    site.machines().freeze("san");
    site.machines().power_cycle("hv1");
    assert_eq!(mounted(&site, "hv1", "/srv/my-images"), "");
    assert!(!mounted(&site, "hv1", "/srv/bind").is_empty());

    // Removed: nothing is left, nothing comes back.
    site.write(
        &volumes(&site, "systemd")
            .replace("external_volume \"bind\"", "external_volume \"other\"")
            .replace("/srv/bind", "/srv/other"),
    );
    site.larder(&["apply", "-auto-approve", "-target", "external_volume.bind"]).expect(0);
    assert_eq!(site.sh("hv1", "ls /etc/systemd/system/srv-*.mount"), "/etc/systemd/system/srv-my\\x2dimages.mount\n");
    assert_eq!(site.sh("hv1", "find /etc/systemd/system -xtype l"), "");
    assert_eq!(mounted(&site, "hv1", "/srv/bind"), "");
}

#[test]
fn units_mount_shares_disks_and_media_at_boot() {
    let site = Site::of_machines(&["hv1", "san"]);
    serve(&site, "swordfish-17");
    site.sh("san", "head -c 3000 /dev/zero >/srv/smb/a.iso && chown vmstore: /srv/smb/a.iso");
    std::fs::write(site.path().join("password"), "swordfish-17").expect("a file");
    let login = format!(
        "    server   = \"{}\"\n    share    = \"images\"\n    username = \"vmstore\"\n    password = secret_file(\"${{path.module}}/password\")\n",
        server()
    );
    let disk =
        "device {\n    path   = \"/dev/disk/by-id/virtio-data-hv1\"\n    fstype = \"ext4\"\n    format = true\n  }";
    let volume = |name: &str, inner: &str| {
        format!(
            "external_volume \"{name}\" {{\n  storage     = image_storage.main\n  mount_point = \"/srv/{name}\"\n  persist     = \"systemd\"\n  {inner}\n}}\n"
        )
    };
    let storage = format!(
        "host \"hv1\" {{\n{}}}\nimage_storage \"main\" {{\n  hosts = [host.hv1]\n  owner = \"libvirt-qemu\"\n  group = \"kvm\"\n  mode  = \"0770\"\n}}\n",
        site.machines().connection("hv1")
    );
    let media = format!(
        "media_storage \"iso\" {{\n    hosts       = [host.hv1]\n    mount_point = \"/srv/iso\"\n    persist     = \"systemd\"\n{login}}}\n"
    );
    let volumes = volume("smb", &format!("cifs {{\n{login}  }}")) + &volume("disk", disk);
    site.write(&format!("{storage}{volumes}{media}"));
    let plan = site.apply_exactly();
    assert_eq!(
        actions(&plan, "external_volume.smb", "hv1"),
        ["mkdir", "lock", "credentials", "unit", "mount", "check-access"]
    );
    assert!(actions(&plan, "external_volume.disk", "hv1").contains(&"unit".to_owned()), "{plan:#}");
    assert!(actions(&plan, "media_storage.iso", "hv1").contains(&"unit".to_owned()), "{plan:#}");
    site.sh("hv1", "runuser -u libvirt-qemu -- sh -c 'echo guest >/srv/smb/f; echo guest >/srv/disk/f'");
    assert_eq!(site.sh("hv1", "grep -c x-larder /etc/fstab; true"), "0\n");

    site.machines().reboot("hv1");
    assert_eq!(site.sh("hv1", "cat /srv/smb/f /srv/disk/f && stat -c %s /srv/iso/a.iso"), "guest\nguest\n3000\n");
    assert!(mounted(&site, "hv1", "/srv/iso").contains(" ro,"));
    site.assert_settled();

    site.write(&storage);
    site.apply_exactly();
    assert_eq!(site.sh("hv1", "grep -E ' /srv/(smb|disk|iso) ' /proc/self/mountinfo; ls /etc/systemd/system/srv-* /etc/larder/credentials 2>/dev/null; find /etc/systemd/system -xtype l; true"), "");
}

#[test]
fn a_mount_that_systemd_would_undo_stays() {
    let site = Site::of_machines(&["hv1"]);
    site.sh("hv1", "mkdir -p /data/b /srv/bind && chown 64055:kvm /data/b && chmod 0770 /data/b");
    // systemd knows a line that fstab has no more, of a device that is gone.
    let line = "/data/b /srv/bind none bind,nofail,x-larder.id=external_volume.bind 0 0";
    site.sh(
        "hv1",
        &format!(
            "echo '/dev/disk/by-id/gone /srv/bind ext4 nofail,x-systemd.device-timeout=5s 0 0' >>/etc/fstab
             systemctl daemon-reload; sed -i 's|^/dev/disk/by-id/gone.*|{line}|' /etc/fstab"
        ),
    );
    site.write(&format!(
        "host \"hv1\" {{\n{}}}\nimage_storage \"main\" {{\n  hosts = [host.hv1]\n}}\nexternal_volume \"bind\" {{\n  storage     = image_storage.main\n  mount_point = \"/srv/bind\"\n  bind {{\n    source = \"/data/b\"\n  }}\n}}\n",
        site.machines().connection("hv1")
    ));
    let plan = site.apply_exactly();
    assert_eq!(actions(&plan, BIND, "hv1"), ["lock", "reload", "mount", "check-access"]);
    site.sh("hv1", "udevadm settle; systemctl daemon-reload");
    assert!(!mounted(&site, "hv1", "/srv/bind").is_empty());
    site.assert_settled();
}
