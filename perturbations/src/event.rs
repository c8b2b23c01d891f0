//! Events in mid-episode, when the hand comes near the object that the task is about: those of LIBERO-MAX (`src/libero_max/hard.py`), each in two draws, and
//! LIBERO-PRO's object that moves when the hand is near.

use crate::image_filter::SensorFault;
use crate::layout::{Layout, standing_instance};
use crate::target::Target;
use crate::{CameraChange, Draws, EpisodeKey, LightChange, PerturbationError};
use bitvla_sim::{ArenaDesc, SceneDesc, SceneEvent};
use bitvla_tasks::{Assets, InitState, Task};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Distance between hand and target at which an event happens, m.
const RADIUS: f64 = 0.18;
/// Factors of all light, by draw.
const LIGHT: [f64; 2] = [0.20, 1.80];
/// Shift of the camera (m), turn in its place and change of the field of view (degrees), by draw.
const CAMERA: [([f64; 3], f64, f64); 2] = [
    ([0.06, 0.0, 0.02], 18.0, 12.0),
    ([-0.06, 0.03, 0.0], -22.0, -12.0),
];
/// Order of the colour channels and their factors, by draw.
const THEME: [([usize; 3], [f64; 3]); 2] = [
    ([2, 0, 1], [0.70, 1.15, 1.30]),
    ([1, 2, 0], [1.25, 0.70, 1.10]),
];
/// Standard deviation of the noise of every pixel (of 255) and hidden share of the image, by draw.
const SENSOR: [(f64, f64); 2] = [(24.0, 0.08), (36.0, 0.16)];
/// Shift of the target or of the receptacle, m, by draw.
const SHIFT: [f64; 2] = [0.06, 0.12];
/// Directions of a shift, the first of which that is free is taken.
const DIRECTIONS: [[f64; 2]; 4] = [[0.0, 1.0], [0.0, -1.0], [-1.0, 0.0], [1.0, 0.0]];
/// Distances of the extra objects from the target, m.
const RING: [f64; 2] = [0.09, 0.17];
/// Number of the extra objects.
const RING_OBJECTS: usize = 5;
/// Categories of the extra objects: small enough for the ring.
const RING_CATEGORIES: [&str; 6] = [
    "cream_cheese",
    "butter",
    "chocolate_pudding",
    "tomato_sauce",
    "alphabet_soup",
    "cookies",
];
/// Place of the obstacle relative to the target, m, by draw.
const OBSTACLE: [[f64; 2]; 2] = [[0.14, 0.0], [0.0, -0.14]];
/// Category of the obstacle: the tallest of the objects that stand by themselves.
const OBSTACLE_CATEGORY: &str = "milk";

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// All light gets weaker or stronger.
    Light,
    /// The camera that looks at the table moves.
    Camera,
    /// The surroundings change their colours.
    Theme,
    /// Both cameras get noise and a hidden part.
    Sensor,
    /// The object that the task is about moves.
    Target,
    /// The object that it goes to moves.
    Receptacle,
    /// Five objects appear around the target.
    Distractors,
    /// A milk carton appears beside the target.
    Obstacle,
}

impl EventKind {
    /// All of them.
    pub const ALL: [EventKind; 8] = [
        EventKind::Light,
        EventKind::Camera,
        EventKind::Theme,
        EventKind::Sensor,
        EventKind::Target,
        EventKind::Receptacle,
        EventKind::Distractors,
        EventKind::Obstacle,
    ];

    /// Word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Light => "light",
            EventKind::Camera => "camera",
            EventKind::Theme => "theme",
            EventKind::Sensor => "sensor",
            EventKind::Target => "target",
            EventKind::Receptacle => "receptacle",
            EventKind::Distractors => "distractors",
            EventKind::Obstacle => "obstacle",
        }
    }
}

/// A change in mid-episode. Until then the episode is bit for bit the one without it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventChange {
    /// What happens.
    pub kind: EventKind,
    /// Draw 0 or 1 of LIBERO-MAX: weaker and stronger, or one direction and another.
    #[serde(default, skip_serializing_if = "is_first")]
    pub draw: u8,
    /// Distance between hand and target at which it happens, m; 0.18 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<f64>,
    /// Control step of the episode in which it happens at the latest; never without a near hand if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<u32>,
    /// Shift of the target or of the receptacle in place of that of the draw, m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<[f64; 2]>,
}

fn is_first(draw: &u8) -> bool {
    *draw == 0
}

impl EventChange {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.draw > 1 {
            return Err(format!("draw: found {}, expected 0 or 1", self.draw));
        }
        if let Some(radius) = self.radius.filter(|r| !(0.01..=2.0).contains(r)) {
            return Err(format!("radius: found {radius}, expected 0.01 to 2 m"));
        }
        let Some(offset) = self.offset else {
            return Ok(());
        };
        if !matches!(self.kind, EventKind::Target | EventKind::Receptacle) {
            return Err("found offset, expected it with kind=target or receptacle only".to_owned());
        }
        match offset.iter().all(|v| v.abs() <= 0.5) {
            true => Ok(()),
            false => Err(format!("offset: found {offset:?}, expected -0.5 to 0.5 m")),
        }
    }

    /// What a draw does, in words.
    pub(crate) fn strength(kind: EventKind, draw: u8) -> String {
        let at = usize::from(draw.min(1));
        match kind {
            EventKind::Light => format!("light x {}", LIGHT[at]),
            EventKind::Camera => format!("camera turned by {} degrees", CAMERA[at].1),
            EventKind::Theme => format!("colours {at}"),
            EventKind::Sensor => format!(
                "sigma {}, {:.0} % hidden",
                SENSOR[at].0,
                100.0 * SENSOR[at].1
            ),
            EventKind::Target | EventKind::Receptacle => format!("{:.0} cm", 100.0 * SHIFT[at]),
            EventKind::Distractors => format!("{RING_OBJECTS} objects, sample {at}"),
            EventKind::Obstacle => format!("at {:?} m", OBSTACLE[at]),
        }
    }

    /// What becomes of the images afterwards.
    pub(crate) fn sensor_fault(&self) -> Option<SensorFault> {
        let (sigma, hidden) = SENSOR[usize::from(self.draw.min(1))];
        (self.kind == EventKind::Sensor).then(|| SensorFault {
            sigma: Some(sigma),
            hidden: Some(hidden),
            ..SensorFault::default()
        })
    }

    /// The event of an episode. What is to appear is added to the scene, behind all other instances.
    ///
    /// # Errors
    /// If the task lacks what the event moves, or there is no room.
    pub(crate) fn prepare(
        &self,
        assets: &Assets,
        (task, state, scene): (&Task, &InitState, &mut SceneDesc),
        key: EpisodeKey,
        settle_steps: u32,
    ) -> Result<SceneEvent, PerturbationError> {
        let refuse = |what: String| PerturbationError::Task {
            task: task.id,
            what: format!("event: {what}"),
        };
        let target = Target::of(task).ok_or_else(|| refuse("found no goal".to_owned()))?;
        let instance = scene.instance(&target.instance);
        let instance = instance.ok_or_else(|| refuse(format!("found no `{}`", target.instance)))?;
        let model = &scene.instances[instance].model;
        let has_site = |site: &String| {
            let mut sites = model.bodies.iter().flat_map(|body| &body.site);
            sites.any(|known| known.name == *site)
        };
        let mut event = SceneEvent {
            instance,
            site: target.site.clone().filter(has_site),
            radius: self.radius.unwrap_or(RADIUS),
            earliest: settle_steps,
            latest: self
                .latest
                .map(|latest| latest.saturating_add(settle_steps)),
            ..SceneEvent::default()
        };
        let at = usize::from(self.draw.min(1));
        match self.kind {
            EventKind::Light | EventKind::Camera | EventKind::Theme => {
                let mut after = scene.clone();
                match self.kind {
                    EventKind::Light => {
                        let change = LightChange {
                            brightness: Some(LIGHT[at]),
                            ..LightChange::default()
                        };
                        change.apply(&mut after, key);
                    }
                    EventKind::Camera => {
                        let (offset, turn, fovy) = CAMERA[at];
                        let change = CameraChange {
                            offset: Some(offset),
                            roll: Some(turn),
                            fovy: Some(fovy),
                            ..CameraChange::default()
                        };
                        change.apply(&mut after, key);
                    }
                    _ => apply_theme(Arc::make_mut(&mut after.arena), THEME[at]),
                }
                event.arena = Some(after.arena);
            }
            EventKind::Sensor => {}
            EventKind::Target | EventKind::Receptacle => {
                let moved = match self.kind {
                    EventKind::Target => Some(&target.instance).filter(|_| target.is_movable),
                    _ => target.receptacle.as_ref(),
                };
                let moved = moved.ok_or_else(|| {
                    let what = self.kind.name();
                    refuse(format!("kind={what}: found no {what} that can move"))
                })?;
                let by = match self.offset {
                    Some(offset) => offset,
                    None => {
                        let layout = Layout::read(assets, task, state)?;
                        let shift = |d: &[f64; 2]| d.map(|v| v * SHIFT[at]);
                        let free = DIRECTIONS
                            .iter()
                            .map(shift)
                            .find(|by| layout.can_shift(moved, *by));
                        free.unwrap_or(shift(&DIRECTIONS[0]))
                    }
                };
                let moved = scene
                    .instance(moved)
                    .ok_or_else(|| refuse(format!("found no `{moved}`")))?;
                event.shifted.push((moved, [by[0], by[1], 0.0]));
            }
            EventKind::Distractors | EventKind::Obstacle => {
                let layout = Layout::read(assets, task, state)?;
                let centre = scene.instances[instance].pose.translation;
                let centre = [centre.x, centre.y];
                let mut appear = |category: &str, at: [f64; 2]| -> Result<(), PerturbationError> {
                    let number = scene.instances.len();
                    let name = format!("event_{category}_{number}");
                    let placed = standing_instance(assets, &scene.arena, (&name, category), at)?;
                    event.appearing.push(number);
                    scene.instances.push(placed);
                    Ok(())
                };
                if self.kind == EventKind::Obstacle {
                    let [dx, dy] = OBSTACLE[at];
                    appear(OBSTACLE_CATEGORY, [centre[0] + dx, centre[1] + dy])?;
                } else {
                    let mut draws = Draws::at_step(key, "event-ring", at);
                    for place in layout.ring(centre, RING, RING_OBJECTS, &mut draws) {
                        let category = RING_CATEGORIES[draws.below(RING_CATEGORIES.len())];
                        appear(category, place)?;
                    }
                }
            }
        }
        Ok(event)
    }
}

/// Exchanges and scales the colour channels of the surroundings; textures from files keep their hues.
fn apply_theme(arena: &mut ArenaDesc, (order, factors): ([usize; 3], [f64; 3])) {
    let exchanged = |rgb: [f64; 3]| order.map(|from| rgb[from]);
    for material in arena.model.materials.values_mut() {
        let rgb = exchanged(material.rgb);
        material.rgb = std::array::from_fn(|i| (rgb[i] * factors[i]).min(1.0));
        for colour in material.texture.iter_mut().flat_map(|t| &mut t.colors) {
            *colour = exchanged(*colour);
        }
    }
}
