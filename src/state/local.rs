//! The state as a file of the workstation, with its lock and the backup of the version before.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::State;
use super::file::{beside, open_private, replace, through_links};
use crate::model::{Problem, escape_line};

/// A state in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalState {
    pub path: PathBuf,
}

/// Who holds a lock, for whoever waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The user.
    pub who: String,
    /// The workstation.
    pub host: String,
    pub pid: u32,
    /// `plan`, `apply`, ...
    pub operation: String,
    /// RFC 3339.
    pub since: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Holder { who, host, pid, operation, since } = self;
        write!(f, "{who} on {host} (process {pid}, {operation}, since {since})")
    }
}

/// The lock of a state; freed when dropped, and by the kernel when the process ends however it ends.
#[derive(Debug)]
#[must_use]
pub struct StateLock {
    file: File,
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // The file stays: another process may be waiting on this very inode.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

impl LocalState {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        LocalState { path: path.into() }
    }

    /// The state; an empty one if there is no file.
    pub fn read(&self) -> Result<State, Problem> {
        Ok(self.stored()?.unwrap_or_default())
    }

    fn stored(&self) -> Result<Option<State>, Problem> {
        match std::fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.problem("state-unreadable", "cannot be read", &error)),
            Ok(text) => State::parse(&text).map(Some).map_err(|problem| self.mended(problem)),
        }
    }

    /// Takes the lock, waiting no longer than `timeout`.
    pub fn lock(&self, holder: &Holder, timeout: Duration) -> Result<StateLock, Problem> {
        let failed = |error| self.problem("state-not-locked", "cannot be locked", &error);
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(mut file) = self.try_lock(left).map_err(failed)? else { return Err(self.locked(timeout)) };
            if !self.is_current(&file).map_err(failed)? {
                // Somebody removed the file while we waited for its lock.
                continue;
            }
            let text = serde_json::to_string(holder).map_err(|error| failed(error.into()))?;
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(text.as_bytes()))
                .map_err(failed)?;
            return Ok(StateLock { file });
        }
    }

    /// Who holds the lock, in words for one line, if anybody does.
    pub fn holder(&self) -> Option<String> {
        let file = File::open(self.lock_path()).ok()?;
        if file.try_lock_shared().is_ok() {
            return None;
        }
        let mut text = String::new();
        let _ = file.take(64 << 10).read_to_string(&mut text);
        let holder: Option<Holder> = serde_json::from_str(&text).ok();
        Some(holder.map_or("another process".to_owned(), |holder| escape_line(&holder.to_string())))
    }

    /// Makes sure that nobody holds the lock, and forgets what a holder that died has written there. A lock that somebody
    /// holds is left alone: the kernel frees it when its process ends, and a second apply beside a living one is never safe.
    ///
    /// # Errors
    /// `state-locked`, with the holder.
    pub fn clear_lock(&self) -> Result<(), Problem> {
        let failed = |error| self.problem("state-not-locked", "cannot be unlocked", &error);
        match std::fs::symlink_metadata(self.lock_path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
            Ok(_) => {}
        }
        let Some(file) = self.try_lock(Duration::ZERO).map_err(failed)? else {
            return Err(self.locked(Duration::ZERO));
        };
        file.set_len(0).and_then(|()| file.unlock()).map_err(failed)
    }

    /// Writes the state, without secrets, as the next version of the one in the file, which becomes the backup. Refuses
    /// to overwrite a version that `state` does not come from. A state that did not change is not written.
    pub fn write(&self, state: &mut State) -> Result<(), Problem> {
        let stored = self.stored()?;
        let mut next = state.clone().without_secrets();
        if let Some(stored) = &stored {
            if stored.lineage != state.lineage || stored.serial != state.serial {
                return Err(Problem::error(
                    "state-conflict",
                    format!("the state in {} was written by somebody else in the meantime", self.path.display()),
                    format!(
                        "It has serial {} where {} was expected. Plan again; what was done on the hosts will be found.",
                        stored.serial, state.serial
                    ),
                ));
            }
            next.larder_version.clone_from(&stored.larder_version);
            if next == *stored {
                *state = next;
                return Ok(());
            }
        }
        next.format_version = super::FORMAT_VERSION;
        next.larder_version = env!("CARGO_PKG_VERSION").to_owned();
        next.lineage = next.lineage.or_else(|| Some(Uuid::new_v4()));
        next.serial = next.serial.saturating_add(1);
        let failed = |error| self.problem("state-not-written", "cannot be written", &error);
        if stored.is_some() {
            let previous = std::fs::read(&self.path).map_err(failed)?;
            replace(&self.backup_path(), &previous).map_err(failed)?;
        }
        let target = through_links(&self.path).map_err(failed)?;
        replace(&target, next.text().as_bytes()).map_err(failed)?;
        *state = next;
        Ok(())
    }

    fn lock_path(&self) -> PathBuf {
        beside(&self.path, ".lock")
    }

    fn backup_path(&self) -> PathBuf {
        beside(&self.path, ".backup")
    }

    /// The lock file with the lock on it; `None` if it is not to be had in that time.
    fn try_lock(&self, timeout: Duration) -> io::Result<Option<File>> {
        let file = open_private(&self.lock_path())?;
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if timeout.is_zero() => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
        }
        // The kernel wakes the waiter. If it comes too late, nobody takes the file, and the lock is free again.
        let (send, locked) = mpsc::channel();
        std::thread::spawn(move || {
            let result = file.lock().map(|()| file);
            let _ = send.send(result);
        });
        match locked.recv_timeout(timeout) {
            Ok(result) => result.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Whether the file is still the one by that name.
    fn is_current(&self, file: &File) -> io::Result<bool> {
        let held = file.metadata()?;
        match std::fs::symlink_metadata(self.lock_path()) {
            Ok(named) => Ok((named.dev(), named.ino()) == (held.dev(), held.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn locked(&self, timeout: Duration) -> Problem {
        let holder = self.holder().unwrap_or("another process, which has just ended".to_owned());
        Problem::error(
            "state-locked",
            format!("the state in {} is locked by {}", self.path.display(), holder),
            format!(
                "Waited {} s. Wait until that run has ended, or longer with -lock-timeout. The lock ends with its process, however that ends; nothing else frees it.",
                timeout.as_secs()
            ),
        )
    }

    fn problem(&self, code: &str, what: &str, error: &io::Error) -> Problem {
        let detail = match error.kind() {
            io::ErrorKind::PermissionDenied => "Run as the user that owns it, or choose another place for the state.",
            io::ErrorKind::StorageFull => "Make room there and run again.",
            _ => "Look at the path and at the file system that it lies on.",
        };
        Problem::error(code, format!("the state in {} {what}: {error}", self.path.display()), detail)
    }

    /// The problem of an unreadable text, with its place and the way out.
    fn mended(&self, mut problem: Problem) -> Problem {
        problem.summary = format!("{}: {}", self.path.display(), problem.summary);
        if problem.code == "state-invalid" {
            let backup = self.backup_path();
            let usable = std::fs::read(&backup).ok().and_then(|text| State::parse(&text).ok());
            let restore = match usable {
                Some(state) => format!(
                    "Restore the version before it (serial {}): `cp {} {}`. Or move",
                    state.serial,
                    quoted(&backup),
                    quoted(&self.path)
                ),
                None => "Restore it from version control or a backup. Or move".to_owned(),
            };
            problem.detail = format!(
                "{restore} the file away: Larder then adopts everything on the hosts that matches the configuration, and forgets what was removed from it."
            );
        }
        problem
    }
}

fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    shlex::try_quote(&text).map(|quoted| quoted.into_owned()).unwrap_or(text)
}
