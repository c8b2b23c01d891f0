//! What LIBERO's resets draw: the fixture poses of its evaluation, reproduced number by number (fact sheet sections 7
//! and 8).
//!
//! LIBERO seeds numpy's global generator (MT19937) with 0 once per task and resets the world before each episode. A
//! reset takes, in this order: seven normal numbers for the robot (times zero), one uniform number for every articulated fact
//! of `:init` (open, close, on, off), as often as the world was reset before (the list of samplers grows; its length is
//! two in the first episode), then x, y and angles for everything that `:init` puts on a region of the arena, in
//! its order, then the same for objects on sites of fixtures, then for objects on objects. A movable object that comes
//! too close to something placed before takes x and y again. Objects are drawn only to keep the stream in step; where
//! they are says the initial state.

use crate::bddl::{Predicate, Problem};
use crate::{Assets, TaskError};
use bitvla_sim::PlacementDesc;
use rand_mt::Mt;
use std::collections::BTreeMap;

/// Seed of LIBERO's evaluation.
const SEED: u32 = 0;
/// Resets before the first episode, counted in lists of articulation samplers.
const EARLIER_RESETS: usize = 2;
/// Draws of one object before LIBERO gives up.
const MAX_TRIES: usize = 5000;
/// How far above the workspace LIBERO drops movable objects, m.
const DROP: f64 = 0.01;
/// Categories that LIBERO turns about two axes, which takes two numbers instead of one.
const TURNED_TWICE: [&str; 7] = [
    "ketchup",
    "macaroni_and_cheese",
    "mayo",
    "milk",
    "new_salad_dressing",
    "orange_juice",
    "salad_dressing",
];

/// Fixtures of one state: x, y, z (m), quaternion w, x, y, z.
pub type Poses = BTreeMap<String, [f64; 7]>;

/// Numbers of numpy's legacy generator.
struct Numpy {
    mt: Mt,
    /// The polar method makes normal numbers in pairs; whether one is left.
    normal_left: bool,
}

impl Numpy {
    fn new(seed: u32) -> Numpy {
        Numpy {
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

    /// Takes a normal number whose value nobody needs.
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

/// What placement needs to know of an arena.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workspace {
    /// Origin of the ranges, m.
    pub offset: [f64; 3],
    /// Height of fixtures above it, m.
    pub fixture_z_offset: f64,
    /// Whether ranges of movable objects shrink by their radius.
    pub shrink_regions: bool,
}

/// The fixture poses of the first episodes of a task; placement figures come from the models in `assets`.
///
/// # Errors
/// When a category or the arena has no model, or `:init` cannot be drawn.
pub fn fixture_poses(
    assets: &Assets,
    problem: &Problem,
    episodes: usize,
) -> Result<Vec<Poses>, TaskError> {
    let name = problem.arena().unwrap_or_default();
    let arena = assets.arena(name)?;
    let workspace = Workspace {
        offset: arena.workspace_offset,
        fixture_z_offset: arena.fixture_z_offset,
        shrink_regions: arena.shrink_regions,
    };
    fixture_poses_with(problem, episodes, workspace, &mut |category| {
        Ok(assets.model(category)?.0.placement.clone())
    })
}

/// As [`fixture_poses`], with the placement figures of a category from `placement_of`.
///
/// # Errors
/// As [`fixture_poses`].
pub fn fixture_poses_with(
    problem: &Problem,
    episodes: usize,
    workspace: Workspace,
    placement_of: &mut dyn FnMut(&str) -> Result<PlacementDesc, TaskError>,
) -> Result<Vec<Poses>, TaskError> {
    let plan = Plan::new(problem, placement_of)?;
    let mut rng = Numpy::new(SEED);
    (0..episodes)
        .map(|episode| plan.reset(problem, workspace, EARLIER_RESETS + episode, &mut rng))
        .collect()
}

/// Something that `:init` puts on a region of the arena.
struct Put<'a> {
    name: &'a str,
    fixture: bool,
    range: [f64; 4],
    yaw: [f64; 2],
    turns: usize,
    placement: PlacementDesc,
}

/// What one reset draws.
struct Plan<'a> {
    articulated: usize,
    puts: Vec<Put<'a>>,
    /// Numbers for objects on sites and on objects. Those are never drawn again in LIBERO's files: they are higher
    /// than whatever they could come too close to.
    rest: usize,
}

impl<'a> Plan<'a> {
    fn new(
        problem: &'a Problem,
        placement_of: &mut dyn FnMut(&str) -> Result<PlacementDesc, TaskError>,
    ) -> Result<Plan<'a>, TaskError> {
        let mut plan = Plan {
            articulated: 0,
            puts: Vec::new(),
            rest: 0,
        };
        for fact in &problem.init {
            if fact.predicate.arity() == 1 {
                plan.articulated += 1;
                continue;
            }
            let name = fact.args[0].as_str();
            let object = problem.objects.iter().find(|t| t.name == name);
            let thing = object.or_else(|| problem.model_fixtures().find(|t| t.name == name));
            let Some(thing) = thing else {
                return Err(fact_error(
                    problem,
                    fact,
                    "only objects and fixtures are placed",
                ));
            };
            let turns = if TURNED_TWICE.contains(&thing.category.as_str()) {
                2
            } else {
                1
            };
            let region = problem.region(&fact.args[1]);
            let support = region.filter(|r| problem.is_support(&r.target));
            match (fact.predicate, support) {
                (Predicate::On, Some(region)) => plan.puts.push(Put {
                    name,
                    fixture: object.is_none(),
                    range: *region
                        .ranges
                        .first()
                        .ok_or_else(|| fact_error(problem, fact, "the region has no range"))?,
                    yaw: region.yaw,
                    turns,
                    placement: placement_of(&thing.category)?,
                }),
                _ => plan.rest += 2 + turns,
            }
        }
        for fixture in problem.model_fixtures() {
            if !plan.puts.iter().any(|put| put.name == fixture.name) {
                let place = crate::bddl::Place { line: 1, column: 1 };
                let message = format!("`{}` is on no region of the arena", fixture.name);
                return Err(crate::bddl::BddlError::new(&problem.file, place, message).into());
            }
        }
        Ok(plan)
    }

    fn reset(
        &self,
        problem: &Problem,
        workspace: Workspace,
        resets: usize,
        rng: &mut Numpy,
    ) -> Result<Poses, TaskError> {
        for _ in 0..7 {
            rng.skip_normal();
        }
        for _ in 0..resets * self.articulated {
            rng.unit();
        }
        let w = workspace.offset;
        let mut poses = Poses::new();
        let mut placed: Vec<([f64; 3], &PlacementDesc)> = Vec::new();
        for put in &self.puts {
            let one = &put.placement;
            let [x0, y0, x1, y1] = put.range;
            let shrinks = workspace.shrink_regions && !put.fixture;
            let shrink = if shrinks { one.horizontal_radius } else { 0.0 };
            let lift = if put.fixture {
                workspace.fixture_z_offset
            } else {
                DROP
            };
            let z = lift + w[2] - one.bottom_offset;
            let free = |x: f64, y: f64| {
                put.fixture
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
                let place = crate::bddl::Place { line: 1, column: 1 };
                let message = format!("no free place for `{}` in {MAX_TRIES} tries", put.name);
                return Err(crate::bddl::BddlError::new(&problem.file, place, message).into());
            };
            if put.fixture {
                let [a, b] = put.yaw;
                let half = 0.5 * rng.uniform(a.min(b), a.max(b));
                let [x, y, z] = at;
                let pose = [x, y, z, libm::cos(half), 0.0, 0.0, libm::sin(half)];
                poses.insert(put.name.to_owned(), pose);
            } else {
                for _ in 0..put.turns {
                    rng.unit();
                }
            }
            placed.push((at, one));
        }
        for _ in 0..self.rest {
            rng.unit();
        }
        Ok(poses)
    }
}

fn fact_error(problem: &Problem, fact: &crate::bddl::Fact, message: &str) -> TaskError {
    crate::bddl::BddlError::new(&problem.file, fact.place, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of numpy after `seed(0)`: `random_sample(3)`, and `random_sample()` after `randn(7)`.
    #[test]
    fn the_stream_is_numpys() {
        let mut rng = Numpy::new(0);
        let first = [rng.unit(), rng.unit(), rng.unit()];
        let known = [
            0.548_813_503_927_324_8,
            0.715_189_366_372_419_5,
            0.602_763_376_071_643_9,
        ];
        assert_eq!(first, known);
        // 0.548.. and 0.715.. make the first pair: 1.764.., 0.400..
        let mut rng = Numpy::new(0);
        rng.skip_normal();
        rng.skip_normal();
        assert_eq!(rng.unit(), known[2]);
    }
}
