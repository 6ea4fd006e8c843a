//! What `memory` says of its own metric; the logic is that of `cpu`.

use maestro_policy_memory::evaluate;
use maestro_policy_sdk::prelude::*;

#[test]
fn memory_is_read_and_cpu_is_not() {
    let window = TestWindow::new(60, 10)
        .rooms(&[(10, 0); 7])
        .direction(Direction::Down)
        .metric("cpu.used", &[9.9; 7])
        .metric("cpu.requested", &[1.0; 7])
        .metric("memory.used", &[2e9; 7])
        .metric("memory.requested", &[1e10; 7]);
    let verdict = evaluate(&window.build(), &from_json(r#"{"usage": 50}"#).unwrap()).unwrap();
    let expected = "rooms use 20 % of the memory that they request; below 50 % for 60 s of the last 60 s (48 s needed): \
                    4 rooms bring it to 50 %";
    assert_eq!(
        (verdict.vote, verdict.reason.as_str()),
        (Vote::Total(4), expected)
    );
}
