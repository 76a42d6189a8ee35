//! The order of blocks in a file, of attributes in a block, and which file holds what, mean nothing: the same blocks are
//! wanted, and the plan has the same hash.

use std::collections::BTreeMap;
use std::path::Path;

use hcl::edit::structure::{Body, Structure};
use larder::config::{Evaluated, Inputs, Settings, Statements, load};
use larder::kinds;
use larder::kinds::ask::system;
use larder::model::{Answer, Blocks, Facts, HostFacts, Problem, Question, Reply};
use larder::plan::{self, Input, Request};
use larder::state::State;
use larder::transport::recorded;
use proptest::prelude::*;

use crate::check;

/// Everything that has an order on the page.
const CONFIGURATION: &str = r#"
larder {
  required_version = ">= 0.1"
  apply {
    parallelism = 3
    max_destroy = 7
  }
}
variable "sizes" {
  type        = map(string)
  description = "Sizes of images"
  default     = { web = "1MiB", db = "2MiB", "a b" = "512KiB" }
  validation {
    condition     = length(var.sizes) < 9
    error_message = "Too many."
  }
  validation {
    condition     = !contains(keys(var.sizes), "")
    error_message = "No name."
  }
}
locals {
  mode  = "0770"
  names = sort(keys(var.sizes))
}
locals {
  first = local.names[0]
  owner = local.mode == "0770" ? "libvirt-qemu" : "root"
}
host "hv1" {
  address = "192.0.2.11"
  labels  = { rack = "a" }
}
host "hv2" {
  address = "192.0.2.12"
  labels  = { rack = "b" }
}
image_storage "main" {
  hosts = [for h in host : h if contains(["a", "b"], h.labels.rack)]
  owner = local.owner
  group = "kvm"
  mode  = local.mode
  lifecycle {
    ignore_changes = [mode]
    precondition {
      condition     = length(values(host)) == 2
      error_message = "Two."
    }
    precondition {
      condition     = local.first != ""
      error_message = "None."
    }
  }
}
external_volume "ram" {
  storage     = image_storage.main
  mount_point = "/srv/ram"
  options     = ["noatime", "nodev"]
  tmpfs {
    size = "64MiB"
  }
}
external_volume "more" {
  for_each    = { for name in local.names : name => "/srv/${replace(name, " ", "-")}" if name != local.first }
  storage     = image_storage.main
  mount_point = each.value
  dynamic "tmpfs" {
    for_each = ["16MiB"]
    content {
      size = tmpfs.value
    }
  }
  depends_on = [external_volume.ram]
}
external_volume "plain" {
  count       = 2
  storage     = image_storage.main
  mount_point = "/srv/plain${count.index}"
  directory {}
}
image "guest" {
  for_each = var.sizes
  volume   = external_volume.ram
  hosts    = [host.hv1]
  format   = "raw"
  name     = "${each.key}.raw"
  size     = each.value
}
image "kernel" {
  volume = external_volume.plain[1]
  hosts  = [host.hv2]
  format = "raw"
  name   = host.hv2.facts.kernel
  size   = "1MiB"
}
module "pool" {
  source   = "./pool"
  for_each = toset(["x", "y"])
  hosts    = [host.hv2]
  name     = each.key
}
output "where" {
  value       = { for k, v in external_volume.more : k => v.mount_point }
  description = "Mount points"
}
output "pools" {
  value = [for pool in module.pool : pool.at]
}
check "two" {
  assert {
    condition     = length(module.pool) == 3
    error_message = "There are ${length(module.pool)}."
  }
}
removed {
  from = image.old
}
"#;

const POOL: &str = r#"
variable "hosts" {
}
variable "name" {
  type = string
}
image_storage "inner" {
  hosts = var.hosts
  root  = "/var/lib/larder/storages/pool-${var.name}"
}
external_volume "inner" {
  storage     = image_storage.inner
  mount_point = "/srv/pool-${var.name}"
  tmpfs {
    size = "1MiB"
  }
}
output "at" {
  value = external_volume.inner.mount_point
}
"#;

/// A generator of numbers that gives the same for a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64 (Marsaglia 2003)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("48 bits") % limit.max(1)
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at + 1));
        }
    }
}

/// The contents of a body in another order. Blocks of one name stay in theirs: those that may repeat are a list.
fn shuffled(body: Body, numbers: &mut Numbers) -> Vec<Structure> {
    let mut all: Vec<Structure> = body.into_iter().map(|structure| within(structure, numbers)).collect();
    let name = |structure: &Structure| structure.as_block().map(|block| block.ident.to_string());
    let before: Vec<Option<String>> = all.iter().map(name).collect();
    let mut order: Vec<usize> = (0..all.len()).collect();
    numbers.shuffle(&mut order);
    for word in before.iter().flatten() {
        let at: Vec<usize> = (0..order.len()).filter(|at| before[order[*at]].as_ref() == Some(word)).collect();
        let mut sorted: Vec<usize> = at.iter().map(|at| order[*at]).collect();
        sorted.sort_unstable();
        at.into_iter().zip(sorted).for_each(|(at, index)| order[at] = index);
    }
    let mut left: Vec<Option<Structure>> = all.drain(..).map(Some).collect();
    order.into_iter().filter_map(|index| left[index].take()).collect()
}

fn within(mut structure: Structure, numbers: &mut Numbers) -> Structure {
    if let Some(block) = structure.as_block_mut() {
        block.body = shuffled(std::mem::take(&mut block.body), numbers).into_iter().collect();
    }
    structure
}

/// The text as files in which everything stands elsewhere.
fn scattered(text: &str, numbers: &mut Numbers) -> Vec<(String, String)> {
    let body: Body = text.parse().expect("it parses");
    let mut all: Vec<Structure> = body.into_iter().map(|structure| within(structure, numbers)).collect();
    numbers.shuffle(&mut all);
    let mut names = ["main", "a", "zz", "10-hosts", "Ä", "images.prod"];
    numbers.shuffle(&mut names);
    let count = 1 + numbers.below(names.len());
    let mut files: Vec<Body> = vec![Body::new(); count];
    all.into_iter().for_each(|structure| files[numbers.below(count)].push(structure));
    names.iter().zip(files).map(|(name, body)| (format!("{name}.hcl"), body.to_string())).collect()
}

/// What the files mean with the facts of all hosts.
fn evaluated(files: &[(String, String)], facts: &Facts) -> Evaluated {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    let loaded = load(directory.path(), &Inputs::default(), kinds::table());
    let configuration = loaded.configuration.unwrap_or_else(|| panic!("{:#?}", loaded.problems));
    let said = |host: &HostFacts| Some(system::as_facts(&system::read(host).ok()?));
    let known = facts.hosts.iter().filter_map(|(name, host)| Some((name.clone(), said(host)?)));
    configuration.evaluate(Some(&known.collect()))
}

/// All that may not depend on the order: what is wanted, what is wrong, and the plan.
#[derive(Debug, PartialEq)]
struct Meaning {
    blocks: serde_json::Value,
    outputs: serde_json::Value,
    settings: Settings,
    removed: Vec<String>,
    problems: Vec<(String, String, String)>,
    plan: Result<(String, serde_json::Value), Vec<String>>,
}

fn meaning(files: &[(String, String)], facts: &Facts, state: &State) -> Meaning {
    let evaluated = evaluated(files, facts);
    let mut problems: Vec<_> = evaluated
        .problems
        .iter()
        .map(|problem| (problem.code.clone(), problem.summary.clone(), problem.detail.clone()))
        .collect();
    problems.sort();
    let desired = evaluated.desired;
    let mut removed: Vec<_> = desired.statements.removed.iter().map(|removed| removed.from.to_string()).collect();
    removed.sort();
    let outputs: BTreeMap<_, _> =
        desired.outputs.iter().map(|(name, output)| (name, (&output.value, &output.ty, &output.description))).collect();
    let input = Input {
        desired: &desired.blocks,
        outputs: BTreeMap::new(),
        statements: &desired.statements,
        facts,
        state,
        request: &Request::default(),
        parallelism: 10,
        max_hosts_at_once: 0,
        state_path: "state/larder.state.json",
        lab: false,
    };
    let plan = plan::plan(&input).map(|plan| {
        let steps: Vec<_> = plan.steps.iter().map(|step| &step.id).collect();
        (plan.hash.clone(), serde_json::json!(steps))
    });
    let plan = plan.map_err(|problems| {
        let said = |problem: Problem| format!("{}: {} {}", problem.code, problem.summary, problem.detail);
        problems.into_iter().map(said).collect()
    });
    Meaning {
        outputs: serde_json::to_value(outputs).expect("JSON"),
        blocks: serde_json::to_value(desired.blocks.values().collect::<Vec<_>>()).expect("JSON"),
        settings: desired.settings,
        removed,
        problems,
        plan,
    }
}

/// What the hosts of a recorded plan said.
fn facts_in(folder: &Path) -> Facts {
    let text = std::fs::read_to_string(folder.join("facts.json")).expect("facts");
    let mut facts = recorded::read(&text).expect("facts");
    // The list of programs that are asked for may grow; what was said of the machine stays true.
    for host in facts.hosts.values_mut() {
        let HostFacts::Reached(answers) = host else { continue };
        let now = system::question();
        let then = answers.keys().find(|question| question.0.first() == now.0.first()).cloned();
        if let Some(answer) = then.and_then(|then| answers.remove(&then)) {
            answers.insert(now, answer);
        }
    }
    facts
}

/// The same facts with answers to all that the configuration asks: what was said of one path is said of others like it.
fn answered(mut facts: Facts, blocks: &Blocks) -> Facts {
    let questions = plan::questions(blocks, &State::default(), &Statements::default(), &Request::default());
    for (host, (_, questions)) in questions.expect("questions") {
        let Some(HostFacts::Reached(answers)) = facts.hosts.get_mut(&host) else { continue };
        for question in questions {
            let like = |known: &Question| known.0[0] == question.0[0] && known.0.len() == question.0.len();
            let Some((known, Answer::Said(reply))) = answers.iter().find(|(known, _)| like(known)) else { continue };
            let (path, other) = (known.0.last().expect("a word"), question.0.last().expect("a word"));
            let reply = Reply { out: reply.out.replace(path, other), ..reply.clone() };
            answers.entry(question).or_insert(Answer::Said(reply));
        }
    }
    facts
}

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan").join(name)
}

#[test]
fn the_order_of_what_is_written_means_nothing() {
    let files = [("main.hcl".to_owned(), CONFIGURATION.to_owned()), ("pool/main.hcl".to_owned(), POOL.to_owned())];
    let recorded = facts_in(&folder("blank"));
    let facts = answered(recorded.clone(), &evaluated(&files, &recorded).desired.blocks);
    let first = meaning(&files, &facts, &State::default());
    assert_eq!(first.problems.iter().map(|problem| problem.0.as_str()).collect::<Vec<_>>(), ["check-failed"]);
    let (hash, steps) = first.plan.as_ref().expect("a plan");
    assert!(hash.starts_with("sha256:") && steps.as_array().is_some_and(|steps| steps.len() > 20), "{steps:#}");
    check(60, 1..u64::MAX, |seed| {
        let mut numbers = Numbers(seed);
        let mut files = scattered(CONFIGURATION, &mut numbers);
        files.extend(scattered(POOL, &mut numbers).into_iter().map(|(name, text)| (format!("pool/{name}"), text)));
        let other = meaning(&files, &facts, &State::default());
        prop_assert_eq!(&first, &other, "{:#?}", files);
        Ok(())
    });
}

#[test]
fn the_order_of_recorded_configurations_means_nothing() {
    for entry in std::fs::read_dir(folder("")).expect("cases") {
        let folder = entry.expect("a folder").path();
        let text = std::fs::read_to_string(folder.join("main.hcl")).expect("a configuration");
        let facts = facts_in(&folder);
        let state = std::fs::read(folder.join("state.json")).map_or_else(
            |_| State::default(),
            |text| State::parse(&text).unwrap_or_else(|problem| panic!("{problem}")),
        );
        let first = meaning(&[("main.hcl".to_owned(), text.clone())], &facts, &state);
        let expected = std::fs::read_to_string(folder.join("expected.json")).expect("what is expected");
        let expected: serde_json::Value = serde_json::from_str(&expected).expect("JSON");
        assert_eq!(first.plan.is_ok(), expected.get("problems").is_none(), "{}: {:?}", folder.display(), first.plan);
        check(6, 1..u64::MAX, |seed| {
            let files = scattered(&text, &mut Numbers(seed));
            let other = meaning(&files, &facts, &state);
            prop_assert_eq!(&first, &other, "{:#?}", files);
            Ok(())
        });
    }
}
