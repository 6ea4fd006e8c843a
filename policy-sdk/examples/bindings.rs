//! Writes `src/bindings.rs` anew from `wit/policy.wit`: `cargo run --release -p maestro-policy-sdk --example bindings`.
//!
//! The bindings are checked in so that a policy's author builds neither a parser of WIT nor a procedural macro.
//! `tests/contract.rs` includes this file and fails when the two differ.

#![expect(clippy::expect_used, reason = "a tool that can't go on says why and stops")]

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

/// The generated text, from the text of the contract.
pub(crate) fn generate(wit: &str) -> String {
    let mut resolve = Resolve::default();
    let package = resolve
        .push_str("policy.wit", wit)
        .expect("the contract is valid WIT");
    let world = resolve
        .select_world(&[package], None)
        .expect("the contract has one world");
    let options = wit_bindgen_rust::Opts {
        format: true,
        pub_export_macro: true,
        generate_all: true,
        export_macro_name: Some("export_policy".to_owned()),
        default_bindings_module: Some("maestro_policy_sdk::bindings".to_owned()),
        runtime_path: Some("maestro_policy_sdk::wit_bindgen::rt".to_owned()),
        additional_derive_attributes: vec!["PartialEq".to_owned()],
        additional_type_attributes: vec![(
            "maestro:policy/policy@0.1.0/counts".to_owned(),
            "#[derive(Default)]".to_owned(),
        )],
        ..Default::default()
    };
    let mut files = Files::default();
    options
        .build()
        .generate(&mut resolve, world, &mut files)
        .expect("bindings can be generated for the contract");
    let (_, text) = files.iter().next().expect("one file is generated");
    let text = std::str::from_utf8(text).expect("generated code is UTF-8");
    format!("//! The contract in Rust, written by `examples/bindings.rs`; not edited by hand.\n\n{text}")
}

fn main() -> std::io::Result<()> {
    let text = generate(include_str!("../wit/policy.wit"));
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/bindings.rs"), text)
}
