//! What the tests on virtual machines have in common: hypervisors in one storage, and a server beside them.

use crate::common::Site;
use crate::common::machines::Machines;

/// Address of the server.
pub(crate) fn server() -> String {
    Machines::address("san")
}

/// Two hypervisors and a server.
#[track_caller]
pub(crate) fn up() -> Site {
    Site::of_machines(&["hv1", "hv2", "san"])
}

/// A `host` block for each of these, and the storage `main` of them.
pub(crate) fn storage(site: &Site, members: &[&str]) -> String {
    let hosts = hosts(site, &["hv1", "hv2"]);
    let members = members.iter().map(|name| format!("host.{name}")).collect::<Vec<_>>().join(", ");
    format!(
        "{hosts}image_storage \"main\" {{\n  hosts = [{members}]\n  owner = \"libvirt-qemu\"\n  group = \"kvm\"\n  mode  = \"0770\"\n}}\n"
    )
}

/// Waits for nothing: what is mounted at a path of a host, as `SOURCE OPTIONS`; empty where nothing is.
#[track_caller]
pub(crate) fn mounted(site: &Site, host: &str, path: &str) -> String {
    let output = site.try_on(host, &["findmnt", "-n", "-o", "SOURCE,OPTIONS", "-M", path]);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A `host` block for each of these.
pub(crate) fn hosts(site: &Site, names: &[&str]) -> String {
    names.iter().map(|name| format!("host \"{name}\" {{\n{}}}\n", site.machines().connection(name))).collect()
}

/// The shares `images` and `other` of the server, all of which is the user vmstore's, who has that password.
pub(crate) fn serve(site: &Site, password: &str) {
    site.sh(
        "san",
        "id vmstore >/dev/null 2>&1 || useradd -M -s /usr/sbin/nologin vmstore; mkdir -p /srv/smb/sub /srv/other; chown -R vmstore: /srv/smb /srv/other
         printf '[global]\\nmap to guest = Never\\ndisable netbios = yes\\nload printers = no\\n[images]\\npath = /srv/smb\\nvalid users = vmstore\\nread only = no\\n[other]\\npath = /srv/other\\nvalid users = vmstore\\nread only = no\\n' >/etc/samba/smb.conf
         systemctl start smbd && smbcontrol smbd reload-config",
    );
    set_password(site, password);
}

/// Gives vmstore a password. It travels as a script, in no argument of a process that lasts.
pub(crate) fn set_password(site: &Site, password: &str) {
    let octal: String = password.bytes().map(|byte| format!("\\{byte:03o}")).collect();
    site.sh("san", &format!("printf '{octal}\\n{octal}\\n' | smbpasswd -s -a vmstore"));
}

/// The value of the variable `password`, as a file beside the configuration.
pub(crate) fn know(site: &Site, password: &str) {
    let text = format!("password = {}\n", serde_json::to_string(password).expect("a text"));
    std::fs::write(site.path().join("larder.vars.hcl"), text).expect("a file");
}

/// The disk with that number, from 1, of the target that [`target`] sets up: the name that every host knows it by.
pub(crate) fn lun(number: u32) -> String {
    format!("/dev/disk/by-id/wwn-0x6001405{number:08x}00000000000000000")
}

/// The addresses at which the server's target answers.
pub(crate) fn portals() -> [String; 2] {
    [format!("{}:3260", server()), "10.99.0.22:3260".to_owned()]
}

/// A target of iSCSI on the server, at two addresses, with disks of so many MiB each, for the three hypervisors; who gives user and
/// password is let in, everybody where there is none. It lasts until the server restarts. Both travel as a script, in no argument of
/// a process that lasts.
pub(crate) fn target(site: &Site, iqn: &str, chap: Option<(&str, &str)>, disks: &[u32]) {
    let octal = |text: &str| text.bytes().map(|byte| format!("\\{byte:03o}")).collect::<String>();
    let (user, password) = chap.unwrap_or_default();
    let is_checked = u8::from(chap.is_some());
    let mut script = format!(
        "set -e
         modprobe iscsi_target_mod; modprobe target_core_file
         mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
         ip addr show dev eth1 | grep -q 10.99.0.22/ || ip addr add 10.99.0.22/24 dev eth1
         c=/sys/kernel/config/target; g=$c/iscsi/{iqn}/tpgt_1; mkdir -p /srv/lun $g
         echo {is_checked} >$g/attrib/authentication\n"
    );
    for (number, size) in (1..).zip(disks) {
        script += &format!(
            "truncate -s {size}M /srv/lun/{number}; d=$c/core/fileio_0/lun{number}
             if [ ! -e $d ]; then
                 mkdir -p $d; echo fd_dev_name=/srv/lun/{number},fd_dev_size=$(({size} << 20)) >$d/control
                 echo {number:08x}-0000-0000-0000-000000000000 >$d/wwn/vpd_unit_serial; echo 1 >$d/enable
                 mkdir $g/lun/lun_{number}; ln -s $d $g/lun/lun_{number}/port
             fi\n"
        );
    }
    for host in ["hv1", "hv2", "hv3"] {
        script += &format!("a=$g/acls/iqn.2026-01.test.larder:{host}; mkdir -p $a\n");
        for (number, _) in (1..).zip(disks) {
            script += &format!(
                "[ -e $a/lun_{number} ] || {{ mkdir $a/lun_{number}; ln -s $g/lun/lun_{number} $a/lun_{number}/disk; }}\n"
            );
        }
        script += &format!(
            "printf '{}' >$a/auth/userid; printf '{}' >$a/auth/password\n",
            octal(if user.is_empty() { "NULL" } else { user }),
            octal(if password.is_empty() { "NULL" } else { password }),
        );
    }
    for portal in portals() {
        script += &format!("[ -e $g/np/{portal} ] || mkdir $g/np/{portal}\n");
    }
    script += "echo 1 >$g/enable\n";
    site.sh("san", &script);
}
