//! One engine for all tests, and the SDK's observations as the engine takes them.

use std::sync::{Arc, OnceLock};

use maestro_core::scheduler::Direction;
use maestro_engine::{Class, Compiler, Config, Engine, Policy};
use maestro_policy_sdk as sdk;

/// The argument that makes this program the compiling child.
pub(crate) const COMPILE: &str = "compile-policy";

/// The engine; its cache lies in cargo's folder for tests, so that only new components are compiled.
pub(crate) fn engine() -> &'static Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let compiler = Compiler {
            program: std::env::current_exe().unwrap(),
            args: vec![COMPILE.to_owned()],
        };
        let cache_dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
        Engine::new(Config { cache_dir, compiler }).unwrap()
    })
}

/// The built-in policy of this name, loaded like any other.
pub(crate) fn builtin(name: &str) -> Policy {
    let found = maestro_policies::POLICIES
        .iter()
        .find(|policy| policy.name == name)
        .unwrap();
    engine().load(found.component, Class::Native).unwrap()
}

pub(crate) fn shown(seen: &sdk::Observation) -> maestro_engine::Observation {
    let sdk::Counts {
        creating,
        ready,
        allocated,
        occupied,
        terminating,
    } = seen.current;
    let rooms = seen.rooms.clone();
    maestro_engine::Observation {
        now_ms: seen.now_ms,
        window_ms: seen.window_ms,
        period_ms: seen.period_ms,
        direction: match seen.direction {
            sdk::Direction::Up => Direction::Up,
            sdk::Direction::Down => Direction::Down,
            sdk::Direction::Both => Direction::Both,
        },
        wanted: seen.wanted,
        current: maestro_engine::Counts {
            creating,
            ready,
            allocated,
            occupied,
            terminating,
        },
        min: seen.min,
        max: seen.max,
        last_scaled_ms: seen.last_scaled_ms,
        rooms: maestro_engine::Rooms {
            at_ms: rooms.at_ms,
            creating: rooms.creating,
            ready: rooms.ready,
            allocated: rooms.allocated,
            occupied: rooms.occupied,
            terminating: rooms.terminating,
        },
        metrics: seen.metrics.iter().cloned().map(series).collect(),
        parameters: seen.parameters.clone(),
        labels: seen.labels.clone(),
        state: seen.state.clone(),
    }
}

fn series(series: sdk::Series) -> maestro_engine::Series {
    maestro_engine::Series {
        name: series.name,
        at_ms: series.at_ms,
        values: series.values,
    }
}
