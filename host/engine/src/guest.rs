//! One run of a policy: a fresh store and instance, every guard set, and what comes of it.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter, Store, Trap, UpdateDeadline, WasmBacktrace};

use crate::class::{ANSWER_BYTES, Limits, REASON_BYTES};
use crate::failure::{Failure, FailureClass};
use crate::gate::TICK;
use crate::text::clean;

/// The contract's types and functions, made of its text.
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../policy-sdk/wit",
        world: "maestro:policy/scaling-policy",
        ownership: Borrowing { duplicate_if_necessary: false },
    });
}

pub(crate) use bindings::exports::maestro::policy::policy as contract;

/// How much longer than its deadline a run may take by the wall clock. A machine that is so busy that our thread
/// waits for its turn is no fault of a policy; only so much waiting is none of the other schedulers' either.
const STARVED: u32 = 50;

/// What we know about a run while it runs.
#[derive(Debug)]
pub(crate) struct Guest {
    limits: Limits,
    /// Whether it was refused memory or table elements.
    refused: bool,
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= self.limits.memory_bytes;
        self.refused |= !granted;
        Ok(granted)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= self.limits.table_elements;
        self.refused |= !granted;
        Ok(granted)
    }
}

/// A policy that is linked and can be instantiated at any time.
pub(crate) type Linked = bindings::ScalingPolicyPre<Guest>;

/// A run's result and the fuel that it took.
pub(crate) struct Run<T> {
    pub(crate) result: Result<T, Failure>,
    pub(crate) fuel: u64,
}

/// Instantiates `linked` and does `work` with the instance, within `limits`.
pub(crate) fn run<T>(
    linked: &Linked,
    limits: Limits,
    work: impl FnOnce(&mut Store<Guest>, &contract::Guest) -> wasmtime::Result<T>,
) -> Run<T> {
    within(linked, limits, |store| {
        let policy = linked
            .instantiate(&mut *store)
            .map_err(|error| (Stage::Start, error))?;
        work(store, policy.maestro_policy_policy()).map_err(|error| (Stage::Call, error))
    })
}

/// Instantiates `linked` within `limits` and looks whether its functions are of the contract's types: the inner
/// result.
pub(crate) fn try_out(linked: &Linked, limits: Limits) -> Run<wasmtime::Result<()>> {
    within(linked, limits, |store| {
        let instance = linked
            .instance_pre()
            .instantiate(&mut *store)
            .map_err(|error| (Stage::Start, error))?;
        Ok(bindings::ScalingPolicy::new(&mut *store, &instance).map(drop))
    })
}

/// Does `work` in a fresh store with every guard set.
fn within<T>(
    linked: &Linked,
    limits: Limits,
    work: impl FnOnce(&mut Store<Guest>) -> Result<T, (Stage, wasmtime::Error)>,
) -> Run<T> {
    let mut store = match prepare(linked, limits) {
        Ok(store) => store,
        Err(error) => {
            let result = Err(explain(&error, Stage::Start, false, 0));
            return Run { result, fuel: 0 };
        }
    };
    let result = work(&mut store);
    // It cannot fail: fuel is on.
    let fuel = limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
    let refused = store.data().refused;
    Run {
        result: result.map_err(|(stage, error)| explain(&error, stage, refused, fuel)),
        fuel,
    }
}

/// Where a run failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Call,
}

/// A store with every guard set, before anything of the policy can run in it: instances run code when they start.
fn prepare(linked: &Linked, limits: Limits) -> wasmtime::Result<Store<Guest>> {
    let guest = Guest {
        limits,
        refused: false,
    };
    let mut store = Store::try_new(linked.engine(), guest)?;
    store.limiter(|guest| guest);
    store.set_fuel(limits.fuel)?;
    store.set_hostcall_fuel(ANSWER_BYTES);
    let started = (Instant::now(), thread_time());
    store.epoch_deadline_callback(move |_| {
        let (passed, own) = (started.0.elapsed(), thread_time().saturating_sub(started.1));
        Ok(
            match own < limits.deadline && passed < limits.deadline * STARVED {
                true => UpdateDeadline::Continue(ticks(limits.deadline - own)),
                false => UpdateDeadline::Interrupt,
            },
        )
    });
    store.set_epoch_deadline(ticks(limits.deadline));
    Ok(store)
}

/// Ticks until `time` has surely passed: the next one may come at once.
fn ticks(time: Duration) -> u64 {
    time.as_nanos().div_ceil(TICK.as_nanos()) as u64 + 1
}

/// How long this thread has been on a processor.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Names what ended a run.
fn explain(error: &wasmtime::Error, stage: Stage, refused: bool, fuel: u64) -> Failure {
    let class = match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => FailureClass::Deadline,
        Some(Trap::OutOfFuel) => FailureClass::OutOfFuel,
        Some(Trap::StackOverflow) => FailureClass::StackOverflow,
        // Languages give up by a trap when memory is refused.
        Some(_) if refused => FailureClass::Memory,
        Some(_) => FailureClass::Trap,
        None if error.is::<PoolConcurrencyLimitError>() => FailureClass::PoolExhausted,
        None if refused => FailureClass::Memory,
        None if stage == Stage::Start => FailureClass::Engine,
        None if is_form_error(error) => FailureClass::AbiViolation,
        None => FailureClass::OutputTooLarge,
    };
    let place = error
        .downcast_ref::<WasmBacktrace>()
        .and_then(|trace| trace.frames().iter().find_map(|frame| frame.func_name()))
        .map(|name| format!(" in {name}"))
        .unwrap_or_default();
    Failure {
        class,
        message: clean(&format!("{}{place}", error.root_cause()), REASON_BYTES),
        fuel,
    }
}

/// Whether the contract's encoding was violated. What else ends a call without a trap is the limit on copying,
/// whose type can't be named; errors of form are plain messages.
fn is_form_error(error: &wasmtime::Error) -> bool {
    error.is::<String>() || error.is::<&'static str>() || error.is::<std::str::Utf8Error>()
}
