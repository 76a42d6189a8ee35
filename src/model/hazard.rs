//! The dangers that a plan refuses until somebody accepts them, and those that nobody can accept.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::host::HostName;

/// The stable codes of hazards, with what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HazardCode {
    NotBlank,
    DeviceDiffers,
    InUse,
    Shrink,
    NotShared,
    HostUnknown,
    Unresponsive,
    WrongSource,
    Foreign,
    BackingInUse,
    Unsupported,
    Protected,
    Renamed,
    NothingToImport,
    Capacity,
    HidesData,
    DataLoss,
    NoAccess,
    SplitBrain,
    SlowAllocation,
    BootRisk,
    PathLost,
    SameInitiator,
    TooMuch,
    NeedsOffline,
    Unreachable,
    FencingRisk,
}

/// How far acceptance reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    Never,
    Possible,
    /// A warning: it stops nothing.
    NotNeeded,
}

/// One row of the table of hazards: the code as people type it, acceptance, what it means.
struct Row(HazardCode, &'static str, Acceptance, &'static str);

const TABLE: &[Row] = {
    use Acceptance::*;
    use HazardCode::*;
    &[
        Row(NotBlank, "not-blank", Never, "a device that would be formatted is not provably blank"),
        Row(
            DeviceDiffers,
            "device-differs",
            Never,
            "the device is missing, not a block device, or not the same on every member host",
        ),
        Row(InUse, "in-use", Never, "a process holds a file open there"),
        Row(Shrink, "shrink", Never, "the image is larger than the configuration wants it"),
        Row(NotShared, "not-shared", Never, "the member hosts do not see the same storage"),
        Row(HostUnknown, "host-unknown", Never, "a member host could not be asked"),
        Row(Unresponsive, "unresponsive", Never, "the storage does not answer"),
        Row(WrongSource, "wrong-source", Never, "something else is mounted or stands in that place"),
        Row(Foreign, "foreign", Never, "the object is managed by another configuration"),
        Row(BackingInUse, "backing-in-use", Never, "overlays depend on the image"),
        Row(
            Unsupported,
            "unsupported",
            Never,
            "the host lacks a program, a user or a kernel feature that the step needs",
        ),
        Row(
            Protected,
            "protected",
            Never,
            "`lifecycle { prevent_destroy = true }` was set when the object was last applied",
        ),
        Row(
            Renamed,
            "renamed",
            Never,
            "the state has the object under another address, and no `moved` statement says so",
        ),
        Row(NothingToImport, "nothing-to-import", Never, "`import` takes over what exists, and it does not"),
        Row(Capacity, "capacity", Possible, "the file system has not enough room for all that the plan writes"),
        Row(HidesData, "hides-data", Possible, "mounting would hide what is in the directory"),
        Row(DataLoss, "data-loss", Possible, "data would be deleted or left behind"),
        Row(NoAccess, "no-access", Possible, "the qemu user cannot use it"),
        Row(SplitBrain, "split-brain", Possible, "two halves of the storage could diverge"),
        Row(
            SlowAllocation,
            "slow-allocation",
            NotNeeded,
            "the file system cannot reserve space; allocation writes every byte",
        ),
        Row(BootRisk, "boot-risk", NotNeeded, "the host might not boot when the storage is missing"),
        Row(PathLost, "path-lost", NotNeeded, "one of several paths to the storage does not work"),
        Row(SameInitiator, "same-initiator", Never, "two hosts have one iSCSI name"),
        Row(NeedsOffline, "needs-offline", Never, "the change is possible only while the whole cluster is offline"),
        Row(Unreachable, "unreachable", Never, "a host of a cluster does not reach another one on the cluster's port"),
        Row(
            FencingRisk,
            "fencing-risk",
            NotNeeded,
            "a host of a cluster might hang, or be reset, where that need not be",
        ),
        Row(TooMuch, "too-much", Never, "the plan destroys more than `apply { max_destroy }` allows"),
    ]
};

impl HazardCode {
    /// All codes, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = HazardCode> {
        TABLE.iter().map(|row| row.0)
    }

    fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.0 == self).expect("each code has its row")
    }

    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    pub fn acceptance(self) -> Acceptance {
        self.row().2
    }

    /// One sentence for `explain` and the documentation.
    pub fn meaning(self) -> &'static str {
        self.row().3
    }

    pub fn parse(text: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == text).map(|row| row.0)
    }
}

impl std::fmt::Display for HazardCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A danger of one plan, at one resource and, mostly, one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hazard {
    pub code: HazardCode,
    pub address: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// What is wrong there, and with what.
    pub message: String,
    /// What to do about it.
    pub cure: String,
    pub accepted: bool,
    pub can_be_accepted: bool,
}

impl Hazard {
    pub fn new(
        code: HazardCode,
        address: &Address,
        host: Option<&HostName>,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Hazard {
            code,
            address: address.clone(),
            host: host.cloned(),
            message: message.into(),
            cure: cure.into(),
            accepted: false,
            can_be_accepted: code.acceptance() == Acceptance::Possible,
        }
    }

    /// Whether apply must refuse because of it.
    pub fn blocks(&self) -> bool {
        !self.accepted && self.code.acceptance() != Acceptance::NotNeeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_one_text_in_every_place() {
        for code in HazardCode::all() {
            assert_eq!(serde_json::to_value(code).expect("a text"), code.as_str());
            assert_eq!(HazardCode::parse(code.as_str()), Some(code));
        }
    }
}
