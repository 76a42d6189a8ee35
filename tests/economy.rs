//! What a run costs the hosts, counted by their own sshd: one connection and one remote process for a plan, and the same for
//! a whole apply.

mod common;

use std::collections::BTreeMap;

use common::{Run, Site, storage};
use larder::model::HostName;

const HOSTS: [&str; 3] = ["hv1", "hv2", "hv3"];

fn configuration(more: &str) -> String {
    format!(
        "{}external_volume \"ram\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {{\n    size = \"16MiB\"\n  }}\n}}\n\
         image \"disk\" {{\n  for_each = toset([\"a\", \"b\", \"c\"])\n  volume = external_volume.ram\n  format = \"raw\"\n  size = \"1MiB\"\n}}\n{more}",
        storage(&HOSTS)
    )
}

/// What a run cost each host: connections, and processes started through them.
#[track_caller]
fn cost(site: &Site, run: impl FnOnce() -> Run) -> (Run, BTreeMap<&'static str, [usize; 2]>) {
    let count = |host: &str| {
        let log = std::fs::read_to_string(site.lab().sshd_log(&HostName::from(host))).expect("the log of sshd");
        ["Accepted publickey for ", "Starting session: "]
            .map(|line| log.lines().filter(|one| one.starts_with(line)).count())
    };
    let before: BTreeMap<_, _> = HOSTS.iter().map(|host| (*host, count(host))).collect();
    let run = run();
    let paid = before.into_iter().map(|(host, before)| {
        let after = count(host);
        (host, [after[0] - before[0], after[1] - before[1]])
    });
    (run, paid.collect())
}

#[track_caller]
fn assert_one_each(cost: &BTreeMap<&str, [usize; 2]>) {
    assert!(
        cost.len() == HOSTS.len() && cost.values().all(|cost| *cost == [1, 1]),
        "[connections, processes]: {cost:?}"
    );
}

#[test]
fn a_plan_and_an_apply_are_one_connection_and_one_process_each() {
    let site = Site::up(&HOSTS);
    site.write(&configuration(""));

    let (run, paid) = cost(&site, || site.larder(&["plan", "-json"]).expect(0));
    assert_one_each(&paid);
    let plan = run.json();
    for host in HOSTS {
        assert_eq!(plan["round_trips"][host], 1, "{plan:#}");
    }

    let (_, paid) = cost(&site, || site.larder(&["apply", "-auto-approve"]).expect(0));
    assert_one_each(&paid);
    site.assert_settled();

    // A configuration that reads facts is asked for what follows from them in a second round, through the same process.
    let second = "external_volume \"second\" {\n  storage = image_storage.main\n  mount_point = host.hv1.facts.kernel == \"\" ? \"/srv/none\" : \"/srv/second\"\n  directory {}\n}\n";
    site.write(&configuration(second));
    let (run, paid) = cost(&site, || site.larder(&["plan", "-json"]).expect(0));
    assert_one_each(&paid);
    let plan = run.json();
    for host in HOSTS {
        assert_eq!(plan["round_trips"][host], 2, "{plan:#}");
    }
    let (_, paid) = cost(&site, || site.larder(&["apply", "-auto-approve"]).expect(0));
    assert_one_each(&paid);
    site.assert_settled();

    let (_, paid) = cost(&site, || site.larder(&["plan", "-json", "-out", "saved"]).expect(0));
    assert_one_each(&paid);
    let (_, paid) = cost(&site, || site.larder(&["apply", "saved"]).expect(0));
    assert_one_each(&paid);

    let (_, paid) = cost(&site, || {
        site.larder(&["destroy", "-auto-approve", "-accept", "data-loss@external_volume.ram"]).expect(0)
    });
    assert_one_each(&paid);

    for quiet in [["validate"].as_slice(), &["state", "list"], &["output"], &["show"]] {
        let (_, paid) = cost(&site, || site.larder(quiet).expect(0));
        assert!(paid.values().all(|cost| *cost == [0, 0]), "{quiet:?} asks no host: {paid:?}");
    }
}
