//! Encoded weights of a linear layer, in memory or in a mapped file, unpacked a panel at a time for the products.

use crate::formats::IntegerCodec;
pub use crate::formats::WeightEncoding;
use crate::formats::codec::{EncodedMatrix, Group};
use crate::formats::encode_codes;
use crate::kernels::panel::OUTPUT_GROUP;
use memmap2::Mmap;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Bytes in memory, or a part of a mapped file.
#[derive(Debug, Clone)]
pub enum WeightBytes {
    /// In memory.
    Owned(Arc<[u8]>),
    /// Paged in from a file when touched.
    Mapped(Arc<Mmap>, Range<usize>),
}

impl Deref for WeightBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            WeightBytes::Owned(bytes) => bytes,
            WeightBytes::Mapped(map, range) => &map[range.clone()],
        }
    }
}

impl From<Vec<u8>> for WeightBytes {
    fn from(bytes: Vec<u8>) -> WeightBytes {
        WeightBytes::Owned(bytes.into())
    }
}

/// Largest scale of a file, the largest number of half precision; weights of a trained network are far below one.
const LARGEST_SCALE: f32 = 65_504.0;

/// Weights of a linear layer, `[n outputs, k inputs]`, in one of the encodings.
#[derive(Debug, Clone)]
pub struct Weights {
    n: usize,
    k: usize,
    encoding: WeightEncoding,
    /// Bytes of the codes of one group.
    group_bytes: usize,
    codes: WeightBytes,
    scales: Vec<f32>,
}

impl Weights {
    /// All weights in f32, row-major `[n, k]`.
    #[cfg(any(feature = "candle", feature = "onnx"))]
    pub(crate) fn row_major(&self) -> Vec<f32> {
        use crate::kernels::panel::OUTPUT_GROUP;
        use rayon::prelude::*;
        let (n, k) = (self.n, self.k);
        let mut values = vec![0f32; n * k];
        let groups = values.par_chunks_mut((OUTPUT_GROUP * k).max(1)).enumerate();
        groups.for_each(|(group, rows)| {
            let mut panel = vec![0f32; OUTPUT_GROUP * k];
            self.unpack_f32((group, 1), 0..k, &mut panel);
            for (i, row) in rows.chunks_exact_mut(k).enumerate() {
                let column = panel[i..].iter().step_by(OUTPUT_GROUP);
                row.iter_mut()
                    .zip(column)
                    .for_each(|(to, from)| *to = *from);
            }
        });
        values
    }

    /// Encodes row-major master weights `[n, k]`.
    ///
    /// # Panics
    /// If there are not `n * k` weights.
    pub fn encode(w: &[f32], n: usize, k: usize, encoding: WeightEncoding) -> Weights {
        assert_eq!(w.len(), n * k, "a {n} x {k} matrix");
        let EncodedMatrix { codes, scales } = encoding.codec().encode(w, n, k);
        Weights {
            n,
            k,
            group_bytes: encoding.codec().layout(n, k).group_bytes(),
            encoding,
            codes: codes.into(),
            scales,
        }
    }

    /// Weights from the codes and scales of a file, as [`Weights::codes`] and [`Weights::scales`] gave
    /// them.
    ///
    /// # Errors
    /// The reason, without the name of the tensor, if a length does not fit, a byte holds no code of the encoding, or a scale
    /// is negative, not finite or out of all proportion.
    pub fn from_parts(
        (n, k): (usize, usize),
        encoding: WeightEncoding,
        codes: WeightBytes,
        scales: Vec<f32>,
    ) -> Result<Weights, String> {
        let layout = encoding.codec().layout(n, k);
        let (bytes, count) = (layout.shape[0] * layout.group_bytes(), layout.scales);
        if codes.len() != bytes {
            return Err(format!("{} bytes of codes, expected {bytes}", codes.len()));
        }
        if scales.len() != count {
            return Err(format!("{} scales, expected {count}", scales.len()));
        }
        let codec = encoding.codec();
        let bounds = codec.least_scale()..=LARGEST_SCALE;
        if let Some(i) = scales.iter().position(|s| !bounds.contains(s)) {
            return Err(format!("scale {i} is {}, expected {bounds:?}", scales[i]));
        }
        codec
            .check_codes(&codes, (n, k))
            .map_err(|e| e.to_string())?;
        Ok(Weights {
            n,
            k,
            group_bytes: layout.group_bytes(),
            encoding,
            codes,
            scales,
        })
    }

    /// Ternary weights from codes `[n, k]` in {-1, 0, 1} and their scale.
    ///
    /// # Errors
    /// As [`Weights::from_parts`].
    pub(crate) fn from_ternary(
        codes: &[i8],
        size: (usize, usize),
        absmean: f32,
    ) -> Result<Weights, String> {
        let EncodedMatrix { codes, scales } = encode_codes(codes, size, absmean);
        Weights::from_parts(size, WeightEncoding::Ternary, codes.into(), scales)
    }

    /// Number of outputs.
    pub fn n(&self) -> usize {
        self.n
    }
    /// Number of inputs.
    pub fn k(&self) -> usize {
        self.k
    }
    /// Encoding.
    pub fn encoding(&self) -> WeightEncoding {
        self.encoding
    }
    /// Number of groups of sixteen outputs.
    pub fn groups(&self) -> usize {
        self.n.div_ceil(OUTPUT_GROUP)
    }
    /// Codes of all groups.
    pub fn codes(&self) -> &WeightBytes {
        &self.codes
    }
    /// Scales, see the encoding's file in [`crate::formats`].
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }
    /// Bytes of codes and scales.
    pub fn bytes(&self) -> usize {
        self.codes.len() + 4 * self.scales.len()
    }

    fn group(&self, index: usize) -> Group<'_> {
        let bytes = self.group_bytes;
        Group {
            index,
            n: self.n,
            k: self.k,
            codes: &self.codes[index * bytes..][..bytes],
            scales: &self.scales,
        }
    }

    /// The integer side of the encoding, where it has one.
    pub fn integer(&self) -> Option<&'static dyn IntegerCodec> {
        self.encoding.codec().integer()
    }

    /// Writes the unsigned bytes of `count` groups from `first` on, inputs `4 * quads.start..4 * quads.end`, as
    /// `[quads][count][16][4]`.
    ///
    /// # Panics
    /// If the encoding has no integer products.
    pub fn unpack_int8(&self, (first, count): (usize, usize), quads: Range<usize>, out: &mut [u8]) {
        let Some(codec) = self.integer() else {
            panic!("{} has no integer products", self.encoding.name())
        };
        for g in 0..count {
            codec.unpack(self.group(first + g), quads.clone(), (g, count), out);
        }
    }

    /// Writes the weights of `count` groups from `first` on, inputs `range`, as f32: `[range][count][16]`.
    pub fn unpack_f32(&self, (first, count): (usize, usize), range: Range<usize>, out: &mut [f32]) {
        let codec = self.encoding.codec();
        for g in 0..count {
            let out = &mut out[g * OUTPUT_GROUP..];
            let stride = count * OUTPUT_GROUP;
            codec.unpack_f32(self.group(first + g), range.clone(), stride, out);
        }
    }

    /// Scales of the outputs of a group, zero for padding.
    ///
    /// # Panics
    /// If the encoding has no integer products.
    pub fn row_scales(&self, group: usize) -> [f32; OUTPUT_GROUP] {
        match self.integer() {
            Some(codec) => codec.row_scales(self.group(group)),
            None => panic!("{} has no integer products", self.encoding.name()),
        }
    }
}
