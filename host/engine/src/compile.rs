//! Compilation in a process of its own.
//!
//! A compiler can't be interrupted, and how much memory it takes depends on what it is given. So a child with hard
//! limits on time and address space does it: it gets the component on stdin and leaves machine code on stdout. The
//! child is this program again, called by a hidden verb that runs [`compile_child_main`].

mod child;

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use thiserror::Error;

use crate::class::Class;
use crate::code::Code;
use crate::settings::Layout;
use crate::text::clean;

pub use child::compile_child_main;

/// What the child's input begins with, so that a person who calls the verb is told what it is for.
const MAGIC: &[u8; 8] = b"MAESTRO1";

/// Bytes of what the child says on stderr that are kept.
const SAID_BYTES: u64 = 8 << 10;

/// How often a child that closed its output is looked at until it has ended.
const LOOK: Duration = Duration::from_millis(2);

/// The program that compiles: `program args…` reads a job from stdin and writes code to stdout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// The program, usually the running one.
    pub program: PathBuf,
    /// Its arguments, usually the hidden verb.
    pub args: Vec<String>,
}

/// What one compilation may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Time of the processor, in whole seconds.
    pub(crate) cpu_seconds: u64,
    /// Time that may pass: more, because a busy machine is no reason to refuse a policy.
    pub(crate) patience: Duration,
    /// Address space.
    pub(crate) address_bytes: u64,
    /// Size of the code.
    pub(crate) code_bytes: u64,
}

impl Allowance {
    /// What a component of `class` may use. The largest native ones take 10 s and 300 MB, a JavaScript engine
    /// 24 s and a Python interpreter 23 s; their code is three times as large as they are.
    pub(crate) const fn of(class: Class) -> Self {
        match class {
            Class::Native => Self {
                cpu_seconds: 30,
                patience: Duration::from_secs(120),
                address_bytes: 2 << 30,
                code_bytes: 64 << 20,
            },
            Class::Heavy => Self {
                cpu_seconds: 180,
                patience: Duration::from_secs(600),
                address_bytes: 6 << 30,
                code_bytes: 256 << 20,
            },
        }
    }
}

/// Why there is no code.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The program could not be started.
    #[error("failed to start the compiler `{program}`")]
    Start {
        /// Which program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The compiler says that the component is at fault.
    #[error("the compiler refused it: {0}")]
    Refused(String),
    /// It took more time than allowed.
    #[error("compiling it took more than {} s of {kind} time", .limit.as_secs())]
    Time {
        /// `processor` or `elapsed`.
        kind: &'static str,
        /// How much was allowed.
        limit: Duration,
    },
    /// It died, most likely of its limit on memory or of the machine's.
    #[error("the compiler died with {} MiB of address space: {said}", .address_bytes >> 20)]
    Died {
        /// How much it was allowed.
        address_bytes: u64,
        /// Its last words, and the signal.
        said: String,
    },
    /// The code is larger than allowed.
    #[error("the code is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The compiler is of another build than the engine.
    #[error("the compiler `{program}` is not of this build: restart after an update")]
    Foreign {
        /// Which program.
        program: String,
    },
    /// Talking to the child failed.
    #[error("failed to talk to the compiler")]
    Pipe(#[source] io::Error),
}

impl CompileError {
    /// The kind of error as one word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Time { .. } => "compile-timeout",
            Self::Start { .. }
            | Self::Refused(_)
            | Self::Died { .. }
            | Self::TooLarge { .. }
            | Self::Foreign { .. }
            | Self::Pipe(_) => "compile-failed",
        }
    }

    /// Whether the same component may compile at another time.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Start { .. } | Self::Foreign { .. } | Self::Pipe(_))
    }
}

impl Compiler {
    /// Compiles `component` for an engine with this `layout` and `fingerprint`.
    pub(crate) fn compile(
        &self,
        component: &[u8],
        allowance: Allowance,
        layout: Layout,
        fingerprint: [u8; 32],
    ) -> Result<Code, CompileError> {
        let answer = self.answer(component, allowance, layout)?;
        match answer.split_first_chunk::<32>() {
            Some((made_for, code)) if *made_for == fingerprint => Ok(Code::from_own_compiler(code.to_vec())),
            Some(_) | None => Err(CompileError::Foreign {
                program: self.program.display().to_string(),
            }),
        }
    }

    /// What the child leaves on stdout.
    fn answer(
        &self,
        component: &[u8],
        allowance: Allowance,
        layout: Layout,
    ) -> Result<Vec<u8>, CompileError> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            // Nothing of the service's environment is any business of the compiler.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| CompileError::Start {
                program: self.program.display().to_string(),
                source,
            })?;
        let outcome = converse(&mut child, component, allowance, layout);
        if outcome.is_err() {
            // It may have ended by itself meanwhile, then there is nothing to kill.
            drop(child.kill());
        }
        let status = child.wait().map_err(CompileError::Pipe)?;
        let (answer, said) = outcome?;
        judge(status, answer, &said, allowance)
    }
}

/// Writes the job and reads answer and last words, until the child ends or its time is over.
fn converse(
    child: &mut Child,
    component: &[u8],
    allowance: Allowance,
    layout: Layout,
) -> Result<(Vec<u8>, String), CompileError> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(CompileError::Pipe(io::ErrorKind::BrokenPipe.into()));
    };
    let deadline = Instant::now() + allowance.patience;
    let late = CompileError::Time {
        kind: "elapsed",
        limit: allowance.patience,
    };
    let header = header(allowance, layout);
    let limit = allowance.code_bytes;
    // The threads are not waited for by a scope: after a kill their pipes are closed and they end by themselves.
    let job = component.to_vec();
    let writer = std::thread::spawn(move || {
        // A child that refuses early closes its input; its words say more than this error.
        let written = stdin.write_all(&header).and_then(|()| stdin.write_all(&job));
        drop(written);
    });
    let (said_tx, said_rx) = mpsc::sync_channel(1);
    std::thread::spawn(move || drop(said_tx.send(read_words(stderr))));
    let (tx, rx) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut answer = Vec::new();
        // 32 bytes of fingerprint come before the code, and one more shows that there is too much.
        let read = stdout.take(limit + 33).read_to_end(&mut answer);
        drop(tx.send(read.map(|_| answer)));
    });
    let answer = match rx.recv_timeout(allowance.patience) {
        Ok(answer) => answer.map_err(CompileError::Pipe)?,
        Err(_) => return Err(late),
    };
    if answer.len() as u64 > limit + 32 {
        return Err(CompileError::TooLarge { limit });
    }
    let said = said_rx.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    while child.try_wait().map_err(CompileError::Pipe)?.is_none() {
        if Instant::now() >= deadline {
            return Err(late);
        }
        std::thread::sleep(LOOK);
    }
    drop(writer.join());
    Ok((answer, said.unwrap_or_default()))
}

/// The first words of the child, and everything behind them read away so that it never waits for us.
fn read_words(mut stderr: impl Read) -> String {
    let mut said = Vec::new();
    drop(stderr.by_ref().take(SAID_BYTES).read_to_end(&mut said));
    drop(io::copy(&mut stderr, &mut io::sink()));
    clean(String::from_utf8_lossy(&said).trim(), SAID_BYTES as usize)
}

fn judge(
    status: ExitStatus,
    answer: Vec<u8>,
    said: &str,
    allowance: Allowance,
) -> Result<Vec<u8>, CompileError> {
    use std::os::unix::process::ExitStatusExt;
    if status.success() {
        return Ok(answer);
    }
    match status.signal() {
        None => Err(CompileError::Refused(said.to_owned())),
        Some(signal) if signal == Signal::XCPU.as_raw() => Err(CompileError::Time {
            kind: "processor",
            limit: Duration::from_secs(allowance.cpu_seconds),
        }),
        Some(signal) => Err(CompileError::Died {
            address_bytes: allowance.address_bytes,
            said: format!("signal {signal} {said}"),
        }),
    }
}

fn header(allowance: Allowance, layout: Layout) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend(allowance.cpu_seconds.to_le_bytes());
    header.extend(allowance.address_bytes.to_le_bytes());
    header.push(layout.to_byte());
    header
}

#[cfg(test)]
mod tests;
