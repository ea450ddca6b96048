//! Text that somebody else wrote, most likely the attacker: cut and cleaned once, at the edge.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// A string of an event, safe to print: no control characters, no live links, at most [`Text::MAX`] characters.
///
/// It may be shown to people, it never names anything in a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Text(String);

impl Text {
    /// Characters kept of one string.
    pub const MAX: usize = 300;

    pub fn new(raw: &str) -> Self {
        let clean: String = raw.chars().take(Self::MAX + 1).map(|c| if is_printable(c) { c } else { ' ' }).collect();
        // A mail client would make a link of it, for a tired person to click.
        let mut kept = clean.replace("://", "[:]//");
        // Last, so that what is read again is what was kept.
        if kept.chars().nth(Self::MAX).is_some() {
            kept = kept.chars().take(Self::MAX - 1).chain(['…']).collect();
        }
        Self(kept)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters forge log lines; bidirectional overrides and invisible characters forge what a person reads.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl From<String> for Text {
    fn from(raw: String) -> Self {
        Self::new(&raw)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Of a text: 16 hexadecimal digits by which two are the same or not.
pub fn fingerprint(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_again_as_it_was() {
        for length in Text::MAX - 12..Text::MAX + 3 {
            let kept = Text::new(&format!("{}://x.example ://", "ä".repeat(length)));
            assert_eq!(Text::new(kept.as_str()), kept, "{length}");
            assert!(kept.as_str().chars().count() <= Text::MAX && !kept.as_str().contains("://"), "{length}");
        }
    }

    #[test]
    fn what_an_attacker_writes_cannot_forge_lines_links_or_length() {
        for (raw, shown) in [
            ("plain text, kept as it is", "plain text, kept as it is".to_owned()),
            ("two\nlines\u{1b}[31m", "two lines [31m".to_owned()),
            ("see https://evil.example/x", "see https[:]//evil.example/x".to_owned()),
            ("abc\u{202e}fdp.exe", "abc fdp.exe".to_owned()),
            (&"x".repeat(20_000), format!("{}…", "x".repeat(Text::MAX - 1))),
            (&"é".repeat(Text::MAX), "é".repeat(Text::MAX)),
        ] {
            assert_eq!(Text::new(raw).as_str(), shown);
        }
    }
}
