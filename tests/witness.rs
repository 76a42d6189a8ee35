//! Steps that clean up behind those of other hosts: they run whatever came of the others, and only if there is something to clean.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use larder::apply::journal::Journal;
use larder::apply::report::Outcome;
use larder::apply::{self, Sessions};
use larder::model::{Command, Connection, HostName, Impact, Inverse, Reach, Step};
use larder::transport::{self, Scripts};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn step(host: &str, action: &str, script: &str, directory: &Path, after: &[&str]) -> Step {
    let words = ["sh", "-c", script, "sh", directory.to_str().unwrap(), Command::DRAWN];
    Step {
        id: format!("image.x@{host}/{action}"),
        address: "image.x".parse().unwrap(),
        host: host.into(),
        action: action.into(),
        summary: String::new(),
        command: Command::new(words),
        guard: Vec::new(),
        after: after.iter().map(|id| format!("image.x@{id}")).collect(),
        impact: Impact::None,
        inverse: Inverse::None("a test".into()),
        rolls_back: false,
        cleans_up: action == "remove",
        hazards: Vec::new(),
    }
}

/// What becomes of a file that `a` writes for `b` to see, as one word a step, and what is left.
async fn carry_out(mount: &str, write: &str, see: &str) -> (Vec<String>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("shared");
    std::fs::create_dir(&at).unwrap();
    let mut mounted = step("b", "mount", mount, &at, &["a/write"]);
    mounted.inverse = Inverse::By(Command::new(["rm", "--", at.join("mounted").to_str().unwrap()]));
    mounted.rolls_back = true;
    let steps = [
        step("a", "write", write, &at, &[]),
        mounted,
        step("b", "see", see, &at, &["b/mount"]),
        step("a", "remove", "rm -- \"$1/$2\"", &at, &["a/write", "b/see"]),
    ];
    let connection = Connection { reach: Reach::Local, becomes_root: false, connect_timeout: Duration::from_secs(5) };
    let mut sessions = Sessions::new();
    for host in ["a", "b"].map(HostName::from) {
        let session = transport::open(&host, &connection, &Scripts::new()).await.unwrap();
        sessions.insert(host, session);
    }
    let mut journal = Journal::open(&directory.path().join("journal")).unwrap();
    let (events, _told) = mpsc::unbounded_channel();
    let (reports, sessions, trouble) =
        apply::carry_out(&steps, 10, sessions, &mut journal, &events, &CancellationToken::new()).await;
    assert!(trouble.is_none(), "{trouble:?}");
    for session in sessions.into_values() {
        session.close().await;
    }
    let word = |outcome: &Outcome| match outcome {
        Outcome::Done => "done",
        Outcome::Failed { .. } => "failed",
        Outcome::NotStarted { .. } => "not started",
        Outcome::RolledBack => "taken back",
        Outcome::Changed { .. } | Outcome::Unknown { .. } => "unknown",
    };
    let told = reports.iter().map(|report| word(&report.outcome).to_owned()).collect();
    let left = std::fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    (told, left.collect())
}

#[tokio::test]
async fn what_one_host_writes_for_others_goes_whatever_they_make_of_it() {
    let (mount, write, see) = (": >\"$1/mounted\"", ": >\"$1/$2\"", "[ -e \"$1/$2\" ]");
    let table: [(&str, &str, &str, [&str; 4], usize); 4] = [
        (mount, write, see, ["done", "done", "done", "done"], 1),
        (mount, write, "exit 1", ["done", "taken back", "failed", "done"], 0),
        ("exit 1", write, see, ["done", "failed", "not started", "done"], 0),
        // Nothing was written, so there is nothing to remove.
        (mount, "exit 1", see, ["failed", "not started", "not started", "not started"], 0),
    ];
    for (mount, write, see, expected, left) in table {
        let (told, files) = carry_out(mount, write, see).await;
        assert_eq!(told, expected, "{mount} {write} {see}");
        assert_eq!(files.len(), left, "{files:?}");
    }
}

#[tokio::test]
async fn each_apply_draws_another_name() {
    let keep = ": >\"$1/mounted\"; cp \"$1/$2\" \"$1/$2.kept\"";
    let mut names = Vec::new();
    for _ in 0..2 {
        let (_, files) = carry_out(keep, ": >\"$1/$2\"", "exit 0").await;
        names.extend(files.into_iter().filter(|name| name.ends_with(".kept")));
    }
    assert_eq!(names.len(), 2, "{names:?}");
    assert_ne!(names[0], names[1]);
}
