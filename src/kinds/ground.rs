//! What kinds that own a directory on a host have in common: the questions every host is asked, owner and mode,
//! making directories, and who may use them.

use crate::model::block::Attributes;
use crate::model::{
    Address, Block, Command, Guard, Hazard, HazardCode, HostFacts, HostName, Mode, Problem, Problems, Question,
};

use super::ask::fstab::{self, Fstab};
use super::ask::mounts::{self, Mounts};
use super::ask::path::{FileType, Inode, Lineage};
use super::ask::people::{self, QemuUser};
use super::ask::system::{self, System};
use super::ask::units::{self, Units};
use super::ask::{Known, network_mounts, open_files};
use super::scene::Scene;
use super::verdict::{Difference, Draft, Remedy, Verdict};

/// What every host is asked, whatever is placed on it. `watched` are the paths whose users must be known.
pub fn questions(watched: &[String]) -> Vec<Question> {
    let mut all =
        vec![system::question(), mounts::question(), network_mounts::question(), fstab::question(), units::question()];
    if !watched.is_empty() {
        all.push(open_files::question(watched));
    }
    all
}

/// What the host said of itself.
#[derive(Debug)]
pub struct Ground {
    pub system: System,
    pub mounts: Mounts,
    pub fstab: Fstab,
    /// None where systemd does not run.
    pub units: Units,
}

impl Ground {
    pub fn read(facts: &HostFacts) -> Known<Self> {
        let system = system::read(facts)?;
        let units = if system.runs_systemd { units::read(facts)? } else { Units::default() };
        Ok(Ground { system, mounts: mounts::read(facts)?, fstab: fstab::read(facts)?, units })
    }

    /// The hazard of a program that a step needs and the host lacks.
    pub fn lacks(&self, program: &str, address: &Address, host: &HostName) -> Option<Hazard> {
        if self.system.has(program) {
            return None;
        }
        let package = system::PROGRAMS
            .iter()
            .find(|(name, _)| *name == program)
            .map_or("the package that has it", |(_, package)| package);
        Some(Hazard::new(
            HazardCode::Unsupported,
            address,
            Some(host),
            format!("{host} has no {program}"),
            format!("Install {package} there."),
        ))
    }

    /// The name of a user, or the number where it has none.
    pub fn user_name(&self, uid: u32) -> String {
        named(&self.system.users, uid)
    }

    pub fn group_name(&self, gid: u32) -> String {
        named(&self.system.groups, gid)
    }
}

fn named(names: &std::collections::BTreeMap<String, u32>, number: u32) -> String {
    names.iter().find(|(_, one)| **one == number).map_or_else(|| number.to_string(), |(name, _)| name.clone())
}

/// Whether a path is one that the distribution makes or the kernel shows (hier(7)): no volume may take it over.
pub fn belongs_to_the_system(path: &str) -> bool {
    const WHOLE: [&str; 13] = [
        "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr",
    ];
    const ITSELF: [&str; 14] = [
        "/",
        "/home",
        "/lost+found",
        "/media",
        "/mnt",
        "/opt",
        "/srv",
        "/tmp",
        "/var",
        "/var/cache",
        "/var/lib",
        "/var/log",
        "/var/spool",
        "/var/tmp",
    ];
    WHOLE.iter().any(|directory| super::ask::mounts::is_within(path, directory)) || ITSELF.contains(&path)
}

/// Owner, group and mode that are wanted, as numbers of one host. `None` is not managed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mode: Option<Mode>,
}

/// Numbers that no user or group has: chown(2) takes the highest one for "leave it".
pub fn check_people(block: &Block) -> Problems {
    let number = |name: &&str| block.text(name)?.parse::<i128>().ok();
    let is_written = |name: &&str| block.place_of(name).is_some();
    let wrong = ["owner", "group"].into_iter().filter(is_written).filter_map(|name| Some((name, number(&name)?)));
    let wrong = wrong.filter(|(_, number)| !(0..i128::from(u32::MAX)).contains(number));
    let problem = |(name, number): (&str, i128)| {
        let summary = format!("no {name} has the number {number}");
        Problem::error("invalid-value", summary, "Numbers go from 0 to 4294967294.").at(block.place_of(name))
    };
    let mut problems: Problems = wrong.map(problem).collect();
    for name in ["owner", "group"].into_iter().filter(is_written) {
        let (summary, cure) = match block.text(name) {
            Some("") => (format!("`{name}` is empty"), "Name one, or leave the attribute out.".to_owned()),
            Some(text) if text.contains(':') => (
                format!("`{name}` is one name, and {text:?} has a colon"),
                "Write owner = \"USER\" and group = \"GROUP\".".to_owned(),
            ),
            _ => continue,
        };
        problems.push(Problem::error("invalid-value", summary, cure).at(block.place_of(name)));
    }
    problems
}

/// Asks for the users and groups that a block names.
pub fn people_questions(block: &Block) -> Vec<Question> {
    let user = block.text("owner").and_then(people::user_question);
    let group = block.text("group").and_then(people::group_question);
    user.into_iter().chain(group).collect()
}

impl Permissions {
    /// Resolves the names of a block on a host; a name that the host does not know is a hazard.
    pub fn resolve(block: &Block, facts: &HostFacts, host: &HostName, hazards: &mut Vec<Hazard>) -> Known<Self> {
        let ignored = |name: &str| block.lifecycle.ignore_changes.contains(name);
        let mut unknown = |what: &str, name: &str| {
            hazards.push(Hazard::new(
                HazardCode::Unsupported,
                &block.address,
                Some(host),
                format!("{host} has no {what} {name}"),
                format!("Create the {what} there first, or name one that exists (a number is taken as it is)."),
            ));
        };
        let mut permissions =
            Permissions { mode: block.mode("mode").filter(|_| !ignored("mode")), ..Permissions::default() };
        if let Some(name) = block.text("owner").filter(|_| !ignored("owner")) {
            permissions.uid = people::read_user(facts, name)?;
            if permissions.uid.is_none() {
                unknown("user", name);
            }
        }
        if let Some(name) = block.text("group").filter(|_| !ignored("group")) {
            permissions.gid = people::read_group(facts, name)?;
            if permissions.gid.is_none() {
                unknown("group", name);
            }
        }
        Ok(permissions)
    }

    pub fn is_unmanaged(&self) -> bool {
        *self == Permissions::default()
    }

    /// What a newly made directory or image gets where the block says nothing: the qemu user's, so that guests can use it.
    pub fn or_for_qemu(self, qemu: Option<&QemuUser>, mode: Mode) -> Self {
        match qemu {
            Some(qemu) if self.is_unmanaged() => {
                Permissions { uid: Some(qemu.uid), gid: Some(qemu.gid), mode: Some(mode) }
            }
            _ => self,
        }
    }

    /// `64055:104` for chown(1), where anything is managed.
    pub fn owner_argument(&self) -> Option<String> {
        match (self.uid, self.gid) {
            (None, None) => None,
            (uid, gid) => {
                let part = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
                Some(match gid {
                    None => part(uid),
                    Some(_) => format!("{}:{}", part(uid), part(gid)),
                })
            }
        }
    }
}

/// The differences of owner, group and mode. `have` is what the path has now; `None` where that is not known before other steps
/// have run: then both are set. `guard` holds what must be true just before.
pub fn permission_differences(
    path: &str,
    wanted: &Permissions,
    have: Option<&Inode>,
    ground: &Ground,
    guard: &[Guard],
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let uid_differs = wanted.uid.is_some_and(|uid| have.is_none_or(|inode| inode.uid != uid));
    let gid_differs = wanted.gid.is_some_and(|gid| have.is_none_or(|inode| inode.gid != gid));
    let old_owner = have.map(|inode| format!("{}:{}", inode.uid, inode.gid));
    if uid_differs || gid_differs {
        let argument = Permissions {
            uid: wanted.uid.filter(|_| uid_differs),
            gid: wanted.gid.filter(|_| gid_differs),
            mode: None,
        }
        .owner_argument()
        .unwrap_or_default();
        let names = |inode: Option<&Inode>| {
            inode.map_or_else(
                || "not known yet".to_owned(),
                |inode| format!("{}:{}", ground.user_name(inode.uid), ground.group_name(inode.gid)),
            )
        };
        let want = format!(
            "{}:{}",
            wanted.uid.map_or_else(
                || have.map_or_else(String::new, |inode| ground.user_name(inode.uid)),
                |uid| ground.user_name(uid)
            ),
            wanted.gid.map_or_else(
                || have.map_or_else(String::new, |inode| ground.group_name(inode.gid)),
                |gid| ground.group_name(gid)
            ),
        );
        let seen = have.map(Inode::number).unwrap_or_default();
        let draft =
            Draft::new("chown", format!("give {path} to {want}"), Command::new(["set_owner", path, &seen, &argument]))
                .guarded(guard.to_vec());
        let draft = match &old_owner {
            Some(old) => draft.undone_by(Command::new(["set_owner", path, &seen, old])),
            None => draft.without_inverse("who owned it before is not known"),
        };
        let attribute = match (uid_differs, gid_differs) {
            (true, false) => "owner",
            (false, true) => "group",
            _ => "owner",
        };
        differences.push(Difference::new(attribute, names(have), want, Remedy::Run(vec![draft])));
    }
    if let Some(mode) = wanted.mode.filter(|mode| have.is_none_or(|inode| inode.mode != *mode)) {
        let seen = have.map(Inode::number).unwrap_or_default();
        let draft = Draft::new(
            "chmod",
            format!("set the mode of {path} to {mode}"),
            Command::new(["set_mode", path, &seen, &mode.to_string()]),
        )
        .guarded(guard.to_vec());
        let draft = match have {
            Some(inode) => draft.undone_by(Command::new(["set_mode", path, &seen, &inode.mode.to_string()])),
            None => draft.without_inverse("the mode before is not known"),
        };
        let old = have.map_or_else(|| "not known yet".to_owned(), |inode| inode.mode.to_string());
        differences.push(Difference::new("mode", old, mode.to_string(), Remedy::Run(vec![draft])));
    }
    differences
}

/// Of several steps that change one inode, only the first can be guarded by what its owner and mode were. Each makes sure by
/// itself that it is the same inode.
pub fn keep_first_guard(differences: &mut [Difference]) {
    let mut drafts = differences.iter_mut().filter_map(|difference| match &mut difference.remedy {
        Remedy::Run(drafts) => drafts.iter_mut().find(|draft| matches!(draft.action, "chown" | "chmod")),
        _ => None,
    });
    let _first = drafts.next();
    for later in drafts {
        later.guard.clear();
    }
}

/// A guard that holds while nothing exists at a path.
pub fn absent(path: &str) -> Guard {
    let ask = Question::new(["is_absent", path]);
    Guard { what: path.to_owned(), ask, status: 0, out: "absent\n".to_owned() }
}

/// A guard that holds while a path is the inode that was seen, with the same owner and mode.
pub fn still(path: &str, inode: &Inode) -> Guard {
    let bits = inode.mode.bits();
    Guard {
        what: path.to_owned(),
        ask: Question::new(["stat", "-c", "mode %a, owner %u:%g, inode %i", "--", path]),
        status: 0,
        out: format!("mode {bits:o}, owner {}:{}, inode {}\n", inode.uid, inode.gid, inode.inode),
    }
}

/// A guard that holds while a directory is empty.
pub fn empty(path: &str) -> Guard {
    Guard {
        what: format!("what lies in {path}"),
        ask: super::ask::path::entries_question(path),
        status: 0,
        out: super::ask::path::NO_ENTRIES.to_owned(),
    }
}

/// The step that makes a directory with its parents, and takes exactly those away again.
pub fn make_directory(lineage: &Lineage) -> Draft {
    let path = lineage.paths.last().map_or("/", String::as_str);
    let made: Vec<_> = lineage.missing().iter().rev().cloned().collect();
    let rmdir = Command::new(["rmdir", "--"].map(str::to_owned).into_iter().chain(made));
    Draft::new("mkdir", format!("make the directory {path}"), Command::new(["mkdir", "-p", "--", path]))
        .guarded([absent(path)])
        .undone_by(rmdir)
        .rolling_back()
}

/// What to remember of directories that are made here: they go when the resource goes.
pub fn remember_made(verdict: &mut Verdict, lineage: &Lineage) {
    verdict.memory.insert("made".to_owned(), serde_json::json!(lineage.missing()).to_string());
}

/// The directories that were made for a resource and that nobody is to have any more, innermost first.
pub fn made_for_it(scene: &Scene, address: &Address, host: &HostName) -> Vec<String> {
    let text = scene.remembered(address, host, "made");
    let made: Vec<String> = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    made.into_iter().rev().take_while(|directory| !scene.stays(directory, host)).collect()
}

/// The hazard of a path that leads over a symbolic link or a file.
pub fn obstacle(lineage: &Lineage, address: &Address, host: &HostName) -> Option<Hazard> {
    let path = lineage.paths.last()?;
    let (at, what) = lineage.obstacle()?;
    let (message, cure) = match what {
        FileType::Symlink => (
            format!("{at} on {host} is a symbolic link"),
            "Write the path that it leads to: mounts and checks go by the real path.".to_owned(),
        ),
        _ => (format!("{at} on {host} is no directory"), format!("Move it away, or choose another path than {path}.")),
    };
    Some(Hazard::new(HazardCode::WrongSource, address, Some(host), message, cure))
}

/// The hazard of a directory that the qemu user cannot use, as far as permission bits tell.
pub fn no_access(
    lineage: &Lineage,
    inode: Option<(u32, u32, Mode)>,
    system: &System,
    address: &Address,
    host: &HostName,
) -> Option<Hazard> {
    let qemu = system.qemu.as_ref()?;
    let path = lineage.paths.last()?;
    let hazard =
        |message: String, cure: String| Some(Hazard::new(HazardCode::NoAccess, address, Some(host), message, cure));
    if let Some((closed, how)) = people::blocked_at(lineage, qemu) {
        return hazard(
            format!("{} cannot reach {path} on {host}: {closed} is {how}", qemu.name),
            format!("Let it pass with `chmod o+x {closed}` or an ACL, or choose another path."),
        );
    }
    let (uid, gid, mode) = inode?;
    if people::may(qemu, uid, gid, mode.bits(), 0o7) {
        return None;
    }
    hazard(
        format!(
            "{} cannot use {path} on {host} as mode {mode} of {}:{}",
            qemu.name,
            named(&system.users, uid),
            named(&system.groups, gid)
        ),
        format!("Set owner = \"{}\" and mode = \"0770\", or a group that {} is in.", qemu.name, qemu.name),
    )
}

/// The step that tries, as the qemu user, whether a directory can be used; or read, where that is all.
pub fn check_access(path: &str, qemu: &QemuUser, reads_only: bool) -> Draft {
    let (bit, how) = if reads_only { ("-r", "entered and listed") } else { ("-w", "entered and written") };
    let command = Command::new(["check_access", &qemu.name, path, bit]);
    Draft::new("check-access", format!("try as {} whether {path} can be {how}", qemu.name), command)
}
