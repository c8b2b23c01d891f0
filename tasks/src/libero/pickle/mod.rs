//! The pickle of one numpy array, recognised rather than run.
//!
//! A pickle is code. This reader calls nothing: it follows the few instructions with which numpy writes an array of
//! numbers (protocols 2 to 5, numpy 1 and 2; `docs/reference/libero.md`, section 10), and a global outside of
//! [`GLOBALS`] is refused by name. Memory is bounded by the size of the pickle, work by [`MAX_TOKENS`].

mod tokens;
mod value;

use super::array::NumpyArray;
use tokens::{Token, TokenReader};
use value::{GLOBALS, Value};

/// Most instructions of a pickle; numpy writes an array with about 60.
const MAX_TOKENS: usize = 1024;

/// A mismatch between a pickle and that of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickleMismatch {
    /// Position in the pickle, bytes from 0.
    pub byte: usize,
    /// Contents found.
    pub found: String,
    /// Contents expected.
    pub expected: String,
}

/// Reads the array of a pickle.
///
/// # Errors
/// Names the byte, what was found there and what was expected.
pub fn array(bytes: &[u8]) -> Result<NumpyArray, PickleMismatch> {
    let mut reader = TokenReader { bytes, at: 0 };
    match reader.next()? {
        Token::Proto(2..=5) => {}
        Token::Proto(version) => {
            return Err(mismatch(
                0,
                format!("protocol {version}"),
                "protocol 2, 3, 4 or 5",
            ));
        }
        _ => {
            return Err(mismatch(
                0,
                "no protocol".into(),
                "a pickle of protocol 2 to 5",
            ));
        }
    }
    let mut machine = Machine::default();
    for _ in 0..MAX_TOKENS {
        let at = reader.at;
        let token = reader.next()?;
        if token != Token::Stop {
            machine.step(at, token)?;
            continue;
        }
        if reader.at != bytes.len() {
            let found = format!("{} more bytes", bytes.len() - reader.at);
            return Err(mismatch(
                reader.at,
                found,
                "nothing after the end of the pickle",
            ));
        }
        return match machine.pop(at)? {
            Value::Array(array) => Ok(std::rc::Rc::unwrap_or_clone(array)),
            other => Err(mismatch(at, other.describe(), "a numpy array")),
        };
    }
    let found = format!("more than {MAX_TOKENS} instructions");
    Err(mismatch(reader.at, found, "one numpy array"))
}

fn mismatch(byte: usize, found: String, expected: &str) -> PickleMismatch {
    PickleMismatch {
        byte,
        found,
        expected: expected.into(),
    }
}

/// Values that a pickle has put together so far.
#[derive(Default)]
struct Machine {
    stack: Vec<Value>,
    /// Lengths of the stack at open marks.
    marks: Vec<usize>,
    memo: Vec<(u32, Value)>,
}

impl Machine {
    fn pop(&mut self, at: usize) -> Result<Value, PickleMismatch> {
        let open = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= open {
            return Err(mismatch(at, "nothing".into(), "a value on the stack"));
        }
        // The line above has found one.
        Ok(self.stack.pop().unwrap_or(Value::None))
    }

    fn step(&mut self, at: usize, token: Token<'_>) -> Result<(), PickleMismatch> {
        let value = match token {
            Token::Int(value) => Value::Int(value),
            Token::Text(text) => Value::Text(text.into()),
            Token::Bytes(bytes) => Value::Bytes(bytes.into()),
            Token::Bool(value) => Value::Bool(value),
            Token::None => Value::None,
            Token::Global(module, name) => global(at, module, name)?,
            Token::StackGlobal => {
                let (name, module) = (self.pop(at)?, self.pop(at)?);
                match (&module, &name) {
                    (Value::Text(module), Value::Text(name)) => global(at, module, name)?,
                    _ => return Err(mismatch(at, module.describe(), "two names of a global")),
                }
            }
            Token::Mark => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            Token::Tuple => {
                let start = (self.marks.pop())
                    .ok_or_else(|| mismatch(at, "no mark".into(), "the start of a tuple"))?;
                Value::Tuple(self.stack.split_off(start).into())
            }
            Token::TupleOf(count) => {
                let mut items = Vec::with_capacity(count);
                for _ in 0..count {
                    items.push(self.pop(at)?);
                }
                items.reverse();
                Value::Tuple(items.into())
            }
            Token::Reduce => {
                let (arguments, callee) = (self.pop(at)?, self.pop(at)?);
                value::call(&callee, &arguments)
                    .map_err(|(found, expected)| mismatch(at, found, &expected))?
            }
            Token::Build => {
                let (state, of) = (self.pop(at)?, self.pop(at)?);
                value::build(&of, &state)
                    .map_err(|(found, expected)| mismatch(at, found, &expected))?
            }
            Token::Put(index) => return self.remember(at, index),
            Token::Memoize => return self.remember(at, self.memo.len() as u32),
            Token::Get(index) => {
                let known = self.memo.iter().rev().find(|(known, _)| *known == index);
                let known = known.map(|(_, value)| value.clone());
                known.ok_or_else(|| {
                    let found = format!("a reference to value {index}");
                    mismatch(at, found, "one to a value before it")
                })?
            }
            Token::Proto(_) | Token::Stop => {
                return Err(mismatch(
                    at,
                    "a second beginning".into(),
                    "the rest of the array",
                ));
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn remember(&mut self, at: usize, index: u32) -> Result<(), PickleMismatch> {
        let value = self.pop(at)?;
        self.memo.push((index, value.clone()));
        self.stack.push(value);
        Ok(())
    }
}

/// A global, refused unless it is one of [`GLOBALS`].
fn global(at: usize, module: &str, name: &str) -> Result<Value, PickleMismatch> {
    let known = GLOBALS
        .iter()
        .find(|(modules, known, _)| *known == name && modules.contains(&module));
    if let Some((_, _, global)) = known {
        return Ok(Value::Global(*global));
    }
    let names: Vec<String> = (GLOBALS.iter())
        .map(|(modules, name, _)| format!("{} {name}", modules[0]))
        .collect();
    let found = format!("the global `{} {}`", short(module), short(name));
    let expected = format!("no other than {}", names.join(", "));
    Err(mismatch(at, found, &expected))
}

/// At most forty characters, none of them a control character.
fn short(text: &str) -> String {
    let mut out: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests;
