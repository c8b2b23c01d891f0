//! The fixture poses that LIBERO's evaluation draws, reproduced number by number (`docs/reference/libero.md`, sections 7
//! and 8).
//!
//! LIBERO seeds numpy's global generator (MT19937) with 0 once per task and resets the world before each episode. A
//! reset takes, in this order: seven normal numbers for the robot (times zero), one uniform number for every predicate of
//! joints in `:init` (open, close, on, off), as often as the world was reset before (the list of samplers grows; its length is
//! two in the first episode), then x, y and angles for everything that `:init` puts on a region of the arena, in
//! its order, then the same for objects on sites of fixtures, then for objects on objects. Where a region has several
//! ranges the number of one is taken before x and y. A movable object that comes too close to something placed before
//! takes them again. Objects are drawn only to keep the stream in step; their
//! poses come from the initial state.

use crate::assets::Assets;
use crate::bddl::{Predicate, Problem};
use crate::error::TaskError;
use crate::numpy_random::NumpyRandom;
use crate::scene::arena_of;
use bitvla_sim::{ArenaDesc, PlacementDesc};
use std::collections::BTreeMap;

/// Seed of LIBERO's evaluation.
const SEED: u32 = 0;
/// Resets before the first episode, counted in lists of articulation samplers.
const EARLIER_RESETS: usize = 2;
/// Draws of one object before LIBERO gives up.
const MAX_TRIES: usize = 5000;
/// Height above the workspace from which LIBERO drops movable objects, m.
const DROP_HEIGHT: f64 = 0.01;
/// Categories that LIBERO rotates about two axes, which takes two numbers instead of one.
const ROTATED_ABOUT_TWO_AXES: [&str; 7] = [
    "ketchup",
    "macaroni_and_cheese",
    "mayo",
    "milk",
    "new_salad_dressing",
    "orange_juice",
    "salad_dressing",
];

/// Fixtures of one state: x, y, z (m), quaternion w, x, y, z.
pub(super) type PosesByName = BTreeMap<String, [f64; 7]>;

/// Draws the fixture poses of the first episodes of a task; placement figures come from the models in `assets`.
///
/// # Errors
/// Fails if a category or the arena has no model, or `:init` cannot be drawn.
pub(super) fn draw_fixture_poses(
    assets: &Assets,
    problem: &Problem,
    episodes: usize,
) -> Result<Vec<PosesByName>, TaskError> {
    let (_, arena) = arena_of(assets, problem)?;
    let plan = ResetPlan::new(assets, problem)?;
    let mut rng = NumpyRandom::new(SEED);
    (0..episodes)
        .map(|episode| plan.reset(problem, &arena, EARLIER_RESETS + episode, &mut rng))
        .collect()
}

/// An object or fixture that `:init` puts on a region of the arena.
struct RegionPlacement<'a> {
    name: &'a str,
    fixture: bool,
    /// At least one, `[xmin, ymin, xmax, ymax]` in m.
    ranges: &'a [[f64; 4]],
    yaw: [f64; 2],
    rotations: usize,
    placement: PlacementDesc,
}

/// Draws of one reset.
struct ResetPlan<'a> {
    articulated: usize,
    placements: Vec<RegionPlacement<'a>>,
    /// Numbers for objects on sites and on objects. Those are never drawn again in LIBERO's files: they are higher
    /// than whatever they could come too close to.
    elevated: usize,
}

impl<'a> ResetPlan<'a> {
    fn new(assets: &Assets, problem: &'a Problem) -> Result<ResetPlan<'a>, TaskError> {
        let mut plan = ResetPlan {
            articulated: 0,
            placements: Vec::new(),
            elevated: 0,
        };
        for instance in &problem.init {
            if instance.predicate.is_of_joints() {
                plan.articulated += 1;
                continue;
            }
            let name = instance.args[0].as_str();
            let object = problem.objects.iter().find(|t| t.name == name);
            let decl = object.or_else(|| problem.model_fixtures().find(|t| t.name == name));
            let Some(decl) = decl else {
                return Err(problem
                    .error_at(instance, "only objects and fixtures are placed")
                    .into());
            };
            let rotations = if ROTATED_ABOUT_TWO_AXES.contains(&decl.category.as_str()) {
                2
            } else {
                1
            };
            let region = problem.region(&instance.args[1]);
            let support = region.filter(|r| problem.is_support(&r.target));
            match (instance.predicate, support) {
                (Predicate::On, Some(region)) if region.ranges.is_empty() => {
                    let message = "the region has no range";
                    return Err(problem.error_at(instance, message).into());
                }
                (Predicate::On, Some(region)) => plan.placements.push(RegionPlacement {
                    name,
                    fixture: object.is_none(),
                    ranges: &region.ranges,
                    yaw: region.yaw,
                    rotations,
                    placement: assets.model(&decl.category)?.0.placement.clone(),
                }),
                _ => plan.elevated += 2 + rotations,
            }
        }
        for fixture in problem.model_fixtures() {
            if !plan.placements.iter().any(|p| p.name == fixture.name) {
                return Err(problem
                    .error(format!("`{}` is on no region of the arena", fixture.name))
                    .into());
            }
        }
        Ok(plan)
    }

    fn reset(
        &self,
        problem: &Problem,
        arena: &ArenaDesc,
        resets: usize,
        rng: &mut NumpyRandom,
    ) -> Result<PosesByName, TaskError> {
        for _ in 0..7 {
            rng.normal();
        }
        for _ in 0..resets * self.articulated {
            rng.unit();
        }
        let w = arena.workspace_offset;
        let mut poses = PosesByName::new();
        let mut placed: Vec<([f64; 3], &PlacementDesc)> = Vec::new();
        for item in &self.placements {
            let one = &item.placement;
            let shrinks = arena.shrink_regions && !item.fixture;
            let shrink = if shrinks { one.horizontal_radius } else { 0.0 };
            let lift = if item.fixture {
                arena.fixture_z_offset
            } else {
                DROP_HEIGHT
            };
            let z = lift + w[2] - one.bottom_offset;
            let free = |x: f64, y: f64| {
                item.fixture
                    || placed.iter().all(|(other, of)| {
                        let (dx, dy) = (x - other[0], y - other[1]);
                        libm::sqrt(dx * dx + dy * dy) > of.horizontal_radius + one.horizontal_radius
                            || z - other[2] > of.top_offset - one.bottom_offset
                    })
            };
            let found = (0..MAX_TRIES).find_map(|_| {
                let [x0, y0, x1, y1] = item.ranges[rng.below(item.ranges.len())];
                let x = rng.uniform(x0 + shrink, x1 - shrink) + w[0];
                let y = rng.uniform(y0 + shrink, y1 - shrink) + w[1];
                free(x, y).then_some([x, y, z])
            });
            let Some(at) = found else {
                return Err(problem
                    .error(format!(
                        "no free place for `{}` in {MAX_TRIES} tries",
                        item.name
                    ))
                    .into());
            };
            if item.fixture {
                let [a, b] = item.yaw;
                let half = 0.5 * rng.uniform(a.min(b), a.max(b));
                let [x, y, z] = at;
                let pose = [x, y, z, libm::cos(half), 0.0, 0.0, libm::sin(half)];
                poses.insert(item.name.to_owned(), pose);
            } else {
                for _ in 0..item.rotations {
                    rng.unit();
                }
            }
            placed.push((at, one));
        }
        for _ in 0..self.elevated {
            rng.unit();
        }
        Ok(poses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "(define (problem LIBERO_Tabletop_Manipulation)
        (:regions
            (here (:target main_table) (:yaw_rotation ((2.6 2.7)))
                (:ranges ((0.02 -0.28 0.04 -0.26) (0.10 -0.20 0.12 -0.18) (0.2 0.2 0.21 0.21))))
            (there (:target main_table) (:ranges ((-0.42 -0.15 -0.40 -0.13)))))
        (:fixtures main_table - table wooden_cabinet_1 - wooden_cabinet flat_stove_1 - flat_stove)
        (:init (On wooden_cabinet_1 main_table_here) (On flat_stove_1 main_table_there))
        (:goal (Close wooden_cabinet_1)))";

    /// The numbers are numpy's: `seed(0)`, then for each reset `randn(7)`, `randint(3)`, x, y and yaw of the cabinet, x, y
    /// and yaw of the stove. The first range was always taken before.
    #[test]
    fn one_of_several_ranges_is_drawn_as_numpy_draws_it() {
        let assets = Assets::open(&Assets::default_dir()).unwrap();
        let problem = Problem::parse("t.bddl", TEXT).unwrap();
        let drawn = draw_fixture_poses(&assets, &problem, 4).unwrap();
        for (poses, [x, y, yaw, stove_x, stove_y]) in drawn.iter().zip([
            [
                0.025453126,
                -0.270446698,
                2.681216873,
                -0.410400457,
                -0.142144304,
            ],
            [
                0.115610584,
                -0.197634511,
                2.663992102,
                -0.417132934,
                -0.131106622,
            ],
            [
                0.02772978,
                -0.26194803,
                2.644994999,
                -0.407738731,
                -0.131953028,
            ],
            [
                0.031403935,
                -0.27122797,
                2.698837384,
                -0.417959104,
                -0.145822465,
            ],
        ]) {
            let (cabinet, stove) = (&poses["wooden_cabinet_1"], &poses["flat_stove_1"]);
            let found = [
                cabinet[0],
                cabinet[1],
                2.0 * libm::atan2(cabinet[6], cabinet[3]),
            ];
            for (found, expected) in found.iter().zip([x, y, yaw]) {
                assert!((found - expected).abs() < 1e-8, "{found} {expected}");
            }
            assert!((stove[0] - stove_x).abs() < 1e-8 && (stove[1] - stove_y).abs() < 1e-8);
        }
    }
}
