use super::*;
use proptest::prelude::*;

fn formatted(text: &str) -> String {
    format("main.hcl", text.as_bytes().to_vec()).unwrap_or_else(|left| panic!("{text:?}: {:#?}", left.problems))
}

/// Each pair is a text and its canonical form, which stays as it is.
#[track_caller]
fn check(table: &[(&str, &str)]) {
    for (text, wanted) in table {
        assert_eq!(formatted(text), *wanted, "{text}");
        assert_eq!(formatted(wanted), *wanted, "again: {text}");
    }
}

/// The same for values of an attribute.
#[track_caller]
fn check_values(table: &[(&str, &str)]) {
    for (value, wanted) in table {
        check(&[(&format!("a={value}\n"), &format!("a = {wanted}\n"))]);
    }
}

#[test]
fn equals_signs_stand_below_each_other_in_runs_of_lines() {
    check(&[
        ("a=1\nbcd   =  2\n", "a   = 1\nbcd = 2\n"),
        // A blank line ends a run, and so does a comment that stands alone, a block, and a value that goes on.
        ("a=1\n\nbcd=2\n", "a = 1\n\nbcd = 2\n"),
        ("a=1\n# c\nbcd=2\n", "a = 1\n# c\nbcd = 2\n"),
        ("a=1\n/* c */\nbcd=2\n", "a = 1\n/* c */\nbcd = 2\n"),
        ("a=1\nfoo {}\nbcd=2\n", "a = 1\nfoo {}\nbcd = 2\n"),
        ("a=1\nbcd=[\n1\n]\nef=2\n", "a = 1\nbcd = [\n  1\n]\nef = 2\n"),
        ("a=1\nbcd=[1,\n2]\nef=2\n", "a = 1\nbcd = [1,\n2]\nef = 2\n"),
        // A heredoc does not.
        ("a=1\nbcd=<<E\nx = 1\nE\nef=2\n", "a   = 1\nbcd = <<E\nx = 1\nE\nef  = 2\n"),
        ("a=1 /* c\nd */\nbcd=2\n", "a   = 1 /* c\nd */\nbcd = 2\n"),
        ("x={\na=1\nbcd=2,\ne:3\nf=4\n}\n", "x = {\n  a   = 1\n  bcd = 2,\n  e : 3\n  f = 4\n}\n"),
        ("x={\na=1,b=2\nccc=3\n}\n", "x = {\n  a   = 1, b = 2\n  ccc = 3\n}\n"),
        ("x={\n\"日本\"=1\né=2\n(y)=3\n}\n", "x = {\n  \"日本\" = 1\n  é    = 2\n  (y)  = 3\n}\n"),
        ("a/*c*/=1\nb=2\n", "a /*c*/ = 1\nb       = 2\n"),
        ("foo {\na=1\nbcd=2\n}\nef=3\n", "foo {\n  a   = 1\n  bcd = 2\n}\nef = 3\n"),
    ]);
}

#[test]
fn comments_behind_code_stand_below_each_other() {
    check(&[
        ("a=1 # x\nbcd=22// y\n", "a   = 1  # x\nbcd = 22 // y\n"),
        ("a=1#x\n\nbcd=22    #y\n", "a = 1 #x\n\nbcd = 22 #y\n"),
        ("a=1 # x\nb=2\nc=333 # y\n", "a = 1 # x\nb = 2\nc = 333 # y\n"),
        ("a=1 # x\nfoo { # y\nb=1 # z\n} # w\n", "a = 1   # x\nfoo {   # y\n  b = 1 # z\n}       # w\n"),
        ("a=[ # x\n1, # y\n22222, # z\n] # w\n", "a = [    # x\n  1,     # y\n  22222, # z\n]        # w\n"),
        // A comment in the middle of a line is like any other token.
        ("a=1/*x*/\nb=[/*y*/1/*z*/,2]# w\n", "a = 1 /*x*/\nb = [/*y*/ 1 /*z*/, 2] # w\n"),
        ("/* x */a=1\nfoo /*y*/ \"l\"/*z*/{}\n", "/* x */ a = 1\nfoo /*y*/ \"l\" /*z*/ {}\n"),
        // One that stands alone goes where code would.
        ("   # x\nfoo {\n# y\n    // z\n/* 1\n  2 */\n}\n", "# x\nfoo {\n  # y\n  // z\n  /* 1\n  2 */\n}\n"),
        ("a=1\n# x   \n#\t\n", "a = 1\n# x\n#\n"),
    ]);
}

#[test]
fn lines_are_indented_by_what_is_open_above() {
    check(&[
        ("foo \"x\" {\nbar {\n      a=1\n}\n}\n", "foo \"x\" {\n  bar {\n    a = 1\n  }\n}\n"),
        ("a=[\n[1,\n2],\n{b=1,\nc=2},\n]\n", "a = [\n  [1,\n  2],\n  { b = 1,\n  c = 2 },\n]\n"),
        // Brackets that open on one line indent once.
        ("a=f({\nb=1\n})\nc=[{\nd=1\n}]\n", "a = f({\n  b = 1\n})\nc = [{\n  d = 1\n}]\n"),
        ("a=[{\nb=1\n},{\nc=2\n}]\n", "a = [{\n  b = 1\n  }, {\n  c = 2\n}]\n"),
        ("a=(((\n1\n)))\nb=[[\n1\n],\n2]\n", "a = (((\n  1\n)))\nb = [[\n  1\n  ],\n2]\n"),
        ("a=x[\n0\n]\nb=f(\n1,\n2\n)\n", "a = x[\n  0\n]\nb = f(\n  1,\n  2\n)\n"),
        ("a=(x?\n1:\n2)\nb=(\nx\n-y\n)\n", "a = (x ?\n  1 :\n2)\nb = (\n  x\n  -y\n)\n"),
        ("a=\"x${f(\n1\n)}y\"\n", "a = \"x${f(\n  1\n)}y\"\n"),
        ("foo {\na=<<-E\n   x\n E\nb=1\n}\n", "foo {\n  a = <<-E\n   x\n E\n  b = 1\n}\n"),
        ("foo {\na=f(<<E\nx\nE\n,1)\nb=1\n}\n", "foo {\n  a = f(<<E\nx\nE\n  , 1)\n  b = 1\n}\n"),
        ("a = {\n\n\n  b=1\n\n}\n\n\n\nfoo {\n   \n}\n", "a = {\n\n\n  b = 1\n\n}\n\n\n\nfoo {\n\n}\n"),
    ]);
}

#[test]
fn blanks_stand_between_tokens_as_terraforms_users_know_it() {
    check_values(&[
        ("1+2*3", "1 + 2 * 3"),
        ("x?1:-2", "x ? 1 : -2"),
        ("a&&!b||-c==- d", "a && !b || -c == -d"),
        ("- -x", "--x"),
        ("[1 ,2,]", "[1, 2, ]"),
        ("[ ]", "[]"),
        ("{  }", "{}"),
        ("{b=1,c:2}", "{ b = 1, c : 2 }"),
        ("{a={}}", "{ a = {} }"),
        ("f (x , y ...)", "f(x, y...)"),
        ("p :: f( )", "p::f()"),
        ("( x )", "(x)"),
        ("x [ 0 ] . y [ * ] . z", "x[0].y[*].z"),
        ("x . 0 . y", "x.0.y"),
        ("x.* [0]", "x.* [0]"),
        ("[for x in [1]:x if x>1]", "[for x in [1] : x if x > 1]"),
        ("{for k,v in x:k=>v ... if v}", "{ for k, v in x : k => v... if v }"),
        ("[for x in (y):-x if (z)]", "[for x in(y) : -x if(z)]"),
        ("\"a${ x }b\"", "\"a${x}b\""),
        ("\"a${~ x+1 ~}b\"", "\"a${~x + 1~}b\""),
        ("\"${ {b=1} }x\"", "\"${ { b = 1 } }x\""),
        ("\"${x}${ y }  ${z} \"", "\"${x}${y}  ${z} \""),
        ("\"%{ if x~}  y%{ else }$${  z }%{ endif }\"", "\"%{if x~}  y%{else}$${  z }%{endif}\""),
        ("\"\\\"  \\u00e9 $ % # // /*  \"", "\"\\\"  \\u00e9 $ % # // /*  \""),
    ]);
    check(&[
        ("foo{}\nfoo \"x\"   \"y\"{}\nfoo{b=1}\n", "foo {}\nfoo \"x\" \"y\" {}\nfoo { b = 1 }\n"),
        ("a=1   \n   \n\t\nb=2\t\n", "a = 1\n\n\nb = 2\n"),
    ]);
}

#[test]
fn a_text_that_is_one_interpolation_becomes_its_expression() {
    check_values(&[
        ("\"${x}\"", "x"),
        ("\"${~ x.y ~}\"", "x.y"),
        ("\"${\"${x}\"}\"", "x"),
        ("\"${\"x\"}\"", "\"x\""),
        ("\"${f(\"${x}\")}\"", "f(\"${x}\")"),
        ("\"${x ? \"${y}z\" : \"\"}\"", "x ? \"${y}z\" : \"\""),
        ("/*c*/\"${ /*d*/\"${x/*e*/}\" }\"/*f*/ # g", "/*c*/ /*d*/ x /*e*/ /*f*/ # g"),
        ("\"${\nx\n}\"", "x"),
        ("\"${\nx +\ny\n}\"", "(x +\ny)"),
        ("\"${f(\nx\n)}\"", "(f(\n  x\n))"),
        ("\"${(\nx\n)}\"", "(\n  x\n)"),
        // It would end too early, or swallow what follows.
        ("\"${(x)\n+(y)}\"", "((x)\n+ (y))"),
        ("\"${x # c\n}\"", "(x # c\n)"),
        ("\"${ # c\nx}\"", "( # c\nx)"),
        ("\"${<<E\nx\nE\n}\"", "\"${<<E\nx\nE\n}\""),
        // These are texts.
        ("\"${x}${y}\"", "\"${x}${y}\""),
        ("\"${x} \"", "\"${x} \""),
        ("\"%{if x}y%{endif}\"", "\"%{if x}y%{endif}\""),
        ("\"${x}\" == \"${y}\"", "\"${x}\" == \"${y}\""),
        // Only a whole value is taken out of its quotes.
        ("[\"${x}\"]", "[\"${x}\"]"),
        ("{ b = \"${x}\" }", "{ b = \"${x}\" }"),
        ("(\"${x}\")", "(\"${x}\")"),
    ]);
    check(&[
        ("foo { a=\"${x}\" }\n", "foo { a = x }\n"),
        ("foo {\nbar {\na=\"${x}\"\n}\n}", "foo {\n  bar {\n    a = x\n  }\n}\n"),
    ]);
}

#[test]
fn labels_get_quotes_and_keep_what_is_in_them() {
    check(&[
        ("foo bar {\n}\n", "foo \"bar\" {\n}\n"),
        ("foo b-r \"x\\u0062\" é {}\n", "foo \"b-r\" \"x\\u0062\" \"é\" {}\n"),
        ("foo /*c*/ bar /*d*/ {}\n", "foo /*c*/ \"bar\" /*d*/ {}\n"),
    ]);
}

#[test]
fn heredocs_keep_every_byte() {
    for heredoc in ["<<E\n${ x }  \n\t%{ if  y ~} \n%{ endif }\nE", "<<-E\n  a=1 # c  \n\n  $${ x }\r\n\tE", "<<E\nE"] {
        let text = format!("foo {{\na={heredoc}\nb = 1\n}}\n");
        assert_eq!(formatted(&text), format!("foo {{\n  a = {heredoc}\n  b = 1\n}}\n"));
    }
}

#[test]
fn a_file_ends_with_one_line_end_of_its_own_kind() {
    check(&[
        ("a = 1", "a = 1\n"),
        ("a = 1\n\n \n", "a = 1\n"),
        ("a=1\r\nb=2 # c \r\n# d\r\n\r\n", "a = 1\r\nb = 2 # c\r\n# d\r\n"),
        ("a=1\r\nb=2", "a = 1\r\nb = 2\r\n"),
        ("a=1\nb=2\r\n\n", "a = 1\nb = 2\r\n"),
        ("a=1\r\nb=2\nc=3\r\n", "a = 1\r\nb = 2\nc = 3\r\n"),
        ("\u{feff}a = 1\n", "a = 1\n"),
        ("\n\na = 1\n", "\n\na = 1\n"),
        ("# c", "# c\n"),
        ("a = <<E\nx\nE", "a = <<E\nx\nE\n"),
        ("", ""),
        (" \n\n", ""),
    ]);
}

#[test]
fn what_is_wrong_is_said_as_the_parser_says_it() {
    for (bytes, code, line) in [
        (&b"a = 1\nb = [\n"[..], "syntax", 2),
        (b"a = 'x'\n", "syntax", 1),
        (b"a = 1 b = 2\n", "syntax", 1),
        (b"foo {\n  a = 1\n  a = 2\n}\n", "duplicate-attribute", 3),
        (b"a = \"x\n", "unterminated-string", 1),
        (b"a = 1\n# \xff\n", "invalid-character", 2),
    ] {
        let left = format("x.hcl", bytes.to_vec()).expect_err("it is wrong");
        let place = left.problems[0].place.as_ref().expect("a place");
        assert_eq!((left.problems[0].code.as_str(), place.file.as_str(), place.start.line), (code, "x.hcl", line));
        assert!(left.source.lines().count() >= line);
    }
}

fn body(text: &str) -> Body {
    read("x.hcl", text.as_bytes().to_vec()).unwrap_or_else(|left| panic!("{text:?}: {:#?}", left.problems))
}

#[test]
fn other_meanings_are_told_apart() {
    let values = [
        "1",
        "-1",
        "2",
        "\"1\"",
        "null",
        "true",
        "x",
        "y",
        "!x",
        "-x",
        "x.y",
        "x.z",
        "x[0]",
        "x[1]",
        "x[y]",
        "x[*]",
        "x[*].y",
        "x.*.y",
        "x + y",
        "x - y",
        "y - x",
        "x && y",
        "(x + y) * x",
        "x + y * x",
        "x ? y : z",
        "x ? z : y",
        "[]",
        "{}",
        "[x]",
        "[(x)]",
        "[x, y]",
        "{ x = y }",
        "{ (x) = y }",
        "{ x = z }",
        "f()",
        "g()",
        "f(x)",
        "f(x...)",
        "[for x in y : x]",
        "[for x in y : z]",
        "[for z in y : x]",
        "[for x in y : x if x]",
        "[for x, z in y : x]",
        "{ for x in y : x => x }",
        "{ for x in y : x => x... }",
        "\"x${y}\"",
        "\"x${z}\"",
        "\"x ${y}\"",
        "\"%{if x}y%{endif}\"",
        "\"%{if z}y%{endif}\"",
        "\"%{if x}y%{else}z%{endif}\"",
        "\"%{for x in y}z%{endfor}\"",
        "\"%{for z in y}z%{endfor}\"",
        "\"%{for z, x in y}z%{endfor}\"",
        "<<E\nx\nE",
    ];
    let attributes = values.map(|value| format!("a = {value}\n"));
    let others = [
        "b = 1\n",
        "a = 1\nb = 2\n",
        "b = 2\na = 1\n",
        "a {}\n",
        "a \"x\" {}\n",
        "a \"y\" {}\n",
        "a \"x\" \"y\" {}\n",
        "b {}\n",
        "a { b = 1 }\n",
        "a {\n  b {}\n}\n",
    ];
    let all: Vec<&str> = attributes.iter().map(String::as_str).chain(others).collect();
    for (at, one) in all.iter().enumerate() {
        for (other_at, other) in all.iter().enumerate() {
            // The elements of both splats are the same here.
            if (one.contains("[*].y") && other.contains(".*.y")) || (one.contains(".*.y") && other.contains("[*].y")) {
                continue;
            }
            assert_eq!(meaning::is_same(&body(one), &body(other)), at == other_at, "{one} {other}");
        }
    }
    assert!(meaning::is_same(&body("a = (x)\nb {}\n"), &body("# c\na  =  x // d\nb  {\n}\n")));
}

#[test]
fn a_result_that_is_not_the_same_is_noticed() {
    let text = "a=1 # c\nfoo \"x\" {\n}\n";
    let wanted = tokens::tokens(text).expect("tokens");
    for (result, is_same) in [
        ("a = 1 # c\nfoo \"x\" {\n}\n", true),
        ("a = 1 # c\nfoo \"x\" {\n}", true),
        ("a = 1\nfoo \"x\" {\n}\n", false),
        ("a = 1 # d\nfoo \"x\" {\n}\n", false),
        ("a = 1 # c\n\nfoo \"x\" {\n}\n", false),
        ("a = 1 # c foo \"x\" {\n}\n", false),
        ("a = 11 # c\nfoo \"x\" {\n}\n", false),
        ("a = 1 # c\nfoo \"x \" {\n}\n", false),
        ("a = 1 # c\nfoo \"x\" {}\n", false),
        ("a = 1 # c\nfoo \"x\" {\n", false),
    ] {
        assert_eq!(is_faithful(&body(text), &wanted, result), is_same, "{result}");
    }
    // The same tokens, read in another way.
    assert!(!is_faithful(&body("a = 2\n"), &wanted[..0], ""));
}

/// Blanks and comments that may stand between two tokens of a line.
fn blank() -> BoxedStrategy<String> {
    let some = prop::sample::select(vec!["", "", "", " ", " ", "  ", "\t", "/*c*/", " /* c\n d */ "]);
    some.prop_map(String::from).boxed()
}

/// The same where the line may end.
fn gap() -> BoxedStrategy<String> {
    let more = prop::sample::select(vec!["\n", "\n\n", "# c\n", " // d  \n\t", "\r\n", "  \n  "]);
    prop_oneof![3 => blank(), 1 => more.prop_map(String::from)].boxed()
}

fn word(text: &str) -> BoxedStrategy<String> {
    Just(text.to_owned()).boxed()
}

fn joined(parts: Vec<BoxedStrategy<String>>) -> BoxedStrategy<String> {
    parts.prop_map(|parts| parts.concat()).boxed()
}

fn one_of(words: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(words).prop_map(String::from).boxed()
}

const LEAVES: &[&str] = &[
    "0",
    "1.50",
    "1e5",
    "x",
    "long_name",
    "é",
    "x-y",
    "null",
    "true",
    "var.a",
    "x . y",
    "x [ 0 ]",
    "x[*].y",
    "x.*",
    "\"\"",
    "\"a  b\"",
    "\"\\\" $${ # /* %\"",
    "\"${ x }\"",
    "\"${~x~} \"",
    "[ ]",
    "{ }",
    "f( )",
    "p::f(1)",
    "x.0",
    "-1",
    "- 1",
];

fn expression() -> BoxedStrategy<String> {
    let operator = || one_of(&[" + ", " - ", " * ", " / ", " % ", " == ", "!=", " < ", ">=", " && ", "||"]);
    one_of(LEAVES)
        .prop_recursive(4, 24, 3, move |e| {
            let e = || e.clone().boxed();
            prop_oneof![
                joined(vec![e(), blank(), operator(), blank(), word(" "), e()]),
                joined(vec![e(), word(" ?"), blank(), e(), blank(), word(":"), blank(), e()]),
                joined(vec![one_of(&["!", "-"]), e()]),
                joined(vec![word("("), gap(), e(), gap(), word(")")]),
                joined(vec![word("["), gap(), e(), gap(), word(","), gap(), e(), gap(), one_of(&["", ","]), word("]")]),
                joined(vec![word("f"), blank(), word("("), gap(), e(), gap(), one_of(&["", ",", "..."]), word(")")]),
                joined(vec![
                    word("{"),
                    gap(),
                    word("k"),
                    blank(),
                    one_of(&["=", ":"]),
                    blank(),
                    e(),
                    blank(),
                    one_of(&[",", "\n", "# z\n", ",  // zz\n"]),
                    gap(),
                    word("\"l m\" ="),
                    blank(),
                    e(),
                    gap().prop_map(|gap| gap.replace("/* c\n d */", "")).boxed(),
                    word("}")
                ]),
                joined(vec![
                    word("[for x in "),
                    e(),
                    gap(),
                    word(":"),
                    gap(),
                    e(),
                    gap(),
                    one_of(&["", " if x", " if (x)"]),
                    word("]")
                ]),
                joined(vec![word("{for k,v in "), e(), word(":"), gap(), word("k=>"), gap(), e(), gap(), word("}")]),
                joined(vec![word("\"t ${"), gap(), e(), gap(), one_of(&["}", "~}", "}  "]), word("\"")]),
                joined(vec![one_of(&["\"${", "\"${~"]), gap(), e(), gap(), one_of(&["}\"", "~}\""])]),
                joined(vec![word("\"%{ if "), e(), gap(), word("}  y%{else}${x}%{ endif ~} \"")]),
            ]
        })
        .boxed()
}

/// Attributes and blocks; `@` stands for a number that is not used twice in a body.
fn items() -> BoxedStrategy<String> {
    let attribute = joined(vec![
        blank(),
        one_of(&["a@", "long_name@"]),
        blank(),
        word("="),
        blank(),
        expression(),
        blank(),
        one_of(&["\n", "# c \n", "//d\n", "\r\n"]),
    ]);
    let heredoc = joined(vec![
        word("h@ = "),
        one_of(&["<<E\n", "<<-E\n"]),
        one_of(&["x\n", "  ${ x }  \n", "\n\n", "\t%{ if  x }# y%{ endif }\n", "a=1\r\n", "${f(\nx)}\n", "$${\n"]),
        one_of(&["E\n", "  E\n"]),
    ]);
    let other =
        one_of(&["\n", "  \n\n", "# c  \n", "  /* c\n   d */\n", "foo {}\n", "foo bar \"b z\"{a=\"${x}\"} // e\n"]);
    let item = prop_oneof![5 => attribute, 1 => heredoc, 2 => other];
    let item = item.prop_recursive(2, 12, 4, |item| {
        let inner = prop::collection::vec(item, 0..4).prop_map(|items| numbered(&items));
        joined(vec![
            one_of(&["foo", "host \"a\"", "b c/*d*/"]),
            blank(),
            one_of(&["{\n", "{ # c\n"]),
            inner.boxed(),
            blank(),
            word("}\n"),
        ])
    });
    prop::collection::vec(item, 1..6).prop_map(|items| numbered(&items)).boxed()
}

fn numbered(items: &[String]) -> String {
    items.iter().enumerate().map(|(number, item)| item.replacen('@', &number.to_string(), 1)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_configuration_has_one_canonical_form_that_means_the_same(text in items()) {
        let once = match format("x.hcl", text.clone().into_bytes()) {
            Ok(once) => once,
            Err(left) => {
                let codes: Vec<_> = left.problems.iter().map(|problem| problem.code.as_str()).collect();
                prop_assert!(false, "{:?} {}", codes, text);
                return Ok(());
            }
        };
        prop_assert_eq!(formatted(&once), once.clone(), "{}", text);
        prop_assert!(meaning::is_same(&body(&text), &body(&once)), "{}", text);
        let kept = |text: &str| {
            let all = tokens::tokens(text).expect("tokens").into_iter();
            let is_kept = |kind| matches!(kind, Kind::LineComment | Kind::BlockComment | Kind::Text | Kind::Heredoc);
            let all = all.filter(|token| is_kept(token.kind)).map(|token| token.text.to_owned());
            // Labels that get quotes are texts then.
            all.filter(|text| text != "bar" && text != "c").collect::<Vec<_>>()
        };
        prop_assert_eq!(kept(&text), kept(&once), "{}", text);
        for line in once.lines().filter(|_| !once.contains("<<") && !once.contains("/*")) {
            prop_assert_eq!(line.trim_end(), line, "{}", text);
        }
    }

    #[test]
    fn any_bytes_are_formatted_or_left_alone(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(once) = format("x.hcl", bytes) {
            prop_assert_eq!(formatted(&once), once);
        }
    }

    #[test]
    fn any_code_is_formatted_or_refused_by_the_parser(text in "a = [a-c1\"${}%\\[\\]()<>=&|?:.,*+/~ #!\r\n-]{0,40}\n") {
        match format("x.hcl", text.into_bytes()) {
            Ok(once) => prop_assert_eq!(formatted(&once), once),
            Err(left) => prop_assert!(left.problems.iter().all(|problem| problem.code != "not-formatted")),
        }
    }
}
