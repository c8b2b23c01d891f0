//! The fixture poses that LIBERO's evaluation draws, reproduced number by number (`docs/reference/libero.md`, sections 7
//! and 8).
//!
//! LIBERO seeds numpy's global generator (MT19937) with 0 once per task and resets the world before each episode. A
//! reset takes, in this order: seven normal numbers for the robot (times zero), one uniform number for every predicate of
//! joints in `:init` (open, close, on, off), as often as the world was reset before (the list of samplers grows; its length is
//! two in the first episode), then x, y and angles for everything that `:init` puts on a region of the arena, in
//! its order, then the same for objects on sites of fixtures, then for objects on objects. A movable object that comes
//! too close to something placed before takes x and y again. Objects are drawn only to keep the stream in step; their
//! poses come from the initial state.

use crate::assets::Assets;
use crate::bddl::{Predicate, Problem};
use crate::error::TaskError;
use crate::scene::arena_of;
use bitvla_sim::{ArenaDesc, PlacementDesc};
use rand_mt::Mt;
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

/// Numbers of numpy's legacy generator.
struct NumpyRandom {
    mt: Mt,
    /// The polar method makes normal numbers in pairs; true if one is left.
    normal_left: bool,
}

impl NumpyRandom {
    fn new(seed: u32) -> NumpyRandom {
        NumpyRandom {
            mt: Mt::new(seed),
            normal_left: false,
        }
    }

    /// Uniform in 0 to 1 with 53 bits.
    fn unit(&mut self) -> f64 {
        let high = f64::from(self.mt.next_u32() >> 5);
        let low = f64::from(self.mt.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Takes a normal number whose value is not needed.
    fn skip_normal(&mut self) {
        if std::mem::take(&mut self.normal_left) {
            return;
        }
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square != 0.0 {
                self.normal_left = true;
                return;
            }
        }
    }
}

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
    range: [f64; 4],
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
            if instance.predicate.arity() == 1 {
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
                (Predicate::On, Some(region)) => plan.placements.push(RegionPlacement {
                    name,
                    fixture: object.is_none(),
                    range: *region
                        .ranges
                        .first()
                        .ok_or_else(|| problem.error_at(instance, "the region has no range"))?,
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
            rng.skip_normal();
        }
        for _ in 0..resets * self.articulated {
            rng.unit();
        }
        let w = arena.workspace_offset;
        let mut poses = PosesByName::new();
        let mut placed: Vec<([f64; 3], &PlacementDesc)> = Vec::new();
        for item in &self.placements {
            let one = &item.placement;
            let [x0, y0, x1, y1] = item.range;
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

    /// The first numbers of numpy after `seed(0)`: `random_sample(3)`, and `random_sample()` after `randn(7)`.
    #[test]
    fn the_stream_is_numpys() {
        let mut rng = NumpyRandom::new(0);
        let first = [rng.unit(), rng.unit(), rng.unit()];
        let known = [
            0.548_813_503_927_324_8,
            0.715_189_366_372_419_5,
            0.602_763_376_071_643_9,
        ];
        assert_eq!(first, known);
        // 0.548.. and 0.715.. make the first pair: 1.764.., 0.400..
        let mut rng = NumpyRandom::new(0);
        rng.skip_normal();
        rng.skip_normal();
        assert_eq!(rng.unit(), known[2]);
    }
}
