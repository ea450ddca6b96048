//! How reports, commands and the account look on the screen.

use serde_json::Value;

use crate::account::{self, Row};
use crate::report::{Figures, Report, Step, cost, target};
use crate::screen::Style;
use crate::stage::Ended;
use crate::story::Story;

/// How much of what a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    All,
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
        for step in steps {
            let (style, line) = self.step(step);
            screen.line(&format!(
                "     {} {}",
                screen.paint(Style::Dim, &format!("{label:<8}")),
                screen.paint(style, &line)
            ));
            label = "";
        }
        let why: String = report.outcome.reasons.iter().map(|reason| format!(": {}", reason.text)).collect();
        screen.labelled("outcome", style_of(&report.outcome.kind), &format!("{}{why}", report.outcome.kind));
        screen.labelled("cost", Style::Dim, &cost(report, figures));
    }

    /// State, thing, and from what to what.
    fn step(&self, step: &Step) -> (Style, String) {
        let state = step.state.split(':').next().unwrap_or_default();
        let style = match state {
            "done" | "already so" => Style::Good,
            _ if state.starts_with("planned") || state.starts_with("waits") => Style::Wait,
            _ => Style::Bad,
        };
        let named = |text: &str| account::name_groups(&self.before, text);
        let change = if step.before == step.after {
            named(&step.after)
        } else {
            format!("{} → {}", named(&step.before), named(&step.after))
        };
        (style, format!("{state:<18} {:<37} {change}", target(step)))
    }

    /// The account before all, or where it is other in `after`.
    pub fn table(&self, title: &str, after: Option<&Value>) {
        self.screen.heading(title);
        let before = account::rows(&self.stage.ids, &self.before);
        let rows = after.map_or_else(|| before.clone(), |after| account::rows(&self.stage.ids, after));
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
            Says::All => ended.stdout.clone(),
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

/// Lines that begin with `[STATE]`, side by side and of one state, become one.
fn in_short(said: &str) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for line in said.lines() {
        let state = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(state, _)| state);
        let shown = state.map_or_else(|| line.to_owned(), |state| format!("  [{state}]"));
        match lines.last_mut() {
            Some((last, count)) if state.is_some() && *last == shown => *count += 1,
            _ => lines.push((shown, usize::from(state.is_some()))),
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
        let said = "Released x\n  [undone] a: b\n  [undone] c\n  [gone] d\n  held by y\n";
        assert_eq!(in_short(said), "Released x\n  [undone] 2 steps\n  [gone] 1 step\n  held by y\n");
    }
}
