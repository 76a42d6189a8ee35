//! What was found on hosts, as the parts of a file of configuration: the blocks, and remarks on everything that is on the hosts
//! and is no block.

use std::collections::BTreeMap;

use crate::kinds::found::{Findings, LeftOut, Regard};
use crate::model::{Block, HostName};

use super::hcl::Part;

/// What a file is to tell.
#[derive(Debug)]
pub struct Discovery<'a> {
    /// The hosts as they were named on the command line.
    pub words: &'a [String],
    /// Blocks for hosts that the configuration does not have.
    pub hosts: &'a [Block],
    pub findings: &'a Findings,
    /// Hosts that did not answer, and why.
    pub silent: &'a [(HostName, String)],
}

/// The parts of the file, in order.
pub fn parts(discovery: &Discovery) -> Vec<Part> {
    let mut parts = vec![Part { remarks: head(discovery), ..Part::default() }];
    parts.extend(discovery.hosts.iter().map(|block| Part { block: Some(block.clone()), ..Part::default() }));
    let blocks = discovery.findings.blocks.iter();
    parts.extend(blocks.map(|one| Part {
        remarks: one.notes.clone(),
        block: Some(one.block.clone()),
        variable: one.variable.clone(),
    }));
    let tail = tail(discovery);
    if !tail.is_empty() {
        parts.push(Part { remarks: tail, ..Part::default() });
    }
    parts
}

fn head(discovery: &Discovery) -> Vec<String> {
    let findings = discovery.findings;
    let mut lines = vec![format!("Found by `larder discover {}`, as it is on the hosts.", discovery.words.join(" "))];
    if findings.blocks.iter().any(|one| !one.block.lifecycle.ignore_changes.is_empty()) {
        lines.push("What ignore_changes names is left as it is there.".to_owned());
    }
    if !findings.managed.is_empty() {
        lines.push(format!(
            "Not repeated: {}, which the configuration has.",
            counted(findings.managed.len(), "resource")
        ));
    }
    lines
}

fn tail(discovery: &Discovery) -> Vec<String> {
    let mut lines: Vec<String> = discovery
        .silent
        .iter()
        .map(|(host, why)| format!("{host} did not answer, so nothing is known of it: {why}"))
        .collect();
    let mut of_hosts: BTreeMap<&HostName, Vec<&LeftOut>> = BTreeMap::new();
    for one in &discovery.findings.left_out {
        of_hosts.entry(&one.host).or_default().push(one);
    }
    for (host, left_out) in of_hosts {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("Left out on {host}:"));
        lines.extend(by_reason(&left_out).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

/// One line for each reason, in the order in which the reasons come up first.
fn by_reason(left_out: &[&LeftOut]) -> Vec<String> {
    let mut all: Vec<(&str, Regard, Vec<&str>)> = Vec::new();
    for one in left_out {
        match all.iter_mut().find(|(why, regard, _)| *why == one.why && *regard == one.regard) {
            Some((.., what)) => what.push(&one.what),
            None => all.push((&one.why, one.regard, vec![&one.what])),
        }
    }
    let line = |(why, regard, what): (&str, Regard, Vec<&str>)| match regard {
        Regard::Usual => format!("{}: {why}", listed(&what)),
        Regard::Certain => format!("{}: {why}", what.join(", ")),
        Regard::Doubt => format!("NOT KNOWN {}: {why}", what.join(", ")),
    };
    all.into_iter().map(line).collect()
}

/// `/a, /b, /c and 4 more`.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 6;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// `1 resource`, `3 resources`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
