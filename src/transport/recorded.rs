//! Hosts that answer from a file: facts recorded earlier, as JSON. Planning with them needs no network.

use crate::model::Facts;

/// The facts in a recorded text.
pub fn read(text: &str) -> Result<Facts, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let facts = serde_path_to_error::deserialize(&mut json).map_err(|error| format!("recorded facts: {error}"))?;
    json.end().map_err(|error| format!("recorded facts: {error}"))?;
    Ok(facts)
}

/// The text that [`read`] reads back.
pub fn write(facts: &Facts) -> Result<String, String> {
    serde_json::to_string_pretty(facts).map(|text| text + "\n").map_err(|error| format!("recorded facts: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, HostFacts, Question, Reply};

    #[test]
    fn what_was_recorded_is_read_back() {
        let said = Answer::Said(Reply { status: 1, out: "a\u{1b}\n".into(), err: "e".into() });
        let unknown = Answer::Unknown("no answer within 30 s".into());
        let answers = [(Question::new(["a", ""]), said), (Question::new(["b"]), unknown)].into();
        let hosts = [("h1".into(), HostFacts::Reached(answers)), ("h2".into(), HostFacts::Unreachable("down".into()))];
        let round_trips = [("h1".into(), 1), ("h2".into(), 1)].into();
        let facts = Facts { hosts: hosts.into(), round_trips };
        assert_eq!(read(&write(&facts).expect("text")), Ok(facts));
    }

    #[test]
    fn what_is_not_facts_is_refused() {
        for text in ["", "[]", "{\"h\":{}}", "{} trailing", "{\"h\":{\"answers\":[{\"ask\":[\"a\"]}]}}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
