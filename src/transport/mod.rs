//! The one door to a host: one connection and one remote shell for a whole plan or apply. Questions go out together and
//! come back together; a command travels with its guards, so that nothing fits in between. Values never become syntax,
//! and silence never becomes an answer. Nothing here knows what a command is for.

mod exchange;
mod local;
pub mod recorded;
mod ssh;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncRead;
use tracing::{debug, trace};

use crate::model::{Answer, Command, Connection, Guard, HostName, Question, Reach, Reply, Secrets, escape_line};
use exchange::{Conversation, Sending, Side, Spawned};
use wire::{End, Frame, Id, Request};

/// The remote functions of a session: name to the body of a POSIX sh function. They run with `set -f`, in a subshell of
/// their own, with nothing on standard input unless the command brings it. Names that begin with `larder_` are taken.
pub type Scripts = BTreeMap<String, String>;

/// Why a host could not be reached, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With status 0.
    Done(Reply),
    /// With another status, or it could not be started.
    Failed(Reply),
    /// It was not run: a guard no longer holds.
    Changed { what: String, was: String, is: String },
    /// Nobody knows whether it ran, and why.
    Lost(String),
}

impl Outcome {
    /// What the log calls it.
    fn word(&self) -> &'static str {
        match self {
            Outcome::Done(_) => "done",
            Outcome::Failed(_) => "failed",
            Outcome::Changed { .. } => "not run: a guard no longer holds",
            Outcome::Lost(_) => "lost",
        }
    }
}

/// The host is locked until the session ends, and until the last command that it started has ended.
#[derive(Debug)]
#[must_use]
pub struct Locked(());

/// Why the lock of a host was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLocked {
    /// What the holder wrote there: who, process, since when, doing what.
    #[error("the host is locked: {0}")]
    Held(String),
    #[error("the host cannot be locked: {0}")]
    Impossible(String),
}

/// The lock of a host; what holds it is an open descriptor, so a host that restarts is free.
const LOCK_FILE: &str = "/run/larder.lock";

/// How long one answer may take, unless [`Session::be_patient`] says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a remote shell may take to end after its requests did.
const FAREWELL: Duration = Duration::from_secs(5);

/// An open conversation with one host.
pub struct Session {
    /// What the log calls it.
    host: String,
    talk: Conversation,
    next: Id,
    round_trips: u32,
    patience: Duration,
    secrets: Arc<Secrets>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("round_trips", &self.round_trips).field("gone", &self.gone()).finish()
    }
}

/// What came back for one request; a part that is missing is still awaited.
#[derive(Default)]
struct Returned {
    end: Option<End>,
    out: Option<Option<Vec<u8>>>,
    err: Option<Option<Vec<u8>>>,
}

/// Opens the one session of a host.
pub async fn open(name: &HostName, connection: &Connection, scripts: &Scripts) -> Result<Session, Unreachable> {
    let opened = async {
        let executor = Executor::new(scripts)?;
        let spawned = match &connection.reach {
            Reach::Local => local::spawn(&executor.shell(connection.becomes_root))?,
            Reach::Ssh(words) => {
                let shell = executor.shell(connection.becomes_root);
                ssh::spawn(words, connection.connect_timeout, &shell).await?
            }
        };
        let session =
            Session::begin(spawned, &executor, connection.connect_timeout.max(Duration::from_secs(1))).await?;
        Ok(Session { host: name.to_string(), ..session })
    };
    let started = Instant::now();
    let opened: Result<Session, String> = opened.await;
    let elapsed = started.elapsed();
    match &opened {
        Ok(_) => debug!(host = %name, ?elapsed, "connected"),
        Err(why) => debug!(host = %name, ?elapsed, why = escape_line(why), "not reached"),
    }
    opened.map_err(|why| Unreachable(format!("host {name}: {why}")))
}

/// What a session sends to a host for these questions, and the command that reads it there: with it the same work can be done,
/// and measured, by ssh alone.
pub fn transcript(scripts: &Scripts, questions: &[Question]) -> Result<(String, Vec<u8>), Unreachable> {
    let executor = Executor::new(scripts).map_err(Unreachable)?;
    let mut request = Request::default();
    request.look();
    for (id, question) in (1..).zip(questions) {
        request.ask(id, question);
    }
    let command = ssh::login_command(&executor.shell(false)).map_err(Unreachable)?;
    Ok((command, [executor.text.as_bytes(), request.bytes()].concat()))
}

/// The text that a remote shell reads first, and the mark that this session is known by.
struct Executor {
    nonce: String,
    text: String,
}

impl Executor {
    fn new(scripts: &Scripts) -> Result<Self, String> {
        // Nothing on the host can know the nonce, so nothing that a file or a program says can close a frame.
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let mut text = format!("larder_nonce={nonce}\n");
        for (name, body) in scripts {
            let is_name = !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !is_name || name.starts_with("larder_") {
                return Err(format!("`{}` cannot be the name of a remote function", escape_line(name)));
            }
            text.push_str(&format!("{name}() {{\n{body}\n}}\n"));
        }
        text.push_str(include_str!("executor.sh"));
        Ok(Executor { nonce, text })
    }

    /// The command that becomes the executor. It is the same for every login shell: one program and one quoted word.
    fn shell(&self, becomes_root: bool) -> Vec<String> {
        let read = format!("eval \"$(dd bs={} count=1 iflag=fullblock 2>/dev/null)\"", self.text.len());
        let sudo: &[&str] = if becomes_root { &["sudo", "-n"] } else { &[] };
        sudo.iter().copied().chain(["sh", "-c", &read]).map(str::to_owned).collect()
    }
}

impl Session {
    /// Sends the executor and waits until it is ready.
    async fn begin(spawned: Spawned, executor: &Executor, patience: Duration) -> Result<Session, String> {
        let mut session = Session {
            host: String::new(),
            talk: Conversation::new(spawned, &executor.nonce),
            next: 0,
            round_trips: 0,
            patience: PATIENCE,
            secrets: Arc::default(),
        };
        let mut ready = 0;
        let heard = session
            .talk
            .converse(Sending::all(executor.text.as_bytes()), Some(patience), |_, frame| {
                ready += usize::from(frame == Frame::Ready);
                ready == 2
            })
            .await;
        let Err(why) = heard else { return Ok(session) };
        Err(no_executor(&why, &session.talk.preamble()))
    }

    /// The same session, which puts credentials in the place of the marks that stand for them.
    pub fn knowing(self, secrets: Arc<Secrets>) -> Self {
        Session { secrets, ..self }
    }

    /// Asks all questions in one round trip. Never fails: what cannot be known is [`Answer::Unknown`].
    pub async fn ask(&mut self, questions: &[Question]) -> BTreeMap<Question, Answer> {
        let mut answers = BTreeMap::new();
        let mut asked = BTreeMap::new();
        let mut request = Request::default();
        request.look();
        for question in questions {
            if answers.contains_key(question) {
                continue;
            }
            let unknown = match (self.gone(), wire::unsendable(&question.0), self.revealed(question)) {
                (Some(why), ..) => why.to_owned(),
                (None, Some(why), _) => why.to_owned(),
                (None, None, Err(why)) => why,
                (None, None, Ok(revealed)) => {
                    let id = self.id();
                    request.ask(id, &revealed);
                    asked.insert(id, question);
                    String::new()
                }
            };
            answers.insert(question.clone(), Answer::Unknown(unknown));
        }
        let ids: Vec<Id> = asked.keys().copied().collect();
        let started = Instant::now();
        let (returned, why) = self.exchange(Sending::all(request.bytes()), &ids, Some(self.patience)).await;
        debug!(host = %self.host, questions = ids.len(), elapsed = ?started.elapsed(), why, "asked");
        for (id, question) in asked {
            let answer = answer(returned.get(&id), why.as_deref());
            self.log(question, &answer);
            answers.insert(question.clone(), answer);
        }
        answers
    }

    /// Says in the log how a question was answered, but not with what: a host's files may hold secrets that nobody told us.
    fn log(&self, question: &Question, answer: &Answer) {
        let question = || escape_line(&question.0.join(" "));
        match answer {
            Answer::Unknown(why) => {
                let why = escape_line(&self.secrets.conceal(why.clone()));
                trace!(host = %self.host, question = question(), why, "no answer");
            }
            Answer::Said(reply) => {
                let (out, err) = (reply.out.len(), reply.err.len());
                trace!(host = %self.host, question = question(), status = reply.status, out, err, "answer");
            }
        }
    }

    /// Runs a command, if each guard still holds at the last moment. `patience` is how long it may take; `None` waits as
    /// long as the connection lives.
    pub async fn run(&mut self, command: &Command, guard: &[Guard], patience: Option<Duration>) -> Outcome {
        let id = self.id();
        let mut request = Request::default();
        match self.revealed_command(command) {
            Ok(revealed) => request.run(id, &revealed, guard),
            Err(why) => return not_run(&why),
        }
        let sending = Sending::all(request.bytes());
        self.act(id, sending, command, guard, patience, &mut |_, _| {}).await
    }

    /// The same without patience for a command that may take long; `told` hears how many bytes of how many are done.
    pub async fn run_long(
        &mut self,
        command: &Command,
        guard: &[Guard],
        told: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Outcome {
        let id = self.id();
        let mut request = Request::default();
        match self.revealed_command(command) {
            Ok(revealed) => request.run(id, &revealed, guard),
            Err(why) => return not_run(&why),
        }
        let sending = Sending::all(request.bytes());
        self.act(id, sending, command, guard, None, told).await
    }

    /// The same for a command that reads a file of the workstation, `length` bytes from `file`. The bytes follow the
    /// guards, and a broken connection cuts them: the command must check what it got before it acts on it. `patience`
    /// begins anew as long as bytes go out.
    pub async fn upload(
        &mut self,
        command: &Command,
        guard: &[Guard],
        file: &mut (dyn AsyncRead + Send + Unpin),
        length: u64,
        patience: Option<Duration>,
    ) -> Outcome {
        let id = self.id();
        let mut request = Request::default();
        match self.revealed_command(command) {
            Ok(revealed) => request.upload(id, &revealed, guard, length),
            Err(why) => return not_run(&why),
        }
        let sending = Sending::with_file(request.bytes(), file, length);
        self.act(id, sending, command, guard, patience, &mut |_, _| {}).await
    }

    async fn act(
        &mut self,
        id: Id,
        sending: Sending<'_>,
        command: &Command,
        guard: &[Guard],
        patience: Option<Duration>,
        told: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Outcome {
        if let Some(why) = unsendable(command, guard) {
            return not_run(why.as_str());
        }
        if let Some(why) = self.gone() {
            return Outcome::Lost(format!("the command was not sent: {why}"));
        }
        let secrets = Arc::clone(&self.secrets);
        let started = Instant::now();
        let (mut returned, why) = self.exchange_telling(sending, &[id], patience, told).await;
        let why = why.unwrap_or_default();
        let outcome = match returned.remove(&id) {
            Some(Returned { end: Some(end), out: Some(out), err: Some(err) }) => {
                outcome(end, out, err, guard, &secrets)
            }
            _ => Outcome::Lost(format!("{why}: nobody knows whether the command ran to its end")),
        };
        let words = escape_line(&command.argv.join(" "));
        debug!(host = %self.host, command = words, elapsed = ?started.elapsed(), end = outcome.word(), "ran");
        outcome
    }

    /// Takes the lock of the host. It is freed by the kernel when the remote shell has ended, which it does after the
    /// command that it is running, even if we and the connection are gone by then. `holder` is what others are told.
    pub async fn lock(&mut self, holder: &str) -> Result<Locked, NotLocked> {
        self.lock_file(LOCK_FILE, holder).await
    }

    async fn lock_file(&mut self, file: &str, holder: &str) -> Result<Locked, NotLocked> {
        if let Some(why) = self.gone() {
            return Err(NotLocked::Impossible(why.to_owned()));
        }
        let holder = escape_line(holder);
        let id = self.id();
        let mut request = Request::default();
        request.lock(id, file, &holder);
        let (returned, why) = self.exchange(Sending::all(request.bytes()), &[id], Some(self.patience)).await;
        let reply = match answer(returned.get(&id), why.as_deref()) {
            Answer::Unknown(why) => return Err(NotLocked::Impossible(why)),
            Answer::Said(reply) => reply,
        };
        match reply.status {
            0 => Ok(Locked(())),
            4 => Err(NotLocked::Held(escape_line(reply.out.trim_end()))),
            3 if reply.err.is_empty() => {
                Err(NotLocked::Impossible("flock(1) of util-linux is not installed there".to_owned()))
            }
            _ => Err(NotLocked::Impossible(escape_line(reply.err.trim_end()))),
        }
    }

    /// How long one answer may take from now on.
    pub fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// How many times requests went out and replies came back.
    pub fn round_trips(&self) -> u32 {
        self.round_trips
    }

    /// Why nothing more is sent through this session, if so. A command that is run nevertheless is not sent.
    pub fn gone(&self) -> Option<&str> {
        self.talk.gone()
    }

    /// Ends the remote shell and the connection.
    pub async fn close(self) {
        self.talk.end(FAREWELL).await;
    }

    /// The question as the host is to get it, with credentials in the place of their marks.
    fn revealed(&self, question: &Question) -> Result<Question, String> {
        self.reveal(&question.0).map(Question)
    }

    fn revealed_command(&self, command: &Command) -> Result<Command, String> {
        let stdin = command.stdin.iter().cloned().collect::<Vec<_>>();
        Ok(Command { argv: self.reveal(&command.argv)?, stdin: self.reveal(&stdin)?.pop(), upload: None })
    }

    fn reveal(&self, words: &[String]) -> Result<Vec<String>, String> {
        let revealed = words.iter().map(|word| self.secrets.reveal(word).map(std::borrow::Cow::into_owned));
        revealed.collect::<Result<_, _>>().map_err(|name| format!("the value of {name} is not known here"))
    }

    fn id(&mut self) -> Id {
        self.next += 1;
        self.next
    }

    /// One round trip: what came back for each of `ids`, and why something is missing, if it is.
    async fn exchange(
        &mut self,
        sending: Sending<'_>,
        ids: &[Id],
        patience: Option<Duration>,
    ) -> (BTreeMap<Id, Returned>, Option<String>) {
        self.exchange_telling(sending, ids, patience, &mut |_, _| {}).await
    }

    async fn exchange_telling(
        &mut self,
        sending: Sending<'_>,
        ids: &[Id],
        patience: Option<Duration>,
        told: &mut (dyn FnMut(u64, u64) + Send),
    ) -> (BTreeMap<Id, Returned>, Option<String>) {
        let mut returned: BTreeMap<Id, Returned> = ids.iter().map(|id| (*id, Returned::default())).collect();
        if ids.is_empty() {
            return (returned, None);
        }
        self.round_trips += 1;
        let mut left = 2 * ids.len();
        let heard = self
            .talk
            .converse(sending, patience, |from, frame| {
                if let Frame::Progress { bytes, of, .. } = frame {
                    told(bytes, of);
                }
                let Frame::Answer { id, end, text } = frame else { return false };
                let Some(part) = returned.get_mut(&id) else { return false };
                match from {
                    Side::Out => (part.end, part.out) = (Some(end), Some(text)),
                    Side::Err => part.err = Some(text),
                }
                left -= 1;
                left == 0
            })
            .await;
        (returned, heard.err())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn answer(returned: Option<&Returned>, why: Option<&str>) -> Answer {
    match returned {
        Some(Returned { end: Some(End::Exit(status)), out: Some(Some(out)), err: Some(Some(err)) }) => {
            Answer::Said(Reply { status: *status, out: text(out), err: text(err) })
        }
        Some(Returned { end: Some(End::Silent), err: Some(Some(err)), .. }) => Answer::Unknown(text(err)),
        Some(Returned { out: Some(None), .. } | Returned { err: Some(None), .. }) => {
            Answer::Unknown("the answer is larger than 16 MiB, or all of them than 64 MiB".to_owned())
        }
        _ => Answer::Unknown(why.unwrap_or("no whole answer came").to_owned()),
    }
}

fn outcome(end: End, out: Option<Vec<u8>>, err: Option<Vec<u8>>, guards: &[Guard], secrets: &Secrets) -> Outcome {
    let shown = |bytes: Option<Vec<u8>>| match bytes {
        Some(bytes) => secrets.conceal(text(&bytes)),
        None => "(more than 16 MiB, dropped)".to_owned(),
    };
    let (out, err) = (shown(out), shown(err));
    match end {
        End::Exit(0) => Outcome::Done(Reply { status: 0, out, err }),
        End::Exit(status) => Outcome::Failed(Reply { status, out, err }),
        End::Changed(number, status) => match number.checked_sub(1).and_then(|index| guards.get(index)) {
            Some(guard) => Outcome::Changed {
                what: guard.what.clone(),
                was: observed(&guard.out, guard.status, status != guard.status),
                is: observed(&out, status, status != guard.status),
            },
            None => Outcome::Lost("the host names a guard that it was not given".to_owned()),
        },
        End::Text | End::Silent => Outcome::Lost("the host did not say how the command ended".to_owned()),
    }
}

/// What a guard saw, in a few words.
fn observed(out: &str, status: i32, with_status: bool) -> String {
    let out = match out.trim_end_matches('\n') {
        "" => "nothing",
        out => out,
    };
    match with_status {
        true => format!("{out} (status {status})"),
        false => out.to_owned(),
    }
}

fn unsendable(command: &Command, guards: &[Guard]) -> Option<String> {
    if let Some(why) = wire::unsendable(&command.argv) {
        return Some(why.to_owned());
    }
    if command.stdin.as_ref().is_some_and(|text| text.contains('\0')) {
        return Some("the text for the command holds a NUL byte".to_owned());
    }
    guards.iter().find_map(|guard| {
        let why = wire::unsendable(&guard.ask.0)
            .or_else(|| guard.out.contains('\0').then_some("the expected answer holds a NUL byte"))?;
        Some(format!("the guard on {} cannot be asked: {why}", guard.what))
    })
}

fn not_run(why: &str) -> Outcome {
    Outcome::Failed(Reply { status: 126, out: String::new(), err: format!("{why}; it was not run") })
}

/// Why the executor did not become ready, from what was heard instead.
fn no_executor(why: &str, said: &str) -> String {
    let said = said.trim();
    if said.contains("sudo:") {
        return format!(
            "sudo refused (`{}`); allow the user to run sh without a password (NOPASSWD in sudoers), or connect as root",
            escape_line(said)
        );
    }
    if said.is_empty() {
        return format!(
            "no POSIX shell became ready there ({why}); is the login shell of the user one that runs commands?"
        );
    }
    let quoted: String = said.chars().take(500).collect();
    format!("no POSIX shell became ready there ({why}); instead the host said `{}`", escape_line(&quoted))
}

#[cfg(test)]
mod tests;
