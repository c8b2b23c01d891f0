//! How objects weigh and rub, and what becomes of commands.

use crate::{Draws, EpisodeKey};
use bitvla_sim::SceneDesc;
use serde::{Deserialize, Serialize};

/// A number, or a range from which one is drawn per episode.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ValueOrRange {
    /// The number.
    Value(f64),
    /// Least and most.
    Range([f64; 2]),
}

impl ValueOrRange {
    /// The number of an episode.
    pub fn of(self, key: EpisodeKey, name: &str) -> f64 {
        match self {
            ValueOrRange::Value(value) => value,
            ValueOrRange::Range([low, high]) => Draws::new(key, name).between(low, high),
        }
    }

    fn is_within(self, limits: [f64; 2]) -> bool {
        let inside = |v: f64| (limits[0]..=limits[1]).contains(&v);
        match self {
            ValueOrRange::Value(value) => inside(value),
            ValueOrRange::Range([low, high]) => inside(low) && inside(high) && low <= high,
        }
    }
}

impl std::fmt::Display for ValueOrRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ValueOrRange::Value(value) => write!(f, "{value}"),
            ValueOrRange::Range([low, high]) => write!(f, "[{low}, {high}]"),
        }
    }
}

/// Other bodies and other commands. Each value is a number or a range `[least, most]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhysicsChange {
    /// Factor of the mass and inertia of all movable objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mass: Option<ValueOrRange>,
    /// Factor of the sliding friction of all movable objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub friction: Option<ValueOrRange>,
    /// Factor of the commanded motion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<ValueOrRange>,
    /// Control steps by which commands arrive late; the arm holds still until the first arrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<ValueOrRange>,
    /// Standard deviation of noise in the commanded motion, in units of actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<ValueOrRange>,
}

impl PhysicsChange {
    pub(crate) fn check(&self) -> Result<(), String> {
        let fields = [
            ("mass", self.mass, [0.05, 20.0]),
            ("friction", self.friction, [0.01, 10.0]),
            ("gain", self.gain, [0.1, 3.0]),
            ("delay", self.delay, [0.0, 40.0]),
            ("noise", self.noise, [0.0, 1.0]),
        ];
        for (field, value, limits) in fields {
            if let Some(value) = value.filter(|value| !value.is_within(limits)) {
                return Err(format!(
                    "{field}: found {value}, expected a number or a range from {} to {}",
                    limits[0], limits[1]
                ));
            }
        }
        match fields.iter().all(|(_, value, _)| value.is_none()) {
            true => Err("found nothing, expected mass, friction, gain, delay or noise".to_owned()),
            false => Ok(()),
        }
    }

    /// Changes the bodies of movable objects; commands are those of [`ActionFilter`](crate::ActionFilter).
    pub(crate) fn apply(&self, scene: &mut SceneDesc, key: EpisodeKey) {
        let mass = self.mass.map(|v| v.of(key, "mass"));
        let friction = self.friction.map(|v| v.of(key, "friction"));
        if mass.is_none() && friction.is_none() {
            return;
        }
        for instance in scene.instances.iter_mut().filter(|i| !i.fixed) {
            let model = std::sync::Arc::make_mut(&mut instance.model);
            for body in &mut model.bodies {
                if let (Some(factor), Some(inertia)) = (mass, &mut body.inertia) {
                    inertia.mass *= factor;
                    inertia.diagonal = inertia.diagonal.map(|moment| moment * factor);
                }
                for shape in &mut body.collision {
                    shape.density *= mass.unwrap_or(1.0);
                    shape.friction *= friction.unwrap_or(1.0);
                }
            }
        }
    }
}
