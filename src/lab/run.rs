//! Starting the machine's programs for a lab: where they are, in which package they come, and what to say when one fails.
//! Values go as arguments, never as shell syntax.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::model::Problem;

/// The programs that a lab of namespace hosts needs, with the package of Debian and Ubuntu that has each.
pub(super) const NAMESPACE_TOOLS: [(&str, &str); 16] = [
    ("sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setsid", "util-linux"),
    ("setpriv", "util-linux"),
    ("pivot_root", "util-linux"),
    ("mount", "mount"),
    ("umount", "mount"),
    ("losetup", "mount"),
    ("mkfs.ext4", "e2fsprogs"),
    ("hostname", "hostname"),
    ("timeout", "coreutils"),
    ("getent", "libc-bin"),
];

/// Where programs are looked for: the user's PATH, then the directories of system programs, which are often not on it.
fn search_path() -> OsString {
    let mut directories: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    for system in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
        if !directories.iter().any(|directory| directory == Path::new(system)) {
            directories.push(PathBuf::from(system));
        }
    }
    // Only a directory with a colon in its name cannot be joined, and none that came out of PATH has one.
    std::env::join_paths(directories).unwrap_or_default()
}

/// The program's absolute path.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// A problem that names every program that is missing, with its package; `None` if all are there.
pub(super) fn missing(tools: &[(&str, &str)]) -> Option<Problem> {
    let absent: Vec<_> = tools.iter().filter(|(program, _)| find(program).is_none()).collect();
    if absent.is_empty() {
        return None;
    }
    let list: Vec<_> = absent.iter().map(|(program, package)| format!("`{program}` (package {package})")).collect();
    let mut packages: Vec<_> = absent.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    Some(Problem::error(
        "lab-tool-missing",
        format!("lab hosts need programs that this machine lacks: {}", list.join(", ")),
        format!("On Debian and Ubuntu: apt-get install {}", packages.join(" ")),
    ))
}

/// A command that finds system programs and speaks English.
pub(super) fn command<I, S>(program: &str, arguments: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", search_path()).env("LC_ALL", "C").stdin(std::process::Stdio::null());
    command
}

/// Runs a command to its end and gives what it wrote to standard output.
pub(super) fn run<I, S>(program: &str, arguments: I) -> Result<String, Problem>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    finish(command(program, arguments))
}

/// Runs a command to its end, with the standard input that it was given.
pub(super) fn finish(mut command: Command) -> Result<String, Problem> {
    let output = command.output().map_err(|error| not_started(&command, &error))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(failed(&command, &output)),
    }
}

pub(super) fn not_started(command: &Command, error: &std::io::Error) -> Problem {
    let program = command.get_program().to_string_lossy();
    Problem::error("lab-command-failed", format!("`{program}` could not be started: {error}"), shown(command))
}

fn failed(command: &Command, output: &Output) -> Problem {
    let program = command.get_program().to_string_lossy();
    let said = String::from_utf8_lossy(&output.stderr);
    Problem::error(
        "lab-command-failed",
        format!("`{program}` failed ({}): {}", output.status, said.trim()),
        format!("The command was: {}", shown(command)),
    )
}

/// The command line as one would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    shlex::try_join(words.iter().map(AsRef::as_ref)).unwrap_or_else(|_| words.join(" "))
}

/// A problem with a file of the lab.
pub(super) fn file_problem(doing: &str, path: &Path, error: &std::io::Error) -> Problem {
    Problem::error(
        "lab-file",
        format!("cannot {doing} {}: {error}", path.display()),
        "A lab keeps everything in its directory, which must be on a local file system with room to write.",
    )
}
