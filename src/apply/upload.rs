//! A file of the workstation on its way to a step. That it is still the one that was planned is checked on the way, and by the host
//! before it puts anything into place; nothing of it is kept in memory.

use std::pin::Pin;
use std::task::{Context, Poll};

use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

use crate::model::step::Upload;
use crate::model::{Command, Guard, escape_line};
use crate::transport::{self, Session};

/// How many bytes go out between two words about them.
const BETWEEN: u64 = 8 << 20;

/// Runs a command that reads the file. Where that is not what was planned, the outcome says so, and the command has put nothing into
/// place.
pub(super) async fn send(
    session: &mut Session,
    command: &Command,
    guard: &[Guard],
    planned: &Upload,
    told: &mut (dyn FnMut(u64, u64) + Send),
) -> transport::Outcome {
    let changed = |is: String| transport::Outcome::Changed {
        what: format!("{} on this machine (source-changed); nothing was put into place", escape_line(&planned.path)),
        was: format!("{} bytes, sha256 {}", planned.bytes, planned.sha256),
        is,
    };
    let (file, bytes) = match open(&planned.path).await {
        Ok(opened) => opened,
        Err(why) => return changed(format!("it cannot be read: {why}")),
    };
    if bytes != planned.bytes {
        return changed(format!("{bytes} bytes"));
    }
    let mut passing =
        Passing { file, left: planned.bytes, of: planned.bytes, digest: Sha256::new(), trouble: None, told };
    let outcome = session.upload(command, guard, &mut passing, planned.bytes, None).await;
    // A host that has all of it as planned has checked more than this.
    if !matches!(outcome, transport::Outcome::Failed(_)) {
        return outcome;
    }
    let Passing { digest, trouble, left, .. } = passing;
    let is: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    match trouble {
        Some(why) => changed(why),
        None if left == 0 && is != planned.sha256 => changed(format!("{} bytes, sha256 {is}", planned.bytes)),
        None => outcome,
    }
}

async fn open(path: &str) -> Result<(File, u64), String> {
    let file = File::open(path).await.map_err(|error| error.to_string())?;
    let found = file.metadata().await.map_err(|error| error.to_string())?;
    match found.is_file() {
        true => Ok((file, found.len())),
        false => Err("it is no regular file".to_owned()),
    }
}

/// The bytes of the file as they pass. Where it ends too soon, zeros stand for the rest: the host then finds another digest, and the
/// conversation with it goes on.
struct Passing<'a> {
    file: File,
    left: u64,
    of: u64,
    digest: Sha256,
    trouble: Option<String>,
    told: &'a mut (dyn FnMut(u64, u64) + Send),
}

impl AsyncRead for Passing<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if this.trouble.is_none() {
            match Pin::new(&mut this.file).poll_read(context, buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => this.trouble = Some(format!("it cannot be read: {error}")),
                Poll::Ready(Ok(())) if buffer.filled().len() == before => {
                    this.trouble = Some("it is shorter than it was".to_owned());
                }
                Poll::Ready(Ok(())) => {}
            }
        }
        if this.trouble.is_some() {
            let room = buffer.remaining();
            buffer.initialize_unfilled().fill(0);
            buffer.advance(room);
        }
        let passed = &buffer.filled()[before..];
        this.digest.update(passed);
        let (was, count) = (this.of - this.left, passed.len() as u64);
        this.left = this.left.saturating_sub(count);
        let is = this.of - this.left;
        if is / BETWEEN > was / BETWEEN || this.left == 0 {
            (this.told)(is, this.of);
        }
        Poll::Ready(Ok(()))
    }
}
