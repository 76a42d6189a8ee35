//! Larder's own functions: credentials from where they are kept. Their values are always sensitive; they are read while
//! the configuration is evaluated and stored nowhere.

use std::io::Read as _;
use std::process::{Command, Stdio};

use super::super::value::Value;
use super::{Evaluator, Fault, Function, Outcome, Takes, function, takes, text, texts};

pub(super) const TABLE: &[Function] = &[
    function("env", &[takes("name", Takes::Text)], Takes::Text, |evaluator, arguments| {
        let name = text(arguments, 0);
        match evaluator.scope.environment().get(name) {
            Some(value) => Ok(Value::text(value).marked(true)),
            None => Err(Fault::call(format!("the environment has no variable `{name}`; set it before calling larder"))),
        }
    }),
    function("secret_command", &[takes("command", Takes::Texts)], Takes::Text, |evaluator, arguments| {
        secret_command(evaluator, &texts(arguments, 0))
    }),
    function("secret_file", &[takes("path", Takes::Text)], Takes::Text, |evaluator, arguments| {
        let content = super::file::read_text(evaluator, text(arguments, 0))?;
        Ok(Value::text(without_last_line_end(&content)).marked(true))
    }),
];

/// The largest secret, in bytes.
const LARGEST: u64 = 1 << 20;

/// A secret in a file or from a program ends with a line end that is no part of it.
fn without_last_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// What the program prints. It can ask its user on the terminal, so its errors go there and nothing limits its time.
fn secret_command(evaluator: &mut Evaluator<'_>, words: &[&str]) -> Outcome {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Fault::argument(0, "the list holds no program"));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(evaluator.scope.directory())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| Fault::call(format!("`{program}` cannot be started: {error}")))?;
    let mut output = Vec::new();
    let read = match child.stdout.take() {
        Some(stdout) => stdout.take(LARGEST + 1).read_to_end(&mut output),
        None => Ok(0),
    };
    let status = child.wait().map_err(|error| Fault::call(format!("`{program}` was lost: {error}")))?;
    read.map_err(|error| Fault::call(format!("`{program}` cannot be read: {error}")))?;
    if output.len() as u64 > LARGEST {
        return Err(Fault::call(format!("`{program}` prints more than 1 MiB")));
    }
    if !status.success() {
        return Err(Fault::call(format!("`{program}` failed ({status})")));
    }
    let text = String::from_utf8(output).map_err(|_| Fault::call(format!("`{program}` prints no UTF-8 text")))?;
    Ok(Value::text(without_last_line_end(&text)).marked(true))
}
