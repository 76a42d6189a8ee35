//! The small root file system of a lab host: a generated /etc and the empty directories that a host has.
//! Programs are the machine's own and are mounted, not copied. Of the machine's /etc only the files of a short list are
//! taken, none of which holds a secret.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// What differs between the trees of two hosts.
pub(super) struct Spec<'a> {
    pub(super) label: &'a str,
    /// The line that lets the lab's key log in.
    pub(super) authorized_key: &'a str,
    /// Private and public key of the host.
    pub(super) host_key: (&'a str, &'a str),
    /// `ADDRESS NAME...` of every host of the lab that has an address before it starts.
    pub(super) neighbours: &'a [String],
}

/// Directories and their modes.
const DIRECTORIES: [(&str, u32); 31] = [
    ("boot", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("etc/default", 0o755),
    ("etc/pam.d", 0o755),
    ("etc/ssh", 0o755),
    ("etc/ssl/certs", 0o755),
    ("etc/sudoers.d", 0o750),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("root/.ssh", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    // Where changes below /usr go; outside of what people look at.
    (".usr", 0o700),
    (".usr/upper", 0o755),
    (".usr/work", 0o755),
    ("var/backups", 0o755),
    ("var/cache", 0o755),
    ("var/lib/libvirt", 0o755),
    ("var/lib/misc", 0o755),
    ("var/log", 0o755),
    ("var/mail", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];

/// Files and directories taken from the machine's /etc where it has them: how to find libraries and programs, and defaults
/// of the tools. Whatever could hold a secret stays outside.
const FROM_THE_MACHINE: [&str; 24] = [
    "adduser.conf",
    "alternatives",
    "bash.bashrc",
    "debian_version",
    "default/useradd",
    "deluser.conf",
    "gai.conf",
    "host.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "libaudit.conf",
    "login.defs",
    "magic",
    "mke2fs.conf",
    "netconfig",
    "protocols",
    "rpc",
    "services",
    "skel",
    "ssl/certs/ca-certificates.crt",
    "ssl/openssl.cnf",
    "terminfo",
    "xattr.conf",
];

const PASSWD: &str = "\
root:x:0:0:root:/root:SHELL
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
sshd:x:101:65534::/run/sshd:/usr/sbin/nologin
libvirt-qemu:x:64055:104:Libvirt Qemu,,,:/var/lib/libvirt:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";

const GROUP: &str = "\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
kmem:x:15:
sudo:x:27:
www-data:x:33:
shadow:x:42:
utmp:x:43:
staff:x:50:
users:x:100:
kvm:x:104:
libvirt:x:105:
libvirt-qemu:x:64055:libvirt-qemu
nogroup:x:65534:
";

const FSTAB: &str = "\
# /etc/fstab: static file system information.
#
# <file system> <mount point> <type> <options> <dump> <pass>
";

/// No PAM, so that a login takes no detour through the machine's modules; limits that let a test open many sessions.
const SSHD_CONFIG: &str = "\
AddressFamily inet
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
MaxStartups 100:30:200
MaxSessions 100
LogLevel VERBOSE
PidFile none
Subsystem sftp internal-sftp
";

const PAM_OTHER: &str = "\
auth required pam_unix.so
account required pam_unix.so
password required pam_unix.so
session required pam_permit.so
";

const PAM_FOR_ROOT: &str = "\
auth sufficient pam_rootok.so
auth required pam_unix.so
account required pam_unix.so
session required pam_permit.so
";

/// Writes the tree of one host below `root`, which must exist and be empty.
pub(super) fn write(root: &Path, spec: &Spec<'_>) -> io::Result<()> {
    for (name, mode) in DIRECTORIES {
        let path = root.join(name);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    for (name, target) in [("var/run", "/run"), ("var/lock", "/run/lock"), ("etc/mtab", "../proc/self/mounts")] {
        symlink(target, root.join(name))?;
    }
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        like_the_machine(&Path::new("/").join(name), &root.join(name))?;
    }
    for name in FROM_THE_MACHINE {
        copy(&Path::new("/etc").join(name), &root.join("etc").join(name))?;
    }
    if Path::new("/usr/lib/os-release").exists() {
        symlink("../usr/lib/os-release", root.join("etc/os-release"))?;
    } else {
        copy(Path::new("/etc/os-release"), &root.join("etc/os-release"))?;
    }
    let shadow: String = PASSWD
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| format!("{name}:*:19000:0:99999:7:::\n"))
        .collect();
    let mut hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n".to_owned();
    for line in spec.neighbours {
        hosts.push_str(line);
        hosts.push('\n');
    }
    let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
    let (private_key, public_key) = spec.host_key;
    let files: [(&str, u32, &str); 24] = [
        ("etc/passwd", 0o644, &PASSWD.replace("SHELL", shell)),
        ("etc/group", 0o644, GROUP),
        ("etc/shadow", 0o640, &shadow),
        ("etc/fstab", 0o644, FSTAB),
        ("etc/hostname", 0o644, &format!("{}\n", spec.label)),
        ("etc/hosts", 0o644, &hosts),
        ("etc/machine-id", 0o444, &format!("{}\n", uuid::Uuid::new_v4().simple())),
        ("etc/nsswitch.conf", 0o644, "passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\n"),
        ("etc/resolv.conf", 0o644, "# A lab host resolves names by /etc/hosts only.\n"),
        ("etc/shells", 0o644, "/bin/sh\n/bin/bash\n"),
        ("etc/environment", 0o644, ""),
        ("etc/profile", 0o644, "umask 022\n"),
        ("etc/sudoers", 0o440, "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n"),
        ("etc/pam.d/other", 0o644, PAM_OTHER),
        ("etc/pam.d/su", 0o644, PAM_FOR_ROOT),
        ("etc/pam.d/su-l", 0o644, PAM_FOR_ROOT),
        ("etc/pam.d/runuser", 0o644, PAM_FOR_ROOT),
        ("etc/pam.d/runuser-l", 0o644, PAM_FOR_ROOT),
        ("etc/ssh/sshd_config", 0o644, SSHD_CONFIG),
        ("etc/ssh/ssh_host_ed25519_key", 0o600, private_key),
        ("etc/ssh/ssh_host_ed25519_key.pub", 0o644, public_key),
        ("root/.ssh/authorized_keys", 0o600, spec.authorized_key),
        ("root/.profile", 0o644, "umask 022\n"),
        ("var/log/lastlog", 0o644, ""),
    ];
    for (name, mode, text) in files {
        let path = root.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// `/bin` is a link where the machine has merged it into /usr, else a directory to mount the machine's on.
fn like_the_machine(from: &Path, to: &Path) -> io::Result<()> {
    match fs::symlink_metadata(from) {
        Ok(metadata) if metadata.is_symlink() => symlink(fs::read_link(from)?, to),
        Ok(metadata) if metadata.is_dir() => fs::create_dir(to),
        _ => Ok(()),
    }
}

/// Copies files, links and directories. What is not there, or is neither of these, is left out.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(from) else { return Ok(()) };
    if metadata.is_symlink() {
        symlink(fs::read_link(from)?, to)
    } else if metadata.is_file() {
        // A file that cannot be read (the lab runs unprivileged) is left out like one that is not there.
        match fs::copy(from, to) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            copied => copied.map(drop),
        }
    } else if metadata.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        Ok(())
    } else {
        Ok(())
    }
}
