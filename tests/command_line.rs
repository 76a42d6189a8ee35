//! The command line as people and scripts meet it: exit codes, options, errors in words and in JSON, and input that nobody
//! would write on purpose.

mod common;
#[path = "fuzz/mutate.rs"]
mod mutate;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Run, Site, hosts, storage};
use mutate::{Numbers, of_bytes};
use serde_json::Value;

const VOLUME: &str = "external_volume \"ram\" {\n  storage = image_storage.main\n  mount_point = \"/srv/ram\"\n  tmpfs {\n    size = \"16MiB\"\n  }\n}\n";

/// Runs the binary in a directory, without a lab.
fn larder(directory: &Path, arguments: &[&str]) -> Run {
    with_environment(directory, arguments, &[])
}

fn with_environment(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.current_dir(directory).args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

fn directory(configuration: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), configuration).expect("written");
    directory
}

#[test]
fn each_end_has_its_exit_code() {
    let site = Site::up(&["hv1", "hv2"]);
    let wanted = format!("{}{VOLUME}", storage(&["hv1", "hv2"]));
    site.write(&wanted);
    site.larder(&["plan"]).expect(0).says("Carry it out with: larder -lab apply\n");
    site.larder(&["plan", "-detailed-exitcode"]).expect(2);
    let table: [(&[&str], &str); 4] = [
        (
            &["plan", "-target", "external_volume.ram", "-parallelism=3"],
            "apply -target external_volume.ram -parallelism=3",
        ),
        (&["plan", "-destroy"], ""),
        (&["plan", "-refresh-only"], "apply -refresh-only"),
        (&["plan", "-json"], ""),
    ];
    for (words, way) in table {
        let said = site.larder(words).expect(0).err;
        let expected = if way.is_empty() { String::new() } else { format!("Carry it out with: larder -lab {way}\n") };
        assert_eq!(
            said.split_inclusive('\n').find(|line| line.contains("Carry it out")).unwrap_or_default(),
            expected,
            "{words:?}"
        );
    }
    let log = site.command(&["plan"]).env("LARDER_LOG", "larder=trace").output().expect("it runs").stderr;
    let log = String::from_utf8_lossy(&log);
    for line in ["evaluated ", "connected host=hv1", "answer host=hv2 question=", "asked host=hv2", "planned "] {
        assert!(log.contains(line), "{line}: {log}");
    }
    site.write("host {").larder(&["plan"]).expect(1);
    site.larder(&["plam"]).expect(3);
    site.write(&wanted).larder(&["plan", "-out", "stale"]).expect(0);
    site.larder(&["plan", "-out", "changed"]).expect(0);
    site.sh("hv2", "mkdir /srv/ram");
    // On the other host everything is done, so this is part of an apply; nothing of it is where only what changed was left.
    let run = site.larder(&["apply", "changed"]);
    assert!(matches!(run.exit, 4 | 7), "{} {}", run.exit, run.err);
    site.larder(&["apply", "stale"]).expect(4);
    site.apply();
    site.larder(&["plan", "-detailed-exitcode", "-out", "same"]).expect(0);
    site.larder(&["apply", "same"]).expect(0).says("No step to carry out.");
    site.sh("hv1", "umount /srv/ram && chattr -i /srv/ram && chmod 755 /srv/ram && : >/srv/ram/guest.qcow2");
    site.larder(&["plan"]).expect(6).says("hides-data");
    site.larder(&["apply", "-auto-approve"]).expect(6);
    site.larder(&["apply", "-auto-approve", "-accept", "nonsense@external_volume.ram"]).expect(3);
    site.larder(&["apply", "-auto-approve", "-accept", "hides-data"]).expect(3);
    site.larder(&["plan", "-accept", "hides-data@external_volume.rem"])
        .expect(6)
        .says("hides-data@external_volume.ram");
    site.larder(&["plan", "-accept", "not-blank@external_volume.ram"]).expect(6).says("cannot be accepted");
    let said = site.larder(&["plan", "-out", "refused"]).expect(6).err;
    assert!(!said.contains("Carry it out"), "{said}");
    site.larder(&["apply", "refused", "-accept", "no-access@external_volume.ram"])
        .expect(3)
        .says("hides-data@external_volume.ram");
    site.larder(&["apply", "-auto-approve", "-refresh-only"]).expect(0);
    site.sh("hv1", "rm /srv/ram/guest.qcow2");
    site.apply();
    site.wait(site.lab().stop(&"hv2".into())).unwrap_or_else(|problem| panic!("{problem}"));
    let plan = site.larder(&["plan", "-json"]).expect(8).json();
    assert_eq!((&plan["complete"], &plan["unknown"][0]["host"]), (&Value::Bool(false), &Value::from("hv2")));
    assert_eq!(plan["steps"], Value::Array(vec![]), "unknown is never absent");
    let said = site.larder(&["apply", "-auto-approve"]).expect(8);
    assert!(said.out.trim_end().ends_with("Not answering, and left as they are: hv2."), "{}", said.out);
}

#[test]
fn a_lab_is_entered_as_with_ssh_and_kept_out_of_version_control() {
    let site = Site::up(&["hv1"]);
    site.write(&hosts(&["hv1"]));
    let run = site.larder(&["lab", "ssh", "hv1", "echo one   two;", "hostname", "|", "tr", "a-z", "A-Z"]).expect(0);
    assert_eq!(run.out, "one two\nHV1\n");
    site.larder(&["lab", "ssh", "hv1", "exit 7"]).expect(7);
    site.larder(&["lab", "up", "-runtime", "namespace"]).expect(0);
    assert_eq!(std::fs::read_to_string(site.path().join(".larder/.gitignore")).expect("written"), "*\n");
}

#[test]
fn approval_is_a_yes_and_nothing_else() {
    let site = Site::up(&["hv1"]);
    site.write(&format!("{}{VOLUME}", storage(&["hv1"])));
    let before = site.snapshot("hv1");
    let answered = |text: &[u8]| {
        let mut child = site
            .command(&["apply"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        child.stdin.take().expect("piped").write_all(text).expect("taken");
        let output = child.wait_with_output().expect("ended");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Run { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    };
    for no in [&b"no\n"[..], b"y\n", b"YES\n", b"", b"\n", b"yes please\n", b"\xff\xfe\n"] {
        answered(no).expect(1);
    }
    for unasked in [
        ["apply", "-input=false"].as_slice(),
        &["apply", "--input=false"],
        &["apply", "-json"],
        &["destroy", "-input=false"],
    ] {
        if unasked[0] == "apply" {
            site.larder(unasked).expect(1).says("approval-needed");
        }
    }
    assert_eq!(site.snapshot("hv1"), before);
    assert!(!site.state().exists());
    let run = answered(b"yes\n").expect(0);
    assert!(!run.out.contains('\u{1b}') && !run.err.contains('\u{1b}'), "no colours in a pipe");
    site.assert_settled();
}

#[test]
fn options_are_taken_with_one_dash_and_with_two() {
    let place = directory(&format!(
        "{}variable \"mode\" {{\n  type = string\n  default = \"0700\"\n}}\noutput \"mode\" {{\n  value = var.mode\n}}\n",
        hosts(&["hv1"])
    ));
    let elsewhere = tempfile::tempdir().expect("a directory");
    let at = place.path().to_str().expect("a name");
    for words in [
        vec!["validate"],
        vec!["validate", "-json"],
        vec!["validate", "--json"],
        vec!["validate", "-var", "mode=0770"],
        vec!["validate", "-var=mode=0770"],
        vec!["validate", "--var", "mode=0770"],
        vec!["validate", "-no-color"],
        vec!["-no-color", "validate"],
        vec!["version", "-json"],
        vec!["-help"],
        vec!["--help"],
        vec!["plan", "-help"],
        vec!["-version"],
        vec!["-v"],
    ] {
        larder(place.path(), &words).expect(0);
    }
    larder(elsewhere.path(), &[&format!("-chdir={at}"), "validate"]).expect(0);
    larder(elsewhere.path(), &["-chdir", at, "validate"]).expect(0);
    larder(elsewhere.path(), &["validate", "--chdir", at]).expect(0);
    for words in [
        vec![],
        vec!["plna"],
        vec!["plan", "-no-such-option"],
        vec!["plan", "surplus"],
        vec!["plan", "-parallelism=0"],
        vec!["plan", "-parallelism=many"],
        vec!["apply", "-lock-timeout=5"],
        vec!["apply", "-lock-timeout=-5s"],
        vec!["state"],
        vec!["state", "rm"],
        vec!["graph", "-format=svg"],
    ] {
        let run = larder(place.path(), &words).expect(3);
        assert!(run.out.is_empty() && !run.err.is_empty(), "{words:?}: usage goes to standard error");
    }
}

#[test]
fn habits_of_terraform_users_end_in_a_hint_or_just_work() {
    let place = directory(&hosts(&["hv1"]));
    for (words, hint) in [
        (&["taint", "image.web"][..], "move its file away"),
        (&["untaint", "image.web"], "never makes an object anew"),
        (&["refresh"], "larder apply -refresh-only"),
        (&["workspace", "list"], "-state FILE"),
        (&["import", "image.web", "i-1"], "import { to = KIND.NAME }"),
        (&["get"], "larder init"),
        (&["login"], "reached by SSH"),
        (&["providers"], "no providers"),
        (&["test"], "larder lab up"),
        (&["state", "pull"], "larder show -json"),
        (&["plan", "-refresh=false"], "Hosts are asked for every plan"),
        (&["apply", "-destroy"], "larder destroy"),
        (&["apply", "-replace=image.web"], "never makes an object anew"),
        (&["apply", "-lock=false"], "-lock-timeout 5m"),
        (&["init", "-reconfigure"], "The state is a file"),
        (&["force-unlock", "9db590f1"], "force-unlock` alone"),
    ] {
        let run = larder(place.path(), words).expect(3);
        assert!(run.out.is_empty() && run.err.contains(hint), "{words:?}: {}", run.err);
        assert!(!run.err.contains("tip:") && !run.err.contains("--"), "{words:?}: {}", run.err);
    }
    let json = larder(place.path(), &["plan", "-json", "-refresh=false"]).expect(3).json();
    assert_eq!(json["diagnostics"][0]["code"], "invalid-usage");
    assert!(json["diagnostics"][0]["detail"].as_str().expect("a text").contains("-target"), "{json:#}");
    let help = |words: &[&str]| larder(place.path(), words).expect(0).out;
    assert_eq!(help(&["-help", "plan"]), help(&["help", "plan"]));
    assert_eq!(help(&["--help", "state", "mv"]), help(&["help", "state", "mv"]));
    assert!(!help(&["help", "plan"]).contains("-input"), "what means nothing is not advertised");
    larder(place.path(), &["init", "-input=false"]).expect(0);
    larder(place.path(), &["plan", "-input=false", "-lock-timeout=x"]).expect(3).says("no duration");
    let run = with_environment(place.path(), &["validate"], &[("TF_LOG", "debug")]).expect(0);
    assert!(run.err.contains("LARDER_LOG"), "{}", run.err);
}

#[test]
fn values_that_terraform_would_find_and_larder_does_not_are_a_warning() {
    let place = directory("variable \"size\" {\n  default = 1\n}\nvariable \"other\" {\n  default = 1\n}\n");
    for name in ["terraform.tfvars", "a.auto.tfvars", "b.auto.tfvars.json", "prod.tfvars"] {
        std::fs::write(place.path().join(name), "size = 2\n").expect("written");
    }
    let environment =
        [("TF_VAR_size", "3"), ("TF_VAR_stranger", "4"), ("TF_VAR_other", "5"), ("LARDER_VAR_other", "6")];
    let run = with_environment(place.path(), &["validate", "-json"], &environment).expect(0);
    let json = run.json();
    let said: Vec<_> = json["diagnostics"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["code"].as_str(), one["summary"].as_str()))
        .collect();
    let summaries = [
        "a.auto.tfvars is not read",
        "b.auto.tfvars.json is not read",
        "terraform.tfvars is not read",
        "`TF_VAR_size` in the environment is not read",
    ];
    assert_eq!(said, summaries.map(|summary| (Some("values-not-read"), Some(summary))), "{json:#}");
    assert!(run.out.contains("a.auto.vars.hcl") && run.out.contains("LARDER_VAR_size"), "{}", run.out);
    larder(place.path(), &["validate", "-var-file", "prod.tfvars"]).expect(0);
    let (parent, name) = (place.path().parent().expect("a parent"), place.path().file_name().expect("a name"));
    let name = name.to_str().expect("a text");
    let run = larder(parent, &[&format!("-chdir={name}"), "validate", "-var-file=prod.tfvars"]).expect(1);
    assert!(run.err.contains(&format!("it is at {name}/prod.tfvars from there")), "{}", run.err);
}

#[test]
fn a_value_that_is_refused_says_where_it_comes_from() {
    let text = "variable \"n\" {\n  type    = list(string)\n  default = []\n  validation {\n    condition     = length(var.n) == 1\n    error_message = \"One is needed.\"\n  }\n}\n";
    let two = r#"["a", "b"]"#;
    let place = directory(text);
    let detail = |arguments: &[&str], environment: &[(&str, &str)]| {
        let json =
            with_environment(place.path(), &[&["validate", "-json"], arguments].concat(), environment).expect(1).json();
        assert_eq!(json["diagnostics"][0]["code"], "invalid-variable-value", "{json:#}");
        json["diagnostics"][0]["detail"].as_str().expect("a text").to_owned()
    };
    assert_eq!(detail(&[], &[]), "One is needed. The value is its default.");
    assert_eq!(detail(&[], &[("LARDER_VAR_n", two)]), "One is needed. The value is that of `LARDER_VAR_n`.");
    assert_eq!(detail(&["-var", &format!("n={two}")], &[]), "One is needed. The value is that of `-var`.");
    std::fs::write(place.path().join("larder.vars.hcl"), format!("# x\nn = {two}\n")).expect("written");
    assert_eq!(detail(&[], &[("LARDER_VAR_n", "[]")]), "One is needed. The value is that of larder.vars.hcl:2.");
    let said = detail(&["-var", "n=a,b"], &[]);
    assert!(said.contains(r#"`-var 'n=["a", "b"]'`"#) && !said.contains("comma"), "{said}");
    let said = detail(&[], &[("LARDER_VAR_n", "a b")]);
    assert!(said.contains("larder.vars.hcl:2"), "a file counts more than the environment: {said}");
}

#[test]
fn variables_come_in_the_order_that_people_know() {
    // The last line of each is what the value must be; a wrong one fails the validation of the variable.
    let configuration = |wanted: &str| {
        format!(
            "{}variable \"name\" {{\n  type = string\n  validation {{\n    condition = var.name == \"{wanted}\"\n    error_message = \"It is ${{var.name}}.\"\n  }}\n}}\n",
            hosts(&["hv1"])
        )
    };
    let check = |wanted: &str, files: &[(&str, &str)], environment: &[(&str, &str)], arguments: &[&str], exit: i32| {
        let place = directory(&configuration(wanted));
        for (name, value) in files {
            std::fs::write(place.path().join(name), format!("name = \"{value}\"\n")).expect("written");
        }
        with_environment(place.path(), &[&["validate"], arguments].concat(), environment).expect(exit);
    };
    let env = [("LARDER_VAR_name", "environment")];
    let file = ("larder.vars.hcl", "file");
    let auto = ("z.auto.vars.hcl", "auto");
    let own = ("own.vars.hcl", "own");
    check("environment", &[], &env, &[], 0);
    check("file", &[file], &env, &[], 0);
    check("auto", &[file, auto], &env, &[], 0);
    check("own", &[file, auto, own], &env, &["-var-file", "own.vars.hcl"], 0);
    check("line", &[file, auto, own], &env, &["-var-file", "own.vars.hcl", "-var", "name=line"], 0);
    check("auto", &[file, auto, own], &env, &[], 0);
    check("something else", &[file, auto], &env, &[], 1);
    check("line", &[], &[], &["-var-file", "missing.vars.hcl"], 1);
    check("line", &[], &[], &["-var", "nonsense"], 1);
}

#[test]
fn errors_come_all_at_once_with_their_places() {
    let place = directory(
        "host \"hv1\" {\n  adress = \"10.0.0.1\"\n}\nimage_storage \"main\" {\n  hosts = [host.hv2]\n  mode = \"0999\"\n}\nnonsense \"x\" {\n}\n",
    );
    for command in ["validate", "plan"] {
        let run = larder(place.path(), &[command, "-json"]).expect(1);
        let json = run.json();
        let diagnostics = json["diagnostics"].as_array().expect("diagnostics");
        assert!(diagnostics.len() >= 4, "{command}: {json:#}");
        for one in diagnostics {
            for key in ["severity", "code", "summary", "detail"] {
                assert!(one[key].is_string(), "{key}: {one:#}");
            }
            let place = &one["range"];
            assert_eq!(place["file"], "main.hcl");
            for end in ["start", "end"] {
                assert!(place[end]["line"].as_u64() >= Some(1) && place[end]["column"].as_u64() >= Some(1), "{one:#}");
            }
        }
        assert!(run.out.contains("address"), "did you mean: {}", run.out);
    }
    let run = larder(place.path(), &["validate"]).expect(1);
    assert!(run.err.contains("adress") && run.err.contains("main.hcl:2"), "{}", run.err);
    assert!(!run.err.contains('\u{1b}'));
    let good = directory(&hosts(&["hv1"]));
    let json = larder(good.path(), &["validate", "-json"]).expect(0).json();
    assert_eq!(json["valid"], true);
    assert_eq!(json["diagnostics"], Value::Array(vec![]));
    let empty = tempfile::tempdir().expect("a directory");
    larder(empty.path(), &["validate"]);
    larder(empty.path(), &["-chdir=/no/such/place", "plan"]).expect(1);
}

#[test]
fn names_never_become_syntax() {
    let site = Site::up(&["hv1"]);
    // Where a path may hold it, it is made; where it may not, it is an error of the configuration.
    let words = [
        "a b",
        "it's",
        "quo\"te",
        "$(touch pwned)",
        "`touch pwned`",
        "a;touch pwned",
        "é ü 漢",
        "-rf",
        "#hash",
        "a\\tb",
        "*",
        "~",
        "{x}",
        "a&b|c>d",
        "\\134",
    ];
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${");
    let mut configuration = storage(&["hv1"]);
    for (number, word) in words.iter().enumerate() {
        let word = quoted(word);
        configuration.push_str(&format!(
            "external_volume \"v{number}\" {{\n  storage = image_storage.main\n  mount_point = \"/srv/{word}\"\n  tmpfs {{\n    size = \"4MiB\"\n  }}\n}}\n\
             image \"i{number}\" {{\n  volume = external_volume.v{number}\n  name = \"{word}\"\n  format = \"raw\"\n  size = \"512\"\n}}\n"
        ));
    }
    site.write(&configuration).apply();
    for word in words {
        site.on("hv1", &["test", "-f", &format!("/srv/{word}/{word}")]);
    }
    assert!(!site.try_on("hv1", &["test", "-e", "/pwned"]).status.success());
    site.on("hv1", &["findmnt", "--verify", "--tab-file", "/etc/fstab"]);
    // The lines of fstab say the same after a reboot.
    site.wait(site.lab().restart(&"hv1".into())).unwrap_or_else(|problem| panic!("{problem}"));
    for word in words {
        site.on("hv1", &["findmnt", "-n", &format!("/srv/{word}")]);
    }
    for word in ["new\\nline", "bell\\u0007"] {
        site.write(&format!("{}{}", storage(&["hv1"]), VOLUME.replace("/srv/ram", &format!("/srv/{word}"))));
        site.larder(&["validate"]).expect(1);
    }
}

/// The run ended by itself, with a word about why if it failed.
#[track_caller]
fn assert_civil(run: &Run, what: &str) {
    assert!((0..=8).contains(&run.exit), "{what}: exit {} {}", run.exit, run.err);
    assert!(!run.err.contains("panicked") && !run.err.contains("RUST_BACKTRACE"), "{what}: {}", run.err);
    assert!(run.exit == 0 || run.err.len() + run.out.len() > 20, "{what}: exit {} without a word", run.exit);
}

#[test]
fn any_bytes_of_a_plan_or_a_state_are_an_error_and_never_a_panic() {
    let site = Site::up(&["hv1"]);
    let configuration = format!("{}{VOLUME}output \"o\" {{\n  value = [1, \"x\", null]\n}}\n", storage(&["hv1"]));
    site.write(&configuration).larder(&["plan", "-out", "saved.plan"]).expect(0);
    site.apply();
    let (plan, state) =
        (std::fs::read(site.path().join("saved.plan")).expect("a plan"), std::fs::read(site.state()).expect("a state"));
    let mut numbers = Numbers(0x5eed_1a4d_e400_0001);
    // Any bytes as a configuration are the business of tests/fuzz.rs.
    let mutated = |bytes: &[u8], numbers: &mut Numbers| {
        (0..=numbers.below(3)).fold(bytes.to_vec(), |bytes, _| of_bytes(bytes, numbers))
    };
    let place = directory(&configuration);
    std::fs::create_dir(place.path().join("state")).expect("made");
    for round in 0..60 {
        let bytes = mutated(&plan, &mut numbers);
        std::fs::write(place.path().join("bad.plan"), &bytes).expect("written");
        let run = larder(place.path(), &["show", "bad.plan"]);
        assert_civil(&run, &format!("plan {round}"));
        // JSON does not mind some changes, of blanks for example; all others are told apart from the plan that was made.
        let same = serde_json::from_slice::<Value>(&bytes).ok() == serde_json::from_slice::<Value>(&plan).ok();
        assert!(run.exit != 0 || same, "plan {round} was altered, and taken");
        std::fs::write(place.path().join("state/larder.state.json"), mutated(&state, &mut numbers)).expect("written");
        assert_civil(&larder(place.path(), &["state", "list"]), &format!("state {round}"));
        assert_civil(&larder(place.path(), &["show"]), &format!("state {round}"));
    }
}

#[test]
fn a_module_that_is_no_resource_is_refused_with_a_true_text() {
    let place = directory(&hosts(&["hv1"]));
    larder(place.path(), &["plan", "-accept", "data-loss@module.set"]).expect(3).says("not for all of `module.set`");
    larder(place.path(), &["state", "rm", "module.set"]).says("module.set is not in the state");
}
