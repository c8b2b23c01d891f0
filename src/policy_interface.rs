//! The interface between an environment and a policy behind a network: what this program declares on either side, compared
//! before the first episode.

use bitvla_policies::PolicyProtocol;
use bitvla_remote::{Component, Interface};
use std::collections::BTreeMap;

/// Fact that tells the side of the square camera images, pixels: a client draws them in this size.
pub(crate) const IMAGE_SIZE: &str = "image size";
/// Fact that tells how many actions of an answer are to be executed before the next query.
pub(crate) const EXECUTED_STEPS: &str = "executed steps";
/// Fact that tells the number of actions of an answer.
pub(crate) const CHUNK_LENGTH: &str = "chunk length";

/// What a client of this program sends and takes, by the orientation of images and the rule of quaternions of a protocol.
pub(crate) fn client_interface(protocol: &PolicyProtocol) -> Interface {
    let facts = [
        (
            "action frame",
            "world, translation 0.05 m and rotation 0.5 rad per unit",
        ),
        ("position", "grip site in the world, m"),
        ("rotation", "axis times angle, rad"),
        ("quaternion order", "x, y, z, w"),
        ("quaternion rule", protocol.quaternion_rule.describe()),
        ("gripper", "-1 opens, 1 closes; two finger positions, m"),
        ("image orientation", protocol.flip.describe()),
        ("crop", "by the server"),
        ("normaliser", "by the server"),
    ];
    let named = |(name, component): (&str, Component)| (name.to_owned(), component);
    Interface {
        action: BTreeMap::from(
            [
                ("position", Component::new(3, "delta_xyz").within(-1.0, 1.0)),
                (
                    "rotation",
                    Component::new(3, "axis_angle").within(-1.0, 1.0),
                ),
                (
                    "gripper",
                    Component::new(1, "binary_close_positive").within(-1.0, 1.0),
                ),
            ]
            .map(named),
        ),
        observation: BTreeMap::from(
            [
                ("agentview", Component::new(0, "rgb_hwc_uint8")),
                ("wrist", Component::new(0, "rgb_hwc_uint8")),
                ("state", Component::new(8, "eef_pos3_axisangle3_gripper2")),
                ("language", Component::new(0, "language")),
            ]
            .map(named),
        ),
        facts: facts
            .map(|(name, words)| (name.to_owned(), words.to_owned()))
            .into(),
    }
}

/// What a server of a policy sends and takes: the same, the numbers that its clients go by, and which policy it is: its name and
/// the sha256 of its checkpoint.
pub(crate) fn server_interface(
    protocol: &PolicyProtocol,
    policy: &str,
    checkpoint_sha256: &str,
) -> Interface {
    let mut interface = client_interface(protocol);
    let facts = [
        ("policy", policy.to_owned()),
        ("checkpoint sha256", checkpoint_sha256.to_owned()),
        (IMAGE_SIZE, protocol.camera_size.to_string()),
        (CHUNK_LENGTH, protocol.chunk_length.to_string()),
        (EXECUTED_STEPS, protocol.executed_steps.to_string()),
        ("statistics", protocol.normaliser_key.clone()),
    ];
    let facts = facts.map(|(name, words)| (name.to_owned(), words));
    interface.facts.extend(facts);
    interface
}
