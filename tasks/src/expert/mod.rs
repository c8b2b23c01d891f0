//! The scripted expert: achieves the goal of a task with access to the true state of the world, by the same
//! seven-component actions as a policy.
//!
//! The planner ([`planner`]) turns a goal into a list of subgoals ([`subgoal`]), and each subgoal is carried
//! out by a skill ([`skill`]): pick and place ([`pick_place`]), insertion into a container that opens to the
//! side ([`insert`]), pushing ([`push`]), and moving a drawer ([`drawer`]), a knob ([`knob`]) or a door
//! ([`door`]). A skill is a state machine of phases that reads the world in every control step; a subgoal
//! whose predicate does not hold afterwards is tried again. There are no random numbers: the same worlds
//! give the same actions.

mod antipodal_grasp;
mod articulation;
mod collision_boxes;
mod controller;
mod door;
mod drawer;
mod funnel;
mod grasp;
mod hand_frame;
mod insert;
mod knob;
mod obstacles;
mod pick_place;
mod place_target;
mod planner;
mod push;
mod resume;
mod rim_grasp;
mod servo;
mod skill;
mod subgoal;

pub use controller::Expert;
pub use resume::RestingPositions;
