//! The live table of `maestro dev`, drawn in place on a terminal; and the plain lines where there is none.
//!
//! Pure: a view in, text out. Who gathers the view and when it is drawn is `dev.rs`'s.

/// Most lines of one sentence; what is longer can be asked for with `explain`.
const SENTENCE_LINES: usize = 3;

/// Columns before a sentence, so that labels stand out.
const INDENT: usize = 9;

/// What one look shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct View {
    /// Where the API is.
    pub url: String,
    /// Schedulers by name.
    pub schedulers: Vec<Row>,
    /// One line to try next.
    pub try_next: String,
    /// What keys do; empty where none are taken.
    pub keys: String,
}

/// One scheduler.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Not ready yet.
    pub starting: u32,
    /// Available for matches.
    pub ready: u32,
    /// In a match or promised to one.
    pub busy: u32,
    /// Asked to go.
    pub draining: u32,
    /// Ending.
    pub stopping: u32,
    /// What the rooms are brought to.
    pub wanted: u32,
    /// The last decision that changed something, in a sentence.
    pub last: String,
    /// What the next one waits for.
    pub waits: String,
    /// That scaling down is paused, and since when; empty while it is not.
    pub paused: String,
    /// The last room that ended by itself and not well, and how.
    pub failed: String,
}

/// Draws the view in at most `width` columns and `height` lines: without sentences where there is no room for them.
pub(super) fn draw(view: &View, width: usize, height: usize) -> Vec<String> {
    let mut lines = lines(view, width, true);
    if lines.len() > height {
        lines = self::lines(view, width, false);
    }
    if lines.len() > height {
        let left_out = lines.len() - height.saturating_sub(1);
        lines.truncate(height.saturating_sub(1));
        lines.push(fit(
            &format!("… and {left_out} lines more; maestro-cli get has them all"),
            width,
        ));
    }
    lines
}

fn lines(view: &View, width: usize, has_sentences: bool) -> Vec<String> {
    let mut out = vec![
        format!("maestro dev   {}   Ctrl-C ends it", view.url),
        String::new(),
    ];
    let names = view.schedulers.iter().map(|row| row.name.len());
    let name_width = names.max().unwrap_or(0).max(9);
    // What matters most stands first: a narrow terminal cuts the end.
    out.push(format!(
        "{:name_width$}  {:>7} {:>6} {:>5} {:>8} {:>8} {:>8} {:>6}",
        "SCHEDULER", "VERSION", "WANTED", "READY", "OCCUPIED", "STARTING", "DRAINING", "ENDING"
    ));
    for row in &view.schedulers {
        out.push(format!(
            "{:name_width$}  {:>7} {:>6} {:>5} {:>8} {:>8} {:>8} {:>6}",
            row.name, row.version, row.wanted, row.ready, row.busy, row.starting, row.draining, row.stopping,
        ));
        if has_sentences {
            out.extend(sentence("rooms", &bar(row), width));
            out.extend(sentence("last", &row.last, width));
            out.extend(sentence("next", &row.waits, width));
            out.extend(sentence("paused", &row.paused, width));
            out.extend(sentence("failed", &row.failed, width));
        }
    }
    if view.schedulers.is_empty() {
        out.push("no scheduler yet".to_owned());
    }
    out.push(String::new());
    out.extend(sentence("try", &view.try_next, width));
    out.extend(sentence("keys", &view.keys, width));
    out.iter().map(|line| fit(line, width)).collect()
}

/// One character a room, and what the characters mean.
fn bar(row: &Row) -> String {
    let part = |symbol: &str, count: u32| symbol.repeat(count.min(100) as usize);
    let bar = [
        part("#", row.busy),
        part("o", row.ready),
        part(".", row.starting),
        part("~", row.draining + row.stopping),
    ]
    .concat();
    match bar.is_empty() {
        true => bar,
        false => format!("{bar}  # occupied, o ready, . starting, ~ leaving"),
    }
}

/// A label and a text, broken between words; nothing without a text. What does not fit the last line is cut by [`fit`].
fn sentence(label: &str, text: &str, width: usize) -> Vec<String> {
    let room = width.saturating_sub(INDENT).max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_inclusive(' ') {
        let is_last = lines.len() == SENTENCE_LINES;
        match lines.last_mut() {
            Some(line) if is_last || (line.chars().count() + word.trim_end().chars().count()) <= room => {
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    let label_width = INDENT - 2;
    std::iter::zip(labels, lines)
        .map(|(label, line)| format!("  {label:label_width$}{}", line.trim_end()))
        .collect()
}

/// `text` in at most `width` columns, with an ellipsis where it was cut. Control characters of others' words vanish.
fn fit(text: &str, width: usize) -> String {
    let clean: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
    match clean.len() <= width {
        true => clean.into_iter().collect(),
        false => clean
            .into_iter()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Row {
        Row {
            name: "hello".into(),
            version: "v1.0".into(),
            wanted: 5,
            busy: 3,
            ready: 2,
            last: "Scaled up from 3 to 5 rooms, as trigger up[0] (room) asked.".into(),
            waits: "The figures that its triggers look at have to change.".into(),
            ..Row::default()
        }
    }

    fn view(schedulers: Vec<Row>) -> View {
        View {
            url: "http://127.0.0.1:8080".into(),
            schedulers,
            try_next: "maestro-cli explain hello".into(),
            keys: String::new(),
        }
    }

    #[test]
    fn a_pause_failed_rooms_and_keys_are_shown_where_there_are_any() {
        let row = Row {
            paused: "scaling down, by hand since 2023-11-14 22:13:20 UTC".into(),
            failed: "hello-00000001, 3 s ago: exit code 7: boom".into(),
            ..hello()
        };
        let keys = "e explain   q quit".to_owned();
        let lines = draw(
            &View {
                keys,
                ..view(vec![row])
            },
            72,
            24,
        );
        assert_eq!(
            lines[7],
            "  paused scaling down, by hand since 2023-11-14 22:13:20 UTC"
        );
        assert_eq!(lines[8], "  failed hello-00000001, 3 s ago: exit code 7: boom");
        assert_eq!(lines.last().unwrap(), "  keys   e explain   q quit");
    }

    #[test]
    fn a_scheduler_is_a_row_its_rooms_and_two_sentences() {
        let text = draw(&view(vec![hello()]), 72, 24).join("\n");
        let expected = "\
maestro dev   http://127.0.0.1:8080   Ctrl-C ends it

SCHEDULER  VERSION WANTED READY OCCUPIED STARTING DRAINING ENDING
hello         v1.0      5     2        3        0        0      0
  rooms  ###oo  # occupied, o ready, . starting, ~ leaving
  last   Scaled up from 3 to 5 rooms, as trigger up[0] (room) asked.
  next   The figures that its triggers look at have to change.

  try    maestro-cli explain hello";
        assert_eq!(text, expected);
    }

    #[test]
    fn sentences_are_broken_between_words() {
        let text = draw(&view(vec![hello()]), 40, 24).join("\n");
        let expected = "  last   Scaled up from 3 to 5 rooms, as\n         trigger up[0] (room) asked.\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn every_line_fits_and_control_characters_vanish() {
        let row = Row {
            last: "x\u{1b}[31m".repeat(60),
            waits: "some words ".repeat(60),
            ..hello()
        };
        for width in [1, 8, 9, 20, 80] {
            let lines = draw(&view(vec![row.clone()]), width, 100);
            assert!(
                lines.iter().all(|line| line.chars().count() <= width),
                "{lines:#?}"
            );
            assert!(!lines.concat().contains('\u{1b}'));
        }
    }

    #[test]
    fn a_low_terminal_loses_sentences_first_and_says_what_is_missing() {
        let view = view(vec![hello(); 8]);
        let low = draw(&view, 80, 20);
        assert_eq!(low.len(), 3 + 8 + 2, "{low:#?}");
        let lower = draw(&view, 80, 6);
        assert_eq!(lower.len(), 6);
        assert_eq!(lower[5], "… and 8 lines more; maestro-cli get has them all");
        assert_eq!(draw(&view, 80, 0).len(), 1);
    }
}
