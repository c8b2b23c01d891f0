//! S-expressions with the place of every token: the outer syntax of BDDL.
//!
//! Words are anything but white space, parentheses and `;` comments. Nesting is bounded by
//! [`MAX_DEPTH`], so no input can exhaust the stack.

use super::BddlError;

/// Deepest accepted nesting of parentheses (LIBERO's files use six levels).
pub const MAX_DEPTH: usize = 64;

/// Place of a token: line and column, both counted from 1 (column in characters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// A word or a list.
#[derive(Debug, Clone, PartialEq)]
pub enum Sexpr {
    /// A word as written.
    Atom(String, Place),
    /// A parenthesised list; the place is that of its opening parenthesis.
    List(Vec<Sexpr>, Place),
}

impl Sexpr {
    /// Where it begins.
    pub fn place(&self) -> Place {
        match self {
            Sexpr::Atom(_, p) | Sexpr::List(_, p) => *p,
        }
    }
}

/// Parses a text that holds exactly one list.
pub fn parse(file: &str, text: &str) -> Result<Sexpr, BddlError> {
    let fail = |place: Place, message: String| BddlError::new(file, place, message);
    let mut open: Vec<(Vec<Sexpr>, Place)> = Vec::new();
    let mut whole: Option<Sexpr> = None;
    let mut word: Option<(String, Place)> = None;
    let mut here = Place { line: 1, column: 1 };
    let mut comment = false;
    // A final line break ends a word at the end of the text.
    for c in text.chars().chain(std::iter::once('\n')) {
        let ends = comment || c.is_whitespace() || matches!(c, '(' | ')' | ';');
        if ends && let Some((w, place)) = word.take() {
            match open.last_mut() {
                Some((items, _)) => items.push(Sexpr::Atom(w, place)),
                None => return Err(fail(place, format!("expected `(`, found `{w}`"))),
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
                Some((items, place)) => {
                    let list = Sexpr::List(items, place);
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
            here = Place {
                line: here.line + 1,
                column: 1,
            };
        } else {
            here.column += 1;
        }
    }
    if let Some((_, place)) = open.pop() {
        return Err(fail(place, "`(` is never closed".into()));
    }
    whole.ok_or_else(|| {
        fail(
            Place { line: 1, column: 1 },
            "expected `(define ...)`, found an empty file".into(),
        )
    })
}
