//! What an apply tells while it runs and when it has ended. Consumers are the view and the journal; apply itself prints nothing.

use std::time::Duration;

use serde::Serialize;

use crate::model::{Address, HostName, StepId};

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum StepResult {
    Done,
    Failed {
        message: String,
    },
    /// Not run: the host had changed since the plan.
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
    /// It ran, and was taken back because a later step of the same placement failed.
    RolledBack,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepReport {
    pub id: StepId,
    pub address: Address,
    pub host: HostName,
    pub action: String,
    pub summary: String,
    #[serde(flatten)]
    pub result: StepResult,
}

/// Something that happens during an apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    StepStarted {
        id: StepId,
        host: HostName,
        summary: String,
    },
    StepEnded {
        id: StepId,
        #[serde(flatten)]
        result: StepResult,
        elapsed: Duration,
    },
    Note {
        message: String,
    },
}
