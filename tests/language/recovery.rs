//! A mistake of syntax hides nothing but itself: it is said once, where it is, and all that is wrong elsewhere is said too.

use larder::config::{Inputs, load};

use crate::kinds::kinds;

/// What follows the broken text: it refers to what that declares, and has a mistake of its own.
const REST: &str = r#"
host "good" {
  address = "x"
}

image_storage "s" {
  hosts = [host.a, host.good]
  mode  = "0999"
}
"#;

/// `line:column-column summary` of each problem of the broken text. The one of [`REST`] must be there as well.
#[track_caller]
fn check(broken: &str, expected: &[&str]) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), format!("{broken}{REST}")).expect("a file");
    let loaded = load(directory.path(), &Inputs::default(), kinds());
    let configuration = loaded.configuration.expect("as much of it as can be read");
    let mut problems = loaded.problems;
    problems.extend(configuration.evaluate(None).problems);
    let of_rest = problems.iter().position(|problem| problem.code == "invalid-mode");
    problems.remove(of_rest.unwrap_or_else(|| panic!("the mistake behind it is hidden: {broken}\n{problems:#?}")));
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    let said: Vec<String> = problems
        .iter()
        .map(|problem| {
            let place = problem.place.as_ref().expect("a place");
            assert_eq!(place.start.line, place.end.line, "{problem}");
            format!("{}:{}-{} {}", place.start.line, place.start.column, place.end.column, problem.summary)
        })
        .collect();
    assert_eq!(said, expected, "{broken}");
}

#[test]
fn what_is_not_closed_is_shown_where_it_opens() {
    check("host \"a\" {\n  address = \"x\"\n", &["1:10-11 This bracket is not closed"]);
    check("host \"a\" {\n  labels = {\n    rack = \"a\"\n}\n", &["2:12-13 This bracket is not closed"]);
    check(
        "host \"a\" {\n  labels = [\"a\"\n  port   = \"many\"\n}\n",
        &["2:12-13 This bracket is not closed", "3:12-18 `port` cannot be this"],
    );
    check("host \"a\" {\n  address = lower(\"X\"\n}\n", &["2:18-19 This bracket is not closed"]);
    check("host \"a\" {\n  labels = [\"a\", \"b\"}\n}\n", &["2:21-22 This bracket has no partner"]);
    check("host \"a\" {\n  labels = { a = [1, 2 }\n}\n", &["2:18-19 This bracket is not closed"]);
    check("host \"a\" {\n}}\n", &["2:2-3 This bracket has no partner"]);
    check("host \"a\" {\n}\n}\n", &["3:1-2 This bracket has no partner"]);
    check(
        "host \"a\" {\n  address = \"x\n  port = true\n}\n",
        &["2:13-15 This text is not closed", "3:10-14 `port` cannot be this"],
    );
    check("host \"a {\n  port = true\n}\n", &["1:6-10 This text is not closed", "2:10-14 `port` cannot be this"]);
    check("host a\" {\n  port = true\n}\n", &["1:7-10 This text is not closed", "2:10-14 `port` cannot be this"]);
    check("host \"a\" {\n  address = <<EOT\nx\n}\n", &["2:13-15 This heredoc is not closed"]);
    check("/* x\nhost \"a\" {\n}\n", &["1:1-3 This comment is not closed"]);
    check("host \"a\" {\n  address = \"${lower(\"x\")\"\n}\n", &["2:14-16 This template sequence is not closed"]);
    check("host \"a\" {\r\n  address = \"x\r\n}\r\n", &["2:13-15 This text is not closed"]);
}

#[test]
fn what_is_written_wrongly_is_said_in_words() {
    let attribute = |line: &str, expected: &str| check(&format!("host \"a\" {{\n  {line}\n}}\n"), &[expected]);
    attribute("address \"x\"", "2:14-14 The `=` is missing");
    attribute("address: \"x\"", "2:10-11 This should be `=`");
    attribute("address == \"x\"", "2:12-13 An attribute is set with one `=`");
    attribute("address =", "2:12-12 The value is missing");
    attribute("address = \"x\",", "2:16-17 Attributes do not end with a comma");
    attribute("address = \"x\";", "2:16-17 Lines do not end with a semicolon");
    attribute("address = 'x'", "2:13-14 Texts are written in double quotes");
    attribute("address = \"\\x\"", "2:16-17 This escape sequence does not exist");
    attribute("address = \"x\" port = 1", "2:17-18 Something follows the value");
    attribute("address = ${var.x}", "2:13-14 A template stands in quotes");
    attribute("address = \"%{ if true }x\"", "2:14-15 This template is not complete");
    attribute("address = local.", "2:18-19 No name follows this dot");
    attribute("address = true ? \"x\"", "2:23-23 The second result is missing");
    attribute("port = 1 +", "2:13-13 What stands right of the operator is missing");
    attribute("labels = [1,,2]", "2:15-16 An expression is missing here");
    attribute("labels = [1 2]", "2:15-16 A comma is missing here");
    attribute("labels = [for x in [1] x]", "2:26-27 The `:` of this `for` is missing");
    attribute("labels = { a = 1, a = 2 }", "2:21-22 This key is written twice");
    attribute("port = 1 and 2", "2:12-13 Conditions are joined with `&&` and `||`");
    attribute("\"address\" = \"x\"", "2:3-18 A name is written without quotes");
    attribute("please mend this", "2:19-19 This is neither an attribute nor a block");
    attribute("???", "2:3-6 This cannot be read");
    check("host \"a\" { address = \"x\", port = 1 }\n", &["1:25-26 Attributes do not end with a comma"]);
    check("host \"a\" = {\n}\n", &["1:10-11 There is no `=` between a block and its body"]);
    check(
        "host \"a\"\n{\n  port = true\n}\n",
        &["1:1-9 The `{` of this block is missing", "3:10-14 `port` cannot be this"],
    );
    check(
        "host \"a\"\n  port = true\n}\n",
        &["1:1-9 The `{` of this block is missing", "2:10-14 `port` cannot be this"],
    );
}

#[test]
fn several_mistakes_of_one_block_are_all_said() {
    check(
        "host \"a\" {\n  address = \"x\n  port = = 22\n  labels = [1,,2]\n  lifecycle = -\n  count = []\n}\n",
        &[
            "2:13-15 This text is not closed",
            "3:10-11 An attribute is set with one `=`",
            "4:15-16 An expression is missing here",
            "5:16-16 What stands right of the operator is missing",
            "6:11-13 This cannot be a count",
        ],
    );
}

#[test]
fn what_may_have_been_declared_in_broken_text_is_not_missing() {
    check("locals {\n  a = local.b\n  b =\n}\nhost \"a\" {\n  address = local.a\n}\n", &["3:6-6 The value is missing"]);
    check("variable \"x\" {\n  default =\n}\nhost \"a\" {\n  address = var.x\n}\n", &["2:12-12 The value is missing"]);
    check("hst \"a\" {\n}\n", &["1:1-8 `hst` is not a kind of block"]);
    check("host \"a\" \"b\" {\n}\n", &["1:1-13 `host` has 2 labels here"]);
    check(
        "check \"x\" {\n  assert {\n    error_message = 1 1\n    condition = true\n  }\n}\nhost \"a\" {\n}\n",
        &["3:23-24 Something follows the value"],
    );
}

#[test]
fn bytes_that_are_no_text_hide_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = [b"host \"a\" {\n  address = \"\xff\"\n}\n".as_slice(), REST.as_bytes()].concat();
    std::fs::write(directory.path().join("main.hcl"), text).expect("a file");
    let loaded = load(directory.path(), &Inputs::default(), kinds());
    let codes = |problems: &[larder::model::Problem]| problems.iter().map(|one| one.code.clone()).collect::<Vec<_>>();
    assert_eq!(codes(&loaded.problems), ["invalid-character"]);
    let evaluated = loaded.configuration.expect("as much of it as can be read").evaluate(None);
    assert_eq!(codes(&evaluated.problems), ["invalid-mode"]);
}
