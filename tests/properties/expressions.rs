//! Expressions as people could write them: of every construct of the language, mostly of fitting types, over names that
//! the caller chooses.

use proptest::prelude::*;
use proptest::strategy::Union;

pub(crate) type Text = BoxedStrategy<String>;

/// What an expression is meant to be. Some come out otherwise, as they do from people.
#[derive(Debug, Clone)]
pub(crate) struct Shapes {
    pub(crate) text: Text,
    pub(crate) number: Text,
    pub(crate) bool: Text,
    pub(crate) list: Text,
    pub(crate) map: Text,
    pub(crate) any: Text,
}

/// Names by what they are meant to hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) text: Vec<String>,
    pub(crate) number: Vec<String>,
    pub(crate) bool: Vec<String>,
    pub(crate) list: Vec<String>,
    pub(crate) map: Vec<String>,
    pub(crate) any: Vec<String>,
}

impl Names {
    /// The names `ROOT.text`, `ROOT.number` and so on.
    pub(crate) fn of(root: &str) -> Names {
        let name = |shape: &str| vec![format!("{root}.{shape}")];
        Names {
            text: name("text"),
            number: name("number"),
            bool: name("bool"),
            list: [name("list"), name("numbers")].concat(),
            map: name("map"),
            any: [name("any"), name("nothing")].concat(),
        }
    }

    pub(crate) fn and(mut self, other: Names) -> Names {
        self.text.extend(other.text);
        self.number.extend(other.number);
        self.bool.extend(other.bool);
        self.list.extend(other.list);
        self.map.extend(other.map);
        self.any.extend(other.any);
        self
    }

    /// Expressions of these names that nest so deep.
    pub(crate) fn expressions(&self, depth: usize) -> Shapes {
        let (mut outside, mut inside) = (self.leaves(false), self.leaves(true));
        for _ in 0..depth {
            (outside, inside) = (grown(&outside, &inside), grown(&inside, &inside));
        }
        outside
    }

    /// Names, and expressions with one operator now and then: of many of them most have a value.
    pub(crate) fn simple(&self) -> Shapes {
        let (leaf, grown) = (self.leaves(false), self.expressions(1));
        let mixed = |leaf: Text, grown: Text| prop_oneof![3 => leaf, 1 => grown].boxed();
        Shapes {
            text: mixed(leaf.text, grown.text),
            number: mixed(leaf.number, grown.number),
            bool: mixed(leaf.bool, grown.bool),
            list: mixed(leaf.list, grown.list),
            map: mixed(leaf.map, grown.map),
            any: mixed(leaf.any, grown.any),
        }
    }

    fn leaves(&self, inside: bool) -> Shapes {
        let of = |literals: &[&str], names: &[String]| {
            let literals = literals.iter().map(|text| (1, Just((*text).to_owned()).boxed()));
            let names = names.iter().map(|text| (4, Just(text.clone()).boxed()));
            let item = inside.then(|| (3, Just("x".to_owned()).boxed()));
            Union::new_weighted(literals.chain(names).chain(item).collect()).boxed()
        };
        let text = of(&["\"\"", "\"a\"", "\"10\"", "\"é\""], &self.text);
        let number = of(&["0", "1", "2", "10.5"], &self.number);
        let bool = of(&["true", "false"], &self.bool);
        let list = of(&["[]", "[\"a\", \"b\"]", "[1, 2]"], &self.list);
        let map = of(&["{}", "{ a = 1 }", "{ a = \"x\", b = \"y\" }"], &self.map);
        let own = of(&["null"], &self.any);
        let any = prop_oneof![
            3 => own, 2 => text.clone(), 2 => number.clone(), 1 => bool.clone(), 2 => list.clone(), 1 => map.clone(),
        ]
        .boxed();
        Shapes { text, number, bool, list, map, any }
    }
}

/// Texts with `$1`, `$2`, `$3` in place of inner expressions.
fn filled(weight: u32, pattern: &'static str, parts: &[&Text]) -> (u32, Text) {
    let parts: Vec<Text> = parts.iter().map(|part| (*part).clone()).collect();
    let text = parts.prop_map(move |parts| {
        let mut text = pattern.to_owned();
        // From the last one, so that what is put in is not looked at again.
        for (number, part) in parts.iter().enumerate().rev() {
            text = text.replace(&format!("\u{1}{}", number + 1), part);
        }
        text
    });
    (weight, text.boxed())
}

/// The next level: constructs over `of`, with the bodies of loops over `body`.
fn grown(of: &Shapes, body: &Shapes) -> Shapes {
    let Shapes { text: t, number: n, bool: b, list: l, map: m, any: a } = of;
    macro_rules! table {
        ($($pattern:literal $(, $part:expr)* ;)*) => {
            vec![$(filled(1, concat_marks($pattern), &[$($part),*])),*]
        };
    }
    let text = table! {
        "\"x$1\"", &interpolated(a);
        "\"$1$2\"", &interpolated(t), &interpolated(n);
        "\"%{ if $1 }a%{ else }$2%{ endif }\"", b, &interpolated(t);
        "\"%{ for x in $1 }$2,%{ endfor }\"", l, &interpolated(&body.any);
        "($1 ? $2 : $3)", b, t, t;
        "upper($1)", t;
        "join(\"-\", $1)", l;
        "tostring($1)", a;
        "format(\"%s/%v\", $1, $2)", t, a;
        "substr($1, 0, $2)", t, n;
        "replace($1, $2, \"b\")", t, t;
        "jsonencode($1)", a;
        "yamlencode($1)", a;
        "lookup($1, $2, \"none\")", m, t;
        "try($1, $2)", a, t;
        "coalesce($1, $2)", a, t;
        "element($1, $2)", l, n;
        "$1[0]", l;
        "$1.a", m;
        "$1[$2]", m, t;
        "one($1)", l;
        "type($1)", a;
        "templatestring(\"<$${v}>\", { v = $1 })", a;
        "base64encode($1)", t;
        "trimprefix($1, $2)", t, t;
    };
    let number = table! {
        "$1 + $2", n, n;
        "$1 * $2", n, n;
        "$1 / $2", n, n;
        "$1 % $2", n, n;
        "-$1", n;
        "length($1)", a;
        "length($1)", l;
        "tonumber($1)", a;
        "max($1, $2)", n, n;
        "sum($1)", l;
        "index($1, $2)", l, a;
        "($1 ? $2 : $3)", b, n, n;
        "floor($1)", n;
        "try($1, $2)", a, n;
        "coalesce($1, $2)", a, n;
        "$1[1]", l;
        "parseint($1, 10)", t;
    };
    let bool = table! {
        "$1 == $2", a, a;
        "$1 != $2", a, a;
        "$1 == $2", l, l;
        "$1 < $2", n, n;
        "$1 && $2", b, b;
        "$1 || $2", b, b;
        "!$1", b;
        "contains($1, $2)", l, a;
        "can($1)", a;
        "alltrue([$1, $2])", b, b;
        "anytrue([$1, $2])", b, b;
        "startswith($1, $2)", t, t;
        "issensitive($1)", a;
        "($1 ? $2 : $3)", b, b, a;
        "tobool($1)", a;
    };
    let list = table! {
        "[$1, $2]", a, a;
        "[$1]", a;
        "[for x in $1 : $2]", l, &body.any;
        "[for x in $1 : x if $2]", l, &body.bool;
        "[for k, x in $1 : [k, $2]]", m, &body.any;
        "concat($1, $2)", l, l;
        "values($1)", m;
        "keys($1)", m;
        "tolist($1)", l;
        "toset($1)", l;
        "distinct($1)", l;
        "flatten([$1, $2])", l, l;
        "reverse($1)", l;
        "slice($1, 0, $2)", l, n;
        "$1[*]", a;
        "$1[*].a", l;
        "range($1)", n;
        "setunion($1, $2)", l, l;
        "setsubtract($1, $2)", l, l;
        "setproduct($1, $2)", l, l;
        "sort($1)", l;
        "compact($1)", l;
        "chunklist($1, 2)", l;
        "split(\"a\", $1)", t;
        "coalescelist($1, $2)", l, l;
        "matchkeys($1, $2, $3)", l, l, l;
        "formatlist(\"%s.%s\", $1, $2)", l, t;
        "($1 ? $2 : $3)", b, l, l;
        "try($1, $2)", a, l;
        "regexall(\"[a-z]\", $1)", t;
        "tolist([$1, $2])", a, a;
        "toset([$1, $2])", a, a;
        "convert($1, list(string))", l;
    };
    let map = table! {
        "{ a = $1, b = $2 }", a, a;
        "{ ($1) = $2 }", t, a;
        "{ for k, x in $1 : k => $2 }", m, &body.any;
        "{ for x in $1 : x => $2 }", l, &body.any;
        "{ for x in $1 : $2 => x... }", l, &body.text;
        "{ for k, x in $1 : k => x if $2 }", m, &body.bool;
        "merge($1, $2)", m, m;
        "zipmap($1, $2)", l, l;
        "tomap($1)", m;
        "tomap({ a = $1, b = $2 })", a, a;
        "($1 ? $2 : $3)", b, m, m;
        "try($1, $2)", a, m;
        "convert($1, map(string))", m;
        "convert($1, object({ a = string, b = optional(number, 7) }))", m;
        "transpose($1)", m;
    };
    let any = table! {
        "$1.a", a;
        "$1[$2]", a, a;
        "($1 ? $2 : $3)", b, a, a;
        "jsondecode(jsonencode($1))", a;
        "yamldecode(yamlencode($1))", a;
        "try($1, $2)", a, a;
        "coalesce($1, $2)", a, a;
        "lookup($1, $2, $3)", m, t, a;
        "sensitive($1)", a;
        "nonsensitive($1)", a;
        "merge($1, $2)[$3]", m, m, t;
    };
    let level = |own: Vec<(u32, Text)>, leaf: &Text| {
        let weight = own.len() as u32 / 3;
        Union::new_weighted(own.into_iter().chain([(weight.max(1), leaf.clone())]).collect()).boxed()
    };
    let (text, number, bool) = (level(text, t), level(number, n), level(bool, b));
    let (list, map, own) = (level(list, l), level(map, m), level(any, a));
    let any = prop_oneof![
        3 => own, 2 => text.clone(), 2 => number.clone(), 2 => bool.clone(), 2 => list.clone(), 2 => map.clone(),
    ]
    .boxed();
    Shapes { text, number, bool, list, map, any }
}

/// The pattern with marks that no expression holds, kept for the whole run.
fn concat_marks(pattern: &'static str) -> &'static str {
    // A `$` before a digit is a place to fill in; others are those of templates.
    let marked =
        (1..=3).fold(pattern.to_owned(), |text, number| text.replace(&format!("${number}"), &format!("\u{1}{number}")));
    Box::leak(marked.into_boxed_str())
}

/// The expression as a part of a template.
fn interpolated(of: &Text) -> Text {
    of.clone().prop_map(|inner| format!("${{{inner}}}")).boxed()
}
