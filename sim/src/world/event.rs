//! Events: a change of the scene in mid-simulation, made once, when the hand comes near a point of an instance (LIBERO-MAX,
//! `src/libero_max/hard.py`). Until then the world moves bit for bit as one without the event.

use super::{SiteHandle, World};
use crate::description::{ArenaDesc, SceneDesc};
use crate::error::SimError;
use nalgebra::{Isometry3, Translation3, Vector3};
use std::sync::Arc;

/// Place of what has not appeared yet, world frame, m: far below every floor.
const ABSENT: [f64; 3] = [0.0, 0.0, -20.0];

/// A change of the scene in mid-simulation.
#[derive(Debug, Clone, Default)]
pub struct SceneEvent {
    /// Index of the instance that the hand comes near.
    pub instance: usize,
    /// Site of that instance; its root origin if absent.
    pub site: Option<String>,
    /// Distance between the grip site and that point below which the event happens, m.
    pub radius: f64,
    /// Number of control steps after which it can happen.
    pub earliest: u32,
    /// Number of control steps after which it happens in any case.
    pub latest: Option<u32>,
    /// Free instances that are shifted, world frame, m; they are at rest afterwards.
    pub shifted: Vec<(usize, [f64; 3])>,
    /// Free instances that are absent until then and appear in the pose of the scene, at rest.
    pub appearing: Vec<usize>,
    /// The surroundings afterwards (lights, cameras, materials); those of before if absent.
    pub arena: Option<Arc<ArenaDesc>>,
}

/// An event that a world waits for or has behind it.
pub(super) struct PreparedEvent {
    event: SceneEvent,
    point: SiteHandle,
    /// The scene afterwards.
    scene: SceneDesc,
}

/// Progress towards an event.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct EventProgress {
    /// Control steps since the event was set.
    steps: u32,
    happened: bool,
}

impl World {
    /// Prepares an event; what is to appear is taken out of the world. Control steps are counted from here.
    ///
    /// # Errors
    /// [`SimError::InvalidEvent`] for an instance or a site that the scene lacks, or one to shift or appear that is not free.
    pub fn set_event(&mut self, event: SceneEvent) -> Result<(), SimError> {
        let missing = |what: String| SimError::InvalidEvent(what);
        let instance = (self.scene.instances.get(event.instance))
            .ok_or_else(|| missing(format!("no instance {}", event.instance)))?;
        let point = match &event.site {
            Some(site) => self
                .find_site(event.instance, site)
                .ok_or_else(|| missing(format!("`{}` has no site `{site}`", instance.name)))?,
            None => SiteHandle::at_root(self.first_row[event.instance]),
        };
        let moved = event.shifted.iter().map(|(i, _)| i);
        for i in moved.chain(&event.appearing) {
            match self.scene.instances.get(*i) {
                Some(instance) if !instance.fixed => {}
                Some(instance) => return Err(missing(format!("`{}` is fixed", instance.name))),
                None => return Err(missing(format!("no instance {i}"))),
            }
        }
        for i in &event.appearing {
            let absent = Isometry3::translation(ABSENT[0], ABSENT[1], ABSENT[2]);
            self.set_instance_pose(*i, &absent);
            self.set_enabled(*i, false);
        }
        let mut scene = self.scene.clone();
        if let Some(arena) = &event.arena {
            scene.arena = Arc::clone(arena);
        }
        self.state.event = EventProgress::default();
        self.event = Some(Box::new(PreparedEvent {
            event,
            point,
            scene,
        }));
        let (q, qd) = self.robot_state();
        self.sample_cameras(&q);
        self.sample_joint_sensors(&q, &qd);
        Ok(())
    }

    /// True once the event of this world has happened; false without one.
    pub fn event_happened(&self) -> bool {
        self.state.event.happened
    }

    /// The scene after the event, if it has happened.
    pub(super) fn scene_after_event(&self) -> Option<&SceneDesc> {
        let event = self.event.as_ref().filter(|_| self.state.event.happened);
        event.map(|event| &event.scene)
    }

    /// Lets the event happen if its condition holds at the end of a control step.
    pub(super) fn advance_event(&mut self) {
        let Some(prepared) = &self.event else {
            return;
        };
        if self.state.event.happened {
            return;
        }
        self.state.event.steps += 1;
        let (steps, event) = (self.state.event.steps, &prepared.event);
        let hand = Vector3::from(self.observation().eef_pos);
        let point = self.site_pose_of(&prepared.point).0.translation.vector;
        let is_due = event.latest.is_some_and(|latest| steps >= latest);
        let is_near = steps > event.earliest && (hand - point).norm() < event.radius;
        if !(is_due || is_near) {
            return;
        }
        self.state.event.happened = true;
        let (shifted, appearing) = (event.shifted.clone(), event.appearing.clone());
        for (i, by) in shifted {
            let pose = Translation3::from(by) * self.present_pose(i);
            self.set_instance_pose(i, &pose);
        }
        for i in appearing {
            self.set_enabled(i, true);
            let pose = self.scene.instances[i].pose;
            self.set_instance_pose(i, &pose);
        }
    }

    /// Puts the bodies of an instance into the simulation, or takes them out of it.
    fn set_enabled(&mut self, instance: usize, enabled: bool) {
        let first = self.first_row[instance];
        let rows = first..first + self.scene.instances[instance].model.bodies.len();
        for row in rows {
            let body = self.handle_map.rigid_bodies[self.handle_map.bodies[row].0];
            let body = &mut self.state.engine.bodies[body];
            body.set_enabled(enabled);
        }
    }

    /// World pose of the root of an instance at the end of the step.
    fn present_pose(&self, instance: usize) -> Isometry3<f64> {
        let (body, offset) = &self.handle_map.bodies[self.first_row[instance]];
        let handle = self.handle_map.rigid_bodies[*body];
        super::build::from_engine(self.state.engine.bodies[handle].position()) * offset
    }
}
