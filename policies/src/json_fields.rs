//! Strict reading of JSON objects: every field is used, known and without effect here, bound to the value that is built, or
//! refused by name. The tables stand beside the code that reads the objects.

use serde_json::{Map, Value};

/// Kind of value that a used field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole number, not negative.
    Count,
    /// Number.
    Number,
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
    /// Object.
    Object,
    /// Checked where it is read.
    Any,
}

/// Treatment of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field {
    /// Read; another kind of value is refused.
    Used(Kind),
    /// Only these values (JSON texts) are what is built; others are refused.
    Fixed(&'static [&'static str]),
    /// Changes no answer; the reason.
    NoEffect(&'static str),
}

/// Fields of an object by name, several names of one treatment in a row.
pub(crate) type FieldTable = &'static [(Field, &'static [&'static str])];

impl Kind {
    fn accepts(self, value: &Value) -> bool {
        match self {
            Kind::Count => value.is_u64(),
            Kind::Number => value.is_number(),
            Kind::Text => value.is_string(),
            Kind::Flag => value.is_boolean(),
            Kind::Object => value.is_object(),
            Kind::Any => true,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Kind::Count => "a whole number",
            Kind::Number => "a number",
            Kind::Text => "a text",
            Kind::Flag => "true or false",
            Kind::Object => "an object",
            Kind::Any => "a value",
        }
    }
}

/// True if two values are equal, numbers by their value.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// A value in an error, cut short.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Name of a field in an error; `place` is the path of its object, empty at the top.
pub(crate) fn path_of(place: &str, name: &str) -> String {
    match place {
        "" => name.to_owned(),
        _ => format!("{place}.{name}"),
    }
}

/// Checks every field of an object against its tables. Fields that are null count as absent; names that begin with an
/// underscore are notes of the program that wrote the file.
///
/// # Errors
/// Names the first field that is unknown, of another kind, or of a value that is not what is built.
pub(crate) fn check_fields(
    object: &Map<String, Value>,
    tables: &[FieldTable],
    place: &str,
) -> Result<(), String> {
    for (name, value) in object {
        if value.is_null() || name.starts_with('_') {
            continue;
        }
        let mut rows = tables.iter().flat_map(|table| table.iter());
        let row = rows.find(|(_, names)| names.contains(&name.as_str()));
        let path = path_of(place, name);
        match row.map(|(field, _)| field) {
            None => {
                let what = "is not known here: it may change the answers, and is not used";
                return Err(format!("field `{path}` ({}) {what}", shown(value)));
            }
            Some(Field::Used(kind)) if !kind.accepts(value) => {
                let (found, expected) = (shown(value), kind.describe());
                return Err(format!("{path}: {found}, expected {expected}"));
            }
            Some(Field::Fixed(built)) => {
                let known = built.iter().any(|text| {
                    serde_json::from_str::<Value>(text).is_ok_and(|known| same(&known, value))
                });
                if !known {
                    let (found, expected) = (shown(value), built.join(" or "));
                    return Err(format!("{path}: {found}, only {expected} is built"));
                }
            }
            Some(Field::Used(_) | Field::NoEffect(_)) => {}
        }
    }
    Ok(())
}

/// Fields of tables that have no effect, with their reasons.
pub(crate) fn without_effect(
    tables: &[FieldTable],
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = tables.iter().flat_map(|table| table.iter());
    rows.flat_map(|(field, names)| {
        let reason = match field {
            Field::NoEffect(reason) => Some(*reason),
            _ => None,
        };
        names.iter().filter_map(move |name| Some((*name, reason?)))
    })
}
