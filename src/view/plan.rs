//! A plan for people: dangers first, then what nobody knows, what was changed by hand, what happens, and the numbers.
//! Shows only what the plan holds; what happens on a host is what its steps say, never what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use crate::kinds::kind_of;
use crate::model::hazard::Acceptance;
use crate::model::{Address, Guard, Hazard, HostName, Impact, Inverse, Size, Step, escape, escape_line};
use crate::plan::{Action, Change, ChangedAttribute, Drift, Operation, Plan, Room};

use super::style::{Ink, Style, count, pad, width};
use super::{shell, targets, values};

/// What the reader wants to see of a plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    pub style: Style,
    /// Each step with its exact command, its guards and its inverse.
    pub verbose: bool,
    /// How long asking the hosts took, where they were asked just now.
    pub elapsed: Option<Duration>,
}

/// The most adopted resources that are listed one by one.
const SHOWN_ADOPTIONS: usize = 10;
/// Items that fit on one line of this many columns stand on one.
const ITEMS_WIDTH: usize = 76;
/// Lines of a step's standard input that are shown.
const SHOWN_INPUT: usize = 40;

const BY_HAND: &str = "changed by hand since the last apply";

pub fn render(plan: &Plan, options: &Options) -> String {
    let view = View::new(plan, *options);
    let (changes, told) = view.changes();
    let targets = plan.targets.as_ref().map(|targets| targets::head(targets, options.style)).unwrap_or_default();
    let sections = [
        targets,
        view.probed(),
        view.hazards(),
        view.unknown(),
        view.drift(&told),
        changes,
        view.files(),
        view.rooms(),
        view.outputs(),
    ];
    let mut text = String::new();
    for section in sections.iter().filter(|section| !section.is_empty()) {
        text.push_str(section);
        text.push('\n');
    }
    text + &view.closing()
}

/// `0.3 s`, `1 min 5 s`.
pub(super) fn elapsed(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

fn safe(what: impl Display) -> String {
    escape_line(&what.to_string())
}

fn listed<T: Display>(all: impl IntoIterator<Item = T>) -> String {
    all.into_iter().map(safe).collect::<Vec<_>>().join(", ")
}

type Placement<'a> = (&'a Address, &'a HostName);

/// The plan with its parts where they are looked up.
struct View<'a> {
    plan: &'a Plan,
    options: Options,
    steps: BTreeMap<Placement<'a>, Vec<&'a Step>>,
    drift: BTreeMap<Placement<'a>, Vec<&'a Drift>>,
    blocking: BTreeMap<&'a Address, Vec<&'a Hazard>>,
    unreachable: BTreeSet<&'a HostName>,
}

/// What happens on one host, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Happening {
    symbol: &'static str,
    ink: Ink,
    lines: Vec<String>,
}

impl Happening {
    fn one(symbol: &'static str, ink: Ink, line: impl Into<String>) -> Option<Self> {
        Some(Happening { symbol, ink, lines: vec![line.into()] })
    }
}

fn symbol(action: Action) -> (&'static str, Ink) {
    match action {
        Action::Create => ("+", Ink::Good),
        Action::Update => ("~", Ink::Attention),
        Action::Move => ("→", Ink::Attention),
        Action::Destroy => ("-", Ink::Bad),
        Action::Adopt => ("↻", Ink::Neutral),
        Action::Forget => (".", Ink::Neutral),
        Action::Later => ("…", Ink::Faint),
        Action::Unknown => ("?", Ink::Bad),
        Action::Unchanged => (" ", Ink::Faint),
    }
}

impl<'a> View<'a> {
    fn new(plan: &'a Plan, options: Options) -> Self {
        let mut view = View {
            plan,
            options,
            steps: BTreeMap::new(),
            drift: BTreeMap::new(),
            blocking: BTreeMap::new(),
            unreachable: plan.unknown.iter().map(|unknown| &unknown.host).collect(),
        };
        for step in &plan.steps {
            view.steps.entry((&step.address, &step.host)).or_default().push(step);
        }
        for drift in &plan.drift {
            view.drift.entry((&drift.address, &drift.host)).or_default().push(drift);
        }
        for hazard in plan.blocking() {
            view.blocking.entry(&hazard.address).or_default().push(hazard);
        }
        view
    }

    fn paint(&self, ink: Ink, text: &str) -> String {
        self.options.style.paint(ink, text)
    }

    fn steps_of(&self, placement: Placement<'a>) -> &[&'a Step] {
        self.steps.get(&placement).map_or(&[], Vec::as_slice)
    }

    /// `Probed 2 hosts in 0.3 s, one round trip each.`
    fn probed(&self) -> String {
        let Some(time) = self.options.elapsed else { return String::new() };
        let trips: BTreeMap<_, _> =
            self.plan.round_trips.iter().filter(|(host, _)| !self.unreachable.contains(host)).collect();
        if trips.is_empty() && self.unreachable.is_empty() {
            return "No host had to be asked.\n".to_owned();
        }
        let hosts = match self.unreachable.len() {
            0 => count(trips.len(), "host"),
            silent => format!("{} of {}", trips.len(), count(trips.len() + silent, "host")),
        };
        let more: Vec<_> = trips.iter().filter(|(_, trips)| ***trips > 1).collect();
        let each = match more.as_slice() {
            [] if trips.len() == 1 => ", one round trip".to_owned(),
            [] if trips.is_empty() => String::new(),
            [] => ", one round trip each".to_owned(),
            more => {
                let named = more.iter().map(|(host, trips)| format!("{host}: {trips}"));
                format!(", one round trip each except {}", listed(named))
            }
        };
        format!("Probed {hosts} in {}{each}.\n", elapsed(time))
    }

    // ---- hazards ---------------------------------------------------------------------------------------------------

    /// Every hazard, those that say the same in several places once.
    fn hazards(&self) -> String {
        let mut groups: Vec<Vec<&Hazard>> = Vec::new();
        let mut known = BTreeMap::new();
        for hazard in &self.plan.hazards {
            let same = (hazard.code, hazard.accepted, without_place(hazard, &hazard.message), &hazard.cure);
            let at = *known.entry(same).or_insert(groups.len());
            match groups.get_mut(at) {
                Some(group) => group.push(hazard),
                None => groups.push(vec![hazard]),
            }
        }
        groups.iter().map(|group| self.hazard(group)).collect()
    }

    fn hazard(&self, same: &[&Hazard]) -> String {
        let [first, others @ ..] = same else { return String::new() };
        let (ink, remark) = match first.code.acceptance() {
            _ if first.accepted => (Ink::Faint, "  (accepted)"),
            Acceptance::NotNeeded => (Ink::Attention, "  (a warning: it stops nothing)"),
            Acceptance::Never => (Ink::Bad, "  (cannot be accepted)"),
            Acceptance::Possible => (Ink::Bad, ""),
        };
        let head = self.paint(ink, &format!("! {}", first.code));
        let mut text = format!("{head}  {}{remark}\n", self.paint(Ink::Strong, &place(first)));
        let mut say = |words: &str| {
            for line in escape(words).lines() {
                text.push_str(&format!("  {line}\n"));
            }
        };
        say(&first.message);
        if !others.is_empty() {
            say(&format!("The same at {}.", listed(others.iter().map(|hazard| place(hazard)))));
        }
        say(&first.cure);
        if first.can_be_accepted && !first.accepted && !first.cure.contains("accept = ") {
            let places: BTreeSet<_> = same.iter().map(|hazard| &hazard.address).collect();
            let words: Vec<_> =
                places.iter().flat_map(|address| ["-accept".to_owned(), format!("{}@{address}", first.code)]).collect();
            say(&format!("Or accept it: {}", shell::line(&words)));
        }
        text
    }

    // ---- what nobody knows -----------------------------------------------------------------------------------------

    fn unknown(&self) -> String {
        let mut text = String::new();
        for unknown in &self.plan.unknown {
            let head = self.paint(Ink::Bad, &format!("? {}", safe(&unknown.host)));
            text.push_str(&format!("{head}  {}\n", safe(&unknown.reason)));
            let undecided: Vec<_> =
                self.plan.changes.iter().filter(|change| change.hosts.contains_key(&unknown.host)).collect();
            if !undecided.is_empty() {
                let named = listed(undecided.iter().take(5).map(|change| &change.address));
                let more = match undecided.len() {
                    0..=5 => String::new(),
                    all => format!(" and {} more", all - 5),
                };
                text.push_str(&format!("  Nothing is decided there for {named}{more}.\n"));
            }
        }
        text
    }

    // ---- drift -----------------------------------------------------------------------------------------------------

    /// What was changed by hand and is not told beside what happens about it.
    fn drift(&self, told: &BTreeSet<Placement>) -> String {
        let mut lines: Vec<(&Address, String, Vec<&HostName>)> = Vec::new();
        for ((address, host), drift) in self.drift.iter().filter(|(placement, _)| !told.contains(*placement)) {
            let words = drifted(drift);
            // In the order of addresses: those of this one are the last.
            let mut own = lines.iter_mut().rev().take_while(|(other, _, _)| other == address);
            match own.find(|(_, same, _)| *same == words) {
                Some((_, _, hosts)) => hosts.push(host),
                None => lines.push((address, words, vec![host])),
            }
        }
        if lines.is_empty() {
            return String::new();
        }
        let mut text = format!("{}:\n", capital(BY_HAND));
        for (address, words, hosts) in lines {
            text.push_str(&format!("  {}@{}  {words}\n", safe(address), listed(hosts)));
        }
        text
    }

    // ---- what happens ----------------------------------------------------------------------------------------------

    /// What happens, and the placements whose drift is told there.
    fn changes(&self) -> (String, BTreeSet<Placement<'a>>) {
        let mut told = BTreeSet::new();
        let mut text = String::new();
        let columns = self.plan.changes.iter().map(|change| width(&name(change))).max().unwrap_or(0).min(40);
        let mut adopted = 0;
        for change in &self.plan.changes {
            let happenings = self.happenings(change, &mut told);
            let is_forgotten = change.hosts.is_empty() && change.action == Action::Forget;
            if happenings.is_empty() && !is_forgotten && change.moved_from.is_none() {
                continue;
            }
            if change.action == Action::Adopt && happenings.iter().all(|(_, one)| one.ink == Ink::Neutral) {
                adopted += 1;
                if adopted > SHOWN_ADOPTIONS {
                    continue;
                }
            }
            text.push_str(&self.change(change, &happenings, columns));
        }
        if adopted > SHOWN_ADOPTIONS {
            let more = count(adopted - SHOWN_ADOPTIONS, "more resource");
            text.push_str(&format!("{} and {more} that match\n", self.paint(Ink::Neutral, "↻")));
        }
        (text, told)
    }

    /// What happens on each host, hosts with the same together.
    fn happenings(
        &self,
        change: &'a Change,
        told: &mut BTreeSet<Placement<'a>>,
    ) -> Vec<(Vec<&'a HostName>, Happening)> {
        let mut groups: Vec<(Vec<&HostName>, Happening)> = Vec::new();
        for (host, action) in &change.hosts {
            let placement = (&change.address, host);
            let Some(happening) = self.happening(change, placement, *action, told) else { continue };
            match groups.iter_mut().find(|(_, same)| *same == happening) {
                Some((hosts, _)) => hosts.push(host),
                None => groups.push((vec![host], happening)),
            }
        }
        groups
    }

    fn happening(
        &self,
        change: &'a Change,
        placement: Placement<'a>,
        action: Action,
        told: &mut BTreeSet<Placement<'a>>,
    ) -> Option<Happening> {
        let (symbol, ink) = symbol(action);
        let steps = self.steps_of(placement);
        let host = placement.1;
        let refused = self.refused(placement);
        let reason = || safe(change.reasons.get(host).map_or("the reason is not known", String::as_str));
        match action {
            Action::Unknown if self.unreachable.contains(host) => None,
            Action::Unknown => Happening::one(symbol, ink, format!("not known: {}", reason())),
            Action::Later => Happening::one(symbol, ink, format!("waits: {}", reason())),
            _ if !steps.is_empty() => {
                let differences: Vec<_> = change.differences.iter().filter(|one| one.host == *host).collect();
                let mut lines = self.items(action, &differences, steps);
                if let Some(remark) = self.by_hand(placement, &differences) {
                    told.insert(placement);
                    match lines.as_mut_slice() {
                        [only] => only.push_str(&format!("    {remark}")),
                        _ => lines.push(remark),
                    }
                }
                Some(Happening { symbol, ink, lines })
            }
            _ if self.plan.operation == Operation::RefreshOnly => None,
            _ if !refused.is_empty() => {
                let mut lines = vec![format!("nothing is done: {}, see above", listed(refused))];
                let differences = change.differences.iter().filter(|one| one.host == *host);
                lines.extend(differences.map(|one| {
                    format!("{} is {}, wanted: {}", safe(&one.attribute), short(&one.have), short(&one.want))
                }));
                Some(Happening { symbol: "!", ink: Ink::Bad, lines })
            }
            Action::Unchanged => None,
            Action::Adopt => Happening::one(symbol, ink, "matches"),
            Action::Forget => Happening::one(symbol, ink, "kept on disk, no longer managed"),
            Action::Create | Action::Update | Action::Destroy | Action::Move => {
                // What only the state follows.
                let differences = change.differences.iter().filter(|one| one.host == *host);
                let shown = |one: &ChangedAttribute| {
                    format!("{} {} -> {}, nothing has to run", safe(&one.attribute), safe(&one.have), safe(&one.want))
                };
                match differences.map(shown).collect::<Vec<_>>() {
                    lines if lines.is_empty() => Happening::one(symbol, ink, "nothing has to run"),
                    lines => Some(Happening { symbol, ink, lines }),
                }
            }
        }
    }

    /// The codes of the hazards that stand in the way of a placement.
    fn refused(&self, (address, host): Placement) -> BTreeSet<&'static str> {
        let hazards = self.blocking.get(address).into_iter().flatten();
        hazards
            .filter(|hazard| hazard.host.as_ref().is_none_or(|other| other == host))
            .map(|hazard| hazard.code.as_str())
            .collect()
    }

    /// What the steps of a placement do. One plain value that becomes another is shown as that; all else in the words of
    /// the step.
    fn items(&self, action: Action, differences: &[&ChangedAttribute], steps: &[&Step]) -> Vec<String> {
        let is_paired = action == Action::Update && differences.len() == steps.len();
        let items: Vec<String> = steps
            .iter()
            .enumerate()
            .map(|(index, step)| {
                let pair = differences.get(index).filter(|one| {
                    let is_plain =
                        |value: &str| !value.is_empty() && !value.contains(char::is_whitespace) && width(value) <= 32;
                    is_paired && step.impact == Impact::None && is_plain(&one.have) && is_plain(&one.want)
                });
                let words = match pair {
                    Some(one) => format!("{} {} -> {}", safe(&one.attribute), safe(&one.have), safe(&one.want)),
                    None => safe(&step.summary),
                };
                let blocking = self.blocking.get(&step.address).into_iter().flatten();
                let needs: BTreeSet<_> = blocking
                    .filter(|hazard| step.hazards.contains(&hazard.code))
                    .map(|hazard| hazard.code.as_str())
                    .collect();
                let needs = needs.into_iter().collect::<Vec<_>>().join(" and ");
                let remarks: Vec<_> = felt(step.impact)
                    .map(str::to_owned)
                    .into_iter()
                    .chain((!needs.is_empty()).then(|| format!("once {needs} is accepted")))
                    .collect();
                match remarks.is_empty() {
                    true => words,
                    false => format!("{words} ({})", remarks.join("; ")),
                }
            })
            .collect();
        let joined = items.join(", ");
        match width(&joined) <= ITEMS_WIDTH {
            true => vec![joined],
            false => items,
        }
    }

    /// Beside what happens: that somebody changed it by hand.
    fn by_hand(&self, placement: Placement, differences: &[&ChangedAttribute]) -> Option<String> {
        let drift = self.drift.get(&placement)?;
        let mut elsewhere = false;
        let mut names = Vec::new();
        let mut was = Vec::new();
        for one in drift {
            match differences.iter().find(|difference| difference.attribute == one.attribute) {
                Some(difference) => {
                    names.push(&one.attribute);
                    if difference.want != one.recorded {
                        was.push(format!("{} was {}", safe(&one.attribute), short(&one.recorded)));
                    }
                }
                None => elsewhere |= one.have != "absent",
            }
        }
        if names.is_empty() || elsewhere {
            return None;
        }
        let which = match names.len() == differences.len() {
            true => String::new(),
            false => format!("{}: ", listed(names)),
        };
        let was = match was.is_empty() {
            true => String::new(),
            false => format!("; {}", was.join(", ")),
        };
        Some(format!("({which}{BY_HAND}{was})"))
    }

    fn change(&self, change: &Change, happenings: &[(Vec<&HostName>, Happening)], columns: usize) -> String {
        let (sign, ink) = symbol(change.action);
        let (sign, ink) = match happenings {
            // Refused everywhere: the sign must not promise anything.
            [(_, first), rest @ ..] if first.symbol == "!" && rest.iter().all(|(_, one)| one.symbol == "!") => {
                ("!", Ink::Bad)
            }
            _ if sign == " " => ("~", Ink::Attention),
            _ => (sign, ink),
        };
        let address = name(change);
        let sign = self.paint(ink, sign);
        let head = |more: &str| match more {
            "" => format!("{sign} {address}\n"),
            more => format!("{sign} {}  {more}\n", pad(&address, columns)),
        };
        match happenings {
            [] if change.moved_from.is_some() => head("only the address changes"),
            [] => head("no longer managed"),
            [(hosts, only)] if only.lines.len() == 1 && !matches!(only.symbol, "+" | "~" | "-" | "→") => {
                head(&format!("{}  {}", listed(hosts), only.lines.join("")))
            }
            _ => {
                let mut text = head(&self.paths(&change.address));
                for (hosts, happening) in happenings {
                    text.push_str(&self.placements(hosts, happening));
                    if self.options.verbose {
                        for host in hosts {
                            self.steps_of((&change.address, host))
                                .iter()
                                .for_each(|step| text.push_str(&self.step(step)));
                        }
                    }
                }
                text
            }
        }
    }

    /// Where the resource is on its hosts.
    fn paths(&self, address: &Address) -> String {
        let block = self.plan.desired.get(address);
        let paths = block.zip(kind_of(address)).map(|(block, kind)| kind.paths(block, &self.plan.desired));
        listed(paths.unwrap_or_default())
    }

    fn placements(&self, hosts: &[&HostName], happening: &Happening) -> String {
        let [first, others @ ..] = hosts else { return String::new() };
        let sign = self.paint(happening.ink, happening.symbol);
        let first = safe(first);
        let column = 8 + width(&first);
        let mut text = format!("    {sign} {first}  {}\n", happening.lines.join(&format!("\n{}", " ".repeat(column))));
        if !others.is_empty() {
            text.push_str(&format!("    {sign} {}  the same\n", listed(others)));
        }
        text
    }

    /// A step in full.
    fn step(&self, step: &Step) -> String {
        let mut text = format!("        {}\n", self.paint(Ink::Faint, &safe(&step.id)));
        let mut say = |name: &str, words: &str| text.push_str(&format!("          {name} {words}\n"));
        say("run:    ", &shell::line(&step.command.argv));
        if let Some(input) = &step.command.stdin {
            let lines: Vec<_> = input.lines().collect();
            for line in lines.iter().take(SHOWN_INPUT) {
                say("input:  ", &escape(line));
            }
            if lines.len() > SHOWN_INPUT {
                say("input:  ", &format!("... and {}", count(lines.len() - SHOWN_INPUT, "more line")));
            }
        }
        if let Some(file) = &step.command.upload {
            say("input:  ", &format!("{} ({}, sha256 {})", escape(&file.path), Size(file.bytes), file.sha256));
        }
        for guard in &step.guard {
            say("only if:", &guarded(guard));
        }
        for before in &step.after {
            say("after:  ", &safe(before));
        }
        match &step.inverse {
            Inverse::By(command) if step.rolls_back => {
                say("undo:   ", &format!("{}  (by itself, if a later step here fails)", shell::line(&command.argv)));
            }
            Inverse::By(command) => say("undo:   ", &shell::line(&command.argv)),
            Inverse::None(why) => say("undo:   ", &format!("none: {}", safe(why))),
        }
        text
    }

    // ---- files and room --------------------------------------------------------------------------------------------

    fn files(&self) -> String {
        let mut groups: Vec<(&str, &str, Vec<&HostName>)> = Vec::new();
        for file in &self.plan.files {
            match groups.iter_mut().find(|(path, diff, _)| *path == file.path && *diff == file.diff) {
                Some((_, _, hosts)) => hosts.push(&file.host),
                None => groups.push((&file.path, &file.diff, vec![&file.host])),
            }
        }
        let mut text = String::new();
        for (path, diff, hosts) in groups {
            let head = format!("{}  {}", listed(hosts), safe(path));
            text.push_str(&format!("{}\n", self.paint(Ink::Strong, &head)));
            let mut hunks = 0;
            for line in diff.lines().skip_while(|line| line.starts_with("---") || line.starts_with("+++")) {
                if line.starts_with("@@") {
                    hunks += 1;
                    if hunks > 1 {
                        text.push_str("    ...\n");
                    }
                    continue;
                }
                let mut rest = line.chars();
                let shown = match rest.next() {
                    Some('+') => self.paint(Ink::Good, &format!("+ {}", escape(rest.as_str()))),
                    Some('-') => self.paint(Ink::Bad, &format!("- {}", escape(rest.as_str()))),
                    Some(' ') => format!("  {}", escape(rest.as_str())),
                    _ => escape(line),
                };
                text.push_str(&format!("  {}\n", shown.trim_end()));
            }
        }
        text
    }

    fn rooms(&self) -> String {
        let rooms: Vec<_> = self.plan.rooms.iter().filter(|room| room.bytes > 0 || room.promised > 0).collect();
        if rooms.is_empty() || self.plan.operation == Operation::RefreshOnly {
            return String::new();
        }
        let hosts = rooms.iter().map(|room| width(&safe(&room.host))).max().unwrap_or(0);
        let paths = rooms.iter().map(|room| width(&safe(&room.at))).max().unwrap_or(0);
        let mut text = "Room:\n".to_owned();
        for room in rooms {
            let (host, at) = (pad(&safe(&room.host), hosts), pad(&safe(&room.at), paths));
            text.push_str(&format!("  {host}  {at}  {}\n", self.room(room)));
        }
        text
    }

    fn room(&self, room: &Room) -> String {
        let taken = match (room.bytes, room.free.map(|free| Size(free).rounded())) {
            (0, Some(free)) => format!("takes nothing yet of {free} free"),
            (0, None) => "takes nothing yet; how much is free is not known".to_owned(),
            (bytes, Some(free)) => format!("takes {} of {free} free", Size(bytes).rounded()),
            (bytes, None) => format!("takes {}; how much is free is not known", Size(bytes).rounded()),
        };
        if room.promised == 0 {
            return taken;
        }
        let whole = room.bytes.saturating_add(room.promised);
        let overcommitted = match room.free {
            Some(free) if whole > free => {
                let by = format!(" (overcommitted by {})", Size(whole - free).rounded());
                self.paint(Ink::Attention, &by)
            }
            _ => String::new(),
        };
        format!("{taken}; guests may fill {} more{overcommitted}", Size(room.promised).rounded())
    }

    /// What the outputs are to be, where they are something else now.
    fn outputs(&self) -> String {
        if self.plan.output_changes.is_empty() {
            return String::new();
        }
        let mut text = format!("{}\n", self.paint(Ink::Strong, "Changes to outputs"));
        for (name, change) in &self.plan.output_changes {
            let (sign, ink) = symbol(change.action);
            let value = |value: &Option<serde_json::Value>| match (change.sensitive, value) {
                (true, _) => values::MASKED.to_owned(),
                (false, Some(value)) => values::render(value),
                (false, None) => "null".to_owned(),
            };
            let told = match change.action {
                Action::Create => value(&change.after),
                Action::Destroy => format!("{} -> null", value(&change.before)),
                _ => format!("{} -> {}", value(&change.before), value(&change.after)),
            };
            let told = format!("{} = {told}", safe(name)).replace('\n', "\n    ");
            text.push_str(&format!("  {} {told}\n", self.paint(ink, sign)));
        }
        text
    }

    // ---- the numbers -----------------------------------------------------------------------------------------------

    fn closing(&self) -> String {
        let plan = self.plan;
        let mut text = String::new();
        let is_quiet = plan.steps.is_empty() && !plan.has_changes();
        let is_sound =
            plan.is_decided() && (plan.complete || plan.targets.is_some()) && plan.blocking().next().is_none();
        if plan.operation == Operation::RefreshOnly {
            text.push_str(&self.refreshed());
        } else if is_quiet && is_sound {
            text.push_str(&self.no_changes());
        } else {
            text.push_str(&self.summary(is_quiet));
        }
        text.push_str(&self.impacts());
        let waiting: usize = plan
            .changes
            .iter()
            .map(|change| change.hosts.values().filter(|action| **action == Action::Later).count())
            .sum();
        if waiting > 0 {
            text.push_str(&format!(
                "{} can be decided only after steps of this plan have run.\n",
                count(waiting, "placement")
            ));
        }
        if !plan.unknown.is_empty() {
            let note =
                format!("{} did not answer: the plan is incomplete (exit code 8).", count(plan.unknown.len(), "host"));
            text.push_str(&format!("{}\n", self.paint(Ink::Bad, &note)));
        }
        text.push_str(&self.blocked());
        if let Some(targets) = &plan.targets {
            text.push_str(&format!("{}\n", self.paint(Ink::Attention, &targets::note(targets))));
        }
        text.push_str(&format!("Plan hash: {}\n", plan.hash));
        text
    }

    fn no_changes(&self) -> String {
        let plan = self.plan;
        if plan.operation == Operation::Destroy {
            return "No changes. There is nothing to destroy.\n".to_owned();
        }
        let summary = &plan.summary;
        let known = summary.unchanged + summary.adopt;
        let hosts: BTreeSet<_> = plan.changes.iter().flat_map(|change| change.hosts.keys()).collect();
        let mut text = match known {
            0 if plan.targets.is_some() => "No changes. This part asks for nothing on any host.\n".to_owned(),
            0 => "No changes. The configuration asks for nothing on any host.\n".to_owned(),
            1 => format!("No changes. 1 resource on {} is as configured.\n", count(hosts.len(), "host")),
            _ => format!("No changes. {known} resources on {} are as configured.\n", count(hosts.len(), "host")),
        };
        let adopting =
            plan.changes.iter().filter(|change| change.hosts.values().any(|action| *action == Action::Adopt)).count();
        match adopting {
            0 => {}
            1 => text.push_str("1 of them is not in the state yet: it matches and is recorded at the next apply.\n"),
            _ => text.push_str(&format!(
                "{adopting} of them are not in the state yet: they match and are recorded at the next apply.\n"
            )),
        }
        text
    }

    fn refreshed(&self) -> String {
        let what = match self.plan.drift.len() {
            0 => "Nothing differs from what the last apply left.".to_owned(),
            1 => "1 attribute differs from what the last apply left; apply records it as it is now.".to_owned(),
            all => {
                format!("{all} attributes differ from what the last apply left; apply records them as they are now.")
            }
        };
        format!("Refresh only: no host is changed. {what}\n")
    }

    fn summary(&self, is_quiet: bool) -> String {
        let summary = &self.plan.summary;
        let mut parts = vec![
            format!("{} to create", summary.create),
            format!("{} to update", summary.update),
            format!("{} to destroy", summary.destroy),
        ];
        for (number, what) in [(summary.moved, "to move"), (summary.adopt, "to adopt"), (summary.forget, "to forget")] {
            if number > 0 {
                parts.push(format!("{number} {what}"));
            }
        }
        parts.push(format!("{} unchanged", summary.unchanged));
        let line = format!("Plan: {}.", parts.join(", "));
        let hosts: BTreeSet<_> = self.plan.steps.iter().map(|step| &step.host).collect();
        let steps = match (self.plan.steps.len(), is_quiet) {
            (0, true) => "Nothing to run, as far as is known.".to_owned(),
            (0, false) => "No step runs on any host; apply records it in the state.".to_owned(),
            (steps, _) => {
                let impact = match self.plan.steps.iter().filter(|step| step.impact != Impact::None).count() {
                    0 => "no guest is interrupted.".to_owned(),
                    1 => "1 of them touches guests:".to_owned(),
                    touching => format!("{touching} of them touch guests:"),
                };
                format!("{} on {}; {impact}", count(steps, "step"), count(hosts.len(), "host"))
            }
        };
        format!("{} {steps}\n", self.paint(Ink::Strong, &line))
    }

    /// The steps that guests feel.
    fn impacts(&self) -> String {
        let mut text = String::new();
        for step in &self.plan.steps {
            let Some(word) = felt(step.impact) else { continue };
            let line = format!(
                "  {}  {}  {}",
                safe(&step.host),
                safe(&step.summary),
                self.paint(Ink::Attention, &format!("({word})"))
            );
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    fn blocked(&self) -> String {
        let blocking: Vec<_> = self.plan.blocking().collect();
        let acceptable = blocking.iter().filter(|hazard| hazard.can_be_accepted).count();
        let hazards = count(blocking.len(), "hazard");
        let note = match (blocking.len(), acceptable) {
            (0, _) => return String::new(),
            _ if self.plan.operation == Operation::RefreshOnly => {
                let note = format!("{hazards} would stop an apply, not this refresh of the state.");
                return format!("{}\n", self.paint(Ink::Attention, &note));
            }
            (all, 0) => {
                format!("{hazards} must be resolved before apply (exit code 6).", hazards = count(all, "hazard"))
            }
            (all, acceptable) if all == acceptable => {
                format!("{hazards} must be resolved or accepted before apply (exit code 6).")
            }
            (_, acceptable) => {
                format!(
                    "{hazards} must be resolved before apply; {acceptable} of them may be accepted instead (exit code 6)."
                )
            }
        };
        format!("{}\n", self.paint(Ink::Bad, &note))
    }
}

/// What guests feel of a step, if anything.
pub(super) fn felt(impact: Impact) -> Option<&'static str> {
    match impact {
        Impact::None => None,
        Impact::IoPause => Some("guests: I/O pauses"),
        Impact::Remount => Some("guests: remount"),
        Impact::Offline => Some("guests must be off"),
    }
}

/// The address of a change; of one that moves, both.
fn name(change: &Change) -> String {
    match &change.moved_from {
        Some(old) => format!("{} -> {}", safe(old), safe(&change.address)),
        None => safe(&change.address),
    }
}

/// `external_volume.nfs@hv2`.
fn place(hazard: &Hazard) -> String {
    match &hazard.host {
        Some(host) => safe(format!("{}@{host}", hazard.address)),
        None => safe(&hazard.address),
    }
}

/// The text with the hazard's own host and address as blanks to fill in, so that the same danger on many hosts reads the same.
fn without_place(hazard: &Hazard, text: &str) -> String {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | '"');
    let mut words = Vec::new();
    for word in text.split_inclusive(|c: char| !is_name(c)) {
        let name = word.trim_end_matches(|c: char| !is_name(c) || c == '.');
        let rest = &word[name.len()..];
        let is_place =
            hazard.host.as_ref().is_some_and(|host| host.as_str() == name) || hazard.address.to_string() == name;
        words.push(if is_place { format!("\0{rest}") } else { word.to_owned() });
    }
    words.concat()
}

/// The guard as a sentence: what, how it is asked, what must come out.
pub(super) fn guarded(guard: &Guard) -> String {
    let out = guard.out.trim_end_matches('\n');
    let answer = match (guard.status, out) {
        (0, "") => "says nothing".to_owned(),
        (0, out) => format!("says {}", short(out)),
        (status, "") => format!("fails with {status}"),
        (status, out) => format!("fails with {status} and says {}", short(out)),
    };
    format!("{} is as seen: {} {answer}", safe(&guard.what), shell::line(&guard.ask.0))
}

/// Everything of one placement that was changed by hand.
fn drifted(drift: &[&Drift]) -> String {
    if drift.len() > 1 && drift.iter().all(|one| one.have == "absent") {
        return format!("is gone ({})", listed(drift.iter().map(|one| &one.attribute)));
    }
    let one = |one: &&Drift| format!("{} was {}, is {}", safe(&one.attribute), short(&one.recorded), short(&one.have));
    drift.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// A value on one line of bearable length; the JSON form has it whole.
fn short(value: &str) -> String {
    const LONGEST: usize = 120;
    let value = escape_line(value);
    match value.char_indices().nth(LONGEST) {
        None if value.is_empty() => "(empty)".to_owned(),
        None => value,
        Some((end, _)) => format!("{}…", &value[..end]),
    }
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + rest.as_str())
}

#[cfg(test)]
mod tests;
