//! How things look: colours, and text that is wrapped beside its label. Knows nothing of Cordon.

use std::io::{self, IsTerminal, Write};

/// Of a line. What is shown of an id or a name is short enough by itself.
const WIDTH: usize = 120;
const LABEL: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
}

/// Stdout, with colours or without.
pub struct Screen {
    colours: Colours,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colours {
    Off,
    On,
}

impl Screen {
    /// For the stdout that we have.
    pub fn new() -> Screen {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        let terminal = io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let on = (terminal || set("FORCE_COLOR")) && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Screen { colours: if on { Colours::On } else { Colours::Off } }
    }

    pub fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Bad => "1;31",
            Style::Plain => return text.to_owned(),
        };
        match self.colours {
            Colours::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colours::Off => text.to_owned(),
        }
    }

    pub fn line(&self, line: &str) {
        // Whoever reads may have left, as `head` does; what was started must still be checked and stopped.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }

    /// After an empty line.
    pub fn heading(&self, text: &str) {
        self.line(&format!("\n{}", self.paint(Style::Bold, text)));
    }

    /// `label  text`, where the text is wrapped beside its label.
    pub fn labelled(&self, label: &str, style: Style, text: &str) {
        let mut label = label;
        for line in wrap(text.trim_end(), WIDTH - LABEL - 2) {
            let label_here = self.paint(Style::Dim, &format!("{label:<LABEL$}"));
            self.line(&format!("  {label_here}{}", self.paint(style, &line)));
            label = "";
        }
    }
}

/// Breaks between words only; a word that is too long gets a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words() {
        for (text, expected) in [
            ("one two three", &["one two", "three"][..]),
            ("a verylongword b", &["a", "verylongword", "b"]),
            ("→→→ →→→", &["→→→ →→→"]),
        ] {
            assert_eq!(wrap(text, 7), expected);
        }
    }

    #[test]
    fn only_a_coloured_screen_writes_escapes() {
        let screen = |colours| Screen { colours };
        assert_eq!(screen(Colours::Off).paint(Style::Bad, "x"), "x");
        assert_eq!(screen(Colours::On).paint(Style::Bad, "x"), "\x1b[1;31mx\x1b[0m");
        assert_eq!(screen(Colours::On).paint(Style::Plain, "x"), "x");
    }
}
