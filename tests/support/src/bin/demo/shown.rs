//! How reports, commands and the account look on the screen.

use serde_json::Value;

use crate::report::{Figures, Line, Report, cost, lines};
use crate::rows::{self, Row};
use crate::screen::Style;
use crate::stage::Ended;
use crate::story::Story;

/// How much of what a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Steps, and commands to type, that are of one kind and side by side show with the first of them.
    Most,
    /// Steps are counted by their state.
    InShort,
}

impl Story<'_> {
    /// What came of a scene. What was seen and decided is not said twice.
    pub fn show(&mut self, report: &Report, figures: Figures) {
        let remote = if report.remote.is_empty() { String::new() } else { format!(" [{}]", report.remote.join(", ")) };
        let seen = format!("{}: {}{remote}", report.finding_type, report.title);
        let reasons: Vec<&str> = report.decision.iter().map(|reason| reason.text.as_str()).collect();
        let decided = reasons.join("; ");
        let is_new = self.told.insert(format!("{seen} {decided}"));
        let screen = self.screen;
        if is_new {
            screen.labelled("seen", Style::Plain, &seen);
            screen.labelled("decided", Style::Plain, &decided);
        }
        // Of an event that joined, the steps are those of the incident that it joined.
        let steps = if report.outcome.kind == "Joined" { &[][..] } else { &report.steps };
        let mut label = if figures.changes > 0 { "changed" } else { "steps" };
        for line in lines(steps, |text| rows::name_groups(&self.before, text)) {
            let Line { state, what, change } = &line;
            let text = format!("{state:<18} {what:<37} {change}");
            screen.line(&format!(
                "     {} {}",
                screen.paint(Style::Dim, &format!("{label:<8}")),
                screen.paint(style_of_state(state), &text)
            ));
            label = "";
        }
        let why: String = report.outcome.reasons.iter().map(|reason| format!(": {}", reason.text)).collect();
        screen.labelled("outcome", style_of(&report.outcome.kind), &format!("{}{why}", report.outcome.kind));
        screen.labelled("cost", Style::Dim, &cost(report, figures));
    }

    /// The account before all, or where it is other in `after`.
    pub fn table(&self, title: &str, after: Option<&Value>) {
        self.screen.heading(title);
        let before = rows::rows(&self.stage.ids, &self.before);
        let rows = after.map_or_else(|| before.clone(), |after| rows::rows(&self.stage.ids, after));
        let mut last = "";
        for row in rows.iter().filter(|row| after.is_none() || !before.contains(row)) {
            let Row { thing, part, value } = row;
            let was = before.iter().find(|old| (&old.thing, &old.part) == (thing, part));
            let (style, mark) = match was {
                Some(old) if old == row => (Style::Plain, String::new()),
                Some(old) => (Style::Good, format!("  ◀ was {}", old.value)),
                None => (Style::Good, "  ◀ new".to_owned()),
            };
            let thing_once = if thing == last { "" } else { thing };
            let value = self.screen.paint(style, value);
            let mark = self.screen.paint(Style::Wait, &mark);
            self.screen.line(&format!("  {thing_once:<23} {part:<34} {value}{mark}"));
            last = thing;
        }
    }

    /// A command line and what it printed.
    pub fn command(&self, line: &str, ended: &Ended, says: Says) {
        let code = match ended.code {
            Some(0) => String::new(),
            Some(code) => format!("   (exit code {code})"),
            None => "   (killed)".to_owned(),
        };
        let code = self.screen.paint(Style::Dim, &code);
        self.screen.line(&format!("  {}{code}", self.screen.paint(Style::Bold, &format!("$ cordon {line}"))));
        let said = match says {
            Says::Most => folded(&ended.stdout),
            Says::InShort => in_short(&ended.stdout),
        };
        self.screen.quote(&format!("{said}{}", ended.stderr));
    }
}

fn style_of(outcome: &str) -> Style {
    match outcome {
        "Contained" => Style::Good,
        "Observed" | "Joined" | "Ignored" => Style::Bold,
        "AwaitingApproval" => Style::Wait,
        _ => Style::Bad,
    }
}

fn style_of_state(state: &str) -> Style {
    match state {
        "done" | "already so" => Style::Good,
        _ if state.starts_with("planned") || state.starts_with("waits") => Style::Wait,
        _ => Style::Bad,
    }
}

/// Of lines of one kind, side by side, the first, and how many more there are.
pub fn folded(said: &str) -> String {
    let mut shown = String::new();
    let mut last: Option<(String, usize)> = None;
    let more = |last: &Option<(String, usize)>| match last {
        Some((_, count)) if *count > 0 => format!("    (and {count} more, not shown)\n"),
        _ => String::new(),
    };
    for line in said.lines() {
        let kind = kind(line);
        match (&mut last, kind) {
            (Some((before, count)), Some(kind)) if *before == kind => *count += 1,
            (_, kind) => {
                shown += &more(&last);
                shown += &format!("{line}\n");
                last = kind.map(|kind| (kind, 0));
            }
        }
    }
    shown + &more(&last)
}

/// `[STATE] ACTION` of a step, the action of a planned one, `aws` of a command to type; None for other text.
fn kind(line: &str) -> Option<String> {
    let line = line.trim_start();
    let word = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((state, rest)) => Some(format!("{state} {}", word(rest))),
        None if line.starts_with("aws ") => Some("aws".to_owned()),
        None => {
            let first = word(line);
            let is_action = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
            (first.contains('.') && first.chars().all(is_action)).then_some(first)
        }
    }
}

/// Lines that begin with `[STATE]` are counted by it.
fn in_short(said: &str) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for line in said.lines() {
        let state = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(state, _)| state);
        let shown = state.map_or_else(|| line.to_owned(), |state| format!("  [{state}]"));
        match lines.iter_mut().find(|(known, _)| state.is_some() && *known == shown) {
            Some((_, count)) => *count += 1,
            None => lines.push((shown, usize::from(state.is_some()))),
        }
    }
    let line = |(shown, count): (String, usize)| match count {
        0 => format!("{shown}\n"),
        1 => format!("{shown} 1 step\n"),
        _ => format!("{shown} {count} steps\n"),
    };
    lines.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_one_state_become_one_line() {
        let said = "Released x\n  [undone] a: b\n  [undone] c\n  [gone] d\n  [undone] e\n  held by y\n";
        assert_eq!(in_short(said), "Released x\n  [undone] 3 steps\n  [gone] 1 step\n  held by y\n");
    }

    #[test]
    fn of_lines_of_one_kind_the_first_is_shown() {
        for (said, shown) in [
            ("a\na\n", "a\na\n"),
            ("[x] a.b 1\n[x] a.b 2\n[y] a.b 3\n", "[x] a.b 1\n    (and 1 more, not shown)\n[y] a.b 3\n"),
            ("  a.b 1\n  a.b 2\n  a.b 3\n  a.c", "  a.b 1\n    (and 2 more, not shown)\n  a.c\n"),
            ("aws a\naws b\nWHY\n", "aws a\n    (and 1 more, not shown)\nWHY\n"),
            ("A.B\nA.B\n", "A.B\nA.B\n"),
        ] {
            assert_eq!(folded(said), shown);
        }
    }
}
