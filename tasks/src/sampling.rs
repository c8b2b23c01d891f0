//! Sampling of initial states from the regions of a problem (`docs/reference/libero.md`, section 7).
//!
//! The generator is ChaCha8 seeded with `seed_from_u64`; a uniform number takes the upper 53 bits of one 64-bit word.
//! Order of draws: fixtures in file order (x, y, yaw), joints stated in `:init` in its order, movable objects in order
//! of `:init` (supports first), then the arm joints.
//!
//! Two properties of LIBERO's sampler are kept: on table and floor arenas the range of a movable object shrinks by its
//! placement radius on each side (which may invert it), and objects are dropped from a few centimetres.
//! Unlike LIBERO's, an object never starts inside its support. Fixture ranges do not shrink. An object whose model
//! states a range of yaw (a book) takes one more number, after x and y; a region of several ranges one before x and y.

use crate::assets::Assets;
use crate::bddl::{Predicate, PredicateInstance, Problem, Region};
use crate::error::TaskError;
use crate::extent::{lowest_point, support_top};
use crate::init_state::{InitState, pose_from_array};
use crate::predicates::joint_position::initial_range;
use crate::random::SampleStream;
use crate::scene::{arena_of, model_of};
use bitvla_sim::panda::RESET_QPOS;
use bitvla_sim::{ArenaDesc, JointKind, ModelDesc, isometry};
use nalgebra::{Isometry3, Quaternion, Vector3};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Standard deviation of the noise on the arm's reset posture, rad: that of LIBERO's stored states.
const ROBOT_NOISE: f64 = 0.02;

/// Height above the workspace, or above the object below, from which an object is dropped, m: LIBERO's.
const DROP_HEIGHT: f64 = 0.01;
/// Least gap between an object and its support at the start, m: more than the solver's contact distance, so that no
/// state starts in contact.
const CLEARANCE: f64 = 0.002;
/// Draws of one object before the whole state is rejected: LIBERO's limit.
const MAX_TRIES: usize = 5000;

/// A movable object that has been given a pose.
struct PlacedObject {
    /// Root position in the world frame, m.
    xyz: [f64; 3],
    quat_wxyz: [f64; 4],
    model: Arc<ModelDesc>,
    /// Stands on the arena's support; only those are kept apart from each other.
    on_support: bool,
}

impl PlacedObject {
    fn array(&self) -> [f64; 7] {
        let ([x, y, z], [w, i, j, k]) = (self.xyz, self.quat_wxyz);
        [x, y, z, w, i, j, k]
    }

    /// Returns true if the placement circles of the two do not overlap.
    fn is_clear_of(&self, other: &PlacedObject) -> bool {
        libm::hypot(other.xyz[0] - self.xyz[0], other.xyz[1] - self.xyz[1])
            > other.model.placement.horizontal_radius + self.model.placement.horizontal_radius
    }
}

/// Draws states of one problem from one stream of random numbers.
pub(crate) struct StateSampler<'a> {
    assets: &'a Assets,
    problem: &'a Problem,
    arena: Arc<ArenaDesc>,
    random: SampleStream,
    /// Width that is added to every range on each side, m.
    margin: f64,
}

impl<'a> StateSampler<'a> {
    /// Starts the stream of a seed; every range is wider by `margin` on each side, m.
    pub(crate) fn new(
        assets: &'a Assets,
        problem: &'a Problem,
        seed: u64,
        margin: f64,
    ) -> Result<StateSampler<'a>, TaskError> {
        let (_, arena) = arena_of(assets, problem)?;
        Ok(StateSampler {
            assets,
            problem,
            arena,
            random: SampleStream::new(seed),
            margin,
        })
    }

    /// Draws the next state; `None` if no free place was found for one of its objects.
    pub(crate) fn draw(&mut self) -> Result<Option<InitState>, TaskError> {
        let mut state = InitState {
            robot_qpos: RESET_QPOS,
            ..InitState::default()
        };
        self.draw_fixtures(&mut state)?;
        for instance in &self.problem.init {
            self.draw_joints(instance, &mut state)?;
        }
        if !self.draw_objects(&mut state)? {
            return Ok(None);
        }
        for q in state.robot_qpos.iter_mut().take(7) {
            *q += ROBOT_NOISE * self.random.normal();
        }
        Ok(Some(state))
    }

    fn draw_fixtures(&mut self, state: &mut InitState) -> Result<(), TaskError> {
        let problem = self.problem;
        let w = self.arena.workspace_offset;
        for fixture in problem.model_fixtures() {
            let (model, _) = self.assets.model(&fixture.category)?;
            let (instance, region) = (problem.init.iter())
                .filter(|f| f.predicate == Predicate::On && f.args[0] == fixture.name)
                .find_map(|f| Some((f, problem.region(&f.args[1])?)))
                .ok_or_else(|| problem.error(format!("`{}` is on no region", fixture.name)))?;
            let [x0, y0, x1, y1] = self.draw_range(instance, region)?;
            let random = &mut self.random;
            let (x, y) = (
                random.between([x0, x1]) + w[0],
                random.between([y0, y1]) + w[1],
            );
            let yaw = random.between(region.yaw);
            let z = w[2] + self.arena.fixture_z_offset - model.placement.bottom_offset;
            let (sin, cos) = (libm::sin(0.5 * yaw), libm::cos(0.5 * yaw));
            let pose = [x, y, z, cos, 0.0, 0.0, sin];
            state.fixtures.insert(fixture.name.clone(), pose);
        }
        Ok(())
    }

    /// Draws the joint positions that a predicate such as `(Open cabinet_top_region)` states; none for other predicates.
    fn draw_joints(
        &mut self,
        instance: &PredicateInstance,
        state: &mut InitState,
    ) -> Result<(), TaskError> {
        if !instance.predicate.is_of_joints() {
            return Ok(());
        }
        let problem = self.problem;
        let region = problem.region(&instance.args[0]);
        let owner = region.map_or(&instance.args[0], |r| &r.target);
        let model = model_of(self.assets, problem, instance, owner)?;
        let range = (model.articulation.as_ref())
            .and_then(|limits| initial_range(instance.predicate, limits))
            .ok_or_else(|| problem.error_at(instance, "the model states no range to sample"))?;
        let mut drawn = false;
        for body in &model.bodies {
            let is_meant = region.is_none_or(|r| body.site.iter().any(|s| s.name == r.local));
            if let (Some(joint), true) = (&body.joint, is_meant) {
                let joints = state.joints.entry(owner.clone()).or_default();
                joints.insert(joint.name.clone(), self.random.between(range));
                drawn = true;
            }
        }
        if !drawn {
            let message = format!("no joint of `{}` that it could set", instance.args[0]);
            return Err(problem.error_at(instance, message).into());
        }
        Ok(())
    }

    /// Draws the movable objects, each after the one that it stands on; false if one found no free place.
    fn draw_objects(&mut self, state: &mut InitState) -> Result<bool, TaskError> {
        let problem = self.problem;
        let is_object = |name: &str| problem.objects.iter().any(|o| o.name == name);
        let mut placed: BTreeMap<&str, PlacedObject> = BTreeMap::new();
        let mut waiting: Vec<&PredicateInstance> = (problem.init.iter())
            .filter(|f| f.predicate.is_placement() && is_object(&f.args[0]))
            .collect();
        while let Some(first) = waiting.first() {
            let next = (waiting.iter())
                .position(|f| !is_object(&f.args[1]) || placed.contains_key(f.args[1].as_str()))
                .ok_or_else(|| {
                    problem.error_at(first, "objects stand on each other in a circle")
                })?;
            let instance = waiting.remove(next);
            let Some(object) = self.draw_object(instance, state, &placed)? else {
                return Ok(false);
            };
            state
                .objects
                .insert(instance.args[0].clone(), object.array());
            placed.insert(&instance.args[0], object);
        }
        Ok(true)
    }

    /// Draws one object until it is clear of those on the same support; `None` after [`MAX_TRIES`].
    fn draw_object(
        &mut self,
        instance: &PredicateInstance,
        state: &InitState,
        placed: &BTreeMap<&str, PlacedObject>,
    ) -> Result<Option<PlacedObject>, TaskError> {
        for _ in 0..MAX_TRIES {
            let object = self.propose(instance, state, placed)?;
            let is_clear = !object.on_support
                || (placed.values())
                    .filter(|other| other.on_support)
                    .all(|other| object.is_clear_of(other));
            if is_clear {
                return Ok(Some(object));
            }
        }
        Ok(None)
    }

    /// Draws a pose for the first argument of `instance`, without regard to overlaps.
    fn propose(
        &mut self,
        instance: &PredicateInstance,
        state: &InitState,
        placed: &BTreeMap<&str, PlacedObject>,
    ) -> Result<PlacedObject, TaskError> {
        let problem = self.problem;
        let model = model_of(self.assets, problem, instance, &instance.args[0])?;
        let Some(region) = problem.region(&instance.args[1]) else {
            let below = (placed.get(instance.args[1].as_str()))
                .ok_or_else(|| problem.error_at(instance, "only objects can carry an object"))?;
            let [x, y, z] = below.xyz;
            let z =
                z + below.model.placement.top_offset - model.placement.bottom_offset + DROP_HEIGHT;
            return Ok(PlacedObject {
                xyz: [x, y, z],
                quat_wxyz: self.orientation(&model),
                model,
                on_support: false,
            });
        };
        if problem.is_support(&region.target) {
            let range = self.draw_range(instance, region)?;
            return Ok(self.on_support(&range, model));
        }
        let carrier = model_of(self.assets, problem, instance, &region.target)?;
        let base = (state.fixtures.get(&region.target))
            .map(pose_from_array)
            .ok_or_else(|| problem.error_at(instance, "the carrier of the region is not placed"))?;
        let joints = state.joints.get(&region.target);
        let (site, half) = site_in_root(&carrier, joints, &region.local)
            .ok_or_else(|| problem.error_at(instance, format!("no site `{}`", region.local)))?;
        let s = (base * site).translation.vector;
        let p = &model.placement;
        let xyz = match instance.predicate {
            Predicate::In => [s.x, s.y, s.z - p.bottom_offset],
            _ => {
                let reach = |h: f64| (0.5 * h - p.horizontal_radius).abs();
                let x = s.x + self.random.between([-reach(half[0]), reach(half[0])]);
                let y = s.y + self.random.between([-reach(half[1]), reach(half[1])]);
                [x, y, s.z + carrier.placement.top_offset - p.bottom_offset]
            }
        };
        Ok(PlacedObject {
            xyz,
            quat_wxyz: self.orientation(&model),
            model,
            on_support: false,
        })
    }

    /// Draws a pose over a range `[xmin, ymin, xmax, ymax]` (m, from the workspace origin) of the arena's support.
    fn on_support(&mut self, range: &[f64; 4], model: Arc<ModelDesc>) -> PlacedObject {
        let [x0, y0, x1, y1] = *range;
        let w = self.arena.workspace_offset;
        let p = &model.placement;
        let shrink = if self.arena.shrink_regions {
            p.horizontal_radius
        } else {
            0.0
        };
        let x = self.random.between([x0 + shrink, x1 - shrink]) + w[0];
        let y = self.random.between([y0 + shrink, y1 - shrink]) + w[1];
        let quat_wxyz = self.orientation(&model);
        let dropped = w[2] + DROP_HEIGHT - p.bottom_offset;
        // Beside every support there is nothing to start inside of.
        let z = support_top(&self.arena, x, y).map_or(dropped, |top| {
            dropped.max(top + CLEARANCE - lowest_point(&model, quat_wxyz))
        });
        PlacedObject {
            xyz: [x, y, z],
            quat_wxyz,
            model,
            on_support: true,
        }
    }

    /// One of the ranges of a region, widened. A number is drawn only where there are several.
    fn draw_range(
        &mut self,
        instance: &PredicateInstance,
        region: &Region,
    ) -> Result<[f64; 4], TaskError> {
        let [x0, y0, x1, y1] = match region.ranges.as_slice() {
            [] => {
                let message = "the region has no range";
                return Err(self.problem.error_at(instance, message).into());
            }
            [one] => *one,
            several => several[self.random.below(several.len())],
        };
        let m = self.margin;
        Ok([x0 - m, y0 - m, x1 + m, y1 + m])
    }

    /// Orientation `[w, x, y, z]` of a freshly placed object. A number is drawn only where the model states a range.
    fn orientation(&mut self, model: &ModelDesc) -> [f64; 4] {
        let placement = &model.placement;
        if placement.yaw_range == [0.0; 2] {
            return placement.quat_wxyz;
        }
        let half = 0.5 * self.random.between(placement.yaw_range);
        let turn = Quaternion::new(libm::cos(half), 0.0, 0.0, libm::sin(half));
        let [w, x, y, z] = placement.quat_wxyz;
        let q = turn * Quaternion::new(w, x, y, z);
        [q.w, q.i, q.j, q.k]
    }
}

/// Pose of a site in the root frame of its model at given joint positions, and its half sizes, m.
fn site_in_root(
    model: &ModelDesc,
    joints: Option<&BTreeMap<String, f64>>,
    name: &str,
) -> Option<(Isometry3<f64>, [f64; 3])> {
    let (mut at, site) = (model.bodies.iter().enumerate())
        .find_map(|(i, b)| Some((i, b.site.iter().find(|s| s.name == name)?)))?;
    let mut pose = isometry(site.pos, site.quat_wxyz);
    // Up the tree; a parent always stands before its child.
    while let Some(parent) = &model.bodies[at].parent {
        let body = &model.bodies[at];
        let mut here = isometry(body.pos, body.quat_wxyz);
        if let Some(joint) = &body.joint {
            // A joint that `:init` does not state is at zero, as in the scene.
            let q = joints
                .and_then(|j| j.get(&joint.name).copied())
                .unwrap_or(0.0);
            let axis = Vector3::from(joint.axis) * q;
            here *= match joint.kind {
                JointKind::Slide => Isometry3::translation(axis.x, axis.y, axis.z),
                JointKind::Hinge => Isometry3::rotation(axis),
            };
        }
        pose = here * pose;
        at = model.bodies.iter().position(|b| &b.name == parent)?;
    }
    Some((pose, site.half))
}
