//! Files that are policies, and every kind that isn't.

use super::*;

const DESCRIPTION: &str = r#"{"name":"still","version":"1.2.0","summary":"Holds.","inputs":["rooms"],"parameters":{"type":"object"}}"#;

/// A core module with the contract's exports that traps when called, `extra` within, without a description.
fn module(extra: &str) -> Vec<u8> {
    let interface = format!("{INTERFACE}@0.1.0");
    wat::parse_str(format!(
        r#"(module {extra}
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "{interface}#validate") (param i32 i32) (result i32) unreachable)
            (func (export "{interface}#evaluate") (param i32) (result i32) unreachable))"#
    ))
    .unwrap()
}

fn described(mut wasm: Vec<u8>, description: &str) -> Vec<u8> {
    let section = CustomSection {
        name: SECTION.into(),
        data: description.as_bytes().into(),
    };
    section.append_to_component(&mut wasm);
    wasm
}

fn refused(bytes: &[u8]) -> String {
    wrap(bytes).unwrap_err().to_string()
}

#[test]
fn a_module_without_types_becomes_a_component_that_describes_itself() {
    let component = wrap(&described(module(""), DESCRIPTION)).unwrap();
    assert!(is_component(&component));
    let manifest = read_manifest(&component).unwrap();
    assert_eq!(
        manifest,
        Manifest {
            name: "still".to_owned(),
            version: "1.2.0".to_owned(),
            summary: "Holds.".to_owned(),
            parameters_schema: r#"{"type":"object"}"#.to_owned(),
            inputs: vec!["rooms".to_owned()],
            wit: "0.1.0".to_owned(),
        }
    );
    assert_eq!(wrap(&component).unwrap(), component, "a component stays as it is");
}

#[test]
fn what_is_no_policy_is_told_what_it_lacks() {
    let wasi = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
    let other = r#"(import "env" "now" (func (result i64)))"#;
    let cases = [
        (b"#!/bin/sh".to_vec(), "this is not WebAssembly"),
        (Vec::new(), "this is not WebAssembly"),
        (b"\0asm\x01\0\0\0\x7f".to_vec(), "malformed"),
        (
            described(module(wasi), DESCRIPTION),
            "a WASI program: it imports `wasi_snapshot_preview1.fd_write`",
        ),
        (described(module(other), DESCRIPTION), "it imports `env.now`"),
        (
            wat::parse_str("(module)").unwrap(),
            "does not export `maestro:policy/policy`",
        ),
        (
            wat::parse_str("(component)").unwrap(),
            "does not export `maestro:policy/policy`",
        ),
        (module(""), "use maestro_policy_sdk::policy!"),
        (
            described(described(module(""), DESCRIPTION), DESCRIPTION),
            "more than one description",
        ),
        (vec![0; MAX_BYTES + 1], "a policy has at most 25165824"),
    ];
    for (bytes, expected) in cases {
        let said = refused(&bytes);
        assert!(said.contains(expected), "{said:?} lacks {expected:?}");
    }
}

#[test]
fn a_module_of_the_wrong_shape_is_refused_by_the_wrapper() {
    let text = format!(
        r#"(module (memory (export "memory") 1) (func (export "{INTERFACE}@0.1.0#evaluate") (result i64) unreachable))"#
    );
    let error = wrap(&described(wat::parse_str(text).unwrap(), DESCRIPTION)).unwrap_err();
    assert!(matches!(error, PackageError::Wrap(_)), "{error}");
}

#[test]
fn descriptions_are_held_to_their_bounds() {
    let replaced = |from: &str, to: &str| DESCRIPTION.replace(from, to);
    let long = "x".repeat(300);
    let cases = [
        ("{".to_owned(), "not readable"),
        (replaced(r#""name":"still","#, ""), "not readable"),
        (replaced(r#"{"type":"object"}"#, "7"), "not readable"),
        (replaced("still", "Still"), "the name must be"),
        (replaced("still", ""), "the name must be"),
        (replaced("still", "-x"), "the name must be"),
        (replaced("1.2.0", "newest"), "the version must be"),
        (replaced("1.2.0", "1.2.3.4"), "the version must be"),
        (replaced("Holds.", &long), "the summary must be one line"),
        (replaced("Holds.", "\\u001b[2J"), "the summary must be one line"),
        (replaced("rooms", "a b"), "inputs must be"),
        (
            replaced(r#""rooms""#, &vec![r#""rooms""#; 33].join(",")),
            "inputs must be",
        ),
        (replaced("object", &"x".repeat(70_000)), "at most 65536 are read"),
    ];
    for (description, expected) in cases {
        let said = refused(&described(module(""), &description));
        assert!(
            said.contains(expected),
            "{said:?} lacks {expected:?} for {:.100}",
            description
        );
    }
    for version in ["1", "0.3", "1.2.0-rc.1", "10.20.30+build5"] {
        wrap(&described(module(""), &replaced("1.2.0", version))).unwrap();
    }
}

#[test]
fn any_bytes_are_answered() {
    let whole = wrap(&described(module(""), DESCRIPTION)).unwrap();
    for cut in 0..whole.len() {
        assert!(read_manifest(&whole[..cut]).is_err());
        let mut flipped = whole.clone();
        flipped[cut] ^= 0xff;
        // Whatever is said, it is an answer; a flipped byte inside of code is not for this reader to find.
        drop(wrap(&flipped));
    }
}
