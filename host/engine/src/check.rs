//! The check of a component before anything of it is compiled or run.
//!
//! Compilation can be neither interrupted nor bounded in memory from within, so what could make it dear is counted
//! first, by one pass over the bytes. Then come the promises of the contract that can be read off: no imports, the
//! exported interface, no proposals beyond WebAssembly 2.0. Build scripts call this too, hence no wasmtime in here.

use thiserror::Error;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentExternalKind, Encoding, Parser, Payload, Validator,
    WasmFeatures,
};

use crate::class::{Bounds, Class};

/// The interface that a policy exports, without its version.
const INTERFACE: &str = "maestro:policy/policy";
/// Its version as this engine speaks it.
const VERSION: &str = "0.1.0";
/// What all versions begin with that differ in words only.
const TRACK: &str = "0.1.";
/// A page of linear memory.
const PAGE_BYTES: u64 = 65_536;

/// What a policy may be made of: no garbage collection, exceptions, threads, second memory, 64-bit memory, tail
/// calls or relaxed SIMD, each of which is either not deterministic or newer than it is useful here.
pub const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL);

/// What was counted in a component that passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Size of the whole.
    pub bytes: u64,
    /// Functions in all modules.
    pub functions: u64,
    /// Code of the largest function.
    pub largest_body: u64,
    /// Core modules inside.
    pub modules: u64,
    /// Linear memories.
    pub memories: u64,
    /// Tables.
    pub tables: u64,
}

/// Why a component is refused before it is compiled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// There is more of something than its class allows.
    #[error("{} is {found}, but at most {allowed} in class {class}: {}", .what.name(), .what.advice())]
    Exceeds {
        /// Of what.
        what: Quantity,
        /// How much there is.
        found: u64,
        /// How much there may be.
        allowed: u64,
        /// In which class.
        class: Class,
    },
    /// A core module, as `cargo build --target wasm32-unknown-unknown` leaves it.
    #[error("this is a core module, not a component: wrap it first, as `maestro-cli deploy-policy` does")]
    CoreModule,
    /// Something else altogether.
    #[error("this is not a WebAssembly component: it begins with {begin}")]
    NotWebAssembly {
        /// Its first bytes.
        begin: String,
    },
    /// It wants something from its surroundings.
    #[error(
        "it imports `{name}`, but a policy imports nothing: build it for wasm32-unknown-unknown, not for WASI, and \
         take time and figures from the observation"
    )]
    Import {
        /// What it wants.
        name: String,
    },
    /// It speaks another version of the contract.
    #[error(
        "it exports `{found}`, but this version of Maestro speaks {INTERFACE}@{VERSION}: build it with the SDK of this version"
    )]
    Version {
        /// The interface it exports.
        found: String,
    },
    /// It is a component, but no policy.
    #[error("it does not export `{INTERFACE}@{VERSION}` but {}: build it with the SDK", list(.exports))]
    NoPolicy {
        /// What it exports.
        exports: Vec<String>,
    },
    /// It would run code when it is linked.
    #[error("it has a start function of the component model: do that work in `evaluate`")]
    Start,
    /// Its strings are not UTF-8. Converting others is where the canonical ABI had its worst defects.
    #[error("its strings are encoded as {found}: build it with UTF-8, as the SDK does")]
    Encoding {
        /// How they are encoded.
        found: &'static str,
    },
    /// It is broken, or uses a proposal that is off.
    #[error("it is not valid WebAssembly 2.0 (at byte {offset}): {message}")]
    Invalid {
        /// Where.
        offset: u64,
        /// What the validator says.
        message: String,
    },
}

impl Problem {
    /// The kind of problem as one word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exceeds { .. } | Self::Start | Self::Encoding { .. } | Self::Invalid { .. } => {
                "precheck-failed"
            }
            Self::CoreModule | Self::NotWebAssembly { .. } | Self::NoPolicy { .. } => "not-a-component",
            Self::Import { .. } => "forbidden-import",
            Self::Version { .. } => "unsupported-wit-version",
        }
    }
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Size of the whole.
    Bytes,
    /// Functions.
    Functions,
    /// Code of the largest function.
    BodyBytes,
    /// Core modules.
    Modules,
    /// Nesting.
    Depth,
    /// Linear memories.
    Memories,
    /// What a memory begins with.
    MemoryBytes,
    /// Tables.
    Tables,
    /// Elements that a table begins with.
    TableElements,
}

impl Quantity {
    fn name(self) -> &'static str {
        match self {
            Self::Bytes => "its size in bytes",
            Self::Functions => "the number of its functions",
            Self::BodyBytes => "the code of its largest function in bytes",
            Self::Modules => "the number of its core modules",
            Self::Depth => "the depth of its nesting",
            Self::Memories => "the number of its memories",
            Self::MemoryBytes => "what its memory begins with in bytes",
            Self::Tables => "the number of its tables",
            Self::TableElements => "what its table begins with in elements",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Bytes => "build with opt-level \"s\", lto and strip, or drop a dependency",
            Self::Functions => "drop a dependency or turn off features of one",
            Self::BodyBytes => "split the function, or keep big tables in data instead of code",
            Self::Modules => "a policy in a compiled language has one; a script engine needs class heavy",
            Self::Depth | Self::Memories | Self::Tables => "wrap the module with the SDK's tools",
            Self::MemoryBytes => "link with a smaller stack (-z stack-size=65536) and keep less in statics",
            Self::TableElements => "take the address of fewer functions",
        }
    }

    fn allowed(self, bounds: &Bounds) -> u64 {
        match self {
            Self::Bytes => bounds.bytes,
            Self::Functions => bounds.functions,
            Self::BodyBytes => bounds.body_bytes,
            Self::Modules => bounds.modules,
            Self::Depth => bounds.depth,
            Self::Memories => bounds.memories,
            Self::MemoryBytes => bounds.memory_bytes,
            Self::Tables => bounds.tables,
            Self::TableElements => bounds.table_elements,
        }
    }
}

/// Checks `component` against the bounds of `class` and against what the contract promises.
pub fn check(component: &[u8], class: Class) -> Result<Report, Problem> {
    let mut survey = Survey::new(class);
    survey.report.bytes = component.len() as u64;
    survey.bound(Quantity::Bytes, component.len() as u64)?;
    if Parser::is_core_wasm(component) {
        return Err(Problem::CoreModule);
    }
    if !Parser::is_component(component) {
        let begin = component.iter().take(8).map(|byte| format!("{byte:02x}"));
        return Err(Problem::NotWebAssembly {
            begin: begin.collect::<Vec<_>>().join(" "),
        });
    }
    for payload in Parser::new(0).parse_all(component) {
        survey.visit(&payload?)?;
    }
    survey.require_policy()?;
    Validator::new_with_features(FEATURES).validate_all(component)?;
    Ok(survey.report)
}

impl From<wasmparser::BinaryReaderError> for Problem {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Invalid {
            offset: error.offset(),
            message: error.message().to_owned(),
        }
    }
}

/// What has been seen so far.
struct Survey {
    class: Class,
    bounds: Bounds,
    report: Report,
    /// What encloses the present place, outermost first.
    nesting: Vec<Encoding>,
    /// Instances that the component itself exports, and other exports of it.
    exports: Vec<(String, ComponentExternalKind)>,
}

impl Survey {
    fn new(class: Class) -> Self {
        Self {
            class,
            bounds: class.bounds(),
            report: Report::default(),
            nesting: Vec::new(),
            exports: Vec::new(),
        }
    }

    fn bound(&self, what: Quantity, found: u64) -> Result<(), Problem> {
        let allowed = what.allowed(&self.bounds);
        match found <= allowed {
            true => Ok(()),
            false => Err(Problem::Exceeds {
                what,
                found,
                allowed,
                class: self.class,
            }),
        }
    }

    fn visit(&mut self, payload: &Payload<'_>) -> Result<(), Problem> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.nesting.push(*encoding);
                self.bound(Quantity::Depth, self.nesting.len() as u64)?;
                if matches!(encoding, Encoding::Module) {
                    self.report.modules += 1;
                    self.bound(Quantity::Modules, self.report.modules)?;
                }
            }
            Payload::End(_) => {
                self.nesting.pop();
            }
            Payload::CodeSectionStart { count, .. } => {
                self.report.functions += u64::from(*count);
                self.bound(Quantity::Functions, self.report.functions)?;
            }
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                let bytes = range.end - range.start;
                self.report.largest_body = self.report.largest_body.max(bytes);
                self.bound(Quantity::BodyBytes, bytes)?;
            }
            Payload::ImportSection(imports) => self.visit_imports(imports)?,
            Payload::MemorySection(memories) => self.visit_memories(memories)?,
            Payload::TableSection(tables) => self.visit_tables(tables)?,
            Payload::ComponentStartSection { .. } => return Err(Problem::Start),
            Payload::ComponentCanonicalSection(functions) => visit_canonicals(functions)?,
            // The components that wit-component puts inside import what is around them; only the outermost one
            // could import from us.
            Payload::ComponentImportSection(imports) if self.nesting.len() == 1 => {
                if let Some(import) = imports.clone().into_iter().next() {
                    return Err(Problem::Import {
                        name: import?.name.name.to_owned(),
                    });
                }
            }
            Payload::ComponentExportSection(exports) if self.nesting.len() == 1 => {
                for export in exports.clone() {
                    let export = export?;
                    self.exports.push((export.name.name.to_owned(), export.kind));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A module of class heavy may be linked from several, which import from each other.
    fn visit_imports(&self, imports: &wasmparser::ImportSectionReader<'_>) -> Result<(), Problem> {
        if self.class == Class::Heavy {
            return Ok(());
        }
        match imports.clone().into_imports().next() {
            None => Ok(()),
            Some(import) => {
                let import = import?;
                Err(Problem::Import {
                    name: format!("{}#{}", import.module, import.name),
                })
            }
        }
    }

    fn visit_memories(&mut self, memories: &wasmparser::MemorySectionReader<'_>) -> Result<(), Problem> {
        for memory in memories.clone() {
            let memory = memory?;
            self.report.memories += 1;
            self.bound(Quantity::Memories, self.report.memories)?;
            self.bound(Quantity::MemoryBytes, memory.initial.saturating_mul(PAGE_BYTES))?;
        }
        Ok(())
    }

    fn visit_tables(&mut self, tables: &wasmparser::TableSectionReader<'_>) -> Result<(), Problem> {
        for table in tables.clone() {
            let table = table?;
            self.report.tables += 1;
            self.bound(Quantity::Tables, self.report.tables)?;
            self.bound(Quantity::TableElements, table.ty.initial)?;
        }
        Ok(())
    }

    fn require_policy(&self) -> Result<(), Problem> {
        let mut other_version = None;
        for (name, kind) in &self.exports {
            let Some(version) = name
                .strip_prefix(INTERFACE)
                .and_then(|rest| rest.strip_prefix('@'))
            else {
                continue;
            };
            match version.starts_with(TRACK) && *kind == ComponentExternalKind::Instance {
                true => return Ok(()),
                false => other_version = Some(name.clone()),
            }
        }
        Err(match other_version {
            Some(found) => Problem::Version { found },
            None => Problem::NoPolicy {
                exports: self.exports.iter().map(|(name, _)| name.clone()).collect(),
            },
        })
    }
}

fn visit_canonicals(functions: &wasmparser::ComponentCanonicalSectionReader<'_>) -> Result<(), Problem> {
    for function in functions.clone() {
        let (CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. }) = function?
        else {
            continue;
        };
        for option in options {
            match option {
                CanonicalOption::UTF16 => return Err(Problem::Encoding { found: "UTF-16" }),
                CanonicalOption::CompactUTF16 => {
                    return Err(Problem::Encoding {
                        found: "Latin-1 or UTF-16",
                    });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        _ => format!("`{}`", names.join("`, `")),
    }
}
