//! The built-in policy `room`, as every process of the service would load it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use maestro_engine::{Class, Compiler, Config, Engine, Limits, Policy, compile_child_main};

/// What this program is called with to compile a policy.
const VERB: &str = "compile-policy";

/// A loaded policy and the folder that its code was cached in.
pub(crate) struct Shelf {
    pub room: Policy,
    _cache: tempfile::TempDir,
}

/// Compiles and answers how that went, if that is what this program was called for.
pub(crate) fn compile_if_asked() -> Option<ExitCode> {
    (std::env::args().nth(1).as_deref() == Some(VERB)).then(compile_child_main)
}

impl Shelf {
    pub(crate) fn open() -> Result<Self, Box<dyn std::error::Error>> {
        let cache = tempfile::tempdir()?;
        let compiler = Compiler {
            program: std::env::current_exe()?,
            args: vec![VERB.to_owned()],
        };
        let engine: Arc<Engine> = Engine::new(Config {
            cache_dir: cache.path().to_owned(),
            compiler,
        })?;
        let builtin = maestro_policies::POLICIES
            .iter()
            .find(|policy| policy.name == "room");
        let builtin = builtin.ok_or("there is no built-in policy `room`")?;
        // Fuel ends a run the same way each time; a busy machine must not.
        let limits = Limits {
            deadline: Duration::from_secs(60),
            ..Class::Native.limits()
        };
        Ok(Self {
            room: engine.load_within(builtin.component, Class::Native, limits)?,
            _cache: cache,
        })
    }
}
