//! Rules that would have matched, had one thing been otherwise: for whoever asks why nothing was seen.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Detector, Document, Rule, seen};
use crate::{domain::Text, ingest::Record};
use rsigma_eval::{
    CompiledRule,
    explain::{ConditionTrace, DetectionTrace, ItemTrace, MatchReason, explain_rule},
};

pub struct Near<'a> {
    pub rule: &'a Rule,
    /// What the record lacks, in words.
    pub missing: Vec<String>,
}

impl Detector {
    /// Rules that ask for this call and see something else in it; those that lack least come first.
    pub fn near<'a>(&'a self, record: &Record, most: usize) -> Vec<Near<'a>> {
        let document = Document::of(record);
        let one = |(rule, compiled): (&'a Rule, &CompiledRule)| {
            let explained = explain_rule(compiled, &document);
            if explained.matched {
                // It sees what was done, and this was not.
                let missing = vec!["the call did not succeed".to_owned()];
                return seen(rule, record, &document).is_none().then_some(Near { rule, missing });
            }
            let mut found = Found::default();
            explained.conditions.iter().for_each(|condition| found.condition(condition, false));
            found.missing.dedup();
            (found.is_about_it && !found.missing.is_empty()).then_some(Near { rule, missing: found.missing })
        };
        let mut near: Vec<Near<'a>> = self.rules.iter().zip(self.engine.rules()).filter_map(one).collect();
        near.sort_by_key(|near| near.missing.len());
        near.truncate(most);
        near
    }
}

#[derive(Default)]
struct Found {
    /// The rule looks for a call of this name.
    is_about_it: bool,
    missing: Vec<String>,
}

impl Found {
    fn condition(&mut self, trace: &ConditionTrace, negated: bool) {
        match trace {
            ConditionTrace::Selection { name, matched, .. } if negated => {
                if *matched {
                    self.missing.push(format!("`{name}` excludes it"));
                }
            }
            ConditionTrace::Selection { detection, .. } => self.detection(detection),
            ConditionTrace::And { children, .. } | ConditionTrace::Or { children, .. } => {
                children.iter().for_each(|child| self.condition(child, negated));
            }
            ConditionTrace::Not { child, .. } => self.condition(child, !negated),
            ConditionTrace::Quantified { branches, .. } if negated => {
                let excluding = branches.iter().filter(|branch| branch.matched);
                self.missing.extend(excluding.map(|branch| format!("`{}` excludes it", branch.name)));
            }
            ConditionTrace::Quantified { branches, .. } => {
                branches.iter().for_each(|branch| self.detection(&branch.detection))
            }
        }
    }

    fn detection(&mut self, trace: &DetectionTrace) {
        match trace {
            DetectionTrace::AllOf { items, .. } => items.iter().for_each(|item| self.item(item)),
            DetectionTrace::AnyOf { matched: true, .. } => self.is_about_it = true,
            DetectionTrace::AnyOf { branches, .. } | DetectionTrace::And { branches, .. } => {
                branches.iter().for_each(|branch| self.detection(branch));
            }
            DetectionTrace::Keywords { item, .. } => self.item(item),
            DetectionTrace::Conditional { condition, .. } => self.condition(condition, false),
            DetectionTrace::ArrayMatch { field, matched, .. } if !matched => {
                self.missing.push(format!("no member of `{field}` is as it asks"))
            }
            DetectionTrace::ArrayMatch { .. } | DetectionTrace::Other { .. } => {}
        }
    }

    fn item(&mut self, item: &ItemTrace) {
        let field = item.field.as_deref().unwrap_or("any text");
        if field == "eventName" {
            self.is_about_it |= item.matched;
        }
        if item.matched || field == "eventName" {
            return;
        }
        let wanted =
            item.pattern.as_deref().map(|pattern| format!(", asked for is {}", Text::new(pattern))).unwrap_or_default();
        self.missing.push(match (&item.reason, &item.actual) {
            (MatchReason::FieldAbsent, _) | (_, None) => format!("there is no `{field}`{wanted}"),
            (_, Some(actual)) => format!("`{field}` is {}{wanted}", Text::new(&actual.to_string())),
        });
    }
}
