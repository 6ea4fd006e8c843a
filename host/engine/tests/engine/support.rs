//! Policies made of text, an engine to run them, and something to show them.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use maestro_core::scheduler::Direction;
use maestro_engine::package::SECTION;
use maestro_engine::{
    Class, Compiler, Config, Counts, Engine, Evaluation, Failure, Observation, Policy, Rooms,
};
use wasm_encoder::{ComponentSection, CustomSection, Encode};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract as it is.
pub(crate) const CONTRACT: &str = include_str!("../../../../policy-sdk/wit/policy.wit");

const PRELUDE: &str = include_str!("prelude.wat");

const DESCRIPTION: &str =
    r#"{"name":"sample","version":"1.0.0","summary":"A sample","inputs":["rooms"],"parameters":{}}"#;

/// The program that compiles.
pub(crate) const COMPILER: &str = env!("CARGO_BIN_EXE_maestro-engine-compile");

/// The engine that all tests share which need none of their own.
pub(crate) static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine-cache");
    engine_in(cache)
});

/// An engine with a folder of its own.
pub(crate) fn engine_in(cache_dir: PathBuf) -> Arc<Engine> {
    engine_with(cache_dir, compiler())
}

/// An engine with a folder and a compiler of its own.
pub(crate) fn engine_with(cache_dir: PathBuf, compiler: Compiler) -> Arc<Engine> {
    Engine::new(Config { cache_dir, compiler }).expect("an engine")
}

/// The compiler as it is.
pub(crate) fn compiler() -> Compiler {
    Compiler {
        program: COMPILER.into(),
        args: Vec::new(),
    }
}

/// The compiler behind a line of shell, in which it is called `"$0"`.
pub(crate) fn compiler_behind(script: &str) -> Compiler {
    Compiler {
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), script.to_owned(), COMPILER.to_owned()],
    }
}

/// A file of the corpus as a component.
pub(crate) fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/hostile/{name}.wat"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let body = text
        .lines()
        .find(|line| !line.starts_with(";;"))
        .unwrap_or_default();
    if body.starts_with("(component") {
        describe_component(parse(&text))
    } else if body.starts_with("(module") {
        wrap(parse(&text), CONTRACT, StringEncoding::UTF8)
    } else {
        wrap(module(&text), CONTRACT, StringEncoding::UTF8)
    }
}

/// A module of the prelude and `fields`.
pub(crate) fn module(fields: &str) -> Vec<u8> {
    parse(&format!("(module\n{PRELUDE}\n{fields})"))
}

/// The binary form of `text`.
pub(crate) fn parse(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Makes a component of a module for the contract in `wit`. Not validated: the corpus wants to get through.
pub(crate) fn wrap(mut module: Vec<u8>, wit: &str, encoding: StringEncoding) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", wit).expect("a contract");
    let world = resolve.select_world(&[package], None).expect("a world");
    embed_component_metadata(&mut module, &resolve, world, encoding, false).expect("types");
    let component = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .expect("a component");
    describe_component(component)
}

/// Appends the description that each policy carries.
pub(crate) fn describe_component(mut component: Vec<u8>) -> Vec<u8> {
    let section = description();
    component.push(ComponentSection::id(&section));
    section.encode(&mut component);
    component
}

fn description() -> CustomSection<'static> {
    CustomSection {
        name: SECTION.into(),
        data: Cow::Borrowed(DESCRIPTION.as_bytes()),
    }
}

/// A sample of the corpus, loaded.
pub(crate) fn load(name: &str) -> Policy {
    ENGINE
        .load(&sample(name), Class::Native)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Ten rooms of which four are occupied, and an hour of the past.
pub(crate) fn observation() -> Observation {
    let now_ms = 1_700_000_000_000;
    let mut rooms = Rooms::default();
    for sample in 0..360_u32 {
        let counts = Counts {
            ready: 10 - sample % 7,
            occupied: sample % 7,
            ..Counts::default()
        };
        rooms.push(now_ms - u64::from(360 - sample) * 10_000, counts);
    }
    Observation {
        now_ms,
        window_ms: 3_600_000,
        period_ms: 10_000,
        direction: Direction::Both,
        wanted: 10,
        current: Counts {
            ready: 6,
            occupied: 4,
            ..Counts::default()
        },
        min: 1,
        max: Some(20),
        last_scaled_ms: None,
        rooms,
        metrics: Vec::new(),
        parameters: "{}".to_owned(),
        labels: vec![("game".to_owned(), "pong".to_owned())],
        state: Vec::new(),
    }
}

/// Whether this is what the healthy sample answers to [`observation`].
pub(crate) fn is_healthy(answer: &Result<Evaluation, Failure>) -> bool {
    use maestro_core::votes::Vote;
    answer
        .as_ref()
        .is_ok_and(|evaluation| evaluation.verdict.vote == Vote::Total(6) && evaluation.verdict.state == [1])
}
