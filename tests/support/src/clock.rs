//! The seam of time: a file with an offset that a function built with the feature `test-clock` adds to the time of day.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

/// The variable by which the function finds the file.
pub const VARIABLE: &str = "CORDON_TEST_CLOCK";

/// An offset in milliseconds, as decimal text in a temporary file of its own; removed on drop.
pub struct TestClock {
    path: PathBuf,
    offset: Mutex<i64>,
}

impl TestClock {
    /// A clock that agrees with the real one.
    pub fn new() -> Result<TestClock> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("cordon-clock-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let clock = TestClock { path: std::env::temp_dir().join(name), offset: Mutex::new(0) };
        clock.set_offset(0)?;
        Ok(clock)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The time that it shows, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        crate::samples::now_ms() + *self.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the offset from real time, in milliseconds; negative is the past.
    fn set_offset(&self, ms: i64) -> Result<()> {
        self.change(|_| ms)
    }

    /// Shows this time now, in milliseconds since 1970, and goes on from it.
    pub fn set(&self, ms: i64) -> Result<()> {
        self.set_offset(ms - crate::samples::now_ms())
    }

    /// Moves on by whole milliseconds.
    pub fn advance(&self, by: Duration) -> Result<()> {
        let by = i64::try_from(by.as_millis()).context("move the test clock")?;
        self.change(|offset| offset.saturating_add(by))
    }

    fn change(&self, change: impl FnOnce(i64) -> i64) -> Result<()> {
        let mut offset = self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        let next = change(*offset);
        // Renamed into place: the function must never read half a number.
        let draft = self.path.with_extension("draft");
        fs::write(&draft, next.to_string())
            .and_then(|()| fs::rename(&draft, &self.path))
            .with_context(|| format!("set the test clock `{}`", self.path.display()))?;
        *offset = next;
        Ok(())
    }
}

impl Drop for TestClock {
    fn drop(&mut self) {
        // A file left in the temporary folder harms nobody.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_offset_and_goes_with_the_clock() {
        let clock = TestClock::new().unwrap();
        let read = || fs::read_to_string(clock.path()).unwrap();
        assert_eq!(read(), "0");
        clock.set_offset(-1500).unwrap();
        assert_eq!(read(), "-1500");
        clock.advance(Duration::from_secs(2)).unwrap();
        assert_eq!(read(), "500");
        let path = clock.path().to_owned();
        drop(clock);
        assert!(!path.exists());
    }

    #[test]
    fn two_clocks_are_two_files() {
        let (one, two) = (TestClock::new().unwrap(), TestClock::new().unwrap());
        assert_ne!(one.path(), two.path());
    }
}
