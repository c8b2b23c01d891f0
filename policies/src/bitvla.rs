//! The whole network and its parallel decoding, fact sheet of BitVLA, section 1.6.

use crate::connector::Connector;
use crate::head::ActionHead;
use crate::language::Language;
use crate::proprio::Proprio;
use crate::vision::Vision;
use crate::{Attention, Checkpoint, Config, MemoryLedger, PhaseTimes, PolicyError};
use std::time::Instant;

/// What weights the quantisable linear layers use. The rest of the network is the same code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightFormat {
    /// Packed ternary weights and integer arithmetic, as far as the config says so.
    Ternary,
    /// Dense f32.
    Full,
    /// The weights of a full-precision checkpoint rounded to ternary, vision tower and language model, with no
    /// training: what quantising without training costs.
    PtqTernary,
}

/// Sees named intermediate values.
pub type Trace<'a> = dyn FnMut(&str, &[f32]) + 'a;

/// Vision tower, connector, language model, proprioception projector and action head.
pub struct BitVla {
    config: Config,
    vision: Vision,
    connector: Connector,
    language: Language,
    proprio: Proprio,
    head: ActionHead,
}

impl BitVla {
    /// Builds the network from a checkpoint.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn new(checkpoint: &Checkpoint, format: WeightFormat) -> Result<BitVla, PolicyError> {
        Ok(BitVla {
            config: checkpoint.config().clone(),
            vision: Vision::load(checkpoint, format)?,
            connector: Connector::load(checkpoint)?,
            language: Language::load(checkpoint, format)?,
            proprio: Proprio::load(checkpoint)?,
            head: ActionHead::load(checkpoint)?,
        })
    }

    /// Sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Switches the mask of the language model.
    pub fn set_attention(&mut self, attention: Attention) {
        self.config.attention = attention;
    }

    /// Normalised actions (chunk x 7) from prompt tokens, normalised images (each 3 x side x side) and the normalised
    /// state. Times of vision, language and head are added to `times`.
    ///
    /// # Errors
    /// When the numbers of image tokens, images or state values do not fit the config.
    pub fn forward(
        &self,
        prompt: &[u32],
        images: &[Vec<f32>],
        proprio: &[f32],
        times: &mut PhaseTimes,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<f32>, PolicyError> {
        self.check(prompt, images, proprio)?;
        let c = &self.config;
        let width = c.text_config.hidden_size;
        let start = Instant::now();
        let mut features = Vec::new();
        for image in images {
            features.extend(self.connector.forward(&self.vision.forward(image, trace)));
        }
        trace("vision.projected", &features);
        let seen = Instant::now();
        let state = self.proprio.forward(proprio);
        let tokens = prompt.len() + c.placeholders() + 1;
        let mut x = vec![0f32; tokens * width];
        let mut features = features.chunks_exact(width);
        for (token, row) in prompt.iter().zip(x.chunks_exact_mut(width)) {
            if *token == c.image_token_index {
                row.copy_from_slice(features.next().unwrap_or_default());
            } else if *token == c.proprio_token() {
                row.copy_from_slice(&state);
            } else {
                self.language.embed(*token, row);
            }
        }
        self.language
            .embed(c.stop_token(), &mut x[(tokens - 1) * width..]);
        trace("lm.inputs_embeds", &x);
        // The mask is shifted by one: the last prompt token stands for the first placeholder.
        let wanted = prompt.len() - 1..prompt.len() - 1 + c.placeholders();
        let states = self.language.forward(x, wanted, c.attention, trace);
        trace("action.hidden_states", &states);
        let spoken = Instant::now();
        let actions = self.head.forward(&states);
        trace("action.normalized", &actions);
        times.vision += seen - start;
        times.language += spoken - seen;
        times.head += spoken.elapsed();
        Ok(actions)
    }

    fn check(
        &self,
        prompt: &[u32],
        images: &[Vec<f32>],
        proprio: &[f32],
    ) -> Result<(), PolicyError> {
        let c = &self.config;
        let fail = |what: String| {
            Err(PolicyError::Query {
                policy: "bitvla".into(),
                what,
            })
        };
        let count = |token: u32| prompt.iter().filter(|&&t| t == token).count();
        let patches = images.len() * c.vision_config.patches();
        let pixels = 3 * c.vision_config.image_size * c.vision_config.image_size;
        let tokens = prompt.len() + c.placeholders() + 1;
        if prompt.is_empty() {
            return fail("empty prompt".into());
        }
        if count(c.image_token_index) != patches {
            return fail(format!(
                "{} image tokens for {patches} image features",
                count(c.image_token_index)
            ));
        }
        if count(c.proprio_token()) != 1 {
            return fail(format!(
                "{} proprioception tokens, expected 1",
                count(c.proprio_token())
            ));
        }
        if let Some(image) = images.iter().find(|image| image.len() != pixels) {
            return fail(format!(
                "image of {} values, expected {pixels}",
                image.len()
            ));
        }
        if proprio.len() != c.proprio_dim {
            return fail(format!(
                "state of {} values, expected {}",
                proprio.len(),
                c.proprio_dim
            ));
        }
        if tokens > self.language.max_positions() {
            return fail(format!(
                "{tokens} tokens, at most {}",
                self.language.max_positions()
            ));
        }
        let vocabulary = c.text_config.vocab_size;
        match prompt
            .iter()
            .chain([&c.stop_token()])
            .find(|&&t| t as usize >= vocabulary)
        {
            Some(token) => fail(format!(
                "token {token} outside the vocabulary of {vocabulary}"
            )),
            None => Ok(()),
        }
    }

    /// Bytes of the weights by class and encoding, and of the largest activations of a query of some tokens.
    pub fn memory(&self, tokens: usize) -> MemoryLedger {
        let mut ledger = MemoryLedger::default();
        self.vision.account(&mut ledger);
        self.connector.account(&mut ledger);
        self.language.account(&mut ledger);
        self.proprio.account(&mut ledger);
        self.head.account(&mut ledger);
        let t = &self.config.text_config;
        // Residual stream, normed copy, gate, up and their normed product; or one head's scores.
        let feed_forward = tokens * (2 * t.hidden_size + 3 * t.intermediate_size);
        let attention = tokens * (4 * t.hidden_size + tokens);
        ledger.activations = 4 * feed_forward.max(attention) as u64;
        ledger
    }
}
