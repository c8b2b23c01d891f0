//! The instructions of a pickle, decoded one at a time. Nothing is built or run here.

use super::PickleMismatch;

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    Proto(u8),
    /// `module`, `name`.
    Global(&'a str, &'a str),
    /// As [`Token::Global`], with both names on the stack.
    StackGlobal,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Bool(bool),
    None,
    Mark,
    /// A tuple of everything since the last mark.
    Tuple,
    /// A tuple of the last none, one, two or three values.
    TupleOf(usize),
    Reduce,
    Build,
    /// Stores the last value under a number.
    Put(u32),
    /// Stores the last value under the next number.
    Memoize,
    Get(u32),
    Stop,
}

/// Reads the instructions of a pickle.
pub(super) struct TokenReader<'a> {
    pub bytes: &'a [u8],
    /// Position of the next instruction, bytes.
    pub at: usize,
}

impl<'a> TokenReader<'a> {
    /// The next instruction; frames of protocol 4 are passed over.
    pub fn next(&mut self) -> Result<Token<'a>, PickleMismatch> {
        loop {
            let at = self.at;
            let [code] = self.take()?;
            return Ok(match code {
                // A frame: how many bytes follow in it, which only a reader of streams needs.
                0x95 => {
                    self.take::<8>()?;
                    continue;
                }
                0x80 => Token::Proto(self.take::<1>()?[0]),
                b'c' => Token::Global(self.line()?, self.line()?),
                0x93 => Token::StackGlobal,
                b'K' => Token::Int(self.take::<1>()?[0].into()),
                b'M' => Token::Int(u16::from_le_bytes(self.take()?).into()),
                b'J' => Token::Int(i32::from_le_bytes(self.take()?).into()),
                b'X' => {
                    let length = u32::from_le_bytes(self.take()?);
                    Token::Text(self.text(length.into())?)
                }
                0x8c => {
                    let [length] = self.take()?;
                    Token::Text(self.text(length.into())?)
                }
                0x8d => {
                    let length = u64::from_le_bytes(self.take()?);
                    Token::Text(self.text(length)?)
                }
                b'C' => {
                    let [length] = self.take()?;
                    Token::Bytes(self.slice(length.into())?)
                }
                b'B' => {
                    let length = u32::from_le_bytes(self.take()?);
                    Token::Bytes(self.slice(length.into())?)
                }
                // Bytes and, in protocol 5, a bytearray.
                0x8e | 0x96 => {
                    let length = u64::from_le_bytes(self.take()?);
                    Token::Bytes(self.slice(length)?)
                }
                0x88 | 0x89 => Token::Bool(code == 0x88),
                b'N' => Token::None,
                b'(' => Token::Mark,
                b't' => Token::Tuple,
                b')' => Token::TupleOf(0),
                0x85..=0x87 => Token::TupleOf(usize::from(code - 0x84)),
                b'R' => Token::Reduce,
                b'b' => Token::Build,
                b'q' => Token::Put(self.take::<1>()?[0].into()),
                b'r' => Token::Put(u32::from_le_bytes(self.take()?)),
                0x94 => Token::Memoize,
                b'h' => Token::Get(self.take::<1>()?[0].into()),
                b'j' => Token::Get(u32::from_le_bytes(self.take()?)),
                b'.' => Token::Stop,
                b'Q' | b'P' => {
                    return Err(PickleMismatch {
                        byte: at,
                        found: "a tensor of torch, whose elements are another file".into(),
                        expected: "a numpy array (save `states.numpy()`)".into(),
                    });
                }
                other => {
                    return Err(PickleMismatch {
                        byte: at,
                        found: format!("opcode 0x{other:02x}"),
                        expected: "one of those that numpy writes an array with".into(),
                    });
                }
            });
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], PickleMismatch> {
        let part = self.slice(N as u64)?;
        let mut out = [0; N];
        out.copy_from_slice(part);
        Ok(out)
    }

    fn slice(&mut self, length: u64) -> Result<&'a [u8], PickleMismatch> {
        // `at` never passes the end.
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let part = usize::try_from(length).ok().and_then(|n| rest.get(..n));
        let part = part.ok_or_else(|| PickleMismatch {
            byte: self.at,
            found: format!("{} bytes to the end of the file", rest.len()),
            expected: format!("{length} bytes"),
        })?;
        self.at += part.len();
        Ok(part)
    }

    fn text(&mut self, length: u64) -> Result<&'a str, PickleMismatch> {
        let at = self.at;
        utf8(self.slice(length)?, at)
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
        let line = utf8(self.slice(length as u64)?, at)?;
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
