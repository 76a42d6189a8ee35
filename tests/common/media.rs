//! Files of the workstation that tests upload, and runs of the binary that are watched while they do.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Run, Site};

impl Site {
    /// Where the source of media lies on the workstation.
    pub fn source(&self) -> PathBuf {
        self.path().join("iso/debian.iso")
    }

    /// Makes it a file of so many bytes that nobody can guess.
    #[track_caller]
    pub fn write_source(&self, bytes: usize) {
        std::fs::create_dir_all(self.path().join("iso")).expect("a directory");
        let words = ["-c", "head -c \"$1\" /dev/urandom >\"$2\"", "sh", &bytes.to_string()];
        assert!(Command::new("sh").args(words).arg(self.source()).status().expect("it runs").success());
    }

    /// The SHA-256 of it.
    #[track_caller]
    pub fn source_digest(&self) -> String {
        let output = Command::new("sha256sum").arg(self.source()).output().expect("it runs");
        String::from_utf8(output.stdout).expect("a text")[..64].to_owned()
    }

    /// The SHA-256 of a file of a host.
    #[track_caller]
    pub fn digest_on(&self, host: &str, path: &str) -> String {
        self.sh(host, &format!("sha256sum {path}"))[..64].to_owned()
    }

    /// Runs the binary; gives the most memory that it had, in KiB, beside what it said.
    pub fn watched(&self, arguments: &[&str]) -> (Run, u64) {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let status = format!("/proc/{}/status", child.id());
        let mut most = 0;
        while child.try_wait().expect("our own child").is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            most = most.max(now.unwrap_or(0));
            std::thread::yield_now();
        }
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (Run { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }, most)
    }
}
