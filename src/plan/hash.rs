//! The canonical hash of a plan: over what it does, on which grounds. Two plans with one hash do the same. And the checksum of
//! a plan file, over all of it: where the state is and how hosts are reached are no part of what a plan does, but an apply
//! relies on them.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Plan;

pub(super) fn of(plan: &Plan) -> String {
    let mut digest = Sha256::new();
    // Every map in these is ordered, so the text is a function of the content.
    add(&mut digest, &plan.operation);
    add(&mut digest, &plan.changes);
    add(&mut digest, &plan.steps);
    add(&mut digest, &plan.files);
    add(&mut digest, &plan.hazards);
    add(&mut digest, &plan.unknown.iter().map(|unknown| &unknown.host).collect::<Vec<_>>());
    add(&mut digest, &plan.functions);
    add(&mut digest, &plan.desired);
    add(&mut digest, &plan.moved);
    add(&mut digest, &plan.forgotten);
    add(&mut digest, &plan.targets);
    add(&mut digest, &plan.output_changes);
    text(digest)
}

fn text(digest: Sha256) -> String {
    let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

const CHECKSUM: &str = "checksum";

/// The content of a plan file with its checksum.
pub fn seal(plan: &Plan) -> Value {
    let mut file = serde_json::to_value(plan).expect("a plan has only text keys");
    let checksum = checksum(&file);
    file[CHECKSUM] = checksum.into();
    file
}

/// Whether the content of a plan file is what [`seal`] gave; takes the checksum out.
pub fn unseal(file: &mut Value) -> bool {
    let stated = file.as_object_mut().and_then(|keys| keys.shift_remove(CHECKSUM));
    stated.as_ref().and_then(Value::as_str) == Some(&checksum(file))
}

fn checksum(file: &Value) -> String {
    let mut digest = Sha256::new();
    add(&mut digest, file);
    text(digest)
}

fn add<T: Serialize>(digest: &mut Sha256, part: &T) {
    let text = serde_json::to_vec(part).expect("a plan has only text keys");
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text);
}

impl Plan {
    /// Whether the plan still says what it said when it was made.
    pub fn is_unaltered(&self) -> bool {
        of(self) == self.hash
    }
}
