//! Plans without hosts: what hosts said is turned, answer by answer, into silence and failure.

mod common;
#[path = "ocfs2/cases.rs"]
mod ocfs2;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{Site, hosts};
use larder::config::{self, Desired, Inputs};
use larder::kinds;
use larder::model::{
    Address, Answer, Connection, Facts, Hazard, HazardCode, HostFacts, HostName, Problems, Question, Reply, Selector,
};
use larder::plan::{self, Input, Limit, Plan, Request};
use larder::state::State;
use larder::transport::recorded;

/// What a directory's configuration asks for.
#[track_caller]
fn desired(directory: &Path) -> Desired {
    let loaded = config::load(directory, &Inputs::default(), kinds::table());
    let configuration = loaded.configuration.unwrap_or_else(|| panic!("{:#?}", loaded.problems));
    let evaluated = configuration.evaluate(None);
    assert!(evaluated.problems.is_empty(), "{:#?}", evaluated.problems);
    evaluated.desired
}

#[track_caller]
fn plan_of(desired: &Desired, facts: &Facts, state: &State) -> Plan {
    planned(desired, facts, state, &Request::default()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn planned(desired: &Desired, facts: &Facts, state: &State, request: &Request) -> Result<Plan, Problems> {
    let input = Input {
        desired: &desired.blocks,
        statements: &desired.statements,
        outputs: BTreeMap::new(),
        facts,
        state,
        request,
        parallelism: 10,
        max_hosts_at_once: 0,
        state_path: "state/larder.state.json",
        lab: false,
    };
    plan::plan(&input)
}

/// What every host is asked for a plan of everything.
#[track_caller]
fn questions(desired: &Desired, state: &State) -> BTreeMap<HostName, (Connection, Vec<Question>)> {
    plan::questions(&desired.blocks, state, &desired.statements, &Request::default()).expect("nothing collides")
}

/// The steps that make, destroy or hide something, with the hazards that somebody has to accept first.
fn dangerous(plan: &Plan) -> BTreeSet<(String, Vec<HazardCode>)> {
    const HARMLESS: [&str; 3] = ["check-access", "chmod", "chown"];
    let steps = plan.steps.iter().filter(|step| !HARMLESS.contains(&step.action.as_str()));
    steps.map(|step| (step.id.clone(), step.hazards.clone())).collect()
}

/// The places at which a plan is refused.
fn blocked(plan: &Plan) -> BTreeSet<(Address, Option<HostName>)> {
    plan.hazards
        .iter()
        .filter(|hazard| hazard.blocks())
        .map(|hazard| (hazard.address.clone(), hazard.host.clone()))
        .collect()
}

/// What becomes of an answer that does not arrive as it should.
fn spoilt() -> Vec<Answer> {
    let said =
        |status: i32, out: &str, err: &str| Answer::Said(Reply { status, out: out.to_owned(), err: err.to_owned() });
    vec![
        Answer::Unknown("no answer within 30 s".to_owned()),
        said(1, "", "x: Input/output error\n"),
        said(127, "", "sh: x: not found\n"),
        said(137, "", ""),
    ]
}

#[test]
fn silence_and_failure_never_add_a_step_that_makes_or_destroys() {
    let site = Site::up(&["hv1", "hv2"]);
    let device = |name: &str| format!("/dev/disk/by-id/{name}");
    for (name, size) in [("blank", "24MiB"), ("used", "24MiB"), ("taken", "24MiB")] {
        let size = size.parse().expect("a size");
        site.wait(site.lab().attach_device(&"hv1".into(), &device(name), size)).expect("a device");
    }
    site.sh("hv1", &format!("mkfs.ext4 -q -L used {} && mkfs.ext4 -q -L theirs {}", device("used"), device("taken")));
    for host in ["hv1", "hv2"] {
        site.sh(host, "mkdir -p /data/a /data/b /srv/full /srv/empty && : >/srv/full/guest && mkdir -m 0700 /closed");
    }
    let storages = |members: &str| {
        let permissions = "  owner = \"libvirt-qemu\"\n  group = \"kvm\"\n  mode = \"0770\"\n";
        format!(
            "{}image_storage \"main\" {{\n  hosts = [{members}]\n{permissions}}}\nimage_storage \"single\" {{\n  hosts = [host.hv1]\n{permissions}}}\n",
            hosts(&["hv1", "hv2"])
        )
    };
    let volume = |name: &str, storage: &str, at: &str, inner: &str| {
        format!(
            "external_volume \"{name}\" {{\n  storage = image_storage.{storage}\n  mount_point = \"{at}\"\n  {inner}\n}}\n"
        )
    };
    let tmpfs = "tmpfs {\n    size = \"8MiB\"\n  }";
    let bind = |source: &str| format!("bind {{\n    source = \"{source}\"\n  }}");
    let disk = |name: &str| {
        format!(
            "device {{\n    path = \"{}\"\n    fstype = \"ext4\"\n    label = \"{name}\"\n    format = true\n  }}",
            device(name)
        )
    };
    let image = |name: &str, volume: &str, size: &str| {
        format!(
            "image \"{name}\" {{\n  volume = external_volume.{volume}\n  format = \"raw\"\n  size = \"{size}\"\n}}\n"
        )
    };
    // What stands already.
    site.write(
        &(storages("host.hv1, host.hv2")
            + &volume("grows", "main", "/srv/grows", "directory {}")
            + &volume("goes", "main", "/srv/goes", &bind("/data/a"))
            + &volume("loses", "main", "/srv/loses", tmpfs)
            + &volume("moves", "main", "/srv/moves", tmpfs)
            + &volume("moved", "main", "/srv/moved", "directory {}")
            + &image("grows", "grows", "1MiB")
            + &image("under", "grows", "1MiB")),
    );
    site.larder(&["apply", "-auto-approve"]).expect(0);
    site.sh("hv1", ": >/srv/loses/guest && : >/srv/moved/guest && umount /srv/moves && chmod 0700 /srv/grows");
    // What is wanted now: everything is made, mounted, changed, moved or taken away somewhere.
    site.write(
        &(storages("host.hv1")
            + &volume("grows", "main", "/srv/grows", "directory {}")
            + &volume("moves", "main", "/srv/moves", tmpfs)
            + &volume("moved", "main", "/srv/elsewhere", "directory {}")
            + &volume("new", "main", "/srv/new", &bind("/data/b"))
            + &volume("hides", "main", "/srv/full", tmpfs)
            + &volume("onto", "main", "/srv/empty", tmpfs)
            + &volume("closed", "main", "/closed/in", "directory {}")
            + &volume("blank", "single", "/srv/blank", &disk("blank"))
            + &volume("used", "single", "/srv/used", &disk("used"))
            + &volume("taken", "single", "/srv/taken", &disk("taken"))
            + &image("grows", "grows", "2MiB")
            + &image("new", "new", "1MiB")
            + &image("blank", "blank", "1MiB")
            + &image("over", "new", "4MiB")
                .replace("raw", "qcow2")
                .replace("  size", "  backing = image.under\n  size")
            + &image("under", "grows", "1MiB")
            + &volume("after", "single", "/srv/after", &format!("{tmpfs}\n  depends_on = [image.under]"))),
    );
    let state = State::parse(&std::fs::read(site.state()).expect("a state")).expect("a state");
    let desired = desired(site.path());
    let asked = questions(&desired, &state);
    let questions = asked.into_iter().map(|(host, (_, questions))| {
        let connection = site.lab().connection(&host, None).expect("a host");
        (host, (connection, questions))
    });
    let facts = site.wait(async {
        let (facts, sessions) =
            larder::probe::gather(questions.collect(), &kinds::functions(), &Default::default(), 10).await;
        for session in sessions.into_values() {
            session.close().await;
        }
        facts
    });
    // Recorded and read back, it is the same plan.
    let facts = recorded::read(&recorded::write(&facts).expect("text")).expect("facts");
    let base = plan_of(&desired, &facts, &state);
    let expected = dangerous(&base);
    for id in [
        "external_volume.blank@hv1/format",
        "external_volume.used@hv1/mount",
        "external_volume.new@hv1/mount",
        "external_volume.goes@hv2/unmount",
        "external_volume.loses@hv1/unmount",
        "image.grows@hv1/grow",
        "image.new@hv1/create",
        "image.blank@hv1/create",
        "image.over@hv1/create",
        "external_volume.after@hv1/mount",
    ] {
        assert!(expected.iter().any(|(step, _)| step == id), "no {id} in {expected:#?}");
    }
    let refused = |plan: &Plan, code: HazardCode| plan.hazards.iter().filter(|one: &&Hazard| one.code == code).count();
    for code in [HazardCode::HidesData, HazardCode::DataLoss, HazardCode::NotBlank, HazardCode::NoAccess] {
        assert!(refused(&base, code) > 0, "{code} in {:#?}", base.hazards);
    }
    // Without a word of how the image below stands, no overlay is made of it.
    for answer in spoilt() {
        let mut spoilt = facts.clone();
        let Some(HostFacts::Reached(answers)) = spoilt.hosts.get_mut(&HostName::from("hv1")) else { unreachable!() };
        answers.insert(Question::new(["image_facts", "/srv/grows/under.raw"]), answer.clone());
        let plan = plan_of(&desired, &spoilt, &state);
        let waits = |step: &larder::model::Step| ["over", "after"].contains(&step.address.name.as_ref());
        assert!(!plan.steps.iter().any(waits), "{answer:?}: {:#?}", plan.steps);
        let after =
            plan.changes.iter().find(|one| one.address.to_string() == "external_volume.after").expect("a change");
        assert_eq!(after.hosts[&HostName::from("hv1")], plan::Action::Unknown, "{after:#?}");
    }
    let mut tried = 0;
    for (host, of_host) in &facts.hosts {
        let HostFacts::Reached(answers) = of_host else { panic!("{host} did not answer") };
        for question in answers.keys() {
            for answer in spoilt().into_iter().filter(|answer| is_no_answer(question, answer)) {
                let mut spoilt = facts.clone();
                let Some(HostFacts::Reached(answers)) = spoilt.hosts.get_mut(host) else { unreachable!() };
                answers.insert(question.clone(), answer.clone());
                check(&base, &plan_of(&desired, &spoilt, &state), &format!("{question:?} on {host}: {answer:?}"));
                tried += 1;
            }
        }
        let mut silent = facts.clone();
        silent.hosts.insert(host.clone(), HostFacts::Unreachable("connect timed out after 10 s".to_owned()));
        let plan = plan_of(&desired, &silent, &state);
        check(&base, &plan, host.as_str());
        assert!(plan.steps.iter().all(|step| step.host != *host), "{host} did not answer");
        assert!(!plan.complete);
        let HostFacts::Reached(all) = &facts.hosts[host] else { unreachable!() };
        let nothing =
            all.keys().map(|question| (question.clone(), Answer::Unknown("the connection was lost".to_owned())));
        let mut lost = facts.clone();
        lost.hosts.insert(host.clone(), HostFacts::Reached(nothing.collect()));
        let plan = plan_of(&desired, &lost, &state);
        assert!(plan.steps.iter().all(|step| step.host != *host), "{host} said nothing: {:#?}", plan.steps);
    }
    assert!(tried > 200, "{tried}");
}

/// Whether an answer says nothing. getent(1) says by its status that there is no such name; a program that is missing is
/// an answer where the question is what a user may do.
fn is_no_answer(question: &Question, answer: &Answer) -> bool {
    match (question.0.first().map(String::as_str), answer) {
        (Some("getent"), Answer::Said(reply)) => reply.status != 2,
        _ => true,
    }
}

/// Nothing is added, nothing that was refused is free now.
#[track_caller]
fn check(base: &Plan, plan: &Plan, what: &str) {
    let (before, after) = (dangerous(base), dangerous(plan));
    let added: Vec<_> = after.difference(&before).collect();
    assert!(added.is_empty(), "{what}: {added:#?}");
    let free = blocked(plan);
    for (address, host) in blocked(base) {
        let of = |step: &&larder::model::Step| {
            step.address == address && host.as_ref().is_none_or(|host| step.host == *host)
        };
        let runs: Vec<_> = plan.steps.iter().filter(of).map(|step| &step.id).collect();
        let is_refused = free.contains(&(address.clone(), host.clone()));
        assert!(is_refused || runs.is_empty(), "{what}: {address} was refused and would run {runs:?}");
    }
    // Whoever cannot be judged is said so: fewer steps mean a hazard, an unknown host or something that waits.
    if after != before {
        assert!(
            !plan.complete || free.len() > blocked(base).len() || free != blocked(base),
            "{what}: {:#?}",
            before.difference(&after)
        );
    }
}

/// What hosts said, in a folder.
#[track_caller]
fn facts(folder: &Path) -> Facts {
    let text = std::fs::read_to_string(folder.join("facts.json")).expect("facts");
    let mut facts = recorded::read(&text).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    // The list of programs that are asked for may grow; what was said of the machine stays true.
    for host in facts.hosts.values_mut() {
        let HostFacts::Reached(answers) = host else { continue };
        let now = larder::kinds::ask::system::question();
        let then = answers.keys().find(|question| question.0.first() == now.0.first()).cloned();
        if let Some(answer) = then.and_then(|then| answers.remove(&then)) {
            answers.insert(now, answer);
        }
    }
    facts
}

/// A plan of recorded facts, in a folder: the configuration, what the hosts said, and what the plan must be.
#[track_caller]
fn check_case(folder: &Path) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read = |file: &str| std::fs::read_to_string(folder.join(file));
    let facts = facts(folder);
    let state = read("state.json").map_or_else(
        |_| State::default(),
        |text| State::parse(text.as_bytes()).unwrap_or_else(|problem| panic!("{name}: {problem}")),
    );
    let found = match planned(&desired(folder), &facts, &state, &options(folder)) {
        Ok(plan) => told(&plan),
        Err(problems) => {
            let problem = |one: &larder::model::Problem| format!("{}: {}. {}", one.code, one.summary, one.detail);
            serde_json::json!({ "problems": problems.iter().map(problem).collect::<Vec<_>>() })
        }
    };
    let expected = read("expected.json").unwrap_or_default();
    let text = serde_json::to_string_pretty(&found).expect("JSON") + "\n";
    assert_eq!(expected, text, "{name}: the plan is\n{text}");
}

/// What is asked of a share only to say more about it.
const SAID_BESIDE: [&str; 3] = ["media_listing", "network_mounts", "samba_connections"];

#[test]
fn a_share_of_which_one_answer_is_missing_is_unknown_and_nothing_is_done() {
    for case in ["share-as-wanted", "share-new"] {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan")).join(case);
        let text = std::fs::read_to_string(folder.join("facts.json")).expect("facts");
        let facts = recorded::read(&text).expect("facts");
        let (nas, wanted) = (HostName::from("nas"), desired(&folder));
        let HostFacts::Reached(answers) = facts.host(&nas) else { panic!("it answers") };
        let weighty = answers.keys().filter(|question| {
            let word = question.0.first().map_or("", String::as_str);
            // The list of programs may have grown since; a group is asked for where the directory names one.
            word != "system_facts" && !question.0.contains(&"group".to_owned()) && !SAID_BESIDE.contains(&word)
        });
        // While a user is to be made, nobody logs in.
        let of_now = |question: &&Question| {
            case == "share-as-wanted" || !["samba_login", "can_read"].contains(&question.0[0].as_str())
        };
        for question in weighty.filter(of_now) {
            for spoilt in spoilt() {
                let mut facts = facts.clone();
                let Some(HostFacts::Reached(answers)) = facts.hosts.get_mut(&nas) else { panic!("it answers") };
                let system = larder::kinds::ask::system::question();
                let then = answers.keys().find(|one| one.0.first() == system.0.first()).cloned().expect("asked");
                let said = answers.remove(&then).expect("said");
                answers.insert(system, said);
                answers.insert(question.clone(), spoilt.clone());
                let plan = plan_of(&wanted, &facts, &State::default());
                assert!(plan.steps.is_empty(), "{case}: {question:?} {spoilt:?}: {:#?}", plan.steps);
                assert_eq!(plan.changes[0].action, plan::Action::Unknown, "{case}: {question:?} {spoilt:?}");
            }
        }
    }
}

#[test]
fn an_upload_through_a_mount_runs_only_while_that_is_mounted_which_the_plan_saw() {
    for (case, guards) in [
        ("medium-through-a-mount", &["is_absent"][..]),
        ("medium-of-another-size-through-a-mount", &["stat", "open_files_below"]),
    ] {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan")).join(case);
        let plan = plan_of(&desired(&folder), &facts(&folder), &State::default());
        let [step] = plan.steps.as_slice() else { panic!("{case}: {:#?}", plan.steps) };
        assert_eq!(step.command.argv[..2], ["upload_media", "/srv/smb/debian.iso"]);
        let [mounted, others @ ..] = step.guard.as_slice() else { panic!("{case}: {:#?}", step.guard) };
        assert_eq!(mounted.ask, kinds::ask::mounts::at_question("/srv/smb"), "{case}");
        assert!(mounted.out.contains(" cifs //10.0.0.5/images ") && mounted.out.lines().count() == 1, "{mounted:?}");
        assert_eq!(others.iter().map(|guard| guard.ask.0[0].as_str()).collect::<Vec<_>>(), guards, "{case}");
    }
}

/// The options of the command line that a case is planned with.
#[track_caller]
fn options(folder: &Path) -> Request {
    let Ok(text) = std::fs::read_to_string(folder.join("options.json")) else { return Request::default() };
    let options: BTreeMap<String, Vec<Selector>> = serde_json::from_str(&text).expect("addresses by option");
    let mut request = Request::default();
    for (option, named) in options {
        request.limit = match option.as_str() {
            "target" => Limit::Only(named),
            "exclude" => Limit::Without(named),
            other => panic!("{other} is no option of a case"),
        };
    }
    request
}

/// What a case says of a plan.
fn told(plan: &Plan) -> serde_json::Value {
    let actions: BTreeMap<String, BTreeMap<String, plan::Action>> = plan
        .changes
        .iter()
        .map(|change| {
            let hosts = change.hosts.iter().map(|(host, action)| (host.to_string(), *action));
            (change.address.to_string(), hosts.collect())
        })
        .collect();
    let mut found = serde_json::json!({
        "complete": plan.complete,
        "actions": actions,
        "steps": plan.steps.iter().map(|step| &step.id).collect::<Vec<_>>(),
        "hazards": plan.hazards.iter().map(|hazard| format!("{} {}{}: {}", hazard.code, hazard.address,
            hazard.host.as_ref().map(|host| format!("@{host}")).unwrap_or_default(), hazard.message)).collect::<Vec<_>>(),
        "unknown": plan.unknown.iter().map(|unknown| format!("{}: {}", unknown.host, unknown.reason)).collect::<Vec<_>>(),
    });
    if !plan.moved.is_empty() {
        found["moved"] = plan.moved.iter().map(|(old, new)| format!("{old} -> {new}")).collect();
    }
    if let Some(targets) = &plan.targets {
        let of = |of: &Option<Address>| of.as_ref().map(|of| format!(" {of}")).unwrap_or_default();
        let target = |one: &plan::Target| format!("{} {:?}{}", one.address, one.why, of(&one.of));
        found["targets"] = targets.resources.iter().map(target).collect();
    }
    // A statement to paste is part of what is told.
    let pasted = |hazard: &&Hazard| hazard.code == HazardCode::Renamed;
    let cures: Vec<_> = plan.hazards.iter().filter(pasted).map(|hazard| hazard.cure.clone()).collect();
    if !cures.is_empty() {
        found["cures"] = cures.into();
    }
    found
}

#[test]
fn recorded_hosts_give_the_plans_that_stand_beside_them() {
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan")).expect("cases");
    let mut folders: Vec<_> = folders.map(|entry| entry.expect("a folder").path()).collect();
    folders.sort();
    assert!(folders.len() >= 8, "{folders:?}");
    for folder in folders {
        check_case(&folder);
    }
}

#[test]
#[ignore = "applies before/main.hcl of tests/plan/$LARDER_CASE to lab hosts and writes its state, and facts for main.hcl"]
fn record_case() {
    let case = std::env::var("LARDER_CASE").expect("LARDER_CASE is the name of a folder in tests/plan");
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan")).join(case);
    let before = std::fs::read_to_string(folder.join("before/main.hcl")).expect("what was applied before");
    let site = Site::up(&["hv1", "hv2"]);
    site.write(&before).apply();
    std::fs::copy(site.state(), folder.join("state.json")).expect("a state");
    let state = State::parse(&std::fs::read(site.state()).expect("a state")).expect("a state");
    let desired = desired(&folder);
    // Everything, whatever the options of the case: what is not asked must not be needed.
    let questions = questions(&desired, &state).into_iter();
    let questions = questions.map(|(host, (_, questions))| {
        let connection = site.lab().connection(&host, None).expect("a host");
        (host, (connection, questions))
    });
    let (facts, sessions) =
        site.wait(larder::probe::gather(questions.collect(), &kinds::functions(), &Default::default(), 10));
    site.wait(async {
        for session in sessions.into_values() {
            session.close().await;
        }
    });
    std::fs::write(folder.join("facts.json"), recorded::write(&facts).expect("text")).expect("a file");
}

#[test]
#[ignore = "writes facts of lab hosts to tests/plan/blank, for new cases"]
fn record() {
    let site = Site::up(&["hv1", "hv2"]);
    let device = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4";
    site.wait(site.lab().attach_device(&"hv1".into(), device, "512MiB".parse().expect("a size"))).expect("a device");
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan/blank"));
    let asked = questions(&desired(folder), &State::default());
    let questions = asked.into_iter().map(|(host, (_, questions))| {
        let connection = site.lab().connection(&host, None).expect("a host");
        (host, (connection, questions))
    });
    let (facts, sessions) =
        site.wait(larder::probe::gather(questions.collect(), &kinds::functions(), &Default::default(), 10));
    site.wait(async {
        for session in sessions.into_values() {
            session.close().await;
        }
    });
    std::fs::write(folder.join("facts.json"), recorded::write(&facts).expect("text")).expect("a file");
}

#[test]
fn what_is_ignored_stays_as_it_is_and_is_something_at_first() {
    let plan = |case: &str| {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan")).join(case);
        plan_of(&desired(&folder), &facts(&folder), &State::default())
    };
    let table = [
        // The options of the line in fstab, not those of the block.
        ("ignored-options-of-nfs", "hv2", "vers=4.2,hard,noatime,nconnect=2"),
        ("changed-options-of-nfs", "hv2", "vers=4.2,hard,noatime,timeo=300"),
        // What is mounted for the first time has to belong to somebody.
        ("ignored-permissions-of-new-cifs", "hv1", "uid=64055,gid=104,file_mode=0660,dir_mode=0770"),
    ];
    for (case, host, expected) in table {
        let plan = plan(case);
        let mount = plan.steps.iter().find(|step| step.action == "mount" && step.host == HostName::from(host));
        let words = &mount.unwrap_or_else(|| panic!("{case}: {:#?}", plan.steps)).command.argv;
        assert!(words.iter().any(|word| word.contains(expected)), "{case}: {words:?}");
    }
}
