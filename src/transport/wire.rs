//! The language between Larder and the executor on a host: words that never become syntax, and frames around raw output
//! that nothing but the executor can close. Pure; nothing here reads or writes.

use crate::model::{Command, Guard, Question};

/// One request to the executor, as bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Request(Vec<u8>);

/// The number of a request, unique within its session.
pub(super) type Id = u64;

impl Request {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn ask(&mut self, id: Id, question: &Question) {
        self.verb("ask").word(&id.to_string()).words(&question.0).end();
    }

    /// Finds out which storage does not answer, for the questions that follow.
    pub(super) fn look(&mut self) {
        self.verb("look").end();
    }

    /// A command behind its guards. What it reads goes first, so that nothing but the command follows the guards.
    pub(super) fn run(&mut self, id: Id, command: &Command, guards: &[Guard]) {
        if let Some(text) = &command.stdin {
            self.verb("stdin").word(&text.len().to_string()).end();
            self.0.extend_from_slice(text.as_bytes());
        }
        self.guards(guards);
        self.verb("run").word(&id.to_string()).words(&command.argv).end();
    }

    /// A command behind its guards that reads `length` bytes, which must follow the request.
    pub(super) fn upload(&mut self, id: Id, command: &Command, guards: &[Guard], length: u64) {
        self.guards(guards);
        self.verb("upload").word(&id.to_string()).word(&length.to_string()).words(&command.argv).end();
    }

    fn guards(&mut self, guards: &[Guard]) {
        for guard in guards {
            self.verb("guard").word(&guard.status.to_string()).word(&guard.out).words(&guard.ask.0).end();
        }
    }

    pub(super) fn lock(&mut self, id: Id, file: &str, holder: &str) {
        self.verb("lock").word(&id.to_string()).word(file).word(holder).end();
    }

    fn verb(&mut self, verb: &str) -> &mut Self {
        self.0.extend_from_slice(verb.as_bytes());
        self
    }

    fn words(&mut self, words: &[String]) -> &mut Self {
        for word in words {
            self.word(word);
        }
        self
    }

    /// A word as the executor decodes it: printable ASCII stands for itself, every other byte and the backslash as
    /// `\0ooo`, the empty word as a lone backslash. The executor only splits such a line at spaces.
    fn word(&mut self, word: &str) -> &mut Self {
        self.0.push(b' ');
        if word.is_empty() {
            self.0.push(b'\\');
        }
        for byte in word.bytes() {
            match byte {
                b'!'..=b'~' if byte != b'\\' => self.0.push(byte),
                _ => self.0.extend_from_slice(format!("\\0{byte:03o}").as_bytes()),
            }
        }
        self
    }

    fn end(&mut self) {
        self.0.push(b'\n');
    }
}

/// Why words cannot be sent, if they cannot.
pub(super) fn unsendable(words: &[String]) -> Option<&'static str> {
    match words.first() {
        None => Some("the command has no words"),
        Some(program) if program.is_empty() => Some("the command has no name"),
        _ if words.iter().any(|word| word.contains('\0')) => Some("a word of the command holds a NUL byte"),
        _ => None,
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// On standard error, which only carries text.
    Text,
    Exit(i32),
    /// It was not asked, because it would have waited for storage that does not answer; the error stream says which.
    Silent,
    /// The guard of this number (from 1) did not hold; its question now ends with this status.
    Changed(usize, i32),
}

/// What one stream of the executor said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    Ready,
    /// How far the command of the open request has come.
    Progress {
        id: Id,
        bytes: u64,
        of: u64,
    },
    /// All that was written while the request was served; `None` if that was more than the bound.
    Answer {
        id: Id,
        end: End,
        text: Option<Vec<u8>>,
    },
}

/// Bytes that one answer may have.
const ANSWER_BOUND: usize = 16 << 20;
/// Bytes that all answers of one exchange may have.
const EXCHANGE_BOUND: usize = 64 << 20;
/// Bytes that may stand before the executor is ready: banners and the noise of login shells.
pub(super) const PREAMBLE_BOUND: usize = 64 << 10;
/// No line of the executor's own is longer.
const LINE_BOUND: usize = 128;

/// Cuts one stream of the executor into frames, from chunks of any size. What stands between frames is nobody's answer:
/// it is dropped, but for the first bytes before the executor is ready, which tell why it never will be.
#[derive(Debug)]
pub(super) struct Frames {
    mark: Vec<u8>,
    /// Bytes that may still turn out to be the beginning of a mark.
    pending: Vec<u8>,
    ready: bool,
    preamble: Vec<u8>,
    /// The request whose frame is open, and its text while within bounds.
    open: Option<(Id, Option<Vec<u8>>)>,
    left: usize,
}

/// A line of the executor's own.
enum Line {
    Ready,
    Begin(Id),
    Progress(Id, u64, u64),
    End(Id, End),
}

impl Frames {
    pub(super) fn new(nonce: &str) -> Self {
        Frames {
            mark: format!("\n{nonce} ").into_bytes(),
            pending: Vec::new(),
            ready: false,
            preamble: Vec::new(),
            open: None,
            left: EXCHANGE_BOUND,
        }
    }

    /// What was said before the executor was ready.
    pub(super) fn preamble(&self) -> &[u8] {
        &self.preamble
    }

    /// Gives the answers that follow the whole bound again.
    pub(super) fn renew(&mut self) {
        self.left = EXCHANGE_BOUND;
    }

    /// The frames that these bytes complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        let mut frames = Vec::new();
        // Everything before `at` is known to be text.
        let mut at = 0;
        while let Some(newline) = rest[at..].iter().position(|byte| *byte == b'\n').map(|offset| at + offset) {
            let candidate = &rest[newline..];
            if candidate.len() < self.mark.len() && self.mark.starts_with(candidate) {
                at = newline;
                break;
            }
            if !candidate.starts_with(&self.mark) {
                at = newline + 1;
                continue;
            }
            let line = &candidate[self.mark.len()..];
            let Some(length) = line.iter().take(LINE_BOUND).position(|byte| *byte == b'\n') else {
                at = newline + usize::from(line.len() >= LINE_BOUND);
                if line.len() >= LINE_BOUND {
                    continue;
                }
                break;
            };
            match self.line(&line[..length]) {
                None => at = newline + 1,
                Some(line) => {
                    self.text(&rest[..newline]);
                    rest = &rest[newline + self.mark.len() + length + 1..];
                    at = 0;
                    frames.extend(self.frame(line));
                }
            }
        }
        let text = match rest[at..].first() {
            Some(b'\n') => at,
            _ => rest.len(),
        };
        self.text(&rest[..text]);
        self.pending = rest[text..].to_vec();
        frames
    }

    /// The executor's own line, if it is one that may stand here.
    fn line(&self, line: &[u8]) -> Option<Line> {
        let words: Vec<&str> = std::str::from_utf8(line).ok()?.split(' ').collect();
        let open = self.open.as_ref().map(|(id, _)| *id);
        match (words.as_slice(), open) {
            (["ready"], None) if !self.ready => Some(Line::Ready),
            (["begin", id], None) if self.ready => Some(Line::Begin(id.parse().ok()?)),
            (["progress", id, bytes, of], Some(open)) if id.parse() == Ok(open) => {
                Some(Line::Progress(open, bytes.parse().ok()?, of.parse().ok()?))
            }
            (["end", id, end @ ..], Some(open)) if id.parse() == Ok(open) => {
                let end = match end {
                    [] => End::Text,
                    ["exit", status] => End::Exit(status.parse().ok()?),
                    ["silent"] => End::Silent,
                    ["changed", guard, status] => End::Changed(guard.parse().ok()?, status.parse().ok()?),
                    _ => return None,
                };
                Some(Line::End(open, end))
            }
            _ => None,
        }
    }

    fn frame(&mut self, line: Line) -> Option<Frame> {
        match line {
            Line::Ready => {
                self.ready = true;
                Some(Frame::Ready)
            }
            Line::Begin(id) => {
                self.open = Some((id, Some(Vec::new())));
                None
            }
            Line::Progress(id, bytes, of) => Some(Frame::Progress { id, bytes, of }),
            Line::End(id, end) => {
                let text = self.open.take().and_then(|(_, text)| text);
                Some(Frame::Answer { id, end, text })
            }
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        let Some((_, open)) = &mut self.open else {
            if !self.ready {
                let room = PREAMBLE_BOUND.saturating_sub(self.preamble.len()).min(bytes.len());
                self.preamble.extend_from_slice(&bytes[..room]);
            }
            return;
        };
        let Some(text) = open else { return };
        if text.len() + bytes.len() > ANSWER_BOUND || bytes.len() > self.left {
            *open = None;
            return;
        }
        self.left -= bytes.len();
        text.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(fill: impl FnOnce(&mut Request)) -> String {
        let mut request = Request::default();
        fill(&mut request);
        String::from_utf8(request.0).expect("ASCII")
    }

    #[test]
    fn words_are_plain_or_octal() {
        let table: &[(&str, &str)] = &[
            ("", "\\"),
            ("a b", "a\\0040b"),
            ("$(x)*'\"", "$(x)*'\""),
            ("\\", "\\0134"),
            ("é\n", "\\0303\\0251\\0012"),
        ];
        for (word, encoded) in table {
            assert_eq!(written(|r| r.ask(7, &Question::new(["x", word]))), format!("ask 7 x {encoded}\n"));
        }
    }

    #[test]
    fn a_command_follows_its_input_and_its_guards() {
        let guard = Guard { what: "x".into(), ask: Question::new(["cat", "/x"]), status: 0, out: "a\n".into() };
        let command = Command::new(["tee", "/x"]).with_stdin("b\n");
        assert_eq!(written(|r| r.run(3, &command, &[guard])), "stdin 2\nb\nguard 0 a\\0012 cat /x\nrun 3 tee /x\n");
    }

    const NONCE: &str = "0123456789abcdef";

    fn framed(answers: &[(Vec<u8>, Vec<u8>, i32)]) -> Vec<u8> {
        let mut stream = format!("banner\n\n{NONCE} ready\n").into_bytes();
        for (id, (noise, text, status)) in answers.iter().enumerate() {
            stream.extend_from_slice(noise);
            stream.extend_from_slice(format!("\n{NONCE} begin {id}\n").as_bytes());
            stream.extend_from_slice(text);
            stream.extend_from_slice(format!("\n{NONCE} end {id} exit {status}\n").as_bytes());
        }
        stream
    }

    /// Bytes that look like the frames of another session.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"\n".to_vec()),
            Just(NONCE.as_bytes()[..15].to_vec()),
            Just(b" end 0 exit 0\n".to_vec()),
            Just(format!("\n{NONCE} ").into_bytes()),
            Just(format!("\n{NONCE} ready\n").into_bytes()),
            Just(format!("\n{NONCE} end 99 exit 0\n").into_bytes()),
            prop::collection::vec(any::<u8>(), 0..200),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn answers_survive_any_chunks_and_any_content(
            answers in prop::collection::vec((hostile(), hostile(), 0..256i32), 0..6),
            cuts in prop::collection::vec(1..50usize, 1..40),
        ) {
            let stream = framed(&answers);
            let mut frames = Frames::new(NONCE);
            let mut said = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, left) = rest.split_at((*cut).min(rest.len()));
                said.extend(frames.feed(chunk));
                rest = left;
            }
            let mut expected = vec![Frame::Ready];
            expected.extend(answers.iter().enumerate().map(|(id, (_, text, status))| Frame::Answer {
                id: id as Id,
                end: End::Exit(*status),
                text: Some(text.clone()),
            }));
            prop_assert_eq!(said, expected);
            prop_assert_eq!(frames.preamble(), b"banner\n");
        }

        #[test]
        fn any_bytes_are_survived(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let mut frames = Frames::new(NONCE);
            for chunk in chunks {
                prop_assert!(frames.feed(&chunk).is_empty());
            }
        }
    }

    #[test]
    fn progress_is_told_while_the_command_runs_and_is_no_part_of_its_answer() {
        let mut frames = Frames::new("n");
        frames.feed(b"\nn ready\n\nn begin 7\nfirst");
        assert_eq!(frames.feed(b"\nn progress 7 5 10\n"), [Frame::Progress { id: 7, bytes: 5, of: 10 }]);
        // That of another request, and what makes no sense, is text.
        assert_eq!(frames.feed(b"\nn progress 8 5 10\n\nn progress 7 x 10\n"), []);
        let text = b"first\nn progress 8 5 10\n\nn progress 7 x 10\n".to_vec();
        let answer = Frame::Answer { id: 7, end: End::Exit(0), text: Some(text) };
        assert_eq!(frames.feed(b"\nn end 7 exit 0\n"), [answer]);
    }

    #[test]
    fn an_answer_beyond_the_bound_is_dropped_and_the_next_one_is_read() {
        let mut frames = Frames::new(NONCE);
        let big = vec![b'x'; ANSWER_BOUND + 1];
        let stream = framed(&[(vec![], big, 0), (vec![], b"small".to_vec(), 1)]);
        let said: Vec<Frame> = stream.chunks(1 << 16).flat_map(|chunk| frames.feed(chunk)).collect();
        assert_eq!(said[1], Frame::Answer { id: 0, end: End::Exit(0), text: None });
        assert_eq!(said[2], Frame::Answer { id: 1, end: End::Exit(1), text: Some(b"small".to_vec()) });
    }

    #[test]
    fn all_answers_of_an_exchange_have_one_bound() {
        let mut frames = Frames::new(NONCE);
        let big = vec![b'x'; ANSWER_BOUND];
        let answers = vec![(vec![], big, 0); 5];
        let said: Vec<Frame> = framed(&answers).chunks(1 << 16).flat_map(|chunk| frames.feed(chunk)).collect();
        let kept = said.iter().filter(|frame| matches!(frame, Frame::Answer { text: Some(_), .. })).count();
        assert_eq!(kept, 4);
    }

    #[test]
    fn a_preamble_is_bounded() {
        let mut frames = Frames::new(NONCE);
        frames.feed(&vec![b'y'; 10 * PREAMBLE_BOUND]);
        assert_eq!(frames.preamble().len(), PREAMBLE_BOUND);
    }
}
