//! `larder console` through the built binary: as a service that answers in JSON, in a pipe, and on a terminal.

#[path = "language/expected.rs"]
mod expected;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use expected::{CONTEXT, Got, compare, expressions};
use serde_json::{Value, json};

const HOSTS: &str = r#"
host "hv1" {
  address = "192.0.2.11"
  labels  = { rack = "a" }
}

image_storage "main" {
  hosts = [host.hv1]
  owner = host.hv1.facts.distribution
}

variable "password" {
  type      = string
  sensitive = true
  default   = "p@ss-word"
}

locals {
  login = { user = "larder", password = var.password }
}
"#;

struct Run {
    exit: i32,
    out: String,
    err: String,
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.current_dir(directory).arg("console").args(arguments).env("NO_COLOR", "1").stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a console in a directory with this configuration, if any, until it has read all input.
fn console(configuration: Option<&str>, arguments: &[&str], input: &[u8]) -> Run {
    let directory = tempfile::tempdir().expect("a directory");
    if let Some(text) = configuration {
        std::fs::write(directory.path().join("main.hcl"), text).expect("written");
    }
    let mut child = command(directory.path(), arguments).spawn().expect("larder runs");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // A console that leaves early reads no more, which is not what these tests are about.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("written");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Run { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// What is printed for some lines, which must all be right.
#[track_caller]
fn check(configuration: Option<&str>, input: &str, expected: &str) {
    let run = console(configuration, &[], input.as_bytes());
    assert_eq!((run.exit, run.err.as_str(), run.out.as_str()), (0, "", expected), "{input}");
}

#[test]
fn heredocs_end_at_their_delimiter_alone_on_a_line_of_their_text() {
    for (text, value) in [
        // The grammar reads these two as one, up to the second end.
        ("<<E\nE\n  b = <<E\nx\nE\n", ""),
        ("<<-E\n  E\n  b = <<-E\n  x\n  E\n", ""),
        ("<<E\nE x\n E)\nE: y\n E \n", "E x\n E)\nE: y\n"),
        ("<<E\n${upper(<<E\nE\n)}x\nE\n", "x\n"),
        ("<<E\n${join(\",\", [\n\"E\"\n,\nlocal.E\n])}\nE\n", "E,e\n"),
        ("<<E\n${\"${\"}\"}\"}\nE\n", "}\n"),
        ("<<E\n\"${/*\nE\n*/ 1}\n# $${\nE\n", "\"1\n# ${\n"),
        ("<<E\n%{ if true }y%{ endif }\n\n${1e400 > 1}\nE\n", "y\n\ntrue\n"),
    ] {
        let configuration = format!("locals {{\n  a = {text}\n  E = \"e\"\n}}\n");
        let run = console(Some(&configuration), &["-json"], b"local.a\n");
        assert_eq!((run.exit, run.err.as_str()), (0, ""), "{text}");
        let answer: Value = serde_json::from_str(&run.out).expect("JSON");
        assert_eq!(answer["value"], value, "{text}");
    }
}

#[test]
fn a_template_that_its_heredoc_does_not_hold_is_an_error() {
    for (text, summary) in [
        ("<<E\n%{ if true }\nE\n  b = <<E\n%{ endif }\nE\n", "This heredoc is not complete"),
        ("<<E\n${1\nE\n  b = <<E\n}\nE\n", "This template sequence is not closed"),
        ("upper(<<E\nx\nE)\n", "This heredoc is not closed"),
    ] {
        let run = console(Some(&format!("locals {{\n  a = {text}\n}}\n")), &[], b"local.a\n");
        assert!(run.exit == 1 && run.err.contains(summary), "{text}: {}", run.err);
    }
}

#[test]
fn a_sign_may_have_a_comment_behind_it() {
    check(None, "-/* c */1\n- /* 5 */ /**/ 2.5e1\n1 -/* c */ 1\n", "-1\n-25\n0\n");
}

#[test]
fn all_expressions_have_terraforms_values_in_one_process() {
    let expressions = expressions();
    let lines: String = expressions.iter().map(|one| format!("{}\n", Value::from(one.expression.as_str()))).collect();
    let run = console(Some(CONTEXT), &["-json"], lines.as_bytes());
    assert_eq!((run.exit, run.err.as_str()), (1, ""), "there are wrong ones among them");
    let answers: Vec<_> = run.out.lines().collect();
    assert_eq!(answers.len(), expressions.len());
    compare(expressions.iter().zip(answers.iter().map(|line| got(line))));
}

fn got(line: &str) -> Got {
    // The value as text: its numbers have more digits than the library could hold.
    let value = line.strip_prefix("{\"value\":").and_then(|rest| rest.rsplit_once(",\"type\":")).map(|parts| parts.0);
    let rest = value.map_or_else(|| line.to_owned(), |value| line.replacen(value, "null", 1));
    let answer: Value = serde_json::from_str(&rest).unwrap_or_else(|error| panic!("{error}: {line}"));
    if let Some(problems) = answer["diagnostics"].as_array() {
        assert_eq!(answer["error"], problems[0]);
        let code = |problem: &Value| problem["code"].as_str().expect("a code").to_owned();
        return Got::Errors(problems.iter().map(code).collect());
    }
    Got::Value {
        json: value.expect("a value").to_owned(),
        ty: answer["type"].as_str().expect("a type").to_owned(),
        sensitive: answer["sensitive"] == true,
        hidden: answer["sensitive"].clone(),
    }
}

#[test]
fn a_program_gets_each_answer_before_it_sends_the_next_line() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), HOSTS).expect("written");
    let mut child = command(directory.path(), &["-json"]).spawn().expect("larder runs");
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut ask = |line: &str| {
        writeln!(stdin, "{line}").expect("taken");
        let mut answer = String::new();
        stdout.read_line(&mut answer).expect("answered");
        serde_json::from_str::<Value>(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?} to {line}"))
    };
    let table = [
        ("1 + 1", json!({ "value": 2, "type": "number" })),
        ("host.hv1.labels.rack", json!({ "value": "a", "type": "string" })),
        ("\"[\\n  1,\\n  2,\\n]\"", json!({ "value": [1, 2], "type": "tuple([number, number])" })),
        ("\"\\\"a\\\\nb\\\"\"", json!({ "value": "a\nb", "type": "string" })),
        ("host.hv1.facts.distribution", json!({ "value": null, "type": "dynamic", "unknown": true })),
        ("host.hv1.facts", json!({ "value": null, "type": "dynamic", "unknown": true })),
        ("var.password", json!({ "value": null, "type": "string", "sensitive": true })),
        ("nonsensitive(var.password)", json!({ "value": "p@ss-word", "type": "string" })),
        (
            "local.login",
            json!({
                "value": { "password": null, "user": "larder" },
                "type": "object({password: string, user: string})",
                "sensitive": { "password": true },
            }),
        ),
    ];
    for (line, answer) in table {
        assert_eq!(ask(line), answer, "{line}");
    }
    let storage = ask("image_storage.main");
    assert_eq!((&storage["value"]["owner"], &storage["unknown"]["owner"]), (&Value::Null, &Value::Bool(true)));
    assert_eq!(storage["value"]["hosts"][0]["address"], "192.0.2.11");
    let error = ask("host.hv1.adress");
    for key in ["code", "summary", "detail", "range"] {
        assert!(!error["error"][key].is_null(), "{error:#}");
    }
    assert!(error["error"]["detail"].as_str().is_some_and(|detail| detail.contains("address")), "{error:#}");
    assert_eq!(ask("\"hello\"")["error"]["code"], "invalid-reference");
    assert_eq!(ask("(")["error"]["code"], "syntax", "a line of JSON mode is whole");
    assert_eq!(ask("exit")["error"]["code"], "invalid-reference", "a program ends the input instead");
    assert_eq!(ask("1/0")["error"]["code"], "infinite-number");
    drop(stdin);
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

#[test]
fn ten_thousand_lines_are_evaluated_with_the_configuration_read_once() {
    let started = std::time::Instant::now();
    let secret = "variable \"seen\" {\n  default = 1\n}\nlocals {\n  once = secret_command([\"sh\", \"-c\", \"echo x >>seen; cat seen\"])\n}\n";
    let lines: String = (0..10_000).map(|n| format!("{n} + var.seen + 0 * length(local.once)\n")).collect();
    let run = console(Some(secret), &["-json"], format!("{lines}nonsensitive(local.once)\n").as_bytes());
    assert_eq!((run.exit, run.err.as_str()), (0, ""));
    assert_eq!(run.out.lines().count(), 10_001);
    assert!(run.out.ends_with("{\"value\":\"x\",\"type\":\"string\"}\n"), "the program ran more than once");
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn a_pipe_gets_values_as_terraform_prints_them() {
    check(None, "upper(\"a\")\n\n   \n[for n in range(2) : n]\n", "\"A\"\n[\n  0,\n  1,\n]\n");
    check(None, "{ a = 1 }\n", "{\n  \"a\" = 1\n}\n");
    check(None, "1 + 1", "2\n");
    check(None, "type(1)\n", "number\n");
    check(None, "1 # two\n", "1\n");
    // Open brackets and heredocs go on in the next line.
    check(None, "[\n  1,\n\n  (\n  2)]\nmax(\n3)\n", "[\n  1,\n  2,\n]\n3\n");
    check(None, "upper(<<EOT\na\nEOT\n)\n", "\"A\\n\"\n");
    check(None, "1\r\n2\r\n", "1\n2\n");
    check(None, "1\nexit\n2\n", "1\n");
    check(Some(HOSTS), "var.password\n", "(sensitive value)\n");
    check(Some(HOSTS), "local.login\n", "{\n  \"password\" = (sensitive value)\n  \"user\" = \"larder\"\n}\n");
    check(Some(HOSTS), "host.hv1.facts\n", "(known after hosts are asked)\n");
    // Within a resource, others are named as they can be typed.
    check(
        Some(HOSTS),
        "image_storage.main\n",
        "{\n  \"group\" = tostring(null)\n  \"hosts\" = tolist([\n    host.hv1,\n  ])\n  \"mode\" = tostring(null)\n  \"owner\" = (known after hosts are asked)\n  \"root\" = \"/var/lib/larder/storages/main\"\n}\n",
    );
}

#[test]
fn an_error_does_not_end_the_input_and_is_not_forgotten() {
    let run = console(Some(HOSTS), &[], b"1\nvar.nope\n2\n\"\xff\"\n3\n)\n(\n4");
    assert_eq!(run.exit, 1);
    assert_eq!(run.out, "1\n2\n3\n");
    for words in ["no variable `nope`", "not UTF-8", "has no partner", "is not closed"] {
        assert!(run.err.contains(words), "no {words:?} in {}", run.err);
    }
    assert!(!run.err.contains("p@ss-word"));
    let run = console(Some(HOSTS), &[], b"var.password + 1\n[for x in [var.password] : x + 1]\n");
    assert_eq!((run.exit, run.out.as_str()), (1, ""));
    assert!(run.err.contains("sensitive") && !run.err.contains("p@ss"), "{}", run.err);
}

#[test]
fn a_configuration_with_errors_is_of_use_as_far_as_it_goes() {
    let broken = "locals {\n  good = 1\n  bad  = upper(1, 2)\n  from = local.bad\n}\nvariable \"missing\" {\n}\n";
    for arguments in [&[][..], &["-json"]] {
        let run = console(Some(broken), arguments, b"local.good\nlocal.from\nvar.missing\n2\n");
        assert_eq!(run.exit, 1);
        assert!(run.err.contains("warning[missing-variable]"), "{}", run.err);
        match arguments.is_empty() {
            true => assert_eq!(run.err.matches("error[in-error]").count(), 2, "{}", run.err),
            false => assert_eq!(
                run.out.matches("{\"error\":{\"severity\":\"error\",\"code\":\"in-error\"").count(),
                2,
                "{}",
                run.out
            ),
        }
    }
    // What cannot be read has no names, and nobody may say that one is not declared.
    let run = console(Some("locals {\n  y = 3\n"), &[], b"1 + 1\nlocal.x\nvar.x\nhost.x\n[for x in [1] : x]\n");
    assert_eq!((run.exit, run.out.as_str()), (1, "2\n[\n  1,\n]\n"));
    assert!(run.err.contains("warning[syntax]"), "{}", run.err);
    assert_eq!(run.err.matches("error[in-error]").count(), 3, "{}", run.err);
}

#[test]
fn variables_are_given_as_elsewhere() {
    let declared = "variable \"size\" {\n  type = number\n}\n";
    let run = console(Some(declared), &["-var", "size=3"], b"var.size + 1\n");
    assert_eq!((run.exit, run.out.as_str()), (0, "4\n"));
    for wrong in [&["-var", "nonsense"][..], &["-var-file", "nowhere.vars.hcl"], &["-chdir=nowhere"]] {
        let run = console(Some(declared), wrong, b"1\n");
        assert_eq!((run.exit, run.out.as_str()), (1, ""), "{wrong:?}");
        let run = console(Some(declared), &[wrong, &["-json"]].concat(), b"1\n");
        let answer: Value = serde_json::from_str(&run.out).expect("JSON");
        assert!(run.exit == 1 && answer["diagnostics"][0]["code"].is_string(), "{wrong:?}: {}", run.out);
        assert_eq!(run.out.lines().count(), 1, "{}", run.out);
    }
}

#[test]
fn lines_of_any_bytes_have_one_answer_each() {
    let mut input = b"\xff\xfe\n\0\n\"\\ud800\"\n{\"a\": 1}\nnull\n\"\"\n\t \n".to_vec();
    input.extend_from_slice(&vec![b'('; 1 << 20]);
    input.extend_from_slice(b"\n\"");
    input.extend_from_slice(&vec![b'x'; 17 << 20]);
    input.extend_from_slice(b"\"\n1\n");
    let run = console(None, &["-json"], &input);
    let answers: Vec<Value> =
        run.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
    let seen: Vec<_> = answers
        .iter()
        .map(|answer| answer["error"]["code"].as_str().unwrap_or_else(|| answer["type"].as_str().expect("a type")))
        .collect();
    assert_eq!(
        seen,
        [
            "invalid-character",
            "syntax",
            "syntax",
            "object({a: number})",
            "dynamic",
            "syntax",
            "syntax",
            "too-large",
            "number"
        ]
    );
    assert_eq!((run.exit, run.err.as_str()), (1, ""));
}

#[test]
fn a_terminal_has_an_editor_that_remembers_nothing_on_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), HOSTS).expect("written");
    // script(1) runs it on a terminal of its own.
    let mut child = Command::new("script")
        .args(["-qec", concat!(env!("CARGO_BIN_EXE_larder"), " console"), "/dev/null"])
        .current_dir(directory.path())
        .env("HOME", directory.path())
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1) runs");
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let (mut said, mut seen) = (String::new(), 0);
    // What is typed before there is a prompt would be lost.
    let mut until = |words: &str| {
        let mut bytes = [0; 4096];
        loop {
            if let Some(at) = said[seen..].find(words) {
                seen += at + words.len();
                return;
            }
            let read = stdout.read(&mut bytes).expect("read");
            assert!(read > 0, "it ended before {words:?}: {said}");
            said.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    };
    // With nothing behind it.
    const PROMPT: &str = "> \r";
    until(PROMPT);
    // A completed name, a bracket that goes on, a line taken back, an error, and the way out.
    for (typed, shown) in [
        ("host.h\t.addr\t\r", "\"192.0.2.11\""),
        ("[\"x\",\rupper(\"y\")]\r", "  \"Y\","),
        ("nonsense(\x03", "\r"),
        ("var.nope\r", "no variable `nope`"),
    ] {
        stdin.write_all(typed.as_bytes()).expect("taken");
        until(shown);
        until(PROMPT);
    }
    stdin.write_all(b"exit\r").expect("taken");
    assert!(child.wait().expect("it ends").success());
    let left: Vec<_> = std::fs::read_dir(directory.path()).expect("a directory").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_try_waits_for_facts_that_a_conversion_looks_at() {
    let main = format!(
        "{HOSTS}locals {{\n  x = {{ u = host.hv1.facts.hostname, b = 1 }}\n  t = [host.hv1.facts.hostname, 1]\n}}\n"
    );
    for (expression, shown) in [
        // They may fail yet.
        ("try(keys(convert(local.x, map(number))), [\"no\"])", "(known after hosts are asked)"),
        ("can(keys(convert(local.x, map(number))))", "(known after hosts are asked)"),
        ("can(length(convert(local.t, list(number))))", "(known after hosts are asked)"),
        ("can(keys(true ? local.x : tomap({ a = 1 })))", "(known after hosts are asked)"),
        // What is not looked at does not matter.
        ("try(keys(local.x), [\"no\"])", "[\"b\", \"u\"]"),
        ("can(length(convert(local.t, any)))", "true"),
        ("try(local.x.b, 2)", "1"),
    ] {
        let run = console(Some(&main), &[], format!("{expression}\n").as_bytes());
        assert_eq!(
            run.out.split_whitespace().collect::<Vec<_>>().join(" ").replace("[ ", "[").replace(", ]", "]"),
            shown,
            "{expression}"
        );
    }
}

#[test]
fn what_refers_to_something_in_error_does_not_wait_for_facts() {
    let main = format!(
        "{HOSTS}external_volume \"t\" {{\n  hosts = [host.hv1]\n  mount_point = \"/srv/t\"\n  tmpfs {{\n    size = \"1,5G\"\n  }}\n}}\n\
         locals {{\n  x = external_volume.t.tmpfs.size\n}}\n"
    );
    for expression in ["external_volume.t.tmpfs.size", "local.x", "[1, local.x]", "can(local.x)", "external_volume.t"] {
        let run = console(Some(&main), &[], format!("{expression}\n").as_bytes());
        assert_eq!((run.exit, run.out.as_str()), (1, ""), "{expression}: {}", run.err);
        assert!(run.err.contains("error[in-error]"), "{expression}: {}", run.err);
    }
    for (expression, shown) in [
        ("external_volume.t.mount_point", "\"/srv/t\"\n"),
        ("host.hv1.facts.hostname", "(known after hosts are asked)\n"),
    ] {
        let run = console(Some(&main), &[], format!("{expression}\n").as_bytes());
        assert_eq!((run.exit, run.out.as_str()), (0, shown), "{expression}: {}", run.err);
    }
}
