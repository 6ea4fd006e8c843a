//! Readers of stored records: never panic, and what they accept is written as the same bytes' worth again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maestro_wire::record::{decode_decision, decode_samples, encode_decision, encode_samples};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = decode_decision(bytes) {
        let again = decode_decision(&encode_decision(&record)).expect("what was read can be written");
        // Not compared as values: a figure may be no number, which is never equal to itself.
        assert_eq!(encode_decision(&again), encode_decision(&record));
    }
    if let Ok(cut) = decode_samples(bytes) {
        let again = decode_samples(&encode_samples(&cut)).expect("what was read can be written");
        assert_eq!(encode_samples(&again), encode_samples(&cut));
    }
});
