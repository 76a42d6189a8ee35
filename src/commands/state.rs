//! `larder state list|show|mv|rm` and `larder force-unlock`: the state, without asking any host.

use crate::cli::{Global, StateCommand};
use crate::kinds::host;
use crate::model::block::Attributes;
use crate::model::{Address, Datum, Moved, Problem, Problems, Selector, escape_line};
use crate::state::{LocalState, Record, State, moves};

use super::terminal::Terminal;
use super::workspace::{holder, state_of};
use super::{Exit, Failure, Outcome};

pub(super) fn run(global: &Global, command: &StateCommand, terminal: &Terminal) -> Outcome {
    let local = state_of(global, terminal)?;
    match command {
        StateCommand::List { prefix } => {
            let state = local.read()?;
            let prefix = prefix.as_deref().unwrap_or("");
            let addresses = state.resources.keys().map(ToString::to_string);
            let found: Vec<_> = addresses.filter(|address| address.starts_with(prefix)).collect();
            found.iter().for_each(|address| terminal.say(&escape_line(address)));
            if state.resources.is_empty() {
                terminal.hint(&nothing_yet(&local));
            } else if found.is_empty() {
                terminal.hint(&format!("Nothing in the state begins with {}.", escape_line(prefix)));
            }
        }
        StateCommand::Show { address, .. } => {
            let state = local.read()?;
            let address = parse(address)?;
            let record = state.resources.get(&address).ok_or_else(|| missing(&address, state.resources.keys()))?;
            match terminal.is_json() {
                true => terminal.json(&serde_json::to_value(record).unwrap_or_default()),
                false => terminal.say(&describe(&address, record)),
            }
        }
        StateCommand::Mv { from, to, locking } => {
            let _lock = local.lock(&holder("state mv"), locking.lock_timeout)?;
            let mut state = local.read()?;
            let moved = Moved::new(selector(from)?, selector(to)?, None)?;
            let pairs = moves::resolve(&state, std::slice::from_ref(&moved)).map_err(several)?;
            // What is only referred to is not worth a line.
            let is_had = |old: &Address| state.resources.contains_key(old) || old.is(host::NAME);
            let told: Vec<_> = pairs.iter().filter(|(old, _)| is_had(old)).collect();
            if told.is_empty() {
                return Err(nothing_of(&moved.from, &state));
            }
            let text = told.iter().map(|(old, new)| format!("Moved {old} to {new}."));
            let text = text.chain([AFTER_MOVE.to_owned()]).collect::<Vec<_>>();
            state = moves::rename(&state, &pairs).into_owned();
            local.write(&mut state)?;
            text.iter().for_each(|line| terminal.say(&escape_line(line)));
        }
        StateCommand::Rm { addresses, locking } => {
            let _lock = local.lock(&holder("state rm"), locking.lock_timeout)?;
            let mut state = local.read()?;
            let named = addresses.iter().map(|text| selector(text)).collect::<Result<Vec<_>, _>>()?;
            let mut forgotten = Vec::new();
            for one in &named {
                let found: Vec<_> = state.resources.keys().filter(|address| one.selects(address)).cloned().collect();
                if found.is_empty() {
                    return Err(nothing_of(one, &state));
                }
                found.iter().for_each(|address| drop(state.resources.remove(address)));
                forgotten.extend(found);
            }
            local.write(&mut state)?;
            forgotten.iter().for_each(|address| {
                terminal.say(&format!("Forgot {}. Hosts are left as they are.", escape_line(&address.to_string())))
            });
        }
    }
    Ok(Exit::Done)
}

/// What to say where nothing is shown of a state that holds nothing.
pub(super) fn nothing_yet(local: &LocalState) -> String {
    let path = escape_line(&local.path.display().to_string());
    match local.path.exists() {
        true => format!("The state {path} remembers no resource."),
        false => format!("There is no state yet ({path}): the first `larder apply` writes it."),
    }
}

fn parse(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|error: crate::model::address::NotAnAddress| {
        Failure::new(
            Exit::Usage,
            Problem::error("invalid-address", error.to_string(), "`larder state list` shows the addresses."),
        )
    })
}

const AFTER_MOVE: &str =
    "Hosts are left as they are: where one carries the old address, the next apply writes the new one.";

fn selector(text: &str) -> Result<Selector, Failure> {
    text.parse().map_err(|error: crate::model::address::NotAnAddress| {
        let cure = "`larder state list` shows the addresses; a module is written like module.NAME.";
        Failure::new(Exit::Usage, Problem::error("invalid-address", error.to_string(), cure))
    })
}

fn several(problems: Problems) -> Failure {
    Failure { exit: Exit::Error, problems, sources: Default::default() }
}

/// That the state has nothing that a selector names.
fn nothing_of(named: &Selector, state: &State) -> Failure {
    if let Ok(address) = named.to_string().parse() {
        return missing(&address, state.resources.keys());
    }
    let known: Vec<_> = state.resources.keys().flat_map(|one| [one.to_string(), one.block().to_string()]).collect();
    let near = crate::model::problem::did_you_mean(&named.to_string(), known.iter().map(String::as_str));
    let cure = near
        .map_or_else(|| "`larder state list` shows what there is.".to_owned(), |near| format!("Did you mean {near}?"));
    Problem::error("not-in-state", format!("{} is not in the state", escape_line(&named.to_string())), cure).into()
}

fn missing<'a>(address: &Address, known: impl Iterator<Item = &'a Address>) -> Failure {
    let known: Vec<&Address> = known.collect();
    let wanted = address.to_string();
    // Another instance or the same name elsewhere is nearer than what is merely spelled alike.
    let of_block = known.iter().find(|one| one.block() == address.block());
    let of_name = || known.iter().find(|one| (&one.kind, &one.name) == (&address.kind, &address.name));
    let texts: Vec<_> = known.iter().map(ToString::to_string).collect();
    let alike = || crate::model::problem::did_you_mean(&wanted, texts.iter().map(String::as_str)).map(str::to_owned);
    let near = of_block.or_else(of_name).map(ToString::to_string).or_else(alike).map(|near| escape_line(&near));
    let cure = near
        .map_or_else(|| "`larder state list` shows what there is.".to_owned(), |near| format!("Did you mean {near}?"));
    Problem::error("not-in-state", format!("{} is not in the state", escape_line(&wanted)), cure).into()
}

/// What the state remembers of a resource, for people.
pub(super) fn describe(address: &Address, record: &Record) -> String {
    let mut text = format!("{}\n", escape_line(&address.to_string()));
    for (name, attribute) in record.block.attributes() {
        let value = if attribute.sensitive { "(sensitive)".to_owned() } else { shown(&attribute.value) };
        text.push_str(&format!("    {name} = {}\n", escape_line(&value)));
    }
    for nested in &record.block.blocks {
        let inside: Vec<_> = nested
            .attributes
            .iter()
            .map(|(name, attribute)| {
                format!(
                    "{name} = {}",
                    if attribute.sensitive { "(sensitive)".to_owned() } else { shown(&attribute.value) }
                )
            })
            .collect();
        text.push_str(&format!("    {} {{ {} }}\n", nested.name, escape_line(&inside.join(", "))));
    }
    if record.pending.is_some() {
        text.push_str("    an apply of a newer form was cut off or failed\n");
    }
    for (host, placement) in &record.placements {
        let seen: Vec<_> = placement.observed.iter().map(|(name, value)| format!("{name} {value}")).collect();
        text.push_str(&format!("    @{host}  {}\n", escape_line(&seen.join(", "))));
    }
    text
}

fn shown(value: &Datum) -> String {
    match value {
        Datum::Unknown => "(not known)".to_owned(),
        Datum::Text(text) => format!("{text:?}"),
        Datum::Bool(value) => value.to_string(),
        Datum::Integer(value) => value.to_string(),
        Datum::Size(value) => format!("\"{value}\""),
        Datum::Mode(value) => format!("\"{value}\""),
        Datum::Duration(value) => format!("\"{value}ms\""),
        Datum::Texts(texts) => format!("{texts:?}"),
        Datum::TextMap(map) => format!("{map:?}"),
        Datum::IntegerMap(map) => format!("{map:?}"),
        Datum::Any(value) => value.to_string(),
        Datum::Resource(address) => address.to_string(),
        Datum::Resources(addresses) => {
            format!("[{}]", addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    }
}

pub(super) fn force_unlock(global: &Global, terminal: &Terminal) -> Outcome {
    let local = state_of(global, terminal)?;
    local.clear_lock()?;
    terminal.say("Nobody holds the lock of the state.");
    Ok(Exit::Done)
}
