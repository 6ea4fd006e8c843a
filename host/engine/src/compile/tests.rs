//! What becomes of compilers that do not do as they should. A shell plays them.

use std::time::Instant;

use super::*;

const ALLOWANCE: Allowance = Allowance {
    cpu_seconds: 5,
    patience: Duration::from_secs(60),
    address_bytes: 1 << 30,
    code_bytes: 1_000,
};

/// Whether anything of this kind hangs: far less than any of the patience above.
const SOON: Duration = Duration::from_secs(30);

fn compile(script: &str, allowance: Allowance) -> CompileError {
    let compiler = Compiler {
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), script.to_owned()],
    };
    let started = Instant::now();
    let component = vec![0; 1 << 20];
    let outcome = compiler.compile(&component, allowance, Layout::Roomy, [7; 32]);
    assert!(started.elapsed() < SOON, "{script} took {:?}", started.elapsed());
    outcome.err().expect("an error")
}

#[test]
fn a_compiler_that_does_not_end_is_ended() {
    let impatient = Allowance {
        patience: Duration::from_millis(300),
        ..ALLOWANCE
    };
    for script in [
        "exec sleep 1000",
        // Closes its output and goes on.
        "exec >&- 2>&-; exec sleep 1000",
        // Says much and never comes to the point.
        "exec cat /dev/zero >&2",
    ] {
        let error = compile(script, impatient);
        assert!(
            matches!(error, CompileError::Time { kind: "elapsed", .. }),
            "{script}: {error}"
        );
    }
}

#[test]
fn too_much_code_is_not_taken() {
    for script in ["exec cat /dev/zero", "head -c 1033 /dev/zero"] {
        let error = compile(script, ALLOWANCE);
        assert!(
            matches!(error, CompileError::TooLarge { limit: 1_000 }),
            "{script}: {error}"
        );
    }
}

#[test]
fn code_of_another_build_is_not_taken() {
    for script in ["head -c 1032 /dev/zero", "echo short", "exit 0"] {
        let error = compile(script, ALLOWANCE);
        assert!(matches!(error, CompileError::Foreign { .. }), "{script}: {error}");
    }
}

#[test]
fn its_last_words_are_told() {
    let CompileError::Refused(said) = compile("printf 'no \\033[31mway' >&2; exit 3", ALLOWANCE) else {
        panic!("it refuses");
    };
    assert_eq!(said, r"no \u{1b}[31mway");
    let error = compile("echo out of memory >&2; kill -ABRT $$", ALLOWANCE);
    let CompileError::Died { said, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(said, "signal 6 out of memory");
    let error = compile("kill -XCPU $$", ALLOWANCE);
    assert!(
        matches!(
            error,
            CompileError::Time {
                kind: "processor",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_compiler_that_is_not_there_is_told() {
    let compiler = Compiler {
        program: "/nowhere/maestro".into(),
        args: Vec::new(),
    };
    let error = compiler
        .compile(b"", ALLOWANCE, Layout::Roomy, [0; 32])
        .err()
        .expect("an error");
    assert!(matches!(error, CompileError::Start { .. }), "{error}");
    assert!(error.is_retryable());
}
