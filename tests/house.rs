//! The borders of the house: which module may use which, and which may touch the machine. What only tests do is not looked at.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use larder::kinds;

/// From left to right; each uses only what stands left of it. The foundation for all that is pure comes first, what speaks to
/// people last.
const ORDER: [&str; 15] = [
    "model",
    "kinds",
    "state",
    "config",
    "install",
    "transport",
    "probe",
    "plan",
    "discover",
    "apply",
    "lab",
    "view",
    "cli",
    "commands",
    "main",
];

/// The code of each file below src, by path, without what is compiled for tests only.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    let mut texts = BTreeMap::new();
    let mut for_tests = BTreeSet::new();
    for path in paths {
        let name = path.strip_prefix(&root).expect("below it").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a source file");
        let (code, modules) = without_tests(&text);
        // `mod x;` of a.rs or a/mod.rs is a/x.rs.
        let directory = name.trim_end_matches("mod.rs").trim_end_matches(".rs").trim_end_matches('/').to_owned();
        for_tests.extend(modules.iter().map(|module| format!("{directory}/{module}.rs")));
        texts.insert(name, code);
    }
    texts.retain(|name, _| !for_tests.contains(name));
    texts
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The lines outside of items behind `#[cfg(test)]` and outside of comments, and the modules in files of their own that are
/// behind it.
fn without_tests(text: &str) -> (String, Vec<String>) {
    let mut code = String::new();
    let mut modules = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indentation = &line[..line.len() - line.trim_start().len()];
        if line.trim() == "#[cfg(test)]" {
            let item = lines.by_ref().find(|line| !line.trim_start().starts_with("#[")).unwrap_or_default();
            if let Some(module) = item.trim().strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
                modules.push(module.to_owned());
            }
            if !item.trim_end().ends_with([';', '}']) {
                let end = format!("{indentation}}}");
                lines.by_ref().find(|line| *line == end);
            }
            continue;
        }
        if !line.trim_start().starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    (code, modules)
}

fn module_of(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

/// The words behind each `crate::` of a text, through braces as well: `use crate::{model, plan::Plan}`.
fn used(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for root in ["crate::", "larder::"] {
        for (at, _) in text.match_indices(root) {
            // `self_crate::x` is another word.
            if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &text[at + root.len()..];
            match rest.strip_prefix('{') {
                None => drop(all.insert(word(rest))),
                Some(inside) => {
                    let mut depth = 0;
                    let mut start = true;
                    for (offset, c) in inside.char_indices() {
                        match c {
                            '{' => depth += 1,
                            '}' if depth == 0 => break,
                            '}' => depth -= 1,
                            ',' if depth == 0 => start = true,
                            c if c.is_alphabetic() && start => {
                                all.insert(word(&inside[offset..]));
                                start = false;
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
    }
    all
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn each_module_uses_only_what_stands_left_of_it() {
    let place = |module: &str| ORDER.iter().position(|one| *one == module);
    let mut wrong = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| *file != "lib.rs") {
        let module = module_of(file);
        let own = place(module).unwrap_or_else(|| panic!("{module} has no place in the order: give it one"));
        for other in used(text) {
            match place(&other) {
                Some(at) if at <= own => {}
                Some(_) => wrong.push(format!("{file}: {module} uses {other}, which stands right of it")),
                None => wrong.push(format!("{file}: `crate::{other}` is no module of the order")),
            }
        }
        if text.contains("super::super::super::") {
            wrong.push(format!("{file}: a path that long upwards is hard to follow: write crate::"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What touches the machine, and the files that may.
const EDGES: [(&str, &[&str], &[&str]); 6] = [
    (
        "files of the workstation",
        &["std::fs", "tokio::fs", "fs::"],
        &[
            "state/file.rs",
            "state/local.rs",
            "config/",
            "install.rs",
            "transport/ssh.rs",
            "apply/journal.rs",
            "apply/upload.rs",
            "lab/",
            "commands/",
        ],
    ),
    (
        "processes",
        &["std::process", "process::Command", "Command::new(\"sh\")"],
        &["config/functions/secret.rs", "install.rs", "transport/local.rs", "lab/", "commands/", "main.rs"],
    ),
    ("printing", &["println!", "print!(", "eprintln!", "eprint!(", "dbg!"], &[]),
    ("the terminal", &["io::stdout", "io::stderr", "io::stdin"], &["view/progress.rs", "commands/", "main.rs"]),
    (
        "the time",
        &["SystemTime", "Instant::now", "Timestamp::now", "Zoned::now"],
        &["state/local.rs", "transport/", "apply/mod.rs", "lab/", "view/progress.rs", "commands/"],
    ),
    (
        "the environment",
        &["env::var", "env::args", "env::current_dir", "temp_dir()"],
        &["transport/ssh.rs", "lab/", "commands/", "main.rs"],
    ),
];

#[test]
fn only_the_edges_touch_the_machine() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (what, words, allowed) in EDGES {
            if allowed.iter().any(|one| file == *one || (one.ends_with('/') && file.starts_with(one))) {
                continue;
            }
            let found = text.lines().filter(|line| words.iter().any(|word| has_word(line, word)));
            wrong.extend(found.map(|line| format!("{file}: {what}: {}", line.trim())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether a line has the text where a word may begin.
fn has_word(line: &str, text: &str) -> bool {
    line.match_indices(text).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn a_kind_is_known_by_name_only_where_it_is_defined() {
    let names: Vec<&str> = kinds::table().iter().map(|kind| kind.name()).collect();
    assert!(names.contains(&"image") && names.contains(&"external_volume"));
    let mut wrong = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| !file.starts_with("kinds/")) {
        for name in &names {
            let quoted = format!("\"{name}\"");
            let decides = |line: &str| {
                [
                    format!("== {quoted}"),
                    format!("!= {quoted}"),
                    format!("{quoted} =>"),
                    format!("{quoted} |"),
                    format!("| {quoted}"),
                ]
                .iter()
                .any(|text| line.contains(text.as_str()))
            };
            // A plain English word may stand for something else than the kind; a name of two words is nothing else.
            let found =
                text.lines().filter(|line| if name.contains('_') { line.contains(&quoted) } else { decides(line) });
            wrong.extend(found.map(|line| format!("{file}: {}", line.trim())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_is_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    let silent: Vec<_> = paths
        .iter()
        .filter(|path| !std::fs::read_to_string(path).expect("a source file").starts_with("//!"))
        .filter(|path| !path.ends_with("tests.rs"))
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn the_measures_of_this_file_find_what_they_are_for() {
    let (code, modules) =
        without_tests("a\n#[cfg(test)]\nmod sample;\nb // c\n// d\n#[cfg(test)]\nmod tests {\n    x\n}\ne\n");
    assert_eq!((code.as_str(), modules.as_slice()), ("a\nb // c\ne\n", &["sample".to_owned()][..]));
    let words = used("use crate::{model::{A, B}, plan};\ncrate::view::x();\nother_crate::y()");
    assert_eq!(words.iter().map(String::as_str).collect::<Vec<_>>(), ["model", "plan", "view"]);
    assert!(has_word("x = println!()", "println!") && !has_word("eprintln!()", "println!"));
}
