//! Surroundings of the hand: oriented boxes around collision shapes, for clearances, and points on their
//! tops, for the height of a transfer. Positions and distances are in the world frame, m.

use super::collision_boxes::{OrientedBox, collision_boxes};
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, Vector3};

/// Upper bound of a clearance, m: larger ones are not distinguished.
const MAX_CLEARANCE: f64 = 0.05;
/// Clearance that counts as free, m.
const FREE_CLEARANCE: f64 = 0.004;
/// Deduction from a clearance for each sample of the hand inside an obstacle, m. The depth inside a thin
/// board is a poor measure; the part of the hand that is inside is a better one.
const PENETRATION_COST: f64 = 0.002;
/// Distance of the grasp point to a box beyond which no part of the gripper, or of gripper and wrist,
/// comes near it, m.
const GRIPPER_REACH: f64 = 0.16;
const HAND_REACH: f64 = 0.27;
/// Greatest height from which a descent is checked, and the height returned if it is blocked, m.
const DESCENT_START: f64 = 0.24;
const NO_DESCENT: f64 = 0.3;
/// More than the rounding of any distance here, m.
pub(super) const ROUNDING: f64 = 1e-9;
/// Spacing of the points on the top of a box, m.
const TOP_SPACING: f64 = 0.025;
/// Free height kept above the obstacles that the open fingers pass over, m.
const PASSING_MARGIN: f64 = 0.025;
/// Horizontal distance from the grasp up to which a hand is beside what it had to pass, and that from which it is not, m.
const BESIDE: (f64, f64) = (0.03, 0.06);

/// Extents along opening axis, across it and up (m), and the number of samples along the opening axis.
type GripperPart = ([f64; 2], [f64; 2], [f64; 2], usize);

/// The gripper, fully open, as boxes along opening axis, across it and up, from the grasp point, m:
/// finger tips, finger roots, hand (`docs/reference/libero.md`, section 3).
const GRIPPER: [GripperPart; 5] = [
    ([0.0400, 0.0535], [-0.009, 0.009], [-0.0095, 0.013], 3),
    ([-0.0535, -0.0400], [-0.009, 0.009], [-0.0095, 0.013], 3),
    ([0.0465, 0.0665], [-0.0105, 0.0105], [0.013, 0.045], 3),
    ([-0.0665, -0.0465], [-0.0105, 0.0105], [0.013, 0.045], 3),
    ([-0.102, 0.102], [-0.034, 0.034], [0.031, 0.110], 13),
];

/// The last link and the flange behind the hand, in the same form.
const WRIST: GripperPart = ([-0.055, 0.055], [-0.055, 0.055], [0.110, 0.230], 3);

/// Sample points of [`GRIPPER`] and [`WRIST`]: along the opening axis, across it and up, m.
static GRIPPER_SAMPLES: [[f64; 3]; 225] = samples(&GRIPPER);
static WRIST_SAMPLES: [[f64; 3]; 27] = samples(&[WRIST]);

const fn samples<const N: usize>(parts: &[GripperPart]) -> [[f64; 3]; N] {
    let mut out = [[0.0; 3]; N];
    let mut next = 0;
    let mut part = 0;
    while part < parts.len() {
        let (u, v, w, n) = parts[part];
        let across = [v[0], 0.0, v[1]];
        let up = [w[0], 0.5 * (w[0] + w[1]), w[1]];
        let mut k = 0;
        while k < sample_count(&parts[part]) {
            let along = u[0] + (u[1] - u[0]) * (k / 9) as f64 / (n - 1) as f64;
            out[next] = [along, across[k / 3 % 3], up[k % 3]];
            next += 1;
            k += 1;
        }
        part += 1;
    }
    // A table with rows left over would add samples at the grasp point.
    assert!(next == N);
    out
}

/// Number of samples of a part of the hand.
const fn sample_count(part: &GripperPart) -> usize {
    9 * part.3
}

/// The parts of the hand with their samples.
fn hand_parts() -> impl Iterator<Item = (&'static GripperPart, &'static [[f64; 3]])> {
    let mut rest = &GRIPPER_SAMPLES[..];
    let gripper = GRIPPER.iter().map(move |part| {
        let (samples, others) = rest.split_at(sample_count(part));
        rest = others;
        (part, samples)
    });
    gripper.chain(std::iter::once((&WRIST, &WRIST_SAMPLES[..])))
}

/// Centre of a part, in the frame of its samples, and distance of its corners from there, m.
fn bounding_sphere((u, v, w, _): &GripperPart) -> ([f64; 3], f64) {
    let middle = [u, v, w].map(|[low, high]| 0.5 * (low + high));
    let half = Vector3::from([u, v, w].map(|[low, high]| 0.5 * (high - low)));
    (middle, half.norm())
}

/// A box with the axis-aligned box around it, which is asked first.
struct NearBox<'a> {
    obstacle: &'a OrientedBox,
    centre: Vector3<f64>,
    half_extent: Vector3<f64>,
}

impl NearBox<'_> {
    fn new(obstacle: &OrientedBox) -> NearBox<'_> {
        NearBox {
            obstacle,
            centre: obstacle.pose.translation.vector,
            half_extent: obstacle.half_extent(),
        }
    }

    /// True only if the box is farther from a point than `reach`, m.
    fn is_beyond(&self, p: Point3<f64>, reach: f64) -> bool {
        let outside = (p.coords - self.centre).abs() - self.half_extent;
        let outside = outside.map(|v| v.max(0.0));
        outside.norm() > reach + ROUNDING
    }

    /// The smaller of a distance and that of a point to the box, m.
    fn nearer(&self, p: Point3<f64>, distance: f64) -> f64 {
        let outside = (p.coords - self.centre).abs() - self.half_extent;
        if outside.max() > distance + ROUNDING {
            return distance;
        }
        distance.min(self.obstacle.distance(p))
    }
}

/// A set of obstacles at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Obstacles {
    boxes: Vec<OrientedBox>,
    /// Points on the tops of the boxes, each at the height of the highest corner of its box.
    top_points: Vec<Point3<f64>>,
}

impl Obstacles {
    /// All instances but those named by index.
    pub(super) fn except(world: &World, ignored: &[usize]) -> Obstacles {
        Obstacles::of(world, &|i| !ignored.contains(&i))
    }

    /// One instance alone.
    pub(super) fn only(world: &World, instance: usize) -> Obstacles {
        Obstacles::of(world, &|i| i == instance)
    }

    fn of(world: &World, wanted: &dyn Fn(usize) -> bool) -> Obstacles {
        let mut out = Obstacles::default();
        for (i, instance) in world.scene().instances.iter().enumerate() {
            if !wanted(i) {
                continue;
            }
            for body in 0..instance.model.bodies.len() {
                for obstacle in collision_boxes(world, i, body) {
                    out.add_top_points(&obstacle);
                    out.boxes.push(obstacle);
                }
            }
        }
        out
    }

    /// Adds a grid over the axis-aligned box around the obstacle.
    fn add_top_points(&mut self, obstacle: &OrientedBox) {
        let e = obstacle.half_extent();
        let t = obstacle.pose.translation.vector;
        let z = t.z + e.z;
        // Bounded, so that a huge floor does not cost a million points.
        let steps = |h: f64| libm::ceil(2.0 * h / TOP_SPACING).clamp(1.0, 40.0) as i32;
        let (n, m) = (steps(e.x), steps(e.y));
        for i in 0..=n {
            for j in 0..=m {
                let x = t.x + e.x * (2.0 * f64::from(i) / f64::from(n) - 1.0);
                let y = t.y + e.y * (2.0 * f64::from(j) / f64::from(m) - 1.0);
                self.top_points.push(Point3::new(x, y, z));
            }
        }
    }

    /// The boxes whose surface may be within `reach` of a point.
    fn near(&self, p: Point3<f64>, reach: f64) -> Vec<NearBox<'_>> {
        self.boxes
            .iter()
            .filter(|b| (b.pose.translation.vector - p.coords).norm() < reach + b.half.norm())
            .map(NearBox::new)
            .collect()
    }

    /// Least distance of the open gripper, pointing straight down, to any obstacle, m; negative inside.
    /// The fingers open along `yaw` (rad); the gripper is `rise` above the grasp point.
    pub(super) fn top_down_clearance(&self, grasp_point: Point3<f64>, yaw: f64, rise: f64) -> f64 {
        let (sin, cos) = (libm::sin(yaw), libm::cos(yaw));
        let near = self.near(grasp_point, GRIPPER_REACH);
        let mut least = MAX_CLEARANCE;
        for [a, b, c] in &GRIPPER_SAMPLES {
            let p = Point3::new(
                grasp_point.x + cos * a - sin * b,
                grasp_point.y + sin * a + cos * b,
                grasp_point.z + rise + c,
            );
            for obstacle in &near {
                least = obstacle.nearer(p, least);
            }
        }
        least
    }

    /// Least distance of the open hand, wrist included, to any obstacle, m; the more of it is inside
    /// something, the more negative. `orientation` is that of the hand frame, `offset` its displacement from
    /// the grasp point.
    pub(super) fn hand_clearance(
        &self,
        grasp_point: Point3<f64>,
        orientation: &Rotation3<f64>,
        offset: Vector3<f64>,
    ) -> f64 {
        self.hand_clearance_until(grasp_point, orientation, offset, |_| false)
    }

    /// [`Obstacles::hand_clearance`], or an upper bound of it as soon as `enough` holds of one.
    pub(super) fn hand_clearance_until(
        &self,
        grasp_point: Point3<f64>,
        orientation: &Rotation3<f64>,
        offset: Vector3<f64>,
        enough: impl Fn(f64) -> bool,
    ) -> f64 {
        let at = grasp_point + offset;
        let near = self.near(at, HAND_REACH);
        let mut close = Vec::with_capacity(near.len());
        let mut least = MAX_CLEARANCE;
        let mut inside = 0usize;
        for (part, samples) in hand_parts() {
            // The z axis of the hand points down the fingers.
            let to_world = |[a, b, c]: [f64; 3]| at + orientation * Vector3::new(a, b, -c);
            let (middle, radius) = bounding_sphere(part);
            let middle = to_world(middle);
            close.clear();
            // Only what may be nearer than all before counts, and whatever the hand is inside of.
            let reach = radius + least.max(0.0);
            close.extend(near.iter().filter(|b| !b.is_beyond(middle, reach)));
            for sample in samples {
                let p = to_world(*sample);
                let mut free = least.max(0.0);
                for obstacle in &close {
                    free = obstacle.nearer(p, free);
                }
                if free >= least && free >= 0.0 {
                    continue;
                }
                least = least.min(free);
                inside += usize::from(free < 0.0);
                let bound = least - PENETRATION_COST * inside as f64;
                if enough(bound) {
                    return bound;
                }
            }
        }
        least - PENETRATION_COST * inside as f64
    }

    /// Least height above a grasp point that an open hand can reach straight from above with clearance all
    /// the way, m, in multiples of `step`; [`NO_DESCENT`] if the way is blocked at once.
    pub(super) fn lowest_free_height(
        &self,
        grasp_point: Point3<f64>,
        orientation: &Rotation3<f64>,
        step: f64,
    ) -> f64 {
        let mut low = NO_DESCENT;
        let mut rise = DESCENT_START;
        let is_free = |rise: f64| {
            let (up, blocked) = (Vector3::z() * rise, |bound| bound <= FREE_CLEARANCE);
            !blocked(self.hand_clearance_until(grasp_point, orientation, up, blocked))
        };
        while rise > -0.5 * step && is_free(rise) {
            low = rise.max(0.0);
            rise -= step;
        }
        low
    }

    /// The next waypoint on the way to a point `hover` above a grasp point: high while far away, down a
    /// slope when near, over the obstacles in between, but never above `ceiling`, m.
    pub(super) fn approach_waypoint(
        &self,
        eef: Point3<f64>,
        grasp_point: Point3<f64>,
        hover: f64,
        ceiling: f64,
    ) -> Point3<f64> {
        let to = grasp_point.xy() - eef.xy();
        let distance = to.norm();
        let over = hover + 0.5 * (distance - 0.06).max(0.0);
        let slope = grasp_point.z + over;
        // A hand that is beside what it had to pass goes on to its grasp, whatever stands next to that: in proportion, as its distance is seen
        // only roughly.
        let passing = ((distance - BESIDE.0) / (BESIDE.1 - BESIDE.0)).clamp(0.0, 1.0);
        let mut surface = slope;
        if passing > 0.0 {
            let share = 0.10f64.min(distance) / distance;
            for i in 0..=3 {
                let p = eef.xy() + to * (f64::from(i) / 3.0) * share;
                if let Some(h) = self.surface_height(p.x, p.y, 0.06) {
                    surface = surface.max(h + PASSING_MARGIN);
                }
            }
        }
        let z = (slope + (surface - slope) * passing).min(ceiling);
        // First up, then across.
        let lack = ((z - eef.z - 0.03) / 0.05).clamp(0.0, 1.0);
        let across = to * (1.0 - lack * passing);
        Point3::new(eef.x + across.x, eef.y + across.y, z)
    }

    /// Height of the highest top point below `ceiling` within `radius` of (x, y), m, if there is one.
    pub(super) fn surface_below(&self, x: f64, y: f64, radius: f64, ceiling: f64) -> Option<f64> {
        self.top_points
            .iter()
            .filter(|p| libm::hypot(p.x - x, p.y - y) < radius && p.z < ceiling)
            .map(|p| p.z)
            .reduce(f64::max)
    }

    /// Height of the highest top point within `radius` of (x, y), m, if there is one.
    pub(super) fn surface_height(&self, x: f64, y: f64, radius: f64) -> Option<f64> {
        self.surface_below(x, y, radius, f64::INFINITY)
    }

    /// Lowest and highest corner of the axis-aligned box around all obstacles, m. Without any obstacle the
    /// corners are at plus and minus infinity.
    pub(super) fn bounding_box(&self) -> (Point3<f64>, Point3<f64>) {
        let mut low = Vector3::repeat(f64::INFINITY);
        let mut high = -low;
        for obstacle in &self.boxes {
            let e = obstacle.half_extent();
            low = low.inf(&(obstacle.pose.translation.vector - e));
            high = high.sup(&(obstacle.pose.translation.vector + e));
        }
        (low.into(), high.into())
    }

    /// True if a point is inside the axis-aligned box around all obstacles, or less than `margin` (m) outside.
    pub(super) fn is_about(&self, p: Point3<f64>, margin: f64) -> bool {
        let (low, high) = self.bounding_box();
        (0..3).all(|k| p[k] > low[k] - margin && p[k] < high[k] + margin)
    }

    /// True if a point is inside one of the boxes.
    pub(super) fn contains(&self, p: Point3<f64>) -> bool {
        self.boxes.iter().any(|b| b.distance(p) <= 0.0)
    }
}
