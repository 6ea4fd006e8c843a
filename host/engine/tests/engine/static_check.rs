//! The check before compilation: what it counts, what it says, and that it is quick.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use maestro_engine::check::Quantity;
use maestro_engine::{Class, Problem, check};
use wit_component::StringEncoding;

use crate::support::{CONTRACT, ENGINE, describe_component, module, observation, parse, sample, wrap};

/// The check is one pass over the bytes: some milliseconds, here with room for a busy machine.
const CHECKED_WITHIN: Duration = Duration::from_secs(10);

/// A policy with more in it: `fields` and an `evaluate` of this body.
fn policy(fields: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"{fields} (func (export "maestro:policy/policy@0.1.0#evaluate") (param i32) (result i32) {body}
           (call $verdict (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))"#
    );
    wrap(module(&text), CONTRACT, StringEncoding::UTF8)
}

#[track_caller]
fn exceeds(component: &[u8], class: Class, expected: Quantity) {
    let started = Instant::now();
    let problem = check(component, class).expect_err("too much of something");
    assert!(started.elapsed() < CHECKED_WITHIN, "{:?}", started.elapsed());
    let Problem::Exceeds {
        what,
        found,
        allowed,
        class: said,
    } = &problem
    else {
        panic!("{problem}");
    };
    assert_eq!((*what, *said), (expected, class));
    assert!(found > allowed);
    let text = problem.to_string();
    assert!(
        text.contains(&found.to_string()) && text.contains(&allowed.to_string()),
        "{text}"
    );
}

#[test]
fn healthy_policies_pass() {
    let report = check(&sample("healthy"), Class::Native).expect("nothing to complain about");
    assert_eq!((report.modules, report.memories, report.tables), (1, 1, 0));
    assert_eq!(report.functions, 4);
    assert!(report.bytes < 4_000 && report.largest_body < 200, "{report:?}");
    assert!(check(&sample("healthy"), Class::Heavy).is_ok());
}

#[test]
fn one_function_of_200_000_operations_is_never_compiled() {
    let operations =
        "(local.set $x (i64.mul (local.get $x) (i64.add (local.get $x) (i64.const 3))))".repeat(40_000);
    let bomb = policy("", &format!("(local $x i64) {operations}"));
    exceeds(&bomb, Class::Native, Quantity::BodyBytes);
    assert!(
        check(&bomb, Class::Heavy).is_ok(),
        "what an operator allows is held by the compiler's limits"
    );
}

#[test]
fn twenty_thousand_functions_are_never_compiled() {
    let functions =
        "(func (param i32 i32) (result i32) (i32.mul (local.get 0) (local.get 1)))".repeat(20_000);
    exceeds(&policy(&functions, ""), Class::Native, Quantity::Functions);
}

#[test]
fn size_is_the_first_thing_that_is_looked_at() {
    exceeds(&vec![0; 2 * 1024 * 1024 + 1], Class::Native, Quantity::Bytes);
    exceeds(&vec![0; 24 * 1024 * 1024 + 1], Class::Heavy, Quantity::Bytes);
}

#[test]
fn what_a_policy_begins_with_is_bounded() {
    exceeds(&sample("memory-65-mib"), Class::Native, Quantity::MemoryBytes);
    assert!(check(&sample("memory-65-mib"), Class::Heavy).is_ok());
    exceeds(&sample("memory-4-gib"), Class::Heavy, Quantity::MemoryBytes);
    exceeds(&sample("table-10-million"), Class::Heavy, Quantity::TableElements);
    exceeds(&sample("five-memories"), Class::Native, Quantity::Memories);
    exceeds(&sample("nesting"), Class::Heavy, Quantity::Depth);
}

#[test]
fn a_jump_table_of_120_000_places_is_refused() {
    let places = "0 ".repeat(120_000);
    let component = policy("", &format!("(block (br_table {places} (local.get 0)))"));
    exceeds(&component, Class::Native, Quantity::BodyBytes);
    let error = ENGINE
        .load(&component, Class::Heavy)
        .expect_err("too many places");
    assert_eq!(error.code(), "compile-failed", "{error}");
    assert!(error.to_string().contains("119999"), "{error}");
}

#[test]
fn what_only_looks_dear_is_compiled() {
    let mut nested = String::new();
    let mut branches = String::new();
    for number in 0..1_000 {
        write!(
            branches,
            "(if (local.get $x) (then (local.set {} (local.get $x))))",
            2 + number
        )
        .expect("text");
    }
    nested.push_str(&"(block ".repeat(15_000));
    nested.push_str(&")".repeat(15_000));
    let cases = [
        ("nested blocks", nested),
        ("locals", format!("(local {})", "i64 ".repeat(40_000))),
        (
            "branches",
            format!(
                "(local $x i32) (local {}) {}",
                "i32 ".repeat(1_000),
                branches.repeat(2)
            ),
        ),
    ];
    for (name, body) in cases {
        let policy = ENGINE.load(&policy("", &body), Class::Native).expect(name);
        assert!(policy.evaluate(&observation()).is_ok(), "{name}");
    }
}

#[test]
fn what_is_no_component_is_told_apart() {
    let says = |bytes: &[u8], expected: &str| {
        let text = check(bytes, Class::Native).expect_err(expected).to_string();
        assert!(text.contains(expected), "{text}");
    };
    says(b"", "not a WebAssembly component");
    says(b"#!/bin/sh\necho hello", "23 21 2f 62");
    says(&parse("(module)"), "core module");
    says(&describe_component(parse("(component)")), "does not export");
    let healthy = sample("healthy");
    for cut in [9, 100, healthy.len() / 2, healthy.len() - 1] {
        assert!(check(&healthy[..cut], Class::Native).is_err(), "cut at {cut}");
    }
}

/// Whatever is done to the bytes of a policy, the check ends with an answer.
#[test]
fn flipped_bytes_never_confuse_the_check() {
    let healthy = sample("healthy");
    let started = Instant::now();
    for at in 0..healthy.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut broken = healthy.clone();
            broken[at] ^= mask;
            drop(check(&broken, Class::Native));
        }
    }
    assert!(started.elapsed() < CHECKED_WITHIN * 6, "{:?}", started.elapsed());
}

#[test]
fn imports_are_named() {
    for (name, import) in [
        ("imports-clock", "wasi:clocks/monotonic-clock@0.2.0"),
        ("imports-module", "env#now"),
    ] {
        let problem = check(&sample(name), Class::Native).expect_err(name);
        assert_eq!(
            problem,
            Problem::Import {
                name: import.to_owned()
            }
        );
    }
}

#[test]
fn strings_are_utf8() {
    let text =
        r#"(func (export "maestro:policy/policy@0.1.0#evaluate") (param i32) (result i32) unreachable)"#;
    for (encoding, expected) in [
        (StringEncoding::UTF16, "UTF-16"),
        (StringEncoding::CompactUTF16, "Latin-1 or UTF-16"),
    ] {
        let component = wrap(module(text), CONTRACT, encoding);
        let problem = check(&component, Class::Native).expect_err(expected);
        assert_eq!(problem, Problem::Encoding { found: expected });
    }
}
