//! Scaled dot-product attention, `softmax(q k^T / sqrt(head_dim)) v`, with grouped keys and values. Keys and values are
//! packed once for the products; then blocks of queries are distributed over the threads, and the scores of a block stay
//! in the cache.

use crate::kernels::Isa;
use crate::kernels::aligned::AlignedBuffer;
use crate::kernels::gemm::f32_panel;
use crate::kernels::panel::{F32Panel, OUTPUT_GROUP, panels};
use crate::ops::{RotaryEmbedding, scale_into, softmax_numerators};
use crate::partition::{OutputBlock, partition_matrix, partition_range};
use crate::profile;
use crate::threads::Threads;
use std::cell::RefCell;

/// Heads and mask of an attention.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape {
    /// Number of query heads.
    pub query_heads: usize,
    /// Number of key and value heads; query head `h` uses `h / (query_heads / key_value_heads)`.
    pub key_value_heads: usize,
    /// Length of a row of one head.
    pub head_dim: usize,
    /// True if a row attends only to itself and the rows before it.
    pub causal: bool,
}

/// Queries, keys and values: rows of concatenated heads. Queries may be a part of the sequence: consecutive rows from
/// `first` on.
#[derive(Debug, Clone, Copy)]
pub struct AttentionInputs<'a> {
    /// Queries `[rows, query_heads * head_dim]`.
    pub q: &'a [f32],
    /// Position of the first query.
    pub first: usize,
    /// Keys `[tokens, key_value_heads * head_dim]`.
    pub k: &'a [f32],
    /// Values `[tokens, key_value_heads * head_dim]`.
    pub v: &'a [f32],
    /// Rotary embedding of queries and keys.
    pub rope: Option<&'a RotaryEmbedding>,
}

/// Keys and values in the layout of the products, reused from layer to layer.
#[derive(Debug, Default)]
pub struct PackedKeyValues {
    /// `[key_value_heads][panel][head_dim][keys of the panel]`.
    keys: AlignedBuffer<f32>,
    /// `[key_value_heads][panel][token][head columns of the panel]`.
    values: AlignedBuffer<f32>,
}

impl PackedKeyValues {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.keys.bytes() + self.values.bytes()
    }
}

/// Scratch of one thread for one head and [`TILE_QUERIES`] queries.
#[derive(Default)]
struct HeadScratch {
    q: AlignedBuffer<f32>,
    scores: AlignedBuffer<f32>,
    sums: AlignedBuffer<f32>,
}

thread_local! {
    static SCRATCH: RefCell<HeadScratch> = RefCell::new(HeadScratch::default());
}

/// Largest number of queries that share keys and values of a head in the cache.
const MAX_BLOCK_QUERIES: usize = 384;
/// Queries of a tile: their scores take 60 KiB for 640 keys.
const TILE_QUERIES: usize = 24;
/// Keys whose values are summed at a time.
const VALUE_DEPTH: usize = 640;

/// Bytes of scratch that a thread holds after a sequence of `tokens`.
pub(crate) fn scratch_bytes(tokens: usize, head_dim: usize) -> usize {
    4 * TILE_QUERIES
        * (tokens.next_multiple_of(OUTPUT_GROUP)
            + head_dim
            + head_dim.next_multiple_of(OUTPUT_GROUP))
}

/// Writes the weighted sums of the values, `[rows, query_heads * head_dim]`.
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
    let tokens = s.k.len() / (heads.key_value_heads * heads.head_dim);
    if rows == 0 || tokens == 0 {
        return;
    }
    pack_key_values(threads, packed, s, heads, tokens);
    let padded_tokens = tokens.next_multiple_of(OUTPUT_GROUP);
    let padded_dim = heads.head_dim.next_multiple_of(OUTPUT_GROUP);
    let keys = packed
        .keys
        .view(heads.key_value_heads * heads.head_dim * padded_tokens);
    let values = packed
        .values
        .view(heads.key_value_heads * tokens * padded_dim);
    // Keys and values of one head stay in the cache for all queries of a block.
    let group = heads.query_heads / heads.key_value_heads;
    let head_parts = partition_range(
        threads,
        heads.key_value_heads,
        rows.div_ceil(MAX_BLOCK_QUERIES),
    );
    let widths: Vec<usize> = head_parts
        .iter()
        .map(|kv| kv.len() * group * heads.head_dim)
        .collect();
    threads.for_each(
        partition_matrix(out, &widths, (6, MAX_BLOCK_QUERIES)).into_iter(),
        |mut block: OutputBlock<'_>| {
            SCRATCH.with_borrow_mut(|scratch| {
                for kv in head_parts[block.part].clone() {
                    let keys = &keys[kv * heads.head_dim * padded_tokens..]
                        [..heads.head_dim * padded_tokens];
                    let values = &values[kv * tokens * padded_dim..][..tokens * padded_dim];
                    for head in kv * group..(kv + 1) * group {
                        let column = (head - head_parts[block.part].start * group) * heads.head_dim;
                        for (j, rows) in block.rows.chunks_mut(TILE_QUERIES).enumerate() {
                            let at = (head, block.first + j * TILE_QUERIES, column);
                            attend_head(scratch, s, heads, at, (keys, values), rows);
                        }
                    }
                }
            });
        },
    );
}

/// Attention of one head for some queries, the first of which is `first`, into the rows from `column` on.
fn attend_head(
    scratch: &mut HeadScratch,
    s: AttentionInputs<'_>,
    heads: AttentionShape,
    (head, first, column): (usize, usize, usize),
    (keys, values): (&[f32], &[f32]),
    out: &mut [&mut [f32]],
) {
    let (isa, width) = (Isa::active(), heads.head_dim);
    let row = heads.query_heads * width;
    let padded_tokens = keys.len() / width;
    let padded_dim = width.next_multiple_of(OUTPUT_GROUP);
    let tokens = values.len() / padded_dim;
    let rows = out.len();
    let queries = first..first + rows;
    // Scores are scaled through the queries, and the sum of the exponentials into the weighted sums.
    let scale = 1.0 / (width as f32).sqrt();
    let q = scratch.q.get(rows * width);
    for (i, to) in queries.clone().zip(q.chunks_exact_mut(width)) {
        scale_into(&s.q[i * row + head * width..][..width], scale, to);
        if let Some(rope) = s.rope {
            rope.rotate(to, s.first + i);
        }
    }
    let scores = scratch.scores.get(rows * padded_tokens);
    for (first, groups) in panels(padded_tokens / OUTPUT_GROUP) {
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
        f32_panel(
            isa,
            &tile,
            &mut scores[first * OUTPUT_GROUP..],
            padded_tokens,
        );
    }
    let mut inverse = [0f32; TILE_QUERIES];
    for ((i, scores), inverse) in queries
        .zip(scores.chunks_exact_mut(padded_tokens))
        .zip(&mut inverse)
    {
        let visible = if heads.causal {
            s.first + i + 1
        } else {
            tokens
        };
        let (visible, hidden) = scores.split_at_mut(visible);
        *inverse = softmax_numerators(visible);
        hidden.fill(0.0);
    }
    let sums = scratch.sums.get(rows * padded_dim);
    for start in (0..tokens).step_by(VALUE_DEPTH) {
        for (first, groups) in panels(padded_dim / OUTPUT_GROUP) {
            let tile = F32Panel {
                rows,
                k: VALUE_DEPTH.min(tokens - start),
                a: &scores[start..],
                lda: padded_tokens,
                b: &values[first * OUTPUT_GROUP * tokens + start * groups * OUTPUT_GROUP..],
                ldb: groups * OUTPUT_GROUP,
                groups,
                overwrite: start == 0,
            };
            f32_panel(isa, &tile, &mut sums[first * OUTPUT_GROUP..], padded_dim);
        }
    }
    for ((from, to), inverse) in sums.chunks_exact(padded_dim).zip(out).zip(inverse) {
        scale_into(&from[..width], inverse, &mut to[column..][..width]);
    }
}

/// Rotates the keys and transposes them into panels; gathers the values of every head.
fn pack_key_values(
    threads: &Threads,
    packed: &mut PackedKeyValues,
    s: AttentionInputs<'_>,
    heads: AttentionShape,
    tokens: usize,
) {
    let width = heads.head_dim;
    let row = heads.key_value_heads * width;
    let padded_tokens = tokens.next_multiple_of(OUTPUT_GROUP);
    let padded_dim = width.next_multiple_of(OUTPUT_GROUP);
    let mut rest = packed
        .keys
        .get(heads.key_value_heads * width * padded_tokens);
    let mut items = Vec::new();
    for head in 0..heads.key_value_heads {
        for (first, groups) in panels(padded_tokens / OUTPUT_GROUP) {
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
                Some(from) if first + j < tokens => {
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
    let values = packed
        .values
        .get(heads.key_value_heads * tokens * padded_dim);
    threads.for_each(
        values.chunks_mut(tokens * padded_dim).enumerate(),
        |(head, out)| {
            for (first, groups) in panels(padded_dim / OUTPUT_GROUP) {
                let columns = first * OUTPUT_GROUP..width.min((first + groups) * OUTPUT_GROUP);
                let panel =
                    &mut out[first * OUTPUT_GROUP * tokens..][..groups * OUTPUT_GROUP * tokens];
                for (j, out) in panel.chunks_exact_mut(groups * OUTPUT_GROUP).enumerate() {
                    let (to, padding) = out.split_at_mut(columns.len());
                    to.copy_from_slice(&s.v[j * row + head * width..][columns.clone()]);
                    padding.fill(0.0);
                }
            }
        },
    );
}
