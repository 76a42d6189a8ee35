//! What was typed asks for help, or cannot be understood.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use serde_json::json;

use crate::cli::{habit, verb, with_one_dash};
use crate::model::Problem;

use super::Exit;

/// Shows what the library that reads the command line has to say: help and version on standard output, anything else on
/// standard error, and as JSON on standard output too where that was asked for.
pub fn explain(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let is_wrong = error.use_stderr();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || has(arguments, "--no-color");
    let is_tty = if is_wrong { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
    let plain = match habit(error, &verb(arguments)) {
        Some(habit) => {
            let text = format!("error: {}\n\n{}\n", habit.summary, habit.cure);
            return wrong_use(&text, &text, arguments);
        }
        None => error.render().to_string(),
    };
    let text = match is_tty && !no_color {
        true => with_one_dash(&error.render().ansi().to_string()),
        false => with_one_dash(&plain),
    };
    if is_wrong {
        return wrong_use(&text, &with_one_dash(&plain), arguments);
    }
    // A reader that has gone away is no failure of ours.
    let _ = write!(std::io::stdout(), "{text}");
    Exit::Done
}

/// Says what is wrong, to people as `text` and to programs, which get no colours, as `plain`.
fn wrong_use(text: &str, plain: &str, arguments: &[OsString]) -> Exit {
    let _ = write!(std::io::stderr(), "{text}");
    if has(arguments, "--json") {
        let (summary, detail) = plain.split_once('\n').unwrap_or((plain, ""));
        let problem = Problem::error("invalid-usage", summary.trim_start_matches("error: "), detail.trim());
        let _ = writeln!(std::io::stdout(), "{:#}", json!({ "diagnostics": [problem] }));
    }
    Exit::Usage
}

/// Whether an option without a value stands among the arguments.
fn has(arguments: &[OsString], option: &str) -> bool {
    arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == option)
}
