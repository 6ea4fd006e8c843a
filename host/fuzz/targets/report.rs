//! The reader of rooms' reports: never panics, says what is wrong in few words, and what it accepts it reads the same
//! once it is written again.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use maestro_core::report::Report;
use maestro_wire::call::read_report;

/// The longest that all problems of a body may be together, however long the body is.
const PROBLEMS_BYTES: usize = 4 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let report = match read_report(bytes) {
        Ok(report) => report,
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a word");
            let length: usize = problems.iter().map(String::len).sum();
            assert!(length <= PROBLEMS_BYTES, "{length} bytes of problems");
            return;
        }
    };
    // A short number may stand for a long one, `1e15`, and no more than that.
    let kept = report.metadata.as_ref().map_or(0, String::len);
    assert!(
        kept <= 8 * bytes.len(),
        "{kept} bytes of metadata out of {}",
        bytes.len()
    );
    let (body, report) = write(report);
    let again = read_report(body.as_bytes()).expect("what was read can be written");
    assert_eq!(again, report, "{body}");
});

/// A report as a room would send it. The time is written as milliseconds, which the reader takes for seconds if they
/// are of the first years after 1970: it is then moved to a later one.
fn write(mut report: Report) -> (String, Report) {
    const FIRST_MS: i64 = 100_000_000_000;
    if report.sent_at.ms() < FIRST_MS {
        report.sent_at = maestro_core::time::Timestamp::from_ms(report.sent_at.ms() + FIRST_MS);
    }
    let mut fields = BTreeMap::from([
        ("status", format!("{:?}", report.status.as_str())),
        ("timestamp", report.sent_at.ms().to_string()),
    ]);
    let matches = [
        ("runningMatches", report.running_matches),
        ("capacity", report.capacity),
    ];
    fields.extend(
        matches
            .into_iter()
            .filter_map(|(name, number)| Some((name, number?.to_string()))),
    );
    fields.extend(report.metadata.clone().map(|text| ("metadata", text)));
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name:?}:{value}"))
        .collect();
    (format!("{{{}}}", fields.join(",")), report)
}
