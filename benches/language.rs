//! What a configuration costs as it grows: processor time and memory of `larder validate` and `larder graph` for ten thousand
//! and a hundred thousand instances. Fails where the cost grows faster than the configuration, or beyond what is promised.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::resource::{UsageWho, getrusage};

/// The most that the larger size may take.
const MOST_SECONDS: f64 = 2.0;
const MOST_MEMORY: f64 = 1024.0;
/// The most by which the time may grow where the configuration grows tenfold.
const MOST_GROWTH: f64 = 13.0;
/// Each run is repeated and the best taken: what else the machine does only adds.
const ROUNDS: usize = 3;

/// The word that makes this program run another one and say what it took.
const MEASURE: &str = "measure";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((MEASURE, command)) = arguments.split_first().map(|(word, rest)| (word.as_str(), rest)) {
        return measure(command);
    }
    let instances = std::env::var("LARDER_BENCH_INSTANCES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    type Write = fn(&Path, usize) -> usize;
    let configurations: [(&str, Write, usize); 4] = [
        ("for_each", keyed, instances),
        ("count", counted, instances),
        ("module", modules, instances),
        ("text", written, instances / 10),
    ];
    println!("configuration  command        instances    CPU s  us each  peak MiB  growth");
    let mut holds = true;
    for (name, write, instances) in configurations {
        for command in [&["validate"][..], &["graph"], &["graph", "-format", "mermaid"]] {
            let mut small = None;
            for instances in [instances / 10, instances] {
                let directory = tempfile::tempdir().expect("a directory");
                let resources = write(directory.path(), instances);
                let Cost { seconds, memory } = cost(directory.path(), command, resources);
                let growth = small.map(|small| seconds / small);
                let within = growth.is_none_or(|growth| growth <= MOST_GROWTH)
                    && seconds <= MOST_SECONDS
                    && memory <= MOST_MEMORY;
                holds &= within;
                println!(
                    "{name:14} {:14} {instances:9} {seconds:8.3} {:8.2} {memory:9.1} {:>7}{}",
                    command[command.len() - 1],
                    seconds * 1e6 / instances as f64,
                    growth.map_or(String::new(), |growth| format!("{growth:.1}")),
                    if within { "" } else { "  TOO MUCH" },
                );
                small = Some(seconds);
            }
        }
    }
    println!("limits: {MOST_SECONDS} s, {MOST_MEMORY} MiB, {MOST_GROWTH} times the time for ten times the instances");
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Cost {
    /// Of the processor.
    seconds: f64,
    /// MiB.
    memory: f64,
}

/// What a command takes, after a look at whether it did what it should.
fn cost(directory: &Path, command: &[&str], resources: usize) -> Cost {
    let round = || {
        let mut program = Command::new(std::env::current_exe().expect("this program"));
        program.args([MEASURE, env!("CARGO_BIN_EXE_larder")]).args(command).current_dir(directory);
        let output = program.output().expect("it runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{err}");
        match command {
            ["validate"] => assert!(out.contains(&format!("{resources} resources")), "{out}"),
            _ => assert!(out.lines().count() > resources, "{} lines", out.lines().count()),
        }
        // The last line is the measurer's; the program may say something of its own before it.
        let last = err.lines().last().unwrap_or_default();
        let numbers: Vec<f64> = last.split_whitespace().map(|number| number.parse().expect(last)).collect();
        Cost { seconds: numbers[0], memory: numbers[1] }
    };
    (0..ROUNDS).map(|_| round()).min_by(|a, b| a.seconds.total_cmp(&b.seconds)).expect("one round at least")
}

/// Runs a program and says what it took. This process does nothing else, so that all it has waited for is that program.
fn measure(command: &[String]) -> ExitCode {
    let status = Command::new(&command[0]).args(&command[1..]).stdin(Stdio::null()).status().expect("it runs");
    if !status.success() {
        return ExitCode::FAILURE;
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel counts");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    // ru_maxrss is in KiB (getrusage(2)).
    eprintln!("{} {}", seconds(usage.user_time()) + seconds(usage.system_time()), usage.max_rss() as f64 / 1024.0);
    ExitCode::SUCCESS
}

const VOLUMES: usize = 20;

/// Eight hosts, a storage on all of them, and volumes.
fn site() -> String {
    let mut text = String::from("locals {\n  racks = {\n");
    for number in 1..=8 {
        let rack = if number % 2 == 0 { "a" } else { "b" };
        writeln!(text, "    hv{number} = \"{rack}\"").expect("a String takes any text");
    }
    text.push_str("  }\n}\n");
    text + &format!(
        r#"
host "hv" {{
  for_each = local.racks
  address  = "${{each.key}}.example.org"
  labels   = {{ rack = each.value }}
}}

image_storage "main" {{
  hosts = values(host.hv)
  owner = "libvirt-qemu"
  group = "kvm"
  mode  = "0770"
}}

external_volume "disk" {{
  for_each    = {{ for i in range({VOLUMES}) : format("d%02d", i) => "/srv/disk${{i}}" }}
  storage     = image_storage.main
  mount_point = each.value
  directory {{}}
}}
"#
    )
}

/// Resources of [`site`].
const SITE: usize = 8 + 1 + VOLUMES;

fn save(directory: &Path, text: &str) {
    std::fs::write(directory.join("main.hcl"), text).expect("a file");
}

/// The numbers from 0, as an expression: `range` makes 1,024 at most.
fn numbers(count: usize) -> String {
    match count <= 1000 {
        true => format!("range({count})"),
        false => format!("flatten([for a in range({}) : [for b in range(1000) : 1000 * a + b]])", count / 1000),
    }
}

/// Images from one map of guests.
fn keyed(directory: &Path, instances: usize) -> usize {
    let numbers = numbers(instances);
    let images = format!(
        r#"
locals {{
  guests = {{ for i in {numbers} : format("guest%06d", i) => {{
    volume = format("d%02d", i % {VOLUMES})
    size   = 10 + i % 7
    owner  = i % 3 == 0 ? "root" : null
  }} }}
}}

image "guest" {{
  for_each = local.guests
  volume   = external_volume.disk[each.value.volume]
  hosts    = [for h in host.hv : h if h.labels.rack == "a"]
  name     = "${{each.key}}-${{path.module == "." ? "root" : "other"}}.qcow2"
  format   = "qcow2"
  size     = "${{each.value.size}}GiB"
  owner    = each.value.owner
  lifecycle {{
    ignore_changes = [mode]
  }}
}}

output "images" {{
  value = length(image.guest)
}}
"#
    );
    save(directory, &(site() + &images));
    instances + SITE
}

/// Images by number, and a block of as many that refers to each.
fn counted(directory: &Path, instances: usize) -> usize {
    let half = instances / 2;
    let images = format!(
        r#"
image "system" {{
  count  = {half}
  volume = external_volume.disk["d00"]
  format = "raw"
  size   = "2GiB"
}}

image "data" {{
  count      = {half}
  volume     = external_volume.disk[format("d%02d", 1 + count.index % 10)]
  name       = replace(image.system[count.index].name, "system", "data")
  format     = image.system[count.index].format
  size       = "10GiB"
  depends_on = [image_storage.main]
}}
"#
    );
    save(directory, &(site() + &images));
    half * 2 + SITE
}

/// A module with an instance for ten resources each.
fn modules(directory: &Path, instances: usize) -> usize {
    let calls = instances / 10;
    let numbers = numbers(calls);
    let call = format!(
        r#"
module "pool" {{
  source   = "./pool"
  for_each = {{ for i in {numbers} : format("p%05d", i) => "/pools/${{i}}" }}
  storage  = image_storage.main
  root     = each.value
  name     = each.key
}}

output "first" {{
  value = module.pool["p00000"].path
}}
"#
    );
    save(directory, &(site() + &call));
    let pool = r#"
variable "storage" {}

variable "root" {
  type = string
  validation {
    condition     = startswith(var.root, "/")
    error_message = "A root is an absolute path."
  }
}

variable "name" {
  type = string
}

external_volume "pool" {
  storage     = var.storage
  mount_point = var.root
  directory {}
}

image "member" {
  for_each = { for i in range(9) : "m${i}" => "${i + 1}GiB" }
  volume   = external_volume.pool
  name     = "${var.name}-${each.key}"
  format   = "raw"
  size     = each.value
}

output "path" {
  value = external_volume.pool.mount_point
}
"#;
    std::fs::create_dir(directory.join("pool")).expect("a directory");
    std::fs::write(directory.join("pool").join("main.hcl"), pool).expect("a file");
    calls * 10 + SITE
}

/// Each image in a block of its own.
fn written(directory: &Path, instances: usize) -> usize {
    let mut text = site();
    for number in 0..instances {
        let volume = number % VOLUMES;
        write!(
            text,
            "\nimage \"guest{number:06}\" {{\n  volume = external_volume.disk[\"d{volume:02}\"]\n  format = \"qcow2\"\n  \
             size   = \"{}GiB\"\n}}\n",
            10 + number % 7
        )
        .expect("a String takes any text");
    }
    save(directory, &text);
    instances + SITE
}
