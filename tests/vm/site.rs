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
