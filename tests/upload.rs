//! Files of the workstation on their way to a host: they arrive whole or not at all, whatever becomes of the file, of the host's
//! directory or of the connection meanwhile.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command as Program;

use common::Site;
use larder::apply::journal::Journal;
use larder::apply::report::{Event, Outcome};
use larder::apply::{self, Sessions};
use larder::kinds::{self, ask::media};
use larder::model::step::Upload;
use larder::model::{Answer, Command, Guard, HostFacts, HostName, Impact, Inverse, Question, Step};
use larder::transport::{self, Session};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const HOST: &str = "hv1";
const AT: &str = "/srv/media/debian iso.iso";

async fn session(site: &Site) -> Session {
    let host = HostName::from(HOST);
    let connection = site.lab().connection(&host, None).unwrap();
    transport::open(&host, &connection, &kinds::functions()).await.unwrap()
}

fn upload(path: &Path, more: &[&str]) -> Command {
    let bytes = std::fs::metadata(path).unwrap().len();
    let (size, sha256) = (bytes.to_string(), digest(path));
    let words = ["upload_media", AT, &size, &sha256].into_iter().chain(more.iter().copied());
    Command::new(words).with_upload(Upload { path: path.to_str().unwrap().to_owned(), bytes, sha256: sha256.clone() })
}

fn digest(path: &Path) -> String {
    let output = Program::new("sha256sum").arg("--").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

fn random(path: &Path, bytes: usize) {
    let words = ["-c", "head -c \"$1\" /dev/urandom >\"$2\"", "sh", &bytes.to_string()];
    assert!(Program::new("sh").args(words).arg(path).status().unwrap().success());
}

/// Carries out one step; gives what came of it, and how far it told that it has come.
async fn carry_out(site: &Site, command: Command, guard: Vec<Guard>) -> (Outcome, Vec<u64>) {
    let step = Step {
        id: "media_file.x@hv1/upload".into(),
        address: "media_file.x".parse().unwrap(),
        host: HOST.into(),
        action: "upload".into(),
        summary: String::new(),
        command,
        guard,
        after: Vec::new(),
        impact: Impact::None,
        inverse: Inverse::None("a test".into()),
        rolls_back: false,
        cleans_up: false,
        hazards: Vec::new(),
    };
    let sessions = Sessions::from([(HostName::from(HOST), session(site).await)]);
    let mut journal = Journal::open(&site.path().join("journal")).unwrap();
    let (events, mut told) = mpsc::unbounded_channel();
    let (mut reports, sessions, trouble) =
        apply::carry_out(&[step], 1, sessions, &mut journal, &events, &CancellationToken::new()).await;
    assert!(trouble.is_none(), "{trouble:?}");
    for mut session in sessions.into_values() {
        // A failed upload leaves a session that can be used.
        let answer = Question::new(["true"]);
        assert!(matches!(session.ask(std::slice::from_ref(&answer)).await[&answer], Answer::Said(_)));
        session.close().await;
    }
    let mut progress = Vec::new();
    while let Ok(event) = told.try_recv() {
        if let Event::StepProgress { bytes, .. } = event {
            progress.push(bytes);
        }
    }
    (reports.remove(0).outcome, progress)
}

#[track_caller]
fn failure(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed { message } => message.clone(),
        other => panic!("{other:?}"),
    }
}

/// Of what it is said that it has changed, and what it is now.
#[track_caller]
fn changed(outcome: &Outcome) -> (String, String) {
    match outcome {
        Outcome::Changed { what, is, .. } => (what.clone(), is.clone()),
        other => panic!("{other:?}"),
    }
}

/// What the host says of the file, asked as a plan asks it.
fn seen(site: &Site, size: u64) -> media::Medium {
    site.wait(async {
        let mut session = session(site).await;
        let answers = session.ask(&[media::question(AT, Some(size))]).await;
        session.close().await;
        media::read(&HostFacts::Reached(answers), AT, Some(size)).unwrap().unwrap()
    })
}

/// What stands there now, as an upload is told that takes its place.
fn in_place(site: &Site, path: &Path) -> Command {
    let mut command = upload(path, &[]);
    command.argv.extend(seen(site, 1).words());
    command
}

fn listing(site: &Site) -> String {
    site.sh(HOST, "ls -A /srv/media")
}

#[test]
fn a_file_arrives_whole_and_its_digest_is_known_until_it_changes() {
    let site = Site::up(&[HOST]);
    site.sh(HOST, "mkdir /srv/media; chgrp 20 /srv/media");
    let source = site.path().join("source.iso");
    random(&source, 40 << 20);
    let (outcome, told) = site.wait(carry_out(&site, upload(&source, &[]), Vec::new()));
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(told, [8, 16, 24, 32, 40].map(|mebibytes| mebibytes << 20));
    let of = format!("sha256sum '{AT}'; stat -c '%a %U %g' '{AT}'");
    assert_eq!(site.sh(HOST, &of), format!("{}  {AT}\n644 root 20\n", digest(&source)));
    assert_eq!(listing(&site), "debian iso.iso\n");
    assert_eq!(site.sh(HOST, "stat -c %a /var/lib/larder /var/lib/larder/digests"), "755\n700\n");
    let kept = "/var/lib/larder/digests/*";
    assert_eq!(site.sh(HOST, &format!("set +f; head -n 1 {kept}")), format!("{}\n", digest(&source)));
    assert_eq!(seen(&site, 40 << 20).sha256, Some(digest(&source)));
    // What is kept is used, as a lie in it shows,
    site.sh(HOST, &format!("sed -i '1s/.*/{}/' {kept}", "0".repeat(64)));
    assert_eq!(seen(&site, 40 << 20).sha256, Some("0".repeat(64)));
    // but of this very file alone, even if its size and its time of writing are as before.
    site.sh(
        HOST,
        &format!("t=$(stat -c %y '{AT}'); printf x | dd of='{AT}' conv=notrunc status=none; touch -d \"$t\" '{AT}'"),
    );
    let now = site.sh(HOST, &format!("sha256sum '{AT}'"))[..64].to_owned();
    assert_ne!(now, digest(&source));
    assert_eq!(seen(&site, 40 << 20).sha256, Some(now));
    assert_eq!(seen(&site, 1).sha256, None, "a file of another size is another one");
}

#[test]
fn a_source_that_changes_puts_nothing_into_place() {
    let site = Site::up(&[HOST]);
    site.sh(HOST, "mkdir /srv/media");
    let source = site.path().join("source.iso");
    type Change = fn(&Path);
    let table: [(&str, Change); 4] = [
        ("2097152 bytes, sha256 ", |source| random(source, 2 << 20)),
        ("5 bytes", |source| random(source, 5)),
        ("2097153 bytes", |source| random(source, (2 << 20) + 1)),
        ("it cannot be read", |source| std::fs::remove_file(source).unwrap()),
    ];
    for (says, change) in table {
        random(&source, 2 << 20);
        let command = upload(&source, &[]);
        change(&source);
        let (what, is) = changed(&site.wait(carry_out(&site, command, Vec::new())).0);
        assert!(is.starts_with(says) && what.contains("source-changed"), "{says}: {what}: {is}");
        assert_eq!(listing(&site), "", "{says}");
    }
    // Cut short while it is read: a file of the kernel says that it has more bytes than it gives.
    let short = Path::new("/sys/kernel/mm/transparent_hugepage/enabled");
    let mut command = Command::new(["upload_media", AT, "4096", &"0".repeat(64)]);
    command = command.with_upload(Upload { path: short.to_str().unwrap().into(), bytes: 4096, sha256: "0".repeat(64) });
    let (_, is) = changed(&site.wait(carry_out(&site, command, Vec::new())).0);
    assert_eq!(is, "it is shorter than it was");
    assert_eq!(listing(&site), "");
}

#[test]
fn a_source_that_shrinks_while_it_is_sent_leaves_nothing() {
    let site = Site::up(&[HOST]);
    site.sh(HOST, "mkdir /srv/media");
    let source = site.path().join("source.iso");
    random(&source, 64 << 20);
    let command = upload(&source, &[]);
    // A part of it is there before the rest of it goes.
    let (outcome, told) = std::thread::scope(|threads| {
        threads.spawn(|| {
            let has_begun = || !site.sh(HOST, "find /srv/media -size +1024k").is_empty();
            common::machines::eventually("a part of it has come", has_begun);
            std::fs::File::options().write(true).open(&source).unwrap().set_len(1 << 20).unwrap();
        });
        site.wait(carry_out(&site, command, Vec::new()))
    });
    assert_eq!(changed(&outcome).1, "it is shorter than it was", "{told:?}");
    assert_eq!(listing(&site), "");
}

#[test]
fn what_is_there_is_never_overwritten_but_by_what_was_seen() {
    let site = Site::up(&[HOST]);
    site.sh(HOST, &format!("mkdir /srv/media; echo before >'{AT}'"));
    let source = site.path().join("source.iso");
    random(&source, 1 << 20);
    let message = failure(&site.wait(carry_out(&site, upload(&source, &[]), Vec::new())).0);
    assert!(message.contains("File exists"), "{message}");
    // Another file, or the same one with another content, be it of the same size and of the same age.
    for other in [
        "mv x y; cp -p y x",
        "printf later >x",
        "touch x",
        "printf BEFORE | dd of=x conv=notrunc; touch -d \"@$written\" x",
    ] {
        let change = other.replace('x', "\"$x\"").replace('y', "\"$x.y\"");
        let change = format!("x='{AT}'; rm -f \"$x.y\"; written=$(stat -c %.Y \"$x\"); {{ {change}; }} 2>/dev/null");
        site.sh(HOST, &format!("echo before >'{AT}'"));
        let command = in_place(&site, &source);
        site.sh(HOST, &change);
        let now = site.sh(HOST, &format!("sha256sum '{AT}'"));
        let message = failure(&site.wait(carry_out(&site, command, Vec::new())).0);
        assert!(message.contains("no longer the file that was seen"), "{other}: {message}");
        assert_eq!(site.sh(HOST, &format!("rm -f '{AT}.y'; sha256sum '{AT}'")), now, "{other}");
        assert_eq!(listing(&site), "debian iso.iso\n", "{other}");
    }
    site.sh(HOST, &format!("echo before >'{AT}'"));
    // Links lead nowhere.
    site.sh(HOST, "echo else >/srv/else; ln -s /srv/else /srv/media/link");
    let mut command = upload(&source, &[]);
    command.argv[1] = "/srv/media/link".into();
    failure(&site.wait(carry_out(&site, command, Vec::new())).0);
    assert_eq!(site.sh(HOST, "rm /srv/media/link; cat /srv/else /srv/media/*"), "else\nbefore\n");
    // Open files keep it as it is.
    let guard = larder::kinds::ask::open_files::nobody(&[AT.to_owned()]);
    let replace = in_place(&site, &source);
    site.sh(HOST, &format!("sh -c 'exec 3<\"{AT}\"; exec sleep 1000' >/dev/null 2>&1 & echo $! >/run/holder"));
    let (outcome, _) = site.wait(carry_out(&site, replace.clone(), vec![guard.clone()]));
    assert!(matches!(&outcome, Outcome::Changed { is, .. } if is.contains("sleep")), "{outcome:?}");
    assert_eq!(listing(&site), "debian iso.iso\n");
    site.sh(HOST, "kill $(cat /run/holder)");
    common::machines::eventually("the file is closed", || {
        !site.sh(HOST, "set +f; ls -l /proc/[0-9]*/fd 2>/dev/null || true").contains(AT)
    });
    assert_eq!(site.wait(carry_out(&site, replace.clone(), vec![guard])).0, Outcome::Done);
    assert_eq!(site.sh(HOST, &format!("sha256sum '{AT}'"))[..64], digest(&source));
    assert_eq!(listing(&site), "debian iso.iso\n");
}

#[test]
fn what_guards_a_file_is_asked_again_when_all_has_come() {
    let site = Site::up(&[HOST]);
    site.sh(HOST, &format!("mkdir /srv/media; echo before >'{AT}'"));
    let source = site.path().join("source.iso");
    random(&source, 128 << 20);
    let guards = || {
        let seen = seen(&site, 1);
        vec![seen.guard(AT), larder::kinds::ask::open_files::nobody(&[AT.to_owned()])]
    };
    // Each is done when a part has come already.
    let table = [
        (
            format!("sh -c 'exec 3<\"{AT}\"; exec sleep 1000' >/dev/null 2>&1 & echo $! >/run/holder"),
            "who has files open",
            "sleep",
        ),
        (format!("echo much later >'{AT}'"), "the content of", "11 bytes"),
    ];
    for (change, says, is_now) in table {
        let (command, guards) = (in_place(&site, &source), guards());
        let (outcome, _) = std::thread::scope(|threads| {
            threads.spawn(|| {
                let has_begun = || !site.sh(HOST, "find /srv/media -size +1024k").is_empty();
                common::machines::eventually("a part of it has come", has_begun);
                site.sh(HOST, &change);
            });
            site.wait(carry_out(&site, command, guards))
        });
        let (what, is) = changed(&outcome);
        assert!(what.contains(says) && is.contains(is_now), "{what}: {is}");
        assert_eq!(listing(&site), "debian iso.iso\n");
        site.sh(HOST, "kill $(cat /run/holder) 2>/dev/null || true");
        common::machines::eventually("the file is closed", || {
            !site.sh(HOST, "set +f; ls -l /proc/[0-9]*/fd 2>/dev/null || true").contains(AT)
        });
    }
    assert_eq!(site.sh(HOST, &format!("cat '{AT}'")), "much later\n");
}

#[test]
fn an_empty_file_is_replaced_as_any_other() {
    let site = Site::up(&[HOST]);
    site.sh(HOST, &format!("mkdir /srv/media; : >'{AT}'"));
    let source = site.path().join("source.iso");
    random(&source, 1 << 20);
    let command = in_place(&site, &source);
    assert_eq!(site.wait(carry_out(&site, command, Vec::new())).0, Outcome::Done);
    assert_eq!(site.sh(HOST, &format!("sha256sum '{AT}'"))[..64], digest(&source));
}

#[test]
fn a_file_that_a_server_took_away_in_vain_is_put_back() {
    let site = Site::up(&[HOST]);
    // As the client of CIFS does it: the old one is removed, and then the new one is refused.
    site.sh(
        HOST,
        &format!(
            r#"mkdir -p /usr/local/sbin /srv/media; echo before >'{AT}'
            printf '#!/bin/sh\nrm -f "{AT}"\necho delete pending >&2\nexit 1\n' >/usr/local/sbin/mv; chmod 755 /usr/local/sbin/mv"#
        ),
    );
    let source = site.path().join("source.iso");
    random(&source, 1 << 20);
    let command = in_place(&site, &source);
    let message = failure(&site.wait(carry_out(&site, command.clone(), Vec::new())).0);
    assert!(message.contains("delete pending"), "{message}");
    assert_eq!(site.sh(HOST, &format!("cat '{AT}'; ls -A /srv/media")), "before\ndebian iso.iso\n");
    // Where that cannot be either, both stay; and nobody takes them away.
    site.sh(HOST, r#"cd /usr/local/sbin; printf '#!/bin/sh\ncase "$*" in *before*iso) exit 1 ;; *) exec /usr/bin/ln "$@" ;; esac\n' >ln; chmod 755 ln"#);
    let command = in_place(&site, &source);
    let message = failure(&site.wait(carry_out(&site, command, Vec::new())).0);
    assert!(message.contains("the old one is /srv/media/.larder."), "{message}");
    site.sh(HOST, "rm /usr/local/sbin/mv /usr/local/sbin/ln");
    assert_eq!(site.wait(carry_out(&site, upload(&source, &[]), Vec::new())).0, Outcome::Done);
    assert_eq!(
        site.sh(HOST, "set +f; cat /srv/media/.larder.*/before; ls /srv/media/.larder.*"),
        "before\nbefore\nimage\n"
    );
}

#[test]
fn a_directory_of_our_own_is_no_other() {
    let site = Site::up(&[HOST]);
    // Whoever owns the repository puts a link in the place of what was just made.
    site.sh(
        HOST,
        r#"mkdir -p /usr/local/sbin /srv/media /srv/root; echo mine >/srv/root/image; chmod 700 /srv/root; cd /usr/local/sbin
        printf '#!/bin/sh\nmade=$(/usr/bin/mktemp "$@") || exit\n[ ! -e /run/first ] || { mv "$made" /srv/media/away; ln -s /srv/root "$made"; }\n: >/run/first\necho "$made"\n' >mktemp
        chmod 755 mktemp; printf '#!/bin/sh\nexec /usr/bin/stat "$@"\n' >stat; chmod 755 stat"#,
    );
    let source = site.path().join("source.iso");
    random(&source, 1 << 20);
    let message = failure(&site.wait(carry_out(&site, upload(&source, &[]), Vec::new())).0);
    assert!(message.contains("was exchanged while it was made"), "{message}");
    assert_eq!(site.sh(HOST, "cat /srv/root/image; ls /srv/root"), "mine\nimage\n");
    site.sh(HOST, "rm /usr/local/sbin/mktemp; set +f; rm -r /srv/media/away /srv/media/.larder.*");
    // What only has the name of one that was left behind stays: it holds more, or others could enter it.
    site.sh(
        HOST,
        "cd /srv/media; for name in aaaaaaaa bbbbbbbb cccccccc; do mkdir -m 700 .larder.$name; echo x >.larder.$name/image; done
         echo x >.larder.aaaaaaaa/more; chmod 755 .larder.bbbbbbbb",
    );
    assert_eq!(site.wait(carry_out(&site, upload(&source, &[]), Vec::new())).0, Outcome::Done);
    let left = site.sh(HOST, "cd /srv/media; find . -name image | sort");
    assert_eq!(left, "./.larder.aaaaaaaa/image\n./.larder.bbbbbbbb/image\n");
}

#[test]
fn where_root_is_root_on_a_server_other_hosts_are_spared_as_well() {
    let site = Site::up(&[HOST]);
    site.sh(
        HOST,
        r#"mkdir -p /usr/local/sbin /srv/media; cd /usr/local/sbin
        printf '#!/bin/sh\ncase "$*" in "-f -c %%T "*) echo nfs ;; *) exec /usr/bin/stat "$@" ;; esac\n' >stat
        chmod 755 stat; cd /srv/media
        for left in .larder.AAAAAAAA .larder.BBBBBBBB; do mkdir -m 700 $left; echo half >$left/image; done
        touch -d '2 hours ago' .larder.AAAAAAAA/image .larder.AAAAAAAA"#,
    );
    let source = site.path().join("source.iso");
    random(&source, 1 << 20);
    assert_eq!(site.wait(carry_out(&site, upload(&source, &[]), Vec::new())).0, Outcome::Done);
    assert_eq!(listing(&site), ".larder.BBBBBBBB\ndebian iso.iso\n");
}

#[test]
fn a_digest_is_kept_only_where_nobody_else_gives_times() {
    let site = Site::up(&[HOST]);
    site.sh(
        HOST,
        r#"mkdir -p /usr/local/sbin /srv/media; cd /usr/local/sbin
        printf '#!/bin/sh\ncase "$*" in "-f -c %%T "*) cat /run/type ;; *) exec /usr/bin/stat "$@" ;; esac\n' >stat
        chmod 755 stat"#,
    );
    let source = site.path().join("source.iso");
    random(&source, 1 << 20);
    for (file_system, keeps) in
        [("xfs", true), ("fuseblk", false), ("ceph", false), ("ocfs2", false), ("UNKNOWN (0x1)", false)]
    {
        site.sh(
            HOST,
            &format!("rm -rf /srv/media /var/lib/larder/digests; mkdir /srv/media; echo '{file_system}' >/run/type"),
        );
        assert_eq!(site.wait(carry_out(&site, upload(&source, &[]), Vec::new())).0, Outcome::Done);
        let kept = site.sh(HOST, "ls /var/lib/larder/digests 2>/dev/null | wc -l");
        assert_eq!(kept, if keeps { "1\n" } else { "0\n" }, "{file_system}");
    }
    // One that was kept before is not believed either.
    site.sh(HOST, "rm -rf /srv/media; mkdir /srv/media; echo xfs >/run/type");
    assert_eq!(site.wait(carry_out(&site, upload(&source, &[]), Vec::new())).0, Outcome::Done);
    site.sh(
        HOST,
        &format!("set +f; sed -i '1s/.*/{}/' /var/lib/larder/digests/*; echo ceph >/run/type", "0".repeat(64)),
    );
    assert_eq!(seen(&site, 1 << 20).sha256, Some(digest(&source)));
    // Nor one that somebody else could write.
    for change in [
        "chmod 666 /var/lib/larder/digests/*",
        "chmod 777 /var/lib/larder/digests",
        "chown 999 /var/lib/larder/digests/*",
    ] {
        site.sh(HOST, &format!("set +f; echo xfs >/run/type; {change}"));
        assert_eq!(seen(&site, 1 << 20).sha256, Some(digest(&source)), "{change}");
        site.sh(HOST, "set +f; chmod 700 /var/lib/larder/digests; chmod 600 /var/lib/larder/digests/*; chown 0 /var/lib/larder/digests/*");
        assert_eq!(seen(&site, 1 << 20).sha256, Some("0".repeat(64)), "{change}: it is believed again");
    }
}

#[test]
fn nothing_is_waited_for_that_is_no_file_by_now() {
    let site = Site::up(&[HOST]);
    // It is exchanged when the name of it is summed up, which comes just before its content.
    site.sh(
        HOST,
        &format!(
            r#"mkdir -p /usr/local/sbin /srv/media; cd /usr/local/sbin
            printf '#!/bin/sh\n[ ! -e /run/swap ] || {{ . /run/swap; rm /run/swap; }}\nexec /usr/bin/sha256sum\n' >sha256sum
            chmod 755 sha256sum; echo hello >'{AT}'"#
        ),
    );
    for swap in ["mkfifo", "ln -s /dev/zero"] {
        site.sh(HOST, &format!("rm -f '{AT}'; echo hello >'{AT}'; echo \"rm -f '{AT}'; {swap} '{AT}'\" >/run/swap"));
        let said = site.wait(async {
            let mut session = session(&site).await;
            let answers = session.ask(&[media::question(AT, Some(6))]).await;
            session.close().await;
            media::read(&HostFacts::Reached(answers), AT, Some(6))
        });
        let why = said.expect_err(swap);
        assert!(why.contains("changes while it is read") || why.contains("cannot be read"), "{swap}: {why}");
    }
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing_and_the_next_one_is_whole() {
    let site = Site::up(&[HOST]);
    site.sh(HOST, "mkdir /srv/media");
    let source = site.path().join("source.iso");
    random(&source, 30 << 20);
    site.wait(async {
        let mut session = session(&site).await;
        let (mut write, mut read) = tokio::io::duplex(1 << 20);
        // Half of it comes, and then the connection goes with the session.
        let command = upload(&source, &[]);
        let half = std::fs::read(&source).unwrap()[..15 << 20].to_vec();
        let sent = tokio::io::AsyncWriteExt::write_all(&mut write, &half);
        let run = session.upload(&command, &[], &mut read, 30 << 20, None);
        tokio::select! {
            outcome = run => panic!("{outcome:?}"),
            sent = sent => sent.unwrap(),
        }
        session.close().await;
    });
    assert_eq!(site.sh(HOST, "ls /srv/media"), "", "only what is hidden may be left for a moment");
    common::machines::eventually("the host has taken it away", || listing(&site).is_empty());
    assert_eq!(site.wait(carry_out(&site, upload(&source, &[]), Vec::new())).0, Outcome::Done);
    assert_eq!(site.sh(HOST, &format!("sha256sum '{AT}'"))[..64], digest(&source));
    assert_eq!(listing(&site), "debian iso.iso\n");
}

#[test]
fn what_goes_to_a_server_is_written_as_the_owner_of_the_directory_and_spares_other_hosts() {
    let site = Site::up(&[HOST]);
    // Root is nobody there, as with a mount of CIFS, and the directory says that it is one.
    site.sh(
        HOST,
        r#"mkdir -p /usr/local/sbin /srv/media; cd /usr/local/sbin
        printf '#!/bin/sh\ncase "$*" in "-f -c %%T "*) echo smb2 ;; *) exec /usr/bin/stat "$@" ;; esac\n' >stat
        printf '#!/bin/sh\n[ "$(id -u)" != 0 ] || exit 1\nexec /usr/bin/mktemp "$@"\n' >mktemp
        chmod 755 stat mktemp; cd /srv/media
        for left in .larder.AAAAAAAA .larder.BBBBBBBB; do mkdir -m 700 $left; echo half >$left/image; done
        touch -d '2 hours ago' .larder.AAAAAAAA/image .larder.AAAAAAAA; chown -R 999:998 ."#,
    );
    let source = site.path().join("source.iso");
    random(&source, 3 << 20);
    assert_eq!(site.wait(carry_out(&site, upload(&source, &[]), Vec::new())).0, Outcome::Done);
    let of = format!("sha256sum '{AT}'; stat -c '%a %u %g' '{AT}'");
    assert_eq!(site.sh(HOST, &of), format!("{}  {AT}\n644 999 998\n", digest(&source)));
    assert_eq!(listing(&site), ".larder.BBBBBBBB\ndebian iso.iso\n", "what is new may be another host's");
    assert_eq!(site.sh(HOST, "ls -A /var/lib/larder 2>/dev/null; true"), "", "the times of a server are not believed");
    assert_eq!(seen(&site, 3 << 20).sha256, Some(digest(&source)));
    // What is cut short, or is another file, leaves nothing there either.
    let mut command = upload(&source, &["1"]);
    let message = failure(&site.wait(carry_out(&site, command.clone(), Vec::new())).0);
    assert!(message.contains("no longer the file that was seen"), "{message}");
    command.argv = upload(&source, &[]).argv;
    random(&source, 3 << 20);
    changed(&site.wait(carry_out(&site, command, Vec::new())).0);
    assert_eq!(listing(&site), ".larder.BBBBBBBB\ndebian iso.iso\n");
}

#[test]
fn a_digest_is_of_a_file_that_has_come_to_rest() {
    let site = Site::up(&[HOST]);
    // Whenever bytes are summed up, the file gets another time, as long as /run/times has more of them.
    site.sh(
        HOST,
        &format!(
            r#"mkdir -p /usr/local/sbin /srv/media; echo hello >'{AT}'; cd /usr/local/sbin
            printf '#!/bin/sh\nread -r time rest </run/times; echo "$rest" >/run/times\n[ -z "$time" ] || touch -d "@$time" "{AT}"\nexec /usr/bin/sha256sum\n' >sha256sum
            chmod 755 sha256sum"#
        ),
    );
    let digest = site.sh(HOST, "echo hello | /usr/bin/sha256sum")[..64].to_owned();
    // The first sum is that of the name.
    for (times, is_known) in [("", true), ("1 2", true), ("1 2 3", true), ("1 2 3 4", false), ("1 2 3 4 5 6", false)] {
        site.sh(HOST, &format!("echo {times} >/run/times"));
        let said = site.wait(async {
            let mut session = session(&site).await;
            let answers = session.ask(&[media::question(AT, Some(6))]).await;
            session.close().await;
            media::read(&HostFacts::Reached(answers), AT, Some(6))
        });
        match is_known {
            true => assert_eq!(said.unwrap().unwrap().sha256, Some(digest.clone()), "{times}"),
            false => assert!(said.unwrap_err().contains("changes while it is read"), "{times}"),
        }
    }
}
