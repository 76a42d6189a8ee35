//! What an expression says of something unknown stays true when it becomes known: for each expression of the set, with
//! its variables turned into facts of a host.

use std::collections::BTreeMap;

use larder::config::{Data, Inputs, Value, load};
use larder::model::HostName;

use crate::kinds::kinds;

/// Whether everything that the first value says is true of the second.
fn holds(unknown: &Value, known: &Value) -> bool {
    let all = |a: &[Value], b: &[Value]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| holds(a, b));
    match (&unknown.data, &known.data) {
        (Data::Unknown(_), _) => true,
        (Data::Set(_, a), Data::Set(_, b)) => unknown.has_unknown() || all(a, b),
        (Data::List(_, a) | Data::Tuple(a), Data::List(_, b) | Data::Tuple(b)) => all(a, b),
        (Data::Map(..) | Data::Object(_), Data::Map(..) | Data::Object(_)) => {
            let (Some(a), Some(b)) = (unknown.fields(), known.fields()) else { return false };
            a.len() == b.len() && a.iter().zip(b).all(|((x, a), (y, b))| x == y && holds(a, b))
        }
        _ => unknown.to_json_text() == known.to_json_text(),
    }
}

#[test]
fn unknown_agrees_with_what_becomes_known() {
    let directory = tempfile::tempdir().expect("a directory");
    let context = include_str!("context.hcl").to_owned() + "\nhost \"h\" {\n  address = \"x\"\n}\n";
    std::fs::write(directory.path().join("main.hcl"), context).expect("a file");
    let loaded = load(directory.path(), &Inputs::default(), kinds());
    let configuration = loaded.configuration.unwrap_or_else(|| panic!("{:#?}", loaded.problems));
    let mut facts = serde_json::Map::new();
    for name in [
        "s",
        "empty",
        "utf",
        "numstr",
        "boolstr",
        "n",
        "neg",
        "frac",
        "yes",
        "no",
        "nul",
        "nul_list",
        "nul_any",
        "list",
        "nums",
        "none",
        "set",
        "map",
        "nmap",
        "nomap",
        "hosts",
        "disk",
        "disks",
        "any",
        "secret",
        "secret_map",
    ] {
        let value = configuration.expression(&format!("var.{name}"), None).expect("a variable");
        facts.insert(name.to_owned(), value.to_json().expect("known"));
    }
    let facts = BTreeMap::from([(HostName::from("h"), serde_json::Value::Object(facts))]);
    let fact = regex::Regex::new(r"\bvar\.").expect("a pattern");
    let (mut asked, mut wrong) = (0, Vec::new());
    for line in include_str!("expressions.jsonl").lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row of the set");
        let original = row["expression"].as_str().expect("a text");
        let expression = fact.replace_all(original, "host.h.facts.");
        if expression == original {
            continue;
        }
        asked += 1;
        let unknown = configuration.expression(&expression, None);
        let known = configuration.expression(&expression, Some(&facts));
        match (&unknown, &known) {
            (Ok(unknown), Ok(known)) if holds(unknown, known) => {}
            (_, Err(_)) => {}
            _ => wrong.push(format!("{expression}: {unknown:?} but {known:?}")),
        }
    }
    assert!(asked > 200, "{asked}");
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
}
