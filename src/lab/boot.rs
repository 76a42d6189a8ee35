//! Waiting for a host to boot, and its last words if it does not.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use super::HostRecord;
use super::run::file_problem;
use crate::model::Problem;

/// Longer than `mount -a` may take in a booting host.
const PATIENCE: Duration = Duration::from_secs(90);

/// A log of a host, to append to.
pub(super) fn log(dir: &Path, name: &str) -> Result<File, Problem> {
    let path = dir.join(name);
    OpenOptions::new().create(true).append(true).open(&path).map_err(|error| file_problem("open", &path, &error))
}

/// Waits until sshd has said that it listens, since its log had this length. Asked of the log rather than by a
/// connection, because tests count connections.
pub(super) fn wait(
    host: &HostRecord,
    dir: &Path,
    since: u64,
    runs: impl Fn() -> Result<bool, Problem>,
) -> Result<(), Problem> {
    let end = Instant::now() + PATIENCE;
    while !is_listening(&dir.join("sshd.log"), since)? {
        if Instant::now() > end || !runs()? {
            return Err(failed(host, dir));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn is_listening(log: &Path, since: u64) -> Result<bool, Problem> {
    let read = || {
        let mut text = Vec::new();
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(since))?;
        file.read_to_end(&mut text)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&text).contains("Server listening on "))
    };
    read().map_err(|error| file_problem("read", log, &error))
}

/// The problem of a host that did not boot.
pub(super) fn failed(host: &HostRecord, dir: &Path) -> Problem {
    let last_lines = |name: &str| {
        let text = fs::read(dir.join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    };
    let said = format!("{}\n{}", last_lines("boot.log"), last_lines("sshd.log"));
    Problem::error(
        "lab-host-failed",
        format!("the lab host `{}` did not come up", host.name),
        format!("Last words:\n{}\nAll of them: {}", said.trim(), dir.display()),
    )
}
