//! Text that a policy wrote, made fit for logs, tables and terminals.

/// `text` without characters that command a terminal or reorder what stands beside it, in at most `limit` bytes.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    const CUT: &str = "…";
    let mut cleaned = String::with_capacity(text.len().min(limit));
    // Where the mark of a cut still fits behind what is there.
    let mut fits = 0;
    for c in text.chars() {
        if cleaned.len() + CUT.len() <= limit {
            fits = cleaned.len();
        }
        match is_harmless(c) {
            true => cleaned.push(c),
            false => cleaned.extend(c.escape_default()),
        }
        if cleaned.len() > limit {
            cleaned.truncate(fits);
            cleaned.push_str(CUT);
            break;
        }
    }
    cleaned
}

/// Whether `c` shows as itself: no control character, and none that is invisible or turns the direction of text.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(clean("3 of 10 busy, größer", 1024), "3 of 10 busy, größer");
    }

    #[test]
    fn what_commands_a_terminal_is_escaped() {
        assert_eq!(
            clean("a\u{1b}[2Jb\nc\u{202e}d", 1024),
            "a\\u{1b}[2Jb\\nc\\u{202e}d"
        );
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        for limit in 3..40 {
            let cut = clean(&"ä\u{1b}".repeat(100), limit);
            assert!(cut.len() <= limit, "{limit}: {}", cut.len());
            assert!(cut.ends_with('…'));
            assert!(!cut.contains("\\…"), "an escape is never cut in two: {cut}");
        }
        assert_eq!(clean("exactly", 7), "exactly");
    }
}
