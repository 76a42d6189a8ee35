use super::*;
use crate::plan::Summary;
use crate::view::sample::{self, change, empty, host, step};

fn shown(plan: &Plan) -> String {
    render(plan, &Options::default())
}

#[test]
fn a_first_apply_reads_from_danger_to_numbers() {
    let options = Options { elapsed: Some(Duration::from_millis(312)), ..Options::default() };
    insta::assert_snapshot!(render(&sample::first_apply(), &options), @r#"
    Probed 2 hosts in 0.3 s, one round trip each.

    ! hides-data  external_volume.nfs@hv2
      /srv/nfs on hv2 is not empty: mounting there would hide guest.qcow2, old
      Move that away, choose another mount_point, or accept it in the block: lifecycle { accept = ["hides-data"] }.

    ~ external_volume.local  /home/images
        ~ hv1  mode 0755 -> 0770    (changed by hand since the last apply)
    + external_volume.nfs    /srv/nfs
        + hv1  make the directory /srv/nfs
               add the line of /srv/nfs to /etc/fstab
               mount nfs 10.0.0.5:/export/images on /srv/nfs
               give /srv/nfs to libvirt-qemu:kvm
        + hv2  the same
    … image.web["web1"]      hv1  waits: /srv/nfs is not mounted yet

    hv1, hv2  /etc/fstab
        # /etc/fstab
        UUID=6f1c	/ ext4 defaults 0 1
      + 10.0.0.5:/export/images /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0

    Room:
      hv1  /home/images  takes 40.0 GiB of 100.0 GiB free; guests may fill 80.0 GiB more (overcommitted by 20.0 GiB)

    Plan: 1 to create, 1 to update, 0 to destroy, 7 unchanged. 9 steps on 2 hosts; no guest is interrupted.
    1 placement can be decided only after steps of this plan have run.
    1 hazard must be resolved or accepted before apply (exit code 6).
    Plan hash: sha256:9b0e6c5f2d
    "#);
}

#[test]
fn trouble_is_told_first_and_promises_nothing() {
    let options = Options { elapsed: Some(Duration::from_secs(10)), ..Options::default() };
    insta::assert_snapshot!(render(&sample::trouble(), &options), @r#"
    Probed 3 of 4 hosts in 10.0 s, one round trip each except hv4: 2.

    ! shrink  image.db@hv1  (cannot be accepted)
      /srv/nfs/db.qcow2 on hv1 has 60GiB, the configuration wants 40GiB
      An image is never shrunk: a guest would lose what lies behind the new end. Set size = "60GiB".
    ! wrong-source  external_volume.ssd@hv1  (cannot be accepted)
      /srv/ssd on hv1 is ext4 \x1b[2J/dev/\u{202e}sdb and not xfs on /dev/sdc
      Unmount it, or choose another mount_point.
    ! unsupported  external_volume.a@hv1  (cannot be accepted)
      hv1 has no group kvm
      The same at external_volume.a@hv10, external_volume.b@hv1.
      Create the group there first.
    ! data-loss  external_volume.nfs@hv2
      unmounting /srv/nfs on hv2 deletes guest.img
      Copy it away.
      Or accept it: -accept data-loss@external_volume.nfs
    ! slow-allocation  image.web["a b"]@hv1  (a warning: it stops nothing)
      10.0.0.5:/export/images cannot reserve space: allocation writes 40.0 GiB
      Use NFS 4.2, or allocation = "sparse".
    ! no-access  external_volume.ssd@hv1  (accepted)
      libvirt-qemu cannot write to /srv/ssd on hv1
      Give it the group kvm.

    ? hv3  connect timed out after 10 s
      Nothing is decided there for external_volume.nfs.

    Changed by hand since the last apply:
      external_volume.gone@hv1, hv2  is gone (mode, mount)
      external_volume.nfs@hv1  options was rw,noatime, is rw,\x1b]0;x\x07

    ~ external_volume.nfs
        - hv2  unmount /srv/nfs (guests must be off; once data-loss is accepted)
               take the lock off the mount point /srv/nfs
        ? hv4  not known: mountinfo: line 7 has no separator
    . external_volume.old      hv1, hv2  kept on disk, no longer managed
    ↻ external_volume.scratch  hv1, hv2  matches
    ! external_volume.ssd      hv1  nothing is done: wrong-source, see above
    ! image.db
        ! hv1  nothing is done: shrink, see above
               size is 60GiB, wanted: 40GiB

    Plan: 0 to create, 2 to update, 0 to destroy, 2 to adopt, 1 to forget, 0 unchanged. 2 steps on 1 host; 1 of them touches guests:
      hv2  unmount /srv/nfs  (guests must be off)
    1 host did not answer: the plan is incomplete (exit code 8).
    6 hazards must be resolved before apply; 1 of them may be accepted instead (exit code 6).
    Plan hash: sha256:9b0e6c5f2d
    "#);
}

#[test]
fn what_moves_shows_both_addresses_and_a_part_says_that_it_is_one() {
    insta::assert_snapshot!(shown(&sample::moved()), @r#"
    Targeted: 2 named, 4 in all:
      external_volume.fast  needed by image.app["a"]
      image.app["a"]        named
      image.app["b"]        named
      image_storage.main    needed by external_volume.fast

    → external_volume.disk -> external_volume.fast
        ~ hv1  replace the line of /srv/disk in /etc/fstab
    . external_volume.old                       hv1  kept on disk, no longer managed
    → host.hv1 -> host.node                     only the address changes
    → image.web["a"] -> image.app["a"]          only the address changes
    ~ image.web["b"] -> image.app["b"]
        ~ hv1  mode 0600 -> 0660

    Plan: 0 to create, 1 to update, 0 to destroy, 3 to move, 1 to forget, 1 unchanged. 2 steps on 1 host; no guest is interrupted.
    This plan is partial (-target): what lies outside was neither asked nor changed. Plan without it to see everything.
    Plan hash: sha256:9b0e6c5f2d
    "#);
    let mut plan = sample::moved();
    plan.targets.as_mut().expect("targets").option = crate::plan::Choice::Exclude;
    plan.changes.retain(|change| change.action == Action::Unchanged);
    (plan.summary, plan.steps) = (Summary { unchanged: 1, ..Summary::default() }, Vec::new());
    plan.moved.clear();
    let nothing = Plan { changes: Vec::new(), summary: Summary::default(), ..plan.clone() };
    assert!(shown(&nothing).contains("\nNo changes. This part asks for nothing on any host.\n"));
    insta::assert_snapshot!(shown(&plan), @r#"
    Left out: 2 named, 4 in all:
      external_volume.fast  needed by image.app["a"]
      image.app["a"]        named
      image.app["b"]        named
      image_storage.main    needed by external_volume.fast

    No changes. 1 resource on 2 hosts is as configured.
    This plan is partial (-exclude): what lies outside was neither asked nor changed. Plan without it to see everything.
    Plan hash: sha256:9b0e6c5f2d
    "#);
}

#[test]
fn verbose_shows_each_command_as_it_runs() {
    let mut plan = sample::first_apply();
    plan.hazards.clear();
    insta::assert_snapshot!(render(&plan, &Options { verbose: true, ..Options::default() }), @r#"
    ~ external_volume.local  /home/images
        ~ hv1  mode 0755 -> 0770    (changed by hand since the last apply)
            external_volume.local@hv1/chmod
              run:     chmod -- 0770 /home/images
              undo:    chmod -- 0755 /home/images
    + external_volume.nfs    /srv/nfs
        + hv1  make the directory /srv/nfs
               add the line of /srv/nfs to /etc/fstab
               mount nfs 10.0.0.5:/export/images on /srv/nfs
               give /srv/nfs to libvirt-qemu:kvm
        + hv2  the same
            external_volume.nfs@hv1/mkdir
              run:     mkdir -p -- /srv/nfs
              only if: /srv/nfs (which did not exist) is as seen: stat -c '%F %i' -- /srv/nfs fails with 1
              undo:    rmdir -- /srv/nfs  (by itself, if a later step here fails)
            external_volume.nfs@hv1/fstab
              run:     edit_fstab '10.0.0.5:/export/images /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0'
              input:   first line
              input:   second	line
              after:   external_volume.nfs@hv1/mkdir
              undo:    edit_fstab '' '10.0.0.5:/export/images /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0'
            external_volume.nfs@hv1/mount
              run:     mount -t nfs -o vers=4.2,hard,noatime -- 10.0.0.5:/export/images /srv/nfs
              only if: what is mounted at /srv/nfs is as seen: mounts_at /srv/nfs says nothing
              after:   external_volume.nfs@hv1/fstab
              undo:    umount -- /srv/nfs
            external_volume.nfs@hv1/chown
              run:     chown -- 64055:104 /srv/nfs
              after:   external_volume.nfs@hv1/mount
              undo:    none: who owned it before is not known
            external_volume.nfs@hv2/mkdir
              run:     mkdir -p -- /srv/nfs
              only if: /srv/nfs (which did not exist) is as seen: stat -c '%F %i' -- /srv/nfs fails with 1
              undo:    rmdir -- /srv/nfs  (by itself, if a later step here fails)
            external_volume.nfs@hv2/fstab
              run:     edit_fstab '10.0.0.5:/export/images /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0'
              input:   first line
              input:   second	line
              after:   external_volume.nfs@hv2/mkdir
              undo:    edit_fstab '' '10.0.0.5:/export/images /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0'
            external_volume.nfs@hv2/mount
              run:     mount -t nfs -o vers=4.2,hard,noatime -- 10.0.0.5:/export/images /srv/nfs
              only if: what is mounted at /srv/nfs is as seen: mounts_at /srv/nfs says nothing
              after:   external_volume.nfs@hv2/fstab
              undo:    umount -- /srv/nfs
            external_volume.nfs@hv2/chown
              run:     chown -- 64055:104 /srv/nfs
              after:   external_volume.nfs@hv2/mount
              undo:    none: who owned it before is not known
    … image.web["web1"]      hv1  waits: /srv/nfs is not mounted yet

    hv1, hv2  /etc/fstab
        # /etc/fstab
        UUID=6f1c	/ ext4 defaults 0 1
      + 10.0.0.5:/export/images /srv/nfs nfs vers=4.2,hard,noatime,_netdev,nofail,x-larder.id=external_volume.nfs 0 0

    Room:
      hv1  /home/images  takes 40.0 GiB of 100.0 GiB free; guests may fill 80.0 GiB more (overcommitted by 20.0 GiB)

    Plan: 1 to create, 1 to update, 0 to destroy, 7 unchanged. 9 steps on 2 hosts; no guest is interrupted.
    1 placement can be decided only after steps of this plan have run.
    Plan hash: sha256:9b0e6c5f2d
    "#);
}

#[test]
fn nothing_to_do_is_said_only_when_everything_is_known() {
    let unchanged =
        change("external_volume.nfs", Action::Unchanged, &[("hv1", Action::Unchanged), ("hv2", Action::Unchanged)]);
    let mut plan = empty();
    plan.changes = vec![unchanged];
    plan.summary.unchanged = 1;
    insta::assert_snapshot!(shown(&plan), @r"
    No changes. 1 resource on 2 hosts is as configured.
    Plan hash: sha256:9b0e6c5f2d
    ");

    plan.changes.push(change("external_volume.ssd", Action::Adopt, &[("hv1", Action::Adopt), ("hv2", Action::Adopt)]));
    plan.summary.adopt = 1;
    insta::assert_snapshot!(shown(&plan), @r"
    ↻ external_volume.ssd  hv1, hv2  matches

    No changes. 2 resources on 2 hosts are as configured.
    1 of them is not in the state yet: it matches and is recorded at the next apply.
    Plan hash: sha256:9b0e6c5f2d
    ");

    let mut refused = plan.clone();
    refused.hazards = sample::trouble().hazards[1..2].to_vec();
    insta::assert_snapshot!(shown(&refused), @r"
    ! wrong-source  external_volume.ssd@hv1  (cannot be accepted)
      /srv/ssd on hv1 is ext4 \x1b[2J/dev/\u{202e}sdb and not xfs on /dev/sdc
      Unmount it, or choose another mount_point.

    ↻ external_volume.ssd
        ! hv1  nothing is done: wrong-source, see above
        ↻ hv2  matches

    Plan: 0 to create, 0 to update, 0 to destroy, 1 to adopt, 1 unchanged. Nothing to run, as far as is known.
    1 hazard must be resolved before apply (exit code 6).
    Plan hash: sha256:9b0e6c5f2d
    ");

    plan.complete = false;
    plan.unknown = sample::trouble().unknown;
    insta::assert_snapshot!(shown(&plan), @r"
    ? hv3  connect timed out after 10 s

    ↻ external_volume.ssd  hv1, hv2  matches

    Plan: 0 to create, 0 to update, 0 to destroy, 1 to adopt, 1 unchanged. Nothing to run, as far as is known.
    1 host did not answer: the plan is incomplete (exit code 8).
    Plan hash: sha256:9b0e6c5f2d
    ");

    insta::assert_snapshot!(shown(&Plan { operation: Operation::Destroy, ..empty() }), @r"
    No changes. There is nothing to destroy.
    Plan hash: sha256:9b0e6c5f2d
    ");
    insta::assert_snapshot!(shown(&empty()), @r"
    No changes. The configuration asks for nothing on any host.
    Plan hash: sha256:9b0e6c5f2d
    ");
}

#[test]
fn a_refresh_changes_no_host() {
    let mut plan = sample::first_apply();
    plan.operation = Operation::RefreshOnly;
    plan.steps.clear();
    plan.files.clear();
    plan.hazards.clear();
    plan.changes.truncate(1);
    insta::assert_snapshot!(shown(&plan), @r"
    Changed by hand since the last apply:
      external_volume.local@hv1  mode was 0770, is 0755

    Refresh only: no host is changed. 1 attribute differs from what the last apply left; apply records it as it is now.
    Plan hash: sha256:9b0e6c5f2d
    ");
}

#[test]
fn many_adoptions_are_not_listed_one_by_one() {
    let mut plan = empty();
    plan.changes =
        (0..40).map(|n| change(&format!("image.web[{n}]"), Action::Adopt, &[("hv1", Action::Adopt)])).collect();
    plan.summary.adopt = 40;
    let text = shown(&plan);
    assert_eq!(text.matches("matches").count(), SHOWN_ADOPTIONS);
    assert!(text.contains("↻ and 30 more resources that match\n"), "{text}");
}

#[test]
fn drift_stands_beside_what_is_done_about_it() {
    let drift = |attribute: &str, recorded: &str, have: &str| Drift {
        address: sample::address("external_volume.local"),
        host: host("hv1"),
        attribute: attribute.to_owned(),
        recorded: recorded.to_owned(),
        have: have.to_owned(),
    };
    let mut plan = sample::first_apply();
    plan.changes.truncate(1);
    plan.changes[0] = plan.changes[0].clone().differing("hv1", &[("owner", "root:root", "libvirt-qemu:kvm")]);
    plan.steps.truncate(1);
    plan.steps.push(step("external_volume.local", "hv1", "chown", "give /home/images to libvirt-qemu:kvm", &["chown"]));
    let table = [
        (vec![drift("mode", "0770", "0755")], "(mode: changed by hand since the last apply)"),
        (vec![drift("mode", "0750", "0755")], "(mode: changed by hand since the last apply; mode was 0750)"),
        (
            vec![drift("mode", "0770", "0755"), drift("owner", "libvirt-qemu:kvm", "root:root")],
            "(changed by hand since the last apply)",
        ),
    ];
    for (drift, remark) in table {
        plan.drift = drift;
        let text = shown(&plan);
        let line = format!("    ~ hv1  mode 0755 -> 0770, owner root:root -> libvirt-qemu:kvm    {remark}\n");
        assert!(text.contains(&line), "{text}");
        assert!(!text.contains("Changed by hand"), "{text}");
    }
}

#[test]
fn nothing_that_a_terminal_obeys_gets_through() {
    for verbose in [false, true] {
        let mut plan = sample::trouble();
        plan.steps[0].command.argv.push("\x1b[2J\nnext".to_owned());
        let text = render(&plan, &Options { verbose, ..Options::default() });
        assert_eq!(escape(&text), text);
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    for plan in [sample::first_apply(), sample::trouble()] {
        let coloured = render(&plan, &Options { style: Style::Coloured, ..Options::default() });
        assert!(coloured.contains("\x1b["));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), shown(&plan));
    }
}

#[test]
fn times_are_short() {
    for (millis, text) in [(312, "0.3 s"), (59_940, "59.9 s"), (65_000, "1 min 5 s")] {
        assert_eq!(elapsed(Duration::from_millis(millis)), text);
    }
}

#[test]
fn a_large_plan_is_shown_in_no_time() {
    let mut plan = empty();
    for n in 0..20_000 {
        let address = format!("image.web[{n}]");
        plan.changes.push(change(&address, Action::Create, &[("hv1", Action::Create)]));
        plan.steps.push(step(&address, "hv1", "create", &format!("allocate /srv/{n}.qcow2"), &["true"]));
    }
    plan.summary = Summary { create: 20_000, ..Summary::default() };
    assert_eq!(shown(&plan).matches("allocate").count(), 20_000);
}

#[test]
fn room_is_told_where_any_is_taken() {
    let gib = |number: u64| number << 30;
    let table = [
        (Some(gib(100)), gib(1), 0, "takes 1.0 GiB of 100.0 GiB free"),
        (Some(gib(100)), 0, gib(9), "takes nothing yet of 100.0 GiB free; guests may fill 9.0 GiB more"),
        (None, gib(1), gib(9), "takes 1.0 GiB; how much is free is not known; guests may fill 9.0 GiB more"),
        (
            Some(gib(1)),
            0,
            u64::MAX,
            "takes nothing yet of 1.0 GiB free; guests may fill 16.0 EiB more (overcommitted by 16.0 EiB)",
        ),
    ];
    for (free, bytes, promised, words) in table {
        let mut plan = empty();
        plan.rooms = vec![Room { host: host("hv1"), at: "/srv".to_owned(), free, bytes, promised }];
        assert!(shown(&plan).starts_with(&format!("Room:\n  hv1  /srv  {words}\n\n")), "{}", shown(&plan));
    }
    let mut plan = empty();
    plan.rooms = vec![Room { host: host("hv1"), at: "/srv".to_owned(), free: Some(1), bytes: 0, promised: 0 }];
    assert!(!shown(&plan).contains("Room"));
}

#[test]
fn a_refresh_of_the_state_is_not_stopped_by_hazards() {
    let plan = Plan { operation: Operation::RefreshOnly, ..sample::first_apply() };
    let text = shown(&plan);
    assert!(text.contains("1 hazard would stop an apply, not this refresh of the state."), "{text}");
    assert!(!text.contains("exit code 6"), "{text}");
}
