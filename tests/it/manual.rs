//! The manual is made of the pages of playbooks and actions. `UPDATE_MANUAL=1 cargo test manual` writes it anew.

use crate::lab::root;
use cordon::{actions, playbooks};
use std::fmt::Write;

#[test]
fn the_manual_is_what_the_pages_say() {
    let path = root().join("docs/manual.md");
    let manual = manual();
    if std::env::var_os("UPDATE_MANUAL").is_some() {
        std::fs::write(&path, &manual).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == manual, "docs/manual.md is not what the pages say; write it with: make manual");
}

fn manual() -> String {
    let mut text =
        String::from("# Cordon: manual\n\nMade from the pages in `src/`; change them there and run `make manual`.\n");
    text.push_str("\n## Playbooks\n");
    for playbook in playbooks::ALL {
        let page = playbook.page();
        let (summary, rest) = page.split_once('\n').unwrap();
        write!(text, "\n### {}\n\n{summary}\n", playbook.id()).unwrap();
        push_page(&mut text, rest);
    }
    text.push_str("\n## Actions\n\nA plan is made of these. Permissions are those of contain and release together.\n");
    for action in actions::ALL {
        let page = playbooks::page(action.source);
        let (summary, rest) = page.split_once('\n').unwrap();
        write!(text, "\n### {}\n\n{summary}\n", action.name).unwrap();
        push_page(&mut text, rest);
        let actions::Permissions { reads, contains, releases } = action.permissions;
        write!(text, "\n*Release*: {}.\n\n", action.release).unwrap();
        for (what, permissions) in [("Reads", reads), ("Contains", contains), ("Releases", releases)] {
            if !permissions.is_empty() {
                writeln!(text, "*{what} with*: {}.", permissions.join(", ")).unwrap();
            }
        }
    }
    text
}

/// Headings of a page are four levels down here.
fn push_page(text: &mut String, page: &str) {
    for line in page.trim_matches('\n').lines() {
        match line.strip_prefix("# ") {
            Some(heading) => write!(text, "\n#### {heading}\n\n").unwrap(),
            None => writeln!(text, "{line}").unwrap(),
        }
    }
}
