//! The reader of scheduler documents: never panics, and what it accepts it writes so that it reads the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maestro_wire::document;

fuzz_target!(|text: &str| {
    let Ok(documents) = document::read(text) else {
        return;
    };
    for read in documents {
        let json = document::to_json(&read.scheduler).expect("what was read can be written");
        let again = document::read(&json.to_string()).expect("what was written can be read");
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].scheduler, read.scheduler, "{json}");
    }
});
