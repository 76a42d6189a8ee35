//! Modules from git repositories: fetched once, pinned, and refused when they are not what they were. The repositories are real
//! ones on this machine.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use larder::config::{self, GitSource, Inputs, LOCK_FILE};
use larder::install::{Installed, install};
use larder::kinds;

/// A repository with a module, and a configuration that calls it.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Place { directory: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(place.repository().join("pool")).unwrap();
        std::fs::create_dir(place.root()).unwrap();
        place.git(&["init", "--quiet", "--initial-branch=main"]);
        place.commit("pool/main.hcl", "output \"version\" {\n  value = file(\"version.txt\")\n}\n");
        place.commit("pool/version.txt", "one");
        place.git(&["tag", "v1"]);
        place
    }

    fn repository(&self) -> PathBuf {
        self.directory.path().join("repository")
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(arguments);
        let output = git.current_dir(self.repository()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, name: &str, text: &str) -> String {
        std::fs::write(self.repository().join(name), text).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "--quiet", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn source(&self, revision: &str) -> String {
        format!("git::file://{}//pool?ref={revision}", self.repository().display())
    }

    fn call(&self, revision: &str) {
        let main = format!(
            "module \"m\" {{\n  source = \"{}\"\n}}\noutput \"v\" {{\n  value = module.m.version\n}}\n",
            self.source(revision)
        );
        std::fs::write(self.root().join("main.hcl"), main).unwrap();
    }

    /// What `output "v"` is, or the codes of what is wrong.
    fn value(&self) -> Result<String, Vec<String>> {
        let loaded = config::load(&self.root(), &Inputs::default(), kinds::table());
        let evaluated = loaded.configuration.map(|configuration| configuration.evaluate(None));
        let found = evaluated.iter().flat_map(|evaluated| &evaluated.problems);
        let problems: Vec<String> = loaded.problems.iter().chain(found).map(|problem| problem.code.clone()).collect();
        match evaluated.filter(|_| problems.is_empty()) {
            Some(evaluated) => Ok(evaluated.desired.outputs["v"].value.as_ref().unwrap().as_str().unwrap().to_owned()),
            None => Err(problems),
        }
    }

    fn install(&self, upgrade: bool) -> Result<Vec<Installed>, Vec<String>> {
        match install(&self.root(), kinds::table(), upgrade) {
            Ok(done) => Ok(done.into_values().collect()),
            Err(problems) => Err(problems.into_iter().map(|problem| problem.code).collect()),
        }
    }

    fn package(&self, revision: &str) -> PathBuf {
        let url = format!("file://{}", self.repository().display());
        config::package_directory(&self.root(), &GitSource { url, revision: revision.into() })
    }
}

#[test]
fn a_module_is_fetched_once_and_pinned() {
    let place = Place::new();
    let commit = place.git(&["rev-parse", "v1"]);
    place.call("v1");
    assert_eq!(place.value(), Err(vec!["module-not-installed".into()]));
    assert_eq!(place.install(false), Ok(vec![Installed::Locked { commit: commit.clone() }]));
    assert_eq!(place.value().as_deref(), Ok("one"));
    let lock = std::fs::read_to_string(place.root().join(LOCK_FILE)).unwrap();
    assert!(lock.contains(&commit), "{lock}");
    assert!(!place.package("v1").join(".git").exists());
    // The repository is not needed any more.
    std::fs::rename(place.repository(), place.directory.path().join("away")).unwrap();
    assert_eq!(place.install(false), Ok(vec![Installed::Unchanged]));
    assert_eq!(place.value().as_deref(), Ok("one"));
    assert_eq!(std::fs::read_to_string(place.root().join(LOCK_FILE)).unwrap(), lock);
    // Nobody is left behind in the directory of packages.
    let names = std::fs::read_dir(place.package("v1").parent().unwrap()).unwrap().count();
    assert_eq!(names, 1);
}

#[test]
fn a_checkout_elsewhere_gets_the_same_commit_or_nothing() {
    let place = Place::new();
    place.call("main");
    let first = place.git(&["rev-parse", "main"]);
    place.install(false).unwrap();
    let second = place.commit("pool/version.txt", "two");
    // The lock file travels with the configuration, the packages do not.
    std::fs::remove_dir_all(place.root().join(".larder")).unwrap();
    assert_eq!(place.value(), Err(vec!["module-not-installed".into()]));
    assert_eq!(place.install(false), Ok(vec![Installed::Fetched]));
    assert_eq!(place.value().as_deref(), Ok("one"), "the branch moved, the lock did not");
    assert_eq!(place.install(true), Ok(vec![Installed::Moved { from: first, to: second }]));
    assert_eq!(place.value().as_deref(), Ok("two"));
}

#[test]
fn a_package_that_is_not_what_it_was_is_refused() {
    let place = Place::new();
    place.call("v1");
    place.install(false).unwrap();
    std::fs::write(place.package("v1").join("pool/version.txt"), "tampered").unwrap();
    assert_eq!(place.value(), Err(vec!["module-changed".into()]));
    // Fetching again mends it.
    assert_eq!(place.install(false), Ok(vec![Installed::Fetched]));
    assert_eq!(place.value().as_deref(), Ok("one"));
    // A lock file that says something else than the repository has.
    let path = place.root().join(LOCK_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text.find("sha256:").unwrap() + "sha256:".len();
    std::fs::write(&path, format!("{}{}{}", &text[..at], "0".repeat(64), &text[at + 64..])).unwrap();
    assert_eq!(place.value(), Err(vec!["module-changed".into()]));
    assert_eq!(place.install(false), Err(vec!["module-changed".into()]));
    assert_eq!(place.value(), Err(vec!["module-changed".into()]), "and nothing was installed");
    std::fs::write(&path, "module {").unwrap();
    assert!(place.value().is_err());
    assert!(place.install(false).is_err(), "a lock that cannot be read is not an empty one");
}

#[test]
fn a_moved_tag_is_noticed_where_the_package_is_not_there() {
    let place = Place::new();
    place.call("v1");
    place.install(false).unwrap();
    std::fs::remove_dir_all(place.root().join(".larder")).unwrap();
    // History is rewritten: the commit of the lock file is gone.
    std::fs::remove_dir_all(place.repository().join(".git")).unwrap();
    place.git(&["init", "--quiet", "--initial-branch=main"]);
    place.commit("pool/version.txt", "other");
    place.git(&["tag", "v1"]);
    assert_eq!(place.install(false), Err(vec!["module-changed".into()]));
    assert!(!place.package("v1").exists());
}

#[test]
fn whole_and_short_names_of_commits_and_packages_in_packages_are_fetched() {
    let place = Place::new();
    let first = place.git(&["rev-parse", "v1"]);
    place.commit("pool/version.txt", "two");
    place.call(&first);
    place.install(false).unwrap();
    assert_eq!(place.value().as_deref(), Ok("one"));
    place.call(&first[..10]);
    place.install(false).unwrap();
    assert_eq!(place.value().as_deref(), Ok("one"));
    // The lock forgets what nobody calls any more.
    let lock = std::fs::read_to_string(place.root().join(LOCK_FILE)).unwrap();
    assert_eq!(lock.matches("module \"").count(), 1, "{lock}");
    // A package that calls another one, and a directory beside it.
    std::fs::create_dir(place.repository().join("outer")).unwrap();
    let outer = format!(
        "module \"far\" {{\n  source = \"{}\"\n}}\nmodule \"near\" {{\n  source = \"../pool\"\n}}\n\
         output \"version\" {{\n  value = \"${{module.far.version}} ${{module.near.version}}\"\n}}\n",
        place.source("v1")
    );
    place.commit("outer/main.hcl", &outer);
    let main = format!(
        "module \"m\" {{\n  source = \"{}\"\n}}\noutput \"v\" {{\n  value = module.m.version\n}}\n",
        place.source("main").replace("//pool", "//outer")
    );
    std::fs::write(place.root().join("main.hcl"), main).unwrap();
    assert_eq!(place.install(false).unwrap().len(), 2);
    assert_eq!(place.value().as_deref(), Ok("one two"));
}

#[test]
fn what_cannot_be_fetched_or_leads_out_is_an_error() {
    let place = Place::new();
    place.call("nowhere");
    assert_eq!(place.install(false), Err(vec!["module-fetch-failed".into()]));
    assert!(!place.root().join(LOCK_FILE).exists());
    // A link out of the package.
    std::os::unix::fs::symlink("/etc/passwd", place.repository().join("pool/link")).unwrap();
    place.commit("pool/x", "x");
    place.call("main");
    assert_eq!(place.install(false), Err(vec!["module-fetch-failed".into()]));
    assert!(!place.package("main").exists());
    // A module that calls what is beside its package, and one that reads a file there.
    std::fs::remove_file(place.repository().join("pool/link")).unwrap();
    place.commit(
        "pool/main.hcl",
        "module \"x\" {\n  source = \"../../../..\"\n}\noutput \"version\" {\n  value = 1\n}\n",
    );
    assert_eq!(place.install(false), Err(vec!["invalid-module-source".into()]));
    assert_eq!(place.value(), Err(vec!["invalid-module-source".into()]));
    place.commit("pool/main.hcl", "output \"version\" {\n  value = file(\"../../../../main.hcl\")\n}\n");
    place.install(true).unwrap();
    assert_eq!(place.value(), Err(vec!["invalid-function-argument".into()]));
}

#[test]
fn nothing_of_a_repository_runs() {
    let place = Place::new();
    let marker = place.directory.path().join("ran");
    let hook = place.repository().join(".git/hooks/post-checkout");
    write_program(&hook, &format!("#!/bin/sh\ntouch {}\n", marker.display()));
    place.commit(".gitattributes", "* filter=evil\n");
    place.call("main");
    place.install(false).unwrap();
    assert!(!marker.exists());
}

fn write_program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_is_no_source_of_a_module_is_an_error_beside_what_is_fetched() {
    let place = Place::new();
    place.call("v1");
    let main = std::fs::read_to_string(place.root().join("main.hcl")).unwrap();
    for source in ["terraform-aws-modules/vpc/aws", "git::https://example.com/x.git", "./nope"] {
        std::fs::write(
            place.root().join("main.hcl"),
            format!("{main}module \"other\" {{\n  source = \"{source}\"\n}}\n"),
        )
        .unwrap();
        let wanted = if source == "./nope" { "unreadable-directory" } else { "invalid-module-source" };
        assert_eq!(place.install(false), Err(vec![wanted.into()]), "{source}");
        assert!(place.package("v1").is_dir() && place.root().join(LOCK_FILE).exists());
    }
}
