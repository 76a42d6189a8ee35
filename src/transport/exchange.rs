//! One exchange with the executor: everything goes out while everything comes back, so that neither side waits for the
//! other. Knows frames, not what they mean.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::wire::{Frame, Frames};
use super::{local, ssh};

/// How long the error stream may outlast the other one.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What runs the executor.
pub(super) enum Process {
    Local(local::Shell),
    Ssh(ssh::Remote),
}

/// A process with its three streams.
pub(super) struct Spawned {
    pub(super) requests: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) out: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) err: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) process: Process,
}

/// The executor on a host, as it is spoken with.
pub(super) struct Conversation {
    /// `None` once nothing must be written any more.
    pub(super) requests: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    out: Stream,
    err: Stream,
    pub(super) process: Process,
    gone: Option<String>,
}

struct Stream {
    from: Box<dyn AsyncRead + Send + Unpin>,
    frames: Frames,
    buffer: Vec<u8>,
    ended: bool,
}

/// Where a frame came from.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Out,
    Err,
}

impl Conversation {
    pub(super) fn new(spawned: Spawned, nonce: &str) -> Self {
        let stream = |from| Stream { from, frames: Frames::new(nonce), buffer: Vec::new(), ended: false };
        Conversation {
            requests: Some(spawned.requests),
            out: stream(spawned.out),
            err: stream(spawned.err),
            process: spawned.process,
            gone: None,
        }
    }

    /// Why nothing is sent any more, if so.
    pub(super) fn gone(&self) -> Option<&str> {
        self.gone.as_deref()
    }

    /// What was said before the executor was ready.
    pub(super) fn preamble(&self) -> String {
        String::from_utf8_lossy(&[self.err.frames.preamble(), self.out.frames.preamble()].concat()).into_owned()
    }

    /// Lets the executor find the end of its requests, and waits for its own, so long.
    pub(super) async fn end(mut self, patience: Duration) {
        drop(self.requests.take());
        self.process.end(patience).await;
    }

    /// Writes and reads at the same time, until `heard` has had enough. `patience` begins anew with each frame, and while
    /// bytes go out. After an error, and if it is abandoned midway, the conversation is gone: what was sent may still be
    /// acted on.
    pub(super) async fn converse(
        &mut self,
        mut sending: Sending<'_>,
        patience: Option<Duration>,
        mut heard: impl FnMut(Side, Frame) -> bool,
    ) -> Result<(), String> {
        self.gone = Some("an earlier request was abandoned".to_owned());
        self.out.frames.renew();
        self.err.frames.renew();
        let mut deadline = patience.map(|patience| Instant::now() + patience);
        let why = loop {
            let Conversation { requests, out, err, .. } = self;
            let (from, frames) = tokio::select! {
                sent = sending.some(requests), if requests.is_some() && !sending.is_done() => {
                    match sent {
                        Ok(()) => {}
                        // Whoever reads no more has ended, or is about to: the other streams say so.
                        Err(NotSent::Unread) => *requests = None,
                        Err(NotSent::File(why)) => break why,
                    }
                    deadline = patience.map(|patience| Instant::now() + patience);
                    continue;
                }
                frames = out.read() => (Side::Out, frames),
                frames = err.read(), if !err.ended => (Side::Err, frames),
                () = until(deadline) => {
                    break format!("no answer within {}", seconds(patience.unwrap_or_default()));
                }
            };
            if out.ended {
                // The reason often stands on the other stream, and may come later.
                let _ = tokio::time::timeout(LAST_WORDS, err.drain()).await;
                break self.process.end(Duration::from_secs(2)).await;
            }
            if !frames.is_empty() {
                deadline = patience.map(|patience| Instant::now() + patience);
            }
            for frame in frames {
                if heard(from, frame) {
                    self.gone = None;
                    return Ok(());
                }
            }
        };
        self.gone = Some(why.clone());
        // Nothing is sent behind a request that nobody answered: it might be acted on much later.
        self.requests = None;
        Err(why)
    }
}

impl Stream {
    /// The frames that the next bytes complete; the end of the stream is an empty list and `ended`.
    async fn read(&mut self) -> Vec<Frame> {
        self.buffer.clear();
        self.buffer.reserve(64 << 10);
        match self.from.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => {
                self.ended = true;
                Vec::new()
            }
            Ok(_) => self.frames.feed(&self.buffer),
        }
    }

    /// Reads to the end; what it says belongs to no answer any more.
    async fn drain(&mut self) {
        while !self.ended {
            self.read().await;
        }
    }
}

/// What goes out in one exchange: the bytes, then perhaps a file.
pub(super) struct Sending<'a> {
    bytes: &'a [u8],
    upload: Option<Upload<'a>>,
}

struct Upload<'a> {
    file: &'a mut (dyn AsyncRead + Send + Unpin),
    /// Bytes that are still to be read from the file.
    left: u64,
    chunk: Vec<u8>,
    /// Bytes of the chunk that went out.
    sent: usize,
}

enum NotSent {
    Unread,
    File(String),
}

impl<'a> Sending<'a> {
    pub(super) fn all(bytes: &'a [u8]) -> Self {
        Sending { bytes, upload: None }
    }

    /// The bytes, then so many of a file.
    pub(super) fn with_file(bytes: &'a [u8], file: &'a mut (dyn AsyncRead + Send + Unpin), length: u64) -> Self {
        Sending { bytes, upload: Some(Upload { file, left: length, chunk: Vec::new(), sent: 0 }) }
    }

    fn is_done(&self) -> bool {
        let uploaded = |upload: &Upload| upload.left == 0 && upload.sent == upload.chunk.len();
        self.bytes.is_empty() && self.upload.as_ref().is_none_or(uploaded)
    }

    /// Sends some of what is left. Abandoned midway, it has sent nothing.
    async fn some(&mut self, requests: &mut Option<Box<dyn AsyncWrite + Send + Unpin>>) -> Result<(), NotSent> {
        let Some(requests) = requests else { return std::future::pending().await };
        if !self.bytes.is_empty() {
            let count = requests.write(self.bytes).await.map_err(|_| NotSent::Unread)?;
            self.bytes = &self.bytes[count..];
            return Ok(());
        }
        let Some(upload) = &mut self.upload else { return std::future::pending().await };
        if upload.sent == upload.chunk.len() {
            let size = usize::try_from(upload.left).unwrap_or(usize::MAX).min(256 << 10);
            let mut chunk = vec![0; size];
            let count = match upload.file.read(&mut chunk).await {
                Ok(0) => return Err(NotSent::File("the file is shorter than it was".to_owned())),
                Ok(count) => count,
                Err(error) => return Err(NotSent::File(format!("the file cannot be read: {error}"))),
            };
            chunk.truncate(count);
            upload.left -= count as u64;
            (upload.chunk, upload.sent) = (chunk, 0);
        }
        upload.sent += requests.write(&upload.chunk[upload.sent..]).await.map_err(|_| NotSent::Unread)?;
        Ok(())
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Process {
    /// Waits for the end, so long; says how it ended.
    async fn end(&mut self, patience: Duration) -> String {
        match self {
            Process::Local(shell) => shell.end(patience).await,
            Process::Ssh(remote) => remote.end(patience).await,
        }
    }
}

fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{} s", duration.as_secs()),
        _ => format!("{} ms", duration.as_millis()),
    }
}
