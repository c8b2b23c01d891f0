//! Checks of single values, with errors that name the line and the part of the model.

use crate::error::TaskError;
use bitvla_sim::MAX_LENGTH_METRES;
use std::collections::BTreeSet;
use std::path::Path;

/// Largest deviation of a quaternion or axis from unit length; files carry 7 digits.
pub(super) const UNIT_TOLERANCE: f64 = 1e-4;

/// The part of a file that is being checked.
pub(super) struct Item {
    /// Description for errors, such as ``body `main` ``.
    pub description: String,
    /// Line, from 1.
    pub line: usize,
}

impl Item {
    /// An item at a line.
    pub fn new(description: String, line: usize) -> Item {
        Item { description, line }
    }
}

/// Checks values of one file.
pub(super) struct Checker<'a> {
    /// The file, for errors.
    pub path: &'a Path,
    /// Its text, for line numbers.
    pub text: &'a str,
    /// Header of the body tables, `bodies` or `model.bodies`.
    pub table: &'static str,
}

impl Checker<'_> {
    /// The error of `found` in an item.
    pub fn fail<T>(&self, item: &Item, found: String, expected: &str) -> Result<T, TaskError> {
        Err(TaskError::Malformed {
            path: self.path.to_owned(),
            line: item.line,
            found: format!("{found} in {}", item.description),
            expected: expected.to_string(),
        })
    }

    /// Line of the `index`-th `[[table]]` header; 1 when the table is written another way.
    pub fn line(&self, table: &str, index: usize) -> usize {
        let header = format!("[[{table}]]");
        self.text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.trim_start().starts_with(&header))
            .nth(index)
            .map_or(1, |(i, _)| i + 1)
    }

    /// Line of the `index`-th `[[bodies.LIST]]` of a body; the line of the body when the list is
    /// written inline.
    pub fn line_in_body(&self, body: usize, list: &str, index: usize) -> usize {
        let start = self.line(self.table, body);
        let next = format!("[[{}]]", self.table);
        let header = format!("[[{}.{list}]]", self.table);
        self.text
            .lines()
            .enumerate()
            .skip(start)
            .take_while(|(_, line)| !line.trim_start().starts_with(&next))
            .filter(|(_, line)| line.trim_start().starts_with(&header))
            .nth(index)
            .map_or(start, |(i, _)| i + 1)
    }

    /// Checks that a name is neither empty nor in `names`, and adds it.
    pub fn unique(
        &self,
        item: &Item,
        names: &mut BTreeSet<String>,
        name: &str,
    ) -> Result<(), TaskError> {
        if name.is_empty() {
            return self.fail(item, "an empty name".into(), "a name");
        }
        if !names.insert(name.to_string()) {
            return self.fail(item, format!("second `{name}`"), "unique names");
        }
        Ok(())
    }

    /// Checks that a quaternion has unit length.
    pub fn quat(&self, item: &Item, q: [f64; 4]) -> Result<(), TaskError> {
        let norm = q.iter().map(|x| x * x).sum::<f64>().sqrt();
        // Written so that NaN fails as well.
        if (norm - 1.0).abs() <= UNIT_TOLERANCE {
            return Ok(());
        }
        let found = format!("quaternion {q:?} of norm {norm}");
        self.fail(item, found, "a unit quaternion [w, x, y, z]")
    }

    /// Checks that all values are finite.
    pub fn finite(&self, item: &Item, what: &str, values: &[f64]) -> Result<(), TaskError> {
        match values.iter().find(|x| !x.is_finite()) {
            Some(x) => self.fail(item, format!("{what} {x}"), "finite numbers"),
            None => Ok(()),
        }
    }

    /// Checks that all values are finite and at most `most` in size.
    pub fn at_most(
        &self,
        item: &Item,
        what: &str,
        unit: &str,
        most: f64,
        values: &[f64],
    ) -> Result<(), TaskError> {
        self.finite(item, what, values)?;
        match values.iter().find(|x| x.abs() > most) {
            Some(x) => self.fail(
                item,
                format!("{what} {x}"),
                &format!("at most {most} {unit}"),
            ),
            None => Ok(()),
        }
    }

    /// Checks that all lengths (m) are finite and not absurd.
    pub fn length(&self, item: &Item, what: &str, values: &[f64]) -> Result<(), TaskError> {
        self.at_most(item, what, "m", MAX_LENGTH_METRES, values)
    }

    /// Checks that all values are finite and above zero.
    pub fn positive(&self, item: &Item, what: &str, values: &[f64]) -> Result<(), TaskError> {
        match values.iter().find(|x| !(x.is_finite() && **x > 0.0)) {
            Some(x) => self.fail(item, format!("{what} {x}"), "numbers above 0"),
            None => Ok(()),
        }
    }

    /// Checks that all values are finite and not below zero.
    pub fn not_negative(&self, item: &Item, what: &str, values: &[f64]) -> Result<(), TaskError> {
        match values.iter().find(|x| !(x.is_finite() && **x >= 0.0)) {
            Some(x) => self.fail(item, format!("{what} {x}"), "numbers of 0 or more"),
            None => Ok(()),
        }
    }
}
