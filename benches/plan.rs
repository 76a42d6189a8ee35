//! What a plan costs beside the remote work that it cannot do without: the time of `larder plan` against that of plain `ssh`
//! doing the same on the same hosts, as many at once, turn and turn about.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::{Site, storage};
use larder::config::{self, Inputs};
use larder::state::LocalState;
use larder::{kinds, plan, transport};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

const EACH: usize = 10;
/// Connections that Larder opens at the same time.
const AT_ONCE: usize = 8;
/// The ratio that a change must not lead beyond.
const AIM: f64 = 1.2;

/// A number from the environment, for machines that are smaller or busier than the default is made for.
fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let (hosts, rounds) = (number("LARDER_BENCH_HOSTS", 32), number("LARDER_BENCH_ROUNDS", 5));
    let names: Vec<String> = (1..=hosts).map(|number| format!("hv{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let site = Site::up(&names);
    let mut configuration = storage(&names);
    for number in 0..EACH {
        configuration.push_str(&format!(
            "external_volume \"v{number}\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/v{number}\"\n  tmpfs {{\n    size = \"16MiB\"\n  }}\n}}\n\
             image \"i{number}\" {{\n  volume = external_volume.v{number}\n  format = \"raw\"\n  size = \"1MiB\"\n}}\n"
        ));
    }
    site.write(&configuration);
    let began = Instant::now();
    site.larder(&["apply", "-auto-approve"]).expect(0);
    println!("apply: {hosts} hosts, {EACH} volumes and {EACH} images each: {:.1} s", began.elapsed().as_secs_f64());
    site.assert_settled();

    let probes = probes(&site);
    let (mut plain, mut ours, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let ssh = by_ssh(&site, &probes);
        let (larder, processor) = by_larder(&site);
        println!("round {round}: ssh {ssh:.3} s, larder {larder:.3} s");
        // The first round warms caches up.
        if round > 0 {
            plain.push(ssh);
            ours.push(larder);
            cpu.push(processor);
        }
    }
    let ratio = median(&ours) / median(&plain);
    println!(
        "ssh:    {:.3} s (median of {rounds}, {AT_ONCE} at once, the same {} bytes to each host)",
        median(&plain),
        probes[0].1.metadata().expect("a file").len()
    );
    println!("larder: {:.3} s, of which {:.3} s on a processor of its own", median(&ours), median(&cpu));
    println!("ratio:  {ratio:.2} (aim: at most {AIM})");
}

/// For each host its alias, a file with what Larder sends to it, and the command that reads it.
fn probes(site: &Site) -> Vec<(String, File, String, PathBuf)> {
    let loaded = config::load(site.path(), &Inputs::default(), kinds::table());
    let desired = loaded.configuration.expect("a configuration").evaluate(None).desired;
    let state = LocalState::new(site.state()).read().expect("a state");
    let write = |(host, (_, questions)): (larder::model::HostName, (_, Vec<_>))| {
        let (command, bytes) = transport::transcript(&kinds::functions(), &questions).expect("it can be sent");
        let path = site.path().join(format!("{host}.probe"));
        let mut file = File::create(&path).expect("a file");
        file.write_all(&bytes).expect("written");
        (host.to_string(), file, command, path)
    };
    let questions = plan::questions(&desired.blocks, &state, &desired.statements, &plan::Request::default());
    questions.expect("nothing collides").into_iter().map(write).collect()
}

/// Seconds that plain ssh takes for all hosts.
fn by_ssh(site: &Site, probes: &[(String, File, String, PathBuf)]) -> f64 {
    let left: Mutex<VecDeque<_>> = Mutex::new(probes.iter().collect());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((host, _, command, path)) = { left.lock().expect("no panic").pop_front() } {
                    let mut ssh = Command::new("ssh");
                    ssh.arg("-F").arg(site.lab().ssh_config()).args([host, command]);
                    let output = ssh.stdin(File::open(path).expect("a file")).output().expect("ssh runs");
                    assert!(output.status.success() && output.stdout.len() > 1000, "{host}: {output:?}");
                }
            });
        }
    });
    began.elapsed().as_secs_f64()
}

/// Seconds that `larder plan` takes, and seconds of processor time of that process, its children not counted.
fn by_larder(site: &Site) -> (f64, f64) {
    let began = Instant::now();
    let mut child =
        site.command(&["plan"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
    let pid = Pid::from_child(&child);
    // Its times can be read as long as nobody has waited for it.
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("our own child");
    let elapsed = began.elapsed();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it is not reaped yet");
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or(vec![], |(_, rest)| rest.split(' ').collect());
    // utime and stime (proc(5)), in ticks of 10 ms.
    let ticks: u32 = [11, 12].iter().map(|at| fields[*at].parse::<u32>().expect("a number")).sum();
    assert!(child.wait().expect("our own child").success());
    (elapsed.as_secs_f64(), (Duration::from_millis(10) * ticks).as_secs_f64())
}

fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
