//! What planning costs as it grows: the processor time of everything that is done without a host, for ten thousand and a hundred thousand
//! images, and a tenth as many volumes, on hosts whose answers are made up. Fails where the time grows faster than the number.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use larder::apply::record;
use larder::config::{self, Desired, Inputs};
use larder::kinds;
use larder::model::{Answer, Facts, HostFacts, Question, Reply};
use larder::plan::{self, Input, Plan, Request};
use larder::state::State;
use larder::transport::recorded;
use larder::view::plan::{Options, render};
use nix::sys::resource::{UsageWho, getrusage};

/// The most by which the time may grow where the number grows tenfold.
const MOST_GROWTH: f64 = 14.0;
/// Below this many seconds the larger run says nothing about growth.
const LEAST_SECONDS: f64 = 0.05;

fn main() -> ExitCode {
    let number = std::env::var("LARDER_BENCH_INSTANCES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    println!("of       part             number        s  us each  growth");
    let mut holds = true;
    type Write = fn(usize) -> String;
    let sites: [(&str, Write, usize); 2] = [("images", images, number), ("volumes", volumes, number / 10)];
    for (name, write, number) in sites {
        let mut small: BTreeMap<&str, f64> = BTreeMap::new();
        for number in [number / 10, number] {
            for (part, seconds) in parts(&write(number), name == "volumes") {
                let growth = small.insert(part, seconds).map(|small| seconds / small);
                let within = seconds < LEAST_SECONDS || growth.is_none_or(|growth| growth <= MOST_GROWTH);
                holds &= within;
                println!(
                    "{name:8} {part:14} {number:8} {seconds:8.3} {:8.1} {:>7}{}",
                    seconds * 1e6 / number as f64,
                    growth.map_or(String::new(), |growth| format!("{growth:.1}")),
                    if within { "" } else { "  TOO MUCH" },
                );
            }
        }
    }
    println!("limit: {MOST_GROWTH} times the time for ten times the number");
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The seconds of each part of a run: a first plan, which finds everything (or nothing, where `is_new`), what the state has of it,
/// a plan of the same with it, and one after somebody has changed every mode.
fn parts(configuration: &str, is_new: bool) -> Vec<(&'static str, f64)> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), configuration).expect("a file");
    let desired = desired(directory.path());
    let mut times = Vec::new();
    let mut took = |part: &'static str, began: f64| times.push((part, processor() - began));
    let (empty, request) = (State::default(), Request::default());

    let began = processor();
    let asked = plan::questions(&desired.blocks, &empty, &desired.statements, &request).expect("nothing collides");
    took("questions", began);
    let facts = |mode: &str| Facts {
        hosts: asked
            .iter()
            .map(|(host, (_, questions))| {
                let answers = questions.iter().map(|one| (one.clone(), answer(one, mode, is_new)));
                (host.clone(), HostFacts::Reached(answers.collect()))
            })
            .collect(),
        round_trips: BTreeMap::new(),
    };
    let standing = facts("81b0");
    let began = processor();
    let first = plan_of(&desired, &standing, &empty);
    took("plan", began);
    assert!(first.hazards.is_empty() && first.unknown.is_empty(), "{:?}", first.hazards.first());
    assert_eq!(first.steps.is_empty(), !is_new, "{:?}", first.steps.first());

    let began = processor();
    let state = record::after(&record::before(&empty, &first), &first, &first);
    took("record", began);
    let began = processor();
    let text = serde_json::to_vec(&state).expect("a state");
    let state = State::parse(&text).expect("a state");
    took("state", began);
    let began = processor();
    let again = plan_of(&desired, &standing, &state);
    took("plan again", began);
    assert_eq!(again.steps.len(), first.steps.len());
    let changed = facts("8180");
    let began = processor();
    let mended = plan_of(&desired, &changed, &state);
    took("plan changes", began);
    assert!(
        is_new || mended.steps.len() >= 1000 || mended.steps.len() * 2 > desired.blocks.len(),
        "{}",
        mended.steps.len()
    );
    let began = processor();
    let shown = render(&mended, &Options::default());
    took("rendering", began);
    assert!(shown.contains("Plan hash"));
    let began = processor();
    let sealed = serde_json::to_vec(&plan::seal(&mended)).expect("JSON");
    took("plan file", began);
    assert!(!sealed.is_empty());
    times
}

/// Seconds of the processor that this program has taken: what else the machine does is not counted.
fn processor() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("of this program");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn desired(directory: &Path) -> Desired {
    let loaded = config::load(directory, &Inputs::default(), kinds::table());
    let evaluated = loaded.configuration.expect("a configuration").evaluate(None);
    assert!(evaluated.problems.is_empty(), "{:?}", evaluated.problems.first());
    evaluated.desired
}

fn plan_of(desired: &Desired, facts: &Facts, state: &State) -> Plan {
    let request = Request::default();
    let input = Input {
        desired: &desired.blocks,
        statements: &desired.statements,
        outputs: BTreeMap::new(),
        facts,
        state,
        request: &request,
        parallelism: 10,
        max_hosts_at_once: 0,
        state_path: "state/larder.state.json",
        lab: false,
    };
    plan::plan(&input).unwrap_or_else(|problems| panic!("{problems:?}"))
}

// ---- what is wanted --------------------------------------------------------------------------------------------------

const STORAGE: &str = r#"
host "hv1" {
  address = "192.0.2.11"
}

image_storage "main" {
  hosts = [host.hv1]
  owner = "libvirt-qemu"
  group = "kvm"
  mode  = "0770"
}
"#;

/// The numbers from 0, as an expression: `range` makes 1,024 at most.
fn numbers(count: usize) -> String {
    match count <= 1000 {
        true => format!("range({count})"),
        false => format!("flatten([for a in range({}) : [for b in range(1000) : 1000 * a + b]])", count / 1000),
    }
}

/// Images in a few directories.
fn images(number: usize) -> String {
    let mut text = STORAGE.to_owned();
    write!(
        text,
        r#"
external_volume "disk" {{
  count       = 20
  storage     = image_storage.main
  mount_point = "/srv/disk${{count.index}}"
  directory {{}}
}}

image "guest" {{
  for_each = {{ for i in {} : format("guest%06d", i) => i % 20 }}
  volume   = external_volume.disk[each.value]
  format   = "raw"
  size     = "1MiB"
}}
"#,
        numbers(number)
    )
    .expect("a String takes any text");
    text
}

/// Volumes with a line in fstab each, that are not mounted yet.
fn volumes(number: usize) -> String {
    let mut text = STORAGE.to_owned();
    write!(
        text,
        r#"
external_volume "ram" {{
  for_each    = {{ for i in {} : format("v%06d", i) => i }}
  storage     = image_storage.main
  mount_point = "/srv/ram${{each.value}}"
  tmpfs {{
    size = "1MiB"
  }}
}}
"#,
        numbers(number)
    )
    .expect("a String takes any text");
    text
}

// ---- what hosts say --------------------------------------------------------------------------------------------------

/// The answer of a host that has all directories and images, or none of them.
fn answer(question: &Question, mode: &str, is_new: bool) -> Answer {
    let words: Vec<&str> = question.0.iter().map(String::as_str).collect();
    let paths = |from: usize| words[from..].iter().copied();
    let is_there = |path: &str| !is_new || !path.starts_with("/srv/ram");
    let refused =
        |text: &str| Reply { status: 1, out: String::new(), err: format!("{text}: No such file or directory\n") };
    let said = |out: String| Reply { status: 0, out, err: String::new() };
    let reply = match words.as_slice() {
        ["system_facts", ..] | ["cat", "/proc/self/mountinfo"] | ["getent", ..] => return recorded_answer(&words),
        ["cat", "/etc/fstab"] => said("# nothing\n".to_owned()),
        ["can_use", user, _] => said(if *user == "qemu" { "no\n" } else { "yes\n" }.to_owned()),
        ["directory_entries", path] if !is_there(path) => refused(path),
        ["directory_entries", _] => said("/\n".to_owned()),
        ["image_facts", path] => said(format!("{mode} 64055 104 1797 {} 1048576 8 512\n 00 00\n", path.len() + 1000)),
        // Every guest that runs has some of its files open.
        ["open_files_below", ..] => said("end\n".to_owned()),
        ["lsattr", ..] => {
            let lines = paths(3).filter(|path| is_there(path)).map(|path| format!("--------------e------- {path}\n"));
            said(lines.collect())
        }
        ["stat", "-f", ..] => {
            let line = "8b53c38e4eb75746 4096 8367556000 7943832000 65536000 65024000\n";
            some(paths(5).filter(|path| is_there(path)).map(|_| line.to_owned()).collect(), paths(5).all(is_there))
        }
        ["stat", "-c", "%f %u %g %d %i", ..] => {
            let inode = |path: &str| match path.starts_with("/srv/") {
                true => format!("41f8 64055 104 1797 {}\n", path.len() + 500),
                false => "41ed 0 0 1797 2\n".to_owned(),
            };
            some(paths(4).filter(|path| is_there(path)).map(inode).collect(), paths(4).all(is_there))
        }
        other => panic!("nobody has an answer to {other:?}"),
    };
    Answer::Said(reply)
}

fn some(out: String, is_all: bool) -> Reply {
    match is_all {
        true => Reply { status: 0, out, err: String::new() },
        false => Reply { status: 1, out, err: "stat: cannot statx '/srv/ram': No such file or directory\n".to_owned() },
    }
}

/// What a real host said of itself.
fn recorded_answer(words: &[&str]) -> Answer {
    static FACTS: std::sync::LazyLock<Facts> = std::sync::LazyLock::new(|| {
        recorded::read(include_str!("../tests/plan/target-of-a-new-image/facts.json")).expect("facts")
    });
    let HostFacts::Reached(answers) = FACTS.hosts.values().next().expect("a host") else { panic!("it answered") };
    let same = |question: &&Question| {
        question.0.first().map(String::as_str) == words.first().copied()
            && (words[0] == "system_facts" || question.0.iter().map(String::as_str).eq(words.iter().copied()))
    };
    let question = answers.keys().find(same).expect("it was asked");
    let mut answer = answers[question].clone();
    if let (Answer::Said(reply), "cat") = (&mut answer, words[0]) {
        // What is mounted below /srv there is not mounted here.
        reply.out = reply
            .out
            .lines()
            .filter(|line| !line.contains(" /srv/"))
            .fold(String::new(), |all, line| all + line + "\n");
    }
    answer
}
