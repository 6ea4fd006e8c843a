//! The components that are embedded, and one that an author builds by the guide, run by the engine.
//!
//! This program has a `main` of its own: called with `compile-policy` it is the child process in which the engine compiles.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "components/engine.rs"]
mod engine;
#[path = "components/builtins.rs"]
mod builtins;
#[path = "components/parity.rs"]
mod parity;
#[path = "components/guide.rs"]
mod guide;

use std::process::ExitCode;

fn main() -> ExitCode {
    let asked = std::env::args().nth(1);
    if asked.as_deref() == Some(engine::COMPILE) {
        return maestro_engine::compile_child_main();
    }
    let part = asked.filter(|argument| !argument.starts_with('-'));
    let tests: [(&str, fn()); 6] = [
        ("built_ins_describe_themselves", builtins::describe_themselves),
        ("built_ins_refuse_bad_parameters", builtins::refuse_bad_parameters),
        (
            "built_ins_need_a_fraction_of_their_fuel",
            builtins::need_a_fraction_of_their_fuel,
        ),
        (
            "built_ins_take_more_than_their_arena_holds",
            builtins::take_more_than_their_arena_holds,
        ),
        (
            "components_answer_as_native_functions_do",
            parity::components_answer_as_native_functions_do,
        ),
        (
            "the_guide_leads_to_a_policy_that_runs",
            guide::leads_to_a_policy_that_runs,
        ),
    ];
    for (name, test) in tests
        .iter()
        .filter(|(name, _)| part.as_ref().is_none_or(|part| name.contains(part)))
    {
        test();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}
