//! What the compiler does not see: which modules are pure, and that the test clock stays out of releases.

use crate::lab::root;
use std::{path::Path, process::Command};

/// Modules that know no clock, environment or network.
const PURE: [&str; 10] = [
    "domain",
    "ingest",
    "triage",
    "policy",
    "playbooks",
    "guard.rs",
    "decision.rs",
    "engine/machine.rs",
    "engine/task.rs",
    "notify/message.rs",
];

/// What a pure module may not name. `actions` and `survey` are vocabulary: their calls need an `Aws`, which is on clippy's list.
const IMPURE: [&str; 12] = [
    "crate::aws",
    "crate::analyst",
    "crate::cli",
    "crate::clock",
    "crate::entry",
    "crate::journal",
    "crate::metrics",
    "crate::responder",
    "crate::settings",
    "crate::engine::run",
    "tokio::",
    "aws_sdk_",
];

const FORBIDDEN: &str = "#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]";

fn sources(path: &Path, found: &mut Vec<std::path::PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            sources(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
}

#[test]
fn pure_modules_forbid_what_is_impure_and_name_no_impure_module() {
    let mut files = Vec::new();
    for module in PURE {
        sources(&root().join("src").join(module), &mut files);
    }
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(FORBIDDEN), "{} does not forbid what clippy.toml lists", file.display());
        let product = text.split("#[cfg(test)]").next().unwrap();
        for line in product.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for name in IMPURE {
                // `use crate::{aws::…}` names it as well.
                let nested = name
                    .strip_prefix("crate::")
                    .is_some_and(|module| line.trim_start().starts_with(&format!("{module}::")));
                assert!(!line.contains(name) && !nested, "{} names {name}: {line}", file.display());
            }
        }
    }
}

#[test]
fn every_module_says_what_it_is_for_and_fits_a_head() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} begins with no `//!`", file.display());
        assert!(text.lines().count() <= 500, "{} has more than 500 lines", file.display());
    }
}

/// `src/clock.rs` stands alone, so the compiler itself can be asked, without building anything else.
#[test]
fn a_release_build_with_the_test_clock_does_not_compile() {
    let out = crate::lab::scratch();
    for (assertions, feature, compiles) in [("on", true, true), ("off", true, false), ("off", false, true)] {
        let mut rustc = Command::new("rustc");
        rustc
            .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "-C"])
            .arg(format!("debug-assertions={assertions}"));
        if feature {
            rustc.args(["--cfg", "feature=\"test-clock\""]);
        }
        let result = rustc.arg("--out-dir").arg(&out).arg(root().join("src/clock.rs")).output().unwrap();
        let said = String::from_utf8_lossy(&result.stderr);
        assert_eq!(result.status.success(), compiles, "assertions {assertions}, feature {feature}: {said}");
        assert!(compiles || said.contains("must not be in a release build"), "{said}");
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(!manifest.contains("default = ["), "no feature is on by default");
    assert!(!manifest.contains("debug-assertions"), "no profile switches the guard off");
}
