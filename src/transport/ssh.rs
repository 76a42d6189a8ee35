//! A host reached by SSH: one connection of the system's `ssh`, one session on it.

use std::error::Error as _;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use openssh::{Child, ControlPersist, KnownHosts, SessionBuilder, Stdio};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::exchange::{Process, Spawned};
use crate::model::escape_line;
use crate::model::host::Ssh;

/// Connects at once, over all hosts: beyond that sshd's MaxStartups and our own processors only lose.
static CONNECTS: Semaphore = Semaphore::const_new(8);

/// How many seconds the connection lingers after its session, when nobody is left to close it. A kill of us ends the
/// session once the command that runs on the host has ended, which thus never loses its output.
const LINGER: NonZeroUsize = NonZeroUsize::new(10).expect("ten is not zero");

/// How often a silent connection is asked for a sign of life; ssh gives up after three without one.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// The remote end of a session.
pub(super) struct Remote {
    child: Option<Child<Arc<openssh::Session>>>,
    session: Option<Arc<openssh::Session>>,
    log: PathBuf,
    _control: Arc<ControlDirectory>,
}

/// Connects and starts the words as the one remote command.
pub(super) async fn spawn(ssh: &Ssh, timeout: Duration, words: &[String]) -> Result<Spawned, String> {
    check(ssh)?;
    let control = ControlDirectory::of_this_process()?;
    let session = {
        let _permit = CONNECTS.acquire().await.map_err(|error| error.to_string())?;
        builder(ssh, timeout, control.path())?
            .connect_mux(&ssh.address)
            .await
            .map_err(|error| unreached(ssh, timeout, &chain(&error)))?
    };
    let session = Arc::new(session);
    let log = session.control_socket().with_file_name("log");
    let mut child = openssh::Session::to_raw_command(Arc::clone(&session), login_command(words)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .await
        .map_err(|error| format!("{} opened no session: {}", ssh.address, chain(&error)))?;
    let streams = (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let (Some(requests), Some(out), Some(err)) = streams else {
        return Err("the session was opened without its streams".to_owned());
    };
    Ok(Spawned {
        requests: Box::new(requests),
        out: Box::new(out),
        err: Box::new(err),
        process: Process::Ssh(Remote { child: Some(child), session: Some(session), log, _control: control }),
    })
}

impl Remote {
    pub(super) async fn end(&mut self, patience: Duration) -> String {
        let ended = match self.child.take() {
            Some(child) => tokio::time::timeout(patience, child.wait()).await.ok(),
            None => None,
        };
        // What ssh itself had to say, before its directory goes.
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).trim().to_owned();
        if let Some(session) = self.session.take().and_then(Arc::into_inner) {
            // A connection that is gone already is closed enough.
            let _ = tokio::time::timeout(patience, session.close()).await;
        }
        match (ended, log.lines().last()) {
            (Some(Ok(status)), _) => format!("the remote shell ended ({status})"),
            (_, Some(last)) => format!("the connection was lost: {}", escape_line(last)),
            (Some(Err(openssh::Error::Remote(_))), None) => "the remote shell ended (exit status: 127)".to_owned(),
            _ => "the connection was lost".to_owned(),
        }
    }
}

/// The words as one line for whatever login shell the user has: plain words, and quoted ones without a quote inside.
pub(super) fn login_command(words: &[String]) -> Result<String, String> {
    let quoted: Result<Vec<String>, String> = words
        .iter()
        .map(|word| match word {
            plain if plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => Ok(plain.clone()),
            quotable if !quotable.contains(['\'', '\\', '!', '\n']) => Ok(format!("'{quotable}'")),
            other => Err(format!("`{other}` cannot be passed through a login shell")),
        })
        .collect();
    Ok(format!("exec {}", quoted?.join(" ")))
}

/// What ssh would take for an option, or could not use at all.
fn check(ssh: &Ssh) -> Result<(), String> {
    let words = [("address", Some(&ssh.address)), ("user", ssh.user.as_ref()), ("jump", ssh.jump.as_ref())];
    for (name, word) in words {
        let Some(word) = word else { continue };
        if word.is_empty() || word.starts_with('-') || word.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!("`{}` cannot be the {name} of an SSH connection", escape_line(word)));
        }
    }
    let jumps = ssh.jump.iter().flat_map(|jump| jump.split(','));
    if let Some(hop) = jumps.map(|hop| hop.rsplit('@').next().unwrap_or(hop)).find(|hop| hop.starts_with('-')) {
        return Err(format!("`{}` cannot be a jump host", escape_line(hop)));
    }
    for (name, path) in [("identity_file", &ssh.identity_file), ("ssh_config", &ssh.ssh_config)] {
        if let Some(path) = path {
            let readable = File::open(home(path));
            readable.map_err(|error| format!("{name} `{}` cannot be read: {error}", escape_line(path)))?;
        }
    }
    Ok(())
}

fn builder(ssh: &Ssh, timeout: Duration, control: &Path) -> Result<SessionBuilder, String> {
    let mut builder = SessionBuilder::default();
    builder
        .known_hosts_check(KnownHosts::Strict)
        .control_directory(control)
        .control_persist(ControlPersist::IdleFor(LINGER))
        .server_alive_interval(SIGN_OF_LIFE)
        .connect_timeout(timeout.max(Duration::from_secs(1)));
    if let Some(user) = &ssh.user {
        builder.user(user.clone());
    }
    if let Some(port) = ssh.port {
        builder.port(port);
    }
    if let Some(path) = &ssh.identity_file {
        builder.keyfile(home(path));
    }
    match (&ssh.jump, &ssh.ssh_config) {
        (Some(jump), _) => {
            builder.jump_hosts(jump.split(',')).config_file(jump_config(ssh, timeout, control)?);
        }
        (None, Some(path)) => {
            builder.config_file(home(path));
        }
        (None, None) => {}
    }
    if let Some(path) = &ssh.known_hosts {
        builder.user_known_hosts_file(option_value(path)?);
    }
    Ok(builder)
}

/// A configuration that also governs the ssh to the jump host, which takes none of our options: it must not ask for
/// passwords or trust unknown keys either. The user's own configuration comes after it.
fn jump_config(ssh: &Ssh, timeout: Duration, control: &Path) -> Result<PathBuf, String> {
    let mut lines = vec![
        "BatchMode yes".to_owned(),
        "StrictHostKeyChecking yes".to_owned(),
        format!("ConnectTimeout {}", timeout.as_secs().max(1)),
        format!("ServerAliveInterval {}", SIGN_OF_LIFE.as_secs()),
    ];
    if let Some(path) = &ssh.known_hosts {
        lines.push(format!("UserKnownHostsFile {}", option_value(path)?));
    }
    if let Some(path) = &ssh.identity_file {
        lines.push(format!("IdentityFile {}", option_value(path)?));
    }
    match &ssh.ssh_config {
        Some(path) => {
            let path = std::path::absolute(home(path)).map_err(|error| error.to_string())?;
            lines.push(format!("Include \"{}\"", path.display()));
        }
        None => lines.extend(["Include ~/.ssh/config".to_owned(), "Include /etc/ssh/ssh_config".to_owned()]),
    }
    let failed = |error: std::io::Error| format!("no configuration for the jump host can be written: {error}");
    let file = tempfile::Builder::new().prefix("jump-").tempfile_in(control).map_err(failed)?;
    std::fs::write(file.path(), lines.join("\n") + "\n").map_err(failed)?;
    // Goes with its directory.
    file.into_temp_path().keep().map_err(|error| failed(error.error))
}

/// A path as the value of an ssh option, which has quotes and percent tokens of its own.
fn option_value(path: &str) -> Result<String, String> {
    match path.contains(['"', '\\', '\n']) {
        true => Err(format!("`{}` holds a character that ssh cannot read in a path", escape_line(path))),
        false => Ok(format!("\"{}\"", path.replace('%', "%%"))),
    }
}

fn home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

/// The whole chain of causes; the useful one is the last.
fn chain(error: &openssh::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What ssh said, and what to type next.
fn unreached(ssh: &Ssh, timeout: Duration, said: &str) -> String {
    let by_hand = by_hand(ssh);
    let known_hosts = ssh.known_hosts.as_deref().unwrap_or("~/.ssh/known_hosts");
    let cure = if said.contains("IDENTIFICATION HAS CHANGED") {
        format!(
            "its key is not the one in {known_hosts}; if the host was installed anew, remove the old key with `ssh-keygen -f {known_hosts} -R '{}'`, otherwise somebody may stand in between",
            known_name(ssh)
        )
    } else if said.contains("Host key verification failed") || said.contains("host key is known") {
        format!("its key is not in {known_hosts}; connect once by hand and compare the fingerprint: `{by_hand}`")
    } else if let Some(jump) = ssh.jump.as_ref().filter(|_| said.contains("UNKNOWN port")) {
        // What the ssh to the jump host had to say is lost: it has no log.
        format!("the jump host {} let nothing through; see why by hand: `{by_hand}`", escape_line(jump))
    } else if said.contains("Permission denied") {
        format!(
            "no key was accepted, and passwords are never asked for; load the key into an agent or set identity_file, then try `{by_hand}`"
        )
    } else if said.contains("Connection refused") {
        "nothing listens there; is sshd running, and is the port right?".to_owned()
    } else if said.contains("timed out") {
        format!("no reply within {} s; is the host up, and is a firewall between?", timeout.as_secs().max(1))
    } else if said.contains("Could not resolve") {
        "the name has no address; set `address` of the host block, or name it in ssh_config".to_owned()
    } else {
        format!("try by hand: `{by_hand}`")
    };
    format!("{cure} (ssh: {})", escape_line(said.trim()))
}

/// The same connection as people would type it.
fn by_hand(ssh: &Ssh) -> String {
    let mut words = vec!["ssh".to_owned()];
    let port = ssh.port.map(|port| port.to_string());
    let options = [("-F", &ssh.ssh_config), ("-p", &port), ("-i", &ssh.identity_file), ("-J", &ssh.jump)];
    for (option, value) in options {
        words.extend(value.iter().flat_map(|value| [option.to_owned(), value.clone()]));
    }
    if let Some(path) = &ssh.known_hosts {
        words.extend(["-o".to_owned(), format!("UserKnownHostsFile={path}")]);
    }
    words.push(match &ssh.user {
        Some(user) => format!("{user}@{}", ssh.address),
        None => ssh.address.clone(),
    });
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| format!("ssh {}", escape_line(&ssh.address)))
}

/// The host as known_hosts names it.
fn known_name(ssh: &Ssh) -> String {
    match ssh.port {
        None | Some(22) => ssh.address.clone(),
        Some(port) => format!("[{}]:{port}", ssh.address),
    }
}

/// Where the sockets of this process's connections live: private, short enough for a socket's name, gone with the last
/// connection.
struct ControlDirectory {
    directory: TempDir,
    /// Held while we live, so that others can tell a directory that was left behind.
    _alive: File,
}

const CONTROL_PREFIX: &str = "larder-ssh-";
const ALIVE: &str = "alive";
/// What openssh and ssh append to the directory, within the 108 bytes of a socket's name.
const LONGEST_BASE: usize = 108 - "/larder-ssh-XXXXXX/.ssh-connectionXXXXXX/master.XXXXXXXXXXXXXXXX\0".len();

impl ControlDirectory {
    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn of_this_process() -> Result<Arc<Self>, String> {
        static CURRENT: Mutex<Weak<ControlDirectory>> = Mutex::new(Weak::new());
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = current.upgrade() {
            return Ok(directory);
        }
        let base = control_base();
        sweep(&base);
        let directory =
            Arc::new(Self::create(&base).map_err(|error| {
                format!("no directory for the connections can be made in {}: {error}", base.display())
            })?);
        *current = Arc::downgrade(&directory);
        Ok(directory)
    }

    fn create(base: &Path) -> std::io::Result<Self> {
        // Mode 0700 is what tempfile gives a directory.
        let directory = tempfile::Builder::new().prefix(CONTROL_PREFIX).tempdir_in(base)?;
        // Under its name it is locked from the first moment: a sweep by another process would take it for one that was left behind.
        let unnamed = directory.path().join("alive.new");
        let alive = File::create_new(&unnamed)?;
        alive.lock()?;
        std::fs::rename(&unnamed, directory.path().join(ALIVE))?;
        Ok(ControlDirectory { directory, _alive: alive })
    }
}

fn control_base() -> PathBuf {
    let candidates = [std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), Some(std::env::temp_dir())];
    let fits = |base: &PathBuf| base.is_absolute() && base.is_dir() && base.as_os_str().len() <= LONGEST_BASE;
    candidates.into_iter().flatten().find(fits).unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// Removes what killed processes left behind. Best effort: what cannot be removed is in nobody's way.
fn sweep(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    let ours = |entry: &std::fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with(CONTROL_PREFIX) && entry.file_type().is_ok_and(|ty| ty.is_dir())
    };
    for entry in entries.filter_map(Result::ok).filter(ours) {
        let Ok(alive) = File::open(entry.path().join(ALIVE)) else { continue };
        if alive.try_lock().is_ok() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(address: &str) -> Ssh {
        Ssh { address: address.into(), ..Ssh::default() }
    }

    #[test]
    fn what_ssh_would_take_for_an_option_is_refused() {
        for address in ["-oProxyCommand=touch /tmp/x", "", "a b", "a\nb"] {
            assert!(check(&to(address)).is_err(), "{address}");
        }
        assert!(check(&Ssh { jump: Some("ok,-oX".into()), ..to("h") }).is_err());
        assert!(check(&Ssh { jump: Some("user@-oX".into()), ..to("h") }).is_err());
        assert!(check(&Ssh { user: Some("-l".into()), ..to("h") }).is_err());
        assert!(check(&Ssh { user: Some("root".into()), jump: Some("a,b@c".into()), ..to("10.0.0.1") }).is_ok());
    }

    #[test]
    fn what_ssh_says_comes_with_a_cure() {
        let ssh = Ssh { port: Some(2222), user: Some("root".into()), ..to("hv1") };
        let table = [
            ("Host key verification failed.", "`ssh -p 2222 root@hv1`"),
            ("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!", "-R '[hv1]:2222'"),
            ("root@hv1: Permission denied (publickey).", "identity_file"),
            ("connect to host hv1 port 2222: Connection refused", "is sshd running"),
            ("connect to host hv1 port 2222: Connection timed out", "within 5 s"),
            ("Could not resolve hostname hv1: Name or service not known", "`address`"),
        ];
        for (said, cure) in table {
            let text = unreached(&ssh, Duration::from_secs(5), said);
            assert!(text.contains(cure) && text.contains(said), "{text}");
        }
    }

    #[test]
    fn a_directory_that_was_left_behind_is_swept_and_a_living_one_is_not() {
        let base = tempfile::tempdir().expect("a directory");
        let living = ControlDirectory::create(base.path()).expect("created");
        let dead = base.path().join("larder-ssh-dead");
        std::fs::create_dir(&dead).expect("created");
        std::fs::write(dead.join(ALIVE), "").expect("written");
        sweep(base.path());
        assert!(living.path().exists() && !dead.exists());
    }

    #[test]
    fn a_directory_that_is_just_made_is_not_swept() {
        let base = tempfile::tempdir().expect("a directory");
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    sweep(base.path());
                }
            });
            let made: Vec<_> = (0..300).map(|_| ControlDirectory::create(base.path())).collect();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(made.into_iter().all(|one| one.is_ok_and(|one| one.path().join(ALIVE).exists())));
        });
    }
}
