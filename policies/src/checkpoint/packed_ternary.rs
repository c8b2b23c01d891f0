//! Packed ternary weights of a published BitNet checkpoint (`docs/reference/bitvla.md`, section 5): bytes `[outputs / 4,
//! inputs]`, where byte `[r, c]` holds the codes plus one of outputs `r`, `r + outputs / 4`, `r + 2 outputs / 4` and
//! `r + 3 outputs / 4` in ascending bit pairs, and a scale `[1]` under `NAME.weight_scale`.

use crate::formats::{CodeError, find_ternary_code};
use std::ops::Range;

/// Packed weights of one layer of the language model.
pub struct PackedMatrix {
    /// Shape of the bytes.
    pub shape: Vec<usize>,
    /// Byte range in the file.
    pub range: Range<usize>,
}

impl PackedMatrix {
    /// True if a tensor of bytes under this name may be packed weights: linear layers of the language model, which have no
    /// bias.
    pub fn may_be(name: &str) -> bool {
        name.starts_with("language_model.model.layers.") && name.ends_with("_proj.weight")
    }

    /// Name of the scale beside weights `NAME.weight`.
    pub fn scale_name(name: &str) -> String {
        format!("{name}_scale")
    }

    /// Name of the weights of a scale.
    pub fn of_scale(name: &str) -> Option<String> {
        name.strip_suffix("_scale").map(str::to_owned)
    }

    /// Checks the shapes of bytes and scale; `expected` is that of the weights, none where the layer has none.
    ///
    /// # Errors
    /// Found and expected shape.
    pub fn check(&self, expected: Option<&[usize]>, scale: Option<&[usize]>) -> Result<(), String> {
        let shape = &self.shape;
        let Some(expected) = expected else {
            return Err(format!("unexpected, shape {shape:?}"));
        };
        let fits = matches!((expected, &shape[..]), ([n, k], [rows, columns])
            if n.is_multiple_of(4) && n / 4 == *rows && k == columns);
        if !fits {
            return Err(format!(
                "packed weights of shape {shape:?}, expected a quarter of the rows of {expected:?}"
            ));
        }
        match scale {
            Some([] | [1]) => Ok(()),
            Some(other) => Err(format!(
                "packed weights with a scale of shape {other:?}, expected [1]"
            )),
            None => Err("packed weights without weight_scale".into()),
        }
    }

    /// Codes `[outputs, inputs]` in {-1, 0, 1} of the packed bytes.
    ///
    /// # Errors
    /// Names the first byte with code 3, which is none.
    pub fn unpack(&self, bytes: &[u8]) -> Result<Vec<i8>, String> {
        find_ternary_code(bytes).map_err(|CodeError { byte, found, what }| {
            format!("byte {byte} is {found:#04x}: {what}")
        })?;
        let unpack = |shift: u32| bytes.iter().map(move |byte| (byte >> shift & 3) as i8 - 1);
        Ok([0, 2, 4, 6].into_iter().flat_map(unpack).collect())
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: the layout of the fact sheet is read, and a byte that holds no ternary code is named.
    use super::*;

    fn matrix(shape: &[usize]) -> PackedMatrix {
        PackedMatrix {
            shape: shape.to_vec(),
            range: 0..0,
        }
    }

    #[test]
    fn rows_are_a_quarter_apart() {
        // Eight outputs of three inputs: byte [r, c] holds rows r, r + 2, r + 4, r + 6.
        let codes: Vec<i8> = (0..24).map(|i| (i * 5 % 3) as i8 - 1).collect();
        let mut bytes = vec![0u8; 6];
        for (i, code) in codes.iter().enumerate() {
            let (row, column) = (i / 3, i % 3);
            bytes[row % 2 * 3 + column] |= ((code + 1) as u8) << (row / 2 * 2);
        }
        assert_eq!(matrix(&[2, 3]).unpack(&bytes).unwrap(), codes);
        bytes[4] = 0b0011_0000;
        let text = matrix(&[2, 3]).unpack(&bytes).unwrap_err();
        assert!(text.contains("byte 4 is 0x30"), "{text}");
    }

    #[test]
    fn shapes_are_checked() {
        let check = |shape: &[usize], scale| matrix(shape).check(Some(&[8, 3]), scale);
        assert!(check(&[2, 3], Some(&[1])).is_ok() && check(&[2, 3], Some(&[])).is_ok());
        assert!(
            check(&[8, 3], Some(&[1]))
                .unwrap_err()
                .contains("a quarter of the rows of [8, 3]")
        );
        assert!(
            check(&[2, 3], Some(&[2]))
                .unwrap_err()
                .contains("scale of shape [2]")
        );
        assert!(
            check(&[2, 3], None)
                .unwrap_err()
                .contains("without weight_scale")
        );
        assert!(
            matrix(&[2, 3])
                .check(None, None)
                .unwrap_err()
                .contains("unexpected")
        );
    }
}
