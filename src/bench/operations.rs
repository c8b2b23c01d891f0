//! Number of operations of a query, and the time that they would take at the peak throughput of the processor.

use bitvla_policies::VlaNetwork;
use bitvla_policies::kernels::peak::PeakThroughput;

/// Multiplications and additions of one query.
pub(super) struct Operations {
    /// Of linear layers, in bytes.
    pub(super) bytes: f64,
    /// Of linear layers, in f32.
    pub(super) floats: f64,
    /// Of attention, in f32.
    attention: f64,
}

/// Counts the operations of a query of so many tokens.
pub(super) fn operations(network: &dyn VlaNetwork, tokens: usize) -> Operations {
    let a = network.architecture();
    let images = a.num_images;
    let (mut bytes, mut floats) = (0f64, 0f64);
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
            true => bytes += ops,
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
        floats,
        attention,
    }
}

/// Time of the products of a query at the measured peak, ms.
pub(super) fn floor_ms(network: &dyn VlaNetwork, tokens: usize, peak: PeakThroughput) -> f64 {
    let o = operations(network, tokens);
    1e-6 * (o.bytes / peak.int8_gops + (o.floats + o.attention) / peak.f32_gflops)
}
