//! How wasmtime is set up: the same for the engine that runs policies and for the process that compiles them,
//! except for how each of them gets its memory.
//!
//! Left out on purpose: WASI, threads, asynchronous components, the Winch compiler, PAGEMAP_SCAN. Of the advisories
//! of the last year, nearly all that left the sandbox concern one of those.

use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};
use wasmtime::{
    Config, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails, WasmFeatures,
};

use crate::class::Class;

/// Policies of class native that may run at the same time: more than threads that run them, because validations
/// and trials at load come from other threads.
pub(crate) const NATIVE_SLOTS: u32 = 16;

/// Policies of class heavy that may run at the same time.
pub(crate) const HEAVY_SLOTS: u32 = 1;

/// Memory that stays with a slot after a run: the stack, statics and arena of a policy built with the SDK. What
/// stays is cleared by writing zeroes, what does not by system calls that stop all threads of the process.
const KEEP_RESIDENT: usize = 512 << 10;

/// The same for a table: 2,000 functions whose address is taken.
const TABLE_KEEP_RESIDENT: usize = 16 << 10;

/// What a memory's address space is reserved for. It is part of the code: with roomy memories, accesses need no
/// check because everything that an address can reach is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// 4 GiB and guards for each memory, taken at the start for all slots.
    Roomy,
    /// As much as a memory uses, with checked accesses: about a third slower, for machines that limit address
    /// space.
    Tight,
}

impl Layout {
    pub(crate) const fn to_byte(self) -> u8 {
        match self {
            Self::Roomy => 0,
            Self::Tight => 1,
        }
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Roomy),
            1 => Some(Self::Tight),
            _ => None,
        }
    }
}

/// The set-up of the engine that runs policies.
pub(crate) fn running(layout: Layout) -> Config {
    let mut config = common(layout);
    if layout == Layout::Roomy {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    }
    config
}

/// The set-up of the process that compiles them: no pool, one thread.
pub(crate) fn compiling(layout: Layout) -> Config {
    let mut config = common(layout);
    config
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .parallel_compilation(false);
    config
}

/// An engine for running, as roomy as the machine allows.
pub(crate) fn open() -> wasmtime::Result<(wasmtime::Engine, Layout)> {
    match wasmtime::Engine::new(&running(Layout::Roomy)) {
        Ok(engine) => Ok((engine, Layout::Roomy)),
        // `ulimit -v`, strict overcommit or a small address space; nothing can be asked in advance that tells.
        Err(reason) => {
            tracing::warn!(
                reason = format!("{reason:#}"),
                "address space is limited here: policies run without a pool, about a third slower"
            );
            let engine = wasmtime::Engine::new(&running(Layout::Tight))?;
            Ok((engine, Layout::Tight))
        }
    }
}

/// Identifies what compiled code depends on: wasmtime's version, the processor, every setting above.
pub(crate) fn fingerprint(engine: &wasmtime::Engine) -> [u8; 32] {
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().into()
}

fn common(layout: Layout) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .concurrency_support(false)
        .native_unwind_info(false)
        // Otherwise an environment variable decides whether debug information is read.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_features(WasmFeatures::all().difference(features()), false)
        .wasm_features(features(), true);
    if layout == Layout::Tight {
        config
            .memory_reservation(0)
            .memory_reservation_for_growth(1 << 20)
            .memory_guard_size(64 << 10);
    }
    config
}

/// The same as [`crate::check::FEATURES`], in the version of wasmparser that wasmtime uses.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2 | WasmFeatures::EXTENDED_CONST | WasmFeatures::COMPONENT_MODEL
}

fn pool() -> PoolingAllocationConfig {
    let heavy = Class::Heavy.bounds();
    let native = Class::Native.bounds();
    let modules = native.modules as u32 * NATIVE_SLOTS + heavy.modules as u32 * HEAVY_SLOTS;
    let memories = native.memories as u32 * NATIVE_SLOTS + heavy.memories as u32 * HEAVY_SLOTS;
    let tables = native.tables as u32 * NATIVE_SLOTS + heavy.tables as u32 * HEAVY_SLOTS;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(NATIVE_SLOTS + HEAVY_SLOTS)
        .total_core_instances(modules)
        .max_core_instances_per_component(heavy.modules as u32)
        .total_memories(memories)
        .max_memories_per_component(heavy.memories as u32)
        .max_memory_size(heavy.memory_bytes as usize)
        .total_tables(tables)
        .max_tables_per_component(heavy.tables as u32)
        .max_tables_per_module(native.tables as u32)
        .table_elements(heavy.table_elements as usize)
        // Without the proposal nothing can be on such a heap.
        .total_gc_heaps(0)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(TABLE_KEEP_RESIDENT);
    pool
}

/// Takes what is hashed as it is, so that the result is the same in another process and another build.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_set_ups_agree_on_compiled_code() {
        for layout in [Layout::Roomy, Layout::Tight] {
            let running = wasmtime::Engine::new(&running(layout)).expect("running");
            let compiling = wasmtime::Engine::new(&compiling(layout)).expect("compiling");
            assert_eq!(fingerprint(&running), fingerprint(&compiling));
            assert_eq!(Layout::from_byte(layout.to_byte()), Some(layout));
        }
    }

    #[test]
    fn layouts_do_not_take_each_others_code() {
        let [roomy, tight] = [Layout::Roomy, Layout::Tight]
            .map(|layout| wasmtime::Engine::new(&compiling(layout)).expect("an engine"));
        assert_ne!(fingerprint(&roomy), fingerprint(&tight));
    }
}
