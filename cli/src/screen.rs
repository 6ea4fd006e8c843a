//! Lines that are drawn again and again.

use std::io::{self, Write};

use anyhow::{Context, Result};

use crate::terminal::{self, Paint, Tint};

/// Lines on a terminal that are drawn over. The cursor stays in sight and nothing else of the terminal is changed, so
/// that there is nothing to put back on Ctrl-C.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    drawn: usize,
}

impl Screen {
    /// Draws over what was drawn last.
    pub(crate) fn draw(&mut self, lines: &[String]) -> Result<()> {
        let (text, drawn) = self.frame(lines, terminal::size(), Paint::for_stdout());
        self.drawn = drawn;
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .context("can't write to stdout")
    }

    /// What to send, and how many lines that takes. A line that the terminal would break is cut, and lines that it
    /// would scroll away are left out, or the next frame would begin at the wrong place.
    fn frame(&self, lines: &[String], size: Option<(usize, usize)>, paint: Paint) -> (String, usize) {
        let mut text = match self.drawn {
            0 => String::new(),
            drawn => format!("\x1b[{drawn}A\r\x1b[J"),
        };
        let (columns, rows) = size.unwrap_or((usize::MAX, usize::MAX));
        // The cursor has a row of its own, below.
        let shown = &lines[..lines.len().min(rows.saturating_sub(1).max(1))];
        for (i, line) in shown.iter().enumerate() {
            // What a table coloured it has made fit as well.
            let cut = match line.contains('\x1b') {
                true => line.clone(),
                false => line.chars().take(columns).collect(),
            };
            let tint = (i == 0).then_some(Tint::Used);
            text.push_str(&paint.text(tint, &cut));
            text.push('\n');
        }
        (text, shown.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_drawn_over_the_last_one_and_fits() {
        let lines = ["arena is in-sync".to_owned(), "rooms".to_owned()];
        let mut screen = Screen::default();
        let (first, drawn) = screen.frame(&lines, Some((5, 9)), Paint::off());
        assert_eq!((first.as_str(), drawn), ("arena\nrooms\n", 2));
        screen.drawn = drawn;
        let (second, drawn) = screen.frame(&lines[1..], None, Paint::off());
        assert_eq!((second.as_str(), drawn), ("\x1b[2A\r\x1b[Jrooms\n", 1));
        let (low, drawn) = Screen::default().frame(&lines, Some((80, 2)), Paint::off());
        assert_eq!((low.as_str(), drawn), ("arena is in-sync\n", 1));
    }
}
