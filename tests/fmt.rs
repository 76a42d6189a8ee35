//! `larder fmt` as people, editors and pipelines meet it: what it prints, what it writes, what it leaves alone. And all HCL
//! of this repository is in the layout that it makes.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::Run;

const LOOSE: &str = "host \"a\" {\naddress=\"x\" # c\n}\n";
const NEAT: &str = "host \"a\" {\n  address = \"x\" # c\n}\n";
const WRONG: &str = "host \"a\" {\n  address = [\n}\n";

/// A directory with these files.
fn place(files: &[(&str, &str)]) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = place.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    place
}

fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).expect("a file")
}

fn larder(directory: &Path, arguments: &[&str], input: &[u8]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.current_dir(directory).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    // Who does not read its input may be gone already.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let output = child.wait_with_output().expect("ended");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Run { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn files_of_the_directory_are_written_and_named() {
    let place = place(&[
        ("b.hcl", LOOSE),
        ("a.hcl", LOOSE),
        ("neat.hcl", NEAT),
        ("x.vars.hcl", "a=1\n"),
        ("x.test.hcl", "run \"a\"{}\n"),
        (".hidden.hcl", LOOSE),
        ("#left.hcl", LOOSE),
        ("other.tf", LOOSE),
        ("sub/c.hcl", LOOSE),
        ("name.hcl/d.hcl", LOOSE),
    ]);
    let run = larder(place.path(), &["fmt"], b"").expect(0);
    assert_eq!((run.out.as_str(), run.err.as_str()), ("a.hcl\nb.hcl\nx.test.hcl\nx.vars.hcl\n", ""));
    for (name, wanted) in [
        ("a.hcl", NEAT),
        ("b.hcl", NEAT),
        ("x.vars.hcl", "a = 1\n"),
        (".hidden.hcl", LOOSE),
        ("#left.hcl", LOOSE),
        ("other.tf", LOOSE),
        ("sub/c.hcl", LOOSE),
        ("name.hcl/d.hcl", LOOSE),
    ] {
        assert_eq!(text(place.path().join(name)), wanted, "{name}");
    }
    assert_eq!(larder(place.path(), &["fmt"], b"").expect(0).out, "");
}

#[test]
fn directories_below_follow_on_demand_but_not_hidden_ones_and_not_through_links() {
    let place = place(&[
        ("a.hcl", LOOSE),
        ("sub/deep/b.hcl", LOOSE),
        ("sub/c.hcl", LOOSE),
        (".larder/d.hcl", LOOSE),
        (".git/e.hcl", LOOSE),
        ("elsewhere/f.hcl", LOOSE),
    ]);
    symlink("..", place.path().join("sub/deep/up")).expect("a link");
    let run = larder(place.path(), &["fmt", "-recursive", "-check"], b"").expect(2);
    assert_eq!(run.out, "a.hcl\nelsewhere/f.hcl\nsub/c.hcl\nsub/deep/b.hcl\n");
    let run = larder(place.path(), &["fmt", "-recursive", "sub/"], b"").expect(0);
    assert_eq!(run.out, "sub/c.hcl\nsub/deep/b.hcl\n");
    assert_eq!(larder(place.path(), &["-chdir=sub", "fmt", "-check", "../a.hcl"], b"").expect(2).out, "../a.hcl\n");
    assert_eq!(larder(place.path(), &["-chdir", "elsewhere", "fmt"], b"").expect(0).out, "f.hcl\n");
    assert_eq!(larder(place.path(), &["fmt", ".larder", "./a.hcl"], b"").expect(0).out, ".larder/d.hcl\na.hcl\n");
    assert_eq!(text(place.path().join(".git/e.hcl")), LOOSE);
}

#[test]
fn a_check_writes_nothing_and_says_which_files_are_loose() {
    let place = place(&[("loose.hcl", LOOSE), ("neat.hcl", NEAT)]);
    assert_eq!(larder(place.path(), &["fmt", "-check"], b"").expect(2).out, "loose.hcl\n");
    assert_eq!(larder(place.path(), &["fmt", "-check", "-list=false"], b"").expect(2).out, "");
    assert_eq!(larder(place.path(), &["fmt", "-check", "neat.hcl"], b"").expect(0).out, "");
    let diff = larder(place.path(), &["fmt", "-check", "-diff"], b"").expect(2).out;
    let wanted = "loose.hcl\n--- old/loose.hcl\n+++ new/loose.hcl\n@@ -1,3 +1,3 @@\n host \"a\" {\n-address=\"x\" # c\n+  address = \"x\" # c\n }\n";
    assert_eq!(diff, wanted);
    assert_eq!(text(place.path().join("loose.hcl")), LOOSE);
}

#[test]
fn what_is_written_and_what_is_shown_are_chosen_apart() {
    let place = place(&[("loose.hcl", LOOSE), ("neat.hcl", NEAT)]);
    let run = |arguments: &[&str]| larder(place.path(), &[&["fmt"], arguments].concat(), b"").expect(0).out;
    assert_eq!(run(&["-write=false"]), "loose.hcl\n");
    assert_eq!(run(&["-write=false", "-list=false"]), format!("{NEAT}{NEAT}"));
    assert!(run(&["-write=false", "-list=false", "-diff"]).starts_with("--- old/loose.hcl\n"));
    assert_eq!(text(place.path().join("loose.hcl")), LOOSE);
    let shown = run(&["-diff"]);
    assert!(shown.starts_with("loose.hcl\n--- old/loose.hcl\n"), "{shown}");
    assert_eq!(text(place.path().join("loose.hcl")), NEAT);
    std::fs::write(place.path().join("loose.hcl"), LOOSE).expect("written");
    assert_eq!(run(&["-list=false"]), "");
    assert_eq!(text(place.path().join("loose.hcl")), NEAT);
}

#[test]
fn standard_input_goes_to_standard_output() {
    let place = place(&[("a.hcl", LOOSE)]);
    let run = |arguments: &[&str], input: &[u8]| larder(place.path(), &[&["fmt"], arguments].concat(), input);
    assert_eq!(run(&["-"], LOOSE.as_bytes()).expect(0).out, NEAT);
    assert_eq!(run(&["-"], b"a=1\r\nb=2").expect(0).out, "a = 1\r\nb = 2\r\n");
    assert_eq!(run(&["-"], b"").expect(0).out, "");
    assert_eq!(run(&["-check", "-"], LOOSE.as_bytes()).expect(2).out, "");
    assert_eq!(run(&["-check", "-"], NEAT.as_bytes()).expect(0).out, "");
    assert!(run(&["-diff", "-"], LOOSE.as_bytes()).expect(0).out.starts_with("--- old/<stdin>\n"));
    let wrong = run(&["-"], WRONG.as_bytes()).expect(1);
    assert_eq!(wrong.out, "");
    assert!(wrong.err.contains("--> <stdin>:"), "{}", wrong.err);
    let wrong = run(&["-"], b"a = \"\xff\"\n").expect(1);
    assert!(wrong.out.is_empty() && wrong.err.contains("is not UTF-8"), "{}", wrong.err);
    run(&["-", "a.hcl"], LOOSE.as_bytes()).expect(3).says("invalid-option");
    assert_eq!(text(place.path().join("a.hcl")), LOOSE);
}

#[test]
fn one_bad_file_keeps_no_other_from_being_formatted() {
    let place = place(&[("a.hcl", WRONG), ("b.hcl", LOOSE), ("d.hcl", LOOSE), ("plain.txt", LOOSE)]);
    let latin = b"a=1 # \xe9\n";
    std::fs::write(place.path().join("c.hcl"), latin).expect("written");
    symlink("nowhere", place.path().join("gone.hcl")).expect("a link");
    let run = larder(place.path(), &["fmt"], b"").expect(1);
    assert_eq!(run.out, "b.hcl\nd.hcl\n");
    for words in
        ["a.hcl:2:13", "This bracket is not closed", "c.hcl:1:7", "is not UTF-8", "gone.hcl cannot be read", "3 errors"]
    {
        assert!(run.err.contains(words), "no {words:?} in {}", run.err);
    }
    assert_eq!(text(place.path().join("a.hcl")), WRONG);
    assert_eq!(std::fs::read(place.path().join("c.hcl")).expect("a file"), latin);
    // An error is more than a loose file.
    std::fs::write(place.path().join("b.hcl"), LOOSE).expect("written");
    assert_eq!(larder(place.path(), &["fmt", "-check"], b"").expect(1).out, "b.hcl\n");
    let run = larder(place.path(), &["fmt", "plain.txt", "missing.hcl", "missing", "b.hcl"], b"").expect(1);
    assert_eq!(run.out, "b.hcl\n");
    run.says("plain.txt is no configuration file").says("missing.hcl cannot be read").says("missing cannot be read");
    larder(place.path(), &["-chdir=missing", "fmt"], b"").expect(1).says("unreadable-directory");
}

#[test]
fn a_pipe_is_no_file_to_wait_for() {
    let place = place(&[]);
    let made = Command::new("mkfifo").arg(place.path().join("a.hcl")).status().expect("mkfifo");
    assert!(made.success());
    larder(place.path(), &["fmt"], b"").expect(1).says("not a regular file");
}

#[test]
fn a_file_is_replaced_at_once_and_keeps_mode_and_owner() {
    let place = place(&[("a.hcl", LOOSE), ("neat.hcl", NEAT)]);
    let (loose, neat) = (place.path().join("a.hcl"), place.path().join("neat.hcl"));
    std::fs::set_permissions(&loose, Permissions::from_mode(0o640)).expect("set");
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(&loose, Some(1234), Some(4321)).expect("given away");
    }
    let (before, untouched) = (loose.metadata().expect("there"), neat.metadata().expect("there"));
    larder(place.path(), &["fmt"], b"").expect(0);
    let after = loose.metadata().expect("there");
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino(), "whoever has it open keeps the old text");
    let left = neat.metadata().expect("there");
    assert_eq!((left.ino(), left.modified().ok()), (untouched.ino(), untouched.modified().ok()));
    let names: Vec<_> = std::fs::read_dir(place.path()).expect("a directory").collect();
    assert_eq!(names.len(), 2, "nothing is left beside: {names:?}");
}

#[test]
fn a_link_stays_a_link() {
    let place = place(&[("shared/a.hcl", LOOSE), ("conf/b.hcl", NEAT)]);
    let link = place.path().join("conf/a.hcl");
    symlink("../shared/a.hcl", &link).expect("a link");
    assert_eq!(larder(place.path(), &["fmt", "conf"], b"").expect(0).out, "conf/a.hcl\n");
    assert_eq!(std::fs::read_link(&link).expect("a link"), Path::new("../shared/a.hcl"));
    assert_eq!(text(place.path().join("shared/a.hcl")), NEAT);
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_left() {
    let place = place(&[("a.hcl", LOOSE), ("b/c.hcl", LOOSE)]);
    let read_only = place.path().join("b");
    let run = match rustix::process::geteuid().is_root() {
        // Root is stopped by no mode; by a mount, which only this run sees.
        true => {
            let script = "mount --bind b b && mount -o remount,ro,bind b && exec \"$0\" fmt -recursive";
            let binary = env!("CARGO_BIN_EXE_larder");
            let mut command = Command::new("unshare");
            command.current_dir(place.path()).args(["--mount", "sh", "-ec", script, binary]).stdin(Stdio::null());
            let output = command.output().expect("unshare runs");
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
            Run { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
        }
        false => {
            std::fs::set_permissions(read_only.join("c.hcl"), Permissions::from_mode(0o444)).expect("set");
            larder(place.path(), &["fmt", "-recursive"], b"")
        }
    };
    assert_eq!(run.out, "a.hcl\n", "{}", run.err);
    run.expect(1).says("unwritable-file").says("b/c.hcl cannot be written");
    assert_eq!(text(read_only.join("c.hcl")), LOOSE);
}

/// The HCL of this repository, by where it stands: files, and blocks in documents.
fn repository() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for directory in ["docs", "examples", "modules", "state", "tests"] {
        collect(&root.join(directory), &mut paths);
    }
    paths.push(root.join("README.md"));
    // What is broken on purpose cannot be formatted.
    paths.retain(|path| !path.starts_with(root.join("tests/broken")));
    let mut all = Vec::new();
    for path in paths {
        let name = path.strip_prefix(root).expect("below it").display().to_string();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("hcl") => all.push((name, text(&path))),
            Some("md") => {
                let text = text(&path);
                let blocks = text.split("```hcl\n").skip(1).filter_map(|rest| rest.split("```").next());
                all.extend(
                    blocks.enumerate().map(|(at, block)| (format!("{name}, block {}", at + 1), block.to_owned())),
                );
            }
            _ => {}
        }
    }
    all
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry")) {
        match entry.path() {
            path if path.is_dir() => collect(&path, paths),
            path => paths.push(path),
        }
    }
}

#[test]
fn all_hcl_of_this_repository_is_in_the_canonical_layout() {
    let all = repository();
    for name in
        ["README.md, block 1", "examples/quickstart/main.hcl", "tests/plan/blank/main.hcl", "docs/language.md, block 1"]
    {
        assert!(all.iter().any(|(found, _)| found == name), "{name} is not looked at");
    }
    let loose: Vec<_> = all
        .iter()
        .filter(|(name, text)| {
            let formatted = larder::config::format(name, text.clone().into_bytes());
            formatted.unwrap_or_else(|left| panic!("{:#?}", left.problems)) != *text
        })
        .map(|(name, _)| name)
        .collect();
    assert!(loose.is_empty(), "`larder fmt` would change {loose:#?}");
}

#[test]
fn no_excerpt_shows_what_may_be_a_secret() {
    let main = "variable \"p\" {\n  sensitive = true\n  default = \"hunter2\"\"\n}\nlocals {\n  x = [1 2]\n}\n";
    let values = "# a comment\np = \"hun\"hunter2\"\n\"q\" = \"hunter2\"\n";
    let place = place(&[("main.hcl", main), ("larder.vars.hcl", values)]);
    let run = larder(place.path(), &["fmt"], b"").expect(1);
    assert!(!run.err.contains("hunter2") && !run.out.contains("hunter2"), "{}", run.err);
    assert!(run.err.contains("x = [1 2]") && run.err.contains("larder.vars.hcl:2"), "{}", run.err);
    let run = larder(place.path(), &["fmt", "-"], values.as_bytes()).expect(1);
    assert!(!run.err.contains("hunter2"), "{}", run.err);
}

#[test]
fn no_excerpt_shows_a_secret_that_was_mistyped() {
    let inner = "variable \"pw\" {\n  sensitive = true\n}\nvariable \"shown\" {\n  type = number\n}\n";
    let call = |arguments: &str| format!("module \"m\" {{\n  source = \"./inner\"\n  {arguments}\n}}\n");
    // What no command may show, and what fmt may not.
    let table = [
        ("variable \"f\" {\n  defualt   = \"SECRET\"\n  sensitive = true\n}\n".to_owned(), false),
        ("variable \"g\" {\n  sensitive = true\n  default {\n    pw = \"SECRET\" x\n  }\n}\n".to_owned(), true),
        ("variable \"a\" \"b\" {\n  sensitive = true\n  default   = \"SECRET\" \"SECRET\"\n}\n".to_owned(), true),
        ("variable \"c\" {\n  \"sensitive\" = true\n  default = nosuch(\"SECRET\")\n}\n".to_owned(), true),
        ("variable \"c\" {\n  sensitve = true\n  default  = [\n    nosuch(\"SECRET\")\n  ]\n}\n".to_owned(), false),
        ("variable \"c\" {\n  sensitive = true\n  default = <<EOT\nx = \"SECRET\" y\n}\n".to_owned(), true),
        (call("\"pw\" = \"SECRET\""), true),
        (call("pw = \"SECRET\" oops"), true),
        (call("pww = \"SECRET\"\n  pw = 1"), false),
    ];
    for (main, is_torn) in table {
        let place = place(&[("main.hcl", &main), ("inner/main.hcl", inner)]);
        let run = larder(place.path(), &["validate"], b"").expect(1);
        assert!(run.err.contains("main.hcl:") && !run.err.contains("SECRET"), "{main}\n{}", run.err);
        let run = larder(place.path(), &["fmt", "-check"], b"");
        assert!(!run.err.contains("SECRET"), "{main}\n{}", run.err);
        assert_eq!(run.err.contains("main.hcl:"), is_torn, "{main}\n{}", run.err);
    }
    // What is no secret is shown.
    let place = place(&[("main.hcl", &call("pw = 1\n  shown = \"seven\"")), ("inner/main.hcl", inner)]);
    larder(place.path(), &["validate"], b"").expect(1).says("\"seven\"");
    let run = larder(place.path(), &["fmt", "-"], b"\"p\" = \"SECRET\" oops\n").expect(1);
    assert!(run.err.contains("<stdin>:1") && !run.err.contains("SECRET"), "{}", run.err);
}
