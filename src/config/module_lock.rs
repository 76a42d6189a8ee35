//! The lock file of fetched modules: which commit each source meant when it was first fetched, and a checksum of its files.
//! Reads and compares; who fetches is somebody else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::module_source::GitSource;
use super::parse;
use super::source::{self, Sources};
use crate::model::{Problem, Problems};

/// The lock file, in the directory of the root. A hidden file is no configuration.
pub const LOCK_FILE: &str = ".larder.lock.hcl";

/// Where packages are, below the directory of the root.
pub(super) const PACKAGES: &str = ".larder/modules";

/// The largest package, in bytes and in files.
const LARGEST: u64 = 256 << 20;
const MOST_FILES: usize = 50_000;

/// What a source held when it was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The whole name of the commit.
    pub commit: String,
    /// `sha256:...` over the files; see [`checksum`].
    pub checksum: String,
}

/// What each source is locked to, by the source as it is written.
pub type Lock = BTreeMap<String, Locked>;

/// The directory of a package below that of the root.
pub fn package_directory(root: &Path, source: &GitSource) -> PathBuf {
    let name = hex(&Sha256::digest(source.to_string().as_bytes()));
    root.join(PACKAGES).join(&name[..16])
}

/// Reads the lock file; none is an empty one.
///
/// # Errors
/// What is wrong with the file. A lock that cannot be read is not an empty one.
pub fn read_lock(root: &Path) -> Result<Lock, Problems> {
    let bytes = match super::source::read_file(&root.join(LOCK_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Lock::new()),
        Err(error) => {
            let detail = format!("{error}. Check its permissions.");
            return Err(vec![Problem::error("unreadable-file", format!("{LOCK_FILE} cannot be read"), detail)]);
        }
    };
    let (source, problem) = source::decode(LOCK_FILE, bytes);
    let mut sources = Sources::default();
    let file = sources.add(source);
    let (body, mut problems) = parse::file(&sources, file);
    problems.extend(problem);
    let mut lock = Lock::new();
    for block in &body.blocks {
        let text = |name: &str| {
            block.body.attribute(name).and_then(|attribute| attribute.value.literal_text()).map(|text| text.to_string())
        };
        match (block.word.as_ref(), block.labels.as_slice(), text("commit"), text("checksum")) {
            ("module", [(name, _)], Some(commit), Some(checksum))
                if is_commit(&commit) && !lock.contains_key(name.as_ref()) =>
            {
                lock.insert(name.to_string(), Locked { commit, checksum });
            }
            _ => problems.push(
                Problem::error(
                    "invalid-lock",
                    format!("{LOCK_FILE} holds a block that is no entry"),
                    "`larder init` writes this file. Take it back from version control, or remove the block and run \
                     `larder init` again.",
                )
                .at(sources.place(block.header).as_ref()),
            ),
        }
    }
    if problems.is_empty() { Ok(lock) } else { Err(problems) }
}

/// Whether a text is the whole name of a commit (SHA-1 or SHA-256).
pub fn is_commit(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The lock file's text.
pub fn lock_text(lock: &Lock) -> String {
    let mut text = "# Written by `larder init`: what each source of a module held when it was first fetched.\n\
                    # Keep this file under version control.\n"
        .to_owned();
    for (source, locked) in lock {
        // A source holds no characters that a quoted text could not.
        let source = source.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${").replace("%{", "%%{");
        write!(
            text,
            "\nmodule \"{source}\" {{\n  commit   = \"{}\"\n  checksum = \"{}\"\n}}\n",
            locked.commit, locked.checksum
        )
        .expect("a String takes any text");
    }
    text
}

/// A checksum over the names and contents of all files of a package: SHA-256 of one line for each file, in the order of
/// names, with its kind (`file`, `program`, `link`), the SHA-256 of its content (for a link, of where it leads) and its name.
///
/// # Errors
/// A sentence: what cannot be read, links that lead out of the package, and packages beyond reason.
pub fn checksum(package: &Path) -> Result<String, String> {
    let mut lines = BTreeMap::new();
    let mut open = vec![(PathBuf::new(), package.to_path_buf())];
    let mut size = 0;
    let said = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    while let Some((name, directory)) = open.pop() {
        for entry in std::fs::read_dir(&directory).map_err(|error| said(&directory, error))? {
            let entry = entry.map_err(|error| said(&directory, error))?;
            let (name, path) = (name.join(entry.file_name()), entry.path());
            let found = entry.metadata().map_err(|error| said(&path, error))?;
            let (kind, content) = if found.is_dir() {
                open.push((name, path));
                continue;
            } else if found.is_symlink() {
                let to = std::fs::read_link(&path).map_err(|error| said(&path, error))?;
                // Links may lead through links; what leads nowhere can only be told by how it is written.
                let is_outside = match (path.canonicalize(), package.canonicalize()) {
                    (Ok(to), Ok(package)) => !to.starts_with(package),
                    _ => false,
                };
                if is_outside || leads_out(&name, &to) {
                    return Err(format!("{} is a link that leads out of the package", name.display()));
                }
                ("link", to.into_os_string().into_encoded_bytes())
            } else if found.is_file() {
                size += found.len();
                if size > LARGEST {
                    return Err("the package is larger than 256 MiB".to_owned());
                }
                let kind = match std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o100 {
                    0 => "file",
                    _ => "program",
                };
                (kind, std::fs::read(&path).map_err(|error| said(&path, error))?)
            } else {
                return Err(format!("{} is no file, directory or link", name.display()));
            };
            let mut line = format!("{kind} {} ", hex(&Sha256::digest(&content))).into_bytes();
            line.extend(name.as_os_str().as_encoded_bytes());
            // No name holds a zero byte.
            line.push(0);
            lines.insert(name, line);
            if lines.len() > MOST_FILES {
                return Err(format!("the package has more than {MOST_FILES} files"));
            }
        }
    }
    let mut whole = Sha256::new();
    lines.values().for_each(|line| whole.update(line));
    Ok(format!("sha256:{}", hex(&whole.finalize())))
}

/// Whether a link with this name, from the top of the package, leads out of it as it is written.
fn leads_out(name: &Path, to: &Path) -> bool {
    let mut depth = name.components().count() as i64 - 1;
    for step in to.components() {
        match step {
            std::path::Component::ParentDir => depth -= 1,
            std::path::Component::Normal(_) => depth += 1,
            std::path::Component::CurDir => {}
            _ => return true,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_read_as_it_is_written() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(read_lock(directory.path()), Ok(Lock::new()));
        let locked = Locked { commit: "0123456789abcdef0123456789abcdef01234567".into(), checksum: "sha256:ab".into() };
        let lock = Lock::from([("git::file:///a${b}%{\"c\\?ref=v1".to_owned(), locked)]);
        std::fs::write(directory.path().join(LOCK_FILE), lock_text(&lock)).expect("a file");
        assert_eq!(read_lock(directory.path()), Ok(lock));
        for broken in
            ["module \"a\" {\n}\n", "module \"a\" {\n  commit = \"x\"\n  checksum = \"y\"\n}\n", "x {", "\u{0}"]
        {
            std::fs::write(directory.path().join(LOCK_FILE), broken).expect("a file");
            assert!(read_lock(directory.path()).is_err(), "{broken}");
        }
    }

    #[test]
    fn any_change_of_a_package_changes_its_checksum() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("sub")).expect("a directory");
        std::fs::write(at("sub/a.hcl"), "x").expect("a file");
        symlink("a.hcl", at("sub/link")).expect("a link");
        let mut seen = vec![checksum(directory.path()).expect("a checksum")];
        assert_eq!(checksum(directory.path()).as_ref(), Ok(&seen[0]));
        let mut changed = |change: &dyn Fn()| {
            change();
            let now = checksum(directory.path()).expect("a checksum");
            assert!(!seen.contains(&now));
            seen.push(now);
        };
        changed(&|| std::fs::write(at("sub/a.hcl"), "y").expect("a file"));
        changed(&|| std::fs::rename(at("sub/a.hcl"), at("sub/b.hcl")).expect("a new name"));
        changed(&|| std::fs::set_permissions(at("sub/b.hcl"), std::fs::Permissions::from_mode(0o755)).expect("a mode"));
        changed(&|| {
            std::fs::remove_file(at("sub/link")).expect("no link");
            symlink("b.hcl", at("sub/link")).expect("a link");
        });
        changed(&|| std::fs::write(at("new"), "").expect("a file"));
        // Each of the two stays inside as it is written.
        std::fs::create_dir_all(at("a/b/c")).expect("directories");
        symlink("../../..", at("a/b/c/top")).expect("a link");
        assert!(checksum(directory.path()).is_ok());
        symlink("a/b/c/top/../..", at("far")).expect("a link");
        assert!(checksum(directory.path()).is_err());
        std::fs::remove_file(at("far")).expect("no link");
        symlink("../../etc", at("sub/out")).expect("a link");
        assert!(checksum(directory.path()).is_err());
    }
}
