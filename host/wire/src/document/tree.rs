//! From text to a tree of positioned nodes, YAML and JSON alike.
//!
//! The tree is the only thing the rest of the reader sees of YAML: maps keep their order and their duplicate keys,
//! scalars stay text until a field says what it wants. The text comes from anywhere, so that everything here is
//! bounded: its size, its nesting, its nodes, and what its aliases copy.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

use super::problem::{Position, Problem, quoted};

/// Largest text read. A scheduler of a hundred containers takes a tenth of it.
pub const TEXT_LIMIT: usize = 256 * 1024;
/// Most documents in a text.
pub const DOCUMENT_LIMIT: usize = 100;
/// Deepest nesting of maps and lists.
pub const DEPTH_LIMIT: usize = 32;
/// Most nodes of a text, copies made by aliases included.
pub const NODE_LIMIT: usize = 20_000;
/// Longest key. Paths are made of keys.
pub const KEY_LIMIT: usize = 256;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `plain` text may mean a number, a boolean or nothing; quoted text is text.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Position,
    pub(super) node: Node,
}

/// One document of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Root {
    pub(super) node: Node,
    /// The line it begins at, from 1.
    pub(super) line: usize,
}

/// All documents of `text` up to the first mistake of its syntax, and that mistake.
pub(super) fn parse(text: &str) -> (Vec<Root>, Option<Problem>) {
    let mut builder = Builder::default();
    let fault = builder.run(text).err().map(|mut problem| {
        problem.document = builder.roots.len() + 1;
        problem
    });
    (builder.roots, fault)
}

/// What is being put together.
#[derive(Default)]
struct Builder {
    roots: Vec<Root>,
    /// Where the document at hand begins.
    line: usize,
    open: Vec<Frame>,
    anchors: BTreeMap<usize, (Node, Weight)>,
    weight: Weight,
}

/// A map or list that is not complete yet.
struct Frame {
    at: Position,
    anchor: usize,
    /// What the whole text weighed before it.
    before: Weight,
    value: Value,
    /// The key that waits for its value.
    key: Option<(String, Position)>,
}

/// What a tree takes.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
}

type Step = Result<(), Problem>;

impl Builder {
    fn run(&mut self, text: &str) -> Step {
        if text.len() > TEXT_LIMIT {
            let message = format!(
                "the text is {} bytes long; at most {TEXT_LIMIT} are read",
                text.len()
            );
            return Err(Problem::new(Position { line: 1, column: 1 }, "", message));
        }
        check_characters(text)?;
        let joined = joined_surrogates(text);
        let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(&joined);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| syntax(error.info(), *error.marker(), text))?;
            self.take(event, span)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Step {
        let at = position(span.start);
        match event {
            Event::DocumentStart(_) => {
                if self.roots.len() == DOCUMENT_LIMIT {
                    let message = format!("the text has more than {DOCUMENT_LIMIT} documents");
                    return Err(Problem::new(at, "", message));
                }
                self.line = at.line;
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                // `!!str` and `!` mean text; any other tag asks for types that a document has no use for.
                let plain = match &tag {
                    None => style == ScalarStyle::Plain,
                    Some(tag) if is_text(tag) => false,
                    Some(tag) => return Err(unknown_tag(at, tag)),
                };
                let text = text.into_owned();
                let before = self.weight;
                self.add(
                    at,
                    Weight {
                        nodes: 1,
                        bytes: text.len(),
                    },
                )?;
                self.place(
                    Node {
                        at,
                        value: Value::Scalar { text, plain },
                    },
                    anchor,
                    before,
                )
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(at, anchor, tag.as_deref(), Value::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(at, anchor, tag.as_deref(), Value::Map(Vec::new()))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(frame) => self.place(
                    Node {
                        at: frame.at,
                        value: frame.value,
                    },
                    frame.anchor,
                    frame.before,
                ),
                None => Ok(()),
            },
            Event::Alias(anchor) => self.copy(at, anchor),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, at: Position, anchor: usize, tag: Option<&saphyr_parser::Tag>, value: Value) -> Step {
        if let Some(tag) = tag {
            return Err(unknown_tag(at, tag));
        }
        self.check_key_is_text(at)?;
        let before = self.weight;
        self.add(at, Weight { nodes: 1, bytes: 0 })?;
        self.open.push(Frame {
            at,
            anchor,
            before,
            value,
            key: None,
        });
        if self.open.len() > DEPTH_LIMIT {
            return Err(Problem::new(
                at,
                "",
                format!("nested deeper than {DEPTH_LIMIT} levels"),
            ));
        }
        Ok(())
    }

    /// Puts a copy of the anchored node in place of its alias. Each copy counts in full, so that aliases of aliases
    /// soon meet the limit.
    fn copy(&mut self, at: Position, anchor: usize) -> Step {
        self.check_key_is_text(at)?;
        let Some((node, weight)) = self.anchors.get(&anchor).cloned() else {
            let is_inside = self.open.iter().any(|frame| frame.anchor == anchor);
            return Err(Problem::new(
                at,
                "",
                match is_inside {
                    true => "this alias stands inside the value that it names",
                    false => "this alias names nothing in its own document",
                },
            ));
        };
        let before = self.weight;
        self.add(at, weight)?;
        if self.open.len() + depth(&node) > DEPTH_LIMIT {
            return Err(Problem::new(
                at,
                "",
                format!("nested deeper than {DEPTH_LIMIT} levels"),
            ));
        }
        self.place(node, 0, before)
    }

    /// Puts a complete node where it belongs: a key, a value, an item, or a whole document.
    fn place(&mut self, node: Node, anchor: usize, before: Weight) -> Step {
        if anchor != 0 {
            let weight = Weight {
                nodes: self.weight.nodes - before.nodes,
                bytes: self.weight.bytes - before.bytes,
            };
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(frame) = self.open.last_mut() else {
            self.roots.push(Root {
                node,
                line: self.line,
            });
            return Ok(());
        };
        match &mut frame.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match frame.key.take() {
                Some((key, key_at)) => entries.push(Entry { key, key_at, node }),
                None => frame.key = Some(key_of(node)?),
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }

    fn add(&mut self, at: Position, weight: Weight) -> Step {
        self.weight.nodes += weight.nodes;
        self.weight.bytes += weight.bytes;
        // Copies may take as many bytes again as the largest text.
        if self.weight.nodes > NODE_LIMIT || self.weight.bytes > 2 * TEXT_LIMIT {
            let message = format!("the text has more than {NODE_LIMIT} values, or its aliases copy too much");
            return Err(Problem::new(at, "", message));
        }
        Ok(())
    }

    /// Refuses a map, a list or an alias where a key is due.
    fn check_key_is_text(&self, at: Position) -> Step {
        match self.open.last() {
            Some(Frame {
                value: Value::Map(_),
                key: None,
                ..
            }) => Err(Problem::new(
                at,
                "",
                "a key must be a name, found a map, a list or an alias",
            )),
            _ => Ok(()),
        }
    }
}

fn key_of(node: Node) -> Result<(String, Position), Problem> {
    let Value::Scalar { text, plain } = node.value else {
        return Err(Problem::new(
            node.at,
            "",
            "a key must be a name, found a map or a list",
        ));
    };
    if text.is_empty() {
        return Err(Problem::new(node.at, "", "a key must be a name, found nothing"));
    }
    if text.len() > KEY_LIMIT {
        return Err(Problem::new(
            node.at,
            "",
            format!("a key is at most {KEY_LIMIT} bytes long"),
        ));
    }
    if plain && text == "<<" {
        let problem = Problem::new(node.at, "", "merge keys are not supported");
        return Err(problem.hint("write the keys out, or use an alias for a whole value"));
    }
    Ok((text, node.at))
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => 0,
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|entry| depth(&entry.node)).max().unwrap_or(0),
    }
}

fn position(marker: Marker) -> Position {
    Position {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

fn is_text(tag: &saphyr_parser::Tag) -> bool {
    (tag.is_yaml_core_schema() && tag.suffix == "str") || (tag.handle.is_empty() && tag.suffix == "!")
}

fn unknown_tag(at: Position, tag: &saphyr_parser::Tag) -> Problem {
    let message = format!("the tag {} is not supported", quoted(&tag.to_string()));
    Problem::new(at, "", message).hint("remove it")
}

/// The parser takes NUL for the end of its input, and no other control character has a use in a document.
fn check_characters(text: &str) -> Step {
    let is_bad = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    let Some(index) = text.find(is_bad) else {
        return Ok(());
    };
    let before = &text[..index];
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let line = before.matches('\n').count() + 1;
    let code = text[index..].chars().next().map_or(0, u32::from);
    let message = format!("the control character U+{code:04X} is not allowed");
    Err(Problem::new(Position { line, column }, "", message)
        .hint("write it as an escape between double quotes"))
}

/// JSON writes a character beyond U+FFFF as two escapes, which YAML does not know: `\ud83d\ude00` becomes the
/// character itself in a text that is JSON.
fn joined_surrogates(text: &str) -> Cow<'_, str> {
    let is_json = text.trim_start().starts_with('{');
    if !is_json || !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        joined.push_str(&rest[..place]);
        rest = &rest[place..];
        let pair = surrogate(rest).zip(rest.get(6..).and_then(surrogate));
        let taken = match pair.and_then(|pair| char::decode_utf16([pair.0, pair.1]).next()?.ok()) {
            // Two escapes of characters of their own decode as well, to the first of them.
            Some(c) if c > '\u{ffff}' => {
                joined.push(c);
                12
            }
            // Any other escape: its backslash and what follows stay, so that `\\u` is not taken for an escape.
            _ => {
                let length = rest.chars().take(2).map(char::len_utf8).sum();
                joined.push_str(&rest[..length]);
                length
            }
        };
        rest = &rest[taken..];
    }
    joined.push_str(rest);
    Cow::Owned(joined)
}

/// The number of the escape `\uXXXX` that `text` begins with.
fn surrogate(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

/// A mistake of syntax in the parser's words, with a guess at what led to it: the parser notices late.
fn syntax(info: &str, marker: Marker, text: &str) -> Problem {
    let at = position(marker);
    let problem = Problem::new(at, "", format!("this is not valid YAML or JSON: {info}"));
    match guess(at.line, text) {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

fn guess(number: usize, text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let Some(line) = lines.get(number - 1) else {
        return Some("the text ends too early: is a bracket or a quote left open?".to_owned());
    };
    if line[..indent(line)].contains('\t') {
        return Some("indent with spaces, not tabs".to_owned());
    }
    if !line.matches('"').count().is_multiple_of(2) {
        return Some("is a quote left open in this line?".to_owned());
    }
    let contents: Vec<(usize, &str)> = lines
        .iter()
        .enumerate()
        .map(|(i, line)| (i + 1, *line))
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .collect();
    let place = contents.iter().position(|(i, _)| *i >= number)?;
    // Either this line or the one below it hangs below a key that has a value already.
    let pairs = contents.get(place.saturating_sub(1)..)?.windows(2).take(2);
    for pair in pairs {
        let ((_, above), (below, line)) = (pair[0], pair[1]);
        let value = above.split_once(": ").map_or("", |(_, value)| value.trim_start());
        let has_value = !value.is_empty() && !value.starts_with(['#', '&', '|', '>', '{', '[']);
        if has_value && indent(line) > indent(above) {
            return Some(format!(
                "line {below} is indented below a key that has a value already: is a key such as `ports:` missing \
                 above it?"
            ));
        }
    }
    let (above, line) = *contents.get(place.checked_sub(1)?)?;
    let is_bare = !line.contains(':') && !line.trim_start().starts_with(['-', '{', '[', '}', ']', '"']);
    is_bare.then(|| format!("is a `:` missing in line {above}?"))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
