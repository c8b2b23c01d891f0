//! The pickle of one numpy array, recognised rather than run.
//!
//! `.pruned_init` files hold a pickle of protocol 2 that is always the same program with another array in it (`docs/reference/libero.md`,
//! section 10). A pickle is code, so this reader executes nothing and builds no values: it checks that the
//! program is that one, token by token, and takes the numbers out. A global outside [`GLOBALS`] is refused by name.
//! Memory is bounded: nothing but the numbers is allocated, and they are fewer than the bytes of the pickle.

use std::fmt;

/// The only names that such a pickle may mention.
const GLOBALS: [&str; 4] = [
    "numpy.core.multiarray _reconstruct",
    "numpy ndarray",
    "_codecs encode",
    "numpy dtype",
];

/// Most elements of an array; LIBERO's have 50 rows of at most 123.
const MAX_ELEMENTS: usize = 1 << 20;

/// A mismatch between a pickle and the expected program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickleMismatch {
    /// Position in the pickle, bytes from 0.
    pub byte: usize,
    /// Token found.
    pub found: String,
    /// Token expected.
    pub expected: String,
}

/// A table of numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct NumpyArray {
    /// Rows and columns.
    pub shape: [usize; 2],
    /// `rows * columns` numbers.
    pub values: Vec<f64>,
}

/// One instruction, without the bookkeeping of the memo.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Proto(u8),
    Global(&'a str, &'a str),
    Int(i64),
    Text(&'a str),
    Bool(bool),
    None,
    Mark,
    Tuple,
    /// A tuple of the last one, two or three values.
    TupleOf(u8),
    Reduce,
    Build,
    Stop,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Proto(version) => write!(f, "protocol {version}"),
            Token::Global(module, name) => {
                write!(f, "the global `{} {}`", short(module), short(name))
            }
            Token::Int(value) => write!(f, "the number {value}"),
            Token::Text(text) => write!(f, "the text `{}`", short(text)),
            Token::Bool(value) => write!(f, "{value}"),
            Token::None => f.write_str("none"),
            Token::Mark => f.write_str("a mark"),
            Token::Tuple => f.write_str("a tuple"),
            Token::TupleOf(count) => write!(f, "a tuple of {count}"),
            Token::Reduce => f.write_str("a call"),
            Token::Build => f.write_str("a state"),
            Token::Stop => f.write_str("the end"),
        }
    }
}

/// At most forty characters, none of them a control character.
fn short(text: &str) -> String {
    let mut out: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        out.push_str("...");
    }
    out
}

/// Reads the array of a pickle.
///
/// # Errors
/// Names the byte, the token found there and the one expected.
pub fn array(bytes: &[u8]) -> Result<NumpyArray, PickleMismatch> {
    let mut r = TokenReader {
        bytes,
        at: 0,
        from: 0,
        last: None,
        memo: Vec::new(),
    };
    let [reconstruct, ndarray, encode, dtype] = GLOBALS;
    // An empty array of type ndarray ...
    r.expect(Token::Proto(2))?;
    r.global(reconstruct)?;
    r.global(ndarray)?;
    r.all(&[Token::Int(0), Token::TupleOf(1)])?;
    r.global(encode)?;
    r.all(&[Token::Text("b"), Token::Text("latin1")])?;
    r.all(&[
        Token::TupleOf(2),
        Token::Reduce,
        Token::TupleOf(3),
        Token::Reduce,
    ])?;
    // ... whose state is a version, a shape, ...
    r.all(&[Token::Mark, Token::Int(1)])?;
    let (shape_at, rows, columns) = (r.at, r.size()?, r.size()?);
    r.expect(Token::TupleOf(2))?;
    let count = rows.checked_mul(columns).filter(|&n| n <= MAX_ELEMENTS);
    let count = count.ok_or_else(|| PickleMismatch {
        byte: shape_at,
        found: format!("an array of {rows} by {columns}"),
        expected: format!("at most {MAX_ELEMENTS} elements"),
    })?;
    // ... the type of its elements: little endian f64, ...
    r.global(dtype)?;
    r.all(&[Token::Text("f8"), Token::Bool(false), Token::Bool(true)])?;
    r.all(&[Token::TupleOf(3), Token::Reduce, Token::Mark])?;
    r.all(&[Token::Int(3), Token::Text("<")])?;
    r.all(&[Token::None, Token::None, Token::None])?;
    r.all(&[Token::Int(-1), Token::Int(-1), Token::Int(0)])?;
    r.all(&[Token::Tuple, Token::Build])?;
    // ... the order of its axes (not Fortran's), and its bytes as the characters of a text.
    r.expect(Token::Bool(false))?;
    r.global(encode)?;
    let values = match r.next()? {
        Token::Text(text) => numbers(text, r.from, count)?,
        other => return Err(mismatch(r.from, &other, "the elements as a text")),
    };
    r.expect(Token::Text("latin1"))?;
    r.all(&[Token::TupleOf(2), Token::Reduce, Token::Tuple])?;
    r.all(&[Token::Build, Token::Stop])?;
    if r.at != bytes.len() {
        return Err(PickleMismatch {
            byte: r.at,
            found: format!("{} more bytes", bytes.len() - r.at),
            expected: "nothing after the end of the pickle".into(),
        });
    }
    Ok(NumpyArray {
        shape: [rows, columns],
        values,
    })
}

/// The characters of a text as bytes (latin-1), eight of them per little endian number.
fn numbers(text: &str, at: usize, count: usize) -> Result<Vec<f64>, PickleMismatch> {
    let mut numbers = Vec::with_capacity(count.min(text.len() / 8));
    let (mut number, mut filled) = ([0u8; 8], 0);
    for (i, c) in text.char_indices() {
        number[filled] = u8::try_from(u32::from(c)).map_err(|_| PickleMismatch {
            // Behind the opcode and its length.
            byte: at + 5 + i,
            found: format!("the character U+{:04X}", u32::from(c)),
            expected: "characters up to U+00FF, one per byte".into(),
        })?;
        filled += 1;
        if filled == 8 {
            numbers.push(f64::from_le_bytes(number));
            filled = 0;
        }
    }
    if numbers.len() != count || filled != 0 {
        return Err(PickleMismatch {
            byte: at,
            found: format!("{} bytes", numbers.len() * 8 + filled),
            expected: format!("{count} elements of eight bytes"),
        });
    }
    Ok(numbers)
}

fn mismatch(byte: usize, found: &Token<'_>, expected: &str) -> PickleMismatch {
    PickleMismatch {
        byte,
        found: found.to_string(),
        expected: expected.into(),
    }
}

struct TokenReader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Start of the last token, bytes.
    from: usize,
    /// The last token if it is a name or a text: the value that a memo instruction stores. Composed values are never
    /// referred to, so they are not stored.
    last: Option<Token<'a>>,
    memo: Vec<(u32, Option<Token<'a>>)>,
}

impl<'a> TokenReader<'a> {
    fn all(&mut self, tokens: &[Token<'_>]) -> Result<(), PickleMismatch> {
        tokens.iter().try_for_each(|&token| self.expect(token))
    }

    fn expect(&mut self, wanted: Token<'_>) -> Result<(), PickleMismatch> {
        match self.next()? {
            found if found == wanted => Ok(()),
            found => Err(mismatch(self.from, &found, &wanted.to_string())),
        }
    }

    fn global(&mut self, wanted: &str) -> Result<(), PickleMismatch> {
        // All of `GLOBALS` have a module and a name.
        let (module, name) = wanted.split_once(' ').unwrap_or((wanted, ""));
        self.expect(Token::Global(module, name))
    }

    fn size(&mut self) -> Result<usize, PickleMismatch> {
        match self.next()? {
            Token::Int(value) if value >= 0 => Ok(value as usize),
            other => Err(mismatch(self.from, &other, "a size")),
        }
    }

    /// The next instruction; memo instructions before it are carried out.
    fn next(&mut self) -> Result<Token<'a>, PickleMismatch> {
        loop {
            let at = self.at;
            let [code] = self.take()?;
            let token = match code {
                0x80 => Token::Proto(self.take::<1>()?[0]),
                b'c' => self.global_name(at)?,
                b'K' => Token::Int(self.take::<1>()?[0].into()),
                b'M' => Token::Int(u16::from_le_bytes(self.take()?).into()),
                b'J' => Token::Int(i32::from_le_bytes(self.take()?).into()),
                b'X' => Token::Text(self.text(at)?),
                0x88 | 0x89 => Token::Bool(code == 0x88),
                b'N' => Token::None,
                b'(' => Token::Mark,
                b't' => Token::Tuple,
                0x85..=0x87 => Token::TupleOf(code - 0x84),
                b'R' => Token::Reduce,
                b'b' => Token::Build,
                b'.' => Token::Stop,
                b'q' | b'r' => {
                    let index = self.memo_index(code)?;
                    self.remember(at, index)?;
                    continue;
                }
                b'h' | b'j' => {
                    let index = self.memo_index(code)?;
                    let known = self.memo.iter().rev().find(|(known, _)| *known == index);
                    known
                        .and_then(|(_, token)| *token)
                        .ok_or_else(|| PickleMismatch {
                            byte: at,
                            found: format!("a reference to value {index}"),
                            expected: "one to a name or a text before it".into(),
                        })?
                }
                other => {
                    return Err(PickleMismatch {
                        byte: at,
                        found: format!("opcode 0x{other:02x}"),
                        expected: "one of those that numpy writes an array with".into(),
                    });
                }
            };
            self.last = matches!(token, Token::Global(..) | Token::Text(_)).then_some(token);
            self.from = at;
            return Ok(token);
        }
    }

    fn memo_index(&mut self, code: u8) -> Result<u32, PickleMismatch> {
        match code {
            b'q' | b'h' => Ok(self.take::<1>()?[0].into()),
            _ => Ok(u32::from_le_bytes(self.take()?)),
        }
    }

    fn remember(&mut self, at: usize, index: u32) -> Result<(), PickleMismatch> {
        if self.memo.len() >= 64 {
            return Err(PickleMismatch {
                byte: at,
                found: "more than 64 remembered values".into(),
                expected: "the array".into(),
            });
        }
        self.memo.push((index, self.last));
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], PickleMismatch> {
        let part = self.slice(N)?;
        let mut out = [0; N];
        out.copy_from_slice(part);
        Ok(out)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], PickleMismatch> {
        // `at` never passes the end.
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let part = rest.get(..length).ok_or_else(|| PickleMismatch {
            byte: self.at,
            found: format!("{} bytes to the end of the file", rest.len()),
            expected: format!("{length} bytes"),
        })?;
        self.at += length;
        Ok(part)
    }

    fn text(&mut self, at: usize) -> Result<&'a str, PickleMismatch> {
        let length = u32::from_le_bytes(self.take()?);
        let bytes = self.slice(length as usize)?;
        utf8(bytes, at + 5)
    }

    /// A global, refused unless it is one of [`GLOBALS`].
    fn global_name(&mut self, at: usize) -> Result<Token<'a>, PickleMismatch> {
        let (module, name) = (self.line()?, self.line()?);
        if GLOBALS
            .iter()
            .any(|g| g.split_once(' ') == Some((module, name)))
        {
            return Ok(Token::Global(module, name));
        }
        Err(mismatch(
            at,
            &Token::Global(module, name),
            &format!("no other than {}", GLOBALS.join(", ")),
        ))
    }

    fn line(&mut self) -> Result<&'a str, PickleMismatch> {
        let at = self.at;
        // `at` never passes the end.
        let rest = self.bytes.get(at..).unwrap_or_default();
        let length = rest.iter().take(256).position(|&b| b == b'\n');
        let length = length.ok_or_else(|| PickleMismatch {
            byte: at,
            found: "no line break in 256 bytes".into(),
            expected: "a name and a line break".into(),
        })?;
        let line = utf8(self.slice(length)?, at)?;
        self.at += 1;
        Ok(line)
    }
}

fn utf8(bytes: &[u8], at: usize) -> Result<&str, PickleMismatch> {
    std::str::from_utf8(bytes).map_err(|error| PickleMismatch {
        byte: at + error.valid_up_to(),
        found: "bytes that are not UTF-8".into(),
        expected: "text".into(),
    })
}
