//! A configuration can be any bytes: each is understood or refused in a moment.

use std::time::{Duration, Instant};

use larder::config::{Inputs, load};
use proptest::prelude::*;

use crate::kinds::kinds;

/// Loads, evaluates, and returns the codes of all problems.
fn survive(bytes: &[u8]) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), bytes).expect("a file");
    let start = Instant::now();
    let loaded = load(directory.path(), &Inputs::default(), kinds());
    let mut problems = loaded.problems;
    if let Some(configuration) = loaded.configuration {
        problems.extend(configuration.evaluate(None).problems);
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?}");
    for problem in &problems {
        assert!(!problem.summary.is_empty() && !problem.code.is_empty(), "{problem:?}");
        if let Some(place) = &problem.place {
            assert!(loaded.sources.contains_key(&place.file), "{problem:?}");
        }
    }
    problems.into_iter().map(|problem| problem.code).collect()
}

fn check(text: &str, codes: &[&str]) {
    let start: String = text.chars().take(100).collect();
    assert_eq!(survive(text.as_bytes()), codes, "{start}");
}

#[test]
fn what_is_too_much_is_refused() {
    let nested = |open: &str, inner: &str, close: &str, count: usize| {
        format!("locals {{\n  a = {}{inner}{}\n}}\n", open.repeat(count), close.repeat(count))
    };
    check(&nested("(", "1", ")", 50), &[]);
    check(&nested("(", "1", ")", 10_000), &["syntax"]);
    check(&nested("[", "1", "]", 50), &[]);
    check(&nested("[", "1", "]", 100_000), &["syntax"]);
    check(&nested("\"${", "1", "}\"", 10_000), &["syntax"]);
    check(&nested("{ a = ", "1", " }", 10_000), &["syntax"]);
    check(&nested("[for x in [1] : ", "x", "]", 40), &[]);
    check(&nested("upper(", "\"x\"", ")", 60), &[]);
    check(&nested("!", "true", "", 10_000), &["syntax"]);
    check(&nested("- ", "1", "", 10_000), &["syntax"]);
    check(&nested("true ? 1 : ", "1", "", 10_000), &["syntax"]);
    check(&nested("1 + ", "1", "", 100), &[]);
    check(&nested("1 + ", "1", "", 100_000), &["syntax"]);
    check(&nested("", "{}", ".c", 100_000), &["syntax"]);
    check(&nested("", "[]", "[0]", 100_000), &["syntax"]);
    check(&nested("", "[[]]", "[*]", 50), &[]);
    check("locals {\n  a = 1e999999999999\n}\n", &["out-of-range"]);
    check(&format!("locals {{\n  a = {}\n}}\n", "9".repeat(1_000_000)), &["out-of-range"]);
    check("locals {\n  a = range(1e9)\n}\n", &["error-in-function-call"]);
    check("locals {\n  a = pow(10, 300) * pow(10, 300)\n}\n", &[]);
    check("locals {\n  a = format(\"%999999999d\", 1)\n}\n", &["error-in-function-call"]);
    check(
        "locals {\n  a = [for a in range(1000) : [for b in range(1000) : [for c in range(1000) : a]]]\n}\n",
        &["too-complex"],
    );
    check("locals {\n  a = yamldecode(\"[[[[\")\n}\n", &["error-in-function-call"]);
    check(&format!("locals {{\n  a = jsondecode(\"{}\")\n}}\n", "[".repeat(100_000)), &["error-in-function-call"]);
    check(&format!("locals {{\n  a = yamldecode(\"{}\")\n}}\n", "[".repeat(10_000)), &["error-in-function-call"]);
    check("host \"h\" {\n  count = 1e12\n}\n", &["invalid-count"]);
}

#[test]
fn what_takes_too_long_is_said_wherever_it_stands() {
    const HOPELESS: &str = "length([for a in range(999) : [for b in range(999) : [for c in range(999) : a]]])";
    for around in [
        "can(@)",
        "try(@, 1)",
        "try(tonumber(\"x\"), @)",
        "true ? 1 : @",
        "false ? @ : 1",
        "\"%{ if false }${@}%{ endif }\"",
        "can(can(@)) || true",
        "[for x in [1] : x if can(@)]",
        "{ a = 1 }[try(@, \"a\")]",
        "nonesuch(@)",
        "can(templatestring(local.text, { a = [1] }))",
    ] {
        let value = around.replace('@', HOPELESS);
        let text = "%%{ for x in range(999) }%%{ for y in range(999) }%%{ for z in range(999) }x%%{ endfor }%%{ endfor }%%{ endfor }";
        let text = format!("locals {{\n  text = \"{text}\"\n  a = {value}\n  b = local.a\n}}\n");
        let codes = survive(text.as_bytes());
        assert_eq!(codes.iter().filter(|code| *code == "too-complex").count(), 1, "{around}: {codes:?}");
    }
    // All values together, none of them too much by itself: what comes later has no value and the first one says why.
    let mut text = format!(
        "locals {{\n  few  = \"{}\"\n  many = join(\"\", [for i in range(1000) : local.few])\n",
        "x".repeat(1000)
    );
    for number in 0..20 {
        text.push_str(&format!("  a{number} = can([for i in range(70) : startswith(local.many, \"y\")])\n"));
    }
    check(&(text + "}\n"), &["too-complex"]);
}

#[test]
fn what_grows_from_value_to_value_is_refused() {
    let chain = |first: &str, next: &dyn Fn(usize) -> String, count: usize| {
        let mut text = format!("locals {{\n  v0 = {first}\n");
        for index in 1..count {
            text.push_str(&format!("  v{index} = {}\n", next(index - 1)));
        }
        text + "}\n"
    };
    check(&chain("\"x\"", &|last| format!("\"${{local.v{last}}}${{local.v{last}}}\""), 100), &["too-large"]);
    check(&chain("[1]", &|last| format!("[local.v{last}, local.v{last}]"), 100), &["too-complex"]);
    check(&chain("[1]", &|last| format!("[local.v{last}]"), 5_000), &["too-complex"]);
    check(&chain("2", &|last| format!("local.v{last} * local.v{last}"), 100), &["operation-failed"]);
    let mut images = String::from(
        "host \"h\" {\n}\nimage_storage \"s\" {\n  hosts = [host.h]\n}\nexternal_volume \"v\" {\n  storage = image_storage.s\n}\nimage \"i0\" {\n  volume = external_volume.v\n  format = \"raw\"\n}\n",
    );
    for index in 1..1_000 {
        images.push_str(&format!(
            "image \"i{index}\" {{\n  volume = external_volume.v\n  format = \"raw\"\n  backing = image.i{}\n}}\n",
            index - 1
        ));
    }
    check(&images, &["too-complex"]);
}

#[test]
fn a_template_that_includes_itself_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = [("main.hcl", "locals {\n  a = templatefile(\"t\", {})\n}\n"), ("t", "x${templatefile(\"t\", {})}")];
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).expect("a file");
    }
    let loaded = load(directory.path(), &Inputs::default(), kinds());
    let evaluated = loaded.configuration.expect("it parses").evaluate(None);
    assert_eq!(evaluated.problems.len(), 1);
    assert!(evaluated.problems[0].detail.len() < 100_000, "{}", evaluated.problems[0].detail.len());
}

const SOURCE: &str = r#"
variable "v" {
  type    = object({ a = string, b = optional(list(number), [1, 2]) })
  default = { a = "x" }
  validation {
    condition     = length(var.v.b) > 1
    error_message = "No."
  }
}
locals {
  t = <<-EOT
    %{ for k, v in { a = 1 } ~}
    ${k} = ${v}
    %{ endfor ~}
  EOT
  s = [for x in var.v.b : x * 2 if x > 1][0] == 4 ? "${local.t}$${x}" : null
}
host "a" {
  address = "x"
  labels  = { r = upper("é") }
}
image_storage "s" {
  hosts = values(host)[*]
  mode  = 0770
  lifecycle {
    ignore_changes = [mode]
    accept         = ["hides-data"]
    precondition {
      condition     = can(regex("^x", host.a.address))
      error_message = "No."
    }
  }
}
external_volume "v" {
  for_each = toset(["a", "b"])
  storage  = image_storage.s
  directory {}
}
output "o" {
  value = { for k, v in external_volume : k => v.mount_point }
}
moved {
  from = image.a["x"]
  to   = image.b
}
"#;

#[test]
fn the_source_of_the_mutations_is_right() {
    check(SOURCE, &[]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive(&bytes);
    }

    #[test]
    fn any_expression_is_survived(text in "[a-c1\"${}%\\[\\]()<>=!&|?:.,*+/~ \\n-]{0,60}") {
        survive(format!("locals {{\n  a = 1\n  b = 2\n  x = {text}\n}}\n").as_bytes());
    }

    #[test]
    fn mutations_are_survived(
        edits in prop::collection::vec((0..SOURCE.len(), "[a-z1\"${}%\\[\\]()<>=.,*\n ~é]{0,3}", 0..6usize), 1..4),
    ) {
        let mut bytes = SOURCE.as_bytes().to_vec();
        for (at, insert, delete) in edits {
            let at = at.min(bytes.len());
            let end = (at + delete).min(bytes.len());
            bytes.splice(at..end, insert.bytes());
        }
        survive(&bytes);
    }
}
