//! What becomes of the camera images and the proprioception of an episode.

use crate::noise::ImageNoise;
use crate::{Draws, EpisodeKey};
use serde::{Deserialize, Serialize};

/// Cameras.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CameraSelection {
    /// The one that looks at the table.
    #[default]
    Agentview,
    /// The one on the hand.
    Wrist,
    /// Both.
    Both,
}

impl CameraSelection {
    fn has(self, camera: CameraSelection) -> bool {
        self == camera || self == CameraSelection::Both
    }
}

/// Sensors that fail: to show that a policy looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SensorFault {
    /// Cameras whose images are black.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blackout: Option<CameraSelection>,
    /// Cameras whose images stay those of the first query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<CameraSelection>,
    /// Proprioception is all zeros.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proprio_zero: bool,
    /// Factor of every value of both images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
    /// Standard deviation of the noise that every value of both images gets in every query, of 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// Share of both images that a black rectangle hides, in a place that is drawn per episode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<f64>,
}

impl SensorFault {
    pub(crate) fn check(&self) -> Result<(), String> {
        for (field, value, most) in [
            ("gain", self.gain, 4.0),
            ("sigma", self.sigma, 255.0),
            ("hidden", self.hidden, 1.0),
        ] {
            if let Some(value) = value.filter(|v| !(0.0..=most).contains(v)) {
                return Err(format!("{field}: found {value}, expected 0 to {most}"));
            }
        }
        match *self == SensorFault::default() {
            true => Err(
                "found nothing, expected blackout, freeze, proprio_zero, gain, sigma or hidden"
                    .to_owned(),
            ),
            false => Ok(()),
        }
    }

    /// Gain, noise and hidden part in an image of a query, (side, side, 3).
    fn degrade(&self, image: &mut [u8], side: usize, name: &str, (key, step): (EpisodeKey, usize)) {
        if self.gain.is_some() || self.sigma.is_some() {
            let (gain, sigma) = (self.gain.unwrap_or(1.0), self.sigma.unwrap_or(0.0));
            let mut draws = Draws::at_step(key, name, step);
            for value in image.iter_mut() {
                let noise = if sigma > 0.0 {
                    sigma * draws.normal()
                } else {
                    0.0
                };
                *value = libm::round(gain * f64::from(*value) + noise).clamp(0.0, 255.0) as u8;
            }
        }
        if let Some(share) = self.hidden {
            let edge = libm::round(libm::sqrt(share) * side as f64) as usize;
            let mut draws = Draws::new(key, &format!("{name}-hidden"));
            let mut place = || draws.below(side - edge + 1);
            let (top, left) = (place(), place());
            for row in image.chunks_exact_mut(3 * side).skip(top).take(edge) {
                row[3 * left..3 * (left + edge)].fill(0);
            }
        }
    }
}

/// Changes the observations of an episode; a copy continues as the original would.
#[derive(Debug, Clone)]
pub struct ImageFilter {
    key: EpisodeKey,
    noise: Option<ImageNoise>,
    faults: SensorFault,
    /// What becomes of the images once the event of the episode has happened.
    after_event: Option<SensorFault>,
    /// Images of the first query, (agentview, wrist).
    first: Option<[Vec<u8>; 2]>,
}

impl ImageFilter {
    /// The filter of an episode; `None` if observations stay as they are.
    pub(crate) fn new(
        noise: Option<ImageNoise>,
        faults: Option<SensorFault>,
        after_event: Option<SensorFault>,
        key: EpisodeKey,
    ) -> Option<ImageFilter> {
        if noise.is_none() && faults.is_none() && after_event.is_none() {
            return None;
        }
        Some(ImageFilter {
            key,
            noise,
            faults: faults.unwrap_or_default(),
            after_event,
            first: None,
        })
    }

    /// Changes both images of a query in control step `step`, (side, side, 3) each; `after_event` says whether the event of the episode has
    /// happened.
    pub fn apply(
        &mut self,
        (step, after_event): (usize, bool),
        (agentview, wrist): (&mut [u8], &mut [u8]),
        side: usize,
    ) {
        let cameras = [CameraSelection::Agentview, CameraSelection::Wrist];
        let [fresh_agentview, fresh_wrist] =
            (self.first).get_or_insert_with(|| [agentview.to_vec(), wrist.to_vec()]);
        let mut images = [(agentview, fresh_agentview), (wrist, fresh_wrist)];
        for (camera, (image, first)) in cameras.into_iter().zip(&mut images) {
            if self.faults.freeze.is_some_and(|frozen| frozen.has(camera)) {
                image.copy_from_slice(first);
            }
            if let Some(noise) = self.noise.filter(|noise| noise.cameras.has(camera)) {
                let name = match camera {
                    CameraSelection::Wrist => "noise-wrist",
                    _ => "noise-agentview",
                };
                let kind = noise.kind_in(self.key);
                noise.apply(kind, image, side, &mut Draws::at_step(self.key, name, step));
            }
            let name = match camera {
                CameraSelection::Wrist => "sensor-wrist",
                _ => "sensor-agentview",
            };
            self.faults.degrade(image, side, name, (self.key, step));
            if let Some(fault) = self.after_event.filter(|_| after_event) {
                fault.degrade(image, side, name, (self.key, step));
            }
            if self.faults.blackout.is_some_and(|black| black.has(camera)) {
                image.fill(0);
            }
        }
    }

    /// Changes the proprioception of a query.
    pub fn apply_to_proprio(&self, proprio: &mut [f64; 8]) {
        if self.faults.proprio_zero {
            *proprio = [0.0; 8];
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: faults are those that were asked for, in the cameras that were; noise differs from step to step and is the same again.
    use super::*;
    use crate::NoiseKind;

    const KEY: EpisodeKey = EpisodeKey {
        seed: 7,
        task: 0,
        init: 0,
    };

    fn seen(filter: &mut ImageFilter, step: usize, value: u8) -> [Vec<u8>; 2] {
        let mut images = [vec![value; 48], vec![value + 1; 48]];
        let [agentview, wrist] = &mut images;
        filter.apply((step, false), (agentview, wrist), 4);
        images
    }

    #[test]
    fn faults_are_those_that_were_asked_for() {
        let faults = SensorFault {
            blackout: Some(CameraSelection::Wrist),
            freeze: Some(CameraSelection::Agentview),
            proprio_zero: true,
            ..SensorFault::default()
        };
        let mut filter = ImageFilter::new(None, Some(faults), None, KEY).expect("a filter");
        assert_eq!(seen(&mut filter, 0, 10), [vec![10; 48], vec![0; 48]]);
        assert_eq!(seen(&mut filter, 8, 20), [vec![10; 48], vec![0; 48]]);
        let mut proprio = [1.0; 8];
        filter.apply_to_proprio(&mut proprio);
        assert_eq!(proprio, [0.0; 8]);
        assert!(ImageFilter::new(None, None, None, KEY).is_none());
    }

    #[test]
    fn noise_is_a_function_of_the_step() {
        let noise = ImageNoise {
            kind: Some(NoiseKind::Fog),
            level: 5,
            cameras: CameraSelection::Agentview,
        };
        let filter = ImageFilter::new(Some(noise), None, None, KEY).expect("a filter");
        let image = |step| seen(&mut filter.clone(), step, 100);
        assert_eq!(image(8), image(8));
        assert_ne!(image(8)[0], image(16)[0]);
        assert_eq!(image(8)[1], vec![101; 48]);
    }
}
