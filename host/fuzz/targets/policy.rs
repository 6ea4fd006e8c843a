//! Everything that looks at a policy's bytes before they are compiled: never panics, and what the wrapper makes of a
//! module passes the same readers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maestro_engine::{Class, check, package};

fuzz_target!(|bytes: &[u8]| {
    if check(bytes, Class::Native).is_ok() {
        // A refusal is fine; a manifest is bounded and is read whatever else the component holds.
        drop(package::read_manifest(bytes));
    }
    if let Ok(component) = package::wrap(bytes) {
        assert!(package::is_component(&component));
        drop(check(&component, Class::Native));
    }
});
