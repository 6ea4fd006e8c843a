//! Machine code of policies, and the one place where it is trusted.

use wasmtime::component::Component;

/// Machine code that comes from our own compiler, directly or through a cache that verified it byte for byte.
/// Nothing else can make one: loading machine code is running it.
pub(crate) struct Code {
    bytes: Vec<u8>,
    /// Where it begins among them.
    start: usize,
}

impl Code {
    /// Code that a process of ours has just compiled. The caller has checked that it is of this very build.
    pub(crate) fn from_own_compiler(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }

    /// Code from the cache, behind so many other bytes. The caller has checked its checksum and that the folder is ours
    /// alone.
    pub(crate) fn from_verified_cache(bytes: Vec<u8>, start: usize) -> Self {
        Self { bytes, start }
    }

    /// The code itself.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Makes it ready to be instantiated by `engine`.
    #[expect(
        unsafe_code,
        reason = "machine code has no other door; `Code` is only ever made of our compiler's own output"
    )]
    pub(crate) fn load(&self, engine: &wasmtime::Engine) -> wasmtime::Result<Component> {
        // SAFETY: the bytes are the unmodified output of `Engine::precompile_component` of this build with the same
        // settings: both constructors demand it, one by the fingerprint that the child sends in front of the code,
        // the other by a checksum over component, fingerprint and code in a folder that only we can write.
        unsafe { Component::deserialize(engine, self.bytes()) }
    }
}
