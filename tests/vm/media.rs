use crate::common::Site;

#[test]
fn smoke() {
    let site = Site::of_machines(&["hv1", "san"]);
    site.sh("san", "mkdir -p /srv/nfs; chmod 1777 /srv/nfs; echo '/srv/nfs 10.99.0.0/24(rw,no_subtree_check,no_root_squash)' >/etc/exports; systemctl start nfs-server; exportfs -ra");
    site.sh("hv1", "mkdir -p /mnt/nfs; mount -t nfs4 10.99.0.21:/srv/nfs /mnt/nfs; echo two > /mnt/nfs/f");
    assert_eq!(site.sh("san", "cat /srv/nfs/f"), "two\n");
    site.machines().reboot("hv1");
}
