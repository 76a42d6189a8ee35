use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::host::{Reach, Ssh};
use crate::model::{Attribute, Lifecycle};

fn block(address: &Address, secret: &str) -> Block {
    let attribute = |value, sensitive| Attribute { value, place: None, sensitive };
    let attributes = [
        ("path".into(), attribute(Datum::Text("/srv/a".into()), false)),
        ("password".into(), attribute(Datum::Text(secret.into()), true)),
    ];
    let nested = NestedBlock {
        name: "chap".into(),
        attributes: [("secret".into(), attribute(Datum::Texts(vec![secret.into()]), true))].into(),
        blocks: Vec::new(),
        place: None,
    };
    Block {
        address: address.clone(),
        attributes: attributes.into(),
        blocks: vec![nested],
        depends_on: [Address::root("image_storage", "s")].into(),
        lifecycle: Lifecycle { prevent_destroy: true, ..Lifecycle::default() },
        place: None,
    }
}

fn example() -> State {
    let address: Address = "module.m[\"x\"].external_volume.nfs[0]".parse().expect("an address");
    let placement = Placement {
        observed: [("mode".into(), "0770".into()), ("password".into(), "hunter2".into())].into(),
        identity: [("uuid".into(), "6f1c".into())].into(),
    };
    let record = Record {
        block: block(&address, "hunter2"),
        pending: Some(block(&address, "hunter2")),
        placements: [("hv1".into(), placement)].into(),
        formerly: [Address::root("external_volume", "old")].into(),
    };
    let connection = Connection {
        reach: Reach::Ssh(Ssh { address: "10.0.0.1".into(), ..Ssh::default() }),
        becomes_root: true,
        connect_timeout: Duration::from_secs(10),
    };
    State {
        resources: [(address, record)].into(),
        outputs: [("list".to_owned(), serde_json::json!({"b": 1, "a": [null, 2.5]}))].into(),
        hosts: [("hv1".into(), connection)].into(),
        ..State::default()
    }
}

fn place() -> (tempfile::TempDir, LocalState) {
    let directory = tempfile::tempdir().expect("a directory");
    let state = LocalState::new(directory.path().join("new/larder.state"));
    (directory, state)
}

fn holder(who: &str) -> Holder {
    Holder {
        who: who.into(),
        host: "ws".into(),
        pid: 7,
        operation: "apply".into(),
        since: "2026-11-22T15:00:00Z".into(),
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it exists").permissions().mode() & 0o7777
}

#[test]
fn a_state_is_read_back_and_counts_its_writes() {
    let (_directory, local) = place();
    assert_eq!(local.read().expect("empty"), State::default());
    let mut state = example();
    local.write(&mut state).expect("written");
    assert_eq!((state.serial, mode(&local.path)), (1, 0o600));
    let lineage = state.lineage.expect("set by the first write");
    assert_eq!(local.read().expect("read"), state);

    state.outputs.clear();
    local.write(&mut state).expect("written");
    assert_eq!((state.serial, state.lineage), (2, Some(lineage)));
    let backup = local.path.with_file_name("larder.state.backup");
    assert_eq!(State::parse(&std::fs::read(&backup).expect("there")).expect("a state").serial, 1);
    assert_eq!(mode(&backup), 0o600);

    local.write(&mut state).expect("nothing to write");
    assert_eq!(local.read().expect("read").serial, 2);
}

#[test]
fn no_secret_reaches_the_file() {
    let (_directory, local) = place();
    let mut state = example();
    local.write(&mut state).expect("written");
    let text = std::fs::read_to_string(&local.path).expect("text");
    assert!(!text.contains("hunter2"), "{text}");
    let record = state.resources.values().next().expect("one");
    assert!(record.block.attributes["password"].sensitive, "the marker stays");
    assert!(record.block.blocks[0].attributes["secret"].sensitive);
    assert_eq!(record.block.attributes["path"].value, Datum::Text("/srv/a".into()));
}

#[test]
fn a_version_that_somebody_else_wrote_is_not_overwritten() {
    let (_directory, local) = place();
    let mut mine = example();
    local.write(&mut mine).expect("written");
    let mut theirs = mine.clone();
    theirs.outputs.clear();
    local.write(&mut theirs).expect("written");
    mine.hosts.clear();
    assert_eq!(local.write(&mut mine).expect_err("stale").code, "state-conflict");
    let mut stranger = State::default();
    assert_eq!(local.write(&mut stranger).expect_err("another lineage").code, "state-conflict");
    assert_eq!(local.read().expect("read"), theirs);
}

#[test]
fn a_link_is_written_through_and_stays_a_link() {
    let (directory, local) = place();
    let real = directory.path().join("elsewhere/real");
    std::fs::create_dir_all(local.path.parent().expect("one")).expect("made");
    std::os::unix::fs::symlink("../elsewhere/real", &local.path).expect("linked");
    local.write(&mut example()).expect("written");
    assert!(local.path.is_symlink() && real.is_file());
    assert_eq!(local.read().expect("read").serial, 1);

    let looped = LocalState::new(directory.path().join("loop"));
    std::os::unix::fs::symlink("loop", &looped.path).expect("linked");
    assert_eq!(looped.write(&mut example()).expect_err("a loop").code, "state-unreadable");
}

#[test]
fn what_is_no_state_is_refused_with_the_way_out() {
    let (_directory, local) = place();
    let mut state = example();
    local.write(&mut state).expect("written");
    state.outputs.clear();
    local.write(&mut state).expect("written");
    let good = std::fs::read_to_string(&local.path).expect("text");
    let address = "\"module.m[\\\"x\\\"].external_volume.nfs[0]\"";
    let doubled = good.replacen(
        &format!("{address}: {{"),
        &format!("{address}: {{\"block\":{{\"address\":{address},\"attributes\":{{}}}}}}, {address}: {{"),
        1,
    );
    assert_ne!(doubled, good);
    let table: &[(String, &str, &str)] = &[
        (String::new(), "state-invalid", "EOF"),
        (good[..good.len() / 2].to_owned(), "state-invalid", "EOF"),
        ("\0\0\0".into(), "state-invalid", "expected value"),
        (good.clone() + "x", "state-invalid", "trailing"),
        (good.replace("\"serial\": 2", "\"serial\": \"2\""), "state-invalid", "serial: invalid type"),
        (good.replace("\"serial\": 2", "\"serial\": -2"), "state-invalid", "serial: invalid value"),
        (good.replace("\"serial\": 2", "\"serial\": 2, \"more\": 1"), "state-invalid", "unknown field `more`"),
        (good.replace("\"format_version\": 1", "\"format_version\": 0"), "state-invalid", "format 0"),
        (good.replace("\"format_version\": 1", "\"format_version\": 2"), "state-too-new", "format 2"),
        ("{\"format_version\": 7, \"new\": []}".into(), "state-too-new", "format 7"),
        (doubled, "state-invalid", "stands there twice"),
        (
            good.replacen(&format!("\"address\": {address}"), "\"address\": \"image.other\"", 1),
            "state-invalid",
            "image.other",
        ),
    ];
    for (text, code, says) in table {
        assert_ne!(*text, good, "{says}");
        std::fs::write(&local.path, text).expect("written");
        let problem = local.read().expect_err(says);
        assert_eq!(problem.code, *code);
        assert!(problem.summary.contains(says), "{problem}");
        if *code == "state-invalid" {
            assert!(problem.detail.contains("(serial 1): `cp "), "{problem}");
        }
        assert_eq!(local.write(&mut state).expect_err("never overwritten").code, *code);
        assert_eq!(std::fs::read_to_string(&local.path).expect("text"), *text);
    }
}

proptest! {
    #[test]
    fn damage_is_a_problem_and_never_a_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let mut text = example().without_secrets().text().into_bytes();
        for (at, byte) in damage {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let _ = State::parse(&text);
        prop_assert!(State::parse(&text[..cut.index(text.len() - 1)]).is_err());
    }

    #[test]
    fn any_bytes_are_a_problem(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(State::parse(&bytes).is_err());
    }
}

#[test]
fn the_same_state_has_the_same_text() {
    let text = example().text();
    assert_eq!(State::parse(text.as_bytes()).expect("a state").text(), text);
}

#[test]
fn a_lock_is_for_one_and_names_its_holder() {
    let (_directory, local) = place();
    let lock = local.lock(&holder("alice"), Duration::ZERO).expect("free");
    let problem = local.lock(&holder("bob\u{1b}"), Duration::ZERO).expect_err("held");
    assert_eq!(problem.code, "state-locked");
    assert!(problem.summary.contains("alice on ws (process 7, apply, since 2026-11-22T15:00:00Z)"), "{problem}");
    drop(lock);
    assert_eq!(local.holder(), None);
    let _lock = local.lock(&holder("bob"), Duration::ZERO).expect("free again");
    assert!(local.holder().expect("held").starts_with("bob"));
}

#[test]
fn a_waiter_gets_the_lock_as_soon_as_it_is_free() {
    let (_directory, local) = place();
    let lock = local.lock(&holder("alice"), Duration::ZERO).expect("free");
    let (send, got) = mpsc::channel();
    let waiter = local.clone();
    std::thread::spawn(move || {
        let lock = waiter.lock(&holder("bob"), Duration::from_secs(60));
        let _ = send.send(lock.is_ok());
    });
    assert!(got.recv_timeout(Duration::from_millis(100)).is_err(), "it waits");
    drop(lock);
    assert_eq!(got.recv_timeout(Duration::from_secs(30)), Ok(true));
}

#[test]
fn a_waiter_that_gave_up_does_not_keep_the_lock() {
    let (_directory, local) = place();
    let lock = local.lock(&holder("alice"), Duration::ZERO).expect("free");
    let problem = local.lock(&holder("bob"), Duration::from_millis(20)).expect_err("held");
    assert_eq!(problem.code, "state-locked");
    drop(lock);
    let _lock = local.lock(&holder("carol"), Duration::from_secs(30)).expect("bob's turn passes by");
}

#[test]
fn a_held_lock_is_not_cleared() {
    let (_directory, local) = place();
    local.clear_lock().expect("there is none");
    assert!(!local.path.with_file_name("larder.state.lock").exists(), "looking makes no file");
    let lock = local.lock(&holder("alice"), Duration::ZERO).expect("free");
    let problem = local.clear_lock().expect_err("held");
    assert_eq!(problem.code, "state-locked");
    assert!(problem.summary.contains("alice on ws"), "{problem}");
    assert!(!problem.detail.contains("force-unlock"), "{problem}");
    local.lock(&holder("bob"), Duration::ZERO).expect_err("alice holds it still");
    drop(lock);
    local.clear_lock().expect("free");
    let _lock = local.lock(&holder("bob"), Duration::ZERO).expect("free");
}

#[test]
fn what_a_dead_holder_left_is_cleared() {
    let (_directory, local) = place();
    drop(local.lock(&holder("alice"), Duration::ZERO).expect("free"));
    let lock = local.path.with_file_name("larder.state.lock");
    std::fs::write(&lock, "{\"who\": \"alice\"").expect("written");
    local.clear_lock().expect("free");
    assert_eq!(std::fs::read_to_string(&lock).expect("the file stays"), "");
}

#[test]
fn a_waiter_notices_that_the_file_is_gone() {
    let (_directory, local) = place();
    let first = local.lock(&holder("alice"), Duration::ZERO).expect("free");
    std::fs::remove_file(local.path.with_file_name("larder.state.lock")).expect("removed");
    let _second = local.lock(&holder("bob"), Duration::ZERO).expect("free");
    drop(first);
    local.lock(&holder("carol"), Duration::ZERO).expect_err("bob holds it");
}

#[test]
fn the_lock_of_a_killed_process_is_free() {
    let (_directory, local) = place();
    drop(local.lock(&holder("alice"), Duration::ZERO).expect("free"));
    let lock = local.path.with_file_name("larder.state.lock");
    let mut other = std::process::Command::new("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo held; exec cat"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("flock of util-linux");
    let mut said = [0; 5];
    std::io::Read::read_exact(&mut other.stdout.take().expect("its output"), &mut said).expect("held");
    local.lock(&holder("bob"), Duration::ZERO).expect_err("held by another process");
    let group = rustix::process::Pid::from_child(&other);
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).expect("killed");
    other.wait().expect("gone");
    let _lock = local.lock(&holder("bob"), Duration::from_secs(30)).expect("free");
}

#[test]
fn a_link_in_place_of_the_lock_is_refused() {
    let (directory, local) = place();
    std::fs::create_dir_all(local.path.parent().expect("one")).expect("made");
    let victim = directory.path().join("victim");
    std::fs::write(&victim, "precious").expect("written");
    std::os::unix::fs::symlink(&victim, local.path.with_file_name("larder.state.lock")).expect("linked");
    assert_eq!(local.lock(&holder("bob"), Duration::ZERO).expect_err("a link").code, "state-not-locked");
    assert_eq!(std::fs::read_to_string(&victim).expect("text"), "precious");
}

#[test]
fn a_file_of_the_users_is_rewritten_only_if_it_still_holds_what_was_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("main.hcl");
    std::fs::write(&path, "new").expect("written");
    let error = file::rewrite(&path, b"old", b"newer").expect_err("it was changed");
    assert!(error.to_string().contains("changed meanwhile"), "{error}");
    assert_eq!(std::fs::read(&path).expect("a file"), b"new");
    file::rewrite(&path, b"new", b"newer").expect("it is as it was read");
    assert_eq!(std::fs::read(&path).expect("a file"), b"newer");
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1, "nothing is left beside");
    file::rewrite(&directory.path().join("gone"), b"", b"x").expect_err("there is nothing to rewrite");
    assert!(!directory.path().join("gone").exists());
}
