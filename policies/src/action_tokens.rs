//! Discretised actions, the output of the autoregressive policy and the labels of fine-tuning (`docs/reference/bitvla.md`,
//! section 2): the range [-1, 1] is divided by `bins` evenly spaced edges; the last ids of the vocabulary
//! are the bins, counted backwards.

/// Mapping between actions and token ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionTokens {
    /// Rows of the vocabulary, action tokens included.
    pub vocabulary: u32,
    /// Edges of the bins: 252 in the first published fine-tunes, 256 in the second generation.
    pub bins: u32,
}

impl ActionTokens {
    fn edge(self, i: u32) -> f64 {
        -1.0 + 2.0 * f64::from(i) / f64::from(self.bins - 1)
    }

    /// Id of a normalised action component, which is clipped to [-1, 1].
    pub fn encode(self, value: f64) -> u32 {
        let value = value.clamp(-1.0, 1.0);
        // The number of edges that are not above the value.
        let below = (0..self.bins).filter(|&i| self.edge(i) <= value).count() as u32;
        self.vocabulary - below
    }

    /// Centre of the bin of an id; ids outside the action tokens count as the nearest one.
    pub fn decode(self, id: u32) -> f64 {
        let bin = self
            .vocabulary
            .saturating_sub(id)
            .saturating_sub(1)
            .min(self.bins - 2);
        0.5 * (self.edge(bin) + self.edge(bin + 1))
    }
}
