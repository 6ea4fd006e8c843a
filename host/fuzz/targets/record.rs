//! Readers of stored records: never panic, and what they accept is written as the same bytes' worth again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maestro_wire::record::{
    decode_decision, decode_room, decode_samples, decode_state, encode_decision, encode_room, encode_samples, encode_state,
};

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
    if let Ok(kept) = decode_room(bytes) {
        let again = decode_room(&encode_room(&kept.room, kept.quiet)).expect("what was read can be written");
        assert_eq!((again.room, again.quiet), (kept.room, kept.quiet));
    }
    if let Ok(kept) = decode_state(bytes) {
        let written = encode_state((kept.wanted, kept.scaled_at), &kept.policies, &kept.window);
        assert_eq!(decode_state(&written), Ok(kept));
    }
});
