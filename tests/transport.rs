//! Real SSH against an sshd of the test's own, on loopback and out of a temporary directory.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use larder::model::host::Ssh;
use larder::model::{Answer, Command, Connection, HostName, Question, Reach, Reply};
use larder::transport::{self, Outcome, Scripts, Session, Unreachable};

/// ssh would take the space for a separator and the rest for a token.
const KNOWN_HOSTS: &str = "known 100%h";

/// A running sshd that logs each connection and each session.
struct Sshd {
    directory: tempfile::TempDir,
    process: Child,
    log: Receiver<String>,
    seen: Vec<String>,
    port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn keygen(path: &Path) {
    let made = Process::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(made.expect("ssh-keygen runs").success());
}

impl Sshd {
    /// `None`, with a word why, where sshd is not installed.
    fn start() -> Option<Sshd> {
        let binary = "/usr/sbin/sshd";
        if !Path::new(binary).exists() {
            #[expect(clippy::print_stderr)]
            {
                eprintln!("skipped: {binary} is not installed");
            }
            return None;
        }
        // Where sshd of root wants to shut itself in; it refuses to start without.
        let _ = std::fs::create_dir_all("/run/sshd");
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        keygen(&path("host_key"));
        keygen(&path("user_key"));
        std::fs::copy(path("user_key.pub"), path("authorized_keys")).expect("copied");
        std::fs::write(path("ssh_config"), "").expect("written");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let shown = directory.path().display();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {shown}/host_key\nAuthorizedKeysFile {shown}/authorized_keys\n\
             PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nLogLevel VERBOSE\n"
        );
        std::fs::write(path("sshd_config"), config).expect("written");
        let mut process = Process::new(binary)
            .args(["-D", "-e", "-f"])
            .arg(path("sshd_config"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sshd starts");
        let lines = BufReader::new(process.stderr.take().expect("its log")).lines();
        let (send, log) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(send.send(line))));
        let mut sshd = Sshd { directory, process, log, seen: Vec::new(), port };
        sshd.await_line("Server listening");
        sshd.trust(port);
        Some(sshd)
    }

    /// Reads the log up to a line that says so.
    fn await_line(&mut self, text: &str) {
        while !self.seen.last().is_some_and(|line| line.contains(text)) {
            let line = self.log.recv_timeout(Duration::from_secs(20));
            self.seen.push(line.unwrap_or_else(|_| panic!("sshd never said {text}: {:#?}", self.seen)));
        }
    }

    fn count(&self, text: &str) -> usize {
        self.seen.iter().filter(|line| line.contains(text)).count()
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn trust(&self, port: u16) {
        let key = std::fs::read_to_string(self.path("host_key.pub")).expect("the key");
        std::fs::write(self.path(KNOWN_HOSTS), format!("[127.0.0.1]:{port},[localhost]:{port} {key}"))
            .expect("written");
    }

    fn connection(&self, port: u16) -> Connection {
        let user = Process::new("id").arg("-un").output().expect("id runs");
        Connection {
            reach: Reach::Ssh(Ssh {
                address: "127.0.0.1".into(),
                port: Some(port),
                user: Some(String::from_utf8_lossy(&user.stdout).trim().to_owned()),
                identity_file: Some(self.path("user_key")),
                ssh_config: Some(self.path("ssh_config")),
                known_hosts: Some(self.path(KNOWN_HOSTS)),
                jump: None,
            }),
            becomes_root: false,
            connect_timeout: Duration::from_secs(20),
        }
    }

    async fn open(&self, port: u16) -> Result<Session, Unreachable> {
        let scripts: Scripts = [("twice".to_owned(), "printf '%s%s' \"$1\" \"$1\"".to_owned())].into();
        transport::open(&HostName::from("h"), &self.connection(port), &scripts).await
    }
}

#[tokio::test]
async fn a_whole_conversation_is_one_connection_and_one_session() {
    let Some(mut sshd) = Sshd::start() else { return };
    let mut session = sshd.open(sshd.port).await.expect("open");
    let word = "a 'b'\n$(c) é\u{85}";
    let question = Question::new(["twice", word]);
    let answers = session.ask(std::slice::from_ref(&question)).await;
    let said = Reply { status: 0, out: word.repeat(2), err: String::new() };
    assert_eq!(answers[&question], Answer::Said(said));
    let text = "0123456789abcde\n".repeat(1 << 17);
    for _ in 0..3 {
        let copied = session.run(&Command::new(["cat"]).with_stdin(text.clone()), &[], None).await;
        assert!(matches!(copied, Outcome::Done(reply) if reply.out == text));
    }
    assert_eq!(session.round_trips(), 4);
    session.close().await;
    sshd.await_line("Disconnected from user");
    assert_eq!(sshd.count("Accepted publickey"), 1, "{:#?}", sshd.seen);
    assert_eq!(sshd.count("Starting session"), 1, "{:#?}", sshd.seen);
}

#[tokio::test]
async fn sessions_of_many_hosts_open_at_once() {
    let Some(sshd) = Sshd::start() else { return };
    let hosts = (0..10).map(|n| {
        let questions = vec![Question::new(["echo", &n.to_string()])];
        (HostName(format!("h{n}")), (sshd.connection(sshd.port), questions))
    });
    let (facts, sessions) = larder::probe::gather(hosts.collect(), &Scripts::new(), &Default::default(), 10).await;
    for n in 0..10 {
        let answer = facts.host(&HostName(format!("h{n}"))).said(&Question::new(["echo", &n.to_string()]));
        assert_eq!(answer.map(|reply| reply.out), Ok(format!("{n}\n")));
    }
    assert_eq!(sessions.len(), 10);
    for session in sessions.into_values() {
        session.close().await;
    }
}

#[tokio::test]
async fn an_unknown_or_changed_host_key_is_refused_with_its_cure() {
    let Some(sshd) = Sshd::start() else { return };
    std::fs::write(sshd.path(KNOWN_HOSTS), "").expect("written");
    let Unreachable(why) = sshd.open(sshd.port).await.expect_err("unknown");
    assert!(
        why.contains("host h:") && why.contains("fingerprint") && why.contains(&format!("-p {}", sshd.port)),
        "{why}"
    );
    assert_eq!(std::fs::read_to_string(sshd.path(KNOWN_HOSTS)).expect("text"), "", "nothing was added");

    keygen(Path::new(&sshd.path("other_key")));
    let other = std::fs::read_to_string(sshd.path("other_key.pub")).expect("the key");
    std::fs::write(sshd.path(KNOWN_HOSTS), format!("[127.0.0.1]:{} {other}", sshd.port)).expect("written");
    let Unreachable(why) = sshd.open(sshd.port).await.expect_err("changed");
    assert!(why.contains("ssh-keygen -f") && why.contains("in between"), "{why}");
}

#[tokio::test]
async fn a_refused_key_and_a_closed_port_say_what_to_do() {
    let Some(sshd) = Sshd::start() else { return };
    std::fs::write(sshd.path("authorized_keys"), "").expect("written");
    let Unreachable(why) = sshd.open(sshd.port).await.expect_err("refused");
    assert!(why.contains("identity_file") && why.contains("Permission denied"), "{why}");

    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let Unreachable(why) = sshd.open(port).await.expect_err("closed");
    assert!(why.contains("is sshd running"), "{why}");

    let mut connection = sshd.connection(sshd.port);
    if let Reach::Ssh(ssh) = &mut connection.reach {
        ssh.identity_file = Some("/no/such/key".into());
    }
    let Unreachable(why) = transport::open(&"h".into(), &connection, &Scripts::new()).await.expect_err("no key");
    assert!(why.contains("identity_file `/no/such/key`"), "{why}");
}

#[tokio::test]
async fn a_connection_that_breaks_midway_is_lost_and_not_failed() {
    let Some(sshd) = Sshd::start() else { return };
    // A relay that can be cut like a cable.
    let relay = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = relay.local_addr().expect("an address").port();
    sshd.trust(port);
    let target = sshd.port;
    let cable = tokio::spawn(async move {
        let (mut near, _) = relay.accept().await.expect("a connection");
        let mut far = tokio::net::TcpStream::connect(("127.0.0.1", target)).await.expect("sshd");
        tokio::io::copy_bidirectional(&mut near, &mut far).await
    });
    let mut session = sshd.open(port).await.expect("open");
    let (started, goes_on, ended) = (sshd.path("started"), sshd.path("goes_on"), sshd.path("ended"));
    let made = session.run(&Command::new(["mkfifo", &started, &goes_on, &ended]), &[], None).await;
    assert_eq!(made, Outcome::Done(Reply::default()));

    let script = "echo >\"$1\"; cat \"$2\"; echo to nobody; echo to the end >\"$3\"";
    let command = Command::new(["sh", "-c", script, "sh", &started, &goes_on, &ended]);
    let wait = tokio::task::spawn_blocking({
        let started = started.clone();
        move || std::fs::read(started)
    });
    let (outcome, ()) = tokio::join!(session.run(&command, &[], None), async {
        wait.await.expect("joined").expect("started");
        cable.abort();
    });
    assert!(matches!(&outcome, Outcome::Lost(why) if why.contains("connection was lost")), "{outcome:?}");
    assert!(session.gone().is_some());
    let answers = session.ask(&[Question::new(["true"])]).await;
    assert!(answers.values().all(|answer| matches!(answer, Answer::Unknown(_))));
    session.close().await;
    std::fs::write(goes_on, "").expect("the command still waits for it");
    assert_eq!(std::fs::read_to_string(ended).expect("the command goes on"), "to the end\n");
}

#[tokio::test]
async fn sudo_stands_before_the_shell() {
    if !Process::new("sudo").args(["-n", "true"]).output().is_ok_and(|output| output.status.success()) {
        return;
    }
    let connection = Connection { reach: Reach::Local, becomes_root: true, connect_timeout: Duration::from_secs(5) };
    let mut session = transport::open(&"h".into(), &connection, &Scripts::new()).await.expect("open");
    let question = Question::new(["id", "-u"]);
    let answers = session.ask(std::slice::from_ref(&question)).await;
    assert_eq!(answers[&question], Answer::Said(Reply { status: 0, out: "0\n".into(), err: String::new() }));
    session.close().await;
}

/// The other half of the next test: opens a session, starts a command that never ends, and waits to be killed.
#[tokio::test]
#[ignore = "started by another test"]
async fn the_one_that_is_killed() {
    let Ok(connection) = std::env::var("LARDER_TEST_CONNECTION") else { return };
    let connection = serde_json::from_str(&connection).expect("a connection");
    let fifo = std::env::var("LARDER_TEST_FIFO").expect("a name");
    let mut session = transport::open(&"h".into(), &connection, &Scripts::new()).await.expect("open");
    let command = Command::new(["sh", "-c", "echo >\"$1\"; exec cat \"$1\"", "sh", &fifo]);
    session.run(&command, &[], None).await;
}

#[test]
fn after_a_kill_the_command_ends_and_then_the_connection() {
    let Some(mut sshd) = Sshd::start() else { return };
    let fifo = sshd.path("fifo");
    assert!(Process::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let mut victim = Process::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "the_one_that_is_killed", "--ignored"])
        .env("LARDER_TEST_CONNECTION", serde_json::to_string(&sshd.connection(sshd.port)).expect("text"))
        .env("LARDER_TEST_FIFO", &fifo)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    std::fs::read(&fifo).expect("the command runs");
    victim.kill().expect("killed");
    victim.wait().expect("gone");
    std::fs::write(&fifo, "").expect("the command on the host runs to its end");
    sshd.await_line("Disconnected from user");
}

#[tokio::test]
async fn a_jump_host_is_reached_with_the_same_keys_and_the_same_distrust() {
    let Some(mut sshd) = Sshd::start() else { return };
    let mut connection = sshd.connection(sshd.port);
    let Reach::Ssh(ssh) = &mut connection.reach else { panic!("by SSH") };
    ssh.jump = Some(format!("{}@localhost:{}", ssh.user.clone().unwrap_or_default(), sshd.port));
    let mut session = transport::open(&"h".into(), &connection, &Scripts::new()).await.expect("open");
    let question = Question::new(["echo", "through"]);
    let answers = session.ask(std::slice::from_ref(&question)).await;
    assert!(matches!(&answers[&question], Answer::Said(reply) if reply.out == "through\n"));
    session.close().await;
    sshd.await_line("Disconnected from user");
    assert_eq!(sshd.count("Accepted publickey"), 2, "the jump host and the host: {:#?}", sshd.seen);

    std::fs::write(sshd.path(KNOWN_HOSTS), "").expect("written");
    let Unreachable(why) = transport::open(&"h".into(), &connection, &Scripts::new()).await.expect_err("unknown");
    assert!(why.contains("let nothing through") && why.contains("@localhost:"), "{why}");
}
