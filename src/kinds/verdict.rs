//! What a kind concludes for one resource on one host: how it stands, what differs, and the remedy of each difference.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Address, Command, Guard, Hazard, HazardCode, HostName, Impact, Inverse};

/// How a resource stands on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// There is nothing of it.
    #[default]
    Absent,
    /// It exists, whole or in part.
    Present,
    /// It cannot be judged before other steps of the plan have run, and why.
    Later(String),
    /// Nobody knows, and why.
    Unknown(String),
}

/// One step before the plan gives it a name and a place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub action: &'static str,
    pub summary: String,
    pub command: Command,
    pub guard: Vec<Guard>,
    pub impact: Impact,
    pub inverse: Inverse,
    pub rolls_back: bool,
    pub hazards: Vec<HazardCode>,
    pub edit: Option<Edit>,
    /// The step destroys or changes something that all members share: no member may be unknown.
    pub needs_all_members: bool,
    /// It takes something away: it counts for `max_destroy`.
    pub destroys: bool,
    /// The witness of the [`Proof`] that it is part of: all steps of its placement come after what that one does first.
    pub hears: Option<HostName>,
    /// Steps of a later stage wait for those of all earlier ones, on every host of the resource. Within a placement stages only rise.
    pub stage: u8,
    /// It comes last of its placement, and that it fails is no reason to take anything back.
    pub cleans_up: bool,
}

impl Draft {
    /// A step without guard, impact or way back; the other methods add them.
    pub fn new(action: &'static str, summary: impl Into<String>, command: Command) -> Self {
        Draft {
            action,
            summary: summary.into(),
            command,
            guard: Vec::new(),
            impact: Impact::None,
            inverse: Inverse::None("it only reads".to_owned()),
            rolls_back: false,
            hazards: Vec::new(),
            edit: None,
            needs_all_members: false,
            destroys: false,
            hears: None,
            stage: 0,
            cleans_up: false,
        }
    }

    pub fn guarded(mut self, guard: impl IntoIterator<Item = Guard>) -> Self {
        self.guard.extend(guard);
        self
    }

    pub fn with_impact(self, impact: Impact) -> Self {
        Draft { impact, ..self }
    }

    pub fn undone_by(self, command: Command) -> Self {
        Draft { inverse: Inverse::By(command), ..self }
    }

    pub fn without_inverse(self, why: impl Into<String>) -> Self {
        Draft { inverse: Inverse::None(why.into()), ..self }
    }

    /// Taken back when a later step of the same placement fails.
    pub fn rolling_back(self) -> Self {
        Draft { rolls_back: true, ..self }
    }

    pub fn editing(self, edit: Edit) -> Self {
        Draft { edit: Some(edit), ..self }
    }

    pub fn needing_all_members(self) -> Self {
        Draft { needs_all_members: true, ..self }
    }

    pub fn destroying(self) -> Self {
        Draft { destroys: true, ..self }
    }

    pub fn in_stage(self, stage: u8) -> Self {
        Draft { stage, ..self }
    }

    pub fn cleaning_up(self) -> Self {
        Draft { cleans_up: true, ..self }
    }

    pub fn hearing(self, witness: &HostName) -> Self {
        Draft { hears: Some(witness.clone()), ..self }
    }
}

/// How members prove to each other that they have one storage. Nothing of the witness is different afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    pub witness: HostName,
    /// What it does before all steps of the others and after its own.
    pub opens: Draft,
    /// What it does behind them, whatever came of theirs.
    pub closes: Draft,
    /// What each of the others does between them.
    pub heard: BTreeMap<HostName, Difference>,
}

/// An edit of a text file on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Some lines of a file that others edit too.
    Lines { path: Cow<'static, str>, remove: Vec<String>, insert: Option<String> },
    /// A file that is written or removed as a whole; no text is no file.
    Whole { path: String, before: String, after: String },
}

/// What is done about a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    Run(Vec<Draft>),
    /// Refused until the hazard is accepted; then these steps.
    Ask(Hazard, Vec<Draft>),
    /// Refused for good.
    Never(Hazard),
    /// Nothing on the host: only what the state says is to follow.
    Record,
}

/// One attribute that is not as wanted, with its remedy beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub attribute: String,
    pub have: String,
    pub want: String,
    pub remedy: Remedy,
}

impl Difference {
    pub fn new(attribute: &str, have: impl Into<String>, want: impl Into<String>, remedy: Remedy) -> Self {
        Difference { attribute: attribute.to_owned(), have: have.into(), want: want.into(), remedy }
    }

    /// The steps that mend it, in order.
    pub fn drafts(&self) -> &[Draft] {
        match &self.remedy {
            Remedy::Run(drafts) | Remedy::Ask(_, drafts) => drafts,
            Remedy::Never(_) | Remedy::Record => &[],
        }
    }
}

/// Room that a step takes in a file system, before it is known whether all steps together find enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The file system; resources with the same name on the same host (or on any host, if it is shared) share its room.
    pub filesystem: String,
    /// The path by which people know it.
    pub at: String,
    /// Bytes free now (or after the steps that make it); `None` if nobody knows.
    pub free: Option<u64>,
    pub free_inodes: Option<u64>,
    /// Bytes that are reserved for certain.
    pub bytes: u64,
    /// Bytes that guests may come to use later.
    pub promised: u64,
    pub inodes: u64,
    /// What one-time work the allocation is, where the file system cannot reserve.
    pub shared: bool,
}

/// The conclusion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    pub standing: Standing,
    /// In the order in which their remedies run.
    pub differences: Vec<Difference>,
    /// Dangers that have no remedy here.
    pub hazards: Vec<Hazard>,
    /// Attribute -> value now, for drift and for the state.
    pub observed: BTreeMap<String, String>,
    /// What to remember in the state when the steps have run (merged over what is remembered already).
    pub memory: BTreeMap<String, String>,
    /// Addresses of before that the host still carries, although nothing is to be done about it.
    pub formerly: BTreeSet<Address>,
    pub needs: Vec<Need>,
    /// What the resource must have to itself on the host, by names that two of them would share: `the device 8:16`.
    pub claims: Vec<String>,
}

impl Verdict {
    pub fn unknown(why: impl Into<String>) -> Self {
        Verdict { standing: Standing::Unknown(why.into()), ..Verdict::default() }
    }

    /// All steps, in order.
    pub fn drafts(&self) -> impl Iterator<Item = &Draft> {
        self.differences.iter().flat_map(Difference::drafts)
    }

    /// The same, to be changed.
    pub fn drafts_mut(&mut self) -> impl Iterator<Item = &mut Draft> {
        self.differences.iter_mut().flat_map(|difference| match &mut difference.remedy {
            Remedy::Run(drafts) | Remedy::Ask(_, drafts) => drafts.as_mut_slice(),
            Remedy::Never(_) | Remedy::Record => &mut [],
        })
    }
}
