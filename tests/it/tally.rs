//! Cells tried and right, as a table.

use anyhow::Result;
use futures::FutureExt;
use std::{collections::BTreeMap, fmt, future::Future, panic::AssertUnwindSafe};

/// Cells tried and right, by row.
#[derive(Debug, Default)]
pub struct Tally {
    pub rows: BTreeMap<String, (usize, usize)>,
    pub wrong: Vec<String>,
}

impl Tally {
    pub fn count(&mut self, row: String, cell: &str, result: Result<()>) {
        let (tried, right) = self.rows.entry(row).or_default();
        *tried += 1;
        match result {
            Ok(()) => *right += 1,
            Err(error) => self.wrong.push(format!("{cell}: {error:#}")),
        }
    }

    pub fn add(&mut self, other: Tally) {
        for (row, (tried, right)) in other.rows {
            let sum = self.rows.entry(row).or_default();
            *sum = (sum.0 + tried, sum.1 + right);
        }
        self.wrong.extend(other.wrong);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<70} {:>6} {:>6}", "row", "tried", "right")?;
        for (row, (tried, right)) in &self.rows {
            writeln!(f, "{row:<70} {tried:>6} {right:>6}")?;
        }
        let sum = self.rows.values().fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
        write!(f, "{:<70} {:>6} {:>6}", "all", sum.0, sum.1)
    }
}

/// A failed assertion is one wrong cell, not the end of the others.
pub async fn caught<T>(cell: impl Future<Output = Result<T>>) -> Result<T> {
    let result = AssertUnwindSafe(cell).catch_unwind().await;
    result.unwrap_or_else(|_| Err(anyhow::anyhow!("an assertion failed")))
}
