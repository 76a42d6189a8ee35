//! One step of a plan, as plain data. What is shown, reviewed, journalled, run and undone is this struct.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::facts::Question;
use super::hazard::HazardCode;
use super::host::HostName;

/// `ADDRESS@HOST/ACTION`, unique within a plan.
pub type StepId = String;

/// The exact command of a step. Its first word is a program or one of the plan's remote functions;
/// the others are values and reach the host as values, never as shell syntax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub argv: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// A file of the workstation that the command reads from its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
}

/// A file of the workstation as it was when the plan was made. A plan never holds its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Relative to the directory of the configuration.
    pub path: String,
    pub bytes: u64,
    /// In hexadecimal digits.
    pub sha256: String,
}

impl Command {
    pub fn new<I, S>(words: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Command { argv: words.into_iter().map(Into::into).collect(), stdin: None, upload: None }
    }

    /// Stands for a text that each apply draws anew, the same in all of its steps: what no host can have seen before.
    pub const DRAWN: &str = "\u{1}drawn\u{1}";

    /// The command with what was drawn in its place.
    pub fn with_drawn(&self, drawn: &str) -> Command {
        let argv = self.argv.iter().map(|word| if word == Self::DRAWN { drawn.to_owned() } else { word.clone() });
        Command { argv: argv.collect(), ..self.clone() }
    }

    /// The same command with this text on its standard input.
    pub fn with_stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// The same command with this file on its standard input.
    pub fn with_upload(mut self, file: Upload) -> Self {
        self.upload = Some(file);
        self
    }
}

/// A fact that a step relies on: the question, asked again on the host just before the step, and the answer that
/// the plan was made with. Questions used as guards print nothing that changes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// What the question is about, for the message "WHAT was A, is B".
    pub what: String,
    pub ask: Question,
    pub status: i32,
    pub out: String,
}

/// What guests on the host feel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    None,
    IoPause,
    Remount,
    Offline,
}

/// How a step is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inverse {
    By(Command),
    /// There is no way back, and why.
    None(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub id: StepId,
    pub address: Address,
    pub host: HostName,
    /// One word: `mkdir`, `fstab`, `mount`, `chown`, `format`, `create`, ...
    pub action: String,
    /// What it does, for people.
    pub summary: String,
    pub command: Command,
    pub guard: Vec<Guard>,
    /// Steps that must have succeeded before this one starts.
    pub after: Vec<StepId>,
    pub impact: Impact,
    pub inverse: Inverse,
    /// Taken back by its inverse when a later step of the same placement fails in the same apply.
    pub rolls_back: bool,
    /// Runs when the steps before it have ended or cannot run any more, if the one of its own placement was done: it cleans up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cleans_up: bool,
    pub hazards: Vec<HazardCode>,
}
