//! Policies as files: wrapping a core module into a component, and reading what a component says of itself.
//!
//! Nothing here runs or compiles a policy, and every byte is untrusted: sizes, counts and texts are bounded. Build
//! scripts and the command line use this without the feature `run`; the engine's static check follows it.

use std::borrow::Cow;

use serde::Deserialize;
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The custom section in which a policy describes itself.
pub const SECTION: &str = "maestro-policy";

/// The contract's text, for core modules that don't carry its types.
const CONTRACT: &str = include_str!("../../../policy-sdk/wit/policy.wit");

/// The interface that a policy exports, without its version.
const INTERFACE: &str = "maestro:policy/policy";

/// Script engines inside a component take up to 24 MiB; nothing larger is read at all.
const MAX_BYTES: usize = 24 * 1024 * 1024;

/// The description is read and shown by people; the SDK's macro stops at 16 KiB.
const MAX_DESCRIPTION_BYTES: usize = 64 * 1024;

/// One line of a table.
const MAX_SUMMARY_CHARS: usize = 200;

/// More inputs than there are metrics.
const MAX_INPUTS: usize = 32;

/// The largest policy name, a DNS-1123 label.
const MAX_NAME_BYTES: usize = 63;

/// What a policy says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Its name: a DNS-1123 label.
    pub name: String,
    /// Its version: up to three numbers, perhaps with a suffix, such as `1.2.0`.
    pub version: String,
    /// One line for people.
    pub summary: String,
    /// The JSON text of a JSON schema (an object) of its parameters.
    pub parameters_schema: String,
    /// What it reads: `rooms` and names of series.
    pub inputs: Vec<String>,
    /// The version of the contract that it was built against, from what it exports.
    pub wit: String,
}

/// Why a file is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Not WebAssembly at all.
    #[error("this is not WebAssembly: it does not start with the bytes of a module or a component")]
    NotWasm,
    /// Beyond what is read.
    #[error("the file has {0} bytes; a policy has at most {MAX_BYTES}")]
    TooLarge(usize),
    /// Broken inside.
    #[error("the WebAssembly is malformed")]
    Malformed(#[source] wasmparser::BinaryReaderError),
    /// Built for WASI.
    #[error("this is a WASI program: it imports `{0}`; build it with --target wasm32-unknown-unknown")]
    Wasi(String),
    /// It wants something from outside.
    #[error("it imports `{0}`; a policy imports nothing, so that its answer depends on its input alone")]
    Import(String),
    /// A module or component of something else.
    #[error("it does not export `{INTERFACE}`; a policy is made with maestro_policy_sdk::policy!")]
    NoExport,
    /// No description.
    #[error("it has no description of a Maestro policy: use maestro_policy_sdk::policy!, which writes one")]
    NoDescription,
    /// More than one, of which none can be believed.
    #[error("it has more than one description of a Maestro policy")]
    SecondDescription,
    /// A description that is no JSON of the right shape.
    #[error("its description is not readable")]
    Description(#[source] serde_json::Error),
    /// A description with impossible content.
    #[error("its description is not acceptable: {0}")]
    Field(String),
    /// The wrapper refused it.
    #[error("it cannot be made a component")]
    Wrap(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The description as it stands in the section.
#[derive(Deserialize)]
struct Description {
    name: String,
    version: String,
    summary: String,
    inputs: Vec<String>,
    parameters: serde_json::Map<String, serde_json::Value>,
}

/// What one pass over the outermost level of a file finds.
#[derive(Default)]
struct Outline<'a> {
    description: Option<&'a [u8]>,
    has_types: bool,
    imports: Vec<String>,
    exports: Vec<String>,
}

/// Whether these bytes are a component, as opposed to a core module or nothing of the kind.
pub fn is_component(bytes: &[u8]) -> bool {
    Parser::is_component(bytes)
}

/// Makes a component of the core module that `cargo build --target wasm32-unknown-unknown` leaves. A component is
/// given back as it is.
pub fn wrap(bytes: &[u8]) -> Result<Vec<u8>, PackageError> {
    let outline = outline(bytes)?;
    if is_component(bytes) {
        read_manifest(bytes)?;
        return Ok(bytes.to_owned());
    }
    refuse_imports(&outline.imports)?;
    exported_version(&outline.exports)?;
    let description = outline.description.ok_or(PackageError::NoDescription)?;
    parse_description(description)?;

    let mut module = Cow::Borrowed(bytes);
    if !outline.has_types {
        embed_types(module.to_mut())?;
    }
    let mut component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| PackageError::Wrap(error.into()))?;
    // The module inside keeps its own copy; this one can be found without looking into it.
    let section = CustomSection {
        name: SECTION.into(),
        data: description.into(),
    };
    section.append_to_component(&mut component);
    Ok(component)
}

/// Reads a component's description without running anything.
pub fn read_manifest(component: &[u8]) -> Result<Manifest, PackageError> {
    let outline = outline(component)?;
    refuse_imports(&outline.imports)?;
    let wit = exported_version(&outline.exports)?;
    let description = parse_description(outline.description.ok_or(PackageError::NoDescription)?)?;
    Ok(Manifest {
        name: description.name,
        version: description.version,
        summary: description.summary,
        parameters_schema: serde_json::Value::Object(description.parameters).to_string(),
        inputs: description.inputs,
        wit,
    })
}

fn outline(bytes: &[u8]) -> Result<Outline<'_>, PackageError> {
    if bytes.len() > MAX_BYTES {
        return Err(PackageError::TooLarge(bytes.len()));
    }
    if !Parser::is_component(bytes) && !Parser::is_core_wasm(bytes) {
        return Err(PackageError::NotWasm);
    }
    let mut outline = Outline::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(PackageError::Malformed)? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            payload if depth == 1 => outline.note(payload)?,
            _ => {}
        }
    }
    Ok(outline)
}

impl<'a> Outline<'a> {
    fn note(&mut self, payload: Payload<'a>) -> Result<(), PackageError> {
        match payload {
            Payload::CustomSection(section) if section.name() == SECTION => {
                let before = self.description.replace(section.data());
                before.map_or(Ok(()), |_| Err(PackageError::SecondDescription))?;
            }
            Payload::CustomSection(section) => self.has_types |= section.name().starts_with("component-type"),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(PackageError::Malformed)?;
                    self.imports.push(format!("{}.{}", import.module, import.name));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    self.exports
                        .push(export.map_err(PackageError::Malformed)?.name.to_owned());
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    self.imports
                        .push(import.map_err(PackageError::Malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    self.exports
                        .push(export.map_err(PackageError::Malformed)?.name.name.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn refuse_imports(imports: &[String]) -> Result<(), PackageError> {
    let Some(import) = imports.first() else {
        return Ok(());
    };
    let shown: String = import.chars().filter(|c| !c.is_control()).take(100).collect();
    let is_wasi = |import: &String| import.starts_with("wasi:") || import.starts_with("wasi_");
    if imports.iter().any(is_wasi) {
        Err(PackageError::Wasi(shown))
    } else {
        Err(PackageError::Import(shown))
    }
}

/// The version in an export such as `maestro:policy/policy@0.1.0` or, of a module, `…@0.1.0#evaluate`.
fn exported_version(exports: &[String]) -> Result<String, PackageError> {
    let version = |export: &String| {
        let rest = export.strip_prefix(INTERFACE)?.strip_prefix('@')?;
        let version = rest.split('#').next()?;
        is_version(version).then(|| version.to_owned())
    };
    exports.iter().find_map(version).ok_or(PackageError::NoExport)
}

fn embed_types(module: &mut Vec<u8>) -> Result<(), PackageError> {
    let mut resolve = Resolve::default();
    resolve
        .push_str("policy.wit", CONTRACT)
        .and_then(|package| resolve.select_world(&[package], None))
        .and_then(|world| embed_component_metadata(module, &resolve, world, StringEncoding::UTF8, false))
        .map_err(|error| PackageError::Wrap(error.into()))
}

fn parse_description(bytes: &[u8]) -> Result<Description, PackageError> {
    let refuse = |what: String| Err(PackageError::Field(what));
    if bytes.len() > MAX_DESCRIPTION_BYTES {
        return refuse(format!(
            "it has {} bytes; at most {MAX_DESCRIPTION_BYTES} are read",
            bytes.len()
        ));
    }
    let description: Description = serde_json::from_slice(bytes).map_err(PackageError::Description)?;
    if !is_label(&description.name) {
        return refuse(
            "the name must be 1 to 63 of a–z, 0–9 and `-`, and start and end without `-`".to_owned(),
        );
    }
    if !is_version(&description.version) {
        return refuse("the version must be numbers with dots, such as 1.2.0".to_owned());
    }
    let summary = &description.summary;
    if summary.chars().count() > MAX_SUMMARY_CHARS || summary.chars().any(char::is_control) {
        return refuse(format!(
            "the summary must be one line of at most {MAX_SUMMARY_CHARS} characters"
        ));
    }
    if description.inputs.len() > MAX_INPUTS || !description.inputs.iter().all(|input| is_input(input)) {
        return refuse(format!(
            "inputs must be at most {MAX_INPUTS} names such as `rooms` or `queue.waiting`"
        ));
    }
    Ok(description)
}

fn is_label(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(is_plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Up to three numbers, and after a `-` or `+` what a version of a crate may carry.
fn is_version(version: &str) -> bool {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    let is_number =
        |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    version.len() <= 40
        && version.bytes().all(is_plain)
        && numbers.split('.').count() <= 3
        && numbers.split('.').all(is_number)
}

fn is_input(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_plain)
}

#[cfg(test)]
#[path = "package/tests.rs"]
mod tests;
