//! What hosts were asked and what they said. Silence, a timeout or half an answer is `Unknown`, never an empty text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::host::HostName;

/// A question to a host: a command that only reads. Its first word is a program or one of Larder's probe functions;
/// the others are values and reach the host as values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Question(pub Vec<String>);

impl Question {
    pub fn new<I, S>(words: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Question(words.into_iter().map(Into::into).collect())
    }
}

/// What a command left behind: its exit status and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reply {
    pub status: i32,
    #[serde(default)]
    pub out: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub err: String,
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Said(Reply),
    /// Nobody knows, and why: "timed out after 10 s", "the connection was lost".
    Unknown(String),
}

/// One host's answers, or why there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostFacts {
    Reached(BTreeMap<Question, Answer>),
    Unreachable(String),
}

impl HostFacts {
    /// The answer to a question; one that was never asked is unknown too.
    pub fn answer(&self, question: &Question) -> Answer {
        match self {
            HostFacts::Unreachable(why) => Answer::Unknown(why.clone()),
            HostFacts::Reached(answers) => {
                answers.get(question).cloned().unwrap_or_else(|| Answer::Unknown("the host was not asked".to_owned()))
            }
        }
    }

    /// What the host said, or why that is unknown.
    pub fn said(&self, question: &Question) -> Result<Reply, String> {
        match self.answer(question) {
            Answer::Said(reply) => Ok(reply),
            Answer::Unknown(why) => Err(why),
        }
    }
}

/// The answers of all hosts of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    pub hosts: BTreeMap<HostName, HostFacts>,
    /// How many requests and replies each host took to answer.
    pub round_trips: BTreeMap<HostName, u32>,
}

impl Facts {
    /// What is known of a host; one that nobody asked is unreachable.
    pub fn host(&self, name: &HostName) -> &HostFacts {
        static NOT_ASKED: std::sync::LazyLock<HostFacts> =
            std::sync::LazyLock::new(|| HostFacts::Unreachable("the host was not asked".to_owned()));
        self.hosts.get(name).unwrap_or(&NOT_ASKED)
    }
}

// Recorded facts are a list of {ask, said | unknown}, because JSON has no maps keyed by lists.
#[derive(Serialize, Deserialize)]
struct Recorded {
    ask: Question,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RecordedHost {
    Answers(Vec<Recorded>),
    Unreachable(String),
}

impl Serialize for Facts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let recorded: BTreeMap<_, _> = self.hosts.iter().map(|(name, host)| (name, RecordedHost::from(host))).collect();
        recorded.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let recorded = BTreeMap::<HostName, RecordedHost>::deserialize(deserializer)?;
        let hosts: BTreeMap<_, _> = recorded.into_iter().map(|(name, host)| (name, HostFacts::from(host))).collect();
        let round_trips = hosts.keys().map(|name| (name.clone(), 1)).collect();
        Ok(Facts { hosts, round_trips })
    }
}

impl From<&HostFacts> for RecordedHost {
    fn from(host: &HostFacts) -> Self {
        match host {
            HostFacts::Unreachable(why) => RecordedHost::Unreachable(why.clone()),
            HostFacts::Reached(answers) => RecordedHost::Answers(
                answers.iter().map(|(ask, answer)| Recorded { ask: ask.clone(), answer: answer.clone() }).collect(),
            ),
        }
    }
}

impl From<RecordedHost> for HostFacts {
    fn from(host: RecordedHost) -> Self {
        match host {
            RecordedHost::Unreachable(why) => HostFacts::Unreachable(why),
            RecordedHost::Answers(answers) => {
                HostFacts::Reached(answers.into_iter().map(|recorded| (recorded.ask, recorded.answer)).collect())
            }
        }
    }
}
