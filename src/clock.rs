//! The one place that asks what time it is (two others only want a number that is unique). With the feature `test-clock` an offset is read from a file, so tests can move it.
//!
//! This file stands alone (`std` only): a test compiles it by itself to prove that release builds lack the test clock.

#[cfg(all(feature = "test-clock", not(debug_assertions)))]
compile_error!("the feature test-clock lets a file move the clock; it must not be in a release build");

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    #[cfg(feature = "test-clock")]
    offset: Option<std::path::PathBuf>,
}

impl Clock {
    /// The system's clock; with `test-clock`, moved by the file that `CORDON_TEST_CLOCK` names.
    pub fn system() -> Self {
        Self {
            #[cfg(feature = "test-clock")]
            offset: std::env::var_os("CORDON_TEST_CLOCK").map(Into::into),
        }
    }

    pub fn now_millis(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(self.offset_millis())
    }

    #[cfg(feature = "test-clock")]
    fn offset_millis(&self) -> i64 {
        let text = self.offset.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    #[cfg(not(feature = "test-clock"))]
    fn offset_millis(&self) -> i64 {
        0
    }
}
