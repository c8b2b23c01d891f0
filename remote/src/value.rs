//! MessagePack values: reading within bounds, and fields of maps, whose keys both protocols write as text or as bytes.

use crate::RemoteError;
use rmpv::Value;

/// Largest message that is read, bytes: two camera images of 1024 pixels a side and some.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// Deepest nesting of values.
const MAX_DEPTH: usize = 16;
/// Most values in a message: an observation has dozens, and each takes memory beyond its bytes.
const MAX_VALUES: usize = 100_000;

/// Wire protocol of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// That of `openpi-client` 0.1: the server speaks first, observation and reply alternate, keys of arrays are bytes.
    OpenPi,
    /// That of vla-evaluation-harness 0.8: typed messages with a sequence number, one action per observation.
    VlaEval,
}

impl Protocol {
    /// Both.
    pub const ALL: [Protocol; 2] = [Protocol::OpenPi, Protocol::VlaEval];

    /// Name in addresses, as in `openpi:ws://HOST:PORT`.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::OpenPi => "openpi",
            Protocol::VlaEval => "vla-eval",
        }
    }
}

/// Reads one message; `place` names it in errors.
pub(crate) fn decode(bytes: &[u8], place: &str) -> Result<Value, RemoteError> {
    let fail = |what: String| RemoteError::message(place, what);
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(fail(format!(
            "{} bytes, at most {MAX_MESSAGE_BYTES} are read",
            bytes.len()
        )));
    }
    let values = count_values(bytes).ok_or_else(|| fail("cut short, or no MessagePack".into()))?;
    if values > MAX_VALUES {
        return Err(fail(format!(
            "{values} values, at most {MAX_VALUES} are read"
        )));
    }
    let mut rest = bytes;
    let value = rmpv::decode::read_value_with_max_depth(&mut rest, MAX_DEPTH)
        .map_err(|error| fail(error.to_string()))?;
    match rest.len() {
        0 => Ok(value),
        more => Err(fail(format!("{more} bytes follow the message"))),
    }
}

/// Number of values of a message, without making any of them; `None` if it is cut short. Reads headers only, so that the cost is
/// that of the message's own size.
fn count_values(bytes: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    // Values that are still to come.
    let mut open = 1u64;
    let mut count = 0usize;
    let number = |at: usize, width: usize| -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(width)?)?;
        Some(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    };
    while open > 0 {
        open -= 1;
        count += 1;
        let marker = *bytes.get(at)?;
        at += 1;
        // Bytes of content behind the marker, and values inside.
        let (content, inside) = match marker {
            0x00..=0x7f | 0xc0..=0xc3 | 0xe0..=0xff => (0, 0),
            0x80..=0x8f => (0, 2 * u64::from(marker & 0x0f)),
            0x90..=0x9f => (0, u64::from(marker & 0x0f)),
            0xa0..=0xbf => (u64::from(marker & 0x1f), 0),
            0xc4 | 0xd9 => (1 + number(at, 1)?, 0),
            0xc5 | 0xda => (2 + number(at, 2)?, 0),
            0xc6 | 0xdb => (4 + number(at, 4)?, 0),
            0xc7 => (2 + number(at, 1)?, 0),
            0xc8 => (3 + number(at, 2)?, 0),
            0xc9 => (5 + number(at, 4)?, 0),
            0xca | 0xce | 0xd2 => (4, 0),
            0xcb | 0xcf | 0xd3 => (8, 0),
            0xcc | 0xd0 => (1, 0),
            0xcd | 0xd1 => (2, 0),
            0xd4..=0xd8 => (1 + (1 << (marker - 0xd4)), 0),
            0xdc => (2, number(at, 2)?),
            0xdd => (4, number(at, 4)?),
            0xde => (2, 2 * number(at, 2)?),
            0xdf => (4, 2 * number(at, 4)?),
        };
        at = at.checked_add(usize::try_from(content).ok()?)?;
        open += inside;
        // Each value takes a byte at least.
        if at > bytes.len() || open > (bytes.len() - at) as u64 {
            return None;
        }
    }
    Some(count)
}

pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to a vector cannot fail.
    let _ = rmpv::encode::write_value(&mut out, value);
    out
}

/// Text of a value that is text, or bytes that are text.
pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => text.as_str(),
        Value::Binary(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// Value of a key of a map; the key is text or bytes.
pub(crate) fn field<'a>(map: &'a Value, key: &str) -> Option<&'a Value> {
    let entries = map.as_map()?;
    let found = entries.iter().find(|(name, _)| text(name) == Some(key));
    found.map(|(_, value)| value)
}

/// A map with text keys.
pub(crate) fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let entries = entries.into_iter();
    Value::Map(entries.map(|(key, value)| (key.into(), value)).collect())
}

/// Words for a value in an error.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Nil => "nil".into(),
        Value::Boolean(b) => b.to_string(),
        Value::Integer(n) => n.to_string(),
        Value::F32(x) => x.to_string(),
        Value::F64(x) => x.to_string(),
        Value::String(_) => "text".into(),
        Value::Binary(bytes) => format!("{} bytes", bytes.len()),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Map(entries) => format!("a map of {}", entries.len()),
        Value::Ext(kind, _) => format!("an extension of type {kind}"),
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: a message that is cut short, too deep, too many or followed by something is refused before it takes memory.
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let value = map([
            ("a", Value::from(1)),
            (
                "b",
                Value::Array(vec![1.5.into(), "x".into(), Value::Binary(vec![1, 2])]),
            ),
            ("c", Value::Nil),
        ]);
        let bytes = encode(&value);
        assert_eq!(decode(&bytes, "message").unwrap(), value);
        assert_eq!(count_values(&bytes), Some(10));
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end], "message").is_err(), "{end}");
        }
        let mut more = bytes;
        more.push(0xc0);
        assert!(
            decode(&more, "message")
                .unwrap_err()
                .to_string()
                .contains("1 bytes follow")
        );
    }

    #[test]
    fn declared_sizes_are_not_believed() {
        // Lists of 2^32 - 1, in each other; a text of 4 GB.
        let nested: Vec<u8> = [0xdd, 0xff, 0xff, 0xff, 0xff].repeat(1000);
        assert!(decode(&nested, "message").is_err());
        assert!(decode(&[0xdb, 0xff, 0xff, 0xff, 0xff, b'x'], "message").is_err());
        let deep = [vec![0x91; 100], vec![0xc0]].concat();
        assert!(decode(&deep, "message").is_err());
        let many = [vec![0xdd, 0x00, 0x02, 0x00, 0x00], vec![0xc0; 0x20000]].concat();
        let error = decode(&many, "message").unwrap_err().to_string();
        assert!(error.contains("131073 values, at most 100000"), "{error}");
    }
}
