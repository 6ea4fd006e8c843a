//! Reading is bounded: whatever a text is, it is read or refused, soon and without a panic.

use std::time::{Duration, Instant};

use maestro_wire::document::{self, DEPTH_LIMIT, DOCUMENT_LIMIT, KEY_LIMIT, Problems, TEXT_LIMIT};
use proptest::prelude::*;

const HEAD: &str = "name: pong\ngame: pong\nimage: pong:1\nautoscaling: {min: 1}\n";

/// Far more than any text takes (the slowest below takes some hundredths of a second), and far less than what
/// reading takes that grows with the square of the text.
const SOON: Duration = Duration::from_secs(5);

fn refusal(text: &str) -> String {
    let begin = Instant::now();
    let refused = document::read(text)
        .err()
        .map(|problems| problems.list[0].message.clone());
    let took = begin.elapsed();
    assert!(
        took < SOON,
        "{took:?} for {}",
        text.chars().take(60).collect::<String>()
    );
    refused.unwrap_or_default()
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let text = format!("{HEAD}{}", "# a comment\n".repeat(TEXT_LIMIT / 12));
    assert_eq!(
        refusal(&text),
        format!("the text is {} bytes long; at most 262144 are read", text.len())
    );
    let text = format!("{HEAD}{}", "# a comment\n".repeat(TEXT_LIMIT / 12 - 10));
    assert_eq!(refusal(&text), "");
}

#[test]
fn deep_nesting_is_refused() {
    let message = format!("nested deeper than {DEPTH_LIMIT} levels");
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("[\n ", "]")] {
        for depth in [DEPTH_LIMIT, 1_000, 30_000] {
            let text = format!("{HEAD}extra: {}1{}\n", open.repeat(depth), close.repeat(depth));
            let refused = refusal(&text);
            // The parser has a limit of its own for brackets, and looks ahead.
            let is_deep = refused == message || refused.ends_with("recursion limit exceeded");
            assert!(is_deep, "{depth} times {open}: {refused}");
        }
    }
    let lists = format!("{HEAD}extra:\n  {}1\n", "- ".repeat(10_000));
    assert_eq!(refusal(&lists), message);
    let maps: String = (0..500)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    assert_eq!(refusal(&maps), message);
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in [
        ("b", "a"),
        ("c", "b"),
        ("d", "c"),
        ("e", "d"),
        ("f", "e"),
        ("g", "f"),
    ] {
        let aliases = vec![format!("*{before}"); 10].join(", ");
        text.push_str(&format!("{name}: &{name} [{aliases}]\n"));
    }
    assert_eq!(
        refusal(&text),
        "the text has more than 20000 values, or its aliases copy too much"
    );
    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(100_000),
        vec!["*a"; 10_000].join(", ")
    );
    assert_eq!(
        refusal(&long),
        "the text has more than 20000 values, or its aliases copy too much"
    );
    let deep = format!(
        "{}\nb: {}*a{}",
        "a: &a [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]",
        "[".repeat(20),
        "]".repeat(20)
    );
    assert_eq!(refusal(&deep), format!("nested deeper than {DEPTH_LIMIT} levels"));
}

#[test]
fn many_values_documents_and_long_keys_are_refused() {
    let values = format!("{HEAD}cmd: [{}]\n", vec!["a"; 60_000].join(", "));
    assert_eq!(
        refusal(&values),
        "the text has more than 20000 values, or its aliases copy too much"
    );
    let documents = format!("{HEAD}---\n").repeat(DOCUMENT_LIMIT) + HEAD;
    assert!(document::read(&documents).is_err_and(|problems| {
        problems.left_out > 0
            || problems
                .list
                .iter()
                .any(|problem| problem.message.contains("more than 100 documents"))
    }));
    let key = format!("{HEAD}{}: 1\n", "k".repeat(KEY_LIMIT + 1));
    assert_eq!(refusal(&key), "a key is at most 256 bytes long");
}

#[test]
fn of_many_problems_the_first_are_listed() {
    let text: String = (0..5_000).map(|i| format!("k{i}: 1\n")).collect();
    let problems = document::read(&text).unwrap_err();
    assert_eq!(problems.list.len(), Problems::LIMIT);
    assert_eq!(problems.left_out, 5_004 - Problems::LIMIT);
    assert!(
        problems
            .show("many.yaml", &text)
            .ends_with("many.yaml: 4904 more problems are not shown")
    );
}

/// Shapes at which parsers of YAML are known to take time that grows with the square of the text.
#[test]
fn unkind_texts_are_refused_soon() {
    let long = TEXT_LIMIT - 100;
    let shapes = [
        "? ".repeat(long / 2),
        "- ".repeat(long / 2),
        "&a ".repeat(long / 3),
        "!a ".repeat(long / 3),
        "a: ".repeat(long / 3),
        "\"".repeat(long),
        "'".repeat(long),
        "{".repeat(long),
        "[a, ".repeat(long / 4),
        "{a: b, ".repeat(long / 7),
        "---\n".repeat(long / 4),
        "%A b\n".repeat(long / 5),
        "\n".repeat(long),
        " ".repeat(long),
        "a\n".repeat(long / 2),
        "*a ".repeat(long / 3),
        "|\n".repeat(long / 2),
        "a: |\n ".to_owned() + &"b\n ".repeat(long / 3),
        format!("a: \"{}\"", "\\u0041".repeat(long / 6)),
        format!("a: {}", "b ".repeat(long / 2)),
        format!("a: [{}]", "b, ".repeat(long / 3)),
        format!(
            "{{{}}}",
            (0..20_000).map(|i| format!("k{i}: 1,")).collect::<String>()
        ),
        format!("{HEAD}env: [{}]", "{name: A, value: b},".repeat(3_000)),
        format!(
            "{HEAD}ports: [{}]",
            "{name: a, protocol: UDP, containerPort: 1},".repeat(2_000)
        ),
        format!("{HEAD}authorizedUsers: [{}]", "a@b,".repeat(19_000)),
    ];
    for shape in shapes {
        refusal(&shape);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        drop(document::read(&text));
    }

    #[test]
    fn any_text_of_yaml_signs_is_read_or_refused(text in "[-?:,\\[\\]{}#&*!|>'\"%@` \n\ta0\\\\.~<=]{0,200}") {
        if let Err(problems) = document::read(&text) {
            prop_assert!(!problems.list.is_empty());
            prop_assert!(problems.show("text", &text).contains("text:"));
        }
    }

    #[test]
    fn a_document_with_a_wrong_byte_is_read_or_refused(place in any::<prop::sample::Index>(), with in any::<char>()) {
        const PONG: &str = include_str!("../../../deploy/examples/pong.yaml");
        let mut chars: Vec<char> = PONG.chars().collect();
        let place = place.index(chars.len());
        chars[place] = with;
        let text: String = chars.into_iter().collect();
        if let Err(problems) = document::read(&text) {
            for problem in &problems.list {
                prop_assert!(problem.line >= 1 && problem.column >= 1);
            }
        }
    }

    #[test]
    fn a_document_that_lacks_lines_is_read_or_refused(keep in prop::collection::vec(any::<bool>(), 60)) {
        const PONG: &str = include_str!("../../../deploy/examples/pong.yaml");
        let lines = PONG.split_inclusive('\n').zip(keep).filter(|(_, keep)| *keep).map(|(line, _)| line);
        let text: String = lines.collect();
        drop(document::read(&text));
    }
}
