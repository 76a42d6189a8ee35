//! Files with credentials for mount.cifs(8): compared on the host, by its shell alone, so that they are in no argument of a
//! process and in no answer.

use crate::model::{HostFacts, Question};

use super::{Known, failure};

/// Where they lie; the directory is root's alone.
pub const DIRECTORY: &str = "/etc/larder/credentials";

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    Absent,
    Same,
    Differ,
    /// Others than root may read or write it, whatever it holds.
    Exposed,
}

/// Asks whether a file holds exactly a text (a mark for the secret in it is enough).
pub fn question(path: &str, text: &str) -> Question {
    Question::new(["compare_credentials", path, text])
}

pub fn read(facts: &HostFacts, path: &str, text: &str) -> Known<Held> {
    let reply = facts.said(&question(path, text))?;
    match (reply.status, reply.out.trim_end()) {
        (0, "absent") => Ok(Held::Absent),
        (0, "same") => Ok(Held::Same),
        (0, "differ") => Ok(Held::Differ),
        (0, "exposed") => Ok(Held::Exposed),
        _ => Err(failure(&reply)),
    }
}

/// Where the former text is kept until the new one has proved itself. No address is written with a tilde.
pub fn kept(path: &str) -> String {
    format!("{path}~before")
}

/// The remote functions that write, put back and remove such a file.
pub const STEP_FUNCTIONS: [(&str, &str); 3] = [
    ("write_credentials", include_str!("write_credentials.sh")),
    ("restore_credentials", include_str!("restore_credentials.sh")),
    ("remove_credentials", include_str!("remove_credentials.sh")),
];
