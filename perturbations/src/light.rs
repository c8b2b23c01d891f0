//! Light: brightness, direction and highlights.

use crate::{Draws, EpisodeKey};
use bitvla_sim::SceneDesc;
use serde::{Deserialize, Serialize};

/// Number of variants.
const VARIANTS: u16 = 1024;
/// Loss of brightness and turn of the lights of a level, per level.
pub(crate) const DIMMING_OF_LEVEL: f64 = 0.17;
pub(crate) const AZIMUTH_OF_LEVEL: f64 = 12.0;

/// Other light. LIBERO-plus has 1024 light files, whose numbers are not published as text; the variants here are this program's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LightChange {
    /// Strength 1 to 5: 17 % darker and turned by 12 degrees per level, to a drawn side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Variant 0 to 1023: brightness 0.3 to 1.7, turned by up to 90 degrees, highlights 0 to 1.5 times; the same in every episode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw: Option<u16>,
    /// Factor of all light.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brightness: Option<f64>,
    /// Turn of all lights about the vertical through the origin, degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azimuth: Option<f64>,
    /// Factor of the highlights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub specular: Option<f64>,
    /// Ambient, diffuse and specular strength of every light, in place of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strengths: Option<[f64; 3]>,
}

impl LightChange {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.level.is_some() && self.draw.is_some() {
            return Err("found level and draw, expected one of them at most".to_owned());
        }
        if let Some(draw) = self.draw.filter(|draw| *draw >= VARIANTS) {
            return Err(format!(
                "draw: found {draw}, expected 0 to {}",
                VARIANTS - 1
            ));
        }
        let strength = |v: &f64| (0.0..=2.0).contains(v);
        if let Some(strengths) = self.strengths.filter(|s| !s.iter().all(strength)) {
            return Err(format!(
                "strengths: found {strengths:?}, expected three of 0 to 2"
            ));
        }
        for (field, value, most) in [
            ("brightness", self.brightness, 5.0),
            ("specular", self.specular, 5.0),
        ] {
            if let Some(value) = value.filter(|v| !(0.0..=most).contains(v)) {
                return Err(format!(
                    "{field}: found {value}, expected a factor of 0 to {most}"
                ));
            }
        }
        match self.azimuth.filter(|v| v.is_nan() || v.abs() > 180.0) {
            Some(value) => Err(format!(
                "azimuth: found {value}, expected -180 to 180 degrees"
            )),
            None => Ok(()),
        }
    }

    pub(crate) fn apply(&self, scene: &mut SceneDesc, key: EpisodeKey) {
        let (mut brightness, mut azimuth, mut specular) = (
            self.brightness.unwrap_or(1.0),
            self.azimuth.unwrap_or(0.0),
            self.specular.unwrap_or(1.0),
        );
        if let Some(level) = self.level.map(f64::from) {
            brightness *= 1.0 - DIMMING_OF_LEVEL * level;
            azimuth += AZIMUTH_OF_LEVEL * level * Draws::new(key, "light").sign();
        }
        if let Some(draw) = self.draw {
            let mut draws = Draws::of_variant("light-variant", usize::from(draw));
            brightness *= draws.between(0.3, 1.7);
            azimuth += draws.between(-90.0, 90.0);
            specular *= draws.between(0.0, 1.5);
        }
        let arena = std::sync::Arc::make_mut(&mut scene.arena);
        let (sin, cos) = (
            libm::sin(azimuth.to_radians()),
            libm::cos(azimuth.to_radians()),
        );
        let turned = |[x, y, z]: [f64; 3]| [cos * x - sin * y, sin * x + cos * y, z];
        for light in &mut arena.lights {
            light.pos = turned(light.pos);
            light.dir = turned(light.dir);
            if let Some([ambient, diffuse, specular]) = self.strengths {
                (light.ambient, light.diffuse, light.specular) = (ambient, diffuse, specular);
            }
            light.ambient *= brightness;
            light.diffuse *= brightness;
            light.specular *= brightness * specular;
        }
        let [ambient, diffuse, highlight] = arena.headlight;
        arena.headlight = [
            ambient * brightness,
            diffuse * brightness,
            highlight * brightness * specular,
        ];
    }
}
