//! `softmax(q k^T / sqrt(width)) v` with grouped keys and values. Keys and values are packed once for the products;
//! then blocks of queries are shared out, and the scores of a block never leave the cache.

use crate::kernels::Isa;
use crate::kernels::panel::{AlignedBuffer, F32Panel, OUTPUT_GROUP, float, panels};
use crate::ops::{RotaryEmbedding, scale_into, softmax_numerators};
use crate::partition::{OutputBlock, partition_matrix, partition_range};
use crate::profile;
use crate::threads::Threads;
use std::cell::RefCell;

/// Shape of an attention.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape {
    /// Query heads.
    pub query_heads: usize,
    /// Key and value heads; query head h uses `h / (query / key_value)`.
    pub key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Whether a row only sees itself and what is before it.
    pub causal: bool,
}

/// Queries, keys and values: rows of concatenated heads. Queries may be consecutive rows of the sequence, from `first` on.
#[derive(Debug, Clone, Copy)]
pub struct AttentionInputs<'a> {
    /// Queries.
    pub q: &'a [f32],
    /// Position of the first query.
    pub first: usize,
    /// Keys.
    pub k: &'a [f32],
    /// Values.
    pub v: &'a [f32],
    /// Rotates queries and keys by their positions.
    pub rope: Option<&'a RotaryEmbedding>,
}

/// Keys and values as the products want them, reused.
#[derive(Debug, Default)]
pub struct PackedKeyValues {
    /// `[head][panel][width][keys of the panel]`.
    keys: AlignedBuffer<f32>,
    /// `[head][panel][key][widths of the panel]`.
    values: AlignedBuffer<f32>,
}

impl PackedKeyValues {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.keys.bytes() + self.values.bytes()
    }
}

#[derive(Default)]
struct HeadScratch {
    q: AlignedBuffer<f32>,
    scores: AlignedBuffer<f32>,
    mixed: AlignedBuffer<f32>,
}

thread_local! {
    static SCRATCH: RefCell<HeadScratch> = RefCell::new(HeadScratch::default());
}

/// Queries that share keys and values of a head in the cache, at most.
const MOST_ROWS: usize = 384;
/// Queries at a time: their scores take 120 KiB for 640 keys.
const QUERIES: usize = 24;
/// Keys whose values are mixed at a time.
const DEPTH: usize = 640;

/// Bytes of scratch that a thread holds after a sequence of `tokens`.
pub fn scratch_bytes(tokens: usize, width: usize) -> usize {
    4 * QUERIES
        * (tokens.next_multiple_of(OUTPUT_GROUP) + width + width.next_multiple_of(OUTPUT_GROUP))
}

/// Writes rows of mixed values, as many and as wide as the queries.
pub fn attention(
    threads: &Threads,
    packed: &mut PackedKeyValues,
    s: AttentionInputs<'_>,
    heads: AttentionShape,
    out: &mut [f32],
) {
    let _span = profile::start(profile::WorkKind::Attention);
    let row = heads.query_heads * heads.head_dim;
    let rows = s.q.len() / row;
    let seen = s.k.len() / (heads.key_value_heads * heads.head_dim);
    if rows == 0 || seen == 0 {
        return;
    }
    pack(threads, packed, s, heads, seen);
    let lanes = seen.next_multiple_of(OUTPUT_GROUP);
    let deep = heads.head_dim.next_multiple_of(OUTPUT_GROUP);
    let keys = packed
        .keys
        .view(heads.key_value_heads * heads.head_dim * lanes);
    let values = packed.values.view(heads.key_value_heads * seen * deep);
    // Keys and values of one head stay in the cache for all queries of a block.
    let group = heads.query_heads / heads.key_value_heads;
    let cut = partition_range(threads, heads.key_value_heads, rows.div_ceil(MOST_ROWS));
    let widths: Vec<usize> = cut
        .iter()
        .map(|kv| kv.len() * group * heads.head_dim)
        .collect();
    threads.for_each(
        partition_matrix(out, &widths, (6, MOST_ROWS)).into_iter(),
        |block| {
            let OutputBlock {
                first,
                part,
                mut rows,
            } = block;
            SCRATCH.with_borrow_mut(|scratch| {
                for kv in cut[part].clone() {
                    let keys = &keys[kv * heads.head_dim * lanes..][..heads.head_dim * lanes];
                    let values = &values[kv * seen * deep..][..seen * deep];
                    for head in kv * group..(kv + 1) * group {
                        let column = (head - cut[part].start * group) * heads.head_dim;
                        for (j, rows) in rows.chunks_mut(QUERIES).enumerate() {
                            let at = (head, first + j * QUERIES, column);
                            one_head(scratch, s, heads, at, (keys, values), rows);
                        }
                    }
                }
            });
        },
    );
}

/// One head of some queries, the first of which is `first`, into the rows from `column` on.
fn one_head(
    scratch: &mut HeadScratch,
    s: AttentionInputs<'_>,
    heads: AttentionShape,
    (head, first, column): (usize, usize, usize),
    (keys, values): (&[f32], &[f32]),
    out: &mut [&mut [f32]],
) {
    let (isa, width) = (Isa::active(), heads.head_dim);
    let row = heads.query_heads * width;
    let lanes = keys.len() / width;
    let deep = width.next_multiple_of(OUTPUT_GROUP);
    let seen = values.len() / deep;
    let rows = out.len();
    let queries = first..first + rows;
    // Scores are scaled through the queries, and the sum of the exponentials goes into what is mixed.
    let scale = 1.0 / (width as f32).sqrt();
    let q = scratch.q.get(rows * width);
    for (i, to) in queries.clone().zip(q.chunks_exact_mut(width)) {
        scale_into(&s.q[i * row + head * width..][..width], scale, to);
        if let Some(rope) = s.rope {
            rope.rotate(to, s.first + i);
        }
    }
    let scores = scratch.scores.get(rows * lanes);
    for (first, groups) in panels(lanes / OUTPUT_GROUP) {
        let tile = F32Panel {
            rows,
            k: width,
            a: q,
            lda: width,
            b: &keys[first * OUTPUT_GROUP * width..],
            ldb: groups * OUTPUT_GROUP,
            groups,
            overwrite: true,
        };
        float(isa, &tile, &mut scores[first * OUTPUT_GROUP..], lanes);
    }
    let mut inverse = [0f32; QUERIES];
    for ((i, scores), inverse) in queries
        .zip(scores.chunks_exact_mut(lanes))
        .zip(&mut inverse)
    {
        let visible = if heads.causal { s.first + i + 1 } else { seen };
        let (visible, hidden) = scores.split_at_mut(visible);
        *inverse = softmax_numerators(visible);
        hidden.fill(0.0);
    }
    let mixed = scratch.mixed.get(rows * deep);
    for start in (0..seen).step_by(DEPTH) {
        for (first, groups) in panels(deep / OUTPUT_GROUP) {
            let tile = F32Panel {
                rows,
                k: DEPTH.min(seen - start),
                a: &scores[start..],
                lda: lanes,
                b: &values[first * OUTPUT_GROUP * seen + start * groups * OUTPUT_GROUP..],
                ldb: groups * OUTPUT_GROUP,
                groups,
                overwrite: start == 0,
            };
            float(isa, &tile, &mut mixed[first * OUTPUT_GROUP..], deep);
        }
    }
    for ((from, to), inverse) in mixed.chunks_exact(deep).zip(out).zip(inverse) {
        scale_into(&from[..width], inverse, &mut to[column..][..width]);
    }
}

/// Transposes the keys, rotated, into panels and lays the values of a head together.
fn pack(
    threads: &Threads,
    packed: &mut PackedKeyValues,
    s: AttentionInputs<'_>,
    heads: AttentionShape,
    seen: usize,
) {
    let width = heads.head_dim;
    let row = heads.key_value_heads * width;
    let lanes = seen.next_multiple_of(OUTPUT_GROUP);
    let deep = width.next_multiple_of(OUTPUT_GROUP);
    let mut rest = packed.keys.get(heads.key_value_heads * width * lanes);
    let mut items = Vec::new();
    for head in 0..heads.key_value_heads {
        for (first, groups) in panels(lanes / OUTPUT_GROUP) {
            let (panel, other) = rest.split_at_mut(groups * OUTPUT_GROUP * width);
            items.push((head, first * OUTPUT_GROUP, panel));
            rest = other;
        }
    }
    threads.for_each(items.into_iter(), |(head, first, panel)| {
        let count = panel.len() / width;
        let mut key = vec![0f32; width];
        for j in 0..count {
            match s.k.get((first + j) * row + head * width..) {
                Some(from) if first + j < seen => {
                    key.copy_from_slice(&from[..width]);
                    if let Some(rope) = s.rope {
                        rope.rotate(&mut key, first + j);
                    }
                }
                _ => key.fill(0.0),
            }
            for (to, from) in panel[j..].iter_mut().step_by(count).zip(&key) {
                *to = *from;
            }
        }
    });
    let values = packed.values.get(heads.key_value_heads * seen * deep);
    threads.for_each(values.chunks_mut(seen * deep).enumerate(), |(head, out)| {
        for (first, groups) in panels(deep / OUTPUT_GROUP) {
            let columns = first * OUTPUT_GROUP..width.min((first + groups) * OUTPUT_GROUP);
            let panel = &mut out[first * OUTPUT_GROUP * seen..][..groups * OUTPUT_GROUP * seen];
            for (j, out) in panel.chunks_exact_mut(groups * OUTPUT_GROUP).enumerate() {
                let (to, padding) = out.split_at_mut(columns.len());
                to.copy_from_slice(&s.v[j * row + head * width..][columns.clone()]);
                padding.fill(0.0);
            }
        }
    });
}
