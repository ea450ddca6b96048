//! How things look: colours, wrapped text, tables and progress. Knows nothing of Cordon.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Narrow enough for half a screen; text is wrapped at it.
const WIDTH: usize = 100;
const TICK: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    Wait,
    Bad,
    Title,
}

pub struct Screen {
    colour: Colour,
    animation: Animation,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    Off,
    On,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Animation {
    Off,
    On,
}

impl Screen {
    /// For the stdout that we have.
    pub fn new() -> Screen {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        let terminal = io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let colour = if (terminal || set("FORCE_COLOR")) && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) {
            Colour::On
        } else {
            Colour::Off
        };
        Screen { colour, animation: if terminal { Animation::On } else { Animation::Off } }
    }

    pub fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Wait => "33",
            Style::Bad => "1;31",
            Style::Title => "1;36",
            Style::Plain => return text.to_owned(),
        };
        match self.colour {
            Colour::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colour::Off => text.to_owned(),
        }
    }

    pub fn line(&self, line: &str) {
        // Whoever reads may have left, as `head` does; what was started must still be checked and stopped.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }

    pub fn heading(&self, title: &str) {
        let rule = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 4));
        self.line(&format!("\n{} {}", self.paint(Style::Title, &format!("── {title}")), self.paint(Style::Dim, &rule)));
    }

    /// Running text under a heading.
    pub fn prose(&self, style: Style, text: &str) {
        for line in wrap(text, WIDTH - 2) {
            self.line(&format!("  {}", self.paint(style, &line)));
        }
    }

    /// ` 1  text`, as a heading of what follows.
    pub fn numbered(&self, number: &str, text: &str) {
        let mut number = format!("{number:>2}");
        for line in wrap(text, WIDTH - 5) {
            self.line(&format!("  {} {}", self.paint(Style::Title, &number), self.paint(Style::Bold, &line)));
            number = "  ".to_owned();
        }
    }

    /// `label  text`, where the text is wrapped beside its label.
    pub fn labelled(&self, label: &str, style: Style, text: &str) {
        let mut label = format!("{label:<8}");
        for line in wrap(text, WIDTH - 14) {
            self.line(&format!("     {} {}", self.paint(Style::Dim, &label), self.paint(style, &line)));
            label = " ".repeat(8);
        }
    }

    /// What somebody else wrote, as it is but for long lines.
    pub fn quote(&self, text: &str) {
        let bar = self.paint(Style::Dim, "│");
        for line in text.trim_end().lines() {
            if line.chars().count() <= WIDTH - 4 {
                self.line(format!("  {bar} {line}").trim_end());
                continue;
            }
            let mut indent: String = line.chars().take_while(|c| *c == ' ').collect();
            for part in wrap(line, WIDTH - 6 - indent.len()) {
                self.line(&format!("  {bar} {indent}{part}"));
                if !indent.ends_with("    ") {
                    indent.push_str("  ");
                }
            }
        }
    }

    /// Waits for the work and says how long it takes.
    pub async fn progress<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let show = |mark: &str, end: &str| {
            let mut out = io::stdout().lock();
            let _ = write!(out, "  {mark} {what:<74}{:>5.1} s{end}", started.elapsed().as_secs_f64());
            let _ = out.flush();
        };
        let mut work = pin!(work);
        let mut tick = tokio::time::interval(TICK);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = tick.tick() => if self.animation == Animation::On { show("…", "\r") },
            }
        };
        match &done {
            Ok(_) => show(&self.paint(Style::Good, "✓"), "\n"),
            Err(_) => show(&self.paint(Style::Bad, "✗"), "\n"),
        }
        done
    }
}

/// Breaks between words only; a word that is too long gets a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
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
            ("", &[][..]),
            ("one two three", &["one two", "three"]),
            ("a verylongword b", &["a", "verylongword", "b"]),
            ("→→→ →→→", &["→→→ →→→"]),
        ] {
            assert_eq!(wrap(text, 7), expected);
        }
    }

    #[test]
    fn only_a_coloured_screen_writes_escapes() {
        let screen = |colour| Screen { colour, animation: Animation::Off };
        assert_eq!(screen(Colour::Off).paint(Style::Bad, "x"), "x");
        assert_eq!(screen(Colour::On).paint(Style::Bad, "x"), "\x1b[1;31mx\x1b[0m");
        assert_eq!(screen(Colour::On).paint(Style::Plain, "x"), "x");
    }
}
