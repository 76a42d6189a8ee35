//! The words around the work: what `init` writes, what `validate`, `graph`, `version` and `help` say, JSON for every error
//! where JSON is wanted, what a shell completes, and the manual.

mod common;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Run, Site};
use larder::cli::manual;
use serde_json::Value;

const CONFIGURATION: &str = "host \"hv1\" {\n  address = \"192.0.2.11\"\n}\nimage_storage \"main\" {\n  hosts = [host.hv1]\n}\nexternal_volume \"disk\" {\n  storage = image_storage.main\n  directory {}\n}\nvariable \"guests\" {\n  type    = map(string)\n  default = { web = \"1GiB\", \"a b\" = \"1GiB\" }\n}\nimage \"guest\" {\n  for_each = var.guests\n  volume   = external_volume.disk\n  format   = \"raw\"\n  size     = each.value\n}\n";

fn larder(directory: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    run(command.current_dir(directory).args(arguments))
}

fn run(command: &mut Command) -> Run {
    let output = command.stdin(Stdio::null()).env("NO_COLOR", "1").output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

fn directory(configuration: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), configuration).expect("written");
    directory
}

#[test]
fn a_first_configuration_is_valid_plans_and_is_applied_to_a_lab() {
    let site = Site::up(&["here"]);
    let said = larder(site.path(), &["init"]).expect(0);
    let files = ["README.md", "main.hcl", "variables.hcl", ".gitignore", "ci/check"];
    for file in files {
        assert!(said.out.contains(file) && site.path().join(file).is_file(), "{file}: {}", said.out);
    }
    assert_eq!(said.err, "");
    let mode = std::fs::metadata(site.path().join("ci/check")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    larder(site.path(), &["fmt", "-check", "-diff"]).expect(0);
    let valid = larder(site.path(), &["validate", "-json"]).expect(0).json();
    assert_eq!((&valid["valid"], &valid["warning_count"]), (&Value::Bool(true), &Value::from(0)));
    larder(site.path(), &["plan"]).expect(0).says("2 to create, 0 to update, 0 to destroy");
    // Everything that it only describes is right as well.
    let more = larder(site.path(), &["validate", "-json", "-var", "guests={ web = \"1GiB\" }"]).expect(0).json();
    assert_eq!(more["valid"], true);
    let main = std::fs::read_to_string(site.path().join("main.hcl")).expect("there");
    let uncommented: String = main.lines().map(|line| format!("{}\n", uncommented(line))).collect();
    std::fs::write(site.path().join("main.hcl"), uncommented).expect("written");
    larder(site.path(), &["validate"]).expect(0).says("5 resources");
    std::fs::write(site.path().join("main.hcl"), main).expect("written");

    let before: Vec<_> = files.map(|file| std::fs::read(site.path().join(file)).expect("there")).into();
    larder(site.path(), &["init"]).expect(0).says("There is a configuration already: main.hcl, variables.hcl.");
    let after: Vec<_> = files.map(|file| std::fs::read(site.path().join(file)).expect("there")).into();
    assert_eq!(before, after);

    // The check of the scaffold, on the lab that is up.
    let path = format!("{}:{}", bin().display(), std::env::var("PATH").unwrap_or_default());
    let check = run(Command::new("ci/check").arg("lab").current_dir(site.path()).env("PATH", path)).expect(0);
    assert!(check.out.contains("No changes"), "{}", check.out);
}

#[test]
fn where_there_is_nothing_to_show_the_way_to_something_is_said() {
    let place = directory(CONFIGURATION);
    for (words, hint) in [
        (&["state", "list"][..], "There is no state yet"),
        (&["show"], "the first `larder apply` writes it"),
        (&["output"], "The state has no outputs"),
        (&["lab", "list"], "`larder lab up` starts"),
    ] {
        let run = larder(place.path(), words).expect(0);
        assert!(run.out.is_empty() && run.err.contains(hint), "{words:?}: {}{}", run.out, run.err);
    }
    assert_eq!(larder(place.path(), &["output", "-json"]).expect(0).err, "");
    assert_eq!(larder(place.path(), &["show", "-json"]).expect(0).err, "");
}

#[test]
fn a_lab_says_which_of_its_hosts_the_configuration_has_no_more() {
    let site = Site::up(&["old", "kept"]);
    site.write(&common::hosts(&["kept"]));
    let run = site.larder(&["lab", "up", "-runtime", "namespace"]).expect(0);
    assert!(run.err.contains("take away what is there: old.") && run.err.contains("larder lab down"), "{}", run.err);
    site.write(&common::hosts(&["kept", "old"]));
    let run = site.larder(&["lab", "up", "-runtime", "namespace"]).expect(0);
    assert!(!run.err.contains("any more"), "{}", run.err);
}

/// A line of an example in a comment as it would stand without.
fn uncommented(line: &str) -> &str {
    let rest = line.trim_start().strip_prefix("# ");
    rest.filter(|rest| rest.starts_with(' ') || rest.ends_with(['{', '}', '"']) && !rest.contains(':')).unwrap_or(line)
}

#[test]
fn init_replaces_nothing_and_finishes_what_was_cut_off() {
    let place = tempfile::tempdir().expect("a directory");
    let at = |name: &str| place.path().join(name);
    std::fs::write(at("README.md"), "mine").expect("written");
    std::os::unix::fs::symlink("nowhere", at(".gitignore")).expect("linked");
    let run = larder(place.path(), &["init"]).expect(0).says("Left as it was: .gitignore, README.md.");
    assert!(run.out.contains("Let git ignore /state/"), "{}", run.out);
    assert_eq!(std::fs::read_to_string(at("README.md")).expect("there"), "mine");
    assert!(!at("nowhere").exists());
    // The configuration is written last: without it, another init goes on.
    std::fs::remove_file(at("main.hcl")).expect("removed");
    std::fs::remove_file(at("variables.hcl")).expect("removed");
    larder(place.path(), &["init"]).expect(0).says("Wrote variables.hcl, main.hcl.");

    // Whatever is a configuration is left alone; what a broken one names in other places is not known.
    let broken = directory("host {");
    larder(broken.path(), &["init"]).expect(1).says("This bracket is not closed");
    assert_eq!(std::fs::read_dir(broken.path()).expect("there").count(), 1);
    larder(place.path(), &["-chdir=nowhere", "init"]).expect(1).says("unreadable-directory");
    // A file stands where a directory would have to be.
    let blocked = tempfile::tempdir().expect("a directory");
    std::fs::write(blocked.path().join("ci"), "").expect("written");
    larder(blocked.path(), &["init"]).expect(1).says("unwritable-file");
}

#[test]
fn init_fetches_the_modules_of_a_configuration() {
    let repository = tempfile::tempdir().expect("a directory");
    std::fs::write(repository.path().join("main.hcl"), "output \"size\" {\n  value = \"1GiB\"\n}\n").expect("written");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(arguments);
        run(git.current_dir(repository.path())).expect(0);
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "-A"]);
    git(&["commit", "--quiet", "-m", "x"]);
    let source = format!("git::file://{}?ref=main", repository.path().display());
    let place = directory(&format!(
        "module \"m\" {{\n  source = \"{source}\"\n}}\noutput \"size\" {{\n  value = module.m.size\n}}\n"
    ));
    larder(place.path(), &["validate"]).expect(1).says("larder init");
    larder(place.path(), &["init"]).expect(0).says("was fetched: commit").says("keep it in version control");
    larder(place.path(), &["validate"]).expect(0);
    larder(place.path(), &["init"]).expect(0).says("is there.");
    std::fs::remove_dir_all(place.path().join(".larder")).expect("removed");
    larder(place.path(), &["init"]).expect(0).says("is what .larder.lock.hcl says");
    git(&["commit", "--quiet", "--allow-empty", "-m", "y"]);
    larder(place.path(), &["init", "-upgrade"]).expect(0).says(" instead of ");
    std::fs::remove_dir_all(repository.path()).expect("removed");
    std::fs::remove_dir_all(place.path().join(".larder")).expect("removed");
    larder(place.path(), &["init"]).expect(1).says("module-fetch-failed");
}

#[test]
fn validate_tells_machines_the_verdict_and_how_many_problems_there_are() {
    let table = [
        (CONFIGURATION, 0, true, 0, 0),
        ("host \"a\" {\n  address = 1 +\n}\n", 1, false, 1, 0),
        ("host \"a\" {\n}\nhost \"b\" {\n  nothing = 1\n}\nlocals {\n  x = local.y\n}\n", 1, false, 4, 0),
        ("check \"c\" {\n  assert {\n    condition     = 1 == 2\n    error_message = \"No.\"\n  }\n}\n", 0, true, 0, 1),
        ("\"", 1, false, 1, 0),
    ];
    for (text, exit, valid, errors, warnings) in table {
        let place = directory(text);
        let run = larder(place.path(), &["validate", "-json"]).expect(exit);
        let json = run.json();
        assert_eq!(json["format_version"], "1.0");
        assert_eq!(
            (&json["valid"], json["error_count"].as_u64(), json["warning_count"].as_u64()),
            (&Value::Bool(valid), Some(errors), Some(warnings)),
            "{json:#}"
        );
        assert_eq!(json["diagnostics"].as_array().map(Vec::len), Some((errors + warnings) as usize), "{json:#}");
        assert_eq!(run.err, "", "{text}");
    }
    let empty = tempfile::tempdir().expect("a directory");
    let json = larder(empty.path(), &["validate", "-json"]).expect(1).json();
    assert_eq!(
        (&json["valid"], &json["diagnostics"][0]["code"]),
        (&Value::Bool(false), &Value::from("no-configuration"))
    );
    let json = larder(empty.path(), &["-chdir=nowhere", "validate", "-json"]).expect(1).json();
    assert_eq!((&json["valid"], json["error_count"].as_u64()), (&Value::Bool(false), Some(1)));
}

#[test]
fn every_error_is_json_where_json_is_wanted() {
    let broken = directory("host {");
    std::fs::create_dir(broken.path().join("state")).expect("made");
    std::fs::write(broken.path().join("state/larder.state.json"), "{").expect("written");
    std::fs::write(broken.path().join("bad.plan"), "{").expect("written");
    let table: &[(&[&str], i32)] = &[
        (&["validate", "-json"], 1),
        (&["plan", "-json"], 1),
        (&["apply", "-json"], 1),
        (&["apply", "-json", "bad.plan"], 1),
        (&["destroy", "-json"], 1),
        (&["show", "-json"], 1),
        (&["show", "-json", "bad.plan"], 1),
        (&["status", "-json"], 1),
        (&["state", "show", "-json", "host.a"], 1),
        (&["output", "-json"], 1),
        (&["output", "-json", "x"], 1),
        (&["lab", "list", "-json"], 0),
        (&["console", "-json", "-var", "nonsense"], 1),
        (&["plan", "-json", "-nonsense"], 3),
        (&["plan", "--json", "surplus"], 3),
        (&["plan", "-json", "-accept", "nonsense"], 1),
        (&["version", "-json", "surplus"], 3),
    ];
    for (arguments, exit) in table {
        let run = larder(broken.path(), arguments).expect(*exit);
        let json: Value =
            serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}{}", run.out, run.err));
        if *exit != 0 {
            let first = &json["diagnostics"][0];
            for key in ["severity", "code", "summary", "detail"] {
                assert!(first[key].is_string(), "{arguments:?}: {json:#}");
            }
        }
    }
    let run = larder(broken.path(), &["plan", "-nonsense"]).expect(3);
    assert_eq!(run.out, "", "JSON is for those who asked");
}

#[test]
fn a_plan_is_drawn_from_hosts_and_from_its_file() {
    let site = Site::up(&["hv1"]);
    site.write(CONFIGURATION);
    site.sh("hv1", "mkdir -p /var/lib/larder/storages && : >/var/lib/larder/storages/main");
    let plan = site.larder(&["plan", "-out", "saved.plan"]);
    assert!(plan.exit == 6, "{}{}", plan.out, plan.err);
    for format in ["dot", "mermaid"] {
        let format = format!("-format={format}");
        let live = site.larder(&["graph", "-type=plan", &format]).expect(0);
        let saved = larder(site.path(), &["graph", "-plan", "saved.plan", &format]).expect(0);
        assert_eq!(live.out, saved.out, "a plan file asks nobody");
        assert!(live.out.contains("hv1") && live.out.contains("wrong"), "{}", live.out);
    }
    site.sh("hv1", "rm /var/lib/larder/storages/main");
    let text = site.larder(&["graph", "-type=plan"]).expect(0).out;
    assert!(text.contains("subgraph cluster_0") && text.contains("step 1: mkdir image_storage.main"), "{text}");
    assert!(text.contains("\"external_volume.disk@hv1/mkdir\" -> \"image_storage.main@hv1/mkdir\""), "{text}");
    let resources = larder(site.path(), &["graph", "-plan", "saved.plan", "-type=resources"]).expect(0).out;
    assert_eq!(resources, larder(site.path(), &["graph"]).expect(0).out);
    larder(site.path(), &["graph", "-destroy"]).expect(3).says("-type=plan");
    larder(site.path(), &["graph", "-plan", "main.hcl"]).expect(1).says("plan-unreadable");
    larder(site.path(), &["graph", "-plan", "saved.plan", "-var", "x=1"]).expect(3);
    // Nobody answers, which is part of the picture.
    site.wait(site.lab().stop(&"hv1".into())).unwrap_or_else(|problem| panic!("{problem}"));
    site.larder(&["graph", "-type=plan"]).expect(8).says("did not answer");
}

#[test]
fn a_graph_that_viewers_refuse_says_so() {
    let mut text = "host \"hv1\" {\n  address = \"192.0.2.11\"\n}\n".to_owned();
    for number in 0..600 {
        text.push_str(&format!("image_storage \"s{number}\" {{\n  hosts = [host.hv1]\n}}\n"));
    }
    let place = directory(&text);
    let run = larder(place.path(), &["graph", "-format=mermaid"]).expect(0);
    assert_eq!(run.out.matches(" --> ").count(), 600, "nothing is left out");
    assert!(run.err.contains("600 arrows"), "{}", run.err);
    assert_eq!(larder(place.path(), &["graph"]).expect(0).err, "");
}

#[test]
fn version_and_help_are_as_users_of_terraform_expect() {
    let place = directory(CONFIGURATION);
    let version = larder(place.path(), &["version"]).expect(0).out;
    let expected = format!("larder {}\non {}\n", env!("CARGO_PKG_VERSION"), larder::cli::platform());
    assert_eq!(version, expected);
    for same in ["-version", "--version", "-V"] {
        assert_eq!(larder(place.path(), &[same]).expect(0).out, expected);
    }
    let json = larder(place.path(), &["version", "-json"]).expect(0).json();
    assert_eq!(json["larder_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["platform"], larder::cli::platform());

    let help = larder(place.path(), &["help", "plan"]).expect(0).out;
    for same in [["plan", "-help"], ["plan", "--help"], ["plan", "-h"]] {
        assert_eq!(larder(place.path(), &same).expect(0).out, help);
    }
    assert!(help.contains("\n  -out <FILE>") && !help.contains("--"), "{help}");
    larder(place.path(), &["help", "state", "rm"]).expect(0).says("<ADDRESS>");
    larder(place.path(), &["help", "nonsense"]).expect(3);
    let wrong = larder(place.path(), &["plan", "--outt", "x"]).expect(3).err;
    assert!(wrong.contains("'-outt'") && wrong.contains("'-out'"), "{wrong}");
}

/// The directory of the program, which scripts call by its name.
fn bin() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_larder")).parent().expect("a directory")
}

/// What bash would be given for a line, by a real bash.
#[track_caller]
fn completed(directory: &Path, line: &str) -> Vec<String> {
    let script = "PATH=$2:$PATH; source <(larder completions bash); COMP_WORDBREAKS=$' \\t\\n\"\\'@><=;|&(:'; COMP_LINE=$1; COMP_POINT=${#1}; _larder; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let bin = bin().to_str().expect("a name");
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-c", script, "bash", line, bin]).current_dir(directory);
    let run = run(&mut bash).expect(0);
    assert_eq!(run.err, "", "{line}");
    run.out.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_addresses() {
    let place = directory(CONFIGURATION);
    std::fs::create_dir(place.path().join("a dir")).expect("made");
    let check = |line: &str, expected: &[&str]| assert_eq!(completed(place.path(), line), expected, "{line}");
    check("larder pl", &["plan"]);
    check("larder st", &["status", "state"]);
    check("larder -chdir=. sta", &["status", "state"]);
    check("larder state r", &["rm"]);
    check("larder plan -ref", &["-refresh-only"]);
    check("larder plan --ref", &["--refresh-only"]);
    check("larder plan -accept hides", &["hides-data@"]);
    check("larder plan -accept not-b", &[]);
    check("larder plan -accept hides-data@ext", &["@external_volume.disk"]);
    check("larder plan -accept=hides-data@ext", &["@external_volume.disk"]);
    check(
        "larder apply -accept hides-data@image.",
        &["@image.guest\\[\\\"a\\ b\\\"\\]", "@image.guest\\[\\\"web\\\"\\]"],
    );
    check("larder apply -accept 'hides-data@image.guest[\"w", &["hides-data@image.guest[\"web\"]"]);
    check(
        "larder plan -target image.g",
        &["image.guest", "image.guest\\[\\\"a\\ b\\\"\\]", "image.guest\\[\\\"web\\\"\\]"],
    );
    check("larder graph -type=plan -exclude ext", &["external_volume.disk"]);
    check("larder explain hides", &["hides-data"]);
    check("larder plan -var ", &["guests="]);
    check("larder plan -var x=1 -var g", &["guests="]);
    check("larder lab ssh ", &["hv1"]);
    check("larder graph -format=", &["dot", "mermaid"]);
    check("larder graph -type ", &["resources", "plan"]);
    check("larder completions z", &["zsh"]);
    check("larder show mai", &["main.hcl"]);
    check("larder -chdir a", &["a\\ dir/"]);
    check("larder plan -- -", &[]);
    check("larder complet", &["completions"]);
    let options = completed(place.path(), "larder plan -");
    assert!(options.contains(&"-out".to_owned()) && options.iter().all(|option| !option.starts_with("--")));
    assert!(completed(place.path(), "larder ").iter().all(|word| !word.starts_with('-')));
    // In another directory, and where there is nothing.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let at = place.path().to_str().expect("a name");
    assert_eq!(completed(elsewhere.path(), &format!("larder -chdir={at} plan -accept hides-data@ext")).len(), 1);
    assert_eq!(completed(elsewhere.path(), "larder plan -accept hides-data@ext"), [""; 0]);
    let broken = directory("host {");
    assert_eq!(completed(broken.path(), "larder plan -accept hides-data@"), [""; 0]);
}

#[test]
fn a_key_of_the_keyboard_starts_no_program() {
    let place = directory(&format!(
        "{CONFIGURATION}locals {{\n  x = secret_command([\"touch\", \"started\"])\n}}\noutput \"x\" {{\n  value     = local.x\n  sensitive = true\n}}\n"
    ));
    assert_eq!(completed(place.path(), "larder plan -accept hides-data@"), [""; 0]);
    assert_eq!(completed(place.path(), "larder plan -var g"), ["guests="]);
    assert_eq!(completed(place.path(), "larder plan -var 'guests=$(touch started)' -var g"), ["guests="]);
    completed(place.path(), "larder state rm $(touch started)`touch started`");
    assert!(!place.path().join("started").exists());
    larder(place.path(), &["validate"]).expect(0);
    assert!(place.path().join("started").exists(), "the command of the test works");
}

#[test]
fn addresses_of_the_state_are_completed_where_they_are_asked_for() {
    let site = Site::up(&["hv1"]);
    site.write(&format!("{CONFIGURATION}output \"paths\" {{\n  value = [external_volume.disk.mount_point]\n}}\n"));
    site.larder(&["apply", "-auto-approve"]).expect(0);
    site.write("larder {\n  state \"local\" {\n    path = \"state/larder.state.json\"\n  }\n}\n");
    assert_eq!(completed(site.path(), "larder state show ext"), ["external_volume.disk"]);
    assert_eq!(completed(site.path(), "larder state rm image_storage.main ext"), ["external_volume.disk"]);
    assert_eq!(completed(site.path(), "larder output "), ["paths"]);
    assert_eq!(completed(site.path(), "larder state mv image.guest\\[\\\"w"), ["image.guest\\[\\\"web\\\"\\]"]);
    assert_eq!(completed(site.path(), "larder state mv image.guest image.g").len(), 3);
    assert_eq!(completed(site.path(), "larder state list image_s"), ["image_storage.main"]);
    assert_eq!(completed(site.path(), "larder plan -accept hides-data@ext"), ["@external_volume.disk"]);
    assert_eq!(completed(site.path(), "larder -state=nowhere.json state show ext"), [""; 0]);
    let state = site.state();
    let other = tempfile::tempdir().expect("a directory");
    let line = format!("larder -state {} state show ext", state.display());
    assert_eq!(completed(other.path(), &line), ["external_volume.disk"]);
    std::fs::write(&state, "{").expect("written");
    assert_eq!(completed(site.path(), "larder state show ext"), [""; 0]);
}

#[test]
fn what_is_typed_in_bash_ends_up_as_the_address() {
    let place = directory(CONFIGURATION);
    let rc = place.path().join("rc");
    let setup = format!(
        "PATH={}:$PATH\nsource <(command larder completions bash)\nlarder() {{ printf '<%s>' \"$@\"; echo; }}\nPS1='ready: '\nbind 'set enable-bracketed-paste off'\nbind 'set bell-style none'\n",
        bin().display()
    );
    std::fs::write(&rc, setup).expect("written");
    for (typed, words) in [
        ("larder pla\t-ref\t\r", "<plan><-refresh-only>"),
        (
            "larder plan -accept hides\timage.\tw\t-verb\t\r",
            "<plan><-accept><hides-data@image.guest[\"web\"]><-verbose>",
        ),
        ("larder plan -accept=hides-data@image.guest[\ta\t\r", "<plan><-accept=hides-data@image.guest[\"a b\"]>"),
        ("larder plan -accept 'hides-data@image.gu\tw\t\r", "<plan><-accept><hides-data@image.guest[\"web\"]>"),
        ("larder plan -accept \"hides-data@image.gu\tw\t\r", "<plan><-accept><hides-data@image.guest[\"web\"]>"),
        ("true && larder plan -var gu\t{}\r", "<plan><-var><guests={}>"),
    ] {
        let shell = format!("bash --noprofile --rcfile {} -i", rc.display());
        let mut child = Command::new("script")
            .args(["-qec", &shell, "/dev/null"])
            .current_dir(place.path())
            .env("TERM", "dumb")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script(1) runs");
        let mut stdin = child.stdin.take().expect("piped");
        let mut stdout = child.stdout.take().expect("piped");
        let (mut said, mut bytes) = (String::new(), [0; 4096]);
        let mut until = |words: &str| {
            while !said.contains(words) {
                let read = stdout.read(&mut bytes).expect("read");
                assert!(read > 0, "{typed:?} ended before {words:?}: {said}");
                said.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
            said.clear();
        };
        until("ready: ");
        stdin.write_all(typed.as_bytes()).expect("taken");
        until(words);
        stdin.write_all(b"exit\r").expect("taken");
        child.wait().expect("it ends");
    }
}

#[test]
fn the_scripts_of_other_shells_are_read_by_them() {
    let place = tempfile::tempdir().expect("a directory");
    for (shell, check) in [
        ("bash", &["bash", "-n"][..]),
        ("zsh", &["zsh", "-n"]),
        ("fish", &["fish", "-n"]),
        ("elvish", &["elvish", "-compileonly"]),
    ] {
        let script = larder(place.path(), &["completions", shell]).expect(0).out;
        assert!(script.contains("larder complete") || script.contains("(external larder) complete"), "{script}");
        let path = place.path().join(shell);
        std::fs::write(&path, &script).expect("written");
        // Shells that are not installed cannot be asked.
        if Command::new(check[0]).arg("--version").output().is_ok() {
            let run = run(Command::new(check[0]).args(&check[1..]).arg(&path));
            // Elvish has the functions of its editor only on a terminal.
            assert!(run.exit == 0 || run.err.contains("edit:"), "{shell}: {}", run.err);
        }
    }
    larder(place.path(), &["completions", "powershell"]).expect(0).says("Register-ArgumentCompleter");
    larder(place.path(), &["completions", "tcsh"]).expect(3);
    // The words of a shell that reads its own line: a candidate and what it means.
    let run = larder(place.path(), &["complete", "--", "larder", "val"]).expect(0);
    assert_eq!(run.out, "validate\tCheck the configuration without asking any host\n");
    for nothing in
        [&["complete"][..], &["complete", "--"], &["complete", "--", "larder"], &["complete", "-bash=x", "--"]]
    {
        assert_eq!(larder(place.path(), nothing).expect(0).out, "", "{nothing:?}");
    }
}

#[test]
fn manual_pages_have_no_fault_that_a_typesetter_finds() {
    let place = tempfile::tempdir().expect("a directory");
    let at = place.path().to_str().expect("a name");
    larder(place.path(), &["man", at]).expect(0);
    let names: BTreeSet<_> = std::fs::read_dir(at)
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    for name in ["larder.1", "larder-plan.1", "larder-state-rm.1", "larder-lab-ssh.1", "larder-console.1"] {
        assert!(names.contains(name), "{names:?}");
    }
    assert!(!names.contains("larder-complete.1") && !names.contains("larder-help.1"));
    let first = std::fs::read_to_string(place.path().join("larder.1")).expect("there");
    assert_eq!(larder(place.path(), &["man"]).expect(0).out, first);
    for name in &names {
        // Where groff is not installed, the structure is tested with the code.
        let mut groff = Command::new("groff");
        groff.args(["-man", "-ww", "-Tutf8", "-z", name]).current_dir(place.path());
        if groff.output().is_ok() {
            let run = run(&mut groff);
            assert_eq!((run.exit, run.err.as_str()), (0, ""), "{name}");
        }
    }
    larder(place.path(), &["man", "nowhere"]).expect(1).says("unwritable-file");
}

#[test]
fn the_readme_has_the_exit_codes_and_names_every_command() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    for (code, meaning) in manual::EXIT_STATUS {
        assert!(readme.contains(&format!("| {code} | {meaning} |")), "{code}");
    }
    let place = tempfile::tempdir().expect("a directory");
    let help = larder(place.path(), &["help"]).expect(0).out;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<_> = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   ")).collect();
    assert!(names.len() > 10, "{help}");
    for name in names.iter().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        assert!(readme.contains(&format!("`{name}")) || readme.contains(&format!("larder {name}")), "{name}");
    }
}
