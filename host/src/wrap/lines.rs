//! Passes a program's output on, line by line and byte for byte, and shows each line to a listener.

use std::io::{self, BufRead, BufReader, Read, Write};

/// The most of a line that is held back before it is passed on, and that a pattern sees: no log line that means
/// something is longer, and a program that never ends its line costs no more memory than this.
const PIECE_BYTES: u64 = 16 * 1024;

/// Works until the program closes its end. A whole line is written at once, so that two streams that go to the same
/// place mix between lines only.
pub(super) fn pass_on(from: impl Read, to: impl Fn(&[u8]) -> io::Result<()>, mut hear: impl FnMut(&[u8])) {
    let mut reader = BufReader::new(from);
    let mut piece = Vec::new();
    let mut begins_line = true;
    loop {
        piece.clear();
        match reader.by_ref().take(PIECE_BYTES).read_until(b'\n', &mut piece) {
            // A pipe that breaks has nothing more to give either.
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        // Nobody may be reading, and a game goes on without its log.
        drop(to(&piece));
        if begins_line {
            hear(without_break(&piece));
        }
        begins_line = piece.ends_with(b"\n");
    }
}

/// Where standard output goes.
pub(super) fn to_stdout(piece: &[u8]) -> io::Result<()> {
    write(io::stdout().lock(), piece)
}

/// Where standard error goes.
pub(super) fn to_stderr(piece: &[u8]) -> io::Result<()> {
    write(io::stderr().lock(), piece)
}

fn write(mut out: impl Write, piece: &[u8]) -> io::Result<()> {
    out.write_all(piece)?;
    out.flush()
}

fn without_break(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// What was passed on, in the pieces that it came in, and what was heard.
    fn check(input: &[u8], pieces: &[usize], heard: &[&[u8]]) {
        let out: RefCell<Vec<Vec<u8>>> = RefCell::default();
        let mut lines: Vec<Vec<u8>> = Vec::new();
        pass_on(
            input,
            |piece| {
                out.borrow_mut().push(piece.to_vec());
                Ok(())
            },
            |line| lines.push(line.to_vec()),
        );
        let out = out.into_inner();
        assert_eq!(out.concat(), input);
        assert_eq!(out.iter().map(Vec::len).collect::<Vec<_>>(), pieces);
        assert_eq!(lines, heard);
    }

    #[test]
    fn lines_come_out_as_they_went_in() {
        check(b"", &[], &[]);
        check(
            b"one\ntwo\r\n\n\xff\0\nrest",
            &[4, 5, 1, 3, 4],
            &[b"one", b"two", b"", b"\xff\0", b"rest"],
        );
    }

    #[test]
    fn an_endless_line_goes_out_in_pieces_and_is_heard_once() {
        const PIECE: usize = PIECE_BYTES as usize;
        let mut input = vec![b'x'; 2 * PIECE + 5];
        input.extend_from_slice(b"\ny\n");
        check(
            &input,
            &[PIECE, PIECE, 6, 2],
            &[vec![b'x'; PIECE].as_slice(), b"y"],
        );
    }

    #[test]
    fn a_closed_output_ends_nothing() {
        let mut count = 0;
        pass_on(
            b"one\ntwo\n".as_slice(),
            |_| Err(io::ErrorKind::BrokenPipe.into()),
            |_| count += 1,
        );
        assert_eq!(count, 2);
    }
}
