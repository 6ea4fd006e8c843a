//! The same function, compiled for this machine and as a component, over random windows.

use maestro_core::votes::Vote;
use maestro_engine::{Failure, FailureClass, Policy};
use maestro_policy_sdk as sdk;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::engine::{builtin, shown};

type Native = fn(&sdk::Observation, &sdk::target::Parameters) -> Result<sdk::Verdict, sdk::Error>;

pub(crate) fn components_answer_as_native_functions_do() {
    let policies: [(&str, Native); 3] = [
        ("room", maestro_policy_room::evaluate),
        ("cpu", maestro_policy_cpu::evaluate),
        ("memory", maestro_policy_memory::evaluate),
    ];
    for (name, native) in policies {
        let component = builtin(name);
        // Without a file of failures: it would have to lie beside a test that cargo knows by another name.
        let config = Config {
            cases: 300,
            failure_persistence: None,
            ..Config::default()
        };
        let run = TestRunner::new(config).run(&observations(name), |seen| compare(&component, native, &seen));
        run.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn compare(component: &Policy, native: Native, seen: &sdk::Observation) -> Result<(), TestCaseError> {
    let by_component = component.evaluate(&shown(seen));
    let by_native = sdk::from_json(&seen.parameters)
        .map_err(sdk::Error::InvalidParameters)
        .and_then(|parameters| native(seen, &parameters));
    match (by_native, by_component) {
        (Ok(native), Ok(component)) => {
            let vote = match native.vote {
                sdk::Vote::Hold => Vote::Hold,
                sdk::Vote::Total(total) => Vote::Total(total),
            };
            let found = component.verdict;
            prop_assert_eq!(
                (found.vote, found.urgent, found.reason, found.state),
                (vote, native.urgent, native.reason, native.state)
            );
        }
        (Err(native), Err(Failure { class, message, .. })) => {
            let expected = match native {
                sdk::Error::InvalidParameters(message) => (FailureClass::InvalidParameters, message),
                sdk::Error::InsufficientData(message) => (FailureClass::InsufficientData, message),
                sdk::Error::Internal(message) => (FailureClass::Policy, message),
            };
            prop_assert_eq!((class, message), expected);
        }
        (native, component) => prop_assert!(false, "{native:?} natively, but {component:?}"),
    }
    Ok(())
}

/// Windows of up to ten minutes with samples at irregular times, gaps, absent metrics, and parameters of which some
/// are refused.
fn observations(metric: &'static str) -> impl Strategy<Value = sdk::Observation> {
    let counts = (0_u32..4, 0_u32..20, 0_u32..4, 0_u32..20, 0_u32..3);
    let samples = proptest::collection::btree_map(0_u64..700, counts, 0..60);
    let values = || proptest::collection::btree_map(0_u64..700, 0.0..5e9_f64, 0..60);
    let parameters = (
        1_u32..120,
        1_u32..=100,
        proptest::option::of(1_u32..700),
        proptest::option::of(1_u32..200),
    );
    let direction = prop_oneof![
        Just(sdk::Direction::Up),
        Just(sdk::Direction::Down),
        Just(sdk::Direction::Both)
    ];
    (samples, values(), values(), parameters, direction, 0_u32..60).prop_map(
        move |(samples, used, requested, parameters, direction, wanted)| {
            let window = sdk::TestWindow::new(600, 10)
                .direction(direction)
                .wanted(wanted)
                .parameters(&json(parameters));
            let window = samples.into_iter().rev().fold(window, |window, (ago, counts)| {
                let (creating, ready, allocated, occupied, terminating) = counts;
                window.sample(
                    ago,
                    sdk::Counts {
                        creating,
                        ready,
                        allocated,
                        occupied,
                        terminating,
                    },
                )
            });
            let points =
                |series: std::collections::BTreeMap<u64, f64>| series.into_iter().rev().collect::<Vec<_>>();
            window
                .metric_at(&format!("{metric}.used"), &points(used))
                .metric_at(&format!("{metric}.requested"), &points(requested))
                .build()
        },
    )
}

fn json((usage, threshold, time, limit): (u32, u32, Option<u32>, Option<u32>)) -> String {
    let time = time.map_or(String::new(), |time| format!(r#","time":{time}"#));
    let limit = limit.map_or(String::new(), |limit| format!(r#","limit":{limit}"#));
    format!(r#"{{"usage":{usage},"threshold":{threshold}{time}{limit}}}"#)
}
