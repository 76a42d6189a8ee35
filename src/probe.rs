//! Asks every host once, all hosts at the same time. Reads, never writes; what cannot be known stays unknown.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::model::{Connection, Facts, HostFacts, HostName, Question, Secrets};
use crate::transport::{self, Scripts, Session, Unreachable};

/// What hosts are asked, and how they are reached.
pub type Questions = BTreeMap<HostName, (Connection, Vec<Question>)>;

/// Opens a session on each host, which knows these secrets, and asks it its questions in one round trip; `parallelism` is how
/// many hosts at once.
/// Gives the facts, and the sessions that an apply can go on with. A host that cannot be reached is
/// [`HostFacts::Unreachable`].
pub async fn gather(
    hosts: Questions,
    scripts: &Scripts,
    secrets: &Arc<Secrets>,
    parallelism: usize,
) -> (Facts, BTreeMap<HostName, Session>) {
    let scripts = Arc::new(scripts.clone());
    let turns = Arc::new(Semaphore::new(parallelism.clamp(1, Semaphore::MAX_PERMITS)));
    let mut facts = Facts::default();
    let mut sessions = BTreeMap::new();
    let mut asked = JoinSet::new();
    for (name, (connection, questions)) in hosts {
        // Stands unless the host says something.
        let silent = HostFacts::Unreachable("the probe was interrupted".to_owned());
        facts.hosts.insert(name.clone(), silent);
        let (scripts, secrets, turns) = (Arc::clone(&scripts), Arc::clone(secrets), Arc::clone(&turns));
        asked.spawn(async move {
            let _turn = turns.acquire_owned().await;
            let answered = ask(&name, &connection, &questions, &scripts, secrets).await;
            (name, answered)
        });
    }
    while let Some(joined) = asked.join_next().await {
        let Ok((name, answered)) = joined else { continue };
        let known = match answered {
            Err(Unreachable(why)) => HostFacts::Unreachable(why),
            Ok((answers, session)) => {
                facts.round_trips.insert(name.clone(), session.round_trips());
                if session.gone().is_none() {
                    sessions.insert(name.clone(), session);
                }
                answers
            }
        };
        facts.hosts.insert(name, known);
    }
    (facts, sessions)
}

async fn ask(
    name: &HostName,
    connection: &Connection,
    questions: &[Question],
    scripts: &Scripts,
    secrets: Arc<Secrets>,
) -> Result<(HostFacts, Session), Unreachable> {
    let mut session = transport::open(name, connection, scripts).await?.knowing(secrets);
    let answers = session.ask(questions).await;
    Ok((HostFacts::Reached(answers), session))
}

/// Asks further questions through the sessions, one round trip for each host, all hosts at the same time. A host that is lost
/// meanwhile has no session any more and is [`HostFacts::Unreachable`]: half of what it said would be taken for all of it.
pub async fn ask_more(
    questions: BTreeMap<HostName, Vec<Question>>,
    facts: &mut Facts,
    sessions: &mut BTreeMap<HostName, Session>,
) {
    let mut asked = JoinSet::new();
    for (name, questions) in questions {
        let known = facts.hosts.get(&name);
        let is_new = |question: &Question| match known {
            Some(HostFacts::Reached(answers)) => !answers.contains_key(question),
            _ => false,
        };
        let new: Vec<Question> = questions.into_iter().filter(is_new).collect();
        if new.is_empty() {
            continue;
        }
        let Some(mut session) = sessions.remove(&name) else {
            facts.hosts.insert(name, HostFacts::Unreachable("the connection was lost".to_owned()));
            continue;
        };
        asked.spawn(async move {
            let answers = session.ask(&new).await;
            (name, answers, session)
        });
    }
    while let Some(joined) = asked.join_next().await {
        let Ok((name, answers, session)) = joined else { continue };
        facts.round_trips.insert(name.clone(), session.round_trips());
        if let Some(why) = session.gone() {
            facts.hosts.insert(name, HostFacts::Unreachable(why.to_owned()));
            continue;
        }
        if let Some(HostFacts::Reached(known)) = facts.hosts.get_mut(&name) {
            known.extend(answers);
        }
        sessions.insert(name, session);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::host::{Reach, Ssh};
    use crate::model::{Answer, Reply};

    fn connection(reach: Reach) -> Connection {
        Connection { reach, becomes_root: false, connect_timeout: Duration::from_secs(5) }
    }

    #[tokio::test]
    async fn each_host_is_asked_once_and_one_that_is_down_stops_no_other() {
        let questions: Vec<Question> = (0..20).map(|n| Question::new(["hello", &n.to_string()])).collect();
        let scripts = [("hello".to_owned(), "printf 'hello %s\\n' \"$1\"".to_owned())].into();
        let refused = connection(Reach::Ssh(Ssh { address: "-oX".into(), ..Ssh::default() }));
        let hosts = [
            ("a".into(), (connection(Reach::Local), questions.clone())),
            ("b".into(), (connection(Reach::Local), questions)),
            ("down".into(), (refused, vec![])),
        ];
        let (facts, sessions) = gather(hosts.into(), &scripts, &Arc::default(), 2).await;
        let reply = Reply { status: 0, out: "hello 7\n".into(), err: String::new() };
        for name in ["a", "b"] {
            let answer = facts.host(&name.into()).answer(&Question::new(["hello", "7"]));
            assert_eq!(answer, Answer::Said(reply.clone()));
            assert_eq!(facts.round_trips.get(&name.into()), Some(&1));
        }
        assert!(matches!(facts.host(&"down".into()), HostFacts::Unreachable(why) if why.contains("-oX")));
        assert_eq!(sessions.keys().map(HostName::as_str).collect::<Vec<_>>(), ["a", "b"]);
        let (mut facts, mut sessions) = (facts, sessions);
        let further =
            |name: &str| (HostName::from(name), vec![Question::new(["hello", "7"]), Question::new(["hello", "x"])]);
        ask_more(["a", "down"].map(further).into(), &mut facts, &mut sessions).await;
        assert!(matches!(facts.host(&"a".into()).answer(&Question::new(["hello", "x"])), Answer::Said(_)));
        assert_eq!([facts.round_trips[&"a".into()], facts.round_trips[&"b".into()]], [2, 1]);
        assert!(matches!(facts.host(&"down".into()), HostFacts::Unreachable(why) if why.contains("-oX")));
        for session in sessions.into_values() {
            session.close().await;
        }
    }
}
