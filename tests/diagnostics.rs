//! What people read when something is wrong: a table of mistakes with the whole message of each, for a critical eye.
//! `cargo insta review` (or `INSTA_UPDATE=always`) takes what has changed.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

/// Stands before each mistake.
const BASE: &str = "host \"hv1\" {\n  address = \"192.0.2.11\"\n}\n\nimage_storage \"main\" {\n  hosts = [host.hv1]\n}\n\nexternal_volume \"disk\" {\n  storage = image_storage.main\n  directory {}\n}\n\n";

/// Names of attributes that each image needs.
const IMAGE: &str = "  volume = external_volume.disk\n  format = \"raw\"\n";

fn image(name: &str, lines: &str) -> String {
    format!("image \"{name}\" {{\n{IMAGE}{lines}}}\n")
}

/// What is wrong, and the text of it.
fn mistakes() -> Vec<(&'static str, String)> {
    let text = |text: &str| text.to_owned();
    vec![
        (
            "a key that a map does not have",
            text(
                "variable \"sizes\" {\n  default = { small = \"1GiB\" }\n}\nlocals {\n  x = var.sizes[\"large\"]\n}\n",
            ),
        ),
        ("an element behind the end", text("locals {\n  racks = [\"a\", \"b\"]\n  x     = local.racks[2]\n}\n")),
        (
            "a text in a computation",
            text("variable \"n\" {\n  default = \"ten\"\n}\nlocals {\n  x = var.n * 2 + 1\n}\n"),
        ),
        ("null in a computation", text("locals {\n  n = null\n  x = local.n + 1\n}\n")),
        ("a division by zero", text("locals {\n  n = 0\n  x = 10 / local.n\n}\n")),
        (
            "secrets",
            text(
                "variable \"pw\" {\n  default   = \"hunter2\"\n  sensitive = true\n}\nlocals {\n  x = var.pw * 2\n}\n",
            ) + &image("a", "  size = var.pw\n"),
        ),
        (
            "a secret in a value that a kind judges",
            text("variable \"pw\" {\n  default   = \"hunter2\"\n  sensitive = true\n}\n")
                + &image("a", "  size = \"1GiB\"\n  name = \"${var.pw}/x\"\n"),
        ),
        (
            "a secret default of the wrong type",
            text(
                "variable \"pw\" {\n  type      = map(number)\n  default   = { hunter2 = \"hunter3\" }\n  sensitive = true\n}\n",
            ),
        ),
        ("results of two types", image("a", "  size = 5 > 3 ? [\"1GiB\"] : \"2GiB\"\n")),
        (
            "one of many instances",
            text(
                "image \"web\" {\n  for_each = { small = \"1GiB\", large = \"2 gigs\" }\n  volume   = external_volume.disk\n  format   = \"raw\"\n  size     = each.value\n}\n",
            ),
        ),
        (
            "all of many instances",
            text(
                "image \"web\" {\n  for_each = { for n in range(42) : \"g${n}\" => \"${n + 1}GiB\" }\n  volume   = external_volume.disk\n  format   = \"raw\"\n  size     = each.value\n  name     = \"x/${each.key}\"\n}\n",
            ),
        ),
        (
            "one path for many instances",
            text(
                "image \"web\" {\n  count  = 42\n  volume = external_volume.disk\n  format = \"raw\"\n  size   = \"1GiB\"\n  name   = \"x\"\n}\n",
            ),
        ),
        (
            "one mistake at many places",
            (1..=6).map(|n| image(&format!("i{n}"), "  size = \"1GiB\"\n  owmer = \"root\"\n")).collect(),
        ),
        (
            "a condition that does not hold",
            image(
                "a",
                "  size = \"1GiB\"\n  lifecycle {\n    precondition {\n      condition     = length(host) > 2\n      error_message = \"There must be three hosts.\"\n    }\n  }\n",
            ),
        ),
        (
            "a check that does not hold",
            text(
                "check \"two\" {\n  assert {\n    condition     = length(host) >= 2\n    error_message = \"There is nothing to move guests to.\"\n  }\n}\nlocals {\n  x = local.y\n}\n",
            ),
        ),
        (
            "null where something is read",
            text("locals {\n  x = null\n  y = local.x.name\n  z = \"a${local.x}\"\n  w = [for a in local.x : a]\n}\n"),
        ),
        (
            "what is missing",
            text(
                "image \"web\" {\n  volume = external_volume.disk\n}\nexternal_volume \"x\" {\n  storage = image_storage.main\n}\nhost \"y\" {\n}\n",
            ),
        ),
        (
            "what is no resource",
            text(
                "image_storage \"b\" {\n  hosts = \"hv1\"\n}\nimage_storage \"c\" {\n  hosts = [\"host.hv1\", external_volume.disk]\n}\nexternal_volume \"z\" {\n  storage = host.hv1\n  directory {}\n}\n",
            ),
        ),
        (
            "names that mean nothing",
            text(
                "locals {\n  a = host.hv1.adress\n  b = external_volume.disk.mount\n  c = host.hv2.address\n  d = hosts.hv1\n  e = image.web.size\n  f = vra.x\n  g = each.key\n}\n",
            ),
        ),
        (
            "functions",
            text(
                "locals {\n  a = jsondecode(\"{\")\n  b = regex(\"a(\", \"b\")\n  c = cidrhost(\"10.0.0.0/8\")\n  d = uper(\"x\")\n  e = tonumber(\"x\")\n  f = upper([\"x\"])\n  g = upper(\"a\", \"b\")\n}\n",
            ),
        ),
        (
            "labels",
            text("host {\n  address = \"x\"\n}\nlocals \"x\" {\n}\nresource \"host\" \"x\" {\n}\nhost \"a b\" {\n}\n"),
        ),
        (
            "attributes of a host",
            text(
                "host \"a\" {\n  address = 10.0.0.1\n}\nhost \"b\" {\n  address         = \"10.0.0.1\"\n  port            = \"ssh\"\n  connect_timeout = 10\n  become          = true\n}\n",
            ),
        ),
        (
            "a part of a large default",
            text(
                "variable \"list\" {\n  type = list(object({\n    name = string\n    size = number\n  }))\n  default = [\n    { name = \"a\", size = 1 },\n    { name = \"b\", size = \"x\" },\n  ]\n}\n",
            ),
        ),
        (
            "sizes and modes",
            image("a", "  size = \"-1GiB\"\n  mode = 999\n")
                + &image("b", "  size       = 100\n  allocation = \"thick\"\n"),
        ),
        (
            "what orders and protects",
            image(
                "a",
                "  size = \"1GiB\"\n  depends_on = [\"host.hv1\", host.hv2]\n  lifecycle {\n    ignore_changes  = \"mode\"\n    accept          = [\"hides_data\", \"shrink\"]\n    prevent_destroy = \"maybe\"\n  }\n",
            ),
        ),
        ("a circle", text("locals {\n  a = local.b\n  b = \"${local.c}x\"\n  c = [local.a]\n}\n")),
        ("itself", text("host \"a\" {\n  address = \"x\"\n  user    = host.a.address\n}\n")),
        ("one address twice", text("host \"hv1\" {\n  address = \"x\"\n}\n")),
        (
            "one path twice",
            text(
                "external_volume \"other\" {\n  storage     = image_storage.main\n  mount_point = \"/var/lib/larder/storages/main/disk\"\n  directory {}\n}\n",
            ),
        ),
        (
            "two sources",
            text(
                "external_volume \"two\" {\n  storage = image_storage.main\n  directory {}\n  tmpfs {\n    size = \"1GiB\"\n  }\n}\n",
            ),
        ),
        (
            "instances",
            text(
                "image \"a\" {\n  for_each = [\"a\"]\n  count    = -1\n  volume   = external_volume.disk\n  format   = \"raw\"\n  size     = \"1GiB\"\n}\n",
            ),
        ),
        (
            "syntax",
            text(
                "host \"a\" {\n  address = \"x\n  port = = 22\n  user \"root\"\n}\nhost \"b\" {\n  labels = [1, 2\n}\n",
            ),
        ),
        ("an output that shows a secret", text("output \"x\" {\n  value = sensitive(\"x\")\n}\n")),
        ("what is not there yet", text("larder {\n  state \"s3\" {\n    bucket = \"larder\"\n  }\n}\n")),
        (
            "letters that a terminal obeys",
            text("locals {\n  x = upper(\"\u{1b}[31m\u{202e}\", 1)\n  y = local.\u{e9}\n}\n"),
        ),
        ("the version", text("larder {\n  required_version = \">= 99\"\n}\n")),
        (
            "types",
            text(
                "variable \"a\" {\n  type    = \"string\"\n  default = 1\n}\nvariable \"b\" {\n  type = lst(string)\n}\n",
            ),
        ),
        ("a variable without a value", text("variable \"pool\" {\n}\n")),
        (
            "paths",
            text(
                "image_storage \"a\" {\n  hosts = [host.hv1]\n  root  = \"srv\"\n}\nimage_storage \"b\" {\n  hosts = [host.hv1]\n  root  = \"/etc/x/../y\"\n}\nimage_storage \"c\" {\n  hosts = [host.hv1]\n  root  = \"/etc\"\n}\n",
            ),
        ),
        (
            "devices",
            text(
                "external_volume \"a\" {\n  storage = image_storage.main\n  device {\n    path   = \"/dev/sdb\"\n    fstype = \"ext3\"\n    label  = \"a label that is too long for it\"\n  }\n}\n",
            ),
        ),
    ]
}

#[test]
fn every_message_says_what_where_and_how_to_mend_it() {
    let mut all = String::new();
    let mistakes = mistakes();
    assert!(mistakes.len() >= 40, "{}", mistakes.len());
    for (what, text) in mistakes {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("main.hcl"), format!("{BASE}{text}")).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.env_clear().current_dir(directory.path()).arg("validate").stdin(Stdio::null());
        let output = command.output().expect("the binary runs");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{what}: {said}");
        assert!(!said.contains("hunter") && !said.contains('\u{1b}'), "{what}: {said}");
        let errors = said.lines().filter(|line| line.starts_with("error[") || line.starts_with("warning[")).count();
        let places = said.lines().filter(|line| line.trim_start().starts_with("--> main.hcl:")).count();
        let cures = said.lines().filter(|line| line.trim_start().starts_with("= help: ")).count();
        assert!(errors > 0 && (errors, errors) == (places, cures), "{what}: each has a place and a cure\n{said}");
        writeln!(all, "##### {what}\n\n{said}").expect("a String takes text");
    }
    insta::assert_snapshot!(all);
}

/// What `larder validate` says of a directory with these files, as JSON and as text.
fn said(files: &[(&str, &str)]) -> (Vec<serde_json::Value>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.env_clear().current_dir(directory.path()).args(arguments).stdin(Stdio::null());
        command.output().expect("the binary runs")
    };
    let json: serde_json::Value = serde_json::from_slice(&run(&["validate", "-json"]).stdout).expect("JSON");
    let text = String::from_utf8(run(&["validate"]).stderr).expect("UTF-8");
    (json["diagnostics"].as_array().expect("a list").clone(), text)
}

#[test]
fn what_is_wrong_in_a_module_is_shown_with_its_caller() {
    let middle =
        "variable \"port\" {}\nmodule \"inner\" {\n  source = \"../inner\"\n  port   = var.port\n  count  = 1\n}\n";
    let inner = "variable \"port\" {\n  validation {\n    condition     = var.port != 7\n    error_message = \"No.\"\n  }\n}\nhost \"a\" {\n  address = \"x\"\n  port    = var.port\n}\n";
    let main = |port: &str| format!("module \"m\" {{\n  source = \"./middle\"\n\n  port = {port}\n}}\n");
    let callers = |port: &str| {
        let (found, text) = said(&[("main.hcl", &main(port)), ("middle/main.hcl", middle), ("inner/main.hcl", inner)]);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0]["range"]["file"], "inner/main.hcl");
        assert!(text.contains("the module is called at main.hcl:1:1, middle/main.hcl:4:3"), "{text}");
        let from = found[0]["called_from"].as_array().expect("a list").clone();
        from.iter()
            .map(|one| format!("{}:{}", one["file"].as_str().expect("a file"), one["start"]["line"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(callers("\"many\""), ["middle/main.hcl:4", "main.hcl:1"], "a value that the kind refuses");
    assert_eq!(callers("7"), ["middle/main.hcl:4", "main.hcl:1"], "a value that the variable refuses");
    // What is wrong where the argument stands needs no caller.
    let typed = inner.replace("variable \"port\" {\n", "variable \"port\" {\n  type = number\n");
    let (found, _) = said(&[
        ("main.hcl", "module \"m\" {\n  source = \"./inner\"\n  port   = \"many\"\n}\n"),
        ("inner/main.hcl", &typed),
    ]);
    assert_eq!(
        (found.len(), &found[0]["range"]["file"], found[0].get("called_from")),
        (1, &"main.hcl".into(), None),
        "{found:#?}"
    );
}

#[test]
fn each_of_these_mistakes_has_one_message_with_its_cure() {
    let module = ("m/main.hcl", "output \"path\" {\n  value = 1\n}\noutput \"size\" {\n  value = 1\n}\n");
    let base = "host \"h\" {\n  address = \"x\"\n}\nimage_storage \"s\" {\n  hosts = [host.h]\n}\nmodule \"p\" {\n  source = \"./m\"\n}\n";
    let volume = |inside: &str| format!("external_volume \"v\" {{\n  storage = image_storage.s\n{inside}}}\n");
    let twice =
        "  dynamic \"tmpfs\" {\n    for_each = [1]\n    content {\n      size = \"1MiB\"\n    }\n  }\n".repeat(2);
    for (text, code, cure) in [
        ("module \"q\" {\n  source = \"./no/where\"\n}\n".to_owned(), "unreadable-directory", "There is no directory no/where."),
        (
            "external_volume \"v\" {\n  storage = module.p\n  directory {}\n}\n".to_owned(),
            "not-a-resource",
            "name an output: `module.p.path`, `module.p.size`",
        ),
        ("image_storage \"t\" {\n  hosts = host.*\n}\n".to_owned(), "not-a-resource", "`values(host)`"),
        ("data \"host\" \"x\" {\n}\n".to_owned(), "unknown-block", "`host.NAME.facts`"),
        ("host \"i\" {\n  address = \"y\"\n  user    = root\n}\n".to_owned(), "invalid-reference", "in quotes: `\"root\"`"),
        ("gluster_volume \"t\" {\n}\nlocals {\n  x = gluster_volume.t.name\n}\n".to_owned(), "not-supported", "does not have it"),
        ("iscsi_target \"t\" {\n  hosts = [host.h]\n  iqn = \"array\"\n  portals = [\"10.0.0.5\"]\n}\n".to_owned(), "invalid-value", "It begins with `iqn.`"),
        ("iscsi_target \"t\" {\n  hosts = [host.h]\n  iqn = \"iqn.2026-01.lab.example:a\"\n  portals = [\"san:3260\"]\n}\n".to_owned(), "invalid-value", "Names are not looked up"),
        ("iscsi_target \"t\" {\n  hosts = [host.h]\n  iqn = \"iqn.2026-01.lab.example:a\"\n  portals = [\"10.0.0.5\", \"10.0.0.5:3260\"]\n}\n".to_owned(), "invalid-value", "Remove one."),
        ("iscsi_target \"t\" {\n  hosts = [host.h]\n  iqn = \"iqn.2026-01.lab.example:a\"\n  portals = []\n}\n".to_owned(), "invalid-value", "Name at least one"),
        ("iscsi_target \"t\" {\n  hosts = [host.h]\n  iqn = \"iqn.2026-01.lab.example:a\"\n  portals = [\"10.0.0.5\"]\n  chap {\n    username = \"u\"\n    password = \" p\"\n  }\n}\n".to_owned(), "invalid-value", "the value is sensitive"),
        ("iscsi_target \"t\" {\n  hosts = [host.h]\n  iqn = \"iqn.2026-01.lab.example:a\"\n  portals = [\"10.0.0.5\"]\n  chap {\n    username = \"u\"\n    password = \"p\"\n    password_in = \"q\"\n  }\n}\n".to_owned(), "missing-attribute", "Set `username_in` and `password_in`"),
        ("iscsi_target \"t\" {\n  hosts = [host.h]\n  iqn = \"iqn.2026-01.lab.example:a\"\n  portals = [\"10.0.0.5\"]\n  chap {\n    username = \"u\"\n    password = \"p\"\n    username_in = \"v\"\n    password_in = \"p\"\n  }\n}\n".to_owned(), "invalid-value", "the value is sensitive"),
        ("locals {\n  x = timestamp()\n}\n".to_owned(), "call-to-unknown-function", "as a variable"),
        ("locals {\n  x = terraform.workspace\n}\n".to_owned(), "invalid-reference", "as a variable"),
        ("host \"i\" {\n  address         = \"y\"\n  connect_timeout = 30s\n}\n".to_owned(), "syntax", "in quotes: `\"10GiB\"`"),
        ("gluster_volume \"t\" {\n}\n".to_owned(), "not-supported", "does not have it"),
        (volume(&twice), "duplicate-block", "There may be one `tmpfs`"),
        (
            volume("  options = [\"size=1M\"]\n  tmpfs {\n    size = \"4MiB\"\n  }\n"),
            "invalid-value",
            "Say it there.",
        ),
        (
            "image \"i\" {\n  for_each = { a = 1 }\n  volume   = external_volume.v\n  format   = \"raw\"\n  size     = each.kye\n}\n".to_owned()
                + &volume("  directory {}\n"),
            "invalid-reference",
            "`each.key` and `each.value`",
        ),
    ] {
        let (found, _) = said(&[("main.hcl", &format!("{base}{text}")), module]);
        assert_eq!(found.len(), 1, "{text}{found:#?}");
        let detail = found[0]["detail"].as_str().expect("a text");
        assert!(found[0]["code"] == code && detail.contains(cure), "{text}{found:#?}");
    }
}

#[test]
fn an_option_that_holds_a_password_is_refused_by_its_name_alone() {
    let text = "host \"h\" {\n  address = \"x\"\n}\nimage_storage \"s\" {\n  hosts = [host.h]\n}\nexternal_volume \"v\" {\n  storage = image_storage.s\n  options = [join(\"=\", [\"password\", \"hunter2\"])]\n  directory {}\n}\n";
    let (found, _) = said(&[("main.hcl", text)]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["summary"], "the option password is Larder's to give");
}

#[test]
fn a_configuration_of_terraform_is_not_taken_for_none() {
    let (found, _) = said(&[("main.tf", "")]);
    let detail = found[0]["detail"].as_str().expect("a text");
    assert!(found[0]["code"] == "no-configuration" && detail.contains("`*.tf` are not read"), "{found:#?}");
    let (found, _) = said(&[("notes.txt", "")]);
    assert!(!found[0]["detail"].as_str().expect("a text").contains("*.tf"), "{found:#?}");
}

#[test]
fn no_excerpt_shows_the_value_of_a_sensitive_variable() {
    let main =
        "variable \"password\" {\n  type      = string\n  sensitive = true\n}\nvariable \"n\" {\n  type = number\n}\n";
    let module = ("m/main.hcl", "variable \"key\" {\n  type      = string\n  sensitive = true\n}\n");
    for (more, values) in [
        ("", "password = [\"hunter2\"]\nn = 1\n"),
        ("", "password = \"hunter2\"\npassword = \"hunter2\"\nn = 1\n"),
        ("", "pasword = \"hunter2\"\nn = 1\n"),
        ("", "password = \"hun\"hunter2\"\nn = 1\n"),
        ("", "password: \"hunter2\"\nn = 1\n"),
        ("", "\"password\" = \"hunter2\"\nn = 1\n"),
        ("", "password = <<EOT\nhunter2\n${EOT\nEOT\nn = 1\n"),
        ("", "password = \"hunter2\"; n = \"x\"\n"),
        ("variable \"lost\" {\n  sensitive = true\n  default = \"hunter2\"\"\n}\n", "password = \"a\"\nn = 1\n"),
        (
            "variable \"twice\" {\n  sensitive = true\n  default = [\"hunter2\", hunter]\n}\n",
            "password = \"a\"\nn = 1\n",
        ),
        ("module \"m\" {\n  source = \"./m\"\n  key = [\"hunter2\"]\n}\n", "password = \"a\"\nn = 1\n"),
    ] {
        let main = format!("{main}{more}");
        let (found, text) = said(&[("main.hcl", &main), ("larder.vars.hcl", values), module]);
        assert!(!found.is_empty(), "{more}{values} is right");
        let json = serde_json::to_string(&found).expect("JSON");
        assert!(!text.contains("hunter2") && !json.contains("hunter2"), "{more}{values}{text}");
    }
    // What is public is shown.
    let (_, text) = said(&[("main.hcl", main), ("larder.vars.hcl", "password = \"a\"\nn = \"many\"\n")]);
    assert!(text.contains("n = \"many\""), "{text}");
}

#[test]
fn no_excerpt_shows_a_password_that_is_written_out() {
    for (password, shown) in [
        ("\"hunter2\\nx\"", ""),
        ("\"hunter2\" + 1", ""),
        ("join(\"hunter2\", 1)", "join("),
        ("true ? [\"hunter2\"] : null", "? ["),
        ("\"x\" hunter2", ""),
        ("secret_file(\"of/the-media\") + 1", "secret_file(\"of/the-media\")"),
        ("var.of_the_media", "var.of_the_media"),
    ] {
        let text = format!(
            "host \"h\" {{\n  address = \"x\"\n}}\nmedia_storage \"m\" {{\n  hosts    = [host.h]\n  server   = \"x\"\n  share    = \"s\"\n  username = \"u\"\n  password = {password}\n}}\n"
        );
        let (found, text) = said(&[("main.hcl", &text)]);
        assert!(!found.is_empty(), "{password} is right");
        let json = serde_json::to_string(&found).expect("JSON");
        assert!(!text.contains("hunter2") && !json.contains("hunter2"), "{password}: {text}");
        assert!(text.contains(shown), "{password}: {text}");
    }
}

#[test]
fn a_share_is_refused_where_samba_would_read_something_else() {
    let user = |name: &str, password: &str| {
        format!("  user {{\n    name     = \"{name}\"\n    password = \"{password}\"\n  }}\n")
    };
    let share = |path: &str, more: &str| {
        format!(
            "host \"nas\" {{\n  address = \"x\"\n}}\nmedia_share \"iso\" {{\n  host = host.nas\n  path = \"{path}\"\n{more}}}\n"
        )
    };
    let (at, larder) = ("/srv/media", user("larder", "hunter22"));
    let named = |name: &str| share(at, &format!("  share = \"{name}\"\n{larder}"));
    let table = [
        (share("/etc/media", &larder), "system-directory", "belongs to the system"),
        (share("/srv/%U", &larder), "invalid-value", "smb.conf cannot hold this path"),
        (share("/srv/\\\"x\\\"", &larder), "invalid-value", "smb.conf cannot hold this path"),
        (named("homes"), "invalid-value", "means something else to Samba"),
        (named("IPC$"), "invalid-value", "means something else to Samba"),
        (named("a]b"), "invalid-value", "no name of a share"),
        (named("a/b"), "invalid-value", "no name of a share"),
        (named(" a"), "invalid-value", "no name of a share"),
        (named(""), "invalid-value", "no name of a share"),
        (share(at, ""), "missing-block", "nobody may log in"),
        (share(at, &user("root", "hunter22")), "invalid-value", "root is not served"),
        (share(at, &user("a%b", "hunter22")), "invalid-value", "no name of a user"),
        (share(at, &user("@staff", "hunter22")), "invalid-value", "no name of a user"),
        (share(at, &(larder.clone() + &larder)), "invalid-value", "stands twice"),
        (share(at, &user("larder", "")), "invalid-value", "`password` cannot be this"),
        (share(at, &user("larder", "hunter\\n22")), "invalid-value", "`password` cannot be this"),
        (share(at, &user("larder", &"hunter22".repeat(40))), "invalid-value", "`password` cannot be this"),
        (share(at, "  user {\n    name = \"larder\"\n  }\n"), "missing-attribute", "password"),
    ];
    for (text, code, words) in table {
        let (found, _) = said(&[("main.hcl", &text)]);
        assert_eq!(found.len(), 1, "{text}{found:#?}");
        let told = format!("{} {}", found[0]["summary"], found[0]["detail"]);
        assert!(found[0]["code"] == code && told.contains(words), "{text}{found:#?}");
    }
    let twice = share(at, &larder)
        + &share("/srv/other", &larder)
            .replace("host \"nas\"", "host \"hv\"")
            .replace("\"iso\"", "\"other\"")
            .replacen("  path", "  share = \"ISO\"\n  path", 1);
    let (found, _) = said(&[("main.hcl", &twice)]);
    assert!(found[0]["code"] == "duplicate-path", "{found:#?}");
    // Text that Samba takes as it is.
    let fine = share("/srv/my media;#1", &format!("  share = \"My.media_1-$\"\n{}", user("La-r.der_1", " p,ä#' %w")));
    let (found, _) = said(&[("main.hcl", &fine)]);
    assert_eq!(found, Vec::<serde_json::Value>::new());
}
