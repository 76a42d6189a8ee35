//! Whole configurations: what they mean, and what is said about mistakes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use larder::config::{Evaluated, Inputs, VarSource, load};
use larder::model::block::Attributes as _;
use larder::model::{Address, Block, HostName, Problem, Selector};

use crate::kinds::kinds;

/// Loads and evaluates the text as the only file of a directory.
fn evaluate(text: &str) -> Evaluated {
    evaluate_with(&[("main.hcl", text)], &Inputs::default(), None)
}

fn evaluate_with(
    files: &[(&str, &str)],
    inputs: &Inputs,
    facts: Option<&BTreeMap<HostName, serde_json::Value>>,
) -> Evaluated {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).expect("a file");
    }
    let loaded = load(directory.path(), inputs, kinds());
    let Some(configuration) = loaded.configuration else { panic!("does not parse: {:#?}", loaded.problems) };
    let mut evaluated = configuration.evaluate(facts);
    evaluated.problems.extend(loaded.problems);
    evaluated
}

/// The blocks of a configuration without problems.
fn blocks(text: &str) -> BTreeMap<String, Block> {
    let evaluated = evaluate(text);
    assert_eq!(evaluated.problems, [], "{text}");
    evaluated.desired.blocks.into_iter().map(|(address, block)| (address.to_string(), block)).collect()
}

/// `code line:column` of each problem.
fn problems(text: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), text).expect("a file");
    let loaded = load(directory.path(), &Inputs::default(), kinds());
    let mut all = loaded.problems;
    if let Some(configuration) = loaded.configuration {
        all.extend(configuration.evaluate(None).problems);
    }
    all.iter().map(short).collect()
}

fn short(problem: &Problem) -> String {
    match &problem.place {
        Some(place) => format!("{} {}:{}", problem.code, place.start.line, place.start.column),
        None => problem.code.clone(),
    }
}

const BASE: &str = r#"
host "hv1" {
  address = "10.0.0.11"
  labels  = { rack = "a", roles = ["kvm"] }
}
host "hv2" {
  address = "10.0.0.12"
  labels  = { rack = "b" }
}
image_storage "main" {
  hosts = [host.hv1, host.hv2]
  mode  = 0770
}
"#;

fn with_base(text: &str) -> String {
    format!("{BASE}{text}")
}

#[test]
fn references_lists_and_defaults_become_blocks() {
    let blocks = blocks(&with_base(
        r#"
locals {
  names = ["web1", "web2"]
  all   = values(host)
}
image_storage "all" {
  hosts = local.all
}
image_storage "rack" {
  hosts = [for h in host : h if h.labels.rack == "a"]
}
external_volume "nfs" {
  storage = image_storage.main
  mode    = "770"
  nfs {
    server = host.hv1.address
    export = "/export//images/"
  }
}
image "web" {
  for_each = toset(local.names)
  volume   = external_volume.nfs
  format   = "qcow2"
  name     = "${each.key}.qcow2"
  size     = "40GiB"
}
image "overlay" {
  count   = 2
  volume  = external_volume.nfs
  format  = "qcow2"
  backing = image.web[local.names[count.index]]
}
"#,
    ));
    let storage = &blocks["image_storage.main"];
    assert_eq!(storage.resources("hosts"), [Address::root("host", "hv1"), Address::root("host", "hv2")]);
    assert_eq!(storage.mode("mode").map(|mode| mode.to_string()).as_deref(), Some("0770"));
    assert_eq!(storage.text("root"), Some("/var/lib/larder/storages/main"));
    assert_eq!(blocks["image_storage.all"].resources("hosts").len(), 2);
    assert_eq!(blocks["image_storage.rack"].resources("hosts"), [Address::root("host", "hv1")]);
    let volume = &blocks["external_volume.nfs"];
    assert_eq!(volume.mode("mode"), storage.mode("mode"));
    assert_eq!(volume.text("mount_point"), Some("/var/lib/larder/storages/main/nfs"));
    let nfs = volume.nested("nfs").expect("the block");
    assert_eq!((nfs.text("server"), nfs.text("export")), (Some("10.0.0.11"), Some("/export/images")));
    let web = &blocks[r#"image.web["web1"]"#];
    assert_eq!(web.text("name"), Some("web1.qcow2"));
    assert_eq!(web.size("size").map(|size| size.0), Some(40 << 30));
    let overlay = &blocks["image.overlay[1]"];
    assert_eq!(overlay.resource("backing").map(Address::to_string).as_deref(), Some(r#"image.web["web2"]"#));
    let depends_on: Vec<String> = overlay.depends_on.iter().map(Address::to_string).collect();
    assert_eq!(depends_on, ["external_volume.nfs", r#"image.web["web2"]"#]);
    assert_eq!(blocks["image_storage.all"].depends_on.len(), 2, "through a local value");
}

#[test]
fn resources_keep_their_identity_wherever_they_travel() {
    for hosts in [
        "values(host)",
        "[host.hv1, host.hv2]",
        "tolist([host.hv1, host.hv2])",
        "toset([host.hv2, host.hv1, host.hv1])",
        "true ? [host.hv1, host.hv2] : []",
        "[for name in [\"hv1\", \"hv2\"] : host[name]]",
        "[for name, h in host : h]",
        "values({ for h in host : h.name => h })",
        "distinct(concat(image_storage.main.hosts, [host.hv1]))",
        "flatten([[host.hv1], [host.hv2]])",
        "[for s in [image_storage.main] : s.hosts][0]",
        "image_storage.main.hosts[*]",
        "values(merge(host, {}))",
        "try(image_storage.main.hosts, [])",
        "[lookup(host, \"hv1\", null), element(values(host), 1)]",
    ] {
        let blocks = blocks(&with_base(&format!("image_storage \"x\" {{\n  hosts = {hosts}\n}}\n")));
        assert_eq!(
            blocks["image_storage.x"].resources("hosts"),
            [Address::root("host", "hv1"), Address::root("host", "hv2")],
            "{hosts}"
        );
    }
}

#[test]
fn all_problems_are_said_at_once_each_at_its_place() {
    let text = r#"host "a" {
  adress = "x"
  port   = "many"
}
image_storage "s" {
  hosts = [host.a, host.b]
  root  = "relative"
}
external_volume "v" {
  storage = image_storage.s
  nfs {
    server = "x"
    export = 1 + null
  }
}
image "i" {
  format = "vmdk"
  size   = "40 pounds"
}
locals {
  unused = var.nothing
}
"#;
    assert_eq!(
        problems(text),
        [
            "unknown-attribute 2:3",
            "wrong-type 3:12",
            "reference-to-undeclared-resource 6:20",
            "invalid-path 7:11",
            "operation-failed 13:18",
            "missing-attribute 16:1",
            "invalid-value 17:12",
            "invalid-size 18:12",
            "reference-to-undeclared-input-variable 21:12",
        ]
    );
}

#[test]
fn what_depends_on_an_error_is_silent() {
    let text = r#"
locals {
  bad = 1 / []
  b   = local.bad + 1
  c   = try(local.b, 5)
}
output "x" {
  value = local.c
}
"#;
    assert_eq!(problems(text), ["invalid-operand 3:13"]);
}

#[test]
fn circles_name_all_members() {
    let evaluated =
        evaluate("locals {\n  a = local.b\n  b = \"${local.c}\"\n  c = [for x in [1] : local.a]\n  d = local.a\n}\n");
    let [problem] = evaluated.problems.as_slice() else { panic!("{:#?}", evaluated.problems) };
    assert_eq!(problem.code, "cycle");
    for name in ["local.a (main.hcl:2:3)", "local.b (main.hcl:3:3)", "local.c (main.hcl:4:3)"] {
        assert!(problem.detail.contains(name), "{}", problem.detail);
    }
    assert_eq!(
        problems(&with_base("image_storage \"x\" {\n  hosts = image_storage.x.hosts\n}\n")),
        ["self-reference 15:11"]
    );
}

#[test]
fn a_long_chain_of_values_is_no_problem() {
    let mut text = String::from("locals {\n  v0 = 1\n");
    for index in 1..20_000 {
        text.push_str(&format!("  v{index} = local.v{} + 1\n", index - 1));
    }
    text.push_str("}\noutput \"last\" {\n  value = local.v19999\n}\n");
    let evaluated = evaluate(&text);
    assert_eq!(evaluated.problems, []);
    assert_eq!(evaluated.desired.outputs["last"].value, Some(20_000.into()));
}

#[test]
fn ten_thousand_instances_load_quickly() {
    let text = with_base(
        r#"
external_volume "nfs" {
  storage = image_storage.main
  directory {}
}
image "web" {
  for_each = toset([for i in range(10000 / 10) : "g${i}"])
  volume   = external_volume.nfs
  format   = "qcow2"
  name     = "${each.key}-${host.hv1.address}.qcow2"
  size     = "40GiB"
}
image "all" {
  for_each = { for p in setproduct(range(10), values(image.web)) : "${p[0]}-${p[1].name}" => p[1] }
  volume   = external_volume.nfs
  format   = "qcow2"
  backing  = each.value
}
"#,
    );
    let start = Instant::now();
    let evaluated = evaluate(&text);
    let took = start.elapsed();
    assert_eq!(evaluated.problems, []);
    assert_eq!(evaluated.desired.blocks.len(), 3 + 1 + 1_000 + 10_000);
    // Well under a second when optimised; something quadratic takes minutes either way.
    assert!(took < Duration::from_secs(15), "{took:?}");
    let all = evaluated.desired.blocks.values().filter(|block| block.address.name.as_ref() == "all");
    assert!(all.into_iter().all(|block| block.depends_on.len() == 2), "each depends on its own backing image only");
}

#[test]
fn facts_are_unknown_until_they_are_known() {
    let text = with_base(
        r#"
external_volume "v" {
  storage = image_storage.main
  owner   = host.hv1.facts.users.qemu
  directory {}
}
image "i" {
  for_each = toset(host.hv1.facts.disks)
  volume   = external_volume.v
  format   = "raw"
}
output "owner" {
  value = external_volume.v.owner
}
check "linux" {
  assert {
    condition     = host.hv1.facts.kernel == "5.4"
    error_message = "The kernel is ${host.hv1.facts.kernel}."
  }
}
"#,
    );
    let unknown = evaluate(&text);
    assert_eq!(unknown.problems, []);
    assert!(unknown.desired.wants_facts);
    assert!(unknown.desired.blocks[&Address::root("external_volume", "v")].is_unknown("owner"));
    assert_eq!(unknown.desired.outputs["owner"].value, None);
    let facts = |value: serde_json::Value| BTreeMap::from([(HostName::from("hv1"), value)]);
    let known = facts(serde_json::json!({ "users": { "qemu": "kvm" }, "disks": ["a", "b"], "kernel": "6.1" }));
    let known = evaluate_with(&[("main.hcl", &text)], &Inputs::default(), Some(&known));
    assert_eq!(known.problems.iter().map(short).collect::<Vec<_>>(), ["check-failed 30:21"]);
    assert_eq!(known.problems[0].detail, "The kernel is 6.1.");
    assert!(!known.desired.wants_facts);
    assert_eq!(known.desired.blocks[&Address::root("external_volume", "v")].text("owner"), Some("kvm"));
    assert_eq!(known.desired.blocks.len(), 6);
    let silent = evaluate_with(&[("main.hcl", &text)], &Inputs::default(), Some(&BTreeMap::new()));
    assert_eq!(silent.problems.iter().map(short).collect::<Vec<_>>(), ["unknown-instances 21:14"]);
}

#[test]
fn variables_have_terraforms_precedence() {
    let main = "variable \"x\" {\n  type = string\n  default = \"default\"\n}\noutput \"x\" {\n  value = var.x\n}\n";
    let mut files = vec![("main.hcl", main)];
    let mut inputs = Inputs::default();
    let output = |files: &[(&str, &str)], inputs: &Inputs| {
        let evaluated = evaluate_with(files, inputs, None);
        assert_eq!(evaluated.problems, []);
        evaluated.desired.outputs["x"].value.clone().expect("known").as_str().expect("text").to_owned()
    };
    assert_eq!(output(&files, &inputs), "default");
    inputs.environment.insert("LARDER_VAR_x".into(), "environment".into());
    assert_eq!(output(&files, &inputs), "environment");
    files.push(("larder.vars.hcl", "x = \"main\"\n"));
    assert_eq!(output(&files, &inputs), "main");
    files.push(("a.auto.vars.hcl", "x = \"automatic\"\n"));
    assert_eq!(output(&files, &inputs), "automatic");
    inputs.vars.push(VarSource::Text("x=given".into()));
    assert_eq!(output(&files, &inputs), "given");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "x = \"from a file\"\n").expect("a file");
    inputs.vars.push(VarSource::File(file.path().to_owned()));
    assert_eq!(output(&files, &inputs), "from a file");
}

#[test]
fn secrets_are_in_no_message() {
    let text = r#"
variable "password" {
  type      = string
  sensitive = true
  default   = "hunter2"
  validation {
    condition     = length(var.password) > 20
    error_message = "Too short: ${var.password}."
  }
}
host "a" {
  port            = var.password
  connect_timeout = var.password
  identity_file   = "${var.password}/${[]}"
}
image_storage "s" {
  hosts = [var.password]
  mode  = var.password
  root  = var.password
}
output "shown" {
  value = "x${var.password}"
}
locals {
  a = tonumber(var.password)
  b = { (var.password) = 1 }.c
  c = jsondecode(var.password)
  d = [for x in [var.password, var.password] : x][7]
  e = { for x in [var.password, var.password] : x => 1 }
  f = regex(var.password, "(")
  g = lookup({}, var.password)
  h = parseint(var.password, 10)
}
"#;
    let evaluated = evaluate(text);
    assert!(evaluated.problems.len() >= 14, "{:#?}", evaluated.problems);
    assert!(!format!("{:?}", evaluated.problems).contains("hunter2"), "{:#?}", evaluated.problems);
    assert!(evaluated.problems.iter().any(|problem| problem.values.iter().any(|(_, value)| value == "(sensitive)")));
}

#[test]
fn conditions_are_checked_with_their_own_words() {
    let text = with_base(
        r#"
image_storage "x" {
  hosts = [host.hv1]
  lifecycle {
    prevent_destroy = true
    ignore_changes  = [mode, root]
    accept          = ["hides-data", "capacity"]
    precondition {
      condition     = length(values(host)) == 2
      error_message = "Two hosts are needed."
    }
    postcondition {
      condition     = self.root == "/elsewhere"
      error_message = "The root is ${self.root}."
    }
  }
}
"#,
    );
    let evaluated = evaluate(&text);
    let [problem] = evaluated.problems.as_slice() else { panic!("{:#?}", evaluated.problems) };
    assert_eq!(problem.code, "postcondition-failed");
    assert_eq!(problem.detail, "The root is /var/lib/larder/storages/x.");
    assert_eq!(problem.values, [("self.root".to_owned(), "\"/var/lib/larder/storages/x\"".to_owned())]);
    let block = &blocks(&text.replace("/elsewhere", "/var/lib/larder/storages/x"))["image_storage.x"];
    assert!(block.lifecycle.prevent_destroy);
    assert_eq!(block.lifecycle.ignore_changes.len(), 2);
    assert_eq!(block.lifecycle.accept.len(), 2);
}

#[test]
fn outputs_say_when_they_are_sensitive() {
    let variable = "variable \"p\" {\n  sensitive = true\n  default   = \"x\"\n}\n";
    assert_eq!(problems(&format!("{variable}output \"o\" {{\n  value = [var.p]\n}}\n")), ["sensitive-output 6:11"]);
    let evaluated = evaluate(&format!(
        "{variable}output \"o\" {{\n  value       = {{ a = var.p }}\n  sensitive   = true\n  description = \"d\"\n}}\n"
    ));
    assert_eq!(evaluated.problems, []);
    let output = &evaluated.desired.outputs["o"];
    assert_eq!(output.value, Some(serde_json::json!({ "a": "x" })));
    assert_eq!(
        (output.ty.as_str(), output.sensitive, output.description.as_deref()),
        ("object({a: string})", true, Some("d"))
    );
}

#[test]
fn secrets_come_from_outside_and_stay_sensitive() {
    let text = r#"
locals {
  command = secret_command(["sh", "-c", "printf 'from a command\n'"])
  file    = secret_file("secret")
  env     = env("SECRET")
}
output "all" {
  value     = "${local.command}, ${local.file}, ${local.env}"
  sensitive = true
}
output "are_sensitive" {
  value = alltrue([for s in [local.command, local.file, local.env] : issensitive(s)])
}
"#;
    let mut inputs = Inputs::default();
    let files = [("main.hcl", text), ("secret", "from a file\n")];
    assert_eq!(
        evaluate_with(&files, &inputs, None).problems.iter().map(short).collect::<Vec<_>>(),
        ["error-in-function-call 5:13"]
    );
    inputs.environment.insert("SECRET".into(), "from the environment".into());
    let evaluated = evaluate_with(&files, &inputs, None);
    assert_eq!(evaluated.problems, []);
    let all = evaluated.desired.outputs["all"].value.clone();
    assert_eq!(all, Some("from a command, from a file, from the environment".into()));
    assert_eq!(evaluated.desired.outputs["are_sensitive"].value, Some(true.into()));
}

#[test]
fn mistakes_have_codes_and_places() {
    for (text, expected) in [
        ("x = 1\n", &["unexpected-attribute 1:1"][..]),
        ("hots \"a\" {\n}\n", &["unknown-block 1:1"]),
        ("host \"a\" {\n}\nhost \"a\" {\n}\n", &["duplicate-address 3:1"]),
        ("host {\n}\n", &["wrong-labels 1:1"]),
        ("host \"a b\" {\n}\n", &["invalid-name 1:6"]),
        ("locals {\n  a = 1\n}\nlocals {\n  a = 2\n}\n", &["duplicate-address 5:3"]),
        ("host \"a\" {\n  port = 1\n  port = 2\n}\n", &["duplicate-attribute 3:3"]),
        ("host \"a\" {\n  for_each = [\"x\"]\n}\n", &["invalid-for-each 2:14"]),
        ("host \"a\" {\n  for_each = sensitive(toset([\"x\"]))\n}\n", &["invalid-for-each 2:14"]),
        ("host \"a\" {\n  count = -1\n}\n", &["invalid-count 2:11"]),
        ("host \"a\" {\n  count    = 1\n  for_each = {}\n}\n", &["conflicting-attributes 2:3"]),
        ("host \"a\" {\n  address = each.key\n}\n", &["invalid-reference 2:13"]),
        ("host \"a\" {\n  address = host.b.facts.name\n}\nhost \"b\" {\n}\n", &["host-needs-facts 2:13"]),
        ("host \"a\" {\n  depends_on = [\"x\"]\n}\n", &["invalid-depends-on 2:17"]),
        ("host \"a\" {\n  depends_on = [image.b]\n}\n", &["reference-to-undeclared-resource 2:17"]),
        ("host \"a\" {\n  lifecycle {\n    accept = [\"in-use\"]\n  }\n}\n", &["invalid-accept 3:15"]),
        ("host \"a\" {\n  lifecycle {\n    ignore_changes = [addres]\n  }\n}\n", &["invalid-ignore-changes 3:23"]),
        ("import {\n  to = host.a\n}\n", &["import-undeclared 1:1"]),
        ("host \"a\" {\n  dynamic \"x\" {\n  }\n}\n", &["invalid-dynamic 2:3"]),
        ("moved {\n  from = 1\n  to   = host.a\n}\n", &["invalid-address 2:10"]),
        ("larder {\n  required_version = \">= 99\"\n}\n", &["required-version 2:22"]),
        ("larder {\n  state \"s3\" {\n  }\n}\n", &["not-supported 2:3"]),
        ("larder {\n  apply {\n    parallelism = 0\n  }\n}\n", &["wrong-type 3:19"]),
        ("output \"o\" {\n  value = [1 / 0]\n}\n", &["operation-failed 2:11"]),
        ("host \"a\" {\n  labels = [1 / 0]\n}\n", &["wrong-type 2:12"]),
        ("host \"a\" {\n  for_each = toset([\"b\"])\n}\nhost \"a-b\" {\n}\n", &["duplicate-host 4:1"]),
        ("variable \"v\" {\n}\n", &["missing-variable 1:1"]),
        ("variable \"v\" {\n  type    = number\n  default = \"x\"\n}\n", &["invalid-default 3:13"]),
        ("variable \"v\" {\n  type    = strng\n  default = \"x\"\n}\n", &["invalid-type 2:13"]),
        ("locals {\n  a = \"x\n}\n", &["unterminated-string 2:7"]),
        ("locals {\n  a = = 1\n}\nlocals {\n  b = 'x'\n}\n", &["syntax 2:7", "syntax 5:7"]),
    ] {
        assert_eq!(problems(text), expected, "{text}");
    }
}

#[test]
fn statements_that_contradict_each_other_or_what_is_declared_are_refused() {
    let host = "host \"a\" {\n  address = \"x\"\n}\n";
    let hosts = "host \"b\" {\n  for_each = toset([\"k\"])\n  address  = \"x\"\n}\n";
    let moved = |from: &str, to: &str| format!("moved {{\n  from = {from}\n  to   = {to}\n}}\n");
    let removed = |from: &str, rest: &str| format!("removed {{\n  from = {from}\n{rest}}}\n");
    let import = |to: &str| format!("import {{\n  to = {to}\n}}\n");
    for (text, expected) in [
        (moved("image.a", "image.a"), &["moved-to-itself 1:1"][..]),
        (moved("module.a", "module.a"), &["moved-to-itself 1:1"]),
        (moved("image.a", "image.a[0]"), &[]),
        (moved("image.a", "image.b") + &moved("image.a", "image.c"), &["moved-twice 5:1"]),
        (moved("image.a", "image.c") + &moved("image.b", "image.c"), &["moved-twice 5:1"]),
        (moved("image.a", "image.b") + &moved("image.a", "image.b"), &[]),
        (moved("image.a", "image.b") + &moved("image.b", "image.c"), &[]),
        (moved("image.a", "image.b") + &moved("image.b", "image.a"), &["moved-in-a-circle 1:1"]),
        (moved("image.a[0]", "image.b") + &moved("image.b", "image.a[1]"), &[]),
        (moved("module.a", "module.a.module.b"), &["moved-in-a-circle 1:1"]),
        (moved("module.a", "module.b") + &moved("module.b.image.x", "module.a.image.x"), &["moved-in-a-circle 1:1"]),
        (moved("image.a", "host.a"), &["moved-to-another-kind 1:1"]),
        (moved("image.a", "module.a"), &["moved-to-another-kind 1:1"]),
        (moved("imag.a", "image.b"), &["invalid-address 2:10"]),
        (moved("image.a", "image.*"), &["invalid-address 3:10"]),
        (moved("image.a[var.x]", "image.b"), &["invalid-address 2:10"]),
        (host.to_owned() + &moved("host.a", "host.c"), &["moved-still-declared 4:1"]),
        (host.to_owned() + &moved("host.a[0]", "host.a"), &[]),
        (host.to_owned() + &moved("host.c", "host.a"), &[]),
        (hosts.to_owned() + &moved("host.b", "host.c"), &["moved-still-declared 5:1"]),
        (hosts.to_owned() + &moved("host.b[\"l\"]", "host.c"), &[]),
        (hosts.to_owned() + &moved("host.b", "host.b[\"k\"]"), &[]),
        (host.to_owned() + &removed("host.a", ""), &["removed-still-declared 4:1"]),
        (hosts.to_owned() + &removed("host.b", ""), &["removed-still-declared 5:1"]),
        (hosts.to_owned() + &removed("host.b[\"l\"]", ""), &[]),
        (removed("module.m[\"a\"].image.x", "  lifecycle {\n    destroy = false\n  }\n"), &[]),
        (
            removed("module.m", "  destroy = false\n  lifecycle {\n    destroy = true\n  }\n"),
            &["conflicting-attributes 5:15"],
        ),
        (removed("image.a", "  destroy = 1 == 1\n"), &["wrong-type 3:13"]),
        (removed("image.a", "  lifecycle {\n    prevent_destroy = true\n  }\n"), &["unknown-attribute 4:5"]),
        (host.to_owned() + &import("host.a"), &[]),
        (hosts.to_owned() + &import("host.b"), &[]),
        (hosts.to_owned() + &import("host.b[\"l\"]"), &["import-undeclared 5:1"]),
        ("import {\n  to = host.a\n  id = \"x\"\n}\n".to_owned() + host, &["not-supported 3:8"]),
        ("import {\n}\n".to_owned(), &["missing-attribute 1:1"]),
    ] {
        assert_eq!(problems(&text), expected, "{text}");
    }
}

#[test]
fn settings_moves_and_removals_are_plain_data() {
    let evaluated = evaluate(
        r#"
larder {
  required_version = "~> 0.1"
  state "local" {
    path = "x.json"
  }
  apply {
    parallelism = 3
    max_destroy = 1
  }
}
moved {
  from = image.a["x y"]
  to   = image.b[0]
}
moved {
  from = module.m["a b"].module.n.image.a
  to   = module.m["a b"].image.b["c"]
}
moved {
  from = image.c
  to   = image.d
}
moved {
  from = module.a
  to   = module.b["k"]
}
removed {
  from    = external_volume.old
  destroy = true
}
removed {
  from = module.gone[0]
  lifecycle {
    destroy = false
  }
}
"#,
    );
    assert_eq!(evaluated.problems, []);
    let desired = evaluated.desired;
    assert_eq!((desired.settings.state_path.as_str(), desired.settings.parallelism), ("x.json", 3));
    assert_eq!((desired.settings.max_destroy, desired.settings.max_hosts_at_once), (1, 0));
    assert_eq!(desired.statements.moved[0].from.to_string(), "image.a[\"x y\"]");
    assert_eq!(desired.statements.moved[0].to.to_string(), "image.b[0]");
    assert_eq!(desired.statements.moved[1].from.to_string(), "module.m[\"a b\"].module.n.image.a");
    assert_eq!(desired.statements.moved[1].to.to_string(), "module.m[\"a b\"].image.b[\"c\"]");
    // An end without a key is the instance that has none, where the other end has one.
    let ends =
        |number: usize| (desired.statements.moved[number].from.clone(), desired.statements.moved[number].to.clone());
    let block = |name: &str| Selector::Block(Address::root("image", name));
    assert_eq!(ends(2), (block("c"), block("d")));
    assert!(matches!(ends(3), (Selector::ModuleInstance(from), Selector::ModuleInstance(_)) if from[0].key.is_none()));
    let removed = &desired.statements.removed;
    assert_eq!(
        removed.iter().map(|one| (one.from.to_string(), one.destroy)).collect::<Vec<_>>(),
        [("external_volume.old".to_owned(), true), ("module.gone[0]".to_owned(), false)]
    );
    let prefix = [larder::model::address::ModuleStep { name: "m".into(), key: None }];
    let inner = desired.statements.within(&prefix);
    assert_eq!(inner.moved[2].to.to_string(), "module.m.image.d");
    assert_eq!(inner.removed[1].from.to_string(), "module.m.module.gone[0]");
}

#[test]
fn a_directory_without_configuration_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("x.test.hcl"), "").expect("a file");
    let loaded = load(directory.path(), &Inputs::default(), kinds());
    assert!(loaded.configuration.is_none());
    assert_eq!(loaded.problems.iter().map(short).collect::<Vec<_>>(), ["no-configuration"]);
    let missing = load(&directory.path().join("missing"), &Inputs::default(), kinds());
    assert_eq!(missing.problems.iter().map(short).collect::<Vec<_>>(), ["unreadable-directory"]);
}

#[test]
fn every_attribute_can_be_read_in_its_canonical_form() {
    let text = with_base(
        r#"
external_volume "v" {
  storage = image_storage.main
  brick {
    host = host.hv1
    path = "/b"
  }
  cifs {
    password = "secret"
  }
}
image "i" {
  volume   = external_volume.v
  format   = "raw"
  size     = 1073741824
  numbers  = { a = 1 }
  template = true
}
output "all" {
  value = [
    image.i.size, image.i.numbers, image.i.template, image.i.backing, image_storage.main.mode, host.hv1.connect_timeout,
    host.hv1.labels.rack, host.hv1.name, external_volume.v.nfs, external_volume.v.brick[0].host.address,
    image.i.volume.storage.hosts[1].address, length(image), keys(host), issensitive(external_volume.v.cifs.password),
  ]
}
"#,
    );
    let evaluated = evaluate(&text);
    assert_eq!(evaluated.problems, []);
    assert_eq!(
        evaluated.desired.outputs["all"].value,
        Some(serde_json::json!([
            "1GiB", { "a": 1 }, true, null, "0770", "10s", "a", "hv1", null, "10.0.0.11", "10.0.0.12", 1, ["hv1", "hv2"], true
        ]))
    );
    assert!(!evaluated.desired.wants_facts);
    let secret = &evaluated.desired.blocks[&Address::root("external_volume", "v")];
    assert!(secret.nested("cifs").expect("the block").attributes["password"].sensitive);
}
