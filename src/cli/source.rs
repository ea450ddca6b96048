//! Files of events, read piece by piece: a file of a million lines takes no more memory than its longest line. `.gz` is unpacked.

use crate::ingest::{self, Piece};
use anyhow::Context;
use flate2::read::MultiGzDecoder;
use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// What `FILES` name: files as they are, of folders those whose names say that they hold events.
pub fn sources(files: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in files {
        if file.is_dir() { walk(file, &mut found)? } else { found.push(file.clone()) }
    }
    Ok(found)
}

const ENDINGS: [&str; 6] = [".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz"];

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read folder `{}`", folder.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    for path in paths {
        let name = path.to_string_lossy().to_lowercase();
        if path.is_dir() {
            walk(&path, found)?;
        } else if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    Ok(())
}

/// The pieces of one file, in order.
pub struct Pieces {
    reader: Box<dyn BufRead>,
    ready: VecDeque<Piece>,
    /// Lines that were read.
    number: usize,
    /// The line that showed that there is more than one.
    next: Option<(usize, String)>,
    state: State,
    /// Why the file ended before its end. What was read before counts.
    pub broken: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Lines,
    Done,
}

/// # Errors
/// Where the file cannot be opened.
pub fn open(source: &Path) -> anyhow::Result<Pieces> {
    let reader: Box<dyn BufRead> = if source == Path::new("-") {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file = File::open(source).with_context(|| format!("cannot read `{}`", source.display()))?;
        if source.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz")) {
            Box::new(BufReader::new(MultiGzDecoder::new(file)))
        } else {
            Box::new(BufReader::new(file))
        }
    };
    Ok(Pieces { reader, ready: VecDeque::new(), number: 0, next: None, state: State::Begin, broken: None })
}

impl Pieces {
    /// The next line that is not empty, with its number.
    fn line(&mut self) -> Option<(usize, String)> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        while self.broken.is_none() {
            let mut bytes = Vec::new();
            // What was read before an error stays in the buffer, and counts.
            if let Err(error) = self.reader.read_until(b'\n', &mut bytes) {
                self.broken = Some(error.to_string());
            }
            if bytes.is_empty() {
                return None;
            }
            self.number += 1;
            // What is no UTF-8 is no JSON either; the replaced characters let the parser say so.
            let line = String::from_utf8_lossy(&bytes).into_owned();
            if !line.trim().is_empty() {
                return Some((self.number, line));
            }
        }
        None
    }

    fn begin(&mut self) {
        self.state = State::Done;
        let Some((number, first)) = self.line() else {
            self.ready.extend(ingest::pieces(""));
            return;
        };
        if !ingest::is_whole(&first) {
            // One document over many lines, or none at all.
            let mut rest = Vec::new();
            if let Err(error) = self.reader.read_to_end(&mut rest) {
                self.broken = Some(error.to_string());
            }
            self.ready.extend(ingest::pieces(&format!("{first}{}", String::from_utf8_lossy(&rest))));
            return;
        }
        match self.line() {
            None => self.ready.extend(ingest::pieces(&first)),
            Some(second) => {
                self.next = Some(second);
                self.state = State::Lines;
                self.ready.extend(ingest::pieces_of_line(&first, number));
            }
        }
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            match self.state {
                State::Begin => self.begin(),
                State::Lines => {
                    let (number, line) = self.line()?;
                    self.ready.extend(ingest::pieces_of_line(&line, number));
                }
                State::Done => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn seen(name: &str, bytes: &[u8]) -> (Vec<(Option<usize>, usize, bool)>, bool) {
        let path = std::env::temp_dir().join(format!("cordon-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let mut pieces = open(&path).unwrap();
        let found = pieces.by_ref().map(|piece| (piece.line, piece.ordinal, piece.value.is_ok())).collect();
        std::fs::remove_file(&path).unwrap();
        (found, pieces.broken.is_some())
    }

    fn gz(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_documents_and_archives_come_as_pieces() {
        let records = "{\"Records\": [{\"eventName\": \"A\"}, {\"eventName\": \"B\"}]}";
        for (name, bytes, pieces) in [
            ("one.json", b"{\"a\": 1}".to_vec(), vec![(None, 1, true)]),
            ("pretty.json", b"{\n \"a\": 1\n}\n".to_vec(), vec![(None, 1, true)]),
            (
                "lines.ndjson",
                b"{\"a\": 1}\n\n{\"a\": 2}\nbroken\n".to_vec(),
                vec![(Some(1), 1, true), (Some(3), 1, true), (Some(4), 1, false)],
            ),
            ("trail.json.gz", gz(records), vec![(None, 1, true), (None, 2, true)]),
            ("empty.json", Vec::new(), vec![(None, 1, false)]),
        ] {
            assert_eq!(seen(name, &bytes), (pieces, false), "{name}");
        }
    }

    #[test]
    fn of_an_archive_that_ends_early_what_was_read_counts_and_the_rest_is_said() {
        let records: Vec<String> = (0..5_000)
            .map(|n| format!("{{\"eventName\": \"Call{n}\", \"requestID\": \"{}\"}}", n * 7919 % 10_007))
            .collect();
        for (name, text) in [
            ("lines.ndjson.gz", records.join("\n")),
            ("trail.json.gz", format!("{{\"Records\": [{}]}}", records.join(","))),
        ] {
            let whole = gz(&text);
            let (pieces, broken) = seen(name, &whole[..whole.len() / 2]);
            assert!(broken, "{name}");
            let read = pieces.iter().filter(|(_, _, is_ok)| *is_ok).count();
            assert!((1_000..5_000).contains(&read), "{name}: {read}");
        }
    }
}
