//! What runs in the process that compiles.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::MAGIC;
use crate::class::Class;
use crate::settings::{self, Layout};

/// Reads a job from stdin, limits itself, compiles, writes the code to stdout. The hidden verb's whole body.
pub fn compile_child_main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // With stderr gone too nobody is left to tell.
            drop(writeln!(io::stderr(), "{message}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut stdin = io::stdin().lock();
    let layout = read_header(&mut stdin)?;
    let mut component = Vec::new();
    stdin
        .take(Class::Heavy.bounds().bytes)
        .read_to_end(&mut component)
        .map_err(|error| format!("failed to read the component: {error}"))?;
    let engine = wasmtime::Engine::new(&settings::compiling(layout)).map_err(|error| format!("{error:#}"))?;
    let code = engine
        .precompile_component(&component)
        .map_err(|error| format!("{error:#}"))?;
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(&settings::fingerprint(&engine))
        .and_then(|()| stdout.write_all(&code))
        .and_then(|()| stdout.flush())
        .map_err(|error| format!("failed to write the code: {error}"))
}

/// Reads what comes before the component and obeys it at once.
fn read_header(input: &mut impl Read) -> Result<Layout, String> {
    const FOREIGN: &str = "this reads jobs of maestro's own from stdin; there is nothing to call by hand";
    let mut header = [0; 25];
    input.read_exact(&mut header).map_err(|_| FOREIGN)?;
    let (magic, rest) = header.split_first_chunk::<8>().ok_or(FOREIGN)?;
    let (cpu_seconds, rest) = rest.split_first_chunk::<8>().ok_or(FOREIGN)?;
    let (address_bytes, rest) = rest.split_first_chunk::<8>().ok_or(FOREIGN)?;
    let layout = rest
        .first()
        .and_then(|byte| Layout::from_byte(*byte))
        .ok_or(FOREIGN)?;
    if magic != MAGIC {
        return Err(FOREIGN.to_owned());
    }
    limit(Resource::Core, 0, 0)?;
    let cpu_seconds = u64::from_le_bytes(*cpu_seconds);
    limit(Resource::Cpu, cpu_seconds, cpu_seconds.saturating_add(1))?;
    let address_bytes = u64::from_le_bytes(*address_bytes);
    let limited = limit(Resource::As, address_bytes, address_bytes);
    // There a process has hundreds of GiB of addresses from its first moment, and no lower limit is taken.
    if cfg!(target_os = "macos") {
        return Ok(layout);
    }
    limited.map(|()| layout)
}

fn limit(resource: Resource, current: u64, maximum: u64) -> Result<(), String> {
    // What others limited us to already can only be lowered.
    let maximum = maximum.min(getrlimit(resource).maximum.unwrap_or(u64::MAX));
    let current = match resource {
        // The first limit ends it by a signal that says why, the second one by one that says nothing.
        Resource::Cpu => current.min(maximum.saturating_sub(1)),
        _ => current.min(maximum),
    };
    let limits = Rlimit {
        current: Some(current),
        maximum: Some(maximum),
    };
    setrlimit(resource, limits).map_err(|error| format!("failed to limit {resource:?}: {error}"))
}
