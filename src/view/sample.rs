//! Plans as they occur, for the tests of everything that shows a plan.

use std::collections::BTreeMap;

use crate::model::{
    Address, Attribute, Block, Command, Datum, Guard, Hazard, HazardCode, HostName, Impact, Inverse, Lifecycle,
    Question, Step,
};
use crate::plan::{
    Action, BasedOn, Change, ChangedAttribute, Choice, Drift, FORMAT_VERSION, FileChange, Operation, Plan, Room,
    Summary, Target, Targets, UnknownHost, Why,
};

pub(crate) fn address(text: &str) -> Address {
    text.parse().expect(text)
}

pub(crate) fn host(name: &str) -> HostName {
    name.into()
}

pub(crate) fn block(text: &str, attributes: &[(&str, &str)]) -> Block {
    let attribute =
        |(name, value): &(&str, &str)| ((*name).to_owned().into(), Attribute::default_value(Datum::text(*value)));
    Block {
        address: address(text),
        attributes: attributes.iter().map(attribute).collect(),
        blocks: Vec::new(),
        depends_on: Default::default(),
        lifecycle: Lifecycle::default(),
        place: None,
    }
}

/// A plan that does nothing.
pub(crate) fn empty() -> Plan {
    Plan {
        format_version: FORMAT_VERSION.to_owned(),
        larder_version: "0.1.0".to_owned(),
        hash: "sha256:9b0e6c5f2d".to_owned(),
        complete: true,
        targets: None,
        operation: Operation::Apply,
        based_on: BasedOn { lineage: None, serial: 3 },
        summary: Summary::default(),
        changes: Vec::new(),
        steps: Vec::new(),
        files: Vec::new(),
        hazards: Vec::new(),
        drift: Vec::new(),
        unknown: Vec::new(),
        rooms: Vec::new(),
        round_trips: BTreeMap::from([(host("hv1"), 1), (host("hv2"), 1)]),
        functions: BTreeMap::new(),
        hosts: BTreeMap::new(),
        desired: BTreeMap::new(),
        memory: BTreeMap::new(),
        moved: BTreeMap::new(),
        forgotten: Default::default(),
        outputs: BTreeMap::new(),
        output_changes: BTreeMap::new(),
        max_hosts_at_once: 0,
        parallelism: 10,
        state_path: "state/larder.state.json".to_owned(),
        lab: false,
        found: std::collections::BTreeMap::new(),
    }
}

pub(crate) fn change(text: &str, action: Action, hosts: &[(&str, Action)]) -> Change {
    let address = address(text);
    Change {
        kind: address.kind.to_string(),
        moved_from: None,
        address,
        action,
        hosts: hosts.iter().map(|(name, action)| (host(name), *action)).collect(),
        differences: Vec::new(),
        reasons: BTreeMap::new(),
    }
}

impl Change {
    pub(super) fn differing(mut self, on: &str, all: &[(&str, &str, &str)]) -> Self {
        self.differences.extend(all.iter().map(|(attribute, have, want)| ChangedAttribute {
            host: host(on),
            attribute: (*attribute).to_owned(),
            have: (*have).to_owned(),
            want: (*want).to_owned(),
        }));
        self
    }

    pub(super) fn because(mut self, on: &str, reason: &str) -> Self {
        self.reasons.insert(host(on), reason.to_owned());
        self
    }
}

pub(super) fn step(text: &str, on: &str, action: &str, summary: &str, argv: &[&str]) -> Step {
    Step {
        id: format!("{text}@{on}/{action}"),
        address: address(text),
        host: host(on),
        action: action.to_owned(),
        summary: summary.to_owned(),
        command: Command::new(argv.iter().copied()),
        guard: Vec::new(),
        after: Vec::new(),
        impact: Impact::None,
        inverse: Inverse::None("it only reads".to_owned()),
        rolls_back: false,
        cleans_up: false,
        hazards: Vec::new(),
    }
}

fn mounting(on: &str) -> Vec<Step> {
    let (volume, path) = ("external_volume.nfs", "/srv/nfs");
    let line =
        "10.0.0.5:/export/images /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0";
    let made = Step {
        guard: vec![Guard {
            what: format!("{path} (which did not exist)"),
            ask: Question::new(["stat", "-c", "%F %i", "--", path]),
            status: 1,
            out: String::new(),
        }],
        inverse: Inverse::By(Command::new(["rmdir", "--", path])),
        rolls_back: true,
        ..step(volume, on, "mkdir", "make the directory /srv/nfs", &["mkdir", "-p", "--", path])
    };
    let fstab = Step {
        command: Command::new(["edit_fstab", line]).with_stdin("first line\nsecond\tline\n"),
        after: vec![made.id.clone()],
        inverse: Inverse::By(Command::new(["edit_fstab", "", line])),
        ..step(volume, on, "fstab", "add the line of /srv/nfs to /etc/fstab", &[])
    };
    let mount = Step {
        after: vec![fstab.id.clone()],
        guard: vec![Guard {
            what: "what is mounted at /srv/nfs".to_owned(),
            ask: Question::new(["mounts_at", path]),
            status: 0,
            out: String::new(),
        }],
        inverse: Inverse::By(Command::new(["umount", "--", path])),
        ..step(
            volume,
            on,
            "mount",
            "mount nfs 10.0.0.5:/export/images on /srv/nfs",
            &["mount", "-t", "nfs", "-o", "vers=4.2,hard,noatime", "--", "10.0.0.5:/export/images", path],
        )
    };
    let chown = Step {
        after: vec![mount.id.clone()],
        inverse: Inverse::None("who owned it before is not known".to_owned()),
        ..step(volume, on, "chown", "give /srv/nfs to libvirt-qemu:kvm", &["chown", "--", "64055:104", path])
    };
    vec![made, fstab, mount, chown]
}

/// Two hosts get a volume, a mode was changed by hand, an image waits.
pub(super) fn first_apply() -> Plan {
    let mut plan = empty();
    let created = [
        ("directory", "absent", "/srv/nfs, unwritable while unmounted"),
        ("fstab", "no line", "10.0.0.5:/export/images /srv/nfs nfs"),
        ("mount", "not mounted", "nfs 10.0.0.5:/export/images"),
        ("owner", "not known yet", "libvirt-qemu:kvm"),
    ];
    plan.changes = vec![
        change("external_volume.local", Action::Update, &[("hv1", Action::Update), ("hv2", Action::Unchanged)])
            .differing("hv1", &[("mode", "0755", "0770")]),
        change("external_volume.nfs", Action::Create, &[("hv1", Action::Create), ("hv2", Action::Create)])
            .differing("hv1", &created)
            .differing("hv2", &created),
        change("image.web[\"web1\"]", Action::Later, &[("hv1", Action::Later)])
            .because("hv1", "/srv/nfs is not mounted yet"),
        change("image_storage.main", Action::Unchanged, &[("hv1", Action::Unchanged), ("hv2", Action::Unchanged)]),
    ];
    plan.summary = Summary { create: 1, update: 1, unchanged: 7, ..Summary::default() };
    let chmod = Step {
        inverse: Inverse::By(Command::new(["chmod", "--", "0755", "/home/images"])),
        ..step(
            "external_volume.local",
            "hv1",
            "chmod",
            "set the mode of /home/images to 0770",
            &["chmod", "--", "0770", "/home/images"],
        )
    };
    plan.steps = [vec![chmod], mounting("hv1"), mounting("hv2")].concat();
    let diff = "--- /etc/fstab\n+++ /etc/fstab\n@@ -1,2 +1,3 @@\n # /etc/fstab\n UUID=6f1c\t/ ext4 defaults 0 1\n+10.0.0.5:/export/images /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0\n";
    plan.files = ["hv1", "hv2"]
        .map(|on| FileChange { host: host(on), path: "/etc/fstab".to_owned(), diff: diff.to_owned() })
        .to_vec();
    plan.hazards = vec![Hazard::new(
        HazardCode::HidesData,
        &address("external_volume.nfs"),
        Some(&host("hv2")),
        "/srv/nfs on hv2 is not empty: mounting there would hide guest.qcow2, old",
        "Move that away, choose another mount_point, or accept it in the block: lifecycle { accept = [\"hides-data\"] }.",
    )];
    plan.drift = vec![Drift {
        address: address("external_volume.local"),
        host: host("hv1"),
        attribute: "mode".to_owned(),
        recorded: "0770".to_owned(),
        have: "0755".to_owned(),
    }];
    plan.rooms = vec![Room {
        host: host("hv1"),
        at: "/home/images".to_owned(),
        free: Some(100 << 30),
        bytes: 40 << 30,
        promised: 80 << 30,
    }];
    plan.desired = [
        block("external_volume.nfs", &[("mount_point", "/srv/nfs")]),
        block("external_volume.local", &[("mount_point", "/home/images")]),
    ]
    .map(|block| (block.address.clone(), block))
    .into();
    plan.complete = false;
    plan
}

/// A volume and a host under new names, a part of the whole, something that goes without a step.
pub(super) fn moved() -> Plan {
    let mut plan = empty();
    let named = |text: &str, old: &str, action, hosts: &[(&str, Action)]| Change {
        moved_from: Some(address(old)),
        ..change(text, action, hosts)
    };
    plan.changes = vec![
        named(
            "external_volume.fast",
            "external_volume.disk",
            Action::Move,
            &[("hv1", Action::Update), ("hv2", Action::Unchanged)],
        ),
        change("external_volume.old", Action::Forget, &[("hv1", Action::Forget)]),
        named("host.node", "host.hv1", Action::Move, &[]),
        named("image.app[\"a\"]", "image.web[\"a\"]", Action::Move, &[("hv1", Action::Unchanged)]),
        named("image.app[\"b\"]", "image.web[\"b\"]", Action::Update, &[("hv1", Action::Update)])
            .differing("hv1", &[("mode", "0600", "0660")]),
        change("image_storage.main", Action::Unchanged, &[("hv1", Action::Unchanged), ("hv2", Action::Unchanged)]),
    ];
    plan.moved = plan.changes.iter().filter_map(|one| Some((one.moved_from.clone()?, one.address.clone()))).collect();
    plan.forgotten = [address("external_volume.old")].into();
    plan.summary = Summary { moved: 3, update: 1, forget: 1, unchanged: 1, ..Summary::default() };
    plan.steps = vec![
        step("external_volume.fast", "hv1", "fstab", "replace the line of /srv/disk in /etc/fstab", &["edit_fstab"]),
        step("image.app[\"b\"]", "hv1", "chmod", "set the mode of /srv/disk/b.raw to 0660", &["set_mode"]),
    ];
    let target = |text: &str, why, of: Option<&str>| Target { address: address(text), why, of: of.map(address) };
    plan.targets = Some(Targets {
        option: Choice::Target,
        named: vec!["image.app".parse().expect("a selector")],
        resources: vec![
            target("external_volume.fast", Why::NeededBy, Some("image.app[\"a\"]")),
            target("image.app[\"a\"]", Why::Named, None),
            target("image.app[\"b\"]", Why::Named, None),
            target("image_storage.main", Why::NeededBy, Some("external_volume.fast")),
        ],
    });
    plan.complete = false;
    plan
}

/// A host that does not answer, one that left a storage, hazards of each sort, text that attacks the terminal.
pub(super) fn trouble() -> Plan {
    let mut plan = empty();
    plan.complete = false;
    plan.round_trips.extend([(host("hv3"), 0), (host("hv4"), 2)]);
    plan.unknown = vec![UnknownHost { host: host("hv3"), reason: "connect timed out after 10 s".to_owned() }];
    plan.changes = vec![
        change(
            "external_volume.nfs",
            Action::Update,
            &[("hv1", Action::Unchanged), ("hv2", Action::Destroy), ("hv3", Action::Unknown), ("hv4", Action::Unknown)],
        )
        .differing("hv2", &[("mount", "nfs4 10.0.0.5:/export/images", "not mounted")])
        .because("hv3", "the host did not answer")
        .because("hv4", "mountinfo: line 7 has no separator"),
        change("external_volume.old", Action::Forget, &[("hv1", Action::Forget), ("hv2", Action::Forget)]),
        change("external_volume.scratch", Action::Adopt, &[("hv1", Action::Adopt), ("hv2", Action::Adopt)]),
        change("external_volume.ssd", Action::Adopt, &[("hv1", Action::Adopt)]),
        change("image.db", Action::Update, &[("hv1", Action::Update)]).differing("hv1", &[("size", "60GiB", "40GiB")]),
    ];
    plan.summary = Summary { update: 2, forget: 1, adopt: 2, ..Summary::default() };
    plan.steps = vec![
        Step {
            impact: Impact::Offline,
            hazards: vec![HazardCode::DataLoss],
            inverse: Inverse::By(Command::new(["mount", "-t", "nfs4", "--", "10.0.0.5:/export/images", "/srv/nfs"])),
            ..step("external_volume.nfs", "hv2", "unmount", "unmount /srv/nfs", &["umount", "--", "/srv/nfs"])
        },
        step(
            "external_volume.nfs",
            "hv2",
            "unlock",
            "take the lock off the mount point /srv/nfs",
            &["unlock_mount_point", "/srv/nfs", "0755", "0:0"],
        ),
    ];
    let hazard = |code, text: &str, on: &str, message: &str, cure: &str| {
        Hazard::new(code, &address(text), Some(&host(on)), message, cure)
    };
    plan.hazards = vec![
        hazard(
            HazardCode::Shrink,
            "image.db",
            "hv1",
            "/srv/nfs/db.qcow2 on hv1 has 60GiB, the configuration wants 40GiB",
            "An image is never shrunk: a guest would lose what lies behind the new end. Set size = \"60GiB\".",
        ),
        hazard(
            HazardCode::WrongSource,
            "external_volume.ssd",
            "hv1",
            "/srv/ssd on hv1 is ext4 \x1b[2J/dev/\u{202e}sdb and not xfs on /dev/sdc",
            "Unmount it, or choose another mount_point.",
        ),
        hazard(
            HazardCode::Unsupported,
            "external_volume.a",
            "hv1",
            "hv1 has no group kvm",
            "Create the group there first.",
        ),
        hazard(
            HazardCode::Unsupported,
            "external_volume.a",
            "hv10",
            "hv10 has no group kvm",
            "Create the group there first.",
        ),
        hazard(
            HazardCode::Unsupported,
            "external_volume.b",
            "hv1",
            "hv1 has no group kvm",
            "Create the group there first.",
        ),
        hazard(
            HazardCode::DataLoss,
            "external_volume.nfs",
            "hv2",
            "unmounting /srv/nfs on hv2 deletes guest.img",
            "Copy it away.",
        ),
        hazard(
            HazardCode::SlowAllocation,
            "image.web[\"a b\"]",
            "hv1",
            "10.0.0.5:/export/images cannot reserve space: allocation writes 40.0 GiB",
            "Use NFS 4.2, or allocation = \"sparse\".",
        ),
        Hazard {
            accepted: true,
            ..hazard(
                HazardCode::NoAccess,
                "external_volume.ssd",
                "hv1",
                "libvirt-qemu cannot write to /srv/ssd on hv1",
                "Give it the group kvm.",
            )
        },
    ];
    plan.drift = ["hv1", "hv2"]
        .iter()
        .flat_map(|on| {
            [("mode", "0770"), ("mount", "bind /data/scratch")].map(|(attribute, recorded)| Drift {
                address: address("external_volume.gone"),
                host: host(on),
                attribute: attribute.to_owned(),
                recorded: recorded.to_owned(),
                have: "absent".to_owned(),
            })
        })
        .chain([Drift {
            address: address("external_volume.nfs"),
            host: host("hv1"),
            attribute: "options".to_owned(),
            recorded: "rw,noatime".to_owned(),
            have: "rw,\x1b]0;x\x07".to_owned(),
        }])
        .collect();
    plan
}
