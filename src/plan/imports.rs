//! `import`: what is said to exist is taken over, and never made.

use crate::kinds::Standing;
use crate::model::{Hazard, HazardCode};

use super::{Making, Operation};

impl Making<'_> {
    /// Refuses what would have to be made, and what nobody can tell. A resource that the state has already was imported before.
    pub(super) fn refuse_imports(&mut self) {
        if self.input.request.operation != Operation::Apply {
            return;
        }
        for (address, verdicts) in &mut self.judged {
            let is_new = !self.state.resources.contains_key(address);
            if !is_new || !self.input.statements.imports.iter().any(|one| one.to.selects(address)) {
                continue;
            }
            for (host, verdict) in verdicts {
                let why = match &verdict.standing {
                    Standing::Present => continue,
                    Standing::Absent => "it is not there".to_owned(),
                    Standing::Later(why) => format!("it cannot be there yet: {why}"),
                    Standing::Unknown(why) => format!("whether it is there is not known: {why}"),
                };
                verdict.hazards.push(Hazard::new(
                    HazardCode::NothingToImport,
                    address,
                    Some(host),
                    format!("{address} is to be imported on {host}, and {why}"),
                    "Correct what the block says of its place, or remove the `import` statement to have it made.",
                ));
            }
        }
    }
}
