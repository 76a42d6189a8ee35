//! `docs/codes.md` is whole and true: it has every code that the sources can give and no other, and its examples are refused
//! with just that code, and are not when they are mended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use larder::model::HazardCode;
use larder::model::hazard::Acceptance;
use larder::view::explain::{self, DOCUMENT, Entry, Sort};
use regex::Regex;
use serde_json::Value;

/// The code of each source file, without what is compiled for tests only and without comments.
fn sources() -> BTreeMap<String, String> {
    fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => collect(&path, paths),
                false => paths.push(path),
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    let is_code =
        |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs");
    let texts = paths.iter().filter(is_code).map(|path| {
        let name = path.strip_prefix(&root).expect("below it").to_string_lossy().into_owned();
        (name, without_tests(&std::fs::read_to_string(path).expect("a source file")))
    });
    texts.collect()
}

/// The text up to its module of tests, which stands at the end, without lines of comments.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The codes that are handed to whatever takes one, with the file: the first text in a call that looks like a code. Functions
/// and closures that take one have a parameter `code`; they are looked for in their own module.
fn given(sources: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let function = Regex::new(r"fn (\w+)(?:<[^>]*>)?\([^)]*\bcode: &").expect("a pattern");
    let closure = Regex::new(r"let (?:mut )?(\w+) = \|[^|]*\bcode: &").expect("a pattern");
    let constant = Regex::new(r#"(?:const CODE: &str = |\bcode: |Row\(\s*\w+,\s*)"([a-z-]+)""#).expect("a pattern");
    // `("code", summary, detail)`, which something hands on.
    let tuple = Regex::new(r#"\W\(\s*"([a-z]+(?:-[a-z]+)+)"\s*,"#).expect("a pattern");
    let module = |file: &str| file.split('/').next().unwrap_or(file).to_owned();
    let mut takers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in sources {
        let functions = function.captures_iter(text).map(|found| found[1].to_owned());
        takers.entry(module(file)).or_default().extend(functions.filter(|name| name != "error" && name != "warning"));
        let closures = closure.captures_iter(text).map(|found| found[1].to_owned());
        takers.entry(file.clone()).or_default().extend(closures);
    }
    let mut codes = BTreeMap::new();
    for (file, text) in sources {
        let mut names = BTreeSet::from(["Problem::error", "Problem::warning"].map(str::to_owned));
        names.extend(takers[&module(file)].iter().chain(&takers[file]).cloned());
        for name in names {
            for (at, _) in text.match_indices(&format!("{name}(")) {
                let before = text[..at].chars().next_back();
                let is_call = !before.is_some_and(|c| c.is_alphanumeric() || c == '_') && !text[..at].ends_with("fn ");
                let code = first_code(&text[at + name.len() + 1..]).filter(|_| is_call);
                codes.extend(code.map(|code| (code.to_owned(), file.clone())));
            }
        }
        codes.extend(constant.captures_iter(text).map(|found| (found[1].to_owned(), file.clone())));
        if module(file) != "lab" && module(file) != "kinds" {
            codes.extend(tuple.captures_iter(text).map(|found| (found[1].to_owned(), file.clone())));
        }
    }
    codes
}

/// The first text among the arguments of a call, not within brackets of its own, that looks like a code.
fn first_code(arguments: &str) -> Option<&str> {
    let bytes = arguments.as_bytes();
    let (mut at, mut depth) = (0, 1);
    while at < bytes.len() && depth > 0 {
        match bytes[at] {
            b'"' => {
                let start = at + 1;
                at = start;
                while bytes.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                let text = arguments.get(start..at)?;
                let is_code = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
                if depth == 1 && is_code {
                    return Some(text);
                }
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

#[test]
fn every_code_of_the_sources_is_in_the_catalogue_and_the_other_way_round() {
    let sources = sources();
    let given = given(&sources);
    assert!(given.len() > 150, "{} codes", given.len());
    let known: BTreeSet<&str> = explain::entries().iter().map(|entry| entry.code.as_str()).collect();
    let missing: Vec<_> = given.iter().filter(|(code, _)| !known.contains(code.as_str())).collect();
    assert!(missing.is_empty(), "add sections to docs/codes.md: {missing:#?}");
    let gone: Vec<_> =
        known.iter().filter(|code| !sources.values().any(|text| text.contains(&format!("\"{code}\"")))).collect();
    assert!(gone.is_empty(), "take these sections out of docs/codes.md: {gone:#?}");
    let hazards: Vec<_> = HazardCode::all().filter(|code| !known.contains(code.as_str())).collect();
    assert!(hazards.is_empty(), "{hazards:?}");
}

/// Calls that make a problem with an empty text as its cure.
fn without_cure(text: &str) -> Vec<&str> {
    let empty = Regex::new(r#",\s*""\s*,?\s*\)"#).expect("a pattern");
    let mut calls = Vec::new();
    for start in ["Problem::error(", "Problem::warning("] {
        for (at, _) in text.match_indices(start) {
            let rest = text[at + start.len()..].split("Problem::").next().unwrap_or_default();
            let call = rest.split(';').next().unwrap_or_default();
            calls.extend(empty.is_match(call).then_some(call));
        }
    }
    calls
}

#[test]
fn every_problem_has_a_cure() {
    for (file, text) in sources() {
        assert_eq!(without_cure(&text), [""; 0], "{file}");
    }
    assert_eq!(without_cure("Problem::error(\"a\", b(), \"\")").len(), 1);
    assert_eq!(without_cure("Problem::warning(\"a\", b(\"\"), \"Mend.\"); f(\"\", \"\")"), [""; 0]);
}

#[test]
fn the_scan_finds_what_it_is_for() {
    let text = |text: &str| BTreeMap::from([("a/b.rs".to_owned(), text.to_owned())]);
    let found = |code: &str| given(&text(code)).into_keys().collect::<Vec<_>>();
    assert_eq!(found("x(Problem::error(\n  \"a-b\", format!(\"c-d\"))"), ["a-b"]);
    assert_eq!(
        found("fn report(&self, code: &str, more: T) {}\nself.report(span(\"no\"), \"cycle\", \"Not this\")"),
        ["cycle"]
    );
    assert_eq!(found("let mut refuse = |code: &str, x| y;\nrefuse(\"a\", b); other_refuse(\"c\", d)"), ["a"]);
    assert_eq!(found("const CODE: &str = \"a-b\";\nUnclosed { code: \"syntax\" }"), ["a-b", "syntax"]);
    assert_eq!(without_tests("a\n// b\n#[cfg(test)]\nmod tests {\nc"), "a\n");
}

#[test]
fn each_section_has_its_parts_and_its_place() {
    let entries = explain::entries();
    let codes: Vec<_> = entries.iter().map(|entry| &entry.code).collect();
    assert!(codes.is_sorted(), "sort the sections of docs/codes.md");
    let mut wrong = Vec::new();
    for entry in entries {
        wrong.extend(faults(entry).into_iter().map(|why| format!("{}: {why}", entry.code)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len(), "each once");
}

fn faults(entry: &Entry) -> Vec<&'static str> {
    let count = |sort| entry.examples.iter().filter(|example| example.sort == sort).count();
    let (error, cured, output) = (count(Sort::Error), count(Sort::Cured), count(Sort::Output));
    let sentences = entry.meaning.matches(". ").count() + 1;
    let is_sentence = |text: &str| text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase() || c == '`');
    let printed = entry.examples.iter().find(|example| example.sort == Sort::Output);
    let head = match entry.acceptance() {
        Some(_) => format!("! {}  ", entry.code),
        None => format!("[{}]: ", entry.code),
    };
    let accept = entry.accept.as_deref().unwrap_or_default();
    let says_how = match entry.acceptance() {
        None => entry.accept.is_none(),
        Some(Acceptance::Never) => accept == "never.",
        Some(Acceptance::NotNeeded) => accept == "not needed.",
        Some(Acceptance::Possible) => {
            accept.contains("-accept ") && accept.contains(&format!("accept = [\"{}\"]", entry.code))
        }
    };
    let table = [
        (is_sentence(&entry.meaning) && sentences <= 3, "it says what it means in one to three sentences"),
        (entry.in_short().chars().count() <= 125, "its first sentence is short"),
        (!entry.why.is_empty(), "it says why (`Why: `)"),
        (!entry.mend.is_empty(), "it says how to mend it (`Mend: `)"),
        ((error > 0) == (cured > 0), "what is refused is also mended"),
        (error + output > 0, "it has an example"),
        (printed.is_none_or(|example| example.text.contains(&head)), "what is printed has the code"),
        (says_how, "it says whether and how it is accepted (`Accept: `), if it is a hazard"),
    ];
    table.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what).collect()
}

/// The codes that the built program gives of a configuration: those of errors and all.
fn validated(entry: &Entry, sort: Sort) -> (Vec<String>, Vec<String>) {
    let directory = tempfile::tempdir().expect("a directory");
    for example in entry.examples.iter().filter(|example| example.sort == sort) {
        let path = directory.path().join(&example.file);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(path, &example.text).expect("a file");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.env_clear().current_dir(directory.path()).args(["validate", "-json"]).stdin(Stdio::null());
    let output = command.output().expect("the binary runs");
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let codes = |only_errors: bool| {
        let all = json["diagnostics"].as_array().expect("a list").iter();
        let wanted = all.filter(|one| !only_errors || one["severity"] == "error");
        wanted.map(|one| one["code"].as_str().expect("a text").to_owned()).collect()
    };
    (codes(true), codes(false))
}

#[test]
fn each_example_is_refused_with_its_code_and_mended_it_is_not() {
    let entries = explain::entries();
    let mut wrong = Vec::new();
    let with_examples = entries.iter().filter(|entry| entry.examples.iter().any(|example| example.sort == Sort::Error));
    for entry in with_examples {
        let (errors, all) = validated(entry, Sort::Error);
        if !all.contains(&entry.code) || errors.iter().any(|code| *code != entry.code) {
            wrong.push(format!("{}: the example gives {all:?}", entry.code));
        }
        let (errors, all) = validated(entry, Sort::Cured);
        if !errors.is_empty() || all.contains(&entry.code) {
            wrong.push(format!("{}: mended, it gives {all:?}", entry.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn larder(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.env_clear().args(arguments).stdin(Stdio::null());
    let output = command.output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

#[test]
fn a_code_is_explained_listed_and_found_when_it_is_misspelt() {
    let (exit, out, _) = larder(&["explain", "hides-data"]);
    assert_eq!(exit, 0);
    assert!(out.starts_with("hides-data\nSomething would be mounted"), "{out}");
    assert!(out.contains("\nWhy: ") && out.contains("\nMend: ") && out.contains("\nAccept: "), "{out}");
    assert_eq!(larder(&["explain", "error[hides-data]"]).1, out);
    let (exit, out, _) = larder(&["explain"]);
    assert_eq!(exit, 0);
    let listed = explain::entries().iter().filter(|entry| out.contains(&format!("{} ", entry.code))).count();
    assert_eq!(listed, explain::entries().len());
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
    let (exit, _, err) = larder(&["explain", "hide-data"]);
    assert_eq!(exit, 3);
    assert!(err.contains("Did you mean hides-data?"), "{err}");
    let (exit, out, _) = larder(&["explain", "invalid-size", "-json"]);
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((exit, &json["code"]), (0, &Value::from("invalid-size")));
    assert!(json["error"]["main.hcl"].is_string() && json["cured"]["main.hcl"].is_string(), "{json:#}");
    let (_, out, _) = larder(&["explain", "-json"]);
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(explain::entries().len()));
    assert!(!DOCUMENT.contains('\t'));
}

#[test]
fn problems_end_with_one_line_that_says_where_more_stands() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = |text: &str| {
        std::fs::write(directory.path().join("main.hcl"), text).expect("a file");
        larder(&["-chdir", &directory.path().to_string_lossy(), "validate"]).2
    };
    let one = run("host \"a\" {\n  adress = \"x\"\n  prot = 1\n}\n");
    assert!(one.ends_with("\n\nFor more: larder explain unknown-attribute\n"), "{one}");
    let several = run("host \"a\" {\n  adress = \"x\"\n  port = \"y\"\n}\n");
    assert!(several.ends_with("\n\nFor more: larder explain CODE (unknown-attribute, wrong-type)\n"), "{several}");
}
