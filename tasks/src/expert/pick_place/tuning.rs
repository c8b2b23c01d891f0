//! Numbers in which the two families of grasps differ.

use super::ARRIVED;

/// Numbers in which the two families of grasps differ; steps are control steps.
#[derive(Debug)]
pub(super) struct Tuning {
    /// Steps after which an approach ends, and whether it ends in a new plan rather than in the descent.
    pub(super) approach_steps: usize,
    pub(super) replans_approach: bool,
    /// Orientation error at which an approach and a transfer have arrived, rad.
    pub(super) approach_alignment: f64,
    pub(super) transfer_alignment: f64,
    /// Horizontal error at which a transfer has arrived, m.
    pub(super) transfer_arrived: f64,
    /// Steps that closing takes.
    pub(super) grasp_steps: usize,
    /// Height of a transfer above the goal and above the obstacles below, m.
    pub(super) goal_margin: f64,
    pub(super) obstacle_margin: f64,
    /// Number of places ahead at which the height of a transfer is evaluated, and the distance to the goal
    /// below which it is not, m.
    pub(super) lookahead: i32,
    pub(super) lookahead_ends: f64,
    /// Steps without motion after which a transfer that has nearly arrived ends.
    pub(super) transfer_stall: usize,
    /// Steps after which lowering ends, and its largest vertical action component.
    pub(super) lower_steps: usize,
    pub(super) lower_speed: f64,
    /// Displacement of the object in the hand that counts as dropped, m.
    pub(super) slip: f64,
}

/// A bowl held by its rim, let down until contact.
pub(super) static RIM: Tuning = Tuning {
    approach_steps: 90,
    replans_approach: false,
    approach_alignment: 0.15,
    transfer_alignment: f64::INFINITY,
    transfer_arrived: 0.012,
    grasp_steps: 13,
    goal_margin: 0.045,
    obstacle_margin: 0.03,
    lookahead: 4,
    lookahead_ends: 0.03,
    transfer_stall: 3,
    lower_steps: 25,
    lower_speed: 0.5,
    slip: 0.045,
};

/// Any other object, released at a known height.
pub(super) static ANTIPODAL: Tuning = Tuning {
    approach_steps: 80,
    replans_approach: true,
    approach_alignment: 0.06,
    transfer_alignment: 0.05,
    transfer_arrived: ARRIVED,
    grasp_steps: 12,
    goal_margin: 0.03,
    obstacle_margin: 0.025,
    lookahead: 6,
    lookahead_ends: 0.0,
    transfer_stall: 5,
    lower_steps: 40,
    lower_speed: 0.4,
    slip: 0.03,
};
