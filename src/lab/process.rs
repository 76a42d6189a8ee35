//! The first process of a namespace host, told from any other that got its number later: by the boot of the machine
//! and the start time. It is the only process that a lab ends; the kernel ends the others of the host with it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::run::file_problem;
use crate::model::Problem;

/// A running PID 1 of a host, held by a descriptor, so that its number cannot become that of another process.
#[derive(Debug)]
pub(super) struct FirstProcess {
    pub(super) pid: i32,
    descriptor: OwnedFd,
}

impl FirstProcess {
    /// The process that the file records, if it still runs. The file holds `BOOT-ID PID START-TIME`.
    pub(super) fn recorded(path: &Path) -> Result<Option<Self>, Problem> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_problem("read", path, &error)),
        };
        let [boot, pid, start] = text.split_whitespace().collect::<Vec<_>>()[..] else { return Ok(None) };
        let Some(number) = pid.parse().ok().and_then(Pid::from_raw) else { return Ok(None) };
        if machine_boot()? != boot {
            return Ok(None);
        }
        let descriptor = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(cannot("be looked at", pid, error)),
        };
        // Asked after the descriptor was opened: from here on the number cannot pass to another process.
        match stat(pid) {
            Some((state, started)) if started == start && !matches!(state, 'Z' | 'X') => {
                Ok(Some(FirstProcess { pid: number.as_raw_nonzero().get(), descriptor }))
            }
            _ => Ok(None),
        }
    }

    /// Ends the process, and by that all of its host, and waits until it is gone.
    pub(super) fn end(self) -> Result<(), Problem> {
        let pid = self.pid.to_string();
        let Some((_, start)) = stat(&pid) else { return Ok(()) };
        match pidfd_send_signal(&self.descriptor, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(cannot("be ended", &pid, error)),
        }
        // A process that hangs in the kernel dies late, or never: a host with a dead network mount, for example.
        let end = Instant::now() + Duration::from_secs(20);
        while stat(&pid).is_some_and(|(state, started)| started == start && !matches!(state, 'Z' | 'X')) {
            if Instant::now() > end {
                return Err(Problem::error(
                    "lab-host-hangs",
                    format!("process {pid}, the first of a lab host, does not end"),
                    "A process of the host hangs in the kernel, most likely on a network mount whose server is gone. \
                     Bring the server back, or wait, and run `larder lab down` again.",
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// State and start time, fields 3 and 22 of /proc/PID/stat. The name, field 2, may itself hold blanks and brackets.
fn stat(pid: &str) -> Option<(char, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.to_owned()))
}

fn machine_boot() -> Result<String, Problem> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let text = fs::read_to_string(path).map_err(|error| file_problem("read", path, &error))?;
    Ok(text.trim().to_owned())
}

fn cannot(doing: &str, pid: &str, error: rustix::io::Errno) -> Problem {
    Problem::error(
        "lab-process",
        format!("process {pid}, the first of a lab host, cannot {doing}: {error}"),
        "Run the command as the user who started the lab (root or with sudo).",
    )
}
