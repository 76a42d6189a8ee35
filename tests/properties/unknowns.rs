//! What is said before the hosts were asked stays true when they have answered: a value that was known is the same value,
//! what was an error is an error. Else `larder validate` and the plan would be about different configurations.

use std::collections::BTreeMap;
use std::path::Path;

use larder::config::{Configuration, Data, Evaluated, Inputs, Value, load};
use larder::kinds;
use larder::model::block::NestedBlock;
use larder::model::{Attribute, Block, Datum, HostName, Problem};
use proptest::prelude::*;
use serde_json::json;

use crate::check;
use crate::expressions::{Names, Shapes};

const HOSTS: &str = "host \"h\" {\n  address = \"192.0.2.1\"\n  labels = { rack = \"a\" }\n}\n\
                     host \"g\" {\n  address = \"192.0.2.2\"\n}\n";

const VARIABLES: &str = r#"
variable "text" {
  default = "abc"
}
variable "number" {
  default = 3
}
variable "bool" {
  default = true
}
variable "list" {
  default = ["b", "a", "b"]
}
variable "numbers" {
  type    = list(number)
  default = [2, 1]
}
variable "map" {
  type    = map(string)
  default = { a = "x", c = "1" }
}
variable "any" {
  default = { a = [1, null], b = { c = true } }
}
variable "nothing" {
  default = null
}
variable "secret" {
  default   = "hush"
  sensitive = true
}
"#;

/// What a host says under the names of [`Names::of`]: mostly what the name promises.
fn facts() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof!["[a-c]{0,2}", "[0-9]{1,2}", Just("true".to_owned())].prop_map(serde_json::Value::from);
    let number = prop_oneof![(-2i64..4).prop_map(serde_json::Value::from), Just(json!(1.5))];
    let bool = any::<bool>().prop_map(serde_json::Value::from);
    let scalar = prop_oneof![4 => text.clone(), 3 => number.clone(), 2 => bool.clone(), 1 => Just(json!(null))].boxed();
    let value = scalar.clone().prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|map| json!(map)),
        ]
    });
    let value = value.boxed();
    let mostly = |meant: BoxedStrategy<serde_json::Value>| prop_oneof![7 => meant, 1 => value.clone()].boxed();
    let list = |of: &BoxedStrategy<serde_json::Value>| {
        mostly(prop::collection::vec(of.clone(), 0..4).prop_map(serde_json::Value::from).boxed())
    };
    let map = prop::collection::btree_map("[a-c]", scalar.clone(), 0..3).prop_map(|map| json!(map)).boxed();
    let text = text.boxed();
    (
        mostly(text.clone()),
        mostly(number.clone().boxed()),
        mostly(bool.boxed()),
        list(&text),
        list(&number.boxed()),
        mostly(map),
        value.clone(),
    )
        .prop_map(|(text, number, bool, list, numbers, map, any)| {
            json!({
                "text": text, "number": number, "bool": bool, "list": list, "numbers": numbers, "map": map, "any": any,
                "nothing": null,
            })
        })
}

/// The configuration in these files, which are read from a directory of their own.
fn configuration(files: &[(&str, &str)]) -> Configuration {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    let loaded = load(directory.path(), &Inputs::default(), kinds::table());
    let shown = files.iter().map(|(name, text)| format!("-- {name}\n{text}")).collect::<String>();
    loaded.configuration.unwrap_or_else(|| panic!("{:#?}\n{shown}", loaded.problems))
}

/// Whether everything that the first value says is true of the second.
fn holds(unknown: &Value, known: &Value) -> bool {
    let all = |a: &[Value], b: &[Value]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| holds(a, b));
    match (&unknown.data, &known.data) {
        (Data::Unknown(_), _) => true,
        (Data::Set(_, a), Data::Set(_, b)) => unknown.has_unknown() || all(a, b),
        (Data::List(_, a), Data::List(_, b)) | (Data::Tuple(a), Data::Tuple(b)) => all(a, b),
        (Data::Map(..), Data::Map(..)) | (Data::Object(_), Data::Object(_)) => {
            let (Some(a), Some(b)) = (unknown.fields(), known.fields()) else { return false };
            unknown.identity() == known.identity()
                && a.len() == b.len()
                && a.iter().zip(b).all(|((x, a), (y, b))| x == y && holds(a, b))
        }
        (Data::Null(_), Data::Null(_)) => true,
        _ => unknown.ty() == known.ty() && unknown.to_json_text() == known.to_json_text(),
    }
}

fn names() -> Names {
    let others = Names {
        text: vec!["var.secret".to_owned()],
        list: vec!["values(host)".to_owned()],
        map: vec!["host".to_owned()],
        any: vec!["host.h".to_owned()],
        ..Names::default()
    };
    Names::of("host.h.facts").and(Names::of("var")).and(others)
}

fn check_expression(
    configuration: &Configuration,
    expression: &str,
    facts: &serde_json::Value,
) -> Result<(), TestCaseError> {
    let unknown = configuration.expression(expression, None);
    let facts = BTreeMap::from([(HostName::from("h"), facts.clone())]);
    let known = configuration.expression(expression, Some(&facts));
    match (&unknown, &known) {
        (Ok(unknown), Ok(known)) => {
            prop_assert!(holds(unknown, known), "{expression}: {unknown:?} becomes {known:?}");
            let wholly = !unknown.has_unknown_within();
            prop_assert!(
                // What is in error only with facts has nothing to hide any more.
                !wholly || unknown.is_sensitive_anywhere() || !known.is_sensitive_anywhere(),
                "{expression}: {unknown:?} becomes {known:?}"
            );
        }
        (Err(problems), Ok(known)) => prop_assert!(false, "{expression}: {problems:#?} becomes {known:?}"),
        (_, Err(_)) => {}
    }
    Ok(())
}

#[test]
fn an_expression_says_nothing_that_facts_make_untrue() {
    let configuration = configuration(&[("main.hcl", &format!("{HOSTS}{VARIABLES}"))]);
    let expressions = names().expressions(2);
    let strategy = (expressions.any, facts());
    check(500, strategy, |(expression, facts)| check_expression(&configuration, &expression, &facts));
}

#[test]
fn the_expressions_of_the_set_say_nothing_that_facts_make_untrue() {
    let context = include_str!("../language/context.hcl");
    let configuration = configuration(&[("main.hcl", &format!("{context}{HOSTS}"))]);
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
    let facts = serde_json::Value::Object(facts);
    let fact = regex::Regex::new(r"\bvar\.").expect("a pattern");
    let (mut asked, mut wrong) = (0, Vec::new());
    for line in include_str!("../language/expressions.jsonl").lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row of the set");
        let original = row["expression"].as_str().expect("a text");
        let expression = fact.replace_all(original, "host.h.facts.");
        if expression == original {
            continue;
        }
        asked += 1;
        if let Err(TestCaseError::Fail(why)) = check_expression(&configuration, &expression, &facts) {
            wrong.push(why.to_string());
        }
    }
    assert!(asked > 200, "{asked}");
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Files of a whole configuration: locals, a module, storages, volumes and images with instances, conditions, outputs.
fn files() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let first = names().simple();
    let local = names().and(Names::of("local"));
    let second = local.simple();
    let input = Names::of("var").simple();
    let built = Names {
        text: ["image_storage.s.owner", "external_volume.plain.mount_point", "image_storage.s.mode"]
            .map(Into::into)
            .into(),
        list: ["image_storage.s.hosts", "external_volume.plain.options", "values(external_volume)"]
            .map(Into::into)
            .into(),
        any: ["external_volume.v", "image.i", "module.m", "module.m.any", "external_volume.plain", "image"]
            .map(Into::into)
            .into(),
        ..Names::default()
    };
    let third = local.clone().and(built).expressions(1);
    let each = Names { any: vec!["each.value".into(), "each.key".into()], ..Names::default() };
    let of_each = local.clone().and(each).simple();
    let count = Names { number: vec!["count.index".into()], ..Names::default() };
    let of_count = local.and(count).simple();

    let locals = (&first.text, &first.number, &first.bool, &first.list, &first.map, &first.any);
    let locals =
        (locals.0.clone(), locals.1.clone(), locals.2.clone(), locals.3.clone(), locals.4.clone(), locals.5.clone());
    let locals = locals.prop_map(|(text, number, bool, list, map, any)| {
        format!(
            "locals {{\n  text = {text}\n  number = {number}\n  bool = {bool}\n  list = {list}\n  numbers = [{number}]\n  map = {map}\n  any = {any}\n  nothing = null\n}}\n"
        )
    });
    // With the expressions that see what instances see. There is an instance always: of a block without any, mistakes are
    // none.
    let meta = prop_oneof![
        3 => Just((String::new(), second.clone())),
        1 => second.number.clone().prop_map({
            let of_count = of_count.clone();
            move |number| (format!("  count = 1 + max(0, {number})\n"), of_count.clone())
        }),
        1 => second.list.clone().prop_map({
            let of_each = of_each.clone();
            move |list| (format!("  for_each = toset(concat([\"z\"], {list}))\n"), of_each.clone())
        }),
        2 => second.map.clone().prop_map(move |map| (format!("  for_each = merge({{ z = 1 }}, {map})\n"), of_each.clone())),
    ];
    let conditions = |word: &'static str, of: &Shapes| {
        let one = (of.bool.clone(), of.text.clone());
        prop::option::weighted(0.3, one).prop_map(move |one| match one {
            Some((condition, message)) => {
                format!("{word} {{\n    condition = {condition}\n    error_message = {message}\n  }}\n")
            }
            None => String::new(),
        })
    };
    let hosts = prop_oneof![
        2 => Just("[host.h, host.g]".to_owned()),
        1 => Just("values(host)".to_owned()),
        1 => second.bool.clone().prop_map(|condition| format!("[for h in host : h if {condition}]")),
        1 => Just("[for h in host : h if h.facts.number != 1]".to_owned()),
        1 => second.bool.clone().prop_map(|condition| format!("({condition} ? [host.h] : values(host))")),
    ];
    let storage = (hosts, prop::option::of(second.text.clone()), conditions("  lifecycle {\n  precondition", &second));
    let storage = storage.prop_map(|(hosts, owner, precondition)| {
        let owner = owner.map_or(String::new(), |owner| format!("  owner = {owner}\n"));
        let close = if precondition.is_empty() { "" } else { "  }\n" };
        format!("image_storage \"s\" {{\n  hosts = {hosts}\n{owner}  mode = \"0770\"\n{precondition}{close}}}\n")
    });
    let volume = meta.clone().prop_flat_map(move |(meta, of)| {
        let options = prop::option::of(of.list.clone());
        let one = prop_oneof![of.any.clone(), of.bool.clone().prop_map(|bool| format!("({bool} ? [\"1MiB\"] : [\"2MiB\"])[0]"))];
        let repeated = prop::option::weighted(0.3, (one, of.any.clone()));
        (Just(meta), of.text.clone(), options, repeated).prop_map(|(meta, name, options, repeated)| {
            let options = options.map_or(String::new(), |options| format!("  options = {options}\n"));
            let inner = match repeated {
                Some((list, size)) => format!(
                    "  dynamic \"tmpfs\" {{\n    for_each = [{list}]\n    content {{\n      size = try(tmpfs.value, {size})\n    }}\n  }}\n"
                ),
                None => "  tmpfs {\n    size = \"1MiB\"\n  }\n".to_owned(),
            };
            format!(
                "external_volume \"v\" {{\n{meta}  storage = image_storage.s\n  mount_point = \"/srv/${{{name}}}\"\n{options}{inner}}}\n"
            )
        })
    });
    let image = meta.clone().prop_flat_map(|(meta, of)| {
        (Just(meta), of.text.clone(), of.any.clone()).prop_map(|(meta, name, size)| {
            format!(
                "image \"i\" {{\n{meta}  volume = external_volume.plain\n  hosts = [host.h]\n  format = \"raw\"\n  name = {name}\n  size = {size}\n  depends_on = [external_volume.v]\n}}\n"
            )
        })
    });
    let call = meta.prop_flat_map(|(meta, of)| {
        (Just(meta), of.text.clone(), of.list.clone(), of.any.clone()).prop_map(|(meta, text, list, any)| {
            format!("module \"m\" {{\n  source = \"./m\"\n{meta}  hosts = [host.h]\n  text = {text}\n  list = {list}\n  any = {any}\n}}\n")
        })
    });
    let module = (input.text.clone(), input.list.clone(), input.any.clone(), conditions("  validation", &input));
    let module = module.prop_map(|(text, list, any, validation)| {
        let variables = VARIABLES.replace("variable \"text\" {\n", &format!("variable \"text\" {{\n{validation}"));
        format!(
            "{variables}variable \"hosts\" {{\n}}\nimage_storage \"inner\" {{\n  hosts = var.hosts\n  owner = {text}\n}}\n\
             output \"text\" {{\n  value = {text}\n}}\noutput \"list\" {{\n  value = {list}\n}}\noutput \"any\" {{\n  value = [{any}, image_storage.inner.owner]\n}}\n"
        )
    });
    let outputs = prop::collection::vec((third.any.clone(), any::<bool>()), 1..5).prop_map(|values| {
        let one = |(number, (value, sensitive)): (usize, (String, bool))| {
            format!("output \"o{number}\" {{\n  value = {value}\n  sensitive = {sensitive}\n}}\n")
        };
        values.into_iter().enumerate().map(one).collect::<String>()
    });
    let check = conditions("check \"c\" {\n  assert", &third);
    let check = check.prop_map(|check| if check.is_empty() { check } else { format!("{check}}}\n") });
    (locals, storage, volume, image, call, module, outputs, check).prop_map(
        |(locals, storage, volume, image, call, module, outputs, check)| {
            let plain = "external_volume \"plain\" {\n  storage = image_storage.s\n  directory {}\n}\n";
            let main = format!("{HOSTS}{VARIABLES}{locals}{storage}{plain}{volume}{image}{call}{outputs}{check}");
            vec![("main.hcl", main), ("m/main.hcl", module)]
        },
    )
}

/// An error that facts may mend: a value has to be known by now, or may turn out to be a secret.
fn is_about_what_may_be(problem: &Problem) -> bool {
    ["unknown-instances", "sensitive-output", "sensitive-value"].contains(&problem.code.as_str())
        || problem.summary.ends_with("sensitive")
}

/// Everything that was said is still so.
fn still_so(before: &Evaluated, after: &Evaluated) -> Result<(), String> {
    let same = |a: &Problem, b: &Problem| (&a.code, &a.place) == (&b.code, &b.place);
    let new = |other: &&Problem| other.is_error() && !before.problems.iter().any(|problem| same(problem, other));
    // What is in error now hides what follows from it.
    let is_worse = after.problems.iter().any(|problem| new(&problem));
    for problem in before.problems.iter().filter(|problem| !is_about_what_may_be(problem)) {
        let is_open = problem.is_error() || problem.detail.starts_with("The message ");
        let is_there = |other: &Problem| same(problem, other) && (is_open || problem.detail == other.detail);
        if !after.problems.iter().any(is_there) && !is_worse {
            return Err(format!("not said any more: {problem}\nbut {:#?}", after.problems));
        }
    }
    let is_in_error = after.problems.iter().any(Problem::is_error);
    for (name, output) in &before.desired.outputs {
        match (&output.value, after.desired.outputs.get(name)) {
            // What it reads may be in error now.
            (Some(_), Some(now)) if now.value.is_none() && is_in_error => {}
            (Some(_), Some(now)) if now != output => return Err(format!("output {name}: {output:?} becomes {now:?}")),
            (Some(_), None) if !is_in_error => return Err(format!("output {name} is gone")),
            _ => {}
        }
    }
    for (address, block) in &before.desired.blocks {
        match after.desired.blocks.get(address) {
            Some(now) => block_still_so(block, now, is_in_error).map_err(|why| format!("{address}: {why}"))?,
            None if !is_in_error => return Err(format!("{address} is gone")),
            None => {}
        }
    }
    let others = |evaluated: &Evaluated| {
        let desired = &evaluated.desired;
        (desired.settings.clone(), desired.statements.clone())
    };
    if others(before) != others(after) {
        return Err("settings or moves differ".to_owned());
    }
    // Where something is in error, not all that is wanted was looked at.
    let is_sound = !before.problems.iter().any(Problem::is_error);
    if is_sound && !before.desired.wants_facts && (before.desired != after.desired || before.problems != after.problems)
    {
        return Err("facts make a difference, and nobody wanted them".to_owned());
    }
    Ok(())
}

fn block_still_so(block: &Block, now: &Block, is_in_error: bool) -> Result<(), String> {
    let names = block.attributes.keys().chain(now.attributes.keys());
    for name in names {
        match (block.attributes.get(name), now.attributes.get(name)) {
            (Some(Attribute { value: Datum::Unknown, .. }), _) => {}
            // What it comes from may be in error now.
            (_, Some(Attribute { value: Datum::Unknown, .. })) if is_in_error => {}
            (before, after) if before == after => {}
            (before, after) => return Err(format!("{name}: {before:?} becomes {after:?}")),
        }
    }
    let is_unknown = |block: &NestedBlock| block.attributes.values().any(|attribute| attribute.value == Datum::Unknown);
    if !block.blocks.iter().any(is_unknown) && block.blocks != now.blocks {
        return Err(format!("{:?} become {:?}", block.blocks, now.blocks));
    }
    match block.lifecycle == now.lifecycle {
        true => Ok(()),
        false => Err("its lifecycle differs".to_owned()),
    }
}

fn check_configuration(
    files: &[(&'static str, String)],
    facts: (serde_json::Value, serde_json::Value),
) -> Result<(), TestCaseError> {
    let shown: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let configuration = configuration(&shown);
    let one = BTreeMap::from([(HostName::from("h"), facts.0)]);
    let mut both = one.clone();
    both.insert(HostName::from("g"), facts.1);
    let none = configuration.evaluate(None);
    let (one, both) = (configuration.evaluate(Some(&one)), configuration.evaluate(Some(&both)));
    for (what, before, after) in [("none, both", &none, &both), ("none, one", &none, &one), ("one, both", &one, &both)]
    {
        if let Err(why) = still_so(before, after) {
            let text = files.iter().map(|(name, text)| format!("-- {name}\n{text}")).collect::<String>();
            prop_assert!(false, "{what} hosts asked: {why}\n{text}");
        }
    }
    Ok(())
}

#[test]
fn a_configuration_says_nothing_that_facts_make_untrue() {
    check(80, (files(), facts(), facts()), |(files, one, other)| check_configuration(&files, (one, other)));
}
