//! The engine: components in, policies out.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use maestro_core::names::Digest;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use wasmtime::component::{Component, Linker};

use crate::cache::{CACHE_BYTES, Cache, Key};
use crate::check::{self, Problem};
use crate::class::{Class, Limits};
use crate::code::Code;
use crate::compile::{Allowance, CompileError, Compiler};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::guest::{self, Guest, Linked};
use crate::package;
use crate::policy::Policy;
use crate::settings::{self, Layout};

/// What an engine needs from its surroundings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where compiled code is kept; created with access for this user alone.
    pub cache_dir: PathBuf,
    /// What compiles.
    pub compiler: Compiler,
}

/// Why an engine could not be made.
#[derive(Debug, Error)]
pub enum Error {
    /// The sandbox could not be set up.
    #[error("failed to set up WebAssembly")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The folder of compiled code cannot be used.
    #[error("failed to open the folder of compiled policies `{folder}`")]
    Cache {
        /// Which folder.
        folder: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("failed to start a thread for policies")]
    Thread(#[source] io::Error),
}

/// Why a component cannot be used as a policy.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The check before compilation refused it.
    #[error(transparent)]
    Check(#[from] Problem),
    /// Its description is missing or broken.
    #[error("its description cannot be read")]
    Manifest(#[source] package::PackageError),
    /// It could not be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Its functions are not of the contract's types.
    #[error("it does not fit the contract: {0}")]
    Contract(String),
    /// It failed while being instantiated for the first time.
    #[error("it cannot even be started")]
    Trial(#[source] Failure),
}

impl LoadError {
    /// The kind of error as one word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Check(problem) => problem.code(),
            Self::Manifest(_) => "bad-description",
            Self::Compile(error) => error.code(),
            Self::Contract(_) => "type-mismatch",
            Self::Trial(failure) => failure.class.as_str(),
        }
    }

    /// Whether the same component may load at another time.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Compile(error) => error.is_retryable(),
            Self::Trial(failure) => !failure.class.is_policys_fault(),
            Self::Check(_) | Self::Manifest(_) | Self::Contract(_) => false,
        }
    }
}

/// Compiles and runs policies. A process makes one.
pub struct Engine {
    wasm: wasmtime::Engine,
    layout: Layout,
    linker: Linker<Guest>,
    gate: Gate,
    cache: Cache,
    compiler: Compiler,
    fingerprint: [u8; 32],
    /// One compilation at a time: two would take both cores from the rooms' pings.
    compiling: Mutex<()>,
}

impl Engine {
    /// Sets up the sandbox, as roomy as the machine allows.
    pub fn new(config: Config) -> Result<Arc<Self>, Error> {
        let (wasm, layout) = settings::open().map_err(|error| Error::Setup(error.into()))?;
        let fingerprint = settings::fingerprint(&wasm);
        let cache = Cache::open(config.cache_dir.clone(), fingerprint, CACHE_BYTES).map_err(|source| {
            Error::Cache {
                folder: config.cache_dir.display().to_string(),
                source,
            }
        })?;
        let gate = Gate::open(wasm.weak()).map_err(Error::Thread)?;
        Ok(Arc::new(Self {
            // Nothing is ever defined in it: a policy imports nothing.
            linker: Linker::new(&wasm),
            layout,
            gate,
            cache,
            compiler: config.compiler,
            fingerprint,
            compiling: Mutex::new(()),
            wasm,
        }))
    }

    /// What decides about verdicts beside policy and observation: the version of this engine.
    pub const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// Makes a policy of a component: checks it, compiles it or takes compiled code from the cache, links it and
    /// starts it once. Blocks for as long as compilation takes.
    pub fn load(self: &Arc<Self>, component: &[u8], class: Class) -> Result<Policy, LoadError> {
        self.load_within(component, class, class.limits())
    }

    /// The same with limits of its own for each run.
    pub fn load_within(
        self: &Arc<Self>,
        component: &[u8],
        class: Class,
        limits: Limits,
    ) -> Result<Policy, LoadError> {
        let key = Key {
            component: Digest(Sha256::digest(component).into()),
            class,
        };
        // What has compiled code has passed the check before it was compiled.
        let cached = self.cached(key);
        if cached.is_none() {
            check::check(component, class)?;
        }
        let manifest = package::read_manifest(component).map_err(LoadError::Manifest)?;
        let code = match cached {
            Some(code) => code,
            None => self.compiled(component, key)?,
        };
        let linked = self.link(&code)?;
        self.try_out(&linked, class, limits)?;
        Ok(Policy::new(
            Arc::clone(self),
            linked,
            key.component,
            manifest,
            (class, limits),
        ))
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Compiles a component that passed the check.
    fn compiled(&self, component: &[u8], key: Key) -> Result<Component, LoadError> {
        // Nothing is behind the lock that a panic could have left half done.
        let _turn = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever had the turn before may have compiled the same.
        if let Some(code) = self.cached(key) {
            return Ok(code);
        }
        let code =
            self.compiler
                .compile(component, Allowance::of(key.class), self.layout, self.fingerprint)?;
        let loaded = self.ready(&code)?;
        self.cache.put(key, &code);
        Ok(loaded)
    }

    fn cached(&self, key: Key) -> Option<Component> {
        let code = self.cache.get(key)?;
        match self.ready(&code) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(digest = %key.component, %error, "compiled code could not be loaded: compiling it again");
                self.cache.drop_entry(key);
                None
            }
        }
    }

    fn ready(&self, code: &Code) -> Result<Component, LoadError> {
        code.load(&self.wasm)
            .map_err(|error| LoadError::Compile(CompileError::Refused(format!("{error:#}"))))
    }

    /// Finds the contract's functions. Their types are looked at in an instance only.
    fn link(&self, component: &Component) -> Result<Linked, LoadError> {
        self.linker
            .instantiate_pre(component)
            .and_then(Linked::new)
            .map_err(|error| LoadError::Contract(format!("{error:#}")))
    }

    fn try_out(&self, linked: &Linked, class: Class, limits: Limits) -> Result<(), LoadError> {
        let _pass = self.gate.enter(class);
        guest::try_out(linked, limits)
            .result
            .map_err(LoadError::Trial)?
            .map_err(|error| LoadError::Contract(format!("{error:#}")))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("layout", &self.layout)
            .field("cache", &self.cache)
            .field("compiler", &self.compiler)
            .finish_non_exhaustive()
    }
}
