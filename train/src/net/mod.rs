//! The network of BitVLA over f32 with a hand-written backward pass (fact sheet of BitVLA, sections 1, 5, 9).
//!
//! Sequences are ragged: padding never exists, so a right-padded batch of the reference and a micro-batch here
//! are the same sums. Quantisation-aware training multiplies with [`Layout::effective`] weights and quantised
//! activations and sends gradients straight through.

pub mod attention;
pub mod config;
pub mod exact;
pub mod gemm_f32;
pub mod head;
pub mod language;
pub mod layout;
pub mod ops;
pub mod vision;

pub use config::{NetConfig, Quant};
pub use layout::{File, Layout};

use head::{Head, Projector};
use language::Language;
use ops::sized;
use vision::Vision;

/// One sample, normalised.
#[derive(Debug, Clone, Default)]
pub struct Item {
    /// Images one behind the other, each 3 x size x size.
    pub images: Vec<f32>,
    /// Prompt ids with image and proprioception placeholders.
    pub prompt: Vec<u32>,
    /// Normalised proprioception.
    pub proprio: Vec<f32>,
    /// Normalised action chunk.
    pub target: Vec<f32>,
}

/// Activations of a whole network; one per thread, reused.
#[derive(Default)]
pub struct Workspace {
    /// Vision tower.
    pub vision: Vision,
    teacher: Vision,
    connector: Projector,
    proprio: Projector,
    /// Language model.
    pub language: Language,
    /// Action head.
    pub head: Head,
    dstates: Vec<f32>,
    d: Vec<f32>,
    dvision: Vec<f32>,
    places: Vec<Place>,
}

/// What a token is made of.
#[derive(Debug, Clone, Copy)]
enum Place {
    Word(u32),
    Patch(usize),
    State(usize),
    Zero,
}

/// Losses of a micro-batch, already divided by the size of the batch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Losses {
    /// Mean absolute error of normalised actions.
    pub l1: f64,
    /// Mean squared distance of the vision layers to the teacher's, without its weight.
    pub aux: f64,
}

/// Layer-wise alignment to a frozen full-precision vision tower.
#[derive(Clone, Copy)]
pub struct Teacher<'a> {
    /// Its parameters.
    pub params: &'a [f32],
    /// Weight of the loss.
    pub weight: f32,
}

/// Sizes, places and switches.
pub struct Net {
    /// Sizes.
    pub config: NetConfig,
    /// Where parameters lie.
    pub layout: Layout,
    /// What is quantised.
    pub quant: Quant,
}

impl Net {
    /// For sizes.
    pub fn new(config: NetConfig, quant: Quant) -> Net {
        Net {
            layout: Layout::new(&config),
            config,
            quant,
        }
    }

    /// Sequences of the last forward pass: tokens of the prompt, placeholders, stop.
    fn places(&self, items: &[Item]) -> (Vec<Place>, Vec<usize>) {
        let c = &self.config;
        let (mut places, mut lens, mut patch) = (Vec::new(), Vec::new(), 0);
        for (i, item) in items.iter().enumerate() {
            let before = places.len();
            for &id in &item.prompt {
                places.push(if id == c.image_token {
                    patch += 1;
                    Place::Patch(patch - 1)
                } else if id == c.proprio_token {
                    Place::State(i)
                } else {
                    Place::Word(id)
                });
            }
            assert_eq!(
                patch,
                (i + 1) * c.images * c.patches(),
                "image tokens in the prompt"
            );
            if c.chunk > 0 {
                places.extend(std::iter::repeat_n(Place::Zero, c.placeholders()));
                places.push(Place::Word(c.stop_token));
            }
            lens.push(places.len() - before);
        }
        (places, lens)
    }

    /// Vision, connector, projector and language model; the states are in `ws.language.states`.
    pub fn forward_states(&self, eff: &[f32], items: &[Item], ws: &mut Workspace) {
        let (c, l) = (&self.config, &self.layout);
        let pixels = 3 * c.image_size * c.image_size;
        let images: Vec<&[f32]> = items
            .iter()
            .flat_map(|i| i.images.chunks_exact(pixels))
            .collect();
        ws.vision.forward(c, l, self.quant, eff, &images);
        let features = &ws.vision.hidden[c.vision_layers][..ws.vision.tokens() * c.vision_width];
        ws.connector.forward(&l.connector, eff, features);
        let states: Vec<f32> = items
            .iter()
            .flat_map(|i| i.proprio.iter().copied())
            .collect();
        ws.proprio.forward(&l.proprio, eff, &states);
        let (places, lens) = self.places(items);
        let w = c.width;
        let x = ws.language.start(c, &lens);
        for (place, row) in places.iter().zip(x.chunks_exact_mut(w)) {
            match *place {
                Place::Word(id) => {
                    let at = l.embed + id as usize * w;
                    row.copy_from_slice(&eff[at..at + w]);
                }
                Place::Patch(i) => row.copy_from_slice(&ws.connector.y[i * w..(i + 1) * w]),
                Place::State(i) => row.copy_from_slice(&ws.proprio.y[i * w..(i + 1) * w]),
                Place::Zero => row.fill(0.0),
            }
        }
        ws.places = places;
        ws.language.forward(c, l, self.quant, eff);
    }

    /// From the gradient of the final states to everything below; returns the alignment loss.
    pub fn backward_states(
        &self,
        eff: &[f32],
        dstates: &[f32],
        teacher: Option<(Teacher<'_>, f32)>,
        ws: &mut Workspace,
        grad: &mut [f32],
    ) -> f64 {
        let (c, l, w) = (&self.config, &self.layout, self.config.width);
        let d = sized(&mut ws.d, ws.language.tokens() * w);
        ws.language.backward(c, l, eff, dstates, d, grad);
        let patches = ws.vision.tokens();
        let mut dpatch = vec![0.0; patches * w];
        let mut dstate = vec![0.0; ws.language.lens.len() * w];
        for (place, row) in ws.places.iter().zip(d.chunks_exact(w)) {
            match *place {
                Place::Word(id) => {
                    let at = l.embed + id as usize * w;
                    ops::add(row, &mut grad[at..at + w]);
                }
                Place::Patch(i) => dpatch[i * w..(i + 1) * w].copy_from_slice(row),
                Place::State(i) => dstate[i * w..(i + 1) * w].copy_from_slice(row),
                Place::Zero => {}
            }
        }
        if ws.places.iter().any(|p| matches!(p, Place::State(_))) {
            ws.proprio.backward(&l.proprio, eff, &dstate, None, grad);
        }
        let n = patches * c.vision_width;
        let dvision = sized(&mut ws.dvision, n);
        ws.connector
            .backward(&l.connector, eff, &dpatch, Some(dvision), grad);
        let mut loss = 0.0;
        let hidden = &ws.teacher.hidden;
        ws.vision
            .backward(c, l, eff, dvision, grad, |i, student, d| {
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

    /// The teacher's vision layers for the same images.
    pub fn run_teacher(&self, teacher: Teacher<'_>, items: &[Item], ws: &mut Workspace) {
        let c = &self.config;
        let pixels = 3 * c.image_size * c.image_size;
        let images: Vec<&[f32]> = items
            .iter()
            .flat_map(|i| i.images.chunks_exact(pixels))
            .collect();
        ws.teacher
            .forward(c, &self.layout, Quant::NONE, teacher.params, &images);
    }

    /// Normalised actions of every item, (items, chunk * 7).
    pub fn predict(&self, eff: &[f32], items: &[Item], ws: &mut Workspace) -> Vec<f32> {
        self.forward_states(eff, items, ws);
        let (c, w) = (&self.config, self.config.width);
        let mut rows = Vec::with_capacity(items.len() * c.placeholders() * w);
        for at in self.action_rows(items, ws) {
            rows.extend_from_slice(&ws.language.states[at * w..(at + c.placeholders()) * w]);
        }
        ws.head.forward(&self.layout, eff, &rows);
        ws.head.y[..items.len() * c.placeholders()].to_vec()
    }

    /// First row of the action states of every item: the last prompt token (fact sheet, section 1.6).
    fn action_rows(&self, items: &[Item], ws: &Workspace) -> Vec<usize> {
        let mut start = 0;
        let rows = items.iter().zip(&ws.language.lens).map(|(item, len)| {
            start += len;
            start - len + item.prompt.len() - 1
        });
        rows.collect()
    }

    /// Forward and backward of a micro-batch that is part of a batch of `batch` samples; adds to `grad`.
    pub fn train(
        &self,
        eff: &[f32],
        items: &[Item],
        batch: usize,
        teacher: Option<Teacher<'_>>,
        ws: &mut Workspace,
        grad: &mut [f32],
    ) -> Losses {
        let (c, w) = (&self.config, self.config.width);
        if let Some(teacher) = teacher {
            self.run_teacher(teacher, items, ws);
        }
        let predicted = self.predict(eff, items, ws);
        let per = 1.0 / (batch * c.placeholders()) as f32;
        let mut l1 = 0.0;
        let mut dy = Vec::with_capacity(predicted.len());
        for (p, t) in predicted.iter().zip(items.iter().flat_map(|i| &i.target)) {
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
        let mut dx = vec![0.0; items.len() * c.placeholders() * w];
        ws.head.backward(&self.layout, eff, &dy, &mut dx, grad);
        let mut dstates = std::mem::take(&mut ws.dstates);
        let all = sized(&mut dstates, ws.language.tokens() * w);
        all.fill(0.0);
        let rows = c.placeholders() * w;
        for (at, d) in self
            .action_rows(items, ws)
            .into_iter()
            .zip(dx.chunks_exact(rows))
        {
            all[at * w..at * w + rows].copy_from_slice(d);
        }
        let share = items.len() as f32 / batch as f32;
        let aux = self.backward_states(eff, all, teacher.map(|t| (t, share)), ws, grad);
        ws.dstates = dstates;
        Losses {
            l1: l1 * f64::from(per),
            aux,
        }
    }
}

#[cfg(test)]
mod golden;
