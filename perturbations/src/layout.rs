//! Where objects lie, and objects that do not belong.

use crate::object::resize_in_place;
use crate::target::Target;
use crate::{Draws, EpisodeKey, PerturbationError};
use bitvla_sim::{ArenaDesc, InstanceDesc, ModelDesc, SceneDesc, isometry};
use bitvla_tasks::bddl::{ObjectDecl, Predicate};
use bitvla_tasks::extent::{extent, footprint_radius, lowest_point, support_top};
use bitvla_tasks::{Assets, InitState, Task};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Largest displacement of a level, m per level: that of LIBERO-plus.
pub(crate) const DISPLACEMENT_OF_LEVEL: f64 = 0.03;
/// Largest number of extra objects: that of LIBERO-plus.
const MAX_DISTRACTORS: u8 = 5;
/// Gap between the circles of an extra object and its neighbours, m.
const GAP: f64 = 0.02;
/// Gap between an extra object and the support at the start, m.
const CLEARANCE: f64 = 0.002;
/// Half sizes of the area of extra objects about the origin of the workspace, m; x points away from the robot.
const AREA: [f64; 2] = [0.25, 0.32];
/// Distance from the base of the robot beyond which no object is moved, m.
const REACH: f64 = 0.80;
/// Radius that an object of [`Layout::ring`] keeps for itself, m.
const RING_OBJECT_RADIUS: f64 = 0.035;
/// Draws of one object before it stays where it is, or is given up.
const MAX_TRIES: usize = 400;
/// Category, factor of size and place relative to the target (m) of the object in front of it: those of LIBERO-PRO.
const OCCLUDER: &str = "black_book";
const OCCLUDER_SCALE: f64 = 1.6;
const OCCLUDER_OFFSET: [f64; 2] = [0.08, 0.0];
/// Extra objects by category; those of the task itself are left out.
const DISTRACTORS: [&str; 12] = [
    "cream_cheese",
    "butter",
    "tomato_sauce",
    "ketchup",
    "chocolate_pudding",
    "milk",
    "orange_juice",
    "alphabet_soup",
    "bbq_sauce",
    "salad_dressing",
    "cookies",
    "porcelain_mug",
];

/// Objects that stand on the support of the scene, moved; and extra ones. What is stacked moves with what it stands on; what a fixture
/// carries stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayoutChange {
    /// Strength 1 to 5: moved by up to 3 cm per level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Largest displacement, m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub displacement: Option<f64>,
    /// Number of a sample: the same displacement in every initial state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<u8>,
    /// Number of extra objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distractors: Option<u8>,
    /// The object that the task is about changes places with another one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub swap: bool,
    /// Shift of the object that the task is about, m; where that place is taken, the nearest of the other three quarters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_offset: Option<[f64; 2]>,
    /// Turn of that object about the vertical, degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_yaw: Option<f64>,
    /// A large book that cannot be moved stands between that object and the camera.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub occluder: bool,
}

/// A circle on the support.
#[derive(Clone, Copy)]
struct Circle {
    centre: [f64; 2],
    radius: f64,
}

impl Circle {
    fn distance(&self, other: &Circle) -> f64 {
        let [dx, dy] = [0, 1].map(|k| self.centre[k] - other.centre[k]);
        libm::hypot(dx, dy)
    }
}

/// A rectangle on the support that a fixture stands in.
#[derive(Clone, Copy)]
struct Rectangle {
    low: [f64; 2],
    high: [f64; 2],
}

impl Rectangle {
    /// Distance of a point; 0 inside.
    fn distance(&self, point: [f64; 2]) -> f64 {
        let [dx, dy] = [0, 1].map(|k| {
            (self.low[k] - point[k])
                .max(point[k] - self.high[k])
                .max(0.0)
        });
        libm::hypot(dx, dy)
    }
}

impl LayoutChange {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.level.is_some() && self.displacement.is_some() {
            return Err("found level and displacement, expected one of them at most".to_owned());
        }
        if *self == LayoutChange::default() || self.sample.is_some() && self.largest().is_none() {
            return Err("found nothing, expected level, displacement, distractors, swap, target_offset, target_yaw or occluder".to_owned());
        }
        if let Some(offset) = self
            .target_offset
            .filter(|o| !o.iter().all(|v| v.abs() <= 0.5))
        {
            return Err(format!(
                "target_offset: found {offset:?}, expected -0.5 to 0.5 m"
            ));
        }
        if let Some(yaw) = self.target_yaw.filter(|v| v.is_nan() || v.abs() > 180.0) {
            return Err(format!(
                "target_yaw: found {yaw}, expected -180 to 180 degrees"
            ));
        }
        if let Some(d) = self.displacement.filter(|d| !(0.0..=0.3).contains(d)) {
            return Err(format!("displacement: found {d}, expected 0 to 0.3 m"));
        }
        match self.distractors.filter(|n| *n > MAX_DISTRACTORS) {
            Some(n) => Err(format!(
                "distractors: found {n}, expected 0 to {MAX_DISTRACTORS}"
            )),
            None => Ok(()),
        }
    }

    /// Largest displacement, m.
    fn largest(&self) -> Option<f64> {
        let of_level = self
            .level
            .map(|level| DISPLACEMENT_OF_LEVEL * f64::from(level));
        self.displacement.or(of_level)
    }

    /// Puts the book of [`LayoutChange::occluder`] in front of the target, seen from the camera.
    ///
    /// # Errors
    /// If the task is about nothing in the scene.
    pub(crate) fn apply_to_scene(
        &self,
        assets: &Assets,
        task: &Task,
        scene: &mut SceneDesc,
    ) -> Result<(), PerturbationError> {
        if !self.occluder {
            return Ok(());
        }
        let target = Target::of(task).and_then(|target| scene.instance(&target.instance));
        let target = target.ok_or_else(|| PerturbationError::Task {
            task: task.id,
            what: "layout: occluder: found a goal about nothing in the scene".to_owned(),
        })?;
        let centre = scene.instances[target].pose.translation;
        let at = [centre.x + OCCLUDER_OFFSET[0], centre.y + OCCLUDER_OFFSET[1]];
        let mut book = standing_instance(assets, &scene.arena, ("occluder", OCCLUDER), at)?;
        resize_in_place(&mut book, OCCLUDER_SCALE);
        book.fixed = true;
        scene.instances.push(book);
        Ok(())
    }

    /// Moves the objects of a state and adds extra ones to it and to its task.
    ///
    /// # Errors
    /// If a model cannot be read, or there is no free place for an extra object.
    pub(crate) fn apply(
        &self,
        assets: &Assets,
        task: &mut Task,
        state: &mut InitState,
        key: EpisodeKey,
    ) -> Result<(), PerturbationError> {
        let mut layout = Layout::read(assets, task, state)?;
        let refuse = |what: &str| PerturbationError::Task {
            task: task.id,
            what: format!("layout: {what}"),
        };
        if self.swap || self.target_offset.is_some() || self.target_yaw.is_some() {
            let target = Target::of(task).map(|target| target.instance);
            let target = target.unwrap_or_default();
            let base = layout.base_of(&target).ok_or_else(|| {
                refuse("found a goal about nothing that the table carries, expected such an object")
            })?;
            if self.swap {
                let mut draws = Draws::new(EpisodeKey { init: 0, ..key }, "layout-swap");
                let swapped = layout.swap(base, state, &mut draws);
                swapped.ok_or_else(|| refuse("swap: found no object to change places with"))?;
            }
            if let Some(offset) = self.target_offset {
                layout.shift_target(base, offset, state);
            }
            if let (Some(yaw), Some(pose)) = (self.target_yaw, state.objects.get_mut(&target)) {
                turn(pose, yaw);
            }
        }
        if let Some(displacement) = self.largest() {
            let mut draws = match self.sample {
                Some(sample) => Draws::at_step(
                    EpisodeKey { init: 0, ..key },
                    "layout-sample",
                    sample.into(),
                ),
                None => Draws::new(key, "layout"),
            };
            layout.displace(displacement, state, &mut draws);
        }
        let count = usize::from(self.distractors.unwrap_or(0));
        let mut draws = Draws::new(key, "distractors");
        let mut categories: Vec<&str> = DISTRACTORS.to_vec();
        categories.retain(|c| task.problem.objects.iter().all(|o| o.category != *c));
        for number in 0..count {
            let category = categories.remove(draws.below(categories.len()));
            let (model, _) = assets.model(category)?;
            let circle = layout.free_place(radius_of(&model), &mut draws);
            let circle = circle.ok_or_else(|| PerturbationError::Task {
                task: task.id,
                what: format!(
                    "layout: found no free place for extra object {} of {count}",
                    number + 1
                ),
            })?;
            let name = format!("extra_{category}_{}", number + 1);
            let ([x, y], [w, i, j, k]) = (circle.centre, model.placement.quat_wxyz);
            let z = standing_height(&layout.arena, &model, [x, y]);
            state.objects.insert(name.clone(), [x, y, z, w, i, j, k]);
            task.problem.objects.push(ObjectDecl {
                name: name.clone(),
                category: category.to_owned(),
            });
            layout.standing.push((name, circle));
        }
        Ok(())
    }
}

/// Radius of the circle about an object that others keep out of, m: that of its shapes, or of its placement if that is larger.
fn radius_of(model: &ModelDesc) -> f64 {
    let placement = &model.placement;
    let own = footprint_radius(model, placement.quat_wxyz);
    own.max(placement.horizontal_radius)
}

/// An object of a category that stands at a place of the support, m.
///
/// # Errors
/// If the model cannot be read.
pub(crate) fn standing_instance(
    assets: &Assets,
    arena: &ArenaDesc,
    (name, category): (&str, &str),
    [x, y]: [f64; 2],
) -> Result<InstanceDesc, PerturbationError> {
    let (model, _) = assets.model(category)?;
    let quat = model.placement.quat_wxyz;
    let z = standing_height(arena, &model, [x, y]);
    Ok(InstanceDesc {
        name: name.to_owned(),
        pose: isometry([x, y, z], quat),
        model,
        fixed: false,
        joint_positions: BTreeMap::new(),
    })
}

/// z of the root of a model that stands at a place of the support, m.
fn standing_height(arena: &ArenaDesc, model: &ModelDesc, [x, y]: [f64; 2]) -> f64 {
    let top = support_top(arena, x, y).unwrap_or(arena.workspace_offset[2]);
    top + CLEARANCE - lowest_point(model, model.placement.quat_wxyz)
}

/// Turns a pose, position and `[w, x, y, z]`, about the vertical through its origin, degrees.
fn turn(pose: &mut [f64; 7], degrees: f64) {
    let half = degrees.to_radians() / 2.0;
    let (s, c) = (libm::sin(half), libm::cos(half));
    let [.., w, x, y, z] = *pose;
    pose[3..].copy_from_slice(&[c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w]);
}

/// What stands where.
pub(crate) struct Layout {
    arena: Arc<ArenaDesc>,
    /// Objects on the support, in the order of the task.
    standing: Vec<(String, Circle)>,
    /// Objects on another object, with it.
    stacked: Vec<(String, String)>,
    /// Fixtures.
    fixed: Vec<Rectangle>,
}

impl Layout {
    pub(crate) fn read(
        assets: &Assets,
        task: &Task,
        state: &InitState,
    ) -> Result<Layout, PerturbationError> {
        let arena = task.scene(assets, state)?.arena;
        let radius = |category: &str| -> Result<f64, PerturbationError> {
            Ok(radius_of(&assets.model(category)?.0))
        };
        let circle = |pose: &[f64; 7], radius: f64| Circle {
            centre: [pose[0], pose[1]],
            radius,
        };
        let problem = &task.problem;
        let below: BTreeMap<&str, &str> = (problem.init.iter())
            .filter(|fact| matches!(fact.predicate, Predicate::On | Predicate::In))
            .filter_map(|fact| Some((fact.args.first()?.as_str(), fact.args.get(1)?.as_str())))
            .collect();
        let mut layout = Layout {
            arena,
            standing: Vec::new(),
            stacked: Vec::new(),
            fixed: Vec::new(),
        };
        for object in &problem.objects {
            let (Some(pose), Some(below)) = (
                state.objects.get(&object.name),
                below.get(object.name.as_str()),
            ) else {
                continue;
            };
            match problem.region(below) {
                Some(region) if problem.is_support(&region.target) => {
                    let circle = circle(pose, radius(&object.category)?);
                    layout.standing.push((object.name.clone(), circle));
                }
                // A fixture carries it.
                Some(_) => {}
                None => layout
                    .stacked
                    .push((object.name.clone(), (*below).to_owned())),
            }
        }
        for fixture in problem.model_fixtures() {
            if let Some([x, y, z, w, i, j, k]) = state.fixtures.get(&fixture.name) {
                let root = isometry([*x, *y, *z], [*w, *i, *j, *k]);
                let (low, high) = extent(&assets.model(&fixture.category)?.0, root);
                layout.fixed.push(Rectangle {
                    low: [low[0], low[1]],
                    high: [high[0], high[1]],
                });
            }
        }
        Ok(layout)
    }

    /// Moves every object on the support by up to `most` (m), uniformly over the disc; none comes closer to another one than both
    /// their circles and their old distance allow.
    fn displace(&mut self, most: f64, state: &mut InitState, draws: &mut Draws) {
        for i in 0..self.standing.len() {
            let (name, old) = self.standing[i].clone();
            for _ in 0..MAX_TRIES {
                let angle = draws.between(0.0, std::f64::consts::TAU);
                let length = most * libm::sqrt(draws.uniform());
                let by = [length * libm::cos(angle), length * libm::sin(angle)];
                let new = Circle {
                    centre: [old.centre[0] + by[0], old.centre[1] + by[1]],
                    ..old
                };
                if self.is_clear(i, &old, &new) {
                    self.standing[i].1 = new;
                    self.shift(&name, by, state);
                    break;
                }
            }
        }
    }

    /// Index of the object on the support that carries an object, or is it; `None` if a fixture carries it.
    fn base_of(&self, name: &str) -> Option<usize> {
        let mut name = name;
        // No longer than there are objects: a stack has no circle.
        for _ in 0..=self.stacked.len() {
            if let Some(found) = self.standing.iter().position(|(known, _)| known == name) {
                return Some(found);
            }
            let below = self.stacked.iter().find(|(above, _)| above == name);
            name = &below?.1;
        }
        None
    }

    /// True if an object can be shifted on the support without coming nearer to another one than both allow.
    pub(crate) fn can_shift(&self, name: &str, by: [f64; 2]) -> bool {
        let found = self.standing.iter().position(|(known, _)| known == name);
        found.is_some_and(|i| {
            let old = self.standing[i].1;
            let centre = [old.centre[0] + by[0], old.centre[1] + by[1]];
            self.is_clear(i, &old, &Circle { centre, ..old })
        })
    }

    /// Shifts the object of index `target` by an offset, or by it mirrored in one or both axes where that place is taken.
    fn shift_target(&mut self, target: usize, [dx, dy]: [f64; 2], state: &mut InitState) {
        let name = self.standing[target].0.clone();
        let quarters = [[dx, dy], [dx, -dy], [-dx, dy], [-dx, -dy]];
        let free = quarters.iter().find(|by| self.can_shift(&name, **by));
        let by = *free.unwrap_or(&quarters[0]);
        let centre = &mut self.standing[target].1.centre;
        *centre = [centre[0] + by[0], centre[1] + by[1]];
        self.shift(&name, by, state);
    }

    /// Exchanges the places of the object of index `target` and of a drawn one; `None` if there is no other.
    fn swap(&mut self, target: usize, state: &mut InitState, draws: &mut Draws) -> Option<()> {
        let mut others: Vec<usize> = (0..self.standing.len()).filter(|i| *i != target).collect();
        // Of the same kind, a change of places is none.
        let kind = |i: usize| {
            self.standing[i]
                .0
                .trim_end_matches(|c: char| c.is_ascii_digit())
        };
        others.retain(|i| kind(*i) != kind(target));
        if others.is_empty() {
            return None;
        }
        let other = others[draws.below(others.len())];
        let [a, b] = [target, other].map(|i| self.standing[i].1.centre);
        let by = [b[0] - a[0], b[1] - a[1]];
        let names = [target, other].map(|i| self.standing[i].0.clone());
        self.shift(&names[0], by, state);
        self.shift(&names[1], by.map(|v| -v), state);
        self.standing[target].1.centre = b;
        self.standing[other].1.centre = a;
        Some(())
    }

    /// Up to `count` places on a ring about a point, clear of what stands there and of each other as far as there is room, m.
    pub(crate) fn ring(
        &self,
        centre: [f64; 2],
        [least, most]: [f64; 2],
        count: usize,
        draws: &mut Draws,
    ) -> Vec<[f64; 2]> {
        let mut places: Vec<Circle> = Vec::new();
        for _ in 0..MAX_TRIES {
            if places.len() == count {
                break;
            }
            let (radius, angle) = (
                draws.between(least, most),
                draws.between(0.0, std::f64::consts::TAU),
            );
            let place = Circle {
                centre: [
                    centre[0] + radius * libm::cos(angle),
                    centre[1] + radius * libm::sin(angle),
                ],
                radius: RING_OBJECT_RADIUS,
            };
            let mut others = self
                .standing
                .iter()
                .map(|(_, circle)| circle)
                .chain(&places);
            let mut fixed = self.fixed.iter();
            if others.all(|o| place.distance(o) > place.radius + o.radius.min(RING_OBJECT_RADIUS))
                && fixed.all(|f| f.distance(place.centre) > place.radius)
            {
                places.push(place);
            }
        }
        places.into_iter().map(|place| place.centre).collect()
    }

    fn is_clear(&self, moved: usize, old: &Circle, new: &Circle) -> bool {
        let others = self.standing.iter().enumerate();
        let others = others
            .filter(|(i, _)| *i != moved)
            .map(|(_, (_, circle))| circle);
        let base = self.arena.robot_base_pos;
        let reach = |c: &Circle| libm::hypot(c.centre[0] - base[0], c.centre[1] - base[1]);
        let near = reach(new) < REACH.max(reach(old));
        let mut fixed = self.fixed.iter();
        near && others
            .into_iter()
            .all(|o| new.distance(o) >= old.distance(o).min(new.radius + o.radius))
            && fixed.all(|f| f.distance(new.centre) >= f.distance(old.centre).min(new.radius))
    }

    /// Shifts an object and everything that is stacked on it.
    fn shift(&self, name: &str, by: [f64; 2], state: &mut InitState) {
        if let Some(pose) = state.objects.get_mut(name) {
            pose[0] += by[0];
            pose[1] += by[1];
        }
        for (above, _) in self.stacked.iter().filter(|(_, below)| below == name) {
            self.shift(above, by, state);
        }
    }

    /// A place on the support that is clear of everything; `None` if none was found.
    fn free_place(&self, radius: f64, draws: &mut Draws) -> Option<Circle> {
        (0..MAX_TRIES).find_map(|_| {
            let centre =
                [0, 1].map(|k| self.arena.workspace_offset[k] + draws.between(-AREA[k], AREA[k]));
            let place = Circle { centre, radius };
            let mut others = self.standing.iter().map(|(_, circle)| circle);
            let mut fixed = self.fixed.iter();
            let clear = others.all(|o| place.distance(o) > radius + o.radius + GAP)
                && fixed.all(|f| f.distance(centre) > radius + GAP);
            clear.then_some(place)
        })
    }
}
