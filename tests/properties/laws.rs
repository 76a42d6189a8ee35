//! Laws of the functions and of numbers: what is written and read back is the same, and arithmetic is that of exact
//! fractions.

use dashu_int::ops::{DivRem, UnsignedAbs};
use dashu_int::{IBig, UBig};
use larder::config::{Configuration, Inputs, Value, load};
use larder::kinds;
use larder::model::address::ModuleStep;
use larder::model::block::Attributes as _;
use larder::model::{Address, Key, Mode, Size};
use proptest::prelude::*;
use serde_json::json;

use crate::check;

fn configuration(text: &str) -> Configuration {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), text).expect("a file");
    let loaded = load(directory.path(), &Inputs::default(), kinds::table());
    loaded.configuration.unwrap_or_else(|| panic!("{:#?}\n{text}", loaded.problems))
}

/// Evaluates expressions that stand alone.
struct Console(Configuration);

impl Console {
    fn new() -> Self {
        Console(configuration(""))
    }

    fn value(&self, expression: &str) -> Result<Value, TestCaseError> {
        self.0.expression(expression, None).map_err(|problems| {
            TestCaseError::fail(format!(
                "{expression}: {}",
                problems.first().map_or(String::new(), ToString::to_string)
            ))
        })
    }

    /// The expression is true.
    fn holds(&self, expression: &str) -> Result<(), TestCaseError> {
        let value = self.value(expression)?;
        prop_assert!(value.as_bool() == Some(true), "{expression} is {value:?}");
        Ok(())
    }
}

/// A text as it is written in a configuration.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Without knowing what follows: `$` may begin a template.
            '$' | '%' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if c.is_control() || u32::from(c) > 0xffff => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A value as it is written in a configuration.
fn written(value: &serde_json::Value) -> String {
    use serde_json::Value as Json;
    match value {
        Json::String(text) => quoted(text),
        Json::Array(elements) => format!("[{}]", elements.iter().map(written).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("({}) = {}", quoted(name), written(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9 ,.:#&*!|>'\"%@`{}\\[\\]?\\\\/~=-]{0,12}",
        2 => "(true|false|null|yes|no|on|~|1e3|0x1F|0o7|1_000|\\.5|-|---|\\.\\.\\.|2001-01-01|=|<<|&a|\\*a|!!str x|# c|a: b|- a|\\? a)",
        2 => any::<String>(),
        1 => "[a-b\n\t ]{0,10}",
        1 => "[a-c]{0,3}(\r\n|\n|\r|\u{2028}|\u{85}|\u{feff}|\u{0})[a-c ]{0,3}\n{0,3}",
    ]
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(serde_json::Value::from),
        (-1000i64..1000, 0u32..6).prop_map(|(n, e)| json!(n as f64 / 10f64.powi(e as i32))),
    ];
    let leaf = prop_oneof![3 => texts().prop_map(serde_json::Value::from), 2 => number, 1 => any::<bool>().prop_map(serde_json::Value::from), 1 => Just(json!(null))];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map(texts(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

#[test]
fn what_is_encoded_is_decoded_again() {
    let console = Console::new();
    check(100, values(), |value| {
        let text = written(&value);
        let first = console.value(&text)?;
        for (decode, encode) in [("jsondecode", "jsonencode"), ("yamldecode", "yamlencode")] {
            let again = console.value(&format!("{decode}({encode}({text}))"))?;
            prop_assert_eq!(first.to_json_text(), again.to_json_text(), "{} of {}", encode, text);
            prop_assert_eq!(first.ty(), again.ty(), "{} of {}", encode, text);
        }
        Ok(())
    });
    check(60, texts(), |text| {
        let text = quoted(&text);
        for (decode, encode) in [
            ("base64decode", "base64encode"),
            ("urldecode", "urlencode"),
            ("base64gunzip", "base64gzip"),
            ("strrev", "strrev"),
        ] {
            // Marks that combine with what stands before them go with it.
            if encode == "strrev" && (!text.is_ascii() || text.contains("\\r")) {
                continue;
            }
            console.holds(&format!("{decode}({encode}({text})) == {text}"))?;
        }
        for encoding in ["UTF-8", "UTF-16LE", "UTF-16BE"] {
            console.holds(&format!(
                "textdecodebase64(textencodebase64({text}, \"{encoding}\"), \"{encoding}\") == {text}"
            ))?;
        }
        Ok(())
    });
}

#[test]
fn collections_have_the_laws_of_collections() {
    let console = Console::new();
    let list = || prop::collection::vec(prop_oneof!["[a-c]", "[0-9]", Just("é".to_owned())], 0..5);
    let map = || prop::collection::btree_map("[a-c]", 0..4i64, 0..4);
    check(60, (list(), list(), list(), map(), map(), 1..4usize), |(a, b, c, m, n, size)| {
        let list = |of: &[String]| format!("convert({}, list(string))", written(&json!(of)));
        let (a, b, c) = (list(&a), list(&b), list(&c));
        let (m, n) = (written(&json!(m)), written(&json!(n)));
        let locals = format!(
            "locals {{\n  a = {a}\n  b = {b}\n  c = {c}\n  m = {m}\n  n = {n}\n  s = toset(local.a)\n  t = toset(local.b)\n  u = toset(local.c)\n}}\n"
        );
        let console = Console(configuration(&locals));
        for law in [
            "setunion(local.s, local.t) == setunion(local.t, local.s)",
            "setintersection(local.s, local.t) == setintersection(local.t, local.s)",
            "setunion(local.s, setunion(local.t, local.u)) == setunion(setunion(local.s, local.t), local.u)",
            "setintersection(local.s, setunion(local.t, local.u)) == setunion(setintersection(local.s, local.t), setintersection(local.s, local.u))",
            "setsubtract(local.s, setsubtract(local.s, local.t)) == setintersection(local.s, local.t)",
            "setunion(setsubtract(local.s, local.t), setintersection(local.s, local.t)) == local.s",
            "length(setunion(local.s, local.t)) + length(setintersection(local.s, local.t)) == length(local.s) + length(local.t)",
            "length(setproduct(local.s, local.t)) == length(local.s) * length(local.t)",
            "toset(tolist(local.s)) == local.s",
            "toset(distinct(local.a)) == local.s",
            "distinct(concat(local.a, local.a)) == distinct(local.a)",
            "length(distinct(local.a)) == length(local.s)",
            "sort(sort(local.a)) == sort(local.a)",
            "sort(reverse(local.a)) == sort(local.a)",
            "tolist(local.s) == sort(distinct(local.a))",
            "reverse(reverse(local.a)) == local.a",
            "length(concat(local.a, local.b)) == length(local.a) + length(local.b)",
            "reverse(concat(local.a, local.b)) == concat(reverse(local.b), reverse(local.a))",
            "slice(concat(local.a, local.b), 0, length(local.a)) == local.a",
            "alltrue([for x in local.a : contains(local.a, x) && local.a[index(local.a, x)] == x])",
            "alltrue([for i in range(length(local.a)) : element(local.a, i + length(local.a)) == local.a[i]])",
            "compact(local.a) == convert([for x in local.a : x if x != \"\"], list(string))",
            "length(local.a) == 0 || split(\"/\", join(\"/\", local.a)) == local.a",
            "zipmap(keys(local.m), values(local.m)) == local.m",
            "merge(local.m, {}) == local.m",
            "merge(local.m, local.m) == local.m",
            "merge(local.m, merge(local.n, local.m)) == merge(local.n, local.m)",
            "toset(keys(merge(local.m, local.n))) == setunion(toset(concat([], keys(local.m))), toset(keys(local.n)))",
            "{ for k, v in local.m : k => v } == local.m",
            "alltrue([for k, v in local.m : lookup(local.m, k, -1) == v && local.m[k] == v])",
            "tomap(tomap(local.m)) == tomap(local.m)",
            "tolist(tolist(local.a)) == tolist(local.a)",
            "convert(convert(local.m, map(string)), map(number)) == convert(local.m, map(number))",
            "convert(convert(local.a, set(string)), list(string)) == tolist(local.s)",
            "matchkeys(local.a, local.a, local.a) == local.a",
            "jsonencode(coalescelist(local.a, [\"z\"])) == jsonencode(length(local.a) > 0 ? local.a : [\"z\"])",
            "jsonencode([for x in local.a : x]) == jsonencode(local.a)",
            "jsonencode(local.a[*]) == jsonencode(local.a)",
            "jsonencode(transpose(transpose({ for x in distinct(local.a) : x => [\"z\"] }))) == jsonencode({ for x in distinct(local.a) : x => [\"z\"] })",
        ] {
            console.holds(law).map_err(|error| TestCaseError::fail(format!("{error}\n{locals}")))?;
        }
        console.holds(&format!("flatten(chunklist(local.a, {size})) == flatten([local.a])"))?;
        Ok(())
    });
    console.holds("{} == {} && [] == []").expect("no case is lost");
}

/// A fraction, exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fraction {
    numerator: IBig,
    denominator: UBig,
}

impl Fraction {
    /// Reads decimal notation without an exponent.
    fn parse(text: &str) -> Option<Fraction> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let numerator = IBig::from_str_radix(&format!("{whole}{fraction}"), 10).ok()?;
        Some(Fraction { numerator, denominator: UBig::from(10u8).pow(fraction.len()) })
    }

    fn add(&self, other: &Fraction) -> Fraction {
        let numerator = &self.numerator * IBig::from(other.denominator.clone())
            + &other.numerator * IBig::from(self.denominator.clone());
        Fraction { numerator, denominator: &self.denominator * &other.denominator }
    }

    fn negated(&self) -> Fraction {
        Fraction { numerator: -self.numerator.clone(), denominator: self.denominator.clone() }
    }

    fn mul(&self, other: &Fraction) -> Fraction {
        let numerator = &self.numerator * &other.numerator;
        Fraction { numerator, denominator: &self.denominator * &other.denominator }
    }

    fn inverse(&self) -> Option<Fraction> {
        let denominator = self.numerator.clone().unsigned_abs();
        let numerator = IBig::from(self.denominator.clone());
        let numerator = if self.numerator < IBig::ZERO { -numerator } else { numerator };
        (!denominator.is_zero()).then_some(Fraction { numerator, denominator })
    }

    fn less(&self, other: &Fraction) -> bool {
        self.add(&other.negated()).numerator < IBig::ZERO
    }

    /// The largest whole number that is not larger.
    fn floor(&self) -> IBig {
        let denominator = IBig::from(self.denominator.clone());
        let (quotient, rest) = self.numerator.clone().div_rem(denominator);
        if rest < IBig::ZERO { quotient - IBig::ONE } else { quotient }
    }

    /// Whether the other number is this one, to so many bits of it.
    fn is_close(&self, other: &Fraction, bits: usize) -> bool {
        let difference = self.add(&other.negated());
        let left = (difference.numerator.unsigned_abs() * &self.denominator) << bits;
        left <= self.numerator.clone().unsigned_abs() * difference.denominator
    }
}

#[test]
fn arithmetic_is_that_of_exact_fractions() {
    let console = Console::new();
    let number = || {
        prop_oneof![
            3 => "-?[1-9][0-9]{0,20}",
            2 => "-?(0|[1-9][0-9]{0,9})\\.[0-9]{1,12}",
            1 => "-?[1-9][0-9]{60,70}",
            1 => Just("0".to_owned()),
        ]
    };
    check(100, (number(), number()), |(a, b)| {
        let (x, y) = (Fraction::parse(&a).expect("a number"), Fraction::parse(&b).expect("a number"));
        let is_whole = !a.contains('.') && !b.contains('.');
        let result = |expression: String| -> Result<Fraction, TestCaseError> {
            let text = console.value(&format!("tostring({expression})"))?;
            let text = text.as_text().expect("a text").to_string();
            Fraction::parse(&text).ok_or_else(|| TestCaseError::fail(format!("{expression} is {text}")))
        };
        let same = |expression: String, exact: &Fraction| -> Result<(), TestCaseError> {
            let got = result(expression.clone())?;
            // Whole numbers are exact; others have 512 bits, of which the last may be rounded twice.
            let holds = match is_whole && exact.denominator == UBig::ONE {
                true => got.add(&exact.negated()).numerator.is_zero(),
                false => exact.is_close(&got, 480),
            };
            prop_assert!(holds, "{expression} is {got:?}, not {exact:?}");
            Ok(())
        };
        same(format!("({a}) + ({b})"), &x.add(&y)).or_else(|error| match is_whole {
            // What cancels out takes the bits of fractions with it.
            false if x.add(&y).numerator.is_zero() => Ok(()),
            _ => Err(error),
        })?;
        same(format!("({a}) * ({b})"), &x.mul(&y))?;
        if let Some(inverse) = y.inverse() {
            same(format!("({a}) / ({b})"), &x.mul(&inverse))?;
        }
        if is_whole && !y.numerator.is_zero() {
            let rest = x.numerator.clone().div_rem(y.numerator.clone()).1;
            same(format!("({a}) % ({b})"), &Fraction { numerator: rest, denominator: UBig::ONE })?;
        }
        let whole = |numerator: IBig| Fraction { numerator, denominator: UBig::ONE };
        for (expression, exact) in [
            (format!("floor({a})"), whole(x.floor())),
            (format!("ceil({a})"), whole(-x.negated().floor())),
            (format!("abs({a})"), if x.numerator < IBig::ZERO { x.negated() } else { x.clone() }),
            (format!("max({a}, {b})"), if x.less(&y) { y.clone() } else { x.clone() }),
            (format!("min({a}, {b})"), if y.less(&x) { y.clone() } else { x.clone() }),
        ] {
            let got = result(expression.clone())?;
            prop_assert!(got.add(&exact.negated()).numerator.is_zero(), "{expression} is {got:?}");
        }
        for (operator, holds) in [("<", x.less(&y)), (">", y.less(&x)), ("<=", !y.less(&x)), (">=", !x.less(&y))] {
            console.holds(&format!("({a} {operator} {b}) == {holds}"))?;
        }
        Ok(())
    });
}

#[test]
fn a_number_has_one_text_and_comes_back_from_it() {
    let console = Console::new();
    let number = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{0,20}[1-9])?";
    check(120, (number, number), |(text, other)| {
        let canonical = if text == "-0" { "0" } else { &text };
        console.holds(&format!("tostring(tonumber(\"{text}\")) == \"{canonical}\""))?;
        console.holds(&format!("tostring({text}) == \"{canonical}\" && \"x${{{text}}}\" == \"x{canonical}\""))?;
        console.holds(&format!(
            "tonumber(\"{text}\") == {text} && jsondecode(\"{text}\") == {text} && yamldecode(\"{text}\") == {text}"
        ))?;
        if other.trim_start_matches('-') != "0" {
            let quotient = format!("({text} / {other})");
            console.holds(&format!("tonumber(tostring{quotient}) == {quotient}"))?;
            console.holds(&format!("jsondecode(jsonencode{quotient}) == {quotient}"))?;
        }
        Ok(())
    });
    for text in ["", " 1", "1 ", "0x10", "1_000", "1e", "--1", "1.2.3", "NaN", "٣", "１"] {
        assert!(console.value(&format!("tonumber({})", quoted(text))).is_err(), "{text:?} is no number");
    }
}

#[test]
fn sizes_durations_and_modes_come_back_from_their_texts() {
    let units = [
        ("", 1u128),
        ("K", 1 << 10),
        ("KiB", 1 << 10),
        ("KB", 1000),
        ("M", 1 << 20),
        ("MB", 1_000_000),
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("T", 1 << 40),
        ("PiB", 1 << 50),
        ("EB", 1_000_000_000_000_000_000),
    ];
    check(400, (0..units.len(), 0u64..100_000, 0u32..8), |(unit, number, quarters)| {
        let (unit, bytes) = units[unit];
        // Quarters of a unit are exact; of a byte there are none.
        let (text, exact) = match unit.is_empty() {
            true => (number.to_string(), u128::from(number)),
            false => (
                format!("{number}.{:02}{unit}", quarters % 4 * 25),
                (u128::from(number) * 4 + u128::from(quarters % 4)) * bytes / 4,
            ),
        };
        match (text.parse::<Size>(), u64::try_from(exact)) {
            (Ok(size), Ok(exact)) => {
                prop_assert_eq!(size, Size(exact), "{}", text);
                prop_assert_eq!(size.to_string().parse::<Size>(), Ok(size));
            }
            (Err(_), Err(_)) => {}
            (size, exact) => prop_assert!(false, "{text} is {size:?}, not {exact:?}"),
        }
        Ok(())
    });
    for bits in 0..0o10000u16 {
        let mode = Mode::new(bits).expect("twelve bits");
        assert_eq!(mode.to_string().parse::<Mode>(), Ok(mode));
        assert_eq!(format!("{bits:03o}").parse::<Mode>(), Ok(mode));
    }
    let parts = prop::collection::vec(
        (
            0u64..5_000,
            prop::sample::select(vec![("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]),
        ),
        1..5,
    );
    check(25, prop::collection::vec((parts, 0..0o10000u16, 1u64..1 << 40), 1..8), |all| {
        // As a configuration says it, and again with what it says of itself.
        let mut texts: Vec<(String, String, String)> = all
            .iter()
            .map(|(parts, mode, size)| {
                let duration: String = parts.iter().map(|(number, (unit, _))| format!("{number}{unit}")).collect();
                (quoted(&duration), format!("{mode:04o}"), (size * 512).to_string())
            })
            .collect();
        for _ in 0..2 {
            let mut text = String::new();
            for (number, (duration, mode, size)) in texts.iter().enumerate() {
                text.push_str(&format!(
                    "host \"h{number}\" {{\n  address = \"192.0.2.1\"\n  connect_timeout = {duration}\n}}\n\
                     image_storage \"s{number}\" {{\n  hosts = [host.h{number}]\n  owner = \"root\"\n  mode = {mode}\n}}\n\
                     external_volume \"v{number}\" {{\n  storage = image_storage.s{number}\n  mount_point = \"/srv/x\"\n  directory {{}}\n}}\n\
                     image \"i{number}\" {{\n  volume = external_volume.v{number}\n  format = \"raw\"\n  size = {size}\n}}\n"
                ));
            }
            let configuration = configuration(&text);
            let evaluated = configuration.evaluate(None);
            prop_assert!(evaluated.problems.is_empty(), "{:#?}\n{text}", evaluated.problems);
            for (number, (parts, mode, size)) in all.iter().enumerate() {
                let block = |kind: &str, name: String| &evaluated.desired.blocks[&Address::root(kind, &name)];
                let milliseconds: u64 = parts.iter().map(|(number, (_, unit))| number * unit).sum();
                prop_assert_eq!(block("host", format!("h{number}")).duration("connect_timeout"), Some(milliseconds));
                prop_assert_eq!(block("image_storage", format!("s{number}")).mode("mode"), Mode::new(*mode));
                prop_assert_eq!(block("image", format!("i{number}")).size("size"), Some(Size(size * 512)));
            }
            let all = (0..texts.len())
                .map(|number| {
                    format!("[host.h{number}.connect_timeout, image_storage.s{number}.mode, image.i{number}.size]")
                })
                .collect::<Vec<_>>();
            let said = configuration.expression(&format!("[{}]", all.join(", ")), None).expect("values");
            let said: Vec<[String; 3]> = serde_json::from_value(said.to_json().expect("known")).expect("texts");
            texts = said
                .into_iter()
                .map(|[duration, mode, size]| (quoted(&duration), quoted(&mode), quoted(&size)))
                .collect();
        }
        Ok(())
    });
}

#[test]
fn an_address_in_a_configuration_is_the_address_that_is_shown() {
    let name = || {
        "[a-zA-Z_][a-zA-Z0-9_-]{0,6}"
            .prop_filter("a word of its own", |name| !["module", "null", "true", "false"].contains(&name.as_str()))
    };
    // `${` and `%{` begin a template where an address is written, and not every escape of JSON is one there.
    let text = prop_oneof![
        "[ -~é日]{0,8}",
        "([$%]{1,3}[{~}]|[\\x00-\\x1f\\x7f\"\\\\bf]|\\\\?[ux]0008){0,4}",
        any::<String>().prop_filter("values are normalized", |text| unicode_normalization::is_nfc(text)),
    ];
    let key = || {
        prop_oneof![
            Just(None),
            any::<u64>().prop_map(|index| Some(Key::Index(index))),
            text.clone().prop_map(|text| Some(Key::Text(text.into())))
        ]
    };
    let kind = prop::sample::select(kinds::table().iter().map(|kind| kind.name()).collect::<Vec<_>>());
    let steps = prop::collection::vec((name(), key()), 0..3);
    check(300, (steps, kind, name(), key()), |(steps, kind, name, key)| {
        let module: std::sync::Arc<[ModuleStep]> =
            steps.into_iter().map(|(name, key)| ModuleStep { name: name.into(), key }).collect();
        let address = Address::new(module, kind, name, key);
        let configuration = configuration(&format!("removed {{\n  from = {address}\n}}\n"));
        let evaluated = configuration.evaluate(None);
        prop_assert!(evaluated.problems.is_empty(), "{address}: {:#?}", evaluated.problems);
        prop_assert_eq!(evaluated.desired.statements.removed[0].from.to_string(), address.to_string());
        prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        Ok(())
    });
}
