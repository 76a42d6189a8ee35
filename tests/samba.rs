//! What asks and changes Samba on a host, in every shell, with programs that stand for Samba's own; and what a configuration may say.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use larder::config::{self, Inputs};
use larder::kinds::{self, ask::samba};
use larder::model::Datum;
use tempfile::TempDir;

/// A directory that stands for /etc/samba, with programs beside it.
struct Stage(TempDir);

impl Stage {
    fn new() -> Self {
        let stage = Stage(TempDir::new().expect("a directory"));
        std::fs::create_dir_all(stage.at("bin")).expect("a directory");
        std::fs::create_dir_all(stage.at("samba")).expect("a directory");
        stage
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("text").to_owned()
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.at(&format!("bin/{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a mode");
    }

    /// What a function says in a shell, or what it complains of.
    fn call(&self, shell: &[&str], words: &[&str]) -> Result<String, String> {
        let mut script = String::new();
        let empty = ("remove_empty_directories", include_str!("../src/kinds/ask/remove_empty.sh"));
        for (name, body) in samba::FUNCTIONS.iter().chain(&samba::STEP_FUNCTIONS).chain([&empty]) {
            script.push_str(&format!("{name}() {{\n{}\n}}\n", body.replace("/etc/samba", &self.at("samba"))));
        }
        script.push_str("\"$@\"\n");
        let path = format!("{}:{}", self.at("bin"), std::env::var("PATH").expect("a path"));
        let mut command = Command::new(shell[0]);
        let said = command.args(&shell[1..]).args(["-c", &script, "sh"]).args(words).env("PATH", path).output();
        let said = said.expect("a shell");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
    }
}

const SHELLS: [&[&str]; 3] = [&["dash"], &["bash", "--posix"], &["bash"]];

#[test]
fn a_share_that_may_need_a_user_is_found_however_it_names_them() {
    let stage = Stage::new();
    stage.program("testparm", &format!("cat '{}'", stage.at("told")));
    stage.program("id", "echo 'larder media'");
    // `getent -- group NAME`
    stage.program(
        "getent",
        "case \"$2 $3\" in 'passwd larder') echo 'larder:x:9:9::/nonexistent:/sbin/nologin' ;; 'group strangers' | passwd*) exit 2 ;; esac",
    );
    for (share, named) in [
        ("[m]\n\tvalid users = larder", true),
        ("[m]\n\tvalid users = a, Larder", true),
        ("[m]\n\tvalid users = \"larder\"", true),
        ("[m]\n\tvalid users = HOME\\larder", true),
        ("[m]\n\tvalid users = @media", true),
        ("[m]\n\tvalid users = +&HOME\\media", true),
        ("[m]\n\tvalid users = @strangers", true),
        ("[m]\n\tvalid users = %U", true),
        ("[m]\n\tvalid users = a\n\twrite list = larder", true),
        ("[m]\n\tvalid users = a\n\tforce user = larder", true),
        ("[m]\n\tvalid users = a\n\tadmin users = larder", true),
        ("[m]\n\tpath = /srv", true),
        ("[m]\n\tvalid users = a\n\tinvalid users = larder", false),
        ("[m]\n\tvalid users = a, @others, larder2", false),
        ("[homes]\n\tvalid users = %S", false),
        ("[printers]\n\tprintable = Yes\n[print$]\n\tpath = /var/lib/samba/printers", false),
        ("[global]\n\tworkgroup = LARDER", false),
        ("[m]\n\tvalid users = a\n[m 2]\n\tvalid users = larder\n[m3]\n\tvalid users = b", true),
    ] {
        std::fs::write(stage.at("told"), format!("[global]\n\tworkgroup = W\n\n{share}\n")).expect("a file");
        for shell in SHELLS {
            let told = stage.call(shell, &["samba_user", "larder"]).expect("an answer");
            assert!(told.ends_with("end\n") && !told.contains("marked"), "{told}");
            assert_eq!(told.contains("named m"), named, "{shell:?} {share} {told}");
        }
    }
    // Cut short while it looks, it has seen no share that names the user: that is no answer, and nothing is removed.
    std::fs::write(stage.at("told"), "[m]\n\tvalid users = @strangers\n").expect("a file");
    stage.program("getent", "[ \"$2\" != group ] || kill -9 $PPID; exit 2");
    for shell in SHELLS {
        assert!(stage.call(shell, &["samba_user", "larder"]).is_err(), "{shell:?}");
        assert!(stage.call(shell, &["remove_samba_user", "larder"]).is_err(), "{shell:?}");
    }
    stage.program("testparm", "exit 1");
    assert!(stage.call(SHELLS[0], &["samba_user", "larder"]).is_err());
}

#[test]
fn only_an_account_with_the_mark_and_its_own_number_is_removed() {
    for shell in SHELLS {
        let stage = Stage::new();
        let account = stage.at("account");
        stage.program("testparm", "echo '[global]'");
        stage.program(
            "pdbedit",
            &format!("[ -e '{account}' ] || {{ echo 'Username not found!'; exit 1; }}; echo \"User SID:             $(cat '{account}')\""),
        );
        stage.program(
            "smbpasswd",
            &format!("if [ \"$1\" = -x ]; then rm '{account}'; else [ -e '{account}' ] || echo S-1-5-21-1-1001 >'{account}'; fi"),
        );
        let has = || Path::new(&account).exists();
        let mark = stage.at("samba/larder/users/u");
        stage.call(shell, &["add_samba_user", "u"]).expect("made");
        assert!(has() && Path::new(&mark).exists());
        assert_eq!(stage.call(shell, &["samba_user", "u"]).as_deref(), Ok("marked\nend\n"));
        // Somebody removes it and makes it anew.
        std::fs::write(&account, "S-1-5-21-1-1002\n").expect("a file");
        assert_eq!(stage.call(shell, &["samba_user", "u"]).as_deref(), Ok("outlived\nend\n"));
        stage.call(shell, &["remove_samba_user", "u"]).expect("left alone");
        assert!(has() && !Path::new(&mark).exists(), "only the mark goes");
        // Somebody removes it for good.
        std::fs::remove_file(&account).expect("a file");
        stage.call(shell, &["add_samba_user", "u"]).expect("made");
        std::fs::remove_file(&account).expect("a file");
        assert_eq!(stage.call(shell, &["samba_user", "u"]).as_deref(), Ok("outlived\nend\n"));
        stage.program("testparm", "printf '[m]\\n\\tvalid users = u\\n'");
        stage.call(shell, &["remove_samba_user", "u"]).expect("nothing to keep");
        assert!(!Path::new(&stage.at("samba/larder")).exists());
        // Made again, it has a mark of its own, and goes.
        stage.program("testparm", "echo '[global]'");
        stage.call(shell, &["add_samba_user", "u"]).expect("made");
        stage.call(shell, &["remove_samba_user", "u"]).expect("removed");
        assert!(!has() && !Path::new(&stage.at("samba/larder")).exists());
        // One that was there gets a password and no mark.
        std::fs::write(&account, "S-1-5-21-1-1003\n").expect("a file");
        stage.call(shell, &["add_samba_user", "u"]).expect("a password");
        assert!(!Path::new(&mark).exists());
        // One that cannot be marked is not made.
        std::fs::remove_file(&account).expect("a file");
        std::fs::write(stage.at("samba/larder"), "").expect("a file");
        assert!(stage.call(shell, &["add_samba_user", "u"]).is_err());
        assert!(!has());
    }
}

#[test]
fn a_connection_in_an_unknown_form_is_not_nobody() {
    let heading = "\nService      pid     Machine       Connected at\n-----------------------\n";
    for (share, lines, expected) in [
        ("Media", "", Some("end\n")),
        ("Media", "media        1234    10.0.0.7      Mon\n", Some("1234 10.0.0.7\nend\n")),
        ("media", "Media        0:1234  10.0.0.7      Mon\n", Some("0:1234 10.0.0.7\nend\n")),
        ("media", "other        x       10.0.0.7      Mon\n", Some("end\n")),
        ("media", "media        ?       10.0.0.7      Mon\n", None),
        ("service", "service      7       10.0.0.7      Mon\n", Some("7 10.0.0.7\nend\n")),
    ] {
        let stage = Stage::new();
        std::fs::write(stage.at("told"), format!("{heading}{lines}")).expect("a file");
        stage.program("smbstatus", &format!("cat '{}'", stage.at("told")));
        for shell in SHELLS {
            let said = stage.call(shell, &["samba_connections", share]);
            assert_eq!(said.as_deref().ok(), expected, "{shell:?} {share} {lines} {said:?}");
        }
    }
}

#[test]
fn a_server_that_does_not_answer_is_not_one_that_does_not_run() {
    for shell in SHELLS {
        let stage = Stage::new();
        stage.program("smbcontrol", "exit 1");
        assert_eq!(stage.call(shell, &["reload_samba"]).as_deref(), Ok(""));
        std::fs::copy("/bin/sleep", stage.at("smbd")).expect("a program");
        let mut server = Command::new(stage.at("smbd")).arg("60").spawn().expect("a process");
        let said = stage.call(shell, &["reload_samba"]);
        server.kill().expect("ended");
        server.wait().expect("ended");
        assert!(said.as_ref().is_err_and(|why| why.contains("does not answer")), "{said:?}");
    }
}

#[test]
fn smb_conf_is_edited_in_every_shell_and_never_over_what_changed_meanwhile() {
    for shell in SHELLS {
        let stage = Stage::new();
        let conf = stage.at("samba/smb.conf");
        std::fs::write(&conf, "[global]\nx\n# é").expect("a file");
        stage.program("smbcontrol", "exit 0");
        stage.program("testparm", "cat >/dev/null </dev/stdin; exit 0");
        stage.call(shell, &["edit_samba", "include = f"]).expect("edited");
        let read = || std::fs::read_to_string(&conf).expect("text");
        assert_eq!(read(), "[global]\nx\n# é\ninclude = f\n");
        stage.call(shell, &["edit_samba", "-", "include = f"]).expect("edited");
        assert_eq!(read(), "[global]\nx\n# é");
        stage.program("testparm", &format!("echo more >>'{conf}'"));
        let said = stage.call(shell, &["edit_samba", "include = f"]);
        assert!(said.as_ref().is_err_and(|why| why.contains("meanwhile")), "{said:?}");
        assert!(read().starts_with("[global]\nx\n# émore\n") && !read().contains("include"));
        let left = std::fs::read_dir(stage.at("samba")).expect("a directory").count();
        assert_eq!(left, 1, "no draft is left");
    }
}

#[test]
fn no_user_is_put_into_a_group_that_was_there() {
    let stage = Stage::new();
    stage.program("useradd", &format!("echo \"$*\" >>'{}'", stage.at("told")));
    stage.program("getent", "[ \"$2 $3\" = 'group sudo' ]");
    assert!(stage.call(SHELLS[0], &["add_system_user", "sudo"]).is_err_and(|why| why.contains("group sudo already")));
    stage.call(SHELLS[0], &["add_system_user", "larder"]).expect("made");
    let told = std::fs::read_to_string(stage.at("told")).expect("text");
    assert!(told.ends_with("--user-group -- larder\n") && told.lines().count() == 1, "{told}");
}

fn evaluated(text: &str) -> config::Evaluated {
    let directory = TempDir::new().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), text).expect("a file");
    let loaded = config::load(directory.path(), &Inputs::default(), kinds::table());
    loaded.configuration.unwrap_or_else(|| panic!("{:#?}", loaded.problems)).evaluate(None)
}

fn share(name: &str, users: &[(&str, &str)]) -> String {
    let user = |(name, password): &(&str, &str)| {
        format!("  user {{\n    name = \"{name}\"\n    password = \"{password}\"\n  }}\n")
    };
    let users: String = users.iter().map(user).collect();
    format!("media_share \"{name}\" {{\n  host = host.nas\n  path = \"/srv/{name}\"\n{users}}}\n")
}

const HOST: &str = "host \"nas\" {\n  address = \"192.0.2.5\"\n}\n";

#[test]
fn a_mark_stands_for_the_password_of_its_user_in_whatever_order_they_stand() {
    let marks = |users: &[(&str, &str)]| {
        let evaluated = evaluated(&format!("{HOST}{}", share("a", users)));
        let block = evaluated.desired.blocks.values().find(|block| !block.blocks.is_empty()).expect("a share").clone();
        let marks = block.blocks.iter().map(|user| {
            let Datum::Text(mark) = &user.attributes["password"].value else { panic!("a mark") };
            let text = evaluated.desired.secrets.reveal(mark).expect("a text").into_owned();
            (mark.to_string(), text)
        });
        marks.collect::<BTreeMap<_, _>>()
    };
    let (one, two) = (("alice", "wonder-1"), ("bob", "builder-2"));
    assert_eq!(marks(&[one, two]), marks(&[two, one]));
    assert_eq!(marks(&[one, two]).len(), 2);
}

#[test]
fn two_passwords_for_one_user_of_a_host_are_refused() {
    let told = |first: &str, second: &str| {
        let shares = share("a", &[("larder", first)]) + &share("b", &[("larder", second)]);
        let problems = evaluated(&format!("{HOST}{shares}")).problems;
        problems.iter().map(|problem| format!("{problem:?}")).collect::<String>()
    };
    assert_eq!(told("wonder-1", "wonder-1"), "");
    let refused = told("wonder-1", "builder-2");
    assert!(refused.contains("media_share.a has another password for larder on nas"), "{refused}");
    assert!(!refused.contains("wonder-1") && !refused.contains("builder-2"), "{refused}");
}
