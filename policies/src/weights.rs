//! Weights of a linear layer as they lie in memory or in a packed file, and how a panel of them is unpacked for the
//! products. Every encoding keeps the outputs in groups of sixteen, the last one padded with zeros.

use crate::checkpoint::f32_to_bf16;
use crate::kernels::panel::{OUTPUT_GROUP, QUAD_BYTES};
use crate::kernels::ptq::{NF4, Nf4Blocks, SymmetricInt};
use crate::kernels::quant::quantise_weights;
use crate::kernels::{BLOCK_BYTES, BLOCK_K, multiversion, pack_codes};
use memmap2::Mmap;
use rayon::prelude::*;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Inputs that share a scale in `int4`.
pub const INT4_GROUP: usize = 128;

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

/// How master weights (row-major, outputs x inputs) become [`Weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightEncoding {
    /// As f32.
    F32,
    /// As bf16, rounded half to even; nothing is lost of weights that were stored so.
    Bf16,
    /// Absmean ternary, two bits (fact sheet of BitVLA, section 5).
    Ternary,
    /// int8 with one scale per output.
    Int8,
    /// int4 with one scale per output and [`INT4_GROUP`] inputs.
    Int4,
    /// NF4 in blocks of 64 as bitsandbytes does it.
    Nf4,
}

/// Weights of `n` outputs and `k` inputs.
#[derive(Debug, Clone)]
pub struct Weights {
    n: usize,
    k: usize,
    encoding: WeightEncoding,
    /// Values or codes, see [`WeightEncoding`] and the functions that unpack them.
    codes: WeightBytes,
    /// Ternary: the absmean. int8: one per output. int4: `[groups][inputs / 128][16]`. NF4: one per 64 numbers.
    scales: Vec<f32>,
}

/// Rows of a group that exist.
fn group_rows(group: usize, n: usize) -> Range<usize> {
    group * OUTPUT_GROUP..n.min((group + 1) * OUTPUT_GROUP)
}

/// Codes of every group, made in parallel.
fn groups(n: usize, bytes: usize, make: impl Fn(usize, &mut [u8]) + Sync) -> Vec<u8> {
    let mut all = vec![0u8; n.div_ceil(OUTPUT_GROUP) * bytes];
    let parts = all.par_chunks_mut(bytes.max(1)).enumerate();
    parts.for_each(|(group, out)| make(group, out));
    all
}

/// `[groups][k][16]` of something of `SIZE` bytes per weight.
fn pack_panels<const SIZE: usize>(
    w: &[f32],
    (n, k): (usize, usize),
    code: impl Fn(f32) -> [u8; SIZE] + Sync,
) -> Vec<u8> {
    groups(n, OUTPUT_GROUP * k * SIZE, |group, out| {
        for (i, row) in group_rows(group, n).enumerate() {
            let to = out[i * SIZE..].chunks_mut(OUTPUT_GROUP * SIZE);
            for (to, w) in to.zip(&w[row * k..][..k]) {
                to[..SIZE].copy_from_slice(&code(*w));
            }
        }
    })
}

/// Two nibbles to a byte, `[groups][k][8]`: byte `j` holds output `j` below and output `j + 8` above.
fn pack_nibbles((n, k): (usize, usize), code: impl Fn(usize, usize) -> u8 + Sync) -> Vec<u8> {
    groups(n, OUTPUT_GROUP / 2 * k, |group, out| {
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

impl Weights {
    /// Encodes row-major master weights.
    pub fn encode(w: &[f32], n: usize, k: usize, encoding: WeightEncoding) -> Weights {
        assert_eq!(w.len(), n * k, "a {n} x {k} matrix");
        let mut scales = Vec::new();
        let codes = match encoding {
            WeightEncoding::F32 => pack_panels(w, (n, k), f32::to_le_bytes),
            WeightEncoding::Bf16 => pack_panels(w, (n, k), |v| f32_to_bf16(v).to_le_bytes()),
            WeightEncoding::Ternary => {
                let ternary = quantise_weights(w);
                scales.push(ternary.absmean);
                groups(n, bytes_of_group(k, encoding), |group, out| {
                    let rows = group_rows(group, n);
                    pack_codes(&ternary.codes[rows.start * k..rows.end * k], k, out);
                })
            }
            WeightEncoding::Int8 => {
                let int8 = SymmetricInt::int8_rows(w, k);
                scales = int8.scales;
                groups(n, bytes_of_group(k, encoding), |group, out| {
                    out.fill(128);
                    for (i, row) in group_rows(group, n).enumerate() {
                        for (column, code) in int8.codes[row * k..][..k].iter().enumerate() {
                            let at = column / 4 * QUAD_BYTES + 4 * i + column % 4;
                            out[at] = (i16::from(*code) + 128) as u8;
                        }
                    }
                })
            }
            WeightEncoding::Int4 => {
                let int4 = SymmetricInt::int4_groups(w, k, INT4_GROUP);
                let per_row = k.div_ceil(INT4_GROUP);
                for group in 0..n.div_ceil(OUTPUT_GROUP) {
                    for part in 0..per_row {
                        let rows = group * OUTPUT_GROUP..(group + 1) * OUTPUT_GROUP;
                        scales.extend(rows.map(|row| match row < n {
                            true => int4.scales[row * per_row + part],
                            false => 0.0,
                        }));
                    }
                }
                pack_nibbles((n, k), |r, c| (int4.codes[r * k + c] + 8) as u8)
            }
            WeightEncoding::Nf4 => {
                let nf4 = Nf4Blocks::new(w);
                let code = |i: usize| (nf4.packed[i / 2] >> (4 * (1 - i % 2))) & 15;
                let codes = pack_nibbles((n, k), |r, c| code(r * k + c));
                scales = nf4.absmax;
                codes
            }
        };
        Weights {
            n,
            k,
            encoding,
            codes: codes.into(),
            scales,
        }
    }

    /// From a file: codes and scales as [`Weights::codes`] and [`Weights::scales`] gave them. Says what is wrong
    /// where a length is.
    ///
    /// # Errors
    /// In words, without the name of the tensor.
    pub fn from_parts(
        (n, k): (usize, usize),
        encoding: WeightEncoding,
        codes: WeightBytes,
        scales: Vec<f32>,
    ) -> Result<Weights, String> {
        let bytes = n.div_ceil(OUTPUT_GROUP) * bytes_of_group(k, encoding);
        let count = Weights::scale_count((n, k), encoding);
        if codes.len() != bytes {
            return Err(format!("{} bytes of codes, expected {bytes}", codes.len()));
        }
        if scales.len() != count {
            return Err(format!("{} scales, expected {count}", scales.len()));
        }
        match scales.iter().find(|s| !s.is_finite()) {
            Some(scale) => Err(format!("a scale is {scale}")),
            None => Ok(Weights {
                n,
                k,
                encoding,
                codes,
                scales,
            }),
        }
    }

    /// How many scales there are for `n` outputs and `k` inputs.
    pub fn scale_count((n, k): (usize, usize), encoding: WeightEncoding) -> usize {
        match encoding {
            WeightEncoding::F32 | WeightEncoding::Bf16 => 0,
            WeightEncoding::Ternary => 1,
            WeightEncoding::Int8 => n,
            WeightEncoding::Int4 => n.next_multiple_of(OUTPUT_GROUP) * k.div_ceil(INT4_GROUP),
            WeightEncoding::Nf4 => (n * k).div_ceil(Nf4Blocks::BLOCK),
        }
    }

    /// Outputs.
    pub fn n(&self) -> usize {
        self.n
    }
    /// Inputs.
    pub fn k(&self) -> usize {
        self.k
    }
    /// How they are kept.
    pub fn encoding(&self) -> WeightEncoding {
        self.encoding
    }
    /// Groups of sixteen outputs.
    pub fn groups(&self) -> usize {
        self.n.div_ceil(OUTPUT_GROUP)
    }
    /// Codes.
    pub fn codes(&self) -> &WeightBytes {
        &self.codes
    }
    /// Scales.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }
    /// Bytes of codes and scales.
    pub fn bytes(&self) -> usize {
        self.codes.len() + 4 * self.scales.len()
    }

    fn group(&self, group: usize) -> &[u8] {
        let bytes = bytes_of_group(self.k, self.encoding);
        &self.codes[group * bytes..][..bytes]
    }

    /// What is taken off the unsigned bytes of an integer panel to give the codes: 1 of ternary, 128 of int8.
    pub fn zero_point(&self) -> i32 {
        match self.encoding {
            WeightEncoding::Int8 => 128,
            _ => 1,
        }
    }

    /// Bytes of `count` groups from `first` on, inputs `quads` (of four), `[quads][count][16][4]`.
    pub fn unpack_int8(&self, (first, count): (usize, usize), quads: Range<usize>, out: &mut [u8]) {
        for g in 0..count {
            let bytes = self.group(first + g);
            match self.encoding {
                WeightEncoding::Ternary => {
                    debug_assert!(quads.start.is_multiple_of(4));
                    let blocks = &bytes[quads.start / 4 * BLOCK_BYTES..];
                    unpack_ternary(blocks, quads.len(), g, count, out);
                }
                _ => {
                    let from = bytes[quads.start * QUAD_BYTES..quads.end * QUAD_BYTES]
                        .chunks_exact(QUAD_BYTES);
                    let to = out.chunks_exact_mut(count * QUAD_BYTES);
                    for (from, to) in from.zip(to) {
                        to[g * QUAD_BYTES..][..QUAD_BYTES].copy_from_slice(from);
                    }
                }
            }
        }
    }

    /// Weights of `count` groups from `first` on, inputs `range`, in f32: `[range][count][16]`.
    pub fn unpack_f32(&self, (first, count): (usize, usize), range: Range<usize>, out: &mut [f32]) {
        for g in 0..count {
            let group = first + g;
            let bytes = self.group(group);
            let out = &mut out[g * OUTPUT_GROUP..];
            let stride = count * OUTPUT_GROUP;
            match self.encoding {
                WeightEncoding::F32 => {
                    widen_f32(&bytes[range.start * 64..range.end * 64], stride, out)
                }
                WeightEncoding::Bf16 => {
                    widen_bf16(&bytes[range.start * 32..range.end * 32], stride, out)
                }
                WeightEncoding::Ternary => {
                    let inverse = 1.0 / self.scales[0];
                    ternary_floats(
                        bytes,
                        range.clone(),
                        [-1.0 / inverse, 0.0, 1.0 / inverse, 0.0],
                        stride,
                        out,
                    );
                }
                WeightEncoding::Int8 => {
                    int8_floats(bytes, range.clone(), &self.row_scales(group), stride, out)
                }
                WeightEncoding::Int4 => {
                    let per_row = self.k.div_ceil(INT4_GROUP);
                    let scales =
                        &self.scales[group * per_row * OUTPUT_GROUP..][..per_row * OUTPUT_GROUP];
                    int4_floats(bytes, range.clone(), scales, stride, out);
                }
                WeightEncoding::Nf4 => {
                    let block_scales = |column: usize| {
                        std::array::from_fn(|row| {
                            let at =
                                ((group * OUTPUT_GROUP + row) * self.k + column) / Nf4Blocks::BLOCK;
                            self.scales.get(at).copied().unwrap_or(0.0)
                        })
                    };
                    nf4_floats(bytes, range.clone(), &block_scales, self.k, stride, out);
                }
            }
        }
    }

    /// Scales of the outputs of a group, zero for padding.
    pub fn row_scales(&self, group: usize) -> [f32; OUTPUT_GROUP] {
        let mut scales = [0.0; OUTPUT_GROUP];
        let rows = group_rows(group, self.n);
        match self.encoding {
            WeightEncoding::Int8 => scales[..rows.len()].copy_from_slice(&self.scales[rows]),
            _ => scales[..rows.len()].fill(self.scales.first().copied().unwrap_or(1.0)),
        }
        scales
    }
}

/// Bytes of the codes of one group.
fn bytes_of_group(k: usize, encoding: WeightEncoding) -> usize {
    match encoding {
        WeightEncoding::F32 => OUTPUT_GROUP * 4 * k,
        WeightEncoding::Bf16 => OUTPUT_GROUP * 2 * k,
        WeightEncoding::Ternary => k.div_ceil(BLOCK_K) * BLOCK_BYTES,
        WeightEncoding::Int8 => k.next_multiple_of(BLOCK_K) * OUTPUT_GROUP,
        WeightEncoding::Int4 | WeightEncoding::Nf4 => OUTPUT_GROUP / 2 * k,
    }
}

multiversion! {
    /// Codes plus one of one group out of `count`.
    pub(crate) fn unpack_ternary(blocks: &[u8], quads: usize, g: usize, count: usize, out: &mut [u8]) {
        let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
        let out = out[..quads * count * QUAD_BYTES].as_chunks_mut::<QUAD_BYTES>().0;
        for (block, out) in blocks.iter().zip(out.chunks_mut(4 * count)) {
            part::<0>(block, out.get_mut(g));
            part::<2>(block, out.get_mut(count + g));
            part::<4>(block, out.get_mut(2 * count + g));
            part::<6>(block, out.get_mut(3 * count + g));
        }
    }
}

/// One of the four codes of every byte.
#[inline(always)]
fn part<const SHIFT: u32>(block: &[u8; BLOCK_BYTES], out: Option<&mut [u8; QUAD_BYTES]>) {
    if let Some(out) = out {
        for (to, from) in out.iter_mut().zip(block) {
            *to = (from >> SHIFT) & 3;
        }
    }
}

multiversion! {
    fn widen_f32(bytes: &[u8], stride: usize, out: &mut [f32]) {
        for (from, to) in bytes.as_chunks::<64>().0.iter().zip(out.chunks_mut(stride)) {
            for (from, to) in from.as_chunks::<4>().0.iter().zip(to) {
                *to = f32::from_le_bytes(*from);
            }
        }
    }
}

multiversion! {
    fn widen_bf16(bytes: &[u8], stride: usize, out: &mut [f32]) {
        for (from, to) in bytes.as_chunks::<32>().0.iter().zip(out.chunks_mut(stride)) {
            for (from, to) in from.as_chunks::<2>().0.iter().zip(to) {
                *to = f32::from_bits(u32::from(u16::from_le_bytes(*from)) << 16);
            }
        }
    }
}

multiversion! {
    fn ternary_floats(bytes: &[u8], range: Range<usize>, values: [f32; 4], stride: usize, out: &mut [f32]) {
        for (column, out) in range.zip(out.chunks_mut(stride)) {
            let block = &bytes[column / BLOCK_K * BLOCK_BYTES..][..BLOCK_BYTES];
            let (byte, shift) = (column % 4, column % BLOCK_K / 4 * 2);
            for (row, to) in out[..OUTPUT_GROUP].iter_mut().enumerate() {
                *to = values[usize::from(block[4 * row + byte] >> shift & 3)];
            }
        }
    }
}

multiversion! {
    fn int8_floats(bytes: &[u8], range: Range<usize>, scales: &[f32; OUTPUT_GROUP], stride: usize, out: &mut [f32]) {
        for (column, out) in range.zip(out.chunks_mut(stride)) {
            let quad = &bytes[column / 4 * QUAD_BYTES..][..QUAD_BYTES];
            for ((row, to), scale) in out[..OUTPUT_GROUP].iter_mut().enumerate().zip(scales) {
                *to = (f32::from(quad[4 * row + column % 4]) - 128.0) * scale;
            }
        }
    }
}

multiversion! {
    fn int4_floats(bytes: &[u8], range: Range<usize>, scales: &[f32], stride: usize, out: &mut [f32]) {
        let scales = scales.as_chunks::<OUTPUT_GROUP>().0;
        for (column, out) in range.zip(out.chunks_mut(stride)) {
            let Some(codes) = bytes[column * (OUTPUT_GROUP / 2)..].first_chunk::<{ OUTPUT_GROUP / 2 }>() else { continue };
            let scales = &scales[column / INT4_GROUP];
            let (low, high) = out[..OUTPUT_GROUP].split_at_mut(OUTPUT_GROUP / 2);
            for j in 0..OUTPUT_GROUP / 2 {
                low[j] = (f32::from(codes[j] & 15) - 8.0) * scales[j];
                high[j] = (f32::from(codes[j] >> 4) - 8.0) * scales[j + OUTPUT_GROUP / 2];
            }
        }
    }
}

/// Scales are looked up again where a block of 64 numbers may begin.
fn nf4_floats(
    bytes: &[u8],
    range: Range<usize>,
    scales: &dyn Fn(usize) -> [f32; OUTPUT_GROUP],
    k: usize,
    stride: usize,
    out: &mut [f32],
) {
    let aligned = k.is_multiple_of(Nf4Blocks::BLOCK);
    let mut known = [0.0; OUTPUT_GROUP];
    for (i, (column, out)) in range.zip(out.chunks_mut(stride)).enumerate() {
        if i == 0 || !aligned || column.is_multiple_of(Nf4Blocks::BLOCK) {
            known = scales(column);
        }
        let codes = &bytes[column * (OUTPUT_GROUP / 2)..][..OUTPUT_GROUP / 2];
        let (low, high) = out[..OUTPUT_GROUP].split_at_mut(OUTPUT_GROUP / 2);
        for j in 0..OUTPUT_GROUP / 2 {
            low[j] = NF4[usize::from(codes[j] & 15)] * known[j];
            high[j] = NF4[usize::from(codes[j] >> 4)] * known[j + OUTPUT_GROUP / 2];
        }
    }
}

impl WeightEncoding {
    /// Name in tables and in packed files.
    pub fn name(self) -> &'static str {
        match self {
            WeightEncoding::F32 => "f32",
            WeightEncoding::Bf16 => "bf16",
            WeightEncoding::Ternary => "ternary 2-bit",
            WeightEncoding::Int8 => "int8",
            WeightEncoding::Int4 => "int4 by 128",
            WeightEncoding::Nf4 => "nf4 by 64",
        }
    }
}
