//! What an apply tells while it runs, and what it did when it is over: plain data that every view reads.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::model::{Address, HostName, StepId};

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Outcome {
    Done,
    /// It ran and did not succeed; what the host said about it.
    Failed {
        message: String,
    },
    /// Not run: the host is not as it was when the plan was made.
    Changed {
        what: String,
        was: String,
        is: String,
    },
    /// Nobody knows whether it ran.
    Unknown {
        why: String,
    },
    NotStarted {
        why: String,
    },
    /// It ran, and its inverse took it back.
    RolledBack,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    pub id: StepId,
    pub address: Address,
    pub host: HostName,
    pub action: String,
    pub summary: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// An attribute that is not as wanted although every step of its placement was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    pub address: Address,
    pub host: HostName,
    pub attribute: String,
    pub have: String,
    pub want: String,
}

/// The end of an apply: every step of the plan, in the plan's order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// The hash of the plan.
    pub plan: String,
    pub steps: Vec<StepReport>,
    /// What was read again after the steps, and differs.
    pub leftovers: Vec<Leftover>,
    /// What could not be read again, and why.
    pub unverified: Vec<(HostName, String)>,
    /// Hosts that the plan is not about, because they did not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreachable: Vec<HostName>,
    /// Placements that can be decided only now: another run does them.
    pub waiting: usize,
    /// What the state has to say of it, beside what the steps did.
    pub recorded: Recorded,
    /// How it was asked for: what leads on has to be asked for alike.
    #[serde(default)]
    pub asked: Asked,
    /// Somebody stopped it.
    pub interrupted: bool,
    #[serde(rename = "elapsed_ms", with = "millis")]
    pub elapsed: Duration,
}

/// What an apply changed in the state and on no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recorded {
    /// Resources that have another address.
    pub moved: usize,
    /// Resources that matched and are ours now.
    pub adopted: usize,
    /// Resources that are ours no longer.
    pub forgotten: usize,
    pub outputs: usize,
}

/// The command line of an apply, less what is about this one run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Asked {
    pub is_destroy: bool,
    /// It carried out a plan file, which does not tell the values of variables that it was made with.
    #[serde(default)]
    pub of_file: bool,
    /// Options before the command: `-chdir=DIR`.
    pub global: Vec<String>,
    /// Options after it: `-target`, `-var`.
    pub options: Vec<String>,
}

impl Report {
    /// Whether everything was done and found to be as wanted.
    pub fn is_successful(&self) -> bool {
        self.steps.iter().all(|step| step.outcome == Outcome::Done)
            && self.leftovers.is_empty()
            && self.unverified.is_empty()
    }
}

/// What happens during an apply, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    Started {
        /// The hash of the plan.
        plan: String,
        steps: usize,
        hosts: Vec<HostName>,
    },
    StepStarted {
        id: StepId,
        host: HostName,
        summary: String,
    },
    /// How far a long step is.
    StepProgress {
        id: StepId,
        bytes: u64,
        of: u64,
    },
    StepEnded {
        id: StepId,
        #[serde(flatten)]
        outcome: Outcome,
        #[serde(rename = "elapsed_ms", serialize_with = "millis::serialize")]
        elapsed: Duration,
    },
    /// The host is read again.
    Verifying {
        host: HostName,
    },
    Note {
        text: String,
    },
    Ended {
        successful: bool,
    },
}

mod millis {
    use super::{Deserialize, Duration, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
