//! The file server of a host (Samba, smb.conf(5)): what is installed and runs, what its own reader finds of a share, who its users are
//! and whether they can log in. No password is ever in an answer.

use std::collections::BTreeSet;

use crate::model::{Guard, HostFacts, Question};

use super::mounts::escape;
use super::{Known, failure};

pub const CONFIGURATION: &str = "/etc/samba/smb.conf";

/// Where each share of Larder's has a file of its own.
pub const DIRECTORY: &str = "/etc/samba/larder";

/// Programs that steps need, by the package that Debian has them in.
pub const PROGRAMS: &[(&str, &str)] = &[
    ("smbd", "samba"),
    ("pdbedit", "samba"),
    ("smbcontrol", "samba"),
    ("smbstatus", "samba"),
    ("smbpasswd", "samba-common-bin"),
    ("testparm", "samba-common-bin"),
    ("smbclient", "smbclient"),
    ("useradd", "passwd"),
];

/// The constant functions that questions use on the host.
pub const FUNCTIONS: [(&str, &str); 10] = [
    ("samba_facts", include_str!("samba_facts.sh")),
    ("samba_without", include_str!("samba_without.sh")),
    ("samba_share", include_str!("samba_share.sh")),
    ("samba_account", include_str!("samba_account.sh")),
    ("samba_number", include_str!("samba_number.sh")),
    ("samba_user", include_str!("samba_user.sh")),
    ("samba_login", include_str!("samba_login.sh")),
    ("samba_connections", include_str!("samba_connections.sh")),
    ("cifs_login", include_str!("cifs_login.sh")),
    ("cifs_login_anew", include_str!("cifs_login_anew.sh")),
];

/// The constant functions that steps use on the host.
pub const STEP_FUNCTIONS: [(&str, &str); 11] = [
    ("samba_accepts", include_str!("samba_accepts.sh")),
    ("reload_samba", include_str!("reload_samba.sh")),
    ("write_samba_share", include_str!("write_samba_share.sh")),
    ("remove_samba_share", include_str!("remove_samba_share.sh")),
    ("edit_samba", include_str!("edit_samba.sh")),
    ("add_system_user", include_str!("add_system_user.sh")),
    ("set_samba_password", include_str!("set_samba_password.sh")),
    ("add_samba_user", include_str!("add_samba_user.sh")),
    ("drop_samba_user", include_str!("drop_samba_user.sh")),
    ("remove_samba_user", include_str!("remove_samba_user.sh")),
    ("try_samba_login", include_str!("try_samba_login.sh")),
];

/// The file of a share. Samba does not tell cases apart, so neither do the names of the files; it would read a per cent sign in one as
/// the beginning of a variable.
pub fn share_file(share: &str) -> String {
    let mut name = String::with_capacity(share.len());
    for byte in share.to_ascii_lowercase().bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => name.push(byte as char),
            _ => name.push_str(&format!("+{byte:02X}")),
        }
    }
    format!("{DIRECTORY}/{name}.conf")
}

// ---- what is installed and runs --------------------------------------------------------------------------------------

/// What starts smbd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// A unit of systemd.
    Unit { name: String, loaded: String, enabled: String, active: String },
    /// Nobody that Larder knows; whether it runs.
    ByHand { runs: bool },
}

impl Service {
    pub fn runs(&self) -> bool {
        match self {
            // While it reloads it serves; what is being started needs no start.
            Service::Unit { active, .. } => {
                matches!(active.as_str(), "active" | "reloading" | "refreshing" | "activating")
            }
            Service::ByHand { runs } => *runs,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Packages with programs that are missing, by the program.
    pub missing: Vec<(&'static str, &'static str)>,
    pub service: Service,
}

pub fn question() -> Question {
    Question::new(std::iter::once("samba_facts").chain(PROGRAMS.iter().map(|(program, _)| *program)))
}

pub fn read(facts: &HostFacts) -> Known<Installed> {
    let reply = facts.said(&question())?;
    let text = reply.out.strip_suffix("end\n").filter(|_| reply.status == 0).ok_or_else(|| failure(&reply))?;
    let words: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let has = |program: &str| words.iter().any(|line| line.as_slice() == ["program", program]);
    let missing = PROGRAMS.iter().copied().filter(|(program, _)| !has(program)).collect();
    // Where both names are known (one is an alias), the first is Debian's own.
    let units = words.iter().find_map(|line| match line.as_slice() {
        ["unit", name, loaded, enabled, active] => {
            let [name, loaded, enabled, active] = [name, loaded, enabled, active].map(|word| (*word).to_owned());
            Some(Service::Unit { name, loaded, enabled, active })
        }
        _ => None,
    });
    let runs = words.iter().any(|line| line.as_slice() == ["running", "yes"]);
    Ok(Installed { missing, service: units.unwrap_or(Service::ByHand { runs }) })
}

// ---- smb.conf --------------------------------------------------------------------------------------------------------

pub fn configuration_question() -> Question {
    Question::new(["cat", CONFIGURATION])
}

/// The text of smb.conf.
pub fn read_configuration(facts: &HostFacts) -> Known<String> {
    let reply = facts.said(&configuration_question())?;
    if reply.status == 0 { Ok(reply.out) } else { Err(failure(&reply)) }
}

/// The lines of smb.conf that include a file, as they are written.
pub fn includes(configuration: &str, file: &str) -> Vec<String> {
    let is_include = |line: &&str| {
        let Some((name, value)) = line.split_once('=') else { return false };
        let name: String = name.chars().filter(|c| !c.is_whitespace()).collect();
        name.eq_ignore_ascii_case("include") && value.trim().trim_matches('"') == file
    };
    configuration.lines().filter(is_include).map(str::to_owned).collect()
}

pub fn file_question(path: &str) -> Question {
    Question::new(["cat", "--", path])
}

/// The text of a file; `None` where it is missing.
pub fn read_file(facts: &HostFacts, path: &str) -> Known<Option<String>> {
    let reply = facts.said(&file_question(path))?;
    match reply.status {
        0 => Ok(Some(reply.out)),
        _ if reply.err.trim_end().ends_with("No such file or directory") => Ok(None),
        _ => Err(failure(&reply)),
    }
}

/// A guard that holds while a file says what it said.
pub fn unchanged(path: &str, text: Option<&str>) -> Guard {
    let what = format!("the text of {path}");
    match text {
        Some(text) => Guard { what, ask: file_question(path), status: 0, out: text.to_owned() },
        None => Guard { what, ask: Question::new(["is_absent", path]), status: 0, out: "absent\n".to_owned() },
    }
}

// ---- a share, as Samba reads it --------------------------------------------------------------------------------------

/// The parameters of a share that Larder gives, in the order of its file.
pub const PARAMETERS: [&str; 4] = ["path", "read only", "valid users", "guest ok"];

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Share {
    /// Something else than the file of the share declares it.
    pub elsewhere: bool,
    /// The values of [`PARAMETERS`] in force; `None` where there is no such share.
    pub values: Option<Vec<String>>,
}

pub fn share_question(share: &str) -> Question {
    let file = share_file(share);
    Question::new(["samba_share", share, &file].into_iter().chain(PARAMETERS))
}

pub fn read_share(facts: &HostFacts, share: &str) -> Known<Share> {
    let reply = facts.said(&share_question(share))?;
    let text = reply.out.strip_suffix("end\n").filter(|_| reply.status == 0).ok_or_else(|| failure(&reply))?;
    let value = |name: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix("value ")?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    let values: Vec<_> = PARAMETERS.iter().filter_map(|name| value(name)).collect();
    let values = match values.len() {
        0 => None,
        all if all == PARAMETERS.len() => Some(values),
        _ => return Err("testparm told some of the values only".to_owned()),
    };
    Ok(Share { elsewhere: text.lines().any(|line| line == "elsewhere"), values })
}

/// A guard that holds while nothing but its own file declares a share.
pub fn nowhere_else(share: &str) -> Guard {
    let ask = Question::new(["samba_share", share, &share_file(share)]);
    Guard { what: format!("other shares called {share}"), ask, status: 0, out: "end\n".to_owned() }
}

// ---- users -----------------------------------------------------------------------------------------------------------

pub fn account_question(user: &str) -> Question {
    Question::new(["samba_account", user])
}

/// Whether Samba's own database has a user.
pub fn read_account(facts: &HostFacts, user: &str) -> Known<bool> {
    let reply = facts.said(&account_question(user))?;
    match (reply.status, reply.out.trim_end()) {
        (0, "present") => Ok(true),
        (0, "absent") => Ok(false),
        _ => Err(failure(&reply)),
    }
}

/// Whose an account in Samba's own database is, and who may need it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    /// Larder made it: the host has a mark with its number.
    pub is_marked: bool,
    /// The mark is of an account that somebody has removed, or made anew.
    pub is_outlived: bool,
    /// The shares that may need it, in lower case.
    pub shares: BTreeSet<String>,
}

pub fn claim_question(user: &str) -> Question {
    Question::new(["samba_user", user])
}

pub fn read_claim(facts: &HostFacts, user: &str) -> Known<Claim> {
    let reply = facts.said(&claim_question(user))?;
    let text = reply.out.strip_suffix("end\n").filter(|_| reply.status == 0).ok_or_else(|| failure(&reply))?;
    let shares = text.lines().filter_map(|line| line.strip_prefix("named ")).map(str::to_owned).collect();
    let has = |word: &str| text.lines().any(|line| line == word);
    Ok(Claim { is_marked: has("marked"), is_outlived: has("outlived"), shares })
}

/// Where and as whom to log in. The password may be a mark.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// What the share shows, on the server; where it is mounted, elsewhere. While that does not answer nobody logs in.
    pub directory: &'a str,
    pub server: &'a str,
    pub share: &'a str,
    pub user: &'a str,
    pub password: &'a str,
    pub domain: Option<&'a str>,
}

/// What came of a login, in Samba's words where there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggedIn {
    Yes,
    /// Nobody could be asked.
    Unreachable(String),
    /// The user or the password is not the right one, or the account is closed.
    Refused(String),
    /// The user is let in, and there is no such share.
    NoShare(String),
    /// The user is let in, and not into the share.
    Denied(String),
}

impl LoggedIn {
    /// What the server said.
    pub fn message(&self) -> &str {
        match self {
            LoggedIn::Yes => "NT_STATUS_OK",
            LoggedIn::Unreachable(text)
            | LoggedIn::Refused(text)
            | LoggedIn::NoShare(text)
            | LoggedIn::Denied(text) => text,
        }
    }
}

pub fn login_question(login: &Login<'_>) -> Question {
    let words = ["samba_login", login.directory, login.server, login.share, login.user, login.password];
    Question::new(words.into_iter().chain(login.domain))
}

pub fn read_login(facts: &HostFacts, login: &Login<'_>) -> Known<LoggedIn> {
    read_logged_in(facts, &login_question(login))
}

/// The same from a client on which the share may be mounted: nobody logs in then, and so nothing is known of it.
pub fn client_login_question(login: &Login<'_>) -> Question {
    let words = ["cifs_login".to_owned(), escape(login.directory)];
    Question::new(words.into_iter().chain(login_question(login).0.into_iter().skip(1)))
}

pub fn read_client_login(facts: &HostFacts, login: &Login<'_>) -> Known<LoggedIn> {
    read_logged_in(facts, &client_login_question(login))
}

/// The same from a client whose mount of the share does not work any more; nothing is known of it elsewhere.
pub fn renewing_login_question(login: &Login<'_>) -> Question {
    let words = ["cifs_login_anew".to_owned(), escape(login.directory)];
    Question::new(words.into_iter().chain(login_question(login).0.into_iter().skip(1)))
}

pub fn read_renewing_login(facts: &HostFacts, login: &Login<'_>) -> Known<LoggedIn> {
    read_logged_in(facts, &renewing_login_question(login))
}

fn read_logged_in(facts: &HostFacts, question: &Question) -> Known<LoggedIn> {
    let reply = facts.said(question)?;
    if reply.status != 0 {
        return Err(failure(&reply));
    }
    // Words of smbclient(1): what it was at stands before the status.
    let told = reply.out.lines().find_map(|line| line.strip_prefix("failed "));
    let Some(told) = told else {
        return if reply.out.trim_end() == "ok" { Ok(LoggedIn::Yes) } else { Err(failure(&reply)) };
    };
    let told = told.to_owned();
    Ok(match &told {
        text if text.starts_with("session setup failed") => LoggedIn::Refused(told),
        text if text.contains("NT_STATUS_BAD_NETWORK_NAME") => LoggedIn::NoShare(told),
        text if text.starts_with("tree connect failed") || text.contains("NT_STATUS_ACCESS_DENIED") => {
            LoggedIn::Denied(told)
        }
        _ => LoggedIn::Unreachable(told),
    })
}

// ---- who is connected ------------------------------------------------------------------------------------------------

pub fn connections_question(share: &str) -> Question {
    Question::new(["samba_connections", share])
}

/// Who is connected to a share: machines, each with the process that serves it.
pub fn read_connections(facts: &HostFacts, share: &str) -> Known<Vec<String>> {
    let reply = facts.said(&connections_question(share))?;
    let text = reply.out.strip_suffix("end\n").filter(|_| reply.status == 0).ok_or_else(|| failure(&reply))?;
    let mut all: Vec<_> = text
        .lines()
        .map(|line| match line.split_once(' ') {
            Some((pid, machine)) if !machine.is_empty() => format!("{machine} (smbd pid {pid})"),
            _ => format!("smbd pid {line}"),
        })
        .collect();
    all.sort();
    all.dedup();
    Ok(all)
}

/// A guard that holds while nobody is connected to a share.
pub fn nobody(share: &str) -> Guard {
    Guard {
        what: format!("who is connected to the share {share}"),
        ask: connections_question(share),
        status: 0,
        out: "end\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, Reply};

    fn facts(question: Question, status: i32, out: &str, err: &str) -> HostFacts {
        let reply = Reply { status, out: out.to_owned(), err: err.to_owned() };
        HostFacts::Reached([(question, Answer::Said(reply))].into())
    }

    #[test]
    fn a_share_is_known_only_by_a_whole_answer() {
        let share = |status, out: &str| read_share(&facts(share_question("media"), status, out, ""), "media");
        let whole = "value path=/srv/a=b c\nvalue read only=Yes\nvalue valid users=u v\nvalue guest ok=No\nend\n";
        let values = ["/srv/a=b c", "Yes", "u v", "No"].map(str::to_owned).to_vec();
        assert_eq!(share(0, whole), Ok(Share { elsewhere: false, values: Some(values) }));
        assert_eq!(share(0, "end\n"), Ok(Share::default()));
        assert_eq!(share(0, "elsewhere\nend\n").map(|share| share.elsewhere), Ok(true));
        for (status, out) in [(0, ""), (1, "end\n"), (0, "value path=/srv\nend\n"), (127, "")] {
            assert!(share(status, out).is_err(), "{status} {out:?}");
        }
    }

    #[test]
    fn each_word_of_smbclient_has_its_meaning() {
        let login = Login { directory: "/m", server: "127.0.0.1", share: "m", user: "u", password: "p", domain: None };
        let read = |status, out: &str| read_login(&facts(login_question(&login), status, out, ""), &login);
        let text = |text: &str| text.to_owned();
        let table = [
            ("ok\n", LoggedIn::Yes),
            (
                "failed session setup failed: NT_STATUS_LOGON_FAILURE\n",
                LoggedIn::Refused(text("session setup failed: NT_STATUS_LOGON_FAILURE")),
            ),
            (
                "failed tree connect failed: NT_STATUS_BAD_NETWORK_NAME\n",
                LoggedIn::NoShare(text("tree connect failed: NT_STATUS_BAD_NETWORK_NAME")),
            ),
            (
                "failed tree connect failed: NT_STATUS_ACCESS_DENIED\n",
                LoggedIn::Denied(text("tree connect failed: NT_STATUS_ACCESS_DENIED")),
            ),
            (
                "failed NT_STATUS_ACCESS_DENIED listing \\*\n",
                LoggedIn::Denied(text("NT_STATUS_ACCESS_DENIED listing \\*")),
            ),
            (
                "failed do_connect: Connection to 127.0.0.1 failed (Error NT_STATUS_CONNECTION_REFUSED)\n",
                LoggedIn::Unreachable(text(
                    "do_connect: Connection to 127.0.0.1 failed (Error NT_STATUS_CONNECTION_REFUSED)",
                )),
            ),
        ];
        for (out, meaning) in table {
            assert_eq!(read(0, out), Ok(meaning), "{out}");
        }
        for (status, out) in [(0, ""), (1, "ok\n"), (124, ""), (0, "okay\n")] {
            assert!(read(status, out).is_err(), "{status} {out:?}");
        }
    }

    #[test]
    fn an_account_and_connections_are_never_absent_by_silence() {
        for (status, out, expected) in [
            (0, "present\n", Some(true)),
            (0, "absent\n", Some(false)),
            (0, "", None),
            (1, "absent\n", None),
            (127, "", None),
        ] {
            let facts = facts(account_question("u"), status, out, "");
            assert_eq!(read_account(&facts, "u").ok(), expected, "{status} {out:?}");
        }
        let read = |status, out: &str| read_connections(&facts(connections_question("m"), status, out, ""), "m");
        assert_eq!(read(0, "end\n"), Ok(Vec::new()));
        assert_eq!(read(0, "55 10.0.0.7\nend\n"), Ok(vec!["10.0.0.7 (smbd pid 55)".to_owned()]));
        assert!(read(0, "").is_err() && read(1, "end\n").is_err());
        let read = |status, out: &str| read_claim(&facts(claim_question("u"), status, out, ""), "u");
        assert_eq!(read(0, "end\n"), Ok(Claim::default()));
        let shares = ["a b".to_owned(), "c".to_owned()].into();
        assert_eq!(
            read(0, "marked\nnamed a b\nnamed c\nend\n"),
            Ok(Claim { is_marked: true, is_outlived: false, shares })
        );
        assert!(read(0, "marked\n").is_err() && read(1, "end\n").is_err());
    }

    #[test]
    fn an_include_is_found_however_it_is_written() {
        let file = share_file("Media 1");
        assert_eq!(file, "/etc/samba/larder/media+201.conf");
        let text =
            format!("[global]\n Include= \"{file}\"\n# include = {file}\ninclude = {file}\ninclude = {file}.x\n");
        assert_eq!(includes(&text, &file), [format!(" Include= \"{file}\""), format!("include = {file}")]);
    }

    #[test]
    fn the_service_of_the_distribution_is_found() {
        let read = |out: &str| read(&facts(question(), 0, out, "")).map(|installed| installed.service);
        let unit = |name: &str, active: &str| Service::Unit {
            name: name.to_owned(),
            loaded: "loaded".to_owned(),
            enabled: "enabled".to_owned(),
            active: active.to_owned(),
        };
        assert_eq!(read("unit smbd loaded enabled active\nend\n"), Ok(unit("smbd", "active")));
        assert_eq!(read("unit smb loaded enabled inactive\nend\n"), Ok(unit("smb", "inactive")));
        assert_eq!(read("running yes\nend\n"), Ok(Service::ByHand { runs: true }));
        for (active, runs) in [
            ("active", true),
            ("reloading", true),
            ("activating", true),
            ("inactive", false),
            ("failed", false),
            ("deactivating", false),
        ] {
            assert_eq!(unit("smbd", active).runs(), runs, "{active}");
        }
        assert!(read("unit smbd loaded enabled active\n").is_err(), "cut off");
    }
}
