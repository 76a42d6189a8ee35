//! Room: what all steps together take of each file system, held against what is free.

use std::collections::BTreeMap;

use crate::kinds::Need;
use crate::model::{Address, Hazard, HazardCode, HostName, Size};

use super::{Making, Operation, Room};

/// One file system with all that is wanted of it.
struct Account {
    at: String,
    free: Option<u64>,
    free_inodes: Option<u64>,
    bytes: u64,
    inodes: u64,
    promised: u64,
    largest: (u64, Address),
    count: usize,
}

impl Making<'_> {
    /// Adds up the needs and refuses what cannot be had. A shared file system is one account, whichever member writes.
    pub(super) fn ledger(&mut self) -> Vec<Room> {
        let mut accounts: BTreeMap<(Option<HostName>, String), (HostName, Account)> = BTreeMap::new();
        for (address, verdicts) in self.judged.iter().chain(&self.aside) {
            for (host, verdict) in verdicts {
                for need in &verdict.needs {
                    let key = (Some(host.clone()).filter(|_| !need.shared), need.filesystem.clone());
                    let (_, account) =
                        accounts.entry(key).or_insert_with(|| (host.clone(), Account::of(need, address)));
                    account.add(need, address);
                }
            }
        }
        let mut rooms = Vec::new();
        for (host, account) in accounts.into_values() {
            if self.input.request.operation == Operation::Apply
                && let Some(hazard) = account.hazard(&host)
            {
                self.note(hazard);
            }
            rooms.push(Room {
                host,
                at: account.at,
                free: account.free,
                bytes: account.bytes,
                promised: account.promised,
            });
        }
        rooms
    }
}

impl Account {
    fn of(need: &Need, address: &Address) -> Self {
        Account {
            at: need.at.clone(),
            free: need.free,
            free_inodes: need.free_inodes,
            bytes: 0,
            inodes: 0,
            promised: 0,
            largest: (0, address.clone()),
            count: 0,
        }
    }

    fn add(&mut self, need: &Need, address: &Address) {
        self.bytes = self.bytes.saturating_add(need.bytes);
        self.promised = self.promised.saturating_add(need.promised);
        self.inodes = self.inodes.saturating_add(need.inodes);
        self.count += 1;
        if need.bytes > self.largest.0 {
            self.largest = (need.bytes, address.clone());
        }
    }

    fn hazard(&self, host: &HostName) -> Option<Hazard> {
        let images =
            if self.count == 1 { "1 image needs".to_owned() } else { format!("{} images together need", self.count) };
        let hazard = |message: String| {
            Some(Hazard::new(
                HazardCode::Capacity,
                &self.largest.1,
                Some(host),
                message,
                "Make the images smaller or sparse, choose another volume, or make room first.",
            ))
        };
        match self.free {
            None if self.bytes > 0 => hazard(format!(
                "how much is free in {} on {host} is not known; {images} {}",
                self.at,
                Size(self.bytes).rounded()
            )),
            Some(free) if self.bytes > free => hazard(format!(
                "{} on {host} has {} free; {images} {}",
                self.at,
                Size(free).rounded(),
                Size(self.bytes).rounded()
            )),
            _ if self.free_inodes.is_some_and(|free| self.inodes > free) => hazard(format!(
                "{} on {host} has {} inodes free; {} are needed",
                self.at,
                self.free_inodes.unwrap_or(0),
                self.inodes
            )),
            _ => None,
        }
    }
}
