//! A sensitive value is in nothing that is shown or written: not in errors about it, not in plans, graphs, states and logs;
//! neither as it is nor turned into something else, nor a part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder::config::{Inputs, VarSource, load};
use larder::model::Problem;
use larder::view::Style;
use larder::{kinds, view};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::check;
use crate::common::Site;

/// A secret with everything that would give a part of it away.
#[derive(Debug, Clone)]
struct Secret {
    text: String,
    digits: String,
    traces: BTreeSet<String>,
}

/// The longest part of a secret that may occur by chance.
const CHANCE: usize = 6;

impl Secret {
    fn new(text: String, digits: String) -> Self {
        let mut traces = BTreeSet::new();
        let mut add = |text: &str| {
            let text: Vec<char> = text.to_lowercase().chars().collect();
            traces.extend(text.windows(CHANCE + 1).map(|part| part.iter().collect::<String>()));
        };
        for secret in [&text, &digits] {
            add(secret);
            add(&secret.chars().rev().collect::<String>());
            // Each text has three forms in Base64, by where it begins; the ends depend on what stands beside it.
            for before in 0..3 {
                let encoded = STANDARD.encode(format!("{}{secret}", "?".repeat(before)));
                add(encoded.get(4..encoded.len() - 4).unwrap_or_default());
            }
            add(&Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
        Secret { text, digits, traces }
    }

    /// What the text gives away.
    fn trace_in(&self, text: &str) -> Option<&str> {
        let text = text.to_lowercase();
        self.traces.iter().find(|trace| text.contains(trace.as_str())).map(String::as_str)
    }
}

fn secrets() -> impl Strategy<Value = Secret> {
    ("[a-zA-Z]{9}[0-9]{2}[a-zA-Z0-9]{9}", "[1-9][0-9]{17}").prop_map(|(text, digits)| Secret::new(text, digits))
}

/// Where secrets come from: everything that the language has for it.
const SOURCES: &str = r#"
variable "by_option" {
  type      = string
  sensitive = true
}
variable "by_environment" {
  sensitive = true
}
variable "by_file" {
  type      = string
  sensitive = true
}
variable "by_own_file" {
  sensitive = true
}
variable "digits" {
  type      = number
  sensitive = true
}
variable "object" {
  type      = object({ a = string, inner = map(list(string)) })
  sensitive = true
}
variable "plain" {
  default = "plain"
}
locals {
  derived = "pre-${var.by_option}"
  map     = { inner = { secret = var.by_environment }, other = "x" }
  listed  = [for x in ["a", "b"] : "${x}${var.by_file}"]
  from    = sensitive(file("plain.txt"))
}
module "inner" {
  source   = "./inner"
  password = var.by_option
  passed   = { a = secret_file("secret.txt") }
}
"#;

const INNER: &str = r#"
variable "password" {
  sensitive = true
}
variable "passed" {
}
output "password" {
  value = "${var.password}!"
}
output "passed" {
  value = var.passed.a
}
"#;

const SECRETS: &[&str] = &[
    "var.by_option",
    "var.by_environment",
    "var.by_file",
    "var.by_own_file",
    "var.digits",
    "var.object.a",
    "var.object.inner[\"k\"][0]",
    "local.derived",
    "local.map.inner.secret",
    "local.listed[1]",
    "local.from",
    "env(\"LARDER_TEST_SECRET\")",
    "secret_file(\"secret.txt\")",
    "secret_command([\"cat\", \"secret.txt\"])",
    "sensitive(file(\"plain.txt\"))",
    "module.inner.password",
    "module.inner.passed",
];

/// What becomes of a secret on its way; `$` stands for it.
const WAYS: &[&str] = &[
    "$",
    "$",
    "$",
    "\"a-${$}-b\"",
    "upper($)",
    "strrev($)",
    "base64encode($)",
    "jsonencode({ a = $ })",
    "sha256($)",
    "substr($, 0, 14)",
    "[$][0]",
    "{ a = $ }.a",
    "one([$])",
    "try($, \"\")",
    "($ == \"\" ? \"none\" : $)",
    "(true ? $ : \"none\")",
    "join(\"\", [$, \"x\"])",
    "format(\"%s.\", $)",
    "[for x in [$] : x][0]",
    "\"%{ for x in [$] }${x}%{ endfor }\"",
    "coalesce($, \"none\")",
    "lookup({ a = $ }, \"a\", \"\")",
    "keys({ ($) = 1 })[0]",
    "tolist(toset([$]))[0]",
    "values(merge({ a = $ }, {}))[0]",
    "jsondecode(jsonencode([$]))[0]",
    "yamldecode(yamlencode({ a = $ })).a",
    "templatestring(\"<$${v}>\", { v = $ })",
    "replace($, \"/^(.)/\", \"$${1}\")",
    "nonsensitive(1) == 1 ? $ : \"\"",
];

/// Expressions that are wrong, or may be, about a secret.
const WRONG: &[&str] = &[
    "tonumber($)",
    "tobool($)",
    "tolist($)",
    "tomap($)",
    "toset($)",
    "convert($, number)",
    "convert($, list(string))",
    "convert({ ($) = \"x\" }, map(number))",
    "convert({ a = { ($) = \"x\" } }, map(map(number)))",
    "convert({ ($) = 1 }, object({ a = string }))",
    "convert([{ ($) = \"x\" }], list(map(bool)))",
    "tomap({ ($) = 1, b = [] })",
    "$ + 1",
    "1 / $",
    "-$",
    "!$",
    "$ && true",
    "$ < 2",
    "$ ? 1 : 2",
    "true ? $ : [1]",
    "$ == \"x\" ? 1 : []",
    "[1][$]",
    "{ a = 1 }[$]",
    "{ a = 1 }[\"${$}\"]",
    "{ ($) = 1 }.x",
    "{ ($) = 1 }[\"x\"]",
    "tomap({ ($) = 1 })[\"x\"]",
    "$.x",
    "$[0]",
    "$[*].x",
    "[$].x",
    "[$][7]",
    "[for x in $ : x]",
    "{ for x in [$, $] : x => 1 }",
    "{ for x in [1] : $ => x, }",
    "{ for x in [$] : [x] => 1 }",
    "[for x in [1] : x if $]",
    "\"%{ if $ }a%{ endif }\"",
    "\"%{ for x in $ }a%{ endfor }\"",
    "\"${[$]}\"",
    "\"${{ ($) = 1 }}\"",
    "jsondecode($)",
    "jsondecode(\"{${$}\")",
    "yamldecode(\"a: [${$}\")",
    "yamldecode(\"${$}: *x\")",
    "csvdecode(\"a,a\\n${$}\")",
    "csvdecode(\"${$},${$}\\n\")",
    "base64decode($)",
    "base64gunzip($)",
    "urldecode(\"%${$}\")",
    "textdecodebase64($, \"UTF-8\")",
    "textencodebase64(\"x\", $)",
    "regex($, \"x\")",
    "regex(\"^$\", $)",
    "regex(\"(${$}\", \"x\")",
    "regexall(\"[${$}\", \"x\")",
    "replace(\"a\", \"/(${$}/\", \"\")",
    "file($)",
    "filebase64($)",
    "fileset($, \"*\")",
    "fileset(\".\", \"{${$}\")",
    "filesha256(\"../${$}\")",
    "templatefile($, {})",
    "templatefile(\"t.txt\", { x = $ })",
    "templatestring(\"$${x[0]}\", { x = $ })",
    "templatestring(\"$${y}\", { ($) = 1 })",
    "templatestring(\"$${${$}\", {})",
    "templatestring($, 1)",
    "abspath(\"${$}\\u0000\")",
    "secret_file($)",
    "secret_command([$])",
    "secret_command([\"false\", $])",
    "secret_command($)",
    "env($)",
    "env(\"NOT_${$}\")",
    "lookup({}, $)",
    "lookup({ a = 1 }, \"b\", $)[0]",
    "lookup(tomap({ a = 1 }), \"b\", $)",
    "element([], $)",
    "element([1], $)",
    "slice([1], $, 2)",
    "range($)",
    "chunklist([1], $)",
    "substr(\"a\", $, 1)",
    "index([1], $)",
    "index([$], 1)",
    "one([$, $])",
    "zipmap([$], [1, 2])",
    "zipmap([[$]], [1])",
    "matchkeys([1], [$, 1], [$])",
    "setproduct([$], 1)",
    "setunion([$], 1)",
    "merge($)",
    "merge({ ($) = 1 }, [])",
    "keys($)",
    "values($)",
    "flatten($)",
    "reverse($)",
    "concat($, [])",
    "contains($, 1)",
    "distinct($)",
    "coalesce($, [])",
    "coalescelist($)",
    "transpose({ ($) = $ })",
    "sum([$])",
    "max($, 1)",
    "parseint($, 10)",
    "parseint($, 99)",
    "log($, 2)",
    "signum($)",
    "abs($)",
    "sort([[$]])",
    "join(\",\", [[$]])",
    "alltrue([$])",
    "format($)",
    "format(\"%d\", $)",
    "format(\"%z${$}\", 1)",
    "format(\"%s\", [$])",
    "formatlist(\"%d\", [$])",
    "formatdate($, \"x\")",
    "formatdate(\"YYYY\", $)",
    "timeadd($, \"1h\")",
    "timeadd(\"2024-01-01T00:00:00Z\", $)",
    "timecmp($, $)",
    "cidrhost($, 1)",
    "cidrsubnet(\"10.0.0.0/8\", $, 1)",
    "cidrnetmask($)",
    "uuidv5($, \"x\")",
    "indent($, \"x\")",
    "title($, 1)",
    "upper()",
    "nonesuch($)",
    "type({ ($) = 1 }).x",
    "try(tonumber($), jsondecode($))",
    "can($).x",
    "issensitive($, 1)",
    "path[$]",
    "var.plain[$]",
    "host[$]",
    "host.hv1[$]",
    "image_storage.main.hosts[$]",
    "module.inner[$]",
    "tonumber({ a = $ }.a)",
    "{ (null) = $ }",
    "{ ([$]) = 1 }",
];

/// Blocks that are wrong, or may be, about a secret; `NAME` is another name in each.
const BLOCKS: &[&str] = &[
    "host \"NAME\" {\n  address = $\n}\n",
    "host \"NAME\" {\n  address = \"-${$} x\"\n}\n",
    "host \"NAME\" {\n  address = \"192.0.2.1\"\n  port = $\n  connect_timeout = $\n}\n",
    "host \"NAME\" {\n  address = \"192.0.2.1\"\n  user = $\n  jump = \"${$} ${$}\"\n  identity_file = $\n}\n",
    "host \"NAME\" {\n  connection = $\n}\n",
    "host \"NAME\" {\n  address = \"192.0.2.1\"\n  labels = { a = [$] }\n}\n",
    "image_storage \"NAME\" {\n  hosts = [$]\n}\n",
    "image_storage \"NAME\" {\n  hosts = $\n}\n",
    "image_storage \"NAME\" {\n  hosts = [host.hv1]\n  root = $\n}\n",
    "image_storage \"NAME\" {\n  hosts = [host.hv1]\n  root = \"/etc/${$}\"\n  owner = $\n  mode = $\n}\n",
    "image_storage \"NAME\" {\n  hosts = [for h in host : h if h.name != $]\n  owner = \"root:${$}\"\n}\n",
    "image_storage \"NAME\" {\n  hosts = [host.hv1]\n  root = \"/srv/${$}\"\n}\nexternal_volume \"NAME\" {\n  storage = image_storage.NAME\n  directory {}\n}\nimage \"NAME\" {\n  volume = external_volume.NAME\n  format = \"raw\"\n  size = 3\n}\n",
    "external_volume \"NAME\" {\n  storage = image_storage.main\n  mount_point = \"/srv/${$}\"\n  options = [$]\n  tmpfs {\n    size = $\n  }\n}\n",
    "external_volume \"NAME\" {\n  storage = image_storage.main\n  mount_point = \"/etc/${$}\"\n  bind {\n    source = $\n  }\n}\n",
    "external_volume \"NAME\" {\n  storage = image_storage.main\n  device {\n    path = \"/dev/${$}\"\n    fstype = $\n    label = $\n  }\n}\n",
    "external_volume \"NAME\" {\n  storage = image_storage.main\n  dynamic \"tmpfs\" {\n    for_each = [$]\n    content {\n      size = tmpfs.value\n    }\n  }\n}\n",
    "external_volume \"NAME\" {\n  storage = image_storage.main\n  dynamic \"tmpfs\" {\n    for_each = { ($) = 1 }\n    content {\n      size = tmpfs.key\n    }\n  }\n}\n",
    "image \"NAME\" {\n  volume = external_volume.plain\n  format = $\n  name = $\n  size = $\n}\n",
    "image \"NAME\" {\n  volume = external_volume.plain\n  format = \"raw\"\n  name = \"a/${$}\"\n  size = \"${$}GiB\"\n}\n",
    "image \"NAME\" {\n  volume = $\n  format = \"raw\"\n}\n",
    "image \"NAME\" {\n  for_each = toset([$])\n  volume = external_volume.plain\n  format = \"raw\"\n  name = each.key\n}\n",
    "image \"NAME\" {\n  for_each = { ($) = 1 }\n  volume = external_volume.plain\n  format = \"raw\"\n}\n",
    "image \"NAME\" {\n  for_each = { a = $ }\n  volume = external_volume.plain\n  format = \"raw\"\n  size = each.value\n  name = each.value\n}\n",
    "image \"NAME\" {\n  count = $\n  volume = external_volume.plain\n  format = \"raw\"\n}\n",
    "image \"NAME\" {\n  volume = external_volume.plain\n  format = \"raw\"\n  size = \"1MiB\"\n  lifecycle {\n    accept = [$]\n    prevent_destroy = $\n    precondition {\n      condition = $ == \"\"\n      error_message = \"It is ${$}.\"\n    }\n    postcondition {\n      condition = self.name == $\n      error_message = \"It is ${self.name}, not ${$}.\"\n    }\n  }\n}\n",
    "image \"NAME\" {\n  volume = external_volume.plain\n  format = \"raw\"\n  size = \"1MiB\"\n  lifecycle {\n    precondition {\n      condition = $\n      error_message = $\n    }\n    precondition {\n      condition = contains([\"x\"], $)\n      error_message = \"No.\"\n    }\n  }\n}\n",
    "output \"NAME\" {\n  value = $\n}\n",
    "output \"NAME\" {\n  value = { a = [1, $] }\n}\n",
    "output \"NAME\" {\n  value = 1\n  description = $\n}\n",
    "output \"NAME\" {\n  value = 1\n  sensitive = $\n}\n",
    "output \"NAME\" {\n  value = type({ ($) = $ })\n}\n",
    "output \"NAME\" {\n  value = length([$])\n  precondition {\n    condition = $ == \"\"\n    error_message = \"It is ${$}.\"\n  }\n}\n",
    "check \"NAME\" {\n  assert {\n    condition = $ == \"\"\n    error_message = \"It is ${$}.\"\n  }\n  assert {\n    condition = startswith($, \"no\")\n    error_message = $\n  }\n}\n",
    "variable \"NAME\" {\n  default = 1\n  validation {\n    condition = $ == var.NAME\n    error_message = \"It is ${$}.\"\n  }\n}\n",
    "module \"NAME\" {\n  source = \"./typed\"\n  number = $\n  numbers = { ($) = \"x\" }\n  object = { ($) = $ }\n}\n",
    "module \"NAME\" {\n  source = \"./inner\"\n  for_each = toset([$])\n  password = 1\n  passed = 1\n}\n",
    "module \"NAME\" {\n  source = \"./inner\"\n  password = $\n  passed = $\n  nonesuch = $\n}\n",
    "larder {\n  required_version = $\n  state \"local\" {\n    path = \"${$}.json\"\n  }\n  apply {\n    parallelism = $\n  }\n}\n",
];

const TYPED: &str = r#"
variable "number" {
  type = number
}
variable "numbers" {
  type      = map(number)
  sensitive = true
}
variable "object" {
  type = object({ a = string })
}
"#;

/// Hosts and volumes beside what is wrong.
const BASE: &str = r#"
host "hv1" {
  connection = "local"
}
image_storage "main" {
  hosts = [host.hv1]
  root  = "/nowhere/main"
}
external_volume "plain" {
  storage     = image_storage.main
  mount_point = "/nowhere/plain"
  directory {}
}
"#;

/// A secret on its way into an expression.
fn used(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    use prop::sample::select;
    (select(of), prop::collection::vec((select(SECRETS), select(WAYS)), 4)).prop_map(|(pattern, secrets)| {
        let mut secrets = secrets
            .iter()
            .map(|(secret, way)| {
                way.replace("$${", "\u{1}")
                    .replace("${$}", "\u{2}")
                    .replace('$', secret)
                    .replace('\u{2}', &format!("${{{secret}}}"))
                    .replace('\u{1}', "$${")
            })
            .cycle();
        let mut text = String::new();
        let mut rest = pattern;
        // `$` alone is the secret; `${` and `$${` are those of templates.
        while let Some(at) = rest.find('$') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            match rest.strip_prefix("${") {
                Some(behind) => {
                    text.push_str("$${");
                    rest = behind;
                }
                None if rest.starts_with('{') => text.push('$'),
                None => text.push_str(&secrets.next().expect("a cycle")),
            }
        }
        text + rest
    })
}

/// A value that somebody gives for a sensitive variable, and that does not fit it.
#[derive(Debug, Clone)]
struct Given {
    ty: &'static str,
    value: &'static str,
    route: Route,
}

#[derive(Debug, Clone, Copy)]
enum Route {
    Option,
    Environment,
    File,
    Undeclared,
}

fn given() -> impl Strategy<Value = Given> {
    use prop::sample::select;
    let types = [
        "number",
        "bool",
        "list(number)",
        "map(number)",
        "object({ a = number })",
        "set(bool)",
        "string",
        "any",
        "tuple([number])",
        "map(map(bool))",
    ];
    // `$` is the secret.
    let values = [
        "\"$\"",
        "{ $ = \"x\" }",
        "{ \"$\" = [\"$\"] }",
        "{ $ = { $ = \"$\" } }",
        "[\"$\", \"$\"]",
        "[[\"$\"]]",
        "\"$",
        "[\"$\"",
        "$",
        "upper(\"$\")",
        "\"$\" + 1",
        "1 + \"$\"",
        "{ a = \"$\" b = 1 }",
        "\"\\x$\"",
        "<<EOT\n$\n",
        "{ a = 1, a = \"$\" }",
        "\"${$}\"",
        "$.x[\"$\"]",
        "'$'",
        "null",
    ];
    let routes = [Route::Option, Route::Environment, Route::File, Route::Undeclared];
    (select(types.to_vec()), select(values.to_vec()), select(routes.to_vec())).prop_map(|(ty, value, route)| Given {
        ty,
        value,
        route,
    })
}

/// A directory with a configuration, and the secret wherever it comes from.
struct Place {
    path: PathBuf,
    /// What goes away with it; `None` where somebody else owns the directory.
    _directory: Option<tempfile::TempDir>,
    secret: Secret,
    given: Option<Given>,
}

impl Place {
    fn new(secret: &Secret, main: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let place = Place::at(directory.path(), secret, main);
        Place { _directory: Some(directory), ..place }
    }

    fn at(path: &Path, secret: &Secret, main: &str) -> Self {
        let place = Place { path: path.to_owned(), _directory: None, secret: secret.clone(), given: None };
        let Secret { text, digits, .. } = secret;
        place.write("main.hcl", &format!("{SOURCES}{main}"));
        place.write("inner/main.hcl", INNER);
        place.write("typed/main.hcl", TYPED);
        place.write("larder.vars.hcl", &format!("by_file = \"{text}\"\n"));
        place.write(
            "a.auto.vars.hcl",
            &format!("digits = {digits}\nobject = {{\n  a     = \"{text}\"\n  inner = {{ k = [\"{text}\"] }}\n}}\n"),
        );
        place.write("own.vars.hcl", &format!("by_own_file = [\"{text}\"][0]\n"));
        place.write("secret.txt", &format!("{text}\n"));
        place.write("plain.txt", text);
        place.write("t.txt", "${x.y}${[x]}");
        place
    }

    /// The same with one more sensitive variable.
    fn with(mut self, given: Given) -> Self {
        let validation = "  validation {\n    condition = var.given == null\n    error_message = \"It is ${jsonencode(var.given)}.\"\n  }\n";
        let variable = format!("variable \"given\" {{\n  type = {}\n  sensitive = true\n{validation}}}\n", given.ty);
        let name = match given.route {
            Route::Undeclared => "gievn",
            _ => "given",
        };
        self.write("given.hcl", &variable);
        if let Route::File | Route::Undeclared = given.route {
            let value = given.value.replace('$', &self.secret.text);
            self.write("z.auto.vars.hcl", &format!("# {0}\n{name} = {value}\n# {0}\n", self.secret.text));
        }
        self.given = Some(given);
        self
    }

    /// The value of the further variable, as it is given outside of files.
    fn given(&self, by: Route) -> Option<String> {
        let given = self.given.as_ref()?;
        let is_asked =
            matches!((given.route, by), (Route::Option, Route::Option) | (Route::Environment, Route::Environment));
        is_asked.then(|| given.value.replace('$', &self.secret.text))
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let secret = &self.secret.text;
        let mut all: BTreeMap<String, String> =
            ["LARDER_VAR_by_environment", "LARDER_TEST_SECRET"].map(|name| (name.to_owned(), secret.clone())).into();
        all.extend(self.given(Route::Environment).map(|value| ("LARDER_VAR_given".to_owned(), value)));
        all
    }

    fn options(&self) -> Vec<String> {
        let own = self.path().join("own.vars.hcl").display().to_string();
        let mut all = vec!["-var".to_owned(), format!("by_option={}", self.secret.text), "-var-file".to_owned(), own];
        all.extend(
            self.given(Route::Option).into_iter().flat_map(|value| ["-var".to_owned(), format!("given={value}")]),
        );
        all
    }

    /// Everything that is said about the configuration, without running anything.
    fn said(&self) -> (Vec<Problem>, Vec<String>) {
        let own = self.path().join("own.vars.hcl");
        let given = self.given(Route::Option).map(|value| VarSource::Text(format!("given={value}")));
        let by_option = VarSource::Text(format!("by_option={}", self.secret.text));
        let vars = [VarSource::File(own), by_option].into_iter().chain(given).collect();
        let inputs = Inputs { vars, environment: self.environment() };
        let loaded = load(self.path(), &inputs, kinds::table());
        let mut problems = loaded.problems;
        let mut said = Vec::new();
        if let Some(configuration) = &loaded.configuration {
            let evaluated = configuration.evaluate(None);
            problems.extend(evaluated.problems);
            let outputs = evaluated.desired.outputs.iter();
            said.extend(
                outputs.filter(|(_, output)| !output.sensitive).map(|(name, output)| format!("{name} {output:?}")),
            );
            said.push(view::graph::dot(&evaluated.desired.blocks));
            said.push(format!("{:?}", evaluated.desired.settings));
        }
        for style in [Style::Plain, Style::Coloured] {
            said.push(view::problems::render(&problems, &loaded.sources, style));
        }
        said.push(view::problems::json(&problems).to_string());
        (problems, said)
    }

    /// Runs the built binary; gives all that it wrote.
    fn larder(&self, mut command: Command, arguments: &[&str]) -> Result<(i32, String), TestCaseError> {
        let output = command
            .current_dir(self.path())
            .args(arguments)
            .envs(self.environment())
            .env("LARDER_LOG", "trace")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        self.keeps_secret(&arguments.join(" "), &text)?;
        Ok((output.status.code().unwrap_or(-1), text))
    }

    fn keeps_secret(&self, what: &str, text: &str) -> Result<(), TestCaseError> {
        let trace = self.secret.trace_in(text);
        let line =
            |trace: &str| text.lines().find(|line| line.to_lowercase().contains(trace)).unwrap_or(text).to_owned();
        prop_assert!(
            trace.is_none(),
            "{what} shows {trace:?} of {:?}: {}",
            self.secret.text,
            line(trace.unwrap_or_default())
        );
        Ok(())
    }
}

/// A configuration in which many things are wrong about secrets.
fn wrong() -> impl Strategy<Value = String> {
    let locals = prop::collection::vec(used(WRONG), 1..20).prop_map(|all| {
        let locals = all.iter().enumerate().map(|(number, text)| format!("  wrong{number} = {text}\n"));
        format!("locals {{\n{}}}\n", locals.collect::<String>())
    });
    let blocks = prop::collection::vec(used(BLOCKS), 1..6).prop_map(|all| {
        all.iter().enumerate().map(|(number, text)| text.replace("NAME", &format!("b{number}"))).collect::<String>()
    });
    (locals, blocks).prop_map(|(locals, blocks)| format!("{BASE}{locals}{blocks}"))
}

#[test]
fn what_is_wrong_about_a_secret_does_not_say_it() {
    check(60, (secrets(), wrong(), prop::option::of(given())), |(secret, text, given)| {
        let mut place = Place::new(&secret, &text);
        if let Some(given) = given {
            place = place.with(given);
        }
        let (problems, said) = place.said();
        for text in &said {
            place.keeps_secret("a configuration", text)?;
        }
        prop_assert!(problems.iter().all(|problem| !problem.detail.is_empty()), "no detail: {problems:#?}");
        Ok(())
    });
}

#[test]
fn the_program_does_not_say_a_secret_that_something_is_wrong_about() {
    check(3, (secrets(), wrong(), given()), |(secret, text, given)| {
        let place = Place::new(&secret, &text).with(given);
        let options = place.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        for words in [&["validate"][..], &["validate", "-json"], &["plan"], &["plan", "-json"], &["graph"]] {
            let (exit, _) = place.larder(Command::new(env!("CARGO_BIN_EXE_larder")), &[words, &options].concat())?;
            prop_assert_eq!(exit, 1, "{:?}", words);
        }
        place.larder(Command::new(env!("CARGO_BIN_EXE_larder")), &["state", "list"])?;
        Ok(())
    });
}

/// Where secrets are allowed: nothing of this is an error.
const RIGHT: &str = r#"
host "hv1" {
  address = "192.0.2.1"
}
image_storage "main" {
  hosts = [for h in host : h if length(var.by_option) > 3]
  owner = "libvirt-qemu"
  group = "kvm"
  mode  = "0770"
}
external_volume "ram" {
  for_each    = nonsensitive({ for name in ["a", "b"] : name => [name, var.by_file] })
  storage     = image_storage.main
  mount_point = "/srv/${each.key}"
  tmpfs {
    size = "4MiB"
  }
  lifecycle {
    precondition {
      condition     = each.value[1] != ""
      error_message = "It is ${each.value[1]}."
    }
    postcondition {
      condition     = self.mount_point != local.derived
      error_message = "It is ${local.derived}."
    }
  }
}
image "i" {
  volume = external_volume.ram["a"]
  format = "raw"
  size   = nonsensitive(local.from != "" ? "1MiB" : local.from)
}
output "hidden" {
  value     = { ALL = ["text", ALL] }
  sensitive = true
}
output "hidden_name" {
  value     = { (var.by_environment) = host.hv1.facts.kernel }
  sensitive = true
}
output "plain" {
  value = nonsensitive(length(secret_file("secret.txt")))
}
check "secret" {
  assert {
    condition     = var.by_environment == "no"
    error_message = "It is ${var.by_environment}."
  }
  assert {
    condition     = "${host.hv1.facts.kernel}${var.by_environment}" == local.derived
    error_message = var.by_file
  }
}
"#;

/// All files below a directory that are no link, less those that were put there to hold the secret.
fn files_below(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let found = path.symlink_metadata().expect("it is there");
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_source = name.ends_with(".txt") || name.ends_with(".vars.hcl");
        if found.is_dir() && name != ".larder" {
            files_below(&path, files);
        } else if found.is_file() && !is_source {
            files.push(path);
        }
    }
}

#[test]
fn a_secret_that_is_used_is_in_no_plan_state_or_log() {
    let site = Site::up(&["hv1"]);
    check(1, (secrets(), prop::collection::vec(used(&["$"]), 6)), |(secret, all)| {
        let main = RIGHT.replacen("ALL", "all", 1).replacen("ALL", &all.join(", "), 1);
        let place = Place::at(site.path(), &secret, &main);
        let options = place.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let run = |words: &[&str], exit: i32| {
            let (found, text) = place.larder(site.command(&[]), words)?;
            prop_assert_eq!(found, exit, "{:?}: {}", words, text);
            Ok(text)
        };
        let with_options = |words: &[&'static str]| [words, &options].concat();
        let said = run(&with_options(&["validate"]), 0)?;
        prop_assert!(said.contains("check-failed"), "{said}");
        run(&with_options(&["validate", "-json"]), 0)?;
        run(&with_options(&["graph"]), 0)?;
        run(&with_options(&["graph", "-format=mermaid"]), 0)?;
        let said = run(&with_options(&["plan", "-verbose", "-out", "saved.plan"]), 0)?;
        // One is said before any host was asked, the other when that one had answered.
        prop_assert_eq!(said.matches("warning[check-failed]").count(), 2, "{}", said);
        run(&with_options(&["plan", "-json"]), 0)?;
        run(&["show", "saved.plan"], 0)?;
        run(&["show", "-json", "-verbose", "saved.plan"], 0)?;
        run(&["apply", "saved.plan"], 0)?;
        // A mode changed by hand has to be said in an apply that evaluates everything again.
        site.sh("hv1", "chmod 0700 /srv/a");
        run(&with_options(&["apply", "-auto-approve"]), 0)?;
        run(&with_options(&["status"]), 0)?;
        run(&with_options(&["status", "-json"]), 0)?;
        let said = run(&["output"], 0)?;
        prop_assert!(said.contains("plain") && !said.contains("hidden"), "{said}");
        run(&["output", "-json"], 0)?;
        run(&["output", "hidden"], 1)?;
        run(&["show"], 0)?;
        run(&["state", "list"], 0)?;
        run(&["state", "show", "image.i"], 0)?;
        run(&["state", "show", "-json", "external_volume.ram[\"a\"]"], 0)?;
        let mut files = Vec::new();
        files_below(site.path(), &mut files);
        prop_assert!(files.iter().any(|path| path.ends_with("larder.state.json")), "{files:?}");
        for path in files {
            place.keeps_secret(
                &path.display().to_string(),
                &String::from_utf8_lossy(&std::fs::read(&path).expect("a file")),
            )?;
        }
        place.keeps_secret("the host", &site.sh("hv1", "cat /etc/fstab; find / -xdev -newer /etc/hostname -not -path '/proc/*'; dmesg 2>/dev/null | tail -50; true"))?;
        // The image lies in memory: that it would be lost is said too.
        run(&with_options(&["destroy", "-auto-approve"]), 6)?;
        Ok(())
    });
}
