//! Reading JSON that may be anything: a missing member, a null and a wrong type all read as "nothing there".
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::domain::{Gap, IdError, Text, Timestamp};
use serde_json::Value;

/// A place in a document, perhaps not there.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a>(Option<&'a Value>);

impl<'a> Cursor<'a> {
    pub fn new(value: &'a Value) -> Self {
        Self(Some(value))
    }

    /// The member of that camelCase name; GetFindings writes the same names in PascalCase.
    pub fn get(self, name: &str) -> Self {
        Self(self.0.and_then(|value| value.get(name).or_else(|| value.get(pascal(name)))).filter(|v| !v.is_null()))
    }

    /// `a.b.c`.
    pub fn path(self, path: &str) -> Self {
        path.split('.').fold(self, Self::get)
    }

    pub fn value(self) -> Option<&'a Value> {
        self.0
    }

    pub fn exists(self) -> bool {
        self.0.is_some()
    }

    /// A string that is not empty.
    pub fn str(self) -> Option<&'a str> {
        self.0.and_then(Value::as_str).filter(|s| !s.is_empty())
    }

    pub fn text(self) -> Option<Text> {
        self.str().map(Text::new)
    }

    /// `8`, `8.0` and `"8"` are the same number.
    pub fn number(self) -> Option<f64> {
        let value = self.0?;
        value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
    }

    /// `true` and `"true"`.
    pub fn says_true(self) -> bool {
        self.0.is_some_and(|v| v.as_bool() == Some(true) || v.as_str() == Some("true"))
    }

    pub fn time(self) -> Option<Timestamp> {
        self.str().and_then(Timestamp::parse)
    }

    /// The members of an array; none for what is no array.
    pub fn items(self) -> impl Iterator<Item = Cursor<'a>> {
        self.0.and_then(Value::as_array).into_iter().flatten().map(Cursor::new)
    }

    /// Parses what is there; what does not parse becomes a gap.
    pub fn parse<T>(
        self,
        field: &'static str,
        parse: fn(&str) -> Result<T, IdError>,
        gaps: &mut Vec<Gap>,
    ) -> Option<T> {
        match parse(self.str()?) {
            Ok(id) => Some(id),
            Err(error) => {
                gaps.push(Gap { field, problem: error.to_string() });
                None
            }
        }
    }
}

fn pascal(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_is_a_number_however_it_is_written() {
        for (value, number) in [
            (json!({"severity": 8}), Some(8.0)),
            (json!({"severity": 8.0}), Some(8.0)),
            (json!({"severity": "8"}), Some(8.0)),
            (json!({"Severity": "8.5"}), Some(8.5)),
            (json!({"severity": null}), None),
            (json!({"severity": "high"}), None),
            (json!({"severity": [8]}), None),
            (json!({}), None),
        ] {
            assert_eq!(Cursor::new(&value).get("severity").number(), number, "{value}");
        }
    }

    #[test]
    fn wrong_shapes_read_as_nothing() {
        let value = json!({"a": {"b": "x"}, "list": null, "C": {"D": 1}});
        let at = Cursor::new(&value);
        assert_eq!(at.path("a.b").str(), Some("x"));
        assert_eq!(at.path("a.b.c.d").str(), None);
        assert_eq!(at.get("list").items().count(), 0);
        assert_eq!(at.get("a").items().count(), 0);
        assert_eq!(at.path("c.d").number(), Some(1.0));
    }
}
