//! `module` and `dynamic` blocks: what goes in, what comes out, and what is said about mistakes.

use std::collections::BTreeMap;

use larder::config::{Evaluated, Inputs, load};
use larder::model::HostName;
use larder::model::block::Attributes as _;

use crate::kinds::kinds;

type Facts = BTreeMap<HostName, serde_json::Value>;

/// Loads and evaluates files, given with their paths from the root.
fn evaluate_with(files: &[(&str, &str)], facts: Option<&Facts>) -> Evaluated {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join("root").join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    let loaded = load(&directory.path().join("root"), &Inputs::default(), kinds());
    let configuration = loaded.configuration.unwrap_or_else(|| panic!("does not parse: {:#?}", loaded.problems));
    let mut evaluated = configuration.evaluate(facts);
    evaluated.problems.extend(loaded.problems);
    evaluated
}

fn evaluate(files: &[(&str, &str)]) -> Evaluated {
    evaluate_with(files, None)
}

/// `file: code line:column` of each problem.
fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let short = |problem: &larder::model::Problem| match &problem.place {
        Some(place) => format!("{}: {} {}:{}", place.file, problem.code, place.start.line, place.start.column),
        None => problem.code.clone(),
    };
    evaluate(files).problems.iter().map(short).collect()
}

fn output(evaluated: &Evaluated, name: &str) -> serde_json::Value {
    assert_eq!(evaluated.problems, []);
    evaluated.desired.outputs[name].value.clone().expect("a known value")
}

const HOSTS: &str = r#"
host "hv1" {
  address = "10.0.0.11"
}
host "hv2" {
  address = "10.0.0.12"
}
"#;

const POOL: &str = r#"
variable "hosts" {
  description = "Where the pool is"
}
variable "root" {
  type    = string
  default = "/pool"
}
image_storage "pool" {
  hosts = var.hosts
  root  = var.root
}
external_volume "data" {
  storage = image_storage.pool
  directory {}
}
output "path" {
  value = external_volume.data.mount_point
}
output "volume" {
  value = external_volume.data
}
output "hosts" {
  value = [for h in image_storage.pool.hosts : h.name]
}
"#;

#[test]
fn what_a_module_holds_has_its_address_and_is_read_through_outputs() {
    let main = format!(
        r#"{HOSTS}
module "pool" {{
  source = "./modules/pool"
  hosts  = [host.hv1, host.hv2]
}}
image "web" {{
  volume = module.pool.volume
  format = "raw"
  size   = "1MiB"
}}
output "path" {{
  value = module.pool.path
}}
output "whole" {{
  value = keys(module.pool)
}}
"#
    );
    let evaluated = evaluate(&[("main.hcl", &main), ("modules/pool/main.hcl", POOL)]);
    assert_eq!(output(&evaluated, "path"), "/pool/data");
    assert_eq!(output(&evaluated, "whole"), serde_json::json!(["hosts", "path", "volume"]));
    let addresses: Vec<String> = evaluated.desired.blocks.keys().map(ToString::to_string).collect();
    assert_eq!(
        addresses,
        ["host.hv1", "host.hv2", "image.web", "module.pool.external_volume.data", "module.pool.image_storage.pool"]
    );
    let needs = |address: &str| -> Vec<String> {
        evaluated.desired.blocks[&address.parse().expect("an address")]
            .depends_on
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    // Through a variable and through an output.
    assert_eq!(needs("module.pool.image_storage.pool"), ["host.hv1", "host.hv2"]);
    assert_eq!(needs("image.web"), ["module.pool.external_volume.data"]);
}

#[test]
fn instances_of_a_module_have_keys() {
    let main = format!(
        r#"{HOSTS}
module "by_key" {{
  source   = "./pool"
  for_each = {{ a = host.hv1, b = host.hv2 }}
  hosts    = [each.value]
  root     = "/pools/${{each.key}}"
}}
module "by_number" {{
  source = "./pool"
  count  = 2
  hosts  = [host.hv1]
  root   = "/numbered/${{count.index}}"
}}
module "none" {{
  source = "./pool"
  count  = 0
  hosts  = []
}}
output "paths" {{
  value = [module.by_key["b"].path, module.by_number[1].path, module.by_key.a.path, length(module.none)]
}}
output "all" {{
  value = {{ for k, m in module.by_key : k => m.hosts }}
}}
output "splat" {{
  value = module.by_number[*].path
}}
"#
    );
    let evaluated = evaluate(&[("main.hcl", &main), ("pool/main.hcl", POOL)]);
    assert_eq!(
        output(&evaluated, "paths"),
        serde_json::json!(["/pools/b/data", "/numbered/1/data", "/pools/a/data", 0])
    );
    assert_eq!(output(&evaluated, "all"), serde_json::json!({ "a": ["hv1"], "b": ["hv2"] }));
    assert_eq!(output(&evaluated, "splat"), serde_json::json!(["/numbered/0/data", "/numbered/1/data"]));
    let addresses: Vec<String> = evaluated.desired.blocks.keys().map(ToString::to_string).collect();
    assert!(addresses.contains(&"module.by_key[\"a\"].external_volume.data".to_owned()), "{addresses:?}");
    assert!(addresses.contains(&"module.by_number[1].image_storage.pool".to_owned()), "{addresses:?}");
    let storage = &evaluated.desired.blocks[&"module.by_key[\"a\"].image_storage.pool".parse().expect("an address")];
    let needs: Vec<String> = storage.depends_on.iter().map(ToString::to_string).collect();
    assert_eq!(needs, ["host.hv1", "host.hv2"], "what for_each refers to");
}

#[test]
fn an_output_needs_only_what_it_is_made_of() {
    // `b` needs what the module puts out, and the module needs what `b` is: no circle, because the one is another output.
    let module = r#"
variable "given" {
  default = null
}
output "fixed" {
  value = "fixed"
}
output "echo" {
  value = var.given
}
"#;
    let main = r#"
locals {
  b = "${module.m.fixed}!"
}
module "m" {
  source = "./m"
  given  = local.b
}
output "echo" {
  value = module.m.echo
}
"#;
    let evaluated = evaluate(&[("main.hcl", main), ("m/main.hcl", module)]);
    assert_eq!(output(&evaluated, "echo"), "fixed!");
    let circle = main.replace("module.m.fixed", "module.m.echo");
    assert_eq!(problems(&[("main.hcl", &circle), ("m/main.hcl", module)]), ["main.hcl: cycle 3:3"]);
}

#[test]
fn modules_call_modules_and_paths_start_from_each() {
    let inner = r#"
variable "hosts" {}
output "text" {
  value = "${file("text.txt")} ${file("${path.module}/text.txt")} ${file("${path.root}/root.txt")}"
}
image_storage "s" {
  hosts = var.hosts
}
"#;
    let outer = r#"
host "site" {
  address       = "10.0.0.1"
  identity_file = "keys/site"
}
module "inner" {
  source = "../inner"
  hosts  = [host.site]
}
output "text" {
  value = module.inner.text
}
"#;
    let main = r#"
module "outer" {
  source = "./modules/outer"
}
output "text" {
  value = module.outer.text
}
"#;
    let evaluated = evaluate(&[
        ("main.hcl", main),
        ("root.txt", "root"),
        ("modules/outer/main.hcl", outer),
        ("modules/inner/main.hcl", inner),
        ("modules/inner/text.txt", "text"),
    ]);
    assert_eq!(output(&evaluated, "text"), "text text root");
    let block = |address: &str| &evaluated.desired.blocks[&address.parse().expect("an address")];
    assert_eq!(block("module.outer.host.site").text("identity_file"), Some("modules/outer/keys/site"));
    assert!(
        block("module.outer.module.inner.image_storage.s")
            .depends_on
            .contains(&"module.outer.host.site".parse().expect("an address"))
    );
}

#[test]
fn depends_on_reaches_into_modules_and_out_of_them() {
    let main = format!(
        r#"{HOSTS}
module "first" {{
  source = "./pool"
  hosts  = [host.hv1]
}}
module "second" {{
  source     = "./pool"
  hosts      = [host.hv1]
  root       = "/second"
  depends_on = [module.first]
}}
image_storage "last" {{
  hosts      = [host.hv1]
  depends_on = [module.second]
}}
"#
    );
    let evaluated = evaluate(&[("main.hcl", &main), ("pool/main.hcl", POOL)]);
    assert_eq!(evaluated.problems, []);
    let needs = |address: &str| -> Vec<String> {
        let block = &evaluated.desired.blocks[&address.parse().expect("an address")];
        block.depends_on.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        needs("module.second.image_storage.pool"),
        ["host.hv1", "module.first.external_volume.data", "module.first.image_storage.pool"]
    );
    assert_eq!(
        needs("image_storage.last"),
        ["host.hv1", "module.second.external_volume.data", "module.second.image_storage.pool"]
    );
}

#[test]
fn what_is_sensitive_stays_so_through_modules() {
    let module = r#"
variable "password" {
  sensitive = true
}
variable "plain" {}
output "password" {
  value = var.password
}
output "told" {
  value     = var.plain
  sensitive = true
}
"#;
    let main = r#"
module "m" {
  source   = "./m"
  password = "hunter2"
  plain    = "plain"
}
output "are" {
  value = [issensitive(module.m.password), issensitive(module.m.told)]
}
output "shown" {
  value = module.m.password
}
"#;
    let files = [("main.hcl", main), ("m/main.hcl", module)];
    assert_eq!(problems(&files), ["main.hcl: sensitive-output 11:11"]);
    assert_eq!(evaluate(&files).desired.outputs["are"].value, Some(serde_json::json!([true, true])));
}

#[test]
fn instances_that_depend_on_facts_are_looked_at_and_known_later() {
    let main = format!(
        r#"{HOSTS}
module "m" {{
  source   = "./pool"
  for_each = toset(host.hv1.facts.users)
  hosts    = [host.hv1]
  root     = "/pools/${{each.key}}"
}}
output "paths" {{
  value = [for m in module.m : m.path]
}}
output "one" {{
  value = module.m["qemu"].path
}}
"#
    );
    let files = [("main.hcl", main.as_str()), ("pool/main.hcl", POOL)];
    let unknown = evaluate(&files);
    assert_eq!(unknown.problems, []);
    assert!(unknown.desired.wants_facts);
    assert_eq!(unknown.desired.outputs["paths"].value, None);
    let facts = Facts::from([(HostName("hv1".into()), serde_json::json!({ "users": ["qemu", "root"] }))]);
    let known = evaluate_with(&files, Some(&facts));
    assert_eq!(output(&known, "paths"), serde_json::json!(["/pools/qemu/data", "/pools/root/data"]));
    assert_eq!(output(&known, "one"), "/pools/qemu/data");
    // A mistake in a module is found before anybody knows how many instances there are.
    let wrong = POOL.replace("root  = var.root", "root  = 17.5");
    assert_eq!(problems(&[("main.hcl", &main), ("pool/main.hcl", &wrong)]), ["pool/main.hcl: invalid-path 11:11"]);
}

#[test]
fn mistakes_in_and_around_modules_have_codes_and_places() {
    let module = "variable \"a\" {\n  type = number\n}\noutput \"b\" {\n  value = var.a\n}\n";
    let call = |body: &str| format!("module \"m\" {{\n  source = \"./m\"\n{body}}}\n");
    for (main, expected) in [
        ("module \"m\" {\n}\n".to_owned(), &["main.hcl: missing-attribute 1:1"][..]),
        ("module \"m\" {\n  source = \"./nowhere\"\n}\n".to_owned(), &["main.hcl: unreadable-directory 2:12"]),
        ("module \"m\" {\n  source = \"./\"\n}\n".to_owned(), &["main.hcl: cycle 2:12"]),
        ("module \"m\" {\n  source = \"${1}./m\"\n}\n".to_owned(), &["main.hcl: invalid-module-source 2:12"]),
        (call(""), &["main.hcl: missing-attribute 1:1"]),
        (call("  a = \"x\"\n"), &["main.hcl: invalid-variable-value 3:7"]),
        (call("  a = null\n"), &[]),
        (call("  a = 1\n  c = 2\n"), &["main.hcl: unknown-attribute 4:3"]),
        (call("  a = each.key\n"), &["main.hcl: invalid-reference 3:7"]),
        (call("  a = 1\n") + "output \"o\" {\n  value = module.m.c\n}\n", &["main.hcl: unsupported-attribute 6:11"]),
        (
            call("  a = 1\n") + "output \"o\" {\n  value = module.n.c\n}\n",
            &["main.hcl: reference-to-undeclared-module 6:11"],
        ),
        (call("  a = 1\n") + "output \"o\" {\n  value = module.m[0].b\n}\n", &["main.hcl: invalid-index 6:20"]),
        (
            call("  a     = 1\n  count = 1\n") + "output \"o\" {\n  value = module.m[1].b\n}\n",
            &["main.hcl: invalid-index 7:20"],
        ),
        (call("  a          = 1\n  depends_on = [module.x]\n"), &["main.hcl: reference-to-undeclared-module 4:17"]),
        (call("  a        = 1\n  for_each = [1]\n"), &["main.hcl: invalid-for-each 4:14"]),
        (call("  a     = 1\n  count = 1\n  for_each = {}\n"), &["main.hcl: conflicting-attributes 4:3"]),
        (call("  a = 1\n") + "variable \"b\" {\n}\n", &["main.hcl: missing-variable 5:1"]),
        (call("  a = local.x\n"), &["main.hcl: reference-to-undeclared-local-value 3:7"]),
    ] {
        assert_eq!(problems(&[("main.hcl", &main), ("m/main.hcl", module)]), expected, "{main}");
    }
    // Once for the module, however often it is called.
    let main = "module \"x\" {\n  source = \"./m\"\n}\nmodule \"y\" {\n  source = \"./m\"\n}\n";
    let wrong = "output \"o\" {\n  value = local.nothing\n}\n";
    assert_eq!(
        problems(&[("main.hcl", main), ("m/main.hcl", wrong)]),
        ["m/main.hcl: reference-to-undeclared-local-value 2:11"]
    );
    let wrong = "module \"again\" {\n  source = \"../m\"\n}\n";
    assert_eq!(problems(&[("main.hcl", main), ("m/main.hcl", wrong)]), ["m/main.hcl: cycle 2:12"]);
    let settings = "larder {\n  required_version = \">= 99\"\n}\n";
    assert_eq!(problems(&[("main.hcl", main), ("m/main.hcl", settings)]), ["m/main.hcl: required-version 2:22"]);
    let settings = "larder {\n  apply {\n    parallelism = 2\n  }\n}\n";
    assert_eq!(problems(&[("main.hcl", main), ("m/main.hcl", settings)]), ["m/main.hcl: settings-in-module 1:1"]);
}

#[test]
fn files_outside_of_the_configuration_need_an_absolute_path() {
    let inside =
        [("main.hcl", "output \"o\" {\n  value = file(\"a/../x.txt\")\n}\n"), ("x.txt", "x"), ("a/y.txt", "y")];
    assert_eq!(output(&evaluate(&inside), "o"), "x");
    for path in ["../x.txt", "a/../../x.txt", "./.././x.txt"] {
        let main = format!("output \"o\" {{\n  value = file(\"{path}\")\n}}\n");
        let found = evaluate(&[("main.hcl", &main), ("../x.txt", "secret")]).problems;
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        assert!(found[0].detail.contains("absolute path"), "{path}: {found:?}");
    }
}

const VOLUME: &str = r#"
image_storage "s" {
  hosts = [host.hv1]
}
variable "export" {
  default = null
}
external_volume "v" {
  storage = image_storage.s
  dynamic "nfs" {
    for_each = var.export == null ? [] : [var.export]
    content {
      server = "10.0.0.1"
      export = nfs.value
    }
  }
  dynamic "directory" {
    for_each = { for s in ["yes"] : s => s if var.export == null }
    iterator = it
    content {
    }
  }
}
"#;

#[test]
fn dynamic_blocks_are_there_once_for_each_element() {
    let with = |source: &str| format!("{HOSTS}{}", VOLUME.replace("default = null", &format!("default = {source}")));
    for (source, expected) in [("null", "directory"), ("\"/data\"", "nfs")] {
        let evaluated = evaluate(&[("main.hcl", &with(source))]);
        assert_eq!(evaluated.problems, [], "{source}");
        let volume = &evaluated.desired.blocks[&"external_volume.v".parse().expect("an address")];
        let names: Vec<&str> = volume.blocks.iter().map(|block| block.name.as_str()).collect();
        assert_eq!(names, [expected], "{source}");
    }
}

#[test]
fn mistakes_in_dynamic_blocks_have_codes_and_places() {
    let with = |dynamic: &str| {
        format!(
            "host \"a\" {{\n}}\nimage_storage \"s\" {{\n  hosts = [host.a]\n}}\nexternal_volume \"v\" {{\n  storage = image_storage.s\n{dynamic}\n}}\n"
        )
    };
    let content = "content {\n    server = \"x\"\n    export = \"/x\"\n  }";
    for (dynamic, expected) in [
        (format!("  dynamic \"nsf\" {{\n  for_each = [1]\n  {content}\n  }}"), &["main.hcl: invalid-dynamic 8:11"][..]),
        (format!("  dynamic \"nfs\" {{\n  {content}\n  }}"), &["main.hcl: invalid-dynamic 8:3"]),
        ("  dynamic \"nfs\" {\n  for_each = [1]\n  }".to_owned(), &["main.hcl: invalid-dynamic 8:3"]),
        (format!("  dynamic \"nfs\" {{\n  for_each = 5\n  {content}\n  }}"), &["main.hcl: invalid-dynamic 9:14"]),
        (
            format!("  dynamic \"nfs\" {{\n  for_each = sensitive([1])\n  {content}\n  }}"),
            &["main.hcl: invalid-dynamic 9:14"],
        ),
        (format!("  dynamic \"nfs\" {{\n  for_each = [1, 2]\n  {content}\n  }}"), &["main.hcl: duplicate-block 6:1"]),
        (
            "  dynamic \"nfs\" {\n  for_each = [1]\n  content {\n    server = nfs.valu\n    export = \"/x\"\n  }\n  }".to_owned(),
            &["main.hcl: unsupported-attribute 11:18"],
        ),
        (
            "  dynamic \"nfs\" {\n  for_each = [1]\n  content {\n    servr = nfs.value\n    server = \"x\"\n    export = \"/x\"\n  }\n  }".to_owned(),
            &["main.hcl: unknown-attribute 11:5"],
        ),
        (
            "  dynamic \"nfs\" {\n  for_each = [nfs.value]\n  content {\n    server = \"/x\"\n  }\n  }".to_owned(),
            &["main.hcl: reference-to-undeclared-resource 9:15"],
        ),
    ] {
        assert_eq!(problems(&[("main.hcl", &with(&dynamic))]), expected, "{dynamic}");
    }
}
