//! Fetches the modules that `module` blocks name in git repositories into `.larder/modules`, and writes down in the lock file
//! what they were. What is there and unchanged is not fetched again; nothing is ever installed that is not what the lock file
//! says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::config::{self, GitSource, LOCK_FILE, Lock, Locked};
use crate::kinds::Kind;
use crate::model::{Problem, Problems};

/// The most packages of one configuration; each may name more.
const MOST: usize = 1_000;

/// What became of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installed {
    /// It was there, unchanged.
    Unchanged,
    /// It was fetched, and is what the lock file says.
    Fetched,
    /// It was fetched for the first time, and the lock file says so now.
    Locked { commit: String },
    /// The lock file named another commit before.
    Moved { from: String, to: String },
}

/// Fetches what is missing, until nothing that was fetched names more. With `upgrade`, each revision is asked for again,
/// whatever the lock file says.
///
/// # Errors
/// What could not be fetched, or is not what the lock file says, and what is no source of a module. What was fetched before
/// that stays.
pub fn install(
    root: &Path,
    kinds: &'static [&'static dyn Kind],
    upgrade: bool,
) -> Result<BTreeMap<GitSource, Installed>, Problems> {
    let mut lock = config::read_lock(root)?;
    let mut done: BTreeMap<GitSource, Installed> = BTreeMap::new();
    let mut problems = Problems::new();
    let mut failed = std::collections::BTreeSet::new();
    loop {
        let config::Packages { wanted, unread } = config::packages(root, kinds)?;
        let open: Vec<&GitSource> =
            wanted.iter().filter(|source| !done.contains_key(*source) && !failed.contains(*source)).collect();
        if open.is_empty() {
            if problems.is_empty() {
                let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
                // Where a module could not be read, nobody knows what it calls.
                lock.retain(|source, _| !unread.is_empty() || names.contains(source));
                write_lock(root, &lock).map_err(|problem| vec![problem])?;
            }
            // Of what could not be fetched the reason is said already.
            let is_said =
                |problem: &Problem| ["module-not-installed", "module-changed"].contains(&problem.code.as_str());
            let fetched = problems.is_empty();
            problems.extend(unread.into_iter().filter(|problem| fetched || !is_said(problem)));
            return if problems.is_empty() { Ok(done) } else { Err(problems) };
        }
        if done.len() + open.len() > MOST {
            let detail =
                format!("A configuration may have {MOST} packages. Do the modules of two of them call each other?");
            problems.push(Problem::error("too-complex", "There are too many packages", detail));
            return Err(problems);
        }
        for source in open {
            let locked = lock.get(&source.to_string()).filter(|_| !upgrade).cloned();
            match package(root, source, locked.as_ref()) {
                Ok(now) => {
                    let before = lock.insert(source.to_string(), now.locked.clone());
                    let what = match (before, now.is_new) {
                        (Some(before), _) if before.commit != now.locked.commit => {
                            Installed::Moved { from: before.commit, to: now.locked.commit }
                        }
                        (None, _) => Installed::Locked { commit: now.locked.commit },
                        (Some(_), true) => Installed::Fetched,
                        (Some(_), false) => Installed::Unchanged,
                    };
                    // What was fetched is on the disk: the lock file has to know it whatever comes next.
                    write_lock(root, &lock).map_err(|problem| vec![problem])?;
                    done.insert(source.clone(), what);
                }
                Err(problem) => {
                    failed.insert(source.clone());
                    problems.push(problem);
                }
            }
        }
    }
}

struct Package {
    locked: Locked,
    is_new: bool,
}

/// One package, fetched if it is not there as the lock file says.
fn package(root: &Path, source: &GitSource, locked: Option<&Locked>) -> Result<Package, Problem> {
    let directory = config::package_directory(root, source);
    if let Some(locked) = locked
        && directory.is_dir()
        && config::checksum(&directory).as_ref() == Ok(&locked.checksum)
    {
        return Ok(Package { locked: locked.clone(), is_new: false });
    }
    let failed = |why: String| {
        let detail = format!("{why} The address and the revision are in the `source` of the `module` block.");
        Problem::error("module-fetch-failed", format!("{source} cannot be fetched"), detail)
    };
    let io = |error: std::io::Error| failed(format!("{error}."));
    let above = directory.parent().unwrap_or(root);
    std::fs::create_dir_all(above).map_err(io)?;
    let work = tempfile::Builder::new().prefix(".fetch-").tempdir_in(above).map_err(io)?;
    let commit = fetch(work.path(), source, locked).map_err(failed)?;
    let files = work.path().join("files");
    let checksum = config::checksum(&files).map_err(|why| failed(format!("Its files cannot be used: {why}.")))?;
    if let Some(locked) = locked
        && (locked.checksum != checksum || locked.commit != commit)
    {
        let detail = format!(
            "{LOCK_FILE} says commit {} with {}; what came is commit {commit} with {checksum}. Somebody changed the \
             repository, or something on the way. If that is meant, run `larder init -upgrade`.",
            locked.commit, locked.checksum
        );
        return Err(Problem::error("module-changed", format!("{source} is not what it was"), detail));
    }
    if directory.exists() {
        std::fs::rename(&directory, work.path().join("old")).map_err(io)?;
    }
    std::fs::rename(&files, &directory).map_err(io)?;
    Ok(Package { locked: Locked { commit, checksum }, is_new: true })
}

/// Fetches a revision into `work/files`, without history and without `.git`; gives the commit.
fn fetch(work: &Path, source: &GitSource, locked: Option<&Locked>) -> Result<String, String> {
    let repository = work.join("repository");
    let files = work.join("files");
    std::fs::create_dir(&files).map_err(|error| format!("{error}."))?;
    let git = |arguments: &[&str]| git(&repository, &files, arguments);
    git(&["init", "--quiet", "--bare", "--template="])?;
    // The commit of the lock file, where a server gives commits by name; else the revision, which must be that commit.
    let by_commit = locked.is_some_and(|locked| {
        git(&["fetch", "--quiet", "--depth=1", "--no-tags", "--", &source.url, &locked.commit]).is_ok()
    });
    let mut wanted = "FETCH_HEAD^{commit}".to_owned();
    if !by_commit
        && let Err(why) = git(&["fetch", "--quiet", "--depth=1", "--no-tags", "--", &source.url, &source.revision])
    {
        // A shortened name of a commit is known only to who has the history.
        let is_short = source.revision.len() >= 7 && source.revision.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_short {
            return Err(why);
        }
        git(&["fetch", "--quiet", "--tags", "--", &source.url, "+refs/heads/*:refs/heads/*"])?;
        wanted = format!("{}^{{commit}}", source.revision);
    }
    let commit = git(&["rev-parse", "--verify", &wanted])?.trim().to_owned();
    let is_whole = config::is_commit(&source.revision);
    if is_whole && commit != source.revision {
        return Err(format!("The repository gave commit {commit} for it."));
    }
    git(&["--work-tree", &files.to_string_lossy(), "checkout", "--quiet", "--force", "--detach", &commit])?;
    Ok(commit)
}

/// Runs git in a repository of our own; the error is what it says.
fn git(repository: &Path, files: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    command
        .args(["-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false", "-c", "core.eol=lf"])
        .args(["-c", "core.symlinks=true", "-c", "advice.detachedHead=false", "-c", "gc.auto=0"])
        .arg("--git-dir")
        .arg(repository)
        .args(arguments)
        .current_dir(files)
        // Some protocols of git run programs that an address names.
        .env("GIT_ALLOW_PROTOCOL", "https:http:ssh:file")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped());
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_PARAMETERS"] {
        command.env_remove(name);
    }
    let output = command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "There is no program `git` here; install it.".to_owned(),
        _ => format!("git cannot be started: {error}."),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).take(6).collect();
    Err(format!("git says: {}.", said.join("; ").trim_end_matches('.')))
}

/// Replaces the lock file, where it changes; without packages there is none.
fn write_lock(root: &Path, lock: &Lock) -> Result<(), Problem> {
    let path = root.join(LOCK_FILE);
    let text = config::lock_text(lock);
    let said = |error: std::io::Error| {
        let detail = format!("{error}. Check the permissions of the directory.");
        Problem::error("unwritable-file", format!("{LOCK_FILE} cannot be written"), detail)
    };
    match std::fs::read_to_string(&path) {
        Ok(known) if known == text => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && lock.is_empty() => return Ok(()),
        _ => {}
    }
    let mut file = tempfile::Builder::new().prefix(".larder.lock.").tempfile_in(root).map_err(said)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(said)?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(readable).map_err(said)?;
    file.as_file().sync_all().map_err(said)?;
    file.persist(&path).map(drop).map_err(|error| said(error.error))
}
