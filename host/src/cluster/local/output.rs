//! A room's output: files that its process writes to directly, so that it outlives Maestro, bounded by rotation.
//!
//! The process holds the file open for appending, so rotation copies the newest part away and truncates in place.
//! Lines written between the two are lost; a pipe would lose all of them when Maestro dies.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// The most of a file that is read for one answer.
const TAIL_BYTES: u64 = 1 << 20;

/// The most of an output's last line that becomes the reason of an end.
const REASON_CHARS: usize = 200;

/// The present file of a room's folder.
pub(super) fn current(folder: &Path) -> PathBuf {
    folder.join("output.log")
}

/// The file before that: of the run before, or of what rotation took away.
pub(super) fn previous(folder: &Path) -> PathBuf {
    folder.join("output.1.log")
}

/// Opens a fresh output for a new process; that of a former one becomes the previous.
pub(super) fn open(folder: &Path) -> io::Result<File> {
    let path = current(folder);
    if fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
        fs::rename(&path, previous(folder))?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// Moves what was written away once it is more than `bound` bytes.
pub(super) fn rotate(folder: &Path, bound: u64) -> io::Result<()> {
    let path = current(folder);
    let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let length = file.metadata()?.len();
    if length <= bound {
        return Ok(());
    }
    file.seek(SeekFrom::Start(length - bound))?;
    let fresh = previous(folder).with_extension("new");
    io::copy(&mut file.by_ref().take(bound), &mut File::create(&fresh)?)?;
    fs::rename(fresh, previous(folder))?;
    file.set_len(0)
}

/// The newest `lines` lines of a file; a file that is not there has none.
pub(super) fn tail(path: &Path, lines: usize) -> io::Result<String> {
    let (text, is_cut) = read_end(path, TAIL_BYTES)?;
    let mut kept: Vec<&str> = text.lines().collect();
    if is_cut && kept.len() > 1 {
        // The cut went through it.
        kept.remove(0);
    }
    let first = kept.len().saturating_sub(lines);
    Ok(kept[first..].iter().flat_map(|line| [line, "\n"]).collect())
}

/// The last line with anything on it, cut to a length for people; empty when there is none.
pub(super) fn last_line(path: &Path) -> String {
    let Ok((text, _)) = read_end(path, 4_096) else {
        return String::new();
    };
    let line = text
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default();
    let plain = without_colours(line);
    plain
        .chars()
        .filter(|c| !c.is_control())
        .take(REASON_CHARS)
        .collect()
}

/// A line without the sequences that colour it on a terminal: escape, bracket, anything up to a letter.
fn without_colours(line: &str) -> String {
    let mut pieces = line.split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        match piece.find(|c: char| c.is_ascii_alphabetic()) {
            Some(letter) => text + &piece[letter + 1..],
            None => text,
        }
    })
}

/// The last `bound` bytes as text, and whether there was more before.
fn read_end(path: &Path, bound: u64) -> io::Result<(String, bool)> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((String::new(), false)),
        other => other?,
    };
    let from = file.metadata()?.len().saturating_sub(bound);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(bound).read_to_end(&mut bytes)?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), from > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn the_newest_lines_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(folder.path()).unwrap();
        write!(file, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&current(folder.path()), 2).unwrap(), "two\nthree\n");
        assert_eq!(tail(&current(folder.path()), 9).unwrap(), "one\ntwo\nthree\n");
        assert_eq!(tail(&previous(folder.path()), 9).unwrap(), "");
    }

    #[test]
    fn a_long_output_is_cut_at_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(folder.path()).unwrap();
        (0..200_000).try_for_each(|i| writeln!(file, "line {i}")).unwrap();
        let told = tail(&current(folder.path()), usize::MAX).unwrap();
        assert!(
            told.len() as u64 <= TAIL_BYTES && told.starts_with("line ") && told.ends_with("line 199999\n")
        );
    }

    #[test]
    fn a_writer_goes_on_after_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(folder.path()).unwrap();
        writeln!(file, "0123456789").unwrap();
        rotate(folder.path(), 100).unwrap();
        assert_eq!(
            tail(&previous(folder.path()), 9).unwrap(),
            "",
            "within its bound it is left alone"
        );
        rotate(folder.path(), 5).unwrap();
        writeln!(file, "after").unwrap();
        assert_eq!(tail(&current(folder.path()), 9).unwrap(), "after\n");
        assert_eq!(
            tail(&previous(folder.path()), 9).unwrap(),
            "6789\n",
            "only the newest part is kept"
        );
    }

    #[test]
    fn a_new_run_keeps_the_output_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        writeln!(open(folder.path()).unwrap(), "first run").unwrap();
        writeln!(open(folder.path()).unwrap(), "second run").unwrap();
        assert_eq!(tail(&previous(folder.path()), 9).unwrap(), "first run\n");
        assert_eq!(tail(&current(folder.path()), 9).unwrap(), "second run\n");
    }

    #[test]
    fn the_reason_of_an_end_is_the_last_line_with_anything_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = current(folder.path());
        assert_eq!(last_line(&path), "");
        let mut file = open(folder.path()).unwrap();
        write!(file, "starting\n\x1b[31mpanic: no licence\x1b[0m\n  \n").unwrap();
        assert_eq!(last_line(&path), "panic: no licence");
    }
}
