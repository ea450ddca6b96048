//! What people have in files: one event, arrays, NDJSON, `{"event": …}` lines, and GetFindings output.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use serde_json::Value;

/// One event of a file, or why there is none.
#[derive(Debug)]
pub struct Piece {
    /// 1-based line, for NDJSON.
    pub line: Option<usize>,
    /// 1-based within the file, or within the line.
    pub ordinal: usize,
    pub value: Result<Value, String>,
}

/// Splits the text of a file into events. A whole document is tried first, then one document a line.
pub fn pieces(text: &str) -> Vec<Piece> {
    let whole = match serde_json::from_str::<Value>(text) {
        Ok(value) => return unwrapped(value, None),
        Err(error) => error,
    };
    // A file of CloudTrail that ends early: what is whole of it counts.
    if whole.is_eof()
        && let Some(records) = records_before_the_end(text)
    {
        let broken =
            Piece { line: None, ordinal: records.len() + 1, value: Err(format!("the file ends early: {whole}")) };
        return unwrapped(Value::Array(records), None).into_iter().chain([broken]).collect();
    }
    let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).collect();
    // A single broken document stays one problem; it is not cut into one problem a line.
    if !lines.iter().any(|(_, line)| serde_json::from_str::<Value>(line).is_ok_and(|v| v.is_object())) {
        return vec![Piece { line: None, ordinal: 1, value: Err(format!("no JSON: {whole}")) }];
    }
    lines.into_iter().flat_map(|(number, line)| pieces_of_line(line, number)).collect()
}

/// The same of one line of many.
pub fn pieces_of_line(line: &str, number: usize) -> Vec<Piece> {
    match serde_json::from_str(line) {
        Ok(value) => unwrapped(value, Some(number)),
        Err(error) => vec![Piece { line: Some(number), ordinal: 1, value: Err(format!("no JSON: {error}")) }],
    }
}

/// Whether a text is a document by itself.
pub fn is_whole(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The whole ones of `{"Records": [{…}, {…}, {…` .
fn records_before_the_end(text: &str) -> Option<Vec<Value>> {
    let (before, mut rest) = text.split_once('[')?;
    if !before.trim_end().trim_end_matches(':').trim_end().ends_with("\"Records\"") {
        return None;
    }
    let mut records = Vec::new();
    loop {
        let mut one = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let Some(Ok(record)) = one.next() else { return Some(records) };
        records.push(record);
        rest = rest.get(one.byte_offset()..).unwrap_or_default().trim_start().trim_start_matches(',');
    }
}

/// The finding of a value that is no whole envelope: bare, as an export or GetFindings gives it, or with no more than a
/// `detail` around it.
pub fn bare_finding(value: &Value) -> Option<&Value> {
    let looks_like_one = |value: &Value| {
        let has = |name: &str| value.get(name).is_some();
        !has("detail") && ((has("type") && has("service")) || (has("Type") && has("Service")))
    };
    let candidate = match value.get("detail") {
        Some(detail) if value.get("detail-type").is_none() => detail,
        Some(_) => return None,
        None => value,
    };
    looks_like_one(candidate).then_some(candidate)
}

fn unwrapped(value: Value, line: Option<usize>) -> Vec<Piece> {
    let values = match value {
        Value::Array(items) => items,
        Value::Object(mut object) => {
            match ["Findings", "findings", "Records"].iter().find_map(|list| object.remove(*list)) {
                Some(Value::Array(items)) => items,
                Some(other) => vec![other],
                None => vec![object.remove("event").filter(Value::is_object).unwrap_or(Value::Object(object))],
            }
        }
        other => vec![other],
    };
    (1..).zip(values).map(|(ordinal, value)| Piece { line, ordinal, value: Ok(value) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_split_into_events_however_they_are_written() {
        for (text, found) in [
            ("{\"detail\": {}}", vec![(None, 1, true)]),
            ("{\n\"detail\": {}\n}", vec![(None, 1, true)]),
            ("[{\"a\": 1}, {\"a\": 2}]", vec![(None, 1, true), (None, 2, true)]),
            ("{\"a\": 1}\n\n{\"a\": 2}\n", vec![(Some(1), 1, true), (Some(3), 1, true)]),
            (
                "{\"a\": 1}\nbroken\n{\"Findings\": [{}, {}]}",
                vec![(Some(1), 1, true), (Some(2), 1, false), (Some(3), 1, true), (Some(3), 2, true)],
            ),
            ("not json\nat all", vec![(None, 1, false)]),
            ("", vec![(None, 1, false)]),
            ("{\"derived_from\": \"x\", \"event\": {\"detail\": {}}}", vec![(None, 1, true)]),
        ] {
            let seen: Vec<_> = pieces(text).iter().map(|p| (p.line, p.ordinal, p.value.is_ok())).collect();
            assert_eq!(seen, found, "{text}");
        }
    }
}
