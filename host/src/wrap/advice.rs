//! What somebody is told to type who started the wrapper outside of a room.

/// How somebody who typed this command gets what they want.
pub(super) fn way_out() -> String {
    let words = std::env::args_os().skip(1);
    let words: Vec<String> = words.map(|word| typed(&word.to_string_lossy())).collect();
    let room = format!("maestro {}", words.join(" "));
    let room = match room.contains('\'') {
        true => shlex::try_quote(&room).map_or_else(|_| room.clone(), |quoted| quoted.into_owned()),
        false => format!("'{room}'"),
    };
    format!(
        "\n`maestro wrap` runs inside a room. Let Maestro start rooms with it:\n\n    \
         maestro dev init my.yaml\n    maestro dev --room {room} my.yaml"
    )
}

/// A word as it is typed within single quotes: in double ones where it needs any.
fn typed(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "+-./:=@_,%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let escaped = word.chars().flat_map(|c| {
        let escape = "\"\\$`".contains(c).then_some('\\');
        escape.into_iter().chain([c])
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_were_typed() {
        let words = ["wrap", "log:^Done (.*) \\$", "", "say \"$HOME\" `x`"];
        let text = words.map(typed).join(" ");
        assert!(text.starts_with("wrap \"log:^Done (.*) "), "{text}");
        assert_eq!(shlex::split(&text).unwrap(), words);
    }
}
