//! Colours of table, walls and floor.

use crate::{Draws, EpisodeKey, PerturbationError};
use bitvla_sim::SceneDesc;
use bitvla_tasks::Assets;
use serde::{Deserialize, Serialize};

/// Share of the drawn colour of a level, per level.
pub(crate) const SHARE_OF_LEVEL: f64 = 0.2;
/// Arenas of the suites.
const ARENAS: [&str; 5] = ["table", "floor", "kitchen", "living_room", "study"];
/// Words in the names of the materials of each kind of surface.
const TABLE: [&str; 4] = ["wood", "top", "table", "boards"];
const WALL: [&str; 1] = ["wall"];
const FLOOR: [&str; 2] = ["floor", "rug"];

/// Surfaces that are painted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Surfaces {
    /// The surface that objects stand on.
    Table,
    /// That and the walls.
    TableWall,
    /// That, the walls and the floor.
    #[default]
    All,
}

/// Other colours of the surroundings: each surface is multiplied with a colour of its own, drawn per episode. Textures stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackgroundChange {
    /// Strength 1 to 5: share of the drawn colour, 0.2 per level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Variant: the same colours in every episode, in full strength.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw: Option<u16>,
    /// What is painted.
    #[serde(skip_serializing_if = "is_all")]
    pub surfaces: Surfaces,
    /// Materials of the surfaces of another arena: that of the number after the episode's own, counted round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<u8>,
}

fn is_all(surfaces: &Surfaces) -> bool {
    *surfaces == Surfaces::All
}

impl BackgroundChange {
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(number) = self.environment.filter(|n| usize::from(*n) >= ARENAS.len()) {
            return Err(format!(
                "environment: found {number}, expected 0 to {}",
                ARENAS.len() - 1
            ));
        }
        match (self.level, self.draw) {
            (None, None) if self.environment.is_some() => Ok(()),
            (None, None) | (Some(_), Some(_)) => Err("expected either level or draw".to_owned()),
            _ => Ok(()),
        }
    }

    /// Gives the surfaces the materials of another arena.
    ///
    /// # Errors
    /// If that arena cannot be read.
    pub(crate) fn change_environment(
        &self,
        assets: &Assets,
        scene: &mut SceneDesc,
    ) -> Result<(), PerturbationError> {
        let Some(number) = self.environment else {
            return Ok(());
        };
        let own = ARENAS
            .iter()
            .position(|name| *name == scene.arena.model.name);
        let name = ARENAS[(own.map_or(0, |own| own + 1) + usize::from(number)) % ARENAS.len()];
        let other = assets.arena(name)?;
        let arena = std::sync::Arc::make_mut(&mut scene.arena);
        for kind in self.kinds() {
            let is_of = |name: &str| kind.iter().any(|word| name.contains(word));
            let mut materials = other.model.materials.iter();
            let Some((_, material)) = materials.find(|(name, _)| is_of(name)) else {
                continue;
            };
            for (name, own) in &mut arena.model.materials {
                if is_of(name) {
                    own.clone_from(material);
                }
            }
        }
        Ok(())
    }

    /// Words in the names of the materials of each kind of surface that changes.
    fn kinds(&self) -> &'static [&'static [&'static str]] {
        match self.surfaces {
            Surfaces::Table => &[&TABLE],
            Surfaces::TableWall => &[&TABLE, &WALL],
            Surfaces::All => &[&TABLE, &WALL, &FLOOR],
        }
    }

    pub(crate) fn apply(&self, scene: &mut SceneDesc, key: EpisodeKey) {
        if self.level.is_none() && self.draw.is_none() {
            return;
        }
        let (share, mut draws) = match (self.level, self.draw) {
            (_, Some(draw)) => (
                1.0,
                Draws::of_variant("background-variant", usize::from(draw)),
            ),
            (level, None) => (
                SHARE_OF_LEVEL * f64::from(level.unwrap_or(1)),
                Draws::new(key, "background"),
            ),
        };
        let arena = std::sync::Arc::make_mut(&mut scene.arena);
        for kind in self.kinds() {
            let colour = strong_colour(&mut draws);
            for (name, material) in &mut arena.model.materials {
                if kind.iter().any(|word| name.contains(word)) {
                    for (channel, painted) in material.rgb.iter_mut().zip(colour) {
                        *channel *= 1.0 - share * (1.0 - painted);
                    }
                }
            }
        }
    }
}

/// A colour far from white: one channel 0.8 to 1, the others 0.1 to 0.5.
fn strong_colour(draws: &mut Draws) -> [f64; 3] {
    let bright = draws.below(3);
    std::array::from_fn(|channel| match channel == bright {
        true => draws.between(0.8, 1.0),
        false => draws.between(0.1, 0.5),
    })
}
