//! Clusters and volumes of OCFS2 without hosts: what three hosts said is changed, answer by answer, and each change has its plan.

use super::*;

/// A configuration, what its hosts said, and what was applied before.
struct Case {
    folder: tempfile::TempDir,
    facts: Facts,
    state: State,
}

const DEVICE: &str = "/dev/disk/by-id/wwn-0x5000c500000000a1";

impl Case {
    fn of(name: &str) -> Self {
        let recorded = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan")).join(name);
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::copy(recorded.join("main.hcl"), folder.path().join("main.hcl")).expect("a configuration");
        let state = std::fs::read(recorded.join("state.json")).ok();
        let state = state.map_or_else(State::default, |text| State::parse(&text).expect("a state"));
        Case { facts: facts(&recorded), state, folder }
    }

    /// The configuration with another text in a place of it.
    fn written(self, from: &str, to: &str) -> Self {
        let path = self.folder.path().join("main.hcl");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        assert!(text.contains(from), "no {from:?} in {text}");
        std::fs::write(&path, text.replace(from, to)).expect("a file");
        self
    }

    /// The answer of a host to the question that begins so, with another text in a place of it.
    #[track_caller]
    fn said(mut self, host: &str, ask: &[&str], from: &str, to: &str) -> Self {
        let mut hit = 0;
        for (question, answer) in self.answers(host) {
            if !ask.iter().zip(&question.0).all(|(one, two)| one == two) || question.0.len() < ask.len() {
                continue;
            }
            let Answer::Said(reply) = answer else { continue };
            assert!(reply.out.contains(from), "no {from:?} in {}", reply.out);
            reply.out = reply.out.replacen(from, to, 1);
            hit += 1;
        }
        assert!(hit > 0, "{host} was not asked {ask:?}");
        self
    }

    fn says(mut self, host: &str, ask: &[&str], reply: Reply) -> Self {
        let mut hit = false;
        for (question, answer) in self.answers(host) {
            if ask.iter().zip(&question.0).all(|(one, two)| one == two) && question.0.len() >= ask.len() {
                *answer = Answer::Said(reply.clone());
                hit = true;
            }
        }
        assert!(hit, "{host} was not asked {ask:?}");
        self
    }

    fn down(mut self, host: &str) -> Self {
        self.facts.hosts.insert(host.into(), HostFacts::Unreachable("connect timed out after 10s".to_owned()));
        self
    }

    /// The volume as the state has it.
    fn record(&mut self) -> &mut larder::state::Record {
        let found = self.state.resources.iter_mut().find(|(address, _)| address.to_string() == "ocfs2_volume.data");
        found.expect("a record").1
    }

    /// Nothing is mounted of the volume on these hosts, and its device is blank.
    fn blank(mut self, hosts: &[&str]) -> Self {
        let mut new = Case::of("ocfs2-new");
        let blank = new.answers("hv1")[&Question::new(["device_facts", DEVICE])].clone();
        let mounts = Question::new(["cat", "/proc/self/mountinfo"]);
        for host in hosts {
            let answers = self.answers(host);
            answers.insert(Question::new(["device_facts", DEVICE]), blank.clone());
            let Some(Answer::Said(reply)) = answers.get_mut(&mounts) else { panic!("no mounts") };
            let lines = reply.out.lines().filter(|line| !line.contains(" /srv/data "));
            reply.out = lines.map(|line| format!("{line}\n")).collect();
            self = self.says(host, &["ocfs2_super", DEVICE], device("end\n"));
        }
        self
    }

    /// Everything that was asked of one path in a case is asked of another one in this.
    fn asked(mut self, host: &str, of: &str, from: &str, to: &str) -> Self {
        let all = Case::of(of).answers(host).clone();
        for (question, answer) in all {
            if question.0.iter().any(|word| word.contains(from)) {
                let words: Vec<_> = question.0.iter().map(|word| word.replace(from, to)).collect();
                let answer = match answer {
                    Answer::Said(reply) => Answer::Said(Reply {
                        out: reply.out.replace(from, to),
                        err: reply.err.replace(from, to),
                        ..reply
                    }),
                    other => other,
                };
                self.answers(host).insert(Question(words), answer);
            }
        }
        self
    }

    fn answers(&mut self, host: &str) -> &mut BTreeMap<Question, Answer> {
        match self.facts.hosts.get_mut(&HostName::from(host)) {
            Some(HostFacts::Reached(answers)) => answers,
            _ => panic!("{host} said nothing"),
        }
    }

    #[track_caller]
    fn plan(&self) -> Plan {
        plan_of(&desired(self.folder.path()), &self.facts, &self.state)
    }
}

/// The steps of a plan whose id has one of these in it.
fn steps(plan: &Plan, words: &[&str]) -> Vec<String> {
    let all = plan.steps.iter().map(|step| step.id.clone());
    all.filter(|id| words.iter().any(|word| id.contains(word))).collect()
}

/// Refused with just this code at this host, with these words; and nothing is formatted, mounted or told to a kernel.
#[track_caller]
fn refused(case: Case, code: &str, host: &str, words: &[&str]) {
    let plan = case.plan();
    let blocking: Vec<_> = plan.blocking().collect();
    let is_it = |hazard: &&&Hazard| {
        hazard.code.as_str() == code
            && hazard.host.as_ref().is_some_and(|one| one.as_str() == host)
            && words.iter().all(|word| hazard.message.contains(word))
    };
    let found = blocking.iter().find(is_it);
    let found = found.unwrap_or_else(|| panic!("no {code} at {host} with {words:?} in {blocking:#?}"));
    assert!(found.cure.len() > 10, "{found:?}");
    // Of the volume nothing on any host; of what is refused nothing that a kernel hears of.
    let own = ["mount", "register", "start"].map(|action| format!("{}@{host}/{action}", found.address));
    let done = steps(&plan, &["/format", "/grow", &own[0], &own[1], &own[2]]);
    assert!(done.is_empty(), "{code} at {host}: {done:?}");
}

/// Whether one step waits for the other, directly or by others.
#[track_caller]
fn waits(plan: &Plan, later: &str, earlier: &str) -> bool {
    assert!(plan.steps.iter().any(|step| step.id == earlier), "no {earlier} in {:#?}", steps(plan, &[""]));
    let mut open = vec![later.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        let step = plan.steps.iter().find(|step| step.id == id);
        let step = step.unwrap_or_else(|| panic!("no {id} in {:#?}", steps(plan, &[""])));
        for before in &step.after {
            if before == earlier {
                return true;
            }
            if seen.insert(before.clone()) {
                open.push(before.clone());
            }
        }
    }
    false
}

fn device(text: &str) -> Reply {
    Reply { status: 0, out: text.to_owned(), err: String::new() }
}

const FACTS: &[&str] = &["device_facts", DEVICE];

#[test]
fn a_device_is_formatted_only_if_it_is_blank_on_every_host() {
    let new = || Case::of("ocfs2-new");
    let blank = "blkid 2\n";
    for host in ["hv1", "hv2", "hv3"] {
        let with = |to: &str| new().said(host, FACTS, blank, to);
        refused(with("blkid 0\nblkid: TYPE=ext4\nblkid: UUID=1\n"), "not-blank", host, &["ext4"]);
        refused(with("blkid 0\nblkid: PTTYPE=dos\n"), "not-blank", host, &["partition table (dos)"]);
        refused(with("blkid 0\nblkid: TYPE=crypto_LUKS\n"), "not-blank", host, &["crypto_LUKS"]);
        refused(with("blkid 0\nblkid: TYPE=mpath_member\n"), "not-blank", host, &["mpath_member"]);
        refused(with("blkid 4\n"), "not-blank", host, &["blkid gave no answer"]);
        refused(new().said(host, FACTS, "bytes 0\n", "bytes 9\n"), "not-blank", host, &["not zero"]);
        refused(new().said(host, FACTS, "bytes 0\n", "unreadable x\n"), "not-blank", host, &["cannot be read"]);
        refused(new().said(host, FACTS, "blkid 2", "holder dm-3\nblkid 2"), "not-blank", host, &["held by dm-3"]);
        refused(new().said(host, FACTS, "blkid 2", "partition sda1\nblkid 2"), "not-blank", host, &["partitions"]);
        refused(new().said(host, FACTS, "blkid 2", "open 77\nblkid 2"), "not-blank", host, &["open in the process 77"]);
        refused(new().said(host, FACTS, "readonly 0", "readonly 1"), "not-blank", host, &["read-only"]);
        refused(
            new().says(
                host,
                FACTS,
                Reply {
                    status: 1,
                    err: "stat: cannot statx 'x': No such file or directory\n".into(),
                    ..Reply::default()
                },
            ),
            "device-differs",
            host,
            &["there is no device"],
        );
        refused(new().says(host, FACTS, device("type regular file\n")), "device-differs", host, &["regular file"]);
        let plan = new().says(host, &["ocfs2_super", DEVICE], device("")).plan();
        assert!(steps(&plan, &["/format", "/mount"]).iter().all(|id| !id.contains("format")), "an answer cut off");
        let plan = new().down(host).plan();
        assert_eq!(steps(&plan, &["ocfs2_"]), Vec::<String>::new(), "{host} is down");
        assert!(!plan.complete);
    }
    let small = |case: Case, host: &str| case.said(host, FACTS, "size 2147483648", "size 104857600");
    refused(small(small(small(new(), "hv1"), "hv2"), "hv3"), "unsupported", "hv1", &["needs at least"]);
}

#[test]
fn all_hosts_must_see_one_device() {
    let new = || Case::of("ocfs2-new");
    refused(
        new().said("hv2", FACTS, "naa.5000c500000000a1", "naa.5000c500000000b2"),
        "device-differs",
        "hv2",
        &["hv2", "hv1"],
    );
    refused(new().said("hv3", FACTS, "size 2147483648", "size 4294967296"), "device-differs", "hv3", &["4GiB", "2GiB"]);
}

#[test]
fn from_a_blank_disk_to_an_image_in_one_order() {
    let plan = Case::of("ocfs2-new").plan();
    assert_eq!(plan.blocking().count(), 0, "{:#?}", plan.hazards);
    assert_eq!(steps(&plan, &["/format"]), ["ocfs2_volume.data@hv1/format"], "on one host");
    let format = "ocfs2_volume.data@hv1/format";
    for host in ["hv1", "hv2", "hv3"] {
        // All are nodes before the first looks, all have looked again before one formats, it is formatted before the first mounts.
        for other in ["hv1", "hv2", "hv3"] {
            assert!(waits(
                &plan,
                &format!("ocfs2_volume.data@{host}/reach"),
                &format!("ocfs2_cluster.vms@{other}/start")
            ));
        }
        assert!(waits(&plan, &format!("ocfs2_volume.data@{host}/mount"), format));
    }
    for host in ["hv2", "hv3"] {
        assert!(waits(&plan, format, &format!("ocfs2_volume.data@{host}/check-blank")));
    }
    assert!(waits(&plan, "image.web@hv1/create", "ocfs2_volume.data@hv1/check-access"));
    let format = plan.steps.iter().find(|step| step.id == format).expect("it formats");
    assert!(!format.command.argv.iter().any(|word| word == "-F") && !plan.functions["format_ocfs2"].contains(" -F"));
    assert!(plan.functions["format_ocfs2"].contains("--cluster-stack=o2cb --cluster-name="));
    assert_eq!(format.guard.len(), 1);
    for step in plan.steps.iter().filter(|step| step.action == "check-blank") {
        assert_eq!(step.guard[0].ask, Question::new(["device_facts", DEVICE]));
    }
}

#[test]
fn a_host_that_cannot_be_a_node_is_named() {
    let new = || Case::of("ocfs2-new");
    let facts: &[&str] = &["o2cb_facts"];
    refused(new().said("hv2", facts, "program o2cb\n", ""), "unsupported", "hv2", &["has no o2cb"]);
    refused(new().said("hv2", facts, "module ocfs2\n", ""), "unsupported", "hv2", &["has no OCFS2"]);
    refused(new().said("hv3", facts, "address 10.99.0.13\n", ""), "unsupported", "hv3", &["10.99.0.13"]);
    refused(new().said("hv3", facts, "end\n", "cluster other\nend\n"), "foreign", "hv3", &["other"]);
    refused(
        new().said("hv2", &["system_facts"], "hostname hv2", "hostname hv1.example"),
        "unsupported",
        "hv2",
        &["both called hv1"],
    );
    refused(new().said("hv1", facts, "unit loaded", "unit masked"), "unsupported", "hv1", &["masked"]);
    let foreign = "node:\n\tcluster = vms\n\tnumber = 7\n\tip_port = 7777\n\tip_address = 10.99.0.77\n\tname = old\n";
    let conf = |text: &str| Reply { status: 0, out: text.to_owned(), err: String::new() };
    refused(
        new().says("hv2", &["cat", "--", "/etc/ocfs2/cluster.conf"], conf(foreign)),
        "foreign",
        "hv2",
        &["old", "10.99.0.77"],
    );
    let twice = foreign.replace("old", "hv2").replace("= 7\n", "= 0\n")
        + "\n"
        + &foreign.replace("old", "hv1").replace("= 7\n", "= 0\n");
    refused(
        new().says("hv2", &["cat", "--", "/etc/ocfs2/cluster.conf"], conf(&twice)),
        "unsupported",
        "hv2",
        &["node 0"],
    );
}

#[test]
fn numbers_that_nodes_have_stay() {
    let number = |host: &str, number: u8| {
        format!(
            "node:\n\tcluster = vms\n\tnumber = {number}\n\tip_port = 7777\n\tip_address = 10.9.9.{number}\n\tname = {host}\n"
        )
    };
    let conf = Reply { status: 0, out: number("hv3", 0) + "\n" + &number("hv1", 5), err: String::new() };
    let plan = Case::of("ocfs2-new").says("hv2", &["cat", "--", "/etc/ocfs2/cluster.conf"], conf).plan();
    let step = plan.steps.iter().find(|step| step.id == "ocfs2_cluster.vms@hv1/cluster-conf").expect("a step");
    let text = step.command.stdin.as_deref().unwrap_or_default();
    let of = |name: &str| {
        text.split("node:")
            .find(|node| node.contains(&format!("name = {name}\n")))
            .map(str::to_owned)
            .unwrap_or_default()
    };
    for (name, number) in [("hv1", 5), ("hv3", 0), ("hv2", 1)] {
        assert!(of(name).contains(&format!("number = {number}\n")), "{name} in {text}");
    }
    // Each host gets the same bytes.
    let texts: BTreeSet<_> =
        plan.steps.iter().filter(|step| step.action == "cluster-conf").map(|step| step.command.stdin.clone()).collect();
    assert_eq!(texts.len(), 1);
}

#[test]
fn what_stands_is_left_alone_and_what_differs_is_mended() {
    let stands = || Case::of("ocfs2-as-wanted");
    let plan = stands().plan();
    assert!(plan.steps.is_empty() && plan.complete, "{:#?}", plan.steps);
    // A file that was changed by hand is put back; the kernel has it right.
    let conf: &[&str] = &["cat", "--", "/etc/ocfs2/cluster.conf"];
    let plan = stands().said("hv2", conf, "10.99.0.11", "10.99.0.99").plan();
    assert_eq!(steps(&plan, &[""]), ["ocfs2_cluster.vms@hv2/cluster-conf"]);
    // A kernel that does not know a node is told.
    let plan = stands().said("hv2", &["o2cb_facts"], "node vms hv1 0 10.99.0.11 7777 0\n", "").plan();
    assert_eq!(steps(&plan, &[""]), ["ocfs2_cluster.vms@hv2/register"]);
    // A device that has grown on all.
    let grown = |case: Case, host: &str| case.said(host, FACTS, "size 2147483648", "size 4294967296");
    let plan = grown(grown(stands(), "hv1"), "hv2").plan();
    assert_eq!(steps(&plan, &[""]), ["ocfs2_volume.data@hv1/grow", "ocfs2_volume.data@hv1/check-access"]);
    refused(grown(stands(), "hv1"), "device-differs", "hv2", &["2GiB", "4GiB"]);
}

#[test]
fn what_the_kernel_does_not_change_is_refused() {
    let stands = || Case::of("ocfs2-as-wanted");
    let nodes = "ocfs2_cluster \"vms\" {\n";
    let with = |line: &str| stands().written(nodes, &format!("{nodes}  {line}\n"));
    refused(with("heartbeat_threshold = 61"), "needs-offline", "hv1", &["heartbeat_threshold is 31, not 61"]);
    refused(with("idle_timeout = \"60s\""), "needs-offline", "hv2", &["idle_timeout is 30000, not 60000"]);
    refused(with("node_numbers = { hv1 = 4 }"), "needs-offline", "hv2", &["hv1 is node 0, not 4"]);
    refused(with("port = 7778"), "needs-offline", "hv1", &["10.99.0.12:7777, not 10.99.0.12:7778"]);
    let plan = with("heartbeat_threshold = 61").plan();
    assert_eq!(steps(&plan, &["register", "start", "mount"]), Vec::<String>::new());
}

#[test]
fn a_file_system_of_somebody_else_is_not_mounted() {
    let stands = || Case::of("ocfs2-as-wanted");
    // The name of the cluster in the super block: `vms`.
    let of_others = |case: Case, host: &str| case.said(host, &["ocfs2_super", DEVICE], "76 6d 73 00", "6f 6c 64 00");
    refused(of_others(of_others(stands(), "hv1"), "hv2"), "foreign", "hv1", &["the cluster old"]);
    let uuid = |case: Case, host: &str| case.said(host, FACTS, "blkid: UUID=", "blkid: UUID=0");
    refused(uuid(uuid(stands(), "hv1"), "hv2"), "wrong-source", "hv2", &["when it was applied last"]);
    let short = |case: Case, host: &str| case.said(host, FACTS, "size 2147483648", "size 1073741824");
    refused(short(short(stands(), "hv1"), "hv2"), "shrink", "hv1", &["1GiB"]);
}

#[test]
fn all_look_again_before_one_formats_where_the_mount_point_moves_too() {
    let hosts = ["hv1", "hv2"];
    let mut case = Case::of("ocfs2-as-wanted").blank(&hosts);
    for host in hosts {
        case = case.asked(host, "ocfs2-new", "/srv/data", "/srv/new");
    }
    let case = case
        .written("\"/srv/data\"", "\"/srv/new\"")
        .written("  format      = true\n", "  format      = true\n  lifecycle {\n    accept = [\"data-loss\"]\n  }\n");
    let plan = case.plan();
    let (format, check) = ("ocfs2_volume.data@hv1/format", "ocfs2_volume.data@hv2/check-blank");
    assert!(waits(&plan, "ocfs2_volume.data@hv1/lock", "ocfs2_volume.data@hv1/unlock"), "it has moved");
    assert!(waits(&plan, format, check));
    for host in hosts {
        assert!(waits(&plan, &format!("ocfs2_volume.data@{host}/mount"), format));
    }
}

#[test]
fn another_disk_behind_the_same_name_is_refused() {
    let mut case = Case::of("ocfs2-as-wanted");
    for placement in case.record().placements.values_mut() {
        placement.identity.insert("wwn".to_owned(), "5000c500000000a1".to_owned());
    }
    assert!(case.plan().steps.is_empty(), "{:#?}", case.plan().hazards);
    let copied = |case: Case, host: &str| case.said(host, FACTS, "naa.5000c500000000a1", "naa.5000c500000000b2");
    refused(copied(copied(case, "hv1"), "hv2"), "wrong-source", "hv1", &["5000c500000000b2", "5000c500000000a1"]);
}

#[test]
fn what_other_hosts_had_of_it_counts_where_all_hosts_are_new() {
    // It was on hv3 only, which is in the storage no more.
    let moved = || {
        let mut case = Case::of("ocfs2-as-wanted");
        let record = case.record();
        let of_one = record.placements.pop_first().expect("a placement").1;
        record.placements = [(HostName::from("hv3"), of_one)].into();
        case.down("hv3")
    };
    refused(moved().blank(&["hv1", "hv2"]), "data-loss", "hv1", &["it held the volume's data"]);
    let uuid = |case: Case, host: &str| case.said(host, FACTS, "blkid: UUID=", "blkid: UUID=0");
    refused(uuid(uuid(moved(), "hv1"), "hv2"), "wrong-source", "hv1", &["when it was applied last"]);
}

#[test]
fn another_label_than_the_one_wanted_is_told_with_the_command() {
    let case = Case::of("ocfs2-as-wanted").written("  format      = true\n", "  label = \"other\"\n");
    refused(case, "needs-offline", "hv1", &["\"data\"", "\"other\" is wanted"]);
}

#[test]
fn the_kernel_is_told_only_what_was_planned() {
    for (name, action) in [("ocfs2-new", "start"), ("ocfs2-of-a-new-member", "register")] {
        let plan = Case::of(name).plan();
        let conf = plan.steps.iter().find(|step| step.action == "cluster-conf").expect("a step");
        for step in plan.steps.iter().filter(|step| step.action == action) {
            assert_eq!(step.guard.len(), 1, "{}", step.id);
            assert_eq!(Some(&step.guard[0].out), conf.command.stdin.as_ref(), "{}", step.id);
            // What rolls back comes before it.
            let later = plan.steps.iter().filter(|one| one.address == step.address && one.host == step.host);
            assert!(later.filter(|one| one.rolls_back).all(|one| waits(&plan, &step.id, &one.id)), "{}", step.id);
        }
    }
}

#[test]
fn a_kernel_with_a_global_heartbeat_is_refused() {
    let case =
        Case::of("ocfs2-as-wanted").said("hv1", &["o2cb_facts"], "heartbeat/mode local", "heartbeat/mode global");
    refused(case, "needs-offline", "hv1", &["the heartbeat is global, not local"]);
}

#[test]
fn storage_that_waits_without_end_is_told_without_a_number() {
    for told in ["-1", "off", "2147483647"] {
        let facts = format!("patience fc {told}\nend\n");
        let plan = Case::of("ocfs2-as-wanted").said("hv1", &["o2cb_facts"], "end\n", &facts).plan();
        let found = plan.hazards.iter().find(|hazard| hazard.message.contains("dev_loss_tmo"));
        let found = found.unwrap_or_else(|| panic!("{told}: {:#?}", plan.hazards));
        assert!(found.message.contains("has no end") && !found.blocks(), "{told}: {found:?}");
        assert!(found.cure.contains("give up sooner") && !found.cure.contains("heartbeat_threshold"), "{found:?}");
    }
}

#[test]
fn what_resets_a_host_without_need_is_told_with_numbers() {
    let plan = Case::of("ocfs2-as-wanted").said("hv1", &["o2cb_facts"], "end\n", "patience iscsi 120\nend\n").plan();
    let told: Vec<_> = plan.hazards.iter().filter(|hazard| hazard.message.contains("recovery_tmo")).collect();
    assert_eq!(told.len(), 1, "{:#?}", plan.hazards);
    assert!(
        told[0].message.contains("60 s") && told[0].message.contains("120 s") && !told[0].blocks(),
        "{:?}",
        told[0]
    );
    assert!(told[0].cure.contains("heartbeat_threshold = 61"), "{:?}", told[0]);
}

#[test]
fn those_that_are_online_learn_of_a_newcomer_before_it_comes() {
    let joins = || Case::of("ocfs2-of-a-new-member");
    let plan = joins().plan();
    assert_eq!(plan.blocking().count(), 0, "{:#?}", plan.hazards);
    for member in ["hv1", "hv2"] {
        assert!(waits(&plan, "ocfs2_cluster.vms@hv3/start", &format!("ocfs2_cluster.vms@{member}/register")));
        assert!(waits(&plan, "ocfs2_volume.data@hv3/mount", &format!("ocfs2_cluster.vms@{member}/register")));
    }
    assert!(waits(&plan, "ocfs2_volume.data@hv3/mount", "ocfs2_cluster.vms@hv3/start"));
    assert_eq!(steps(&plan, &["/format", "/unmount", "/check-blank"]), Vec::<String>::new());
    for host in ["hv1", "hv2", "hv3"] {
        let plan = joins().down(host).plan();
        assert_eq!(steps(&plan, &["ocfs2_"]), Vec::<String>::new(), "{host} is down");
    }
    // Online already, and a firewall between.
    let online = "cluster vms\nnode vms hv1 0 10.99.0.11 7777 0\nnode vms hv2 1 10.99.0.12 7777 0\nnode vms hv3 2 10.99.0.13 7777 1\nend\n";
    let closed = joins().said("hv3", &["o2cb_facts"], "end\n", online).says(
        "hv3",
        &["o2cb_port", "10.99.0.12"],
        device("silent\n"),
    );
    refused(closed, "unreachable", "hv3", &["hv3 does not reach hv2 at 10.99.0.12 port 7777"]);
}

#[test]
fn a_host_leaves_when_nothing_is_mounted_there_any_more() {
    let leaves = || Case::of("ocfs2-of-a-member-that-leaves");
    let plan = leaves().plan();
    assert_eq!(plan.blocking().count(), 0, "{:#?}", plan.hazards);
    for member in ["hv1", "hv2"] {
        assert!(waits(&plan, &format!("ocfs2_cluster.vms@{member}/cluster-conf"), "ocfs2_volume.data@hv3/unmount"));
        assert!(waits(&plan, "ocfs2_cluster.vms@hv3/cluster-conf", &format!("ocfs2_cluster.vms@{member}/register")));
    }
    let open = Reply {
        status: 0,
        out: "write 4711 /srv/data/web.raw\nname 4711 qemu-system-x86\nguest 4711 web\nend\n".into(),
        err: String::new(),
    };
    refused(leaves().says("hv3", &["open_files_below"], open), "in-use", "hv3", &["guest web"]);
    // What is mounted there of another disk keeps it in the cluster.
    let other = "/srv/data rw,relatime shared:1 - ocfs2 /dev/sdz rw\n";
    let line = format!("900 24 8:160 / {}", other.replace("/srv/data", "/srv/other"));
    let mounted = leaves().said("hv3", &["cat", "/proc/self/mountinfo"], "\n", &format!("\n{line}"));
    refused(mounted, "in-use", "hv3", &["cannot leave", "/srv/other"]);
    // So does what its list of mounts does not show.
    let hidden = leaves().said("hv3", &["o2cb_facts"], "region vms ", "region vms 0A0B\nregion vms ");
    refused(hidden, "in-use", "hv3", &["cannot leave", "out of sight", "0A0B"]);
    let plan = leaves().down("hv3").plan();
    assert!(plan.blocking().any(|hazard| hazard.code == HazardCode::HostUnknown), "{:#?}", plan.hazards);
    assert_eq!(steps(&plan, &["cluster-conf", "register"]), Vec::<String>::new());
}

#[test]
fn no_plan_stops_or_restarts_a_cluster_of_which_anything_is_mounted() {
    for case in ["ocfs2-new", "ocfs2-of-a-new-member", "ocfs2-of-a-member-that-leaves"] {
        let plan = Case::of(case).plan();
        let words = plan.steps.iter().flat_map(|step| step.command.argv.iter().cloned());
        let texts =
            plan.functions.values().flat_map(|text| text.lines()).filter(|line| !line.trim_start().starts_with('#'));
        for word in words.chain(texts.map(str::to_owned)) {
            for never in ["restart", "offline", "stop ", "reload ocfs2", "umount -l", "mkfs.ocfs2 -F"] {
                assert!(!word.contains(never), "{case}: {word}");
            }
        }
        // Only a host that leaves has its kernel forget it, and only while nothing of it is mounted there.
        for step in plan.steps.iter().filter(|step| step.command.argv.iter().any(|word| word.contains("unregister"))) {
            assert_eq!(step.id, "ocfs2_cluster.vms@hv3/unregister");
            assert!(waits(&plan, &step.id, "ocfs2_volume.data@hv3/unmount"));
            assert_eq!(step.guard, [kinds::ask::o2cb::nothing_mounted("vms")]);
        }
        for (name, text) in plan.functions.iter().filter(|(_, text)| text.contains("unregister-cluster")) {
            assert_eq!(name, "unregister_o2cb");
            let (asked, told) = (text.find("o2cb_regions \"$1\""), text.find("unregister-cluster"));
            assert!(asked.is_some() && asked < told, "{text}");
        }
    }
}

#[test]
fn the_super_block_of_a_real_file_system_is_read() {
    let case = Case::of("ocfs2-as-wanted");
    let read = |host: &str| {
        kinds::ask::ocfs2::read(case.facts.host(&host.into()), DEVICE).expect("an answer").expect("an OCFS2")
    };
    let found = read("hv1");
    assert_eq!((found.label.as_str(), found.slots, found.cluster.as_str()), ("data", 4, "vms"));
    assert_eq!((found.stack.as_deref(), found.is_global, found.size().0), (Some("o2cb"), false, 2 << 30));
    assert_eq!(found, read("hv2"));
    // blkid says the same of its name.
    let blkid = serde_json::to_string(&case.facts).expect("JSON");
    assert!(blkid.contains(&format!("UUID={}", found.uuid)), "{}", found.uuid);
}

#[test]
fn what_cannot_be_meant_is_an_error_of_the_configuration() {
    let nodes = "ocfs2_cluster \"vms\" {\n";
    let device = "wwn-0x5000c500000000a1\"";
    let line = |line: &str| (nodes.to_owned(), format!("{nodes}  {line}\n"));
    let table = [
        (line("node_numbers = { hv1 = 1, hv2 = 1 }"), "both have the number 1"),
        (line("node_numbers = { hv1 = 255 }"), "no number of a node"),
        (line("node_numbers = { hv9 = 1 }"), "hv9 is no node"),
        (line("name = \"images-of-vms\""), "no name of a cluster"),
        (line("name = \"abcdefghijklmnopq\""), "no name of a cluster"),
        (line("heartbeat_threshold = 6"), "heartbeat_threshold of 6"),
        (line("keepalive_delay = \"30s\""), "not shorter than idle_timeout"),
        (line("port = 0"), "no TCP port"),
        (("10.99.0.12".to_owned(), "10.99.0.11".to_owned()), "both have the address 10.99.0.11"),
        (("10.99.0.12".to_owned(), "127.0.0.1".to_owned()), "no address of a node"),
        ((", hv2 = \"10.99.0.12\"".to_owned(), String::new()), "does not say the address of hv2"),
        (("nodes     = [host.hv1, host.hv2]".to_owned(), "nodes     = [host.hv1]".to_owned()), "host.hv2 is no node"),
        ((format!("/dev/disk/by-id/{device}"), "/dev/sdb\"".to_owned()), "another disk after the next boot"),
        (("format      = true".to_owned(), "slots = 1".to_owned()), "1 slots are not possible for 2 hosts"),
        (("format      = true".to_owned(), "options = [\"heartbeat=none\"]".to_owned()), "Larder's to give"),
        (("format      = true".to_owned(), format!("label = \"{}\"", "x".repeat(64))), "is no label"),
    ];
    for ((from, to), words) in table {
        let case = Case::of("ocfs2-as-wanted").written(&from, &to);
        let loaded = config::load(case.folder.path(), &Inputs::default(), kinds::table());
        let problems = loaded.configuration.expect("it parses").evaluate(None).problems;
        assert!(problems.iter().any(|one| one.summary.contains(words)), "no {words:?} for {to:?} in {problems:#?}");
        assert!(problems.iter().all(|one| one.place.is_some() && !one.detail.is_empty()), "{problems:#?}");
    }
}
