//! Weights of a linear layer as they lie in memory or in a packed file, and how a panel of them is unpacked for the
//! products. Every encoding keeps the outputs in groups of sixteen, the last one padded with zeros.

use crate::checkpoint::f32_to_bf16;
use crate::kernels::ptq::{NF4, Nf4Blocks, Symmetric};
use crate::kernels::quant::quantise_weights;
use crate::kernels::tiles::{GROUP, QUAD};
use crate::kernels::{BLOCK_BYTES, BLOCK_K, multiversion, pack_codes};
use memmap2::Mmap;
use rayon::prelude::*;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Inputs that share a scale in `int4`.
pub const INT4_GROUP: usize = 128;

/// Bytes in memory, or a part of a mapped file.
#[derive(Debug, Clone)]
pub enum Bytes {
    /// In memory.
    Owned(Arc<[u8]>),
    /// Paged in from a file when touched.
    Mapped(Arc<Mmap>, Range<usize>),
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(map, range) => &map[range.clone()],
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes::Owned(bytes.into())
    }
}

/// How master weights (row-major, outputs x inputs) become [`Weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
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
    encoding: Encoding,
    /// Values or codes, see [`Encoding`] and the functions that unpack them.
    codes: Bytes,
    /// Ternary: the absmean. int8: one per output. int4: `[groups][inputs / 128][16]`. NF4: one per 64 numbers.
    scales: Vec<f32>,
}

/// Rows of a group that exist.
fn rows_of(group: usize, n: usize) -> Range<usize> {
    group * GROUP..n.min((group + 1) * GROUP)
}

/// Codes of every group, made in parallel.
fn groups(n: usize, bytes: usize, make: impl Fn(usize, &mut [u8]) + Sync) -> Vec<u8> {
    let mut all = vec![0u8; n.div_ceil(GROUP) * bytes];
    let parts = all.par_chunks_mut(bytes.max(1)).enumerate();
    parts.for_each(|(group, out)| make(group, out));
    all
}

/// `[groups][k][16]` of something of `SIZE` bytes per weight.
fn panelled<const SIZE: usize>(
    w: &[f32],
    (n, k): (usize, usize),
    code: impl Fn(f32) -> [u8; SIZE] + Sync,
) -> Vec<u8> {
    groups(n, GROUP * k * SIZE, |group, out| {
        for (i, row) in rows_of(group, n).enumerate() {
            let to = out[i * SIZE..].chunks_mut(GROUP * SIZE);
            for (to, w) in to.zip(&w[row * k..][..k]) {
                to[..SIZE].copy_from_slice(&code(*w));
            }
        }
    })
}

/// Two nibbles to a byte, `[groups][k][8]`: byte `j` holds output `j` below and output `j + 8` above.
fn nibbles((n, k): (usize, usize), code: impl Fn(usize, usize) -> u8 + Sync) -> Vec<u8> {
    groups(n, GROUP / 2 * k, |group, out| {
        for row in rows_of(group, n) {
            let (j, shift) = (row % (GROUP / 2), row % GROUP / (GROUP / 2) * 4);
            for (column, to) in out.chunks_exact_mut(GROUP / 2).enumerate() {
                to[j] |= code(row, column) << shift;
            }
        }
    })
}

impl Weights {
    /// Encodes row-major master weights.
    pub fn encode(w: &[f32], n: usize, k: usize, encoding: Encoding) -> Weights {
        assert_eq!(w.len(), n * k, "a {n} x {k} matrix");
        let mut scales = Vec::new();
        let codes = match encoding {
            Encoding::F32 => panelled(w, (n, k), f32::to_le_bytes),
            Encoding::Bf16 => panelled(w, (n, k), |v| f32_to_bf16(v).to_le_bytes()),
            Encoding::Ternary => {
                let ternary = quantise_weights(w);
                scales.push(ternary.absmean);
                groups(n, bytes_of_group(k, encoding), |group, out| {
                    let rows = rows_of(group, n);
                    pack_codes(&ternary.codes[rows.start * k..rows.end * k], k, out);
                })
            }
            Encoding::Int8 => {
                let int8 = Symmetric::int8_rows(w, k);
                scales = int8.scales;
                groups(n, bytes_of_group(k, encoding), |group, out| {
                    out.fill(128);
                    for (i, row) in rows_of(group, n).enumerate() {
                        for (column, code) in int8.codes[row * k..][..k].iter().enumerate() {
                            let at = column / 4 * QUAD + 4 * i + column % 4;
                            out[at] = (i16::from(*code) + 128) as u8;
                        }
                    }
                })
            }
            Encoding::Int4 => {
                let int4 = Symmetric::int4_groups(w, k, INT4_GROUP);
                let per_row = k.div_ceil(INT4_GROUP);
                for group in 0..n.div_ceil(GROUP) {
                    for part in 0..per_row {
                        let rows = group * GROUP..(group + 1) * GROUP;
                        scales.extend(rows.map(|row| match row < n {
                            true => int4.scales[row * per_row + part],
                            false => 0.0,
                        }));
                    }
                }
                nibbles((n, k), |r, c| (int4.codes[r * k + c] + 8) as u8)
            }
            Encoding::Nf4 => {
                let nf4 = Nf4Blocks::new(w);
                let code = |i: usize| (nf4.packed[i / 2] >> (4 * (1 - i % 2))) & 15;
                let codes = nibbles((n, k), |r, c| code(r * k + c));
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
        encoding: Encoding,
        codes: Bytes,
        scales: Vec<f32>,
    ) -> Result<Weights, String> {
        let bytes = n.div_ceil(GROUP) * bytes_of_group(k, encoding);
        let count = Weights::scales_of((n, k), encoding);
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
    pub fn scales_of((n, k): (usize, usize), encoding: Encoding) -> usize {
        match encoding {
            Encoding::F32 | Encoding::Bf16 => 0,
            Encoding::Ternary => 1,
            Encoding::Int8 => n,
            Encoding::Int4 => n.next_multiple_of(GROUP) * k.div_ceil(INT4_GROUP),
            Encoding::Nf4 => (n * k).div_ceil(Nf4Blocks::BLOCK),
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
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }
    /// Groups of sixteen outputs.
    pub fn groups(&self) -> usize {
        self.n.div_ceil(GROUP)
    }
    /// Codes.
    pub fn codes(&self) -> &Bytes {
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
    pub fn zero(&self) -> i32 {
        match self.encoding {
            Encoding::Int8 => 128,
            _ => 1,
        }
    }

    /// Bytes of `count` groups from `first` on, inputs `quads` (of four), `[quads][count][16][4]`.
    pub fn integers(&self, (first, count): (usize, usize), quads: Range<usize>, out: &mut [u8]) {
        for g in 0..count {
            let bytes = self.group(first + g);
            match self.encoding {
                Encoding::Ternary => {
                    debug_assert!(quads.start.is_multiple_of(4));
                    let blocks = &bytes[quads.start / 4 * BLOCK_BYTES..];
                    unpack_ternary(blocks, quads.len(), g, count, out);
                }
                _ => {
                    let from = bytes[quads.start * QUAD..quads.end * QUAD].chunks_exact(QUAD);
                    let to = out.chunks_exact_mut(count * QUAD);
                    for (from, to) in from.zip(to) {
                        to[g * QUAD..][..QUAD].copy_from_slice(from);
                    }
                }
            }
        }
    }

    /// Weights of `count` groups from `first` on, inputs `range`, in f32: `[range][count][16]`.
    pub fn floats(&self, (first, count): (usize, usize), range: Range<usize>, out: &mut [f32]) {
        for g in 0..count {
            let group = first + g;
            let bytes = self.group(group);
            let out = &mut out[g * GROUP..];
            let stride = count * GROUP;
            match self.encoding {
                Encoding::F32 => widen_f32(&bytes[range.start * 64..range.end * 64], stride, out),
                Encoding::Bf16 => widen_bf16(&bytes[range.start * 32..range.end * 32], stride, out),
                Encoding::Ternary => {
                    let inverse = 1.0 / self.scales[0];
                    ternary_floats(
                        bytes,
                        range.clone(),
                        [-1.0 / inverse, 0.0, 1.0 / inverse, 0.0],
                        stride,
                        out,
                    );
                }
                Encoding::Int8 => {
                    int8_floats(bytes, range.clone(), &self.row_scales(group), stride, out)
                }
                Encoding::Int4 => {
                    let per_row = self.k.div_ceil(INT4_GROUP);
                    let scales = &self.scales[group * per_row * GROUP..][..per_row * GROUP];
                    int4_floats(bytes, range.clone(), scales, stride, out);
                }
                Encoding::Nf4 => {
                    let places = |column: usize| {
                        std::array::from_fn(|row| {
                            let at = ((group * GROUP + row) * self.k + column) / Nf4Blocks::BLOCK;
                            self.scales.get(at).copied().unwrap_or(0.0)
                        })
                    };
                    nf4_floats(bytes, range.clone(), &places, self.k, stride, out);
                }
            }
        }
    }

    /// Scales of the outputs of a group, zero for padding.
    pub fn row_scales(&self, group: usize) -> [f32; GROUP] {
        let mut scales = [0.0; GROUP];
        let rows = rows_of(group, self.n);
        match self.encoding {
            Encoding::Int8 => scales[..rows.len()].copy_from_slice(&self.scales[rows]),
            _ => scales[..rows.len()].fill(self.scales.first().copied().unwrap_or(1.0)),
        }
        scales
    }
}

/// Bytes of the codes of one group.
fn bytes_of_group(k: usize, encoding: Encoding) -> usize {
    match encoding {
        Encoding::F32 => GROUP * 4 * k,
        Encoding::Bf16 => GROUP * 2 * k,
        Encoding::Ternary => k.div_ceil(BLOCK_K) * BLOCK_BYTES,
        Encoding::Int8 => k.next_multiple_of(BLOCK_K) * GROUP,
        Encoding::Int4 | Encoding::Nf4 => GROUP / 2 * k,
    }
}

multiversion! {
    /// Codes plus one of one group out of `count`.
    pub(crate) fn unpack_ternary(blocks: &[u8], quads: usize, g: usize, count: usize, out: &mut [u8]) {
        let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
        let out = out[..quads * count * QUAD].as_chunks_mut::<QUAD>().0;
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
fn part<const SHIFT: u32>(block: &[u8; BLOCK_BYTES], out: Option<&mut [u8; QUAD]>) {
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
            for (row, to) in out[..GROUP].iter_mut().enumerate() {
                *to = values[usize::from(block[4 * row + byte] >> shift & 3)];
            }
        }
    }
}

multiversion! {
    fn int8_floats(bytes: &[u8], range: Range<usize>, scales: &[f32; GROUP], stride: usize, out: &mut [f32]) {
        for (column, out) in range.zip(out.chunks_mut(stride)) {
            let quad = &bytes[column / 4 * QUAD..][..QUAD];
            for ((row, to), scale) in out[..GROUP].iter_mut().enumerate().zip(scales) {
                *to = (f32::from(quad[4 * row + column % 4]) - 128.0) * scale;
            }
        }
    }
}

multiversion! {
    fn int4_floats(bytes: &[u8], range: Range<usize>, scales: &[f32], stride: usize, out: &mut [f32]) {
        let scales = scales.as_chunks::<GROUP>().0;
        for (column, out) in range.zip(out.chunks_mut(stride)) {
            let Some(codes) = bytes[column * (GROUP / 2)..].first_chunk::<{ GROUP / 2 }>() else { continue };
            let scales = &scales[column / INT4_GROUP];
            let (low, high) = out[..GROUP].split_at_mut(GROUP / 2);
            for j in 0..GROUP / 2 {
                low[j] = (f32::from(codes[j] & 15) - 8.0) * scales[j];
                high[j] = (f32::from(codes[j] >> 4) - 8.0) * scales[j + GROUP / 2];
            }
        }
    }
}

/// Scales are looked up again where a block of 64 numbers may begin.
fn nf4_floats(
    bytes: &[u8],
    range: Range<usize>,
    scales: &dyn Fn(usize) -> [f32; GROUP],
    k: usize,
    stride: usize,
    out: &mut [f32],
) {
    let aligned = k.is_multiple_of(Nf4Blocks::BLOCK);
    let mut known = [0.0; GROUP];
    for (i, (column, out)) in range.zip(out.chunks_mut(stride)).enumerate() {
        if i == 0 || !aligned || column.is_multiple_of(Nf4Blocks::BLOCK) {
            known = scales(column);
        }
        let codes = &bytes[column * (GROUP / 2)..][..GROUP / 2];
        let (low, high) = out[..GROUP].split_at_mut(GROUP / 2);
        for j in 0..GROUP / 2 {
            low[j] = NF4[usize::from(codes[j] & 15)] * known[j];
            high[j] = NF4[usize::from(codes[j] >> 4)] * known[j + GROUP / 2];
        }
    }
}

impl Encoding {
    /// Name in tables and in packed files.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::F32 => "f32",
            Encoding::Bf16 => "bf16",
            Encoding::Ternary => "ternary 2-bit",
            Encoding::Int8 => "int8",
            Encoding::Int4 => "int4 by 128",
            Encoding::Nf4 => "nf4 by 64",
        }
    }
}
