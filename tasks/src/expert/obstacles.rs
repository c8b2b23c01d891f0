//! What stands around the object to be grasped: oriented boxes for clearances, and points on their
//! tops for the height of a carry.

use bitvla_sim::{ShapeDesc, World, isometry};
use nalgebra::{Isometry3, Point3, Rotation3, Vector3};

/// An oriented box.
#[derive(Debug, Clone)]
struct Block {
    pose: Isometry3<f64>,
    half: Vector3<f64>,
}

/// The surroundings at one moment.
#[derive(Debug, Clone)]
pub(super) struct Obstacles {
    blocks: Vec<Block>,
    tops: Vec<Point3<f64>>,
}

/// A box as its extents along opening axis, across it and up (m), and samples along an edge.
type GripperPart = ([f64; 2], [f64; 2], [f64; 2], usize);

/// The gripper, fully open, as boxes along opening axis, across it and up, from the grip point, m:
/// finger tips, finger roots, hand (fact sheet section 3).
const GRIPPER: [GripperPart; 5] = [
    ([0.0400, 0.0535], [-0.009, 0.009], [-0.0095, 0.013], 3),
    ([-0.0535, -0.0400], [-0.009, 0.009], [-0.0095, 0.013], 3),
    ([0.0465, 0.0665], [-0.0105, 0.0105], [0.013, 0.045], 3),
    ([-0.0665, -0.0465], [-0.0105, 0.0105], [0.013, 0.045], 3),
    ([-0.102, 0.102], [-0.034, 0.034], [0.031, 0.110], 13),
];

/// Distance to everything that counts as room, m.
const ROOM: f64 = 0.004;

/// The last link and the flange behind the hand, in the same form.
const WRIST: GripperPart = ([-0.055, 0.055], [-0.055, 0.055], [0.110, 0.230], 3);

impl Obstacles {
    /// All instances but those named by index.
    pub(super) fn new(world: &World, without: &[usize]) -> Obstacles {
        Obstacles::of(world, &|i| !without.contains(&i))
    }

    /// One instance alone.
    pub(super) fn only(world: &World, instance: usize) -> Obstacles {
        Obstacles::of(world, &|i| i == instance)
    }

    fn of(world: &World, wanted: &dyn Fn(usize) -> bool) -> Obstacles {
        let mut out = Obstacles {
            blocks: Vec::new(),
            tops: Vec::new(),
        };
        for (i, instance) in world.scene().instances.iter().enumerate() {
            if !wanted(i) {
                continue;
            }
            for body in 0..instance.model.bodies.len() {
                for (pose, half) in boxes(world, i, body) {
                    let block = Block { pose, half };
                    out.add_tops(&block);
                    out.blocks.push(block);
                }
            }
        }
        out
    }

    /// Points spaced at most 2.5 cm on the block, lifted to its highest corner.
    fn add_tops(&mut self, block: &Block) {
        let r = block.pose.rotation.to_rotation_matrix();
        let e = r.matrix().abs() * block.half;
        let z = block.pose.translation.z + e.z;
        let steps = |h: f64| libm::ceil(2.0 * h / 0.025).clamp(1.0, 40.0) as i32;
        let (n, m) = (steps(e.x), steps(e.y));
        let t = block.pose.translation.vector;
        for i in 0..=n {
            for j in 0..=m {
                let x = t.x + e.x * (2.0 * f64::from(i) / f64::from(n) - 1.0);
                let y = t.y + e.y * (2.0 * f64::from(j) / f64::from(m) - 1.0);
                self.tops.push(Point3::new(x, y, z));
            }
        }
    }

    /// Least distance of the open gripper at a grip point to anything, m; negative inside. `axis` is
    /// the opening direction, `rise` how far above the grip point the gripper is.
    pub(super) fn clearance(&self, grip: Point3<f64>, yaw: f64, rise: f64) -> f64 {
        let (sin, cos) = (libm::sin(yaw), libm::cos(yaw));
        let near: Vec<&Block> = self
            .blocks
            .iter()
            .filter(|b| (b.pose.translation.vector - grip.coords).norm() < 0.16 + b.half.norm())
            .collect();
        let mut least = 0.05f64;
        for (u, v, w, n) in GRIPPER {
            for i in 0..n {
                let a = u[0] + (u[1] - u[0]) * i as f64 / (n - 1) as f64;
                for b in [v[0], 0.0, v[1]] {
                    for c in [w[0], 0.5 * (w[0] + w[1]), w[1]] {
                        let p = Point3::new(
                            grip.x + cos * a - sin * b,
                            grip.y + sin * a + cos * b,
                            grip.z + rise + c,
                        );
                        for block in &near {
                            least = least.min(block.distance(p));
                        }
                    }
                }
            }
        }
        least
    }

    /// The same for a hand of any orientation, wrist included, displaced from the grip point by `off`; the
    /// more of it is inside something, the more negative.
    pub(super) fn room(&self, grip: Point3<f64>, hand: &Rotation3<f64>, off: Vector3<f64>) -> f64 {
        let at = grip + off;
        let near: Vec<&Block> = self
            .blocks
            .iter()
            .filter(|b| (b.pose.translation.vector - at.coords).norm() < 0.27 + b.half.norm())
            .collect();
        let mut least = 0.05f64;
        let mut inside = 0usize;
        for (u, v, w, n) in GRIPPER.into_iter().chain([WRIST]) {
            for i in 0..n {
                let a = u[0] + (u[1] - u[0]) * i as f64 / (n - 1) as f64;
                for b in [v[0], 0.0, v[1]] {
                    for c in [w[0], 0.5 * (w[0] + w[1]), w[1]] {
                        let p = at + hand * Vector3::new(a, b, -c);
                        let mut free = 0.05f64;
                        for block in &near {
                            free = free.min(block.distance(p));
                        }
                        least = least.min(free);
                        inside += usize::from(free < 0.0);
                    }
                }
            }
        }
        // The depth inside a thin board says little; how much of the hand is inside says more.
        least - 0.002 * inside as f64
    }

    /// How low over a grip point an open hand can come straight down with room around it, in steps, m above
    /// the point; 0.3 if there is no way.
    pub(super) fn lowest(&self, grip: Point3<f64>, hand: &Rotation3<f64>, step: f64) -> f64 {
        let mut low = 0.3;
        let mut rise = 0.24;
        while rise > -0.5 * step && self.room(grip, hand, Vector3::z() * rise) > ROOM {
            low = rise.max(0.0);
            rise -= step;
        }
        low
    }

    /// Way to a point `hover` above a grip: high while far away, down a slope when near, never above
    /// the ceiling, m.
    pub(super) fn way_above(
        &self,
        eef: Point3<f64>,
        grip: Point3<f64>,
        hover: f64,
        ceiling: f64,
    ) -> Point3<f64> {
        let to = grip.xy() - eef.xy();
        let flat = to.norm();
        let over = hover + 0.5 * (flat - 0.06).max(0.0);
        // Higher than what the open fingers pass over on the way.
        let mut need = grip.z + over;
        for i in 0..=3 {
            let p = eef.xy() + to * (f64::from(i) / 3.0) * (0.10f64.min(flat) / flat.max(1e-9));
            if flat > 0.03
                && let Some(h) = self.height(p.x, p.y, 0.06)
            {
                need = need.max(h + 0.025);
            }
        }
        let z = need.min(ceiling);
        if eef.z < z - 0.03 && flat > 0.03 {
            // First up, then across.
            let slow = ((0.05 - (z - eef.z - 0.03)) / 0.05).clamp(0.0, 1.0);
            return Point3::new(eef.x + to.x * slow, eef.y + to.y * slow, z);
        }
        Point3::new(grip.x, grip.y, z)
    }

    /// Highest point below `ceiling` within `radius` of a place, if any, m.
    pub(super) fn floor(&self, x: f64, y: f64, radius: f64, ceiling: f64) -> Option<f64> {
        self.tops
            .iter()
            .filter(|p| libm::hypot(p.x - x, p.y - y) < radius && p.z < ceiling)
            .map(|p| p.z)
            .reduce(f64::max)
    }

    /// Lowest and highest corner of the box around everything, m.
    pub(super) fn corners(&self) -> (Point3<f64>, Point3<f64>) {
        let mut low = Vector3::repeat(f64::INFINITY);
        let mut high = -low;
        for block in &self.blocks {
            let r = block.pose.rotation.to_rotation_matrix();
            let e = r.matrix().abs() * block.half;
            low = low.inf(&(block.pose.translation.vector - e));
            high = high.sup(&(block.pose.translation.vector + e));
        }
        (low.into(), high.into())
    }

    /// Whether a point is inside one of the boxes.
    pub(super) fn inside(&self, p: Point3<f64>) -> bool {
        self.blocks.iter().any(|block| block.distance(p) <= 0.0)
    }

    /// Highest point within `radius` of a place on the table, if any, m.
    pub(super) fn height(&self, x: f64, y: f64, radius: f64) -> Option<f64> {
        self.tops
            .iter()
            .filter(|p| libm::hypot(p.x - x, p.y - y) < radius)
            .map(|p| p.z)
            .reduce(f64::max)
    }
}

impl Block {
    fn distance(&self, p: Point3<f64>) -> f64 {
        let q = self.pose.inverse_transform_point(&p).coords.abs() - self.half;
        let outside = q.map(|v| v.max(0.0)).norm();
        outside + q.max().min(0.0)
    }
}

/// The boxes around the collision shapes of a body of an instance, where the body is now: pose of the middle in
/// the world, half sizes, m.
pub(super) fn boxes(
    world: &World,
    instance: usize,
    body: usize,
) -> impl Iterator<Item = (Isometry3<f64>, Vector3<f64>)> {
    let pose = world.rendered_body_pose(instance, body);
    let shapes = &world.scene().instances[instance].model.bodies[body].collision;
    shapes.iter().filter_map(move |c| {
        let (centre, half) = bounds(&c.shape)?;
        let at = pose * isometry(c.pos, c.quat_wxyz) * nalgebra::Translation3::from(centre);
        Some((at, half))
    })
}

/// Centre and half sizes of the box around a shape; `None` for shapes that are only drawn.
pub(super) fn bounds(shape: &ShapeDesc) -> Option<(Vector3<f64>, Vector3<f64>)> {
    let zero = Vector3::zeros();
    Some(match shape {
        ShapeDesc::Box { half } => (zero, Vector3::from(*half)),
        ShapeDesc::Sphere { radius } => (zero, Vector3::repeat(*radius)),
        ShapeDesc::Cylinder {
            radius,
            half_height,
        } => (zero, Vector3::new(*radius, *radius, *half_height)),
        ShapeDesc::Capsule {
            radius,
            half_height,
        } => (zero, Vector3::new(*radius, *radius, half_height + radius)),
        ShapeDesc::Hull { points } => {
            let first = Vector3::from(*points.first()?);
            let (lo, hi) = points.iter().fold((first, first), |(lo, hi), p| {
                let p = Vector3::from(*p);
                (lo.inf(&p), hi.sup(&p))
            });
            (0.5 * (lo + hi), 0.5 * (hi - lo))
        }
        ShapeDesc::Lathe { .. } | ShapeDesc::Mesh { .. } => return None,
    })
}
