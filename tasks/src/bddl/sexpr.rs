//! S-expressions with the location of every token: the outer syntax of BDDL.
//!
//! Words are anything but white space, parentheses and `;` comments. Nesting is bounded by
//! [`MAX_DEPTH`], so no input can exhaust the stack.

use super::error::{BddlError, SourceLocation};

/// Deepest accepted nesting of parentheses (LIBERO's files use six levels).
const MAX_DEPTH: usize = 64;

/// A word or a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sexpr {
    /// A word as written.
    Atom(String, SourceLocation),
    /// A parenthesised list; the location is that of its opening parenthesis.
    List(Vec<Sexpr>, SourceLocation),
}

impl Sexpr {
    /// Location of its first character.
    pub fn location(&self) -> SourceLocation {
        match self {
            Sexpr::Atom(_, p) | Sexpr::List(_, p) => *p,
        }
    }
}

/// Parses a text that holds exactly one list.
pub(super) fn parse(file: &str, text: &str) -> Result<Sexpr, BddlError> {
    let fail = |location: SourceLocation, message: String| BddlError::new(file, location, message);
    let mut open: Vec<(Vec<Sexpr>, SourceLocation)> = Vec::new();
    let mut whole: Option<Sexpr> = None;
    let mut word: Option<(String, SourceLocation)> = None;
    let mut here = SourceLocation::START;
    let mut comment = false;
    // A final line break ends a word at the end of the text.
    for c in text.chars().chain(std::iter::once('\n')) {
        let ends = comment || c.is_whitespace() || matches!(c, '(' | ')' | ';');
        if ends && let Some((w, location)) = word.take() {
            match open.last_mut() {
                Some((items, _)) => items.push(Sexpr::Atom(w, location)),
                None => return Err(fail(location, format!("expected `(`, found `{w}`"))),
            }
        }
        match c {
            '\n' => comment = false,
            _ if comment => {}
            ';' => comment = true,
            '(' => {
                if whole.is_some() {
                    return Err(fail(here, "expected the end of the file, found `(`".into()));
                }
                if open.len() >= MAX_DEPTH {
                    return Err(fail(
                        here,
                        format!("parentheses nested deeper than {MAX_DEPTH}"),
                    ));
                }
                open.push((Vec::new(), here));
            }
            ')' => match open.pop() {
                Some((items, location)) => {
                    let list = Sexpr::List(items, location);
                    match open.last_mut() {
                        Some((items, _)) => items.push(list),
                        None => whole = Some(list),
                    }
                }
                None => return Err(fail(here, "`)` without a matching `(`".into())),
            },
            c if c.is_whitespace() => {}
            c => word.get_or_insert((String::new(), here)).0.push(c),
        }
        if c == '\n' {
            here = SourceLocation {
                line: here.line + 1,
                column: 1,
            };
        } else {
            here.column += 1;
        }
    }
    if let Some((_, location)) = open.pop() {
        return Err(fail(location, "`(` is never closed".into()));
    }
    whole.ok_or_else(|| {
        fail(
            SourceLocation::START,
            "expected `(define ...)`, found an empty file".into(),
        )
    })
}
