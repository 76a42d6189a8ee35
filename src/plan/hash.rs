//! The canonical hash of a plan: over what it does, on which grounds. Two plans with one hash do the same.

use serde::Serialize;
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
    let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
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
