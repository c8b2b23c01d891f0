//! The pickle inside a torch file: the few opcodes and the few names with which `torch.save` writes a state dict.
//! Nothing is imported and nothing is called; a name outside [`ALLOWED`] is refused with its position. Values are
//! plain copies into flat lists, so depth needs no stack of ours, and [`MAX_OPERATIONS`] bounds the memory.

use crate::float_type::FloatType;
use std::collections::BTreeMap;

/// Names that a pickle may mention; `Global` lists their meanings.
pub const ALLOWED: [(&str, &str); 6] = [
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch", "BFloat16Storage"),
    ("torch", "HalfStorage"),
    ("torch", "FloatStorage"),
];

/// Most opcodes of one pickle; a tensor of a state dict takes about forty, an action head has sixteen tensors.
pub const MAX_OPERATIONS: usize = 1 << 14;

/// Longest string, in bytes.
const MAX_TEXT: usize = 1024;

/// Tensor as the pickle describes it, unchecked.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorRecord<'a> {
    /// Type of the elements.
    pub dtype: FloatType,
    /// Name of the storage, whose bytes are the entry `data/KEY`.
    pub key: &'a str,
    /// Elements of the storage.
    pub elements: i64,
    /// First element.
    pub offset: i64,
    /// Sizes.
    pub shape: Vec<i64>,
    /// Elements from one index to the next, per axis.
    pub strides: Vec<i64>,
}

/// Meaning of a name.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Global {
    OrderedDict,
    Tensor,
    Parameter,
    Storage(FloatType),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    /// First place in `Unpickler::items` and length.
    Tuple(usize, usize),
    /// Place in `Unpickler::dicts`.
    Dict(usize),
    Global(Global),
    /// Place in `Unpickler::storages`.
    Storage(usize),
    /// Place in `Unpickler::tensors`.
    Tensor(usize),
}

impl Value<'_> {
    fn kind(self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "a truth value",
            Value::Int(_) => "a number",
            Value::Text(_) => "a string",
            Value::Tuple(..) => "a tuple",
            Value::Dict(_) => "a dict",
            Value::Global(_) => "a global",
            Value::Storage(_) => "a storage",
            Value::Tensor(_) => "a tensor",
        }
    }
}

type Storage<'a> = (FloatType, &'a str, i64);

#[derive(Default)]
struct Unpickler<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value<'a>>,
    items: Vec<Value<'a>>,
    dicts: Vec<Vec<(&'a str, Value<'a>)>>,
    storages: Vec<Storage<'a>>,
    tensors: Vec<TensorRecord<'a>>,
}

/// Entries of the dict that a pickle holds, in its order. Entries that are not tensors are errors.
///
/// # Errors
/// Says what was found at which byte of the pickle.
pub fn state_dict(bytes: &[u8]) -> Result<Vec<(&str, TensorRecord<'_>)>, String> {
    let mut machine = Unpickler {
        bytes,
        ..Unpickler::default()
    };
    for _ in 0..MAX_OPERATIONS {
        let at = machine.at;
        let fail = |what| format!("data.pkl, byte {at}: {what}");
        if let Some(value) = machine.step().map_err(fail)? {
            return machine.finish(value).map_err(fail);
        }
    }
    Err(format!("data.pkl: more than {MAX_OPERATIONS} operations"))
}

/// Text without control characters, shortened.
pub(super) fn sanitised(text: &str) -> String {
    text.chars()
        .take(120)
        .flat_map(char::escape_debug)
        .collect()
}

/// [`sanitised`] text in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", sanitised(text))
}

impl<'a> Unpickler<'a> {
    /// Executes one opcode; returns the value at the end of the pickle.
    fn step(&mut self) -> Result<Option<Value<'a>>, String> {
        let first = self.at == 0;
        let code = self.u8()?;
        if first != (code == 0x80) {
            return Err("a pickle starts with its protocol, once".into());
        }
        match code {
            0x80 => match self.u8()? {
                2..=5 => {}
                version => return Err(format!("protocol {version}, expected 2 to 5")),
            },
            // FRAME
            0x95 => {
                let length = u64::from_le_bytes(self.array()?);
                if length > (self.bytes.len() - self.at) as u64 {
                    return Err(format!("a frame of {length} bytes does not fit"));
                }
            }
            b'}' => self.push_dict(),
            b'(' => self.marks.push(self.stack.len()),
            b')' => self.stack.push(Value::Tuple(0, 0)),
            b't' => {
                let start = self.mark()?;
                self.push_tuple(start);
            }
            0x85..=0x87 => {
                let start = self.below(usize::from(code - 0x84))?;
                self.push_tuple(start);
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                let text = self.text(length as usize)?;
                self.stack.push(Value::Text(text));
            }
            0x8c => {
                let length = self.u8()?;
                let text = self.text(usize::from(length))?;
                self.stack.push(Value::Text(text));
            }
            b'N' => self.stack.push(Value::None),
            0x88 | 0x89 => self.stack.push(Value::Bool(code == 0x88)),
            b'K' => {
                let value = self.u8()?;
                self.stack.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(value.into()));
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(value.into()));
            }
            0x8a => {
                let value = self.long()?;
                self.stack.push(Value::Int(value));
            }
            b'q' => {
                let place = self.u8()?.into();
                self.memoize(place)?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?);
                self.memoize(place)?;
            }
            0x94 => self.memoize(self.memo.len() as u32)?,
            b'h' => {
                let place = self.u8()?.into();
                self.recall(place)?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?);
                self.recall(place)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push_global(module, name)?;
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => self.push_global(module, name)?,
                _ => return Err("a global whose name is not a string".into()),
            },
            b'Q' => self.load_storage()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b's' => {
                let start = self.below(2)?;
                self.set_items(start)?;
            }
            b'u' => {
                let start = self.mark()?;
                self.set_items(start)?;
            }
            b'.' => return self.pop().map(Some),
            other => {
                let what = "is not one that a state dict is written with; refused";
                return Err(format!("opcode 0x{other:02x} {what}"));
            }
        }
        Ok(None)
    }

    fn finish(self, value: Value<'a>) -> Result<Vec<(&'a str, TensorRecord<'a>)>, String> {
        if !self.stack.is_empty() || !self.marks.is_empty() || self.at != self.bytes.len() {
            return Err("the pickle ends before its values or bytes do".into());
        }
        let Value::Dict(dict) = value else {
            return Err(format!(
                "holds {}, expected a dict of tensors",
                value.kind()
            ));
        };
        let entry = |&(name, value): &(&'a str, Value<'a>)| match value {
            Value::Tensor(i) => Ok((name, self.tensors[i].clone())),
            other => Err(format!(
                "{} is {}, expected a tensor",
                quoted(name),
                other.kind()
            )),
        };
        self.dicts[dict].iter().map(entry).collect()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let taken = rest
            .get(..length)
            .ok_or_else(|| format!("{length} bytes wanted and {} left: cut short", rest.len()))?;
        self.at += length;
        Ok(taken)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
    fn u8(&mut self) -> Result<u8, String> {
        self.array::<1>().map(|[byte]| byte)
    }
    fn text(&mut self, length: usize) -> Result<&'a str, String> {
        if length > MAX_TEXT {
            return Err(format!(
                "a string of {length} bytes, at most {MAX_TEXT} expected"
            ));
        }
        std::str::from_utf8(self.take(length)?).map_err(|e| e.to_string())
    }
    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n');
        let line = self.text(end.ok_or("a name without an end")?)?;
        self.at += 1;
        Ok(line)
    }
    /// Little-endian number of up to eight bytes in two's complement.
    fn long(&mut self) -> Result<i64, String> {
        let length = usize::from(self.u8()?);
        if length > 8 {
            return Err(format!("a number of {length} bytes"));
        }
        let bytes = self.take(length)?;
        let sign = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut array = [if sign { 0xff } else { 0 }; 8];
        array[..length].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(array))
    }

    /// Height of the stack with `count` values less, all of them above the last mark.
    fn below(&self, count: usize) -> Result<usize, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= floor => Ok(start),
            _ => Err("a value is wanted where there is none".into()),
        }
    }
    fn pop(&mut self) -> Result<Value<'a>, String> {
        self.below(1)?;
        self.stack.pop().ok_or_else(|| "no value".into())
    }
    fn top(&self) -> Result<Value<'a>, String> {
        Ok(self.stack[self.below(1)?])
    }
    fn mark(&mut self) -> Result<usize, String> {
        self.marks.pop().ok_or_else(|| "no mark".into())
    }
    fn push_tuple(&mut self, start: usize) {
        let first = self.items.len();
        self.items.extend(self.stack.drain(start..));
        let length = self.items.len() - first;
        self.stack.push(Value::Tuple(first, length));
    }
    fn push_dict(&mut self) {
        self.stack.push(Value::Dict(self.dicts.len()));
        self.dicts.push(Vec::new());
    }
    fn memoize(&mut self, place: u32) -> Result<(), String> {
        let value = self.top()?;
        self.memo.insert(place, value);
        Ok(())
    }
    fn recall(&mut self, place: u32) -> Result<(), String> {
        let value = self.memo.get(&place);
        self.stack
            .push(*value.ok_or_else(|| format!("nothing is remembered as {place}"))?);
        Ok(())
    }

    fn push_global(&mut self, module: &str, name: &str) -> Result<(), String> {
        let global = match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::Tensor,
            ("torch._utils", "_rebuild_parameter") => Global::Parameter,
            ("torch", "BFloat16Storage") => Global::Storage(FloatType::Bf16),
            ("torch", "HalfStorage") => Global::Storage(FloatType::F16),
            ("torch", "FloatStorage") => Global::Storage(FloatType::F32),
            _ => {
                let allowed = ALLOWED.map(|(module, name)| format!("{module}.{name}"));
                return Err(format!(
                    "{} is refused and was not run; a state dict needs only {}",
                    quoted(&format!("{module}.{name}")),
                    allowed.join(", ")
                ));
            }
        };
        self.stack.push(Value::Global(global));
        Ok(())
    }

    fn tuple(&self, value: Value<'a>) -> Result<&[Value<'a>], String> {
        match value {
            Value::Tuple(first, length) => Ok(&self.items[first..first + length]),
            other => Err(format!("{}, expected a tuple", other.kind())),
        }
    }
    fn numbers(&self, value: Value<'a>) -> Result<Vec<i64>, String> {
        let number = |value: &Value<'a>| match value {
            Value::Int(number) => Ok(*number),
            other => Err(format!("{}, expected a number", other.kind())),
        };
        let items = self.tuple(value)?;
        if items.len() > 8 {
            return Err(format!("a tensor of {} axes", items.len()));
        }
        items.iter().map(number).collect()
    }

    /// `("storage", type, key, device, elements)`.
    fn load_storage(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let &[
            Value::Text("storage"),
            Value::Global(Global::Storage(dtype)),
            Value::Text(key),
            Value::Text(_),
            Value::Int(elements),
        ] = self.tuple(id)?
        else {
            return Err("a persistent id that is not a storage".into());
        };
        self.stack.push(Value::Storage(self.storages.len()));
        self.storages.push((dtype, key, elements));
        Ok(())
    }

    /// Executes one of the three calls that a state dict contains.
    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let arguments = self.tuple(arguments)?;
        match (callee, arguments) {
            (Value::Global(Global::OrderedDict), []) => self.push_dict(),
            (
                Value::Global(Global::Tensor),
                &[
                    Value::Storage(storage),
                    Value::Int(offset),
                    shape,
                    strides,
                    Value::Bool(_),
                    Value::Dict(_),
                    ..,
                ],
            ) if matches!(arguments[6..], [] | [Value::None]) => {
                let (dtype, key, elements) = self.storages[storage];
                let tensor = TensorRecord {
                    dtype,
                    key,
                    elements,
                    offset,
                    shape: self.numbers(shape)?,
                    strides: self.numbers(strides)?,
                };
                self.stack.push(Value::Tensor(self.tensors.len()));
                self.tensors.push(tensor);
            }
            (
                Value::Global(Global::Parameter),
                &[tensor @ Value::Tensor(_), Value::Bool(_), Value::Dict(_)],
            ) => self.stack.push(tensor),
            (Value::Global(global), _) => {
                return Err(format!("{global:?} with other arguments than torch writes"));
            }
            (other, _) => return Err(format!("{} is called", other.kind())),
        }
        Ok(())
    }

    /// Attributes of an ordered dict: the `_metadata` of a state dict, which says nothing about tensors.
    fn build(&mut self) -> Result<(), String> {
        match (self.pop()?, self.top()?) {
            (Value::Dict(_), Value::Dict(_)) => Ok(()),
            (state, of) => Err(format!("{} as the state of {}", state.kind(), of.kind())),
        }
    }

    /// Moves key, value, key, value from `start` on into the dict below them.
    fn set_items(&mut self, start: usize) -> Result<(), String> {
        if start > self.stack.len() || start < self.marks.last().map_or(1, |floor| floor + 1) {
            return Err("a value is wanted where there is none".into());
        }
        let Value::Dict(dict) = self.stack[start - 1] else {
            return Err(format!("{} gets items", self.stack[start - 1].kind()));
        };
        let mut items = self.stack.drain(start..);
        while let Some(key) = items.next() {
            match (key, items.next()) {
                (Value::Text(name), Some(value)) => self.dicts[dict].push((name, value)),
                (other, _) => return Err(format!("{} as a key, or no value", other.kind())),
            }
        }
        Ok(())
    }
}
