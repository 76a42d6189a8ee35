//! What is wrong, where, why and how to mend it: one struct for people (rustc's style) and machines (JSON).
//! A function that can find several problems returns all of them.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// A position in a file; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// A range of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The path as the user would type it from the directory of the configuration.
    pub file: String,
    pub start: Position,
    pub end: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub severity: Severity,
    /// Stable, kebab-case; `larder explain CODE` has the long form.
    pub code: String,
    /// One line: what is wrong.
    pub summary: String,
    /// Why it is wrong and how to mend it.
    pub detail: String,
    #[serde(rename = "range", skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Values of the references in the underlined expression, as `name` and printable value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(String, String)>,
    /// The instance in which it was found, where a block has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Where the module is called in which it was found, and what it is in; the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub called_from: Vec<Place>,
    /// In how many more instances the same is wrong at the same place.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_instances: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

pub type Problems = Vec<Problem>;

impl Problem {
    pub fn error(code: &str, summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Problem {
            severity: Severity::Error,
            code: code.to_owned(),
            summary: summary.into(),
            detail: detail.into(),
            place: None,
            values: Vec::new(),
            instance: None,
            called_from: Vec::new(),
            more_instances: 0,
        }
    }

    pub fn warning(code: &str, summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(code, summary, detail) }
    }

    /// The same problem at this place.
    pub fn at(mut self, place: Option<&Place>) -> Self {
        self.place = place.cloned();
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{word}[{}]: {}", self.code, self.summary)?;
        if let Some(place) = &self.place {
            write!(f, " ({}:{}:{})", place.file, place.start.line, place.start.column)?;
        }
        if !self.detail.is_empty() {
            write!(f, "\n  {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// The problems in the order of the text, each once: one problem at one place is not said again for each instance of a block.
pub fn in_order(mut problems: Problems) -> Problems {
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    // By code and place: the number of the one that is kept, and the instances in which it was found.
    let mut known = HashMap::new();
    let mut each_once: Problems = Vec::with_capacity(problems.len());
    for problem in problems {
        let Some(place) = problem.place.clone() else {
            each_once.push(problem);
            continue;
        };
        let (at, instances) =
            known.entry((problem.code.clone(), place)).or_insert((each_once.len(), HashSet::<Option<String>>::new()));
        let is_another = instances.insert(problem.instance.clone());
        match each_once.get_mut(*at) {
            None => each_once.push(problem),
            Some(first) => first.more_instances += usize::from(is_another),
        }
    }
    each_once
}

/// The name among `known` that the user most likely meant, if one is close enough.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&word.to_lowercase(), &name.to_lowercase());
    let best = known.into_iter().map(|name| (distance(name), name)).min()?;
    let length = word.chars().count();
    (best.0 <= 1 + length / 4 && best.0 < length).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: &str, line: usize, instance: Option<&str>) -> Problem {
        let at = |column| Position { line, column };
        let place = Place { file: "main.hcl".to_owned(), start: at(1), end: at(2) };
        let problem = Problem::error(code, "wrong", "Mend it.").at(Some(&place));
        Problem { instance: instance.map(str::to_owned), ..problem }
    }

    #[test]
    fn one_problem_at_one_place_is_said_once_with_the_number_of_instances() {
        let all = vec![
            problem("a", 3, Some("x[0]")),
            problem("b", 2, None),
            problem("a", 3, Some("x[1]")),
            problem("a", 3, Some("x[1]")),
            problem("b", 2, None),
            problem("a", 1, None),
            Problem::error("c", "nowhere", ""),
            Problem::error("c", "nowhere", ""),
        ];
        let said: Vec<_> = in_order(all)
            .into_iter()
            .map(|one| (one.code, one.place.map(|place| place.start.line), one.more_instances))
            .collect();
        let expected = [("c", None, 0), ("c", None, 0), ("a", Some(1), 0), ("b", Some(2), 0), ("a", Some(3), 1)];
        assert_eq!(said, expected.map(|(code, line, more)| (code.to_owned(), line, more)));
    }

    #[test]
    fn a_name_is_proposed_if_it_is_close_and_never_another_altogether() {
        let known = ["address", "port", "x", "hv1"];
        for (word, meant) in [
            ("adress", Some("address")),
            ("Port", Some("port")),
            ("hv2", Some("hv1")),
            ("y", None),
            ("", None),
            ("user", None),
        ] {
            assert_eq!(did_you_mean(word, known), meant, "{word}");
        }
    }
}
