//! Real shells through the local backend.

use tokio::io::AsyncWriteExt as _;

use super::exchange::Process;
use super::*;
use proptest::prelude::*;

/// The shells that the executor must run in; busybox only where it is installed.
fn shells() -> Vec<Vec<&'static str>> {
    let all = [vec!["dash"], vec!["bash", "--posix"], vec!["busybox", "sh"], vec!["sh"]];
    let installed = |shell: &Vec<&str>| std::process::Command::new(shell[0]).arg("--help").output().is_ok();
    let found: Vec<_> = all.into_iter().filter(installed).collect();
    assert!(!found.is_empty(), "there is a shell");
    found
}

async fn session_in(shell: &[&str], scripts: &[(&str, &str)]) -> Session {
    let scripts = scripts.iter().map(|(name, body)| ((*name).to_owned(), (*body).to_owned())).collect();
    let executor = Executor::new(&scripts).expect("an executor");
    let words = executor.shell(false);
    let words: Vec<String> = shell.iter().map(|word| (*word).to_owned()).chain(words[1..].iter().cloned()).collect();
    let spawned = local::spawn(&words).expect("a shell");
    Session::begin(spawned, &executor, Duration::from_secs(10)).await.expect("ready")
}

async fn session(scripts: &[(&str, &str)]) -> Session {
    session_in(&["sh"], scripts).await
}

fn said(status: i32, out: &str) -> Answer {
    Answer::Said(Reply { status, out: out.to_owned(), err: String::new() })
}

#[tokio::test]
async fn questions_are_answered_in_one_round_trip() {
    for shell in shells() {
        let mut session = session_in(&shell, &[("both", "echo out; echo err >&2; exit 3")]).await;
        let questions = [
            Question::new(["both"]),
            Question::new(["printf", "%s|", "a b", "", "\n"]),
            Question::new(["cat"]),
            Question::new(["pwd"]),
            Question::new(["both"]),
            Question::new(["printf", "\\000\\377"]),
        ];
        let answers = session.ask(&questions).await;
        assert_eq!(answers.len(), 5);
        let both = Reply { status: 3, out: "out\n".into(), err: "err\n".into() };
        assert_eq!(answers[&questions[0]], Answer::Said(both), "{shell:?}");
        assert_eq!(answers[&questions[1]], said(0, "a b||\n|"));
        assert_eq!(answers[&questions[2]], said(0, ""), "a command never reads the requests");
        assert_eq!(answers[&questions[3]], said(0, "/\n"));
        assert_eq!(answers[&questions[5]], said(0, "\0\u{fffd}"));
        assert_eq!(session.round_trips(), 1);
        session.close().await;
    }
}

#[tokio::test]
async fn a_missing_program_is_an_answer_and_a_malformed_question_is_not() {
    let mut session = session(&[]).await;
    let missing = Question::new(["no-such-program"]);
    let nul = Question::new(["echo", "a\0b"]);
    let empty = Question(Vec::new());
    let answers = session.ask(&[missing.clone(), nul.clone(), empty.clone()]).await;
    assert!(matches!(&answers[&missing], Answer::Said(reply) if reply.status == 127));
    assert!(matches!(&answers[&nul], Answer::Unknown(why) if why.contains("NUL")));
    assert!(matches!(&answers[&empty], Answer::Unknown(_)));
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~\\\\\n\t]{0,20}",
        Just("\n\n".to_owned()),
        Just("\\0101\\c".to_owned()),
        Just("$(touch /x);`id`*?[a]~ '\"".to_owned()),
        Just("\u{81}\u{88}\u{7f}".to_owned()),
    ]
    .prop_map(|word| word.replace('\0', ""))
}

#[test]
fn words_arrive_byte_for_byte() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for shell in shells() {
        let words =
            tokio::sync::Mutex::new(runtime.block_on(session_in(&shell, &[("same", "printf '%s\\n.' \"$@\"")])));
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(100));
        let given = prop::collection::vec(word(), 1..5);
        let result = runner.run(&given, |given| {
            let mut asked = vec!["same".to_owned()];
            asked.extend(given.iter().cloned());
            let question = Question(asked);
            let mut session = words.try_lock().expect("one at a time");
            let answers = runtime.block_on(session.ask(std::slice::from_ref(&question)));
            let expected: String = given.iter().map(|word| format!("{word}\n.")).collect();
            prop_assert_eq!(&answers[&question], &said(0, &expected), "{:?}", shell);

            let guard = Guard { what: "it".into(), ask: question, status: 0, out: expected };
            let command = Command::new(["cat"]).with_stdin(given.concat());
            let outcome = runtime.block_on(session.run(&command, &[guard], None));
            let reply = Reply { status: 0, out: given.concat(), err: String::new() };
            prop_assert_eq!(outcome, Outcome::Done(reply), "{:?}", shell);
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{shell:?}: {error}"));
    }
}

#[tokio::test]
async fn a_command_runs_only_behind_guards_that_hold() {
    for shell in shells() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("guarded"), "old\n\n").expect("written");
        let mut session = session_in(&shell, &[("look", "cat \"$1\"; return 5")]).await;
        let guard = |out: &str, status| Guard {
            what: "the file".into(),
            ask: Question::new(["look", &path("guarded")]),
            status,
            out: out.into(),
        };
        let holds = guard("old\n\n", 5);
        let touch = |name: &str| Command::new(["touch", &path(name)]);

        let done = session.run(&touch("a"), &[holds.clone(), holds.clone()], None).await;
        assert_eq!(done, Outcome::Done(Reply::default()), "{shell:?}");
        assert!(std::fs::exists(path("a")).expect("known"));

        for (guards, was, is) in [
            (vec![holds.clone(), guard("old\n", 5)], "old", "old"),
            (vec![holds.clone(), guard("new", 5), holds.clone()], "new", "old"),
            (vec![guard("old\n\n", 0), holds.clone()], "old (status 0)", "old (status 5)"),
        ] {
            let changed = session.run(&touch("b"), &guards, None).await;
            let expected = Outcome::Changed { what: "the file".into(), was: was.into(), is: is.into() };
            assert_eq!(changed, expected, "{shell:?}");
        }
        assert!(!std::fs::exists(path("b")).expect("known"), "it did not run");

        let done = session.run(&touch("b"), &[], None).await;
        assert_eq!(done, Outcome::Done(Reply::default()), "a guard is for one command only");
        let unread = session.run(&Command::new(["true"]).with_stdin("x".repeat(200_000)), &[], None).await;
        assert_eq!(unread, Outcome::Done(Reply::default()), "input may stay unread");
        let failed = session.run(&Command::new(["sh", "-c", "kill -9 $$"]), &[], None).await;
        assert!(matches!(failed, Outcome::Failed(Reply { status: 137, .. })), "{failed:?}");
        session.close().await;
    }
}

#[tokio::test]
async fn megabytes_pass_both_ways_without_a_deadlock() {
    for shell in shells() {
        let mut session = session_in(
            &shell,
            &[("big", "dd if=/dev/zero bs=1048576 count=\"$1\" 2>/dev/null; head -c 300000 /dev/zero >&2")],
        )
        .await;
        let mut questions: Vec<Question> = (0..600).map(|n| Question::new(["echo", &format!("{n:0>2000}")])).collect();
        questions.insert(300, Question::new(["big", "5"]));
        questions.insert(500, Question::new(["big", "17"]));
        let answers = session.ask(&questions).await;
        assert_eq!(session.gone(), None);
        assert!(
            matches!(&answers[&questions[300]], Answer::Said(reply) if reply.out.len() == 5 << 20 && reply.err.len() == 300_000)
        );
        assert!(matches!(&answers[&questions[500]], Answer::Unknown(why) if why.contains("16 MiB")));
        assert!(matches!(&answers[&questions[601]], Answer::Said(reply) if reply.out.ends_with("0599\n")));

        let text = "0123456789abcde\n".repeat(4 << 16);
        let copied = session.run(&Command::new(["cat"]).with_stdin(text.clone()), &[], None).await;
        assert!(matches!(copied, Outcome::Done(reply) if reply.out == text), "{shell:?}");
    }
}

#[tokio::test]
async fn a_file_is_uploaded_behind_its_guards() {
    let content: Vec<u8> = (0..3_000_000u32).flat_map(|n| (n ^ (n >> 7)).to_le_bytes()).collect();
    let length = content.len() as u64;
    for shell in shells() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("target");
        let save = Command::new(["save", &target.display().to_string()]);
        let mut session = session_in(&shell, &[("save", "cat >\"$1\"")]).await;
        let guard = |status| Guard {
            what: "the place".into(),
            ask: Question::new(["test", "-e", &target.display().to_string()]),
            status,
            out: String::new(),
        };
        let done = session.upload(&save, &[guard(1)], &mut content.as_slice(), length, None).await;
        assert_eq!(done, Outcome::Done(Reply::default()), "{shell:?}");
        assert!(std::fs::read(&target).expect("there") == content);

        let changed = session.upload(&save, &[guard(1)], &mut content.as_slice(), length, None).await;
        let (was, is) = ("nothing (status 1)".into(), "nothing (status 0)".into());
        assert_eq!(changed, Outcome::Changed { what: "the place".into(), was, is });
        let unread = session.upload(&Command::new(["false"]), &[], &mut content.as_slice(), length, None).await;
        assert_eq!(unread, Outcome::Failed(Reply { status: 1, ..Reply::default() }));
        let empty = session.upload(&save, &[guard(0)], &mut [].as_slice(), 0, None).await;
        assert_eq!(empty, Outcome::Done(Reply::default()));
        assert!(std::fs::read(&target).expect("there").is_empty());

        let short = session.upload(&save, &[], &mut &content[1..], length, None).await;
        assert!(matches!(short, Outcome::Lost(why) if why.contains("shorter")));
        assert!(session.gone().is_some());
        session.close().await;
    }
}

#[tokio::test]
async fn silence_is_unknown_and_nothing_is_sent_behind_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let fifo = directory.path().join("fifo").display().to_string();
    let touched = directory.path().join("touched");
    let mut session = session(&[]).await;
    session.be_patient(Duration::from_millis(1500));
    let made = session.run(&Command::new(["mkfifo", &fifo]), &[], None).await;
    assert_eq!(made, Outcome::Done(Reply::default()));
    let questions = [Question::new(["echo", "1"]), Question::new(["cat", &fifo]), Question::new(["echo", "2"])];
    let answers = session.ask(&questions).await;
    assert_eq!(answers[&questions[0]], said(0, "1\n"));
    for late in &questions[1..] {
        assert_eq!(answers[late], Answer::Unknown("no answer within 1500 ms".into()));
    }
    let touch = Command::new(["touch", &touched.display().to_string()]);
    assert!(matches!(session.run(&touch, &[], None).await, Outcome::Lost(why) if why.contains("not sent")));
    // Lets the reader of the pipe go; the shell then finds the end of its requests.
    std::fs::write(&fifo, "").expect("written");
    session.close().await;
    assert!(!touched.exists());
}

#[tokio::test]
async fn a_killed_shell_loses_the_command_and_says_so() {
    for shell in shells() {
        let mut session = session_in(&shell, &[]).await;
        let Process::Local(child) = &session.talk.process else { panic!("a local shell") };
        let id = child.id().expect("it runs").to_string();
        let outcome = session.run(&Command::new(["kill", "-9", &id]), &[], None).await;
        assert!(matches!(&outcome, Outcome::Lost(why) if why.contains("signal: 9")), "{outcome:?}");
        let answers = session.ask(&[Question::new(["true"])]).await;
        assert!(matches!(answers.values().next(), Some(Answer::Unknown(why)) if why.contains("signal: 9")));
    }
}

#[tokio::test]
async fn a_request_that_is_cut_is_never_acted_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let touched = directory.path().join("touched").display().to_string();
    let cuts: [&str; 4] = [
        &format!("run 1 touch {touched}"),
        &format!("stdin 10\nhalf\nrun 1 touch {touched}\n"),
        "guard 0 x true\n",
        &format!("stdin 200\nrun 1 touch {touched}\n"),
    ];
    for shell in shells() {
        for cut in cuts {
            let mut session = session_in(&shell, &[]).await;
            let mut requests = session.talk.requests.take().expect("open");
            requests.write_all(cut.as_bytes()).await.expect("written");
            drop(requests);
            session.close().await;
            assert!(!std::fs::exists(&touched).expect("known"), "{shell:?}: {cut}");
        }
    }
}

#[tokio::test]
async fn the_content_of_files_is_never_read_as_requests() {
    for shell in shells() {
        for broken in ["return 1", "head -c 3; return 1"] {
            let directory = tempfile::tempdir().expect("a directory");
            let touched = directory.path().join("touched").display().to_string();
            let content = format!("x\nrun 2 touch {touched}\n");
            let mut session = session_in(&shell, &[("dd", broken)]).await;
            let lost = session.run(&Command::new(["cat"]).with_stdin(content.clone()), &[], None).await;
            assert!(matches!(lost, Outcome::Lost(_)), "{shell:?}: {lost:?}");

            let mut session = session_in(&shell, &[("dd", broken)]).await;
            let length = content.len() as u64;
            let cat = Command::new(["cat"]);
            let lost = session.upload(&cat, &[], &mut content.as_bytes(), length, None).await;
            assert!(matches!(lost, Outcome::Lost(_)), "{shell:?}: {lost:?}");
            let never = Guard { what: "it".into(), ask: Question::new(["false"]), status: 0, out: String::new() };
            let mut session = session_in(&shell, &[("dd", broken)]).await;
            let lost = session.upload(&cat, &[never], &mut content.as_bytes(), length, None).await;
            assert!(matches!(lost, Outcome::Lost(_)), "{shell:?}: {lost:?}");
            assert!(!std::fs::exists(&touched).expect("known"), "{shell:?}");
        }
    }
}

#[tokio::test]
async fn one_session_holds_the_lock_and_others_learn_who() {
    for shell in shells() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("lock").display().to_string();
        let mut first = session_in(&shell, &[]).await;
        let mut second = session_in(&shell, &[]).await;
        let _locked = first.lock_file(&file, "alice, pid 7,\nsince noon").await.expect("free");
        let refused = second.lock_file(&file, "bob").await.expect_err("held");
        assert_eq!(refused, NotLocked::Held("alice, pid 7,\\nsince noon".into()), "{shell:?}");
        // A daemon that a command leaves behind must not keep the lock.
        let daemon = Command::new(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"]);
        let Outcome::Done(Reply { out: daemon, .. }) = first.run(&daemon, &[], None).await else { panic!("started") };
        first.close().await;
        let _locked = second.lock_file(&file, "bob").await.expect("free again");
        let killed = second.run(&Command::new(["kill", daemon.trim()]), &[], None).await;
        assert_eq!(killed, Outcome::Done(Reply::default()));
        let nowhere = second.lock_file("/no/such/directory/lock", "bob").await.expect_err("nowhere");
        assert!(matches!(nowhere, NotLocked::Impossible(why) if why.contains("/no/such/directory")));
        assert_eq!(second.gone(), None, "{shell:?}");
    }
}

#[tokio::test]
async fn a_command_that_outlives_us_still_holds_the_lock() {
    for shell in shells() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name).display().to_string();
        let (file, fifo) = (path("lock"), path("fifo"));
        let mut first = session_in(&shell, &[]).await;
        let _locked = first.lock_file(&file, "alice").await.expect("free");
        first.run(&Command::new(["mkfifo", &fifo]), &[], None).await;
        let lost = first.run(&Command::new(["cat", &fifo]), &[], Some(Duration::from_millis(200))).await;
        assert!(matches!(lost, Outcome::Lost(_)));
        drop(first);
        let mut second = session_in(&shell, &[]).await;
        let refused = second.lock_file(&file, "bob").await.expect_err("held");
        assert_eq!(refused, NotLocked::Held("alice".into()), "{shell:?}");
        std::fs::write(&fifo, "").expect("written");
    }
}

/// A mount in namespaces of its own that no program serves: whoever looks into it waits.
#[tokio::test]
async fn what_does_not_answer_delays_nothing_else() {
    let mut served = std::process::Command::new("unshare");
    served.args(["--mount", "--propagation", "private", "--kill-child", "sh", "-c"]);
    served.arg("mount -t tmpfs t /mnt && mkdir '/mnt/a b' /mnt/c && exec 7<>/dev/fuse && mount -i -t fuse -o fd=7,rootmode=40000,user_id=0,group_id=0 dead '/mnt/a b' && exec sh -c \"$1\"");
    let scripts = [("asks_the_kernel_only", "[ \"$1\" = printf ]"), ("reach", "printf '%s' \"$larder_reach\"")];
    let scripts: Scripts = scripts.map(|(name, body)| (name.to_owned(), body.to_owned())).into();
    let executor = Executor::new(&scripts).expect("an executor");
    let shell = shlex::try_join(executor.shell(false).iter().map(String::as_str)).expect("no NUL");
    let words: Vec<String> = std::iter::once("unshare")
        .chain(served.get_args().filter_map(std::ffi::OsStr::to_str))
        .chain(["sh", &shell])
        .map(str::to_owned)
        .collect();
    let spawned = local::spawn(&words).expect("a shell");
    let mut session = Session::begin(spawned, &executor, Duration::from_secs(10)).await.expect("ready");
    let questions = [
        Question::new(["stat", "--", "/mnt", "/mnt/a b"]),
        Question::new(["ls", "/mnt/a b/deeper"]),
        Question::new(["printf", "%s", "/mnt/a b"]),
        Question::new(["ls", "/mnt"]),
        Question::new(["reach"]),
    ];
    let answers = session.ask(&questions).await;
    let silent = Answer::Unknown("/mnt/a b does not answer".to_owned());
    assert_eq!([&answers[&questions[0]], &answers[&questions[1]]], [&silent, &silent]);
    assert_eq!(answers[&questions[2]], said(0, "/mnt/a b"));
    assert_eq!(answers[&questions[3]], said(0, "a b\nc\n"));
    assert_eq!(answers[&questions[4]], said(0, "137 /mnt/a\\040b "));
    let guard = Guard { what: "x".into(), ask: questions[0].clone(), status: 0, out: String::new() };
    let outcome = session.run(&Command::new(["true"]), &[guard], Some(Duration::from_secs(10))).await;
    assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
    session.close().await;
}

#[tokio::test]
async fn without_flock_there_is_no_lock() {
    let mut session = session(&[("command", "return 1")]).await;
    let refused = session.lock_file("/tmp/x", "bob").await.expect_err("no flock");
    assert!(matches!(refused, NotLocked::Impossible(why) if why.contains("util-linux")));
}

/// A host whose login shell says this and does that.
async fn opened_through(login: &str) -> Result<Session, String> {
    let executor = Executor::new(&Scripts::new()).expect("an executor");
    let words: Vec<String> = ["sh", "-c", &format!("{login}\nexec \"$@\""), "login"]
        .map(str::to_owned)
        .into_iter()
        .chain(executor.shell(false))
        .collect();
    Session::begin(local::spawn(&words).expect("a shell"), &executor, Duration::from_secs(3)).await
}

#[tokio::test]
async fn a_chatty_login_is_tolerated_and_a_dead_one_is_quoted() {
    let mut session = opened_through("echo Welcome; echo to this host >&2").await.expect("open");
    let question = Question::new(["echo", "x"]);
    assert_eq!(session.ask(std::slice::from_ref(&question)).await[&question], said(0, "x\n"));

    let refused = opened_through("printf 'No \\033[31mlogin'; exit 1").await.expect_err("refused");
    assert!(refused.contains("No \\x1b[31mlogin") && refused.contains("exit status: 1"), "{refused}");
    let sudo = opened_through("echo 'sudo: a password is required' >&2; exit 1").await.expect_err("refused");
    assert!(sudo.contains("NOPASSWD"), "{sudo}");
    let late = opened_through("exec >&-; head -c 9000000 /dev/zero | sha256sum >&2; echo 'sudo: no' >&2; exit 1").await;
    assert!(late.expect_err("refused").contains("sudo: no"));
    let broken = Executor::new(&[("f".to_owned(), "if".to_owned())].into()).expect("names are fine");
    let spawned = local::spawn(&broken.shell(false)).expect("a shell");
    let syntax = Session::begin(spawned, &broken, Duration::from_secs(3)).await.expect_err("a syntax error");
    assert!(syntax.to_lowercase().contains("syntax error"), "{syntax}");
}

#[test]
fn names_of_functions_cannot_become_syntax() {
    for name in ["", "a b", "a;b", "1a", "larder_serve", "a()"] {
        let scripts = [(name.to_owned(), ":".to_owned())].into();
        assert!(Executor::new(&scripts).is_err(), "{name}");
    }
}

/// Prints what one question costs; run it by name.
#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr)]
async fn cost_of_a_question() {
    for shell in shells() {
        let mut session = session_in(&shell, &[("nothing", ":")]).await;
        let questions: Vec<Question> = (0..1000).map(|n| Question::new(["nothing", &n.to_string()])).collect();
        let spaced: Vec<Question> = (0..1000).map(|n| Question::new(["nothing", &format!("a {n}")])).collect();
        for (what, questions) in [("plain", questions), ("escaped", spaced)] {
            let begun = std::time::Instant::now();
            session.ask(&questions).await;
            eprintln!("{shell:?} {what}: {:?} a question", begun.elapsed() / 1000);
        }
    }
}
