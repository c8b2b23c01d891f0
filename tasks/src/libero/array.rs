//! Arrays of floating point numbers as numpy stores them: element type, byte order, shape and order of axes.

/// Most elements of an array; LIBERO's have 100 rows of at most 123.
const MAX_ELEMENTS: usize = 1 << 20;

/// Type of the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ElementType {
    /// Bytes per element: 4 (float32) or 8 (float64).
    size: usize,
    big_endian: bool,
}

impl ElementType {
    /// The type of a code such as `f8`, `<f8` or `>f4`; `None` unless it is float32 or float64.
    pub fn from_code(code: &str) -> Option<ElementType> {
        let (big_endian, code) = match code.as_bytes().first()? {
            b'>' => (true, &code[1..]),
            b'<' | b'=' | b'|' => (false, &code[1..]),
            _ => (false, code),
        };
        let size = match code {
            "f8" => 8,
            "f4" => 4,
            _ => return None,
        };
        Some(ElementType { size, big_endian })
    }

    /// The same type with a byte order: `<`, `>`, or `=` and `|` for the machine's, which is taken to be little endian.
    pub fn with_order(self, order: &str) -> Option<ElementType> {
        let big_endian = match order {
            ">" => true,
            "<" | "=" | "|" => false,
            _ => return None,
        };
        Some(ElementType { big_endian, ..self })
    }
}

/// A table of numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct NumpyArray {
    /// Rows and columns.
    pub shape: [usize; 2],
    /// `rows * columns` numbers.
    pub values: Vec<f64>,
}

/// Found and expected contents of an array that is no table of numbers.
pub(super) type ArrayMismatch = (String, String);

impl NumpyArray {
    /// Decodes the elements of an array of one or two axes; one axis is one row.
    ///
    /// # Errors
    /// Fails if there are other axes, no rows, too many elements, or another number of bytes than the shape needs.
    pub(super) fn decode(
        axes: &[usize],
        element: ElementType,
        fortran_order: bool,
        bytes: &[u8],
    ) -> Result<NumpyArray, ArrayMismatch> {
        let (rows, columns) = match *axes {
            [columns] => (1, columns),
            [rows, columns] => (rows, columns),
            _ => {
                return Err((
                    format!("an array of {} axes", axes.len()),
                    "one (a single state) or two (rows of states)".into(),
                ));
            }
        };
        let count = rows.checked_mul(columns).filter(|&n| n <= MAX_ELEMENTS);
        let count = count.ok_or_else(|| {
            (
                format!("an array of {rows} by {columns}"),
                format!("at most {MAX_ELEMENTS} elements"),
            )
        })?;
        if rows == 0 {
            return Err((
                format!("an array of 0 rows ({columns} columns)"),
                "at least one state".into(),
            ));
        }
        let size = element.size;
        if bytes.len() != count * size {
            return Err((
                format!("{} bytes", bytes.len()),
                format!("{count} elements of {size} bytes"),
            ));
        }
        let number = |at: usize| {
            let mut raw = [0u8; 8];
            raw[..size].copy_from_slice(&bytes[at * size..(at + 1) * size]);
            if element.big_endian {
                raw[..size].reverse();
            }
            match size {
                4 => f64::from(f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]])),
                _ => f64::from_le_bytes(raw),
            }
        };
        let values = (0..count)
            .map(|i| match fortran_order {
                true => number(i % columns * rows + i / columns),
                false => number(i),
            })
            .collect();
        Ok(NumpyArray {
            shape: [rows, columns],
            values,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(code: &str) -> ElementType {
        ElementType::from_code(code).unwrap()
    }

    #[test]
    fn float32_big_endian_and_fortran_order_are_the_same_numbers() {
        let rows = [[1.5, -2.0, 3.25], [4.0, 0.5, -6.0]];
        let c: Vec<f64> = rows.concat();
        let fortran: Vec<f64> = (0..3).flat_map(|j| [rows[0][j], rows[1][j]]).collect();
        let little = |v: &[f64]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let big: Vec<u8> = c.iter().flat_map(|x| (*x as f32).to_be_bytes()).collect();
        for (code, order, bytes) in [
            ("f8", false, little(&c)),
            ("<f8", true, little(&fortran)),
            (">f4", false, big),
        ] {
            let array = NumpyArray::decode(&[2, 3], element(code), order, &bytes).unwrap();
            assert_eq!((array.shape, &array.values), ([2, 3], &c), "{code}");
        }
    }

    #[test]
    fn one_axis_is_one_row_and_no_rows_are_refused() {
        let bytes = [0u8; 24];
        let one = NumpyArray::decode(&[3], element("f8"), false, &bytes).unwrap();
        assert_eq!(one.shape, [1, 3]);
        let (found, _) = NumpyArray::decode(&[0, 3], element("f8"), false, &[]).unwrap_err();
        assert_eq!(found, "an array of 0 rows (3 columns)");
        let (found, _) = NumpyArray::decode(&[1, 1, 3], element("f8"), false, &bytes).unwrap_err();
        assert_eq!(found, "an array of 3 axes");
        assert_eq!(ElementType::from_code("i8"), None);
    }
}
