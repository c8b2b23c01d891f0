//! The `.npy` format of numpy (versions 1 to 3): magic number, a header that is a Python dictionary of three known
//! keys, and the elements.

use super::array::{ElementType, NumpyArray};

/// First bytes of the format.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read, bytes.
const MAX_HEADER: usize = 4096;

/// Reads a `.npy` file.
///
/// # Errors
/// Position in bytes, found and expected contents.
pub(super) fn array(bytes: &[u8]) -> Result<NumpyArray, (u64, String, String)> {
    let fail = |byte: usize, found: String, expected: &str| (byte as u64, found, expected.into());
    let truncated = || fail(bytes.len(), "the end of the file".into(), "a .npy header");
    if !bytes.starts_with(MAGIC) {
        return Err(fail(0, "other bytes".into(), "a .npy file"));
    }
    let version = *bytes.get(6).ok_or_else(truncated)?;
    let (start, length) = match version {
        1 => (
            10,
            bytes
                .get(8..10)
                .map(|b| usize::from(u16::from_le_bytes([b[0], b[1]]))),
        ),
        2 | 3 => (
            12,
            (bytes.get(8..12)).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize),
        ),
        other => {
            return Err(fail(
                6,
                format!("version {other}"),
                "a .npy file of version 1, 2 or 3",
            ));
        }
    };
    let length = length.ok_or_else(truncated)?;
    if length > MAX_HEADER {
        return Err(fail(
            8,
            format!("a header of {length} bytes"),
            "at most 4096",
        ));
    }
    let end = start + length;
    let header = bytes.get(start..end).ok_or_else(truncated)?;
    let header = std::str::from_utf8(header).map_err(|_| {
        fail(
            start,
            "a header that is not text".into(),
            "a Python dictionary",
        )
    })?;
    let bad = |what: &str| fail(start, format!("the header {header:?}"), what);
    let code = quoted(value_of(header, "descr").ok_or_else(|| bad("the key 'descr'"))?);
    let element = (code.and_then(ElementType::from_code))
        .ok_or_else(|| bad("elements of type float64 or float32"))?;
    let order = value_of(header, "fortran_order").ok_or_else(|| bad("the key 'fortran_order'"))?;
    let fortran = match order {
        order if order.starts_with("True") => true,
        order if order.starts_with("False") => false,
        _ => return Err(bad("'fortran_order' True or False")),
    };
    let shape = value_of(header, "shape").and_then(|text| {
        let inside = text.strip_prefix('(')?.split_once(')')?.0;
        let words = inside
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        words
            .map(|word| word.parse().ok())
            .collect::<Option<Vec<usize>>>()
    });
    let shape = shape.ok_or_else(|| bad("the key 'shape' with a tuple of sizes"))?;
    NumpyArray::decode(&shape, element, fortran, &bytes[end..])
        .map_err(|(found, expected)| (end as u64, found, expected))
}

/// What follows a key of the dictionary and its colon.
fn value_of<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let after = header.split_once(&format!("'{key}'"))?.1;
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

/// The text between the quotes that a value begins with.
fn quoted(value: &str) -> Option<&str> {
    let inside = value.strip_prefix('\'')?;
    Some(inside.split_once('\'')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, elements: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([1, 0]);
        out.extend((header.len() as u16).to_le_bytes());
        out.extend(header.as_bytes());
        out.extend(elements);
        out
    }

    #[test]
    fn a_file_is_read_and_other_headers_are_refused() {
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
        let elements: Vec<u8> = [0.5f32, -1.0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let read = array(&file(good, &elements)).unwrap();
        assert_eq!((read.shape, read.values), ([1, 2], vec![0.5, -1.0]));
        for (from, to, words) in [
            ("<f4", "<i4", "float64 or float32"),
            ("(2,)", "(2, x)", "'shape'"),
            ("False", "Maybe", "'fortran_order' True or False"),
            ("(2,)", "(3,)", "3 elements of 4 bytes"),
        ] {
            let (_, _, expected) = array(&file(&good.replace(from, to), &elements)).unwrap_err();
            assert!(expected.contains(words), "{words}: {expected}");
        }
        assert!(array(b"\x93NUMPY").is_err());
    }
}
