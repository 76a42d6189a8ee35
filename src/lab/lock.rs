//! A lock on a file, waited for with a bound. Whoever deletes a locked file locks in vain, so the holder checks that the
//! file it locked is the one that has the name.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::run::file_problem;
use crate::model::Problem;

/// Longer than it takes to start many hosts on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until nobody else holds the lock and takes it, until the file is closed.
pub(super) fn exclusive(path: &Path) -> Result<File, Problem> {
    let end = Instant::now() + PATIENCE;
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| file_problem("open", path, &error))?;
        match file.try_lock() {
            Ok(()) if has_name(&file, path) => return Ok(file),
            Ok(()) => continue,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(file_problem("lock", path, &error)),
        }
        if Instant::now() > end {
            return Err(Problem::error(
                "lab-busy",
                format!("another command has been at work on this lab for {} s", PATIENCE.as_secs()),
                format!("Wait for it, or find it with `fuser -v {}`.", path.display()),
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn has_name(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(locked), Ok(named)) => locked.ino() == named.ino() && locked.dev() == named.dev(),
        _ => false,
    }
}
