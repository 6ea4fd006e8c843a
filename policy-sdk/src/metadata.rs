//! The description of a policy, rendered to JSON while it is compiled.
//!
//! It stands in the custom section `maestro-policy`, so that whoever holds the file can read it without running
//! anything. Its reader is `maestro_engine::package`.

/// Room for a description; far more than a person reads, and the reader refuses longer ones.
const CAPACITY: usize = 16 * 1024;

/// What is written down about a policy.
pub struct Description {
    /// A DNS-1123 label.
    pub name: &'static str,
    /// The crate's version.
    pub version: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What it reads.
    pub inputs: &'static [&'static str],
    /// A JSON schema of its parameters.
    pub schema: &'static str,
}

/// One parameter.
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// The lines of its documentation.
    pub docs: &'static [&'static str],
    /// What JSON schema calls its type.
    pub kind: &'static str,
    /// Its default as written in Rust.
    pub default: Option<&'static str>,
    /// Its bounds as written in Rust.
    pub range: Option<(&'static str, &'static str)>,
    /// Whether it may be left out without a default.
    pub is_optional: bool,
}

/// Text under construction in a constant.
pub struct Text {
    bytes: [u8; CAPACITY],
    len: usize,
}

/// The content of the section.
pub const fn describe(policy: &Description) -> Text {
    let mut text = Text::new();
    text.push("{\"name\":");
    text.push_quoted(policy.name);
    text.push(",\"version\":");
    text.push_quoted(policy.version);
    text.push(",\"summary\":");
    text.push_quoted(policy.summary);
    text.push(",\"inputs\":[");
    let mut index = 0;
    while index < policy.inputs.len() {
        if index > 0 {
            text.push(",");
        }
        text.push_quoted(policy.inputs[index]);
        index += 1;
    }
    text.push("],\"parameters\":");
    text.push(policy.schema);
    text.push("}");
    text
}

/// The JSON schema of an object with these fields and no others.
pub const fn schema(fields: &[Field]) -> Text {
    let mut text = Text::new();
    text.push("{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    let mut index = 0;
    while index < fields.len() {
        if index > 0 {
            text.push(",");
        }
        text.push_property(&fields[index]);
        index += 1;
    }
    text.push("},\"required\":[");
    let mut index = 0;
    let mut is_first = true;
    while index < fields.len() {
        if fields[index].default.is_none() && !fields[index].is_optional {
            if !is_first {
                text.push(",");
            }
            text.push_quoted(fields[index].name);
            is_first = false;
        }
        index += 1;
    }
    text.push("]}");
    text
}

impl Text {
    const fn new() -> Self {
        Self {
            bytes: [0; CAPACITY],
            len: 0,
        }
    }

    /// How long it is.
    pub const fn size(&self) -> usize {
        self.len
    }

    /// The bytes alone, `N` being the length.
    pub const fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.bytes.split_at(N).0);
        bytes
    }

    const fn push_byte(&mut self, byte: u8) {
        assert!(
            self.len < CAPACITY,
            "the description of a policy is longer than 16 KiB"
        );
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    const fn push(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            self.push_byte(bytes[index]);
            index += 1;
        }
    }

    const fn push_quoted(&mut self, text: &str) {
        self.push("\"");
        self.push_escaped(text.as_bytes());
        self.push("\"");
    }

    /// Control characters become spaces; none of these texts has a use for them.
    const fn push_escaped(&mut self, bytes: &[u8]) {
        let mut index = 0;
        while index < bytes.len() {
            match bytes[index] {
                b'"' => self.push("\\\""),
                b'\\' => self.push("\\\\"),
                0..0x20 => self.push(" "),
                byte => self.push_byte(byte),
            }
            index += 1;
        }
    }

    /// A literal of Rust as JSON: numbers lose their underscores, texts and truth values stay as they are.
    const fn push_literal(&mut self, literal: &str) {
        let bytes = literal.as_bytes();
        let is_text = bytes[0] == b'"';
        let mut index = 0;
        while index < bytes.len() {
            if is_text || bytes[index] != b'_' {
                self.push_byte(bytes[index]);
            }
            index += 1;
        }
    }

    const fn push_property(&mut self, field: &Field) {
        self.push_quoted(field.name);
        self.push(":{\"type\":");
        self.push_quoted(field.kind);
        if !field.docs.is_empty() {
            self.push(",\"description\":\"");
            let mut line = 0;
            while line < field.docs.len() {
                // Each line opens with the space that stands after the slashes; the first one does without.
                match (field.docs[line].as_bytes(), line) {
                    ([b' ', rest @ ..], 0) => self.push_escaped(rest),
                    (whole, _) => self.push_escaped(whole),
                }
                line += 1;
            }
            self.push("\"");
        }
        if let Some(default) = field.default {
            self.push(",\"default\":");
            self.push_literal(default);
        }
        if let Some((low, high)) = field.range {
            self.push(",\"minimum\":");
            self.push_literal(low);
            self.push(",\"maximum\":");
            self.push_literal(high);
        }
        self.push("}");
    }
}
