//! SELinux: whether guests may use file systems that cannot be labelled, which a boolean of the policy decides for each sort of them.

use crate::model::{HostFacts, Question};

use super::{Known, failure};

/// How a boolean stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boolean {
    /// There is no SELinux, or its policy has no such boolean: nothing depends on it.
    None,
    Off,
    /// On, and perhaps off again after the next boot.
    On {
        is_kept: bool,
    },
}

pub fn question(boolean: &str) -> Question {
    Question::new(["selinux_boolean", boolean])
}

pub fn read(facts: &HostFacts, boolean: &str) -> Known<Boolean> {
    let reply = facts.said(&question(boolean))?;
    let lines: Vec<_> = reply.out.lines().collect();
    let is_on = |word: &str| matches!(word, "1" | "on" | "true");
    match lines.as_slice() {
        ["none", "end"] if reply.status == 0 => Ok(Boolean::None),
        [now, kept, "end"] if reply.status == 0 => match (now.strip_prefix("now "), kept.strip_prefix("kept ")) {
            (Some("-"), Some(_)) => Ok(Boolean::None),
            (Some("0"), Some(_)) => Ok(Boolean::Off),
            (Some("1"), Some(kept)) => Ok(Boolean::On { is_kept: is_on(kept) }),
            _ => Err(format!("what the host says of the SELinux boolean {boolean} makes no sense")),
        },
        _ => Err(failure(&reply)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, Reply};

    #[test]
    fn a_boolean_is_on_now_and_perhaps_after_the_next_boot() {
        let table = [
            ("none\nend\n", Ok(Boolean::None)),
            ("now -\nkept -\nend\n", Ok(Boolean::None)),
            ("now 0\nkept -\nend\n", Ok(Boolean::Off)),
            ("now 0\nkept 1\nend\n", Ok(Boolean::Off)),
            ("now 1\nkept -\nend\n", Ok(Boolean::On { is_kept: false })),
            ("now 1\nkept 0\nend\n", Ok(Boolean::On { is_kept: false })),
            ("now 1\nkept 1\nend\n", Ok(Boolean::On { is_kept: true })),
            ("now 1\nkept true\nend\n", Ok(Boolean::On { is_kept: true })),
            ("now 1\n", Err(())),
            ("now x\nkept 1\nend\n", Err(())),
            ("", Err(())),
        ];
        for (out, expected) in table {
            let reply = Reply { status: 0, out: out.into(), err: String::new() };
            let facts = HostFacts::Reached([(question("virt_use_nfs"), Answer::Said(reply))].into());
            assert_eq!(read(&facts, "virt_use_nfs").map_err(|_| ()), expected, "{out:?}");
        }
        assert!(read(&HostFacts::Reached([].into()), "virt_use_nfs").is_err(), "what nobody asked is not known");
    }
}
