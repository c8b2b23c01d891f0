//! The contract of a weight encoding: how master weights become codes and scales, and how panels of them are unpacked
//! for the products. Every encoding keeps the outputs in groups of sixteen, the last one padded with zeros.

use crate::kernels::panel::{OUTPUT_GROUP, PanelBytes};
use rayon::prelude::*;
use safetensors::tensor::Dtype;
use std::ops::Range;

/// Codes and scales of a weight matrix, as they lie in memory and in a packed file.
pub struct EncodedMatrix {
    /// Codes in the shape of [`CodeLayout::shape`].
    pub codes: Vec<u8>,
    /// Scales, [`CodeLayout::scales`] numbers.
    pub scales: Vec<f32>,
}

/// One group of sixteen outputs of an encoded matrix `[n, k]`.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// Number of the group: its outputs are `16 * index` to `16 * index + 15`.
    pub index: usize,
    /// Outputs of the matrix.
    pub n: usize,
    /// Inputs of the matrix.
    pub k: usize,
    /// Codes of the group.
    pub codes: &'a [u8],
    /// Scales of the whole matrix.
    pub scales: &'a [f32],
}

/// Layout of an encoded matrix in a packed file; the codes have the same bytes in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeLayout {
    /// Type of the codes.
    pub dtype: Dtype,
    /// Shape of the codes, the groups of outputs first.
    pub shape: Vec<usize>,
    /// Number of scales.
    pub scales: usize,
}

impl CodeLayout {
    /// Bytes of the codes of one group of outputs.
    pub fn group_bytes(&self) -> usize {
        let size = match self.dtype {
            Dtype::F32 => 4,
            Dtype::BF16 => 2,
            _ => 1,
        };
        self.shape[1..].iter().product::<usize>() * size
    }
}

/// A byte of a file that holds no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeError {
    /// Position in the codes.
    pub byte: usize,
    /// Its value.
    pub found: u8,
    /// Found and expected code.
    pub what: &'static str,
}

impl std::fmt::Display for CodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let CodeError { byte, found, what } = self;
        write!(f, "byte {byte} of the codes is {found:#04x}: {what}")
    }
}

/// Refuses the first byte that is `wrong`. Blocks without one are passed over at the speed of memory.
pub(crate) fn find_code(
    codes: &[u8],
    wrong: impl Fn(u8) -> bool + Sync,
    what: &'static str,
) -> Result<(), CodeError> {
    const BLOCK: usize = 1 << 12;
    let any = |block: &[u8]| block.iter().fold(false, |any, byte| any | wrong(*byte));
    let block = codes.par_chunks(BLOCK).position_first(any);
    let Some(start) = block.map(|block| block * BLOCK) else {
        return Ok(());
    };
    let byte = start
        + codes[start..]
            .iter()
            .position(|byte| wrong(*byte))
            .unwrap_or(0);
    Err(CodeError {
        byte,
        found: codes[byte],
        what,
    })
}

/// One way to store the weights of a linear layer.
pub trait WeightCodec: Sync {
    /// Layout of an `[n, k]` matrix.
    fn layout(&self, n: usize, k: usize) -> CodeLayout;

    /// Encodes row-major master weights `[n, k]`.
    fn encode(&self, w: &[f32], n: usize, k: usize) -> EncodedMatrix;

    /// Writes the weights of one group for the inputs `range` as f32: `out[i * stride + j]` is output `j`, input
    /// `range.start + i`.
    fn unpack_f32(&self, group: Group<'_>, range: Range<usize>, stride: usize, out: &mut [f32]);

    /// Checks codes of a file that hold an `[n, k]` matrix. The quantiser never writes what is refused here.
    ///
    /// # Errors
    /// The first byte that holds no code of the encoding.
    fn check_codes(&self, _codes: &[u8], _size: (usize, usize)) -> Result<(), CodeError> {
        Ok(())
    }

    /// Smallest scale that the quantiser writes; zero where the scales of padding are zero.
    fn least_scale(&self) -> f32 {
        0.0
    }

    /// The integer side of the encoding; `None` if its codes cannot be multiplied by int8 activations.
    fn integer(&self) -> Option<&dyn IntegerCodec> {
        None
    }
}

/// An encoding whose codes are multiplied by int8 activations as they are.
pub trait IntegerCodec: Sync {
    /// What the bytes of a panel are.
    fn panel_bytes(&self) -> PanelBytes;

    /// Writes the unsigned bytes of one group for the inputs `4 * quads.start..4 * quads.end` into group `at.0` of
    /// the `at.1` groups of a panel `[quads][groups][16][4]`.
    fn unpack(&self, group: Group<'_>, quads: Range<usize>, at: (usize, usize), out: &mut [u8]);

    /// Scales of the outputs of a group, zero for padding.
    fn row_scales(&self, group: Group<'_>) -> [f32; OUTPUT_GROUP];
}

/// Outputs of a group that exist.
pub fn group_rows(group: usize, n: usize) -> Range<usize> {
    group * OUTPUT_GROUP..n.min((group + 1) * OUTPUT_GROUP)
}

/// Codes of every group, `bytes` each, made in parallel by `make(group, codes)`.
pub fn pack_groups(n: usize, bytes: usize, make: impl Fn(usize, &mut [u8]) + Sync) -> Vec<u8> {
    let mut all = vec![0u8; n.div_ceil(OUTPUT_GROUP) * bytes];
    let parts = all.par_chunks_mut(bytes.max(1)).enumerate();
    parts.for_each(|(group, out)| make(group, out));
    all
}

/// Codes of `SIZE` bytes per weight, `[groups][k][16]`, from row-major weights `[n, k]`.
pub fn pack_columns<const SIZE: usize>(
    w: &[f32],
    (n, k): (usize, usize),
    code: impl Fn(f32) -> [u8; SIZE] + Sync,
) -> Vec<u8> {
    pack_groups(n, OUTPUT_GROUP * k * SIZE, |group, out| {
        for (i, row) in group_rows(group, n).enumerate() {
            let to = out[i * SIZE..].chunks_mut(OUTPUT_GROUP * SIZE);
            for (to, w) in to.zip(&w[row * k..][..k]) {
                to[..SIZE].copy_from_slice(&code(*w));
            }
        }
    })
}

/// Two nibbles to a byte, `[groups][k][8]`: byte `j` holds output `j` in the low and output `j + 8` in the high bits.
pub fn pack_nibbles((n, k): (usize, usize), code: impl Fn(usize, usize) -> u8 + Sync) -> Vec<u8> {
    pack_groups(n, OUTPUT_GROUP / 2 * k, |group, out| {
        for row in group_rows(group, n) {
            let (j, shift) = (
                row % (OUTPUT_GROUP / 2),
                row % OUTPUT_GROUP / (OUTPUT_GROUP / 2) * 4,
            );
            for (column, to) in out.chunks_exact_mut(OUTPUT_GROUP / 2).enumerate() {
                to[j] |= code(row, column) << shift;
            }
        }
    })
}
