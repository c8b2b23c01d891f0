//! Distance of perturbed episodes from unperturbed ones at their start: of the images and of the words.

use crate::observation::CameraImages;
use crate::{CameraRig, EvalContext, EvalError};
use bitvla_perturbations::Perturbation;
use bitvla_reports::CellDistance;
use bitvla_sim::render::CameraImage;

/// Side of the images that are compared, pixels.
const SIDE: usize = 128;

/// How an episode begins: the images of the settled world as a policy sees them, and the words that it is given.
#[derive(Debug, Clone)]
pub struct EpisodeBeginning {
    images: CameraImages,
    words: String,
}

impl EpisodeBeginning {
    /// The beginning of an episode (task, initial state).
    ///
    /// # Errors
    /// If the perturbation of the context does not fit the task, or its world cannot be built or drawn.
    pub fn of(
        context: EvalContext<'_>,
        key: (usize, usize),
    ) -> Result<EpisodeBeginning, EvalError> {
        let world = context.settled_world(key.0, key.1)?;
        let mut cameras = CameraRig::new(world.scene())?;
        cameras.set_size(SIDE);
        let mut images = cameras.render(&world)?;
        let filter = |change: &Perturbation| change.image_filter(context.key(key));
        if let Some(mut filter) = context.perturbation_of(key.0).and_then(filter) {
            images.perturb(&mut filter, (0, world.event_happened()));
        }
        Ok(EpisodeBeginning {
            images,
            words: context.instruction(key)?.into_owned(),
        })
    }

    /// Distance from another beginning.
    pub fn distance(&self, other: &EpisodeBeginning) -> CellDistance {
        CellDistance {
            agentview: mean_difference(&self.images.agentview, &other.images.agentview),
            wrist: mean_difference(&self.images.wrist, &other.images.wrist),
            words: changed_words(&self.words, &other.words),
        }
    }
}

/// Mean absolute difference of all values, of 255.
fn mean_difference(a: &CameraImage, b: &CameraImage) -> f64 {
    let differences = a.rgb.iter().zip(&b.rgb);
    let total: u64 = differences.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    total as f64 / a.rgb.len() as f64
}

/// Least share of the words of the longer sentence that have to be exchanged, added or left out (Levenshtein's distance of words).
fn changed_words(a: &str, b: &str) -> f64 {
    let [a, b] = [a, b].map(|text| text.split_whitespace().collect::<Vec<_>>());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, word) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let exchanged = diagonal + usize::from(word != other);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()] as f64 / a.len().max(b.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    //! Guarantee: words count once each, wherever they were added, left out or exchanged.
    use super::changed_words;

    #[test]
    fn words_count_once_each() {
        assert_eq!(changed_words("put the bowl down", "put the bowl down"), 0.0);
        assert_eq!(
            changed_words("put the bowl down", "please put the dish down"),
            0.4
        );
        assert_eq!(changed_words("a b", ""), 1.0);
        assert_eq!(changed_words("", ""), 0.0);
    }
}
