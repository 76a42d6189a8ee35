//! The order of steps: a graph out of references, paths and hosts, walked so that the same plan always comes out.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::{DiGraph, NodeIndex};

use crate::kinds::ask::mounts::is_within;
use crate::kinds::{Draft, Proof, kind_of, knows_each_other};
use crate::model::{Address, Block, Blocks, HostName, Problem, Problems, Step, StepId};
use crate::state::State;

/// The steps of one resource on one host, in their own order.
pub(super) struct Placed {
    pub(super) address: Address,
    pub(super) host: HostName,
    /// Whether they take the placement away.
    pub(super) unmakes: bool,
    pub(super) part: Part,
    /// Of its drafts, which all have the same once they are put in order.
    stage: u8,
    pub(super) drafts: Vec<Draft>,
}

impl Placed {
    pub(super) fn own(address: &Address, host: &HostName, unmakes: bool, drafts: Vec<Draft>) -> Self {
        Placed { address: address.clone(), host: host.clone(), unmakes, part: Part::Own, stage: 0, drafts }
    }

    pub(super) fn of_witness(address: &Address, proof: &Proof) -> [Self; 2] {
        let both = [(Part::Opens, &proof.opens), (Part::Closes, &proof.closes)];
        both.map(|(part, draft)| Placed { part, ..Placed::own(address, &proof.witness, false, vec![draft.clone()]) })
    }
}

/// Which steps of a resource on a host these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Own,
    /// What a witness does before the other members.
    Opens,
    /// What it does behind them.
    Closes,
}

/// A step in its final place.
pub(super) struct Ordered {
    pub(super) address: Address,
    pub(super) host: HostName,
    pub(super) draft: Draft,
}

/// Puts all steps in order.
///
/// # Errors
/// When the wanted order runs in a circle, or the stages of a placement fall.
pub(super) fn order(
    placed: Vec<Placed>,
    desired: &Blocks,
    state: &State,
) -> Result<(Vec<Step>, Vec<Ordered>), Problems> {
    let recorded: Blocks =
        state.resources.iter().map(|(address, record)| (address.clone(), record.block.clone())).collect();
    let placed: Vec<_> = placed.into_iter().map(cleaning_up_last).collect();
    if let Some(one) = placed.iter().find(|one| !one.drafts.is_sorted_by_key(|draft| draft.stage)) {
        return Err(vec![falling(one)]);
    }
    let placed = by_stage(placed);
    let edges = edges(&placed, desired, &recorded);
    let sequence = sequence(placed.len(), &edges).map_err(|circle| vec![circle_problem(&circle, &placed)])?;
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); placed.len()];
    for (from, to) in &edges {
        before[*to].push(*from);
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut ordered = Vec::new();
    let mut used = BTreeMap::<String, usize>::new();
    // The last steps of each placement; one without steps passes on those that it waits for.
    let mut tails: Vec<BTreeSet<StepId>> = vec![BTreeSet::new(); placed.len()];
    let mut slots: Vec<Option<Placed>> = placed.into_iter().map(Some).collect();
    for at in sequence {
        let Some(one) = slots[at].take() else { continue };
        let mut after: BTreeSet<StepId> = before[at].iter().flat_map(|from| tails[*from].clone()).collect();
        for draft in &one.drafts {
            let name = format!("{}@{}/{}", one.address, one.host, draft.action);
            let count = used.entry(name.clone()).or_default();
            *count += 1;
            let id = if *count > 1 { format!("{name}-{count}") } else { name };
            steps.push(Step {
                id: id.clone(),
                address: one.address.clone(),
                host: one.host.clone(),
                action: draft.action.to_owned(),
                summary: draft.summary.clone(),
                command: draft.command.clone(),
                guard: draft.guard.clone(),
                after: after.into_iter().collect(),
                impact: draft.impact,
                inverse: draft.inverse.clone(),
                rolls_back: draft.rolls_back,
                cleans_up: one.part == Part::Closes || draft.cleans_up,
                hazards: draft.hazards.clone(),
            });
            after = [id].into();
        }
        tails[at] = after;
        ordered.extend(one.drafts.into_iter().map(|draft| Ordered {
            address: one.address.clone(),
            host: one.host.clone(),
            draft,
        }));
    }
    Ok((steps, ordered))
}

/// What tidies up comes last of its placement, in the last of its stages.
fn cleaning_up_last(one: Placed) -> Placed {
    let (last, mut drafts): (Vec<_>, Vec<_>) = one.drafts.into_iter().partition(|draft| draft.cleans_up);
    let stage = drafts.iter().chain(&last).map(|draft| draft.stage).max().unwrap_or_default();
    drafts.extend(last.into_iter().map(|draft| draft.in_stage(stage)));
    Placed { drafts, ..one }
}

/// Each placement cut where a new stage begins.
fn by_stage(placed: Vec<Placed>) -> Vec<Placed> {
    let mut cut = Vec::with_capacity(placed.len());
    for mut one in placed {
        let whole = std::mem::take(&mut one.drafts);
        let piece = |stage: u8, drafts: Vec<Draft>| Placed {
            address: one.address.clone(),
            host: one.host.clone(),
            unmakes: one.unmakes,
            part: one.part,
            stage,
            drafts,
        };
        let mut stage = whole.first().map_or(0, |draft| draft.stage);
        let mut drafts = Vec::new();
        for draft in whole {
            if draft.stage > stage {
                cut.push(piece(stage, std::mem::take(&mut drafts)));
                stage = draft.stage;
            }
            drafts.push(draft);
        }
        cut.push(piece(stage, drafts));
    }
    cut
}

/// Which placement waits for which: pairs of positions, from before to after.
fn edges(placed: &[Placed], desired: &Blocks, recorded: &Blocks) -> BTreeSet<(usize, usize)> {
    let mut at: BTreeMap<(&Address, &HostName, bool), Vec<usize>> = BTreeMap::new();
    let mut of: BTreeMap<(&Address, bool), Vec<usize>> = BTreeMap::new();
    for (position, one) in placed.iter().enumerate().filter(|(_, one)| one.part == Part::Own) {
        at.entry((&one.address, &one.host, one.unmakes)).or_default().push(position);
        of.entry((&one.address, one.unmakes)).or_default().push(position);
    }
    let mut edges = witness_edges(placed, &at);
    edges.extend(stage_edges(placed, &at, &of));
    for (position, one) in placed.iter().enumerate().filter(|(_, one)| one.part == Part::Own) {
        let blocks = if one.unmakes { recorded } else { desired };
        let Some(block) = blocks.get(&one.address) else { continue };
        for needed in reaches(block, blocks) {
            // On the same host where there is a placement and that is enough; else all of them.
            let here = at.get(&(needed, &one.host, one.unmakes)).filter(|_| !knows_each_other(needed));
            for other in here.or_else(|| of.get(&(needed, one.unmakes))).into_iter().flatten() {
                edges.insert(if one.unmakes { (position, *other) } else { (*other, position) });
            }
            // Those that stay are told when nothing is built on the one that leaves any more.
            if one.unmakes && knows_each_other(needed) {
                edges.extend(of.get(&(needed, false)).into_iter().flatten().map(|other| (position, *other)));
            }
        }
        if one.unmakes && knows_each_other(&one.address) {
            edges.extend(of.get(&(&one.address, false)).into_iter().flatten().map(|other| (*other, position)));
        }
    }
    edges.extend(path_edges(placed, desired, recorded));
    edges
}

/// The pieces of a placement follow each other, and each stage of a resource waits for the earlier ones on all of its hosts.
fn stage_edges(
    placed: &[Placed],
    at: &BTreeMap<(&Address, &HostName, bool), Vec<usize>>,
    of: &BTreeMap<(&Address, bool), Vec<usize>>,
) -> BTreeSet<(usize, usize)> {
    let pieces = at.values().flat_map(|pieces| pieces.windows(2).map(|pair| (pair[0], pair[1])));
    let mut edges: BTreeSet<_> = pieces.collect();
    for all in of.values() {
        for later in all.iter().filter(|later| placed[**later].stage > 0) {
            let earlier = all.iter().filter(|earlier| placed[**earlier].stage < placed[*later].stage);
            edges.extend(earlier.map(|earlier| (*earlier, *later)));
        }
    }
    edges
}

/// A witness opens behind its own steps and before those that hear it, and closes behind all of them.
fn witness_edges(
    placed: &[Placed],
    own: &BTreeMap<(&Address, &HostName, bool), Vec<usize>>,
) -> BTreeSet<(usize, usize)> {
    let mut opens: BTreeMap<(&Address, &HostName), usize> = BTreeMap::new();
    let mut closes = opens.clone();
    for (position, one) in placed.iter().enumerate() {
        match one.part {
            Part::Own => None,
            Part::Opens => opens.insert((&one.address, &one.host), position),
            Part::Closes => closes.insert((&one.address, &one.host), position),
        };
    }
    let mut edges = BTreeSet::new();
    for (witness, opening) in &opens {
        let before = own.get(&(witness.0, witness.1, false));
        edges.extend(before.into_iter().flatten().map(|first| (*first, *opening)));
        edges.extend(closes.get(witness).map(|closing| (*opening, *closing)));
    }
    for (position, one) in placed.iter().enumerate() {
        for witness in one.drafts.iter().filter_map(|draft| draft.hears.as_ref()) {
            let witness = (&one.address, witness);
            edges.extend(opens.get(&witness).map(|opening| (*opening, position)));
            edges.extend(closes.get(&witness).map(|closing| (position, *closing)));
        }
    }
    edges
}

/// The resources with placements that a block refers to; those without (hosts) are seen through.
fn reaches<'a>(block: &'a Block, blocks: &'a Blocks) -> Vec<&'a Address> {
    block.depends_on.iter().filter(|address| blocks.contains_key(*address) && **address != block.address).collect()
}

/// A path waits for the resource whose path it lies in; a place is left before it is taken anew.
fn path_edges(placed: &[Placed], desired: &Blocks, recorded: &Blocks) -> BTreeSet<(usize, usize)> {
    struct Paths {
        position: usize,
        unmakes: bool,
        own: Vec<String>,
        needs: Vec<String>,
    }
    let mut by_host: BTreeMap<&HostName, Vec<Paths>> = BTreeMap::new();
    for (position, one) in placed.iter().enumerate().filter(|(_, one)| one.part == Part::Own) {
        let blocks = if one.unmakes { recorded } else { desired };
        let (Some(block), Some(kind)) = (blocks.get(&one.address), kind_of(&one.address)) else { continue };
        let paths = Paths {
            position,
            unmakes: one.unmakes,
            own: kind.paths(block, blocks),
            needs: kind.needs_paths(block, blocks),
        };
        by_host.entry(&one.host).or_default().push(paths);
    }
    let mut edges = BTreeSet::new();
    for all in by_host.values() {
        // Owners by path: each needed path looks up its own ancestors, so that the work grows with the number of paths.
        let mut owners: BTreeMap<(&str, bool), Vec<usize>> = BTreeMap::new();
        for paths in all {
            for own in &paths.own {
                owners.entry((own.as_str(), paths.unmakes)).or_default().push(paths.position);
            }
        }
        for paths in all {
            for needed in &paths.needs {
                for ancestor in crate::kinds::ask::path::with_ancestors(needed) {
                    debug_assert!(is_within(needed, &ancestor));
                    let is_own = paths.own.contains(&ancestor);
                    for owner in owners
                        .get(&(ancestor.as_str(), paths.unmakes))
                        .into_iter()
                        .flatten()
                        .filter(|owner| **owner != paths.position && !is_own)
                    {
                        edges.insert(if paths.unmakes { (paths.position, *owner) } else { (*owner, paths.position) });
                    }
                    if !paths.unmakes {
                        for leaving in owners.get(&(ancestor.as_str(), true)).into_iter().flatten() {
                            edges.insert((*leaving, paths.position));
                        }
                    }
                }
            }
        }
    }
    edges
}

/// A topological order that takes, of all that are free, the one that stands first: petgraph's own order is not stable.
fn sequence(count: usize, edges: &BTreeSet<(usize, usize)>) -> Result<Vec<usize>, Vec<usize>> {
    let mut waits = vec![0usize; count];
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (from, to) in edges {
        waits[*to] += 1;
        next[*from].push(*to);
    }
    let mut free: BTreeSet<usize> = (0..count).filter(|at| waits[*at] == 0).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(at) = free.pop_first() {
        order.push(at);
        for to in &next[at] {
            waits[*to] -= 1;
            if waits[*to] == 0 {
                free.insert(*to);
            }
        }
    }
    match order.len() == count {
        true => Ok(order),
        false => Err(circle(count, edges)),
    }
}

/// The members of one circle. Kosaraju's algorithm does not recurse, so a long chain cannot overflow the stack.
fn circle(count: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<usize> {
    let mut graph = DiGraph::<(), ()>::with_capacity(count, edges.len());
    for _ in 0..count {
        graph.add_node(());
    }
    for (from, to) in edges {
        graph.add_edge(NodeIndex::new(*from), NodeIndex::new(*to), ());
    }
    let components = petgraph::algo::kosaraju_scc(&graph);
    let largest =
        components.into_iter().filter(|component| component.len() > 1).min_by_key(Vec::len).unwrap_or_default();
    let mut members: Vec<_> = largest.into_iter().map(NodeIndex::index).collect();
    members.sort_unstable();
    members
}

/// Steps whose stages fall would wait for nobody, and nobody for them.
fn falling(one: &Placed) -> Problem {
    let steps = one.drafts.iter().map(|draft| format!("{} ({})", draft.action, draft.stage)).collect::<Vec<_>>();
    Problem::error(
        "order-circle",
        format!("the steps of {} on {} cannot be put in order", one.address, one.host),
        format!(
            "Some would have to wait for other hosts and come before what those wait for: {}. Nothing is done. Make the change in two applies, and report this: it is a fault of Larder.",
            steps.join(", ")
        ),
    )
}

fn circle_problem(circle: &[usize], placed: &[Placed]) -> Problem {
    let names = circle
        .iter()
        .map(|at| format!("{} on {}", placed[*at].address, placed[*at].host))
        .collect::<Vec<_>>()
        .join(", ");
    Problem::error(
        "order-circle",
        "the steps cannot be put in order".to_owned(),
        format!("Each of these would have to come before another one: {names}. Look at their paths and depends_on."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Command;

    #[test]
    fn steps_whose_stages_fall_have_no_order() {
        let drafts = |stages: &[u8]| {
            let draft = |stage: &u8| Draft::new("x", "x", Command::new(["true"])).in_stage(*stage);
            stages.iter().map(draft).collect::<Vec<_>>()
        };
        for (stages, is_right) in
            [(&[0, 0, 2][..], true), (&[1, 1], true), (&[], true), (&[2, 1], false), (&[0, 2, 0, 2], false)]
        {
            let address: Address = "image.a".parse().expect("an address");
            let placed = vec![Placed::own(&address, &"hv1".into(), false, drafts(stages))];
            let found = order(placed, &Blocks::new(), &State::default());
            assert_eq!(found.is_ok(), is_right, "{stages:?}");
            assert!(found.err().into_iter().flatten().all(|one| one.code == "order-circle"));
        }
    }
}
