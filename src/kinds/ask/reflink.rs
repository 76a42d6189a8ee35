//! Whether files of one directory can share blocks (ioctl_ficlone(2)).

use crate::model::{HostFacts, Question};

use super::{Known, failure};

pub fn question(directory: &str) -> Question {
    Question::new(["can_reflink", directory])
}

/// `None` where nobody can say before it is tried: the directory is not there yet, or its file system does not tell.
pub fn read(facts: &HostFacts, directory: &str) -> Known<Option<bool>> {
    let reply = facts.said(&question(directory))?;
    match (reply.status, reply.out.trim_end()) {
        (0, "yes") => Ok(Some(true)),
        (0, "no") => Ok(Some(false)),
        (0, "unknown") => Ok(None),
        _ => Err(failure(&reply)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, Reply};

    #[test]
    fn silence_is_no_no() {
        let told = |status: i32, out: &str| {
            let reply = Reply { status, out: out.to_owned(), err: String::new() };
            read(&HostFacts::Reached([(question("/srv"), Answer::Said(reply))].into()), "/srv")
        };
        assert_eq!(told(0, "yes\n"), Ok(Some(true)));
        assert_eq!(told(0, "no\n"), Ok(Some(false)));
        assert_eq!(told(0, "unknown\n"), Ok(None));
        assert!(told(0, "").is_err());
        assert!(told(137, "").is_err());
    }
}
