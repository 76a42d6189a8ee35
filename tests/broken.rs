//! A repository with a mistake on many of its lines, in every file and of every kind: `larder validate` finds all of them in
//! one run, each on its line, and says nothing that only follows from another one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The code that belongs to each line of a directory on which something is wrong: its last comment says `# mistake: CODE`.
fn marked(root: &Path, directory: &Path) -> BTreeMap<(String, u64), String> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(marked(root, &path));
            continue;
        }
        let name = path.strip_prefix(root).expect("below it").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a text");
        for (number, line) in (1..).zip(text.lines()) {
            if let Some((_, code)) = line.rsplit_once("# mistake: ") {
                all.insert((name.clone(), number), code.trim().to_owned());
            }
        }
    }
    all
}

/// What `larder validate -json` finds there.
fn diagnostics(directory: &Path) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.env_clear().current_dir(directory).args(["validate", "-json"]).stdin(Stdio::null());
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    json["diagnostics"].as_array().expect("a list").clone()
}

#[test]
fn every_mistake_is_found_in_one_run_and_nothing_else() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut left = marked(&directory, &directory);
    assert!(left.len() >= 70, "{} mistakes", left.len());
    let mut wrong = Vec::new();
    for found in diagnostics(&directory) {
        let range = &found["range"];
        let line = range["start"]["line"].as_u64().unwrap_or(0);
        let file = range["file"].as_str().unwrap_or_default().to_owned();
        match left.remove(&(file, line)) {
            Some(code) if code == found["code"] => {}
            Some(code) => wrong.push(format!("not {code}, but {found:#}")),
            None => wrong.push(format!("too much: {found:#}")),
        }
    }
    wrong.extend(left.into_iter().map(|((file, line), code)| format!("{file}:{line}: {code} is not found")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_attribute_of_a_file_of_values_stands_once() {
    for name in ["larder.vars.hcl", "x.auto.vars.hcl"] {
        for values in ["a = 1\nb = 1\na = 2\n", "a = 1\nb = [\na = 2\n"] {
            let directory = tempfile::tempdir().expect("a directory");
            std::fs::write(directory.path().join("main.hcl"), "variable \"a\" {\n}\nvariable \"b\" {\n}\n")
                .expect("written");
            std::fs::write(directory.path().join(name), values).expect("written");
            let found = diagnostics(directory.path());
            let twice: Vec<_> = found.iter().filter(|one| one["code"] == "duplicate-attribute").collect();
            assert_eq!(twice.len(), 1, "{found:#?}");
            assert_eq!((&twice[0]["range"]["file"], &twice[0]["range"]["start"]["line"]), (&name.into(), &3.into()));
        }
    }
}

#[test]
fn where_reading_ends_after_many_mistakes_is_said_once_in_a_file() {
    let attributes: String = (0..80).map(|number| format!("  a{number} = = 1\n")).collect();
    let texts = "  \"x,\n".repeat(80);
    for broken in [attributes.clone(), format!("host \"a\" {{\n{attributes}}}\n"), format!("a = [\n{texts}]\n")] {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("main.hcl"), format!("{broken}b = 1\n")).expect("written");
        let found = diagnostics(directory.path());
        let ends: Vec<_> = found.iter().filter(|one| one["summary"] == "From here on this file was not read").collect();
        assert_eq!((ends.len(), found.len()), (1, 51), "{found:#?}");
        assert!(ends[0]["range"]["start"]["line"].as_u64() > Some(50), "{found:#?}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_without_a_wait() {
    for name in ["b.hcl", "larder.vars.hcl", "x.auto.vars.hcl"] {
        let place = tempfile::tempdir().expect("a directory");
        std::fs::write(place.path().join("main.hcl"), "locals {\n  x = 1\n}\n").expect("written");
        let path = place.path().join(name);
        let found =
            || diagnostics(place.path()).into_iter().map(|found| format!("{} {}", found["summary"], found["detail"]));
        let check = |words: &str| {
            let found: Vec<_> = found().collect();
            assert!(found.len() == 1 && found[0].contains(name) && found[0].contains(words), "{name}: {found:#?}");
        };
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
        check("not a regular file");
        std::fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("linked");
        check("not a regular file");
        std::fs::remove_file(&path).expect("removed");
        std::fs::File::create(&path).and_then(|file| file.set_len(9 << 20)).expect("a large file");
        check("up to 8 MiB");
    }
}
