//! The values that the pickle of an array is put together from, and what its calls make of them.

use super::short;
use crate::libero::array::{ArrayMismatch, ElementType, NumpyArray};
use std::rc::Rc;

/// A function or class that such a pickle may mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    /// Makes an empty array, which a state fills.
    Reconstruct,
    /// Makes an array of a buffer (protocol 5).
    FromBuffer,
    NdArray,
    Dtype,
    /// Turns a text into bytes (protocol 2).
    Encode,
}

/// Modules (numpy 1, numpy 2), name and meaning of the only globals that are known.
pub(super) const GLOBALS: [(&[&str], &str, Global); 5] = [
    (
        &["numpy.core.multiarray", "numpy._core.multiarray"],
        "_reconstruct",
        Global::Reconstruct,
    ),
    (
        &["numpy.core.numeric", "numpy._core.numeric"],
        "_frombuffer",
        Global::FromBuffer,
    ),
    (&["numpy"], "ndarray", Global::NdArray),
    (&["numpy"], "dtype", Global::Dtype),
    (&["_codecs"], "encode", Global::Encode),
];

/// A value. Clones share their contents.
#[derive(Debug, Clone)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    Tuple(Rc<[Value]>),
    Global(Global),
    Dtype(ElementType),
    /// An array without a state.
    EmptyArray,
    Array(Rc<NumpyArray>),
}

impl Value {
    /// The value in words, for errors.
    pub fn describe(&self) -> String {
        match self {
            Value::None => "none".into(),
            Value::Bool(value) => format!("{value}"),
            Value::Int(value) => format!("the number {value}"),
            Value::Text(text) => format!("the text `{}`", short(text)),
            Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Value::Tuple(items) => format!("a tuple of {}", items.len()),
            Value::Global(global) => format!("the global {global:?}"),
            Value::Dtype(_) => "a type of elements".into(),
            Value::EmptyArray => "an array without elements".into(),
            Value::Array(_) => "an array".into(),
        }
    }
}

fn wrong(found: &Value, expected: &str) -> ArrayMismatch {
    (found.describe(), expected.to_owned())
}

/// What a call of a known global makes.
pub(super) fn call(callee: &Value, arguments: &Value) -> Result<Value, ArrayMismatch> {
    let Value::Global(global) = callee else {
        return Err(wrong(callee, "a function"));
    };
    let Value::Tuple(arguments) = arguments else {
        return Err(wrong(arguments, "a tuple of arguments"));
    };
    match (global, arguments.as_ref()) {
        (Global::Encode, [Value::Text(text), Value::Text(code)]) if &**code == "latin1" => {
            Ok(Value::Bytes(latin1(text)?.into()))
        }
        (Global::Dtype, [Value::Text(code), ..]) => {
            let element = ElementType::from_code(code);
            let element = element.ok_or_else(|| {
                let found = format!("elements of type `{}`", short(code));
                (found, "float64 (`f8`) or float32 (`f4`)".to_owned())
            })?;
            Ok(Value::Dtype(element))
        }
        (Global::Reconstruct, [Value::Global(Global::NdArray), ..]) => Ok(Value::EmptyArray),
        (Global::FromBuffer, [Value::Bytes(bytes), Value::Dtype(element), shape, order]) => {
            let fortran = match order {
                Value::Text(order) if &**order == "C" => false,
                Value::Text(order) if &**order == "F" => true,
                other => return Err(wrong(other, "the order `C` or `F`")),
            };
            let array = NumpyArray::decode(&sizes(shape)?, *element, fortran, bytes)?;
            Ok(Value::Array(array.into()))
        }
        (global, arguments) => {
            let found: Vec<String> = arguments.iter().map(Value::describe).collect();
            Err((
                format!("{global:?} of {}", found.join(", ")),
                "the arguments that numpy writes".into(),
            ))
        }
    }
}

/// A value with its state.
pub(super) fn build(of: &Value, state: &Value) -> Result<Value, ArrayMismatch> {
    let Value::Tuple(items) = state else {
        return Err(wrong(state, "a tuple with a state"));
    };
    match (of, items.as_ref()) {
        (
            Value::Dtype(element),
            [
                Value::Int(_),
                Value::Text(order),
                Value::None,
                Value::None,
                Value::None,
                ..,
            ],
        ) => {
            let element = element.with_order(order).ok_or_else(|| {
                let found = format!("the byte order `{}`", short(order));
                (found, "`<` or `>`".to_owned())
            })?;
            Ok(Value::Dtype(element))
        }
        (
            Value::EmptyArray,
            [
                Value::Int(_),
                shape,
                Value::Dtype(element),
                Value::Bool(fortran),
                Value::Bytes(bytes),
            ],
        ) => {
            let array = NumpyArray::decode(&sizes(shape)?, *element, *fortran, bytes)?;
            Ok(Value::Array(array.into()))
        }
        (of, _) => Err((
            format!("a state of {} values for {}", items.len(), of.describe()),
            "the state that numpy writes".into(),
        )),
    }
}

fn sizes(shape: &Value) -> Result<Vec<usize>, ArrayMismatch> {
    let Value::Tuple(items) = shape else {
        return Err(wrong(shape, "a tuple of sizes"));
    };
    let size = |item: &Value| match item {
        Value::Int(value) => usize::try_from(*value).map_err(|_| wrong(item, "a size")),
        other => Err(wrong(other, "a size")),
    };
    items.iter().map(size).collect()
}

/// The characters of a text as bytes.
fn latin1(text: &str) -> Result<Vec<u8>, ArrayMismatch> {
    let byte = |c: char| {
        u8::try_from(u32::from(c)).map_err(|_| {
            let found = format!("the character U+{:04X}", u32::from(c));
            (found, "characters up to U+00FF, one per byte".to_owned())
        })
    };
    text.chars().map(byte).collect()
}
