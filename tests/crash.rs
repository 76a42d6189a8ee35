//! An apply that is killed, interrupted, cut off or that fails in part: whatever the moment, fstab is whole, and running it
//! again brings what was wanted.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{Run, Site, actions, hazards, hosts, storage};
use rustix::process::{Pid, Signal, kill_process};

/// Two kinds of volume and two images: directories, locks, fstab, mounts and files, on one host.
fn configuration(hosts: &[&str]) -> String {
    format!(
        "{}\
         external_volume \"ram\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {{\n    size = \"16MiB\"\n  }}\n}}\n\
         external_volume \"local\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/deep/local\"\n  directory {{}}\n}}\n\
         external_volume \"bound\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/bound\"\n  bind {{\n    source = \"/srv/deep/local\"\n  }}\n}}\n\
         image \"a\" {{\n  volume = external_volume.ram\n  format = \"raw\"\n  size = \"1MiB\"\n}}\n\
         image \"b\" {{\n  volume = external_volume.local\n  format = \"qcow2\"\n  size = \"1GiB\"\n}}\n",
        storage(hosts)
    )
}

/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until there is something to see.
#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

fn journal(site: &Site) -> String {
    std::fs::read_to_string(site.path().join("state/larder.state.json.journal")).unwrap_or_default()
}

fn start(site: &Site, arguments: &[&str]) -> Child {
    site.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("our own child");
}

fn end(child: Child) -> Run {
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// When the process is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// As soon as the journal has so many lines.
    Lines(usize),
    After(Duration),
}

/// Runs the command and kills it at that moment; whether it was still running.
#[track_caller]
fn killed_at(site: &Site, arguments: &[&str], moment: Moment) -> bool {
    let mut child = start(site, arguments);
    let started = Instant::now();
    until("the moment", || {
        let is_over = child.try_wait().expect("our own child").is_some();
        let has_come = match moment {
            Moment::Lines(count) => journal(site).lines().count() >= count,
            Moment::After(wait) => started.elapsed() >= wait,
        };
        (is_over || has_come).then_some(())
    });
    // A child that has ended already is not reaped yet, so its number is still its own.
    if child.try_wait().expect("our own child").is_none() {
        signal(&child, Signal::KILL);
    }
    child.wait().expect("it ends").signal() == Some(9)
}

/// What fstab may hold at any moment: each line that was there before, and those of a whole apply, each once.
struct Fstab {
    before: Vec<String>,
    ours: BTreeSet<String>,
}

impl Fstab {
    #[track_caller]
    fn assert_whole(&self, site: &Site, host: &str) {
        let text = site.on(host, &["cat", "/etc/fstab"]);
        assert!(text.ends_with('\n'), "cut off: {text:?}");
        let (ours, others): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.contains("x-larder.id="));
        assert_eq!(others, self.before, "lines of others");
        let distinct: BTreeSet<_> = ours.iter().map(|line| (*line).to_owned()).collect();
        assert!(distinct.len() == ours.len() && distinct.is_subset(&self.ours), "{ours:#?}");
        site.on(host, &["findmnt", "--verify", "--tab-file", "/etc/fstab"]);
    }
}

/// Applies and takes away once without disturbance; gives the snapshots of both ends and the lines of fstab.
#[track_caller]
fn undisturbed(
    site: &Site,
    wanted: &str,
    nothing: &str,
) -> (BTreeMap<String, String>, BTreeMap<String, String>, Fstab) {
    let fstab = |site: &Site| site.on("hv1", &["cat", "/etc/fstab"]);
    let before = fstab(site).lines().map(str::to_owned).collect();
    // The first run leaves what programs leave once, caches of the loader for example.
    site.write(wanted).apply();
    let there = site.snapshot("hv1");
    let ours = fstab(site).lines().filter(|line| line.contains("x-larder.id=")).map(str::to_owned).collect();
    site.write(nothing);
    take_away(site);
    let gone = site.snapshot("hv1");
    (gone, there, Fstab { before, ours })
}

/// Applies a configuration without the volumes; the tests' images may go.
#[track_caller]
fn take_away(site: &Site) {
    site.larder(&["apply", "-auto-approve", "-lock-timeout", "30s", "-accept", "data-loss@external_volume.ram"])
        .expect(0);
    site.sh("hv1", "rm -rf /srv/deep");
}

#[test]
fn a_kill_at_each_line_of_the_journal_is_finished_by_the_next_apply() {
    let site = Site::up(&["hv1"]);
    let (wanted, nothing) = (configuration(&["hv1"]), hosts(&["hv1"]));
    let (gone, there, fstab) = undisturbed(&site, &wanted, &nothing);
    let apply = ["apply", "-auto-approve", "-lock-timeout", "30s"];
    let remove = ["apply", "-auto-approve", "-lock-timeout", "30s", "-accept", "data-loss@external_volume.ram"];

    let mut kills = 0;
    // The first line is the plan, then two for each step.
    for lines in 1.. {
        site.write(&wanted);
        let was_killed = killed_at(&site, &apply, Moment::Lines(lines));
        fstab.assert_whole(&site, "hv1");
        site.larder(&apply).expect(0);
        assert_eq!(site.snapshot("hv1"), there, "killed at line {lines}");
        assert_eq!(journal(&site), "", "what was cut off is settled");
        site.assert_settled();

        site.write(&nothing);
        let was_killed_too = killed_at(&site, &remove, Moment::Lines(lines));
        fstab.assert_whole(&site, "hv1");
        take_away(&site);
        assert_eq!(site.snapshot("hv1"), gone, "removal killed at line {lines}");
        if !was_killed && !was_killed_too {
            break;
        }
        kills += usize::from(was_killed) + usize::from(was_killed_too);
        assert!(lines < 80, "the journal of an apply has an end");
    }
    assert!(kills > 20, "{kills} kills are not each step");
}

#[test]
fn a_move_that_is_killed_at_each_line_of_the_journal_is_finished_by_the_next_apply() {
    let site = Site::up(&["hv1"]);
    let named = |ram: &str, bound: &str| {
        configuration(&["hv1"])
            .replace("\"ram\"", &format!("\"{ram}\""))
            .replace("external_volume.ram", &format!("external_volume.{ram}"))
            .replace("\"bound\"", &format!("\"{bound}\""))
    };
    let moved = |from: &str, to: &str| {
        format!("moved {{\n  from = external_volume.{from}\n  to   = external_volume.{to}\n}}\n")
    };
    let names = [("ram", "bound"), ("ram2", "bound2")];
    site.write(&named("ram", "bound")).apply();
    let mounts = site.snapshot("hv1")["mounts"].clone();
    let lines = |site: &Site| site.sh("hv1", "grep larder /etc/fstab | sed 's/2 0 0$/ 0 0/' | sort");
    let before = lines(&site);
    let mut killed = 0;
    for count in 1.. {
        let ((ram, bound), (new_ram, new_bound)) = (names[(count + 1) % 2], names[count % 2]);
        let after = named(new_ram, new_bound);
        site.write(&(after.clone() + &moved(ram, new_ram) + &moved(bound, new_bound)));
        let is_over = !killed_at(&site, &["apply", "-auto-approve"], Moment::Lines(count));
        site.on("hv1", &["findmnt", "--verify", "--tab-file", "/etc/fstab"]);
        assert_eq!(lines(&site), before, "each line once, under one of its two names");
        // Once the state knows the new names the statements are no longer needed, and no other word is.
        let state = std::fs::read_to_string(site.state()).expect("a state");
        if state.contains(&format!("\"external_volume.{new_ram}\": {{")) {
            site.write(&after);
        }
        let plan = site.plan();
        assert_eq!(hazards(&plan), Vec::<String>::new(), "killed at line {count}");
        site.larder(&["apply", "-auto-approve", "-lock-timeout", "30s"]).expect(0);
        site.write(&after).assert_settled();
        assert_eq!(site.snapshot("hv1")["mounts"], mounts, "nothing was mounted anew");
        if is_over {
            break;
        }
        killed += 1;
    }
    assert!(killed >= 4, "{killed}");
}

#[test]
fn a_kill_at_any_time_is_finished_by_the_next_apply() {
    let site = Site::up(&["hv1"]);
    let (wanted, nothing) = (configuration(&["hv1"]), hosts(&["hv1"]));
    let (gone, there, fstab) = undisturbed(&site, &wanted, &nothing);
    let apply = ["apply", "-auto-approve", "-lock-timeout", "30s"];
    let started = Instant::now();
    site.write(&wanted).larder(&apply).expect(0);
    let whole = started.elapsed();
    // Spread over the whole run in an order of its own, the same each time.
    for at in [11, 3, 14, 6, 9, 12, 8] {
        let moment = Moment::After(whole * at / 16);
        site.write(&nothing);
        killed_at(&site, &[&apply[..], &["-accept", "data-loss@external_volume.ram"]].concat(), moment);
        fstab.assert_whole(&site, "hv1");
        take_away(&site);
        assert_eq!(site.snapshot("hv1"), gone, "removal killed at {moment:?}");
        site.write(&wanted);
        killed_at(&site, &apply, moment);
        fstab.assert_whole(&site, "hv1");
        site.larder(&apply).expect(0);
        assert_eq!(site.snapshot("hv1"), there, "killed at {moment:?}");
        site.assert_settled();
    }
}

/// Puts a program before the real one on a host: it says that it runs, waits until the file `/run/go` is there (a minute at
/// most), and becomes the real one.
#[track_caller]
fn slow(site: &Site, host: &str, program: &str) {
    let real = site.sh(host, &format!("command -v {program}"));
    let script = format!(
        "#!/bin/sh\n: >/run/started\nn=0\nuntil [ -e /run/go ] || [ $n -ge 600 ]; do /bin/sleep 0.1; n=$((n + 1)); done\nexec {} \"$@\"\n",
        real.trim()
    );
    let place = format!("/usr/local/sbin/{program}");
    site.sh(host, &format!("rm -f /run/started /run/go; cat >{place} <<'EOF'\n{script}EOF\nchmod 755 {place}"));
}

#[track_caller]
fn until_started(site: &Site, host: &str) {
    until("the slow step", || site.try_on(host, &["test", "-e", "/run/started"]).status.success().then_some(()));
}

fn go_on(site: &Site, host: &str) {
    site.sh(host, ": >/run/go");
}

#[test]
fn a_step_that_outlives_its_apply_keeps_the_host_to_itself() {
    let site = Site::up(&["hv1"]);
    site.write(&configuration(&["hv1"]));
    slow(&site, "hv1", "mount");
    let child = start(&site, &["apply", "-auto-approve"]);
    until_started(&site, "hv1");
    signal(&child, Signal::KILL);
    let pid = child.id();
    end(child);

    // The lock of the state is free, the one of the host is not.
    let run = site.larder(&["apply", "-auto-approve"]).expect(5);
    assert!(run.err.contains("host-locked") && run.err.contains(&format!("process {pid}")), "{}", run.err);
    assert!(run.err.contains("cut off") && run.err.contains("@hv1/mount"), "{}", run.err);

    let waiting = start(&site, &["apply", "-auto-approve", "-lock-timeout", "60s"]);
    // It waits for the host as soon as it holds the state.
    until("the second apply", || {
        std::fs::read_to_string(site.path().join("state/larder.state.json.lock"))
            .ok()
            .filter(|holder| holder.contains(&waiting.id().to_string()))
    });
    go_on(&site, "hv1");
    end(waiting).expect(0);
    site.sh("hv1", "rm /usr/local/sbin/mount");
    site.assert_settled();
    assert_eq!(journal(&site), "");
}

#[test]
fn an_interrupt_lets_running_steps_end_and_starts_no_other() {
    let site = Site::up(&["hv1", "hv2"]);
    site.write(&configuration(&["hv1", "hv2"]));
    slow(&site, "hv1", "mount");
    let mut child = start(&site, &["apply", "-auto-approve"]);
    until_started(&site, "hv1");
    signal(&child, Signal::INT);
    // It has to have heard us before the step may end.
    let said = BufReader::new(child.stderr.take().expect("piped"));
    assert!(said.lines().map_while(Result::ok).any(|line| line.contains("Stopping")));
    go_on(&site, "hv1");
    let run = end(child).expect(7);
    assert!(run.out.contains("hv1"), "{}", run.out);
    site.on("hv1", &["findmnt", "/srv/ram"]);
    let text = std::fs::read_to_string(site.state()).expect("a state");
    let state: serde_json::Value = serde_json::from_str(&text).expect("a state");
    assert!(state["resources"]["external_volume.ram"]["placements"]["hv1"].is_object(), "{state:#}");
    let plan = site.plan();
    let left: Vec<_> = ["external_volume.ram", "external_volume.bound", "image.a"]
        .iter()
        .flat_map(|address| actions(&plan, address, "hv1"))
        .collect();
    assert!(!left.is_empty(), "something was left to do: {plan:#}");
    site.sh("hv1", "rm /usr/local/sbin/mount");
    site.apply();
}

#[test]
fn an_interrupt_at_the_question_ends_without_a_trace() {
    let site = Site::up(&["hv1"]);
    let before = site.snapshot("hv1");
    site.write(&configuration(&["hv1"]));
    let mut child = site
        .command(&["apply"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let said = BufReader::new(child.stdout.take().expect("piped"));
    assert!(said.lines().map_while(Result::ok).any(|line| line.contains("Plan hash")));
    signal(&child, Signal::INT);
    end(child).expect(130);
    assert_eq!(site.snapshot("hv1"), before);
    assert!(!site.state().exists());
}

#[test]
fn a_second_interrupt_ends_at_once_and_the_next_apply_finishes() {
    let site = Site::up(&["hv1"]);
    site.write(&configuration(&["hv1"]));
    slow(&site, "hv1", "mount");
    let child = start(&site, &["apply", "-auto-approve"]);
    until_started(&site, "hv1");
    signal(&child, Signal::INT);
    let mut child = child;
    // Signals of one kind that come together are one signal: the second is sent until it was heard.
    until("the end", || {
        signal(&child, Signal::INT);
        child.try_wait().expect("our own child")
    });
    end(child).expect(130);
    go_on(&site, "hv1");
    site.larder(&["apply", "-auto-approve", "-lock-timeout", "30s"]).expect(0);
    site.sh("hv1", "rm /usr/local/sbin/mount");
    site.assert_settled();
}

#[test]
fn a_connection_that_is_lost_leaves_its_step_unknown_and_the_others_go_on() {
    let site = Site::up(&["hv1", "hv2"]);
    site.write(&configuration(&["hv1", "hv2"]));
    slow(&site, "hv1", "mount");
    let child = start(&site, &["apply", "-auto-approve"]);
    until_started(&site, "hv1");
    // Every sshd but the first one, which listens, serves a connection.
    site.sh("hv1", "for p in /proc/[0-9]*; do p=${p#/proc/}; [ \"$p\" = 1 ] || { read -r name </proc/$p/comm && case $name in sshd*) kill -9 $p ;; esac; } 2>/dev/null; done; :");
    let run = end(child).expect(7);
    assert!(run.out.contains("unknown") || run.out.contains("Unknown"), "{}", run.out);
    assert!(
        journal(&site).lines().any(|line| line.contains("@hv1/mount") && line.contains("\"unknown\"")),
        "{}",
        journal(&site)
    );
    // The other host has everything.
    for path in ["/srv/ram", "/srv/bound"] {
        site.on("hv2", &["findmnt", path]);
    }
    go_on(&site, "hv1");
    site.larder(&["apply", "-auto-approve", "-lock-timeout", "30s"]).expect(0);
    site.sh("hv1", "rm /usr/local/sbin/mount");
    site.assert_settled();
}

#[test]
fn a_failure_on_one_host_is_rolled_back_there_and_the_rest_is_done() {
    let site = Site::up(&["hv1", "hv2"]);
    let before = site.snapshot("hv2");
    let volume = "external_volume \"ram\" {\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {\n    size = \"16MiB\"\n  }\n}\n";
    site.write(&format!("{}{volume}", storage(&["hv1", "hv2"])));
    site.sh(
        "hv2",
        "printf '#!/bin/sh\\necho no luck >&2\\nexit 32\\n' >/usr/local/sbin/mount; chmod 755 /usr/local/sbin/mount",
    );
    let run = site.larder(&["apply", "-auto-approve"]).expect(7);
    assert!(run.out.contains("no luck") && run.out.contains("hv2"), "{}", run.out);
    site.on("hv1", &["findmnt", "/srv/ram"]);
    let after = site.snapshot("hv2");
    assert_eq!(
        (&before["etc"], &before["mounts"]),
        (&after["etc"], &after["mounts"]),
        "fstab byte for byte, nothing mounted"
    );
    assert!(!site.try_on("hv2", &["test", "-e", "/srv/ram"]).status.success(), "the directory that was made is gone");
    let plan = site.plan();
    assert!(actions(&plan, "external_volume.ram", "hv1").is_empty(), "{plan:#}");
    assert!(actions(&plan, "external_volume.ram", "hv2").contains(&"mount".to_owned()), "{plan:#}");
    assert_eq!(hazards(&plan), Vec::<String>::new());
    site.sh("hv2", "rm /usr/local/sbin/mount");
    site.apply();
}

/// When steps of each host begin and end, by the hosts' own clock, which is one.
fn overlap(site: &Site, names: &[&str]) -> bool {
    let time = |host: &str, which: &str| -> f64 {
        site.on(host, &["cat", &format!("/run/{which}")]).trim().parse().expect("seconds")
    };
    let spans: Vec<_> = names.iter().map(|host| (time(host, "begin"), time(host, "end"))).collect();
    spans.iter().enumerate().any(|(at, one)| spans[at + 1..].iter().any(|other| one.0 < other.1 && other.0 < one.1))
}

#[test]
fn hosts_work_at_the_same_time_unless_they_may_not() {
    let names = ["hv1", "hv2", "hv3"];
    let site = Site::up(&names);
    for host in names {
        let real = site.sh(host, "command -v mount");
        site.sh(host, &format!("cat >/usr/local/sbin/mount <<'EOF'\n#!/bin/sh\ncut -d' ' -f1 /proc/uptime >/run/begin\n/bin/sleep 1\n{} \"$@\"\nstatus=$?\ncut -d' ' -f1 /proc/uptime >/run/end\nexit $status\nEOF\nchmod 755 /usr/local/sbin/mount", real.trim()));
    }
    let volume = "external_volume \"ram\" {\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {\n    size = \"16MiB\"\n  }\n}\n";
    site.write(&format!("{}{volume}", storage(&names))).apply();
    assert!(overlap(&site, &names), "independent hosts work in parallel");
    site.write(&storage(&names)).apply();
    site.write(&format!("larder {{\n  apply {{\n    max_hosts_at_once = 1\n  }}\n}}\n{}{volume}", storage(&names)))
        .apply();
    assert!(!overlap(&site, &names), "one host at a time");
}
