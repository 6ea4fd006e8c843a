//! The contract of both sides: a published text never changes, and the bindings are what is generated from it.

use sha2::{Digest, Sha256};

#[expect(dead_code, reason = "its `main` writes the file; here it is only compared")]
#[path = "../examples/bindings.rs"]
mod bindings;

const WIT: &str = include_str!("../wit/policy.wit");

/// The version of the contract and the sha256 of its text. Components in use were built against it, so a change of
/// the text comes with a new version, and with a new line here.
const PUBLISHED: (&str, &str) = (
    "0.1.0",
    "64610606d94011e3f98dc3156f36a3b54f73e6bbd40f557ef54c4d2e91742395",
);

#[test]
fn a_published_contract_does_not_change() {
    let (version, digest) = PUBLISHED;
    assert!(
        WIT.contains(&format!("package maestro:policy@{version};")),
        "the version has changed: add its digest"
    );
    let found = hex::encode(Sha256::digest(WIT));
    assert_eq!(
        found, digest,
        "policy.wit differs from what {version} was published as: it needs a new version"
    );
}

#[test]
fn bindings_are_generated_from_the_contract() {
    let written = include_str!("../src/bindings.rs");
    let fresh = bindings::generate(WIT);
    let differs = written
        .lines()
        .zip(fresh.lines())
        .position(|(written, fresh)| written != fresh);
    assert!(
        written == fresh,
        "src/bindings.rs differs from policy.wit, first at line {differs:?}: \
         cargo run --release -p maestro-policy-sdk --example bindings"
    );
}
