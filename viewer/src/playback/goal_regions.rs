//! Boxes of the regions that a goal's predicates refer to: regions of the table, and sites of fixtures and objects.

use bitvla_sim::{Owner, World, isometry};
use bitvla_tasks::bddl::Problem;
use nalgebra::Isometry3;

/// A box in the frame of a body, m.
#[derive(Debug, Clone, PartialEq)]
pub struct GoalRegion {
    /// Index of the predicate in the goal.
    pub predicate: usize,
    /// Row of the body in the body table.
    pub row: usize,
    /// Pose in the frame of the body.
    pub pose: Isometry3<f64>,
    /// Half sizes, m.
    pub half: [f64; 3],
}

/// Half height of the boxes of flat regions, m.
const FLAT_HALF_HEIGHT: f64 = 0.003;

/// Half width of the box for On(A, B): the horizontal distance of origins that the predicate allows, m.
const ON_RADIUS: f64 = 0.03;

/// Finds the regions of a goal: named regions, and for On(A, B) of two objects the top of B.
pub fn goal_regions(problem: &Problem, world: &World) -> Vec<GoalRegion> {
    let scene = world.scene();
    let table = scene.body_table();
    let row = |owner: Owner, body: usize| {
        table
            .iter()
            .position(|b| b.owner == owner && b.body == body)
    };
    let mut regions = Vec::new();
    for (predicate, stated) in problem.goal.predicates.iter().enumerate() {
        for (place, name) in stated.args.iter().enumerate() {
            let Some(region) = problem.region(name) else {
                let target = scene.instance(name).filter(|_| place == 1);
                if let Some(instance) = target
                    && let Some(row) = row(Owner::Instance(instance), 0)
                {
                    let top = surface_height(world, instance);
                    regions.push(GoalRegion {
                        predicate,
                        row,
                        pose: isometry([0.0, 0.0, top], [1.0, 0.0, 0.0, 0.0]),
                        half: [ON_RADIUS, ON_RADIUS, FLAT_HALF_HEIGHT],
                    });
                }
                continue;
            };
            if problem.is_support(&region.target) {
                let w = scene.arena.workspace_offset;
                if let (Some([x0, y0, x1, y1]), Some(row)) =
                    (region.ranges.first(), row(Owner::Arena, 0))
                {
                    let centre = [
                        0.5 * (x0 + x1) + w[0],
                        0.5 * (y0 + y1) + w[1],
                        scene.arena.region_site_z,
                    ];
                    regions.push(GoalRegion {
                        predicate,
                        row,
                        pose: isometry(centre, [1.0, 0.0, 0.0, 0.0]),
                        half: [0.5 * (x1 - x0), 0.5 * (y1 - y0), FLAT_HALF_HEIGHT],
                    });
                }
                continue;
            }
            let Some(instance) = scene.instance(&region.target) else {
                continue;
            };
            let bodies = &scene.instances[instance].model.bodies;
            let site = bodies.iter().enumerate().find_map(|(b, body)| {
                Some((b, body.site.iter().find(|s| s.name == region.local)?))
            });
            if let Some((body, site)) = site
                && let Some(row) = row(Owner::Instance(instance), body)
            {
                regions.push(GoalRegion {
                    predicate,
                    row,
                    pose: isometry(site.pos, site.quat_wxyz),
                    half: site.half.map(|h| h.max(FLAT_HALF_HEIGHT)),
                });
            }
        }
    }
    regions
}

/// Height of the surface of an instance above its origin, m, by a vertical ray from above; where another object covers
/// it, the top of its placement.
fn surface_height(world: &World, instance: usize) -> f64 {
    let pose = world.instance_pose(instance);
    let mut above: [f64; 3] = pose.translation.vector.into();
    above[2] += 1.0;
    match world.pick_body_point(above, [0.0, 0.0, -1.0]) {
        Some(hit) if hit.owner == Owner::Instance(instance) => {
            pose.inverse_transform_point(&hit.point.into()).z + FLAT_HALF_HEIGHT
        }
        _ => {
            let scene = world.scene();
            scene
                .instances
                .get(instance)
                .map_or(0.0, |i| i.model.placement.top_offset)
        }
    }
}
