//! Colours of table, walls and floor.

use crate::{Draws, EpisodeKey};
use bitvla_sim::SceneDesc;
use serde::{Deserialize, Serialize};

/// Share of the drawn colour of a level, per level.
pub(crate) const SHARE_OF_LEVEL: f64 = 0.2;
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
}

fn is_all(surfaces: &Surfaces) -> bool {
    *surfaces == Surfaces::All
}

impl BackgroundChange {
    pub(crate) fn check(&self) -> Result<(), String> {
        match (self.level, self.draw) {
            (None, None) | (Some(_), Some(_)) => Err("expected either level or draw".to_owned()),
            _ => Ok(()),
        }
    }

    pub(crate) fn apply(&self, scene: &mut SceneDesc, key: EpisodeKey) {
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
        let kinds: &[&[&str]] = match self.surfaces {
            Surfaces::Table => &[&TABLE],
            Surfaces::TableWall => &[&TABLE, &WALL],
            Surfaces::All => &[&TABLE, &WALL, &FLOOR],
        };
        let arena = std::sync::Arc::make_mut(&mut scene.arena);
        for kind in kinds {
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
