//! Number of operations of a query, and the time that they would take at the peak throughput of the processor.

use bitvla_policies::VlaNetwork;
use bitvla_policies::kernels::peak::PeakThroughput;
use bitvla_reports::{MemoryReport, QueryOperations};

/// Multiplications and additions of one query.
pub(crate) struct Operations {
    /// Of linear layers, in bytes.
    pub(crate) bytes: f64,
    /// Those of `bytes` whose weights are ternary.
    ternary: f64,
    /// Of linear layers, in f32.
    pub(crate) floats: f64,
    /// Of attention, in f32.
    attention: f64,
}

/// Operations of one query by what they take, and the bytes of weights that it reads; every operation above is a product or its
/// addition.
pub(crate) fn query_operations(
    network: &dyn VlaNetwork,
    tokens: usize,
    memory: &MemoryReport,
) -> QueryOperations {
    let o = operations(network, tokens);
    // Rows of the token embedding are read one by one.
    let read = (memory.weights.iter()).filter(|row| row.class != "token embedding");
    QueryOperations {
        ternary: 0.5 * o.ternary,
        int8: 0.5 * (o.bytes - o.ternary),
        f32: 0.5 * (o.floats + o.attention),
        weight_bytes: read.map(|row| row.bytes).sum(),
    }
}

/// Counts the operations of a query of so many tokens.
pub(crate) fn operations(network: &dyn VlaNetwork, tokens: usize) -> Operations {
    let a = network.architecture();
    let images = a.num_images;
    let (mut bytes, mut ternary, mut floats) = (0f64, 0f64, 0f64);
    for linear in network.linears() {
        let rows = match linear.class {
            "language linears" => tokens,
            "connector" => a.patches(),
            "action head" => a.action_chunk,
            "proprio projector" => 1,
            // Patch embedding and towers.
            _ => {
                let prefix = a.towers.iter().find(|t| linear.name.starts_with(&t.root));
                a.patches() + images * prefix.map_or(0, |t| t.prefix_tokens)
            }
        };
        let ops = 2.0 * rows as f64 * linear.inputs as f64 * linear.outputs as f64;
        match linear.integer {
            true => {
                bytes += ops;
                ternary += if linear.ternary { ops } else { 0.0 };
            }
            false => floats += ops,
        }
    }
    // Scores and mixing: 2 * 2 * rows * keys * width.
    let mut attention = (4 * tokens * tokens * a.language.hidden_size * a.language.layers) as f64;
    for tower in &a.towers {
        let rows = tower.prefix_tokens + tower.patches();
        attention += (4 * images * rows * rows * tower.hidden_size * tower.layers) as f64;
    }
    Operations {
        bytes,
        ternary,
        floats,
        attention,
    }
}

/// Time of the products of a query at the measured peak, ms.
pub(crate) fn floor_ms(network: &dyn VlaNetwork, tokens: usize, peak: PeakThroughput) -> f64 {
    let o = operations(network, tokens);
    1e-6 * (o.bytes / peak.int8_gops + (o.floats + o.attention) / peak.f32_gflops)
}
