//! `maestro dev init`: writes the quick scheduler as a document to begin with.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::sources::HELLO;

/// What the document is called where nobody calls it otherwise, its own comments included.
const NAME: &str = "hello.yaml";

/// The path that means standard output.
const STDOUT: &str = "-";

/// Where the document goes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The file to write; `-` is standard output.
    #[arg(value_name = "FILE", default_value = NAME)]
    file: PathBuf,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0} is there already; name another file, or write over it with --force")]
    Exists(String),
    #[error("failed to write {0}: {1}")]
    Write(String, #[source] io::Error),
}

/// Writes the document and says what to type next.
pub fn main(args: &Args) -> ExitCode {
    match write(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(args: &Args) -> Result<(), Error> {
    let shown = args.file.display().to_string();
    if args.file == Path::new(STDOUT) {
        return io::stdout()
            .write_all(HELLO.as_bytes())
            .map_err(|error| Error::Write("standard output".to_owned(), error));
    }
    // A name with a space in it has to be typed with quotes.
    let typed = shlex::try_quote(&shown).map_or_else(|_| shown.clone(), |quoted| quoted.into_owned());
    let opened = match args.force {
        true => File::create(&args.file),
        false => File::create_new(&args.file),
    };
    opened
        .and_then(|mut file| file.write_all(HELLO.replace(NAME, &typed).as_bytes()))
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists(shown.clone()),
            _ => Error::Write(shown.clone(), error),
        })?;
    eprintln!("wrote {shown}; run it with\n\n    maestro dev {typed}\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_wire::document;

    #[test]
    fn what_is_written_is_the_quick_scheduler_under_the_name_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my game.yaml");
        let args = Args {
            file: file.clone(),
            force: false,
        };
        write(&args).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            text.contains(&format!("    maestro dev '{}'\n", file.display())),
            "{text}"
        );
        let scheduler = |text: &str| document::read(text).unwrap().remove(0).scheduler;
        assert_eq!(scheduler(&text), scheduler(HELLO));
    }

    #[test]
    fn each_key_is_explained() {
        let mut known = Vec::new();
        for line in HELLO.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let key = line.trim_start_matches([' ', '-']).split(':').next().unwrap();
            let is_explained = line.contains(" # ") || known.contains(&key);
            assert!(key.is_empty() || is_explained, "{line}");
            known.push(key);
        }
    }
}
