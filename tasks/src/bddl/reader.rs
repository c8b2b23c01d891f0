//! Typed access to s-expressions with errors that name the location.

use super::error::{BddlError, SourceLocation};
use super::number::expression;
use super::sexpr::Sexpr;

/// Reads s-expressions of one file.
pub(super) struct SexprReader<'a> {
    /// Name of the text in errors.
    pub file: &'a str,
}

impl SexprReader<'_> {
    /// An error at a location.
    pub fn fail(&self, location: SourceLocation, message: impl Into<String>) -> BddlError {
        BddlError::new(self.file, location, message)
    }

    /// The items of a list and its location.
    pub fn list<'s>(
        &self,
        s: &'s Sexpr,
        expected: &str,
    ) -> Result<(&'s [Sexpr], SourceLocation), BddlError> {
        match s {
            Sexpr::List(items, location) => Ok((items, *location)),
            Sexpr::Atom(word, location) => {
                Err(self.fail(*location, format!("expected {expected}, found `{word}`")))
            }
        }
    }

    /// A word and its location.
    pub fn atom<'s>(
        &self,
        s: &'s Sexpr,
        expected: &str,
    ) -> Result<(&'s str, SourceLocation), BddlError> {
        match s {
            Sexpr::Atom(word, location) => Ok((word, *location)),
            Sexpr::List(_, location) => {
                Err(self.fail(*location, format!("expected {expected}, found `(`")))
            }
        }
    }

    /// Checks that a list begins with a word, compared without regard to case.
    pub fn keyword(
        &self,
        items: &[Sexpr],
        location: SourceLocation,
        word: &str,
    ) -> Result<(), BddlError> {
        match items.first() {
            Some(Sexpr::Atom(w, _)) if w.eq_ignore_ascii_case(word) => Ok(()),
            Some(other) => Err(self.fail(other.location(), format!("expected `{word}`"))),
            None => Err(self.fail(location, format!("expected `{word}`, found `()`"))),
        }
    }

    /// The only word of the rest of a list.
    pub fn single<'s>(
        &self,
        s: &'s [Sexpr],
        at: SourceLocation,
        what: &str,
    ) -> Result<&'s str, BddlError> {
        match s {
            [one] => Ok(self.atom(one, what)?.0),
            _ => Err(self.fail(at, format!("expected {what} and nothing else"))),
        }
    }

    /// The rows of numbers of `((a b ...) (a b ...) ...)`, with their locations.
    pub fn rows(
        &self,
        rest: &[Sexpr],
        at: SourceLocation,
    ) -> Result<Vec<(Vec<f64>, SourceLocation)>, BddlError> {
        let [outer] = rest else {
            return Err(self.fail(at, "expected one list of ranges"));
        };
        let (rows, _) = self.list(outer, "a list of ranges")?;
        rows.iter().map(|row| self.numbers(row)).collect()
    }

    /// The finite numbers of `(a b ...)`, and where it is.
    pub fn numbers(&self, row: &Sexpr) -> Result<(Vec<f64>, SourceLocation), BddlError> {
        let (cells, location) = self.list(row, "a list of numbers")?;
        let number = |cell: &Sexpr| {
            let (word, location) = self.atom(cell, "a number")?;
            expression(word)
                .ok_or_else(|| self.fail(location, format!("expected a number, found `{word}`")))
        };
        let numbers = cells.iter().map(number).collect::<Result<_, _>>()?;
        Ok((numbers, location))
    }
}
