//! The built-in policies as components, embedded. They take the way of any deployed policy: the host hands their
//! bytes to the engine and knows nothing else of them.

/// A built-in policy.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// Its name, as a trigger's `type` gives it.
    pub name: &'static str,
    /// The component, which describes itself.
    pub component: &'static [u8],
}

/// All of them.
pub const POLICIES: &[Builtin] = &[
    Builtin {
        name: "room",
        component: include_bytes!(concat!(env!("OUT_DIR"), "/room.wasm")),
    },
    Builtin {
        name: "cpu",
        component: include_bytes!(concat!(env!("OUT_DIR"), "/cpu.wasm")),
    },
    Builtin {
        name: "memory",
        component: include_bytes!(concat!(env!("OUT_DIR"), "/memory.wasm")),
    },
];
