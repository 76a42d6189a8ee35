//! A configuration can be any bytes: each is understood or refused, in a moment, in little memory, and with words that
//! help. A bounded run with a fixed seed; `LARDER_FUZZ_SECONDS` makes it longer, `LARDER_FUZZ_SEED` another one.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "fuzz/body.rs"]
mod body;
#[path = "fuzz/mutate.rs"]
mod mutate;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use body::{Fate, is_harmless, survive};
use mutate::{Numbers, mutated};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What one input may take.
const MOST_BYTES: usize = 512 << 20;
const MOST_CPU: Duration = Duration::from_secs(20);

/// Half of what the main thread of a program has.
const STACK: usize = 4 << 20;

/// Inputs of a run that nobody asked to be longer.
const ROUNDS: usize = 2_500;

/// What went wrong, for the test that waits.
enum Said {
    /// Another input begins.
    Next,
    TooMuch(String),
}

/// Time that a thread spent on a processor: another's load says nothing about an input.
fn processor_time(task: &Path) -> Duration {
    let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanoseconds)
}

/// Tries inputs one after the other until there is none; fails with the input that is not survived.
#[track_caller]
fn try_all(mut next: impl FnMut(Option<&Fate>) -> Option<Vec<u8>> + Send + 'static) {
    let current = Arc::new(Mutex::new(Vec::new()));
    let (sender, receiver) = channel();
    let seen = current.clone();
    let directory = tempfile::Builder::new().prefix("larder-fuzz-").tempdir().expect("a directory");
    let path = directory.path().to_owned();
    let worker = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let task = std::fs::canonicalize("/proc/thread-self").expect("a thread");
        sender.send(Err(task.clone())).expect("somebody waits");
        let mut fate = None;
        while let Some(bytes) = next(fate.as_ref()) {
            seen.lock().unwrap().clone_from(&bytes);
            sender.send(Ok(Said::Next)).expect("somebody waits");
            MEMORY.reset_peak_usage();
            let (before, began) = (MEMORY.current_usage(), processor_time(&task));
            fate = Some(survive(&bytes, &path));
            let (peak, took) = (MEMORY.peak_usage().saturating_sub(before), processor_time(&task) - began);
            if peak > MOST_BYTES {
                let _ = sender.send(Ok(Said::TooMuch(format!("{} MiB of memory", peak >> 20))));
            }
            if took > MOST_CPU {
                let _ = sender.send(Ok(Said::TooMuch(format!("{took:?} of processor time"))));
            }
        }
    });
    let worker = worker.expect("a thread");
    let mut task = PathBuf::new();
    let (mut began, mut complaint) = (Duration::ZERO, None);
    while complaint.is_none() {
        match receiver.recv_timeout(Duration::from_secs(5)) {
            Ok(Ok(Said::Next)) => began = processor_time(&task),
            Ok(Ok(Said::TooMuch(what))) => complaint = Some(format!("took {what}")),
            Ok(Err(found)) => task = found,
            Err(RecvTimeoutError::Timeout) => {
                let took = processor_time(&task).saturating_sub(began);
                complaint = (took > 3 * MOST_CPU).then(|| format!("has not ended after {took:?}"));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if complaint.is_none() && worker.join().is_err() {
        complaint = Some("was not survived".to_owned());
    }
    if let Some(complaint) = complaint {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-input.hcl");
        let input = current.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        std::fs::write(&kept, &input).expect("a file");
        let text: String = String::from_utf8_lossy(&input).chars().take(2_000).collect();
        panic!("an input {complaint}; it is in {}:\n{text}", kept.display());
    }
}

/// The configurations and expressions of this repository.
fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = BTreeSet::new();
    for folder in ["examples", "modules", "tests", "scripts"] {
        collect(&root.join(folder), &mut texts);
    }
    let context = include_str!("language/context.hcl");
    let expressions: Vec<String> = include_str!("language/expressions.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a row"))
        .map(|row| row["expression"].as_str().expect("a text").to_owned())
        .collect();
    for some in expressions.chunks(25) {
        let outputs = some.iter().enumerate();
        let outputs = outputs.map(|(number, text)| format!("output \"o{number}\" {{\n  value = {text}\n}}\n"));
        texts.insert(format!("{context}{}", outputs.collect::<String>()));
    }
    texts.extend(expressions.into_iter().map(|text| format!("locals {{\n  x = {text}\n}}\n")));
    texts.extend(HOSTILE.iter().map(|text| (*text).to_owned()));
    texts.into_iter().map(String::into_bytes).filter(|bytes| is_harmless(bytes)).collect()
}

fn collect(directory: &Path, texts: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            collect(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "hcl") {
            texts.extend(std::fs::read_to_string(&path).ok());
        }
    }
}

/// Configurations that are hard to read, to evaluate or to show.
const HOSTILE: &[&str] = &[
    include_str!("fuzz/everything.hcl"),
    "",
    "\u{feff}",
    "host \"h\" {\n  address = host.h.facts.kernel\n}\n",
    "locals {\n  a = local.b\n  b = local.a\n}\n",
    "module \"x\" {\n  source = \"./\"\n}\n",
    "output \"o\" {\n  value = \"\u{1b}[31m\u{202e}\"\n}\n",
    "locals {\n  a = <<EOT\n${ 1 }\nEOT\n  b = <<-EOT\n    %{ for x in [1] ~}\n  ${x}\n    %{ endfor }\n  EOT\n}\n",
    "host \"é\" {\n  connection = \"local\"\n  labels = { \"\\u0000\" = \"\\U0001F600\" }\n}\n",
];

#[test]
fn the_corpus_is_survived() {
    let mut inputs = corpus().into_iter();
    assert!(inputs.len() > 1_000);
    try_all(move |_| inputs.next());
}

/// Locals that want far more memory than there is: what they stand on, and the value.
const LARGE: &[(&str, &str)] = &[
    ("m = flatten([for i in range(999) : range(999)])", "flatten([for i in range(999) : local.m])"),
    ("", "[for i in range(100) : setproduct(range(999), range(999))]"),
    ("", "setproduct(range(99), range(99), range(99))"),
    ("", "split(\"\", local.text)"),
    ("", "split(\"x\", local.text)"),
    ("", "regexall(\".\", local.text)"),
    ("", "jsondecode(\"[${replace(local.text, \"x\", \"[],\")}[]]\")"),
    ("", "csvdecode(replace(local.text, \"x\", \"a\\n\"))"),
    ("", "yamldecode(\"[${replace(local.text, \"x\", \"[],\")}[]]\")"),
    ("", "jsonencode([for i in range(1000) : local.text])"),
    ("", "yamlencode([for i in range(1000) : local.text])"),
    ("", "join(local.text, range(1000))"),
    ("", "replace(local.text, \"x\", local.text)"),
    ("", "indent(10000, replace(local.text, \"x\", \"\\n\"))"),
    ("", "[for i in range(999) : [for j in range(999) : [[], {}, [[]]]]]"),
    ("", "format(\"%999999999d\", 1)"),
    ("", "[for i in range(999) : substr(format(\"%.999999f\", 1 / 3), 0, 1)]"),
    ("", "[for i in range(999) : format(\"%.999999d\", i)]"),
    ("", "formatlist(\"%1000000d\", range(1000))"),
    ("", "formatlist(\"%s%s\", [for i in range(1000) : local.text], local.text)"),
    ("m = [for i in range(1000) : range(999)]", "concat(concat(local.m...), concat(local.m...), concat(local.m...))"),
    (
        "m = [for i in range(1000) : { for j in range(99) : \"${i}-${j}\" => j }]",
        "[for i in range(99) : merge(local.m...)]",
    ),
    ("", "base64encode(join(\"\", [for i in range(9) : local.text]))"),
    ("", "[for i in range(1000) : base64encode(local.text)]"),
    ("", "file(\"/proc/kmsg\")"),
    ("", "filesha256(\"/dev/zero\")"),
];

#[test]
fn what_grows_beyond_all_bounds_is_refused_before_it_has_grown() {
    let few = "x".repeat(2_000);
    let texts: Vec<String> = LARGE
        .iter()
        .map(|(first, value)| {
            let text = format!("few = \"{few}\"\n  text = join(\"\", [for i in range(1000) : local.few])");
            format!("locals {{\n  {text}\n  {first}\n  large = {value}\n}}\n")
        })
        .collect();
    let mut inputs = texts.into_iter().map(String::into_bytes);
    try_all(move |fate| {
        assert!(fate.is_none_or(|fate| !fate.codes.is_empty()), "the one before is valid");
        inputs.next()
    });
}

#[test]
fn mutations_are_survived() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("LARDER_FUZZ_SECONDS");
    let mut numbers = Numbers(number("LARDER_FUZZ_SEED").unwrap_or(0x5eed_1a4d_e400_0001));
    let mut pool = corpus();
    let first = pool.len();
    let mut fates = BTreeSet::new();
    let (began, mut rounds) = (Instant::now(), 0);
    let mut last: Option<Vec<u8>> = None;
    try_all(move |fate| {
        // An input that came to something new is worth changing further.
        if let (Some(fate), Some(last)) = (fate, last.take())
            && fates.insert(fate.clone())
        {
            match pool.len() < 2 * first {
                true => pool.push(last),
                false => {
                    let at = first + numbers.below(first);
                    pool[at] = last;
                }
            }
        }
        let is_over = match seconds {
            Some(seconds) => began.elapsed() > Duration::from_secs(seconds),
            None => rounds >= ROUNDS,
        };
        if is_over {
            eprintln!("{rounds} inputs, {} of them new in what came of them", fates.len());
            return None;
        }
        rounds += 1;
        last =
            std::iter::from_fn(|| Some(mutated(&pool, &mut numbers, body::LONGEST))).find(|bytes| is_harmless(bytes));
        last.clone()
    });
}
