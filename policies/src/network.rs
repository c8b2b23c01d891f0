//! Seam between the policy and an engine: anything that turns prompt tokens, images and a state into normalised
//! actions. [`crate::BitVla`] is the engine of this crate.

use crate::{
    Architecture, MemoryLedger, NetworkInput, PhaseTimes, PolicyError, ScratchBuffers, Trace,
};

/// Size of a linear layer, for counting operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinearShape {
    /// Class of tensors, as in the memory ledger.
    pub class: &'static str,
    /// Name in the checkpoint, without `.weight`.
    pub name: String,
    /// Width of an output row.
    pub outputs: usize,
    /// Width of an input row.
    pub inputs: usize,
    /// True if it multiplies bytes, false if f32.
    pub integer: bool,
    /// True if its weights are -1, 0 or 1 times a scale.
    pub ternary: bool,
}

/// A vision-language-action network with parallel decoding.
pub trait VlaNetwork: Send + Sync {
    /// Sizes.
    fn architecture(&self) -> &Architecture;
    /// Arithmetic of the products, see [`crate::WeightFormat::arithmetic`].
    fn arithmetic(&self) -> String;
    /// All linear layers.
    fn linears(&self) -> Vec<LinearShape>;
    /// Normalised actions (`action_chunk` x `action_dim`). Times of vision, language and head are added to `times`; named
    /// intermediate values go to `trace`.
    ///
    /// # Errors
    /// Fails if the numbers of image tokens, images or state values do not fit, or there is no head.
    fn forward(
        &self,
        scratch: &mut ScratchBuffers,
        prompt: NetworkInput<'_>,
        times: &mut PhaseTimes,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<f32>, PolicyError>;
    /// Memory of the weights, and of the activations of the queries that were answered with `scratch`.
    fn ledger(&self, scratch: &ScratchBuffers) -> MemoryLedger;
}

/// Writes the input rows of the language model, `x` `[tokens + placeholders + 1, hidden_size]`: text embeddings by `embed`, image
/// features `[patches of all images, hidden_size]` and the projected proprioception `[hidden_size]` at their tokens, zeros at the action
/// placeholders, and the stop token (`docs/reference/bitvla.md`, section 1.6). [`check`] has accepted the prompt.
///
/// # Errors
/// As `embed`.
pub(crate) fn assemble_inputs(
    prompt: NetworkInput<'_>,
    a: &Architecture,
    features: &[f32],
    proprio: &[f32],
    x: &mut [f32],
    mut embed: impl FnMut(u32, &mut [f32]) -> Result<(), PolicyError>,
) -> Result<(), PolicyError> {
    let width = a.language.hidden_size;
    let mut features = features.chunks_exact(width);
    for (token, row) in prompt.tokens.iter().zip(x.chunks_exact_mut(width)) {
        if *token == a.image_token {
            // `check` has counted as many image tokens as there are features.
            row.copy_from_slice(features.next().unwrap_or_default());
        } else if *token == a.proprio_token && a.proprio_dim > 0 {
            row.copy_from_slice(proprio);
        } else {
            embed(*token, row)?;
        }
    }
    let (placeholders, stop) =
        x[prompt.tokens.len() * width..].split_at_mut(a.placeholders() * width);
    placeholders.fill(0.0);
    embed(a.stop_token, stop)
}

/// Checks that a prompt fits a network with or without a proprioception projector.
///
/// # Errors
/// Fails if the numbers of image tokens, images, pixels or state values do not fit, a token is outside the vocabulary, or the
/// sequence is too long.
pub(crate) fn check(
    prompt: NetworkInput<'_>,
    a: &Architecture,
    has_projector: bool,
) -> Result<(), PolicyError> {
    let patches = prompt.images.len() * a.towers.first().map_or(0, |tower| tower.patches());
    let pixels = 3 * a.image_size() * a.image_size();
    let (states, size) = match prompt.proprio.is_empty() {
        true => (0, 0),
        false => (1, a.proprio_dim),
    };
    check_tokens(prompt.tokens, a, (patches, states)).or_else(fail)?;
    if states == 1 && !has_projector {
        return fail("a base checkpoint: it has no proprioception projector".into());
    }
    if let Some(image) = prompt.images.iter().find(|image| image.len() != pixels) {
        let what = format!("image of {} values, expected {pixels}", image.len());
        return fail(what);
    }
    match prompt.proprio.len() {
        found if found != size => fail(format!("state of {found} values, expected {size}")),
        _ => Ok(()),
    }
}

fn fail(what: String) -> Result<(), PolicyError> {
    Err(PolicyError::Query {
        policy: "bitvla".into(),
        what,
    })
}

/// Checks the tokens of a prompt that stands for `patches` image features and `states` (0 or 1) proprioceptions.
///
/// # Errors
/// If the numbers of image and proprioception tokens do not fit, a token is outside the vocabulary, or the sequence is too
/// long.
pub(crate) fn check_tokens(
    tokens: &[u32],
    a: &Architecture,
    (patches, states): (usize, usize),
) -> Result<(), String> {
    let count = |token: u32| tokens.iter().filter(|&&t| t == token).count();
    if tokens.is_empty() {
        return Err("empty prompt".into());
    }
    let images = count(a.image_token);
    if images != patches {
        return Err(format!(
            "{images} image tokens for {patches} image features"
        ));
    }
    // Without proprioception the token that would stand for it is one like all others.
    let found = if a.proprio_dim == 0 {
        0
    } else {
        count(a.proprio_token)
    };
    if found != states {
        return Err(format!("{found} proprioception tokens, expected {states}"));
    }
    let (total, most) = (
        tokens.len() + a.placeholders() + 1,
        a.language.max_positions,
    );
    if total > most {
        return Err(format!("{total} tokens, at most {most}"));
    }
    let mut ids = tokens.iter().chain([&a.stop_token]);
    let vocabulary = a.language.vocab_size;
    match ids.find(|&&t| t as usize >= vocabulary) {
        Some(token) => Err(format!(
            "token {token} outside the vocabulary of {vocabulary}"
        )),
        None => Ok(()),
    }
}
