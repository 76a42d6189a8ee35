//! This machine as a host: the executor as a child process.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::exchange::{Process, Spawned};

/// The child that runs the executor.
pub(super) struct Shell(Child);

/// Starts the words as a process.
pub(super) fn spawn(words: &[String]) -> Result<Spawned, String> {
    let (program, arguments) = words.split_first().ok_or("no shell is named")?;
    let mut child = Command::new(program)
        .args(arguments)
        // A Ctrl-C on the terminal is for us alone: a step that runs is finished, not killed.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(requests), Some(out), Some(err)) = streams else {
        return Err(format!("`{program}` was started without its streams"));
    };
    Ok(Spawned {
        requests: Box::new(requests),
        out: Box::new(out),
        err: Box::new(err),
        process: Process::Local(Shell(child)),
    })
}

impl Shell {
    pub(super) async fn end(&mut self, patience: Duration) -> String {
        match tokio::time::timeout(patience, self.0.wait()).await {
            Ok(Ok(status)) => format!("the shell ended ({status})"),
            Ok(Err(error)) => format!("the shell is lost: {error}"),
            Err(_) => "the shell closed its output and still runs".to_owned(),
        }
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> Option<u32> {
        self.0.id()
    }
}
