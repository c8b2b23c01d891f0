//! Network of BitVLA over f32 with a hand-written backward pass (docs/reference/bitvla.md, sections 1, 5, 9).
//!
//! Sequences are ragged: there is no padding, so a right-padded batch of the reference and a microbatch here
//! are the same sums. Quantisation-aware training multiplies with [`Layout::effective_weights`] weights and quantised
//! activations and sends gradients straight through.

pub mod activation;
pub mod attention;
pub mod config;
pub mod gemm_f32;
pub mod head;
pub mod instruction;
pub mod language;
pub mod layout;
pub mod linear;
pub mod norm;
mod reductions;
pub mod ternary_linear;
pub mod vision;

pub use config::{NetConfig, QuantConfig};
pub use layout::{CheckpointFile, Layout};

use head::{HeadActivations, ProjectorActivations};
use instruction::InstructionLoss;
use language::LanguageActivations;
use linear::{add, sized};
use vision::VisionActivations;

/// One normalised sample.
#[derive(Debug, Clone, Default)]
pub struct TrainingSample {
    /// Images one behind the other, (images, 3, size, size).
    pub images: Vec<f32>,
    /// Index of the task among those of the recipe.
    pub task: usize,
    /// Token ids of the prompt with image and proprioception placeholders, (prompt tokens).
    pub prompt: Vec<u32>,
    /// Normalised proprioception, (8).
    pub proprio: Vec<f32>,
    /// Normalised action chunk, (chunk * 7).
    pub target: Vec<f32>,
}

/// Activations of a whole network; one per thread, reused.
#[derive(Default)]
pub struct NetActivations {
    /// Vision tower.
    pub vision: VisionActivations,
    teacher: VisionActivations,
    connector: ProjectorActivations,
    proprio: ProjectorActivations,
    /// Language model.
    pub language: LanguageActivations,
    /// Action head.
    pub head: HeadActivations,
    d: Vec<f32>,
    dvision: Vec<f32>,
    token_sources: Vec<TokenSource>,
}

/// Source of the embedding of a token.
#[derive(Debug, Clone, Copy)]
enum TokenSource {
    /// Row of the token embedding.
    Vocabulary(u32),
    /// Row of the connector output.
    Patch(usize),
    /// Row of the proprioception projector output.
    Proprio(usize),
    /// Action placeholder: zeros.
    Zero,
}

/// Losses of a microbatch, already divided by the size of the batch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Losses {
    /// Mean absolute error of normalised actions.
    pub l1: f64,
    /// Mean squared distance of the vision layers to the teacher's, without its weight
    /// (docs/reference/bitvla.md, section 9.1).
    pub aux: f64,
    /// Cross-entropy of the instruction, without its weight.
    pub instruction: f64,
}

/// Losses beside the error of the actions; none by default.
#[derive(Clone, Copy, Default)]
pub struct AuxiliaryLosses<'a> {
    /// Alignment of the vision tower.
    pub teacher: Option<Teacher<'a>>,
    /// Telling the instruction.
    pub instruction: Option<InstructionLoss<'a>>,
}

/// Layer-wise alignment to a frozen full-precision vision tower.
#[derive(Clone, Copy)]
pub struct Teacher<'a> {
    /// Parameters of the teacher (`Layout::total`).
    pub params: &'a [f32],
    /// Weight of the loss.
    pub weight: f32,
}

/// Network: sizes, layout of the parameters, quantisation.
pub struct Net {
    /// Sizes.
    pub config: NetConfig,
    /// Layout of the parameters.
    pub layout: Layout,
    /// Quantised parts.
    pub quant: QuantConfig,
    /// Slope in the backward pass of the projectors ([`crate::recipe::OptimisationSettings::projector_leak`]); 0 in a new network.
    pub projector_leak: f32,
}

impl Net {
    /// Builds a network.
    pub fn new(config: NetConfig, quant: QuantConfig) -> Net {
        Net {
            layout: Layout::new(&config),
            config,
            quant,
            projector_leak: 0.0,
        }
    }

    /// Returns the tokens of all sequences (prompt, placeholders, stop) and the length of each.
    ///
    /// # Panics
    /// If a prompt has another number of image tokens than the network has patches.
    fn token_sources(&self, samples: &[TrainingSample]) -> (Vec<TokenSource>, Vec<usize>) {
        let c = &self.config;
        let (mut token_sources, mut lens, mut patch) = (Vec::new(), Vec::new(), 0);
        for (i, sample) in samples.iter().enumerate() {
            let before = token_sources.len();
            for &id in &sample.prompt {
                token_sources.push(if id == c.image_token {
                    patch += 1;
                    TokenSource::Patch(patch - 1)
                } else if id == c.proprio_token {
                    TokenSource::Proprio(i)
                } else {
                    TokenSource::Vocabulary(id)
                });
            }
            assert_eq!(
                patch,
                (i + 1) * c.images * c.patches(),
                "image tokens in the prompt"
            );
            if c.chunk > 0 {
                token_sources.extend(std::iter::repeat_n(TokenSource::Zero, c.placeholders()));
                token_sources.push(TokenSource::Vocabulary(c.stop_token));
            }
            lens.push(token_sources.len() - before);
        }
        (token_sources, lens)
    }

    /// Runs vision, connector, projector and language model; the result is `activations.language.states` (tokens, width).
    pub fn forward_states(
        &self,
        effective_weights: &[f32],
        samples: &[TrainingSample],
        activations: &mut NetActivations,
    ) {
        let (token_sources, lens) = self.token_sources(samples);
        let all = (0..token_sources.len()).collect();
        let tokens = (token_sources, &lens[..]);
        self.forward_kept(effective_weights, samples, tokens, all, activations);
    }

    /// Does the same for the tokens `kept`, in increasing order; the result is (kept tokens, width).
    fn forward_kept(
        &self,
        effective_weights: &[f32],
        samples: &[TrainingSample],
        (token_sources, lens): (Vec<TokenSource>, &[usize]),
        kept: Vec<usize>,
        activations: &mut NetActivations,
    ) {
        let (c, l) = (&self.config, &self.layout);
        let images = images_of(c, samples);
        activations
            .vision
            .forward(c, l, self.quant, effective_weights, &images);
        let features = &activations.vision.hidden[c.vision_layers]
            [..activations.vision.tokens() * c.vision_width];
        activations
            .connector
            .forward(&l.connector, effective_weights, features);
        let states: Vec<f32> = samples
            .iter()
            .flat_map(|i| i.proprio.iter().copied())
            .collect();
        activations
            .proprio
            .forward(&l.proprio, effective_weights, &states);
        let w = c.width;
        let x = activations.language.start(c, lens, kept);
        for (source, row) in token_sources.iter().zip(x.chunks_exact_mut(w)) {
            match *source {
                TokenSource::Vocabulary(id) => {
                    let at = l.embed + id as usize * w;
                    row.copy_from_slice(&effective_weights[at..at + w]);
                }
                TokenSource::Patch(i) => {
                    row.copy_from_slice(&activations.connector.y[i * w..(i + 1) * w])
                }
                TokenSource::Proprio(i) => {
                    row.copy_from_slice(&activations.proprio.y[i * w..(i + 1) * w])
                }
                TokenSource::Zero => row.fill(0.0),
            }
        }
        activations.token_sources = token_sources;
        activations
            .language
            .forward(c, l, self.quant, effective_weights);
    }

    /// Backward pass from `dstates`, the gradient of the states; adds to `grad` (`Layout::total`) and returns the alignment loss.
    /// `teacher` comes with the share of this microbatch in the batch.
    pub fn backward_states(
        &self,
        effective_weights: &[f32],
        dstates: &[f32],
        teacher: Option<(Teacher<'_>, f32)>,
        activations: &mut NetActivations,
        grad: &mut [f32],
    ) -> f64 {
        let (c, l, w) = (&self.config, &self.layout, self.config.width);
        let d = sized(&mut activations.d, activations.language.tokens() * w);
        activations
            .language
            .backward(c, l, effective_weights, dstates, d, grad);
        let patches = activations.vision.tokens();
        let mut dpatch = vec![0.0; patches * w];
        let mut dstate = vec![0.0; activations.language.lens.len() * w];
        for (source, row) in activations.token_sources.iter().zip(d.chunks_exact(w)) {
            match *source {
                TokenSource::Vocabulary(id) => {
                    let at = l.embed + id as usize * w;
                    add(row, &mut grad[at..at + w]);
                }
                TokenSource::Patch(i) => dpatch[i * w..(i + 1) * w].copy_from_slice(row),
                TokenSource::Proprio(i) => dstate[i * w..(i + 1) * w].copy_from_slice(row),
                TokenSource::Zero => {}
            }
        }
        if activations
            .token_sources
            .iter()
            .any(|p| matches!(p, TokenSource::Proprio(_)))
        {
            activations.proprio.backward(
                (&l.proprio, self.projector_leak),
                effective_weights,
                &dstate,
                None,
                grad,
            );
        }
        let n = patches * c.vision_width;
        let dvision = sized(&mut activations.dvision, n);
        activations.connector.backward(
            (&l.connector, self.projector_leak),
            effective_weights,
            &dpatch,
            Some(dvision),
            grad,
        );
        let mut loss = 0.0;
        let hidden = &activations.teacher.hidden;
        activations
            .vision
            .backward(c, l, effective_weights, dvision, grad, |i, student, d| {
                if let Some((teacher, share)) = teacher {
                    let per = share / (c.vision_layers * n) as f32;
                    let mut sum = 0.0f64;
                    for ((s, t), d) in student.iter().zip(&hidden[i]).zip(d) {
                        sum += f64::from(s - t) * f64::from(s - t);
                        *d += teacher.weight * per * 2.0 * (s - t);
                    }
                    loss += sum * f64::from(per);
                }
            });
        loss
    }

    /// Runs the teacher's vision tower on the same images.
    pub fn run_teacher(
        &self,
        teacher: Teacher<'_>,
        samples: &[TrainingSample],
        activations: &mut NetActivations,
    ) {
        let c = &self.config;
        let images = images_of(c, samples);
        activations
            .teacher
            .forward(c, &self.layout, QuantConfig::NONE, teacher.params, &images);
    }

    /// Predicts the normalised actions of every sample, (samples, chunk * 7).
    pub fn predict(
        &self,
        effective_weights: &[f32],
        samples: &[TrainingSample],
        activations: &mut NetActivations,
    ) -> Vec<f32> {
        let c = &self.config;
        let (token_sources, lens) = self.token_sources(samples);
        let rows = self.action_rows(samples, &lens);
        let rows = rows.into_iter().flat_map(|at| at..at + c.placeholders());
        let tokens = (token_sources, &lens[..]);
        let kept = rows.collect();
        self.forward_kept(effective_weights, samples, tokens, kept, activations);
        let states = &activations.language.states[..samples.len() * c.placeholders() * c.width];
        activations
            .head
            .forward(&self.layout, effective_weights, states);
        activations.head.y[..samples.len() * c.placeholders()].to_vec()
    }

    /// Returns the first row of the action states of every sample: the last prompt token (docs/reference/bitvla.md,
    /// section 1.6).
    fn action_rows(&self, samples: &[TrainingSample], lens: &[usize]) -> Vec<usize> {
        let mut start = 0;
        let rows = samples.iter().zip(lens).map(|(sample, len)| {
            start += len;
            start - len + sample.prompt.len() - 1
        });
        rows.collect()
    }

    /// Forward and backward pass of a microbatch that is part of a batch of `batch` samples; adds to `grad`
    /// (`Layout::total`).
    pub fn train(
        &self,
        effective_weights: &[f32],
        samples: &[TrainingSample],
        batch: usize,
        auxiliary: AuxiliaryLosses<'_>,
        activations: &mut NetActivations,
        grad: &mut [f32],
    ) -> Losses {
        let (c, w) = (&self.config, self.config.width);
        let teacher = auxiliary.teacher;
        if let Some(teacher) = teacher {
            self.run_teacher(teacher, samples, activations);
        }
        let predicted = self.predict(effective_weights, samples, activations);
        let per = 1.0 / (batch * c.placeholders()) as f32;
        let mut l1 = 0.0;
        let mut dy = Vec::with_capacity(predicted.len());
        for (p, t) in predicted.iter().zip(samples.iter().flat_map(|i| &i.target)) {
            let e = p - t;
            l1 += f64::from(e.abs());
            dy.push(if e > 0.0 {
                per
            } else if e < 0.0 {
                -per
            } else {
                0.0
            });
        }
        let mut dx = vec![0.0; samples.len() * c.placeholders() * w];
        activations
            .head
            .backward(&self.layout, effective_weights, &dy, &mut dx, grad);
        let mut instruction = 0.0;
        if let Some(loss) = auxiliary.instruction {
            let of_sample = c.placeholders() * w;
            let share = 1.0 / batch as f32;
            let states = activations.language.states.chunks_exact(of_sample);
            for ((sample, states), dx) in samples
                .iter()
                .zip(states)
                .zip(dx.chunks_exact_mut(of_sample))
            {
                instruction +=
                    f64::from(share) * loss.backward(sample.task, (states, w), share, dx);
            }
        }
        let share = samples.len() as f32 / batch as f32;
        let aux = self.backward_states(
            effective_weights,
            &dx,
            teacher.map(|t| (t, share)),
            activations,
            grad,
        );
        Losses {
            l1: l1 * f64::from(per),
            aux,
            instruction,
        }
    }
}

/// Returns the images of all samples, each (3, size, size).
fn images_of<'a>(c: &NetConfig, samples: &'a [TrainingSample]) -> Vec<&'a [f32]> {
    let pixels = 3 * c.image_size * c.image_size;
    let images = samples.iter().flat_map(|s| s.images.chunks_exact(pixels));
    images.collect()
}

#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests {
    //! Guarantee: the gradients of a training step are those of the whole last layer, to the bit.
    use super::*;
    use crate::recipe::Recipe;

    fn wave(n: usize, k: f32) -> Vec<f32> {
        (0..n).map(|i| libm::sinf(i as f32 * k)).collect()
    }

    #[test]
    fn states_that_nothing_reads_change_no_gradient() {
        let sizes = Recipe::named("spatial").expect("a recipe").network;
        let c = NetConfig::sized(&sizes, 31);
        for quant in [QuantConfig::NONE, QuantConfig::ALL] {
            let net = Net::new(c.clone(), quant);
            let mut weights = Vec::new();
            let params = net.layout.init(3);
            net.layout.effective_weights(&params, quant, &mut weights);
            let sample = |i: usize| {
                let mut prompt = vec![c.bos_token];
                prompt.extend(vec![c.image_token; c.images * c.patches()]);
                prompt.push(c.proprio_token);
                prompt.extend(5..9 + i as u32);
                TrainingSample {
                    task: 0,
                    images: wave(c.images * 3 * c.image_size * c.image_size, 0.3 + i as f32),
                    prompt,
                    proprio: wave(c.proprio, 0.7),
                    target: wave(c.placeholders(), 0.9),
                }
            };
            let samples = [sample(0), sample(1)];
            let mut kept = (NetActivations::default(), vec![0.0; params.len()]);
            let auxiliary = AuxiliaryLosses::default();
            net.train(&weights, &samples, 2, auxiliary, &mut kept.0, &mut kept.1);

            let mut whole = (NetActivations::default(), vec![0.0; params.len()]);
            net.forward_states(&weights, &samples, &mut whole.0);
            let rows = c.placeholders() * c.width;
            let starts = net.action_rows(&samples, &whole.0.language.lens.clone());
            let mut states = Vec::new();
            for at in &starts {
                states.extend_from_slice(&whole.0.language.states[at * c.width..][..rows]);
            }
            whole.0.head.forward(&net.layout, &weights, &states);
            let per = 1.0 / (2 * c.placeholders()) as f32;
            let targets = samples.iter().flat_map(|s| &s.target);
            let answers = whole.0.head.y.iter().zip(targets);
            let dy: Vec<f32> = answers.map(|(y, t)| per * (y - t).signum()).collect();
            let mut dx = vec![0.0; states.len()];
            let (layout, head) = (&net.layout, &mut whole.0.head);
            head.backward(layout, &weights, &dy, &mut dx, &mut whole.1);
            let mut dstates = vec![0.0; whole.0.language.tokens() * c.width];
            for (at, d) in starts.iter().zip(dx.chunks_exact(rows)) {
                dstates[at * c.width..][..rows].copy_from_slice(d);
            }
            net.backward_states(&weights, &dstates, None, &mut whole.0, &mut whole.1);
            assert!(kept.1 == whole.1, "{quant:?}: gradients differ");
            assert!(kept.1.iter().any(|g| *g != 0.0));
        }
    }
}
