//! Files of the workstation that must survive a crash: replaced as a whole, on disk when the call returns. Those that are
//! Larder's own are private to the user.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

/// The path with a suffix: `STATE.backup`, `STATE.lock`, `STATE.journal`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens a private file for reading and writing, and makes it and its directories if they are missing. A symbolic link
/// in its place is refused: whoever put it there would choose what we write to. So is everything else that is no file.
pub fn open_private(path: &Path) -> io::Result<File> {
    std::fs::create_dir_all(directory(path))?;
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).write(true).truncate(false).mode(0o600).custom_flags(no_follow);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            sync_directory(path)?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match std::fs::symlink_metadata(path)?.is_file() {
                true => options.open(path),
                false => Err(io::Error::other("it is not a regular file")),
            }
        }
        Err(error) => Err(error),
    }
}

/// Puts these bytes in the place of the file, at once: whoever reads finds all of the old or all of the new. The file has
/// mode 0600. A link is replaced, not followed.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(directory(path))?;
    let mut new = tempfile::NamedTempFile::new_in(directory(path))?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    sync_directory(path)
}

/// Puts other bytes into a file of the user's, at once. Links are followed; mode, owner and group stay.
///
/// # Errors
/// The file no longer holds the `old` bytes, may not be written, or its owner cannot be kept. It is left as it is.
pub fn rewrite(path: &Path, old: &[u8], new: &[u8]) -> io::Result<()> {
    let path = through_links(path)?;
    // Whoever may replace a file need not be allowed to write it.
    let metadata = OpenOptions::new().write(true).open(&path)?.metadata()?;
    let mut file = tempfile::NamedTempFile::new_in(directory(&path))?;
    file.write_all(new)?;
    let own = file.as_file().metadata()?;
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()))?;
    }
    file.as_file().set_permissions(metadata.permissions())?;
    file.as_file().sync_all()?;
    if std::fs::read(&path)? != old {
        return Err(io::Error::other("it was changed meanwhile"));
    }
    file.persist(&path).map_err(|error| error.error)?;
    sync_directory(&path)
}

/// Where a path leads, through symbolic links at its end; the last one need not exist.
pub fn through_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    // As many as the kernel follows.
    for _ in 0..40 {
        match std::fs::read_link(&path) {
            Ok(target) => path = directory(&path).join(target),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}
