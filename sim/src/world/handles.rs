//! Look-up of sites and joints by name, once, for code that reads them at every step.

use super::World;
use super::engine::JointRef;
use crate::description::isometry;
use nalgebra::Isometry3;

/// A site of an instance, valid in all worlds built from one scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SiteHandle {
    /// Row of the body table.
    row: usize,
    /// Pose on that body.
    local: Isometry3<f64>,
    /// Half sizes, m.
    half: [f64; 3],
}

/// A joint of an instance, valid in all worlds built from one scene.
#[derive(Debug, Clone)]
pub struct JointHandle {
    joint: JointRef,
}

impl SiteHandle {
    /// The origin of the body of a row of the body table.
    pub(super) fn at_root(row: usize) -> SiteHandle {
        SiteHandle {
            row,
            local: Isometry3::identity(),
            half: [0.0; 3],
        }
    }
}

impl World {
    /// Looks up a site of instance `i`; `None` if there is no such instance or site.
    pub fn find_site(&self, i: usize, site: &str) -> Option<SiteHandle> {
        let bodies = &self.scene.instances.get(i)?.model.bodies;
        let (body, found) = bodies
            .iter()
            .enumerate()
            .find_map(|(b, body)| Some((b, body.site.iter().find(|s| s.name == site)?)))?;
        Some(SiteHandle {
            row: self.first_row[i] + body,
            local: isometry(found.pos, found.quat_wxyz),
            half: found.half,
        })
    }

    /// Looks up a joint of instance `i`; `None` if there is no such instance or joint.
    pub fn find_joint(&self, i: usize, joint: &str) -> Option<JointHandle> {
        let bodies = &self.scene.instances.get(i)?.model.bodies;
        let body = bodies
            .iter()
            .position(|b| b.joint.as_ref().is_some_and(|j| j.name == joint))?;
        let joint = self.handle_map.body_joint[self.first_row[i] + body].clone()?;
        Some(JointHandle { joint })
    }

    /// World pose and half sizes (m) of a site at the start of the last physics step.
    pub fn site_pose_of(&self, site: &SiteHandle) -> (Isometry3<f64>, [f64; 3]) {
        let pose = self.row_pose(&self.state.samples.poses, site.row);
        (pose * site.local, site.half)
    }

    /// Position of a joint at the end of the step, rad or m.
    pub fn joint_position_of(&self, joint: &JointHandle) -> f64 {
        f64::from(self.state.engine.joint_state(&joint.joint).position)
    }
}
