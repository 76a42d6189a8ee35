//! Devices of several paths, as multipathd(8) sees them: which of their paths it uses.

use crate::model::{HostFacts, Question};

use super::{Known, failure};

/// The constant function of the question.
pub const FUNCTION: (&str, &str) = ("multipath_maps", include_str!("multipath_maps.sh"));

/// A path of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The kernel's name of the disk: `sdb`.
    pub disk: String,
    pub works: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The World Wide Identifier of the device.
    pub wwid: String,
    pub name: String,
    pub paths: Vec<Path>,
}

pub fn question() -> Question {
    Question::new(["multipath_maps"])
}

/// The devices of a host; `None` where multipathd does not run.
pub fn read(facts: &HostFacts) -> Known<Option<Vec<Paths>>> {
    let reply = facts.said(&question())?;
    match (reply.status, reply.out.as_str()) {
        (0, "off\n") => Ok(None),
        (0, text) => parse(text).map(Some).ok_or_else(|| "the answer of multipathd makes no sense".to_owned()),
        // What timeout(1) gives for a process that it had to end.
        (124 | 137, _) => Err("multipathd does not answer".to_owned()),
        _ => Err(format!("multipathd does not answer: {}", failure(&reply))),
    }
}

fn parse(text: &str) -> Option<Vec<Paths>> {
    let answer: serde_json::Value = serde_json::from_str(text).ok()?;
    let maps = answer.get("maps")?.as_array()?;
    maps.iter()
        .map(|map| {
            let mut paths = Vec::new();
            for group in map.get("path_groups")?.as_array()? {
                for path in group.get("paths")?.as_array()? {
                    paths.push(Path {
                        disk: path.get("dev")?.as_str()?.to_owned(),
                        // What the device mapper does with the path, not what a check will say of it in a moment.
                        works: path.get("dm_st")?.as_str()? == "active",
                    });
                }
            }
            let text = |name: &str| map.get(name)?.as_str().map(str::to_owned);
            Some(Paths { wwid: text("uuid")?, name: text("name")?, paths })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Answer, Reply};

    /// As multipathd 0.9.4 writes it, without what nobody reads.
    const SAID: &str = r#"{
   "major_version": 0,
   "minor_version": 1,
   "maps": [{
      "name" : "mpatha",
      "uuid" : "3600140587b6144a139142cd8fae5f23c",
      "sysfs" : "dm-0",
      "paths" : 2,
      "dm_st" : "active",
      "path_groups": [{
         "dm_st" : "active",
         "paths": [{ "dev" : "sdb", "dev_t" : "8:16", "dm_st" : "active", "dev_st" : "running", "chk_st" : "ready" }]
      },{
         "dm_st" : "enabled",
         "paths": [{ "dev" : "sdd", "dev_t" : "8:48", "dm_st" : "failed", "dev_st" : "blocked", "chk_st" : "faulty" }]
      }]
   }]
}
"#;

    #[test]
    fn paths_are_those_that_the_device_mapper_uses() {
        let maps = parse(SAID).expect("maps");
        let [map] = maps.as_slice() else { panic!("{maps:?}") };
        assert_eq!((map.name.as_str(), map.wwid.as_str()), ("mpatha", "3600140587b6144a139142cd8fae5f23c"));
        assert_eq!(
            map.paths.iter().map(|path| (path.disk.as_str(), path.works)).collect::<Vec<_>>(),
            [("sdb", true), ("sdd", false)]
        );
    }

    #[test]
    fn a_multipathd_that_says_nothing_is_unknown() {
        let table = [
            (0, "off\n", Some(0)),
            (0, r#"{"maps": []}"#, Some(0)),
            (0, SAID, Some(1)),
            (0, "", None),
            (124, "", None),
            (1, "x", None),
            (0, "{}", None),
        ];
        for (status, out, expected) in table {
            let reply = Reply { status, out: out.to_owned(), err: String::new() };
            let facts = HostFacts::Reached([(question(), Answer::Said(reply))].into());
            assert_eq!(read(&facts).ok().map(|maps| maps.unwrap_or_default().len()), expected, "{status} {out:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer_or_unknown(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
