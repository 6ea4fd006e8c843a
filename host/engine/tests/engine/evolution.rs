//! Policies that were built against another version of the contract.

use maestro_engine::{Class, LoadError, Problem};
use wit_component::StringEncoding;

use crate::support::{CONTRACT, ENGINE, is_healthy, module, observation, wrap};

const HEALTHY: &str = include_str!("../hostile/healthy.wat");

/// The healthy policy, built against a contract in which `before` was replaced by `after`.
fn built_against(before: &str, after: &str) -> Vec<u8> {
    assert!(CONTRACT.contains(before), "the contract has {before:?}");
    let contract = CONTRACT.replace(before, after);
    let version = contract
        .split_once("policy@")
        .and_then(|(_, rest)| rest.split_once(';'))
        .expect("a version")
        .0;
    let extra = r#"(func (export "maestro:policy/policy@0.1.0#describe") (result i32) (i32.const 64))"#;
    let prelude = include_str!("prelude.wat");
    let module = match contract.contains("describe:") {
        true => module(&format!("{HEALTHY} {extra}")),
        false => {
            let text =
                format!("(module {prelude} {HEALTHY})").replace("policy@0.1.0", &format!("policy@{version}"));
            crate::support::parse(&text)
        }
    };
    wrap(module, &contract, StringEncoding::UTF8)
}

#[track_caller]
fn is_accepted(before: &str, after: &str) {
    let policy = ENGINE
        .load(&built_against(before, after), Class::Native)
        .expect("it loads");
    assert!(is_healthy(&policy.evaluate(&observation())));
}

#[track_caller]
fn does_not_fit(before: &str, after: &str) {
    let error = ENGINE
        .load(&built_against(before, after), Class::Native)
        .expect_err("another type");
    assert!(matches!(error, LoadError::Contract(_)), "{error}");
    assert_eq!(error.code(), "type-mismatch");
}

#[test]
fn versions_that_differ_in_words_are_accepted() {
    is_accepted("policy@0.1.0;", "policy@0.1.0;");
    is_accepted("policy@0.1.0;", "policy@0.1.7;");
}

#[test]
fn the_next_version_is_rejected_by_name() {
    for version in ["0.2.0", "1.0.0", "0.10.0"] {
        let component = built_against("policy@0.1.0;", &format!("policy@{version};"));
        let error = ENGINE
            .load(&component, Class::Native)
            .expect_err("another version");
        let LoadError::Check(Problem::Version { found }) = &error else {
            panic!("{error}");
        };
        assert_eq!(*found, format!("maestro:policy/policy@{version}"));
        assert_eq!(error.code(), "unsupported-wit-version");
    }
}

#[test]
fn one_more_function_is_ignored() {
    is_accepted(
        "evaluate: func(observation: observation)",
        "describe: func() -> string;\n  evaluate: func(observation: observation)",
    );
}

#[test]
fn another_type_is_noticed_at_load() {
    does_not_fit("    min: u32,", "    min: u32,\n    median: u32,");
    does_not_fit("    min: u32,", "    least: u32,");
    does_not_fit("    urgent: bool,", "    urgent: bool,\n    confidence: f64,");
    does_not_fit("total(u32),", "total(u32),\n    more(u32),");
    does_not_fit("internal(string),", "internal(string),\n    overloaded,");
    does_not_fit(
        "enum direction { up, down, both }",
        "enum direction { up, down, both, neither }",
    );
}
